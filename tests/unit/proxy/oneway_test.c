/* SPDX-License-Identifier: Apache-2.0 */
/* One-way calls that look like others, on connections that carry one call at a time. */
#include "scene.h"

#include "mt_proxy_priv.h"

static void call(struct fake_conn *c, const char *method, uint64_t id)
{
	toy_make(scene_buf, 'Q', id, method, 64);
	CU_ASSERT_TRUE_FATAL(lab_feed(c, scene_buf, 64));
}

static void answer(struct fake_conn *s, const char *method, uint64_t id)
{
	toy_make(scene_buf, 'P', id, method, 40);
	CU_ASSERT_TRUE_FATAL(lab_feed(s, scene_buf, 40));
}

/* The next message to either side. */
static void expect(struct fake_conn *c, const char *method, uint64_t id)
{
	struct toy t = scene_next_sent(c);

	CU_ASSERT_STRING_EQUAL(t.method, method);
	CU_ASSERT_EQUAL(t.id, id);
	CU_ASSERT_EQUAL(t.status, 0);
}

static void expect_nothing(struct fake_conn *c)
{
	CU_ASSERT_EQUAL(c->sent.len, 0);
}

/* A one-way call and another one behind it, whose reply comes; on the i-th server connection. */
static struct fake_conn *pair(struct fake_conn *c, uint32_t i)
{
	struct fake_conn *s;

	call(c, "note", 0);
	call(c, "ask ", 0);
	s = lab_server(i);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	if (!s->connected)
		lab_connect(s);
	expect(s, "note", 0);
	expect(s, "ask ", 0);
	answer(s, "ask ", 0);
	expect(c, "ask ", 0);
	return s;
}

static void test_behind_one_way(void)
{
	struct fake_conn *c, *other, *s;

	scene_start(1);
	c = lab_client(CONFIG_NAMED);
	s = pair(c, 0);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway_learnt), 1);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	/* Who knows whether a reply comes after all: nobody else's call goes there, the client's do. */
	other = lab_client(CONFIG_NAMED);
	call(other, "ask ", 9);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	expect_nothing(s);
	call(c, "ask ", 3);
	expect(s, "ask ", 3);
	answer(s, "ask ", 3);
	expect(c, "ask ", 3);
	/* It goes with its client. */
	scene_bye(c);
	CU_ASSERT_TRUE(s->shut);
	lab_close(other, MT_CLOSE_RESET);
	lab_advance(30 * MT_SEC);
	scene_stop();
}

static void test_many_pairs(void)
{
	struct fake_conn *c;

	scene_start(1);
	c = lab_client(CONFIG_NAMED);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_learnt), 0);
		pair(c, 0);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_learnt), 1);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	scene_bye(c);
	scene_stop();
}

/* A method that is taken for one-way is not waited for; its reply is not lost, and it is waited for from then on. */
static void test_learnt_and_unlearnt(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_NAMED);
	for (int i = 0; i < 3; i++)
		s = pair(c, 0);
	for (uint64_t id = 10; id < 2000; id++) {
		call(c, "note", id);
		expect(s, "note", id);
	}
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	/* Of the last 64. */
	answer(s, "note", 1990);
	expect(c, "note", 1990);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_oneway_answered), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_unlearnt), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_unknown_reply), 0);
	call(c, "note", 5000);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 1);
	answer(s, "note", 5000);
	expect(c, "note", 5000);
	for (int i = 0; i < 4; i++) {
		call(c, "note", 1);
		call(c, "ask ", 2);
		answer(s, "ask ", 2);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_learnt), 1);
	scene_bye(c);
	scene_stop();
}

/* A reply that takes seconds, with others' behind it: in order, and nothing is learnt but that it comes. */
static void test_slow_method(void)
{
	struct fake_conn *c, *other, *s;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_NAMED);
	call(c, "slow", 1);
	call(c, "ask ", 2);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	lab_advance(40 * MT_SEC);
	CU_ASSERT_FALSE(s->shut);
	answer(s, "slow", 1);
	answer(s, "ask ", 2);
	expect(c, "slow", 1);
	expect(c, "ask ", 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway_learnt), 0);
	/* Both are known to answer: others take the connection, and calls behind them do not share. */
	other = lab_client(CONFIG_NAMED);
	call(other, "slow", 1);
	call(other, "ask ", 1);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	lab_close(other, MT_CLOSE_RESET);
	scene_bye(c);
	lab_advance(30 * MT_SEC);
	scene_stop();
}

