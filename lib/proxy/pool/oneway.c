/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that look two-way and have no reply: Apache's Thrift library for Go sends one-way methods
 * as type CALL. Waiting for a reply would hold a serial connection and, because replies are
 * ordered, all later calls of the client. methods.c learns such methods. Serial protocols only.
 * - In doubt: a server executes the calls of a serial connection in order. So after a call of a
 *   method that is not known to answer, the client's next call shares the connection. If a hash
 *   selects another endpoint, the next call goes there instead. mt_down.serial is the shared
 *   connection, mt_up.client the client, mt_up.exchange the first call; mt_up.behind has the
 *   others. Only the time-out of the last call runs, for all of them. If the last call ends alone,
 *   the time-out of the call before it runs again.
 * - Evidence: a reply belongs to the call with its id (without echoed ids: to the first call of its
 *   method). Earlier calls of the connection have no reply and end as one-way calls. Three such
 *   observations without any reply make a method silent. One reply that is not a protocol error
 *   makes the method one that answers, for good.
 * - Calls of silent methods end when they are sent, if no reply to an earlier call of the client is
 *   outstanding and the server reads. Otherwise they keep their place in order. Without evidence a
 *   call without a reply gets a local reply at its time-out.
 * - Wrong guesses: a connection on which a call had no reply is *bound* to its client for as long
 *   as both exist. If no call waits for a reply on it, the client gets this reply with the client's
 *   id, without reply filters. The ids of the last 64 unanswered calls are kept for this. The
 *   reply's method then counts as one that answers.
 * - Test by FIN (mt_oneway_ask()): a server finishes when it gets a FIN. Meltemi sends the FIN if
 *   the client ends or leaves after a call that may be one-way, or if such a call expires. It also
 *   sends the FIN if 64 calls wait after a call that was sent a second ago, or if a connection is
 *   needed. A server's FIN without a reply is one observation. After the time-out of a message the
 *   connection is reset.
 * - Limits: bound connections are at most a quarter of an endpoint's serial ones (at least one);
 *   above that the longest idle one is closed. If calls wait for a connection, as many connections
 *   are closed as calls wait, the longest idle ones first. The number of calls in doubt has no
 *   limit. If they take all serial connections of an endpoint, the later calls that would be
 *   evidence may wait until their time-out. A FIN could bring evidence, but calls would be lost at
 *   a server that does not answer after a FIN.
 */
#include "pool/mt_pool_priv.h"

/*
 * A FIN tests if replies will come. Meltemi sends it when MANY calls wait after the first call on a
 * connection, and the first call was sent MANY_FOR ago.
 */
#define MANY	 64
#define MANY_FOR MT_SEC

/* ---- the connection that a client's calls share ---------------------------------------------- */

static uint64_t owner_of(const struct mt_attempt *a)
{
	const struct mt_exchange *ex = mt_attempt_exchange(a);

	return ex->service ? ex->service->owner : 0;
}

/* The last call on the connection, or the last that waits until it is open; NULL: none. */
static struct mt_attempt *last_call(struct mt_proxy *p, const struct mt_up *u)
{
	if (!mt_list_empty(&u->waiting))
		return mt_list_entry(u->waiting.prev, struct mt_attempt, node);
	if (!mt_list_empty(&u->behind))
		return mt_list_entry(u->behind.prev, struct mt_attempt, node);
	return mt_attempt_of(p, u->exchange);
}

static struct mt_attempt *first_call(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_attempt *a = mt_attempt_of(p, u->exchange);
	struct mt_list *n = mt_list_first(&u->behind);

	return a || !n ? a : mt_list_entry(n, struct mt_attempt, node);
}

/* The next call on the connection; NULL: `a` is the last. */
static struct mt_attempt *next_call(struct mt_up *u, struct mt_attempt *a)
{
	struct mt_list *n = mt_list_linked(&a->node) ? a->node.next : u->behind.next;

	return n == &u->behind ? NULL : mt_list_entry(n, struct mt_attempt, node);
}

static struct mt_up *of_client(struct mt_proxy *p, const struct mt_exchange *ex)
{
	struct mt_down *d = mt_exchange_down(p, ex);
	struct mt_up *u;

