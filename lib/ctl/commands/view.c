/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The view of an answer: parses the words of it at the end of a request, then selects rows by an
 * expression, sorts and limits them, and reduces text to the columns that matter.
 */
#include "view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- words ---------------------------------------------------------------------------------- */

/* True if the word changes whether the text after it is within quotes. */
static bool toggles_quote(const char *word)
{
	bool odd = false;

	for (; (word = strchr(word, '"')) != NULL; word++)
		odd = !odd;
	return odd;
}

/* The words of a view of rows, and what must follow them; NULL: nothing. */
static const struct view_word {
	const char *word, *wants;
} view_words[] = {
	{"where", "an expression like state=closed, bytes>1000 or name~abc"},
	{"sort", "a field"},
	{"limit", "a number of rows"},
	{"wide", NULL},
};

static const struct view_word *view_word(const char *word)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(view_words); i++)
		if (strcmp(view_words[i].word, word) == 0)
			return &view_words[i];
	return NULL;
}

bool mt_view_is_word(const char *word)
{
	return view_word(word) != NULL;
}

static bool ends(const struct mt_request *r, uint32_t at)
{
	return at >= r->n || strcmp(r->words[at], "|") == 0;
}

/* Takes the expression of `where`; returns its number of words. */
static uint32_t take_where(struct mt_ctl_view *v, const struct mt_request *r, uint32_t at)
{
	bool quoted = false;
	uint32_t n = 0;

	while (at + n < r->n &&
		(quoted || (!ends(r, at + n) && !mt_view_is_word(r->words[at + n]))))
		quoted ^= toggles_quote(r->words[at + n++]);
	mt_ctl_join_words(r->words + at, n, v->where, sizeof(v->where));
	return n;
}

static int take_limit(struct mt_ctl_view *v, const char *word, struct mt_err *e)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(word, &end, 10);
	if (*word < '0' || *word > '9' || *end || errno || n >= UINT32_MAX)
		return mt_err(e, -EINVAL, "limit needs a number of rows, not `%s`", word);
	v->limit = (uint32_t)n;
	return 2;
}

/*
 * Parses the words of the view from `at` on. Returns the number of words used; 0: not a view;
 * -EINVAL. A word that lacks its argument is an error, because an empty answer would mislead.
 */
static int take_word(struct mt_ctl_view *v, struct mt_request *r, uint32_t at, struct mt_err *e)
{
	const struct view_word *is = view_word(r->words[at]);
	uint32_t n = 1;

	if (!is)
		return 0;
	if (!is->wants) {
		v->wide = true;
		return 1;
	}
	if (is == view_words && v->where[0])
		return mt_err(e, -EINVAL, "`where` is given twice");
	if (is == view_words)
		n = take_where(v, r, at + 1);
	if (n == 0 || ends(r, at + 1))
		return mt_err(e, -EINVAL, "%s needs %s after it (rows with the word: `| grep %s`)",
			is->word, is->wants, is->word);
	if (strcmp(is->word, "limit") == 0)
		return take_limit(v, r->words[at + 1], e);
	if (strcmp(is->word, "sort") == 0)
		v->sort = r->words[at + 1];
	return (int)n + 1;
}

static int take_filter(
	struct mt_ctl_view *v, struct mt_request *r, uint32_t at, uint32_t n, struct mt_err *e)
{
	const char *name = n ? r->words[at] : "";

	if (strcmp(name, "count") == 0 && n == 1) {
		v->count = true;
	} else if (strcmp(name, "json") == 0 && n == 1) {
		r->json = true;
	} else if (strcmp(name, "grep") == 0 && n == 2) {
		if (v->n_grep == MT_VIEW_MAX)
			return mt_err(e, -EINVAL, "at most %u times `| grep`", MT_VIEW_MAX);
		v->grep[v->n_grep++] = r->words[at + 1];
	} else {
		return mt_err(e, -EINVAL, "expected `grep WORD`, `count` or `json` after |");
	}
	return 0;
}

int mt_view_cut(struct mt_ctl_view *v, struct mt_request *r, bool table, struct mt_err *e)
{
	uint32_t at, end, own = UINT32_MAX;
	int n;

	*v = (struct mt_ctl_view){.limit = UINT32_MAX};
	for (at = 0; !ends(r, at); at += n ? (uint32_t)n : 1) {
		n = table ? take_word(v, r, at, e) : 0;
		if (n < 0)
			return n;
		if (n == 0 && own < at)
			return mt_err(e, -EINVAL,
				"`%s` is out of place; there may stand `where`, `sort`, `limit` or "
				"`wide`",
				r->words[at]);
		own = n ? MT_MIN(own, at) : own;
	}
	own = MT_MIN(own, at);
	for (; at < r->n; at = end) {
		for (end = at + 1; !ends(r, end);)
			end++;
		if (take_filter(v, r, at + 1, end - at - 1, e) < 0)
			return -EINVAL;
	}
	r->n = own;
	return 0;
}

