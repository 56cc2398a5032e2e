/* SPDX-License-Identifier: Apache-2.0 */
/* The rare packets of a stripped host: handshakes, closes, out-of-order data, ARP. */
#include "stripped_priv.h"

#include "mt_net_cksum.h"

#include <rte_arp.h>

#define ASK_EVERY (100 * MT_MSEC)
#define PORT_LO	  1024
#define PORT_HI	  65535
#define SYN_HEAD  40 /* MSS, timestamps, window scale */

/* ---- ARP ----------------------------------------------------------------------------------- */

static void arp_send(struct bench_stripped *p, uint16_t opcode, const uint8_t *to_mac, uint32_t to)
{
	static const struct rte_ether_addr all = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	struct rte_mbuf *m = stripped_mbuf(p);
	struct rte_ether_hdr *eth;
	struct rte_arp_hdr *a;

	if (!m) {
		mt_count(p->counters, BENCH_STRIPPED_no_memory);
		return;
	}
	m->data_len = sizeof(*eth) + sizeof(*a);
	eth = rte_pktmbuf_mtod(m, struct rte_ether_hdr *);
	a = (struct rte_arp_hdr *)(eth + 1);
	memcpy(&eth->dst_addr, to_mac ? to_mac : all.addr_bytes, 6);
	eth->src_addr = p->port->mac;
	eth->ether_type = rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP);
	*a = (struct rte_arp_hdr){.arp_hardware = rte_cpu_to_be_16(RTE_ARP_HRD_ETHER),
		.arp_protocol = rte_cpu_to_be_16(RTE_ETHER_TYPE_IPV4),
		.arp_hlen = 6,
		.arp_plen = 4,
		.arp_opcode = rte_cpu_to_be_16(opcode)};
	a->arp_data.arp_sha = p->port->mac;
	a->arp_data.arp_sip = p->ip;
	if (to_mac)
		memcpy(&a->arp_data.arp_tha, to_mac, 6);
	a->arp_data.arp_tip = to;
	stripped_queue(p, m);
}

void stripped_ask_gateway(struct bench_stripped *p, uint64_t now)
{
	if (p->asked_at && now < p->asked_at + ASK_EVERY)
		return;
	p->asked_at = now;
	arp_send(p, RTE_ARP_OP_REQUEST, NULL, mt_addr_v4(&p->c.gateway));
}

static void arp_input(struct bench_stripped *p, const struct rte_arp_hdr *a)
{
	bool reply = a->arp_opcode == rte_cpu_to_be_16(RTE_ARP_OP_REPLY);

	if (p->c.client && a->arp_data.arp_sip == mt_addr_v4(&p->c.gateway)) {
		memcpy(p->head, &a->arp_data.arp_sha, 6);
		p->gateway_known = true;
	}
	if (!reply && a->arp_data.arp_tip == p->ip)
		arp_send(p, RTE_ARP_OP_REPLY, a->arp_data.arp_sha.addr_bytes, a->arp_data.arp_sip);
}

void stripped_other(struct bench_stripped *p, const uint8_t *frame, uint32_t len)
{
	if (len >= L2_LEN + sizeof(struct rte_arp_hdr) &&
		load16(frame + 12) == rte_cpu_to_be_16(RTE_ETHER_TYPE_ARP))
		arp_input(p, (const struct rte_arp_hdr *)(frame + L2_LEN));
	else
		mt_count(p->counters, BENCH_STRIPPED_ignored);
}

/* ---- handshake ----------------------------------------------------------------------------- */

/* Parses the required options: false if one is missing. */
static bool options(struct bench_stripped *p, struct stripped_conn *c, const struct stripped_seg *s)
{
	const uint8_t *o = s->tcp + 20, *end = s->tcp + s->head;
	bool scale = false, stamps = false;
	uint32_t mss = 536;

	while (o < end && *o != 0) {
		if (*o == 1) {
			o++;
			continue;
		}
		if (end - o < 2 || o[1] < 2 || o[1] > end - o)
			return false;
		if (o[0] == 2 && o[1] == 4)
			mss = (uint32_t)o[2] << 8 | o[3];
		if (o[0] == 3 && o[1] == 3) {
			c->wscale = MT_MIN(o[2], 14);
			scale = true;
		}
		if (o[0] == 8 && o[1] == 10) {
			c->ts_recent = load32(o + 2);
			stamps = true;
		}
		o += o[1];
	}
	if (!scale || !stamps || mss < 88)
		return false;
	/* timestamps are part of each segment, not counted in the MSS */
	p->mss = MT_MIN(p->mss, mss - 12);
	return true;
}

