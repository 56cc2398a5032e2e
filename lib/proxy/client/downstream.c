/* SPDX-License-Identifier: Apache-2.0 */
/* Client connections: accept, events, time-outs, end. */
#include "client/mt_client_priv.h"
#include "mt_callers.h"

struct mt_down *mt_down_of(struct mt_stream *s)
{
	struct mt_proxy *p = s->user_ctx;

	return mt_slab_at(&p->downs, s->owner_idx);
}

static int on_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	struct mt_proxy *p = arg;
	const struct mt_listener *l;

	if (mt_unlikely(!p->snap))
		return -1;
	l = mt_snapshot_listener(p->snap, local, lport);
	/* Refuse the SYN: the client has sent no data yet, and can connect elsewhere. */
	if (mt_unlikely(l && (p->draining || l->drain == MT_LISTENER_REFUSES))) {
		mt_count(p->counters, MT_PROXY_down_draining);
		return -1;
	}
	if (mt_unlikely(l && l->closed_by)) {
		mt_count(p->counters, MT_PROXY_down_closed_by_policy);
		mt_account_closed(p, l->closed_by);
		return -1;
	}
	return l ? (int)(l - p->snap->listeners) : -1;
}

static struct mt_down *down_new(
	struct mt_proxy *p, struct mt_stream *s, const struct mt_filter_chain_proto *proto)
{
	struct mt_ref ref;
	struct mt_down *d = mt_slab_alloc(&p->downs, &ref);
	const struct mt_codec *codec = proto->codec;

	if (!d)
		return NULL;
	d->self = ref;
	d->s = s;
	d->snap = p->snap;
	d->proto = proto;
	d->codec = codec;
	d->codec_opts = proto->codec_opts;
	mt_snap_hold(p, d->snap);
	mt_list_init(&d->exchanges);
	d->owed = &d->exchanges;
	mt_list_init(&d->waiting);
	mt_timer_init(&d->timer);
	mt_list_init(&d->reading.node);
	d->last_rx = p->now;
	d->ordered = codec->ordered_replies ||
		     mt_correlation_of(codec, proto->codec_opts) != MT_CORR_SAFE;
	mt_decoder_init(&d->dec, codec, MT_DIR_DOWN, proto->codec_opts, &s->rx);
	s->user = &mt_down_user;
	s->user_ctx = p;
	s->owner_idx = d->self.idx;
	return d;
}

bool mt_down_begin(struct mt_proxy *p, struct mt_stream *s, const struct mt_listener *l,
	const struct mt_filter_chain_proto *proto)
{
	struct mt_down *d = down_new(p, s, proto);

	if (!d)
		return mt_down_no_room(p, s);
	s->tx_high = p->conf.reply_soft;
	d->caller = mt_caller_of(p, s);
	if (mt_unlikely(l->drain))
		mt_down_drain_later(p, d, l->drain_ms);
	mt_down_arm(p, d);
	return true;
}

static bool on_accept(void *arg, struct mt_stream *s, int listener)
{
	struct mt_proxy *p = arg;
	const struct mt_tuple *t = mt_stream_ends(s);
	const struct mt_listener *l;

	/* The snapshot may have changed since the SYN, so the index is not used. */
	(void)listener;
	if (p->draining)
		return mt_down_drained(p, s);
	l = p->snap ? mt_snapshot_listener(p->snap, &t->local, t->lport) : NULL;
	if (!l) {
		mt_count(p->counters, MT_PROXY_down_listener_gone);
		return false;
	}
	if (mt_downs_full(p)) {
		mt_count(p->counters, MT_PROXY_down_full);
		mt_stream_log_refused(p, s, p->now, MT_ENDING_overload);
		return false;
	}
	if (mt_unlikely(l->drain == MT_LISTENER_REFUSES))
		return mt_down_drained(p, s);
	mt_count(p->counters, MT_PROXY_down_accepted);
	p->drain.accepted_at = p->now;
	if (mt_unlikely(!l->decided))
		return mt_chain_selection_accept(p, s, l, NULL);
	return l->protos->codec->opaque ? mt_opaque_begin(p, s, l->protos, false)
					: mt_down_begin(p, s, l, l->protos);
}

const struct mt_listen_ops mt_proxy_listen_ops = {on_lookup, on_accept};

void mt_down_free(struct mt_proxy *p, struct mt_down *d)
{
	mt_count(p->counters, MT_PROXY_down_closed);
	mt_oneway_client_gone(p, d);
	mt_wheel_cancel(&p->wheel, &d->timer);
	mt_reading_end(p, &d->reading);
	mt_chain_free(&d->after);
	if (d->snap)
		mt_snap_drop(p, d->snap);
	mt_states_change(&mt_down_states, d->ending, MT_DOWN_N_STATES);
	mt_slab_free(&p->downs, d);
}

