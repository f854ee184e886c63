#!/usr/bin/env bash
# The reference of every crate, without a warning.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --workspace --all-features
