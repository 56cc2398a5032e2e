/* SPDX-License-Identifier: Apache-2.0 */
/* What is bounded: clients, connections to servers, queues, what is not read, time-outs. */
#include "scene.h"

#include "mt_proxy_priv.h"

/* A large reply that was read in time, and then nothing: no reason to end the connection. */
static void test_fast_reader_stays(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 1, 400000);
	CU_ASSERT_EQUAL(lab_take(c, scene_buf, SCENE_BUF), 400000);
	lab_advance(60 * MT_SEC);
	CU_ASSERT_TRUE(c->live && !c->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_slow_reader), 0);
	/* And it has none alone: its next calls go where others' do. */
	scene_send_request(c, 'Q', 2, 64);
	scene_send_request(c, 'Q', 3, 64);
	s = scene_connected_server(1);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	CU_ASSERT_EQUAL(scene_next_sent(s).first, 2);
	CU_ASSERT_EQUAL(scene_next_sent(s).first, 3);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* More calls at once than there may be connections to servers: those that find none wait for one. */
static void test_no_room_for_connections(void)
{
	enum { UPS = 4, CALLS = 8 };
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = UPS, .max_exchanges = 4096, .serial_lanes = CALLS};
	struct fake_conn *c, *s;

	scene_start_with(1, &conf);
	scene_patient();
	c = lab_client(CONFIG_SERIAL);
	for (uint32_t i = 0; i < CALLS; i++)
		scene_send_request(c, 'Q', i, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), UPS);
	CU_ASSERT(scene_counted(MT_PROXY_up_full) > 0);
	for (uint32_t i = 0; i < CALLS; i++) {
		s = scene_connected_server(i % UPS);
		scene_answer(s, scene_next_sent(s).id, 1, 40);
	}
	for (uint32_t i = 0; i < CALLS; i++)
		CU_ASSERT_EQUAL(scene_next_sent(c).id, i);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* Many answered calls wait for a slow one; the client reads all that it is given. */
static void test_slow_server_is_no_slow_reader(void)
{
	enum { CALLS = 300 };
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 512, .max_exchanges = 4096, .serial_lanes = CALLS};
	struct fake_conn *c, *s[CALLS];

	scene_start_with(1, &conf);
	scene_patient();
	c = lab_client(CONFIG_SERIAL);
	for (uint32_t i = 0; i < CALLS; i++) {
		scene_send_request(c, 'Q', i, 64);
		s[i] = scene_connected_server(i);
		scene_next_sent(s[i]);
	}
	for (uint32_t i = 1; i < CALLS; i++)
		scene_answer(s[i], i, 1, 40);
	CU_ASSERT_TRUE(lab.p->exchanges.in_use == CALLS);
	lab_advance(30 * MT_SEC);
	CU_ASSERT_TRUE_FATAL(c->live);
	scene_answer(s[0], 0, 1, 40);
	for (uint32_t i = 0; i < CALLS; i++)
		CU_ASSERT_EQUAL(scene_next_sent(c).id, i);
	lab_advance(30 * MT_SEC);
	CU_ASSERT_TRUE(c->live);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* A server that does not read pins no more than its connections' send queues; then calls wait. */
static void test_shared_server_does_not_read(void)
{
	struct fake_conn *c, *s[2];

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < 2; i++) {
		scene_send_request(c, 'Q', i, 64);
		CU_ASSERT_EQUAL_FATAL(lab_n_servers(), i + 1);
		s[i] = scene_connected_server(i);
		s[i]->s.tx_high = 1;
	}
	scene_send_request(c, 'Q', 2, 64);
	CU_ASSERT_EQUAL(lab.p->pending[0], 1);
	CU_ASSERT_EQUAL(scene_next_sent(s[1]).first, 1);
	CU_ASSERT_EQUAL(scene_next_sent(s[1]).first, 2);
	CU_ASSERT_EQUAL(lab.p->pending[0], 0);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* What waits is bounded by its memory, too. */
