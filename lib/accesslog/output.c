/* SPDX-License-Identifier: Apache-2.0 */
/* Outputs at their places: files, descriptors, collectors. */
#include "mt_alog_priv.h"

void mt_alog_output_put(
	struct mt_alog *l, struct mt_alog_output *o, const struct mt_alog_record *r, uint64_t now)
{
	if (o->net) {
		mt_alog_net_put(o->net, o->format, r, now, &l->line);
		return;
	}
	mt_alog_render(o->format, r, now, &l->line);
	(void)mt_alog_sink_put(o->sink, l->line.text, l->line.len);
}

void mt_alog_output_flush(struct mt_alog_output *o)
{
	if (o->net)
		mt_export_flush(o->net->queue);
	else
		mt_alog_sink_flush(o->sink);
}

void mt_alog_output_reopen(struct mt_alog_output *o)
{
	if (!o->net)
		mt_alog_sink_reopen(o->sink);
}

void mt_alog_output_stop(struct mt_alog_output *o, uint64_t ns)
{
	if (o->net)
		mt_export_queue_stop(o->net->queue, ns);
	else
		mt_alog_sink_stop(o->sink, ns);
}

bool mt_alog_output_may_join(struct mt_alog_output *o)
{
	return o->net ? mt_export_queue_ended(o->net->queue) : mt_alog_sink_may_join(o->sink);
}

void mt_alog_output_join(struct mt_alog_output *o)
{
	if (o->net)
		mt_export_queue_join(o->net->queue);
	else
		(void)mt_alog_sink_join(o->sink);
}

void mt_alog_output_stats_of(const struct mt_alog_output *o, struct mt_alog_sink_stats *to)
{
	if (o->net)
		mt_alog_net_stats(o->net, to);
	else
		mt_alog_sink_stats(o->sink, to);
}
