/* SPDX-License-Identifier: Apache-2.0 */
/* Records that are right, however they come. */
#include "scene.h"

#include <errno.h>

static uint8_t wire[WIRE_ROOM], text[WIRE_ROOM];
static const struct peer_how data = {.type = 23}, padded = {.type = 23, .padding = 37};

/* What is common to all providers and suites. */
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

/* Records of such sizes, one behind the other; *n all their text. */
static uint32_t seal_all(
	struct scene *s, const uint32_t *sizes, uint32_t count, uint8_t *out, uint32_t *n)
{
	uint32_t len = 0;

	*n = 0;
	for (uint32_t i = 0; i < count; *n += sizes[i++]) {
		scene_fill(text, sizes[i], *n);
		len += peer_seal(&s->peer, i & 1 ? &padded : &data, text, sizes[i], out + len);
	}
	return len;
}

static uint32_t read_all(struct scene *s)
{
	uint32_t n = 0;
	enum mt_tls_record_got got;

	while ((got = mt_tls_record_read(&s->w, &s->r, &s->rx, &s->text, s->now)) !=
		MT_TLS_RECORD_MORE) {
		CU_ASSERT_FATAL(got == MT_TLS_RECORD_DATA || got == MT_TLS_RECORD_OWN);
		n++;
	}
	return n;
}

/* At each place two buffers meet, and the second comes later. */
static void cut_everywhere(struct scene *s)
{
	static const uint32_t sizes[] = {64, 1, 0, 90};
	uint32_t n, len = seal_all(s, sizes, 4, wire, &n);
	struct mt_tls_record begin = s->r;

	for (uint32_t cut = 1; cut < len; cut++) {
		uint32_t count;

		s->r = begin;
		scene_append(&s->rx, wire, cut, 2048);
		count = read_all(s);
		scene_append(&s->rx, wire + cut, len - cut, 2048);
		count += read_all(s);
		CU_ASSERT_EQUAL(count, 4);
		CU_ASSERT_EQUAL(s->rx.len, 0);
		CU_ASSERT_TRUE(scene_is(&s->text, 0, n));
		mt_chain_free(&s->text);
	}
}

static void test_cut_everywhere(void)
{
	each(cut_everywhere);
}

static void in_pieces(
	struct scene *s, const uint32_t *sizes, uint32_t count, uint32_t first, uint32_t last)
{
	static const uint32_t pieces[] = {1, 2, 5, 7, 16, 64, 333, 1448, 2048};
	uint32_t n, len = seal_all(s, sizes, count, wire, &n);
	struct mt_tls_record begin = s->r, end = s->r;

	for (uint32_t i = first; i < last; i++) {
		s->r = begin;
		for (uint32_t at = 0, part; at < len; at += part) {
			part = MT_MIN(len - at, 6000u);
			scene_append(&s->rx, wire + at, part, pieces[i]);
			read_all(s);
		}
		CU_ASSERT_EQUAL(s->rx.len, 0);
		CU_ASSERT_TRUE(scene_is(&s->text, 0, n));
		mt_chain_free(&s->text);
		end = s->r;
	}
	s->r = end;
}

/* In buffers of all sizes, the longest record among them. */
static void all_segments(struct scene *s)
{
	static const uint32_t sizes[] = {
		16384, 1, 383, 384, 1400, 5000, 700, 700, 700, 30, 16384, 30, 1439};

	in_pieces(s, sizes + 1, 4, 0, 3);
	in_pieces(s, sizes, MT_ARRAY_LEN(sizes), 3, 9);
}

static void test_all_segments(void)
{
	each(all_segments);
}

/* A buffer that is ours alone is used again; what others hold stays as it was. */
static void in_place(struct scene *s)
{
	uint8_t before[2048];
	struct rte_mbuf *m;
	uint32_t n;

	scene_fill(text, 1000, 0);
	n = peer_seal(&s->peer, &data, text, 1000, wire);
	scene_append(&s->rx, wire, n, 2048);
	m = s->rx.head;
	CU_ASSERT_EQUAL(read_all(s), 1);
	CU_ASSERT_PTR_EQUAL(s->text.head, m);
	CU_ASSERT_TRUE(scene_is(&s->text, 0, 1000));
	CU_ASSERT_EQUAL(s->w.counts[MT_TLS_RECORD_N_INPLACE], 1);
	mt_chain_free(&s->text);

	n = peer_seal(&s->peer, &data, text, 1000, wire);
	scene_append(&s->rx, wire, n, 2048);
	m = s->rx.head;
	mt_buf_hold(m);
	memcpy(before, mt_link_data(m), n);
	CU_ASSERT_EQUAL(read_all(s), 1);
	CU_ASSERT_PTR_NOT_EQUAL(s->text.head, m);
	CU_ASSERT_TRUE(scene_is(&s->text, 0, 1000));
	CU_ASSERT_EQUAL(memcmp(before, wire, n), 0);
	CU_ASSERT_EQUAL(memcmp((uint8_t *)m->buf_addr + m->data_off, wire, n), 0);
	CU_ASSERT_EQUAL(s->w.counts[MT_TLS_RECORD_N_COPIED], 1);
	mt_buf_free(m);
}

static void test_in_place(void)
{
	each(in_place);
}

/* The next record begins in the buffer: that one stays where it is, and is opened in place in its turn. */
static void two_in_a_buffer(struct scene *s)
{
	static const uint32_t sizes[] = {800, 900};
	uint32_t n, len = seal_all(s, sizes, 2, wire, &n);
	struct rte_mbuf *m;

	scene_append(&s->rx, wire, len, 2048);
	m = s->rx.head;
	CU_ASSERT_EQUAL(read_all(s), 2);
	CU_ASSERT_TRUE(scene_is(&s->text, 0, n));
	CU_ASSERT_PTR_EQUAL(s->text.tail, m);
	CU_ASSERT_EQUAL(s->text.segs, 2);
}

