/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids that are written into messages: a message with another id decodes to the same otherwise, and
 * the client's id makes the message what it was. With MT_CODECFILES_OUT=FILE the changed messages
 * are written to a file, for tests/codecfiles/reader.py.
 */
#include "codecfile_test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char *at_file, *at_name;

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		bool ok_ = (x);                                                                    \
                                                                                                   \
		CU_ASSERT(ok_);                                                                    \
		if (!ok_)                                                                          \
			fprintf(stderr, "%s: %s: %s (line %d)\n", at_file, at_name, #x, __LINE__); \
	} while (0)

static FILE *out;

static bool is_call(const struct line *l)
{
	static const char *const words[] = {"request", "oneway", "reply"};
	size_t n = strcspn(l->kind, ":!");

	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++)
		if (n == strlen(words[i]) && memcmp(l->kind, words[i], n) == 0)
			return !strchr(l->kind, '!');
	return false;
}

/* Only headers.yaml has the id in a container with all entries as metadata. */
static bool is_id(const struct mt_meta_entry *e)
{
	return e->key_len == 7 && strncasecmp((const char *)e->key, "Call-Id", 7) == 0;
}

/* The metadata of a message, all in one text, without its id. */
static void metadata(const struct mt_codec_table *t, struct mt_msg *msg, const struct mt_chain *c,
	char *text, size_t size)
{
	struct mt_metadata *m = env_index();
	uint32_t took = m->took;
	size_t n = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < t->n_keys; i++)
		n += (size_t)snprintf(text + n, size - n, "%s=%s ", t->codec.keys[i],
			env_meta(&t->codec, msg, c, t->codec.keys[i]));
	mt_meta_read(m, &t->codec, msg, c);
	/* An entry takes a step, and the walk to it as well. */
	CU_ASSERT(m->took - took >= 2 * m->n);
	for (uint32_t i = 0; m->state == MT_META_READ && i < m->n && n < size; i++)
		n += is_id(&m->entry[i])
			     ? 0
			     : (size_t)snprintf(text + n, size - n, "%.*s=%.*s ",
				       (int)m->entry[i].key_len, m->entry[i].key,
				       (int)m->entry[i].value_len, m->entry[i].value.text);
}

/* True if both messages are the same, apart from id and place. */
static bool alike(const struct mt_codec_table *t, struct mt_msg *a, const struct mt_chain *ca,
	struct mt_msg *b, const struct mt_chain *cb)
{
	static char left[1u << 16], right[1u << 16];

	metadata(t, a, ca, left, sizeof(left));
	metadata(t, b, cb, right, sizeof(right));
	if (strcmp(left, right) != 0)
		fprintf(stderr, "\t%s\n\t%s\n", left, right);
	return a->kind == b->kind && a->status == b->status && a->event == b->event &&
	       a->timeout_ms == b->timeout_ms && a->variant == b->variant && a->aux == b->aux &&
	       a->refuse == b->refuse && strcmp(left, right) == 0;
}

static void emit(const struct line *l, const struct mt_chain *c, uint64_t id)
{
	uint8_t b[FRAME_MAX + 256];

	if (!out || c->len > sizeof(b))
		return;
	mt_chain_read(c, 0, b, c->len);
	fprintf(out, "%s\t%s\t%s\t%llu\t", at_file, l->name,
		l->dir == MT_DIR_UP ? "server" : "client", (unsigned long long)id);
	for (uint32_t i = 0; i < l->n; i++)
		fprintf(out, "%02x", l->bytes[i]);
	fputc('\t', out);
	for (uint32_t i = 0; i < c->len; i++)
		fprintf(out, "%02x", b[i]);
	fputc('\n', out);
}

/* ---- whole messages -------------------------------------------------------------------------- */

/*
 * True if the client's id was missing, so that zero stays, had more bytes than it needs, or had a
 * copy that differed.
 */
static bool other_bytes(const struct line *l)
{
	static const char *const names[] = {"brpc", "protobuf", "trpc"};

	for (size_t i = 0; l->id == 0 && i < MT_ARRAY_LEN(names); i++)
		if (strcmp(at_file, names[i]) == 0)
			return true;
	return strcmp(l->name, "tars-PROXY-error-reply-verified") == 0 ||
	       strcmp(l->name, "id-of-eight-bytes") == 0 ||
	       strcmp(l->name, "v1-inner-id-differs") == 0;
}

