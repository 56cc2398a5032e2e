/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"outlier", outlier_tests}, {"careful", careful_tests},
		{"pick", pick_tests}, {"registry", registry_tests},
		{"retry budget", retry_budget_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
