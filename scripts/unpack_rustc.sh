#!/usr/bin/env bash
# Downloads Debian's Rust compiler of the oldest version promised, with the libraries of this machine and of
# 32-bit ARM, and unpacks them into the target directory: nothing of the machine is installed or replaced.
# Prints the compiler's path, or nothing where it cannot be had.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

into=$(mkdir -p "${CARGO_TARGET_DIR:-target}/unpacked/rustc" && cd "${CARGO_TARGET_DIR:-target}/unpacked/rustc" && pwd)
version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
[[ $(uname -m) == x86_64 ]] && command -v apt-get >/dev/null && command -v dpkg >/dev/null || exit 0

if [[ ! -e $into/rustc-$version ]]; then
    mkdir -p "$into/lists/partial" "$into/cache/archives/partial" "$into/packages"
    # Lists of its own: the machine's do not name packages of another architecture.
    apt=(-o APT::Architecture=amd64 -o APT::Architectures::=amd64 -o APT::Architectures::=armhf
        -o Dir::State::lists="$into/lists" -o Dir::Cache="$into/cache")
    apt-get "${apt[@]}" update -qq >/dev/null 2>&1 || true
    exact=$(apt-cache "${apt[@]}" madison rustc-web 2>/dev/null |
        awk -F' *[|] *' -v version="$version." 'index($2, version) == 1 { print $2; exit }')
    [[ -n $exact ]] || exit 0
    llvm=$(apt-cache "${apt[@]}" depends "libstd-rust-web-$version" | sed -n 's/.*Depends: \(libllvm.*\)/\1/p')
    (cd "$into/packages" && apt-get "${apt[@]}" download -qq "rustc-web=$exact" \
        "libstd-rust-web-$version=$exact" "libstd-rust-web-dev=$exact" "libstd-rust-web-dev:armhf=$exact" \
        "$llvm" >/dev/null 2>&1) || exit 0
    for package in "$into"/packages/*.deb; do
        dpkg -x "$package" "$into"
    done
    rm -rf "$into/packages" "$into/lists" "$into/cache"
    libraries=$into/usr/lib/x86_64-linux-gnu:$(dirname "$(find "$into/usr/lib" -name 'libLLVM*.so*' -type f | head -n 1)")
    cat >"$into/rustc-$version" <<END
#!/usr/bin/env bash
export LD_LIBRARY_PATH="$libraries"
exec "$into/usr/bin/rustc" "\$@"
END
    chmod +x "$into/rustc-$version"
fi
"$into/rustc-$version" --version >/dev/null 2>&1 || exit 0
echo "$into/rustc-$version"