	if (mt_likely(mt_ref_is_none(d->serial)))
		return NULL;
	u = mt_slab_get(&p->ups, d->serial);
	if (!u || !u->s || !mt_ref_eq(u->client, ex->down)) {
		d->serial = MT_REF_NONE;
		return NULL;
	}
	/*
	 * The connection takes no further call, or the call does not share one: it is one-way, is
	 * sent in parts, or needs an unused connection.
	 */
	if (u->state == MT_UP_DRAINING || u->s->rx_eof || ex->oneway || ex->in_message ||
		ex->attempt.fresh)
		return NULL;
	return u;
}

/* True if the client's next call goes to this connection, too. */
static bool shares(struct mt_proxy *p, const struct mt_up *u)
{
	const struct mt_attempt *a = last_call(p, u);

	if (a && a->state == MT_ATTEMPT_SENDING)
		return false;
	if (a && mt_method_known(p, a) != MT_METHOD_ANSWERS)
		return true;
	/*
	 * The last call is not in doubt: share a bound connection, unless other calls wait for a
	 * connection.
	 */
	return u->bound && !u->lanes->fair[MT_FAIR_NARROW];
}

struct mt_up *mt_oneway_shared(
	struct mt_proxy *p, const struct mt_lanes *ln, const struct mt_exchange *ex)
{
	struct mt_up *u = of_client(p, ex);

	return mt_unlikely(u) && u->lanes == ln && shares(p, u) ? u : NULL;
}

/* Position of the connection's endpoint in the cluster; n_eps: it is not there. */
static uint32_t place_of(const struct mt_cluster *c, struct mt_up *u)
{
	const struct mt_ep_state *ep = u->lanes->state;

	/* Each cluster has its own endpoint states. */
	if (u->lanes->cluster_index != c->index)
		return c->n_eps;
	if (u->ep_at < c->n_eps && c->eps[u->ep_at].state == ep)
		return u->ep_at;
	for (uint32_t i = 0; i < c->n_eps; i++)
		if (c->eps[i].state == ep)
			return u->ep_at = i;
	return c->n_eps;
}

const struct mt_endpoint *mt_oneway_bound(struct mt_proxy *p, struct mt_exchange *ex)
{
	const struct mt_cluster *c = ex->attempt.cluster;
	struct mt_up *u = of_client(p, ex);
	uint32_t at;

	if (mt_likely(!u))
		return NULL;
	if (!mt_codec_same(u->lanes->codec, ex->codec) || mt_lb_hashes(c->lb) || !shares(p, u))
		return NULL;
	at = place_of(c, u);
	if (at == c->n_eps || (at < 64 && ex->tried >> at & 1) || !mt_cluster_usable(c, at, p->now))
		return NULL;
	if (at < 64)
		ex->tried |= 1ull << at;
	return &c->eps[at];
}

/* ---- calls go out, and end without a reply --------------------------------------------------- */

static void append(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a)
{
	struct mt_attempt *last = mt_list_empty(&u->behind)
					  ? mt_attempt_of(p, u->exchange)
					  : mt_list_entry(u->behind.prev, struct mt_attempt, node);

	/*
	 * Replies to later calls show if `last` has a reply. So its time-out ends, and that of `a`
	 * is for both.
	 */
	if (last)
		mt_deadline_cancel(&mt_attempt_exchange(last)->deadline);
	mt_list_add_tail(&u->behind, &a->node);
	if (++u->n_behind == MANY)
		mt_up_arm(p, u);
}

void mt_oneway_begin(struct mt_proxy *p, struct mt_up *u, const struct mt_exchange *ex)
{
	struct mt_down *d = mt_exchange_down(p, ex);

	u->in_doubt = true;
	u->client = ex->down;
	u->owner = ex->service ? ex->service->owner : 0;
	if (mt_likely(d))
		d->serial = u->self;
}

void mt_oneway_sent(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a)
{
	const struct mt_exchange *ex = mt_attempt_exchange(a);
	struct mt_down *d = mt_exchange_down(p, ex);
	const struct mt_attempt *first = first_call(p, u);

	if (!first) {
		u->exchange = mt_attempt_exchange(a)->self;
		u->busy = true;
	} else if (first != a) {
		append(p, u, a);
	}
	if (a->knows == MT_METHOD_ANSWERS)
		return;
	/*
	 * Do not set d->serial, because later calls may have taken another connection while this
	 * call waited.
	 */
	u->owner = ex->service ? ex->service->owner : 0;
	if (mt_likely(d) && mt_unlikely(d->eof) && !ex->in_message)
		mt_oneway_ask(p, u);
}

