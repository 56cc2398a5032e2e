/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A configuration from nowhere good, and then, behind a NUL byte, what becomes of it: each is read, and compiled with what of
 * it can be used. Whatever it is, each object has one row, and everything is served but what its status takes away.
 */
#include "fuzz.h"
#include "../golden/checked.h"
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
	s = checked_compile(conf(), t, (struct mt_model_names){0}, &diags, 0, NULL);
	if (s) {
		mt_table_finish(t, &diags);
		checked_rows(t, n);
		MT_ASSERT(mt_kept_update(kept, t, 0) == 0);
		mt_conf_discard(conf(), s, 0);
	}
	mt_table_free(t);
	mt_source_reading_fini(&r);
	mt_diags_fini(&diags);
}

/*
 * The same from a source that is limited to two namespaces: each object is of one of them, or
 * outside, and then it has no effect.
 */
static void read_confined(const char *text)
{
	static const struct mt_source_place team = {.source = "team", .only = "default, prod"};
	struct mt_objects all = {0};
	struct mt_diags diags;
	uint32_t n;

	mt_diags_init(&diags);
	MT_ASSERT(mt_source_objects(&all, &diags, &team, "fuzz", 1, text, &n) == 0);
	for (uint32_t i = 0; i < all.n; i++) {
		const struct mt_object *o = all.v[i];

		MT_ASSERT(!o->is_node && !o->part->node);
		if (o->outside)
			MT_ASSERT(o->status == MT_OBJECT_REFUSED || o->status == MT_OBJECT_IGNORED);
		if (o->outside)
			MT_ASSERT(!o->restricts && !o->may_restrict);
		else if (o->status != MT_OBJECT_IGNORED)
			MT_ASSERT(strcmp(o->ns, "default") == 0 || strcmp(o->ns, "prod") == 0);
	}
	mt_objects_fini(&all);
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
	read_confined(text);
	if (first < size)
		load(kept, text + first + 1);
	mt_kept_free(kept);
	free(text);
	return 0;
}
