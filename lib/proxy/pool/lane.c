/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The choice of a connection for a call, in a lane group (lanes.c). SHARED carries complete short
 * messages of many clients, WIDE complete longer ones, so that short messages do not wait for them.
 * SERIAL carries one call at a time. BULK has one incomplete or long message alone, so that no
 * client can capture a connection of others by sending a header and stopping.
 */
#include "mt_mutant.h"
#include "pool/mt_pool_priv.h"

/* With less truesize than this in the send queue, the windows are not checked. */
#define AHEAD_FOR_SURE (8 * 1024)
/* Maximum of each of SHARED and WIDE; the second one opens when the first takes no more calls. */
#define SHARED_MAX_CONNS 2
/* Connections that drain do not count in SHARED_MAX_CONNS; with them, this is the maximum. */
#define SHARED_MAX_ALL 8

enum mt_correlation mt_correlation_of(const struct mt_codec *codec, uint8_t opts)
{
	return opts & MT_CODEC_OPT_MULTIPLEXING ? codec->correlation_mux : codec->correlation;
}

enum mt_up_role mt_lane_role(const struct mt_lanes *ln, const struct mt_exchange *ex)
{
	if (mt_correlation_of(ln->codec, ln->codec_opts) != MT_CORR_SAFE)
		return MT_UP_SERIAL;
	return (enum mt_up_role)ex->attempt.lane;
}

/*
 * Maximum number of connections of a role to one endpoint. mt_lanes_conn_begin() also applies the
 * configured limit of the cluster.
 */
static uint32_t most_conns(
	const struct mt_proxy *p, const struct mt_lanes *ln, enum mt_up_role role)
{
	if (role <= MT_UP_WIDE)
		return SHARED_MAX_ALL;
	if (role == MT_UP_BULK)
		return p->conf.bulk_lanes;
	return ln->conns_max ? ln->conns_max : p->conf.serial_lanes;
}

uint32_t mt_lanes_serial_max(const struct mt_proxy *p, const struct mt_lanes *ln)
{
	return most_conns(p, ln, MT_UP_SERIAL);
}

uint32_t mt_lanes_taking(const struct mt_lanes *ln, enum mt_up_role role)
{
	uint32_t n = ln->n_conns[role];
	const struct mt_list *at;

	mt_list_foreach (at, &ln->conns[role])
		n -= mt_list_entry(at, struct mt_up, node)->state == MT_UP_DRAINING;
	return n;
}

/*
 * Opens a connection if the limits allow one more. NULL: *why is MT_CLOSE_OK if they do not,
 * otherwise the reason why none could be opened. `spare`: connection that takes the call if none is
 * opened; a refusal at the cluster's limit is then not counted.
 */
static struct mt_up *open_one(struct mt_proxy *p, struct mt_lanes *ln, enum mt_up_role role,
	const struct mt_up *spare, enum mt_close_reason *why)
{
	uint32_t n = ln->n_conns[role];
	struct mt_up *u;

	*why = MT_CLOSE_OK;
	if (n >= most_conns(p, ln, role))
		return NULL;
	if (role <= MT_UP_WIDE) {
		n = mt_lanes_taking(ln, role);
		if (n >= SHARED_MAX_CONNS)
			return NULL;
		n += mt_lanes_taking(ln, mt_lane_other(role));
	}
	/*
	 * The first connection of a kind may exceed the cluster's limit, because calls would
	 * otherwise wait until they time out. SHARED and WIDE count as one kind, because each takes
	 * the other's calls.
	 */
	if (!mt_lanes_conn_begin(p, ln, role, n == 0)) {
		mt_count_n(p->counters, MT_PROXY_up_limited, !spare);
		return NULL;
	}
	u = mt_up_open(p, ln, role, why);
	if (mt_unlikely(!u))
		mt_lanes_conn_left(p, ln, role);
	return u;
}

/*
 * True if a shared connection takes one more call. A connection gets the bytes that its windows
 * admit and a few more; other calls wait in the queue, which is fair to clients.
 */
static bool takes_more(struct mt_stream *s)
{
	if (mt_likely(s->tx_queued < MT_MIN(s->tx_high, (uint32_t)AHEAD_FOR_SURE)))
		return true;
	if (mt_stream_sendable(s) == 0)
		return false;
	if (mt_stream_room(s) > 0)
		return true;
	s->want_writable = true;
	return false;
}

