#!/usr/bin/env bash
# The latch, stripes and the hybrid clock's word under every interleaving with at most three preemptions.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# In a directory of its own, or everything else would be built anew; without the features that no test turns on,
# as the models are of none of them and TLS takes longer to build than they run.
export CARGO_TARGET_DIR=$target/loom RUSTFLAGS="--cfg loom"
# Optimized is what runs long, loom itself; the rest would take longer to optimize than it runs.
options=()
for package in loom generator scoped-tls; do
    options+=(--config "profile.dev.package.$package.opt-level=3"
        --config "profile.dev.package.$package.debug-assertions=false")
done
ran cargo test --locked --package epsilon-clock --lib "${options[@]}" loom_
