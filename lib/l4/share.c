/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares of the flow table. A flow is kept from its first reply on, for 180 s after its last
 * packet, and nothing evicts it. Without limits one client that makes 360 answered flows a second
 * would fill the table with them, and forged clients of one service, which its endpoints answer as
 * well, would do so too.
 *
 * So kept flows have three quarters of the table. A flow becomes one only while its client keeps
 * fewer flows than there are places left for kept ones, and its service fewer than three times
 * that. These are the dynamic thresholds of buffers that are shared by queues (Choudhury and Hahne,
 * 1998). One client gets half of the places at most, one service three quarters; N of them that
 * take all they can leave one place in N + 1 (3 N + 1), so others always find some. Many small
 * clients use all places, and no share has to be configured. Both tests cost a few loads, once a
 * flow.
 *
 * A flow beyond these shares is forwarded as well. It stays among the flows without a reply, in the
 * remaining quarter of the table, where the oldest flow gives way to each new one. A reply makes it
 * the newest of them, or kept if there is a place now. So the table takes each new flow, and a
 * flood costs only flows that are not kept and were silent for longest.
 *
 * Flows of one-way modes are kept only when they are needed (oneway.c), and otherwise the first to
 * give way.
 *
 * Clients are counted by a keyed hash of their address, those of IPv6 by their /64, because one
 * client may use all of it. Two independent counts of each must be too high, so that a client is
 * hardly ever mistaken for one that has the same hash.
 */
#include "mt_l4_priv.h"

#define SERVICE_FACTOR 3

static void counts_of(struct mt_l4 *l, uint32_t pair, uint32_t *count[2])
{
	const struct l4_key *in = &l->entries[2 * pair].key;
	uint64_t client = l4_key_is6(in) ? in->q[0] : (uint32_t)in->q[0];
	uint64_t h = mt_fold64(client ^ l->secret[0], l->secret[1] ^ UINT64_C(0x8ebc6af09c88c6e3));

	count[0] = &l->shares.clients[0][h % L4_CLIENTS];
	count[1] = &l->shares.clients[1][(h >> 32) % L4_CLIENTS];
}

static uint32_t *service_of(struct mt_l4 *l, uint32_t pair)
{
	return &l->shares.services[l->entries[2 * pair].service & L4_SERVICE];
}

static void change(struct mt_l4 *l, uint32_t pair, uint32_t by)
{
	struct l4_shares *s = &l->shares;
	uint32_t *count[2];

	counts_of(l, pair, count);
	*count[0] += by;
	*count[1] += by;
	*service_of(l, pair) += by;
	__atomic_store_n(&s->kept, s->kept + by, __ATOMIC_RELAXED);
}

bool l4_share_take(struct mt_l4 *l, uint32_t pair)
{
	uint32_t left = l->shares.max - l->shares.kept, *count[2];

	counts_of(l, pair, count);
	if (MT_MIN(*count[0], *count[1]) >= left ||
		*service_of(l, pair) >= (uint64_t)SERVICE_FACTOR * left)
		return false;
	change(l, pair, 1);
	return true;
}

void l4_share_return(struct mt_l4 *l, uint32_t pair)
{
	change(l, pair, UINT32_MAX);
}
