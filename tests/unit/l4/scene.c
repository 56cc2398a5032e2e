/* SPDX-License-Identifier: Apache-2.0 */
#include "scene.h"

#include "../../outcomes_seen.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void sc_direct_endpoints(struct mt_l4_endpoint_conf e[SC_DIRECT], uint16_t port)
{
	for (unsigned int i = 0; i < SC_DIRECT; i++) {
		char text[MT_ADDR_STRLEN];

		if (i < 3)
			snprintf(text, sizeof(text), "192.0.2.%u", 31 + i);
		else
			snprintf(text, sizeof(text), "2001:db8::%u", 38 + i);
		e[i] = (struct mt_l4_endpoint_conf){
			.addr = fx_addr(text), .port = port, .weight = 1};
	}
}

static struct mt_l4_set *services(const struct scene *s)
{
	static struct mt_l4_endpoint_conf dsr[2][SC_DIRECT], ipip[2][SC_DIRECT], gue[2][SC_DIRECT];
	const struct mt_l4_endpoint_conf far[] = {
		{.addr = fx_addr("10.9.9.9"), .port = 4011, .weight = 1}};
	const struct mt_l4_endpoint_conf far_ipip[] = {
		{.addr = fx_addr("10.9.9.9"), .port = 4013, .weight = 1}};
	const struct mt_addr nat_vips[] = {fx_addr("192.0.2.80"), fx_addr("2001:db8::80")};
	const struct mt_addr full_vips[] = {fx_addr("203.0.113.80"), fx_addr("2001:db8::81")};
	const struct mt_l4_endpoint_conf nat[] = {
		{.addr = fx_addr("192.0.2.21"), .port = 5000, .weight = 1},
		{.addr = fx_addr("192.0.2.22"), .port = 5000, .weight = 1},
		{.addr = fx_addr("192.0.2.23"), .port = 5000, .weight = 1},
		{.addr = fx_addr("2001:db8::21"), .port = 5000, .weight = 1}};
	const struct mt_l4_endpoint_conf full[] = {
		{.addr = fx_addr("198.51.100.21"), .port = 5001, .weight = 1},
		{.addr = fx_addr("2001:db8::31"), .port = 5001, .weight = 1}};
	const struct mt_addr sources[] = {fx_addr("192.0.2.90"), fx_addr("2001:db8::90")};
	struct mt_l4_service_conf list[] = {{.id = SC_NAT,
						    .name = "nat",
						    .vips = nat_vips,
						    .n_vips = 2,
						    .port = 4000,
						    .proto = IPPROTO_UDP,
						    .endpoints = nat,
						    .n_endpoints = 4},
		{.id = SC_FULL,
			.name = "full",
			.vips = full_vips,
			.n_vips = 2,
			.port = 4001,
			.proto = IPPROTO_UDP,
			.mode = MT_L4_NAT_FULL,
			.endpoints = full,
			.n_endpoints = 2},
		{.id = SC_EMPTY,
			.name = "empty",
			.vips = nat_vips,
			.n_vips = 1,
			.port = 4002,
			.proto = IPPROTO_UDP},
		{.id = SC_NAT_TCP,
			.name = "nat-tcp",
			.vips = nat_vips,
			.n_vips = 2,
			.port = 5432,
			.proto = IPPROTO_TCP,
			.endpoints = nat,
			.n_endpoints = 4},
		{.id = SC_FULL_TCP,
			.name = "full-tcp",
			.vips = full_vips,
			.n_vips = 2,
			.port = 5433,
			.proto = IPPROTO_TCP,
			.mode = MT_L4_NAT_FULL,
			.endpoints = full,
			.n_endpoints = 2},
		{.id = SC_EMPTY_TCP,
			.name = "empty-tcp",
			.vips = nat_vips,
			.n_vips = 1,
			.port = 5434,
			.proto = IPPROTO_TCP},
		{.id = SC_DSR,
			.name = "dsr",
			.vips = nat_vips,
			.n_vips = 2,
			.port = 4010,
			.proto = IPPROTO_UDP,
			.mode = MT_L4_DSR,
			.endpoints = dsr[0],
			.n_endpoints = SC_DIRECT},
		{.id = SC_DSR_TCP,
			.name = "dsr-tcp",
			.vips = nat_vips,
			.n_vips = 2,
			.port = 5440,
			.proto = IPPROTO_TCP,
			.mode = MT_L4_DSR,
			.endpoints = dsr[1],
			.n_endpoints = SC_DIRECT},
		{.id = SC_FAR,
			.name = "far",
			.vips = nat_vips,
			.n_vips = 1,
			.port = 4011,
			.proto = IPPROTO_UDP,
			.mode = MT_L4_DSR,
			.endpoints = far,
			.n_endpoints = 1},
		{.id = SC_IPIP,
			.name = "ipip",
			.vips = nat_vips,
			.n_vips = 2,
			.port = 4012,
			.proto = IPPROTO_UDP,
			.mode = MT_L4_IPIP,
			.endpoints = ipip[0],
			.n_endpoints = SC_DIRECT},
		{.id = SC_IPIP_TCP,
			.name = "ipip-tcp",
			.vips = nat_vips,
			.n_vips = 2,
			.port = 5441,
			.proto = IPPROTO_TCP,
			.mode = MT_L4_IPIP,
			.endpoints = ipip[1],
			.n_endpoints = SC_DIRECT},
		{.id = SC_FAR_IPIP,
			.name = "far-ipip",
			.vips = nat_vips,
			.n_vips = 1,
			.port = 4013,
			.proto = IPPROTO_UDP,
			.mode = MT_L4_IPIP,
			.endpoints = far_ipip,
			.n_endpoints = 1},
		{.id = SC_GUE,
			.name = "gue",
			.vips = nat_vips,
			.n_vips = 2,
			.port = 4014,
			.proto = IPPROTO_UDP,
			.mode = MT_L4_GUE,
			.endpoints = gue[0],
			.n_endpoints = SC_DIRECT},
		{.id = SC_GUE_TCP,
			.name = "gue-tcp",
			.vips = nat_vips,
			.n_vips = 2,
			.port = 5442,
			.proto = IPPROTO_TCP,
			.mode = MT_L4_GUE,
			.endpoints = gue[1],
			.n_endpoints = SC_DIRECT}};
	const struct mt_l4_conf conf = {
		list, MT_ARRAY_LEN(list), sources, 2, 40000, 40999, s->f.workers, false};
	struct mt_l4_set *set;
	struct mt_err e;

