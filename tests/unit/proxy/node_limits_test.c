/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of the node: accounts over several workers, and a proxy that shares them with others. */
#include "mt_node_limits.h"
#include "node_limits_stepped.h"
#include "scene.h"

#include <pthread.h>

enum { CLUSTER = 7, WORKERS = 4, ROUNDS = 40000 };

static struct mt_node_limits *limits;

static struct mt_units units(uint16_t worker)
{
	return mt_units_of(limits, worker, CLUSTER, MT_NODE_CONNS);
}

/* How many of n units a worker gets. */
static uint32_t take(uint16_t worker, uint32_t n, uint32_t max)
{
	uint32_t got = 0;

	while (got < n && mt_units_take(units(worker), max))
		got++;
	return got;
}

static void give(uint16_t worker, uint32_t n, uint32_t max)
{
	struct mt_units u = units(worker);

	while (n--)
		mt_units_set(u, mt_units_own(u)->used - 1, max);
}

static void begin(uint16_t workers)
{
	limits = mt_node_limits_new(workers);
	CU_ASSERT_PTR_NOT_NULL_FATAL(limits);
}

/* All units are there again, for any worker. */
static void end(uint16_t workers, uint32_t max)
{
	for (uint16_t w = 0; w < workers; w++) {
		CU_ASSERT_EQUAL(mt_units_own(units(w))->used, 0);
		CU_ASSERT_EQUAL(take(w, max + 1, max), max);
		give(w, max, max);
	}
	mt_node_limits_free(limits);
}

/* ---- accounts ------------------------------------------------------------------------------ */

/* One unit more than the limit is refused, whichever workers have the others. */
static void test_exact(void)
{
	static const uint32_t most[] = {1, 2, 3, 31, 64, 1000};

	for (size_t i = 0; i < MT_ARRAY_LEN(most); i++) {
		uint32_t max = most[i], of_first = max / 2;

		begin(2);
		CU_ASSERT_EQUAL(take(0, of_first, max), of_first);
		CU_ASSERT_EQUAL(take(1, max, max), max - of_first);
		CU_ASSERT_EQUAL(take(0, 1, max), 0);
		give(1, 1, max);
		CU_ASSERT_EQUAL(take(0, 2, max), 1);
		give(0, of_first + 1, max);
		give(1, max - of_first - 1, max);
		end(2, max);
	}
}

/* Small limits have no units that a worker keeps; of large ones it keeps few. */
static void test_kept(void)
{
	begin(2);
	CU_ASSERT_EQUAL(take(0, 10, 15), 10);
	give(0, 10, 15);
	CU_ASSERT_EQUAL(mt_units_own(units(0))->kept, 0);
	CU_ASSERT_EQUAL(take(0, 100, 160), 100);
	give(0, 100, 160);
	CU_ASSERT_EQUAL(mt_units_own(units(0))->kept, 10);
	/* They are the first that it takes, and others get them if there are no others. */
	CU_ASSERT_EQUAL(take(0, 4, 160), 4);
	CU_ASSERT_EQUAL(mt_units_own(units(0))->kept, 6);
	CU_ASSERT_EQUAL(take(1, 150, 160), 150);
	CU_ASSERT_TRUE(mt_units_left(units(1), 160));
	CU_ASSERT_EQUAL(take(1, 200, 160), 6);
	CU_ASSERT_FALSE(mt_units_left(units(1), 160));
	CU_ASSERT_EQUAL(mt_units_own(units(0))->kept, 0);
	/* At the limit nothing is kept. */
	give(0, 1, 160);
	CU_ASSERT_EQUAL(mt_units_own(units(0))->kept, 0);
	give(1, 156, 160);
	give(0, 3, 160);
	end(2, 160);
}

/* Units beyond the limit, as of a connection without which calls would wait for ever. */
static void test_forced(void)
{
	begin(2);
	CU_ASSERT_EQUAL(take(0, 3, 3), 3);
	CU_ASSERT_FALSE(mt_units_over(units(1), 3));
	mt_units_set(units(1), 1, 3);
	CU_ASSERT_TRUE(mt_units_over(units(1), 3));
	give(0, 1, 3);
	CU_ASSERT_EQUAL(take(0, 1, 3), 0);
	give(0, 1, 3);
	CU_ASSERT_EQUAL(take(0, 2, 3), 1);
	give(0, 2, 3);
	give(1, 1, 3);
	end(2, 3);
}

