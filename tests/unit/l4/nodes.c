/* SPDX-License-Identifier: Apache-2.0 */
#include "nodes.h"

#include "conn.h"

#include "mt_balance.h"
#include "mt_test.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define PORT  5440
#define TABLE 65536
#define BURST 32

static void name_of(uint32_t e, char text[MT_ADDR_STRLEN])
{
	snprintf(text, MT_ADDR_STRLEN, "192.0.2.%u", 101 + e);
}

static uint32_t endpoints(
	const struct nd *n, uint32_t node, struct mt_l4_endpoint_conf v[ND_ENDPOINTS])
{
	uint32_t at = 0;

	for (uint32_t e = 0; e < ND_ENDPOINTS; e++) {
		char text[MT_ADDR_STRLEN];

		if (n->weights[e] == ND_GONE)
			continue;
		name_of(e, text);
		v[at++] = (struct mt_l4_endpoint_conf){.addr = fx_addr(text),
			.port = PORT,
			.weight = n->weights[e],
			.health = {&n->unhealthy[node][e], e + 1, e, NULL}};
	}
	return at;
}

static void compile(struct nd *n, uint32_t node)
{
	struct mt_l4_endpoint_conf v[ND_ENDPOINTS];
	struct mt_addr vip = fx_addr("192.0.2.80");
	const struct mt_l4_service_conf service = {.id = SC_DSR_TCP,
		.name = "group",
		.vips = &vip,
		.n_vips = 1,
		.port = PORT,
		.proto = IPPROTO_TCP,
		.mode = n->mode,
		.endpoints = v,
		.n_endpoints = endpoints(n, node, v),
		.before = n->before,
		.n_before = n->n_before,
		.before_until = n->before_until,
		.check = {MT_L4_CHECK_TCP, false, 3, 2000}};
	const struct mt_l4_conf conf = {.services = &service, .n_services = 1};
	struct mt_err err;

	mt_l4_set_free(n->set[node]);
	if (mt_l4_compile(&conf, &n->set[node], &err))
		abort();
}

/* Each endpoint asks for the node, which so learns its station. */
static void learn_stations(struct nd *n)
{
	for (uint32_t e = 0; e < ND_ENDPOINTS; e++) {
		const uint8_t mac[6] = {2, 0, 0, 0, 0x31, (uint8_t)e};
		char text[MT_ADDR_STRLEN];
		struct fx_pkt p = {0};

		name_of(e, text);
		fx_arp(&p, 1, mac, text, "192.0.2.1", fx_our_mac[0]);
		fx_in(&n->s.f, 0, 0, p.b, p.len);
	}
	sc_turn(&n->s, 2 * MT_MSEC);
}

void nd_open(struct nd *n, enum mt_l4_mode mode, uint32_t flows, uint32_t endpoints_now)
{
	*n = (struct nd){.mode = mode, .flows = flows, .up = ND_NODES};
	sc_open(&n->s, 1, 64);
	learn_stations(n);
	n->to = calloc(flows, 1);
	n->was = calloc(flows, 1);
	n->strayed = calloc(flows, sizeof(*n->strayed));
	for (uint32_t e = 0; e < ND_ENDPOINTS; e++)
		n->weights[e] = e < endpoints_now ? 1 : ND_GONE;
	for (uint32_t i = 0; i < ND_NODES; i++) {
		const struct mt_l4_worker_conf conf = {.steer = &n->s.f.steer,
			.net = n->s.f.w[0],
			.flows = TABLE,
			.seed = i,
			.secret = {0x1234567890abcdefull + i, i}};

		compile(n, i);
		n->node[i] = mt_l4_create(&conf);
		if (!n->node[i] || !n->to || !n->was || !n->strayed)
			abort();
	}
}

bool nd_close(struct nd *n)
{
	for (uint32_t i = 0; i < ND_NODES; i++) {
		mt_l4_destroy(n->node[i]);
		mt_l4_set_free(n->set[i]);
	}
	free(n->to);
	free(n->was);
	free(n->strayed);
	return sc_close(&n->s);
}

void nd_changed(struct nd *n)
{
	for (uint32_t i = 0; i < ND_NODES; i++)
		compile(n, i);
}

