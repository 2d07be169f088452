#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Every public header compiles alone, as C11 and as C++17, with each compiler there is, and needs no
# module above its own. So do all headers together, and all forms of the task macros, which a header
# alone does not expand.
# Usage: check.sh SOURCE_DIR
set -eu
root=$1
failed=0
count=0

# compile LANGUAGE COMPILER FLAGS...: the text of $program, which is about $header.
compile() {
    language=$1
    shift
    count=$((count + 1))
    if ! "$@" -x "$language" -Wall -Wextra -Wpedantic -Wshadow -Werror -fsyntax-only - <<END
$program
END
    then
        echo "$header: does not compile: $*" >&2
        failed=1
    fi
}

# everywhere INCLUDE_FLAGS...: the program in $program, in both languages, with all compilers.
everywhere() {
    for compiler in $found; do
        compile c "$compiler" -std=c11 "$@"
        compile c++ "$compiler" -std=c++17 "$@"
    done
}

# shellcheck source=tests/headers/compilers.sh
. "$root/tests/headers/compilers.sh"

set --
together=
for module in base deque ipc core futures; do
    set -- "$@" "-I$root/$module/include"
    for header in "$root/$module"/include/weft/*.h; do
        [ -e "$header" ] || continue
        program="#include <weft/${header##*/}>
typedef int not_empty;"
        everywhere "$@"
        together="$together
$program"
    done
done
header="all headers"
program=$(printf '%s\n' "$together" | grep include)
everywhere "$@"
header=$root/tests/headers/tasks.h
program=$(cat "$header")
everywhere "$@"
[ "$failed" = 0 ] && echo "$count compilations of headers passed with$found"
exit "$failed"
