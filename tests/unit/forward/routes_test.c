/* SPDX-License-Identifier: Apache-2.0 */
/* The table of routes: lookups against a naive search, choices of next hops, limits, replacement. */
#include "mt_forward_routes.h"
#include "mt_rand.h"

#include "suites.h"

#include <errno.h>
#include <pthread.h>
#include <unistd.h>

#include <rte_malloc.h>
#include <rte_memory.h>
#include <rte_rcu_qsbr.h>

static struct mt_addr addr(const char *text)
{
	struct mt_addr a;

	CU_ASSERT_EQUAL_FATAL(mt_addr_parse(text, &a), 0);
	return a;
}

static struct mt_fwd_route route(const char *text, const struct mt_fwd_hop *hops, uint32_t n)
{
	struct mt_fwd_route r = {.n_hops = n, .hops = hops};

	CU_ASSERT_EQUAL_FATAL(mt_prefix_parse(text, &r.to, &r.prefix), 0);
	return r;
}

static struct mt_fwd_table *table(const struct mt_fwd_route *routes, uint32_t n)
{
	struct mt_fwd_table *t = NULL;
	struct mt_err e = {{0}};
	int rc = mt_fwd_table_new(routes, n, SOCKET_ID_ANY, &t, &e);

	CU_ASSERT_STRING_EQUAL(e.text, "");
	CU_ASSERT_EQUAL_FATAL(rc, 0);
	return t;
}

/* Returns the tag of the next hop; 0: no route; -1: unreachable. */
static int look(const struct mt_fwd_table *t, const char *to)
{
	struct mt_addr a = addr(to);
	const struct mt_fwd_hop *hop;
	enum mt_fwd_found found = mt_fwd_find(t, &a, 7, &hop);

	CU_ASSERT_EQUAL(found == MT_FWD_HOP, hop != NULL);
	if (found == MT_FWD_HOP)
		return (int)hop->tag;
	return found == MT_FWD_UNREACHABLE ? -1 : 0;
}

/* ---- lookups --------------------------------------------------------------------------------- */

static void test_prefixes(void)
{
	const struct mt_fwd_hop h[] = {
		{.tag = 1}, {.tag = 2}, {.tag = 3}, {.tag = 4}, {.tag = 5}, {.tag = 6}};
	const struct mt_fwd_route routes[] = {route("10.9.0.5/32", &h[0], 1),
		route("10.9.0.0/24", NULL, 0), route("10.0.0.0/8", &h[1], 1),
		route("10.9.0.77/24", &h[5], 1), route("0.0.0.0/0", &h[2], 1),
		route("0.0.0.0/0", &h[5], 1), route("fd00:1::/64", NULL, 0),
		route("fd00:1::b/128", &h[3], 1), route("::/0", &h[4], 1)};
	struct mt_fwd_table *t = table(routes, MT_ARRAY_LEN(routes));
	struct mt_fwd_info info;

	CU_ASSERT_EQUAL(look(t, "10.9.0.5"), 1);
	CU_ASSERT_EQUAL(look(t, "10.9.0.6"), -1);
	CU_ASSERT_EQUAL(look(t, "10.9.1.5"), 2);
	CU_ASSERT_EQUAL(look(t, "192.0.2.1"), 3);
	CU_ASSERT_EQUAL(look(t, "fd00:1::b"), 4);
	CU_ASSERT_EQUAL(look(t, "fd00:1::c"), -1);
	CU_ASSERT_EQUAL(look(t, "2001:db8::1"), 5);
	mt_fwd_table_info(t, &info);
	CU_ASSERT(info.routes4 == 4 && info.routes6 == 3 && info.groups4 == 1);
	/* 24 to 64 bits for the /64, which has five groups, and 64 to 128 for the address. */
	CU_ASSERT_EQUAL(info.groups6, 13);
	mt_fwd_table_free(t);
}

static void test_none(void)
{
	const struct mt_fwd_hop h = {.tag = 1};
	const struct mt_fwd_route one[] = {route("10.0.0.0/8", &h, 1)};
	const struct mt_fwd_route def[] = {route("0.0.0.0/0", &h, 1)};
	struct mt_fwd_table *t;
	struct mt_fwd_info info;

	CU_ASSERT_EQUAL(look(NULL, "10.0.0.1"), 0);
	t = table(NULL, 0);
	CU_ASSERT(look(t, "10.0.0.1") == 0 && look(t, "fd00::1") == 0);
	mt_fwd_table_free(t);
	t = table(one, 1);
	CU_ASSERT(look(t, "10.0.0.1") == 1 && look(t, "11.0.0.1") == 0 && look(t, "a00::") == 0);
	mt_fwd_table_free(t);
	t = table(def, 1);
	CU_ASSERT(look(t, "10.0.0.1") == 1 && look(t, "fd00::1") == 0);
	mt_fwd_table_info(t, &info);
	CU_ASSERT(info.routes4 == 1 && info.bytes < 4096);
	mt_fwd_table_free(t);
	mt_fwd_table_free(NULL);
}

