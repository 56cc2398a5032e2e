/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routing of messages: VirtualService, MetaRouter, Gateway and the MetaProtocol patch of
 * EnvoyFilter.
 */
#pragma once

#include "mt_model_types.h"

enum mt_cond_op {
	MT_COND_EXACT,
	MT_COND_PREFIX,
	MT_COND_SUFFIX,
	MT_COND_CONTAINS,
	MT_COND_REGEX,
	MT_COND_PRESENT,
	MT_COND_RANGE
};

/* One condition on one metadata key. */
struct mt_cond {
	struct mt_origin origin;
	struct mt_text key, value;
	enum mt_cond_op op;
	int64_t lo, hi; /* RANGE: [lo, hi) */
	bool invert, ignore_case;
	bool missing_as_empty; /* a missing key counts as "" */
};

/* A match needs all conditions; without conditions everything matches. */
struct mt_rule_match {
	struct mt_origin origin;
	struct mt_cond *conds;
	uint32_t n_conds;
	struct mt_num port;	  /* tcp: the listener's port */
	struct mt_text *gateways; /* the match applies only to these gateways */
	uint32_t n_gateways;
	struct mt_text *sni; /* tls: server names that clients request, also as "*.x"; "*": any */
	uint32_t n_sni;
	/* labels that clients must have; only for clients at the services' own addresses */
	struct mt_labels source_labels;
	struct mt_text source_ns;   /* namespace of those clients */
	struct mt_text unsupported; /* a condition that Meltemi cannot test */
};

struct mt_dest_port {
	struct mt_origin origin;
	struct mt_num number;
};

struct mt_dest {
	struct mt_origin origin;
	struct mt_text host, subset;
	struct mt_dest_port port;
	struct mt_num weight_inside; /* written inside `destination` */
	bool refused;		     /* must not be called; the mistake is already reported */
};

/* One weighted destination of a rule. */
struct mt_rule_dest {
	struct mt_origin origin;
	struct mt_dest dest;
	struct mt_num weight;	/* written inside or next to `destination`; not set: not written */
	struct mt_text cluster; /* the cluster's name, which only an EnvoyFilter specifies */
};

struct mt_rule_mutation {
	struct mt_origin origin;
	struct mt_text key, value; /* value.s NULL: remove */
};

struct mt_rule_percent {
	struct mt_origin origin;
	struct mt_num ppm; /* `value`, in millionths of all messages */
};

/* One of a list of mirrors. */
struct mt_rule_mirror {
	struct mt_origin origin;
	struct mt_rule_dest to;
	struct mt_rule_percent *percent; /* NULL: all */
};

/* Reasons for another attempt; bits of mt_rule_retries.on. */
enum mt_rule_retry {
	MT_RULE_RETRY_UNSENT = 1, /* connect-failure */
	MT_RULE_RETRY_UNREAD = 2, /* refused-stream */
	MT_RULE_RETRY_LOST = 4,	  /* reset */
	/* Classes of replies that are errors. */
	MT_RULE_RETRY_UNAVAILABLE = 8,
	MT_RULE_RETRY_OVERLOAD = 16,
	MT_RULE_RETRY_DEADLINE = 32,
	MT_RULE_RETRY_SERVER_ERROR = 64,
};

/*
 * Adds to *on the reasons that a word of Envoy's retry_on, or of Istio's retryOn, stands for: none
 * if replies of RPC protocols never have that status. False: no such word.
 */
bool mt_rule_retry_on(const char *word, size_t len, uint32_t *on);

struct mt_rule_retries {
	struct mt_origin origin;
	struct mt_num attempts;	   /* attempts after the first; 0: none */
	struct mt_num per_try;	   /* ms; not set: the call's time-out */
	struct mt_num backoff;	   /* ms; not set: the default */
	struct mt_num backoff_max; /* ms; not set: ten times `backoff` */
	struct mt_num other_hosts;
	uint32_t on;	 /* enum mt_rule_retry */
	bool on_written; /* false: `on` is the default */
};

/* Another VirtualService, whose rules replace this rule. */
struct mt_rule_delegate {
	struct mt_origin origin;
	struct mt_text name, ns; /* ns not written: that of the document */
};

