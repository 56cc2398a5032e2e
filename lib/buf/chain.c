/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_buf_priv.h"

#include <errno.h>
#include <string.h>

void mt_chain_push(struct mt_chain *c, struct rte_mbuf *m)
{
	struct mt_link *l = mt_link(m);

	l->next = NULL;
	if (c->tail)
		mt_link(c->tail)->next = m;
	else
		c->head = m;
	c->tail = m;
	c->len += l->len;
	c->truesize += mt_buf_truesize(m);
	c->segs++;
}

struct rte_mbuf *mt_chain_pop(struct mt_chain *c)
{
	struct rte_mbuf *m = c->head;
	struct mt_link *l = mt_link(m);

	c->head = l->next;
	if (!c->head)
		c->tail = NULL;
	c->len -= l->len;
	c->truesize -= mt_buf_truesize(m);
	c->segs--;
	l->next = NULL;
	return m;
}

void mt_chain_append(struct mt_chain *c, struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	struct mt_link *l = mt_link(m);

	l->off = (uint16_t)off;
	l->len = (uint16_t)len;
	l->sum_off = 0;
	l->mark = 0;
	mt_chain_push(c, m);
}

/* Start of the known sum of a packet's payload up to the end of this mbuf; 0: not known. */
static uint16_t sum_place(const struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	const struct mt_link *l = mt_link(m);

	if (!(m->ol_flags & mt_buf_summed) || off + len != (uint32_t)m->data_off + m->data_len)
		return 0;
	return l->sum_off >= off ? l->sum_off : 0;
}

uint32_t mt_chain_append_pkt(struct mt_chain *c, struct rte_mbuf *pkt, uint32_t skip, uint32_t len)
{
	uint32_t done = 0;

	while (pkt) {
		struct rte_mbuf *next = pkt->next;
		uint32_t from = MT_MIN(skip, (uint32_t)pkt->data_len);
		uint32_t n = MT_MIN(pkt->data_len - from, len - done);

		pkt->next = NULL;
		pkt->nb_segs = 1;
		if (n > 0) {
			uint16_t sum_off = sum_place(pkt, pkt->data_off + from, n);

			mt_chain_append(c, pkt, pkt->data_off + from, n);
			mt_link(pkt)->sum_off = sum_off;
		} else {
			rte_pktmbuf_free_seg(pkt);
		}
		skip -= from;
		done += n;
		pkt = next;
	}
	return done;
}

void mt_chain_concat(struct mt_chain *dst, struct mt_chain *src)
{
	if (!src->head)
		return;
	if (dst->tail)
		mt_link(dst->tail)->next = src->head;
	else
		dst->head = src->head;
	dst->tail = src->tail;
	dst->len += src->len;
	dst->truesize += src->truesize;
	dst->segs += src->segs;
	*src = (struct mt_chain){.epoch = src->epoch + 1};
}

void mt_chain_drop(struct mt_chain *c, uint32_t n)
{
	MT_ASSERT(n <= c->len);
	c->epoch++;
	while (n > 0) {
		struct mt_link *l = mt_link(c->head);

		if (l->len > n) {
			l->off += (uint16_t)n;
			l->len -= (uint16_t)n;
			c->len -= n;
			mt_link_touch(l, l->off);
			return;
		}
		n -= l->len;
		rte_pktmbuf_free_seg(mt_chain_pop(c));
	}
}

void mt_chain_truncate(struct mt_chain *c, uint32_t n)
{
	struct mt_chain rest = *c;
	struct mt_chain kept = {.epoch = c->epoch + 1};

	MT_ASSERT(n <= c->len);
	while (kept.len < n) {
		struct rte_mbuf *m = mt_chain_pop(&rest);

		if (kept.len + mt_link(m)->len > n) {
			mt_link(m)->len = (uint16_t)(n - kept.len);
			mt_link(m)->sum_off = 0;
		}
		mt_chain_push(&kept, m);
	}
	/* A shortened mbuf left `rest` with its full length, so rest.len is right. */
	mt_chain_free(&rest);
	*c = kept;
}

struct rte_mbuf *mt_buf_indirect(struct mt_pools *p, struct rte_mbuf *m, uint32_t off, uint32_t len)
{
	const struct mt_link *l = mt_link(m);
	struct rte_mbuf *mi = mt_buf_ctrl(p);