static void test_queue_of_long_calls(void)
{
	static const struct mt_proxy_conf conf = {.max_down = 64,
		.max_up = 64,
		.max_exchanges = 4096,
		.bulk_lanes = 1,
		.pending_bytes = 120000};
	struct fake_conn *c, *s;

	scene_start_with(1, &conf);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	for (uint64_t i = 1; i <= 3; i++)
		scene_send_request(c, 'Q', i, 70000);
	CU_ASSERT_EQUAL(lab.p->pending[0], 1);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_OVERLOAD);
	s = scene_connected_server(0);
	for (uint64_t i = 1; i <= 2; i++) {
		CU_ASSERT_EQUAL(scene_next_sent(s).id, i);
		scene_answer(s, i, 0x51, 40);
		CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x51);
	}
	scene_bye(c);
	scene_stop();
}

/* Long calls, more than a client may have connections for; its server answers none of them. */
static struct fake_conn *greedy(uint8_t host, uint32_t calls)
{
	struct fake_conn *c = lab_client_from(CONFIG_SAFE, host);

	for (uint32_t i = 0; i < calls; i++)
		scene_send_request(c, 'Q', host * 16u + i, 70000);
	return c;
}

/* Whether a long call is given a connection at once. Its reply is awaited. */
static bool served(struct fake_conn *c)
{
	uint32_t before = lab.p->pending[0];

	scene_send_request(c, 'Q', 99, 70000);
	return lab.p->pending[0] == before;
}

/* Whoever holds bulk connections, and does not let go, leaves some to others: half as one address, a third as one connection. */
static void test_bulk_connections_are_shared(void)
{
	struct fake_conn *c[6];

	scene_start(1);
	scene_patient();
	c[0] = greedy(2, 16);
	CU_ASSERT_EQUAL(lab_n_servers(), 8);
	c[1] = greedy(2, 16);
	CU_ASSERT_EQUAL(lab_n_servers(), 12);
	for (uint8_t i = 2; i < 6; i++) {
		c[i] = lab_client_from(CONFIG_SAFE, i + 1);
		CU_ASSERT_TRUE(served(c[i]));
	}
	CU_ASSERT_EQUAL(lab_n_servers(), 16);
	for (uint32_t i = 0; i < 6; i++)
		lab_close(c[i], MT_CLOSE_RESET);
	scene_stop();
}

/* A connection that is freed goes round the clients that wait, with however many calls one does. */
static void test_bulk_connections_go_round(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .bulk_lanes = 1};
	static const uint64_t order[] = {2, 3, 4, 2, 3, 2, 2, 2, 2};
	struct fake_conn *c[3], *s;

	scene_start_with(1, &conf);
	scene_patient();
	c[0] = greedy(2, 6);
	c[1] = greedy(3, 2);
	c[2] = greedy(4, 1);
	s = scene_connected_server(0);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(order); i++) {
		struct toy q = scene_next_sent(s);

		CU_ASSERT_EQUAL(q.id / 16, order[i]);
		scene_answer(s, q.id, 0x51, 40);
	}
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	for (uint32_t i = 0; i < 3; i++) {
		while (scene_next_sent(c[i]).kind)
			;
		scene_bye(c[i]);
	}
	scene_stop();
}