void mt_oneway_ask(struct mt_proxy *p, struct mt_up *u)
{
	if (!u->s || u->s->tx_shut || u->state == MT_UP_CONNECTING || !mt_list_empty(&u->waiting))
		return;
	mt_count(p->counters, MT_PROXY_up_half_closed);
	mt_oneway_unbound(u);
	mt_up_becomes(u, MT_UP_DRAINING);
	u->busy = true; /* until the connection ends, at skip_until at the latest */
	u->skip_until = p->now + p->conf.message_ms * MT_MSEC;
	mt_stream_shutdown(u->s);
	mt_up_arm(p, u);
}

/*
 * True if the end of the connection depends on the server alone: Meltemi has sent a FIN, and no
 * call waits for a reply.
 */
static bool is_ending(const struct mt_up *u)
{
	return u->s && u->s->tx_shut && mt_ref_is_none(u->exchange) && mt_list_empty(&u->behind);
}

/* True if as many connections are ending as calls wait; the end of each one makes room. */
static bool is_room_coming(const struct mt_lanes *ln, uint32_t waiting)
{
	const struct mt_list *n;
	uint32_t ending = 0;

	mt_list_foreach (n, &ln->conns[MT_UP_SERIAL])
		if (is_ending(mt_list_entry(n, struct mt_up, node)) && ++ending >= waiting)
			return true;
	return false;
}

/* Sends a FIN on the bound connection that has been idle for longest. False: there is none. */
static bool end_idle(struct mt_proxy *p, struct mt_lanes *ln)
{
	struct mt_list *n, *conns = &ln->conns[MT_UP_SERIAL];

	for (n = conns->prev; n != conns; n = n->prev) {
		struct mt_up *u = mt_list_entry(n, struct mt_up, node);

		if (u->counted && !u->busy) {
			mt_oneway_ask(p, u);
			return true;
		}
	}
	return false;
}

void mt_oneway_make_room(struct mt_proxy *p, struct mt_lanes *ln, uint32_t waiting)
{
	if (mt_unlikely(ln->n_bound) && !is_room_coming(ln, waiting))
		end_idle(p, ln);
}

/* Binds the connection to its client, because a call on it had no reply. */
static void bind(struct mt_proxy *p, struct mt_up *u)
{
	uint32_t most = mt_lanes_serial_max(p, u->lanes) / 4;

	if (u->bound)
		return;
	u->bound = true;
	if (u->state == MT_UP_DRAINING)
		return;
	u->counted = true;
	if (++u->lanes->n_bound > MT_MAX(most, 1u) && !end_idle(p, u->lanes))
		mt_oneway_ask(p, u);
}

void mt_oneway_unbound(struct mt_up *u)
{
	if (!u->counted)
		return;
	u->counted = false;
	u->lanes->n_bound--;
}

/* ---- unanswered calls of a bound connection -------------------------------------------------- */

static struct mt_unanswered *unanswered_of(struct mt_proxy *p, const struct mt_up *u)
{
	return u->unanswered_at ? mt_slab_at(&p->unanswered, u->unanswered_at - 1) : NULL;
}

/*
 * Finds the unanswered call with this id. id 0: the first call of the method, preferably one that
 * was not overtaken. NULL: there is none in the ring, which keeps the last MT_UNANSWERED.
 */
static struct mt_unanswered_call *find_unanswered(
	struct mt_proxy *p, struct mt_up *u, uint64_t id, uint64_t method)
{
	struct mt_unanswered *t = unanswered_of(p, u);
	struct mt_unanswered_call *overtaken = NULL;

	for (uint32_t i = 0; t && i < MT_UNANSWERED; i++) {
		struct mt_unanswered_call *c = &t->call[(t->n + i) % MT_UNANSWERED];

		if (!c->used || (id ? c->given != id : c->method != method))
			continue;
		if (id || !c->overtaken)
			return c;
		overtaken = overtaken ? overtaken : c;
	}
	mt_reading_spend(p, &u->reading, t ? MT_UNANSWERED : 0);
	return overtaken;
}

