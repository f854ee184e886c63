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

# check DIRECTORY SET…: each set by itself, built in that directory.
check() {
    local directory=$1 set
    shift
    for set in "$@"; do
        RUSTFLAGS="-D warnings" cargo check --locked --quiet --package epsilon-clock --lib \
            --no-default-features --features "$set" --target-dir "$directory" ||
            fail "with features '$set'"
    done
}

# One package at a time keeps one processor busy. Those with TLS are together, so that it is built once.
with_tls=() without=()
for set in "${sets[@]}"; do
    if [[ ",$set," == *,nts,* ]]; then with_tls+=("$set"); else without+=("$set"); fi
done
((${#with_tls[@]} > 1 && ${#without[@]} > 1)) || fail "no feature is called nts any more"
check "$target/features_without_tls" "${without[@]}" &
check "$target/features" "${with_tls[@]}"
wait "$!"
