/* SPDX-License-Identifier: Apache-2.0 */
/* Used by every library: branch hints, containers, assertions and references. No EAL, no I/O. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define mt_likely(x)   __builtin_expect(!!(x), 1)
#define mt_unlikely(x) __builtin_expect(!!(x), 0)

#define mt_container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define MT_ARRAY_LEN(a)			   (sizeof(a) / sizeof((a)[0]))
#define MT_MIN(a, b)			   ((a) < (b) ? (a) : (b))
#define MT_MAX(a, b)			   ((a) > (b) ? (a) : (b))

#define MT_CACHE_LINE	 64
#define mt_cache_aligned __attribute__((aligned(MT_CACHE_LINE)))
/* Keeps the slow variant of a fast path out of the fast path's instruction cache lines. */
#define mt_noinline	__attribute__((noinline, cold))
#define mt_inline	inline __attribute__((always_inline))
#define mt_printf(f, a) __attribute__((format(printf, f, a)))
#define mt_must_check	__attribute__((warn_unused_result))

/*
 * Only for our own invariants: no input from a network, a file or a peer may make an MT_ASSERT
 * fail. It stays on in release builds; it prints file, line and expression, then aborts.
 */
void mt_assert_failed(const char *file, int line, const char *expr) __attribute__((noreturn, cold));
#define MT_ASSERT(x)                                                                               \
	do {                                                                                       \
		if (mt_unlikely(!(x)))                                                             \
			mt_assert_failed(__FILE__, __LINE__, #x);                                  \
	} while (0)

/*
 * A long-lived object of another library: its index in a slab and its generation. A stale reference
 * is recognized (mt_slab_get() returns NULL), and state made of references can be moved to another
 * process. All zero is "none": generations start at 1.
 */
struct mt_ref {
	uint32_t idx;
	uint32_t gen;
};

#define MT_REF_NONE ((struct mt_ref){0, 0})

static inline bool mt_ref_is_none(struct mt_ref r)
{
	return r.gen == 0;
}

static inline bool mt_ref_eq(struct mt_ref a, struct mt_ref b)
{
	return a.idx == b.idx && a.gen == b.gen;
}

/* Bytes with another owner; not NUL-terminated. {NULL, 0} is empty. */
struct mt_slice {
	const uint8_t *p;
	uint32_t len;
};

bool mt_slice_eq_str(struct mt_slice s, const char *str);

/* Time is a parameter everywhere: unsigned nanoseconds of the monotonic (`now`) or wall clock. */
#define MT_USEC	 1000ull
#define MT_MSEC	 1000000ull
#define MT_SEC	 1000000000ull
#define MT_NEVER UINT64_MAX
