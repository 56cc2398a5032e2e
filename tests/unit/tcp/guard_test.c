/* SPDX-License-Identifier: Apache-2.0 */
/* What strangers may not do: RFC 5961, 7323 PAWS, 5927, odd flags, broken headers. */
#include "world.h"

static void rst_rules(void)
{
	up(NULL);
	accepted();
	rx(.flags = R, .seq = 70000); /* outside: ignored */
	none();
	rx(.flags = R, .seq = 0);
	none();
	later(100);
	rx(.flags = R, .seq = 2); /* inside, not exact: asked back */
	tx(.flags = A, .seq = 1, .ack = 1);
	none();
	events("");
	rx(.flags = RA, .seq = 1, .ack = 999); /* exact */
	events("closed:reset by peer ");
	down();
}

static void rst_in_closed_window(void)
{
	up(&(struct mt_tcp_conf){.rx_window_init = 1000, .rx_window_max = 1000});
	accepted();
	w.stop_reading = true;
	rx(.flags = A, .seq = 1, .ack = 1, .len = 1000);
	later(50);
	skip_all();
	rx(.flags = R, .seq = 1002);
	events("readable:1000 ");
	rx(.flags = R, .seq = 1001);
	events("closed:reset by peer ");
	down();
}

static void syn_in_connection(void)
{
	static const uint32_t seqs[] = {0, 1, 500, 900000};

	up(NULL);
	accepted();
	for (size_t i = 0; i < MT_ARRAY_LEN(seqs); i++) {
		later(100);
		rx(.flags = S, .seq = seqs[i], .mss = 1460);
		tx(.flags = A, .seq = 1, .ack = 1);
		none();
	}
	events("");
	CU_ASSERT_EQUAL(conn()->state, MT_TCP_ESTABLISHED);
	down();
}

static void challenges_are_throttled(void)
{
	up(NULL);
	accepted();
	for (int i = 0; i < 50; i++)
		rx(.flags = S, .seq = 3);
	tx(.flags = A, .seq = 1, .ack = 1);
	none();
	CU_ASSERT_EQUAL(counter(MT_TCP_challenges_withheld), 49);
	down();
}

static void acks_of_nothing(void)
{
	up(NULL);
	accepted();
	send_bytes(100);
	skip_all();
	rx(.flags = A, .seq = 1, .ack = 102); /* never sent */
	tx(.flags = A, .seq = 101, .ack = 1);
	later(100);
	rx(.flags = PA, .seq = 1, .ack = 0xfff00000u, .len = 5); /* older than anything */
	tx(.flags = A, .seq = 101, .ack = 1);
	events("");
	later(100);
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 5);
	events("readable:5 ");
	CU_ASSERT_EQUAL(counter(MT_TCP_ack_unsent), 1);
	CU_ASSERT_EQUAL(counter(MT_TCP_ack_too_old), 1);
	skip_all();
	down();
}

static void paws(void)
{
	up(NULL);
	accepted_with((struct say){.mss = 1460, .tsval = 1000});
	rx(.flags = A, .seq = 1, .ack = 1, .len = 10, .tsval = 1010);
	rx(.flags = A, .seq = 11, .ack = 1, .len = 10, .tsval = 900); /* from an older life */
	tx(.flags = A, .seq = 1, .ack = 11, .tsecr = 1010);
	CU_ASSERT_EQUAL(counter(MT_TCP_paws), 1);
	rx(.flags = R, .seq = 11, .tsval = 900); /* a RST is not judged by it */
	events("readable:10 closed:reset by peer ");
	skip_all();
	down();
}

static void paws_rules(void)
{
	up(NULL);
	accepted_with((struct say){.mss = 1460, .tsval = 0xfffffff0u});
	rx(.flags = A, .seq = 1, .ack = 1, .len = 10, .tsval = 5); /* wrapped */
	events("readable:10 ");
	rx(.flags = A, .seq = 101, .ack = 1, .len = 10,
		.tsval = 90); /* out of order: not remembered */
	CU_ASSERT_EQUAL(conn()->ts_recent, 5);
	rx(.flags = A, .seq = 11, .ack = 1, .len = 10); /* without: RFC 7323 §3.2 */
	CU_ASSERT_EQUAL(counter(MT_TCP_timestamp_missing), 1);
	events("");
	skip_all();
	w.now += 25ull * 24 * 3600 * MT_SEC; /* an idle connection: ts_recent is worth nothing */
	rx(.flags = A, .seq = 11, .ack = 1, .len = 10, .tsval = 3);
	events("readable:10 ");
	skip_all();
	down();
}

