/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "test_net.h"

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"input", net_input_tests}, {"refuse", net_refuse_tests},
		{"neigh", net_neigh_tests}, {"neigh flood", net_neigh_flood_tests},
		{"output", net_output_tests}, {"icmp", net_icmp_tests},
		{"threads", net_threads_tests}, {"cksum", net_cksum_tests}, {"sums", net_sum_tests},
		{"udp", net_udp_tests}, {"bound", net_bound_tests}, {"forward", net_forward_tests},
		{"sets", net_set_tests}, {0}};

	fx_eal();
	return mt_test_main(suites, argc, argv);
}
