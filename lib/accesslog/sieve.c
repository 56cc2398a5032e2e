/* SPDX-License-Identifier: Apache-2.0 */
/* Decides which outputs want an entry, on workers and on mt-log. It does not allocate. */
#include "mt_alog_sieve_priv.h"

#include "mt_secret_hash.h"

#define MILLION 1000000

uint64_t mt_alog_filter_id(const char *text)
{
	return mt_secret_hash_text(text, 0);
}

int mt_alog_verdict_of(const struct mt_alog_verdict *v, uint64_t filter_id)
{
	for (uint32_t i = 0; v->by && i < v->by->n_filters; i++)
		if (v->by->filters[i].id == filter_id)
			return v->told >> i & 1 ? v->passed >> i & 1 : -1;
	return -1;
}

bool mt_alog_reaches(const struct mt_alog_entry *e, uint64_t key, bool is_general, bool is_unserved)
{
	const struct mt_alog_scope *s = e->scope;

	if (!s)
		return e->host ? is_general : is_unserved;
	for (uint32_t i = 0; i < s->n; i++)
		if (s->keys[i] == key)
			return true;
	return false;
}

bool mt_alog_draw_skips(
	const struct mt_alog_draw *draw, uint64_t key, const struct mt_alog_entry *e)
{
	const uint64_t of[] = {
		e->started, e->ended, e->exchange.idx, e->exchange.gen, e->worker, e->client_port};

	return draw->skips &&
	       mt_secret_hash(of, sizeof(of), draw->own ? key : 0) % MILLION < draw->skips;
}

/* The outputs that want the entry if their filters pass it, as bits. */
static uint32_t outputs_of(const struct mt_alog_sieve *s, const struct mt_alog_entry *e)
{
	bool is_call = e->type == MT_ALOG_DOWNSTREAM_END;
	uint32_t bits = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		const struct mt_alog_sift *o = &s->outputs[i];

		if ((is_call ? o->calls : o->streams) &&
			mt_alog_reaches(e, o->key, o->general, o->unserved) &&
			!mt_alog_draw_skips(&o->draw, o->key, e))
			bits |= 1u << i;
	}
	return bits;
}

/* Evaluates the filters of these outputs, each once. */
static void try_all(const struct mt_alog_sieve *s, uint32_t outputs, struct mt_alog_trial *t,
	const struct mt_alog_record *r, struct mt_alog_verdict *to)
{
	for (uint32_t i = 0; i < s->n; i++) {
		uint32_t filter = s->filter_of[i];

		if (!(outputs >> i & 1) || to->told >> filter & 1)
			continue;
		to->told |= (uint16_t)(1u << filter);
		if (mt_alog_filter_passes(s->filters[filter].filter, t, r))
			to->passed |= (uint16_t)(1u << filter);
	}
}

bool mt_alog_sieve_takes(const struct mt_alog_sieve *s, struct mt_alog_trial *t,
	const struct mt_alog_parts *parts, struct mt_alog_verdict *to)
{
	struct mt_alog_named named[MT_ALOG_KEPT_VALUES];
	uint32_t outputs = outputs_of(s, parts->head);
	struct mt_alog_record r;

	*to = (struct mt_alog_verdict){.by = NULL};
	if (!outputs || outputs & s->open)
		return outputs != 0;
	mt_alog_parts_view(parts, named, &r);
	to->by = s;
	try_all(s, outputs, t, &r, to);
	return to->passed != 0;
}