static void round_trip(const struct mt_codec_table *t, const struct line *l, uint64_t id,
	uint32_t piece, bool print)
{
	const struct mt_codec *codec = &t->codec;
	struct mt_chain c = {0}, was = {0};
	struct mt_msg msg, before, again;
	struct mt_seed seed = {0};

	env_append(&was, l->bytes, l->n, 0);
	env_append(&c, l->bytes, l->n, piece);
	CHECK(env_decode(codec, l->dir, &was, &before) == MT_DECODE_DONE);
	CHECK(env_decode(codec, l->dir, &c, &msg) == MT_DECODE_DONE);
	codec->correlate.save(codec, &msg, &c, &seed);
	CHECK(mt_codec_set_id(codec, &msg, &c, id, &env_pools) == 0);
	CHECK(msg.id == id && msg.len == c.len);
	CHECK(env_decode(codec, l->dir, &c, &again) == MT_DECODE_DONE);
	CHECK(again.id == id && again.len == c.len);
	CHECK(alike(t, &before, &was, &again, &c));
	CHECK(memcmp(msg.field, again.field, sizeof(msg.field)) == 0 && msg.aux32 == again.aux32);
	if (print)
		emit(l, &c, id);
	CHECK(mt_codec_restore_id(codec, &again, &c, &seed, &env_pools) == 0);
	CHECK(again.id == l->id && again.len == c.len);
	CHECK(alike(t, &before, &was, &again, &c));
	CHECK(env_equal(&c, l->bytes, l->n) || other_bytes(l));
	mt_chain_free(&c);
	mt_chain_free(&was);
}

/* ---- messages whose end has not come ---------------------------------------------------------- */

/* Cut at each byte: the id is written after LEADING, and the rest follows. */
static void cut(const struct mt_codec_table *t, const struct line *l, uint64_t id)
{
	const struct mt_codec *codec = &t->codec;

	for (uint32_t at = 1; at < l->n; at++) {
		struct mt_chain c = {0}, was = {0};
		struct mt_msg msg, before, again;
		struct mt_decoder d;

		mt_decoder_init(&d, codec, l->dir, 0, &c);
		env_append(&c, l->bytes, at, 0);
		if (mt_decoder_run(&d, &msg) == MT_DECODE_LEADING) {
			CHECK(mt_codec_set_id(codec, &msg, &c, id, &env_pools) == 0);
			env_append(&c, l->bytes + at, l->n - at, 0);
			env_append(&was, l->bytes, l->n, 0);
			CHECK(mt_decoder_run(&d, &msg) == MT_DECODE_DONE);
			CHECK(msg.len == c.len);
			CHECK(env_decode(codec, l->dir, &was, &before) == MT_DECODE_DONE);
			CHECK(env_decode(codec, l->dir, &c, &again) == MT_DECODE_DONE);
			CHECK(again.id == id && alike(t, &before, &was, &again, &c));
			mt_chain_free(&was);
		}
		mt_chain_free(&c);
	}
}

/* ---- no memory ------------------------------------------------------------------------------- */

/* With few buffers, and with bytes that another owner has: nothing is changed, or all. */
static void no_memory(const struct mt_codec_table *t, const struct line *l, uint64_t id)
{
	int rc = -ENOMEM;

	for (uint32_t left = 0; left < 24 && rc == -ENOMEM; left++) {
		struct rte_mbuf *held[FRAME_MAX / 300 + 1];
		struct mt_chain c = {0};
		uint32_t n = 0;
		struct mt_msg msg;

		env_append(&c, l->bytes, l->n, 300);
		for (struct rte_mbuf *m = c.head; m; m = mt_link(m)->next) {
			mt_buf_hold(m);
			held[n++] = m;
		}
		CHECK(env_decode(&t->codec, l->dir, &c, &msg) == MT_DECODE_DONE);
		env_starve(left);
		rc = mt_codec_set_id(&t->codec, &msg, &c, id, &env_pools);
		env_release();
		if (rc == -ENOMEM)
			CHECK(env_equal(&c, l->bytes, l->n) && msg.len == l->n && msg.id == l->id);
		mt_chain_free(&c);
		mt_buf_free_bulk(held, n);
	}
	CHECK(rc == 0);
}

