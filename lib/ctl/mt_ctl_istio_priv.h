/* SPDX-License-Identifier: Apache-2.0 */
/* Inside lib/ctl/metrics: labels of Istio's metrics, and series with changed labels. */
#pragma once

#include "mt_ctl_metrics_priv.h"

/* The source of a series' labels, but for its reporter. */
struct mt_istio_series {
	const char *host;
	const struct mt_istio_service *of;
	const struct mt_peer *served;	      /* as in mt_istio_labels() */
	const struct mt_istio_caller *caller; /* likewise */
};

/* ---- istio_labels.c ------------------------------------------------------------------------- */

/* Labels in the order of the exposition. The texts are the series', or in the set itself. */
struct mt_istio_label_set {
	struct mt_label v[24];
	uint32_t n;
	char name[256], ns[128];
	struct mt_peer self;
	const struct mt_peer *source, *destination; /* for source_* and destination_* */
};
void mt_istio_label_set(const struct mt_ctl *c, const struct mt_istio_series *s,
	enum mt_istio_reporter r, struct mt_istio_label_set *to);

/* ---- istio_merge.c: series with changed labels ---------------------------------------------- */

/* Those of one scrape. */
struct mt_istio_merge;

/* In `r`, which must outlive it. NULL: no memory. */
struct mt_istio_merge *mt_istio_merge_new(struct mt_ctl *c, struct mt_region *r);
void mt_istio_merge_free(struct mt_istio_merge *m);
/*
 * The changes of a service, for mt_istio_service.changes; call it for all services before the first
 * row. NULL: no memory, which the region remembers.
 */
const struct mt_istio_changes *mt_istio_changes_of(
	struct mt_istio_merge *m, const struct mt_metric_tags *tags);
/*
 * Adds a row to the series that have its labels. Call it when the values are read, so that no
 * other scrape has added later ones. The region remembers a failure.
 */
void mt_istio_merge_add(struct mt_istio_merge *m, const struct mt_series *row, bool opaque,
	const struct mt_istio_series *s);
/* True if some service changes labels of the metric: all its series are merged. */
bool mt_istio_merges(const struct mt_istio_merge *m, enum mt_istio_metric metric);

/* A series, of one or several rows. */
struct mt_istio_merged {
	const char *labels; /* as text, all of them */
	/* A counter, or what mt_istio_unpack() reads. */
	uint64_t *values;
	struct mt_series_example *examples; /* MT_EXEMPLARS; NULL: none */
};
/* NULL after the last. */
const struct mt_istio_merged *mt_istio_merged_at(
	const struct mt_istio_merge *m, enum mt_istio_metric metric, uint32_t i);
/* The values of a histogram as those of a portion. */
void mt_istio_unpack(
	enum mt_istio_metric metric, const struct mt_istio_merged *g, struct mt_service_values *to);
/* scrape.c: that of the scrape in work; NULL: no labels are changed. */
const struct mt_istio_merge *mt_scrape_merge(const struct mt_ctl *c);
