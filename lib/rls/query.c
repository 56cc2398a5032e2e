/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Encodes a RateLimitRequest by hand: protobuf-c would need texts that end with NUL, and a tree of
 * messages. Numbers of fields are those of proto/ratelimit.proto.
 */
#include "mt_rls.h"
#include "mt_secret_hash.h"
#include "mt_utf8.h"
#include "mt_varint.h"

#include <string.h>

/* Wire types (protobuf encoding, "message structure"). */
enum { VARINT = 0, BYTES = 2 };

#define TAG(field, type) ((field) << 3 | (type))

/* Writes forwards. `full`: something did not fit, and nothing is written any more. */
struct writer {
	uint8_t *to;
	size_t at, room;
	bool full;
};

/* ---- lengths --------------------------------------------------------------------------------- */

/* A field of bytes with its tag; each number of a field here is below 16. */
static uint64_t field_len(uint64_t len)
{
	return 1 + mt_varint_len(len) + len;
}

static uint64_t entry_len(const struct mt_rls_entry *e)
{
	return field_len(e->key.len) + (e->value.len ? field_len(e->value.len) : 0);
}

/* The length of a number as a field. */
static uint64_t number_len(uint64_t v)
{
	return 1 + mt_varint_len(v);
}

/* `hits`: 1 is the default, and left out. */
static uint64_t descriptor_len(const struct mt_rls_descriptor *d, uint32_t hits)
{
	uint64_t len = hits > 1 ? field_len(number_len(hits)) : 0;

	for (uint32_t i = 0; i < d->n_entries; i++)
		len += field_len(entry_len(&d->entry[i]));
	return len;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static void put_varint(struct writer *w, uint64_t v)
{
	w->full |= mt_varint_len(v) > w->room - w->at;
	if (!w->full)
		w->at += mt_varint_put(w->to + w->at, v);
}

/* The start of a message in a field. */
static void put_begin(struct writer *w, uint32_t field, uint64_t len)
{
	put_varint(w, TAG(field, BYTES));
	put_varint(w, len);
}

static void put_text(struct writer *w, uint32_t field, struct mt_slice text)
{
	if (!text.len)
		return;
	put_begin(w, field, text.len);
	w->full |= text.len > w->room - w->at;
	if (w->full)
		return;
	memcpy(w->to + w->at, text.p, text.len);
	w->at += text.len;
}

static void put_number(struct writer *w, uint32_t field, uint64_t v)
{
	put_varint(w, TAG(field, VARINT));
	put_varint(w, v);
}

static void put_descriptor(struct writer *w, const struct mt_rls_descriptor *d)
{
	for (uint32_t i = 0; i < d->n_entries; i++) {
		put_begin(w, 1, entry_len(&d->entry[i]));
		put_text(w, 1, d->entry[i].key);
		put_text(w, 2, d->entry[i].value);
	}
}

/* ---- queries that a service accepts ---------------------------------------------------------- */

static bool is_descriptor(const struct mt_rls_descriptor *d)
{
	if (!d->n_entries || d->n_entries > MT_RLS_ENTRIES)
		return false;
	for (uint32_t i = 0; i < d->n_entries; i++)
		if (!d->entry[i].key.len || !mt_is_protobuf_text(d->entry[i].key) ||
			!mt_is_protobuf_text(d->entry[i].value))
			return false;
	return true;
}

static bool is_query(const struct mt_rls_query *q)
{
	if (!q->domain.len || !mt_is_protobuf_text(q->domain) || !q->n_descriptors ||
		q->n_descriptors > MT_RLS_DESCRIPTORS)
		return false;
	for (uint32_t i = 0; i < q->n_descriptors; i++)
		if (!is_descriptor(&q->descriptors[i]))
			return false;
	return true;
}

/* ---- hits ------------------------------------------------------------------------------------ */

/*
 * The hits of all descriptors, if they have the same number: services know that of the query, older
 * ones not that of a descriptor. 0: the numbers differ.
 */
static uint32_t common_hits(const struct mt_rls_query *q)
{
	for (uint32_t i = 1; q->hits && i < q->n_descriptors; i++)
		if (q->hits[i] != q->hits[0])
			return 0;
	return q->hits ? q->hits[0] : 1;
}

static void put_hits(struct writer *w, uint32_t hits)
{
	if (hits <= 1)
		return;
	put_begin(w, 3, number_len(hits));
	put_number(w, 1, hits);
}

/* ---- the whole ------------------------------------------------------------------------------- */

/* The common part of the keys of a query's descriptors. */
static uint64_t seed_of(const struct mt_rls_query *q, uint32_t service)
{
	return mt_secret_hash(
		q->domain.p, q->domain.len, mt_secret_hash(&service, sizeof(service), 0));
}

size_t mt_rls_pack(const struct mt_rls_query *q, uint32_t service, uint8_t *to, size_t room,
	struct mt_rls_keys *keys)
{
	struct writer w = {.to = to, .room = room};
	uint32_t common;

	keys->n = 0;
	if (!is_query(q))
		return 0;
	common = common_hits(q);
	keys->seed = seed_of(q, service);
	put_text(&w, 1, q->domain);
	for (uint32_t i = 0; i < q->n_descriptors && !w.full; i++) {
		uint32_t hits = common ? 1 : q->hits[i];
		size_t begin;

		put_begin(&w, 2, descriptor_len(&q->descriptors[i], hits));
		begin = w.at;
		put_descriptor(&w, &q->descriptors[i]);
		keys->of[keys->n++] = mt_secret_hash(to + begin, w.at - begin, keys->seed);
		put_hits(&w, hits);
	}
	keys->set = mt_secret_hash(keys->of, keys->n * sizeof(keys->of[0]), keys->seed);
	if (common > 1)
		put_number(&w, 3, common);
	if (w.full)
		keys->n = 0;
	return w.full ? 0 : w.at;
}
