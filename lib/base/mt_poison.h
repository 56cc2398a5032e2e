/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ASan does not see inside mempools and slabs, because their memory is never returned to malloc.
 * These macros mark free objects for it; without ASan they cost nothing. MT_POISONS: whether they
 * have an effect.
 */
#pragma once

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define mt_poison(p, n)	  __asan_poison_memory_region((p), (n))
#define mt_unpoison(p, n) __asan_unpoison_memory_region((p), (n))
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#define mt_poison(p, n)	  __asan_poison_memory_region((p), (n))
#define mt_unpoison(p, n) __asan_unpoison_memory_region((p), (n))
#endif
#endif

#ifdef mt_poison
#define MT_POISONS 1
#else
#define MT_POISONS	  0
#define mt_poison(p, n)	  ((void)(p), (void)(n))
#define mt_unpoison(p, n) ((void)(p), (void)(n))
#endif
