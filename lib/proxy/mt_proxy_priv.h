/* SPDX-License-Identifier: Apache-2.0 */
/* Calls between the files of lib/proxy; each block names its file. */
#pragma once

#include "mt_proxy_types.h"

#include <errno.h>

/* proxy.c */
void mt_snap_hold(struct mt_proxy *p, struct mt_snapshot *s);
void mt_snap_drop(struct mt_proxy *p, struct mt_snapshot *s);

/* Which kind of object something sits in: each lives in a slab of its own. */
static inline bool mt_lies_in(const struct mt_slab *s, const void *obj)
{
	return (size_t)((const uint8_t *)obj - s->base) < (size_t)s->size * s->cap;
}

/* Work that found no memory is tried again after this. */
#define MT_RETRY_NS (10 * MT_MSEC)

/* How a step of a decode loop ended. */
enum mt_step {
	MT_STEP_ON, /* the connection is still there */
	MT_STEP_STOP, /* nothing is there, or nothing that could be done with it; or the connection is gone */
	MT_STEP_PART, /* rx begins with a message that is not whole, or not looked through yet */
};

/*
 * After a decode loop, which rx had this epoch before: the begin of a message stays in rx, up to `len` bytes, and
 * does not shut the window, since the rest would never come; what could not be decoded does.
 */
static inline void mt_rx_settle(struct mt_stream *s, enum mt_step did, uint32_t epoch, uint32_t len)
{
	if (did == MT_STEP_PART)
		mt_stream_keep(s, MT_MIN(len, s->rx.len));
	else if (s->rx.epoch != epoch)
		mt_stream_consumed(s);
}

/*
 * A request that has to wait is copied together if it pins this many times its bytes: a client may have sent it byte by
 * byte, and many may wait.
 */
#define MT_COMPACT_RATIO 2

static inline void mt_compact_waiting(struct mt_proxy *p, struct mt_chain *c)
{
	if (mt_unlikely(c->segs > 1 && c->truesize / MT_COMPACT_RATIO > c->len))
		mt_chain_compact(c, p->pools);
}

/* account.c: what an exchange adds to the numbers of its service, route and endpoint */
struct mt_service_stats *mt_stats_service(struct mt_proxy *p, const struct mt_service *s);
/* Before anything is counted for the endpoint: its small number may have been another one's. */
static inline struct mt_ep_stats *mt_stats_endpoint(struct mt_proxy *p, const struct mt_ep_state *e)
{
	struct mt_ep_stats *st = &p->ep_stats[e->index];

	if (mt_unlikely(st->id != e->id)) {
		st->requests = st->failures = st->connect_failed = st->conns_opened = 0;
		st->heard = 0;
		__atomic_store_n(&st->id, e->id, __ATOMIC_RELEASE);
	}
	return st;
}
/*
 * Counts a connection to the endpoint that failed to open, or was reset without the loss of a call.
 * This and the next two do nothing if another endpoint has the place by now.
 */
void mt_account_connection(struct mt_proxy *p, const struct mt_lanes *ln, bool connecting,
	enum mt_close_reason reason);
/* Counts calls whose connection to the endpoint did not open; they may be sent elsewhere. */
void mt_account_unsent(struct mt_proxy *p, const struct mt_lanes *ln, uint32_t calls);
/* Counts a call that was lost with its connection, or not answered in time. */
void mt_account_failed(struct mt_proxy *p, const struct mt_attempt *a);
void mt_account_request(struct mt_proxy *p, struct mt_exchange *ex);
void mt_account_route(struct mt_proxy *p, const struct mt_exchange *ex);
/* Something was refused because of it; NULL: nobody has found a place for it. */
void mt_account_closed(struct mt_proxy *p, const struct mt_closer *by);
/* Does without a service that is gone, or that a copy has not. */
void mt_account_reply(struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_attempt *a,
	const struct mt_msg *reply);
/* Nothing answers it, which is counted as `what`. */
void mt_account_oneway(
	struct mt_proxy *p, const struct mt_exchange *ex, enum mt_proxy_outcome what);
void mt_account_left(struct mt_proxy *p, const struct mt_exchange *ex, bool cut_off);

/* snapshot_move.c */
/* Moves a connection to the current snapshot. */
void mt_down_rebind(struct mt_proxy *p, struct mt_down *d);
/* Moves a call that is not on its way to the current snapshot; false: its service is gone. */
bool mt_exchange_rebind(struct mt_proxy *p, struct mt_exchange *ex);
/* One that waits in front of an endpoint: to the newest configuration, with the changes that are kept for it. */
void mt_exchange_renew(struct mt_proxy *p, struct mt_exchange *ex);
/* One that waits at a gate likewise, to be judged there by what holds now; false: it cannot, and is answered. */
bool mt_exchange_renew_at_gate(struct mt_proxy *p, struct mt_exchange *ex);
/* Moves a byte stream that is not joined yet; what serves it there, NULL: gone. */
const struct mt_filter_chain_proto *mt_connecting_rebind(
	struct mt_proxy *p, const struct mt_stream *s, struct mt_connecting *j);
