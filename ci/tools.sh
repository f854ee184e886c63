#!/usr/bin/env bash
# What the machine needs for the other scripts; installs it as root on a machine with apt-get.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

wanted=()
have cc || wanted+=(gcc libc6-dev)
have strace || wanted+=(strace)
have jq || wanted+=(jq)
have shellcheck || wanted+=(shellcheck)

if have apt-get && ((EUID == 0)); then
    # Also for the packages that are only unpacked below: a new machine has no lists at all.
    ((${#wanted[@]} + guests == 0)) || apt-get update -qq
    if ((${#wanted[@]} > 0)); then
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            "${wanted[@]}" >/dev/null
    fi
elif ((${#wanted[@]} > 0)); then
    skip "what needs ${wanted[*]}: missing, and not root on a machine with apt-get"
fi
if ((guests)); then
    # Into the target directory: the machine's own time daemon is left alone.
    bash scripts/unpack_daemons.sh
fi
cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
cargo --version