/*
 * Returns an open shared connection with a free id that takes_more() and whose server has sent no
 * FIN; else a connection that is opening, or NULL. *behind: a worse open connection, to use if none
 * is found or opened. There the call would wait for the end of a long reply, or the server may be
 * closing the connection after a long idle time.
 */
static mt_inline struct mt_up *find_shared(
	struct mt_proxy *p, struct mt_lanes *ln, enum mt_up_role role, struct mt_up **behind)
{
	struct mt_up *connecting = NULL;
	struct mt_list *n;

	mt_list_foreach (n, &ln->conns[role]) {
		struct mt_up *u = mt_list_entry(n, struct mt_up, node);

		if (u->state == MT_UP_OPEN && u->outstanding < p->conf.ring_slots &&
			!u->s->rx_eof && takes_more(u->s)) {
			if (mt_likely(!mt_up_in_reply(u) &&
				      (u->outstanding || !mt_idle_too_old(p, u))))
				return u;
			*behind = u;
		}
		if (u->state == MT_UP_CONNECTING && u->n_waiting < p->conf.ring_slots)
			connecting = u;
	}
	return connecting;
}

/*
 * Returns a free connection that does not drain and whose server has sent no FIN (rx_eof is set
 * before eof() reports it). *behind: a worse connection, to use if none can be opened. Its server
 * may be closing it after a long idle time, or the call is one-way and does not suit it.
 */
static mt_inline struct mt_up *find_idle(struct mt_proxy *p, struct mt_lanes *ln,
	enum mt_up_role role, const struct mt_exchange *ex, struct mt_up **behind)
{
	struct mt_list *n;

	mt_list_foreach (n, &ln->idle[role]) {
		struct mt_up *u = mt_list_entry(n, struct mt_up, node);

		if (mt_unlikely(!u->s || u->state != MT_UP_OPEN || u->s->rx_eof))
			continue;
		if (mt_unlikely(!mt_up_suits(u, ex))) {
			if (ex->oneway)
				*behind = u;
			continue;
		}
		/*
		 * If the oldest connection has far outlived the learned idle time, the check of it
		 * forgets this time, so any connection may be used.
		 */
		if (mt_likely(!mt_idle_too_old(p, u)) ||
			!mt_idle_too_old(p, mt_list_entry(ln->idle[role].prev, struct mt_up, node)))
			return u;
		*behind = u;
		break;
	}
	return NULL;
}

/*
 * Returns a connection of this role; opens one if needed. NULL: *why is MT_CLOSE_OK if the call has
 * to wait, otherwise the reason why no connection could be opened.
 */
static mt_inline struct mt_up *find_conn(struct mt_proxy *p, struct mt_lanes *ln,
	enum mt_up_role role, const struct mt_exchange *ex, enum mt_close_reason *why)
{
	struct mt_up *behind = NULL, *u;

	/*
	 * A call with attempt.fresh takes a new connection of its role. If none can be opened, it
	 * takes any: a wait for a new one would delay the calls queued after it.
	 */
	if (mt_unlikely(ex->attempt.fresh && role == mt_lane_role(ln, ex)) &&
		(u = open_one(p, ln, role, NULL, why)))
		return u;
	u = role <= MT_UP_WIDE ? find_shared(p, ln, role, &behind)
			       : find_idle(p, ln, role, ex, &behind);
	*why = MT_CLOSE_OK;
	if (mt_likely(u))
		return u;
	u = open_one(p, ln, role, behind, why);
	return u ? u : behind;
}

struct mt_addr mt_lane_holder(struct mt_proxy *p, const struct mt_exchange *ex)
{
	const struct mt_down *d = mt_exchange_down(p, ex);

	return mt_likely(d) ? mt_client_holder(d->s) : (struct mt_addr){0};
}

