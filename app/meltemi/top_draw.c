/* SPDX-License-Identifier: Apache-2.0 */
#include "top.h"

#include <curses.h>
#include <stdio.h>
#include <string.h>

#define BAR 24

/* At most four characters before the unit: "12.3k". */
static void short_number(double v, char *out, size_t size)
{
	static const char units[] = " kMGT";
	int u = 0;

	while (v >= 10000 && u < 4) {
		v /= 1000;
		u++;
	}
	if (u)
		snprintf(out, size, "%.*f%c", v < 100 ? 1 : 0, v, units[u]);
	else
		snprintf(out, size, "%.*f", v > 0 && v < 10 && v > (double)(int)v ? 1 : 0, v);
}

static const char *member(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "-";
}

static void head(const struct top *t)
{
	const json_t *v = t->answers[TOP_VERSION].now;
	json_int_t up = json_integer_value(json_object_get(v, "uptime_s"));
	char line[256];

	snprintf(line, sizeof(line),
		" meltemi top  %s  %s  configuration %lld  up %lld:%02lld:%02lld",
		member(v, "node"), t->lost ? "-" : member(v, "state"),
		json_integer_value(json_object_get(v, "configuration")), up / 3600, up / 60 % 60,
		up % 60);
	attron(A_REVERSE);
	mvprintw(0, 0, "%-*.*s", COLS, COLS, line);
	if (t->lost)
		mvprintw(0, MT_MAX(0, COLS - 36), " no daemon answers; trying again ");
	attroff(A_REVERSE);
}

/*
 * Draws how the worker's busy time since the last answer divides among stages, by their first
 * letters.
 */
static void stages(const struct top *t, json_int_t worker, double busy)
{
	const struct top_answer *a = &t->answers[TOP_STAGES];
	const json_t *rows = json_object_get(a->now, "stages");
	double total = 0, share[32] = {0};
	size_t n = 0, i;
	int put = 0;
	json_t *row;

	json_array_foreach((json_t *)rows, i, row)
	{
		char id[128];

		if (json_integer_value(json_object_get(row, "worker")) != worker || n == 32)
			continue;
		snprintf(id, sizeof(id), "%lld|%s|", worker, member(row, "stage"));
		share[n] = top_rate(a, row, id, "cycles");
		total += share[n++];
	}
	n = 0;
	json_array_foreach((json_t *)rows, i, row)
	{
		int len;

		if (json_integer_value(json_object_get(row, "worker")) != worker || n == 32)
			continue;
		len = total > 0 ? (int)(busy * BAR * (share[n] / total) + 0.5) : 0;
		for (int k = 0; k < len && put < BAR; k++, put++)
			addch((chtype)member(row, "stage")[0] | (n % 2 ? A_BOLD : A_NORMAL));
		n++;
	}
	for (; put < BAR; put++)
		addch(' ');
}

/* Draws the workers and returns the number of lines. */
static int workers(const struct top *t, int y, int max)
{
	const struct top_answer *a = &t->answers[TOP_WORKERS];
	const json_t *rows = json_object_get(a->now, "workers");
	int n = (int)json_array_size(rows);

	for (int i = 0; i < n && i < max; i++) {
		const json_t *row = json_array_get(rows, (size_t)i);
		char id[32];
		double busy;

		snprintf(id, sizeof(id), "%lld|",
			json_integer_value(json_object_get(row, "worker")));
		busy = MT_MIN(top_rate(a, row, id, "work_ms") / 1000, 1.0);
		mvprintw(y + i, 0, "worker %-2lld [",
			json_integer_value(json_object_get(row, "worker")));
		stages(t, json_integer_value(json_object_get(row, "worker")), busy);
		printw("] %3.0f%% busy %7lld conns", 100 * busy,
			json_integer_value(json_object_get(row, "connections")));
	}
	if (n > max)
		printw("  +%d workers", n - max);
	return MT_MIN(n, max);
}

/* The width of a column at x. The last text column gets the rest of the line; 0: no space. */
static int width_at(const struct top_column *c, int x)
{
	if (x + c->width <= COLS)
		return c->width;
	return c->kind == TOP_TEXT && COLS - x >= 8 ? COLS - x : 0;
}

static void titles(const struct top *t, int y)
{
	int x = 0;

	move(y, 0);
	clrtoeol();
	attron(A_BOLD);
	for (int k = 0; k < TOP_COLUMNS && t->view->columns[k].field; k++) {
		const struct top_column *c = &t->view->columns[k];

		int width = width_at(c, x);

		if (!width)
			break;
		if (k == t->column)
			attron(A_UNDERLINE);
		mvprintw(y, x, c->kind == TOP_TEXT ? "%-*.*s" : "%*.*s", c->width, c->width,
			c->title);
		attroff(A_UNDERLINE);
		x += width + 1;
	}
	attroff(A_BOLD);
}

static void row(const struct top *t, int y, const json_t *r, bool selected)
{
	int x = 0;

	if (selected)
		attron(A_REVERSE);
	mvprintw(y, 0, "%*s", COLS, "");
	for (int k = 0; k < TOP_COLUMNS && t->view->columns[k].field; k++) {
		const struct top_column *c = &t->view->columns[k];
		int width = width_at(c, x);
		char text[256];

		if (!width)
			break;
		if (c->kind == TOP_TEXT)
			snprintf(text, sizeof(text), "%s", member(r, c->field));
		else if (!json_object_get(r, c->field))
			snprintf(text, sizeof(text), "-");
		else
			short_number(top_value(t, r, c), text, sizeof(text));
		mvprintw(y, x, c->kind == TOP_TEXT ? "%-*.*s" : "%*.*s", width, width, text);
		x += width + 1;
	}
	attroff(A_REVERSE);
}

static void foot(const struct top *t)
{
	char line[256];

	snprintf(line, sizeof(line), "%s%s%s %zu", t->view->name, t->depth ? " of " : "",
		t->depth ? t->narrow[t->depth] : "", t->n_rows);
	mvprintw(LINES - 1, 0, "%-*.*s", MT_MAX(COLS - 1, 0), MT_MAX(COLS - 1, 0), line);
	if (COLS > 60)
		mvprintw(LINES - 1, COLS - 45, "Enter in  Bksp back  <> sort  h help  q quit");
}

static void help(void)
{
	static const char *const lines[] = {"s services   r routes     e endpoints",
		"c connections x exchanges  l slow calls  w workers",
		"up/down, PgUp/PgDn  choose a row", "Enter               what is below the row",
		"Backspace           back", "< >                 sort by the previous, next column",
		"R                   the other way round", "h                   this help",
		"q                   leave"};

	for (size_t i = 0; i < MT_ARRAY_LEN(lines); i++)
		mvprintw(4 + (int)i, 4, " %-56s", lines[i]);
}

void top_draw(struct top *t)
{
	int y, body;

	erase();
	head(t);
	y = 1 + workers(t, 1, MT_MAX(1, LINES / 4));
	titles(t, y++);
	body = LINES - 1 - y;
	top_arrange(t);
	if (t->row < t->first)
		t->first = t->row;
	if (body > 0 && t->row >= t->first + (size_t)body)
		t->first = t->row - (size_t)body + 1;
	for (int i = 0; i < body && t->first + (size_t)i < t->n_rows; i++)
		row(t, y + i, t->sorted[t->first + (size_t)i], t->first + (size_t)i == t->row);
	if (t->answers[TOP_TABLE].error[0])
		mvprintw(y + 1, 2, "%s", t->answers[TOP_TABLE].error);
	foot(t);
	if (t->help)
		help();
	refresh();
}