/* Clients that choose many time-outs neither shorten nor much lengthen those of others. */
static void test_many_timeouts(void)
{
	static struct mt_deadline taken[1000], mine[3];
	static const uint32_t policy[3] = {1000, 300000, 3600000};
	struct mt_deadlines d;

	mt_deadlines_init(&d);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(taken); i++) {
		uint32_t ms = 1 + i * 299;
		uint32_t got = mt_deadline_round(&d, ms);

		CU_ASSERT_TRUE(got >= ms && got <= ms + ms / 2 + 1);
		mt_list_init(&taken[i].node);
		mt_deadline_arm(&d, &taken[i], 0, got);
		CU_ASSERT_EQUAL(taken[i].at, got * MT_MSEC);
	}
	for (uint32_t i = 0; i < MT_ARRAY_LEN(policy); i++) {
		mt_list_init(&mine[i].node);
		mt_deadline_arm(&d, &mine[i], 0, policy[i]);
		CU_ASSERT_EQUAL(mine[i].at, policy[i] * MT_MSEC);
	}
	/* More values than lists, longest last: later than asked for is possible, earlier is not. */
	mt_deadlines_init(&d);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(taken); i++) {
		mt_list_init(&taken[i].node);
		mt_deadline_arm(&d, &taken[i], 0, 10 + i);
		CU_ASSERT_TRUE(taken[i].at >= (10 + i) * MT_MSEC);
	}
	for (uint64_t at = 0; at < 2000; at++)
		for (struct mt_deadline *e; (e = mt_deadlines_pop(&d, at * MT_MSEC));)
			CU_ASSERT_TRUE(e->at <= at * MT_MSEC);
	CU_ASSERT_EQUAL(mt_deadlines_next(&d), MT_NEVER);
}

/*
 * Time-outs that are armed together, as lists of the proxy keep them: further values share the next
 * longer one.
 */
struct model {
	uint32_t n, ms[MT_DEADLINE_LISTS];
};

static uint32_t due_by_model(struct model *m, uint32_t ms)
{
	uint32_t next = UINT32_MAX, longest = 0;

	for (uint32_t i = 0; i < m->n; i++) {
		if (m->ms[i] >= ms)
			next = MT_MIN(next, m->ms[i]);
		if (m->ms[i] > m->ms[longest])
			longest = i;
	}
	if (next == ms)
		return ms;
	if (m->n < MT_DEADLINE_LISTS)
		return m->ms[m->n++] = ms;
	return next != UINT32_MAX ? next : (m->ms[longest] = ms);
}

/*
 * Calls of 200 services with a time-out each: the first 128 values are exact, and no call expires
 * before its time.
 */
static void test_more_timeouts_than_lists(void)
{
	enum { CALLS = 200, LONGEST = 3000 };
	uint32_t due[CALLS], exact = 0, answered = 0;
	struct model m = {.n = 0};
	struct fake_conn *c;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < CALLS; i++) {
		uint32_t ms = 1000 + 10 * (i * 37 % CALLS);

		lab.snap->listeners[0].protos->services[0]->timeout_ms = ms;
		scene_send_request(c, 'Q', i, 64);
		due[i] = due_by_model(&m, ms);
		CU_ASSERT_TRUE(due[i] >= ms);
		exact += due[i] == ms;
	}
	CU_ASSERT_EQUAL(lab.p->deadlines.n, MT_DEADLINE_LISTS);
	CU_ASSERT_EQUAL(exact, MT_DEADLINE_LISTS);
	for (uint32_t at = 1; at <= LONGEST; at++) {
		struct toy t;

		lab_advance(MT_MSEC);
		while ((t = scene_next_sent(c)).kind == 'P') {
			CU_ASSERT_EQUAL(t.first, MT_REPLY_TIMEOUT);
			CU_ASSERT_FATAL(t.id < CALLS);
			CU_ASSERT_EQUAL(due[t.id], at);
			answered++;
		}
	}
	CU_ASSERT_EQUAL(answered, CALLS);
	scene_bye(c);
	scene_stop();
}

/* Clients of all kinds of listeners count; one more than may be connected is refused, until another has gone. */
static void test_clients_are_counted(void)
{
	struct fake_conn *c[3];

	scene_start_with(1, &(struct mt_proxy_conf){.max_down = 3});
	c[0] = lab_client(CONFIG_SAFE);
	c[1] = lab_client(CONFIG_SERIAL);
	c[2] = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_SAFE));
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_OPAQUE));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_accepted), 3);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_full), 2);
	lab_close(c[2], MT_CLOSE_RESET);
	c[2] = lab_client(CONFIG_SAFE);
	CU_ASSERT_PTR_NOT_NULL(c[2]);
	for (uint32_t i = 0; i < 3; i++)
		lab_close(c[i], MT_CLOSE_RESET);
	scene_stop();
}

