/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/telemetry: the one registry of numbers behind all faces (shell, JSON, Prometheus). Counters stay
 * where their rooms keep them, one array per worker; the registry knows the arrays and sums them when
 * somebody asks. Everything else (gauges, histograms, numbers per service) comes from collectors that
 * are called at that moment. Control thread only; arrays are read with relaxed loads while workers
 * count.
 */
#pragma once

#include "mt_outcome.h"

struct mt_metrics;

/* NULL: no memory. */
struct mt_metrics *mt_metrics_new(void);
void mt_metrics_free(struct mt_metrics *m);

/*
 * Adds one array of a room's counters (a worker's, a port's): set->n entries that outlive the registry.
 * Arrays of the same set are summed. 0 or -ENOMEM.
 */
int mt_metrics_add(
	struct mt_metrics *m, const struct mt_outcome_set *set, const uint64_t *counters);

/* One summed counter. */
struct mt_metric {
	const char *room, *name, *words;
	enum mt_severity severity;
	uint64_t value;
};

/*
 * Iterates counters, rooms in order of their first mt_metrics_add(): *pos starts at 0; false at the end.
 */
bool mt_metrics_next(const struct mt_metrics *m, uint64_t *pos, struct mt_metric *out);

/* "info", "refused", "dropped", "error". */
const char *mt_severity_str(enum mt_severity s);

/* What helps against an outcome, for who sees it counted; NULL: nothing, or nothing is needed. */
const char *mt_remedy(const char *room, const char *name);
/* Row i of the table behind it; NULL at the end. */
const char *mt_remedy_row(uint32_t i, const char **room, const char **name);
/* What a counter counts: "bytes", or "events" of what its words name. */
const char *mt_unit(const char *name);

/* ---- text that grows ------------------------------------------------------------------------ */

/* All zero is empty. After a failed allocation `failed` stays set and nothing more is appended. */
struct mt_text_buf {
	char *p; /* NUL-terminated when not NULL */
	size_t len, cap;
	bool failed;
};

void mt_text_add(struct mt_text_buf *t, const char *fmt, ...) mt_printf(2, 3);
void mt_text_bytes(struct mt_text_buf *t, const char *p, size_t n);
void mt_text_fini(struct mt_text_buf *t);

/* ---- bounded cardinality -------------------------------------------------------------------- */

/* fold.c: which of many have series of their own; the others are summed up. */
struct mt_fold;

/* At most `limit` of their own; `width` counters each. NULL: no memory. */
struct mt_fold *mt_fold_new(uint32_t limit, uint32_t width);
void mt_fold_free(struct mt_fold *f);
/* Once before each round of mt_fold_own() over all there are. */
void mt_fold_begin(struct mt_fold *f);
/* Whether it has series of its own. If not, `values` (its counters) go into the sum of the others. */
bool mt_fold_own(struct mt_fold *f, uint64_t id, const uint64_t *values);
const uint64_t *mt_fold_other(const struct mt_fold *f);

/* ---- families ------------------------------------------------------------------------------- */

enum mt_family_type { MT_COUNTER, MT_GAUGE, MT_HISTOGRAM };

/* A slice of an answer: what writes much returns after about as many bytes, so that others have their turn. */
#define MT_SLICE (64 * 1024)

static inline bool mt_slice_full(const struct mt_text_buf *out)
{
	return out->len >= MT_SLICE || out->failed;
}

/* Where samples go: one of both. */
struct mt_sink {
	struct mt_text_buf *text; /* an exposition */
	struct mt_otlp *otlp;	  /* messages */
};

/* mt_slice_full() of either. */
bool mt_sink_full(const struct mt_sink *out);

/* One metric with labels. */
struct mt_family {
	const char *name; /* whole: "meltemi_connections", "istio_requests_total" */
	enum mt_family_type type;
	const char *unit;   /* "bytes", "requests": what is counted or measured */
	const char *labels; /* their names with commas, "" */
	const char *help;   /* one sentence */
	/*
	 * Writes the samples of its item `pos` (from 0) and of more of them, and answers where to go on, or 0 at the end.
	 * Whose items may be many stops when mt_sink_full().
	 */
	uint32_t (*collect)(
		void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos);
	void *arg;
};

