/* SPDX-License-Identifier: Apache-2.0 */
/* TIME-WAIT (RFC 9293 §3.4.2, 1337, 6191) and SYN cookies (RFC 4987). */
#include "world.h"

/* An accepted connection that we closed first: now a record. */
static void in_time_wait(struct say syn)
{
	accepted_with(syn);
	mt_stream_shutdown(w.s);
	turn();
	rx(.flags = FA, .seq = 1, .ack = 2, .tsval = syn.tsval ? syn.tsval + 5 : 0);
	CU_ASSERT_EQUAL(w.t->tw_live, 1);
	CU_ASSERT_EQUAL(w.t->conns.in_use, 0);
	skip_all();
	w.events[0] = 0;
}

static void late_segments(void)
{
	up(NULL);
	in_time_wait((struct say){.mss = 1460});
	rx(.flags = FA, .seq = 1, .ack = 2); /* our last ACK was lost */
	tx(.flags = A, .seq = 2, .ack = 2);
	rx(.flags = A, .seq = 2, .ack = 2);
	none();
	rx(.flags = R, .seq = 2); /* RFC 1337 */
	none();
	CU_ASSERT_EQUAL(w.t->tw_live, 1);
	rx(.flags = PA, .seq = 2, .ack = 2, .len = 9);
	tx(.flags = A, .seq = 2, .ack = 2);
	rx(.flags = SA, .seq = 900, .ack = 2);
	tx(.flags = A, .seq = 2, .ack = 2);
	none();
	down();
}

static void wait_begins_again(void)
{
	up(NULL);
	in_time_wait((struct say){.mss = 1460});
	pass(40000);
	rx(.flags = FA, .seq = 1, .ack = 2);
	skip_all();
	pass(40000);
	CU_ASSERT_EQUAL(w.t->tw_live, 1);
	pass(21000);
	CU_ASSERT_EQUAL(w.t->tw_live, 0);
	CU_ASSERT_EQUAL(w.t->tws.in_use, 0);
	down();
}

static void reuse_by_timestamp(void)
{
	uint32_t last;

	up(NULL);
	in_time_wait((struct say){.mss = 1460, .tsval = 100});
	last = w.iss + 2;
	rx(.flags = S, .seq = 0, .mss = 1460, .tsval = 90); /* an old copy */
	tx(.flags = A, .seq = 2, .ack = 2);
	w.iss_known = false;
	rx(.flags = S, .seq = 0, .mss = 1460, .tsval = 106);
	tx(.flags = SA, .seq = 0, .ack = 1, .tsecr = 106);
	CU_ASSERT_TRUE(mt_seq_gt(w.iss, last)); /* above everything of the last life */
	CU_ASSERT_EQUAL(w.t->tw_live, 0);
	rx(.flags = A, .seq = 1, .ack = 1, .tsval = 107, .tsecr = w.out[w.n_out - 1].tsval);
	events("accept ");
	skip_all();
	down();
}

static void reuse_by_sequence(void)
{
	up(NULL);
	in_time_wait((struct say){.mss = 1460});
	rx(.flags = S, .seq = 2, .mss = 1460); /* not above what was received */
	tx(.flags = A, .seq = 2, .ack = 2);
	w.iss_known = false;
	w.irs += 100000;
	rx(.flags = S, .seq = 0, .mss = 1460);
	tx(.flags = SA, .seq = 0, .ack = 1);
	down();
}

static void reuse_by_open(void)
{
	up(&(struct mt_tcp_conf){.port_lo = 30000, .port_hi = 30000});
	opened();
	rx(.flags = SA, .seq = 0, .ack = 1, .mss = 1460, .tsval = 50, .tsecr = w.out[0].tsval);
	mt_stream_shutdown(w.s);
	turn();
	rx(.flags = FA, .seq = 1, .ack = 2, .tsval = 51);
	CU_ASSERT_EQUAL(w.t->tw_live, 1);
	opened(); /* too early */
	CU_ASSERT_PTR_NULL(w.s);
	later(1500);
	skip_all();
	w.iss_known = false;
	opened();
	CU_ASSERT_PTR_NOT_NULL(w.s);
	tx(.flags = S, .seq = 0);
	CU_ASSERT_EQUAL(w.t->tw_live, 0);
	CU_ASSERT_EQUAL(counter(MT_TCP_time_wait_reused), 1);
	down();
}

static void oldest_evicted(void)
{
	up(&(struct mt_tcp_conf){.max_time_wait = 3});
	for (uint32_t i = 0; i < 8; i++) {
		w.rport = (uint16_t)(4000 + i);
		w.iss_known = false;
		accepted_with((struct say){.mss = 1460});
		mt_stream_shutdown(w.s);
		turn();
		rx(.flags = FA, .seq = 1, .ack = 2);
	}
	CU_ASSERT_EQUAL(w.t->tw_live, 3);
	CU_ASSERT_EQUAL(counter(MT_TCP_time_wait_evicted), 5);
	CU_ASSERT_EQUAL(w.t->table.n, 3);
	skip_all();
	down();
}

