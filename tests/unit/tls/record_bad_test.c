/* SPDX-License-Identifier: Apache-2.0 */
/* What a peer may not do, and which alert it gets; and the messages and alerts that it may send. */
#include "scene.h"

static uint8_t text[WIRE_ROOM], wire[WIRE_ROOM];

#define V13 1
#define V12 2

/* One wrong record, the first one. */
static const struct row {
	const char *what;
	uint8_t versions;
	struct peer_how how;
	uint32_t n;
	const char *text; /* hexadecimal, the first bytes */
	uint8_t alert;
} rows[] = {
	{"a wrong tag", V13 | V12, {.type = 23, .wrong_tag = true}, 100, "", MT_TLS_BAD_RECORD_MAC},
	{"a wrong tag, no text", V13 | V12, {.type = 23, .wrong_tag = true}, 0, "",
		MT_TLS_BAD_RECORD_MAC},
	{"too long inside", V13 | V12, {.type = 23}, 16385, "", MT_TLS_RECORD_OVERFLOW},
	{"too much padding", V13, {.type = 23, .padding = 100}, 16300, "", MT_TLS_RECORD_OVERFLOW},
	{"too long outside", V13, {.type = 23, .padding = 300}, 16384, "", MT_TLS_RECORD_OVERFLOW},
	{"too long outside", V12, {.type = 23}, 16384 + 2048, "", MT_TLS_RECORD_OVERFLOW},
	{"plain handshake", V13, {.type = 22, .outer = 22}, 5, "1800000100",
		MT_TLS_UNEXPECTED_MESSAGE},
	{"plain alert", V13, {.type = 21, .outer = 21}, 2, "0100", MT_TLS_UNEXPECTED_MESSAGE},
	{"change cipher spec", V13, {.type = 20, .outer = 20}, 1, "01", MT_TLS_UNEXPECTED_MESSAGE},
	{"change cipher spec inside", V13 | V12, {.type = 20}, 1, "01", MT_TLS_UNEXPECTED_MESSAGE},
	{"heartbeat", V13 | V12, {.type = 24}, 3, "", MT_TLS_UNEXPECTED_MESSAGE},
	{"no type", V13, {.untyped = true, .padding = 50}, 0, "", MT_TLS_UNEXPECTED_MESSAGE},
	{"no type, nothing at all", V13, {.untyped = true}, 0, "", MT_TLS_UNEXPECTED_MESSAGE},
	{"TLS 1.1", V13 | V12, {.type = 23, .version = 0x0302}, 10, "", MT_TLS_PROTOCOL_VERSION},
	{"TLS 4", V13 | V12, {.type = 23, .version = 0x0403}, 10, "", MT_TLS_PROTOCOL_VERSION},
	{"empty handshake", V13 | V12, {.type = 22}, 0, "", MT_TLS_UNEXPECTED_MESSAGE},
	{"empty alert", V13 | V12, {.type = 21}, 0, "", MT_TLS_UNEXPECTED_MESSAGE},
	{"half an alert", V13 | V12, {.type = 21}, 1, "01", MT_TLS_DECODE_ERROR},
	{"two alerts", V13 | V12, {.type = 21}, 4, "015a0100", MT_TLS_DECODE_ERROR},
	{"an alert of no level", V12, {.type = 21}, 2, "035a", MT_TLS_ILLEGAL_PARAMETER},
	{"Finished", V13 | V12, {.type = 22}, 36, "14000020", MT_TLS_UNEXPECTED_MESSAGE},
	{"a certificate request", V13, {.type = 22}, 8, "0d000004", MT_TLS_UNEXPECTED_MESSAGE},
	{"ServerHello", V12 | V13, {.type = 22}, 8, "02000004", MT_TLS_UNEXPECTED_MESSAGE},
	{"a short KeyUpdate", V13, {.type = 22}, 4, "18000000", MT_TLS_DECODE_ERROR},
	{"a long KeyUpdate", V13, {.type = 22}, 6, "180000020000", MT_TLS_DECODE_ERROR},
	{"a KeyUpdate of no kind", V13, {.type = 22}, 5, "1800000102", MT_TLS_ILLEGAL_PARAMETER},
	{"something behind a KeyUpdate", V13, {.type = 22}, 10, "18000001001800000100",
		MT_TLS_UNEXPECTED_MESSAGE},
	{"a KeyUpdate", V12, {.type = 22}, 5, "1800000100", MT_TLS_UNEXPECTED_MESSAGE},
	{"a ticket", V12, {.type = 22}, 20, "04000010", MT_TLS_UNEXPECTED_MESSAGE},
};

