/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes: passive, active, simultaneous, refused, lost (RFC 9293 §3.5). */
#include "world.h"

static void passive_plain(void)
{
	up(NULL);
	rx(.flags = S, .mss = 1460);
	tx(.flags = SA, .seq = 0, .ack = 1, .wnd = 65535, .mss = 1440);
	none();
	CU_ASSERT_EQUAL(w.t->halves.in_use, 1);
	CU_ASSERT_EQUAL(w.t->conns.in_use, 0);
	rx(.flags = A, .seq = 1, .ack = 1);
	events("accept ");
	none();
	CU_ASSERT_EQUAL(w.t->halves.in_use, 0);
	CU_ASSERT_EQUAL(conn()->state, MT_TCP_ESTABLISHED);
	CU_ASSERT_EQUAL(conn()->mss_peer, 1460);
	down();
}

static void passive_options(void)
{
	up(NULL);
	rx(.flags = S, .mss = 1400, .sack_ok = true, .wscale = 8, .tsval = 700);
	tx(.flags = SA, .seq = 0, .ack = 1, .mss = 1440, .sack_ok = true, .wscale = 6,
		.tsecr = 700);
	rx(.flags = PA, .seq = 1, .ack = 1, .wnd = 100, .len = 5, .tsval = 701,
		.tsecr = w.out[0].tsval);
	events("accept readable:5 ");
	CU_ASSERT_EQUAL(conn()->snd_wnd, 100 << 7);
	CU_ASSERT_TRUE(conn()->flags & MT_CF_SACK);
	CU_ASSERT_EQUAL(conn()->ts_recent, 701);
	down();
}

static void passive_ip6(void)
{
	up(NULL);
	w.ip6 = true;
	rx(.flags = S, .mss = 1440);
	tx(.flags = SA, .seq = 0, .ack = 1, .mss = 1420);
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 100);
	events("accept readable:100 ");
	send_bytes(3000);
	tx(.flags = A, .seq = 1, .ack = 101, .len = 1440);
	tx(.flags = A, .seq = 1441, .ack = 101, .len = 1440);
	tx(.flags = PA, .seq = 2881, .ack = 101, .len = 120);
	none();
	down();
}

static void syn_ack_again(void)
{
	up(NULL);
	rx(.flags = S, .mss = 1460);
	tx(.flags = SA, .seq = 0, .ack = 1);
	rx(.flags = S, .mss = 1460); /* the SYN again: answered again */
	tx(.flags = SA, .seq = 0, .ack = 1);
	for (uint32_t wait = 1000; wait <= 16000; wait *= 2) {
		uint32_t waited = 0;

		for (; w.next_out == w.n_out && waited < 20000; waited += 10)
			pass(10);
		tx(.flags = SA, .seq = 0, .ack = 1);
		CU_ASSERT_TRUE(waited >= wait - 10 && waited <= wait + 10);
	}
	pass(40000);
	none();
	CU_ASSERT_EQUAL(w.t->halves.in_use, 0);
	CU_ASSERT_EQUAL(counter(MT_TCP_half_open_timeouts), 1);
	CU_ASSERT_EQUAL(w.t->table.n, 0);
	down();
}

static void wrong_ack_resets(void)
{
	up(NULL);
	rx(.flags = S, .mss = 1460);
	skip_all();
	rx(.flags = A, .seq = 1, .ack = 77);
	tx(.flags = R, .seq = 77);
	none();
	rx(.flags = A, .seq = 1, .ack = 1); /* the record survived */
	events("accept ");
	down();
}

static void half_open_reset(void)
{
	up(NULL);
	rx(.flags = S, .mss = 1460);
	skip_all();
	rx(.flags = R, .seq = 9);
	tx(.flags = A, .seq = 1, .ack = 1);
	rx(.flags = R, .seq = 70000);
	none();
	CU_ASSERT_EQUAL(w.t->halves.in_use, 1);
	rx(.flags = R, .seq = 1);
	CU_ASSERT_EQUAL(w.t->halves.in_use, 0);
	none();
	down();
}

static void user_refuses(void)
{
	up(NULL);
	w.refuse = true;
	rx(.flags = S, .mss = 1460);
	skip_all();
	rx(.flags = A, .seq = 1, .ack = 1);
	tx(.flags = RA, .seq = 1, .ack = 1);
	none();
	CU_ASSERT_EQUAL(w.t->conns.in_use, 0);
	down();
}

static void listener_gone(void)
{
	up(NULL);
	rx(.flags = S, .mss = 1460);
	skip_all();
	w.listening = false;
	rx(.flags = A, .seq = 1, .ack = 1);
	tx(.flags = R, .seq = 1);
	CU_ASSERT_EQUAL(w.t->halves.in_use, 0);
	down();
}

