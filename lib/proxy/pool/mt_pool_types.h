/* SPDX-License-Identifier: Apache-2.0 */
/* Types of pool/: server connections, their lanes, queues and ids; decoding in portions. */
#pragma once

#include "endpoint/mt_endpoint_types.h"
#include "mt_proxy.h"

/* ---- decoding in portions (reading.c) ---- */

/* Decoding state of a connection. */
struct mt_reading {
	struct mt_list node; /* mt_readings.queue */
	uint32_t turn;	     /* loop iteration to which `left` belongs */
	uint32_t left;	     /* decoding steps left for the connection in this iteration */
	uint32_t scan;	     /* scan of a long message: index in mt_proxy.scans + 1; 0: none */
};

struct mt_readings {
	struct mt_list queue; /* connections that continue in a later iteration */
	uint32_t turn;
	uint32_t left; /* decoding steps left in this iteration */
	/* Steps left to read metadata again, after a wait or for another attempt. */
	uint32_t resumes;
};

/* ---- upstream ---- */

/*
 * SHARED and WIDE connections carry calls of many clients; WIDE carries longer messages, which
 * would delay short ones. PINNED: server connections of opaque TCP (struct mt_pair), which lane
 * groups only count.
 */
enum mt_up_role { MT_UP_SHARED, MT_UP_WIDE, MT_UP_SERIAL, MT_UP_BULK, MT_UP_PINNED, MT_UP_ROLES };
enum mt_up_state { MT_UP_CONNECTING, MT_UP_OPEN, MT_UP_DRAINING, MT_UP_N_STATES };

/*
 * A place for an outstanding call in the id ring. id 0: free. An id without an exchange: a
 * tombstone.
 */
struct mt_slot {
	uint64_t id;
	struct mt_ref exchange; /* call whose attempt was sent with this id */
};

/* How a server sets the ids of its replies (match.c). */
enum mt_ids {
	MT_IDS_UNKNOWN, /* no reply has come */
	MT_IDS_ECHOED,
	MT_IDS_ABSENT, /* replies have id 0, whatever the ids of their calls */
};

/*
 * Ring of the last calls without a reply on a SERIAL connection that is bound to a client
 * (oneway.c).
 */
#define MT_UNANSWERED 64
struct mt_unanswered {
	uint32_t n; /* number of calls so far */
	struct mt_unanswered_call {
		bool used;
		bool overtaken;	 /* if replies have no ids: a later call was answered */
		uint32_t aux;	 /* with `id`: the client's id (mt_seed) */
		uint64_t given;	 /* id of the call on the connection */
		uint64_t method; /* mt_attempt.method */
		uint64_t id;
	} call[MT_UNANSWERED];
};

/* A long reply that is read and dropped, because no call waits for it. */
struct mt_up_skip {
	uint32_t left;	   /* bytes that have not come yet; 0: nothing is skipped */
	bool late;	   /* the reply does not answer the outstanding call */
	uint64_t progress; /* ns: when the last bytes came */
	uint64_t id;	   /* as the server sent it */
};

/* Detection of an unresponsive server (silence.c); SHARED and WIDE only. Times in ns. */
struct mt_silence {
	uint64_t first_sent; /* when the first call after the last received byte was sent */
	uint64_t asked_at;   /* start of the wait for a heartbeat's answer; 0: none is awaited */
	uint64_t asked_end;  /* stream position of the last heartbeat's end; 0: none was sent */
	/*
	 * While an answer is awaited. `acked`: stream position that the server had acknowledged at
	 * the last check. `moved`: when the wait began, or the last check that found a new
	 * acknowledgement or bytes in flight.
	 */
	uint64_t acked, moved;
	uint64_t not_before; /* earliest time of the next heartbeat */
	uint64_t vouched;    /* mt_up.last_rx when `gap` was last raised */
	uint64_t quiet;	     /* a heartbeat is sent after this time without a received byte */
	uint64_t gap; /* used if longer than `quiet`, while only answers to heartbeats come */
};

