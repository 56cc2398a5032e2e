/* SPDX-License-Identifier: Apache-2.0 */
/* One worker, virtual time, and a model of the bucket that counts epoch by epoch. */
#include "suites.h"

#include "mt_rand.h"

#define FILL   (100 * MT_MSEC)
#define KEYS   24
#define STEPS  40000
#define LITTLE 64 /* places: eight lines */

/* ---- the oracle ------------------------------------------------------------------------------ */

struct oracle {
	uint64_t tokens, epoch;
};

static void oracle_fill(struct oracle *o, const struct mt_keyed_numbers *n, uint64_t now)
{
	for (; o->epoch < now / n->fill_ns; o->epoch++)
		o->tokens = MT_MIN(o->tokens + n->tokens_per_fill, (uint64_t)n->max_tokens);
}

static bool oracle_take(
	struct oracle *o, const struct mt_keyed_numbers *n, uint32_t cost, uint64_t now)
{
	oracle_fill(o, n, now);
	if (o->tokens < cost)
		return false;
	o->tokens -= cost;
	return true;
}

/* True if the next take agrees with the oracle. */
static bool step(struct mt_keyed_rule *r, struct oracle *o, uint64_t n, uint32_t cost, uint64_t now)
{
	bool overflow, left;

	oracle_fill(o, &r->def.numbers, now);
	left = mt_keyed_left(r, key(r, n), now, &overflow) == o->tokens && !overflow;
	return (mt_keyed_take(r, 0, key(r, n), cost, now) ==
		       oracle_take(o, &r->def.numbers, cost, now)) &&
	       left;
}

