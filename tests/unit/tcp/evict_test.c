/* SPDX-License-Identifier: Apache-2.0 */
/* A class of memory that is used up: who is asked to give way. */
#include "world.h"

static uint32_t asked;

static void on_evict(struct mt_stream *s, enum mt_class c)
{
	asked++;
	w.read += s->rx.len / 2;
	mt_stream_drop(s, s->rx.len / 2);
}

/* 40 segments that nobody reads. */
static void hoard(void)
{
	accepted();
	w.stop_reading = true;
	for (uint32_t i = 0; i < 40; i++)
		rx(.flags = A, .seq = 1 + i * 1024, .ack = 1, .len = 1024);
	skip_all();
}

static void set_share(enum mt_class c, uint64_t share)
{
	for (int k = 0; k < MT_N_CLASSES; k++)
		mt_tcp_ledger(w.t)->classes[k].share = k == (int)c ? share : 0;
	turn();
}

static void largest_is_asked_until_there_is_room(void)
{
	struct mt_stream_user user;

	up(NULL);
	hoard();
	user = *w.s->user;
	user.evict = on_evict;
	w.s->user = &user;
	asked = 0;
	set_share(MT_CLASS_RECEIVING, 30000);
	CU_ASSERT_EQUAL(mt_tcp_evict(w.t, 16), 2); /* a half, and a half of that */
	CU_ASSERT_EQUAL(asked, 2);
	CU_ASSERT_EQUAL(counter(MT_TCP_evicted), 2);
	CU_ASSERT_TRUE(mt_tcp_ledger(w.t)->classes[MT_CLASS_RECEIVING].charged < 30000);
	CU_ASSERT_EQUAL(mt_tcp_evict(w.t, 16), 0);
	w.stop_reading = false;
	read_all();
	turn();
	skip_all();
	down();
}

static void who_cannot_is_passed_over(void)
{
	up(NULL);
	hoard();
	set_share(MT_CLASS_RECEIVING, 30000);
	mt_tcp_evict(w.t, 16);
	CU_ASSERT_EQUAL(counter(MT_TCP_evicted), 0);
	CU_ASSERT_EQUAL(w.s->rx.len, 40 * 1024);
	w.stop_reading = false;
	read_all();
	turn();
	skip_all();
	down();
}

/* What the user keeps for later shuts no window and is charged all the same. */
static void kept_bytes_are_charged(void)
{
	struct mt_stream_user user;

	up(NULL);
	hoard();
	user = *w.s->user;
	user.evict = on_evict;
	w.s->user = &user;
	mt_stream_keep(w.s, w.s->rx.len);
	turn();
	CU_ASSERT_EQUAL(mt_tcp_ledger(w.t)->classes[MT_CLASS_RECEIVING].charged, w.s->rx.truesize);
	CU_ASSERT_TRUE(w.s->rx.truesize > 30000);
	set_share(MT_CLASS_RECEIVING, 30000);
	CU_ASSERT_EQUAL(mt_tcp_evict(w.t, 16), 2);
	CU_ASSERT_EQUAL(w.s->rx_kept, 0);
	CU_ASSERT_EQUAL(mt_tcp_ledger(w.t)->classes[MT_CLASS_RECEIVING].charged, w.s->rx.truesize);
	w.stop_reading = false;
	read_all();
	turn();
	skip_all();
	down();
}

/* A layer's user says what its bytes are when some of the layer's own have been charged already. */
static void class_takes_along_what_is_charged(void)
{
	const struct mt_ledger_class *k;

	up(NULL);
	accepted();
	k = mt_tcp_ledger(w.t)->classes;
	w.stop_reading = true;
	send_bytes(100);
	rx(.flags = A, .seq = 1, .ack = 1, .len = 100);
	CU_ASSERT_TRUE(k[MT_CLASS_RECEIVING].charged > 0 && k[MT_CLASS_REPLYING].charged > 0);
	mt_stream_class(w.s, MT_CLASS_STREAMING, MT_CLASS_RESENDING);
	CU_ASSERT_EQUAL(k[MT_CLASS_RECEIVING].charged, 0);
	CU_ASSERT_EQUAL(k[MT_CLASS_REPLYING].charged, 0);
	CU_ASSERT_EQUAL(k[MT_CLASS_STREAMING].charged, w.s->rx.truesize);
	CU_ASSERT_EQUAL(k[MT_CLASS_RESENDING].charged, w.s->tx_queued);
	turn();
	/* The same with an account. */
	hoard();
	turn();
	CU_ASSERT_TRUE(k[MT_CLASS_STREAMING].charged > MT_LEDGER_SMALL);
	mt_stream_class(w.s, MT_CLASS_RECEIVING, MT_CLASS_REPLYING);
	turn();
	CU_ASSERT_EQUAL(k[MT_CLASS_STREAMING].charged, 0);
	CU_ASSERT_EQUAL(k[MT_CLASS_RECEIVING].charged, w.s->rx.truesize);
	CU_ASSERT_PTR_NULL(mt_tcp_ledger_wrong(w.t));
	w.stop_reading = false;
	read_all();
	turn();
	skip_all();
	down();
}

