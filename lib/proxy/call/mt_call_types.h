/* SPDX-License-Identifier: Apache-2.0 */
/* Types of call/: exchanges, their attempts, and what waits or runs for them. */
#pragma once

#include "call/mt_call_origin.h"
#include "endpoint/mt_endpoint_types.h"
#include "mt_call_tracing.h"
#include "mt_deadline.h"
#include "mt_proxy.h"

/* ---- exchange ---- */

enum mt_ex_state {
	MT_EX_ROUTING,	 /* no attempt: mt_call_run() runs it, or it is in mt_proxy.again */
	MT_EX_ON_DEMAND, /* waits for an on-demand cluster (on_demand.c) */
	MT_EX_SUSPENDED, /* a filter waits, or the call waits for a verdict (filters.c, verdict.c) */
	MT_EX_BACKOFF,	 /* waits for its next attempt by the retry policy (again.c) */
	MT_EX_TRYING,	 /* no reply byte is forwarded; mt_attempt.state has the progress */
	MT_EX_FILTERING, /* has its reply, at which a filter waits (reply_wait.c); no attempt */
	MT_EX_REPLYING,	 /* a part of a long reply is forwarded */
	MT_EX_READY,	 /* has its reply, which waits for its turn or for the client to read */
	MT_EX_N_STATES
};

/* Where mt_call_run() starts (run.c). */
enum mt_call_step {
	MT_CALL_SERVICE,  /* the request was decoded */
	MT_CALL_FILTERS,  /* the filters, from mt_exchange.filter_at on */
	MT_CALL_ROUTE,	  /* the route, chosen again in the newest snapshot */
	MT_CALL_ENDPOINT, /* choice of the endpoint; ROUTE if the call has no cluster any more */
};

enum mt_attempt_state {
	MT_ATTEMPT_NONE,       /* has not begun, or has ended */
	MT_ATTEMPT_QUEUED,     /* in the queue of its lane group; waits for a connection */
	MT_ATTEMPT_CONNECTING, /* in the list of its connection, which is opening */
	MT_ATTEMPT_SENDING,    /* a part of a long request is sent */
	MT_ATTEMPT_SENT,       /* sent completely */
	/* One-way, sent, in its connection's list until it is acknowledged (unacked.c). */
	MT_ATTEMPT_UNACKED,
	MT_ATTEMPT_N_STATES
};

/* The receive half of an attempt. A reply of at most 64 KiB goes from NONE to END. */
enum mt_receive {
	MT_RECEIVE_NONE, /* no byte of the reply is forwarded */
	MT_RECEIVE_BODY, /* a long reply is forwarded while it arrives (updecode.c) */
	MT_RECEIVE_END,	 /* the server has sent all of it */
	MT_RECEIVE_N_STATES
};

/*
 * A try of an exchange at an endpoint (attempt.c). It is a member of its exchange, which has one
 * attempt at a time. Pools refer to it by the reference of its exchange. When an attempt ends,
 * every list, id-ring slot and connection drops its reference, so none leads to a later attempt.
 */
struct mt_attempt {
	/*
	 * List for QUEUED: mt_lanes.fair or .bulk; CONNECTING: mt_up.waiting; UNACKED: mt_up.unacked;
	 * otherwise only used while its connection ends (retry.c).
	 */
	struct mt_list node;
	enum mt_attempt_state state : 8;
	uint8_t bucket; /* QUEUED: bucket in mt_lanes.fair */
	/* A trial of an ejected endpoint. One-way: its acknowledgement ends the ejection. */
	bool trial;
	/* SERIAL (oneway.c): what was known about the method when the call was sent. */
	enum mt_method_state knows : 8;
	enum mt_receive receive : 8;
	bool timed; /* mt_exchange.deadline is that of the attempt (lane.c), not of the call */
	uint32_t ep_index;
	struct mt_ref up; /* the connection; none: not yet, or not any more */
	/* Lane group; kept after the end of the attempt, for the record. */
	struct mt_ref lanes;
	uint32_t reply_left; /* BODY: bytes of the reply that have not come yet */
	uint64_t up_id;	     /* id of the call on the connection, with MT_CORR_SAFE */
	/*
	 * Positions in the connection's stream (struct mt_stream_pos) of its first byte, and of the
	 * byte after its last.
	 */
	uint64_t first, last;
	/* The endpoint for which it counts; NULL: none. Later another endpoint may use this memory. */
	struct mt_ep_state *ep;
	uint64_t ep_id;
	uint64_t workload; /* mt_endpoint_workload() of the last endpoint that was picked, then */
	uint64_t picked;   /* ns: when the endpoint was picked */
	/* Account in which it counts as an outstanding call (mt_budget_count()); NULL: none. */
	struct mt_budget_account *counted;
	/* SERIAL (oneway.c): hash of the method's name (0: none), hash of service and method. */
	uint64_t method, method_key;
	/*
	 * BODY: when the last bytes came, ns; the reply's id, as the server sent it. If the attempt
	 * ends before the reply, its connection skips the rest (mt_up.skip).
	 */
	uint64_t reply_progress, reply_id;

