/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects of lib/proxy; each belongs to one worker. A client connection (mt_down) carries
 * exchanges, the clients' calls. An attempt (mt_attempt) is a try of an exchange at an endpoint. It
 * waits for, or is sent on, a server connection (mt_up) of a lane group (mt_lanes, one per endpoint
 * and dialect). Objects refer to each other by mt_ref, which never dangles.
 *
 * Invariants (docs/internals/proxy.md explains them):
 *  1. An exchange is on its client's list from creation until mt_exchange_end(), the only function
 *     that frees it. So it ends exactly once.
 *  2. An attempt that was sent, and that expects a reply which is not complete yet, is named by
 *     exactly one id-ring slot, by mt_up.attempt or in mt_up.behind. If the attempt ends first,
 *     that place becomes a tombstone and is not free. An attempt ends with its exchange at the
 *     latest.
 *  3. A slot matches only by the complete id.
 *  4. Bytes of a request are in exactly one of: s->rx of the client, ex->req, the server
 *     connection's send queue. Bytes of a reply are in exactly one of: s->rx of the server
 *     connection, ex->rsp or mt_down.after, the client's send queue.
 */
#pragma once

#include "mt_authorize.h"
#include "mt_hello.h"
#include "mt_proxy.h"
#include "mt_tls_layer.h"
#include "mt_policy_asks.h"
#include "mt_tokens.h"
#include "mt_verdict.h"
#include "endpoint/mt_waiting.h"

/* ---- deadlines: FIFO lists per distinct time-out value ---- */

#define MT_DEADLINE_LISTS 128

struct mt_deadline {
	struct mt_list node;
	uint64_t at; /* ns */
};

struct mt_deadlines {
	uint32_t n;
	struct {
		uint32_t ms;
		struct mt_list fifo; /* in the order of expiry */
	} lists[MT_DEADLINE_LISTS];
};

/* ---- exchange ---- */

enum mt_ex_state {
	MT_EX_ROUTING,	 /* only within a loop iteration: it has no attempt yet */
	MT_EX_AWAITING,	 /* waits for an on-demand cluster (on_demand.c) */
	MT_EX_SUSPENDED, /* a filter waits; mt_proxy_resume() continues (filters.c) */
	MT_EX_TRYING,	 /* no reply byte is forwarded; mt_attempt.state has the progress */
	MT_EX_REPLYING,	 /* a part of a long reply is forwarded */
	MT_EX_READY,	 /* has its reply, which waits for its turn or for the client to read */
	MT_EX_N_STATES
};

enum mt_attempt_state {
	MT_ATTEMPT_QUEUED,     /* in the queue of its lane group; waits for a connection */
	MT_ATTEMPT_CONNECTING, /* in the list of its connection, which is opening */
	MT_ATTEMPT_SENDING,    /* a part of a long request is sent */
	MT_ATTEMPT_SENT,       /* sent completely */
	/* One-way, sent, in its connection's list until it is acknowledged (unacked.c). */
	MT_ATTEMPT_UNACKED,
	MT_ATTEMPT_N_STATES
};

/* Knowledge about replies to the calls of a method (methods.c). */
enum mt_method_state {
	MT_METHOD_UNKNOWN,
	MT_METHOD_ANSWERS,
	MT_METHOD_SILENT, /* its calls are one-way, whatever their type */
};

#define MT_METHODS 256

struct mt_method {
	uint64_t key;	/* hash of service and name; 0: a free entry */
	uint64_t used;	/* ns */
	uint64_t owner; /* mt_service.owner */
	enum mt_method_state state : 8;
	uint8_t suspects; /* UNKNOWN: calls without a reply so far */
};

