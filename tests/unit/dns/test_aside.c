/* SPDX-License-Identifier: Apache-2.0 */
/* When a name server is ejected: by silences in a row, which any answer ends. */
#include "lab.h"

#define LOST	 (1600 * MT_MSEC) /* longer than one try */
#define IN_A_ROW 3

static const struct wire_query www = {.name = "Www.Example.org", .type = A, .id = 4711};

static struct mt_dns_upstream_info server(const struct lab *l, uint32_t i)
{
	struct mt_dns_upstream_info info = {.aside = false};

	CU_ASSERT_TRUE(mt_dns_server_upstream(l->s, i, &info));
	return info;
}

/* The first server loses a query; the second one answers it. */
static void lose_one(struct lab *l)
{
	struct asked a;
	char text[4096];

	lab_ask(l, l->client, &www);
	CU_ASSERT_TRUE(lab_asked(l, 0, &a));
	lab_wait(l, LOST);
	CU_ASSERT_TRUE(lab_asked(l, 1, &a));
	lab_reply(l, 1, &a, 0x8180, 1, false);
	CU_ASSERT_STRING_NOT_EQUAL(lab_answer(l, l->client, text), "");
}

/* The first server answers with `flags`; after a failure the second one is queried. */
static void answer_one(struct lab *l, uint16_t flags, bool fails)
{
	struct asked a;
	char text[4096];

	lab_ask(l, l->client, &www);
	CU_ASSERT_TRUE(lab_asked(l, 0, &a));
	lab_reply(l, 0, &a, flags, 0, false);
	if (fails) {
		CU_ASSERT_TRUE(lab_asked(l, 1, &a));
		lab_reply(l, 1, &a, 0x8180, 1, false);
	}
	CU_ASSERT_STRING_NOT_EQUAL(lab_answer(l, l->client, text), "");
}

/* Silences with answers of any kind between them never eject a server; silences in a row do. */
static void test_answers_between(void)
{
	static const struct {
		uint16_t flags;
		bool fails;
	} answers[] = {{0x8180, false}, /* no error */
		{0x8183, false},	/* no such name */
		{0x8380, false},	/* truncated */
		{0x8182, true},		/* SERVFAIL */
		{0x8185, true}};	/* REFUSED */

	for (size_t i = 0; i < MT_ARRAY_LEN(answers); i++) {
		struct lab l;

		lab_open(&l, 2, 0);
		for (uint32_t n = 0; n < 2 * IN_A_ROW; n++) {
			lose_one(&l);
			CU_ASSERT_FALSE(server(&l, 0).aside);
			answer_one(&l, answers[i].flags, answers[i].fails);
		}
		/* All but one of a row, twice. */
		for (uint32_t n = 0; n < 2; n++) {
			for (uint32_t k = 1; k < IN_A_ROW; k++)
				lose_one(&l);
			CU_ASSERT_FALSE(server(&l, 0).aside);
			answer_one(&l, answers[i].flags, answers[i].fails);
		}
		for (uint32_t k = 0; k < IN_A_ROW; k++) {
			CU_ASSERT_FALSE(server(&l, 0).aside);
			lose_one(&l);
		}
		CU_ASSERT_TRUE(server(&l, 0).aside);
		CU_ASSERT_FALSE(server(&l, 1).aside);
		lab_close(&l);
	}
}

/* The only server is queried while it is ejected, too. An answer brings it back, with a row of 0. */
static void test_answer_brings_back(void)
{
	struct asked a;
	struct lab l;
	char text[4096];

	lab_open(&l, 1, 0);
	lab_ask(&l, l.client, &www);
	for (uint32_t k = 0; k < IN_A_ROW; k++) {
		CU_ASSERT_FALSE(server(&l, 0).aside);
		CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
		lab_wait(&l, LOST);
	}
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "SERVFAIL ra Www.Example.org");
	CU_ASSERT_TRUE(server(&l, 0).aside);
	answer_one(&l, 0x8180, false);
	CU_ASSERT_FALSE(server(&l, 0).aside);
	lab_ask(&l, l.client, &www);
	for (uint32_t k = 1; k < IN_A_ROW; k++) {
		CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
		lab_wait(&l, LOST);
		CU_ASSERT_FALSE(server(&l, 0).aside);
	}
	CU_ASSERT_EQUAL(server(&l, 0).silent, 2 * IN_A_ROW - 1);
	lab_close(&l);
}

const struct mt_test aside_tests[] = {{"answers_between", test_answers_between},
	{"answer_brings_back", test_answer_brings_back}, {0}};
