/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Series of Istio's metrics with labels that Telemetry changes. Rows with the same labels are one
 * series, with the sum of their values. If a service changes labels of a metric, all rows of the
 * metric are compared, because another service may have these labels without a change.
 *
 * Labels have one order in a metric: those that all its series have, then those that changes add,
 * by name. Empty ones are left out, because to Prometheus that is the same. So series with the same
 * labels have the same text.
 */
#include "mt_ctl_istio_priv.h"

#include "mt_ending.h"
#include "mt_idmap.h"
#include "mt_metric_value.h"
#include "mt_secret_hash.h"
#include "mt_strmap.h"

#include <stdlib.h>
#include <string.h>

struct change {
	const char *name;
	struct mt_cel *value; /* NULL: without the label */
	uint16_t bits;
};

struct mt_istio_changes {
	uint32_t n;
	struct change v[MT_METRIC_TAGS];
};

/* The series of a metric. */
struct series {
	struct mt_strmap by_labels; /* of list[] */
	struct mt_istio_merged **list;
	uint32_t n;
	bool merges;
};

/* Labels of a row with its changes. */
struct made {
	struct mt_istio_label_set set;
	struct mt_label v[24 + 2 + MT_METRIC_TAGS];
	uint32_t n, n_own;	       /* those after n_own are added by changes */
	struct mt_label *code, *flags; /* of the response, if no change has them; or NULL */
	char texts[MT_METRIC_TAGS][MT_METRIC_VALUE + 1];
	struct mt_cel_frame frame;
};

struct mt_istio_merge {
	struct mt_ctl *c;
	struct mt_region *region;
	struct mt_idmap changes; /* struct mt_istio_changes by mt_metric_tags.id */
	struct series of[MT_ISTIO_METRICS];
	struct made made;
};

struct mt_istio_merge *mt_istio_merge_new(struct mt_ctl *c, struct mt_region *r)
{
	struct mt_istio_merge *m = calloc(1, sizeof(*m));

	if (!c->joined)
		c->joined = mt_joined_new();
	if (!m || !c->joined) {
		free(m);
		return NULL;
	}
	mt_joined_begin(c->joined);
	m->c = c;
	m->region = r;
	return m;
}

void mt_istio_merge_free(struct mt_istio_merge *m)
{
	if (!m)
		return;
	for (uint32_t i = 0; i < m->changes.cap; i++) {
		struct mt_istio_changes *all = m->changes.slots[i].value;

		for (uint32_t k = 0; all && k < all->n; k++)
			mt_cel_free(all->v[k].value);
	}
	mt_idmap_fini(&m->changes);
	for (uint32_t i = 0; i < MT_ISTIO_METRICS; i++)
		mt_strmap_fini(&m->of[i].by_labels);
	free(m);
}

/* ---- changes -------------------------------------------------------------------------------- */

static bool add_change(
	struct mt_istio_merge *m, const struct mt_metric_tag *t, struct mt_istio_changes *to)
{
	struct change *change = &to->v[to->n];
	struct mt_err e;

	change->name = mt_region_strdup(m->region, t->name);
	change->bits = t->bits;
	change->value = t->value ? mt_metric_value_new(t->value, &e) : NULL;
	if (!change->name || (t->value && !change->value))
		return false;
	to->n++;
	for (uint32_t i = 0; i < MT_ISTIO_METRICS; i++)
		for (uint32_t r = 0; r < MT_ISTIO_REPORTERS; r++)
			m->of[i].merges |= (t->bits & mt_istio_bit(i, r)) != 0;
	return true;
}

const struct mt_istio_changes *mt_istio_changes_of(
	struct mt_istio_merge *m, const struct mt_metric_tags *tags)
{
	struct mt_istio_changes *to = mt_idmap_get(&m->changes, tags->id);
	bool ok;

	if (to)
		return to;
	to = mt_region_alloc(m->region, sizeof(*to));
	ok = to && mt_idmap_put(&m->changes, tags->id, to) == 0;
	for (uint32_t i = 0; ok && i < tags->n; i++)
		ok = add_change(m, &tags->v[i], to);
	m->region->failed |= !ok;
	return ok ? to : NULL;
}

bool mt_istio_merges(const struct mt_istio_merge *m, enum mt_istio_metric metric)
{
	return m && m->of[metric].merges;
}

/* ---- labels --------------------------------------------------------------------------------- */

static struct mt_label *find(struct made *to, const char *name)
{
	for (uint32_t i = 0; i < to->n_own; i++)
		if (strcmp(to->v[i].name, name) == 0)
			return &to->v[i];
	return NULL;
}

/* Room for an added label, in the order of names. */
static struct mt_label *insert(struct made *to, const char *name)
{
	uint32_t at = to->n_own;

