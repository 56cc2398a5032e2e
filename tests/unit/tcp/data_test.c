/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes both ways without loss: order, ACKs, coalescing, buffers (RFC 9293 §3.8, RFC 5681 §4.2). */
#include "world.h"

static void delayed_ack(void)
{
	up(NULL);
	accepted();
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 100);
	events("readable:100 ");
	none();
	pass(39);
	none();
	pass(3);
	tx(.flags = A, .seq = 1, .ack = 101);
	none();
	down();
}

static void every_second(void)
{
	up(NULL);
	accepted();
	rx(.flags = A, .seq = 1, .ack = 1, .len = 1440);
	none();
	rx(.flags = A, .seq = 1441, .ack = 1, .len = 1440);
	tx(.flags = A, .seq = 1, .ack = 2881);
	none();
	pass(100);
	none();
	down();
}

static void carried_ack(void)
{
	up(NULL);
	accepted();
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 100);
	send_bytes(50);
	tx(.flags = PA, .seq = 1, .ack = 101, .len = 50);
	pass(100);
	none();
	down();
}

static void one_ack_for_a_burst(void)
{
	up(NULL);
	accepted();
	for (uint32_t i = 0; i < 8; i++)
		rxq(.flags = A, .seq = 1 + i * 1000, .ack = 1, .len = 1000);
	turn();
	events("readable:8000 ");
	tx(.flags = A, .seq = 1, .ack = 8001);
	none();
	down();
}

static void out_of_order(void)
{
	up(NULL);
	accepted();
	rx(.flags = A, .seq = 101, .ack = 1, .len = 100);
	tx(.flags = A, .seq = 1, .ack = 1);
	rx(.flags = A, .seq = 301, .ack = 1, .len = 100);
	tx(.flags = A, .seq = 1, .ack = 1);
	events("");
	rx(.flags = A, .seq = 1, .ack = 1, .len = 100);
	events("readable:200 ");
	tx(.flags = A, .seq = 1, .ack = 201);
	rx(.flags = A, .seq = 201, .ack = 1, .len = 100);
	events("readable:200 ");
	tx(.flags = A, .seq = 1, .ack = 401);
	none();
	CU_ASSERT_EQUAL(conn()->ooo, 0);
	CU_ASSERT_EQUAL(w.t->ooos.in_use, 0);
	down();
}

/* Pieces [start, end) in any order and overlap; then the hole is filled. */
static void overlaps(void)
{
	static const uint32_t pieces[][2] = {{401, 501}, {601, 701}, {451, 651}, {301, 801},
		{201, 301}, {701, 901}, {401, 501}, {851, 951}, {150, 250}};

	up(NULL);
	accepted();
	for (size_t i = 0; i < MT_ARRAY_LEN(pieces); i++)
		rx(.flags = A, .seq = pieces[i][0], .ack = 1, .len = pieces[i][1] - pieces[i][0]);
	skip_all();
	events("");
	rx(.flags = A, .seq = 1, .ack = 1, .len = 200);
	tx(.flags = A, .seq = 1, .ack = 951);
	CU_ASSERT_EQUAL(w.read, 950);
	CU_ASSERT_EQUAL(w.t->ooos.in_use, 0);
	down();
}

static void random_order(void)
{
	uint32_t order[60];
	struct mt_rand r;

	mt_rand_seed(&r, 11);
	up(NULL);
	w.irs = 0xffffe000; /* wraps on the way */
	accepted();
	for (uint32_t round = 0; round < 30; round++) {
		uint32_t base = 1 + round * 600;

		for (uint32_t i = 0; i < 60; i++)
			order[i] = i;
		for (uint32_t i = 59; i > 0; i--) {
			uint32_t j = mt_rand_below(&r, i + 1), k = order[i];

			order[i] = order[j];
			order[j] = k;
		}
		/* Each piece is longer than its step: every one overlaps its neighbours. */
		for (uint32_t i = 0; i < 60; i++)
			rx(.flags = A, .seq = base + order[i] * 10, .ack = 1,
				.len = order[i] == 59 ? 10 : 17);
		/* What the queue had no room for comes again, in order. */
		for (uint32_t i = 0; i < 60; i++)
			rx(.flags = A, .seq = base + i * 10, .ack = 1, .len = i == 59 ? 10 : 17);
	}
	CU_ASSERT_EQUAL(w.read, 30 * 600);
	CU_ASSERT_EQUAL(w.t->ooos.in_use, 0);
	skip_all();
	down();
}

