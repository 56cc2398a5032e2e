/* SPDX-License-Identifier: Apache-2.0 */
/* Our records and OpenSSL's, both ways, after a handshake of OpenSSL's. */
#include "handshake.h"

static uint8_t text[WIRE_ROOM], is[WIRE_ROOM];

static void each(size_t padding, bool only_13, bool only_12, void (*run)(struct taken *t))
{
	for (uint32_t a = 0; tls_aead[a]; a++)
		for (uint32_t i = only_12 ? 3 : 0; i < (only_13 ? 3 : N_SUITES); i++)
			for (int server = 0; server < 2; server++) {
				struct taken t;

				taken_begin(&t, &tls_suites[i], tls_aead[a], server, padding);
				run(&t);
				taken_end(&t);
			}
}

/* All that came, but what ends it. */
static enum mt_tls_record_got read_all(struct taken *t)
{
	struct scene *s = &t->s;
	enum mt_tls_record_got got;

	do
		got = mt_tls_record_read(&s->w, &s->r, &s->rx, &s->text, s->now);
	while (got == MT_TLS_RECORD_DATA || got == MT_TLS_RECORD_OWN);
	return got;
}

static void their_text(struct taken *t, uint32_t n, uint32_t piece)
{
	scene_fill(text, n, n);
	CU_ASSERT_EQUAL(SSL_write(t->other, text, (int)n), (int)n);
	taken_receive(t, piece);
	CU_ASSERT_EQUAL(read_all(t), MT_TLS_RECORD_MORE);
	CU_ASSERT_EQUAL(t->s.rx.len, 0);
	CU_ASSERT_TRUE(scene_is(&t->s.text, n, n));
	mt_chain_free(&t->s.text);
}

static void our_text(struct taken *t, uint32_t n, uint32_t piece)
{
	struct mt_chain plain = {0}, out = {0};
	uint32_t got = 0;

	scene_fill(text, n, n);
	scene_append(&plain, text, n, piece);
	CU_ASSERT_EQUAL(mt_tls_record_write(&t->s.w, &t->s.r, &plain, &out, 1448, t->s.now), 0);
	taken_send(t, &out);
	while (got < n) {
		int part = SSL_read(t->other, is + got, (int)(n - got));

		CU_ASSERT_TRUE(part > 0);
		if (part <= 0)
			break;
		got += (uint32_t)part;
	}
	CU_ASSERT_EQUAL(memcmp(is, text, n), 0);
}

static void talk(struct taken *t)
{
	static const uint32_t sizes[] = {1, 100, 1400, 16384, 40000, 150000};
	bool tickets = t->s.r.is_13 && !t->s.r.server;

	for (uint32_t i = 0; i < MT_ARRAY_LEN(sizes); i++) {
		their_text(t, sizes[i], 1448);
		our_text(t, sizes[i], 1448);
	}
	CU_ASSERT_EQUAL(t->s.w.counts[MT_TLS_RECORD_N_TICKET], tickets ? 2 : 0);
}

static void test_talk(void)
{
	each(0, false, false, talk);
}

#ifndef OPENSSL_IS_AWSLC /* which pads nothing */
static void test_padding(void)
{
	each(777, true, false, talk);
}
#endif

static void key_updates(struct taken *t)
{
	struct mt_chain out = {0};

	for (int i = 0; i < 4; i++) {
		/* They ask; the answer goes with our next bytes. */
		CU_ASSERT_EQUAL(SSL_key_update(t->other, i & 1 ? SSL_KEY_UPDATE_REQUESTED
							       : SSL_KEY_UPDATE_NOT_REQUESTED),
			1);
		CU_ASSERT_EQUAL(SSL_do_handshake(t->other), 1);
		their_text(t, 500, 100);
		CU_ASSERT_EQUAL(mt_tls_record_due(&t->s.r), i & 1 ? MT_TLS_RECORD_DUE_UPDATE : 0);
		our_text(t, 500, 100);
		/* We ask; theirs comes with their next bytes. */
		CU_ASSERT_EQUAL(mt_tls_record_update(&t->s.w, &t->s.r, i & 1, &out), 0);
		taken_send(t, &out);
		our_text(t, 700, 100);
		their_text(t, 700, 100);
	}
	CU_ASSERT_EQUAL(t->s.w.counts[MT_TLS_RECORD_N_UPDATE_OUT], 4 + 2);
	CU_ASSERT_EQUAL(t->s.w.counts[MT_TLS_RECORD_N_UPDATE_IN], 4 + 2);
}