static void no_connection(void)
{
	up(NULL);
	w.lport = 81;
	w.iss_known = true;
	rx(.flags = A, .seq = 5, .ack = 77);
	tx(.flags = R, .seq = 77);
	rx(.flags = S, .seq = 5, .mss = 1460);
	tx(.flags = RA, .seq = 0, .ack = 6);
	rx(.flags = FA, .seq = 5, .ack = 9, .len = 10);
	tx(.flags = R, .seq = 9);
	rx(.flags = 0, .seq = 5, .len = 10);
	tx(.flags = RA, .seq = 0, .ack = 15);
	rx(.flags = R, .seq = 5); /* never an answer to a RST */
	rx(.flags = RA, .seq = 5, .ack = 1);
	none();
	CU_ASSERT_EQUAL(counter(MT_TCP_no_connection), 6);
	down();
}

static void resets_are_limited(void)
{
	up(&(struct mt_tcp_conf){.resets_per_s = 100});
	w.lport = 81;
	for (int i = 0; i < 60; i++)
		rx(.flags = A, .seq = 5, .ack = 77);
	CU_ASSERT_EQUAL(w.n_out, 10);
	CU_ASSERT_EQUAL(counter(MT_TCP_resets_withheld), 50);
	w.now += 50 * MT_MSEC;
	for (int i = 0; i < 60; i++)
		rx(.flags = A, .seq = 5, .ack = 77);
	CU_ASSERT_EQUAL(w.n_out, 15);
	skip_all();
	down();
}

static void headers(void)
{
	static const struct {
		uint8_t opts[8];
		uint32_t len;
		enum mt_tcp_outcome o;
	} bad[] = {
		{{MT_TCP_OPT_TS, 0, 0, 0}, 4, MT_TCP_options_bad},
		{{MT_TCP_OPT_TS, 1, 0, 0}, 4, MT_TCP_options_bad},
		{{MT_TCP_OPT_TS, 10, 0, 0}, 4, MT_TCP_options_bad},
		{{1, 1, 1, MT_TCP_OPT_SACK}, 4, MT_TCP_options_bad},
		{{253, 255, 0, 0}, 4, MT_TCP_options_bad},
	};

	up(NULL);
	accepted();
	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++)
		rx(.flags = PA, .seq = 1, .ack = 1, .len = 5, .raw_opts = bad[i].opts,
			.raw_len = bad[i].len);
	CU_ASSERT_EQUAL(counter(MT_TCP_options_bad), MT_ARRAY_LEN(bad));
	events("");
	/* Known options with wrong lengths are ignored, unknown ones skipped. */
	rx(.flags = PA, .seq = 1, .ack = 1, .len = 5,
		.raw_opts = (const uint8_t[]){MT_TCP_OPT_TS, 4, 0, 0, 99, 3, 0, 0}, .raw_len = 8);
	events("readable:5 ");
	skip_all();
	down();
}

/* Random options on SYNs and data: nothing moves but counters, whatever they are. */
static void option_fuzz(void)
{
	struct mt_rand r;

	mt_rand_seed(&r, 77);
	up(NULL);
	for (uint32_t i = 0; i < 20000; i++) {
		uint8_t opts[40];
		struct say s = {.flags = i % 2 ? S : A, .seq = 1, .ack = 1, .raw_opts = opts};

		s.raw_len = 4 * mt_rand_below(&r, 11);
		for (uint32_t k = 0; k < s.raw_len; k++)
			opts[k] = (uint8_t)(mt_rand_below(&r, 3) ? mt_rand_below(&r, 12)
								 : mt_rand_u64(&r));
		w.rport = (uint16_t)(1000 + i % 50);
		rx_say(s);
		w.now += MT_MSEC;
	}
	CU_ASSERT_TRUE(w.t->halves.in_use <= 50);
	CU_ASSERT_TRUE(counter(MT_TCP_options_bad) > 1000);
	skip_all();
	pass(100000);
	CU_ASSERT_EQUAL(w.t->halves.in_use, 0);
	skip_all();
	down();
}

