#!/usr/bin/env bash
# The leases and fences under engines that exist, shortly: openraft on loopback, and etcd where it can be had.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# In the target directories that .gitignore knows, by their own lock files.
unset CARGO_TARGET_DIR

(cd examples/openraft && cargo build --locked --release)
openraft=examples/openraft/target/release/epsilon-clock-openraft
expect 64 timeout 10 "$openraft" --no-such-option
# Three runs of the fault that no clock has to be wrong for, then one each of the others.
output=$(expect 0 timeout 300 "$openraft" --seeds 3 --fault restart)
echo "$output"
stale=$(grep -c 'LeaseRead: [1-9][0-9]* stale' <<<"$output" || true)
# A follower that comes back late, on a busy machine, may find a leader that was elected meanwhile.
((stale >= 2)) || fail "LeaseRead was stale in $stale of 3 runs after restarts"
expect 0 timeout 300 "$openraft" --from 2 --seeds 3
# A rule that is broken is seen by both judges.
for rule in restart limbo; do
    expect 0 timeout 200 "$openraft" --break "$rule"
done

etcd=$(command -v etcd || true)
if [[ -z $etcd ]]; then
    unpacked=$(mktemp -d)
    trap 'rm -rf "$unpacked"' EXIT
    # Unpacked, not installed.
    if (cd "$unpacked" && apt-get download etcd-server && dpkg -x etcd-server_*.deb .) >/dev/null 2>&1; then
        etcd=$unpacked/usr/bin/etcd
    fi
fi
if [[ -z $etcd ]]; then
    echo "skipped: the fence on etcd: no etcd here, and none to download"
    exit 0
fi
(cd examples/etcd && cargo build --locked --release)
fence=examples/etcd/target/release/epsilon-clock-etcd
expect 64 timeout 10 "$fence" --no-such-option
expect 0 timeout 240 "$fence" --etcd "$etcd"
expect 0 timeout 120 "$fence" --etcd "$etcd" --no-fence
