/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of forwarded ports: the sum of what was refused, as `show forwarding` has it. */
#include "suites.h"

#include "mt_ctl_forwarding_priv.h"

/* Each reason counts once, and nothing else counts. The port has no row, so no limits. */
static void refused(void)
{
	const struct mt_l4_stats none = {
		.flows_made = 1000, .packets = {2000, 3000}, .bytes = 4000};
	const struct mt_l4_stats all = {.flows_made = 1000,
		.packets = {2000, 3000},
		.bytes = 4000,
		.closed = 1,
		.denied = 2,
		.policy_denied = 4,
		.no_endpoint = 8,
		.no_nat_port = 16,
		.no_route = 32,
		.neighbour_unknown = 64,
		.ttl_exceeded = 128,
		.table_full = 256};

	CU_ASSERT_EQUAL(mt_ctl_forwarded_refused(NULL, NULL, &none), 0);
	CU_ASSERT_EQUAL(mt_ctl_forwarded_refused(NULL, NULL, &all), 511);
}

const struct mt_test forwarding_tests[] = {{"refused", refused}, {0}};