	sc_direct_endpoints(dsr[0], 4010);
	sc_direct_endpoints(dsr[1], 5440);
	sc_direct_endpoints(ipip[0], 4012);
	sc_direct_endpoints(ipip[1], 5441);
	sc_direct_endpoints(gue[0], 4014);
	sc_direct_endpoints(gue[1], 5442);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(list); i++)
		list[i].limits = s->limits[list[i].id];
	if (mt_l4_compile(&conf, &set, &e))
		abort();
	return set;
}

void sc_swap(struct scene *s)
{
	struct mt_l4_set *old = s->set;

	s->set = services(s);
	sc_turn(s, 0);
	mt_l4_set_free(old);
}

static void make_part(struct scene *s, uint16_t i, uint32_t flows)
{
	const struct mt_l4_worker_conf conf = {.worker = i,
		.steer = &s->f.steer,
		.net = s->f.w[i],
		.flows = flows,
		.seed = i,
		.secret = {0x1234567890abcdefull + i, 0xfedcba0987654321ull},
		.health = s->health,
		.checks = s->checks,
		.limiter = s->limiter,
		.checks_arg = s};

	s->l[i] = mt_l4_create(&conf);
	if (!s->l[i])
		abort();
	mt_l4_begin(s->l[i], s->f.now, s->set);
}

static void fill(struct scene *s, uint32_t flows)
{
	const struct mt_addr vips[] = {fx_addr("192.0.2.80"), fx_addr("203.0.113.80"),
		fx_addr("2001:db8::80"), fx_addr("2001:db8::81"), fx_addr("192.0.2.90"),
		fx_addr("2001:db8::90")};

	struct mt_net_vips *v = mt_net_vips_new(vips, MT_ARRAY_LEN(vips), 0);

	s->set = services(s);
	s->limiter = mt_l4_limiter_new(s->f.workers);
	if (!v || !s->limiter || mt_l4_expose(s->set, v))
		abort();
	mt_net_vips_use(s->f.net, v, NULL);
	for (uint16_t i = 0; i < s->f.workers; i++)
		make_part(s, i, flows);
	for (int i = 0; i < 4; i++)
		sc_turn(s, 3 * MT_SEC); /* announcements are over */
}

void sc_open(struct scene *s, uint16_t workers, uint32_t flows)
{
	fx_open(&s->f, workers);
	fill(s, flows);
}

void sc_open_node(struct scene *s, uint16_t workers, uint32_t flows)
{
	fx_open_node(&s->f, workers);
	fill(s, flows);
}

