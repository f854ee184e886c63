#!/usr/bin/env bash
# The first command of the README from a fresh clone: what it takes to compile, and that it runs.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# In seconds of processor time; 30 are promised, on a machine with nothing else to do.
limit=45

export CARGO_TARGET_DIR=$target/fresh
rm -rf "$CARGO_TARGET_DIR"
cargo fetch --locked --quiet
TIMEFORMAT='%U %S'
used=$({ time cargo run --locked --quiet --release -p epsilon-clock-cli --no-default-features -- now >&2; } 2>&1 |
    tee /dev/stderr | tail -n 1 | awk '{ printf "%d", $1 + $2 + 0.5 }')
echo "compiled and run in $used s of processor time"
((used > 0 && used <= limit)) || fail "the first run takes $used s of processor time"

epsilon=$CARGO_TARGET_DIR/release/epsilon
code=0
"$epsilon" now --strict >/dev/null || code=$?
((code == 0 || code == 2)) || fail "exit code $code with --strict"
"$epsilon" doctor --watch 0
