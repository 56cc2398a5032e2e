/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forged packets take all ports of nat-full, in virtual time: clients that send throughout must get
 * a port, and flows of others keep theirs.
 */
#include "conn.h"
#include "mt_l4_priv.h"
#include "test_l4.h"

#include <stdio.h>

#define PORTS	500
#define FORGED	20000 /* packets, one in each millisecond */
#define EACH	100   /* ms between two flows of real clients */
#define ROUND	20    /* ms from there to the node and back */
#define CLIENTS (FORGED / EACH)
/* Flows without a port after which a worker searches once for each. */
#define SEARCHED 400

static struct scene s;

static void open_ports(uint16_t ports)
{
	sc_open(&s, 1, 4096);
	s.set->nat_hi = (uint16_t)(s.set->nat_lo + ports - 1);
}

static const char *forged_client(uint32_t i)
{
	static char text[MT_ADDR_STRLEN];

	snprintf(text, sizeof(text), "10.%u.%u.%u", 1 + (i >> 16), i >> 8 & 255, i & 255);
	return text;
}

/* ---- TCP ------------------------------------------------------------------------------------- */

/* The endpoint answers half of them. */
static void forge_syn(uint32_t i)
{
	struct cn c = cn_new(forged_client(i), 2000, true);

	CU_ASSERT_PTR_NOT_NULL_FATAL(cn_client(&s, &c, SYN, 0));
	if (i % 2)
		CU_ASSERT_PTR_NOT_NULL_FATAL(cn_server(&s, &c, SYN | ACK, 0));
}

/* A step of a real client's connection each ROUND. */
static void connect_on(struct cn c[CLIENTS], uint32_t ms)
{
	struct cn *at = &c[ms / EACH];

	if (ms % EACH == 0) {
		*at = cn_new("192.0.2.3", (uint16_t)(3000 + ms / EACH), true);
		CU_ASSERT_PTR_NOT_NULL_FATAL(cn_client(&s, at, SYN, 0));
	} else if (ms % EACH == ROUND) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(cn_server(&s, at, SYN | ACK, 0));
	} else if (ms % EACH == 2 * ROUND) {
		CU_ASSERT_PTR_NOT_NULL_FATAL(cn_client(&s, at, ACK, 0));
	}
}

static void syn_flood(void)
{
	static struct cn c[CLIENTS];

	open_ports(PORTS);
	for (uint32_t ms = 0; ms < FORGED; ms++) {
		forge_syn(ms);
		connect_on(c, ms);
		sc_turn(&s, MT_MSEC);
	}
	for (uint32_t i = 0; i < CLIENTS; i++) {
		CU_ASSERT_EQUAL(cn_state(&s, &c[i]), MT_L4_ESTABLISHED);
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c[i], ACK, 10));
		CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c[i], ACK, 10));
	}
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_nat_port), 0);
	CU_ASSERT(sc_count(&s, MT_L4_ports_taken_over) >= FORGED - PORTS);
	CU_ASSERT(sc_close(&s));
}

/* Handshakes that the endpoint refuses give their ports as well; established flows never do. */
static void refused_and_established(void)
{
	struct cn c;

	open_ports(10);
	for (uint32_t i = 0; i < 10; i++) {
		c = cn_new(forged_client(i), 2000, true);
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, SYN, 0));
		CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, RST | ACK, 0));
	}
	for (uint32_t i = 0; i < 10; i++) {
		c = cn_new("192.0.2.3", (uint16_t)(3000 + i), true);
		CU_ASSERT(cn_open(&s, &c));
		CU_ASSERT_EQUAL(sc_count(&s, MT_L4_ports_taken_over), i + 1);
	}
	for (uint64_t t = 0; t < 120 * MT_SEC; t += MT_SEC)
		sc_turn(&s, MT_SEC);
	c = cn_new("192.0.2.3", 4000, true);
	CU_ASSERT_EQUAL(cn_tcp(cn_client(&s, &c, SYN, 0))[13], RST | ACK);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_nat_port), 1);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_ports_taken_over), 10);
	CU_ASSERT(sc_close(&s));
}

/* The flow that was silent for longest gives its port. */
static void oldest_first(void)
{
	struct cn c[10], d;

	open_ports(10);
	for (uint16_t i = 0; i < 10; i++) {
		c[i] = cn_new("192.0.2.4", (uint16_t)(2000 + i), true);
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c[i], SYN, 0));
		sc_turn(&s, 50 * MT_MSEC);
	}
	c[0].seq[0]--;
	CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c[0], SYN, 0)); /* it repeats its SYN */
	for (uint16_t i = 0; i < 9; i++) {
		sc_turn(&s, 50 * MT_MSEC);
		d = cn_new("192.0.2.3", (uint16_t)(3000 + i), true);
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &d, SYN, 0));
		CU_ASSERT_EQUAL(cn_state(&s, &c[i + 1]), MT_L4_STATELESS);
		CU_ASSERT_EQUAL(cn_state(&s, &c[0]), MT_L4_SYN_SENT);
	}
	CU_ASSERT(sc_close(&s));
}

