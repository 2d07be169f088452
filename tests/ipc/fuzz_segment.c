/* SPDX-License-Identifier: BSD-2-Clause */
/* fuzz_segment.c — libFuzzer over the bytes of a segment: attach, use, recover, in one process.
 *
 * An input is a kind and a list of edits to a good segment of that kind, eight bytes each at any
 * place, so that the fuzzer need not find out what a header looks like. There is one file for each
 * kind, since making and sealing one takes as long as using it. Built with clang, with
 * AddressSanitizer: see tests/CMakeLists.txt. */
#include "damage.h"

#define EDIT_BYTES 11 /* how, where, what */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t good[4][DAMAGE_BYTES_MAX], copy[DAMAGE_BYTES_MAX];
    static size_t sizes[4];
    static int files[4];
    if (size == 0)
        return 0;
    unsigned kind = data[0] % 4;
    if (sizes[kind] == 0) {
        sizes[kind] = good_segment(kind, good[kind]);
        files[kind] = sealed_file(sizes[kind]);
    }
    memcpy(copy, good[kind], sizes[kind]);
    int is_signed = data[0] & 4;
    for (size_t at = 1; at + EDIT_BYTES <= size; at += EDIT_BYTES) {
        size_t place = (size_t)(data[at + 1] | data[at + 2] << 8) * 8 % sizes[kind];
        uint64_t value, old;
        memcpy(&value, data + at + 3, 8);
        memcpy(&old, copy + place, 8);
        if (data[at] % 3 == 0) /* near what is there: positions and words that are almost right */
            value = old + (uint64_t)(int64_t)(int8_t)data[at + 3];
        memcpy(copy + place, &value, 8);
    }
    if (is_signed)
        sign_header(copy);
    else
        memcpy(copy, good[kind], 80);
    use_segment_in(files[kind], copy, sizes[kind]);
    return 0;
}
