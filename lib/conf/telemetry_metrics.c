/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics of Telemetry: which of Istio's metrics the services of a namespace or gateway do not
 * have, and which labels of the others change. Overrides of the objects that apply
 * (telemetry_levels.c) are applied in turn. So the last one that turns a metric off or on decides,
 * and the last one that changes a label. A change with an expression that cannot be used is left
 * out, as if it was not written.
 *
 * Two things are not as in istiod. Prometheus is always in scope, although the last section that
 * names providers may leave it out. After a section has turned all metrics off, a later one turns
 * on those that it names, as Istio's reference has it; istiod then turns on all.
 */
#include "mt_conf_policy_priv.h"
#include "mt_conf_telemetry_priv.h"
#include "mt_istio_metrics.h"
#include "mt_meant.h"
#include "mt_metric_value.h"
#include "mt_secret_hash.h"

#include <string.h>
#include <strings.h>

enum { MODE_BOTH, MODE_CLIENT, MODE_SERVER }; /* of mt_telemetry_match.mode */
#define OP_REMOVE 1			      /* of mt_tag_override.operation */
#define TAGS	  "spec.metrics.overrides.tagOverrides"

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

/* The result of overrides so far. */
struct work {
	struct mt_build *b;
	uint16_t off;
	uint32_t n;
	struct mt_metric_tag tags[MT_METRIC_TAGS];
};

static bool check(struct mt_build *b, const struct mt_meta *by, const struct mt_tag_override *t)
{
	struct mt_err e = {""};
	struct mt_cel *cel = mt_metric_value_new(t->value.s, &e);
	bool good = cel != NULL;

	if (!good)
		mt_b_warn(b, by, t->value.line, TAGS,
			"use labels of workloads, as in filter_state.upstream_peer.app, or a text "
			"in "
			"quotes; values of a single call are not known here",
			"label %.64s is not changed to %.80s: %.300s", t->name.s, t->value.s,
			e.text);
	mt_cel_free(cel);
	return good;
}

/* Checks and reports the expression once for each build. */
static bool is_good(struct mt_build *b, const struct mt_meta *by, const struct mt_tag_override *t)
{
	static bool good, bad;
	uint64_t id = (uint64_t)(uintptr_t)t;
	bool *known = mt_idmap_get(&b->metric_values, id);

	if (!known) {
		known = check(b, by, t) ? &good : &bad;
		if (mt_idmap_put(&b->metric_values, id, known))
			b->tmp.failed = true;
	}
	return known == &good;
}

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

/* Takes the bits from earlier changes of the label, and leaves out those that have no bits then. */
static void forget(struct work *w, const char *name, uint16_t bits)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < w->n; i++) {
		if (strcmp(w->tags[i].name, name) == 0)
			w->tags[i].bits &= (uint16_t)~bits;
		if (w->tags[i].bits)
			w->tags[kept++] = w->tags[i];
	}
	w->n = kept;
}

/*
 * True for a value of destination_service by an author of some namespaces. Hosts are unique, so
 * a service with its own host adds to no series of another one.
 */
static bool is_of_others(struct mt_build *b, const struct mt_meta *by,
	const struct mt_tag_override *t, const char *value)
{
	if (!value || strcmp(t->name.s, "destination_service") != 0 ||
		!mt_model_is_limited(b->model, by))
		return false;
	if (mt_b_tracing_first(b, t))
		mt_b_warn(b, by, t->name.line, TAGS,
			"remove it, or write it in a source without namespaces",
			"label destination_service is not changed: calls could count as those of "
			"another service");
	return true;
}

static void put(
	struct work *w, const struct mt_meta *by, const struct mt_tag_override *t, uint16_t bits)
{
	const char *value = t->operation.v == OP_REMOVE ? NULL : t->value.s;