/* A reload changes the limit: kept units are no reason to have more. */
static void test_limit_changes(void)
{
	begin(2);
	CU_ASSERT_EQUAL(take(0, 100, 320), 100);
	give(0, 100, 320);
	CU_ASSERT_EQUAL(mt_units_own(units(0))->kept, 20);
	CU_ASSERT_EQUAL(take(1, 5, 4), 4);
	CU_ASSERT_EQUAL(take(0, 1, 4), 0);
	CU_ASSERT_EQUAL(take(0, 2, 6), 2);
	/* Nor may the worker that keeps them use them. */
	CU_ASSERT_EQUAL(take(1, 50, 320), 50);
	CU_ASSERT_EQUAL(take(0, 30, 320), 30);
	give(0, 30, 320);
	CU_ASSERT_EQUAL(mt_units_own(units(0))->kept, 20);
	CU_ASSERT_EQUAL(take(0, 1, 56), 0);
	give(1, 50, 56);
	/* Beyond a lower one none is had until enough have gone. */
	give(1, 1, 2);
	CU_ASSERT_EQUAL(take(1, 1, 2), 0);
	give(1, 3, 2);
	CU_ASSERT_EQUAL(take(1, 1, 2), 0);
	give(0, 1, 2);
	CU_ASSERT_EQUAL(take(1, 2, 2), 1);
	/* Without any nothing is counted, and what was is forgotten as it ends. */
	mt_units_set(units(0), 50, 0);
	CU_ASSERT_EQUAL(mt_units_own(units(0))->used, 1);
	mt_units_set(units(0), 0, 0);
	mt_units_set(units(1), 0, 0);
	/* What there is when there is one again counts at once. */
	mt_units_set(units(0), 50, 50);
	CU_ASSERT_EQUAL(take(1, 1, 50), 0);
	mt_units_set(units(0), 0, 50);
	end(2, 50);
}

/* Units that a worker keeps are left to others also if the limit was lowered below all of them. */
static void test_lowered_below_kept(void)
{
	begin(2);
	CU_ASSERT_EQUAL(take(0, 100, 160), 100);
	give(0, 100, 160);
	CU_ASSERT_EQUAL(mt_units_own(units(0))->kept, 10);
	CU_ASSERT_EQUAL(take(1, 20, 160), 20);
	CU_ASSERT_TRUE(mt_units_left(units(1), 25));
	CU_ASSERT_EQUAL(take(1, 10, 25), 5);
	CU_ASSERT_FALSE(mt_units_left(units(1), 25));
	give(1, 25, 25);
	end(2, 25);
}

/* Limits and clusters have accounts of their own. */
static void test_apart(void)
{
	begin(1);
	CU_ASSERT_EQUAL(take(0, 2, 1), 1);
	CU_ASSERT_TRUE(mt_units_take(mt_units_of(limits, 0, CLUSTER, MT_NODE_PENDING), 1));
	CU_ASSERT_TRUE(mt_units_take(mt_units_of(limits, 0, CLUSTER + 1, MT_NODE_CONNS), 1));
	CU_ASSERT_FALSE(mt_units_take(mt_units_of(limits, 0, CLUSTER + 1, MT_NODE_CONNS), 1));
	mt_node_limits_free(limits);
	mt_node_limits_free(NULL);
}

static void test_wanted(void)
{
	begin(2);
	CU_ASSERT_FALSE(mt_units_wanted(units(0), MT_SEC));
	mt_units_want(units(1), MT_SEC);
	CU_ASSERT_TRUE(mt_units_wanted(units(0), MT_SEC));
	CU_ASSERT_TRUE(mt_units_wanted(units(0), 3 * MT_SEC - 1));
	CU_ASSERT_FALSE(mt_units_wanted(units(0), 3 * MT_SEC));
	CU_ASSERT_EQUAL(mt_units_even(units(0), 1), 1);
	CU_ASSERT_EQUAL(mt_units_even(units(0), 9), 5);
	CU_ASSERT_EQUAL(mt_units_even(units(0), UINT32_MAX), 1u << 31);
	end(2, 9);
}

/* ---- threads ------------------------------------------------------------------------------- */

struct user {
	pthread_t thread;
	uint16_t worker;
	struct mt_rand rnd;
	uint64_t got, refused;
};

static struct user users[WORKERS];
static pthread_barrier_t barrier;
static uint32_t node_max, in_use, highest;
static bool asks_first; /* threads take a unit only if fewer are in use for sure */

