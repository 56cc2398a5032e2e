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
	const char *dump;	      /* message that has the array */
	const char *array;	      /* NULL: item() writes all members in one call */
	const char *row;	      /* message of one row */
	const char *of_dump, *of_row; /* fields of both messages, for masks */
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
	const struct mt_history_entry *h = c->env.history ? mt_history_at(c->env.history, 0) : NULL;

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
		json_object_set_new(j, "@type", json_string(at));
	}
	if (p->dynamic)
		json_object_set_new(j, "version_info", mt_json_text(version));
	json_object_set_new(j, member, body);
	if (wall)
		json_object_set_new(j, "last_updated", time_json(wall));
	return body ? j : NULL;
}

/* Appends a row. If a single array was requested, the mask applies to each of its rows. */
static void put(struct mt_envoy *e, struct mt_text_buf *out, json_t *j)
{
	if (e->resource && j)
		e->mask_bad |= !mt_envoy_mask_trim(&e->mask, j);
	mt_envoy_put(e, out, j);
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

	mt_envoy_mask_trim(&e->mask, all);
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
		put(e, out, row(e, p, "CDS", cl->name, "cluster", mt_envoy_cluster_json(e, cl)));
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
	json_object_set_new(j, "@type",
		json_string(MT_ENVOY_TYPE "envoy.config.endpoint.v3.ClusterLoadAssignment"));
	put(e, out,
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
		json_t *outer = json_pack("{s:o}", "name", mt_json_text(name));

		/* The state of a dynamic listener is one level below. */
		if (type)
			json_object_set(outer, "@type", type);
		json_object_del(j, "@type");
		json_object_set_new(outer, "active_state", j);
		j = outer;
	}
	put(e, out, j);
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
			put(e, out,
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
				json_pack("{s:s, s:o}", "@type",
					MT_ENVOY_TYPE "envoy.extensions.transport_sockets.tls.v3."
						      "Secret",
					"name", mt_json_text(info.name)));
			json_object_set_new(j, "name", mt_json_text(info.name));
			put(e, out, j);
		}
	return false;
}

static bool none(struct mt_envoy *e, const struct part *p, struct mt_text_buf *out)
{
	return false;
}

#define OF_CLUSTERS  "version_info static_clusters dynamic_active_clusters dynamic_warming_clusters"
#define OF_ENDPOINTS "static_endpoint_configs dynamic_endpoint_configs"
#define OF_LISTENERS "version_info static_listeners dynamic_listeners"
#define OF_SCOPED    "inline_scoped_route_configs dynamic_scoped_route_configs"
#define OF_ROUTES    "static_route_configs dynamic_route_configs"
#define OF_SECRETS   "static_secrets dynamic_active_secrets dynamic_warming_secrets"
#define OF_DYNAMIC   " version_info last_updated error_state client_status"

static const struct part parts[] = {
	{"BootstrapConfigDump", NULL, NULL, "bootstrap last_updated", "", false, bootstrap},
	{"ClustersConfigDump", "static_clusters", "StaticCluster", OF_CLUSTERS,
		"cluster last_updated", false, clusters},
	{"ClustersConfigDump", "dynamic_active_clusters", "DynamicCluster", OF_CLUSTERS,
		"cluster" OF_DYNAMIC, true, clusters},
	{"EndpointsConfigDump", "static_endpoint_configs", "StaticEndpointConfig", OF_ENDPOINTS,
		"endpoint_config last_updated", false, endpoints},
	{"EndpointsConfigDump", "dynamic_endpoint_configs", "DynamicEndpointConfig", OF_ENDPOINTS,
		"endpoint_config" OF_DYNAMIC, true, endpoints},
	{"ListenersConfigDump", "static_listeners", "StaticListener", OF_LISTENERS,
		"listener last_updated", false, listeners},
	{"ListenersConfigDump", "dynamic_listeners", "DynamicListener", OF_LISTENERS,
		"name active_state warming_state draining_state error_state client_status", true,
		listeners},
	/* Always empty; it keeps the routes at the fifth position, where clients expect them. */
	{"ScopedRoutesConfigDump", "inline_scoped_route_configs", "InlineScopedRouteConfigs",
		OF_SCOPED, "name scoped_route_configs last_updated", false, none},
	{"RoutesConfigDump", "static_route_configs", "StaticRouteConfig", OF_ROUTES,
		"route_config last_updated", false, routes},
	{"RoutesConfigDump", "dynamic_route_configs", "DynamicRouteConfig", OF_ROUTES,
		"route_config" OF_DYNAMIC, true, routes},
	{"SecretsConfigDump", "dynamic_active_secrets", "DynamicSecret", OF_SECRETS,
		"name secret" OF_DYNAMIC, true, secrets},
};

