/* SPDX-License-Identifier: Apache-2.0 */
/* What applications put into calls and replies: tokens and filler. */
#include "app_rpc.h"
#include "link.h"

void rpc_token(const struct sim *s, uint32_t client, uint32_t call, uint8_t t[RPC_TOKEN])
{
	uint64_t h = (s->seed * 0x9e3779b97f4a7c15ull) ^ ((uint64_t)client << 32 | call);

	h = (h ^ (h >> 31)) * 0xbf58476d1ce4e5b9ull;
	sim_put32(t, client);
	sim_put32(t + 4, call);
	sim_put32(t + 8, (uint32_t)(h >> 32));
	sim_put32(t + 12, (uint32_t)h);
}

uint32_t rpc_salt(const uint8_t t[RPC_TOKEN])
{
	return sim_get32(t + 12);
}

static uint8_t filler(uint32_t i, const uint8_t *t, uint8_t dir)
{
	return (uint8_t)(t[8 + (i & 7)] + i + (i >> 8) + dir);
}

void rpc_fill(uint8_t *p, uint32_t n, const uint8_t t[RPC_TOKEN], uint8_t dir)
{
	for (uint32_t i = 0; i < n; i++)
		p[i] = filler(i, t, dir);
}

bool rpc_filled(const uint8_t *p, uint32_t n, const uint8_t t[RPC_TOKEN], uint8_t dir)
{
	for (uint32_t i = 0; i < n; i++)
		if (p[i] != filler(i, t, dir))
			return false;
	return true;
}

uint32_t rpc_message(const struct dialect *d, const struct rpc_bytes *b)
{
	uint32_t have = b->len - b->off, n = have ? d->length(d, b->b + b->off, have) : 0;

	return n == UINT32_MAX || n <= have ? n : 0;
}
