/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_test.h"

#include "../../eal_unpinned.h"

#include <errno.h>
#include <stdio.h>

#define N_DATA 8191
#define N_CTRL 255

struct mt_pools env_pools;
static struct rte_mbuf *hoard[N_DATA];
static uint32_t n_hoard;

int env_init(void)
{
	char *args[] = {"unit_codec", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry",
		"--log-level=error", "-l", "0", "--no-shconf"};

	if (eal_init_unpinned(MT_ARRAY_LEN(args), args) < 0 || mt_buf_init())
		return -1;
	return mt_pools_init(&env_pools, "codec", N_DATA, N_CTRL, MT_BUF_DATA_ROOM, SOCKET_ID_ANY);
}

uint32_t env_in_use(void)
{
	return rte_mempool_in_use_count(env_pools.data) + rte_mempool_in_use_count(env_pools.ctrl);
}

void env_starve(uint32_t n)
{
	while (n_hoard < N_DATA && (hoard[n_hoard] = mt_buf_data(&env_pools)))
		n_hoard++;
	while (n-- > 0 && n_hoard > 0)
		mt_buf_free(hoard[--n_hoard]);
}

void env_release(void)
{
	while (n_hoard > 0)
		mt_buf_free(hoard[--n_hoard]);
}

uint32_t env_vector(const char *name, uint8_t buf[VECTOR_MAX])
{
	char path[512], line[1024];
	uint32_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.hex", MT_VECTORS, name);
	f = fopen(path, "r");
	if (!f) {
		CU_FAIL("no such vector");
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 0;
	}
	while (fgets(line, sizeof(line), f)) {
		char *at = line;
		unsigned int b;
		int used;

		if (line[0] == '#')
			continue;
		for (; n < VECTOR_MAX && sscanf(at, "%2x%n", &b, &used) == 1; at += used)
			buf[n++] = (uint8_t)b;
	}
	fclose(f);
	return n;
}

void env_append(struct mt_chain *c, const uint8_t *p, uint32_t n, uint32_t piece)
{
	if (piece == 0)
		piece = 2048;
	while (n > 0) {
		struct rte_mbuf *m = mt_buf_data(&env_pools);
		uint32_t part = MT_MIN(n, piece);

		if (!m) {
			CU_FAIL("the pool is empty");
			return;
		}
		memcpy((uint8_t *)m->buf_addr + m->data_off, p, part);
		mt_chain_append(c, m, m->data_off, part);
		p += part;
		n -= part;
	}
}

bool env_equal(const struct mt_chain *c, const uint8_t *p, uint32_t n)
{
	uint8_t buf[2 * VECTOR_MAX];

	if (c->len != n || n > sizeof(buf))
		return false;
	mt_chain_read(c, 0, buf, n);
	return memcmp(buf, p, n) == 0;
}

const char *env_meta(
	const struct mt_codec *codec, struct mt_msg *msg, const struct mt_chain *c, const char *key)
{
	static struct mt_view view;
	static char text[MT_META_BYTES + 1];
	struct mt_key k = mt_key_make(codec, key);
	struct mt_slice v;

	mt_view_bind(&view, codec, msg, (struct mt_chain *)c);
	if (!mt_view_get(&view, &k, &v))
		return "-";
	memcpy(text, v.p, v.len);
	text[v.len] = '\0';
	return text;
}

struct mt_metadata *env_index(void)
{
	static struct mt_metadata meta;

	mt_meta_clear(&meta);
	return &meta;
}

enum mt_decode env_decode(
	const struct mt_codec *codec, enum mt_dir dir, const struct mt_chain *c, struct mt_msg *msg)
{
	struct mt_decoder d;
	enum mt_decode rc;

	mt_decoder_init(&d, codec, dir, 0, c);
	rc = mt_decoder_run(&d, msg);
	return rc == MT_DECODE_LEADING ? mt_decoder_run(&d, msg) : rc;
}

static void check(const struct mt_codec *codec, const struct expect *e, struct mt_msg *msg,
	const struct mt_chain *c)
{
	char meta[512], *save = NULL;

	CU_ASSERT_EQUAL(msg->kind, e->kind);
	CU_ASSERT_EQUAL(msg->status, e->status);
	CU_ASSERT_EQUAL(msg->event, e->event);
	CU_ASSERT_EQUAL(msg->id, e->id);
	CU_ASSERT_EQUAL(msg->len, c->len);
	CU_ASSERT(msg->lead_len <= msg->len);
	CU_ASSERT(msg->can_reply);
	snprintf(meta, sizeof(meta), "%s", e->meta);
	for (char *kv = strtok_r(meta, " ", &save); kv; kv = strtok_r(NULL, " ", &save)) {
		char *value = strchr(kv, '=');
		const char *got;

		*value++ = '\0';
		got = env_meta(codec, msg, c, kv);
		if (strcmp(got, value) != 0) {
			CU_FAIL("metadata");
			fprintf(stderr, "%s: %s is \"%s\", not \"%s\"\n", e->vector, kv, got,
				value);
		}
	}
}

/* One more call must not be DONE before the last byte; LEADING comes at most once. */
static void step(struct mt_decoder *d, struct mt_msg *msg, bool last, uint32_t *leading)
{
	enum mt_decode rc = mt_decoder_run(d, msg);

	if (rc == MT_DECODE_LEADING) {
		++*leading;
		CU_ASSERT_FALSE(last);
	} else {
		CU_ASSERT_EQUAL(rc, last ? MT_DECODE_DONE : MT_DECODE_MORE);
	}
	CU_ASSERT(*leading <= 1);
}

