/* SPDX-License-Identifier: Apache-2.0 */
/* Ends: FIN both ways, half-close, reset, abort, detach (RFC 9293 §3.6). */
#include "world.h"

static void gone(void)
{
	CU_ASSERT_EQUAL(w.t->conns.in_use, 0);
	CU_ASSERT_EQUAL(w.t->losses.in_use, 0);
	CU_ASSERT_EQUAL(w.t->ooos.in_use, 0);
	CU_ASSERT_EQUAL(w.t->wheel.armed, 0);
	none();
}

static void passive_close(void)
{
	up(NULL);
	accepted();
	rx(.flags = FA, .seq = 1, .ack = 1);
	events("eof ");
	tx(.flags = A, .seq = 1, .ack = 2);
	CU_ASSERT_EQUAL(conn()->state, MT_TCP_CLOSE_WAIT);
	send_bytes(10); /* our half is still open */
	tx(.flags = PA, .seq = 1, .ack = 2, .len = 10);
	rx(.flags = A, .seq = 2, .ack = 11);
	events("acked:10 ");
	mt_stream_shutdown(w.s);
	turn();
	tx(.flags = FA, .seq = 11, .ack = 2);
	CU_ASSERT_EQUAL(conn()->state, MT_TCP_LAST_ACK);
	rx(.flags = A, .seq = 2, .ack = 12);
	events("closed:closed ");
	gone();
	CU_ASSERT_EQUAL(w.t->table.n, 0);
	down();
}

static void active_close(void)
{
	up(NULL);
	accepted();
	mt_stream_shutdown(w.s);
	mt_stream_shutdown(w.s); /* twice is once */
	turn();
	tx(.flags = FA, .seq = 1, .ack = 1);
	rx(.flags = A, .seq = 1, .ack = 2);
	CU_ASSERT_EQUAL(conn()->state, MT_TCP_FIN_WAIT_2);
	rx(.flags = PA, .seq = 1, .ack = 2, .len = 30); /* half-closed: the peer goes on */
	rx(.flags = FA, .seq = 31, .ack = 2);
	events("readable:30 eof closed:closed ");
	tx(.flags = A, .seq = 2, .ack = 32);
	gone();
	CU_ASSERT_EQUAL(w.t->tw_live, 1);
	pass(61000);
	CU_ASSERT_EQUAL(w.t->tw_live, 0);
	CU_ASSERT_EQUAL(w.t->table.n, 0);
	CU_ASSERT_EQUAL(mt_tcp_next(w.t), MT_NEVER);
	down();
}

static void simultaneous_close(void)
{
	up(NULL);
	accepted();
	mt_stream_shutdown(w.s);
	turn();
	tx(.flags = FA, .seq = 1, .ack = 1);
	rx(.flags = FA, .seq = 1, .ack = 1); /* crossed on the way */
	CU_ASSERT_EQUAL(conn()->state, MT_TCP_CLOSING);
	tx(.flags = A, .seq = 2, .ack = 2);
	rx(.flags = A, .seq = 2, .ack = 2);
	events("eof closed:closed ");
	gone();
	CU_ASSERT_EQUAL(w.t->tw_live, 1);
	down();
}

static void fin_acks_fin(void)
{
	up(NULL);
	accepted();
	mt_stream_shutdown(w.s);
	turn();
	tx(.flags = FA, .seq = 1, .ack = 1);
	rx(.flags = FA, .seq = 1, .ack = 2); /* ACK and FIN in one */
	tx(.flags = A, .seq = 2, .ack = 2);
	events("eof closed:closed ");
	gone();
	down();
}

static void fin_out_of_order(void)
{
	up(NULL);
	accepted();
	rx(.flags = FA, .seq = 101, .ack = 1, .len = 50);
	tx(.flags = A, .seq = 1, .ack = 1);
	events("");
	rx(.flags = A, .seq = 1, .ack = 1, .len = 100);
	tx(.flags = A, .seq = 1, .ack = 152);
	events("readable:150 eof ");
	CU_ASSERT_EQUAL(w.t->ooos.in_use, 0);
	down();
}

