/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A codec under outside bytes: decoded in both directions, in several divisions into mbufs and calls;
 * what is complete goes through every function. All divisions must agree on the first message.
 */
#pragma once

#include "fuzz.h"
#include "mt_codec_priv.h"
#include "mt_view.h"

static uint32_t fuzz_touch(const uint8_t *p, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < n; i++)
		sum += p[i];
	return sum;
}

static struct mt_view fuzz_view;

/* Every byte that is said to be metadata is there. */
static void fuzz_keys(const struct mt_codec *codec, struct mt_msg *msg, struct mt_chain *c)
{
	static const char *const more[] = {"user", "svc", "path", ""};
	struct mt_metadata *m = &fuzz_view.meta;
	volatile uint32_t sum = 0;
	struct mt_slice v;

	mt_view_bind(&fuzz_view, codec, msg, c);

	for (uint32_t i = 0; i < MT_ARRAY_LEN(more); i++) {
		struct mt_key key = mt_key_make(codec, more[i]);

		if (mt_view_get(&fuzz_view, &key, &v))
			sum += fuzz_touch(v.p, v.len);
	}
	for (uint32_t i = 0; codec->keys[i]; i++) {
		struct mt_key key = mt_key_make(codec, codec->keys[i]);

		if (mt_view_get(&fuzz_view, &key, &v))
			sum += fuzz_touch(v.p, v.len);
	}
	mt_view_read(&fuzz_view);
	for (uint32_t i = 0; m->state == MT_META_READ && i < m->n; i++) {
		sum += m->entry[i].key ? fuzz_touch(m->entry[i].key, m->entry[i].key_len) : 0;
		if (m->entry[i].kind == MT_META_TEXT)
			sum += fuzz_touch(m->entry[i].value.text, m->entry[i].value_len);
	}
	(void)sum;
}

/* Reads the index once more, without a scan: the same, or so that it fails closed. */
static void fuzz_index_again(const struct mt_codec *codec, struct mt_msg *msg, struct mt_chain *c)
{
	static struct mt_meta_entry before[MT_META_ENTRIES];
	struct mt_metadata *m = &fuzz_view.meta;
	uint32_t n = m->n, end = m->end;
	uint8_t state = m->state;

	memcpy(before, m->entry, n * sizeof(before[0]));
	mt_view_bind(&fuzz_view, codec, msg, c);
	mt_view_read(&fuzz_view);
	if (m->state == MT_META_TOO_LARGE)
		return;
	MT_ASSERT(m->state == state);
	if (state != MT_META_READ)
		return;
	MT_ASSERT(m->n == n && m->end == end);
	for (uint32_t i = 0; i < n; i++)
		MT_ASSERT(m->entry[i].off == before[i].off && m->entry[i].end == before[i].end &&
			  m->entry[i].kind == before[i].kind &&
			  m->entry[i].key_len == before[i].key_len);
}

/* The readings of a long message: the first one with a scan, as its owner makes it. */
static void fuzz_index(const struct mt_codec *codec, struct mt_msg *msg, struct mt_chain *c)
{
	struct mt_scan scan = {0};
	enum mt_scan_rc rc = MT_SCAN_MORE;
	bool may_seek = codec->metadata.seek && !msg->refuse && msg->len > MT_SCAN_AT_ONCE;

	while (may_seek && rc == MT_SCAN_MORE) {
		uint32_t steps = MT_SCAN_STEPS;

		rc = codec->metadata.seek(codec, &scan, msg, c, &steps);
	}
	mt_view_bind(&fuzz_view, codec, msg, c);
	fuzz_view.meta.scan = scan;
	mt_view_read(&fuzz_view);
	fuzz_index_again(codec, msg, c);
}

/* A complete message, alone in its chain. */
static void fuzz_use(const struct mt_codec *codec, const struct mt_decoder *by, struct mt_msg *msg,
	struct mt_chain *c, struct mt_pools *p)
{
	static const struct mt_mutation mu[] = {{"user", "other", 4, 5}, {"path", NULL, 4, 0}};
	struct mt_chain out = {0};
	struct mt_seed seed = {0};
	struct mt_msg fresh = *msg;

