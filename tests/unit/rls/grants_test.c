/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas and leases: how many calls pass without a query, and until when. */
#include "rls_test.h"

#include "mt_rls_grants.h"

#include <pthread.h>

#define NOW (1000 * MT_SEC)

static struct mt_rls_grants *g;
static struct mt_rls_answer answer;
static struct mt_rls_asked asked;

/* Keys of one and of two descriptors. */
static const struct mt_rls_keys one = {.of = {7}, .n = 1, .set = 70, .seed = 1};
static const struct mt_rls_keys two = {.of = {7, 8}, .n = 2, .set = 78, .seed = 1};
static const struct mt_rls_keys other = {.of = {8}, .n = 1, .set = 80, .seed = 1};
/* Of two descriptors that are the same. */
static const struct mt_rls_keys twice = {.of = {7, 7}, .n = 2, .set = 77, .seed = 1};

static void set_up(uint32_t lease)
{
	g = mt_rls_grants_new(lease);
	CU_ASSERT_PTR_NOT_NULL_FATAL(g);
	memset(&answer, 0, sizeof(answer));
	answer.code = MT_RLS_OK;
}

static void tear_down(void)
{
	mt_rls_grants_free(g);
}

static enum mt_rls_grant take(const struct mt_rls_keys *keys, uint64_t now)
{
	uint32_t which = 99;
	enum mt_rls_grant got = mt_rls_grants_take(g, keys, now, &which);

	CU_ASSERT((got == MT_RLS_USED_UP) == (which != 99));
	return got;
}

static uint32_t used_up(const struct mt_rls_keys *keys, uint64_t now)
{
	uint32_t which = 99;

	CU_ASSERT_EQUAL(mt_rls_grants_take(g, keys, now, &which), MT_RLS_USED_UP);
	return which;
}

/* How many calls pass until one does not. */
static uint32_t pass(const struct mt_rls_keys *keys, uint64_t now)
{
	uint32_t n = 0;

	while (n < 10000 && take(keys, now) == MT_RLS_GRANTED)
		n++;
	return n;
}

static struct mt_rls_text text(const char *id)
{
	struct mt_rls_text t = {(uint16_t)answer.used, (uint16_t)strlen(id)};

	memcpy(answer.bytes + answer.used, id, t.len + 1u);
	answer.used += t.len + 1u;
	return t;
}

static struct mt_rls_quota quota(uint32_t requests, uint64_t lasts, const char *id)
{
	return (struct mt_rls_quota){.requests = requests, .lasts = lasts, .id = text(id)};
}

static void grant(uint32_t i, struct mt_rls_quota q)
{
	answer.status[i].code = MT_RLS_OK;
	answer.status[i].quota = q;
	answer.n_statuses = MT_MAX(answer.n_statuses, i + 1);
}

/* An answer to a query of `sent`. */
static void keep(const struct mt_rls_keys *keys, uint64_t sent, uint64_t now)
{
	(void)mt_rls_grants_ask(g, keys, sent, &asked);
	mt_rls_grants_keep(g, keys, &asked, &answer, now);
}

/* ---- quotas ---------------------------------------------------------------------------------- */

/* Used up it refuses until its end; then a query is needed. */
static void test_quota(void)
{
	set_up(0);
	CU_ASSERT_EQUAL(take(&one, NOW), MT_RLS_ASK);
	grant(0, quota(5, MT_SEC, ""));
	keep(&one, NOW, NOW + 1);
	CU_ASSERT_EQUAL(pass(&one, NOW + 1), 4);
	CU_ASSERT_EQUAL(used_up(&one, NOW + MT_SEC - MT_MSEC), 0);
	CU_ASSERT_EQUAL(take(&other, NOW + 1), MT_RLS_ASK);
	CU_ASSERT_EQUAL(take(&one, NOW + MT_SEC + 1), MT_RLS_ASK);
	keep(&one, NOW + 2 * MT_SEC, NOW + 2 * MT_SEC);
	CU_ASSERT_EQUAL(take(&one, NOW + 3 * MT_SEC), MT_RLS_ASK);
	tear_down();
}