static void connections_full(void)
{
	up(&(struct mt_tcp_conf){.max_conns = 1});
	accepted();
	w.rport++;
	rx(.flags = S, .mss = 1460);
	w.iss = w.iss + w.out[w.n_out - 1].seq; /* the second connection's numbers */
	rx(.flags = A, .seq = 1, .ack = 1);
	skip_all();
	CU_ASSERT_EQUAL(counter(MT_TCP_conns_full), 1);
	CU_ASSERT_EQUAL(counter(MT_TCP_accept_refused), 1);
	CU_ASSERT_EQUAL(w.t->halves.in_use, 0);
	/* Nor can one be opened. */
	w.rport++;
	opened();
	CU_ASSERT_PTR_NULL(w.s);
	CU_ASSERT_EQUAL(w.why, MT_CLOSE_NO_MEMORY);
	CU_ASSERT_EQUAL(counter(MT_TCP_open_no_memory), 1);
	down();
}

static void active(void)
{
	up(NULL);
	opened();
	CU_ASSERT_PTR_NOT_NULL_FATAL(w.s);
	CU_ASSERT_EQUAL(w.s->owner_idx, 9);
	CU_ASSERT_TRUE(w.lport >= 20000 && w.lport <= 60999);
	tx(.flags = S, .seq = 0, .mss = 1440, .sack_ok = true, .wscale = 6);
	none();
	w.now += 3 * MT_MSEC;
	rx(.flags = SA, .seq = 0, .ack = 1, .mss = 1460, .sack_ok = true, .wscale = 3, .tsval = 5,
		.tsecr = w.out[0].tsval);
	events("connected ");
	tx(.flags = A, .seq = 1, .ack = 1, .tsecr = 5);
	none();
	CU_ASSERT_EQUAL(conn()->srtt_us, 3000);
	CU_ASSERT_EQUAL(conn()->rto_ms, 200);
	down();
}

static void active_sends_at_once(void)
{
	up(NULL);
	opened();
	send_bytes(10); /* waits for the handshake */
	tx(.flags = S, .seq = 0);
	none();
	rx(.flags = SA, .seq = 0, .ack = 1, .mss = 1460);
	tx(.flags = PA, .seq = 1, .ack = 1, .len = 10); /* carries the ACK */
	none();
	down();
}

static void active_retries(void)
{
	up(NULL);
	opened();
	tx(.flags = S, .seq = 0);
	pass(340);
	tx(.flags = S, .seq = 0);
	pass(650);
	none();
	pass(50);
	events("closed:connect timeout ");
	none();
	CU_ASSERT_EQUAL(w.t->conns.in_use, 0);
	CU_ASSERT_EQUAL(w.t->table.n, 0);
	down();
}

static void active_refused(void)
{
	up(NULL);
	opened();
	skip_all();
	rx(.flags = R, .seq = 0); /* anybody could have sent it */
	events("");
	rx(.flags = RA, .seq = 0, .ack = 1);
	events("closed:connection refused ");
	none();
	down();
}

static void active_old_ack(void)
{
	up(NULL);
	opened();
	skip_all();
	rx(.flags = SA, .seq = 0, .ack = 100); /* an old half-open connection at the other end */
	tx(.flags = R, .seq = 100);
	events("");
	rx(.flags = SA, .seq = 0, .ack = 1, .mss = 1460);
	events("connected ");
	down();
}

static void simultaneous(void)
{
	up(NULL);
	opened();
	tx(.flags = S, .seq = 0);
	rx(.flags = S, .seq = 0, .mss = 1460, .sack_ok = true);
	tx(.flags = SA, .seq = 0, .ack = 1, .sack_ok = true);
	CU_ASSERT_EQUAL(conn()->state, MT_TCP_SYN_RCVD);
	rx(.flags = SA, .seq = 0, .ack = 1); /* its SYN again: out of window, answered */
	skip_all();
	rx(.flags = A, .seq = 1, .ack = 1);
	events("connected ");
	CU_ASSERT_EQUAL(conn()->state, MT_TCP_ESTABLISHED);
	down();
}

/* Both ends are of this kind: each sends SYN-ACK, and no bare ACK is needed. */
static void simultaneous_syn_acks(void)
{
	up(NULL);
	opened();
	tx(.flags = S, .seq = 0);
	rx(.flags = S, .seq = 0, .mss = 1460);
	tx(.flags = SA, .seq = 0, .ack = 1);
	rx(.flags = S, .seq = 0, .mss = 1460); /* our SYN-ACK was lost */
	tx(.flags = SA, .seq = 0, .ack = 1);
	rx(.flags = SA, .seq = 0, .ack = 1, .mss = 1460);
	events("connected ");
	CU_ASSERT_EQUAL(conn()->state, MT_TCP_ESTABLISHED);
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 10);
	events("readable:10 ");
	skip_all();
	down();
}

