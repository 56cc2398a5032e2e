/* SPDX-License-Identifier: Apache-2.0 */
/* Chains: the same bytes at the same offsets in buffers of the same kind. */
#include "mt_image.h"

#include <errno.h>
#include <string.h>

/* Header of a buffer of a chain; its bytes follow. */
struct part {
	uint16_t off, len, sum_off, sum;
	uint64_t mark;
	uint32_t ctrl; /* from the pool for headers */
	uint32_t pad;
};

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

	MT_IMAGE(im, p);
	mt_image_raw(im, mt_link_data(m), l->len);
	im->buffers++;
}

static void load_part(struct mt_image *im, struct mt_chain *c)
{
	struct part p = {0};
	struct rte_mbuf *m;

	MT_IMAGE(im, p);
	if (im->error)
		return;
	m = p.ctrl ? mt_buf_ctrl(im->pools) : mt_buf_data(im->pools);
	if (!m) {
		mt_image_fail(im, -ENOMEM, "there are not enough buffers for what the image holds");
		return;
	}
	if (p.len == 0 || (uint32_t)p.off + p.len > m->buf_len) {
		mt_image_fail(im, -EINVAL, "a buffer of the image is larger than buffers are here");
		mt_buf_free(m);
		return;
	}
	mt_chain_append(c, m, p.off, p.len);
	mt_link(m)->sum_off = p.sum_off;
	mt_link(m)->sum = p.sum;
	mt_link(m)->mark = p.mark;
	mt_image_raw(im, mt_link_data(m), p.len);
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
