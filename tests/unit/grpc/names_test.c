/* SPDX-License-Identifier: Apache-2.0 */
/* The table of names, with lookups that end when the test says so. */
#include "suites.h"

/* Its own copy: the library's asks real servers. */
#define mt_lookup	 fake_lookup
#define mt_lookup_cancel fake_cancel
#include "name_table.c"

#include <arpa/inet.h>
#include <stdio.h>

#define NAMES 1000

struct mt_lookup {
	void (*done)(void *arg, const struct mt_lookup_result *result);
	void *arg;
	uint32_t name;
};

static struct mt_lookup under_way[NAMES];
static uint32_t n_asked[NAMES], n_waiting;

struct mt_lookup *fake_lookup(struct mt_resolver *r, const char *name,
	void (*done)(void *arg, const struct mt_lookup_result *result), void *arg)
{
	uint32_t i = (uint32_t)strtoul(name + 1, NULL, 10);

	(void)r;
	n_asked[i]++;
	n_waiting++;
	under_way[i] = (struct mt_lookup){done, arg, i};
	return &under_way[i];
}

void fake_cancel(struct mt_lookup *l)
{
	l->done = NULL;
	n_waiting--;
}

/* All that is under way ends without an answer. */
static void time_out(void)
{
	const struct mt_lookup_result none = {.why = "timed out"};

	for (uint32_t i = 0; i < NAMES; i++) {
		struct mt_lookup l = under_way[i];

		under_way[i].done = NULL;
		if (!l.done)
			continue;
		n_waiting--;
		l.done(l.arg, &none);
	}
}

/* A quarter of the names finds room at a time, and each lookup lasts longer than the time until the next one is due. */
static void each_name_has_its_turn(void)
{
	struct mt_name_table *t = mt_name_table_new();
	uint64_t now = MT_SEC;
	char name[16];

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	memset(n_asked, 0, sizeof(n_asked));
	memset(under_way, 0, sizeof(under_way));
	n_waiting = 0;
	mt_name_table_ask(t, (struct mt_resolver *)&n_asked);
	mt_name_table_begin(t);
	for (uint32_t i = 0; i < NAMES; i++) {
		struct mt_name_state state;

		snprintf(name, sizeof(name), "n%u", i);
		mt_name_table_find(t, name, &state);
		CU_ASSERT(!state.n && !state.answered && !*state.why);
	}
	mt_name_table_end(t, false);
	for (uint32_t round = 0; round < 8; round++, now += 10 * MT_SEC) {
		(void)mt_name_table_turn(t, now, 0);
		CU_ASSERT_EQUAL(n_waiting, UNDER_WAY);
		time_out();
	}
	for (uint32_t i = 0; i < NAMES; i++)
		CU_ASSERT(n_asked[i] >= 2 && n_asked[i] <= 3);
	CU_ASSERT_PTR_NULL(mt_name_table_waits(t));
	mt_name_table_free(t);
}

#define BAD "no answer in time"

/* A table with the name n0, whose lookups the test answers. */
struct one_name {
	struct mt_name_table *t;
	uint64_t now;
	uint32_t changes; /* that loads have to follow */
};

static void wait_for_lookup(struct one_name *x, uint64_t ns)
{
	for (uint64_t end = x->now + ns; x->now < end; x->now += 100 * MT_MSEC)
		x->changes +=
			mt_name_table_turn(x->t, x->now, (int64_t)(1000000 + x->now / MT_SEC));
}

static void one_begin(struct one_name *x)
{
	struct mt_name_state state;

	*x = (struct one_name){.t = mt_name_table_new(), .now = MT_SEC};
	CU_ASSERT_PTR_NOT_NULL_FATAL(x->t);
	memset(under_way, 0, sizeof(under_way));
	n_waiting = 0;
	mt_name_table_ask(x->t, (struct mt_resolver *)&n_asked);
	mt_name_table_begin(x->t);
	mt_name_table_find(x->t, "n0", &state);
	mt_name_table_end(x->t, false);
	wait_for_lookup(x, MT_SEC);
}

/* "A B" are the addresses; NULL: the query for a family was answered. */
static void reply(struct one_name *x, const char *addresses, const char *four, const char *six)
{
	struct mt_lookup_result r = {.why = "no such name", .failed = {six, four}};
	struct mt_lookup l = under_way[0];
	char text[256], *at = text, *one;
	struct mt_addr v[8];

	snprintf(text, sizeof(text), "%s", addresses);
	while ((one = strsep(&at, " ")) != NULL)
		if (*one)
			CU_ASSERT_EQUAL(mt_addr_parse(one, &v[r.n++]), 0);
	r.addrs = v;
	CU_ASSERT_PTR_NOT_NULL_FATAL(l.done);
	under_way[0].done = NULL;
	n_waiting--;
	l.done(l.arg, &r);
	wait_for_lookup(x, 100 * MT_MSEC);
}