	/* Set by routing, or at the end of the attempt before; these fields are valid in NONE. */
	/*
	 * In mt_exchange.snap. NULL: not chosen yet, or not in the configuration any more; it may
	 * become NULL after the call was sent (snapshot_move.c).
	 */
	const struct mt_cluster *cluster;
	uint32_t cluster_index; /* index in mt_proxy.pending */
	/* QUEUED, or its exchange is ON_DEMAND: its part of mt_proxy.pending_size. */
	uint32_t queued_size;
	uint8_t shows; /* identity presented to endpoints of `cluster` (mt_cluster_shows()) */
	uint8_t lane;  /* enum mt_up_role if ids identify replies: SHARED, WIDE or BULK */
	bool fresh;    /* to be sent on an unused connection, if one can be opened */

	/* For the record: each value is of the last attempt that had one. */
	uint32_t reply_len;
	/*
	 * ns; 0: not yet. Start of the last wait for a connection that opens; when the call was
	 * sent; when the server answered it.
	 */
	uint64_t connecting, sent, replied;
};

struct mt_exchange {
	struct mt_list down_node; /* mt_down.exchanges, in the order of requests; a copy: no list */
	/*
	 * ON_DEMAND: mt_on_demand.calls; READY, REPLYING: mt_down.waiting; ROUTING: mt_proxy.again;
	 * SUSPENDED until a verdict: the list of calls that wait for the same verdict.
	 */
	struct mt_list queue_node;
	/* Of the call, its attempt, its back-off or another wait: see mt_exchange_expired(). */
	struct mt_deadline deadline;
	struct mt_ref down;
	struct mt_ref self;
	enum mt_ex_state state : 8;
	enum mt_call_step step : 8;
	enum mt_call_origin origin : 8;
	uint8_t tries;
	/* Transparent retries: times that it was sent again because the server had not read it. */
	uint8_t retries;
	/* SUSPENDED, FILTERING: number of the wait in tickets; the filter to continue with. */
	uint8_t filter_at;
	uint16_t trace; /* number of its trace + 1; 0: not traced */
	bool oneway;
	/* SUSPENDED until a token is verified or an external authorization decides (verdict.c). */
	bool awaits_verdict;
	bool waited_verdict; /* it has waited for a verdict before */
	bool must_change;    /* it must not be sent without its changes */
	bool changes_kept;   /* mt_exchange_side.overlay or .decision has changes (overlay.c) */
	bool retained;	     /* mt_exchange_side has the request (retained.c) */
	bool armed;	     /* its retry policy may give it further attempts (again.c) */
	bool has_policy;     /* its route has a retry policy, and it is not one-way (again.c) */
	bool layered;	     /* `req` has changes by its endpoint's policies (changes.c) */
	bool exhausted;	     /* its policy has no attempt left that it would give it */
	bool delayed;	     /* an injected fault has delayed it */
	bool budgeted;	     /* it has a unit of mt_exchange_side.budget (again.c) */
	bool unacked;	     /* its attempt is UNACKED, or was until its connection ended */
	bool in_message;     /* the client is still sending this request */
	bool rsp_complete;   /* READY: rsp has the complete reply */
	bool limit_headers;  /* its place in mt_proxy.limit_headers has headers for its reply */
	/* Becomes an exemplar of its service's latency when a server has answered it. */
	bool sampled;
	/*
	 * It has, or had, something that only side.c frees: `filters`, `token`, changes_kept, a reply
	 * at which a filter waits, buffers of its retained request, a unit of a budget, a place in
	 * mt_proxy.again or in a list of calls that wait for a verdict or a cluster; or it is a
	 * mirrored copy.
	 */
	bool side;
	uint8_t status; /* how it was answered (record.c); 0: not answered */
	uint8_t codec_opts;
	uint8_t left : 7;     /* enum mt_call_left */
	uint8_t unlogged : 1; /* it leaves no line, by mt_snapshot.log_skips */
	uint8_t traced;	      /* enum mt_call_traced */
	/* enum mt_ending of its local reply, if more exact than the reply; else MT_ENDING_ok. */
	uint8_t local_ending;
	/* Cache entry of its token, which may be gone from `msg` (mt_token_cache_held()); 0: none. */
	uint16_t token;
	/*
	 * mt_authz_policy.asks_id of the external provider that has allowed the call; 0: none.
	 * Until the call has passed the gateway's port this is the port's provider, then an
	 * endpoint's.
	 */
	uint32_t asked;
	uint32_t note; /* index in mt_call_log.notes + 1, or MT_CALL_NO_NOTE; 0: not logged */
	struct mt_attempt attempt;
	/* Bit set of the tried endpoint positions in its cluster, including the current one. */
	uint64_t tried;
	uint64_t started; /* ns */
	uint64_t caller;  /* mt_down.caller, when the call began */
	uint8_t method_len;
	/*
	 * Start of the method's name, for the shell. If the name is longer, method_len is the size of
	 * this array plus 1.
	 */
	char method[MT_RECORD_METHOD];
	const struct mt_codec *codec;
	struct mt_snapshot *snap; /* held; may change during the call (snapshot_move.c) */
	/* In `snap`. NULL: not selected yet, or not in the configuration any more. */
	struct mt_service *service;
	const struct mt_route_action *route;
	/*
	 * The filters in `snap` with which the exchange started (filters.c). NULL: none, or no
	 * filter needs the exchange any more.
	 */
	const struct mt_filters *filters;
	uint32_t pending;  /* its part of mt_down.pending, while it waits */
	uint32_t req_left; /* in_message: bytes that the client has still to send */
	struct mt_msg msg; /* the request */
	/* The request's bytes until it is sent; only the first part if in_message. */
	struct mt_chain req;
	struct mt_chain rsp;   /* FILTERING, READY */
	uint64_t on_demand_at; /* ns: when it first waited for a cluster; 0: never */
	uint64_t rnd;
	/* mt_route_action.id of its route, if its metadata were changed after routing; else 0. */
	uint64_t routed;
	struct mt_seed seed;
	struct mt_span span; /* if `sampled`: the trace to which the call belongs */
};

