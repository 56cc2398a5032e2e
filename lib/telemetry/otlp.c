/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics as messages of OpenTelemetry's protocol (OTLP, metrics v1), with the names and labels of
 * the exposition. Labels that were made as text are parsed here, once for all consecutive samples
 * that have them.
 */
#include "mt_telemetry_priv.h"

#include "otlp.pb-c.h"
#include "mt_pb.h"

#include <stdio.h>
#include <string.h>

#define CUMULATIVE  2
#define LABELS_MAX  64
#define POINT_BYTES 40 /* estimate for a number without its attributes */

struct mt_otlp {
	struct mt_region resource_region, region;
	Otlp__Resource resource;
	uint64_t start, time; /* wall clock, ns */
	size_t size;	      /* estimated bytes of what was added */
	uint32_t points;
	/* the current family; its first sample makes its message */
	const char *name, *unit, *help;
	enum mt_family_type type;
	Otlp__Metric *metric;
	Otlp__Metric **metrics;
	uint32_t n_metrics, n_points;
	/* labels of the previous sample */
	const char *labels;
	Otlp__KeyValue *set[LABELS_MAX];
	uint32_t n_set;
	size_t set_size;
};

/* ---- start and end -------------------------------------------------------------------------- */

static Otlp__KeyValue *key_value(
	struct mt_region *r, const char *name, size_t name_len, const char *value)
{
	Otlp__KeyValue *kv = mt_region_alloc(r, sizeof(*kv));
	Otlp__AnyValue *v = mt_region_alloc(r, sizeof(*v));
	char *key = mt_region_strndup(r, name, name_len);

	if (!kv || !v || !key || !value)
		return NULL;
	otlp__key_value__init(kv);
	otlp__any_value__init(v);
	v->value_case = OTLP__ANY_VALUE__VALUE_STRING_VALUE;
	v->string_value = (char *)value;
	kv->key = key;
	kv->value = v;
	return kv;
}

struct mt_otlp *mt_otlp_new(const struct mt_label *resource, uint32_t n, uint64_t start)
{
	struct mt_otlp *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->start = start;
	mt_region_init(&o->resource_region, 0);
	mt_region_init(&o->region, 0);
	otlp__resource__init(&o->resource);
	o->resource.attributes =
		mt_region_alloc(&o->resource_region, (n + 1) * sizeof(Otlp__KeyValue *));
	for (uint32_t i = 0; i < n && o->resource.attributes; i++) {
		Otlp__KeyValue *kv =
			key_value(&o->resource_region, resource[i].name, strlen(resource[i].name),
				mt_region_strdup(&o->resource_region, resource[i].value));

		if (kv)
			o->resource.attributes[o->resource.n_attributes++] = kv;
	}
	return o;
}

void mt_otlp_free(struct mt_otlp *o)
{
	if (!o)
		return;
	mt_region_fini(&o->resource_region);
	mt_region_fini(&o->region);
	free(o);
}

void mt_otlp_begin(struct mt_otlp *o, uint64_t time)
{
	mt_region_fini(&o->region);
	mt_region_init(&o->region, 0);
	o->time = time;
	o->size = 0;
	o->points = o->n_metrics = o->n_points = 0;
	o->metrics = NULL;
	o->metric = NULL;
	o->labels = NULL;
}

bool mt_otlp_full(const struct mt_otlp *o)
{
	return o->size >= MT_SLICE || o->region.failed;
}

bool mt_otlp_failed(const struct mt_otlp *o)
{
	return o->region.failed || o->resource_region.failed;
}

uint32_t mt_otlp_points(const struct mt_otlp *o)
{
	return o->points;
}

/* ---- metrics -------------------------------------------------------------------------------- */

/* OpenTelemetry's units are those of UCUM; counted things stand in braces. */
static const char *unit_of(struct mt_region *r, const char *unit)
{
	static const char *const known[][2] = {{"bytes", "By"}, {"seconds", "s"},
		{"milliseconds", "ms"}, {"ratio", "1"}, {"", ""}};

	for (size_t i = 0; i < MT_ARRAY_LEN(known); i++)
		if (strcmp(unit, known[i][0]) == 0)
			return known[i][1];
	return mt_region_printf(r, "{%s}", unit);
}

void mt_otlp_family(struct mt_otlp *o, const char *name, enum mt_family_type type, const char *unit,
	const char *help)
{
	if (o->metric && strcmp(o->metric->name, name) == 0)
		return; /* continues in the same request */
	o->name = name;
	o->type = type;
	o->unit = unit;
	o->help = help;
	o->metric = NULL;
}

