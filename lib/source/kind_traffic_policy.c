/* SPDX-License-Identifier: Apache-2.0 */
/*
 * TrafficPolicy: limits of calls by address, principal, connection or metadata of their clients, in
 * the form of Envoy Gateway.
 */
#include "mt_fields.h"

#include "mt_model_traffic.h"

#include <string.h>

#define MOST_TARGETS   16
#define MOST_RULES     64
#define MOST_SELECTORS 16
#define MOST_HEADERS   16
#define MOST_BYTES     1024 /* of names and values of metadata */

/* ---- selectors ------------------------------------------------------------------------------- */

static const char *const header_types[] = {"Exact", "RegularExpression", "Distinct", NULL};

static const struct mt_field header_fields[] = {
	{"type", MT_F_WORD, AT(struct mt_select_header, type), .words = header_types,
		.help = "`Distinct`: each value has its own limit; default: `Exact`"},
	{"name", MT_F_TEXT, AT(struct mt_select_header, name), .required = true,
		.length = MOST_BYTES, .help = "the metadata key"},
	{"value", MT_F_TEXT, AT(struct mt_select_header, value), .length = MOST_BYTES,
		.help = "the value or expression; none with `Distinct`"},
	{"invert", MT_F_BOOL, AT(struct mt_select_header, invert),
		.help = "true: calls without this value; not with `Distinct`"},
};

static void check_header(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_select_header *h = obj;
	bool distinct = h->type.v == MT_SELECT_DISTINCT;

	if (distinct && h->value.s)
		mt_f_error(c, h->value.line, "leave it out, or write another type",
			"Distinct has no value: it selects all");
	else if (distinct && h->invert.v)
		mt_f_error(c, h->invert.line, "leave it out, or write another type",
			"Distinct cannot be inverted");
	else if (!distinct && !h->value.s)
		mt_f_error(c, n->line, "add value, or write type: Distinct",
			"a header without a value");
}

static const struct mt_section header_section = {"header", sizeof(struct mt_select_header),
	MT_ARRAY_LEN(header_fields), .fields = header_fields, .after = check_header};

static const char *const source_types[] = {"Exact", "Distinct", NULL};

static void read_network(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_select_source *s = obj;

	if (!mt_read_text(c, n, &s->value))
		return;
	if (mt_prefix_parse(s->value.s, &s->net, &s->prefix))
		mt_f_error(c, n->line, "write it like 192.0.2.0/24 or 2001:db8::/32",
			"\"%.64s\" is neither an address nor a network", n->text);
}

static const struct mt_field source_fields[] = {
	{"type", MT_F_WORD, AT(struct mt_select_source, type), .words = source_types,
		.help = "`Exact`: all addresses together; `Distinct`: each address, of IPv6 each "
			"/64, has its own limit; default: `Exact`"},
	{"value", MT_F_CUSTOM, .custom = read_network, .required = true,
		.help = "an address or network; `0.0.0.0/0` and `::/0` are all"},
};

static const struct mt_section source_section = {"source", sizeof(struct mt_select_source),
	MT_ARRAY_LEN(source_fields), .fields = source_fields};

static void check_principal(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_select_principal *p = obj;
	bool distinct = p->type.v == MT_SELECT_SOURCE_DISTINCT;

	if (distinct && p->value.s)
		mt_f_error(c, p->value.line, "leave it out, or write type: Exact",
			"Distinct has no value: it selects all");
	else if (!distinct && !p->value.s)
		mt_f_error(c, n->line, "add value, or write type: Distinct",
			"a principal without a value");
}

static const struct mt_field principal_fields[] = {
	{"type", MT_F_WORD, AT(struct mt_select_principal, type), .words = source_types,
		.help = "`Distinct`: each principal has its own limit, and all callers without one "
			"have one together; default: `Exact`"},
	{"value", MT_F_TEXT, AT(struct mt_select_principal, value), .length = MOST_BYTES,
		.help = "the principal as in an AuthorizationPolicy, like "
			"`cluster.local/ns/shop/sa/web`; none with `Distinct`"},
};

static const struct mt_section principal_section = {"principal", sizeof(struct mt_select_principal),
	MT_ARRAY_LEN(principal_fields), .fields = principal_fields, .after = check_principal};

static const char *const connection_words[] = {"Distinct", NULL};

#define NO_HTTP "no codec reads HTTP; calls are selected as if it were not written"

static const struct mt_field selector_fields[] = {
	{"headers", MT_F_LIST, AT_LIST(struct mt_client_selector, headers), .sub = &header_section,
		.max = MOST_HEADERS, .help = "metadata of the call; all must match"},
	{"sourceCIDR", MT_F_POINTER, AT(struct mt_client_selector, source), .sub = &source_section,
		.help = "the client's address"},
	{"principal", MT_F_POINTER, AT(struct mt_client_selector, principal),
		.sub = &principal_section,
		.help = "the caller's principal: of its certificate, or of the port of workloads "
			"where it enters"},
	{"connection", MT_F_WORD, AT(struct mt_client_selector, connection),
		.words = connection_words, .help = "`Distinct`: each connection has its own limit"},
	{"methods", MT_F_LATER, .harms = true, .help = NO_HTTP},
	{"path", MT_F_LATER, .harms = true, .help = NO_HTTP},
};

