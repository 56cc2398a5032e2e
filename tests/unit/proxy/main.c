/* SPDX-License-Identifier: Apache-2.0 */
#include "scene.h"

#include "../../eal_unpinned.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"calls", calls_tests}, {"long messages", long_tests},
		{"awkward ends", ends_tests}, {"bounds", bounds_tests}, {"rebind", rebind_tests},
		{"admission", admit_tests}, {"life", life_tests},
		{"awaiting clusters", await_tests}, {"record", record_tests},
		{"stray", stray_tests}, {"waits", waits_tests}, {"reading", reading_tests},
		{"eviction", evict_tests}, {"sent again", repeat_tests},
		{"joined again", rejoin_tests}, {"queue", queue_tests}, {"wide", wide_tests},
		{"window", window_tests}, {"silence", silence_tests},
		{"one-way calls", oneway_tests}, {"unacknowledged one-way calls", unacked_tests},
		{"guarded endpoints", guard_tests}, {"mirrors", mirror_tests},
		{"secured endpoints", secure_tests}, {"winding up", wind_up_tests},
		{"filters", filters_tests}, {"filter chains", chain_tests},
		{"undecided clients", undecided_tests},
		{"ends of chain selection", undecided_ends_tests}, {"image", image_tests},
		{"whose reply it is", match_tests},
		{"whose reply it is, on the wire", match_wire_tests}, {"tokens", tokens_tests},
		{"asks", asks_tests}, {"dubbo", dubbo_tests}, {"cut off", cut_tests},
		{"closed by clients", leave_tests},
		{"calls that wait for an answer", waiting_tests}, {0}};
	char *eal[] = {"unit", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=error", "-l", "0"};
	int rc;

	if (eal_init_unpinned(MT_ARRAY_LEN(eal), eal) < 0 || mt_buf_init() ||
		mt_pools_init(&lab.pools, "t", 4096, 4096, MT_BUF_DATA_ROOM, SOCKET_ID_ANY)) {
		fprintf(stderr, "EAL does not start\n");
		return EXIT_FAILURE;
	}
	scene_full();
	rc = mt_test_main(suites, argc, argv);
	mt_pools_fini(&lab.pools);
	return rc;
}
