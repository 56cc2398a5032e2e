/* SPDX-License-Identifier: Apache-2.0 */
/* Every suite runs twice: the fast path may change nothing but speed. */
#include "world.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {
		{"open", open_tests},
		{"data", data_tests},
		{"loss", loss_tests},
		{"recovery", recovery_tests},
		{"walk", walk_tests},
		{"ecn", ecn_tests},
		{"share", share_tests},
		{"eviction", evict_tests},
		{"crowd", crowd_tests},
		{"window", window_tests},
		{"close", close_tests},
		{"reclaim", reclaim_tests},
		{"guard", guard_tests},
		{"wait", wait_tests},
		{"silence", silence_tests},
		{"memory", memory_tests},
		{"table", table_tests},
		{"congestion", cc_tests},
		{"found", found_tests},
		{"ignored", ignore_tests},
		{0},
	};
	int rc = 0;

	for (int pass_no = 0; pass_no < 2; pass_no++) {
		slow_path_only = pass_no == 1;
		printf("-- %s\n", slow_path_only ? "slow path only" : "with the fast path");
		rc |= mt_test_main(suites, argc, argv);
	}
	return rc;
}