/* Counts a unit that is in use, or about to be. False: asks_first, and the limit is reached. */
static bool uses_one(void)
{
	uint32_t n = __atomic_load_n(&in_use, __ATOMIC_SEQ_CST);

	do {
		if (asks_first && n == node_max)
			return false;
	} while (!__atomic_compare_exchange_n(
		&in_use, &n, n + 1, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
	n++;
	while (n > __atomic_load_n(&highest, __ATOMIC_RELAXED))
		__atomic_store_n(&highest, n, __ATOMIC_RELAXED);
	return true;
}

static void uses_less(uint32_t n)
{
	__atomic_sub_fetch(&in_use, n, __ATOMIC_SEQ_CST);
}

/* If it asks first it counts longer than it has the unit, otherwise shorter. */
static void take_one(struct user *me, struct mt_units u)
{
	if (asks_first && !uses_one())
		return;
	if (mt_units_take(u, node_max)) {
		me->got++;
		if (!asks_first)
			uses_one();
		return;
	}
	me->refused++;
	if (asks_first)
		uses_less(1);
}

static void give_some(struct mt_units u, uint32_t n)
{
	if (!asks_first)
		uses_less(n);
	mt_units_set(u, mt_units_own(u)->used - n, node_max);
	if (asks_first)
		uses_less(n);
}

/*
 * Takes one by one and returns several at once, so that units are kept, and most are in use all the
 * same.
 */
static void *use(void *arg)
{
	struct user *me = arg;
	struct mt_units u = units(me->worker);

	node_limits_steps = &me->rnd;
	pthread_barrier_wait(&barrier);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		if (mt_rand_below(&me->rnd, 8))
			take_one(me, u);
		else if (mt_units_own(u)->used)
			give_some(
				u, 1 + mt_rand_below(&me->rnd, MT_MIN(mt_units_own(u)->used, 8u)));
	}
	give_some(u, mt_units_own(u)->used);
	return NULL;
}

static uint64_t refused_of(uint32_t max, bool ask)
{
	uint64_t refused = 0, got = 0;

	begin(WORKERS);
	node_max = max;
	asks_first = ask;
	in_use = highest = 0;
	pthread_barrier_init(&barrier, NULL, WORKERS);
	for (uint16_t w = 0; w < WORKERS; w++) {
		users[w] = (struct user){.worker = w};
		mt_rand_seed(&users[w].rnd, w);
		CU_ASSERT_EQUAL_FATAL(pthread_create(&users[w].thread, NULL, use, &users[w]), 0);
	}
	for (uint16_t w = 0; w < WORKERS; w++) {
		pthread_join(users[w].thread, NULL);
		refused += users[w].refused;
		got += users[w].got;
	}
	pthread_barrier_destroy(&barrier);
	CU_ASSERT(got > 0);
	CU_ASSERT(highest <= max);
	CU_ASSERT_EQUAL(in_use, 0);
	end(WORKERS, max);
	return refused;
}

static void test_never_refused(void)
{
	static const uint32_t most[] = {1, 3, 32, 96, 256};

	for (size_t i = 0; i < MT_ARRAY_LEN(most); i++)
		CU_ASSERT_EQUAL(refused_of(most[i], true), 0);
}

static void test_never_more(void)
{
	static const uint32_t most[] = {1, 3, 32, 64};

	for (size_t i = 0; i < MT_ARRAY_LEN(most); i++)
		CU_ASSERT(refused_of(most[i], false) > 0);
}

/* ---- a proxy with other workers ----------------------------------------------------------- */

static uint16_t scene_workers = 2;

static struct mt_units of_other(enum mt_node_limit limit)
{
	return mt_units_of(limits, 1, 0, limit);
}

static void scene_begin(uint32_t n_eps, uint32_t max_connections, uint32_t max_pending)
{
	struct mt_proxy_conf conf = {.max_exchanges = 4096};

	begin(scene_workers);
	conf.node_limits = limits;
	scene_start_with(n_eps, &conf);
	lab.snap->clusters[0].max_connections = max_connections;
	lab.snap->clusters[0].max_pending = max_pending;
}

static void scene_end(void)
{
	for (enum mt_node_limit limit = 0; limit < MT_NODE_LIMITS; limit++)
		mt_units_set(of_other(limit), 0, 0);
	scene_stop();
	mt_node_limits_free(limits);
}

static bool joined(struct fake_conn *c)
{
	lab_advance(MT_MSEC);
	return c && !c->aborted;
}

static void test_streams(void)
{
	struct fake_conn *c[2];

	scene_begin(2, 2, 0);
	CU_ASSERT_TRUE(mt_units_take(of_other(MT_NODE_CONNS), 2));
	c[0] = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_TRUE(joined(c[0]));
	CU_ASSERT_FALSE(joined(lab_client(CONFIG_OPAQUE)));
	mt_units_set(of_other(MT_NODE_CONNS), 0, 2);
	c[1] = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_TRUE(joined(c[1]));
	CU_ASSERT_FALSE(mt_units_take(of_other(MT_NODE_CONNS), 2));
	/* A connection that cannot be opened takes none. */
	lab_close(c[1], MT_CLOSE_RESET);
	lab.refuse_open = true;
	CU_ASSERT_FALSE(joined(lab_client(CONFIG_OPAQUE)));
	lab.refuse_open = false;
	CU_ASSERT_TRUE(mt_units_take(of_other(MT_NODE_CONNS), 2));
	lab_close(c[0], MT_CLOSE_RESET);
	scene_end();
}

/* Calls of one client on serial connections. */
static struct fake_conn *calls(uint32_t n)
{
	struct fake_conn *c = lab_client(CONFIG_SERIAL);

	for (uint32_t i = 0; i < n; i++)
		scene_send_request(c, 'Q', i, 64);
	return c;
}

/* Others have all: one connection is opened nevertheless, and no second one until they have fewer. */
static void test_calls(void)
{
	struct fake_conn *c;

	scene_begin(1, 2, 0);
	scene_patient();
	mt_units_set(of_other(MT_NODE_CONNS), 2, 2);
	c = calls(3);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_EQUAL(lab.p->pending[0], 2);
	CU_ASSERT_TRUE(scene_counted(MT_PROXY_up_limited) > 0);
	mt_units_set(of_other(MT_NODE_CONNS), 0, 2);
	scene_send_request(c, 'Q', 3, 64);
	lab_advance(1);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	CU_ASSERT_FALSE(mt_units_take(of_other(MT_NODE_CONNS), 2));
	lab_close(c, MT_CLOSE_RESET);
	scene_end();
}

/* Calls that wait get connections that others have returned, although no call comes or ends. */
static void test_waiting_calls_are_woken(void)
{
	struct fake_conn *c;

	scene_begin(1, 3, 0);
	scene_patient();
	mt_units_set(of_other(MT_NODE_CONNS), 3, 3);
	c = calls(4);
	lab_connect(lab_server(0));
	lab_advance(10 * MT_SEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	/* Other workers know all the time that one is needed. */
	CU_ASSERT_TRUE(mt_units_wanted(of_other(MT_NODE_CONNS), lab.now));
	mt_units_set(of_other(MT_NODE_CONNS), 1, 3);
	lab_advance(20 * MT_MSEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	CU_ASSERT_EQUAL(lab.p->pending[0], 2);
	mt_units_set(of_other(MT_NODE_CONNS), 0, 3);
	lab_advance(20 * MT_MSEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 3);
	lab_close(c, MT_CLOSE_RESET);
	scene_end();
}

/* Another worker has all places: calls may wait up to this worker's even share. */
static void test_pending_share(void)
{
	struct fake_conn *c, *refused;

	scene_begin(1, 1, 4);
	scene_patient();
	mt_units_set(of_other(MT_NODE_PENDING), 4, 4);
	c = calls(3); /* one on the connection, two wait */
	CU_ASSERT_EQUAL(lab.p->pending[0], 2);
	CU_ASSERT_TRUE(mt_units_over(of_other(MT_NODE_PENDING), 4));
	CU_ASSERT_TRUE(mt_units_wanted(of_other(MT_NODE_PENDING), lab.now));
	refused = calls(1);
	CU_ASSERT_EQUAL(lab.p->pending[0], 2);
	CU_ASSERT_EQUAL(scene_next_sent(refused).first, MT_REPLY_OVERLOAD);
	/* The other worker has to refuse some. */
	lab_advance(50 * MT_MSEC);
	CU_ASSERT_EQUAL(lab.p->pending[0], 2);
	lab_close(c, MT_CLOSE_RESET);
	lab_close(refused, MT_CLOSE_RESET);
	scene_end();
}

/* Fewer places than workers: each worker gets one in turn, and gives it back. */
static void test_pending_turns(void)
{
	struct fake_conn *first, *c;
	uint32_t waited = 0;

	scene_workers = 3;
	scene_begin(1, 1, 2);
	scene_patient();
	mt_units_set(of_other(MT_NODE_PENDING), 2, 2);
	first = calls(1);
	for (int s = 0; s < 3; s++) {
		c = calls(1);
		waited += lab.p->pending[0];
		lab_close(c, MT_CLOSE_RESET);
		lab_advance(MT_SEC);
	}
	CU_ASSERT_EQUAL(waited, 2);
	/* Not for longer than the turn, if another worker needs a place. */
	while ((c = calls(1)) && lab.p->pending[0] == 0) {
		lab_close(c, MT_CLOSE_RESET);
		lab_advance(MT_SEC);
	}
	CU_ASSERT_EQUAL(lab.p->pending[0], 1);
	for (int s = 0; s < 3; s++) {
		mt_units_want(of_other(MT_NODE_PENDING), lab.now);
		lab_advance(MT_SEC);
	}
	CU_ASSERT_EQUAL(lab.p->pending[0], 0);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_OVERLOAD);
	lab_close(c, MT_CLOSE_RESET);
	lab_close(first, MT_CLOSE_RESET);
	scene_end();
	scene_workers = 2;
}

/* This worker has all places, and another one needs some: calls of the client with most give way. */
static void test_pending_gives_way(void)
{
	struct fake_conn *c, *other;

	scene_begin(1, 1, 6);
	scene_patient();
	c = calls(6);
	other = lab_client_from(CONFIG_SERIAL, 77);
	scene_send_request(other, 'Q', 9, 64);
	CU_ASSERT_EQUAL(lab.p->pending[0], 6);
	mt_units_set(of_other(MT_NODE_PENDING), 2, 6);
	CU_ASSERT_TRUE(mt_units_over(of_other(MT_NODE_PENDING), 6));
	/* That alone may be a limit that was lowered: what waits goes on to wait. */
	lab_advance(50 * MT_MSEC);
	CU_ASSERT_EQUAL(lab.p->pending[0], 6);
	mt_units_want(of_other(MT_NODE_PENDING), lab.now);
	lab_advance(20 * MT_MSEC);
	CU_ASSERT_EQUAL(lab.p->pending[0], 4);
	CU_ASSERT_FALSE(mt_units_over(of_other(MT_NODE_PENDING), 6));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_overload), 2);
	CU_ASSERT_EQUAL(other->sent.len, 0);
	/* No more than down to the even share. */
	mt_units_set(of_other(MT_NODE_PENDING), 6, 6);
	lab_advance(20 * MT_MSEC);
	CU_ASSERT_EQUAL(lab.p->pending[0], 3);
	CU_ASSERT_EQUAL(other->sent.len, 0);
	lab_close(c, MT_CLOSE_RESET);
	lab_close(other, MT_CLOSE_RESET);
	scene_end();
}

