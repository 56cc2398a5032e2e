/* SPDX-License-Identifier: Apache-2.0 */
/* How payload is sent: the table of design §4. */
#include "mt_mutant.h"
#include "mt_buf_priv.h"

#include <string.h>

static bool in_one(const struct rte_mbuf *seg, uint32_t seg_off, uint32_t len)
{
	return mt_link(seg)->len - seg_off >= len;
}

/*
 * Row 2: the mbuf is unshared, headers fit in front, and nothing of it was sent before this byte.
 */
static bool can_go_inplace(const struct rte_mbuf *seg, uint32_t seg_off, uint32_t len, uint32_t hdr)
{
	return seg_off == 0 && mt_link(seg)->len == len &&
	       (mt_buf_writable(seg) || mt_mutant(MT_MUTANT_shared_header)) &&
	       mt_link(seg)->off >= hdr;
}

static struct rte_mbuf *inplace(struct mt_pools *p, struct rte_mbuf *seg)
{
	seg->data_off = (uint16_t)mt_link(seg)->off;
	seg->data_len = (uint16_t)mt_link(seg)->len;
	seg->pkt_len = seg->data_len;
	seg->next = NULL;
	seg->nb_segs = 1;
	seg->ol_flags = mt_link(seg)->sum_off ? mt_buf_summed : 0;
	seg->tx_offload = 0;
	mt_buf_hold(seg);
	mt_count(p->counters, MT_BUF_sent_inplace);
	return seg;
}

/* A copy of one mbuf's bytes up to their end has the same sum. */
static void carry_sum(
	struct rte_mbuf *m, const struct rte_mbuf *seg, uint32_t seg_off, uint32_t len)
{
	const struct mt_link *l = mt_link(seg);

	if (!l->sum_off || l->sum_off < l->off + seg_off || seg_off + len != l->len)
		return;
	mt_link(m)->sum_off = (uint16_t)(m->data_off + l->sum_off - l->off - seg_off);
	mt_link(m)->sum = l->sum;
	m->ol_flags |= mt_buf_summed;
}

static struct rte_mbuf *copied(
	struct mt_pools *p, struct rte_mbuf *seg, uint32_t seg_off, uint32_t len)
{
	struct rte_mbuf *m = mt_buf_data(p);
	uint8_t *to;

	if (mt_unlikely(!m))
		return NULL;
	if (mt_unlikely(len > rte_pktmbuf_tailroom(m))) {
		mt_buf_free(m);
		return NULL;
	}
	carry_sum(m, seg, seg_off, len);
	to = rte_pktmbuf_mtod(m, uint8_t *);
	m->data_len = (uint16_t)len;
	m->pkt_len = len;
	while (len > 0) {
		uint32_t part = MT_MIN(mt_link(seg)->len - seg_off, len);

		memcpy(to, mt_link_data(seg) + seg_off, part);
		to += part;
		len -= part;
		seg = mt_link(seg)->next;
		seg_off = 0;
	}
	mt_count(p->counters, MT_BUF_sent_copied);
	return m;
}

static struct rte_mbuf *cloned(
	struct mt_pools *p, struct rte_mbuf *seg, uint32_t seg_off, uint32_t len)
{
	struct rte_mbuf *m = mt_buf_ctrl(p);
	struct rte_mbuf *last = m;

	if (mt_unlikely(!m))
		return NULL;
	m->pkt_len = len;
	while (len > 0) {
		uint32_t part = MT_MIN(mt_link(seg)->len - seg_off, len);
		struct rte_mbuf *mi = mt_buf_indirect(p, seg, mt_link(seg)->off + seg_off, part);

		if (mt_unlikely(!mi)) {
			mt_buf_free(m);
			return NULL;
		}
		last->next = mi;
		last = mi;
		m->nb_segs++;
		len -= part;
		seg = mt_link(seg)->next;
		seg_off = 0;
	}
	mt_count(p->counters, MT_BUF_sent_cloned);
	return m;
}

struct rte_mbuf *mt_buf_segment(struct mt_pools *p, struct rte_mbuf *seg, uint32_t seg_off,
	uint32_t len, uint32_t hdr_room, bool chains_ok)
{
	if (len == 0)
		return mt_buf_ctrl(p);
	if (can_go_inplace(seg, seg_off, len, hdr_room))
		return inplace(p, seg);
	if (len < MT_BUF_CLONE_MIN || !chains_ok)
		return copied(p, seg, seg_off, len);
	/* Many short pieces cost more as segments than as a copy. */
	if (!in_one(seg, seg_off, len) && mt_link(seg)->len - seg_off < MT_BUF_COPY_MAX)
		return copied(p, seg, seg_off, len);
	return cloned(p, seg, seg_off, len);
}
