/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Floods in virtual time: forged SYNs to a forwarded service, and a table that a real client of many
 * addresses fills with answered connections. Honest connections, open ones and new ones, must have
 * at least 90 % of their packets delivered; each figure is printed.
 */
#include "conn.h"
#include "test_l4.h"

#include <netinet/in.h>
#include <string.h>

#define FLOWS 4096 /* 3,072 places of kept flows, 1,024 of others */
#define OPEN  200  /* honest connections before the flood */
#define EACH  4	   /* ms between two new connections */
#define ROUND 12   /* ms between a SYN and its answer */
#define LATER 300  /* ms from a connection's SYN to further packets */
#define BURST 32
#define ENDS  0x0a000000u

static struct scene s;
static uint16_t new_port; /* of the service of new connections: that of the flood, or another one */

/* Packets of honest ends. */
static struct packets {
	uint32_t sent, delivered;
} open_ones, new_ones, later_ones;

/* ---- segments -------------------------------------------------------------------------------- */

struct ends {
	uint32_t src, dst;
	uint16_t sport, dport;
};

static struct rte_mbuf *segment(const struct ends *e, uint8_t flags)
{
	static struct fx_pkt p;
	struct rte_mbuf *m;
	uint32_t src = rte_cpu_to_be_32(e->src), dst = rte_cpu_to_be_32(e->dst);
	uint16_t ports[2] = {rte_cpu_to_be_16(e->sport), rte_cpu_to_be_16(e->dport)};

	if (p.len == 0)
		cn_frame(&(struct cn_segment){.src = "10.0.0.0", .dst = "192.0.2.80"}, &p);
	memcpy(p.b + 26, &src, 4);
	memcpy(p.b + 30, &dst, 4);
	memcpy(p.b + 34, ports, 4);
	p.b[41] = !(flags & SYN); /* sequence numbers: both ends begin with 0 */
	p.b[45] = !!(flags & ACK);
	p.b[47] = flags;
	m = fx_mbuf(&s.f, p.b, p.len, 0);
	m->port = 0;
	m->l2_len = 14;
	m->l3_len = 20;
	m->packet_type = RTE_PTYPE_L3_IPV4_EXT_UNKNOWN | MT_NET_PTYPE_SEGMENT;
	return m;
}

static uint16_t pass(struct rte_mbuf **pkts, uint16_t n)
{
	fx_clear(&s.f);
	mt_net_begin(s.f.w[0], s.f.now);
	mt_l4_begin(s.l[0], s.f.now, s.set);
	mt_l4_input(s.l[0], pkts, n);
	mt_net_flush(s.f.w[0]);
	return s.f.port[0].n;
}

static struct ends client(uint32_t number)
{
	return (struct ends){ENDS + number, 0xc0000250, (uint16_t)(1024 + number % 60000),
		number / 100000 == 1 ? new_port : 5432};
}

/* The client sends; true: the segment left. *back: the ends of an answer of the server. */
static bool client_sends(uint32_t number, uint8_t flags, struct ends *back)
{
	const struct ends e = client(number);
	struct rte_mbuf *m = segment(&e, flags);
	const uint8_t *ip = s.f.port[0].sent[0].b + 14;

	if (pass(&m, 1) != 1 || ip[9] != IPPROTO_TCP || ip[19] < 21 || ip[19] > 23)
		return false;
	*back = (struct ends){cn_word(ip + 16), cn_word(ip + 12), (uint16_t)(ip[22] << 8 | ip[23]),
		(uint16_t)(ip[20] << 8 | ip[21])};
	return true;
}

static bool server_sends(const struct ends *back, uint8_t flags)
{
	struct rte_mbuf *m = segment(back, flags);

	return pass(&m, 1) == 1 && s.f.port[0].sent[0].b[29] == 80;
}

/* ---- honest connections ------------------------------------------------------------------------ */

/* Both ends send; three packets. */
static void talk(struct packets *of, uint32_t number)
{
	struct ends back = {0};
	uint32_t got = client_sends(number, ACK, &back);

	got += got && server_sends(&back, ACK);
	got += got == 2 && client_sends(number, ACK, &back);
	of->sent += 3;
	of->delivered += got;
}

static void open_at_once(uint32_t number)
{
	struct ends back = {0};

	CU_ASSERT_FATAL(client_sends(number, SYN, &back));
	CU_ASSERT_FATAL(server_sends(&back, SYN | ACK));
	CU_ASSERT_FATAL(client_sends(number, ACK, &back));
}

/* A new connection, whose SYN-ACK comes ROUND ms after the SYN. */
static struct ends under_way[ROUND];
static bool is_under_way[ROUND];

static void new_connection(uint32_t ms)
{
	uint32_t at = ms % ROUND, was = 100000 + ms - ROUND, number = 100000 + ms;
	struct ends back;

	if (ms >= ROUND) {
		uint32_t got = is_under_way[at] && server_sends(&under_way[at], SYN | ACK);

		got += got && client_sends(was, ACK, &back);
		got += got == 2 && server_sends(&under_way[at], ACK);
		new_ones.sent += 4;
		new_ones.delivered += got + is_under_way[at];
	}
	is_under_way[at] = client_sends(number, SYN, &under_way[at]);
}

