/* SPDX-License-Identifier: Apache-2.0 */
/* TLS streams of two workers, from connecting to the end. */
#include "layer_scene.h"

#include "layer_priv.h"

#include <errno.h>

#define A (&layers.app[CLIENT])
#define B (&layers.app[SERVER])

static void talk_by(
	const struct mt_tls_rules *client, const struct mt_tls_rules *server, uint32_t cut)
{
	static const uint32_t sizes[] = {1, 100, 1448, 20000};
	uint32_t from = 0;

	layers_begin(client, server);
	pipes.cut = cut;
	layers_connect();
	CU_ASSERT_STRING_EQUAL(A->peer.principal, PKI_BOB);
	CU_ASSERT_STRING_EQUAL(B->peer.principal, PKI_ALICE);
	CU_ASSERT_STRING_EQUAL(B->peer.sni, "outbound_.80_._.bob");
	CU_ASSERT_STRING_EQUAL(A->peer.alpn, "istio");
	CU_ASSERT_EQUAL(A->version, B->version);
	CU_ASSERT_EQUAL(mt_tls_stream_tag(B->s), 77);
	CU_ASSERT_EQUAL(mt_tls_stream_context_id(B->s), mt_tls_context_id(layers.context[SERVER]));
	CU_ASSERT_EQUAL(mt_tls_stream_context_id(A->s), mt_tls_context_id(layers.context[CLIENT]));
	for (uint32_t i = 0; i < MT_ARRAY_LEN(sizes); from += sizes[i++]) {
		layers_say(CLIENT, from, sizes[i], 700);
		layers_say(SERVER, from, sizes[i], 2000);
	}
	CU_ASSERT_TRUE(layers_has(A, from));
	CU_ASSERT_TRUE(layers_has(B, from));
	layers_settle();
	CU_ASSERT_EQUAL(A->acked, from);
	CU_ASSERT_EQUAL(B->acked, from);
	CU_ASSERT_EQUAL(A->s->tx_queued, 0);
	layers_end_in_order();
	layers_end();
}

static void test_talk(void)
{
	struct mt_tls_rules client = ends_rules(MT_TLS_CLIENT), server = ends_rules(MT_TLS_SERVER);

	server.tickets = true;
	talk_by(NULL, NULL, 0);
	talk_by(NULL, NULL, 100);
	talk_by(&client, &server, 1);
	client.max_version = 0x0303;
	talk_by(&client, &server, 0);
	talk_by(&client, &server, 37);
}

/* What is sent in a turn: the first at once, the others in one record behind its events; and nothing of it is out of reach meanwhile. */
static void test_gathered(void)
{
	layers_begin(NULL, NULL);
	layers_connect();
	layers_settle();
	for (int who = CLIENT; who <= SERVER; who++) {
		const struct tls_conn *c = tls_conn_of(layers.app[who].s);
		uint64_t first = c->k->r.tx.seq;
		struct mt_chain again = {0};

		for (uint32_t i = 0; i < 5; i++)
			layers_say(who, 40 * i, 40, 40);
		CU_ASSERT_EQUAL(c->k->r.tx.seq, first + 1);
		CU_ASSERT_EQUAL(mt_stream_positions(&c->s).accepted, 200);
		CU_ASSERT_EQUAL(
			mt_stream_reclaim(&c->s, 0, 200, &again), who == CLIENT ? 0 : -ENODATA);
		CU_ASSERT_TRUE(who == SERVER || scene_is(&again, 0, 200));
		mt_chain_free(&again);
		layers_settle();
		CU_ASSERT_EQUAL(c->k->r.tx.seq, first + 2);
		CU_ASSERT_TRUE(layers_has(&layers.app[!who], 200));
		/* More than a record does not wait. */
		layers_say(who, 200, 40, 40);
		layers_say(who, 240, MT_TLS_RECORD_PLAIN, 1000);
		CU_ASSERT_EQUAL(c->sealed, c->accepted);
		layers_settle();
		CU_ASSERT_TRUE(layers_has(&layers.app[!who], 240 + MT_TLS_RECORD_PLAIN));
	}
	layers_end_in_order();
	layers_end();
}

/* Who gathers and then ends says all of it before. */
static void test_gathered_end(void)
{
	layers_begin(NULL, NULL);
	layers_connect();
	layers_settle();
	for (uint32_t i = 0; i < 3; i++)
		layers_say(SERVER, 40 * i, 40, 40);
	mt_stream_detach(B->s);
	layers_until(&A->eof);
	CU_ASSERT_TRUE(scene_is(&A->got, 0, 120));
	mt_stream_shutdown(A->s);
	layers_settle();
	layers_end();
}

