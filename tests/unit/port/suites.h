/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

extern const struct mt_test profile_tests[], arguments_tests[], device_tests[], run_dir_tests[],
	claim_tests[], mtu_tests[], socket_tests[], lost_tests[], vhost_tests[],
	vhost_messages_tests[], guests_tests[], guest_list_tests[], guest_hub_tests[];
/* Two workers' pools, for the tests with devices. */
struct mt_pools;
extern struct mt_pools *test_pools[2];
