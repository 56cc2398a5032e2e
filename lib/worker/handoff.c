/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hands packets to the worker that owns their flow. Rings are bounded. Packets that do not fit are
 * dropped and counted, and TCP sends them again.
 */
#include "mt_worker_priv.h"

static void push(struct mt_worker *w, uint16_t owner)
{
	struct mt_handover *h = &w->to[owner];
	uint16_t taken = mt_steer_push(w->steer, w->index, owner, h->pkts, h->n);

	mt_count_n(w->stats.counters, MT_WORKER_handed_over, taken);
	if (mt_unlikely(taken < h->n)) {
		mt_count_n(w->stats.counters, MT_WORKER_handoff_full, h->n - taken);
		mt_buf_free_bulk(h->pkts + taken, h->n - taken);
	}
	h->n = 0;
}

uint16_t mt_handoff_split(struct mt_worker *w, struct rte_mbuf **pkts, uint16_t n, bool hashed)
{
	uint16_t own = 0, touched = 0;
	uint16_t owners[MT_WORKER_BURST];

	for (uint16_t i = 0; i < n; i++) {
		uint16_t owner = mt_steer_owner_of_hash(w->steer, pkts[i]->hash.rss);

		if (owner == w->index) {
			pkts[own++] = pkts[i];
			continue;
		}
		if (w->to[owner].n == 0)
			owners[touched++] = owner;
		w->to[owner].pkts[w->to[owner].n++] = pkts[i];
	}
	if (mt_unlikely(hashed && own < n))
		mt_count_n(w->stats.counters, MT_WORKER_rss_misdelivered, n - own);
	for (uint16_t i = 0; i < touched; i++)
		push(w, owners[i]);
	return own;
}

void mt_handoff_traced(struct mt_worker *w, struct rte_mbuf *const *pkts, uint16_t n, bool hashed)
{
	for (uint16_t i = 0; i < n; i++) {
		struct mt_trace_note *note = mt_trace_note_in(w->trace, pkts[i]);
		uint16_t owner = mt_steer_owner_of_hash(w->steer, pkts[i]->hash.rss);

		if (!note)
			continue;
		note->by_device = hashed && pkts[i]->ol_flags & RTE_MBUF_F_RX_RSS_HASH;
		note->owner = owner == w->index ? -1 : (int16_t)owner;
	}
}
