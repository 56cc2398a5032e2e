/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What discovery services say, by name, and what was made of it last. Sources list their objects in the same order
 * every time, so what did not change is found at the place where it was: names are indexed only when something is
 * not there.
 */
#include "mt_conf_mesh_priv.h"

#include <string.h>

static const struct mt_objs *objs_of(const struct mt_build *b, enum mt_res_named kind)
{
	switch (kind) {
	case MT_RES_NAMED_ENDPOINTS:
		return &b->model->res_endpoints;
	case MT_RES_NAMED_ROUTES:
		return &b->model->res_routes;
	default:
		return &b->model->res_extensions;
	}
}

static void said_twice(struct mt_build *b, const struct mt_meta *meta, const struct mt_meta *first)
{
	mt_diag_resource(b->diags, MT_DIAG_LEFT_OUT, meta, NULL, "give one of them another name",
		"%s has one of this name already", first->origin.file);
}

static void index_names(struct mt_build *b, enum mt_res_named kind)
{
	const struct mt_objs *objs = objs_of(b, kind);
	struct mt_mesh_places *n = &b->mesh_build->names[kind];

	n->indexed = true;
	b->conf->shared.twice[kind] = false;
	for (uint32_t i = 0; i < objs->n; i++) {
		struct mt_meta *meta = objs->v[i];
		uintptr_t first = (uintptr_t)mt_strmap_get(&n->map, meta->name);

		if (first) {
			said_twice(b, meta, objs->v[first - 1]);
			b->conf->shared.twice[kind] = true;
		} else if (mt_strmap_put(&n->map, meta->name, (void *)(uintptr_t)(i + 1), NULL)) {
			b->tmp.failed = true;
		}
	}
}

/* Within one source names are its own, so that two of one name are seen when the second one is looked for. */
static bool several_sources(const struct mt_objs *objs)
{
	const struct mt_meta *first = objs->n ? objs->v[0] : NULL;
	const struct mt_meta *last = objs->n ? objs->v[objs->n - 1] : NULL;

	return first != last && strcmp(first->origin.file, last->origin.file) != 0;
}

void mt_mesh_names_begin(struct mt_build *b)
{
	for (enum mt_res_named k = 0; k < MT_RES_NAMED; k++)
		if (b->conf->shared.twice[k] || several_sources(objs_of(b, k)))
			index_names(b, k);
}

void mt_mesh_names_end(struct mt_build *b)
{
	for (enum mt_res_named k = 0; k < MT_RES_NAMED; k++)
		mt_strmap_fini(&b->mesh_build->names[k].map);
}

const void *mt_mesh_find(struct mt_build *b, enum mt_res_named kind, const char *name, uint32_t *at)
{
	const struct mt_objs *objs = objs_of(b, kind);
	struct mt_mesh_places *n = &b->mesh_build->names[kind];
	const struct mt_meta *here = *at < objs->n ? objs->v[*at] : NULL;
	uintptr_t found;

	/* By name: what only stands for a table that was not fetched yet has a serial that others have, too. */
	if (here && !b->conf->shared.twice[kind] && strcmp(here->name, name) == 0)
		return here;
	if (!n->indexed)
		index_names(b, kind);
	found = (uintptr_t)mt_strmap_get(&n->map, name);
	*at = found ? (uint32_t)(found - 1) : MT_NO_CLUSTER;
	return found ? objs->v[found - 1] : NULL;
}

/* ---- what was made last --------------------------------------------------------------------------- */

bool mt_shared_last_resize(struct mt_shared_last *l, uint32_t n)
{
	void **grown;

	if (n > l->n) {
		grown = realloc(l->v, sizeof(*grown) * n);
		if (!grown)
			return false;
		memset(grown + l->n, 0, sizeof(*grown) * (n - l->n));
		l->v = grown;
	}
	l->n = n;
	return true;
}

void mt_shared_last_forget(struct mt_shared_last *l, uint32_t at, const void *what)
{
	if (at < l->n && l->v[at] == what)
		l->v[at] = NULL;
}
