/* SPDX-License-Identifier: Apache-2.0 */
#include "oneway.h"

#include "mt_l4_priv.h"
#include "mt_test.h"

#include <netinet/in.h>
#include <string.h>

struct scene ow;
struct mt_l4_endpoint_conf ow_endpoints[SC_DIRECT];
uint8_t ow_unhealthy[SC_DIRECT];
/* What is tested. */
static enum mt_l4_mode tested;
uint16_t ow_udp_port, ow_tcp_port;

/* ---- the endpoints' stations --------------------------------------------------------------- */

static void station(unsigned int i, uint8_t mac[6])
{
	memcpy(mac, (uint8_t[]){2, 0, 0, 0, 0x31, (uint8_t)i}, 6);
}

/* Each endpoint asks for the node, which so learns its station. */
static void ow_learn_stations(void)
{
	sc_direct_endpoints(ow_endpoints, 4010);
	for (unsigned int i = 0; i < SC_DIRECT; i++) {
		char text[MT_ADDR_STRLEN];
		struct fx_pkt p = {0};
		uint8_t mac[6];

		station(i, mac);
		mt_addr_str(&ow_endpoints[i].addr, text);
		if (i < 3)
			fx_arp(&p, 1, mac, text, "192.0.2.1", fx_our_mac[0]);
		else
			fx_nd(&p, 135, text, "2001:db8::1", "2001:db8::1", 0, 1, mac);
		fx_in(&ow.f, 0, 0, p.b, p.len);
	}
	sc_turn(&ow, 2 * MT_MSEC);
	fx_clear(&ow.f);
}

void ow_open_mode(uint16_t workers, uint32_t flows, enum mt_l4_mode mode)
{
	tested = mode;
	ow_udp_port = mode == MT_L4_GUE ? 4014 : mode == MT_L4_IPIP ? 4012 : 4010;
	ow_tcp_port = mode == MT_L4_GUE ? 5442 : mode == MT_L4_IPIP ? 5441 : 5440;
	sc_open(&ow, workers, flows);
	ow_learn_stations();
}

void ow_open(uint16_t workers, uint32_t flows)
{
	ow_open_mode(workers, flows, MT_L4_DSR);
}

/* Index of the endpoint whose station the frame is for; -1: none. */
int ow_received_by(const struct fx_frame *f)
{
	for (unsigned int i = 0; i < SC_DIRECT; i++) {
		uint8_t mac[6];

		station(i, mac);
		if (memcmp(f->b, mac, 6) == 0)
			return (int)i;
	}
	return -1;
}

/* The endpoint that the hash of these ends leads to, as any node computes it. */
int ow_chosen(const struct mt_l4_set *set, const struct sc_ends *e, uint8_t proto)
{
	const struct mt_l4_row *r = mt_l4_row(set, &e->dst, e->dport, proto);
	struct l4_key k = l4_make_key(&e->src, e->sport, &e->dst, e->dport, proto);
	const struct mt_l4_endpoint *to =
		&r->group->endpoints[mt_l4_choose(r->group, l4_choice_hash(&k, false))];

	for (int i = 0; i < SC_DIRECT; i++)
		if (mt_addr_eq(&ow_endpoints[i].addr, &to->addr))
			return i;
	return -1;
}

/* ---- bytes --------------------------------------------------------------------------------- */

/* What must come of a frame, without its L2: the TTL is 1 less. */
void ow_rewritten(struct fx_pkt *p)
{
	uint8_t *ip = p->b + 14;
	uint16_t sum;

	ip[ip[0] >> 4 == 4 ? 8 : 7]--;
	if (ip[0] >> 4 != 4)
		return;
	ip[10] = ip[11] = 0;
	sum = fx_sum(0, ip, (ip[0] & 15) * 4u);
	ip[10] = (uint8_t)(sum >> 8);
	ip[11] = (uint8_t)sum;
}

static void word(uint8_t *b, uint16_t v)
{
	b[0] = (uint8_t)(v >> 8);
	b[1] = (uint8_t)v;
}

/* Puts headers of UDP and GUE before the packet; the source port is taken from `out`. */
static void put_gue(struct fx_pkt *p, const struct fx_frame *out, bool is4)
{
	uint8_t *ip = p->b + 14;
	uint16_t len = (uint16_t)(p->len - 14);

	memmove(ip + 12, ip, len);
	memcpy(ip, out->b + 14 + (is4 ? 20 : 40), 2);
	CU_ASSERT(ip[0] >= 0xc0);
	memcpy(ip + 2, (uint8_t[]){0x17, 0xc0, 0, 0, 0, 0, 0, is4 ? 4 : 41, 0, 0}, 10);
	word(ip + 4, (uint16_t)(len + 12));
	p->len = (uint16_t)(p->len + 12);
}

