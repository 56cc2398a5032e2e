/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of guests' frames. They read Ethernet, then ARP, IPv4 or IPv6 with its extension headers,
 * then what identifies messages of routers and DHCP servers. Frames of other types pass, because
 * the node does not use them.
 */
#include "mt_guest_priv.h"

#define EXT_MAX 8 /* extension headers; more are refused (RFC 7113 §2) */

#define PROTO_HOPOPTS  0
#define PROTO_ROUTING  43
#define PROTO_FRAGMENT 44
#define PROTO_AH       51
#define PROTO_DSTOPTS  60
#define PROTO_MOBILITY 135
#define PROTO_HIP      139
#define PROTO_SHIM6    140

#define MLD_REPORT  131
#define MLD_DONE    132
#define REDIRECT    137
#define MLD2_REPORT 143

#define ICMP4_ROUTER_ADVERTISE 9 /* RFC 1256 */

#define DHCP4_SERVER 67
#define DHCP4_CLIENT 68

/* The part of a frame after a header. */
struct part {
	const uint8_t *p;
	uint32_t len;
};

static struct part after(struct part of, uint32_t len)
{
	return (struct part){of.p + len, of.len - len};
}

/* Returns MT_GUEST_PASS for an address of the guest, otherwise MT_GUEST_VIP or `reason`. */
static enum mt_guest_verdict check_source(
	const struct mt_guest *g, const struct mt_addr *a, enum mt_guest_verdict reason)
{
	if (mt_likely(guest_has_address(g, a)))
		return MT_GUEST_PASS;
	return g->is_ours && g->is_ours(g->ours, a) ? MT_GUEST_VIP : reason;
}

/* A probe (RFC 5227) has no sender address. */
static enum mt_guest_verdict check_arp(const struct mt_guest *g, struct part arp)
{
	struct mt_addr sender;
	uint16_t op;

	if (arp.len < ARP_LEN || !guest_is_arp4(arp.p) ||
		memcmp(arp.p + ARP_SHA, g->mac, sizeof(g->mac)) != 0)
		return MT_GUEST_ARP;
	op = guest_be16(arp.p + ARP_OP);
	if (op != ARP_REQUEST && op != ARP_REPLY)
		return MT_GUEST_ARP;
	sender = guest_addr4(arp.p + ARP_SPA);
	if (op == ARP_REQUEST && mt_addr_v4(&sender) == 0)
		return MT_GUEST_PASS;
	return check_source(g, &sender, MT_GUEST_ARP);
}

/* Clients must use these ports, so no other datagram of a server reaches one. */
static enum mt_guest_verdict check_udp(struct part udp, uint16_t server, uint16_t client)
{
	if (udp.len < 4 || guest_be16(udp.p) == server || guest_be16(udp.p + 2) == client)
		return MT_GUEST_DHCP_SERVER;
	return MT_GUEST_PASS;
}

/* ---- IPv4 ----------------------------------------------------------------------------------- */

/* True for a message that a client without an address sends to DHCP servers. */
static bool is_dhcp4_client(uint8_t proto, struct part l4)
{
	return proto == PROTO_UDP && l4.len >= 4 && guest_be16(l4.p) == DHCP4_CLIENT &&
	       guest_be16(l4.p + 2) == DHCP4_SERVER;
}

static enum mt_guest_verdict check_l4(uint8_t proto, struct part l4)
{
	if (proto == PROTO_UDP)
		return check_udp(l4, DHCP4_SERVER, DHCP4_CLIENT);
	if (proto == PROTO_ICMP4 && (!l4.len || l4.p[0] == ICMP4_ROUTER_ADVERTISE))
		return MT_GUEST_RA;
	return MT_GUEST_PASS;
}

static enum mt_guest_verdict check_ip4(const struct mt_guest *g, struct part ip)
{
	enum mt_guest_verdict v;
	struct mt_addr source;
	uint32_t header;
	struct part l4;
	bool later;

	if (ip.len < IP4_LEN || ip.p[0] >> 4 != 4)
		return MT_GUEST_IP4;
	ip.len = MT_MIN(ip.len, guest_be16(ip.p + IP4_TOTAL));
	header = (ip.p[0] & 15u) * 4;
	if (header < IP4_LEN || header > ip.len)
		return MT_GUEST_IP4;
	l4 = after(ip, header);
	later = guest_be16(ip.p + IP4_FRAGMENT) & 0x1fff;
	source = guest_addr4(ip.p + IP4_SOURCE);
	if (mt_addr_v4(&source) == 0 && !later && is_dhcp4_client(ip.p[IP4_PROTO], l4))
		return MT_GUEST_PASS;
	v = check_source(g, &source, MT_GUEST_IP4);
	if (v != MT_GUEST_PASS)
		return v;
	return later ? MT_GUEST_FRAGMENT : check_l4(ip.p[IP4_PROTO], l4);
}

