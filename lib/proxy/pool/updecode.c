/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes what servers send. Long replies are forwarded while they arrive. */
#include "mt_mutant.h"
#include "pool/mt_pool_priv.h"

/* The reply is complete: frees the id-ring slot or the connection. */
static void release(struct mt_proxy *p, struct mt_up *u, uint64_t id, struct mt_exchange *ex)
{
	bool half_sent = ex && ex->in_message;
	struct mt_slot *slot;

	if (ex) {
		ex->attempt.up = MT_REF_NONE;
		mt_attempt_receives(&ex->attempt, MT_RECEIVE_END);
	}
	if (mt_up_shares(u)) {
		slot = mt_ring_find(p, u, id);
		if (slot)
			mt_ring_release(u, slot);
		return;
	}
	if (!ex && mt_attempt_of(p, u->exchange))
		return; /* the call has ended; a later call is out on the connection (oneway.c) */
	u->exchange = MT_REF_NONE;
	u->out_id = 0;
	if (mt_unlikely(!mt_list_empty(&u->behind))) {
		mt_oneway_next(p, u);
		return;
	}
	/* The server answered before it had the whole request, so the rest is never sent. */
	if (half_sent)
		mt_up_becomes(u, MT_UP_DRAINING);
	u->release = true; /* after() frees it at the end of the decode loop */
}

static bool adds_any(const struct mt_view *v)
{
	for (uint32_t i = 0; i < v->n_mutations; i++)
		if (v->mutations[i].value)
			return true;
	return false;
}

/* True if the client can read the reply with the view's changes. */
static bool is_readable(
	const struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_msg *msg)
{
	const struct mt_codec *codec = ex->codec;

	return !codec->rewrite.reads_added || !adds_any(&p->view) ||
	       codec->rewrite.reads_added(codec, &ex->seed, msg);
}

/* Writes the view's changes into the reply. False: nothing is changed. */
static bool write_changes(
	struct mt_proxy *p, const struct mt_exchange *ex, struct mt_msg *msg, struct mt_chain *c)
{
	const struct mt_codec *codec = ex->codec;
	struct mt_view *v = &p->view;

	return codec->rewrite.mutate && codec->rewrite.mutate(codec, msg, c, &v->meta, v->mutations,
						v->n_mutations, p->pools) == 0;
}

/*
 * Writes the view's changes and the headers of rate limit services into the reply. False: there are
 * none of these, or they cannot be written, and nothing is changed.
 */
static mt_noinline bool write_limit_headers(
	struct mt_proxy *p, const struct mt_exchange *ex, struct mt_msg *msg, struct mt_chain *c)
{
	struct mt_view *v = &p->view;
	uint32_t others = v->n_mutations;

	mt_pool_user.limit_headers(p, ex);
	if (v->n_mutations == others)
		return false;
	if (is_readable(p, ex, msg) && write_changes(p, ex, msg, c))
		return true;
	mt_count(p->counters, MT_PROXY_limit_headers_left);
	v->n_mutations = others;
	return false;
}

/*
 * Applies the changes of the view, those of the route's responseMutation, and headers of rate limit
 * services to the reply.
 */
static void change_reply(
	struct mt_proxy *p, struct mt_exchange *ex, struct mt_msg *msg, struct mt_chain *c)
{
	struct mt_view *v = &p->view;

	if (ex->route && ex->route->n_rsp_mut)
		mt_filter_mutate(&p->filters, v, ex->route->rsp_mut, ex->route->n_rsp_mut);
	if (mt_unlikely(ex->limit_headers) && write_limit_headers(p, ex, msg, c))
		return;
	if (mt_likely(v->n_mutations == 0))
		return;
	if (mt_unlikely(!is_readable(p, ex, msg)))
		mt_count(p->counters, MT_PROXY_mutation_old_client);
	else if (!write_changes(p, ex, msg, c))
		mt_count(p->counters, MT_PROXY_mutation_failed);
}

void mt_reply_filtered(
	struct mt_proxy *p, struct mt_exchange *ex, struct mt_msg *msg, struct mt_chain *reply)
{
	change_reply(p, ex, msg, reply);
	mt_resumes_spend(p);
	mt_pool_user.replied(p, ex, msg);
	mt_reply_whole(p, ex, reply);
}

/* True if filters, the route or rate limits read or change the reply. Most have no reader. */
static mt_inline bool has_reader(const struct mt_up *u, const struct mt_exchange *ex)
{
	return mt_unlikely(ex->filters || (ex->route && ex->route->n_rsp_mut) ||
			   ex->limit_headers || u->reading.scan);
}

