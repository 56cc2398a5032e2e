/* SPDX-License-Identifier: Apache-2.0 */
/* A crowd: too many hold the begin of a message, and who holds nothing yet begins with nothing. */
#include "world.h"

/* Until the turn ends; the ledger itself does not find anything. */
static void set_crowded(bool crowded)
{
	mt_tcp_ledger(w.t)->crowded = crowded;
}

static uint32_t forgot;
static const struct mt_stream_user *plain;

/* The user needs more than has come. */
static void on_begin(struct mt_stream *s)
{
	plain->readable(s);
	if (s->rx.len)
		forgot += mt_stream_put_back(s);
}

/* Of 100 bytes 60 are a message, the others the begin of the next. */
static void on_message_and_a_bit(struct mt_stream *s)
{
	if (s->rx.len == 100) {
		mt_stream_drop(s, 60);
		w.read += 60;
	}
	forgot += mt_stream_put_back(s);
}

/* An accepted connection with this user. */
static void up_with(struct say syn, void (*readable)(struct mt_stream *s))
{
	static struct mt_stream_user user;

	up(NULL);
	accepted_with(syn);
	plain = w.s->user;
	user = *plain;
	user.readable = readable;
	w.s->user = &user;
	forgot = 0;
}

/* Whose user leaves what has come, or takes all. */
static void up_crowded(bool leaves)
{
	up_with((struct say){.mss = 1460}, on_begin);
	w.stop_reading = leaves;
}

static void down_crowded(void)
{
	set_crowded(false);
	w.stop_reading = false;
	skip_all();
	down();
}

/* What is part of something is not acknowledged, but answered: its sender sees that we are there. ACKs count as ever. */
static void begin_is_put_back(void)
{
	up_crowded(true);
	send_bytes(50);
	turn();
	skip_all();
	set_crowded(true);
	rx(.flags = PA, .seq = 1, .ack = 51, .len = 100);
	events("readable:100 acked:50 ");
	CU_ASSERT_EQUAL(forgot, 1);
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_admission_limited), 1);
	CU_ASSERT_EQUAL(w.s->rx.len, 0);
	CU_ASSERT_EQUAL(conn()->bytes_in, 0);
	CU_ASSERT_EQUAL(conn()->tune_bytes, 0);
	tx(.flags = A, .seq = 51, .ack = 1);
	later(300);
	none();
	/* A turn in which the first bytes of it come and others behind a hole. */
	rxq(.flags = A, .seq = 1, .ack = 51, .len = 100);
	rx(.flags = A, .seq = 201, .ack = 51, .len = 100);
	events("readable:100 ");
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_admission_limited), 3);
	CU_ASSERT_EQUAL(conn()->ooo, 0);
	tx(.flags = A, .seq = 51, .ack = 1);
	later(300);
	none();
	set_crowded(false);
	w.stop_reading = false;
	rx(.flags = PA, .seq = 1, .ack = 51, .len = 300);
	events("readable:300 ");
	later(300);
	tx(.flags = A, .seq = 51, .ack = 301);
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_admission_limited), 3);
	down_crowded();
}

/* Who makes us hold nothing does not wait. */
static void whole_message_is_taken(void)
{
	up_crowded(false);
	set_crowded(true);
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 100);
	events("readable:100 ");
	CU_ASSERT_EQUAL(forgot, 0);
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_admission_limited), 0);
	later(300);
	tx(.flags = A, .seq = 1, .ack = 101);
	down_crowded();
}

static void only_the_rest_is_put_back(void)
{
	up_with((struct say){.mss = 1460}, on_message_and_a_bit);
	w.stop_reading = true;
	set_crowded(true);
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 100);
	CU_ASSERT_EQUAL(forgot, 1);
	later(300);
	tx(.flags = A, .seq = 1, .ack = 61);
	set_crowded(false);
	rx(.flags = PA, .seq = 61, .ack = 1, .len = 40);
	CU_ASSERT_EQUAL(w.s->rx.len, 40);
	read_all();
	down_crowded();
}

