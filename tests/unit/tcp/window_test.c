/* SPDX-License-Identifier: Apache-2.0 */
/* Flow control both ways (RFC 9293 §3.8.6, RFC 7323 §2, RFC 9293 §3.8.4). */
#include "world.h"

static const struct mt_tcp_conf small = {.rx_window_init = 8192, .rx_window_max = 8192};

static void slow_reader(void)
{
	up(&small);
	accepted();
	w.stop_reading = true;
	for (uint32_t i = 0; i < 8; i++)
		rx(.flags = A, .seq = 1 + i * 1024, .ack = 1, .len = 1024);
	skip_all();
	rx(.flags = A, .seq = 8193, .ack = 1, .len = 1); /* a probe */
	tx(.flags = A, .seq = 1, .ack = 8193, .shut = true);
	CU_ASSERT_EQUAL(w.s->rx.len, 8192);
	mt_stream_drop(w.s, 1000); /* too little to tell */
	turn();
	none();
	mt_stream_drop(w.s, 1000);
	turn();
	tx(.flags = A, .seq = 1, .ack = 8193, .wnd = 2000);
	w.read = 2000;
	read_all();
	turn();
	tx(.flags = A, .seq = 1, .ack = 8193, .wnd = 8192);
	none();
	down();
}

static void never_taken_back(void)
{
	uint32_t edge = 0;

	up(NULL);
	accepted_with((struct say){.mss = 1460, .wscale = 1});
	w.stop_reading = true;
	for (uint32_t i = 0; i < 60; i++) {
		struct sent *o;

		rx(.flags = A, .seq = 1 + i * 901, .ack = 1, .len = 901);
		if (w.next_out == w.n_out)
			continue;
		o = &w.out[(w.n_out - 1) % 512];
		/* RFC 7323 §2.4: rounding by the scale, and nothing more */
		CU_ASSERT_TRUE(o->ack + (o->wnd << conn()->rcv_scale) + 31 >= edge);
		edge = MT_MAX(edge, o->ack + (o->wnd << conn()->rcv_scale));
		skip_all();
	}
	w.stop_reading = false;
	read_all();
	turn();
	skip_all();
	down();
}

static void zero_window(void)
{
	up(NULL);
	accepted();
	rx(.flags = A, .seq = 1, .ack = 1, .shut = true);
	send_bytes(100);
	none();
	for (uint32_t wait = 1000; wait <= 16000; wait *= 2) {
		uint32_t waited = 0;

		for (; w.next_out == w.n_out && waited < 64000; waited += 10)
			pass(10);
		tx(.flags = A, .seq = 0, .ack = 1); /* a probe from before the window */
		CU_ASSERT_TRUE(waited >= wait - 10 && waited <= wait + 10);
		rx(.flags = A, .seq = 1, .ack = 1, .shut = true);
		none();
	}
	rx(.flags = A, .seq = 1, .ack = 1, .wnd = 1000);
	tx(.flags = PA, .seq = 1, .ack = 1, .len = 100);
	none();
	CU_ASSERT_EQUAL(conn()->zero_windows, 1); /* however often it was asked */
	rx(.flags = A, .seq = 1, .ack = 101, .shut = true);
	CU_ASSERT_EQUAL(conn()->zero_windows, 1); /* nothing waits */
	send_bytes(100);
	none();
	CU_ASSERT_EQUAL(conn()->zero_windows, 2);
	rx(.flags = A, .seq = 1, .ack = 101, .wnd = 1000);
	skip_all();
	down();
}

static void zero_window_answered(void)
{
	up(NULL);
	accepted();
	rx(.flags = A, .seq = 1, .ack = 1, .shut = true);
	send_bytes(100);
	for (uint32_t i = 0; i < 200; i++) {
		pass(5000);
		rx(.flags = A, .seq = 1, .ack = 1, .shut = true);
	}
	events("");
	CU_ASSERT_PTR_NOT_NULL(w.s);
	skip_all();
	down();
}

static void zero_window_silence(void)
{
	up(NULL);
	accepted();
	rx(.flags = A, .seq = 1, .ack = 1, .shut = true);
	send_bytes(100);
	pass(100000);
	events("");
	pass(300000);
	events("closed:peer does not answer ");
	skip_all();
	down();
}

static void window_closes_in_flight(void)
{
	up(NULL);
	accepted();
	send_bytes(2880);
	skip_all();
	rx(.flags = A, .seq = 1, .ack = 1 + 1440, .shut = true); /* it took one only */
	send_bytes(100);
	none();
	pass(210);
	tx(.flags = A, .seq = 1441, .ack = 1, .len = 1440);
	rx(.flags = A, .seq = 1, .ack = 1 + 1440, .wnd = 5000);
	none();
	rx(.flags = A, .seq = 1, .ack = 1 + 2880, .wnd = 5000);
	tx(.flags = PA, .seq = 2881, .ack = 1, .len = 100);
	none();
	down();
}

