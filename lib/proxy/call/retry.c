/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides about the calls on a server connection that ends. Calls that the server's application has
 * provably not read (mt_stream_unread()) are sent again in every protocol: first on any connection,
 * then on an unused one. Their bytes are retained (retained.c), or are copied out of the old
 * connection's send queue. The old connection is aborted before these calls are sent again, so that
 * no call can run twice. One-way calls that are acknowledged, or that the transport still delivers,
 * end as sent. All other calls may have run: unless their retry policy allows another attempt
 * (again.c), their clients get a local reply.
 */
#include "mt_mutant.h"
#include "call/mt_call_priv.h"

/* Times that a call is sent again; the last time on an unused connection. */
#define RETRIES 2

enum fate { FATE_LOST, FATE_RETRY, FATE_NOT_KNOWN };

/* Attempts (mt_attempt.node) that have left the connection and are still to be processed. */
struct ended {
	struct mt_list repeat, lost;
	struct mt_list unread; /* but not sent again, because take_back() failed */
	struct mt_list sent;   /* one-way; acknowledged, or the transport still delivers it */
};

/*
 * True if the call can be sent again although the server has a part of the request: the server
 * executes complete requests only, and the request is retained (TCP has freed the part).
 */
static bool needs_last(const struct mt_codec *codec, const struct mt_attempt *a)
{
	return codec->executes_whole && mt_attempt_exchange(a)->retained;
}

static enum fate fate_of(const struct mt_proxy *p, const struct mt_codec *codec,
	const struct mt_stream_end *e, const struct mt_attempt *a)
{
	/* While the server has not acknowledged this byte, the call may still prove unread. */
	uint64_t key = needs_last(codec, a) ? a->last - 1 : a->first;

	switch (mt_up_unread(p, e, a->first, a->last)) {
	case MT_UNREAD_PROVEN:
		return FATE_RETRY;
	case MT_UNREAD_IF_WHOLE_CLOSE:
		return codec->whole_close ? FATE_RETRY : FATE_LOST;
	case MT_UNREAD_IN_PART:
		return needs_last(codec, a) ? FATE_RETRY : FATE_LOST;
	case MT_UNREAD_UNKNOWN:
		break;
	}
	if (!p->conf.unread_strict && e->fin && !e->reset && !e->quiet && e->pos.acked <= key &&
		(codec->whole_close || e->resent <= key))
		return FATE_NOT_KNOWN;
	return FATE_LOST;
}

/*
 * Gives the exchange its request again. False: the call was sent too often, is of an origin that is
 * sent once only, or its bytes are not available: neither retained nor all in TCP's queue, or
 * memory is short.
 */
static bool take_back(struct mt_proxy *p, const struct mt_stream *s, const struct mt_attempt *a)
{
	struct mt_exchange *ex = mt_attempt_exchange(a);

	if (ex->retries >= RETRIES || !mt_call_rules_of(ex)->sent_again)
		return false;
	if (ex->retained)
		return mt_retained_restore(p, ex) == 0;
	return mt_stream_reclaim(s, a->first, a->last, &ex->req) == 0;
}

/* Position of a walk over the attempts that are outstanding on a connection. */
struct walk {
	uint32_t slot;
	struct mt_list *behind, *unacked; /* next node of each list; NULL: not begun */
};

static struct mt_attempt *next_unringed(struct mt_proxy *p, struct mt_up *u, struct walk *w)
{
	struct mt_list *n = w->behind;

	if (!n) {
		struct mt_attempt *a = mt_attempt_of(p, u->exchange);

		n = w->behind = u->behind.next;
		if (a)
			return a;
	}
	if (n == &u->behind)
		return NULL;
	w->behind = n->next;
	return mt_list_entry(n, struct mt_attempt, node);
}

static struct mt_attempt *next_unacked(struct mt_up *u, struct walk *w)
{
	struct mt_list *n = w->unacked ? w->unacked : u->unacked.next;

	if (n == &u->unacked)
		return NULL;
	w->unacked = n->next;
	return mt_list_entry(n, struct mt_attempt, node);
}

static struct mt_attempt *next_ringed(struct mt_proxy *p, struct mt_up *u, struct walk *w)
{
	while (w->slot < p->conf.ring_slots && u->outstanding > u->tombstones) {
		struct mt_attempt *a = mt_attempt_of(p, u->ring[w->slot++].exchange);

		if (a)
			return a;
	}
	return NULL;
}

