/* SPDX-License-Identifier: Apache-2.0 */
#include "mesh_build.h"

#include <stdio.h>
#include <string.h>

static uint64_t serials;

static void *object(
	struct mt_model *m, struct mt_objs *list, size_t size, const char *kind, const char *name)
{
	struct mt_meta *meta = mt_region_alloc(&m->region, size);

	CU_ASSERT_FATAL(meta && mt_model_add(m, list, meta) == 0);
	meta->kind = kind;
	meta->name = mt_region_strdup(&m->region, name);
	meta->ns = "";
	meta->origin.file = "xds:test";
	meta->serial = ++serials;
	return meta;
}

static char *text(struct mt_model *m, const char *s)
{
	return mt_region_strdup(&m->region, s);
}

static struct mt_addr addr(const char *s)
{
	struct mt_addr a;

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(s, &a), 0);
	return a;
}

struct mt_res_cluster *mesh_cluster(struct mt_model *m, const char *name)
{
	struct mt_res_cluster *c = object(m, &m->res_clusters, sizeof(*c), "Cluster", name);

	c->discovery = MT_RES_EDS;
	c->endpoints_name = c->meta.name;
	return c;
}

struct mt_res_endpoints *mesh_endpoints(struct mt_model *m, const char *name)
{
	return object(m, &m->res_endpoints, sizeof(struct mt_res_endpoints),
		"ClusterLoadAssignment", name);
}

struct mt_res_locality *mesh_locality(struct mt_model *m, struct mt_res_endpoints *e,
	uint32_t priority, uint32_t weight, const char *zone)
{
	struct mt_res_locality *l =
		mt_region_push(&m->region, (void **)&e->localities, &e->n_localities, sizeof(*l));

	*l = (struct mt_res_locality){
		.zone = zone ? text(m, zone) : NULL, .priority = priority, .weight = weight};
	return l;
}

void mesh_endpoint(struct mt_model *m, struct mt_res_endpoints *e, const char *a, uint32_t weight,
	enum mt_res_health health)
{
	struct mt_res_locality *l = e->n_localities ? &e->localities[e->n_localities - 1]
						    : mesh_locality(m, e, 0, 0, NULL);
	struct mt_res_endpoint *ep =
		mt_region_push(&m->region, (void **)&l->eps, &l->n_eps, sizeof(*ep));

	*ep = (struct mt_res_endpoint){
		.addr = addr(a), .weight = weight, .port = 80, .health = (uint8_t)health};
	e->n_eps++;
}

struct mt_res_listener *mesh_listener(
	struct mt_model *m, const char *name, const char *a, uint16_t port)
{
	struct mt_res_listener *l = object(m, &m->res_listeners, sizeof(*l), "Listener", name);
	struct mt_res_address *at =
		mt_region_push(&m->region, (void **)&l->addresses, &l->n_addresses, sizeof(*at));

	*at = (struct mt_res_address){addr(a), port};
	l->direction = MT_RES_OUTBOUND;
	return l;
}

void mesh_name(struct mt_model *m, const char *host, const char *a, const char *a2)
{
	struct mt_res_names *t = m->res_names.n ? m->res_names.v[0] : NULL;
	struct mt_res_name *row;

	if (!t)
		t = object(m, &m->res_names, sizeof(*t), "NameTable", "names");
	row = mt_region_push(&m->region, (void **)&t->names, &t->n_names, sizeof(*row));
	row->host = host;
	row->addrs = mt_region_alloc(&m->region, 2 * sizeof(*row->addrs));
	row->addrs[row->n_addrs++] = addr(a);
	if (a2)
		row->addrs[row->n_addrs++] = addr(a2);
}

struct mt_res_chain *mesh_chain(struct mt_model *m, struct mt_res_listener *l)
{
	return mt_region_push(
		&m->region, (void **)&l->chains, &l->n_chains, sizeof(struct mt_res_chain));
}