static const struct mt_tcp_conf always = {.cookies_always = true};

static void cookie_with_timestamps(void)
{
	up(&always);
	rx(.flags = S, .mss = 1410, .sack_ok = true, .wscale = 8, .tsval = 300);
	tx(.flags = SA, .seq = 0, .ack = 1, .sack_ok = true, .wscale = 6, .tsecr = 300);
	CU_ASSERT_EQUAL(w.t->halves.in_use, 0);
	CU_ASSERT_EQUAL(w.t->table.n, 0);
	rx(.flags = PA, .seq = 1, .ack = 1, .wnd = 50, .len = 5, .tsval = 301,
		.tsecr = w.out[0].tsval);
	events("accept readable:5 ");
	CU_ASSERT_EQUAL(conn()->snd_wnd, 50 << 7);
	CU_ASSERT_TRUE(conn()->flags & MT_CF_SACK);
	CU_ASSERT_EQUAL(conn()->mss_peer, 1400);
	CU_ASSERT_EQUAL(counter(MT_TCP_cookies_good), 1);
	skip_all();
	/* Our clock never runs backwards for the peer. */
	send_bytes(10);
	CU_ASSERT_TRUE(mt_seq_geq(w.out[w.n_out - 1].tsval, w.out[0].tsval));
	skip_all();
	down();
}

static void cookie_without_timestamps(void)
{
	up(&always);
	rx(.flags = S, .mss = 1460, .sack_ok = true, .wscale = 8);
	CU_ASSERT_FALSE(w.out[0].sack_ok);
	tx(.flags = SA, .seq = 0, .ack = 1);
	CU_ASSERT_EQUAL(w.out[0].wscale, 0);
	rx(.flags = A, .seq = 1, .ack = 1, .wnd = 5000);
	events("accept ");
	CU_ASSERT_EQUAL(conn()->snd_wnd, 5000);
	CU_ASSERT_EQUAL(conn()->mss_peer, 1460);
	down();
}

static void cookie_ip6(void)
{
	up(&always);
	w.ip6 = true;
	rx(.flags = S, .mss = 1440, .tsval = 9, .wscale = 1);
	skip_all();
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 7, .tsval = 10, .tsecr = w.out[0].tsval);
	events("accept readable:7 ");
	skip_all();
	down();
}

static void cookie_forged(void)
{
	uint32_t accepted_n = 0;
	struct mt_rand r;

	mt_rand_seed(&r, 4);
	up(&always);
	rx(.flags = S, .mss = 1460);
	for (uint32_t i = 0; i < 20000; i++) {
		rx(.flags = A, .seq = 1, .ack = 2 + (uint32_t)mt_rand_u64(&r));
		accepted_n += w.s != NULL;
	}
	CU_ASSERT_EQUAL(accepted_n, 0);
	CU_ASSERT_EQUAL(counter(MT_TCP_cookies_bad), 20000);
	rx(.flags = A, .seq = 2, .ack = 1); /* another number of its own: not the same client */
	events("");
	rx(.flags = A, .seq = 1, .ack = 1);
	events("accept ");
	skip_all();
	down();
}

static void cookie_expires(void)
{
	up(&always);
	rx(.flags = S, .mss = 1460);
	skip_all();
	w.now += 65 * MT_SEC; /* the next epoch: still good */
	rx(.flags = A, .seq = 1, .ack = 1);
	events("accept ");
	down();

	up(&always);
	rx(.flags = S, .mss = 1460);
	skip_all();
	w.now += 138 * MT_SEC;
	rx(.flags = A, .seq = 1, .ack = 1);
	events("");
	tx(.flags = R, .seq = 1);
	down();
}

static void half_open_flood(void)
{
	up(&(struct mt_tcp_conf){.max_half_open = 8});
	for (uint32_t i = 0; i < 200; i++) {
		w.rport = (uint16_t)(10000 + i);
		rx(.flags = S, .mss = 1460);
	}
	CU_ASSERT_EQUAL(w.t->halves.in_use, 8);
	CU_ASSERT_EQUAL(counter(MT_TCP_cookies_sent), 192);
	skip_all();
	w.iss_known = false;
	w.rport = 9999;
	rx(.flags = S, .mss = 1460);
	tx(.flags = SA, .seq = 0, .ack = 1);
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 3);
	events("accept readable:3 ");
	skip_all();
	down();
}

const struct mt_test wait_tests[] = {
	{"late segments", late_segments},
	{"wait begins again", wait_begins_again},
	{"reuse by timestamp", reuse_by_timestamp},
	{"reuse by sequence number", reuse_by_sequence},
	{"reuse by our own open", reuse_by_open},
	{"oldest evicted", oldest_evicted},
	{"cookie with timestamps", cookie_with_timestamps},
	{"cookie without timestamps", cookie_without_timestamps},
	{"cookie, IPv6", cookie_ip6},
	{"cookie forged", cookie_forged},
	{"cookie expires", cookie_expires},
	{"half-open flood", half_open_flood},
	{0},
};
