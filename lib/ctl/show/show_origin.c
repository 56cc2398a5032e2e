/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Origin of each part of the running configuration: file and line, or source, server, resource and
 * version.
 */
#include "mt_ctl_priv.h"

#define MESH "xds:"

/* The discovery source of this origin; NULL: a document. */
static struct mt_xds *source_of(const struct mt_ctl *c, const char *file)
{
	size_t n = strlen(MESH);

	for (uint32_t i = 0; file && strncmp(file, MESH, n) == 0 && i < c->env.n_sources; i++) {
		struct mt_xds_info info;

		mt_xds_info(c->env.sources[i], &info);
		if (strcmp(info.name, file + n) == 0)
			return c->env.sources[i];
	}
	return NULL;
}

static void add(json_t *list, struct mt_xds *x, const char *type, const char *resource,
	const char *kind, const char *name, const char *file, uint32_t line)
{
	json_t *row = mt_json_object(MT_M("kind", kind), MT_M("name", name));
	struct mt_xds_resource_info r;
	bool known = x && type && mt_xds_resource_find(x, type, resource, &r);

	if (!row)
		return;
	mt_json_set(row, MT_M("origin", mt_json_origin(file, line)),
		MT_M("resource", known ? json_sprintf("%s %s", type, resource) : json_string("")),
		MT_M("version", known ? r.version : ""), MT_M("server", known ? r.server : ""));
	json_array_append_new(list, row);
}

static void add_listener(struct mt_ctl *c, json_t *list, const struct mt_listener *l)
{
	bool any = l->n_protos && l->protos[0].n_services;
	const char *resource = any ? l->protos[0].services[0]->resource : NULL;
	char text[MT_ADDR_STRLEN];

	add(list, resource ? source_of(c, l->file) : NULL, "LDS", resource, "listener",
		mt_addr_port_str(&l->addr, l->port, text), l->file, l->line);
}

static void add_service(struct mt_ctl *c, json_t *list, const struct mt_service *s)
{
	const struct mt_route_action *r;

	add(list, s->resource ? source_of(c, s->file) : NULL, "LDS", s->resource, "service",
		s->name, s->file, s->line);
	if (!s->routes || !mt_route_count(s->routes))
		return;
	r = mt_route_at(s->routes, 0);
	add(list, s->routes_resource ? source_of(c, r->file) : NULL, "RDS", s->routes_resource,
		"routes", s->name, r->file, r->line);
}

static void add_cluster(struct mt_ctl *c, json_t *list, const struct mt_cluster *cl)
{
	struct mt_xds *x = source_of(c, cl->file);
	struct mt_xds_resource_info r;

	add(list, x, "CDS", cl->name, "cluster", cl->name, cl->file ? cl->file : "documents", 0);
	if (x && cl->endpoints_resource &&
		mt_xds_resource_find(x, "EDS", cl->endpoints_resource, &r))
		add(list, x, "EDS", cl->endpoints_resource, "endpoints", cl->name, cl->file, 0);
}

json_t *mt_show_origin(struct mt_ctl *c, const struct mt_request *r)
{
	const struct mt_snapshot *s = mt_ctl_snapshot(c);
	json_t *list = json_array();

	for (uint32_t i = 0; s && i < s->n_listeners; i++)
		add_listener(c, list, &s->listeners[i]);
	for (uint32_t i = 0; s && i < s->n_services; i++)
		add_service(c, list, s->services[i]);
	for (uint32_t i = 0; s && i < s->n_clusters; i++)
		add_cluster(c, list, &s->clusters[i]);
	return mt_json_object(MT_M("origins", list));
}
