/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a publish changes of the objects that snapshots share: those that both have are the same, so only
 * what one of them has alone is looked at. Stamps tell them apart without a map of all.
 */
#include "mt_conf_mesh_priv.h"

#include <string.h>

static int by_id(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Identities in ascending order. NULL: no memory. */
static uint64_t *ids_of(const struct mt_cluster *c)
{
	uint64_t *ids = malloc(sizeof(*ids) * MT_MAX(c->n_eps, 1u));

	for (uint32_t i = 0; ids && i < c->n_eps; i++)
		ids[i] = c->eps[i].state->id;
	if (ids)
		qsort(ids, c->n_eps, sizeof(*ids), by_id);
	return ids;
}

static void diff_endpoints(
	const struct mt_cluster *old, const struct mt_cluster *new_, struct mt_conf_change *ch)
{
	uint64_t *a = ids_of(old), *b = ids_of(new_);
	uint32_t i = 0, k = 0;

	while (a && b && i < old->n_eps && k < new_->n_eps) {
		bool same = a[i] == b[k], gone = a[i] < b[k];

		ch->endpoints_removed += !same && gone;
		ch->endpoints_added += !same && !gone;
		i += same || gone;
		k += same || !gone;
	}
	ch->endpoints_removed += old->n_eps - i;
	ch->endpoints_added += new_->n_eps - k;
	free(a);
	free(b);
}

/* Hash of a cluster's content, with weights, order and TLS of its endpoints. */
static uint64_t content(const struct mt_shared_cluster *sc)
{
	const struct mt_warmup *w = sc->c.warmup;
	uint64_t h = sc->hash;

	if (w)
		h = mt_hash_u64((uint64_t)w->rule.least << 32 | w->rule.aggression,
			mt_hash_u64(w->rule.ms, h));
	for (uint32_t i = 0; i < sc->c.n_eps; i++)
		h = mt_hash_u64((uint64_t)sc->c.eps[i].weight << 1 | sc->c.eps[i].tls,
			mt_hash_u64(sc->c.eps[i].state->id, h));
	for (uint32_t i = 0; i < sc->c.n_levels; i++)
		h = mt_hash_u64(((uint64_t)sc->c.levels[i].first << 32) | sc->c.levels[i].load, h);
	return h;
}

static void diff_clusters(struct mt_conf *conf, const struct mt_snap *old,
	const struct mt_snap *new_, struct mt_conf_change *ch)
{
	struct mt_shared *m = &conf->shared;
	uint64_t in_new = ++m->stamps, in_old = ++m->stamps;
	struct mt_strmap gone = {0};
	struct mt_shared_cluster *was;
	uint32_t pos = 0;

	for (uint32_t i = 0; i < new_->n_clusters; i++)
		new_->clusters[i]->stamp = in_new;
	for (uint32_t i = 0; old && i < old->n_clusters; i++) {
		struct mt_shared_cluster *sc = old->clusters[i];

		if (sc->stamp != in_new)
			mt_strmap_put(&gone, sc->name, sc, NULL);
		sc->stamp = in_old;
	}
	for (uint32_t i = 0; i < new_->n_clusters; i++) {
		const struct mt_shared_cluster *sc = new_->clusters[i];

		if (sc->stamp == in_old)
			continue;
		was = mt_strmap_del(&gone, sc->name);
		if (!was) {
			ch->clusters_added++;
			ch->endpoints_added += sc->c.n_eps;
			mt_items_cluster(&conf->items, NULL, &sc->c, sc->origin, false);
			continue;
		}
		ch->clusters_changed += content(was) != content(sc);
		mt_items_cluster(
			&conf->items, &was->c, &sc->c, sc->origin, content(was) != content(sc));
		diff_endpoints(&was->c, &sc->c, ch);
	}
	while ((was = mt_strmap_next(&gone, &pos, NULL)) != NULL) {
		ch->clusters_removed++;
		ch->endpoints_removed += was->c.n_eps;
		mt_items_cluster(&conf->items, &was->c, NULL, was->origin, false);
	}
	mt_strmap_fini(&gone);
}

/* Listeners are counted by address: each service has those of its own. */
static void diff_services(struct mt_conf *conf, const struct mt_snap *old,
	const struct mt_snap *new_, struct mt_conf_change *ch)
{
	struct mt_shared *m = &conf->shared;
	uint64_t in_new = ++m->stamps, in_old = ++m->stamps;
	struct mt_strmap gone = {0};
	struct mt_shared_service *was;
	uint32_t pos = 0;

	for (uint32_t i = 0; i < new_->n_services; i++)
		new_->services[i]->stamp = in_new;
	for (uint32_t i = 0; old && i < old->n_services; i++) {
		struct mt_shared_service *sv = old->services[i];

		if (sv->stamp != in_new)
			mt_strmap_put(&gone, sv->name, sv, NULL);
		sv->stamp = in_old;
	}
	for (uint32_t i = 0; i < new_->n_services; i++) {
		const struct mt_shared_service *sv = new_->services[i];

		if (sv->stamp == in_old)
			continue;
		was = mt_strmap_del(&gone, sv->name);
		ch->services_added += !was;
		ch->listeners_added += was ? 0 : sv->n_texts;
		ch->services_changed += was && was->hash != sv->hash;
		if (!was || was->hash != sv->hash)
			mt_items_service(&conf->items, was ? was->s : NULL, sv->s);
		if (was && was->n_texts > sv->n_texts)
			ch->listeners_removed += was->n_texts - sv->n_texts;
		else if (was)
			ch->listeners_added += sv->n_texts - was->n_texts;
	}
	while ((was = mt_strmap_next(&gone, &pos, NULL)) != NULL) {
		ch->services_removed++;
		ch->listeners_removed += was->n_texts;
		mt_items_service(&conf->items, was->s, NULL);
	}
	mt_strmap_fini(&gone);
}

void mt_snap_diff_shared(struct mt_conf *c, const struct mt_snap *old, const struct mt_snap *new_,
	struct mt_conf_change *change)
{
	diff_services(c, old, new_, change);
	diff_clusters(c, old, new_, change);
}
