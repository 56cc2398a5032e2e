/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_telemetry.h"

/* The outcomes of one library and the arrays that count them. */
struct mt_room {
	const struct mt_outcome_set *set;
	const uint64_t **arrays;
	uint32_t n;
};

struct mt_metrics {
	struct mt_room *rooms;
	uint32_t n_rooms;
	const struct mt_family **families;
	uint32_t n_families;
};

/*
 * otlp.c: starts a family, or continues it if it is the current one; its samples follow. Texts of
 * the family must live until the next one.
 */
void mt_otlp_family(struct mt_otlp *o, const char *name, enum mt_family_type type, const char *unit,
	const char *help);
void mt_otlp_count(struct mt_otlp *o, const char *labels, const char *more, uint64_t value);
void mt_otlp_value(struct mt_otlp *o, const char *labels, double value);
void mt_otlp_histogram(struct mt_otlp *o, const char *labels, const double *bounds,
	const uint64_t *counts, uint32_t n_bounds, double sum);
bool mt_otlp_full(const struct mt_otlp *o);