/* Refused descriptors, and answers without statuses, grant nothing. */
static void test_no_quota(void)
{
	set_up(0);
	grant(0, quota(5, MT_SEC, ""));
	answer.status[0].code = MT_RLS_OVER_LIMIT;
	keep(&one, NOW, NOW);
	CU_ASSERT_EQUAL(take(&one, NOW), MT_RLS_ASK);
	answer.status[0].code = MT_RLS_OK;
	answer.n_statuses = 0;
	keep(&one, NOW, NOW);
	CU_ASSERT_EQUAL(take(&one, NOW), MT_RLS_ASK);
	answer.code = MT_RLS_OVER_LIMIT;
	answer.quota = quota(5, MT_SEC, "");
	keep(&one, NOW, NOW);
	CU_ASSERT_EQUAL(take(&one, NOW), MT_RLS_ASK);
	tear_down();
}

/* A call needs a hit of each descriptor, and takes none if one has no quota. */
static void test_each(void)
{
	set_up(0);
	grant(0, quota(5, MT_SEC, ""));
	keep(&one, NOW, NOW);
	CU_ASSERT_EQUAL(take(&two, NOW), MT_RLS_ASK);
	/* The answer has a quota for the second alone: the call takes a hit of the first. */
	answer.n_statuses = 0;
	grant(1, quota(3, MT_SEC, ""));
	answer.status[0].quota.requests = 0;
	keep(&two, NOW + 1, NOW + 2);
	CU_ASSERT_EQUAL(pass(&two, NOW + 2), 2);
	CU_ASSERT_EQUAL(used_up(&two, NOW + 2), 1);
	CU_ASSERT_EQUAL(pass(&one, NOW + 2), 1);
	CU_ASSERT_EQUAL(used_up(&one, NOW + 2), 0);
	tear_down();
}

/* A quota of the whole set is for the same set only, and used_up() has no descriptor. */
static void test_set(void)
{
	set_up(0);
	answer.quota = quota(3, MT_SEC, "");
	keep(&two, NOW, NOW);
	CU_ASSERT_EQUAL(take(&one, NOW), MT_RLS_ASK);
	CU_ASSERT_EQUAL(pass(&two, NOW), 2);
	CU_ASSERT_EQUAL(used_up(&two, NOW), 2);
	tear_down();
}

/* Descriptors share a quota by its id; a call with two of them takes one hit. */
static void test_ids(void)
{
	static const struct mt_rls_keys far = {.of = {9}, .n = 1, .set = 90, .seed = 2};

	set_up(0);
	grant(0, quota(6, MT_SEC, "shared"));
	grant(1, answer.status[0].quota);
	keep(&two, NOW, NOW + 1);
	/* Both are one grant, so the second takes a hit of the first: 6 - 2. */
	CU_ASSERT_EQUAL(take(&two, NOW + 1), MT_RLS_GRANTED);
	CU_ASSERT_EQUAL(take(&one, NOW + 1), MT_RLS_GRANTED);
	CU_ASSERT_EQUAL(take(&other, NOW + 1), MT_RLS_GRANTED);
	CU_ASSERT_EQUAL(pass(&two, NOW + 1), 1);
	CU_ASSERT_EQUAL(used_up(&other, NOW + 1), 0);
	/* Another domain's id is another one. */
	keep(&far, NOW, NOW + 1);
	CU_ASSERT_EQUAL(pass(&far, NOW + 1), 5);
	/* A newer grant replaces it for both. */
	answer.used = 0;
	answer.n_statuses = 0;
	grant(0, quota(3, MT_SEC, "shared"));
	keep(&one, NOW + 2, NOW + 3);
	CU_ASSERT_EQUAL(take(&other, NOW + 3), MT_RLS_GRANTED);
	CU_ASSERT_EQUAL(pass(&one, NOW + 3), 1);
	tear_down();
}

/* Answers to simultaneous queries are one grant, of which each call has a hit. */
static void test_simultaneous(void)
{
	set_up(0);
	grant(0, quota(5, MT_SEC, ""));
	for (uint32_t i = 0; i < 3; i++)
		keep(&one, NOW, NOW + 1 + i);
	CU_ASSERT_EQUAL(pass(&one, NOW + 4), 2);
	for (uint32_t i = 0; i < 3; i++)
		keep(&one, NOW, NOW + 5);
	CU_ASSERT_EQUAL(used_up(&one, NOW + 5), 0);
	/* A later query gets a new one. */
	keep(&one, NOW + 6, NOW + 7);
	CU_ASSERT_EQUAL(pass(&one, NOW + 7), 4);
	tear_down();
}

