/* SPDX-License-Identifier: Apache-2.0 */
/* What a worker knows of tokens. */
#include "issuer.h"
#include "mt_test.h"
#include "mt_token_cache.h"

static struct mt_jwks_store *store;
static struct mt_token_rules *rules;
static struct mt_token_cache *cache;
static struct mt_token_result result;

static void begin(void)
{
	char *jwks = issuer_jwks(issuer_of("ES256"));

	store = mt_jwks_store_new();
	rules = one_rule(store, jwks, NULL, 0);
	cache = mt_token_cache_new();
	free(jwks);
}

static void end(void)
{
	mt_token_cache_free(cache);
	mt_token_rules_drop(rules);
	mt_jwks_store_free(store);
}

static void put(uint32_t n, enum mt_token_outcome o, int64_t until, int64_t now)
{
	uint8_t digest[MT_TOKEN_DIGEST_LEN];

	mt_token_cache_digest(cache, rules, 1, &n, sizeof(n), digest);
	result.outcome = o;
	result.rule = 0;
	result.generation = mt_jwks_source_generation(rules->rules[0].keys);
	result.until = result.claims.expires = until;
	result.claims.len = 0;
	mt_token_cache_put(cache, rules->id, digest, &result, now);
}

static bool find(uint32_t n, int64_t now, enum mt_token_outcome *o, struct mt_token_known **k)
{
	uint8_t digest[MT_TOKEN_DIGEST_LEN];

	mt_token_cache_digest(cache, rules, 1, &n, sizeof(n), digest);
	return mt_token_cache_find(cache, rules, digest, now, o, k);
}

static void test_known(void)
{
	enum mt_token_outcome o;
	struct mt_token_known *k;

	begin();
	CU_ASSERT_FALSE(find(1, 0, &o, &k));
	put(1, MT_TOKEN_valid, 10, 0);
	put(2, MT_TOKEN_signature, 5, 0);
	CU_ASSERT_TRUE(find(1, 10, &o, &k) && o == MT_TOKEN_valid && k);
	CU_ASSERT_TRUE(find(2, 4, &o, &k) && o == MT_TOKEN_signature && !k);
	CU_ASSERT_FALSE(find(2, 5, &o, &k));
	/* Its time is over. */
	CU_ASSERT_FALSE(find(1, 11, &o, &k));
	CU_ASSERT_FALSE(find(1, 10, &o, &k));
	/* What was not valid has become it. */
	put(3, MT_TOKEN_no_keys, 100, 0);
	put(3, MT_TOKEN_valid, 100, 0);
	CU_ASSERT_TRUE(find(3, 1, &o, &k) && o == MT_TOKEN_valid);
	/* By other keys nothing of it holds. */
	put(4, MT_TOKEN_valid, 100, 0);
	k = NULL;
	CU_ASSERT_TRUE(find(4, 1, &o, &k));
	k->generation--;
	CU_ASSERT_FALSE(find(4, 1, &o, &k));
	end();
}

/* However many bad ones come, what is known of good ones stays; and of these the last used ones. */
static void test_flood(void)
{
	enum mt_token_outcome o;
	struct mt_token_known *k;

	begin();
	for (uint32_t i = 0; i < MT_TOKEN_KNOWN; i++)
		put(i, MT_TOKEN_valid, 100, 0);
	for (uint32_t i = 0; i < 100000; i++)
		put(1000000 + i, MT_TOKEN_signature, 100, 0);
	for (uint32_t i = 0; i < MT_TOKEN_KNOWN; i++)
		CU_ASSERT_TRUE(find(i, 1, &o, &k) && o == MT_TOKEN_valid);
	CU_ASSERT_TRUE(find(0, 1, &o, &k));
	for (uint32_t i = 0; i < MT_TOKEN_KNOWN - 1; i++)
		put(2000000 + i, MT_TOKEN_valid, 100, 0);
	CU_ASSERT_TRUE(find(0, 1, &o, &k));
	CU_ASSERT_FALSE(find(1, 1, &o, &k));
	end();
}

static void test_held(void)
{
	enum mt_token_outcome o;
	struct mt_token_known *k;
	uint32_t n;

	begin();
	put(7, MT_TOKEN_valid, 100, 0);
	CU_ASSERT_TRUE_FATAL(find(7, 0, &o, &k));
	n = mt_token_cache_hold(cache, k);
	CU_ASSERT_NOT_EQUAL(n, 0);
	for (uint32_t i = 0; i < 3 * MT_TOKEN_KNOWN; i++)
		put(100 + i, MT_TOKEN_valid, 100, 0);
	CU_ASSERT_PTR_EQUAL(mt_token_cache_held(cache, n), k);
	CU_ASSERT_TRUE(find(7, 0, &o, &k));
	mt_token_cache_drop(cache, n);
	for (uint32_t i = 0; i < MT_TOKEN_KNOWN; i++)
		put(10000 + i, MT_TOKEN_valid, 100, 0);
	CU_ASSERT_FALSE(find(7, 0, &o, &k));
	/* All are needed: another one is not taken, and nothing is lost. */
	for (uint32_t i = 0; i < MT_TOKEN_KNOWN; i++)
		if (find(10000 + i, 0, &o, &k))
			(void)mt_token_cache_hold(cache, k);
	put(5, MT_TOKEN_valid, 100, 0);
	CU_ASSERT_FALSE(find(5, 0, &o, &k));
	end();
}

const struct mt_test cache_tests[] = {{"what is known", test_known}, {"a flood", test_flood},
	{"what is needed stays", test_held}, {0}};
