/* SPDX-License-Identifier: Apache-2.0 */
/* Choosing with care: endpoints that warm up, too few in rotation, and how many may be aside at once. Time is virtual. */
#include "mt_rand.h"
#include "../../outcomes_seen.h"
#include "suites.h"

#define MAX_EPS 40
#define DRAWS	20000
#define S	MT_SEC

static struct mt_ep_state states[MAX_EPS];
static struct mt_endpoint eps[MAX_EPS], others[MAX_EPS];
static uint32_t outstanding[MAX_EPS], rr[4], hits[MAX_EPS];
static struct mt_lb_worker worker;
static struct mt_lb_level levels[2];
static struct mt_rand rnd;

static struct mt_cluster cluster_of(struct mt_endpoint *list, enum mt_lb lb, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		states[i].index = i;
		list[i] = (struct mt_endpoint){.port = 9090, .weight = 1, .state = &states[i]};
		mt_addr_parse("192.0.2.0", &list[i].addr);
		list[i].addr.b[15] = (uint8_t)i;
	}
	return (struct mt_cluster){.name = "c", .index = 1, .lb = lb, .eps = list, .n_eps = n};
}

static void begin(void)
{
	memset(states, 0, sizeof(states));
	memset(outstanding, 0, sizeof(outstanding));
	worker = (struct mt_lb_worker){
		.outstanding = outstanding, .rr = rr, .n_eps = MAX_EPS, .n_clusters = 4};
	mt_rand_seed(&rnd, 7);
}

/* How often each is chosen, in percent of as often as all are. */
static void draw(const struct mt_cluster *c, uint64_t now, uint64_t tried)
{
	memset(hits, 0, sizeof(hits));
	for (int i = 0; i < DRAWS; i++) {
		int e = mt_cluster_pick(c, &worker, NULL, mt_rand_u64(&rnd), now, tried);

		CU_ASSERT_FATAL(e >= 0 && (uint32_t)e < c->n_eps);
		hits[e]++;
	}
	outcomes_seen(&mt_upstream_outcomes, worker.counters);
}

static bool is_share(uint32_t i, double percent)
{
	double got = 100.0 * hits[i] / DRAWS;

	return got > percent - 1.2 && got < percent + 1.2;
}

/* ---- warm-up ---------------------------------------------------------------------------------------- */

static const enum mt_lb warm_lbs[] = {MT_LB_ROUND_ROBIN, MT_LB_LEAST_REQUEST};

/* Of four the last came at 100 s. Its part of a whole share, at each age. */
static void grows(void)
{
	static const struct {
		uint32_t aggression;
		uint64_t age;
		double part;
	} rows[] = {{100, 0, 0.1}, {100, 3, 0.1}, {100, 15, 0.25}, {100, 30, 0.5}, {100, 45, 0.75},
		{100, 60, 1}, {100, 1000, 1}, {200, 15, 0.5}, {50, 30, 0.25}};

	for (size_t k = 0; k < MT_ARRAY_LEN(warm_lbs); k++)
		for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
			const struct mt_warmup_rule rule = {60000, 1000, rows[i].aggression};
			struct mt_cluster old = cluster_of(others, warm_lbs[k], 3);
			struct mt_cluster c = cluster_of(eps, warm_lbs[k], 4);
			double share = 100 / (3 + rows[i].part);

			begin();
			CU_ASSERT_EQUAL(mt_cluster_warm(&old, &rule, NULL, 10 * S), 0);
			CU_ASSERT_EQUAL(mt_cluster_warm(&c, &rule, &old, 100 * S), 0);
			CU_ASSERT_EQUAL(mt_cluster_build(&c), 0);
			draw(&c, (100 + rows[i].age) * S, 0);
			CU_ASSERT_TRUE(is_share(0, share));
			CU_ASSERT_TRUE(is_share(3, share * rows[i].part));
			mt_cluster_release(&c);
			mt_cluster_release(&old);
		}
}

/* Weights count besides. */
static void weights_and_warmth(void)
{
	const struct mt_warmup_rule rule = {60000, 1000, 100};
	struct mt_cluster old = cluster_of(others, MT_LB_ROUND_ROBIN, 1);
	struct mt_cluster c = cluster_of(eps, MT_LB_ROUND_ROBIN, 2);

	begin();
	eps[1].weight = 4;
	CU_ASSERT_EQUAL(mt_cluster_warm(&c, &rule, &old, 100 * S), 0);
	CU_ASSERT_EQUAL(mt_cluster_build(&c), 0);
	draw(&c, 130 * S, 0);
	CU_ASSERT_TRUE(is_share(0, 100 / 3.0));
	draw(&c, 160 * S, 0);
	CU_ASSERT_TRUE(is_share(0, 20));
	mt_cluster_release(&c);
}

