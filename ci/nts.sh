#!/usr/bin/env bash
# NTP servers that prove who they are: the documentation's tests, a real chronyd with certificates made in the
# test, and the command with that feature. By itself, for TLS takes a while to build.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# The library's own tests with that feature are among those of its archive (ci/package.sh).
ran cargo test --locked --package epsilon-clock --features nts --doc source::ntp
export EPSILON_CLOCK_UNPACKED
EPSILON_CLOCK_UNPACKED=$(realpath -m "$target/unpacked")
# Where TLS was just built for those tests; and kept apart from the command that other tests may build there.
cargo build --locked --package epsilon-clock-cli --no-default-features --features nts
mkdir -p "$target/nts"
cp "$target/debug/epsilon" "$target/nts/epsilon"
EPSILON_COMMAND=$(realpath "$target/nts/epsilon")
export EPSILON_COMMAND
ran cargo test --locked --manifest-path tests/nts/Cargo.toml --target-dir "$target/nts"
