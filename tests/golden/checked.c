/* SPDX-License-Identifier: Apache-2.0 */
#include "checked.h"

static struct mt_model *joined(struct mt_object_table *t, struct mt_model_names names)
{
	struct mt_model *m = mt_model_new(), *documents;
	int rc;

	documents = mt_table_model(t, &rc);
	MT_ASSERT(m && documents && mt_model_share(m, documents) == 0);
	m->node = documents->node;
	m->mesh = documents->mesh;
	m->closings = documents->closings;
	m->n_closings = documents->n_closings;
	m->names = names;
	return m;
}

/* Each round takes one version from some object, and no object has more than two. */
struct mt_snapshot *checked_compile(struct mt_conf *c, struct mt_object_table *t,
	struct mt_model_names names, struct mt_diags *diags, uint64_t now, uint32_t *rounds)
{
	struct mt_diags mark = *diags;
	uint32_t n = 0;

	while (!t->node_refused) {
		struct mt_model *m = joined(t, names);
		struct mt_snapshot *s;

		MT_ASSERT(n <= 2 * t->n);
		s = mt_conf_compile(c, m, diags, now);
		mt_model_free(m);
		n++;
		if (rounds)
			*rounds = n;
		if (s && !mt_table_may_fall_back(t, diags))
			return s;
		if (!mt_table_refuse(t, diags))
			break;
		if (s)
			mt_conf_discard(c, s, now);
		mt_diags_rewind(diags, &mark);
	}
	MT_ASSERT(t->node_refused);
	return NULL;
}

/* What is used, and why something is not, go together. */
static void check_row(const struct mt_object_row *row)
{
	switch (row->status) {
	case MT_OBJECT_IGNORED:
	case MT_OBJECT_REFUSED:
		/* Of several MeshConfigs one is looked up; nothing is compiled of the others. */
		MT_ASSERT(!row->used || row->used->part->mesh_configs.n);
		MT_ASSERT(row->why);
		break;
	case MT_OBJECT_LAST_GOOD:
		MT_ASSERT(row->used && row->used == row->good);
		MT_ASSERT(row->used != row->o || row->absent);
		break;
	default:
		MT_ASSERT(row->used == row->o);
	}
}

void checked_rows(struct mt_object_table *t, uint32_t n_read)
{
	json_t *all = mt_table_json(t);
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->n; i++) {
		check_row(&t->rows[i]);
		n += t->rows[i].absent ? 0 : 1 + t->rows[i].n_origins;
	}
	MT_ASSERT(n == n_read);
	MT_ASSERT(json_array_size(all) == t->n);
	json_decref(all);
}
