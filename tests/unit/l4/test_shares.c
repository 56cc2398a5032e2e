/* SPDX-License-Identifier: Apache-2.0 */
/* Packets for a share without an endpoint: they are refused, and nothing is sent to its address. */
#include "conn.h"
#include "test_l4.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

static struct scene s;
static uint8_t unhealthy;

/* Port 4000 of UDP and 5440 of TCP with one endpoint of this weight; the rest is refused. */
static void use(enum mt_l4_mode mode, uint32_t weight, uint32_t refused)
{
	const struct mt_addr vip = fx_addr("192.0.2.80");
	struct mt_l4_endpoint_conf v[2][2];
	struct mt_l4_service_conf services[2];
	const struct mt_l4_conf conf = {.services = services, .n_services = 2};
	struct mt_l4_set *old = s.set;
	struct mt_err err;

	for (uint32_t i = 0; i < 2; i++) {
		uint16_t port = i ? 5440 : 4000;

		v[i][0] = (struct mt_l4_endpoint_conf){.addr = fx_addr("192.0.2.31"),
			.port = port,
			.weight = weight,
			.health = {&unhealthy, 1, i, NULL}};
		v[i][1] = (struct mt_l4_endpoint_conf){
			.addr = mt_addr4(0), .weight = refused, .part = 255, .refuses = true};
		services[i] = (struct mt_l4_service_conf){.id = 1 + i,
			.name = i ? "tcp" : "udp",
			.vips = &vip,
			.n_vips = 1,
			.port = port,
			.proto = i ? IPPROTO_TCP : IPPROTO_UDP,
			.mode = mode,
			.endpoints = v[i],
			.n_endpoints = refused ? 2 : 1,
			.check = {MT_L4_CHECK_TCP, false, 3, 2000}};
	}
	if (mt_l4_compile(&conf, &s.set, &err))
		abort();
	sc_turn(&s, 0);
	mt_l4_set_free(old);
	fx_clear(&s.f);
}

static const struct sc_udp datagram = {
	.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 9, .dport = 4000};
static const struct cn_segment segment = {
	.src = "10.1.1.1", .dst = "192.0.2.80", .sport = 9, .dport = 5440, .flags = SYN};

/* New flows are answered as those of a service without endpoints. */
static void refused(enum mt_l4_mode mode)
{
	struct cn_segment rest = segment;
	const struct fx_frame *out;

	sc_open(&s, 1, 64);
	use(mode, 0, 1);
	CU_ASSERT_PTR_NULL(sc_pass(&s, &datagram));
	CU_ASSERT_EQUAL(fx_count(&s.f, MT_NET_icmp_error_out), 1);
	out = cn_pass(&s, &segment);
	CU_ASSERT(out && cn_tcp(out)[13] & RST);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_endpoint), 2);
	CU_ASSERT_EQUAL(sc_stats(&s, 1).no_endpoint, 1);
	CU_ASSERT_EQUAL(sc_stats(&s, 2).no_endpoint, 1);
	rest.flags = ACK;
	out = cn_pass(&s, &rest);
	CU_ASSERT(out && cn_tcp(out)[13] & RST);
	CU_ASSERT_EQUAL(sc_flows(&s), 0);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_forwarded), 0);
	CU_ASSERT(sc_close(&s));
}

static void refused_nat(void)
{
	refused(MT_L4_NAT);
}

static void refused_direct(void)
{
	refused(MT_L4_DSR);
	refused(MT_L4_IPIP);
}

/* An error about a packet of the share has no endpoint to which it could go. */
static void error_about_it(void)
{
	const struct sc_udp reply = {
		.src = "192.0.2.80", .dst = "10.1.1.1", .sport = 4000, .dport = 9};
	struct fx_pkt p = {0};
	struct fx_frame copy;

	sc_frame(&reply, &p);
	copy = (struct fx_frame){.len = p.len};
	memcpy(copy.b, p.b, p.len);
	sc_open(&s, 1, 64);
	use(MT_L4_DSR, 0, 1);
	sc_error(&copy, 3, 3, 0, 100, &p);
	sc_receive(&s, 0, fx_mbuf(&s.f, p.b, p.len, 0));
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_icmp_no_flow), 1);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_icmp_to_endpoint), 0);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_no_route), 0);
	CU_ASSERT(sc_close(&s));
}

/* A flow of an unhealthy endpoint does not leave it for a share that is refused. */
static void stays(void)
{
	const struct fx_frame *out;

	unhealthy = 0;
	sc_open(&s, 1, 64);
	use(MT_L4_NAT, 1, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc_pass(&s, &datagram));
	unhealthy = 1;
	use(MT_L4_NAT, 0, 1);
	for (int i = 0; i < 5; i++)
		sc_turn(&s, MT_SEC);
	out = sc_pass(&s, &datagram);
	CU_ASSERT_PTR_NOT_NULL_FATAL(out);
	CU_ASSERT_EQUAL(sc_ends(out).dst.b[15], 31);
	CU_ASSERT_EQUAL(sc_count(&s, MT_L4_flows_left), 0);
	unhealthy = 0;
	CU_ASSERT(sc_close(&s));
}

const struct mt_test shares_tests[] = {{"refused share of nat", refused_nat},
	{"refused share of dsr and tunnels", refused_direct},
	{"ICMP error about a refused share", error_about_it},
	{"no way out to a refused share", stays}, {0}};
