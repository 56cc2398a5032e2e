/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps access_log of listeners, of the proxies for messages and of tcp_proxy: a file, stdout or
 * stderr, with a format. Paths and formats are checked with the Node's configuration
 * (lib/conf/access_log.c), so that a bad one costs only its output.
 */
#include "mt_xds_map_priv.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define LOGS_MAX  64u
#define DEPTH_MAX 32u

#define LOGGERS "envoy.extensions.access_loggers."

/* ---- JSON formats ---------------------------------------------------------------------------- */

#define EXACT_MAX 9007199254740992.0 /* 2^53: whole numbers up to it are exact */

static json_t *json_of(const Xds__Value *v, uint32_t depth);

static json_t *object_of(const Xds__Struct *s, uint32_t depth)
{
	json_t *to = json_object();

	for (size_t i = 0; to && i < s->n_fields; i++) {
		const Xds__Struct__FieldsEntry *e = s->fields[i];
		json_t *value = e->value ? json_of(e->value, depth + 1) : json_null();

		if (json_object_set_new(to, e->key, value)) {
			json_decref(to);
			return NULL;
		}
	}
	return to;
}

static json_t *list_of(const Xds__ListValue *l, uint32_t depth)
{
	json_t *to = json_array();

	for (size_t i = 0; to && i < l->n_values; i++)
		if (json_array_append_new(to, json_of(l->values[i], depth + 1))) {
			json_decref(to);
			return NULL;
		}
	return to;
}

static json_t *number_of(double n)
{
	if (n >= -EXACT_MAX && n <= EXACT_MAX && n == (double)(int64_t)n)
		return json_integer((int64_t)n);
	return json_real(n);
}

/* NULL: not UTF-8, not a finite number, too deep, or no memory. */
static json_t *json_of(const Xds__Value *v, uint32_t depth)
{
	if (depth > DEPTH_MAX)
		return NULL;
	switch (v->kind_case) {
	case XDS__VALUE__KIND_NUMBER_VALUE:
		return number_of(v->number_value);
	case XDS__VALUE__KIND_STRING_VALUE:
		return json_string(v->string_value);
	case XDS__VALUE__KIND_BOOL_VALUE:
		return json_boolean(v->bool_value);
	case XDS__VALUE__KIND_STRUCT_VALUE:
		return object_of(v->struct_value, depth);
	case XDS__VALUE__KIND_LIST_VALUE:
		return list_of(v->list_value, depth);
	default:
		return json_null();
	}
}

/* ---- formats --------------------------------------------------------------------------------- */

/* The functions below return false if the log cannot be used, or if memory is short. */

static bool json_format(struct mt_xmap *m, const Xds__Struct *s, struct mt_chain_log *out)
{
	json_t *json = object_of(s, 0);
	char *text = json ? json_dumps(json, JSON_SORT_KEYS) : NULL;

	json_decref(json);
	if (!text)
		return false;
	out->json = true;
	out->format.s = mt_region_strdup(m->r, text);
	free(text);
	return out->format.s || mt_xm_no_memory(m);
}

/* An empty one is Envoy's default. */
static bool text_format(struct mt_xmap *m, const char *text, struct mt_chain_log *out)
{
	if (*text)
		out->format.s = mt_region_strdup(m->r, text);
	return !*text || out->format.s || mt_xm_no_memory(m);
}

static bool text_of(struct mt_xmap *m, const Xds__DataSource *d, struct mt_chain_log *out)
{
	return d->specifier_case == XDS__DATA_SOURCE__SPECIFIER_INLINE_STRING &&
	       text_format(m, d->inline_string, out);
}

static bool substitution(
	struct mt_xmap *m, const Xds__SubstitutionFormatString *f, struct mt_chain_log *out)
{
	out->omit_empty = f->omit_empty_values;
	switch (f->format_case) {
	case XDS__SUBSTITUTION_FORMAT_STRING__FORMAT_TEXT_FORMAT:
		return text_format(m, f->text_format, out);
	case XDS__SUBSTITUTION_FORMAT_STRING__FORMAT_JSON_FORMAT:
		return json_format(m, f->json_format, out);
	case XDS__SUBSTITUTION_FORMAT_STRING__FORMAT_TEXT_FORMAT_SOURCE:
		return text_of(m, f->text_format_source, out);
	default:
		return false;
	}
}

