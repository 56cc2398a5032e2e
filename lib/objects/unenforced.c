/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spec.unenforced of the Node: objects that an operator has exempted from enforcement until a given
 * day. An exemption applies only to the listed content (hash). The compiler does not get an exempt
 * object, and the object makes nothing fail closed.
 */
#include "mt_objects_priv.h"

#include <string.h>
#include <time.h>

#define DAY_S  86400
#define SOON_S (7 * DAY_S)

static bool is_named(const struct mt_node_unenforced *u, const struct mt_object *o)
{
	return strcmp(u->kind.s, o->kind) == 0 && strcmp(u->ns.s, o->ns) == 0 &&
	       strcmp(u->name.s, o->name) == 0 && o->restricts;
}

/* True if the entry lists the hash of the object's present content. */
static bool is_content(const struct mt_node_unenforced *u, const struct mt_object *o)
{
	return !u->hash_void && mt_content_hash_same(&u->hash, &o->hash);
}

static int64_t wall_of(const struct mt_kept *kept)
{
	return kept->wall ? kept->wall : (int64_t)time(NULL);
}

static void leave_out(
	struct mt_object_table *t, struct mt_object_row *row, const struct mt_node_unenforced *u)
{
	row->unenforced = true;
	row->used = NULL;
	row->status = MT_OBJECT_NO_EFFECT;
	row->why = mt_region_printf(&t->region,
		"not enforced until %s, by the Node's spec.unenforced: %s", u->until_text.s,
		u->because.s);
	if (!t->until || u->until < t->until)
		t->until = u->until;
}

void mt_table_unenforce(
	struct mt_object_table *t, const struct mt_node *node, const struct mt_kept *kept)
{
	t->wall = wall_of(kept);
	for (uint32_t i = 0; node && i < node->n_unenforced; i++) {
		const struct mt_node_unenforced *u = &node->unenforced[i];

		for (uint32_t k = 0; k < t->n; k++) {
			struct mt_object_row *row = &t->rows[k];

			if (is_named(u, row->o) && is_content(u, row->o) && u->until > t->wall)
				leave_out(t, row, u);
		}
	}
}

bool mt_table_is_due(const struct mt_object_table *t, int64_t wall)
{
	return t->until && wall >= t->until;
}

/* ---- warnings about the list ----------------------------------------------------------------- */

static void about(struct mt_diags *diags, const struct mt_node *node, uint32_t i, const char *words,
	const char *more)
{
	const struct mt_node_unenforced *u = &node->unenforced[i];
	char path[48];

	snprintf(path, sizeof(path), "spec.unenforced[%u]", i);
	mt_diag_object(diags, MT_DIAG_WARNING, &node->meta, u->origin.line, path,
		"remove it, or list the object again", "%s %s/%s %s%s", u->kind.s, u->ns.s,
		u->name.s, words, more);
}

static void tell_one(const struct mt_object_table *t, struct mt_diags *diags,
	const struct mt_node *node, uint32_t i)
{
	const struct mt_node_unenforced *u = &node->unenforced[i];
	const struct mt_object *found = NULL;
	bool same = false;
	char hash[MT_CONTENT_HASH_TEXT] = "";

	for (uint32_t k = 0; k < t->n; k++)
		if (is_named(u, t->rows[k].o)) {
			found = t->rows[k].o;
			same |= is_content(u, found);
		}
	if (found)
		mt_content_hash_str(&found->hash, hash);
	if (u->until <= t->wall)
		about(diags, node, i, "is enforced again: the day has passed: ", u->until_text.s);
	else if (!found)
		about(diags, node, i, "is not here, or protects nothing", "");
	else if (u->hash_void)
		about(diags, node, i,
			"is enforced: its hash is of an earlier version of Meltemi; now it is ",
			hash);
	else if (!same)
		about(diags, node, i, "is enforced: its content has changed, hash ", hash);
	else if (u->until - t->wall <= SOON_S)
		about(diags, node, i, "is enforced again soon: after ", u->until_text.s);
}

void mt_table_unenforced_tell(
	const struct mt_object_table *t, const struct mt_node *node, struct mt_diags *diags)
{
	for (uint32_t i = 0; node && i < node->n_unenforced; i++)
		tell_one(t, diags, node, i);
}