static void old_data(void)
{
	up(NULL);
	accepted();
	rx(.flags = A, .seq = 1, .ack = 1, .len = 100);
	rx(.flags = A, .seq = 1, .ack = 1, .len = 100); /* our ACK was lost */
	tx(.flags = A, .seq = 1, .ack = 101);
	rx(.flags = A, .seq = 51, .ack = 1, .len = 100); /* half old, half new */
	tx(.flags = A, .seq = 1, .ack = 151);
	none();
	events("readable:100 readable:50 ");
	down();
}

static void beyond_window(void)
{
	up(&(struct mt_tcp_conf){.rx_window_init = 4096, .rx_window_max = 4096});
	accepted();
	w.stop_reading = true;
	rx(.flags = A, .seq = 1, .ack = 1, .len = 1400);
	rx(.flags = A, .seq = 1401, .ack = 1, .len = 1400);
	skip_all();
	rx(.flags = A, .seq = 2801, .ack = 1, .len = 1400); /* 104 bytes too many */
	CU_ASSERT_EQUAL(w.s->rx.len, 4096);
	pass(50);
	tx(.flags = A, .seq = 1, .ack = 4097, .shut = true);
	down();
}

static void many_mbufs(void)
{
	up(NULL);
	accepted();
	rx(.flags = A, .seq = 1, .ack = 1, .len = 1440, .segs = 5);
	rx(.flags = A, .seq = 2001, .ack = 1, .len = 1000, .segs = 3);
	rx(.flags = A, .seq = 1441, .ack = 1, .len = 560, .segs = 4);
	CU_ASSERT_EQUAL(w.read, 3000);
	skip_all();
	down();
}

static void shared_mbufs(void)
{
	up(NULL);
	accepted();
	rx(.flags = A, .seq = 1, .ack = 1, .len = 1440, .shared = true);
	rx(.flags = A, .seq = 2441, .ack = 1, .len = 1000, .shared = true);
	rx(.flags = A, .seq = 1441, .ack = 1, .len = 1000, .shared = true, .segs = 2);
	CU_ASSERT_EQUAL(w.read, 3440);
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_shared_copied), 3);
	skip_all();
	down();
}

static void small_writes_join(void)
{
	up(NULL);
	accepted();
	for (int i = 0; i < 20; i++)
		send_written(30, 30);
	turn();
	tx(.flags = PA, .seq = 1, .ack = 1, .len = 600);
	none();
	CU_ASSERT_EQUAL(conn()->tx.segs, 1);
	rx(.flags = A, .seq = 1, .ack = 601);
	events("acked:600 ");
	down();
}

/* Writes in sizes of all kinds, ACKs at any byte; whatever leaves is the pattern. */
static void writes_of_all_sizes(void)
{
	struct mt_rand r;
	uint32_t acked = 0;

	mt_rand_seed(&r, 3);
	up(NULL);
	w.hold = true;
	accepted_with((struct say){.mss = 1460, .tsval = 9});
	for (uint32_t i = 0; i < 300; i++) {
		uint32_t n = 1 + mt_rand_below(&r, i % 3 ? 300 : 4000);
		uint32_t flight = w.tx_seq - acked, sent = mt_tcp_flight(conn());

		if (flight < 60000)
			send_written(n, 1 + mt_rand_below(&r, 1900));
		acked += mt_rand_below(&r, MT_MIN(sent, flight) + 1);
		rx(.flags = A, .seq = 1, .ack = 1 + acked, .tsval = 20 + i);
		if (mt_rand_below(&r, 8) == 0 || w.n_held > 300)
			release_held();
	}
	while (acked < w.tx_seq) {
		acked += mt_tcp_flight(conn());
		rx(.flags = A, .seq = 1, .ack = 1 + acked, .tsval = 9999);
	}
	for (uint32_t i = 0; i < MT_MIN(w.n_out, 512); i++)
		CU_ASSERT_TRUE(w.out[i].pattern_ok);
	CU_ASSERT_EQUAL(conn()->bytes_out, w.tx_seq);
	CU_ASSERT_EQUAL(conn()->tx.len, 0);
	CU_ASSERT_EQUAL(conn()->retransmits, 0);
	skip_all();
	down();
}