static void no_route(void)
{
	up(NULL);
	w.route = MT_NET_NO_ROUTE;
	opened();
	CU_ASSERT_PTR_NULL(w.s);
	CU_ASSERT_EQUAL(w.why, MT_CLOSE_UNREACHABLE);
	down();
}

static void neighbour_resolves(void)
{
	up(NULL);
	w.route = MT_NET_WAIT;
	opened();
	CU_ASSERT_PTR_NOT_NULL(w.s);
	none();
	mt_tcp_neigh_event(w.t, 6, true); /* another one */
	turn();
	none();
	w.route = MT_NET_SENT;
	mt_tcp_neigh_event(w.t, 7, true);
	turn();
	tx(.flags = S, .seq = 0);
	down();
}

static void neighbour_fails(void)
{
	up(NULL);
	w.route = MT_NET_WAIT;
	opened();
	mt_tcp_neigh_event(w.t, 7, false);
	turn();
	events("closed:host unreachable ");
	CU_ASSERT_EQUAL(w.t->conns.in_use, 0);
	down();
}

/* SYN-ACKs, cookies and resets go back to the station that asked: they wait for no neighbour. */
static void answers_need_no_neighbour(void)
{
	up(&(struct mt_tcp_conf){.max_half_open = 1});
	w.route = MT_NET_WAIT;
	rx(.flags = S, .mss = 1460);
	tx(.flags = SA, .seq = 0, .ack = 1);
	/* The timer's copy has nobody to go back to, the client's own does it. */
	pass(1100);
	none();
	rx(.flags = S, .mss = 1460);
	tx(.flags = SA, .seq = 0, .ack = 1);
	CU_ASSERT_EQUAL(w.back, 2);
	w.rport++;
	w.iss_known = false;
	rx(.flags = S, .mss = 1460);
	tx(.flags = SA, .seq = 0, .ack = 1);
	CU_ASSERT_EQUAL(counter(MT_TCP_cookies_sent), 1);
	w.lport = 81;
	rx(.flags = S, .mss = 1460);
	tx(.flags = RA, .seq = ANY, .ack = 1);
	CU_ASSERT_EQUAL(w.back, 4);
	w.lport = 80;
	w.route = MT_NET_SENT;
	rx(.flags = A, .seq = 1, .ack = 1);
	events("accept ");
	skip_all();
	down();
}

/* So does the ACK of a late FIN in TIME-WAIT. */
static void time_wait_needs_no_neighbour(void)
{
	up(NULL);
	accepted();
	mt_stream_shutdown(w.s);
	turn();
	rx(.flags = FA, .seq = 1, .ack = 2);
	skip_all();
	w.route = MT_NET_WAIT;
	rx(.flags = FA, .seq = 1, .ack = 2);
	tx(.flags = A, .seq = 2, .ack = 2);
	CU_ASSERT_EQUAL(w.back, 1);
	down();
}

static void ports_run_out(void)
{
	up(&(struct mt_tcp_conf){.port_lo = 30000, .port_hi = 30003});
	for (int i = 0; i < 4; i++) {
		opened();
		CU_ASSERT_PTR_NOT_NULL(w.s);
	}
	opened();
	CU_ASSERT_PTR_NULL(w.s);
	CU_ASSERT_EQUAL(w.why, MT_CLOSE_NO_SOURCE_PORT);
	CU_ASSERT_EQUAL(counter(MT_TCP_no_source_port), 1);
	down();
}

/* RFC 6528 §3, RFC 9293 §3.4.1: the clock's count, apart for each tuple, by a key that nobody outside has. */
static void initial_numbers(void)
{
	struct mt_tuple tuple = {.lport = 80, .rport = 4000}, other = tuple;
	uint32_t first, later_by;

	up(NULL);
	mt_addr_parse("10.0.0.1", &tuple.local);
	mt_addr_parse("10.0.0.2", &tuple.remote);
	other = tuple;
	other.rport++;
	first = mt_tcp_isn(w.t, &tuple);
	CU_ASSERT_EQUAL(mt_tcp_isn(w.t, &tuple), first);
	CU_ASSERT_NOT_EQUAL(mt_tcp_isn(w.t, &other), first);
	mt_tcp_begin(w.t, w.now + MT_SEC);
	later_by = mt_tcp_isn(w.t, &tuple) - first;
	CU_ASSERT_TRUE(later_by >= 240000 && later_by <= 250000); /* a tick each 4 us or so */
	mt_tcp_begin(w.t, w.now);
	w.t->secret[0] ^= 1;
	CU_ASSERT_NOT_EQUAL(mt_tcp_isn(w.t, &tuple), first);
	w.t->secret[0] ^= 1;
	down();
}

