/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One scrape. At its start it copies names from the configuration; then it sums up and writes
 * values in slices, between which the control thread does other work. So no scrape holds a
 * snapshot, and an answer of many megabytes delays no other work.
 */
#include "mt_ctl_events_priv.h"
#include "mt_ctl_istio_priv.h"
#include "mt_filter_tally.h"
#include "mt_secret_hash.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define GATHER_SLICE 128 /* keys per slice */

/*
 * Source of the values of a series. Keys with equal labels form one series (a host on two ports).
 */
struct key {
	const char *label[MT_SERIES_LABELS];
	uint32_t index;
	bool opaque;
	union {
		uint64_t id;	  /* services, endpoints and portions */
		uint64_t refused; /* rules of limits, which may be gone when values are gathered */
	};
	struct mt_istio_service *istio;	      /* services */
	const struct mt_istio_served *served; /* portions */
};

struct set {
	struct key *keys;
	uint32_t n_keys, at; /* `at`: next key to gather */
	struct mt_series *rows;
	uint32_t n_rows, n_folded;
	/*
	 * Values of the keys without series of their own. Gauges are summed here, or their maximum is
	 * kept; the fold has the counters.
	 */
	uint64_t *sum;
};

struct mt_scrape {
	struct mt_ctl *c;
	struct mt_region region;
	struct set sets[MT_SERIES_KINDS];
	enum mt_series_kind gathering;
	struct mt_exposition exposition;
	bool examples;		      /* the format supports exemplars */
	struct mt_istio_merge *merge; /* NULL: no service changes labels */
};

/* ---- kinds ---------------------------------------------------------------------------------- */

static void add_service(const struct mt_ctl *c, const struct key *k, uint64_t *to)
{
	struct mt_service_values *v = (struct mt_service_values *)to;
	struct mt_service_stats st;
	struct mt_service_hist h;

	if (!mt_ctl_service_stats(c, k->index, k->id, &st) || st.requests == 0)
		return;
	mt_add_service_stats(k->opaque ? &v->tcp : &v->calls, &st);
	if (mt_ctl_service_hist(c, k->index, k->id, &h))
		mt_fill_service_values(v, &h);
}

/* NULL: the configuration no longer has the endpoint, and another one has its index. */
static const struct mt_ep_state *state_of(const struct mt_ctl *c, const struct key *k)
{
	const struct mt_ep_state *e = mt_upstream_ep_at(mt_conf_upstreams(c->env.conf), k->index);

	return e && e->id == k->id ? e : NULL;
}

static void add_endpoint(const struct mt_ctl *c, const struct key *k, uint64_t *to)
{
	struct mt_endpoint_values *v = (struct mt_endpoint_values *)to;
	const struct mt_ep_state *e = state_of(c, k);
	struct mt_ep_stats st;
	struct mt_ctl_waiting n;
	uint64_t oldest, silent;

	v->up = e && mt_ctl_ep_takes_traffic(e, c->now);
	if (!mt_ctl_ep_stats(c, k->index, k->id, &st))
		return;
	v->requests += st.requests;
	v->failures += st.failures;
	v->conns_opened += st.conns_opened;
	v->conns_active += st.conns_active;
	v->outstanding += st.outstanding;
	n = mt_ctl_ep_waiting(c, k->label[0], k->index, k->id);
	oldest = mt_ctl_oldest(&n);
	v->oldest_call = MT_MAX(v->oldest_call, oldest);
	silent = e ? mt_ctl_silent(c, e, k->label[0], k->label[1], &n) : 0;
	v->silent = MT_MAX(v->silent, silent);
}

static void add_route(const struct mt_ctl *c, const struct key *k, uint64_t *to)
{
	for (uint16_t w = 0; w < c->env.n_workers; w++)
		*to += mt_proxy_route_hits(mt_worker_proxy(c->env.workers[w]), k->index);
}

static void add_limit(const struct mt_ctl *c, const struct key *k, uint64_t *to)
{
	(void)c;
	*to += k->refused;
}

/* Portions are indexed by worker, then by place in its table. */
static uint32_t portion_index(const struct mt_istio_portion *p)
{
	return p->worker * MT_PORTIONS + p->at;
}

