#!/usr/bin/env bash
# Mutants of the source files that differ from a commit: each must be caught by a test. That takes a quarter of
# an hour and more, so only where EPSILON_CLOCK_MUTANTS_BASE names the commit.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if ! have cargo-mutants; then
    skip "mutants of changed files: cargo-mutants is missing"
elif [[ -z ${EPSILON_CLOCK_MUTANTS_BASE:-} ]]; then
    skip "mutants of changed files: EPSILON_CLOCK_MUTANTS_BASE names no commit to compare with"
else
    bash scripts/mutants.sh --changed "$EPSILON_CLOCK_MUTANTS_BASE"
fi