bool mt_lane_has_share(struct mt_proxy *p, const struct mt_lanes *ln, const struct mt_exchange *ex)
{
	uint32_t max = most_conns(p, ln, MT_UP_BULK), used = 0, of_conn = 0, of_addr = 0;
	struct mt_addr from = mt_lane_holder(p, ex);
	const struct mt_list *n;

	mt_list_foreach (n, &ln->conns[MT_UP_BULK]) {
		const struct mt_up *u = mt_list_entry(n, struct mt_up, node);

		if (!u->busy)
			continue;
		used++;
		of_addr += mt_addr_eq(&u->from, &from);
		of_conn += mt_ref_eq(u->client, ex->down);
	}
	return used < max && max - used > MT_MAX(of_addr, 2 * of_conn);
}

static void own(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a)
{
	const struct mt_exchange *ex = mt_attempt_exchange(a);

	u->busy = true;
	if (u->role == MT_UP_BULK) {
		u->client = ex->down;
		u->from = u->lanes->bulk_last = mt_lane_holder(p, ex);
	}
	u->exchange = mt_attempt_exchange(a)->self;
	if (u->role == MT_UP_SERIAL && mt_unlikely(a->knows != MT_METHOD_ANSWERS))
		mt_oneway_begin(p, u, ex);
	if (mt_mutant(MT_MUTANT_serial_shared))
		return;
	mt_list_del(&u->node);
	mt_list_add(&u->lanes->conns[u->role], &u->node);
}

/* True if no reply is expected to a call that was sent completely. */
static bool is_oneway(struct mt_proxy *p, struct mt_up *u, const struct mt_attempt *a)
{
	if (mt_attempt_exchange(a)->oneway)
		return true;
	return u->role == MT_UP_SERIAL && mt_unlikely(a->knows == MT_METHOD_SILENT) &&
	       mt_oneway_silent(p, u, a);
}

static void oneway_done(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a)
{
	struct mt_exchange *ex = mt_attempt_exchange(a);
	struct mt_ref down = ex->down;

	u->unanswered |= ex->oneway && u->role == MT_UP_SERIAL &&
			 !mt_mutant(MT_MUTANT_reply_position_ignored);
	/*
	 * A call on trial ends when it is acknowledged, also if its method was learned to be
	 * one-way.
	 */
	if (mt_unlikely(a->trial))
		ex->oneway = true;
	if (ex->oneway && mt_pool_user.sent_oneway(p, u, a)) {
		if (!mt_up_shares(u))
			mt_lane_free_conn(p, u);
		mt_reply_settle(p, down);
		return;
	}
	mt_account_oneway(p, ex, !ex->oneway);
	ex->oneway = true;
	a->up = MT_REF_NONE;
	if (!mt_up_shares(u))
		mt_lane_free_conn(p, u);
	mt_pool_user.ended(p, ex);
	mt_reply_settle(p, down);
}

/*
 * Gives the call the next id of a connection that carries one call at a time, and writes the id
 * into the request.
 */
static mt_inline int give_own_id(
	struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a, struct mt_exchange *ex)
{
	const struct mt_codec *codec = u->lanes->codec;

	a->up_id = mt_id_next(u);
	u->out_id = ex->oneway ? 0 : a->up_id;
	u->out_method = a->method;
	return mt_codec_set_id(codec, &ex->msg, &ex->req, a->up_id, p->pools);
}

/* Gives the call an id of a shared connection, and writes the id into the request. */
static int give_shared_id(
	struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a, struct mt_exchange *ex)
{
	uint64_t id;
	int rc;

	if (ex->oneway) {
		return mt_codec_set_id(
			u->lanes->codec, &ex->msg, &ex->req, mt_id_next(u), p->pools);
	}
	id = mt_ring_take(p, u, mt_attempt_exchange(a)->self);
	if (mt_unlikely(id == 0))
		return -EAGAIN;
	a->up_id = id;
	rc = mt_codec_set_id(u->lanes->codec, &ex->msg, &ex->req, id, p->pools);
	if (mt_unlikely(rc))
		mt_ring_release(u, mt_ring_find(p, u, id));
	return rc;
}

/*
 * Answers a call because its id could not be written: for lack of memory, or because the message
 * has no room for it (-ENOTSUP). Nothing was sent, so a connection that the call has alone is free
 * again. The connection is not free if calls of the same client wait for it, or have taken it
 * meanwhile.
 */
static mt_noinline void no_id(struct mt_proxy *p, struct mt_up *u, const struct mt_attempt *a,
	struct mt_exchange *ex, int rc)
{
	struct mt_ref own =
		mt_ref_eq(u->exchange, mt_attempt_exchange(a)->self) ? u->self : MT_REF_NONE;

