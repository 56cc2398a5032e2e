/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses that are bound to a port of workloads: who may come by which port, and what is told of the others. */
#include "fixture.h"
#include "test_net.h"

#include <string.h>

/* Port 0 is of workloads, 1 is not. Addresses that end in 29 are another station's. */
static struct fx f;
static const uint8_t other_mac[6] = {2, 0, 0, 0, 0, 0x77};

static void configure(bool workloads, uint16_t exception)
{
	const struct mt_net_addr_conf addrs[] = {{fx_addr("192.0.2.1"), 24, 0},
		{fx_addr("2001:db8::1"), 64, 0}, {fx_addr("198.51.100.1"), 24, 1}};
	const struct mt_net_port_conf ports[FX_PORTS] = {
		{0, exception, workloads}, {0, MT_NET_PORT_NONE, false}};
	const struct mt_net_conf conf = {.addrs = addrs, .n_addrs = 3, .ports = ports};
	struct mt_err e;

	CU_ASSERT_EQUAL(mt_net_configure(f.net, &conf, NULL, &e), 0);
}

static struct mt_net_bound row(const char *addr, const uint8_t *mac)
{
	struct mt_net_bound b = {.addr = fx_addr(addr), .port = 0, .has_mac = mac != NULL};

	if (mac)
		memcpy(&b.mac, mac, 6);
	return b;
}

static void bind_all(uint32_t n)
{
	const struct mt_net_bound all[] = {row("192.0.2.9", NULL), row("192.0.2.10", fx_peer_mac),
		row("192.0.2.29", other_mac), row("2001:db8::9", NULL),
		row("2001:db8::29", other_mac)};
	const struct mt_addr vip = fx_addr("203.0.113.80");
	struct mt_net_vips *v = mt_net_vips_new(&vip, 1, 0);

	CU_ASSERT_PTR_NOT_NULL_FATAL(v);
	CU_ASSERT_EQUAL(mt_net_vips_bind(v, all, n), 0);
	mt_net_vips_use(f.net, v, NULL);
}

static void open_all(void)
{
	fx_open(&f, 1);
	configure(true, MT_NET_PORT_NONE);
	bind_all(5);
}

enum what { TCP, ECHO, ARP_ASKS, ARP_ANSWERS, ND_ASKS, ND_ANSWERS };

static void make(
	struct fx_pkt *p, enum what what, uint16_t port, const char *src, const char *about)
{
	const bool six = strchr(src, ':') != NULL;
	const char *dst = port ? "198.51.100.1" : six ? "2001:db8::1" : "192.0.2.1";

	p->len = 0;
	if (what == TCP || what == ECHO)
		fx_eth(p, fx_our_mac[port], six ? 0x86dd : 0x0800);
	if (what == TCP)
		fx_tcp(p, src, 4000, six ? "2001:db8::1" : dst, 80, 0);
	else if (what == ECHO)
		fx_echo(p, src, six ? "2001:db8::1" : dst, 8);
	else if (what == ARP_ASKS || what == ARP_ANSWERS)
		fx_arp(p, what == ARP_ASKS ? 1 : 2, fx_peer_mac, src, dst, NULL);
	else if (what == ND_ASKS)
		fx_nd(p, 135, src, "ff02::1:ff00:1", "2001:db8::1", 0, strcmp(src, "::") ? 1 : 0,
			fx_peer_mac);
	else
		fx_nd(p, 136, src, "ff02::1", about, 0x20000000u, 2, fx_peer_mac);
}