static void add_portion(const struct mt_ctl *c, const struct key *k, uint64_t *to)
{
	const struct mt_portion *table = mt_ctl_portions(c, (uint16_t)(k->index / MT_PORTIONS));
	struct mt_service_values *v = (struct mt_service_values *)to;
	struct mt_portion p;

	if (!table || !mt_portion_read(&table[k->index % MT_PORTIONS], k->id, &p))
		return;
	mt_add_service_stats(&v->calls, &p.stats);
	mt_fill_service_values(v, &p.hist);
}

/* Calls that no worker could count by their workload. */
static void add_others(const struct mt_ctl *c, uint64_t *to)
{
	struct mt_service_values *v = (struct mt_service_values *)to;
	const struct mt_portion *table;
	struct mt_portion p;

	for (uint16_t w = 0; (table = mt_ctl_portions(c, w)) != NULL; w++) {
		if (!mt_portion_read(&table[MT_PORTIONS], 0, &p))
			continue;
		mt_add_service_stats(&v->calls, &p.stats);
		mt_fill_service_values(v, &p.hist);
	}
}

static const struct kind {
	/* counters: the first ones of `width`, which are folded. maxima: the last ones. */
	uint32_t limit, width, counters, maxima;
	const char *names[MT_SERIES_LABELS];
	void (*add)(const struct mt_ctl *c, const struct key *k, uint64_t *to);
} kinds[MT_SERIES_KINDS] = {
	[MT_SERIES_SERVICE] = {MT_SERIES_SERVICES, sizeof(struct mt_service_values) / 8,
		offsetof(struct mt_service_values, stats) / 8, 0, {"service"}, add_service},
	[MT_SERIES_ENDPOINT] = {MT_SERIES_ENDPOINTS, sizeof(struct mt_endpoint_values) / 8, 3, 3,
		{"cluster", "endpoint"}, add_endpoint},
	[MT_SERIES_ROUTE] = {MT_SERIES_ROUTES, 1, 1, 0, {"service", "route", "match"}, add_route},
	[MT_SERIES_LIMIT] = {MT_SERIES_LIMITS, 1, 1, 0, {"service", "kind", "rule"}, add_limit},
	[MT_SERIES_PORTION] = {MT_SERIES_PORTIONS, sizeof(struct mt_service_values) / 8,
		offsetof(struct mt_service_values, stats) / 8, 0, {NULL}, add_portion},
};

/* ---- start: names --------------------------------------------------------------------------- */

static const char *keep(struct mt_scrape *s, const char *text)
{
	const char *copy = mt_region_strdup(&s->region, text ? text : "");

	return copy ? copy : "";
}

static struct key *room(struct set *t, uint32_t n)
{
	t->keys = calloc(n + 1, sizeof(*t->keys));
	return t->keys;
}

static void note_changes(
	struct mt_scrape *s, struct mt_istio_service *to, const struct mt_metric_tags *tags)
{
	if (!tags || !to)
		return;
	if (!s->merge)
		s->merge = mt_istio_merge_new(s->c, &s->region);
	if (s->merge)
		to->changes = mt_istio_changes_of(s->merge, tags);
	else
		s->region.failed = true;
}

static int name_services(struct mt_scrape *s, const struct mt_snapshot *snap)
{
	struct set *t = &s->sets[MT_SERIES_SERVICE];

	if (!room(t, snap->n_services))
		return -ENOMEM;
	for (uint32_t i = 0; i < snap->n_services; i++) {
		const struct mt_service *svc = snap->services[i];
		struct key *k = &t->keys[t->n_keys++];

		*k = (struct key){.label = {keep(s, svc->name)},
			.index = svc->index,
			.opaque = !svc->routes,
			.istio = mt_istio_service_of(&s->region, snap, svc),
			.id = svc->id};
		note_changes(s, k->istio, svc->metric_tags);
	}
	return s->region.failed ? -ENOMEM : 0;
}

static const char *hex_of(struct mt_scrape *s, uint64_t id)
{
	return mt_region_printf(&s->region, "%" PRIx64, id);
}

