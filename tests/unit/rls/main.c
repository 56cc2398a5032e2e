/* SPDX-License-Identifier: Apache-2.0 */
#include "rls_test.h"

#include <signal.h>

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"query", query_tests}, {"answer", answer_tests},
		{"over", over_tests}, {"grants", grants_tests}, {"client", client_tests}, {0}};

	signal(SIGPIPE, SIG_IGN);
	return mt_test_main(suites, argc, argv);
}
