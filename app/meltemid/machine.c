/* SPDX-License-Identifier: Apache-2.0 */
/* Memory, devices and buffers. */
#include "daemon.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_mempool.h>

/*
 * Share of the configured memory for buffers. The rest is for rings, tables of drivers and heap
 * overhead.
 */
#define BUFFERS_PCT 80
/* Small buffers, because every segment in flight may need its own header. */
#define CTRL_PER_DATA 2 /* data mbufs for one control mbuf */
/* Data buffers that a worker needs besides those in its ports' rings. */
#define DATA_MIN 2048
/* Packets in a hand-off ring between two workers. */
#define HANDOFF_RING 1024

/* ---- memory ------------------------------------------------------------------------------- */

static enum mt_eal_pages pages(const struct mt_node *n)
{
	switch ((enum mt_hugepages)n->memory.hugepages.v) {
	case MT_HUGEPAGES_ON:
		return MT_EAL_PAGES_ON;
	case MT_HUGEPAGES_OFF:
		return MT_EAL_PAGES_OFF;
	default:
		return MT_EAL_PAGES_AUTO;
	}
}

int memory_start(struct daemon *d, struct mt_err *e)
{
	const struct mt_node *n = d->node;
	uint16_t cores[MT_WORKERS_MAX];
	struct mt_eal_conf c = {
		.hugepages = pages(n),
		.mb = n->memory.mb.v,
		.workers = d->n_workers,
		.debug = d->args.debug,
	};
	char prefix[80];
	int rc;

	snprintf(prefix, sizeof(prefix), "meltemi-%.64s", n->meta.name ? n->meta.name : "node");
	c.prefix = prefix;
	for (uint32_t i = 0; i < n->n_ports; i++)
		c.pci |= mt_port_is_pci(n->ports[i].device.s);
	for (uint32_t i = 0; i < n->n_cores && i < MT_WORKERS_MAX; i++)
		cores[i] = (uint16_t)n->cores[i].v;
	if (n->n_cores) {
		c.cores = cores;
		c.n_cores = (uint16_t)n->n_cores;
	}
	rc = mt_eal_start(&c, &d->eal, e);
	if (rc)
		return rc;
	mt_log(MT_LOG_INFO, "memory", "%s", d->eal.memory);
	rc = mt_buf_init();
	if (rc)
		return mt_err(e, rc, "the mbuf's dynamic fields are taken: %s", strerror(-rc));
	mt_clock_init(&d->clock);
	return 0;
}

void memory_stop(struct daemon *d)
{
	if (d->eal.memory[0])
		mt_eal_stop();
}

/* ---- ports -------------------------------------------------------------------------------- */

static int open_port(struct daemon *d, const struct mt_node_port *np, struct mt_err *e)
{
	const char *addresses[16], *routes[16];
	struct mt_port_conf c = {.name = np->name.s,
		.device = np->device.s,
		.profile = np->profile.s,
		.mtu = (uint16_t)np->mtu.v,
		.kernel_addresses = addresses,
		.kernel_routes = routes};
	int rc;

	for (uint32_t i = 0; i < np->n_kernel_addresses && i < MT_ARRAY_LEN(addresses); i++)
		addresses[c.n_kernel_addresses++] = np->kernel_addresses[i].s;
	for (uint32_t i = 0; i < np->n_kernel_routes && i < MT_ARRAY_LEN(routes); i++)
		routes[c.n_kernel_routes++] = np->kernel_routes[i].s;
	rc = mt_port_open(&c, d->n_ports, d->n_workers, &d->ports[d->n_ports], e);
	if (rc == 0)
		d->n_ports++;
	return rc;
}

uint64_t buffer_bytes(const struct mt_node *n)
{
	return (uint64_t)n->memory.mb.v * BUFFERS_PCT / 100 * 1024 * 1024;
}

/*
 * Divides the buffers that fit into the memory evenly among the workers. Fails if the ports' rings
 * would leave less than DATA_MIN of them, because then no connection could buffer anything.
 */
