/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Access policies, as they are written: AuthorizationPolicy, PeerAuthentication,
 * RequestAuthentication (security.istio.io), DubboAuthorizationPolicy (dubbo.aeraki.io).
 */
#pragma once

#include "mt_model_types.h"

struct mt_texts {
	struct mt_text *v;
	uint32_t n;
};

/*
 * Labels that select workloads. A selector that is not written (NULL) or has no labels selects all.
 */
struct mt_policy_selector {
	struct mt_origin origin;
	struct mt_labels labels;
};

struct mt_policy_target {
	struct mt_origin origin;
	struct mt_text group, kind, name, ns;
};

/* Selection of a policy: either a selector or targets may be written. */
struct mt_policy_scope {
	struct mt_policy_selector *selector;
	struct mt_policy_target *target; /* targetRef, the older form */
	struct mt_policy_target *targets;
	uint32_t n_targets;
};

/* A source matches if each written field matches; a field matches by any one of its values. */
struct mt_policy_source {
	struct mt_origin origin;
	struct mt_texts principals, not_principals;
	struct mt_texts request_principals, not_request_principals;
	struct mt_texts namespaces, not_namespaces;
	struct mt_texts service_accounts, not_service_accounts;
	struct mt_texts trust_domains, not_trust_domains;
	struct mt_texts ip_blocks, not_ip_blocks;
	struct mt_texts remote_ip_blocks, not_remote_ip_blocks;
};

struct mt_policy_operation {
	struct mt_origin origin;
	struct mt_texts hosts, not_hosts;
	struct mt_texts ports, not_ports;
	struct mt_texts methods, not_methods;
	struct mt_texts paths, not_paths;
	struct mt_texts interfaces, not_interfaces; /* only in Aeraki's policies */
};

/*
 * A condition. One with an unknown key is kept, because it cannot be evaluated and so fails closed.
 */
struct mt_policy_condition {
	struct mt_origin origin;
	struct mt_text key;
	struct mt_texts values, not_values;
};

/* NULL: no condition. */
struct mt_policy_from {
	struct mt_origin origin;
	struct mt_policy_source *source;
};

struct mt_policy_to {
	struct mt_origin origin;
	struct mt_policy_operation *operation;
};

/*
 * A rule matches if one of `from`, one of `to` and all of `when` match. A list that is not written
 * matches everything.
 */
struct mt_policy_rule {
	struct mt_origin origin;
	struct mt_policy_from *from;
	uint32_t n_from;
	struct mt_policy_to *to;
	uint32_t n_to;
	struct mt_policy_condition *when;
	uint32_t n_when;
};

enum mt_policy_action {
	MT_POLICY_ALLOW,
	MT_POLICY_DENY,
	MT_POLICY_AUDIT,
	MT_POLICY_CUSTOM,
};

struct mt_policy_provider {
	struct mt_origin origin;
	struct mt_text name;
};

struct mt_authorization_policy {
	struct mt_meta meta;
	struct mt_policy_scope scope;
	struct mt_num action; /* enum mt_policy_action */
	struct mt_policy_provider provider;
	struct mt_policy_rule *rules;
	uint32_t n_rules;
	bool dubbo; /* Aeraki's policy, which applies to Dubbo in addition to Istio's policies */
};

enum mt_mtls_mode { MT_MTLS_UNSET, MT_MTLS_DISABLE, MT_MTLS_PERMISSIVE, MT_MTLS_STRICT };

struct mt_mtls {
	struct mt_origin origin;
	struct mt_num mode; /* enum mt_mtls_mode */
};

struct mt_port_mtls {
	struct mt_mtls mtls; /* first */
	uint16_t port;	     /* port of the workload */
};

struct mt_peer_authentication {
	struct mt_meta meta;
	struct mt_policy_scope scope; /* no targets */
	struct mt_mtls mtls;
	struct mt_port_mtls *ports;
	uint32_t n_ports;
};

struct mt_jwt_header {
	struct mt_origin origin;
	struct mt_text name, prefix;
};

/* A claim that is sent to servers as metadata. */
struct mt_jwt_output {
	struct mt_origin origin;
	struct mt_text header, claim; /* "a.b": b of a */
};

struct mt_jwt_rule {
	struct mt_origin origin;
	struct mt_text issuer;
	struct mt_texts audiences;
	struct mt_text jwks, jwks_uri; /* neither: taken from the issuer's discovery document */
	struct mt_num timeout;
	struct mt_jwt_header *headers;
	uint32_t n_headers;
	/* places that calls do not have, so no token is found there */
	struct mt_texts params, cookies;
	struct mt_num forward;
	struct mt_text payload_to;
	struct mt_jwt_output *outputs;
	uint32_t n_outputs;
	struct mt_texts spaced;
};

struct mt_request_authentication {
	struct mt_meta meta;
	struct mt_policy_scope scope;
	struct mt_jwt_rule *rules;
	uint32_t n_rules;
};

struct mt_telemetry_provider {
	struct mt_origin origin;
	struct mt_text name;
};

struct mt_telemetry_match {
	struct mt_origin origin;
	struct mt_num mode; /* 0: CLIENT_AND_SERVER, 1: CLIENT, 2: SERVER */
};

struct mt_telemetry_filter {
	struct mt_origin origin;
	struct mt_text expression; /* CEL */
};

/* A section of Telemetry's accessLogging. */
struct mt_telemetry_log {
	struct mt_origin origin;
	struct mt_telemetry_match match;
	struct mt_telemetry_provider *providers;
	uint32_t n_providers;
	struct mt_num disabled;
	struct mt_telemetry_filter filter;
};

/* A section of Telemetry's tracing. */
struct mt_telemetry_trace {
	struct mt_origin origin;
	struct mt_telemetry_match match;
	struct mt_telemetry_provider *providers; /* only the first one counts */
	uint32_t n_providers;
	struct mt_num sampling; /* percent * 100 */
	struct mt_num no_spans, no_context, istio_tags;
	struct mt_custom_tags tags;
};

struct mt_telemetry_metric_match {
	struct mt_origin origin;
	struct mt_num metric; /* 0: all; otherwise enum mt_istio_metric + 1, or one of gRPC */
	struct mt_text custom;
	struct mt_num mode; /* as of mt_telemetry_match */
};

/* A change of a label of Istio's metrics. */
struct mt_tag_override {
	struct mt_origin origin;
	struct mt_text name;
	struct mt_num operation; /* 0: UPSERT, 1: REMOVE */
	struct mt_text value;	 /* an expression in CEL; s NULL: REMOVE */
};

struct mt_telemetry_override {
	struct mt_origin origin;
	struct mt_telemetry_metric_match match;
	struct mt_num disabled;
	struct mt_tag_override *tags;
	uint32_t n_tags;
};

/* A section of Telemetry's metrics. */
struct mt_telemetry_metrics {
	struct mt_origin origin;
	struct mt_telemetry_provider *providers;
	struct mt_telemetry_override *overrides;
	uint32_t n_providers, n_overrides;
};

struct mt_proxy_setting {
	struct mt_meta meta;
	struct mt_selector *selector;	 /* NULL: none */
	struct mt_policy_target *target; /* targetRef, the older form */
	struct mt_policy_target *targets;
	struct mt_telemetry_log *logs;
	struct mt_telemetry_trace *traces;
	struct mt_telemetry_metrics *metrics;
	uint32_t n_targets, n_logs, n_traces, n_metrics;
};