/* So many keys that they do not have places: their calls need queries, and no other's hits are lost. */
static void test_full(void)
{
	uint32_t n = 0;

	set_up(0);
	grant(0, quota(2, MT_SEC, ""));
	for (uint64_t i = 0; i < 100; i++) {
		const struct mt_rls_keys keys = {.of = {7 + (i << 32)}, .n = 1, .set = 1};

		keep(&keys, NOW, NOW);
	}
	for (uint64_t i = 0; i < 100; i++) {
		const struct mt_rls_keys keys = {.of = {7 + (i << 32)}, .n = 1, .set = 1};

		n += pass(&keys, NOW);
	}
	CU_ASSERT_EQUAL(n, 4);
	CU_ASSERT_EQUAL(take(&one, NOW), MT_RLS_USED_UP);
	/* They give way after their end. */
	keep(&(struct mt_rls_keys){.of = {7 + (200ull << 32)}, .n = 1, .set = 1},
		NOW + MT_SEC + MT_MSEC, NOW + MT_SEC + MT_MSEC);
	CU_ASSERT_EQUAL(pass(&(struct mt_rls_keys){.of = {7 + (200ull << 32)}, .n = 1, .set = 1},
				NOW + MT_SEC + MT_MSEC),
		1);
	tear_down();
}

/* The largest numbers: fewer hits than granted, and a day. */
static void test_largest(void)
{
	set_up(0);
	grant(0, quota(UINT32_MAX, UINT64_MAX - NOW, ""));
	keep(&one, NOW, NOW);
	CU_ASSERT_EQUAL(take(&one, NOW + 86400 * MT_SEC - MT_MSEC), MT_RLS_GRANTED);
	CU_ASSERT_EQUAL(take(&one, NOW + 86400 * MT_SEC), MT_RLS_ASK);
	tear_down();
}

/* A quota that ends before it is kept has no calls, and leaves its entry to others. */
static void test_shortest(void)
{
	set_up(0);
	for (uint64_t i = 0; i < 100; i++) {
		const struct mt_rls_keys keys = {.of = {7 + (i << 32)}, .n = 1, .set = 1};

		answer.n_statuses = 0;
		grant(0, quota(5, 1, ""));
		keep(&keys, NOW, NOW);
		CU_ASSERT_EQUAL(take(&keys, NOW), MT_RLS_ASK);
		answer.used = 0;
	}
	grant(0, quota(5, MT_SEC, ""));
	keep(&one, NOW, NOW);
	CU_ASSERT_EQUAL(pass(&one, NOW), 4);
	tear_down();
}

/* ---- leases ---------------------------------------------------------------------------------- */

/* A service with a window, which counts hits as envoyproxy/ratelimit does. */
static struct {
	uint64_t count, limit, until;
} window;

/* Queries at `now`; returns true if the service lets the call pass. */
static bool query(const struct mt_rls_keys *keys, uint64_t now)
{
	bool leases = mt_rls_grants_ask(g, keys, now, &asked), passes = true;

	CU_ASSERT(leases || asked.hits[0] == 1);
	answer.n_statuses = keys->n;
	window.count += asked.hits[0];
	for (uint32_t i = 0; i < keys->n; i++) {
		struct mt_rls_status *s = &answer.status[i];

		passes = window.count <= window.limit;
		*s = (struct mt_rls_status){.code = passes ? MT_RLS_OK : MT_RLS_OVER_LIMIT,
			.has_reset = true,
			.reset = (window.until - now + MT_SEC - 1) / MT_SEC * MT_SEC,
			.remaining = passes ? (uint32_t)(window.limit - window.count) : 0};
	}
	answer.code = passes ? MT_RLS_OK : MT_RLS_OVER_LIMIT;
	mt_rls_grants_keep(g, keys, &asked, &answer, now);
	return passes;
}

