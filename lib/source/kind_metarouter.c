/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_fields.h"

#include <stdlib.h>
#include <string.h>

static const struct mt_field match_fields[] = {
	{"attributes", MT_F_CUSTOM, .custom = mt_read_string_matches,
		.help = "metadata key to {exact}, {prefix} or {regex}; {} matches if the key is "
			"present; all must match"},
};

static const struct mt_section match_section = {
	"match", sizeof(struct mt_rule_match), MT_ARRAY_LEN(match_fields), .fields = match_fields};

static void read_match(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
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
	{"match", MT_F_CUSTOM, .custom = read_match, .sub = &match_section,
		.help = "calls that the route applies to; none: all"},
	{"route", MT_F_LIST, AT_LIST(struct mt_rule, dests), .sub = &mt_sec_rule_dest,
		.required = true, .help = "the destinations with their shares"},
	{"timeout", MT_F_DURATION, AT(struct mt_rule, timeout),
		.help = "longest time of a call; default: the deadline in the message, else "
			"`spec.defaults.timeout` of the Node. A field of Meltemi: Aeraki's "
			"MetaRouter has none"},
	{"mirror", MT_F_POINTER, AT(struct mt_rule, mirror), .sub = &mt_sec_mirror_dest,
		.help = "destination of a copy of each request; its reply is dropped"},
	{"mirrorPercentage", MT_F_POINTER, AT(struct mt_rule, mirror_percent),
		.sub = &mt_sec_percent,
		.help = "percentage of calls that are copied; default: all"},
	{"requestMutation", MT_F_LIST, AT_LIST(struct mt_rule, req_mut), .sub = &mt_sec_mutation,
		.help = "metadata to set in requests"},
	{"responseMutation", MT_F_LIST, AT_LIST(struct mt_rule, rsp_mut), .sub = &mt_sec_mutation,
		.help = "metadata to set in replies"},
};

static void check_rule(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_rule *r = obj;

	if (!r->n_dests && mt_yaml_get(n, "route"))
		mt_f_error(
			c, n->line, "add route: [{destination: ...}]", "the route leads nowhere");
	if (r->mirror_percent && !r->mirror)
		mt_f_error(c, r->mirror_percent->origin.line, "add mirror, or remove it",
			"a mirror's share without a mirror");
	if (r->n_req_mut > 1000 || r->n_rsp_mut > 1000)
		mt_f_error(c, n->line, "1,000 at most", "too many mutations");
	mt_rule_weights(c, r);
}

static const struct mt_section rule_section = {"route", sizeof(struct mt_rule),
	MT_ARRAY_LEN(rule_fields), .fields = rule_fields, .after = check_rule};

static const struct mt_field condition_fields[] = {
	{"match", MT_F_POINTER, AT(struct mt_limit_cond, match), .sub = &match_section,
		.required = true, .help = "calls that the condition applies to"},
	{"tokenBucket", MT_F_POINTER, AT(struct mt_limit_cond, bucket), .sub = &mt_sec_bucket,
		.required = true, .help = "the bucket of these calls"},
};

static const struct mt_section condition_section = {"condition", sizeof(struct mt_limit_cond),
	MT_ARRAY_LEN(condition_fields), .fields = condition_fields};

static const struct mt_field limit_fields[] = {
	{"tokenBucket", MT_F_POINTER, AT(struct mt_limit_conf, bucket), .sub = &mt_sec_bucket,
		.help = "for calls that no condition matches; none: they pass"},
	{"conditions", MT_F_LIST, AT_LIST(struct mt_limit_conf, conds), .sub = &condition_section,
		.max = MT_LIST_CONDITIONS,
		.help = "the first that matches decides, by its own bucket"},
};

static void check_limit(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_limit_conf *l = obj;

	if (!l->bucket && !l->n_conds)
		mt_f_error(c, n->line, "add tokenBucket or conditions", "the limit limits nothing");
}

const struct mt_section mt_sec_limit = {"rate limit", sizeof(struct mt_limit_conf),
	MT_ARRAY_LEN(limit_fields), .fields = limit_fields, .after = check_limit};

static const struct mt_field descriptor_fields[] = {
	{"property", MT_F_TEXT, AT(struct mt_global_descriptor, property), .required = true,
		.help = "metadata key; a call without it has an empty value"},
	{"descriptorKey", MT_F_TEXT, AT(struct mt_global_descriptor, key), .required = true,
		.help = "name of the value in the service's configuration"},
};

static const struct mt_section descriptor_section = {"descriptor",
	sizeof(struct mt_global_descriptor), MT_ARRAY_LEN(descriptor_fields),
	.fields = descriptor_fields};