/* Equal ids and names: replies go to the calls in the order in which these were sent. */
static void test_same_method(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_NAMED);
	for (int i = 0; i < 3; i++)
		call(c, "ask ", 0);
	s = scene_connected_server(0);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 3u - (uint32_t)i);
		answer(s, "ask ", 0);
		expect(c, "ask ", 0);
	}
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway_learnt), 0);
	scene_bye(c);
	scene_stop();
}

/* The client leaves behind its call: the server is asked by a FIN, and its own tells that there is no reply. */
static void test_client_leaves(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	for (int i = 0; i < 3; i++) {
		c = lab_client(CONFIG_NAMED);
		call(c, "note", 7);
		s = scene_connected_server(0);
		expect(s, "note", 7);
		if (i == 1)
			lab_fin(c);
		else
			lab_close(c, MT_CLOSE_RESET);
		CU_ASSERT_TRUE(s->shut);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_learnt), 0);
		lab_fin(s);
		lab_flush_detached();
		CU_ASSERT_EQUAL(lab_n_servers(), 0);
		CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
		CU_ASSERT_EQUAL(lab.p->downs.in_use, 0);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_learnt), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_half_closed), 3);
	scene_stop();
}

/* The same, and the client is gone before the connection is there. */
static void test_leaves_early(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_NAMED);
	call(c, "note", 7);
	call(c, "note", 8);
	lab_fin(c);
	s = scene_connected_server(0);
	expect(s, "note", 7);
	expect(s, "note", 8);
	CU_ASSERT_TRUE(s->shut);
	lab_fin(s);
	lab_flush_detached();
	CU_ASSERT_EQUAL(lab.p->downs.in_use, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway_learnt), 2);
	scene_stop();
}

/* A reply that the client does not wait for any more teaches, too. */
static void test_left_and_answered(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_NAMED);
	call(c, "slow", 7);
	s = scene_connected_server(0);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_TRUE(s->shut);
	answer(s, "slow", 7);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	lab_flush_detached();
	/* It answers: who leaves now leaves the connection to others. */
	c = lab_client(CONFIG_NAMED);
	call(c, "slow", 8);
	s = scene_connected_server(0);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_FALSE(s->shut);
	answer(s, "slow", 8);
	scene_stop();
}

/* It ends, then resets; the server, which was asked by a FIN meanwhile, says nothing at all: it is not awaited for ever. */
static void test_leaves_twice(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_NAMED);
	call(c, "slow", 7);
	s = scene_connected_server(0);
	lab_fin(c);
	CU_ASSERT_TRUE(s->shut);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_FALSE(s->aborted);
	lab_advance(600 * MT_SEC);
	CU_ASSERT_TRUE(s->aborted);
	scene_stop();
}

/* Nothing but one-way calls, of a client that stays: the server is asked. */
static void test_nothing_else(void)
{
	enum { NOTES = 100 };
	struct fake_conn *c, *s;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_NAMED);
	for (uint64_t id = 0; id < NOTES; id++)
		call(c, "note", id);
	s = scene_connected_server(0);
	for (uint64_t id = 0; id < NOTES; id++)
		expect(s, "note", id);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	lab_advance(MT_SEC / 2);
	CU_ASSERT_FALSE(s->shut);
	lab_advance(MT_SEC);
	CU_ASSERT_TRUE(s->shut);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, NOTES);
	lab_fin(s);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway_learnt), NOTES);
	expect_nothing(c);
	/* Many calls, but one observation. */
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_learnt), 0);
	scene_bye(c);
	scene_stop();
}

