#!/usr/bin/env bash
# Downloads User-Mode Linux and the time daemons that the tests run in it, and unpacks them into
# the target directory: nothing of the machine is installed, replaced or started.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

into=${CARGO_TARGET_DIR:-target}/unpacked
# The libraries are those of the daemons that a small machine may lack.
packages=(
    user-mode-linux
    chrony libcap2 libedit2 libgnutls30 libnettle8 libhogweed6 libseccomp2
    ntpsec libssl3 libbsd0 libmd0
    openntpd
    systemd-timesyncd libsystemd-shared
)

if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "skipped: User-Mode Linux and the time daemons: this is no Debian"
    exit 0
fi

mkdir -p "$into/packages"
for package in "${packages[@]}"; do
    compgen -G "$into/packages/${package}_*.deb" >/dev/null && continue
    (cd "$into/packages" && apt-get download -qq "$package" >/dev/null 2>&1) ||
        { ((EUID == 0)) && apt-get update -qq >/dev/null 2>&1 &&
            (cd "$into/packages" && apt-get download -qq "$package" >/dev/null 2>&1); } ||
        { echo "skipped: what needs the Debian package $package: it cannot be downloaded"; continue; }
done
for file in "$into"/packages/*.deb; do
    [[ -e $file ]] || continue
    [[ -e $file.unpacked ]] && continue
    dpkg -x "$file" "$into"
    touch "$file.unpacked"
done
