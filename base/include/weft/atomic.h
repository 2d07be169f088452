/* SPDX-License-Identifier: BSD-2-Clause */
/* atomic.h — the only door to atomics: the order is part of the operation's name.
 *
 * Plain words are accessed through these macros, so structures that hold them can live in public
 * headers that must compile as C11 and as C++17. One word is always accessed at one width. There
 * is no stand-alone fence here on purpose: ThreadSanitizer does not understand them, clang turns
 * them into mfence, and an order that sits on an access can be named and checked.
 *
 * A checker replaces this header as a whole: every shared access of weft's algorithms comes
 * through one of these names. */
#ifndef WEFT_ATOMIC_H
#define WEFT_ATOMIC_H

#define weft__load_relaxed(p) __atomic_load_n((p), __ATOMIC_RELAXED)
#define weft__load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define weft__load_seq_cst(p) __atomic_load_n((p), __ATOMIC_SEQ_CST)

#define weft__store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define weft__store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define weft__store_seq_cst(p, v) __atomic_store_n((p), (v), __ATOMIC_SEQ_CST)

#define weft__exchange_relaxed(p, v) __atomic_exchange_n((p), (v), __ATOMIC_RELAXED)
#define weft__exchange_acquire(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQUIRE)
#define weft__exchange_release(p, v) __atomic_exchange_n((p), (v), __ATOMIC_RELEASE)
#define weft__exchange_acq_rel(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)

#define weft__fetch_add_relaxed(p, v) __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)
#define weft__fetch_add_acq_rel(p, v) __atomic_fetch_add((p), (v), __ATOMIC_ACQ_REL)
#define weft__fetch_add_seq_cst(p, v) __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST)

/* Strong compare-and-swap: nonzero on success; on failure *expected holds the value found. */
#define weft__cas_relaxed(p, expected, v)                                                          \
    __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_RELAXED, __ATOMIC_RELAXED)
#define weft__cas_acquire(p, expected, v)                                                          \
    __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)
#define weft__cas_release(p, expected, v)                                                          \
    __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED)
#define weft__cas_acq_rel(p, expected, v)                                                          \
    __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)
#define weft__cas_seq_cst(p, expected, v)                                                          \
    __atomic_compare_exchange_n((p), (expected), (v), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)

/* Load a word (relaxed) only to compare it with a value: nonzero if they differ. Compilers do not
 * fold an atomic load into the comparison; on the two paths that are made of little else the
 * instruction it takes is worth saving. */
#if defined(__x86_64__) && defined(__LP64__) && defined(__OPTIMIZE__)
#define weft__differs_relaxed(p, v)                                                                \
    __extension__({                                                                                \
        int differs_;                                                                              \
        __asm__ volatile("cmpq %2, %1" : "=@ccne"(differs_) : "m"(*(p)), "re"(v));                 \
        differs_;                                                                                  \
    })
#else
#define weft__differs_relaxed(p, v) (weft__load_relaxed(p) != (v))
#endif

/* Keep the compiler, not the processor, from reordering memory accesses across this point. The
 * processor's half is done by the other side with membarrier() (edge lane.raid). */
#define weft__compiler_barrier() __asm__ volatile("" ::: "memory")

#endif
