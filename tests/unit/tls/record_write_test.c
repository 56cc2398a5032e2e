/* SPDX-License-Identifier: Apache-2.0 */
/* Plain text to records. */
#include "scene.h"

#include <errno.h>

#define AROUND 100 /* bytes, more than what frames a record */

static uint8_t text[WIRE_ROOM], opened[WIRE_ROOM], types[4096];

static void each(void (*run)(struct scene *s))
{
	for (uint32_t a = 0; tls_aead[a]; a++)
		for (uint32_t i = 0; i < N_SUITES; i++) {
			struct scene s;

			scene_begin(&s, &tls_suites[i], tls_aead[a], i & 1);
			run(&s);
			scene_end(&s);
		}
}

static void check_text(
	struct scene *s, struct mt_chain *out, uint32_t records, uint32_t from, uint32_t n)
{
	uint32_t len;

	CU_ASSERT_EQUAL(scene_opened(s, out, types, opened, &len), records);
	for (uint32_t i = 0; i < records; i++)
		CU_ASSERT_EQUAL(types[i], 23);
	scene_fill(text, n, from);
	CU_ASSERT_TRUE(len == n && memcmp(opened, text, n) == 0);
}

static const uint32_t sizes[] = {1, 2, 100, 383, 384, 1400, 2013, 2014, 2048, 5000, 16383, 16384};

/* Taken and left, off the begin and from the middle, in buffers of all sizes. */
static void all_layouts(struct scene *s)
{
	static const uint32_t pieces[] = {5, 100, 1448, 2048};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(sizes); i++)
		for (uint32_t k = 0; k < MT_ARRAY_LEN(pieces); k++)
			for (uint32_t more = 0; more < 3; more += 2) {
				uint32_t n = sizes[i];
				struct mt_chain plain = {0}, out = {0};

				scene_fill(text, n + more, 0);
				scene_append(&plain, text, n + more, pieces[k]);
				CU_ASSERT_EQUAL(mt_tls_record_seal_copy(
							&s->w, &s->r, &plain, more, n, &out),
					0);
				check_text(s, &out, 1, more, n);
				CU_ASSERT_TRUE(scene_is(&plain, 0, n + more));
				CU_ASSERT_EQUAL(
					mt_tls_record_seal(&s->w, &s->r, &plain, n, &out), 0);
				CU_ASSERT_TRUE(scene_is(&plain, n, more));
				check_text(s, &out, 1, 0, n);
				mt_chain_free(&plain);
			}
}

static void test_all_layouts(void)
{
	each(all_layouts);
}

/* A buffer that is ours is sealed where it lies, and becomes the segment; what others hold stays as it was. */
static void in_place(struct scene *s)
{
	struct mt_chain plain = {0}, out = {0};
	struct rte_mbuf *m;

	scene_fill(text, 1400, 0);
	scene_append(&plain, text, 1400, 2048);
	m = plain.head;
	CU_ASSERT_EQUAL(mt_tls_record_seal(&s->w, &s->r, &plain, 1400, &out), 0);
	CU_ASSERT_PTR_EQUAL(out.head, m);
	CU_ASSERT_EQUAL(out.segs, 1);
	CU_ASSERT_EQUAL(s->w.counts[MT_TLS_RECORD_N_INPLACE], 1);
	check_text(s, &out, 1, 0, 1400);

	scene_fill(text, 4000, 0);
	scene_append(&plain, text, 4000, 1000);
	m = mt_link(plain.head)->next;
	mt_buf_hold(m);
	CU_ASSERT_EQUAL(mt_tls_record_seal(&s->w, &s->r, &plain, 4000, &out), 0);
	check_text(s, &out, 1, 0, 4000);
	CU_ASSERT_EQUAL(memcmp((uint8_t *)m->buf_addr + m->data_off, text + 1000, 1000), 0);
	CU_ASSERT_EQUAL(s->w.counts[MT_TLS_RECORD_N_COPIED], 1);
	mt_buf_free(m);

	scene_fill(text, 1400, 0);
	scene_append(&plain, text, 1400, 2048);
	m = plain.head;
	mt_buf_hold(m);
	CU_ASSERT_EQUAL(mt_tls_record_seal(&s->w, &s->r, &plain, 1400, &out), 0);
	check_text(s, &out, 1, 0, 1400);
	CU_ASSERT_EQUAL(memcmp((uint8_t *)m->buf_addr + m->data_off, text, 1400), 0);
	mt_buf_free(m);

	/* No sum of what lay there is left. */
	scene_append(&plain, text, 1400, 500);
	for (m = plain.head; m; m = mt_link(m)->next)
		mt_link(m)->sum_off = mt_link(m)->off;
	CU_ASSERT_EQUAL(mt_tls_record_seal(&s->w, &s->r, &plain, 1400, &out), 0);
	for (m = out.head; m; m = mt_link(m)->next)
		CU_ASSERT_EQUAL(mt_link(m)->sum_off, 0);
	check_text(s, &out, 1, 0, 1400);
}

