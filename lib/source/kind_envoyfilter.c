/* SPDX-License-Identifier: Apache-2.0 */
/*
 * EnvoyFilter: reads only patches in which a MetaProtocolProxy replaces a listener's TCP proxy.
 * Their value is protobuf JSON, so names are accepted in camelCase and snake_case.
 */
#include "mt_fields.h"

#include <stdlib.h>
#include <string.h>

#define PROXY_TYPE "aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy"

static void set_cond(
	struct mt_fctx *c, const struct mt_ynode *n, struct mt_cond *cond, enum mt_cond_op op)
{
	if (mt_want_scalar(c, n, "a text")) {
		cond->op = op;
		cond->value = (struct mt_text){n->text, n->line};
	}
}

struct op_name {
	const char *name;
	enum mt_cond_op op;
};

/* Names of HeaderMatcher and of StringMatcher. */
static const struct op_name op_names[] = {{"exactMatch", MT_COND_EXACT},
	{"exact_match", MT_COND_EXACT}, {"exact", MT_COND_EXACT}, {"prefixMatch", MT_COND_PREFIX},
	{"prefix_match", MT_COND_PREFIX}, {"prefix", MT_COND_PREFIX},
	{"suffixMatch", MT_COND_SUFFIX}, {"suffix_match", MT_COND_SUFFIX},
	{"suffix", MT_COND_SUFFIX}, {"containsMatch", MT_COND_CONTAINS},
	{"contains_match", MT_COND_CONTAINS}, {"contains", MT_COND_CONTAINS}};

static void read_op(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(op_names); i++)
		if (strcmp(op_names[i].name, n->key) == 0)
			set_cond(c, n, obj, op_names[i].op);
}

static void read_safe_regex(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_ynode *regex = mt_yaml_get(n, "regex");

	if (regex)
		set_cond(c, regex, obj, MT_COND_REGEX);
	else
		mt_f_error(c, n->line, "write {regex: TEXT}", "no regex");
}

/* presentMatch: false means that the key must be absent. */
static void read_present(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_num yes = {0};
	struct mt_cond *cond = obj;

	if (mt_read_bool(c, n, &yes)) {
		cond->op = MT_COND_PRESENT;
		cond->invert ^= !yes.v;
	}
}

static void read_invert(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_num yes = {0};

	if (mt_read_bool(c, n, &yes))
		((struct mt_cond *)obj)->invert ^= yes.v;
}

static void read_ignore_case(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_num yes = {0};

	if (mt_read_bool(c, n, &yes))
		((struct mt_cond *)obj)->ignore_case = yes.v;
}

static void read_missing(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_num yes = {0};

	if (mt_read_bool(c, n, &yes))
		((struct mt_cond *)obj)->missing_as_empty = yes.v;
}

static bool read_i64(struct mt_fctx *c, const struct mt_ynode *n, int64_t *out)
{
	char *end;

	if (!n || n->type != MT_Y_SCALAR || *n->text == '\0')
		return false;
	*out = strtoll(n->text, &end, 10);
	return *end == '\0';
}

static void read_range(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_cond *cond = obj;

	cond->op = MT_COND_RANGE;
	cond->value = (struct mt_text){"range", n->line};
	if (!read_i64(c, mt_yaml_get(n, "start"), &cond->lo) ||
		!read_i64(c, mt_yaml_get(n, "end"), &cond->hi) || cond->lo >= cond->hi)
		mt_f_error(c, n->line, "write {start: N, end: M} with N below M", "not a range");
}

static const struct mt_field string_fields[] = {
	{"exact", MT_F_CUSTOM, .custom = read_op, .help = "the whole value"},
	{"prefix", MT_F_CUSTOM, .custom = read_op, .help = "the start of the value"},
	{"suffix", MT_F_CUSTOM, .custom = read_op, .help = "the end of the value"},
	{"contains", MT_F_CUSTOM, .custom = read_op, .help = "a part of the value"},
	{"safeRegex", MT_F_CUSTOM, .custom = read_safe_regex,
		.help = "{regex}: RE2, matched with the whole value"},
	{"ignoreCase", MT_F_CUSTOM, .custom = read_ignore_case,
		.help = "true: letters match in either case"},
};

