/* SPDX-License-Identifier: Apache-2.0 */
#include "refs.h"

#include "mt_net_priv.h"
#include "pool_sim.h"

#define STACKS 32
#define PORTS  16
/* Behind how many turns the buffers are counted: a walk over all of them. */
#define EVERY 1024

static struct {
	struct stack {
		struct mt_pools *pools;
		struct mt_tcp *tcp;
		struct mt_netw *net;
		const struct mt_proxy *proxy;
	} stacks[STACKS];
	const struct sim_port *ports[PORTS];
	const struct mt_steer *steers[PORTS];
	uint32_t n_stacks, n_ports, turns;
} all;

void sim_refs_begin(void)
{
	memset(&all, 0, sizeof(all));
}

void sim_refs_stack(struct mt_pools *pools, struct mt_tcp *tcp, struct mt_netw *net,
	const struct mt_proxy *proxy)
{
	uint32_t i = 0;

	while (i < all.n_stacks && all.stacks[i].pools != pools)
		i++;
	MT_ASSERT(i < STACKS);
	all.stacks[i] = (struct stack){pools, tcp, net, proxy};
	all.n_stacks = MT_MAX(all.n_stacks, i + 1);
}

void sim_refs_port(const struct sim_port *port, const struct mt_steer *steer)
{
	uint32_t i = 0;

	while (i < all.n_ports && all.ports[i] != port)
		i++;
	MT_ASSERT(i < PORTS);
	all.ports[i] = port;
	all.steers[i] = steer;
	all.n_ports = MT_MAX(all.n_ports, i + 1);
}

/* References of one packet to data buffers: its segments', their parents' where they are indirect. */
static uint64_t of_packet(const struct rte_mbuf *m)
{
	uint64_t n = 0;

	for (; m; m = m->next)
		n += m->buf_len > MT_BUF_CTRL_ROOM;
	return n;
}

static uint64_t of_net(const struct mt_netw *w)
{
	uint64_t n = 0;

	for (uint32_t port = 0; port < MT_PORTS_MAX; port++)
		for (uint32_t l = 0; l < NET_LANES; l++)
			for (uint32_t i = 0; i < w->tx[port].lane[l].n; i++)
				n += of_packet(w->tx[port].lane[l].m[i]);
	return n;
}

/* The ring is emptied and filled again: nobody else is there. */
static uint64_t of_ring(struct rte_ring *r)
{
	uint32_t count = rte_ring_count(r);
	uint64_t n = 0;
	void *m;

	for (uint32_t i = 0; i < count && rte_ring_sc_dequeue(r, &m) == 0; i++) {
		n += of_packet(m);
		(void)rte_ring_sp_enqueue(r, m);
	}
	return n;
}

static uint64_t of_port(const struct sim_port *p, const struct mt_steer *steer)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < p->n_held; i++)
		n += of_packet(p->held[i].m);
	for (uint16_t from = 0; from < steer->workers; from++)
		for (uint16_t to = 0; to < steer->workers; to++)
			if (steer->rings[from][to])
				n += of_ring(steer->rings[from][to]);
	return n;
}

static void count_frame(void *arg, const struct sim_frame *f)
{
	*(uint64_t *)arg += of_packet(f->shared);
}

void sim_refs_check(struct sim *s)
{
	uint64_t refs = 0, charged = 0, packets = 0;

	if (s->failed || ++all.turns % EVERY)
		return;
	for (uint32_t i = 0; i < all.n_stacks; i++) {
		refs += sim_pools_refs(all.stacks[i].pools);
		charged += mt_tcp_held(all.stacks[i].tcp);
		if (all.stacks[i].proxy)
			charged += mt_proxy_copies_waiting(all.stacks[i].proxy);
		packets += of_net(all.stacks[i].net);
	}
	for (uint32_t i = 0; i < all.n_ports; i++)
		packets += of_port(all.ports[i], all.steers[i]);
	sim_frames_each(count_frame, &packets);
	charged /= MT_BUF_DATA_ROOM + sizeof(struct rte_mbuf);
	if (refs != charged + packets)
		sim_fail(s,
			"of %llu references to buffers %llu are charged to connections, %llu are "
			"in packets",
			(unsigned long long)refs, (unsigned long long)charged,
			(unsigned long long)packets);
}

void sim_refs_none(struct sim *s, struct mt_tcp *tcp, const char *host)
{
	for (int k = 0; k < MT_N_CLASSES; k++) {
		uint64_t charged = mt_ledger_read(mt_tcp_ledger(tcp), (enum mt_class)k).charged;

		if (charged)
			sim_fail(s, "%s: %llu bytes are charged as %s and nothing is open", host,
				(unsigned long long)charged, mt_class_name((enum mt_class)k));
	}
}
