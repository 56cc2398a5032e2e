/* SPDX-License-Identifier: Apache-2.0 */
#include "rpc_bytes.h"
#include "link.h"

#include <string.h>

uint8_t *rpc_room(struct rpc_bytes *b, uint32_t n)
{
	if (b->off && b->off == b->len)
		b->off = b->len = 0;
	if (b->len + n > b->cap) {
		if (b->off)
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
	if (n)
		memcpy(rpc_room(b, n), p, n);
}

void rpc_put8(struct rpc_bytes *b, uint8_t v)
{
	*rpc_room(b, 1) = v;
}

void rpc_put16(struct rpc_bytes *b, uint16_t v)
{
	rpc_put8(b, (uint8_t)(v >> 8));
	rpc_put8(b, (uint8_t)v);
}

void rpc_put32(struct rpc_bytes *b, uint32_t v)
{
	sim_put32(rpc_room(b, 4), v);
}

void rpc_put64(struct rpc_bytes *b, uint64_t v)
{
	rpc_put32(b, (uint32_t)(v >> 32));
	rpc_put32(b, (uint32_t)v);
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
