/* SPDX-License-Identifier: Apache-2.0 */
/* Short calls do not share a connection with those whose bytes would hold them up. */
#include "scene.h"

#include "mt_proxy_priv.h"

#define SHORT 8192 /* at most */
#define LONG  20000
#define APART 64 /* calls behind a reply that is not short */
#define MANY  500

static struct fake_conn *a, *b;

static void begin_with(uint32_t pending)
{
	scene_start_with(1, &(struct mt_proxy_conf){.max_exchanges = 4096, .pending_max = pending});
	scene_patient();
	a = lab_client_from(CONFIG_SAFE, 1);
	b = lab_client_from(CONFIG_SAFE, 3);
}

static void begin(void)
{
	begin_with(0);
}

static void end(void)
{
	lab_close(a, MT_CLOSE_RESET);
	lab_close(b, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(lab.p->fairs.in_use, 0);
	scene_stop();
}

/* Sends so many as it takes to fill both connections for them, whose servers do not read, and some that wait. */
static void fill_wide(struct fake_conn *s[2])
{
	for (uint32_t i = 0; i < 2; i++) {
		for (uint32_t n = 0; n < MANY && lab_n_servers() == i; n++)
			scene_send_request(a, 'Q', 1, LONG);
		s[i] = scene_connected_server(i);
		s[i]->shut_window = true;
	}
	for (uint32_t i = 0; i < MANY && lab.p->pending[0] < 10; i++)
		scene_send_request(a, 'Q', 1, LONG);
	CU_ASSERT_EQUAL(lab.p->pending[0], 10);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
}

static void test_short_ones_pass(void)
{
	struct fake_conn *s[3];

	begin();
	fill_wide(s);
	for (uint32_t i = 0; i < 5; i++)
		scene_send_request(i % 2 ? a : b, 'Q', 2, i ? 64 : SHORT);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 3);
	s[2] = scene_connected_server(2);
	for (uint32_t i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(scene_next_sent(s[2]).first, 2);
	CU_ASSERT_EQUAL(lab.p->pending[0], 10);
	/* And what waits is not put where they go: it waits for its own. */
	lab_advance(MT_SEC);
	CU_ASSERT_EQUAL(scene_next_sent(s[2]).kind, 0);
	s[0]->shut_window = false;
	while (scene_next_sent(s[0]).kind)
		;
	CU_ASSERT_EQUAL(lab.p->pending[0], 0);
	end();
}

/* Those that are not short take turns among each other. */
static void test_wide_takes_turns(void)
{
	struct fake_conn *s[2];
	uint32_t n = 0;

	begin();
	fill_wide(s);
	scene_send_request(b, 'Q', 2, SHORT + 1);
	CU_ASSERT_EQUAL(lab.p->pending[0], 11);
	s[0]->shut_window = false;
	for (struct toy q; (q = scene_next_sent(s[0])).kind && q.first != 2;)
		n++;
	CU_ASSERT_TRUE(n <= 4);
	end();
}

/* Whose reply was not short goes apart for a while, with short calls too. */
static void test_behind_a_reply(void)
{
	struct fake_conn *s[2];

	begin();
	scene_send_request(a, 'Q', 1, 64);
	s[0] = scene_connected_server(0);
	scene_answer(s[0], scene_next_sent(s[0]).id, 1, SHORT);
	scene_send_request(a, 'Q', 1, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	scene_answer(s[0], scene_next_sent(s[0]).id, 1, SHORT + 1);
	for (uint32_t i = 0; i < APART; i++) {
		scene_send_request(a, 'Q', 2, 64);
		scene_send_request(b, 'Q', 3, 64);
	}
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 2);
	s[1] = scene_connected_server(1);
	for (uint32_t i = 0; i < APART; i++) {
		CU_ASSERT_EQUAL(scene_next_sent(s[0]).first, 3);
		CU_ASSERT_EQUAL(scene_next_sent(s[1]).first, 2);
	}
	scene_send_request(a, 'Q', 4, 64);
	CU_ASSERT_EQUAL(scene_next_sent(s[0]).first, 4);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	end();
}

/* With a limit of one connection both kinds are on it, whichever was first. */
static void at_the_limit(uint32_t first, uint32_t then)
{
	struct fake_conn *s;

	begin();
	lab.snap->clusters[0].max_connections = 1;
	scene_send_request(a, 'Q', 1, first);
	scene_send_request(b, 'Q', 2, then);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(scene_next_sent(s).first, 1);
	CU_ASSERT_EQUAL(scene_next_sent(s).first, 2);
	s->shut_window = true;
	scene_send_request(a, 'Q', 1, first);
	for (uint32_t i = 0; i < MANY && lab.p->pending[0] < 3; i++)
		scene_send_request(b, 'Q', 2, then);
	CU_ASSERT_EQUAL(lab.p->pending[0], 3);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	s->shut_window = false;
	while (scene_next_sent(s).kind)
		;
	CU_ASSERT_EQUAL(lab.p->pending[0], 0);
	end();
}

/* There each has his turn, too, whatever kind of call waits. */
static void turns_at_the_limit(uint32_t many, uint32_t one)
{
	uint32_t bytes = 0, sent = 0;
	struct fake_conn *s;

	begin();
	lab.snap->clusters[0].max_connections = 1;
	scene_send_request(a, 'Q', 1, many);
	s = scene_connected_server(0);
	s->shut_window = true;
	for (uint32_t i = 0; i < MANY && lab.p->pending[0] < 100; i++, sent += many)
		scene_send_request(a, 'Q', 1, many);
	sent -= 100 * many;
	scene_send_request(b, 'Q', 2, one);
	CU_ASSERT_EQUAL(lab.p->pending[0], 101);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	s->shut_window = false;
	for (struct toy q; (q = scene_next_sent(s)).kind && q.first != 2;)
		bytes += many;
	CU_ASSERT_TRUE(bytes <= sent + one + 3 * MT_MAX(many, 2048u));
	while (scene_next_sent(s).kind)
		;
	end();
}

static void test_turns_at_the_limit(void)
{
	turns_at_the_limit(1000, LONG);
	turns_at_the_limit(LONG, 1000);
	turns_at_the_limit(1000, 1000);
	turns_at_the_limit(LONG, LONG);
}

/*
 * Who waits for a bulk connection and has no share of one is not asked again by each reply of others, but once something may have
 * changed.
 */
static void test_bulk_in_vain(void)
{
	enum { BULK = 65537, OUT = 8 };
	struct fake_conn *s;
	uint32_t waiting;

	begin();
	scene_send_request(b, 'Q', 2, 64);
	s = scene_connected_server(0);
	for (uint32_t i = 0; i < 60; i++)
		scene_send_request(a, 'Q', 1, BULK);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 1 + OUT);
	for (uint32_t i = 1; i <= OUT; i++)
		scene_connected_server(i);
	waiting = lab.p->pending[0];
	CU_ASSERT_TRUE(waiting > 50);
	scene_answer(s, scene_next_sent(s).id, 1, 64);
	CU_ASSERT_TRUE(lab.p->lanes_by_ep[0]->bulk_in_vain);
	CU_ASSERT_EQUAL(lab.p->pending[0], waiting);
	/* Another client's may have one; and the next one of a's when one of its is answered, or ends. */
	scene_send_request(b, 'Q', 2, BULK);
	CU_ASSERT_EQUAL(lab_n_servers(), 2 + OUT);
	s = lab_server(1);
	scene_answer(s, scene_next_sent(s).id, 1, 64);
	CU_ASSERT_EQUAL(lab.p->pending[0], waiting - 1);
	CU_ASSERT_EQUAL(scene_next_sent(s).first, 1);
	lab_close(lab_server(2), MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(lab.p->pending[0], waiting - 2);
	end();
}

static void test_one_connection_for_both(void)
{
	at_the_limit(64, LONG);
	at_the_limit(LONG, 64);
}

/* Sends so many short ones as it takes to fill both of their connections, too. */
static void fill_short(struct fake_conn *s[2])
{
	for (uint32_t i = 0; i < 2; i++) {
		for (uint32_t n = 0; n < MANY && lab_n_servers() == i + 2; n++)
			scene_send_request(a, 'Q', 1, 1000);
		s[i] = scene_connected_server(i + 2);
		s[i]->shut_window = true;
	}
	for (uint32_t n = 0; n < MANY && s[1]->s.tx_queued < SHORT; n++)
		scene_send_request(a, 'Q', 1, 1000);
}

/* Who has the most that waits for one kind of connection gives way to who waits for the other. */
static void most_gives_way(uint32_t greedy, uint32_t modest)
{
	enum { MOST = 40 };
	struct fake_conn *s[4];

	begin_with(MOST);
	fill_wide(s);
	fill_short(s + 2);
	CU_ASSERT_EQUAL(lab.p->pending[0], 10);
	for (uint32_t i = 0; i < MANY && lab.p->pending[0] < MOST; i++)
		scene_send_request(a, 'Q', 1, greedy);
	CU_ASSERT_EQUAL(scene_next_sent(a).kind, 0);
	for (uint32_t i = 0; i < MOST / 2; i++) {
		scene_send_request(b, 'Q', 2, modest);
		CU_ASSERT_EQUAL(scene_next_sent(b).kind, 0);
		CU_ASSERT_EQUAL(scene_next_sent(a).first, MT_REPLY_OVERLOAD);
		CU_ASSERT_EQUAL(lab.p->pending[0], MOST);
	}
	/* As many of each: now it is his own that is refused, whatever it is. */
	scene_send_request(b, 'Q', 2, modest);
	CU_ASSERT_EQUAL(scene_next_sent(b).first, MT_REPLY_OVERLOAD);
	scene_send_request(b, 'Q', 2, greedy);
	CU_ASSERT_EQUAL(scene_next_sent(b).first, MT_REPLY_OVERLOAD);
	CU_ASSERT_EQUAL(scene_next_sent(a).kind, 0);
	for (uint32_t i = 0; i < 4; i++) {
		s[i]->shut_window = false;
		while (scene_next_sent(s[i]).kind)
			;
	}
	CU_ASSERT_EQUAL(lab.p->pending[0], 0);
	end();
}

static void test_most_of_both_gives_way(void)
{
	most_gives_way(LONG, 1000);
	most_gives_way(1000, LONG);
}

const struct mt_test wide_tests[] = {{"short ones pass", test_short_ones_pass},
	{"wide takes turns", test_wide_takes_turns}, {"behind a reply", test_behind_a_reply},
	{"one connection for both", test_one_connection_for_both},
	{"bulk in vain", test_bulk_in_vain}, {"turns at the limit", test_turns_at_the_limit},
	{"who has the most of both gives way", test_most_of_both_gives_way}, {0}};