static mt_noinline void filter_reply(
	struct mt_proxy *p, struct mt_up *u, struct mt_exchange *ex, struct mt_chain *reply)
{
	mt_view_bind(&p->view, ex->codec, &u->msg, reply);
	mt_reading_use_scan(p, &u->reading);
	if (ex->filters && !mt_pool_user.filters(p, ex, &u->reading, &u->msg, reply))
		return;
	change_reply(p, ex, &u->msg, reply);
	mt_reading_index(p, &u->reading);
	mt_pool_user.replied(p, ex, &u->msg);
	mt_reply_whole(p, ex, reply);
}

/* True if the reply must be complete before its first byte is forwarded. */
static bool needs_whole(const struct mt_exchange *ex)
{
	if ((ex->route && ex->route->n_rsp_mut) || ex->limit_headers)
		return true;
	return ex->filters && ex->filters->n_reply;
}

/* Writes the client's id into the reply. -EBADMSG: the reply contradicts its codec file. */
static int restore(
	struct mt_proxy *p, struct mt_up *u, const struct mt_exchange *ex, struct mt_chain *reply)
{
	const struct mt_codec *codec = u->lanes->codec;

	if (mt_unlikely(u->msg.refuse) && codec->content)
		return -EBADMSG;
	if (mt_mutant(MT_MUTANT_id_not_restored))
		return 0;
	return mt_codec_restore_id(codec, &u->msg, reply, &ex->seed, p->pools);
}

/* Answers a call because its reply could not be forwarded, restore(). */
static mt_noinline void not_restored(struct mt_proxy *p, struct mt_exchange *ex, int rc)
{
	if (rc == -ENOTSUP || rc == -EBADMSG) {
		mt_reply_local(p, ex, MT_REPLY_BAD_REPLY,
			rc == -EBADMSG ? "the reply contradicts the codec file"
				       : "the id cannot be written");
		return;
	}
	mt_count(p->counters, MT_PROXY_no_memory);
	mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "out of memory");
}

/*
 * Ends a connection that carries one call at a time, after a reply that answers no call, because
 * none of its replies can be trusted.
 */
static mt_noinline void not_asked(struct mt_proxy *p, struct mt_up *u)
{
	/* This server may not echo ids, although another one at the same address does. */
	if (u->msg.id == 0 && u->ids == MT_IDS_UNKNOWN)
		u->lanes->ids = MT_IDS_UNKNOWN;
	mt_up_kill(p, u, MT_REPLY_BAD_REPLY, MT_PROXY_up_unknown_reply);
}

/* After a reply that is not short, the next APART - 1 calls of its client use the wide lane. */
#define APART 65

static mt_noinline void go_apart(struct mt_proxy *p, const struct mt_exchange *ex)
{
	struct mt_down *d = mt_exchange_down(p, ex);

	if (mt_likely(d))
		d->apart = APART;
}

/* True if the reply is an error and the call has another attempt; the caller drops the reply. */
static mt_noinline bool rejected(struct mt_proxy *p, struct mt_up *u, struct mt_exchange *ex)
{
	u->msg.status = mt_codec_classify(u->lanes->codec, &u->msg, &u->s->rx);
	return u->msg.len <= p->conf.shared_max && mt_pool_user.rejects(p, ex, &u->msg);
}

/* Drops a complete reply to a mirrored copy, or to a call of a client that has closed. */
static mt_noinline void drop_whole(
	struct mt_proxy *p, struct mt_up *u, struct mt_exchange *ex, const struct mt_down *d)
{
	if (u->msg.status == MT_STATUS_SERVER_ERROR && !d)
		u->msg.status = mt_codec_classify(u->lanes->codec, &u->msg, &u->s->rx);
	mt_chain_drop(&u->s->rx, u->msg.len);
	if (d) {
		mt_silence_replied(u->lanes);
		mt_client_user.left(p, ex);
		return;
	}
	mt_pool_user.replied(p, ex, &u->msg);
	mt_pool_user.ended(p, ex);
}

/* Drops a complete reply to a call that has another attempt. */
static void drop_rejected(struct mt_proxy *p, struct mt_up *u, const struct mt_exchange *ex)
{
	struct mt_chain reply = {0};

	if (mt_mutant(MT_MUTANT_rejected_forwarded) &&
		!mt_chain_split(&u->s->rx, u->msg.len, &reply, p->pools) &&
		!restore(p, u, ex, &reply))
		mt_reply_send(p, mt_exchange_down(p, ex), &reply);
	else
		mt_chain_drop(&u->s->rx, u->msg.len);
}