static bool make_data(struct mt_otlp *o, Otlp__Metric *m)
{
	if (o->type == MT_HISTOGRAM) {
		m->histogram = mt_region_alloc(&o->region, sizeof(*m->histogram));
		if (!m->histogram)
			return false;
		otlp__histogram__init(m->histogram);
		m->histogram->aggregation_temporality = CUMULATIVE;
		m->data_case = OTLP__METRIC__DATA_HISTOGRAM;
	} else if (o->type == MT_GAUGE) {
		m->gauge = mt_region_alloc(&o->region, sizeof(*m->gauge));
		if (!m->gauge)
			return false;
		otlp__gauge__init(m->gauge);
		m->data_case = OTLP__METRIC__DATA_GAUGE;
	} else {
		m->sum = mt_region_alloc(&o->region, sizeof(*m->sum));
		if (!m->sum)
			return false;
		otlp__sum__init(m->sum);
		m->sum->aggregation_temporality = CUMULATIVE;
		m->sum->is_monotonic = true;
		m->data_case = OTLP__METRIC__DATA_SUM;
	}
	return true;
}

/*
 * Message of the current family in this request. A family with many samples is spread over several
 * requests, with one message in each.
 */
static Otlp__Metric *metric_of(struct mt_otlp *o)
{
	Otlp__Metric *m, **slot;

	if (o->metric)
		return o->metric;
	m = mt_region_alloc(&o->region, sizeof(*m));
	slot = m ? mt_region_push(&o->region, (void **)&o->metrics, &o->n_metrics, sizeof(*slot))
		 : NULL;
	if (!slot)
		return NULL;
	otlp__metric__init(m);
	*slot = m;
	m->name = mt_region_strdup(&o->region, o->name);
	m->description = mt_region_strdup(&o->region, o->help);
	m->unit = (char *)unit_of(&o->region, o->unit);
	if (!m->name || !m->description || !m->unit || !make_data(o, m))
		return NULL;
	o->size += strlen(o->name) + strlen(o->help) + 16;
	o->n_points = 0;
	o->metric = m;
	return m;
}

/* ---- attributes ----------------------------------------------------------------------------- */

/* Copies a value up to its closing quote and undoes escapes; *end: after the quote. */
static char *unescape(struct mt_region *r, const char *from, const char **end)
{
	size_t len = 0;
	char *out;

	for (*end = from; **end && **end != '"'; ++*end)
		*end += **end == '\\' && (*end)[1];
	out = mt_region_alloc(r, (size_t)(*end - from) + 1);
	for (const char *p = from; out && p < *end; p++) {
		bool special = *p == '\\' && p + 1 < *end;

		p += special;
		out[len++] = special && *p == 'n' ? '\n' : *p;
	}
	*end += **end == '"';
	return out;
}

/* Parses `name="value",name="value"`, as mt_labels_add() writes it, and appends it to the set. */
static void take_apart(struct mt_otlp *o, const char *labels)
{
	while (*labels && o->n_set < LABELS_MAX) {
		size_t name = strcspn(labels, "=");
		const char *value = labels + name, *end;
		Otlp__KeyValue *kv;

		if (strncmp(value, "=\"", 2) != 0)
			return;
		kv = key_value(&o->region, labels, name, unescape(&o->region, value + 2, &end));
		if (!kv)
			return;
		o->set[o->n_set++] = kv;
		o->set_size += (size_t)(end - labels) + 8;
		labels = end + (*end == ',');
	}
}

static Otlp__KeyValue **attributes(
	struct mt_otlp *o, const char *labels, const char *more, size_t *n)
{
	uint32_t kept;
	size_t size;
	Otlp__KeyValue **v;

	if (labels != o->labels) {
		o->n_set = 0;
		o->set_size = 0;
		take_apart(o, labels);
		o->labels = labels;
	}
	kept = o->n_set;
	size = o->set_size;
	take_apart(o, more);
	v = mt_region_alloc(&o->region, (o->n_set + 1) * sizeof(*v));
	if (v)
		memcpy(v, o->set, o->n_set * sizeof(*v));
	*n = v ? o->n_set : 0;
	o->size += o->set_size;
	o->n_set = kept;
	o->set_size = size;
	return v;
}

/* ---- points --------------------------------------------------------------------------------- */

static Otlp__NumberDataPoint *number(struct mt_otlp *o, const char *labels, const char *more)
{
	Otlp__Metric *m = metric_of(o);
	Otlp__NumberDataPoint *p = m ? mt_region_alloc(&o->region, sizeof(*p)) : NULL, **slot;
	bool gauge = o->type == MT_GAUGE;

	if (!p)
		return NULL;
	slot = mt_region_push(&o->region,
		(void **)(gauge ? &m->gauge->data_points : &m->sum->data_points), &o->n_points,
		sizeof(*slot));
	if (!slot)
		return NULL;
	otlp__number_data_point__init(p);
	*slot = p;
	if (gauge)
		m->gauge->n_data_points = o->n_points;
	else
		m->sum->n_data_points = o->n_points;
	p->attributes = attributes(o, labels, more, &p->n_attributes);
	p->start_time_unix_nano = gauge ? 0 : o->start;
	p->time_unix_nano = o->time;
	o->size += POINT_BYTES;
	o->points++;
	return p;
}