/* Random segments around the window of a live connection. */
static void segment_fuzz(void)
{
	for (uint32_t seed = 0; seed < 60; seed++) {
		struct mt_rand r;

		mt_rand_seed(&r, seed);
		up(NULL);
		accepted_with((struct say){.mss = 1460, .sack_ok = seed & 1});
		for (uint32_t i = 0; i < 300 && w.s; i++) {
			struct say s = {
				.flags =
					(uint8_t)(mt_rand_below(&r, 8) ? A : mt_rand_below(&r, 32)),
				.seq = mt_rand_below(&r, 3000),
				.ack = mt_rand_below(&r, 2000),
				.len = mt_rand_below(&r, 3) ? mt_rand_below(&r, 1400) : 0,
				.wnd = 1 + mt_rand_below(&r, 60000),
			};

			if (mt_rand_below(&r, 4) == 0) {
				s.sack[0] = mt_rand_below(&r, 3000);
				s.sack[1] = s.sack[0] + 1 + mt_rand_below(&r, 900);
			}
			if (mt_rand_below(&r, 5) == 0 && mt_stream_sendable(w.s) > 0)
				send_written(1 + mt_rand_below(&r, 900), 500);
			rx_say(s);
			later(mt_rand_below(&r, 100));
		}
		if (w.s) {
			CU_ASSERT_TRUE(w.read_ok);
			mt_stream_abort(w.s, MT_ABORT_CANCELLED);
			turn();
		}
		CU_ASSERT_EQUAL(w.t->conns.in_use, 0);
		CU_ASSERT_EQUAL(w.t->losses.in_use, 0);
		CU_ASSERT_EQUAL(w.t->ooos.in_use, 0);
		skip_all();
		down();
	}
}

static void tiny_mss(void)
{
	up(NULL);
	accepted_with((struct say){.mss = 1});
	send_bytes(640);
	CU_ASSERT_TRUE(w.n_out - w.next_out <= 10); /* not one byte a segment */
	skip_all();
	down();
}

static struct mt_tuple tuple(void)
{
	return conn()->tuple;
}

static void icmp(void)
{
	struct mt_tuple t;

	up(NULL);
	opened();
	skip_all();
	t = tuple();
	mt_tcp_icmp_event(w.t, &t, w.iss + 1, MT_NET_ICMP_HARD, 0); /* not what is outstanding */
	mt_tcp_icmp_event(w.t, &t, w.iss, MT_NET_ICMP_UNREACH, 0);  /* soft */
	turn();
	events("");
	mt_tcp_icmp_event(w.t, &t, w.iss, MT_NET_ICMP_HARD, 0);
	turn();
	events("closed:host unreachable ");
	down();

	up(NULL);
	accepted();
	send_bytes(100);
	t = tuple();
	mt_tcp_icmp_event(w.t, &t, w.iss + 1, MT_NET_ICMP_HARD, 0); /* never for a live one */
	turn();
	events("");
	CU_ASSERT_EQUAL(conn()->state, MT_TCP_ESTABLISHED);
	skip_all();
	down();
}

static void path_mtu(void)
{
	struct mt_tuple t;

	up(NULL);
	accepted_with((struct say){.mss = 1460});
	send_bytes(2880);
	skip_all();
	t = tuple();
	mt_tcp_icmp_event(w.t, &t, w.iss + 5000, MT_NET_ICMP_TOO_BIG, 1000);
	turn();
	none();
	mt_tcp_icmp_event(w.t, &t, w.iss + 1, MT_NET_ICMP_TOO_BIG, 9000); /* not smaller */
	turn();
	none();
	mt_tcp_icmp_event(w.t, &t, w.iss + 1, MT_NET_ICMP_TOO_BIG, 1000);
	turn();
	for (uint32_t i = 0; i < 3; i++)
		tx(.flags = i == 2 ? PA : A, .seq = 1 + i * 960, .ack = 1, .len = 960);
	CU_ASSERT_TRUE(conn()->cc.cwnd >= 10 * 960);
	rx(.flags = A, .seq = 1, .ack = 2881);
	CU_ASSERT_EQUAL(conn()->mode, MT_TCP_OPEN);
	skip_all();
	down();
}

const struct mt_test guard_tests[] = {
	{"RST rules", rst_rules},
	{"RST into a closed window", rst_in_closed_window},
	{"SYN in a connection", syn_in_connection},
	{"challenge ACKs are throttled", challenges_are_throttled},
	{"ACKs of nothing", acks_of_nothing},
	{"PAWS", paws},
	{"PAWS, the fine print", paws_rules},
	{"no connection", no_connection},
	{"resets are limited", resets_are_limited},
	{"broken options", headers},
	{"option fuzz", option_fuzz},
	{"segment fuzz", segment_fuzz},
	{"tiny MSS", tiny_mss},
	{"ICMP errors", icmp},
	{"path MTU", path_mtu},
	{0},
};
