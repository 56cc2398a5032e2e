/* SPDX-License-Identifier: Apache-2.0 */
#include "port_sim.h"

#include "host.h"

#include <string.h>

#include <rte_ether.h>

/* ---- transmit ---- */

static uint64_t bytes_hash(const struct rte_mbuf *m)
{
	uint64_t h = m->pkt_len;

	for (; m; m = m->next) {
		const uint8_t *b = rte_pktmbuf_mtod(m, const uint8_t *);

		for (uint32_t i = 0; i < m->data_len; i++)
			h = (h ^ b[i]) * 0x100000001b3ull;
	}
	return h;
}

/* What the layers above promised. */
static bool in_order(struct sim_port *p, const struct rte_mbuf *m)
{
	const struct mt_port_caps *caps = &p->port.caps;
	uint32_t len = 0, segs = 0;

	for (const struct rte_mbuf *q = m; q; q = q->next) {
		len += q->data_len;
		segs++;
		if (rte_mbuf_refcnt_read(q) == 0)
			sim_fail(p->sim, "%s: sends a freed mbuf", p->port.name);
	}
	if (len != m->pkt_len || segs != m->nb_segs)
		sim_fail(p->sim,
			"%s: sends an mbuf whose lengths disagree (%u bytes in %u segments, says "
			"%u in %u)",
			p->port.name, len, segs, m->pkt_len, m->nb_segs);
	else if (segs > 1 && !caps->tx_chains)
		sim_fail(
			p->sim, "%s: a chain of %u for a port that sends none", p->port.name, segs);
	else if (len > caps->max_frame)
		sim_fail(p->sim, "%s: a frame of %u bytes", p->port.name, len);
	return !p->sim->failed;
}

/* The device's part of the checksums, which must have been prepared for it. */
static void offload(struct sim_port *p, const struct rte_mbuf *m, struct sim_frame *f)
{
	const struct mt_port_caps *caps = &p->port.caps;
	bool ip = m->ol_flags & RTE_MBUF_F_TX_IP_CKSUM, tcp;
	struct sim_pkt k;

	tcp = (m->ol_flags & RTE_MBUF_F_TX_L4_MASK) == RTE_MBUF_F_TX_TCP_CKSUM;
	if (!ip && !tcp)
		return;
	if ((ip && !caps->tx_cksum_ip) || (tcp && !caps->tx_cksum_tcp)) {
		sim_fail(p->sim, "%s: asks for a checksum that the device does not fill",
			p->port.name);
		return;
	}
	if (!sim_parse(f->data, f->len, &k))
		return;
	if (ip) {
		sim_put16(k.ip + 10, 0);
		sim_put16(k.ip + 10, sim_cksum(k.ip, (uint32_t)(k.ip[0] & 15) * 4, 0));
	}
	if (tcp) {
		uint16_t phdr = (uint16_t)~sim_cksum(NULL, 0, sim_pseudo_sum(&k));

		if (sim_get16(k.l4 + 16) != phdr || m->l2_len != 14 ||
			(m->l3_len != 20 && m->l3_len != 40))
			sim_fail(p->sim, "%s: checksum offload without pseudo header and lengths",
				p->port.name);
		sim_put16(k.l4 + 16, 0);
		sim_put16(k.l4 + 16, sim_cksum(k.l4, k.l4_len, sim_pseudo_sum(&k)));
	}
}

static void release_oldest(struct sim_port *p)
{
	struct sim_held *h = &p->held[0];

	if (bytes_hash(h->m) != h->hash)
		sim_fail(p->sim, "%s: a packet was changed while the device held it", p->port.name);
	rte_pktmbuf_free(h->m);
	memmove(p->held, p->held + 1, --p->n_held * sizeof(*p->held));
}

static void hold(struct sim_port *p, struct rte_mbuf *m)
{
	sim_count_fault(p->sim, SIM_F_TX_HELD);
	p->held[p->n_held++] = (struct sim_held){m, bytes_hash(m)};
	while (p->n_held > p->hold)
		release_oldest(p);
}

