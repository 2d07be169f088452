#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Mistakes with the macros are found by the compiler, in words that lead to them: each of the
# programs below must be refused, with warnings as errors, in a message that holds the given words.
# Usage: mistakes.sh SOURCE_DIR
set -eu
root=$1
failed=0
count=0

# shellcheck source=tests/headers/compilers.sh
. "$root/tests/headers/compilers.sh"
flags=
for module in base deque ipc core futures; do
    flags="$flags -I$root/$module/include"
done

# diagnose LANGUAGE COMPILER WORDS: $program is refused in these words.
diagnose() {
    standard=c11
    [ "$1" = c ] || standard=c++17
    count=$((count + 1))
    # shellcheck disable=SC2086 # a list of words
    if message=$("$2" $flags -x "$1" -std=$standard -Wall -Wextra -Werror \
        -S -o /dev/null - 2>&1 <<END
#include <weft/fiber.h>
#include <weft/future.h>
WEFT_TASK(long, fib, int, n) { return n; }
WEFT_TASK(double, price, int, option, double, spot) { return option * spot; }
WEFT_FIBER(greet, const char *, name) { (void)name; }
$program
END
    ); then
        echo "$2, $1: not refused: $program" >&2
        failed=1
    elif ! printf '%s\n' "$message" | grep -q -- "$3"; then
        printf '%s, %s: "%s" is missing for %s\n%s\n' "$2" "$1" "$3" "$program" "$message" >&2
        failed=1
    fi
}

# mistake WORDS PROGRAM: in C and C++.
mistake() {
    program=$2
    for compiler in $found; do
        diagnose c "$compiler" "$1"
        diagnose c++ "$compiler" "$1"
    done
}

# inside WORDS STATEMENTS: the same, within a function.
inside() {
    mistake "$1" "int app(void); int app(void) { $2 return 0; }"
}

pairs="the arguments of a task are pairs of a type and a name, six at most"
mistake "$pairs" "WEFT_TASK(int, odd, int, a, int) { return a; }"
mistake "$pairs" "WEFT_TASK(int, seven, int, a, int, b, int, c, int, d, int, e, int, f, int, g) {}"
mistake "void" "WEFT_TASK(void, v, int, a) { (void)a; }"

inside "too many arguments\|no matching function" "weft_spawn(t, fib, 1, 2); (void)weft_join(t);"
inside "too few arguments\|no matching function" "weft_spawn(t, price, 1); (void)weft_join(t);"
inside "fib" "weft_spawn(t, fib, \"1\"); (void)weft_join(t);"
inside "fob_task" "weft_spawn(t, fob, 1); (void)weft_join(t);"
inside "t_spawned_here_" "(void)weft_join(t);"
inside "fib_submit\|warn_unused_result" "weft_submit(weft_workers(), fib, 1);"
inside "weft_scope" "weft_scope(group) (void)weft_go(group, greet, \"a\");"
inside "initializer" "weft_scope(group) (void)weft_go(&group, greet, \"a\", 1);"
inside "double\|pointer type" "float x; price_future f = weft_submit(weft_workers(), price, 1, 2.0);
    (void)weft_await(f, &x, WEFT_FOREVER);"

[ "$failed" = 0 ] && echo "$count compilations of mistakes refused by$found"
exit "$failed"