static const struct {
	enum what what;
	uint16_t port;
	const char *src, *about;
	enum mt_net_outcome expect;
} rows[] = {
	/* Who lives there. */
	{TCP, 0, "192.0.2.9", NULL, MT_NET_rx_tcp},
	{TCP, 0, "192.0.2.10", NULL, MT_NET_rx_tcp},
	{TCP, 0, "2001:db8::9", NULL, MT_NET_rx_tcp},
	{ECHO, 0, "192.0.2.9", NULL, MT_NET_icmp_echoed},
	{ARP_ASKS, 0, "192.0.2.9", NULL, MT_NET_arp_answered},
	{ARP_ASKS, 0, "0.0.0.0", NULL, MT_NET_arp_answered},
	{ND_ASKS, 0, "2001:db8::9", NULL, MT_NET_nd_answered},
	{ND_ASKS, 0, "fe80::9", NULL, MT_NET_nd_answered},
	{ND_ASKS, 0, "::", NULL, MT_NET_nd_answered},
	/* Who does not. */
	{TCP, 0, "192.0.2.8", NULL, MT_NET_source_unbound},
	{TCP, 0, "10.0.0.9", NULL, MT_NET_source_unbound},
	{TCP, 0, "198.51.100.9", NULL, MT_NET_source_unbound},
	{TCP, 0, "192.0.2.1", NULL, MT_NET_source_unbound},
	{TCP, 0, "0.0.0.0", NULL, MT_NET_martian_source},
	{TCP, 0, "2001:db8::8", NULL, MT_NET_source_unbound},
	{TCP, 0, "fe80::9", NULL, MT_NET_source_unbound},
	{ECHO, 0, "192.0.2.8", NULL, MT_NET_source_unbound},
	{ECHO, 0, "fe80::9", NULL, MT_NET_source_unbound},
	{ARP_ASKS, 0, "192.0.2.8", NULL, MT_NET_source_unbound},
	{ARP_ANSWERS, 0, "192.0.2.8", NULL, MT_NET_source_unbound},
	{ND_ASKS, 0, "2001:db8::8", NULL, MT_NET_source_unbound},
	{ND_ANSWERS, 0, "2001:db8::8", "2001:db8::8", MT_NET_source_unbound},
	{ND_ANSWERS, 0, "fe80::9", "2001:db8::8", MT_NET_source_unbound},
	/* From another station. */
	{TCP, 0, "192.0.2.29", NULL, MT_NET_source_other_mac},
	{TCP, 0, "2001:db8::29", NULL, MT_NET_source_other_mac},
	{ARP_ANSWERS, 0, "192.0.2.29", NULL, MT_NET_source_other_mac},
	{ND_ASKS, 0, "2001:db8::29", NULL, MT_NET_source_other_mac},
	{ND_ANSWERS, 0, "2001:db8::9", "2001:db8::29", MT_NET_source_other_mac},
	{ND_ANSWERS, 0, "fe80::9", "2001:db8::29", MT_NET_source_other_mac},
	/* By the other port. */
	{TCP, 1, "192.0.2.9", NULL, MT_NET_source_elsewhere},
	{TCP, 1, "2001:db8::9", NULL, MT_NET_source_elsewhere},
	{ECHO, 1, "192.0.2.10", NULL, MT_NET_source_elsewhere},
	{ARP_ANSWERS, 1, "192.0.2.9", NULL, MT_NET_source_elsewhere},
	{ND_ANSWERS, 1, "fe80::9", "2001:db8::9", MT_NET_source_elsewhere},
	{TCP, 1, "192.0.2.8", NULL, MT_NET_rx_tcp},
	{TCP, 1, "198.51.100.9", NULL, MT_NET_rx_tcp},
	{ARP_ASKS, 1, "198.51.100.9", NULL, MT_NET_arp_answered},
};

static void who_may_come(void)
{
	open_all();
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct fx_pkt p;
		uint64_t before = fx_count(&f, rows[i].expect);
		uint32_t tcp = f.tcp;

		make(&p, rows[i].what, rows[i].port, rows[i].src, rows[i].about);
		fx_in(&f, 0, rows[i].port, p.b, p.len);
		if (fx_count(&f, rows[i].expect) != before + 1)
			printf("row %zu, of %s\n", i, rows[i].src);
		CU_ASSERT_EQUAL(fx_count(&f, rows[i].expect), before + 1);
		CU_ASSERT_EQUAL(f.tcp - tcp, rows[i].expect == MT_NET_rx_tcp);
	}
	CU_ASSERT_TRUE(fx_close(&f));
}

/* Whatever arrives of a frame; in sanitizer builds no byte behind it is read. */
static void cut_frames(void)
{
	open_all();
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct fx_pkt p;

		make(&p, rows[i].what, rows[i].port, rows[i].src, rows[i].about);
		for (uint16_t len = 1; len < p.len; len++)
			fx_in(&f, 0, rows[i].port, p.b, len);
	}
	CU_ASSERT_EQUAL(f.tcp, 0);
	CU_ASSERT_TRUE(fx_close(&f));
}