static void test_in_place(void)
{
	each(in_place);
}

/* In its chain, if it is one buffer of ours with room around it and nothing is due; else nothing happens. */
static void alone(struct scene *s)
{
	struct mt_chain plain = {0};
	struct rte_mbuf *m = mt_buf_data(&tls_pools);
	uint32_t n;

	CU_ASSERT_EQUAL(mt_tls_record_seal_alone(&s->w, &s->r, &plain), -EAGAIN);
	for (uint32_t before = 0; before < 2; before++)
		for (uint32_t behind = 0; behind < 2; behind++)
			for (uint32_t held = 0; held < 2; held++) {
				uint32_t off = before ? AROUND : s->r.before - 1u;
				bool may = before && behind && !held;

				n = m->buf_len - off - (behind ? s->r.behind : s->r.behind - 1u);
				scene_fill((uint8_t *)m->buf_addr + off, n, 0);
				mt_chain_append(&plain, m, off, n);
				mt_link(m)->sum_off = (uint16_t)off;
				mt_buf_hold(m);
				if (!held)
					mt_buf_free(m);
				CU_ASSERT_EQUAL(mt_tls_record_seal_alone(&s->w, &s->r, &plain),
					may ? 0 : -EAGAIN);
				CU_ASSERT_TRUE(plain.head == m && plain.segs == 1);
				if (may) {
					CU_ASSERT_EQUAL(mt_link(m)->sum_off, 0);
					check_text(s, &plain, 1, 0, n);
				} else {
					CU_ASSERT_TRUE(scene_is(&plain, 0, n));
				}
				mt_chain_free(&plain);
				if (held)
					mt_buf_free(m);
				m = mt_buf_data(&tls_pools);
			}
	mt_buf_free(m);
	scene_fill(text, 100, 0);
	scene_append(&plain, text, 100, 60);
	CU_ASSERT_EQUAL(mt_tls_record_seal_alone(&s->w, &s->r, &plain), -EAGAIN);
	mt_chain_free(&plain);
	scene_append(&plain, text, 100, 100);
	s->r.due = MT_TLS_RECORD_DUE_DRAIN;
	CU_ASSERT_EQUAL(mt_tls_record_seal_alone(&s->w, &s->r, &plain), -EAGAIN);
	s->r.due = 0;
	s->r.tx_over = true;
	CU_ASSERT_EQUAL(mt_tls_record_seal_alone(&s->w, &s->r, &plain), -EAGAIN);
	s->r.tx_over = false;
	CU_ASSERT_TRUE(scene_is(&plain, 0, 100));
	CU_ASSERT_EQUAL(mt_tls_record_seal_alone(&s->w, &s->r, &plain), 0);
	check_text(s, &plain, 1, 0, 100);
}

static void test_alone(void)
{
	each(alone);
}

