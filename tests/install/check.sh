#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What is installed can be used: the README's fib program builds against a fresh prefix with
# pkg-config and with find_package, as shared library and as archive, and runs.
# Usage: check.sh SOURCE_DIR BUILD_DIR COMPILER
set -eu
source_dir=$1
build_dir=$2
compiler=$3

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
prefix=$work/prefix

# quietly COMMAND...: its output matters only when it fails.
quietly() {
    if ! "$@" >"$work/log" 2>&1; then
        cat "$work/log" >&2
        exit 1
    fi
}

quietly cmake --install "$build_dir" --prefix "$prefix"
python3 "$source_dir/tests/docs/doctest.py" --root "$source_dir" \
    --extract 'WEFT_TASK(long, fib' >"$work/fib.c"

# runs PROGRAM: prints the number that fib computes, and nothing surprising.
runs() {
    printf '%s: ' "$1"
    env LD_LIBRARY_PATH="$libdir" "$1"
}

libdir=$(dirname "$(find "$prefix" -name libweft.so)")
PKG_CONFIG_PATH=$libdir/pkgconfig
export PKG_CONFIG_PATH
# shellcheck disable=SC2046 # pkg-config prints several flags
"$compiler" -std=c11 -Wall -Wextra -Wpedantic -Werror "$work/fib.c" -o "$work/with-pkg-config" \
    $(pkg-config --cflags --libs weft)
runs "$work/with-pkg-config"
mkdir "$work/archive"
cp "$libdir/libweft.a" "$work/archive"
# shellcheck disable=SC2046
"$compiler" -std=c11 "$work/fib.c" -o "$work/with-pkg-config-static" -L"$work/archive" \
    $(pkg-config --cflags --libs --static weft)
runs "$work/with-pkg-config-static"
if readelf -d "$work/with-pkg-config-static" | grep -q 'NEEDED.*libweft'; then
    echo "the archive was not linked" >&2
    exit 1
fi

# A second copy of the shared library beside the linked one has workers of its own.
cat >"$work/copies.c" <<'END'
#include <dlfcn.h>
#include <stdio.h>
#include <weft/runtime.h>

static int (*run_on_copy)(int (*fn)(void *), void *arg, const weft_config *config);
static int (*copy_worker_id)(void);

static int inside_copy(void *arg)
{
    (void)arg;
    return copy_worker_id() >= 0 && weft_worker_id() == -1 ? 7 : 1;
}

static int inside(void *arg)
{
    if (copy_worker_id() != -1 || weft_worker_id() < 0)
        return 1;
    return run_on_copy(inside_copy, arg, NULL);
}

int main(int argc, char **argv)
{
    void *copy = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (copy == NULL)
        return 1;
    *(void **)&run_on_copy = dlsym(copy, "weft_run");
    *(void **)&copy_worker_id = dlsym(copy, "weft_worker_id");
    int answer = weft_run(inside, NULL, NULL);
    printf("%d\n", answer);
    return answer != 7;
}
END
cp "$libdir/libweft.so" "$work/another.so"
# shellcheck disable=SC2046
"$compiler" -std=c11 "$work/copies.c" -o "$work/copies" $(pkg-config --cflags --libs weft) -ldl
printf '%s: ' "$work/copies"
env LD_LIBRARY_PATH="$libdir" "$work/copies" "$work/another.so"

mkdir "$work/project"
cat >"$work/project/CMakeLists.txt" <<END
cmake_minimum_required(VERSION 3.25)
project(user LANGUAGES C)
find_package(weft REQUIRED)
add_executable(with-shared ../fib.c)
target_link_libraries(with-shared PRIVATE weft::weft)
add_executable(with-archive ../fib.c)
target_link_libraries(with-archive PRIVATE weft::static)
END
quietly cmake -S "$work/project" -B "$work/project/build" -DCMAKE_C_COMPILER="$compiler" \
    -DCMAKE_PREFIX_PATH="$prefix"
quietly cmake --build "$work/project/build"
runs "$work/project/build/with-shared"
runs "$work/project/build/with-archive"
