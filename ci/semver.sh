#!/usr/bin/env bash
# No break of the interface without a new version, compared with the commit of the last release.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

last=$(git describe --tags --abbrev=0 --match 'v*' 2>/dev/null || true)
if ! have cargo-semver-checks; then
    skip "breaks of the interface: cargo-semver-checks is missing"
elif [[ -z $last ]]; then
    skip "breaks of the interface: there is no release to compare with"
else
    cargo semver-checks --workspace --baseline-rev "$last"
fi
