/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_object.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *word, *help;
} statuses[MT_OBJECT_STATUSES] = {
	[MT_OBJECT_IN_FORCE] = {"in-force", "all of it is done here"},
	[MT_OBJECT_NOTES] = {"in-force-with-notes",
		"it is done here, but for the fields that its notes name"},
	[MT_OBJECT_ELSEWHERE] = {"elsewhere", "another proxy enforces it; the reason says which"},
	[MT_OBJECT_IGNORED] = {"ignored",
		"not for a mesh, or of a kind that Meltemi has no use for"},
	[MT_OBJECT_NO_EFFECT] = {"no-effect", "nothing that it applies to is here"},
	[MT_OBJECT_SHADOWED] = {"shadowed", "another object is used in its place"},
	[MT_OBJECT_WAITING] = {"waiting", "something that it names has not been told yet"},
	[MT_OBJECT_FAIL_CLOSED] = {"fail-closed",
		"it cannot be evaluated here, so calls to what it selects are denied"},
	[MT_OBJECT_LAST_GOOD] = {"last-good",
		"its current version cannot be used; its last good version stays in force"},
	[MT_OBJECT_REFUSED] = {"refused", "it cannot be used, and there is no last good version"},
};

const char *mt_object_status_str(enum mt_object_status s)
{
	return statuses[s].word;
}

const char *mt_object_status_help(enum mt_object_status s)
{
	return statuses[s].help;
}

void mt_object_reference(FILE *out)
{
	fputs("| status | meaning |\n|---|---|\n", out);
	for (int i = 0; i < MT_OBJECT_STATUSES; i++)
		fprintf(out, "| `%s` | %s |\n", statuses[i].word, statuses[i].help);
}

int mt_objects_add(struct mt_objects *l, struct mt_object *o)
{
	uint32_t cap = l->cap ? 2 * l->cap : 16;
	struct mt_object **v;

	/* Built once, because every load compares and looks it up. */
	if (!o->key)
		o->key = mt_region_printf(&o->part->region, "%s\n%s\n%s\n%s\n%s", o->source,
			o->group, o->kind, o->ns, o->name);
	if (!o->key)
		return -ENOMEM;
	if (l->n == l->cap) {
		v = realloc(l->v, cap * sizeof(struct mt_object *));
		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = o;
	o->part->refs++;
	return 0;
}

void mt_objects_fini(struct mt_objects *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		mt_object_put(l->v[i]);
	free(l->v);
	*l = (struct mt_objects){0};
}

int mt_object_str(const struct mt_object *o, char *buf, size_t size)
{
	return snprintf(buf, size, "%s %s/%s", *o->kind ? o->kind : "document",
		*o->ns ? o->ns : "?", *o->name ? o->name : "?");
}

/* Usable objects come first, whatever their age; then invalid ones, then illegible ones. */
static int trouble(const struct mt_object *o)
{
	return o->illegible ? 2 : o->status == MT_OBJECT_REFUSED;
}

int mt_object_cmp(const struct mt_object *a, const struct mt_object *b)
{
	int c = strcmp(a->key, b->key);

	if (!c)
		c = trouble(a) - trouble(b);
	if (!c)
		c = (a->created > b->created) - (a->created < b->created);
	return c ? c : (a->hash > b->hash) - (a->hash < b->hash);
}

int mt_object_age_cmp(const struct mt_object *a, const struct mt_object *b)
{
	int c = (a->created > b->created) - (a->created < b->created);

	if (!c)
		c = strcmp(a->name, b->name);
	if (!c)
		c = strcmp(a->ns, b->ns);
	return c ? c : mt_object_cmp(a, b);
}
