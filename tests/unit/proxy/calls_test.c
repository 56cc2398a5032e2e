/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of ordinary length: ids, time-outs, leaving clients, dying servers, serial lanes. */
#include "scene.h"

#include "mt_proxy_priv.h"

static void test_one_call(void)
{
	struct fake_conn *c, *s;
	struct toy q, r;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 7, 64);
	s = lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(s->sent.len, 0);
	lab_connect(s);
	q = scene_next_sent(s);
	CU_ASSERT_EQUAL(q.kind, 'Q');
	CU_ASSERT_NOT_EQUAL(q.id, 7);
	CU_ASSERT_EQUAL(q.first, 7);
	scene_answer(s, q.id, 9, 40);
	r = scene_next_sent(c);
	CU_ASSERT_EQUAL(r.kind, 'P');
	CU_ASSERT_EQUAL(r.id, 7);
	CU_ASSERT_EQUAL(r.first, 9);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), 1);
	scene_bye(c);
	CU_ASSERT_TRUE(c->detached);
	scene_stop();
}

/* Equal ids of two clients at the same moment, answers in reverse order: each gets its own. */
static void test_equal_ids(void)
{
	enum { N = 64 };
	struct fake_conn *c[2], *s;
	uint64_t ids[2 * N];

	scene_start(1);
	c[0] = lab_client(CONFIG_SAFE);
	c[1] = lab_client(CONFIG_SAFE);
	for (int i = 0; i < N; i++)
		for (int k = 0; k < 2; k++)
			scene_send_request(c[k], 'Q', (uint64_t)i, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	s = lab_server(0);
	lab_connect(s);
	for (int i = 0; i < 2 * N; i++)
		ids[i] = scene_next_sent(s).id;
	for (int i = 2 * N - 1; i >= 0; i--)
		scene_answer(s, ids[i], (uint64_t)(i % 2 ? 0xb0 : 0xa0), 40);
	for (int k = 0; k < 2; k++) {
		for (int i = N - 1; i >= 0; i--) {
			struct toy r = scene_next_sent(c[k]);

			CU_ASSERT_EQUAL(r.id, (uint64_t)i);
			CU_ASSERT_EQUAL(r.first, k ? 0xb0 : 0xa0);
		}
		scene_bye(c[k]);
	}
	scene_stop();
}

static void test_split_everywhere(void)
{
	uint8_t m[2 * 64];

	for (uint32_t at = 1; at < sizeof(m); at++) {
		struct fake_conn *c, *s;
		uint64_t id[2];

		scene_start(1);
		c = lab_client(CONFIG_SAFE);
		toy_make(m, 'Q', 1, "call", 64);
		toy_make(m + 64, 'Q', 2, "call", 64);
		lab_feed(c, m, at);
		lab_feed(c, m + at, sizeof(m) - at);
		s = lab_server(0);
		lab_connect(s);
		id[0] = scene_next_sent(s).id;
		id[1] = scene_next_sent(s).id;
		toy_make(m, 'P', id[0], "done", 64);
		toy_make(m + 64, 'P', id[1], "done", 64);
		lab_feed(s, m, at);
		lab_feed(s, m + at, sizeof(m) - at);
		CU_ASSERT_EQUAL(scene_next_sent(c).id, 1);
		CU_ASSERT_EQUAL(scene_next_sent(c).id, 2);
		scene_bye(c);
		scene_stop();
	}
}

static void test_oneway(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'O', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	CU_ASSERT_EQUAL(scene_next_sent(s).kind, 'O');
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway), 1);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	scene_bye(c);
	CU_ASSERT_TRUE(c->detached);
	scene_stop();
}