/* A slice of what a new snapshot has left to do. */
void mt_rebind_slice(struct mt_proxy *p);

/* deadline.c */
void mt_deadlines_init(struct mt_deadlines *d);
/* Rounds the time-out up to one that has a list when all lists are taken. */
void mt_deadline_arm(struct mt_deadlines *d, struct mt_deadline *e, uint64_t now, uint32_t ms);
void mt_deadline_cancel(struct mt_deadline *e);
/*
 * A time-out that a client chose, as it is armed: rounded up by at most a half when there are many
 * different ones already, so that lists are left for those of the configuration.
 */
uint32_t mt_deadline_round(struct mt_deadlines *d, uint32_t ms);
/* Takes one expired entry off its list, or NULL. */
struct mt_deadline *mt_deadlines_pop(struct mt_deadlines *d, uint64_t now);
uint64_t mt_deadlines_next(const struct mt_deadlines *d);

/* idring.c */
/* The connection's next id, without a slot of a ring. */
uint64_t mt_id_next(struct mt_up *u);
/*
 * True if the connection has given this id to one of its calls; true for every id once its ids have
 * come round.
 */
bool mt_id_given(const struct mt_up *u, uint64_t id);
/* Bytes of a ring: its slots, and a bit for each that is busy. */
size_t mt_ring_size(uint32_t slots);
/* Takes a free slot for an attempt: its id, or 0 when none is free. */
uint64_t mt_ring_take(struct mt_proxy *p, struct mt_up *u, struct mt_ref attempt);
/* The slot whose whole id matches; NULL: none. */
struct mt_slot *mt_ring_find(struct mt_proxy *p, struct mt_up *u, uint64_t id);
void mt_ring_release(struct mt_up *u, struct mt_slot *slot);
/* The attempt ended before its reply: the id stays taken. */
void mt_ring_bury(struct mt_up *u, struct mt_slot *slot);

/* match.c: which call a reply answers */
enum mt_whose {
	MT_WHOSE_CALL, /* the call that holds the slot or the connection; its client may have left */
	MT_WHOSE_LATE,	 /* no call that waits: the reply is skipped */
	MT_WHOSE_CLIENT, /* an unanswered call of the client that the connection is bound to */
	MT_WHOSE_NONE,	 /* no call of this connection: the connection ends */
};

/*
 * Whether a server of serial connections echoes ids, as this connection has shown, or else its
 * group.
 */
static inline enum mt_ids mt_ids_known(const struct mt_up *u)
{
	return mt_likely(u->ids != MT_IDS_UNKNOWN) ? u->ids : u->lanes->ids;
}
/*
 * True if the call may take the connection. Where servers do not echo ids, a reply is matched by
 * its position, and a server may answer one-way calls, too. So one-way and other calls take
 * different connections there, and until the first reply has shown that the server echoes ids.
 */
static mt_inline bool mt_up_suits(const struct mt_up *u, const struct mt_exchange *ex)
{
	if (mt_likely(u->ids == MT_IDS_ECHOED))
		return true;
	return mt_ids_known(u) == MT_IDS_ECHOED || u->unanswered == ex->oneway;
}
/* A reply has shown it. If ids are echoed, calls that wait may take more connections. */
void mt_ids_learn(struct mt_proxy *p, struct mt_up *u, enum mt_ids ids);
/*
 * Finds the call that u->msg answers. *ex: its exchange, NULL if its client has left. Counts
 * replies that are skipped.
 */
enum mt_whose mt_match(struct mt_proxy *p, struct mt_up *u, struct mt_exchange **ex);
/*
 * True if the reply u->msg, which has id 0, may answer the call that is out: the connection has
 * shown no other id, and no earlier call on it can still be answered.
 */
bool mt_match_by_position(const struct mt_up *u);

/* reading.c: no connection holds up a turn by what it has to be decoded */
void mt_readings_init(struct mt_proxy *p);
/* A turn begins. */
void mt_readings_begin(struct mt_proxy *p);
/* Those that wait go on; how many did. */
uint32_t mt_readings_turn(struct mt_proxy *p);
/* Of a connection in a turn: 64 KiB of what is most costly to read, 256 KiB of plain text. */
#define MT_READING_SHARE 16384
/* What a message takes, however short it is. */
#define MT_READING_MESSAGE 64
/* The connection is queued, and its pump called in a later turn. */
void mt_reading_wait(struct mt_proxy *p, struct mt_reading *r);
/* Whether the connection may decode on in this turn; if not it is queued. */
static inline bool mt_reading_may(struct mt_proxy *p, struct mt_reading *r)
{
	if (r->turn != p->readings.turn) {
		r->turn = p->readings.turn;
		r->left = MT_READING_SHARE;
	}
	if (mt_likely(r->left > 0 && p->readings.left > 0))
		return true;
	mt_reading_wait(p, r);
	return false;
}
static inline void mt_reading_spend(struct mt_proxy *p, struct mt_reading *r, uint32_t steps)
{
	r->left -= MT_MIN(r->left, steps);
	p->readings.left -= MT_MIN(p->readings.left, steps);
}
static inline bool mt_reading_waits(const struct mt_reading *r)
{
	return mt_list_linked(&r->node);
}
/* Runs the decoder, after mt_reading_may(). */
static inline enum mt_decode mt_reading_decode(
	struct mt_proxy *p, struct mt_reading *r, struct mt_decoder *d, struct mt_msg *msg)
{
	uint32_t may = MT_MIN(r->left, p->readings.left);
	enum mt_decode rc;

