/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include <signal.h>

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"map", map_tests}, {"map_listener", map_listener_tests},
		{"map_limits", map_limits_tests}, {"map_access_log", map_access_log_tests},
		{"map_refuse", map_refuse_tests}, {"map_digest", map_digest_tests},
		{"map_workload", map_workload_tests}, {"bootstrap", bootstrap_tests},
		{"bootstrap_table", bootstrap_table_tests}, {"xds", xds_tests},
		{"trial", trial_tests}, {"demand", demand_tests}, {"dns", dns_tests},
		{"names", names_tests}, {"version", version_tests}, {0}};

	/* As the daemon does: OpenSSL writes to sockets whose other end is gone. */
	signal(SIGPIPE, SIG_IGN);
	return mt_test_main(suites, argc, argv);
}