static uint32_t fill_text(const struct row *row)
{
	memset(text, 0, row->n + 64);
	tls_unhex(row->text, text);
	return row->n;
}

static bool is_for(const struct row *row, const struct suite *s)
{
	return row->versions & (s->version == 0x0304 ? V13 : V12);
}

static void check_bad(struct scene *s, enum mt_tls_record_got got, uint8_t alert, const char *what)
{
	CU_ASSERT_EQUAL(got, MT_TLS_RECORD_BAD);
	CU_ASSERT_EQUAL(s->r.alert, alert);
	if (got != MT_TLS_RECORD_BAD || s->r.alert != alert)
		fprintf(stderr, "%s, %s: %d, %s instead of %s\n", what, s->peer.suite->name, got,
			mt_tls_alert_str(s->r.alert), mt_tls_alert_str(alert));
	CU_ASSERT_EQUAL(s->text.len, 0);
	/* It stays so. */
	CU_ASSERT_EQUAL(scene_get(s, &(struct peer_how){.type = 23}, "x", 1), MT_TLS_RECORD_BAD);
	CU_ASSERT_EQUAL(s->r.alert, alert);
	CU_ASSERT_EQUAL(s->text.len, 0);
}

static void test_wrong_records(void)
{
	for (uint32_t a = 0; tls_aead[a]; a++)
		for (uint32_t i = 0; i < N_SUITES; i++)
			for (uint32_t k = 0; k < MT_ARRAY_LEN(rows); k++) {
				struct scene s;

				if (!is_for(&rows[k], &tls_suites[i]))
					continue;
				scene_begin(&s, &tls_suites[i], tls_aead[a], k & 1);
				check_bad(&s,
					scene_get(&s, &rows[k].how, text, fill_text(&rows[k])),
					rows[k].alert, rows[k].what);
				scene_end(&s);
			}
}

/* Ports with large buffers give a record whole, also one that is too long. */
static void test_one_buffer(void)
{
	struct mt_pools large;

	CU_ASSERT_EQUAL_FATAL(mt_pools_init(&large, "large", 15, 15, 24576, SOCKET_ID_ANY), 0);
	for (uint32_t i = 0; i < N_SUITES; i++)
		for (uint32_t k = 0; k < MT_ARRAY_LEN(rows); k++) {
			struct rte_mbuf *m = mt_buf_data(&large);
			struct scene s;
			uint32_t n;

			MT_ASSERT(m);
			scene_begin(&s, &tls_suites[i], tls_aead[0], k & 1);
			n = peer_seal(&s.peer, &rows[k].how, text, fill_text(&rows[k]), wire);
			memcpy((uint8_t *)m->buf_addr + m->data_off, wire, n);
			mt_chain_append(&s.rx, m, m->data_off, n);
			if (is_for(&rows[k], &tls_suites[i]))
				check_bad(&s, mt_tls_record_read(&s.w, &s.r, &s.rx, &s.text, s.now),
					rows[k].alert, rows[k].what);
			scene_end(&s);
		}
	mt_pools_fini(&large);
}

