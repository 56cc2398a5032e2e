/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COALESCE: the first of several operators that has a value. Its argument is Envoy's JSON:
 * {"operators": ["NAME", {"command": "NAME", "param": "ARGUMENTS", "max_length": N}]}. Other
 * members are refused, because a misspelt one would change the value silently.
 */
#include "mt_alog_format_priv.h"

#include <jansson.h>

#define CHOICES 16

struct reading {
	struct mt_alog_maker *m;
	const struct mt_alog_use *use; /* of COALESCE */
};

static bool fail(const struct reading *r, const char *words)
{
	return mt_alog_fail(r->m, r->use->where, "COALESCE %s", words);
}

static struct mt_slice slice_of(const json_t *text)
{
	return (struct mt_slice){
		(const uint8_t *)json_string_value(text), (uint32_t)json_string_length(text)};
}

/* Reads the members of an entry that is an object. */
static bool read_object(const struct reading *r, json_t *entry, struct mt_alog_use *use)
{
	json_t *name = json_object_get(entry, "command"), *param = json_object_get(entry, "param"),
	       *most = json_object_get(entry, "max_length");

	if (json_object_size(entry) != (name != NULL) + (size_t)(param != NULL) + (most != NULL))
		return fail(r, "takes command, param and max_length of an operator");
	if (!json_is_string(name) || (param && !json_is_string(param)))
		return fail(r, "needs texts for command and param");
	if (most && (!json_is_integer(most) || json_integer_value(most) <= 0))
		return fail(r, "needs a whole number above 0 for max_length");
	use->name = slice_of(name);
	use->has_arguments = param != NULL;
	if (param)
		use->arguments = slice_of(param);
	use->has_limit = most != NULL;
	if (most)
		use->limit = (uint32_t)MT_MIN(json_integer_value(most), MT_ALOG_LINE);
	return true;
}

static bool read_entry(const struct reading *r, json_t *entry, struct mt_alog_piece *to)
{
	struct mt_alog_use use = {.where = r->use->where};
	const struct mt_alog_operator *op;

	if (json_is_string(entry))
		use.name = slice_of(entry);
	else if (!json_is_object(entry))
		return fail(r, "needs names of operators, or objects with command");
	else if (!read_object(r, entry, &use))
		return false;
	op = mt_alog_operator_find((const char *)use.name.p, use.name.len);
	if (!op)
		return mt_alog_fail(r->m, use.where, "COALESCE: %.*s is not an operator",
			(int)MT_MIN(use.name.len, 64u), (const char *)use.name.p);
	if (op->arguments == MT_ALOG_FOR_CHOICES)
		return fail(r, "cannot contain itself");
	return mt_alog_arguments(r->m, op, &use, to);
}

static bool read_list(const struct reading *r, json_t *list, struct mt_alog_piece *p)
{
	size_t n = json_array_size(list);

	if (n == 0 || n > CHOICES)
		return fail(r, "needs a list of 1 to 16 operators");
	p->choices = mt_region_alloc(&r->m->f->region, n * sizeof(*p->choices));
	if (!p->choices)
		return mt_alog_no_memory(r->m);
	p->n_choices = (uint8_t)n;
	p->kind = MT_ALOG_FIRST;
	for (size_t i = 0; i < n; i++)
		if (!read_entry(r, json_array_get(list, i), &p->choices[i]))
			return false;
	return true;
}

bool mt_alog_coalesce(
	struct mt_alog_maker *m, const struct mt_alog_use *use, struct mt_alog_piece *p)
{
	const struct reading r = {m, use};
	json_t *config = use->arguments.len
				 ? json_loadb((const char *)use->arguments.p, use->arguments.len,
					   JSON_REJECT_DUPLICATES, NULL)
				 : NULL;
	json_t *list = json_object_get(config, "operators");
	bool done;

	if (!json_is_array(list) || json_object_size(config) != 1)
		done = fail(&r, "needs JSON, for example ({\"operators\": [\"PROTOCOL\"]})");
	else
		done = read_list(&r, list, p);
	json_decref(config);
	return done;
}