/*
 * The second label distinguishes workloads of a host, and the third one callers. All workloads of
 * an inbound service are this node, and need no labels: a host that also has other ports would get
 * some of theirs.
 */
static struct key key_of_portion(struct mt_scrape *s, const struct mt_snapshot *snap,
	const struct key *service, const struct mt_istio_portion *p)
{
	static const struct mt_peer unknown;
	bool apart = p->workload && !service->istio->inbound;
	const struct mt_examples_of examples = {
		service->index, service->id, true, p->workload, p->caller};
	const struct mt_istio_caller by = mt_istio_caller_of(&s->region, snap, p);

	return (struct key){.label = {service->label[0], apart ? hex_of(s, p->workload) : "",
				    by.id ? hex_of(s, by.id) : ""},
		.index = portion_index(p),
		.id = p->key,
		.served = mt_istio_served_of(
			&s->region, service->istio, &examples, apart ? p->peer : &unknown, &by)};
}

/* Call it after name_services(). */
static int name_portions(struct mt_scrape *s, const struct mt_snapshot *snap)
{
	struct set *t = &s->sets[MT_SERIES_PORTION];
	const struct set *services = &s->sets[MT_SERIES_SERVICE];
	uint32_t n;
	struct mt_istio_portion *v = mt_istio_portions(s->c, snap, &n);
	int rc = v && room(t, n) ? 0 : -ENOMEM;

	for (uint32_t i = 0; rc == 0 && i < n; i++) {
		t->keys[t->n_keys++] = key_of_portion(s, snap, &services->keys[v[i].of], &v[i]);
		rc = s->region.failed ? -ENOMEM : 0;
	}
	free(v);
	return rc;
}

static int name_endpoints(struct mt_scrape *s, const struct mt_snapshot *snap)
{
	struct set *t = &s->sets[MT_SERIES_ENDPOINT];
	char text[MT_ADDR_STRLEN];
	uint32_t n = 0;

	for (uint32_t i = 0; i < snap->n_clusters; i++)
		n += snap->clusters[i].n_eps;
	if (!room(t, n))
		return -ENOMEM;
	for (uint32_t i = 0; i < snap->n_clusters; i++) {
		const struct mt_cluster *cl = &snap->clusters[i];
		const char *name = cl->n_eps ? keep(s, cl->name) : "";

		for (uint32_t k = 0; k < cl->n_eps; k++)
			t->keys[t->n_keys++] = (struct key){
				.label = {name, keep(s, mt_endpoint_name(&cl->eps[k], text))},
				.index = cl->eps[k].state->index,
				.id = cl->eps[k].state->id};
	}
	return 0;
}

static int name_routes(struct mt_scrape *s, const struct mt_snapshot *snap)
{
	struct set *t = &s->sets[MT_SERIES_ROUTE];
	uint32_t n = 0;

	for (uint32_t i = 0; i < snap->n_services; i++)
		n += snap->services[i]->routes ? mt_route_count(snap->services[i]->routes) : 0;
	if (!room(t, n))
		return -ENOMEM;
	for (uint32_t i = 0; i < snap->n_services; i++) {
		const struct mt_service *svc = snap->services[i];
		const char *host = svc->routes ? keep(s, svc->name) : "";

		for (uint32_t k = 0; svc->routes && k < mt_route_count(svc->routes); k++) {
			const struct mt_route_action *a = mt_route_at(svc->routes, k);

			t->keys[t->n_keys++] =
				(struct key){.label = {host, keep(s, a->name), keep(s, a->match)},
					.index = a->index};
		}
	}
	return 0;
}

static void name_limit(struct mt_scrape *s, const char *service, const char *kind, const char *rule,
	uint64_t refused)
{
	struct set *t = &s->sets[MT_SERIES_LIMIT];

	/* The index keeps rules with equal labels apart, which are one series. */
	t->keys[t->n_keys] = (struct key){.label = {keep(s, service), kind, keep(s, rule)},
		.index = t->n_keys,
		.refused = refused};
	t->n_keys++;
}

