/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of the live view, and its start and end. */
#include "top.h"

#include <curses.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TICK_MS 1000

static volatile sig_atomic_t ended;

static void on_end(int sig)
{
	ended = sig;
}

static void go(struct top *t, const struct top_view *v)
{
	t->view = v;
	t->column = v->sort;
	t->reverse = false;
	top_forget(t);
	top_ask(t);
}

static void go_in(struct top *t)
{
	const struct top_view *v = t->view;
	const char *text;

	if (v->below < 0 || t->row >= t->n_rows || t->depth + 1 == (int)MT_ARRAY_LEN(t->path))
		return;
	text = json_string_value(json_object_get(t->sorted[t->row], v->narrows));
	t->path[t->depth++] = v;
	snprintf(t->narrow[t->depth], sizeof(t->narrow[0]), "%s", text ? text : "");
	go(t, &top_views[v->below]);
}

static void go_back(struct top *t)
{
	if (t->depth > 0)
		go(t, t->path[--t->depth]);
}

static void sort_by(struct top *t, int step)
{
	int next = t->column + step;

	if (next >= 0 && next < TOP_COLUMNS && t->view->columns[next].field)
		t->column = next;
}

static void choose(struct top *t, int step)
{
	if (step < 0 && t->row < (size_t)-step)
		t->row = 0;
	else
		t->row += (size_t)step;
}

/* Handles a key; false if the user leaves. */
static bool key(struct top *t, int ch)
{
	t->help = ch == 'h' || ch == '?';
	switch (ch) {
	case 'q':
		return false;
	case KEY_UP:
		choose(t, -1);
		break;
	case KEY_DOWN:
		choose(t, 1);
		break;
	case KEY_PPAGE:
		choose(t, -LINES / 2);
		break;
	case KEY_NPAGE:
		choose(t, LINES / 2);
		break;
	case '\n':
	case KEY_ENTER:
		go_in(t);
		break;
	case KEY_BACKSPACE:
	case 127:
	case '\b':
		go_back(t);
		break;
	case '<':
		sort_by(t, -1);
		break;
	case '>':
		sort_by(t, 1);
		break;
	case 'R':
		t->reverse = !t->reverse;
		break;
	}
	for (int i = 0; i < top_n_views; i++)
		if (ch == top_views[i].key) {
			t->depth = 0;
			t->narrow[0][0] = '\0';
			go(t, &top_views[i]);
		}
	return true;
}

static void loop(struct top *t)
{
	while (!ended) {
		int ch;

		top_draw(t);
		timeout(t->answers[TOP_TABLE].before || t->lost ? TICK_MS : TICK_MS / 4);
		ch = getch();
		if (ended || (ch != ERR && !key(t, ch)))
			break;
		/* Keys do not cause more requests. */
		if (ch == ERR)
			top_ask(t);
	}
}

int top_run(struct client *c)
{
	static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction act = {.sa_handler = on_end, .sa_flags = SA_RESTART},
			 old[MT_ARRAY_LEN(ends)];
	struct top t = {.client = c};

	if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO)) {
		fprintf(stderr,
			"meltemi: top needs a terminal; `--watch 1 show services` does not\n");
		return EXIT_USAGE;
	}
	ended = 0;
	for (size_t i = 0; i < MT_ARRAY_LEN(ends); i++)
		sigaction(ends[i], &act, &old[i]);
	if (!initscr())
		return EXIT_REFUSED;
	cbreak();
	noecho();
	keypad(stdscr, TRUE);
	curs_set(0);
	go(&t, &top_views[0]);
	loop(&t);
	endwin();
	top_free(&t);
	for (size_t i = 0; i < MT_ARRAY_LEN(ends); i++)
		sigaction(ends[i], &old[i], NULL);
	return ended == SIGTERM || ended == SIGHUP ? 128 + ended : EXIT_DONE;
}
