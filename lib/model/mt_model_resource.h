/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources: clusters, their endpoints, listeners, routes and secrets (Envoy API v3, in the words of this model). Discovery services
 * name them; lib/conf puts documents into the same words, so that what compiles them does not know who said them. They refer to
 * each other by name and stand beside each other: a name means the same whoever gave it. `meta.name` is the resource's name,
 * `meta.origin.file` the source's ("xds:NAME"; NULL: documents), `meta.serial` another one with each change of the resource.
 */
#pragma once

#include "mt_model_route.h"
#include "mt_model_service.h"

enum mt_res_discovery {
	MT_RES_STATIC, /* endpoints are the cluster's own */
	MT_RES_EDS,    /* by name, among the model's mesh_endpoints */
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

/* UNKNOWN of the wire is healthy, as everywhere in the field. */
enum mt_res_health { MT_RES_HEALTHY, MT_RES_DEGRADED, MT_RES_DRAINING, MT_RES_UNHEALTHY };

struct mt_res_endpoint {
	struct mt_addr addr;
	uint32_t weight; /* 1 and up, within its locality */
	uint16_t port;
	uint8_t health; /* enum mt_res_health */
	bool tls;	/* of a cluster with tls_by_endpoint: this one asks for it */
};

struct mt_res_locality {
	const char *region, *zone, *subzone; /* NULL: not said */
	uint32_t weight;   /* 0: not said; counts for locality_weighted clusters */
	uint32_t priority; /* 0 is used first */
	struct mt_res_endpoint *eps;
	uint32_t n_eps;
};

/* ClusterLoadAssignment; of a DNS cluster: what its names led to, under the cluster's name. */
struct mt_res_endpoints {
	struct mt_meta meta;
	struct mt_res_locality *localities;
	uint32_t n_localities, n_eps;
	uint32_t overprovisioning; /* percent; 140 when not said */
	const char *ns; /* of the workloads, as Istio's metadata say; NULL: not said, or several */
};

/* One name of a DNS cluster; each of its addresses becomes an endpoint of the locality. */
struct mt_res_dns_name {
	const char *host;
	uint32_t locality; /* place in fixed->localities */
	uint32_t weight;
	uint16_t port;
	uint8_t health;
	bool tls;
};

enum mt_res_family { MT_RES_AUTO, MT_RES_V4, MT_RES_V6, MT_RES_V4_FIRST, MT_RES_BOTH };

/* What a DNS cluster is made of. */
struct mt_res_dns {
	struct mt_res_endpoints *fixed; /* its localities, with the endpoints that were addresses */
	struct mt_res_dns_name *names;
	uint32_t n_names;
	uint32_t refresh_ms; /* 0: not said */
	enum mt_res_family family;
	bool respect_ttl;
};

/* A name that a peer's certificate may have. */
struct mt_res_san {
	const char *text;
	bool prefix; /* it begins so */
};

/*
 * What TLS is spoken with. Certificates are secrets by name: "default" and "ROOTCA" are the node's own identity, others the resources
 * of that name. Documents say "kubernetes://NAMESPACE/NAME" for a Secret, with "-cacert" behind it for its roots, "file-cert:CHAIN~KEY"
 * and "file-root:FILE" for files, and "file-root:system" for the roots of this machine; nobody else can name those.
 */
struct mt_res_tls {
	struct mt_origin origin;
	const char *certificate, *trust; /* names of secrets; NULL: none */
	const char *sni;
	struct mt_res_san *sans; /* names of which the peer must have one */
	uint32_t n_sans;
	const char **alpn; /* protocols, as they are said */
	uint32_t n_alpn;
	uint16_t min_version, max_version; /* as records have them; 0: not said */
	const char *unmade;		   /* why it cannot be spoken as it is said; NULL: it can */
	bool client_certificate;	   /* of a listener: required */
	bool documents;			   /* documents say it */
	bool anybody; /* of a cluster without `trust`: any certificate will do */
};

struct mt_res_outlier {
	struct mt_num failures; /* in a row */
	struct mt_num errors;	/* and error replies, in a row; 0: those do not count */
	struct mt_num interval_ms, base_ejection_ms, max_ejection_ms, max_percent;
};

/* What a hash balancer takes. */
struct mt_res_hash {
	const char *key;   /* the value of this one; NULL: none */
	const char *codec; /* which knows it */
	bool source;	   /* the client's address */
};

struct mt_res_cluster {
	struct mt_meta meta;
	enum mt_res_discovery discovery;
	enum mt_res_lb lb;
	const char *endpoints_name; /* EDS: service_name, else the cluster's; DNS: the cluster's */
	struct mt_res_endpoints *endpoints; /* STATIC; else NULL */
	struct mt_res_dns *dns;		    /* STRICT_DNS, LOGICAL_DNS; else NULL */
	uint32_t ring_min, ring_max, table_size;
	uint32_t connect_ms;						  /* 0: not said */
	uint32_t max_connections, max_pending, max_requests, max_retries; /* 0: not said */
	bool locality_weighted;
	bool multiplexing; /* its instances answer out of order, whatever the codec's default is */
	uint16_t port;	   /* that clients call; 0: not said */
	/* A new endpoint has all of its share after so long (0: at once); see below for how. */
	uint32_t warmup_ms;
	struct mt_res_hash *hash;	/* where a route says nothing; NULL: routes only */
	struct mt_num panic_percent;	/* healthy below this: all are used; not set: 50 */
	uint32_t warmup_aggression;	/* hundredths; 0: 100, in proportion */
	struct mt_res_outlier *outlier; /* NULL: none */
	struct mt_res_tls *tls;		/* NULL: clear text */
	bool tls_by_endpoint;		/* `tls` is for endpoints that ask for it */
	uint16_t warmup_least;		/* hundredths of a percent of its share to begin with */
	/*
	 * Not 0: all that is known is that routes name it; a call that leads there asks for it and waits so long at
	 * most (ms). Nothing else is said then.
	 */
	uint32_t demand_ms;
};

struct mt_res_prefix {
	struct mt_addr addr;
	uint8_t bits; /* of the written family */
};

/* All that is said must hold. */
struct mt_res_match {
	uint32_t port; /* of the destination; 0: any */
	const char **server_names, **alpn;
	uint32_t n_server_names, n_alpn;
	struct mt_res_prefix *prefixes, *sources; /* of the destination, of the client */
	uint32_t n_prefixes, n_sources;
	const char *transport; /* "tls", "raw_buffer"; NULL: any */
};

/*
 * One filter chain. Of messages (`proxy`), of bytes to weighted clusters (`dests`), by the extension of another
 * resource, or of something that is not served: a connection that it takes is refused.
 */
struct mt_res_chain {
	struct mt_origin origin;
	const char *name; /* NULL: it has none */
	struct mt_res_match match;
	struct mt_proxy_patch *proxy;
	struct mt_rule_dest *dests; /* .cluster and .weight are set */
	uint32_t n_dests;
	uint32_t idle_ms;	/* 0: not said */
	struct mt_res_tls *tls; /* NULL: clear text */
	const char *
		extension; /* what res_extensions says under this name; proxy and dests: until it is there */
	const char *unserved; /* why not, in words; NULL: served */
};

enum mt_res_direction { MT_RES_ANY_WAY, MT_RES_INBOUND, MT_RES_OUTBOUND };

struct mt_res_address {
	struct mt_addr addr; /* zero: any local address */
	uint16_t port;
};

struct mt_res_listener {
	struct mt_meta meta;
	enum mt_res_direction direction;
	struct mt_res_address *addresses; /* the first one, and the additional ones */
	uint32_t n_addresses;
	bool bound; /* false: only connections that another listener hands over (bind_to_port) */
	struct mt_res_chain *chains;
	uint32_t n_chains;
	struct mt_res_chain *fallback; /* default_filter_chain; NULL: none */
};

/* RouteConfiguration of messages: what `routes_name` of a proxy means. */
struct mt_res_routes {
	struct mt_meta meta;
	struct mt_rule_list list;
};

/* What a chain's `extension` names: proxy, dests, idle_ms and unserved of its chain are set. */
struct mt_res_extension {
	struct mt_meta meta;
	struct mt_res_chain chain;
};

/* PEM texts. */
struct mt_res_secret {
	struct mt_meta meta;
	const char *chain, *key; /* both or neither */
	const char *roots, *crl; /* NULL: none; crl: with roots only */
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