/* A full buffer has no room for what frames the record. */
static void no_room(struct scene *s)
{
	for (int before = 0; before < 2; before++)
		for (int behind = 0; behind < 2; behind++) {
			struct mt_chain plain = {0}, out = {0};
			struct rte_mbuf *m = mt_buf_data(&tls_pools);
			uint32_t off = before ? 100 : 4;
			uint32_t n = m->buf_len - off - (behind ? 50 : 15);

			scene_fill((uint8_t *)m->buf_addr + off, n, 0);
			mt_chain_append(&plain, m, off, n);
			CU_ASSERT_EQUAL(mt_tls_record_seal(&s->w, &s->r, &plain, n, &out), 0);
			CU_ASSERT_EQUAL(out.segs, 3u - (uint32_t)before - (uint32_t)behind);
			check_text(s, &out, 1, 0, n);
		}
}

/* Neither a buffer for the header nor one for what is behind, or only one of them. */
static void no_room_no_memory(struct scene *s)
{
	static struct rte_mbuf *all[10000];
	struct mt_chain plain = {0}, out = {0};
	struct rte_mbuf *m = mt_buf_data(&tls_pools);
	uint32_t n = 0;

	mt_chain_append(&plain, m, 4, m->buf_len - 4u);
	while ((all[n] = mt_buf_data(&tls_pools)) != NULL)
		n++;
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(mt_tls_record_seal(&s->w, &s->r, &plain, plain.len, &out), -ENOMEM);
		CU_ASSERT_EQUAL(rte_mempool_avail_count(tls_pools.data), (unsigned int)i);
		CU_ASSERT_TRUE(plain.head == m && plain.len == m->buf_len - 4u && !out.len);
		mt_buf_free(all[--n]);
	}
	CU_ASSERT_EQUAL(mt_tls_record_seal(&s->w, &s->r, &plain, plain.len, &out), 0);
	CU_ASSERT_EQUAL(out.segs, 3);
	mt_chain_free(&out);
	while (n > 0)
		mt_buf_free(all[--n]);
}

static void test_no_room(void)
{
	each(no_room);
	each(no_room_no_memory);
}

static void no_memory(struct scene *s)
{
	static struct rte_mbuf *all[10000];
	struct mt_chain plain = {0}, out = {0};
	uint32_t n = 0, n_out;

	scene_fill(text, 5000, 0);
	scene_append(&plain, text, 5000, 1000);
	mt_buf_hold(plain.head);
	while ((all[n] = mt_buf_data(&tls_pools)) != NULL)
		n++;
	CU_ASSERT_EQUAL(mt_tls_record_seal(&s->w, &s->r, &plain, 5000, &out), -ENOMEM);
	mt_buf_free(all[--n]); /* one is not enough */
	CU_ASSERT_EQUAL(mt_tls_record_seal(&s->w, &s->r, &plain, 5000, &out), -ENOMEM);
	CU_ASSERT_TRUE(out.len == 0 && scene_is(&plain, 0, 5000));
	rte_mbuf_refcnt_update(plain.head, -1);
	CU_ASSERT_EQUAL(mt_tls_record_seal(&s->w, &s->r, &plain, 5000, &out), 0);
	check_text(s, &out, 1, 0, 5000);
	n_out = n;
	while ((all[n] = mt_buf_data(&tls_pools)) != NULL)
		n++;
	CU_ASSERT_TRUE(n >= n_out);
	CU_ASSERT_EQUAL(mt_tls_record_end(&s->w, &s->r, MT_TLS_CLOSE_NOTIFY, &out), -ENOMEM);
	while (n > 0)
		mt_buf_free(all[--n]);
	CU_ASSERT_EQUAL(mt_tls_record_end(&s->w, &s->r, MT_TLS_CLOSE_NOTIFY, &out), 0);
	CU_ASSERT_TRUE(scene_opened(s, &out, types, opened, &n) == 1 && types[0] == 21);
}

static void test_no_memory(void)
{
	each(no_memory);
}

