/* SPDX-License-Identifier: Apache-2.0 */
#include "mutants.h"

#include "mt_mutant.h"

#include <stdio.h>
#include <string.h>

enum mt_mutant mt_mutant_on;

static const struct {
	const char *name, *words;
} mutants[MT_MUTANT_N] = {
#define MT_MUTANT(n, w) [MT_MUTANT_##n] = {#n, w},
#include "mutants.def"
#undef MT_MUTANT
};

bool sim_mutant_select(const char *name)
{
	for (uint32_t i = 1; i < MT_MUTANT_N; i++)
		if (strcmp(mutants[i].name, name) == 0) {
			mt_mutant_on = i;
			return true;
		}
	return false;
}

void sim_mutants_list(void)
{
	for (uint32_t i = 1; i < MT_MUTANT_N; i++)
		printf("%-28s %s\n", mutants[i].name, mutants[i].words);
}
