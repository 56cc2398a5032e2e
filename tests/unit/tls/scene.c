/* SPDX-License-Identifier: Apache-2.0 */
#include "scene.h"

static uint32_t buffers;

void scene_begin(struct scene *s, const struct suite *suite, struct mt_aead *aead, bool server)
{
	struct mt_tls_keys keys;
	static uint32_t number;

	buffers = rte_mempool_avail_count(tls_pools.data) + rte_mempool_avail_count(tls_pools.ctrl);
	*s = (struct scene){.w = {.pools = &tls_pools, .aead = aead}, .now = 1000 * MT_SEC};
	peer_make(&s->peer, suite, number++, &keys);
	mt_tls_record_init(&s->r, &keys, server);
}

void scene_end(struct scene *s)
{
	mt_chain_free(&s->rx);
	mt_chain_free(&s->text);
	mt_tls_record_fini(&s->w, &s->r);
	CU_ASSERT_EQUAL(
		rte_mempool_avail_count(tls_pools.data) + rte_mempool_avail_count(tls_pools.ctrl),
		buffers);
}

void scene_append(struct mt_chain *c, const uint8_t *p, uint32_t n, uint32_t piece)
{
	for (uint32_t part; n > 0; p += part, n -= part) {
		struct rte_mbuf *m = mt_buf_data(&tls_pools);

		part = MT_MIN(n, piece);
		MT_ASSERT(m);
		memcpy((uint8_t *)m->buf_addr + m->data_off, p, part);
		mt_chain_append(c, m, m->data_off, part);
	}
}

enum mt_tls_record_got scene_get(
	struct scene *s, const struct peer_how *how, const void *text, uint32_t n)
{
	static uint8_t wire[WIRE_ROOM];

	scene_append(&s->rx, wire, peer_seal(&s->peer, how, text, n, wire), 1448);
	return mt_tls_record_read(&s->w, &s->r, &s->rx, &s->text, s->now);
}

uint32_t scene_opened(
	struct scene *s, struct mt_chain *out, uint8_t *types, uint8_t *text, uint32_t *len)
{
	static uint8_t wire[WIRE_ROOM];
	uint32_t n = 0, at = 0, size = out->len;

	MT_ASSERT(size <= sizeof(wire));
	mt_chain_read(out, 0, wire, size);
	mt_chain_free(out);
	*len = 0;
	while (at + 5 <= size) {
		uint32_t used, part;

		types[n++] = peer_open(&s->peer, wire + at, &used, text + *len, &part);
		CU_ASSERT_FATAL(at + used <= size);
		*len += part;
		at += used;
	}
	CU_ASSERT_EQUAL(at, size);
	return n;
}

static uint8_t byte_at(uint32_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

void scene_fill(uint8_t *p, uint32_t n, uint32_t from)
{
	for (uint32_t i = 0; i < n; i++)
		p[i] = byte_at(from + i);
}

bool scene_is(const struct mt_chain *c, uint32_t from, uint32_t n)
{
	static uint8_t is[WIRE_ROOM], want[WIRE_ROOM];

	if (c->len != n)
		return false;
	mt_chain_read(c, 0, is, n);
	scene_fill(want, n, from);
	return memcmp(is, want, n) == 0;
}