/* Records a call without a reply. If memory is short, a reply that still comes is skipped. */
static void note_unanswered(struct mt_proxy *p, struct mt_up *u, const struct mt_attempt *a)
{
	const struct mt_exchange *ex = mt_attempt_exchange(a);
	struct mt_unanswered *t = unanswered_of(p, u);

	if (!t) {
		t = mt_slab_alloc(&p->unanswered, NULL);
		if (!t)
			return;
		u->unanswered_at = mt_slab_idx(&p->unanswered, t) + 1;
	}
	t->call[t->n++ % MT_UNANSWERED] = (struct mt_unanswered_call){
		.used = true,
		.aux = ex->seed.aux,
		.given = a->up_id,
		.method = a->method,
		.id = ex->seed.id,
	};
}

/* Marks the recorded calls as overtaken, because a later call is answered. */
static void overtake_unanswered(struct mt_proxy *p, const struct mt_up *u)
{
	struct mt_unanswered *t = unanswered_of(p, u);

	for (uint32_t i = 0; t && i < MT_UNANSWERED; i++)
		t->call[i].overtaken = true;
}

bool mt_oneway_silent(struct mt_proxy *p, struct mt_up *u, const struct mt_attempt *a)
{
	const struct mt_exchange *ex = mt_attempt_exchange(a);
	struct mt_down *d = mt_exchange_down(p, ex);

	/*
	 * If earlier calls are outstanding, or the server does not read, the call keeps its place
	 * in order.
	 */
	if (first_call(p, u) != a || (d && !mt_reply_is_first(d, ex)) ||
		mt_stream_sendable(u->s) == 0)
		return false;
	note_unanswered(p, u, a);
	bind(p, u);
	return true;
}

/* The call will get no reply: ends it as a one-way call. */
static void end_silent(struct mt_proxy *p, struct mt_attempt *a)
{
	struct mt_exchange *ex = mt_attempt_exchange(a);
	struct mt_up *u = mt_slab_get(&p->ups, a->up);

	if (u) { /* else its connection has ended */
		note_unanswered(p, u, a);
		mt_oneway_off(p, u, a);
	}
	a->up = MT_REF_NONE;
	mt_account_oneway(p, ex, true);
	ex->oneway = true;
	mt_pool_user.ended(p, ex);
}

void mt_oneway_off(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a)
{
	if (mt_attempt_of(p, u->exchange) == a) {
		u->exchange = MT_REF_NONE;
		return;
	}
	mt_list_del(&a->node);
	u->n_behind--;
}

struct mt_exchange *mt_oneway_untimed(struct mt_proxy *p, const struct mt_up *u)
{
	const struct mt_attempt *a = last_call(p, u);
	struct mt_exchange *ex = a ? mt_attempt_exchange(a) : NULL;

	/* A call has no time-out while its reply is forwarded. */
	if (!ex || a->receive != MT_RECEIVE_NONE)
		return NULL;
	return mt_list_linked(&ex->deadline.node) ? NULL : ex;
}

void mt_oneway_next(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_attempt *a = mt_list_entry(u->behind.next, struct mt_attempt, node);

	mt_oneway_off(p, u, a);
	u->exchange = mt_attempt_exchange(a)->self;
}

/* ---- replies --------------------------------------------------------------------------------- */

/* Finds the outstanding call with this id; id 0: the first one of the method. */
static struct mt_attempt *find_call(
	struct mt_proxy *p, struct mt_up *u, uint64_t id, uint64_t method)
{
	struct mt_attempt *a = first_call(p, u);
	uint32_t passed = 0;

	for (; a && (id ? a->up_id != id : a->method != method); passed++)
		a = next_call(u, a);
	mt_reading_spend(p, &u->reading, passed); /* charge the search, also if it finds no call */
	return a;
}

