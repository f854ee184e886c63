#!/usr/bin/env bash
# The library with no feature, with each one and each two of them, and with all: none may need another, or
# leave something unused.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mapfile -t names < <(sed -n '/^\[features\]/,/^\[[^f]/s/^\([a-z0-9_-]*\) = .*/\1/p' Cargo.toml |
    grep -vx default)
((${#names[@]} > 3)) || fail "Cargo.toml names only ${#names[@]} features"
echo "features: ${names[*]}"
sets=("" "$(
    IFS=,
    echo "${names[*]}"
)")
for one in "${!names[@]}"; do
    sets+=("${names[one]}")
    for ((two = one + 1; two < ${#names[@]}; two++)); do
        sets+=("${names[one]},${names[two]}")
    done
done
for set in "${sets[@]}"; do
    RUSTFLAGS="-D warnings" cargo check --locked --quiet --package epsilon-clock --lib \
        --no-default-features --features "$set" --target-dir "$target/features" ||
        fail "with features '$set'"
done