/* RFC 9293 §3.9.1.1: the address that the user names is the one that SYN and tuple bear. */
static void from_given_address(void)
{
	struct mt_addr peer, local;
	struct mt_stream *s;

	up(NULL);
	mt_addr_parse("10.0.0.2", &peer);
	mt_addr_parse("10.0.0.77", &local);
	mt_tcp_begin(w.t, w.now);
	s = mt_stream_open(mt_tcp_transport(w.t),
		&(struct mt_stream_to){
			.remote = &peer, .port = 80, .local = &local, .user = &mt_tcp_user_none},
		&w.why);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_TRUE(mt_addr_eq(&mt_stream_ends(s)->local, &local));
	turn();
	skip_all();
	mt_stream_abort(s, MT_ABORT_CANCELLED);
	turn();
	down();
}

/*
 * All records are in use, and the SYN is answered by a cookie; it comes once more when there is a record, which has another
 * number. The client answers the first, by an ACK or, if that is late, by data behind it.
 */
static void test_cookie_then_record(void)
{
	for (uint32_t late = 0; late < 2; late++) {
		up(&(struct mt_tcp_conf){.max_half_open = 1});
		w.rport = 4001;
		rx(.flags = S, .mss = 1460);
		skip_all();
		w.rport = 4000;
		w.iss_known = false;
		rx(.flags = S, .mss = 1460);
		CU_ASSERT_EQUAL(counter(MT_TCP_cookies_sent), 1);
		skip_all();
		w.rport = 4001;
		rx(.flags = R, .seq = 1);
		w.rport = 4000;
		rx(.flags = S, .mss = 1460);
		CU_ASSERT_EQUAL(counter(MT_TCP_cookies_sent), 1);
		skip_all();
		if (late)
			rx(.flags = PA, .seq = 11, .ack = 1, .len = 10);
		else
			rx(.flags = A, .seq = 1, .ack = 1);
		CU_ASSERT_EQUAL(counter(MT_TCP_cookies_good), 1);
		CU_ASSERT_EQUAL(counter(MT_TCP_accepts), 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(w.s);
		skip_all();
		rx(.flags = PA, .seq = 1, .ack = 1, .len = late ? 10 : 20);
		CU_ASSERT_EQUAL(w.read, 20);
		rx(.flags = R, .seq = 21);
		CU_ASSERT_PTR_NULL(w.s);
		down();
	}
}

/* By which port a client came is known of its stream, whether there was a record of it or a cookie; nobody comes by what we opened. */
static void entry_is_known(void)
{
	for (int cookies = 0; cookies < 2; cookies++) {
		up(&(struct mt_tcp_conf){.cookies_always = cookies != 0});
		w.in_port = 7;
		rx(.flags = S, .mss = 1460);
		skip_all();
		w.in_port = 5;
		rx(.flags = A, .seq = 1, .ack = 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(w.s);
		CU_ASSERT_EQUAL(mt_stream_ends(w.s)->entry, 6);
		down();
	}
	up(NULL);
	opened();
	w.in_port = 5;
	rx(.flags = SA, .seq = 0, .ack = 1, .mss = 1460);
	CU_ASSERT_EQUAL(mt_stream_ends(w.s)->entry, 0);
	down();
}

const struct mt_test open_tests[] = {
	{"the port that a client came by", entry_is_known},
	{"a cookie, then a record", test_cookie_then_record},
	{"passive, plain", passive_plain},
	{"passive, all options, data with the ACK", passive_options},
	{"passive, IPv6", passive_ip6},
	{"SYN-ACK again, then given up", syn_ack_again},
	{"wrong ACK of a SYN-ACK is reset", wrong_ack_resets},
	{"half-open record reset", half_open_reset},
	{"accept refused by the user", user_refuses},
	{"listener gone before the ACK", listener_gone},
	{"all connections in use", connections_full},
	{"active", active},
	{"active, data queued before the handshake", active_sends_at_once},
	{"active, SYN again, then timeout", active_retries},
	{"active, refused", active_refused},
	{"active, ACK of something else", active_old_ack},
	{"simultaneous open", simultaneous},
	{"simultaneous open, SYN-ACKs cross", simultaneous_syn_acks},
	{"no route", no_route},
	{"neighbour resolves", neighbour_resolves},
	{"neighbour fails", neighbour_fails},
	{"answers need no neighbour", answers_need_no_neighbour},
	{"time-wait needs no neighbour", time_wait_needs_no_neighbour},
	{"source ports run out", ports_run_out},
	{"initial sequence numbers", initial_numbers},
	{"active, from a given address", from_given_address},
	{0},
};
