/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"
#include "pool_sim.h"
#include "report.h"

#include "mt_buf.h"

#include <rte_eal.h>

static bool eal(void)
{
	static char *args[] = {"sim", "--no-huge", "-m", "512", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=error", "-l", "0", NULL};

	return rte_eal_init(MT_ARRAY_LEN(args) - 1, args) >= 0 && mt_buf_init() == 0;
}

int main(int argc, char **argv)
{
	static struct sim sim;
	struct sim_report report = {0};
	struct sim_options opt;
	int rc = sim_options_parse(argc, argv, &opt);
	bool ok;

	if (rc >= 0)
		return rc;
	if (!eal()) {
		fprintf(stderr, "sim: DPDK's EAL did not start (is 512 MB of memory free?)\n");
		return 1;
	}
	for (uint64_t seed = opt.seed_from; seed <= opt.seed_to; seed++) {
		sim_seed_run(&sim, &opt, seed);
		sim_report_add(&report, &sim);
		if (sim.failed) {
			sim_report_failure(&sim);
			if (!opt.keep_going)
				break;
		}
	}
	ok = sim_report_print(&report, &opt);
	sim_pools_reset();
	free(sim.heap);
	return ok && !report.failed ? 0 : 1;
}
