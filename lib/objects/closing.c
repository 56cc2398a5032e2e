/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What protects and cannot be evaluated, because it is of a kind that nobody evaluates yet, or because no version of it can be
 * read. It closes what its selector names, as far as that can be read, else its namespace. Whose calls that are is
 * lib/conf's to find.
 */
#include "mt_objects_priv.h"

#include "mt_yaml.h"

#include <string.h>

static bool is_evaluated(const struct mt_object *o)
{
	return strcmp(o->group, "security.istio.io") == 0;
}

/* A map of words; NULL: none is written, or it cannot be read, and *bad says so. */
static const struct mt_labels *labels_of(struct mt_region *r, const struct mt_ynode *map, bool *bad)
{
	struct mt_labels *l = mt_region_alloc(r, sizeof(*l));

	if (!map || mt_yaml_is_null(map) || !l)
		return NULL;
	*bad |= map->type != MT_Y_MAP;
	for (const struct mt_ynode *k = *bad ? NULL : map->first; k; k = k->next) {
		struct mt_kv *kv = mt_region_push(r, (void **)&l->kv, &l->n_kv, sizeof(*kv));

		*bad |= k->type != MT_Y_SCALAR;
		if (kv && !*bad)
			*kv = (struct mt_kv){k->key, k->text, {NULL, k->line}};
	}
	return *bad ? NULL : l;
}

/* Who is meant, of a version that is not used for anything else. */
static void read_scope(struct mt_region *r, const struct mt_object *o, struct mt_closing *c)
{
	const struct mt_ynode *spec = mt_yaml_get(o->root, "spec");
	const struct mt_ynode *selector = mt_yaml_get(spec, "selector");
	bool bad = !o->root || !spec || spec->type != MT_Y_MAP;

	if (!bad && selector && !mt_yaml_is_null(selector))
		bad = selector->type != MT_Y_MAP;
	if (!bad)
		c->selector = labels_of(r, mt_yaml_get(selector, "matchLabels"), &bad);
	/* Instances outside of the mesh are a policy's only by targets. */
	c->of = MT_CLOSING_BARE;
	if (bad || mt_yaml_get(spec, "targetRef") || mt_yaml_get(spec, "targetRefs"))
		c->of |= MT_CLOSING_OUTSIDE;
}

static bool close_by(struct mt_object_table *t, struct mt_object_row *row)
{
	const struct mt_object *o = row->used ? row->used : row->o;
	struct mt_closing *c;

	if (!*o->ns) {
		t->unknown_closed = true;
		return true;
	}
	c = mt_region_push(&t->region, (void **)&t->closings, &t->n_closings, sizeof(*c));
	if (!c)
		return false;
	*c = (struct mt_closing){.about = {.origin = o->origin,
					 .serial = o->serial,
					 .kind = o->kind,
					 .ns = o->ns,
					 .name = *o->name ? o->name : "(no name)"},
		.messages_only = o->restricts == MT_RESTRICTS_MESSAGES,
		.of = MT_CLOSING_BARE | MT_CLOSING_OUTSIDE | MT_CLOSING_MESHED,
		.why = row->why};
	if (is_evaluated(o))
		read_scope(&t->region, o, c);
	/* The compiler says what becomes of it. */
	if (row->status == MT_OBJECT_CLOSED) {
		row->status = MT_OBJECT_IN_FORCE;
		row->why = NULL;
	}
	return true;
}

bool mt_table_close(struct mt_object_table *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct mt_object_row *row = &t->rows[i];
		const struct mt_object *o = row->used ? row->used : row->o;
		bool evaluated = row->used && is_evaluated(o);
		/* Its identity stands legibly in another place. */
		bool elsewhere = row->double_ && !row->used;

		if (row->unenforced)
			continue;
		if (o->restricts && o->status != MT_OBJECT_FOREIGN && !evaluated && !elsewhere &&
			!close_by(t, row))
			return false;
	}
	return true;
}
