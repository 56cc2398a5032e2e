/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /config_dump: the applied configuration as envoy.admin.v3.ConfigDump, its parts in Envoy's order.
 * Resources of discovery servers are in the dynamic arrays with version and time; what documents
 * configure is in the static arrays.
 */
#include "mt_envoy_dump_priv.h"
#include "mt_history.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define DUMP "envoy.admin.v3."

struct part {
	const char *dump;  /* message that has the array */
	const char *array; /* NULL: item() writes all members in one call */
	const char *row;   /* message of one row */
	bool dynamic;
	/* Appends the rows of the next object; false: there was no further object. */
	bool (*item)(struct mt_envoy *e, const struct part *p, struct mt_text_buf *out);
};

/* ---- rows ----------------------------------------------------------------------------------- */

static json_t *time_json(uint64_t wall)
{
	time_t t = (time_t)(wall / MT_SEC);
	char text[40];
	struct tm tm;
	size_t n;

	gmtime_r(&t, &tm);
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + n, sizeof(text) - n, ".%03uZ", (unsigned int)(wall % MT_SEC / MT_MSEC));
	return json_string(text);
}

/* Time when the configuration in use was published, ns since 1970; 0: unknown. */
static uint64_t published(const struct mt_ctl *c)
{
	const struct mt_history_entry *h = NULL;

	for (uint32_t i = 0; c->env.history && (h = mt_history_at(c->env.history, i)); i++)
		if (!h->action)
			break;
	return h ? h->wall : 0;
}

/* State-of-the-world discovery has one version for the whole response. */
static const char *version_of(struct mt_xds *x, const char *type, const char *own)
{
	struct mt_xds_type_info t;

	if (own && *own)
		return own;
	for (uint32_t pos = 0; mt_xds_type_next(x, &pos, &t);)
		if (strcmp(t.type, type) == 0 && t.version && *t.version)
			return t.version;
	return "";
}

/* Looks a resource up in all discovery sources. */
static bool find(struct mt_envoy *e, const char *type, const char *name,
	struct mt_xds_resource_info *info, const char **version)
{
	for (uint32_t i = 0; i < e->c->env.n_sources; i++)
		if (mt_xds_resource_find(e->c->env.sources[i], type, name, info)) {
			*version = version_of(e->c->env.sources[i], type, info->version);
			return true;
		}
	return false;
}

/*
 * Builds a row with version and time of the resource; for documents, with the time of the
 * configuration in use.
 */
static json_t *row(struct mt_envoy *e, const struct part *p, const char *type, const char *name,
	const char *member, json_t *body)
{
	struct mt_xds_resource_info info = {0};
	uint64_t wall = published(e->c);
	const char *version = "";
	json_t *j = json_object();

	if (p->dynamic && find(e, type, name, &info, &version) && info.updated_ns &&
		e->c->env.clock)
		wall = mt_clock_wall(e->c->env.clock, info.updated_ns);
	if (e->resource) {
		char at[128];

		snprintf(at, sizeof(at), MT_ENVOY_TYPE DUMP "%s.%s", p->dump, p->row);
		mt_json_set(j, MT_M("@type", at));
	}
	if (p->dynamic)
		mt_json_set(j, MT_M("version_info", version));
	json_object_set_new(j, member, body);
	if (wall)
		mt_json_set(j, MT_M("last_updated", time_json(wall)));
	return body ? j : NULL;
}

static bool bootstrap(struct mt_envoy *e, const struct part *p, struct mt_text_buf *out)
{
	const struct mt_ctl_env *env = &e->c->env;
	const char *node = env->node ? env->node : "";
	uint64_t wall = env->clock ? mt_clock_wall(env->clock, e->c->started) : 0;
	json_t *all = json_pack("{s:{s:{s:o, s:s, s:s}, s:{s:o}}, s:o}", "bootstrap", "node", "id",
		mt_json_text(node), "cluster", "meltemi", "user_agent_name", "meltemi", "admin",
		"address", mt_envoy_address(&env->http_addr, env->http_port), "last_updated",
		time_json(wall));
	const char *name;
	json_t *j;

	json_object_foreach(all, name, j)
	{
		mt_text_add(out, ",\n  \"%s\":", name);
		e->comma = false;
		mt_envoy_put(e, out, json_incref(j));
	}
	json_decref(all);
	return false;
}

