/* SPDX-License-Identifier: Apache-2.0 */
/* A path that is silent while something waits for an answer ends the stream, a lossy or a slow one does not. */
#include "world.h"

/* With a round trip of nothing behind it: timeouts are 200 ms. */
static void near_peer(uint16_t silent_ms)
{
	up(NULL);
	accepted();
	send_bytes(100);
	rx(.flags = A, .seq = 1, .ack = 101);
	skip_all();
	w.events[0] = 0;
	w.s->silent = (uint8_t)(silent_ms / 100);
	CU_ASSERT_EQUAL(conn()->rto_ms, 200);
}

/* How long it lives without a word from the peer; no longer than `max`. */
static uint32_t lives(uint32_t max)
{
	uint32_t ms = 0;

	for (; w.s && ms < max; ms++)
		pass(1);
	return ms;
}

static void lone_request(void)
{
	uint32_t probes = 0, copies = 0, ms;

	near_peer(1000);
	pass(3600 * 1000); /* nothing waits: nothing is asked */
	none();
	send_bytes(50);
	ms = lives(5000);
	CU_ASSERT_TRUE(ms >= 1000 && ms <= 1200);
	events("closed:peer does not answer ");
	for (; w.next_out < w.n_out - 1; w.next_out++) {
		const struct sent *o = &w.out[w.next_out];

		CU_ASSERT_TRUE(o->pattern_ok);
		copies += o->seq == 101 && o->len == 50;
		probes += o->seq == 101 && o->len == 1;
	}
	CU_ASSERT_EQUAL(copies, 3);
	CU_ASSERT_EQUAL(probes, 6);
	tx(.flags = RA, .seq = 151, .ack = 1);
	none();
	CU_ASSERT_EQUAL(counter(MT_TCP_path_silent), 1);
	CU_ASSERT_EQUAL(w.end.pos.sent, 150);
	CU_ASSERT_EQUAL(w.t->conns.in_use, 0);
	down();
}

static void said_at_open(void)
{
	struct mt_addr peer;
	struct mt_stream *s;

	up(NULL);
	mt_addr_parse("10.0.0.2", &peer);
	mt_tcp_begin(w.t, w.now);
	s = mt_stream_open(mt_tcp_transport(w.t),
		&(struct mt_stream_to){
			.remote = &peer, .port = 80, .silent_ms = 700, .user = &mt_tcp_user_none},
		&w.why);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(s->silent, 7);
	mt_stream_abort(s, MT_ABORT_CANCELLED);
	turn();
	skip_all();
	down();
}

static void nobody_asked_for_it(void)
{
	near_peer(0);
	send_bytes(50);
	CU_ASSERT_EQUAL(lives(60000), 60000);
	CU_ASSERT_EQUAL(counter(MT_TCP_path_probes), 0);
	skip_all();
	down();
}

static void any_word_counts(void)
{
	uint32_t ms;

	near_peer(1000);
	send_bytes(50);
	CU_ASSERT_EQUAL(lives(900), 900);
	rx(.flags = A, .seq = 1, .ack = 101); /* alive, but the bytes are lost again and again */
	ms = lives(5000);
	CU_ASSERT_TRUE(ms >= 1000 && ms <= 2600); /* from the next timeout on it is watched again */
	skip_all();
	down();

	near_peer(1000);
	send_bytes(50);
	CU_ASSERT_EQUAL(lives(900), 900);
	rx(.flags = A, .seq = 1, .ack = 151);
	CU_ASSERT_EQUAL(lives(100000), 100000);
	CU_ASSERT_EQUAL(counter(MT_TCP_path_silent), 0);
	send_bytes(50); /* its time begins anew */
	CU_ASSERT_TRUE(lives(5000) >= 1000);
	skip_all();
	down();
}

/* Timeouts of a second: three of them. */
static void slow_path(void)
{
	uint32_t ms;

	up(NULL);
	accepted();
	w.s->silent = 10;
	send_bytes(50);
	ms = lives(10000);
	CU_ASSERT_TRUE(ms >= 3000 && ms <= 3500);
	skip_all();
	down();
}

