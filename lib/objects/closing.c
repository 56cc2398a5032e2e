/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fail-closed handling of objects that restrict access but cannot be evaluated. Either their kind
 * is not evaluated yet, no version can be read, or the compiler accepts no version. Such an object
 * denies all calls to the endpoints that its selector names, or to its whole namespace if the
 * selector cannot be read. A "closing" (struct mt_closing) represents the object, and lib/conf
 * finds the calls to deny.
 */
#include "mt_objects_priv.h"

#include "mt_yaml.h"

#include <string.h>

static bool is_evaluated(const struct mt_object *o)
{
	return strcmp(o->group, "security.istio.io") == 0 ||
	       strcmp(o->kind, "DubboAuthorizationPolicy") == 0;
}

struct mt_policy_selector *mt_closing_labels(
	struct mt_region *r, const struct mt_ynode *map, bool *bad)
{
	struct mt_policy_selector *s = mt_region_alloc(r, sizeof(*s));

	if (!map || mt_yaml_is_null(map) || !s)
		return NULL;
	*s = (struct mt_policy_selector){{NULL, map->line}, {0}};
	*bad |= map->type != MT_Y_MAP;
	for (const struct mt_ynode *k = *bad ? NULL : map->first; k; k = k->next) {
		struct mt_kv *kv =
			mt_region_push(r, (void **)&s->labels.kv, &s->labels.n_kv, sizeof(*kv));

		*bad |= k->type != MT_Y_SCALAR;
		if (kv && !*bad)
			*kv = (struct mt_kv){k->key, k->text, {NULL, k->line}};
	}
	return *bad ? NULL : s;
}

/*
 * Reads the selected workloads or targets of an object that cannot be evaluated. An object that has
 * both, or one that cannot be read, selects its whole namespace.
 */
static void read_scope(struct mt_region *r, const struct mt_object *o, struct mt_closing *c)
{
	const struct mt_ynode *spec = mt_yaml_get(o->root, "spec");
	const struct mt_ynode *selector = mt_yaml_get(spec, "selector");
	bool bad = !o->root || !spec || spec->type != MT_Y_MAP;
	bool selects = selector && !mt_yaml_is_null(selector);

	if (!bad && selects)
		bad = selector->type != MT_Y_MAP;
	if (!bad)
		c->scope.selector =
			mt_closing_labels(r, mt_yaml_get(selector, "matchLabels"), &bad);
	if (!bad && (!mt_closing_targets(r, c, spec) || (selects && c->scope.n_targets))) {
		c->scope = (struct mt_policy_scope){0};
		bad = true;
	}
	/* A policy can select endpoints outside of the mesh only by targets. */
	c->of = MT_CLOSING_BARE;
	if (bad || mt_yaml_get(spec, "targetRef") || mt_yaml_get(spec, "targetRefs"))
		c->of |= MT_CLOSING_OUTSIDE;
}

/* A list of closings, and the region of its memory. */
struct closings {
	struct mt_region *r;
	struct mt_closing *v;
	uint32_t n;
};

static struct mt_closing *add(struct closings *to, const struct mt_object_row *row)
{
	const struct mt_object *o = row->used ? row->used : row->o;
	struct mt_closing *c = mt_region_push(to->r, (void **)&to->v, &to->n, sizeof(*c));

	if (!c)
		return NULL;
	*c = (struct mt_closing){.about = {.origin = o->origin,
					 .serial = o->serial,
					 .kind = o->kind,
					 .ns = o->ns,
					 .name = *o->name ? o->name : "(no name)"},
		.messages_only = o->restricts == MT_RESTRICTS_MESSAGES,
		.of = MT_CLOSING_BARE | MT_CLOSING_OUTSIDE | MT_CLOSING_MESHED,
		.why = row->why};
	return c;
}

static bool close_by(struct mt_object_table *t, struct closings *to, struct mt_object_row *row)
{
	const struct mt_object *o = row->used ? row->used : row->o;
	struct mt_closing *c;

	if (!*o->ns) {
		t->unknown_closed = true;
		return true;
	}
	c = add(to, row);
	if (!c)
		return false;
	if (mt_closing_is_filter(o))
		(void)mt_closing_read_filter(to->r, o, c);
	else if (is_evaluated(o))
		read_scope(to->r, o, c);
	/* The compiler decides the final status. */
	if (row->status == MT_OBJECT_FAIL_CLOSED) {
		row->status = MT_OBJECT_IN_FORCE;
		row->why = NULL;
	}
	return true;
}

/*
 * Adds a harmless closing for filters that do not restrict access. The closing denies nothing, and
 * only reports the workloads that have the filters.
 */
static bool tell_by(struct closings *to, const struct mt_object_row *row)
{
	struct mt_closing *c = add(to, row);

	if (!c)
		return false;
	c->harmless = true;
	if (!mt_closing_read_filter(to->r, row->used, c))
		to->n--;
	return true;
}

bool mt_table_close(struct mt_object_table *t)
{
	struct closings all = {.r = &t->region};

	for (uint32_t i = 0; i < t->n; i++) {
		struct mt_object_row *row = &t->rows[i];
		const struct mt_object *o = row->used ? row->used : row->o;
		bool evaluated = row->used && is_evaluated(o);
		/* A duplicate that is not used: the first row of its identity counts. */
		bool elsewhere = row->double_ && !row->used;

		if (row->unenforced || o->status == MT_OBJECT_IGNORED)
			continue;
		if (o->restricts && !evaluated && !elsewhere && !close_by(t, &all, row))
			return false;
		if (!o->restricts && row->used && mt_closing_is_filter(o) && !tell_by(&all, row))
			return false;
	}
	t->closings = all.v;
	t->n_closings = all.n;
	return true;
}

/* True if the compiler got the object to evaluate and has rejected every version of it. */
static bool is_refused(const struct mt_object_row *row)
{
	return row->first_used && !row->used && row->o->restricts && is_evaluated(row->o);
}

void mt_table_close_refused(struct mt_object_table *t, struct mt_model *m)
{
	struct closings all = {&m->region, t->closings, t->n_closings};
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++)
		n += is_refused(&t->rows[i]);
	if (n && t->n_closings) {
		/* Copy the table's list, which must stay unchanged for the next model. */
		all.v = NULL;
		all.n = 0;
		for (uint32_t i = 0; i < t->n_closings; i++) {
			struct mt_closing *c =
				mt_region_push(&m->region, (void **)&all.v, &all.n, sizeof(*c));

			if (!c)
				return;
			*c = t->closings[i];
		}
	}
	for (uint32_t i = 0; n && i < t->n; i++)
		if (is_refused(&t->rows[i]) && !close_by(t, &all, &t->rows[i]))
			return;
	m->closings = all.v;
	m->n_closings = all.n;
}
