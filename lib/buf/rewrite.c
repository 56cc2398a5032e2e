/* SPDX-License-Identifier: Apache-2.0 */
/* Changes inside a chain: owned prefixes, patches, splices, compaction. */
#include "mt_buf_priv.h"

#include <errno.h>
#include <string.h>

/* Puts m in front of the chain; the view must be set. */
static void push_front(struct mt_chain *c, struct rte_mbuf *m)
{
	struct mt_link *l = mt_link(m);

	l->next = c->head;
	c->head = m;
	if (!c->tail)
		c->tail = m;
	c->len += l->len;
	c->truesize += mt_buf_truesize(m);
	c->segs++;
}

static struct rte_mbuf *fresh(struct mt_pools *p, uint32_t len)
{
	struct rte_mbuf *m = mt_buf_data(p);

	if (mt_unlikely(!m))
		return NULL;
	mt_link(m)->off = m->data_off;
	mt_link(m)->len = (uint16_t)len;
	mt_link(m)->sum_off = 0;
	mt_link(m)->mark = 0;
	mt_link(m)->next = NULL;
	return m;
}

uint8_t *mt_chain_own_prefix(struct mt_chain *c, uint32_t n, struct mt_pools *p)
{
	struct rte_mbuf *m;

	MT_ASSERT(n > 0 && n <= c->len && n <= MT_CHAIN_PREFIX_MAX);
	if (mt_likely(mt_link(c->head)->len >= n && mt_buf_writable(c->head))) {
		mt_link_touch(mt_link(c->head), mt_link(c->head)->off + n);
		return mt_link_data(c->head);
	}
	m = fresh(p, n);
	if (mt_unlikely(!m))
		return NULL;
	mt_count(p->counters, MT_BUF_prefix_copied);
	mt_chain_read(c, 0, mt_link_data(m), n);
	mt_chain_drop(c, n);
	push_front(c, m);
	return mt_link_data(m);
}

uint8_t *mt_chain_resize_prefix(struct mt_chain *c, uint32_t old, uint32_t n, struct mt_pools *p)
{
	struct rte_mbuf *m = c->head;

	MT_ASSERT(n > 0 && n <= MT_CHAIN_PREFIX_MAX && old <= c->len);
	if (mt_likely(m && mt_link(m)->len >= old && mt_link(m)->off + old >= n &&
		      mt_buf_writable(m))) {
		mt_link_touch(mt_link(m), mt_link(m)->off + old);
		mt_link(m)->off += (uint16_t)(old - n);
		mt_link(m)->len += (uint16_t)(n - old);
		c->len += n - old;
		c->epoch++;
		return mt_link_data(m);
	}
	m = fresh(p, n);
	if (mt_unlikely(!m))
		return NULL;
	mt_count(p->counters, MT_BUF_prefix_copied);
	mt_chain_drop(c, old);
	push_front(c, m);
	return mt_link_data(m);
}

/* Replaces `old` (whose predecessor is `prev`, NULL: the head) by `m`, and frees it. */
static void replace_seg(
	struct mt_chain *c, struct rte_mbuf *prev, struct rte_mbuf *old, struct rte_mbuf *m)
{
	mt_link(m)->next = mt_link(old)->next;
	if (prev)
		mt_link(prev)->next = m;
	else
		c->head = m;
	if (c->tail == old)
		c->tail = m;
	c->len += mt_link(m)->len - mt_link(old)->len;
	c->truesize += mt_buf_truesize(m) - mt_buf_truesize(old);
	c->epoch++;
	rte_pktmbuf_free_seg(old);
}

/* Cuts m's view at `at` (0 < at < len) into two mbufs of the chain. */
static int cut(struct mt_chain *c, struct rte_mbuf *m, uint32_t at, struct mt_pools *p)
{
	struct mt_link *l = mt_link(m);
	uint32_t rest = l->len - at;
	struct rte_mbuf *r;

	if (rest < MT_BUF_COPY_MAX) {
		r = fresh(p, rest);
		if (r)
			memcpy(mt_link_data(r), mt_link_data(m) + at, rest);
	} else {
		r = mt_buf_indirect(p, m, l->off + at, rest);
		if (r) {
			mt_link(r)->off = (uint16_t)(l->off + at);
			mt_link(r)->len = (uint16_t)rest;
			mt_link(r)->sum_off = 0;
			mt_link(r)->mark = 0;
		}
	}
	if (mt_unlikely(!r))
		return -ENOMEM;
	mt_link(r)->next = l->next;
	l->next = r;
	l->len = (uint16_t)at;
	l->sum_off = 0;
	if (c->tail == m)
		c->tail = r;
	c->truesize += mt_buf_truesize(r);
	c->segs++;
	c->epoch++;
	return 0;
}

/* The mbuf that holds `off` (off < len), with its predecessor and the offset in its view. */
static struct rte_mbuf *find_prev(
	struct mt_chain *c, uint32_t off, struct rte_mbuf **prev, uint32_t *in)
{
	struct rte_mbuf *m = c->head;

	*prev = NULL;
	while (off >= mt_link(m)->len) {
		off -= mt_link(m)->len;
		*prev = m;
		m = mt_link(m)->next;
	}
	*in = off;
	return m;
}

