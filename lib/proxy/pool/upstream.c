/* SPDX-License-Identifier: Apache-2.0 */
/* Upstream connections: opening, events, draining, closing. */
#include "mt_mutant.h"
#include "pool/mt_pool_priv.h"

struct mt_up *mt_up_of(struct mt_stream *s)
{
	struct mt_proxy *p = s->user_ctx;

	return mt_slab_at(&p->ups, s->owner_idx);
}

static bool give_ring(struct mt_proxy *p, struct mt_up *u)
{
	u->ring = mt_slab_alloc(&p->rings, NULL);
	if (!u->ring)
		return false;
	u->ring_busy = (uint64_t *)(u->ring + p->conf.ring_slots);
	return true;
}

static void begin_ids(struct mt_proxy *p, struct mt_up *u)
{
	const struct mt_codec *codec = u->lanes->codec;

	/* Without ids of Meltemi's, calls are counted, and the numbers stay here. */
	if (mt_unlikely(!codec->id_max)) {
		u->ids = MT_IDS_ABSENT;
		u->first_id = u->next_id = 1;
		return;
	}
	/* Servers that omit ids are supported where the protocol allows one call at a time. */
	u->ids = u->role == MT_UP_SERIAL ? MT_IDS_UNKNOWN : MT_IDS_ECHOED;
	/* Start at random, so that ids of an earlier connection are not used again soon. */
	u->first_id = u->next_id =
		codec->id_min + mt_rand_u64(&p->rnd) % (codec->id_max - codec->id_min);
}

static struct mt_up *up_new(struct mt_proxy *p, struct mt_lanes *ln, enum mt_up_role role)
{
	struct mt_ref ref;
	struct mt_up *u = mt_slab_alloc(&p->ups, &ref);

	if (!u)
		return NULL;
	u->self = ref;
	u->lanes = ln;
	u->role = role;
	mt_list_init(&u->node);
	mt_list_init(&u->waiting);
	mt_list_init(&u->unacked);
	mt_list_init(&u->behind);
	mt_timer_init(&u->timer);
	mt_list_init(&u->reading.node);
	if (mt_up_shares(u) && !give_ring(p, u)) {
		mt_slab_free(&p->ups, u);
		return NULL;
	}
	begin_ids(p, u);
	return u;
}

static void up_free(struct mt_proxy *p, struct mt_up *u)
{
	mt_wheel_cancel(&p->wheel, &u->timer);
	mt_reading_end(p, &u->reading);
	if (u->ring)
		mt_slab_free(&p->rings, u->ring);
	if (mt_unlikely(u->unanswered_at))
		mt_slab_free(&p->unanswered, mt_slab_at(&p->unanswered, u->unanswered_at - 1));
	mt_states_change(&mt_up_states, u->state, MT_UP_N_STATES);
	mt_slab_free(&p->ups, u);
}

struct mt_up *mt_up_open(
	struct mt_proxy *p, struct mt_lanes *ln, enum mt_up_role role, enum mt_close_reason *why)
{
	struct mt_up *u = up_new(p, ln, role);
	struct mt_stream_to to = {.remote = &ln->addr,
		.port = ln->port,
		.connect_ms = ln->connect_ms,
		.silent_ms = MT_UP_SILENT_MS,
		.tls = ln->tls,
		.user = &mt_up_user,
		.user_ctx = p};

	*why = MT_CLOSE_NO_MEMORY;
	if (mt_unlikely(!u)) {
		mt_count(p->counters, MT_PROXY_up_full);
		return NULL;
	}
	to.owner_idx = u->self.idx;
	u->s = mt_open(p, &to, why);
	if (mt_unlikely(!u->s)) {
		mt_count(p->counters, *why == MT_CLOSE_NO_SOURCE_PORT ? MT_PROXY_up_no_source_port
								      : MT_PROXY_up_connect_failed);
		up_free(p, u);
		return NULL;
	}
	*why = MT_CLOSE_OK;
	/* Under pressure, the rest of a request stays at the client. */
	u->s->yields = role == MT_UP_BULK;
	mt_decoder_init(&u->dec, ln->codec, MT_DIR_UP, ln->codec_opts, &u->s->rx);
	u->last_rx = u->last_tx = p->now;
	u->silence.quiet = MT_SILENCE_LEAST;
	u->silence.not_before = p->now + MT_SILENCE_LEAST;
	mt_list_add(&ln->conns[role], &u->node);
	mt_count(p->counters, MT_PROXY_up_opened);
	p->ep_stats[ln->ep_index].conns_opened++;
	p->ep_stats[ln->ep_index].conns_active++;
	return u;
}

