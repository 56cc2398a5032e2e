/* SPDX-License-Identifier: Apache-2.0 */
#include "message.h"
#include "server.h"
#include "test.h"

#define ID (BLAST_ID_MIN + 12345)

static const uint32_t sizes[] = {20, 21, 31, 32, 1023, 1024, 32768, 32769, 65537, 120000, 1048576};

static void one(const struct blast_proto *p, bool request, uint32_t size)
{
	struct blast_cache cache = {
		.proto = p, .names = {"a.b.Service", "call", 12}, .request = request};
	uint8_t head[BLAST_HEAD];
	const struct blast_message *m;
	struct blast_frame f;

	blast_head_write(head, 0x123456789abcdef, size);
	m = blast_cache_get(&cache, size, ID, head);
	/* A prefix is never a complete frame; a complete one has exactly its stated length. */
	for (uint32_t n = 0; n < m->len; n += n < 300 ? 1 : m->len / 7 + 1)
		CU_ASSERT_EQUAL(p->take(m->bytes, n, request, &f), BLAST_MORE);
	CU_ASSERT_EQUAL_FATAL(p->take(m->bytes, m->len, request, &f), BLAST_TAKEN);
	CU_ASSERT_EQUAL(f.kind, BLAST_CALL);
	CU_ASSERT_EQUAL(f.len, m->len);
	CU_ASSERT_EQUAL(f.id, ID);
	CU_ASSERT_EQUAL(f.size, size);
	CU_ASSERT(f.n_parts > 0 && memcmp(f.parts[0].p, head, BLAST_HEAD) == 0);
	CU_ASSERT(blast_frame_pattern(&f));
	/* One wrong letter, the last of the payload, is detected. */
	((uint8_t *)(uintptr_t)f.parts[f.n_parts - 1].p)[f.parts[f.n_parts - 1].len - 1] ^= 1;
	CU_ASSERT(size == BLAST_HEAD || !blast_frame_pattern(&f));
	blast_cache_fini(&cache);
}

static void all_sizes(void)
{
	for (uint32_t i = 0; blast_protos[i]; i++)
		for (size_t k = 0; k < MT_ARRAY_LEN(sizes); k++) {
			one(blast_protos[i], true, sizes[k]);
			one(blast_protos[i], false, sizes[k]);
		}
}

/*
 * Any byte changed, at any length: parsing must end without an access out of bounds (checked by
 * sanitizers).
 */
static void damaged(void)
{
	uint8_t head[BLAST_HEAD];
	struct blast_frame f;

	blast_head_write(head, 1, 20);
	for (uint32_t i = 0; blast_protos[i]; i++) {
		struct blast_cache cache = {
			.proto = blast_protos[i], .names = {"a.b.S", "call", 1}};
		const struct blast_message *m = blast_cache_get(&cache, 20, ID, head);

		for (uint32_t at = 0; at < m->len; at++) {
			for (int v = 0; v < 256; v++) {
				uint8_t *copy = malloc(m->len);

				memcpy(copy, m->bytes, m->len);
				copy[at] = (uint8_t)v;
				if (blast_protos[i]->take(copy, m->len, false, &f) == BLAST_TAKEN)
					CU_ASSERT(f.len <= m->len);
				free(copy);
			}
		}
		blast_cache_fini(&cache);
	}
}

/* Protocol error replies, as Meltemi and the libraries encode them. */
static void errors(void)
{
	static const struct {
		const struct blast_proto *proto;
		uint32_t len;
		const char *bytes;
	} rows[] = {
		{&blast_dubbo, 18, "\xda\xbb\x02\x46\0\0\0\0\0\0\0\7\0\0\0\2\1x"},
		{&blast_dubbo, 19, "\xda\xbb\x02\x14\0\0\0\0\0\0\0\7\0\0\0\3\x93\1x"},
		{&blast_thrift, 21, "\0\0\0\x11\x80\1\0\3\0\0\0\1c\0\0\0\7\x0b\0\1\0"},
		{&blast_thrift, 21, "\0\0\0\x11\x80\1\0\2\0\0\0\1c\0\0\0\7\x0c\0\1\0"},
		{&blast_thrift_compact, 11, "\0\0\0\7\x82\x61\7\1c\x18\0"},
		{&blast_awesomerpc, 13, "\0\0\0\0\7\0\0\0\x0d\0\1\0\1"},
	};
	struct blast_frame f;

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		CU_ASSERT_EQUAL(
			rows[i].proto->take((const uint8_t *)rows[i].bytes, rows[i].len, false, &f),
			BLAST_TAKEN);
		CU_ASSERT_EQUAL(f.kind, BLAST_ERROR);
		CU_ASSERT_EQUAL(f.id, 7);
	}
}

static void heads(void)
{
	uint8_t a[BLAST_HEAD], b[BLAST_HEAD];

	blast_head_write(a, 5, 120000);
	CU_ASSERT_EQUAL(blast_head_size(a), 120000);
	blast_head_write(b, 5ull << 55, 120000);
	CU_ASSERT(memcmp(a, b, BLAST_TOKEN) != 0);
	blast_head_write(b, 5, 19);
	CU_ASSERT_EQUAL(blast_head_size(b), UINT32_MAX);
	blast_head_write(b, 5, BLAST_SIZE_MAX + 1);
	CU_ASSERT_EQUAL(blast_head_size(b), UINT32_MAX);
	a[15] = 'x';
	CU_ASSERT_EQUAL(blast_head_size(a), UINT32_MAX);
}

static void heap(void)
{
	struct blast_heap h = {0};
	struct blast_later l = {0};
	struct mt_rand r;
	uint64_t last = 0;

	mt_rand_seed(&r, 3);
	for (int i = 0; i < 1000; i++) {
		l.at = mt_rand_below(&r, 500);
		blast_heap_push(&h, &l);
	}
	for (int i = 0; i < 1000; i++) {
		blast_heap_pop(&h, &l);
		CU_ASSERT(l.at >= last);
		last = l.at;
	}
	CU_ASSERT_EQUAL(h.n, 0);
	free(h.items);
}

const struct mt_test blast_message_tests[] = {{"all_sizes", all_sizes}, {"damaged", damaged},
	{"errors", errors}, {"heads", heads}, {"heap", heap}, {0}};
