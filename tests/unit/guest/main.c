/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"dhcp", dhcp_tests}, {"captured", captured_tests},
		{"check", check_tests}, {"answer", answer_tests}, {"gateway6", gateway6_tests},
		{"dhcp6", dhcp6_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