/* `a` is answered: ends the calls before it as calls without a reply. */
static void end_before(struct mt_proxy *p, struct mt_up *u, const struct mt_attempt *a)
{
	struct mt_attempt *before;
	uint64_t seen = 0;

	while ((before = first_call(p, u)) != a) {
		/* Successive calls of one method are one observation. */
		if (before->method_key != seen)
			mt_method_silent(p, before->method_key, owner_of(before));
		seen = before->method_key;
		end_silent(p, before);
		bind(p, u);
	}
	if (mt_attempt_of(p, u->exchange) != a)
		mt_oneway_next(p, u);
}

/*
 * False for a protocol error, because such a reply does not show that the method answers. A server
 * also sends errors for methods that it does not have, and for one-way calls that it cannot run.
 */
static bool teaches(const struct mt_up *u)
{
	return u->msg.status != MT_STATUS_SERVER_ERROR;
}

/*
 * Matches a reply that answers no outstanding call. id 0: the connection has not given out the id
 * of this reply.
 */
static enum mt_whose match_ended(struct mt_proxy *p, struct mt_up *u, uint64_t id, uint64_t method)
{
	const struct mt_down *d = u->bound ? mt_slab_get(&p->downs, u->client) : NULL;
	bool left = u->busy && !u->release && !first_call(p, u);

	if (teaches(u))
		mt_method_answers(p, mt_method_key(method, u->owner), u->owner, left);
	if (d && d->s && find_unanswered(p, u, id, method))
		return MT_WHOSE_CLIENT;
	if (!id && !left)
		return MT_WHOSE_NONE;
	mt_count(p->counters, MT_PROXY_up_late_reply);
	/*
	 * If the last call ended before its reply (`left`), this reply is the last one that was
	 * awaited.
	 */
	return left ? MT_WHOSE_CALL : MT_WHOSE_LATE;
}

mt_noinline enum mt_whose mt_oneway_match(
	struct mt_proxy *p, struct mt_up *u, struct mt_exchange **ex)
{
	uint64_t id = mt_id_given(u, u->msg.id) ? u->msg.id : 0, method;
	const struct mt_unanswered_call *c;
	struct mt_attempt *a = NULL;

	if (!id && !mt_match_by_position(u))
		return MT_WHOSE_NONE;
	method = mt_method_of_reply(p, u);
	/*
	 * Without ids, replies come in the order of their calls. The unanswered calls were sent
	 * before the outstanding ones. So an unanswered call of the method comes first, unless a
	 * later call was answered.
	 */
	c = id ? NULL : find_unanswered(p, u, 0, method);
	if (!c || c->overtaken)
		a = find_call(p, u, id, method);
	if (!a)
		return match_ended(p, u, id, method);
	mt_ids_learn(p, u, id ? MT_IDS_ECHOED : MT_IDS_ABSENT);
	end_before(p, u, a);
	if (!id)
		overtake_unanswered(p, u);
	if (teaches(u))
		mt_method_answers(p, a->method_key, owner_of(a), true);
	*ex = mt_attempt_exchange(a);
	return MT_WHOSE_CALL;
}

void mt_oneway_pass(struct mt_proxy *p, struct mt_up *u)
{
	const struct mt_codec *codec = u->lanes->codec;
	uint64_t id = mt_id_given(u, u->msg.id) ? u->msg.id : 0;
	struct mt_unanswered_call *c = find_unanswered(p, u, id, mt_method_of_reply(p, u));
	struct mt_seed seed = {.id = c->id, .aux = c->aux};
	struct mt_chain reply = {0};
	uint32_t len = u->msg.len;

	*c = (struct mt_unanswered_call){0};
	mt_count(p->counters, MT_PROXY_oneway_answered);
	if (mt_unlikely(mt_chain_split(&u->s->rx, len, &reply, p->pools))) {
		mt_chain_drop(&u->s->rx, len - reply.len);
	} else if (mt_codec_restore_id(codec, &u->msg, &reply, &seed, p->pools) == 0) {
		mt_reply_aside(p, mt_slab_get(&p->downs, u->client), &reply);
		return;
	}
	mt_count(p->counters, MT_PROXY_no_memory);
	mt_chain_free(&reply);
}

/* ---- ends ------------------------------------------------------------------------------------ */