/* A late reply after the time-out meets a tombstone, never another call. */
static void test_timeout_tombstone(void)
{
	struct fake_conn *c, *s;
	struct toy r;
	uint64_t late, next;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 5, 64);
	s = lab_server(0);
	lab_connect(s);
	late = scene_next_sent(s).id;
	lab_advance(2 * MT_SEC);
	r = scene_next_sent(c);
	CU_ASSERT_EQUAL(r.status, 1);
	CU_ASSERT_EQUAL(r.first, MT_REPLY_TIMEOUT);
	CU_ASSERT_EQUAL(r.id, 5);
	CU_ASSERT_EQUAL(scene_next_sent(s).kind, 'H');
	scene_send_request(c, 'Q', 5, 64);
	next = scene_next_sent(s).id;
	CU_ASSERT_NOT_EQUAL(next, late);
	scene_answer(s, late, 0xee, 40);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	scene_answer(s, next, 0xcc, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0xcc);
	/* Answered twice: skipped, too. */
	scene_answer(s, next, 0xdd, 40);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 2);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	/* An id that the connection never gave out: so many, and it takes no more calls. */
	for (int i = 0; i < 16; i++) {
		CU_ASSERT_FALSE(s->detached);
		scene_answer(s, next + 1 + (uint64_t)i, 0xdd, 40);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_unknown_reply), 16);
	CU_ASSERT_TRUE(s->detached);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	scene_bye(c);
	scene_stop();
}

/* The caller's own time-out ends the call, with a grace, when no policy sets one. */
static void test_carried_timeout(void)
{
	struct fake_conn *c;

	scene_start(1);
	lab.snap->listeners[0].protos->services[0]->timeout_ms = 0;
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 5, "0500", 64);
	lab_feed(c, scene_buf, 64);
	lab_connect(lab_server(0));
	lab_advance(500 * MT_MSEC);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	lab_advance(500 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_TIMEOUT);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* The node's time-out is that of calls for which nothing else specifies one. */
static void test_default_timeout(void)
{
	struct fake_conn *c;

	scene_start(1);
	lab.snap->timeout_ms = 3000;
	lab.snap->listeners[0].protos->services[0]->timeout_ms = 0;
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 5, "call", 64);
	lab_feed(c, scene_buf, 64);
	lab_connect(lab_server(0));
	/* Its own is longer. */
	toy_make(scene_buf, 'Q', 6, "8000", 64);
	lab_feed(c, scene_buf, 64);
	lab_advance(2900 * MT_MSEC);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 5);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 1);
	lab_advance(6 * MT_SEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 6);
	/* The service's own comes first. */
	lab.snap->listeners[0].protos->services[0]->timeout_ms = 1000;
	toy_make(scene_buf, 'Q', 7, "call", 64);
	lab_feed(c, scene_buf, 64);
	lab_advance(1100 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 7);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_timeout), 3);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

static void test_client_leaves(void)
{
	struct fake_conn *c, *s;
	uint64_t id;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 5, 64);
	s = lab_server(0);
	lab_connect(s);
	id = scene_next_sent(s).id;
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	scene_answer(s, id, 1, 40);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	CU_ASSERT_TRUE(s->live);
	scene_stop();
}

/* The client leaves while its call waits for the connection. */
static void test_client_leaves_while_connecting(void)
{
	struct fake_conn *c, *s;

	for (int serial = 0; serial < 2; serial++) {
		scene_start(1);
		c = lab_client(serial ? CONFIG_SERIAL : CONFIG_SAFE);
		scene_send_request(c, 'Q', 5, 64);
		s = lab_server(0);
		lab_close(c, MT_CLOSE_RESET);
		lab_connect(s);
		CU_ASSERT_EQUAL(s->sent.len, 0);
		c = lab_client(serial ? CONFIG_SERIAL : CONFIG_SAFE);
		scene_send_request(c, 'Q', 6, 64);
		CU_ASSERT_EQUAL(lab_n_servers(), 1);
		CU_ASSERT_EQUAL(scene_next_sent(s).first, 6);
		lab_close(c, MT_CLOSE_RESET);
		scene_stop();
	}
}