static const struct mt_section string_section = {"stringMatch", sizeof(struct mt_cond),
	MT_ARRAY_LEN(string_fields), .fields = string_fields, .snake = true};

static const struct mt_field matcher_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_cond, key), .required = true, .help = "the metadata key"},
	{"exactMatch", MT_F_CUSTOM, .custom = read_op, .help = "the whole value"},
	{"prefixMatch", MT_F_CUSTOM, .custom = read_op, .help = "the start of the value"},
	{"suffixMatch", MT_F_CUSTOM, .custom = read_op, .help = "the end of the value"},
	{"containsMatch", MT_F_CUSTOM, .custom = read_op, .help = "a part of the value"},
	{"safeRegexMatch", MT_F_CUSTOM, .custom = read_safe_regex,
		.help = "{regex}: RE2, matched with the whole value"},
	{"rangeMatch", MT_F_CUSTOM, .custom = read_range,
		.help = "{start, end}: a number from start to end, without end"},
	{"presentMatch", MT_F_CUSTOM, .custom = read_present,
		.help = "true: the key is present; false: it is absent"},
	{"invertMatch", MT_F_CUSTOM, .custom = read_invert,
		.help = "true: matches if the other conditions do not"},
	{"stringMatch", MT_F_OBJECT, .sub = &string_section,
		.help = "the same conditions in Envoy's newer form"},
	{"treatMissingHeaderAsEmpty", MT_F_CUSTOM, .custom = read_missing,
		.help = "true: an absent key counts as an empty value"},
};

static const struct mt_section matcher_section = {"matcher", sizeof(struct mt_cond),
	MT_ARRAY_LEN(matcher_fields), .fields = matcher_fields, .snake = true};

static void read_matchers(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	if (!mt_want_list(c, n, "a list of matchers"))
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push_index(c, ((struct mt_rule_match *)obj)->n_conds);
		struct mt_cond *cond = mt_add_cond(c, k, obj);

		if (!cond)
			return;
		cond->op = MT_COND_PRESENT;
		mt_section_read(c, &matcher_section, k, cond);
		mt_path_pop(c, mark);
	}
}

static const struct mt_field match_fields[] = {
	{"metadata", MT_F_CUSTOM, .custom = read_matchers, .sub = &matcher_section,
		.help = "conditions that must all match"},
};

static const struct mt_section match_section = {"match", sizeof(struct mt_rule_match),
	MT_ARRAY_LEN(match_fields), .fields = match_fields, .snake = true};

static const struct mt_field weight_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_rule_dest, cluster), .required = true,
		.help = "cluster: outbound|PORT|SUBSET|HOST"},
	{"weight", MT_F_NUM, AT(struct mt_rule_dest, weight), .max = 1000000, .required = true,
		.help = "its share of the sum"},
};

static const struct mt_section weight_section = {"weighted cluster", sizeof(struct mt_rule_dest),
	MT_ARRAY_LEN(weight_fields), .fields = weight_fields, .snake = true};

/* The next three sections fill the same struct mt_rule from nested maps. */
static const struct mt_field weighted_fields[] = {
	{"clusters", MT_F_LIST, AT_LIST(struct mt_rule, dests), .sub = &weight_section,
		.help = "the clusters with their shares"},
	{"totalWeight", MT_F_SKIP, .quiet = true, .help = "the sum of the weights is used"},
};

static const struct mt_section weighted_section = {"weightedClusters", sizeof(struct mt_rule),
	MT_ARRAY_LEN(weighted_fields), .fields = weighted_fields, .snake = true};

static void read_cluster(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_rule *r = obj;

	r->dests = mt_region_alloc(&c->model->region, sizeof(*r->dests));
	if (!r->dests || !mt_read_text(c, n, &r->dests->cluster))
		return;
	r->dests->origin = (struct mt_origin){c->file, n->line};
	r->n_dests = 1;
}

static const struct mt_field action_fields[] = {
	{"cluster", MT_F_CUSTOM, .custom = read_cluster,
		.help = "the cluster: outbound|PORT|SUBSET|HOST"},
	{"weightedClusters", MT_F_OBJECT, .sub = &weighted_section, .help = "several clusters"},
	{"hashPolicy", MT_F_TEXTS, AT_LIST(struct mt_rule, hash_keys),
		.help = "metadata keys for hash balancers, instead of their clusters' own; the "
			"first 4 are used"},
	{"requestMirrorPolicies", MT_F_LATER, .help = "use a MetaRouter's mirror"},
};

