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

/* The addresses that may send packets are those whose opaque TCP is allowed. */
static void addresses_of_clients(void)
{
	uint32_t allowed = 0, denied = 0, wrong = 0;

	for (uint64_t seed = 0; seed < 20000 && wrong < 5; seed++) {
		struct chance c = {.seed = seed * 0x9e3779b97f4a7c15ull};
		struct mt_authz_policy *p[3];
		struct mt_addr_ranges clients;
		const struct mt_authz_policy *by;
		struct mt_addr server, peer;
		struct mt_authz_ports at;
		struct mt_authz *a;
		struct mt_region r;
		struct said s;
		bool is;

		mt_region_init(&r, 1 << 20);
		s = chance_call(&c);
		s = (struct said){.peer = s.peer,
			.server = s.server,
			.bytes = true,
			.server_port = s.server_port,
			.service_port = s.service_port};
		at = (struct mt_authz_ports){s.server_port, s.service_port};
		for (uint32_t i = 0; i < 3; i++)
			p[i] = mt_authz_compile(
				&r, chance_policy(&c, &r), mt_codec_bytes(), &at, NULL);
		a = mt_authz_set(&r, p, 1 + chance_of(&c, 2), NULL);
		a = chance_of(&c, 2) ? mt_authz_set(&r, p + 2, 1, a) : a;
		mt_addr_parse(s.server, &server);
		mt_addr_parse(s.peer, &peer);
		clients = mt_authz_clients(&r, a, &server, &at);
		is = said_judge(&s, a, mt_codec_bytes(), &by, NULL) == MT_AUTHZ_ALLOWED;
		allowed += is;
		denied += !is;
		wrong += mt_ranges_have(&clients, &peer) != is;
		if (mt_ranges_have(&clients, &peer) != is)
			printf("seed %llu: %d from %s\n", (unsigned long long)seed, is, s.peer);
		CU_ASSERT_FALSE(r.failed);
		mt_region_fini(&r);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT(allowed > 1000 && denied > 1000);
}

const struct mt_test random_tests[] = {
	{"addresses_of_clients", addresses_of_clients},
	{"both_evaluators_agree", both_evaluators_agree},
	{"both_outcomes_are_met", both_outcomes_are_met},
	{0},
};