static bool file_format(struct mt_xmap *m, const Xds__FileAccessLog *l, struct mt_chain_log *out)
{
	switch (l->access_log_format_case) {
	case XDS__FILE_ACCESS_LOG__ACCESS_LOG_FORMAT_FORMAT:
		return text_format(m, l->format, out);
	case XDS__FILE_ACCESS_LOG__ACCESS_LOG_FORMAT_JSON_FORMAT:
		return json_format(m, l->json_format, out);
	case XDS__FILE_ACCESS_LOG__ACCESS_LOG_FORMAT_TYPED_JSON_FORMAT:
		return json_format(m, l->typed_json_format, out);
	case XDS__FILE_ACCESS_LOG__ACCESS_LOG_FORMAT_LOG_FORMAT:
		return substitution(m, l->log_format, out);
	default:
		return true;
	}
}

static bool stream_log(struct mt_xmap *m, const Xds__SubstitutionFormatString *f, const char *path,
	struct mt_chain_log *out)
{
	out->path.s = path;
	return !f || substitution(m, f, out);
}

/* ---- loggers --------------------------------------------------------------------------------- */

/* Operators read the path in messages. */
static bool is_printable(const char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return false;
	return true;
}

static bool file_log(struct mt_xmap *m, const Xds__FileAccessLog *l, struct mt_chain_log *out)
{
	if (!*l->path || !is_printable(l->path))
		return false;
	out->path.s = mt_region_strdup(m->r, l->path);
	return out->path.s ? file_format(m, l, out) : mt_xm_no_memory(m);
}

static bool map_file(struct mt_xmap *m, const void *msg, struct mt_chain_log *out)
{
	return file_log(m, msg, out);
}

static bool map_stdout(struct mt_xmap *m, const void *msg, struct mt_chain_log *out)
{
	return stream_log(m, ((const Xds__StdoutAccessLog *)msg)->log_format, "/dev/stdout", out);
}

static bool map_stderr(struct mt_xmap *m, const void *msg, struct mt_chain_log *out)
{
	return stream_log(m, ((const Xds__StderrAccessLog *)msg)->log_format, "/dev/stderr", out);
}

static const struct logger {
	const char *type;
	const ProtobufCMessageDescriptor *message;
	bool (*map)(struct mt_xmap *m, const void *msg, struct mt_chain_log *out);
} loggers[] = {
	{LOGGERS "file.v3.FileAccessLog", &xds__file_access_log__descriptor, map_file},
	{LOGGERS "stream.v3.StdoutAccessLog", &xds__stdout_access_log__descriptor, map_stdout},
	{LOGGERS "stream.v3.StderrAccessLog", &xds__stderr_access_log__descriptor, map_stderr},
};

static const struct logger *logger_of(const char *type)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(loggers); i++)
		if (strcmp(loggers[i].type, type) == 0)
			return &loggers[i];
	return NULL;
}

/* ---- logs ------------------------------------------------------------------------------------ */

/* False: no line is written to it; it has been noted, or there is an error. */
static bool map_log(struct mt_xmap *m, const Xds__AccessLog *l, struct mt_chain_log *out)
{
	const struct logger *by;
	struct mt_xm_any any;
	const void *msg;

	if (!l->typed_config) {
		mt_xm_note(m, MT_XDS_NOTE_access_log_other, "typed_config");
		return false;
	}
	if (!mt_xm_open(m, "typed_config", l->typed_config, &any))
		return false;
	by = logger_of(any.type);
	if (!by) {
		mt_xm_note(m, MT_XDS_NOTE_access_log_other, "typed_config");
		return false;
	}
	if (l->filter && !mt_xm_log_filter(m, l->filter, out)) {
		if (!m->rc)
			mt_xm_note(m, MT_XDS_NOTE_access_log_filter, "filter");
		return false;
	}
	msg = mt_xm_read(m, "typed_config", &any, by->message);
	if (!msg)
		return false;
	if (by->map(m, msg, out))
		return true;
	mt_xm_note(m, MT_XDS_NOTE_access_log_unusable, "typed_config");
	return false;
}

bool mt_xm_access_logs(
	struct mt_xmap *m, Xds__AccessLog *const *l, size_t n, struct mt_chain_logs *out)
{
	if (n > LOGS_MAX)
		return mt_xm_bad(m, "access_log", "more than %u", LOGS_MAX);
	out->v = mt_xm_array(m, n + 1, sizeof(*out->v));
	if (!out->v)
		return false;
	for (size_t i = 0; i < n; i++) {
		uint32_t mark = mt_xm_at(m, "access_log", i);
		struct mt_chain_log *to = &out->v[out->n];

		*to = (struct mt_chain_log){.field = mt_region_strdup(m->r, m->rd.at.text)};
		if (!to->field)
			return mt_xm_no_memory(m);
		out->n += map_log(m, l[i], to);
		if (m->rc)
			return false;
		mt_xm_out(m, mark);
	}
	return true;
}