	if (!mt_ref_is_none(own))
		u->exchange = MT_REF_NONE;
	if (rc == -ENOTSUP) {
		mt_reply_local(p, ex, MT_REPLY_UNSUPPORTED, "the id cannot be written");
	} else {
		mt_count(p->counters, MT_PROXY_no_memory);
		mt_reply_local(p, ex, MT_REPLY_OVERLOAD, "out of memory");
	}
	u = mt_slab_get(&p->ups, own);
	if (u && u->s && mt_list_empty(&u->waiting) && mt_list_empty(&u->behind) &&
		mt_ref_is_none(u->exchange))
		mt_lane_free_conn(p, u);
}

/*
 * The call is sent completely: arms the time-out of the attempt (mt_retry.try_ms) instead of the
 * call's time-out, if the attempt's ends first. mt_exchange_expired() handles both. If the call has
 * another attempt, the call's time-out is armed again (run.c, again.c).
 */
static mt_noinline void arm_try_timeout(struct mt_proxy *p, struct mt_exchange *ex)
{
	uint32_t ms = ex->route && ex->route->retry ? ex->route->retry->try_ms : 0;

	if (!ms || mt_mutant(MT_MUTANT_try_time_ignored) ||
		p->now + ms * MT_MSEC >= mt_exchange_side(p, ex)->until)
		return;
	mt_deadline_arm(&p->deadlines, &ex->deadline, p->now, ms);
	ex->attempt.timed = true;
}

/*
 * Sends the call on an open connection and returns 0. -EAGAIN: the id ring has no free slot, and
 * the caller keeps the call. -ECANCELED: the call was answered, because its id was not written.
 */
static int lane_send(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a)
{
	struct mt_exchange *ex = mt_attempt_exchange(a);
	int rc;

	a->up = MT_REF_NONE;
	rc = mt_up_shares(u) ? give_shared_id(p, u, a, ex) : give_own_id(p, u, a, ex);
	if (mt_unlikely(rc == -EAGAIN))
		return rc;
	if (mt_unlikely(rc)) {
		no_id(p, u, a, ex, rc);
		return -ECANCELED;
	}
	a->up = u->self;
	mt_attempt_becomes(a, ex->in_message ? MT_ATTEMPT_SENDING : MT_ATTEMPT_SENT);
	u->used = true;
	u->last_tx = ex->attempt.sent = p->now;
	if (mt_up_shares(u) && !ex->oneway)
		mt_silence_sent(p, u);
	mt_exchange_trace_send(p, ex, a, u);
	mt_call_log_up(p, ex, u);
	a->first = u->given;
	mt_up_send(u, &ex->req);
	a->last = u->given;
	if (mt_unlikely(ex->pending))
		mt_exchange_waits_no_more(p, ex);
	if (mt_unlikely(ex->has_policy) && !ex->in_message)
		arm_try_timeout(p, ex);
	if (u->role == MT_UP_SERIAL &&
		(mt_unlikely(a->knows != MT_METHOD_ANSWERS) || mt_attempt_of(p, u->exchange) != a))
		mt_oneway_sent(p, u, a);
	if (mt_unlikely(ex->in_message))
		mt_client_user.readable(p, mt_exchange_down(p, ex));
	else if (is_oneway(p, u, a))
		oneway_done(p, u, a);
	return 0;
}

static void wait_for(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a)
{
	struct mt_exchange *ex = mt_attempt_exchange(a);

	mt_attempt_becomes(a, MT_ATTEMPT_CONNECTING);
	ex->attempt.connecting = p->now;
	mt_compact_waiting(p, &ex->req);
	mt_exchange_waits(p, ex);
	a->up = u->self;
	u->n_waiting++;
	mt_list_add_tail(&u->waiting, &a->node);
	mt_exchange_trace_waits(p, ex, u);
}

/* Gives the call a connection that its client's calls share, or that is bound to the client. */
static int join(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a)
{
	if (u->state == MT_UP_CONNECTING) {
		wait_for(p, u, a);
		return 0;
	}
	if (!mt_attempt_of(p, u->exchange) && mt_list_empty(&u->behind)) {
		u->release = false;
		own(p, u, a);
	}
	return lane_send(p, u, a);
}

