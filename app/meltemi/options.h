/* SPDX-License-Identifier: Apache-2.0 */
/* Options of a command, from a table. Every command also has --help (-h). */
#pragma once

#include <stdbool.h>

#define OPTIONS_MAX 16

struct option_row {
	const char *name; /* "socket" for --socket; NULL: the end */
	char letter;	  /* 's' for -s; 0: none */
	/* One of these: set to true, gets the argument, or reads it (false: it is wrong). */
	bool *flag;
	const char **text;
	bool (*take)(void *arg, const char *text);
};

/*
 * Reads the options; optind is the first word after them. `words_first`: options may follow words,
 * which getopt_long() moves to the end of argv. Returns -1 to go on, else the exit code, after the
 * usage was printed.
 */
int options_read(const struct option_row *rows, void *arg, bool words_first, const char *usage,
	int argc, char **argv);
/* Prints the usage to stderr; returns EXIT_USAGE. */
int options_wrong(const char *usage);
