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
		const char *why;
		uint32_t n;

		snprintf(name, sizeof(name), "n%u", i);
		CU_ASSERT_PTR_NULL(mt_name_table_find(t, name, &n, &why));
	}
	mt_name_table_end(t, false);
	for (uint32_t round = 0; round < 8; round++, now += 10 * MT_SEC) {
		(void)mt_name_table_turn(t, now);
		CU_ASSERT_EQUAL(n_waiting, UNDER_WAY);
		time_out();
	}
	for (uint32_t i = 0; i < NAMES; i++)
		CU_ASSERT(n_asked[i] >= 2 && n_asked[i] <= 3);
	CU_ASSERT_PTR_NULL(mt_name_table_waits(t));
	mt_name_table_free(t);
}

/* The n-th of as many addresses, from any of them on. */
static struct mt_lookup_result turned(uint32_t n, uint32_t from)
{
	struct mt_lookup_result r = {.n = 0};

	for (uint32_t i = 0; i < n; i++) {
		uint32_t at = (from + i) % n;
		struct mt_addr a = mt_addr4(htonl(0x0a000000u + at));

		mt_lookup_add(&r, &a, 100 + at);
	}
	return r;
}

/* A server turns its answer around; more addresses than are kept are the same ones each time. */
static void the_same_addresses_each_time(void)
{
	for (uint32_t from = 0; from < 100; from++) {
		const struct mt_lookup_result r = turned(100, from);
		uint64_t seen = 0;

		CU_ASSERT_EQUAL_FATAL(r.n, MT_LOOKUP_ADDRS);
		CU_ASSERT_EQUAL(r.ttl_s, 100);
		for (uint32_t i = 0; i < r.n; i++)
			seen |= 1ull << (ntohl(mt_addr_v4(&r.addrs[i])) & 63);
		CU_ASSERT_EQUAL(seen, UINT32_MAX);
	}
	/* Fewer stay in their order: who answers says which one comes first. */
	for (uint32_t from = 0; from < 5; from++)
		CU_ASSERT_EQUAL(ntohl(mt_addr_v4(&turned(5, from).addrs[0])) & 7, from);
}

const struct mt_test names_tests[] = {
	{"each_name_has_its_turn", each_name_has_its_turn},
	{"the_same_addresses_each_time", the_same_addresses_each_time},
	{0},
};
