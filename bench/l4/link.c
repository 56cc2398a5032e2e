/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where buffers of received frames come from and where sent ones go: a stock of this program, or a
 * device of DPDK as testpmd uses it. Of the device, a received frame has the buffer only; its bytes
 * are written anew.
 */
#include "bench_l4.h"

#include <string.h>

#include <rte_ethdev.h>

#define DESCRIPTORS 512

void bench_link_open(struct bench_l4 *b)
{
	const struct rte_eth_conf conf = {.txmode = {.mq_mode = RTE_ETH_MQ_TX_NONE}};
	const bool own = b->link == LINK_OWN;
	struct rte_mbuf *all[2 * BURST];

	if (!own && (rte_eth_dev_count_avail() != 1 || rte_eth_dev_configure(0, 1, 1, &conf) ||
			    rte_eth_rx_queue_setup(
				    0, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL, b->pools.data) ||
			    rte_eth_tx_queue_setup(0, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL) ||
			    rte_eth_dev_start(0)))
		bench_die("the device did not start");
	for (uint32_t i = 0; i < MT_ARRAY_LEN(all); i++) {
		all[i] = mt_buf_data(&b->pools);
		memset(all[i]->buf_addr, 0, all[i]->buf_len);
	}
	if (b->link == LINK_NULL)
		mt_buf_free_bulk(all, MT_ARRAY_LEN(all));
	else
		bench_return(b, all, MT_ARRAY_LEN(all));
}

void bench_link_close(struct bench_l4 *b)
{
	if (b->link == LINK_OWN) {
		mt_buf_free_bulk(b->stock, b->n_stock);
		return;
	}
	(void)rte_eth_dev_stop(0);
	(void)rte_eth_dev_close(0);
}

void bench_take(struct bench_l4 *b, struct rte_mbuf **pkts, uint16_t n)
{
	if (b->link != LINK_OWN) {
		if (rte_eth_rx_burst(0, 0, pkts, n) != n)
			bench_die("frames were lost");
		return;
	}
	MT_ASSERT(b->n_stock >= n);
	b->n_stock -= n;
	memcpy(pkts, &b->stock[b->n_stock], n * sizeof(pkts[0]));
}

void bench_return(struct bench_l4 *b, struct rte_mbuf **pkts, uint16_t n)
{
	if (b->link != LINK_OWN) {
		if (rte_eth_tx_burst(0, 0, pkts, n) != n)
			bench_die("the device did not take frames");
		return;
	}
	MT_ASSERT(b->n_stock + n <= MT_ARRAY_LEN(b->stock));
	memcpy(&b->stock[b->n_stock], pkts, n * sizeof(pkts[0]));
	b->n_stock += n;
}
