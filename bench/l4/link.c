/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where buffers of received frames come from and where sent ones go: a stock of this program, a
 * device of DPDK as testpmd uses it, or two memif devices of this process, of which the first
 * receives what the second sends. Of a device, a received frame has the buffer only; its bytes are
 * written anew. A memif copies the bytes of each frame twice.
 */
#include "bench_l4.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_ethdev.h>

#define DESCRIPTORS 512
#define UP_TRIES    1000 /* of 10 ms */
/* Bytes of the longest headers, of GUE, with the mark; those after them are 0. */
#define DIRTY 96

int bench_link_args(enum bench_link link, char *args[BENCH_DEVICES])
{
	/* The server's frames leave only after the client has asked for them, so the client sends. */
	static const char *const roles[BENCH_DEVICES] = {"server", "client"};
	static char text[BENCH_DEVICES][96];

	if (link == LINK_OWN)
		return 0;
	if (link != LINK_MEMIF) {
		snprintf(text[0], sizeof(text[0]), "--vdev=net_%s0",
			link == LINK_NULL ? "null" : "ring");
		args[0] = text[0];
		return 1;
	}
	for (int i = 0; i < BENCH_DEVICES; i++) {
		snprintf(text[i], sizeof(text[i]),
			"--vdev=net_memif%d,role=%s,id=0,socket-abstract=yes,"
			"socket=meltemi-bench-l4-%d",
			i, roles[i], getpid());
		args[i] = text[i];
	}
	return BENCH_DEVICES;
}

static uint16_t devices(const struct bench_l4 *b)
{
	return b->link == LINK_OWN ? 0 : b->link == LINK_MEMIF ? BENCH_DEVICES : 1;
}

static bool is_up(uint16_t device)
{
	struct rte_eth_link link = {0};

	return rte_eth_link_get_nowait(device, &link) == 0 && link.link_status;
}

/* Another thread of DPDK connects memif devices, and disconnects them. */
static void await(uint16_t device, bool up)
{
	for (int i = 0; i < UP_TRIES && is_up(device) != up; i++)
		usleep(10000);
	if (is_up(device) != up)
		bench_die("the link does not come up, or go down");
}

static void start(struct bench_l4 *b, uint16_t device)
{
	const struct rte_eth_conf conf = {.txmode = {.mq_mode = RTE_ETH_MQ_TX_NONE}};

	if (rte_eth_dev_configure(device, 1, 1, &conf) ||
		rte_eth_rx_queue_setup(
			device, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL, b->pools.data) ||
		rte_eth_tx_queue_setup(device, 0, DESCRIPTORS, SOCKET_ID_ANY, NULL) ||
		rte_eth_dev_start(device))
		bench_die("the device did not start");
}

static void stop(uint16_t device)
{
	(void)rte_eth_dev_stop(device);
	(void)rte_eth_dev_close(device);
}

/* Devices may take any buffer. */
static void clear_all(struct bench_l4 *b)
{
	struct rte_mbuf *all[BENCH_BUFFERS];
	uint32_t n = 0;

	while (n < BENCH_BUFFERS && (all[n] = mt_buf_data(&b->pools))) {
		memset(all[n]->buf_addr, 0, all[n]->buf_len);
		n++;
	}
	mt_buf_free_bulk(all, n);
}

void bench_link_open(struct bench_l4 *b)
{
	struct rte_mbuf *all[2 * BURST];

	if (rte_eth_dev_count_avail() != devices(b))
		bench_die("DPDK did not make the device");
	for (uint16_t i = 0; i < devices(b); i++)
		start(b, i);
	for (uint16_t i = 0; b->link == LINK_MEMIF && i < BENCH_DEVICES; i++)
		await(i, true);
	clear_all(b);
	if (b->link == LINK_NULL)
		return;
	for (uint32_t i = 0; i < MT_ARRAY_LEN(all); i++) {
		all[i] = mt_buf_data(&b->pools);
		(void)rte_pktmbuf_append(all[i], DIRTY);
	}
	bench_return(b, all, MT_ARRAY_LEN(all));
}

/* One end of a memif is closed when the other one's thread has disconnected it. */
void bench_link_close(struct bench_l4 *b)
{
	if (b->link == LINK_OWN)
		mt_buf_free_bulk(b->stock, b->n_stock);
	for (uint16_t i = 0; i < devices(b); i++) {
		if (i > 0) {
			await(i, false);
			usleep(10000);
		}
		stop(i);
	}
}

void bench_take(struct bench_l4 *b, struct rte_mbuf **pkts, uint16_t n)
{
	if (b->link == LINK_OWN) {
		MT_ASSERT(b->n_stock >= n);
		b->n_stock -= n;
		memcpy(pkts, &b->stock[b->n_stock], n * sizeof(pkts[0]));
		return;
	}
	if (rte_eth_rx_burst(0, 0, pkts, n) != n)
		bench_die("frames were lost");
	/* A copy begins where the frame did, also one with more headers than the next. */
	for (uint16_t i = 0; b->link == LINK_MEMIF && i < n; i++)
		memset(rte_pktmbuf_mtod(pkts[i], void *), 0, DIRTY);
}

void bench_return(struct bench_l4 *b, struct rte_mbuf **pkts, uint16_t n)
{
	if (b->link == LINK_OWN) {
		MT_ASSERT(b->n_stock + n <= MT_ARRAY_LEN(b->stock));
		memcpy(&b->stock[b->n_stock], pkts, n * sizeof(pkts[0]));
		b->n_stock += n;
		return;
	}
	if (rte_eth_tx_burst((uint16_t)(devices(b) - 1), 0, pkts, n) != n)
		bench_die("the device did not take frames");
}
