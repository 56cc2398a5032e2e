/* SPDX-License-Identifier: Apache-2.0 */
#include "scene.h"

#include "../../eal_unpinned.h"
#include "../../states_seen.h"

#include <stdio.h>

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"calls", calls_tests}, {"long messages", long_tests},
		{"awkward ends", ends_tests}, {"bounds", bounds_tests},
		{"snapshot move", snapshot_move_tests}, {"admission", admit_tests},
		{"portions of calls", portion_tests}, {"life", life_tests},
		{"on-demand clusters", on_demand_tests}, {"record", record_tests},
		{"call log", call_log_tests}, {"metadata in the log", log_metadata_tests},
		{"endings", endings_tests}, {"stray", stray_tests}, {"waits", waits_tests},
		{"fates", fates_tests}, {"run of a call", run_tests}, {"reading", reading_tests},
		{"eviction", evict_tests}, {"sent again", retry_tests},
		{"retry policy", again_tests}, {"retry budget", budget_tests},
		{"held back", held_back_tests}, {"joined again", rejoin_tests},
		{"queue", queue_tests}, {"wide", wide_tests}, {"window", window_tests},
		{"silence", silence_tests}, {"one-way calls", oneway_tests},
		{"unacknowledged one-way calls", unacked_tests}, {"authorization", authorize_tests},
		{"denied callers", denied_tests}, {"trace contexts", context_tests},
		{"trace contexts of protocols", context_protocols_tests}, {"mirrors", mirror_tests},
		{"fates of copies", mirror_fates_tests}, {"local replies", natives_tests},
		{"secured endpoints", secure_tests}, {"drain", drain_tests},
		{"closed by an operator", close_tests}, {"drain of the worker", worker_drain_tests},
		{"filters", filters_tests}, {"filter chains", chain_tests},
		{"chain selection", chain_selection_tests},
		{"ends of chain selection", chain_selection_ends_tests}, {"chosen", chosen_tests},
		{"image", image_tests}, {"whose reply it is", match_tests},
		{"whose reply it is, on the wire", match_wire_tests}, {"tokens", tokens_tests},
		{"external authorization", ext_authz_tests}, {"layers of changes", layers_tests},
		{"dubbo", dubbo_tests}, {"codec that is data", codec_data_tests},
		{"versions of a codec file", codec_versions_tests},
		{"codec file", codec_file_tests}, {"cut off", cut_tests},
		{"closed by clients", leave_tests},
		{"calls that wait for an answer", waiting_tests},
		{"limits of the node", node_limits_tests},
		{"time of a message", message_time_tests},
		{"time-outs of calls in doubt", oneway_late_tests},
		{"filters that wait at replies", reply_wait_tests},
		{"global rate limits", global_limit_tests},
		{"global rate limits of opaque streams", opaque_limit_tests},
		{"after a filter's wait", resumed_tests},
		{"while somebody is asked", ext_authz_waits_tests}, {0}};
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
	states_seen();
	mt_pools_fini(&lab.pools);
	return rc;
}