static void bare_fin_out_of_order(void)
{
	up(NULL);
	accepted();
	rx(.flags = FA, .seq = 101, .ack = 1);
	rx(.flags = A, .seq = 1, .ack = 1, .len = 100);
	skip_all();
	events("readable:100 eof ");
	down();
}

static void data_behind_fin(void)
{
	up(NULL);
	accepted();
	rx(.flags = FA, .seq = 1, .ack = 1, .len = 10);
	rx(.flags = A, .seq = 12, .ack = 1, .len = 10);
	events("readable:10 eof ");
	CU_ASSERT_EQUAL(counter(MT_TCP_after_fin), 1);
	skip_all();
	down();
}

/* Both directions are over, but the user has not read: closed waits for him. */
static void unread_bytes(void)
{
	up(NULL);
	accepted();
	w.stop_reading = true;
	mt_stream_shutdown(w.s);
	turn();
	rx(.flags = FA, .seq = 1, .ack = 2, .len = 500);
	events("readable:500 eof ");
	CU_ASSERT_EQUAL(w.t->tw_live, 1);
	skip_all();
	pass(90000);
	events("");
	read_all();
	turn();
	CU_ASSERT_EQUAL(w.read, 500);
	events("closed:closed ");
	gone();
	down();
}

static void fin_after_queue(void)
{
	up(NULL);
	accepted();
	send_written(3000, 1440);
	mt_stream_shutdown(w.s);
	turn();
	tx(.flags = A, .seq = 1, .ack = 1, .len = 1440);
	tx(.flags = A, .seq = 1441, .ack = 1, .len = 1440);
	tx(.flags = FPA, .seq = 2881, .ack = 1, .len = 120);
	none();
	rx(.flags = A, .seq = 1, .ack = 1441);
	CU_ASSERT_EQUAL(conn()->state, MT_TCP_FIN_WAIT_1);
	rx(.flags = A, .seq = 1, .ack = 3002);
	CU_ASSERT_EQUAL(conn()->state, MT_TCP_FIN_WAIT_2);
	skip_all();
	down();
}

static void reset_by_peer(void)
{
	up(NULL);
	accepted();
	send_bytes(5000);
	rx(.flags = A, .seq = 101, .ack = 1, .len = 100);
	skip_all();
	rx(.flags = R, .seq = 1);
	events("closed:reset by peer ");
	gone();
	down();
}

static void reset_behind_data(void)
{
	up(NULL);
	accepted();
	rxq(.flags = PA, .seq = 1, .ack = 1, .len = 10);
	rx(.flags = RA, .seq = 11, .ack = 1);
	events("readable:10 closed:reset by peer ");
	CU_ASSERT_EQUAL(w.read, 10);
	gone();
	down();
}

static void abort_sends_reset(void)
{
	up(NULL);
	accepted();
	send_bytes(5000);
	rx(.flags = A, .seq = 1, .ack = 1, .len = 50);
	skip_all();
	w.events[0] = 0;
	mt_stream_abort(w.s, MT_ABORT_CANCELLED);
	turn();
	events("");
	tx(.flags = RA, .seq = 5001, .ack = 51);
	gone();
	CU_ASSERT_EQUAL(w.t->table.n, 0);
	down();
}

/* A stop that does not wait: every peer is told, no user hears of it. */
static void reset_all_tells_peers(void)
{
	uint32_t idx = 0;

	up(NULL);
	accepted();
	send_bytes(100);
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 50);
	skip_all();
	w.events[0] = 0;
	CU_ASSERT_EQUAL(mt_tcp_reset_all(w.t, &idx, 0), 0);
	none();
	CU_ASSERT_EQUAL(mt_tcp_reset_all(w.t, &idx, 8), 1);
	turn();
	events("");
	tx(.flags = RA, .seq = 101, .ack = 51);
	gone();
	/* The bytes before it were lost: the peer asks back and is answered exactly. */
	rx(.flags = A, .seq = 51, .ack = 1);
	tx(.flags = R, .seq = 1);
	none();
	down();
}

