/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiled configuration as workers read it: listeners with their services, clusters, filters. The
 * types stand with lib/proxy, which reads a snapshot and never builds one; lib/conf, above, builds,
 * publishes and retires them. Immutable after publish.
 */
#pragma once

#include "mt_filter.h"
#include "mt_filter_chain.h"
#include "mt_route.h"
#include "mt_stream.h"
#include "mt_upstream.h"

struct mt_dns_table;

/* One service behind a listener: what an exchange is routed by. */
/* Who may come in by a port of a gateway, whoever he calls then. */
struct mt_gate_guard {
	const struct mt_authz *rules;
	uint16_t port;
};

struct mt_service {
	const char *name; /* host: "org.apache.dubbo.samples.basic.api.demoservice" */
	const char *key;  /* lower case value of the service key that names it on a shared port */
	uint64_t id;	  /* hash of host and port: stable identity, for counters */
	uint32_t index;	  /* stable small index over snapshots, for per-worker counters */
	struct mt_route_table *routes;
	struct mt_filter_inst *filter_insts; /* as configured, in their order */
	uint32_t n_filter_insts;
	const struct mt_filters *filters; /* of them, compiled; NULL: there are none */
	/*
	 * Routes, filters and hashes of this service read leading metadata only and no route changes
	 * requests: forwarding may begin before a long message is whole.
	 */
	bool early_ok;
	/*
	 * Routes, limits, hashes or changes of this service need metadata that have to be searched: a
	 * request that has more of them than are looked through is refused.
	 */
	bool searches;
	uint32_t timeout_ms;		 /* exchange; 0: the message's own deadline, else 5 min */
	uint32_t tcp_cluster;		 /* opaque services: routes are not consulted */
	struct mt_route_dest *tcp_dests; /* opaque with weights (n_tcp_dests > 0) */
	uint32_t n_tcp_dests, tcp_total_weight;
	uint32_t n_tcp_idle;
	const char **tcp_idle; /* as mt_route_action.idle */
	const struct mt_gate_guard
		*gate; /* of a gateway's service; NULL: everybody. Calls are judged by a filter */
	/* A gateway's: what enters by it is called for by the node's own identity (mt_cluster.lend), whoever it is of. */
	bool gateway;
	const char *file; /* origin of the ServiceEntry */
	uint32_t line;
	const char *resource,
		*routes_resource; /* of a discovery server: its Listener, RouteConfiguration; else NULL */
};

/* Services that have counters of their own: the size of workers' arrays; lib/conf makes no more. */
#define MT_SNAPSHOT_SERVICES_MAX 32768

/* Routes that are counted each by itself; what is beyond counts together, as number 0. */
#define MT_SNAPSHOT_ROUTES_MAX (1u << 20)

/* The time in which a client that may be waiting for the server to speak first has to say something. */
#define MT_LISTENER_DETECT_MS 100

/* An address and port that Meltemi answers for, and the chains that serve its connections. */
struct mt_listener {
	struct mt_addr addr; /* all zero or 0.0.0.0: any local address */
	uint16_t port;
	uint64_t id; /* hash of address and port */
	struct mt_filter_chain *chains;
	uint32_t n_chains;
	bool has_fallback; /* the last chain is for connections that no other one matches */
	struct mt_filter_chain_proto *protos; /* of all chains, in their order */
	uint32_t n_protos;
	/* Silence for so long means plain, where the server may speak first; 0: MT_LISTENER_DETECT_MS (lib/conf sets none yet). */
	uint32_t detect_ms;
	/* Whoever connects is refused by RST: nobody behind it may be called. NULL: somebody may, or it is answered otherwise. */
	const struct mt_closer *closed_by;
	bool decided; /* one chain with one protocol, and everybody gets it; set by mt_snapshot_index() */
	struct mt_chain_names *names; /* by mt_snapshot_index(); NULL: there are few names */
	const char *file;
	uint32_t line;
};

/* An address that enters by one port of the node, and no other (lib/net), so that it says who it is. */
struct mt_bound {
	struct mt_addr addr; /* first */
	uint16_t port;
	bool has_mac; /* it is of that station only */
	uint8_t mac[6];
	const char *principal; /* "cluster.local/ns/a/sa/b"; NULL: none, and `why` */
	const char *by, *why;  /* whose word it is; NULL: nobody's */
};

struct mt_snapshot {
	uint64_t version; /* grows by one with each publish */
	/*
	 * Workers that adopt this one move to it what still holds a smaller version, so that the old
	 * ones can retire; 0: everything may finish under its own.
	 */
	uint64_t keep_from;
	struct mt_listener *listeners;
	uint32_t n_listeners;
	struct mt_cluster *clusters;
	uint32_t n_clusters;
	struct mt_service **services; /* all of them, by index order */
	uint32_t n_services;
	const struct mt_closer **closers; /* who closes something, by names */
	uint32_t n_closers;
	uint32_t max_cluster_index, max_ep_index,
		max_service_index;    /* sizes of per-worker arrays */
	const struct mt_bound *bound; /* by address */
	uint32_t n_bound;
	struct mt_dns_table *dns; /* names of services; NULL: the node serves none */
	void *lookup;		  /* listener hash, built by lib/conf (mt_snapshot_index()) */
	uint32_t *holds; /* [worker]: objects of this worker that name this snapshot; worker: w,
				 * ctl: r; one cache line each */
	void *arena;	 /* lib/conf's */
};

/* Of a call, as configured: its route's, else its service's; 0: none, the message's own deadline counts. */
static inline uint32_t mt_snapshot_timeout(
	const struct mt_route_action *route, const struct mt_service *service)
{
	return route->timeout_ms ? route->timeout_ms : service->timeout_ms;
}

#define MT_HOLD_STRIDE (MT_CACHE_LINE / sizeof(uint32_t))

/* Worker only: an object that outlives a loop turn names this snapshot, or no longer does. */
static inline void mt_snapshot_hold(struct mt_snapshot *s, uint16_t worker)
{
	uint32_t *h = &s->holds[worker * MT_HOLD_STRIDE];

	__atomic_store_n(h, *h + 1, __ATOMIC_RELAXED);
}

static inline void mt_snapshot_drop(struct mt_snapshot *s, uint16_t worker)
{
	uint32_t *h = &s->holds[worker * MT_HOLD_STRIDE];

	/* Release: what was read through the snapshot was read before the control thread frees it. */
	__atomic_store_n(h, *h - 1, __ATOMIC_RELEASE);
}

/* The listener for a local address and port: exact address first, then any. NULL: none. */
const struct mt_listener *mt_snapshot_listener(
	const struct mt_snapshot *s, const struct mt_addr *local, uint16_t port);

/* Whose address it is, by whichever port; NULL: nobody says. */
const struct mt_bound *mt_snapshot_bound_at(const struct mt_snapshot *s, const struct mt_addr *a);
/* Who is at the other end of a stream, if it came in by the port of that address; NULL: nobody says. */
const struct mt_bound *mt_snapshot_find_bound(
	const struct mt_snapshot *s, const struct mt_stream *from);
static inline const struct mt_bound *mt_snapshot_bound(
	const struct mt_snapshot *s, const struct mt_stream *from)
{
	return mt_likely(!s->n_bound) ? NULL : mt_snapshot_find_bound(s, from);
}

/* Builds `lookup` and links chains; called once by lib/conf (and tests) when listeners are final. 0 or -ENOMEM. */
int mt_snapshot_index(struct mt_snapshot *s);
void mt_snapshot_index_free(struct mt_snapshot *s);
