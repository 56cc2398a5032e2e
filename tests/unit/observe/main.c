/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {
		{"byte ring", byte_ring_tests},
		{"capture", capture_tests},
		{"ending", ending_tests},
		{"exemplar", exemplar_tests},
		{"expr", expr_tests},
		{"record", record_tests},
		{"span", span_tests},
		{"trace", trace_tests},
		{0},
	};

	return mt_test_main(suites, argc, argv);
}
