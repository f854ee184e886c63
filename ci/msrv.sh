#!/usr/bin/env bash
# The library and the command, built by the oldest compiler that they promise to build with; and the library
# for Linux on 32-bit ARM, whose C library counts seconds in 32 bits.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
[[ -n $version ]] || fail "Cargo.toml names no rust-version"
oldest=
if have rustup && rustup toolchain list | grep "^${version}[.-]" >/dev/null; then
    oldest=$(rustup which --toolchain "$version" rustc)
elif ((guests)); then
    oldest=$(bash scripts/unpack_rustc.sh)
fi
check() {
    RUSTC=$oldest cargo check --locked --target-dir "$target/oldest" "$@"
}
if [[ -z $oldest ]]; then
    skip "a build with Rust $version: that toolchain is not installed, and Debian's cannot be had"
    exit 0
fi
check --lib --all-features
check --package epsilon-clock-cli
arm=armv7-unknown-linux-gnueabihf
if [[ -d $("$oldest" --print sysroot)/lib/rustlib/$arm ]]; then
    check --lib --all-features --target "$arm"
else
    skip "a build for $arm: the compiler has no library for it"
fi
