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

/* ---- collectors ----------------------------------------------------------------------------- */

enum mt_family_type { MT_COUNTER, MT_GAUGE, MT_HISTOGRAM };

/* One metric with labels; `collect` writes its samples by the calls below. */
struct mt_family {
	const char *name; /* whole: "meltemi_connections", "istio_requests_total" */
	enum mt_family_type type;
	const char *help; /* one sentence */
	void (*collect)(void *arg, struct mt_text_buf *out, const struct mt_family *f);
	void *arg;
};

/* The table outlives the registry. 0 or -ENOMEM. */
int mt_metrics_add_families(struct mt_metrics *m, const struct mt_family *families, uint32_t n);

struct mt_label {
	const char *name, *value;
};

/* One sample; values of labels are escaped. */
void mt_sample(struct mt_text_buf *out, const struct mt_family *f, const struct mt_label *labels,
	uint32_t n, double value);

/* A histogram: counts[i] observations were below bounds[i] and not below bounds[i - 1]; counts has
 * n_bounds + 1 entries, the last one for everything above. */
void mt_sample_histogram(struct mt_text_buf *out, const struct mt_family *f,
	const struct mt_label *labels, uint32_t n, const double *bounds, const uint64_t *counts,
	uint32_t n_bounds, double sum);

/*
 * Everything in Prometheus' text format 0.0.4: counters as meltemi_<room>_<name>_total, then the
 * families. 0, or -ENOMEM.
 */
int mt_metrics_prometheus(const struct mt_metrics *m, struct mt_text_buf *out);