/* Each byte of a record is covered by something. */
static void test_each_byte(void)
{
	static const uint32_t sizes[] = {1, 100, 500};

	for (uint32_t i = 0; i < N_SUITES; i++)
		for (uint32_t z = 0; z < MT_ARRAY_LEN(sizes); z++) {
			struct scene s;
			uint32_t n;

			scene_begin(&s, &tls_suites[i], tls_aead[0], false);
			scene_fill(text, sizes[z], 0);
			n = peer_seal(
				&s.peer, &(struct peer_how){.type = 23}, text, sizes[z], wire);
			for (uint32_t at = 0; at < n; at++) {
				struct mt_tls_record begin = s.r;
				enum mt_tls_record_got got;

				wire[at] ^= 1u << at % 8;
				scene_append(&s.rx, wire, n, 200);
				got = mt_tls_record_read(&s.w, &s.r, &s.rx, &s.text, s.now);
				/* A longer one is waited for. */
				CU_ASSERT_TRUE(got == MT_TLS_RECORD_BAD ||
					       (got == MT_TLS_RECORD_MORE && (at == 3 || at == 4)));
				CU_ASSERT_EQUAL(s.text.len, 0);
				wire[at] ^= 1u << at % 8;
				s.r = begin;
				mt_chain_free(&s.rx);
			}
			scene_end(&s);
		}
}

/* Shorter than what protects it. */
static void test_too_short(void)
{
	for (uint32_t i = 0; i < N_SUITES; i++)
		for (uint8_t len = 0; len < 16; len++) {
			struct scene s;
			uint8_t bytes[21] = {23, 3, 3, 0, len};

			scene_begin(&s, &tls_suites[i], tls_aead[0], false);
			scene_append(&s.rx, bytes, 5u + len, 3);
			check_bad(&s, mt_tls_record_read(&s.w, &s.r, &s.rx, &s.text, s.now),
				MT_TLS_BAD_RECORD_MAC, "too short");
			scene_end(&s);
		}
}

/* A header that says too much is enough. */
static void test_too_long(void)
{
	for (uint32_t i = 0; i < N_SUITES; i++) {
		uint32_t most = tls_suites[i].version == 0x0304 ? 16640 : 18432;

		for (uint32_t len = most - 1; len <= most + 1; len++) {
			uint8_t bytes[6] = {23, 3, 3, (uint8_t)(len >> 8), (uint8_t)len, 0};
			enum mt_tls_record_got got;
			struct scene s;

			scene_begin(&s, &tls_suites[i], tls_aead[0], false);
			scene_append(&s.rx, bytes, 6, 6);
			got = mt_tls_record_read(&s.w, &s.r, &s.rx, &s.text, s.now);
			CU_ASSERT_EQUAL(got, len <= most ? MT_TLS_RECORD_MORE : MT_TLS_RECORD_BAD);
			if (len > most)
				check_bad(&s, got, MT_TLS_RECORD_OVERFLOW, "a header alone");
			scene_end(&s);
		}
	}
}

/* What is behind a KeyUpdate lies in another buffer. */
static void test_behind_update(void)
{
	static const uint8_t messages[] = {24, 0, 0, 1, 0, 4, 0, 0, 0};

	for (uint32_t i = 0; i < 3; i++)
		for (uint32_t first = 1; first < 40; first++) {
			struct scene s;
			uint32_t n;

			scene_begin(&s, &tls_suites[i], tls_aead[0], false);
			n = peer_seal(&s.peer, &(struct peer_how){.type = 22}, messages,
				sizeof(messages), wire);
			CU_ASSERT_FATAL(n < 40);
			scene_append(&s.rx, wire, MT_MIN(first, n), 40);
			scene_append(&s.rx, wire + MT_MIN(first, n), n - MT_MIN(first, n), 40);
			check_bad(&s, mt_tls_record_read(&s.w, &s.r, &s.rx, &s.text, s.now),
				MT_TLS_UNEXPECTED_MESSAGE, "behind");
			scene_end(&s);
		}
}