static void test_pending(void)
{
	struct fake_conn *c, *other, *refused;

	scene_begin(1, 1, 3);
	scene_patient();
	CU_ASSERT_TRUE(mt_units_take(of_other(MT_NODE_PENDING), 3));
	c = calls(3); /* one on the connection, two wait */
	refused = calls(1);
	CU_ASSERT_EQUAL(lab.p->pending[0], 2);
	CU_ASSERT_EQUAL(scene_next_sent(refused).first, MT_REPLY_OVERLOAD);
	CU_ASSERT_FALSE(mt_units_take(of_other(MT_NODE_PENDING), 3));
	/* One of another address takes the place of one of these. */
	other = lab_client_from(CONFIG_SERIAL, 77);
	scene_send_request(other, 'Q', 9, 64);
	CU_ASSERT_EQUAL(lab.p->pending[0], 2);
	CU_ASSERT_FALSE(mt_units_over(of_other(MT_NODE_PENDING), 3));
	mt_units_set(of_other(MT_NODE_PENDING), 0, 3);
	scene_send_request(c, 'Q', 5, 64);
	CU_ASSERT_EQUAL(lab.p->pending[0], 3);
	lab_close(c, MT_CLOSE_RESET);
	lab_close(other, MT_CLOSE_RESET);
	lab_close(refused, MT_CLOSE_RESET);
	CU_ASSERT_TRUE(mt_units_take(of_other(MT_NODE_PENDING), 1));
	scene_end();
}