	d->steps = may;
	rc = mt_decoder_run(d, msg);
	mt_reading_spend(p, r, may - d->steps + MT_READING_MESSAGE);
	/* It may have stopped for want of steps only. */
	if (mt_unlikely(rc == MT_DECODE_MORE && d->steps == 0))
		mt_reading_wait(p, r);
	return rc;
}
/* Begins to look for a message's trailing metadata, which are searched; false: no memory. */
bool mt_reading_begin_scan(struct mt_proxy *p, struct mt_reading *r);
/* Goes on with that; true: they are found. */
bool mt_reading_scan(struct mt_proxy *p, struct mt_reading *r, const struct mt_codec *codec,
	struct mt_msg *msg, const struct mt_chain *c);
/* The view, which shows the message, knows where they are. */
static inline void mt_reading_use_scan(struct mt_proxy *p, const struct mt_reading *r)
{
	if (mt_unlikely(r->scan))
		p->view.meta.scan = *(struct mt_scan *)mt_slab_at(&p->scans, r->scan - 1);
}
void mt_reading_end_scan(struct mt_proxy *p, struct mt_reading *r);
/* The view's message was dispatched: its index counts for the turn, its walk is over. */
static inline void mt_reading_used(struct mt_proxy *p, struct mt_reading *r)
{
	mt_reading_spend(p, r, p->view.meta.took);
	if (mt_unlikely(r->scan))
		mt_reading_end_scan(p, r);
}
/* The connection ends. */
void mt_reading_end(struct mt_proxy *p, struct mt_reading *r);

/* downstream.c */
extern const struct mt_stream_user mt_down_user;

/* Asks for all lines of an object that will be used soon. */
static inline void mt_prefetch_object(const void *obj, size_t size)
{
	for (size_t at = 0; at < size; at += MT_CACHE_LINE)
		__builtin_prefetch((const char *)obj + at, 1);
}

struct mt_down *mt_down_of(struct mt_stream *s);
/* An accepted connection finds no object: counts that it is refused. Always false. */
bool mt_down_no_room(struct mt_proxy *p);
/* The connection is this protocol's. false: there is no room. */
bool mt_down_begin(
	struct mt_proxy *p, struct mt_stream *s, const struct mt_filter_chain_proto *proto);
/* A long request, or the unwanted rest of one, is still arriving. */
static inline bool mt_down_in_message(const struct mt_down *d)
{
	return d->skip_left || !mt_ref_is_none(d->cur);
}
/* downdecode.c. Decodes what is there; also called when something that paused it has changed. */
void mt_down_pump(struct mt_proxy *p, struct mt_down *d);
/* FIN when nothing is owed any more and the client ended (or we want to). */
void mt_down_maybe_finish(struct mt_proxy *p, struct mt_down *d);
/* RST now; every exchange ends. */
void mt_down_reset(struct mt_proxy *p, struct mt_down *d, enum mt_proxy_outcome why);
/* What a stream is told that is aborted for this. */
enum mt_abort_reason mt_abort_of(enum mt_proxy_outcome why);
void mt_down_free(struct mt_proxy *p, struct mt_down *d);
void mt_down_timer(struct mt_proxy *p, struct mt_down *d);
void mt_down_arm(struct mt_proxy *p, struct mt_down *d);
uint32_t mt_down_owed(const struct mt_down *d);

/* drain.c: the end of a client's connection that we want */
/* The client is told; what it has sent, and sends until it is quiet, is served; then FIN. It may have ended on return. */
void mt_down_wind_up(struct mt_proxy *p, struct mt_down *d);
/* The same where nothing is awaited of it: FIN as soon as nothing is owed and nothing is there. */
void mt_down_end(struct mt_proxy *p, struct mt_down *d);
/* It is wound up, and `what` is the answer to requests that still come: nothing serves it any more. */
void mt_down_unserve(struct mt_proxy *p, struct mt_down *d, enum mt_local_reply what);
/* Nothing more is decoded: what is there is dropped. */
void mt_down_close(struct mt_proxy *p, struct mt_down *d);
/* The message that has begun never ends: it is dropped, and what is owed goes. It may have ended on return. */
void mt_down_cut_short(struct mt_proxy *p, struct mt_down *d, enum mt_proxy_outcome why);
/* A timer of one that is wound up; false: it has ended. */
bool mt_down_wind_on(struct mt_proxy *p, struct mt_down *d);

