#!/usr/bin/env bash
# NTP servers that prove who they are: the library's own tests with that feature, and a real chronyd with
# certificates made in the test; and the command with that feature. By itself, for TLS takes a while to build.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ran cargo test --locked --package epsilon-clock --features nts --lib source::ntp
ran cargo test --locked --package epsilon-clock --features nts --doc source::ntp
export EPSILON_CLOCK_UNPACKED
EPSILON_CLOCK_UNPACKED=$(realpath -m "$target/unpacked")
cargo build --locked --package epsilon-clock-cli --no-default-features --features nts --target-dir "$target/nts"
EPSILON_COMMAND=$(realpath "$target/nts/debug/epsilon")
export EPSILON_COMMAND
ran cargo test --locked --manifest-path tests/nts/Cargo.toml --target-dir "$target/nts"
