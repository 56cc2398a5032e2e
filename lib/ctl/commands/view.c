/* SPDX-License-Identifier: Apache-2.0 */
/* Applies a view to an answer: selects rows by conditions, sorts them, and limits their number. */
#include "view.h"

#include <errno.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_table(const json_t *v)
{
	return json_is_array(v) && json_is_object(json_array_get(v, 0));
}

uint32_t mt_view_fields(const json_t *answer, const char **fields, uint32_t max)
{
	const char *key, *name;
	json_t *v, *member;
	uint32_t n = 0;

	json_object_foreach((json_t *)answer, key, v)
	{
		if (!is_table(v))
			continue;
		json_object_foreach(json_array_get(v, 0), name, member)
		{
			bool known = false;

			for (uint32_t i = 0; i < n && !known; i++)
				known = strcmp(fields[i], name) == 0;
			if (!known && n < max)
				fields[n++] = name;
		}
	}
	return n;
}

/* Full name of a field that may be shortened; NULL: unknown or ambiguous. */
static const char *field_of(const json_t *row, const char *name)
{
	const char *key, *found = NULL;
	uint32_t n = 0;
	json_t *v;

	json_object_foreach((json_t *)row, key, v)
	{
		if (strcmp(key, name) == 0)
			return key;
		if (strncmp(key, name, strlen(name)) == 0) {
			found = key;
			n++;
		}
	}
	return n == 1 ? found : NULL;
}

/* Parses "1500", "1.5k" or "10M"; false: not a number. */
static bool number(const char *text, double *value)
{
	static const char units[] = "kMG";
	const char *unit;
	char *end;

	*value = strtod(text, &end);
	if (end == text)
		return false;
	unit = *end ? strchr(units, *end) : NULL;
	if (!unit)
		return *end == '\0';
	*value *= pow(1000, (double)(unit - units + 1));
	return end[1] == '\0';
}

static bool compare(enum mt_compare op, double have, double want)
{
	switch (op) {
	case MT_IS:
		return have == want;
	case MT_IS_NOT:
		return have != want;
	case MT_LESS:
		return have < want;
	case MT_MORE:
		return have > want;
	case MT_AT_MOST:
		return have <= want;
	case MT_AT_LEAST:
		return have >= want;
	case MT_HOLDS:
		break;
	}
	return false;
}

/*
 * True if the row meets the condition. On texts =, != and ~ ignore case, and * and ? are wildcards
 * of = and !=.
 */
static bool meets(const json_t *row, const struct mt_condition *c)
{
	const char *field = field_of(row, c->field);
	const json_t *v = field ? json_object_get(row, field) : NULL;
	char text[MT_CELL];
	double want;

	if (json_is_number(v) && c->op != MT_HOLDS)
		return number(c->value, &want) && compare(c->op, json_number_value(v), want);
	mt_render_cell(v, text, sizeof(text));
	switch (c->op) {
	case MT_IS:
		return fnmatch(c->value, text, FNM_CASEFOLD) == 0;
	case MT_IS_NOT:
		return fnmatch(c->value, text, FNM_CASEFOLD) != 0;
	case MT_HOLDS:
		return strcasestr(text, c->value) != NULL;
	default:
		return compare(c->op, strcmp(text, c->value), 0);
	}
}

/*
 * Order of two rows: numbers from the largest down, texts from A to Z, so that the rows of interest
 * come first.
 */
static int in_order(const json_t *a, const json_t *b, const char *field)
{
	const json_t *va = json_object_get(a, field), *vb = json_object_get(b, field);
	char ta[MT_CELL], tb[MT_CELL];

	if (json_is_number(va) && json_is_number(vb)) {
		double na = json_number_value(va), nb = json_number_value(vb);

		return na < nb ? 1 : na > nb ? -1 : 0;
	}
	mt_render_cell(va, ta, sizeof(ta));
	mt_render_cell(vb, tb, sizeof(tb));
	return strcmp(ta, tb);
}

struct sorted {
	json_t *row;
	size_t at; /* original position, so that equal rows keep their order */
	const char *field;
	int sign;
};

static int by_field(const void *a, const void *b)
{
	const struct sorted *x = a, *y = b;
	int c = x->sign * in_order(x->row, y->row, x->field);

	return c ? c : x->at < y->at ? -1 : 1;
}

