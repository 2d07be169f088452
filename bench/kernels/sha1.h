/* SPDX-License-Identifier: BSD-2-Clause */
/* sha1.h — SHA-1 (FIPS 180-4) of a message that fits into one block: all that UTS needs. */
#ifndef BENCH_SHA1_H
#define BENCH_SHA1_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __SHA__
#include <immintrin.h>
#endif

#define SHA1_WORDS 5
#define SHA1_MESSAGE_WORDS_MAX 13 /* 16 less one for the end mark, two for the length */

#ifdef __SHA__

/* Five groups of four rounds that share a round function; `f` must be a constant. */
#define SHA1_FIVE(f)                                                                               \
    for (int i = 5 * (f); i < 5 * (f) + 5; i++) {                                                  \
        if (i >= 4)                                                                                \
            w[i & 3] = _mm_sha1msg2_epu32(                                                         \
                _mm_xor_si128(_mm_sha1msg1_epu32(w[i & 3], w[(i + 1) & 3]), w[(i + 2) & 3]),       \
                w[(i + 3) & 3]);                                                                   \
        e = i == 0 ? _mm_add_epi32(e, w[0]) : _mm_sha1nexte_epu32(e, w[i & 3]);                    \
        __m128i before = abcd;                                                                     \
        abcd = _mm_sha1rnds4_epu32(abcd, e, f);                                                    \
        e = before;                                                                                \
    }

/* The processor's own instructions: they want the first word in the highest place. */
static inline void sha1_block(uint32_t digest[SHA1_WORDS], const uint32_t block[16])
{
    const __m128i abcd_0 = _mm_set_epi32(0x67452301, (int)0xefcdab89, (int)0x98badcfe, 0x10325476);
    const __m128i e_0 = _mm_set_epi32((int)0xc3d2e1f0, 0, 0, 0);
    __m128i w[4];
    for (int i = 0; i < 4; i++)
        w[i] = _mm_set_epi32((int)block[4 * i], (int)block[4 * i + 1], (int)block[4 * i + 2],
                             (int)block[4 * i + 3]);
    __m128i abcd = abcd_0;
    __m128i e = e_0;
#pragma GCC unroll 5
    SHA1_FIVE(0)
#pragma GCC unroll 5
    SHA1_FIVE(1)
#pragma GCC unroll 5
    SHA1_FIVE(2)
#pragma GCC unroll 5
    SHA1_FIVE(3)
    e = _mm_sha1nexte_epu32(e, e_0);
    abcd = _mm_shuffle_epi32(_mm_add_epi32(abcd, abcd_0), 0x1b);
    _mm_storeu_si128((__m128i *)(void *)digest, abcd);
    digest[4] = (uint32_t)_mm_extract_epi32(e, 3);
}

#else

static inline uint32_t sha1_rotate(uint32_t x, int n)
{
    return x << n | x >> (32 - n);
}

#define SHA1_ROUNDS(from, to, f, k)                                                                \
    for (int i = from; i < to; i++) {                                                              \
        if (i >= 16)                                                                               \
            w[i & 15] =                                                                            \
                sha1_rotate(w[(i + 13) & 15] ^ w[(i + 8) & 15] ^ w[(i + 2) & 15] ^ w[i & 15], 1);  \
        uint32_t t = sha1_rotate(a, 5) + (f) + e + (k) + w[i & 15];                                \
        e = d;                                                                                     \
        d = c;                                                                                     \
        c = sha1_rotate(b, 30);                                                                    \
        b = a;                                                                                     \
        a = t;                                                                                     \
    }

static inline void sha1_block(uint32_t digest[SHA1_WORDS], const uint32_t block[16])
{
    uint32_t w[16];
    memcpy(w, block, sizeof w);
    uint32_t a = 0x67452301, b = 0xefcdab89, c = 0x98badcfe, d = 0x10325476, e = 0xc3d2e1f0;
#pragma GCC unroll 20
    SHA1_ROUNDS(0, 20, d ^ (b & (c ^ d)), 0x5a827999)
#pragma GCC unroll 20
    SHA1_ROUNDS(20, 40, b ^ c ^ d, 0x6ed9eba1)
#pragma GCC unroll 20
    SHA1_ROUNDS(40, 60, (b & c) | (d & (b | c)), 0x8f1bbcdc)
#pragma GCC unroll 20
    SHA1_ROUNDS(60, 80, b ^ c ^ d, 0xca62c1d6)
    digest[0] = a + 0x67452301;
    digest[1] = b + 0xefcdab89;
    digest[2] = c + 0x98badcfe;
    digest[3] = d + 0x10325476;
    digest[4] = e + 0xc3d2e1f0;
}

#endif

/* `message` is `words` big-endian words that have already been turned into numbers. */
static inline void sha1(uint32_t digest[SHA1_WORDS], const uint32_t *message, size_t words)
{
    uint32_t block[16] = {0};
    memcpy(block, message, words * sizeof *block);
    block[words] = UINT32_C(0x80000000);
    block[15] = (uint32_t)(words * 32);
    sha1_block(digest, block);
}

#endif