/* A peer may keep its window shut as long as it says so; here it does in the millisecond in which it is asked. */
static void shut_window(void)
{
	uint32_t ms;

	near_peer(1000);
	rx(.flags = A, .seq = 1, .ack = 101, .shut = true);
	send_bytes(50);
	for (uint32_t i = 0; i < 200000; i++) {
		pass(1);
		if (w.next_out == w.n_out)
			continue;
		skip_all();
		rx(.flags = A, .seq = 1, .ack = 101, .shut = true);
	}
	events("");
	CU_ASSERT_TRUE(counter(MT_TCP_probes) > 4);
	while (w.next_out == w.n_out)
		pass(1);
	ms = lives(5000); /* since it was asked last */
	CU_ASSERT_TRUE(ms >= 2999 && ms <= 3200);
	events("closed:peer does not answer ");
	skip_all();
	down();
}

static void only_a_fin(void)
{
	near_peer(1000);
	mt_stream_shutdown(w.s);
	CU_ASSERT_TRUE(lives(5000) <= 2400);
	events("closed:peer does not answer ");
	skip_all();
	down();
}

/* What has not left says nothing of the path. */
static void held_up_here(void)
{
	near_peer(1000);
	send_bytes(50);
	w.room = 0;
	CU_ASSERT_EQUAL(lives(8000), 8000);
	w.room = UINT32_MAX / 2;
	CU_ASSERT_TRUE(lives(5000) < 1500);
	skip_all();
	down();

	near_peer(1000);
	send_bytes(50);
	take_pool(0);
	take_ctrl(0);
	CU_ASSERT_EQUAL(lives(8000), 8000);
	give_pool();
	CU_ASSERT_TRUE(lives(5000) < 1500);
	skip_all();
	down();
}

/* Up to `max` ms, while worker 1 polls the queues from which it hands packets over. */
static uint32_t lives_fed(uint32_t max)
{
	uint32_t ms = 0;

	for (; w.s && ms < max; ms++) {
		mt_steer_looked(&w.steer, 1, w.now);
		pass(1);
	}
	return ms;
}

/* Answers may lie in the queue of a worker that does not run, or that has only just started again. */
static void distributor_stands_still(void)
{
	uint32_t ms;

	near_peer(1000);
	w.steer.workers = 2;
	send_bytes(50);
	CU_ASSERT_EQUAL(lives_fed(600), 600);
	CU_ASSERT_EQUAL(lives(5000), 5000);
	ms = lives_fed(5000);
	CU_ASSERT_TRUE(ms >= 800 && ms <= 1200);
	events("closed:peer does not answer ");
	w.steer.workers = 1;
	skip_all();
	down();
}

static void let_go(void)
{
	near_peer(1000);
	send_bytes(50);
	pass(500);
	mt_stream_detach(w.s);
	pass(50000);
	CU_ASSERT_EQUAL(w.t->conns.in_use, 1);
	pass(20000);
	CU_ASSERT_EQUAL(w.t->conns.in_use, 0);
	CU_ASSERT_EQUAL(counter(MT_TCP_path_silent), 0);
	skip_all();
	down();
}

/* A client that has ended its requests and waits for replies may be gone: its machine answers that. */
static void half_closed(void)
{
	near_peer(0);
	rx(.flags = FA, .seq = 1, .ack = 101);
	tx(.flags = A, .seq = 101, .ack = 2);
	CU_ASSERT_EQUAL(lives(14990), 14990);
	none();
	pass(20);
	tx(.flags = A, .seq = 100, .ack = 2);
	rx(.flags = A, .seq = 2, .ack = 101); /* it is there */
	CU_ASSERT_EQUAL(lives(14990), 14990);
	none();
	pass(20);
	tx(.flags = A, .seq = 100, .ack = 2);
	rx(.flags = R, .seq = 2);
	events("eof closed:reset by peer ");
	down();
}

