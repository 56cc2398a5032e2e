/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/base: types and data structures of every library. It uses no EAL and no other library; only
 * the log and files of the control thread do I/O. Each header is independent; this one has branch
 * hints, MT_ASSERT, references, slices and time units.
 *
 *     mt_addr.h     addresses (IPv4 as IPv4-mapped IPv6), tuples, prefixes, their texts
 *     mt_sockaddr.h addresses to and from struct sockaddr
 *     mt_list.h     intrusive list
 *     mt_slab.h     objects of one size, found by index and generation; they never move
 *     mt_table.h    the hot hash table: buckets of one cache line, grows by one bucket
 *     mt_wheel.h    timer wheel, 1 ms ticks
 *     mt_rand.h     xoshiro256** with explicit state; secrets from the kernel at boot
 *     mt_siphash.h  keyed hash for input that an attacker may choose
 *     mt_secret_hash.h  keyed hash that decides alone if two things are the same
 *     mt_outcome.h  outcome rows and per-worker counters
 *     mt_hist.h     log-linear histograms
 *     mt_poison.h   marks for ASan
 *     mt_mutant.h   places of deliberate bugs, compiled in for the simulator only
 *
 * For the control thread only:
 *
 *     mt_log.h      log: levels by module (log_modules.def), rate limits; struct mt_err
 *     mt_region.h   objects that are freed together
 *     mt_strmap.h, mt_idmap.h   maps with text and with numeric keys
 *     mt_sort.h     sort for arrays that are nearly in order
 *     mt_accept.h   kernel listeners, also when descriptors run out
 *     mt_file.h     files that are read whole and replaced atomically
 *     mt_heap.h     thousands of small objects in pages that return to the system
 *
 * Invariants:
 * - MT_ASSERT is only for Meltemi's own invariants. Input from a wire, a file or a peer must never
 *   make one fail.
 * - Time is a parameter in unsigned nanoseconds. Only the log reads a clock, to print the time.
 * - A reference is {index, generation}; mt_slab_get() returns NULL for a stale one. Generations of
 *   live objects are odd, so {0, 0} is never a live object.
 * - A counter has one writer; readers use mt_count_read().
 * - A log line is one write(2) of at most 4,352 bytes, and valid key=value or JSON whatever its
 *   text contains. A call site (identified by its format) may log a burst of 100 lines, then 10 a
 *   second. Suppressed lines are counted, and the count is logged when the site may log again. The
 *   log uses no heap and no lock.
 * - MT_MIN and MT_MAX evaluate their arguments twice: no calls as arguments.
 * - Control functions return 0 or a negative errno, counts are >= 0, data-path functions return an
 *   outcome enum.
 */
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
