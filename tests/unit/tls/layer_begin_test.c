/* SPDX-License-Identifier: Apache-2.0 */
/* TLS streams before there are any: hellos, handshakes that fail, times, who is let in. */
#include "layer_scene.h"

#include <string.h>
#include <unistd.h>

#define A (&layers.app[CLIENT])
#define B (&layers.app[SERVER])

static const struct mt_stream_user tls_test_deaf;

/* Each side's reason of a handshake that fails, and its alert at the other side. */
static void test_refused(void)
{
	struct mt_tls_rules client = ends_rules(MT_TLS_CLIENT);
	const struct mt_tls_san other = {.text = "spiffe://cluster.local/ns/shop/sa/carol"};

	client.sans = &other;
	client.n_sans = 1;
	layers_begin(&client, NULL);
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
	layers_begin(&client, &server);
	layers_open(0);
	layers_say(CLIENT, 0, 5000, 1000);
	layers_until(&A->connected);
	/* The server's thread says nothing until all of it has arrived. */
	layers.handshakes_stop = true;
	layers_settle();
	layers.handshakes_stop = false;
	layers_until(&A->closed);
	CU_ASSERT_FALSE(B->connected);
	CU_ASSERT_EQUAL(A->reason, MT_CLOSE_HANDSHAKE);
	CU_ASSERT_FALSE(A->why.alert_sent);
	CU_ASSERT_EQUAL(layers.layer[CLIENT].counts[MT_TLS_N_refused], 1);
	CU_ASSERT_EQUAL(A->acked, 5000);
	CU_ASSERT_EQUAL(mt_stream_unread(&A->end, 0, 5000), MT_UNREAD_PROVEN);
	CU_ASSERT_EQUAL(A->reclaimed, 0);
	CU_ASSERT_TRUE(scene_is(&A->again, 0, 5000));
	layers_settle();
	layers_end();
	mt_credential_drop(stranger);
}

/* Half a hello is given up after 10 s; so is a server that says nothing, after the time that its user gave. */
static void test_times(void)
{
	static const uint8_t half[] = {22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3};
	struct mt_stream_to to = {.user = NULL};
	struct mt_chain c = {0};
	enum mt_close_reason why;
	struct mt_stream *raw;

	layers_begin(NULL, NULL);
	to.user = &tls_test_deaf;
	raw = mt_stream_open(&pipes.transport, &to, &why);
	scene_append(&c, half, sizeof(half), 4);
	mt_stream_send(raw, &c);
	layers_pass(9900 * MT_MSEC);
	CU_ASSERT_EQUAL(layers.layer[SERVER].streams.in_use, 1);
	layers_pass(200 * MT_MSEC);
	CU_ASSERT_EQUAL(layers.layer[SERVER].streams.in_use, 0);
	CU_ASSERT_EQUAL(layers.layer[SERVER].counts[MT_TLS_N_timed_out], 1);
	CU_ASSERT_EQUAL(layers.lane[SERVER]->begun, 0);
	layers_open(300);
	layers.handshakes_stop = true;
	layers_pass(290 * MT_MSEC);
	CU_ASSERT_FALSE(A->closed);
	layers_pass(20 * MT_MSEC);
	CU_ASSERT_TRUE(A->closed);
	CU_ASSERT_EQUAL(A->reason, MT_CLOSE_BUSY); /* our thread's hello was not taken */
	layers.handshakes_stop = false;
	layers_settle();
	layers_end();
}

/* The hello is sent, and the server, which has no handshake free, does not answer it: that is not our time. */
static void test_silent_server(void)
{
	struct mt_tls_layer *l = &layers.layer[SERVER];

	layers_begin(NULL, NULL);
	l->n_shaking = MT_TLS_SHARE_FROM;
	for (uint32_t i = 0; i < MT_TLS_SHARES; i++)
		l->shaking[i] = MT_TLS_SHARE;
	layers_open(5000);
	for (uint32_t i = 0; i < 50000 && !l->counts[MT_TLS_N_later]; i++) {
		layers_pass(0);
		usleep(100); /* a thread makes the hello */
	}
	CU_ASSERT_FALSE(A->closed);
	layers_pass(5 * MT_SEC);
	CU_ASSERT_TRUE(A->closed);
	CU_ASSERT_EQUAL(A->reason, MT_CLOSE_CONNECT_TIMEOUT);
	memset(l->shaking, 0, sizeof(l->shaking));
	l->n_shaking = 0;
	layers_settle();
	layers_end();
}

/*
 * A pause of the server's worker that is longer than the handshake's limit: what the client sent
 * meanwhile completes the handshake. A client that sent nothing is given up two seconds later.
 */
