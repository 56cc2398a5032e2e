/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Outlier detection (passive health checks). `recent` is one word, so that one compare-and-swap
 * without a lock counts exactly over all workers. By default it holds the times of the last two
 * failures, for "three within 10 s". If the rule counts failures in a row, it holds a flag and the
 * counts. A change between these two kinds of rule starts over. `timeouts` holds how many calls
 * timed out in a row and when the first did; `given_up` the same of calls that clients gave up.
 *
 * An ejected endpoint returns when it has replied after a trial call was sent, or has answered a
 * health check. The worker whose compare-and-swap moves `ejected_until` is the one that ejected the
 * endpoint or sends the trial call; the one that moves `back` from MT_EP_BACK_TRYING returns it.
 */
#include "mt_upstream_priv.h"

#define WINDOW_MS     10000u
#define ASIDE_FIRST   (5 * MT_SEC)
#define ASIDE_LONGEST (60 * MT_SEC)
#define FORGET	      (60 * MT_SEC)
#define STAMP_MASK    0x7fffffffu
#define COUNTED	      (1ull << 63)
/* With the flag COUNTED: failures in a row in the low bits, failures and errors above them. */
#define COUNT_BITS 31
#define COUNT_MASK ((1ull << COUNT_BITS) - 1)

/*
 * mt_ep_state.timeouts: the number in the low bits, above it the time of the first in ms mod 2^29.
 */
#define TIMEOUTS     5u
#define TIMEOUT_BITS 3
#define TIMEOUT_MASK ((1u << TIMEOUT_BITS) - 1)
#define TIMEOUTS_MS  1000u /* shortest time from the first to the last */

/*
 * mt_ep_state.given_up: the number in the low bits, then GIVEN_BY_TWO, the time of the first in ms
 * mod 2^28, and the client of the first in the upper half.
 */
#define GIVEN_UP      5u
#define GIVEN_MASK    7u
#define GIVEN_BY_TWO  8u
#define GIVEN_MS_AT   4
#define GIVEN_MS_MASK ((1u << 28) - 1)

enum sort { FAILURE, ERROR };

/* Milliseconds modulo 2^31. 0 means "no failure", so one tick in 2^31 is recorded 1 ms late. */
static uint32_t stamp(uint64_t now)
{
	uint32_t ms = (uint32_t)(now / MT_MSEC) & STAMP_MASK;

	return ms ? ms : 1;
}

static uint64_t time_aside(const struct mt_outlier_rule *rule, uint32_t ejections)
{
	uint64_t t = ASIDE_FIRST;

	if (rule->failures)
		return MT_MIN(rule->base_ms * (ejections + 1ull), rule->max_ms) * MT_MSEC;
	for (; ejections > 0 && t < ASIDE_LONGEST; ejections--)
		t *= 2;
	return MT_MIN(t, ASIDE_LONGEST);
}

/*
 * Moves ejected_until from `from` to the end of the next ejection, which follows n ejections in a
 * row. False if another worker moved it first.
 */