	while (at < to->n && strcmp(to->v[at].name, name) < 0)
		at++;
	memmove(&to->v[at + 1], &to->v[at], (to->n - at) * sizeof(to->v[0]));
	to->n++;
	to->v[at].name = name;
	return &to->v[at];
}

static void change(struct made *to, const struct mt_istio_changes *all, uint16_t bit)
{
	const struct mt_metric_peers peers = {to->set.destination, to->set.source};

	for (uint32_t i = 0; all && i < all->n; i++) {
		const struct change *one = &all->v[i];
		struct mt_label *label = find(to, one->name);

		if (!(one->bits & bit))
			continue;
		to->code = label == to->code ? NULL : to->code;
		to->flags = label == to->flags ? NULL : to->flags;
		if (!label && !one->value)
			continue;
		if (!label)
			label = insert(to, one->name);
		to->texts[i][0] = '\0';
		if (one->value)
			mt_metric_value(one->value, &to->frame, &peers, to->texts[i]);
		label->value = to->texts[i];
	}
}

static struct mt_label *add_own(struct made *to, const char *name)
{
	to->v[to->n++] = (struct mt_label){name, ""};
	return &to->v[to->n - 1];
}

static void make(struct mt_istio_merge *m, const struct mt_istio_series *s,
	enum mt_istio_metric metric, enum mt_istio_reporter r)
{
	struct made *to = &m->made;

	mt_istio_label_set(m->c, s, r, &to->set);
	memcpy(to->v, to->set.v, to->set.n * sizeof(to->v[0]));
	to->n = to->set.n;
	to->code = metric == MT_ISTIO_REQUESTS ? add_own(to, "response_code") : NULL;
	to->flags = metric == MT_ISTIO_REQUESTS || metric >= MT_ISTIO_TCP_RECEIVED
			    ? add_own(to, "response_flags")
			    : NULL;
	to->n_own = to->n;
	change(to, s->of->changes, mt_istio_bit(metric, r));
}

/* ---- sums ----------------------------------------------------------------------------------- */

/* One sample of a row. */
struct sample {
	const uint64_t *values;
	uint32_t n;
	uint64_t item; /* which row, reporter and way to end it is */
	const struct mt_series_example *examples;
};

/* The series with the labels that were made. NULL: no memory. */
static struct mt_istio_merged *series_of(
	struct mt_istio_merge *m, struct series *all, const struct sample *x)
{
	struct mt_text_buf text = {0};
	struct mt_istio_merged *g, **slot;

	for (uint32_t i = 0; i < m->made.n; i++)
		if (*m->made.v[i].value)
			mt_labels_add(&text, &m->made.v[i], 1);
	g = text.failed ? NULL : mt_strmap_get(&all->by_labels, text.p ? text.p : "");
	if (!g && !text.failed && (g = mt_region_alloc(m->region, sizeof(*g))) != NULL) {
		g->labels = mt_region_strdup(m->region, text.p ? text.p : "");
		g->values = mt_region_alloc(m->region, x->n * sizeof(*g->values));
		slot = mt_region_push(m->region, (void **)&all->list, &all->n, sizeof(*slot));
		if (!slot || !g->values || mt_strmap_put(&all->by_labels, g->labels, g, NULL))
			g = NULL;
		else
			*slot = g;
	}
	mt_text_fini(&text);
	return g;
}

/* Each power of two has the newest exemplar. */
static void add_examples(
	struct mt_region *r, struct mt_istio_merged *g, const struct mt_series_example *from)
{
	if (!g->examples)
		g->examples = mt_region_alloc(r, MT_EXEMPLARS * sizeof(*g->examples));
	for (uint32_t i = 0; g->examples && i < MT_EXEMPLARS; i++)
		if (from[i].labels &&
			(!g->examples[i].labels || from[i].wall > g->examples[i].wall))
			g->examples[i] = from[i];
}

static void add(struct mt_istio_merge *m, enum mt_istio_metric metric, const struct sample *x)
{
	struct mt_istio_merged *g = series_of(m, &m->of[metric], x);
	const uint64_t *sum = NULL;

	if (g)
		sum = mt_joined_add(m->c->joined, mt_secret_hash_text(g->labels, metric + 1),
			x->item, x->values, x->n);
	if (!sum) {
		m->region->failed = true;
		return;
	}
	memcpy(g->values, sum, x->n * sizeof(*sum));
	if (x->examples)
		add_examples(m->region, g, x->examples);
}

/* ---- rows ----------------------------------------------------------------------------------- */

/* A counter of calls or connections with this end. */
static void add_count(struct mt_istio_merge *m, enum mt_istio_metric metric, uint64_t row,
	const char *code, uint32_t flags, uint64_t count)
{
	const uint64_t of[] = {row, *code, flags};
	char text[MT_FLAGS_TEXT];

	mt_flags_text(flags, false, text);
	if (m->made.code)
		m->made.code->value = code;
	if (m->made.flags)
		m->made.flags->value = text;
	add(m, metric, &(struct sample){&count, 1, mt_secret_hash(of, sizeof(of), 1), NULL});
}

