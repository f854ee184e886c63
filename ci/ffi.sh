#!/usr/bin/env bash
# The C interface: installed as its users would, and used from C, C++, Python and Go, each against the
# real clock and against a scripted one.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

ffi=crates/epsilon-clock-ffi
mkdir -p "$target"
stage=$(cd "$target" && pwd)/ffi
rm -rf "$stage"
mkdir -p "$stage/bin"

for tool in make pkg-config cc c++; do
    have "$tool" || {
        skip "the C interface: $tool is missing"
        exit 0
    }
done

make -s -C "$ffi" install install-testing PREFIX="$stage" DESTDIR=
export PKG_CONFIG_PATH=$stage/lib/pkgconfig LD_LIBRARY_PATH=$stage/lib
read -ra production <<<"$(pkg-config --cflags --libs epsilon_clock)"
read -ra testing <<<"$(pkg-config --cflags --libs epsilon_clock_testing)"

# Production has nothing of what is for tests, and exports nothing but the header's functions.
exported=$(nm -D --defined-only "$stage/lib/libepsilon_clock.so" | awk '{ print $3 }')
[[ -z $(grep -v '^ec_' <<<"$exported") ]] || fail "the library exports more than ec_…"
! grep ec_testing_ <<<"$exported" || fail "the library exports what is for tests"
declared=$(grep -oE '\bec_[a-z_]+\(' "$ffi/include/epsilon_clock.h" | tr -d '(' | sort -u)
[[ $(sort -u <<<"$exported") == "$declared" ]] || fail "the header and the library disagree"
! grep -qi scripted "$stage/lib/libepsilon_clock.so" || fail "the library has scripted machines"
readelf -d "$stage/lib/libepsilon_clock.so" | grep -E 'SONAME.*libepsilon_clock\.so\.[0-9]' >/dev/null ||
    fail "the library has no soname"

# cargo-c installs what the Makefile does, to the name; both name the libraries' file alike.
if have cargo-cinstall; then
    cargo cinstall --locked --release -p epsilon-clock-ffi --prefix="$stage/c" \
        --libdir="$stage/c/lib"
    mkdir -p "$stage/make"
    make -s -C "$ffi" install PREFIX="$stage/make" DESTDIR=
    diff <(cd "$stage/make" && find . | sort) <(cd "$stage/c" && find . | sort)
    diff <(nm -D --defined-only "$stage/c/lib/libepsilon_clock.so" | awk '{ print $3 }') <(echo "$exported")
    readelf -d "$stage/c/lib/libepsilon_clock.so" | grep -E 'SONAME.*libepsilon_clock\.so\.[0-9]' >/dev/null
    PKG_CONFIG_PATH=$stage/c/lib/pkgconfig pkg-config --exists "epsilon_clock >= 0.1"
else
    skip "the C interface by cargo cinstall: cargo-c is missing"
fi

c=(cc -std=c11 -O1 -g -Wall -Wextra -Werror)
cxx=(c++ -std=c++17 -O1 -g -Wall -Wextra -Werror)
static=("-I$stage/include" "$stage/lib/libepsilon_clock_testing.a" -lpthread -ldl -lm)

# What the header promises; with the archive, so that the sanitizer sees the library's own blocks.
"${c[@]}" "$ffi/tests/c/abi.c" -o "$stage/bin/abi" "${static[@]}"
timeout 120 "$stage/bin/abi" tests/it/hlc_vectors.tsv
"${c[@]}" -fsanitize=address "$ffi/tests/c/abi.c" -o "$stage/bin/abi-asan" "${static[@]}"
ASAN_OPTIONS=detect_leaks=1:detect_stack_use_after_return=1 \
    timeout 120 "$stage/bin/abi-asan" tests/it/hlc_vectors.tsv
if have valgrind; then
    # Without the child: what its parent's thread had allocated is lost there, in any program.
    timeout 600 valgrind --quiet --error-exitcode=9 --leak-check=full --fair-sched=yes \
        --errors-for-leak-kinds=definite,indirect,possible \
        "$stage/bin/abi" tests/it/hlc_vectors.tsv --no-fork
    echo "and under AddressSanitizer and valgrind"
else
    skip "the C interface under valgrind: it is missing"
fi

# The header is one for C++ too, and for C before the standards knew static assertions.
cc -std=c99 -Wall -Werror -fsyntax-only -x c "$stage/include/epsilon_clock.h"
c++ -std=c++11 -Wall -Werror -fsyntax-only -x c++ "$stage/include/epsilon_clock.h"

# example NAME COMPILER… SOURCE: builds it against both libraries, and runs both.
example() {
    local name=$1
    shift
    echo "+ $name"
    "$@" -o "$stage/bin/$name" "${production[@]}" -pthread
    timeout 120 "$stage/bin/$name"
    "$@" -DSCRIPTED -o "$stage/bin/$name-scripted" "${testing[@]}" -pthread
    timeout 120 "$stage/bin/$name-scripted"
}
example c-clock "${c[@]}" "$ffi/examples/c/clock.c"
example cpp-clock "${cxx[@]}" "$ffi/examples/cpp/clock.cpp"
example cpp-kudu "${cxx[@]}" "$ffi/examples/kudu/hybrid_clock.cpp"
(($(wc -l <"$ffi/examples/kudu/hybrid_clock.cpp") <= 40)) || fail "Kudu's clock takes more than 40 lines"

if have python3; then
    timeout 120 python3 "$ffi/examples/python/clock.py" "$stage/lib/libepsilon_clock.so"
    timeout 120 python3 "$ffi/examples/python/clock.py" "$stage/lib/libepsilon_clock_testing.so"
else
    skip "the clock from Python: python3 is missing"
fi

if have go; then
    export GOCACHE=$stage/go GOFLAGS=-mod=mod GOTOOLCHAIN=local GO111MODULE=on
    (cd "$ffi/examples/go" && go vet . && go build -o "$stage/bin/go-clock" . &&
        go build -tags scripted -o "$stage/bin/go-clock-scripted" .)
    timeout 120 "$stage/bin/go-clock"
    timeout 120 "$stage/bin/go-clock-scripted"
else
    skip "the clock from Go: go is missing"
fi

# What the boundary costs, beside the call that it wraps. No figure of time fails a run: machines are shared.
cargo run --locked --quiet --release -p epsilon-clock-ffi-testing --example cost