/*
 * True if no connection of this role takes calls, but one of the other role does (SHARED and WIDE).
 * A limit, or a lack of id rings, may prevent a connection of the call's role.
 */
static bool lacks(const struct mt_lanes *ln, enum mt_up_role role)
{
	return role <= MT_UP_WIDE && mt_lanes_taking(ln, role) == 0 &&
	       mt_lanes_taking(ln, mt_lane_other(role)) > 0;
}

/* find_conn() for rare cases, so that mt_lane_assign() inlines it only once. */
static mt_noinline struct mt_up *find_other(struct mt_proxy *p, struct mt_lanes *ln,
	enum mt_up_role role, const struct mt_exchange *ex, enum mt_close_reason *why)
{
	return find_conn(p, ln, role, ex, why);
}

struct mt_up *mt_lane_gives_way(const struct mt_lanes *ln)
{
	struct mt_up *found = NULL;
	const struct mt_list *n;

	mt_list_foreach (n, &ln->conns[MT_UP_SERIAL]) {
		struct mt_up *u = mt_list_entry(n, struct mt_up, node);

		if (u->state != MT_UP_DRAINING || u->busy)
			continue;
		if (mt_up_nothing_awaited(u))
			return u;
		found = u;
	}
	return found;
}

/*
 * Call if no serial connection is free and none can be opened. Checks the idle connections that do
 * not suit the call, the oldest first:
 * 1. If nothing is outstanding on one of them, closes it and opens a connection in its place.
 * 2. Otherwise drains the oldest of them, unless a connection without a call drains already.
 * 3. If one drains already, or there is no such idle connection, a bound connection may be
 *    half-closed (mt_oneway_make_room()).
 * Returns NULL in cases 2 and 3. The first connection with all calls acknowledged wakes the queue
 * (attempt.c), and is closed for a waiting call.
 */
static mt_noinline struct mt_up *make_room(struct mt_proxy *p, struct mt_lanes *ln,
	const struct mt_exchange *ex, enum mt_close_reason *why)
{
	struct mt_list *idle = &ln->idle[MT_UP_SERIAL];
	struct mt_up *closing = mt_lane_gives_way(ln), *later = NULL;

	/* The end of this connection wakes the queue. */
	if (closing && mt_up_nothing_awaited(closing))
		return NULL;
	for (struct mt_list *n = idle->prev; n != idle; n = n->prev) {
		struct mt_up *u = mt_list_entry(n, struct mt_up, node);

		if (!u->s || u->state != MT_UP_OPEN || mt_up_suits(u, ex))
			continue;
		if (mt_up_nothing_awaited(u) && !u->decoding) {
			mt_up_drain(p, u);
			return find_other(p, ln, MT_UP_SERIAL, ex, why);
		}
		if (!later)
			later = u;
	}
	if (!later || closing)
		mt_oneway_make_room(p, ln, ln->n_queued + 1); /* + 1: this call is not queued yet */
	else
		mt_up_drain(p, later);
	return NULL;
}

/* Counts a connection that could not be opened against the endpoint, like one that fails later. */
static mt_noinline void not_opened(struct mt_proxy *p, const struct mt_lanes *ln,
	const struct mt_exchange *ex, const struct mt_attempt *a, enum mt_close_reason why)
{
	struct mt_ep_where at = mt_lanes_where(ln);
	struct mt_ep_state *ep = mt_attempt_ep(a);

	mt_account_connection(p, ln, true, why);
	if (ep)
		mt_ep_blame(p, ep, ex->attempt.cluster ? &ex->attempt.cluster->outlier : NULL, &at,
			why, NULL);
}

