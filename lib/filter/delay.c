/* SPDX-License-Identifier: Apache-2.0 */
/* Messages that filters of the worker delay: a heap, the earliest first. */
#include "mt_filter.h"

static void swap(struct mt_filter_wait *a, struct mt_filter_wait *b)
{
	struct mt_filter_wait t = *a;

	*a = *b;
	*b = t;
}

bool mt_filter_wait_until(
	struct mt_filter_worker *fw, uint64_t at, const struct mt_filter_ticket *t)
{
	struct mt_filter_wait *h = fw->waits;
	uint32_t i = fw->n_waits;

	if (i == MT_FILTER_WAITS)
		return false;
	h[i] = (struct mt_filter_wait){at, *t};
	fw->n_waits++;
	for (; i > 0 && h[i].at < h[(i - 1) / 2].at; i = (i - 1) / 2)
		swap(&h[i], &h[(i - 1) / 2]);
	return true;
}

bool mt_filter_delay(struct mt_filter_ctx *ctx, uint64_t ns)
{
	const struct mt_filter_ticket t = mt_filter_ticket_of(ctx);

	return mt_filter_wait_until(ctx->fw, ctx->now + ns, &t);
}

bool mt_filter_due(struct mt_filter_worker *fw, uint64_t now, struct mt_filter_ticket *t)
{
	struct mt_filter_wait *h = fw->waits;
	uint32_t i = 0;

	if (fw->n_waits == 0 || h[0].at > now)
		return false;
	*t = h[0].ticket;
	h[0] = h[--fw->n_waits];
	for (;;) {
		uint32_t least = i, l = 2 * i + 1;

		if (l < fw->n_waits && h[l].at < h[least].at)
			least = l;
		if (l + 1 < fw->n_waits && h[l + 1].at < h[least].at)
			least = l + 1;
		if (least == i)
			return true;
		swap(&h[i], &h[least]);
		i = least;
	}
}
