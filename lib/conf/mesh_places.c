/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts and addresses of the control plane's services. Documents have them first (mesh.c,
 * mesh_listener.c), but not objects of a source that is limited to some namespaces: its authors
 * must not receive other namespaces' calls.
 */
#include "mt_conf_hash_priv.h"
#include "mt_conf_holders_priv.h"
#include "mt_meant.h"

#include <string.h>

#define OUTBOUND "outbound|"

static void put(struct mt_build *b, uint64_t id, const void *value)
{
	if (mt_idmap_put(&b->mesh_places, id, (void *)value))
		b->tmp.failed = true;
}

static uint64_t place_of_address(const struct mt_addr *a, uint64_t port)
{
	uint64_t h = mt_hash_u64(port, mt_id_of_addr(a));

	return h ? h : 1;
}

/* outbound|PORT|SUBSET|HOST, as istiod names clusters. */
static void learn_clusters(struct mt_build *b)
{
	const struct mt_objs *all = &b->model->res_clusters;

	for (uint32_t i = 0; i < all->n; i++) {
		const struct mt_res_cluster *c = all->v[i];

		if (strncmp(c->meta.name, OUTBOUND, strlen(OUTBOUND)) == 0)
			put(b, mt_place_of_host(strrchr(c->meta.name, '|') + 1), &c->meta);
	}
}

static void learn_listeners(struct mt_build *b)
{
	const struct mt_objs *all = &b->model->res_listeners;

	for (uint32_t i = 0; i < all->n; i++) {
		const struct mt_res_listener *l = all->v[i];

		for (uint32_t k = 0; k < l->n_addresses; k++)
			put(b, place_of_address(&l->addresses[k].addr, l->addresses[k].port),
				&l->meta);
	}
}

static const struct mt_idmap *places(struct mt_build *b)
{
	if (!b->mesh_places_known) {
		learn_clusters(b);
		learn_listeners(b);
	}
	b->mesh_places_known = true;
	return &b->mesh_places;
}

static bool is_limited(const struct mt_build *b, const struct mt_meta *meta)
{
	return mt_b_standing(b, meta) & MT_STANDING_LIMITED;
}

const struct mt_meta *mt_b_mesh_has_host(
	struct mt_build *b, const struct mt_service_entry *se, uint32_t i)
{
	const char *domain = mt_model_domain(b->model);

	if (!is_limited(b, &se->meta) || mt_host_is_of(se->hosts[i].s, se->meta.ns, domain))
		return NULL;
	return mt_idmap_get(places(b), mt_place_of_host(se->hosts[i].s));
}

const struct mt_meta *mt_b_mesh_has_address(
	struct mt_build *b, const struct mt_service_entry *se, uint32_t i)
{
	const struct mt_meta *has = NULL;
	struct mt_addr a;

	if (!is_limited(b, &se->meta) || mt_addr_parse(se->addresses[i].s, &a))
		return NULL;
	for (uint32_t k = 0; k < se->n_ports && !has; k++)
		has = mt_idmap_get(places(b), place_of_address(&a, se->ports[k].number.v));
	return has;
}
