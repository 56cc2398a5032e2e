/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies that a server's reset cuts off. The proxy resets the client of a reply of which it has
 * forwarded a part, so that client may lose its connection. No other client may because of the reset.
 */
#include "app_rpc_priv.h"
#include "link.h"

#include <string.h>

/* A reply that a server has begun to write on a connection. */
struct begun {
	uint32_t client, call;
	uint32_t from; /* its first byte, in those of the connection */
};

void rpc_note_reply(struct rpc_bytes *begun, const uint8_t token[RPC_TOKEN], uint32_t from)
{
	struct begun b = {sim_get32(token), sim_get32(token + 4), from};

	rpc_put(begun, &b, sizeof(b));
}

/* Has no effect on a call that has ended. */
static void cut(struct rpc_client *c, uint32_t no)
{
	for (uint32_t i = 0; i < c->window; i++)
		if (c->out[i].used && c->out[i].no == no)
			c->out[i].cut = true;
}

void rpc_cut_replies(struct rpc_set *set, const struct rpc_bytes *begun, uint32_t written)
{
	struct begun b;

	for (uint32_t at = 0; at < begun->len; at += sizeof(b)) {
		memcpy(&b, begun->b + at, sizeof(b));
		if (b.from < written && b.client < set->n_clients)
			cut(&set->client[b.client], b.call);
	}
}

bool rpc_has_cut(const struct rpc_client *c)
{
	for (uint32_t i = 0; i < c->window; i++)
		if (c->out[i].used && c->out[i].cut)
			return true;
	return false;
}