/* Who is sent to may keep it for as long as he likes: no host can do without half of its buffers. */
static bool may_share(const struct sim_port *p, uint16_t queue)
{
	const struct mt_pools *own = p->pools[queue];

	return rte_mempool_avail_count(own->data) * 2 > own->data_total;
}

static void send_one(struct sim_port *p, uint16_t queue, struct rte_mbuf *m)
{
	struct sim_frame *f = sim_frame_new();
	struct sim_nic *to;

	for (const struct rte_mbuf *q = m; q; q = q->next) {
		memcpy(f->data + f->len, rte_pktmbuf_mtod(q, const void *), q->data_len);
		f->len = (uint16_t)(f->len + q->data_len);
	}
	offload(p, m, f);
	/* The device pads short frames. */
	while (f->len < p->port.caps.tx_min_len)
		f->data[f->len++] = 0;
	to = sim_net_find(p->sim->net, f->data);
	if (to && to->takes_shared && may_share(p, queue) &&
		!(m->ol_flags & (RTE_MBUF_F_TX_L4_MASK | RTE_MBUF_F_TX_IP_CKSUM))) {
		f->shared = m;
	} else if (p->hold) {
		hold(p, m);
	} else {
		rte_pktmbuf_free(m);
	}
	if (!p->in_turn) {
		sim_net_send(&p->nic, f);
		return;
	}
	f->next = NULL;
	*p->later_end = f;
	p->later_end = &f->next;
}

void sim_port_turn_begins(struct sim_port *p)
{
	p->in_turn = true;
	p->later = NULL;
	p->later_end = &p->later;
}

/* One burst on its way out. */
struct burst {
	struct sim_port *port;
	struct sim_frame *frames;
};

static void burst_free(void *arg)
{
	struct burst *b = arg;

	while (b->frames) {
		struct sim_frame *f = b->frames;

		b->frames = f->next;
		sim_frame_free(f);
	}
	free(b);
}

static void burst_leaves(struct sim *s, void *arg, uint64_t n)
{
	struct burst *b = arg;

	while (b->frames) {
		struct sim_frame *f = b->frames;

		b->frames = f->next;
		f->next = NULL;
		sim_net_send(&b->port->nic, f);
	}
	free(b);
}

void sim_port_turn_ends(struct sim_port *p, uint64_t at)
{
	struct burst *b = p->later ? malloc(sizeof(*b)) : NULL;

	p->in_turn = false;
	if (!p->later)
		return;
	MT_ASSERT(b);
	*b = (struct burst){p, p->later};
	sim_at_owned(p->sim, at, burst_leaves, b, 0, burst_free);
}

static uint16_t port_tx(struct mt_port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct sim_port *p = (struct sim_port *)port;
	uint16_t take = n, i;

	if (n && sim_chance(&p->sim->host_rand, p->partial)) {
		take = (uint16_t)sim_below(&p->sim->host_rand, n);
		sim_count_fault(p->sim, SIM_F_TX_PARTIAL);
	}
	for (i = 0; i < take && in_order(p, pkts[i]); i++)
		send_one(p, queue, pkts[i]);
	return i;
}

/* ---- receive ---- */

static void rx_flags(const struct sim_port *p, struct sim_frame *f, struct rte_mbuf *m)
{
	struct sim_pkt k;

	m->port = p->port.dpdk_id;
	if (!p->port.caps.rx_cksum || !sim_parse(f->data, f->len, &k))
		return;
	m->ol_flags |=
		sim_ip_cksum_error(&k) ? RTE_MBUF_F_RX_IP_CKSUM_BAD : RTE_MBUF_F_RX_IP_CKSUM_GOOD;
	if (k.proto == 6)
		m->ol_flags |= sim_l4_cksum_error(&k) ? RTE_MBUF_F_RX_L4_CKSUM_BAD
						      : RTE_MBUF_F_RX_L4_CKSUM_GOOD;
}

static void tell_bad_sum(struct sim_port *p, struct sim_frame *f)
{
	struct sim_pkt k;

	if (f->hurt && p->bad_sum && sim_parse(f->data, f->len, &k) && k.proto == 6 &&
		sim_ip_cksum_error(&k) == 0 && sim_l4_cksum_error(&k))
		p->bad_sum(p->kick_arg, &k);
}