/* The next attempt; NULL: none. The caller may take it off the connection before it calls again. */
static struct mt_attempt *next_out(struct mt_proxy *p, struct mt_up *u, struct walk *w)
{
	struct mt_attempt *a = u->ring ? next_ringed(p, u, w) : next_unringed(p, u, w);

	return a ? a : next_unacked(u, w);
}

/* Takes the attempt off the connection, into the list `to`. */
static void leave(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a, struct mt_list *to)
{
	if (a->state == MT_ATTEMPT_UNACKED)
		mt_list_del(&a->node);
	else if (u->ring)
		mt_ring_bury(u, mt_ring_find(p, u, a->up_id));
	else
		mt_oneway_off(p, u, a);
	if (mt_unlikely(mt_ref_eq(u->reply, mt_attempt_exchange(a)->self)))
		mt_up_skip_rest(u, a);
	a->up = MT_REF_NONE;
	mt_list_add_tail(to, &a->node);
}

static void begin(struct mt_up *u, const struct mt_stream_end *e, struct ended *out)
{
	mt_list_init(&out->repeat);
	mt_list_init(&out->lost);
	mt_list_init(&out->unread);
	mt_list_init(&out->sent);
	mt_unacked_take(u, e->pos.acked, &out->sent);
}

static void take_all(struct mt_proxy *p, struct mt_up *u, const struct mt_stream *s,
	const struct mt_stream_end *e, struct ended *out)
{
	const struct mt_codec *codec = u->lanes->codec;
	struct mt_attempt *a;
	struct walk w = {0};

	begin(u, e, out);
	while ((a = next_out(p, u, &w))) {
		bool again = fate_of(p, codec, e, a) == FATE_RETRY ||
			     mt_mutant(MT_MUTANT_retried_after_sent);
		struct mt_list *to = again ? &out->unread : &out->lost;

		leave(p, u, a, again && take_back(p, s, a) ? &out->repeat : to);
	}
}

/*
 * Moves lost one-way calls to the sent ones: the transport still delivers their bytes, and they
 * need no reply.
 */
static void let_go(struct ended *out)
{
	struct mt_list *n, *tmp;

	mt_list_foreach_safe (n, tmp, &out->lost) {
		if (mt_list_entry(n, struct mt_attempt, node)->state != MT_ATTEMPT_UNACKED)
			continue;
		mt_list_del(n);
		mt_list_add_tail(&out->sent, n);
	}
}

void mt_exchange_retry_unread(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_context_failed(p, ex, MT_ENDING_connection_lost);
	mt_exchange_detach(p, ex);
	if (ex->unacked)
		mt_unacked_again(p, ex);
	mt_exchange_becomes(ex, MT_EX_ROUTING);
	ex->retries++;
	mt_count(p->counters, MT_PROXY_exchange_transparent_retry);
	mt_exchange_trace_retry_unread(p, ex);
	ex->tried = 0;
	ex->attempt.fresh = ex->retries == RETRIES;
	ex->step = MT_CALL_ENDPOINT;
	mt_call_run(p, ex);
}

/* Ends a failed attempt. True if the attempt is counted as a failure of the endpoint. */
static bool fail(struct mt_proxy *p, struct mt_attempt *a, enum mt_retry_on why,
	enum mt_local_reply what, const char *text)
{
	struct mt_exchange *ex = mt_attempt_exchange(a);

	if (a->state != MT_ATTEMPT_UNACKED && mt_oneway_lost(p, a))
		return false;
	mt_account_failed(p, a);
	if (!mt_again(p, ex, why, what))
		mt_reply_local(p, ex, what, text);
	return true;
}

/*
 * Ends the attempts of all lists, or sends their calls again. Each end may end connections and
 * other attempts, which leave these lists by themselves. True if any attempt is counted as a
 * failure of the endpoint.
 */
static bool deal_with(
	struct mt_proxy *p, struct ended *e, enum mt_local_reply what, const char *text)
{
	bool counted = false;
	struct mt_list *n;

