/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"drain", drain_tests}, {"node_diff", node_diff_tests},
		{"publish", publish_tests}, {"settings", settings_tests}, {"state", state_tests},
		{"tell", tell_tests}, {"workers", workers_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
