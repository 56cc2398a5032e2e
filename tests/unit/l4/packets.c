/* SPDX-License-Identifier: Apache-2.0 */
#include "packets.h"

#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

const struct pk_service *pk_by;

bool pk_is4(const struct fx_pkt *p)
{
	return p->b[14] >> 4 == 4;
}

uint16_t pk_transport(const uint8_t *b, uint16_t l2, uint8_t *proto)
{
	const uint8_t *ip = b + l2;
	uint16_t at = (uint16_t)(l2 + 40);

	if (ip[0] >> 4 == 4) {
		*proto = ip[9];
		return (uint16_t)(l2 + (ip[0] & 15) * 4);
	}
	*proto = ip[6];
	while (*proto == 0 || *proto == 60 || *proto == 44) {
		*proto = b[at];
		at = (uint16_t)(at + 8 + 8 * b[at + 1]);
	}
	return at;
}

static uint8_t *l4(struct fx_pkt *p)
{
	uint8_t proto;

	return p->b + pk_transport(p->b, 14, &proto);
}

/* ---- changes of a base packet ---------------------------------------------------------------- */

void pk_as_it_is(struct fx_pkt *p)
{
	(void)p;
}

/* Adjusts lengths in the IP header to the frame, and all checksums. */
static void again(struct fx_pkt *p)
{
	uint16_t len = (uint16_t)(p->len - 14 - (pk_is4(p) ? 0 : 40));

	p->b[pk_is4(p) ? 16 : 18] = (uint8_t)(len >> 8);
	p->b[pk_is4(p) ? 17 : 19] = (uint8_t)len;
	fx_resum(p, 14);
}

static void insert(struct fx_pkt *p, uint16_t at, const void *bytes, uint16_t n)
{
	memmove(p->b + at + n, p->b + at, (size_t)p->len - at);
	memcpy(p->b + at, bytes, n);
	p->len = (uint16_t)(p->len + n);
}

void pk_options(struct fx_pkt *p)
{
	p->b[14] = 0x47;
	insert(p, 34, (uint8_t[8]){1, 1, 1, 1, 1, 1, 1, 0}, 8);
	again(p);
}

void pk_source_route(struct fx_pkt *p)
{
	p->b[14] = 0x47;
	insert(p, 34, (uint8_t[8]){131, 7, 4, 10, 0, 0, 1, 0}, 8);
	again(p);
}

static void extension(struct fx_pkt *p, uint8_t type)
{
	uint8_t h[8] = {p->b[20], 0, 1, 4};

	p->b[20] = type;
	insert(p, 54, h, 8);
	again(p);
}

void pk_hop_by_hop(struct fx_pkt *p)
{
	extension(p, 0);
}

void pk_destination_options(struct fx_pkt *p)
{
	extension(p, 60);
}

void pk_routing_header(struct fx_pkt *p)
{
	extension(p, 43);
	p->b[57] = 1; /* segments left */
}

void pk_traffic_class(struct fx_pkt *p)
{
	if (pk_is4(p))
		p->b[15] = 0xb9 | 2;
	else
		p->b[14] = 0x6b, p->b[15] = 0xb0;
	again(p);
}

void pk_may_be_fragmented(struct fx_pkt *p)
{
	p->b[20] ^= 0x40;
	again(p);
}

static void hops(struct fx_pkt *p, uint8_t n)
{
	p->b[pk_is4(p) ? 22 : 21] = n;
	again(p);
}

void pk_last_hop(struct fx_pkt *p)
{
	hops(p, 1);
}

void pk_hop_zero(struct fx_pkt *p)
{
	hops(p, 0);
}

void pk_two_hops(struct fx_pkt *p)
{
	hops(p, 2);
}

void pk_padded(struct fx_pkt *p)
{
	memset(p->b + p->len, 0xee, 18);
	p->len = (uint16_t)(p->len + 18);
}