void mesh_dest(struct mt_model *m, struct mt_rule_dest **dests, uint32_t *n, const char *cluster,
	uint32_t weight)
{
	struct mt_rule_dest *d = mt_region_push(&m->region, (void **)dests, n, sizeof(*d));

	d->cluster.s = text(m, cluster);
	d->weight = (struct mt_num){weight, 0, true};
}

struct mt_proxy_patch *mesh_proxy(
	struct mt_model *m, struct mt_res_listener *l, const char *protocol, const char *routes)
{
	struct mt_res_chain *c = mesh_chain(m, l);

	c->proxy = mt_region_alloc(&m->region, sizeof(*c->proxy));
	c->proxy->protocol.s = text(m, protocol);
	c->proxy->routes.name = "routes";
	if (routes)
		c->proxy->routes_name.s = text(m, routes);
	return c->proxy;
}

struct mt_res_routes *mesh_routes(struct mt_model *m, const char *name)
{
	struct mt_res_routes *r = object(m, &m->res_routes, sizeof(*r), "RouteConfiguration", name);

	r->list.name = "routes";
	return r;
}

struct mt_rule *mesh_rule(
	struct mt_model *m, struct mt_rule_list *list, const char *name, const char *cluster)
{
	struct mt_rule *r =
		mt_region_push(&m->region, (void **)&list->rules, &list->n_rules, sizeof(*r));

	r->name.s = text(m, name);
	if (cluster)
		mesh_dest(m, &r->dests, &r->n_dests, cluster, 1);
	return r;
}

struct mt_cond *mesh_cond(struct mt_model *m, struct mt_rule *r, const char *key,
	enum mt_cond_op op, const char *value)
{
	struct mt_cond *c;

	if (!r->n_matches)
		mt_region_push(
			&m->region, (void **)&r->matches, &r->n_matches, sizeof(*r->matches));
	c = mt_region_push(
		&m->region, (void **)&r->matches->conds, &r->matches->n_conds, sizeof(*c));
	c->key.s = text(m, key);
	c->op = op;
	c->value.s = text(m, value);
	return c;
}

/* ---- loads -------------------------------------------------------------------------------------- */

const struct mt_snapshot *mesh_publish(
	struct mt_conf *c, const struct mt_model *m, struct mt_diags *diags)
{
	struct mt_snapshot *s = mt_conf_compile(c, m, diags, NOW);
	struct mt_err err;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, NULL, &err), 0);
	return s;
}

struct mesh_scene mesh_scene_new(void)
{
	struct mesh_scene sc = {.conf = new_conf(), .m = mt_model_new()};

	mt_diags_init(&sc.diags);
	return sc;
}

void mesh_load(struct mesh_scene *sc)
{
	mt_diags_fini(&sc->diags);
	mt_diags_init(&sc->diags);
	sc->s = mesh_publish(sc->conf, sc->m, &sc->diags);
}

void mesh_scene_end(struct mesh_scene *sc)
{
	mt_conf_destroy(sc->conf);
	mt_model_free(sc->m);
	mt_diags_fini(&sc->diags);
}

bool mesh_told(const struct mesh_scene *sc, enum mt_diag_severity severity, const char *resource,
	const char *words)
{
	for (uint32_t i = 0; i < sc->diags.n; i++) {
		const struct mt_diag *d = &sc->diags.items[i];

		if (d->severity == severity && d->resource && strcmp(d->resource, resource) == 0 &&
			strstr(d->message, words) && strcmp(d->origin.file, "xds:test") == 0)
			return true;
	}
	return false;
}

struct mt_res_endpoints *mesh_simple_cluster(struct mt_model *m, const char *name)
{
	struct mt_res_endpoints *e = mesh_endpoints(m, name);

	mesh_cluster(m, name);
	mesh_endpoint(m, e, "198.51.100.1", 1, MT_RES_HEALTHY);
	mesh_endpoint(m, e, "198.51.100.2", 1, MT_RES_HEALTHY);
	return e;
}
