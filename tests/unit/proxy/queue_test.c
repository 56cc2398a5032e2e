/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that wait for a server's connection: each client has his turn, and who has the most of them gives way. */
#include "scene.h"

#include "mt_proxy_priv.h"

#define LEN 1000
/* What each connection is given though its windows are shut, and what a client may send before others have their turn (bytes). */
#define AHEAD	8192
#define QUANTUM 2048

/* Two clients at two addresses (with this seed in buckets of their own), and a server whose windows are shut on both connections that it may have. */
static struct fake_conn *greedy, *modest, *server[2];

static void begin(const struct mt_proxy_conf *conf)
{
	scene_start_with(1, conf);
	scene_patient();
	greedy = lab_client_from(CONFIG_SAFE, 1);
	modest = lab_client_from(CONFIG_SAFE, 3);
	for (uint32_t i = 0; i < 2; i++) {
		while (lab_n_servers() == i)
			scene_send_request(greedy, 'Q', 1, LEN);
		server[i] = scene_connected_server(i);
		server[i]->shut_window = true;
		while (server[i]->s.tx_queued < AHEAD)
			scene_send_request(greedy, 'Q', 1, LEN);
	}
	CU_ASSERT_EQUAL(lab.p->pending[0], 0);
}

static void end(void)
{
	lab_close(greedy, MT_CLOSE_RESET);
	lab_close(modest, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(lab.p->fairs.in_use, 0);
	scene_stop();
}

/* The server reads; how many messages came before the one of this body. */
static uint32_t place_of(struct fake_conn *s, uint8_t body)
{
	uint32_t n = 0;

	s->shut_window = false;
	for (struct toy q; (q = scene_next_sent(s)).kind && q.first != body; n++)
		;
	return n;
}

static void test_each_has_his_turn(void)
{
	enum { CALLS = 300, GIVEN = AHEAD / LEN + 1 };

	begin(&(struct mt_proxy_conf){.max_exchanges = 4096});
	for (uint32_t i = 0; i < CALLS; i++)
		scene_send_request(greedy, 'Q', 1, LEN);
	CU_ASSERT_EQUAL(lab.p->pending[0], CALLS);
	scene_send_request(modest, 'Q', 2, LEN);
	CU_ASSERT_EQUAL(lab.p->pending[0], CALLS + 1);
	/* What the connection was given before, and one turn of the other's. */
	CU_ASSERT_TRUE(place_of(server[0], 2) <= GIVEN + QUANTUM / LEN + 1);
	end();
}

static void test_who_has_the_most_gives_way(void)
{
	enum { MOST = 50 };

	begin(&(struct mt_proxy_conf){.max_exchanges = 4096, .pending_max = MOST});
	for (uint32_t i = 0; i < MOST; i++)
		scene_send_request(greedy, 'Q', 1, LEN);
	CU_ASSERT_EQUAL(scene_next_sent(greedy).kind, 0);
	scene_send_request(greedy, 'Q', 1, LEN);
	CU_ASSERT_EQUAL(scene_next_sent(greedy).first, MT_REPLY_OVERLOAD);
	for (uint32_t i = 0; i < MOST / 2; i++) {
		scene_send_request(modest, 'Q', 2, LEN);
		CU_ASSERT_EQUAL(scene_next_sent(modest).kind, 0);
		CU_ASSERT_EQUAL(scene_next_sent(greedy).first, MT_REPLY_OVERLOAD);
		CU_ASSERT_EQUAL(lab.p->pending[0], MOST);
	}
	/* As many of each: now it is his own that is refused. */
	scene_send_request(modest, 'Q', 2, LEN);
	CU_ASSERT_EQUAL(scene_next_sent(modest).first, MT_REPLY_OVERLOAD);
	CU_ASSERT_EQUAL(scene_next_sent(greedy).kind, 0);
	end();
}

/* One call at a time: behind the call that is out comes one of each client. */
static void test_serial_takes_turns(void)
{
	static const struct mt_proxy_conf conf = {.serial_lanes = 1};
	struct fake_conn *s;

	scene_start_with(1, &conf);
	scene_patient();
	greedy = lab_client_from(CONFIG_SERIAL, 1);
	modest = lab_client_from(CONFIG_SERIAL, 3);
	for (uint64_t i = 0; i < 10; i++)
		scene_send_request(greedy, 'Q', 1, 64);
	scene_send_request(modest, 'Q', 2, 64);
	s = scene_connected_server(0);
	for (uint32_t i = 0, n = 0; n < 11; n++) {
		struct toy q = scene_next_sent(s);

		CU_ASSERT_EQUAL(q.kind, 'Q');
		if (q.first == 2)
			i = n;
		scene_answer(s, q.id, q.id, 64);
		if (n == 2)
			CU_ASSERT_TRUE(i == 1 || i == 2);
	}
	CU_ASSERT_EQUAL(scene_next_sent(modest).id, 2);
	end();
}

/* Who leaves takes his calls out of the queue, wherever they stand. */
static void test_leaving_the_queue(void)
{
	begin(&(struct mt_proxy_conf){.max_exchanges = 4096});
	for (uint32_t i = 0; i < 40; i++) {
		scene_send_request(greedy, 'Q', 1, LEN);
		scene_send_request(modest, 'Q', 2, LEN);
	}
	CU_ASSERT_EQUAL(lab.p->pending[0], 80);
	lab_close(greedy, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(lab.p->pending[0], 40);
	greedy = lab_client_from(CONFIG_SAFE, 1);
	end();
}

/* The endpoint has left, and its last call finds no connection: the group of its connections goes, too. */
static void test_last_call_of_a_group(void)
{
	static const struct mt_proxy_conf conf = {.serial_lanes = 1};
	struct fake_conn *s;
	struct toy q;

	scene_start_with(1, &conf);
	scene_patient();
	greedy = lab_client_from(CONFIG_SERIAL, 1);
	for (uint64_t i = 1; i <= 2; i++)
		scene_send_request(greedy, 'Q', i, 64);
	s = scene_connected_server(0);
	q = scene_next_sent(s);
	mt_proxy_adopt(lab.p, config_make(1, 2, 0, true));
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(lab.p->lanes.in_use, 1);
	lab.refuse_open = true;
	scene_answer(s, q.id, 7, 64);
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(greedy).first, 7);
	CU_ASSERT_EQUAL(scene_next_sent(greedy).first, MT_REPLY_NO_ENDPOINT);
	CU_ASSERT_EQUAL(lab.p->lanes.in_use, 0);
	lab.refuse_open = false;
	lab_close(greedy, MT_CLOSE_RESET);
	scene_stop();
	config_free(1);
}

static bool watches, inside;
static uint32_t seen;

/* Notes if the other client's connection is being decoded: then the call of that client runs. */
static enum mt_filter_verdict watch(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	const struct mt_exchange *ex = mt_slab_at(&lab.p->exchanges, ctx->exchange);
	const struct mt_down *other = mt_slab_at(&lab.p->downs, modest->s.owner_idx);

	if (watches && !mt_ref_eq(ex->down, other->self)) {
		seen++;
		inside |= other->decoding;
	}
	return MT_FILTER_NEXT;
}

/* A call gives way, and its client may be read again: after the run of the other call. */
static void test_read_again_later(void)
{
	enum { MOST = 20, MORE = 5 };
	static const struct mt_filter type = {.name = "watch", .on_request = watch};
	static struct mt_filter_inst chain[] = {{.type = &type}};
	const struct mt_down *d;

	begin(&(struct mt_proxy_conf){.max_exchanges = 4096, .pending_max = MOST});
	scene_filters(chain, 1);
	d = mt_slab_at(&lab.p->downs, greedy->s.owner_idx);
	lab.p->conf.down_outstanding = d->outstanding + MOST;
	for (uint32_t i = 0; i < MOST + MORE; i++)
		scene_send_request(greedy, 'Q', 1, LEN);
	CU_ASSERT_TRUE(d->paused);
	watches = true;
	scene_send_request(modest, 'Q', 2, LEN);
	watches = false;
	/* One gave way. Those that are read then are refused: their client still has the most. */
	for (uint32_t i = 0; i < 1 + MORE; i++)
		CU_ASSERT_EQUAL(scene_next_sent(greedy).first, MT_REPLY_OVERLOAD);
	CU_ASSERT_EQUAL(scene_next_sent(greedy).kind, 0);
	CU_ASSERT_EQUAL(seen, MORE);
	CU_ASSERT_FALSE(inside);
	end();
}

const struct mt_test queue_tests[] = {{"each has his turn", test_each_has_his_turn},
	{"who has the most gives way", test_who_has_the_most_gives_way},
	{"serial takes turns", test_serial_takes_turns},
	{"leaving the queue", test_leaving_the_queue},
	{"last call of a group", test_last_call_of_a_group},
	{"read again later", test_read_again_later}, {0}};
