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
 *     exactly one id-ring slot, by mt_up.exchange or in mt_up.behind. If the attempt ends first,
 *     that place becomes a tombstone and is not free. An attempt ends with its exchange at the
 *     latest.
 *  3. A slot matches only by the complete id.
 *  4. Bytes of a request are in exactly one of: s->rx of the client, ex->req, the server
 *     connection's send queue. Bytes of a reply are in exactly one of: s->rx of the server
 *     connection, ex->rsp or mt_down.after, the client's send queue.
 */
#pragma once

#include "access/mt_access_types.h"
#include "call/mt_call_log.h"
#include "call/mt_call_types.h"
#include "client/mt_client_types.h"
#include "mt_deadline.h"
#include "mt_node_limits.h"
#include "mt_proxy.h"
#include "mt_tls_layer.h"
#include "pool/mt_pool_types.h"
#include "session/mt_session_types.h"

#define MT_PROXY_EPS_MAX      MT_UPSTREAM_EPS_MAX /* stable endpoint indexes */
#define MT_PROXY_SERVICES_MAX MT_SNAPSHOT_SERVICES_MAX
#define MT_PROXY_CLUSTERS_MAX MT_UPSTREAM_CLUSTERS_MAX

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
	/* For tracing and sampled logs, so that they do not change what `rnd` decides. */
	struct mt_rand trace_rnd;
	struct mt_wheel wheel;
	struct mt_deadlines deadlines;
	struct mt_slab downs, ups, exchanges, lanes, rings, pairs, connecting, selections, scans,
		fairs, health_checks, unanswered;
	uint32_t n_attempts; /* exchanges with an attempt under way */
	uint32_t n_unacked;  /* exchanges with mt_exchange.unacked */
	/* Random, so that clients cannot choose their bucket in a fair queue. */
	uint64_t fair_salt;
	uint32_t health_checks_out; /* open connections of health checks */
	struct mt_readings readings;
	/* By endpoint index (reserved address space): first lane group, linked by next_class. */
	struct mt_lanes **lanes_by_ep;
	uint32_t *pending;	/* by cluster index: waiting calls and opaque streams */
	uint32_t *pending_size; /* by cluster index: truesize of the calls */
	/* By cluster index: lower half of the version of the snapshot that last requested it. */
	uint32_t *asked_under;
	uint32_t *cluster_conns; /* by cluster index: connections to its endpoints */
	/* Shared by all workers: waiting calls and connections of clusters that have limits. */
	struct mt_node_limits *node_limits;
	struct mt_lb_worker lb;
	struct mt_filter_worker filters;
	struct mt_filter_ctx filter_ctx;
	struct mt_exchange_side *sides;		/* by exchange index */
	struct mt_limit_headers *limit_headers; /* by exchange index */
	struct mt_service_stats *service_stats;
	uint64_t *service_ids; /* mt_service.id to which statistics and histograms belong */
	struct mt_service_hist *service_hists;
	struct mt_portion *portions;	/* MT_PORTIONS + 1 */
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
	/* Lane groups of codecs that no protocol of `snap` has, the least recently used first. */
	struct mt_list former;
	/*
	 * Calls to run at the end of this or the next iteration: another run was under way, or no
	 * steps were left.
	 */
	struct mt_list again;
	bool running; /* inside mt_call_run() */
	struct mt_on_demand on_demand;
	uint32_t snap_move_idx;	    /* where the move to the new snapshot continues */
	uint32_t snap_move_cluster; /* NAMED: the cluster that is being processed */
	enum {
		MT_SNAP_MOVE_DONE,
		MT_SNAP_MOVE_NAMED, /* marks lane groups of endpoints in the new snapshot */
		MT_SNAP_MOVE_LANES, /* drains the other lane groups */
		MT_SNAP_MOVE_DOWNS,
		MT_SNAP_MOVE_SELECTIONS,
		MT_SNAP_MOVE_PAIRS, /* resets streams that the new rules deny */
		MT_SNAP_MOVE_CONNECTING,
		MT_SNAP_MOVE_EXCHANGES,
	} snap_moving;
	/* Last cluster that was searched for in the new snapshot, and the result. */
	const struct mt_cluster *snap_move_from, *snap_move_to;
	bool draining; /* refuses new clients */
	bool moved;    /* do not end its objects: another proxy has them, or not all are loaded */
	struct mt_drain drain;
	struct mt_slow slow;
	struct mt_denied denied;
	struct mt_method methods[MT_METHODS];
	struct mt_view view; /* a single one, because a worker handles one message at a time */
	uint8_t hello[MT_HELLO_MAX]; /* copy of the ClientHello that is being read */
	/* Bytes of metadata changes that were restored, each key with a final zero (overlay.c). */
	uint8_t overlay[MT_VIEW_CHANGES + MT_VIEW_MUTATIONS + MT_EXTAUTHZ_BYTES +
			MT_EXTAUTHZ_CHANGES];
	uint32_t overlay_used;
	struct mt_layer layer;
	uint8_t deadline_scratch[MT_META_SCRATCH];
	uint64_t counters[MT_PROXY_N_OUTCOMES];
	struct mt_asks asks;
	struct mt_ep_events ep_events;
	uint64_t trace_picks[MT_UPSTREAM_N_OUTCOMES]; /* lb.counters before a traced pick */
	struct mt_authorize_scratch authorize_scratch;
	struct mt_ledger *ledger; /* of the worker's memory; NULL: none */
	struct mt_mirror mirror;
	struct mt_verdicts verdicts;
	struct mt_tokens tokens;
	struct mt_ext_authz_calls ext_authz;
	struct mt_call_log log;
	struct mt_stream_note *stream_notes; /* by pair index (reserved address space) */
};