/* As long as nothing speaks for one-way a call without a reply is told so; calls that are known as such are not. */
static void test_expires(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_NAMED);
	call(c, "note", 7);
	s = scene_connected_server(0);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).status, 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_timeout), 1);
	CU_ASSERT_TRUE(s->shut && !s->aborted);
	lab_fin(s);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	/* What waits behind it is answered in time, or both are told. */
	call(c, "note", 8);
	lab_advance(MT_SEC / 2);
	call(c, "ask ", 9);
	s = scene_connected_server(0);
	lab_advance(MT_SEC * 3 / 4);
	expect_nothing(c);
	lab_advance(MT_SEC / 2);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 8);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 9);
	CU_ASSERT_TRUE(s->aborted);
	scene_bye(c);
	scene_stop();
}

/* Connections that are bound to clients are a quarter of the pool. */
static void test_quarter(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .serial_lanes = 8};
	struct fake_conn *c[4], *s[4];

	scene_start_with(1, &conf);
	for (uint32_t i = 0; i < 4; i++) {
		c[i] = lab_client(CONFIG_NAMED);
		s[i] = pair(c[i], i);
	}
	CU_ASSERT_TRUE(s[0]->shut && s[1]->shut);
	CU_ASSERT_FALSE(s[2]->shut || s[3]->shut);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_half_closed), 2);
	/* A reply that comes before the server's end is not lost. */
	answer(s[0], "note", 0);
	expect(c[0], "note", 0);
	lab_fin(s[0]);
	/* Nor a server that does not mind the FIN. */
	lab_advance(20 * MT_SEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	for (uint32_t i = 0; i < 4; i++)
		scene_bye(c[i]);
	scene_stop();
}

/* The only connection that may be had does not stay one client's while others wait. */
static void test_others_wait(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .serial_lanes = 1};
	struct fake_conn *c, *other, *s;

	scene_start_with(1, &conf);
	c = lab_client(CONFIG_NAMED);
	other = lab_client(CONFIG_NAMED);
	s = pair(c, 0);
	CU_ASSERT_FALSE(s->shut);
	call(other, "ask ", 4);
	CU_ASSERT_TRUE(s->shut);
	lab_fin(s);
	s = scene_connected_server(0);
	expect(s, "ask ", 4);
	answer(s, "ask ", 4);
	expect(other, "ask ", 4);
	scene_bye(c);
	scene_bye(other);
	scene_stop();
}

enum { BOUND = 4, BUSY = 12 };

/* Server connections that were half-closed. */
static uint32_t n_shut(void)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < lab_n_servers(); i++)
		n += lab_server(i)->shut;
	return n;
}

/* The queue is looked at, as when any connection to the endpoint may have become free. */
static void look_at_queue(struct fake_conn *s)
{
	mt_lane_hungry(lab.p, mt_up_of(&s->s)->lanes);
	lab_advance(MT_MSEC);
}

/* All connections are bound or busy: as many bound ones are given up as calls wait. */
static void test_room_that_is_needed(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .serial_lanes = BOUND + BUSY};
	struct fake_conn *c[BOUND], *busy[BUSY], *waits[2], *s = NULL;

	scene_start_with(1, &conf);
	scene_patient();
	for (uint32_t i = 0; i < BOUND; i++)
		c[i] = lab_client(CONFIG_NAMED);
	for (uint32_t i = 0; i < BOUND; i++)
		s = pair(c[i], i);
	for (uint32_t i = 0; i < BUSY; i++) {
		busy[i] = lab_client(CONFIG_NAMED);
		call(busy[i], "ask ", i);
		scene_connected_server(BOUND + i);
	}
	CU_ASSERT_EQUAL(lab_n_servers(), BOUND + BUSY);
	call(c[BOUND - 1], "ask ", 5);
	expect(s, "ask ", 5);
	CU_ASSERT_EQUAL(n_shut(), 0);
	waits[0] = lab_client(CONFIG_NAMED);
	call(waits[0], "ask ", 1);
	for (int i = 0; i < 5; i++)
		look_at_queue(s);
	CU_ASSERT_EQUAL(n_shut(), 1);
	CU_ASSERT_TRUE(lab_server(0)->shut);
	/* Its call ends, and it is not needed either. */
	answer(s, "ask ", 5);
	expect(c[BOUND - 1], "ask ", 5);
	CU_ASSERT_EQUAL(n_shut(), 1);
	waits[1] = lab_client(CONFIG_NAMED);
	call(waits[1], "ask ", 2);
	for (int i = 0; i < 5; i++)
		look_at_queue(s);
	CU_ASSERT_EQUAL(n_shut(), 2);
	lab_fin(lab_server(0));
	CU_ASSERT_EQUAL(n_shut(), 1);
	s = scene_connected_server(BOUND + BUSY - 1);
	for (uint64_t i = 0; i < 2; i++) {
		expect(s, "ask ", 1 + i);
		answer(s, "ask ", 1 + i);
		expect(waits[i], "ask ", 1 + i);
	}
	lab_fin(lab_server(0));
	CU_ASSERT_EQUAL(n_shut(), 0);
	for (uint32_t i = 0; i < BUSY; i++)
		lab_close(busy[i], MT_CLOSE_RESET);
	for (uint32_t i = 0; i < BOUND; i++)
		scene_bye(c[i]);
	scene_bye(waits[0]);
	scene_bye(waits[1]);
	lab_advance(700 * MT_SEC);
	scene_stop();
}