static void test_server_dies(void)
{
	static const enum mt_close_reason how[] = {MT_CLOSE_RESET, MT_CLOSE_TIMEOUT, MT_CLOSE_OK};

	for (size_t i = 0; i < MT_ARRAY_LEN(how); i++) {
		struct fake_conn *c, *s;
		struct toy r;

		scene_start(1);
		c = lab_client(CONFIG_SAFE);
		scene_send_request(c, 'Q', 5, 64);
		s = lab_server(0);
		lab_connect(s);
		scene_next_sent(s);
		if (how[i] == MT_CLOSE_OK)
			lab_fin(s);
		else
			lab_close(s, how[i]);
		r = scene_next_sent(c);
		CU_ASSERT_EQUAL(r.status, 1);
		CU_ASSERT_EQUAL(r.first, MT_REPLY_CONN_LOST);
		scene_bye(c);
		scene_stop();
	}
}

/* Connect fails at the first endpoint: the call was provably not read and goes to the second. */
static void test_retry_elsewhere(void)
{
	struct fake_conn *c, *s;

	scene_start(2);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 5, 64);
	lab_close(lab_server(0), MT_CLOSE_REFUSED);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_retried), 1);
	s = lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	lab_connect(s);
	CU_ASSERT_EQUAL(scene_next_sent(s).first, 5);
	lab_close(s, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_CONN_LOST);
	/* Nobody left. */
	scene_send_request(c, 'Q', 6, 64);
	while ((s = lab_server(0)))
		lab_close(s, MT_CLOSE_REFUSED);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_NO_ENDPOINT);
	scene_bye(c);
	scene_stop();
}

/* Both shared connections are full: a call waits, and takes the place of the next one answered. */
static void test_shared_full(void)
{
	enum { SLOTS = 4 };
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .ring_slots = SLOTS};
	struct fake_conn *c, *s[2];

	scene_start_with(1, &conf);
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < 2 * SLOTS + 1; i++)
		scene_send_request(c, 'Q', i, 64);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 2);
	for (uint32_t i = 0; i < 2; i++) {
		s[i] = lab_server(i);
		lab_connect(s[i]);
	}
	CU_ASSERT_EQUAL(lab.p->pending[0], 1);
	scene_answer(s[1], scene_next_sent(s[1]).id, 0x31, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x31);
	CU_ASSERT_EQUAL(lab.p->pending[0], 0);
	for (uint32_t i = 0; i < 2; i++)
		for (struct toy q; (q = scene_next_sent(s[i])).kind;)
			scene_answer(s[i], q.id, 0x32, 40);
	for (uint32_t i = 0; i < 2 * SLOTS; i++)
		CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x32);
	scene_bye(c);
	scene_stop();
}

/* Slow calls have most of the slots, side by side: those of quick ones are found again and again. */
static void test_quick_calls_beside_slow_ones(void)
{
	enum { SLOTS = 128, SLOW = SLOTS - 3, QUICK = 5 * SLOTS };
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .ring_slots = SLOTS};
	struct fake_conn *slow, *quick, *s;
	uint64_t ids[SLOW], last = 0;

	scene_start_with(1, &conf);
	scene_patient();
	slow = lab_client(CONFIG_SAFE);
	quick = lab_client(CONFIG_SAFE);
	scene_send_request(slow, 'Q', 0, 64);
	s = scene_connected_server(0);
	for (uint32_t i = 0; i < SLOW; i++) {
		if (i)
			scene_send_request(slow, 'Q', i, 64);
		ids[i] = last = scene_next_sent(s).id;
	}
	for (uint32_t i = 0; i < QUICK; i++) {
		uint64_t id;

		scene_send_request(quick, 'Q', i, 64);
		id = scene_next_sent(s).id;
		CU_ASSERT_TRUE_FATAL(id > last);
		last = id;
		scene_answer(s, id, 0x41, 40);
		CU_ASSERT_EQUAL(scene_next_sent(quick).id, i);
	}
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	for (uint32_t i = 0; i < SLOW; i++) {
		scene_answer(s, ids[i], 0x42, 40);
		CU_ASSERT_EQUAL(scene_next_sent(slow).id, i);
	}
	scene_bye(slow);
	scene_bye(quick);
	scene_stop();
}

