/* SPDX-License-Identifier: Apache-2.0 */
/* The part of a cluster that is computed: the table of its balancer. */
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
	/* One table a cluster: the others balance by the sequence, which equal weights do without. */
	if (c->lb == MT_LB_MAGLEV)
		return mt_maglev_build(&c->maglev, names, weights, c->n_eps);
	if (c->lb == MT_LB_RING_HASH)
		return mt_ring_build(&c->ring, names, weights, c->n_eps, c->ring_min, c->ring_max);
	return mt_wseq_build(&c->wseq, weights, c->n_eps);
}

/* What a table is built from lives only as long: names are written where a table wants them. */
static int build_one(struct mt_cluster *c)
{
	bool named = c->lb == MT_LB_MAGLEV || c->lb == MT_LB_RING_HASH;
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
		rc = build_one(&l->in);
	}
	return rc;
}

int mt_cluster_build(struct mt_cluster *c)
{
	if (c->n_eps == 0)
		return 0;
	return c->n_levels ? build_levels(c) : build_one(c);
}

void mt_cluster_release(struct mt_cluster *c)
{
	for (uint32_t i = 0; i < c->n_levels; i++)
		mt_cluster_release(&c->levels[i].in);
	mt_maglev_free(&c->maglev);
	mt_ring_free(&c->ring);
	mt_wseq_free(&c->wseq);
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
