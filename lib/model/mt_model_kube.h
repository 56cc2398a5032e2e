/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kubernetes' own resources for services: Service, EndpointSlice, Endpoints, Pod, Namespace,
 * Secret, and a mesh's settings in a ConfigMap. lib/objects translates all but Secrets into service
 * entries, workloads and settings, so the compiler knows only Secrets.
 */
#pragma once

#include "mt_model_types.h"

struct mt_kube_port {
	struct mt_origin origin;
	struct mt_text name, protocol, app_protocol;
	struct mt_num number;
	struct mt_text target; /* a number or the name of a container's port */
};

enum mt_kube_type {
	MT_KUBE_CLUSTER_IP,
	MT_KUBE_NODE_PORT,
	MT_KUBE_LOAD_BALANCER,
	MT_KUBE_EXTERNAL_NAME
};

struct mt_kube_service {
	struct mt_meta meta;
	struct mt_num type; /* enum mt_kube_type */
	struct mt_text cluster_ip, *cluster_ips;
	uint32_t n_cluster_ips;
	struct mt_kube_port *ports;
	uint32_t n_ports;
	struct mt_labels selector;
	struct mt_text external_name;
	struct mt_exports export_to; /* from its annotation */
	struct mt_num publish_not_ready;
};

/* Conditions of an endpoint. An endpoint is ready if `conditions.ready` is not written. */
struct mt_kube_conditions {
	struct mt_origin origin;
	struct mt_num ready, serving, terminating;
};

struct mt_kube_target {
	struct mt_origin origin;
	struct mt_text kind, name, ns;
};

/* One endpoint of a slice, or one address of Endpoints. */
struct mt_kube_endpoint {
	struct mt_origin origin;
	struct mt_text *addresses;
	uint32_t n_addresses;
	struct mt_text ip; /* of Endpoints */
	struct mt_kube_conditions conditions;
	struct mt_kube_target target;
	struct mt_text node, zone;
};

struct mt_kube_subset {
	struct mt_origin origin;
	struct mt_kube_endpoint *ready, *not_ready;
	uint32_t n_ready, n_not_ready;
	struct mt_kube_port *ports;
	uint32_t n_ports;
};

/* An EndpointSlice is one subset; Endpoints are several. */
struct mt_kube_slice {
	struct mt_meta meta;
	struct mt_text address_type;
	struct mt_kube_subset *subsets;
	uint32_t n_subsets;
	struct mt_kube_subset own;
	bool whole; /* made from Endpoints, which have the name of their service */
};

enum mt_kube_phase {
	MT_KUBE_PENDING,
	MT_KUBE_RUNNING,
	MT_KUBE_SUCCEEDED,
	MT_KUBE_FAILED,
	MT_KUBE_PHASE_UNKNOWN
};

struct mt_kube_container_port {
	struct mt_origin origin;
	struct mt_text name;
	struct mt_num number;
};

struct mt_kube_container {
	struct mt_origin origin;
	struct mt_text name;
	struct mt_kube_container_port *ports;
	uint32_t n_ports;
};

struct mt_kube_pod_spec {
	struct mt_origin origin;
	struct mt_text service_account, node;
	struct mt_kube_container *containers, *init_containers;
	uint32_t n_containers, n_init_containers;
	struct mt_num host_network;
};

struct mt_kube_ip {
	struct mt_origin origin;
	struct mt_text ip;
};

struct mt_kube_pod_status {
	struct mt_origin origin;
	struct mt_num phase;
	struct mt_text ip;
	struct mt_kube_ip *ips;
	uint32_t n_ips;
	bool ready; /* the Pod's condition of this name is True or absent */
};

struct mt_kube_pod {
	struct mt_meta meta;
	struct mt_kube_pod_spec spec;
	struct mt_kube_pod_status status;
};

static inline bool mt_kube_pod_has_ended(const struct mt_kube_pod *p)
{
	const struct mt_num *phase = &p->status.phase;

	return phase->set && (phase->v == MT_KUBE_SUCCEEDED || phase->v == MT_KUBE_FAILED);
}

struct mt_kube_namespace {
	struct mt_meta meta;
};

/* A Secret. Its content is never shown and never written to disk. */
struct mt_kube_secret {
	struct mt_meta meta;
	struct mt_text type;
	struct mt_labels data; /* base64, as written; `clear` has `stringData` as plaintext */
	struct mt_labels clear;
};

/* The structs from here to struct mt_mesh_config hold the part of MeshConfig that is read. */

