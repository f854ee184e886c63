#!/usr/bin/env bash
# What would be published, unpacked and built: each crate against the others as they are here.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cargo package --locked --workspace --allow-dirty
