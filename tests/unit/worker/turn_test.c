/* SPDX-License-Identifier: Apache-2.0 */
#include "fakes.h"
#include "suites.h"
#include "../../outcomes_seen.h"

/* A port whose queues are filled by hand. */
struct test_port {
	struct mt_port port;
	struct rte_mbuf *pkts[2][64];
	uint16_t n[2];
};

struct rig {
	struct mt_clock clock;
	struct mt_pools pools;
	struct mt_steer steer;
	struct test_port port;
	struct mt_port *ports[1];
	struct mt_snapshot *current;
	struct mt_worker *w[2];
};

static uint16_t port_rx(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct test_port *t = mt_container_of(p, struct test_port, port);
	uint16_t got = MT_MIN(n, t->n[queue]);

	memcpy(pkts, t->pkts[queue], got * sizeof(*pkts));
	t->n[queue] = (uint16_t)(t->n[queue] - got);
	memmove(t->pkts[queue], t->pkts[queue] + got, t->n[queue] * sizeof(*pkts));
	return got;
}

static const struct mt_port_ops port_ops = {.rx = port_rx};

static uint32_t rig_flows; /* of lib/l4 */

static void rig_init(struct rig *r, uint16_t workers, uint16_t queues, uint32_t ring)
{
	static const struct mt_tcp_conf tcp;
	static const struct mt_proxy_conf proxy;
	static const uint8_t secret[32];

	memset(r, 0, sizeof(*r));
	fakes_reset();
	mt_clock_init(&r->clock);
	CU_ASSERT_EQUAL_FATAL(mt_pools_init(&r->pools, "w", 511, 127, MT_BUF_DATA_ROOM, 0), 0);
	CU_ASSERT_EQUAL_FATAL(mt_steer_init(&r->steer, workers, ring), 0);
	r->port.port = (struct mt_port){.ops = &port_ops, .n_rxq = queues, .n_txq = queues};
	r->ports[0] = &r->port.port;
	for (uint16_t i = 0; i < workers; i++) {
		struct mt_worker_conf c = {.index = i,
			.workers = workers,
			.ports = r->ports,
			.n_ports = 1,
			.clock = &r->clock,
			.steer = &r->steer,
			.pools = &r->pools,
			.tcp = &tcp,
			.proxy = &proxy,
			.secret = secret,
			.flows = rig_flows,
			.current = &r->current};

		r->w[i] = mt_worker_create(&c);
		CU_ASSERT_PTR_NOT_NULL_FATAL(r->w[i]);
		fakes[i].calls[0] = '\0';
	}
}

static void rig_fini(struct rig *r)
{
	for (uint16_t i = 0; i < 2 && r->w[i]; i++)
		outcomes_seen(&mt_worker_outcomes, mt_worker_stats(r->w[i])->counters);
	mt_worker_destroy(r->w[0]);
	mt_worker_destroy(r->w[1]);
	mt_steer_fini(&r->steer);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->pools.data), 0);
	mt_pools_fini(&r->pools);
}

static void arrive(struct rig *r, uint16_t queue, uint16_t len, uint32_t hash)
{
	struct rte_mbuf *m = mt_buf_data(&r->pools);

	(void)rte_pktmbuf_append(m, len);
	m->hash.rss = hash;
	r->port.pkts[queue][r->port.n[queue]++] = m;
}

static uint64_t counter(struct rig *r, uint16_t worker, enum mt_worker_outcome o)
{
	return mt_worker_stats(r->w[worker])->counters[o];
}

/* Where a call stands in what was written down; it is there once. */
static const char *once(const char *calls, const char *name)
{
	const char *found = strstr(calls, name);

	CU_ASSERT_PTR_NOT_NULL_FATAL(found);
	CU_ASSERT_PTR_NULL(strstr(found + 1, name));
	return found;
}

/* What the rooms rely on; the order is free where nothing does. */
static void check_order(const char *calls, bool packets)
{
	static const struct {
		const char *first, *then;
		bool packets;
	} relied[] = {
		/* the clock of a turn is set before anybody looks at it */
		{"net-begin ", "net-input ", true},
		{"tcp-begin ", "tcp-input ", true},
		{"proxy-begin ", "tcp-input ", true},
		{"net-begin ", "net-tick ", false},
		{"tcp-begin ", "tcp-timers ", false},
		{"proxy-begin ", "proxy-timers ", false},
		{"net-input ", "tcp-input ", true},
		/* an ACK that came in this turn disarms its timer */
		{"tcp-input ", "tcp-timers ", true},
		/* what a timer ended is told in the same turn, and what that makes lib/proxy do is in time */
		{"tcp-timers ", "tcp-deliver ", false},
		{"tcp-deliver ", "tcp-evict ", false},
		{"tcp-deliver ", "proxy-timers ", false},
		/* whatever was said in this turn leaves in it */
		{"proxy-timers ", "tcp-flush ", false},
		{"net-tick ", "net-flush ", false},
		{"tcp-flush ", "net-flush ", false},
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(relied); i++)
		if (packets || !relied[i].packets)
			CU_ASSERT_TRUE(once(calls, relied[i].first) < once(calls, relied[i].then));
}