/* A claim that was dropped is nobody's neighbour. */
static void nobody_is_learned_of_a_lie(void)
{
	struct mt_net_neigh_info info;
	uint32_t idx = 0, n = 0;

	open_all();
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct fx_pkt p;

		if (rows[i].expect != MT_NET_source_unbound &&
			rows[i].expect != MT_NET_source_other_mac &&
			rows[i].expect != MT_NET_source_elsewhere)
			continue;
		make(&p, rows[i].what, rows[i].port, rows[i].src, rows[i].about);
		fx_in(&f, 0, rows[i].port, p.b, p.len);
	}
	fx_turn(&f, MT_MSEC);
	while (mt_net_neigh_next(f.net, &idx, &info))
		n++;
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_TRUE(fx_close(&f));
}

/* An ARP packet whose sender's address is not the frame's. */
static void claims_for_another_station(void)
{
	struct fx_pkt p = {0};

	open_all();
	fx_arp(&p, 2, other_mac, "192.0.2.10", "192.0.2.1", NULL);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL(fx_count(&f, MT_NET_source_other_mac), 1);
	CU_ASSERT_TRUE(fx_close(&f));
}

static uint64_t is_taken(uint16_t port, const char *src)
{
	struct fx_pkt p;
	uint32_t before = f.tcp;

	make(&p, TCP, port, src, NULL);
	fx_in(&f, 0, port, p.b, p.len);
	return f.tcp - before;
}

/* What is bound follows the configuration; without any a port of workloads takes nobody, and other ports everybody. */
static void bindings_come_and_go(void)
{
	open_all();
	CU_ASSERT_EQUAL(is_taken(0, "192.0.2.9"), 1);
	bind_all(0);
	CU_ASSERT_EQUAL(is_taken(0, "192.0.2.9"), 0);
	CU_ASSERT_EQUAL(is_taken(1, "192.0.2.9"), 1);
	bind_all(1);
	CU_ASSERT_EQUAL(is_taken(0, "192.0.2.9"), 1);
	CU_ASSERT_EQUAL(is_taken(0, "192.0.2.10"), 0);
	CU_ASSERT_EQUAL(mt_net_set_vips(f.net, NULL, 0, NULL), 0);
	CU_ASSERT_EQUAL(is_taken(0, "192.0.2.9"), 0);
	configure(false, MT_NET_PORT_NONE);
	CU_ASSERT_EQUAL(is_taken(0, "192.0.2.9"), 1);
	CU_ASSERT_TRUE(fx_close(&f));
}

/* The kernel behind an exception TAP sees no packet of somebody who does not live there. */
static void kernel_is_not_told_either(void)
{
	struct fx_pkt p = {0};

	open_all();
	configure(true, 1);
	fx_clear(&f);
	fx_tcp(&p, "192.0.2.8", 4000, "192.0.2.7", 80, 0);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL(f.port[1].n, 0);
	/* Nor in a copy of what is for everybody. */
	fx_eth(&p, NULL, 0x0800);
	fx_tcp(&p, "192.0.2.8", 4000, "192.0.2.255", 80, 0);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL(f.port[1].n, 0);
	p.len = 0;
	fx_tcp(&p, "192.0.2.9", 4000, "192.0.2.7", 80, 0);
	fx_in(&f, 0, 0, p.b, p.len);
	CU_ASSERT_EQUAL(f.port[1].n, 1);
	CU_ASSERT_TRUE(fx_close(&f));
}

/* An IPv6 packet from ::ffff:a.b.c.d does not come from the IPv4 station a.b.c.d. */
static void kernel_gets_no_mapped_source(void)
{
	static const uint8_t *const to[] = {fx_our_mac[0], fx_our_mac[1], NULL};
	const struct mt_addr mapped = fx_addr("192.0.2.9");

	open_all();
	configure(true, 1);
	for (size_t i = 0; i < MT_ARRAY_LEN(to); i++) {
		struct fx_pkt p = {0};

		fx_clear(&f);
		fx_eth(&p, to[i], 0x86dd);
		fx_tcp(&p, "2001:db8::9", 4000, to[i] ? "2001:db8:1::7" : "ff02::1", 80, 0);
		fx_in(&f, 0, 0, p.b, p.len);
		CU_ASSERT_EQUAL(f.port[1].n, 1);
		fx_clear(&f);
		memcpy(p.b + 14 + 8, mapped.b, sizeof(mapped.b));
		fx_resum(&p, 14);
		fx_in(&f, 0, 0, p.b, p.len);
		CU_ASSERT_EQUAL(f.port[1].n, 0);
		CU_ASSERT_EQUAL(fx_count(&f, MT_NET_source_unbound), i + 1);
	}
	CU_ASSERT_TRUE(fx_close(&f));
}

