/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table of kinds of packets, each sent in each mode, of IPv4 and IPv6, UDP and TCP: it is
 * forwarded to an endpoint of its service with exactly the bytes that the mode prescribes, or it
 * makes no flow, is counted once by the counter in the table, and gets the answer in the table.
 */
#include "packets.h"
#include "test_l4.h"

#include <netinet/in.h>
#include <string.h>

/* Base packets: a datagram of 64 bytes, and a SYN. */
enum base { UDP4, TCP4, UDP6, TCP6, BASES };
#define ON(b) (1u << (b))
#define V4    (ON(UDP4) | ON(TCP4))
#define V6    (ON(UDP6) | ON(TCP6))
#define UDP   (ON(UDP4) | ON(UDP6))
#define TCP   (ON(TCP4) | ON(TCP6))
#define ALL   (V4 | V6)

static const struct pk_service services[] = {
	{"nat", MT_L4_NAT, "192.0.2.80", "2001:db8::80", 4000, 5432},
	{"nat-full", MT_L4_NAT_FULL, "203.0.113.80", "2001:db8::81", 4001, 5433},
	{"dsr", MT_L4_DSR, "192.0.2.80", "2001:db8::80", 4010, 5440},
	{"tunnel-ipip", MT_L4_IPIP, "192.0.2.80", "2001:db8::80", 4012, 5441},
	{"tunnel-gue", MT_L4_GUE, "192.0.2.80", "2001:db8::80", 4014, 5442}};

struct kind {
	const char *what;
	uint32_t on;
	void (*change)(struct fx_pkt *p);
	/* Of modes with replies, of dsr, and of tunnels: the row that counts it; NULL: forwarded. */
	const char *row[3];
	const char *answer[3]; /* "icmp", "reset", "echo", "tcp": left to lib/tcp; NULL: none */
};

/* ---- the table ------------------------------------------------------------------------------- */

#define FORWARDED                                                                                  \
	{                                                                                          \
		NULL                                                                               \
	}
#define NO_ANSWER                                                                                  \
	{                                                                                          \
		NULL                                                                               \
	}
#define EACH(row)                                                                                  \
	{                                                                                          \
		row, row, row                                                                      \
	}
#define REPLIES(row)                                                                               \
	{                                                                                          \
		row, NULL, NULL                                                                    \
	}
#define TUNNEL(row)                                                                                \
	{                                                                                          \
		NULL, NULL, row                                                                    \
	}