static const struct mt_section action_section = {"route action", sizeof(struct mt_rule),
	MT_ARRAY_LEN(action_fields), .fields = action_fields, .snake = true};

static void read_rule_match(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_rule *r = obj;

	r->matches = mt_region_alloc(&c->model->region, sizeof(*r->matches));
	if (!r->matches)
		return;
	r->n_matches = 1;
	mt_section_read(c, &match_section, n, r->matches);
}

static const struct mt_field rule_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_rule, name), .help = "the route's name in counters"},
	{"match", MT_F_CUSTOM, .custom = read_rule_match, .sub = &match_section,
		.help = "calls that the route applies to; none: all"},
	{"route", MT_F_OBJECT, .sub = &action_section, .required = true,
		.help = "the cluster or clusters"},
	{"requestMutation", MT_F_LIST, AT_LIST(struct mt_rule, req_mut), .sub = &mt_sec_mutation,
		.help = "metadata to set in requests"},
	{"responseMutation", MT_F_LIST, AT_LIST(struct mt_rule, rsp_mut), .sub = &mt_sec_mutation,
		.help = "metadata to set in replies"},
};

static void check_rule(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_rule *r = obj;
	uint64_t sum = 0;

	for (uint32_t i = 0; i < r->n_dests; i++)
		sum += r->dests[i].weight.v;
	if (!r->n_dests)
		mt_f_error(
			c, n->line, "add cluster or weightedClusters", "the route leads nowhere");
	else if (r->n_dests > 1 && !sum)
		mt_f_error(c, n->line, "give the clusters weights", "all weights are 0");
}

static const struct mt_section rule_section = {"route", sizeof(struct mt_rule),
	MT_ARRAY_LEN(rule_fields), .fields = rule_fields, .snake = true, .after = check_rule};

static const struct mt_field config_fields[] = {
	{"name", MT_F_SKIP, .quiet = true, .help = "name of the table in Envoy"},
	{"routes", MT_F_LIST, AT_LIST(struct mt_rule_list, rules), .sub = &rule_section,
		.help = "the first that matches is used"},
};

static const struct mt_section config_section = {"routeConfig", sizeof(struct mt_rule_list),
	MT_ARRAY_LEN(config_fields), .fields = config_fields, .snake = true};

static const struct mt_field condition_fields[] = {
	{"match", MT_F_POINTER, AT(struct mt_limit_cond, match), .sub = &match_section,
		.required = true, .help = "calls that the condition applies to"},
	{"tokenBucket", MT_F_POINTER, AT(struct mt_limit_cond, bucket), .sub = &mt_sec_bucket,
		.required = true, .help = "the bucket of these calls"},
};

static const struct mt_section condition_section = {"condition", sizeof(struct mt_limit_cond),
	MT_ARRAY_LEN(condition_fields), .fields = condition_fields, .snake = true};

static const struct mt_field limit_fields[] = {
	{"@type", MT_F_SKIP, .quiet = true, .help = "type of the message"},
	{"statPrefix", MT_F_SKIP, .quiet = true, .help = "part of Envoy's statistics names"},
	{"tokenBucket", MT_F_POINTER, AT(struct mt_limit_conf, bucket), .sub = &mt_sec_bucket,
		.help = "for calls that no condition matches"},
	{"conditions", MT_F_LIST, AT_LIST(struct mt_limit_conf, conds), .sub = &condition_section,
		.max = MT_LIST_CONDITIONS,
		.help = "the first that matches decides, by its own bucket"},
};

static const struct mt_section limit_section = {"local_ratelimit", sizeof(struct mt_limit_conf),
	MT_ARRAY_LEN(limit_fields), .fields = limit_fields, .snake = true};

