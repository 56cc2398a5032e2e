/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `meltemi import`: reports what a node would make of a mesh's objects, before there is a node.
 * meltemid does all checks: it reads, compiles and reports (`--check --json`), with a Node document
 * that differs only in paths from the one written for the user. Needs neither a running daemon nor
 * privileges, and leaves only the files that the user asked for.
 */
#pragma once

#include "shell.h"

#include <limits.h>
#include <stdio.h>

/* The most inputs. None may be larger than a file that meltemid reads. */
#define IMPORT_INPUTS 500
#define IMPORT_ARGS   8
/* The directory in `in` for inputs that are not directories. */
#define IMPORT_FILES "files"

struct import_input {
	const char *arg; /* as given; "-": standard input */
	char name[24];	 /* its path in `in`, where meltemid reads it */
	bool directory, stream;
};

struct import {
	const char *out, *save, *device, *address;
	bool all, force, json;
	struct import_input *inputs;
	uint32_t n;
	char dir[PATH_MAX -
		 64]; /* temporary directory; "in" holds copies of files, and links to directories */
	json_t *report;		       /* meltemid's report, with the user's names for paths */
	bool trouble;		       /* something is refused, or a file could not be read */
	char *node;		       /* the Node document for the user */
	const char *args[IMPORT_ARGS]; /* arguments of meltemid after those for the Node document */
};

/* Installs signal handlers: from now on signals end blocking calls. */
void import_signals(void);
/* True if a signal has asked this program to end; blocking calls return then. */
bool import_stopped(void);

/*
 * import_read.c. Gives every input a name in dir/in; false after a message if one cannot be read.
 * Removes everything again. Saves copies of the inputs that are not directories.
 */
bool import_read(struct import *m);
void import_clean(struct import *m);
bool import_save(struct import *m);

/*
 * Runs meltemid with m->args on the inputs, and prints its output. Returns its exit status, or
 * EXIT_UNREACHABLE if it cannot be run.
 */
int import_analyse(struct import *m);
/*
 * import_check.c: gets m->report. Returns EXIT_DONE, or the exit code after a message if the Node
 * cannot be used or meltemid cannot be run.
 */
int import_check(struct import *m);

/* import_node.c: the text of a Node document with `n` directories as sources; NULL: no memory. */
char *import_node(
	const struct import *m, const char *const *sources, uint32_t n, const char *state);
/* Makes m->node from what was found. False after a message if there is no memory. */
bool import_node_make(struct import *m);
/* True if the file does not exist, or may be replaced; else false after a message. */
bool import_may_write(const struct import *m, const char *path);
bool import_write(
	const struct import *m, const char *path, const char *text, size_t len, mode_t mode);

/* import_page.c, import_groups.c */
void import_page(const struct import *m, FILE *out);

int import_run(int argc, char **argv, bool json);
/*
 * analyse.c: runs `analyse` on documents, without a daemon. Returns the exit code, or -1 if the
 * command is one for the daemon.
 */
int analyse_run(int argc, char **argv, bool json);