/* The packet gets this many bytes of IP. */
static void of_size(struct fx_pkt *p, uint16_t ip_len)
{
	uint8_t proto, *t = p->b + pk_transport(p->b, 14, &proto);

	memset(p->b + p->len, 0x5a, (size_t)ip_len + 14 - p->len);
	p->len = (uint16_t)(ip_len + 14);
	if (proto == IPPROTO_UDP) {
		uint16_t len = (uint16_t)(p->b + p->len - t);

		t[4] = (uint8_t)(len >> 8);
		t[5] = (uint8_t)len;
	}
	again(p);
}

void pk_size_of_the_path(struct fx_pkt *p)
{
	bool v4 = pk_is4(p);

	of_size(p, pk_by->mode == MT_L4_GUE    ? (v4 ? 1468 : 1448)
		   : pk_by->mode == MT_L4_IPIP ? (v4 ? 1480 : 1460)
					       : 1500);
}

void pk_size_beyond_the_path(struct fx_pkt *p)
{
	bool v4 = pk_is4(p);

	of_size(p, pk_by->mode == MT_L4_GUE    ? (v4 ? 1469 : 1449)
		   : pk_by->mode == MT_L4_IPIP ? (v4 ? 1481 : 1461)
					       : 1501);
}

void pk_size_1500(struct fx_pkt *p)
{
	of_size(p, 1500);
}

void pk_no_payload(struct fx_pkt *p)
{
	uint8_t proto;

	p->len = (uint16_t)(pk_transport(p->b, 14, &proto) + 8);
	l4(p)[4] = 0;
	l4(p)[5] = 8;
	again(p);
}

void pk_shorter_datagram(struct fx_pkt *p)
{
	l4(p)[5] = 20;
	fx_resum(p, 14);
}

void pk_no_checksum(struct fx_pkt *p)
{
	l4(p)[6] = l4(p)[7] = 0;
}

void pk_wrong_checksum(struct fx_pkt *p)
{
	uint8_t proto, *t = p->b + pk_transport(p->b, 14, &proto);

	t[proto == IPPROTO_UDP ? 7 : 17] ^= 0x10;
}

static void flags(struct fx_pkt *p, uint8_t f)
{
	l4(p)[13] = f;
	again(p);
}

void pk_with_data(struct fx_pkt *p)
{
	of_size(p, 300);
}

void pk_only_ack(struct fx_pkt *p)
{
	flags(p, ACK);
}

void pk_only_rst(struct fx_pkt *p)
{
	flags(p, RST);
}

void pk_syn_ack(struct fx_pkt *p)
{
	flags(p, SYN | ACK);
}

void pk_fin_ack(struct fx_pkt *p)
{
	flags(p, FIN | ACK);
}

void pk_no_flags(struct fx_pkt *p)
{
	flags(p, 0);
}

void pk_syn_ecn(struct fx_pkt *p)
{
	flags(p, SYN | 0xc0);
}

void pk_all_flags(struct fx_pkt *p)
{
	flags(p, 0xff);
}

void pk_source_port_0(struct fx_pkt *p)
{
	l4(p)[0] = l4(p)[1] = 0;
	again(p);
}

void pk_udp_length_7(struct fx_pkt *p)
{
	l4(p)[4] = 0;
	l4(p)[5] = 7;
}

void pk_udp_length_beyond(struct fx_pkt *p)
{
	l4(p)[4] = 1;
}

void pk_tcp_offset_4(struct fx_pkt *p)
{
	l4(p)[12] = 0x40;
	again(p);
}

void pk_tcp_offset_15(struct fx_pkt *p)
{
	l4(p)[12] = 0xf0;
	again(p);
}

/* The IP packet ends within the transport header. */
void pk_cut(struct fx_pkt *p)
{
	uint8_t proto;

	p->len = (uint16_t)(pk_transport(p->b, 14, &proto) + 6);
	again(p);
}

void pk_longer_than_frame(struct fx_pkt *p)
{
	again(p);
	p->len = (uint16_t)(p->len - 4);
}

void pk_ip_checksum(struct fx_pkt *p)
{
	p->b[25] ^= 1;
}

void pk_ihl_4(struct fx_pkt *p)
{
	p->b[14] = 0x44;
}

void pk_ip_version(struct fx_pkt *p)
{
	p->b[14] = (uint8_t)(0x50 | (p->b[14] & 15));
}