static void test_two_in_a_buffer(void)
{
	each(two_in_a_buffer);
}

/* Of a long one only what lies with the next record is copied, and no sum of what lay there is left. */
static void long_one(struct scene *s)
{
	static const uint32_t sizes[] = {16384, 16384};
	uint32_t n, len = seal_all(s, sizes, 1, wire, &n);
	struct rte_mbuf *m;
	uint32_t i = 0;

	scene_append(&s->rx, wire, len - 500, 1448);
	scene_append(&s->rx, wire + len - 500, 500, 1448);
	MT_ASSERT(mt_chain_write(&s->rx, &tls_pools, "next", 4) == 0);
	for (m = s->rx.head; m; m = mt_link(m)->next)
		mt_link(m)->sum_off = mt_link(m)->off;
	m = s->rx.head;
	CU_ASSERT_EQUAL(
		mt_tls_record_read(&s->w, &s->r, &s->rx, &s->text, s->now), MT_TLS_RECORD_DATA);
	CU_ASSERT_TRUE(scene_is(&s->text, 0, n));
	CU_ASSERT_PTR_EQUAL(s->text.head, m);
	CU_ASSERT_EQUAL(s->rx.segs, 1);
	for (m = s->text.head; m; m = mt_link(m)->next, i++)
		CU_ASSERT_EQUAL(mt_link(m)->sum_off, 0);
	CU_ASSERT_EQUAL(i, 12);
}

static void test_long_one(void)
{
	each(long_one);
}

/* Short ones pin no buffer each. */
static void short_ones(struct scene *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < 40; i++, n += 50) {
		scene_fill(text, 50, n);
		CU_ASSERT_EQUAL(scene_get(s, &data, text, 50), MT_TLS_RECORD_DATA);
	}
	CU_ASSERT_TRUE(scene_is(&s->text, 0, n));
	CU_ASSERT_TRUE(s->text.segs <= 2);
}

static void test_short_ones(void)
{
	each(short_ones);
}

/* Without buffers nothing is taken, and it works once there are some. */
static void no_memory(struct scene *s)
{
	static struct rte_mbuf *all[10000];
	uint32_t n = 0, len;

	scene_fill(text, 3000, 0);
	len = peer_seal(&s->peer, &data, text, 3000, wire);
	scene_append(&s->rx, wire, len, 1000);
	for (struct rte_mbuf *m = s->rx.head; m; m = mt_link(m)->next)
		mt_buf_hold(m);
	while ((all[n] = mt_buf_data(&tls_pools)) != NULL)
		n++;
	CU_ASSERT_EQUAL(mt_tls_record_read(&s->w, &s->r, &s->rx, &s->text, s->now),
		MT_TLS_RECORD_NO_MEMORY);
	mt_buf_free(all[--n]); /* one is not enough, and comes back */
	CU_ASSERT_EQUAL(mt_tls_record_read(&s->w, &s->r, &s->rx, &s->text, s->now),
		MT_TLS_RECORD_NO_MEMORY);
	CU_ASSERT_EQUAL(s->rx.len, len);
	for (struct rte_mbuf *m = s->rx.head; m; m = mt_link(m)->next)
		rte_mbuf_refcnt_update(m, -1);
	/* Now they are ours, and none is needed. */
	CU_ASSERT_EQUAL(
		mt_tls_record_read(&s->w, &s->r, &s->rx, &s->text, s->now), MT_TLS_RECORD_DATA);
	CU_ASSERT_TRUE(scene_is(&s->text, 0, 3000));
	while (n > 0)
		mt_buf_free(all[--n]);
}

static void test_no_memory(void)
{
	each(no_memory);
}

/* RFC 8448 §3: what client and server send each other. */
static void test_rfc8448(void)
{
	static const char *const records[] = {
		"1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395b"
		"d54a"
		"9a20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4",
		"1703030013c9872760655666b74d7ff1153efd6db6d0b0e3",
	};
	static const uint8_t want[50] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16,
		17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37,
		38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49};
	struct scene s;

	for (uint32_t a = 0; tls_aead[a]; a++) {
		uint8_t bytes[128], is[50];

		scene_begin(&s, &tls_suites[0], tls_aead[a], true);
		tls_unhex("17422dda596ed5d9acd890e3c63f5051", s.r.rx.key);
		tls_unhex("5b78923dee08579033e523d9", s.r.rx.iv);
		scene_append(&s.rx, bytes, tls_unhex(records[0], bytes), 2048);
		CU_ASSERT_EQUAL(
			mt_tls_record_read(&s.w, &s.r, &s.rx, &s.text, s.now), MT_TLS_RECORD_DATA);
		CU_ASSERT_EQUAL_FATAL(s.text.len, sizeof(want));
		mt_chain_read(&s.text, 0, is, sizeof(is));
		CU_ASSERT_EQUAL(memcmp(is, want, sizeof(want)), 0);
		scene_append(&s.rx, bytes, tls_unhex(records[1], bytes), 2048);
		CU_ASSERT_EQUAL(mt_tls_record_read(&s.w, &s.r, &s.rx, &s.text, s.now),
			MT_TLS_RECORD_CLOSED);
		scene_end(&s);
	}
}

const struct mt_test record_read_tests[] = {{"cut everywhere", test_cut_everywhere},
	{"all segments", test_all_segments}, {"in place", test_in_place},
	{"two in a buffer", test_two_in_a_buffer}, {"a long one", test_long_one},
	{"short ones", test_short_ones}, {"no memory", test_no_memory}, {"RFC 8448", test_rfc8448},
	{0}};