static void let_go_and_still_owing(void)
{
	up(NULL);
	accepted();
	CU_ASSERT_FALSE(mt_tcp_owes(w.t));
	send_bytes(100);
	CU_ASSERT_FALSE(mt_tcp_owes(w.t)); /* its user has it */
	mt_stream_detach(w.s);
	turn();
	CU_ASSERT_TRUE(mt_tcp_owes(w.t));
	rx(.flags = A, .seq = 1, .ack = 102);
	CU_ASSERT_FALSE(mt_tcp_owes(w.t));
	skip_all();
	down();
}

/* A client lingers from the detach on, until it closes; not a peer whose data is still read. */
static void let_go_and_not_closed(void)
{
	for (int refuses = 0; refuses < 2; refuses++) {
		up(NULL);
		accepted();
		send_bytes(100);
		if (refuses)
			mt_stream_refuse(w.s);
		CU_ASSERT_FALSE(mt_tcp_lingers(w.t));
		mt_stream_detach(w.s);
		CU_ASSERT_EQUAL(mt_tcp_lingers(w.t), refuses);
		turn();
		CU_ASSERT_EQUAL(mt_tcp_lingers(w.t), refuses);
		rx(.flags = A, .seq = 1, .ack = 102);
		CU_ASSERT_FALSE(mt_tcp_owes(w.t));
		CU_ASSERT_EQUAL(mt_tcp_lingers(w.t), refuses);
		rx(.flags = FA, .seq = 1, .ack = 102);
		CU_ASSERT_FALSE(mt_tcp_lingers(w.t));
		skip_all();
		down();
	}
}

/* A reason has a counter of its own; a route that is gone is asked for again by the timer. */
static void abort_names_its_reason(void)
{
	up(NULL);
	accepted();
	w.route = MT_NET_NO_ROUTE;
	conn()->dst.l2len = 0;
	send_bytes(100);
	turn();
	CU_ASSERT_TRUE(counter(MT_TCP_tx_no_route) > 0);
	none();
	w.route = MT_NET_SENT;
	later(1500);
	CU_ASSERT_TRUE(w.n_out > w.next_out);
	skip_all();
	mt_stream_abort(w.s, MT_ABORT_PROTOCOL);
	turn();
	CU_ASSERT_EQUAL(counter(MT_TCP_aborts_protocol), 1);
	skip_all();
	down();
}

static void abort_before_handshake(void)
{
	up(NULL);
	opened();
	skip_all();
	mt_stream_abort(w.s, MT_ABORT_CANCELLED);
	turn();
	events("");
	gone();
	down();
}

static void detach_delivers(void)
{
	up(NULL);
	accepted();
	send_written(100, 100);
	mt_stream_detach(w.s);
	turn();
	tx(.flags = FPA, .seq = 1, .ack = 1, .len = 100);
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 70); /* acknowledged and dropped */
	pass(50);
	tx(.flags = A, .seq = 102, .ack = 71);
	rx(.flags = FA, .seq = 71, .ack = 102);
	tx(.flags = A, .seq = 102, .ack = 72);
	events("");
	gone();
	CU_ASSERT_EQUAL(w.t->tw_live, 1);
	down();
}

static void detach_with_unread(void)
{
	up(NULL);
	accepted();
	w.stop_reading = true;
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 700);
	w.events[0] = 0;
	mt_stream_detach(w.s);
	turn();
	tx(.flags = FA, .seq = 1, .ack = 701);
	rx(.flags = FA, .seq = 701, .ack = 2);
	skip_all();
	events("");
	gone();
	down();
}

static void detach_has_an_end(void)
{
	up(NULL);
	accepted();
	mt_stream_detach(w.s);
	turn();
	rx(.flags = A, .seq = 1, .ack = 2);
	skip_all();
	pass(61000); /* the peer never ends its side */
	tx(.flags = RA, .seq = 2, .ack = 1);
	events("");
	gone();
	down();
}

/* What nobody reads any more is not acknowledged; who goes on sending is reset when he has all of ours. */
static void refused_behind_the_end(void)
{
	up(NULL);
	accepted();
	send_written(100, 100);
	mt_stream_refuse(w.s);
	mt_stream_detach(w.s);
	turn();
	tx(.flags = FPA, .seq = 1, .ack = 1, .len = 100);
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 70);
	pass(150); /* the peer has not all of ours */
	none();
	rx(.flags = A, .seq = 71, .ack = 102);
	pass(90);
	none();
	pass(20);
	tx(.flags = RA, .seq = 102, .ack = 1);
	CU_ASSERT_EQUAL(counter(MT_TCP_late_refused), 1);
	CU_ASSERT_EQUAL(counter(MT_TCP_late_resets), 1);
	CU_ASSERT_EQUAL(counter(MT_TCP_detach_timeouts), 0);
	events("");
	gone();
	down();
}

