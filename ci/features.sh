#!/usr/bin/env bash
# The library with every set of its features: none may need another, or leave something unused.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

mapfile -t names < <(sed -n '/^\[features\]/,/^\[[^f]/s/^\([a-z0-9_-]*\) = .*/\1/p' Cargo.toml |
    grep -vx default)
((${#names[@]} > 3)) || fail "Cargo.toml names only ${#names[@]} features"
echo "features: ${names[*]}"
for ((number = 0; number < 1 << ${#names[@]}; number++)); do
    set=
    for ((index = 0; index < ${#names[@]}; index++)); do
        ((number >> index & 1)) && set+=,${names[index]}
    done
    RUSTFLAGS="-D warnings" cargo check --locked --quiet --package epsilon-clock --lib \
        --no-default-features --features "${set#,}" --target-dir "$target/features" ||
        fail "with features '${set#,}'"
done
