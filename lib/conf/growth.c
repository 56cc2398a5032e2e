/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who needs more room for clusters. The registry has those of the snapshot in force and of the new
 * one, so it may be full although the new ones alone fit (work.c): after a change of many names or
 * addresses. The namespace that changes most has to wait then, whoever met the full registry.
 */
#include "mt_conf_cluster_priv.h"

/* A document with new clusters. */
struct grown {
	const struct mt_meta *by;
	struct grown *next;
};

struct growth {
	uint64_t need; /* new clusters, and endpoints of these */
	struct grown *documents;
};

static struct growth *growth_of(struct mt_build *b, const char *ns)
{
	struct growth *g = mt_strmap_get(&b->growths, ns);

	if (g)
		return g;
	g = mt_region_alloc(&b->tmp, sizeof(*g));
	if (!g)
		return NULL;
	*g = (struct growth){0};
	if (mt_strmap_put(&b->growths, ns, g, NULL))
		b->tmp.failed = true;
	return g;
}

void mt_b_grew(struct mt_build *b, const struct mt_meta *by, uint32_t n_eps)
{
	struct growth *g = growth_of(b, by->ns);
	struct grown *d;

	if (!g)
		return;
	g->need += 1 + (uint64_t)n_eps;
	if (g->documents && g->documents->by == by)
		return;
	d = mt_region_alloc(&b->tmp, sizeof(*d));
	if (!d)
		return;
	*d = (struct grown){by, g->documents};
	g->documents = d;
}

/* The namespace that needs most when the first cluster finds no room. It stays that one. */
static const struct growth *largest(struct mt_build *b)
{
	const struct growth *g;
	uint32_t pos = 0;

	if (b->growth_refused)
		return b->growth_refused;
	while ((g = mt_strmap_next(&b->growths, &pos, NULL)))
		if (!b->growth_refused || g->need > b->growth_refused->need)
			b->growth_refused = g;
	return b->growth_refused;
}

static void refuse(struct mt_build *b, const struct mt_meta *document)
{
	/* Each of its clusters would have the same message. */
	if (!mt_b_is_wrong(b, document))
		mt_b_error(b, document, document->origin.line, NULL,
			"change or write fewer clusters and endpoints at a time",
			"there is no room for its new clusters next to those in force (%u "
			"endpoints "
			"and %u clusters at most)",
			MT_UPSTREAM_EPS_MAX, MT_UPSTREAM_CLUSTERS_MAX);
}

void mt_b_no_room_for_cluster(struct mt_build *b, const struct mt_meta *document)
{
	const struct growth *own = mt_strmap_get(&b->growths, document->ns);
	bool first = !b->growth_refused;
	const struct growth *g = largest(b);

	if (!g || g == own || (first && own && own->need == g->need))
		refuse(b, document);
	else if (first)
		for (const struct grown *d = g->documents; d; d = d->next)
			refuse(b, d->by);
}