static void publish(uint32_t max_connections, uint32_t max_pending)
{
	static int gen;
	struct mt_snapshot *s = config_make(++gen, lab.snap->version + 1, 1, true);

	s->clusters[0].max_connections = max_connections;
	s->clusters[0].max_pending = max_pending;
	lab.snap = s;
	mt_proxy_adopt(lab.p, s);
	for (uint32_t i = 0; i < 20; i++)
		lab_advance(MT_USEC);
}

/* A reload brings the limits: what is there counts, without another call. */
static void test_reload(void)
{
	struct fake_conn *c;

	scene_begin(1, 0, 0);
	scene_patient();
	lab.p->conf.serial_lanes = 2;
	c = calls(5);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	CU_ASSERT_EQUAL(lab.p->pending[0], 3);
	CU_ASSERT_EQUAL(mt_units_own(mt_units_of(limits, 0, 0, MT_NODE_CONNS))->used, 0);
	publish(3, 3);
	CU_ASSERT_TRUE(mt_units_take(of_other(MT_NODE_CONNS), 3));
	CU_ASSERT_FALSE(mt_units_take(of_other(MT_NODE_CONNS), 3));
	CU_ASSERT_FALSE(mt_units_take(of_other(MT_NODE_PENDING), 3));
	/* And goes when it ends, also if the limits have gone before. */
	publish(0, 0);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(mt_units_own(mt_units_of(limits, 0, 0, MT_NODE_PENDING))->used, 0);
	scene_end();
	config_free(1);
	config_free(2);
}

