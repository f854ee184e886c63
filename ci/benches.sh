#!/usr/bin/env bash
# Every benchmark is built, and those that print tables print them.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# table NAME ROWS PATTERN: a quick run prints more rows than these, and a line like that.
table() {
    local output
    output=$(cargo bench --locked --bench "$1" -- --quick)
    echo "$output"
    (($(grep -c '^|' <<<"$output") > $2)) || fail "$1 printed hardly any rows"
    grep -qE "$3" <<<"$output" || fail "$1 printed nothing like '$3'"
}

cargo bench --locked --no-run
table side_by_side 5 '^\| *what *\| *threads *\| *ns *\| *ratio *\|'
table side_by_side 5 '^\| *wait\(\) *\|'
table log_lines 9 '^\|'
table commit_group 5 '^\|'