/* The first bytes come behind our FIN's acknowledgement; neither the peer's FIN beside them is taken. */
static void refused_late(void)
{
	up(NULL);
	accepted();
	mt_stream_refuse(w.s);
	mt_stream_detach(w.s);
	turn();
	tx(.flags = FA, .seq = 1, .ack = 1);
	rx(.flags = A, .seq = 1, .ack = 2);
	pass(5000);
	none();
	rx(.flags = FPA, .seq = 1, .ack = 2, .len = 70);
	none();
	pass(110);
	tx(.flags = RA, .seq = 2, .ack = 1);
	gone();
	down();
}

/* Before the end: what was there is read, what is owed goes, and nothing else is acknowledged. */
static void refused_before_the_end(void)
{
	up(NULL);
	accepted();
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 70);
	rx(.flags = PA, .seq = 171, .ack = 1, .len = 30); /* behind a hole */
	skip_all();
	mt_stream_refuse(w.s);
	rx(.flags = PA, .seq = 71, .ack = 1, .len = 100);
	rx(.flags = PA, .seq = 71, .ack = 1, .len = 100);
	pass(500);
	none();
	send_written(40, 40);
	turn();
	tx(.flags = PA, .seq = 1, .ack = 71, .len = 40);
	mt_stream_detach(w.s);
	turn();
	tx(.flags = FA, .seq = 41, .ack = 71);
	rx(.flags = A, .seq = 71, .ack = 42);
	pass(110);
	tx(.flags = RA, .seq = 42, .ack = 71);
	gone();
	down();
}

/* Bytes behind a hole are freed at once, and charged no more, although nothing else happens on the connection. */
static void refused_behind_a_hole(void)
{
	const struct mt_ledger_class *receiving;

	up(NULL);
	accepted();
	receiving = &mt_tcp_ledger(w.t)->classes[MT_CLASS_RECEIVING];
	rx(.flags = PA, .seq = 71, .ack = 1, .len = 30);
	skip_all();
	CU_ASSERT_TRUE(receiving->charged > 0);
	mt_stream_refuse(w.s);
	turn();
	none();
	CU_ASSERT_EQUAL(receiving->charged, 0);
	down();
}

/* In order: a FIN alone, and the few words that a layer lets its peer say. */
static void refused_but_an_end(void)
{
	for (uint32_t words = 0; words < 60; words += 31) {
		uint32_t said = words ? 24 : 0;

		up(NULL);
		accepted();
		mt_stream_refuse_but(w.s, words);
		mt_stream_detach(w.s);
		turn();
		tx(.flags = FA, .seq = 1, .ack = 1);
		if (said)
			rx(.flags = PA, .seq = 1, .ack = 2, .len = 24);
		rx(.flags = FA, .seq = 1 + said, .ack = 2);
		skip_all();
		CU_ASSERT_EQUAL(counter(MT_TCP_late_refused), 0);
		CU_ASSERT_EQUAL(w.t->tw_live, 1);
		gone();
		down();
	}
}

static void send_after_shutdown(void)
{
	up(NULL);
	accepted();
	mt_stream_shutdown(w.s);
	send_bytes(100);
	tx(.flags = FA, .seq = 1, .ack = 1);
	none();
	CU_ASSERT_EQUAL(counter(MT_TCP_sent_after_end), 1);
	down();
}

/* The user ends connections inside events: the one that speaks, and the other. */
static struct mt_stream *victim;

static void kill_other(struct mt_stream *s)
{
	mt_stream_abort(victim, MT_ABORT_CANCELLED);
}

static void kill_self(struct mt_stream *s)
{
	mt_stream_abort(s, MT_ABORT_CANCELLED);
}

static void detach_self(struct mt_stream *s)
{
	mt_stream_detach(s);
}

