#!/usr/bin/env bash
# The library as it is built where there is no adjtimex.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# For the packages of the workspace alone: what they depend on is there from the other tests.
export RUSTC_WORKSPACE_WRAPPER=$PWD/ci/portable_rustc.sh
ran cargo test --locked --package epsilon-clock --all-features --lib --test portable
