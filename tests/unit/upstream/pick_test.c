/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_rand.h"
#include "../../outcomes_seen.h"
#include "suites.h"

#include <stdio.h>

#define MAX_EPS 80
#define DRAWS	8000

static struct mt_ep_state states[MAX_EPS];
static struct mt_endpoint eps[MAX_EPS];
static uint32_t outstanding[MAX_EPS], rr[4];
static struct mt_lb_worker worker;
static struct mt_cluster cluster;
static struct mt_rand rnd;
static uint32_t hits[MAX_EPS];

static void setup(enum mt_lb lb, uint32_t n, const uint32_t *weights)
{
	memset(states, 0, sizeof(states));
	memset(&worker, 0, sizeof(worker));
	memset(outstanding, 0, sizeof(outstanding));
	memset(rr, 0, sizeof(rr));
	worker = (struct mt_lb_worker){
		.outstanding = outstanding, .rr = rr, .n_eps = MAX_EPS, .n_clusters = 4};
	for (uint32_t i = 0; i < n; i++) {
		states[i].index = i;
		eps[i] = (struct mt_endpoint){
			.port = 9090, .weight = weights ? weights[i] : 1, .state = &states[i]};
		mt_addr_parse("192.0.2.0", &eps[i].addr);
		eps[i].addr.b[15] = (uint8_t)i;
	}
	cluster = (struct mt_cluster){.name = "c", .index = 1, .lb = lb, .eps = eps, .n_eps = n};
	CU_ASSERT_EQUAL_FATAL(mt_cluster_build(&cluster), 0);
	mt_rand_seed(&rnd, lb * 100 + n);
}

static void draw(uint64_t now, uint64_t tried)
{
	memset(hits, 0, sizeof(hits));
	for (int i = 0; i < DRAWS; i++) {
		int e = mt_cluster_pick(&cluster, &worker, NULL, mt_rand_u64(&rnd), now, tried);

		CU_ASSERT_FATAL(e >= 0 && (uint32_t)e < cluster.n_eps);
		hits[e]++;
	}
}

/* Every balancer shares by weight and skips who is aside; the rest shares alike. */
static void test_shares(void)
{
	static const uint32_t weights[] = {1, 1, 2, 4};

	for (enum mt_lb lb = MT_LB_ROUND_ROBIN; lb <= MT_LB_MAGLEV; lb++) {
		setup(lb, 4, NULL);
		draw(0, 0);
		for (int i = 0; i < 4; i++)
			CU_ASSERT(hits[i] > DRAWS / 4 * 0.93 && hits[i] < DRAWS / 4 * 1.07);
		states[2].ejected_until = 10;
		draw(9, 0);
		CU_ASSERT_EQUAL(hits[2], 0);
		for (int i = 0; i < 4; i++)
			CU_ASSERT(
				i == 2 || (hits[i] > DRAWS / 3 * 0.9 && hits[i] < DRAWS / 3 * 1.1));
		mt_cluster_release(&cluster);

		setup(lb, 4, weights);
		draw(0, 0);
		for (int i = 0; i < 4; i++) {
			double want = DRAWS * weights[i] / 8.0;

			CU_ASSERT(lb == MT_LB_LEAST_REQUEST ||
				  (hits[i] > want * 0.9 && hits[i] < want * 1.1));
		}
		mt_cluster_release(&cluster);
	}
}

static void test_never_the_last(void)
{
	for (enum mt_lb lb = MT_LB_ROUND_ROBIN; lb <= MT_LB_RING_HASH; lb++) {
		setup(lb, 3, NULL);
		for (int i = 0; i < 3; i++)
			states[i].ejected_until = 100;
		draw(50, 0);
		CU_ASSERT(hits[0] && hits[1] && hits[2]);
		CU_ASSERT_EQUAL(worker.counters[MT_UPSTREAM_all_ejected], DRAWS);
		outcomes_seen(&mt_upstream_outcomes, worker.counters);
		/* Who is aside is still better than who the operator drains. */
		mt_ep_drain(&states[0], true);
		draw(50, 0);
		CU_ASSERT(hits[0] == 0 && hits[1] && hits[2]);
		/* Back in rotation when the time is over. */
		mt_ep_drain(&states[1], true);
		draw(100, 0);
		CU_ASSERT(hits[0] == 0 && hits[1] == 0 && hits[2] == DRAWS);
		mt_cluster_release(&cluster);
	}
}

static void test_tried(void)
{
	for (enum mt_lb lb = MT_LB_ROUND_ROBIN; lb <= MT_LB_RING_HASH; lb++) {
		setup(lb, 3, NULL);
		draw(0, 0x3);
		CU_ASSERT_EQUAL(hits[2], DRAWS);
		CU_ASSERT_EQUAL(mt_cluster_pick(&cluster, &worker, NULL, 1, 0, 0x7), -1);
		CU_ASSERT_EQUAL(worker.counters[MT_UPSTREAM_no_endpoint], 1);
		outcomes_seen(&mt_upstream_outcomes, worker.counters);
		mt_cluster_release(&cluster);
	}
	setup(MT_LB_ROUND_ROBIN, 0, NULL);
	CU_ASSERT_EQUAL(mt_cluster_pick(&cluster, &worker, NULL, 1, 0, 0), -1);
	/* Places from 64 on are not remembered, and are still found. */
	setup(MT_LB_RANDOM, 70, NULL);
	draw(0, UINT64_MAX);
	for (int i = 0; i < 70; i++)
		CU_ASSERT_EQUAL(hits[i] > 0, i >= 64);
	mt_cluster_release(&cluster);
}

