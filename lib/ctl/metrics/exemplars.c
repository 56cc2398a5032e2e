/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exemplars of latency: single calls that workers kept (lib/observe/exemplar.c), shown with the
 * histogram buckets that count them. If a call has no trace, its exemplar has the
 * exchange's name, by which `trace` and `show slow` list the call.
 */
#include "mt_ctl_metrics_priv.h"

#include <string.h>

static const char *labels_of(uint16_t worker, const struct mt_exemplar *e, struct mt_region *r)
{
	char trace[2 * MT_TRACE_ID + 1], span[2 * MT_SPAN_ID + 1], name[MT_EXCHANGE_NAME];
	const struct mt_label traced[] = {
		{"trace_id", mt_span_hex(e->span.trace, e->span.len, trace)},
		{"span_id", mt_span_hex(e->span.id, MT_SPAN_ID, span)}};
	const struct mt_label named = {"exchange_id", name};
	struct mt_text_buf made = {0};
	const char *text;

	mt_exchange_name(worker, e->exchange, name);
	if (e->span.len)
		mt_labels_add(&made, traced, e->span.has_id ? 2 : 1);
	else
		mt_labels_add(&made, &named, 1);
	text = made.p ? mt_region_strdup(r, made.p) : NULL;
	mt_text_fini(&made);
	return text;
}

static bool is_of(const struct mt_exemplar *e, const struct mt_examples_of *of)
{
	return e->service == of->id &&
	       (!of->portion || (e->workload == of->workload && e->caller == of->caller));
}

void mt_examples_add(const struct mt_ctl *c, const struct mt_examples_of *of, struct mt_region *r,
	struct mt_series_example to[MT_EXEMPLARS])
{
	struct mt_exemplar e;

	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_exemplars *x =
			mt_proxy_exemplars(mt_worker_proxy(c->env.workers[w]), of->index);

		for (uint32_t i = 0; x && i < MT_EXEMPLARS; i++) {
			if (!mt_exemplar_read(x, i, &e) || !is_of(&e, of) || e.wall <= to[i].wall)
				continue;
			to[i] = (struct mt_series_example){labels_of(w, &e, r), e.us, e.wall};
		}
	}
}

const struct mt_example *mt_examples_of(const struct mt_series *s, const uint64_t *bounds,
	uint32_t n, double unit, struct mt_example to[MT_LATENCY_BOUNDS_MAX + 1])
{
	if (!s->examples)
		return NULL;
	memset(to, 0, (n + 1) * sizeof(*to));
	for (uint32_t i = 0, b = 0; i < MT_EXEMPLARS; i++) {
		const struct mt_series_example *x = &s->examples[i];

		while (b < n && x->us >= bounds[b])
			b++;
		if (x->labels)
			to[b] = (struct mt_example){x->labels, (double)x->us * unit / 1e6, x->wall};
	}
	return to;
}
