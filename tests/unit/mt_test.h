/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every unit program shares: a suite is a table of named functions, main() runs the suites given
 * and returns non-zero when an assertion failed. Usage:
 *
 *	static const struct mt_test tests[] = {{"name", function}, {0}};
 *	int main(int argc, char **argv)
 *	{
 *		const struct mt_suite suites[] = {{"suite", tests}, {0}};
 *		return mt_test_main(suites, argc, argv);
 *	}
 *
 * With one argument, only tests whose name contains it, or whose suite it names, are run; if there is none, that has failed.
 */
#pragma once

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mt_test {
	const char *name;
	void (*run)(void);
};

struct mt_suite {
	const char *name;
	const struct mt_test *tests;
};

static inline int mt_test_main(const struct mt_suite *suites, int argc, char **argv)
{
	const char *only = argc > 1 ? argv[1] : "";
	unsigned int failed, n = 0;

	if (CU_initialize_registry() != CUE_SUCCESS)
		return EXIT_FAILURE;
	for (const struct mt_suite *s = suites; s->name; s++) {
		CU_pSuite suite = CU_add_suite(s->name, NULL, NULL);

		for (const struct mt_test *t = s->tests; t->name; t++)
			if (strstr(t->name, only) || strcmp(s->name, only) == 0) {
				CU_add_test(suite, t->name, t->run);
				n++;
			}
	}
	if (n == 0) {
		fprintf(stderr, "no test's name contains \"%s\"\n", only);
		return EXIT_FAILURE;
	}
	if (CU_get_registry()->uiNumberOfTests == 0) {
		fprintf(stderr, "no test has \"%s\" in its name\n", only);
		CU_cleanup_registry();
		return EXIT_FAILURE;
	}
	CU_basic_set_mode(CU_BRM_NORMAL);
	CU_basic_run_tests();
	failed = CU_get_number_of_failures();
	CU_cleanup_registry();
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