/* ---- columns -------------------------------------------------------------------------------- */

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

void mt_view_show(struct mt_ctl_view *v, const char *name)
{
	for (uint32_t i = 0; i < v->n_shown; i++)
		if (strcmp(v->shown[i], name) == 0)
			return;
	if (v->n_shown < MT_VIEW_SHOWN)
		snprintf(v->shown[v->n_shown++], sizeof(v->shown[0]), "%s", name);
}

void mt_view_show_expr(
	struct mt_ctl_view *v, const struct mt_expr *x, const struct mt_expr_names *names)
{
	for (uint32_t i = 0; i < x->n_terms; i++)
		for (uint32_t k = 0; k < names->n; k++)
			if (names->of[k].id == x->terms[i].field)
				mt_view_show(v, names->of[k].name);
}

/*
 * True if the request names the column: by its name; or by that of a field which is part of the
 * column's name, such as `rtt` of srtt_us, if no column has the field's own name.
 */
static bool is_asked(const struct mt_ctl_view *v, const json_t *row, const char *column)
{
	for (uint32_t i = 0; i < v->n_shown; i++)
		if (strcmp(v->shown[i], column) == 0 ||
			(!json_object_get(row, v->shown[i]) && strstr(column, v->shown[i])))
			return true;
	return false;
}

void mt_view_narrow(const struct mt_ctl_view *v, const char *columns, json_t *answer)
{
	const char *key, *name;
	json_t *rows, *row, *first, *member;
	void *next;
	size_t i;

	json_object_foreach(answer, key, rows)
	{
		first = json_array_get(rows, 0);
		if (json_object_size(first) <= MT_VIEW_COLUMNS)
			continue;
		first = json_deep_copy(first);
		json_array_foreach(rows, i, row)
		{
			json_object_foreach_safe(row, next, name, member)
			{
				if (!mt_lists(columns, name) && !is_asked(v, first, name))
					json_object_del(row, name);
			}
		}
		json_decref(first);
	}
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
	struct mt_ctl_view *v, struct mt_expr_names *names, const json_t *rows, struct mt_err *e)
{
	struct mt_view_row r = {.names = names};
	struct mt_expr x;
	json_t *kept, *row;
	size_t i;

	if (compile(&x, v->where, names, rows, e) < 0)
		return NULL;
	mt_view_show_expr(v, &x, names);
	kept = json_array();
	json_array_foreach((json_t *)rows, i, row)
	{
		struct mt_value is;

		r.row = row;
		is = mt_expr_run(&x, mt_view_value, &r);
		if (is.type == MT_VALUE_BOOL && is.yes)
			json_array_append(kept, row);
	}
	return kept;
}

/* Tables without rows have no columns: without any row every field is accepted. */
static int select_rows(struct mt_ctl_view *v, json_t *answer, struct mt_err *e)
{
	struct mt_expr_names names;
	json_t *selected, *rows;
	const char *key;

	mt_view_fields(answer, &names);
	if (!v->where[0] || !names.n)
		return 0;
	selected = json_object();
	json_object_foreach(answer, key, rows)
	{
		json_t *kept = is_table(rows) ? chosen(v, &names, rows, e) : NULL;

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

/*
 * Number of rows of each array; for an answer without arrays, number of members. `all`: the view
 * has dropped no row, so that a table with rows left out counts as `matched`.
 */
static json_t *counted(const json_t *answer, bool all)
{
	const json_t *matched = all ? json_object_get(answer, "matched") : NULL;
	json_t *n = json_object(), *v;
	const char *key;

	json_object_foreach((json_t *)answer, key, v)
	{
		if (json_is_array(v))
			json_object_set_new(n, key,
				matched && is_table(v)
					? json_copy((json_t *)matched)
					: json_integer((json_int_t)json_array_size(v)));
	}
	if (json_object_size(n) == 0)
		mt_json_set(n, MT_M("count", json_object_size(answer)));
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

int mt_view_apply(struct mt_ctl_view *v, json_t **answer, struct mt_err *e)
{
	json_t *rows, *n;
	const char *key;
	char field[64];

	if (sort_field(*answer, v->sort, field, sizeof(field), e) < 0 ||
		select_rows(v, *answer, e) < 0)
		return -EINVAL;
	if (*field)
		mt_view_show(v, field);
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
	n = counted(*answer, !v->n_grep && v->limit == UINT32_MAX);
	json_decref(*answer);
	*answer = n;
	return 0;
}
