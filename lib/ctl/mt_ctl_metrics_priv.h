/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/ctl: the registry's content, and what one scrape gathers. */
#pragma once

#include "mt_ctl_priv.h"
#include "mt_region.h"

/* ---- scrape.c: what has many series, gathered and bounded --------------------------------------- */

enum mt_series_kind {
	MT_SERIES_SERVICE,  /* labels: host, protocol */
	MT_SERIES_ENDPOINT, /* cluster, address */
	MT_SERIES_ROUTE,    /* host, name, match */
	MT_SERIES_KINDS
};
#define MT_SERIES_LABELS 3

/* How many of each have series of their own; the others are summed up under this name. */
#define MT_SERIES_SERVICES  500
#define MT_SERIES_ENDPOINTS 2000
#define MT_SERIES_ROUTES    2000
#define MT_SERIES_OTHER	    "other"

/* Bounds of latency in the exposition, where buckets of the histogram end (metrics_service.c). */
#define MT_LATENCY_BOUNDS_MAX 40

/* The numbers of a service. Nothing but counters, for lib/telemetry's fold. */
struct mt_service_values {
	struct mt_service_stats stats;
	uint64_t latency[MT_LATENCY_BOUNDS_MAX + 1]; /* between bounds */
	uint64_t request[MT_SIZE_BUCKETS], reply[MT_SIZE_BUCKETS];
};

/* Counters first, which are folded; then gauges. */
struct mt_endpoint_values {
	uint64_t requests, failures, conns_opened;
	uint64_t conns_active, outstanding;
};

struct mt_series {
	const char *label[MT_SERIES_LABELS];
	const char *made;  /* services: labels of "service" as text; others: all labels */
	const char *istio; /* services: Istio's labels as text */
	bool opaque;	   /* services of bytes */
	const uint64_t *values;
	const struct mt_series_example
		*examples; /* services: MT_EXEMPLARS; NULL: none are wanted */
};

/* exemplars.c: the newest of all workers for a power of two of latency, ready to be written. labels NULL: none. */
struct mt_series_example {
	const char *labels;
	uint64_t us, wall;
};

/* One scrape, from its first slice to its last. Series are of the configuration at its begin. */
struct mt_scrape;

struct mt_scrape *mt_scrape_new(struct mt_ctl *c, enum mt_format format);
void mt_scrape_free(struct mt_scrape *s);
/*
 * The next slice: appended to `out`, perhaps nothing yet. false: it was the last one, or *failed: no memory.
 */
bool mt_scrape_next(struct mt_scrape *s, struct mt_sink *out, bool *failed);
/* For collectors, while a slice is made: series `i` of a kind, NULL behind the last. */
const struct mt_series *mt_scrape_series(
	const struct mt_ctl *c, enum mt_series_kind kind, uint32_t i);
/* How many have no series of their own. */
uint32_t mt_scrape_folded(const struct mt_ctl *c, enum mt_series_kind kind);

/* ---- collectors --------------------------------------------------------------------------------- */

/* What a collector works on: the ctl, and which member it shows. */
struct mt_ctl_family {
	struct mt_ctl *c;
	size_t offset; /* in the values of its kind, or in mt_xds_type_info */
};

/* A row of a table of families; the copies of a ctl get their arg at start. */
struct mt_family_row {
	struct mt_family family;
	size_t offset;
};

/* Ended by a row without a name. */
extern const struct mt_family_row mt_families_service[], mt_families_istio[], mt_families_node[],
	mt_families_mesh[], mt_families_identity[];
extern const struct mt_family_row *const mt_family_tables[]; /* all of them, then NULL */

/* metrics_service.c: bounds in microseconds, and how many. */
uint32_t mt_latency_bounds(uint64_t bounds[MT_LATENCY_BOUNDS_MAX]);
/* `all` in microseconds or bytes, per bucket, as the exposition's buckets. */
void mt_fill_service_values(struct mt_service_values *v, const struct mt_service_hist *h);
/* exemplars.c: adds those of a service's index; labels are made in `r`. */
void mt_examples_add(const struct mt_ctl *c, uint32_t index, uint64_t id, struct mt_region *r,
	struct mt_series_example to[MT_EXEMPLARS]);
/*
 * To the buckets that mt_latency_bounds() makes, `n` bounds and one more; values in units of so many a second. NULL: there are none.
 */
const struct mt_example *mt_examples_of(const struct mt_series *s, const uint64_t *bounds,
	uint32_t n, double unit, struct mt_example to[MT_LATENCY_BOUNDS_MAX + 1]);
/* Istio's labels of a service, as text. */
void mt_istio_labels(const struct mt_ctl *c, const char *host, struct mt_text_buf *out);
