/* SPDX-License-Identifier: Apache-2.0 */
/* Receives messages from clients: the decode loop of a client connection. */
#include "mt_mutant.h"
#include "client/mt_client_priv.h"

/*
 * Handles a malformed message: sends the protocol's own error if enough of the message is known and
 * no other reply has to come first. The connection ends after the outstanding replies.
 */
static void bad_message(struct mt_proxy *p, struct mt_down *d)
{
	const struct mt_codec *codec = d->codec;
	enum mt_local_reply what = d->msg.refuse ? d->msg.refuse - 1 : MT_REPLY_BAD_REQUEST;
	struct mt_chain out = {0};
	struct mt_seed seed = {0};

	mt_count(p->counters, d->dec.too_long ? MT_PROXY_oversized : MT_PROXY_malformed);
	if (mt_call_log_is_on(p, d->snap))
		mt_call_log_message(p, d, what, false);
	mt_down_becomes(d, MT_DOWN_CLOSING);
	if (d->msg.can_reply && d->msg.kind == MT_MSG_REQUEST && codec->write.reply &&
		mt_ref_is_none(d->streaming) && (!d->ordered || d->outstanding == 0)) {
		codec->correlate.save(codec, &d->msg, &d->s->rx, &seed);
		if (codec->write.reply(codec, &seed, what, d->dec.why, &out, p->pools) == 0) {
			mt_count(p->counters, MT_PROXY_reply_no_route + what);
		} else {
			mt_chain_free(&out);
		}
	}
	mt_chain_free(&d->s->rx);
	if (out.len)
		mt_reply_aside(p, d, &out);
}

static void answer_heartbeat(struct mt_proxy *p, struct mt_down *d)
{
	const struct mt_codec *codec = d->codec;
	struct mt_chain out = {0};
	int rc = -ENOTSUP;

	if (codec->write.heartbeat_reply)
		rc = codec->write.heartbeat_reply(codec, &d->msg, &d->s->rx, &out, p->pools);
	mt_chain_drop(&d->s->rx, d->msg.len);
	if (rc == 0) {
		mt_count(p->counters, MT_PROXY_heartbeat_answered);
		mt_reply_aside(p, d, &out);
		return;
	}
	if (rc == -ENOMEM)
		mt_count(p->counters, MT_PROXY_no_memory);
	mt_chain_free(&out);
}

/*
 * All exchange objects are in use: answers the call without one, or resets the connection if no
 * reply can be made or the order of replies forbids it.
 */
static void refuse_without_exchange(struct mt_proxy *p, struct mt_down *d)
{
	const struct mt_codec *codec = d->codec;
	uint32_t have = MT_MIN(d->s->rx.len, d->msg.len);
	struct mt_chain out = {0};
	struct mt_seed seed = {0};

	codec->correlate.save(codec, &d->msg, &d->s->rx, &seed);
	if (mt_call_log_is_on(p, d->snap))
		mt_call_log_message(p, d, MT_REPLY_OVERLOAD, true);
	mt_count(p->counters, MT_PROXY_reply_overload);
	mt_chain_drop(&d->s->rx, have);
	d->skip_left = d->msg.len - have;
	if (d->msg.kind == MT_MSG_ONEWAY) {
		mt_count(p->counters, MT_PROXY_exchange_oneway_lost);
		return;
	}
	if ((d->ordered && d->outstanding > 0) || !codec->write.reply ||
		codec->write.reply(
			codec, &seed, MT_REPLY_OVERLOAD, "too many calls", &out, p->pools)) {
		mt_down_reset(p, d, MT_PROXY_reply_unsendable);
		return;
	}
	mt_reply_aside(p, d, &out);
}

static void begin_call(struct mt_proxy *p, struct mt_down *d, bool complete)
{
	if (mt_unlikely(!mt_call_begin(p, d, complete)))
		refuse_without_exchange(p, d);
}

