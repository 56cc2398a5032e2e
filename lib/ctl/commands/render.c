/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One rendering for all commands: an array of objects is a table (columns in the order of the first
 * row's members), other members are lines `name  value`. A command therefore builds JSON only.
 */
#include "mt_ctl_priv.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS 32
#define CELL	MT_CELL

/* Writes an item of a list within a row: the values of its members, without their names. */
static void render_item(const json_t *v, char *buf, size_t size)
{
	const char *key, *before = "";
	char one[CELL];
	size_t len = 0;
	json_t *m;

	if (!json_is_object(v)) {
		mt_render_cell(v, buf, size);
		return;
	}
	buf[0] = '\0';
	json_object_foreach((json_t *)v, key, m)
	{
		mt_render_cell(m, one, sizeof(one));
		if (!*one || len >= size)
			continue;
		len += (size_t)snprintf(buf + len, size - len, "%s%s", before, one);
		before = ": ";
	}
}

static void render_list(const json_t *v, char *buf, size_t size)
{
	char one[CELL];
	size_t len = 0, i;
	json_t *m;

	buf[0] = '\0';
	json_array_foreach((json_t *)v, i, m)
	{
		render_item(m, one, sizeof(one));
		if (len < size)
			len += (size_t)snprintf(buf + len, size - len, "%s%s", i ? ", " : "", one);
	}
}

/* Writes the members that have a value as "name value; name value". */
static void render_object(const json_t *v, char *buf, size_t size)
{
	const char *key;
	char one[CELL];
	size_t len = 0;
	json_t *m;

	buf[0] = '\0';
	json_object_foreach((json_t *)v, key, m)
	{
		mt_render_cell(m, one, sizeof(one));
		if (!*one || json_is_null(m) || len >= size)
			continue;
		len += (size_t)snprintf(
			buf + len, size - len, "%s%s %s", len ? "; " : "", key, one);
	}
}

/* Writes a scalar as text, and an array or object as a list. */
void mt_render_cell(const json_t *v, char *buf, size_t size)
{
	if (json_is_string(v)) {
		mt_escape(buf, size, json_string_value(v));
	} else if (json_is_integer(v)) {
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	} else if (json_is_real(v)) {
		snprintf(buf, size, "%.2f", json_real_value(v));
	} else if (json_is_boolean(v)) {
		snprintf(buf, size, "%s", json_is_true(v) ? "yes" : "no");
	} else if (!v || json_is_null(v)) {
		snprintf(buf, size, "-");
	} else if (json_is_array(v)) {
		render_list(v, buf, size);
	} else {
		render_object(v, buf, size);
	}
}

/* Writes all of a value, however long, and ends the line. */
static void put_value(struct mt_text_buf *out, const json_t *v)
{
	const char *s = json_string_value(v);
	size_t size = s ? 4 * strlen(s) + 1 : CELL;
	char *text = malloc(size);

	if (!text) {
		out->failed = true;
		return;
	}
	if (s)
		mt_escape(text, size, s);
	else
		mt_render_cell(v, text, size);
	mt_text_add(out, "%s\n", text);
	free(text);
}

/* Writes help text in paragraphs; lines after the first are indented by `width` blanks. */
static void put_paragraphs(struct mt_text_buf *out, const char *text, int width)
{
	for (bool first = true; *text; first = false) {
		size_t len = strcspn(text, "\n");

		mt_text_add(out, "%*s%.*s\n", first || !len ? 0 : width, "", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

static bool is_paragraphs(const char *name, const json_t *v)
{
	return strcmp(name, "more") == 0 && json_is_string(v);
}

struct column {
	const char *name;
	size_t width;
	bool right; /* numbers: aligned to the right */
	bool below; /* sentences: on a line of their own below the row */
};

static bool is_sentence(const char *name)
{
	static const char *const names[] = {"reason", "meaning", "also_counted", "remedy", "notes"};

	for (size_t i = 0; i < MT_ARRAY_LEN(names); i++)
		if (strcmp(names[i], name) == 0)
			return true;
	return false;
}

/* True for NAME_unix_ms of a row that has NAME: text has each time once. */
static bool is_time_again(const json_t *row, const char *key)
{
	size_t len = strlen(key), end = strlen("_unix_ms");
	char name[64];

	if (len <= end || strcmp(key + len - end, "_unix_ms") != 0)
		return false;
	snprintf(name, sizeof(name), "%.*s", (int)(len - end), key);
	return json_object_get(row, name);
}

/* The first value of the column that is not null; NULL: none. */
static const json_t *value_of(const json_t *rows, const char *key)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		const json_t *v = json_object_get(row, key);

		if (v && !json_is_null(v))
			return v;
	}
	return NULL;
}

static uint32_t columns_of(const json_t *rows, struct column *cols)
{
	const char *key;
	json_t *v;
	uint32_t n = 0;

	json_object_foreach(json_array_get(rows, 0), key, v)
	{
		const json_t *some = value_of(rows, key);

		if (n == COLUMNS)
			break;
		if (some && strcmp(key, "section") != 0 &&
			!is_time_again(json_array_get(rows, 0), key))
			cols[n++] = (struct column){
				key, strlen(key), json_is_number(some), is_sentence(key)};
	}
	return n;
}

static void put_cell(struct mt_text_buf *out, const struct column *c, const char *text, bool last)
{
	int w = (int)c->width;

	if (last && !c->right)
		mt_text_add(out, "%s\n", text);
	else
		mt_text_add(out, c->right ? "%*s%s" : "%-*s%s", w, text, last ? "\n" : "  ");
}

/* Number of columns shown side by side: all except the sentences at the end. */
static uint32_t beside(const struct column *cols, uint32_t n)
{
	while (n > 0 && cols[n - 1].below)
		n--;
	return n;
}

static void row_text(
	const json_t *row, const struct column *cols, uint32_t n, struct mt_text_buf *out)
{
	uint32_t n_beside = beside(cols, n);
	char text[CELL];

	for (uint32_t k = 0; k < n; k++) {
		const json_t *v = json_object_get(row, cols[k].name);

		mt_render_cell(v, text, sizeof(text));
		if (k < n_beside) {
			put_cell(out, &cols[k], text, k + 1 == n_beside);
		} else if (v && !json_is_null(v) && *text) {
			mt_text_add(out, "    %s: ", cols[k].name);
			put_value(out, v);
		}
	}
}

/* Puts the title of a section above its first row. */
static void put_section(const json_t *rows, size_t i, struct mt_text_buf *out)
{
	const char *name = json_string_value(json_object_get(json_array_get(rows, i), "section"));
	const char *before =
		i ? json_string_value(json_object_get(json_array_get(rows, i - 1), "section"))
		  : NULL;

	if (name && (!before || strcmp(name, before) != 0))
		mt_text_add(out, "\n%s:\n", name);
}

static void table(const json_t *rows, struct mt_text_buf *out)
{
	struct column cols[COLUMNS];
	uint32_t n = columns_of(rows, cols), n_beside = beside(cols, n);
	char text[CELL];
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		for (uint32_t k = 0; k < n_beside; k++) {
			mt_render_cell(json_object_get(row, cols[k].name), text, sizeof(text));
			cols[k].width = MT_MAX(cols[k].width, strlen(text));
		}
	}
	for (uint32_t k = 0; k < n_beside; k++)
		put_cell(out, &cols[k], cols[k].name, k + 1 == n_beside);
	json_array_foreach(rows, i, row)
	{
		put_section(rows, i, out);
		row_text(row, cols, n, out);
	}
}

static void list(const char *key, const json_t *a, bool title, struct mt_text_buf *out)
{
	char text[CELL];
	json_t *v;
	size_t i;

	if (json_array_size(a) == 0) {
		mt_text_add(out, "%s: none\n", key);
		return;
	}
	if (title)
		mt_text_add(out, "\n%s:\n", key);
	if (json_is_object(json_array_get(a, 0))) {
		table(a, out);
		return;
	}
	json_array_foreach(a, i, v)
	{
		mt_render_cell(v, text, sizeof(text));
		mt_text_add(out, "%s%s\n", title ? "  " : "", text);
	}
}

static size_t longest_name(const json_t *j)
{
	const char *key;
	json_t *v;
	size_t w = 0;

	json_object_foreach((json_t *)j, key, v)
	{
		if (!json_is_array(v) && !json_is_null(v))
			w = MT_MAX(w, strlen(key));
	}
	return w;
}

/* Number of members that are not null. */
static uint32_t n_said(const json_t *j)
{
	const char *key;
	json_t *v;
	uint32_t n = 0;

	json_object_foreach((json_t *)j, key, v)
	{
		n += !json_is_null(v);
	}
	return n;
}

void mt_render_text(const json_t *j, struct mt_text_buf *out)
{
	int width = (int)longest_name(j) + 1;
	bool alone = n_said(j) == 1;
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)j, key, v)
	{
		if (json_is_array(v)) {
			list(key, v, !alone, out);
			continue;
		}
		if (json_is_null(v))
			continue;
		/* A single sentence needs no name in front of it. */
		if (!alone || !json_is_string(v))
			mt_text_add(out, "%-*s ", width, key);
		if (is_paragraphs(key, v))
			put_paragraphs(out, json_string_value(v), width + 1);
		else
			put_value(out, v);
	}
}

