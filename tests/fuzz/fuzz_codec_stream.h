/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A codec that is data under any bytes: decoded in both directions, in several divisions into mbufs
 * and calls, which must agree. Whatever the table contains, a call stays within its bounds.
 */
#pragma once

#include "fuzz.h"
#include "mt_codec_table.h"
#include "mt_view.h"

#include <errno.h>

/* Longest message that is changed */
#define STREAM_CHANGED (1u << 16)

static struct mt_view stream_view;

static uint32_t stream_touch(const uint8_t *p, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += p[i];
	return sum;
}

/* Every byte that is metadata is there. */
static void stream_keys(const struct mt_codec_table *t, struct mt_msg *msg, struct mt_chain *c)
{
	struct mt_metadata *m = &stream_view.meta;
	volatile uint32_t sum = 0;
	struct mt_slice v;

	mt_view_bind(&stream_view, &t->codec, msg, c);
	for (uint32_t i = 0; i < t->n_keys; i++) {
		struct mt_key key = mt_key_make(&t->codec, t->codec.keys[i]);

		if (mt_view_get(&stream_view, &key, &v))
			sum += stream_touch(v.p, v.len);
	}
	mt_view_read(&stream_view);
	for (uint32_t i = 0; m->state == MT_META_READ && i < m->n; i++) {
		sum += stream_touch(m->entry[i].key, m->entry[i].key_len);
		sum += stream_touch(m->entry[i].value.text, m->entry[i].value_len);
	}
	(void)sum;
}

/* What a message is, apart from where it lies. */
struct stream_seen {
	enum mt_decode rc;
	struct mt_msg msg;
};

/* Runs the decoder once; checks the steps that it used. */
static enum mt_decode stream_run(
	const struct mt_codec_table *t, struct mt_decoder *d, struct mt_msg *msg, uint32_t *used)
{
	struct mt_ct_cost cost = mt_codec_table_cost(t, d->dir);
	uint32_t before = *used, times = t->codec.correlate.set_id ? 3 : 1;
	enum mt_decode rc;

	d->steps = UINT32_MAX;
	rc = mt_decoder_run(d, msg);
	*used += UINT32_MAX - d->steps;
	MT_ASSERT(*used >= before);
	/* A search for a buffer is not among the steps of an op. */
	if (d->cur.chain->segs <= 1)
		MT_ASSERT(*used <=
			  times * (2 * cost.steps + (uint64_t)cost.per_byte * d->cur.chain->len));
	return rc;
}

/*
 * After a change of a message: it decodes as `msg` has it, or if rc is -ENOTSUP it is as before.
 * `good`: it was not refused, so its checksums are right.
 */
static void stream_changed(const struct mt_codec_table *t, enum mt_dir dir, const uint8_t *data,
	uint32_t len, const struct mt_msg *msg, struct mt_chain *c, int rc, bool good)
{
	static uint8_t bytes[STREAM_CHANGED];
	struct mt_decoder d;
	struct mt_msg again;

	MT_ASSERT(rc == 0 || rc == -ENOTSUP);
	MT_ASSERT(msg->len == c->len);
	if (rc) {
		MT_ASSERT(c->len == len);
		mt_chain_read(c, 0, bytes, len);
		MT_ASSERT(memcmp(bytes, data, len) == 0);
	} else {
		mt_decoder_init(&d, &t->codec, dir, 0, c);
		MT_ASSERT(mt_decoder_run(&d, &again) == MT_DECODE_DONE);
		MT_ASSERT(again.len == msg->len && again.id == msg->id && again.kind == msg->kind);
		MT_ASSERT(!good || !again.refuse);
		MT_ASSERT(memcmp(again.field, msg->field, sizeof(msg->field)) == 0);
	}
}

/* Writes an id into a message, in pieces of `piece` bytes. */
static void stream_id(const struct mt_codec_table *t, enum mt_dir dir, const uint8_t *data,
	struct mt_msg msg, uint64_t id, uint32_t piece)
{
	uint32_t len = msg.len;
	bool good = !msg.refuse;
	struct mt_chain c = {0};
	int rc;

	if (!t->codec.correlate.set_id || len > STREAM_CHANGED)
		return;
	fuzz_append(&c, data, len, piece);
	rc = mt_codec_set_id(&t->codec, &msg, &c, id, fuzz_pools());
	stream_changed(t, dir, data, len, &msg, &c, rc, good);
	mt_chain_free(&c);
}

/* Sets and removes metadata. */
static void stream_mutate(const struct mt_codec_table *t, enum mt_dir dir, const uint8_t *data,
	struct mt_msg msg, uint32_t piece)
{
	static const struct mt_mutation m[] = {
		{"a", "long value", 1, 10}, {"k", NULL, 1, 0}, {"key", "=", 3, 1}};
	uint32_t len = msg.len;
	struct mt_chain c = {0};
	int rc;

