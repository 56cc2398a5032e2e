/* SPDX-License-Identifier: Apache-2.0 */
/* Recovery: RACK and the tail loss probe (RFC 8985), PRR (RFC 6937), D-SACK (RFC 2883), undo (RFC 3522). */
#include "world.h"

#define M   1440
#define MT  1428 /* with timestamps */
#define RTT 20

static void sent(uint32_t from, uint32_t n, bool push)
{
	for (uint32_t i = 0; i < n; i++)
		tx(.flags = push && i == n - 1 ? PA : A, .seq = 1 + (from + i) * M, .ack = 1,
			.len = M);
}

/* A peer with SACK and a round trip of 20 ms; segment 0 is behind us. */
static void known(void)
{
	up(NULL);
	accepted_with((struct say){.mss = 1440, .sack_ok = true});
	send_bytes(M);
	sent(0, 1, true);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + M);
	CU_ASSERT_EQUAL(conn()->srtt_us, RTT * 1000);
	none();
}

/* One more segment, number `n`, and its ACK: nothing is kept of the loss. */
static void more(uint32_t n)
{
	send_bytes(M);
	sent(n, 1, true);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + (n + 1) * M);
}

static void settled(void)
{
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_OPEN);
	CU_ASSERT_EQUAL(w.t->losses.in_use, 0);
	CU_ASSERT_EQUAL(conn()->tx.len, 0);
	none();
	down();
}

/* Three of three are lost: the last one goes again after two round trips, its SACK brings the others. */
static void tail_probe(void)
{
	uint32_t cwnd;

	known();
	cwnd = conn()->cc.cwnd;
	send_bytes(3 * M);
	sent(1, 3, true);
	pass(2 * RTT);
	none();
	pass(6);
	sent(3, 1, true);
	none();
	CU_ASSERT_EQUAL(counter(MT_TCP_tail_probes), 1);
	CU_ASSERT_EQUAL(conn()->cc.cwnd, cwnd);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {1 + 3 * M, 1 + 4 * M});
	sent(1, 1, false);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + 2 * M, .sack = {1 + 3 * M, 1 + 4 * M});
	sent(2, 1, false);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + 4 * M);
	CU_ASSERT_EQUAL(counter(MT_TCP_timeouts), 0);
	more(4);
	settled();
}

/* New data is the better probe, whatever cwnd says. */
static void tail_probe_new(void)
{
	known();
	conn()->cc.cwnd = 2 * M;
	conn()->cc.ssthresh = 2 * M;
	send_bytes(4 * M);
	sent(1, 2, false);
	pass(2 * RTT + 6);
	sent(3, 1, false);
	none();
	CU_ASSERT_EQUAL(conn()->retransmits, 0);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + 4 * M);
	sent(4, 1, true);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + 5 * M);
	settled();
}

/* The probe repaired the loss all by itself: that is a loss as well (RFC 8985 §7.4.2). */
static void tail_probe_repairs(void)
{
	uint32_t cwnd;

	known();
	cwnd = conn()->cc.cwnd;
	send_bytes(2 * M);
	sent(1, 2, true);
	pass(2 * RTT + 6);
	sent(2, 1, true);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + 3 * M);
	CU_ASSERT_EQUAL(conn()->cc.cwnd, cwnd); /* who knows */
	send_bytes(M);
	sent(3, 1, true);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + 4 * M);
	CU_ASSERT_TRUE(conn()->cc.cwnd < cwnd);
	settled();
}

/* The ACK was late: the probe is reported as a duplicate. */
static void tail_probe_in_vain(void)
{
	uint32_t cwnd;

	known();
	cwnd = conn()->cc.cwnd;
	send_bytes(2 * M);
	sent(1, 2, true);
	pass(2 * RTT + 6);
	sent(2, 1, true);
	rx(.flags = A, .seq = 1, .ack = 1 + 3 * M);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + 3 * M, .sack = {1 + 2 * M, 1 + 3 * M});
	CU_ASSERT_EQUAL(counter(MT_TCP_dsacks_in), 1);
	send_bytes(M);
	sent(3, 1, true);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + 4 * M);
	CU_ASSERT_EQUAL(conn()->cc.cwnd, cwnd);
	settled();
}