/* Where all are new none is preferred; where the rule is, those that were there are warm. */
static void who_is_new(void)
{
	const struct mt_warmup_rule rule = {60000, 100, 100};
	struct mt_cluster old = cluster_of(others, MT_LB_ROUND_ROBIN, 3);
	struct mt_cluster c = cluster_of(eps, MT_LB_ROUND_ROBIN, 4);

	begin();
	CU_ASSERT_EQUAL(mt_cluster_warm(&c, &rule, NULL, 100 * S), 0);
	CU_ASSERT_EQUAL(mt_cluster_build(&c), 0);
	draw(&c, 100 * S, 0);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_TRUE(is_share(i, 25));
	mt_cluster_release(&c);
	/* Without a warm-up so far. */
	CU_ASSERT_EQUAL(mt_cluster_warm(&c, &rule, &old, 100 * S), 0);
	CU_ASSERT_EQUAL(mt_cluster_build(&c), 0);
	draw(&c, 130 * S, 0);
	CU_ASSERT_TRUE(is_share(0, 100 / 3.5));
	CU_ASSERT_TRUE(is_share(3, 50 / 3.5));
	/* Back from aside at 300 s. */
	states[0].ejected_until = 300 * S;
	draw(&c, 299 * S, 0);
	CU_ASSERT_EQUAL(hits[0], 0);
	draw(&c, 330 * S, 0);
	CU_ASSERT_TRUE(is_share(0, 50 / 3.5));
	/* Who was tried, or is aside, is not chosen while it is cold either. */
	draw(&c, 330 * S, 1 << 1);
	CU_ASSERT_EQUAL(hits[1], 0);
	CU_ASSERT_TRUE(is_share(0, 50 / 2.5));
	mt_cluster_release(&c);
}

static uint32_t asked; /* how warm an endpoint is */

bool __real_mt_endpoint_warm(const struct mt_cluster *c, uint32_t i, uint64_t r, uint64_t now);
bool __wrap_mt_endpoint_warm(const struct mt_cluster *c, uint32_t i, uint64_t r, uint64_t now);

bool __wrap_mt_endpoint_warm(const struct mt_cluster *c, uint32_t i, uint64_t r, uint64_t now)
{
	asked++;
	return __real_mt_endpoint_warm(c, i, r, now);
}

/* The only warm one is aside, and of the cold ones one was not tried: a pick looks at 64 of them at most, and finds that one. */
static void work_is_bounded(void)
{
	const struct mt_warmup_rule rule = {60000, 1, 100};

	for (size_t k = 0; k < MT_ARRAY_LEN(warm_lbs); k++) {
		struct mt_cluster old = cluster_of(others, warm_lbs[k], 1);
		struct mt_cluster c = cluster_of(eps, warm_lbs[k], MAX_EPS);
		uint32_t most = 0;

		begin();
		CU_ASSERT_EQUAL(mt_cluster_warm(&old, &rule, NULL, 10 * S), 0);
		CU_ASSERT_EQUAL(mt_cluster_warm(&c, &rule, &old, 100 * S), 0);
		CU_ASSERT_EQUAL(mt_cluster_build(&c), 0);
		states[0].ejected_until = 1000 * S;
		for (int i = 0; i < 1000; i++) {
			asked = 0;
			CU_ASSERT_EQUAL(mt_cluster_pick(&c, &worker, NULL, mt_rand_u64(&rnd),
						100 * S, (1ull << (MAX_EPS - 1)) - 1),
				MAX_EPS - 1);
			most = MT_MAX(most, asked);
		}
		CU_ASSERT(most <= 64);
		mt_cluster_release(&c);
		mt_cluster_release(&old);
	}
}

/* While all are cold they are held against the warmest. */
static void all_are_cold(void)
{
	const struct mt_warmup_rule rule = {1000000, 100, 100};
	struct mt_cluster old = cluster_of(others, MT_LB_ROUND_ROBIN, 1);
	struct mt_cluster c = cluster_of(eps, MT_LB_ROUND_ROBIN, 2);

	begin();
	CU_ASSERT_EQUAL(mt_cluster_warm(&old, &rule, NULL, 100 * S), 0);
	CU_ASSERT_EQUAL(mt_cluster_warm(&c, &rule, &old, 110 * S), 0);
	CU_ASSERT_EQUAL(mt_cluster_build(&c), 0);
	draw(&c, 120 * S, 0);
	CU_ASSERT_TRUE(is_share(0, 200 / 3.0));
	mt_cluster_release(&c);
	mt_cluster_release(&old);
}