static const struct kind kinds[] = {
	{"a packet", ALL, pk_as_it_is, FORWARDED, NO_ANSWER},
	{"IP options", V4, pk_options, FORWARDED, NO_ANSWER},
	{"hop-by-hop options", V6, pk_hop_by_hop, FORWARDED, NO_ANSWER},
	{"destination options", V6, pk_destination_options, FORWARDED, NO_ANSWER},
	{"a traffic class, ECN and flow label", ALL, pk_traffic_class, FORWARDED, NO_ANSWER},
	{"DF changed", V4, pk_may_be_fragmented, FORWARDED, NO_ANSWER},
	{"padding behind the IP packet", ALL, pk_padded, FORWARDED, NO_ANSWER},
	{"two hops left", ALL, pk_two_hops, FORWARDED, NO_ANSWER},
	{"all that the path takes", ALL, pk_size_of_the_path, FORWARDED, NO_ANSWER},
	{"the port's MTU", ALL, pk_size_1500, TUNNEL("l4.too_big"), TUNNEL("icmp")},
	{"a datagram without payload", UDP, pk_no_payload, FORWARDED, NO_ANSWER},
	{"a datagram that is shorter than its packet", UDP, pk_shorter_datagram, FORWARDED,
		NO_ANSWER},
	{"no checksum", ON(UDP4), pk_no_checksum, FORWARDED, NO_ANSWER},
	{"a wrong checksum", ALL, pk_wrong_checksum, FORWARDED, NO_ANSWER},
	{"a SYN with data", TCP, pk_with_data, FORWARDED, NO_ANSWER},
	{"a SYN with ECE and CWR", TCP, pk_syn_ecn, FORWARDED, NO_ANSWER},
	{"an ACK without a flow", TCP, pk_only_ack, REPLIES("l4.no_connection"), REPLIES("reset")},
	{"a FIN without a flow", TCP, pk_fin_ack, REPLIES("l4.no_connection"), REPLIES("reset")},
	{"a SYN-ACK without a flow", TCP, pk_syn_ack, REPLIES("l4.no_connection"),
		REPLIES("reset")},
	{"a reset without a flow", TCP, pk_only_rst, REPLIES("l4.no_connection"), NO_ANSWER},
	{"no flags", TCP, pk_no_flags, REPLIES("l4.no_connection"), REPLIES("reset")},
	{"all flags", TCP, pk_all_flags, REPLIES("l4.no_connection"), NO_ANSWER},
	{"the last hop", ALL, pk_last_hop, EACH("l4.ttl_exceeded"), EACH("icmp")},
	{"no hop", ALL, pk_hop_zero, EACH("l4.ttl_exceeded"), EACH("icmp")},
	{"a byte more than the path takes", ALL, pk_size_beyond_the_path, EACH("l4.too_big"),
		EACH("icmp")},
	{"no checksum of IPv6", ON(UDP6), pk_no_checksum, EACH("l4.checksum_missing"), NO_ANSWER},
	{"source port 0", ALL, pk_source_port_0, EACH("l4.header_bad"), NO_ANSWER},
	{"a UDP length of 7", UDP, pk_udp_length_7, EACH("l4.header_bad"), NO_ANSWER},
	{"a UDP length beyond the packet", UDP, pk_udp_length_beyond, EACH("l4.header_bad"),
		NO_ANSWER},
	{"a TCP header of 16 bytes", TCP, pk_tcp_offset_4, EACH("l4.header_bad"), NO_ANSWER},
	{"a TCP header beyond the packet", TCP, pk_tcp_offset_15, EACH("l4.header_bad"), NO_ANSWER},
	{"a packet that ends in its transport header", UDP, pk_cut, EACH("net.proto_unserved"),
		EACH("icmp")},
	{"a packet that ends in its transport header", TCP, pk_cut, EACH("net.tcp_header_bad"),
		NO_ANSWER},
	{"an IP length beyond the frame", ALL, pk_longer_than_frame, EACH("net.truncated"),
		NO_ANSWER},
	{"a wrong IP checksum", V4, pk_ip_checksum, EACH("net.ip_checksum_bad"), NO_ANSWER},
	{"an IP header of 16 bytes", V4, pk_ihl_4, EACH("net.ip_header_bad"), NO_ANSWER},
	{"IP version 5", ALL, pk_ip_version, EACH("net.ip_header_bad"), NO_ANSWER},
	{"source routing", V4, pk_source_route, EACH("net.ip_options_refused"), NO_ANSWER},
	{"a routing header", V6, pk_routing_header, EACH("net.ip_options_refused"), NO_ANSWER},
	{"SCTP", ALL, pk_sctp, EACH("net.proto_unserved"), EACH("icmp")},
	{"GRE", ALL, pk_gre, EACH("net.proto_unserved"), EACH("icmp")},
	{"IP in IP", ALL, pk_in_ip, EACH("net.proto_unserved"), EACH("icmp")},
	{"IP in UDP", ALL, pk_in_gue, EACH("net.proto_unserved"), EACH("icmp")},
	{"a port that is not forwarded", UDP, pk_another_port, EACH("net.proto_unserved"),
		EACH("icmp")},
	{"a port that is not forwarded", TCP, pk_another_port, EACH("net.rx_tcp"), EACH("tcp")},
	{"an echo request", UDP, pk_echo, EACH("net.icmp_echoed"), EACH("echo")},
	{"an ICMP error for no flow", TCP, pk_error_of_service, REPLIES("l4.icmp_no_flow"),
		NO_ANSWER},
	{"a first fragment", ALL, pk_first_fragment, FORWARDED, NO_ANSWER},
	{"a later fragment before the first", ALL, pk_later_fragment, EACH("l4.fragments_kept"),
		NO_ANSWER},
	{"a first fragment without ports", UDP, pk_short_fragment, EACH("l4.fragment_bad"),
		NO_ANSWER},
	{"a first fragment without all of the TCP header", TCP, pk_tiny_fragment,
		EACH("l4.fragment_tiny"), NO_ANSWER},
	{"a fragment that begins in the TCP header", TCP, pk_header_fragment,
		EACH("l4.fragment_tiny"), NO_ANSWER},
	{"the only fragment", UDP, pk_only_fragment, FORWARDED, NO_ANSWER},
	{"a loopback source", V4, pk_from_loopback, EACH("net.martian_source"), NO_ANSWER},
	{"a multicast source", ALL, pk_from_multicast, EACH("net.martian_source"), NO_ANSWER},
	{"the service's own address", ALL, pk_from_service, EACH("net.martian_source"), NO_ANSWER},
	{"another station", ALL, pk_for_another_station, EACH("net.not_our_mac"), NO_ANSWER},
	{"a VLAN that the port does not have", ALL, pk_tagged, EACH("net.vlan_unknown"), NO_ANSWER},
};