	while ((n = mt_list_first(&e->sent))) {
		struct mt_exchange *ex =
			mt_attempt_exchange(mt_list_entry(n, struct mt_attempt, node));
		struct mt_ref down = ex->down;

		mt_list_del(n);
		mt_unacked_end(p, ex);
		mt_reply_settle(p, down);
	}
	while ((n = mt_list_first(&e->lost))) {
		mt_list_del(n);
		counted |= fail(
			p, mt_list_entry(n, struct mt_attempt, node), MT_RETRY_LOST, what, text);
	}
	while ((n = mt_list_first(&e->unread))) {
		mt_list_del(n);
		counted |= fail(
			p, mt_list_entry(n, struct mt_attempt, node), MT_RETRY_UNREAD, what, text);
	}
	while ((n = mt_list_first(&e->repeat))) {
		mt_list_del(n);
		mt_exchange_retry_unread(
			p, mt_attempt_exchange(mt_list_entry(n, struct mt_attempt, node)));
	}
	return counted;
}

/* Retries calls that waited for the connection to open; they were not sent. */
static void retry_waiting(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_list *n;

	while ((n = mt_list_first(&u->waiting))) {
		struct mt_attempt *a = mt_list_entry(n, struct mt_attempt, node);

		mt_list_del(n);
		u->n_waiting--;
		a->up = MT_REF_NONE;
		u->exchange = MT_REF_NONE;
		mt_exchange_retry(p, mt_attempt_exchange(a), MT_REPLY_NO_ENDPOINT);
	}
}

struct mt_up_lost mt_up_end_calls(struct mt_proxy *p, struct mt_up *u, struct mt_stream *s,
	enum mt_up_end how, enum mt_local_reply what, const char *text, enum mt_abort_reason why)
{
	struct mt_up_lost lost;
	struct mt_stream_end end;
	struct ended e;
	bool abort;

	mt_up_becomes(u, MT_UP_DRAINING); /* so that no call takes the connection */
	if (mt_mutant(MT_MUTANT_lost_exchange))
		u->outstanding = u->tombstones = 0;
	retry_waiting(p, u);
	mt_stream_end(s, &end);
	take_all(p, u, s, &end, &e);
	abort = how == MT_UP_END_ABORT || !mt_list_empty(&e.repeat) || !mt_list_empty(&e.unread);
	if (how == MT_UP_END_DETACH && !abort && !end.fin)
		let_go(&e);
	lost.any = !mt_list_empty(&e.lost) || !mt_list_empty(&e.unread);
	if (how != MT_UP_END_GONE && abort)
		mt_stream_abort(s, why);
	else if (how == MT_UP_END_DETACH)
		mt_stream_detach(s);
	lost.counted = deal_with(p, &e, what, text);
	return lost;
}

/* True if it is still unknown whether some call was read. Calls that are known to be lost end. */
static bool must_wait(struct mt_proxy *p, struct mt_up *u)
{
	const struct mt_codec *codec = u->lanes->codec;
	struct ended out;
	struct mt_stream_end e;
	struct mt_attempt *a;
	bool wait = false;
	struct walk w = {0};

	mt_stream_end(u->s, &e);
	begin(u, &e, &out);
	while ((a = next_out(p, u, &w))) {
		enum fate fate = fate_of(p, codec, &e, a);

		/* A sent one-way call needs only an acknowledgement, which may still come. */
		if (a->state == MT_ATTEMPT_UNACKED && fate == FATE_LOST && !e.reset)
			fate = FATE_NOT_KNOWN;
		wait |= fate == FATE_NOT_KNOWN;
		if (fate == FATE_LOST)
			leave(p, u, a, &out.lost);
	}
	deal_with(p, &out, MT_REPLY_CONN_LOST, "upstream connection closed");
	return wait;
}

void mt_up_peer_ended(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_ref ref = u->self;
	bool first = u->ended_at == 0, wait;

	if (first)
		u->ended_at = p->now;
	mt_up_becomes(u, MT_UP_DRAINING);
	u->look_at = 0;
	if (first && u->in_doubt && u->s->tx_shut) {
		mt_oneway_confirm(p, u);
		if (!mt_slab_live(&p->ups, ref) || !u->s)
			return;
	}
	wait = must_wait(p, u);
	if (!mt_slab_live(&p->ups, ref) || !u->s)
		return;
	if (!wait || p->now >= u->ended_at + MT_LOOK_UNTIL) {
		mt_up_close(p, u, MT_PROXY_up_eof);
		return;
	}
	u->look_at = p->now + MT_LOOK_AGAIN;
	mt_up_arm(p, u);
}
