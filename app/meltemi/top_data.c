/* SPDX-License-Identifier: Apache-2.0 */
/* The data of the live view: answers, rates between them, sorted rows. */
#include "top.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

static void text_of(const json_t *v, char *out, size_t size)
{
	if (json_is_string(v))
		snprintf(out, size, "%s", json_string_value(v));
	else if (json_is_integer(v))
		snprintf(out, size, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else
		out[0] = '\0';
}

void top_id(const struct top_view *v, const json_t *row, char *id, size_t size)
{
	size_t n = 0;

	id[0] = '\0';
	for (int k = 0; k < TOP_KEYS && v->id[k] && n < size; k++) {
		char part[128];

		text_of(json_object_get(row, v->id[k]), part, sizeof(part));
		n += (size_t)snprintf(id + n, size - n, "%s|", part);
	}
}

static json_t *index_of(const struct top_view *v, const json_t *answer)
{
	json_t *index = json_object(), *row;
	char id[400];
	size_t i;

	json_array_foreach(json_object_get(answer, v->rows), i, row)
	{
		top_id(v, row, id, sizeof(id));
		json_object_set(index, id, row);
	}
	return index;
}

static void drop(struct top_answer *a)
{
	json_decref(a->now);
	json_decref(a->before);
	json_decref(a->index);
	a->now = a->before = a->index = NULL;
}

/* Splits "192.0.2.1:80" or "[2001:db8::1]:80"; false if the text is neither. */
static bool cut_address(const char *text, char *addr, size_t size, const char **port)
{
	const char *end = strrchr(text, ':');
	bool brackets = *text == '[';
	size_t n = end ? (size_t)(end - text) : 0;

	if (n < 3 || n >= size || strspn(end + 1, "0123456789") != strlen(end + 1))
		return false;
	memcpy(addr, text + brackets, n);
	addr[brackets ? n - 2 : n] = '\0';
	*port = end + 1;
	return strspn(addr, "0123456789abcdef.:") == strlen(addr);
}

static void command_of(const struct top *t, const struct top_view *v, char *line, size_t size)
{
	const char *text = v == t->view ? t->narrow[t->depth] : "", *port;
	char addr[64];
	size_t n = (size_t)snprintf(line, size, "--json ");

	if (v->narrowed && cut_address(text, addr, sizeof(addr), &port))
		v->narrowed(addr, port, line + n, size - n);
	else
		snprintf(line + n, size - n, "%s", v->command);
}

/* Requests a pane; its current answer becomes the previous one. False if no daemon answers. */
static bool ask(struct top *t, struct top_answer *a, const struct top_view *v)
{
	char line[LINE_MAX_BYTES], *body;
	double at = now();
	json_t *answer;
	int code;

	command_of(t, v, line, sizeof(line));
	code = client_try(t->client, line, &body);
	answer = body ? json_loads(body, 0, NULL) : NULL;
	free(body);
	a->error[0] = '\0';
	if (code != EXIT_DONE) {
		const char *why = json_string_value(json_object_get(answer, "error"));

		snprintf(a->error, sizeof(a->error), "%s", why ? why : "no daemon answers");
		json_decref(answer);
		return code != EXIT_UNREACHABLE;
	}
	json_decref(a->before);
	json_decref(a->index);
	a->before = a->now;
	a->index = a->before ? index_of(v, a->before) : NULL;
	a->now = answer;
	a->seconds = at - a->at;
	a->at = at;
	return true;
}

void top_ask(struct top *t)
{
	static const struct top_view panes[TOP_TABLE] = {
		[TOP_VERSION] = {.command = "show version", .rows = ""},
		[TOP_WORKERS] = {.command = "show workers", .rows = "workers", .id = {"worker"}},
		[TOP_STAGES] = {.command = "show stages",
			.rows = "stages",
			.id = {"worker", "stage"}},
	};

	t->lost = false;
	for (int i = 0; i < TOP_TABLE && !t->lost; i++)
		t->lost = !ask(t, &t->answers[i], &panes[i]);
	t->lost = t->lost || !ask(t, &t->answers[TOP_TABLE], t->view);
}

void top_forget(struct top *t)
{
	drop(&t->answers[TOP_TABLE]);
	t->n_rows = t->row = t->first = 0;
}

double top_rate(const struct top_answer *a, const json_t *row, const char *id, const char *field)
{
	const json_t *old = json_object_get(a->index, id);
	double d;

	if (!old || a->seconds <= 0)
		return 0;
	d = json_number_value(json_object_get(row, field)) -
	    json_number_value(json_object_get(old, field));
	d /= a->seconds;
	/* A restarted daemon counts from zero, and a hostile one may send numbers that overflow. */
	return d > 0 && isfinite(d) ? d : 0;
}

double top_value(const struct top *t, const json_t *row, const struct top_column *c)
{
	char id[400];

	if (c->kind != TOP_RATE)
		return json_number_value(json_object_get(row, c->field));
	top_id(t->view, row, id, sizeof(id));
	return top_rate(&t->answers[TOP_TABLE], row, id, c->field);
}

static const struct top *arranging; /* qsort has no argument for it */

static int in_order(const void *a, const void *b)
{
	const struct top *t = arranging;
	const json_t *x = *(json_t *const *)a, *y = *(json_t *const *)b;
	const struct top_column *c = &t->view->columns[t->column];
	int sign = t->reverse ? -1 : 1;

	if (c->kind == TOP_TEXT) {
		char tx[256], ty[256];

		text_of(json_object_get(x, c->field), tx, sizeof(tx));
		text_of(json_object_get(y, c->field), ty, sizeof(ty));
		return sign * strcmp(tx, ty);
	}
	return sign * ((top_value(t, x, c) < top_value(t, y, c)) -
			      (top_value(t, x, c) > top_value(t, y, c)));
}

/*
 * True if the name is in a list of destinations such as "cluster 9/10, other 1/10", or is all of
 * it.
 */
static bool listed(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *at = list; n && (at = strstr(at, name)) != NULL; at++) {
		bool begins = at == list || (at >= list + 2 && memcmp(at - 2, ", ", 2) == 0);

		if (begins && (at[n] == '\0' || at[n] == ' ' || at[n] == ','))
			return true;
	}
	return false;
}

/* True if the row belongs to the text that was selected in the view above. */
static bool belongs(const struct top_view *v, const json_t *row, const char *text)
{
	if (!*text)
		return true;
	for (size_t i = 0; i < MT_ARRAY_LEN(v->by) && v->by[i]; i++) {
		const char *have = json_string_value(json_object_get(row, v->by[i]));

		if (have && listed(text, have))
			return true;
	}
	return false;
}

void top_arrange(struct top *t)
{
	json_t *rows = json_object_get(t->answers[TOP_TABLE].now, t->view->rows), *row;
	size_t n = json_array_size(rows), i;

	free(t->sorted);
	t->sorted = calloc(n + 1, sizeof(t->sorted[0]));
	t->n_rows = 0;
	if (!t->sorted)
		return;
	json_array_foreach(rows, i, row)
	{
		if (belongs(t->view, row, t->narrow[t->depth]))
			t->sorted[t->n_rows++] = row;
	}
	arranging = t;
	qsort(t->sorted, t->n_rows, sizeof(t->sorted[0]), in_order);
	if (t->row >= t->n_rows)
		t->row = t->n_rows ? t->n_rows - 1 : 0;
}

void top_free(struct top *t)
{
	for (int i = 0; i < TOP_PANES; i++)
		drop(&t->answers[i]);
	free(t->sorted);
}