/* Idle connections beyond the worker's even share are closed if another worker lacks some. */
static void test_idle_ones_are_given_up(void)
{
	struct fake_conn *c;

	scene_begin(1, 6, 0);
	scene_patient();
	c = calls(6);
	CU_ASSERT_EQUAL(lab_n_servers(), 6);
	for (uint32_t i = 0; i < 6; i++)
		lab_connect(lab_server(i));
	for (uint32_t i = 0; i < 6; i++)
		scene_answer(lab_server(i), scene_next_sent(lab_server(i)).id, 1, 40);
	lab_advance(5 * MT_SEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 6);
	CU_ASSERT_FALSE(mt_units_take(of_other(MT_NODE_CONNS), 6));
	mt_units_want(of_other(MT_NODE_CONNS), lab.now);
	lab_advance(1200 * MT_MSEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 3);
	CU_ASSERT_TRUE(mt_units_take(of_other(MT_NODE_CONNS), 6));
	scene_bye(c);
	scene_end();
}

/* Also those that were idle before the worker had more than its even share. */
static void test_idle_ones_from_before(void)
{
	struct fake_conn *c, *streams[3];

	scene_begin(1, 6, 0);
	scene_patient();
	c = calls(3);
	for (uint32_t i = 0; i < 3; i++) {
		lab_connect(lab_server(i));
		scene_answer(lab_server(i), scene_next_sent(lab_server(i)).id, 1, 40);
	}
	for (uint32_t i = 0; i < 3; i++) {
		streams[i] = lab_client(CONFIG_OPAQUE);
		CU_ASSERT_TRUE(joined(streams[i]));
	}
	CU_ASSERT_EQUAL(lab.p->cluster_conns[0], 6);
	mt_units_want(of_other(MT_NODE_CONNS), lab.now);
	lab_advance(1900 * MT_MSEC);
	CU_ASSERT_EQUAL(lab.p->cluster_conns[0], 3);
	for (uint32_t i = 0; i < 3; i++)
		lab_close(streams[i], MT_CLOSE_RESET);
	scene_bye(c);
	scene_end();
}

const struct mt_test node_limits_tests[] = {
	{"exact over workers", test_exact},
	{"kept units", test_kept},
	{"units beyond the limit", test_forced},
	{"a limit that changes", test_limit_changes},
	{"a lowered limit below what is kept", test_lowered_below_kept},
	{"accounts are apart", test_apart},
	{"wanted units", test_wanted},
	{"threads are not refused while a unit is left", test_never_refused},
	{"threads use no more units than the limit", test_never_more},
	{"byte streams over workers", test_streams},
	{"connections over workers", test_calls},
	{"waiting calls are woken", test_waiting_calls_are_woken},
	{"waiting calls over workers", test_pending},
	{"waiting calls of an even share", test_pending_share},
	{"waiting calls in turn", test_pending_turns},
	{"waiting calls give way to another worker's", test_pending_gives_way},
	{"limits by a reload", test_reload},
	{"idle connections that others need", test_idle_ones_are_given_up},
	{"idle connections from before", test_idle_ones_from_before},
	{0},
};