/* Ends the exchanges of a client that is gone; late replies are recognised as unwanted. */
static void end_exchanges(struct mt_proxy *p, struct mt_down *d, bool cut_off)
{
	struct mt_list *n;

	while ((n = mt_list_first(&d->exchanges)))
		mt_exchange_leave(p, mt_list_entry(n, struct mt_exchange, down_node), cut_off);
}

/* Call after the client's reset: calls that wait may be evidence against their endpoints. */
static void note_given_up(struct mt_proxy *p, const struct mt_down *d, const struct mt_stream *s)
{
	const struct mt_list *n;

	mt_list_foreach (n, &d->exchanges)
		mt_silence_given_up(p, mt_list_entry(n, struct mt_exchange, down_node), s);
}

void mt_down_reset(struct mt_proxy *p, struct mt_down *d, enum mt_proxy_outcome why)
{
	struct mt_stream *s = d->s;

	if (!s)
		return;
	d->s = NULL;
	mt_count(p->counters, why);
	mt_stream_abort(s, mt_abort_of(why));
	end_exchanges(p, d, true);
	mt_down_free(p, d);
}

uint32_t mt_down_owed(const struct mt_down *d)
{
	return d->outstanding + d->unacked;
}

/* True if requests that TCP has acknowledged, or further ones, must be served before the end. */
static bool has_more(const struct mt_down *d)
{
	if (d->ending == MT_DOWN_CLOSING)
		return false;
	if (d->s->rx.len > 0)
		return true;
	return !d->eof &&
	       (d->ending == MT_DOWN_DRAINING || mt_down_in_message(d) || mt_stream_coming(d->s));
}

/* Queued replies are dropped after this time without an acknowledgement. */
#define TAIL MT_SEC

/*
 * True if the reset has to wait, because it would drop queued replies that the client may still
 * read (leave.c).
 */
static bool delivers(struct mt_proxy *p, struct mt_down *d)
{
	uint64_t until = d->last_ack + TAIL;

	if (d->s->tx_queued == 0 || p->now >= until)
		return false;
	d->s->want_writable = true;
	d->leave_at = until;
	mt_down_arm(p, d);
	return true;
}

static mt_noinline void maybe_finish(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_stream *s = d->s;

	if (!s || d->decoding || mt_down_owed(d) > 0 || has_more(d))
		return;
	if (mt_unlikely(d->left) && delivers(p, d))
		return;
	d->s = NULL;
	if (mt_unlikely(d->left)) {
		mt_stream_abort(s, MT_ABORT_CANCELLED);
	} else {
		mt_stream_refuse(s);
		mt_stream_detach(s);
	}
	mt_down_free(p, d);
}

void mt_down_maybe_finish(struct mt_proxy *p, struct mt_down *d)
{
	if (mt_unlikely(d->ending || d->eof))
		maybe_finish(p, d);
}

/* ---- events ---- */

static void on_readable(struct mt_stream *s)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_down *d = mt_down_of(s);

	d->last_rx = p->now;
	mt_down_pump(p, d);
}

static void on_eof(struct mt_stream *s)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_down *d = mt_down_of(s);
	struct mt_ref ref = d->self;

	d->eof = true;
	d->last_rx = p->now;
	if (mt_down_closed(d)) {
		mt_leave(p, d);
		if (!mt_slab_live(&p->downs, ref))
			return;
	}
	mt_down_pump(p, d);
	/* mt_down_pump() may do nothing for a closing connection, so check its end here. */
	if (mt_slab_live(&p->downs, ref) && d->ending)
		mt_down_maybe_finish(p, d);
}

static void on_writable(struct mt_stream *s)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_down *d = mt_down_of(s);

	if (s->tx_queued + d->held <= p->conf.reply_soft)
		d->above_soft_since = 0;
	mt_reply_settle(p, d->self);
}

static void on_acked(struct mt_stream *s, uint32_t bytes)
{
	struct mt_proxy *p = s->user_ctx;

	mt_down_of(s)->last_ack = p->now;
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_down *d = mt_down_of(s);

	d->s = NULL;
	if (reason == MT_CLOSE_RESET)
		note_given_up(p, d, s);
	end_exchanges(p, d, false);
	mt_down_free(p, d);
}

static void on_connected(struct mt_stream *s)
{
	/* Client connections are established when they are accepted. */
}

static void on_prefetch(const struct mt_stream *s)
{
	const struct mt_proxy *p = s->user_ctx;

	mt_prefetch_object(mt_slab_at(&p->downs, s->owner_idx), sizeof(struct mt_down));
}

