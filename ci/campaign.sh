#!/usr/bin/env bash
# Readings by the million in worlds in which true time is known.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cargo run --locked --quiet --release -p epsilon-clock-sim --bin campaign -- --seeds 25