/* What a station says to groups from its address of the link: the kernel hears who looks for whom, and no router. */
static void kernel_is_told_of_no_router(void)
{
	enum { ANY, OPTIONS };
	static const struct {
		const char *src, *dst;
		uint8_t type; /* of ICMPv6; 0: UDP */
		uint8_t behind;
		bool passes;
		enum mt_net_outcome counted;
	} t[] = {
		{"fe80::9", "ff02::1:ff00:1", 135, ANY, true, MT_NET_punted},
		{"fe80::9", "ff02::1", 136, ANY, true, MT_NET_punted},
		{"fe80::9", "ff02::2", 133, ANY, true, MT_NET_punted},
		{"::", "ff02::16", 143, OPTIONS, true, MT_NET_punted},
		{"fe80::9", "ff02::16", 143, OPTIONS, true, MT_NET_punted},
		{"fe80::9", "ff02::2", 132, OPTIONS, true, MT_NET_punted},
		{"fe80::9", "ff02::1", 134, ANY, false, MT_NET_source_unbound},
		{"fe80::9", "ff02::1", 134, OPTIONS, false, MT_NET_source_unbound},
		{"::", "ff02::1", 134, ANY, false, MT_NET_source_unbound},
		{"fe80::9", "ff02::1", 137, ANY, false, MT_NET_source_unbound},
		{"fe80::9", "ff02::1", 130, OPTIONS, false, MT_NET_source_unbound},
		{"fe80::9", "ff02::1", 128, ANY, false, MT_NET_source_unbound},
		{"fe80::9", "ff02::fb", 0, ANY, false, MT_NET_multicast_ignored},
		{"fe80::9", "ff02::1:2", 0, ANY, false, MT_NET_multicast_ignored},
	};

	open_all();
	configure(true, 1);
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		const uint8_t options[8 + 24] = {58, 0, 5, 2, 0, 0, 1, 0, t[i].type};
		uint32_t skip = t[i].behind == OPTIONS ? 0 : 8;
		uint64_t before = fx_count(&f, t[i].counted);
		struct fx_pkt p = {0};

		fx_clear(&f);
		fx_eth(&p, NULL, 0x86dd);
		fx_ip(&p, t[i].src, t[i].dst,
			!t[i].type ? 17
			: skip	   ? 58
				   : 0,
			options + skip, (uint16_t)(sizeof(options) - skip), -1);
		fx_in(&f, 0, 0, p.b, p.len);
		CU_ASSERT_EQUAL(f.port[1].n, t[i].passes);
		CU_ASSERT_EQUAL(fx_count(&f, t[i].counted), before + 1);
	}
	CU_ASSERT_TRUE(fx_close(&f));
}

/* One tag is taken off, and a kernel would take off the next one and read what nobody has judged. */
static void tags_do_not_go_round(void)
{
	static const uint16_t second[] = {0x8100, 0x88a8, 0x9100};

	open_all();
	configure(true, 1);
	for (size_t i = 0; i < MT_ARRAY_LEN(second); i++) {
		const uint8_t tags[] = {
			0, 0, (uint8_t)(second[i] >> 8), (uint8_t)second[i], 0, 0, 8, 0};
		uint64_t before = fx_count(&f, MT_NET_vlan_unknown);
		struct fx_pkt p = {0};

		fx_clear(&f);
		fx_eth(&p, NULL, 0x8100);
		fx_put(&p, tags, sizeof(tags));
		fx_tcp(&p, "192.0.2.8", 4000, "192.0.2.255", 80, 0);
		fx_in(&f, 0, 0, p.b, p.len);
		CU_ASSERT_EQUAL(f.port[1].n, 0);
		CU_ASSERT_EQUAL(fx_count(&f, MT_NET_vlan_unknown), before + 1);
	}
	CU_ASSERT_TRUE(fx_close(&f));
}

const struct mt_test net_bound_tests[] = {{"who may come", who_may_come},
	{"cut frames", cut_frames}, {"nobody is learned of a lie", nobody_is_learned_of_a_lie},
	{"claims for another station", claims_for_another_station},
	{"bindings come and go", bindings_come_and_go},
	{"the kernel is not told either", kernel_is_not_told_either},
	{"the kernel gets no mapped source", kernel_gets_no_mapped_source},
	{"the kernel is told of no router", kernel_is_told_of_no_router},
	{"tags do not go round", tags_do_not_go_round}, {NULL, NULL}};
