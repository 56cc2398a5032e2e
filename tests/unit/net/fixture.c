/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"

#include "../../eal_unpinned.h"
#include "../../outcomes_seen.h"

#include "mt_poison.h"

#include <stdio.h>
#include <string.h>

const uint8_t fx_peer_mac[6] = {2, 0, 0, 0, 0, 0x99};
const uint8_t fx_our_mac[FX_PORTS][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};

void fx_eal(void)
{
	char *args[] = {"test", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=error", "-l", "0", NULL};

	if (eal_init_unpinned(MT_ARRAY_LEN(args) - 1, args) < 0 || mt_buf_init()) {
		fprintf(stderr, "the EAL did not start\n");
		exit(EXIT_FAILURE);
	}
}

/* ---- the node ------------------------------------------------------------------------------ */

static uint16_t no_rx(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	return 0;
}

static uint16_t keep_tx(struct mt_port *p, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct fx_port *port = mt_container_of(p, struct fx_port, p);

	port->calls++;
	if (port->deaf)
		return 0;
	if (port->take)
		n = MT_MIN(n, port->take);
	for (uint16_t i = 0; i < n; i++) {
		struct fx_frame *f = &port->sent[MT_MIN(port->n, FX_SENT - 1)];
		const void *at;

		f->len = (uint16_t)MT_MIN(pkts[i]->pkt_len, sizeof(f->b));
		f->segs = pkts[i]->nb_segs;
		f->ol_flags = pkts[i]->ol_flags;
		at = rte_pktmbuf_read(pkts[i], 0, f->len, f->b);
		if (at != f->b)
			memcpy(f->b, at, f->len);
		port->n++;
		mt_buf_free(pkts[i]);
	}
	return n;
}

static const struct mt_port_ops fake_ops = {no_rx, keep_tx};

static void on_neigh(void *arg, uint32_t neigh, bool ok)
{
	struct fx *f = arg;

	f->last_neigh = neigh;
	if (ok)
		f->neigh_ok++;
	else
		f->neigh_failed++;
}

static void on_icmp(
	void *arg, const struct mt_tuple *t, uint32_t seq, enum mt_net_icmp kind, uint16_t mtu)
{
	struct fx *f = arg;

	f->icmp++;
	f->icmp_tuple = *t;
	f->icmp_seq = seq;
	f->icmp_kind = kind;
	f->icmp_mtu = mtu;
}

static void open_ports(struct fx *f, struct mt_port *ports[FX_PORTS])
{
	for (uint16_t i = 0; i < FX_PORTS; i++) {
		struct mt_port *p = &f->port[i].p;

		p->ops = &fake_ops;
		p->index = i;
		p->mtu = 1500;
		p->n_rxq = p->n_txq = f->workers;
		p->caps.tx_chains = true;
		memcpy(&p->mac, fx_our_mac[i], 6);
		ports[i] = p;
	}
}

void fx_open(struct fx *f, uint16_t workers)
{
	if (mt_pools_init(&f->pools, "fx", 511, 511, MT_BUF_DATA_ROOM, SOCKET_ID_ANY))
		abort();
	fx_open_node(f, workers);
}

void fx_open_node(struct fx *f, uint16_t workers)
{
	static const struct mt_net_events events = {.neigh = on_neigh, .icmp = on_icmp};
	const struct mt_net_addr_conf addrs[] = {{fx_addr("192.0.2.1"), 24, 0},
		{fx_addr("2001:db8::1"), 64, 0}, {fx_addr("198.51.100.1"), 24, 1}};
	const struct mt_net_route_conf routes[] = {
		{fx_addr("0.0.0.0"), 0, fx_addr("192.0.2.254"), MT_NET_PORT_NONE},
		{fx_addr("::"), 0, fx_addr("2001:db8::fe"), MT_NET_PORT_NONE}};
	const struct mt_net_port_conf port_conf[FX_PORTS] = {
		{0, MT_NET_PORT_NONE, false}, {7, MT_NET_PORT_NONE, false}};
	const struct mt_net_conf conf = {
		.addrs = addrs, .n_addrs = 3, .routes = routes, .n_routes = 2, .ports = port_conf};
	const struct mt_addr vips[] = {
		fx_addr("192.0.2.80"), fx_addr("203.0.113.80"), fx_addr("2001:db8::80")};
	struct mt_port *ports[FX_PORTS];
	struct mt_err e;

	memset((char *)f + sizeof(f->pools), 0, offsetof(struct fx, port) - sizeof(f->pools));
	for (uint16_t i = 0; i < FX_PORTS; i++)
		memset(&f->port[i], 0, offsetof(struct fx_port, sent));
	memset(&f->now, 0, sizeof(*f) - offsetof(struct fx, now));
	f->workers = workers;
	f->now = 1000 * MT_SEC;
	open_ports(f, ports);
	if (mt_steer_init(&f->steer, workers, 64))
		abort();
	f->net = mt_net_create(ports, FX_PORTS, workers, &f->steer);
	if (!f->net || mt_net_configure(f->net, &conf, NULL, &e) ||
		mt_net_set_vips(f->net, vips, MT_ARRAY_LEN(vips), NULL))
		abort();
	for (uint16_t i = 0; i < workers; i++) {
		f->w[i] = mt_netw_create(f->net, i, &f->pools, &events, f, i);
		mt_net_begin(f->w[i], f->now);
	}
}

bool fx_close(struct fx *f)
{
	bool whole = fx_close_node(f);

	mt_pools_fini(&f->pools);
	return whole;
}

bool fx_close_node(struct fx *f)
{

	for (uint16_t i = 0; i < f->workers; i++) {
		outcomes_seen(&mt_net_outcomes, mt_net_counters(f->w[i]));
		mt_netw_destroy(f->w[i]);
	}
	mt_net_destroy(f->net);
	mt_steer_fini(&f->steer);
	mt_pools_sample(&f->pools);
	return f->pools.data_free == f->pools.data_total &&
	       f->pools.ctrl_free == f->pools.ctrl_total;
}

void fx_turn(struct fx *f, uint64_t step)
{
	f->now += step;
	for (uint16_t i = 0; i < f->workers; i++) {
		mt_net_begin(f->w[i], f->now);
		mt_net_tick(f->w[i]);
		mt_net_flush(f->w[i]);
	}
}

void fx_clear(struct fx *f)
{
	for (uint16_t i = 0; i < FX_PORTS; i++)
		f->port[i].n = 0;
}

uint64_t fx_count(const struct fx *f, enum mt_net_outcome o)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < f->workers; i++)
		sum += mt_net_counters(f->w[i])[o];
	return sum;
}