/* evict.c: the ledger's part of streams' users (mt_stream.h: holds, evict) */
void mt_down_holds(struct mt_stream *s, struct mt_sums *sums);
void mt_down_evict(struct mt_stream *s, enum mt_class c);
/* So much more, or less, of its replies is held. */
static inline void mt_down_held(struct mt_down *d, int64_t more)
{
	d->held += more;
	if (more && mt_likely(d->s))
		mt_stream_touch(d->s);
}
void mt_up_evict(struct mt_stream *s, enum mt_class c);
/* The call waits with us: its request is charged to its client; also when the request has changed. */
void mt_exchange_waits(struct mt_proxy *p, struct mt_exchange *ex);
void mt_exchange_waits_no_more(struct mt_proxy *p, struct mt_exchange *ex);

/* reply.c: what goes back to clients */
/* Bytes to the client; the clock of a slow reader starts with the first unread one. */
static inline void mt_reply_send(struct mt_proxy *p, struct mt_down *d, struct mt_chain *c)
{
	if (d->s->tx_queued == 0)
		d->last_ack = p->now;
	mt_stream_send(d->s, c);
}
/* Sends a complete reply (takes the chain) in its turn, and ends the exchange. */
void mt_reply_whole(struct mt_proxy *p, struct mt_exchange *ex, struct mt_chain *reply);
/* A native error in place of a reply, and the end of the exchange. */
void mt_reply_local(
	struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what, const char *text);
/*
 * Bytes that belong to no exchange (heartbeat answers, refusals without one): now, or behind a long reply under
 * way. They count as owed.
 */
void mt_reply_aside(struct mt_proxy *p, struct mt_down *d, struct mt_chain *c);
/*
 * Returns the first call that is not one-way; NULL if all are. Many one-way calls may wait for
 * their acknowledgement, so each is passed once.
 */
struct mt_exchange *mt_reply_first(struct mt_down *d);
/* Whether no earlier call of the client's is owed a reply. */
bool mt_reply_is_first(struct mt_down *d, const struct mt_exchange *ex);
/* After a send or a hold: notes whether more than the soft limit is owed. */
void mt_reply_budget(struct mt_proxy *p, struct mt_down *d);
/*
 * Whether `len` bytes of its reply may be sent now: it is its turn, nothing of it waits and the client has
 * room. Bytes that may not are given to mt_reply_wait(), by which the exchange is woken.
 */
bool mt_reply_may_go(struct mt_down *d, const struct mt_exchange *ex, uint32_t len);
/* READY, REPLYING: bytes of the reply wait here for the client. */
static inline bool mt_reply_waits(const struct mt_exchange *ex)
{
	return (ex->state == MT_EX_READY || ex->state == MT_EX_REPLYING) &&
	       mt_list_linked(&ex->queue_node);
}
/* READY, REPLYING: puts the exchange behind those that wait for the client; if it is there already, it stays in its place. */
void mt_reply_wait(struct mt_down *d, struct mt_exchange *ex);
/* The one that waits and whose turn it is: the client's `writable` goes on with it. NULL: the reply that is in turn has not come. */
struct mt_exchange *mt_reply_next(struct mt_proxy *p, struct mt_down *d);
/* After an exchange ended: others may be in turn, requests may be read again, or nothing is owed. */
void mt_reply_settle(struct mt_proxy *p, struct mt_ref down);
/* Goes on with what waits for the client, in turn, as far as it has room. */
void mt_reply_flush(struct mt_proxy *p, struct mt_down *d);

/* dispatch.c: from a decoded request to a lane */
/* A request is decoded (complete, or leading metadata only): makes the exchange and starts it. */
void mt_dispatch(struct mt_proxy *p, struct mt_down *d, bool complete);
/* Picks an endpoint (again) and hands the exchange to its lanes. */
void mt_dispatch_verified(struct mt_proxy *p, struct mt_exchange *ex);
void mt_dispatch_pick(struct mt_proxy *p, struct mt_exchange *ex);

/* Another configuration has what it waited for, perhaps: routes it again. */
void mt_dispatch_again(struct mt_proxy *p, struct mt_exchange *ex);
/* What is left of its time-out, ms; at least 1. Its service's or its caller's as long as it has no route. */
uint32_t mt_dispatch_left(struct mt_proxy *p, struct mt_exchange *ex);
/* The view shows the exchange's request, unchanged. */
void mt_dispatch_view(struct mt_proxy *p, struct mt_exchange *ex);
/* The filters are done with it: route, endpoint, lane. */
void mt_dispatch_route(struct mt_proxy *p, struct mt_exchange *ex);