	if (!bits || is_of_others(w->b, by, t, value) || (value && !is_good(w->b, by, t)))
		return;
	forget(w, t->name.s, bits);
	for (uint32_t i = 0; i < w->n; i++)
		if (strcmp(w->tags[i].name, t->name.s) == 0 && is_same(w->tags[i].value, value)) {
			w->tags[i].bits |= bits;
			return;
		}
	if (w->n == MT_METRIC_TAGS) {
		if (mt_b_tracing_first(w->b, t))
			mt_b_warn(w->b, by, t->name.line, TAGS, "change fewer labels",
				"label %.64s is not changed: services have at most %d changes",
				t->name.s, MT_METRIC_TAGS);
		return;
	}
	w->tags[w->n++] = (struct mt_metric_tag){t->name.s, value, bits};
}

static void apply(
	struct work *w, const struct mt_meta *by, const struct mt_telemetry_metrics *section)
{
	for (uint32_t i = 0; i < section->n_overrides; i++) {
		const struct mt_telemetry_override *o = &section->overrides[i];
		uint16_t bits = bits_of(&o->match);

		if (o->disabled.set && o->disabled.v)
			w->off |= bits;
		else if (o->disabled.set)
			w->off &= (uint16_t)~bits;
		for (uint32_t k = 0; k < o->n_tags; k++)
			put(w, by, &o->tags[k], bits);
	}
}

static void merge(struct work *w, const char *ns, const struct mt_gateway *g)
{
	struct mt_telemetry_levels l = mt_b_telemetry_levels(w->b, ns, g, has_sections);
	const struct mt_telemetry_metrics *before = NULL;

	for (uint32_t i = 0; i < l.n; i++)
		for (uint32_t k = 0; k < l.v[i]->n_metrics; k++) {
			const struct mt_telemetry_metrics *section = &l.v[i]->metrics[k];

			before = section->n_providers ? section : before;
			if (is_of_prometheus(before))
				apply(w, &l.v[i]->meta, section);
		}
}

/* Fills *to; b->tmp remembers a failure. */
static void keep(const struct work *w, struct mt_metrics_of *to)
{
	struct mt_metric_tags *tags;

	to->off = w->off;
	to->hash = w->off;
	if (!w->n)
		return;
	tags = mt_region_alloc(&w->b->tmp, sizeof(*tags) + w->n * sizeof(tags->v[0]));
	if (!tags)
		return;
	for (uint32_t i = 0; i < w->n; i++) {
		const struct mt_metric_tag *t = &w->tags[i];

		tags->v[tags->n++] = *t;
		tags->id = mt_secret_hash_text(t->name, tags->id ^ t->bits);
		tags->id = t->value ? mt_secret_hash_text(t->value, tags->id) : ~tags->id;
	}
	tags->id += tags->id == 0;
	to->tags = tags;
	to->hash = mt_hash_u64(tags->id, to->hash);
}

const struct mt_metrics_of *mt_b_metrics_of(
	struct mt_build *b, const char *ns, const struct mt_gateway *g)
{
	static const struct mt_metrics_of all;
	struct work w = {.b = b};
	struct mt_metrics_of *of;
	const char *place;

	if (!b->telemetry.n)
		return &all;
	ns = g ? mt_gateway_ns(b, g) : mt_b_client_ns(b, ns);
	place = g && g->gateway_api ? mt_b_telemetry_place(b, ns, g) : ns;
	of = place ? mt_strmap_get(&b->metrics_of, place) : NULL;
	if (of)
		return of;
	of = place ? mt_region_alloc(&b->tmp, sizeof(*of)) : NULL;
	if (!of)
		return &all;
	merge(&w, ns, g);
	keep(&w, of);
	if (mt_strmap_put(&b->metrics_of, place, of, NULL))
		b->tmp.failed = true;
	return of;
}

const struct mt_metric_tags *mt_b_metric_tags_copy(
	struct mt_region *r, const struct mt_metric_tags *tags)
{
	size_t size = tags ? sizeof(*tags) + tags->n * sizeof(tags->v[0]) : 0;
	struct mt_metric_tags *to = tags ? mt_region_alloc(r, size) : NULL;

	if (!to)
		return NULL;
	memcpy(to, tags, size);
	for (uint32_t i = 0; i < to->n; i++) {
		to->v[i].name = mt_region_strdup(r, tags->v[i].name);
		if (tags->v[i].value)
			to->v[i].value = mt_region_strdup(r, tags->v[i].value);
	}
	return to;
}
