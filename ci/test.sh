#!/usr/bin/env bash
# The tests, by the command that the README tells: the first line of the `sh` block after its marker.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

command=$(awk '
    /<!-- the tests -->/ { marked = 1; next }
    marked && /^```sh$/  { inside = 1; next }
    inside && /^```$/    { exit }
    inside && NF         { print; exit }' README.md)
[[ $command == "cargo test"* ]] || fail "README.md tells no test command (found: '$command')"
echo "+ $command"
unset EPSILON_CLOCK_DAEMON_TESTS
ran bash -c "$command"
