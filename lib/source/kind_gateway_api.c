/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gateway API. An API server has validated most of these objects, so an unknown field causes a
 * warning and no error.
 */
#include "mt_fields.h"

#include <string.h>

/* Fields of every document, which other code reads. */
#define OBJECT_FIELDS                                                                              \
	MT_DOCUMENT_FIELDS,                                                                        \
	{                                                                                          \
		"status", MT_F_SKIP, .help = "set by a controller"                                 \
	}

/* Accepts an empty text, which means the core group. */
static void read_group(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	if (mt_want_scalar(c, n, "a text") && *n->text)
		((struct mt_gwapi_ref *)obj)->group = (struct mt_text){n->text, n->line};
}

#define REF_NAMES(what)                                                                            \
	{"group", MT_F_CUSTOM, .custom = read_group, .help = "group of the kind"},                 \
		{"kind", MT_F_TEXT, AT(struct mt_gwapi_ref, kind), .help = what},                  \
		{"namespace", MT_F_TEXT, AT(struct mt_gwapi_ref, ns),                              \
			.help = "default: the document's namespace"},                              \
	{                                                                                          \
		"name", MT_F_TEXT, AT(struct mt_gwapi_ref, name), .required = true,                \
								  .help = "its name"               \
	}

static const struct mt_field parent_fields[] = {
	REF_NAMES("`Gateway` (the default) or `Service`"),
	{"sectionName", MT_F_TEXT, AT(struct mt_gwapi_ref, section),
		.help = "a listener of the Gateway; default: all that admit the route"},
	{"port", MT_F_NUM, AT(struct mt_gwapi_ref, port), .min = 1, .max = 65535,
		.help = "port of the listener or the Service; default: all"},
};

static const struct mt_section parent_section = {"parent", sizeof(struct mt_gwapi_ref),
	MT_ARRAY_LEN(parent_fields), .fields = parent_fields, .unknown = mt_unknown_told};

static const struct mt_field backend_fields[] = {
	REF_NAMES("`Service` (the default) or `Hostname` of networking.istio.io"),
	{"port", MT_F_NUM, AT(struct mt_gwapi_ref, port), .min = 1, .max = 65535,
		.help = "port of the Service"},
	{"weight", MT_F_NUM, AT(struct mt_gwapi_ref, weight), .max = 1000000,
		.help = "its share of the sum of all; default: 1"},
};

static const struct mt_section backend_section = {"destination", sizeof(struct mt_gwapi_ref),
	MT_ARRAY_LEN(backend_fields), .fields = backend_fields, .unknown = mt_unknown_told};

/* A reference without a namespace is to an object in the document's namespace. */
#define LOCAL_REF_NAMES(what)                                                                      \
	{"group", MT_F_CUSTOM, .custom = read_group, .help = "group of the kind"},                 \
		{"kind", MT_F_TEXT, AT(struct mt_gwapi_ref, kind), .help = what},                  \
	{                                                                                          \
		"name", MT_F_TEXT, AT(struct mt_gwapi_ref, name), .required = true,                \
								  .help = "its name"               \
	}

static const struct mt_field target_fields[] = {
	LOCAL_REF_NAMES("`Service`"),
	{"sectionName", MT_F_TEXT, AT(struct mt_gwapi_ref, section),
		.help = "the name of one of its ports; default: all"},
};

static const struct mt_section target_section = {"target", sizeof(struct mt_gwapi_ref),
	MT_ARRAY_LEN(target_fields), .fields = target_fields, .unknown = mt_unknown_told};

/* ---- Gateway --------------------------------------------------------------------------------- */

static const char *const modes[] = {"Terminate", "Passthrough", NULL};
static const char *const froms[] = {"Same", "All", "Selector", "None", NULL};

static const struct mt_field kind_fields[] = {
	{"group", MT_F_TEXT, AT(struct mt_gwapi_kind, group),
		.help = "default: `gateway.networking.k8s.io`"},
	{"kind", MT_F_TEXT, AT(struct mt_gwapi_kind, kind), .required = true,
		.help = "`TCPRoute`, `TLSRoute`"},
};

