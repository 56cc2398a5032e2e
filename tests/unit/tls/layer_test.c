/* SPDX-License-Identifier: Apache-2.0 */
/* TLS streams of two workers, from connecting to the end. */
#include "layer_scene.h"

#include "layer_priv.h"

#include <errno.h>

static const struct mt_stream_user tls_test_deaf;

#define A (&layers.app[CLIENT])
#define B (&layers.app[SERVER])

static void both_closed(enum mt_close_reason reason)
{
	layers_until(&A->closed);
	layers_until(&B->closed);
	CU_ASSERT_EQUAL(A->reason, reason);
	CU_ASSERT_EQUAL(B->reason, reason);
}

static void end_in_order(void)
{
	mt_stream_shutdown(A->s);
	mt_stream_shutdown(B->s);
	both_closed(MT_CLOSE_OK);
	CU_ASSERT_TRUE(A->eof && B->eof);
}

static bool has(const struct app *a, uint32_t n)
{
	for (uint32_t i = 0; a->got.len < n && i < 100000; i++)
		layers_settle();
	return scene_is(&a->got, 0, n);
}

static void talk_by(const struct mt_tls_rules *client, const struct mt_tls_rules *server,
	bool retain, uint32_t cut)
{
	static const uint32_t sizes[] = {1, 100, 1448, 20000};
	uint32_t from = 0;

	layers_begin(client, server, retain);
	pipes.cut = cut;
	layers_connect();
	CU_ASSERT_STRING_EQUAL(A->peer.principal, PKI_BOB);
	CU_ASSERT_STRING_EQUAL(B->peer.principal, PKI_ALICE);
	CU_ASSERT_STRING_EQUAL(B->peer.sni, "outbound_.80_._.bob");
	CU_ASSERT_STRING_EQUAL(A->peer.alpn, "istio");
	CU_ASSERT_EQUAL(A->version, B->version);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(sizes); from += sizes[i++]) {
		layers_say(CLIENT, from, sizes[i], 700);
		layers_say(SERVER, from, sizes[i], 2000);
	}
	CU_ASSERT_TRUE(has(A, from));
	CU_ASSERT_TRUE(has(B, from));
	layers_settle();
	CU_ASSERT_EQUAL(A->acked, from);
	CU_ASSERT_EQUAL(B->acked, from);
	CU_ASSERT_EQUAL(A->s->tx_queued, 0);
	end_in_order();
	layers_end();
}

static void test_talk(void)
{
	struct mt_tls_rules client = ends_rules(MT_TLS_CLIENT), server = ends_rules(MT_TLS_SERVER);

	server.tickets = true;
	talk_by(NULL, NULL, true, 0);
	talk_by(NULL, NULL, false, 100);
	talk_by(&client, &server, true, 1);
	client.max_version = 0x0303;
	talk_by(&client, &server, true, 0);
	talk_by(&client, &server, false, 37);
}

/* Who does not read has one record, and the window shuts; what is read comes on. */
static void test_one_record(void)
{
	layers_begin(NULL, NULL, true);
	B->greedy = false;
	layers_connect();
	layers_say(CLIENT, 0, 100000, 1448);
	layers_settle();
	CU_ASSERT_EQUAL(B->s->rx.len, 1448 - 5 - 1 - 16);
	CU_ASSERT_EQUAL(B->rx_most, 1448 - 5 - 1 - 16);
	CU_ASSERT_TRUE(layers_lower(SERVER)->s.rx.len <= 2 * PIPE_WINDOW);
	/* The begin of a longer message is kept, so one more comes. */
	mt_stream_keep(B->s, B->s->rx.len);
	layers_settle();
	CU_ASSERT_EQUAL(B->s->rx.len, 2 * (1448 - 5 - 1 - 16));
	B->greedy = true;
	mt_chain_concat(&B->got, &B->s->rx);
	mt_stream_consumed(B->s);
	CU_ASSERT_TRUE(has(B, 100000));
	end_in_order();
	layers_end();
}

/* Records of 16 KiB come through a window of 4,000 bytes, and behind 100 KiB they are of that size. */
static void test_long_records(void)
{
	layers_begin(NULL, NULL, true);
	layers_connect();
	layers_say(CLIENT, 0, 200000, 2000);
	CU_ASSERT_TRUE(has(B, 200000));
	CU_ASSERT_EQUAL(B->rx_most, 16384);
	end_in_order();
	layers_end();
}