static void silly_window(void)
{
	up(NULL);
	accepted();
	send_bytes(1440);
	rx(.flags = A, .seq = 1, .ack = 1441, .wnd = 200);
	skip_all();
	send_bytes(5000);
	none(); /* 200 bytes are not worth a segment */
	pass(210);
	tx(.flags = A, .seq = 1441, .ack = 1, .len = 200); /* but the override timer sends them */
	rx(.flags = A, .seq = 1, .ack = 1641, .wnd = 2000);
	tx(.flags = A, .seq = 1641, .ack = 1, .len = 1460);
	none();
	down();
}

static void small_windows(void)
{
	up(NULL);
	rx(.flags = S, .mss = 1460, .wnd = 300);
	rx(.flags = A, .seq = 1, .ack = 1, .wnd = 300);
	skip_all();
	send_bytes(1000);
	tx(.flags = A, .seq = 1, .ack = 1, .len = 300); /* more than half of all it ever offers */
	rx(.flags = A, .seq = 1, .ack = 301, .wnd = 300);
	tx(.flags = A, .seq = 301, .ack = 1, .len = 300);
	rx(.flags = A, .seq = 1, .ack = 601, .wnd = 300);
	rx(.flags = A, .seq = 1, .ack = 901, .wnd = 300);
	skip_all();
	rx(.flags = A, .seq = 1, .ack = 1001, .wnd = 300);
	CU_ASSERT_EQUAL(conn()->tx.len, 0);
	down();
}

static void old_window_update(void)
{
	up(NULL);
	accepted();
	rx(.flags = A, .seq = 1, .ack = 1, .len = 10, .wnd = 9000);
	rx(.flags = A, .seq = 1, .ack = 1, .wnd = 70); /* reordered: older */
	CU_ASSERT_EQUAL(conn()->snd_wnd, 9000);
	skip_all();
	down();
}

static void grows(void)
{
	uint32_t pos = 1;

	up(NULL);
	accepted_with((struct say){.mss = 1440, .wscale = 8, .tsval = 1});
	conn()->srtt_us = 10000;
	for (uint32_t i = 0; i < 3000; i++) {
		rx(.flags = A, .seq = pos, .ack = 1, .len = 1400, .tsval = 100);
		pos += 1400;
		if (i % 40 == 0)
			later(1);
	}
	CU_ASSERT_EQUAL(conn()->rcv_budget, 1048576);
	CU_ASSERT_TRUE(mt_tcp_rcv_wnd(conn()) > 900000);
	skip_all();
	down();
}

static void no_growth_for_a_slow_reader(void)
{
	up(NULL);
	accepted_with((struct say){.mss = 1440, .wscale = 8, .tsval = 1});
	w.stop_reading = true;
	for (uint32_t i = 0; i < 60; i++) {
		rx(.flags = A, .seq = 1 + i * 1400, .ack = 1, .len = 1400, .tsval = 100);
		later(3);
	}
	CU_ASSERT_EQUAL(conn()->rcv_budget, 65536);
	CU_ASSERT_TRUE(w.s->rx.len <= 65536);
	skip_all();
	w.stop_reading = false;
	read_all();
	down();
}

/* One-byte segments pin a buffer each; the queue may pin twice the window and no more. */
static void tiny_segments(void)
{
	uint32_t most = 0;

	up(&small);
	accepted();
	w.stop_reading = true;
	for (uint32_t i = 0; i < 6000; i++) {
		rx(.flags = A, .seq = 1 + i, .ack = 1, .len = 1);
		most = MT_MAX(most, w.s->rx.truesize);
	}
	CU_ASSERT_TRUE(most <= 2 * 8192 + 2 * 2304);
	CU_ASSERT_EQUAL(w.s->rx.len, 6000); /* and nothing was refused */
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_over_budget), 0);
	w.stop_reading = false;
	read_all();
	skip_all();
	down();
}

static void tiny_out_of_order(void)
{
	up(&small);
	accepted();
	for (uint32_t i = 0; i < 500; i++)
		rx(.flags = A, .seq = 3 + 2 * i, .ack = 1, .len = 1);
	CU_ASSERT_TRUE(mt_tcp_ooo(w.t, conn())->truesize <= 2 * w.t->conf.rx_window_init);
	CU_ASSERT_TRUE(counter(MT_TCP_ooo_full) > 400);
	skip_all();
	down();
}