/* Nothing follows close_notify, or a fatal alert, but what came is still read. */
static void end(struct scene *s)
{
	struct mt_chain plain = {0}, out = {0};
	uint32_t n;
	bool fatal = s->r.server;

	scene_append(&plain, (const uint8_t *)"x", 1, 1);
	if (s->r.is_13) { /* an answer that nobody waits for any more */
		CU_ASSERT_EQUAL(scene_get(s, &(struct peer_how){.type = 22}, "\x18\0\0\1\1", 5),
			MT_TLS_RECORD_OWN);
		peer_next(&s->peer, &s->peer.tx);
		CU_ASSERT_EQUAL(mt_tls_record_due(&s->r), MT_TLS_RECORD_DUE_UPDATE);
	}
	CU_ASSERT_EQUAL(mt_tls_record_end(&s->w, &s->r,
				fatal ? MT_TLS_UNEXPECTED_MESSAGE : MT_TLS_CLOSE_NOTIFY, &out),
		0);
	CU_ASSERT_EQUAL(scene_opened(s, &out, types, opened, &n), 1);
	CU_ASSERT_TRUE(types[0] == 21 && n == 2);
	CU_ASSERT_EQUAL(opened[0], fatal ? 2 : 1);
	CU_ASSERT_EQUAL(opened[1], fatal ? 10 : 0);
	CU_ASSERT_EQUAL(mt_tls_record_seal(&s->w, &s->r, &plain, 1, &out), -EPIPE);
	CU_ASSERT_EQUAL(mt_tls_record_end(&s->w, &s->r, MT_TLS_CLOSE_NOTIFY, &out), -EPIPE);
	CU_ASSERT_EQUAL(out.len, 0);
	CU_ASSERT_EQUAL(mt_tls_record_due(&s->r), 0);
	if (s->r.is_13) {
		CU_ASSERT_EQUAL(scene_get(s, &(struct peer_how){.type = 22}, "\x18\0\0\1\1", 5),
			MT_TLS_RECORD_OWN);
		peer_next(&s->peer, &s->peer.tx);
		CU_ASSERT_EQUAL(mt_tls_record_due(&s->r), 0);
	}
	CU_ASSERT_EQUAL(scene_get(s, &(struct peer_how){.type = 23}, "x", 1), MT_TLS_RECORD_DATA);
	mt_chain_free(&plain);
}

static void test_end(void)
{
	each(end);
}

/* Small until 100 KiB, then large, small again after a second of silence. */
static void test_sizes(void)
{
	for (uint32_t i = 0; i < N_SUITES; i++) {
		struct mt_chain plain = {0}, out = {0};
		struct scene s;
		uint32_t n, small;

		scene_begin(&s, &tls_suites[i], tls_aead[0], false);
		small = mt_tls_record_size(&s.r, 1448, s.now);
		scene_fill(text, small, 0);
		scene_append(&plain, text, small, 2048);
		CU_ASSERT_EQUAL(mt_tls_record_seal(&s.w, &s.r, &plain, small, &out), 0);
		CU_ASSERT_EQUAL(out.len, 1448);
		check_text(&s, &out, 1, 0, small);

		scene_fill(text, 150000, 0);
		scene_append(&plain, text, 150000, 2048);
		CU_ASSERT_EQUAL(
			mt_tls_record_write(&s.w, &s.r, &plain, &out, 1448, s.now + MT_SEC), 0);
		CU_ASSERT_EQUAL(plain.len, 0);
		n = (100 * 1024 - small + small - 1) / small;
		check_text(&s, &out, n + (150000 - n * small + 16383) / 16384, 0, 150000);
		CU_ASSERT_EQUAL(mt_tls_record_size(&s.r, 1448, s.now + 2 * MT_SEC), 16384);
		/* However much more comes. */
		for (int k = 0; k < 2; k++) {
			scene_append(&plain, text, 10000, 2048);
			CU_ASSERT_EQUAL(mt_tls_record_write(
						&s.w, &s.r, &plain, &out, 1448, s.now + 2 * MT_SEC),
				0);
			mt_chain_free(&out);
		}
		CU_ASSERT_EQUAL(mt_tls_record_size(&s.r, 1448, s.now + 2 * MT_SEC), 16384);
		/* Also by the next key. */
		if (tls_suites[i].version == 0x0304)
			CU_ASSERT_EQUAL(mt_tls_record_update(&s.w, &s.r, false, &out), 0);
		CU_ASSERT_EQUAL(mt_tls_record_size(&s.r, 1448, s.now + 2 * MT_SEC), 16384);
		mt_chain_free(&out);
		CU_ASSERT_EQUAL(
			mt_tls_record_size(&s.r, 1448, s.now + 3 * MT_SEC + MT_MSEC), small);
		CU_ASSERT_EQUAL(mt_tls_record_size(&s.r, 100, s.now + 3 * MT_SEC), 256);
		CU_ASSERT_EQUAL(mt_tls_record_size(&s.r, 65000, s.now + 3 * MT_SEC), 16384);
		scene_end(&s);
	}
}