/* The balancer would send the next call elsewhere, where its reply would tell nothing. */
static void test_same_endpoint(void)
{
	struct fake_conn *c;

	scene_start(3);
	c = lab_client(CONFIG_NAMED);
	for (int i = 0; i < 5; i++)
		pair(c, 0);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_learnt), 1);
	scene_bye(c);
	scene_stop();
}

/*
 * A call that waited until its connection was open is sent after one that came later and had a free connection: the next call
 * goes behind that one, with nothing else to tell what it is.
 */
static void test_behind_the_last(void)
{
	struct fake_conn *c, *other, *s, *slow;

	scene_start(1);
	other = lab_client(CONFIG_NAMED);
	call(other, "ask ", 1);
	s = scene_connected_server(0);
	expect(s, "ask ", 1);
	answer(s, "ask ", 1);
	expect(other, "ask ", 1);
	call(other, "ask ", 2);
	expect(s, "ask ", 2);
	c = lab_client(CONFIG_NAMED);
	call(c, "note", 3);
	call(c, "ask ", 4);
	answer(s, "ask ", 2);
	expect(other, "ask ", 2);
	call(c, "note", 5);
	expect(s, "note", 5);
	slow = scene_connected_server(1);
	expect(slow, "note", 3);
	expect(slow, "ask ", 4);
	call(c, "ask ", 6);
	expect(s, "ask ", 6);
	answer(slow, "ask ", 4);
	expect(c, "ask ", 4);
	answer(s, "ask ", 6);
	expect(c, "ask ", 6);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway_learnt), 2);
	scene_bye(other);
	scene_bye(c);
	scene_stop();
}

/* The server resets: calls behind others are told, in order. */
static void test_reset(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_NAMED);
	for (uint64_t id = 1; id <= 3; id++)
		call(c, "note", id);
	s = scene_connected_server(0);
	for (uint64_t id = 1; id <= 3; id++)
		expect(s, "note", id);
	lab_close(s, MT_CLOSE_RESET);
	for (uint64_t id = 1; id <= 3; id++) {
		struct toy t = scene_next_sent(c);

		CU_ASSERT(t.id == id && t.status == 1);
	}
	scene_bye(c);
	scene_stop();
}

/* A client calls `n` methods, by a server connection of its own; `status`: of the replies. */
static void flood(uint8_t status, uint64_t n)
{
	struct fake_conn *c = lab_client(CONFIG_NAMED), *s = NULL;

	for (uint64_t i = 0; i < n; i++) {
		char name[16];

		snprintf(name, sizeof(name), "x%03u", (unsigned int)i);
		call(c, name, i);
		if (!s) {
			s = lab_server(lab_n_servers() - 1);
			CU_ASSERT_PTR_NOT_NULL_FATAL(s);
			if (!s->connected)
				lab_connect(s);
		}
		CU_ASSERT_STRING_EQUAL(scene_next_sent(s).method, name);
		toy_make(scene_buf, 'P', i, name, 40);
		scene_buf[2] = status;
		CU_ASSERT_TRUE_FATAL(lab_feed(s, scene_buf, 40));
		CU_ASSERT_EQUAL(scene_next_sent(c).status, status);
	}
	lab_close(c, MT_CLOSE_RESET);
}

