#!/usr/bin/env bash
# What would be published, unpacked and built: each crate against the others as they are here. Then the
# library's tests from its archive alone, and what its users would get with it.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

cargo package --locked --workspace --allow-dirty

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT
tar -xf "$target/package/epsilon-clock-$version.crate" -C "$unpacked"
mkdir -p "$target"
tests_target=$(cd "$target" && pwd)/from_package
# A package's dev-dependency on itself is left out of it, so the features have to be asked for.
(cd "$unpacked/epsilon-clock-$version" &&
    export CARGO_TARGET_DIR=$tests_target &&
    # Some tests run the examples.
    cargo build --locked --all-features --examples &&
    ran cargo test --locked --all-features --lib --test it)

if have cargo-deny; then
    cargo deny --locked check licenses bans sources
else
    skip "licences and sources of the dependencies: cargo-deny is missing"
fi