/* Sends a SYN or SYN-ACK. */
static void syn_send(struct bench_stripped *p, struct stripped_conn *c)
{
	uint8_t flags = RTE_TCP_SYN_FLAG | (c->state == UP ? RTE_TCP_ACK_FLAG : 0);
	struct rte_mbuf *m = stripped_mbuf(p);
	uint32_t to = (uint32_t)(c->key >> 32);
	uint16_t mss = p->port->mtu - 40u;
	uint8_t *d, *t;

	if (!m) {
		mt_count(p->counters, BENCH_STRIPPED_no_memory);
		return;
	}
	d = rte_pktmbuf_mtod(m, uint8_t *);
	t = d + L2_LEN + 20;
	m->data_len = L2_LEN + 20 + SYN_HEAD;
	memcpy(d, p->head, L2_LEN + 20);
	memset(t, 0, SYN_HEAD);
	store16(d + 16, rte_cpu_to_be_16(20 + SYN_HEAD));
	store32(d + 30, to);
	store16(d + 24, (uint16_t)~net_sum(d + L2_LEN, 20));
	store32(t, (uint32_t)c->key << 16 | (uint32_t)c->key >> 16);
	store32(t + 4, rte_cpu_to_be_32(c->snd_nxt));
	store32(t + 8, c->state == UP ? rte_cpu_to_be_32(c->rcv_nxt) : 0);
	t[12] = SYN_HEAD << 2;
	t[13] = flags;
	store16(t + 14, UINT16_MAX);
	memcpy(t + 20, (uint8_t[]){2, 4, (uint8_t)(mss >> 8), (uint8_t)mss, 1, 1, 8, 10}, 8);
	store32(t + 28, p->ts);
	store32(t + 32, c->ts_recent);
	memcpy(t + 36, (uint8_t[]){1, 3, 3, WSCALE}, 4);
	store16(t + 16, (uint16_t)~net_sum_fold((uint64_t)net_sum(t, SYN_HEAD) + p->ip + to +
						rte_cpu_to_be_16(IPPROTO_TCP) +
						rte_cpu_to_be_16(SYN_HEAD)));
	stripped_queue(p, m);
	c->snd_nxt++;
}

/* Sends a RST for a segment without a connection. */
static void refuse(struct bench_stripped *p, const struct stripped_seg *s)
{
	struct stripped_conn c = {.key = s->key, .snd_nxt = s->ack, .rcv_nxt = s->seq + s->len + 1};

	mt_count(p->counters, BENCH_STRIPPED_refused);
	memcpy(p->head, s->frame + 6, 6);
	stripped_bare(p, &c, RTE_TCP_RST_FLAG);
}

void stripped_reset(struct bench_stripped *p, struct stripped_conn *c)
{
	stripped_bare(p, c, RTE_TCP_RST_FLAG);
	stripped_conn_free(p, c);
}

static void up(struct bench_stripped *p, struct stripped_conn *c)
{
	c->state = UP;
	p->connected++;
	mt_count(p->counters, BENCH_STRIPPED_opened);
}

static void accept_syn(
	struct bench_stripped *p, struct stripped_conn *c, const struct stripped_seg *s)
{
	uint16_t to = rte_be_to_cpu_16(load16(s->tcp + 2));

	if (c) /* an earlier connection with the same key, whose end was not seen */
		stripped_conn_free(p, c);
	c = NULL;
	if (!p->c.client && (!p->c.listen || to == p->c.listen))
		c = stripped_conn_new(p, s->key);
	if (!c) {
		refuse(p, s);
		return;
	}
	c->rcv_nxt = s->seq + 1;
	c->snd_nxt = (uint32_t)mt_rand_u64(&p->rand);
	c->snd_edge = c->snd_nxt + 1;
	if (!options(p, c, s)) {
		stripped_conn_free(p, c);
		refuse(p, s);
		return;
	}
	memcpy(p->head, s->frame + 6, 6);
	up(p, c);
	due(p, c, DUE_SYN);
}

static void connected(
	struct bench_stripped *p, struct stripped_conn *c, const struct stripped_seg *s)
{
	uint32_t n = p->c.once ? 1 : p->c.outstanding;

	if (s->ack != c->snd_nxt || !options(p, c, s)) {
		mt_count(p->counters, BENCH_STRIPPED_not_known);
		stripped_reset(p, c);
		return;
	}
	c->rcv_nxt = s->seq + 1;
	c->snd_edge = s->ack + s->wnd; /* not scaled in a SYN */
	up(p, c);
	due(p, c, DUE_ACK);
	for (uint32_t i = 0; i < n; i++)
		stripped_request(p, c);
}

/* ---- the rest of a connection's life -------------------------------------------------------- */

static void reset_in(struct bench_stripped *p, struct stripped_conn *c)
{
	/* A connection that is being closed may be reset by a peer that no longer needs it. */
	mt_count(p->counters, c->state == UP || c->state == SYN_SENT ? BENCH_STRIPPED_reset_by_peer
								     : BENCH_STRIPPED_closed);
	stripped_conn_free(p, c);
}

static void fin_in(struct bench_stripped *p, struct stripped_conn *c)
{
	c->rcv_nxt++;
	due(p, c, DUE_ACK);
	if (c->state == UP) {
		c->state = LAST_ACK;
		p->connected--;
		due(p, c, DUE_FIN);
	} else if (c->state == CLOSING && c->fin_sent) {
		due(p, c, DUE_FREE);
	}
}

void stripped_unexpected(
	struct bench_stripped *p, struct stripped_conn *c, const struct stripped_seg *s)
{
	uint32_t old = c->rcv_nxt - s->seq;

