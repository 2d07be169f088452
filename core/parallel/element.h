/* SPDX-License-Identifier: BSD-2-Clause */
/* element.h — values whose size is known only at run time: copying and placing them.
 *
 * A value in a frame gets cache lines of its own. A thief folds into a value that lies in its
 * victim's frame, while the victim works on the words beside it; sharing the line would slow both
 * down on every update. Sixty-four bytes are also an alignment that suits every type. */
#ifndef WEFT_CORE_PARALLEL_ELEMENT_H
#define WEFT_CORE_PARALLEL_ELEMENT_H

#include <stdint.h>
#include <string.h>

#include <weft/base.h>

#define WEFT__LINE ((size_t)64)

/* Room for a value in the calling function's frame, until that function returns. A macro, because
 * the frame must be the caller's; never used in a loop, and `bytes` is at most
 * WEFT_REDUCE_BYTES_MAX. Rejected: a fixed array of that size, which would cost 4 KiB of stack a
 * level even for a sum of doubles. */
#define WEFT__IN_FRAME(bytes)                                                                      \
    __builtin_alloca_with_align(((bytes) + WEFT__LINE - 1) & ~(WEFT__LINE - 1), 8 * WEFT__LINE)

/* Copy one element. The common sizes become plain moves; the test costs less than a call of
 * memcpy with an unknown size. */
WEFT__INLINE void weft__element_copy(void *target, const void *source, size_t bytes)
{
    switch (bytes) {
    case 4:
        memcpy(target, source, 4);
        break;
    case 8:
        memcpy(target, source, 8);
        break;
    case 16:
        memcpy(target, source, 16);
        break;
    default:
        memcpy(target, source, bytes);
        break;
    }
}

/* The first address from `room` on that is aligned as `like` is, up to a cache line. It lies less
 * than WEFT__LINE bytes on; elements kept there are aligned as they are in the user's array. */
static inline char *weft__element_align(char *room, const void *like)
{
    return room + (((uintptr_t)like - (uintptr_t)room) & (WEFT__LINE - 1));
}

#endif
