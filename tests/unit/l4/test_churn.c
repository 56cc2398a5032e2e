/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flows of nat and nat-full, of UDP and TCP, while endpoints come, go, drain, die and return at
 * random, in virtual time. A flow moves if it must, and no other does: its endpoint is gone or, of
 * UDP, is dead and sends nothing. New flows get an endpoint that lives and does not drain.
 */
#include "conn.h"
#include "test_l4.h"

#include "mt_rand.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define FLOWS	  500
#define CHANGES	  120
#define ENDPOINTS 12
#define FIRST	  101 /* endpoints 192.0.2.101 and up */
#define PORT	  5000
#define GONE	  UINT32_MAX
#define NONE	  UINT8_MAX

struct flow {
	uint8_t to; /* endpoint; NONE: no packet has left */
	uint32_t generation;
	struct sc_ends seen; /* as the endpoint sees its packets */
};

static struct churn {
	struct scene s;
	enum mt_l4_mode mode;
	uint8_t proto;
	bool equal;
	struct mt_rand rand;
	uint32_t weights[ENDPOINTS]; /* 0: drains; GONE */
	uint8_t dead[ENDPOINTS];
	struct flow flows[FLOWS];
	uint32_t moved, strays, misplaced, lost;
} c;

/* ---- endpoints ----------------------------------------------------------------------------- */

static const char *name_of(uint32_t e)
{
	static char text[MT_ADDR_STRLEN];

	snprintf(text, sizeof(text), "192.0.2.%u", FIRST + e);
	return text;
}

static bool takes_new(uint32_t e)
{
	return c.weights[e] != GONE && c.weights[e] && !c.dead[e];
}

static uint32_t n_taking(void)
{
	uint32_t n = 0;

	for (uint32_t e = 0; e < ENDPOINTS; e++)
		n += takes_new(e);
	return n;
}

static uint32_t some_weight(void)
{
	return c.equal ? 1 : 1 + mt_rand_below(&c.rand, 5);
}

static struct mt_l4_set *compiled(void)
{
	const struct mt_addr vip = fx_addr("192.0.2.80"), nat = fx_addr("192.0.2.90");
	struct mt_l4_endpoint_conf v[ENDPOINTS];
	struct mt_l4_service_conf service = {.id = 1,
		.name = "churn",
		.vips = &vip,
		.n_vips = 1,
		.port = 4000,
		.proto = c.proto,
		.mode = c.mode,
		.endpoints = v,
		.check = {MT_L4_CHECK_TCP, false, 3, 2000}};
	const struct mt_l4_conf conf = {&service, 1, &nat, 1, 40000, 60999, 1, false};
	struct mt_l4_set *set;
	struct mt_err err;

	for (uint32_t e = 0; e < ENDPOINTS; e++)
		if (c.weights[e] != GONE)
			v[service.n_endpoints++] =
				(struct mt_l4_endpoint_conf){.addr = fx_addr(name_of(e)),
					.port = PORT,
					.weight = c.weights[e],
					.health = {&c.dead[e], e + 1, e, NULL}};
	if (mt_l4_compile(&conf, &set, &err))
		abort();
	return set;
}

/* Time for the sweep over all flows passes after each change. */
static void settle(void)
{
	for (int i = 0; i < 8; i++) {
		fx_clear(&c.s.f);
		sc_turn(&c.s, 400 * MT_MSEC);
	}
}

static void swap(void)
{
	struct mt_l4_set *old = c.s.set;

	c.s.set = compiled();
	sc_turn(&c.s, 0);
	mt_l4_set_free(old);
}

static void change(void)
{
	uint32_t e = mt_rand_below(&c.rand, ENDPOINTS);

	if (c.weights[e] == GONE) {
		c.weights[e] = some_weight();
		c.dead[e] = 0;
	} else if (takes_new(e) && n_taking() <= 3) {
		return;
	} else {
		switch (mt_rand_below(&c.rand, 5)) {
		case 0:
			c.weights[e] = GONE;
			break;
		case 1:
			c.weights[e] = 0;
			break;
		case 2:
			c.dead[e] = !c.dead[e];
			break;
		default:
			c.weights[e] = some_weight();
		}
	}
	swap();
}