static void a_turn_is_in_order(void)
{
	struct rig r;

	rig_init(&r, 1, 1, 64);
	arrive(&r, 0, 60, 0);
	CU_ASSERT_TRUE(mt_worker_turn(r.w[0], 1, 1) > 0);
	check_order(fakes[0].calls, true);
	fakes[0].calls[0] = '\0';
	CU_ASSERT_EQUAL(mt_worker_turn(r.w[0], 2, 2), 0);
	check_order(fakes[0].calls, false);
	CU_ASSERT_PTR_NULL(strstr(fakes[0].calls, "-input "));
	CU_ASSERT_EQUAL(counter(&r, 0, MT_WORKER_loops), 2);
	CU_ASSERT_EQUAL(counter(&r, 0, MT_WORKER_busy_loops), 1);
	rig_fini(&r);
}

/* The sum of all stages; they are looked at when there was something to do only. */
static uint64_t cycles_of(const struct mt_worker *w)
{
	const struct mt_worker_stats *st = mt_worker_stats(w);
	uint64_t sum = 0;

	for (int s = 0; s < MT_N_STAGES; s++)
		sum += st->cycles[s];
	CU_ASSERT_EQUAL(sum, st->work_cycles);
	return sum;
}

static void looking_costs_packets_nothing(void)
{
	struct rig r;
	uint64_t one;

	rig_init(&r, 1, 1, 64);
	mt_worker_turn(r.w[0], 1, 1);
	CU_ASSERT_EQUAL(cycles_of(r.w[0]), 0);
	arrive(&r, 0, 60, 0);
	mt_worker_turn(r.w[0], 2, 2);
	one = cycles_of(r.w[0]);
	CU_ASSERT(one > 0);
	for (uint64_t now = 3; now < 100; now++)
		mt_worker_turn(r.w[0], now, now);
	CU_ASSERT_EQUAL(cycles_of(r.w[0]), one);
	rig_fini(&r);
}

/* Nothing that one worker writes lies in a line that another one uses. */
static void workers_share_no_line(void)
{
	struct rig r;

	rig_init(&r, 2, 2, 64);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL((uintptr_t)r.w[i] % MT_CACHE_LINE, 0);
		CU_ASSERT_EQUAL((uintptr_t)mt_worker_stats(r.w[i]) / MT_CACHE_LINE ==
					(uintptr_t)r.w[1 - i] / MT_CACHE_LINE,
			false);
	}
	/* Pools stand in an array, one for each worker. */
	CU_ASSERT_TRUE(offsetof(struct mt_pools, apart) + MT_CACHE_LINE <= sizeof(struct mt_pools));
	rig_fini(&r);
}

/* The last turns: peers are reset some at a time, lib/proxy has no part in it, strays are answered. */
static void a_stop_resets_in_slices(void)
{
	struct rig r;

	rig_init(&r, 1, 1, 64);
	fakes[0].conns = 300;
	mt_worker_launching(r.w[0]);
	mt_worker_reset_all(r.w[0]);
	CU_ASSERT_FALSE(mt_worker_all_reset(r.w[0]));
	arrive(&r, 0, 60, 0);
	CU_ASSERT_EQUAL(mt_worker_turn(r.w[0], 1, 1), 1 + MT_WORKER_RESETS);
	CU_ASSERT_STRING_EQUAL(fakes[0].calls,
		"net-begin tcp-begin net-input tcp-input tcp-reset-all tcp-flush net-flush ");
	mt_worker_turn(r.w[0], 2, 2);
	CU_ASSERT_FALSE(mt_worker_all_reset(r.w[0]));
	CU_ASSERT_EQUAL(mt_worker_turn(r.w[0], 3, 3), 300 - 2 * MT_WORKER_RESETS);
	CU_ASSERT_TRUE(mt_worker_all_reset(r.w[0]));
	CU_ASSERT_EQUAL(counter(&r, 0, MT_WORKER_reset_at_stop), 300);
	/* a handshake that was completed behind it */
	fakes[0].conns = 1;
	CU_ASSERT_EQUAL(mt_worker_turn(r.w[0], 4, 4), 1);
	CU_ASSERT_EQUAL(fakes[0].conns, 0);
	mt_worker_not_launched(r.w[0]);
	rig_fini(&r);
}