/* A try of an exchange at an endpoint (attempt.c). */
struct mt_attempt {
	/*
	 * List for QUEUED: mt_lanes.fair or .bulk; CONNECTING: mt_up.waiting; UNACKED: mt_up.unacked;
	 * otherwise only used while its connection ends (retry.c).
	 */
	struct mt_list node;
	uint32_t exchange; /* index; an attempt never outlives its exchange */
	struct mt_ref self;
	enum mt_attempt_state state : 8;
	uint8_t bucket; /* QUEUED: bucket in mt_lanes.fair */
	/* Its reply, or acknowledgement if it is one-way, returns an ejected endpoint to rotation. */
	bool trial;
	uint32_t ep_index;
	struct mt_ref up; /* the connection; none: not yet, or not any more */
	struct mt_ref lanes;
	uint64_t up_id; /* id of the call on the connection, with MT_CORR_SAFE */
	/* Positions of its first and last byte in the connection's stream (struct mt_stream_pos). */
	uint64_t first, last;
	/* The endpoint for which it counts; NULL: none. Later another endpoint may use this memory. */
	struct mt_ep_state *ep;
	uint64_t ep_id;
	uint64_t picked; /* ns: when the endpoint was picked */
	/*
	 * SERIAL (oneway.c): hash of the method's name (0: none), hash of service and method, and what
	 * was known about the method when the call was sent.
	 */
	uint64_t method, method_key;
	enum mt_method_state knows;
};

struct mt_exchange {
	struct mt_list down_node; /* mt_down.exchanges, in the order of requests */
	struct mt_list
		queue_node; /* AWAITING: mt_awaiting.calls; READY, REPLYING: mt_down.waiting */
	struct mt_deadline deadline;
	struct mt_ref down;
	uint32_t attempt; /* index + 1; 0: none */
	enum mt_ex_state state;
	uint8_t tries;
	/* Transparent retries: times it was sent again because it was not read. */
	uint8_t repeats;
	/* SUSPENDED: the filter to continue with; not 0 after the first wait. */
	uint8_t filter_at;
	uint16_t trace; /* number of its trace + 1; 0: not traced */
	struct mt_ref self;
	bool oneway;
	/* SUSPENDED until a token is verified or an external authorization decides (verdict.c). */
	bool awaits_verdict;
	bool waited_verdict; /* it has waited so before */
	/*
	 * mt_authz_policy.asks_id of the external provider that has allowed the call, for the gateway's
	 * port until it has passed that, then for endpoints; 0: none.
	 */
	uint32_t asked;
	bool must_change;  /* must not be sent without its metadata changes */
	bool changes_kept; /* mt_exchange_side.overlay has changes (overlay.c) */
	/*
	 * Cache entry of its token, which was removed from the metadata (mt_token_cache_held()); 0:
	 * none.
	 */
	uint16_t token;
	bool unacked;	   /* its attempt is UNACKED, or was until its connection ended */
	bool mirrored;	   /* a copy for a mirror (mirror.c); its reply is dropped */
	bool in_message;   /* the client is still sending this request */
	bool rsp_complete; /* READY: rsp has the complete reply */
	uint8_t lane;	   /* enum mt_up_role if ids identify replies: SHARED, WIDE or BULK */
	uint8_t shows;	   /* identity presented to endpoints of `cluster` (mt_cluster_shows()) */
	bool fresh;	   /* to be sent on an unused connection, if one can be opened */
	/* Bit set of the tried endpoint positions in `cluster`, including the current one. */
	uint64_t tried;
	uint64_t started; /* ns */
	/*
	 * ns; 0: not yet. Start of the last wait for a connection that opens; sent; answered by the
	 * server.
	 */
	uint64_t connecting, sent, replied;
	struct mt_ref lanes; /* lane group of its last attempt */
	uint32_t reply_len;
	uint8_t status; /* how it was answered (record.c); 0: not answered */
	uint8_t method_len;
	/*
	 * Start of the method's name, for the shell. If the name is longer, method_len is the size of
	 * this array plus 1.
	 */
	char method[MT_RECORD_METHOD];
	const struct mt_codec *codec;
	uint8_t codec_opts;
	struct mt_snapshot *snap; /* held; may change during the call (snapshot_move.c) */
	/*
	 * In `snap`. NULL: not selected yet, or not in the configuration any more. `cluster` may also
	 * become NULL after the call was sent (snapshot_move.c).
	 */
	struct mt_service *service;
	const struct mt_route_action *route;
	const struct mt_cluster *cluster;
	/*
	 * The filters in `snap` with which it started (filters.c). NULL: none, or no filter needs this
	 * exchange any more.
	 */
	const struct mt_filters *filters;
	uint32_t cluster_index; /* index in mt_proxy.pending */
	uint32_t queued_size;	/* QUEUED, AWAITING: its part of mt_proxy.pending_size */
	uint32_t pending;	/* its part of mt_down.pending, while it waits */
	struct mt_msg msg;	/* the request */
	/* The request's bytes until it is sent; only the first part if in_message. */
	struct mt_chain req;
	struct mt_chain rsp; /* READY */
	uint64_t awaited_at; /* ns: when it first waited for a cluster; 0: never */
	uint32_t req_left;   /* in_message: bytes that the client has still to send */
	uint64_t rnd;
	/* mt_route_action.id of its route, if its metadata were changed after routing; else 0. */
	uint64_t routed;
	struct mt_seed seed;
	struct mt_span span; /* if `sampled`: the trace to which the call belongs */
	/* Becomes an exemplar of its service's latency when a server has answered it. */
	bool sampled;
};

