/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds most of a kind of memory gives way: what clients and servers see of it. */
#include "scene.h"

#include "mt_proxy_priv.h"

/* The first `n` bytes of a request of `len`. */
static void begin_request(struct fake_conn *c, uint64_t id, uint32_t len, uint32_t n)
{
	toy_make(scene_buf, 'Q', id, "some", len);
	lab_feed(c, scene_buf, n);
}

static void test_incomplete_request(void)
{
	struct fake_conn *c;
	struct toy said;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	begin_request(c, 7, 60000, 20000);
	CU_ASSERT(lab_holds(c).of[MT_CLASS_RECEIVING] >= 20000);
	lab_evict(c, MT_CLASS_RECEIVING);
	said = scene_next_sent(c);
	CU_ASSERT_EQUAL(said.kind, 'P');
	CU_ASSERT_EQUAL(said.status, 1);
	CU_ASSERT_EQUAL(said.id, 7);
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_evicted_receiving), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_overload), 1);
	scene_stop();
}

/* What came of a message is put back: it is forgotten, and nobody is told. It comes again, and it may take its time. */
static void test_begin_that_comes_again(void)
{
	struct fake_conn *c;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	lab.puts_back = true;
	begin_request(c, 7, 3000, 1000);
	CU_ASSERT_EQUAL(c->s.rx.len, 0);
	lab_advance(12 * MT_SEC);
	CU_ASSERT_FALSE(c->aborted || c->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_message_stalled), 0);
	begin_request(c, 8, 200, 200); /* what was read before is forgotten */
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 1);
	lab_connect(lab_server(0));
	CU_ASSERT_EQUAL(scene_next_sent(lab_server(0)).first, 8);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* The rest of a long request that goes on to its server is nothing that could be put back. */
static void test_rest_goes_on(void)
{
	enum { LEN = 100000 };
	struct fake_conn *c, *s;
	uint32_t n, all = 0;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	begin_request(c, 7, LEN, 1000);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 1);
	s = lab_server(0);
	lab.puts_back = true;
	toy_make(scene_buf, 'Q', 7, "some", LEN);
	lab_feed(c, scene_buf + 1000, LEN - 1000);
	lab_connect(s);
	while ((n = lab_take(s, scene_buf, SCENE_BUF)) > 0)
		all += n;
	CU_ASSERT_EQUAL(all, LEN);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* An answer now would be out of its place, or nothing is known that could be answered. */
static void test_incomplete_request_behind_a_call(void)
{
	struct fake_conn *c, *other;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	scene_connected_server(0);
	begin_request(c, 2, 60000, 20000);
	lab_evict(c, MT_CLASS_RECEIVING);
	CU_ASSERT_TRUE(c->aborted);
	other = lab_client(CONFIG_SAFE);
	begin_request(other, 1, 60000, 5);
	lab_evict(other, MT_CLASS_RECEIVING);
	CU_ASSERT_TRUE(other->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_evicted_receiving), 2);
	scene_stop();
}

/* Calls that wait are answered; the one that is under way, and the connection, go on. */
static void test_waiting_calls(void)
{
	static const struct mt_proxy_conf conf = {.serial_lanes = 1};
	struct fake_conn *c, *s;

	scene_start_with(1, &conf);
	scene_patient();
	c = lab_client(CONFIG_SERIAL);
	for (uint64_t i = 1; i <= 3; i++)
		scene_send_request(c, 'Q', i, 3000);
	s = scene_connected_server(0);
	CU_ASSERT(lab_holds(c).of[MT_CLASS_WAITING] >= 6000);
	lab_evict(c, MT_CLASS_WAITING);
	CU_ASSERT_EQUAL(lab_holds(c).of[MT_CLASS_REPLYING] > 0, true);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_overload), 2);
	scene_answer(s, scene_next_sent(s).id, 1, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).status, 0);
	for (uint64_t i = 2; i <= 3; i++) {
		struct toy said = scene_next_sent(c);

		CU_ASSERT_EQUAL(said.id, i);
		CU_ASSERT_EQUAL(said.status, 1);
	}
	CU_ASSERT_EQUAL(lab_holds(c).of[MT_CLASS_WAITING], 0);
	CU_ASSERT_TRUE(c->live);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_evicted_waiting), 1);
	scene_send_request(c, 'Q', 4, 64);
	CU_ASSERT_EQUAL(scene_next_sent(s).id, 4);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

