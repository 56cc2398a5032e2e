/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_fields.h"

#include <string.h>

/* Records an unsupported field, which lib/conf rejects only where the route is served. */
static void match_unsupported(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	((struct mt_rule_match *)obj)->unsupported = (struct mt_text){n->key, n->key_line};
}

static void rule_unsupported(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	((struct mt_rule *)obj)->unsupported = (struct mt_text){n->key, n->key_line};
}

static void read_method(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	mt_read_string_match(c, n, obj, false);
}

static const struct mt_field match_fields[] = {
	{"name", MT_F_SKIP, .quiet = true,
		.help = "lines of access logs have the route's name alone"},
	{"headers", MT_F_CUSTOM, .custom = mt_read_string_matches,
		.help = "metadata key to {exact}, {prefix} or {regex}; {} matches if the key is "
			"present"},
	{"attributes", MT_F_CUSTOM, .custom = mt_read_string_matches,
		.help = "the same as `headers`, as in a MetaRouter"},
	{"withoutHeaders", MT_F_CUSTOM, .custom = mt_read_string_matches,
		.help = "conditions of which none may match"},
	{"method", MT_F_CUSTOM, .custom = read_method,
		.help = "condition on the metadata key `method`"},
	{"port", MT_F_NUM, AT(struct mt_rule_match, port), .min = 1, .max = 65535,
		.help = "only at this port of the service"},
	{"gateways", MT_F_TEXTS, AT_LIST(struct mt_rule_match, gateways), .max = MT_LIST_SHORT,
		.length = MT_GATEWAY_TEXT,
		.help = "only for clients of these gateways (`mesh`: of the service's address)"},
	{"uri", MT_F_CUSTOM, .custom = match_unsupported, .status = MT_S_REFUSED,
		.help = "HTTP only: use `headers`"},
	{"scheme", MT_F_CUSTOM, .custom = match_unsupported, .status = MT_S_REFUSED,
		.help = "HTTP only: use `headers`"},
	{"authority", MT_F_CUSTOM, .custom = match_unsupported, .status = MT_S_REFUSED,
		.help = "HTTP only: use `headers`"},
	{"queryParams", MT_F_CUSTOM, .custom = match_unsupported, .status = MT_S_REFUSED,
		.help = "HTTP only: use `headers`"},
	{"sourceLabels", MT_F_LABELS, AT(struct mt_rule_match, source_labels),
		.length = MT_LABEL_TEXT,
		.help = "only on nodes with these metadata.labels; not at gateways"},
	{"sourceNamespace", MT_F_TEXT, AT(struct mt_rule_match, source_ns),
		.help = "only for clients of this namespace: the Node's `spec.mesh.namespace`, "
			"else the service's; not at gateways"},
	{"sourceSubnet", MT_F_CUSTOM, .custom = match_unsupported, .status = MT_S_REFUSED,
		.help = "networks of clients, which routes cannot match"},
	{"destinationSubnets", MT_F_CUSTOM, .custom = match_unsupported, .status = MT_S_REFUSED,
		.help = "networks of destinations, which routes cannot match"},
	{"sniHosts", MT_F_TEXTS, AT_LIST(struct mt_rule_match, sni), .host = true,
		.status = MT_S_REFUSED, .help = "for `tls` routes only"},
	{"ignoreUriCase", MT_F_SKIP, .help = "HTTP only"},
	{"statPrefix", MT_F_SKIP, .help = "part of Envoy's statistics names"},
};

/*
 * Accepts a key beside `headers:` instead of below it, as on a well-known presentation slide. Only
 * if it can mean nothing else: `headers` is written and empty, and the value is a match.
 */
static bool beside_headers(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	if (!c->bare_headers || !mt_looks_like_string_match(n))
		return false;
	mt_f_warn(c, n->key_line, "indent it by two more",
		"is next to headers, used as one of its keys");
	mt_read_string_match(c, n, obj, false);
	return true;
}

