/* SPDX-License-Identifier: Apache-2.0 */
/* Prometheus' text exposition format, version 0.0.4, and OpenMetrics 1.0. */
#include "mt_telemetry_priv.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static void text(struct mt_text_buf *out, const char *s)
{
	mt_text_bytes(out, s, strlen(s));
}

/*
 * HELP escapes backslash and newline; values of labels (and all of OpenMetrics) escape the quote
 * too.
 */
static void escaped(struct mt_text_buf *out, const char *s, bool quote)
{
	const char *special = quote ? "\\\n\"" : "\\\n";

	while (*s) {
		size_t plain = strcspn(s, special);

		mt_text_bytes(out, s, plain);
		s += plain;
		if (!*s)
			return;
		text(out, *s == '\n' ? "\\n" : *s == '"' ? "\\\"" : "\\\\");
		s++;
	}
}

void mt_labels_add(struct mt_text_buf *out, const struct mt_label *labels, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (out->len)
			text(out, ",");
		text(out, labels[i].name);
		text(out, "=\"");
		escaped(out, labels[i].value, true);
		text(out, "\"");
	}
}

static void whole(struct mt_text_buf *out, uint64_t v)
{
	char digits[24], *p = digits + sizeof(digits);

	*--p = '\n';
	do
		*--p = (char)('0' + v % 10);
	while (v /= 10);
	*--p = ' ';
	mt_text_bytes(out, p, (size_t)(digits + sizeof(digits) - p));
}

/* Writes integers up to 2^53 as such, and other values with all their digits. */
static void number(struct mt_text_buf *out, double v)
{
	if (v >= 0 && v < 9007199254740992.0 && v == floor(v))
		whole(out, (uint64_t)v);
	else
		mt_text_add(out, " %.17g\n", v);
}

/* NAME{LABELS,MORE} */
static void series(struct mt_text_buf *out, const char *name, const char *suffix,
	const char *labels, const char *more)
{
	text(out, name);
	text(out, suffix);
	if (!*labels && !*more)
		return;
	text(out, "{");
	text(out, labels);
	if (*labels && *more)
		text(out, ",");
	text(out, more);
	text(out, "}");
}

bool mt_sink_full(const struct mt_sink *out)
{
	return out->otlp ? mt_otlp_full(out->otlp) : mt_slice_full(out->text);
}

void mt_sample(struct mt_sink *out, const struct mt_family *f, const struct mt_label *labels,
	uint32_t n, double value)
{
	struct mt_text_buf made = {0};
	const char *text;

	mt_labels_add(&made, labels, n);
	text = made.p ? made.p : "";
	if (out->otlp) {
		mt_otlp_value(out->otlp, text, value);
	} else {
		series(out->text, f->name, "", text, "");
		number(out->text, value);
		out->text->failed |= made.failed;
	}
	mt_text_fini(&made);
}

void mt_sample_made(struct mt_sink *out, const struct mt_family *f, const char *labels,
	const char *more, uint64_t value)
{
	if (out->otlp) {
		mt_otlp_count(out->otlp, labels, more, value);
		return;
	}
	series(out->text, f->name, "", labels, more);
	whole(out->text, value);
}

/*
 * Writes the count, with the exemplar if there is one. If the bucket's own count is still 0, the
 * exemplar waits for the next scrape.
 */
static void bucket(
	struct mt_text_buf *out, uint64_t below, uint64_t count, const struct mt_example *x)
{
	if (!x || !x->labels || count == 0) {
		whole(out, below);
		return;
	}
	mt_text_add(out, " %" PRIu64 " # {%s} %.9g %" PRIu64 ".%03u\n", below, x->labels, x->value,
		(uint64_t)(x->time / MT_SEC), (unsigned)(x->time % MT_SEC / MT_MSEC));
}

static void text_histogram(struct mt_text_buf *out, const struct mt_family *f, const char *labels,
	const double *bounds, const uint64_t *counts, uint32_t n_bounds, double sum,
	const struct mt_example *examples)
{
	/* Buckets of the format are cumulative; `counts` is not. */
	uint64_t below = 0;
	char le[40];

	for (uint32_t i = 0; i <= n_bounds; i++) {
		below += counts[i];
		/*
		 * Both formats write bounds alike, because bounds are part of the names of series.
		 */
		if (i == n_bounds)
			snprintf(le, sizeof(le), "le=\"+Inf\"");
		else
			snprintf(le, sizeof(le), "le=\"%.10g%s\"", bounds[i],
				bounds[i] == floor(bounds[i]) ? ".0" : "");
		series(out, f->name, "_bucket", labels, le);
		bucket(out, below, counts[i], examples ? &examples[i] : NULL);
	}
	series(out, f->name, "_sum", labels, "");
	number(out, sum);
	series(out, f->name, "_count", labels, "");
	whole(out, below);
}

void mt_sample_histogram(struct mt_sink *out, const struct mt_family *f, const char *labels,
	const double *bounds, const uint64_t *counts, uint32_t n_bounds, double sum,
	const struct mt_example *examples)
{
	if (out->otlp)
		mt_otlp_histogram(out->otlp, labels, bounds, counts, n_bounds, sum);
	else
		text_histogram(out->text, f, labels, bounds, counts, n_bounds, sum, examples);
}

/* ---- formats -------------------------------------------------------------------------------- */