/* What DestinationRules say of a cluster's connectionPool. */
static void pool(uint32_t max_connections, uint32_t max_pending)
{
	lab.snap->clusters[0].max_connections = max_connections;
	lab.snap->clusters[0].max_pending = max_pending;
}

/* More connections than a worker has without being told, and more calls that wait for one. */
static void test_pool_is_as_large_as_told(void)
{
	enum { CONNS = 3, WAITING = 2, CALLS = 6 };
	struct fake_conn *c[CALLS];

	scene_start_with(1, &(struct mt_proxy_conf){
				    .serial_lanes = 1, .pending_max = 1, .pending_bytes = 8192});
	pool(CONNS, WAITING);
	for (uint32_t i = 0; i < CALLS; i++) {
		c[i] = lab_client(CONFIG_SERIAL);
		scene_send_request(c[i], 'Q', i, 64);
	}
	CU_ASSERT_EQUAL(lab_n_servers(), CONNS);
	CU_ASSERT_EQUAL(lab.p->pending[0], WAITING);
	CU_ASSERT_EQUAL(scene_next_sent(c[CALLS - 1]).first, MT_REPLY_OVERLOAD);
	CU_ASSERT_TRUE(scene_counted(MT_PROXY_up_limited) == 0);
	for (uint32_t i = 0; i < CALLS; i++)
		lab_close(c[i], MT_CLOSE_RESET);
	scene_stop();
}

/* As many as one likes may wait, and still not take the buffers of everybody. */
static void test_pool_without_bound_is_bounded(void)
{
	enum { CALLS = 60, BYTES = 8192 };
	struct fake_conn *c[CALLS];

	scene_start_with(1, &(struct mt_proxy_conf){
				    .serial_lanes = 1, .pending_max = 1, .pending_bytes = BYTES});
	pool(0, UINT32_MAX);
	for (uint32_t i = 0; i < CALLS; i++) {
		c[i] = lab_client(CONFIG_SERIAL);
		scene_send_request(c[i], 'Q', i, 64);
	}
	CU_ASSERT(lab.p->pending_size[0] > BYTES && lab.p->pending_size[0] <= 8 * BYTES);
	CU_ASSERT_EQUAL(scene_next_sent(c[CALLS - 1]).first, MT_REPLY_OVERLOAD);
	for (uint32_t i = 0; i < CALLS; i++)
		lab_close(c[i], MT_CLOSE_RESET);
	scene_stop();
}

/* The limit is one of all instances of a cluster; each has one connection in any case. */
static void test_pool_of_two_endpoints(void)
{
	enum { CALLS = 8 };
	struct fake_conn *c[CALLS];

	scene_start_with(2, &(struct mt_proxy_conf){0});
	pool(3, 0);
	for (uint32_t i = 0; i < CALLS; i++) {
		c[i] = lab_client(CONFIG_SERIAL);
		scene_send_request(c[i], 'Q', i, 64);
	}
	CU_ASSERT_EQUAL(lab_n_servers(), 3);
	CU_ASSERT_EQUAL(lab.p->cluster_conns[0], 3);
	CU_ASSERT_EQUAL(lab.p->pending[0], CALLS - 3);
	CU_ASSERT_TRUE(scene_counted(MT_PROXY_up_limited) > 0);
	/* What waits is served as calls are answered. */
	for (uint32_t i = 0; i < CALLS; i++)
		for (uint32_t k = 0; k < 3; k++) {
			struct fake_conn *s = lab_server(k);
			struct toy q;

			lab_connect(s);
			q = scene_next_sent(s);
			if (q.kind)
				scene_answer(s, q.id, 0x77, 40);
		}
	for (uint32_t i = 0; i < CALLS; i++) {
		CU_ASSERT_EQUAL(scene_next_sent(c[i]).first, 0x77);
		scene_bye(c[i]);
	}
	CU_ASSERT_EQUAL(lab_n_servers(), 3);
	pool(1, 0);
	scene_stop();
	scene_start_with(2, &(struct mt_proxy_conf){0});
	pool(1, 0);
	for (uint32_t i = 0; i < 4; i++) {
		c[i] = lab_client(CONFIG_SERIAL);
		scene_send_request(c[i], 'Q', i, 64);
	}
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	for (uint32_t i = 0; i < 4; i++)
		lab_close(c[i], MT_CLOSE_RESET);
	scene_stop();
}

