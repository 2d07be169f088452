#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Memcheck finds nothing to say about fibers that wait, move and end: it knows their stacks.
# ctest: TIMEOUT 120 LABELS slow no-sanitizer
command -v valgrind >/dev/null 2>&1 || exit 77
program=$(dirname "$1")/../tests/test_core.scope
[ -x "$program" ] || exit 77
# Its checks of time may fail at this speed, which is no matter here: 9 is memcheck's.
valgrind -q --fair-sched=yes --error-exitcode=9 "$program" >/tmp/weft-memcheck.$$ 2>&1
status=$?
# Its reader does not know every compiler's notes for debuggers.
if grep -q 'debuginfo reader' /tmp/weft-memcheck.$$; then
    rm -f /tmp/weft-memcheck.$$
    exit 77
fi
grep '^==' /tmp/weft-memcheck.$$ | head -30
ended=$(grep -c 'test(s) run\.' /tmp/weft-memcheck.$$)
rm -f /tmp/weft-memcheck.$$
[ "$status" -lt 9 ] && [ "$ended" -ge 1 ]