	if (mt_unlikely(!mi))
		return NULL;
	rte_pktmbuf_attach(mi, m);
	mi->data_off = (uint16_t)off;
	mi->data_len = (uint16_t)len;
	mi->pkt_len = len;
	mi->nb_segs = 1;
	mi->next = NULL;
	mi->ol_flags = RTE_MBUF_F_INDIRECT;
	if (l->sum_off >= off && l->sum_off && off + len == (uint32_t)l->off + l->len) {
		mt_link(mi)->sum_off = l->sum_off;
		mt_link(mi)->sum = l->sum;
		mi->ol_flags |= mt_buf_summed;
	}
	return mi;
}

uint32_t mt_link_tailroom(const struct rte_mbuf *m)
{
	const struct mt_link *l = mt_link(m);

	if (!mt_buf_writable(m))
		return 0;
	return m->buf_len - (l->off + l->len);
}

/* Room in the tail, or a fresh tail. 0: no memory. */
static uint32_t tail_room(struct mt_chain *c, struct mt_pools *p)
{
	struct rte_mbuf *m;

	if (c->tail) {
		uint32_t room = mt_link_tailroom(c->tail);

		if (room > 0)
			return room;
	}
	m = mt_buf_data(p);
	if (mt_unlikely(!m))
		return 0;
	mt_chain_append(c, m, m->data_off, 0);
	return m->buf_len - m->data_off;
}

static void tail_put(struct mt_chain *c, const void *bytes, uint32_t n)
{
	struct mt_link *l = mt_link(c->tail);

	memcpy((uint8_t *)c->tail->buf_addr + l->off + l->len, bytes, n);
	l->len += (uint16_t)n;
	l->sum_off = 0;
	c->len += n;
}

int mt_chain_write(struct mt_chain *c, struct mt_pools *p, const void *bytes, uint32_t n)
{
	const uint8_t *from = bytes;
	uint32_t before = c->len;

	while (n > 0) {
		uint32_t room = tail_room(c, p);
		uint32_t part = MT_MIN(room, n);

		if (mt_unlikely(room == 0)) {
			mt_chain_truncate(c, before);
			return -ENOMEM;
		}
		tail_put(c, from, part);
		from += part;
		n -= part;
	}
	return 0;
}

void mt_chain_move_head(struct mt_chain *src, struct mt_chain *dst, uint32_t off, uint32_t len)
{
	struct rte_mbuf *m = mt_chain_pop(src);

	src->epoch++;
	mt_chain_append(dst, m, off, len);
}

int mt_chain_reserve(struct mt_chain *c, struct mt_pools *p, uint32_t n)
{
	uint32_t before = c->len;

	while (n > 0) {
		struct rte_mbuf *m = mt_buf_data(p);
		uint32_t part;

		if (mt_unlikely(!m)) {
			mt_chain_truncate(c, before);
			return -ENOMEM;
		}
		part = MT_MIN((uint32_t)m->buf_len - m->data_off, n);
		mt_chain_append(c, m, m->data_off, part);
		n -= part;
	}
	return 0;
}

/* Moves n bytes, less than the head's view, from src's head to the end of dst by copy. */
static int move_copy(struct mt_chain *src, uint32_t n, struct mt_chain *dst, struct mt_pools *p)
{
	int rc = mt_chain_write(dst, p, mt_link_data(src->head), n);

	if (mt_unlikely(rc))
		return rc;
	mt_chain_drop(src, n);
	return 0;
}

static int move_shared(struct mt_chain *src, uint32_t n, struct mt_chain *dst, struct mt_pools *p)
{
	struct rte_mbuf *m = src->head;
	struct rte_mbuf *mi = mt_buf_indirect(p, m, mt_link(m)->off, n);

	if (mt_unlikely(!mi))
		return -ENOMEM;
	mt_chain_append(dst, mi, mi->data_off, n);
	mt_chain_drop(src, n);
	return 0;
}

int mt_chain_split(struct mt_chain *src, uint32_t n, struct mt_chain *dst, struct mt_pools *p)
{
	MT_ASSERT(n <= src->len);
	src->epoch++;
	while (n > 0) {
		uint32_t len = mt_link(src->head)->len;

		if (len > n)
			return n < MT_BUF_COPY_MAX ? move_copy(src, n, dst, p)
						   : move_shared(src, n, dst, p);
		n -= len;
		mt_chain_push(dst, mt_chain_pop(src));
	}
	return 0;
}

int mt_chain_forward(
	struct mt_chain *src, uint32_t n, struct mt_chain *dst, struct mt_pools *p, uint32_t *moved)
{
	uint32_t before = dst->len;
	int rc = 0;