/* Long segments vanish: the path answers short ones, so it is not silent, and what probes bring must not hide it. */
static void black_hole(void)
{
	uint32_t at = 101;

	near_peer(1000);
	send_bytes(2880);
	for (uint32_t ms = 0; ms < 3000 && w.s && at < 101 + 2880; ms++) {
		for (; w.next_out < w.n_out; w.next_out++) {
			const struct sent *o = &w.out[w.next_out % 512];

			if (o->len > 1240)
				continue;
			if (o->seq == at)
				at += o->len;
			rx(.flags = A, .seq = 1, .ack = at);
		}
		pass(1);
	}
	CU_ASSERT_EQUAL(at, 101 + 2880);
	CU_ASSERT_TRUE(counter(MT_TCP_path_probes) > 0);
	CU_ASSERT_EQUAL(counter(MT_TCP_black_holes), 1);
	CU_ASSERT_EQUAL(counter(MT_TCP_path_silent), 0);
	CU_ASSERT_EQUAL(w.mtu, 1280);
	skip_all();
	down();
}

/* ---- a path that loses every tenth packet each way ---- */

#define CALLS 20000

struct answer {
	uint64_t at;
	uint32_t ack;
};

static struct answer answers[64];
static uint32_t n_answers, cum;
static uint64_t bare; /* when a segment without data was answered last */

/* What left is lost, or the answer is, or it comes after a round trip of 20 to 100 ms. */
static void peer_hears(struct mt_rand *r)
{
	for (; w.next_out < w.n_out; w.next_out++) {
		const struct sent *o = &w.out[w.next_out % 512];

		if (mt_rand_below(r, 10) == 0)
			continue;
		if (mt_seq_leq(o->seq, cum))
			cum = mt_seq_max(cum, o->seq + o->len);
		if (o->len == 0 && w.now - bare < 500 * MT_MSEC)
			continue; /* as Linux does */
		if (o->len == 0)
			bare = w.now;
		if (mt_rand_below(r, 10) && n_answers < MT_ARRAY_LEN(answers))
			answers[n_answers++] =
				(struct answer){w.now + (20 + mt_rand_below(r, 80)) * MT_MSEC, cum};
	}
}

static void answers_come(void)
{
	for (uint32_t i = 0; i < n_answers;) {
		struct answer a = answers[i];

		if (a.at > w.now) {
			i++;
			continue;
		}
		answers[i] = answers[--n_answers];
		rx(.flags = A, .seq = 1, .ack = a.ack);
	}
}

static void lossy_path(uint32_t bytes)
{
	struct mt_rand r;

	mt_rand_seed(&r, 11);
	near_peer(1000);
	cum = 101;
	n_answers = 0;
	for (uint32_t call = 0; call < CALLS && w.s; call++) {
		send_bytes(bytes);
		while (w.s && conn()->snd_una != conn()->snd_nxt) {
			peer_hears(&r);
			pass(1);
			answers_come();
		}
		w.events[0] = 0;
	}
	CU_ASSERT_PTR_NOT_NULL(w.s);
	CU_ASSERT_TRUE(counter(MT_TCP_path_probes) > CALLS / 40);
	CU_ASSERT_EQUAL(counter(MT_TCP_path_silent), 0);
	skip_all();
	down();
}

static void lossy_path_short(void)
{
	lossy_path(50);
}

/* Probes are without data then. */
static void lossy_path_long(void)
{
	lossy_path(1000);
}

const struct mt_test silence_tests[] = {
	{"silence: a lone request", lone_request},
	{"silence: said at the open", said_at_open},
	{"silence: nobody asked for it", nobody_asked_for_it},
	{"silence: any word counts", any_word_counts},
	{"silence: a slow path", slow_path},
	{"silence: a window that stays shut", shut_window},
	{"silence: only a FIN", only_a_fin},
	{"silence: held up here", held_up_here},
	{"silence: the worker that distributes packets stands still", distributor_stands_still},
	{"silence: let go", let_go},
	{"silence: half-closed", half_closed},
	{"silence: a black hole", black_hole},
	{"silence: a lossy path", lossy_path_short},
	{"silence: a lossy path, long requests", lossy_path_long},
	{0},
};