static const struct mt_section match_section = {"match", sizeof(struct mt_rule_match),
	MT_ARRAY_LEN(match_fields), .fields = match_fields, .unknown = beside_headers};

/* networking.istio.io/v1, TLSMatchAttributes */
static const struct mt_field tls_match_fields[] = {
	{"sniHosts", MT_F_TEXTS, AT_LIST(struct mt_rule_match, sni), .host = true,
		.help = "server names that clients send; `*.x`: all below x"},
	{"destinationSubnets", MT_F_CUSTOM, .custom = match_unsupported, .status = MT_S_REFUSED,
		.help = "networks of destinations, which routes cannot match"},
	{"port", MT_F_NUM, AT(struct mt_rule_match, port), .min = 1, .max = 65535,
		.help = "only at this port of the service"},
	{"sourceLabels", MT_F_LABELS, AT(struct mt_rule_match, source_labels),
		.length = MT_LABEL_TEXT,
		.help = "only on nodes with these metadata.labels; not at gateways"},
	{"gateways", MT_F_TEXTS, AT_LIST(struct mt_rule_match, gateways), .max = MT_LIST_SHORT,
		.length = MT_GATEWAY_TEXT,
		.help = "only for clients of these gateways (`mesh`: of the service's address)"},
	{"sourceNamespace", MT_F_TEXT, AT(struct mt_rule_match, source_ns),
		.help = "only for clients of this namespace: the Node's `spec.mesh.namespace`, "
			"else the service's; not at gateways"},
};

static const struct mt_section tls_match_section = {"match", sizeof(struct mt_rule_match),
	MT_ARRAY_LEN(tls_match_fields), .fields = tls_match_fields};

static void read_matches_of(struct mt_fctx *c, const struct mt_ynode *n, struct mt_rule *rule,
	const struct mt_section *section)
{

	if (!mt_want_list(c, n, "a list of matches"))
		return;
	rule->matches = mt_region_alloc(&c->model->region, sizeof(*rule->matches) * n->n);
	if (!rule->matches)
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push_index(c, rule->n_matches);
		const struct mt_ynode *headers = mt_yaml_get(k, "headers");

		c->bare_headers = headers && mt_yaml_is_null(headers);
		mt_section_read(c, section, k, &rule->matches[rule->n_matches++]);
		mt_path_pop(c, mark);
	}
}

static void read_matches(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	read_matches_of(c, n, obj, &match_section);
}

static void read_tls_matches(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	read_matches_of(c, n, obj, &tls_match_section);
}

static const struct mt_field rule_dest_fields[] = {
	{"destination", MT_F_OBJECT, AT(struct mt_rule_dest, dest), .sub = &mt_sec_dest,
		.required = true, .help = "the cluster to call"},
	{"weight", MT_F_NUM, AT(struct mt_rule_dest, weight), .max = MT_WEIGHT_MAX,
		.help = "share of the sum of all weights; in a MetaRouter they total 100"},
	{"headers", MT_F_LATER, .harms = true, .help = "use the route's own headers"},
};

/*
 * Istio has the weight beside `destination`, a well-known slide inside; accepts both if they agree.
 */
static void check_rule_dest(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_rule_dest *d = obj;

	if (d->weight.set && d->dest.weight_inside.set && d->weight.v != d->dest.weight_inside.v)
		mt_f_error(c, d->weight.line, "keep one of them",
			"weight %u here, %u inside destination", d->weight.v,
			d->dest.weight_inside.v);
	if (!d->weight.set)
		d->weight = d->dest.weight_inside;
}

const struct mt_section mt_sec_rule_dest = {"route", sizeof(struct mt_rule_dest),
	MT_ARRAY_LEN(rule_dest_fields), .fields = rule_dest_fields, .after = check_rule_dest};

/* Adds mutations. `add` means the same as `set`, because metadata has one value for each key. */
static void add_mutations(struct mt_fctx *c, const struct mt_ynode *n, bool remove,
	struct mt_rule_mutation **list, uint32_t *n_list)
{
	if (!(remove ? mt_want_list(c, n, "a list of keys") : mt_want_map(c, n, "a map")))
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		struct mt_rule_mutation *m;

