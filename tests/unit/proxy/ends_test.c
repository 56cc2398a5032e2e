/* SPDX-License-Identifier: Apache-2.0 */
/* Calls and connections that end, stop or go on at awkward moments. */
#include "scene.h"
#include "toy_ids.h"

#include "mt_proxy_priv.h"

static const struct mt_proxy_conf one_of_each = {
	.max_down = 64, .max_up = 64, .max_exchanges = 4096, .bulk_lanes = 1, .serial_lanes = 1};

/*
 * The end of one call closes a connection, and a second call of the same client waits for one: it is not
 * sent in the middle of the client's end, when it may have to be answered to a client that is half gone.
 */
static void test_end_feeds_same_client(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .ring_slots = 1};
	struct fake_conn *c;

	scene_start_with(2, &conf);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	scene_send_request(c, 'Q', 2, 64);
	scene_connected_server(0);
	scene_connected_server(1);
	lab.refuse_open = true;
	scene_send_request(c, 'Q', 3, 64);
	CU_ASSERT_EQUAL(lab.p->pending[0], 1);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_client_closed), 3);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	scene_stop();
}

/* What waits goes before what comes in the same turn in which a connection becomes free. */
static void test_queue_keeps_its_order(void)
{
	struct fake_conn *c, *s;

	scene_start_with(1, &one_of_each);
	c = lab_client(CONFIG_SERIAL);
	for (uint64_t i = 1; i <= 2; i++)
		scene_send_request(c, 'Q', i, 64);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(scene_next_sent(s).id, 1);
	/* The reply and the third request arrive in one turn. */
	toy_make(scene_buf, 'P', toy_ids_at(s, 1), "done", 40);
	CU_ASSERT_EQUAL(mt_chain_write(&s->s.rx, &lab.pools, scene_buf, 40), 0);
	s->s.user->readable(&s->s);
	scene_send_request(c, 'Q', 3, 64);
	CU_ASSERT_EQUAL(scene_next_sent(s).id, 2);
	scene_answer(s, 2, 2, 40);
	CU_ASSERT_EQUAL(scene_next_sent(s).id, 3);
	scene_answer(s, 3, 3, 40);
	for (uint64_t i = 1; i <= 3; i++)
		CU_ASSERT_EQUAL(scene_next_sent(c).id, i);
	scene_bye(c);
	scene_stop();
}

/* Both ways: the end of a long message finds no memory, and no byte follows that would wake it. */
static void test_no_memory_goes_on(void)
{
	enum { LEN = 80000, HEAD = 70000 };
	struct fake_conn *c, *s, *to;
	uint32_t got;

	for (int reply = 0; reply < 2; reply++) {
		scene_start(1);
		scene_patient();
		c = lab_client(CONFIG_SAFE);
		scene_send_request(c, 'Q', 1, LEN);
		s = scene_connected_server(0);
		CU_ASSERT_EQUAL(scene_next_sent(s).len, LEN);
		if (!reply) {
			scene_answer(s, 1, 1, 40);
			CU_ASSERT_EQUAL(scene_next_sent(c).first, 1);
		}
		to = reply ? c : s;
		s = reply ? s : c;
		toy_make(scene_buf, reply ? 'P' : 'Q', 1, "long", LEN);
		toy_make(scene_buf + LEN, 'H', 9, "beat", TOY_HEADER);
		lab_feed(s, scene_buf, HEAD);
		CU_ASSERT_EQUAL(mt_chain_write(&s->s.rx, &lab.pools, scene_buf + HEAD,
					LEN - HEAD + TOY_HEADER),
			0);
		scene_starve();
		s->s.user->readable(&s->s);
		CU_ASSERT_TRUE(to->sent.len < LEN);
		scene_relieve();
		lab_advance(20 * MT_MSEC);
		got = lab_take(to, scene_buf, LEN);
		CU_ASSERT_EQUAL(got, LEN);
		CU_ASSERT_TRUE(scene_counted(MT_PROXY_no_memory) > 0);
		CU_ASSERT_EQUAL(scene_next_sent(s).kind, 'h');
		lab_close(c, MT_CLOSE_RESET);
		scene_stop();
	}
}

