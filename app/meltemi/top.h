/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The live view: answers of `show` commands, asked again every second, and what changed between two of them.
 * It survives a daemon that ends and is started again.
 */
#pragma once

#include "shell.h"

#include <jansson.h>

enum top_kind { TOP_TEXT, TOP_NUMBER, TOP_RATE /* per second, from the last two answers */ };

struct top_column {
	const char *field, *title;
	enum top_kind kind;
	int width;
};

#define TOP_COLUMNS 10
#define TOP_KEYS    3

/* A table: which command makes it, what its columns are, and where Enter leads. */
struct top_view {
	char key; /* pressed for it */
	const char *name, *command, *rows;
	const char *id[TOP_KEYS]; /* fields that tell one row from another */
	struct top_column columns[TOP_COLUMNS];
	int sort;	     /* column at first */
	int below;	     /* view behind Enter; -1: none */
	const char *narrows; /* field whose text narrows that view to */
	/* Fields of this view of which one must have that text, or be on it: "a 9/10, b 1/10". */
	const char *by[2];
	/* Asks for no others, where there may be more than one answer holds; "ADDRESS:PORT" is their text. NULL: `command`. */
	void (*narrowed)(const char *addr, const char *port, char *line, size_t size);
};

extern const struct top_view top_views[];
extern const int top_n_views;

/* An answer with its time; the one before it is kept for rates. */
struct top_answer {
	json_t *now, *before; /* NULL: none yet */
	json_t *index;	      /* id of a row -> the row in `before` */
	double seconds;	      /* between both */
	double at;
	char error[160]; /* why there is none */
};

enum top_pane { TOP_VERSION, TOP_WORKERS, TOP_STAGES, TOP_TABLE, TOP_PANES };

struct top {
	struct client *client;
	struct top_answer answers[TOP_PANES];
	const struct top_view *view;
	int column; /* sorted by */
	bool reverse, help, lost;
	size_t row, first;		/* selected; at the top of the screen */
	char narrow[6][1024];		/* texts that the view and those above it are narrowed to */
	const struct top_view *path[6]; /* views above */
	int depth;
	json_t **sorted; /* rows of the table as shown; borrowed */
	size_t n_rows;
};

/* Asks all panes again. */
void top_ask(struct top *t);
/* After a change of view: forgets what the table was. */
void top_forget(struct top *t);
/* Sorts and narrows what was last answered into t->sorted. */
void top_arrange(struct top *t);
double top_value(const struct top *t, const json_t *row, const struct top_column *c);
/* Change per second of a row's number between the last two answers of a pane; 0 when there was none. */
double top_rate(const struct top_answer *a, const json_t *row, const char *id, const char *field);
void top_id(const struct top_view *v, const json_t *row, char *id, size_t size);
void top_free(struct top *t);

void top_draw(struct top *t);