static bool holds(const json_t *v, const char *text)
{
	char buf[CELL];
	const char *key;
	json_t *m;

	if (!json_is_object(v)) {
		mt_render_cell(v, buf, sizeof(buf));
		return strcasestr(buf, text) != NULL;
	}
	json_object_foreach((json_t *)v, key, m)
	{
		if (holds(m, text))
			return true;
	}
	return false;
}

static void filter_array(json_t *a, const char *text)
{
	for (size_t i = json_array_size(a); i-- > 0;)
		if (!holds(json_array_get(a, i), text))
			json_array_remove(a, i);
}

bool mt_render_is_empty(const json_t *j)
{
	bool tables = false;
	const char *key;
	json_t *v;

	json_object_foreach((json_t *)j, key, v)
	{
		if (json_array_size(v))
			return false;
		tables |= json_is_array(v);
	}
	return tables;
}

void mt_render_filter(json_t *j, const char *text)
{
	bool rows = false;
	const char *key;
	json_t *v;
	void *tmp;

	json_object_foreach(j, key, v)
	{
		if (json_is_array(v)) {
			rows = true;
			filter_array(v, text);
		}
	}
	if (rows)
		return;
	json_object_foreach_safe(j, tmp, key, v)
	{
		if (!strcasestr(key, text) && !holds(v, text))
			json_object_del(j, key);
	}
}