/* A begin is waited for, and nothing of it is taken. */
static void test_truncated(void)
{
	for (uint32_t i = 0; i < N_SUITES; i++) {
		struct scene s;
		uint32_t n;

		scene_begin(&s, &tls_suites[i], tls_aead[0], false);
		scene_fill(text, 60, 0);
		n = peer_seal(&s.peer, &(struct peer_how){.type = 23}, text, 60, wire);
		for (uint32_t len = 0; len < n; len++) {
			scene_append(&s.rx, wire, len, 17);
			CU_ASSERT_EQUAL(mt_tls_record_read(&s.w, &s.r, &s.rx, &s.text, s.now),
				MT_TLS_RECORD_MORE);
			CU_ASSERT_EQUAL(s.rx.len, len);
			CU_ASSERT_EQUAL(mt_tls_record_len(&s.rx), len < 5 ? 0 : n);
			mt_chain_free(&s.rx);
		}
		scene_end(&s);
	}
}

static enum mt_tls_record_got get_hex(struct scene *s, uint8_t type, const char *hex)
{
	uint32_t n = tls_unhex(hex, text);

	return scene_get(s, &(struct peer_how){.type = type}, text, n);
}

/* A message in pieces, with something else between them. */
static void test_interleaved(void)
{
	static const uint8_t types[] = {23, 21};

	for (uint32_t i = 0; i < N_SUITES; i++)
		for (uint32_t t = 0; t < 2; t++) {
			struct scene s;
			bool is_13 = tls_suites[i].version == 0x0304;

			scene_begin(&s, &tls_suites[i], tls_aead[0], !is_13);
			CU_ASSERT_EQUAL(
				get_hex(&s, 22, is_13 ? "0400" : "0100 0010"), MT_TLS_RECORD_OWN);
			check_bad(&s, get_hex(&s, types[t], "0100"), MT_TLS_UNEXPECTED_MESSAGE,
				"between");
			scene_end(&s);
		}
}

/* Tickets and a KeyUpdate in one record, then a ticket of 300 bytes in pieces of all sizes. */
static void test_tickets(void)
{
	static const uint32_t pieces[] = {1, 2, 3, 4, 5, 100, 304};

	for (uint32_t i = 0; i < 3; i++) {
		struct scene s;

		scene_begin(&s, &tls_suites[i], tls_aead[0], false);
		CU_ASSERT_EQUAL(get_hex(&s, 22, "04000003 aabbcc 04000000 04000001 dd 1800000101"),
			MT_TLS_RECORD_OWN);
		CU_ASSERT_EQUAL(s.w.counts[MT_TLS_RECORD_N_TICKET], 3);
		CU_ASSERT_EQUAL(s.w.counts[MT_TLS_RECORD_N_UPDATE_IN], 1);
		CU_ASSERT_EQUAL(mt_tls_record_due(&s.r), MT_TLS_RECORD_DUE_UPDATE);
		peer_next(&s.peer, &s.peer.tx);
		for (uint32_t k = 0; k < MT_ARRAY_LEN(pieces); k++) {
			uint8_t ticket[304] = {4, 0, 1, 44};

			for (uint32_t at = 0, n; at < sizeof(ticket); at += n) {
				n = MT_MIN(pieces[k], (uint32_t)sizeof(ticket) - at);
				CU_ASSERT_EQUAL(scene_get(&s, &(struct peer_how){.type = 22},
							ticket + at, n),
					MT_TLS_RECORD_OWN);
			}
			CU_ASSERT_EQUAL(s.w.counts[MT_TLS_RECORD_N_TICKET], 4 + k);
			s.now += MT_SEC;
		}
		CU_ASSERT_EQUAL(
			scene_get(&s, &(struct peer_how){.type = 23}, "x", 1), MT_TLS_RECORD_DATA);
		scene_end(&s);
		/* Clients give none. */
		scene_begin(&s, &tls_suites[i], tls_aead[0], true);
		check_bad(&s, get_hex(&s, 22, "04000003 aabbcc"), MT_TLS_UNEXPECTED_MESSAGE,
			"a client's ticket");
		scene_end(&s);
		scene_begin(&s, &tls_suites[i], tls_aead[0], false);
		check_bad(&s, get_hex(&s, 22, "04ffffff aabbcc"), MT_TLS_DECODE_ERROR,
			"a ticket of 16 MiB");
		scene_end(&s);
	}
}