static void add_requests(struct mt_istio_merge *m, uint64_t row, const struct mt_service_values *v)
{
	struct mt_istio_bad bad;

	add_count(m, MT_ISTIO_REQUESTS, row, "0", 0, v->calls.ok + v->calls.oneway);
	mt_istio_bad_requests(&v->calls, &bad);
	for (uint32_t i = 0; i < bad.n; i++)
		add_count(m, MT_ISTIO_REQUESTS, row, "1", bad.rows[i].flags, bad.rows[i].requests);
}

static void add_connections(struct mt_istio_merge *m, enum mt_istio_metric metric, uint64_t row,
	const struct mt_service_values *v)
{
	uint64_t joined = metric == MT_ISTIO_TCP_OPENED ? v->tcp.opened : v->tcp.closed;
	struct mt_istio_bad bad;

	mt_istio_bad_requests(&v->tcp, &bad);
	for (uint32_t i = 0; i < bad.n; i++)
		add_count(m, metric, row, "", bad.rows[i].flags,
			bad.rows[i].requests + (i ? 0 : joined));
}

#define HIST_MAX (MT_LATENCY_BOUNDS_MAX + MT_SIZE_BUCKETS + 2) /* room for each kind */

/* The buckets of a histogram, and the sum of its observations after them. Returns their number. */
static uint32_t parts(enum mt_istio_metric metric, const struct mt_service_values *v,
	const uint64_t **buckets, const uint64_t **sum)
{
	if (metric == MT_ISTIO_DURATION) {
		*buckets = v->latency;
		*sum = &v->calls.latency_sum_us;
		return MT_ARRAY_LEN(v->latency);
	}
	*buckets = metric == MT_ISTIO_REQUEST_BYTES ? v->request : v->reply;
	*sum = metric == MT_ISTIO_REQUEST_BYTES ? &v->calls.bytes_in : &v->calls.bytes_out;
	return MT_SIZE_BUCKETS;
}

static void add_histogram(struct mt_istio_merge *m, enum mt_istio_metric metric, uint64_t row,
	const struct mt_series *s)
{
	const uint64_t *buckets, *sum;
	uint64_t values[HIST_MAX];
	uint32_t n = parts(metric, mt_service_of(s), &buckets, &sum);

	memcpy(values, buckets, n * sizeof(values[0]));
	values[n] = *sum;
	add(m, metric,
		&(struct sample){
			values, n + 1, row, metric == MT_ISTIO_DURATION ? s->examples : NULL});
}

void mt_istio_unpack(
	enum mt_istio_metric metric, const struct mt_istio_merged *g, struct mt_service_values *to)
{
	const uint64_t *buckets, *sum;
	uint32_t n;

	memset(to, 0, sizeof(*to));
	n = parts(metric, to, &buckets, &sum);
	memcpy((uint64_t *)(uintptr_t)buckets, g->values, n * sizeof(*buckets));
	*(uint64_t *)(uintptr_t)sum = g->values[n];
}

static void add_row(struct mt_istio_merge *m, enum mt_istio_metric metric, uint64_t id,
	const struct mt_series *row)
{
	const struct mt_service_values *v = mt_service_of(row);

	switch (metric) {
	case MT_ISTIO_REQUESTS:
		add_requests(m, id, v);
		break;
	case MT_ISTIO_TCP_RECEIVED:
		add_count(m, metric, id, "", 0, v->tcp.bytes_in);
		break;
	case MT_ISTIO_TCP_SENT:
		add_count(m, metric, id, "", 0, v->tcp.bytes_out);
		break;
	case MT_ISTIO_TCP_OPENED:
	case MT_ISTIO_TCP_CLOSED:
		add_connections(m, metric, id, v);
		break;
	default:
		add_histogram(m, metric, id, row);
	}
}

void mt_istio_merge_add(struct mt_istio_merge *m, const struct mt_series *row, bool opaque,
	const struct mt_istio_series *s)
{
	uint64_t id = mt_series_identity(row->label);

	for (uint32_t i = 0; i < MT_ISTIO_METRICS; i++)
		for (uint32_t r = 0; r < MT_ISTIO_REPORTERS; r++) {
			const uint64_t of[] = {id, r};

			if (!m->of[i].merges || opaque != (i >= MT_ISTIO_TCP_RECEIVED) ||
				!mt_istio_reports(s->of, r) ||
				(row->istio_off & mt_istio_bit(i, r)))
				continue;
			make(m, s, i, r);
			add_row(m, i, mt_secret_hash(of, sizeof(of), 2), row);
		}
}

const struct mt_istio_merged *mt_istio_merged_at(
	const struct mt_istio_merge *m, enum mt_istio_metric metric, uint32_t i)
{
	return i < m->of[metric].n ? m->of[metric].list[i] : NULL;
}
