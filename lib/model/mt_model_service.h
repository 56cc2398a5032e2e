/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services and their endpoints: ServiceEntry, WorkloadEntry, DestinationRule, ApplicationProtocol.
 */
#pragma once

#include "mt_model_types.h"

enum mt_location { MT_LOCATION_MESH_EXTERNAL, MT_LOCATION_MESH_INTERNAL };
enum mt_resolution {
	MT_RESOLUTION_NONE,
	/* by the name that each connection requests, so the endpoints are unknown */
	MT_RESOLUTION_DYNAMIC_DNS,
	MT_RESOLUTION_STATIC,
	MT_RESOLUTION_DNS,
	MT_RESOLUTION_DNS_ROUND_ROBIN
};

struct mt_se_port {
	struct mt_origin origin;
	struct mt_num number, target_port;
	struct mt_text name, protocol;
	struct mt_text app_protocol; /* appProtocol of Kubernetes: takes precedence over the name */
	/*
	 * The BackendTLSPolicy that requires TLS to endpoints at this port, and its settings; NULL:
	 * none.
	 */
	const struct mt_meta *tls_by;
	const struct mt_tls_settings *tls;
	bool tls_of_port; /* the policy names the port, so policies of the whole Service are ignored */
};

/* The proxy that an endpoint has of its own, as its Pod shows. */
enum mt_workload_proxy { MT_PROXY_NOT_SAID, MT_PROXY_NONE, MT_PROXY_SIDECAR, MT_PROXY_AMBIENT };

/* Which new calls a workload takes, as its source specifies. */
enum mt_fitness {
	MT_FIT,
	/*
	 * none, unless all endpoints of the service terminate; calls and connections in progress
	 * continue
	 */
	MT_TERMINATING,
	MT_UNFIT, /* none: unhealthy or not ready */
};

/* An endpoint of a service: inline, or the spec of a WorkloadEntry. */
struct mt_workload {
	struct mt_origin origin;
	struct mt_text address_text;
	struct mt_addr address; /* zero if the text is a host name */
	struct mt_labels ports; /* port name to number, as written */
	struct mt_labels labels;
	struct mt_num weight;	 /* default 1 */
	struct mt_text locality; /* "region/zone/subzone" */
	struct mt_text service_account, network;
	/* the object from which the workload was made; NULL: the object that contains it */
	const struct mt_meta *by;
	/* the Pod of this workload, from which labels and identity come; NULL: none */
	const struct mt_meta *pod;
	/*
	 * For a workload outside of the arrays of its service and of the WorkloadEntries: the
	 * service that has it inline or is its own endpoint, or the WorkloadEntry whose spec it
	 * copies.
	 */
	const struct mt_service_entry *copy_of_inline;
	const struct mt_workload_entry *copy_of_entry;
	enum mt_workload_proxy proxy;
	bool own_ports; /* the workload has only the ports in `ports` */
	/* a copy with one of the addresses to which the workload's host name resolved */
	bool looked_up;
	bool labels_unknown; /* the workload's Pod is not among the documents */
	enum mt_fitness fitness;
	uint32_t fitness_line; /* line of the status that decides; 0: none */
};

struct mt_selector {
	struct mt_origin origin;
	struct mt_labels labels;
};

enum mt_tls_mode { MT_TLS_DISABLE, MT_TLS_SIMPLE, MT_TLS_MUTUAL, MT_TLS_ISTIO_MUTUAL };

struct mt_tls_settings {
	struct mt_origin origin;
	struct mt_num mode;
	struct mt_text chain, key, roots, crl; /* files; roots "system": this machine's */
	struct mt_text credential;	       /* a Secret */
	struct mt_text sni;
	struct mt_text *sans;
	uint32_t n_sans;
	struct mt_num anybody; /* accept any certificate */
	/* the reason why these settings cannot be applied as written; NULL: they can */
	const char *unmade;
	bool roots_of_secret; /* `credential` has only roots */
};

struct mt_service_entry {
	struct mt_meta meta;
	struct mt_text *hosts;
	uint32_t n_hosts;
	struct mt_text *addresses;
	uint32_t n_addresses;
	struct mt_se_port *ports;
	uint32_t n_ports;
	struct mt_num location, resolution;
	struct mt_workload *endpoints;
	uint32_t n_endpoints;
	struct mt_selector *selector; /* NULL: none */
	struct mt_exports export_to;
	bool kubernetes;      /* made from a Service */
	struct mt_text *sans; /* subjectAltNames: names that its endpoints' certificates may have */
	uint32_t n_sans;
};

struct mt_workload_entry {
	struct mt_meta meta;
	struct mt_workload w;
};

enum mt_lb_simple {
	MT_SIMPLE_UNSPECIFIED,
	MT_SIMPLE_ROUND_ROBIN,
	MT_SIMPLE_RANDOM,
	MT_SIMPLE_LEAST_REQUEST,
	MT_SIMPLE_LEAST_CONN,
	MT_SIMPLE_PASSTHROUGH
};

