/* SPDX-License-Identifier: Apache-2.0 */
/* The toy protocol as its clients and servers write it: not by the codec, but by hand. */
#include "app_rpc.h"
#include "link.h"

#include <string.h>

uint8_t *rpc_room(struct rpc_bytes *b, uint32_t n)
{
	if (b->off && b->off == b->len)
		b->off = b->len = 0;
	if (b->len + n > b->cap) {
		if (b->b)
			memmove(b->b, b->b + b->off, b->len - b->off);
		b->len -= b->off;
		b->off = 0;
		if (b->len + n > b->cap) {
			b->cap = 2 * (b->len + n);
			b->b = realloc(b->b, b->cap);
			MT_ASSERT(b->b);
		}
	}
	b->len += n;
	return b->b + b->len - n;
}

void rpc_put(struct rpc_bytes *b, const void *p, uint32_t n)
{
	memcpy(rpc_room(b, n), p, n);
}

void rpc_skip(struct rpc_bytes *b, uint32_t n)
{
	b->off += n;
}

bool rpc_flush(struct rpc_bytes *b, struct sim_sock *k, uint32_t max)
{
	uint32_t n = b->len - b->off, took;

	if (!n)
		return true;
	took = sim_sock_send(k, b->b + b->off, max ? MT_MIN(n, max) : n);
	b->off += took;
	return took != 0;
}

void rpc_head(uint8_t *h, uint8_t kind, uint8_t status, uint64_t id, uint32_t total)
{
	h[0] = 'T';
	h[1] = 'Y';
	h[2] = kind;
	h[3] = status;
	sim_put32(h + 4, (uint32_t)(id >> 32));
	sim_put32(h + 8, (uint32_t)id);
	sim_put32(h + 12, total - TOY_HEAD);
}

uint32_t rpc_message(const struct rpc_bytes *b)
{
	const uint8_t *p = b->b + b->off;
	uint32_t n = b->len - b->off, total;

	if (n < TOY_HEAD)
		return 0;
	total = TOY_HEAD + sim_get32(p + 12);
	if (p[0] != 'T' || p[1] != 'Y' || total < TOY_HEAD + 1 || total > 2u << 20)
		return UINT32_MAX;
	return n < total ? 0 : total;
}

void rpc_token(const struct sim *s, uint32_t client, uint32_t call, uint8_t t[TOY_TOKEN])
{
	uint64_t h = (s->seed * 0x9e3779b97f4a7c15ull) ^ ((uint64_t)client << 32 | call);

	h = (h ^ (h >> 31)) * 0xbf58476d1ce4e5b9ull;
	sim_put32(t, client);
	sim_put32(t + 4, call);
	sim_put32(t + 8, (uint32_t)(h >> 32));
	sim_put32(t + 12, (uint32_t)h);
}

static uint8_t filler(uint32_t i, const uint8_t *t, uint8_t dir)
{
	return (uint8_t)(t[8 + (i & 7)] + i + (i >> 8) + dir);
}

void rpc_fill(uint8_t *p, uint32_t n, const uint8_t t[TOY_TOKEN], uint8_t dir)
{
	for (uint32_t i = 0; i < n; i++)
		p[i] = filler(i, t, dir);
}

bool rpc_filled(const uint8_t *p, uint32_t n, const uint8_t t[TOY_TOKEN], uint8_t dir)
{
	for (uint32_t i = 0; i < n; i++)
		if (p[i] != filler(i, t, dir))
			return false;
	return true;
}
