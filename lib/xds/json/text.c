/* SPDX-License-Identifier: Apache-2.0 */
/* Converts YAML and JSON texts to google.protobuf.Struct. */
#include "mt_pb_json.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct text {
	struct mt_region *r;
	Xds__Struct *root;
	bool once;		      /* duplicate keys are errors */
	const struct mt_ynode *twice; /* the first duplicate */
	bool failed;		      /* no memory */
};

static bool fill(struct text *t, const struct mt_ynode *n, Xds__Value *v);

static void *take(struct text *t, size_t size)
{
	void *p = mt_region_alloc(t->r, size);

	t->failed |= p == NULL;
	return p;
}

static Xds__Value *value_of(struct text *t, const struct mt_ynode *n)
{
	struct mt_pb_written *w = take(t, sizeof(*w));

	if (!w)
		return NULL;
	xds__value__init(&w->value);
	w->node = n;
	return fill(t, n, &w->value) ? &w->value : NULL;
}

/* Maximum number of keys of a map with `once`. The YAML reader limits the size of the text. */
#define KEYS_MAX 4096u

static bool is_new(struct text *t, const Xds__Struct *s, const struct mt_ynode *k)
{
	for (size_t i = 0; i < s->n_fields; i++)
		if (strcmp(s->fields[i]->key, k->key) == 0) {
			t->twice = t->twice ? t->twice : k;
			return false;
		}
	return true;
}

static Xds__Struct *map_of(struct text *t, const struct mt_ynode *n)
{
	Xds__Struct *s = take(t, sizeof(*s));

	if (!s)
		return NULL;
	if (t->once && n->n > KEYS_MAX) {
		t->failed = true;
		return NULL;
	}
	xds__struct__init(s);
	s->fields = take(t, sizeof(*s->fields) * n->n);
	if (!s->fields)
		return NULL;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		Xds__Struct__FieldsEntry *e = take(t, sizeof(*e));

		if (!e || (t->once && !is_new(t, s, k)))
			return NULL;
		xds__struct__fields_entry__init(e);
		e->key = (char *)k->key;
		e->value = value_of(t, k);
		if (!e->value)
			return NULL;
		s->fields[s->n_fields++] = e;
	}
	return s;
}

static Xds__ListValue *list_of(struct text *t, const struct mt_ynode *n)
{
	Xds__ListValue *l = take(t, sizeof(*l));

	if (!l)
		return NULL;
	xds__list_value__init(l);
	l->values = take(t, sizeof(*l->values) * n->n);
	if (!l->values)
		return NULL;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		l->values[l->n_values] = value_of(t, k);
		if (!l->values[l->n_values++])
			return NULL;
	}
	return l;
}

/* Converts a scalar. Without quotes it may be null, a boolean, or a number in JSON's syntax. */
static void fill_scalar(const struct mt_ynode *n, Xds__Value *v)
{
	size_t len = strlen(n->text);
	char *end;

	if (mt_yaml_is_null(n)) {
		v->kind_case = XDS__VALUE__KIND_NULL_VALUE;
	} else if (n->plain && (strcmp(n->text, "true") == 0 || strcmp(n->text, "false") == 0)) {
		v->kind_case = XDS__VALUE__KIND_BOOL_VALUE;
		v->bool_value = *n->text == 't';
	} else if (n->plain && len && strspn(n->text, "-+.eE0123456789") == len &&
		   (v->number_value = strtod(n->text, &end), *end == '\0')) {
		v->kind_case = XDS__VALUE__KIND_NUMBER_VALUE;
	} else {
		v->kind_case = XDS__VALUE__KIND_STRING_VALUE;
		v->string_value = (char *)n->text;
	}
}

/* Recursive; the YAML reader limits the depth. */
static bool fill(struct text *t, const struct mt_ynode *n, Xds__Value *v)
{
	switch (n->type) {
	case MT_Y_MAP:
		v->kind_case = XDS__VALUE__KIND_STRUCT_VALUE;
		v->struct_value = map_of(t, n);
		return v->struct_value != NULL;
	case MT_Y_SEQ:
		v->kind_case = XDS__VALUE__KIND_LIST_VALUE;
		v->list_value = list_of(t, n);
		return v->list_value != NULL;
	default:
		fill_scalar(n, v);
		return true;
	}
}

static void document(void *arg, const struct mt_ynode *root)
{
	struct text *t = arg;

	if (!t->root && root->type == MT_Y_MAP)
		t->root = map_of(t, root);
}

Xds__Struct *mt_pb_struct_of_node(struct mt_region *r, const struct mt_ynode *map)
{
	return map_of(&(struct text){.r = r}, map);
}

Xds__Struct *mt_pb_struct_of_text(
	struct mt_pb_arena *a, const char *name, const char *text, size_t len, struct mt_err *why)
{
	struct text t = {.r = &a->region, .once = true};
	struct mt_diags diags;
	char line[512];

	mt_diags_init(&diags);
	mt_yaml_parse(t.r, &diags, name, text, len, document, &t);
	if (diags.n) {
		mt_diag_format(&diags.items[0], line, sizeof(line));
		mt_err(why, -EINVAL, "%s", line);
	} else if (t.twice)
		mt_err(why, -EINVAL, "%s:%u: \"%.64s\" is written twice", name, t.twice->key_line,
			t.twice->key);
	else if (t.failed || t.r->failed)
		mt_err(why, -ENOMEM, "%s: it needs too much memory", name);
	else if (!t.root)
		mt_err(why, -EINVAL, "%s: it holds no map of fields", name);
	if (diags.n || t.twice || t.failed || t.r->failed)
		t.root = NULL;
	mt_diags_fini(&diags);
	return t.root;
}
