/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares by namespace of what all objects together may use (max-min fairness): demands are met from
 * the smallest on, and the namespaces whose demands cannot be met share what is left equally.
 */
#include "mt_conf_numbers_priv.h"

#include "mt_share.h"

#include <stdlib.h>

struct space {
	uint32_t wants, has;
};

void mt_fair_want(struct mt_fair *f, struct mt_region *r, const char *ns, uint32_t n)
{
	struct space *s = mt_share_account(&f->spaces, r, ns, sizeof(*s));

	if (!s)
		return;
	s->wants += MT_MIN(n, UINT32_MAX - s->wants);
	f->wants += n;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

void mt_fair_settle(struct mt_fair *f, struct mt_region *r, uint32_t max)
{
	uint32_t *wants, n = 0, pos = 0, left = max;
	const struct space *s;

	f->share = max;
	if (f->wants <= max)
		return;
	wants = mt_region_alloc(r, sizeof(*wants) * f->spaces.n);
	if (!wants)
		return;
	while ((s = mt_strmap_next(&f->spaces, &pos, NULL)) != NULL)
		wants[n++] = s->wants;
	qsort(wants, n, sizeof(*wants), by_size);
	for (uint32_t i = 0; i < n; i++) {
		f->share = left / (n - i);
		if (wants[i] > f->share)
			return;
		left -= wants[i];
	}
}

bool mt_fair_take(struct mt_fair *f, const char *ns, uint32_t n)
{
	struct space *s = mt_strmap_get(&f->spaces, ns);

	if (!s || n > f->share || s->has > f->share - n)
		return false;
	s->has += n;
	return true;
}

void mt_fair_fini(struct mt_fair *f)
{
	mt_strmap_fini(&f->spaces);
}