static void open_window(uint64_t limit, uint64_t until)
{
	window.count = 0;
	window.limit = limit;
	window.until = until;
}

/* Ten hits a query after the first: of 1,000 calls 101 are queried about, and none is too many. */
static void test_lease(void)
{
	uint32_t passed = 0, queries = 0;

	set_up(10);
	open_window(1000, NOW + 3600 * MT_SEC);
	for (uint32_t i = 0; i < 1500; i++) {
		if (take(&one, NOW) == MT_RLS_GRANTED) {
			passed++;
			continue;
		}
		queries++;
		passed += query(&one, NOW);
	}
	CU_ASSERT_EQUAL(passed, 1000);
	CU_ASSERT_EQUAL(queries, 1 + 100 + 500);
	CU_ASSERT_EQUAL(window.count, 1500);
	tear_down();
}

/* Hits that are left over end a second before the window; limits by the second have no leases. */
static void test_windows(void)
{
	set_up(10);
	open_window(1000, NOW + 5 * MT_SEC);
	CU_ASSERT(query(&one, NOW) && query(&one, NOW));
	CU_ASSERT_EQUAL(window.count, 11);
	CU_ASSERT_EQUAL(take(&one, NOW + 4 * MT_SEC - MT_MSEC), MT_RLS_GRANTED);
	CU_ASSERT_EQUAL(take(&one, NOW + 4 * MT_SEC), MT_RLS_ASK);
	for (uint32_t i = 0; i < 5; i++)
		CU_ASSERT(query(&one, NOW + 4 * MT_SEC));
	CU_ASSERT_EQUAL(window.count, 16);
	tear_down();

	set_up(10);
	open_window(1000, NOW + MT_SEC);
	for (uint32_t i = 0; i < 5; i++)
		CU_ASSERT(query(&one, NOW));
	CU_ASSERT_EQUAL(window.count, 5);
	tear_down();
}

/* One query leases; others at the same time count one hit each. */
static void test_one_leases(void)
{
	struct mt_rls_asked first, second;

	set_up(10);
	open_window(1000, NOW + 60 * MT_SEC);
	CU_ASSERT(query(&one, NOW));
	CU_ASSERT(mt_rls_grants_ask(g, &one, NOW, &first));
	CU_ASSERT(!mt_rls_grants_ask(g, &one, NOW, &second));
	CU_ASSERT(first.hits[0] == 10 && second.hits[0] == 1);
	mt_rls_grants_keep(g, &one, &second, &answer, NOW);
	CU_ASSERT_EQUAL(take(&one, NOW), MT_RLS_ASK);
	mt_rls_grants_keep(g, &one, &first, &answer, NOW);
	CU_ASSERT_EQUAL(pass(&one, NOW), 9);
	tear_down();
}

/* A lease without an answer, and one that is refused, is the last one of the window. */
static void test_lost(void)
{
	for (uint32_t refused = 0; refused < 2; refused++) {
		set_up(10);
		open_window(100, NOW + 60 * MT_SEC);
		CU_ASSERT(query(&one, NOW));
		CU_ASSERT(mt_rls_grants_ask(g, &one, NOW, &asked));
		answer.status[0].code = answer.code = MT_RLS_OVER_LIMIT;
		if (refused)
			mt_rls_grants_keep(g, &one, &asked, &answer, NOW);
		for (uint32_t i = 0; i < 30; i++)
			CU_ASSERT(take(&one, NOW) == MT_RLS_ASK && query(&one, NOW));
		CU_ASSERT_EQUAL(window.count, 31);
		/* The next window has leases. */
		open_window(100, NOW + 120 * MT_SEC);
		CU_ASSERT(query(&one, NOW + 60 * MT_SEC) && query(&one, NOW + 60 * MT_SEC));
		CU_ASSERT_EQUAL(window.count, 11);
		tear_down();
	}
}

