/* SPDX-License-Identifier: BSD-2-Clause */
/* sanitize.h — the explorer's: the sources are compiled as if for ThreadSanitizer, so that their
 * plain accesses are reported, but it is not there to be told of fibers. */
#ifndef WEFT_BASE_SANITIZE_H
#define WEFT_BASE_SANITIZE_H
#endif
