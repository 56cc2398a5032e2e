/* SPDX-License-Identifier: Apache-2.0 */
#include "jobs.h"
#include "mt_secret_hash.h"
#include "options.h"

int main(int argc, char **argv)
{
	static const uint8_t key[16] = "simulated nodes";
	static struct sim_report report;
	struct sim_options opt;
	int rc = sim_options_parse(argc, argv, &opt);
	bool ok;

	if (rc >= 0)
		return rc;
	mt_secret_hash_set_key(key);
	rc = opt.jobs > 1 && !opt.cases ? sim_jobs_run(&opt, &report)
					: sim_seeds_run(&opt, &report);
	if (rc)
		return rc;
	ok = sim_report_print(&report, &opt);
	return ok && !report.failed ? 0 : 1;
}