static void many_ranges(void)
{
	up(&(struct mt_tcp_conf){.rx_window_init = 1048576});
	accepted_with((struct say){.mss = 1440, .wscale = 8, .sack_ok = true});
	for (uint32_t i = 0; i < 100; i++)
		rx(.flags = A, .seq = 3 + 20 * i, .ack = 1, .len = 10);
	CU_ASSERT_EQUAL(mt_tcp_ooo(w.t, conn())->n, 64);
	skip_all();
	for (uint32_t i = 0; i < 100; i++)
		rx(.flags = A, .seq = 1 + 20 * i, .ack = 1, .len = 20);
	CU_ASSERT_EQUAL(w.read, 2000);
	CU_ASSERT_EQUAL(w.t->ooos.in_use, 0);
	skip_all();
	down();
}

/* What the user needs whole and has begun to get shuts nothing, however long it is; what he does not look at does. */
static void kept_bytes_open_the_window(void)
{
	uint32_t at = 1;

	up(&small);
	accepted();
	w.stop_reading = true;
	for (; at < 200 * 1024; at += 1024) {
		rx(.flags = A, .seq = at, .ack = 1, .len = 1024);
		mt_stream_keep(w.s, w.s->rx.len);
		turn();
	}
	CU_ASSERT_EQUAL(w.s->rx.len, at - 1);
	CU_ASSERT_TRUE(mt_tcp_rcv_wnd(conn()) > 4096);
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_over_budget), 0);
	for (; at < 220 * 1024; at += 1024)
		rx(.flags = A, .seq = at, .ack = 1, .len = 1024);
	CU_ASSERT_TRUE(w.s->rx.len - w.s->rx_kept > 4096);
	CU_ASSERT_TRUE(w.s->rx.len - w.s->rx_kept <= 8192);
	CU_ASSERT_EQUAL(mt_tcp_rcv_wnd(conn()), 0);
	w.stop_reading = false;
	read_all();
	CU_ASSERT_EQUAL(w.s->rx_kept, 0);
	turn();
	CU_ASSERT_EQUAL(mt_tcp_rcv_wnd(conn()), 8192);
	CU_ASSERT_TRUE(w.read_ok);
	skip_all();
	down();
}

/* Nor may small pieces of it pin more than twice their bytes, some of them apart; without a look at all that is there. */
static void kept_bytes_in_small_pieces(void)
{
	enum { PIECE = 50, N = 4000 };
	uint64_t compacted;

	up(&small);
	accepted_with((struct say){.mss = 1440, .sack_ok = true});
	w.stop_reading = true;
	compacted = w.pools.counters[MT_BUF_compacted];
	for (uint32_t i = 0; i < N; i++) {
		uint32_t n = i % 4 == 2 ? i + 1 : i % 4 == 3 ? i - 1 : i; /* 0 1 3 2 */

		rx(.flags = A, .seq = 1 + n * PIECE, .ack = 1, .len = PIECE);
		mt_stream_keep(w.s, w.s->rx.len);
		turn();
		CU_ASSERT_TRUE(w.s->rx.truesize <= 8192 / 2 + 2 * w.s->rx.len + 2 * 2304);
	}
	CU_ASSERT_EQUAL(w.s->rx.len, N * PIECE);
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_over_budget) + counter(MT_TCP_ooo_full), 0);
	CU_ASSERT_EQUAL(w.pools.counters[MT_BUF_compacted], compacted);
	w.stop_reading = false;
	read_all();
	CU_ASSERT_TRUE(w.read_ok);
	skip_all();
	down();
}

/* Small pieces behind a long message: when that has gone they would pin more than may wait. */
static void kept_bytes_behind_a_long_message(void)
{
	enum { LONG = 60 * 1024, PIECES = 16 };

	up(&small);
	accepted();
	w.stop_reading = true;
	for (uint32_t at = 0; at < LONG; at += 1024) {
		rx(.flags = A, .seq = 1 + at, .ack = 1, .len = 1024);
		mt_stream_keep(w.s, w.s->rx.len);
		turn();
	}
	mt_chain_compact(&w.s->rx, &w.pools); /* as if it had come in large segments */
	for (uint32_t i = 0; i < PIECES; i++)
		rx(.flags = A, .seq = 1 + LONG + i, .ack = 1, .len = 1);
	CU_ASSERT_TRUE(w.s->rx.truesize > LONG + PIECES * 2048);
	mt_chain_drop(&w.s->rx, LONG);
	w.read += LONG;
	mt_stream_keep(w.s, w.s->rx.len);
	turn();
	CU_ASSERT_TRUE(w.s->rx.truesize <= 8192 / 2);
	w.stop_reading = false;
	read_all();
	CU_ASSERT_TRUE(w.read_ok);
	CU_ASSERT_EQUAL(w.read, LONG + PIECES);
	skip_all();
	down();
}