static bool is_named(const char *name, const char *text, bool whole)
{
	return name && (whole ? strcmp(name, text) == 0 : strcasestr(name, text) != NULL);
}

/* Rows with a port are also found by "NAME:PORT", as other commands show and take addresses. */
static bool text_is_named(const json_t *row, const char *name, const char *text, bool whole)
{
	const json_t *port = json_object_get(row, "port");
	char place[300];

	if (is_named(name, text, whole))
		return true;
	if (!name || !json_is_integer(port))
		return false;
	snprintf(place, sizeof(place), strchr(name, ':') ? "[%s]:%lld" : "%s:%lld", name,
		(long long)json_integer_value(port));
	return is_named(place, text, whole);
}

/* A list has each of its names. */
static bool value_is_named(const json_t *row, const json_t *v, const char *text, bool whole)
{
	json_t *name;
	size_t i;

	if (!json_is_array(v))
		return text_is_named(row, json_string_value(v), text, whole);
	json_array_foreach((json_t *)v, i, name)
	{
		if (text_is_named(row, json_string_value(name), text, whole))
			return true;
	}
	return false;
}

/* A counter that has no row of its own is found in the row of its cause. */
static bool row_is_named(const json_t *row, const char *columns, const char *text, bool whole)
{
	const char *also = json_string_value(json_object_get(row, "also_counted")), *key;
	json_t *v;

	json_object_foreach((json_t *)row, key, v)
	{
		if (mt_lists(columns, key) && value_is_named(row, v, text, whole))
			return true;
	}
	return is_named(also, text, false);
}

/* Number of rows that have the name; `keep`: removes the others. */
static size_t count_named(
	json_t *rows, const char *columns, const char *text, bool whole, bool keep)
{
	size_t n = 0;

	for (size_t i = json_array_size(rows); i-- > 0;) {
		bool is = row_is_named(json_array_get(rows, i), columns, text, whole);

		n += is;
		if (keep && !is)
			json_array_remove(rows, i);
	}
	return n;
}

void mt_render_named(json_t *j, const char *columns, const char *text)
{
	size_t n = json_object_get(j, text) != NULL;
	const char *key;
	json_t *v;
	void *next;

	if (*columns)
		n = 0;
	json_object_foreach(j, key, v)
	{
		n += count_named(v, columns, text, true, false);
	}
	json_object_foreach_safe(j, next, key, v)
	{
		if (*columns)
			count_named(v, columns, text, n > 0, true);
		else if (!is_named(key, text, n > 0))
			json_object_del(j, key);
	}
}