		if (!mt_want_scalar(c, k, "a text"))
			return;
		m = mt_region_push(&c->model->region, (void **)list, n_list, sizeof(*m));
		if (!m)
			return;
		m->origin = (struct mt_origin){c->file, k->line};
		m->key = (struct mt_text){remove ? k->text : k->key, k->line};
		if (!remove)
			m->value = (struct mt_text){k->text, k->line};
		mt_sec_mutation.after(c, k, m);
	}
}

/* Reads headers.request or headers.response. */
static void read_operations(struct mt_fctx *c, const struct mt_ynode *n,
	struct mt_rule_mutation **list, uint32_t *n_list)
{
	if (!mt_want_map(c, n, "a map of set, add and remove"))
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push(c, k->key);
		bool remove = strcmp(k->key, "remove") == 0;

		if (!remove && strcmp(k->key, "set") != 0 && strcmp(k->key, "add") != 0)
			mt_f_error(c, k->key_line, "write set, add or remove", "unknown field");
		else if (!mt_yaml_is_null(k))
			add_mutations(c, k, remove, list, n_list);
		mt_path_pop(c, mark);
	}
}

static void read_rule_headers(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_rule *r = obj;

	if (!mt_want_map(c, n, "a map of request and response"))
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push(c, k->key);

		if (strcmp(k->key, "request") == 0)
			read_operations(c, k, &r->req_mut, &r->n_req_mut);
		else if (strcmp(k->key, "response") == 0)
			read_operations(c, k, &r->rsp_mut, &r->n_rsp_mut);
		else
			mt_f_error(c, k->key_line, "write request or response", "unknown field");
		mt_path_pop(c, mark);
	}
}

static void read_mirror_percent(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_rule *r = obj;
	struct mt_num v = {0};

	if (!mt_read_num(c, n, 0, 100, &v))
		return;
	r->mirror_percent = mt_region_alloc(&c->model->region, sizeof(*r->mirror_percent));
	if (r->mirror_percent)
		*r->mirror_percent =
			(struct mt_rule_percent){{c->file, n->line}, {v.v * 10000, v.line, true}};
}

static const struct mt_field mirror_fields[] = {
	{"destination", MT_F_OBJECT, AT(struct mt_rule_mirror, to.dest), .sub = &mt_sec_mirror_dest,
		.required = true, .help = "destination of the copies"},
	{"percentage", MT_F_POINTER, AT(struct mt_rule_mirror, percent), .sub = &mt_sec_percent,
		.help = "percentage of calls that are copied; default: all"},
};

static const struct mt_section mirror_section = {"mirror", sizeof(struct mt_rule_mirror),
	MT_ARRAY_LEN(mirror_fields), .fields = mirror_fields};

static const struct mt_field delegate_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_rule_delegate, name), .required = true,
		.help = "a VirtualService without `hosts`"},
	{"namespace", MT_F_TEXT, AT(struct mt_rule_delegate, ns),
		.help = "default: that of this VirtualService"},
};

static const struct mt_section delegate_section = {"delegate", sizeof(struct mt_rule_delegate),
	MT_ARRAY_LEN(delegate_fields), .fields = delegate_fields};