/* ---- floods ------------------------------------------------------------------------------------ */

/* SYNs from forged sources, each from another one. */
static void forged(uint32_t *next, uint32_t n)
{
	while (n > 0) {
		struct rte_mbuf *pkts[BURST];
		uint16_t k = (uint16_t)MT_MIN(n, BURST);

		for (uint16_t i = 0; i < k; i++)
			pkts[i] = segment(&(struct ends){client((*next)++ + 1000000).src,
						  0xc0000250, (uint16_t)(*next * 7919), 5432},
				SYN);
		(void)pass(pkts, k);
		n -= k;
	}
}

/* Connections that clients of many addresses open and keep open. */
static void filled(uint32_t *next, uint32_t n)
{
	struct ends back;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t number = (*next)++ + 1000000;

		if (client_sends(number, SYN, &back) && server_sends(&back, SYN | ACK))
			(void)client_sends(number, ACK, &back);
	}
}

static void tell(const char *what)
{
	struct mt_l4_usage u;

	mt_l4_usage(s.l[0], &u);
	printf("%s: %u of %u packets of open connections delivered, %u of %u of new ones, "
	       "%u of %u of these later; %u of %u flows kept\n",
		what, open_ones.delivered, open_ones.sent, new_ones.delivered, new_ones.sent,
		later_ones.delivered, later_ones.sent, u.kept, u.kept_max);
}

/* Two services with the same endpoints. */
static void open_services(void)
{
	const struct mt_addr vip = fx_addr("192.0.2.80");
	struct mt_l4_endpoint_conf e[3];
	struct mt_l4_service_conf list[2];
	const struct mt_l4_conf conf = {.services = list, .n_services = 2};
	struct mt_err err;

	sc_open(&s, 1, FLOWS);
	for (uint32_t i = 0; i < 3; i++)
		e[i] = (struct mt_l4_endpoint_conf){
			.addr = fx_addr("192.0.2.21"), .port = 5000, .weight = 1};
	for (uint32_t i = 0; i < 3; i++)
		e[i].addr.b[15] = (uint8_t)(21 + i);
	for (uint32_t i = 0; i < 2; i++)
		list[i] = (struct mt_l4_service_conf){.id = i,
			.name = i ? "other" : "flooded",
			.vips = &vip,
			.n_vips = 1,
			.port = i ? 5435 : 5432,
			.proto = IPPROTO_TCP,
			.endpoints = e,
			.n_endpoints = 3};
	mt_l4_set_free(s.set);
	CU_ASSERT_EQUAL_FATAL(mt_l4_compile(&conf, &s.set, &err), 0);
}

/* The flood for 2 s, with `rate` of its packets or connections each ms. */
static void flood(const char *what, void (*send)(uint32_t *next, uint32_t n), uint32_t rate)
{
	uint32_t next = 0;

	memset(&open_ones, 0, sizeof(open_ones));
	memset(&new_ones, 0, sizeof(new_ones));
	memset(&later_ones, 0, sizeof(later_ones));
	memset(is_under_way, 0, sizeof(is_under_way));
	open_services();
	for (uint32_t i = 0; i < 50; i++) { /* next hops are known */
		struct ends back = {0};

		if (client_sends(500000 + i, SYN, &back))
			(void)server_sends(&back, SYN | ACK);
		sc_turn(&s, 2 * MT_MSEC);
	}
	for (uint32_t i = 0; i < OPEN; i++)
		open_at_once(i);
	for (uint32_t ms = 0; ms < 2000; ms++) {
		send(&next, rate);
		if (ms % EACH == 0)
			new_connection(ms);
		talk(&open_ones, ms % OPEN);
		if (ms >= LATER && ms % EACH == 0)
			talk(&later_ones, 100000 + ms - LATER);
		sc_turn(&s, MT_MSEC);
	}
	tell(what);
	CU_ASSERT(open_ones.delivered == open_ones.sent);
	CU_ASSERT(new_ones.delivered * 10ull >= new_ones.sent * 9ull);
}

static void later_too(void)
{
	CU_ASSERT(later_ones.delivered * 10ull >= later_ones.sent * 9ull);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_table_full), 0);
	CU_ASSERT(sc_close(&s));
}

/* 50,000 a second: they fill their quarter of this table in 20 ms. */
static void syn_flood(void)
{
	new_port = 5432;
	flood("SYN flood", forged, 50);
	CU_ASSERT(sc_count(&s, MT_L4_flows_evicted) > 90000);
	later_too();
}

/* 10,000 connections a second, which stay open. */
static void full_table(void)
{
	new_port = 5435;
	flood("table filled by another service", filled, 10);
	CU_ASSERT(sc_count(&s, MT_L4_flows_over_share) > 10000);
	later_too();
}

/* New connections of the flooded service are not kept, so they lose their flow while they are silent. */
static void full_share(void)
{
	new_port = 5432;
	flood("table filled by the same service", filled, 10);
	CU_ASSERT(later_ones.delivered < later_ones.sent / 2);
	CU_ASSERT(sc_close(&s));
}

const struct mt_test overload_tests[] = {
	{"syn_flood", syn_flood}, {"full_table", full_table}, {"full_share", full_share}, {0}};