/* ---- packets ------------------------------------------------------------------------------- */

/* The frame that left for one of these addresses; NULL: none. */
static const struct fx_frame *left(uint8_t proto)
{
	for (uint32_t port = 0; port < FX_PORTS; port++)
		for (uint16_t i = 0; i < MT_MIN(c.s.f.port[port].n, FX_SENT); i++) {
			const struct fx_frame *f = &c.s.f.port[port].sent[i];
			const uint8_t *ip = f->b + sc_l2(f);

			if (ip[-2] == 8 && ip[-1] == 0 && ip[0] >> 4 == 4 && ip[9] == proto)
				return f;
		}
	return NULL;
}

static const struct fx_frame *pass(
	const struct sc_ends *e, uint32_t seq, uint32_t ack, uint8_t flags)
{
	char src[MT_ADDR_STRLEN], dst[MT_ADDR_STRLEN];
	struct fx_pkt p = {0};

	mt_addr_str(&e->src, src);
	mt_addr_str(&e->dst, dst);
	if (c.proto == IPPROTO_UDP)
		sc_frame(&(struct sc_udp){src, dst, e->sport, e->dport, 4, 0, false}, &p);
	else
		cn_frame(&(struct cn_segment){src, dst, e->sport, e->dport, seq, ack, flags, 0, 0},
			&p);
	fx_clear(&c.s.f);
	sc_in(&c.s, 0, &p, 20);
	/* A neighbour may have to answer first. */
	for (int i = 0; i < 4 && !left(c.proto); i++)
		sc_turn(&c.s, 2 * MT_MSEC);
	return left(c.proto);
}

/* A packet of the flow's client. Returns the endpoint to which it went; NONE: to none. */
static uint8_t send_packet(uint32_t i, uint8_t flags)
{
	struct flow *f = &c.flows[i];
	uint32_t seq = 1 + 100000 * f->generation + !(flags & SYN);
	char text[MT_ADDR_STRLEN];
	struct sc_ends e = {.dst = fx_addr("192.0.2.80"), .dport = 4000};
	const struct fx_frame *out;

	snprintf(text, sizeof(text), "10.1.%u.%u", i >> 7, 1 + (i & 127));
	e.src = fx_addr(text);
	e.sport = (uint16_t)(2000 + i);
	out = pass(&e, seq, 101, flags);
	if (!out)
		return NONE;
	f->seen = sc_ends(out);
	if (f->seen.dport != PORT || f->seen.dst.b[15] < FIRST ||
		f->seen.dst.b[15] >= FIRST + ENDPOINTS)
		return NONE;
	return (uint8_t)(f->seen.dst.b[15] - FIRST);
}

/* The endpoint answers the flow's last packet, if it lives. False: the client got nothing. */
static bool answer(uint32_t i, uint8_t flags)
{
	const struct flow *f = &c.flows[i];
	const struct sc_ends e = {f->seen.dst, f->seen.src, f->seen.dport, f->seen.sport};
	const struct fx_frame *out;
	struct sc_ends to;

	if (c.dead[f->to])
		return true;
	out = pass(&e, flags & SYN ? 100 : 101, 2 + 100000 * f->generation, flags);
	if (!out)
		return false;
	to = sc_ends(out);
	return to.dport == 2000 + i && to.sport == 4000 && to.src.b[15] == 80;
}

/* Begins the flow, again if it had an endpoint. */
static void begin(uint32_t i)
{
	struct flow *f = &c.flows[i];
	bool tcp = c.proto == IPPROTO_TCP;

	f->generation++;
	f->to = send_packet(i, tcp ? SYN : 0);
	if (f->to == NONE || !takes_new(f->to)) {
		c.misplaced++;
		return;
	}
	c.lost += !answer(i, SYN | ACK);
	if (tcp && send_packet(i, ACK) != f->to)
		c.misplaced++;
}