/* From any start and over more than one round of all ids. */
static void test_ids_given(void)
{
	enum { FIRST = 4096, N = 10 };
	struct mt_codec codec = {.id_min = FIRST, .id_max = FIRST + N - 1};
	struct mt_lanes lanes = {.codec = &codec};

	for (uint64_t start = FIRST; start < FIRST + N; start++) {
		struct mt_up u = {.lanes = &lanes, .first_id = start, .next_id = start};
		bool given[N] = {false};

		for (int round = 0; round < 3 * N; round++) {
			for (uint32_t i = 0; i < N; i++)
				CU_ASSERT_EQUAL(mt_id_given(&u, FIRST + i), given[i]);
			CU_ASSERT_FALSE(mt_id_given(&u, 0));
			CU_ASSERT_FALSE(mt_id_given(&u, FIRST - 1));
			CU_ASSERT_FALSE(mt_id_given(&u, FIRST + N));
			given[mt_id_next(&u) - FIRST] = true;
		}
	}
}

/* Ids come round while calls of the first ones are out: the next one is again one that is free. */
static void test_ids_come_round(void)
{
	enum { SLOTS = 4, FIRST = 4096, LAST = FIRST + 9 };
	struct mt_codec codec = {.id_min = FIRST, .id_max = LAST};
	struct mt_lanes lanes = {.codec = &codec};
	struct mt_proxy p = {.conf = {.ring_slots = SLOTS}};
	struct mt_up u = {.lanes = &lanes, .next_id = LAST - 1};
	const struct mt_ref ex = {1, 1};

	u.ring = calloc(1, mt_ring_size(SLOTS));
	MT_ASSERT(u.ring);
	u.ring_busy = (uint64_t *)(u.ring + SLOTS);
	CU_ASSERT_EQUAL(mt_ring_take(&p, &u, ex), LAST - 1);
	CU_ASSERT_EQUAL(mt_ring_take(&p, &u, ex), LAST);
	/* Slots 0 and 1 are taken by those: 4096 and 4097 would have them. */
	CU_ASSERT_EQUAL(mt_ring_take(&p, &u, ex), FIRST + 2);
	CU_ASSERT_EQUAL(mt_ring_take(&p, &u, ex), FIRST + 3);
	CU_ASSERT_EQUAL(mt_ring_take(&p, &u, ex), 0);
	mt_ring_release(&u, mt_ring_find(&p, &u, LAST));
	CU_ASSERT_EQUAL(mt_ring_take(&p, &u, ex), FIRST + 5);
	mt_ring_bury(&u, mt_ring_find(&p, &u, FIRST + 2));
	CU_ASSERT_EQUAL(mt_ring_take(&p, &u, ex), 0);
	free(u.ring);
}

/* What is called while a long reply comes does not wait for its end. */
static void test_calls_beside_a_long_reply(void)
{
	enum { LEN = 300000 };
	struct fake_conn *c[3], *s[2];
	uint64_t id;

	scene_start(1);
	scene_patient();
	for (int i = 0; i < 3; i++)
		c[i] = lab_client(CONFIG_SAFE);
	scene_send_request(c[0], 'Q', 1, 64);
	s[0] = scene_connected_server(0);
	id = scene_next_sent(s[0]).id;
	toy_make(scene_buf, 'P', id, "done", LEN);
	lab_feed(s[0], scene_buf, 70000);
	scene_send_request(c[1], 'Q', 2, 64);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 2);
	s[1] = scene_connected_server(1);
	CU_ASSERT_EQUAL(scene_next_sent(s[1]).first, 2);
	/* If both bring one, either is better than none. */
	toy_make(scene_buf, 'P', id, "done", LEN);
	lab_feed(s[0], scene_buf + 70000, 1000);
	scene_send_request(c[1], 'Q', 3, 64);
	id = scene_next_sent(s[1]).id;
	toy_make(scene_buf, 'P', id, "done", LEN);
	lab_feed(s[1], scene_buf, 70000);
	scene_send_request(c[2], 'Q', 4, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	CU_ASSERT_EQUAL(lab.p->pending[0], 0);
	for (int i = 0; i < 3; i++)
		lab_close(c[i], MT_CLOSE_RESET);
	scene_stop();
}

