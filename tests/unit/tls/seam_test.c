/* SPDX-License-Identifier: Apache-2.0 */
/* From the first hello to the last alert without the library in between: a handshake of two of ours, then records of both. */
#include "ends.h"
#include "pki.h"
#include "scene.h"

struct side {
	struct mt_tls_records w;
	struct mt_tls_record r;
	struct mt_chain rx, text;
};

static void side_begin(struct side *s, const struct mt_tls_handshake *h, bool server)
{
	*s = (struct side){.w = {.pools = &tls_pools, .aead = tls_aead[0]}};
	mt_tls_record_init(&s->r, &mt_tls_handshake_result(h)->keys, server);
}

static void side_end(struct side *s)
{
	mt_tls_record_fini(&s->w, &s->r);
	mt_chain_free(&s->rx);
	mt_chain_free(&s->text);
}

static enum mt_tls_record_got read_all(struct side *s)
{
	enum mt_tls_record_got got;

	do
		got = mt_tls_record_read(&s->w, &s->r, &s->rx, &s->text, 0);
	while (got == MT_TLS_RECORD_DATA || got == MT_TLS_RECORD_OWN);
	return got;
}

static void say(struct side *from, struct side *to, uint32_t n)
{
	static uint8_t text[40000];
	struct mt_chain plain = {0};

	scene_fill(text, n, n);
	scene_append(&plain, text, n, 1400);
	CU_ASSERT_EQUAL(mt_tls_record_write(&from->w, &from->r, &plain, &to->rx, 1448, 0), 0);
	CU_ASSERT_EQUAL(read_all(to), MT_TLS_RECORD_MORE);
	CU_ASSERT_TRUE(scene_is(&to->text, n, n));
	mt_chain_free(&to->text);
}

static void converse(struct side *c, struct side *s)
{
	static const uint32_t sizes[] = {1, 100, 1448, 40000};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(sizes); i++) {
		say(c, s, sizes[i]);
		say(s, c, sizes[i]);
		if (c->r.is_13) {
			CU_ASSERT_EQUAL(mt_tls_record_update(&c->w, &c->r, true, &s->rx), 0);
			CU_ASSERT_EQUAL(read_all(s), MT_TLS_RECORD_MORE);
		}
	}
	CU_ASSERT_EQUAL(mt_tls_record_end(&c->w, &c->r, MT_TLS_CLOSE_NOTIFY, &s->rx), 0);
	CU_ASSERT_EQUAL(read_all(s), MT_TLS_RECORD_CLOSED);
	CU_ASSERT_EQUAL(mt_tls_record_end(&s->w, &s->r, MT_TLS_BAD_RECORD_MAC, &c->rx), 0);
	CU_ASSERT_EQUAL(read_all(c), MT_TLS_RECORD_ALERT);
	CU_ASSERT_EQUAL(c->r.alert, MT_TLS_BAD_RECORD_MAC);
}

/* What the server says behind its handshake, a ticket, is the client's first record. */
static void with(uint16_t version, const char *cipher, bool tickets)
{
	struct mt_tls_rules cr = ends_rules(MT_TLS_CLIENT), sr = ends_rules(MT_TLS_SERVER);
	struct mt_tls_context *cc, *sc;
	struct ends_pair p;
	struct side c, s;
	bool is_13 = version == 0x0304;

	sr.max_version = version;
	sr.tickets = tickets;
	*(is_13 ? &sr.suites : &sr.ciphers) = cipher;
	cc = ends_context(&cr);
	sc = ends_context(&sr);
	p = (struct ends_pair){
		.client = mt_tls_handshake_new(cc, NULL), .server = mt_tls_handshake_new(sc, NULL)};
	ends_pair_talk(&p);
	CU_ASSERT_EQUAL_FATAL(p.client_step, MT_TLS_DONE);
	CU_ASSERT_EQUAL_FATAL(p.server_step, MT_TLS_DONE);
	side_begin(&c, p.client, false);
	side_begin(&s, p.server, true);
	scene_append(&c.rx, ends_unread, ends_unread_len, 100);
	ends_pair_free(&p);
	converse(&c, &s);
	CU_ASSERT_EQUAL(c.w.counts[MT_TLS_RECORD_N_TICKET], tickets && is_13 ? 1 : 0);
	side_end(&c);
	side_end(&s);
	mt_tls_context_drop(cc);
	mt_tls_context_drop(sc);
}

static void test_whole_connections(void)
{
	for (int tickets = 0; tickets < 2; tickets++) {
		with(0x0304, "TLS_AES_128_GCM_SHA256", tickets);
		with(0x0304, "TLS_AES_256_GCM_SHA384", tickets);
		with(0x0304, "TLS_CHACHA20_POLY1305_SHA256", tickets);
		with(0x0303, "ECDHE-ECDSA-AES128-GCM-SHA256", tickets);
		with(0x0303, "ECDHE-ECDSA-AES256-GCM-SHA384", tickets);
		with(0x0303, "ECDHE-ECDSA-CHACHA20-POLY1305", tickets);
	}
}

const struct mt_test seam_tests[] = {
	{"handshakes and records of two of ours", test_whole_connections}, {0}};