/* Limits are the registries', not the snapshot's: buckets and counts outlive it. */
static int name_limits(struct mt_scrape *s)
{
	struct mt_conf *conf = s->c->env.conf;
	const struct mt_tally_registry *tallies = mt_conf_tallies(conf);
	const struct mt_limit_registry *buckets = mt_conf_limits(conf);
	struct mt_limit_info info;
	uint32_t n = 0, i = 0;

	while (mt_limit_next(buckets, &i, s->c->now, &info))
		n++;
	for (const struct mt_tally *t = NULL; (t = mt_tally_next(tallies, t)) != NULL;)
		n++;
	if (!room(&s->sets[MT_SERIES_LIMIT], n))
		return -ENOMEM;
	for (i = 0; mt_limit_next(buckets, &i, s->c->now, &info);)
		name_limit(s, info.service, "local", info.match, info.refused);
	for (const struct mt_tally *t = NULL; (t = mt_tally_next(tallies, t)) != NULL;)
		name_limit(s, t->service, "global", t->rule, mt_tally_sum(t));
	return 0;
}

static int compare(const struct key *a, const struct key *b)
{
	int c = 0;

	for (int i = 0; i < MT_SERIES_LABELS && c == 0; i++)
		c = strcmp(a->label[i] ? a->label[i] : "", b->label[i] ? b->label[i] : "");
	return c;
}

static int by_labels(const void *a, const void *b)
{
	const struct key *x = a, *y = b;
	int c = compare(x, y);

	return c ? c : (x->index > y->index) - (x->index < y->index);
}

static int name_all(struct mt_scrape *s)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(s->c);
	int rc = 0;

	if (snap) {
		rc = name_services(s, snap);
		rc = rc ? rc : name_portions(s, snap);
		rc = rc ? rc : name_endpoints(s, snap);
		rc = rc ? rc : name_routes(s, snap);
		rc = rc ? rc : name_limits(s);
	}
	for (int k = 0; k < MT_SERIES_KINDS && rc == 0; k++) {
		struct set *t = &s->sets[k];

		if (t->n_keys)
			qsort(t->keys, t->n_keys, sizeof(*t->keys), by_labels);
		t->rows = calloc(t->n_keys + 1, sizeof(*t->rows));
		t->sum = mt_region_alloc(&s->region, kinds[k].width * sizeof(uint64_t));
		rc = t->rows && t->sum ? 0 : -ENOMEM;
	}
	return rc;
}

_Static_assert(MT_ARRAY_LEN(((struct mt_ctl *)NULL)->folds) == MT_SERIES_KINDS, "a fold of each");

static uint32_t limit_of(const struct mt_ctl *c, enum mt_series_kind kind)
{
	return kind == MT_SERIES_PORTION && c->env.workload_series ? c->env.workload_series
								   : kinds[kind].limit;
}

/* The folds outlive scrapes, so that an item with series of its own keeps them. */
static int open_folds(struct mt_ctl *c)
{
	for (int k = 0; k < MT_SERIES_KINDS; k++) {
		if (!c->folds[k])
			c->folds[k] = mt_fold_new(
				limit_of(c, k), kinds[k].counters, k == MT_SERIES_PORTION);
		if (!c->folds[k])
			return -ENOMEM;
		mt_fold_begin(c->folds[k]);
	}
	return 0;
}

struct mt_scrape *mt_scrape_new(struct mt_ctl *c, enum mt_format format)
{
	struct mt_scrape *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->c = c;
	mt_region_init(&s->region, 0);
	mt_exposition_begin(&s->exposition, c->metrics, format);
	s->examples = format == MT_FORMAT_OPENMETRICS;
	if (open_folds(c) || name_all(s)) {
		mt_scrape_free(s);
		return NULL;
	}
	return s;
}

void mt_scrape_free(struct mt_scrape *s)
{
	for (int k = 0; s && k < MT_SERIES_KINDS; k++) {
		free(s->sets[k].keys);
		free(s->sets[k].rows);
	}
	if (s) {
		mt_istio_merge_free(s->merge);
		mt_region_fini(&s->region);
	}
	free(s);
}

/* ---- values --------------------------------------------------------------------------------- */

