/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows of unhealthy endpoints. An established TCP flow stays, because no other endpoint knows its
 * connection. Other flows leave an unhealthy endpoint when their client sends again:
 *
 * - one of TCP with a SYN that has no answer yet;
 * - one of UDP if the endpoint has sent nothing since the sweep found it unhealthy. If it has, the
 *   flow leaves when a packet of the client has no answer for PATIENCE;
 * - one of UDP in a one-way mode. Its replies do not pass this node.
 *
 * The packet then makes a flow as a new client's does, but limits count no new connection. If it
 * cannot, or waits for a neighbour, its flow stays. Without a healthy endpoint all flows stay.
 *
 * Packets of UDP flows do not look at the endpoint's health. The sweep after a change of health
 * takes the mark L4_PLAIN from flows of an unhealthy endpoint, so that their packets come here, and
 * gives it back when the endpoint is healthy again.
 */
#include "mt_l4_priv.h"

#define PATIENCE L4_TICKS(5 * MT_SEC)

static bool is_udp(const struct l4_entry *pair)
{
	return l4_key_proto(&pair->key) == IPPROTO_UDP;
}

void l4_review(struct mt_l4 *l, uint32_t pair, const struct mt_l4_endpoint *e)
{
	struct l4_entry *in = &l->entries[2 * pair];
	uint32_t plain = in->service & L4_ONE_WAY ? L4_ONE_WAY_PLAIN : L4_PLAIN;

	/* The flow may need to be kept now, or its packets come here until it is. */
	if (in->service & L4_ONE_WAY && in[1].service & L4_CONFIRMED &&
		!(in[1].service & L4_KEPT) && !l4_one_way_settle(l, pair))
		in->service &= ~plain;
	if (!is_udp(in))
		return;
	if (!l4_is_unhealthy(e)) {
		/* A one-way flow gets its mark from its next packet. */
		if (plain == L4_PLAIN)
			in->service |= L4_PLAIN;
	} else if (in->service & plain) {
		in->service &= ~plain;
		l->tcp[pair].stamp = l->tick;
		l->tcp[pair].spoke = false;
	}
}

/* True if the packet may belong to a flow that leaves; few others of its flow come here. */
static bool may_leave(const struct mt_l4 *l, const struct l4_pkt *p, uint32_t idx)
{
	const struct l4_tcp *t = &l->tcp[idx / 2];

	if (idx & 1)
		return false;
	if (is_udp(&l->entries[idx]))
		return !(l->entries[idx].service & (L4_PLAIN | L4_ONE_WAY_PLAIN));
	return p->opens && t->state == MT_L4_SYN_SENT && !t->open;
}

/* True if the endpoint of a flow of UDP still answers; the packet is one of the client. */
static bool is_answered(struct mt_l4 *l, uint32_t idx)
{
	const struct l4_entry *back = &l->entries[idx + 1];
	struct l4_tcp *t = &l->tcp[idx / 2];
	int32_t since;

	if (!is_udp(&l->entries[idx]) || l->entries[idx].service & L4_ONE_WAY ||
		!(back->service & L4_CONFIRMED))
		return false;
	since = (int32_t)((back->service & L4_KEPT ? back->seen : t->end[1]) - t->stamp);
	if (since < 0 || (since == 0 && !t->spoke))
		return t->spoke && l->tick - t->stamp < PATIENCE;
	/* The client's first packet after the endpoint's last one: PATIENCE begins with it. */
	t->stamp = l->tick;
	t->spoke = true;
	return true;
}

bool l4_leaves(struct mt_l4 *l, const struct l4_pkt *p, uint32_t idx)
{
	const struct mt_l4_endpoint *from, *to;
	const struct mt_l4_row *r;

	if (mt_likely(!may_leave(l, p, idx)))
		return false;
	from = l4_endpoint_now(l, idx / 2, &r);
	if (!from || !l4_is_unhealthy(from) || is_answered(l, idx))
		return false;
	to = &r->group->endpoints[mt_l4_choose(
		r->group, l4_choice_hash(&p->key, r->group->by_source))];
	return to != from && to->port && !l4_is_unhealthy(to);
}

void l4_left(struct mt_l4 *l, uint32_t pair)
{
	l4_count(l, MT_L4_flows_left);
	l4_remove(l, pair);
}