enum mt_net_result fx_send(struct fx *f, uint16_t worker, struct rte_mbuf *m,
	const struct mt_tuple *t, struct mt_net_dst *dst, uint8_t tos)
{
	uint32_t room;
	enum mt_net_result rc = mt_net_tx_ready(f->w[worker], t, dst, &room);

	if (rc == MT_NET_SENT)
		mt_net_output_tcp(f->w[worker], m, t, dst, tos);
	else
		mt_buf_free(m);
	return rc;
}

struct rte_mbuf *fx_mbuf(struct fx *f, const void *bytes, uint16_t len, uint16_t seg)
{
	const uint8_t *from = bytes;
	struct rte_mbuf *head = mt_buf_data(&f->pools), *last = head;
	uint16_t left = len;

	for (;;) {
		uint16_t part = seg ? MT_MIN(seg, left) : left;

		memcpy(rte_pktmbuf_append(last, part), from, part);
		/* A byte read behind the frame is an error, though the mbuf has room there. */
		mt_poison(rte_pktmbuf_mtod_offset(last, char *, part), rte_pktmbuf_tailroom(last));
		from += part;
		left = (uint16_t)(left - part);
		if (left == 0)
			break;
		last->next = mt_buf_data(&f->pools);
		last = last->next;
		head->nb_segs++;
	}
	head->pkt_len = len;
	return head;
}

struct rte_mbuf *fx_in_keep(struct fx *f, uint16_t worker, uint16_t port, struct rte_mbuf *m)
{
	struct rte_mbuf *out[1] = {m};
	uint16_t n;

	mt_net_begin(f->w[worker], f->now);
	n = mt_net_input(f->w[worker], &f->port[port].p, out, 1, out);
	mt_net_flush(f->w[worker]);
	f->tcp += n;
	return n ? out[0] : NULL;
}

void fx_in(struct fx *f, uint16_t worker, uint16_t port, const void *bytes, uint16_t len)
{
	mt_buf_free(fx_in_keep(f, worker, port, fx_mbuf(f, bytes, len, 0)));
}