static void segments_fit(void)
{
	up(NULL);
	w.mtu = 1400;
	accepted_with((struct say){.mss = 1460, .tsval = 5});
	send_bytes(3000);
	tx(.flags = A, .seq = 1, .ack = 1, .len = 1348);
	tx(.flags = A, .seq = 1349, .ack = 1, .len = 1348);
	tx(.flags = PA, .seq = 2697, .ack = 1, .len = 304);
	none();
	down();
}

/* A received full segment leaves as it is: cut at the buffer's end, in place. */
static void forwarded_in_place(void)
{
	up(NULL);
	accepted();
	send_written(1440 * 3, 1440);
	turn();
	for (uint32_t i = 0; i < 3; i++)
		tx(.flags = i == 2 ? PA : A, .seq = 1 + i * 1440, .ack = 1, .len = 1440);
	none();
	CU_ASSERT_EQUAL(w.pools.counters[MT_BUF_sent_inplace], 3);
	CU_ASSERT_EQUAL(w.pools.counters[MT_BUF_sent_copied], 0);
	down();
}

static void no_chains(void)
{
	up(NULL);
	w.caps.tx_chains = false;
	accepted();
	send_written(5000, 700);
	turn();
	skip_all();
	CU_ASSERT_EQUAL(w.pools.counters[MT_BUF_sent_cloned], 0);
	down();
}

static void sequence_wraps(void)
{
	uint32_t sent = 0;

	up(NULL);
	/* 6528's clock runs 4096 ns a tick: choose a time at which our numbers are about to wrap. */
	{
		struct mt_tuple tuple = {.lport = 80, .rport = w.rport};

		mt_addr_parse("10.0.0.1", &tuple.local);
		mt_addr_parse("10.0.0.2", &tuple.remote);
		w.now += (uint64_t)(0xfffff000u - mt_tcp_isn(w.t, &tuple)) << 12;
	}
	w.irs = 0xfffffff0;
	accepted();
	CU_ASSERT_TRUE(w.iss >= 0xffffe000u);
	for (uint32_t i = 0; i < 20; i++) {
		rx(.flags = A, .seq = 1 + i * 1000, .ack = 1 + sent, .len = 1000);
		send_bytes(1000);
		sent += 1000;
	}
	CU_ASSERT_EQUAL(w.read, 20000);
	rx(.flags = A, .seq = 20001, .ack = 1 + sent);
	CU_ASSERT_EQUAL(conn()->tx.len, 0);
	CU_ASSERT_EQUAL(conn()->retransmits, 0);
	skip_all();
	down();
}

static void back_pressure_up(void)
{
	up(NULL);
	accepted();
	w.s->tx_high = 20000;
	send_bytes(14400);
	CU_ASSERT_EQUAL(mt_stream_sendable(w.s), 0);
	skip_all();
	rx(.flags = A, .seq = 1, .ack = 1 + 1440);
	events("acked:1440 ");
	rx(.flags = A, .seq = 1, .ack = 1 + 14400);
	events("writable acked:12960 ");
	CU_ASSERT_TRUE(mt_stream_sendable(w.s) > 0);
	skip_all();
	down();
}

static void port_busy(void)
{
	up(NULL);
	accepted();
	w.room = 0;
	send_bytes(3000);
	none();
	CU_ASSERT_TRUE(mt_tcp_next(w.t) <= w.now + MT_MSEC);
	w.room = 100;
	turn();
	tx(.flags = A, .seq = 1, .ack = 1, .len = 1440);
	tx(.flags = A, .seq = 1441, .ack = 1, .len = 1440);
	tx(.flags = PA, .seq = 2881, .ack = 1, .len = 120);
	none();
	down();
}

const struct mt_test data_tests[] = {
	{"delayed ACK", delayed_ack},
	{"ACK of every second segment", every_second},
	{"ACK carried by data", carried_ack},
	{"one ACK for a burst", one_ack_for_a_burst},
	{"out of order", out_of_order},
	{"overlaps", overlaps},
	{"any order", random_order},
	{"old data", old_data},
	{"beyond the window", beyond_window},
	{"segments of many mbufs", many_mbufs},
	{"mbufs of another owner", shared_mbufs},
	{"small writes join", small_writes_join},
	{"writes of all sizes", writes_of_all_sizes},
	{"segments fit the path", segments_fit},
	{"forwarded in place", forwarded_in_place},
	{"port without multi-segment transmit", no_chains},
	{"both sequence numbers wrap", sequence_wraps},
	{"send queue limit", back_pressure_up},
	{"port busy", port_busy},
	{0},
};
