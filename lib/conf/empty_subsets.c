/* SPDX-License-Identifier: Apache-2.0 */
/* Subsets without an instance, as while a version is rolled out: only one that routes lead to is worth a word. */
#include "mt_conf_service_priv.h"

#include <stdio.h>

void mt_b_empty_subset(struct mt_build *b, const struct mt_host *h, const struct mt_subset *s,
	const struct mt_meta *meta, uint32_t at)
{
	struct mt_empty_subset *e = mt_region_push(
		&b->tmp, (void **)&b->empty_subsets, &b->n_empty_subsets, sizeof(*e));

	if (e)
		*e = (struct mt_empty_subset){h, s, meta, at};
}

static bool leads_to(struct mt_build *b, const uint8_t *led_to, const struct mt_empty_subset *e)
{
	for (const struct mt_unit *u = e->host->units; u; u = u->next) {
		uint32_t at = mt_b_unit_cluster(b, u, e->subset->name.s);

		if (at != MT_NO_CLUSTER && led_to[at])
			return true;
	}
	return false;
}

/* Nothing is walked where every subset has somebody. */
void mt_b_empty_subsets_tell(struct mt_build *b)
{
	uint8_t *led_to = b->n_empty_subsets ? mt_region_alloc(&b->tmp, b->n_clusters) : NULL;

	for (uint32_t i = 0; led_to && i < b->snap->n_services; i++) {
		const struct mt_service_deps *deps = &b->snap->services[i]->deps;

		for (uint32_t k = 0; k < deps->n; k++)
			if (deps->v[k].at < b->n_clusters)
				led_to[deps->v[k].at] = 1;
	}
	for (uint32_t i = 0; led_to && i < b->n_empty_subsets; i++) {
		const struct mt_empty_subset *e = &b->empty_subsets[i];
		char path[64];

		if (!leads_to(b, led_to, e))
			continue;
		snprintf(path, sizeof(path), "spec.subsets[%u].labels", e->at);
		mt_b_warn(b, e->meta, e->subset->origin.line, path, "label its endpoints",
			"no endpoint is in subset \"%.64s\": what is led there fails",
			e->subset->name.s);
	}
}
