#!/usr/bin/env bash
# What the machine needs for the other scripts; installs it as root on a machine with apt-get.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# Each command and the packages of Debian that bring it.
declare -A packages=(
    [cc]="gcc libc6-dev" [strace]=strace [jq]=jq [shellcheck]=shellcheck
    # For the command's page.
    [curl]=curl [chromium]=chromium
    # For the C interface.
    [make]=make [pkg-config]=pkg-config [c++]=g++ [valgrind]=valgrind [python3]=python3 [go]=golang-go
)
missing=()
for tool in "${!packages[@]}"; do
    have "$tool" || missing+=("$tool")
done

if have apt-get && ((EUID == 0)); then
    # Also for the packages that are only unpacked below: a new machine has no lists at all.
    ((${#missing[@]} + guests == 0)) || apt-get update -qq || true
    for tool in "${missing[@]}"; do
        read -ra names <<<"${packages[$tool]}"
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            "${names[@]}" >/dev/null 2>&1 || skip "what needs $tool: apt-get cannot install ${names[*]}"
    done
else
    for tool in "${missing[@]}"; do
        skip "what needs $tool: missing, and not root on a machine with apt-get"
    done
fi
# Not installed, for promtool comes with a server that is not to be started.
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