/* Copies the metadata of a reply that access logs name. */
static mt_noinline void log_reply(struct mt_proxy *p, struct mt_up *u, const struct mt_exchange *ex,
	struct mt_chain *reply, bool whole)
{
	mt_view_bind(&p->view, ex->codec, &u->msg, reply);
	mt_reading_use_scan(p, &u->reading);
	mt_call_log_reply(p, ex, whole);
	mt_reading_index(p, &u->reading);
}

static void pass_whole(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_exchange *ex;
	enum mt_whose whose = mt_match(p, u, &ex);
	struct mt_chain reply = {0};
	uint32_t len = u->msg.len;
	const struct mt_down *d;
	int rc;

	if (mt_unlikely(whose == MT_WHOSE_NONE)) {
		not_asked(p, u);
		return;
	}
	if (mt_unlikely(whose == MT_WHOSE_CLIENT)) {
		mt_oneway_pass(p, u);
		return;
	}
	if (mt_likely(whose == MT_WHOSE_CALL))
		release(p, u, u->msg.id, ex);
	if (!ex) {
		mt_silence_replied(u->lanes);
		mt_chain_drop(&u->s->rx, len);
		return;
	}
	d = mt_exchange_down(p, ex);
	if (mt_unlikely(!d || d->left)) {
		drop_whole(p, u, ex, d);
		return;
	}
	if (mt_unlikely(len > p->conf.wide_from))
		go_apart(p, ex);
	mt_exchange_trace_reply(p, ex, u);
	if (mt_unlikely(u->msg.status == MT_STATUS_SERVER_ERROR) && rejected(p, u, ex)) {
		drop_rejected(p, u, ex);
		return;
	}
	rc = mt_chain_split(&u->s->rx, len, &reply, p->pools);
	if (mt_unlikely(rc))
		mt_chain_drop(&u->s->rx, len - reply.len);
	else
		rc = restore(p, u, ex, &reply);
	if (mt_unlikely(rc)) {
		mt_chain_free(&reply);
		not_restored(p, ex, rc);
		return;
	}
	if (mt_call_log_reads_reply(ex))
		log_reply(p, u, ex, &reply, true);
	if (has_reader(u, ex)) {
		filter_reply(p, u, ex, &reply);
		return;
	}
	mt_meta_clear(&p->view.meta);
	mt_pool_user.replied(p, ex, &u->msg);
	mt_reply_whole(p, ex, &reply);
}

static void whole_reply(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_ref down = mt_unlikely(u->in_doubt) ? u->client : MT_REF_NONE;

	pass_whole(p, u);
	/* Calls without a reply may have ended, so that other replies are in turn. */
	if (mt_unlikely(!mt_ref_is_none(down)))
		mt_reply_settle(p, down);
}

/* Does what an event wants, unless it contradicts its codec file, for example by its checksum. */
static void obey(struct mt_proxy *p, struct mt_up *u)
{
	if (mt_unlikely(u->msg.refuse))
		return;
	if (u->msg.event == MT_EVENT_DRAIN) {
		mt_count(p->counters, MT_PROXY_up_event_drain);
		mt_ep_said(p, u->lanes, true);
		mt_up_drain(p, u);
	} else if (u->msg.event == MT_EVENT_RESUME) {
		mt_ep_said(p, u->lanes, false);
	}
}

void mt_up_message(struct mt_proxy *p, struct mt_up *u)
{
	uint32_t len = u->msg.len;

	switch (u->msg.kind) {
	case MT_MSG_REPLY:
		whole_reply(p, u);
		return;
	case MT_MSG_HEARTBEAT:
		mt_up_heartbeat(p, u);
		break;
	case MT_MSG_HEARTBEAT_REPLY:
		mt_silence_answered(p, u);
		break;
	case MT_MSG_EVENT:
		obey(p, u);
		break;
	case MT_MSG_REQUEST:
	case MT_MSG_ONEWAY:
		mt_up_request(p, u);
		break;
	default:
		mt_count(p->counters, MT_PROXY_unexpected_kind);
		break;
	}
	mt_chain_drop(&u->s->rx, len);
}

/* Begins to skip the long reply in u->msg, which came with this id. */
static void skip_reply(const struct mt_proxy *p, struct mt_up *u, uint64_t id, bool late)
{
	u->reply = MT_REF_NONE;
	u->skip =
		(struct mt_up_skip){.left = u->msg.len, .late = late, .progress = p->now, .id = id};
}

