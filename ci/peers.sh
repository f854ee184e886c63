#!/usr/bin/env bash
# The comparison with other crates, as its own lock file names them.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cd benches/peers
# In the target directory that .gitignore knows.
unset CARGO_TARGET_DIR
cargo build --locked --benches
