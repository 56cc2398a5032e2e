/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources: clusters, their endpoints, listeners, routes and secrets (Envoy API v3, in this
 * model's terms). They come from discovery services, or lib/conf makes them of documents, so that
 * the compiler does not depend on the source. They refer to each other by name, and a name means
 * the same whatever its source is. `meta.name` is the resource's name, `meta.origin.file` the
 * source's ("xds:NAME"; NULL: documents). `meta.serial` is different after each change of the
 * resource.
 */
#pragma once

#include "mt_model_route.h"
#include "mt_model_service.h"

enum mt_res_discovery {
	MT_RES_STATIC, /* the cluster contains its endpoints */
	MT_RES_EDS,    /* by name, among the model's res_endpoints */
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

/* UNKNOWN of the protocol counts as healthy, as in other proxies. */
enum mt_res_health { MT_RES_HEALTHY, MT_RES_DEGRADED, MT_RES_DRAINING, MT_RES_UNHEALTHY };

struct mt_res_endpoint {
	struct mt_addr addr;
	uint32_t weight; /* 1 and up, within its locality */
	uint16_t port;
	uint8_t health : 4; /* enum mt_res_health */
	uint8_t drain : 4;  /* enum mt_ep_drain, of a document; it is kept, with a share of 0 */
	bool tls;	    /* of a cluster with tls_by_endpoint: this endpoint needs TLS */
};

struct mt_res_locality {
	const char *region, *zone, *subzone; /* NULL: not set */
	uint32_t weight;		     /* 0: not set; used by locality_weighted clusters */
	uint32_t priority;		     /* 0 is used first */
	struct mt_res_endpoint *eps;
	uint32_t n_eps;
};

/*
 * ClusterLoadAssignment. For a DNS cluster: the addresses of its names, under the cluster's name.
 */
struct mt_res_endpoints {
	struct mt_meta meta;
	struct mt_res_locality *localities;
	uint32_t n_localities, n_eps;
	uint32_t overprovisioning; /* percent; 140 if not set */
	const char *ns; /* of the workloads, by Istio's metadata; NULL: not set, or several */
};

/* One name of a DNS cluster; each of its addresses becomes an endpoint of the locality. */
struct mt_res_dns_name {
	const char *host;
	uint32_t locality; /* index in fixed->localities */
	uint32_t weight;
	uint16_t port;
	uint8_t health;
	bool tls;
};

enum mt_res_family { MT_RES_AUTO, MT_RES_V4, MT_RES_V6, MT_RES_V4_FIRST, MT_RES_BOTH };

/* Input of a DNS cluster. */
struct mt_res_dns {
	struct mt_res_endpoints *fixed; /* its localities, with the endpoints given as addresses */
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
 * TLS settings. Certificates are names of secrets: "default" and "ROOTCA" are the node's own
 * identity, others the resources of that name. Only documents can use these names:
 * "kubernetes://NAMESPACE/NAME" for a Secret, with the suffix "-cacert" for its roots;
 * "file-cert:CHAIN~KEY" and "file-root:FILE" for files; "file-root:system" for the roots of this
 * machine.
 */
struct mt_res_tls {
	struct mt_origin origin;
	const char *certificate, *trust; /* names of secrets; NULL: none */
	const char *sni;
	struct mt_res_san *sans; /* the peer must have one of these names */
	uint32_t n_sans;
	const char **alpn; /* protocols, as written */
	uint32_t n_alpn;
	uint16_t min_version, max_version; /* as in records; 0: not set */
	const char *unmade;		   /* why it cannot be applied as written; NULL: it can */
	bool client_certificate;	   /* of a listener: required */
	bool documents;			   /* it comes from documents */
	const char *ns; /* `documents`: of the one that names files; NULL: not known */
	bool anybody;	/* of a cluster without `trust`: accept any certificate */
};

struct mt_res_outlier {
	struct mt_num failures; /* in a row */
	struct mt_num errors;	/* with error replies, in a row; 0: those do not count */
	struct mt_num interval_ms, base_ejection_ms, max_ejection_ms, max_percent;
};

/* Input of a hash balancer. */
struct mt_res_hash {
	const char *key;   /* the value of this key; NULL: none */
	const char *codec; /* the codec that knows the key */
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
	uint32_t connect_ms;						  /* 0: not set */
	uint32_t max_connections, max_pending, max_requests, max_retries; /* 0: not set */
	bool locality_weighted;
	bool multiplexing; /* its endpoints reply out of order, whatever the codec's default is */
	uint16_t port;	   /* that clients call; 0: not set */
	/*
	 * Time after which a new endpoint has all of its share (0: at once); the other warmup
	 * fields specify how.
	 */
	uint32_t warmup_ms;
	struct mt_res_hash *hash;	/* used if a route has none; NULL: routes only */
	struct mt_num panic_percent;	/* if fewer are healthy, all are used; not set: 50 */
	uint32_t warmup_aggression;	/* hundredths; 0: 100, linear */
	struct mt_res_outlier *outlier; /* NULL: none */
	struct mt_res_tls *tls;		/* NULL: plaintext */
	bool tls_by_endpoint;		/* `tls` is only for endpoints that need it */
	uint16_t warmup_least;		/* hundredths of a percent of its share at the start */
	/*
	 * Not 0: only the name is known, from routes. A call routed here requests the cluster and
	 * waits at most so long (ms). No other field is set then.
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
 * A filter chain: for messages (`proxy`), for opaque TCP to weighted clusters (`dests`), by the
 * extension of another resource, or one that is not served: a connection that it accepts is
 * refused.
 */
struct mt_res_chain {
	struct mt_origin origin;
	const char *name; /* NULL: it has none */
	struct mt_res_match match;
	struct mt_proxy_patch *proxy;
	struct mt_rule_dest *dests; /* .cluster and .weight are set */
	uint32_t n_dests;
	uint32_t idle_ms;	/* 0: not set */
	struct mt_res_tls *tls; /* NULL: plaintext */
	const char *
		extension; /* the name in res_extensions; proxy, dests are used until it is there */
	const char *unserved; /* the reason; NULL: served */
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
	struct mt_num detect;	       /* ms, listener_filters_timeout */
};

/* RouteConfiguration for messages: the routes that a proxy's `routes_name` refers to. */
struct mt_res_routes {
	struct mt_meta meta;
	struct mt_rule_list list;
};

/* The target of a chain's `extension`: proxy, dests, idle_ms and unserved of its chain are set. */
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
