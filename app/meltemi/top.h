/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live view: repeats `show` commands every second, and shows what changed between two answers.
 * It continues when the daemon is restarted.
 */
#pragma once

#include "shell.h"

enum top_kind { TOP_TEXT, TOP_NUMBER, TOP_RATE /* per second, from the last two answers */ };

struct top_column {
	const char *field, *title;
	enum top_kind kind;
	int width;
};

#define TOP_COLUMNS 10
#define TOP_KEYS    3

/* A table: its command and columns, and the view that Enter opens. */
struct top_view {
	char key; /* the key that opens it */
	const char *name, *command, *rows;
	const char *id[TOP_KEYS]; /* fields that identify a row */
	struct top_column columns[TOP_COLUMNS];
	int sort;	     /* the initial column to sort by */
	int below;	     /* the view that Enter opens; -1: none */
	const char *narrows; /* the field whose text selects rows of that view */
	/*
	 * The fields of this view that are compared with that text: one of them must equal it, or
	 * occur in it if it is a list ("a 9/10, b 1/10").
	 */
	const char *by[2];
	/*
	 * Makes a command that returns only the rows for a text "ADDRESS:PORT", because there may
	 * be more rows than fit into one answer. NULL: use `command`.
	 */
	void (*narrowed)(const char *addr, const char *port, char *line, size_t size);
};

extern const struct top_view top_views[];
extern const int top_n_views;

/* An answer and its time; the one before it is kept to compute rates. */
struct top_answer {
	json_t *now, *before; /* NULL: none yet */
	json_t *index;	      /* id of a row -> the row in `before` */
	double seconds;	      /* between the two */
	double at;
	char error[160]; /* why there is no answer */
};

enum top_pane { TOP_VERSION, TOP_WORKERS, TOP_STAGES, TOP_TABLE, TOP_PANES };

struct top {
	struct client *client;
	struct top_answer answers[TOP_PANES];
	const struct top_view *view;
	int column; /* to sort by */
	bool reverse, help, lost;
	size_t row, first; /* selected; first on the screen */
	/* texts that select the rows of the view and of those above it */
	char narrow[6][1024];
	const struct top_view *path[6]; /* views above */
	int depth;
	json_t **sorted; /* the rows as shown; borrowed */
	size_t n_rows;
};

/* Requests the contents of all panes. */
void top_ask(struct top *t);
/* Call after a change of view: discards the table's answers. */
void top_forget(struct top *t);
/* Sorts the selected rows of the last answer into t->sorted. */
void top_arrange(struct top *t);
double top_value(const struct top *t, const json_t *row, const struct top_column *c);
/* The change per second of a row's number between the last two answers of a pane; 0 without two. */
double top_rate(const struct top_answer *a, const json_t *row, const char *id, const char *field);
void top_id(const struct top_view *v, const json_t *row, char *id, size_t size);
void top_free(struct top *t);

void top_draw(struct top *t);
