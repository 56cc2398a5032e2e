/* SPDX-License-Identifier: Apache-2.0 */
/* Queues, RSS and the start of a device. */
#include "compat.h"
#include "mt_port_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>

/* Queue size for a driver without a default of its own. */
#define DESCRIPTORS 512

static int failed(const struct mt_ethdev *d, int rc, const char *what, struct mt_err *e)
{
	const char *words = mt_eal_complaint();

	return mt_err(e, rc, "port %s: %s: %s%s%s", d->port.name, what, rte_strerror(-rc),
		words[0] ? "; the driver reports: " : "", words);
}

static void descriptors(struct mt_ethdev *d, const struct rte_eth_dev_info *info)
{
	const struct mt_profile *p = &d->profile;

	d->rx_desc = p->rx_desc ? p->rx_desc : info->default_rxportconf.ring_size;
	d->tx_desc = p->tx_desc ? p->tx_desc : info->default_txportconf.ring_size;
	if (!d->rx_desc)
		d->rx_desc = DESCRIPTORS;
	if (!d->tx_desc)
		d->tx_desc = DESCRIPTORS;
	(void)rte_eth_dev_adjust_nb_rx_tx_desc(d->port.dpdk_id, &d->rx_desc, &d->tx_desc);
}

uint32_t mt_port_mbufs(const struct mt_port *p)
{
	const struct mt_ethdev *d = mt_container_of(p, const struct mt_ethdev, port);
	struct rte_eth_dev_info info;
	struct mt_ethdev probe = {.profile = d->profile, .port = {.dpdk_id = p->dpdk_id}};

	if (rte_eth_dev_info_get(p->dpdk_id, &info))
		return 2 * DESCRIPTORS;
	descriptors(&probe, &info);
	return (uint32_t)probe.rx_desc + (p->caps.tx_holds ? 2u * probe.tx_desc : probe.tx_desc);
}

/*
 * Returns the MTU for the ethdev layer. Drivers of kernel interfaces, and memif, report a standard
 * frame as their maximum although they accept jumbo frames: there the kernel's interface, or the
 * buffers, set the real limit.
 */
static uint16_t ethdev_mtu(const struct mt_ethdev *d, const struct rte_eth_dev_info *info)
{
	bool believed = d->profile.set_mtu && !d->interface[0];
	uint32_t most = info->max_rx_pktlen, overhead = 18;

	if (info->max_mtu != UINT16_MAX && most > info->max_mtu)
		overhead = most - info->max_mtu;
	return !believed && most > overhead ? (uint16_t)MT_MIN(d->port.mtu, most - overhead)
					    : d->port.mtu;
}

static int configure(struct mt_ethdev *d, const struct rte_eth_dev_info *info,
	const struct mt_port_rss *rss, struct mt_err *e)
{
	struct rte_eth_conf conf = {
		.rxmode = {.mtu = ethdev_mtu(d, info), .offloads = d->rx_offloads},
		.txmode = {.offloads = d->tx_offloads},
		.intr_conf = {.rxq = d->profile.wakeup == MT_WAKEUP_INTERRUPT},
	};
	int rc;

	if (d->port.caps.rss && rss && d->port.n_rxq > 1) {
		conf.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
		conf.rxmode.offloads |= info->rx_offload_capa & RTE_ETH_RX_OFFLOAD_RSS_HASH;
		conf.rx_adv_conf.rss_conf.rss_hf = info->flow_type_rss_offloads & MT_RSS_TYPES;
		conf.rx_adv_conf.rss_conf.rss_key = (uint8_t *)(uintptr_t)rss->key;
		conf.rx_adv_conf.rss_conf.rss_key_len = (uint8_t)MT_MIN(
			info->hash_key_size ? info->hash_key_size : 40, rss->key_len);
	} else {
		d->port.caps.rss = false;
	}
	rc = rte_eth_dev_configure(d->port.dpdk_id, d->port.n_rxq, d->port.n_txq, &conf);
	return rc ? failed(d, rc, "configure", e) : 0;
}

static int setup_queues(struct mt_ethdev *d, const struct rte_eth_dev_info *info, struct mt_err *e)
{
	struct rte_eth_rxconf rx = info->default_rxconf;
	struct rte_eth_txconf tx = info->default_txconf;
	int socket = rte_eth_dev_socket_id(d->port.dpdk_id);
	uint16_t id = d->port.dpdk_id;
	int rc;

	rx.offloads = d->rx_offloads;
	tx.offloads = d->tx_offloads;
	for (uint16_t q = 0; q < d->port.n_rxq; q++) {
		struct rte_mempool *mp = d->pools[q % d->port.n_workers]->data;

		rc = rte_eth_rx_queue_setup(id, q, d->rx_desc, (unsigned int)socket, &rx, mp);
		if (rc)
			return failed(d, rc, "receive queue", e);
	}
	for (uint16_t q = 0; q < d->port.n_txq; q++) {
		rc = rte_eth_tx_queue_setup(id, q, d->tx_desc, (unsigned int)socket, &tx);
		if (rc)
			return failed(d, rc, "transmit queue", e);
	}
	return 0;
}

