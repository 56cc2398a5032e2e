/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"hist", blast_hist_tests}, {"dist", blast_dist_tests},
		{"message", blast_message_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
