/* SPDX-License-Identifier: Apache-2.0 */
/* What was given to a stream and is not acknowledged is given back, byte for byte, whatever became of it. */
#include "world.h"

#include <errno.h>

static void gives(uint64_t first, uint64_t last)
{
	struct mt_stream_pos before = mt_stream_positions(w.s), after;
	uint32_t queued = w.s->tx_queued;

	CU_ASSERT_EQUAL(reclaim(w.s, first, last), 0);
	CU_ASSERT_TRUE(reclaimed(first, last));
	after = mt_stream_positions(w.s);
	CU_ASSERT_EQUAL(memcmp(&before, &after, sizeof(before)), 0);
	CU_ASSERT_EQUAL(w.s->tx_queued, queued);
}

static void refuses(uint64_t first, uint64_t last, int why)
{
	CU_ASSERT_EQUAL(reclaim(w.s, first, last), why);
	CU_ASSERT_EQUAL(w.reclaimed.len, 0);
}

static void not_sent(void)
{
	up(NULL);
	opened();
	skip_all();
	refuses(0, 1, -ENODATA); /* never given */
	send_bytes(4000);	 /* waits for the handshake */
	none();
	gives(0, 4000);
	gives(1500, 1501);
	gives(7, 7);
	refuses(0, 4001, -ENODATA);
	rx(.flags = RA, .seq = 0, .ack = 1);
	events("closed:connection refused ");
	down();
}

/* Refused before anything could go: all of it is there in closed(). */
static void refused(void)
{
	up(NULL);
	opened();
	skip_all();
	send_bytes(4000);
	w.reclaims = true;
	rx(.flags = RA, .seq = 0, .ack = 1);
	CU_ASSERT_EQUAL(w.end.pos.accepted, 4000);
	CU_ASSERT_EQUAL(w.end.pos.sent, 0);
	CU_ASSERT_EQUAL(w.reclaim_rc, 0);
	CU_ASSERT_TRUE(reclaimed(0, 4000));
	down();
}

/* Of what went in place the port wrote headers in front; it may hold the packets still. */
static void sent_and_partly_acked(void)
{
	for (int hold = 0; hold < 2; hold++) {
		up(NULL);
		accepted();
		w.hold = hold;
		send_bytes(3 * 1440 + 100);
		skip_all();
		gives(0, 4420);
		gives(1000, 3000); /* over buffers */
		rx(.flags = A, .seq = 1, .ack = 2001, .wnd = 65535);
		gives(2000, 4420);
		refuses(1999, 4420, -ENODATA);
		refuses(0, 10, -ENODATA);
		rx(.flags = A, .seq = 1, .ack = 4421);
		refuses(4419, 4420, -ENODATA);
		gives(4420, 4420);
		down();
	}
}

static void sent_again(void)
{
	up(NULL);
	accepted();
	w.hold = true; /* so a retransmission is a copy, or a clone with a header of its own */
	send_bytes(3 * 1440);
	pass(5000);
	CU_ASSERT_TRUE(counter(MT_TCP_retransmits) > 1);
	skip_all();
	gives(0, 3 * 1440);
	release_held();
	w.hold = false;
	pass(10000); /* in place, again */
	skip_all();
	gives(10, 3 * 1440 - 10);
	down();
}

/* Small sends are copied behind bytes that wait; the window cuts through what they were merged into. */
static void merged(void)
{
	up(NULL);
	accepted_with((struct say){.mss = 1460, .wnd = 500});
	for (uint32_t i = 1; i <= 60; i++)
		send_written(i, i);
	turn();
	skip_all();
	CU_ASSERT_TRUE(conn()->tx.segs < 5);
	CU_ASSERT_TRUE(mt_stream_positions(w.s).sent < 1830);
	gives(0, 1830);
	gives(490, 510);
	rx(.flags = A, .seq = 1, .ack = 401, .wnd = 500);
	skip_all();
	gives(400, 1830);
	gives(899, 901);
	down();
}