/* Who does not read has one record, and the window shuts; what is read comes on. */
static void test_one_record(void)
{
	layers_begin(NULL, NULL);
	B->greedy = false;
	layers_connect();
	layers_say(CLIENT, 0, 100000, 1448);
	layers_settle();
	CU_ASSERT_EQUAL(B->s->rx.len, 1448 - 5 - 1 - 16);
	CU_ASSERT_EQUAL(B->rx_most, 1448 - 5 - 1 - 16);
	CU_ASSERT_TRUE(layers_lower(SERVER)->s.rx.len <= 2 * PIPE_WINDOW);
	CU_ASSERT_PTR_EQUAL(
		mt_tls_stream_above(&layers.layer[SERVER], &layers_lower(SERVER)->s), B->s);
	CU_ASSERT_PTR_NULL(mt_tls_stream_above(&layers.layer[CLIENT], &layers_lower(SERVER)->s));
	CU_ASSERT_PTR_NULL(mt_tls_stream_above(&layers.layer[SERVER], B->s));
	/* The begin of a longer message is kept, so one more comes. */
	mt_stream_keep(B->s, B->s->rx.len);
	layers_settle();
	CU_ASSERT_EQUAL(B->s->rx.len, 2 * (1448 - 5 - 1 - 16));
	B->greedy = true;
	mt_chain_concat(&B->got, &B->s->rx);
	mt_stream_consumed(B->s);
	CU_ASSERT_TRUE(layers_has(B, 100000));
	layers_end_in_order();
	layers_end();
}

/* Records of 16 KiB come through a window of 4,000 bytes, and behind 100 KiB they are of that size. */
static void test_long_records(void)
{
	layers_begin(NULL, NULL);
	layers_connect();
	layers_say(CLIENT, 0, 200000, 2000);
	CU_ASSERT_TRUE(layers_has(B, 200000));
	CU_ASSERT_EQUAL(B->rx_most, 16384);
	layers_end_in_order();
	layers_end();
}

/* A request, close_notify and FIN in one go; all of the answer comes all the same. */
static void test_half_close(void)
{
	layers_begin(NULL, NULL);
	layers_open(0);
	layers_say(CLIENT, 0, 10, 10);
	mt_stream_shutdown(A->s);
	layers_until(&B->eof);
	CU_ASSERT_TRUE(scene_is(&B->got, 0, 10));
	CU_ASSERT_FALSE(A->eof || A->closed);
	layers_say(SERVER, 0, 50000, 1000);
	CU_ASSERT_TRUE(layers_has(A, 50000));
	mt_stream_shutdown(B->s);
	layers_both_closed();
	layers_end();
}

/* The end waits for who does not read. */
static void test_end_waits(void)
{
	layers_begin(NULL, NULL);
	B->greedy = false;
	layers_connect();
	layers_say(CLIENT, 0, 3000, 1000);
	mt_stream_shutdown(A->s);
	mt_stream_shutdown(B->s);
	layers_settle();
	CU_ASSERT_FALSE(B->eof || B->closed);
	while (!B->eof && B->s->rx.len) {
		mt_chain_concat(&B->got, &B->s->rx);
		mt_stream_consumed(B->s);
		layers_settle();
	}
	CU_ASSERT_TRUE(scene_is(&B->got, 0, 3000));
	layers_both_closed();
	layers_end();
}

/* FIN alone may be anybody's. */
static void test_cut_off(void)
{
	layers_begin(NULL, NULL);
	layers_connect();
	layers_lower(CLIENT)->shut = true;
	layers_until(&B->closed);
	CU_ASSERT_EQUAL(B->reason, MT_CLOSE_RESET);
	CU_ASSERT_FALSE(B->eof);
	CU_ASSERT_EQUAL(layers.layer[SERVER].counts[MT_TLS_N_no_close_notify], 1);
	layers_until(&A->closed);
	layers_end();
}