/* Begins to forward the long reply in u->msg, which came with this id, while it arrives. */
static void forward(struct mt_proxy *p, struct mt_up *u, struct mt_exchange *ex, uint64_t id)
{
	struct mt_attempt *a = &ex->attempt;

	u->msg.status = mt_codec_classify(u->lanes->codec, &u->msg, &u->s->rx);
	u->reply = ex->self;
	mt_attempt_receives(a, MT_RECEIVE_BODY);
	a->reply_left = u->msg.len;
	a->reply_progress = p->now;
	a->reply_id = id;
	go_apart(p, ex);
	mt_deadline_cancel(&ex->deadline);
	if (mt_call_log_reads_reply(ex))
		log_reply(p, u, ex, &u->s->rx, false);
	mt_pool_user.replied(p, ex, &u->msg);
	mt_exchange_trace_reply(p, ex, u);
	mt_exchange_becomes(ex, MT_EX_REPLYING);
}

bool mt_up_begin_long(struct mt_proxy *p, struct mt_up *u)
{
	uint64_t id = u->msg.id; /* restore() writes the client's id there */
	const struct mt_down *d = NULL;
	struct mt_ref ref = u->self;
	struct mt_exchange *ex;
	enum mt_whose whose;
	int rc = 0;

	if (u->msg.kind != MT_MSG_REPLY || u->msg.len <= p->conf.shared_max)
		return false;
	whose = mt_match(p, u, &ex);
	if (whose == MT_WHOSE_NONE) {
		not_asked(p, u);
		return true;
	}
	if (ex ? needs_whole(ex) : whose == MT_WHOSE_CLIENT)
		return false;
	u->msg_started = 0;
	if (ex)
		d = mt_exchange_down(p, ex);
	if (d && mt_unlikely(d->left)) {
		mt_silence_replied(u->lanes);
		mt_client_user.left(p, ex);
		if (!mt_slab_live(&p->ups, ref) || !u->s)
			return true;
		ex = NULL;
	}
	if (ex && d)
		rc = restore(p, u, ex, &u->s->rx);
	if (rc) {
		/* Only this reply is skipped; other calls on the connection continue. */
		not_restored(p, ex, rc);
		if (!mt_slab_live(&p->ups, ref) || !u->s)
			return true;
		ex = NULL;
	}
	mt_count(p->counters, MT_PROXY_reply_early);
	if (ex) {
		forward(p, u, ex, id);
	} else {
		mt_silence_replied(u->lanes);
		skip_reply(p, u, id, whose == MT_WHOSE_LATE);
	}
	mt_up_arm(p, u);
	return true;
}

static void finish_forwarded(struct mt_proxy *p, struct mt_up *u, struct mt_exchange *ex)
{
	struct mt_chain none = {0};

	u->reply = MT_REF_NONE;
	release(p, u, ex->attempt.reply_id, ex);
	mt_decoder_next(&u->dec);
	mt_reply_whole(p, ex, &none);
}

static void finish_skipped(struct mt_proxy *p, struct mt_up *u)
{
	if (!u->skip.late)
		release(p, u, u->skip.id, NULL);
	mt_decoder_next(&u->dec);
}

/*
 * Forwards bytes of a long reply to the client, or keeps them until the reply is in turn and the
 * client reads. Drops the bytes for a mirrored copy.
 */
static void pass_long(struct mt_proxy *p, struct mt_up *u, struct mt_exchange *ex, uint32_t n)
{
	struct mt_down *d = mt_exchange_down(p, ex);
	struct mt_attempt *a = &ex->attempt;
	struct mt_chain part = {0};
	bool goes;

	if (mt_unlikely(!d)) {
		a->reply_left -= n;
		mt_chain_drop(&u->s->rx, n);
		return;
	}
	goes = mt_reply_may_go(d, ex, n);
	if (!mt_up_shares(u) && !goes) {
		u->paused = true;
		mt_reply_wait(d, ex);
		return;
	}
	if (mt_unlikely(mt_chain_split(&u->s->rx, n, &part, p->pools))) {
		mt_count(p->counters, MT_PROXY_no_memory);
		u->retry_at =
			p->now +
			MT_RETRY_NS; /* a timer continues, because maybe no further bytes arrive */
	}
	a->reply_left -= part.len;
	if (goes) {
		d->streaming = u->reply;
		mt_exchange_trace_part(p, ex, d, &part, a->reply_left);
		mt_reply_send(p, d, &part);
	} else {
		mt_down_held(d, part.truesize);
		mt_chain_concat(&ex->rsp, &part);
		mt_reply_wait(d, ex);
	}
	mt_reply_budget(p, d);
}

