/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `meltemi import`: what a node would make of a mesh's objects, told before there is a node. Nothing is judged here: meltemid
 * reads, compiles and words it (`--check --json`), for a Node document that differs from the one that is written in its paths
 * only. Needs neither a running daemon nor privileges, and leaves nothing behind but what was asked for.
 */
#pragma once

#include "shell.h"

#include <jansson.h>
#include <limits.h>
#include <stdio.h>

/* No input has more bytes than meltemid reads of one file. */
#define IMPORT_INPUTS 500
#define IMPORT_ARGS   8

struct import_input {
	const char *arg; /* as it was said; "-": standard input */
	char name[16];	 /* in `in`: what meltemid reads it by */
	bool directory, stream;
};

struct import {
	const char *out, *save, *device, *address;
	bool all, force, json;
	struct import_input *inputs;
	uint32_t n;
	char dir[PATH_MAX -
		 64];	/* ours, for as long as we run: "in" holds the inputs or links to them */
	json_t *report; /* what meltemid said, with the paths that the user knows */
	bool trouble;	/* something is refused, or a file could not be read */
	char *node;	/* the document that is written */
	const char *args[IMPORT_ARGS]; /* of meltemid, after those of the Node document */
};

/* Installs signal handlers: from now on signals end calls that wait. */
void import_signals(void);
/* A signal has asked us to end; what waits returns then. */
bool import_stopped(void);
/* Told on stderr. The exit code is the caller's. */
void import_error(const char *fmt, ...) mt_printf(1, 2);

/* import_read.c: every input has a name in dir/in, or it is told why not; all of it is gone again; copies of what no directory holds. */
bool import_read(struct import *m);
void import_clean(struct import *m);
bool import_save(struct import *m);

/* Finds the meltemid of the same build, otherwise the one in PATH. */
void import_daemon(char *path, size_t size);
/*
 * Runs meltemid with m->args on the inputs, and prints its output. Returns its exit status, or
 * EXIT_UNREACHABLE if it cannot be run.
 */
int import_analyse(struct import *m);
/* import_check.c: m->report, or the exit code: the Node cannot be used, or meltemid cannot be run. EXIT_DONE: it is there. */
int import_check(struct import *m);

/* import_node.c: the Node document; `sources`: what it reads, one each; NULL: no memory. Then to its file. */
char *import_node(
	const struct import *m, const char *const *sources, uint32_t n, const char *state);
/* The same for m->out, from what was found: m->node. */
bool import_node_make(struct import *m);
/* The file is not there, or may be replaced. */
bool import_may_write(const struct import *m, const char *path);
bool import_write(
	const struct import *m, const char *path, const char *text, size_t len, mode_t mode);

/* import_page.c, import_groups.c */
void import_page(const struct import *m, FILE *out);

/* A member of an object; "": it has none. */
static inline const char *import_text(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));

	return s ? s : "";
}

int import_run(int argc, char **argv, bool json);
/*
 * analyse.c: runs `analyse` on documents, without a daemon. Returns the exit code, or -1 if the
 * words are a daemon's.
 */
int analyse_run(int argc, char **argv, bool json);