/* Fills the device's redirection table with copies of lib/steer's, which may be shorter. */
static int set_reta(struct mt_ethdev *d, const struct rte_eth_dev_info *info,
	const struct mt_port_rss *rss, struct mt_err *e)
{
	struct rte_eth_rss_reta_entry64 reta[RTE_ETH_RSS_RETA_SIZE_512 / RTE_ETH_RETA_GROUP_SIZE];
	int rc;

	if (!d->port.caps.rss)
		return 0;
	/* hash % device size and hash % lib/steer's size must select the same queue. */
	if (info->reta_size % rss->reta_len) {
		d->port.caps.rss = false;
		return 0;
	}
	memset(reta, 0, sizeof(reta));
	for (uint16_t i = 0; i < info->reta_size; i++) {
		struct rte_eth_rss_reta_entry64 *g = &reta[i / RTE_ETH_RETA_GROUP_SIZE];

		g->mask = UINT64_MAX;
		g->reta[i % RTE_ETH_RETA_GROUP_SIZE] = rss->reta[i % rss->reta_len] % d->port.n_rxq;
	}
	rc = rte_eth_dev_rss_reta_update(d->port.dpdk_id, reta, info->reta_size);
	/* With fewer queues than workers RSS spreads flows, but cannot deliver to each owner. */
	if (d->port.n_rxq < d->port.n_workers)
		d->port.caps.rss = false;
	return rc ? failed(d, rc, "RSS table", e) : 0;
}

/* True if the device, as it reports itself, hashes ports of datagrams. */
static bool hashes_udp(const struct mt_ethdev *d)
{
	struct rte_eth_rss_conf conf = {0};

	return d->port.caps.rss && rte_eth_dev_rss_hash_conf_get(d->port.dpdk_id, &conf) == 0 &&
	       (conf.rss_hf & MT_RSS_UDP_TYPES) == MT_RSS_UDP_TYPES;
}

/* Makes rings from the workers without a transmit queue to those with one. */
static int make_forward_rings(struct mt_ethdev *d, struct mt_err *e)
{
	uint16_t txqs = MT_MIN(d->port.n_txq, d->port.n_rxq);

	for (uint16_t q = 0; q < txqs && txqs < d->port.n_workers; q++) {
		char name[RTE_RING_NAMESIZE];

		snprintf(name, sizeof(name), "mt_fwd_%u_%u", d->port.index, q);
		d->forward[q] =
			rte_ring_create(name, MT_PORT_FORWARD_RING, SOCKET_ID_ANY, RING_F_SC_DEQ);
		if (!d->forward[q])
			return failed(d, -rte_errno, "ring between workers", e);
	}
	return 0;
}

/*
 * Neighbour discovery uses multicast. A device that cannot receive all multicast is set
 * promiscuous; one that supports neither (virtual devices) has no filter.
 */
static void open_filters(struct mt_ethdev *d)
{
	if (rte_eth_allmulticast_enable(d->port.dpdk_id) != 0)
		(void)rte_eth_promiscuous_enable(d->port.dpdk_id);
}

static int set_mtu(struct mt_ethdev *d, struct mt_err *e)
{
	uint16_t mtu = 0;
	int rc;

	if (d->interface[0])
		return mt_kernel_set_mtu(d->interface, d->port.mtu, e);
	rte_eth_dev_get_mtu(d->port.dpdk_id, &mtu);
	if (!d->profile.set_mtu || mtu == d->port.mtu)
		return 0;
	rc = rte_eth_dev_set_mtu(d->port.dpdk_id, d->port.mtu);
	return rc ? failed(d, rc, "MTU", e) : 0;
}

static int start(struct mt_ethdev *d, struct mt_err *e)
{
	uint16_t id = d->port.dpdk_id;
	int rc = rte_eth_macaddr_get(id, &d->port.mac);

	if (rc)
		return failed(d, rc, "address", e);
	rc = rte_eth_dev_start(id);
	d->started = true;
	/* A memif client whose server is not running yet; mt_port_watch() tries again. */
	if (rc && d->profile.link_restart)
		return 0;
	if (rc)
		return failed(d, rc, "start", e);
	__atomic_store_n(&d->polling, true, __ATOMIC_RELEASE);
	rc = set_mtu(d, e);
	if (rc)
		return rc;
	open_filters(d);
	return 0;
}

int mt_port_start(struct mt_port *p, struct mt_pools *const *pools, const struct mt_port_rss *rss,
	struct mt_err *e)
{
	struct mt_ethdev *d = mt_ethdev(p);
	struct rte_eth_dev_info info;
	int rc = rte_eth_dev_info_get(p->dpdk_id, &info);

	if (rc)
		return failed(d, rc, "description", e);
	for (uint16_t w = 0; w < p->n_workers; w++)
		d->pools[w] = pools[w];
	(void)mt_eal_complaint();
	descriptors(d, &info);
	rc = configure(d, &info, rss, e);
	if (rc == 0)
		rc = make_forward_rings(d, e);
	if (rc == 0)
		rc = setup_queues(d, &info, e);
	if (rc == 0)
		rc = start(d, e);
	if (rc == 0)
		rc = set_reta(d, &info, rss, e);
	if (rc)
		return rc;
	d->port.caps.rss_udp = hashes_udp(d);
	mt_wakeup_open(d);
	(void)mt_port_watch(p, 0, NULL, NULL);
	return 0;
}
