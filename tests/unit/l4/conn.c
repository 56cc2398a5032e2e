/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, (uint16_t)(v >> 16));
	put16(p + 2, (uint16_t)v);
}

uint32_t cn_word(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void cn_frame(const struct cn_segment *g, struct fx_pkt *p)
{
	uint8_t b[2048] = {0};
	uint16_t hlen = g->stamp ? 32 : 20;

	put16(b, g->sport);
	put16(b + 2, g->dport);
	put32(b + 4, g->seq);
	put32(b + 8, g->flags & ACK ? g->ack : 0);
	b[12] = (uint8_t)(hlen / 4 << 4);
	b[13] = g->flags;
	put16(b + 14, 0xffff);
	if (g->stamp) {
		memcpy(b + 20, (uint8_t[]){1, 1, 8, 10}, 4);
		put32(b + 24, g->stamp);
	}
	for (uint16_t i = 0; i < g->data; i++)
		b[hlen + i] = (uint8_t)(i * 13 + g->sport);
	p->len = 0;
	fx_ip(p, g->src, g->dst, IPPROTO_TCP, b, (uint16_t)(hlen + g->data), 16);
}

static const struct fx_frame *sent(struct scene *s)
{
	for (uint16_t port = 0; port < FX_PORTS; port++)
		for (uint16_t i = 0; i < MT_MIN(s->f.port[port].n, FX_SENT); i++) {
			const struct fx_frame *f = &s->f.port[port].sent[i];
			const uint8_t *ip = f->b + sc_l2(f);

			if (ip[0] >> 4 == 4 ? ip[-2] == 8 && ip[-1] == 0 && ip[9] == IPPROTO_TCP
					    : ip[-2] == 0x86 && ip[6] == IPPROTO_TCP)
				return f;
		}
	return NULL;
}

static const struct fx_frame *pass(struct scene *s, const struct fx_pkt *p)
{
	fx_clear(&s->f);
	sc_receive(s, 0, fx_mbuf(&s->f, p->b, p->len, 0));
	for (int i = 0; i < 5 && !sent(s); i++)
		sc_turn(s, 2 * MT_MSEC);
	return sent(s);
}

const struct fx_frame *cn_pass(struct scene *s, const struct cn_segment *g)
{
	struct fx_pkt p = {0};

	cn_frame(g, &p);
	return pass(s, &p);
}

struct cn cn_new(const char *client, uint16_t cport, bool full)
{
	return (struct cn){.client = client,
		.vip = full ? "203.0.113.80" : "192.0.2.80",
		.cport = cport,
		.vport = full ? 5433 : 5432,
		.seq = {1000u * cport, 77u * cport}};
}

static uint32_t weight(uint8_t flags, uint16_t data)
{
	return data + !!(flags & SYN) + !!(flags & FIN);
}

void cn_next(struct cn *c, bool server, uint8_t flags, uint16_t data, struct fx_pkt *p)
{
	char text[2][MT_ADDR_STRLEN];
	struct cn_segment g = {.src = c->client,
		.dst = c->vip,
		.sport = c->cport,
		.dport = c->vport,
		.seq = c->seq[server],
		.ack = c->seq[!server],
		.flags = flags,
		.data = data};

	if (server) {
		g.src = mt_addr_str(&c->seen.dst, text[0]);
		g.dst = mt_addr_str(&c->seen.src, text[1]);
		g.sport = c->seen.dport;
		g.dport = c->seen.sport;
	} else {
		g.stamp = c->stamp;
	}
	cn_frame(&g, p);
	c->seq[server] += weight(flags, data);
}

const struct fx_frame *cn_client(struct scene *s, struct cn *c, uint8_t flags, uint16_t data)
{
	struct fx_pkt p = {0};
	const struct fx_frame *out;

	cn_next(c, false, flags, data, &p);
	out = pass(s, &p);
	if (out && flags & SYN)
		c->seen = sc_ends(out);
	return out;
}

const struct fx_frame *cn_server(struct scene *s, struct cn *c, uint8_t flags, uint16_t data)
{
	struct fx_pkt p = {0};

	cn_next(c, true, flags, data, &p);
	return pass(s, &p);
}

bool cn_open(struct scene *s, struct cn *c)
{
	return cn_client(s, c, SYN, 0) && cn_server(s, c, SYN | ACK, 0) && cn_client(s, c, ACK, 0);
}

bool cn_flow(const struct scene *s, const struct cn *c, struct mt_l4_flow *f)
{
	struct mt_addr client = fx_addr(c->client), vip = fx_addr(c->vip);

	for (uint16_t w = 0; w < s->f.workers; w++) {
		uint32_t idx = 0;

		while (mt_l4_flow_next(s->l[w], &idx, UINT32_MAX, f))
			if (f->client_port == c->cport && f->vip_port == c->vport &&
				mt_addr_eq(&f->client, &client) && mt_addr_eq(&f->vip, &vip))
				return true;
	}
	return false;
}

enum mt_l4_state cn_state(const struct scene *s, const struct cn *c)
{
	struct mt_l4_flow f;

	return cn_flow(s, c, &f) ? (enum mt_l4_state)f.state : MT_L4_STATELESS;
}

const uint8_t *cn_tcp(const struct fx_frame *f)
{
	const uint8_t *ip = f->b + sc_l2(f);

	return ip + (ip[0] >> 4 == 4 ? 20 : 40);
}
