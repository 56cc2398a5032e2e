/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors with random damage through all of a codec's functions: no fault, nothing leaks. */
#include "codec_test.h"

#include <dirent.h>
#include <stdio.h>

#define ROUNDS 100000

static char names[64][64];
static uint8_t vectors[64][VECTOR_MAX];
static uint32_t lens[64], n_vectors;

static void load(const char *dir)
{
	char path[512];
	struct dirent *e;
	DIR *d;

	n_vectors = 0;
	snprintf(path, sizeof(path), "%s/%s", MT_VECTORS, dir);
	d = opendir(path);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while ((e = readdir(d)) && n_vectors < MT_ARRAY_LEN(names)) {
		char *dot = strstr(e->d_name, ".hex");

		if (!dot)
			continue;
		snprintf(names[n_vectors], sizeof(names[0]), "%s/%.*s", dir,
			(int)MT_MIN(dot - e->d_name, 50), e->d_name);
		lens[n_vectors] = env_vector(names[n_vectors], vectors[n_vectors]);
		n_vectors++;
	}
	closedir(d);
	CU_ASSERT(n_vectors > 0);
}

/* One to eight changes: a byte, a bit, a run of equal bytes, a cut, bytes of another vector. */
static uint32_t damage(struct mt_rand *r, uint8_t *p, uint32_t n)
{
	for (uint32_t i = 1 + mt_rand_below(r, 8); i > 0 && n > 0; i--) {
		uint32_t at = mt_rand_below(r, n), len = 1 + mt_rand_below(r, 8), other;

		len = MT_MIN(len, n - at);
		switch (mt_rand_below(r, 6)) {
		case 0:
			p[at] = (uint8_t)mt_rand_u64(r);
			break;
		case 1:
			p[at] ^= (uint8_t)(1 << mt_rand_below(r, 8));
			break;
		case 2:
			memset(p + at, mt_rand_below(r, 2) ? 0xff : 0, len);
			break;
		case 3:
			n = mt_rand_below(r, 8) ? n : at;
			break;
		case 4:
			memmove(p + at, p + at + len, n - at - len);
			n -= len;
			break;
		default:
			other = mt_rand_below(r, n_vectors);
			memcpy(p + at, vectors[other] + mt_rand_below(r, lens[other] - len), len);
			break;
		}
	}
	return n;
}

/* Every byte that the index names is there. */
static uint32_t touch(const struct mt_metadata *m)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; m->state == MT_META_READ && i < m->n; i++) {
		const struct mt_meta_entry *e = &m->entry[i];

		for (uint32_t k = 0; e->key && k < e->key_len; k++)
			sum += e->key[k];
		for (uint32_t k = 0; e->kind == MT_META_TEXT && k < e->value_len; k++)
			sum += e->value.text[k];
	}
	return sum;
}

static void use(const struct mt_codec *codec, struct mt_msg *msg, struct mt_chain *c, uint64_t id)
{
	static const struct mt_mutation mu[] = {{"user-id", "other", 7, 5}, {"path", NULL, 4, 0}};
	struct mt_chain out = {0};
	struct mt_seed seed = {0};
	static struct mt_metadata meta;

	for (uint32_t i = 0; codec->keys[i]; i++)
		env_meta(codec, msg, c, codec->keys[i]);
	env_meta(codec, msg, c, "user-id");
	mt_meta_clear(&meta);
	mt_meta_read(&meta, codec, msg, c);
	CU_ASSERT(touch(&meta) < UINT32_MAX);
	codec->correlate.save(codec, msg, c, &seed);
	CU_ASSERT_EQUAL(
		codec->write.reply(codec, &seed, MT_REPLY_TIMEOUT, "timeout", &out, &env_pools), 0);
	mt_chain_free(&out);
	if (codec->rewrite.mutate)
		codec->rewrite.mutate(codec, msg, c, &meta, mu, MT_ARRAY_LEN(mu), &env_pools);
	CU_ASSERT_EQUAL(msg->len, c->len);
	CU_ASSERT_EQUAL(mt_codec_set_id(codec, msg, c, id, &env_pools), 0);
	CU_ASSERT_EQUAL(msg->len, c->len);
	CU_ASSERT_EQUAL(mt_codec_restore_id(codec, msg, c, &seed, &env_pools), 0);
}

static void one(const struct mt_codec *codec, struct mt_rand *r, uint32_t done[5])
{
	uint32_t v = mt_rand_below(r, n_vectors), n = lens[v], at = 0;
	struct mt_chain c = {0}, msg_chain = {0};
	uint8_t p[VECTOR_MAX];
	enum mt_decode rc = MT_DECODE_MORE;
	struct mt_decoder d;
	struct mt_msg msg;

	memcpy(p, vectors[v], n);
	n = damage(r, p, n);
	mt_decoder_init(&d, codec, mt_rand_below(r, 2) ? MT_DIR_DOWN : MT_DIR_UP, 0, &c);
	while (at < n && rc < MT_DECODE_DONE) {
		uint32_t part = 1 + mt_rand_below(r, n - at);

		env_append(&c, p + at, part, mt_rand_below(r, 4) ? 0 : 1 + mt_rand_below(r, 64));
		at += part;
		rc = mt_decoder_run(&d, &msg);
		if (rc == MT_DECODE_LEADING)
			env_meta(codec, &msg, &c, codec->keys[0]);
	}
	done[rc]++;
	if (rc == MT_DECODE_DONE) {
		CU_ASSERT_FATAL(msg.len > 0 && msg.len <= c.len);
		CU_ASSERT_EQUAL(mt_chain_split(&c, msg.len, &msg_chain, &env_pools), 0);
		use(codec, &msg, &msg_chain, codec->id_min + mt_rand_below(r, 1000));
		mt_chain_free(&msg_chain);
	}
	mt_chain_free(&c);
}

static void rounds(const struct mt_codec *codec, const char *dir, uint32_t n)
{
	uint32_t before = env_in_use(), done[5] = {0};
	struct mt_rand r;

	load(dir);
	mt_rand_seed(&r, 1);
	for (uint32_t i = 0; i < n; i++)
		one(codec, &r, done);
	/* The damage is such that every end is often reached. */
	CU_ASSERT(done[MT_DECODE_MORE] > n / 100);
	CU_ASSERT(done[MT_DECODE_DONE] > n / 100);
	CU_ASSERT(done[MT_DECODE_BAD] > n / 100);
	CU_ASSERT_EQUAL(env_in_use(), before);
}

static void dubbo(void)
{
	rounds(&mt_codec_dubbo, "dubbo", ROUNDS);
}

static void thrift(void)
{
	rounds(&mt_codec_thrift, "thrift", ROUNDS);
}

static void awesomerpc(void)
{
	rounds(&mt_codec_awesomerpc, "awesomerpc", ROUNDS / 4);
}

const struct mt_test random_tests[] = {
	{"random_dubbo", dubbo},
	{"random_thrift", thrift},
	{"random_awesomerpc", awesomerpc},
	{0},
};