/* Drops received bytes of a long reply that is skipped. */
static void skip_more(struct mt_proxy *p, struct mt_up *u)
{
	uint32_t n = MT_MIN(u->s->rx.len, u->skip.left);

	if (n > 0) {
		u->skip.progress = p->now;
		mt_chain_drop(&u->s->rx, n);
		u->skip.left -= n;
	}
	if (u->skip.left == 0)
		finish_skipped(p, u);
}

void mt_up_continue_long(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_exchange *ex = mt_pool_exchange(p, u->reply);
	struct mt_ref ref = u->self;

	if (!ex) {
		skip_more(p, u);
		return;
	}
	if (u->s->rx.len > 0) {
		ex->attempt.reply_progress = p->now;
		pass_long(p, u, ex, MT_MIN(u->s->rx.len, ex->attempt.reply_left));
	}
	if (!mt_slab_live(&p->ups, ref))
		return;
	ex = mt_pool_exchange(p, u->reply);
	if (!ex) {
		/* The exchange ended when a part was passed to its client. */
		if (!u->skip.left)
			finish_skipped(p, u);
	} else if (!ex->attempt.reply_left) {
		finish_forwarded(p, u, ex);
	}
}

/* Begins to scan a reply that is not short, if filters or its route read its metadata. */
static void look_through(struct mt_proxy *p, struct mt_up *u)
{
	const struct mt_codec *codec = u->lanes->codec;
	struct mt_exchange *ex;
	struct mt_slot *slot;

	if (!codec->metadata.seek || u->msg.len <= MT_SCAN_AT_ONCE || u->msg.kind != MT_MSG_REPLY ||
		u->reading.scan)
		return;
	slot = mt_up_shares(u) ? mt_ring_find(p, u, u->msg.id) : NULL;
	ex = mt_pool_exchange(p, slot ? slot->exchange : u->exchange);
	/* Without memory for the scan the reply's metadata is not changed, which is counted. */
	if (ex && needs_whole(ex))
		(void)mt_reading_begin_scan(p, &u->reading);
}

/* Notes that the message's leading fields are known; the message is kept until it is complete. */
static void begin_whole(struct mt_proxy *p, struct mt_up *u)
{
	u->comes_whole = true;
	if (!u->msg_started)
		u->msg_started = p->now;
	look_through(p, u);
}

bool mt_up_give_up_reply(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_ref ref = u->self;
	struct mt_exchange *ex;
	enum mt_whose whose;

	if (!u->msg_started || !u->comes_whole || u->msg.kind != MT_MSG_REPLY || !u->msg.len)
		return false;
	whose = mt_match(p, u, &ex);
	if (whose == MT_WHOSE_NONE) {
		not_asked(p, u);
		return true;
	}
	skip_reply(p, u, u->msg.id, whose != MT_WHOSE_CALL);
	u->msg_started = 0;
	mt_reading_end_scan(p, &u->reading);
	if (ex)
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "out of memory");
	if (!mt_slab_live(&p->ups, ref) || !u->s)
		return true;
	mt_up_arm(p, u);
	mt_up_pump(p, u);
	return true;
}

/* Processes a complete message, after its scan if it needs one. */
static enum mt_step whole_message(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_ref ref = u->self;

	u->msg_started = 0;
	look_through(p, u);
	if (u->reading.scan &&
		!mt_reading_scan(p, &u->reading, u->lanes->codec, &u->msg, &u->s->rx))
		return MT_STEP_PART;
	mt_up_message(p, u);
	if (!mt_slab_live(&p->ups, ref) || !u->s)
		return MT_STEP_STOP;
	if (mt_unlikely(u->reading.scan))
		mt_reading_end_scan(p, &u->reading);
	mt_decoder_next(&u->dec);
	return MT_STEP_ON;
}

static enum mt_step part_of_message(struct mt_proxy *p, struct mt_up *u)
{
	if (!u->msg_started) {
		u->msg_started = p->now;
		u->comes_whole = false;
	}
	if (u->reading.scan)
		mt_reading_scan(p, &u->reading, u->lanes->codec, &u->msg, &u->s->rx);
	return MT_STEP_PART;
}