/* True if each packet that the node dropped is counted for its service as well. */
static bool are_lost_by_service(const struct scene *s)
{
	struct mt_l4_stats sum = {0};

	for (uint32_t id = 0; id < MT_L4_SERVICES_MAX; id++)
		for (uint16_t i = 0; i < s->f.workers; i++)
			mt_l4_service_stats(s->l[i], id, &sum);
	return sum.no_route == sc_count(s, MT_L4_no_route) &&
	       sum.neighbour_unknown == sc_count(s, MT_L4_neighbour_unknown) &&
	       sum.ttl_exceeded == sc_count(s, MT_L4_ttl_exceeded) &&
	       sum.table_full == sc_count(s, MT_L4_table_full);
}

/* False: are_lost_by_service(). */
static bool close_parts(struct scene *s)
{
	bool counted = are_lost_by_service(s);

	for (uint16_t i = 0; i < s->f.workers; i++) {
		outcomes_seen(&mt_l4_outcomes, mt_l4_counters(s->l[i]));
		mt_l4_destroy(s->l[i]);
	}
	mt_l4_limiter_free(s->limiter);
	mt_l4_set_free(s->set);
	return counted;
}

bool sc_close(struct scene *s)
{
	bool counted = close_parts(s);

	return fx_close(&s->f) && counted;
}

bool sc_close_node(struct scene *s)
{
	bool counted = close_parts(s);

	return fx_close_node(&s->f) && counted;
}

uint64_t sc_count(const struct scene *s, enum mt_l4_outcome o)
{
	uint64_t sum = 0;

	for (uint16_t i = 0; i < s->f.workers; i++)
		sum += mt_l4_counters(s->l[i])[o];
	return sum;
}

struct mt_l4_stats sc_stats(const struct scene *s, uint32_t service)
{
	struct mt_l4_stats sum = {0};

	for (uint16_t i = 0; i < s->f.workers; i++)
		mt_l4_service_stats(s->l[i], service, &sum);
	return sum;
}

uint32_t sc_flows(const struct scene *s)
{
	uint32_t sum = 0;

	for (uint16_t i = 0; i < s->f.workers; i++)
		sum += mt_l4_flows(s->l[i]);
	return sum;
}

/* ---- frames -------------------------------------------------------------------------------- */

void sc_frame(const struct sc_udp *u, struct fx_pkt *p)
{
	uint8_t b[1600] = {(uint8_t)(u->sport >> 8), (uint8_t)u->sport, (uint8_t)(u->dport >> 8),
		(uint8_t)u->dport, (uint8_t)((u->data + 8) >> 8), (uint8_t)(u->data + 8)};
	uint16_t sum;

	for (uint16_t i = 0; i < u->data; i++)
		b[8 + i] = (uint8_t)(i * 13 + u->sport);
	p->len = 0;
	fx_ip(p, u->src, u->dst, IPPROTO_UDP, b, (uint16_t)(8 + u->data), u->no_sum ? -1 : 6);
	if (u->ttl && p->b[12] == 8) {
		p->b[22] = u->ttl;
		p->b[24] = p->b[25] = 0;
		sum = fx_sum(0, p->b + 14, 20);
		p->b[24] = (uint8_t)(sum >> 8);
		p->b[25] = (uint8_t)sum;
	} else if (u->ttl) {
		p->b[21] = u->ttl;
	}
}

void sc_fragment(const struct fx_pkt *whole, const struct sc_part *part, struct fx_pkt *p)
{
	bool is4 = whole->b[14] >> 4 == 4;
	uint16_t hlen = is4 ? 20 : 40, len = (uint16_t)(part->len + (is4 ? 20 : 8));
	uint16_t word =
		(uint16_t)(is4 ? part->from / 8 | part->more << 13 : part->from | part->more);
	uint8_t *ip = p->b + 14, *id = is4 ? ip + 2 : ip + 42;

	p->len = 0;
	fx_put(p, whole->b, (uint16_t)(14 + hlen));
	ip[is4 ? 2 : 4] = (uint8_t)(len >> 8);
	ip[is4 ? 3 : 5] = (uint8_t)len;
	if (!is4) {
		fx_put(p, (uint8_t[8]){ip[6]}, 8);
		ip[6] = 44;
		id[2] = (uint8_t)(part->id >> 24);
		id[3] = (uint8_t)(part->id >> 16);
	}
	id[is4 ? 2 : 4] = (uint8_t)(part->id >> 8);
	id[is4 ? 3 : 5] = (uint8_t)part->id;
	id[is4 ? 4 : 0] = (uint8_t)(word >> 8);
	id[is4 ? 5 : 1] = (uint8_t)word;
	fx_put(p, whole->b + 14 + hlen + part->from, part->len);
	if (!is4)
		return;
	ip[10] = ip[11] = 0;
	word = fx_sum(0, ip, 20);
	ip[10] = (uint8_t)(word >> 8);
	ip[11] = (uint8_t)word;
}

