/* SPDX-License-Identifier: Apache-2.0 */
/* Protocols of guests' frames: offsets, numbers, loads and stores of fields, headers. */
#pragma once

#include "mt_guest.h"

enum {
	ETHER_SOURCE = 6,
	ETHER_TYPE = 12,
	ETHER_LEN = 14,
	IP4_LEN = 20,
	IP4_TOTAL = 2,
	IP4_FRAGMENT = 6,
	IP4_PROTO = 9,
	IP4_SOURCE = 12,
	IP6_LEN = 40,
	IP6_PAYLOAD = 4,
	IP6_NEXT = 6,
	IP6_HOPS = 7,
	IP6_SOURCE = 8,
	IP6_DESTINATION = 24,
	ARP_LEN = 28,
	ARP_OP = 6,
	ARP_SHA = 8,
	ARP_SPA = 14,
	ARP_THA = 18,
	ARP_TPA = 24,
	/* of neighbour solicitations and advertisements */
	ND_TARGET = 8,
	ND_LEN = 24,
};

#define TYPE_IP4      0x0800
#define TYPE_ARP      0x0806
#define TYPE_VLAN     0x8100
#define TYPE_IP6      0x86dd
#define TYPE_QINQ     0x88a8
#define TYPE_QINQ_OLD 0x9100 /* before 802.1ad */

#define ARP_REQUEST 1
#define ARP_REPLY   2

#define PROTO_ICMP4 1
#define PROTO_UDP   17
#define PROTO_ICMP6 58

#define ROUTER_SOLICIT	 133
#define ROUTER_ADVERTISE 134
#define ND_SOLICIT	 135
#define ND_ADVERTISE	 136

#define DHCP6_CLIENT 546
#define DHCP6_SERVER 547

#define ROUTER_SOLICIT_LEN 8
#define ICMP6_CKSUM	   2
#define ND_HOPS		   255 /* proves that the sender is on the link (RFC 4861 §3.1) */

/* Options of neighbour discovery: the sender's Ethernet address, and the target's. */
#define OPTION_SOURCE 1
#define OPTION_TARGET 2

static inline uint16_t guest_be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline void guest_put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void guest_put32(uint8_t *p, uint32_t v)
{
	guest_put16(p, v >> 16);
	guest_put16(p + 2, v);
}

static inline struct mt_addr guest_addr4(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return mt_addr4(v);
}

static inline struct mt_addr guest_addr6(const uint8_t *p)
{
	struct mt_addr a;

	memcpy(&a, p, sizeof(a));
	return a;
}

/* True for Ethernet and IPv4, with addresses of 6 and 4 bytes (RFC 826). */
static inline bool guest_is_arp4(const uint8_t *arp)
{
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4};

	return memcmp(arp, head, sizeof(head)) == 0;
}

static inline bool guest_has_address(const struct mt_guest *g, const struct mt_addr *a)
{
	for (uint32_t i = 0; i < g->n_addresses; i++)
		if (mt_addr_eq(&g->addresses[i], a))
			return true;
	return false;
}

static const struct mt_addr guest_all_nodes = {.b = {0xff, 0x02, [15] = 1}};

/* Writes an Ethernet header; `to` is the address of the guest. */
void guest_put_ether(const uint8_t to[6], const uint8_t from[6], uint16_t type, uint8_t *out);

/* The same for an IPv6 packet, which may also go to guest_all_nodes. */
void guest_put_ether6(
	const uint8_t mac[6], const uint8_t from[6], const struct mt_addr *to, uint8_t *out);

/* Writes an IPv6 header before a payload of this length. */
void guest_put_ip6(uint8_t *ip, uint8_t proto, uint8_t hops, const struct mt_addr *from,
	const struct mt_addr *to, uint32_t payload);

/*
 * Returns the checksum of the first `len` bytes after the IPv6 header at `ip`, which are of this
 * upper-layer protocol; 0 if the stored one is right.
 */
uint16_t guest_ip6_sum(const uint8_t *ip, uint8_t proto, uint32_t len);

/*
 * True for a valid solicitation of this type (RFC 4861 §6.1.1, §7.1.1), which has `head` bytes
 * before its options.
 */
bool guest_is_solicitation(const uint8_t *ip, uint32_t len, uint8_t type, uint32_t head);
