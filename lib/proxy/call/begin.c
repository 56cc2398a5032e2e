/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the exchange of a decoded request: takes its bytes out of the receive chain, refuses it
 * when memory is short, and starts the run of the call.
 */
#include "call/mt_call_priv.h"

/* Below this share of free data mbufs new calls get a local reply (docs/design.md, section 4). */
#define REFUSE_BELOW_PCT 20

/*
 * Moves the bytes of the message that have come to the exchange. On -ENOMEM the exchange may have a
 * part of them; the others are dropped.
 */
static int take_bytes(struct mt_proxy *p, struct mt_down *d, struct mt_exchange *ex)
{
	uint32_t have = MT_MIN(d->s->rx.len, ex->msg.len);
	uint32_t left = ex->msg.len - have;
	int rc = mt_chain_split(&d->s->rx, have, &ex->req, p->pools);

	if (mt_unlikely(rc))
		mt_chain_drop(&d->s->rx, have - ex->req.len);
	ex->in_message = left > 0;
	ex->req_left = left;
	if (left > 0)
		d->cur = ex->self;
	return rc;
}

/*
 * The lane of a call that is not short, or whose client's last calls had long replies. Short
 * messages on the same connection would be delayed until the windows have admitted the long request
 * or reply. (A long message that is not complete exceeds shared_max.)
 */
static mt_noinline enum mt_up_role lane_apart(
	struct mt_proxy *p, struct mt_down *d, const struct mt_exchange *ex)
{
	/* Calls of a client with own_lane use bulk lanes until it has read most of its replies. */
	if (d->own_lane && d->s->tx_queued + d->held <= p->conf.reply_soft / 2)
		d->own_lane = false;
	if (ex->msg.len > p->conf.shared_max || d->own_lane)
		return MT_UP_BULK;
	if (d->apart)
		d->apart--;
	return ex->msg.len > p->conf.wide_from || d->apart ? MT_UP_WIDE : MT_UP_SHARED;
}

bool mt_call_begin(struct mt_proxy *p, struct mt_down *d, bool complete)
{
	struct mt_exchange *ex = mt_exchange_new(p, d);
	int rc;

	if (mt_unlikely(!ex))
		return false;
	ex->msg = d->msg;
	ex->oneway = d->msg.kind == MT_MSG_ONEWAY;
	if (mt_unlikely(ex->msg.len > p->conf.wide_from || d->apart))
		ex->attempt.lane = (uint8_t)lane_apart(p, d, ex);
	ex->codec->correlate.save(ex->codec, &ex->msg, &d->s->rx, &ex->seed);
	rc = take_bytes(p, d, ex);
	mt_call_view(p, ex, d);
	mt_reading_use_scan(p, &d->reading);
	mt_exchange_trace_begin(p, d, ex, complete);
	if (mt_call_log_is_on(p, ex->snap) &&
		(mt_likely(!ex->snap->log_skips) || !mt_call_log_skips(p, ex)))
		mt_call_log_note(p, d, ex);
	if (mt_unlikely(rc || p->free_pct < REFUSE_BELOW_PCT)) {
		mt_count(p->counters, MT_PROXY_no_memory);
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "out of memory");
		return true;
	}
	if (mt_unlikely(ex->msg.refuse)) {
		mt_reply_local(p, ex, ex->msg.refuse - 1,
			mt_local_reply_str((enum mt_local_reply)(ex->msg.refuse - 1)));
		return true;
	}
	if (!complete)
		mt_count(p->counters, MT_PROXY_request_early);
	mt_call_run(p, ex);
	return true;
}