/* One segment alone waits for its timeout: the peer may delay the ACK (RFC 8985 §7.2). */
static void no_probe_for_one(void)
{
	known();
	send_bytes(M);
	sent(1, 1, true);
	pass(4 * RTT);
	none();
	pass(200);
	sent(1, 1, true);
	CU_ASSERT_EQUAL(counter(MT_TCP_tail_probes), 0);
	CU_ASSERT_EQUAL(counter(MT_TCP_timeouts), 1);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + 2 * M);
	more(2);
	settled();
}

/* What was sent again is lost again: what was sent later tells, without a timeout. */
static void lost_twice(void)
{
	known();
	send_bytes(9 * M);
	sent(1, 9, true);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {1 + 2 * M, 1 + 6 * M});
	sent(1, 1, false);
	later(5);
	send_bytes(M);
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {1 + 2 * M, 1 + 10 * M});
	sent(10, 1, true); /* sent after the retransmission */
	none();
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {1 + 2 * M, 1 + 11 * M});
	sent(1, 1, false);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + 11 * M);
	CU_ASSERT_EQUAL(conn()->retransmits, 2);
	CU_ASSERT_EQUAL(counter(MT_TCP_timeouts), 0);
	more(11);
	settled();
}

/* Segment 1 is overtaken by one: not lost, and the path is known to reorder from then on. */
static void overtaken(void)
{
	known();
	send_bytes(3 * M);
	sent(1, 3, true);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {1 + 2 * M, 1 + 3 * M});
	none();
	CU_ASSERT_TRUE(conn()->flags & MT_CF_REO);
	later(2);
	rx(.flags = A, .seq = 1, .ack = 1 + 4 * M);
	CU_ASSERT_TRUE(conn()->flags & MT_CF_REORDERED);
	CU_ASSERT_FALSE(conn()->flags & MT_CF_REO);
	CU_ASSERT_EQUAL(conn()->retransmits, 0);
	settled();
}

/* On such a path three SACKed segments say nothing yet; a quarter of the round trip does. */
static void reordering_window(void)
{
	known();
	conn()->flags |= MT_CF_REORDERED;
	send_bytes(6 * M);
	sent(1, 6, true);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {1 + 2 * M, 1 + 6 * M});
	none();
	pass(RTT / 4 - 2);
	none();
	pass(4);
	sent(1, 1, false);
	none();
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_RECOVERY);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + 7 * M);
	CU_ASSERT_EQUAL(counter(MT_TCP_timeouts), 0);
	pass(1);
	CU_ASSERT_EQUAL(conn()->tx.len, 0);
	down();
}

/* A duplicate that is reported widens the window, once per round trip; sixteen recoveries narrow it. */
static void window_adapts(void)
{
	known();
	conn()->reo_mult = 1;
	conn()->reo_persist = 2;
	for (int round = 0; round < 2; round++) {
		uint32_t base = 1 + round * 6;

		conn()->cc.cwnd = 10 * M;
		send_bytes(6 * M);
		sent(base, 6, true);
		later(RTT);
		rx(.flags = A, .seq = 1, .ack = 1 + base * M,
			.sack = {1 + (base + 1) * M, 1 + (base + 6) * M});
		skip_all();
		later(RTT);
		rx(.flags = A, .seq = 1, .ack = 1 + (base + 6) * M);
		CU_ASSERT_EQUAL(conn()->reo_mult, round == 0 ? 1 : 0);
	}
	conn()->cc.cwnd = 10 * M;
	send_bytes(6 * M);
	skip_all();
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + 13 * M, .sack = {1 + 14 * M, 1 + 19 * M});
	for (int i = 0; i < 3; i++)
		rx(.flags = A, .seq = 1, .ack = 1 + 13 * M,
			.sack = {1 + 14 * M, 1 + 15 * M, 1 + 14 * M, 1 + 19 * M});
	CU_ASSERT_EQUAL(conn()->reo_mult, 1);
	CU_ASSERT_EQUAL(counter(MT_TCP_dsacks_in), 3);
	skip_all();
	down();
}

