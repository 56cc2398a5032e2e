/* SPDX-License-Identifier: Apache-2.0 */
/* TLS 1.2: a Finished that the peer divides (RFC 5246 §6.2.1), each of its records with a number; and one with something behind it. */
#include "ends.h"
#include "handshake.h"
#include "mt_tls_alert.h"
#include "pki.h"
#include "tls_test.h"

#define HEADER	  5
#define CCS	  20
#define HANDSHAKE 22

static const struct suite suites[] = {
	{.version = TLS1_2_VERSION,
		.cipher = MT_TLS_AES_128_GCM,
		.hash = MT_TLS_SHA256,
		.name = "ECDHE-ECDSA-AES128-GCM-SHA256"},
	{.version = TLS1_2_VERSION,
		.cipher = MT_TLS_CHACHA20_POLY1305,
		.hash = MT_TLS_SHA256,
		.name = "ECDHE-ECDSA-CHACHA20-POLY1305"},
};

struct talk {
	const struct suite *suite;
	bool server, excess; /* ours is one; Finished is whole, and has a byte behind it */
	struct mt_tls_handshake *h;
	struct ends_plain p;
	enum mt_tls_step step;
	uint32_t cut; /* records that Finished came in */
};

/* Finished of the other end, another way: in records of one byte each. */
static uint32_t divided(struct talk *t, const uint8_t *record, uint32_t n, uint8_t *out)
{
	struct mt_tls_keys k;
	uint8_t finished[512] = {0}, type;
	uint32_t used, len, at = 0;

	taken_keys(t->p.ssl, t->suite, t->server, &k);
	k.rx.seq = 0;
	len = ends_open(&k, record, n, finished, &type, &used);
	CU_ASSERT_EQUAL_FATAL(len, 16);
	CU_ASSERT_EQUAL(type, HANDSHAKE);
	k.tx = k.rx;
	k.tx.seq = 0;
	if (t->excess)
		return ends_seal(&k, HANDSHAKE, finished, len + 1, out);
	for (t->cut = 0; t->cut < len; t->cut++)
		at += ends_seal(&k, HANDSHAKE, finished + t->cut, 1, out + at);
	return at;
}

/* What the other end says, with the record behind its ChangeCipherSpec changed. */
static bool hear(struct talk *t)
{
	static uint8_t said[65536], other[2048];
	uint32_t n = ends_plain_says(&t->p, said, sizeof(said)), at = 0, len;
	bool changed = false;

	if (n == 0)
		return false;
	for (; at < n && t->step == MT_TLS_MORE; at += len) {
		len = HEADER + ((uint32_t)said[at + 3] << 8 | said[at + 4]);
		if (changed)
			t->step = mt_tls_handshake_step(
				t->h, other, divided(t, said + at, len, other));
		else
			t->step = mt_tls_handshake_step(t->h, said + at, len);
		changed = said[at] == CCS;
	}
	return true;
}

static bool say(struct talk *t)
{
	const uint8_t *p;
	uint32_t n = mt_tls_handshake_output(t->h, &p);

	ends_plain_hears(&t->p, p, n);
	mt_tls_handshake_sent(t->h, n);
	return n > 0;
}

static void check_divided(struct talk *t)
{
	CU_ASSERT_EQUAL(t->step, MT_TLS_DONE);
	CU_ASSERT_EQUAL(t->cut, 16);
	CU_ASSERT_EQUAL(mt_tls_handshake_result(t->h)->keys.rx.seq, t->cut);
	CU_ASSERT_EQUAL(mt_tls_handshake_result(t->h)->keys.tx.seq, 1);
}

/* The other end, which has done nothing wrong itself, can read why. */
static void check_excess(struct talk *t)
{
	uint8_t rest[64];

	CU_ASSERT_EQUAL(t->step, MT_TLS_FAILED);
	CU_ASSERT_EQUAL(mt_tls_handshake_result(t->h)->reason, MT_TLS_WHY_protocol_error);
	CU_ASSERT_EQUAL(mt_tls_handshake_result(t->h)->alert, MT_TLS_UNEXPECTED_MESSAGE);
	CU_ASSERT_TRUE(SSL_read(t->p.ssl, rest, sizeof(rest)) <= 0);
	CU_ASSERT_EQUAL(t->p.alert, MT_TLS_UNEXPECTED_MESSAGE);
}

static void with(enum mt_tls_role role, const struct suite *suite, bool excess)
{
	struct mt_tls_rules rules = ends_rules(role);
	struct mt_tls_context *c = ends_context(&rules);
	struct talk t = {.suite = suite,
		.server = role == MT_TLS_SERVER,
		.excess = excess,
		.h = mt_tls_handshake_new(c, NULL),
		.step = MT_TLS_MORE};
	bool moved = true;

	ends_plain_new(
		&t.p, !role, t.server ? pki()->alice : pki()->bob, suite->version, suite->name);
	if (!t.server)
		t.step = mt_tls_handshake_step(t.h, NULL, 0);
	while (moved) {
		moved = say(&t);
		if (t.p.rc != 1)
			t.p.rc = SSL_do_handshake(t.p.ssl);
		moved = hear(&t) || moved;
	}
	/* AWS-LC refuses what is too much before it has answered Finished. */
	CU_ASSERT_TRUE(t.p.rc == 1 || excess);
	if (excess)
		check_excess(&t);
	else
		check_divided(&t);
	mt_tls_handshake_free(t.h);
	ends_plain_free(&t.p);
	mt_tls_context_drop(c);
}

static void each(bool excess)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(suites); i++) {
		with(MT_TLS_SERVER, &suites[i], excess);
		with(MT_TLS_CLIENT, &suites[i], excess);
	}
}

static void test_divided_finished(void)
{
	each(false);
}

static void test_excess(void)
{
	each(true);
}

const struct mt_test finished_tests[] = {{"Finished in many records", test_divided_finished},
	{"something behind Finished in its record", test_excess}, {0}};
