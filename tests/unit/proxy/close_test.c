/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that an operator closes, and listeners that one drains. */
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

static enum mt_conn_closing closes(struct fake_conn *conn, bool at_once)
{
	return mt_proxy_close(lab.p, &conn->s, at_once);
}

/* Its calls are answered, and it is closed when it is quiet. */
static void test_client(void)
{
	begin(CONFIG_SAFE);
	CU_ASSERT_EQUAL(closes(c, false), MT_CONN_DRAINS);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'D');
	CU_ASSERT_EQUAL(closes(c, false), MT_CONN_DRAINS);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_closed_by_operator), 1);
	scene_answer(s, scene_next_sent(s).id, 0x11, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	CU_ASSERT_FALSE(c->detached);
	scene_quiet();
	CU_ASSERT_TRUE(c->detached && c->refuses && !c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_reset), 0);
	scene_stop();
}

/* One without a call, of a protocol that cannot tell it, ends at once. */
static void test_quiet_client(void)
{
	begin(CONFIG_SERIAL);
	scene_answer(s, scene_next_sent(s).id, 0x11, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	lab_advance(MT_SEC);
	CU_ASSERT_EQUAL(closes(c, false), MT_CONN_CLOSED);
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_closed_by_operator), 1);
	scene_stop();
}

static void test_client_now(void)
{
	begin(CONFIG_SAFE);
	CU_ASSERT_EQUAL(closes(c, true), MT_CONN_CLOSED);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_closed_by_operator), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_reset), 1);
	/* The server's connection is other clients', too. */
	CU_ASSERT_FALSE(s->aborted || s->detached);
	scene_answer(s, scene_next_sent(s).id, 0x11, 40);
	scene_stop();
}

/* A server's connection ends with its last reply; the next call gets another one. */
static void test_server(void)
{
	struct fake_conn *other;

	begin(CONFIG_SAFE);
	CU_ASSERT_EQUAL(closes(s, false), MT_CONN_DRAINS);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_closed_by_operator), 1);
	scene_send_request(c, 'Q', 2, 64);
	other = lab_server(0) == s ? lab_server(1) : lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(other);
	CU_ASSERT_EQUAL(closes(other, false), MT_CONN_LEFT); /* not open yet */
	lab_connect(other);
	scene_answer(s, scene_next_sent(s).id, 0x11, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	CU_ASSERT_TRUE(s->detached);
	scene_answer(other, scene_next_sent(other).id, 0x12, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x12);
	CU_ASSERT_EQUAL(closes(other, false), MT_CONN_CLOSED);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_closed_by_operator), 2);
	scene_bye(c);
	scene_stop();
}

static void test_server_now(void)
{
	begin(CONFIG_SAFE);
	CU_ASSERT_EQUAL(closes(s, true), MT_CONN_CLOSED);
	CU_ASSERT_TRUE(s->aborted);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_CONN_LOST);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_closed_by_operator), 1);
	scene_bye(c);
	scene_stop();
}

/* By either side, while it is being connected and after that. */
static void test_opaque(void)
{
	for (int i = 0; i < 3; i++) {
		scene_start(1);
		c = lab_client(CONFIG_OPAQUE);
		s = lab_server(0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		if (i > 0)
			lab_connect(s);
		CU_ASSERT_EQUAL(closes(i == 2 ? s : c, i == 1), MT_CONN_CLOSED);
		CU_ASSERT_TRUE(c->aborted && s->aborted);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_closed_by_operator), 1);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_no_endpoint), 0);
		CU_ASSERT_EQUAL(
			mt_proxy_service_stats(lab.p, 1)->local[MT_ENDING_reset], i == 0 ? 1 : 0);
		scene_line_is("0 LR meltemi:reset");
		scene_stop();
	}
}

/* ---- a listener --------------------------------------------------------------------------------- */

static void publish(int slot, uint64_t version, uint16_t port, enum mt_listener_drain drain)
{
	struct mt_snapshot *snap = config_make(slot, version, 1, true);
	struct mt_listener *l = (struct mt_listener *)mt_snapshot_listener(snap, &c->t.local, port);

	l->drain = drain;
	l->drain_ms = 9000;
	mt_proxy_adopt(lab.p, snap);
	lab_advance(MT_MSEC);
}

/* New clients are refused, this one's calls are answered; then clients may come again. */
static void test_drained_listener(void)
{
	begin(CONFIG_SAFE);
	publish(1, 2, CONFIG_SAFE, MT_LISTENER_REFUSES);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_drained), 1);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'D');
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_SAFE));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_draining), 1);
	scene_answer(s, scene_next_sent(s).id, 0x11, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	scene_send_request(c, 'Q', 2, 64);
	scene_answer(s, scene_next_sent(s).id, 0x12, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x12);
	scene_quiet();
	CU_ASSERT_TRUE(c->detached && c->refuses);
	publish(2, 3, CONFIG_SAFE, MT_LISTENER_SERVES);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_drained), 1);
	c = lab_client(CONFIG_SAFE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	scene_bye(c);
	scene_stop();
	config_free(1);
	config_free(2);
}