static void none_closed(struct mt_stream *s, enum mt_close_reason r)
{
}

static void two(struct mt_stream *pair[2])
{
	up(NULL);
	accepted();
	pair[0] = w.s;
	w.rport++;
	w.iss_known = false;
	accepted();
	pair[1] = w.s;
}

static void ends_inside_events(void)
{
	static const struct mt_stream_user killer = {.connected = kill_other,
		.readable = kill_other,
		.eof = kill_other,
		.writable = kill_other,
		.closed = none_closed};
	static const struct mt_stream_user suicide = {.connected = kill_self,
		.readable = kill_self,
		.eof = kill_self,
		.writable = kill_self,
		.closed = none_closed};
	static const struct mt_stream_user leaver = {.connected = detach_self,
		.readable = detach_self,
		.eof = detach_self,
		.writable = detach_self,
		.closed = none_closed};
	struct mt_stream *pair[2];

	two(pair);
	victim = pair[0];
	pair[1]->user = &killer;
	w.events[0] = 0;
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 5);
	events("");
	tx(.flags = RA, .seq = ANY, .ack = ANY);
	CU_ASSERT_EQUAL(w.t->conns.in_use, 1);
	pair[1]->user = &suicide;
	rx(.flags = FPA, .seq = 6, .ack = 1, .len = 5); /* readable, then eof would follow */
	CU_ASSERT_EQUAL(w.t->conns.in_use, 0);
	skip_all();
	down();

	two(pair);
	pair[1]->user = &leaver;
	rx(.flags = FPA, .seq = 1, .ack = 1, .len = 5);
	tx(.flags = FA, .seq = 1, .ack = 7);
	rx(.flags = A, .seq = 7, .ack = 2);
	CU_ASSERT_EQUAL(w.t->conns.in_use, 1);
	skip_all();
	down();
}

static void positions_are(uint64_t accepted, uint64_t sent, uint64_t acked)
{
	struct mt_stream_pos p = mt_stream_positions(w.s);

	CU_ASSERT_EQUAL(p.accepted, accepted);
	CU_ASSERT_EQUAL(p.sent, sent);
	CU_ASSERT_EQUAL(p.acked, acked);
}

/* Neither SYN nor FIN is a byte of the stream; what the window holds back was accepted, not sent. */
static void positions(void)
{
	up(NULL);
	opened();
	positions_are(0, 0, 0);
	rx(.flags = SA, .seq = 0, .ack = 1, .wnd = 1460, .mss = 1460);
	positions_are(0, 0, 0);
	send_bytes(3000);
	CU_ASSERT_EQUAL(conn()->snd_nxt - conn()->snd_una,
		w.out[w.n_out - 1].seq + w.out[w.n_out - 1].len - 1);
	positions_are(3000, conn()->snd_nxt - conn()->snd_una, 0);
	rx(.flags = A, .seq = 1, .ack = 1401, .wnd = 2000);
	positions_are(3000, 3000, 1400);
	mt_stream_shutdown(w.s);
	turn();
	positions_are(3000, 3000, 1400);
	rx(.flags = A, .seq = 1, .ack = 3002, .wnd = 2000);
	positions_are(3000, 3000, 3000);
	skip_all();
	down();
}

/* The peer closes, and resets what crossed its FIN. */
static void end_crossed(void)
{
	up(NULL);
	accepted();
	send_bytes(100);
	rx(.flags = A, .seq = 1, .ack = 101);
	send_bytes(50);
	rx(.flags = FA, .seq = 1, .ack = 101);
	rx(.flags = R, .seq = 1);
	CU_ASSERT_TRUE(w.end.fin && w.end.reset && !w.end.reset_ack);
	CU_ASSERT_EQUAL(w.end.fin_acked, 100);
	CU_ASSERT_EQUAL(w.end.pos.acked, 100);
	CU_ASSERT_EQUAL(w.end.pos.sent, 150);
	CU_ASSERT_EQUAL(w.end.resent, 100);
	CU_ASSERT_EQUAL(mt_stream_unread(&w.end, 100, 150), MT_UNREAD_PROVEN);
	CU_ASSERT_EQUAL(mt_stream_unread(&w.end, 0, 100), MT_UNREAD_UNKNOWN);
	skip_all();
	down();
}

