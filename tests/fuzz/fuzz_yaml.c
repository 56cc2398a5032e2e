/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration from nowhere good, and then, behind a NUL byte, what becomes of it: each is read, and compiled with what of
 * it can be used. Whatever it is, each object has one row, and everything is served but what its status takes away.
 */
#include "fuzz.h"
#include "mt_conf.h"
#include "mt_objects.h"
#include "mt_source.h"

#include <stdlib.h>
#include <string.h>

static const char sound_node[] =
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n, labels: "
	"{gateway.networking.k8s.io/gateway-name: edge}}\nspec:\n"
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n";

static struct mt_conf *conf(void)
{
	static const struct mt_conf_options o = {.workers = 1, .read_only = true};
	static struct mt_conf *c;
	struct mt_err err;

	if (!c)
		c = mt_conf_create(&o, &err);
	MT_ASSERT(c);
	return c;
}

static bool has_node(const struct mt_objects *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->v[i]->is_node)
			return true;
	return false;
}

/* The Node is the text's own if it has one. */
static void read_text(struct mt_source_reading *r, struct mt_diags *diags, const char *text)
{
	uint32_t n;

	MT_ASSERT(mt_source_objects(&r->objects, diags, &mt_source_anywhere, "fuzz", 1, text, &n) ==
		  0);
	if (!has_node(&r->objects))
		MT_ASSERT(mt_source_objects(&r->objects, diags, &mt_source_anywhere, "node", 1,
				  sound_node, &n) == 0);
}

/* What is used, and why something is not, go together. */
static void check_row(const struct mt_object_row *row)
{
	switch (row->status) {
	case MT_OBJECT_FOREIGN:
	case MT_OBJECT_REFUSED:
		MT_ASSERT(!row->used);
		MT_ASSERT(row->why);
		break;
	case MT_OBJECT_HELD:
		MT_ASSERT(row->used && row->used == row->good);
		MT_ASSERT(row->used != row->o || row->absent);
		break;
	default:
		MT_ASSERT(row->used == row->o);
	}
}

static void check_rows(struct mt_object_table *t, uint32_t n_read)
{
	uint32_t n = 0;
	json_t *all = mt_table_json(t);

	for (uint32_t i = 0; i < t->n; i++) {
		check_row(&t->rows[i]);
		n += t->rows[i].absent ? 0 : 1 + t->rows[i].n_origins;
	}
	MT_ASSERT(n == n_read);
	MT_ASSERT(json_array_size(all) == t->n);
	json_decref(all);
}

/* Rounds end: each one takes a version away from somebody, and nobody has more than two. */
static struct mt_snapshot *compile(struct mt_object_table *t, struct mt_diags *diags)
{
	struct mt_diags mark = *diags;

	for (uint32_t rounds = 0; !t->node_refused; rounds++) {
		int rc;
		struct mt_model *m = mt_table_model(t, &rc);
		struct mt_snapshot *s;

		MT_ASSERT(m && rounds <= 2 * t->n);
		s = mt_conf_compile(conf(), m, diags, 0);
		if (s)
			return s;
		if (!mt_table_refuse(t, diags))
			break;
		mt_diags_rewind(diags, &mark);
	}
	MT_ASSERT(t->node_refused);
	return NULL;
}

static void load(struct mt_kept *kept, const char *text)
{
	struct mt_source_reading r = {0};
	struct mt_object_table *t;
	struct mt_diags diags;
	struct mt_snapshot *s;
	uint32_t n;

	mt_diags_init(&diags);
	read_text(&r, &diags, text);
	n = r.objects.n;
	t = mt_table_new(&r, kept);
	MT_ASSERT(t);
	s = compile(t, &diags);
	if (s) {
		mt_table_finish(t, &diags);
		check_rows(t, n);
		MT_ASSERT(mt_kept_update(kept, t, 0) == 0);
		mt_conf_discard(conf(), s, 0);
	}
	mt_table_free(t);
	mt_source_reading_fini(&r);
	mt_diags_fini(&diags);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct mt_kept *kept = mt_kept_open(NULL, true);
	size_t first;

	MT_ASSERT(text && kept);
	memcpy(text, data, size);
	text[size] = '\0';
	first = strlen(text);
	load(kept, text);
	if (first < size)
		load(kept, text + first + 1);
	mt_kept_free(kept);
	free(text);
	return 0;
}