/* A call and its reply; before them, what the client has been sent. */
static void calls(struct fake_conn *conn, uint64_t id)
{
	while (scene_next_sent(conn).kind)
		;
	scene_send_request(conn, 'Q', id, 64);
	lab_advance(MT_MSEC);
	scene_answer(s, scene_next_sent(s).id, 0x11, 40);
	CU_ASSERT_EQUAL(scene_next_sent(conn).first, 0x11);
}

static void tenths(int n)
{
	while (n-- > 0)
		lab_advance(100 * MT_MSEC);
}

/* Connected clients are notified. Later ones are served, and notified after a third of the time. */
static void test_listener_leaves(void)
{
	struct fake_conn *other;

	begin(CONFIG_SAFE);
	scene_answer(s, scene_next_sent(s).id, 0x11, 40);
	other = lab_client(CONFIG_SERIAL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(other);
	publish(1, 2, CONFIG_SAFE, MT_LISTENER_LEAVES);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_goaway_sent), 1);
	calls(c, 2);
	tenths(12);
	CU_ASSERT_TRUE(c->detached && c->refuses);
	for (uint64_t n = 2; n < 4; n++) {
		c = lab_client(CONFIG_SAFE);
		CU_ASSERT_PTR_NOT_NULL_FATAL(c);
		tenths(15);
		calls(c, n);
		tenths(14);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_goaway_sent), n - 1);
		CU_ASSERT_FALSE(c->detached);
		tenths(2);
		CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'D');
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_drained), n);
		tenths(12);
		CU_ASSERT_TRUE(c->detached);
	}
	CU_ASSERT_FALSE(other->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_draining), 0);
	scene_bye(other);
	scene_stop();
	config_free(1);
}

/* A client that knows no GOAWAY and goes on calling is closed between two calls. */
static void test_busy_client_leaves(void)
{
	uint64_t asked = 1;
	int tenth;

	begin(CONFIG_SERIAL);
	scene_answer(s, scene_next_sent(s).id, 0x11, 40);
	publish(1, 2, CONFIG_SERIAL, MT_LISTENER_LEAVES);
	for (int n = 0; n < 2; n++) {
		for (tenth = 0; !c->detached && tenth < 90; tenth++) {
			calls(c, ++asked);
			tenths(1);
		}
		/* The second client gets a third of the time before its drain begins. */
		CU_ASSERT(tenth >= 27 * (n + 1) && tenth <= 32 * (n + 1));
		CU_ASSERT_TRUE(c->detached);
		c = lab_client(CONFIG_SERIAL);
		CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), asked);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), asked);
	scene_bye(c);
	scene_stop();
	config_free(1);
}

/* A reload does not hasten a later client's turn, a refusal does, and the return ends it. */
static void test_turn(void)
{
	static const struct {
		enum mt_listener_drain next;
		uint64_t at_once, later; /* notified clients */
	} t[] = {
		{MT_LISTENER_LEAVES, 0, 1},
		{MT_LISTENER_REFUSES, 1, 1},
		{MT_LISTENER_SERVES, 0, 0},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		begin(CONFIG_SAFE);
		publish(1, 2, CONFIG_SAFE, MT_LISTENER_LEAVES);
		scene_answer(s, scene_next_sent(s).id, 0x11, 40);
		tenths(12);
		CU_ASSERT_TRUE(c->detached);
		c = lab_client(CONFIG_SAFE);
		CU_ASSERT_PTR_NOT_NULL_FATAL(c);
		tenths(10);
		publish(2, 3, CONFIG_SAFE, t[i].next);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_goaway_sent), 1 + t[i].at_once);
		tenths(21);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_goaway_sent), 1 + t[i].later);
		tenths(30);
		CU_ASSERT_EQUAL(c->detached, t[i].later > 0);
		if (!t[i].later)
			scene_bye(c);
		scene_stop();
		config_free(1);
		config_free(2);
	}
}

const struct mt_test close_tests[] = {
	{"client: served until it is quiet", test_client},
	{"client: quiet already", test_quiet_client},
	{"client: at once", test_client_now},
	{"server: ends after its last reply", test_server},
	{"server: at once", test_server_now},
	{"opaque stream: both sides", test_opaque},
	{"listener: refuses clients, and returns", test_drained_listener},
	{"listener: clients leave", test_listener_leaves},
	{"listener: a busy client leaves", test_busy_client_leaves},
	{"listener: the turn of a later client", test_turn},
	{NULL, NULL},
};