static const char *const types[] = {
	[MT_FORMAT_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
	[MT_FORMAT_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

const char *mt_format_type(enum mt_format f)
{
	return types[f];
}

uint32_t mt_media_quality(const char *range, size_t len)
{
	for (size_t i = 0; i + 2 < len; i++) {
		uint32_t q = 0, scale = 100;

		if (range[i] != ';')
			continue;
		while (++i + 2 < len && range[i] == ' ')
			;
		if ((range[i] | 0x20) != 'q' || range[i + 1] != '=')
			continue;
		if (range[i + 2] == '1')
			return 1000;
		for (size_t k = i + 4; k < len && range[k] >= '0' && range[k] <= '9' && scale;
			k++) {
			q += (uint32_t)(range[k] - '0') * scale;
			scale /= 10;
		}
		return q;
	}
	return 1000;
}

static bool begins(const char *range, size_t len, const char *type)
{
	return len >= strlen(type) && strncasecmp(range, type, strlen(type)) == 0;
}

/* At equal weight the answer is OpenMetrics, because only clients that read it name it. */
enum mt_format mt_format_accepted(const char *accept)
{
	uint32_t open = 0, plain = 0;

	while (accept && *accept) {
		size_t len;

		accept += strspn(accept, ", ");
		len = strcspn(accept, ",");
		if (begins(accept, len, "application/openmetrics-text"))
			open = MT_MAX(open, mt_media_quality(accept, len));
		else if (begins(accept, len, "text/plain") || begins(accept, len, "text/*") ||
			 begins(accept, len, "*/*"))
			plain = MT_MAX(plain, mt_media_quality(accept, len));
		accept += len;
	}
	return open && open >= plain ? MT_FORMAT_OPENMETRICS : MT_FORMAT_TEXT;
}

/* ---- exposition ----------------------------------------------------------------------------- */

static size_t length_without(const char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	return len > n && strcmp(name + len - n, end) == 0 ? len - n : len;
}

/*
 * Writes the lines before the samples. OpenMetrics names a counter's family without _total, and
 * states a unit if the name ends in it.
 */
static void head(struct mt_text_buf *out, enum mt_format format, const char *name,
	enum mt_family_type type, const char *unit, const char *help)
{
	static const char *const words[] = {
		[MT_COUNTER] = "counter", [MT_GAUGE] = "gauge", [MT_HISTOGRAM] = "histogram"};
	bool open = format == MT_FORMAT_OPENMETRICS;
	int n = (int)(open && type == MT_COUNTER ? length_without(name, "_total") : strlen(name));
	int u = (int)strlen(unit);

	mt_text_add(out, "# TYPE %.*s %s\n", n, name, words[type]);
	if (open && u && n > u + 1 && name[n - u - 1] == '_' &&
		strncmp(name + n - u, unit, (size_t)u) == 0)
		mt_text_add(out, "# UNIT %.*s %s\n", n, name, unit);
	mt_text_add(out, "# HELP %.*s ", n, name);
	escaped(out, help, open);
	text(out, "\n");
}

void mt_exposition_begin(struct mt_exposition *e, const struct mt_metrics *m, enum mt_format f)
{
	*e = (struct mt_exposition){.m = m, .format = f};
}

static void begin_family(struct mt_sink *out, enum mt_format format, const char *name,
	enum mt_family_type type, const char *unit, const char *help)
{
	if (out->otlp)
		mt_otlp_family(out->otlp, name, type, unit, help);
	else
		head(out->text, format, name, type, unit, help);
}

static void counters(struct mt_exposition *e, struct mt_sink *out)
{
	struct mt_family f = {.type = MT_COUNTER};
	struct mt_metric c;
	char name[128];

	while (!mt_sink_full(out)) {
		if (!mt_metrics_next(e->m, &e->counter, &c)) {
			e->counters_done = true;
			return;
		}
		snprintf(name, sizeof(name), "meltemi_%s_%s_total", c.room, c.name);
		f.name = name;
		begin_family(out, e->format, name, f.type, mt_unit(c.name), c.words);
		mt_sample_made(out, &f, "", "", c.value);
	}
}

/*
 * Writes the remaining families. In OTLP each call starts its family again, because the request may
 * be new. collect() must have room for an item: one that writes none is at its end.
 */
static void families(struct mt_exposition *e, struct mt_sink *out)
{
	while (e->family < e->m->n_families && !mt_sink_full(out)) {
		const struct mt_family *f = e->m->families[e->family];

		if (!e->begun || out->otlp)
			begin_family(out, e->format, f->name, f->type, f->unit, f->help);
		e->begun = true;
		if (mt_sink_full(out))
			return;
		e->item = f->collect(f->arg, out, f, e->item);
		e->family += e->item == 0;
		e->begun = e->item != 0;
	}
}

bool mt_exposition_next(struct mt_exposition *e, struct mt_sink *out)
{
	if (!e->counters_done)
		counters(e, out);
	if (e->counters_done)
		families(e, out);
	if (!e->counters_done || e->family < e->m->n_families)
		return out->otlp ? !mt_otlp_failed(out->otlp) : !out->text->failed;
	if (!e->done && !out->otlp && e->format == MT_FORMAT_OPENMETRICS)
		text(out->text, "# EOF\n");
	e->done = true;
	return false;
}