static struct mt_name_state state_of(struct one_name *x)
{
	struct mt_name_state s;

	mt_name_table_find(x->t, "n0", &s);
	return s;
}

static const char *addresses(struct one_name *x)
{
	const struct mt_name_state s = state_of(x);
	static char text[256];
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < s.n; i++) {
		char a[MT_ADDR_STRLEN];

		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
			mt_addr_str(&s.addrs[i], a));
	}
	return text;
}

/* A query that fails leaves the addresses of its family; an answer replaces them. */
static void families_apart(void)
{
	static const struct {
		const char *answer, *four, *six; /* of the second lookup */
		const char *then;
		bool fails;
	} rows[] = {
		{"10.0.0.2 10.0.0.2 2001:db8::2", NULL, NULL, "10.0.0.2 2001:db8::2", false},
		{"2001:db8::2", BAD, NULL, "10.0.0.1 2001:db8::2", true},
		{"10.0.0.2", NULL, BAD, "10.0.0.2 2001:db8::1", true},
		{"10.0.0.2", NULL, NULL, "10.0.0.2", false},
		{"2001:db8::2", NULL, NULL, "2001:db8::2", false},
		{"", BAD, BAD, "10.0.0.1 2001:db8::1", true},
		{"", NULL, BAD, "2001:db8::1", true},
		{"", NULL, NULL, "10.0.0.1 2001:db8::1", true},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct one_name x;

		one_begin(&x);
		reply(&x, "2001:db8::1 10.0.0.1", NULL, NULL);
		CU_ASSERT_STRING_EQUAL(addresses(&x), "10.0.0.1 2001:db8::1");
		wait_for_lookup(&x, 31 * MT_SEC);
		reply(&x, rows[i].answer, rows[i].four, rows[i].six);
		CU_ASSERT_STRING_EQUAL(addresses(&x), rows[i].then);
		CU_ASSERT_EQUAL(*state_of(&x).why != '\0', rows[i].fails);
		mt_name_table_free(x.t);
	}
}

/* A name that does not resolve any more keeps its addresses, and says since when. */
static void since_when(void)
{
	struct mt_name_state s;
	struct one_name x;
	uint32_t pos = 0;

	one_begin(&x);
	reply(&x, "10.0.0.1", NULL, NULL);
	wait_for_lookup(&x, 31 * MT_SEC);
	x.changes = 0;
	reply(&x, "", "no such name", "no such name");
	CU_ASSERT_EQUAL(state_of(&x).failed_at, 0);
	CU_ASSERT_EQUAL(x.changes, 0);
	wait_for_lookup(&x, 6 * MT_SEC);
	reply(&x, "", "no such name", "no such name");
	wait_for_lookup(&x, 6 * MT_SEC);
	reply(&x, "", "no such name", "no such name");
	CU_ASSERT_EQUAL(x.changes, 1);
	CU_ASSERT_STRING_EQUAL(addresses(&x), "10.0.0.1");
	CU_ASSERT_EQUAL(state_of(&x).failed_at, 1000033);
	CU_ASSERT_PTR_NOT_NULL_FATAL(mt_name_table_next(x.t, &pos, &s));
	CU_ASSERT_EQUAL(s.failed_at, 1000033);
	CU_ASSERT_PTR_NULL(mt_name_table_next(x.t, &pos, &s));
	wait_for_lookup(&x, 6 * MT_SEC);
	reply(&x, "10.0.0.1", NULL, NULL);
	CU_ASSERT_EQUAL(x.changes, 2);
	CU_ASSERT_EQUAL(state_of(&x).failed_at, 0);
	CU_ASSERT_STRING_EQUAL(state_of(&x).why, "");
	pos = 0;
	CU_ASSERT_PTR_NULL(mt_name_table_next(x.t, &pos, &s));
	mt_name_table_free(x.t);
}

/* One that never had an address is reported at once. */
static void never_resolved(void)
{
	struct one_name x;

	one_begin(&x);
	reply(&x, "", "no such name", "no such name");
	CU_ASSERT_EQUAL(x.changes, 1);
	CU_ASSERT_NOT_EQUAL(state_of(&x).failed_at, 0);
	CU_ASSERT_PTR_NULL(mt_name_table_waits(x.t));
	mt_name_table_free(x.t);
}

const struct mt_test names_tests[] = {
	{"each_name_has_its_turn", each_name_has_its_turn},
	{"families_apart", families_apart},
	{"since_when", since_when},
	{"never_resolved", never_resolved},
	{0},
};
