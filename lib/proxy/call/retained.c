/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retained requests: bytes of a request as the client sent it, kept apart from the bytes that are
 * sent, because ids and changes are written in place, and TCP frees acknowledged bytes. A call
 * retains its request for further attempts if its route has a retry policy (again.c), or if
 * endpoints' policies may change the request (changes.c). Each further attempt begins with the
 * retained bytes, to which the changes of filters and route (overlay.c) and those of its own
 * endpoint are made. A mirrored copy gets bytes of its own in the same way, with the changes of
 * filters and route (mirror.c).
 * - Only complete requests of at most 64 KiB are retained.
 * - Short requests are in mt_exchange_side, which has room for them. Buffers of longer requests and
 *   of kept changes are charged to the client (MT_CLASS_RETAINED); buffers of mirrored copies that
 *   wait for a connection are charged as one sum. If memory is short, or the class has used up its
 *   share, no request that needs such buffers is retained.
 * - A retained request above 1,400 B shares the buffers of the request that is sent. Shared buffers
 *   are not written: a changed id or prefix is in a copy of the first bytes. Each of the two
 *   requests is charged the whole buffers. Requests with mostly empty buffers are copied, so that
 *   less memory is pinned.
 */
#include "mt_mutant.h"
#include "call/mt_call_priv.h"

#include <string.h>

/* Longer requests are not retained. */
#define LONGEST 65536u
/* Up to this length a copy costs no more than a clone (docs/design.md, section 4). */
#define SHARE_FROM 1400u
/*
 * Below this share of free data mbufs no request that needs buffers is retained; calls are refused
 * below 20 %.
 */
#define RETAIN_ABOVE_PCT 30

bool mt_retained_fits(const struct mt_exchange *ex)
{
	return !ex->in_message && ex->req.len <= LONGEST;
}

bool mt_retained_has_room(const struct mt_proxy *p)
{
	return p->free_pct >= RETAIN_ABOVE_PCT &&
	       !(p->ledger && mt_ledger_full(p->ledger, MT_CLASS_RETAINED));
}

/* True if a clone is cheaper than a copy, and at most half of the headers' pool is in use. */
static bool is_shared(const struct mt_pools *b, const struct mt_chain *c)
{
	return c->len > SHARE_FROM && c->truesize / MT_COMPACT_RATIO <= c->len &&
	       b->ctrl_free >= b->ctrl_total / 2;
}

int mt_retained_copy(struct mt_proxy *p, const struct mt_chain *from, struct mt_chain *to)
{
	if (is_shared(p->pools, from))
		return mt_chain_clone(from, from->len, to, p->pools);
	return mt_chain_copy(from, 0, from->len, to, p->pools);
}

/* Keeps the request in buffers of its own, or shares the buffers of the request that is sent. */
static mt_noinline bool keep_long(
	struct mt_proxy *p, const struct mt_exchange *ex, struct mt_chain *to)
{
	return mt_retained_has_room(p) && mt_retained_copy(p, &ex->req, to) == 0;
}

/* Keeps the bytes of a short request. */
static void keep_here(const struct mt_exchange *ex, struct mt_exchange_side *side)
{
	const struct rte_mbuf *m = ex->req.head;

	side->n_bytes = (uint16_t)ex->req.len;
	if (mt_likely(mt_link(m)->len >= side->n_bytes))
		memcpy(side->bytes, mt_link_data(m), side->n_bytes);
	else
		mt_chain_read(&ex->req, 0, side->bytes, side->n_bytes);
}

/*
 * Keeps the request. Bytes kept in the side object are free; only buffers are limited, charged, and
 * freed at the end of the call (mt_exchange.side).
 */
bool mt_retained_keep(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_exchange_side *side = mt_exchange_side(p, ex);

	if (!mt_retained_fits(ex))
		return false;
	if (mt_likely(ex->req.len <= sizeof(side->bytes))) {
		/* Kept changes need buffers, even if the request does not. */
		if (mt_unlikely(ex->changes_kept) && !mt_retained_has_room(p))
			return false;
		keep_here(ex, side);
	} else {
		side->n_bytes = 0;
		if (!keep_long(p, ex, &side->retained))
			return false;
		ex->side = true;
	}
	side->msg = ex->msg;
	ex->retained = true;
	if (mt_unlikely(ex->side))
		mt_retained_charge(p, ex, mt_side_truesize(side));
	return true;
}

/* True if the exchange waits, and will need its kept changes after the wait. */
static bool waits_for_changes(const struct mt_exchange *ex)
{
	return ex->pending && ex->state <= MT_EX_SUSPENDED;
}

static mt_noinline void drop_chains(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_exchange_side *side = mt_exchange_side(p, ex);
	uint32_t truesize = mt_side_truesize(side);
	struct mt_down *d = mt_exchange_down(p, ex);

	if (d && ex->state == MT_EX_BACKOFF)
		mt_down_backs_off_less(p, d, truesize);
	mt_retained_charge(p, ex, -(int64_t)truesize);
	if (mt_mutant(MT_MUTANT_retained_leaked))
		side->retained = (struct mt_chain){0};
	mt_chain_free(&side->retained);
	if (!ex->changes_kept)
		return;
	if (waits_for_changes(ex))
		mt_exchange_waits(p, ex);
	else
		mt_overlay_drop(p, ex);
}

void mt_retained_drop(struct mt_proxy *p, struct mt_exchange *ex)
{
	ex->retained = ex->armed = false;
	if (mt_unlikely(mt_exchange_side(p, ex)->retained.len || ex->changes_kept))
		drop_chains(p, ex);
}

int mt_retained_restore(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_exchange_side *side = mt_exchange_side(p, ex);

	mt_chain_free(&ex->req);
	ex->layered = false;
	if (!mt_mutant(MT_MUTANT_message_kept))
		ex->msg = side->msg;
	if (side->n_bytes)
		return mt_chain_write(&ex->req, p->pools, side->bytes, side->n_bytes);
	return mt_retained_copy(p, &side->retained, &ex->req);
}
