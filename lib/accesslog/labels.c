/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of log records: a JSON object with text formats as values. */
#include "mt_alog_names.h"
#include "mt_alog_net_priv.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct mt_slice mt_alog_line_text(const struct mt_alog_line *line)
{
	uint32_t n = line->len;

	return (struct mt_slice){
		(const uint8_t *)line->text, n && line->text[n - 1] == '\n' ? n - 1 : n};
}

static bool add(struct mt_alog_labels *l, const char *key, json_t *value, struct mt_err *e)
{
	struct mt_alog_spec spec = {.encoding = MT_ALOG_TEXT};
	char *text;

	if (l->n == MT_ALOG_LABELS) {
		(void)mt_err(e, 0, "there are more than %d labels", MT_ALOG_LABELS);
		return false;
	}
	/* Numbers, objects and so on have no operators: their JSON text is the value. */
	text = json_is_string(value) ? strdup(json_string_value(value))
				     : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	l->keys[l->n] = strdup(key);
	spec.text = text;
	spec.len = text ? strlen(text) : 0;
	if (text && l->keys[l->n])
		l->formats[l->n] = mt_alog_compile(&spec, e);
	else
		(void)mt_err(e, 0, "no memory");
	free(text);
	return l->formats[l->n++] != NULL;
}

static bool read_labels(struct mt_alog_labels *l, json_t *all, struct mt_err *e)
{
	const char *key;
	json_t *value;

	json_object_foreach(all, key, value)
	{
		struct mt_err why = {""};

		if (!add(l, key, value, &why)) {
			(void)mt_err(e, 0, "label %.64s: %s", key, why.text);
			return false;
		}
	}
	l->texts = malloc((size_t)l->n * MT_ALOG_LINE + 1);
	if (!l->texts)
		(void)mt_err(e, 0, "no memory");
	return l->texts != NULL;
}

struct mt_alog_labels *mt_alog_labels_new(const char *json, struct mt_err *e)
{
	struct mt_alog_labels *l = calloc(1, sizeof(*l));
	json_t *all = json_loads(json, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
	bool good = false;

	if (!l)
		(void)mt_err(e, 0, "no memory");
	else if (!json_is_object(all))
		(void)mt_err(e, 0, "labels are not a JSON object");
	else
		good = read_labels(l, all, e);
	json_decref(all);
	if (good)
		return l;
	mt_alog_labels_free(l);
	return NULL;
}

const char *mt_alog_labels_note(const struct mt_alog_labels *l, uint32_t i)
{
	for (uint32_t k = 0; k < l->n; k++)
		for (uint32_t at = 0; mt_alog_note(l->formats[k], at); at++)
			if (i-- == 0)
				return mt_alog_note(l->formats[k], at);
	return NULL;
}

bool mt_alog_labels_name(const struct mt_alog_labels *l, struct mt_alog_names *to)
{
	bool all = true;

	for (uint32_t i = 0; i < l->n; i++)
		all &= mt_alog_name(to, l->formats[i], NULL);
	return all;
}

void mt_alog_labels_free(struct mt_alog_labels *l)
{
	for (uint32_t i = 0; l && i < l->n; i++) {
		mt_alog_format_free(l->formats[i]);
		free(l->keys[i]);
	}
	if (l)
		free(l->texts);
	free(l);
}

void mt_alog_labels_render(struct mt_alog_labels *l, const struct mt_alog_record *r, uint64_t now,
	struct mt_alog_line *line)
{
	for (uint32_t i = 0; i < l->n; i++) {
		char *to = l->texts + (size_t)i * MT_ALOG_LINE;
		struct mt_slice text;

		mt_alog_render(l->formats[i], r, now, line);
		text = mt_alog_line_text(line);
		if (text.len)
			memcpy(to, text.p, text.len);
		l->now[i].key = (struct mt_slice){
			(const uint8_t *)l->keys[i], (uint32_t)strlen(l->keys[i])};
		l->now[i].value = (struct mt_slice){(const uint8_t *)to, text.len};
	}
}