struct mt_rule {
	struct mt_origin origin;
	struct mt_text name;
	struct mt_rule_match *matches; /* one must match; none: everything matches */
	uint32_t n_matches;
	struct mt_rule_dest *dests;
	uint32_t n_dests;
	struct mt_dest *mirror;
	struct mt_rule_percent *mirror_percent;
	struct mt_rule_mirror *mirrors; /* written instead of `mirror` */
	uint32_t n_mirrors;
	struct mt_rule_mutation *req_mut, *rsp_mut;
	uint32_t n_req_mut, n_rsp_mut;
	struct mt_num timeout;
	struct mt_rule_retries *retries; /* NULL: not written */
	/*
	 * Input of a hash balancer: values of these keys, then the client's address. Without
	 * either, the cluster's input is used.
	 */
	struct mt_text *hash_keys;
	uint32_t n_hash_keys;
	bool hash_source;
	struct mt_text unsupported;	   /* an action that Meltemi does not support */
	struct mt_rule_delegate *delegate; /* NULL: none */
	/*
	 * In a merged list: the object from which the rule comes, and the rule's index there. `by`
	 * NULL: the rule is the document's own.
	 */
	const struct mt_meta *by;
	uint32_t at;
	const char *list; /* name of the rule's list in that object; NULL: as this list */
};

/* A named list of rules: "http", "tcp", "awesomeRPC"; "routes" in a MetaRouter. */
struct mt_rule_list {
	struct mt_origin origin;
	const char *name;
	struct mt_rule *rules;
	uint32_t n_rules;
	uint64_t
		/*
		 * for a merged list: a hash of its parts' serials; 0: the list is the document's
		 * own
		 */
		made_of;
	/* For a list that was joined with delegates: the list in the document. NULL: this list. */
	const struct mt_rule_list *written;
};

struct mt_virtual_service {
	struct mt_meta meta;
	struct mt_text *hosts; /* none: the document has rules to which others delegate */
	uint32_t n_hosts;
	struct mt_text *gateways;
	uint32_t n_gateways;
	struct mt_rule_list *lists;
	uint32_t n_lists;
	struct mt_exports export_to;
	bool gateway_api; /* made from a route of the Gateway API */
	/* for a merged copy: the objects whose rules the copy has */
	const struct mt_meta **delegates;
	uint32_t n_delegates;
};

struct mt_bucket_conf {
	struct mt_origin origin;
	struct mt_num max_tokens, tokens_per_fill, fill_ms;
};

struct mt_limit_cond {
	struct mt_origin origin;
	struct mt_rule_match *match;
	struct mt_bucket_conf *bucket;
};

struct mt_limit_conf {
	struct mt_origin origin;
	struct mt_bucket_conf *bucket; /* NULL: only the conditions limit */
	struct mt_limit_cond *conds;
	uint32_t n_conds;
	/*
	 * Of opaque TCP over xDS: `label` is the bucket's name among those of the service, or of
	 * `shared` if it is not NULL. NULL: it limits calls.
	 */
	const char *label, *shared;
};

/* Begins mt_limit_conf.shared. */
#define MT_LIMIT_SHARED "share_key:"

enum mt_global_value {
	MT_GLOBAL_OF_METADATA, /* `from` is the key */
	MT_GLOBAL_OF_METHOD,   /* with its service, as Envoy has it */
	MT_GLOBAL_OF_ADDRESS,  /* the client's */
	MT_GLOBAL_OF_TEXT,     /* `from` itself */
};

struct mt_global_entry {
	enum mt_global_value value;
	struct mt_text key, from;
	struct mt_rule_match *match; /* NULL: all calls have it; else those that match, or */
	bool unless;		     /* those that do not */
};

struct mt_global_descriptor {
	struct mt_origin origin;
	struct mt_text property, key;	 /* its one entry, or */
	struct mt_global_entry *entries; /* of a route's: those that a call lacks drop it */
	uint32_t n_entries;
};

struct mt_global_route {
	struct mt_global_descriptor *descriptors; /* none: its calls are not limited */
	uint32_t n_descriptors;
};

/* globalRateLimit: a service counts the calls of several nodes. */
struct mt_global_conf {
	struct mt_origin origin;
	struct mt_rule_match *match; /* NULL: all calls */
	struct mt_text domain;
	struct mt_num timeout, deny_on_fail;
	struct mt_text service; /* an Istio cluster name */
	/* of that; NULL: a discovery service's limit, and `service` is the name of a cluster */
	struct mt_text host;
	struct mt_num port;			  /* the same */
	struct mt_global_descriptor *descriptors; /* at least one, or `routes` */
	uint32_t n_descriptors;
	/* For opaque TCP: the descriptors have entries of texts and the client's address. */
	bool of_streams;
	const struct mt_rule_list *rules; /* of Envoy's filter for Thrift; NULL: none */
	struct mt_global_route *routes;	  /* of `rules`, by their places */
	uint32_t n_routes;
	uint32_t stage; /* of the filter: others' descriptors are not its own */
};

