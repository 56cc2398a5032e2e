/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which changes of state a test program has brought about (lib/proxy/mt_states.h). With
 * MELTEMI_OUTCOMES=FILE in the environment a line "may object from to" is added to that file for each
 * change that the tables allow, and "was object from to" for each that happened.
 * tests/lint/state_changes.py merges the files.
 */
#pragma once

#include "mt_states.h"

#include <stdio.h>
#include <stdlib.h>

static inline void states_of(FILE *f, const struct mt_states *t)
{
	for (uint32_t from = 0; from < t->n; from++)
		for (uint32_t to = 0; to < t->n; to++)
			if (t->may[from][to])
				fprintf(f, "may %s %s %s\n", t->object, t->names[from],
					t->names[to]);
	for (uint32_t from = 0; from < t->n; from++)
		for (uint32_t to = 0; to < t->n; to++)
			if (t->seen[from][to])
				fprintf(f, "was %s %s %s\n", t->object, t->names[from],
					t->names[to]);
}

static inline void states_seen(void)
{
	const char *path = getenv("MELTEMI_OUTCOMES");
	FILE *f = path ? fopen(path, "a") : NULL;

	for (uint32_t i = 0; f && mt_states_all[i]; i++)
		states_of(f, mt_states_all[i]);
	if (f)
		fclose(f);
}