static const struct mt_field rule_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_rule, name), .help = "the route's name in counters"},
	{"match", MT_F_CUSTOM, .custom = read_matches, .sub = &match_section,
		.help = "calls that the route applies to; none: all"},
	{"route", MT_F_LIST, AT_LIST(struct mt_rule, dests), .sub = &mt_sec_rule_dest,
		.help = "the destinations with their shares"},
	{"timeout", MT_F_DURATION, AT(struct mt_rule, timeout),
		.help = "longest time of a call; default: the deadline in the message, else "
			"`spec.defaults.timeout` of the Node"},
	{"mirror", MT_F_POINTER, AT(struct mt_rule, mirror), .sub = &mt_sec_mirror_dest,
		.help = "destination of a copy of each request; its reply is dropped"},
	{"mirrorPercentage", MT_F_POINTER, AT(struct mt_rule, mirror_percent),
		.sub = &mt_sec_percent,
		.help = "percentage of calls that are copied; default: all"},
	{"mirrorPercent", MT_F_CUSTOM, .custom = read_mirror_percent,
		.help = "the same, a number from 0 to 100"},
	{"headers", MT_F_CUSTOM, .custom = read_rule_headers,
		.help = "metadata to {set, add, remove} in `request` and `response`; `add` "
			"replaces"},
	{"mirrors", MT_F_LIST, AT_LIST(struct mt_rule, mirrors), .sub = &mirror_section,
		.help = "several mirrors, at most 4"},
	{"retries", MT_F_POINTER, AT(struct mt_rule, retries), .sub = &mt_sec_retries,
		.help = "further attempts of calls; default: only calls that no endpoint has read "
			"are sent again"},
	{"fault", MT_F_LATER, .harms = true, .help = "no faults are injected"},
	{"corsPolicy", MT_F_LATER, .help = "HTTP only"},
	{"rewrite", MT_F_CUSTOM, .custom = rule_unsupported, .status = MT_S_REFUSED,
		.help = "HTTP only"},
	{"redirect", MT_F_CUSTOM, .custom = rule_unsupported, .status = MT_S_REFUSED,
		.help = "HTTP only"},
	{"directResponse", MT_F_CUSTOM, .custom = rule_unsupported, .status = MT_S_REFUSED,
		.help = "HTTP only"},
	{"delegate", MT_F_POINTER, AT(struct mt_rule, delegate), .sub = &delegate_section,
		.help = "in `http` only: the routes of that VirtualService, within this route's "
			"`match`; one level deep"},
};

static void check_rule(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_rule *r = obj;

	if (r->delegate && r->n_dests)
		mt_f_error(c, r->delegate->origin.line, "keep one of them",
			"both route and delegate are written");
	if (!r->n_dests && !r->unsupported.s && !r->delegate)
		mt_f_error(
			c, n->line, "add route: [{destination: ...}]", "the route leads nowhere");
	if (r->mirror_percent && !r->mirror)
		mt_f_error(c, r->mirror_percent->origin.line, "add mirror, or remove it",
			"a mirror's share without a mirror");
	if (r->mirror && r->n_mirrors)
		mt_f_error(c, r->mirrors->origin.line, "keep one of them",
			"both mirror and mirrors are written");
	if (r->retries && r->retries->per_try.set && r->timeout.set &&
		r->retries->per_try.v >= r->timeout.v)
		mt_f_warn(c, r->retries->per_try.line, "lower it, or raise timeout",
			"retries.perTryTimeout has no effect: timeout is not longer");
	mt_rule_shares(c, r);
}

static const struct mt_section rule_section = {"route", sizeof(struct mt_rule),
	MT_ARRAY_LEN(rule_fields), .fields = rule_fields, .after = check_rule};

/* networking.istio.io/v1, TLSRoute */
static const struct mt_field tls_rule_fields[] = {
	{"match", MT_F_CUSTOM, .custom = read_tls_matches, .sub = &tls_match_section,
		.help = "connections that the route applies to, of which one must match"},
	{"route", MT_F_LIST, AT_LIST(struct mt_rule, dests), .sub = &mt_sec_rule_dest,
		.help = "the destinations with their shares"},
};

static const struct mt_section tls_rule_section = {"route", sizeof(struct mt_rule),
	MT_ARRAY_LEN(tls_rule_fields), .fields = tls_rule_fields, .after = check_rule};

