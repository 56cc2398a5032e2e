/* SPDX-License-Identifier: Apache-2.0 */
/* JSON that is easy to compare: nothing that is empty, and lists in one order. */
#include "golden.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool golden_numbers, golden_details;

void put_text(json_t *to, const char *key, const char *text)
{
	if (text && *text)
		json_object_set_new(to, key, json_string(text));
}

void put_file(json_t *to, const char *path, uint32_t line)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	char *text;

	if (!path)
		return;
	MT_ASSERT(asprintf(&text, line ? "%s:%u" : "%s", slash ? slash + 1 : path, line) > 0);
	put_text(to, "origin", text);
	free(text);
}

void put_number(json_t *to, const char *key, uint64_t n)
{
	if (n)
		json_object_set_new(to, key, json_integer((json_int_t)n));
}

void put_identity(json_t *to, const char *key, uint64_t n)
{
	if (golden_numbers)
		put_number(to, key, n);
}

void put_true(json_t *to, const char *key, bool is)
{
	if (is)
		json_object_set_new(to, key, json_true());
}

void put_json(json_t *to, const char *key, json_t *value)
{
	if (json_array_size(value) + json_object_size(value) > 0)
		json_object_set_new(to, key, value);
	else
		json_decref(value);
}

void add_text(json_t *list, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	MT_ASSERT(vasprintf(&text, fmt, ap) >= 0);
	va_end(ap);
	json_array_append_new(list, json_string(text));
	free(text);
}

struct keyed {
	const char *text;
	json_t *item;
	size_t at;
};

static int by_text(const void *a, const void *b)
{
	const struct keyed *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	return order ? order : (x->at > y->at) - (x->at < y->at);
}

json_t *sorted(json_t *list, const char *member)
{
	size_t n = json_array_size(list);
	struct keyed *v = calloc(n + 1, sizeof(*v));
	json_t *out = json_array();

	MT_ASSERT(v && out);
	for (size_t i = 0; i < n; i++) {
		json_t *item = json_array_get(list, i);
		const char *text = json_string_value(member ? json_object_get(item, member) : item);

		v[i] = (struct keyed){text ? text : "", item, i};
	}
	qsort(v, n, sizeof(*v), by_text);
	for (size_t i = 0; i < n; i++)
		json_array_append(out, v[i].item);
	free(v);
	json_decref(list);
	return out;
}
