/* SPDX-License-Identifier: Apache-2.0 */
/* Questions as bytes. The vectors are what Envoy's own messages (Python package xds-protos 1.85.0) serialise to. */
#include "rls_test.h"

#include "ratelimit.pb-c.h"

#define SERVICE 7

static struct mt_rls_descriptor descriptor(const char *key, const char *value)
{
	return (struct mt_rls_descriptor){
		.entry = {{slice(key), slice(value)}},
		.n_entries = 1,
	};
}

static void check(const struct mt_rls_query *q, const char *hex)
{
	uint8_t want[256], got[256];
	size_t len = unhex(hex, want);
	struct mt_rls_keys keys;

	CU_ASSERT_EQUAL_FATAL(mt_rls_pack(q, SERVICE, got, sizeof(got), &keys), len);
	CU_ASSERT_EQUAL(memcmp(got, want, len), 0);
	CU_ASSERT_EQUAL(keys.n, q->n_descriptors);
	/* It fits exactly, and in no less. */
	for (size_t room = 0; room <= len; room++) {
		memset(got, 0xee, sizeof(got));
		CU_ASSERT_EQUAL(mt_rls_pack(q, SERVICE, got, room, &keys), room == len ? len : 0);
		CU_ASSERT_EQUAL(keys.n, room == len ? q->n_descriptors : 0);
		CU_ASSERT_EQUAL(got[room], 0xee);
	}
}

static void test_bytes(void)
{
	struct mt_rls_descriptor d[2] = {descriptor("method", "get")};
	struct mt_rls_query q = {slice("shop"), d, 1, NULL};

	check(&q, "0a0473686f70120f0a0d0a066d6574686f641203676574");
	d[0].entry[d[0].n_entries++] = (struct mt_rls_entry){slice("tenant"), slice("")};
	d[1] = descriptor("user", "jos\303\251");
	q.n_descriptors = 2;
	check(&q, "0a0473686f7012190a0d0a066d6574686f6412036765740a080a0674656e616e74"
		  "120f0a0d0a047573657212056a6f73c3a9");
}

/* Hits of all descriptors are those of the query, others are the descriptor's; 1 is left out. */
static void test_hits(void)
{
	const struct mt_rls_descriptor d[] = {
		descriptor("method", "get"), descriptor("user", "jos\303\251")};
	uint32_t hits[2] = {10, 9};
	struct mt_rls_query q = {slice("shop"), d, 1, hits};
	struct mt_rls_keys with, without;
	uint8_t bytes[256];

	check(&q, "0a0473686f70120f0a0d0a066d6574686f641203676574180a");
	hits[0] = 300;
	q.n_descriptors = 2;
	check(&q, "0a0473686f7012140a0d0a066d6574686f6412036765741a0308ac02"
		  "12130a0d0a047573657212056a6f73c3a91a020809");
	hits[1] = 1;
	check(&q, "0a0473686f7012140a0d0a066d6574686f6412036765741a0308ac02"
		  "120f0a0d0a047573657212056a6f73c3a9");
	CU_ASSERT_NOT_EQUAL(mt_rls_pack(&q, SERVICE, bytes, sizeof(bytes), &with), 0);
	hits[0] = 1;
	check(&q, "0a0473686f70120f0a0d0a066d6574686f641203676574"
		  "120f0a0d0a047573657212056a6f73c3a9");
	CU_ASSERT_NOT_EQUAL(mt_rls_pack(&q, SERVICE, bytes, sizeof(bytes), &without), 0);
	CU_ASSERT(with.of[0] == without.of[0] && with.of[1] == without.of[1]);
	CU_ASSERT(with.set == without.set && with.seed == without.seed);
}

/* The largest that is allowed, as the library reads it. */
static void test_largest(void)
{
	static struct mt_rls_descriptor d[MT_RLS_DESCRIPTORS];
	static uint8_t bytes[65536];
	static char value[300];
	const struct mt_rls_query q = {slice("shop"), d, MT_RLS_DESCRIPTORS, NULL};
	struct mt_rls_keys keys;
	Xds__RateLimitRequest *r;
	size_t len;

	memset(value, 'v', sizeof(value) - 1);
	for (uint32_t i = 0; i < MT_RLS_DESCRIPTORS; i++) {
		d[i] = (struct mt_rls_descriptor){.n_entries = MT_RLS_ENTRIES};
		for (uint32_t k = 0; k < MT_RLS_ENTRIES; k++)
			d[i].entry[k] = (struct mt_rls_entry){slice("key"), slice(value)};
	}
	len = mt_rls_pack(&q, SERVICE, bytes, sizeof(bytes), &keys);
	r = xds__rate_limit_request__unpack(NULL, len, bytes);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	CU_ASSERT_EQUAL_FATAL(r->n_descriptors, MT_RLS_DESCRIPTORS);
	for (uint32_t i = 0; i < MT_RLS_DESCRIPTORS; i++) {
		const Xds__RateLimitDescriptor *got = r->descriptors[i];

		CU_ASSERT_EQUAL_FATAL(got->n_entries, MT_RLS_ENTRIES);
		CU_ASSERT_STRING_EQUAL(got->entries[MT_RLS_ENTRIES - 1]->value, value);
	}
	xds__rate_limit_request__free_unpacked(r, NULL);
}

