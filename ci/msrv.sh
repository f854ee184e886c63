#!/usr/bin/env bash
# The library and the command, built by the oldest compiler that they promise to build with.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
[[ -n $version ]] || fail "Cargo.toml names no rust-version"
if have rustup && rustup toolchain list | grep "^${version}[.-]" >/dev/null; then
    cargo "+$version" check --locked --lib --all-features --target-dir "$target/oldest"
    cargo "+$version" check --locked --package epsilon-clock-cli --target-dir "$target/oldest"
else
    skip "a build with Rust $version: that toolchain is not installed"
fi