static void test_serial(void)
{
	struct fake_conn *c, *s[2];
	struct toy q[2];

	scene_start(1);
	c = lab_client(CONFIG_SERIAL);
	scene_send_request(c, 'Q', 1, 64);
	scene_send_request(c, 'Q', 2, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	for (int i = 0; i < 2; i++) {
		s[i] = lab_server((uint32_t)i);
		lab_connect(s[i]);
		q[i] = scene_next_sent(s[i]);
		CU_ASSERT_EQUAL(q[i].id, (uint64_t)i + 1);
	}
	/* The second is answered first, but the client gets replies in the order of its requests. */
	scene_answer(s[1], 2, 0xb2, 40);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	scene_answer(s[0], 1, 0xb1, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0xb1);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0xb2);
	/* Both connections are idle and used again. */
	scene_send_request(c, 'Q', 3, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	scene_bye(c);
	CU_ASSERT_FALSE(c->detached);
	scene_answer(s[s[0]->sent.len ? 0 : 1], 3, 0xb3, 40);
	CU_ASSERT_TRUE(c->detached);
	scene_stop();
}

/* A server that ends its connection behind each reply: nothing more is sent there. */
static void test_serial_fin_behind_reply(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .serial_lanes = 1};
	struct fake_conn *c[2], *s;

	scene_start_with(1, &conf);
	for (uint32_t i = 0; i < 2; i++) {
		c[i] = lab_client(CONFIG_SERIAL);
		scene_send_request(c[i], 'Q', i, 64);
	}
	CU_ASSERT_EQUAL(lab.p->pending[0], 1);
	for (uint32_t i = 0; i < 2; i++) {
		s = lab_server(0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		lab_connect(s);
		/* Reply and FIN arrive in one burst. */
		s->s.rx_eof = true;
		scene_answer(s, scene_next_sent(s).id, 0x31, 40);
		CU_ASSERT_TRUE(s->detached);
		lab_fin(s);
	}
	for (uint32_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(scene_next_sent(c[i]).first, 0x31);
		scene_bye(c[i]);
	}
	scene_stop();
}

static void test_serial_timeout_closes(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_SERIAL);
	scene_send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_TIMEOUT);
	CU_ASSERT_TRUE(s->aborted);
	scene_bye(c);
	scene_stop();
}

const struct mt_test calls_tests[] = {
	{"one call", test_one_call},
	{"equal ids", test_equal_ids},
	{"split everywhere", test_split_everywhere},
	{"oneway", test_oneway},
	{"shared connections full", test_shared_full},
	{"quick calls beside slow ones", test_quick_calls_beside_slow_ones},
	{"ids come round", test_ids_come_round},
	{"ids given", test_ids_given},
	{"calls beside a long reply", test_calls_beside_a_long_reply},
	{"timeout leaves a tombstone", test_timeout_tombstone},
	{"carried timeout", test_carried_timeout},
	{"default timeout", test_default_timeout},
	{"client leaves", test_client_leaves},
	{"client leaves while connecting", test_client_leaves_while_connecting},
	{"server dies", test_server_dies},
	{"retry elsewhere", test_retry_elsewhere},
	{"serial", test_serial},
	{"serial server ends behind its reply", test_serial_fin_behind_reply},
	{"serial timeout", test_serial_timeout_closes},
	{0},
};
