/* SPDX-License-Identifier: Apache-2.0 */
/* unit_mutants --mutant NAME: the tests of single files with a known bug, which one of them must find. */
#include "mt_test.h"
#include "mutant_select.h"

extern const struct mt_test byte_ring_tests[], over_tests[];

static const struct mutant_row mutants[] = {
#define MT_UNIT_MUTANT(n, w) {#n, MT_MUTANT_##n},
#include "mutants_unit.def"
#undef MT_UNIT_MUTANT
};

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {
		{"byte_ring", byte_ring_tests}, {"over", over_tests}, {0}};

	mutant_select(mutants, MT_ARRAY_LEN(mutants), &argc, &argv);
	return mt_test_main(suites, argc, argv);
}