/* Both directions change keys, one after the other, and we answer when asked. */
static void test_key_updates(void)
{
	for (uint32_t a = 0; tls_aead[a]; a++)
		for (uint32_t i = 0; i < 3; i++) {
			struct scene s;

			scene_begin(&s, &tls_suites[i], tls_aead[a], i & 1);
			for (uint32_t k = 0; k < 6; k++) {
				struct mt_chain out = {0};
				uint8_t types[4], is[64];
				uint32_t n;

				CU_ASSERT_EQUAL(
					get_hex(&s, 22, k & 1 ? "1800000101" : "1800000100"),
					MT_TLS_RECORD_OWN);
				peer_next(&s.peer, &s.peer.tx);
				CU_ASSERT_EQUAL(
					scene_get(&s, &(struct peer_how){.type = 23}, "abc", 3),
					MT_TLS_RECORD_DATA);
				scene_append(&s.text, (const uint8_t *)"defg", 4, 2048);
				CU_ASSERT_EQUAL(
					mt_tls_record_seal(&s.w, &s.r, &s.text, 7, &out), 0);
				CU_ASSERT_EQUAL(mt_tls_record_due(&s.r), 0);
				if (k & 1) {
					uint8_t update[64];
					struct mt_chain rest = {0};

					/* The answer, and under the next key what follows. */
					CU_ASSERT_EQUAL(
						mt_chain_split(&out, mt_tls_record_len(&out), &rest,
							&tls_pools),
						0);
					CU_ASSERT_EQUAL(
						scene_opened(&s, &rest, types, update, &n), 1);
					CU_ASSERT_EQUAL(types[0], 22);
					CU_ASSERT_EQUAL(memcmp(update, "\x18\0\0\1\0", 5), 0);
					peer_next(&s.peer, &s.peer.rx);
				}
				CU_ASSERT_EQUAL(scene_opened(&s, &out, types, is, &n), 1);
				CU_ASSERT_TRUE(
					types[0] == 23 && n == 7 && memcmp(is, "abcdefg", 7) == 0);
			}
			CU_ASSERT_EQUAL(s.w.counts[MT_TLS_RECORD_N_UPDATE_OUT], 3);
			scene_end(&s);
		}
}

/* A server asks again (RFC 5246 §7.4.1.1), or a client: no, and all goes on. */
static void test_renegotiation(void)
{
	for (uint32_t i = 3; i < N_SUITES; i++)
		for (int server = 0; server < 2; server++) {
			struct mt_chain out = {0};
			uint8_t types[4], is[64];
			struct scene s;
			uint32_t n;

			scene_begin(&s, &tls_suites[i], tls_aead[0], server);
			CU_ASSERT_EQUAL(get_hex(&s, 22, server ? "01000003 aabbcc" : "00000000"),
				MT_TLS_RECORD_OWN);
			CU_ASSERT_EQUAL(mt_tls_record_due(&s.r), MT_TLS_RECORD_DUE_REFUSAL);
			CU_ASSERT_EQUAL(mt_tls_record_own(&s.w, &s.r, &out), 0);
			CU_ASSERT_EQUAL(mt_tls_record_due(&s.r), 0);
			CU_ASSERT_EQUAL(scene_opened(&s, &out, types, is, &n), 1);
			CU_ASSERT_TRUE(types[0] == 21 && n == 2 && is[0] == 1 && is[1] == 100);
			CU_ASSERT_EQUAL(s.w.counts[MT_TLS_RECORD_N_NO_RENEGOTIATION], 1);
			CU_ASSERT_EQUAL(scene_get(&s, &(struct peer_how){.type = 23}, "x", 1),
				MT_TLS_RECORD_DATA);
			mt_chain_free(&s.text);
			/* The other side asks for what it may not. */
			check_bad(&s, get_hex(&s, 22, server ? "00000000" : "01000003 aabbcc"),
				MT_TLS_UNEXPECTED_MESSAGE, "the wrong side");
			scene_end(&s);
		}
}

