#!/usr/bin/env bash
# The latch and the watch under every interleaving.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# In a directory of its own, or everything else would be built anew; without the features that no test turns on,
# as the models are of none of them and TLS takes longer to build than they run.
export CARGO_TARGET_DIR=$target/loom RUSTFLAGS="--cfg loom"
ran cargo test --locked --release --package epsilon-clock --lib loom_