/* An ACK that was lost comes again, though what the retransmission brings beside is put back. */
static void lost_ack_comes_again(void)
{
	up_crowded(false);
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 60);
	later(300);
	tx(.flags = A, .seq = 1, .ack = 61);
	w.stop_reading = true;
	set_crowded(true);
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 100); /* the peer joins what it sends again */
	CU_ASSERT_EQUAL(forgot, 1);
	tx(.flags = A, .seq = 1, .ack = 61);
	none();
	down_crowded();
}

/* Twice in a turn: a D-SACK of it would say that we have it. */
static void no_sack_of_what_is_put_back(void)
{
	up_with((struct say){.mss = 1460, .sack_ok = true}, on_begin);
	w.stop_reading = true;
	set_crowded(true);
	rxq(.flags = PA, .seq = 1, .ack = 1, .len = 100);
	rx(.flags = PA, .seq = 51, .ack = 1, .len = 50);
	CU_ASSERT_EQUAL(forgot, 1);
	send_bytes(50);
	turn();
	for (uint32_t i = w.next_out; i < w.n_out; i++) {
		CU_ASSERT_EQUAL(w.out[i % 512].ack, 1);
		CU_ASSERT_EQUAL(w.out[i % 512].n_sack, 0);
	}
	down_crowded();
}

/* What is ahead is no whole message. */
static void ahead_waits(void)
{
	up_crowded(false);
	set_crowded(true);
	rx(.flags = PA, .seq = 101, .ack = 1, .len = 100);
	none();
	events("");
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_admission_limited), 1);
	CU_ASSERT_EQUAL(conn()->ooo, 0);
	/* A FIN is no message: it is kept behind its hole, and makes no holder of its connection. */
	rx(.flags = FA, .seq = 201, .ack = 1);
	tx(.flags = A, .seq = 1, .ack = 1);
	rx(.flags = PA, .seq = 101, .ack = 1, .len = 100);
	none();
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_admission_limited), 2);
	w.stop_reading = true;
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 100);
	CU_ASSERT_EQUAL(forgot, 1);
	set_crowded(false);
	w.stop_reading = false;
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 200);
	events("readable:100 readable:200 eof ");
	down_crowded();
}

/* Who is in the middle of something goes on, and what has ended does not come again. */
static void holders_go_on(void)
{
	up_crowded(true);
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 100);
	set_crowded(true);
	rx(.flags = PA, .seq = 101, .ack = 1, .len = 100); /* neither is acknowledged yet */
	events("readable:100 readable:200 ");
	set_crowded(true);
	rx(.flags = PA, .seq = 301, .ack = 1, .len = 100); /* ahead */
	set_crowded(true);
	rx(.flags = PA, .seq = 201, .ack = 1, .len = 100);
	events("readable:400 ");
	read_all();
	turn();
	mt_stream_class(w.s, MT_CLASS_STREAMING, MT_CLASS_STREAMING);
	set_crowded(true);
	rxq(.flags = PA, .seq = 501, .ack = 1, .len = 100);
	set_crowded(true);
	rx(.flags = PA, .seq = 401, .ack = 1, .len = 100);
	events("readable:200 ");
	read_all();
	turn();
	mt_stream_class(w.s, MT_CLASS_RECEIVING, MT_CLASS_REPLYING);
	set_crowded(true);
	rx(.flags = FA, .seq = 601, .ack = 1, .len = 100);
	events("readable:100 eof ");
	CU_ASSERT_EQUAL(forgot, 0);
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_admission_limited), 0);
	read_all();
	down_crowded();
}

/* What was acknowledged while it was of another class does not come again. */
static void class_that_changes_keeps_what_is_there(void)
{
	up_crowded(true);
	mt_stream_touch(w.s);
	mt_stream_class(w.s, MT_CLASS_STREAMING, MT_CLASS_STREAMING);
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 100);
	later(300);
	tx(.flags = A, .seq = 1, .ack = 101);
	mt_stream_class(w.s, MT_CLASS_RECEIVING, MT_CLASS_REPLYING);
	set_crowded(true);
	rx(.flags = PA, .seq = 101, .ack = 1, .len = 100);
	CU_ASSERT_EQUAL(forgot, 0);
	CU_ASSERT_EQUAL(w.s->rx.len, 200);
	read_all();
	down_crowded();
}

