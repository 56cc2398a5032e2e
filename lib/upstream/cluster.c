/* SPDX-License-Identifier: Apache-2.0 */
/* Computed parts of a cluster: the tables of its balancer, and the ages of its endpoints. */
#include "mt_upstream.h"

#include <errno.h>
#include <string.h>

const char *mt_lb_str(enum mt_lb lb)
{
	static const char *const words[] = {
		[MT_LB_ROUND_ROBIN] = "round robin",
		[MT_LB_RANDOM] = "random",
		[MT_LB_LEAST_REQUEST] = "least request",
		[MT_LB_MAGLEV] = "maglev",
		[MT_LB_RING_HASH] = "ring hash",
	};

	return (unsigned int)lb < MT_ARRAY_LEN(words) ? words[lb] : "unknown";
}

static int build_table(struct mt_cluster *c, const char *const *names, const uint32_t *weights)
{
	/* The other balancers draw from the weighted sequence, which is empty if weights are equal. */
	if (c->lb == MT_LB_MAGLEV)
		return mt_maglev_build(&c->maglev, names, weights, c->n_eps);
	if (c->lb == MT_LB_RING_HASH)
		return mt_ring_build(&c->ring, names, weights, c->n_eps, c->ring_min, c->ring_max);
	return mt_wseq_build(&c->wseq, weights, c->n_eps);
}

/* Names are needed only while a table is built, and only by hashing balancers. */
static int build_one(struct mt_cluster *c)
{
	bool named = mt_lb_hashes(c->lb);
	char(*texts)[MT_ADDR_STRLEN] = named ? malloc(sizeof(*texts) * c->n_eps) : NULL;
	const char **names = named ? malloc(sizeof(*names) * c->n_eps) : NULL;
	uint32_t *weights = malloc(sizeof(*weights) * c->n_eps);
	int rc = -ENOMEM;

	if (weights && (!named || (texts && names))) {
		for (uint32_t i = 0; i < c->n_eps; i++) {
			weights[i] = c->eps[i].weight;
			if (named)
				names[i] = mt_endpoint_name(&c->eps[i], texts[i]);
		}
		rc = build_table(c, names, weights);
	}
	free(texts);
	free(names);
	free(weights);
	return rc;
}

static int build_levels(struct mt_cluster *c)
{
	int rc = 0;

	for (uint32_t i = 0; i < c->n_levels && rc == 0; i++) {
		struct mt_lb_level *l = &c->levels[i];
		uint32_t end = i + 1 < c->n_levels ? c->levels[i + 1].first : c->n_eps;

		MT_ASSERT(l->first < end && end <= c->n_eps);
		l->in = *c;
		l->in.levels = NULL;
		l->in.n_levels = 0;
		l->in.eps = c->eps + l->first;
		l->in.n_eps = end - l->first;
		l->in.careful = c->min_health || c->warmup;
		rc = build_one(&l->in);
	}
	return rc;
}

int mt_cluster_build(struct mt_cluster *c)
{
	if (c->n_eps == 0)
		return 0;
	c->careful = c->n_levels || c->min_health || c->warmup;
	return c->n_levels ? build_levels(c) : build_one(c);
}

/* ---- warm-up --------------------------------------------------------------------------------- */

struct age {
	const struct mt_ep_state *state;
	uint64_t since;
};

static int by_state(const void *a, const void *b)
{
	uintptr_t x = (uintptr_t)((const struct age *)a)->state;
	uintptr_t y = (uintptr_t)((const struct age *)b)->state;

	return (x > y) - (x < y);
}

/* Ages of the old cluster's endpoints, sorted by state for lookup. NULL: none, or no memory. */
static struct age *ages_of(const struct mt_cluster *old)
{
	struct age *v = old && old->n_eps ? malloc(sizeof(*v) * old->n_eps) : NULL;

	for (uint32_t i = 0; v && i < old->n_eps; i++)
		v[i] = (struct age){old->eps[i].state, old->warmup ? old->warmup->since[i] : 0};
	if (v)
		qsort(v, old->n_eps, sizeof(*v), by_state);
	return v;
}

int mt_cluster_warm(struct mt_cluster *c, const struct mt_warmup_rule *rule,
	const struct mt_cluster *old, uint64_t now)
{
	struct mt_warmup *w = malloc(sizeof(*w) + sizeof(w->since[0]) * c->n_eps);
	struct age *ages = ages_of(old);

	if (!w || (!ages && old && old->n_eps)) {
		free(w);
		free(ages);
		return -ENOMEM;
	}
	w->rule = *rule;
	w->eps = c->eps;
	w->oldest = now;
	for (uint32_t i = 0; i < c->n_eps; i++) {
		const struct age key = {.state = c->eps[i].state};
		const struct age *found =
			ages ? bsearch(&key, ages, old->n_eps, sizeof(*ages), by_state) : NULL;

		w->since[i] = found ? found->since : now;
		w->oldest = MT_MIN(w->oldest, w->since[i]);
	}
	free(ages);
	c->warmup = w;
	return 0;
}

/* ---- release --------------------------------------------------------------------------------- */

static void free_tables(struct mt_cluster *c)
{
	mt_maglev_free(&c->maglev);
	mt_ring_free(&c->ring);
	mt_wseq_free(&c->wseq);
}

void mt_cluster_release(struct mt_cluster *c)
{
	for (uint32_t i = 0; i < c->n_levels; i++)
		free_tables(&c->levels[i].in);
	free_tables(c);
	free(c->warmup);
	c->warmup = NULL;
}

const char *mt_cluster_host(const struct mt_cluster *c)
{
	const char *port = strchr(c->name, '|'), *subset, *host;

	subset = port ? strchr(port + 1, '|') : NULL;
	host = subset ? strchr(subset + 1, '|') : NULL;
	if (!host)
		return c->name;
	return host == subset + 1 ? host + 1 : NULL;
}
