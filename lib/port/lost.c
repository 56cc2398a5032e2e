/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets that the device dropped before a worker received them. Only the driver counts them, since
 * its own start, and some drivers begin again at 0 when the port restarts. The driver of af_packet
 * counts none, but the kernel counts those for which a socket's ring had no place, since the last
 * query.
 */
#include "mt_port_priv.h"

#include <linux/if_packet.h>
#include <sys/socket.h>

#include <rte_ethdev.h>

#define QUERY_EVERY (1 * MT_SEC)

static uint64_t since(uint64_t *last, uint64_t now)
{
	uint64_t n = now >= *last ? now - *last : now;

	*last = now;
	return n;
}

/* Packets that the kernel dropped since the last call because a queue's ring was full. */
static uint64_t by_sockets(const struct mt_ethdev *d)
{
	uint64_t n = 0;

	if (d->profile.wakeup != MT_WAKEUP_SOCKET)
		return 0;
	for (uint16_t q = 0; q < d->port.n_rxq; q++) {
		struct tpacket_stats s = {0};
		socklen_t len = sizeof(s);

		if (d->rx_fds[q] > 0 &&
			getsockopt(d->rx_fds[q], SOL_PACKET, PACKET_STATISTICS, &s, &len) == 0)
			n += s.tp_drops;
	}
	return n;
}

static void count(struct mt_ethdev *d, enum mt_port_outcome o, uint64_t n)
{
	if (n)
		mt_count_n(d->port.workers[0].counters, o, n);
}

void mt_port_count_lost(struct mt_ethdev *d, uint64_t now)
{
	bool first = !d->lost.next;
	struct rte_eth_stats s;
	uint64_t missed, no_buffer = 0;

	if (now < d->lost.next)
		return;
	d->lost.next = now + QUERY_EVERY;
	missed = by_sockets(d);
	if (rte_eth_stats_get(d->port.dpdk_id, &s) == 0) {
		missed += since(&d->lost.missed, s.imissed);
		no_buffer = since(&d->lost.no_buffer, s.rx_nombuf);
	}
	/* Before the start no worker received packets. */
	if (first)
		return;
	count(d, MT_PORT_rx_missed, missed);
	count(d, MT_PORT_rx_no_buffer, no_buffer);
}
