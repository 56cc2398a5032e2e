/* SPDX-License-Identifier: Apache-2.0 */
/* The drain of the whole worker for a restart: first it accepts clients still, then it closes. */
#include "scene.h"

#include "mt_proxy_priv.h"

static struct fake_conn *c, *s;

static void begin(uint16_t port)
{
	scene_start(1);
	scene_patient();
	c = lab_client(port);
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
}

static void hears(struct fake_conn *conn)
{
	while (scene_next_sent(conn).kind)
		;
}

static void answer(void)
{
	scene_answer(s, scene_next_sent(s).id, 0x11, 40);
}

static void leave_in(uint32_t ms)
{
	mt_proxy_leave(lab.p, ms);
	CU_ASSERT_EQUAL(mt_proxy_next(lab.p), lab.now);
	lab_advance(MT_MSEC);
}

static void leave(void)
{
	leave_in(0);
}

static void close_all(void)
{
	mt_proxy_drain(lab.p);
	lab_advance(MT_MSEC);
}

/* Time for a whole pass that looks for lasting work. */
static void look(void)
{
	for (int i = 0; i < 3; i++)
		lab_advance(60 * MT_MSEC);
}

/* Connected clients are notified. Later ones are served as always, until the worker closes. */
static void test_new_clients_are_served(void)
{
	struct fake_conn *young;

	begin(CONFIG_SAFE);
	answer();
	hears(c);
	leave();
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'D');
	young = lab_client(CONFIG_SAFE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(young);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_FALSE(young->detached);
	scene_send_request(young, 'Q', 2, 64);
	answer();
	CU_ASSERT_EQUAL(scene_next_sent(young).id, 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_goaway_sent), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_draining), 0);
	close_all();
	CU_ASSERT_EQUAL(scene_next_sent(young).kind, 'D');
	CU_ASSERT_TRUE(young->detached && young->refuses);
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_SAFE));
	CU_ASSERT_TRUE(mt_proxy_idle(lab.p));
	scene_stop();
}

/* Nobody waits for the end of a busy client while others are accepted. It ends when the worker closes, behind its reply. */
static void test_busy_client_stays(void)
{
	uint64_t asked = 1;

	begin(CONFIG_SERIAL);
	answer();
	leave();
	for (int i = 0; i < 400; i++) {
		scene_send_request(c, 'Q', ++asked, 64);
		lab_advance(50 * MT_MSEC);
		answer();
		hears(c);
	}
	CU_ASSERT_FALSE(c->detached);
	scene_send_request(c, 'Q', ++asked, 64);
	close_all();
	CU_ASSERT_FALSE(c->detached);
	answer();
	hears(c);
	lab_advance(10 * MT_MSEC);
	CU_ASSERT_TRUE(c->detached && c->refuses);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), asked);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), asked);
	scene_stop();
}

/* Something is always owed to it: after a fifth of a second nothing more of it is taken. */
static void test_always_owed(void)
{
	uint64_t asked = 1;
	int ms;

	begin(CONFIG_SAFE);
	leave();
	lab_advance(400 * MT_MSEC);
	scene_send_request(c, 'Q', ++asked, 64);
	close_all();
	for (ms = 0; !c->refuses && ms < 5000; ms += 10) {
		scene_send_request(c, 'Q', ++asked, 64);
		answer();
		hears(c);
		lab_advance(10 * MT_MSEC);
	}
	CU_ASSERT(ms >= 180 && ms <= 230);
	answer();
	answer();
	lab_advance(10 * MT_MSEC);
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), asked);
	scene_stop();
}

/* A message that has begun when the worker closes has a second. */
static void test_message_stalls(void)
{
	begin(CONFIG_SAFE);
	answer();
	hears(c);
	leave();
	toy_make(scene_buf, 'Q', 2, "call", 64);
	lab_feed(c, scene_buf, 40);
	close_all();
	lab_advance(900 * MT_MSEC);
	CU_ASSERT_FALSE(c->detached);
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(c->detached && c->refuses);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_drain_timeout), 1);
	scene_stop();
}

/* A call that lasts, or the begin of a message, would make the close long. */
static void test_brief(void)
{
	begin(CONFIG_SAFE);
	CU_ASSERT_FALSE(mt_proxy_brief(lab.p));
	leave();
	look();
	CU_ASSERT_TRUE(mt_proxy_brief(lab.p));
	lab_advance(600 * MT_MSEC);
	look();
	CU_ASSERT_FALSE(mt_proxy_brief(lab.p));
	answer();
	hears(c);
	look();
	CU_ASSERT_TRUE(mt_proxy_brief(lab.p));
	toy_make(scene_buf, 'Q', 2, "call", 64);
	lab_feed(c, scene_buf, 40);
	lab_advance(600 * MT_MSEC);
	look();
	CU_ASSERT_FALSE(mt_proxy_brief(lab.p));
	lab_feed(c, scene_buf + 40, 24);
	answer();
	hears(c);
	look();
	CU_ASSERT_TRUE(mt_proxy_brief(lab.p));
	close_all();
	lab_advance(10 * MT_MSEC);
	scene_stop();
}

/* A call that lasted counts only for the drain in which it did. */
static void test_lasted(void)
{
	begin(CONFIG_SAFE);
	leave_in(90000);
	lab_advance(600 * MT_MSEC);
	look();
	CU_ASSERT_TRUE(mt_proxy_lasted(lab.p));
	answer();
	hears(c);
	look();
	CU_ASSERT_TRUE(mt_proxy_lasted(lab.p));
	mt_proxy_leave(lab.p, 0);
	look();
	CU_ASSERT_FALSE(mt_proxy_lasted(lab.p));
	scene_send_request(c, 'Q', 2, 64);
	lab_advance(600 * MT_MSEC);
	look();
	CU_ASSERT_TRUE(mt_proxy_lasted(lab.p));
	answer();
	scene_bye(c);
	scene_stop();
}

