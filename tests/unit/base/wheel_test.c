/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_rand.h"
#include "mt_wheel.h"
#include "suites.h"

#include <string.h>

#define N 500

static struct mt_timer timers[N];
static uint64_t want[N]; /* the model: deadline, MT_NEVER when not armed */
static uint64_t model_now;
static uint32_t early, unknown;

static void fired(void *arg, struct mt_timer *t)
{
	uint32_t i = (uint32_t)(t - timers);

	(void)arg;
	early += want[i] > model_now;
	unknown += want[i] == MT_NEVER;
	want[i] = MT_NEVER;
}

/* Timers that are overdue by a whole tick and did not fire. */
static uint32_t late(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < N; i++)
		n += want[i] != MT_NEVER && want[i] + MT_MSEC <= model_now;
	return n;
}

static uint64_t earliest(void)
{
	uint64_t min = MT_NEVER;

	for (uint32_t i = 0; i < N; i++)
		min = MT_MIN(min, want[i]);
	return min;
}

/* Whether each slot that holds timers has its bit. */
static bool bits_are_right(const struct mt_wheel *w)
{
	for (int l = 0; l < MT_WHEEL_LEVELS; l++)
		for (uint32_t s = 0; s < MT_WHEEL_SLOTS; s++)
			if (!mt_list_empty(&w->slots[l][s]) &&
				!(w->full[l][s / 64] >> (s % 64) & 1))
				return false;
	return true;
}

static void against_model(void)
{
	static struct mt_wheel w;
	struct mt_rand r;

	mt_rand_seed(&r, 5);
	model_now = (1ull << 32) * MT_MSEC - 5 * MT_SEC; /* crosses the top level's turn */
	mt_wheel_init(&w, model_now);
	for (uint32_t i = 0; i < N; i++) {
		mt_timer_init(&timers[i]);
		want[i] = MT_NEVER;
	}
	early = unknown = 0;
	for (uint32_t step = 0; step < 20000; step++) {
		uint32_t i = mt_rand_below(&r, N);
		uint64_t span = 1ull << (10 + mt_rand_below(&r, 31));

		if (mt_rand_below(&r, 4) == 0) {
			mt_wheel_cancel(&w, &timers[i]);
			want[i] = MT_NEVER;
		} else {
			want[i] = model_now + mt_rand_u64(&r) % span;
			mt_wheel_arm(&w, &timers[i], want[i]);
		}
		if (earliest() != MT_NEVER)
			CU_ASSERT_TRUE(mt_wheel_next(&w) <= earliest() + MT_MSEC);
		model_now +=
			mt_rand_u64(&r) % (mt_rand_below(&r, 50) ? 20 * MT_MSEC : 300 * MT_SEC);
		mt_wheel_run(&w, model_now, UINT32_MAX, fired, NULL);
		CU_ASSERT_EQUAL(late(), 0);
		CU_ASSERT_TRUE(bits_are_right(&w));
	}
	CU_ASSERT_EQUAL(early, 0);
	CU_ASSERT_EQUAL(unknown, 0);
}

static void budget_is_kept(void)
{
	static struct mt_wheel w;

	model_now = 1000 * MT_MSEC;
	mt_wheel_init(&w, model_now);
	for (uint32_t i = 0; i < 10; i++) {
		mt_timer_init(&timers[i]);
		want[i] = model_now + (1 + i / 5) * MT_MSEC;
		mt_wheel_arm(&w, &timers[i], want[i]);
	}
	model_now += 50 * MT_MSEC;
	CU_ASSERT_EQUAL(mt_wheel_run(&w, model_now, 3, fired, NULL), 3);
	CU_ASSERT_EQUAL(mt_wheel_run(&w, model_now, 3, fired, NULL), 3);
	CU_ASSERT_EQUAL(mt_wheel_run(&w, model_now, 100, fired, NULL), 4);
	CU_ASSERT_EQUAL(w.armed, 0);
	CU_ASSERT_EQUAL(mt_wheel_next(&w), MT_NEVER);
}

#define CROWD 5000

