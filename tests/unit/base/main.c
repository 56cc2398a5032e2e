/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {
		{"accept", accept_tests},
		{"addr", addr_tests},
		{"addr hash", addr_hash_tests},
		{"collect", collect_tests},
		{"escape", escape_tests},
		{"file", file_tests},
		{"heap", heap_tests},
		{"hist", hist_tests},
		{"log", log_tests},
		{"std", std_tests},
		{"maps", maps_tests},
		{"region", region_tests},
		{"siphash", siphash_tests},
		{"slab", slab_tests},
		{"sockaddr", sockaddr_tests},
		{"table", table_tests},
		{"utf8", utf8_tests},
		{"varint", varint_tests},
		{"wheel", wheel_tests},
		{0},
	};

	return mt_test_main(suites, argc, argv);
}
