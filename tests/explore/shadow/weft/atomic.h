/* SPDX-License-Identifier: BSD-2-Clause */
/* atomic.h — the explorer's: every access asks it which thread goes first and what is seen.
 *
 * It stands before base/include/weft/atomic.h in the include path and offers the same names. */
#ifndef WEFT_ATOMIC_H
#define WEFT_ATOMIC_H

#include "explore.h"

/* A place in the sources that accesses a word: --weaken changes its order. */
#define EXPLORE__SITE(order, text)                                                                 \
    __extension__({                                                                                \
        static explore_site site_ = {EXPLORE_PLACE text, order};                                   \
        static explore_site *const found_ __attribute__((section("explore_sites"), used)) =        \
            &site_;                                                                                \
        &site_;                                                                                    \
    })
#define EXPLORE__ACCESS(p, order, text)                                                            \
    ((explore_access){(void *)(uintptr_t)(p), (unsigned)sizeof *(p), EXPLORE__SITE(order, text)})
#define EXPLORE__WORD(v) ((uint64_t)(uintptr_t)(v))
#define EXPLORE__AS(p, value) ((__typeof__(*(p)))(uintptr_t)(value))

/* The same, for operations whose value may be left unused. */
#define EXPLORE__OLD(p, value)                                                                     \
    __extension__({                                                                                \
        __typeof__(*(p)) old_ = EXPLORE__AS(p, value);                                             \
        old_;                                                                                      \
    })

#define EXPLORE__LOAD(p, order, text) EXPLORE__AS(p, explore_load(EXPLORE__ACCESS(p, order, text)))
#define weft__load_relaxed(p) EXPLORE__LOAD(p, EXPLORE_RELAXED, "load_relaxed(" #p ")")
#define weft__load_acquire(p) EXPLORE__LOAD(p, EXPLORE_ACQUIRE, "load_acquire(" #p ")")
#define weft__load_seq_cst(p) EXPLORE__LOAD(p, EXPLORE_SEQ_CST, "load_seq_cst(" #p ")")

#define EXPLORE__STORE(p, v, order, text)                                                          \
    explore_store(EXPLORE__ACCESS(p, order, text), EXPLORE__WORD(v))
#define weft__store_relaxed(p, v) EXPLORE__STORE(p, v, EXPLORE_RELAXED, "store_relaxed(" #p ")")
#define weft__store_release(p, v) EXPLORE__STORE(p, v, EXPLORE_RELEASE, "store_release(" #p ")")
#define weft__store_seq_cst(p, v) EXPLORE__STORE(p, v, EXPLORE_SEQ_CST, "store_seq_cst(" #p ")")

#define EXPLORE__EXCHANGE(p, v, order, text)                                                       \
    EXPLORE__OLD(p, explore_exchange(EXPLORE__ACCESS(p, order, text), EXPLORE__WORD(v)))
#define weft__exchange_relaxed(p, v)                                                               \
    EXPLORE__EXCHANGE(p, v, EXPLORE_RELAXED, "exchange_relaxed(" #p ")")
#define weft__exchange_acquire(p, v)                                                               \
    EXPLORE__EXCHANGE(p, v, EXPLORE_ACQUIRE, "exchange_acquire(" #p ")")
#define weft__exchange_release(p, v)                                                               \
    EXPLORE__EXCHANGE(p, v, EXPLORE_RELEASE, "exchange_release(" #p ")")
#define weft__exchange_acq_rel(p, v)                                                               \
    EXPLORE__EXCHANGE(p, v, EXPLORE_ACQ_REL, "exchange_acq_rel(" #p ")")

#define EXPLORE__ADD(p, v, order, text)                                                            \
    EXPLORE__OLD(p, explore_fetch_add(EXPLORE__ACCESS(p, order, text), EXPLORE__WORD(v)))
#define weft__fetch_add_relaxed(p, v)                                                              \
    EXPLORE__ADD(p, v, EXPLORE_RELAXED, "fetch_add_relaxed(" #p ")")
#define weft__fetch_add_acq_rel(p, v)                                                              \
    EXPLORE__ADD(p, v, EXPLORE_ACQ_REL, "fetch_add_acq_rel(" #p ")")
#define weft__fetch_add_seq_cst(p, v)                                                              \
    EXPLORE__ADD(p, v, EXPLORE_SEQ_CST, "fetch_add_seq_cst(" #p ")")

#define EXPLORE__CAS(p, expected, v, order, text)                                                  \
    explore_cas(EXPLORE__ACCESS(p, order, text), (expected), EXPLORE__WORD(v))
#define weft__cas_relaxed(p, expected, v)                                                          \
    EXPLORE__CAS(p, expected, v, EXPLORE_RELAXED, "cas_relaxed(" #p ")")
#define weft__cas_acquire(p, expected, v)                                                          \
    EXPLORE__CAS(p, expected, v, EXPLORE_ACQUIRE, "cas_acquire(" #p ")")
#define weft__cas_release(p, expected, v)                                                          \
    EXPLORE__CAS(p, expected, v, EXPLORE_RELEASE, "cas_release(" #p ")")
#define weft__cas_acq_rel(p, expected, v)                                                          \
    EXPLORE__CAS(p, expected, v, EXPLORE_ACQ_REL, "cas_acq_rel(" #p ")")
#define weft__cas_seq_cst(p, expected, v)                                                          \
    EXPLORE__CAS(p, expected, v, EXPLORE_SEQ_CST, "cas_seq_cst(" #p ")")

#define weft__differs_relaxed(p, v) (weft__load_relaxed(p) != (v))

/* The explorer runs a thread's accesses in the order of its source; a load that the processor
 * would do early is one that misses the newest store. There is nothing left for this to keep in
 * place, and no mutant without it can be found. */
#define weft__compiler_barrier() ((void)0)

#endif