static void in_pieces(void)
{
	up(NULL);
	accepted();
	send_written(3000, 7);
	turn();
	skip_all();
	gives(0, 3000);
	gives(13, 2987);
	CU_ASSERT_TRUE(w.reclaimed.segs <= 2); /* packed */
	down();
}

static void after_reset(void)
{
	up(NULL);
	accepted();
	w.reclaims = true;
	send_bytes(6000);
	rx(.flags = A, .seq = 1, .ack = 1001);
	pass(2000); /* a timeout: there is a loss record, too */
	CU_ASSERT_TRUE(w.t->losses.in_use > 0);
	rx(.flags = RA, .seq = 1, .ack = 1001);
	CU_ASSERT_EQUAL(w.end.pos.accepted, 6000);
	CU_ASSERT_EQUAL(w.reclaim_rc, 0);
	CU_ASSERT_TRUE(reclaimed(1000, 6000));
	CU_ASSERT_TRUE(w.end.resent > 1000);
	CU_ASSERT_EQUAL(w.t->conns.in_use, 0);
	CU_ASSERT_EQUAL(w.t->losses.in_use, 0);
	skip_all();
	down();
}

/* The timer ends it: between that and closed() nothing is lost either. */
static void after_timeout(void)
{
	up(&(struct mt_tcp_conf){.retries_max = 2});
	accepted();
	w.reclaims = true;
	send_bytes(100);
	pass(60000);
	events("closed:peer does not answer ");
	CU_ASSERT_EQUAL(w.reclaim_rc, 0);
	CU_ASSERT_TRUE(reclaimed(0, 100));
	skip_all();
	down();
}

static void after_fin(void)
{
	up(NULL);
	accepted();
	send_bytes(100);
	rx(.flags = A, .seq = 1, .ack = 101);
	send_bytes(50);
	rx(.flags = FA, .seq = 1, .ack = 101);
	gives(100, 150); /* between eof and an end of ours */
	mt_stream_shutdown(w.s);
	turn();
	gives(100, 150);
	w.reclaims = true;
	rx(.flags = A, .seq = 2, .ack = 152);
	CU_ASSERT_EQUAL(w.reclaim_rc, 0); /* of what is left: nothing */
	CU_ASSERT_EQUAL(w.reclaimed.len, 0);
	CU_ASSERT_EQUAL(w.end.pos.accepted, 150);
	skip_all();
	down();
}

/* All or nothing; behind what is there already. */
static void no_memory(void)
{
	up(NULL);
	accepted();
	send_bytes(8000);
	skip_all();
	take_pool(2);
	refuses(0, 8000, -ENOMEM);
	CU_ASSERT_EQUAL(mt_stream_reclaim(w.s, 0, 100, &w.reclaimed), 0);
	CU_ASSERT_EQUAL(mt_stream_reclaim(w.s, 100, 8000, &w.reclaimed), -ENOMEM);
	CU_ASSERT_TRUE(reclaimed(0, 100));
	give_pool();
	CU_ASSERT_EQUAL(mt_stream_reclaim(w.s, 100, 8000, &w.reclaimed), 0);
	CU_ASSERT_TRUE(reclaimed(0, 8000));
	down();
}

const struct mt_test reclaim_tests[] = {
	{"reclaim: not sent yet", not_sent},
	{"reclaim: refused", refused},
	{"reclaim: sent and partly acknowledged", sent_and_partly_acked},
	{"reclaim: sent again", sent_again},
	{"reclaim: merged small sends", merged},
	{"reclaim: in pieces", in_pieces},
	{"reclaim: in closed() after a reset", after_reset},
	{"reclaim: in closed() after a timeout", after_timeout},
	{"reclaim: after the peer's FIN", after_fin},
	{"reclaim: no memory", no_memory},
	{0},
};