/* No more hits than remained, nor without a number of these or the end of the window. */
static void test_few_remain(void)
{
	set_up(10);
	open_window(5, NOW + 60 * MT_SEC);
	CU_ASSERT(query(&one, NOW) && query(&one, NOW));
	CU_ASSERT_EQUAL(window.count, 5);
	CU_ASSERT_EQUAL(pass(&one, NOW), 3);
	CU_ASSERT(!query(&one, NOW));
	CU_ASSERT_EQUAL(window.count, 6);
	tear_down();
	for (uint32_t i = 0; i < 2; i++) {
		set_up(10);
		answer.n_statuses = 1;
		answer.status[0] = (struct mt_rls_status){.code = MT_RLS_OK,
			.has_reset = i,
			.reset = 60 * MT_SEC,
			.remaining = i ? 0 : 50};
		keep(&one, NOW, NOW);
		CU_ASSERT(!mt_rls_grants_ask(g, &one, NOW, &asked));
		tear_down();
	}
}

/* The node's other descriptors have leases of their own; a call needs a hit of each. */
static void test_leases_of_each(void)
{
	set_up(10);
	open_window(1000, NOW + 60 * MT_SEC);
	CU_ASSERT(query(&one, NOW) && query(&one, NOW));
	CU_ASSERT_EQUAL(take(&two, NOW), MT_RLS_ASK);
	CU_ASSERT(!mt_rls_grants_ask(g, &two, NOW, &asked));
	answer.n_statuses = 2;
	answer.status[1] = answer.status[0];
	mt_rls_grants_keep(g, &two, &asked, &answer, NOW);
	CU_ASSERT(mt_rls_grants_ask(g, &two, NOW, &asked));
	CU_ASSERT(asked.hits[0] == 1 && asked.hits[1] == 10);
	mt_rls_grants_keep(g, &two, &asked, &answer, NOW);
	CU_ASSERT_EQUAL(pass(&two, NOW), 9);
	CU_ASSERT_EQUAL(pass(&one, NOW), 0);
	tear_down();
}

/* Without a limit of one descriptor there is nothing to lease of the others: its calls need queries. */
static void test_unlimited(void)
{
	set_up(10);
	answer.n_statuses = 2;
	answer.status[0] = (struct mt_rls_status){
		.code = MT_RLS_OK, .has_reset = true, .reset = 60 * MT_SEC, .remaining = 1000};
	answer.status[1] = (struct mt_rls_status){.code = MT_RLS_OK, .remaining = UINT32_MAX};
	for (uint32_t i = 0; i < 3; i++) {
		CU_ASSERT(!mt_rls_grants_ask(g, &two, NOW, &asked));
		CU_ASSERT(asked.hits[0] == 1 && asked.hits[1] == 1);
		mt_rls_grants_keep(g, &two, &asked, &answer, NOW);
	}
	/* Nor if a lease of the other one is lost. */
	answer.status[1] = answer.status[0];
	CU_ASSERT(!mt_rls_grants_ask(g, &two, NOW, &asked));
	mt_rls_grants_keep(g, &two, &asked, &answer, NOW);
	CU_ASSERT(mt_rls_grants_ask(g, &other, NOW, &asked));
	CU_ASSERT(!mt_rls_grants_ask(g, &two, NOW, &asked));
	CU_ASSERT(asked.hits[0] == 1 && asked.hits[1] == 1);
	tear_down();
}

/* A service counts each of two descriptors that are the same: so does a call with a lease. */
static void test_twice(void)
{
	set_up(10);
	open_window(1000, NOW + 60 * MT_SEC);
	CU_ASSERT(query(&one, NOW));
	CU_ASSERT(mt_rls_grants_ask(g, &twice, NOW, &asked));
	CU_ASSERT(asked.hits[0] == 10 && asked.hits[1] == 1);
	answer.n_statuses = 2;
	answer.status[1] = answer.status[0];
	mt_rls_grants_keep(g, &twice, &asked, &answer, NOW);
	CU_ASSERT_EQUAL(pass(&twice, NOW), 4);
	CU_ASSERT_EQUAL(pass(&one, NOW), 1);
	tear_down();
}