/* on_demand.c: only the name of the cluster is there */
void mt_awaiting_init(struct mt_proxy *p);
/* Whether it is so: then the call waits, or was answered. */
bool mt_await_call(struct mt_proxy *p, struct mt_exchange *ex);
/* It is off the list and waits no longer. */
void mt_await_left(struct mt_proxy *p, struct mt_exchange *ex);
void mt_await_call_expired(struct mt_proxy *p, struct mt_exchange *ex);
/* The stream waits; false: it is not going to be there. */
bool mt_await_stream(struct mt_proxy *p, struct mt_pair *pr, struct mt_connecting *j);
void mt_await_stream_left(struct mt_proxy *p, struct mt_connecting *j);
/* What waits is looked at again in the turns to come. */
void mt_awaiting_look(struct mt_proxy *p);
/* Nothing waits for it here, but it would be used. */
void mt_await_ask(struct mt_proxy *p, const struct mt_cluster *c);
/* Only when something has waited. How many were looked at. */
uint32_t mt_awaiting_turn(struct mt_proxy *p);
uint64_t mt_awaiting_next(const struct mt_proxy *p);
static inline bool mt_awaiting_busy(const struct mt_proxy *p)
{
	return p->awaiting.calls.n + p->awaiting.streams.n != 0;
}

/* admit.c */
#define MT_ADMIT_FEW 64
bool mt_admit_looks(
	struct mt_proxy *p, const struct mt_exchange *ex, uint32_t ep_index, uint64_t ep_id);
/* Whether the endpoint cannot be expected to answer the call, whose deadline is armed, in time. */
static inline bool mt_admit_refuses(
	struct mt_proxy *p, const struct mt_exchange *ex, uint32_t ep_index, uint64_t ep_id)
{
	return mt_unlikely(p->ep_stats[ep_index].outstanding >= MT_ADMIT_FEW) &&
	       mt_admit_looks(p, ex, ep_index, ep_id);
}
/* The attempt was answered by its endpoint, or had to be given up. */
void mt_admit_answered(struct mt_proxy *p, const struct mt_attempt *a);

/* exchange.c */
struct mt_exchange *mt_exchange_new(struct mt_proxy *p, struct mt_down *d);
/* For a copy of a call of this snapshot; d is nobody. */
struct mt_exchange *mt_exchange_new_copy(
	struct mt_proxy *p, struct mt_down *d, struct mt_snapshot *snap);
/* Its client; NULL: gone. */
static inline struct mt_down *mt_exchange_down(
	const struct mt_proxy *p, const struct mt_exchange *ex)
{
	return mt_slab_get(&p->downs, ex->down);
}
/* The one that is under way; NULL: none. */
static inline struct mt_attempt *mt_exchange_attempt(
	const struct mt_proxy *p, const struct mt_exchange *ex)
{
	return ex->attempt ? mt_slab_at(&p->attempts, ex->attempt - 1) : NULL;
}
/* The connection that its attempt rides on or waits for. */
struct mt_up *mt_exchange_up(struct mt_proxy *p, const struct mt_exchange *ex);
/* The one end of an exchange: frees its chains, turns its place upstream into a tombstone if needed. */
void mt_exchange_end(struct mt_proxy *p, struct mt_exchange *ex);
/* It ends because its client's connection does, which the client or (cut_off) Meltemi ended. */
void mt_exchange_leave(struct mt_proxy *p, struct mt_exchange *ex, bool cut_off);
/* Waits for nothing any more, and its attempt ends; the exchange is still owed to its client. */
void mt_exchange_detach(struct mt_proxy *p, struct mt_exchange *ex);
void mt_exchange_expired(struct mt_proxy *p, struct mt_exchange *ex);
/* Never sent, or provably not read: another endpoint, or the native answer `what`. */
void mt_exchange_retry(struct mt_proxy *p, struct mt_exchange *ex, enum mt_local_reply what);
/* Counts the outcome of a reply by the server. */
void mt_exchange_count_reply(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_msg *reply);

/* attempt.c */
/* Begins a try at an endpoint, which counts it from here on; NULL: no memory. */
struct mt_attempt *mt_attempt_new(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep);
/*
 * Leaves queue, connection and endpoint. A reply that still comes is recognised as unwanted; a connection that the call had
 * alone may have ended with it.
 */
void mt_attempt_end(struct mt_proxy *p, struct mt_attempt *a);
/* It is no more one of those that are under way at its endpoint. */
void mt_attempt_leave_endpoint(struct mt_proxy *p, const struct mt_attempt *a);
static inline struct mt_exchange *mt_attempt_exchange(
	const struct mt_proxy *p, const struct mt_attempt *a)
{
	return mt_slab_at(&p->exchanges, a->exchange);
}
/* Of a reference that may be none or stale: its exchange, or NULL. */
static inline struct mt_exchange *mt_attempt_exchange_of(
	const struct mt_proxy *p, struct mt_ref attempt)
{
	const struct mt_attempt *a = mt_slab_get(&p->attempts, attempt);

	return a ? mt_attempt_exchange(p, a) : NULL;
}
/* The state of its endpoint, for health; NULL: none, or another endpoint has it by now. */
struct mt_ep_state *mt_attempt_ep(const struct mt_attempt *a);

