/* SPDX-License-Identifier: Apache-2.0 */
/* keyed_mutants --mutant NAME: the same tests with a known bug, which one of them must find. */
#include "suites.h"

#include "mt_secret_hash.h"

#ifdef MT_MUTANTS
#include "mutant_select.h"

static const struct mutant_row mutants[] = {
#define MT_KEYED_MUTANT(n, w) {#n, MT_MUTANT_##n},
#include "mutants_keyed.def"
#undef MT_KEYED_MUTANT
};
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
#ifdef MT_MUTANTS
	mutant_select(mutants, MT_ARRAY_LEN(mutants), &argc, &argv);
#endif
	return mt_test_main(suites, argc, argv);
}
