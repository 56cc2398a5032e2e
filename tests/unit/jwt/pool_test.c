/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens on their way to the thread and back. */
#include "issuer.h"
#include "mt_test.h"
#include "mt_token_pool.h"

#include <unistd.h>

static uint32_t woken;

static void wake(uint64_t who)
{
	CU_ASSERT_EQUAL(who, 42);
	__atomic_add_fetch(&woken, 1, __ATOMIC_RELEASE);
}

static void ask(struct mt_token_lane *l, const struct mt_token_rules *r, const char *token)
{
	struct mt_token_slot *s = mt_token_lane_slot(l);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s->allowed = 1;
	s->now_s = 1;
	s->len = (uint32_t)strlen(token);
	memcpy(s->token, token, s->len);
	mt_token_lane_ask(l, s, r);
}

/* All slots of two workers, again and again. */
static void test_all(void)
{
	struct mt_err e;
	struct mt_token_pool *p = mt_token_pool_new(2, &e);
	struct mt_jwks_store *store = mt_jwks_store_new();
	const struct issuer *by = issuer_of("EdDSA");
	char *jwks = issuer_jwks(by), *good = issuer_sign(by, NULL, "{\"iss\":\"iss\"}"),
	     *bad = issuer_sign(by, NULL, "{\"iss\":\"other\"}");
	struct mt_token_rules *r = one_rule(store, jwks, NULL, 0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	for (uint32_t round = 0; round < 40; round++) {
		struct mt_token_lane *l = mt_token_pool_lane(p, round % 2);
		uint32_t valid = 0, n = 0;

		l->wake = wake;
		l->who = 42;
		for (uint32_t i = 0; i < MT_TOKEN_SLOTS; i++)
			ask(l, r, i % 4 ? good : bad);
		CU_ASSERT_PTR_NULL(mt_token_lane_slot(l));
		while (n < MT_TOKEN_SLOTS) {
			struct mt_token_slot *s = mt_token_lane_take(l);

			if (!s) {
				usleep(50);
				continue;
			}
			valid += s->result.outcome == MT_TOKEN_valid;
			mt_token_lane_give_back(l, s);
			n++;
		}
		CU_ASSERT_EQUAL(valid, MT_TOKEN_SLOTS * 3 / 4);
	}
	CU_ASSERT_TRUE(__atomic_load_n(&woken, __ATOMIC_ACQUIRE) > 0);
	/* What is under way when it ends holds nothing any more. */
	for (uint32_t i = 0; i < MT_TOKEN_SLOTS; i++)
		ask(mt_token_pool_lane(p, 0), r, good);
	mt_token_pool_free(p);
	CU_ASSERT_EQUAL(r->refs, 1);
	mt_token_rules_drop(r);
	mt_jwks_store_free(store);
	free(jwks);
	free(good);
	free(bad);
}

const struct mt_test pool_tests[] = {{"all slots, by turns", test_all}, {0}};
