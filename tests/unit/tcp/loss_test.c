/* SPDX-License-Identifier: Apache-2.0 */
/* Loss: timeouts, duplicate ACKs, SACK (RFC 6298, 5681, 6582, 6675). */
#include "world.h"

#define M 1440

static void sent(uint32_t from, uint32_t n, bool push)
{
	for (uint32_t i = 0; i < n; i++)
		tx(.flags = push && i == n - 1 ? PA : A, .seq = 1 + (from + i) * M, .ack = 1,
			.len = M);
}

static void timeout_and_backoff(void)
{
	up(NULL);
	accepted();
	send_bytes(100);
	tx(.flags = PA, .seq = 1, .ack = 1, .len = 100);
	for (uint32_t wait = 1000; wait <= 32000; wait *= 2) {
		uint32_t waited = 0;

		for (; w.next_out == w.n_out && waited < 64000; waited += 10)
			pass(10);
		tx(.flags = PA, .seq = 1, .ack = 1, .len = 100);
		CU_ASSERT_TRUE(waited >= wait - 10 && waited <= wait + 10);
	}
	rx(.flags = A, .seq = 1, .ack = 101);
	events("acked:100 ");
	CU_ASSERT_EQUAL(conn()->retries, 0);
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_OPEN);
	CU_ASSERT_EQUAL(w.t->losses.in_use, 0);
	pass(120000);
	none();
	down();
}

static void gives_up(void)
{
	up(NULL);
	accepted();
	send_bytes(100);
	pass(90000);
	events("");
	pass(600000);
	events("closed:peer does not answer ");
	CU_ASSERT_EQUAL(w.t->conns.in_use, 0);
	skip_all();
	down();
}

static void timeout_resends_all(void)
{
	up(NULL);
	accepted();
	send_bytes(4 * M);
	sent(0, 4, true);
	pass(1010);
	sent(0, 1, false); /* one segment: cwnd is 1 */
	none();
	rx(.flags = A, .seq = 1, .ack = 1 + M);
	sent(1, 2, false);
	none();
	rx(.flags = A, .seq = 1, .ack = 1 + 3 * M);
	tx(.flags = PA, .seq = 1 + 3 * M, .ack = 1, .len = M);
	none();
	rx(.flags = A, .seq = 1, .ack = 1 + 4 * M);
	none();
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_OPEN);
	down();
}

static void fast_retransmit(void)
{
	up(NULL);
	accepted();
	send_bytes(6 * M);
	sent(0, 6, true);
	for (int i = 0; i < 2; i++) {
		rx(.flags = A, .seq = 1, .ack = 1);
		none();
	}
	rx(.flags = A, .seq = 1, .ack = 1);
	sent(0, 1, false);
	none();
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_RECOVERY);
	rx(.flags = A, .seq = 1, .ack = 1 + 6 * M);
	none();
	CU_ASSERT_EQUAL(conn()->cc.cwnd, conn()->cc.ssthresh);
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_OPEN);
	CU_ASSERT_EQUAL(counter(MT_TCP_timeouts), 0);
	down();
}

static void limited_transmit(void)
{
	up(NULL);
	accepted();
	send_bytes(14 * M); /* the initial window is 10 */
	sent(0, 10, false);
	none();
	rx(.flags = A, .seq = 1, .ack = 1);
	sent(10, 1, false); /* RFC 3042 */
	rx(.flags = A, .seq = 1, .ack = 1);
	sent(11, 1, false);
	none();
	down();
}

/* Segments 0 and 2 of 8 are lost, the peer has no SACK. */
static void partial_ack(void)
{
	up(NULL);
	accepted();
	send_bytes(8 * M);
	sent(0, 8, true);
	for (int i = 0; i < 6; i++)
		rx(.flags = A, .seq = 1, .ack = 1);
	sent(0, 1, false);
	none();
	rx(.flags = A, .seq = 1, .ack = 1 + 2 * M);
	sent(2, 1, false);
	none();
	rx(.flags = A, .seq = 1, .ack = 1 + 8 * M);
	none();
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_OPEN);
	CU_ASSERT_EQUAL(counter(MT_TCP_timeouts), 0);
	CU_ASSERT_EQUAL(conn()->retransmits, 2);
	down();
}

static void with_sack(void)
{
	accepted_with((struct say){.mss = 1440, .sack_ok = true});
}