static int sort_rows(json_t *rows, const char *field, int sign)
{
	size_t n = json_array_size(rows);
	struct sorted *s = calloc(n, sizeof(*s));

	if (!s)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		s[i] = (struct sorted){json_incref(json_array_get(rows, i)), i, field, sign};
	qsort(s, n, sizeof(*s), by_field);
	for (size_t i = 0; i < n; i++)
		json_array_set_new(rows, i, s[i].row);
	free(s);
	return 0;
}

static int no_field(const json_t *answer, const char *name, struct mt_err *e)
{
	const char *fields[32];
	uint32_t n = mt_view_fields(answer, fields, MT_ARRAY_LEN(fields));
	size_t len;

	mt_err(e, -EINVAL, "no field `%.64s`; there are", name);
	len = strlen(e->text);
	for (uint32_t i = 0; i < n && len < sizeof(e->text); i++)
		len += (size_t)snprintf(e->text + len, sizeof(e->text) - len, " %s", fields[i]);
	return -EINVAL;
}

/* True if one of the tables has the field; without any row every field is accepted. */
static bool known(const json_t *answer, const char *name)
{
	bool tables = false;
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)answer, key, v)
	{
		if (is_table(v) && field_of(json_array_get(v, 0), name))
			return true;
		tables |= is_table(v);
	}
	return !tables;
}

static int table(const struct mt_ctl_view *v, json_t *rows)
{
	const char *sort = v->sort && *v->sort == '-' ? v->sort + 1 : v->sort;
	const char *field;

	for (size_t i = json_array_size(rows); i-- > 0;)
		for (uint32_t k = 0; k < v->n_where; k++)
			if (!meets(json_array_get(rows, i), &v->where[k])) {
				json_array_remove(rows, i);
				break;
			}
	/* Take the key from a remaining row, because removed rows free their keys. */
	field = sort ? field_of(json_array_get(rows, 0), sort) : NULL;
	if (field && sort_rows(rows, field, *v->sort == '-' ? -1 : 1) < 0)
		return -ENOMEM;
	while (json_array_size(rows) > v->limit)
		json_array_remove(rows, json_array_size(rows) - 1);
	return 0;
}

/* Number of rows of each array; for an answer without arrays, number of members. */
static json_t *counted(const json_t *answer)
{
	json_t *n = json_object(), *v;
	const char *key;

	json_object_foreach((json_t *)answer, key, v)
	{
		if (json_is_array(v))
			json_object_set_new(n, key, json_integer((json_int_t)json_array_size(v)));
	}
	if (json_object_size(n) == 0)
		json_object_set_new(n, "count", json_integer((json_int_t)json_object_size(answer)));
	return n;
}

/* False with the reason in e if a numeric field is compared with a value that is not a number. */
static bool comparable(const json_t *answer, const struct mt_condition *c, struct mt_err *e)
{
	const char *key, *field;
	double value;
	json_t *v;

	if (c->op == MT_HOLDS || number(c->value, &value))
		return true;
	json_object_foreach((json_t *)answer, key, v)
	{
		const json_t *row = is_table(v) ? json_array_get(v, 0) : NULL;

		field = row ? field_of(row, c->field) : NULL;
		if (field && json_is_number(json_object_get(row, field))) {
			mt_err(e, -EINVAL, "`%s` is a number, `%.64s` is none", field, c->value);
			return false;
		}
	}
	return true;
}

int mt_view_apply(const struct mt_ctl_view *v, json_t **answer, struct mt_err *e)
{
	const char *sort = v->sort && *v->sort == '-' ? v->sort + 1 : v->sort, *key;
	json_t *member, *n;

	for (uint32_t i = 0; i < v->n_where; i++)
		if (!known(*answer, v->where[i].field))
			return no_field(*answer, v->where[i].field, e);
	for (uint32_t i = 0; i < v->n_where; i++)
		if (!comparable(*answer, &v->where[i], e))
			return -EINVAL;
	if (sort && !known(*answer, sort))
		return no_field(*answer, sort, e);
	json_object_foreach(*answer, key, member)
	{
		if (is_table(member) && table(v, member) < 0)
			return mt_err(e, -ENOMEM, "no memory");
	}
	for (uint32_t i = 0; i < v->n_grep; i++)
		mt_render_filter(*answer, v->grep[i]);
	if (!v->count)
		return 0;
	n = counted(*answer);
	json_decref(*answer);
	*answer = n;
	return 0;
}
