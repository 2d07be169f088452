/* SPDX-License-Identifier: BSD-2-Clause */
/* pairs.h — BENCH_PARAMS(int, n, long, m) is `int n, long m`; up to four pairs.
 *
 * For the systems whose tasks are plain functions; weft's own macro takes the pairs itself. */
#ifndef BENCH_PAIRS_H
#define BENCH_PAIRS_H

#define BENCH__CAT(a, b) BENCH__CAT_(a, b)
#define BENCH__CAT_(a, b) a##b
#define BENCH__COUNT(...) BENCH__COUNT_(__VA_ARGS__, 8, 7, 6, 5, 4, 3, 2, 1, 0)
#define BENCH__COUNT_(a, b, c, d, e, f, g, h, n, ...) n
#define BENCH__PARAMS2(t, a) t a
#define BENCH__PARAMS4(t, a, ...) t a, BENCH__PARAMS2(__VA_ARGS__)
#define BENCH__PARAMS6(t, a, ...) t a, BENCH__PARAMS4(__VA_ARGS__)
#define BENCH__PARAMS8(t, a, ...) t a, BENCH__PARAMS6(__VA_ARGS__)
#define BENCH_PARAMS(...) BENCH__CAT(BENCH__PARAMS, BENCH__COUNT(__VA_ARGS__))(__VA_ARGS__)

/* External linkage, as weft's tasks have, so that no compiler knows more than another. */
#define BENCH_PLAIN_TASK(R, name, ...)                                                             \
    typedef R name##_result;                                                                       \
    R name(BENCH_PARAMS(__VA_ARGS__));                                                             \
    R name(BENCH_PARAMS(__VA_ARGS__))

#endif