static void test_round_robin_order(void)
{
	setup(MT_LB_ROUND_ROBIN, 3, NULL);
	for (int i = 0; i < 9; i++)
		CU_ASSERT_EQUAL(mt_cluster_pick(&cluster, &worker, NULL, 0, 0, 0), i % 3);
	mt_cluster_release(&cluster);
}

/* With load that differs, two choices avoid the loaded one except when drawn against itself. */
static void test_least_request(void)
{
	setup(MT_LB_LEAST_REQUEST, 4, NULL);
	outstanding[1] = 50;
	draw(0, 0);
	CU_ASSERT_EQUAL(hits[1], 0);
	CU_ASSERT(hits[0] > DRAWS * 0.3 && hits[2] > DRAWS * 0.3 && hits[3] > DRAWS * 0.3);
	mt_cluster_release(&cluster);
}

/* A message whose metadata is a table of key and value, in order of keys. */
static const char *fake_values[4];

static bool fake_metadata(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, const struct mt_key *key, struct mt_slice *value,
	uint8_t *scratch)
{
	const char *v = fake_values[key->id];

	if (!v)
		return false;
	/* As a codec whose value crosses buffers does. */
	memcpy(scratch, v, strlen(v));
	*value = (struct mt_slice){scratch, (uint32_t)strlen(v)};
	return true;
}

static const struct mt_codec fake_codec = {.name = "fake", .metadata.leading = fake_metadata};

static void test_hash_keys(void)
{
	struct mt_view *v = calloc(1, sizeof(*v));
	int first;

	v->codec = &fake_codec;
	setup(MT_LB_MAGLEV, 5, NULL);
	cluster.n_hash_keys = 2;
	cluster.hash_keys[0] = (struct mt_key){.name = "a", .len = 1, .id = 0};
	cluster.hash_keys[1] = (struct mt_key){.name = "b", .len = 1, .id = 1};
	fake_values[0] = "y";
	fake_values[1] = "x";
	CU_ASSERT_EQUAL(
		mt_cluster_hash(&cluster, v), mt_balance_hash("y", 1, mt_balance_hash("x", 1, 0)));
	fake_values[0] = NULL;
	CU_ASSERT_EQUAL(
		mt_cluster_hash(&cluster, v), mt_balance_hash("x", 1, mt_balance_hash("", 0, 0)));
	cluster.n_hash_keys = 1;
	fake_values[0] = "user-7";
	CU_ASSERT_EQUAL(mt_cluster_hash(&cluster, v), mt_balance_hash("user-7", 6, 0));
	first = mt_cluster_pick(&cluster, &worker, v, 1, 0, 0);
	for (uint64_t r = 2; r < 100; r++)
		CU_ASSERT_EQUAL(mt_cluster_pick(&cluster, &worker, v, r, 0, 0), first);
	cluster.hash_by = MT_LB_HASH_SOURCE;
	mt_addr_parse("198.51.100.7", &v->peer);
	CU_ASSERT_EQUAL(mt_cluster_hash(&cluster, v), mt_balance_hash("198.51.100.7", 12, 0));
	mt_addr_parse("2001:db8::7", &v->peer);
	CU_ASSERT_EQUAL(mt_cluster_hash(&cluster, v), mt_balance_hash("2001:db8::7", 11, 0));
	mt_cluster_release(&cluster);
	free(v);
}

/* What the route hashes by comes before what the cluster says; without either it is chance. */
static void test_hash_by_route(void)
{
	struct mt_key key = {.name = "b", .len = 1, .id = 1};
	struct mt_hash_by by = {.keys = &key, .n_keys = 1}, source = {.source = true}, none = {0};
	struct mt_view *v = calloc(1, sizeof(*v));

	v->codec = &fake_codec;
	fake_values[0] = "not this";
	fake_values[1] = "user-7";
	mt_addr_parse("198.51.100.7", &v->peer);
	for (enum mt_lb lb = MT_LB_MAGLEV; lb <= MT_LB_RING_HASH; lb++) {
		uint64_t of_peer = mt_balance_hash("198.51.100.7", 12, 0);
		uint64_t of_key = mt_balance_hash("user-7", 6, 0);
		bool many = false;
		int first;

		setup(lb, 5, NULL);
		cluster.n_hash_keys = 1;
		cluster.hash_keys[0] = (struct mt_key){.name = "a", .len = 1, .id = 0};
		first = mt_cluster_pick(&cluster, &worker, NULL, of_key, 0, 0);
		CU_ASSERT_EQUAL(mt_cluster_pick_by(&cluster, &worker, v, &by, 1, 0, 0), first);
		first = mt_cluster_pick(&cluster, &worker, NULL, of_peer, 0, 0);
		CU_ASSERT_EQUAL(mt_cluster_pick_by(&cluster, &worker, v, &source, 1, 0, 0), first);
		CU_ASSERT_EQUAL(mt_cluster_pick_by(&cluster, &worker, v, &none, 1, 0, 0),
			mt_cluster_pick(&cluster, &worker, v, 2, 0, 0));
		cluster.n_hash_keys = 0;
		first = mt_cluster_pick_by(&cluster, &worker, v, &none, 0, 0, 0);
		for (int i = 0; i < 50; i++)
			many |= mt_cluster_pick(&cluster, &worker, v, mt_rand_u64(&rnd), 0, 0) !=
				first;
		CU_ASSERT_TRUE(many);
		mt_cluster_release(&cluster);
	}
	free(v);
}

