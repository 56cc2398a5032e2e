/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_test.h"

extern const struct mt_test keys_tests[], chains_tests[];

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"keys", keys_tests}, {"chains", chains_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