	fuzz_index(codec, &fresh, c);
	fuzz_keys(codec, msg, c);
	codec->correlate.save(codec, msg, c, &seed);
	MT_ASSERT(codec->write.reply(codec, &seed, MT_REPLY_TIMEOUT, "timeout", &out, p) == 0);
	if (codec->write.heartbeat)
		MT_ASSERT(codec->write.heartbeat(codec, 1, &out, p) == 0);
	if (codec->write.heartbeat_reply)
		MT_ASSERT(codec->write.heartbeat_reply(codec, msg, c, &out, p) == 0);
	mt_chain_free(&out);
	if (codec->rewrite.mutate)
		codec->rewrite.mutate(codec, msg, c, &fuzz_view.meta, mu, MT_ARRAY_LEN(mu), p);
	MT_ASSERT(mt_codec_set_id(codec, msg, c, codec->id_min, p) == 0);
	MT_ASSERT(msg->len == c->len);
	if (!msg->refuse && msg->kind != MT_MSG_EVENT) {
		struct mt_decoder d;
		struct mt_msg again;

		/* What we pass on reads as what we read, on a connection of the same dialect. */
		mt_decoder_init(&d, codec, by->dir, 0, c);
		memcpy(d.conn, by->conn, sizeof(d.conn));
		d.max_message *= 2;
		MT_ASSERT(mt_decoder_run(&d, &again) == MT_DECODE_DONE);
		MT_ASSERT(again.len == c->len && again.id == codec->id_min);
		MT_ASSERT(again.kind == msg->kind && again.status == msg->status);
	}
	MT_ASSERT(mt_codec_restore_id(codec, msg, c, &seed, p) == 0);
	MT_ASSERT(msg->len == c->len);
}

/* Returns decode()'s answer for the first message and how long it was; then takes the next ones. */
static enum mt_decode fuzz_stream(const struct mt_codec *codec, enum mt_dir dir,
	const uint8_t *data, uint32_t size, uint32_t piece, uint32_t call, uint32_t *len)
{
	struct mt_pools *p = fuzz_pools();
	struct mt_chain c = {0}, one = {0};
	enum mt_decode rc, first = MT_DECODE_LEADING;
	struct mt_decoder d;
	struct mt_msg msg;

	mt_decoder_init(&d, codec, dir, 0, &c);
	for (uint32_t at = 0, part; at < size; at += part) {
		part = MT_MIN(call, size - at);
		fuzz_append(&c, data + at, part, piece);
		do {
			rc = mt_decoder_run(&d, &msg);
			if (rc == MT_DECODE_LEADING) {
				rc = mt_decoder_run(&d, &msg);
				MT_ASSERT(rc != MT_DECODE_LEADING);
			}
			if (rc == MT_DECODE_MORE)
				break;
			if (first == MT_DECODE_LEADING) {
				first = rc;
				*len = rc == MT_DECODE_DONE ? msg.len : 0;
			}
			if (rc == MT_DECODE_BAD)
				goto out;
			MT_ASSERT(msg.len > 0 && msg.len <= c.len);
			MT_ASSERT(mt_chain_split(&c, msg.len, &one, p) == 0);
			mt_decoder_next(&d);
			fuzz_use(codec, &d, &msg, &one, p);
			mt_chain_free(&one);
		} while (c.len > 0);
	}
out:
	mt_chain_free(&c);
	return first;
}

static int fuzz_codec(const struct mt_codec *codec, const uint8_t *data, size_t size)
{
	static const struct {
		uint32_t piece, call;
	} divide[] = {{2048, UINT32_MAX}, {7, 61}, {1, 1}};

	if (size > 16384)
		return 0;
	fuzz_pools();
	for (int dir = MT_DIR_DOWN; dir <= MT_DIR_UP; dir++) {
		uint32_t len[3] = {0};
		enum mt_decode rc[3];

		for (int i = 0; i < 3; i++) {
			rc[i] = fuzz_stream(codec, (enum mt_dir)dir, data, (uint32_t)size,
				divide[i].piece, divide[i].call, &len[i]);
			MT_ASSERT(rc[i] == rc[0] && len[i] == len[0]);
			fuzz_check_pools();
		}
	}
	return 0;
}
