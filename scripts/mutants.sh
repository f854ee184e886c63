#!/usr/bin/env bash
# Tries mutants of source files with the tests that reach them, and goes on where it stopped.
#
#   scripts/mutants.sh                  all files where a wrong line costs data first
#   scripts/mutants.sh FILE…            these files
#   scripts/mutants.sh --changed BASE   the files that differ from this commit; fails if one is missed
#
# All mutants are built once (scripts/mutants.py says how); that and finding out which test reaches what takes
# a quarter of an hour on a quiet machine, after which a mutant takes about a second. `rm -r target/mutants/copy`
# has it built anew, with the verdicts on what did not change kept.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
base=${EPSILON_CLOCK_MUTANTS:-target/mutants}
FIRST=(
    src/time/{claim,rate,agreement}.rs src/clock/latch/line.rs src/clock/state.rs src/clock/state/*.rs
    src/source/kernel.rs src/source/kernel/*.rs src/source/chrony/{judgement,answer,memory,report}.rs
    src/source/ntp/{judgement,scrutiny,server,exchange,leap}.rs src/source/phc/*.rs src/hlc.rs
    src/hlc/{limits,reserve}.rs src/clock/{commits,stripes}.rs src/clock/stripes/{axis,kept,numbers,word}.rs src/lease.rs src/lease/{term,anchor,expiry,elapsed}.rs src/fleet.rs
    src/fleet/{testimony,verdict}.rs
)
files=("$@")
changed=0
if [[ ${1:-} == --changed ]]; then
    changed=1
    mapfile -t files < <(git diff --name-only --diff-filter=AM "$2" -- 'src/*.rs')
    if ((${#files[@]} == 0)); then
        echo "no source file differs from $2"
        exit
    fi
    rm -rf "$base/copy"
elif ((${#files[@]} == 0)); then
    files=("${FIRST[@]}")
fi
if [[ ! -d $base/copy ]]; then
    python3 scripts/mutants.py build
    python3 scripts/mutants.py cover
fi
python3 scripts/mutants.py try "${files[@]}" | tee "$base/last"
((!changed)) || ! grep -q '^missed: ' "$base/last"
