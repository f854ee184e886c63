#!/usr/bin/env bash
# The clock beside real time daemons, in User-Mode Linux. They sleep most of the time, and ntpd takes
# five minutes and more to say what it knows: so a few run at once.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if ((!guests)); then
    skip "real time daemons in User-Mode Linux: EPSILON_CLOCK_DAEMON_TESTS=0"
    exit
fi
names=(real_chrony real_chrony_report real_liars)
for name in "${names[@]}"; do
    with_daemons ran cargo test --locked --test "$name" -- --test-threads=3 &
done
code=0
for name in "${names[@]}"; do
    wait -n || code=1
done
exit "$code"
