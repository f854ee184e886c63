#!/usr/bin/env bash
# The leases and fences under engines that exist, shortly: openraft on loopback, and etcd where it can be had; and
# transactions across shards.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# In the target directories that .gitignore knows, by their own lock files; built once, and never again.
unset CARGO_TARGET_DIR
export CARGO_INCREMENTAL=0

(cd examples/openraft && cargo build --locked --release)
(cd examples/etcd && cargo build --locked --release)
# Beside the other one on openraft, so that the engine is built once for both.
(cd examples/spanner && cargo test --locked --release --target-dir ../openraft/target --no-run &&
    cargo build --locked --release --target-dir ../openraft/target)
openraft=examples/openraft/target/release/epsilon-clock-openraft
fence=examples/etcd/target/release/epsilon-clock-etcd
spanner=examples/openraft/target/release/epsilon-clock-spanner
expect 64 timeout 10 "$openraft" --no-such-option
expect 64 timeout 10 "$fence" --no-such-option
expect 64 timeout 10 "$spanner" --no-such-option

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The fault that no clock has to be wrong for, and one rule that is broken: both judges see it.
restarts() {
    expect 0 timeout 200 "$openraft" --seeds 5 --fault restart
    expect 0 timeout 200 "$openraft" --break limbo
}
# One run each of the other faults, of a clock that lies, and of another rule.
others() {
    expect 0 timeout 200 "$openraft" --from 2 --seeds 3
    expect 0 timeout 200 "$openraft" --beyond
    expect 0 timeout 200 "$openraft" --break restart
}
locks() {
    local etcd
    etcd=$(command -v etcd || true)
    # Unpacked, not installed.
    if [[ -z $etcd ]] && (cd "$work" && apt-get download etcd-server && dpkg -x etcd-server_*.deb .) >/dev/null 2>&1; then
        etcd=$work/usr/bin/etcd
    fi
    if [[ -z $etcd ]]; then
        skip "the fence on etcd: no etcd here, and none to download"
        return
    fi
    expect 0 timeout 240 "$fence" --etcd "$etcd"
    expect 0 timeout 120 "$fence" --etcd "$etcd" --no-fence
}

# Transactions across shards: both judges are content with all faults, and not without a rule; and both reject what
# is bent in one place.
shards() {
    expect 0 timeout 100 "$spanner" --epsilon 1 --faults --seconds 12
    expect 0 timeout 100 "$spanner" --break answer --seconds 3
    (cd examples/spanner && ran cargo test --locked --release --target-dir ../openraft/target)
}

# Side by side: nearly all of it is waiting.
parts=(restarts others locks shards)
declare -A pids
for part in "${parts[@]}"; do
    "$part" >"$work/$part" 2>&1 &
    pids[$part]=$!
done
failed=()
for part in "${parts[@]}"; do
    wait "${pids[$part]}" || failed+=("$part")
    cat "$work/$part"
done
((${#failed[@]} == 0)) || fail "engines: ${failed[*]}"

stale=$(grep -c 'LeaseRead: [1-9][0-9]* stale' "$work/restarts" || true)
# Five of five, but for a machine so busy that the followers' election comes too late.
((stale >= 3)) || fail "LeaseRead was stale in $stale of 5 runs after restarts"
