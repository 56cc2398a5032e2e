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

#define F_ROUTER      0x80
#define F_SOLICITED   0x40
#define F_OVERRIDE    0x20
#define ND_FLAGS      4
#define OPTION_LEN    8
#define ADVERTISE_LEN (ND_LEN + OPTION_LEN)

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
	guest_put_ether(g->mac, mac, TYPE_ARP, out);
	memcpy(to, head, sizeof(head));
	memcpy(to + ARP_SHA, mac, 6);
	memcpy(to + ARP_SPA, arp + ARP_TPA, 4);
	memcpy(to + ARP_THA, arp + ARP_SHA, 6);
	memcpy(to + ARP_TPA, arp + ARP_SPA, 4);
	return ETHER_LEN + ARP_LEN;
}

/* ---- neighbour discovery -------------------------------------------------------------------- */

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

	memset(nd, 0, ADVERTISE_LEN);
	guest_put_ip6(ip, PROTO_ICMP6, ND_HOPS, target, to, ADVERTISE_LEN);
	nd[0] = ND_ADVERTISE;
	nd[ND_FLAGS] = flags;
	memcpy(nd + ND_TARGET, target, sizeof(*target));
	nd[ND_LEN] = OPTION_TARGET;
	nd[ND_LEN + 1] = OPTION_LEN / 8;
	memcpy(nd + ND_LEN + 2, mac, 6);
	guest_put16(nd + ICMP6_CKSUM, guest_ip6_sum(ip, PROTO_ICMP6, ADVERTISE_LEN));
}

static uint32_t answer_nd(const struct mt_guest *g, const uint8_t mac[6], const uint8_t *ip,
	uint32_t len, uint8_t *out)
{
	struct mt_addr source, target;
	const struct mt_addr *to = &source;
	uint8_t flags = F_ROUTER | F_OVERRIDE;

	if (!guest_is_solicitation(ip, len, ND_SOLICIT, ND_LEN))
		return 0;
	source = guest_addr6(ip + IP6_SOURCE);
	target = guest_addr6(ip + IP6_LEN + ND_TARGET);
	if (target.b[0] == 0xff || is_exempt(g, &source, &target))
		return 0;
	if (mt_addr_is_zero(&source))
		to = &guest_all_nodes;
	else
		flags |= F_SOLICITED;
	guest_put_ether6(g->mac, mac, to, out);
	put_advertisement(mac, &target, to, flags, out + ETHER_LEN);
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