static void complete_message(struct mt_proxy *p, struct mt_down *d)
{
	d->msg_started = 0;
	switch (d->msg.kind) {
	case MT_MSG_REQUEST:
	case MT_MSG_ONEWAY:
		begin_call(p, d, true);
		return;
	case MT_MSG_HEARTBEAT:
		if (mt_mutant(MT_MUTANT_heartbeat_forwarded))
			begin_call(p, d, true);
		else
			answer_heartbeat(p, d);
		return;
	case MT_MSG_HEARTBEAT_REPLY:
	case MT_MSG_EVENT:
		mt_chain_drop(&d->s->rx, d->msg.len);
		return;
	default:
		mt_count(p->counters, MT_PROXY_unexpected_kind);
		mt_chain_drop(&d->s->rx, d->msg.len);
		return;
	}
}

/*
 * The service of a request with known leading metadata; NULL: none, or the request is refused
 * anyway.
 */
static struct mt_service *service_of(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_service *svc;

	if (d->msg.refuse || !d->proto ||
		(d->msg.kind != MT_MSG_REQUEST && d->msg.kind != MT_MSG_ONEWAY))
		return NULL;
	mt_view_bind(&p->view, d->codec, &d->msg, &d->s->rx);
	svc = mt_filter_chain_proto_service(d->proto, &p->view);
	mt_reading_index(p, &d->reading);
	return svc;
}

/* True if a long message may be forwarded before it is complete. */
static bool may_start_early(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_service *svc;

	if (d->msg.len <= p->conf.shared_max || d->s->rx.len >= d->msg.len)
		return false;
	svc = service_of(p, d);
	return svc && svc->early_ok;
}

/*
 * Starts to scan a message longer than MT_SCAN_AT_ONCE, if its service searches metadata after the
 * leading ones. The scan continues as the message arrives.
 */
static void look_through(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_service *svc;

	if (!d->codec->metadata.seek || d->msg.len <= MT_SCAN_AT_ONCE || d->reading.scan)
		return;
	svc = service_of(p, d);
	if (svc && svc->searches && !mt_reading_begin_scan(p, &d->reading))
		d->msg.refuse = 1 + MT_REPLY_OVERLOAD;
}

/*
 * True if the message is scanned, or needs no scan. False: continue in a later loop iteration, or
 * when more bytes have come.
 */
static bool looked_through(struct mt_proxy *p, struct mt_down *d)
{
	return !d->reading.scan || mt_reading_scan(p, &d->reading, d->codec, &d->msg, &d->s->rx);
}

/* Interval of the checks of a client that is held back because a class is under pressure. */
#define PRESSED_PAUSE (10 * MT_MSEC)

/*
 * True if the connection holds more of a pressed class than half of an equal part of the share, or,
 * if the connections of its address together hold that much, more than its own part of that half
 * (mt_ledger_part_of()). The ledger has the values of the last loop iteration.
 */
static mt_noinline bool above_part(
	const struct mt_ledger *l, const struct mt_down *d, enum mt_class c, uint32_t bytes)
{
	const struct mt_ledger_class *k = &l->classes[c];
	uint32_t part;

	if (bytes <= MT_LEDGER_LEAST)
		return false;
	if (bytes > k->share / 2 / MT_MAX(k->holders, 1u))
		return true;
	part = mt_ledger_part_of(l, MT_SIDE_CLIENT, &mt_stream_ends(d->s)->remote, c);
	return part && bytes > part;
}

/*
 * True if a class of the ledger is above half of its share, and the connection above its part. So
 * clients are held back before any is evicted, however many connections an address has. Sets a time
 * for the next check, because the pressure may end without an event of this client.
 */
static bool is_pressed(struct mt_proxy *p, struct mt_down *d, enum mt_class c, uint32_t bytes)
{
	if (!(p->ledger->pressed >> c & 1) || !above_part(p->ledger, d, c, bytes))
		return false;
	if (!d->retry_at || d->retry_at > p->now + PRESSED_PAUSE)
		d->retry_at = p->now + PRESSED_PAUSE;
	return true;
}

/*
 * True if too many bytes of the client's calls wait in Meltemi, for example for a connection or the
 * next attempt. Each of these waits ends without an event of the client.
 */
static bool waits_for_much(struct mt_proxy *p, struct mt_down *d)
{
	if (mt_likely(!(d->pending | d->backing_off)))
		return false;
	if ((uint64_t)d->pending + d->backing_off > p->conf.waiting_soft)
		return true;
	return p->ledger && (is_pressed(p, d, MT_CLASS_WAITING, d->pending) ||
				    is_pressed(p, d, MT_CLASS_RETAINED, d->backing_off));
}