int mt_lane_assign(struct mt_proxy *p, struct mt_lanes *ln, struct mt_attempt *a)
{
	struct mt_exchange *ex = mt_attempt_exchange(a);
	enum mt_up_role role = mt_lane_role(ln, ex);
	enum mt_close_reason why;
	struct mt_up *u;

	if (mt_unlikely(role == MT_UP_BULK) && !mt_lane_has_share(p, ln, ex))
		return -EAGAIN;
	if (role == MT_UP_SERIAL) {
		mt_method_look(p, ex, a);
		u = mt_oneway_conn(p, ln, ex);
		if (mt_unlikely(u))
			return join(p, u, a);
	}
	u = find_conn(p, ln, role, ex, &why);
	if (mt_unlikely(!u && lacks(ln, role)))
		u = find_other(p, ln, mt_lane_other(role), ex, &why);
	if (mt_unlikely(!u && role == MT_UP_SERIAL))
		u = make_room(p, ln, ex, &why);
	if (!u && (why == MT_CLOSE_OK || ln->n_conns[role] > 0))
		return -EAGAIN;
	if (mt_unlikely(!u)) {
		not_opened(p, ln, ex, a, why);
		return -ECONNREFUSED;
	}
	if (!mt_up_shares(u))
		own(p, u, a);
	if (u->state == MT_UP_CONNECTING) {
		wait_for(p, u, a);
		return 0;
	}
	return lane_send(p, u, a);
}

void mt_lane_flush_waiting(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_ref ref = u->self;
	struct mt_list *n;

	while (mt_slab_live(&p->ups, ref) && (n = mt_list_first(&u->waiting))) {
		struct mt_attempt *a = mt_list_entry(n, struct mt_attempt, node);

		mt_list_del(n);
		u->n_waiting--;
		if (lane_send(p, u, a) == -EAGAIN)
			mt_queue_add(p, u->lanes, a);
	}
}

void mt_lane_send_more(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a)
{
	struct mt_exchange *ex = mt_attempt_exchange(a);
	struct mt_down *d = mt_exchange_down(p, ex);
	uint32_t n = MT_MIN(d->s->rx.len, ex->req_left);
	struct mt_chain part = {0};

	if (n == 0 || mt_stream_sendable(u->s) == 0) {
		if (mt_mutant(MT_MUTANT_writable_not_asked))
			u->s->want_writable = false;
		return;
	}
	if (mt_unlikely(mt_chain_split(&d->s->rx, n, &part, p->pools))) {
		mt_count(p->counters, MT_PROXY_no_memory);
		n = part.len;
		d->retry_at = p->now + MT_RETRY_NS;
	}
	ex->req_left -= n;
	/* The client's window may have been closed while its bytes waited. */
	u->last_tx = d->last_rx = p->now;
	if (part.len) {
		mt_up_send(u, &part);
		a->last = u->given;
	}
	if (ex->req_left > 0)
		return;
	ex->in_message = false;
	d->cur = MT_REF_NONE;
	mt_attempt_becomes(a, MT_ATTEMPT_SENT);
	/* Not if the reply has begun, which a server may send before it has the whole request. */
	if (mt_unlikely(ex->has_policy) && a->receive == MT_RECEIVE_NONE)
		arm_try_timeout(p, ex);
	if (is_oneway(p, u, a))
		oneway_done(p, u, a);
}

/* Ends a free connection that must carry no other call. */
static void end_free(struct mt_proxy *p, struct mt_up *u)
{
	/*
	 * With unacknowledged one-way calls the connection ends later: when they are acknowledged,
	 * or by retry.c after the server's FIN.
	 */
	if (mt_list_empty(&u->unacked))
		mt_up_close(
			p, u, u->state == MT_UP_DRAINING ? MT_PROXY_up_drained : MT_PROXY_up_eof);
}

void mt_lane_free_conn(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_lanes *ln = u->lanes;

	u->exchange = MT_REF_NONE;
	u->out_id = 0;
	/* Not inside the connection's decode loop, whose end calls this function again. */
	if (mt_unlikely(u->decoding)) {
		u->release = true;
		return;
	}
	u->busy = false;
	ln->bulk_in_vain = false;
	if (mt_unlikely(u->bound)) {
		if (mt_oneway_keep(p, u))
			return;
		/*
		 * A call on the connection had no reply. Drain it, so that no other client gets a
		 * late reply to this call.
		 */
		if (!u->s->rx_eof)
			mt_up_becomes(u, MT_UP_DRAINING);
	}
	u->client = MT_REF_NONE;
	u->in_doubt = false;
	if (mt_unlikely(u->state == MT_UP_DRAINING || u->s->rx_eof)) {
		end_free(p, u);
		return;
	}
	mt_list_del(&u->node);
	mt_list_add(&ln->idle[u->role], &u->node);
	mt_up_arm(p, u);
	mt_lane_hungry(p, ln);
}