void mt_otlp_count(struct mt_otlp *o, const char *labels, const char *more, uint64_t value)
{
	Otlp__NumberDataPoint *p = number(o, labels, more);

	if (!p)
		return;
	p->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_INT;
	p->as_int = (int64_t)MT_MIN(value, (uint64_t)INT64_MAX);
}

void mt_otlp_value(struct mt_otlp *o, const char *labels, double value)
{
	Otlp__NumberDataPoint *p;

	/* The labels are made for this sample alone; the next text may have the same address. */
	o->labels = NULL;
	p = number(o, labels, "");
	o->labels = NULL;
	if (!p)
		return;
	p->value_case = OTLP__NUMBER_DATA_POINT__VALUE_AS_DOUBLE;
	p->as_double = value;
}

void mt_otlp_histogram(struct mt_otlp *o, const char *labels, const double *bounds,
	const uint64_t *counts, uint32_t n_bounds, double sum)
{
	Otlp__Metric *m = metric_of(o);
	Otlp__HistogramDataPoint *p = m ? mt_region_alloc(&o->region, sizeof(*p)) : NULL, **slot;

	if (!p)
		return;
	otlp__histogram_data_point__init(p);
	p->explicit_bounds = mt_region_alloc(&o->region, n_bounds * sizeof(*bounds));
	p->bucket_counts = mt_region_alloc(&o->region, (n_bounds + 1) * sizeof(*counts));
	if (!p->explicit_bounds || !p->bucket_counts)
		return;
	slot = mt_region_push(
		&o->region, (void **)&m->histogram->data_points, &o->n_points, sizeof(*slot));
	if (!slot)
		return;
	*slot = p;
	m->histogram->n_data_points = o->n_points;
	memcpy(p->explicit_bounds, bounds, n_bounds * sizeof(*bounds));
	memcpy(p->bucket_counts, counts, (n_bounds + 1) * sizeof(*counts));
	p->n_explicit_bounds = n_bounds;
	p->n_bucket_counts = n_bounds + 1;
	for (uint32_t i = 0; i <= n_bounds; i++)
		p->count += counts[i];
	p->has_sum_case = OTLP__HISTOGRAM_DATA_POINT__HAS_SUM_SUM;
	p->sum = sum;
	p->attributes = attributes(o, labels, "", &p->n_attributes);
	p->start_time_unix_nano = o->start;
	p->time_unix_nano = o->time;
	o->size += POINT_BYTES + (2 * (size_t)n_bounds + 1) * 8;
	o->points++;
}

/* ---- bytes ---------------------------------------------------------------------------------- */

uint8_t *mt_otlp_pack(struct mt_otlp *o, size_t *len)
{
	Otlp__ExportMetricsServiceRequest request = OTLP__EXPORT_METRICS_SERVICE_REQUEST__INIT;
	Otlp__ResourceMetrics of_resource = OTLP__RESOURCE_METRICS__INIT,
			      *of_resources[] = {&of_resource};
	Otlp__ScopeMetrics of_scope = OTLP__SCOPE_METRICS__INIT, *of_scopes[] = {&of_scope};
	Otlp__InstrumentationScope scope = OTLP__INSTRUMENTATION_SCOPE__INIT;
	uint8_t *bytes;

	if (mt_otlp_failed(o))
		return NULL;
	scope.name = "meltemi";
	scope.version = MT_VERSION;
	of_scope.scope = &scope;
	of_scope.metrics = o->metrics;
	of_scope.n_metrics = o->n_metrics;
	of_resource.resource = &o->resource;
	of_resource.scope_metrics = of_scopes;
	of_resource.n_scope_metrics = 1;
	request.resource_metrics = of_resources;
	request.n_resource_metrics = 1;
	*len = otlp__export_metrics_service_request__get_packed_size(&request);
	bytes = malloc(*len);
	if (bytes)
		(void)otlp__export_metrics_service_request__pack(&request, bytes);
	return bytes;
}

#define ANSWER_MEMORY (64 * 1024)

int mt_otlp_answer(
	const uint8_t *data, size_t len, uint64_t *rejected, char *words, size_t words_size)
{
	Otlp__ExportMetricsServiceResponse *answer;
	struct mt_pb_arena arena;
	const char *why;

	*rejected = 0;
	*words = '\0';
	mt_pb_arena_init(&arena, ANSWER_MEMORY);
	answer = mt_pb_unpack(
		&arena, &otlp__export_metrics_service_response__descriptor, data, len, &why);
	if (answer && answer->partial_success) {
		const Otlp__ExportMetricsPartialSuccess *p = answer->partial_success;

		*rejected = (uint64_t)MT_MAX(p->rejected_data_points, (int64_t)0);
		snprintf(words, words_size, "%s", p->error_message);
	}
	mt_pb_arena_fini(&arena);
	return answer ? 0 : -1;
}