void mt_up_forget(struct mt_proxy *p, struct mt_up *u)
{
	struct mt_lanes *ln = u->lanes;

	mt_list_del(&u->node);
	ln->bulk_in_vain = false;
	mt_oneway_unbound(u);
	mt_lanes_conn_left(p, ln, u->role);
	if (mt_mutant(MT_MUTANT_conns_not_returned))
		p->cluster_conns[ln->cluster_index]++;
	p->ep_stats[ln->ep_index].conns_active--;
	mt_count(p->counters, MT_PROXY_up_closed);
	up_free(p, u);
	mt_lanes_maybe_free(p, ln);
}

static void forget_and_feed(struct mt_proxy *p, struct mt_up *u)
{
	mt_lane_hungry(p, u->lanes);
	mt_up_forget(p, u);
}

/*
 * Returns one of the attempts that depend on the connection; it identifies the endpoint to blame.
 */
static const struct mt_attempt *any_call(struct mt_proxy *p, struct mt_up *u)
{
	if (!mt_list_empty(&u->waiting))
		return mt_list_entry(u->waiting.next, struct mt_attempt, node);
	if (!u->ring && mt_attempt_of(p, u->exchange))
		return mt_attempt_of(p, u->exchange);
	for (uint32_t i = 0; u->ring && i < p->conf.ring_slots && u->outstanding > u->tombstones;
		i++) {
		const struct mt_attempt *a = mt_attempt_of(p, u->ring[i].exchange);

		if (a)
			return a;
	}
	if (!mt_list_empty(&u->unacked))
		return mt_list_entry(u->unacked.next, struct mt_attempt, node);
	return NULL;
}

struct mt_blame mt_up_blame(struct mt_proxy *p, struct mt_up *u)
{
	const struct mt_attempt *a = any_call(p, u);
	const struct mt_exchange *ex = a ? mt_attempt_exchange(a) : NULL;

	return (struct mt_blame){
		.ep = a ? mt_attempt_ep(a) : NULL,
		.rule = ex && ex->attempt.cluster ? &ex->attempt.cluster->outlier : NULL,
	};
}

static void blame_endpoint(
	struct mt_proxy *p, struct mt_up *u, const struct mt_blame *b, enum mt_close_reason reason)
{
	struct mt_ep_where at = mt_lanes_where(u->lanes);

	if (b->ep)
		mt_ep_blame(p, b->ep, b->rule, &at, reason, b->handshake);
}

void mt_up_kill(
	struct mt_proxy *p, struct mt_up *u, enum mt_local_reply what, enum mt_proxy_outcome why)
{
	struct mt_stream *s = u->s;

	if (!s)
		return; /* a caller further up is ending it */
	u->s = NULL;
	mt_count(p->counters, why);
	mt_pool_user.conn_ends(
		p, u, s, MT_UP_END_ABORT, what, mt_local_reply_str(what), mt_abort_of(why));
	forget_and_feed(p, u);
}

void mt_up_close(struct mt_proxy *p, struct mt_up *u, enum mt_proxy_outcome why)
{
	struct mt_stream *s = u->s;

	if (!s)
		return;
	u->s = NULL;
	mt_count(p->counters, why);
	mt_pool_user.conn_ends(p, u, s, MT_UP_END_DETACH, MT_REPLY_CONN_LOST,
		"upstream connection closed", MT_ABORT_CANCELLED);
	forget_and_feed(p, u);
}

bool mt_up_nothing_awaited(const struct mt_up *u)
{
	if (mt_up_in_reply(u) || !mt_list_empty(&u->waiting) || !mt_list_empty(&u->unacked))
		return false;
	return u->ring ? u->outstanding == u->tombstones : !u->busy;
}

void mt_up_drain(struct mt_proxy *p, struct mt_up *u)
{
	if (!u->s || u->state == MT_UP_CONNECTING)
		return; /* nothing was sent on it yet: on_connected() checks lanes->gone */
	mt_up_becomes(u, MT_UP_DRAINING);
	if (!mt_up_shares(u) && !u->busy) {
		mt_list_del(&u->node);
		mt_list_add(&u->lanes->conns[u->role], &u->node);
	}
	/* Inside the decode loop of the connection, after() closes it instead. */
	if (mt_up_nothing_awaited(u) && !u->decoding)
		mt_up_close(p, u, MT_PROXY_up_drained);
}

/* ---- events ---- */

static void on_connected(struct mt_stream *s)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_up *u = mt_up_of(s);
	struct mt_ref ref = u->self;

	mt_up_becomes(u, MT_UP_OPEN);
	u->last_rx = u->last_tx = p->now;
	mt_lane_flush_waiting(p, u);
	if (!mt_slab_live(&p->ups, ref))
		return;
	if (u->lanes->gone) {
		mt_up_drain(p, u);
		return;
	}
	/* The call may have ended while the connection was opening. */
	if (!mt_up_shares(u) && mt_ref_is_none(u->exchange)) {
		mt_lane_free_conn(p, u);
		return;
	}
	mt_up_arm(p, u);
	mt_lane_hungry(p, u->lanes);
}