/* Requests up to this length are retained without buffers. */
#define MT_RETAIN_HERE 384

/*
 * Data of an exchange that few exchanges need, in an array by exchange index, with
 * mt_exchange.side. Entries that are never used take no memory.
 */
struct mt_exchange_side {
	uint8_t own[MT_FILTER_BYTES_MAX]; /* data of the filters, in their order */
	/*
	 * With mt_exchange.changes_kept (overlay.c): changes by filters, gateway and route; those of
	 * the external authorization mt_exchange.asked. Else empty.
	 */
	struct mt_chain overlay, decision;
	/*
	 * With mt_exchange.layered: mt_authorize_changes_id() of the endpoint; not set if the request
	 * is retained without buffers.
	 */
	uint64_t layered_by;
	/*
	 * Id of the token rules (struct mt_token_rules) that changed the metadata sent to the external
	 * service; 0: none. Valid with mt_exchange.asked, and while the call waits for the decision.
	 */
	uint64_t asked_rules;
	/*
	 * With waited_verdict: endpoint that needs the verdict: position + 1 when the wait began (0: a
	 * gateway), id.
	 */
	uint32_t verdict_at;
	uint64_t verdict_ep;
	/* With waited_verdict: waits so far. The client bucket that the call counts for. */
	uint8_t verdict_waits, verdict_client;
	bool verdict_at_gate;
	/* Waits for an external authorization decision (ext_authz.c); false: for its token. */
	bool asks;
	uint32_t verdict_bytes;
	uint8_t attempts; /* has_policy: attempts by the retry policy, so far (again.c) */
	uint8_t tries;	  /* has_policy: mt_exchange.tries when the attempt began */
	uint8_t what; /* BACKOFF: enum mt_local_reply if its route or cluster is removed meanwhile */
	uint64_t until; /* has_policy or FILTERING; ns: the end of the call's time-out */
	/* With mt_exchange.retained (retained.c): the request as the client sent it. */
	uint16_t n_bytes; /* 0: the request is in `retained` */
	struct mt_msg msg;
	struct mt_chain retained;
	uint8_t bytes[MT_RETAIN_HERE];
	uint32_t copied; /* a mirrored copy: its truesize when it was made (mirror.c) */
	struct mt_budget_account *budget; /* with mt_exchange.budgeted */
	/*
	 * With mt_exchange.traced (context.c): its trace; the span of its attempt, and when that began
	 * (ns; 0: there is none).
	 */
	struct mt_tracing_context context;
	uint8_t attempt_span[MT_SPAN_ID];
	uint64_t attempt_at;
	struct mt_msg reply; /* FILTERING: the message in mt_exchange.rsp */
	uint64_t passed; /* ns: when a reply that had waited for a filter counted for its service */
};

/* Headers that rate limit services set in the server's reply to a call (reply_headers.c). */
#define MT_LIMIT_HEADERS       16
#define MT_LIMIT_HEADERS_BYTES 508

struct mt_limit_headers {
	uint16_t n, used;
	uint8_t bytes[MT_LIMIT_HEADERS_BYTES];
};

/* ---- mirrors ---- */

/* Copies of calls for mirrors (mirror.c). */
struct mt_mirror {
	uint32_t n;	/* under way */
	uint64_t bytes; /* truesize of the copies when they were made */
	/* Truesize of the copies that wait for a connection; charged to mt_proxy.ledger. */
	uint64_t waits;
	struct mt_endpoint ep; /* endpoint of the copy that runs */
	uint64_t ask_at;       /* ns: when an on-demand cluster may be requested again */
};
