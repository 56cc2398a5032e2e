/* SPDX-License-Identifier: Apache-2.0 */
/* Applies a view to an answer: selects rows by an expression, sorts and limits them. */
#include "view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool is_table(const json_t *v)
{
	return json_is_array(v) && json_is_object(json_array_get(v, 0));
}

void mt_view_fields(const json_t *answer, struct mt_expr_names *names)
{
	const char *key, *name;
	json_t *v, *member;

	*names = (struct mt_expr_names){.n = 0};
	json_object_foreach((json_t *)answer, key, v)
	{
		if (!is_table(v))
			continue;
		json_object_foreach(json_array_get(v, 0), name, member)
		{
			mt_expr_names_add(names, name, MT_EXPR_ANY);
		}
	}
}

/* Type of a column. Values of several types, and lists, compare by the text that is shown. */
static enum mt_expr_type type_of(const json_t *rows, const char *column)
{
	enum mt_expr_type type = MT_EXPR_ANY, own;
	json_t *row;
	size_t i;

	json_array_foreach((json_t *)rows, i, row)
	{
		const json_t *v = json_object_get(row, column);

		if (!v || json_is_null(v))
			continue;
		own = json_is_number(v)	   ? MT_EXPR_NUMBER
		      : json_is_boolean(v) ? MT_EXPR_BOOL
					   : MT_EXPR_TEXT;
		if (type != MT_EXPR_ANY && type != own)
			return MT_EXPR_TEXT;
		type = own;
	}
	return type;
}

void mt_view_names(struct mt_expr_names *names, const json_t *rows)
{
	const char *name;
	json_t *v;

	json_object_foreach(json_array_get(rows, 0), name, v)
	{
		mt_expr_names_add(names, name, type_of(rows, name));
	}
}

static struct mt_value text_of(const char *text, size_t len)
{
	return (struct mt_value){MT_VALUE_TEXT, {.text = {(const uint8_t *)text, (uint32_t)len}}};
}

struct mt_value mt_view_value(void *view_row, uint32_t id)
{
	struct mt_view_row *r = view_row;
	const struct mt_expr_name *name = &r->names->of[id - MT_EXPR_N_FIELDS];
	const json_t *v = json_object_get(r->row, name->name);

	if (!v || json_is_null(v))
		return (struct mt_value){.type = MT_VALUE_ABSENT};
	if (json_is_string(v))
		return text_of(json_string_value(v), json_string_length(v));
	if (name->type == MT_EXPR_TEXT) {
		mt_render_cell(v, r->text, sizeof(r->text));
		return text_of(r->text, strlen(r->text));
	}
	if (json_is_boolean(v))
		return mt_value_bool(json_is_true(v));
	if (json_is_integer(v))
		return (struct mt_value){MT_VALUE_INT, {.n = json_integer_value(v)}};
	return (struct mt_value){MT_VALUE_NUMBER, {.real = json_real_value(v)}};
}

/* Compiles the expression for one of the tables: the columns of the others are absent in it. */
static int compile(struct mt_expr *x, const char *text, struct mt_expr_names *names,
	const json_t *rows, struct mt_err *e)
{
	for (uint32_t i = 0; i < names->n; i++)
		names->of[i].type = MT_EXPR_ANY;
	if (mt_expr_parse(x, text, names, e) < 0)
		return -EINVAL;
	for (uint32_t i = 0; i < x->n_terms; i++) {
		struct mt_expr_name *name = &names->of[x->terms[i].field - MT_EXPR_N_FIELDS];

		name->type = type_of(rows, name->name);
	}
	return mt_expr_parse(x, text, names, e);
}

/* Returns the rows that match; NULL with the reason in e. */
static json_t *chosen(
	const char *text, struct mt_expr_names *names, const json_t *rows, struct mt_err *e)
{
	struct mt_view_row r = {.names = names};
	struct mt_expr x;
	json_t *kept, *row;
	size_t i;

	if (compile(&x, text, names, rows, e) < 0)
		return NULL;
	kept = json_array();
	json_array_foreach((json_t *)rows, i, row)
	{
		struct mt_value v;

		r.row = row;
		v = mt_expr_run(&x, mt_view_value, &r);
		if (v.type == MT_VALUE_BOOL && v.yes)
			json_array_append(kept, row);
	}
	return kept;
}

/* Tables without rows have no columns: without any row every field is accepted. */
static int select_rows(const char *text, json_t *answer, struct mt_err *e)
{
	struct mt_expr_names names;
	json_t *selected, *rows;
	const char *key;

	mt_view_fields(answer, &names);
	if (!*text || !names.n)
		return 0;
	selected = json_object();
	json_object_foreach(answer, key, rows)
	{
		json_t *kept = is_table(rows) ? chosen(text, &names, rows, e) : NULL;

		if (is_table(rows) && !kept) {
			json_decref(selected);
			return -EINVAL;
		}
		if (kept)
			json_object_set_new(selected, key, kept);
	}
	json_object_update(answer, selected);
	json_decref(selected);
	return 0;
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

/* Writes the full name of the field to sort by; "": none, or there is no row. */
static int sort_field(
	const json_t *answer, const char *word, char *field, size_t size, struct mt_err *e)
{
	const struct mt_expr_name *name;
	struct mt_expr_names names;

	field[0] = '\0';
	mt_view_fields(answer, &names);
	if (!word || !names.n)
		return 0;
	word += *word == '-';
	name = mt_expr_name_find(&names, word, strlen(word), e);
	if (!name)
		return -EINVAL;
	snprintf(field, size, "%s", name->name);
	return 0;
}

int mt_view_apply(const struct mt_ctl_view *v, json_t **answer, struct mt_err *e)
{
	json_t *rows, *n;
	const char *key;
	char field[64];

	if (sort_field(*answer, v->sort, field, sizeof(field), e) < 0 ||
		select_rows(v->where, *answer, e) < 0)
		return -EINVAL;
	json_object_foreach(*answer, key, rows)
	{
		if (!is_table(rows))
			continue;
		if (*field && json_object_get(json_array_get(rows, 0), field) &&
			sort_rows(rows, field, *v->sort == '-' ? -1 : 1) < 0)
			return mt_err(e, -ENOMEM, "no memory");
		while (json_array_size(rows) > v->limit)
			json_array_remove(rows, json_array_size(rows) - 1);
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