/* ---- structure ------------------------------------------------------------------------------ */

/*
 * True if the mask selects this message. A mask of the whole dump selects one message; a list can
 * only be the last element of a path (FieldMaskUtil).
 */
static bool mask_fits(const struct mt_envoy *e, const struct part *p)
{
	for (uint32_t i = 0; i < e->mask.n; i++)
		if (strchr(e->mask.paths[i], '.') && strncmp(e->mask.paths[i], "bootstrap.", 10))
			return false;
	return mt_envoy_mask_fits(&e->mask, p->of_dump);
}

static bool is_shown(const struct mt_envoy *e, const struct part *p)
{
	if (e->resource)
		return p->array && strcmp(p->array, e->resource) == 0;
	return (e->with_endpoints || p->item != endpoints) && mask_fits(e, p);
}

/* True if the array is wanted, given that its message is shown. */
static bool is_wanted(const struct mt_envoy *e, const struct part *p)
{
	return e->resource || !p->array || mt_envoy_mask_has(&e->mask, p->array);
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
	if (p->array && is_wanted(e, p))
		mt_text_add(out, ",\n  \"%s\": [", p->array);
}

static void close_part(struct mt_envoy *e, const struct part *p, struct mt_text_buf *out)
{
	if (p->array && !e->resource && is_wanted(e, p))
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
		if (!is_wanted(e, p) || !p->item(e, p, out))
			close_part(e, p, out);
	}
	return true;
}

/* True if the mask fits rows of that array, by the names of the fields and by the first row. */
static bool fits_rows(struct mt_envoy *e, const struct part *p)
{
	struct mt_text_buf first = {0};

	if (!mt_envoy_mask_fits(&e->mask, p->of_row))
		return false;
	for (int i = 0; i < LOOKED_AT && !first.len && p->item(e, p, &first); i++)
		;
	mt_text_fini(&first);
	e->at = 0;
	e->comma = false;
	return !e->mask_bad;
}

static unsigned int begin_resource(
	struct mt_envoy *e, const char *wanted, const char *mask, struct mt_text_buf *out)
{
	const struct part *p = NULL;

	for (size_t i = 0; i < MT_ARRAY_LEN(parts); i++)
		if (parts[i].array && strcmp(parts[i].array, wanted) == 0)
			p = &parts[i];
	if (!p) {
		mt_text_add(out, "%.64s not found in config dump\n", wanted);
		return MHD_HTTP_NOT_FOUND;
	}
	e->resource = p->array;
	if (e->mask.n == 0 || fits_rows(e, p))
		return MHD_HTTP_OK;
	mt_text_add(out, "FieldMask %.256s could not be successfully used.\n", mask);
	return MHD_HTTP_BAD_REQUEST;
}

static unsigned int begin(struct mt_envoy *e, struct mt_text_buf *out)
{
	const char *wanted = NULL, *mask = "";
	unsigned int status = mt_envoy_filter(e, "name_regex", out);

	e->type = "application/json";
	e->with_endpoints = mt_envoy_arg(e, "include_eds", NULL);
	(void)mt_envoy_arg(e, "mask", &mask);
	if (!mt_envoy_mask_parse(&e->mask, mask)) {
		mt_text_add(out, "FieldMask is longer than 1000 bytes, or has more than %u paths\n",
			MT_ENVOY_PATHS);
		return MHD_HTTP_BAD_REQUEST;
	}
	if (status != MHD_HTTP_OK)
		return status;
	if (mt_envoy_arg(e, "resource", &wanted))
		return begin_resource(e, wanted, mask, out);
	for (size_t i = 0; i < MT_ARRAY_LEN(parts); i++)
		if (is_shown(e, &parts[i]))
			return MHD_HTTP_OK;
	mt_text_add(
		out, "FieldMask %.256s could not be successfully applied to any configs.\n", mask);
	return MHD_HTTP_BAD_REQUEST;
}

const struct mt_envoy_page mt_envoy_dump[] = {
	{"/config_dump",
		"the active configuration: ?include_eds, ?resource=dynamic_active_clusters, "
		"?mask=FIELDS, ?name_regex=REGEX",
		begin, dump},
	{.path = NULL},
};