/* ---- IPv6 ----------------------------------------------------------------------------------- */

struct ip6 {
	struct mt_addr source;
	bool to_group;
	/* The upper-layer header. Not complete: it is not in the frame, or has too many before it. */
	uint8_t proto;
	struct part l4;
	bool complete;
	bool later; /* a fragment that is not the first one; `l4` is not a header */
};

static bool is_extension(uint8_t proto)
{
	switch (proto) {
	case PROTO_HOPOPTS:
	case PROTO_ROUTING:
	case PROTO_FRAGMENT:
	case PROTO_AH:
	case PROTO_DSTOPTS:
	case PROTO_MOBILITY:
	case PROTO_HIP:
	case PROTO_SHIM6:
		return true;
	default:
		return false;
	}
}

/* Returns the length of the extension header that starts with the 8 bytes at p. */
static uint32_t extension_len(uint8_t proto, const uint8_t *p)
{
	if (proto == PROTO_FRAGMENT)
		return 8;
	return proto == PROTO_AH ? (p[1] + 2u) * 4 : (p[1] + 1u) * 8;
}

static void find_upper(struct ip6 *ip)
{
	for (uint32_t i = 0; is_extension(ip->proto); i++) {
		uint32_t len = ip->l4.len < 8 ? UINT32_MAX : extension_len(ip->proto, ip->l4.p);

		if (i == EXT_MAX || len > ip->l4.len)
			return;
		ip->later = ip->proto == PROTO_FRAGMENT && guest_be16(ip->l4.p + 2) >> 3;
		ip->proto = ip->l4.p[0];
		ip->l4 = after(ip->l4, len);
		if (ip->later)
			break;
	}
	ip->complete = true;
}

/* Returns the type of an ICMPv6 message; 0: it is none. */
static uint8_t icmp6_type(const struct ip6 *ip)
{
	bool is_icmp = ip->complete && !ip->later && ip->proto == PROTO_ICMP6 && ip->l4.len;

	return is_icmp ? ip->l4.p[0] : 0;
}

/*
 * Sources that are unspecified (::) or link-local, which the documents do not have. They may send
 * only what guests need to use their addresses, and to groups, because no policy knows them.
 */
static enum mt_guest_verdict check_link_source(const struct mt_guest *g, const struct ip6 *ip)
{
	bool unspecified = mt_addr_is_zero(&ip->source);

	if (!unspecified && g->is_ours && g->is_ours(g->ours, &ip->source))
		return MT_GUEST_VIP;
	switch (icmp6_type(ip)) {
	case ND_SOLICIT:
		return MT_GUEST_PASS;
	case ND_ADVERTISE:
		return unspecified ? MT_GUEST_IP6 : MT_GUEST_PASS;
	case ROUTER_SOLICIT:
	case MLD_REPORT:
	case MLD_DONE:
	case MLD2_REPORT:
		return ip->to_group ? MT_GUEST_PASS : MT_GUEST_IP6;
	default:
		return unspecified || !ip->to_group || ip->proto == PROTO_ICMP6 ? MT_GUEST_IP6
										: MT_GUEST_PASS;
	}
}

/* True if each option is complete, and none has another station's Ethernet address. */
static bool options_ok(const struct mt_guest *g, struct part at)
{
	while (at.len) {
		uint32_t len;

		if (at.len < 8 || at.p[1] == 0 || at.p[1] * 8u > at.len)
			return false;
		len = at.p[1] * 8u;
		if ((at.p[0] == OPTION_SOURCE || at.p[0] == OPTION_TARGET) &&
			memcmp(at.p + 2, g->mac, sizeof(g->mac)) != 0)
			return false;
		at = after(at, len);
	}
	return true;
}

/* Checks which address and which Ethernet address neighbour discovery claims for the guest. */
static enum mt_guest_verdict check_claims(const struct mt_guest *g, uint8_t type, struct part l4)
{
	uint32_t head = type == ROUTER_SOLICIT ? ROUTER_SOLICIT_LEN : ND_LEN;
	struct mt_addr target;

