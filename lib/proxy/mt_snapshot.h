/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The compiled configuration as workers read it: listeners with their services, clusters, filters. The
 * types stand with lib/proxy, which reads a snapshot and never builds one; lib/conf, above, builds,
 * publishes and retires them. Immutable after publish.
 */
#pragma once

#include "mt_filter.h"
#include "mt_route.h"
#include "mt_upstream.h"

struct mt_dns_table;

/* One service behind a listener: what an exchange is routed by. */
struct mt_service {
	const char *name; /* host: "org.apache.dubbo.samples.basic.api.demoservice" */
	const char *key;  /* lower case value of the service key that names it on a shared port */
	uint64_t id;	  /* hash of host and port: stable identity, for counters */
	uint32_t index;	  /* stable small index over snapshots, for per-worker counters */
	struct mt_route_table *routes;
	struct mt_filter_inst *filters;
	uint32_t n_filters;
	const struct mt_filter_chain *chain; /* of them, compiled; NULL: there are none */
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
	const char *file; /* origin of the ServiceEntry */
	uint32_t line;
	const char *resource,
		*routes_resource; /* of a discovery server: its Listener, RouteConfiguration; else NULL */
};

/* Services that have counters of their own: the size of workers' arrays; lib/conf makes no more. */
#define MT_SNAPSHOT_SERVICES_MAX 32768

/* Routes that are counted each by itself; what is beyond counts together, as number 0. */
#define MT_SNAPSHOT_ROUTES_MAX (1u << 20)

struct mt_listener {
	struct mt_addr addr; /* all zero or 0.0.0.0: any local address */
	uint16_t port;
	uint64_t id; /* hash of address and port */
	const struct mt_codec *codec;
	uint8_t codec_opts;	      /* MT_CODEC_OPT_* */
	struct mt_key service_key;    /* name NULL: services[0] takes everything */
	struct mt_service **services; /* sorted by mt_service.key (bytes) */
	uint32_t n_services;
	uint32_t idle_s; /* downstream idle (default 3,600) */
	const char *file;
	uint32_t line;
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
	uint32_t max_cluster_index, max_ep_index,
		max_service_index; /* sizes of per-worker arrays */
	struct mt_dns_table *dns;  /* names of services; NULL: the node serves none */
	void *lookup;		   /* listener hash, built by lib/conf (mt_snapshot_index()) */
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

/* Builds `lookup`; called once by lib/conf (and tests) when listeners are final. 0 or -ENOMEM. */
int mt_snapshot_index(struct mt_snapshot *s);
void mt_snapshot_index_free(struct mt_snapshot *s);

/* The service of the same identity on this listener, perhaps of another snapshot; NULL: none. */
struct mt_service *mt_listener_same(const struct mt_listener *l, const struct mt_service *old);

/* The service for a message on this listener, by its service key; NULL: none matches. */
struct mt_service *mt_listener_service(const struct mt_listener *l, struct mt_view *v);