/* Two levels of three and two endpoints, with so much of the load. */
static void setup_levels(enum mt_lb lb, uint32_t load0, uint32_t load1)
{
	static struct mt_lb_level levels[2];

	setup(lb, 5, NULL);
	mt_cluster_release(&cluster);
	memset(levels, 0, sizeof(levels));
	levels[0].load = load0;
	levels[1].first = 3;
	levels[1].load = load1;
	cluster.levels = levels;
	cluster.n_levels = 2;
	CU_ASSERT_EQUAL_FATAL(mt_cluster_build(&cluster), 0);
}

static void check_levels(uint32_t load0)
{
	double want0 = DRAWS * load0 / 100.0, got0 = hits[0] + hits[1] + hits[2];

	CU_ASSERT(got0 >= want0 * 0.93 - 1 && got0 <= want0 * 1.07 + 1);
	CU_ASSERT_EQUAL(hits[3] + hits[4], DRAWS - (uint32_t)got0);
	for (int i = 0; i < 3; i++)
		CU_ASSERT(hits[i] >= got0 / 3 * 0.85 && hits[i] <= got0 / 3 * 1.15);
	for (int i = 3; i < 5; i++)
		CU_ASSERT(hits[i] >= (DRAWS - got0) / 2 * 0.85 &&
			  hits[i] <= (DRAWS - got0) / 2 * 1.15);
}

/* Priorities: shares of the load; another level when nobody of one is usable; then who is aside. */
static void test_levels(void)
{
	for (enum mt_lb lb = MT_LB_ROUND_ROBIN; lb <= MT_LB_MAGLEV; lb++) {
		setup_levels(lb, 100, 0);
		draw(0, 0);
		check_levels(100);
		mt_cluster_release(&cluster);

		setup_levels(lb, 70, 30);
		draw(0, 0);
		check_levels(70);
		/* One of three is aside: the level keeps its share. */
		states[1].ejected_until = 10;
		draw(9, 0);
		CU_ASSERT(hits[1] == 0 && hits[0] + hits[2] > DRAWS * 0.65);
		/* All of it. */
		states[0].ejected_until = states[2].ejected_until = 10;
		draw(9, 0);
		CU_ASSERT_EQUAL(hits[3] + hits[4], DRAWS);
		CU_ASSERT_EQUAL(worker.counters[MT_UPSTREAM_all_ejected], 0);
		/* Positions that were tried are those of the whole cluster. */
		draw(9, 1 << 3);
		CU_ASSERT_EQUAL(hits[4], DRAWS);
		draw(20, 1 << 3 | 1 << 4);
		CU_ASSERT_EQUAL(hits[3] + hits[4], 0);
		/* Everybody is aside: somebody is used all the same. */
		states[3].ejected_until = states[4].ejected_until = 10;
		draw(9, 0);
		CU_ASSERT_EQUAL(worker.counters[MT_UPSTREAM_all_ejected], DRAWS);
		outcomes_seen(&mt_upstream_outcomes, worker.counters);
		CU_ASSERT_EQUAL(mt_cluster_pick(&cluster, &worker, NULL, 1, 9, 0x1f), -1);
		mt_cluster_release(&cluster);
	}
}

/* A key's level is its hash's remainder by 100, as with the mesh's other proxies. */
static void test_level_of_hash(void)
{
	setup_levels(MT_LB_RING_HASH, 35, 65);
	for (uint64_t x = 0; x < 1000; x++) {
		int i = mt_cluster_pick(
			&cluster, &worker, NULL, x * UINT64_C(0x9e3779b97f4a7c15), 0, 0);

		CU_ASSERT_EQUAL(i < 3, x * UINT64_C(0x9e3779b97f4a7c15) % 100 < 35);
	}
	mt_cluster_release(&cluster);
}

const struct mt_test pick_tests[] = {
	{"shares by weight, without who is aside", test_shares},
	{"never the last one", test_never_the_last},
	{"tried ones are not taken again", test_tried},
	{"round robin goes in order", test_round_robin_order},
	{"least request avoids the loaded one", test_least_request},
	{"hash keys and source address", test_hash_keys},
	{"the route's hash comes first", test_hash_by_route},
	{"levels share the load", test_levels},
	{"a key's level", test_level_of_hash},
	{0},
};
