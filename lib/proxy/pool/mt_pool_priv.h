/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of pool/: server connections, lanes, queues. */
#pragma once

#include "endpoint/mt_endpoint_priv.h"
#include "mt_secure.h"
#include "pool/mt_demand.h"
#include "pool/mt_former.h"
#include "pool/mt_match.h"
#include "pool/mt_oneway.h"
#include "pool/mt_pool_user.h"
#include "pool/mt_reading.h"
#include "pool/mt_reply.h"
#include "pool/mt_silence.h"
#include "pool/mt_waits.h"

/* lane.c */
/* Return this worker's units of the node's limits for a cluster. */
static inline struct mt_units mt_conns_units(const struct mt_proxy *p, uint32_t cluster)
{
	return mt_units_of(p->node_limits, p->worker, cluster, MT_NODE_CONNS);
}

static inline struct mt_units mt_pending_units(const struct mt_proxy *p, uint32_t cluster)
{
	return mt_units_of(p->node_limits, p->worker, cluster, MT_NODE_PENDING);
}

/* Sets the worker's units to its number of connections, or of waiting calls; `max` 0: no limit. */
static inline void mt_conns_settle(struct mt_proxy *p, uint32_t cluster, uint32_t max)
{
	mt_units_set(mt_conns_units(p, cluster), p->cluster_conns[cluster], max);
}

static inline void mt_pending_settle(struct mt_proxy *p, uint32_t cluster, uint32_t max)
{
	mt_units_set(mt_pending_units(p, cluster), p->pending[cluster], max);
}

/*
 * limited.c. Takes a unit for one more connection of a cluster with a limit. False: no unit is
 * left. `beyond`: forces a unit then, and returns true.
 */
bool mt_conns_take(struct mt_proxy *p, struct mt_lanes *ln, bool beyond);

/*
 * Counts a connection that is to be opened. False: the cluster has as many connections as
 * connectionPool.tcp.maxConnections allows. `beyond`: this connection may exceed the limit.
 */
static inline bool mt_lanes_conn_begin(
	struct mt_proxy *p, struct mt_lanes *ln, enum mt_up_role role, bool beyond)
{
	if (mt_unlikely(ln->conns_max) && !mt_conns_take(p, ln, beyond))
		return false;
	ln->n_conns[role]++;
	p->cluster_conns[ln->cluster_index]++;
	return true;
}

/* Call when a counted connection has ended or could not be opened: no longer counts it. */
static inline void mt_lanes_conn_left(struct mt_proxy *p, struct mt_lanes *ln, enum mt_up_role role)
{
	ln->n_conns[role]--;
	p->cluster_conns[ln->cluster_index]--;
	mt_conns_settle(p, ln->cluster_index, ln->conns_max);
}

/*
 * Returns how many calls of the node may wait for the exchange's cluster. 0: the node has no limit,
 * so pending_max of each worker applies.
 */
static inline uint32_t mt_pending_most(const struct mt_exchange *ex)
{
	return ex->attempt.cluster ? ex->attempt.cluster->max_pending : 0;
}

/* Counts a call that begins to wait for its cluster, or for a connection to the cluster. */
static inline void mt_pending_add(struct mt_proxy *p, const struct mt_exchange *ex)
{
	p->pending[ex->attempt.cluster_index]++;
	p->pending_size[ex->attempt.cluster_index] += ex->attempt.queued_size;
	mt_pending_settle(p, ex->attempt.cluster_index, mt_pending_most(ex));
}

/* No longer counts the call, which keeps its unit of the node's limit until mt_pending_settle(). */
static inline void mt_pending_leave(struct mt_proxy *p, const struct mt_exchange *ex)
{
	p->pending[ex->attempt.cluster_index]--;
	p->pending_size[ex->attempt.cluster_index] -= ex->attempt.queued_size;
}

static inline void mt_pending_sub(struct mt_proxy *p, const struct mt_exchange *ex)
{
	mt_pending_leave(p, ex);
	mt_pending_settle(p, ex->attempt.cluster_index, mt_pending_most(ex));
}

/* The lane group for the endpoint and the exchange's dialect, made if needed; NULL: no memory. */
struct mt_lanes *mt_lanes_get(
	struct mt_proxy *p, const struct mt_exchange *ex, const struct mt_endpoint *ep);
/* As mt_lanes_get(), for an opaque TCP stream. */
struct mt_lanes *mt_lanes_opaque(
	struct mt_proxy *p, const struct mt_connecting *j, const struct mt_endpoint *ep);
/*
 * True if the call may take one of the endpoint's bulk connections. They are few, and a client that
 * does not read occupies one for long. So the connections left (free, or not opened yet) must be
 * more than the client's address occupies, and more than twice those that its connection occupies
 * (dynamic thresholds: Choudhury and Hahne, IEEE/ACM Transactions on Networking 6(2), 1998).
 */
