/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers to ARP requests and neighbour solicitations of guests. An advertisement overrides what
 * the guest has, because the port gets another Ethernet address when the node's machine changes,
 * and no other station could answer. It has the flag of routers, because Meltemi is the guest's.
 *
 * A request without a sender is a probe: the guest is about to use the address (RFC 5227, RFC 4862
 * §5.4). The answer stops it from using an address that it does not have in the documents. Only
 * link-local addresses, which the guest chooses itself, get none.
 */
#include "mt_guest_priv.h"

#define HOP_LIMIT     255 /* proves that the sender is on the link (RFC 4861 §7.1) */
#define F_ROUTER      0x80
#define F_SOLICITED   0x40
#define F_OVERRIDE    0x20
#define ND_FLAGS      4
#define ICMP6_CKSUM   2
#define OPTION_LEN    8
#define ADVERTISE_LEN (ND_LEN + OPTION_LEN)

static const struct mt_addr all_nodes = {.b = {0xff, 0x02, [15] = 1}};

static void put_ether(const struct mt_guest *g, const uint8_t mac[6], uint16_t type, uint8_t *out)
{
	memcpy(out, g->mac, sizeof(g->mac));
	memcpy(out + ETHER_SOURCE, mac, sizeof(g->mac));
	out[ETHER_TYPE] = (uint8_t)(type >> 8);
	out[ETHER_TYPE + 1] = (uint8_t)type;
}

/* ---- ARP ------------------------------------------------------------------------------------ */

static uint32_t answer_arp(const struct mt_guest *g, const uint8_t mac[6], const uint8_t *arp,
	uint32_t len, uint8_t *out)
{
	static const uint8_t head[] = {0, 1, 8, 0, 6, 4, 0, ARP_REPLY};
	uint8_t *to = out + ETHER_LEN;
	struct mt_addr target;

	if (len < ARP_LEN || !guest_is_arp4(arp) || guest_be16(arp + ARP_OP) != ARP_REQUEST)
		return 0;
	target = guest_addr4(arp + ARP_TPA);
	if (mt_addr_v4(&target) == 0 || guest_has_address(g, &target))
		return 0;
	put_ether(g, mac, TYPE_ARP, out);
	memcpy(to, head, sizeof(head));
	memcpy(to + ARP_SHA, mac, 6);
	memcpy(to + ARP_SPA, arp + ARP_TPA, 4);
	memcpy(to + ARP_THA, arp + ARP_SHA, 6);
	memcpy(to + ARP_TPA, arp + ARP_SPA, 4);
	return ETHER_LEN + ARP_LEN;
}

/* ---- neighbour discovery -------------------------------------------------------------------- */

