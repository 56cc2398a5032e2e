/* SPDX-License-Identifier: Apache-2.0 */
/* Formats the steps of a trace as rows; their words come from trace_points.def. */
#include "mt_ctl_trace_priv.h"

#include <stdio.h>
#include <string.h>

#include <rte_cycles.h>

#define NAME_MAX_LEN 24

/* Values of a step that were not yet put into its words. */
struct rest {
	const char *text;
	uint8_t texts, number;
};

static const char *next_text(struct rest *r)
{
	const char *t = r->text;

	if (r->texts == 0)
		return "-";
	r->texts--;
	r->text += strlen(t) + 1;
	return t;
}

/*
 * Replaces "{name:s}" at *p by its value, which is also added to the row under that name; *p
 * advances past it.
 */
static void put_value(const char **p, const struct mt_trace_step *s, struct rest *r, json_t *row,
	struct mt_text_buf *out)
{
	size_t len = strcspn(*p + 1, ":");
	char name[NAME_MAX_LEN];
	const char *text;
	uint64_t n;

	snprintf(name, sizeof(name), "%.*s", (int)len, *p + 1);
	if ((*p)[len + 2] == 's') {
		text = next_text(r);
		mt_text_bytes(out, text, strlen(text));
		json_object_set_new(row, name, mt_json_text(text));
	} else {
		n = r->number < s->n_numbers ? s->numbers[r->number] : 0;
		r->number++;
		mt_text_add(out, "%llu", (unsigned long long)n);
		json_object_set_new(row, name, json_integer((json_int_t)n));
	}
	*p = strchr(*p, '}') + 1;
}

static void put_words(const struct mt_trace_step *s, json_t *fields, struct mt_text_buf *out)
{
	struct rest r = {s->text, s->n_texts, 0};
	const char *p = mt_trace_points[s->point].words;

	while (*p) {
		size_t n = strcspn(p, "{");

		mt_text_bytes(out, p, n);
		p += n;
		if (*p)
			put_value(&p, s, &r, fields, out);
	}
}

/* A packet is named by its number. */
static void name_of(const struct mt_trace_journey *j, uint32_t number, char *buf, size_t size)
{
	const struct mt_slice *name = &j->values.v[MT_EXPR_exchange].text;

	if (!j->packet && j->values.known & MT_EXPR_BIT(exchange) && name->p)
		snprintf(buf, size, "%.*s", (int)name->len, (const char *)name->p);
	else
		snprintf(buf, size, "packet-%u", number);
}

static void add_row(json_t *rows, const struct mt_trace_journey *j, const char *name,
	const struct mt_trace_step *s, double us_per_tick, bool with_fields)
{
	const struct mt_trace_point_row *point = &mt_trace_points[s->point];
	uint64_t since = s->tsc > j->began ? s->tsc - j->began : 0;
	json_t *fields = json_object(), *row;
	struct mt_text_buf words = {0};

	put_words(s, fields, &words);
	row = mt_json_add(rows, MT_M("trace", name), MT_M("us", (double)since * us_per_tick),
		MT_M("cycles", s->cycles), MT_M("library", point->room), MT_M("step", point->name),
		MT_M("what", words.p ? words.p : ""));
	if (with_fields)
		json_object_set(row, "fields", fields);
	json_decref(fields);
	mt_text_fini(&words);
}

void mt_trace_render(
	json_t *rows, const struct mt_trace_journey *j, uint32_t number, bool with_fields)
{
	uint64_t hz = rte_get_tsc_hz();
	double us_per_tick = hz ? 1e6 / (double)hz : 0;
	char name[48];

	name_of(j, number, name, sizeof(name));
	for (uint16_t i = 0; i < j->n_steps; i++)
		add_row(rows, j, name, &j->steps[i], us_per_tick, with_fields);
	if (j->lost)
		json_array_append_new(
			rows, json_pack("{s:s, s:f, s:i, s:s, s:s, s:s, s:o*}", "trace", name, "us",
				      0.0, "cycles", 0, "library", "trace", "step", "lost", "what",
				      "further steps did not fit into the trace", "fields",
				      with_fields ? json_object() : NULL));
}