/* Hits of a window that is longer than a day: none is lost before, and a lost lease is the last one. */
static void test_long_window(void)
{
	const uint64_t day = 86400 * MT_SEC;

	set_up(10);
	open_window(1000, NOW + 31 * day);
	CU_ASSERT(query(&one, NOW) && query(&one, NOW));
	CU_ASSERT_EQUAL(pass(&one, NOW + 31 * day - 2 * MT_SEC), 9);
	CU_ASSERT(mt_rls_grants_ask(g, &one, NOW + 31 * day - 2 * MT_SEC, &asked));
	tear_down();

	set_up(10);
	open_window(1000, NOW + 366 * day);
	CU_ASSERT(query(&one, NOW));
	CU_ASSERT(mt_rls_grants_ask(g, &one, NOW, &asked));
	for (uint64_t i = 1; i < 366; i++)
		CU_ASSERT(!mt_rls_grants_ask(g, &one, NOW + i * day, &asked));
	tear_down();

	/* The longest: an entry ends nevertheless. */
	set_up(10);
	answer.n_statuses = 1;
	answer.status[0] = (struct mt_rls_status){
		.code = MT_RLS_OK, .has_reset = true, .reset = UINT64_MAX, .remaining = 50};
	keep(&one, NOW, NOW);
	CU_ASSERT(mt_rls_grants_ask(g, &one, NOW + 399 * day, &asked));
	CU_ASSERT(!mt_rls_grants_ask(g, &one, NOW + 400 * day, &asked));
	tear_down();
}

/* Two leases at a time, because the first was answered late: no hit of either is lost. */
static void test_late(void)
{
	struct mt_rls_asked first, second;
	struct mt_rls_answer late;

	set_up(10);
	open_window(1000, NOW + 3 * MT_SEC);
	CU_ASSERT(query(&one, NOW));
	CU_ASSERT(mt_rls_grants_ask(g, &one, NOW, &first));
	open_window(1000, NOW + 60 * MT_SEC);
	CU_ASSERT(query(&one, NOW + 3 * MT_SEC));
	CU_ASSERT(mt_rls_grants_ask(g, &one, NOW + 3 * MT_SEC, &second));
	late = answer;
	late.status[0].reset = 40 * MT_SEC;
	mt_rls_grants_keep(g, &one, &second, &answer, NOW + 3 * MT_SEC);
	mt_rls_grants_keep(g, &one, &first, &late, NOW + 3 * MT_SEC);
	CU_ASSERT_EQUAL(take(&one, NOW + 39 * MT_SEC - MT_MSEC), MT_RLS_GRANTED);
	CU_ASSERT_EQUAL(pass(&one, NOW + 39 * MT_SEC - MT_MSEC), 17);
	tear_down();
}

/* A used-up lease gives way to another key's, which ends at another time. */
static void test_gives_way(void)
{
	const uint64_t end = NOW + 59 * MT_SEC;

	set_up(10);
	open_window(100000, NOW + 60 * MT_SEC);
	for (uint64_t i = 0; i < 9; i++) {
		const struct mt_rls_keys keys = {.of = {7 + (i << 32)}, .n = 1, .set = 1};

		CU_ASSERT(query(&keys, NOW) && query(&keys, NOW));
		CU_ASSERT_EQUAL(take(&keys, end - MT_MSEC), i % 2 ? MT_RLS_ASK : MT_RLS_GRANTED);
		CU_ASSERT_EQUAL(pass(&keys, end - 2 * MT_MSEC), i % 2 ? 9 : 8);
	}
	tear_down();
}

/* Off, each query has one hit. */
static void test_off(void)
{
	for (uint32_t lease = 0; lease < 2; lease++) {
		set_up(lease);
		open_window(1000, NOW + 60 * MT_SEC);
		for (uint32_t i = 0; i < 5; i++)
			CU_ASSERT(take(&one, NOW) == MT_RLS_ASK && query(&one, NOW));
		CU_ASSERT_EQUAL(window.count, 5);
		tear_down();
	}
}

/* ---- workers --------------------------------------------------------------------------------- */

#define WORKERS 4
#define ROUNDS	2000
#define SIZE	8

static uint32_t granted[WORKERS], given;

/* Hits that all workers together have taken. */
static uint32_t work_together(void *(*body)(void *arg))
{
	pthread_t id[WORKERS];
	uint32_t n = 0;

	for (uint32_t i = 0; i < WORKERS; i++) {
		granted[i] = 0;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&id[i], NULL, body, &granted[i]), 0);
	}
	for (uint32_t i = 0; i < WORKERS; i++) {
		pthread_join(id[i], NULL);
		n += granted[i];
	}
	return n;
}