static void read_limit(struct mt_fctx *c, const struct mt_ynode *n, struct mt_proxy_patch *p)
{
	const struct mt_ynode *config = mt_yaml_get(n, "config");
	uint32_t mark = mt_path_push(c, "config");

	p->limit = mt_region_alloc(&c->model->region, sizeof(*p->limit));
	if (!config)
		mt_f_error(c, n->line, "add config:", "the limit has no config");
	else if (p->limit)
		mt_section_read(c, &limit_section, config, p->limit);
	mt_path_pop(c, mark);
}

/*
 * Reads one filter. Accepts filters without a warning if Meltemi does their work anyway, or has no
 * work for them.
 */
static void read_filter(struct mt_fctx *c, const struct mt_ynode *n, struct mt_proxy_patch *p)
{
	static const char *const silent[] = {"router", "metadata_exchange", "istio_stats"};
	static const char prefix[] = "aeraki.meta_protocol.filters.";
	const struct mt_ynode *name = mt_yaml_get(n, "name");
	const char *word;

	if (!name || name->type != MT_Y_SCALAR) {
		mt_f_error(c, n->line, "add name:", "a filter without a name");
		return;
	}
	word = name->text;
	if (strncmp(word, prefix, sizeof(prefix) - 1) == 0)
		word += sizeof(prefix) - 1;
	for (size_t i = 0; i < MT_ARRAY_LEN(silent); i++)
		if (strcmp(word, silent[i]) == 0)
			return;
	if (strcmp(word, "local_ratelimit") == 0)
		read_limit(c, n, p);
	else if (strcmp(word, "ratelimit") == 0)
		mt_f_warn(c, name->line, NULL,
			"accepted, not enforced: global rate limits are not applied");
	else
		mt_f_error(c, name->line, "use local_ratelimit or router",
			"unknown filter \"%.64s\"", name->text);
}

static void read_filters(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	uint32_t i = 0;

	if (!mt_want_list(c, n, "a list of filters"))
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push_index(c, i++);

		read_filter(c, k, obj);
		mt_path_pop(c, mark);
	}
}

static void read_codec(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_ynode *name = mt_yaml_get(n, "name");

	if (name && !mt_is_empty(name))
		mt_read_text(c, name, &((struct mt_proxy_patch *)obj)->codec);
	else
		mt_f_error(c, n->line, "write {name: aeraki.meta_protocol.codec.NAME}",
			"no codec name");
}

/* protocol: the newer spelling of applicationProtocol and codec; fills the same patch. */
static const struct mt_field protocol_fields[] = {
	{"name", MT_F_TEXT, AT(struct mt_proxy_patch, protocol), .help = "the protocol's name"},
	{"codec", MT_F_CUSTOM, .custom = read_codec,
		.help = "{name: aeraki.meta_protocol.codec.NAME}"},
	{"multiplexing", MT_F_BOOL, AT(struct mt_proxy_patch, multiplexing),
		.help = "calls of several clients share connections to servers; default: the "
			"codec's choice"},
};

static const struct mt_section protocol_section = {"protocol", sizeof(struct mt_proxy_patch),
	MT_ARRAY_LEN(protocol_fields), .fields = protocol_fields, .snake = true};

/* find_proxy() has read it. */
static void read_type(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
}

static const struct mt_field proxy_fields[] = {
	{"@type", MT_F_CUSTOM, .custom = read_type,
		.help = "a MetaProtocolProxy; patches with other filters are not applied"},
	{"statPrefix", MT_F_SKIP, .quiet = true, .help = "part of Envoy's statistics names"},
	{"applicationProtocol", MT_F_TEXT, AT(struct mt_proxy_patch, protocol),
		.help = "the protocol's name"},
	{"codec", MT_F_CUSTOM, .custom = read_codec,
		.help = "{name: aeraki.meta_protocol.codec.NAME}"},
	{"protocol", MT_F_OBJECT, .sub = &protocol_section,
		.help = "instead of applicationProtocol and codec"},
	{"rds", MT_F_SKIP, .quiet = true,
		.help = "routes come from MetaRouter and VirtualService documents"},
	{"routeConfig", MT_F_OBJECT, AT(struct mt_proxy_patch, routes), .sub = &config_section,
		.help = "routes of this listener, instead of those of other documents"},
	{"metaProtocolFilters", MT_F_CUSTOM, .custom = read_filters,
		.help = "local_ratelimit, counted for each endpoint in its inbound listener; "
			"router, metadata_exchange and istio_stats have no effect"},
	{"idleTimeout", MT_F_DURATION, AT(struct mt_proxy_patch, idle_ms), .min = 1000,
		.help = "longest silence of a client's connection; default: 1h"},
	{"tracing", MT_F_LATER, .help = "Telemetry decides about traces"},
	{"accessLog", MT_F_LATER, .help = "the MeshConfig alone decides about access logs"},
};