/* The table outlives the registry. 0 or -ENOMEM. */
int mt_metrics_add_families(struct mt_metrics *m, const struct mt_family *families, uint32_t n);

struct mt_label {
	const char *name, *value;
};

/* Labels as they stand between braces, values escaped: made once for what has many samples. */
void mt_labels_add(struct mt_text_buf *out, const struct mt_label *labels, uint32_t n);

/* One sample; values of labels are escaped. */
void mt_sample(struct mt_sink *out, const struct mt_family *f, const struct mt_label *labels,
	uint32_t n, double value);
/* The same with labels that were made before ("" for none), and `more` of them behind ("" for none). */
void mt_sample_made(struct mt_sink *out, const struct mt_family *f, const char *labels,
	const char *more, uint64_t value);

/* One observation that stands beside its bucket as an example (OpenMetrics 1.0, "Exemplars"). */
struct mt_example {
	const char *
		labels; /* as mt_labels_add() makes them, at most 128 characters; NULL: there is none */
	double value;
	uint64_t time; /* wall, ns */
};

/* A histogram: counts[i] observations were at most bounds[i] and more than bounds[i - 1]; counts has
 * n_bounds + 1 entries, the last one for everything above, and so has examples; NULL: the format has none. */
void mt_sample_histogram(struct mt_sink *out, const struct mt_family *f, const char *labels,
	const double *bounds, const uint64_t *counts, uint32_t n_bounds, double sum,
	const struct mt_example *examples);

/* ---- exposition ----------------------------------------------------------------------------- */

/* Prometheus' text format 0.0.4, and OpenMetrics 1.0. */
enum mt_format { MT_FORMAT_TEXT, MT_FORMAT_OPENMETRICS };

/* "text/plain; version=0.0.4; charset=utf-8" and the like. */
const char *mt_format_type(enum mt_format f);
/* What an Accept header asks for; NULL: there is none. */
enum mt_format mt_format_accepted(const char *accept);

/* How much one entry of an Accept header is wanted, in thousandths (RFC 9110 §12.4.2); 1,000 when it does not say. */
uint32_t mt_media_quality(const char *range, size_t len);

/*
 * Everything: counters as meltemi_<room>_<name>_total, then the families. Begin fills it; next appends about MT_SLICE
 * bytes to `out` (which the caller empties in between) and answers whether there is more.
 */
struct mt_exposition {
	const struct mt_metrics *m;
	enum mt_format format;
	uint64_t counter;
	uint32_t family, item;
	bool counters_done, done;
};

void mt_exposition_begin(struct mt_exposition *e, const struct mt_metrics *m, enum mt_format f);
bool mt_exposition_next(struct mt_exposition *e, struct mt_sink *out);

/* ---- OTLP ----------------------------------------------------------------------------------- */

/* otlp.c: requests of OpenTelemetry's protocol, one after another. Memory is that of one request. */
struct mt_otlp;

/* `resource`: who is measured; `start`: since when is counted (wall, ns). NULL: no memory. */
struct mt_otlp *mt_otlp_new(const struct mt_label *resource, uint32_t n, uint64_t start);
void mt_otlp_free(struct mt_otlp *o);
/* An empty request, of measurements at `time` (wall, ns). */
void mt_otlp_begin(struct mt_otlp *o, uint64_t time);
/* How many points it has. */
uint32_t mt_otlp_points(const struct mt_otlp *o);
/* Memory was short: nothing more is added, and the request cannot be packed. */
bool mt_otlp_failed(const struct mt_otlp *o);
/* Its bytes, to be freed by the caller; NULL: no memory. */
uint8_t *mt_otlp_pack(struct mt_otlp *o, size_t *len);
/*
 * What a collector answered: how many points it rejected, and why (""). 0; -1: these bytes are no answer.
 */
int mt_otlp_answer(
	const uint8_t *data, size_t len, uint64_t *rejected, char *words, size_t words_size);