static void check_selector(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_client_selector *s = obj;

	if (!s->n_headers && !s->source && !s->principal && !s->connection.set)
		mt_f_error(c, n->line,
			"add headers, sourceCIDR, principal or connection, or leave "
			"clientSelectors out",
			"the selector selects nothing");
}

static const struct mt_section selector_section = {"selector", sizeof(struct mt_client_selector),
	MT_ARRAY_LEN(selector_fields), .fields = selector_fields, .after = check_selector};

/* ---- rules ----------------------------------------------------------------------------------- */

static const char *const units[] = {"Second", "Minute", "Hour", "Day", NULL};

static const struct mt_field quota_fields[] = {
	{"requests", MT_F_NUM, AT(struct mt_quota, requests), .required = true, .min = 1,
		.help = "calls in each unit"},
	{"unit", MT_F_WORD, AT(struct mt_quota, unit), .words = units, .required = true,
		.help = "after it the limit starts again"},
};

static const struct mt_section quota_section = {
	"limit", sizeof(struct mt_quota), MT_ARRAY_LEN(quota_fields), .fields = quota_fields};

static const struct mt_field rule_fields[] = {
	{"clientSelectors", MT_F_LIST, AT_LIST(struct mt_client_limit, selectors),
		.sub = &selector_section, .max = MOST_SELECTORS,
		.help = "calls of the rule: those that any selector matches; none: all calls"},
	{"limit", MT_F_POINTER, AT(struct mt_client_limit, quota), .sub = &quota_section,
		.required = true, .help = "of the calls, or of each `Distinct` value"},
	{"cost", MT_F_LATER, .harms = true, .help = "each call counts as one"},
	{"shared", MT_F_BOOL, AT(struct mt_client_limit, shared),
		.help = "true: the targets have the limit together; default: each has its own"},
	{"shadowMode", MT_F_BOOL, AT(struct mt_client_limit, shadow),
		.help = "true: calls over the limit are counted and pass"},
};

static const struct mt_section rule_section = {
	"rule", sizeof(struct mt_client_limit), MT_ARRAY_LEN(rule_fields), .fields = rule_fields};

static const struct mt_field local_fields[] = {
	{"rules", MT_F_LIST, AT_LIST(struct mt_client_limits, rules), .sub = &rule_section,
		.required = true, .max = MOST_RULES,
		.help = "a call takes a token of each that applies to it, of the strictest first"},
};

static const struct mt_section local_section = {"local limit", sizeof(struct mt_client_limits),
	MT_ARRAY_LEN(local_fields), .fields = local_fields};

static const struct mt_field rates_fields[] = {
	{"local", MT_F_POINTER, AT(struct mt_client_rates, local), .sub = &local_section,
		.help = "limits that the node counts by itself"},
	{"global", MT_F_LATER, .harms = true,
		.help = "`globalRateLimit` of a MetaRouter counts calls over several nodes"},
};

static const struct mt_section rates_section = {"rateLimit", sizeof(struct mt_client_rates),
	MT_ARRAY_LEN(rates_fields), .fields = rates_fields};

/* ---- the policy ------------------------------------------------------------------------------ */

static const struct mt_field target_fields[] = {
	{"group", MT_F_TEXT, AT(struct mt_policy_target, group),
		.help = "`networking.istio.io` for a ServiceEntry or a Gateway of Istio, empty for "
			"a "
			"Service, `gateway.networking.k8s.io` for a Gateway of Gateway API"},
	{"kind", MT_F_TEXT, AT(struct mt_policy_target, kind), .required = true,
		.help = "`ServiceEntry`, `Service` or `Gateway`"},
	{"name", MT_F_TEXT, AT(struct mt_policy_target, name), .required = true,
		.help = "its name in the policy's namespace"},
};

static const struct mt_section target_section = {"target", sizeof(struct mt_policy_target),
	MT_ARRAY_LEN(target_fields), .fields = target_fields};

static const struct mt_field policy_fields[] = {
	{"targetRefs", MT_F_LIST, AT_LIST(struct mt_client_policy, targets), .sub = &target_section,
		.required = true, .max = MOST_TARGETS,
		.help = "services and Gateways of its namespace"},
	{"rateLimit", MT_F_POINTER, AT(struct mt_client_policy, rates), .sub = &rates_section,
		.help = "limits of calls by their clients, in the form of Envoy Gateway"},
};

static void check_policy(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_client_policy *p = obj;

	if (!p->n_targets && mt_yaml_get(n, "targetRefs"))
		mt_f_error(c, n->line, "add targetRefs: [{kind: ServiceEntry, name: ...}]",
			"the policy applies to nothing");
}

const struct mt_section mt_sec_client_policy = {"TrafficPolicy", sizeof(struct mt_client_policy),
	MT_ARRAY_LEN(policy_fields), .fields = policy_fields, .after = check_policy};
