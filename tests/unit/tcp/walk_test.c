/* SPDX-License-Identifier: Apache-2.0 */
/* What an ACK may cost when much is in flight: walks over the send queue, in buffers looked at (RFC 8985). */
#include "world.h"

#define PIECE 400
#define MANY  700

/* A long queue in flight, of many buffers. */
static void long_flight_to(bool sack, uint16_t mss)
{
	up(NULL);
	accepted_with((struct say){.flags = S, .mss = mss, .wscale = 8, .sack_ok = sack});
	conn()->cc.cwnd = conn()->cc.ssthresh = 2 * MANY * PIECE;
	send_written(MANY * PIECE, PIECE);
	turn();
	skip_all();
	CU_ASSERT_EQUAL(mt_tcp_flight(conn()), MANY * PIECE);
}

static void long_flight(void)
{
	long_flight_to(true, 1460);
}

/* What `acks` ACKs may cost: a walk or two over the queue, and what they pay for. */
static uint64_t allowed(uint32_t acks)
{
	return MT_TCP_WALK_MAX + 4 * MANY + (uint64_t)acks * MT_TCP_WALK_ACK;
}

/* A peer that reports what arrived byte by byte is not answered by a walk over the queue each time. */
static void sack_byte_by_byte(void)
{
	uint32_t top = 1 + MANY * PIECE, acks = 0;

	long_flight();
	for (uint32_t n = PIECE; n < 3 * PIECE; n++, acks++)
		rx(.flags = A, .seq = 1, .ack = 1, .sack = {top - n, top});
	CU_ASSERT_TRUE(w.t->rack_walked <= allowed(acks));
	/* It was only put off: the first segment is seen to be lost. */
	pass(50);
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_RECOVERY);
	CU_ASSERT_TRUE(w.out[w.next_out % 512].seq == 1);
	skip_all();
	rx(.flags = A, .seq = 1, .ack = top);
	CU_ASSERT_EQUAL(mt_tcp_flight(conn()), 0);
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_OPEN);
	skip_all();
	down();
}

/* The same with the cumulative ACK: each frees a little of what waits to be sent again. */
static void ack_byte_by_byte(void)
{
	uint32_t top = 1 + MANY * PIECE, acks = 0;

	long_flight();
	for (uint32_t n = 1; n < 3 * PIECE; n++, acks++) {
		rx(.flags = A, .seq = 1, .ack = 1 + n, .sack = {top - PIECE - n, top});
		skip_all();
	}
	CU_ASSERT_TRUE(w.t->rack_walked <= allowed(acks) + acks);
	for (int i = 0; i < 400 && mt_tcp_flight(conn()); i++) {
		pass(20);
		skip_all();
		rx(.flags = A, .seq = 1, .ack = i < 300 ? conn()->snd_una - w.iss + 100 : top,
			.sack = {top - 3 * PIECE, i < 300 ? top : 0});
		skip_all();
	}
	CU_ASSERT_EQUAL(mt_tcp_flight(conn()), 0);
	down();
}

/* Without SACK each ACK in a recovery says that the next segment is lost: that is known without a walk. */
static void partial_acks_of(uint16_t mss)
{
	uint32_t top = 1 + MANY * PIECE, acks = 0;

	long_flight_to(false, mss);
	for (int i = 0; i < 3; i++)
		rx(.flags = A, .seq = 1, .ack = 1);
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_RECOVERY);
	CU_ASSERT_EQUAL(w.out[w.next_out % 512].seq, 1);
	skip_all();
	for (uint32_t n = 1; n < 2 * PIECE; n++, acks++) {
		w.now += 20 * MT_USEC;
		rx(.flags = A, .seq = 1, .ack = 1 + n);
		/* Its first byte that is missing goes again. */
		CU_ASSERT_EQUAL(w.out[w.next_out % 512].seq, 1 + n);
		skip_all();
		/* And behind it nothing was looked for. */
		CU_ASSERT_PTR_NOT_NULL(mt_tcp_loss(w.t, conn())->todo);
	}
	CU_ASSERT_TRUE(w.t->rack_walked <= allowed(acks));
	rx(.flags = A, .seq = 1, .ack = top);
	CU_ASSERT_EQUAL(mt_tcp_flight(conn()), 0);
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_OPEN);
	skip_all();
	down();
}

static void partial_acks(void)
{
	partial_acks_of(1460);
	partial_acks_of(100); /* of which a buffer has several */
}

/* Losses all over a long queue are found and mended though walks were put off. */
static void many_losses_put_off(void)
{
	uint32_t top = 1 + MANY * PIECE, hole = 1;

	long_flight();
	for (uint32_t at = 1 + 4 * PIECE; at < top; at += 4 * PIECE) {
		if ((at / PIECE) % 100 < 4)
			hole = at;
		rx(.flags = A, .seq = 1, .ack = 1, .sack = {hole + PIECE, at + 4 * PIECE});
		skip_all();
	}
	CU_ASSERT_TRUE(w.t->rack_walked <= allowed(MANY / 4));
	pass(30);
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_RECOVERY);
	CU_ASSERT_EQUAL(w.out[w.next_out % 512].seq, 1);
	skip_all();
	rx(.flags = A, .seq = 1, .ack = top);
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_OPEN);
	skip_all();
	down();
}

const struct mt_test walk_tests[] = {
	{"SACK byte by byte costs no walk each", sack_byte_by_byte},
	{"ACK byte by byte costs no walk each", ack_byte_by_byte},
	{"partial ACKs without SACK cost no walk each", partial_acks},
	{"losses in a long queue", many_losses_put_off},
	{0},
};
