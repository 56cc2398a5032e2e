/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include <signal.h>

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {
		{"format", format_tests},
		{"json", json_tests},
		{"endings", endings_tests},
		{"render", render_tests},
		{"sink", sink_tests},
		{"sink file", sink_file_tests},
		{"log", log_tests},
		{"outputs of the log", output_tests},
		{"filter", filter_tests},
		{"kept", kept_tests},
		{"sieve", sieve_tests},
		{"wire", wire_tests},
		{"net", net_tests},
		{0},
	};

	signal(SIGPIPE, SIG_IGN);
	return mt_test_main(suites, argc, argv);
}
