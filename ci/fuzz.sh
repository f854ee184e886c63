#!/usr/bin/env bash
# Every fuzz target for ten seconds, from its seeds: it builds, and finds nothing that quickly.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

have c++ || {
    skip "the fuzz targets: c++ is missing"
    exit 0
}
mkdir -p "$target"
base=$(cd "$target" && pwd)/fuzz
# What cargo-fuzz sets, but for the sanitizers, which take a nightly compiler: libFuzzer follows which branches
# are taken, so a stable one will do here.
coverage=(--cfg fuzzing -Cpasses=sancov-module -Ccodegen-units=1 -Cdebug-assertions -Coverflow-checks)
for pass in level=4 inline-8bit-counters pc-table trace-compares; do
    coverage+=("-Cllvm-args=-sanitizer-coverage-$pass")
done
host=$(rustc -vV | sed -n 's/^host: //p')
# With the host named, what only runs while building is not followed.
RUSTFLAGS="${coverage[*]}" cargo build --locked --release --manifest-path fuzz/Cargo.toml \
    --target "$host" --target-dir "$base"
# What is found there is written where it is looked for, and not into the sources.
found=$base/found
rm -rf "$found"
mkdir -p "$found"

# fuzz NAME: tries that target.
fuzz() {
    local name=$1 seeds=() corpus until
    [[ ! -d fuzz/seeds/$name ]] || seeds=("fuzz/seeds/$name")
    corpus=$(mktemp -d)
    # So many runs however busy the machine is, and then on for ten seconds.
    for until in -runs=1000 -max_total_time=10; do
        "$base/$host/release/$name" "$until" -rss_limit_mb=4096 -verbosity=0 -print_final_stats=1 \
            -artifact_prefix="$found/" "$corpus" "${seeds[@]}" >"$found/$name.log" 2>&1 || {
            tail -n 60 "$found/$name.log"
            fail "the fuzz target $name found something"
        }
    done
    rm -rf "$corpus"
    echo "$name: $(sed -n 's/^stat::number_of_executed_units: //p' "$found/$name.log") runs"
}

# Two at a time: each keeps one processor busy.
code=0
for source in fuzz/fuzz_targets/*.rs; do
    (($(jobs -pr | wc -l) < 2)) || wait -n || code=1
    fuzz "$(basename "$source" .rs)" &
done
while (($(jobs -pr | wc -l) > 0)); do
    wait -n || code=1
done
exit "$code"