bool mt_lane_has_share(struct mt_proxy *p, const struct mt_lanes *ln, const struct mt_exchange *ex);
/* The role of the connection that a call takes. */
enum mt_up_role mt_lane_role(const struct mt_lanes *ln, const struct mt_exchange *ex);
/* Number of connections of a role that do not drain. */
uint32_t mt_lanes_taking(const struct mt_lanes *ln, enum mt_up_role role);
/* WIDE for SHARED, SHARED for WIDE. */
static inline enum mt_up_role mt_lane_other(enum mt_up_role role)
{
	return role == MT_UP_SHARED ? MT_UP_WIDE : MT_UP_SHARED;
}
/* mt_client_holder() of the call's client; zero for a mirrored copy. */
struct mt_addr mt_lane_holder(struct mt_proxy *p, const struct mt_exchange *ex);
/*
 * Gives the call a connection and returns 0. -EAGAIN: the call has to wait in the queue.
 * -ECANCELED: the call was answered, for lack of memory. -ECONNREFUSED: no connection can be
 * opened.
 */
int mt_lane_assign(struct mt_proxy *p, struct mt_lanes *ln, struct mt_attempt *a);
/*
 * queue.c. Queues the call until a connection is free; other waiting calls may be refused in its
 * favour. False: the call itself was refused.
 */
bool mt_queue_add(struct mt_proxy *p, struct mt_lanes *ln, struct mt_attempt *a);
/* Removes the call from its queue; an mt_fair that becomes empty is freed. */
void mt_queue_del(struct mt_proxy *p, struct mt_lanes *ln, struct mt_attempt *a);
/* The result of giving an attempt to the pool of its endpoint. */
enum mt_tried {
	MT_TRIED_OUT,	    /* sent, or it waits for a connection of the pool */
	MT_TRIED_UNREACHED, /* no connection to the endpoint opens; the caller keeps the call */
	MT_TRIED_ENDED,	    /* the call was answered, or waits outside of the pool */
};

/*
 * Sends the call on a connection of the endpoint, opens one, puts the call into the queue, or
 * answers it.
 */
enum mt_tried mt_lane_submit(struct mt_proxy *p, struct mt_lanes *ln, struct mt_attempt *a);
/*
 * Call when a connection of the group became free, open or gone, or takes more calls. Waiting calls
 * are sent at the end of the loop iteration, because sending may answer and end any call.
 */
void mt_lane_hungry(struct mt_proxy *p, struct mt_lanes *ln);
/* The call of this queue (MT_FAIR_*) that is served next; NULL: none. Changes nothing. */
const struct mt_attempt *mt_queue_head(const struct mt_lanes *ln, uint32_t queue);
/*
 * Returns a draining serial connection without a call; it closes when its one-way calls are
 * acknowledged. Prefers one with nothing outstanding, because this one closes next. NULL: none.
 */
struct mt_up *mt_lane_gives_way(const struct mt_lanes *ln);
/* limited.c. Arms the group's timer; call if calls wait and the cluster has a limit of the node. */
void mt_lanes_look_later(struct mt_proxy *p, struct mt_lanes *ln);
/* mt_lanes.timer is due: checks the limits of the node. */
void mt_lanes_timer(struct mt_proxy *p, struct mt_lanes *ln);
/*
 * Refuses up to n waiting calls, first those of the bucket with the most. Three conditions must
 * hold each time: all workers' calls for the cluster exceed its limit, this worker's exceed its
 * even share, and a worker needed a place in the last 2 s. Returns how many. May free the group.
 */
uint32_t mt_queue_yield(struct mt_proxy *p, struct mt_lanes *ln, uint32_t n);
/* Serves mt_proxy.hungry: at most `budget` waiting calls leave their queues. Returns how many. */
uint32_t mt_lanes_feed(struct mt_proxy *p, uint32_t budget);
/* The connection is open: sends the calls that waited for it to open. */
void mt_lane_flush_waiting(struct mt_proxy *p, struct mt_up *u);
/* Sends all received bytes of a long request, unless the server connection's send queue is full. */
void mt_lane_send_more(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a);
/* The call of a SERIAL or BULK connection is over: frees the connection, or ends it. */
void mt_lane_free_conn(struct mt_proxy *p, struct mt_up *u);
void mt_lanes_drain(struct mt_proxy *p, struct mt_lanes *ln);
/* Frees the group if it is `gone`, has no connection or queued call, and is not `pinned`. */
void mt_lanes_maybe_free(struct mt_proxy *p, struct mt_lanes *ln);
enum mt_correlation mt_correlation_of(const struct mt_codec *codec, uint8_t opts);

uint32_t mt_lanes_serial_max(const struct mt_proxy *p, const struct mt_lanes *ln);

/* queue.c: the bucket of an address, under the worker's secret salt. */
uint8_t mt_fair_bucket(const struct mt_proxy *p, const struct mt_addr *a);

/* idle.c */
/* Call when a server ends a connection on which nothing is awaited: learns the idle time. */
void mt_idle_ended(struct mt_proxy *p, const struct mt_up *u);
/* True if the connection was idle for almost as long as its endpoint leaves connections idle. */
bool mt_idle_too_old(const struct mt_proxy *p, const struct mt_up *u);

/* upstream.c */
extern const struct mt_stream_user mt_up_user;
struct mt_up *mt_up_open(
	struct mt_proxy *p, struct mt_lanes *ln, enum mt_up_role role, enum mt_close_reason *why);