static void test_pause(void)
{
	struct mt_tls_layer *l = &layers.layer[SERVER];

	for (int sends = 0; sends <= 1; sends++) {
		layers_begin(NULL, NULL);
		layers_open(60000);
		for (uint32_t i = 0; i < 50000 && !l->n_shaking; i++) {
			layers_pass(0);
			usleep(100); /* a thread makes the hello */
		}
		layers.handshakes_stop = true;
		layers.now += 6 * MT_SEC;
		mt_tls_layer_resumed(l, layers.now);
		layers_pass((MT_TLS_RESUME_MS - 100) * MT_MSEC);
		CU_ASSERT_EQUAL(l->coming, 1);
		if (sends) {
			layers.handshakes_stop = false;
			layers_until(&B->connected);
			layers_until(&A->connected);
		}
		layers_pass(200 * MT_MSEC);
		CU_ASSERT_EQUAL(l->counts[MT_TLS_N_timed_out], !sends);
		layers.handshakes_stop = false;
		if (sends)
			layers_end_in_order();
		else
			layers_until(&A->closed);
		layers_settle();
		layers_end();
	}
}

/* A worker that pauses again and again does not keep a client that sends nothing. */
static void test_pauses(void)
{
	struct mt_tls_layer *l = &layers.layer[SERVER];
	int pauses = 0;

	layers_begin(NULL, NULL);
	layers_open(600000);
	for (uint32_t i = 0; i < 50000 && !l->n_shaking; i++) {
		layers_pass(0);
		usleep(100); /* a thread makes the hello */
	}
	layers.handshakes_stop = true;
	for (; pauses < 10 && !l->counts[MT_TLS_N_timed_out]; pauses++) {
		layers.now += 6 * MT_SEC;
		mt_tls_layer_resumed(l, layers.now);
		layers_pass((MT_TLS_RESUME_MS - 100) * MT_MSEC);
	}
	CU_ASSERT_EQUAL(pauses, 4);
	layers.handshakes_stop = false;
	layers_until(&A->closed);
	layers_settle();
	layers_end();
}

/* Who begins and says nothing more has five seconds; and his address, when many are under way, no more than its share. */
static void test_shares(void)
{
	struct mt_tls_layer *l = &layers.layer[SERVER];

	layers_begin(NULL, NULL);
	layers_open(0);
	for (uint32_t i = 0; i < 50000 && !l->n_shaking; i++) {
		layers_pass(0);
		usleep(100); /* a thread makes the hello */
	}
	layers.handshakes_stop = true;
	layers_pass(4900 * MT_MSEC);
	CU_ASSERT_EQUAL(l->n_shaking, 1);
	CU_ASSERT_EQUAL(l->coming, 1);
	layers_pass(200 * MT_MSEC);
	CU_ASSERT_EQUAL(l->streams.in_use, 0);
	CU_ASSERT_EQUAL(l->n_shaking, 0);
	CU_ASSERT_EQUAL(l->coming, 0);
	CU_ASSERT_EQUAL(l->counts[MT_TLS_N_timed_out], 1);
	layers.handshakes_stop = false;
	layers_until(&A->closed);
	layers_settle();
	layers_end();
	layers_begin(NULL, NULL);
	l->n_shaking = MT_TLS_SHARE_FROM;
	for (uint32_t i = 0; i < MT_TLS_SHARES; i++)
		l->shaking[i] = MT_TLS_SHARE;
	layers_open(0);
	for (uint32_t i = 0; i < 50000 && !l->counts[MT_TLS_N_later]; i++) {
		layers_pass(0);
		usleep(100); /* a thread makes the hello */
	}
	layers_pass(200 * MT_MSEC);
	CU_ASSERT_FALSE(B->connected);
	CU_ASSERT_EQUAL(l->counts[MT_TLS_N_later], 1);
	CU_ASSERT_EQUAL(l->coming, 1);
	CU_ASSERT_EQUAL(layers.lane[SERVER]->begun, 0);
	memset(l->shaking, 0, sizeof(l->shaking));
	l->n_shaking = 0;
	layers_until(&A->connected);
	layers_until(&B->connected);
	CU_ASSERT_EQUAL(l->counts[MT_TLS_N_later], 1);
	layers_end_in_order();
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

	layers_begin(NULL, NULL);
	say_raw(plain, sizeof(plain) - 1, 0);
	CU_ASSERT_EQUAL(layers.layer[SERVER].counts[MT_TLS_N_no_tls], 1);
	say_raw(bad, sizeof(bad), MT_TLS_DECODE_ERROR);
	say_raw(huge, sizeof(huge), MT_TLS_DECODE_ERROR);
	CU_ASSERT_EQUAL(layers.layer[SERVER].counts[MT_TLS_N_bad_hello], 2);
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
	layers_begin(NULL, NULL);
	layers.not_yet = 1;
	layers_open(0);
	layers_settle();
	layers_until(&A->connected);
	layers_until(&B->connected);
	layers.not_yet = 0;
	CU_ASSERT_EQUAL(layers.layer[CLIENT].counts[MT_TLS_N_later] +
				layers.layer[SERVER].counts[MT_TLS_N_later],
		1);
	layers_end_in_order();
	layers_end();
	layers_begin(NULL, NULL);
	layers.handshakes_stop = true;
	layers_open(0);
	layers_settle();
	layers.not_yet = 3;
	layers.handshakes_stop = false;
	layers_until(&A->connected);
	layers_until(&B->connected);
	CU_ASSERT_EQUAL(layers.layer[SERVER].counts[MT_TLS_N_later], 1);
	layers_end_in_order();
	layers_end();
}

