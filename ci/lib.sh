# Sourced by the scripts beside it: what they share. Each of them runs from anywhere, by itself.
# shellcheck shell=bash
# shellcheck disable=SC2034 # the variables are for the scripts that source this
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null

export CARGO_TERM_COLOR=never
# Nothing is built twice here, nor debugged: without these a whole run takes 14 GB of disk instead of 5.
export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0
target=${CARGO_TARGET_DIR:-target}

# Real kernels and time daemons take minutes; `EPSILON_CLOCK_DAEMON_TESTS=0` leaves them out.
guests=$((${EPSILON_CLOCK_DAEMON_TESTS:-1} == 1))
# Asked for where their turn comes, not in every run of the tests.
unset EPSILON_CLOCK_KERNEL_TESTS EPSILON_CLOCK_LONG
with_daemons() { EPSILON_CLOCK_DAEMON_TESTS=1 "$@"; }

skip() {
    echo "skipped: $1"
}

fail() {
    echo "error: $1" >&2
    return 1
}

have() {
    command -v "$1" >/dev/null
}

# ran COMMAND…: runs tests, and fails if there were none.
ran() {
    local output passed
    output=$(mktemp)
    "$@" 2>&1 | tee "$output"
    passed=$(sed -n 's/^test result: ok\. \([0-9]*\) passed.*/\1/p' "$output" | paste -sd+)
    rm -f "$output"
    ((${passed:-0} > 0)) || fail "no test was run by: $*"
}

# expect CODE COMMAND…: the command must end with this exit code.
expect() {
    local wanted=$1 code=0
    shift
    "$@" || code=$?
    ((code == wanted)) || fail "exit code $code instead of $wanted: $*"
}
