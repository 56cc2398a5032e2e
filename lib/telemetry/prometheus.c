/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' text exposition format, version 0.0.4. */
#include "mt_telemetry_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* HELP escapes backslash and newline, values of labels the quote as well. */
static void escaped(struct mt_text_buf *out, const char *s, bool quote)
{
	for (; *s; s++) {
		if (*s == '\\')
			mt_text_bytes(out, "\\\\", 2);
		else if (*s == '\n')
			mt_text_bytes(out, "\\n", 2);
		else if (*s == '"' && quote)
			mt_text_bytes(out, "\\\"", 2);
		else
			mt_text_bytes(out, s, 1);
	}
}

static void labels_open(
	struct mt_text_buf *out, const struct mt_label *labels, uint32_t n, const char *le)
{
	const char *sep = "{";

	for (uint32_t i = 0; i < n; i++, sep = ",") {
		mt_text_add(out, "%s%s=\"", sep, labels[i].name);
		escaped(out, labels[i].value, true);
		mt_text_bytes(out, "\"", 1);
	}
	if (le)
		mt_text_add(out, "%sle=\"%s\"", sep, le);
	if (n || le)
		mt_text_bytes(out, "}", 1);
}

/* Counts as integers, which they are up to 2^53; the rest with all its digits. */
static void number(struct mt_text_buf *out, double v)
{
	if (v >= 0 && v < 9007199254740992.0 && v == floor(v))
		mt_text_add(out, " %.0f\n", v);
	else
		mt_text_add(out, " %.17g\n", v);
}

void mt_sample(struct mt_text_buf *out, const struct mt_family *f, const struct mt_label *labels,
	uint32_t n, double value)
{
	mt_text_add(out, "%s", f->name);
	labels_open(out, labels, n, NULL);
	number(out, value);
}

void mt_sample_histogram(struct mt_text_buf *out, const struct mt_family *f,
	const struct mt_label *labels, uint32_t n, const double *bounds, const uint64_t *counts,
	uint32_t n_bounds, double sum)
{
	/* Buckets of the format are cumulative, ours are not. */
	uint64_t below = 0;
	char le[32];

	for (uint32_t i = 0; i <= n_bounds; i++) {
		below += counts[i];
		if (i < n_bounds)
			snprintf(le, sizeof(le), "%.10g", bounds[i]);
		mt_text_add(out, "%s_bucket", f->name);
		labels_open(out, labels, n, i < n_bounds ? le : "+Inf");
		mt_text_add(out, " %" PRIu64 "\n", below);
	}
	mt_text_add(out, "%s_sum", f->name);
	labels_open(out, labels, n, NULL);
	number(out, sum);
	mt_text_add(out, "%s_count", f->name);
	labels_open(out, labels, n, NULL);
	mt_text_add(out, " %" PRIu64 "\n", below);
}

static void head(struct mt_text_buf *out, const char *name, const char *help, const char *type)
{
	mt_text_add(out, "# HELP %s ", name);
	escaped(out, help, false);
	mt_text_add(out, "\n# TYPE %s %s\n", name, type);
}

int mt_metrics_prometheus(const struct mt_metrics *m, struct mt_text_buf *out)
{
	static const char *const types[] = {
		[MT_COUNTER] = "counter", [MT_GAUGE] = "gauge", [MT_HISTOGRAM] = "histogram"};
	struct mt_metric c;
	uint64_t pos = 0;
	char name[128];

	while (mt_metrics_next(m, &pos, &c)) {
		snprintf(name, sizeof(name), "meltemi_%s_%s_total", c.room, c.name);
		head(out, name, c.words, "counter");
		mt_text_add(out, "%s %" PRIu64 "\n", name, c.value);
	}
	for (uint32_t i = 0; i < m->n_families; i++) {
		const struct mt_family *f = m->families[i];

		head(out, f->name, f->help, types[f->type]);
		f->collect(f->arg, out, f);
	}
	return out->failed ? -ENOMEM : 0;
}