/* In levels each has its own ages. */
static void warm_levels(void)
{
	const struct mt_warmup_rule rule = {60000, 1000, 100};
	struct mt_cluster old = cluster_of(others, MT_LB_ROUND_ROBIN, 3);
	struct mt_cluster c = cluster_of(eps, MT_LB_ROUND_ROBIN, 4);

	begin();
	memset(levels, 0, sizeof(levels));
	levels[0].load = levels[1].load = 50;
	levels[1].first = 2;
	c.levels = levels;
	c.n_levels = 2;
	CU_ASSERT_EQUAL(mt_cluster_warm(&c, &rule, &old, 100 * S), 0);
	CU_ASSERT_EQUAL(mt_cluster_build(&c), 0);
	draw(&c, 130 * S, 0);
	CU_ASSERT_TRUE(is_share(0, 25));
	CU_ASSERT_TRUE(is_share(2, 100 / 3.0));
	CU_ASSERT_TRUE(is_share(3, 50 / 3.0));
	mt_cluster_release(&c);
}

/* ---- too few in rotation ------------------------------------------------------------------------------ */

static void aside(uint32_t n)
{
	for (uint32_t i = 0; i < MAX_EPS; i++)
		states[i].ejected_until = i < n ? 1000 * S : 0;
}

/* Below half of four all are used alike, whoever is aside; from half on only those in rotation. */
static void panics(void)
{
	for (enum mt_lb lb = MT_LB_ROUND_ROBIN; lb <= MT_LB_RING_HASH; lb++) {
		struct mt_cluster c = cluster_of(eps, lb, 4);
		uint32_t of_two = 0;

		begin();
		c.min_health = 50;
		c.ring_max = 65536;
		c.ring_min = 65536;
		CU_ASSERT_EQUAL(mt_cluster_build(&c), 0);
		aside(2);
		draw(&c, 10 * S, 0);
		CU_ASSERT_EQUAL(hits[0] + hits[1], 0);
		CU_ASSERT_EQUAL(worker.counters[MT_UPSTREAM_panic], 0);
		of_two = hits[3];
		aside(3);
		draw(&c, 20 * S, 0);
		CU_ASSERT_TRUE(hits[0] && hits[1] && hits[2] && hits[3] < of_two * 6 / 10);
		CU_ASSERT_EQUAL(worker.counters[MT_UPSTREAM_panic], hits[0] + hits[1] + hits[2]);
		/* Drained ones, leaving ones, and those that were tried, stay out. */
		states[0].draining = true;
		mt_ep_leaving(&states[1], 30 * S);
		draw(&c, 30 * S, 1 << 2);
		CU_ASSERT_EQUAL(hits[3], DRAWS);
		/* Without the rule: who is left has it all. */
		c.min_health = 0;
		begin();
		aside(3);
		mt_cluster_release(&c);
		CU_ASSERT_EQUAL(mt_cluster_build(&c), 0);
		draw(&c, 40 * S, 0);
		CU_ASSERT_EQUAL(hits[3], DRAWS);
		mt_cluster_release(&c);
	}
}

/* A level is not used below its threshold as long as all of them together can take the load. */
static void levels_help_out(void)
{
	struct mt_cluster c = cluster_of(eps, MT_LB_ROUND_ROBIN, 8);

	begin();
	memset(levels, 0, sizeof(levels));
	levels[0].load = 100;
	levels[1].first = 4;
	c.levels = levels;
	c.n_levels = 2;
	c.min_health = 60;
	CU_ASSERT_EQUAL(mt_cluster_build(&c), 0);
	aside(4);
	draw(&c, 10 * S, 0);
	CU_ASSERT_EQUAL(hits[0] + hits[1] + hits[2] + hits[3], 0);
	/* Of the first level a quarter is left, of the second a half: 35 and 70 percent. */
	aside(3);
	states[4].ejected_until = states[5].ejected_until = 1000 * S;
	draw(&c, 20 * S, 0);
	CU_ASSERT_EQUAL(hits[4] + hits[5], 0);
	CU_ASSERT_EQUAL(worker.counters[MT_UPSTREAM_panic], 0);
	/* A quarter of each: 70 percent. */
	states[6].ejected_until = 1000 * S;
	draw(&c, 30 * S, 0);
	for (uint32_t i = 0; i < 4; i++)
		CU_ASSERT_TRUE(is_share(i, 25));
	mt_cluster_release(&c);
}

/* ---- how many may be aside ------------------------------------------------------------------------------ */