static const struct mt_field global_fields[] = {
	{"match", MT_F_POINTER, AT(struct mt_global_conf, match), .sub = &match_section,
		.help = "calls that are limited; none: all"},
	{"domain", MT_F_TEXT, AT(struct mt_global_conf, domain), .required = true,
		.help = "domain of the limit in the service's configuration"},
	{"requestTimeout", MT_F_DURATION, AT(struct mt_global_conf, timeout), .min = 1,
		.max = 600000,
		.help = "longest wait of a call for the service, within the call's own timeout; "
			"default: 20ms"},
	{"denyOnFail", MT_F_BOOL, AT(struct mt_global_conf, deny_on_fail),
		.help = "true: calls are refused if the service gives no answer; default: false, "
			"they pass"},
	{"rateLimitService", MT_F_TEXT, AT(struct mt_global_conf, service), .required = true,
		.help = "the service, as Istio names its cluster: `outbound|PORT||HOST`"},
	{"descriptors", MT_F_LIST, AT_LIST(struct mt_global_conf, descriptors),
		.sub = &descriptor_section, .required = true, .max = 16,
		.help = "metadata that the service counts by; each is a descriptor of one entry"},
};

/* `outbound|8081||ratelimit.shop.svc.cluster.local`, without a subset. */
static bool read_cluster(struct mt_fctx *c, struct mt_global_conf *g)
{
	static const char direction[] = "outbound|";
	const char *port;
	unsigned long number;
	char *end;

	if (strncmp(g->service.s, direction, sizeof(direction) - 1) != 0)
		return false;
	port = g->service.s + sizeof(direction) - 1;
	if (*port < '0' || *port > '9')
		return false;
	number = strtoul(port, &end, 10);
	if (number == 0 || number > 65535 || strncmp(end, "||", 2) != 0 || !end[2] ||
		strchr(end + 2, '|'))
		return false;
	g->port = (struct mt_num){(uint32_t)number, g->service.line, true};
	g->host = (struct mt_text){mt_region_strdup(&c->model->region, end + 2), g->service.line};
	return true;
}

/* Bytes of the domain and all keys: a query has 8 KiB, also for the values of a call. */
#define TEXTS_MAX 2048

static size_t bytes_of(const struct mt_global_conf *g)
{
	size_t bytes = g->domain.s ? strlen(g->domain.s) : 0;

	for (uint32_t i = 0; i < g->n_descriptors; i++)
		bytes += g->descriptors[i].key.s ? strlen(g->descriptors[i].key.s) : 0;
	return bytes;
}

static void check_global(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_global_conf *g = obj;
	size_t bytes = bytes_of(g);

	if (g->service.s && !read_cluster(c, g))
		mt_f_error(c, g->service.line, "write outbound|PORT||HOST",
			"rateLimitService is not the name of a cluster of Istio without a subset");
	if (!g->n_descriptors && mt_yaml_get(n, "descriptors"))
		mt_f_error(c, n->line, "add descriptors: [{property: ..., descriptorKey: ...}]",
			"the limit has no descriptors");
	if (bytes > TEXTS_MAX)
		mt_f_error(c, n->line, "write at most 2048",
			"the domain and the descriptors' keys have %zu bytes", bytes);
}

static const struct mt_section global_section = {"global rate limit", sizeof(struct mt_global_conf),
	MT_ARRAY_LEN(global_fields), .fields = global_fields, .after = check_global};

static void read_routes(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	static const struct mt_field row = {
		"rules", MT_F_LIST, AT_LIST(struct mt_rule_list, rules), .sub = &rule_section};
	struct mt_meta_router *mr = obj;

	mr->routes.origin = (struct mt_origin){c->file, n->key_line};
	mr->routes.name = "routes";
	mt_field_read(c, &row, n, &mr->routes);
}

static const struct mt_field router_fields[] = {
	{"hosts", MT_F_TEXTS, AT_LIST(struct mt_meta_router, hosts), .required = true, .host = true,
		.max = MT_LIST_LONG, .help = "exactly one host, the service"},
	{"gateways", MT_F_TEXTS, AT_LIST(struct mt_meta_router, gateways), .max = MT_LIST_SHORT,
		.length = MT_GATEWAY_TEXT,
		.help = "NAMESPACE/NAME of Gateways that route to this router as well"},
	{"routes", MT_F_CUSTOM, .custom = read_routes, .sub = &rule_section,
		.help = "the first that matches is used. They replace the routes and timeouts of "
			"the "
			"host's VirtualService; none: those stay, else all calls go to the host"},
	{"localRateLimit", MT_F_POINTER, AT(struct mt_meta_router, limit), .sub = &mt_sec_limit,
		.help = "a limit of calls, exact over all workers of the node"},
	{"globalRateLimit", MT_F_POINTER, AT(struct mt_meta_router, global), .sub = &global_section,
		.help = "a limit of calls that a rate limit service counts for several nodes"},
	{"exportTo", MT_F_TEXTS, AT(struct mt_meta_router, export_to.v),
		.count = offsetof(struct mt_meta_router, export_to.n), .max = MT_LIST_SHORT,
		.help = "namespaces of clients, as in a ServiceEntry"},
};

static void check_router(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_meta_router *mr = obj;
	const struct mt_ynode *hosts = mt_yaml_get(n, "hosts");

	if (hosts && hosts->type == MT_Y_SEQ && mr->n_hosts != 1)
		mt_f_error(c, hosts->line, "write one MetaRouter for each host",
			"a MetaRouter is for exactly one host, not %u", mr->n_hosts);
}

const struct mt_section mt_sec_meta_router = {"MetaRouter", sizeof(struct mt_meta_router),
	MT_ARRAY_LEN(router_fields), .fields = router_fields, .after = check_router};
