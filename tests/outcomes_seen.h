/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which outcomes a test program brought about: where a test ends what counts, it says so here, and with
 * MELTEMI_OUTCOMES=FILE in the environment a line "room outcome" is added to that file for each counter
 * that moved. tests/lint/outcome_rows.py merges them: a row that no test reaches has a reason there.
 */
#pragma once

#include "mt_outcome.h"

#include <stdio.h>
#include <stdlib.h>

static inline void outcomes_seen(const struct mt_outcome_set *set, const uint64_t *counters)
{
	const char *path = getenv("MELTEMI_OUTCOMES");
	FILE *f = path ? fopen(path, "a") : NULL;

	for (uint32_t i = 0; f && counters && i < set->n; i++)
		if (counters[i])
			fprintf(f, "%s %s\n", set->room, set->rows[i].name);
	if (f)
		fclose(f);
}
