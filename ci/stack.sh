#!/usr/bin/env bash
# How much of a signal handler's stack a reading takes: of optimized code, as frames without
# optimization say nothing of what users run.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Only the package itself is built anew, not what its tests depend on.
optimized=profile.dev.package.epsilon-clock
ran cargo test --locked --package epsilon-clock --test signal_stack \
    --config "$optimized.opt-level=3" --config "$optimized.debug-assertions=false" -- --nocapture