/* Segments 0, 3 and 4 of 10 are lost. */
static void sack_recovery(void)
{
	up(NULL);
	with_sack();
	send_bytes(10 * M);
	sent(0, 10, true);
	later(10);
	rx(.flags = A, .seq = 1, .ack = 1, .sack = {1 + M, 1 + 2 * M});
	rx(.flags = A, .seq = 1, .ack = 1, .sack = {1 + M, 1 + 3 * M});
	none();
	rx(.flags = A, .seq = 1, .ack = 1, .sack = {1 + 5 * M, 1 + 6 * M, 1 + M, 1 + 3 * M});
	sent(0, 1, false); /* all three are lost; PRR lets them go as others arrive */
	none();
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_RECOVERY);
	rx(.flags = A, .seq = 1, .ack = 1, .sack = {1 + 5 * M, 1 + 7 * M, 1 + M, 1 + 3 * M});
	sent(3, 1, false);
	rx(.flags = A, .seq = 1, .ack = 1, .sack = {1 + 5 * M, 1 + 10 * M, 1 + M, 1 + 3 * M});
	sent(4, 1, false); /* each hole once */
	none();
	rx(.flags = A, .seq = 1, .ack = 1 + 3 * M, .sack = {1 + 5 * M, 1 + 10 * M});
	none();
	rx(.flags = A, .seq = 1, .ack = 1 + 10 * M);
	none();
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_OPEN);
	CU_ASSERT_EQUAL(conn()->retransmits, 3);
	CU_ASSERT_EQUAL(counter(MT_TCP_timeouts), 0);
	down();
}

/* The last segment is lost too: that what was sent again arrived tells (RFC 8985). */
static void sack_tail(void)
{
	up(NULL);
	with_sack();
	send_bytes(8 * M);
	sent(0, 8, true);
	later(10);
	rx(.flags = A, .seq = 1, .ack = 1, .sack = {1 + M, 1 + 7 * M});
	sent(0, 1, false);
	none();
	later(10);
	rx(.flags = A, .seq = 1, .ack = 1 + 7 * M);
	tx(.flags = PA, .seq = 1 + 7 * M, .ack = 1, .len = M);
	none();
	rx(.flags = A, .seq = 1, .ack = 1 + 8 * M);
	CU_ASSERT_EQUAL(counter(MT_TCP_timeouts), 0);
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_OPEN);
	down();
}

static void sack_renege(void)
{
	up(NULL);
	with_sack();
	send_bytes(4 * M);
	sent(0, 4, true);
	later(10);
	rx(.flags = A, .seq = 1, .ack = 1, .sack = {1 + 2 * M, 1 + 3 * M});
	rx(.flags = A, .seq = 1, .ack = 1 + 2 * M); /* what was reported is gone */
	none();
	pass(5000);
	tx(.flags = A, .seq = 1 + 2 * M, .ack = 1, .len = M);
	rx(.flags = A, .seq = 1, .ack = 1 + 4 * M);
	CU_ASSERT_EQUAL(conn()->tx.len, 0);
	skip_all();
	down();
}

/* Blocks that make no sense change nothing. */
static void sack_hostile(void)
{
	up(NULL);
	with_sack();
	send_bytes(4 * M);
	sent(0, 4, true);
	rx(.flags = A, .seq = 1, .ack = 1, .sack = {1 + 3 * M, 1 + 2 * M});
	rx(.flags = A, .seq = 1, .ack = 1, .sack = {1 + 2 * M, 1 + 9 * M});
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {1, 1 + M});
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {0x80000000, 0x90000000});
	CU_ASSERT_EQUAL(w.t->losses.in_use, 0);
	skip_all();
	rx(.flags = A, .seq = 1, .ack = 1 + 4 * M);
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_OPEN);
	down();
}

static void sack_we_send(void)
{
	up(NULL);
	accepted_with((struct say){.mss = 1440, .sack_ok = true, .tsval = 10});
	rx(.flags = A, .seq = 101, .ack = 1, .len = 50, .tsval = 12);
	tx(.flags = A, .seq = 1, .ack = 1, .sack = {101, 151});
	rx(.flags = A, .seq = 301, .ack = 1, .len = 50, .tsval = 12);
	tx(.flags = A, .seq = 1, .ack = 1, .sack = {301, 351, 101, 151});
	rx(.flags = A, .seq = 201, .ack = 1, .len = 50, .tsval = 12);
	tx(.flags = A, .seq = 1, .ack = 1, .sack = {201, 251, 301, 351, 101, 151});
	rx(.flags = A, .seq = 401, .ack = 1, .len = 50, .tsval = 12);
	tx(.flags = A, .seq = 1, .ack = 1, .sack = {401, 451, 201, 251, 301, 351});
	rx(.flags = A, .seq = 151, .ack = 1, .len = 50, .tsval = 12);
	tx(.flags = A, .seq = 1, .ack = 1, .sack = {101, 251, 401, 451, 301, 351});
	rx(.flags = A, .seq = 1, .ack = 1, .len = 100, .tsval = 13);
	tx(.flags = A, .seq = 1, .ack = 251, .sack = {401, 451, 301, 351});
	none();
	down();
}

/* While the port holds the packet nothing is written into it; the harness compares at release. */
static void held_by_the_port(void)
{
	up(NULL);
	w.hold = true;
	accepted();
	send_bytes(M);
	CU_ASSERT_EQUAL(w.pools.counters[MT_BUF_sent_inplace], 1);
	pass(1010);
	CU_ASSERT_EQUAL(w.pools.counters[MT_BUF_sent_inplace], 1);
	CU_ASSERT_EQUAL(w.pools.counters[MT_BUF_sent_cloned], 1);
	release_held();
	pass(2010);
	CU_ASSERT_EQUAL(w.pools.counters[MT_BUF_sent_inplace], 2);
	for (int i = 0; i < 3; i++)
		tx(.flags = PA, .seq = 1, .ack = 1, .len = M);
	rx(.flags = A, .seq = 1, .ack = 1 + M);
	none();
	down();
}