/*
 * Data of an exchange that few exchanges need, in an array by exchange index. Entries that are
 * never used take no memory.
 */
struct mt_exchange_side {
	uint8_t own[MT_FILTER_BYTES_MAX]; /* data of the filters, in their order */
	/* With mt_exchange.changes_kept: its metadata changes so far (overlay.c); else empty. */
	struct mt_chain overlay;
	/* With mt_exchange.awaits_verdict: */
	/* How often it has waited again; the client bucket that it counts for. */
	uint8_t verdict_waits, verdict_client;
	bool verdict_at_gate;
	/* Waits for an external authorization decision (ext_authz.c), else for its token. */
	bool asks;
	uint32_t verdict_bytes;
};

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
};

/* ---- downstream ---- */

/* Phase of ending a client connection (drain.c). */
enum mt_down_ending {
	MT_DOWN_GOES_ON,
	/* Serves requests until the client is idle, at most a third of the drain time. */
	MT_DOWN_WINDING,
	/* Serves until no reply is outstanding and nothing is received, then sends FIN. */
	MT_DOWN_LAST,
	MT_DOWN_REFUSES, /* as LAST, but acknowledges no more data */
	MT_DOWN_CLOSING, /* decodes nothing more; sends FIN after the outstanding replies */
};

/* Result of mt_secure_judge_for_call() for the client's last call. */
struct mt_lent {
	const struct mt_cluster *cluster; /* NULL: no result */
	uint32_t version;		  /* lower half of the version of the snapshot used */
	uint8_t shows;
	bool gateway, unlent;
};

struct mt_down {
	struct mt_ref self;
	struct mt_stream *s; /* NULL: the connection is gone, but its objects are not freed yet */
	const struct mt_codec *codec;
	uint8_t codec_opts;
	/*
	 * `proto` is NULL if its listener or filter chain is not in the configuration any more
	 * (`unserved`).
	 */
	struct mt_snapshot *snap; /* held */
	const struct mt_filter_chain_proto *proto;
	struct mt_decoder dec; /* reads s->rx */
	struct mt_msg msg;     /* the message that is being decoded */
	struct mt_reading reading;
	struct mt_list exchanges;
	/*
	 * In `exchanges`: the exchanges before it are all one-way; the list's head: all exchanges are.
	 */
	struct mt_list *owed;
	/*
	 * Exchanges with a reply that cannot be sent yet, in the order of arrival. The bytes are in
	 * mt_exchange.rsp, or the server connection is paused. mt_reply_flush() continues with them.
	 */
	struct mt_list waiting;
	uint32_t outstanding; /* exchanges, without those with mt_exchange.unacked */
	uint32_t unacked;     /* exchanges with mt_exchange.unacked */
	uint32_t skip_left;   /* bytes to skip of a message, because its exchange has ended */
	uint32_t held;	      /* truesize of the waiting replies and of `after` */
	uint32_t pending;     /* truesize of its calls that wait in Meltemi */
	/* Not 0: the pseudo-client of a copy for a mirror (mirror.c), with the truesize of the copy. */
	uint32_t copy;
	/* Exchange of the long reply that is being forwarded; no other bytes may be sent. */
	struct mt_ref streaming;
	struct mt_chain after; /* bytes without an exchange, to be sent after the long reply */
	struct mt_ref cur;     /* exchange of the request that is still arriving */
	/* Server connection of its last call in doubt (oneway.c), if mt_up.client names this client. */
	struct mt_ref serial;
	struct mt_timer timer; /* earliest of idle, stalled message and slow reader */
	uint64_t last_rx, last_ack;
	/* ns: since when its unread replies exceed mt_proxy_conf.reply_soft; 0: they do not. */
	uint64_t above_soft_since;
	uint64_t msg_started; /* ns: start of the incomplete message; 0: none */
	/*
	 * ns: when to try again after a lack of memory, or to continue with ending (drain.c); 0:
	 * never.
	 */
	uint64_t retry_at;
	/* ns: after the client's FIN, when to end its calls that may be one-way (leave.c); 0: never. */
	uint64_t leave_at;
	bool flushing; /* prevents re-entry of mt_reply_flush() */
	bool ordered;  /* replies must have the order of the requests */
	bool decoding; /* prevents re-entry by replies from inside of the decode loop */
	bool paused;
	bool eof;
	bool several; /* at the client's FIN the test of another Meltemi was possible (leave.c) */
	bool left;    /* closed by its client while a call waited; no reply may follow (leave.c) */
	uint8_t ending; /* enum mt_down_ending */
	bool told;	/* GOAWAY was sent */
	bool own_lane;	/* was above mt_proxy_conf.reply_soft: its calls use bulk connections */
	/*
	 * Number of next calls that use WIDE instead of SHARED connections, because an earlier reply
	 * was not short; the last of them is SHARED again. Not 0 with own_lane.
	 */
	uint8_t apart;
	/*
	 * enum mt_local_reply + 1: all requests get this local reply, because `proto` is NULL; else 0.
	 */
	uint8_t unserved;
	struct mt_lent lent;
	uint64_t wound_at; /* ns: start of its drain; 0: none */
};