static int make_pools(struct daemon *d, struct mt_err *e)
{
	uint32_t in_rings = 0, n_data, per_data;
	uint16_t room = MT_BUF_DATA_ROOM;
	uint64_t bytes = buffer_bytes(d->node);

	for (uint16_t i = 0; i < d->n_ports; i++) {
		room = MT_MAX(room, mt_port_room(d->ports[i]));
		in_rings += mt_port_mbufs(d->ports[i]);
	}
	per_data = mt_pool_element(room) + mt_pool_element(MT_BUF_CTRL_ROOM) / CTRL_PER_DATA;
	n_data = (uint32_t)(bytes / d->n_workers / per_data);
	if (n_data < in_rings + DATA_MIN)
		return mt_err(e, -ENOMEM,
			"memory: %u MB give %u buffers a worker, and %u are needed: set "
			"spec.memory.mb to %u",
			d->node->memory.mb.v, n_data, in_rings + DATA_MIN,
			(uint32_t)(((uint64_t)(in_rings + DATA_MIN) * per_data * d->n_workers *
						   100 / BUFFERS_PCT >>
					   20) +
				   16));
	for (uint16_t w = 0; w < d->n_workers; w++) {
		char name[16];
		int rc;

		snprintf(name, sizeof(name), "w%u", w);
		rc = mt_pools_init(
			&d->pools[w], name, n_data, n_data / CTRL_PER_DATA, room, SOCKET_ID_ANY);
		if (rc)
			return mt_err(e, rc,
				"memory: %u buffers of worker %u do not fit into %u MB (%s): raise "
				"spec.memory.mb",
				n_data, w, d->node->memory.mb.v, strerror(-rc));
		d->pools[w].refill_reserve = in_rings;
	}
	return 0;
}

/* Checks before the first packet that hardware and software compute the same owner. */
static int check_spread(struct daemon *d, const struct mt_port *p, struct mt_err *e)
{
	struct mt_port_rss_state rss;
	struct mt_steer_device read = {.key = rss.key, .reta = rss.reta};
	int rc;

	if (!p->caps.rss)
		return 0;
	rc = mt_port_rss_read(p, &rss);
	if (rc) {
		mt_log(MT_LOG_WARN, "port",
			"%s: its RSS key and table cannot be read back (%s); the counter "
			"worker_rss_misdelivered shows if it distributes as configured",
			p->name, strerror(-rc));
		return 0;
	}
	read.key_len = rss.key_len;
	read.reta_len = rss.reta_len;
	return mt_steer_check_device(&d->steer, &read, p->name, e);
}

/* Warns of faults that an operator must remove. A peer that is not running is none. */
void port_tell_wait(const struct mt_port *p)
{
	bool idle = p->wait == MT_PORT_WAITS_SOCKET || p->wait == MT_PORT_WAITS_PEER;
	char why[MT_PORT_WAIT_LEN];

	if (p->wait)
		mt_log(idle ? MT_LOG_INFO : MT_LOG_WARN, "port",
			"%s: no link: %s: %s; it connects by itself then", p->name,
			mt_port_wait_str(p, why), mt_port_wait_remedy(p->wait));
}

static int start_ports(struct daemon *d, struct mt_err *e)
{
	const struct mt_port_rss rss = {.key = d->steer.key,
		.key_len = MT_STEER_KEY_LEN,
		.reta = d->steer.reta,
		.reta_len = MT_STEER_RETA_LEN};
	struct mt_pools *pools[MT_WORKERS_MAX];

	for (uint16_t w = 0; w < d->n_workers; w++)
		pools[w] = &d->pools[w];
	for (uint16_t i = 0; i < d->n_ports; i++) {
		struct mt_port *p = d->ports[i];
		int rc = mt_port_start(p, pools, &rss, e);
		char mac[RTE_ETHER_ADDR_FMT_SIZE];

		if (rc == 0)
			rc = check_spread(d, p, e);
		if (rc)
			return rc;
		rte_ether_format_addr(mac, sizeof(mac), &p->mac);
		mt_log(MT_LOG_INFO, "port", "%s: %s, profile %s, %s, MTU %u, %u queues, link %s",
			p->name, d->node->ports[i].device.s, mt_port_profile(p)->name, mac, p->mtu,
			p->n_rxq, p->link_up ? "up" : "down");
		port_tell_wait(p);
	}
	return 0;
}

int ports_start(struct daemon *d, struct mt_err *e)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < d->node->n_ports; i++)
		rc = open_port(d, &d->node->ports[i], e);
	if (rc == 0)
		rc = make_pools(d, e);
	if (rc)
		return rc;
	rc = mt_steer_init(&d->steer, d->n_workers, HANDOFF_RING);
	if (rc)
		return mt_err(
			e, rc, "rings between workers: %s: raise spec.memory.mb", strerror(-rc));
	rc = mt_steer_check(&d->steer, e);
	return rc ? rc : start_ports(d, e);
}

/* Ports first, because they return the mbufs in their rings. */
void ports_stop(struct daemon *d)
{
	while (d->n_ports > 0)
		mt_port_close(d->ports[--d->n_ports]);
	if (d->steer.workers)
		mt_steer_fini(&d->steer);
	for (uint16_t w = 0; w < d->n_workers; w++)
		mt_pools_fini(&d->pools[w]);
}