static const struct mt_section kind_section = {"kind of routes", sizeof(struct mt_gwapi_kind),
	MT_ARRAY_LEN(kind_fields), .fields = kind_fields, .unknown = mt_unknown_told};

/* matchExpressions are not evaluated, so a selector with any admits no namespace. */
static void read_expressions(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	((struct mt_gwapi_selector *)obj)->more = n->type != MT_Y_SEQ || n->n;
	if (n->n)
		mt_f_warn(c, n->key_line, "use matchLabels",
			"not evaluated: no namespace is admitted by it");
}

static const struct mt_field selector_fields[] = {
	{"matchLabels", MT_F_LABELS, AT(struct mt_gwapi_selector, labels), .length = MT_LABEL_TEXT,
		.help = "labels that the Namespace object must have"},
	{"matchExpressions", MT_F_CUSTOM, .custom = read_expressions, .status = MT_S_NOT_SERVED,
		.help = "use `matchLabels`; a selector with expressions admits no namespace"},
};

static const struct mt_section selector_section = {"selector", sizeof(struct mt_gwapi_selector),
	MT_ARRAY_LEN(selector_fields), .fields = selector_fields, .unknown = mt_unknown_told};

static const struct mt_field namespaces_fields[] = {
	{"from", MT_F_WORD, AT(struct mt_gwapi_namespaces, from), .words = froms,
		.help = "namespaces of admitted routes; default: Same"},
	{"selector", MT_F_POINTER, AT(struct mt_gwapi_namespaces, selector),
		.sub = &selector_section, .help = "namespaces to admit with `from: Selector`"},
};

static const struct mt_section namespaces_section = {"namespaces",
	sizeof(struct mt_gwapi_namespaces), MT_ARRAY_LEN(namespaces_fields),
	.fields = namespaces_fields, .unknown = mt_unknown_told};

static const struct mt_field allowed_fields[] = {
	{"namespaces", MT_F_POINTER, AT(struct mt_gwapi_allowed, namespaces),
		.sub = &namespaces_section, .help = "namespaces of admitted routes"},
	{"kinds", MT_F_LIST, AT_LIST(struct mt_gwapi_allowed, kinds), .sub = &kind_section,
		.help = "kinds of admitted routes; default: those of the protocol"},
};

static const struct mt_section allowed_section = {"admitted routes",
	sizeof(struct mt_gwapi_allowed), MT_ARRAY_LEN(allowed_fields), .fields = allowed_fields,
	.unknown = mt_unknown_told};

static const struct mt_field certificate_fields[] = {
	REF_NAMES("`Secret` (the default)"),
};

static const struct mt_section certificate_section = {"certificate", sizeof(struct mt_gwapi_ref),
	MT_ARRAY_LEN(certificate_fields), .fields = certificate_fields, .unknown = mt_unknown_told};

static void read_validation(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	(void)c;
	(void)n;
	((struct mt_gwapi_tls *)obj)->asks_clients = true;
}

static const struct mt_field tls_fields[] = {
	{"mode", MT_F_WORD, AT(struct mt_gwapi_tls, mode), .words = modes,
		.help = "default: Terminate, for TCPRoutes; `Passthrough` is for TLSRoutes"},
	{"certificateRefs", MT_F_LIST, AT_LIST(struct mt_gwapi_tls, certificates),
		.sub = &certificate_section,
		.help = "the node's certificate; the first is presented to all clients"},
	{"options", MT_F_LABELS, AT(struct mt_gwapi_tls, options),
		.help = "`gateway.istio.io/tls-terminate-mode`: SIMPLE, MUTUAL or ISTIO_MUTUAL; a "
			"listener with another value is not served"},
	{"frontendValidation", MT_F_CUSTOM, .custom = read_validation, .status = MT_S_NOT_SERVED,
		.help = "use the option `gateway.istio.io/tls-terminate-mode: MUTUAL`"},
};

static const struct mt_section tls_section = {"TLS of a listener", sizeof(struct mt_gwapi_tls),
	MT_ARRAY_LEN(tls_fields), .fields = tls_fields, .unknown = mt_unknown_told};

