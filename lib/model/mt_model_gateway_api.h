/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of Kubernetes' Gateway API that concern connections: Gateway, TCPRoute, TLSRoute,
 * ReferenceGrant, BackendTLSPolicy. lib/objects translates them into gateways and virtual services,
 * so the compiler does not know them.
 */
#pragma once

#include "mt_model_types.h"

/*
 * A reference to a parent, a destination or a target. In a ReferenceGrant: the kind that may refer,
 * or that may be referred to.
 */
struct mt_gwapi_ref {
	struct mt_origin origin;
	struct mt_text group, kind, ns, name, section;
	struct mt_num port, weight;
};

struct mt_gwapi_kind {
	struct mt_origin origin;
	struct mt_text group, kind;
};

struct mt_gwapi_selector {
	struct mt_origin origin;
	struct mt_labels labels;
	bool more; /* matchExpressions is written */
};

enum mt_gwapi_from { MT_GWAPI_SAME, MT_GWAPI_ALL, MT_GWAPI_SELECTOR, MT_GWAPI_NONE };

struct mt_gwapi_namespaces {
	struct mt_origin origin;
	struct mt_num from; /* enum mt_gwapi_from */
	struct mt_gwapi_selector *selector;
};

struct mt_gwapi_allowed {
	struct mt_origin origin;
	struct mt_gwapi_namespaces *namespaces;
	struct mt_gwapi_kind *kinds;
	uint32_t n_kinds;
};

enum mt_gwapi_tls_mode { MT_GWAPI_TERMINATE, MT_GWAPI_PASSTHROUGH };

struct mt_gwapi_tls {
	struct mt_origin origin;
	struct mt_num mode; /* enum mt_gwapi_tls_mode */
	struct mt_gwapi_ref *certificates;
	uint32_t n_certificates;
	struct mt_labels options;
	bool asks_clients; /* frontendValidation is written */
};

struct mt_gwapi_listener {
	struct mt_origin origin;
	struct mt_text name, hostname, protocol;
	struct mt_num port;
	struct mt_gwapi_tls *tls;
	struct mt_gwapi_allowed *allowed;
};

struct mt_gwapi_gateway {
	struct mt_meta meta;
	struct mt_text class_name;
	struct mt_gwapi_listener *listeners;
	uint32_t n_listeners;
	/* `tls` is written, the section about certificates of clients or of endpoints */
	bool asks_clients;
};

struct mt_gwapi_rule {
	struct mt_origin origin;
	struct mt_text name;
	struct mt_gwapi_ref *backends;
	uint32_t n_backends;
};

struct mt_gwapi_route {
	struct mt_meta meta;
	struct mt_gwapi_ref *parents;
	uint32_t n_parents;
	struct mt_text *hostnames;
	uint32_t n_hostnames;
	struct mt_gwapi_rule *rules;
	uint32_t n_rules;
	bool tls; /* a TLSRoute */
};

struct mt_gwapi_grant {
	struct mt_meta meta;
	struct mt_gwapi_ref *from, *to;
	uint32_t n_from, n_to;
};

struct mt_gwapi_san {
	struct mt_origin origin;
	struct mt_text type, hostname, uri;
};

struct mt_gwapi_validation {
	struct mt_origin origin;
	struct mt_text hostname, well_known;
	struct mt_gwapi_ref *refs; /* caCertificateRefs */
	uint32_t n_refs;
	struct mt_gwapi_san *sans;
	uint32_t n_sans;
};

struct mt_gwapi_backend_tls {
	struct mt_meta meta;
	struct mt_gwapi_validation validation;
	struct mt_gwapi_ref *targets;
	uint32_t n_targets;
};
