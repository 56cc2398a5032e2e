/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_test.h"

extern const struct mt_test token_tests[], jwks_tests[], cache_tests[], names_tests[], pool_tests[];

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"tokens", token_tests}, {"jwks", jwks_tests},
		{"names", names_tests}, {"cache", cache_tests}, {"pool", pool_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
