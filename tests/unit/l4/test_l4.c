/* SPDX-License-Identifier: Apache-2.0 */
#include "../net/fixture.h"
#include "test_l4.h"

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"set", set_tests}, {"flows", flow_tests},
		{"rewrite", rewrite_tests}, {"malformed", malformed_tests}, {"gate", gate_tests},
		{"share", share_tests}, {"icmp", icmp_tests}, {"sources", source_tests},
		{"fragment", fragment_tests}, {"fragment_limits", fragment_limit_tests},
		{"fragment_tcp", fragment_tcp_tests}, {"tcp", tcp_tests}, {"ports", port_tests},
		{"segments", segment_tests}, {"one_way", one_way_tests},
		{"one_way_flows", one_way_flow_tests}, {"health", health_tests},
		{"health_heard", health_heard_tests}, {"health_turns", health_turn_tests},
		{"limits", limit_tests}, {"limits_flows", limit_flow_tests},
		{"limits_table", limit_table_tests}, {"nodes", node_tests}, {"churn", churn_tests},
		{"shares", shares_tests}, {"packets", packet_tests}, {"overload", overload_tests},
		{"sweep", sweep_tests}, {0}};

	fx_eal();
	return mt_test_main(suites, argc, argv);
}