/* All that was sent again is reported as a duplicate: cwnd and ssthresh are as before. */
static void undo_by_dsack(void)
{
	uint32_t cwnd, ssthresh;

	known();
	cwnd = conn()->cc.cwnd;
	ssthresh = conn()->cc.ssthresh;
	send_bytes(6 * M);
	sent(1, 6, true);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {1 + 2 * M, 1 + 6 * M});
	sent(1, 1, false);
	CU_ASSERT_TRUE(conn()->cc.ssthresh < ssthresh);
	rx(.flags = A, .seq = 1, .ack = 1 + 7 * M); /* it was only late */
	CU_ASSERT_TRUE(conn()->cc.cwnd < cwnd);
	send_bytes(M);
	sent(7, 1, true);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + 7 * M, .sack = {1 + M, 1 + 2 * M});
	CU_ASSERT_TRUE(conn()->cc.cwnd >= cwnd);
	CU_ASSERT_EQUAL(conn()->cc.ssthresh, ssthresh);
	CU_ASSERT_EQUAL(counter(MT_TCP_undone), 1);
	rx(.flags = A, .seq = 1, .ack = 1 + 8 * M);
	settled();
}

static void with_timestamps(void)
{
	up(NULL);
	accepted_with((struct say){.mss = 1440, .sack_ok = true, .tsval = 100});
}

static const struct sent *last_out(void)
{
	return &w.out[(w.n_out - 1) % 512];
}

/* A timeout; the answer echoes what `again` says: the first or the second copy (RFC 3522). */
static void timeout_with_timestamps(bool again)
{
	uint32_t ts;

	with_timestamps();
	send_written(MT, MT);
	turn();
	ts = last_out()->tsval;
	skip_all();
	pass(205);
	if (again)
		ts = last_out()->tsval;
	tx(.flags = PA, .seq = 1, .ack = 1, .len = MT);
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_LOSS);
	CU_ASSERT_EQUAL(conn()->cc.cwnd, conn()->cc.mss);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + MT, .tsval = 101, .tsecr = ts);
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_OPEN);
}

static void undo_by_timestamp(void)
{
	timeout_with_timestamps(false);
	CU_ASSERT_EQUAL(counter(MT_TCP_undone), 1);
	CU_ASSERT_EQUAL(conn()->cc.cwnd, 10 * MT);
	CU_ASSERT_EQUAL(conn()->cc.ssthresh, MT_CC_SSTHRESH_INF);
	settled();
}

static void no_undo(void)
{
	timeout_with_timestamps(true);
	CU_ASSERT_EQUAL(counter(MT_TCP_undone), 0);
	CU_ASSERT_TRUE(conn()->cc.cwnd < 3 * MT);
	CU_ASSERT_EQUAL(conn()->cc.ssthresh, 2 * MT);
	none();
	down();
}

/* Long segments vanish: the third timeout tries 1,280 bytes, and what works the path is known by. */
static void black_hole(void)
{
	up(NULL);
	accepted();
	send_bytes(2 * M);
	pass(6500);
	skip_all();
	CU_ASSERT_EQUAL(conn()->retries, 2);
	pass(1000);
	tx(.flags = A, .seq = 1, .ack = 1, .len = 1240);
	none();
	CU_ASSERT_EQUAL(counter(MT_TCP_black_holes), 1);
	rx(.flags = A, .seq = 1, .ack = 1241);
	CU_ASSERT_EQUAL(w.mtu, 1280);
	CU_ASSERT_EQUAL(
		conn()->mss_peer, 1460); /* when the path's entry ages, longer ones are tried */
	tx(.flags = A, .seq = 1241, .ack = 1, .len = 1240);
	tx(.flags = PA, .seq = 2481, .ack = 1, .len = 400);
	rx(.flags = A, .seq = 1, .ack = 1 + 2 * M);
	settled();
}

