/* SPDX-License-Identifier: Apache-2.0 */
/* What of a stream's received bytes shuts its peer's window: what could not be decoded, not what must be whole. */
#include "scene.h"

#include <string.h>

#define PIECE 10000u

/* What shuts it. */
static uint32_t unread(const struct fake_conn *c)
{
	return c->s.rx.len - c->s.rx_kept;
}

/* All but the last byte of a message of `len`: none of it is a reason to stop its sender. */
static void feed_unshut(struct fake_conn *c, char kind, uint64_t id, uint32_t len)
{
	toy_make(scene_buf, kind, id, "some", len);
	for (uint32_t at = 0; at < len - 1; at += PIECE) {
		lab_feed(c, scene_buf + at, MT_MIN(PIECE, len - 1 - at));
		CU_ASSERT_EQUAL(unread(c), 0);
	}
	CU_ASSERT_EQUAL(c->s.rx.len, len - 1);
	CU_ASSERT_EQUAL(lab_holds(c).of[c->s.rx_class], c->s.rx.truesize);
	lab_feed(c, scene_buf + len - 1, 1);
	CU_ASSERT_EQUAL(c->s.rx.len, 0);
	CU_ASSERT_EQUAL(c->s.rx_kept, 0);
}

static void test_whole_messages(void)
{
	enum { LEN = 500000, REPLY = 60000 };
	struct fake_conn *c, *s;
	struct toy q;

	scene_start(1);
	lab.snap->listeners[0].protos->services[0]->early_ok = false;
	c = lab_client(CONFIG_SAFE);
	feed_unshut(c, 'Q', 7, LEN);
	s = scene_connected_server(0);
	q = scene_next_sent(s);
	CU_ASSERT_EQUAL(q.len, LEN);
	feed_unshut(s, 'P', q.id, REPLY);
	CU_ASSERT_EQUAL(scene_next_sent(c).len, REPLY);
	scene_bye(c);
	scene_stop();
}

/* A client that has as many calls out as it may: what it sends on top of them stays in its window. */
static void test_too_many_calls(void)
{
	enum { MAY = 3, LEN = 1000, N = 10 };
	struct fake_conn *c, *s;

	scene_start_with(1, &(struct mt_proxy_conf){.down_outstanding = MAY});
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < N; i++)
		toy_make(scene_buf + i * LEN, 'Q', 1 + i, "some", LEN);
	lab_feed(c, scene_buf, N * LEN);
	s = scene_connected_server(0);
	for (uint32_t i = 0; i < N; i++) {
		struct toy q = scene_next_sent(s);

		CU_ASSERT_EQUAL(unread(c), (N - MT_MIN((uint32_t)N, i + MAY)) * LEN);
		CU_ASSERT_EQUAL(q.len, LEN);
		scene_answer(s, q.id, 1, 40);
	}
	for (uint32_t i = 0; i < N; i++)
		CU_ASSERT_EQUAL(scene_next_sent(c).id, 1 + i);
	scene_bye(c);
	scene_stop();
}

/* A client that does not read its reply, in the middle of its next message; answers the length of that. */
static uint32_t begin_deaf(struct fake_conn **c, uint32_t had)
{
	enum { LEN = 50000 };
	struct fake_conn *s;

	scene_start_with(1, &(struct mt_proxy_conf){.reply_soft = 20000, .wide_from = 65536});
	scene_patient();
	*c = lab_client(CONFIG_SAFE);
	scene_send_request(*c, 'Q', 1, 64);
	s = scene_connected_server(0);
	toy_make(scene_buf, 'Q', 2, "some", LEN);
	lab_feed(*c, scene_buf, had);
	scene_answer(s, scene_next_sent(s).id, 1, 40000);
	toy_make(scene_buf, 'Q', 2, "some", LEN);
	return LEN;
}

/* What was kept before it stopped reading still is, what comes now shuts its window, and all goes on when it reads. */
static void test_deaf_in_the_middle(void)
{
	enum { HAD = 3000 };
	struct fake_conn *c;
	uint32_t len = begin_deaf(&c, HAD);

	CU_ASSERT_EQUAL(c->s.rx_kept, HAD);
	for (uint32_t at = HAD; at < len - 1; at += PIECE)
		lab_feed(c, scene_buf + at, MT_MIN(PIECE, len - 1 - at));
	CU_ASSERT_EQUAL(c->s.rx_kept, HAD);
	CU_ASSERT_EQUAL(unread(c), len - 1 - HAD);
	while (lab_take(c, scene_buf, SCENE_BUF))
		;
	CU_ASSERT_EQUAL(unread(c), 0);
	CU_ASSERT_EQUAL(c->s.rx_kept, len - 1);
	toy_make(scene_buf, 'Q', 2, "some", len);
	lab_feed(c, scene_buf + len - 1, 1);
	CU_ASSERT_EQUAL(scene_next_sent(lab_server(0)).len, len);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* One that stopped is charged for what is kept, and has to give way: told so, for a message that has begun. */
static void test_stopped_is_evicted(void)
{
	enum { HAD = 30000 };
	struct fake_conn *c;
	struct toy said;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 7, "some", 50000);
	lab_feed(c, scene_buf, HAD);
	CU_ASSERT_EQUAL(c->s.rx_kept, HAD);
	CU_ASSERT_TRUE(lab_holds(c).of[MT_CLASS_RECEIVING] >= HAD);
	lab_evict(c, MT_CLASS_RECEIVING);
	said = scene_next_sent(c);
	CU_ASSERT_EQUAL(said.kind, 'P');
	CU_ASSERT_EQUAL(said.id, 7);
	CU_ASSERT_TRUE(c->detached);
	scene_stop();
}

/* Nothing is known of bytes that were not decoded: what was decoded last is no call that could be answered again. */
static void test_undecoded_is_evicted(void)
{
	struct fake_conn *c;

	begin_deaf(&c, 0);
	lab_feed(c, scene_buf, 3000);
	CU_ASSERT_EQUAL(unread(c), 3000);
	lab_evict(c, MT_CLASS_RECEIVING);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_overload), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_evicted_receiving), 1);
	scene_stop();
}

const struct mt_test window_tests[] = {
	{"whole messages", test_whole_messages},
	{"too many calls", test_too_many_calls},
	{"deaf in the middle of a message", test_deaf_in_the_middle},
	{"stopped is evicted", test_stopped_is_evicted},
	{"undecoded is evicted", test_undecoded_is_evicted},
	{0},
};