void nd_keep_before(struct nd *n)
{
	if (n->s.f.now >= n->before_until)
		n->n_before = endpoints(n, 0, n->before);
	n->before_until = n->s.f.now + 300 * MT_SEC;
}

/* ---- packets ------------------------------------------------------------------------------- */

static uint32_t node_of(const struct nd *n, uint32_t flow)
{
	return (uint32_t)(mt_balance_hash(&flow, sizeof(flow), 77) % n->up);
}

static struct rte_mbuf *segment(struct nd *n, uint32_t flow, uint8_t flags)
{
	static struct fx_pkt p;
	uint16_t port = (uint16_t)(1024 + (uint64_t)flow * 7919 % 60000);
	struct rte_mbuf *m;

	if (p.len == 0)
		cn_frame(&(struct cn_segment){.src = "10.0.0.0",
				 .dst = "192.0.2.80",
				 .dport = PORT,
				 .flags = ACK},
			&p);
	p.b[27] = (uint8_t)(flow >> 16);
	p.b[28] = (uint8_t)(flow >> 8);
	p.b[29] = (uint8_t)flow;
	p.b[34] = (uint8_t)(port >> 8);
	p.b[35] = (uint8_t)port;
	p.b[47] = flags;
	m = fx_mbuf(&n->s.f, p.b, p.len, 0);
	m->port = 0;
	m->l2_len = 14;
	m->l3_len = 20;
	m->packet_type = RTE_PTYPE_L3_IPV4_EXT_UNKNOWN | MT_NET_PTYPE_SEGMENT;
	return m;
}

/* Notes to which endpoint each frame that left has gone. */
static uint32_t look(struct nd *n)
{
	const struct fx_port *port = &n->s.f.port[0];

	for (uint16_t i = 0; i < port->n; i++) {
		const struct fx_frame *f = &port->sent[i];
		const uint8_t *ip = f->b + 14;
		uint8_t e = f->b[5];

		if (n->mode == MT_L4_IPIP) {
			e = (uint8_t)(ip[19] - 101);
			ip += 20;
		}
		n->to[(uint32_t)ip[13] << 16 | (uint32_t)ip[14] << 8 | ip[15]] = e;
	}
	return port->n;
}

/* One segment of each flow from `from` to `end` whose node is this one. */
static uint32_t send_of(struct nd *n, uint32_t node, uint32_t from, uint32_t end, uint8_t flags)
{
	uint32_t left = 0;

	mt_l4_begin(n->node[node], n->s.f.now, n->set[node]);
	while (from < end) {
		struct rte_mbuf *pkts[BURST];
		uint16_t k = 0;

		for (; k < BURST && from < end; from++)
			if (node_of(n, from) == node)
				pkts[k++] = segment(n, from, flags);
		fx_clear(&n->s.f);
		mt_net_begin(n->s.f.w[0], n->s.f.now);
		mt_l4_input(n->node[node], pkts, k);
		mt_net_flush(n->s.f.w[0]);
		left += look(n);
	}
	return left;
}

static void send_all(struct nd *n, uint32_t from, uint32_t end, uint8_t flags)
{
	uint32_t left = 0;

	for (uint32_t node = 0; node < n->up; node++)
		left += send_of(n, node, from, end, flags);
	CU_ASSERT_EQUAL(left, end - from);
}

void nd_begin(struct nd *n, uint32_t from, uint32_t end)
{
	send_all(n, from, end, SYN);
	memcpy(n->was + from, n->to + from, end - from);
	send_all(n, from, end, ACK);
	CU_ASSERT_EQUAL(memcmp(n->was + from, n->to + from, end - from), 0);
}

uint32_t nd_strays(struct nd *n)
{
	uint32_t strays = 0;

	send_all(n, 0, n->flows, ACK);
	for (uint32_t i = 0; i < n->flows; i++) {
		n->strayed[i] |= n->to[i] != n->was[i] && n->weights[n->was[i]] != ND_GONE;
		strays += n->strayed[i];
	}
	return strays;
}

void nd_pass(struct nd *n, uint64_t ns)
{
	n->s.f.now += ns;
}