	if (l4.len < head || !options_ok(g, after(l4, head)))
		return MT_GUEST_NA;
	if (type != ND_ADVERTISE)
		return MT_GUEST_PASS;
	target = guest_addr6(l4.p + ND_TARGET);
	if (mt_addr_is4(&target))
		return MT_GUEST_NA;
	if (!mt_addr_is_link_local(&target))
		return check_source(g, &target, MT_GUEST_NA);
	return g->is_ours && g->is_ours(g->ours, &target) ? MT_GUEST_VIP : MT_GUEST_PASS;
}

static enum mt_guest_verdict check_upper6(const struct mt_guest *g, const struct ip6 *ip)
{
	uint8_t type = icmp6_type(ip);

	if (ip->later)
		return MT_GUEST_FRAGMENT;
	if (!ip->complete || (ip->proto == PROTO_ICMP6 && !ip->l4.len))
		return MT_GUEST_RA;
	if (ip->proto == PROTO_UDP)
		return check_udp(ip->l4, DHCP6_SERVER, DHCP6_CLIENT);
	if (type == ND_SOLICIT || type == ND_ADVERTISE || type == ROUTER_SOLICIT)
		return check_claims(g, type, ip->l4);
	return MT_GUEST_PASS;
}

static enum mt_guest_verdict check_ip6(const struct mt_guest *g, struct part frame)
{
	enum mt_guest_verdict v;
	struct ip6 ip = {0};
	uint8_t type;

	if (frame.len < IP6_LEN || frame.p[0] >> 4 != 6)
		return MT_GUEST_IP6;
	ip.source = guest_addr6(frame.p + IP6_SOURCE);
	ip.to_group = frame.p[IP6_DESTINATION] == 0xff;
	ip.proto = frame.p[IP6_NEXT];
	ip.l4 = after(frame, IP6_LEN);
	ip.l4.len = MT_MIN(ip.l4.len, guest_be16(frame.p + IP6_PAYLOAD));
	find_upper(&ip);
	type = icmp6_type(&ip);
	if (type == ROUTER_ADVERTISE || type == REDIRECT)
		return MT_GUEST_RA;
	/* It would equal the guest's IPv4 address, which struct mt_addr holds in this form. */
	if (mt_addr_is4(&ip.source))
		return MT_GUEST_IP6;
	if (mt_addr_is_zero(&ip.source) || mt_addr_is_link_local(&ip.source))
		v = check_link_source(g, &ip);
	else
		v = check_source(g, &ip.source, MT_GUEST_IP6);
	return v == MT_GUEST_PASS ? check_upper6(g, &ip) : v;
}

/* ---- Ethernet ------------------------------------------------------------------------------- */

enum mt_guest_verdict mt_guest_check(const struct mt_guest *g, const uint8_t *frame, uint32_t len)
{
	struct part all = {frame, len};

	if (len < ETHER_LEN || memcmp(frame + ETHER_SOURCE, g->mac, sizeof(g->mac)) != 0)
		return MT_GUEST_MAC;
	switch (guest_be16(frame + ETHER_TYPE)) {
	case TYPE_IP4:
		return check_ip4(g, after(all, ETHER_LEN));
	case TYPE_IP6:
		return check_ip6(g, after(all, ETHER_LEN));
	case TYPE_ARP:
		return check_arp(g, after(all, ETHER_LEN));
	case TYPE_VLAN:
	case TYPE_QINQ:
	case TYPE_QINQ_OLD:
		return MT_GUEST_VLAN;
	default:
		return MT_GUEST_PASS;
	}
}

const char *mt_guest_verdict_str(enum mt_guest_verdict v)
{
	static const char *const names[] = {
		[MT_GUEST_PASS] = "pass",
		[MT_GUEST_VLAN] = "vlan",
		[MT_GUEST_MAC] = "mac",
		[MT_GUEST_VIP] = "vip",
		[MT_GUEST_IP4] = "ip4",
		[MT_GUEST_IP6] = "ip6",
		[MT_GUEST_ARP] = "arp",
		[MT_GUEST_NA] = "na",
		[MT_GUEST_RA] = "ra",
		[MT_GUEST_DHCP_SERVER] = "dhcp_server",
		[MT_GUEST_FRAGMENT] = "fragment",
	};

	return v < MT_GUEST_VERDICTS ? names[v] : "unknown";
}
