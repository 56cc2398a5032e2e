/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_stack.h"

#include <errno.h>

#define BURST  32
#define TIMERS 1000 /* deadlines that one loop iteration processes */

static void on_neigh(void *arg, uint32_t neigh, bool ok)
{
	mt_tcp_neigh_event(((struct bench_stack *)arg)->tcp, neigh, ok);
}

static void on_icmp(
	void *arg, const struct mt_tuple *t, uint32_t seq, enum mt_net_icmp kind, uint16_t mtu)
{
	mt_tcp_icmp_event(((struct bench_stack *)arg)->tcp, t, seq, kind, mtu);
}

static const struct mt_net_events events = {.neigh = on_neigh, .icmp = on_icmp};

int bench_stack_open(struct bench_stack *s, const struct bench_stack_conf *c, struct mt_err *e)
{
	static const uint8_t known[32] = "bench: not a secret";
	int rc = 0;

	*s = (struct bench_stack){.port = c->port, .pools = c->pools};
	s->net = mt_net_create(&s->port, 1, 1, NULL);
	if (s->net)
		rc = mt_net_configure(s->net, c->net, NULL, e);
	if (s->net && !rc)
		s->netw = mt_netw_create(s->net, 0, s->pools, &events, s, c->net_seed);
	if (s->netw)
		s->tcp = mt_tcp_create(c->tcp, 0, c->steer, s->netw, s->pools, c->listen,
			c->listen_arg, c->secret ? c->secret : known, c->tcp_seed, c->now);
	if (s->tcp)
		return 0;
	bench_stack_close(s);
	return rc ? rc : mt_err(e, -ENOMEM, "no memory for a host's network and TCP");
}

void bench_stack_close(struct bench_stack *s)
{
	if (s->tcp)
		mt_tcp_destroy(s->tcp);
	if (s->netw)
		mt_netw_destroy(s->netw);
	if (s->net)
		mt_net_destroy(s->net);
	*s = (struct bench_stack){0};
}

bool bench_stack_turn(struct bench_stack *s, uint64_t now)
{
	struct rte_mbuf *pkts[BURST];
	bool some = false;
	uint16_t n;

	mt_net_begin(s->netw, now);
	mt_tcp_begin(s->tcp, now);
	while ((n = s->port->ops->rx(s->port, 0, pkts, BURST)) > 0) {
		some = true;
		n = mt_net_input(s->netw, s->port, pkts, n, pkts);
		mt_tcp_input(s->tcp, pkts, n);
	}
	mt_net_tick(s->netw);
	mt_tcp_timers(s->tcp, TIMERS);
	mt_tcp_deliver(s->tcp);
	mt_tcp_flush(s->tcp);
	mt_net_flush(s->netw);
	return some;
}

int bench_net_make(struct bench_net *n, const char *address, const char *beyond,
	const char *gateway, struct mt_err *e)
{
	*n = (struct bench_net){.route = {.port = MT_NET_PORT_NONE}};
	n->conf = (struct mt_net_conf){.addrs = &n->addr, .n_addrs = 1};
	if (mt_prefix_parse(address, &n->addr.addr, &n->addr.prefix))
		return mt_err(e, -EINVAL, "'%s' is not an address like 10.1.0.2/24", address);
	if (!gateway)
		return 0;
	if (mt_addr_parse(gateway, &n->route.via))
		return mt_err(e, -EINVAL, "'%s' is not the address of a gateway", gateway);
	if (!beyond)
		beyond = mt_addr_is4(&n->route.via) ? "0.0.0.0/0" : "::/0";
	if (mt_prefix_parse(beyond, &n->route.to, &n->route.prefix))
		return mt_err(e, -EINVAL, "'%s' is not a network", beyond);
	n->conf.routes = &n->route;
	n->conf.n_routes = 1;
	return 0;
}
