/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The objects of lib/proxy. All belong to one worker. A downstream connection (mt_down) carries
 * exchanges, what clients asked; an attempt (mt_attempt) is one try of an exchange at one endpoint: it waits for or rides on an
 * upstream connection (mt_up) of a lane group (mt_lanes, one per endpoint). They refer to each other by mt_ref, so none can
 * dangle.
 *
 * Invariants (docs/internals/proxy.md explains them):
 *  1. An exchange is on its downstream's list from creation until mt_exchange_end(), the only place
 *     where it is freed; so it ends exactly once.
 *  2. An attempt that was sent, is owed a reply and has no whole one, is named by exactly one id-ring slot, by mt_up.attempt or in mt_up.behind; when
 *     it ends first, that place becomes a tombstone, never free. An attempt ends with its exchange at the latest.
 *  3. A slot matches only by the whole id.
 *  4. Bytes of a message are in exactly one of: the downstream's s->rx, ex->req, the upstream's send queue; the upstream's
 *     s->rx, ex->rsp or mt_down.after, the downstream's send queue.
 */
#pragma once

#include "mt_guard.h"
#include "mt_hello.h"
#include "mt_proxy.h"
#include "mt_tls_layer.h"
#include "mt_policy_asks.h"
#include "mt_tokens.h"
#include "mt_verdict.h"

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
		struct mt_list fifo; /* oldest, so earliest, first */
	} lists[MT_DEADLINE_LISTS];
};

/* ---- exchange ---- */

enum mt_ex_state {
	MT_EX_ROUTING,	 /* in this turn only: no attempt yet */
	MT_EX_AWAITING,	 /* waits for its cluster, of which only the name is there (await.c) */
	MT_EX_SUSPENDED, /* a filter waits for something; mt_proxy_resume() goes on (filters.c) */
	MT_EX_TRYING,	 /* no reply byte forwarded: its attempt says how far it is */
	MT_EX_REPLYING,	 /* long reply: some bytes forwarded, more to come from the server */
	MT_EX_READY,	 /* answered; its reply waits for its turn, or for the client to read */
	MT_EX_N_STATES
};

enum mt_attempt_state {
	MT_ATTEMPT_QUEUED,     /* in its lane group's queue: waits for a connection */
	MT_ATTEMPT_CONNECTING, /* in its connection's list: that is still connecting */
	MT_ATTEMPT_SENDING,    /* long request: some bytes sent, more to come from the client */
	MT_ATTEMPT_SENT,       /* all sent */
	MT_ATTEMPT_UNACKED, /* one-way, all sent: in its connection's list until that is acknowledged (unacked.c) */
	MT_ATTEMPT_N_STATES
};

/* Whether replies come to the calls of a method (methods.c). */
enum mt_method_state {
	MT_METHOD_UNKNOWN,
	MT_METHOD_ANSWERS,
	MT_METHOD_SILENT, /* its calls are one-way, whatever they look like */
};

#define MT_METHODS 256

struct mt_method {
	uint64_t key;	  /* service and name; 0: free */
	uint64_t used;	  /* ns */
	uint32_t service; /* low half of mt_service.id */
	enum mt_method_state state : 8;
	uint8_t suspects; /* UNKNOWN: calls that had no reply */
};

/* One try of an exchange at one endpoint (attempt.c). */
struct mt_attempt {
	struct mt_list
		node; /* QUEUED: mt_lanes.fair, .bulk; CONNECTING: mt_up.waiting; UNACKED: mt_up.unacked; else only while its connection ends (repeat.c) */
	uint32_t exchange; /* its index: an attempt never outlives its exchange */
	struct mt_ref self;
	enum mt_attempt_state state : 8;
	uint8_t bucket; /* QUEUED: of mt_lanes.fair */
	bool trial; /* its reply (one-way: its acknowledgement) brings the endpoint back, which was put aside */
	uint32_t ep_index;
	struct mt_ref up; /* the connection; none: not yet, or no more */
	struct mt_ref lanes;
	uint64_t up_id; /* id given upstream (SAFE) */
	/* Where its bytes are in what was given to the connection's stream (struct mt_stream_pos). */
	uint64_t first, last;
	/* The endpoint that it counts for, NULL: none. Its memory may serve another after long. */
	struct mt_ep_state *ep;
	uint64_t ep_id;
	uint64_t picked; /* ns: when it was given to its endpoint */
	/* SERIAL (oneway.c): its method's name as a hash, 0: it has none; the same with its service; what was known of it. */
	uint64_t method, method_key;
	enum mt_method_state knows;
};

