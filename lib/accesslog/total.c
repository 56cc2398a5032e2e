/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines written and lost by place, for metrics: they only rise, although outputs come and go. The
 * last place that fits is "other", so that documents that name ever new files cost no more memory.
 */
#include "mt_alog_priv.h"

#include <errno.h>

#define OTHER "other"

const char *mt_alog_lost_name(enum mt_alog_state s)
{
	return s == MT_ALOG_STATE_ok ? "busy" : mt_alog_state_name(s);
}

int mt_alog_total_of(struct mt_alog *l, const char *path)
{
	uint32_t i = 0;

	while (i < l->n_totals && strcmp(l->totals[i].path, path) != 0)
		i++;
	if (i == MT_ALOG_PLACES)
		return MT_ALOG_PLACES - 1;
	if (i < l->n_totals)
		return (int)i;
	l->totals[i].path = strdup(i == MT_ALOG_PLACES - 1 ? OTHER : path);
	if (!l->totals[i].path)
		return -ENOMEM;
	l->n_totals++;
	return (int)i;
}

static void add(const struct mt_alog *l, const struct mt_alog_output *o, struct mt_alog_total *to)
{
	struct mt_alog_sink_stats st;

	mt_alog_output_stats_of(o, &st);
	to->written += st.written;
	to->lost_ring += mt_alog_lost_ring(l, o);
	for (uint32_t i = 0; i < MT_ALOG_STATES; i++)
		to->lost[i] += st.lost[i];
}

void mt_alog_total_add(struct mt_alog *l, const struct mt_alog_output *o)
{
	add(l, o, &l->totals[o->total].ended);
}

bool mt_alog_total(const struct mt_alog *l, uint32_t i, struct mt_alog_total *to)
{
	if (i >= l->n_totals)
		return false;
	*to = l->totals[i].ended;
	to->path = l->totals[i].path;
	for (uint32_t k = 0; k < l->now.n; k++)
		if (l->now.v[k]->total == i)
			add(l, l->now.v[k], to);
	for (const struct mt_alog_output *o = l->past; o; o = o->next)
		if (o->total == i)
			add(l, o, to);
	return true;
}

void mt_alog_totals_fini(struct mt_alog *l)
{
	for (uint32_t i = 0; i < l->n_totals; i++)
		free(l->totals[i].path);
}