static const struct mt_field listener_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_gwapi_listener, name), .required = true,
		.help = "the name that routes refer to"},
	{"hostname", MT_F_TEXT, AT(struct mt_gwapi_listener, hostname), .host = true,
		.help = "server names of TLS that the listener accepts"},
	{"port", MT_F_NUM, AT(struct mt_gwapi_listener, port), .min = 1, .max = 65535,
		.required = true, .help = "the port that clients connect to"},
	{"protocol", MT_F_TEXT, AT(struct mt_gwapi_listener, protocol), .required = true,
		.help = "`TCP` or `TLS`; listeners with others are not served"},
	{"tls", MT_F_POINTER, AT(struct mt_gwapi_listener, tls), .sub = &tls_section,
		.help = "TLS of the listener"},
	{"allowedRoutes", MT_F_POINTER, AT(struct mt_gwapi_listener, allowed),
		.sub = &allowed_section,
		.help = "routes that may use the listener; default: those of its namespace"},
};

static const struct mt_section listener_section = {"listener", sizeof(struct mt_gwapi_listener),
	MT_ARRAY_LEN(listener_fields), .fields = listener_fields, .unknown = mt_unknown_told};

static void read_tls(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	(void)c;
	(void)n;
	((struct mt_gwapi_gateway *)obj)->asks_clients = true;
}

static const struct mt_field gateway_spec[] = {
	{"gatewayClassName", MT_F_TEXT, AT(struct mt_gwapi_gateway, class_name),
		.help = "policies of the root namespace may name the class by `targetRefs`; it "
			"does not select the node"},
	{"listeners", MT_F_LIST, AT_LIST(struct mt_gwapi_gateway, listeners),
		.sub = &listener_section, .required = true, .max = MT_LIST_LONG,
		.help = "the ports"},
	{"tls", MT_F_CUSTOM, .custom = read_tls, .status = MT_S_NOT_SERVED,
		.help = "no listener of such a Gateway terminates TLS"},
	{"addresses", MT_F_SKIP, .help = "the node answers on all of its addresses"},
	{"infrastructure", MT_F_SKIP, .help = "for a controller"},
};

static const struct mt_section gateway_spec_section = {"Gateway", sizeof(struct mt_gwapi_gateway),
	MT_ARRAY_LEN(gateway_spec), .fields = gateway_spec, .unknown = mt_unknown_told};

static const struct mt_field gateway_fields[] = {
	OBJECT_FIELDS,
	{"spec", MT_F_OBJECT, .sub = &gateway_spec_section, .required = true,
		.help = "the object's settings"},
};

const struct mt_section mt_sec_gwapi_gateway = {"Gateway", sizeof(struct mt_gwapi_gateway),
	MT_ARRAY_LEN(gateway_fields), .fields = gateway_fields, .unknown = mt_unknown_told};

/* ---- routes ---------------------------------------------------------------------------------- */

/* A missing weight is 1. If it were 0, a rule without any weights would serve nothing. */
static void check_rule(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_gwapi_rule *r = obj;

	for (uint32_t i = 0; i < r->n_backends; i++)
		if (!r->backends[i].weight.set)
			r->backends[i].weight.v = 1;
}

static const struct mt_field rule_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_gwapi_rule, name), .status = MT_S_KEPT,
		.help = "connections are counted per service"},
	{"backendRefs", MT_F_LIST, AT_LIST(struct mt_gwapi_rule, backends), .sub = &backend_section,
		.required = true,
		.help = "the destinations with their shares; one in another namespace needs a "
			"ReferenceGrant"},
};

static const struct mt_section rule_section = {"rule", sizeof(struct mt_gwapi_rule),
	MT_ARRAY_LEN(rule_fields), .fields = rule_fields, .unknown = mt_unknown_told,
	.after = check_rule};