/* Copies of calls for mirrors (mirror.c). */
struct mt_mirror {
	struct mt_stream nobody; /* mt_down.s of all copies; drops all data sent to it */
	uint32_t n;		 /* under way */
	uint64_t bytes;		 /* truesize of the copies when they were made */
	uint64_t waits;		 /* truesize of the copies that wait for a connection */
	/* Charged with `waits`, because no connection is; NULL: none. */
	struct mt_ledger *ledger;
	struct mt_endpoint ep; /* endpoint of the copy that is being dispatched */
	uint64_t ask_at;       /* ns: when an on-demand cluster may be requested again */
};

/* A client connection without a selected filter chain or protocol (chain_selection.c). */
struct mt_undecided {
	struct mt_stream *s;
	struct mt_snapshot *snap; /* held */
	const struct mt_listener *listener;
	/* NULL: not selected; else only its protocol is not selected. */
	const struct mt_filter_chain *chain;
	bool put_back;	       /* its first bytes were put back (mt_stream_put_back()) */
	bool asks_bytes;       /* addresses and ports do not suffice to select the chain */
	struct mt_hello hello; /* reads s->rx */
	struct mt_timer timer;
	/* ns: when it was accepted; when the first byte came, 0: none came. */
	uint64_t since, first_at;
};

/* ---- byte streams ---- */

/*
 * An opaque TCP connection: the client's stream and the server's. One cache line, because a million
 * of them may be idle. Both streams refer to it.
 */
struct mt_pair {
	struct mt_stream *down, *up; /* NULL: gone, or not open yet */
	struct mt_lanes *lanes;	     /* lane group of `up`; NULL: none */
	/* For a half-closed stream, fin_waits, or the wait for a cluster. */
	struct mt_timer timer;
	uint32_t last_ms; /* ms: last event; with fin_waits: last event before that */
	/* Index of its struct mt_connecting + 1; 0: both ends are connected. */
	uint32_t connecting;
	bool fin_to_up : 1, fin_to_down : 1; /* FINs forwarded */
	/* The server's FIN is held back, until it is known whether the server has read anything. */
	bool fin_waits : 1;
	uint8_t again : 2; /* number of reconnects to a server (opaque_connect.c) */
	bool cut : 1;	   /* one side was cut off; the other side still gets data (opaque_cut.c) */
	/* The client's TLS is forwarded, and its server name was seen but not kept. */
	bool sni_unkept : 1;
	bool waits : 1;	   /* the server got bytes, and has sent none since (waiting.c) */
	bool answered : 1; /* the server has sent bytes after it got some */
	/*
	 * Service that counts its bytes: mt_service.index + 1 of the service to which the client's
	 * address leads, 0: none. Valid for the snapshot with this `version` (lower half); looked up
	 * again for another snapshot.
	 */
	uint16_t service;
	union {
		uint32_t version;
		/* ms: with `cut`, when that happened; bytes are not counted then. */
		uint32_t cut_ms;
	};
};
_Static_assert(sizeof(struct mt_pair) <= MT_CACHE_LINE, "an idle byte stream stays small");