static bool over_limits(struct mt_proxy *p, struct mt_down *d)
{
	d->paused_by_bytes = false;
	if (d->s->tx_queued + d->held > p->conf.reply_soft) {
		mt_count(p->counters, MT_PROXY_paused_budget);
		/*
		 * If tx_queued is 0, replies that wait for their turn exceed the budget. Decoding
		 * resumes when they are sent.
		 */
		d->s->want_writable |= d->s->tx_queued > 0;
		return true;
	}
	if (d->outstanding >= p->conf.down_outstanding) {
		mt_count(p->counters, MT_PROXY_paused_outstanding);
		return true;
	}
	if (mt_unlikely(waits_for_much(p, d))) {
		mt_count(p->counters, MT_PROXY_paused_waiting);
		d->paused_by_bytes = true;
		return true;
	}
	return false;
}

/*
 * Forwards more bytes of a long request, or drops them if it has no exchange. True if the request
 * is complete now.
 */
static bool continue_message(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_exchange *ex = mt_slab_get(&p->exchanges, d->cur);
	struct mt_ref ref = d->self;
	uint32_t n = MT_MIN(d->s->rx.len, d->skip_left);
	struct mt_attempt *a;
	struct mt_up *u;

	if (d->skip_left) {
		mt_chain_drop(&d->s->rx, n);
		d->skip_left -= n;
		return d->skip_left == 0;
	}
	if (!ex)
		return true;
	a = mt_exchange_attempt(ex);
	u = a ? mt_slab_get(&p->ups, a->up) : NULL;
	if (!u || a->state != MT_ATTEMPT_SENDING)
		return false; /* not connected yet */
	mt_lane_send_more(p, u, a);
	return mt_slab_live(&p->downs, ref) && mt_ref_is_none(d->cur);
}

static enum mt_step part_of_message(struct mt_proxy *p, struct mt_down *d)
{
	/*
	 * If the decoder has no steps left the message may be complete, so its time limit does not
	 * start.
	 */
	if (!d->msg_started && d->dec.steps > 0)
		d->msg_started = p->now;
	looked_through(p, d);
	return MT_STEP_PART;
}

/* Handles a complete message, whose scan may not be finished. */
static enum mt_step whole_message(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_ref ref = d->self;

	/* Nothing serves the connection any more, so its requests get local replies. */
	if (mt_unlikely(d->unserved))
		d->msg.refuse = d->unserved;
	look_through(p, d);
	if (!looked_through(p, d)) {
		d->msg_started = 0; /* the client's time limit ends with its last byte */
		return MT_STEP_PART;
	}
	complete_message(p, d);
	if (mt_unlikely(!mt_slab_live(&p->downs, ref))) {
		mt_readings_spend(p);
		return MT_STEP_STOP;
	}
	mt_reading_used(p, &d->reading);
	mt_decoder_next(&d->dec);
	return MT_STEP_ON;
}

static enum mt_step decode(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_ref ref = d->self;

	switch (mt_reading_decode(p, &d->reading, &d->dec, &d->msg)) {
	case MT_DECODE_MORE:
		return part_of_message(p, d);
	case MT_DECODE_LEADING:
		if (!may_start_early(p, d)) {
			look_through(p, d);
			return MT_STEP_ON;
		}
		d->msg_started = 0;
		begin_call(p, d, false);
		if (mt_unlikely(!mt_slab_live(&p->downs, ref))) {
			mt_readings_spend(p);
			return MT_STEP_STOP;
		}
		mt_reading_index(p, &d->reading);
		return MT_STEP_ON;
	case MT_DECODE_DONE:
		return whole_message(p, d);
	case MT_DECODE_BAD:
		bad_message(p, d);
		return MT_STEP_STOP;
	}
	return MT_STEP_STOP;
}