/* "Send me nothing new" on a connection on which nothing is awaited: it closes at once. */
static void test_drain_event_idle(void)
{
	struct fake_conn *c, *s;

	for (int serial = 0; serial < 2; serial++) {
		scene_start(1);
		c = lab_client(serial ? CONFIG_SERIAL : CONFIG_SAFE);
		scene_send_request(c, 'Q', 1, serial ? 64 : 70000);
		s = scene_connected_server(0);
		scene_next_sent(s);
		scene_answer(s, 1, 1, 40);
		CU_ASSERT_EQUAL(lab.p->ups.in_use, 1);
		scene_send_request(s, 'D', 0, TOY_HEADER);
		CU_ASSERT_TRUE(s->detached);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_drained), 1);
		lab_close(c, MT_CLOSE_RESET);
		scene_stop();
	}
}

/* A reply that comes while a one-way call is still being sent is skipped. */
static void test_oneway_answered(void)
{
	enum { LEN = 100000 };
	struct fake_conn *c, *s;

	for (uint32_t reply = 40; reply < 80000; reply += 70000) {
		scene_start(1);
		c = lab_client(CONFIG_SAFE);
		toy_make(scene_buf, 'O', 7, "call", LEN);
		lab_feed(c, scene_buf, 1000);
		s = scene_connected_server(0);
		scene_answer(s, 7, 1, reply);
		CU_ASSERT_EQUAL(c->sent.len, 0);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
		CU_ASSERT_TRUE(s->live && !s->detached);
		toy_make(scene_buf, 'O', 7, "call", LEN);
		lab_feed(c, scene_buf + 1000, LEN - 1000);
		CU_ASSERT_EQUAL(s->sent.len, LEN);
		scene_next_sent(s);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway), 1);
		CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
		CU_ASSERT_TRUE(s->live && !s->detached);
		scene_bye(c);
		CU_ASSERT_TRUE(c->detached);
		scene_stop();
	}
}

/* A server that answers once too often: the next call does not meet that reply. */
static void test_surplus_reply(void)
{
	/* What comes behind the reply: all of another one, its begin, all of one while idle. */
	for (int how = 0; how < 3; how++) {
		struct fake_conn *c[2], *s;
		uint64_t id;

		scene_start_with(1, &one_of_each);
		for (int i = 0; i < 2; i++) {
			c[i] = lab_client(CONFIG_SERIAL);
			if (how < 2 || i == 0)
				scene_send_request(c[i], 'Q', 5, 64);
		}
		s = scene_connected_server(0);
		id = toy_ids_at(s, 5);
		toy_make(scene_buf, 'P', id, "done", 40);
		toy_make(scene_buf + 40, 'P', id, "more", 40);
		lab_feed(s, scene_buf, how == 0 ? 80 : how == 1 ? 60 : 40);
		if (how == 2)
			lab_feed(s, scene_buf + 40, 40);
		/* A whole reply is skipped, but no call waits after one that has only begun. */
		CU_ASSERT_EQUAL(s->detached, how == 1);
		CU_ASSERT_EQUAL(scene_next_sent(c[0]).kind, 'P');
		CU_ASSERT_EQUAL(c[0]->sent.len, 0);
		CU_ASSERT_EQUAL(c[1]->sent.len, 0);
		if (how == 2)
			scene_send_request(c[1], 'Q', 5, 64);
		if (how == 1)
			s = scene_connected_server(0);
		scene_answer(s, 5, 0x42, 40);
		CU_ASSERT_EQUAL(scene_next_sent(c[1]).first, 0x42);
		for (int i = 0; i < 2; i++)
			scene_bye(c[i]);
		scene_stop();
	}
}