/* A long message is taken, and what came behind it in sparse buffers pins more than may wait then. */
enum { SPARSE = 700 };

static uint32_t sparse_behind_a_long_message(void)
{
	enum { LONG = 60 * 1024 };
	uint32_t at = 1;

	up(NULL);
	accepted();
	w.stop_reading = true;
	for (; at < 1 + LONG; at += 1024) {
		rx(.flags = A, .seq = at, .ack = 1, .len = 1024);
		mt_stream_keep(w.s, w.s->rx.len);
		turn();
	}
	mt_chain_compact(&w.s->rx, &w.pools); /* as if it had come in large segments */
	for (; mt_tcp_rcv_wnd(conn()) >= SPARSE; at += SPARSE)
		rx(.flags = A, .seq = at, .ack = 1, .len = SPARSE);
	pass(100); /* its ACK promises more */
	mt_stream_drop(w.s, LONG);
	w.read += LONG;
	CU_ASSERT_TRUE(w.s->rx.truesize > 2 * conn()->rcv_budget + 2304);
	CU_ASSERT_TRUE(mt_tcp_rcv_wnd(conn()) >= 4 * SPARSE);
	return at;
}

static void read_what_is_left(void)
{
	w.stop_reading = false;
	read_all();
	CU_ASSERT_TRUE(w.read_ok);
	skip_all();
	down();
}

/* The window promised to take it: it is copied together. */
static void promised_behind_a_long_message(void)
{
	uint32_t at = sparse_behind_a_long_message();

	for (uint32_t i = 0; i < 4; i++, at += SPARSE)
		rx(.flags = A, .seq = at, .ack = 1, .len = SPARSE);
	CU_ASSERT_EQUAL(w.read + w.s->rx.len, at - 1);
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_over_budget), 0);
	read_what_is_left();
}

/* Without memory for that it is not taken, and the peer sends it again. */
static void promised_without_memory(void)
{
	uint32_t at = sparse_behind_a_long_message();
	uint32_t len = w.s->rx.len;

	take_pool(1);
	rx(.flags = A, .seq = at, .ack = 1, .len = SPARSE);
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_over_budget), 1);
	CU_ASSERT_EQUAL(w.s->rx.len, len);
	give_pool();
	rx(.flags = A, .seq = at, .ack = 1, .len = SPARSE);
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_over_budget), 1);
	CU_ASSERT_EQUAL(w.s->rx.len, len + SPARSE);
	read_what_is_left();
}

static void keep_alive(void)
{
	up(&(struct mt_tcp_conf){.keepalive_idle_s = 100});
	accepted();
	pass(60000);
	rx(.flags = A, .seq = 1, .ack = 1, .len = 5);
	skip_all();
	pass(99000);
	skip_all();
	pass(2000);
	tx(.flags = A, .seq = 0, .ack = 6);
	rx(.flags = A, .seq = 6, .ack = 1);
	pass(99000);
	none();
	pass(2000);
	tx(.flags = A, .seq = 0, .ack = 6);
	for (int i = 0; i < 8; i++) {
		pass(75010);
		tx(.flags = A, .seq = 0, .ack = 6);
	}
	events("readable:5 ");
	pass(75010);
	events("closed:peer does not answer ");
	down();
}

static void answers_keep_alive(void)
{
	up(NULL);
	accepted();
	rx(.flags = A, .seq = 0, .ack = 1);
	tx(.flags = A, .seq = 1, .ack = 1);
	rx(.flags = A, .seq = 0, .ack = 1, .len = 1); /* the form with a byte of old data */
	tx(.flags = A, .seq = 1, .ack = 1);
	none();
	down();
}

const struct mt_test window_tests[] = {
	{"slow reader", slow_reader},
	{"window never taken back", never_taken_back},
	{"zero window probes", zero_window},
	{"zero window, peer alive", zero_window_answered},
	{"zero window, peer silent", zero_window_silence},
	{"window closes in flight", window_closes_in_flight},
	{"silly window", silly_window},
	{"a peer with small windows", small_windows},
	{"old window update", old_window_update},
	{"receive window grows", grows},
	{"no growth for a slow reader", no_growth_for_a_slow_reader},
	{"tiny segments", tiny_segments},
	{"tiny segments out of order", tiny_out_of_order},
	{"many ranges", many_ranges},
	{"kept bytes open the window", kept_bytes_open_the_window},
	{"kept bytes in small pieces", kept_bytes_in_small_pieces},
	{"kept bytes behind a long message", kept_bytes_behind_a_long_message},
	{"promised behind a long message", promised_behind_a_long_message},
	{"promised, and no memory", promised_without_memory},
	{"keep-alive", keep_alive},
	{"answers keep-alive", answers_keep_alive},
	{0},
};
