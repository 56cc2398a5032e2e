/* SPDX-License-Identifier: Apache-2.0 */
#include "link.h"

#include "io.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_lcore.h>

#define MBUFS_MIN  32767
#define MBUFS_MAX  262143
#define LINK_LIMIT (10 * MT_SEC)
#define RING_MTU   1500

/* The process's CPU affinity before the EAL reduced it for its caller. */
static cpu_set_t cores;

/* A call in flight holds a buffer on either side until it is acknowledged. */
static uint32_t mbufs_for(uint32_t connections)
{
	uint32_t n = MBUFS_MIN;

	while (n < MBUFS_MAX && n < connections + MBUFS_MIN / 2)
		n = 2 * n + 1;
	return n;
}

static int start_eal(const struct blast_link_conf *c, uint32_t mbufs, struct mt_err *e)
{
	uint32_t sides = c->ring ? 2 : 1;
	uint64_t bytes = (uint64_t)mbufs * sides * c->n_devices *
			 (mt_pool_element(MT_BUF_DATA_ROOM) + mt_pool_element(MT_BUF_CTRL_ROOM));
	struct mt_eal_conf eal = {.mb = 128 + (uint32_t)(bytes >> 20), .workers = 1};
	struct mt_eal_info info;
	char prefix[32];
	int rc;

	for (uint32_t i = 0; !c->ring && i < c->n_devices; i++)
		eal.pci |= mt_port_is_pci(c->devices[i]);
	snprintf(prefix, sizeof(prefix), "meltemi-blast-%d", getpid());
	eal.prefix = prefix;
	pthread_getaffinity_np(pthread_self(), sizeof(cores), &cores);
	rc = mt_eal_start(&eal, &info, e);
	if (!rc && mt_buf_init())
		rc = mt_err(e, -ENOMEM, "no place in mbufs for a link; is this DPDK another one?");
	return rc;
}

static int make_pools(
	struct blast_port *p, const char *name, uint32_t n, uint16_t room, struct mt_err *e)
{
	if (mt_pools_init(&p->pools, name, n, n, room, SOCKET_ID_ANY))
		return mt_err(e, -ENOMEM, "no memory for %u buffers; lower --connections", n);
	return 0;
}

static int open_device(struct blast_port *p, const struct blast_link_conf *c, uint16_t i,
	uint32_t mbufs, struct mt_err *e)
{
	struct mt_pools *pools = &p->pools;
	struct mt_port_conf port = {.device = c->devices[i], .profile = c->profile};
	struct mt_profile profile;
	char name[16];
	int rc;

	/* Without a profile the error message of lib/port would name a setting of Meltemi's. */
	if (!c->profile && mt_port_is_pci(c->devices[i]) &&
		mt_port_find_profile(c->devices[i], NULL, &profile, e))
		return mt_err(e, -EINVAL,
			"%s: the profile of its family is needed: --profile mlx5, i40e, ... (the "
			"files of pmd-config)",
			c->devices[i]);
	snprintf(name, sizeof(name), "blast%u", i);
	port.name = name;
	rc = mt_port_open(&port, i, 1, &p->port, e);
	if (!rc)
		rc = make_pools(p, name, mbufs, mt_port_room(p->port), e);
	return rc ? rc : mt_port_start(p->port, &pools, NULL, e);
}

static int open_ring(struct blast_port *near, struct blast_port *far, uint16_t i, uint32_t mbufs,
	struct mt_err *e)
{
	struct bench_wire_conf c = {
		.name = "blast", .link = BENCH_RING, .index = i, .queues = 1, .mtu = RING_MTU};
	char name[2][16];
	int rc = bench_wire_open(&near->wire, &c, e);

	near->ring = far->ring = true;
	near->port = near->wire.meltemi;
	far->port = near->wire.peers[0];
	snprintf(name[0], sizeof(name[0]), "near%u", i);
	snprintf(name[1], sizeof(name[1]), "far%u", i);
	if (!rc)
		rc = make_pools(near, name[0], mbufs, bench_wire_room(RING_MTU), e);
	return rc ? rc : make_pools(far, name[1], mbufs, bench_wire_room(RING_MTU), e);
}

/* Element i of a list; the last one is used for all further indices. */
static const char *of(const char *const *list, uint32_t n, uint32_t i)
{
	return n ? list[MT_MIN(i, n - 1)] : NULL;
}

int blast_link_open(struct blast_ports *p, const struct blast_link_conf *c, uint32_t connections,
	const struct mt_addr *sources, uint32_t n_sources, struct mt_err *e)
{
	uint32_t each = connections / c->n_devices + 1, mbufs = mbufs_for(each);
	int rc = start_eal(c, mbufs, e);

	memset(p, 0, sizeof(*p));
	p->n = c->n_devices;
	for (uint16_t i = 0; !rc && i < p->n; i++) {
		struct blast_port *near = &p->near[i], *far = &p->far[i];

		near->address = of(c->addresses, c->n_addresses, i);
		near->gateway = of(c->gateways, c->n_gateways, i);
		near->sources = sources;
		near->n_sources = n_sources;
		far->address = c->far;
		near->max_conns = far->max_conns = MT_MAX(131072u, 2 * each);
		rc = c->ring ? open_ring(near, far, i, mbufs, e)
			     : open_device(near, c, i, mbufs, e);
		if (!rc)
			near->port->index = 0; /* the only port of its host */
	}
	return rc;
}

static void quiesce(void *arg)
{
	(void)arg;
}

void blast_port_watch(struct blast_port *p, uint64_t now)
{
	if (!p->ring)
		mt_port_watch(p->port, now, quiesce, NULL);
}

int blast_link_await(struct blast_ports *p, struct mt_err *e)
{
	uint64_t until = blast_now() + LINK_LIMIT;

	for (uint32_t i = 0; i < p->n; i++) {
		while (!p->near[i].port->link_up && blast_now() < until) {
			blast_port_watch(&p->near[i], blast_now());
			usleep(10000);
		}
		if (!p->near[i].port->link_up)
			return mt_err(e, -ENOLINK,
				"the link of device %u does not come up; is the other side there?",
				i + 1);
	}
	return 0;
}

void blast_link_close(struct blast_ports *p)
{
	for (uint32_t i = 0; i < p->n; i++) {
		if (p->near[i].ring)
			bench_wire_close(&p->near[i].wire);
		else
			mt_port_close(p->near[i].port);
		mt_pools_fini(&p->near[i].pools);
		mt_pools_fini(&p->far[i].pools);
	}
	mt_eal_stop();
}

int blast_link_attach(void)
{
	pthread_setaffinity_np(pthread_self(), sizeof(cores), &cores);
	return rte_thread_register() ? -ENOMEM : 0;
}

void blast_link_detach(void)
{
	rte_thread_unregister();
}
