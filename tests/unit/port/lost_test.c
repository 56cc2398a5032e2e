/* SPDX-License-Identifier: Apache-2.0 */
/* Packets that a device dropped are counted from the start of the port on. */
#include "mt_port_priv.h"
#include "../../outcomes_seen.h"
#include "suites.h"

#include <errno.h>

#include <rte_ethdev.h>

static const struct rte_eth_stats *made_up;
static uint32_t asked;
static int answer;

int __real_rte_eth_stats_get(uint16_t id, struct rte_eth_stats *s);
int __wrap_rte_eth_stats_get(uint16_t id, struct rte_eth_stats *s);
int __wrap_rte_eth_stats_get(uint16_t id, struct rte_eth_stats *s)
{
	if (!made_up)
		return __real_rte_eth_stats_get(id, s);
	asked++;
	*s = *made_up;
	return answer;
}

static void counted(void)
{
	static const struct {
		struct rte_eth_stats device;
		int answer;
		uint64_t missed, no_buffer; /* sums after it */
	} t[] = {{{.imissed = 10, .rx_nombuf = 3}, 0, 3, 1},
		{{.imissed = 10, .rx_nombuf = 3}, 0, 3, 1},
		{{.imissed = 90, .rx_nombuf = 90}, -EIO, 3, 1},
		/* A restart of the device has cleared them. */
		{{.imissed = 4, .rx_nombuf = 0}, 0, 7, 1},
		{{.imissed = 6, .rx_nombuf = 2}, 0, 9, 3}};
	static const struct rte_eth_stats before = {.imissed = 7, .rx_nombuf = 2};
	struct mt_port_conf c = {.name = "p0", .device = "net_null9"};
	uint64_t now = 1000 * MT_SEC;
	struct mt_port *p = NULL;
	struct mt_err e;

	made_up = &before;
	answer = 0;
	CU_ASSERT_EQUAL_FATAL(mt_port_open(&c, 0, 1, &p, &e), 0);
	CU_ASSERT_EQUAL_FATAL(mt_port_start(p, test_pools, NULL, &e), 0);
	CU_ASSERT_EQUAL(mt_port_count(p, MT_PORT_rx_missed), 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++, now += MT_SEC) {
		made_up = &t[i].device;
		answer = t[i].answer;
		(void)mt_port_watch(p, now, NULL, NULL);
		CU_ASSERT_EQUAL(mt_port_count(p, MT_PORT_rx_missed), t[i].missed);
		CU_ASSERT_EQUAL(mt_port_count(p, MT_PORT_rx_no_buffer), t[i].no_buffer);
	}
	outcomes_seen(&mt_port_outcomes, p->workers[0].counters);
	made_up = NULL;
	mt_port_close(p);
}

/* Reading them may take long, so the device is asked once a second, and not after it was removed. */
static void seldom(void)
{
	static const struct rte_eth_stats none;
	struct mt_port_conf c = {.name = "p0", .device = "net_null9"};
	struct mt_port *p = NULL;
	struct mt_err e;

	made_up = &none;
	answer = 0;
	CU_ASSERT_EQUAL_FATAL(mt_port_open(&c, 0, 1, &p, &e), 0);
	CU_ASSERT_EQUAL_FATAL(mt_port_start(p, test_pools, NULL, &e), 0);
	asked = 0;
	for (uint64_t ms = 0; ms < 3000; ms += 100)
		(void)mt_port_watch(p, 1000 * MT_SEC + ms * MT_MSEC, NULL, NULL);
	CU_ASSERT_EQUAL(asked, 3);
	p->gone = MT_PORT_NO_DEVICE;
	mt_ethdev(p)->ifindex = 1; /* it stays removed */
	(void)mt_port_watch(p, 2000 * MT_SEC, NULL, NULL);
	CU_ASSERT_EQUAL(p->gone, MT_PORT_NO_DEVICE);
	CU_ASSERT_EQUAL(asked, 3);
	made_up = NULL;
	mt_port_close(p);
}

const struct mt_test lost_tests[] = {
	{"drops of the device are counted", counted}, {"it is asked once a second", seldom}, {0}};