/* Data of an opaque TCP connection until its server is connected. */
struct mt_connecting {
	const struct mt_codec *codec;
	uint8_t codec_opts;
	uint8_t tries;
	bool denied;	 /* a policy denied it: no other endpoint is tried */
	bool over_limit; /* refused by a local rate limit, at any endpoint */
	bool limited;	 /* a limit of Meltemi prevented a server connection */
	bool gateway;	 /* the client uses a gateway */
	uint8_t shows;	 /* identity presented to endpoints of `cluster` (mt_cluster_shows()) */
	struct mt_snapshot *snap;	  /* held */
	uint64_t chain_id;		  /* mt_filter_chain.id */
	const struct mt_cluster *cluster; /* in `snap`; NULL: gone */
	struct mt_ep_state *ep;		  /* the endpoint that is being tried */
	bool trial;			  /* a trial of an ejected endpoint */
	uint64_t tried;			  /* bit set of positions in the cluster */
	uint64_t rnd;
	/*
	 * After a reconnect: data that the previous server has not read, to be sent first. Charged to
	 * the client's stream.
	 */
	struct mt_chain given;
	uint32_t pair; /* index in mt_proxy.pairs */
	/* While it waits for an on-demand cluster (on_demand.c): */
	struct mt_list node; /* mt_awaiting.streams */
	uint32_t awaits;     /* index of the cluster + 1; 0: does not wait */
	bool waited;
};

/* ---- waiting for a cluster (on_demand.c) ---- */

struct mt_await_list {
	struct mt_list list;
	uint32_t n, look; /* look: number of entries still to be checked */
};

