#!/usr/bin/env bash
# Tests that write the kernel's NTP fields, and put them back: as root, and where no time daemon runs.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if ((EUID != 0)); then
    skip "tests that write the kernel's NTP fields: not root"
    exit
fi
export EPSILON_CLOCK_KERNEL_TESTS=1
ran cargo test --locked --test kernel_fields -- --test-threads=1
ran cargo test --locked --test soak -- --nocapture
ran cargo test --locked --package epsilon-clock-sim --test sim_kernel -- --test-threads=1
