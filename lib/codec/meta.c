/* SPDX-License-Identifier: Apache-2.0 */
/* The metadata index: reads it, and finds keys in it. */
#include "mt_codec_priv.h"
#include "mt_mutant.h"
#include "mt_view.h"

#include <stdio.h>

const uint8_t *mt_meta_text(struct mt_metadata *m, struct mt_cursor *cur, uint32_t len)
{
	static const uint8_t none[1];
	const uint8_t *p;

	if (len == 0)
		return none;
	if (mt_cursor_run(cur, &p) >= len)
		return p;
	if (len > sizeof(m->text) - m->text_used) {
		m->state = MT_META_TOO_LARGE;
		return NULL;
	}
	m->took += MT_MIN(cur->chain->segs, len);
	p = mt_cursor_peek(cur, len, m->text + m->text_used);
	m->text_used += len;
	return p;
}

void mt_meta_read(struct mt_metadata *m, const struct mt_codec *codec, struct mt_msg *msg,
	const struct mt_chain *c)
{
	m->n = m->end = m->text_used = 0;
	m->state = MT_META_ABSENT;
	if (codec->metadata.index)
		codec->metadata.index(codec, msg, c, m);
}

static inline bool is_entry(const struct mt_metadata *m, uint32_t i, const struct mt_key *key)
{
	const struct mt_meta_entry *e = &m->entry[i];

	return m->hash[i] == key->hash && e->key &&
	       mt_codec_key_eq(key, (struct mt_slice){e->key, e->key_len});
}

uint32_t mt_meta_next(const struct mt_metadata *m, const struct mt_key *key, uint32_t from)
{
	for (uint32_t i = from; i < m->n; i++)
		if (is_entry(m, i, key))
			return i;
	return UINT32_MAX;
}

bool mt_meta_value(
	const struct mt_metadata *m, uint32_t i, struct mt_slice *value, uint8_t *scratch)
{
	const struct mt_meta_entry *e = &m->entry[i];

	if (mt_likely(e->kind == MT_META_TEXT)) {
		*value = (struct mt_slice){e->value.text, e->value_len};
		return true;
	}
	if (e->kind != MT_META_NUMBER)
		return false;
	value->p = scratch;
	value->len = (uint32_t)snprintf((char *)scratch, 24, "%lld", (long long)e->value.number);
	return true;
}

bool mt_meta_find(const struct mt_metadata *m, const struct mt_codec *codec,
	const struct mt_key *key, struct mt_slice *value, uint8_t *scratch)
{
	uint32_t i;

	if (mt_unlikely(codec->first_counts || mt_mutant(MT_MUTANT_first_attachment_counts))) {
		i = mt_meta_next(m, key, 0);
		return i != UINT32_MAX && mt_meta_value(m, i, value, scratch);
	}
	for (i = m->n; i-- > 0;)
		if (is_entry(m, i, key))
			return mt_meta_value(m, i, value, scratch);
	return false;
}

/* True if the overlay has a change of the key; *there: false if the change removes it. */
static bool changed(
	const struct mt_view *v, const struct mt_key *key, struct mt_slice *value, bool *there)
{
	for (uint32_t i = v->n_mutations; i-- > 0;) {
		const struct mt_mutation *mu = &v->mutations[i];
		const struct mt_slice name = {(const uint8_t *)mu->key, mu->key_len};

		if (!mt_codec_key_eq(key, name))
			continue;
		*there = mu->value != NULL;
		*value = (struct mt_slice){(const uint8_t *)mu->value, mu->value_len};
		return true;
	}
	return false;
}

bool mt_view_find(
	struct mt_view *v, const struct mt_key *key, struct mt_slice *value, uint8_t *scratch)
{
	bool there;

	if (mt_unlikely(v->n_mutations) && changed(v, key, value, &there))
		return there;
	return mt_view_read(v) == MT_META_READ &&
	       mt_meta_find(&v->meta, v->codec, key, value, scratch);
}