struct mt_exchange {
	struct mt_list down_node; /* mt_down.exchanges, request order */
	struct mt_list
		queue_node; /* AWAITING: mt_awaiting.calls; READY, REPLYING: mt_down.waiting */
	struct mt_deadline deadline;
	struct mt_ref down;
	uint32_t attempt; /* its index + 1; 0: there is none */
	enum mt_ex_state state;
	uint8_t tries;
	uint8_t repeats;   /* times it was sent again because it was not read */
	uint8_t filter_at; /* SUSPENDED: where its filters go on; not 0 from the first wait on */
	uint16_t trace;	   /* its journey's number + 1; 0: it is not traced */
	struct mt_ref self;
	bool oneway;
	bool awaits_verdict; /* SUSPENDED: until that is there (verdict.c) */
	bool waited_verdict; /* it did so already */
	uint32_t
		asked; /* mt_authz_policy.asks_id of who has allowed it, in front of instances, or at its gate until it has passed that; 0: nobody */
	bool must_change;  /* it is not sent without the changes of its metadata */
	bool changes_kept; /* its side's overlay holds changes (overlay.c) */
	uint16_t
		token; /* what its token says, which was taken out (mt_token_cache_held()); 0: nothing is held */
	bool unacked;	   /* its attempt is, or was until its connection ended, UNACKED */
	bool mirrored;	   /* it is a copy of one (mirror.c): its answer goes nowhere */
	bool in_message;   /* the client still sends this request */
	bool rsp_complete; /* READY: rsp holds the whole reply */
	uint8_t lane;	   /* enum mt_up_role, where ids tell replies apart: SHARED, WIDE or BULK */
	uint8_t shows;	   /* of `cluster`: by which identity it is called (mt_cluster_shows()) */
	bool fresh;	   /* on a connection that carried nothing before, if one can be had */
	uint64_t tried;	   /* endpoint positions in `cluster` tried, this one too */
	uint64_t started;  /* ns */
	/* ns, 0: not yet. When it last began to wait for a connection that is opened; left us; was answered. */
	uint64_t connecting, sent, replied;
	struct mt_ref lanes; /* of its last attempt */
	uint32_t reply_len;
	uint8_t status; /* how it was answered (record.c); 0: not at all */
	uint8_t method_len;
	/* Its begin, for the shell; method_len is one more where there is more. */
	char method[MT_RECORD_METHOD];
	const struct mt_codec *codec;
	uint8_t codec_opts;
	struct mt_snapshot *snap; /* held; may change while the call is out (rebind.c) */
	/* Of `snap`. NULL: not yet known, or gone from the configuration; cluster: also once sent. */
	struct mt_service *service;
	const struct mt_route_action *route;
	const struct mt_cluster *cluster;
	/*
	 * The filters that it began with, as `snap` has them (filters.c); NULL: there are none, or none has anything more
	 * to do with it.
	 */
	const struct mt_filters *filters;
	uint32_t cluster_index; /* for mt_proxy.pending */
	uint32_t queued_size;	/* QUEUED, AWAITING: what it counts for in pending_size */
	uint32_t pending;	/* while it waits: what it counts for in mt_down.pending */
	struct mt_msg msg;	/* the request */
	struct mt_chain
		req; /* until it is sent: its bytes (a prefix of the message if in_message) */
	struct mt_chain rsp; /* READY */
	uint64_t awaited_at; /* first; 0: never */
	uint32_t req_left;   /* in_message: bytes still to come from the client */
	uint64_t rnd;
	uint64_t
		routed; /* mt_route_action.id of its route, once its metadata were changed behind that; 0: they were not */
	struct mt_seed seed;
	struct mt_span span; /* sampled: whose trace it belongs to */
	bool sampled;	     /* is an example of its service's latency once it is answered */
};

/*
 * What an exchange has beside it while filters use it, in an array by its index: most exchanges never touch theirs,
 * which is not backed by memory then.
 */
