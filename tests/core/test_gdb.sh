#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# A back-trace in gdb ends at the first instructions of the fiber, without a complaint.
# ctest: TIMEOUT 60 LABELS slow no-sanitizer
command -v gdb >/dev/null 2>&1 || exit 77
program=$(dirname "$1")/../tests/test_core.scope
[ -x "$program" ] || exit 77
trace=$(gdb -q -batch -nx -ex 'set breakpoint pending on' -ex 'break weft_sleep' -ex run -ex bt \
    "$program" 2>&1)
case $trace in
*ptrace*not\ permitted*) exit 77 ;;
esac
last=$(printf '%s\n' "$trace" | grep '^#' | tail -n 1)
case $trace in
*corrupt*) last='' ;;
esac
case $last in
*weft__fiber_start* | *weft.fiber_start*) exit 0 ;; # gdb takes clang's for a name of D
esac
printf 'the back-trace does not end at weft__fiber_start:\n%s\n' "$trace"
exit 1