/* Few different bytes, so that prefixes contain each other. */
static struct mt_addr some(struct mt_rand *r, bool is4)
{
	struct mt_addr a = mt_addr4(0);

	for (uint32_t i = is4 ? 12 : 0; i < 16; i++)
		a.b[i] = (uint8_t)(mt_rand_below(r, 3) * 0x55);
	if (!is4)
		a.b[0] = 0xfd;
	return a;
}

static int naive(const struct mt_fwd_route *v, uint32_t n, const struct mt_addr *a)
{
	const struct mt_fwd_route *best = NULL;

	for (uint32_t i = 0; i < n; i++)
		if (mt_prefix_contains(&v[i].to, v[i].prefix, a) &&
			(!best || v[i].prefix > best->prefix))
			best = &v[i];
	if (!best)
		return 0;
	return best->n_hops ? (int)best->hops->tag : -1;
}

static int found(const struct mt_fwd_table *t, const struct mt_addr *a)
{
	const struct mt_fwd_hop *hop;
	enum mt_fwd_found rc = mt_fwd_find(t, a, 0, &hop);

	return rc == MT_FWD_HOP ? (int)hop->tag : rc == MT_FWD_UNREACHABLE ? -1 : 0;
}

#define RANDOM 600

static void random_round(struct mt_rand *r)
{
	static struct mt_fwd_route v[RANDOM];
	static struct mt_fwd_hop hops[RANDOM];
	struct mt_fwd_table *t;
	int wrong = 0;

	for (uint32_t i = 0; i < RANDOM; i++) {
		bool is4 = i % 2;

		hops[i].tag = i + 1;
		v[i].to = some(r, is4);
		v[i].prefix = (uint8_t)mt_rand_below(r, is4 ? 33 : 129);
		v[i].hops = &hops[i];
		v[i].n_hops = mt_rand_below(r, 8) > 0;
	}
	t = table(v, RANDOM);
	for (uint32_t i = 0; i < 20000; i++) {
		struct mt_addr a = i % 4 ? some(r, i % 2) : v[i / 4 % RANDOM].to;

		wrong += found(t, &a) != naive(v, RANDOM, &a);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	mt_fwd_table_free(t);
}

static void test_random(void)
{
	struct mt_rand r;

	mt_rand_seed(&r, 5);
	for (int i = 0; i < 3; i++)
		random_round(&r);
}

/* ---- next hops ------------------------------------------------------------------------------- */

#define FLOWS 20000

static uint32_t choice(const struct mt_fwd_table *t, uint32_t flow)
{
	struct mt_addr a = addr("192.0.2.1");
	const struct mt_fwd_hop *hop;

	return mt_fwd_find(t, &a, flow, &hop) == MT_FWD_HOP ? hop->port : UINT32_MAX;
}

/* Each of eight next hops gets its part; when one leaves, only its flows move, and to all others. */
static void test_leave(void)
{
	struct mt_fwd_hop h[8], fewer[7];
	uint32_t before[8] = {0}, moved[8] = {0}, wrong = 0;
	struct mt_fwd_route all, rest;
	struct mt_fwd_table *t, *u;

	for (uint16_t i = 0; i < 8; i++)
		h[i] = (struct mt_fwd_hop){.via = mt_addr4(htobe32(0x0a000001u + i)), .port = i};
	/* The others in another order. */
	for (uint32_t i = 0; i < 7; i++)
		fewer[i] = h[7 - i - (7 - i <= 3)];
	all = route("0.0.0.0/0", h, 8);
	rest = route("0.0.0.0/0", fewer, 7);
	t = table(&all, 1);
	u = table(&rest, 1);
	for (uint32_t i = 0; i < FLOWS; i++) {
		uint32_t a = choice(t, i), b = choice(u, i);

		CU_ASSERT_FATAL(a < 8 && b < 8);
		before[a]++;
		wrong += b == 3 || (a != 3 && a != b);
		moved[b] += a == 3;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	for (uint32_t i = 0; i < 8; i++) {
		CU_ASSERT(before[i] > FLOWS / 8 * 9 / 10 && before[i] < FLOWS / 8 * 11 / 10);
		CU_ASSERT(i == 3 || moved[i] > FLOWS / 56 * 7 / 10);
	}
	mt_fwd_table_free(t);
	mt_fwd_table_free(u);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void refused(const struct mt_fwd_route *r, uint32_t n, int rc, const char *text)
{
	struct mt_fwd_table *t = NULL;
	struct mt_err e = {{0}};

	CU_ASSERT_EQUAL(mt_fwd_table_new(r, n, SOCKET_ID_ANY, &t, &e), rc);
	CU_ASSERT_PTR_NULL(t);
	CU_ASSERT_STRING_EQUAL(e.text, text);
}

static void test_bad_routes(void)
{
	struct mt_fwd_hop h[MT_FWD_HOPS_MAX + 1] = {{.via = addr("fd00::1")}};
	struct mt_fwd_route r = route("10.0.0.0/8", h, 1);

	refused(&r, 1, -EINVAL, "route to 10.0.0.0/8: next hop fd00::1 is of the other family");
	h[0].via = h[1].via = addr("10.0.0.1");
	r.n_hops = 2;
	refused(&r, 1, -EINVAL, "route to 10.0.0.0/8: next hop 10.0.0.1 is given twice");
	for (uint16_t i = 0; i <= MT_FWD_HOPS_MAX; i++)
		h[i].port = i;
	r.n_hops = MT_FWD_HOPS_MAX + 1;
	refused(&r, 1, -EINVAL, "route to 10.0.0.0/8: it has 17 next hops, and 16 are allowed");
	r.n_hops = MT_FWD_HOPS_MAX;
	mt_fwd_table_free(table(&r, 1));
	r.prefix = 33;
	refused(&r, 1, -EINVAL, "route to 10.0.0.0/33: the prefix length is too long");
}

#define MANY (4 * MT_FWD_ROUTES_MAX)

/* The largest table is built, and its last route is found; one more route is refused. */
static void test_limits(void)
{
	static struct mt_fwd_route v[MANY + 1];
	const struct mt_fwd_hop h = {.tag = 9};
	struct mt_fwd_table *t;
	struct mt_fwd_info info;
	struct mt_rand r;

	for (uint32_t i = 0; i <= MANY; i++)
		v[i] = (struct mt_fwd_route){mt_addr4(htobe32((10u << 24) + i * 256)), 32, 1, &h};
	t = table(v, MT_FWD_ROUTES_MAX);
	mt_fwd_table_info(t, &info);
	CU_ASSERT(info.routes4 == MT_FWD_ROUTES_MAX && info.groups4 == MT_FWD_ROUTES_MAX);
	CU_ASSERT(look(t, "10.63.255.0") == 9 && look(t, "10.63.255.1") == 0);
	mt_fwd_table_free(t);
	refused(v, MT_FWD_ROUTES_MAX + 1, -ENOSPC,
		"there are 16385 routes of IPv4, and 16384 are allowed");
	refused(v, MANY + 1, -ENOSPC, "there are 65537 routes, and 65536 are allowed");
	mt_rand_seed(&r, 1);
	for (uint32_t i = 0; i < 6000; i++)
		v[i] = (struct mt_fwd_route){
			{.q = {mt_rand_u64(&r) | 1, mt_rand_u64(&r)}}, 128, 1, &h};
	t = table(v, 4000);
	CU_ASSERT_EQUAL(found(t, &v[3999].to), 9);
	mt_fwd_table_free(t);
	for (uint32_t i = 0; i < 6000; i++)
		v[i].to.b[0] = (uint8_t)i, v[i].to.b[1] = (uint8_t)(i >> 8), v[i].to.b[2] = 1;
	refused(v, 6000, -ENOSPC,
		"the 6000 routes of IPv6 need 78000 groups of 256 entries, and 65536 are allowed; "
		"use shorter prefixes, or addresses that are closer together");
}

/* ---- replacement ----------------------------------------------------------------------------- */

/* The old table stays if the new one is refused or the EAL has no memory. */
static void test_kept(void)
{
	const struct mt_fwd_hop h = {.tag = 1}, other = {.via = addr("fd00::1")};
	struct mt_fwd_route good = route("10.0.0.0/8", &h, 1), bad = route("11.0.0.0/8", &other, 1);
	struct mt_fwd_route new[] = {route("12.0.0.0/8", &h, 1), route("fd00::/32", &other, 1)};
	struct mt_fwd_slot slot = {0};
	const struct mt_fwd_table *was;
	struct mt_err e = {{0}};
	void *hog;

	CU_ASSERT_EQUAL(mt_fwd_set(&slot, &good, 1, SOCKET_ID_ANY, NULL, &e), 0);
	was = mt_fwd_now(&slot);
	CU_ASSERT_EQUAL(mt_fwd_set(&slot, &bad, 1, SOCKET_ID_ANY, NULL, &e), -EINVAL);
	CU_ASSERT_PTR_EQUAL(mt_fwd_now(&slot), was);
	hog = rte_malloc(NULL, 340u << 20, 0);
	CU_ASSERT_PTR_NOT_NULL(hog);
	CU_ASSERT_EQUAL(mt_fwd_set(&slot, new, 2, SOCKET_ID_ANY, NULL, &e), -ENOMEM);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "no memory for the routing table of IPv"));
	CU_ASSERT_PTR_EQUAL(mt_fwd_now(&slot), was);
	CU_ASSERT_EQUAL(look(mt_fwd_now(&slot), "10.0.0.1"), 1);
	rte_free(hog);
	CU_ASSERT_EQUAL(mt_fwd_set(&slot, new, 2, SOCKET_ID_ANY, NULL, &e), 0);
	CU_ASSERT(look(mt_fwd_now(&slot), "12.0.0.1") == 1);
	CU_ASSERT(look(mt_fwd_now(&slot), "10.0.0.1") == 0);
	mt_fwd_table_free(mt_fwd_swap(&slot, NULL));
	CU_ASSERT_PTR_NULL(mt_fwd_now(&slot));
}

struct reader {
	pthread_t thread;
	struct mt_fwd_slot *slot;
	struct rte_rcu_qsbr *qsbr;
	_Atomic bool end;
	uint32_t wrong, seen;
};

/* Both prefixes of one table have the same tag. */
static void *read_all(void *arg)
{
	struct reader *s = arg;
	struct mt_addr a = mt_addr4(htobe32(0x0a000001)), b = mt_addr4(htobe32(0x0b000001));

	rte_rcu_qsbr_thread_register(s->qsbr, 0);
	rte_rcu_qsbr_thread_online(s->qsbr, 0);
	while (!atomic_load(&s->end)) {
		const struct mt_fwd_table *t = mt_fwd_now(s->slot);
		int tag = found(t, &a);

		s->wrong += tag <= 0 || found(t, &b) != tag;
		s->seen++;
		rte_rcu_qsbr_quiescent(s->qsbr, 0);
	}
	rte_rcu_qsbr_thread_offline(s->qsbr, 0);
	rte_rcu_qsbr_thread_unregister(s->qsbr, 0);
	return NULL;
}

/* The table changes while a worker looks up; a sanitizer finds uses of the freed one. */
static void test_threads(void)
{
	struct rte_rcu_qsbr *qsbr = aligned_alloc(64, rte_rcu_qsbr_get_memsize(1));
	struct mt_fwd_hop h = {.tag = 1};
	struct mt_fwd_route v[] = {route("10.0.0.0/8", &h, 1), route("11.0.0.0/28", &h, 1)};
	struct mt_fwd_slot slot = {0};
	struct reader s = {.slot = &slot, .qsbr = qsbr};
	struct mt_err e = {{0}};

	CU_ASSERT_EQUAL_FATAL(rte_rcu_qsbr_init(qsbr, 1), 0);
	CU_ASSERT_EQUAL(mt_fwd_set(&slot, v, 2, SOCKET_ID_ANY, NULL, &e), 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&s.thread, NULL, read_all, &s), 0);
	for (uint32_t round = 2; round < 22; round++) {
		h.tag = round;
		CU_ASSERT_EQUAL(mt_fwd_set(&slot, v, 2, SOCKET_ID_ANY, qsbr, &e), 0);
	}
	usleep(1000);
	atomic_store(&s.end, true);
	pthread_join(s.thread, NULL);
	CU_ASSERT(s.wrong == 0 && s.seen > 0);
	mt_fwd_table_free(mt_fwd_swap(&slot, NULL));
	free(qsbr);
}

const struct mt_test routes_tests[] = {
	{"routes_prefixes", test_prefixes},
	{"routes_none", test_none},
	{"routes_random", test_random},
	{"routes_leave", test_leave},
	{"routes_bad", test_bad_routes},
	{"routes_limits", test_limits},
	{"routes_kept", test_kept},
	{"routes_threads", test_threads},
	{0},
};