/* Two rules with the same keys in a table that has room for all. */
static void against_oracle(struct mt_keyed_numbers a, struct mt_keyed_numbers b)
{
	struct mt_keyed *t = mt_keyed_new(4096, 1);
	struct mt_keyed_rule *rules[2] = {
		rule_of(t, a.max_tokens, a.tokens_per_fill, a.fill_ns), NULL};
	struct mt_keyed_def def = {.name = "other", .numbers = b};
	struct oracle o[2][KEYS];
	struct mt_rand rnd;
	uint64_t now = 0, ticked = 0;
	uint32_t wrong = 0;

	mt_rand_seed(&rnd, a.max_tokens);
	rules[1] = rule_for(t, &def, 0);
	for (uint32_t i = 0; i < 2 * KEYS; i++)
		o[i / KEYS][i % KEYS] = (struct oracle){rules[i / KEYS]->max, 0};
	for (uint32_t i = 0; i < STEPS; i++) {
		uint32_t which = mt_rand_below(&rnd, 2), k = mt_rand_below(&rnd, KEYS);

		/* Mostly many takes in an epoch, sometimes a pause of up to 20 s. */
		now += mt_rand_below(&rnd, 1000) ? mt_rand_below(&rnd, 2 * MT_MSEC)
						 : mt_rand_below(&rnd, 20000) * MT_MSEC;
		for (; ticked + MT_SEC <= now; ticked += MT_SEC)
			mt_keyed_tick(t, ticked + MT_SEC);
		wrong += !step(rules[which], &o[which][k], k, 1 + mt_rand_below(&rnd, 3), now);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(overflowed(t, rules[0]) + overflowed(t, rules[1]), 0);
	mt_keyed_free(t);
}

static void test_oracle(void)
{
	against_oracle(
		(struct mt_keyed_numbers){5, 5, MT_SEC}, (struct mt_keyed_numbers){20, 1, FILL});
	against_oracle((struct mt_keyed_numbers){3, 2, 50 * MT_MSEC},
		(struct mt_keyed_numbers){40, 7, 333 * MT_MSEC});
	/* More tokens a fill than the maximum; and a fill for all that the test takes. */
	against_oracle((struct mt_keyed_numbers){4, 1000, FILL},
		(struct mt_keyed_numbers){200, 200, 3600 * MT_SEC});
	against_oracle((struct mt_keyed_numbers){1, 1, FILL},
		(struct mt_keyed_numbers){4000000, 4000000, MT_SEC});
}

/* A request that takes more than there is leaves the tokens to smaller ones. */
static void test_cost(void)
{
	struct mt_keyed *t = mt_keyed_new(LITTLE, 1);
	struct mt_keyed_rule *r = rule_of(t, 10, 10, MT_SEC);

	CU_ASSERT_FALSE(mt_keyed_take(r, 0, key(r, 1), 11, 0));
	CU_ASSERT_FALSE(mt_keyed_take(r, 0, key(r, 1), UINT32_MAX, 0));
	CU_ASSERT_TRUE(mt_keyed_take(r, 0, key(r, 1), 7, 0));
	CU_ASSERT_FALSE(mt_keyed_take(r, 0, key(r, 1), 4, 0));
	CU_ASSERT_FALSE(mt_keyed_take(r, 0, key(r, 1), UINT32_MAX, 0));
	CU_ASSERT_TRUE(mt_keyed_take(r, 0, key(r, 1), 3, 0));
	CU_ASSERT_FALSE(mt_keyed_take(r, 0, key(r, 1), 1, 0));
	CU_ASSERT_TRUE(mt_keyed_take(r, 0, key(r, 2), 10, 0));
	CU_ASSERT_EQUAL(info_of(t, r).admitted, 3);
	CU_ASSERT_EQUAL(info_of(t, r).refused, 5);
	CU_ASSERT_EQUAL(overflowed(t, r), 0);
	mt_keyed_free(t);
}

/* ---- places ---------------------------------------------------------------------------------- */

/* The n-th number from 0 on whose key is in line 0. */
static uint64_t in_line(const struct mt_keyed_rule *r, uint32_t n)
{
	uint64_t k = 0;

	for (;; k++)
		if ((key(r, k) & r->line_mask) == 0 && n-- == 0)
			return k;
}

/* The ninth key of a line shares an overflow bucket while the eight others lack tokens. */
static void test_full_line(void)
{
	struct mt_keyed *t = mt_keyed_new(LITTLE, 1);
	struct mt_keyed_rule *r = rule_of(t, 4, 4, MT_SEC);
	uint64_t ninth = key(r, in_line(r, 8));
	bool overflow;

	for (uint32_t i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(takes(r, key(r, in_line(r, i)), 1 + i % 4, 0), 1 + i % 4);
	CU_ASSERT_EQUAL(mt_keyed_left(r, ninth, 0, &overflow), 4);
	CU_ASSERT_TRUE(overflow);
	CU_ASSERT_EQUAL(takes(r, ninth, 10, 0), 4);
	CU_ASSERT_EQUAL(mt_keyed_left(r, ninth, 0, &overflow), 0);
	CU_ASSERT_EQUAL(overflowed(t, r), 10);
	for (uint32_t i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(mt_keyed_left(r, key(r, in_line(r, i)), 0, &overflow), 3 - i % 4);
		CU_ASSERT_EQUAL(takes(r, key(r, in_line(r, i)), 9, 0), 3 - i % 4);
	}
	/* After the next fill all buckets are full, so a ninth key has a place. */
	CU_ASSERT_EQUAL(mt_keyed_left(r, ninth, MT_SEC, &overflow), 4);
	CU_ASSERT_FALSE(overflow);
	CU_ASSERT_EQUAL(takes(r, ninth, 10, MT_SEC), 4);
	CU_ASSERT_EQUAL(overflowed(t, r), 10);
	CU_ASSERT_EQUAL(takes(r, key(r, in_line(r, 0)), 9, MT_SEC), 4);
	mt_keyed_free(t);
}

/* Only the fills of each bucket's own rule make it give way. */
static void test_full_line_of_others(void)
{
	struct mt_keyed *t = mt_keyed_new(LITTLE, 1);
	struct mt_keyed_rule *slow = rule_of(t, 2, 1, 10 * MT_SEC), *fast;
	struct mt_keyed_def def = rule_def("fast", 3, 3, FILL);
	uint64_t k;

	fast = rule_for(t, &def, 0);
	k = key(fast, in_line(fast, 0));
	for (uint32_t i = 0; i < 8; i++)
		CU_ASSERT_EQUAL(takes(slow, key(slow, in_line(slow, i)), 2, 0), 2);
	CU_ASSERT_EQUAL(takes(fast, k, 9, 0), 3);
	CU_ASSERT_EQUAL(takes(fast, k, 9, 10 * MT_SEC), 3);
	CU_ASSERT_EQUAL(overflowed(t, fast), 18);
	/* Nothing has asked for the fills of the slow rule since. */
	CU_ASSERT_EQUAL(takes(fast, k, 9, 20 * MT_SEC), 3);
	CU_ASSERT_EQUAL(overflowed(t, fast), 18);
	CU_ASSERT_EQUAL(takes(slow, key(slow, in_line(slow, 0)), 9, 20 * MT_SEC), 2);
	CU_ASSERT_EQUAL(overflowed(t, slow), 0);
	mt_keyed_free(t);
}

/* Keys without a place get no more together than their overflow buckets have. */
static void test_overflow(void)
{
	struct mt_keyed *t = mt_keyed_new(LITTLE, 1);
	struct mt_keyed_rule *r = rule_of(t, 2, 2, MT_SEC);
	uint32_t admitted = 0;

	for (uint64_t k = 0; k < 50000; k++)
		admitted += takes(r, key(r, k), 1, 0);
	for (uint64_t k = 0; k < 50000; k++)
		admitted += takes(r, key(r, k), 1, 0);
	CU_ASSERT_EQUAL(admitted, 2 * (LITTLE + MT_KEYED_OVERFLOWS));
	CU_ASSERT_EQUAL(overflowed(t, r), 2 * (50000 - LITTLE));
	mt_keyed_free(t);
}

/* A million other keys never get a key in the table more than its rule has. */
static void test_attacker(void)
{
	struct mt_keyed *t = mt_keyed_new(MT_KEYED_DEFAULT, 1);
	struct mt_keyed_rule *r = rule_of(t, 10, 10, MT_SEC);
	uint64_t victims = 50, other = 1000;

	for (uint64_t second = 0; second < 20; second++) {
		uint64_t now = second * MT_SEC;

		for (uint64_t v = 0; v < victims; v++)
			CU_ASSERT_EQUAL(takes(r, key(r, v), 1, now), 1);
		for (uint32_t i = 0; i < 50000; i++, other++)
			takes(r, key(r, other), 1, now);
		for (uint64_t v = 0; v < victims; v++)
			CU_ASSERT_EQUAL(takes(r, key(r, v), 20, now), 9);
		mt_keyed_tick(t, now);
	}
	mt_keyed_free(t);
}

/* ---- time ------------------------------------------------------------------------------------ */

/* A worker whose clock is behind takes from the fill that another one has noticed. */
static void test_late_clock(void)
{
	struct mt_keyed *t = mt_keyed_new(LITTLE, 2);
	struct mt_keyed_rule *r = rule_of(t, 3, 3, FILL);

	CU_ASSERT_EQUAL(takes(r, key(r, 1), 9, 5 * FILL), 3);
	for (uint64_t now = 0; now < 6 * FILL; now += FILL / 2)
		CU_ASSERT_FALSE(mt_keyed_take(r, 1, key(r, 1), 1, now));
	CU_ASSERT_TRUE(mt_keyed_take(r, 1, key(r, 1), 1, 6 * FILL));
	mt_keyed_free(t);
}

/* A bucket stays full for hours, although its count has few bits. */
static void test_wrap(void)
{
	struct mt_keyed *t = mt_keyed_new(LITTLE, 1);
	struct mt_keyed_rule *r = rule_of(t, 100, 1, MT_SEC);
	uint64_t now = 0;
	bool overflow;

	CU_ASSERT_EQUAL(r->bits, 8);
	CU_ASSERT_EQUAL(takes(r, key(r, 1), 1, now), 1);
	for (uint32_t s = 1; s < 2 * 3600; s++) {
		now = s * MT_SEC;
		mt_keyed_tick(t, now);
		CU_ASSERT_EQUAL(mt_keyed_left(r, key(r, 1), now, &overflow), 100);
	}
	/* A key that never pauses keeps its place over the wrap. */
	for (uint32_t s = 0; s < 1000; s++) {
		now += MT_SEC;
		mt_keyed_tick(t, now);
		CU_ASSERT_EQUAL(takes(r, key(r, 2), 200, now), s ? 1 : 100);
	}
	CU_ASSERT_EQUAL(takes(r, key(r, 1), 200, now), 100);
	mt_keyed_free(t);
}

/* The last moment at which a tick that is late does no harm. */
static void test_late_tick(void)
{
	const struct mt_keyed_numbers numbers[] = {{1, 1, MT_KEYED_FILL_MIN}, {1000, 1000, MT_SEC},
		{4000000, 4000000, MT_SEC}, {80000000, 80000000, 3600 * MT_SEC},
		{300, 7, 70 * MT_MSEC}};
	bool overflow;

	for (size_t i = 0; i < MT_ARRAY_LEN(numbers); i++) {
		struct mt_keyed *t = mt_keyed_new(LITTLE, 1);
		struct mt_keyed_rule *r = rule_of(
			t, numbers[i].max_tokens, numbers[i].tokens_per_fill, numbers[i].fill_ns);
		uint64_t full = (r->max + r->per_fill - 1) / r->per_fill * r->fill_ns;

		CU_ASSERT_TRUE(mt_keyed_take(r, 0, key(r, 1), r->max, r->fill_ns - 1));
		for (uint64_t after = 0; after <= MT_KEYED_LATEST; after += MT_KEYED_LATEST / 100)
			CU_ASSERT_EQUAL(
				mt_keyed_left(r, key(r, 1), full + after, &overflow), r->max);
		CU_ASSERT_FALSE(overflow);
		mt_keyed_free(t);
	}
}

const struct mt_test bucket_tests[] = {
	{"as an oracle counts", test_oracle},
	{"cost of a request", test_cost},
	{"a ninth key of a line", test_full_line},
	{"fills of another rule", test_full_line_of_others},
	{"overflow buckets", test_overflow},
	{"a million keys of an attacker", test_attacker},
	{"a clock that is behind", test_late_clock},
	{"counts wrap", test_wrap},
	{"a tick that is late", test_late_tick},
	{0},
};
