/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics of Telemetry: which of Istio's metrics the services of a namespace or gateway do not
 * have. Overrides of the objects that apply (telemetry_levels.c) are applied in turn, so the last
 * one that turns a metric off or on decides.
 *
 * Two things are not as in istiod. Prometheus is always in scope, although the last section that
 * names providers may leave it out. After a section has turned all metrics off, a later one turns
 * on those that it names, as Istio's reference has it; istiod then turns on all.
 */
#include "mt_conf_policy_priv.h"
#include "mt_conf_telemetry_priv.h"
#include "mt_istio_metrics.h"

#include <string.h>
#include <strings.h>

enum { MODE_BOTH, MODE_CLIENT, MODE_SERVER }; /* of mt_telemetry_match.mode */

static bool has_sections(const struct mt_proxy_setting *t)
{
	return t->n_metrics > 0;
}

/* `s`: the last section that names providers; NULL: none did, so they are the default ones. */
static bool is_of_prometheus(const struct mt_telemetry_metrics *s)
{
	for (uint32_t i = 0; s && i < s->n_providers; i++)
		if (strcasecmp(s->providers[i].name.s, MT_ISTIO_PROVIDER) == 0)
			return true;
	return !s;
}

static uint16_t bits_of(const struct mt_telemetry_metric_match *m)
{
	uint16_t bits = 0;

	for (uint32_t i = 0; i < MT_ISTIO_METRICS && !m->custom.s; i++) {
		if (m->metric.v && m->metric.v != i + 1)
			continue;
		if (m->mode.v != MODE_SERVER)
			bits |= mt_istio_bit(i, MT_ISTIO_SOURCE);
		if (m->mode.v != MODE_CLIENT)
			bits |= mt_istio_bit(i, MT_ISTIO_DESTINATION);
	}
	return bits;
}

static void apply(uint16_t *off, const struct mt_telemetry_metrics *section)
{
	for (uint32_t i = 0; i < section->n_overrides; i++) {
		const struct mt_telemetry_override *o = &section->overrides[i];

		if (o->disabled.set && o->disabled.v)
			*off |= bits_of(&o->match);
		else if (o->disabled.set)
			*off &= (uint16_t)~bits_of(&o->match);
	}
}

static uint16_t merged(struct mt_build *b, const char *ns, const struct mt_gateway *g)
{
	struct mt_telemetry_levels l = mt_b_telemetry_levels(b, ns, g, has_sections);
	const struct mt_telemetry_metrics *before = NULL;
	uint16_t off = 0;

	for (uint32_t i = 0; i < l.n; i++)
		for (uint32_t k = 0; k < l.v[i]->n_metrics; k++) {
			const struct mt_telemetry_metrics *section = &l.v[i]->metrics[k];

			before = section->n_providers ? section : before;
			if (is_of_prometheus(before))
				apply(&off, section);
		}
	return off;
}

uint16_t mt_b_metrics_off(struct mt_build *b, const char *ns, const struct mt_gateway *g)
{
	const char *place;
	uint16_t *off;

	if (!b->telemetry.n)
		return 0;
	ns = g ? mt_gateway_ns(b, g) : mt_b_client_ns(b, ns);
	place = g && g->gateway_api ? mt_b_telemetry_place(b, ns, g) : ns;
	off = place ? mt_strmap_get(&b->metrics_off, place) : NULL;
	if (off || !place)
		return off ? *off : 0;
	off = mt_region_alloc(&b->tmp, sizeof(*off));
	if (!off)
		return 0;
	*off = merged(b, ns, g);
	if (mt_strmap_put(&b->metrics_off, place, off, NULL))
		b->tmp.failed = true;
	return *off;
}