/* The same after a retransmission: a peer that can close one side alone may have read the first copy. */
static void end_crossed_twice(void)
{
	struct mt_stream_end e;

	up(NULL);
	accepted();
	send_bytes(50);
	rx(.flags = FA, .seq = 1, .ack = 1);
	mt_stream_end(w.s, &e);
	CU_ASSERT_TRUE(e.fin && !e.quiet && !e.reset);
	CU_ASSERT_EQUAL(e.resent, 0);
	pass(1500);
	mt_stream_end(w.s, &e);
	CU_ASSERT_TRUE(e.fin && e.quiet);
	CU_ASSERT_EQUAL(e.resent, 50);
	rx(.flags = R, .seq = 2);
	CU_ASSERT_TRUE(w.end.reset);
	CU_ASSERT_EQUAL(w.end.resent, 50);
	CU_ASSERT_EQUAL(mt_stream_unread(&w.end, 0, 50), MT_UNREAD_IF_WHOLE_CLOSE);
	skip_all();
	down();
}

/* A reset says how far the peer had come: believed between what is acknowledged and what was sent. */
static void end_by_reset(void)
{
	static const struct {
		uint32_t ack;
		bool says;
		uint64_t acked;
	} rows[] = {{1, true, 0}, {61, true, 60}, {101, true, 100}, {102, false, 0}, {0, false, 0}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		up(NULL);
		accepted();
		send_bytes(100);
		rx(.flags = RA, .seq = 1, .ack = rows[i].ack);
		CU_ASSERT_TRUE(w.end.reset && !w.end.fin);
		CU_ASSERT_EQUAL(w.end.reset_ack, rows[i].says);
		CU_ASSERT_EQUAL(w.end.reset_acked, rows[i].acked);
		CU_ASSERT_EQUAL(w.end.pos.acked, 0);
		CU_ASSERT_EQUAL(w.end.pos.sent, 100);
		skip_all();
		down();
	}
}

/* Ours went as well: it is no byte of the stream. */
static void end_behind_our_fin(void)
{
	up(NULL);
	accepted();
	send_bytes(100);
	mt_stream_shutdown(w.s);
	turn();
	rx(.flags = RA, .seq = 1, .ack = 102);
	CU_ASSERT_EQUAL(w.end.pos.sent, 100);
	CU_ASSERT_TRUE(w.end.reset_ack);
	CU_ASSERT_EQUAL(w.end.reset_acked, 100);
	skip_all();
	down();
}

const struct mt_test close_tests[] = {
	{"end: crossed", end_crossed},
	{"end: crossed, sent twice", end_crossed_twice},
	{"end: by reset", end_by_reset},
	{"end: behind our FIN", end_behind_our_fin},
	{"positions", positions},
	{"passive close", passive_close},
	{"active close, half-closed", active_close},
	{"simultaneous close", simultaneous_close},
	{"FIN with the ACK of ours", fin_acks_fin},
	{"FIN out of order with data", fin_out_of_order},
	{"FIN out of order", bare_fin_out_of_order},
	{"data behind FIN", data_behind_fin},
	{"closed waits for unread bytes", unread_bytes},
	{"FIN after what is queued", fin_after_queue},
	{"reset by peer", reset_by_peer},
	{"reset behind data", reset_behind_data},
	{"abort", abort_sends_reset},
	{"abort names its reason", abort_names_its_reason},
	{"reset all tells peers", reset_all_tells_peers},
	{"let go and still owing", let_go_and_still_owing},
	{"let go and not closed", let_go_and_not_closed},
	{"abort before the handshake", abort_before_handshake},
	{"detach delivers", detach_delivers},
	{"detach with unread bytes", detach_with_unread},
	{"detach has an end", detach_has_an_end},
	{"refused behind the end", refused_behind_the_end},
	{"refused late", refused_late},
	{"refused before the end", refused_before_the_end},
	{"refused behind a hole", refused_behind_a_hole},
	{"refused but an end", refused_but_an_end},
	{"send after shutdown", send_after_shutdown},
	{"ends inside events", ends_inside_events},
	{0},
};