/* A layer asks for the event that lets it go on, when its own user has room again. */
static void readable_comes_again(void)
{
	up(NULL);
	accepted();
	w.stop_reading = true;
	rx(.flags = A, .seq = 1, .ack = 1, .len = 100);
	events("readable:100 ");
	mt_stream_again(w.s);
	mt_stream_again(w.s);
	events("");
	turn();
	events("readable:100 ");
	turn();
	events("");
	w.stop_reading = false;
	read_all();
	turn();
	skip_all();
	down();
}

/* A connection that its user has let go is nobody's loss. */
static void detached_is_reset(void)
{
	up(NULL);
	accepted();
	send_bytes(50000);
	mt_stream_detach(w.s);
	turn();
	skip_all();
	set_share(MT_CLASS_REPLYING, 20000);
	CU_ASSERT_EQUAL(mt_tcp_evict(w.t, 16), 1);
	turn();
	tx(.flags = R | A, .seq = w.out[(w.n_out - 1) % 512].seq, .ack = 1);
	CU_ASSERT_EQUAL(mt_tcp_ledger(w.t)->classes[MT_CLASS_REPLYING].charged, 0);
	w.s = NULL;
	down();
}

/* A connection to a server is nobody's victim for what the server does not acknowledge. */
static void unacknowledged_is_not_evicted(void)
{
	up(NULL);
	accepted();
	w.s->tx_class = MT_CLASS_RESENDING;
	send_bytes(50000);
	turn();
	skip_all();
	set_share(MT_CLASS_RESENDING, 20000);
	CU_ASSERT_TRUE(mt_ledger_full(mt_tcp_ledger(w.t), MT_CLASS_RESENDING));
	CU_ASSERT_EQUAL(mt_tcp_evict(w.t, 16), 0);
	CU_ASSERT_EQUAL(counter(MT_TCP_evicted), 0);
	mt_stream_abort(w.s, MT_ABORT_CANCELLED);
	turn();
	skip_all();
	w.s = NULL;
	down();
}

/* A byte stream whose holder has all of what a class may take: half of it is what it should have. */
static void holder_of_much_is_given_less_room(void)
{
	uint32_t high;

	up(NULL);
	accepted();
	high = w.s->tx_high;
	mt_stream_class(w.s, MT_CLASS_STREAMING, MT_CLASS_STREAMING);
	w.s->yields = true;
	set_share(MT_CLASS_STREAMING, 80000);
	send_bytes(60000);
	turn();
	CU_ASSERT_EQUAL(w.s->tx_high, high); /* it was not pressed when that turn began */
	rx(.flags = A, .seq = 1, .ack = 1, .len = 100);
	CU_ASSERT_EQUAL(w.s->tx_high, 40000);
	CU_ASSERT_EQUAL(counter(MT_TCP_tx_throttled), 1);
	CU_ASSERT_EQUAL(mt_stream_sendable(w.s), 0);
	CU_ASSERT_TRUE(mt_tcp_ledger(w.t)->pressed != 0);
	w.s->want_writable = false;
	w.stop_reading = true;
	for (uint32_t i = 0; i < 30; i++)
		rx(.flags = A, .seq = 101 + i * 1000, .ack = 1, .len = 1000);
	w.stop_reading = false;
	read_all();
	turn();
	CU_ASSERT_TRUE(mt_tcp_rcv_wnd(conn()) <= 40000); /* of 64 KiB */
	skip_all();
	for (uint32_t acked = 1; acked < 60001; acked += 10000)
		rx(.flags = A, .seq = 30101, .ack = acked + 10000);
	rx(.flags = A, .seq = 30101, .ack = 60001, .len = 1);
	turn();
	CU_ASSERT_EQUAL(w.s->tx_high, high);
	CU_ASSERT_FALSE(w.s->squeezed);
	skip_all();
	down();
}

const struct mt_test evict_tests[] = {
	{"unacknowledged is not evicted", unacknowledged_is_not_evicted},
	{"holder of much is given less room", holder_of_much_is_given_less_room},
	{"largest is asked until there is room", largest_is_asked_until_there_is_room},
	{"who cannot is passed over", who_cannot_is_passed_over},
	{"kept bytes are charged", kept_bytes_are_charged},
	{"detached is reset", detached_is_reset},
	{"class takes along what is charged", class_takes_along_what_is_charged},
	{"readable comes again", readable_comes_again},
	{0},
};
