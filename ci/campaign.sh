#!/usr/bin/env bash
# Ten million readings in worlds in which true time is known.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cargo run --locked --quiet --release -p epsilon-clock-sim --bin campaign -- --seeds 25