uint64_t mt_series_identity(const char *const label[MT_SERIES_LABELS])
{
	uint64_t h = 1;

	for (int i = 0; i < MT_SERIES_LABELS && label[i]; i++)
		h = mt_secret_hash(label[i], strlen(label[i]) + 1, h);
	return h;
}

/* `opaque`: of a service's opaque TCP; otherwise of a portion's calls. */
static struct mt_istio_series istio_of(
	const struct key *k, const struct mt_series *row, bool opaque)
{
	static const struct mt_istio_service unknown;
	const struct mt_istio_service *of = k->served ? k->served->of : k->istio;
	const struct mt_peer *served = k->served ? &k->served->peer : &unknown.peer;

	return (struct mt_istio_series){.host = row->label[0],
		.of = of ? of : &unknown,
		.served = opaque ? NULL : served,
		.caller = k->served ? &k->served->caller : NULL};
}

static void make_istio(
	struct mt_scrape *s, enum mt_series_kind kind, const struct key *k, struct mt_series *row)
{
	bool opaque = kind == MT_SERIES_SERVICE;
	const struct mt_istio_series x = istio_of(k, row, opaque);

	row->istio_off = x.of->off;
	if (opaque && !mt_service_of(row)->tcp.requests)
		return;
	for (int i = 0; i < MT_ISTIO_REPORTERS; i++) {
		struct mt_text_buf made = {0};

		if (!mt_istio_reports(x.of, i))
			continue;
		mt_istio_labels(s->c, x.host, x.of, x.served, x.caller, i, &made);
		row->istio[i] = keep(s, made.p);
		mt_text_fini(&made);
	}
}

/* Adds the newest series to those that have the same labels, when it is complete. */
static void merge_row(struct mt_scrape *s, enum mt_series_kind kind, const struct key *k)
{
	struct mt_series *row = &s->sets[kind].rows[s->sets[kind].n_rows - 1];
	bool opaque = kind == MT_SERIES_SERVICE;
	struct mt_istio_series x;

	if (!s->merge || (!opaque && kind != MT_SERIES_PORTION))
		return;
	if (!(opaque ? mt_service_of(row)->tcp.requests : mt_service_of(row)->calls.requests))
		return;
	x = istio_of(k, row, opaque);
	mt_istio_merge_add(s->merge, row, opaque, &x);
}

static void make_labels(
	struct mt_scrape *s, enum mt_series_kind kind, const struct key *k, struct mt_series *row)
{
	struct mt_text_buf made = {0};
	struct mt_label l[MT_SERIES_LABELS];
	uint32_t n = 0;

	for (; n < MT_SERIES_LABELS && kinds[kind].names[n]; n++)
		l[n] = (struct mt_label){kinds[kind].names[n], row->label[n]};
	mt_labels_add(&made, l, n);
	row->made = keep(s, made.p);
	mt_text_fini(&made);
	if (kind == MT_SERIES_SERVICE || kind == MT_SERIES_PORTION)
		make_istio(s, kind, k, row);
}

/* Adds the exemplars of the keys [k, end), which are the newest series. */
static void add_examples(
	struct mt_scrape *s, enum mt_series_kind kind, const struct key *k, const struct key *end)
{
	struct set *t = &s->sets[kind];
	struct mt_series *row = &t->rows[t->n_rows - 1];
	struct mt_series_example *x;

	if (!mt_service_of(row)->calls.requests)
		return;
	x = mt_region_alloc(&s->region, MT_EXEMPLARS * sizeof(*x));
	for (; x && k < end; k++) {
		const struct mt_examples_of all = {.index = k->index, .id = k->id};

		mt_examples_add(s->c, kind == MT_SERIES_SERVICE ? &all : &k->served->examples,
			&s->region, x);
	}
	row->examples = x;
}

static void add_row(
	struct mt_scrape *s, enum mt_series_kind kind, const struct key *k, uint64_t *values)
{
	struct set *t = &s->sets[kind];
	struct mt_series *row = &t->rows[t->n_rows++];
	struct mt_service_values *v = (struct mt_service_values *)values;

	if (kind == MT_SERIES_SERVICE) {
		v->stats = v->calls;
		mt_add_service_stats(&v->stats, &v->tcp);
	}
	memcpy(row->label, k->label, sizeof(row->label));
	row->values = values;
	make_labels(s, kind, k, row);
}