/* Takes hits of one of few quotas; the worker that has to ask grants another one. */
static void *work(void *arg)
{
	uint32_t *n = arg;
	struct mt_rls_asked mine;
	struct mt_rls_answer a = {.code = MT_RLS_OK, .n_statuses = 1};

	a.status[0] = (struct mt_rls_status){
		.code = MT_RLS_OK, .quota = {.requests = SIZE, .lasts = MT_MSEC}};
	for (uint64_t now = NOW; now < NOW + ROUNDS * MT_MSEC; now += MT_MSEC / 4) {
		const struct mt_rls_keys keys = {
			.of = {now / MT_MSEC % 3}, .n = 1, .set = 1ull << 40};
		uint32_t which;

		switch (mt_rls_grants_take(g, &keys, now, &which)) {
		case MT_RLS_GRANTED:
			++*n;
			break;
		case MT_RLS_ASK:
			(void)mt_rls_grants_ask(g, &keys, now, &mine);
			__atomic_fetch_add(&given, SIZE - 1, __ATOMIC_RELAXED);
			mt_rls_grants_keep(g, &keys, &mine, &a, now);
			break;
		case MT_RLS_USED_UP:
			break;
		}
	}
	return NULL;
}

/* Workers together take no more hits than were granted. */
static void test_workers(void)
{
	uint32_t n;

	set_up(0);
	given = 0;
	n = work_together(work);
	CU_ASSERT(n > 0 && n <= given);
	tear_down();
}

#define LIMIT 20000

/* Calls of two descriptors, of which the service limits the first; the others have room. */
static void *work_by_leases(void *arg)
{
	uint32_t *n = arg;

	for (uint64_t i = 0; i < LIMIT; i++) {
		const struct mt_rls_keys keys = {.of = {7, 8 + i % 3}, .n = 2, .set = 78};
		struct mt_rls_answer a = {.code = MT_RLS_OK, .n_statuses = 2};
		struct mt_rls_asked mine;
		uint32_t which, count;

		if (mt_rls_grants_take(g, &keys, NOW, &which) == MT_RLS_GRANTED) {
			++*n;
			continue;
		}
		(void)mt_rls_grants_ask(g, &keys, NOW, &mine);
		count = __atomic_add_fetch(&given, mine.hits[0], __ATOMIC_RELAXED);
		for (uint32_t k = 0; k < 2; k++)
			a.status[k] = (struct mt_rls_status){.code = MT_RLS_OK,
				.has_reset = true,
				.reset = 3600 * MT_SEC,
				.remaining = k || count > LIMIT ? UINT32_MAX : LIMIT - count};
		if (count > LIMIT)
			a.code = a.status[0].code = MT_RLS_OVER_LIMIT;
		else
			++*n;
		mt_rls_grants_keep(g, &keys, &mine, &a, NOW);
	}
	return NULL;
}

/* Workers together stay within the limit, and waste one lease of it at most. */
static void test_leases_of_workers(void)
{
	uint32_t n;

	for (uint32_t i = 0; i < 5; i++) {
		set_up(10);
		given = 0;
		n = work_together(work_by_leases);
		CU_ASSERT(n <= LIMIT && n >= LIMIT - 9);
		tear_down();
	}
}

const struct mt_test grants_tests[] = {{"quota", test_quota}, {"no_quota", test_no_quota},
	{"each", test_each}, {"set", test_set}, {"ids", test_ids},
	{"simultaneous", test_simultaneous}, {"full", test_full}, {"largest", test_largest},
	{"shortest", test_shortest}, {"lease", test_lease}, {"windows", test_windows},
	{"one_leases", test_one_leases}, {"lost", test_lost}, {"few_remain", test_few_remain},
	{"leases_of_each", test_leases_of_each}, {"unlimited", test_unlimited},
	{"twice", test_twice}, {"long_window", test_long_window}, {"late", test_late},
	{"gives_way", test_gives_way}, {"off", test_off}, {"workers", test_workers},
	{"leases_of_workers", test_leases_of_workers}, {0}};
