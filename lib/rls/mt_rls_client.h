/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rate limit service as a protocol of lib/callout: mt_rls_new() starts the thread, and its
 * slots are mt_rls_slot. A worker encodes a query (mt_rls_pack()), takes a free slot
 * (mt_rls_slot()), puts the query into it (mt_rls_put()), hands it over (mt_rls_ask()), and gets it
 * back with a verdict (mt_rls_take()). The worker owns its memory: it looks into it before it takes
 * a slot (mt_rls_over_any()), fills it from the answer (mt_rls_over_keep()), and counts the
 * results.
 */
#pragma once

#include "mt_callout.h"
#include "mt_rls.h"

#define MT_RLS_QUERY 8192 /* bytes of an encoded query */

enum mt_rls_verdict {
	MT_RLS_WITHIN,
	MT_RLS_OVER,
	MT_RLS_UNJUDGED, /* no answer; the limit's fail_open applies */
	/*
	 * The call's own timeout ended first. The call ends by it even with fail_open, because
	 * callers choose that timeout.
	 */
	MT_RLS_EXPIRED,
};

struct mt_rls_slot {
	struct mt_callout_slot callout;
	/* The query. */
	uint32_t len;
	struct mt_rls_keys keys;
	uint8_t query[MT_RLS_QUERY];
	/* Its answer. */
	enum mt_rls_verdict verdict;
	struct mt_rls_answer answer; /* of WITHIN and OVER */
};

extern const struct mt_callout_kind mt_rls_kind;

/* The thread, by mt_callout_init(). NULL with *e set. */
struct mt_callout *mt_rls_new(uint32_t n_workers, struct mt_err *e);
/* Call after the workers have ended. NULL is allowed. */
void mt_rls_free(struct mt_callout *x);

/* A free slot; NULL if none is free. mt_callout_give_back() frees it. */
struct mt_rls_slot *mt_rls_slot(struct mt_callout_lane *l);
/* Copies a query of mt_rls_pack(), of MT_RLS_QUERY bytes at most, and its keys. */
void mt_rls_put(
	struct mt_rls_slot *s, const uint8_t *query, size_t len, const struct mt_rls_keys *keys);
/* Hands the filled slot to the thread; see mt_callout_ask(). */
void mt_rls_ask(struct mt_rls_slot *s, struct mt_callout_provider *p, uint64_t timeout);
/* The next answered slot; NULL if there is none. */
struct mt_rls_slot *mt_rls_take(struct mt_callout_lane *l);
