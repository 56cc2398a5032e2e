/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tagOverrides of Telemetry's metrics: a map of names to changes of labels. Each service has a copy
 * of its changes, so a map has limits.
 */
#include "mt_fields.h"

#include "mt_istio_metrics.h"

#include <string.h>

#define NAME_LEN 128u
#define MOST	 4096u /* bytes of all names and values of a map */

enum { UPSERT, REMOVE };

static const char *const operations[] = {"UPSERT", "REMOVE", NULL};

static void check_tag(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_tag_override *t = obj;
	bool has_value = t->value.s && *t->value.s;

	if (t->operation.v == UPSERT && !has_value)
		mt_f_error(c, n->line, "write a value, or `operation: REMOVE`", "has no value");
	if (t->operation.v == REMOVE && has_value)
		mt_f_error(c, n->line, "leave out the value", "a label is removed without a value");
}

static const struct mt_field tag_fields[] = {
	{"operation", MT_F_WORD, AT(struct mt_tag_override, operation), .words = operations,
		.help = "`REMOVE`: without this label, and series that differ in it alone are one; "
			"default: UPSERT"},
	{"value", MT_F_TEXT, AT(struct mt_tag_override, value),
		.help = "UPSERT: the label's value, an "
			"[expression in CEL](telemetry.md#change-labels) such as `\"'value'\"`"},
};

const struct mt_section mt_sec_tag_override = {"tag", sizeof(struct mt_tag_override),
	MT_ARRAY_LEN(tag_fields), .fields = tag_fields, .after = check_tag};

/* Prometheus has its own use for names with two underscores, and for `le`. */
static bool is_name(const char *s)
{
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
	size_t len = strlen(s);

	return len && len <= NAME_LEN && strspn(s, LETTERS "0123456789") == len &&
	       strspn(s, LETTERS) > 0 && strncmp(s, "__", 2) != 0 && strcmp(s, "le") != 0;
#undef LETTERS
}

static bool has_name(const struct mt_telemetry_override *to, const char *name)
{
	for (uint32_t i = 0; i < to->n_tags; i++)
		if (strcmp(to->tags[i].name.s, name) == 0)
			return true;
	return false;
}

static void read_tag(struct mt_fctx *c, const struct mt_ynode *n, struct mt_telemetry_override *to)
{
	struct mt_tag_override *t;

	if (!is_name(n->key)) {
		mt_f_error(c, n->key_line,
			"write letters, digits and _, at most 128; not le, nor __ at the start",
			"not a name of a label");
		return;
	}
	if (has_name(to, n->key)) {
		mt_f_error(c, n->key_line, "keep one of them", "written twice");
		return;
	}
	t = &to->tags[to->n_tags++];
	t->name = (struct mt_text){n->key, n->key_line};
	mt_section_read(c, &mt_sec_tag_override, n, t);
}

void mt_read_tag_overrides(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct mt_telemetry_override *to = obj;
	size_t bytes = 0;

	if (!mt_want_map(c, n, "a map of names and changes of labels") || !n->n)
		return;
	if (n->n > MT_METRIC_TAGS) {
		mt_f_error(c, n->line, "write at most 32", "%u labels are too many", n->n);
		return;
	}
	to->tags = mt_region_alloc(&c->model->region, n->n * sizeof(*to->tags));
	for (const struct mt_ynode *k = n->first; k && to->tags; k = k->next) {
		uint32_t mark = mt_path_push(c, k->key);

		read_tag(c, k, to);
		mt_path_pop(c, mark);
	}
	for (uint32_t i = 0; i < to->n_tags; i++)
		bytes += strlen(to->tags[i].name.s) +
			 (to->tags[i].value.s ? strlen(to->tags[i].value.s) : 0);
	if (bytes > MOST)
		mt_f_error(c, n->line, "write at most 4096 bytes",
			"names and values of all labels have %zu bytes", bytes);
}