/* NULL: no memory; the device drops the frame. */
static struct rte_mbuf *to_mbuf(struct sim_port *p, struct mt_pools *pools, struct sim_frame *f)
{
	uint16_t cut = f->len, done = 0;
	struct rte_mbuf *head = NULL, *last = NULL;

	if (f->len > 1 && sim_chance(&p->sim->host_rand, p->segments)) {
		cut = (uint16_t)(1 + sim_below(&p->sim->host_rand, f->len - 1u));
		sim_count_fault(p->sim, SIM_F_RX_SEGMENTS);
	}
	for (; done < f->len; done = (uint16_t)(done + last->data_len)) {
		struct rte_mbuf *m = rte_pktmbuf_alloc(pools->data);

		if (!m) {
			rte_pktmbuf_free(head);
			return NULL;
		}
		m->data_len = (uint16_t)MT_MIN(cut, f->len - done);
		memcpy(rte_pktmbuf_mtod(m, void *), f->data + done, m->data_len);
		if (head) {
			last->next = m;
			head->nb_segs++;
		} else {
			head = m;
			m->pkt_len = f->len;
		}
		last = m;
	}
	return head;
}

/* The sender's own mbuf; nobody may have written to it on its way. */
static struct rte_mbuf *take_shared(struct sim_port *p, struct sim_frame *f)
{
	struct rte_mbuf *m = f->shared;
	uint16_t off = 0;

	f->shared = NULL;
	if (rte_mbuf_refcnt_read(m) > 1 || m->nb_segs > 1)
		sim_count_fault(p->sim, SIM_F_RX_SHARED);
	for (const struct rte_mbuf *q = m; q; q = q->next) {
		if ((uint32_t)off + q->data_len > f->len ||
			memcmp(f->data + off, rte_pktmbuf_mtod(q, const void *), q->data_len) != 0)
			sim_fail(p->sim, "%s: a packet was changed on its way through a ring",
				p->port.name);
		off = (uint16_t)(off + q->data_len);
	}
	m->ol_flags = 0;
	return m;
}

static uint16_t port_rx(struct mt_port *port, uint16_t queue, struct rte_mbuf **pkts, uint16_t n)
{
	struct sim_port *p = (struct sim_port *)port;
	uint16_t got = 0;

	while (got < n && p->rx_n[queue]) {
		struct sim_frame *f = p->rxq[queue][p->rx_head[queue]];

		p->rx_head[queue] = (p->rx_head[queue] + 1) % SIM_RX_QUEUE;
		p->rx_n[queue]--;
		tell_bad_sum(p, f);
		pkts[got] = f->shared ? take_shared(p, f) : to_mbuf(p, p->pools[queue], f);
		if (pkts[got])
			rx_flags(p, f, pkts[got++]);
		sim_frame_free(f);
	}
	return got;
}

static uint16_t queue_of(struct sim_port *p, struct sim_frame *f)
{
	struct sim_pkt k;
	struct mt_tuple t;
	uint16_t owner;

	if (p->port.n_rxq == 1 || !sim_parse(f->data, f->len, &k) || k.proto != 6)
		return 0;
	t = (struct mt_tuple){.local = k.dst, .remote = k.src, .lport = k.dport, .rport = k.sport};
	owner = mt_steer_owner(p->steer, &t);
	if (p->spread == SIM_SPREAD_ONE)
		return 0;
	if (p->spread == SIM_SPREAD_RANDOM) {
		uint16_t q = (uint16_t)sim_below(&p->sim->host_rand, p->port.n_rxq);

		if (q != owner)
			sim_count_fault(p->sim, SIM_F_RX_WRONG_WORKER);
		return q;
	}
	return owner;
}

