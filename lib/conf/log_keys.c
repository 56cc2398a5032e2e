/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata that access logs and tags of spans name, as keys of each codec of clients. */
#include "mt_alog_names.h"
#include "mt_conf_log_priv.h"

/* What an output reads of calls; NULL: it does not have it. */
struct reads {
	struct mt_alog_format *format;
	struct mt_alog_filter *filter;
	struct mt_alog_labels *labels;
};

/* Entries of ALS have no metadata, whatever their format is. */
static bool has_format(const struct mt_access_output *o)
{
	return !o->collector || o->collector->service == MT_ALOG_OTEL;
}

/* False: no memory, because all of it was compiled before (access_log.c, collectors.c). */
static bool compile(const struct mt_access_output *o, struct reads *r)
{
	const char *labels = o->collector ? o->collector->labels : NULL;
	struct mt_err e;

	*r = (struct reads){
		.format = has_format(o) ? mt_alog_compile(&o->spec, &e) : NULL,
		.filter = o->filter ? mt_alog_filter_new(o->filter, &e) : NULL,
		.labels = labels ? mt_alog_labels_new(labels, &e) : NULL,
	};
	return !r->format == !has_format(o) && !r->filter == !o->filter && !r->labels == !labels;
}

static bool name(const struct reads *r, struct mt_alog_names *names)
{
	bool all = mt_alog_name(names, r->format, r->filter);

	return (!r->labels || mt_alog_labels_name(r->labels, names)) && all;
}

static void add_names(
	struct mt_build *b, const struct mt_access_output *o, struct mt_alog_names *names)
{
	struct reads r;

	if (!compile(o, &r))
		b->tmp.failed = true;
	else if (!name(&r, names))
		mt_diag_add(b->diags, MT_DIAG_WARNING, o->origin, o->field,
			"name less metadata in formats and filters",
			"%s: some metadata has no value, because calls keep at most %d names of "
			"requests and %d of replies for all access logs",
			o->document, MT_ALOG_NAMES, MT_ALOG_NAMES);
	mt_alog_format_free(r.format);
	mt_alog_filter_free(r.filter);
	mt_alog_labels_free(r.labels);
}

/* NULL: no memory. */
static const struct mt_key *keys_of(struct mt_build *b, const struct mt_codec *codec,
	const struct mt_alog_names *names, enum mt_alog_from from)
{
	struct mt_region *r = &b->snap->region;
	struct mt_key *keys = mt_region_alloc(r, (names->n[from] + 1) * sizeof(*keys));

	for (uint32_t i = 0; keys && i < names->n[from]; i++) {
		const char *name = mt_region_strdup(r, names->of[from][i]);

		if (!name)
			return NULL;
		keys[i] = mt_key_make_icase(codec, name);
	}
	return keys;
}

static void add_codec(
	struct mt_build *b, const struct mt_codec *codec, const struct mt_alog_names *names)
{
	struct mt_snapshot *s = &b->snap->pub;
	struct mt_log_keys *k;
	void *all = (void *)(uintptr_t)s->log_keys;

	for (uint32_t i = 0; i < s->n_log_keys; i++)
		if (mt_codec_same(s->log_keys[i].codec, codec))
			return;
	k = mt_region_push(&b->snap->region, &all, &s->n_log_keys, sizeof(*k));
	s->log_keys = all;
	if (!k)
		return;
	*k = (struct mt_log_keys){.codec = codec,
		.request = keys_of(b, codec, names, MT_ALOG_REQUEST),
		.reply = keys_of(b, codec, names, MT_ALOG_RESPONSE),
		.n_request = names->n[MT_ALOG_REQUEST],
		.n_reply = names->n[MT_ALOG_RESPONSE]};
}

void mt_b_log_keys(struct mt_build *b)
{
	const struct mt_snapshot *s = &b->snap->pub;
	struct mt_alog_names *names = s->log ? mt_region_alloc(&b->tmp, sizeof(*names)) : NULL;

	for (uint32_t i = 0; names && i < s->log->n_outputs; i++)
		add_names(b, &s->log->outputs[i], names);
	if (names)
		mt_b_span_tags_name(b, names);
	if (!names || (!names->n[MT_ALOG_REQUEST] && !names->n[MT_ALOG_RESPONSE]))
		return;
	b->snap->pub.log_reads_replies = names->n[MT_ALOG_RESPONSE] > 0;
	for (uint32_t i = 0; i < s->n_listeners; i++)
		for (uint32_t k = 0; k < s->listeners[i].n_protos; k++)
			if (!s->listeners[i].protos[k].codec->opaque)
				add_codec(b, s->listeners[i].protos[k].codec, names);
}
