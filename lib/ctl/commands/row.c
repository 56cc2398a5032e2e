/* SPDX-License-Identifier: Apache-2.0 */
#include "row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mt_log.h"

json_t *mt_json_set_all(json_t *o, const struct mt_member *members)
{
	for (const struct mt_member *m = members; m->name; m++)
		json_object_set_new(o, m->name, m->value);
	return o;
}

json_t *mt_json_append(json_t *list, json_t *row)
{
	json_array_append_new(list, row);
	return row;
}

json_t *mt_json_bytes(const char *p, size_t len)
{
	json_t *j = json_stringn(p, len);
	char *raw, *text;

	if (j)
		return j;
	raw = strndup(p, len);
	text = raw ? malloc(4 * len + 1) : NULL;
	if (text) {
		mt_escape(text, 4 * len + 1, raw);
		j = json_string(text);
	}
	free(text);
	free(raw);
	return j;
}

json_t *mt_json_text(const char *s)
{
	return s ? mt_json_bytes(s, strlen(s)) : json_string("");
}

json_t *mt_json_known(const char *s)
{
	return s && *s ? mt_json_text(s) : json_null();
}

json_t *mt_json_texts(const char *const *list, uint32_t n)
{
	json_t *j = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(j, mt_json_text(list[i]));
	return j;
}

json_t *mt_json_lines(const char *text)
{
	json_t *list = json_array();

	while (text && *text) {
		size_t len = strcspn(text, "\n");

		json_array_append_new(list, mt_json_bytes(text, len));
		text += len + (text[len] == '\n');
	}
	return list;
}

json_t *mt_json_origin(const char *file, uint32_t line)
{
	char text[512];

	/* Only files have lines. */
	snprintf(text, sizeof(text), line ? "%s:%u" : "%s", file ? file : "", line);
	return mt_json_text(text);
}

void mt_render_absent(json_t *o, const char *names)
{
	while (o && *names) {
		size_t len = strcspn(names, " ");
		char name[64];

		snprintf(name, sizeof(name), "%.*s", (int)len, names);
		if (!json_object_get(o, name))
			json_object_set_new(o, name, json_null());
		names += len + (names[len] == ' ');
	}
}