/* Calls of `note` are known to be one-way: they end when they are sent. */
static void note_is_silent(struct fake_conn *c, struct fake_conn *s)
{
	call(c, "note", 1);
	expect(s, "note", 1);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_learnt), 1);
}

/* Names that the server does not know, or of another service, displace none that others use. */
static void test_many_names(void)
{
	struct fake_conn *c, *s;
	struct mt_service *service;
	uint64_t id;

	scene_start(1);
	c = lab_client(CONFIG_NAMED);
	for (int i = 0; i < 3; i++)
		s = pair(c, 0);
	flood(1, 1000);
	note_is_silent(c, s);
	service = lab.snap->listeners[3].protos->services[0];
	id = service->owner;
	service->owner = 77;
	flood(0, 1000);
	service->owner = id;
	note_is_silent(c, s);
	scene_bye(c);
	lab_advance(30 * MT_SEC);
	scene_stop();
}

/*
 * Four services of one namespace, whose servers accept any method, displace nothing that is known
 * of another namespace, and do not keep it from being learnt.
 */
static void test_many_services(void)
{
	struct mt_service *service;
	struct fake_conn *c, *s;
	uint64_t id;

	scene_start(1);
	service = lab.snap->listeners[3].protos->services[0];
	id = service->owner;
	c = lab_client(CONFIG_NAMED);
	for (int i = 0; i < 4; i++) {
		if (i == 3)
			note_is_silent(c, s);
		else
			s = pair(c, 0);
		for (uint64_t n = 71; n < 75; n++) {
			service->owner = mt_service_owner(9, n);
			flood(0, 300);
		}
		service->owner = id;
	}
	note_is_silent(c, s);
	scene_bye(c);
	lab_advance(30 * MT_SEC);
	scene_stop();
}

/* Adds an entry to the first set, as a server's reply does. */
static void add_to_first_set(uint64_t key, uint64_t ns, uint64_t service)
{
	lab.p->now++;
	mt_method_answers(lab.p, key << 40 | 1, mt_service_owner(ns, service), true);
}

static uint64_t owner_at(uint32_t i)
{
	return lab.p->methods[i].owner;
}

/*
 * Two namespaces have two entries each, one with one service and one with two. Their numbers of
 * services do not count: the oldest entry gives way to a third namespace's.
 */
static void test_equal_namespaces(void)
{
	for (int one_first = 0; one_first < 2; one_first++) {
		uint64_t first = one_first ? 1 : 2, second = one_first ? 2 : 1;

		scene_start(1);
		for (uint64_t i = 0; i < 4; i++) {
			uint64_t ns = i < 2 ? first : second;

			add_to_first_set(i + 1, ns, ns == 1 ? 50 : 60 + i);
		}
		CU_ASSERT_EQUAL(owner_at(0) >> MT_OWNER_NS, first);
		add_to_first_set(5, 3, 70);
		CU_ASSERT_EQUAL(owner_at(0), mt_service_owner(3, 70));
		for (uint32_t i = 1; i < 4; i++)
			CU_ASSERT_EQUAL(owner_at(i) >> MT_OWNER_NS, i < 2 ? first : second);
		scene_stop();
	}
}

/* In the namespace with the most entries, the service with the most gives one up. */
static void test_largest_service(void)
{
	scene_start(1);
	add_to_first_set(1, 1, 50);
	add_to_first_set(2, 1, 51);
	add_to_first_set(3, 1, 51);
	add_to_first_set(4, 2, 60);
	add_to_first_set(5, 3, 70);
	CU_ASSERT_EQUAL(owner_at(0), mt_service_owner(1, 50));
	CU_ASSERT_EQUAL(owner_at(1), mt_service_owner(3, 70));
	CU_ASSERT_EQUAL(owner_at(2), mt_service_owner(1, 51));
	CU_ASSERT_EQUAL(owner_at(3), mt_service_owner(2, 60));
	scene_stop();
}