/* Returns the checksum of an ICMPv6 message after its IPv6 header; 0 if the stored one is right. */
static uint16_t icmp6_sum(const uint8_t *ip, uint32_t len)
{
	uint32_t sum = len + PROTO_ICMP6;

	for (uint32_t i = IP6_SOURCE; i < IP6_LEN; i += 2)
		sum += guest_be16(ip + i);
	for (uint32_t i = 0; i < len; i++)
		sum += i & 1 ? ip[IP6_LEN + i] : (uint32_t)ip[IP6_LEN + i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

/* True if the options are complete; sets *has_source. */
static bool read_options(const uint8_t *p, uint32_t len, bool *has_source)
{
	while (len) {
		if (len < 8 || p[1] == 0 || p[1] * 8u > len)
			return false;
		*has_source |= p[0] == OPTION_SOURCE;
		len -= p[1] * 8u;
		p += p[1] * 8u;
	}
	return true;
}

/* True for a valid solicitation (RFC 4861 §7.1.1). */
static bool is_solicitation(const uint8_t *ip, uint32_t len)
{
	const uint8_t *nd = ip + IP6_LEN;
	bool has_source = false;
	struct mt_addr source;
	uint32_t nd_len;

	if (len < IP6_LEN + ND_LEN || ip[0] >> 4 != 6 || ip[IP6_NEXT] != PROTO_ICMP6 ||
		ip[IP6_HOPS] != HOP_LIMIT)
		return false;
	nd_len = guest_be16(ip + IP6_PAYLOAD);
	if (nd_len < ND_LEN || nd_len > len - IP6_LEN || nd[0] != ND_SOLICIT || nd[1] != 0 ||
		nd[ND_TARGET] == 0xff || icmp6_sum(ip, nd_len) != 0 ||
		!read_options(nd + ND_LEN, nd_len - ND_LEN, &has_source))
		return false;
	source = guest_addr6(ip + IP6_SOURCE);
	return source.b[0] != 0xff && !(mt_addr_is_zero(&source) && has_source);
}

/* True if the guest gets no answer about this address. */
static bool is_exempt(
	const struct mt_guest *g, const struct mt_addr *source, const struct mt_addr *a)
{
	bool probe = mt_addr_is_zero(source);

	if (mt_addr_is_zero(a) || mt_addr_is4(a) || mt_addr_eq(source, a) ||
		guest_has_address(g, a))
		return true;
	return probe && mt_addr_is_link_local(a) && !(g->is_ours && g->is_ours(g->ours, a));
}

static void put_advertisement(const uint8_t mac[6], const struct mt_addr *target,
	const struct mt_addr *to, uint8_t flags, uint8_t *ip)
{
	uint8_t *nd = ip + IP6_LEN;
	uint16_t sum;

	memset(ip, 0, IP6_LEN + ADVERTISE_LEN);
	ip[0] = 6 << 4;
	ip[IP6_PAYLOAD + 1] = ADVERTISE_LEN;
	ip[IP6_NEXT] = PROTO_ICMP6;
	ip[IP6_HOPS] = HOP_LIMIT;
	memcpy(ip + IP6_SOURCE, target, sizeof(*target));
	memcpy(ip + IP6_DESTINATION, to, sizeof(*to));
	nd[0] = ND_ADVERTISE;
	nd[ND_FLAGS] = flags;
	memcpy(nd + ND_TARGET, target, sizeof(*target));
	nd[ND_LEN] = OPTION_TARGET;
	nd[ND_LEN + 1] = OPTION_LEN / 8;
	memcpy(nd + ND_LEN + 2, mac, 6);
	sum = icmp6_sum(ip, ADVERTISE_LEN);
	nd[ICMP6_CKSUM] = (uint8_t)(sum >> 8);
	nd[ICMP6_CKSUM + 1] = (uint8_t)sum;
}

static uint32_t answer_nd(const struct mt_guest *g, const uint8_t mac[6], const uint8_t *ip,
	uint32_t len, uint8_t *out)
{
	struct mt_addr source, target;
	bool probe;

	if (!is_solicitation(ip, len))
		return 0;
	source = guest_addr6(ip + IP6_SOURCE);
	target = guest_addr6(ip + IP6_LEN + ND_TARGET);
	if (is_exempt(g, &source, &target))
		return 0;
	probe = mt_addr_is_zero(&source);
	put_ether(g, mac, TYPE_IP6, out);
	if (probe)
		memcpy(out, (const uint8_t[]){0x33, 0x33, 0, 0, 0, 1}, 6);
	put_advertisement(mac, &target, probe ? &all_nodes : &source,
		F_ROUTER | F_OVERRIDE | (probe ? 0 : F_SOLICITED), out + ETHER_LEN);
	return ETHER_LEN + IP6_LEN + ADVERTISE_LEN;
}

uint32_t mt_guest_answer(const struct mt_guest *g, const uint8_t mac[6], const uint8_t *frame,
	uint32_t len, uint8_t out[MT_GUEST_ANSWER_MAX])
{
	if (len < ETHER_LEN)
		return 0;
	switch (guest_be16(frame + ETHER_TYPE)) {
	case TYPE_ARP:
		return answer_arp(g, mac, frame + ETHER_LEN, len - ETHER_LEN, out);
	case TYPE_IP6:
		return answer_nd(g, mac, frame + ETHER_LEN, len - ETHER_LEN, out);
	default:
		return 0;
	}
}