#define ROUTE_FIELDS                                                                               \
	{"parentRefs", MT_F_LIST, AT_LIST(struct mt_gwapi_route, parents), .sub = &parent_section, \
		.max = MT_LIST_SHORT,                                                              \
		.help = "Gateways of this node, or Services for their clients"},                   \
	{                                                                                          \
		"rules", MT_F_LIST, AT_LIST(struct mt_gwapi_route, rules),                         \
			.sub = &rule_section, .required = true, .help = "the first one is used"    \
	}

static const struct mt_field tcp_spec[] = {ROUTE_FIELDS};

static const struct mt_section tcp_spec_section = {"TCPRoute", sizeof(struct mt_gwapi_route),
	MT_ARRAY_LEN(tcp_spec), .fields = tcp_spec, .unknown = mt_unknown_told};

static const struct mt_field tcp_fields[] = {
	OBJECT_FIELDS,
	{"spec", MT_F_OBJECT, .sub = &tcp_spec_section, .required = true,
		.help = "the object's settings"},
};

const struct mt_section mt_sec_gwapi_tcp = {"TCPRoute", sizeof(struct mt_gwapi_route),
	MT_ARRAY_LEN(tcp_fields), .fields = tcp_fields, .unknown = mt_unknown_told};

static const struct mt_field tls_route_spec[] = {
	{"hostnames", MT_F_TEXTS, AT_LIST(struct mt_gwapi_route, hostnames), .host = true,
		.max = MT_LIST_LONG,
		.help = "server names that clients send; none: those of the listener"},
	ROUTE_FIELDS,
};

static const struct mt_section tls_route_spec_section = {"TLSRoute", sizeof(struct mt_gwapi_route),
	MT_ARRAY_LEN(tls_route_spec), .fields = tls_route_spec, .unknown = mt_unknown_told};

static const struct mt_field tls_route_fields[] = {
	OBJECT_FIELDS,
	{"spec", MT_F_OBJECT, .sub = &tls_route_spec_section, .required = true,
		.help = "the object's settings"},
};

static void finish_tls(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	((struct mt_gwapi_route *)obj)->tls = true;
}

const struct mt_section mt_sec_gwapi_tls = {"TLSRoute", sizeof(struct mt_gwapi_route),
	MT_ARRAY_LEN(tls_route_fields), .fields = tls_route_fields, .unknown = mt_unknown_told,
	.after = finish_tls};

/* ---- ReferenceGrant, BackendTLSPolicy -------------------------------------------------------- */

static const struct mt_field from_fields[] = {
	{"group", MT_F_CUSTOM, .custom = read_group, .help = "`gateway.networking.k8s.io`"},
	{"kind", MT_F_TEXT, AT(struct mt_gwapi_ref, kind), .required = true,
		.help = "`TCPRoute`, `TLSRoute`; `Gateway` for its Secrets"},
	{"namespace", MT_F_TEXT, AT(struct mt_gwapi_ref, ns), .required = true,
		.help = "the namespace of objects that may refer"},
};

static const struct mt_section from_section = {"the namespaces and kinds that may refer",
	sizeof(struct mt_gwapi_ref), MT_ARRAY_LEN(from_fields), .fields = from_fields,
	.unknown = mt_unknown_told};

static const struct mt_field to_fields[] = {
	{"group", MT_F_CUSTOM, .custom = read_group, .help = "empty, for Services and Secrets"},
	{"kind", MT_F_TEXT, AT(struct mt_gwapi_ref, kind), .required = true,
		.help = "`Service`, `Secret`"},
	{"name", MT_F_TEXT, AT(struct mt_gwapi_ref, name),
		.help = "one object; default: all of the namespace"},
};

static const struct mt_section to_section = {"the objects that may be referred to",
	sizeof(struct mt_gwapi_ref), MT_ARRAY_LEN(to_fields), .fields = to_fields,
	.unknown = mt_unknown_told};

static const struct mt_field grant_spec[] = {
	{"from", MT_F_LIST, AT_LIST(struct mt_gwapi_grant, from), .sub = &from_section,
		.required = true, .max = MT_LIST_SHORT,
		.help = "objects that may refer into this namespace"},
	{"to", MT_F_LIST, AT_LIST(struct mt_gwapi_grant, to), .sub = &to_section, .required = true,
		.max = MT_LIST_SHORT, .help = "objects that they may refer to"},
};