/* Characters that a terminal takes for controls are texts as well. */
static void test_controls(void)
{
	struct mt_rls_descriptor d = descriptor("key", "\302\200\302\237\033");
	const struct mt_rls_query q = {slice("shop"), &d, 1, NULL};

	check(&q, "0a0473686f70120e0a0c0a036b65791205c280c29f1b");
}

/* What a service answers with an error is not asked. */
static void test_refused(void)
{
	static struct mt_rls_descriptor many[MT_RLS_DESCRIPTORS + 1];
	static const struct {
		const char *domain, *key, *value;
		uint32_t n, n_entries;
	} t[] = {
		{"", "k", "v", 1, 1},
		{"\377", "k", "v", 1, 1},
		{"d", "", "v", 1, 1},
		{"d", "k\200", "v", 1, 1},
		{"d", "k", "\303", 1, 1},
		{"d", "k", "v", 0, 1},
		{"d", "k", "v", MT_RLS_DESCRIPTORS + 1, 1},
		{"d", "k", "v", 1, 0},
		{"d", "k", "v", 1, MT_RLS_ENTRIES + 1},
	};
	struct mt_rls_keys keys;
	uint8_t bytes[1024];

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		const struct mt_rls_query q = {slice(t[i].domain), many, t[i].n, NULL};

		for (uint32_t k = 0; k < MT_ARRAY_LEN(many); k++) {
			many[k] = descriptor(t[i].key, t[i].value);
			many[k].n_entries = t[i].n_entries;
		}
		CU_ASSERT_EQUAL(mt_rls_pack(&q, SERVICE, bytes, sizeof(bytes), &keys), 0);
		CU_ASSERT_EQUAL(keys.n, 0);
	}
}

static void test_nul(void)
{
	struct mt_rls_descriptor d = descriptor("key", "v");
	const struct mt_rls_query q = {slice("shop"), &d, 1, NULL};
	struct mt_rls_keys keys;
	uint8_t bytes[64];

	d.entry[0].value.len = 2; /* and its NUL */
	CU_ASSERT_EQUAL(mt_rls_pack(&q, SERVICE, bytes, sizeof(bytes), &keys), 0);
}

static uint64_t key_of(const char *domain, struct mt_rls_descriptor d, uint32_t service)
{
	const struct mt_rls_descriptor both[] = {descriptor("other", "one"), d};
	const struct mt_rls_query q = {slice(domain), both, 2, NULL};
	struct mt_rls_keys keys;
	uint8_t bytes[256];

	CU_ASSERT_NOT_EQUAL_FATAL(mt_rls_pack(&q, service, bytes, sizeof(bytes), &keys), 0);
	CU_ASSERT_NOT_EQUAL(keys.of[0], keys.of[1]);
	return keys.of[1];
}

/* A descriptor has the same key in each question, and another one if anything about it differs. */
static void test_keys(void)
{
	struct mt_rls_descriptor d = descriptor("key", "v"), other = descriptor("key", "w");
	const struct mt_rls_query alone = {slice("shop"), &d, 1, NULL};
	struct mt_rls_keys keys;
	uint8_t bytes[256];
	uint64_t key = key_of("shop", d, SERVICE);

	CU_ASSERT_NOT_EQUAL(mt_rls_pack(&alone, SERVICE, bytes, sizeof(bytes), &keys), 0);
	CU_ASSERT_EQUAL(keys.of[0], key);
	CU_ASSERT_NOT_EQUAL(key_of("shop", other, SERVICE), key);
	CU_ASSERT_NOT_EQUAL(key_of("shops", d, SERVICE), key);
	CU_ASSERT_NOT_EQUAL(key_of("shop", d, SERVICE + 1), key);
	/* That of the set is another one, also of one descriptor. */
	CU_ASSERT_NOT_EQUAL(keys.set, key);
}

const struct mt_test query_tests[] = {{"bytes", test_bytes}, {"hits", test_hits},
	{"largest", test_largest}, {"refused", test_refused}, {"nul", test_nul},
	{"controls", test_controls}, {"keys", test_keys}, {0}};
