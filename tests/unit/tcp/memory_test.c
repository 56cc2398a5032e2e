/* SPDX-License-Identifier: Apache-2.0 */
/* Memory short or gone: nothing is lost that was acknowledged, and everything goes on afterwards. */
#include "world.h"

static void no_ctrl_mbufs(void)
{
	up(NULL);
	accepted();
	rx(.flags = A, .seq = 1, .ack = 1, .len = 1000);
	take_ctrl(0);
	rx(.flags = A, .seq = 1001, .ack = 1, .len = 1000);
	none();
	CU_ASSERT_TRUE(counter(MT_TCP_tx_no_memory) > 0);
	give_pool();
	pass(20); /* the ACK is tried again */
	tx(.flags = A, .seq = 1, .ack = 2001);
	down();
}

static void no_data_mbufs(void)
{
	up(NULL);
	accepted();
	send_written(5000, 700); /* segments over several mbufs: to be copied or cloned */
	w.caps.tx_chains = false;
	take_pool(1);
	turn();
	give_pool();
	skip_all();
	pass(20);
	skip_all();
	rx(.flags = A, .seq = 1, .ack = 5001);
	CU_ASSERT_EQUAL(conn()->tx.len, 0);
	CU_ASSERT_EQUAL(counter(MT_TCP_timeouts), 0);
	down();
}

static void no_syn_memory(void)
{
	up(NULL);
	take_ctrl(0);
	opened();
	rx(.flags = S, .mss = 1460);
	none();
	give_pool();
	pass(20);
	tx(.flags = S, .seq = 0);
	skip_all();
	down();
}

static void marks(void)
{
	up(NULL);
	accepted_with((struct say){.mss = 1460, .sack_ok = true});
	rx(.flags = A, .seq = 2001, .ack = 1, .len = 100);
	tx(.flags = A, .seq = 1, .ack = 1, .sack = {2001, 2101});
	mt_tcp_pressure(w.t, 15); /* no new window, no out-of-order data, cookies */
	rx(.flags = A, .seq = 3001, .ack = 1, .len = 100);
	CU_ASSERT_EQUAL(w.t->ooos.in_use, 0);
	skip_all();
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 1000); /* what was offered is taken */
	events("readable:1000 ");
	later(50);
	tx(.flags = A, .seq = 1, .ack = 1001, .wnd = 64535);
	rx(.flags = PA, .seq = 1001, .ack = 1, .len = 1000);
	events("readable:1000 ");
	mt_tcp_pressure(w.t, 5); /* only the little that can be copied */
	rx(.flags = PA, .seq = 2001, .ack = 1, .len = 1000);
	events("");
	rx(.flags = PA, .seq = 2001, .ack = 1, .len = 200);
	events("readable:200 ");
	later(50);
	skip_all();
	send_bytes(100);
	rx(.flags = PA, .seq = 2201, .ack = 101, .len = 1000); /* its ACK counts all the same */
	events("acked:100 ");
	skip_all();
	mt_tcp_pressure(w.t, 60);
	later(1); /* windows are opened again, unasked */
	tx(.flags = A, .seq = 101, .ack = 2201, .wnd = 65535);
	none();
	down();
}

/* While memory gets short, single bytes out of order wait; full segments are kept. */
static void sparse_waits_first(void)
{
	up(NULL);
	accepted_with((struct say){.mss = 1460, .sack_ok = true});
	mt_tcp_pressure(w.t, 25);
	rx(.flags = A, .seq = 2001, .ack = 1, .len = 1);
	tx(.flags = A, .seq = 1, .ack = 1);
	CU_ASSERT_EQUAL(w.t->ooos.in_use, 0);
	CU_ASSERT_EQUAL(counter(MT_TCP_ooo_full), 1);
	rx(.flags = A, .seq = 3001, .ack = 1, .len = 1400);
	tx(.flags = A, .seq = 1, .ack = 1, .sack = {3001, 4401});
	mt_tcp_pressure(w.t, 60);
	rx(.flags = A, .seq = 2001, .ack = 1, .len = 1);
	tx(.flags = A, .seq = 1, .ack = 1, .sack = {2001, 2002, 3001, 4401});
	down();
}

static void marks_make_cookies(void)
{
	up(NULL);
	mt_tcp_pressure(w.t, 15);
	rx(.flags = S, .mss = 1460);
	CU_ASSERT_EQUAL(counter(MT_TCP_cookies_sent), 1);
	CU_ASSERT_EQUAL(w.t->halves.in_use, 0);
	skip_all();
	down();
}

/* The pool is empty now and then while both directions run: all bytes arrive, none twice. */
static void starved(void)
{
	struct mt_rand r;
	uint32_t acked = 0, at = 1;

	mt_rand_seed(&r, 8);
	up(NULL);
	accepted();
	w.caps.tx_chains = false;
	for (uint32_t i = 0; i < 400; i++) {
		if (mt_tcp_data_end(conn()) - conn()->snd_una < 20000)
			send_written(900, 450);
		if (i % 5 == 0) {
			take_pool(mt_rand_below(&r, 4) + 3);
			take_ctrl(mt_rand_below(&r, 2));
		}
		mt_pools_sample(&w.pools);
		if (w.pools.data_free >= 3) {
			rx(.flags = A, .seq = at, .ack = 1 + acked, .len = 500);
			at = conn()->rcv_nxt - w.irs;
		}
		acked = conn()->snd_nxt - w.iss - 1;
		if (i % 3 == 0)
			give_pool();
		pass(1 + mt_rand_below(&r, 15));
	}
	give_pool();
	rx(.flags = A, .seq = at, .ack = 1 + acked);
	pass(1000);
	acked = conn()->snd_nxt - w.iss - 1;
	rx(.flags = A, .seq = at, .ack = 1 + acked);
	CU_ASSERT_EQUAL(conn()->tx.len, 0);
	CU_ASSERT_TRUE(w.tx_seq > 50000);
	CU_ASSERT_EQUAL(acked, w.tx_seq);
	for (uint32_t i = 0; i < 512; i++)
		CU_ASSERT_TRUE(w.out[i].pattern_ok || !w.out[i].flags);
	skip_all();
	down();
}

static void destroyed_in_full_life(void)
{
	up(NULL);
	w.hold = true;
	accepted_with((struct say){.mss = 1460, .sack_ok = true});
	w.stop_reading = true;
	send_bytes(20000);
	rx(.flags = A, .seq = 1, .ack = 1, .len = 1000);
	rx(.flags = A, .seq = 3001, .ack = 1, .len = 1000, .sack = {1441, 2881});
	w.rport++;
	rx(.flags = S, .mss = 1460);
	opened();
	skip_all();
	down();
}

const struct mt_test memory_tests[] = {
	{"no control mbufs", no_ctrl_mbufs},
	{"no data mbufs", no_data_mbufs},
	{"no memory for a SYN", no_syn_memory},
	{"marks", marks},
	{"sparse waits first", sparse_waits_first},
	{"marks make cookies", marks_make_cookies},
	{"starved now and then", starved},
	{"destroyed in full life", destroyed_in_full_life},
	{0},
};
