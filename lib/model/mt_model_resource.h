/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources: clusters, their endpoints, listeners, routes and secrets (Envoy API v3, in this
 * model's terms). Discovery services send resources, and lib/conf makes resources of documents, so
 * the compiler does not depend on the source. Resources refer to each other by name; all sources
 * share these names. `meta.name` is the resource's name, `meta.origin.file` the source's
 * ("xds:NAME"; NULL: documents). `meta.serial` is different after each change of the resource.
 */
#pragma once

#include "mt_model_route.h"
#include "mt_model_service.h"
#include "mt_peer.h"

struct mt_region;

enum mt_res_discovery {
	MT_RES_STATIC, /* the cluster contains its endpoints */
	MT_RES_EDS,    /* the endpoints are in the model's res_endpoints, by name */
	MT_RES_STRICT_DNS,
	MT_RES_LOGICAL_DNS,
	MT_RES_ORIGINAL_DST
};

enum mt_res_lb {
	MT_RES_ROUND_ROBIN,
	MT_RES_LEAST_REQUEST,
	MT_RES_RANDOM,
	MT_RES_RING_HASH,
	MT_RES_MAGLEV
};

/* The protocol's UNKNOWN counts as healthy, as in other proxies. */
enum mt_res_health { MT_RES_HEALTHY, MT_RES_DEGRADED, MT_RES_DRAINING, MT_RES_UNHEALTHY };

struct mt_res_endpoint {
	struct mt_addr addr;
	uint32_t weight; /* 1 and up, within its locality */
	uint16_t port;
	uint8_t health : 4; /* enum mt_res_health */
	/* enum mt_ep_drain, set by a document; a drained endpoint stays, with a share of 0 */
	uint8_t drain : 4;
	uint8_t tls : 1;  /* in a cluster with tls_by_endpoint: this endpoint needs TLS */
	uint8_t peer : 7; /* its place in mt_res_endpoints.peers + 1; 0: unknown */
};

/* A workload of endpoints, for metrics. */
struct mt_res_peer {
	uint64_t id; /* mt_peer_id(), not 0 */
	struct mt_peer p;
};
/* A cluster with more workloads is shown with the labels that they share. */
#define MT_RES_PEERS 32

struct mt_res_locality {
	const char *region, *zone, *subzone; /* NULL: not set */
	uint32_t weight;		     /* 0: not set; used by locality_weighted clusters */
	uint32_t priority;		     /* 0 is used first */
	struct mt_res_endpoint *eps;
	uint32_t n_eps;
};

/*
 * ClusterLoadAssignment. A DNS cluster has one under its own name, with the addresses of its host
 * names.
 */
struct mt_res_endpoints {
	struct mt_meta meta;
	struct mt_res_locality *localities;
	uint32_t n_localities, n_eps;
	uint32_t overprovisioning; /* percent; 140 if not set */
	/* the workloads' namespace, by Istio's metadata; NULL: not set, or several */
	const char *ns;
	struct mt_peer *peer; /* labels that all endpoints share; NULL: none is known */
	struct mt_res_peer *peers;
	uint8_t n_peers;
	bool many_peers; /* there are more workloads than MT_RES_PEERS */
	bool not_bare;	 /* some endpoint has a sidecar, or is outside of the mesh */
};

/* The workload's place in e->peers + 1; 0: it is not there. */
uint8_t mt_res_peer_find(const struct mt_res_endpoints *e, const struct mt_peer *p);
/*
 * Adds a workload that is not there, unless nothing is known about it or it is one too many. Its
 * texts must live as long as `r`. Returns its place + 1, or 0; sets r->failed if memory is short.
 */
uint8_t mt_res_peer_add(struct mt_region *r, struct mt_res_endpoints *e, const struct mt_peer *p);

/* One name of a DNS cluster; each of its addresses becomes an endpoint of the locality. */
struct mt_res_dns_name {
	const char *host;
	uint32_t locality; /* index in fixed->localities */
	uint32_t weight;
	uint16_t port;
	uint8_t health;
	uint8_t tls : 1;
	uint8_t peer : 7;
};

enum mt_res_family { MT_RES_AUTO, MT_RES_V4, MT_RES_V6, MT_RES_V4_FIRST, MT_RES_BOTH };

/* Input of a DNS cluster. */
struct mt_res_dns {
	/* the cluster's localities, with the endpoints that are given as addresses */
	struct mt_res_endpoints *fixed;
	struct mt_res_dns_name *names;
	uint32_t n_names;
	uint32_t refresh_ms; /* 0: not set */
	enum mt_res_family family;
	bool respect_ttl;
};

/* A name to match in a peer's certificate. */
struct mt_res_san {
	const char *text;
	bool prefix; /* match names that start with `text` */
};

/*
 * TLS settings. Certificates are given as names of secrets. "default" and "ROOTCA" are the node's
 * own identity; any other name is the resource with that name. Only documents can use these names:
 * "kubernetes://NAMESPACE/NAME" for a Secret, with the suffix "-cacert" for its roots;
 * "file-cert:CHAIN~KEY" and "file-root:FILE" for files; "file-root:system" for the roots of this
 * machine.
 */
struct mt_res_tls {
	struct mt_origin origin;
	const char *certificate, *trust; /* names of secrets; NULL: none */
	const char *sni;
	struct mt_res_san *sans; /* the peer's certificate must have one of these names */
	uint32_t n_sans;
	const char **alpn; /* protocols, as written */
	uint32_t n_alpn;
	uint16_t min_version, max_version; /* as in records; 0: not set */
	/* the reason why these settings cannot be applied as written; NULL: they can */
	const char *unmade;
	bool client_certificate; /* for a listener: clients must have a certificate */
	bool documents;		 /* these settings come from documents */
	/* with `documents`: namespace of the document that names files; NULL: not known */
	const char *ns;
	bool anybody; /* for a cluster without `trust`: accept any certificate */
};

struct mt_res_outlier {
	struct mt_num failures; /* consecutive failures */
	/* consecutive failures with error replies included; 0: error replies do not count */
	struct mt_num errors;
	struct mt_num interval_ms, base_ejection_ms, max_ejection_ms, max_percent;
};

/* Input of a hash balancer. */
struct mt_res_hash {
	const char *key;   /* metadata key to hash; NULL: none */
	const char *codec; /* the codec that knows the key */
	bool source;	   /* hash the client's address */
};

struct mt_res_cluster {
	struct mt_meta meta;
	enum mt_res_discovery discovery;
	enum mt_res_lb lb;
	const char *endpoints_name; /* EDS: service_name, else the cluster's; DNS: the cluster's */
	struct mt_res_endpoints *endpoints; /* STATIC; else NULL */
	struct mt_res_dns *dns;		    /* STRICT_DNS, LOGICAL_DNS; else NULL */
	uint32_t ring_min, ring_max, table_size;
	uint32_t connect_ms;				     /* 0: not set */
	uint32_t max_connections, max_pending, max_requests; /* 0: not set */
	struct mt_num max_retries;			     /* not set: no limit */
	const struct mt_retry_budget_policy *retry_budget;   /* precedes max_retries; NULL: none */
	bool locality_weighted;
	/* endpoints may reply out of order, even if the codec's default is in order */
	bool multiplexing;
	uint16_t port; /* the service's port, which clients call; 0: not set */
	/*
	 * Time after which a new endpoint has its full share (0: at once). The other warmup fields
	 * specify the increase.
	 */
	uint32_t warmup_ms;
	struct mt_res_hash *hash;	/* used if a route has none; NULL: routes only */
	struct mt_num panic_percent;	/* with fewer healthy endpoints all are used; not set: 50 */
	uint32_t warmup_aggression;	/* hundredths; 0: 100, linear */
	struct mt_res_outlier *outlier; /* NULL: none */
	struct mt_res_tls *tls;		/* NULL: plaintext */
	bool tls_by_endpoint;		/* `tls` is only for endpoints that need it */
	uint16_t warmup_least;		/* hundredths of a percent of its share at the start */
	/*
	 * Not 0: only the cluster's name is known, from routes, and no other field is set. A call
	 * that is routed here requests the cluster and waits for it at most this long (ms).
	 */
	uint32_t demand_ms;
};

struct mt_res_prefix {
	struct mt_addr addr;
	uint8_t bits; /* of the written family */
};

/* All conditions that are set must match. */
struct mt_res_match {
	uint32_t port; /* of the destination; 0: any */
	const char **server_names, **alpn;
	uint32_t n_server_names, n_alpn;
	struct mt_res_prefix *prefixes, *sources; /* of the destination; of the client */
	uint32_t n_prefixes, n_sources;
	const char *transport; /* "tls", "raw_buffer"; NULL: any */
};

/*
 * A filter chain of one of four forms: for messages (`proxy`), for opaque TCP to weighted clusters
 * (`dests`), defined by another resource (`extension`), or not served (`unserved`). A chain that is
 * not served refuses the connections that match it.
 */
struct mt_res_chain {
	struct mt_origin origin;
	const char *name; /* NULL: the chain has no name */
	struct mt_res_match match;
	struct mt_proxy_patch *proxy;
	struct mt_rule_dest *dests; /* .cluster and .weight are set */
	uint32_t n_dests;
	uint32_t idle_ms; /* 0: not set */
	/* Of tcp_proxy; those of an RPC protocol are in `proxy`. NULL: none. */
	struct mt_limit_conf *local;
	struct mt_global_conf *global;
	bool global_first;	   /* before `local` */
	struct mt_chain_logs logs; /* the same */
	struct mt_res_tls *tls;	   /* NULL: plaintext */
	const char *
		/*
		 * a name in res_extensions; `proxy` and `dests` apply until that resource has
		 * arrived
		 */
		extension;
	const char *unserved; /* the reason why the chain is not served; NULL: it is served */
};

enum mt_res_direction { MT_RES_ANY_WAY, MT_RES_INBOUND, MT_RES_OUTBOUND };

struct mt_res_address {
	struct mt_addr addr; /* zero: any local address */
	uint16_t port;
};

struct mt_res_listener {
	struct mt_meta meta;
	enum mt_res_direction direction;
	struct mt_res_address *addresses; /* the main address, then the additional ones */
	uint32_t n_addresses;
	bool bound; /* bind_to_port; false: only connections that another listener hands over */
	struct mt_res_chain *chains;
	uint32_t n_chains;
	struct mt_res_chain *fallback; /* default_filter_chain; NULL: none */
	struct mt_num detect;	       /* ms, listener_filters_timeout */
	struct mt_chain_logs logs;     /* of connections that no chain gets */
};

/* RouteConfiguration for messages: the routes that a proxy's `routes_name` refers to. */
struct mt_res_routes {
	struct mt_meta meta;
	struct mt_rule_list list;
};

/*
 * The target of a chain's `extension`. Only proxy, dests, idle_ms, logs and unserved of `chain` are
 * set.
 */
struct mt_res_extension {
	struct mt_meta meta;
	struct mt_res_chain chain;
};

/* A secret as PEM texts. */
struct mt_res_secret {
	struct mt_meta meta;
	const char *chain, *key; /* both or neither */
	const char *roots, *crl; /* NULL: none; a crl needs roots */
};

/* A control plane's table of names, by host. */
struct mt_res_name {
	const char *host; /* or "*.DOMAIN" */
	struct mt_addr *addrs;
	uint32_t n_addrs; /* at least one */
};

struct mt_res_names {
	struct mt_meta meta;
	struct mt_res_name *names;
	uint32_t n_names;
};