static void test_unread_replies(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 1, 60000);
	lab_evict(c, MT_CLASS_REPLYING);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_evicted_replying), 1);
	scene_stop();
}

/* Either end of a byte stream: both go. One that is still being joined, too. */
static void test_byte_streams(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	for (uint32_t i = 0; i < 2; i++) {
		c = lab_client(CONFIG_OPAQUE);
		s = scene_connected_server(0);
		CU_ASSERT_EQUAL(s->s.rx_class, MT_CLASS_STREAMING);
		CU_ASSERT_TRUE(c->s.yields && s->s.yields);
		lab_evict(i ? c : s, MT_CLASS_STREAMING);
		CU_ASSERT_TRUE(c->aborted && s->aborted);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_evicted_streaming), i + 1);
	}
	c = lab_client(CONFIG_OPAQUE);
	lab_evict(c, MT_CLASS_STREAMING);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_evicted_streaming), 3);
	scene_stop();
}

/* A reply that is kept until it is whole, on a connection that others share: its call is answered natively, theirs go on. */
static void test_shared_reply(void)
{
	struct fake_conn *c, *s = NULL;
	struct toy said;
	uint64_t id[2];

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < 2; i++) {
		scene_send_request(c, 'Q', 1 + i, 64);
		s = scene_connected_server(0);
		id[i] = scene_next_sent(s).id;
	}
	toy_make(scene_buf, 'P', id[0], "done", 60000);
	lab_feed(s, scene_buf, 30000);
	CU_ASSERT(lab_holds(s).of[MT_CLASS_REPLYING] >= 30000);
	lab_evict(s, MT_CLASS_REPLYING);
	CU_ASSERT_EQUAL(lab_holds(s).of[MT_CLASS_REPLYING], 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_evicted), 1);
	said = scene_next_sent(c);
	CU_ASSERT_EQUAL(said.id, 1);
	CU_ASSERT_EQUAL(said.status, 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_overload), 1);
	/* The rest goes nowhere, and the reply behind it to its call. */
	lab_feed(s, scene_buf + 30000, 30000);
	scene_answer(s, id[1], 2, 64);
	said = scene_next_sent(c);
	CU_ASSERT_EQUAL(said.id, 2);
	CU_ASSERT_EQUAL(said.status, 0);
	CU_ASSERT_TRUE(s->live);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* A connection that others share takes no more calls; it ends when that was long enough ago. */
static void test_shared_server(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
	scene_next_sent(s);
	lab_evict(s, MT_CLASS_REPLYING);
	lab_evict(s, MT_CLASS_REPLYING);
	CU_ASSERT_TRUE(s->live);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_evicted), 1);
	scene_send_request(c, 'Q', 2, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	lab_advance(9 * MT_SEC);
	lab_evict(s, MT_CLASS_REPLYING);
	CU_ASSERT_TRUE(s->live);
	lab_advance(2 * MT_SEC);
	if (s->live)
		lab_evict(s, MT_CLASS_REPLYING);
	CU_ASSERT_TRUE(s->aborted);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

const struct mt_test evict_tests[] = {
	{"byte streams", test_byte_streams},
	{"reply on a shared connection", test_shared_reply},
	{"incomplete request", test_incomplete_request},
	{"begin that comes again", test_begin_that_comes_again},
	{"the rest goes on", test_rest_goes_on},
	{"incomplete request behind a call", test_incomplete_request_behind_a_call},
	{"waiting calls", test_waiting_calls},
	{"unread replies", test_unread_replies},
	{"shared server", test_shared_server},
	{0},
};