/* Data out of order alone are something, too. */
static void holder_out_of_order_goes_on(void)
{
	up_crowded(false);
	rx(.flags = A, .seq = 101, .ack = 1, .len = 100);
	set_crowded(true);
	rx(.flags = A, .seq = 201, .ack = 1, .len = 100);
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_admission_limited), 0);
	rx(.flags = A, .seq = 1, .ack = 1, .len = 100);
	events("readable:300 ");
	down_crowded();
}

static void server_goes_on(void)
{
	up(NULL);
	opened();
	rx(.flags = SA, .seq = 0, .ack = 1, .mss = 1460);
	set_crowded(true);
	rx(.flags = A, .seq = 101, .ack = 1, .len = 100);
	CU_ASSERT_EQUAL(counter(MT_TCP_rx_admission_limited), 0);
	CU_ASSERT_NOT_EQUAL(conn()->ooo, 0);
	down_crowded();
}

static struct mt_rand crowd_rand;

/* Takes all, some, or nothing, and would keep the rest. */
static void on_some(struct mt_stream *s)
{
	uint32_t n = s->rx.len, part = mt_rand_below(&crowd_rand, n + 1);

	if (mt_rand_below(&crowd_rand, 3) == 0) {
		read_all();
		return;
	}
	if (mt_rand_below(&crowd_rand, 2))
		read_first(part);
	if (s->rx.len && mt_stream_put_back(s))
		forgot++;
	else
		mt_stream_keep(s, s->rx.len);
}

/* No ACK moves back, and none says more than what is there. */
static void check_acks(uint32_t *acked)
{
	for (; w.next_out < w.n_out; w.next_out++) {
		const struct sent *o = &w.out[w.next_out % 512];

		CU_ASSERT_TRUE(o->ack >= *acked);
		*acked = o->ack;
		CU_ASSERT_TRUE(o->ack <= 1 + w.read + w.s->rx.len);
		for (uint32_t i = 0; i + 1 < o->n_sack; i += 2)
			CU_ASSERT_TRUE(o->sack[i + 1] <= o->ack || conn()->ooo);
	}
}

/* Whatever comes in which turn, and whenever it is crowded: no byte is lost or read twice. */
static void crowd_fuzz(void)
{
	uint32_t forgotten = 0;

	for (uint32_t seed = 0; seed < 60; seed++) {
		uint32_t acked = 1;

		mt_rand_seed(&crowd_rand, seed);
		up_with((struct say){.mss = 1460, .sack_ok = seed & 1}, on_some);
		for (uint32_t i = 0; i < 400; i++) {
			uint32_t before = mt_rand_below(&crowd_rand, MT_MIN(acked, 400u));
			struct say s = {.flags = A, .ack = 1};

			s.seq = acked - before;
			if (mt_rand_below(&crowd_rand, 3) == 0)
				s.seq += mt_rand_below(&crowd_rand, 600);
			s.len = mt_rand_below(&crowd_rand, 700);
			w.events[0] = 0;
			if (mt_rand_below(&crowd_rand, 2)) {
				rx_later(s);
				continue;
			}
			set_crowded(mt_rand_below(&crowd_rand, 4));
			rx_say(s);
			check_acks(&acked);
			later(mt_rand_below(&crowd_rand, 60));
			check_acks(&acked);
		}
		turn();
		CU_ASSERT_TRUE(w.read > 2000);
		forgotten += forgot;
		down_crowded();
	}
	CU_ASSERT_TRUE(forgotten > 500);
}

const struct mt_test crowd_tests[] = {
	{"begin is put back", begin_is_put_back},
	{"whole message is taken", whole_message_is_taken},
	{"only the rest is put back", only_the_rest_is_put_back},
	{"lost ACK comes again", lost_ack_comes_again},
	{"no SACK of what is put back", no_sack_of_what_is_put_back},
	{"ahead waits", ahead_waits},
	{"holders go on", holders_go_on},
	{"server goes on", server_goes_on},
	{"holder out of order goes on", holder_out_of_order_goes_on},
	{"class that changes keeps what is there", class_that_changes_keeps_what_is_there},
	{"crowd fuzz", crowd_fuzz},
	{0},
};