/* Short segments that are not acknowledged say nothing about length. */
static void no_black_hole(void)
{
	up(NULL);
	accepted();
	send_bytes(500);
	pass(40000);
	CU_ASSERT_TRUE(conn()->retries > 4);
	CU_ASSERT_EQUAL(counter(MT_TCP_black_holes), 0);
	skip_all();
	down();
}

/* RFC 6937: cwnd goes down by what arrives, not at once, and ends at ssthresh. */
/*
 * The cumulative ACK ends inside a SACKed range: bytes below it no longer count as SACKed.
 * Otherwise fewer bytes would seem outstanding, and more would be sent than cwnd permits.
 */
static void ack_inside_of_sack(void)
{
	const struct mt_tcp_loss *l;

	known();
	send_bytes(8 * M);
	sent(1, 8, true);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {1 + 3 * M, 1 + 6 * M});
	l = mt_tcp_loss(w.t, conn());
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_EQUAL(l->sacked, 3 * M);
	rx(.flags = A, .seq = 1, .ack = 1 + 4 * M + 1);
	l = mt_tcp_loss(w.t, conn());
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_EQUAL(l->r[0].end - l->r[0].start, 2 * M - 1);
	CU_ASSERT_EQUAL(l->sacked, 2 * M - 1);
	skip_all();
	rx(.flags = A, .seq = 1, .ack = 1 + 9 * M);
	CU_ASSERT_EQUAL(mt_tcp_flight(conn()), 0);
	skip_all();
	down();
}

static void prr(void)
{
	known();
	conn()->cc.cwnd = conn()->cc.ssthresh = 20 * M;
	send_bytes(40 * M);
	pass(4); /* not in one burst */
	sent(1, 20, false);
	later(RTT);
	for (uint32_t i = 2; i <= 20; i++) {
		uint32_t before = w.n_out;

		rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {1 + 2 * M, 1 + (i + 1) * M});
		CU_ASSERT_TRUE(w.n_out - before <= 1);
	}
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_RECOVERY);
	/* 20 outstanding, 19 arrived: 0.7 of them went, the retransmission among them */
	CU_ASSERT_EQUAL(conn()->cc.ssthresh, 14 * M);
	CU_ASSERT_TRUE(w.n_out - w.next_out >= 12 && w.n_out - w.next_out <= 14);
	skip_all();
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + 21 * M);
	CU_ASSERT_EQUAL(conn()->cc.cwnd, 14 * M);
	skip_all();
	down();
}

/* Duplicates that we report come first, and once (RFC 2883). */
static void dsack_we_send(void)
{
	up(NULL);
	accepted_with((struct say){.mss = 1440, .sack_ok = true, .tsval = 10});
	rx(.flags = A, .seq = 1, .ack = 1, .len = 100, .tsval = 11);
	read_all();
	skip_all();
	rx(.flags = A, .seq = 1, .ack = 1, .len = 100, .tsval = 11); /* all of it again */
	tx(.flags = A, .seq = 1, .ack = 101, .sack = {1, 101});
	rx(.flags = A, .seq = 51, .ack = 1, .len = 100, .tsval = 11); /* half of it again */
	tx(.flags = A, .seq = 1, .ack = 151, .sack = {51, 101});
	rx(.flags = A, .seq = 301, .ack = 1, .len = 100, .tsval = 11); /* a hole */
	tx(.flags = A, .seq = 1, .ack = 151, .sack = {301, 401});
	rx(.flags = A, .seq = 351, .ack = 1, .len = 100, .tsval = 11); /* half of that again */
	tx(.flags = A, .seq = 1, .ack = 151, .sack = {351, 401, 301, 451});
	rx(.flags = A, .seq = 501, .ack = 1, .len = 10, .tsval = 11);
	tx(.flags = A, .seq = 1, .ack = 151, .sack = {501, 511, 301, 451});
	none();
	/* With data to send: the first segment bears it, the second does not. */
	rxq(.flags = A, .seq = 1, .ack = 1, .len = 50, .tsval = 11);
	send_written(2 * 1400, 1400);
	turn();
	CU_ASSERT_EQUAL(w.out[w.next_out % 512].n_sack, 2 * 3);
	CU_ASSERT_EQUAL(w.out[w.next_out % 512].sack[0], 1);
	CU_ASSERT_EQUAL(w.out[(w.n_out - 1) % 512].n_sack, 2 * 2);
	skip_all();
	down();
}