/* A key has done enough: by bytes, or by records. */
static void test_key_limits(void)
{
	for (uint32_t i = 0; i < N_SUITES; i++)
		for (int by_records = 0; by_records < 2; by_records++) {
			bool is_13 = tls_suites[i].version == 0x0304;
			struct mt_chain plain = {0}, out = {0};
			struct scene s;
			uint32_t n;

			scene_begin(&s, &tls_suites[i], tls_aead[0], false);
			if (by_records)
				s.r.tx.seq = s.peer.rx.seq = (1ull << 31) - 2;
			else
				s.r.tx_bytes = (1ull << 36) - 20;
			for (int k = 0; k < 3; k++) {
				scene_append(&plain, (const uint8_t *)"0123456789", 10, 10);
				CU_ASSERT_EQUAL(
					mt_tls_record_seal(&s.w, &s.r, &plain, 10, &out), 0);
				if (k == 1)
					CU_ASSERT_EQUAL(mt_tls_record_due(&s.r),
						is_13 ? MT_TLS_RECORD_DUE_UPDATE
						      : MT_TLS_RECORD_DUE_DRAIN);
				if (k == 2 && is_13) { /* it went before */
					struct mt_chain first = {0};

					CU_ASSERT_EQUAL(
						mt_chain_split(&out, mt_tls_record_len(&out),
							&first, &tls_pools),
						0);
					CU_ASSERT_EQUAL(
						scene_opened(&s, &first, types, opened, &n), 1);
					CU_ASSERT_EQUAL(types[0], 22);
					peer_next(&s.peer, &s.peer.rx);
				}
				CU_ASSERT_EQUAL(scene_opened(&s, &out, types, opened, &n), 1);
				CU_ASSERT_TRUE(types[0] == 23 && n == 10);
			}
			CU_ASSERT_EQUAL(
				mt_tls_record_due(&s.r), is_13 ? 0 : MT_TLS_RECORD_DUE_DRAIN);
			scene_end(&s);
		}
}

/* No number twice. */
static void test_last_number(void)
{
	for (uint32_t i = 0; i < N_SUITES; i++) {
		struct mt_chain plain = {0}, out = {0};
		struct scene s;

		scene_begin(&s, &tls_suites[i], tls_aead[0], false);
		s.r.tx.seq = s.r.rx.seq = UINT64_MAX;
		scene_append(&plain, (const uint8_t *)"x", 1, 1);
		CU_ASSERT_EQUAL(mt_tls_record_seal(&s.w, &s.r, &plain, 1, &out), -EOVERFLOW);
		CU_ASSERT_EQUAL(out.len, 0);
		CU_ASSERT_EQUAL(s.r.tx.seq, UINT64_MAX);
		CU_ASSERT_EQUAL(
			scene_get(&s, &(struct peer_how){.type = 23}, "x", 1), MT_TLS_RECORD_BAD);
		CU_ASSERT_EQUAL(s.r.alert, MT_TLS_INTERNAL_ERROR);
		mt_chain_free(&plain);
		scene_end(&s);
	}
}

