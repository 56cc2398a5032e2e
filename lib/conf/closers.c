/* SPDX-License-Identifier: Apache-2.0 */
/* Who closes something: what is refused because of an object is counted by it, so each has a place in workers' counters. */
#include "mt_conf_priv.h"

#include "mt_authz.h"

#include <errno.h>

/* Its place, as long as some snapshot names it; 0: there is none left, and it is counted together with others. */
static uint32_t place_of(struct mt_build *b, const char *by)
{
	struct mt_snap *s = b->snap;
	struct mt_index *i = mt_indexes_get(&b->conf->closers, by, MT_AUTHZ_CLOSERS_MAX - 1),
			**slot;

	if (!i)
		return 0;
	slot = mt_region_push(
		&s->region, (void **)&s->closers, &s->n_closers, sizeof(struct mt_index *));
	if (!slot) {
		mt_indexes_put(&b->conf->closers, i);
		return 0;
	}
	*slot = i;
	return i->v + 1;
}

const struct mt_closer *mt_b_closer(struct mt_build *b, const struct mt_meta *m)
{
	struct mt_region *r = &b->snap->region;
	char *by = mt_region_printf(r, "%s %s/%s", m->kind, m->ns, m->name);
	struct mt_closer *c = by ? mt_strmap_get(&b->closers, by) : NULL;

	if (c || !by)
		return c;
	c = mt_region_alloc(r, sizeof(*c));
	if (!c)
		return NULL;
	*c = (struct mt_closer){.by = by,
		.kind = mt_region_strdup(r, m->kind),
		.ns = mt_region_strdup(r, m->ns),
		.name = mt_region_strdup(r, m->name),
		.id = mt_strhash(by, 0),
		.index = place_of(b, by)};
	b->tmp.failed |= mt_strmap_put(&b->closers, by, c, NULL) != 0;
	return c;
}

static int by_words(const void *a, const void *b)
{
	const struct mt_closer *const *x = a, *const *y = b;

	return strcmp((*x)->by, (*y)->by);
}

int mt_b_closers_finish(struct mt_build *b)
{
	struct mt_snapshot *s = &b->snap->pub;
	const struct mt_closer *c;
	uint32_t pos = 0;

	if (!b->closers.n)
		return 0;
	s->closers = mt_region_alloc(&b->snap->region, sizeof(struct mt_closer *) * b->closers.n);
	if (!s->closers)
		return -ENOMEM;
	while ((c = mt_strmap_next(&b->closers, &pos, NULL)) != NULL)
		s->closers[s->n_closers++] = c;
	qsort(s->closers, s->n_closers, sizeof(struct mt_closer *), by_words);
	return 0;
}