struct mt_up {
	struct mt_ref self;
	struct mt_stream *s;
	/*
	 * In mt_lanes.idle[role] if SERIAL or BULK, open, not bound and without a call; else in
	 * .conns[role].
	 */
	struct mt_list node;
	struct mt_lanes *lanes;
	enum mt_up_role role;
	enum mt_up_state state;
	bool busy; /* SERIAL, BULK: has a call or its tombstone, or tests by FIN (oneway.c) */
	bool used; /* has carried a call */
	bool decoding, eof;
	bool paused; /* its long reply waits for the client; the exchange is in mt_down.waiting */
	struct mt_decoder dec; /* reads s->rx */
	struct mt_msg msg;
	struct mt_reading reading;
	struct mt_slot *ring; /* SHARED, WIDE */
	uint64_t *ring_busy;  /* a bit for each slot, set if it is busy; stored after the slots */
	uint32_t outstanding; /* busy slots, including the tombstones */
	uint32_t tombstones;
	uint64_t next_id;
	struct mt_ref exchange; /* SERIAL, BULK: call with the outstanding attempt */
	/* To find the call of a reply (match.c): */
	uint64_t first_id;	  /* first id that was used */
	uint32_t n_unknown;	  /* replies with ids that calls can have, but were never used */
	uint8_t ids_started_over; /* how often next_id has wrapped; counted up to 2 */
	enum mt_ids ids : 8;	  /* SERIAL: learned from its replies */
	/* SERIAL: a one-way call was sent on the connection, and the server may reply to it. */
	bool unanswered;
	/* SERIAL: has had a call that may be one-way since it was last idle (oneway.c). */
	bool in_doubt;
	uint64_t out_id;     /* SERIAL, BULK: id of the call with an outstanding reply; 0: none */
	uint64_t out_method; /* SERIAL: mt_attempt.method of that call */
	/*
	 * BULK, while busy: client connection and client address (IPv6: its /64) of the call, for
	 * mt_lane_has_share(); the call may have ended. SERIAL, in doubt: `client` is the client
	 * connection with the calls that share this connection.
	 */
	struct mt_ref client;
	struct mt_addr from;
	/* SERIAL, in doubt (oneway.c): */
	struct mt_list behind; /* the attempts after that of `exchange`, in the order of sending */
	uint32_t n_behind;
	bool bound;   /* a call had no reply, so the connection takes only calls of `client` */
	bool counted; /* counts in mt_lanes.n_bound */
	uint32_t unanswered_at; /* index in mt_proxy.unanswered + 1; 0: none */
	uint32_t ep_at; /* position where its endpoint was last found in a cluster; tried first */
	uint64_t owner; /* mt_service.owner of its calls */
	/*
	 * mt_attempt.method_key of the first call that ended before its reply and has a method that
	 * is not known to answer; 0: none.
	 */
	uint64_t left;
	/*
	 * Exchange of the long reply that is being forwarded; none: no reply is being forwarded.
	 * The progress is in mt_attempt.reply_left and reply_progress.
	 */
	struct mt_ref reply;
	struct mt_up_skip skip;
	bool release;	  /* SERIAL, BULK: the connection is freed at the end of the decode loop */
	bool comes_whole; /* with msg_started: `msg` has the message's leading fields */
	struct mt_list waiting; /* attempts to send when the connection is open */
	struct mt_list unacked; /* one-way attempts, in the order of sending */
	uint32_t n_waiting;
	struct mt_timer timer;
	uint64_t last_rx, last_tx, skip_until;
	/* ns: start of an incomplete message that is not forwarded in parts; 0: none. */
	uint64_t msg_started;
	uint64_t retry_at; /* ns: when to decode again without new bytes; 0: never */
	/* SHARED, WIDE; ns: when its use of memory made it drain; 0: it did not. */
	uint64_t evicted;
	uint64_t given; /* bytes passed to the stream so far */
	/*
	 * ns: when the server's FIN was first processed; when to check again if outstanding calls
	 * were read (retry.c). 0: never.
	 */
	uint64_t ended_at, look_at;
	struct mt_silence silence;
};

/* True if the connection carries calls of many clients, which ids identify. */
static inline bool mt_up_shares(const struct mt_up *u)
{
	return u->role <= MT_UP_WIDE;
}

/* True if a long reply has begun, and is forwarded or skipped. */
static inline bool mt_up_in_reply(const struct mt_up *u)
{
	return u->skip.left || !mt_ref_is_none(u->reply);
}

/*
 * Idle time after which an endpoint ends connections, learned from its FINs and resets (idle.c).
 * Times in ns.
 */
struct mt_idle_limit {
	uint64_t learnt; /* 0: unknown */
	/* Of the last ends with similar idle times: shortest idle time; time of the last one. */
	uint64_t age, at;
	/* Nothing is learned before this time, because the server itself seems to end. */
	uint64_t nothing_until;
	uint32_t n; /* number of ends with similar idle times */
};