/* We ask the other side for its next key. */
static void test_update_asks(void)
{
	struct mt_chain out = {0};
	struct scene s;
	uint32_t n;

	scene_begin(&s, &tls_suites[1], tls_aead[0], false);
	CU_ASSERT_EQUAL(mt_tls_record_update(&s.w, &s.r, true, &out), 0);
	CU_ASSERT_EQUAL(scene_opened(&s, &out, types, opened, &n), 1);
	CU_ASSERT_EQUAL(memcmp(opened, "\x18\0\0\1\1", 5), 0);
	scene_end(&s);
}

static uint32_t chance(uint32_t below)
{
	static uint64_t state = 88172645463325252ull;

	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state % below);
}

/* Some text, sealed in some way, comes to the other end in some pieces. */
static void some_text(struct scene *a, struct scene *b, uint32_t *sent)
{
	static uint8_t wire[WIRE_ROOM];
	uint32_t n = 1 + chance(chance(4) ? 800 : 16384), len;
	struct mt_chain plain = {0}, out = {0};
	int rc;

	scene_fill(text, n, *sent);
	scene_append(&plain, text, n, 16 + chance(2033));
	if (chance(8) == 0 && a->r.is_13)
		CU_ASSERT_EQUAL(mt_tls_record_update(&a->w, &a->r, chance(2), &out), 0);
	rc = chance(2) ? mt_tls_record_seal_copy(&a->w, &a->r, &plain, 0, n, &out)
		       : mt_tls_record_seal(&a->w, &a->r, &plain, n, &out);
	CU_ASSERT_EQUAL(rc, 0);
	mt_chain_free(&plain);
	*sent += n;
	len = out.len;
	mt_chain_read(&out, 0, wire, len);
	mt_chain_free(&out);
	scene_append(&b->rx, wire, len, 16 + chance(2033));
}

static void test_both_ends(void)
{
	for (uint32_t i = 0; i < 6 * N_SUITES; i++) {
		uint32_t providers = tls_aead[1] ? 2 : 1, sent[2] = {0}, got[2] = {0};
		struct scene s[2];
		struct mt_tls_keys keys;

		scene_begin(&s[0], &tls_suites[i % N_SUITES], tls_aead[chance(providers)], false);
		s[1] = s[0];
		s[1].w.aead = tls_aead[chance(providers)];
		keys = (struct mt_tls_keys){tls_suites[i % N_SUITES].version, s[0].r.cipher,
			s[0].r.hash, s[0].peer.rx, s[0].peer.tx};
		mt_tls_record_init(&s[1].r, &keys, true);
		for (uint32_t k = 0; k < 60; k++) {
			uint32_t me = chance(2);
			enum mt_tls_record_got rc;

			some_text(&s[me], &s[!me], &sent[me]);
			s[me].now += 100 * MT_MSEC;
			while ((rc = mt_tls_record_read(&s[!me].w, &s[!me].r, &s[!me].rx,
					&s[!me].text, s[!me].now)) != MT_TLS_RECORD_MORE)
				CU_ASSERT_TRUE(rc == MT_TLS_RECORD_DATA || rc == MT_TLS_RECORD_OWN);
			if (chance(3) == 0)
				continue;
			CU_ASSERT_TRUE(scene_is(&s[!me].text, got[!me], s[!me].text.len));
			got[!me] += s[!me].text.len;
			mt_chain_free(&s[!me].text);
			CU_ASSERT_EQUAL(got[!me], sent[me]);
		}
		mt_chain_free(&s[1].text);
		scene_end(&s[0]);
		mt_tls_record_fini(&s[1].w, &s[1].r);
	}
}

const struct mt_test record_write_tests[] = {{"all layouts", test_all_layouts},
	{"sealed in place", test_in_place}, {"sealed alone", test_alone}, {"no room", test_no_room},
	{"no memory to seal", test_no_memory}, {"the end", test_end}, {"sizes", test_sizes},
	{"key limits", test_key_limits}, {"the last number", test_last_number},
	{"an update asks", test_update_asks}, {"both ends", test_both_ends}, {0}};
