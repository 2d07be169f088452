#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# What the examples of this module print. Usage: test_examples.sh PATH_OF_WEFT
set -eu
examples=$(dirname "$1")/../examples

# expect TEXT PROGRAM: it succeeds and prints exactly that.
expect() {
    printed=$("$examples/$2")
    [ "$printed" = "$1" ] || {
        echo "$2 prints: $printed" >&2
        exit 1
    }
}

[ -x "$examples/queue" ] || exit 77
expect 'Data from worker' queue
expect '1 of 4 processes killed, 3500 transfers, sum 100000, repaired 1 time' process_lock