/* Attempts that wait for connections to an endpoint, in buckets by client address (queue.c). */
#define MT_FAIR_BITS	6
#define MT_FAIR_BUCKETS (1u << MT_FAIR_BITS)
struct mt_fair {
	uint64_t busy; /* a bit for each non-empty bucket */
	uint32_t at;   /* the bucket that is being served */
	uint32_t n[MT_FAIR_BUCKETS];
	int32_t credit[MT_FAIR_BUCKETS]; /* bytes left to the bucket in this round */
	struct mt_list bucket[MT_FAIR_BUCKETS];
};

/* Queues of an endpoint: for SHARED or SERIAL connections, and for WIDE ones. */
enum mt_fair_queue { MT_FAIR_NARROW, MT_FAIR_WIDE, MT_FAIR_QUEUES };

/* Lane group: all connections of this worker to one endpoint in one dialect. */
struct mt_lanes {
	struct mt_ref self;
	uint32_t ep_index;
	uint64_t ep_id;
	struct mt_ep_state *state; /* in lib/upstream's registry, which outlives snapshots */
	const struct mt_codec *codec;
	uint8_t codec_opts;
	uint8_t lane_class;  /* dialect (mt_msg.lane_class); dialects never share a connection */
	enum mt_ids ids : 8; /* SERIAL: last result of its connections (mt_up.ids) */
	struct mt_lanes *next_class; /* next group of the endpoint: other dialect, options, TLS */
	struct mt_tls_context *tls;  /* held; NULL: plaintext */
	struct mt_addr addr;
	uint16_t port;
	uint32_t connect_ms;
	uint32_t cluster_index; /* index in mt_proxy.cluster_conns */
	uint32_t conns_max;	/* maximum of the node's connections to the cluster; 0: no limit */
	/* Drains: its endpoint or codec left the configuration, or the TLS context changed. */
	bool gone;
	bool limited;	/* conns_max refused the last connection that a call needed */
	bool pinned;	/* must not be freed now: its connections are being drained */
	bool of_caller; /* `tls` presents a caller's identity instead of the node's */
	uint16_t way;	/* mt_endpoint_way() */
	bool former;	/* in mt_proxy.former: no protocol has its codec any more */
	uint32_t n_conns[MT_UP_ROLES];	   /* by role, including opening ones */
	uint32_t n_queued;		   /* attempts in `fair` and `bulk` */
	struct mt_list conns[MT_UP_ROLES]; /* by role */
	/*
	 * By role, for SERIAL and BULK: open connections without a call that are not bound, most
	 * recently used first.
	 */
	struct mt_list idle[MT_UP_ROLES];
	uint64_t seen; /* version of the last snapshot with the endpoint and this TLS context */
	struct mt_fair *fair[MT_FAIR_QUEUES]; /* waiting attempts; NULL: none */
	/*
	 * While both queues wait for the same connections: bytes per busy bucket that SHARED calls
	 * have sent, minus those of WIDE calls.
	 */
	int32_t narrow_ahead;
	struct mt_list bulk; /* waiting attempts for BULK connections */
	struct mt_idle_limit idle_limit;
	struct mt_addr bulk_last; /* client address that got the last bulk connection */
	/*
	 * next_queued() found no call in `bulk` of a client that may take a bulk connection, and
	 * nothing has changed since.
	 */
	bool bulk_in_vain;
	uint32_t n_bound; /* SERIAL: connections with mt_up.counted, which are bound to a client */
	/* In mt_proxy.hungry if a connection may have become free for waiting calls. */
	struct mt_list hungry_node;
	struct mt_list former_node;
	uint64_t used; /* ns, while `former`: when a call last used the group */
	/* Armed while calls wait and a limit of the node exists (limited.c). */
	struct mt_timer timer;
};

/* ---- waiting for a cluster (demand.c, call/on_demand.c) ---- */

struct mt_on_demand_list {
	struct mt_list list;
	uint32_t n, look; /* look: number of entries still to be checked */
};

struct mt_on_demand {
	struct mt_on_demand_list calls, streams;
	uint64_t bytes; /* truesize of the waiting calls */
	/* Counter of answers (mt_demand.serial); NULL: nothing has waited yet. */
	uint64_t *serial;
	uint64_t seen;
};

/* Ring of requested clusters, to the control thread. */
#define MT_ASKS 256

struct mt_asks {
	uint32_t head mt_cache_aligned; /* worker: w, ctl: r */
	uint32_t cluster[MT_ASKS];	/* mt_cluster.index; worker: w, ctl: r */
	uint32_t tail mt_cache_aligned; /* ctl: w, worker: r */
};