/* Clients that are connected, to listeners of any kind. */
static inline bool mt_downs_full(const struct mt_proxy *p)
{
	return p->downs.in_use - p->mirror.n + p->pairs.in_use + p->undecided.in_use +
		       (p->tls ? p->tls->coming : 0) >=
	       p->conf.max_down;
}

/* lane.c */
/* This worker's share of a limit of the whole node: exact for one worker, rounded up for several. */
static inline uint32_t mt_share(const struct mt_proxy *p, uint32_t limit)
{
	return limit / p->workers + (limit % p->workers != 0);
}

/* A connection of a lane group's begins or ends. */
static inline void mt_lanes_conn_added(
	struct mt_proxy *p, struct mt_lanes *ln, enum mt_up_role role)
{
	ln->n_conns[role]++;
	p->cluster_conns[ln->cluster_index]++;
}

static inline void mt_lanes_conn_left(struct mt_proxy *p, struct mt_lanes *ln, enum mt_up_role role)
{
	ln->n_conns[role]--;
	p->cluster_conns[ln->cluster_index]--;
}

/* connectionPool.tcp.maxConnections is reached. */
static inline bool mt_lanes_at_limit(const struct mt_proxy *p, const struct mt_lanes *ln)
{
	return mt_unlikely(ln->conns_max) && p->cluster_conns[ln->cluster_index] >= ln->conns_max;
}

/* A call is put into its cluster's queue, or leaves it. */
static inline void mt_pending_add(struct mt_proxy *p, const struct mt_exchange *ex)
{
	p->pending[ex->cluster_index]++;
	p->pending_size[ex->cluster_index] += ex->queued_size;
}

static inline void mt_pending_sub(struct mt_proxy *p, const struct mt_exchange *ex)
{
	p->pending[ex->cluster_index]--;
	p->pending_size[ex->cluster_index] -= ex->queued_size;
}

/* The group for the exchange's endpoint and dialect, made if need be; NULL: no memory. */
struct mt_lanes *mt_lanes_get(
	struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_endpoint *ep);
/* The same for a byte stream. */
struct mt_lanes *mt_lanes_opaque(
	struct mt_proxy *p, const struct mt_connecting *j, const struct mt_endpoint *ep);
/*
 * Whether a call may take one of the endpoint's bulk connections, of which there are few, and who does not read holds
 * his for long: more of them must be left than its client's address has already, and more than twice as many as its
 * client's connection has. (Dynamic thresholds: Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998.)
 */
bool mt_lane_has_share(struct mt_proxy *p, const struct mt_lanes *ln, const struct mt_exchange *ex);
/* What kind of connection a call takes. */
enum mt_up_role mt_lane_role(const struct mt_lanes *ln, const struct mt_exchange *ex);
/* Connections of a kind that do not drain. */
uint32_t mt_lanes_taking(const struct mt_lanes *ln, enum mt_up_role role);
/* Of SHARED and WIDE. */
static inline enum mt_up_role mt_lane_other(enum mt_up_role role)
{
	return role == MT_UP_SHARED ? MT_UP_WIDE : MT_UP_SHARED;
}
/* The address that a client's connection counts for (IPv6: its /64). */
struct mt_addr mt_client_holder(const struct mt_stream *s);
/* The same of a call's client. */
struct mt_addr mt_lane_holder(struct mt_proxy *p, const struct mt_exchange *ex);
/* 0: it has a connection (or was answered); -EAGAIN: it has to queue; else no connection can be had. */
int mt_lane_assign(struct mt_proxy *p, struct mt_lanes *ln, struct mt_attempt *a);
/* queue.c. It waits for a connection; or it, or another that waits, is refused. */
void mt_queue_add(struct mt_proxy *p, struct mt_lanes *ln, struct mt_attempt *a);
/* It waits no more. The queue may be freed. */
void mt_queue_del(struct mt_proxy *p, struct mt_lanes *ln, struct mt_attempt *a);
/* Sends the attempt's exchange on a connection of the endpoint, opens one, or queues it. */
void mt_lane_submit(struct mt_proxy *p, struct mt_lanes *ln, struct mt_attempt *a);
/*
 * A connection became free, open or gone: what waits is sent at the end of the turn. Sending may answer
 * and end any call, so it never happens in the middle of something else that ends one.
 */