static const struct mt_section proxy_section = {"MetaProtocolProxy", sizeof(struct mt_proxy_patch),
	MT_ARRAY_LEN(proxy_fields), .fields = proxy_fields, .snake = true};

static const struct mt_ynode *either(const struct mt_ynode *n, const char *a, const char *b)
{
	const struct mt_ynode *v = mt_yaml_get(n, a);

	return v ? v : mt_yaml_get(n, b);
}

/* The MetaProtocolProxy inside a patch: as it is, or in a TypedStruct. NULL: another filter. */
static const struct mt_ynode *find_proxy(const struct mt_ynode *patch)
{
	const struct mt_ynode *typed =
		either(mt_yaml_get(patch, "value"), "typed_config", "typedConfig");
	const struct mt_ynode *type = mt_yaml_get(typed, "@type");

	if (!type || type->type != MT_Y_SCALAR)
		return NULL;
	if (strcmp(mt_type_of_url(type->text), PROXY_TYPE) == 0)
		return typed;
	if (!mt_is_typed_struct(type))
		return NULL;
	type = either(typed, "type_url", "typeUrl");
	if (!type || type->type != MT_Y_SCALAR ||
		strcmp(mt_type_of_url(type->text), PROXY_TYPE) != 0)
		return NULL;
	return mt_yaml_get(typed, "value");
}

/* Reads address and port from a listener name like "240.240.0.1_20880". */
static bool read_listener(struct mt_fctx *c, const struct mt_ynode *match, struct mt_proxy_patch *p)
{
	const struct mt_ynode *name = mt_yaml_get(mt_yaml_get(match, "listener"), "name");
	struct mt_ynode port = {.type = MT_Y_SCALAR};
	const char *sep;

	if (!name || name->type != MT_Y_SCALAR) {
		mt_f_error(c, match ? match->line : p->origin.line,
			"add match.listener.name: ADDRESS_PORT", "the patch names no listener");
		return false;
	}
	sep = strrchr(name->text, '_');
	port.text = sep ? sep + 1 : "";
	port.line = name->line;
	p->listener = (struct mt_text){name->text, name->line};
	if (!sep || mt_addr_parse(mt_region_strndup(&c->model->region, name->text,
					  (size_t)(sep - name->text)),
			    &p->addr)) {
		mt_f_error(c, name->line, "write it like 240.240.0.1_20880",
			"\"%.64s\" is not an address and a port", name->text);
		return false;
	}
	return mt_read_num(c, &port, 1, 65535, &p->port);
}

static bool is_word(const struct mt_ynode *n, const char *word)
{
	return n && n->type == MT_Y_SCALAR && strcmp(n->text, word) == 0;
}

/* True for the inbound listener of a server's sidecar. */
static bool is_inbound(const struct mt_ynode *match)
{
	return is_word(mt_yaml_get(mt_yaml_get(match, "listener"), "name"), "virtualInbound") ||
	       is_word(mt_yaml_get(match, "context"), "SIDECAR_INBOUND");
}

/* Reads the port from the filter chain; without one the patch applies to any port. */
static bool read_inbound(struct mt_fctx *c, const struct mt_ynode *match, struct mt_proxy_patch *p)
{
	const struct mt_ynode *listener = mt_yaml_get(match, "listener");
	const struct mt_ynode *port =
		mt_yaml_get(mt_yaml_get(listener, "filterChain"), "destinationPort");

	return !port || mt_yaml_is_null(port) || mt_read_num(c, port, 1, 65535, &p->port);
}

