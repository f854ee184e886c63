#!/usr/bin/env bash
# Every fuzz target for ten seconds, from its seeds: it builds, and finds nothing that quickly.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if ! have cargo-fuzz || ! cargo +nightly --version >/dev/null 2>&1; then
    skip "the fuzz targets: cargo-fuzz or a nightly compiler is missing"
    exit 0
fi
mkdir -p "$target"
base=$(cd "$target" && pwd)/fuzz
export CARGO_TARGET_DIR=$base
cargo +nightly fuzz build
# What is found there is written where it is looked for, and not into the sources.
found=$base/found
rm -rf "$found"
mkdir -p "$found"
# By itself, as the build for the target named by cargo-fuzz lies in a folder of that name.
host=$(rustc -vV | sed -n 's/^host: //p')
for source in fuzz/fuzz_targets/*.rs; do
    name=$(basename "$source" .rs)
    seeds=()
    [[ ! -d fuzz/seeds/$name ]] || seeds=("fuzz/seeds/$name")
    corpus=$(mktemp -d)
    echo "+ $name"
    "$base/$host/release/$name" -max_total_time=10 -rss_limit_mb=4096 -verbosity=0 \
        -artifact_prefix="$found/" "$corpus" "${seeds[@]}"
    rm -rf "$corpus"
done