void mt_lane_hungry(struct mt_proxy *p, struct mt_lanes *ln);
/* The call of this queue (MT_FAIR_*) that is served next; NULL: none. Changes nothing. */
const struct mt_attempt *mt_queue_head(const struct mt_lanes *ln, uint32_t queue);
/*
 * A serial connection without a call that closes as soon as its one-way calls are acknowledged,
 * preferably one on which all are; NULL: there is none.
 */
struct mt_up *mt_lane_gives_way(const struct mt_lanes *ln);
/* Gives waiting calls to connections; at most about `budget` of them. Returns how many. */
uint32_t mt_lanes_feed(struct mt_proxy *p, uint32_t budget);
/* The connection is open: sends what waited for it. */
void mt_lane_flush_waiting(struct mt_proxy *p, struct mt_up *u);
/* More bytes of a long request. */
void mt_lane_send_more(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a);
/* The reply of a SERIAL or BULK connection is complete: it is free again. */
void mt_lane_free_conn(struct mt_proxy *p, struct mt_up *u);
void mt_lanes_drain(struct mt_proxy *p, struct mt_lanes *ln);
/* Frees a group whose endpoint is gone and that has neither connections nor queued calls. */
void mt_lanes_maybe_free(struct mt_proxy *p, struct mt_lanes *ln);
enum mt_correlation mt_correlation_of(const struct mt_codec *codec, uint8_t opts);

uint32_t mt_lanes_serial_max(const struct mt_proxy *p, const struct mt_lanes *ln);

/* idle.c */
/* The server ends a connection on which nothing is awaited. */
void mt_idle_ended(struct mt_proxy *p, const struct mt_up *u);
/* Idle for about as long as its endpoint leaves connections idle. */
bool mt_idle_too_old(const struct mt_proxy *p, const struct mt_up *u);

/* upstream.c */
extern const struct mt_stream_user mt_up_user;
struct mt_up *mt_up_open(
	struct mt_proxy *p, struct mt_lanes *ln, enum mt_up_role role, enum mt_close_reason *why);
struct mt_up *mt_up_of(struct mt_stream *s);
/* As long as a server may leave what it was sent unacknowledged: calls go elsewhere then, so it need not be minutes. */
#define MT_UP_SILENT_MS 1000
/* Takes and decodes what is there; nothing while it is paused, so that the window shuts. */
void mt_up_pump(struct mt_proxy *p, struct mt_up *u);
/* The client of its long reply goes on. */
void mt_up_resume(struct mt_proxy *p, struct mt_up *u);
void mt_up_timer(struct mt_proxy *p, struct mt_up *u);
void mt_up_arm(struct mt_proxy *p, struct mt_up *u);
/* No new calls; closes when the last one is answered. */
void mt_up_drain(struct mt_proxy *p, struct mt_up *u);
/* No call needs a reply from it any more, and none is on its way. */
bool mt_up_nothing_awaited(const struct mt_up *u);
/* The server's FIN is there and so is nothing else that could still be passed on. */
static inline bool mt_up_ended(const struct mt_up *u)
{
	return u->eof && !u->paused && !u->retry_at && !mt_reading_waits(&u->reading);
}
/* Closes a connection; calls that are still out on it may be sent again (retry.c), or are answered natively. */
void mt_up_close(struct mt_proxy *p, struct mt_up *u, enum mt_proxy_outcome why);
/* Resets it; calls that are out on it are answered natively with `what`. */
void mt_up_kill(
	struct mt_proxy *p, struct mt_up *u, enum mt_local_reply what, enum mt_proxy_outcome why);
/* Whose fault the end of a connection is, while its calls are still known. */
struct mt_blame {
	struct mt_ep_state *ep; /* NULL: nobody's */
	const struct mt_outlier_rule *rule;
};
struct mt_blame mt_up_blame(struct mt_proxy *p, struct mt_up *u);
/* Forgets the connection (its stream is gone or let go). */
void mt_up_forget(struct mt_proxy *p, struct mt_up *u);

/* uprequest.c: answers the heartbeat, or the request, that u->msg is; it stays in rx. */
void mt_up_heartbeat(struct mt_proxy *p, struct mt_up *u);
void mt_up_request(struct mt_proxy *p, struct mt_up *u);

/* Bytes to the server. */
static inline void mt_up_send(struct mt_up *u, struct mt_chain *c)
{
	u->given += c->len;
	mt_stream_send(u->s, c);
}

/*
 * After the server's FIN its machine answers what crossed it with a RST. Until that is there, or did not come for a
 * retransmission timeout, nobody knows; looked at so often, and for so long at most.
 */
#define MT_LOOK_AGAIN (50 * MT_MSEC)
#define MT_LOOK_UNTIL (3 * MT_SEC)

/* What of [first, last) the server can have read, as far as this node believes it. */
static inline enum mt_unread mt_up_unread(
	const struct mt_proxy *p, const struct mt_stream_end *e, uint64_t first, uint64_t last)
{
	return p->conf.unread_strict ? mt_stream_unsent(e, first)
				     : mt_stream_unread(e, first, last);
}