/* Bytes of the long reply that have not come yet; 0: none has begun. */
static uint32_t left_of_reply(const struct mt_proxy *p, const struct mt_up *u)
{
	const struct mt_attempt *a = mt_attempt_of(p, u->reply);

	return a ? a->reply_left : u->skip.left;
}

/* One step of the decode loop. */
static enum mt_step step(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_ref ref = u->self;
	struct mt_ref down;

	if (mt_unlikely(mt_up_in_reply(u))) {
		uint32_t left = left_of_reply(p, u);

		mt_up_continue_long(p, u);
		return mt_slab_live(&p->ups, ref) && u->s && left_of_reply(p, u) != left
			       ? MT_STEP_ON
			       : MT_STEP_STOP;
	}
	if (u->s->rx.len == 0 || !mt_reading_may(p, &u->reading))
		return MT_STEP_STOP;
	switch (mt_reading_decode(p, &u->reading, &u->dec, &u->msg)) {
	case MT_DECODE_MORE:
		return part_of_message(p, u);
	case MT_DECODE_LEADING:
		down = mt_unlikely(u->in_doubt) ? u->client : MT_REF_NONE;
		if (!mt_up_begin_long(p, u))
			begin_whole(p, u);
		if (mt_unlikely(!mt_ref_is_none(down)))
			mt_reply_settle(p, down);
		return mt_slab_live(&p->ups, ref) && u->s ? MT_STEP_ON : MT_STEP_STOP;
	case MT_DECODE_DONE:
		return whole_message(p, u);
	case MT_DECODE_BAD:
		mt_up_kill(p, u, MT_REPLY_BAD_REPLY, MT_PROXY_up_malformed);
		return MT_STEP_STOP;
	}
	return MT_STEP_STOP;
}

/*
 * True if a connection that carries one call at a time is free, not bound, and inside a message.
 * The next call's reply would have to wait for the end of this message.
 */
static bool brings_unasked(const struct mt_up *u)
{
	return !mt_up_shares(u) && !u->busy && !u->bound && u->state == MT_UP_OPEN &&
	       (u->s->rx.len || mt_up_in_reply(u));
}

/* Ends a run of the decode loop: frees or closes the connection, if the loop has put this off. */
static void after(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_ref ref = u->self;

	if (mt_unlikely(u->lanes->tls) && u->state == MT_UP_OPEN && mt_tls_stream_worn(u->s))
		mt_up_becomes(u, MT_UP_DRAINING);
	if (u->release) {
		u->release = false;
		/* Bytes that no call has requested must not be taken for the next call's reply. */
		if (mt_unlikely((u->s->rx.len && !u->bound) || mt_up_in_reply(u)))
			mt_up_becomes(u, MT_UP_DRAINING);
		mt_lane_free_conn(p, u);
	} else if (mt_unlikely(u->state == MT_UP_DRAINING && mt_up_nothing_awaited(u))) {
		mt_up_close(p, u, MT_PROXY_up_drained);
	} else if (mt_unlikely(brings_unasked(u))) {
		mt_up_drain(p, u);
	}
	if (!mt_slab_live(&p->ups, ref) || !u->s)
		return;
	if (mt_up_ended(u)) {
		mt_pool_user.peer_ended(p, u);
		return;
	}
	/*
	 * The timer has a new deadline: the connection is idle, inside a message, or has to decode
	 * again.
	 */
	if ((mt_up_shares(u) && u->outstanding == u->tombstones) || mt_up_in_reply(u) ||
		u->msg_started || u->retry_at)
		mt_up_arm(p, u);
	/* Calls may wait for a free slot. */
	if (mt_up_shares(u))
		mt_lane_hungry(p, u->lanes);
}

void mt_up_pump(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_ref ref = u->self;
	enum mt_step did;
	uint32_t epoch;

	if (!u->s || u->decoding || u->paused)
		return;
	if (mt_unlikely(p->running)) {
		mt_reading_again(p, &u->reading);
		return;
	}
	u->decoding = true;
	epoch = u->s->rx.epoch;
	do
		did = step(p, u);
	while (did == MT_STEP_ON && !u->paused);
	if (!mt_slab_live(&p->ups, ref) || !u->s)
		return;
	u->decoding = false;
	mt_rx_settle(u->s, did, epoch, u->reading.scan ? u->msg.len : UINT32_MAX);
	after(p, u);
}

void mt_up_resume(struct mt_proxy *p, struct mt_up *u)
{
	u->paused = false;
	mt_up_pump(p, u);
}
