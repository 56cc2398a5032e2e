/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of the calls on a server's connection that ends. Those that the server's application provably has not read
 * (mt_stream_unread()) are sent again, whatever the protocol: first on any connection, then on a fresh one. Their bytes are
 * copied out of the old connection's send queue, and it is aborted before they leave again, so that none can run twice. All
 * others may have run: their clients are told.
 */
#include "mt_mutant.h"
#include "mt_proxy_priv.h"

/* Times that a call is sent again; the last time on a fresh connection. */
#define REPEATS 2

enum fate { FATE_LOST, FATE_REPEAT, FATE_NOT_KNOWN };

/* Attempts (mt_attempt.node) that have left the connection and are not dealt with yet. */
struct ended {
	struct mt_list repeat, lost;
	struct mt_list sent; /* one-way, and acknowledged or still to be delivered */
};

static enum fate fate_of(const struct mt_proxy *p, const struct mt_codec *codec,
	const struct mt_stream_end *e, const struct mt_attempt *a)
{
	switch (mt_up_unread(p, e, a->first, a->last)) {
	case MT_UNREAD_PROVEN:
		return FATE_REPEAT;
	case MT_UNREAD_IF_WHOLE_CLOSE:
		return codec->whole_close ? FATE_REPEAT : FATE_LOST;
	case MT_UNREAD_UNKNOWN:
		break;
	default:
		return FATE_LOST; /* the part that was acknowledged is not held any more */
	}
	if (!p->conf.unread_strict && e->fin && !e->reset && !e->quiet &&
		e->pos.acked <= a->first && (codec->whole_close || e->resent <= a->first))
		return FATE_NOT_KNOWN;
	return FATE_LOST;
}

/* Its bytes are the exchange's again. false: they can't be had, or it was sent often enough. */
static bool take_back(struct mt_proxy *p, const struct mt_stream *s, const struct mt_attempt *a)
{
	struct mt_exchange *ex = mt_attempt_exchange(p, a);

	return ex->repeats < REPEATS && mt_stream_reclaim(s, a->first, a->last, &ex->req) == 0;
}

/* Where a walk over the attempts that are out on a connection stands. */
struct walk {
	uint32_t slot;
	struct mt_list *behind, *unacked; /* the next one */
};

static struct mt_attempt *next_unringed(struct mt_proxy *p, struct mt_up *u, struct walk *w)
{
	struct mt_list *n = w->behind;

	if (!n) {
		struct mt_attempt *a = mt_slab_get(&p->attempts, u->attempt);

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
		struct mt_attempt *a = mt_slab_get(&p->attempts, u->ring[w->slot++].attempt);

		if (a)
			return a;
	}
	return NULL;
}

/* The next attempt; NULL: none left. It may leave the connection before the one behind it is asked for. */
static struct mt_attempt *next_out(struct mt_proxy *p, struct mt_up *u, struct walk *w)
{
	struct mt_attempt *a = u->ring ? next_ringed(p, u, w) : next_unringed(p, u, w);

	return a ? a : next_unacked(u, w);
}

/* The connection knows it no more. */
static void leave(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a, struct mt_list *to)
{
	if (a->state == MT_ATTEMPT_UNACKED)
		mt_list_del(&a->node);
	else if (u->ring)
		mt_ring_bury(u, mt_ring_find(p, u, a->up_id));
	else
		mt_oneway_off(p, u, a);
	a->up = MT_REF_NONE;
	mt_list_add_tail(to, &a->node);
}

static void begin(struct mt_up *u, const struct mt_stream_end *e, struct ended *out)
{
	mt_list_init(&out->repeat);
	mt_list_init(&out->lost);
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
		bool again = fate_of(p, codec, e, a) == FATE_REPEAT ||
			     mt_mutant(MT_MUTANT_retried_after_sent);

		again = again && take_back(p, s, a);
		leave(p, u, a, again ? &out->repeat : &out->lost);
	}
}

/* The transport goes on with what it has: one-way calls among it need no more than that. */
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

