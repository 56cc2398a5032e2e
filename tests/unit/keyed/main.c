/* SPDX-License-Identifier: Apache-2.0 */
/* keyed_mutants --mutant NAME: the same tests with a known bug, which one of them must find. */
#include "suites.h"

#include "mt_mutant.h"
#include "mt_secret_hash.h"

#ifdef MT_MUTANTS
enum mt_mutant mt_mutant_on;

static const struct {
	const char *name;
	enum mt_mutant mutant;
} mutants[] = {
#define MT_KEYED_MUTANT(n, w) {#n, MT_MUTANT_##n},
#include "mutants_keyed.def"
#undef MT_KEYED_MUTANT
};

static void select_mutant(int *argc, char ***argv)
{
	if (*argc < 3 || strcmp((*argv)[1], "--mutant") != 0)
		return;
	for (size_t i = 0; i < MT_ARRAY_LEN(mutants); i++)
		if (strcmp(mutants[i].name, (*argv)[2]) == 0)
			mt_mutant_on = mutants[i].mutant;
	if (mt_mutant_on == MT_MUTANT_NONE) {
		/* Success, which fails a job that expects a bug to be found. */
		fprintf(stderr, "no mutant %s\n", (*argv)[2]);
		exit(EXIT_SUCCESS);
	}
	*argc -= 2;
	*argv += 2;
}
#else
static void select_mutant(int *argc, char ***argv)
{
}
#endif

int main(int argc, char **argv)
{
	const uint8_t secret[16] = {7};
	const struct mt_suite suites[] = {{"buckets", bucket_tests}, {"rules", rule_tests},
#ifdef MT_MUTANTS
		{"schedules", schedule_tests},
#endif

		{"threads", thread_tests}, {"top", top_tests}, {0}};

	/* Which keys share a line follows from it. */
	mt_secret_hash_set_key(secret);
	select_mutant(&argc, &argv);
	return mt_test_main(suites, argc, argv);
}
