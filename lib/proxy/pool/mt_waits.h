/* SPDX-License-Identifier: Apache-2.0 */
/*
 * waits.c, turn.c: memory that waiting calls and held replies are charged for, and the order of a
 * client's replies. Included by mt_pool_priv.h.
 */
#pragma once

#include "pool/mt_reading.h"

/* Truesize of the retained request and the kept changes of an exchange. */
static inline uint32_t mt_side_truesize(const struct mt_exchange_side *side)
{
	return side->retained.truesize + side->overlay.truesize + side->decision.truesize;
}

/*
 * Truesize of what a waiting call holds: its request; its reply, if this waits at a filter; its
 * kept metadata changes, unless they count with its retained request.
 */
static inline uint32_t mt_exchange_truesize(const struct mt_proxy *p, const struct mt_exchange *ex)
{
	uint32_t n = ex->req.truesize;

	if (mt_unlikely(ex->state == MT_EX_FILTERING))
		n += ex->rsp.truesize;
	if (mt_unlikely(ex->changes_kept && !ex->retained))
		n += mt_side_truesize(mt_exchange_side(p, ex));
	return n;
}

/*
 * Call when fewer bytes of the client's calls wait. If these bytes had paused its requests, queues
 * the client connection to be decoded.
 */
static inline void mt_down_waits_for_less(struct mt_proxy *p, struct mt_down *d)
{
	if (mt_unlikely(d->paused_by_bytes) && d->s)
		mt_reading_again(p, &d->reading);
}

/*
 * Charges what a waiting call holds (mt_exchange_truesize()) to its client; a mirrored copy: to the
 * worker. Call again when this has changed.
 */
void mt_exchange_waits(struct mt_proxy *p, struct mt_exchange *ex);
/* The call no longer waits, because it is sent or ends: its client is no longer charged. */
void mt_exchange_waits_no_more(struct mt_proxy *p, struct mt_exchange *ex);

/* Adds to the truesize of held replies; `more` may be negative. */
static inline void mt_down_held(struct mt_down *d, int64_t more)
{
	d->held += more;
	if (more && mt_likely(d->s))
		mt_stream_touch(d->s);
}

/* ---- turn.c: replies of a client in turn ---- */

/*
 * Returns the client's first call that is not one-way; NULL if all are. Many one-way calls may wait
 * for their acknowledgement, so the search skips each of them only once.
 */
struct mt_exchange *mt_reply_first(struct mt_down *d);
/* True if no earlier call of the client waits for a reply. */
bool mt_reply_is_first(struct mt_down *d, const struct mt_exchange *ex);
/*
 * True if `len` bytes of the call's reply may be sent now. The reply must be next in turn, no part
 * of it may wait, and the client's send queue must have room unless `len` is 0. Otherwise call
 * mt_reply_wait(), so that the exchange is resumed.
 */
bool mt_reply_may_go(struct mt_down *d, const struct mt_exchange *ex, uint32_t len);
/* READY, REPLYING: adds the exchange to mt_down.waiting, unless it is in a list already. */
void mt_reply_wait(struct mt_down *d, struct mt_exchange *ex);