void mt_exchange_repeat(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_exchange_detach(p, ex);
	if (ex->unacked)
		mt_unacked_again(p, ex);
	ex->state = MT_EX_ROUTING;
	ex->repeats++;
	mt_count(p->counters, MT_PROXY_exchange_transparent_retry);
	mt_exchange_trace_repeat(p, ex);
	ex->tried = 0;
	ex->fresh = ex->repeats == REPEATS;
	if (ex->cluster)
		mt_dispatch_pick(p, ex);
	else
		mt_dispatch_again(p, ex);
}

/* True if it is counted as a failure of the endpoint. */
static bool fail(
	struct mt_proxy *p, struct mt_attempt *a, enum mt_local_reply what, const char *text)
{
	if (a->state != MT_ATTEMPT_UNACKED && mt_oneway_lost(p, a))
		return false;
	mt_account_failed(p, a);
	mt_reply_local(p, mt_attempt_exchange(p, a), what, text);
	return true;
}

/*
 * Each may end others, which leave the lists by themselves, and the connection. True if any is
 * counted as a failure of the endpoint.
 */
static bool deal_with(
	struct mt_proxy *p, struct ended *e, enum mt_local_reply what, const char *text)
{
	bool counted = false;
	struct mt_list *n;

	while ((n = mt_list_first(&e->sent))) {
		struct mt_exchange *ex =
			mt_attempt_exchange(p, mt_list_entry(n, struct mt_attempt, node));
		struct mt_ref down = ex->down;

		mt_list_del(n);
		mt_unacked_end(p, ex);
		mt_reply_settle(p, down);
	}
	while ((n = mt_list_first(&e->lost))) {
		mt_list_del(n);
		counted |= fail(p, mt_list_entry(n, struct mt_attempt, node), what, text);
	}
	while ((n = mt_list_first(&e->repeat))) {
		mt_list_del(n);
		mt_exchange_repeat(
			p, mt_attempt_exchange(p, mt_list_entry(n, struct mt_attempt, node)));
	}
	return counted;
}

/* Those that waited for the connection to open were never given to it. */
static void retry_waiting(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_list *n;

	while ((n = mt_list_first(&u->waiting))) {
		struct mt_attempt *a = mt_list_entry(n, struct mt_attempt, node);

		mt_list_del(n);
		u->n_waiting--;
		a->up = MT_REF_NONE;
		u->attempt = MT_REF_NONE;
		mt_exchange_retry(p, mt_attempt_exchange(p, a), MT_REPLY_NO_ENDPOINT);
	}
}

struct mt_up_lost mt_up_end_calls(struct mt_proxy *p, struct mt_up *u, struct mt_stream *s,
	enum mt_up_end how, enum mt_local_reply what, const char *text, enum mt_abort_reason why)
{
	struct mt_up_lost lost;
	struct mt_stream_end end;
	struct ended e;
	bool abort;

	u->state = MT_UP_DRAINING; /* no attempt finds it any more */
	if (mt_mutant(MT_MUTANT_lost_exchange))
		u->outstanding = u->tombstones = 0;
	retry_waiting(p, u);
	mt_stream_end(s, &end);
	take_all(p, u, s, &end, &e);
	abort = how == MT_UP_END_ABORT || !mt_list_empty(&e.repeat);
	if (how == MT_UP_END_DETACH && !abort && !end.fin)
		let_go(&e);
	lost.any = !mt_list_empty(&e.lost);
	if (how != MT_UP_END_GONE && abort)
		mt_stream_abort(s, why);
	else if (how == MT_UP_END_DETACH)
		mt_stream_detach(s);
	lost.counted = deal_with(p, &e, what, text);
	return lost;
}

/* Whether it is not known yet of some call whether it was read; the others that are lost are told. */
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

		/* It awaits nothing but an acknowledgement, which may still come. */
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
	u->state = MT_UP_DRAINING;
	u->look_at = 0;
	if (first && mt_up_in_doubt(u) && u->s->tx_shut) {
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
