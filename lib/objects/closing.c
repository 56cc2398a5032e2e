/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What protects and cannot be evaluated closes what it may be about: the services of its namespace, or all of them for the
 * root namespace. Also when its newest version cannot be read, or is not the one that is used.
 */
#include "mt_objects_priv.h"

#include <string.h>

static bool is_closed(const struct mt_closing *c, const char *ns)
{
	return !c->ns || strcmp(c->ns, ns) == 0;
}

static void touch(struct mt_object_table *t, struct mt_object_row *row, const char *host)
{
	const char **slot =
		mt_region_push(&t->region, (void **)&row->touches, &row->n_touches, sizeof(*slot));

	if (slot)
		*slot = host;
}

/* The services that it closes are what it touches. */
static void touch_services(
	struct mt_object_table *t, struct mt_object_row *row, const struct mt_closing *c)
{
	for (uint32_t i = 0; i < t->n; i++) {
		const struct mt_object *used = t->rows[i].used;
		const struct mt_objs *services = used ? &used->part->service_entries : NULL;

		for (uint32_t k = 0; services && k < services->n; k++) {
			const struct mt_service_entry *se = services->v[k];

			if (is_closed(c, se->meta.ns) && se->n_hosts)
				touch(t, row, se->hosts[0].s);
		}
	}
}

static bool close_by(struct mt_object_table *t, struct mt_object_row *row)
{
	const struct mt_object *o = row->used ? row->used : row->o;
	struct mt_closing *c;
	char by[512];

	if (!*o->ns) {
		t->unknown_closed = true;
		return true;
	}
	c = mt_region_push(&t->region, (void **)&t->closings, &t->n_closings, sizeof(*c));
	if (!c)
		return false;
	(void)mt_object_str(o, by, sizeof(by));
	*c = (struct mt_closing){.ns = strcmp(o->ns, t->mesh.root_ns) == 0 ? NULL : o->ns,
		.messages_only = o->restricts == MT_RESTRICTS_MESSAGES,
		.by = mt_region_strdup(&t->region, by)};
	touch_services(t, row, c);
	if (row->status == MT_OBJECT_IN_FORCE)
		row->status = MT_OBJECT_CLOSED;
	if (row->status == MT_OBJECT_CLOSED && !row->n_touches) {
		row->status = MT_OBJECT_INERT;
		row->why = "there is no service in its namespace";
	}
	return c->by != NULL;
}

bool mt_table_close(struct mt_object_table *t)
{
	for (uint32_t i = 0; i < t->n; i++) {
		struct mt_object_row *row = &t->rows[i];
		const struct mt_object *o = row->used ? row->used : row->o;

		if (row->unenforced)
			continue;
		if (o->restricts && o->status != MT_OBJECT_FOREIGN && !close_by(t, row))
			return false;
	}
	return true;
}