/* True if a flow with this endpoint has to move with its next packet. */
static bool must_move(uint8_t e)
{
	return c.weights[e] == GONE || (c.dead[e] && c.proto == IPPROTO_UDP);
}

static void go_on(uint32_t i)
{
	struct flow *f = &c.flows[i];
	uint8_t was = f->to, now = send_packet(i, ACK);

	if (!must_move(was)) {
		c.strays += now != was;
		f->to = now == NONE ? was : now;
		c.lost += now == was && !answer(i, ACK);
		return;
	}
	c.moved++;
	if (c.proto == IPPROTO_TCP) {
		/* The segment was answered by a reset. */
		c.misplaced += now != NONE;
		begin(i);
	} else if (now == NONE || !takes_new(now)) {
		c.misplaced++;
		begin(i);
	} else {
		f->to = now;
		c.lost += !answer(i, ACK);
	}
}

/* ---- the runs ------------------------------------------------------------------------------ */

static void open_churn(enum mt_l4_mode mode, uint8_t proto, bool equal)
{
	c = (struct churn){.mode = mode, .proto = proto, .equal = equal};
	mt_rand_seed(&c.rand, 40 + 4u * mode + 2u * (proto == IPPROTO_TCP) + equal);
	for (uint32_t e = 0; e < ENDPOINTS; e++)
		c.weights[e] = e < 8 ? some_weight() : GONE;
	sc_open(&c.s, 1, 4096);
	for (uint32_t e = 0; e < ENDPOINTS; e++) {
		const uint8_t mac[6] = {2, 0, 0, 0, 0x32, (uint8_t)e};
		struct fx_pkt p = {0};

		fx_arp(&p, 1, mac, name_of(e), "192.0.2.1", fx_our_mac[0]);
		fx_in(&c.s.f, 0, 0, p.b, p.len);
	}
	swap();
	settle();
}

static void run(enum mt_l4_mode mode, uint8_t proto, bool equal)
{
	open_churn(mode, proto, equal);
	for (uint32_t i = 0; i < FLOWS; i++)
		begin(i);
	for (uint32_t k = 0; k < CHANGES; k++) {
		change();
		settle();
		for (uint32_t i = 0; i < FLOWS; i++)
			go_on(i);
	}
	printf("%s of %s, %s weights: %u of %u flows had to move in %u changes, %u others did\n",
		mode == MT_L4_NAT ? "nat" : "nat-full", proto == IPPROTO_TCP ? "TCP" : "UDP",
		equal ? "equal" : "unequal", c.moved, FLOWS, CHANGES, c.strays);
	CU_ASSERT(c.moved > FLOWS);
	CU_ASSERT_EQUAL(c.strays, 0);
	CU_ASSERT_EQUAL(c.misplaced, 0);
	CU_ASSERT_EQUAL(c.lost, 0);
	CU_ASSERT_EQUAL(sc_flows(&c.s), FLOWS);
	CU_ASSERT(sc_close(&c.s));
}

static void nat(void)
{
	run(MT_L4_NAT, IPPROTO_UDP, true);
	run(MT_L4_NAT, IPPROTO_UDP, false);
	run(MT_L4_NAT, IPPROTO_TCP, true);
	run(MT_L4_NAT, IPPROTO_TCP, false);
}

static void nat_full(void)
{
	run(MT_L4_NAT_FULL, IPPROTO_UDP, true);
	run(MT_L4_NAT_FULL, IPPROTO_UDP, false);
	run(MT_L4_NAT_FULL, IPPROTO_TCP, true);
	run(MT_L4_NAT_FULL, IPPROTO_TCP, false);
}

const struct mt_test churn_tests[] = {{"churn_nat", nat}, {"churn_nat_full", nat_full}, {0}};