/* ---- what must leave ------------------------------------------------------------------------- */

/* Sum over addresses and transport, as it came or left: equal for both if lib/l4 keeps it. */
static uint16_t sum_of(const uint8_t *b, uint16_t l2, uint16_t len)
{
	bool v4 = b[l2] >> 4 == 4;
	uint8_t proto;
	uint16_t l4_at = pk_transport(b, l2, &proto);
	uint16_t sum = fx_sum(0, b + l2 + (v4 ? 12 : 8), v4 ? 8 : 32);

	sum = fx_sum((uint16_t)~sum, b + l4_at, (uint32_t)len - l4_at);
	return sum == 0xffff ? 0 : sum;
}

/* Writes into `want` what the mode changes, as `out` has it, where it must be so. */
static void expect_nat(struct fx_pkt *want, const struct fx_frame *out, uint16_t l2)
{
	bool v4 = pk_is4(want), full = pk_by->mode == MT_L4_NAT_FULL;
	const uint8_t *ip = out->b + l2;
	uint8_t proto, *t = want->b + pk_transport(want->b, 14, &proto);
	const uint8_t *got = out->b + pk_transport(out->b, l2, &proto);
	uint16_t n = v4 ? 4 : 16, src = v4 ? 12 : 8, dport = full ? 5001 : 5000;
	struct mt_addr nat = fx_addr(v4 ? "192.0.2.90" : "2001:db8::90");
	struct mt_addr last = fx_addr(v4 ? (full ? "198.51.100.21" : "192.0.2.21")
					 : (full ? "2001:db8::31" : "2001:db8::21"));
	uint16_t sport = (uint16_t)(got[0] << 8 | got[1]);
	uint32_t sum_at = proto == IPPROTO_UDP ? 6 : 16;
	bool no_sum = proto == IPPROTO_UDP && t[6] == 0 && t[7] == 0;

	CU_ASSERT(memcmp(ip + src + n, last.b + (16 - n), n - 1u) == 0);
	CU_ASSERT(ip[src + 2 * n - 1] - last.b[15] <= (v4 && !full ? 2 : 0));
	if (full)
		memcpy(want->b + 14 + src, nat.b + (16 - n), n);
	memcpy(want->b + 14 + src + n, ip + src + n, n);
	CU_ASSERT(!full || (sport >= 40000 && sport <= 40999));
	if (full)
		memcpy(t, got, 2);
	t[2] = (uint8_t)(dport >> 8);
	t[3] = (uint8_t)dport;
	if (!no_sum)
		memcpy(t + sum_at, got + sum_at, 2);
	/* Fragments get another identification. */
	if (v4 && want->b[20] & 0x20)
		memcpy(want->b + 18, ip + 4, 2);
	else if (!v4 && want->b[20] == 44)
		memcpy(want->b + 58, ip + 44, 4);
	ow_rewritten(want);
}