static bool clusters(struct mt_envoy *e, const struct part *p, struct mt_text_buf *out)
{
	const struct mt_cluster *cl = mt_envoy_cluster(e);

	if (cl && mt_envoy_by_api(cl) == p->dynamic && mt_envoy_wanted(e, cl->name))
		mt_envoy_put(e, out,
			row(e, p, "CDS", cl->name, "cluster", mt_envoy_cluster_json(e, cl)));
	return cl != NULL;
}

static bool endpoints(struct mt_envoy *e, const struct part *p, struct mt_text_buf *out)
{
	const struct mt_cluster *cl = mt_envoy_cluster(e);
	bool eds = cl && mt_envoy_by_api(cl) && cl->endpoints_resource;
	json_t *j;

	if (!cl || eds != p->dynamic || !mt_envoy_wanted(e, cl->name))
		return cl != NULL;
	j = mt_envoy_assignment(e, cl);
	mt_json_set(
		j, MT_M("@type", MT_ENVOY_TYPE "envoy.config.endpoint.v3.ClusterLoadAssignment"));
	mt_envoy_put(e, out,
		row(e, p, "EDS", eds ? cl->endpoints_resource : cl->name, "endpoint_config", j));
	return true;
}

/* True if the listener is from a discovery server. */
static bool is_dynamic(const struct mt_listener *l)
{
	return l->n_protos && l->protos[0].n_services && l->protos[0].services[0]->resource;
}

static bool listeners(struct mt_envoy *e, const struct part *p, struct mt_text_buf *out)
{
	const struct mt_listener *l = mt_envoy_listener(e);
	char name[512];
	json_t *j;

	if (!l || is_dynamic(l) != p->dynamic)
		return l != NULL;
	mt_envoy_listener_name(l, name, sizeof(name));
	if (!mt_envoy_wanted(e, name))
		return true;
	j = row(e, p, "LDS", name, "listener", mt_envoy_listener_json(e, l, name));
	if (p->dynamic && j) {
		json_t *type = json_object_get(j, "@type");
		json_t *outer = mt_json_object(MT_M("name", name));

		/* The state of a dynamic listener is one level below. */
		if (type)
			json_object_set(outer, "@type", type);
		json_object_del(j, "@type");
		mt_json_set(outer, MT_M("active_state", j));
		j = outer;
	}
	mt_envoy_put(e, out, j);
	return true;
}

static void routes_of(struct mt_envoy *e, const struct part *p, uint16_t port,
	const struct mt_filter_chain_proto *proto, struct mt_text_buf *out)
{
	char name[512];

	for (uint32_t i = 0; i < proto->n_services; i++) {
		const struct mt_service *s = proto->services[i];

		if (!s->routes || (s->routes_resource != NULL) != p->dynamic)
			continue;
		mt_envoy_routes_name(s, port, name, sizeof(name));
		if (mt_envoy_wanted(e, name))
			mt_envoy_put(e, out,
				row(e, p, "RDS", name, "route_config",
					mt_envoy_routes_json(e, s, name)));
	}
}

static bool routes(struct mt_envoy *e, const struct part *p, struct mt_text_buf *out)
{
	const struct mt_listener *l = mt_envoy_listener(e);

	for (uint32_t i = 0; l && i < l->n_protos; i++)
		routes_of(e, p, l->port, &l->protos[i], out);
	return l != NULL;
}

/* Names only: the dump must not show the contents of secrets. */
static bool secrets(struct mt_envoy *e, const struct part *p, struct mt_text_buf *out)
{
	struct mt_xds_resource_info info;

	for (uint32_t i = 0; i < e->c->env.n_sources; i++)
		for (const void *pos = NULL;
			mt_xds_resource_next(e->c->env.sources[i], &pos, &info);) {
			json_t *j;

			if (strcmp(info.type, "SDS") != 0 || !mt_envoy_wanted(e, info.name))
				continue;
			j = row(e, p, "SDS", info.name, "secret",
				mt_json_object(MT_M("@type", MT_ENVOY_TYPE
						       "envoy.extensions.transport_sockets.tls.v3."
						       "Secret"),
					MT_M("name", info.name)));
			mt_json_set(j, MT_M("name", info.name));
			mt_envoy_put(e, out, j);
		}
	return false;
}

static bool none(struct mt_envoy *e, const struct part *p, struct mt_text_buf *out)
{
	return false;
}