static void on_readable(struct mt_stream *s)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_up *u = mt_up_of(s);

	u->last_rx = p->now;
	mt_waiting_heard(p, u->lanes);
	mt_up_pump(p, u);
}

static void on_eof(struct mt_stream *s)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_up *u = mt_up_of(s);
	struct mt_ref ref = u->self;

	u->eof = true;
	if (mt_up_nothing_awaited(u))
		mt_idle_ended(p, u);
	mt_up_pump(p, u);
	if (!mt_slab_live(&p->ups, ref))
		return;
	/* A paused reply is delivered first; then the FIN is checked again. */
	if (mt_up_ended(u))
		mt_pool_user.peer_ended(p, u);
}

static void on_writable(struct mt_stream *s)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_up *u = mt_up_of(s);
	struct mt_exchange *ex;

	if (mt_unlikely(!mt_list_empty(&u->unacked)) && !mt_pool_user.acked(p, u))
		return;
	if (mt_up_shares(u))
		mt_lane_hungry(p, u->lanes);
	ex = mt_pool_exchange(p, u->exchange);
	if (ex && ex->in_message)
		mt_client_user.readable(p, mt_exchange_down(p, ex));
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_up *u = mt_up_of(s);
	bool connecting = u->state == MT_UP_CONNECTING;
	struct mt_up_lost lost;
	struct mt_blame blame;

	u->s = NULL;
	if (connecting)
		mt_count(p->counters, MT_PROXY_up_connect_failed);
	else if (reason != MT_CLOSE_OK)
		mt_count(p->counters, MT_PROXY_up_reset);
	if (reason == MT_CLOSE_RESET && mt_up_nothing_awaited(u))
		mt_idle_ended(p, u);
	blame = mt_up_blame(p, u);
	blame.handshake = mt_secure_failure(p, s);
	if (connecting && reason != MT_CLOSE_OK && !mt_close_is_ours(reason))
		mt_account_unsent(p, u->lanes, u->n_waiting);
	lost = mt_pool_user.conn_ends(p, u, s, MT_UP_END_GONE, MT_REPLY_CONN_LOST,
		mt_close_reason_str(reason), MT_ABORT_CANCELLED);
	if (!lost.counted)
		mt_account_connection(p, u->lanes, connecting, reason);
	/*
	 * The end of an idle connection does no harm, because calls that crossed it are sent again.
	 */
	if (reason != MT_CLOSE_OK && (connecting || lost.any))
		blame_endpoint(p, u, &blame, reason);
	forget_and_feed(p, u);
}

static void on_prefetch(const struct mt_stream *s)
{
	const struct mt_proxy *p = s->user_ctx;

	mt_prefetch_object(mt_slab_at(&p->ups, s->owner_idx), sizeof(struct mt_up));
}

/* A class of the ledger is full, and the connection holds much of it. */
static void on_evict(struct mt_stream *s, enum mt_class c)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_up *u = mt_up_of(s);

	/*
	 * The connection has calls of several clients: give up only a reply that is kept until it
	 * is complete, which belongs to one client.
	 */
	if (mt_up_shares(u) && mt_up_give_up_reply(p, u)) {
		mt_count(p->counters, MT_PROXY_up_evicted);
		return;
	}
	/* Otherwise drain the connection; it is reset if memory is still short after message_ms. */
	if (mt_up_shares(u) && u->state == MT_UP_OPEN) {
		mt_count(p->counters, MT_PROXY_up_evicted);
		u->evicted = p->now;
		mt_up_drain(p, u);
		return;
	}
	if (mt_up_shares(u) && p->now - u->evicted < p->conf.message_ms * MT_MSEC)
		return;
	mt_up_kill(p, u, MT_REPLY_CONN_LOST, MT_PROXY_up_evicted);
}

const struct mt_stream_user mt_up_user = {
	.prefetch = on_prefetch,
	.connected = on_connected,
	.readable = on_readable,
	.eof = on_eof,
	.writable = on_writable,
	.closed = on_closed,
	.evict = on_evict,
};

/* ---- timer ---- */

static uint64_t idle_limit(const struct mt_proxy *p, const struct mt_up *u)
{
	uint64_t idle = p->conf.up_idle_s * MT_SEC;

	/*
	 * Up to a quarter of jitter by index, so that connections opened together do not close
	 * together.
	 */
	return idle + idle / 4 * (u->self.idx % 16) / 16;
}

/*
 * Interval of checks of an idle connection, and idle time after which it is closed if another
 * worker needs one.
 */
#define SPARE_IDLE MT_SEC

/*
 * True if the connection is idle, and this worker has more connections than its even share of the
 * node's limit. Other workers may then lack some.
 */