struct mt_awaiting {
	struct mt_await_list calls, streams;
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

/* Ring of endpoints' health events, to the control thread (ejection.c). */
#define MT_ASIDES 128

struct mt_asides {
	uint32_t head mt_cache_aligned; /* worker: w, ctl: r */
	uint64_t missed;		/* worker: w, ctl: r */
	struct mt_aside e[MT_ASIDES];	/* worker: w, ctl: r */
	uint32_t tail mt_cache_aligned; /* ctl: w, worker: r */
};

/* ---- upstream ---- */

/*
 * SHARED and WIDE connections carry calls of many clients; WIDE those with bytes that would delay
 * short calls. PINNED: server connections of opaque TCP (struct mt_pair), which are only counted.
 */
enum mt_up_role { MT_UP_SHARED, MT_UP_WIDE, MT_UP_SERIAL, MT_UP_BULK, MT_UP_PINNED, MT_UP_ROLES };
enum mt_up_state { MT_UP_CONNECTING, MT_UP_OPEN, MT_UP_DRAINING };

/*
 * A place for an outstanding call in the id ring. id 0: free. An id without an attempt: a
 * tombstone.
 */
struct mt_slot {
	uint64_t id;
	struct mt_ref attempt;
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

/* Detection of an unresponsive server (silence.c); SHARED and WIDE only. Times in ns. */
struct mt_silence {
	uint64_t first_sent; /* first call since the last received byte */
	uint64_t asked_at;   /* when the outstanding heartbeat was sent; 0: none */
	uint64_t asked_end;  /* position of its end in the stream; 0: none was sent yet */
	/*
	 * With a heartbeat: position acknowledged at the last check; when the acknowledged or sent
	 * position last changed.
	 */
	uint64_t acked, moved;
	uint64_t not_before; /* earliest time of the next heartbeat */
	uint64_t vouched;    /* mt_up.last_rx at the last answer to a heartbeat */
	uint64_t quiet;	     /* a heartbeat is sent after this time without a received byte */
	uint64_t gap;	     /* the same time while only answers to heartbeats come */
};

struct mt_up {
	struct mt_ref self;
	struct mt_stream *s;
	/* In mt_lanes.conns[role], or in .idle (SERIAL, BULK without a call). */
	struct mt_list node;
	struct mt_lanes *lanes;
	enum mt_up_role role;
	enum mt_up_state state;
	bool busy; /* SERIAL, BULK: has a call (mt_up.attempt, or its tombstone) */
	bool used; /* has carried a call */
	bool decoding, eof;
	bool paused; /* its long reply waits for the client; the exchange is in mt_down.waiting */
	struct mt_decoder dec; /* reads s->rx */
	struct mt_msg msg;
	struct mt_reading reading;
	struct mt_slot *ring; /* SHARED, WIDE */
	uint64_t *ring_busy;  /* a bit for each slot; stored after the slots */
	uint32_t outstanding; /* used slots, with the tombstones */
	uint32_t tombstones;
	uint64_t next_id;
	struct mt_ref attempt; /* SERIAL, BULK: the outstanding call */
	/* To find the call of a reply (match.c): */
	uint64_t first_id;	  /* first id that was used */
	uint32_t n_unknown;	  /* replies with ids that were never used */
	uint8_t ids_started_over; /* how often next_id has wrapped; at most 2 */
	enum mt_ids ids : 8;	  /* SERIAL: as found by its replies */
	/* SERIAL: a one-way call was sent on it, to which the server may reply. */
	bool unanswered;
	/* With reply_left: the long reply does not answer the outstanding call. */
	bool reply_late;
	uint64_t out_id;     /* SERIAL, BULK: id of the call with an outstanding reply; 0: none */
	uint64_t out_method; /* SERIAL: mt_attempt.method of that call */
	/*
	 * BULK, while busy: client connection and client address (IPv6: its /64) of the call that it
	 * has or had (mt_lane_has_share()). SERIAL: the client with calls that share the connection
	 * because one of them may be one-way (oneway.c); none: it is not in doubt.
	 */
	struct mt_ref client;
	struct mt_addr from;
	/* SERIAL, in doubt (oneway.c): */
	struct mt_list behind; /* the attempts after `attempt`, in the order of sending */
	uint32_t n_behind;
	bool bound;   /* a call on it had no reply, so it takes only calls of this client */
	bool counted; /* counts in mt_lanes.n_bound */
	uint32_t unanswered_at; /* index in mt_proxy.unanswered + 1; 0: none */
	uint32_t ep_at; /* last position of its endpoint in a cluster, which is searched first */
	uint64_t owner; /* mt_service.owner of its calls */
	/* mt_attempt.method_key of a call without its client, which has closed; 0: none. */
	uint64_t left;
	struct mt_ref reply; /* exchange of the long reply that is being forwarded */
	uint32_t reply_left; /* bytes of the long reply that have not come yet */
	uint64_t reply_id;   /* id of the long reply, as the server sent it */
	bool release;	     /* SERIAL, BULK: free the connection when the reply is complete */
	/* The rest of the long reply is dropped, because its exchange has ended. */
	bool reply_skip;
	bool comes_whole;	/* with msg_started: `msg` describes the incomplete message */
	struct mt_list waiting; /* attempts to send when the connection is open */
	struct mt_list unacked; /* one-way attempts, in the order of sending */
	uint32_t n_waiting;
	struct mt_timer timer;
	uint64_t last_rx, last_tx, reply_progress, skip_until;
	/* ns: start of an incomplete message that is not forwarded in parts; 0: none. */
	uint64_t msg_started;
	uint64_t retry_at; /* ns: when to decode again without new bytes; 0: never */
	/* SHARED, WIDE; ns: when it began to drain because of its memory; 0: it did not. */
	uint64_t evicted;
	uint64_t given; /* bytes passed to the stream so far */
	/*
	 * ns: when the server ended the connection while calls were outstanding, and when to check
	 * again if the calls were read (retry.c).
	 */
	uint64_t ended_at, look_at;
	struct mt_silence silence;
};

/* True if the connection carries calls of many clients, which ids identify. */
static inline bool mt_up_shares(const struct mt_up *u)
{
	return u->role <= MT_UP_WIDE;
}

/*
 * Idle time after which an endpoint closes connections, learned from its FINs (idle.c). Times in
 * ns.
 */
struct mt_idle_limit {
	uint64_t learnt; /* 0: unknown */
	/* Shortest idle time of the last similar FINs, and the time of the last of them. */
	uint64_t age, at;
	/* Until then learn nothing, because the server itself seems to end. */
	uint64_t nothing_until;
	uint32_t n; /* number of similar FINs */
};

/* Attempts that wait for connections to an endpoint, in buckets by client address (queue.c). */
#define MT_FAIR_BITS	6
#define MT_FAIR_BUCKETS (1u << MT_FAIR_BITS)
struct mt_fair {
	uint64_t busy; /* a bit for each non-empty bucket */
	uint32_t at;   /* the bucket that is being served */
	uint32_t n[MT_FAIR_BUCKETS];
	int32_t credit[MT_FAIR_BUCKETS]; /* bytes left in its round */
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
	uint8_t lane_class;  /* dialect (mt_msg.lane_class): dialects never share a connection */
	enum mt_ids ids : 8; /* SERIAL: last result of its connections (mt_up.ids) */
	struct mt_lanes *next_class; /* next group of the endpoint, with another dialect */
	struct mt_tls_context *tls;  /* held; NULL: plaintext */
	struct mt_addr addr;
	uint16_t port;
	uint32_t connect_ms;
	uint32_t cluster_index; /* mt_proxy.cluster_conns */
	uint32_t conns_max; /* limit of this worker's connections to the whole cluster; 0: none */
	bool gone;	    /* the endpoint left the configuration */
	bool pinned;	    /* must not be freed at the moment */
	bool of_caller;	    /* `tls` presents a caller's identity, not the node's */
	uint16_t way;	    /* mt_endpoint_way() */
	uint32_t n_conns[MT_UP_ROLES];	   /* by role, including opening ones */
	uint32_t n_queued;		   /* attempts in `fair` and `bulk` */
	struct mt_list conns[MT_UP_ROLES]; /* by role */
	/* By role, for SERIAL and BULK: open connections without a call, most recently used first. */
	struct mt_list idle[MT_UP_ROLES];
	uint64_t seen; /* version of the last snapshot that contains the endpoint */
	struct mt_fair *fair[MT_FAIR_QUEUES]; /* waiting attempts; NULL: none */
	/*
	 * While both queues wait for one connection: how many more bytes per address SHARED calls have
	 * sent than WIDE calls.
	 */
	int32_t narrow_ahead;
	struct mt_list bulk; /* waiting attempts for BULK connections */
	struct mt_idle_limit idle_limit;
	struct mt_addr bulk_last; /* client address that got the last bulk connection */
	/* No attempt in `bulk` may get a connection, and nothing has changed since that check. */
	bool bulk_in_vain;
	uint32_t n_bound; /* SERIAL: connections bound to a client (mt_up.bound) */
	/* In mt_proxy.hungry: a connection may be free for the queue. */
	struct mt_list hungry_node;
};

/* Identifies an endpoint for health events and probes, after its lane group may be gone. */
struct mt_ep_where {
	struct mt_tls_context *tls; /* of the group; a user that keeps it must hold it */
	struct mt_addr addr;
	uint16_t port;
	uint32_t cluster; /* index */
	const struct mt_codec *codec;
	uint8_t codec_opts;
	bool of_caller; /* mt_lanes.of_caller */
	uint16_t way;	/* mt_lanes.way */
	uint32_t connect_ms;
};

/* Probe of an ejected endpoint (health_check.c). */
struct mt_probe {
	struct mt_stream *s; /* NULL: not connected */
	struct mt_timer timer;
	struct mt_ep_state *ep;
	uint64_t ep_id;
	uint32_t ep_index;
	struct mt_ep_where at;
	uint64_t again; /* ns: delay of the next probe if this one fails */
	bool asked;	/* the heartbeat is sent */
	struct mt_decoder dec;
	struct mt_msg msg;
};

/* Speed of an endpoint's replies to this worker (admit.c). Times in ns. */
struct mt_admit {
	uint64_t ep_id;	   /* the endpoint; another one may use this place later */
	uint64_t since;	   /* start of the window */
	uint64_t took, n;  /* in the window: sum of the replies' times, and their number */
	uint64_t last;	   /* time of the last reply */
	uint64_t silence;  /* longest time without a reply in the window */
	uint64_t pace;	   /* time between two replies while calls are outstanding; 0: unknown */
	uint64_t known_at; /* when `pace` was last learned */
	/* Mean time of replies in the last window; the same without a queue. */
	uint64_t mean, least;
	bool busy;	  /* at least BUSY calls (admit.c) outstanding all through the window */
	bool stood_still; /* no reply came during most of the previous window */
	bool queueing;	  /* calls wait for each other */
};

#define MT_PROXY_EPS_MAX      MT_UPSTREAM_EPS_MAX /* stable endpoint indexes */
#define MT_PROXY_SERVICES_MAX MT_SNAPSHOT_SERVICES_MAX
#define MT_PROXY_CLUSTERS_MAX MT_UPSTREAM_CLUSTERS_MAX

/* Refusals because of an object that fails closed. */
struct mt_closed_stats {
	uint64_t id; /* mt_closer.id */
	uint64_t refused;
};

struct mt_proxy {
	struct mt_proxy_conf conf;
	uint16_t worker, workers;
	struct mt_pools *pools;
	struct mt_transport *out; /* opens server connections */
	struct mt_tls_layer *tls; /* NULL: none; `door` makes TLS streams of client streams */
	struct mt_tls_door door;
	struct mt_trace *trace; /* NULL: no trace */
	struct mt_snapshot *snap;
	uint64_t now, wall;
	uint32_t free_pct; /* free data mbufs, percent */
	struct mt_rand rnd;
	struct mt_wheel wheel;
	struct mt_deadlines deadlines;
	struct mt_slab downs, ups, exchanges, attempts, lanes, rings, pairs, connecting, undecided,
		scans, fairs, probes, unanswered;
	uint32_t n_unacked; /* exchanges with mt_exchange.unacked */
	/* Random, so that clients cannot choose their bucket in a fair queue. */
	uint64_t fair_salt;
	uint32_t probes_out; /* open connections of probes */
	struct mt_readings readings;
	/* MT_PROXY_EPS_MAX entries of reserved address space; linked by next_class. */
	struct mt_lanes **lanes_by_ep;
	uint32_t *pending;	 /* by cluster index: waiting calls and opaque streams */
	uint32_t *pending_size;	 /* by cluster index: truesize of the calls */
	uint32_t *cluster_conns; /* by cluster index: connections to its endpoints */
	struct mt_lb_worker lb;
	struct mt_filter_worker filters;
	struct mt_filter_ctx filter_ctx;
	struct mt_exchange_side *sides; /* by exchange index */
	struct mt_service_stats *service_stats;
	uint64_t *service_ids; /* mt_service.id to which statistics and histograms belong */
	struct mt_service_hist *service_hists;
	struct mt_exemplars *exemplars; /* by service index */
	uint32_t exemplar_ms;		/* least time between two exemplars; 0: none */
	uint64_t exemplar_due;		/* ns: when the next call becomes an exemplar */
	struct mt_ep_stats *ep_stats;
	struct mt_ep_hist *ep_hists;
	uint64_t *route_hits;		/* by mt_route_action.index */
	struct mt_closed_stats *closed; /* by mt_closer.index */
	struct mt_admit *admit;		/* by endpoint index */
	struct mt_waiting waiting;
	struct mt_list hungry; /* lane groups to serve at the end of the loop iteration */
	struct mt_awaiting awaiting;
	uint32_t rebind_idx;	 /* where the move to the new snapshot continues */
	uint32_t rebind_cluster; /* NAMED: the cluster that is being processed */
	enum {
		MT_REBIND_DONE,
		MT_REBIND_NAMED, /* marks lane groups of endpoints in the new snapshot */
		MT_REBIND_LANES, /* drains the other lane groups */
		MT_REBIND_DOWNS,
		MT_REBIND_UNDECIDED,
		MT_REBIND_PAIRS, /* resets streams that the new rules deny */
		MT_REBIND_CONNECTING,
		MT_REBIND_EXCHANGES,
	} rebinding;
	/* Last result of the search for a cluster: old and new. */
	const struct mt_cluster *rebind_from, *rebind_to;
	bool draining;
	bool moved; /* another proxy has its objects, so this one must not end them (image.c) */
	bool winding_up;		     /* the drain has not reached all clients yet */
	uint32_t drain_idx, drain_undecided; /* where the drain continues */
	struct mt_slow slow;
	struct mt_method methods[MT_METHODS];
	struct mt_view view; /* a single one, because a worker handles one message at a time */
	uint8_t hello[MT_HELLO_MAX];	  /* copy of the ClientHello that is being read */
	uint8_t overlay[MT_VIEW_CHANGES]; /* bytes of restored metadata changes */
	uint8_t deadline_scratch[MT_META_SCRATCH];
	uint64_t counters[MT_PROXY_N_OUTCOMES];
	struct mt_asks asks;
	struct mt_asides asides;
	uint64_t trace_picks[MT_UPSTREAM_N_OUTCOMES]; /* lb.counters before a traced pick */
	struct mt_guard_scratch guard_scratch;
	struct mt_mirror mirror;
	struct mt_verdicts verdicts;
	struct mt_tokens tokens;
	struct mt_asks_of_policy policy_asks;
};