/* Meltemi drains while a long request is under way: it is finished and answered, and so is what comes behind it. */
static void test_drain_in_message(void)
{
	enum { LEN = 100000 };
	struct fake_conn *c, *s;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 1, "call", LEN);
	lab_feed(c, scene_buf, 1000);
	s = scene_connected_server(0);
	mt_proxy_drain(lab.p);
	lab_advance(MT_MSEC);
	toy_make(scene_buf, 'Q', 1, "call", LEN);
	lab_feed(c, scene_buf + 1000, LEN - 1000);
	CU_ASSERT_EQUAL(s->sent.len, LEN);
	scene_send_request(c, 'Q', 2, 64);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), 2);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'D');
	scene_answer(s, 1, 0x17, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x17);
	s = scene_connected_server(1);
	scene_answer(s, scene_next_sent(s).id, 0x18, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x18);
	CU_ASSERT_FALSE(c->detached);
	scene_quiet();
	CU_ASSERT_TRUE(c->detached && c->refuses);
	scene_stop();
}

/* What has only begun when Meltemi drains does not cost the client what it is owed. */
static void test_drain_with_a_begun_message(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
	toy_make(scene_buf, 'Q', 2, "call", 64);
	lab_feed(c, scene_buf, 30);
	mt_proxy_drain(lab.p);
	lab_advance(9 * MT_SEC);
	CU_ASSERT_FALSE(c->refuses);
	lab_advance(6 * MT_SEC);
	CU_ASSERT_TRUE_FATAL(c->live);
	CU_ASSERT_TRUE(c->refuses);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_message_stalled), 1);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'D');
	scene_answer(s, scene_next_sent(s).id, 0x19, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x19);
	CU_ASSERT_TRUE(c->detached);
	scene_stop();
}

/* A header and then silence from a server: its shared connection would stay blocked for everybody. */
static void test_stalled_reply(void)
{
	struct fake_conn *c, *s;
	uint64_t id;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	scene_send_request(c, 'Q', 2, 64);
	s = scene_connected_server(0);
	id = scene_next_sent(s).id;
	toy_make(scene_buf, 'P', id, "done", 4000);
	lab_feed(s, scene_buf, 100);
	lab_advance(9 * MT_SEC);
	CU_ASSERT_TRUE(s->live);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_TRUE(s->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_stalled), 1);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_TIMEOUT);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_TIMEOUT);
	scene_bye(c);
	scene_stop();
}

/* A long reply waits for its reader, goes on, and then the server falls silent. */
static void test_stalled_after_pause(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 70000);
	s = scene_connected_server(0);
	toy_make(scene_buf, 'P', 1, "done", 1000000);
	for (uint32_t at = 0; at < 500000; at += 50000)
		lab_feed(s, scene_buf + at, 50000);
	CU_ASSERT_TRUE(c->sent.len < 500000);
	for (int i = 0; i < 12; i++) {
		lab_advance(MT_SEC);
		lab_take(c, scene_buf, 5000);
	}
	CU_ASSERT_TRUE(c->live);
	while (lab_take(c, scene_buf, SCENE_BUF))
		;
	lab_advance(11 * MT_SEC);
	CU_ASSERT_TRUE(s->aborted);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_truncated), 1);
	scene_stop();
}

/* The client leaves while its long reply waits for it: the connection is soon free for others. */
static void test_leaves_a_paused_reply(void)
{
	enum { LEN = 900000 };
	struct fake_conn *c, *s;

	scene_start_with(1, &one_of_each);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 70000);
	s = scene_connected_server(0);
	scene_next_sent(s);
	toy_make(scene_buf, 'P', 1, "done", LEN);
	for (uint32_t at = 0; at < LEN; at += 50000)
		lab_feed(s, scene_buf + at, 50000);
	CU_ASSERT_TRUE(c->sent.len < LEN);
	lab_close(c, MT_CLOSE_RESET);
	lab_advance(10 * MT_MSEC);
	CU_ASSERT_TRUE(s->live);
	CU_ASSERT_EQUAL(s->s.rx.len, 0);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 2, 70000);
	CU_ASSERT_EQUAL(scene_next_sent(s).id, 2);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* The reply comes before the request is whole, and the client ends in the middle: half of a reply is out. */