/* Puts the outer header before the packet; the identification is taken from `out`. */
void ow_tunnelled(struct fx_pkt *p, const struct mt_addr *to, const struct fx_frame *out)
{
	bool is4 = mt_addr_is4(to), gue = tested == MT_L4_GUE;
	uint8_t *ip = p->b + 14, outer[40] = {0}, pseudo[40] = {0};
	uint8_t tos = ip[1], df = ip[6] & 0x40, first[4];
	struct mt_addr from = fx_addr(is4 ? "192.0.2.1" : "2001:db8::1");
	uint16_t n = is4 ? 20 : 40, len;

	memcpy(first, ip, 4);
	if (gue)
		put_gue(p, out, is4);
	len = (uint16_t)(p->len - 14);
	if (is4) {
		memcpy(outer,
			(uint8_t[]){
				0x45, tos, 0, 0, out->b[18], out->b[19], df, 0, 64, gue ? 17 : 4},
			10);
		word(outer + 2, (uint16_t)(len + 20));
		memcpy(outer + 12, from.b + 12, 4);
		memcpy(outer + 16, to->b + 12, 4);
		word(outer + 10, fx_sum(0, outer, 20));
	} else {
		memcpy(outer, first, 4);
		word(outer + 4, len);
		memcpy(outer + 6, (uint8_t[]){gue ? 17 : 41, 64}, 2);
		memcpy(outer + 8, from.b, 16);
		memcpy(outer + 24, to->b, 16);
	}
	if (gue && !is4) {
		uint16_t sum;

		memcpy(pseudo, outer + 8, 32);
		word(pseudo + 34, len);
		pseudo[39] = 17;
		sum = fx_sum((uint16_t)~fx_sum(0, pseudo, 40), ip, len);
		word(ip + 6, sum ? sum : 0xffff);
	}
	memmove(ip + n, ip, len);
	memcpy(ip, outer, n);
	p->len = (uint16_t)(p->len + n);
}

/* What must come of a frame for the i-th endpoint. */
void ow_expected(struct fx_pkt *p, int i, const struct fx_frame *out)
{
	ow_rewritten(p);
	if (tested != MT_L4_DSR && i >= 0)
		ow_tunnelled(p, &ow_endpoints[i].addr, out);
}

/* The frame that left for an endpoint; NULL: none. */
const struct fx_frame *ow_left(void)
{
	for (uint16_t i = 0; i < MT_MIN(ow.f.port[0].n, FX_SENT); i++)
		if (ow_received_by(&ow.f.port[0].sent[i]) >= 0)
			return &ow.f.port[0].sent[i];
	return NULL;
}

/* Gives the frame to worker 0; it must leave rewritten. Returns the endpoint. */
int ow_forwarded(const struct fx_pkt *p, uint16_t pieces)
{
	struct fx_pkt want = *p;
	const struct fx_frame *out;

	fx_clear(&ow.f);
	sc_receive(&ow, 0, fx_mbuf(&ow.f, p->b, p->len, pieces));
	out = ow_left();
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	ow_expected(&want, ow_received_by(out), out);
	CU_ASSERT_EQUAL_FATAL(out->len, want.len);
	CU_ASSERT_EQUAL(memcmp(out->b + 6, fx_our_mac[0], 6), 0);
	CU_ASSERT_EQUAL(memcmp(out->b + 12, want.b + 12, want.len - 12u), 0);
	return ow_received_by(out);
}

bool ow_drops(const struct fx_pkt *p)
{
	fx_clear(&ow.f);
	sc_receive(&ow, 0, fx_mbuf(&ow.f, p->b, p->len, 0));
	return ow_left() == NULL;
}

void ow_datagram(struct fx_pkt *p, uint16_t sport, uint16_t data)
{
	*p = (struct fx_pkt){0};
	sc_frame(
		&(struct sc_udp){
			.src = C, .dst = VIP4, .sport = sport, .dport = ow_udp_port, .data = data},
		p);
}

void ow_segment(struct fx_pkt *p, uint16_t sport, uint8_t flags)
{
	*p = (struct fx_pkt){0};
	cn_frame(&(struct cn_segment){.src = C,
			 .dst = VIP4,
			 .sport = sport,
			 .dport = ow_tcp_port,
			 .seq = sport,
			 .flags = flags},
		p);
}

int ow_pass_segment(uint16_t sport, uint8_t flags)
{
	struct fx_pkt p;

	ow_segment(&p, sport, flags);
	return ow_forwarded(&p, 0);
}

/* The services with only the first n endpoints of IPv4. */
void ow_use_endpoints(uint32_t n)
{
	static const char *const name[] = {"dsr", "dsr-tcp"};
	struct mt_l4_endpoint_conf e[2][SC_DIRECT];
	struct mt_addr vip = fx_addr(VIP4);
	struct mt_l4_service_conf list[2];
	const struct mt_l4_conf conf = {.services = list, .n_services = 2};
	struct mt_err err;

	for (uint32_t i = 0; i < 2; i++) {
		sc_direct_endpoints(e[i], i ? 5440 : 4010);
		for (uint32_t k = 0; k < SC_DIRECT; k++)
			e[i][k].health =
				(struct mt_l4_health_of){&ow_unhealthy[k], k + 1, k + 10 * i, NULL};
		list[i] = (struct mt_l4_service_conf){.id = i ? SC_DSR_TCP : SC_DSR,
			.name = name[i],
			.vips = &vip,
			.n_vips = 1,
			.port = i ? 5440 : 4010,
			.proto = i ? IPPROTO_TCP : IPPROTO_UDP,
			.mode = MT_L4_DSR,
			.endpoints = e[i],
			.n_endpoints = n,
			.check = {MT_L4_CHECK_TCP, false, 3, 2000}};
	}
	mt_l4_set_free(ow.set);
	CU_ASSERT_EQUAL_FATAL(mt_l4_compile(&conf, &ow.set, &err), 0);
}