struct mt_exchange_side {
	uint8_t own[MT_FILTER_BYTES_MAX]; /* the filters', from the first one on */
	struct mt_chain
		overlay; /* mt_exchange.changes_kept: metadata changes so far (overlay.c); else empty */
	/* mt_exchange.awaits_verdict: */
	uint8_t verdict_waits, verdict_client; /* times; whose share of waiting it takes */
	bool verdict_at_gate;
	bool asks; /* for what an external authorization service says (policy_asks.c); else for its token */
	uint32_t verdict_bytes;
};

/* ---- decoding in portions (reading.c) ---- */

/* Of a connection. */
struct mt_reading {
	struct mt_list node; /* mt_readings.queue */
	uint32_t turn;	     /* which `left` is of */
	uint32_t left;	     /* steps that it may take in this turn */
	uint32_t scan; /* mt_proxy.scans, index + 1: the walk through a long message; 0: none */
};

struct mt_readings {
	struct mt_list queue; /* those that go on in a later turn */
	uint32_t turn;
	uint32_t left; /* steps in this turn */
};

/* ---- downstream ---- */

/* How far a client's connection has come on its way to its end (wind_up.c). */
enum mt_down_ending {
	MT_DOWN_GOES_ON,
	MT_DOWN_WINDING, /* its requests are served until it is quiet, or for as long as a drain may take */
	MT_DOWN_LAST, /* and now until nothing is owed and nothing is there: then FIN */
	MT_DOWN_REFUSES, /* and nothing that still arrives is acknowledged: what is there is served, then FIN */
	MT_DOWN_CLOSING, /* nothing is decoded any more; FIN after what is owed */
};

/* What the client's last call was told of its cluster (mt_secure_reach_for_call()). */
struct mt_lent {
	const struct mt_cluster *cluster; /* NULL: nothing */
	uint32_t version;		  /* the low half, of the snapshot that it was asked of */
	uint8_t shows;
	bool gateway, unlent;
};

struct mt_down {
	struct mt_ref self;
	struct mt_stream *s; /* NULL when the connection is gone and only ends are left to do */
	const struct mt_codec *codec;
	uint8_t codec_opts;
	/* proto: NULL when the listener, or its chain, has left the configuration (`unserved`). */
	struct mt_snapshot *snap; /* held */
	const struct mt_filter_chain_proto *proto;
	struct mt_decoder dec; /* of s->rx */
	struct mt_msg msg;     /* being decoded */
	struct mt_reading reading;
	struct mt_list exchanges;
	struct mt_list
		*owed; /* of `exchanges`: in front of it all are one-way; its head: all are */
	/*
	 * Exchanges whose replies are here and may not go yet, in the order in which they came: the bytes are held
	 * (mt_exchange.rsp), or their server's connection is paused. mt_reply_flush() goes on with them.
	 */
	struct mt_list waiting;
	uint32_t outstanding;	 /* exchanges, but those that are */
	uint32_t unacked;	 /* mt_exchange.unacked */
	uint32_t skip_left;	 /* bytes of a message whose exchange has ended already */
	uint32_t held;		 /* truesize of replies that wait here, `after` too */
	uint32_t pending;	 /* truesize of its calls that wait for something of ours */
	struct mt_ref streaming; /* exchange whose long reply is under way: no other byte may go */
	struct mt_chain after;	 /* what belongs to no exchange and waits for its end */
	struct mt_ref cur;	 /* exchange whose request is still arriving */
	struct mt_ref
		serial; /* the connection that its last call in doubt took (oneway.c), if mt_up.client says so too */
	struct mt_timer timer; /* idle, started message, slow reader: the earliest */
	uint64_t last_rx, last_ack;
	/* Since when more waits than that; 0: it does not. hard: and the client has not read what it was sent. */
	uint64_t above_soft_since;
	uint64_t msg_started; /* 0: no message in progress */
	uint64_t
		retry_at; /* 0, or when to go on with what found no memory, or with its end (wind_up.c) */
	bool flushing; /* guards against re-entry of mt_reply_flush() */
	bool ordered;  /* replies go in request order */
	bool decoding; /* guards against re-entry from replies given inside the decode loop */
	bool paused;
	bool eof;
	uint8_t ending; /* enum mt_down_ending */
	bool told;	/* to send no more, in its protocol's word */
	bool own_lane;	/* was above soft: its calls use lanes of their own */
	/* So many of its next calls, but the last of them, are not SHARED: an earlier one's reply was not short. Not 0 with own_lane. */
	uint8_t apart;
	/* 1 + enum mt_local_reply: its requests are answered so, by us: `proto` is NULL. */
	uint8_t unserved;
	struct mt_lent lent;
	uint64_t wound_at; /* 0, or when its winding up began */
	uint32_t
		copy; /* not 0: nobody, but where the answer to a copy goes (mirror.c), which had this truesize */
};

