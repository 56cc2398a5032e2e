/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains: the same bytes at the same offsets in buffers of the same kind. Buffers that chains share
 * stay shared (shared.c).
 */
#include "mt_image_priv.h"

#include <errno.h>
#include <string.h>

/* Header of a buffer of a chain; its bytes follow, unless a chain before had them. */
struct part {
	uint16_t off, len, sum_off, sum;
	uint64_t mark;
	uint32_t ctrl;	 /* from the pool for headers */
	uint32_t number; /* of a view that chains share (shared.c); 0: none */
};

#define NO_BUFFERS "there are not enough buffers for what the image holds"

static void save_part(struct mt_image *im, struct rte_mbuf *m)
{
	const struct mt_link *l = mt_link(m);
	struct part p = {
		.off = l->off,
		.len = l->len,
		.sum_off = l->sum_off,
		.sum = l->sum,
		.mark = l->mark,
		.ctrl = m->buf_len <= MT_BUF_CTRL_ROOM,
	};
	bool first = true;

	if (mt_image_is_shared(m))
		p.number = mt_image_number(im, m, &first);
	MT_IMAGE(im, p);
	if (first)
		mt_image_raw(im, mt_link_data(m), l->len);
	im->buffers++;
}

/* Appends a buffer that has its own memory. */
static void load_own(struct mt_image *im, struct mt_chain *c, const struct part *p)
{
	struct rte_mbuf *m = p->ctrl ? mt_buf_ctrl(im->pools) : mt_buf_data(im->pools);

	if (!m) {
		mt_image_fail(im, -ENOMEM, NO_BUFFERS);
		return;
	}
	if (p->len == 0 || (uint32_t)p->off + p->len > m->buf_len) {
		mt_image_fail(im, -EINVAL, "a buffer of the image is larger than buffers are here");
		mt_buf_free(m);
		return;
	}
	mt_chain_append(c, m, p->off, p->len);
	mt_image_raw(im, mt_link_data(m), p->len);
	if (p->number)
		mt_image_numbered(im, m);
}

/* Appends a view of a buffer that a chain before has. */
static void load_shared(struct mt_image *im, struct mt_chain *c, const struct part *p)
{
	struct rte_mbuf *m = mt_image_by_number(im, p->number);
	struct mt_chain view = {.head = m, .tail = m, .len = p->len, .segs = 1};

	if (mt_link(m)->off != p->off || mt_link(m)->len != p->len)
		mt_image_fail(im, -EINVAL, "a shared buffer of the image is not what it was");
	else if (mt_chain_clone(&view, view.len, c, im->pools))
		mt_image_fail(im, -ENOMEM, NO_BUFFERS);
}

static void load_part(struct mt_image *im, struct mt_chain *c)
{
	struct part p = {0};

	MT_IMAGE(im, p);
	if (im->error)
		return;
	if (p.number > im->shared.n + 1) {
		mt_image_fail(im, -EINVAL, "a shared buffer of the image is missing");
		return;
	}
	if (p.number && p.number <= im->shared.n)
		load_shared(im, c, &p);
	else
		load_own(im, c, &p);
	if (im->error)
		return;
	mt_link(c->tail)->sum_off = p.sum_off;
	mt_link(c->tail)->sum = p.sum;
	mt_link(c->tail)->mark = p.mark;
}

void mt_image_chain(struct mt_image *im, struct mt_chain *c)
{
	uint32_t segs = c->segs, epoch = c->epoch;

	MT_IMAGE(im, segs);
	MT_IMAGE(im, epoch);
	if (im->loading)
		*c = (struct mt_chain){.epoch = epoch};
	for (struct rte_mbuf *m = c->head; m && !im->loading; m = mt_link(m)->next)
		save_part(im, m);
	for (uint32_t i = 0; im->loading && i < segs && !im->error; i++)
		load_part(im, c);
}

void mt_image_place(struct mt_image *im, const struct mt_chain *c, struct rte_mbuf **m)
{
	uint32_t n = 0; /* position of *m + 1; 0: NULL */

	if (!im->loading && *m) {
		const struct rte_mbuf *at = c->head;

		for (n = 1; at && at != *m; n++)
			at = mt_link(at)->next;
		if (!at)
			mt_image_fail(im, -ENOTSUP, "a buffer is not where it should be");
	}
	MT_IMAGE(im, n);
	if (!im->loading)
		return;
	*m = NULL;
	if (im->error || n == 0)
		return;
	if (n > c->segs) {
		mt_image_fail(im, -EINVAL, "a buffer of the image is missing");
		return;
	}
	for (*m = c->head; --n > 0;)
		*m = mt_link(*m)->next;
}
