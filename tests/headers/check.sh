#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every public header compiles alone, as C11 and as C++17, with each compiler there is, and needs no
# module above its own.
# Usage: check.sh SOURCE_DIR
set -eu
root=$1
failed=0
count=0

# compile LANGUAGE COMPILER FLAGS...: the header in $header, and nothing else.
compile() {
    language=$1
    shift
    count=$((count + 1))
    if ! printf '#include <weft/%s>\ntypedef int not_empty;\n' "${header##*/}" |
        "$@" -x "$language" -Wall -Wextra -Wpedantic -Wshadow -Werror -fsyntax-only -; then
        echo "$header: does not compile alone: $*" >&2
        failed=1
    fi
}

found=
for compiler in gcc clang; do
    if command -v "$compiler" >/dev/null 2>&1; then
        found="$found $compiler"
    fi
done
if [ -z "$found" ]; then
    echo "neither gcc nor clang was found" >&2
    exit 1
fi

below=
for module in base deque core; do
    below="$below -I$root/$module/include"
    for header in "$root/$module"/include/weft/*.h; do
        for compiler in $found; do
            # shellcheck disable=SC2086 # one flag for each module below
            compile c "$compiler" -std=c11 $below
            # shellcheck disable=SC2086
            compile c++ "$compiler" -std=c++17 $below
        done
    done
done
[ "$failed" = 0 ] && echo "$count compilations of single headers passed with$found"
exit "$failed"