struct mt_meta_router {
	struct mt_meta meta;
	struct mt_text *hosts;
	uint32_t n_hosts;
	struct mt_text *gateways;
	uint32_t n_gateways;
	struct mt_rule_list routes;
	struct mt_limit_conf *limit;
	struct mt_global_conf *global;
	struct mt_exports export_to;
};

struct mt_gateway_port {
	struct mt_origin origin;
	struct mt_num number;
	struct mt_text name, protocol;
};

enum mt_gateway_tls_mode {
	MT_GATEWAY_PASSTHROUGH,
	MT_GATEWAY_SIMPLE,
	MT_GATEWAY_MUTUAL,
	MT_GATEWAY_AUTO_PASSTHROUGH,
	MT_GATEWAY_ISTIO_MUTUAL,
	MT_GATEWAY_OPTIONAL_MUTUAL
};

enum mt_gateway_tls_version {
	MT_GATEWAY_TLS_AUTO,
	MT_GATEWAY_TLS_1_0,
	MT_GATEWAY_TLS_1_1,
	MT_GATEWAY_TLS_1_2,
	MT_GATEWAY_TLS_1_3
};

struct mt_gateway_tls {
	struct mt_origin origin;
	struct mt_num mode;			     /* enum mt_gateway_tls_mode */
	struct mt_text credential, root_credential;  /* Secrets; `root_credential` has only roots */
	const char *credential_ns;		     /* NULL: the gateway's */
	struct mt_text certificate, key, roots, crl; /* files */
	struct mt_num redirect;
	struct mt_num min_version, max_version; /* enum mt_gateway_tls_version */
	struct mt_text *credentials, *ciphers, *sans, *spki, *hashes;
	uint32_t n_credentials, n_ciphers, n_sans, n_spki, n_hashes;
};

struct mt_gateway_server {
	struct mt_origin origin;
	struct mt_gateway_tls *tls; /* NULL: plaintext */
	struct mt_gateway_port port;
	struct mt_text *hosts;
	uint32_t n_hosts;
	struct mt_text bind;
	struct mt_addr bind_addr; /* zero: any local address */
};

struct mt_gateway {
	struct mt_meta meta;
	struct mt_gateway_server *servers;
	uint32_t n_servers;
	struct mt_labels selector; /* labels of nodes; none: all nodes */
	/*
	 * For a gateway made from one listener of a Gateway API's Gateway: name and class of the
	 * Gateway, and index of the listener. NULL: a gateway of Istio.
	 */
	const char *gateway_api, *gateway_class;
	uint32_t listener;
};

/* One access_log of a proxy, also of tcp_proxy: a file, stdout or stderr. */
struct mt_chain_log {
	struct mt_text path, format; /* format: not set: Envoy's default */
	bool json, omit_empty;
	const char *filter; /* an expression in CEL; NULL: none */
	uint32_t skips;	    /* of a million calls that pass it, those without a line */
	bool own_draw;	    /* ... drawn for this log, not for all logs at once */
	const char *field;  /* "filter_chains[0].filters[0].typed_config.access_log[0]" */
};

struct mt_chain_logs {
	struct mt_chain_log *v; /* NULL: there cannot be any, the MeshConfig's are used */
	uint32_t n;
};

/*
 * A MetaProtocolProxy, which replaces the TCP proxy of one listener, or is part of a listener's own
 * chain.
 */
struct mt_proxy_patch {
	struct mt_origin origin;
	struct mt_text listener; /* "<vip>_<port>" */
	struct mt_addr addr;
	struct mt_num port;
	struct mt_text protocol; /* applicationProtocol or protocol.name */
	struct mt_text codec;
	struct mt_num multiplexing;
	struct mt_rule_list routes; /* none: from MetaRouter or VirtualService */
	struct mt_text routes_name; /* routes of this name, from a discovery service */
	struct mt_limit_conf *limit;
	struct mt_global_conf *global; /* of a discovery service; NULL: none */
	bool global_first;	       /* before `limit` */
	struct mt_num idle_ms;
	/* Of a discovery service: percent * 100 of calls that get a trace; not set: none is read. */
	struct mt_num traced;
	struct mt_chain_logs logs;
};

struct mt_envoy_filter {
	struct mt_meta meta;
	struct mt_proxy_patch *patches; /* the supported patches; n_written counts all */
	uint32_t n_patches, n_written;
	struct mt_proxy_patch
		/*
		 * patches that replace the TCP proxy in front of a server; `port` is the server's
		 */
		*inbound;
	uint32_t n_inbound;
	struct mt_labels selector; /* labels of workloads; none: all */
	struct mt_policy_target
		*targets; /* only proxies of these; either this or `selector` may be written */
	uint32_t n_targets;
};
