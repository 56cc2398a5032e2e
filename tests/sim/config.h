/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots of the simulator, built by hand: one listener per service, its routes by one key of the
 * metadata, clusters of servers. What a reload may change is in the struct; state of endpoints is found
 * again by identity, as lib/conf does.
 */
#pragma once

#include "host.h"
#include "limit_oracle.h"
#include "mt_snapshot.h"

#define CONFIG_LISTENERS 3
#define CONFIG_CLUSTERS	 4
#define CONFIG_EPS	 256

/* config_listener.changes */
#define CONFIG_CHANGED	  "absent"
#define CONFIG_CHANGED_TO "changed"

struct config_cluster {
	struct {
		struct mt_addr addr;
		uint16_t port;
		uint32_t weight; /* 0: 1 */
	} ep[CONFIG_EPS];
	uint32_t n_eps;
	enum mt_lb lb;
	const char *hash_key; /* of maglev and ring hash; NULL: the client's address */
	struct mt_outlier_rule outlier;
	uint32_t connect_ms;
	uint32_t max_connections, max_pending; /* 0: no limit */
	struct mt_retry_budget retry_budget;
	struct mt_extauthz_provider *asks; /* about each call to it; NULL: all of them pass */
	bool asks_first;		   /* only about calls to its first endpoint */
};

struct config_listener {
	uint16_t port;
	const struct mt_codec *codec;
	uint8_t opts;
	const char *route_key; /* metadata that names the route */
	bool early_ok;	       /* it is known before a message is complete */
	bool whole_replies; /* responseMutation, of a key that nobody sends: no reply is cut through */
	uint32_t cluster;   /* of calls that no route names, and of opaque bytes */
	uint32_t cluster_b; /* of route "b" */
	bool changes;	    /* route "b" sets a key, the other one removes it; nobody sends it */
	uint32_t mirror, mirror_ppm; /* the cluster that gets copies; ppm 0: none does */
	uint32_t timeout_ms;
	struct mt_retry retry;		     /* of its routes; attempts 0: none */
	const struct mt_filter_inst *filter; /* of its service, in place of a limit; NULL: none */
	/* Beside a chain for TLS, which is refused: first bytes, or silence, have to tell that clients are plain. */
	bool chains;
	/* A local rate limit, of calls of route "a" and of the others; the first is a condition. */
	struct limit_numbers limit[LIMIT_BUCKETS];
};

struct config {
	struct config_listener listener[CONFIG_LISTENERS];
	uint32_t n_listeners;
	struct config_cluster cluster[CONFIG_CLUSTERS];
	uint32_t n_clusters;
	bool tls_down, tls_up; /* clients' TLS is ended, endpoints have it */
};

#define CONFIG_SNAPSHOTS 64

/* As lib/conf: alive at once, and versions that workers let their objects stay with. */
#define CONFIG_ALIVE_MAX 8
#define CONFIG_KEEP	 (CONFIG_ALIVE_MAX - 2)

struct rte_rcu_qsbr;

/* All snapshots of a seed, and the state that outlives them. */
struct config_store {
	struct sim *sim;
	uint32_t workers;
	struct mt_upstream_registry *registry;
	struct mt_limit_registry *limits;
	struct limit_oracle oracle;
	struct rte_rcu_qsbr *rcu;		     /* workers say when a turn is over */
	struct mt_snapshot *snaps[CONFIG_SNAPSHOTS]; /* NULL: freed */
	uint64_t token[CONFIG_SNAPSHOTS];	     /* of those that are not current any more */
	struct mt_snapshot *current;		     /* where workers look */
	uint32_t n, alive;
};

void config_store_init(struct config_store *st, struct sim *s, uint32_t workers);
/* Builds and publishes. At most CONFIG_SNAPSHOTS times. */
void config_publish(struct config_store *st, const struct config *c);
/* When no worker runs any more: fails the seed when an old snapshot is still held, frees all. */
void config_store_fini(struct config_store *st);
/* A worker's turn is over: what no turn can see any more and no object holds is freed, as lib/conf does. */
void config_turn_over(struct config_store *st, uint32_t worker);
/* False: it was freed. */
bool config_is_alive(const struct config_store *st, const struct mt_snapshot *s);