/* Copies of calls (mirror.c). */
struct mt_mirror {
	struct mt_stream nobody; /* mt_down.s of all copies: what is sent to it is gone */
	uint32_t n;		 /* under way */
	uint64_t bytes;		 /* truesize of those, as they were made */
	uint64_t waits;		 /* truesize of those that wait for a connection */
	/* Has that, as no connection does; NULL: nobody is told. */
	struct mt_ledger *ledger;
	struct mt_endpoint ep; /* of the copy that is dispatched just now */
	uint64_t ask_at; /* when a cluster of which only the name is there may be asked for again */
};

/* A client of which it is not known yet what serves it (undecided.c). */
struct mt_undecided {
	struct mt_stream *s;
	struct mt_snapshot *snap; /* held */
	const struct mt_listener *listener;
	const struct mt_filter_chain
		*chain;	       /* NULL: not known; else which of its protocols is not */
	bool put_back;	       /* its first bytes had to wait (mt_stream_put_back()) */
	bool asks_bytes;       /* addresses and ports do not tell the chain */
	struct mt_hello hello; /* of s->rx */
	struct mt_timer timer;
	uint64_t since, first_at; /* ns: accepted; when the first byte came, 0: none has */
};

/* ---- byte streams ---- */

/*
 * A client's connection and the server's that carries its bytes: one cache line, because a million of them
 * may be idle. Both streams name it.
 */
struct mt_pair {
	struct mt_stream *down, *up; /* NULL: gone, or not there yet */
	struct mt_lanes *lanes;	     /* of `up`; NULL: none */
	struct mt_timer timer;	     /* half-closed; fin_waits; until its cluster is fetched */
	uint32_t last_ms;	     /* last event; with fin_waits: before that */
	uint32_t connecting; /* struct mt_connecting, index + 1; 0: both ends are connected */
	bool fin_to_up : 1, fin_to_down : 1; /* FINs passed on */
	bool fin_waits : 1; /* the server's is not yet: whether it has read anything is not known */
	uint8_t again : 2;  /* times that it was joined again (opaque_connect.c) */
	bool cut : 1;	    /* one side was cut off; the other one gets the rest (opaque_cut.c) */
	bool sni_unkept : 1; /* TLS of its client's passes through: the name that it asks for was seen, and is gone */
	/*
	 * For its bytes: mt_service.index + 1 of what the client's address names in the snapshot of this version
	 * (the low half); 0: nothing. Looked up again under another, where the number may be another's.
	 */
	uint16_t service;
	union {
		uint32_t version;
		uint32_t cut_ms; /* with `cut` (nothing is counted then): since when */
	};
};
_Static_assert(sizeof(struct mt_pair) <= MT_CACHE_LINE, "an idle byte stream stays small");

/* What a byte stream needs until its server's side is connected. */
struct mt_connecting {
	const struct mt_codec *codec;
	uint8_t codec_opts;
	uint8_t tries;
	bool denied;			  /* a policy's word: no other endpoint is asked */
	bool over_limit;		  /* a local rate limit lets it pass nowhere */
	bool limited;			  /* a limit of ours is why none could be opened */
	bool gateway;			  /* the client came by one */
	uint8_t shows;			  /* of `cluster`: by which identity (mt_cluster_shows()) */
	struct mt_snapshot *snap;	  /* held */
	uint64_t chain_id;		  /* mt_filter_chain.id */
	const struct mt_cluster *cluster; /* of `snap`; NULL: gone */
	struct mt_ep_state *ep;		  /* that is being tried */
	bool trial;			  /* to see whether it is back */
	uint64_t tried;			  /* positions in the cluster */
	uint64_t rnd;
	/* Joined again: what the server before has not read, which goes first; charged to the client's stream. */
	struct mt_chain given;
	uint32_t pair; /* its index */
	/* While only the cluster's name is there (await.c). */
	struct mt_list node; /* mt_awaiting.streams */
	uint32_t awaits;     /* the cluster's index + 1; 0: does not wait */
	bool waited;
};

