/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_test.h"

extern const struct mt_test x509_tests[], credential_tests[];

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {
		{"x509", x509_tests}, {"credentials", credential_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
