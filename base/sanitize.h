/* SPDX-License-Identifier: BSD-2-Clause */
/* sanitize.h — which sanitizers this file is compiled under; gcc and clang say it differently. */
#ifndef WEFT_BASE_SANITIZE_H
#define WEFT_BASE_SANITIZE_H

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEFT__ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define WEFT__TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WEFT__ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define WEFT__TSAN 1
#endif

#endif