static bool move_until(struct mt_ep_state *e, uint64_t from, uint8_t n,
	const struct mt_outlier_rule *rule, uint64_t now)
{
	if (!__atomic_compare_exchange_n(&e->ejected_until, &from, now + time_aside(rule, n), false,
		    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&e->ejections, n < UINT8_MAX ? (uint8_t)(n + 1) : n, __ATOMIC_RELAXED);
	return true;
}

/*
 * True if one more endpoint may be ejected. The limit is a percentage of the endpoints that can get
 * calls. Other workers may find so at the same time, and each may then exceed the limit by one.
 */
static bool has_room(const struct mt_outlier_rule *rule, uint64_t now)
{
	const struct mt_cluster *c = mt_container_of(rule, struct mt_cluster, outlier);
	uint64_t aside = 0, n = 0;

	for (uint32_t i = 0; i < c->n_eps; i++) {
		if (mt_cluster_skips(c, i))
			continue;
		aside += mt_ep_ejected(c->eps[i].state, now);
		n++;
	}
	return aside == 0 || (aside + 1) * 100 <= rule->most * n;
}

static bool eject(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now)
{
	uint64_t until = __atomic_load_n(&e->ejected_until, __ATOMIC_RELAXED);
	uint8_t n = __atomic_load_n(&e->ejections, __ATOMIC_RELAXED);

	if ((until && now < until) || (rule->most && !has_room(rule, now)))
		return false;
	if (until && now - until > FORGET)
		n = 0;
	/* The worker that moves `until` ejects; others that counted the same failures do not. */
	if (!move_until(e, until, n, rule, now))
		return false;
	__atomic_store_n(&e->recent, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&e->timeouts, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&e->given_up, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&e->back, MT_EP_BACK_TRIAL, __ATOMIC_RELAXED);
	if (__atomic_load_n(&e->ejected_total, __ATOMIC_RELAXED) < UINT16_MAX)
		__atomic_fetch_add(&e->ejected_total, 1, __ATOMIC_RELAXED);
	return true;
}

/* The next value of `recent`. Sets *enough if this failure ejects. */
static uint64_t after(uint64_t seen, const struct mt_outlier_rule *rule, enum sort sort,
	uint32_t ms, bool *enough)
{
	uint32_t before_last, last;

	if (rule->failures) {
		uint64_t n = seen & COUNTED ? seen & COUNT_MASK : 0;
		uint64_t all = seen & COUNTED ? seen >> COUNT_BITS & COUNT_MASK : 0;

		n = sort == FAILURE ? n + 1 : 0;
		all++;
		*enough = n >= rule->failures || (rule->errors && all >= rule->errors);
		return *enough ? 0 : COUNTED | (all & COUNT_MASK) << COUNT_BITS | n;
	}
	if (seen & COUNTED)
		seen = 0;
	before_last = (uint32_t)(seen >> 32);
	last = (uint32_t)seen;
	*enough = before_last && ((ms - before_last) & STAMP_MASK) <= WINDOW_MS;
	return *enough ? 0 : (uint64_t)last << 32 | ms;
}

static const struct mt_outlier_rule usual;

static bool count(
	struct mt_ep_state *e, const struct mt_outlier_rule *rule, enum sort sort, uint64_t now)
{
	uint64_t seen = __atomic_load_n(&e->recent, __ATOMIC_RELAXED);
	uint32_t ms = stamp(now);
	bool enough;

	if (mt_ep_ejected(e, now))
		return false;
	for (;;) {
		uint64_t next = after(seen, rule, sort, ms, &enough);

		if (__atomic_compare_exchange_n(
			    &e->recent, &seen, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return enough && eject(e, rule, now);
	}
}

bool mt_ep_failed_by(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now)
{
	return count(e, rule ? rule : &usual, FAILURE, now);
}

bool mt_ep_failed(struct mt_ep_state *e, uint64_t now)
{
	return mt_ep_failed_by(e, NULL, now);
}

bool mt_ep_erred_by(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now)
{
	mt_ep_replied(e);
	if (rule && rule->failures && rule->errors)
		return count(e, rule, ERROR, now);
	mt_ep_succeeded(e);
	return false;
}

bool mt_ep_timed_out(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now)
{
	uint32_t seen = __atomic_load_n(&e->timeouts, __ATOMIC_RELAXED), n, first, next;
	uint32_t mask = UINT32_MAX >> TIMEOUT_BITS, ms = (uint32_t)(now / MT_MSEC);

	rule = rule ? rule : &usual;
	if (rule->failures)
		return count(e, rule, FAILURE, now);
	if (mt_ep_ejected(e, now))
		return false;
	do {
		n = seen & TIMEOUT_MASK;
		first = n ? seen >> TIMEOUT_BITS : ms & mask;
		n = MT_MIN(n + 1, TIMEOUTS);
		next = first << TIMEOUT_BITS | n;
	} while (!__atomic_compare_exchange_n(
		&e->timeouts, &seen, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	/* Not within 1 s: calls sent at the same time may all time out for the same reason. */
	return n >= TIMEOUTS && ((ms - first) & mask) >= TIMEOUTS_MS && eject(e, rule, now);
}

static bool is_evidence(uint64_t given_up)
{
	return (given_up & GIVEN_MASK) >= GIVEN_UP && given_up & GIVEN_BY_TWO;
}

/* The next value of `given_up`. */
static uint64_t given_up_by(uint64_t seen, uint32_t client, uint32_t ms)
{
	uint64_t n = seen & GIVEN_MASK;

	if (!n)
		return (uint64_t)client << 32 | (uint64_t)(ms & GIVEN_MS_MASK) << GIVEN_MS_AT | 1;
	if (seen >> 32 != client)
		seen |= GIVEN_BY_TWO;
	return n < GIVEN_UP ? seen + 1 : seen;
}

bool mt_ep_given_up(
	struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint32_t client, uint64_t now)
{
	uint64_t seen = __atomic_load_n(&e->given_up, __ATOMIC_RELAXED), next;
	uint32_t ms = (uint32_t)(now / MT_MSEC), first;

	rule = rule ? rule : &usual;
	if (mt_ep_ejected(e, now))
		return false;
	do
		next = given_up_by(seen, client, ms);
	while (!__atomic_compare_exchange_n(
		&e->given_up, &seen, next, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	first = (uint32_t)(next >> GIVEN_MS_AT) & GIVEN_MS_MASK;
	/* Not within 1 s: the calls of two clients that end together are one moment. */
	if (!is_evidence(next) || ((ms - first) & GIVEN_MS_MASK) < TIMEOUTS_MS)
		return false;
	return rule->failures ? count(e, rule, FAILURE, now) : eject(e, rule, now);
}

bool mt_ep_silent(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now)
{
	return !mt_ep_ejected(e, now) && eject(e, rule ? rule : &usual, now);
}

void mt_ep_unhealthy(struct mt_ep_state *e, uint64_t now)
{
	uint8_t n = __atomic_load_n(&e->ejections, __ATOMIC_RELAXED);

	__atomic_store_n(&e->ejections, n < UINT8_MAX ? (uint8_t)(n + 1) : n, __ATOMIC_RELAXED);
	if (__atomic_load_n(&e->ejected_total, __ATOMIC_RELAXED) < UINT16_MAX)
		__atomic_fetch_add(&e->ejected_total, 1, __ATOMIC_RELAXED);
	__atomic_store_n(&e->ejected_until, now, __ATOMIC_RELAXED);
	__atomic_store_n(&e->back, MT_EP_BACK_ASKED, __ATOMIC_RELAXED);
}

void mt_ep_ask(struct mt_ep_state *e)
{
	__atomic_store_n(&e->back, MT_EP_BACK_ASKED, __ATOMIC_RELAXED);
}

void mt_ep_ask_no_more(struct mt_ep_state *e)
{
	uint8_t asked = MT_EP_BACK_ASKED;

	(void)__atomic_compare_exchange_n(
		&e->back, &asked, MT_EP_BACK_TRIAL, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}

void mt_ep_talk(struct mt_ep_state *e, uint16_t way)
{
	if (mt_ep_talks(e, way))
		return;
	/*
	 * Set this first: failures of connections made in the old way, which workers may report
	 * meanwhile, then do not count.
	 */
	__atomic_store_n(&e->way, way, __ATOMIC_SEQ_CST);
	__atomic_store_n(&e->recent, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&e->timeouts, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&e->given_up, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&e->ejections, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&e->back, MT_EP_BACK_NOW, __ATOMIC_RELAXED);
	__atomic_store_n(&e->ejected_until, 0, __ATOMIC_RELAXED);
}

void mt_ep_returned(struct mt_ep_state *e, uint64_t now)
{
	/* In this order: mt_ep_claim() of another worker may move the time until it sees `back`. */
	__atomic_store_n(&e->back, MT_EP_BACK_NOW, __ATOMIC_SEQ_CST);
	__atomic_store_n(&e->ejected_until, now, __ATOMIC_SEQ_CST);
	mt_ep_succeeded(e);
}

bool mt_ep_trial_over(struct mt_ep_state *e, uint64_t now)
{
	uint8_t trying = MT_EP_BACK_TRYING;

	if (!__atomic_compare_exchange_n(
		    &e->back, &trying, MT_EP_BACK_NOW, false, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return false;
	__atomic_store_n(&e->ejected_until, now, __ATOMIC_SEQ_CST);
	mt_ep_succeeded(e);
	return true;
}

bool mt_ep_claim(struct mt_ep_state *e, const struct mt_outlier_rule *rule, uint64_t now)
{
	uint64_t until = __atomic_load_n(&e->ejected_until, __ATOMIC_RELAXED);
	uint8_t n = __atomic_load_n(&e->ejections, __ATOMIC_RELAXED), back = MT_EP_BACK_TRIAL;

	if (now < until || !move_until(e, until, n, rule ? rule : &usual, now))
		return false;
	if (__atomic_compare_exchange_n(&e->back, &back, MT_EP_BACK_TRYING, false, __ATOMIC_SEQ_CST,
		    __ATOMIC_SEQ_CST) ||
		back != MT_EP_BACK_NOW)
		return true;
	/* Another worker has returned it since mt_ep_try() looked. */
	__atomic_store_n(&e->ejected_until, now, __ATOMIC_RELAXED);
	return false;
}

void mt_ep_leaving(struct mt_ep_state *e, uint64_t now)
{
	uint32_t until = (uint32_t)(now / MT_MSEC) + MT_EP_LEAVING_MS;

	/* 0 means "never", so one tick in 2^32 is recorded 1 ms late. */
	__atomic_store_n(&e->leaving_until, until ? until : 1, __ATOMIC_RELAXED);
}

void mt_ep_stays(struct mt_ep_state *e, uint64_t now)
{
	if (mt_ep_is_leaving(e, now))
		__atomic_store_n(&e->leaving_until, 0, __ATOMIC_RELAXED);
}