static void test_cut_off_in_a_reply(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 1, "call", 100000);
	lab_feed(c, scene_buf, 1000);
	s = scene_connected_server(0);
	toy_make(scene_buf, 'P', 1, "done", 100000);
	lab_feed(s, scene_buf, 70000);
	CU_ASSERT_EQUAL(c->sent.len, 70000);
	lab_fin(c);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_truncated), 1);
	scene_stop();
}

/* Two connections drain behind slow calls: there is still one for new calls. */
static void test_draining_connections_do_not_count(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	for (uint64_t i = 1; i <= 3; i++) {
		scene_send_request(c, 'Q', i, 64);
		CU_ASSERT_EQUAL_FATAL(lab_n_servers(), i);
		s = scene_connected_server((uint32_t)i - 1);
		CU_ASSERT_EQUAL(scene_next_sent(s).first, i);
		scene_send_request(s, 'D', 0, TOY_HEADER);
		CU_ASSERT_TRUE(s->live && !s->detached);
		lab_advance(6 * MT_SEC);
	}
	lab_close(c, MT_CLOSE_RESET);
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	scene_stop();
}

/* Each connect failure, reset and lost call is a failure of the endpoint, once; what this node ends is none. */
static void test_endpoint_failures(void)
{
	const struct mt_ep_stats *st;
	struct fake_conn *c, *s;

	scene_start(1);
	st = mt_proxy_ep_stats(lab.p, 0);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	lab_close(lab_server(0), MT_CLOSE_REFUSED);
	CU_ASSERT(st->failures == 1 && st->connect_failed == 1);
	scene_send_request(c, 'Q', 2, 64);
	lab_close(lab_server(0), MT_CLOSE_NO_SOURCE_PORT);
	CU_ASSERT(st->failures == 1 && st->connect_failed == 1);
	scene_send_request(c, 'Q', 3, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 3, 40);
	lab_close(s, MT_CLOSE_RESET);
	CU_ASSERT(st->failures == 2 && st->connect_failed == 1);
	scene_send_request(c, 'Q', 4, 64);
	scene_send_request(c, 'Q', 5, 64);
	s = scene_connected_server(0);
	scene_next_sent(s);
	scene_next_sent(s);
	lab_close(s, MT_CLOSE_TIMEOUT);
	CU_ASSERT(st->failures >= 3 && st->failures <= 4 && st->connect_failed == 1);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

static void test_endpoint_failures_of_bytes(void)
{
	const struct mt_ep_stats *st;
	struct fake_conn *c, *s;
	uint8_t rest[8];

	scene_start(1);
	st = mt_proxy_ep_stats(lab.p, 0);
	lab_client(CONFIG_OPAQUE);
	lab_close(lab_server(0), MT_CLOSE_REFUSED);
	CU_ASSERT(st->failures == 1 && st->connect_failed == 1);
	c = lab_client(CONFIG_OPAQUE);
	s = scene_connected_server(0);
	lab_feed(s, "hello", 5);
	lab_close(s, MT_CLOSE_RESET);
	CU_ASSERT(st->failures == 2 && st->connect_failed == 1);
	CU_ASSERT_EQUAL(lab_take(c, rest, 5), 5);
	scene_stop();
}

static void ended(uint64_t ok, uint64_t errors)
{
	const struct mt_ep_answers *n = &mt_proxy_ep_hist(lab.p, 0)->answers;

	CU_ASSERT_EQUAL(n->ok, ok);
	CU_ASSERT_EQUAL(n->errors, errors);
}

/* How calls ended at an endpoint: connections that cost no call are neither a success nor an error. */
static void test_endpoint_answers(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	scene_send_request(c, 'Q', 2, 64);
	lab_close(lab_server(0), MT_CLOSE_REFUSED);
	ended(0, 2);
	scene_send_request(c, 'Q', 3, 64);
	lab_close(lab_server(0), MT_CLOSE_NO_SOURCE_PORT);
	ended(0, 2);
	scene_send_request(c, 'Q', 4, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 4, 40);
	ended(1, 2);
	lab_close(s, MT_CLOSE_RESET);
	ended(1, 2);
	scene_send_request(c, 'Q', 5, 64);
	s = scene_connected_server(0);
	toy_make(scene_buf, 'P', scene_next_sent(s).id, "done", 40);
	scene_buf[2] = 1;
	lab_feed(s, scene_buf, 40);
	ended(1, 3);
	/* Not answered in time; then its reply comes late. */
	scene_send_request(c, 'Q', 6, 64);
	s = lab_server(0);
	toy_make(scene_buf, 'P', scene_next_sent(s).id, "done", 40);
	lab_advance(1100 * MT_MSEC);
	ended(1, 4);
	lab_feed(s, scene_buf, 40);
	ended(1, 4);
	/* Its client leaves. */
	scene_send_request(c, 'Q', 8, 64);
	lab_close(c, MT_CLOSE_RESET);
	ended(1, 4);
	scene_stop();
}

/*
 * Calls to an endpoint whose place another one has by now: their failures and late replies neither
 * count for the new endpoint nor wipe its numbers.
 */
static void test_endpoint_replaced(void)
{
	enum { RESET, REFUSED, ANSWERED, CASES };

	for (int i = 0; i < CASES; i++) {
		struct fake_conn *c, *old, *s;
		struct mt_ep_state *st;
		uint64_t id;

		scene_start(1);
		scene_patient();
		st = lab.snap->clusters[0].eps[0].state;
		c = lab_client(CONFIG_SAFE);
		scene_send_request(c, 'Q', 1, 64);
		old = i == REFUSED ? lab_server(0) : scene_connected_server(0);
		id = st->id;
		st->id = id + 1000;
		scene_send_request(c, 'Q', 2, 64);
		CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 2);
		s = scene_connected_server(1);
		scene_answer(s, scene_next_sent(s).id, 2, 40);
		ended(1, 0);
		if (i == ANSWERED)
			scene_answer(old, scene_next_sent(old).id, 1, 40);
		else
			lab_close(old, i == RESET ? MT_CLOSE_RESET : MT_CLOSE_REFUSED);
		ended(1, 0);
		CU_ASSERT_EQUAL(lab.p->ep_stats[0].failures, 0);
		CU_ASSERT_EQUAL(lab.p->ep_hists[0].ep_id, id + 1000);
		lab_close(c, MT_CLOSE_RESET);
		scene_stop();
	}
}

const struct mt_test ends_tests[] = {
	{"a replaced endpoint", test_endpoint_replaced},
	{"answers of an endpoint", test_endpoint_answers},
	{"failures of an endpoint", test_endpoint_failures},
	{"failures of an endpoint of byte streams", test_endpoint_failures_of_bytes},
	{"a client's end frees what its own call waits for", test_end_feeds_same_client},
	{"a queue keeps its order", test_queue_keeps_its_order},
	{"no memory for the end of a long message", test_no_memory_goes_on},
	{"drain event on an idle connection", test_drain_event_idle},
	{"a one-way call is answered", test_oneway_answered},
	{"one reply too many", test_surplus_reply},
	{"drain in the middle of a request", test_drain_in_message},
	{"drain with a begun message", test_drain_with_a_begun_message},
	{"stalled reply", test_stalled_reply},
	{"stalled reply after a pause", test_stalled_after_pause},
	{"client leaves a paused reply", test_leaves_a_paused_reply},
	{"cut off in the middle of a reply", test_cut_off_in_a_reply},
	{"draining connections do not count", test_draining_connections_do_not_count},
	{0},
};