static void test_key_updates(void)
{
	each(0, true, false, key_updates);
}

#ifndef OPENSSL_IS_AWSLC /* which never asks for one */
/* They insist; OpenSSL gives up when it is told no. */
static void renegotiation(struct taken *t)
{
	struct mt_chain out = {0};

	their_text(t, 100, 100);
	CU_ASSERT_EQUAL(SSL_renegotiate(t->other), 1);
	SSL_do_handshake(t->other);
	taken_receive(t, 100);
	CU_ASSERT_EQUAL(read_all(t), MT_TLS_RECORD_MORE);
	CU_ASSERT_EQUAL(mt_tls_record_due(&t->s.r), MT_TLS_RECORD_DUE_REFUSAL);
	CU_ASSERT_EQUAL(mt_tls_record_own(&t->s.w, &t->s.r, &out), 0);
	taken_send(t, &out);
	CU_ASSERT_TRUE(SSL_read(t->other, is, 1) <= 0);
	taken_receive(t, 100);
	CU_ASSERT_EQUAL(read_all(t), MT_TLS_RECORD_ALERT);
	CU_ASSERT_EQUAL(t->s.r.alert, MT_TLS_HANDSHAKE_FAILURE);
}

static void test_renegotiation(void)
{
	each(0, false, true, renegotiation);
}
#endif

static void we_close(struct taken *t)
{
	struct mt_chain out = {0};
	int n;

	our_text(t, 100, 100);
	CU_ASSERT_EQUAL(mt_tls_record_end(&t->s.w, &t->s.r, MT_TLS_CLOSE_NOTIFY, &out), 0);
	taken_send(t, &out);
	n = SSL_read(t->other, is, 1);
	CU_ASSERT_EQUAL(SSL_get_error(t->other, n), SSL_ERROR_ZERO_RETURN);
	/* They may go on. */
	their_text(t, 1000, 1000);
}

static void they_close(struct taken *t)
{
	their_text(t, 100, 100);
	SSL_shutdown(t->other);
	taken_receive(t, 5);
	CU_ASSERT_EQUAL(read_all(t), MT_TLS_RECORD_CLOSED);
	our_text(t, 100, 100);
}

static void test_close(void)
{
	each(0, false, false, we_close);
	each(0, false, false, they_close);
}

/* A bit on the way is another. */
static void they_give_up(struct taken *t)
{
	struct mt_chain plain = {0}, out = {0};

	their_text(t, 100, 100);
	scene_append(&plain, (const uint8_t *)"hello", 5, 5);
	CU_ASSERT_EQUAL(mt_tls_record_seal(&t->s.w, &t->s.r, &plain, 5, &out), 0);
	mt_link_data(out.tail)[mt_link(out.tail)->len - 1] ^= 1;
	taken_send(t, &out);
	CU_ASSERT_TRUE(SSL_read(t->other, is, 1) <= 0);
	taken_receive(t, 100);
	CU_ASSERT_EQUAL(read_all(t), MT_TLS_RECORD_ALERT);
	CU_ASSERT_EQUAL(t->s.r.alert, MT_TLS_BAD_RECORD_MAC);
}

/* Our alert is one for OpenSSL. */
static void we_give_up(struct taken *t)
{
	struct mt_chain out = {0};

	CU_ASSERT_EQUAL(mt_tls_record_end(&t->s.w, &t->s.r, MT_TLS_ACCESS_DENIED, &out), 0);
	taken_send(t, &out);
	CU_ASSERT_TRUE(SSL_read(t->other, is, 1) <= 0);
	CU_ASSERT_EQUAL(SSL_get_shutdown(t->other) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
}

static void test_give_up(void)
{
	each(0, false, false, they_give_up);
	each(0, false, false, we_give_up);
}

const struct mt_test record_openssl_tests[] = {{"text both ways", test_talk},
#ifndef OPENSSL_IS_AWSLC
	{"padded records", test_padding}, {"renegotiation is refused", test_renegotiation},
#endif
	{"key updates both ways", test_key_updates}, {"both close", test_close},
	{"both give up", test_give_up}, {0}};