/* A request that came byte by byte and has to wait, for a connection or in the queue, pins what its bytes need. */
static void test_waiting_calls_are_slim(void)
{
	enum { LEN = 100 };
	struct fake_conn *c[2];
	uint32_t free;

	scene_start_with(1, &(struct mt_proxy_conf){.serial_lanes = 1});
	mt_pools_sample(&lab.pools);
	free = lab.pools.data_free;
	for (uint32_t i = 0; i < 2; i++) {
		c[i] = lab_client(CONFIG_SERIAL);
		toy_make(scene_buf, 'Q', i, "call", LEN);
		for (uint32_t at = 0; at < LEN; at++)
			CU_ASSERT_TRUE(lab_feed(c[i], scene_buf + at, 1));
		mt_pools_sample(&lab.pools);
		CU_ASSERT_TRUE(free - lab.pools.data_free <= 2 * (i + 1));
	}
	CU_ASSERT_EQUAL(lab.p->pending[0], 1);
	CU_ASSERT_TRUE(lab.p->pending_size[0] < 8192);
	/* And it is whole. */
	for (uint32_t i = 0; i < 2; i++) {
		struct fake_conn *s = scene_connected_server(0);

		CU_ASSERT_EQUAL(s->sent.len, LEN);
		CU_ASSERT_EQUAL(scene_next_sent(s).id, i);
		scene_answer(s, i, 0x41, 40);
		lab_advance(MT_MSEC);
		CU_ASSERT_EQUAL(scene_next_sent(c[i]).first, 0x41);
		scene_bye(c[i]);
	}
	scene_stop();
}

/* Byte streams do not wait: one more than the pool allows is refused at once. */
static void test_pool_of_byte_streams(void)
{
	struct fake_conn *c[3];

	/* The limit is the cluster's: with a second server it says no once, too, and accuses none. */
	scene_start(2);
	pool(2, 0);
	for (uint32_t i = 0; i < 3; i++)
		c[i] = lab_client(CONFIG_OPAQUE);
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	CU_ASSERT_TRUE(!c[2] || c[2]->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_limited), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_no_endpoint), 0);
	scene_line_is("0 UO upstream_reset_before_response_started{overflow}");
	for (uint32_t i = 0; i < 2; i++)
		lab_close(c[i], MT_CLOSE_RESET);
	scene_stop();
}

const struct mt_test bounds_tests[] = {
	{"a fast reader stays", test_fast_reader_stays},
	{"no room for connections", test_no_room_for_connections},
	{"slow server, fast reader", test_slow_server_is_no_slow_reader},
	{"a shared server does not read", test_shared_server_does_not_read},
	{"a queue of long calls", test_queue_of_long_calls},
	{"bulk connections are shared", test_bulk_connections_are_shared},
	{"bulk connections go round", test_bulk_connections_go_round},
	{"many time-outs", test_many_timeouts},
	{"more time-outs than lists", test_more_timeouts_than_lists},
	{"clients are counted", test_clients_are_counted},
	{"a pool is as large as it was told", test_pool_is_as_large_as_told},
	{"a pool without a bound is bounded", test_pool_without_bound_is_bounded},
	{"a pool of two endpoints", test_pool_of_two_endpoints},
	{"waiting calls are slim", test_waiting_calls_are_slim},
	{"a pool of byte streams", test_pool_of_byte_streams},
	{0},
};
