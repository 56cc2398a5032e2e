/* SPDX-License-Identifier: Apache-2.0 */
#include "wire.h"

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"query", query_tests}, {"table", table_tests},
		{"answer", answer_tests}, {"server", server_tests}, {"aside", aside_tests},
		{"loop", loop_tests}, {0}};

	return mt_test_main(suites, argc, argv);
}