/* Warns about routes and mutations, because an inbound patch can only limit calls. */
static void check_inbound(struct mt_fctx *c, const struct mt_proxy_patch *p)
{
	const struct mt_rule *r = p->routes.n_rules ? p->routes.rules : NULL;

	if (r && (p->routes.n_rules > 1 || r->n_matches || r->n_req_mut || r->n_rsp_mut))
		mt_f_warn(c, r->origin.line, NULL,
			"accepted, not enforced: calls that arrive at a server are not routed "
			"again");
}

static const char *word_of(const struct mt_ynode *n)
{
	return n && n->type == MT_Y_SCALAR ? n->text : "(none)";
}

/*
 * Warns about any other patch, whose effect would be missed in traffic if it were ignored silently.
 */
static void read_patch(struct mt_fctx *c, const struct mt_ynode *n, struct mt_envoy_filter *ef)
{
	const struct mt_ynode *apply = mt_yaml_get(n, "applyTo");
	const struct mt_ynode *patch = mt_yaml_get(n, "patch");
	const struct mt_ynode *op = mt_yaml_get(patch, "operation");
	const struct mt_ynode *proxy = find_proxy(patch);
	struct mt_proxy_patch *p, tmp = {.origin = {c->file, n->line}};
	bool inbound;

	if (!proxy || !is_word(apply, "NETWORK_FILTER") || !is_word(op, "REPLACE")) {
		mt_f_warn(c, n->line,
			"only NETWORK_FILTER REPLACE by a MetaProtocolProxy is understood",
			"%.64s %.64s of %s is not applied", word_of(apply), word_of(op),
			proxy ? "a MetaProtocolProxy" : "another filter");
		return;
	}
	inbound = is_inbound(mt_yaml_get(n, "match"));
	if (inbound ? !read_inbound(c, mt_yaml_get(n, "match"), &tmp)
		    : !read_listener(c, mt_yaml_get(n, "match"), &tmp))
		return;
	p = inbound ? mt_region_push(
			      &c->model->region, (void **)&ef->inbound, &ef->n_inbound, sizeof(*p))
		    : mt_region_push(
			      &c->model->region, (void **)&ef->patches, &ef->n_patches, sizeof(*p));
	if (!p)
		return;
	*p = tmp;
	p->routes.name = "routeConfig.routes";
	mt_path_push(c, "patch.value");
	mt_section_read(c, &proxy_section, proxy, p);
	if (inbound)
		check_inbound(c, p);
}

static void read_patches(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	uint32_t i = 0;

	if (!mt_want_list(c, n, "a list of patches"))
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push_index(c, i++);

		((struct mt_envoy_filter *)obj)->n_written++;
		read_patch(c, k, obj);
		mt_path_pop(c, mark);
	}
}

static void read_selector(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	static const struct mt_field row = {"labels", MT_F_LABELS,
		AT(struct mt_envoy_filter, selector), .length = MT_LABEL_TEXT};
	const struct mt_ynode *labels = mt_yaml_get(n, "labels");

	if (mt_want_map(c, n, "a map of labels") && labels && !mt_yaml_is_null(labels))
		mt_field_read(c, &row, labels, obj);
}

static const struct mt_field filter_fields[] = {
	{"configPatches", MT_F_CUSTOM, .custom = read_patches, .sub = &proxy_section,
		.required = true, .help = "the patches, each with a MetaProtocolProxy"},
	{"workloadSelector", MT_F_CUSTOM, .custom = read_selector,
		.help = "`labels`: all must be among the Node's metadata.labels"},
	{"targetRefs", MT_F_LIST, .offset = offsetof(struct mt_envoy_filter, targets),
		.count = offsetof(struct mt_envoy_filter, n_targets), .sub = &mt_sec_policy_target,
		.max = MT_LIST_SHORT,
		.help = "instead of a selector; gateways and waypoints get no MetaProtocolProxy"},
	{"priority", MT_F_SKIP, .help = "order of filters in Istio"},
};

static void check_filter(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_envoy_filter *ef = obj;

	if (ef->selector.n_kv && ef->n_targets)
		mt_f_error(c, ef->targets[0].origin.line, "keep one of them",
			"workloadSelector and targetRefs exclude each other");
}

const struct mt_section mt_sec_envoy_filter = {"EnvoyFilter", sizeof(struct mt_envoy_filter),
	MT_ARRAY_LEN(filter_fields), .fields = filter_fields, .after = check_filter};
