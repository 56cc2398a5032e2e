/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata for entries of the access log: values that outputs name are copied once from the
 * request and once from its reply, while the bytes are there. A log does not change a call: what
 * has not arrived by then, or cannot be read, is left out and counted.
 */
#include "mt_codec_registry.h"
#include "mt_proxy_base.h"

#include <string.h>

/*
 * The keys for the codec. A client that drains may have an earlier version of its codec file; the
 * keys of the version in force have the same numbers.
 */
static const struct mt_log_keys *keys_of(const struct mt_snapshot *s, const struct mt_codec *codec)
{
	for (uint32_t i = 0; i < s->n_log_keys; i++) {
		const struct mt_log_keys *k = &s->log_keys[i];

		if (mt_codec_same(k->codec, codec) || mt_codec_is_version(k->codec, codec))
			return k;
	}
	return NULL;
}

bool mt_metadata_known(struct mt_view *v, bool whole)
{
	if (!v->codec->metadata.index)
		return true;
	if (!whole)
		return false;
	switch (mt_view_read(v)) {
	case MT_META_READ:
		return true;
	case MT_META_ABSENT:
		return !v->codec->metadata.carries || !v->codec->metadata.carries(v->codec, v->msg);
	default:
		return false;
	}
}

/* Without an index all metadata are leading ones. */
static mt_inline bool find_leading(
	struct mt_view *v, const struct mt_key *key, struct mt_slice *value)
{
	return (key->id >= 0 || !v->codec->metadata.index) && v->codec->metadata.leading &&
	       v->codec->metadata.leading(v->codec, v->msg, v->chain, key, value, v->scratch);
}

static inline uint64_t bit_of(uint32_t hash)
{
	return 1ull << (hash & 63);
}

/*
 * Reads the index, if the metadata after the leading ones is known. Returns bits of the keys that
 * it has, because most requests have none of the keys that formats name.
 */
static uint64_t read_index(struct mt_view *v, bool whole, bool *known)
{
	uint64_t bits = 0;

	*known = mt_metadata_known(v, whole);
	if (!*known || v->meta.state != MT_META_READ)
		return 0;
	for (uint32_t i = 0; i < v->meta.n; i++)
		bits |= bit_of(v->meta.hash[i]);
	return bits;
}

bool mt_metadata_copy(struct mt_view *v, bool whole, enum mt_alog_from from,
	const struct mt_key *keys, uint32_t n, uint8_t *block, uint16_t *used)
{
	bool asked = false, known = true, fits = true;
	uint64_t bits = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct mt_key *key = &keys[i];
		struct mt_slice value;

		if (!find_leading(v, key, &value)) {
			if (!asked)
				bits = read_index(v, whole, &known);
			asked = true;
			if (!(bits & bit_of(key->hash)) ||
				!mt_meta_find(&v->meta, v->codec, key, &value, v->scratch))
				continue;
		}
		fits &= mt_alog_keep(block, used, from,
			(struct mt_slice){(const uint8_t *)key->name, key->len}, value);
	}
	return known && fits;
}

static void copy(struct mt_proxy *p, struct mt_call_note *note, bool whole, enum mt_alog_from from,
	const struct mt_key *keys, uint32_t n)
{
	if (!mt_metadata_copy(
		    &p->view, whole, from, keys, n, mt_call_kept_of(p, note), &note->kept_len))
		mt_count(p->counters, MT_PROXY_log_without_metadata);
}

void mt_call_log_request(
	struct mt_proxy *p, const struct mt_exchange *ex, struct mt_call_note *note)
{
	const struct mt_log_keys *k = keys_of(ex->snap, ex->codec);

	/* The metadata of a message that is refused cannot be read. */
	if (!k || !k->n_request || ex->msg.refuse)
		return;
	copy(p, note, ex->msg.len && ex->req.len >= ex->msg.len, MT_ALOG_REQUEST, k->request,
		k->n_request);
}

mt_noinline void mt_call_log_reply(struct mt_proxy *p, const struct mt_exchange *ex, bool whole)
{
	const struct mt_log_keys *k = keys_of(ex->snap, ex->codec);
	struct mt_call_note *note = mt_call_note_of(p, ex);

	if (k && k->n_reply && note && !p->view.msg->refuse)
		copy(p, note, whole, MT_ALOG_RESPONSE, k->reply, k->n_reply);
}