const struct mt_stream_user mt_down_user = {
	.prefetch = on_prefetch,
	.connected = on_connected,
	.readable = on_readable,
	.eof = on_eof,
	.writable = on_writable,
	.acked = on_acked,
	.closed = on_closed,
	.holds = mt_down_holds,
	.evict = mt_down_evict,
};

/* ---- timer ---- */

static uint64_t idle_ns(const struct mt_proxy *p, const struct mt_down *d)
{
	uint32_t own = d->proto ? d->proto->idle_s : 0;

	return (own ? own : p->conf.down_idle_s) * MT_SEC;
}

static uint64_t stall_deadline(const struct mt_proxy *p, const struct mt_down *d)
{
	/* The client is not late while bytes wait for a server: only the call's time-out applies. */
	if (mt_down_in_message(d))
		return d->s->rx.len > 0 ? MT_NEVER : d->last_rx + p->conf.bulk_idle_ms * MT_MSEC;
	return d->msg_started ? mt_message_due(p, d->s, d->msg_started, d->last_rx) : MT_NEVER;
}

static uint64_t slow_deadline(const struct mt_proxy *p, const struct mt_down *d)
{
	/* If the send queue is empty, held replies wait for a server, not for the client. */
	if (!d->above_soft_since || d->s->tx_queued == 0 ||
		d->s->tx_queued + d->held < p->conf.reply_soft)
		return MT_NEVER;
	return MT_MAX(d->above_soft_since, d->last_ack) + p->conf.slow_ms * MT_MSEC;
}

static uint64_t idle_deadline(const struct mt_proxy *p, const struct mt_down *d)
{
	return mt_down_owed(d) || d->msg_started ? MT_NEVER : d->last_rx + idle_ns(p, d);
}

static mt_noinline void arm_anew(struct mt_proxy *p, struct mt_down *d)
{
	uint64_t at = stall_deadline(p, d);
	uint64_t slow = slow_deadline(p, d);
	uint64_t idle = idle_deadline(p, d);

	at = MT_MIN(at, slow);
	at = MT_MIN(at, mt_down_drain_due(p, d));
	if (d->retry_at)
		at = MT_MIN(at, d->retry_at);
	if (d->leave_at)
		at = MT_MIN(at, d->leave_at);
	at = MT_MIN(at, idle);
	/* Outstanding calls have deadlines of their own; look again when the idle time has passed. */
	if (at == MT_NEVER)
		at = p->now + idle_ns(p, d);
	mt_wheel_arm(&p->wheel, &d->timer, at);
}

/*
 * True if only the idle time-out can end the connection. Each call postpones the time-out, so the
 * timer that is armed already fires early enough.
 */
static bool only_idles(const struct mt_down *d)
{
	return !d->msg_started && !d->retry_at && !d->leave_at && !d->drain_due &&
	       !d->above_soft_since && !mt_down_in_message(d);
}

void mt_down_arm(struct mt_proxy *p, struct mt_down *d)
{
	if (mt_likely(mt_timer_armed(&d->timer) && only_idles(d)))
		return;
	arm_anew(p, d);
}

static void stalled(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_ref ref = d->self;

	if (!d->drain_started || mt_down_in_message(d)) {
		mt_down_reset(p, d, MT_PROXY_message_stalled);
		return;
	}
	/*
	 * The connection is draining and would end anyway; replies that are due to it are still
	 * sent.
	 */
	mt_down_cut_short(p, d, MT_PROXY_message_stalled);
	if (mt_slab_live(&p->downs, ref))
		mt_down_arm(p, d);
}

void mt_down_timer(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_ref ref = d->self;

	if (d->retry_at && p->now >= d->retry_at) {
		d->retry_at = 0;
		mt_down_pump(p, d);
		if (!mt_slab_live(&p->downs, ref))
			return;
	}
	if (mt_unlikely(d->leave_at) && p->now >= d->leave_at) {
		mt_leave(p, d);
		mt_reply_settle(p, ref);
		if (!mt_slab_live(&p->downs, ref))
			return;
	}
	if (mt_unlikely(d->drain_due) && p->now >= mt_down_drain_due(p, d)) {
		mt_down_drain_late(p, d);
		if (!mt_slab_live(&p->downs, ref))
			return;
	}
	if (mt_unlikely(d->drain_started) && !mt_down_drain_on(p, d))
		return;
	if (p->now >= slow_deadline(p, d)) {
		mt_down_reset(p, d, MT_PROXY_slow_reader);
		return;
	}
	if (p->now >= stall_deadline(p, d)) {
		stalled(p, d);
		return;
	}
	if (p->now >= idle_deadline(p, d)) {
		mt_count(p->counters, MT_PROXY_down_idle);
		mt_down_end(p, d);
		return;
	}
	mt_down_arm(p, d);
}