static bool is_spare(const struct mt_proxy *p, const struct mt_up *u)
{
	const struct mt_lanes *ln = u->lanes;

	return mt_up_nothing_awaited(u) &&
	       p->cluster_conns[ln->cluster_index] >
		       mt_units_even(mt_conns_units(p, ln->cluster_index), ln->conns_max);
}

/*
 * Returns the next deadline of a connection if its cluster has a limit of the node; `at` is the
 * deadline without the limit. Idle connections that are not spare are checked, too, because they
 * become spare when the worker opens others.
 */
static mt_noinline uint64_t spare_deadline(
	const struct mt_proxy *p, const struct mt_up *u, uint64_t at)
{
	uint64_t last = MT_MAX(u->last_rx, u->last_tx);

	if (p->node_limits->workers == 1 || !mt_up_nothing_awaited(u))
		return at;
	return MT_MIN(at, MT_MAX(p->now, last) + SPARE_IDLE);
}

/* True if the connection is spare, has been idle for SPARE_IDLE, and a worker needs one. */
static mt_noinline bool gives_way(const struct mt_proxy *p, const struct mt_up *u)
{
	uint64_t last = MT_MAX(u->last_rx, u->last_tx);

	return p->now >= last + SPARE_IDLE && is_spare(p, u) &&
	       mt_units_wanted(mt_conns_units(p, u->lanes->cluster_index), p->now);
}

/* Returns when a message that the server has begun is given up. */
static uint64_t stall_deadline(const struct mt_proxy *p, const struct mt_up *u)
{
	const struct mt_attempt *a = mt_attempt_of(p, u->reply);
	uint64_t since = u->msg_started;

	if (a)
		since = u->paused ? 0 : a->reply_progress;
	else if (u->skip.left)
		since = u->skip.progress;
	else if (since)
		return mt_message_due(p, u->s, since, u->last_rx);
	return since ? since + p->conf.message_ms * MT_MSEC : MT_NEVER;
}

static uint64_t next_deadline(struct mt_proxy *p, const struct mt_up *u)
{
	uint64_t last = MT_MAX(u->last_rx, u->last_tx);
	uint64_t at = MT_NEVER;

	if (u->retry_at)
		at = u->retry_at;
	if (u->look_at)
		at = MT_MIN(at, u->look_at);
	at = MT_MIN(at, mt_oneway_due(p, u));
	at = MT_MIN(at, stall_deadline(p, u));
	if (u->busy && mt_ref_is_none(u->exchange))
		at = MT_MIN(at, u->skip_until);
	/* draining: close it now, because its last call has ended */
	if (mt_up_nothing_awaited(u))
		at = u->state == MT_UP_DRAINING ? p->now : MT_MIN(at, last + idle_limit(p, u));
	at = MT_MIN(at, mt_silence_due(u));
	return mt_unlikely(u->lanes->conns_max) ? spare_deadline(p, u, at) : at;
}

void mt_up_arm(struct mt_proxy *p, struct mt_up *u)
{
	if (u->s && u->state != MT_UP_CONNECTING)
		mt_wheel_arm(&p->wheel, &u->timer, next_deadline(p, u));
}

void mt_up_timer(struct mt_proxy *p, struct mt_up *u)
{
	uint64_t last = MT_MAX(u->last_rx, u->last_tx);
	struct mt_ref ref = u->self;

	if (u->retry_at && p->now >= u->retry_at) {
		u->retry_at = 0;
		mt_up_pump(p, u);
		if (!mt_slab_live(&p->ups, ref))
			return;
	}
	if (u->look_at && p->now >= u->look_at) {
		mt_pool_user.peer_ended(p, u);
		return;
	}
	if (p->now >= mt_oneway_due(p, u))
		mt_oneway_ask(p, u);
	if (p->now >= stall_deadline(p, u)) {
		mt_up_kill(p, u, MT_REPLY_TIMEOUT, MT_PROXY_up_stalled);
		return;
	}
	if (u->busy && mt_ref_is_none(u->exchange) && p->now >= u->skip_until) {
		mt_up_kill(p, u, MT_REPLY_CONN_LOST, MT_PROXY_up_tombstones);
		return;
	}
	if (mt_up_nothing_awaited(u) && u->state == MT_UP_DRAINING) {
		mt_up_close(p, u, MT_PROXY_up_drained);
		return;
	}
	if ((mt_up_nothing_awaited(u) && p->now >= last + idle_limit(p, u)) ||
		(mt_unlikely(u->lanes->conns_max) && gives_way(p, u))) {
		mt_up_close(p, u, MT_PROXY_up_idle);
		return;
	}
	mt_silence_look(p, u);
	if (mt_slab_get(&p->ups, ref))
		mt_up_arm(p, u);
}