/* An error of a router about a frame that the node has sent. */
void sc_error(const struct fx_frame *out, uint8_t type, uint8_t code, uint32_t word, uint16_t quote,
	struct fx_pkt *p)
{
	uint16_t l2 = sc_l2(out), len = (uint16_t)MT_MIN(quote, out->len - l2);
	struct sc_ends e = sc_ends(out);
	bool is4 = mt_addr_is4(&e.src);
	char to[MT_ADDR_STRLEN];
	uint8_t b[1600] = {type, code, 0, 0, (uint8_t)(word >> 24), (uint8_t)(word >> 16),
		(uint8_t)(word >> 8), (uint8_t)word};

	memcpy(b + 8, out->b + l2, len);
	p->len = 0;
	fx_ip(p, is4 ? "10.200.0.1" : "2001:db8:99::1", mt_addr_str(&e.src, to), is4 ? 1 : 58, b,
		(uint16_t)(8 + len), 2);
}

void sc_in(struct scene *s, uint16_t worker, const struct fx_pkt *p, uint16_t l3_len)
{
	struct rte_mbuf *m = fx_mbuf(&s->f, p->b, p->len, 0);

	m->port = 0;
	m->l2_len = 14;
	m->l3_len = l3_len;
	m->packet_type =
		p->b[14] >> 4 == 4 ? RTE_PTYPE_L3_IPV4_EXT_UNKNOWN : RTE_PTYPE_L3_IPV6_EXT_UNKNOWN;
	m->packet_type |= p->b[p->b[14] >> 4 == 4 ? 23 : 20] == IPPROTO_TCP ? MT_NET_PTYPE_SEGMENT
									    : RTE_PTYPE_L4_UDP;
	mt_net_begin(s->f.w[worker], s->f.now);
	mt_l4_begin(s->l[worker], s->f.now, s->set);
	mt_l4_input(s->l[worker], &m, 1);
	mt_net_flush(s->f.w[worker]);
}

/* Processes what lib/net left for lib/l4 on a worker; `split`: packets of others are handed over. */
static void forwarded(struct scene *s, uint16_t worker, bool split)
{
	uint16_t n, owner;
	struct rte_mbuf **pkts = mt_net_forwarded(s->f.w[worker], &n);

	for (uint16_t i = 0; i < n; i++) {
		owner = split && s->f.workers > 1
				? mt_steer_owner_of_hash(&s->f.steer, pkts[i]->hash.rss)
				: worker;
		if (owner == worker)
			mt_l4_input(s->l[worker], &pkts[i], 1);
		else if (mt_steer_push(&s->f.steer, worker, owner, &pkts[i], 1) == 0)
			abort();
	}
}

static void begin(struct scene *s)
{
	for (uint16_t i = 0; i < s->f.workers; i++) {
		mt_net_begin(s->f.w[i], s->f.now);
		mt_l4_begin(s->l[i], s->f.now, s->set);
	}
}

/* Processes one packet that was handed to the worker; false: there is none. */
static bool handed(struct scene *s, uint16_t worker)
{
	struct rte_mbuf *out[1];
	uint16_t next = 0, n;

	if (s->f.workers == 1 || mt_steer_pop(&s->f.steer, worker, &next, out, 1) == 0)
		return false;
	n = mt_net_input_handed(s->f.w[worker], out, 1, out);
	mt_buf_free_bulk(out, n);
	forwarded(s, worker, false);
	return true;
}

void sc_hand_over(struct scene *s)
{
	bool more = true;

	while (more) {
		more = false;
		for (uint16_t i = 0; i < s->f.workers; i++)
			more |= handed(s, i);
	}
	for (uint16_t i = 0; i < s->f.workers; i++)
		mt_net_flush(s->f.w[i]);
}

void sc_enter(struct scene *s, uint16_t port, struct rte_mbuf *m)
{
	struct rte_mbuf *out[1] = {m};
	uint16_t n;

	begin(s);
	n = mt_net_input(s->f.w[0], &s->f.port[port].p, out, 1, out);
	mt_buf_free_bulk(out, n);
	s->f.tcp += n;
	forwarded(s, 0, true);
}

void sc_receive(struct scene *s, uint16_t port, struct rte_mbuf *m)
{
	sc_enter(s, port, m);
	sc_hand_over(s);
}