static void rooms_end_from_above(void)
{
	struct rig r;

	rig_init(&r, 1, 1, 64);
	rig_fini(&r);
	CU_ASSERT_STRING_EQUAL(fakes[0].calls, "proxy-destroy tcp-destroy net-destroy ");
}

static void bursts_are_worked_off(void)
{
	struct rig r;

	rig_init(&r, 1, 2, 64);
	for (int i = 0; i < 40; i++)
		arrive(&r, (uint16_t)(i % 2), i % 4 ? 60 : 100, 0);
	CU_ASSERT_EQUAL(mt_worker_turn(r.w[0], 1, 1), 40);
	CU_ASSERT_EQUAL(fakes[0].tcp_input, 30);
	rig_fini(&r);
}

/* With one queue worker 0 distributes; what is not its own reaches the owner in the owner's turn. */
static void packets_reach_their_owner(void)
{
	struct rig r;
	uint32_t own = 0;

	rig_init(&r, 2, 1, 64);
	for (uint32_t i = 0; i < 32; i++) {
		arrive(&r, 0, 60, i * 7919);
		own += mt_steer_owner_of_hash(&r.steer, i * 7919) == 0;
	}
	CU_ASSERT_TRUE(own > 0 && own < 32);
	CU_ASSERT_EQUAL(mt_worker_turn(r.w[1], 1, 1), 0);
	mt_worker_turn(r.w[0], 1, 1);
	CU_ASSERT_EQUAL(fakes[0].tcp_input, own);
	CU_ASSERT_EQUAL(counter(&r, 0, MT_WORKER_handed_over), 32 - own);
	CU_ASSERT_EQUAL(mt_worker_turn(r.w[1], 1, 1), 32 - own);
	CU_ASSERT_EQUAL(fakes[1].tcp_input, 32 - own);
	CU_ASSERT_EQUAL(fakes[1].handed_input, 32 - own);
	CU_ASSERT_EQUAL(counter(&r, 1, MT_WORKER_taken_over), 32 - own);
	CU_ASSERT_EQUAL(counter(&r, 0, MT_WORKER_rss_misdelivered), 0);
	/* Worker 1 can tell whether worker 0 still polls the queue. */
	mt_worker_turn(r.w[1], 2, 2);
	CU_ASSERT_TRUE(mt_steer_is_fed(&r.steer, 1, 1));
	CU_ASSERT_FALSE(mt_steer_is_fed(&r.steer, 1, 2));
	CU_ASSERT_TRUE(mt_steer_is_fed(&r.steer, 0, 3));
	rig_fini(&r);
}

/* Forwarded packets go to their owner's lib/l4; without lib/l4 they are freed. */
static void forwarded_packets(void)
{
	struct rig r;

	rig_flows = 10;
	rig_init(&r, 2, 1, 64);
	arrive(&r, 0, FAKE_FORWARDED, 0);
	arrive(&r, 0, FAKE_FORWARDED, 1);
	arrive(&r, 0, 60, 0);
	mt_worker_turn(r.w[0], 1, 1);
	CU_ASSERT_EQUAL(fakes[0].l4_input, 1);
	CU_ASSERT(once(fakes[0].calls, "net-begin ") < once(fakes[0].calls, "l4-begin "));
	CU_ASSERT(once(fakes[0].calls, "l4-begin ") < once(fakes[0].calls, "l4-input "));
	CU_ASSERT(once(fakes[0].calls, "l4-input ") < once(fakes[0].calls, "net-flush "));
	CU_ASSERT(once(fakes[0].calls, "l4-tick ") < once(fakes[0].calls, "net-flush "));
	mt_worker_turn(r.w[1], 1, 1);
	CU_ASSERT_EQUAL(fakes[1].l4_input, 1);
	CU_ASSERT_EQUAL(fakes[1].tcp_input, 0);
	CU_ASSERT_EQUAL(counter(&r, 0, MT_WORKER_handed_over), 1);
	fakes[0].l4_next = 5;
	CU_ASSERT_EQUAL(mt_worker_next(r.w[0]), 5);
	CU_ASSERT_PTR_NOT_NULL(mt_worker_l4(r.w[0]));
	rig_fini(&r);
	rig_flows = 0;
	rig_init(&r, 1, 1, 64);
	arrive(&r, 0, FAKE_FORWARDED, 0);
	mt_worker_turn(r.w[0], 1, 1);
	CU_ASSERT_PTR_NULL(strstr(fakes[0].calls, "l4-"));
	rig_fini(&r);
}

