#!/usr/bin/env bash
# Every example does what it says, answers --help, refuses what it does not know, and survives a
# closed pipe and a full disk.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# example NAME ARGUMENT…: runs it, for two minutes at most.
example() {
    echo "+ example $*" >&2
    local name=$1
    shift
    timeout 120 "$target/release/examples/$name" "$@"
}

# says PATTERN TEXT
says() {
    grep -qE -- "$1" <<<"$2" || fail "nothing like '$1' is told"
}

manners() {
    local output
    expect 0 example "$1" --help | head -n 1 >/dev/null
    output=$(expect 64 example "$1" --no-such-option 2>&1 >/dev/null | grep -v '^+ ')
    (($(wc -l <<<"$output") == 1)) || fail "more than a line about a bad argument: $output"
    # Its store has its own way with output, and no panic either.
    [[ $1 == bank ]] || expect 74 example "$1" --help >/dev/full
}

# By the command that a reader types: their features are those of the tests.
cargo build --locked --release --examples
for file in examples/*.rs examples/*/main.rs; do
    name=${file#examples/}
    name=${name%/main.rs}
    manners "${name%.rs}"
done

expect 0 example now --assume-error 50ms | head -n 1
says 'UTC is not before' "$(expect 0 example now --assume-error 50ms)"
output=$(expect 0 example commit_wait --assume-error 2ms)
(($(grep -c '^commit ' <<<"$output") == 3)) || fail "not three commits"
# Where a daemon vouches for the clock it commits; elsewhere it says how it would.
code=0
output=$(example commit_wait 2>&1) || code=$?
((code == 0 || code == 69)) || fail "exit code $code without an assumed error"
((code == 0)) || says '--assume-error' "$output"
expect 0 example causality
expect 0 example fleet
output=$(expect 0 example http --assume-error 5ms)
says '^1 and 2: before$' "$output"
says '^epsilon_clock_epsilon_seconds [0-9.e-]+$' "$output"
says '^payment 3: (no interval|.*Z/.*Z)$' "$(expect 0 example http)"
expect 64 example http --listen nowhere
expect 0 example log_merge
says '^c: [0-9]+ of 8 within' "$(expect 0 example log_merge --within 100us)"
says '^epsilon_clock_epsilon_seconds [0-9.e-]+$' "$(expect 0 example metrics --assume-error 50ms)"
says 'leader: wrote 30: token [0-9]+ is stale' "$(expect 0 example zombie)"
says 'the account is CORRUPTED: 30 ' "$(expect 1 example zombie --no-fence)"
says '^checked .* 0 violations$' "$(expect 0 example bank)"
# 3 is what the checker says, not what a crash would; a clock that is more wrong than a disk is slow.
says '^  real time +[1-9][0-9]*$' "$(expect 3 example bank --no-commit-wait --epsilon-ms 20)"