static const struct mt_section grant_spec_section = {"ReferenceGrant",
	sizeof(struct mt_gwapi_grant), MT_ARRAY_LEN(grant_spec), .fields = grant_spec,
	.unknown = mt_unknown_told};

static const struct mt_field grant_fields[] = {
	OBJECT_FIELDS,
	{"spec", MT_F_OBJECT, .sub = &grant_spec_section, .required = true,
		.help = "the object's settings"},
};

const struct mt_section mt_sec_gwapi_grant = {"ReferenceGrant", sizeof(struct mt_gwapi_grant),
	MT_ARRAY_LEN(grant_fields), .fields = grant_fields, .unknown = mt_unknown_told};

static const struct mt_field san_fields[] = {
	{"type", MT_F_TEXT, AT(struct mt_gwapi_san, type),
		.help = "`Hostname` or `URI`: the field that is used"},
	{"hostname", MT_F_TEXT, AT(struct mt_gwapi_san, hostname), .host = true,
		.help = "a DNS name of the certificate"},
	{"uri", MT_F_TEXT, AT(struct mt_gwapi_san, uri),
		.help = "a URI of the certificate, such as spiffe://..."},
};

static const struct mt_section san_section = {"name of a certificate", sizeof(struct mt_gwapi_san),
	MT_ARRAY_LEN(san_fields), .fields = san_fields, .unknown = mt_unknown_told};

static const struct mt_field authority_fields[] = {LOCAL_REF_NAMES("`Secret`")};

static const struct mt_section authority_section = {"authority", sizeof(struct mt_gwapi_ref),
	MT_ARRAY_LEN(authority_fields), .fields = authority_fields, .unknown = mt_unknown_told};

static const struct mt_field validation_fields[] = {
	{"hostname", MT_F_TEXT, AT(struct mt_gwapi_validation, hostname), .host = true,
		.help = "server name to send, which the certificate must have"},
	{"wellKnownCACertificates", MT_F_TEXT, AT(struct mt_gwapi_validation, well_known),
		.help = "`System`: the roots of this host"},
	{"caCertificateRefs", MT_F_LIST, AT_LIST(struct mt_gwapi_validation, refs),
		.sub = &authority_section, .help = "one Secret with `ca.crt`, instead"},
	{"subjectAltNames", MT_F_LIST, AT_LIST(struct mt_gwapi_validation, sans),
		.sub = &san_section,
		.help = "the certificate must have one of these names; default: `hostname`"},
};

static const struct mt_section validation_section = {"validation",
	sizeof(struct mt_gwapi_validation), MT_ARRAY_LEN(validation_fields),
	.fields = validation_fields, .unknown = mt_unknown_told};

static const struct mt_field backend_tls_spec[] = {
	{"targetRefs", MT_F_LIST, AT_LIST(struct mt_gwapi_backend_tls, targets),
		.sub = &target_section, .required = true, .max = MT_LIST_SHORT,
		.help = "Services with endpoints to be called by TLS only"},
	{"validation", MT_F_OBJECT, AT(struct mt_gwapi_backend_tls, validation),
		.sub = &validation_section, .help = "checks of the endpoints' certificates"},
	{"options", MT_F_SKIP, .help = "for other implementations"},
};

static const struct mt_section backend_tls_spec_section = {"BackendTLSPolicy",
	sizeof(struct mt_gwapi_backend_tls), MT_ARRAY_LEN(backend_tls_spec),
	.fields = backend_tls_spec, .unknown = mt_unknown_told};

static const struct mt_field backend_tls_fields[] = {
	OBJECT_FIELDS,
	{"spec", MT_F_OBJECT, .sub = &backend_tls_spec_section, .required = true,
		.help = "the object's settings"},
};

const struct mt_section mt_sec_gwapi_backend_tls = {"BackendTLSPolicy",
	sizeof(struct mt_gwapi_backend_tls), MT_ARRAY_LEN(backend_tls_fields),
	.fields = backend_tls_fields, .unknown = mt_unknown_told};
