/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

extern const struct mt_test map_tests[], map_listener_tests[], map_limits_tests[],
	map_access_log_tests[], map_refuse_tests[], map_digest_tests[], map_workload_tests[],
	bootstrap_tests[], bootstrap_table_tests[], xds_tests[], trial_tests[], demand_tests[],
	dns_tests[], names_tests[], version_tests[];
