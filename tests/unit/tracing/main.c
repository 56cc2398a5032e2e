/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {
		{"context", context_tests},
		{"export", export_tests},
		{"otlp", otlp_tests},
		{"zipkin", zipkin_tests},
		{0},
	};

	return mt_test_main(suites, argc, argv);
}