static void test_alerts(void)
{
	for (uint32_t i = 0; i < N_SUITES; i++) {
		bool is_13 = tls_suites[i].version == 0x0304;
		struct scene s;

		for (uint32_t alert = 0; alert < 256; alert++)
			for (uint8_t level = 1; level <= 2; level++) {
				const uint8_t bytes[] = {level, (uint8_t)alert};
				enum mt_tls_record_got want, got;

				scene_begin(&s, &tls_suites[i], tls_aead[0], false);
				got = scene_get(&s, &(struct peer_how){.type = 21}, bytes, 2);
				if (alert == 0)
					want = MT_TLS_RECORD_CLOSED;
				else if (is_13 ? alert == 90 : level == 1)
					want = MT_TLS_RECORD_OWN;
				else
					want = MT_TLS_RECORD_ALERT;
				CU_ASSERT_EQUAL(got, want);
				if (want != MT_TLS_RECORD_OWN) {
					CU_ASSERT_EQUAL(s.r.alert, alert);
					CU_ASSERT_EQUAL(
						scene_get(
							&s, &(struct peer_how){.type = 23}, "x", 1),
						want);
				}
				scene_end(&s);
			}
	}
	CU_ASSERT_STRING_EQUAL(mt_tls_alert_str(MT_TLS_UNKNOWN_CA), "unknown_ca");
	CU_ASSERT_STRING_EQUAL(mt_tls_alert_str(200), "alert");
}

/* So many in a second, and in the next one again. */
static void flood(const struct suite *suite, bool server, uint8_t type, const char *hex,
	uint32_t limit, bool updates)
{
	struct scene s;

	scene_begin(&s, suite, tls_aead[0], server);
	for (uint32_t second = 0; second < 2; second++, s.now += MT_SEC)
		for (uint32_t i = 0; i < limit; i++) {
			CU_ASSERT_EQUAL(get_hex(&s, type, hex), MT_TLS_RECORD_OWN);
			if (updates)
				peer_next(&s.peer, &s.peer.tx);
		}
	s.now -= MT_SEC;
	check_bad(&s, get_hex(&s, type, hex), MT_TLS_UNEXPECTED_MESSAGE, hex);
	scene_end(&s);
}

static void test_floods(void)
{
	flood(&tls_suites[0], false, 22, "1800000100", 32, true);
	flood(&tls_suites[0], false, 23, "", 1000, false);
	flood(&tls_suites[0], false, 22, "04000001aa", 1000, false);
	flood(&tls_suites[0], false, 21, "015a", 1000, false);
	flood(&tls_suites[3], false, 22, "00000000", 32, false);
	flood(&tls_suites[3], true, 22, "01000001aa", 32, false);
	flood(&tls_suites[3], false, 23, "", 1000, false);
	flood(&tls_suites[3], false, 21, "0164", 1000, false);
}

const struct mt_test record_bad_tests[] = {{"wrong records", test_wrong_records},
	{"wrong records, one buffer", test_one_buffer}, {"each byte", test_each_byte},
	{"too short", test_too_short}, {"truncated", test_truncated}, {"too long", test_too_long},
	{"behind a key update", test_behind_update}, {"interleaved", test_interleaved},
	{"tickets", test_tickets}, {"key updates", test_key_updates},
	{"renegotiation", test_renegotiation}, {"alerts", test_alerts}, {"floods", test_floods},
	{0}};