static uint32_t fail_all(struct mt_cluster *c, uint64_t now)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_eps; i++)
		n += mt_ep_failed_by(&states[i], &c->outlier, now);
	return n;
}

/* Endpoints without a route get no calls, so they neither count nor may be ejected in place of others. */
static void unreached_do_not_count(void)
{
	struct mt_cluster c = cluster_of(eps, MT_LB_ROUND_ROBIN, 8);

	for (uint32_t i = 4; i < 8; i++)
		eps[i].drain = MT_EP_DRAIN_NO_ROUTE;
	c.skips_unreached = true;
	begin();
	c.outlier = (struct mt_outlier_rule){
		.failures = 1, .base_ms = 1000, .max_ms = 1000, .most = 50};
	CU_ASSERT_EQUAL(fail_all(&c, S), 2);
	begin();
	c.min_health = 50;
	CU_ASSERT_EQUAL(mt_cluster_build(&c), 0);
	for (uint32_t i = 4; i < 8; i++)
		states[i].draining = MT_EP_DRAIN_NO_ROUTE;
	aside(2);
	draw(&c, 10 * S, 0);
	CU_ASSERT_EQUAL(hits[0] + hits[1], 0);
	aside(3);
	draw(&c, 20 * S, 0);
	CU_ASSERT_TRUE(hits[0] && hits[1] && hits[2] && hits[3]);
	CU_ASSERT_EQUAL(hits[4] + hits[5] + hits[6] + hits[7], 0);
	mt_cluster_release(&c);
}

/* The same of levels, also if no endpoint of a level is reached. */
static void unreached_level(void)
{
	struct mt_cluster c = cluster_of(eps, MT_LB_ROUND_ROBIN, 8);

	begin();
	memset(levels, 0, sizeof(levels));
	levels[0].load = 100;
	levels[1].first = 4;
	c.levels = levels;
	c.n_levels = 2;
	c.min_health = 60;
	c.skips_unreached = true;
	for (uint32_t i = 0; i < 4; i++) {
		eps[i].drain = MT_EP_DRAIN_NO_ROUTE;
		states[i].draining = MT_EP_DRAIN_NO_ROUTE;
	}
	CU_ASSERT_EQUAL(mt_cluster_build(&c), 0);
	draw(&c, 10 * S, 0);
	CU_ASSERT_EQUAL(hits[0] + hits[1] + hits[2] + hits[3], 0);
	CU_ASSERT_EQUAL(worker.counters[MT_UPSTREAM_panic], 0);
	/* Two of four of the second level: 70 percent, and the first level can take none. */
	states[4].ejected_until = states[5].ejected_until = 1000 * S;
	draw(&c, 20 * S, 0);
	CU_ASSERT_TRUE(hits[4] + hits[5] > 0);
	CU_ASSERT_EQUAL(hits[0] + hits[1] + hits[2] + hits[3], 0);
	mt_cluster_release(&c);
}

static void most_aside(void)
{
	static const struct {
		uint32_t n, most, want;
	} rows[] = {{10, 0, 10}, {10, 100, 10}, {10, 50, 5}, {10, 10, 1}, {10, 19, 1}, {10, 20, 2},
		{3, 10, 1}, {1, 1, 1}, {4, 99, 3}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_cluster c = cluster_of(eps, MT_LB_ROUND_ROBIN, rows[i].n);

		begin();
		c.outlier = (struct mt_outlier_rule){.failures = 1,
			.base_ms = 1000,
			.max_ms = 1000,
			.most = (uint8_t)rows[i].most};
		CU_ASSERT_EQUAL(fail_all(&c, S), rows[i].want);
		CU_ASSERT_EQUAL(mt_ep_silent(&states[rows[i].n - 1], &c.outlier, S), false);
		/* Those are back, and others may be aside. */
		for (uint32_t k = 0; k < rows[i].want; k++)
			mt_ep_returned(&states[k], 2 * S);
		if (rows[i].n > rows[i].want)
			CU_ASSERT_TRUE(mt_ep_silent(&states[rows[i].n - 1], &c.outlier, 2 * S));
	}
}

const struct mt_test careful_tests[] = {
	{"grows", grows},
	{"weights_and_warmth", weights_and_warmth},
	{"who_is_new", who_is_new},
	{"work_is_bounded", work_is_bounded},
	{"all_are_cold", all_are_cold},
	{"warm_levels", warm_levels},
	{"panics", panics},
	{"levels_help_out", levels_help_out},
	{"most_aside", most_aside},
	{"unreached_do_not_count", unreached_do_not_count},
	{"unreached_level", unreached_level},
	{0},
};