uint16_t sc_l2(const struct fx_frame *out)
{
	return out->b[12] == 0x81 ? 18 : 14;
}

struct sc_ends sc_ends(const struct fx_frame *out)
{
	const uint8_t *ip = out->b + sc_l2(out), *l4 = ip + (ip[0] >> 4 == 4 ? 20 : 40);
	struct sc_ends e = {
		.sport = (uint16_t)(l4[0] << 8 | l4[1]), .dport = (uint16_t)(l4[2] << 8 | l4[3])};
	uint32_t be;

	if (ip[0] >> 4 == 6) {
		memcpy(&e.src, ip + 8, 16);
		memcpy(&e.dst, ip + 24, 16);
		return e;
	}
	memcpy(&be, ip + 12, 4);
	e.src = mt_addr4(be);
	memcpy(&be, ip + 16, 4);
	e.dst = mt_addr4(be);
	return e;
}

/* ---- neighbours ---------------------------------------------------------------------------- */

static void tag(struct fx_pkt *p, uint16_t port)
{
	if (port == 0)
		return;
	memmove(p->b + 16, p->b + 12, (size_t)p->len - 12);
	memcpy(p->b, fx_our_mac[1], 6);
	memcpy(p->b + 12, (uint8_t[]){0x81, 0, 0, 7}, 4);
	p->len = (uint16_t)(p->len + 4);
}

/* Answers an ARP request or a neighbour solicitation of the node; false: it is another frame. */
static bool answer(struct scene *s, uint16_t port, const struct fx_frame *out)
{
	char target[MT_ADDR_STRLEN], us[MT_ADDR_STRLEN];
	const uint8_t *b = out->b + sc_l2(out);
	struct fx_pkt p = {0};
	struct mt_addr a;
	uint32_t be;

	if (b[-2] == 8 && b[-1] == 6 && b[7] == 1) {
		memcpy(&be, b + 24, 4);
		a = mt_addr4(be);
		mt_addr_str(&a, target);
		memcpy(&be, b + 14, 4);
		a = mt_addr4(be);
		fx_arp(&p, 2, fx_peer_mac, target, mt_addr_str(&a, us), fx_our_mac[0]);
	} else if (b[-2] == 0x86 && b[6] == 58 && b[40] == 135) {
		memcpy(&a, b + 48, 16);
		mt_addr_str(&a, target);
		memcpy(&a, b + 8, 16);
		fx_nd(&p, 136, target, mt_addr_str(&a, us), target, 0x60000000, 2, fx_peer_mac);
	} else {
		return false;
	}
	tag(&p, port);
	fx_in(&s->f, 0, port, p.b, p.len);
	return true;
}

void sc_turn(struct scene *s, uint64_t step)
{
	uint16_t seen[FX_PORTS] = {s->f.port[0].n, s->f.port[1].n};

	s->f.now += step;
	for (uint16_t i = 0; i < s->f.workers; i++) {
		mt_net_begin(s->f.w[i], s->f.now);
		mt_l4_begin(s->l[i], s->f.now, s->set);
		mt_net_tick(s->f.w[i]);
		mt_l4_tick(s->l[i]);
		mt_net_flush(s->f.w[i]);
	}
	for (uint16_t port = 0; port < FX_PORTS; port++)
		for (uint16_t i = seen[port]; i < MT_MIN(s->f.port[port].n, FX_SENT); i++)
			(void)answer(s, port, &s->f.port[port].sent[i]);
}

static bool is_udp(const struct fx_frame *f)
{
	const uint8_t *ip = f->b + sc_l2(f);

	return ip[0] >> 4 == 4 ? ip[-2] == 8 && ip[-1] == 0 && ip[9] == 17
			       : ip[-2] == 0x86 && ip[6] == 17;
}

static const struct fx_frame *sent(struct scene *s)
{
	for (uint16_t port = 0; port < FX_PORTS; port++)
		for (uint16_t i = 0; i < MT_MIN(s->f.port[port].n, FX_SENT); i++)
			if (is_udp(&s->f.port[port].sent[i]))
				return &s->f.port[port].sent[i];
	return NULL;
}

const struct fx_frame *sc_pass(struct scene *s, const struct sc_udp *u)
{
	struct fx_pkt p = {0};

	fx_clear(&s->f);
	sc_frame(u, &p);
	sc_receive(s, 0, fx_mbuf(&s->f, p.b, p.len, 0));
	for (int i = 0; i < 5 && !sent(s); i++)
		sc_turn(s, 2 * MT_MSEC);
	return sent(s);
}