/* An opaque stream is noticed before a pass has ended. */
static void test_opaque_is_not_brief(void)
{
	begin(CONFIG_SAFE);
	answer();
	leave();
	look();
	CU_ASSERT_TRUE(mt_proxy_brief(lab.p));
	scene_bye(c);
	c = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_FALSE(mt_proxy_brief(lab.p));
	CU_ASSERT_EQUAL(mt_proxy_close(lab.p, &c->s, true), MT_CONN_CLOSED);
	scene_stop();
}

/* Clients that come one by one have gone elsewhere only after a second without a new one. */
static void test_left(void)
{
	begin(CONFIG_SAFE);
	answer();
	lab_advance(3 * MT_SEC);
	leave();
	CU_ASSERT_FALSE(mt_proxy_left(lab.p));
	lab_advance(2 * MT_SEC);
	CU_ASSERT_TRUE(mt_proxy_left(lab.p));
	c = lab_client(CONFIG_SAFE);
	CU_ASSERT_FALSE(mt_proxy_left(lab.p));
	scene_bye(c);
	lab_advance(900 * MT_MSEC);
	CU_ASSERT_TRUE(mt_proxy_idle(lab.p));
	CU_ASSERT_FALSE(mt_proxy_left(lab.p));
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_TRUE(mt_proxy_left(lab.p));
	scene_stop();
}

/* A call, its reply, and half a second. */
static void call(struct fake_conn *conn, uint64_t id)
{
	scene_send_request(conn, 'Q', id, 64);
	lab_advance(MT_MSEC);
	answer();
	hears(conn);
	lab_advance(500 * MT_MSEC);
}

/*
 * With a time, a client that goes on calling and knows no GOAWAY is closed between two calls, a
 * third of the time after the start of its drain. New clients are served.
 */
static void test_closes_while_open(void)
{
	uint64_t asked = 1;
	int halves;

	begin(CONFIG_SERIAL);
	answer();
	leave_in(12000);
	for (halves = 0; !c->detached && halves < 40; halves++)
		call(c, ++asked);
	CU_ASSERT(halves >= 7 && halves <= 9);
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), asked);
	CU_ASSERT_FALSE(lab.p->draining);
	c = lab_client(CONFIG_SERIAL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	call(c, ++asked);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), asked);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_draining), 0);
	scene_bye(c);
	scene_stop();
}

/* A client that comes while the worker leaves is notified within a third of the time. */
static void test_later_clients_drain(void)
{
	uint64_t asked = 1;

	begin(CONFIG_SAFE);
	answer();
	leave_in(9000);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_TRUE(c->detached);
	for (uint64_t n = 2; n < 5; n++) {
		c = lab_client(CONFIG_SAFE);
		CU_ASSERT_PTR_NOT_NULL_FATAL(c);
		scene_send_request(c, 'Q', ++asked, 64);
		lab_advance(MT_MSEC);
		answer();
		CU_ASSERT_EQUAL(scene_next_sent(c).id, asked);
		for (int i = 0; i < 32; i++)
			lab_advance(100 * MT_MSEC);
		CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'D');
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_goaway_sent), n);
		for (int i = 0; i < 12; i++)
			lab_advance(100 * MT_MSEC);
		CU_ASSERT_TRUE(c->detached);
	}
	scene_stop();
}

/* After mt_proxy_stay() no further client is notified, and a later drain is like a first one. */
static void test_stays(void)
{
	begin(CONFIG_SAFE);
	answer();
	hears(c);
	leave_in(9000);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'D');
	mt_proxy_stay(lab.p);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_FALSE(mt_proxy_brief(lab.p));
	c = lab_client(CONFIG_SAFE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	for (int i = 0; i < 20; i++)
		lab_advance(MT_SEC);
	CU_ASSERT_FALSE(c->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_goaway_sent), 1);
	leave();
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'D');
	close_all();
	lab_advance(10 * MT_MSEC);
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_TRUE(mt_proxy_idle(lab.p));
	mt_proxy_stay(lab.p);
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_SAFE));
	scene_stop();
}

/* A client keeps the time with which its drain began when the worker does not leave any more. */
static void test_keeps_its_time(void)
{
	uint64_t asked = 1;

	begin(CONFIG_SERIAL);
	answer();
	leave_in(90000);
	while (asked < 51)
		call(c, ++asked);
	toy_make(scene_buf, 'Q', ++asked, "call", 64);
	lab_feed(c, scene_buf, 40);
	mt_proxy_stay(lab.p);
	lab_advance(1500 * MT_MSEC);
	CU_ASSERT_FALSE(c->detached);
	lab_feed(c, scene_buf + 40, 24);
	answer();
	hears(c);
	CU_ASSERT_FALSE(c->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), asked);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_drain_timeout), 0);
	scene_bye(c);
	scene_stop();
}

const struct mt_test worker_drain_tests[] = {
	{"closes while open", test_closes_while_open},
	{"later clients drain", test_later_clients_drain},
	{"stays", test_stays},
	{"keeps its time", test_keeps_its_time},
	{"new clients are served", test_new_clients_are_served},
	{"a busy client stays", test_busy_client_stays},
	{"always owed", test_always_owed},
	{"a message stalls", test_message_stalls},
	{"brief", test_brief},
	{"lasted", test_lasted},
	{"an opaque stream", test_opaque_is_not_brief},
	{"left", test_left},
	{NULL, NULL},
};