/* The same for bytes to be written, with a predecessor only if the mbuf must be replaced. */
static struct rte_mbuf *find_written(
	struct mt_chain *c, uint32_t off, struct rte_mbuf **prev, uint32_t *in)
{
	if (off < mt_link(c->head)->len || off < mt_chain_before_tail(c) ||
		!mt_buf_writable(c->tail))
		return find_prev(c, off, prev, in);
	*prev = NULL;
	*in = off - mt_chain_before_tail(c);
	return c->tail;
}

int mt_chain_patch(
	struct mt_chain *c, uint32_t off, const void *bytes, uint32_t n, struct mt_pools *p)
{
	const uint8_t *from = bytes;

	MT_ASSERT(off <= c->len && n <= c->len - off);
	while (n > 0) {
		struct rte_mbuf *prev, *m;
		uint32_t in, part;

		m = find_written(c, off, &prev, &in);
		part = MT_MIN(mt_link(m)->len - in, n);
		if (!mt_buf_writable(m)) {
			struct rte_mbuf *own;

			/*
			 * A view that does not fit a data mbuf is not copied: it has to be cut
			 * first.
			 */
			own = fresh(p, mt_link(m)->len);
			if (!own || mt_link(m)->len > (uint32_t)(own->buf_len - own->data_off)) {
				mt_buf_free(own);
				return -ENOMEM;
			}
			memcpy(mt_link_data(own), mt_link_data(m), mt_link(m)->len);
			replace_seg(c, prev, m, own);
			mt_count(p->counters, MT_BUF_prefix_copied);
			m = own;
		}
		memcpy(mt_link_data(m) + in, from, part);
		mt_link_touch(mt_link(m), mt_link(m)->off + in + part);
		from += part;
		off += part;
		n -= part;
	}
	return 0;
}

/* Removes [off, off + n) from the chain; the bounds are mbuf boundaries. */
static void remove_range(struct mt_chain *c, uint32_t off, uint32_t n)
{
	struct rte_mbuf *prev = NULL, *m = c->head;

	for (; off > 0; m = mt_link(m)->next) {
		off -= mt_link(m)->len;
		prev = m;
	}
	while (n > 0) {
		struct rte_mbuf *next = mt_link(m)->next;

		n -= mt_link(m)->len;
		c->len -= mt_link(m)->len;
		c->truesize -= mt_buf_truesize(m);
		c->segs--;
		rte_pktmbuf_free_seg(m);
		m = next;
	}
	if (prev)
		mt_link(prev)->next = m;
	else
		c->head = m;
	if (!m)
		c->tail = prev;
	c->epoch++;
}

/* Makes `off` a boundary between two mbufs. */
static int cut_at(struct mt_chain *c, uint32_t off, struct mt_pools *p)
{
	struct rte_mbuf *prev, *m;
	uint32_t in;

	if (off == 0 || off >= c->len)
		return 0;
	m = find_prev(c, off, &prev, &in);
	return in == 0 ? 0 : cut(c, m, in, p);
}

static void insert_chain(struct mt_chain *c, uint32_t off, struct mt_chain *ins)
{
	struct rte_mbuf *prev = NULL, *m = c->head;

	for (; off > 0; m = mt_link(m)->next) {
		off -= mt_link(m)->len;
		prev = m;
	}
	mt_link(ins->tail)->next = m;
	if (prev)
		mt_link(prev)->next = ins->head;
	else
		c->head = ins->head;
	if (!m)
		c->tail = ins->tail;
	c->len += ins->len;
	c->truesize += ins->truesize;
	c->segs += ins->segs;
	c->epoch++;
	*ins = (struct mt_chain){0};
}

int mt_chain_splice(struct mt_chain *c, uint32_t off, uint32_t del, const void *bytes, uint32_t ins,
	struct mt_pools *p)
{
	struct mt_chain put = {0};

	MT_ASSERT(off <= c->len && del <= c->len - off);
	if (del == ins)
		return mt_chain_patch(c, off, bytes, ins, p);
	if (mt_chain_write(&put, p, bytes, ins))
		return -ENOMEM;
	/* Cuts change no byte, so failing after one of them leaves the chain as it was. */
	if (cut_at(c, off, p) || cut_at(c, off + del, p)) {
		mt_chain_free(&put);
		return -ENOMEM;
	}
	remove_range(c, off, del);
	if (ins > 0)
		insert_chain(c, off, &put);
	return 0;
}

uint32_t mt_chain_compact(struct mt_chain *c, struct mt_pools *p)
{
	struct mt_chain out = {0};
	uint32_t before = c->segs;

	/* Reuses the tail of what was compacted so far; one fresh mbuf frees many. */
	while (c->head) {
		uint32_t len = mt_link(c->head)->len;

		if (len * 2 > mt_buf_truesize(c->head)) {
			mt_chain_push(&out, mt_chain_pop(c));
			continue;
		}
		if (mt_chain_write(&out, p, mt_link_data(c->head), len))
			break;
		rte_pktmbuf_free_seg(mt_chain_pop(c));
	}
	mt_chain_concat(&out, c);
	out.epoch = c->epoch + 1;
	*c = out;
	if (before > c->segs)
		mt_count_n(p->counters, MT_BUF_compacted, before - c->segs);
	return before > c->segs ? before - c->segs : 0;
}
