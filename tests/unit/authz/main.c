/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_test.h"

extern const struct mt_test rows_tests[], random_tests[], index_tests[];

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {
		{"rows", rows_tests}, {"random", random_tests}, {"index", index_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
