#!/usr/bin/env bash
# What the machine needs for the other scripts; installs it as root on a machine with apt-get.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

wanted=()
have cc || wanted+=(gcc libc6-dev)
have strace || wanted+=(strace)
have jq || wanted+=(jq)
have shellcheck || wanted+=(shellcheck)
have curl || wanted+=(curl)

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
# The browser is large, and promtool comes with a server that is not to be started: unpacked, not installed.
if have apt-get && ((EUID == 0)) && ! have chromium; then
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium \
        >/dev/null 2>&1 || skip "the package chromium: it cannot be installed"
fi
if have apt-get && have dpkg && ! have promtool && [[ ! -e $target/unpacked/prometheus ]]; then
    mkdir -p "$target/unpacked/packages"
    if (cd "$target/unpacked/packages" && apt-get download -qq prometheus >/dev/null 2>&1); then
        dpkg -x "$target"/unpacked/packages/prometheus_*.deb "$target/unpacked/prometheus"
    else
        skip "the package prometheus: no download"
    fi
fi
if ((guests)); then
    # Into the target directory: the machine's own time daemon is left alone.
    bash scripts/unpack_daemons.sh
fi
cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
cargo --version