bool mt_oneway_keep(struct mt_proxy *p, struct mt_up *u)
{
	const struct mt_down *d = mt_slab_get(&p->downs, u->client);

	if (!d || !d->s || u->s->rx_eof || (u->state == MT_UP_DRAINING && !u->s->tx_shut))
		return false;
	u->busy = u->s->tx_shut;
	mt_up_arm(p, u);
	/*
	 * Send FIN if the client's calls no longer go to this connection, or if calls are queued
	 * and fewer connections are ending than calls wait.
	 */
	if (mt_slab_get(&p->ups, d->serial) != u ||
		(u->lanes->n_queued > 0 && !is_room_coming(u->lanes, u->lanes->n_queued)))
		mt_oneway_ask(p, u);
	return true;
}

void mt_oneway_left(struct mt_proxy *p, struct mt_up *u, const struct mt_attempt *a)
{
	if (!u->left && mt_method_known(p, a) != MT_METHOD_ANSWERS)
		u->left = a->method_key;
	mt_oneway_ask(p, u);
	/* After a FIN, wait for message_ms at most, not until the call's time-out. */
	if (u->s && u->s->tx_shut)
		u->skip_until = MT_MIN(u->skip_until, p->now + p->conf.message_ms * MT_MSEC);
	mt_up_arm(p, u);
}

void mt_oneway_client_ended(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_ref ref = d->self;
	struct mt_list *n;

	mt_list_foreach (n, &d->exchanges) {
		const struct mt_exchange *ex = mt_list_entry(n, struct mt_exchange, down_node);
		struct mt_up *u = mt_exchange_up(p, ex);
		const struct mt_attempt *last;

		if (!u || !u->in_doubt || !mt_ref_eq(u->client, ref))
			continue;
		last = last_call(p, u);
		if (last && last->state == MT_ATTEMPT_SENT &&
			mt_method_known(p, last) != MT_METHOD_ANSWERS)
			mt_oneway_ask(p, u);
	}
}

void mt_oneway_client_gone(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_up *u = mt_slab_get(&p->ups, d->serial);

	if (u && u->s && u->bound && !u->busy && mt_ref_eq(u->client, d->self))
		mt_up_close(p, u, MT_PROXY_up_drained);
}

bool mt_oneway_expired(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_attempt *a = mt_exchange_attempt(ex);
	struct mt_up *u = a ? mt_slab_get(&p->ups, a->up) : NULL;
	struct mt_ref down = ex->down;

	if (!u || a->state != MT_ATTEMPT_SENT || !u->in_doubt ||
		mt_method_known(p, a) != MT_METHOD_SILENT)
		return false;
	end_silent(p, a);
	mt_oneway_ask(p, u);
	/* If a FIN was sent before, only skip_until limits the wait for the server's FIN now. */
	mt_up_arm(p, u);
	mt_reply_settle(p, down);
	return true;
}

bool mt_oneway_lost(struct mt_proxy *p, struct mt_attempt *a)
{
	struct mt_ref down = mt_attempt_exchange(a)->down;

	if (mt_method_known(p, a) != MT_METHOD_SILENT)
		return false;
	end_silent(p, a);
	mt_reply_settle(p, down);
	return true;
}

void mt_oneway_confirm(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_ref down = u->client;
	struct mt_attempt *a, *next;
	struct mt_stream_end e;
	uint64_t seen = u->left;

	mt_silence_heard(u->lanes);
	if (seen)
		mt_method_silent(p, seen, u->owner);
	u->left = 0;
	mt_stream_end(u->s, &e);
	for (a = first_call(p, u); a; a = next) {
		next = next_call(u, a);
		if (a->last > e.pos.acked || mt_method_known(p, a) == MT_METHOD_ANSWERS)
			continue;
		if (a->method_key != seen)
			mt_method_silent(p, a->method_key, owner_of(a));
		seen = a->method_key;
		end_silent(p, a);
	}
	mt_reply_settle(p, down);
}

uint64_t mt_oneway_due(struct mt_proxy *p, const struct mt_up *u)
{
	const struct mt_attempt *a = mt_attempt_of(p, u->exchange);

	if (mt_likely(u->n_behind < MANY) || u->s->tx_shut || !a ||
		mt_method_known(p, a) == MT_METHOD_ANSWERS)
		return MT_NEVER;
	return a->sent + MANY_FOR;
}