/* A request, close_notify and FIN in one go; all of the answer comes all the same. */
static void test_half_close(void)
{
	layers_begin(NULL, NULL, true);
	layers_open(0);
	layers_say(CLIENT, 0, 10, 10);
	mt_stream_shutdown(A->s);
	layers_until(&B->eof);
	CU_ASSERT_TRUE(scene_is(&B->got, 0, 10));
	CU_ASSERT_FALSE(A->eof || A->closed);
	layers_say(SERVER, 0, 50000, 1000);
	CU_ASSERT_TRUE(has(A, 50000));
	mt_stream_shutdown(B->s);
	both_closed(MT_CLOSE_OK);
	layers_end();
}

/* The end waits for who does not read. */
static void test_end_waits(void)
{
	layers_begin(NULL, NULL, true);
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
	both_closed(MT_CLOSE_OK);
	layers_end();
}

/* FIN alone may be anybody's. */
static void test_cut_off(void)
{
	layers_begin(NULL, NULL, true);
	layers_connect();
	layers_lower(CLIENT)->shut = true;
	layers_until(&B->closed);
	CU_ASSERT_EQUAL(B->reason, MT_CLOSE_RESET);
	CU_ASSERT_FALSE(B->eof);
	CU_ASSERT_EQUAL(layers.layer[SERVER].counts[MT_TLS_N_CUT_OFF], 1);
	layers_until(&A->closed);
	layers_end();
}

