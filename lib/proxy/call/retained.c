/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Retained requests: bytes of a request that are kept apart from those that are sent, because ids
 * and the changes of an endpoint's policies are written in place, and TCP frees what is
 * acknowledged. They have the changes of filters and route. A call keeps them for further attempts
 * (again.c); a mirrored copy gets such bytes as its own (mirror.c).
 * - Only complete requests of at most 64 KiB are retained.
 * - Short ones are in mt_exchange_side, which has room for them. Buffers of longer ones are charged
 *   to the client (MT_CLASS_RETAINED), those of copies that wait for a connection as a sum. If
 *   memory is short, or the class has used up its share, nothing is retained.
 * - Requests above 1,400 B share the buffers of the request that is sent, which are not written any
 *   more then: a changed id or prefix is in a copy of the first bytes. Each of them is charged the
 *   whole buffers. Requests with mostly empty buffers are copied, so that they pin less.
 */
#include "mt_mutant.h"
#include "call/mt_call_priv.h"

#include <string.h>

/* Longer requests are not retained. */
#define LONGEST 65536u
/* Up to this length a copy costs no more than a clone (docs/design.md, section 4). */
#define SHARE_FROM 1400u
/* Below this share of free data mbufs none is retained; calls are refused below 20 %. */
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

static void charge(struct mt_down *d, int64_t more)
{
	d->retained = (uint32_t)(d->retained + more);
	if (mt_likely(d->s))
		mt_stream_touch(d->s);
}

/* Keeps the request in buffers of its own, or shares those that are sent. */
static mt_noinline bool keep_long(
	struct mt_proxy *p, const struct mt_exchange *ex, struct mt_chain *to)
{
	if (!mt_retained_has_room(p) || mt_retained_copy(p, &ex->req, to))
		return false;
	charge(mt_exchange_down(p, ex), to->truesize);
	return true;
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

/* Only buffers have to be freed at the end of the call (mt_exchange.side). */
bool mt_retained_keep(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_exchange_side *side = mt_exchange_side(p, ex);

	if (!mt_retained_fits(ex))
		return false;
	if (mt_likely(ex->req.len <= sizeof(side->bytes))) {
		keep_here(ex, side);
	} else {
		side->n_bytes = 0;
		if (!keep_long(p, ex, &side->retained))
			return false;
		ex->side = true;
	}
	side->msg = ex->msg;
	ex->retained = true;
	return true;
}

void mt_retained_drop(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_chain *c = &mt_exchange_side(p, ex)->retained;
	struct mt_down *d;

	ex->retained = false;
	if (mt_likely(c->len == 0))
		return;
	d = mt_exchange_down(p, ex);
	if (d && ex->state == MT_EX_BACKOFF)
		mt_down_backs_off_less(p, d, c->truesize);
	if (d)
		charge(d, -(int64_t)c->truesize);
	if (mt_mutant(MT_MUTANT_retained_leaked))
		*c = (struct mt_chain){0};
	mt_chain_free(c);
}

int mt_retained_restore(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_exchange_side *side = mt_exchange_side(p, ex);

	/* The endpoint's policies decide again, because these bytes are without their changes. */
	ex->asked = 0;
	if (ex->token)
		mt_tokens_drop(p, ex);
	ex->msg = side->msg;
	if (side->n_bytes)
		return mt_chain_write(&ex->req, p->pools, side->bytes, side->n_bytes);
	return mt_retained_copy(p, &side->retained, &ex->req);
}