/* Ids of Meltemi have one width, so that a second one changes no length. */
static void same_width(const struct mt_codec_table *t, const struct line *l)
{
	struct mt_chain c = {0};
	struct mt_msg msg;
	uint32_t len;

	env_append(&c, l->bytes, l->n, 0);
	CHECK(env_decode(&t->codec, l->dir, &c, &msg) == MT_DECODE_DONE);
	CHECK(mt_codec_set_id(&t->codec, &msg, &c, t->codec.id_min, &env_pools) == 0);
	len = msg.len;
	CHECK(mt_codec_set_id(&t->codec, &msg, &c, t->codec.id_max, &env_pools) == 0);
	CHECK(msg.len == len && c.len == len && msg.id == t->codec.id_max);
	mt_chain_free(&c);
}

static void one(const struct mt_codec_table *t, const struct line *l, void *arg)
{
	static const uint32_t pieces[] = {0, 1, 3, 17};
	uint64_t min = t->codec.id_min, max = t->codec.id_max;

	at_name = l->name;
	if (!is_call(l) || !max)
		return;
	for (size_t i = 0; i < MT_ARRAY_LEN(pieces); i++) {
		round_trip(t, l, min, pieces[i], false);
		round_trip(t, l, max, pieces[i], false);
		round_trip(t, l, min + (max - min) / 3, pieces[i], i == 0);
	}
	same_width(t, l);
	cut(t, l, max);
	if (t->codec.correlate.set_id)
		no_memory(t, l, max);
	++*(uint32_t *)arg;
}

static void round_trips(void)
{
	const char *path = getenv("MT_CODECFILES_OUT");
	uint32_t n = 0;

	out = path ? fopen(path, "w") : NULL;
	for (const char *const *name = file_names(); *name; name++) {
		struct mt_region region;
		const struct mt_codec_table *t;

		at_file = *name;
		mt_region_init(&region, 0);
		t = file_compile(&region, *name);
		CU_ASSERT(t->codec.id_max == 0 || t->codec.id_min % 4096 == 0);
		CU_ASSERT(t->codec.id_max == 0 || (t->codec.id_max + 1) % 4096 == 0);
		lines_each(*name, one, t, &n);
		mt_region_fini(&region);
		CU_ASSERT_EQUAL(env_in_use(), 0);
	}
	CU_ASSERT(n > 100);
	if (out)
		fclose(out);
}

/* A one-way call that ends before the place of its id has no room for that of Meltemi. */
static void short_oneway(void)
{
	static const char *const calls[] = {"multiplexed", "serial"};
	static const uint8_t bytes[] = {0, 3, 2, 0, 8, 2, 0, 0, 0, 0, 7};

	for (uint32_t serial = 0; serial < 2; serial++) {
		struct mt_chain c = {0};
		const struct mt_codec *codec;
		struct mt_region region;
		struct mt_msg msg;
		char doc[1024];

		snprintf(doc, sizeof(doc),
			"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: short}\nspec:\n"
			"  calls: %s\n  places:\n    total: {at: 0, size: 2}\n"
			"    kind: {at: 2, size: 1}\n    id: {at: 4, size: 4}\n"
			"  frame: {length: total, max: 1000}\n  messages:\n"
			"  - {is: request, from: client, when: {kind: 1}}\n"
			"  - {is: oneway, from: client, when: {kind: 2}}\n"
			"  - {is: reply, from: server}\n  id: id\n",
			calls[serial]);
		mt_region_init(&region, 0);
		codec = &file_compile(&region, doc)->codec;
		env_append(&c, bytes, sizeof(bytes), 0);
		CU_ASSERT_EQUAL(env_decode(codec, MT_DIR_DOWN, &c, &msg),
			serial ? MT_DECODE_DONE : MT_DECODE_BAD);
		mt_chain_free(&c);
		mt_region_fini(&region);
	}
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

const struct mt_test id_tests[] = {
	{"round trips", round_trips}, {"short one-way calls", short_oneway}, {0}};