static void karn(void)
{
	up(NULL);
	accepted();
	send_bytes(100);
	pass(1010);
	skip_all();
	rx(.flags = A, .seq = 1, .ack = 101); /* to which copy? no sample */
	CU_ASSERT_EQUAL(conn()->srtt_us, 0);
	send_bytes(100);
	w.now += 7 * MT_MSEC;
	rx(.flags = A, .seq = 1, .ack = 201);
	CU_ASSERT_EQUAL(conn()->srtt_us, 7000);
	CU_ASSERT_EQUAL(conn()->rto_ms, 200);
	skip_all();
	down();
}

static void fin_is_lost(void)
{
	up(NULL);
	accepted();
	send_written(100, 100);
	mt_stream_shutdown(w.s);
	turn();
	tx(.flags = FPA, .seq = 1, .ack = 1, .len = 100);
	rx(.flags = A, .seq = 1, .ack = 101); /* the bytes, not the FIN */
	none();
	pass(1010);
	tx(.flags = FA, .seq = 101, .ack = 1);
	rx(.flags = A, .seq = 1, .ack = 102);
	CU_ASSERT_EQUAL(conn()->state, MT_TCP_FIN_WAIT_2);
	pass(5000);
	none();
	down();
}

/* All lengths of segments are multiples of this, also after the tries with shorter ones. */
#define UNIT	8
#define N_UNITS (40 * M / UNIT)

/* Any segment may be lost, any ACK may be lost; the bytes arrive. Both kinds of peer. */
static void random_loss(void)
{
	for (uint32_t seed = 1; seed <= 40; seed++) {
		static bool got[N_UNITS + 1];
		uint32_t looked = 0, next = 0, rounds = 0;
		struct mt_rand r;

		memset(got, 0, sizeof(got));
		mt_rand_seed(&r, seed);
		up(NULL);
		accepted_with((struct say){.mss = M, .sack_ok = seed & 1});
		looked = w.n_out;
		send_bytes(40 * M);
		while (next < N_UNITS && rounds++ < 20000) {
			struct say ack = {.flags = A, .seq = 1};
			uint32_t blocks = 0;

			if (looked == w.n_out) {
				pass(50);
				continue;
			}
			while (looked < w.n_out) {
				struct sent *o = &w.out[looked++ % 512];

				CU_ASSERT_TRUE(o->pattern_ok);
				if (o->len == 0 || mt_rand_below(&r, 6) == 0)
					continue;
				for (uint32_t k = (o->seq - 1) / UNIT;
					k < (o->seq - 1 + o->len) / UNIT; k++)
					got[k] = true;
				while (got[next])
					next++;
				ack.ack = 1 + next * UNIT;
				blocks = 0;
				memset(ack.sack, 0, sizeof(ack.sack));
				for (uint32_t k = next + 1; seed & 1 && k < N_UNITS && blocks < 6;
					k++)
					if (got[k]) {
						ack.sack[blocks] = 1 + k * UNIT;
						while (k < N_UNITS && got[k])
							k++;
						ack.sack[blocks + 1] = 1 + k * UNIT;
						blocks += 2;
					}
				if (mt_rand_below(&r, 6))
					rxq(.flags = A, .seq = 1, .ack = ack.ack,
						.sack = {ack.sack[0], ack.sack[1], ack.sack[2],
							ack.sack[3], ack.sack[4], ack.sack[5]});
			}
			w.now += 10 * MT_MSEC;
			turn();
		}
		CU_ASSERT_EQUAL(next, N_UNITS);
		rx(.flags = A, .seq = 1, .ack = 1 + 40 * M);
		CU_ASSERT_EQUAL(conn()->tx.len, 0);
		CU_ASSERT_EQUAL(conn()->mode, MT_TCP_OPEN);
		CU_ASSERT_TRUE(conn()->retransmits < 90);
		skip_all();
		down();
	}
}

const struct mt_test loss_tests[] = {
	{"timeout and backoff", timeout_and_backoff},
	{"gives up", gives_up},
	{"timeout, then all again", timeout_resends_all},
	{"fast retransmit", fast_retransmit},
	{"limited transmit", limited_transmit},
	{"partial ACK without SACK", partial_ack},
	{"SACK recovery", sack_recovery},
	{"SACK, last segment lost", sack_tail},
	{"SACK given up by the peer", sack_renege},
	{"SACK blocks without sense", sack_hostile},
	{"SACK blocks that we send", sack_we_send},
	{"retransmission while the port holds the packet", held_by_the_port},
	{"no sample from a retransmission", karn},
	{"FIN lost", fin_is_lost},
	{"random loss", random_loss},
	{0},
};