/* A changed byte: the alert comes before the end. With bytes of the user's under way: a reset, which takes them along. */
static void test_changed(void)
{
	for (int busy = 0; busy < 2; busy++) {
		const uint8_t wrong[] = {23, 3, 3, 0, 32, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13,
			14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32};
		struct mt_chain c = {0};

		layers_begin(NULL, NULL, true);
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

/* Each side's reason of a handshake that fails, and its alert at the other side. */
static void test_refused(void)
{
	struct mt_tls_rules client = ends_rules(MT_TLS_CLIENT);
	const struct mt_tls_san other = {.text = "spiffe://cluster.local/ns/shop/sa/carol"};

	client.sans = &other;
	client.n_sans = 1;
	layers_begin(&client, NULL, true);
	layers_open(0);
	layers_say(CLIENT, 0, 100, 100);
	layers_until(&A->closed);
	CU_ASSERT_FALSE(A->connected);
	CU_ASSERT_EQUAL(A->reason, MT_CLOSE_HANDSHAKE);
	CU_ASSERT_EQUAL(A->why.reason, MT_TLS_WHY_wrong_san);
	CU_ASSERT_TRUE(A->why.alert_sent && A->why.alert);
	CU_ASSERT_EQUAL(mt_stream_unread(&A->end, 0, 100), MT_UNREAD_PROVEN);
	CU_ASSERT_EQUAL(A->reclaimed, 0);
	CU_ASSERT_TRUE(scene_is(&A->again, 0, 100));
	for (uint32_t i = 0; i < 100000 && !layers.layer[SERVER].failed[MT_TLS_WHY_peer_alert]; i++)
		layers_settle();
	CU_ASSERT_EQUAL(layers.layer[SERVER].failed[MT_TLS_WHY_peer_alert], 1);
	layers_settle();
	layers_end();
}

/* TLS 1.3: the client is done, and has sent requests, when the server finds that it shows nothing. */
static void test_judged_late(void)
{
	struct mt_tls_rules server = ends_rules(MT_TLS_SERVER), client = ends_rules(MT_TLS_CLIENT);
	struct mt_credential *stranger =
		pki_credential(&pki()->other_root, NULL, pki()->roots, NULL);

	client.credential = stranger;
	layers_begin(&client, &server, true);
	layers_open(0);
	layers_say(CLIENT, 0, 5000, 1000);
	layers_until(&A->closed);
	CU_ASSERT_TRUE(A->connected);
	CU_ASSERT_FALSE(B->connected);
	CU_ASSERT_EQUAL(A->reason, MT_CLOSE_HANDSHAKE);
	CU_ASSERT_FALSE(A->why.alert_sent);
	CU_ASSERT_EQUAL(layers.layer[CLIENT].counts[MT_TLS_N_REFUSED], 1);
	CU_ASSERT_EQUAL(A->acked, 5000);
	CU_ASSERT_EQUAL(mt_stream_unread(&A->end, 0, 5000), MT_UNREAD_PROVEN);
	CU_ASSERT_EQUAL(A->reclaimed, 0);
	CU_ASSERT_TRUE(scene_is(&A->again, 0, 5000));
	layers_settle();
	layers_end();
	mt_credential_drop(stranger);
}

/* Text is kept until it is acknowledged, where that was asked for. */
static void test_reclaim(void)
{
	for (int retain = 0; retain < 2; retain++) {
		struct mt_chain c = {0};

		layers_begin(NULL, NULL, retain);
		layers_connect();
		layers_say(SERVER, 0, 10, 10);
		layers_settle();
		layers_say(CLIENT, 0, 10000, 1000);
		layers_settle();
		CU_ASSERT_EQUAL(mt_stream_reclaim(A->s, 0, 100, &c), -ENODATA);
		pipes.deaf = true;
		layers_say(CLIENT, 10000, 20000, 1000);
		CU_ASSERT_EQUAL(mt_stream_reclaim(A->s, 10000, 30000, &c), retain ? 0 : -ENODATA);
		CU_ASSERT_TRUE(scene_is(&c, 10000, retain ? 20000 : 0));
		CU_ASSERT_EQUAL(mt_stream_reclaim(A->s, 10000, 30001, &c), -ENODATA);
		mt_chain_free(&c);
		CU_ASSERT_EQUAL(mt_stream_positions(A->s).acked, 10000);
		CU_ASSERT_EQUAL(mt_stream_positions(A->s).sent, 10000);
		mt_stream_abort(A->s, MT_ABORT_CANCELLED);
		layers_until(&B->closed);
		CU_ASSERT_EQUAL(B->reason, MT_CLOSE_RESET);
		layers_end();
	}
}

/* Half a hello is given up after 10 s; so is a server that says nothing, after the time that its user gave. */
static void test_times(void)
{
	static const uint8_t half[] = {22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3};
	struct mt_stream_to to = {.user = NULL};
	struct mt_chain c = {0};
	enum mt_close_reason why;
	struct mt_stream *raw;

	layers_begin(NULL, NULL, true);
	to.user = &tls_test_deaf;
	raw = mt_stream_open(&pipes.transport, &to, &why);
	scene_append(&c, half, sizeof(half), 4);
	mt_stream_send(raw, &c);
	layers_pass(9900 * MT_MSEC);
	CU_ASSERT_EQUAL(layers.layer[SERVER].streams.in_use, 1);
	layers_pass(200 * MT_MSEC);
	CU_ASSERT_EQUAL(layers.layer[SERVER].streams.in_use, 0);
	CU_ASSERT_EQUAL(layers.layer[SERVER].counts[MT_TLS_N_TIMED_OUT], 1);
	CU_ASSERT_EQUAL(layers.lane[SERVER]->begun, 0);
	layers_open(300);
	layers.handshakes_stop = true;
	layers_pass(290 * MT_MSEC);
	CU_ASSERT_FALSE(A->closed);
	layers_pass(20 * MT_MSEC);
	CU_ASSERT_TRUE(A->closed);
	CU_ASSERT_EQUAL(A->reason, MT_CLOSE_CONNECT_TIMEOUT);
	layers.handshakes_stop = false;
	layers_settle();
	layers_end();
}

static struct mt_chain heard;

static void deaf(struct mt_stream *s)
{
	mt_chain_concat(&heard, &s->rx);
	mt_stream_consumed(s);
}

static void deaf_eof(struct mt_stream *s)
{
	mt_stream_shutdown(s);
}

static void deaf_closed(struct mt_stream *s, enum mt_close_reason reason)
{
}

static const struct mt_stream_user tls_test_deaf = {.connected = deaf,
	.readable = deaf,
	.eof = deaf_eof,
	.writable = deaf,
	.closed = deaf_closed};

/* What is no hello, or none that is served: an alert in plain text, or a reset where TLS was not meant. */
static void say_raw(const uint8_t *bytes, uint32_t n, int alert)
{
	struct mt_stream_to to = {.user = &tls_test_deaf};
	struct mt_chain c = {0};
	enum mt_close_reason why;
	uint8_t record[7] = {0};
	uint32_t resets = pipes.resets;

	scene_append(&c, bytes, n, 100);
	mt_stream_send(mt_stream_open(&pipes.transport, &to, &why), &c);
	layers_settle();
	CU_ASSERT_EQUAL(layers.layer[SERVER].streams.in_use, 0);
	CU_ASSERT_EQUAL(pipes.resets - resets, alert ? 0 : 1);
	CU_ASSERT_EQUAL_FATAL(heard.len, alert ? 7 : 0);
	if (alert) {
		mt_chain_read(&heard, 0, record, 7);
		CU_ASSERT_EQUAL(memcmp(record, "\x15\3\1\0\2\2", 6), 0);
		CU_ASSERT_EQUAL(record[6], alert);
	}
	mt_chain_free(&heard);
}

static void test_wrong_hellos(void)
{
	static const uint8_t plain[] = "GET / HTTP/1.0\r\n\r\n";
	static const uint8_t bad[] = {22, 3, 1, 0, 8, 1, 0, 0, 4, 3, 3, 0, 0};
	static const uint8_t huge[] = {22, 3, 1, 64, 0, 1, 1, 0, 0, 3, 3, 0, 0};

	layers_begin(NULL, NULL, true);
	say_raw(plain, sizeof(plain) - 1, 0);
	CU_ASSERT_EQUAL(layers.layer[SERVER].counts[MT_TLS_N_NO_TLS], 1);
	say_raw(bad, sizeof(bad), MT_TLS_DECODE_ERROR);
	say_raw(huge, sizeof(huge), MT_TLS_DECODE_ERROR);
	CU_ASSERT_EQUAL(layers.layer[SERVER].counts[MT_TLS_N_BAD_HELLO], 2);
	layers.no_context = true;
	layers_open(0);
	layers_until(&A->closed);
	CU_ASSERT_EQUAL(A->reason, MT_CLOSE_HANDSHAKE);
	CU_ASSERT_EQUAL(A->why.reason, MT_TLS_WHY_peer_alert);
	CU_ASSERT_EQUAL(A->why.alert, MT_TLS_UNRECOGNIZED_NAME);
	CU_ASSERT_EQUAL(layers.lane[SERVER]->begun, 0);
	layers_settle();
	layers_end();
}

/* The threads have no room at first. */
static void test_later(void)
{
	layers_begin(NULL, NULL, true);
	layers.not_yet = 1;
	layers_open(0);
	layers_settle();
	layers_until(&A->connected);
	layers_until(&B->connected);
	layers.not_yet = 0;
	CU_ASSERT_EQUAL(layers.layer[CLIENT].counts[MT_TLS_N_LATER] +
				layers.layer[SERVER].counts[MT_TLS_N_LATER],
		1);
	end_in_order();
	layers_end();
	layers_begin(NULL, NULL, true);
	layers.handshakes_stop = true;
	layers_open(0);
	layers_settle();
	layers.not_yet = 3;
	layers.handshakes_stop = false;
	layers_until(&A->connected);
	layers_until(&B->connected);
	CU_ASSERT_EQUAL(layers.layer[SERVER].counts[MT_TLS_N_LATER], 3);
	end_in_order();
	layers_end();
}

/* Our user does not want it. */
static void test_unwanted(void)
{
	layers_begin(NULL, NULL, true);
	layers.refuses = true;
	layers_open(0);
	layers_until(&A->closed);
	CU_ASSERT_EQUAL(A->reason, MT_CLOSE_RESET);
	layers_settle();
	layers_end();
}

/* Keys change whatever is queued, but no more answers than the reserve are under way. */
static void test_updates(void)
{
	uint64_t *n;

	layers_begin(NULL, NULL, true);
	layers_connect();
	layers_say(CLIENT, 0, 1000, 1000);
	mt_tls_stream_update(A->s);
	layers_settle();
	CU_ASSERT_EQUAL(layers.layer[CLIENT].records.counts[MT_RECORD_N_UPDATE_OUT], 1);
	CU_ASSERT_EQUAL(layers.layer[SERVER].records.counts[MT_RECORD_N_UPDATE_OUT], 1);
	CU_ASSERT_EQUAL(layers.layer[CLIENT].records.counts[MT_RECORD_N_UPDATE_IN], 1);
	pipes.deaf = true;
	n = layers.layer[CLIENT].records.counts;
	for (int i = 0; i < 10; i++) {
		mt_tls_stream_update(A->s);
		layers_settle();
	}
	CU_ASSERT_EQUAL(n[MT_RECORD_N_UPDATE_OUT], 1 + 9);
	CU_ASSERT_TRUE(layers_lower(CLIENT)->accepted - layers_lower(CLIENT)->acked <= 4 * 80);
	pipes.deaf = false;
	layers_settle();
	CU_ASSERT_EQUAL(n[MT_RECORD_N_UPDATE_OUT], 1 + 10);
	layers_say(CLIENT, 1000, 1000, 1000);
	layers_say(SERVER, 0, 1000, 1000);
	CU_ASSERT_TRUE(has(A, 1000));
	CU_ASSERT_TRUE(has(B, 2000));
	end_in_order();
	layers_end();
}

/* Let go: all of it arrives, then the end. */
static void test_detach(void)
{
	layers_begin(NULL, NULL, true);
	layers_connect();
	layers_say(CLIENT, 0, 100000, 1448);
	mt_stream_detach(A->s);
	CU_ASSERT_EQUAL(layers.layer[CLIENT].streams.in_use, 0);
	CU_ASSERT_TRUE(has(B, 100000));
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

	layers_begin(NULL, NULL, true);
	layers_connect();
	layers_say(CLIENT, 0, 10, 10);
	CU_ASSERT_TRUE(has(B, 10));
	layers_say(CLIENT, 10, 1000, 1000);
	pipes.unplugged = true;
	while ((held[n] = mt_buf_data(&tls_pools)))
		n++;
	rte_pktmbuf_free(held[--n]); /* for the test's own */
	layers_say(CLIENT, 1010, 100, 100);
	CU_ASSERT_EQUAL(mt_stream_positions(A->s).accepted, 1110);
	layers_settle();
	CU_ASSERT_FALSE(A->closed);
	while (n)
		rte_pktmbuf_free(held[--n]);
	pipes.unplugged = false;
	layers_pass(10 * MT_MSEC);
	CU_ASSERT_TRUE(has(B, 1110));
	end_in_order();
	layers_end();
}

/* A full queue is told when it has room. */
static void test_writable(void)
{
	layers_begin(NULL, NULL, true);
	layers_connect();
	pipes.deaf = true;
	layers_say(CLIENT, 0, 60000, 1448);
	CU_ASSERT_EQUAL(mt_stream_sendable(A->s), 0);
	layers_settle();
	CU_ASSERT_FALSE(A->writable);
	pipes.deaf = false;
	layers_settle();
	CU_ASSERT_TRUE(A->writable);
	CU_ASSERT_TRUE(has(B, 60000));
	end_in_order();
	layers_end();
}

/* Either side is reset or goes at any step. */
static void test_any_moment(void)
{
	for (uint32_t at = 0; at < 40; at++) {
		layers_begin(NULL, NULL, at & 1);
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

const struct mt_test layer_tests[] = {{"both ways, both versions, any cut", test_talk},
	{"one record for who does not read", test_one_record}, {"long records", test_long_records},
	{"half-close", test_half_close}, {"the end waits", test_end_waits},
	{"FIN alone", test_cut_off}, {"a changed byte", test_changed},
	{"handshakes that fail", test_refused}, {"judged late", test_judged_late},
	{"reclaim", test_reclaim}, {"times", test_times}, {"wrong hellos", test_wrong_hellos},
	{"no room for a handshake", test_later}, {"unwanted", test_unwanted},
	{"key updates", test_updates}, {"detach", test_detach}, {"no memory", test_no_memory},
	{"writable", test_writable}, {"any moment", test_any_moment},
	{"where records lie", test_notes}, {0}};
