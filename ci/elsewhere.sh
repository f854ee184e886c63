#!/usr/bin/env bash
# Elsewhere: the library with exactly the oldest compiler promised, and on 64-bit ARM and a big-endian
# processor under qemu. Minutes and 230 MB the first time, so only with EPSILON_CLOCK_ELSEWHERE=1.
#
# Debian 12 has rustc 1.85.0 as rustc-web, with standard libraries for other processors. It is unpacked and
# not installed; linkers and qemu are installed if this is root. Its qemu knows no self-synchronised counter of
# ARM's; that of Debian 13 does, and is unpacked too.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

if [[ ${EPSILON_CLOCK_ELSEWHERE:-0} != 1 ]]; then
    skip "other processors and exactly Rust 1.85.0: EPSILON_CLOCK_ELSEWHERE is not 1"
    exit 0
fi
if ! have apt-get || ((EUID != 0)) || ! grep -q '^VERSION_CODENAME=bookworm' /etc/os-release; then
    skip "other processors and exactly Rust 1.85.0: this is not root on Debian 12"
    exit 0
fi

rust=1.85.0+dfsg3-1~deb12u3
mkdir -p "$target/elsewhere"
base=$(cd "$target/elsewhere" && pwd)
root=$base/root

# download ARCHITECTURE PACKAGE…: into the cache, of another processor without telling the system of it.
download() {
    local arch=$1 state=$base/apt-$1
    shift
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$base/debs"
    local options=(-qq -o APT::Sandbox::User=root)
    if [[ $arch != amd64 ]]; then
        options+=(-o "APT::Architecture=$arch" -o "APT::Architectures=$arch"
            -o "Dir::State=$state" -o "Dir::State::status=/dev/null" -o "Dir::Cache=$state/cache")
    fi
    apt-get "${options[@]}" update
    (cd "$base/debs" && apt-get "${options[@]}" download "$@")
}

# Into a tree of its own, by lists of its own.
download_newer_qemu() {
    local state=$base/apt-newer keys=/usr/share/keyrings/debian-archive-keyring.gpg
    mkdir -p "$state/lists/partial" "$state/cache/archives/partial" "$state/parts" "$base/newer"
    echo "deb [signed-by=$keys] http://deb.debian.org/debian trixie main" >"$state/sources.list"
    local options=(-qq -o APT::Sandbox::User=root -o "Dir::Etc::SourceList=$state/sources.list"
        -o "Dir::Etc::SourceParts=$state/parts" -o "Dir::State=$state" -o "Dir::State::status=/dev/null"
        -o "Dir::Cache=$state/cache")
    apt-get "${options[@]}" update && (cd "$state" && apt-get "${options[@]}" download qemu-user) &&
        dpkg -x "$state"/qemu-user_*.deb "$base/newer"
}

if [[ ! -e $base/complete ]]; then
    rm -rf "$base/debs" "$root"
    {
        download amd64 "rustc-web=$rust" "libstd-rust-web-dev=$rust" "libstd-rust-web-1.85=$rust" libllvm19 &&
            download arm64 "libstd-rust-web-dev=$rust" &&
            download s390x "libstd-rust-web-dev=$rust" &&
            DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends qemu-user \
                gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross \
                >/dev/null
    } || {
        skip "other processors and exactly Rust 1.85.0: their packages cannot be had"
        exit 0
    }
    for package in "$base"/debs/*.deb; do
        dpkg -x "$package" "$root"
    done
    download_newer_qemu || true
    touch "$base/complete"
fi

RUSTC=$(find "$root" -type f -name rustc -perm -u+x | head -n 1)
export RUSTC
export LD_LIBRARY_PATH=$root/usr/lib/x86_64-linux-gnu:$root/usr/lib/llvm-19/lib
"$RUSTC" --version
[[ $("$RUSTC" --version) == "rustc 1.85.0"* ]] || fail "the compiler unpacked is not 1.85.0"

# on TARGET LINKER RUNNER…: builds the checks for a processor, and runs them.
on() {
    local triple=$1 linker=$2 name
    shift 2
    name=$(tr 'a-z-' 'A-Z_' <<<"$triple")
    echo "+ $triple"
    env "CARGO_TARGET_${name}_LINKER=$linker" cargo build --locked --release --target "$triple" \
        --manifest-path tests/elsewhere/Cargo.toml --target-dir "$base/build"
    timeout 600 "$@" "$base/build/$triple/release/epsilon-clock-elsewhere"
}

# counter_on TARGET LINKER RUNNER…: runs the tests of the counter for a processor.
counter_on() {
    local triple=$1 linker=$2 name
    shift 2
    name=$(tr 'a-z-' 'A-Z_' <<<"$triple")
    echo "+ the counter: $triple, $*"
    ran env "CARGO_TARGET_${name}_LINKER=$linker" "CARGO_TARGET_${name}_RUNNER=$*" timeout 600 \
        cargo test --locked --release --target "$triple" --manifest-path tests/elsewhere/Cargo.toml \
        --target-dir "$base/build" -- --nocapture
}

on x86_64-unknown-linux-gnu cc env
on aarch64-unknown-linux-gnu aarch64-linux-gnu-gcc qemu-aarch64 -L /usr/aarch64-linux-gnu
on s390x-unknown-linux-gnu s390x-linux-gnu-gcc qemu-s390x -L /usr/s390x-linux-gnu
echo "the same on each: vectors, codecs, claims and threads"

counter_on x86_64-unknown-linux-gnu cc env
arm=(aarch64-unknown-linux-gnu aarch64-linux-gnu-gcc)
counter_on "${arm[@]}" qemu-aarch64 -L /usr/aarch64-linux-gnu
newer=$base/newer/usr/bin/qemu-aarch64
if [[ -x $newer ]]; then
    output=$(mktemp)
    counter_on "${arm[@]}" "$newer" -cpu max -L /usr/aarch64-linux-gnu 2>&1 | tee "$output"
    grep -q 'Ok(Ordered): mrs cntvctss_el0' "$output" ||
        fail "the self-synchronised counter was not read by a processor that has it"
    rm -f "$output"
else
    skip "the self-synchronised counter of ARM: Debian 13's qemu cannot be had"
fi
