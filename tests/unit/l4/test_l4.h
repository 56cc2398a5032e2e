/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_test.h"

extern const struct mt_test set_tests[], flow_tests[], rewrite_tests[], malformed_tests[],
	gate_tests[], share_tests[], icmp_tests[], source_tests[], fragment_tests[],
	fragment_limit_tests[], fragment_tcp_tests[], tcp_tests[], port_tests[], segment_tests[],
	one_way_tests[], one_way_flow_tests[], health_tests[], health_heard_tests[],
	health_turn_tests[], limit_tests[], limit_flow_tests[], limit_table_tests[], node_tests[],
	churn_tests[], shares_tests[], packet_tests[], overload_tests[], sweep_tests[];