static void protocol(struct fx_pkt *p, uint8_t n)
{
	p->b[pk_is4(p) ? 23 : 20] = n;
	if (pk_is4(p))
		again(p);
}

void pk_sctp(struct fx_pkt *p)
{
	protocol(p, 132);
}

void pk_gre(struct fx_pkt *p)
{
	protocol(p, 47);
}

/* The packet as the payload of a tunnel to its own destination. */
void pk_in_ip(struct fx_pkt *p)
{
	uint8_t outer[40];

	memcpy(outer, p->b + 14, sizeof(outer));
	outer[pk_is4(p) ? 9 : 6] = pk_is4(p) ? 4 : 41;
	insert(p, 14, outer, pk_is4(p) ? 20 : 40);
	again(p);
}

void pk_in_gue(struct fx_pkt *p)
{
	uint8_t udp[8] = {0x40, 0, 6080 >> 8, 6080 & 255};
	uint16_t hlen = pk_is4(p) ? 20 : 40, len = (uint16_t)(p->len - 14 + 8);
	uint8_t outer[48];

	udp[4] = (uint8_t)(len >> 8);
	udp[5] = (uint8_t)len;
	memcpy(outer, p->b + 14, hlen);
	memcpy(outer + hlen, udp, 8);
	outer[pk_is4(p) ? 9 : 6] = IPPROTO_UDP;
	insert(p, 14, outer, (uint16_t)(hlen + 8));
	again(p);
}

void pk_another_port(struct fx_pkt *p)
{
	l4(p)[2] = 0x77;
	again(p);
}

void pk_echo(struct fx_pkt *p)
{
	bool v4 = pk_is4(p);

	p->len = 0;
	fx_echo(p, v4 ? C : C6, v4 ? pk_by->vip4 : pk_by->vip6, 20);
}

/* A router could not deliver a packet of the service to the client. */
void pk_error_of_service(struct fx_pkt *p)
{
	bool v4 = pk_is4(p);

	p->len = 0;
	fx_icmp_error(p, v4 ? "10.200.0.1" : "2001:db8:99::1", v4 ? 3 : 1, v4 ? 1 : 0, 0,
		v4 ? pk_by->vip4 : pk_by->vip6, pk_by->tcp, v4 ? C : C6, 77, 0);
}

static void part(struct fx_pkt *p, uint16_t from, uint16_t len, bool more)
{
	struct fx_pkt whole;
	uint32_t id;

	of_size(p, 900);
	whole = *p;
	id = (uint32_t)(l4(p)[0] << 8 | l4(p)[1]);
	sc_fragment(&whole, &(struct sc_part){from, len, more, id}, p);
}

void pk_first_fragment(struct fx_pkt *p)
{
	part(p, 0, 400, true);
}

void pk_later_fragment(struct fx_pkt *p)
{
	part(p, 400, 400, true);
}

void pk_short_fragment(struct fx_pkt *p)
{
	part(p, 0, 4, true);
}

void pk_tiny_fragment(struct fx_pkt *p)
{
	part(p, 0, 16, true);
}

void pk_header_fragment(struct fx_pkt *p)
{
	part(p, 16, 400, true);
}

void pk_only_fragment(struct fx_pkt *p)
{
	part(p, 0, pk_is4(p) ? 880 : 860, false);
}

static void from(struct fx_pkt *p, uint8_t first)
{
	p->b[pk_is4(p) ? 26 : 22] = first;
	again(p);
}

void pk_from_loopback(struct fx_pkt *p)
{
	from(p, 127);
}

void pk_from_multicast(struct fx_pkt *p)
{
	from(p, pk_is4(p) ? 224 : 0xff);
}

void pk_from_service(struct fx_pkt *p)
{
	bool v4 = pk_is4(p);

	memcpy(p->b + (v4 ? 26 : 22), p->b + (v4 ? 30 : 38), v4 ? 4 : 16);
	again(p);
}

void pk_for_another_station(struct fx_pkt *p)
{
	p->b[5] ^= 1;
}

void pk_tagged(struct fx_pkt *p)
{
	insert(p, 12, (uint8_t[4]){0x81, 0, 0, 9}, 4);
}