static const struct part parts[] = {
	{"BootstrapConfigDump", NULL, NULL, false, bootstrap},
	{"ClustersConfigDump", "static_clusters", "StaticCluster", false, clusters},
	{"ClustersConfigDump", "dynamic_active_clusters", "DynamicCluster", true, clusters},
	{"EndpointsConfigDump", "static_endpoint_configs", "StaticEndpointConfig", false,
		endpoints},
	{"EndpointsConfigDump", "dynamic_endpoint_configs", "DynamicEndpointConfig", true,
		endpoints},
	{"ListenersConfigDump", "static_listeners", "StaticListener", false, listeners},
	{"ListenersConfigDump", "dynamic_listeners", "DynamicListener", true, listeners},
	/* Always empty; it keeps the routes at the fifth position, where clients expect them. */
	{"ScopedRoutesConfigDump", "inline_scoped_route_configs", "InlineScopedRouteConfigs", false,
		none},
	{"RoutesConfigDump", "static_route_configs", "StaticRouteConfig", false, routes},
	{"RoutesConfigDump", "dynamic_route_configs", "DynamicRouteConfig", true, routes},
	{"SecretsConfigDump", "dynamic_active_secrets", "DynamicSecret", true, secrets},
};

/* ---- structure ------------------------------------------------------------------------------ */

static bool is_shown(const struct mt_envoy *e, const struct part *p)
{
	if (e->resource)
		return p->array && strcmp(p->array, e->resource) == 0;
	return e->with_endpoints || p->item != endpoints;
}

static void open_part(struct mt_envoy *e, const struct part *p, struct mt_text_buf *out)
{
	e->open = true;
	e->comma = false;
	e->at = 0;
	if (e->resource)
		return;
	if (!e->group || strcmp(e->group, p->dump) != 0)
		mt_text_add(out, "%s {\"@type\": \"" MT_ENVOY_TYPE DUMP "%s\"",
			e->group ? "},\n" : "", p->dump);
	e->group = p->dump;
	if (p->array)
		mt_text_add(out, ",\n  \"%s\": [", p->array);
}

static void close_part(struct mt_envoy *e, const struct part *p, struct mt_text_buf *out)
{
	if (p->array && !e->resource)
		mt_text_add(out, "]");
	e->open = false;
	e->part++;
}

/*
 * Objects per slice at most, even if the client filters all of them, to bound the control thread's
 * time.
 */
#define LOOKED_AT 2048

static bool dump(struct mt_envoy *e, struct mt_text_buf *out)
{
	if (!e->begun)
		mt_text_add(out, "{\"configs\": [\n");
	e->begun = true;
	for (int i = 0; i < LOOKED_AT && !mt_slice_full(out); i++) {
		const struct part *p = &parts[e->part];

		if (e->part == MT_ARRAY_LEN(parts)) {
			mt_text_add(out, "%s\n]}\n", e->group ? "}" : "");
			return false;
		}
		if (!is_shown(e, p)) {
			e->part++;
			continue;
		}
		if (!e->open)
			open_part(e, p, out);
		if (!p->item(e, p, out))
			close_part(e, p, out);
	}
	return true;
}

static unsigned int begin(struct mt_envoy *e, struct mt_text_buf *out)
{
	const char *wanted = NULL;
	unsigned int status = mt_envoy_filter(e, "name_regex", out);

	e->type = "application/json";
	e->with_endpoints = mt_envoy_arg(e, "include_eds", NULL);
	if (status != MHD_HTTP_OK)
		return status;
	if (mt_envoy_arg(e, "mask", NULL)) {
		mt_text_add(out, "?mask= is not supported: ?resource= selects an array, and "
				 "?name_regex= its rows\n");
		return MHD_HTTP_BAD_REQUEST;
	}
	if (!mt_envoy_arg(e, "resource", &wanted))
		return MHD_HTTP_OK;
	for (size_t i = 0; i < MT_ARRAY_LEN(parts); i++)
		if (parts[i].array && strcmp(parts[i].array, wanted) == 0)
			e->resource = parts[i].array;
	if (e->resource)
		return MHD_HTTP_OK;
	mt_text_add(out, "%.64s not found in config dump\n", wanted);
	return MHD_HTTP_NOT_FOUND;
}

const struct mt_envoy_page mt_envoy_dump[] = {
	{"/config_dump",
		"the active configuration: ?include_eds, ?resource=dynamic_active_clusters, "
		"?name_regex=REGEX",
		begin, dump},
	{.path = NULL},
};