static void expect(const struct fx_pkt *sent, const struct fx_frame *out)
{
	uint16_t l2 = sc_l2(out), end = (uint16_t)(14 + (pk_is4(sent) ? 0 : 40)), total;
	struct fx_pkt want = *sent;
	bool one_way = mt_l4_is_one_way(pk_by->mode), summed;
	uint8_t proto;
	const uint8_t *t = sent->b + pk_transport(sent->b, 14, &proto);

	total = (uint16_t)(want.b[pk_is4(sent) ? 16 : 18] << 8 | want.b[pk_is4(sent) ? 17 : 19]);
	want.len = (uint16_t)(total + end);
	if (one_way)
		ow_expected(&want, ow_received_by(out), out);
	else
		expect_nat(&want, out, l2);
	CU_ASSERT_EQUAL_FATAL(out->len - l2, want.len - 14);
	CU_ASSERT_EQUAL(memcmp(out->b + l2, want.b + 14, (size_t)want.len - 14), 0);
	CU_ASSERT_EQUAL(memcmp(out->b + 6, fx_our_mac[l2 == 18], 6), 0);
	summed = proto == IPPROTO_TCP || t[6] || t[7];
	if (!one_way && summed)
		CU_ASSERT_EQUAL(
			sum_of(out->b, l2, out->len), sum_of(sent->b, 14, (uint16_t)(total + end)));
}

/* ---- counters -------------------------------------------------------------------------------- */

static uint64_t rows[MT_L4_N_OUTCOMES + MT_NET_N_OUTCOMES];

static uint64_t row_at(uint32_t i)
{
	return i < MT_L4_N_OUTCOMES ? sc_count(&ow, (enum mt_l4_outcome)i)
				    : fx_count(&ow.f, (enum mt_net_outcome)(i - MT_L4_N_OUTCOMES));
}

static bool is_row(uint32_t i, const char *name)
{
	bool net = i >= MT_L4_N_OUTCOMES;
	const struct mt_outcome_set *set = net ? &mt_net_outcomes : &mt_l4_outcomes;
	const char *is = set->rows[net ? i - MT_L4_N_OUTCOMES : i].name;

	return strncmp(name, net ? "net." : "l4.", net ? 4 : 3) == 0 &&
	       strcmp(name + (net ? 4 : 3), is) == 0;
}

static void note_rows(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		rows[i] = row_at(i);
}

/* How much the row has grown. */
static uint64_t grown(const char *name)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		if (is_row(i, name))
			return row_at(i) - rows[i];
	CU_FAIL("no such row");
	return 0;
}

static void show_rows(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		if (row_at(i) != rows[i])
			printf(" %s+%u",
				i < MT_L4_N_OUTCOMES
					? mt_l4_outcomes.rows[i].name
					: mt_net_outcomes.rows[i - MT_L4_N_OUTCOMES].name,
				(unsigned int)(row_at(i) - rows[i]));
}

/* ---- one packet ------------------------------------------------------------------------------ */

static const char *answer_of(const struct fx_frame *f)
{
	const uint8_t *ip = f->b + sc_l2(f);
	bool v4 = ip[0] >> 4 == 4;
	const uint8_t *t = ip + (v4 ? 20 : 40);
	uint8_t proto = ip[v4 ? 9 : 6];

	if (proto == IPPROTO_TCP)
		return t[13] & RST ? "reset" : "other";
	if (proto != IPPROTO_ICMP && proto != IPPROTO_ICMPV6)
		return "other";
	return t[0] == (v4 ? 0 : 129) ? "echo" : "icmp";
}

static bool is_answer(const char *want, uint32_t tcp)
{
	uint32_t n = ow.f.port[0].n + (uint32_t)ow.f.port[1].n;

	if (!want)
		return n == 0 && ow.f.tcp == tcp;
	if (strcmp(want, "tcp") == 0)
		return n == 0 && ow.f.tcp == tcp + 1;
	return n == 1 && ow.f.port[0].n == 1 && strcmp(answer_of(&ow.f.port[0].sent[0]), want) == 0;
}