/* Makes the series of all keys that equal the one at `at`. Returns the index of the next key. */
static uint32_t gather_one(struct mt_scrape *s, enum mt_series_kind kind, uint32_t at)
{
	const struct kind *d = &kinds[kind];
	struct set *t = &s->sets[kind];
	uint64_t *values = mt_region_alloc(&s->region, d->width * sizeof(*values));
	const struct key *first = &t->keys[at];

	for (; at < t->n_keys && compare(first, &t->keys[at]) == 0; at++) {
		/* An endpoint that is listed twice counts once. */
		if (values && (&t->keys[at] == first || t->keys[at].index != t->keys[at - 1].index))
			d->add(s->c, &t->keys[at], values);
		if (&t->keys[at] != first && first->istio)
			mt_istio_service_join(first->istio, t->keys[at].istio);
	}
	/* Services are gathered before their portions, which point to any of these. */
	for (const struct key *k = first; first->istio && k < &t->keys[at]; k++)
		*k->istio = *first->istio;
	if (!values)
		return at;
	if (mt_fold_own(s->c->folds[kind], mt_series_identity(first->label), values)) {
		add_row(s, kind, first, values);
		if (s->examples && (kind == MT_SERIES_SERVICE || kind == MT_SERIES_PORTION))
			add_examples(s, kind, first, &t->keys[at]);
		merge_row(s, kind, first);
		return at;
	}
	t->n_folded++;
	for (uint32_t i = d->counters; i < d->width - d->maxima; i++)
		t->sum[i] += values[i];
	for (uint32_t i = d->width - d->maxima; i < d->width; i++)
		t->sum[i] = MT_MAX(t->sum[i], values[i]);
	return at;
}

static void add_other(struct mt_scrape *s, enum mt_series_kind kind)
{
	static const struct key other = {
		.label = {MT_SERIES_OTHER, MT_SERIES_OTHER, MT_SERIES_OTHER}};
	struct set *t = &s->sets[kind];
	bool counted = t->n_folded > 0;

	memcpy(t->sum, mt_fold_other(s->c->folds[kind]), kinds[kind].counters * sizeof(*t->sum));
	if (kind == MT_SERIES_PORTION)
		add_others(s->c, t->sum);
	for (uint32_t i = 0; i < kinds[kind].counters; i++)
		counted |= t->sum[i] > 0;
	if (!counted)
		return;
	add_row(s, kind, &other, t->sum);
	merge_row(s, kind, &other);
}

/* True: everything is gathered. */
static bool gather(struct mt_scrape *s)
{
	struct set *t;
	uint32_t end;

	if (s->gathering == MT_SERIES_KINDS)
		return true;
	t = &s->sets[s->gathering];
	end = t->at + GATHER_SLICE;
	while (t->at < t->n_keys && t->at < end)
		t->at = gather_one(s, s->gathering, t->at);
	if (t->at == t->n_keys) {
		add_other(s, s->gathering);
		s->gathering++;
	}
	return false;
}

bool mt_scrape_next(struct mt_scrape *s, struct mt_sink *out, bool *failed)
{
	bool more = true;

	s->c->scrape = s;
	if (gather(s))
		more = mt_exposition_next(&s->exposition, out);
	s->c->scrape = NULL;
	*failed = s->region.failed || (out->otlp ? mt_otlp_failed(out->otlp) : out->text->failed);
	return more && !*failed;
}

const struct mt_series *mt_scrape_series(
	const struct mt_ctl *c, enum mt_series_kind kind, uint32_t i)
{
	return c->scrape && i < c->scrape->sets[kind].n_rows ? &c->scrape->sets[kind].rows[i]
							     : NULL;
}

const struct mt_istio_merge *mt_scrape_merge(const struct mt_ctl *c)
{
	return c->scrape ? c->scrape->merge : NULL;
}

uint32_t mt_scrape_folded(const struct mt_ctl *c, enum mt_series_kind kind)
{
	return c->scrape ? c->scrape->sets[kind].n_folded : 0;
}
