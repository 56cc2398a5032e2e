/* SPDX-License-Identifier: Apache-2.0 */
/* The sweep over all places after a change: which flows it meets. */
#include "mt_l4_priv.h"
#include "scene.h"
#include "test_l4.h"

static struct scene s;

/* A datagram of client 10.`net`.0.`i`. */
static bool passes(uint32_t net, uint32_t i)
{
	char src[MT_ADDR_STRLEN];
	const struct sc_udp u = {src, "192.0.2.80", 7000, 4000, 10, 0, false};

	snprintf(src, sizeof(src), "10.%u.%u.%u", net, i / 200, 1 + i % 200);
	return sc_pass(&s, &u) != NULL;
}

/* Clients of 10.1.0.0/16 may not use the service any more. */
static struct mt_l4_sources *deny(void)
{
	struct mt_l4_network net = {.addr = fx_addr("10.1.0.0"), .prefix = 16};
	const struct mt_l4_service_conf c = {.deny = &net, .n_deny = 1};
	struct mt_l4_sources *sources = NULL;

	CU_ASSERT_EQUAL_FATAL(l4_sources_make(&c, &sources), 0);
	for (uint32_t i = 0; i < s.set->n_rows; i++)
		if (s.set->rows[i].service == SC_NAT)
			s.set->rows[i].sources = sources;
	s.set->generation++;
	return sources;
}

/* Flows that begin while it is under way take new places of the table. */
static void table_grows(void)
{
	struct mt_l4_sources *sources;

	sc_open(&s, 1, 4096);
	for (uint32_t i = 0; i < 200; i++)
		CU_ASSERT(passes(1, i));
	while (s.l[0]->at != 100)
		sc_turn(&s, 10 * MT_MSEC);
	CU_ASSERT_EQUAL(sc_flows(&s), 200);
	sources = deny();
	for (uint32_t i = 0; i < 150; i++) {
		CU_ASSERT(passes(2, i));
		sc_turn(&s, 4 * MT_MSEC);
	}
	for (uint32_t i = 0; i < 200; i++)
		sc_turn(&s, 10 * MT_MSEC);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_ended), 200);
	CU_ASSERT_EQUAL(sc_flows(&s), 150);
	CU_ASSERT(sc_close(&s));
	l4_sources_free(sources);
}

const struct mt_test sweep_tests[] = {{"table grows", table_grows}, {0}};