static void read_list(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const bool tls = strcmp(n->key, "tls") == 0;
	const struct mt_field row = {"rules", MT_F_LIST, AT_LIST(struct mt_rule_list, rules),
		.sub = tls ? &tls_rule_section : &rule_section};
	struct mt_virtual_service *vs = obj;
	struct mt_rule_list *list = mt_region_push(
		&c->model->region, (void **)&vs->lists, &vs->n_lists, sizeof(*vs->lists));

	if (!list)
		return;
	list->origin = (struct mt_origin){c->file, n->key_line};
	list->name = n->key;
	mt_field_read(c, &row, n, list);
}

/* Accepts any other list as routes of the protocol in its name, which lib/conf checks. */
static bool protocol_list(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	if (n->type != MT_Y_SEQ)
		return false;
	read_list(c, n, obj);
	return true;
}

/* Rules in `tls` must match server names, their only criterion; rules in other lists must not. */
static void check_names(struct mt_fctx *c, struct mt_rule_list *list)
{
	bool tls = strcmp(list->name, "tls") == 0;

	for (uint32_t i = 0; i < list->n_rules; i++) {
		struct mt_rule *r = &list->rules[i];

		if (tls && !r->n_matches)
			mt_f_error(c, r->origin.line, "add match: [{sniHosts: [...]}]",
				"a route of TLS without server names");
		for (uint32_t k = 0; k < r->n_matches; k++) {
			struct mt_rule_match *m = &r->matches[k];

			if (tls && !m->n_sni)
				mt_f_error(c, m->origin.line, "add sniHosts",
					"a match of TLS without server names");
			else if (!tls && m->n_sni && !m->unsupported.s)
				m->unsupported = (struct mt_text){"sniHosts", m->sni[0].line};
		}
	}
}

/*
 * A VirtualService without hosts is a delegate and names no gateways. Only rules in http delegate.
 */
static void check_hosts(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_virtual_service *vs = obj;

	if (!vs->n_hosts && vs->n_gateways)
		mt_f_error(c, n->line, "add it: the services with calls to be routed",
			"the VirtualService is missing its hosts");
	for (uint32_t i = 0; i < vs->n_lists; i++) {
		check_names(c, &vs->lists[i]);
		for (uint32_t k = 0; k < vs->lists[i].n_rules; k++)
			if (vs->lists[i].rules[k].delegate &&
				strcmp(vs->lists[i].name, "http") != 0)
				mt_f_error(c, vs->lists[i].rules[k].delegate->origin.line,
					"write the route in http",
					"a rule of %.64s cannot delegate", vs->lists[i].name);
	}
}

static const struct mt_field vs_fields[] = {
	{"hosts", MT_F_TEXTS, AT_LIST(struct mt_virtual_service, hosts), .host = true,
		.max = MT_LIST_LONG,
		.help = "the services with these routes; none: for others to delegate to"},
	{"gateways", MT_F_TEXTS, AT_LIST(struct mt_virtual_service, gateways), .max = MT_LIST_SHORT,
		.length = MT_GATEWAY_TEXT,
		.help = "NAMESPACE/NAME of Gateways; `mesh` is the service's own address; default: "
			"mesh"},
	{"http", MT_F_CUSTOM, .custom = read_list, .sub = &rule_section,
		.help = "routes of calls, of every protocol with messages"},
	{"tcp", MT_F_CUSTOM, .custom = read_list,
		.help = "routes of opaque TCP (match: port only)"},
	{"tls", MT_F_CUSTOM, .custom = read_list, .sub = &tls_rule_section,
		.help = "routes of forwarded TLS by server name: at ports of opaque TCP, and at "
			"gateways with PASSTHROUGH"},
	{"exportTo", MT_F_TEXTS, AT(struct mt_virtual_service, export_to.v),
		.count = offsetof(struct mt_virtual_service, export_to.n), .max = MT_LIST_SHORT,
		.help = "namespaces of clients, as in a ServiceEntry"},
};

const struct mt_section mt_sec_virtual_service = {"VirtualService",
	sizeof(struct mt_virtual_service), MT_ARRAY_LEN(vs_fields), .fields = vs_fields,
	.unknown = protocol_list, .after = check_hosts};