	MT_ASSERT(n <= src->len);
	src->epoch++;
	while (n > 0 && rc == 0) {
		uint32_t len = mt_link(src->head)->len;
		uint32_t part = MT_MIN(len, n);

		n -= part;
		if (part < MT_BUF_COPY_MAX) {
			rc = move_copy(src, part, dst, p);
			mt_count(p->counters, MT_BUF_coalesced);
		} else if (part < len) {
			rc = move_shared(src, part, dst, p);
		} else {
			mt_chain_push(dst, mt_chain_pop(src));
			mt_count(p->counters, MT_BUF_moved);
		}
	}
	*moved = dst->len - before;
	return rc;
}

int mt_chain_clone(const struct mt_chain *src, uint32_t n, struct mt_chain *dst, struct mt_pools *p)
{
	struct mt_chain out = {0};
	struct rte_mbuf *m = src->head;

	MT_ASSERT(n <= src->len);
	for (; n > 0; m = mt_link(m)->next) {
		uint32_t part = MT_MIN(mt_link(m)->len, n);
		struct rte_mbuf *mi;

		n -= part;
		if (part < MT_BUF_COPY_MAX) {
			if (mt_chain_write(&out, p, mt_link_data(m), part))
				goto nomem;
			continue;
		}
		mi = mt_buf_indirect(p, m, mt_link(m)->off, part);
		if (!mi)
			goto nomem;
		mt_chain_append(&out, mi, mi->data_off, part);
	}
	mt_chain_concat(dst, &out);
	return 0;
nomem:
	mt_chain_free(&out);
	return -ENOMEM;
}

/* The mbuf in which `off` lies; *in receives the offset in its view. off < len. */
static struct rte_mbuf *find(const struct mt_chain *c, uint32_t off, uint32_t *in)
{
	struct rte_mbuf *m = c->head;

	if (off >= mt_link(m)->len && off >= mt_chain_before_tail(c)) {
		*in = off - mt_chain_before_tail(c);
		return c->tail;
	}
	while (off >= mt_link(m)->len) {
		off -= mt_link(m)->len;
		m = mt_link(m)->next;
	}
	*in = off;
	return m;
}

int mt_chain_copy(const struct mt_chain *src, uint32_t off, uint32_t n, struct mt_chain *dst,
	struct mt_pools *p)
{
	struct mt_chain out = {0};
	struct rte_mbuf *m;
	uint32_t in;

	MT_ASSERT(off <= src->len && n <= src->len - off);
	if (n == 0)
		return 0;
	for (m = find(src, off, &in); n > 0; m = mt_link(m)->next, in = 0) {
		uint32_t part = MT_MIN(mt_link(m)->len - in, n);

		if (mt_chain_write(&out, p, mt_link_data(m) + in, part)) {
			mt_chain_free(&out);
			return -ENOMEM;
		}
		n -= part;
	}
	mt_chain_concat(dst, &out);
	return 0;
}

void mt_chain_read(const struct mt_chain *c, uint32_t off, void *dst, uint32_t n)
{
	uint8_t *to = dst;
	struct rte_mbuf *m;
	uint32_t in;

	MT_ASSERT(off <= c->len && n <= c->len - off);
	if (n == 0)
		return;
	for (m = find(c, off, &in); n > 0; m = mt_link(m)->next, in = 0) {
		uint32_t part = MT_MIN(mt_link(m)->len - in, n);

		memcpy(to, mt_link_data(m) + in, part);
		to += part;
		n -= part;
	}
}

/* mt_chain_peek() of bytes that are not all in the first buffer. */
static mt_noinline const uint8_t *peek_behind(
	const struct mt_chain *c, uint32_t off, uint32_t n, void *scratch)
{
	struct rte_mbuf *m;
	uint32_t in;

	m = find(c, off, &in);
	if (mt_likely(mt_link(m)->len - in >= n))
		return mt_link_data(m) + in;
	mt_chain_read(c, off, scratch, n);
	return scratch;
}

const uint8_t *mt_chain_peek(const struct mt_chain *c, uint32_t off, uint32_t n, void *scratch)
{
	if (off > c->len || n > c->len - off || c->len == off)
		return NULL;
	if (mt_likely(off + n <= mt_link(c->head)->len))
		return mt_link_data(c->head) + off;
	return peek_behind(c, off, n, scratch);
}