/* FIN alone, while the user has not yet taken the last record: the stream fails when it has. */
static void test_cut_off_later(void)
{
	layers_begin(NULL, NULL);
	B->greedy = false;
	layers_connect();
	layers_say(CLIENT, 0, 1000, 1000);
	layers_settle();
	CU_ASSERT_EQUAL(B->s->rx.len, 1000);
	layers_lower(CLIENT)->shut = true;
	layers_settle();
	CU_ASSERT_FALSE(B->closed);
	mt_chain_concat(&B->got, &B->s->rx);
	mt_stream_consumed(B->s);
	layers_until(&B->closed);
	CU_ASSERT_EQUAL(B->reason, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(layers.layer[SERVER].counts[MT_TLS_N_no_close_notify], 1);
	layers_until(&A->closed);
	layers_end();
}

/*
 * A byte stream is reset after records that its user had no room for. They are acknowledged, so
 * they are in rx when it is closed.
 */
static void test_reset_after_records(void)
{
	for (int streams = 0; streams < 2; streams++) {
		layers_begin(NULL, NULL);
		B->greedy = false;
		layers_connect();
		B->s->rx_class = streams ? MT_CLASS_STREAMING : MT_CLASS_RECEIVING;
		layers_say(CLIENT, 0, 5000, 1448);
		layers_settle();
		/* What is not known to have arrived makes it a reset, without an alert before it. */
		pipes.deaf = true;
		layers_say(CLIENT, 5000, 100, 100);
		layers_settle();
		CU_ASSERT_EQUAL(B->s->rx.len, 1448 - 5 - 1 - 16);
		CU_ASSERT_TRUE(layers_lower(SERVER)->s.rx.len > 3000);
		mt_stream_abort(A->s, MT_ABORT_CANCELLED);
		layers_until(&B->closed);
		CU_ASSERT_EQUAL(B->reason, MT_CLOSE_RESET);
		CU_ASSERT_EQUAL(B->got.len, streams ? 5100u : 1448u - 5 - 1 - 16);
		CU_ASSERT_TRUE(scene_is(&B->got, 0, B->got.len));
		CU_ASSERT_FALSE(B->eof);
		pipes.deaf = false;
		layers_settle();
		layers_end();
	}
}

/* A changed byte: the alert comes before the end. With bytes of the user's under way: a reset, which takes them along. */
static void test_changed(void)
{
	for (int busy = 0; busy < 2; busy++) {
		const uint8_t wrong[] = {23, 3, 3, 0, 32, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
			14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};
		struct mt_chain c = {0};

		layers_begin(NULL, NULL);
		layers_connect();
		layers_settle();
		if (busy) {
			pipes.deaf = true;
			layers_say(SERVER, 0, 100, 100);
		}
		scene_append(&c, wrong, sizeof(wrong), 100);
		mt_stream_send(&layers_lower(CLIENT)->s, &c);
		layers_until(&B->closed);
		layers_until(&A->closed);
		CU_ASSERT_EQUAL(B->reason, MT_CLOSE_RESET);
		CU_ASSERT_EQUAL(B->why.alert, MT_TLS_BAD_RECORD_MAC);
		CU_ASSERT_TRUE(B->why.alert_sent);
		CU_ASSERT_EQUAL(A->reason, MT_CLOSE_RESET);
		CU_ASSERT_EQUAL(A->why.alert, busy ? 0 : MT_TLS_BAD_RECORD_MAC);
		CU_ASSERT_FALSE(A->why.alert_sent);
		CU_ASSERT_EQUAL(pipes.resets, 1);
		pipes.deaf = false;
		layers_settle();
		layers_end();
	}
}

/* Keys change whatever is queued, but no more answers than the reserve are under way. */
static void test_updates(void)
{
	uint64_t *n;

	layers_begin(NULL, NULL);
	layers_connect();
	layers_say(CLIENT, 0, 1000, 1000);
	mt_tls_stream_update(A->s);
	layers_settle();
	CU_ASSERT_EQUAL(layers.layer[CLIENT].records.counts[MT_TLS_RECORD_N_UPDATE_OUT], 1);
	CU_ASSERT_EQUAL(layers.layer[SERVER].records.counts[MT_TLS_RECORD_N_UPDATE_OUT], 1);
	CU_ASSERT_EQUAL(layers.layer[CLIENT].records.counts[MT_TLS_RECORD_N_UPDATE_IN], 1);
	pipes.deaf = true;
	n = layers.layer[CLIENT].records.counts;
	for (int i = 0; i < 10; i++) {
		mt_tls_stream_update(A->s);
		layers_settle();
	}
	CU_ASSERT_EQUAL(n[MT_TLS_RECORD_N_UPDATE_OUT], 1 + 9);
	CU_ASSERT_TRUE(layers_lower(CLIENT)->accepted - layers_lower(CLIENT)->acked <= 4 * 80);
	pipes.deaf = false;
	layers_settle();
	CU_ASSERT_EQUAL(n[MT_TLS_RECORD_N_UPDATE_OUT], 1 + 10);
	layers_say(CLIENT, 1000, 1000, 1000);
	layers_say(SERVER, 0, 1000, 1000);
	CU_ASSERT_TRUE(layers_has(A, 1000));
	CU_ASSERT_TRUE(layers_has(B, 2000));
	layers_end_in_order();
	layers_end();
}

/* Let go: all of it arrives, then the end. */
static void test_detach(void)
{
	layers_begin(NULL, NULL);
	layers_connect();
	layers_say(CLIENT, 0, 100000, 1448);
	mt_stream_detach(A->s);
	CU_ASSERT_EQUAL(layers.layer[CLIENT].streams.in_use, 0);
	CU_ASSERT_TRUE(layers_has(B, 100000));
	layers_until(&B->eof);
	mt_stream_shutdown(B->s);
	layers_until(&B->closed);
	CU_ASSERT_EQUAL(B->reason, MT_CLOSE_OK);
	layers_settle();
	layers_end();
}

/* There is no memory for a while, either way. */
static void test_no_memory(void)
{
	static struct rte_mbuf *held[9000];
	uint32_t n = 0;

	layers_begin(NULL, NULL);
	layers_connect();
	layers_say(CLIENT, 0, 10, 10);
	CU_ASSERT_TRUE(layers_has(B, 10));
	layers_settle();
	while ((held[n] = mt_buf_data(&tls_pools)))
		n++;
	rte_pktmbuf_free(held[--n]); /* for the test's own */
	layers_say(CLIENT, 10, 100, 100);
	CU_ASSERT_EQUAL(mt_stream_positions(A->s).accepted, 110);
	layers_settle();
	CU_ASSERT_EQUAL(B->got.len, 10);
	CU_ASSERT_FALSE(A->closed);
	while (n)
		rte_pktmbuf_free(held[--n]);
	layers_pass(10 * MT_MSEC);
	CU_ASSERT_TRUE(layers_has(B, 110));
	layers_end_in_order();
	layers_end();
}

/* What is acknowledged stays until the server has said something, and no longer. */
static void test_heard(void)
{
	layers_begin(NULL, NULL);
	layers_connect();
	layers_say(CLIENT, 0, 1000, 1000);
	layers_settle();
	CU_ASSERT_EQUAL(A->acked, 1000);
	CU_ASSERT_TRUE(A->s->tx_queued >= 1000);
	layers_say(SERVER, 0, 1, 1);
	CU_ASSERT_TRUE(layers_has(A, 1));
	CU_ASSERT_EQUAL(A->s->tx_queued, 0);
	layers_end_in_order();
	layers_end();
}

/* A full queue is told when it has room. */
static void test_writable(void)
{
	layers_begin(NULL, NULL);
	layers_connect();
	pipes.deaf = true;
	layers_say(CLIENT, 0, 60000, 1448);
	CU_ASSERT_EQUAL(mt_stream_sendable(A->s), 0);
	layers_settle();
	CU_ASSERT_FALSE(A->writable);
	pipes.deaf = false;
	layers_settle();
	CU_ASSERT_TRUE(A->writable);
	CU_ASSERT_TRUE(layers_has(B, 60000));
	layers_end_in_order();
	layers_end();
}

/* Either side is reset or goes at any step. */
static void test_any_moment(void)
{
	for (uint32_t at = 0; at < 40; at++) {
		layers_begin(NULL, NULL);
		pipes.cut = 300;
		layers_open(0);
		layers_say(CLIENT, 0, 5000, 1000);
		for (uint32_t i = 0; i < at; i++)
			layers_pass(MT_MSEC);
		if (at % 4 < 2 && A->s) {
			mt_stream_abort(A->s, MT_ABORT_CANCELLED);
			A->s = NULL;
		} else if (layers_lower(SERVER)->live) {
			layers_lower(SERVER)->reset_in = layers_lower(CLIENT)->reset_in = true;
		}
		layers_pass(10 * MT_MSEC);
		layers_end();
	}
}

/* What the layer has is charged to the lower stream, under the user's classes; what it is told to give way with, it does. */
static void test_charged(void)
{
	struct mt_sums sums = {0};
	struct pipe_end *low;
	uint32_t text;

	layers_begin(NULL, NULL);
	B->greedy = false;
	layers_connect();
	mt_stream_class(A->s, MT_CLASS_RECEIVING, MT_CLASS_RESENDING);
	mt_stream_class(B->s, MT_CLASS_WAITING, MT_CLASS_REPLYING);
	pipes.deaf = true;
	layers_say(CLIENT, 0, 1000, 1000);
	layers_settle();
	low = layers_lower(CLIENT);
	low->s.user->holds(&low->s, &sums);
	CU_ASSERT_EQUAL(sums.of[A->s->tx_class], A->s->tx_queued - low->s.tx_queued);
	CU_ASSERT_TRUE(sums.of[A->s->tx_class] >= 1000);
	low = layers_lower(SERVER);
	CU_ASSERT_EQUAL(low->s.rx_class, MT_CLASS_WAITING);
	CU_ASSERT_EQUAL(low->s.tx_class, MT_CLASS_REPLYING);
	text = B->s->rx.truesize;
	sums = (struct mt_sums){0};
	low->s.user->holds(&low->s, &sums);
	CU_ASSERT_EQUAL(sums.of[MT_CLASS_WAITING], text);
	CU_ASSERT_TRUE(text > 0 && low->s.keeps);
	mt_stream_drop(B->s, B->s->rx.len);
	low->s.user->holds(&low->s, &sums);
	CU_ASSERT_FALSE(low->s.keeps);
	pipes.deaf = false;
	layers_end_in_order();
	layers_end();
}

/* A table that forgets details errs on the safe side, and is right where nothing is under way. */
static void test_notes(void)
{
	struct tls_notes w = {0};
	static struct tls_note all[2000];
	uint64_t upper = 0, low = 0, acked = 0;
	uint32_t seed = 1, n = 0;

	while (n < MT_ARRAY_LEN(all)) {
		uint64_t exact_begun = 0, exact_whole = 0, pos;

		seed = seed * 1664525u + 1013904223u;
		upper += 1 + (seed >> 20);
		low += (seed >> 28);
		all[n] = (struct tls_note){upper, low, low + 30 + (seed >> 20)};
		low = all[n].last;
		tls_notes_add(&w, all[n++]);
		CU_ASSERT_TRUE_FATAL(w.n <= TLS_NOTES);
		seed = seed * 1664525u + 1013904223u;
		if (seed >> 29 == 0)
			tls_notes_acked(&w, acked += (low - acked) / (1 + (seed & 3)));
		pos = acked + (low - acked) * ((seed >> 8) & 15) / 15;
		for (uint32_t i = 0; i < n; i++) {
			if (all[i].first < pos)
				exact_begun = all[i].upper;
			if (all[i].last <= pos)
				exact_whole = all[i].upper;
		}
		CU_ASSERT_TRUE(tls_notes_begun(&w, pos) >= exact_begun);
		CU_ASSERT_TRUE(tls_notes_whole(&w, pos) <= exact_whole);
		CU_ASSERT_TRUE(tls_notes_read(&w, pos) >= exact_whole);
		CU_ASSERT_TRUE(tls_notes_read(&w, pos) <= tls_notes_begun(&w, pos));
		CU_ASSERT_EQUAL(tls_notes_whole(&w, low), upper);
	}
}

/* After a table was too short for a while it is exact again. */
static void test_notes_exact(void)
{
	struct tls_notes w = {0};
	uint64_t at = 0;

	for (uint32_t i = 0; i < 18; i++, at += 10)
		tls_notes_add(&w, (struct tls_note){at + 10, at * 2, at * 2 + 20});
	CU_ASSERT_EQUAL(tls_notes_read(&w, 15), 0); /* the first stays exact */
	CU_ASSERT_EQUAL(tls_notes_whole(&w, 25), 10);
	CU_ASSERT_EQUAL(tls_notes_read(&w, 25), 50);
	CU_ASSERT_EQUAL(tls_notes_whole(&w, 55), 10);
	tls_notes_acked(&w, at * 2);
	CU_ASSERT_EQUAL(w.n, 0);
	for (uint32_t i = 0; i < 3; i++, at += 10)
		tls_notes_add(&w, (struct tls_note){at + 10, at * 2, at * 2 + 20});
	CU_ASSERT_EQUAL(tls_notes_read(&w, 2 * 195), 190);
	CU_ASSERT_EQUAL(tls_notes_begun(&w, 2 * 195), 200);
}

const struct mt_test layer_tests[] = {{"both ways, both versions, any cut", test_talk},
	{"gathered in a turn", test_gathered}, {"gathered, then the end", test_gathered_end},
	{"one record for who does not read", test_one_record}, {"long records", test_long_records},
	{"half-close", test_half_close}, {"the end waits", test_end_waits},
	{"FIN alone", test_cut_off}, {"FIN alone, later", test_cut_off_later},
	{"reset after records", test_reset_after_records}, {"a changed byte", test_changed},

	{"key updates", test_updates}, {"detach", test_detach}, {"no memory", test_no_memory},
	{"writable", test_writable}, {"any moment", test_any_moment}, {"charged", test_charged},
	{"heard", test_heard}, {"where records lie", test_notes}, {"exact again", test_notes_exact},
	{0}};