static void answer_error(struct fake_conn *c, struct fake_conn *s, const char *method, uint64_t id)
{
	struct toy t;

	toy_make(scene_buf, 'P', id, method, 40);
	scene_buf[2] = 1;
	CU_ASSERT_TRUE_FATAL(lab_feed(s, scene_buf, 40));
	t = scene_next_sent(c);
	CU_ASSERT(t.id == id && t.status == 1);
}

/* A reply that is a protocol error reaches its client, and a silent method stays silent. */
static void test_error_of_silent(void)
{
	struct fake_conn *c, *s = NULL;

	scene_start(1);
	c = lab_client(CONFIG_NAMED);
	for (int i = 0; i < 3; i++)
		s = pair(c, 0);
	note_is_silent(c, s);
	answer_error(c, s, "note", 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_oneway_answered), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_unlearnt), 0);
	note_is_silent(c, s);
	scene_bye(c);
	scene_stop();
}

/* Nor does one that comes while the method is still in doubt make it a method that answers. */
static void test_error_in_doubt(void)
{
	struct fake_conn *c, *s = NULL;

	scene_start(1);
	c = lab_client(CONFIG_NAMED);
	for (int i = 0; i < 2; i++)
		s = pair(c, 0);
	call(c, "note", 5);
	expect(s, "note", 5);
	answer_error(c, s, "note", 5);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_method_learnt), 0);
	pair(c, 0);
	note_is_silent(c, s);
	scene_bye(c);
	scene_stop();
}

/*
 * Names that differ in the highest bit of some words have different hashes. Without a secret factor
 * these differences cancel each other under every secret.
 */
static void test_twin_names(void)
{
	static const char name[] = "notifyOrderShipped";
	const uint64_t salt = 0x243f6a8885a308d3ull;

	scene_start(1);
	for (uint64_t i = 0; i < 64; i++) {
		lab.p->fair_salt = i ? salt * i : lab.p->fair_salt;
		for (uint32_t bits = 1; bits < 8; bits++) {
			uint8_t twin[sizeof(name)];

			memcpy(twin, name, sizeof(name));
			twin[7] ^= bits & 1 ? 0x80 : 0;
			twin[11] ^= bits & 2 ? 0x80 : 0;
			twin[15] ^= bits & 4 ? 0x80 : 0;
			CU_ASSERT_NOT_EQUAL(mt_method_hash(lab.p, twin, sizeof(name) - 1),
				mt_method_hash(lab.p, (const uint8_t *)name, sizeof(name) - 1));
		}
	}
	scene_stop();
}

/* Many methods of one service use all places, and the newest stay. */
static void test_many_methods(void)
{
	uint32_t n = 0;

	scene_start(1);
	flood(0, 1000);
	for (uint32_t i = 0; i < MT_METHODS; i++)
		n += lab.p->methods[i].state == MT_METHOD_ANSWERS;
	CU_ASSERT_EQUAL(n, MT_METHODS);
	lab_advance(30 * MT_SEC);
	scene_stop();
}

const struct mt_test oneway_tests[] = {{"behind a one-way call", test_behind_one_way},
	{"many pairs", test_many_pairs}, {"learnt and unlearnt", test_learnt_and_unlearnt},
	{"slow method", test_slow_method}, {"same method", test_same_method},
	{"client leaves", test_client_leaves}, {"leaves early", test_leaves_early},
	{"leaves twice", test_leaves_twice}, {"left and answered", test_left_and_answered},
	{"nothing else", test_nothing_else}, {"expires", test_expires},
	{"a quarter of the pool", test_quarter}, {"others wait", test_others_wait},
	{"the room that is needed", test_room_that_is_needed},
	{"same endpoint", test_same_endpoint}, {"behind the last one", test_behind_the_last},
	{"reset", test_reset}, {"many names", test_many_names},
	{"many services", test_many_services}, {"many methods", test_many_methods},
	{"namespaces with equal shares", test_equal_namespaces},
	{"largest service of a namespace", test_largest_service}, {"twin names", test_twin_names},
	{"error of a silent method", test_error_of_silent},
	{"error of a method in doubt", test_error_in_doubt}, {0}};
