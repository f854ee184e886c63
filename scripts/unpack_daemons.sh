#!/usr/bin/env bash
# Downloads User-Mode Linux and the time daemons that the tests run in it, and unpacks them into
# the target directory: nothing of the machine is installed, replaced or started.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

into=${CARGO_TARGET_DIR:-target}/unpacked
programs=(user-mode-linux chrony ntpsec openntpd systemd-timesyncd)
# Those of the programs that a small machine may lack.
libraries=(
    libcap2 libedit2 libgnutls30 libnettle8 libhogweed6 libseccomp2
    libssl3 libbsd0 libmd0 libsystemd-shared
)

if ! command -v apt-get >/dev/null || ! command -v dpkg >/dev/null; then
    echo "skipped: User-Mode Linux and the time daemons: this is no Debian"
    exit 0
fi

# unpack PACKAGE DIRECTORY
unpack() {
    local package=$1 directory=$into/$2
    [[ -e $into/packages/$package.unpacked ]] && return
    if ! compgen -G "$into/packages/${package}_*.deb" >/dev/null; then
        (cd "$into/packages" && apt-get download -qq "$package" >/dev/null 2>&1) || return 1
    fi
    mkdir -p "$directory"
    dpkg -x "$into/packages/${package}"_*.deb "$directory"
    touch "$into/packages/$package.unpacked"
}

# merge DIRECTORY: newer Debians keep in /usr/lib what the tests look for in /lib.
merge() {
    [[ -e $1/lib || ! -d $1/usr/lib ]] || ln -s usr/lib "$1/lib"
}

mkdir -p "$into/packages"
missing=0
for package in "${programs[@]}" "${libraries[@]}"; do
    apt-cache show "$package" >/dev/null 2>&1 || missing=1
done
# A machine that was just set up knows of no packages.
((missing)) && ((EUID == 0)) && apt-get update -qq >/dev/null 2>&1 || true
for package in "${programs[@]}"; do
    unpack "$package" "$package" && merge "$into/$package" || echo "skipped: what needs the Debian package $package: no download"
done
# Time zones that count leap seconds (`right/UTC`); newer Debians have them in a package of their own.
unpack tzdata-legacy tzdata || unpack tzdata tzdata || echo "skipped: what needs the Debian package tzdata: no download"
for package in "${libraries[@]}"; do
    # The second name is that of newer Debians.
    unpack "$package" libraries || unpack "${package}t64" libraries || echo "skipped: what may need the Debian package $package: no download"
done