static uint32_t length(const struct mt_list *l)
{
	const struct mt_list *n;
	uint32_t k = 0;

	mt_list_foreach (n, l)
		k++;
	return k;
}

static void count_one(void *arg, struct mt_timer *t)
{
	(void)t;
	++*(uint32_t *)arg;
}

/* A slot with many timers is dealt out in slices; those of others fire in time meanwhile. */
static void crowd_is_dealt_out(void)
{
	static struct mt_timer crowd[CROWD], lone;
	static struct mt_wheel w;
	uint64_t begin = 2 * 65536 * MT_MSEC, now = MT_MSEC;
	uint32_t n = 0, left = CROWD, before;

	mt_wheel_init(&w, now);
	for (uint32_t i = 0; i < CROWD; i++) {
		mt_timer_init(&crowd[i]);
		mt_wheel_arm(&w, &crowd[i], begin + (10 + i % 50000) * MT_MSEC);
	}
	mt_timer_init(&lone);
	mt_wheel_run(&w, begin - 2 * MT_MSEC, 100, count_one, &n);
	mt_wheel_arm(&w, &lone, begin + 2 * MT_MSEC);
	now = begin;
	for (uint32_t turn = 1; left > 0; turn++) {
		before = n;
		CU_ASSERT_EQUAL(mt_wheel_run(&w, now, 100, count_one, &n), n - before);
		CU_ASSERT_TRUE(length(&w.falling[2]) + 100 >= left);
		left = length(&w.falling[2]);
		/* There is work now. */
		CU_ASSERT_TRUE(left == 0 || mt_wheel_next(&w) <= now);
		now += turn % 16 ? 0 : MT_MSEC;
	}
	CU_ASSERT_FALSE(mt_timer_armed(&lone));
	while (w.armed > 0 && now < begin + 70000 * MT_MSEC) {
		now += MT_MSEC;
		mt_wheel_run(&w, now, 100, count_one, &n);
	}
	CU_ASSERT_EQUAL(n, CROWD + 1);
	CU_ASSERT_EQUAL(w.armed, 0);
}

/* Timers that were put off are looked at within the budget, too. */
static void put_off_counts(void)
{
	static struct mt_timer many[N];
	static struct mt_wheel w;
	uint32_t n = 0, turns = 0;

	mt_wheel_init(&w, 0);
	for (uint32_t i = 0; i < N; i++) {
		mt_timer_init(&many[i]);
		mt_wheel_arm(&w, &many[i], 5 * MT_MSEC);
		mt_wheel_arm(&w, &many[i], 100 * MT_MSEC);
	}
	while (mt_wheel_next(&w) <= 50 * MT_MSEC) {
		CU_ASSERT_EQUAL(mt_wheel_run(&w, 50 * MT_MSEC, 50, count_one, &n), 0);
		turns++;
	}
	CU_ASSERT_EQUAL(turns, N / 50);
	mt_wheel_run(&w, 100 * MT_MSEC, UINT32_MAX, count_one, &n);
	CU_ASSERT_EQUAL(n, N);
}

/* More than 2^31 ms ahead: looked at after 24 days. */
static void far_ahead(void)
{
	static struct mt_wheel w;
	struct mt_timer t;
	uint32_t n = 0;

	mt_wheel_init(&w, 0);
	mt_timer_init(&t);
	mt_wheel_arm(&w, &t, 40ull * 24 * 3600 * MT_SEC);
	mt_wheel_run(&w, 24ull * 24 * 3600 * MT_SEC, 10, count_one, &n);
	CU_ASSERT_EQUAL(n, 0);
	mt_wheel_run(&w, 25ull * 24 * 3600 * MT_SEC, 10, count_one, &n);
	CU_ASSERT_EQUAL(n, 1);
}

const struct mt_test wheel_tests[] = {
	{"wheel: a crowd is dealt out in slices", crowd_is_dealt_out},
	{"wheel: what was put off counts", put_off_counts},
	{"wheel: far ahead", far_ahead},
	{"wheel: against a model", against_model},
	{"wheel: budget", budget_is_kept},
	{0},
};