/* Who is not let through, by what has judged him; counted. */
void mt_guard_count(struct mt_proxy *p, enum mt_authz_effect e, const struct mt_authz_policy *by);
/*
 * authorize.c: whether the call, or the stream of bytes, may go to this endpoint, which is guarded. false: it is counted, and a
 * call is answered.
 */
bool mt_guard_passes(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_endpoint *ep);
/* Whether a copy of the call may go to an endpoint of another cluster. Nothing is counted or answered. */
bool mt_guard_lets_copy(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_cluster *c,
	const struct mt_endpoint *ep);
/* queue.c: which of MT_FAIR_BUCKETS an address is in, which nobody outside knows. */
uint8_t mt_fair_bucket(const struct mt_proxy *p, const struct mt_addr *a);
/* filters.c: a limit in the server's place. false: the call is over it, and was answered. */
bool mt_exchange_within(
	struct mt_proxy *p, struct mt_exchange *ex, const struct mt_filter_inst *limit);
void mt_guard_count_closed_bytes(struct mt_proxy *p, const struct mt_closer *by);
bool mt_guard_passes_bytes(
	struct mt_proxy *p, const struct mt_pair *pr, const struct mt_cluster *c, uint32_t at);
/* Whether the current rules deny a stream that is joined, or about to be: counted then. */
bool mt_guard_lets_in(
	struct mt_proxy *p, const struct mt_pair *pr, const struct mt_gate_guard *gate);
bool mt_guard_ends(struct mt_proxy *p, const struct mt_pair *pr, uint32_t *cost);

/* retry.c: the calls of a server's connection that ends */
enum mt_up_end {
	MT_UP_END_GONE, /* inside closed() */
	MT_UP_END_ABORT,
	MT_UP_END_DETACH, /* but aborted if something has to be sent again */
};
/* The calls that ended with their connection. */
struct mt_up_lost {
	bool any;
	bool counted; /* as failures of the endpoint; not if all of them are known to have no reply */
};
/*
 * Ends the stream as `how` specifies. Calls that the server provably has not read are sent again;
 * all others get the local reply `what` and are returned.
 */
struct mt_up_lost mt_up_end_calls(struct mt_proxy *p, struct mt_up *u, struct mt_stream *s,
	enum mt_up_end how, enum mt_local_reply what, const char *text, enum mt_abort_reason why);
/* The server's FIN is there and all before it is decoded: ends the connection, perhaps only when more is known. */
void mt_up_peer_ended(struct mt_proxy *p, struct mt_up *u);
/* Provably unread, its bytes are in `req`: another attempt. */
void mt_exchange_repeat(struct mt_proxy *p, struct mt_exchange *ex);

/* record.c */
/* The method's name, while the message is in p->view. */
void mt_exchange_find_method(struct mt_proxy *p, struct mt_exchange *ex);
void mt_exchange_replied(struct mt_exchange *ex, enum mt_msg_status status, uint64_t now);
void mt_exchange_answered_here(struct mt_exchange *ex, enum mt_local_reply what);
void mt_exchange_cut_off(struct mt_exchange *ex);
/* It is to be an exemplar, if it is answered: asks for its trace, in p->view. */
void mt_exchange_sample(struct mt_proxy *p, struct mt_exchange *ex);
/* How it ended, in filters' words. */
enum mt_filter_ended mt_exchange_ended(const struct mt_exchange *ex);
/* It ends, and is told to those who want it. */
void mt_exchange_record_wanted(struct mt_proxy *p, struct mt_exchange *ex);
static inline void mt_exchange_record(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (mt_unlikely(p->now - ex->started >= p->slow.floor || ex->sampled) ||
		mt_traced(ex->trace))
		mt_exchange_record_wanted(p, ex);
}

/* trace.c; the rest of it is in mt_proxy_trace.h */
/* Static words for `status`. */
const char *mt_exchange_status_name(enum mt_msg_status s);

/* updecode.c: what comes from servers */
void mt_up_message(struct mt_proxy *p, struct mt_up *u);
bool mt_up_begin_long(struct mt_proxy *p, struct mt_up *u);
/* SHARED, WIDE: the reply that is kept until it is whole goes nowhere, and its call is answered natively. false: there is none. */
bool mt_up_give_up_reply(struct mt_proxy *p, struct mt_up *u);
void mt_up_continue_long(struct mt_proxy *p, struct mt_up *u);

#include "mt_mirror.h"
#include "mt_secure.h"
#include "mt_exchange_filters.h"
#include "mt_exchange_verdict.h"
#include "mt_exchange_tokens.h"
#include "mt_exchange_asks.h"
#include "pool/mt_oneway.h"
#include "mt_leave.h"
#include "mt_unacked.h"
#include "session/mt_session_priv.h"
#include "mt_undecided.h"
#include "mt_proxy_health.h"
#include "mt_proxy_trace.h"
