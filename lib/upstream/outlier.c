/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Passive failure handling. `recent` holds the times of the last two failures in one word, so that
 * "three within 10 s" is exact over all workers with one compare-and-swap and no lock.
 */
#include "mt_upstream.h"

#define WINDOW_MS     10000u
#define ASIDE_FIRST   (5 * MT_SEC)
#define ASIDE_LONGEST (60 * MT_SEC)
#define FORGET	      (60 * MT_SEC)

/* Milliseconds modulo 2^32; 0 means "no failure", so one tick in 2^32 is a millisecond late. */
static uint32_t stamp(uint64_t now)
{
	uint32_t ms = (uint32_t)(now / MT_MSEC);

	return ms ? ms : 1;
}

static uint64_t time_aside(uint32_t ejections)
{
	uint64_t t = ASIDE_FIRST;

	for (; ejections > 0 && t < ASIDE_LONGEST; ejections--)
		t *= 2;
	return MT_MIN(t, ASIDE_LONGEST);
}

static bool eject(struct mt_ep_state *e, uint64_t now)
{
	uint64_t until = __atomic_load_n(&e->ejected_until, __ATOMIC_RELAXED);
	uint32_t n = __atomic_load_n(&e->ejections, __ATOMIC_RELAXED);

	if (until && now < until)
		return false;
	if (until && now - until > FORGET)
		n = 0;
	/* Who changes `until` has put it aside; others that saw the same failures find it done. */
	if (!__atomic_compare_exchange_n(&e->ejected_until, &until, now + time_aside(n), false,
		    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&e->ejections, n + 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&e->ejected_total, 1, __ATOMIC_RELAXED);
	return true;
}

bool mt_ep_failed(struct mt_ep_state *e, uint64_t now)
{
	uint64_t seen = __atomic_load_n(&e->recent, __ATOMIC_RELAXED);
	uint32_t ms = stamp(now);

	if (mt_ep_ejected(e, now))
		return false;
	for (;;) {
		uint32_t before_last = (uint32_t)(seen >> 32), last = (uint32_t)seen;
		bool third = before_last && ms - before_last <= WINDOW_MS;
		uint64_t next = third ? 0 : (uint64_t)last << 32 | ms;

		if (__atomic_compare_exchange_n(
			    &e->recent, &seen, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return third && eject(e, now);
	}
}

void mt_ep_leaving(struct mt_ep_state *e, uint64_t now)
{
	__atomic_store_n(&e->leaving_until, now + ASIDE_FIRST, __ATOMIC_RELAXED);
}

void mt_ep_stays(struct mt_ep_state *e, uint64_t now)
{
	if (mt_ep_is_leaving(e, now))
		__atomic_store_n(&e->leaving_until, 0, __ATOMIC_RELAXED);
}
