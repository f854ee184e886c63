#!/usr/bin/env bash
# The library as it is built where there is no adjtimex.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

export CARGO_TARGET_DIR=$target/portable
export RUSTFLAGS="--cfg epsilon_clock_portable -D warnings"
ran cargo test --locked --package epsilon-clock --all-features --lib --test portable
