/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workers that are interrupted before any access to a shared word, by random schedules. They are contexts of one thread,
 * so each schedule runs the same way every time. Needs the build with known bugs (mt_keyed_between).
 */
#include "suites.h"

#include "mt_rand.h"

#include <ucontext.h>

#define SCHEDULES 150000
#define FILL	  (100 * MT_MSEC)
#define MAX	  2u
#define TAKES	  4
#define STACK	  65536
/* Three take from the bucket in question, one from others in its line, one is the control thread. */
#define TAKERS	 3
#define CONTEXTS (TAKERS + 2)
#define FAR	 120 /* accesses before the last interruption */
#define CUTS	 5

static struct context {
	ucontext_t uc;
	uint8_t stack[STACK];
	bool ended;
	uint64_t late; /* this many ns behind */
} contexts[CONTEXTS];

static ucontext_t outside;
static struct mt_keyed *table;
static struct mt_keyed_rule *rule;
static struct mt_rand rnd;
static uint64_t keys[8]; /* all in line 0, which has places for them */
static uint32_t running, accesses, cuts[CUTS], n_cuts, admitted;
static uint64_t begin; /* the fill in which a schedule starts */
static bool fills;

static void switch_to(uint32_t next)
{
	uint32_t from = running;

	running = next;
	swapcontext(&contexts[from].uc, &contexts[next].uc);
}

/* Another context that has not ended; the same if there is none. */
static uint32_t another(void)
{
	uint32_t next = running, skip = mt_rand_below(&rnd, CONTEXTS);

	for (uint32_t i = 0; i < 2 * CONTEXTS; i++) {
		next = (next + 1) % CONTEXTS;
		if (!contexts[next].ended && i >= skip)
			return next;
	}
	return running;
}

static void between(void)
{
	bool cut = false;

	accesses++;
	for (uint32_t i = 0; i < n_cuts; i++)
		cut |= cuts[i] == accesses;
	if (cut && another() != running)
		switch_to(another());
}

/* The part of the table with the line. */
static void tick(uint64_t now)
{
	table->next_line = 0;
	mt_keyed_tick(table, now);
}

static void body(void)
{
	uint32_t me = running;
	struct context *c = &contexts[me];

	for (uint32_t i = 0; i < TAKES; i++) {
		uint64_t now = (begin + (fills && i >= TAKES / 2)) * FILL;

		if (me < TAKERS)
			admitted += mt_keyed_take(rule, (uint16_t)me, keys[0], 1, now - c->late);
		else if (me == TAKERS)
			mt_keyed_take(rule, (uint16_t)me, keys[6 + i % 2], 1, now);
		else
			tick(now);
	}
	c->ended = true;
	if (another() == me) {
		mt_keyed_between = NULL;
		setcontext(&outside);
	}
	running = another();
	setcontext(&contexts[running].uc);
}

/* Places of the line: free, or with the bucket of another key, which is full or not. */
static void fill_line(void)
{
	memset(table->words, 0, table->lines * MT_KEYED_LINE * sizeof(*table->words));
	begin = 10;
	rule->base = begin * MAX;
	rule->until = (begin + 1) * FILL;
	for (uint32_t i = 0; i < 5; i++)
		if (mt_rand_below(&rnd, 2))
			mt_keyed_take(rule, 0, keys[1 + i], 1, 0);
	begin += mt_rand_below(&rnd, 2);
	mt_keyed_advance(rule, begin * FILL);
}

static void run_schedule(uint64_t seed)
{
	mt_rand_seed(&rnd, seed);
	fills = seed % 2;
	fill_line();
	admitted = accesses = 0;
	n_cuts = 1 + mt_rand_below(&rnd, CUTS);
	for (uint32_t i = 0; i < n_cuts; i++)
		cuts[i] = 1 + mt_rand_below(&rnd, FAR);
	for (uint32_t i = 0; i < CONTEXTS; i++) {
		struct context *c = &contexts[i];

		c->ended = false;
		c->late = mt_rand_below(&rnd, 2) * (FILL / 2);
		getcontext(&c->uc);
		c->uc.uc_stack.ss_sp = c->stack;
		c->uc.uc_stack.ss_size = sizeof(c->stack);
		c->uc.uc_link = NULL;
		makecontext(&c->uc, body, 0);
	}
	running = mt_rand_below(&rnd, CONTEXTS);
	mt_keyed_between = between;
	swapcontext(&outside, &contexts[running].uc);
}

/* A line never has two words of a key, and none that is pending, when no worker takes. */
static bool line_is_sound(void)
{
	uint64_t where = ~rule->count_mask;

	for (uint32_t i = 0; i < MT_KEYED_LINE; i++) {
		if (table->words[i] & MT_KEYED_PENDING)
			return false;
		for (uint32_t k = 0; k < i; k++)
			if (table->words[i] && ((table->words[i] ^ table->words[k]) & where) == 0)
				return false;
	}
	return true;
}

static void test_schedules(void)
{
	uint32_t wrong = 0, unsound = 0;
	uint64_t k = 0;

	table = mt_keyed_new(64, CONTEXTS);
	rule = rule_of(table, MAX, MAX, FILL);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(keys); i++) {
		while ((key(rule, k) & rule->line_mask) != 0)
			k++;
		keys[i] = key(rule, k++);
	}
	for (uint64_t seed = 0; seed < SCHEDULES; seed++) {
		run_schedule(seed);
		/* With a fill each of both gives at most all tokens, and the last takes get those of the second. */
		wrong += fills ? admitted < MAX || admitted > 2 * MAX : admitted != MAX;
		unsound += !line_is_sound();
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_EQUAL(unsound, 0);
	for (uint32_t i = 0; i < TAKERS; i++)
		CU_ASSERT_EQUAL(rule->counts[i].overflowed, 0);
	mt_keyed_free(table);
}

const struct mt_test schedule_tests[] = {{"random schedules", test_schedules}, {0}};
