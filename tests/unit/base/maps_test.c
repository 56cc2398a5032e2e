/* SPDX-License-Identifier: Apache-2.0 */
/* Maps by number, room made at once, hashes that are not kept, lists that are nearly in order. */
#include "mt_idmap.h"
#include "mt_rand.h"
#include "mt_share.h"
#include "mt_sort.h"
#include "mt_strmap.h"
#include "suites.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define IDS 3000

static void by_number(void)
{
	static uint64_t of[IDS];
	struct mt_idmap m = {0};
	struct mt_rand rnd;
	uint32_t n = 0;

	mt_rand_seed(&rnd, 3);
	CU_ASSERT_PTR_NULL(mt_idmap_get(&m, 7));
	for (int i = 0; i < 3 * IDS; i++) {
		/* Near each other, and far: with the same low bits. */
		uint32_t k = mt_rand_below(&rnd, IDS);
		uint64_t id = k % 2 ? k : (uint64_t)k << 40;

		id = id ? id : UINT64_MAX;
		n += of[k] == 0;
		of[k] = id;
		CU_ASSERT_EQUAL(mt_idmap_put(&m, id, &of[k]), 0);
		CU_ASSERT_EQUAL(m.n, n);
	}
	for (uint32_t k = 0; k < IDS; k++) {
		uint64_t id = k % 2 ? k : (uint64_t)k << 40;

		CU_ASSERT_PTR_EQUAL(mt_idmap_get(&m, id ? id : UINT64_MAX), of[k] ? &of[k] : NULL);
	}
	CU_ASSERT(m.cap <= 4 * n);
	mt_idmap_clear(&m);
	CU_ASSERT_EQUAL(m.n, 0);
	CU_ASSERT_PTR_NULL(mt_idmap_get(&m, 1));
	mt_idmap_fini(&m);
}

static void room_at_once(void)
{
	struct mt_strmap m = {0};
	struct mt_idmap ids = {0};
	static char keys[1000][8];
	uint32_t cap;

	CU_ASSERT_EQUAL(mt_strmap_reserve(&m, 1000), 0);
	CU_ASSERT_EQUAL(mt_idmap_reserve(&ids, 1000), 0);
	cap = m.cap;
	for (uint32_t i = 0; i < 1000; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%u", i);
		CU_ASSERT_EQUAL(mt_strmap_put(&m, keys[i], keys[i], NULL), 0);
		CU_ASSERT_EQUAL(mt_idmap_put(&ids, i + 1, keys[i]), 0);
	}
	CU_ASSERT_EQUAL(m.cap, cap);
	CU_ASSERT_EQUAL(ids.cap, 2048);
	CU_ASSERT_EQUAL(mt_strmap_reserve(&m, 10), 0);
	CU_ASSERT_EQUAL(m.cap, cap);
	CU_ASSERT_PTR_EQUAL(mt_strmap_get(&m, "k999"), keys[999]);
	mt_strmap_fini(&m);
	mt_idmap_fini(&ids);
}

#define CROWD 20000

static char crowd[CROWD][17];

/*
 * Sets `key` to the i-th of many texts that mt_hash_words() does not tell apart: it hashes the first
 * eight bytes, and the next eight are what takes the state to the same value.
 */
static void set_key(char key[17], uint32_t i)
{
	const uint64_t k = 0x9e3779b97f4a7c15ull, from = 16 * k;
	unsigned __int128 product;
	char head[9];
	uint64_t word;

	snprintf(head, sizeof(head), "%08x", i);
	memcpy(&word, head, 8);
	product = (unsigned __int128)(from ^ word ^ k) * 0xe7037ed1a0b428dbull;
	word = (uint64_t)product ^ (uint64_t)(product >> 64) ^ 0x6161616161616161ull;
	memcpy(key, head, 8);
	memcpy(key + 8, &word, 8);
	key[16] = '\0';
}

/* The most slots in a row that are in use. */
static uint32_t longest_row(const struct mt_strmap *m)
{
	uint32_t row = 0, most = 0;

	for (uint32_t i = 0; i < m->cap; i++) {
		row = m->slots[i].key ? row + 1 : 0;
		most = MT_MAX(most, row);
	}
	return most;
}

/* Keys that were chosen so that they have one hash do not make the map slow. */
static void chosen_keys(void)
{
	struct mt_strmap m = {0};
	uint32_t n = 0, pos = 0, seen = 0;

	for (uint32_t i = 0; n < CROWD; i++) {
		set_key(crowd[n], i);
		/* A text ends at a NUL. */
		n += strlen(crowd[n]) == 16;
	}
	CU_ASSERT_EQUAL(mt_hash_words(crowd[0], 16, 0), mt_hash_words(crowd[1], 16, 0));
	for (uint32_t i = 0; i < CROWD; i++)
		CU_ASSERT_EQUAL(mt_strmap_put(&m, crowd[i], crowd[i], NULL), 0);
	CU_ASSERT_EQUAL(m.n, CROWD);
	CU_ASSERT(longest_row(&m) < 512);
	for (uint32_t i = 0; i < CROWD; i++)
		CU_ASSERT_PTR_EQUAL(mt_strmap_get(&m, crowd[i]), crowd[i]);
	for (uint32_t i = 0; i < CROWD / 2; i++)
		CU_ASSERT_PTR_EQUAL(mt_strmap_del(&m, crowd[i]), crowd[i]);
	while (mt_strmap_next(&m, &pos, NULL))
		seen++;
	CU_ASSERT_EQUAL(seen, CROWD / 2);
	mt_strmap_fini(&m);
}

