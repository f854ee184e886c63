#!/usr/bin/env bash
# What would be published, unpacked and built: each crate against the others as they are here. Then the
# library's tests from its archive alone, and what its users would get with it.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Cargo unpacks the crates into its home under a hash of the target directory's path and their versions,
# and never again: left from an earlier run at the same path, they would be built instead of these.
forget_unpacked() { rm -rf "${CARGO_HOME:-$HOME/.cargo}"/registry/src/-*/epsilon-clock-*; }
forget_unpacked
cargo package --locked --workspace --allow-dirty

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"; forget_unpacked' EXIT
tar -xf "$target/package/epsilon-clock-$version.crate" -C "$unpacked"
mkdir -p "$target"
# What they depend on is there already, from the tests of the workspace.
tests_target=$(cd "$target" && pwd)
# A package's dev-dependency on itself is left out of it, so the features have to be asked for. All of its
# tests take minutes more: EPSILON_CLOCK_PACKAGE_TESTS=1.
(
    cd "$unpacked/epsilon-clock-$version"
    export CARGO_TARGET_DIR=$tests_target
    ran cargo test --locked --all-features --lib
    if [[ ${EPSILON_CLOCK_PACKAGE_TESTS:-0} == 1 ]]; then
        # Some tests run the examples.
        cargo build --locked --all-features --examples
        ran cargo test --locked --all-features --test it
    else
        skip "the tests of the package beside its library's own: EPSILON_CLOCK_PACKAGE_TESTS is not 1"
    fi
)

if have cargo-deny; then
    cargo deny --locked check licenses bans sources
else
    skip "licences and sources of the dependencies: cargo-deny is missing"
fi