/* One step of the decode loop. */
static enum mt_step step(struct mt_proxy *p, struct mt_down *d)
{
	if (mt_down_in_message(d)) {
		/* Bytes that cannot be forwarded yet stay in the receive window. */
		if (!continue_message(p, d))
			return MT_STEP_STOP;
		mt_decoder_next(&d->dec);
		return MT_STEP_ON;
	}
	if (mt_unlikely(d->ending == MT_DOWN_CLOSING))
		return MT_STEP_STOP;
	d->paused = over_limits(p, d);
	if (d->paused) {
		/*
		 * The closed window may delay the rest of the message: the client's time limit does
		 * not run.
		 */
		d->msg_started = 0;
		return MT_STEP_STOP;
	}
	if (d->s->rx.len == 0 || !mt_reading_may(p, &d->reading))
		return MT_STEP_STOP;
	return decode(p, d);
}

/* Handles the client's FIN when all is decoded: gives up a message that it cut off. */
static void cut_off(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_exchange *ex = mt_slab_get(&p->exchanges, d->cur);

	if (d->s->rx.len > 0 || mt_down_in_message(d))
		mt_count(p->counters, MT_PROXY_message_truncated);
	mt_stream_drop(d->s, d->s->rx.len);
	d->skip_left = 0;
	mt_down_becomes(d, MT_DOWN_CLOSING);
	if (!ex)
		return;
	/* A part of the reply was sent and its rest will not come, so nothing else may follow. */
	if (ex->state == MT_EX_REPLYING) {
		mt_down_reset(p, d, MT_PROXY_reply_truncated);
		return;
	}
	mt_exchange_leave(p, ex, false);
}

static void after_pump(struct mt_proxy *p, struct mt_down *d)
{
	bool waits = d->paused || mt_reading_waits(&d->reading);
	struct mt_ref ref = d->self;

	/* A long request that waits for its connection or its window is not cut off yet. */
	if (!mt_ref_is_none(d->cur) && d->s->rx.len > 0)
		waits = true;
	if (d->eof && !waits && (d->ending != MT_DOWN_CLOSING || mt_down_in_message(d)))
		cut_off(p, d);
	if (!mt_slab_live(&p->downs, ref))
		return;
	if (d->eof && !waits)
		mt_oneway_client_ended(p, d);
	/*
	 * Not at each reply, because calls that go on are checked at leave_at, and new calls by
	 * mt_call_user.leaves.
	 */
	if (mt_down_closed(d) && (!d->leave_at || p->now >= d->leave_at)) {
		mt_leave(p, d);
		if (!mt_slab_live(&p->downs, ref))
			return;
	}
	if (d->ending || d->eof) {
		mt_down_maybe_finish(p, d);
		if (!mt_slab_live(&p->downs, ref))
			return;
	}
	mt_down_arm(p, d);
}

/*
 * Forgets the received part of a message, which was put back and will come again. Keeps what the
 * decoder knows about the connection (dec.conn).
 */
static void forget_message(struct mt_proxy *p, struct mt_down *d)
{
	mt_reading_end(p, &d->reading);
	mt_decoder_next(&d->dec);
	d->msg_started = 0;
}

void mt_down_pump(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_ref ref = d->self;
	enum mt_step did;
	uint32_t epoch;

	if (!d->s || d->decoding || (d->ending == MT_DOWN_CLOSING && !mt_down_in_message(d)))
		return;
	if (mt_unlikely(p->running)) {
		mt_reading_again(p, &d->reading);
		return;
	}
	if (mt_unlikely(d->snap != p->snap))
		(void)mt_down_snap_move(p, d);
	if (!mt_slab_live(&p->downs, ref) ||
		(d->ending == MT_DOWN_CLOSING && !mt_down_in_message(d)))
		return;
	d->decoding = true;
	epoch = d->s->rx.epoch;
	do
		did = step(p, d);
	while (did == MT_STEP_ON);
	if (!mt_slab_live(&p->downs, ref) || !d->s)
		return;
	d->decoding = false;
	/*
	 * A message that is, or may be, complete (msg_started is 0) waits only for Meltemi: keep
	 * it.
	 */
	if (did == MT_STEP_PART && d->msg_started && mt_unlikely(mt_stream_put_back(d->s)))
		forget_message(p, d);
	else
		mt_rx_settle(d->s, did, epoch, d->reading.scan ? d->msg.len : UINT32_MAX);
	after_pump(p, d);
}