/* Names as they are written stay without a secret, so that their order is that of the last run. */
static void usual_keys(void)
{
	static char names[100000][24];
	struct mt_strmap m = {0};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(names); i++) {
		snprintf(names[i], sizeof(names[i]), "s%u.shop.svc", i);
		CU_ASSERT_EQUAL(mt_strmap_put(&m, names[i], names[i], NULL), 0);
	}
	CU_ASSERT_FALSE(m.secret);
	/* One name that comes and goes leaves a row of removed slots. */
	for (int i = 0; i < 2000; i++) {
		CU_ASSERT_PTR_NOT_NULL(mt_strmap_del(&m, names[7]));
		CU_ASSERT_EQUAL(mt_strmap_put(&m, names[7], names[7], NULL), 0);
	}
	CU_ASSERT_FALSE(m.secret);
	mt_strmap_fini(&m);
}

/* A key that found no memory is in no map, also in one that hashes by a secret. */
static void null_keys(void)
{
	struct mt_strmap maps[] = {{0}, {.secret = true}};

	for (size_t i = 0; i < MT_ARRAY_LEN(maps); i++) {
		struct mt_strmap *m = &maps[i];

		for (uint32_t n = 0; n < 2; n++) {
			void *old = m;

			CU_ASSERT_EQUAL(mt_strmap_put(m, NULL, m, &old), -ENOMEM);
			CU_ASSERT_PTR_NULL(old);
			CU_ASSERT_PTR_NULL(mt_strmap_get(m, NULL));
			CU_ASSERT_PTR_NULL(mt_strmap_del(m, NULL));
			CU_ASSERT_EQUAL(m->n, n);
			CU_ASSERT_EQUAL(mt_strmap_put(m, "a", m, NULL), 0);
		}
		mt_strmap_fini(m);
	}
}

/* Each byte, the length and the seed count, at every alignment. */
static void words(void)
{
	uint8_t v[48 + 8] = {0};
	uint64_t all[49];

	for (size_t len = 0; len <= 48; len++) {
		all[len] = mt_hash_words(v, len, 1);
		CU_ASSERT_NOT_EQUAL(all[len], mt_hash_words(v, len, 2));
		for (size_t i = 0; i < len; i++)
			CU_ASSERT_NOT_EQUAL(all[i], all[len]);
		for (size_t i = 0; i < len; i++) {
			v[i] = 1;
			CU_ASSERT_NOT_EQUAL(all[len], mt_hash_words(v, len, 1));
			v[i] = 0;
		}
	}
	for (size_t at = 0; at < 8; at++) {
		memset(v, 0, sizeof(v));
		memcpy(v + at, "some words that are as long as 37 b.", 37);
		CU_ASSERT_EQUAL(mt_hash_words(v + at, 37, 5),
			mt_hash_words("some words that are as long as 37 b.", 37, 5));
	}
}

static uint32_t compared;

static int by_value(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	compared++;
	return (*x > *y) - (*x < *y);
}

static void nearly_in_order(void)
{
	uint32_t v[1000];

	for (uint32_t i = 0; i < 1000; i++)
		v[i] = i / 2;
	mt_sort(v, 1000, sizeof(*v), by_value);
	CU_ASSERT_EQUAL(compared, 999);
	v[999] = 0;
	mt_sort(v, 1000, sizeof(*v), by_value);
	for (uint32_t i = 1; i < 1000; i++)
		CU_ASSERT(v[i - 1] <= v[i]);
	mt_sort(v, 0, sizeof(*v), by_value);
	mt_sort(NULL, 0, sizeof(*v), by_value);
}

/* An owner has one account, zero at first; without memory the region has failed. */
static void accounts(void)
{
	struct mt_strmap map = {0};
	struct mt_region r;
	uint64_t *a, *b;

	mt_region_init(&r, 0);
	a = mt_share_account(&map, &r, "a", sizeof(*a));
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_EQUAL((*a)++, 0);
	b = mt_share_account(&map, &r, "b", sizeof(*b));
	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	CU_ASSERT_EQUAL(*b, 0);
	CU_ASSERT_PTR_EQUAL(mt_share_account(&map, &r, "a", sizeof(*a)), a);
	CU_ASSERT_EQUAL(*a, 1);
	r.limit = r.used;
	CU_ASSERT_PTR_NULL(mt_share_account(&map, &r, "c", sizeof(*a)));
	CU_ASSERT_TRUE(r.failed);
	mt_strmap_fini(&map);
	mt_region_fini(&r);
}

/* One owner has three quarters at most, and others the rest. */
static void shares(void)
{
	CU_ASSERT_EQUAL(mt_share_left(100, 0, 0), 75);
	CU_ASSERT_EQUAL(mt_share_left(100, 75, 75), 0);
	CU_ASSERT_EQUAL(mt_share_left(100, 75, 0), 25);
	CU_ASSERT_EQUAL(mt_share_left(100, 95, 20), 5);
	CU_ASSERT_EQUAL(mt_share_left(100, 100, 0), 0);
}

const struct mt_test maps_tests[] = {
	{"accounts", accounts},
	{"shares", shares},
	{"by_number", by_number},
	{"room_at_once", room_at_once},
	{"words", words},
	{"nearly_in_order", nearly_in_order},
	{"chosen_keys", chosen_keys},
	{"usual_keys", usual_keys},
	{"null_keys", null_keys},
	{0},
};
