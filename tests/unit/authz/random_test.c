/* SPDX-License-Identifier: Apache-2.0 */
#include "authz_test.h"
#include "mt_test.h"

#define CASES 60000

static void both_evaluators_agree(void)
{
	uint32_t wrong = 0;

	for (uint64_t seed = 0; seed < CASES && wrong < 5; seed++) {
		struct chance c = {.seed = seed * 0x9e3779b97f4a7c15ull};
		const char *words = chance_differs(&c);

		if (words)
			printf("seed %llu: %s\n", (unsigned long long)seed, words);
		wrong += words != NULL;
	}
	CU_ASSERT_EQUAL(wrong, 0);
}

/* Cases that decide something: neither all allowed nor all denied. */
static void both_outcomes_are_met(void)
{
	uint32_t effects[MT_AUTHZ_CLOSED + 1] = {0};

	for (uint64_t seed = 0; seed < 5000; seed++) {
		struct chance c = {.seed = seed * 0x9e3779b97f4a7c15ull};
		const struct mt_codec *codec = chance_codec(&c);
		struct said s = chance_call(&c);
		struct mt_authz_policy *p;
		struct mt_region r;
		const struct mt_authz_policy *by;

		mt_region_init(&r, 1 << 20);
		p = mt_authz_compile(&r, chance_policy(&c, &r), codec, NULL, NULL);
		effects[said_judge(&s, mt_authz_set(&r, &p, 1, NULL), codec, &by, NULL)]++;
		mt_region_fini(&r);
	}
	CU_ASSERT(effects[MT_AUTHZ_ALLOWED] > 500);
	CU_ASSERT(effects[MT_AUTHZ_DENIED] > 500);
	CU_ASSERT(effects[MT_AUTHZ_UNREAD] > 20);
	CU_ASSERT(effects[MT_AUTHZ_CLOSED] > 50);
}

const struct mt_test random_tests[] = {
	{"both_evaluators_agree", both_evaluators_agree},
	{"both_outcomes_are_met", both_outcomes_are_met},
	{0},
};