	if (!t->codec.rewrite.mutate || len > STREAM_CHANGED || msg.refuse)
		return;
	fuzz_append(&c, data, len, piece);
	mt_meta_clear(&stream_view.meta);
	rc = t->codec.rewrite.mutate(&t->codec, &msg, &c, &stream_view.meta, m, 3, fuzz_pools());
	stream_changed(t, dir, data, len, &msg, &c, rc, true);
	mt_chain_free(&c);
}

/* Messages of the codec's own, for a message that one may answer. */
static void stream_templates(
	const struct mt_codec_table *t, const struct mt_msg *msg, const struct mt_chain *c)
{
	static uint8_t bytes[MT_CT_TEMPLATE_MAX];
	volatile uint32_t sum = 0;
	struct mt_seed seed = {0};

	t->codec.correlate.save(&t->codec, msg, c, &seed);
	for (uint32_t use = 0; use < MT_CT_USES; use++) {
		uint32_t n = mt_codec_table_write(t, (enum mt_ct_use)use, &seed, MT_REPLY_DENIED,
			"text \"of\" a reason\n", bytes);

		MT_ASSERT(n <= sizeof(bytes));
		sum += stream_touch(bytes, n);
	}
	(void)sum;
}

/* The bytes as an error, which is compared with the local replies of refusals. */
static void stream_error(
	const struct mt_codec_table *t, struct mt_msg msg, const struct mt_chain *c)
{
	msg.status = MT_STATUS_SERVER_ERROR;
	MT_ASSERT(mt_codec_classify(&t->codec, &msg, c) < MT_STATUS_N);
}

/* The first message, in pieces of `piece` bytes for each mbuf, `call` for each call. */
static struct stream_seen stream_first(const struct mt_codec_table *t, enum mt_dir dir,
	const uint8_t *data, uint32_t size, uint32_t piece, uint32_t call)
{
	struct stream_seen seen = {.rc = MT_DECODE_MORE};
	struct mt_chain c = {0};
	struct mt_decoder d;
	uint32_t used = 0, leading = 0;

	mt_decoder_init(&d, &t->codec, dir, 0, &c);
	for (uint32_t at = 0, n; at < size && seen.rc == MT_DECODE_MORE; at += n) {
		n = MT_MIN(call, size - at);
		fuzz_append(&c, data + at, n, piece);
		seen.rc = stream_run(t, &d, &seen.msg, &used);
		if (seen.rc == MT_DECODE_LEADING) {
			MT_ASSERT(++leading == 1 && seen.msg.len > c.len);
			MT_ASSERT(seen.msg.lead_len <= c.len);
			if (!seen.msg.refuse)
				stream_keys(t, &seen.msg, &c);
			seen.rc = stream_run(t, &d, &seen.msg, &used);
			MT_ASSERT(seen.rc == MT_DECODE_MORE);
		}
	}
	if (seen.rc == MT_DECODE_DONE) {
		MT_ASSERT(seen.msg.len > 0 && seen.msg.len <= c.len);
		for (uint32_t i = 0; i < MT_CT_KEPT; i++)
			MT_ASSERT(!(seen.msg.aux32 >> i & 1) ||
				  (uint64_t)seen.msg.field[i].off + seen.msg.field[i].len <=
					  seen.msg.len);
		stream_keys(t, &seen.msg, &c);
		stream_templates(t, &seen.msg, &c);
		stream_error(t, seen.msg, &c);
		stream_id(t, dir, data, seen.msg, t->codec.id_min, piece);
		stream_id(t, dir, data, seen.msg, t->codec.id_max, piece);
		stream_mutate(t, dir, data, seen.msg, piece);
	}
	mt_chain_free(&c);
	return seen;
}

/* A cut never changes what a message is, nor whether its bytes tell that. */
static void stream_same(const struct stream_seen *a, const struct stream_seen *b)
{
	MT_ASSERT(a->rc == b->rc);
	if (a->rc != MT_DECODE_DONE)
		return;
	MT_ASSERT(a->msg.len == b->msg.len && a->msg.kind == b->msg.kind);
	MT_ASSERT(a->msg.id == b->msg.id && a->msg.status == b->msg.status);
	MT_ASSERT(a->msg.refuse == b->msg.refuse && a->msg.timeout_ms == b->msg.timeout_ms);
	MT_ASSERT(a->msg.aux32 == b->msg.aux32 && a->msg.variant == b->msg.variant);
	MT_ASSERT(memcmp(a->msg.field, b->msg.field, sizeof(a->msg.field)) == 0);
}

static void stream_table(const struct mt_codec_table *t, const uint8_t *data, uint32_t size)
{
	for (uint32_t dir = 0; dir < 2; dir++) {
		struct stream_seen a = stream_first(t, (enum mt_dir)dir, data, size, 2048, size);
		struct stream_seen b = stream_first(t, (enum mt_dir)dir, data, size, 1, 1);
		struct stream_seen c = stream_first(t, (enum mt_dir)dir, data, size, 7, 64);
		uint32_t need = 0;

		stream_same(&a, &b);
		stream_same(&a, &c);
		t->codec.frame.sniff(&t->codec, data, size, &need);
	}
	fuzz_check_pools();
}