/* Arms the connection's timer for the earliest of its deadlines. */
void mt_up_arm(struct mt_proxy *p, struct mt_up *u);
/*
 * Resets the connection. Unread calls are sent again (retry.c), others get the local reply `what`.
 */
void mt_up_kill(
	struct mt_proxy *p, struct mt_up *u, enum mt_local_reply what, enum mt_proxy_outcome why);
/*
 * True if no call, and no acknowledgement of a one-way call, is outstanding on the connection, and
 * no long reply is being received.
 */
bool mt_up_nothing_awaited(const struct mt_up *u);
/*
 * Endpoint against which the end of a connection counts, and the outlier rule that applies. Call
 * mt_up_blame() while the connection still has its calls.
 */
struct mt_blame {
	struct mt_ep_state *ep; /* NULL: the end counts against none */
	const struct mt_outlier_rule *rule;
	const char *handshake; /* mt_secure_failure() */
};
struct mt_blame mt_up_blame(struct mt_proxy *p, struct mt_up *u);
/* Sends bytes to the server. */
static inline void mt_up_send(struct mt_up *u, struct mt_chain *c)
{
	u->given += c->len;
	mt_stream_send(u->s, c);
}
struct mt_up *mt_up_of(struct mt_stream *s);
/* Longest time for which data may stay unacknowledged; short, so that calls soon go elsewhere. */
#define MT_UP_SILENT_MS 1000
/*
 * Decodes the received bytes of a server. Does nothing while the connection is paused, so that its
 * window closes.
 */
void mt_up_pump(struct mt_proxy *p, struct mt_up *u);
/* The client can take more of the long reply: continues to read it. */
void mt_up_resume(struct mt_proxy *p, struct mt_up *u);
void mt_up_timer(struct mt_proxy *p, struct mt_up *u);
/*
 * Gives an open connection no further calls, and closes it when nothing is awaited on it. Does
 * nothing while it is connecting.
 */
void mt_up_drain(struct mt_proxy *p, struct mt_up *u);
/* True if the server has sent FIN, and nothing that came before it is still to be decoded. */
static inline bool mt_up_ended(const struct mt_up *u)
{
	return u->eof && !u->paused && !u->retry_at && !mt_reading_waits(&u->reading);
}
/*
 * Closes a connection. Calls that are still outstanding on it are sent again (retry.c) or get a
 * local reply.
 */
void mt_up_close(struct mt_proxy *p, struct mt_up *u, enum mt_proxy_outcome why);
/* Frees the connection object; its stream must have ended or been detached. */
void mt_up_forget(struct mt_proxy *p, struct mt_up *u);

/* uprequest.c: answers the heartbeat or request u->msg, which stays in s->rx. */
void mt_up_heartbeat(struct mt_proxy *p, struct mt_up *u);
void mt_up_request(struct mt_proxy *p, struct mt_up *u);

/*
 * A server's TCP stack sends RST in answer to data that crossed the server's FIN. Until the RST
 * comes, or a retransmission time-out passes without it, it is unknown if calls were read.
 * MT_LOOK_AGAIN is the interval of the checks, MT_LOOK_UNTIL the time after which they end.
 */
#define MT_LOOK_AGAIN (50 * MT_MSEC)
#define MT_LOOK_UNTIL (3 * MT_SEC)

/* Tests if bytes [first, last) are provably unread; unread_strict: if none of them was sent. */
static inline enum mt_unread mt_up_unread(
	const struct mt_proxy *p, const struct mt_stream_end *e, uint64_t first, uint64_t last)
{
	return p->conf.unread_strict ? mt_stream_unsent(e, first)
				     : mt_stream_unread(e, first, last);
}

/* updecode.c: decoding of what servers send */
/* The attempt leaves the connection, which reads and drops the rest of its long reply. */
static inline void mt_up_skip_rest(struct mt_up *u, const struct mt_attempt *a)
{
	u->reply = MT_REF_NONE;
	u->skip = (struct mt_up_skip){
		.left = a->reply_left, .progress = a->reply_progress, .id = a->reply_id};
}
void mt_up_message(struct mt_proxy *p, struct mt_up *u);
/*
 * All filters have passed the complete reply `msg`, which the view shows: applies the changes of
 * the view and of the route to the reply, counts it and sends it to the client.
 */
void mt_reply_filtered(
	struct mt_proxy *p, struct mt_exchange *ex, struct mt_msg *msg, struct mt_chain *reply);
bool mt_up_begin_long(struct mt_proxy *p, struct mt_up *u);
/*
 * SHARED, WIDE: drops the reply that is kept until it is complete; its call gets a local reply.
 * False: there is no such reply.
 */
bool mt_up_give_up_reply(struct mt_proxy *p, struct mt_up *u);
void mt_up_continue_long(struct mt_proxy *p, struct mt_up *u);

/* health_check.c */
extern const struct mt_stream_user mt_health_check_user;
/* The timer is due: begins the next check, or ends one whose heartbeat was not answered. */
void mt_health_check_timer(struct mt_proxy *p, struct mt_health_check *pr);