/* ---- waiting for a cluster (await.c) ---- */

struct mt_await_list {
	struct mt_list list;
	uint32_t n, look; /* look: so many of them have still to be looked at */
};

struct mt_awaiting {
	struct mt_await_list calls, streams;
	uint64_t bytes;	  /* truesize of the calls */
	uint64_t *serial; /* where answers are announced; NULL: nothing has waited yet */
	uint64_t seen;
};

/* Clusters that are asked for, on their way to the control thread. */
#define MT_ASKS 256

struct mt_asks {
	uint32_t head mt_cache_aligned; /* worker: w, ctl: r */
	uint32_t cluster[MT_ASKS];	/* mt_cluster.index; worker: w, ctl: r */
	uint32_t tail mt_cache_aligned; /* ctl: w, worker: r */
};

/* What happened to endpoints, on its way to the control thread (aside.c). */
#define MT_ASIDES 128

struct mt_asides {
	uint32_t head mt_cache_aligned; /* worker: w, ctl: r */
	uint64_t missed;		/* worker: w, ctl: r */
	struct mt_aside e[MT_ASIDES];	/* worker: w, ctl: r */
	uint32_t tail mt_cache_aligned; /* ctl: w, worker: r */
};

/* ---- upstream ---- */

/*
 * SHARED and WIDE carry calls of many clients; on WIDE are those whose bytes would hold up short ones. PINNED: server connections of
 * byte streams (struct mt_pair), which are only counted.
 */
enum mt_up_role { MT_UP_SHARED, MT_UP_WIDE, MT_UP_SERIAL, MT_UP_BULK, MT_UP_PINNED, MT_UP_ROLES };
enum mt_up_state { MT_UP_CONNECTING, MT_UP_OPEN, MT_UP_DRAINING };

/* One outstanding call on a shared connection. id 0: free. attempt none and id != 0: a tombstone. */
struct mt_slot {
	uint64_t id;
	struct mt_ref attempt;
};

/* Whether replies carry the ids of their calls (match.c). */
enum mt_ids {
	MT_IDS_UNKNOWN, /* no reply has come yet */
	MT_IDS_ECHOED,
	MT_IDS_ABSENT, /* replies carry id 0, whatever their calls carry */
};

/*
 * The last calls without a reply on a SERIAL connection that is bound to their client (oneway.c):
 * a ring.
 */
#define MT_UNANSWERED 64
struct mt_unanswered {
	uint32_t n; /* calls so far */
	struct mt_unanswered_call {
		bool used;
		bool overtaken;	 /* where replies have no ids: a later call was answered */
		uint32_t aux;	 /* with `id`: the client's (mt_seed) */
		uint64_t given;	 /* the id that the server has seen */
		uint64_t method; /* mt_attempt.method */
		uint64_t id;
	} call[MT_UNANSWERED];
};

/* What is known of whether a server is there (silence.c); SHARED and WIDE only. Times in ns. */
struct mt_silence {
	uint64_t first_sent; /* the first call since the last byte came */
	uint64_t asked_at;   /* a heartbeat of ours is out since; 0: none */
	uint64_t asked_end;  /* where it ends in what was given to the stream; 0: never asked */
	uint64_t acked,
		moved; /* asked: what was acknowledged when last looked at; when that, or what was sent, moved */
	uint64_t not_before; /* when it may be asked next */
	uint64_t vouched;    /* mt_up.last_rx as its last answer came */
	uint64_t quiet;	     /* so long without a byte is a reason to ask */
	uint64_t gap;	     /* the same while nothing comes but answers to that */
};