/* ---- UDP ------------------------------------------------------------------------------------- */

static struct sc_ends request(const char *client, uint16_t port)
{
	const struct sc_udp u = {
		.src = client, .dst = "203.0.113.80", .sport = port, .dport = 4001, .data = 8};
	const struct fx_frame *out = sc_pass(&s, &u);

	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	return sc_ends(out);
}

static void reply(const struct sc_ends *e)
{
	char text[2][MT_ADDR_STRLEN];
	const struct sc_udp u = {.src = mt_addr_str(&e->dst, text[0]),
		.dst = mt_addr_str(&e->src, text[1]),
		.sport = e->dport,
		.dport = e->sport,
		.data = 8};

	CU_ASSERT_PTR_NOT_NULL_FATAL(sc_pass(&s, &u));
}

static void forged_datagrams(void)
{
	static struct sc_ends c[CLIENTS];

	open_ports(PORTS);
	for (uint32_t ms = 0; ms < FORGED; ms++) {
		(void)request(forged_client(ms), 2000);
		if (ms % EACH == 0)
			c[ms / EACH] = request("192.0.2.3", (uint16_t)(3000 + ms / EACH));
		else if (ms % EACH == ROUND)
			reply(&c[ms / EACH]);
		sc_turn(&s, MT_MSEC);
	}
	for (uint32_t i = 0; i < CLIENTS; i++)
		reply(&c[i]);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_nat_port), 0);
	CU_ASSERT(sc_count(&s, MT_L4_ports_taken_over) >= FORGED - PORTS);
	CU_ASSERT(sc_close(&s));
}

/* ---- the search ----------------------------------------------------------------------------- */

/* Gives a SYN, without a turn; true: it got a port. */
static bool has_port(struct cn *c)
{
	uint64_t made = sc_count(&s, MT_L4_flows_made);
	struct fx_pkt p = {0};

	cn_next(c, false, SYN, 0, &p);
	fx_clear(&s.f);
	sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	return sc_count(&s, MT_L4_flows_made) > made;
}

/* SYNs of other ports until one gets a port; its connection is established. Time stands still. */
static uint32_t tries(uint16_t *cport)
{
	for (uint32_t n = 1; n < 5000; n++) {
		struct cn c = cn_new("192.0.2.3", ++*cport, true);

		if (!has_port(&c))
			continue;
		c.seen = sc_ends(&s.f.port[1].sent[0]);
		CU_ASSERT_PTR_NOT_NULL(cn_server(&s, &c, SYN | ACK, 0));
		CU_ASSERT_PTR_NOT_NULL(cn_client(&s, &c, ACK, 0));
		return n;
	}
	CU_FAIL_FATAL("no port");
	return 0;
}

/* The sum for one port after the other that becomes free. */
static uint32_t tries_of(uint32_t ports, uint16_t *cport)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < ports; i++) {
		l4_remove(s.l[0], 1 + i); /* the first flow is of UDP */
		sum += tries(cport);
	}
	return sum;
}

/* With all ports in use, a flow looks at 128 of them, and at 32 while many flows look. */
static void bounded_search(void)
{
	uint16_t cport = 2000;
	struct cn late;
	uint64_t now;

	open_ports(PORTS);
	(void)request("192.0.2.3", 999); /* neighbours become known */
	for (uint32_t i = 0; i < PORTS; i++) {
		(void)tries(&cport);
		sc_turn(&s, MT_MSEC);
	}
	sc_turn(&s, MT_SEC);
	now = s.f.now;
	/* Four of 500 / 128 on average, then twenty of 500 / 32. */
	CU_ASSERT(tries_of(20, &cport) < 20 * 7);
	for (uint32_t i = 0; i < SEARCHED; i++) {
		struct cn c = cn_new("192.0.2.4", (uint16_t)(2000 + i), true);

		CU_ASSERT(!has_port(&c));
	}
	CU_ASSERT(tries_of(20, &cport) > 20 * 8);
	CU_ASSERT_EQUAL(s.f.now, now);
	/* 9 or 10 ticks of 1.05 ms later: 8 searches for each, of which this flow uses three. */
	sc_turn(&s, 10 * MT_MSEC);
	late = cn_new("192.0.2.4", 1999, true);
	CU_ASSERT(!has_port(&late));
	CU_ASSERT(s.l[0]->searches == 9 * 8 - 3 || s.l[0]->searches == 10 * 8 - 3);
	sc_turn(&s, MT_SEC);
	CU_ASSERT(tries_of(20, &cport) < 20 * 7);
	CU_ASSERT(sc_close(&s));
}

const struct mt_test port_tests[] = {{"SYN flood", syn_flood},
	{"refused and established", refused_and_established}, {"oldest first", oldest_first},
	{"bounded search", bounded_search}, {"forged datagrams", forged_datagrams}, {0}};
