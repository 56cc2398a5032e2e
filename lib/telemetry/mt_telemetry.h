/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/telemetry: the registry of all numbers for all outputs (shell, JSON, Prometheus text,
 * OpenMetrics, OTLP, DPDK telemetry). Control thread only.
 *
 * An outcome is a row of a library's .def file. Each worker has an array of counters with one entry
 * per row, which only that worker writes. The daemon registers each array (mt_metrics_add()), and
 * the registry sums them by relaxed loads when it is read. The metric is
 * meltemi_LIBRARY_NAME_total, and its help text is the row's, so a new outcome needs no code here.
 * Errors and refusals must have a row in remedies.c. Numbers that are not outcomes come from
 * families: name, type, unit, labels, help text, and a function that writes the samples on demand.
 *
 * Invariants:
 * - Nothing is counted twice or copied before a scrape. A scrape may be a few events late, and two
 *   counters of one scrape may differ by a few events.
 * - Arrays and family tables outlive the registry.
 * - An answer is produced in slices of about 64 KiB (mt_exposition_next(); `collect` of a family
 *   resumes at an item), each after the client has read the previous one, so a large scrape does
 *   not block the control thread. Names of the configuration are copied when the scrape starts, so
 *   it holds no snapshot. Gzip is at the fastest level, for an eighth more CPU.
 * - A round of OTLP is one scrape; its memory is that of the scrape and one request. Label sets,
 *   which are prepared as text, are parsed once for consecutive samples with the same set.
 * - Bounded cardinality (fold.c): 500 services, 2,000 endpoints, 2,000 routes, 1,000 rules of rate
 *   limits, and 500 combinations of service and workloads (Istio's metrics of calls; or the
 *   Node's number) have series of their own, the first ones, as long as they exist. All others are
 *   summed in series with the label `other` (meltemi_series_folded is their number). The sum adds
 *   the increments of each member since the last read, so it never decreases when a member leaves:
 *   a scraper would take a decrease for a restart, and show a burst that never happened.
 * - Histograms are log-linear inside (within 3 %). The bounds in the exposition are bounds of these
 *   buckets, so its counts are exact.
 *
 * Exemplars: the trace of a call is in its request's metadata, which is gone when the latency is
 * known. So a worker samples one request per millisecond (mt_exchange_sample() in
 * lib/proxy/call/record.c; other requests cost a comparison), and keeps it
 * (lib/observe/exemplar.c) as the newest of its service for its latency, in powers of two of
 * microseconds. It has the caller's trace and span (mt_span.h: W3C traceparent, B3), or else the
 * exchange's name, which replaces a trace only after a minute. The control thread reads it with a
 * sequence count, completely or not at all. It appears with a later scrape if its bucket was
 * written before it was read; services summed as `other` have none.
 */
#pragma once

#include "mt_outcome.h"

struct mt_metrics;

/* NULL: no memory. */
struct mt_metrics *mt_metrics_new(void);
void mt_metrics_free(struct mt_metrics *m);

/*
 * Adds one array of a library's counters (of a worker or a port): set->n entries, which must
 * outlive the registry. Arrays of the same set are summed. 0 or -ENOMEM.
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
 * Iterates over counters, libraries in order of their first mt_metrics_add(). *pos starts at 0;
 * false at the end.
 */
bool mt_metrics_next(const struct mt_metrics *m, uint64_t *pos, struct mt_metric *out);

/* Name of a severity: "info", "refused", "dropped" or "error". */
const char *mt_severity_str(enum mt_severity s);

/* What an operator can do about an outcome; NULL: nothing, or nothing is needed. */
const char *mt_remedy(const char *room, const char *name);
/* Row i of the table of remedies; NULL at the end. */
const char *mt_remedy_row(uint32_t i, const char **room, const char **name);
/*
 * Causes of the outcome "ROOM_NAME" that may have counted the same event, as names with spaces
 * between, the first that has counted first; NULL: it has none.
 */
const char *mt_causes(const char *name);
/* Name of row i of that table; NULL at the end. */
const char *mt_causes_row(uint32_t i);
/* Unit of a counter: "bytes", or "events", which its description names. */
const char *mt_unit(const char *name);

/* ---- growing text --------------------------------------------------------------------------- */

/*
 * An all-zero object is empty. After a failed allocation `failed` stays set and nothing more is
 * appended.
 */
struct mt_text_buf {
	char *p; /* NUL-terminated when not NULL */
	size_t len, cap;
	bool failed;
};

void mt_text_add(struct mt_text_buf *t, const char *fmt, ...) mt_printf(2, 3);
void mt_text_bytes(struct mt_text_buf *t, const char *p, size_t n);
void mt_text_fini(struct mt_text_buf *t);

/* ---- bounded cardinality -------------------------------------------------------------------- */

/* fold.c: decides which of many items have series of their own; the others are summed up. */
struct mt_fold;

/*
 * At most `limit` items get series of their own; each item has `width` counters. sums: an item is
 * the sum of several parts, and any part can start again at 0. NULL: no memory.
 */
struct mt_fold *mt_fold_new(uint32_t limit, uint32_t width, bool sums);
void mt_fold_free(struct mt_fold *f);
/* Call once before each round, in which mt_fold_own() is called for every item. */
void mt_fold_begin(struct mt_fold *f);
/*
 * True if the item has series of its own; those of a sum get in `values` what parts of it had
 * counted before they started again. Otherwise its counters are added to the sum of the others.
 */
bool mt_fold_own(struct mt_fold *f, uint64_t id, uint64_t *values);
const uint64_t *mt_fold_other(const struct mt_fold *f);

/* joined.c: sums of counters that several items have together, which never decrease. */
struct mt_joined;

struct mt_joined *mt_joined_new(void); /* NULL: no memory */
void mt_joined_free(struct mt_joined *j);
/* Call once before each round, in which mt_joined_add() is called for every item. */
void mt_joined_begin(struct mt_joined *j);
/*
 * Adds what the `n` counters of an item have grown since the last call for this sum and item. The
 * ids are hashes; n is always the same for a sum. Returns the sum, which is valid until
 * mt_joined_begin(). NULL: no memory.
 */
const uint64_t *mt_joined_add(
	struct mt_joined *j, uint64_t sum, uint64_t item, const uint64_t *values, uint32_t n);

/* ---- families ------------------------------------------------------------------------------- */

enum mt_family_type { MT_COUNTER, MT_GAUGE, MT_HISTOGRAM };

/*
 * Size of a slice of an answer. Code that writes much returns after about as many bytes, so that
 * other work gets its turn.
 */
#define MT_SLICE (64 * 1024)

static inline bool mt_slice_full(const struct mt_text_buf *out)
{
	return out->len >= MT_SLICE || out->failed;
}

/* Destination of samples: one of the two. */
struct mt_sink {
	struct mt_text_buf *text; /* an exposition */
	struct mt_otlp *otlp;	  /* messages */
};

/* mt_slice_full() for either destination. */
bool mt_sink_full(const struct mt_sink *out);

/* One metric with labels. */
struct mt_family {
	const char *name; /* full name: "meltemi_connections", "istio_requests_total" */
	enum mt_family_type type;
	const char *unit;   /* "bytes", "requests": what is counted or measured */
	const char *labels; /* label names with commas between them; "": none */
	const char *help;   /* one sentence */
	/*
	 * Writes the samples of the items from `pos` (first 0) on. Returns where to continue, or 0
	 * at the end. If a family may have many items, it stops when mt_sink_full().
	 */
	uint32_t (*collect)(
		void *arg, struct mt_sink *out, const struct mt_family *f, uint32_t pos);
	void *arg;
};

/* The table must outlive the registry. 0 or -ENOMEM. */
int mt_metrics_add_families(struct mt_metrics *m, const struct mt_family *families, uint32_t n);

struct mt_label {
	const char *name, *value;
};

/*
 * Appends labels as they stand between braces, with escaped values. The text can be used for
 * several samples.
 */
void mt_labels_add(struct mt_text_buf *out, const struct mt_label *labels, uint32_t n);

/* Writes one sample; label values are escaped. */
void mt_sample(struct mt_sink *out, const struct mt_family *f, const struct mt_label *labels,
	uint32_t n, double value);
/*
 * Writes one sample with labels that mt_labels_add() made, followed by `more` of them ("" for
 * none).
 */
void mt_sample_made(struct mt_sink *out, const struct mt_family *f, const char *labels,
	const char *more, uint64_t value);

/* An exemplar: one observation that is shown with its bucket (OpenMetrics 1.0, "Exemplars"). */
struct mt_example {
	const char *
		labels; /* as mt_labels_add() writes them, at most 128 characters; NULL: no label */
	double value;
	uint64_t time; /* wall clock, ns */
};

/*
 * Writes a histogram: counts[i] observations were above bounds[i - 1] and up to bounds[i]. `counts`
 * has n_bounds + 1 entries, the last one for everything above all bounds. `examples` has as many,
 * or is NULL because the format has none.
 */
void mt_sample_histogram(struct mt_sink *out, const struct mt_family *f, const char *labels,
	const double *bounds, const uint64_t *counts, uint32_t n_bounds, double sum,
	const struct mt_example *examples);

/* ---- exposition ----------------------------------------------------------------------------- */

/* Prometheus' text format 0.0.4, and OpenMetrics 1.0. */
enum mt_format { MT_FORMAT_TEXT, MT_FORMAT_OPENMETRICS };

/* Content type: "text/plain; version=0.0.4; charset=utf-8" and the like. */
const char *mt_format_type(enum mt_format f);
/* Format that an Accept header prefers; NULL: there is no header. */
enum mt_format mt_format_accepted(const char *accept);

/*
 * Weight of one entry of an Accept header in thousandths (RFC 9110 §12.4.2); 1,000 if it has none.
 */
uint32_t mt_media_quality(const char *range, size_t len);

/*
 * All numbers: counters as meltemi_<room>_<name>_total, then the families. mt_exposition_begin()
 * initializes it. mt_exposition_next() appends about MT_SLICE bytes to `out`, which the caller
 * empties between calls, and returns true if more follows.
 */
struct mt_exposition {
	const struct mt_metrics *m;
	enum mt_format format;
	uint64_t counter;
	uint32_t family, item;
	bool counters_done, begun, done; /* begun: the family's head is written */
};

void mt_exposition_begin(struct mt_exposition *e, const struct mt_metrics *m, enum mt_format f);
bool mt_exposition_next(struct mt_exposition *e, struct mt_sink *out);

/* ---- OTLP ----------------------------------------------------------------------------------- */

/*
 * otlp.c: builds requests of OpenTelemetry's protocol, one after another, with the memory of one
 * request.
 */
struct mt_otlp;

/*
 * `resource`: attributes of the measured entity; `start`: when counting started (wall clock, ns).
 * NULL: no memory.
 */
struct mt_otlp *mt_otlp_new(const struct mt_label *resource, uint32_t n, uint64_t start);
void mt_otlp_free(struct mt_otlp *o);
/* Starts an empty request for measurements at `time` (wall clock, ns). */
void mt_otlp_begin(struct mt_otlp *o, uint64_t time);
/* Number of points in the request. */
uint32_t mt_otlp_points(const struct mt_otlp *o);
/* True if memory was short: nothing more is added, and the request cannot be packed. */
bool mt_otlp_failed(const struct mt_otlp *o);
/* Serializes the request; the caller frees the result. NULL: no memory. */
uint8_t *mt_otlp_pack(struct mt_otlp *o, size_t *len);
/*
 * Reads a collector's reply: the number of points that it rejected, and its message ("": none). 0,
 * or -1 if the bytes are not a reply.
 */
int mt_otlp_answer(
	const uint8_t *data, size_t len, uint64_t *rejected, char *words, size_t words_size);
