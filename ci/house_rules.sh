#!/usr/bin/env bash
# What must not be in the repository: paths of a machine, work left undone, `unsafe` out of its file.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# What is in the repository, one path a line.
committed() {
    if have git && git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files
    else
        find . -type f -not -path './.git/*' -not -path '*/target/*' | sed 's|^\./||'
    fi
}

# forbidden WHAT PATTERN FILE…: no line of these files may match.
forbidden() {
    local what=$1 pattern=$2 found
    shift 2
    # 1: no match, 2: a file that cannot be read.
    found=$(grep -HInE -e "$pattern" -- "$@") || (($? == 1)) || fail "cannot search for $what"
    [[ -z $found ]] || {
        echo "$found"
        fail "$what"
    }
}

mapfile -t files < <(committed)
((${#files[@]} > 20)) || fail "only ${#files[@]} files found"
mapfile -t sources < <(printf '%s\n' "${files[@]}" |
    grep -E '^(src|crates/[^/]*/src)/.*\.rs$' |
    grep -vxE 'src/machine/sys(\.rs|/.*\.rs)|crates/epsilon-clock-ffi(-testing)?/src/.*')
((${#sources[@]} > 10)) || fail "only ${#sources[@]} source files found"

wrong=0
forbidden "a path of somebody's machine" \
    '(^|[^[:alnum:]_.~-])/(root|home|Users|work|tmp|mnt|srv|opt)/[[:alnum:]_.]' \
    "${files[@]}" || wrong=1
forbidden "something left to be done" '(todo|unimplemented)[!]|FIX[M]E|#\[ignor[e]' \
    "${files[@]}" || wrong=1
# Apart from comments, and from the lint's name; the C interface is made of it.
forbidden "unsafe outside src/machine/sys and the C interface" '^([^/]|/[^/])*\<unsafe\>' \
    "${sources[@]}" || wrong=1
exit "$wrong"
