/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports to the ledger the memory that client connections use outside of their streams, and evicts
 * a connection's memory when a class of the ledger has used up its share. For server connections
 * see pool/upstream.c.
 */
#include "mt_mutant.h"
#include "client/mt_client_priv.h"

void mt_down_holds(struct mt_stream *s, struct mt_sums *sums)
{
	const struct mt_down *d = mt_down_of(s);

	sums->of[MT_CLASS_WAITING] += d->pending;
	sums->of[MT_CLASS_REPLYING] += d->held;
	sums->of[MT_CLASS_RETAINED] += d->retained;
	s->keeps =
		d->pending | d->retained | (mt_mutant(MT_MUTANT_hold_dropped_early) ? 0 : d->held);
}

/*
 * Sends a local reply to the incomplete request of a client without outstanding calls, then FIN.
 * False: no reply is possible.
 */
static bool refuse_message(struct mt_proxy *p, struct mt_down *d)
{
	const struct mt_codec *codec = d->codec;
	struct mt_chain out = {0};
	struct mt_seed seed = {0};

	if (!d->msg.can_reply || d->msg.kind != MT_MSG_REQUEST || !codec->write.reply ||
		d->outstanding > 0 || mt_down_in_message(d) || d->s->rx_kept == 0)
		return false;
	codec->correlate.save(codec, &d->msg, &d->s->rx, &seed);
	if (codec->write.reply(codec, &seed, MT_REPLY_OVERLOAD,
		    "too much of memory waits for the rest of requests", &out, p->pools)) {
		mt_chain_free(&out);
		return false;
	}
	mt_count(p->counters, MT_PROXY_reply_overload);
	mt_count(p->counters, MT_PROXY_evicted_receiving);
	if (mt_call_log_is_on(p, d->snap))
		mt_call_log_message(p, d, MT_REPLY_OVERLOAD, false);
	mt_stream_send(d->s, &out);
	mt_down_close(p, d);
	return true;
}

/* Sends a local reply to a call that waits. */
static void refuse_waiting(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (ex->pending)
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "too much of memory waits");
}

/*
 * Drops the retained request of a call if buffers hold it, so that the call is not retried by
 * policy. A call that waits for another attempt gets a local reply instead.
 */
static void refuse_retries(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (!ex->retained || !mt_side_truesize(mt_exchange_side(p, ex)))
		return;
	if (ex->state == MT_EX_BACKOFF)
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "too much of memory is kept for retries");
	else
		mt_retained_drop(p, ex);
}

/* Calls `refuse` for each call of a client. Calls that it spares and the connection continue. */
static void refuse_calls(struct mt_proxy *p, struct mt_down *d, enum mt_proxy_outcome counted,
	void (*refuse)(struct mt_proxy *p, struct mt_exchange *ex))
{
	struct mt_ref ref = d->self;
	struct mt_list *n, *tmp;

	mt_count(p->counters, counted);
	/*
	 * During the loop a local reply must not start further calls. It must not cause the replies
	 * that waited for it to be sent, either, because their calls would end.
	 */
	d->decoding = d->flushing = true;
	mt_list_foreach_safe (n, tmp, &d->exchanges) {
		refuse(p, mt_list_entry(n, struct mt_exchange, down_node));
		if (!mt_slab_live(&p->downs, ref))
			return;
	}
	d->decoding = d->flushing = false;
	mt_reply_settle(p, ref);
	if (mt_slab_get(&p->downs, ref))
		mt_down_pump(p, d);
}

void mt_down_evict(struct mt_stream *s, enum mt_class c)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_down *d = mt_down_of(s);

	if (c == MT_CLASS_WAITING && d->pending)
		refuse_calls(p, d, MT_PROXY_evicted_waiting, refuse_waiting);
	else if (c == MT_CLASS_RETAINED && d->retained)
		refuse_calls(p, d, MT_PROXY_evicted_retained, refuse_retries);
	else if (c != MT_CLASS_RECEIVING)
		mt_down_reset(p, d, MT_PROXY_evicted_replying);
	else if (!refuse_message(p, d))
		mt_down_reset(p, d, MT_PROXY_evicted_receiving);
}