static void deliver(struct sim_nic *nic, struct sim_frame *f)
{
	struct sim_port *p = nic->owner;
	uint16_t q = queue_of(p, f);

	if (p->rx_n[q] == SIM_RX_QUEUE) {
		sim_frame_free(f);
		return;
	}
	p->rxq[q][(p->rx_head[q] + p->rx_n[q]++) % SIM_RX_QUEUE] = f;
	p->kick(p->kick_arg);
}

void sim_port_inject(struct sim_port *p, const struct mt_tuple *t, struct sim_frame *f)
{
	uint16_t q = p->port.n_rxq == 1 ? 0 : mt_steer_owner(p->steer, t);

	if (p->rx_n[q] == SIM_RX_QUEUE) {
		sim_frame_free(f);
		return;
	}
	sim_trace_frame(p->sim, "inject", p->port.name, f);
	p->rx_head[q] = (p->rx_head[q] + SIM_RX_QUEUE - 1) % SIM_RX_QUEUE;
	p->rxq[q][p->rx_head[q]] = f;
	p->rx_n[q]++;
	p->kick(p->kick_arg);
}

/* ---- life ---- */

static const struct mt_port_ops port_ops = {.rx = port_rx, .tx = port_tx};

void sim_port_init(struct sim_port *p, struct sim *s, const char *name, uint8_t number,
	uint32_t workers, const struct mt_steer *steer)
{
	memset(p, 0, offsetof(struct sim_port, rxq));
	memset(p->rx_head, 0, sizeof(p->rx_head));
	memset(p->rx_n, 0, sizeof(p->rx_n));
	p->n_held = p->hold = 0;
	p->sim = s;
	p->steer = steer;
	p->bad_sum = NULL;
	p->port.ops = &port_ops;
	snprintf(p->port.name, sizeof(p->port.name), "%s", name);
	p->port.mtu = 1500;
	p->port.n_rxq = p->port.n_txq = (uint16_t)workers;
	p->port.link_up = true;
	p->port.caps =
		(struct mt_port_caps){.tx_chains = true, .tx_min_len = 60, .max_frame = 1518};
	sim_host_mac(number, p->port.mac.addr_bytes);
	sim_host_mac(number, p->nic.mac);
	p->nic.name = name;
	p->nic.owner = p;
	p->nic.deliver = deliver;
	sim_net_add(s, &p->nic);
}

void sim_port_draw(struct sim_port *p, uint32_t severity)
{
	struct mt_rand *r = &p->sim->plan;
	struct mt_port_caps *c = &p->port.caps;

	c->tx_chains = !sim_one_in(r, 3);
	c->tx_cksum_ip = sim_one_in(r, 3);
	c->tx_cksum_tcp = sim_one_in(r, 3);
	c->rx_cksum = sim_one_in(r, 4);
	c->tx_min_len = sim_one_in(r, 4) ? 0 : 60;
	c->tx_holds = sim_one_in(r, 4);
	c->rx_shared = sim_one_in(r, 4);
	p->spread = sim_below(r, 3);
	c->rss = p->spread == SIM_SPREAD_OWNER;
	p->hold = c->tx_holds ? 1 + sim_below(r, SIM_HOLD_MAX - 1) : 0;
	p->nic.takes_shared = c->rx_shared;
	p->partial = severity && sim_one_in(r, 3) ? sim_below(r, 100000 * severity) : 0;
	p->segments = sim_one_in(r, 3) ? sim_below(r, 500000) : 0;
}

bool sim_port_rx_pending_of(const struct sim_port *p, uint32_t q)
{
	return p->rx_n[q] > 0;
}

bool sim_port_rx_pending(const struct sim_port *p)
{
	for (uint32_t q = 0; q < p->port.n_rxq; q++)
		if (sim_port_rx_pending_of(p, q))
			return true;
	return false;
}

void sim_port_fini(struct sim_port *p)
{
	for (uint32_t q = 0; q < p->port.n_rxq; q++)
		while (p->rx_n[q]) {
			sim_frame_free(p->rxq[q][p->rx_head[q]]);
			p->rx_head[q] = (p->rx_head[q] + 1) % SIM_RX_QUEUE;
			p->rx_n[q]--;
		}
	while (p->n_held)
		release_oldest(p);
}