struct mt_up {
	struct mt_ref self;
	struct mt_stream *s;
	struct mt_list node; /* mt_lanes.conns[role], or .idle (SERIAL, BULK without a call) */
	struct mt_lanes *lanes;
	enum mt_up_role role;
	enum mt_up_state state;
	bool busy; /* SERIAL, BULK: a call is out (mt_up.attempt, or its tombstone) */
	bool used; /* carried at least one call */
	bool decoding, eof;
	bool paused; /* its long reply waits for the client: mt_down.waiting has the exchange */
	struct mt_decoder dec; /* of s->rx */
	struct mt_msg msg;
	struct mt_reading reading;
	struct mt_slot *ring; /* SHARED, WIDE */
	uint64_t *ring_busy;  /* a bit for each slot; behind them */
	uint32_t outstanding; /* live slots and tombstones */
	uint32_t tombstones;
	uint64_t next_id;
	struct mt_ref attempt; /* SERIAL, BULK: the call that is out */
	/* Which call a reply answers (match.c). */
	uint64_t first_id;	  /* of those given out */
	uint32_t n_unknown;	  /* replies with ids that were never given out */
	uint8_t ids_started_over; /* times that next_id has come round, 2 at most */
	enum mt_ids ids : 8;	  /* SERIAL: what its replies have shown */
	bool unanswered; /* SERIAL: a one-way call was sent on it, and its server may answer that */
	bool reply_late; /* with reply_left: the long reply is not to the call that is out */
	uint64_t out_id; /* SERIAL, BULK: of the call to which a reply is due; 0: none is */
	uint64_t out_method; /* SERIAL: mt_attempt.method of it */
	/*
	 * BULK, while busy: whose call that is or was (mt_lane_has_share()): the connection, the address (IPv6: its /64).
	 * SERIAL: whose calls share it because one of them may be one-way (oneway.c); none: it is not in doubt.
	 */
	struct mt_ref client;
	struct mt_addr from;
	/* SERIAL, in doubt: */
	struct mt_list
		behind; /* the attempts behind `attempt`, in the order in which they were sent */
	uint32_t n_behind;
	bool bound;		/* a call on it had no reply: no other client's calls take it */
	bool counted;		/* in mt_lanes.n_bound */
	uint32_t unanswered_at; /* mt_proxy.unanswered, index + 1; 0: none */
	uint32_t ep_at;		/* where its endpoint stood in a cluster, to be tried first */
	uint64_t service;	/* mt_service.id of its calls */
	uint64_t left;		/* the method of a call whose client has left; 0: none */
	struct mt_ref reply;	/* exchange whose long reply is being forwarded */
	uint32_t reply_left;	/* bytes of a long reply still to come */
	uint64_t reply_id;	/* its id as the server sent it */
	bool release;		/* SERIAL, BULK: the reply is complete, free the connection */
	bool reply_skip;	/* they go nowhere: its exchange has ended */
	bool comes_whole; /* with msg_started: `msg` tells of the message that is incomplete */
	struct mt_list waiting; /* attempts to send when connected */
	struct mt_list unacked; /* one-way attempts, in the order in which they were sent */
	uint32_t n_waiting;
	struct mt_timer timer;
	uint64_t last_rx, last_tx, reply_progress, skip_until;
	uint64_t msg_started; /* a message that is to come whole is incomplete since; 0: none */
	uint64_t retry_at;    /* 0, or when to decode again without new bytes */
	uint64_t evicted;     /* SHARED, WIDE, DRAINING: since, because it held too much */
	uint64_t given;	      /* bytes given to the stream so far */
	/* The server has ended it, calls are out: since, and when to look again whether they were read (repeat.c). */
	uint64_t ended_at, look_at;
	struct mt_silence silence;
};

/* Calls of many clients are out on it, told apart by ids. */
static inline bool mt_up_shares(const struct mt_up *u)
{
	return u->role <= MT_UP_WIDE;
}

/* After how long an endpoint ends an idle connection (idle.c). Times in ns. */
struct mt_idle_limit {
	uint64_t learnt; /* 0: not known */
	uint64_t age,
		at; /* the least age of the last FINs that were alike, and when the last came */
	uint64_t nothing_until; /* the server itself ends: nothing is learnt */
	uint32_t n;		/* how many were alike */
};

/* Attempts that wait for an endpoint's connections, in buckets by their clients' addresses (queue.c). */
#define MT_FAIR_BITS	6
#define MT_FAIR_BUCKETS (1u << MT_FAIR_BITS)
struct mt_fair {
	uint64_t busy; /* a bit for each bucket that is not empty */
	uint32_t at;   /* the bucket whose turn it is */
	uint32_t n[MT_FAIR_BUCKETS];
	int32_t credit[MT_FAIR_BUCKETS]; /* bytes left of its turn */
	struct mt_list bucket[MT_FAIR_BUCKETS];
};

