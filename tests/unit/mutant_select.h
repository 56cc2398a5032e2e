/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PROGRAM --mutant NAME [TEST]: the unit tests with a known bug (mt_mutant.h), which one of them
 * must find. For the main file of a program that is compiled with MT_MUTANTS.
 */
#pragma once

#include "mt_mutant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mutant_row {
	const char *name;
	enum mt_mutant mutant;
};

enum mt_mutant mt_mutant_on;

/* Selects the mutant that the arguments name, and removes its two arguments. */
static inline void mutant_select(const struct mutant_row *rows, size_t n, int *argc, char ***argv)
{
	if (*argc < 3 || strcmp((*argv)[1], "--mutant") != 0)
		return;
	for (size_t i = 0; i < n; i++)
		if (strcmp(rows[i].name, (*argv)[2]) == 0)
			mt_mutant_on = rows[i].mutant;
	if (mt_mutant_on == MT_MUTANT_NONE) {
		/* Success, which fails a job that expects a bug to be found. */
		fprintf(stderr, "no mutant %s\n", (*argv)[2]);
		exit(EXIT_SUCCESS);
	}
	*argc -= 2;
	*argv += 2;
}