static void make(struct fx_pkt *p, enum base b, uint16_t sport)
{
	bool v4 = b == UDP4 || b == TCP4;

	*p = (struct fx_pkt){0};
	if (b == UDP4 || b == UDP6)
		sc_frame(&(struct sc_udp){.src = v4 ? C : C6,
				 .dst = v4 ? pk_by->vip4 : pk_by->vip6,
				 .sport = sport,
				 .dport = pk_by->udp,
				 .data = 64},
			p);
	else
		cn_frame(&(struct cn_segment){.src = v4 ? C : C6,
				 .dst = v4 ? pk_by->vip4 : pk_by->vip6,
				 .sport = sport,
				 .dport = pk_by->tcp,
				 .seq = sport,
				 .flags = SYN},
			p);
}

static bool passes(const struct kind *k, const struct fx_pkt *p)
{
	uint32_t column = !mt_l4_is_one_way(pk_by->mode) ? 0 : pk_by->mode == MT_L4_DSR ? 1 : 2;
	const char *row = k->row[column], *answer = k->answer[column];
	uint32_t flows = sc_flows(&ow), tcp = ow.f.tcp;
	const struct fx_port *port = ow.f.port;

	note_rows();
	fx_clear(&ow.f);
	sc_receive(&ow, 0, fx_mbuf(&ow.f, p->b, p->len, 0));
	if (row)
		return grown(row) == 1 && sc_flows(&ow) == flows && is_answer(answer, tcp);
	if (grown("l4.forwarded") + grown("l4.icmp_to_endpoint") != 1 || port[0].n + port[1].n != 1)
		return false;
	expect(p, port[0].n ? &port[0].sent[0] : &port[1].sent[0]);
	return true;
}

/* All next hops are known, so that a packet leaves at once. */
static void warm_up(void)
{
	for (uint16_t i = 0; i < 200; i++) {
		struct fx_pkt p;

		make(&p, (enum base)(i % BASES), (uint16_t)(60000 + i));
		sc_receive(&ow, 0, fx_mbuf(&ow.f, p.b, p.len, 0));
		if (i % 8 == 7)
			sc_turn(&ow, 2 * MT_MSEC);
	}
	sc_turn(&ow, 2 * MT_MSEC);
}

static void all_kinds(const struct pk_service *service)
{
	uint16_t sport = 2000;

	pk_by = service;
	ow_open_mode(1, 4096, pk_by->mode);
	warm_up();
	for (size_t i = 0; i < MT_ARRAY_LEN(kinds); i++)
		for (enum base b = 0; b < BASES; b++) {
			struct fx_pkt p;

			if (!(kinds[i].on & ON(b)))
				continue;
			make(&p, b, sport++);
			kinds[i].change(&p);
			if (!passes(&kinds[i], &p)) {
				printf("\n%s, %s, %s:", pk_by->name, kinds[i].what,
					(const char *[]){"UDP4", "TCP4", "UDP6", "TCP6"}[b]);
				show_rows();
				CU_FAIL("another result");
			}
			ow.f.now += 20 * MT_MSEC; /* errors are limited */
		}
	ow.f.now += 2 * MT_SEC;
	sc_turn(&ow, MT_MSEC);
	CU_ASSERT(sc_close(&ow));
}

static void by_nat(void)
{
	all_kinds(&services[0]);
}

static void by_nat_full(void)
{
	all_kinds(&services[1]);
}

static void by_dsr(void)
{
	all_kinds(&services[2]);
}

static void by_ipip(void)
{
	all_kinds(&services[3]);
}

static void by_gue(void)
{
	all_kinds(&services[4]);
}

const struct mt_test packet_tests[] = {{"nat", by_nat}, {"nat-full", by_nat_full}, {"dsr", by_dsr},
	{"tunnel-ipip", by_ipip}, {"tunnel-gue", by_gue}, {0}};