/* Of an endpoint: for SHARED or SERIAL connections, and for WIDE ones. */
enum mt_fair_queue { MT_FAIR_NARROW, MT_FAIR_WIDE, MT_FAIR_QUEUES };

/* All connections of this worker to one endpoint in one dialect. */
struct mt_lanes {
	struct mt_ref self;
	uint32_t ep_index;
	uint64_t ep_id;
	struct mt_ep_state
		*state; /* outlives the snapshots that name it (lib/upstream's registry) */
	const struct mt_codec *codec;
	uint8_t codec_opts;
	uint8_t lane_class;  /* dialect (mt_msg.lane_class): dialects never share a connection */
	enum mt_ids ids : 8; /* SERIAL: what its connections have shown last (mt_up.ids) */
	struct mt_lanes *next_class; /* same endpoint, other dialect */
	struct mt_tls_context *tls;  /* held; NULL: clear text */
	struct mt_addr addr;
	uint16_t port;
	uint32_t connect_ms;
	uint32_t cluster_index; /* mt_proxy.cluster_conns */
	uint32_t conns_max;	/* of this worker to the whole cluster; 0: no limit of its own */
	bool gone;		/* the endpoint left the configuration */
	bool pinned;		/* must not be freed just now */
	bool of_caller;		/* `tls` shows a caller's identity, not the node's */
	uint16_t way;		/* mt_endpoint_way() */
	uint32_t n_conns[MT_UP_ROLES];	   /* by role, connecting ones too */
	uint32_t n_queued;		   /* attempts that wait, in `fair` and `bulk` */
	struct mt_list conns[MT_UP_ROLES]; /* by role */
	/* By role; SERIAL, BULK: open and free; most recently used first. */
	struct mt_list idle[MT_UP_ROLES];
	uint64_t seen;			      /* snapshot version that last named it */
	struct mt_fair *fair[MT_FAIR_QUEUES]; /* attempts that wait; NULL: none */
	int32_t narrow_ahead; /* while both wait for one connection: bytes of an address that SHARED's have sent more than WIDE's */
	struct mt_list bulk;  /* BULK: attempts that wait */
	struct mt_idle_limit idle_limit;
	struct mt_addr bulk_last; /* whose call was given the last bulk connection */
	bool bulk_in_vain; /* none of those in `bulk` had a share, and nothing has changed since */
	uint32_t n_bound;  /* SERIAL: bound to a client (mt_up.bound) */
	struct mt_list hungry_node; /* mt_proxy.hungry: a connection may be free for the queue */
};

/* Which endpoint, for who tells of it or asks it when the group may be gone. */
struct mt_ep_where {
	struct mt_tls_context *tls; /* the group's; who keeps it holds it */
	struct mt_addr addr;
	uint16_t port;
	uint32_t cluster; /* index */
	const struct mt_codec *codec;
	uint8_t codec_opts;
	bool of_caller; /* mt_lanes.of_caller */
	uint16_t way;	/* mt_lanes.way */
	uint32_t connect_ms;
};

/* An endpoint that is put aside and asked whether it is back (probe.c). */
struct mt_probe {
	struct mt_stream *s; /* NULL: not now */
	struct mt_timer timer;
	struct mt_ep_state *ep;
	uint64_t ep_id;
	uint32_t ep_index;
	struct mt_ep_where at;
	uint64_t again; /* ns until it is asked again, should it fail */
	bool asked;	/* the heartbeat is out */
	struct mt_decoder dec;
	struct mt_msg msg;
};

/* What is known of how fast an endpoint answers this worker (admit.c). Times in ns. */
struct mt_admit {
	uint64_t ep_id;	      /* whose; the place may serve another one later */
	uint64_t since;	      /* the begin of the window */
	uint64_t took, n;     /* of the window's replies: how long they took, how many */
	uint64_t last;	      /* reply */
	uint64_t silence;     /* the longest in the window */
	uint64_t pace;	      /* from one reply to the next while there is work; 0: not known */
	uint64_t known_at;    /* when `pace` was last learned */
	uint64_t mean, least; /* how long replies took in the last window; without a queue */
	bool busy;	      /* there was work at the window's begin */
	bool stood_still;     /* in the window before, for most of it */
	bool queueing;	      /* calls do wait for each other */
};