struct mt_ring_policy {
	struct mt_origin origin;
	struct mt_num min; /* minimumRingSize */
};

struct mt_hash_policy {
	struct mt_origin origin;
	struct mt_text header; /* httpHeaderName: a metadata key */
	struct mt_num use_source_ip;
	bool cookie;		     /* httpCookie is written */
	struct mt_ring_policy *ring; /* ringHash; NULL: not written */
	struct mt_num ring_min;	     /* minimumRingSize */
};

/*
 * The percentage of calls from one place that goes to `where`, "region/zone/subzone". Each part may
 * be "*" or omitted.
 */
struct mt_locality_to {
	struct mt_text where;
	struct mt_num percent;
};

struct mt_locality_distribute {
	struct mt_origin origin;
	struct mt_text from;
	struct mt_locality_to *to;
	uint32_t n_to;
};

/* Failover between regions. */
struct mt_locality_failover {
	struct mt_origin origin;
	struct mt_text from, to;
};

/* localityLbSetting */
struct mt_locality_policy {
	struct mt_origin origin;
	struct mt_num enabled; /* not set: enabled */
	struct mt_locality_distribute *distribute;
	uint32_t n_distribute;
	struct mt_locality_failover *failover;
	uint32_t n_failover;
	struct mt_text *labels; /* failoverPriority: "NAME", "NAME=VALUE" */
	uint32_t n_labels;
};

struct mt_warmup_policy {
	struct mt_origin origin;
	struct mt_num duration;
	struct mt_num least, aggression; /* a percentage and a number, in hundredths */
};

struct mt_lb_policy {
	struct mt_origin origin;
	struct mt_num simple; /* enum mt_lb_simple */
	struct mt_hash_policy *hash;
	struct mt_locality_policy *locality; /* NULL: not set */
	struct mt_warmup_policy *warmup;     /* NULL: not set */
	struct mt_num warmup_ms;	     /* the older form of `warmup` */
};

struct mt_tcp_pool {
	struct mt_origin origin;
	struct mt_num max_connections, connect_timeout;
};

struct mt_http_pool {
	struct mt_origin origin;
	struct mt_num max_requests; /* http2MaxRequests: maximum outstanding requests */
	struct mt_num max_pending;  /* http1MaxPendingRequests: maximum waiting for a connection */
	struct mt_num max_retries;  /* not set: no limit */
};

struct mt_conn_pool {
	struct mt_origin origin;
	struct mt_tcp_pool tcp;
	struct mt_http_pool http;
};

/* outlierDetection. A written 0 turns the limit off, unlike a field that is not written. */
struct mt_outlier_policy {
	struct mt_origin origin;
	struct mt_num errors;	      /* consecutive5xxErrors */
	struct mt_num gateway, local; /* consecutiveGatewayErrors, consecutiveLocalOriginFailures */
	struct mt_num base_ejection;
	struct mt_num most, least; /* maxEjectionPercent, minHealthPercent */
};

/* Limit of concurrent retries, relative to outstanding calls. */
struct mt_retry_budget_policy {
	struct mt_origin origin;
	struct mt_num percent; /* hundredths; not set: the default */
	struct mt_num least;   /* not set: the default */
};

struct mt_traffic_policy {
	struct mt_origin origin;
	struct mt_lb_policy *lb;
	struct mt_conn_pool *pool;
	struct mt_tls_settings *tls;
	struct mt_outlier_policy *outlier;
	struct mt_retry_budget_policy *retry_budget;
	uint32_t proxy_protocol;      /* line of `proxyProtocol`; 0: not written */
	struct mt_port_policy *ports; /* replace all the above, each for one port of the service */
	uint32_t n_ports;
};

struct mt_port_number {
	struct mt_origin origin;
	struct mt_num v;
};

struct mt_port_policy {
	struct mt_origin origin;
	struct mt_port_number port;
	struct mt_traffic_policy policy; /* without ports */
};

struct mt_subset {
	struct mt_origin origin;
	struct mt_text name;
	struct mt_labels labels;
	struct mt_traffic_policy *policy;
	/*
	 * In merged rules: the DestinationRule from which the subset comes, and the subset's index
	 * there. `by` NULL: the rule's own.
	 */
	const struct mt_meta *by;
	uint32_t at;
};

struct mt_destination_rule {
	struct mt_meta meta;
	struct mt_text host;
	struct mt_traffic_policy *policy;
	struct mt_subset *subsets;
	uint32_t n_subsets;
	struct mt_exports export_to;
	struct mt_selector *selector; /* labels of clients; NULL: all */
};

struct mt_ynode;

/* A protocol as data (kind Codec). lib/codecfile reads its spec and compiles it. */
struct mt_codec_document {
	struct mt_meta meta;
	const struct mt_ynode *spec;
	bool installed; /* of MT_SOURCE_CODECS; a document of the Node's spec.codecs precedes it */
};

struct mt_app_protocol {
	struct mt_meta meta;
	struct mt_text protocol, codec;
	struct mt_num multiplexing;
};
