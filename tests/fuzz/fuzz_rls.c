/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a rate limit service answers, and texts of a call on their way to it: the question is encoded by hand, and protobuf-c reads the
 * same from it.
 */
#include "fuzz.h"

#include "mt_rls.h"

#include "ratelimit.pb-c.h"

#include <string.h>

#define ROOM 4096
/* The time of day of answers, ns. */
#define UNIX_NOW (1700000000 * MT_SEC)

/* ---- answers ---------------------------------------------------------------------------------------- */

static void check_text(const struct mt_rls_answer *a, struct mt_rls_text t)
{
	MT_ASSERT(t.at + t.len < a->used && mt_rls_text(a, t)[t.len] == '\0');
}

static void check_quota(const struct mt_rls_answer *a, const struct mt_rls_quota *q)
{
	if (!q->requests)
		return;
	MT_ASSERT(q->lasts && q->lasts <= UINT64_MAX - UNIX_NOW);
	check_text(a, q->id);
}

static void check_status(const struct mt_rls_answer *a, const struct mt_rls_status *s)
{
	uint64_t lasts = mt_rls_over_lasts(s);

	check_quota(a, &s->quota);

	MT_ASSERT(s->code <= MT_RLS_OVER_LIMIT);
	MT_ASSERT(lasts >= 20 * MT_MSEC && lasts <= MT_SEC);
}

static void check_headers(
	const struct mt_rls_answer *a, const struct mt_rls_header *list, uint32_t n)
{
	MT_ASSERT(n <= MT_RLS_HEADERS);
	for (uint32_t i = 0; i < n; i++) {
		check_text(a, list[i].key);
		check_text(a, list[i].value);
		MT_ASSERT(list[i].key.len);
	}
}

static void read_answer(struct mt_rls_answer *a, const uint8_t *data, size_t len)
{
	/* The first byte is how much was asked. */
	uint32_t asked = len ? data[0] % (MT_RLS_DESCRIPTORS + 2) : 0;
	bool decided = mt_rls_read(a, asked, len ? data + 1 : data, len ? len - 1 : 0, UNIX_NOW);

	MT_ASSERT(decided == (a->code != MT_RLS_UNKNOWN) && a->used <= MT_RLS_BYTES);
	MT_ASSERT(!a->n_statuses || (a->n_statuses == asked && asked <= MT_RLS_DESCRIPTORS));
	for (uint32_t i = 0; i < a->n_statuses; i++)
		check_status(a, &a->status[i]);
	check_quota(a, &a->quota);
	check_headers(a, a->header, a->n_headers);
	check_headers(a, a->reply_header, a->n_reply_headers);
}

/* ---- questions -------------------------------------------------------------------------------------- */

struct input {
	const uint8_t *p, *end;
};

static uint8_t byte(struct input *in)
{
	return in->p < in->end ? *in->p++ : 0;
}

/* A text of the input, behind its length. */
static struct mt_slice text(struct input *in)
{
	uint32_t len = byte(in);
	struct mt_slice t = {in->p, MT_MIN(len, (uint32_t)(in->end - in->p))};

	in->p += t.len;
	return t;
}

static void read_descriptor(struct input *in, struct mt_rls_descriptor *d)
{
	d->n_entries = byte(in) % (MT_RLS_ENTRIES + 2);
	for (uint32_t i = 0; i < MT_MIN(d->n_entries, (uint32_t)MT_RLS_ENTRIES); i++) {
		d->entry[i].key = text(in);
		d->entry[i].value = text(in);
	}
}

static void check_same(const char *got, struct mt_slice want)
{
	MT_ASSERT(strlen(got) == want.len && (!want.len || memcmp(got, want.p, want.len) == 0));
}

static void check_descriptor(
	const Xds__RateLimitDescriptor *got, const struct mt_rls_descriptor *want, uint64_t hits)
{
	MT_ASSERT((got->hits_addend ? got->hits_addend->value : 1) == hits);
	MT_ASSERT(got->n_entries == want->n_entries);
	for (uint32_t i = 0; i < want->n_entries; i++) {
		check_same(got->entries[i]->key, want->entry[i].key);
		check_same(got->entries[i]->value, want->entry[i].value);
	}
}

static void ask(struct input in)
{
	static struct mt_rls_descriptor d[MT_RLS_DESCRIPTORS];
	uint32_t hits[MT_RLS_DESCRIPTORS];
	struct mt_rls_query q = {.descriptors = d, .hits = hits};
	Xds__RateLimitRequest *r;
	struct mt_rls_keys keys;
	uint8_t bytes[ROOM];
	size_t len, room = ROOM;

	memset(d, 0, sizeof(d));
	q.domain = text(&in);
	q.n_descriptors = byte(&in) % (MT_RLS_DESCRIPTORS + 2);
	for (uint32_t i = 0; i < MT_MIN(q.n_descriptors, (uint32_t)MT_RLS_DESCRIPTORS); i++)
		read_descriptor(&in, &d[i]);
	for (uint32_t i = 0; i < MT_RLS_DESCRIPTORS; i++)
		hits[i] = 1 + byte(&in);
	len = mt_rls_pack(&q, 1, bytes, room, &keys);
	MT_ASSERT(len <= room && keys.n == (len ? q.n_descriptors : 0));
	if (!len)
		return;
	/* Nothing is written behind the room, and nothing fits into less. */
	MT_ASSERT(mt_rls_pack(&q, 1, bytes, len - 1, &keys) == 0);
	MT_ASSERT(mt_rls_pack(&q, 1, bytes, len, &keys) == len);
	r = xds__rate_limit_request__unpack(NULL, len, bytes);
	MT_ASSERT(r && r->n_descriptors == q.n_descriptors);
	check_same(r->domain, q.domain);
	for (uint32_t i = 0; i < q.n_descriptors; i++)
		check_descriptor(r->descriptors[i], &d[i], r->hits_addend ? 1 : hits[i]);
	MT_ASSERT(!r->hits_addend || r->hits_addend == hits[0]);
	xds__rate_limit_request__free_unpacked(r, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mt_rls_answer *a = malloc(sizeof(*a));

	MT_ASSERT(a);
	memset(a, 0xee, sizeof(*a));
	read_answer(a, data, size);
	free(a);
	ask((struct input){data, data + size});
	return 0;
}
