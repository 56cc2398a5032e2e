/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

extern const struct mt_test net_input_tests[], net_sum_tests[], net_output_tests[],
	net_refuse_tests[], net_neigh_tests[], net_neigh_flood_tests[], net_icmp_tests[],
	net_threads_tests[], net_cksum_tests[], net_udp_tests[], net_bound_tests[],
	net_forward_tests[], net_set_tests[];