/* Our user does not want it. */
static void test_unwanted(void)
{
	layers_begin(NULL, NULL);
	layers.refuses = true;
	layers_open(0);
	layers_until(&A->closed);
	CU_ASSERT_EQUAL(A->reason, MT_CLOSE_RESET);
	layers_settle();
	layers_end();
}

/* The peer's FIN in the handshake: it is over, as soon as nothing that was said can finish it. */
static void test_fin_early(void)
{
	layers_begin(NULL, NULL);
	layers_open(0);
	layers.handshakes_stop = true;
	layers_settle();
	layers.not_yet = UINT32_MAX; /* the server has nothing to say */
	layers_lower(CLIENT)->fin_in = layers_lower(CLIENT)->s.rx_eof = true;
	layers.handshakes_stop = false;
	layers_until(&A->closed);
	CU_ASSERT_EQUAL(A->reason, MT_CLOSE_RESET);
	CU_ASSERT_FALSE(A->connected);
	CU_ASSERT_TRUE(layers.now < 1000 * MT_SEC + 5 * MT_SEC);
	CU_ASSERT_EQUAL(layers.layer[CLIENT].counts[MT_TLS_N_no_close_notify], 1);
	CU_ASSERT_EQUAL(layers.layer[CLIENT].failed[MT_TLS_WHY_peer_closed], 1);
	layers_settle();
	layers_end();
}

/* Or its RST, as of who leaves what it does not believe unread. */
static void test_reset_early(void)
{
	layers_begin(NULL, NULL);
	layers_open(0);
	layers.handshakes_stop = true;
	layers_settle();
	CU_ASSERT_EQUAL(layers.layer[CLIENT].failed[MT_TLS_WHY_peer_closed], 0);
	layers_lower(CLIENT)->reset_in = layers_lower(SERVER)->reset_in = true;
	layers_until(&A->closed);
	CU_ASSERT_EQUAL(A->reason, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(A->why.reason, MT_TLS_WHY_peer_closed);
	CU_ASSERT_EQUAL(layers.layer[CLIENT].failed[MT_TLS_WHY_peer_closed], 1);
	layers.handshakes_stop = false;
	layers_settle();
	layers_end();
}

static void test_evicted(void)
{
	static const uint8_t half[] = {22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3};
	struct mt_stream_to to = {.user = &tls_test_deaf};
	struct mt_chain c = {0};
	enum mt_close_reason why;

	layers_begin(NULL, NULL);
	scene_append(&c, half, sizeof(half), 100);
	mt_stream_send(mt_stream_open(&pipes.transport, &to, &why), &c);
	layers_settle();
	CU_ASSERT_EQUAL(layers.layer[SERVER].streams.in_use, 1);
	layers_lower(SERVER)->s.user->evict(&layers_lower(SERVER)->s, MT_CLASS_WAITING);
	CU_ASSERT_EQUAL(layers.layer[SERVER].streams.in_use, 0);
	CU_ASSERT_EQUAL(pipes.resets, 1);
	layers_settle();
	layers_end();
}

static void take_later(struct mt_stream *s)
{
	if (s->rx.len > 5)
		CU_ASSERT_TRUE(mt_tls_door_take(&layers.door, s, 7));
}

static const struct mt_stream_user taker = {.connected = take_later,
	.readable = take_later,
	.eof = take_later,
	.writable = take_later,
	.closed = deaf_closed};

static int no_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	return 7;
}

static bool accept_plain(void *arg, struct mt_stream *s, int listener)
{
	s->user = &taker;
	return true;
}

/* Who looks at the first bytes before it knows that they are TLS. */
static void test_taken_later(void)
{
	static const struct mt_listen_ops plain = {no_lookup, accept_plain};

	for (uint32_t cut = 0; cut <= 4; cut += 4) {
		layers_begin(NULL, NULL);
		pipes.listen = &plain;
		pipes.cut = cut;
		layers_connect();
		layers_say(CLIENT, 0, 1000, 1000);
		CU_ASSERT_TRUE(layers_has(B, 1000));
		layers_end_in_order();
		layers_end();
	}
}

const struct mt_test layer_begin_tests[] = {{"handshakes that fail", test_refused},
	{"judged late", test_judged_late}, {"times", test_times},
	{"silent server", test_silent_server}, {"pause", test_pause}, {"pauses", test_pauses},
	{"shares", test_shares}, {"wrong hellos", test_wrong_hellos},
	{"no room for a handshake", test_later}, {"unwanted", test_unwanted},
	{"FIN in the handshake", test_fin_early}, {"RST in the handshake", test_reset_early},
	{"half a hello gives way", test_evicted}, {"taken later", test_taken_later}, {0}};