#define MT_PROXY_EPS_MAX      MT_UPSTREAM_EPS_MAX /* stable endpoint indexes */
#define MT_PROXY_SERVICES_MAX MT_SNAPSHOT_SERVICES_MAX
#define MT_PROXY_CLUSTERS_MAX MT_UPSTREAM_CLUSTERS_MAX

/* What was refused because of one object. */
struct mt_closed_stats {
	uint64_t id; /* mt_closer.id */
	uint64_t refused;
};

struct mt_proxy {
	struct mt_proxy_conf conf;
	uint16_t worker, workers;
	struct mt_pools *pools;
	struct mt_transport *out; /* to servers */
	struct mt_tls_layer *tls; /* NULL: none; and what makes its streams of clients' */
	struct mt_tls_door door;
	struct mt_trace *trace; /* NULL: nothing is traced */
	struct mt_snapshot *snap;
	uint64_t now, wall;
	uint32_t free_pct; /* of data mbufs */
	struct mt_rand rnd;
	struct mt_wheel wheel;
	struct mt_deadlines deadlines;
	struct mt_slab downs, ups, exchanges, attempts, lanes, rings, pairs, connecting, undecided,
		scans, fairs, probes, unanswered;
	uint32_t n_unacked;  /* exchanges that are, or were until their connection ended */
	uint64_t fair_salt;  /* who shares a bucket with whom cannot be chosen from outside */
	uint32_t probes_out; /* connections of theirs */
	struct mt_readings readings;
	struct mt_lanes *
		*lanes_by_ep;	 /* MT_PROXY_EPS_MAX entries, reserved; linked by next_class */
	uint32_t *pending;	 /* by cluster index: exchanges queued */
	uint32_t *pending_size;	 /* the same in truesize */
	uint32_t *cluster_conns; /* by cluster index: connections to its endpoints */
	struct mt_lb_worker lb;
	struct mt_filter_worker filters;
	struct mt_filter_ctx filter_ctx;
	struct mt_exchange_side *sides; /* by exchange index */
	struct mt_service_stats *service_stats;
	uint64_t *service_ids; /* whose numbers these, and the histograms, are */
	struct mt_service_hist *service_hists;
	struct mt_exemplars *exemplars; /* by service index */
	uint32_t exemplar_ms;		/* between them; 0: there are none */
	uint64_t exemplar_due;		/* when the next call becomes an example */
	struct mt_ep_stats *ep_stats;
	struct mt_ep_hist *ep_hists;
	uint64_t *route_hits;		/* by mt_route_action.index */
	struct mt_closed_stats *closed; /* by mt_closer.index */
	struct mt_admit *admit;		/* by endpoint index */
	struct mt_list hungry;		/* lane groups to feed at the end of the turn */
	struct mt_awaiting awaiting;
	uint32_t rebind_idx;	 /* where moving to the new snapshot goes on */
	uint32_t rebind_cluster; /* NAMED: the cluster whose endpoints are looked at */
	enum {
		MT_REBIND_DONE,
		MT_REBIND_NAMED, /* marks lane groups of endpoints that it names */
		MT_REBIND_LANES, /* drains the others */
		MT_REBIND_DOWNS,
		MT_REBIND_UNDECIDED,
		MT_REBIND_PAIRS, /* resets those that its rules deny */
		MT_REBIND_CONNECTING,
		MT_REBIND_EXCHANGES,
	} rebinding;
	const struct mt_cluster *rebind_from, *rebind_to; /* the last pair found */
	bool draining;
	bool moved;	 /* another proxy has what is here: nothing ends with this one (image.c) */
	bool winding_up; /* not all clients were told of the drain yet */
	uint32_t drain_idx, drain_undecided; /* where that goes on */
	struct mt_slow slow;
	struct mt_method methods[MT_METHODS];
	struct mt_view view;	     /* one is enough: a worker handles one message at a time */
	uint8_t hello[MT_HELLO_MAX]; /* a ClientHello that is being read */
	uint8_t overlay[MT_VIEW_CHANGES]; /* the bytes of changes that were kept */
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