/* The vector in pieces: `first` bytes, then `then` bytes at a time. */
static void pieces(const struct mt_codec *codec, const struct expect *e, const uint8_t *p,
	uint32_t n, uint32_t first, uint32_t then)
{
	struct mt_chain c = {0};
	struct mt_decoder d;
	struct mt_msg msg;
	uint32_t leading = 0;

	mt_decoder_init(&d, codec, e->dir, 0, &c);
	for (uint32_t at = 0, part = first; at < n; at += part, part = then) {
		part = MT_MIN(part, n - at);
		env_append(&c, p + at, part, 0);
		step(&d, &msg, at + part == n, &leading);
	}
	check(codec, e, &msg, &c);
	mt_chain_free(&c);
}

/* Two messages back to back, in mbufs of `piece` bytes. */
static void twice(const struct mt_codec *codec, const struct expect *e, const uint8_t *p,
	uint32_t n, uint32_t piece)
{
	struct mt_chain c = {0}, out = {0};
	struct mt_decoder d;
	struct mt_msg msg;

	env_append(&c, p, n, piece);
	env_append(&c, p, n, piece);
	mt_decoder_init(&d, codec, e->dir, 0, &c);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(mt_decoder_run(&d, &msg), MT_DECODE_DONE);
		CU_ASSERT_EQUAL_FATAL(msg.len, n);
		CU_ASSERT_EQUAL(mt_chain_split(&c, msg.len, &out, &env_pools), 0);
		mt_decoder_next(&d);
		check(codec, e, &msg, &out);
		mt_chain_free(&out);
	}
	CU_ASSERT_EQUAL(mt_decoder_run(&d, &msg), MT_DECODE_MORE);
	CU_ASSERT_EQUAL(c.len, 0);
}

void env_expect(const struct mt_codec *codec, const struct expect *e)
{
	uint32_t before = env_in_use(), need = 0;
	uint8_t p[VECTOR_MAX];
	uint32_t n = env_vector(e->vector, p);

	pieces(codec, e, p, n, n, n);
	for (uint32_t cut = 1; cut < n; cut++)
		pieces(codec, e, p, n, cut, n);
	pieces(codec, e, p, n, 1, 1);
	twice(codec, e, p, n, 0);
	twice(codec, e, p, n, 3);
	if (e->dir == MT_DIR_DOWN)
		CU_ASSERT_EQUAL(codec->frame.sniff(codec, p, n, &need), MT_SNIFF_YES);
	CU_ASSERT_EQUAL(env_in_use(), before);
}

void env_round_trip(const struct mt_codec *codec, const struct expect *e, uint64_t id)
{
	static const uint32_t sizes[] = {0, 1, 3, 17};
	uint8_t p[VECTOR_MAX];
	uint32_t n = env_vector(e->vector, p), before = env_in_use();

	for (uint32_t i = 0; i < MT_ARRAY_LEN(sizes); i++) {
		struct mt_chain c = {0};
		struct mt_msg msg, again;
		struct mt_seed seed = {0};

		env_append(&c, p, n, sizes[i]);
		CU_ASSERT_EQUAL(env_decode(codec, e->dir, &c, &msg), MT_DECODE_DONE);
		codec->correlate.save(codec, &msg, &c, &seed);
		CU_ASSERT_EQUAL(mt_codec_set_id(codec, &msg, &c, id, &env_pools), 0);
		CU_ASSERT_EQUAL(env_decode(codec, e->dir, &c, &again), MT_DECODE_DONE);
		CU_ASSERT_EQUAL(again.id, id);
		CU_ASSERT_EQUAL(msg.id, id);
		CU_ASSERT_EQUAL(again.len, msg.len);
		CU_ASSERT_EQUAL(memcmp(msg.field, again.field, sizeof(msg.field[0]) * 5), 0);
		CU_ASSERT_EQUAL(mt_codec_restore_id(codec, &again, &c, &seed, &env_pools), 0);
		CU_ASSERT(env_equal(&c, p, n));
		check(codec, e, &again, &c);
		mt_chain_free(&c);
	}
	CU_ASSERT_EQUAL(env_in_use(), before);
}

void env_nomem(const struct mt_codec *codec, const struct expect *e, uint32_t piece,
	int (*op)(void *arg, struct mt_msg *msg, struct mt_chain *c), void *arg)
{
	uint32_t before = env_in_use(), failed = 0;
	uint8_t p[VECTOR_MAX];
	uint32_t n = env_vector(e->vector, p);
	int rc = -ENOMEM;

	for (uint32_t left = 0; left < 16 && rc == -ENOMEM; left++) {
		struct mt_chain c = {0}, shared = {0};
		struct mt_msg msg;

		env_append(&c, p, n, piece);
		/* Somebody else holds the mbufs: nothing may be written in place. */
		CU_ASSERT_EQUAL(mt_chain_split(&c, 0, &shared, &env_pools), 0);
		for (struct rte_mbuf *m = c.head; m; m = mt_link(m)->next)
			mt_buf_hold(m);
		CU_ASSERT_EQUAL(env_decode(codec, e->dir, &c, &msg), MT_DECODE_DONE);
		{
			struct rte_mbuf *held[VECTOR_MAX];
			uint32_t n_held = 0;

			for (struct rte_mbuf *m = c.head; m; m = mt_link(m)->next)
				held[n_held++] = m;
			env_starve(left);
			rc = op(arg, &msg, &c);
			env_release();
			if (rc == -ENOMEM) {
				failed++;
				CU_ASSERT(env_equal(&c, p, n));
				CU_ASSERT_EQUAL(msg.len, n);
			}
			mt_chain_free(&c);
			mt_buf_free_bulk(held, n_held);
		}
	}
	CU_ASSERT_EQUAL(rc, 0);
	CU_ASSERT(failed > 0);
	CU_ASSERT_EQUAL(env_in_use(), before);
}
