/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lane groups of codecs that no protocol of the configuration has any more, because a codec file
 * was changed or removed. Client connections that drain may still call by such a codec, while
 * others call by the new version. So the groups stay until no call has used them for two seconds.
 * They are in mt_proxy.former, the least recently used first. A call that comes later gets a new
 * group, which is in this list from the start.
 */
#include "pool/mt_pool_priv.h"

#define UNUSED (2 * MT_SEC)
/* Groups and connections that drain in one loop iteration, about. */
#define AT_ONCE 64

void mt_former_look(struct mt_proxy *p, struct mt_lanes *ln)
{
	bool is_former = !mt_codec_same(mt_snapshot_codec(p->snap, ln->codec), ln->codec);

	if (!is_former) {
		mt_former_forget(ln);
	} else if (!ln->former) {
		ln->former = true;
		mt_former_used(p, ln);
	}
}

uint64_t mt_former_next(struct mt_proxy *p)
{
	return mt_list_entry(mt_list_first(&p->former), struct mt_lanes, former_node)->used +
	       UNUSED;
}

static uint32_t cost_of(const struct mt_lanes *ln)
{
	uint32_t n = 1;

	for (size_t i = 0; i < MT_ARRAY_LEN(ln->n_conns); i++)
		n += ln->n_conns[i];
	return n;
}

uint32_t mt_former_turn(struct mt_proxy *p)
{
	uint32_t cost = 0;

	while (cost < AT_ONCE && !mt_list_empty(&p->former)) {
		struct mt_list *first = mt_list_first(&p->former);
		struct mt_lanes *ln = mt_list_entry(first, struct mt_lanes, former_node);

		if (p->now < ln->used + UNUSED)
			break;
		cost += cost_of(ln);
		if (ln->n_queued)
			mt_former_used(p, ln);
		else
			mt_lanes_drain(p, ln);
	}
	return cost;
}