static void queues_are_dealt(void)
{
	struct rig r;

	rig_init(&r, 2, 2, 64);
	arrive(&r, 0, 100, 0);
	arrive(&r, 1, 100, 0);
	CU_ASSERT_EQUAL(mt_worker_turn(r.w[0], 1, 1), 1);
	CU_ASSERT_EQUAL(mt_worker_turn(r.w[1], 1, 1), 1);
	rig_fini(&r);
}

/* An owner that does not turn loses packets; the worker that polls goes on. */
static void a_full_ring_drops(void)
{
	struct rig r;
	uint32_t lost, foreign = 0;

	rig_init(&r, 2, 1, 16);
	r.port.port.caps.rss = true;
	for (uint32_t i = 0; foreign < 24; i++)
		if (mt_steer_owner_of_hash(&r.steer, i) == 1) {
			arrive(&r, 0, 60, i);
			foreign++;
		}
	mt_worker_turn(r.w[0], 1, 1);
	lost = (uint32_t)counter(&r, 0, MT_WORKER_handoff_full);
	CU_ASSERT_TRUE(lost > 0);
	CU_ASSERT_EQUAL(counter(&r, 0, MT_WORKER_handed_over), 24 - lost);
	/* the device had promised to deliver to the owner */
	CU_ASSERT_EQUAL(counter(&r, 0, MT_WORKER_rss_misdelivered), 24);
	mt_worker_turn(r.w[1], 1, 1);
	CU_ASSERT_EQUAL(fakes[1].tcp_input, 24 - lost);
	rig_fini(&r);
}

static void snapshots_are_adopted_once(void)
{
	struct rig r;
	char one, two;

	rig_init(&r, 1, 1, 64);
	r.current = (struct mt_snapshot *)(void *)&one;
	mt_worker_turn(r.w[0], 1, 1);
	mt_worker_turn(r.w[0], 2, 2);
	CU_ASSERT_PTR_EQUAL(fakes[0].adopted, &one);
	CU_ASSERT_EQUAL(counter(&r, 0, MT_WORKER_snapshots), 1);
	r.current = (struct mt_snapshot *)(void *)&two;
	mt_worker_turn(r.w[0], 3, 3);
	CU_ASSERT_PTR_EQUAL(fakes[0].adopted, &two);
	CU_ASSERT_EQUAL(counter(&r, 0, MT_WORKER_snapshots), 2);
	rig_fini(&r);
}

static void memory_marks_follow_the_pool(void)
{
	struct rig r;
	struct rte_mbuf *m[400];

	rig_init(&r, 1, 1, 64);
	mt_worker_turn(r.w[0], 1, 1);
	CU_ASSERT_EQUAL(fakes[0].pressure_told, UINT32_MAX); /* full: nothing to tell */
	for (int i = 0; i < 400; i++)
		m[i] = mt_buf_data(&r.pools);
	for (int i = 0; i < MT_WORKER_MARKS_EVERY; i++)
		mt_worker_turn(r.w[0], 2, 2);
	CU_ASSERT_EQUAL(fakes[0].pressure_told, 111 * 100 / 511);
	mt_buf_free_bulk(m, 400);
	for (int i = 0; i < MT_WORKER_MARKS_EVERY; i++)
		mt_worker_turn(r.w[0], 3, 3);
	CU_ASSERT_EQUAL(fakes[0].pressure_told, 100);
	rig_fini(&r);
}

const struct mt_test turn_tests[] = {
	{"a_turn_is_in_order", a_turn_is_in_order},
	{"looking_costs_packets_nothing", looking_costs_packets_nothing},
	{"workers_share_no_line", workers_share_no_line},
	{"a_stop_resets_in_slices", a_stop_resets_in_slices},
	{"rooms_end_from_above", rooms_end_from_above},
	{"bursts_are_worked_off", bursts_are_worked_off},
	{"packets_reach_their_owner", packets_reach_their_owner},
	{"queues_are_dealt", queues_are_dealt},
	{"a_full_ring_drops", a_full_ring_drops},
	{"snapshots_are_adopted_once", snapshots_are_adopted_once},
	{"memory_marks_follow_the_pool", memory_marks_follow_the_pool},
	{"forwarded_packets", forwarded_packets},
	{0},
};