/* envoyExtAuthzGrpc: an external authorization service, queried by gRPC. */
struct mt_ext_authz {
	struct mt_origin origin;
	struct mt_text service; /* "NAMESPACE/HOST" or a host */
	struct mt_num port;
	struct mt_num timeout; /* ms; not set: 600 s */
	struct mt_num fail_open;
	bool wants_body;
};

/* logFormat of a provider: neither is set: Istio's default text format. */
struct mt_file_log_format {
	struct mt_origin origin;
	struct mt_text text;
	struct mt_text labels; /* as a JSON object */
};

/* envoyFileAccessLog: an access log in a file. */
struct mt_file_log {
	struct mt_origin origin;
	struct mt_text path; /* not set: /dev/stdout */
	struct mt_file_log_format format;
	struct mt_num omit_empty;
};

/* A header of requests to a collector. */
struct mt_http_header {
	struct mt_origin origin;
	struct mt_text name, value;
};

/* Requests of HTTP to a collector. */
struct mt_http_collector {
	struct mt_origin origin;
	struct mt_text path;
	struct mt_http_header *headers;
	uint32_t n_headers;
};

/*
 * envoyHttpAls, envoyTcpAls, envoyOtelAls: an access log that is sent by gRPC. opentelemetry,
 * zipkin: a collector of spans.
 */
struct mt_net_log {
	struct mt_origin origin;
	struct mt_text service; /* "NAMESPACE/HOST" or a host */
	struct mt_num port;
	struct mt_text log_name;	  /* not set: Istio's */
	struct mt_file_log_format format; /* envoyOtelAls: body and attributes */
	struct mt_num longest;		  /* spans: bytes of a tag's value; 0, not set: 256 */
	struct mt_http_collector *http;	  /* opentelemetry; NULL: gRPC. Of zipkin `web` counts */
	struct mt_http_collector web;	  /* zipkin */
	struct mt_num short_ids;	  /* zipkin: trace ids of 64 bits */
	struct mt_num context;		  /* zipkin: 1: traceparent, too */
};

/*
 * One of MeshConfig's extensionProviders. Except the kinds that are read, a provider is only a
 * name that other objects may refer to.
 */
struct mt_ext_provider {
	struct mt_origin origin;
	struct mt_text name;
	struct mt_ext_authz *grpc; /* all NULL: another kind of provider */
	struct mt_file_log *file;
	struct mt_net_log *http_als, *tcp_als, *otel_als;
	struct mt_net_log *otel, *zipkin; /* of spans */
};

/* defaultProviders: names of providers. */
struct mt_default_providers {
	struct mt_origin origin;
	struct mt_text *logs, *tracing;
	uint32_t n_logs, n_tracing;
};

#define MT_DEFAULT_TRACING "defaultConfig.tracing" /* name of its provider */

/* `zipkin` of defaultConfig.tracing. */
struct mt_default_zipkin {
	struct mt_origin origin;
	struct mt_text address; /* HOST:PORT */
	/* Made from the address, as if one of extensionProviders; NULL: there is none. */
	struct mt_ext_provider *provider;
};

/* `tracing` of defaultConfig. */
struct mt_default_tracing {
	struct mt_origin origin;
	struct mt_num sampling; /* percent * 100 */
	struct mt_num longest;	/* maxPathTagLength; not set or 0: providers' default */
	struct mt_default_zipkin zipkin;
	struct mt_custom_tags tags;
	struct mt_num istio_tags; /* not set: true */
};

/* defaultConfig: settings of proxies. */
struct mt_default_config {
	struct mt_origin origin;
	struct mt_default_tracing *tracing; /* NULL: not set */
};

struct mt_mesh_config {
	struct mt_meta meta;
	struct mt_text root_ns, trust_domain;
	struct mt_text *aliases, *service_export, *route_export, *rule_export;
	uint32_t n_aliases, n_service_export, n_route_export, n_rule_export;
	struct mt_num auto_mtls, connect_timeout, detect_timeout; /* ms */
	struct mt_locality_policy *locality;			  /* NULL: not set */
	struct mt_rule_retries *retries; /* of routes that have none; NULL: not set */
	struct mt_ext_provider *providers;
	uint32_t n_providers;
	struct mt_text access_log; /* accessLogFile: a path; "": no log */
	struct mt_text access_log_format;
	struct mt_num access_log_json;	       /* accessLogEncoding: 1: JSON */
	struct mt_default_providers *defaults; /* NULL: not set */
	struct mt_default_config *proxies;     /* NULL: not set */
	struct mt_num traces;		       /* enableTracing; not set: true */
};