/* D-SACK blocks that make no sense change nothing. */
static void dsack_hostile(void)
{
	known();
	send_bytes(3 * M);
	sent(1, 3, true);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {0x80000000, 0x80000100});
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {1 + 90 * M, 1 + 91 * M});
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {M, 1});
	CU_ASSERT_EQUAL(counter(MT_TCP_dsacks_in), 0);
	skip_all();
	rx(.flags = A, .seq = 1, .ack = 1 + 4 * M);
	CU_ASSERT_EQUAL(conn()->reo_mult, 0);
	down();
}

/* An ACK that tells nothing new, of which anybody can send many, is not worth a walk over the queue. */
static void nothing_new(void)
{
	uint64_t *mark;

	known();
	send_bytes(6 * M);
	sent(1, 6, true);
	later(RTT);
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {1 + 6 * M, 1 + 7 * M});
	none();
	mark = &mt_link(conn()->tx.head)->mark;
	*mark = w.t->now_us - 10000000; /* a walk would find that it is lost */
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {1 + 6 * M, 1 + 7 * M});
	rx(.flags = A, .seq = 1, .ack = 1 + M);
	CU_ASSERT_EQUAL(*mark >> 32, 0);
	none();
	rx(.flags = A, .seq = 1, .ack = 1 + M, .sack = {1 + 5 * M, 1 + 7 * M});
	CU_ASSERT_EQUAL(*mark & ~(uint64_t)UINT32_MAX, MT_TX_RETRANS);
	skip_all();
	rx(.flags = A, .seq = 1, .ack = 1 + 7 * M);
	skip_all();
	down();
}

/* What is known to have gone twice stays known when another walk over the queue begins: its copies prove nothing. */
static void part_sent_again(void)
{
	struct mt_tcp_loss *l;
	uint32_t una;

	up(NULL);
	accepted();
	send_written(1200, 400); /* three buffers */
	turn();
	skip_all();
	una = conn()->snd_una;
	l = mt_tcp_loss_get(w.t, conn());
	mt_tcp_lose(w.t, conn(), l, MT_TCP_LOSE_ALL);
	conn()->retransmits = 2;
	mt_tcp_resent(w.t, conn(), l, una, 400);
	mt_tcp_resent(w.t, conn(), l, una + 400, 100);
	CU_ASSERT_EQUAL(mt_tcp_resent_to(w.t, conn()), una + 500);
	mt_tcp_lose_first(w.t, conn(), l);
	CU_ASSERT_EQUAL(mt_tcp_resent_to(w.t, conn()), una + 500);
	down();
}

const struct mt_test recovery_tests[] = {
	{"tail loss probe", tail_probe},
	{"tail loss probe with new data", tail_probe_new},
	{"tail loss probe that repairs", tail_probe_repairs},
	{"tail loss probe in vain", tail_probe_in_vain},
	{"no probe for one segment", no_probe_for_one},
	{"lost twice", lost_twice},
	{"overtaken is not lost", overtaken},
	{"reordering window", reordering_window},
	{"reordering window adapts", window_adapts},
	{"ACK inside of a SACKed range", ack_inside_of_sack},
	{"undone by D-SACK", undo_by_dsack},
	{"undone by timestamp", undo_by_timestamp},
	{"not undone", no_undo},
	{"path that swallows long segments", black_hole},
	{"short segments are no black hole", no_black_hole},
	{"proportional rate reduction", prr},
	{"D-SACK that we send", dsack_we_send},
	{"D-SACK without sense", dsack_hostile},
	{"nothing new, nothing looked for", nothing_new},
	{"sent again in part", part_sent_again},
	{0},
};