	if ((int32_t)old < 0) {
		mt_count(p->counters, BENCH_STRIPPED_gap);
	} else if (old >= s->len) {
		/* A probe that requests an ACK, or a retransmission. */
		mt_count(p->counters, BENCH_STRIPPED_repeated);
	} else {
		mt_count(p->counters, BENCH_STRIPPED_repeated);
		c->rcv_nxt += s->len - old;
		due(p, c, DUE_ACK);
		stripped_take(p, c, s->data + old, s->len - old);
		return;
	}
	due(p, c, DUE_ACK);
}

static void segment(struct bench_stripped *p, struct stripped_conn *c, const struct stripped_seg *s)
{
	uint32_t edge = s->ack + (s->wnd << c->wscale);
	uint32_t index = (uint32_t)(c - p->conns);

	if ((int32_t)(edge - c->snd_edge) > 0)
		c->snd_edge = edge;
	if (s->seq != c->rcv_nxt) {
		stripped_unexpected(p, c, s);
		return;
	}
	if (s->head == 32 && load32(s->tcp + 20) == load32("\x01\x01\x08\x0a"))
		c->ts_recent = load32(s->tcp + 24);
	c->rcv_nxt += s->len;
	if (s->len)
		due(p, c, DUE_ACK);
	if (s->len && c->state == UP)
		stripped_take(p, c, s->data, s->len);
	if (p->conns[index].key != s->key)
		return; /* it was reset because of its data */
	if (s->flags & RTE_TCP_FIN_FLAG)
		fin_in(p, c);
	if (c->state == LAST_ACK && c->fin_sent && s->ack == c->snd_nxt) {
		mt_count(p->counters, BENCH_STRIPPED_closed);
		stripped_conn_free(p, c);
	}
}

void stripped_slow(struct bench_stripped *p, struct stripped_conn *c, struct stripped_seg *s)
{
	uint8_t syn = s->flags & (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG);

	if (s->flags & RTE_TCP_RST_FLAG) {
		if (c)
			reset_in(p, c);
	} else if (syn == RTE_TCP_SYN_FLAG) {
		accept_syn(p, c, s);
	} else if (c && c->state == SYN_SENT && syn == (RTE_TCP_SYN_FLAG | RTE_TCP_ACK_FLAG)) {
		connected(p, c, s);
	} else if (c && !(s->flags & RTE_TCP_SYN_FLAG) && c->state != SYN_SENT) {
		segment(p, c, s);
	} else {
		mt_count(p->counters, BENCH_STRIPPED_ignored);
	}
}

/* Sends FIN after all waiting data, with the last segment if there is one. */
static void fin_send(struct bench_stripped *p, struct stripped_conn *c)
{
	if (c->open)
		stripped_close_segment(p, c, RTE_TCP_FIN_FLAG | RTE_TCP_PSH_FLAG);
	else
		stripped_bare(p, c, RTE_TCP_FIN_FLAG);
	c->snd_nxt++;
	c->fin_sent = 1;
}

void stripped_due(struct bench_stripped *p, struct stripped_conn *c)
{
	uint8_t d = c->due;

	c->due &= DUE_LISTED;
	if (d & DUE_SYN) {
		syn_send(p, c);
	} else if (d & DUE_FREE) {
		stripped_bare(p, c, 0);
		mt_count(p->counters, BENCH_STRIPPED_closed);
		stripped_conn_free(p, c);
	} else if (c->back && c->back->n) {
		if (c->open)
			stripped_close_segment(p, c, RTE_TCP_PSH_FLAG);
		due(p, c, DUE_FIN);
	} else {
		fin_send(p, c);
	}
}

/* ---- a client's connections ---------------------------------------------------------------- */

static bool owned(
	const struct bench_stripped *p, const struct mt_addr *vip, uint16_t port, uint16_t ours)
{
	struct mt_tuple theirs = {
		.local = *vip, .remote = p->c.address, .lport = port, .rport = ours};

	return !p->c.node || mt_steer_owner(p->c.node, &theirs) == p->c.worker;
}

bool bench_stripped_open(struct bench_stripped *p, const struct mt_addr *vip, uint16_t port)
{
	if (!p->gateway_known)
		return false;
	for (uint32_t i = 0; i < PORT_HI - PORT_LO; i++) {
		uint16_t ours = p->next_port;
		uint32_t ports;
		uint64_t key;
		struct stripped_conn *c;

		p->next_port = ours == PORT_HI ? PORT_LO : (uint16_t)(ours + 1);
		if (!owned(p, vip, port, ours))
			continue;
		memcpy(&ports, (uint16_t[]){rte_cpu_to_be_16(port), rte_cpu_to_be_16(ours)}, 4);
		key = (uint64_t)mt_addr_v4(vip) << 32 | ports;
		if (find(p, key))
			continue;
		c = stripped_conn_new(p, key);
		if (!c)
			return false;
		c->state = SYN_SENT;
		c->snd_nxt = (uint32_t)mt_rand_u64(&p->rand);
		due(p, c, DUE_SYN);
		return true;
	}
	return false;
}
