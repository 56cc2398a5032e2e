/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include <signal.h>

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"pb", pb_tests}, {"grpc", grpc_tests},
		{"names", names_tests}, {"resolve", resolve_tests}, {0}};

	/* As the daemon does: OpenSSL writes to sockets whose other end is gone. */
	signal(SIGPIPE, SIG_IGN);
	return mt_test_main(suites, argc, argv);
}
