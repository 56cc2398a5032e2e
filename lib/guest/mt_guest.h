/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/guest: packets of virtual machines. All functions are pure: bytes and the guest's
 * configuration in, bytes or a verdict out, without a clock, an allocation or state. Bytes come
 * from the guest, so each length is checked.
 *
 *     mt_guest.h    checks that a frame is of its guest; answers ARP and neighbour discovery
 *     mt_gateway6.h answers router solicitations, and writes router advertisements
 *     mt_dhcp.h     answers DHCP
 *     mt_dhcp6.h    answers DHCPv6
 *
 * A guest's port has one guest and no other station. mt_guest_check() comes first: it refuses
 * frames of a sender that claims to be another station, a router or a DHCP server. Meltemi is the
 * next hop for everything that the guest sends, so mt_guest_answer() answers requests for every
 * address except for those of the guest.
 */
#pragma once

#include "mt_addr.h"

struct mt_guest {
	uint8_t mac[6];
	const struct mt_addr *addresses; /* the only ones, without link-local ones */
	uint32_t n_addresses;
	/*
	 * True for an address of a service or of the node. It is called only for addresses that
	 * the guest does not have.
	 */
	bool (*is_ours)(const void *ours, const struct mt_addr *a);
	const void *ours;
};

/*
 * The reasons to drop a frame. A frame that is too short for a check has the reason of that check,
 * so nothing passes unchecked.
 */
enum mt_guest_verdict {
	MT_GUEST_PASS,
	MT_GUEST_VLAN, /* it has a VLAN tag, also of id 0 */
	MT_GUEST_MAC,  /* its source is not the guest's Ethernet address */
	/* its source, or the address that ARP or ND claims, is one of a service or of the node */
	MT_GUEST_VIP,
	MT_GUEST_IP4, /* its source is another address that the guest does not have */
	MT_GUEST_IP6,
	MT_GUEST_ARP, /* its ARP sender is not the guest, or it is not ARP for IPv4 */
	/* neighbour discovery that claims another's address, or a wrong Ethernet address */
	MT_GUEST_NA,
	/* router advertisements and redirects; IPv6 packets without their upper-layer header */
	MT_GUEST_RA,
	MT_GUEST_DHCP_SERVER, /* datagrams that only DHCP servers send, for IPv4 and IPv6 */
	MT_GUEST_FRAGMENT,    /* a fragment that is not the first one, so it has no ports */
	MT_GUEST_VERDICTS,
};

/* Checks a frame of the guest from its Ethernet header on. */
enum mt_guest_verdict mt_guest_check(const struct mt_guest *g, const uint8_t *frame, uint32_t len);

/* Returns the name of a verdict: "pass", "vlan", ... */
const char *mt_guest_verdict_str(enum mt_guest_verdict v);

/* Most bytes of an answer: Ethernet, IPv6, a neighbour advertisement with one option. */
#define MT_GUEST_ANSWER_MAX (14 + 40 + 24 + 8)

/*
 * Writes the answer of the port with Ethernet address `mac` to an ARP request or neighbour
 * solicitation that has passed mt_guest_check(). Returns its length; 0 if the frame is not such a
 * request, is malformed, or is for an address of the guest. The frame and out must not overlap.
 */
uint32_t mt_guest_answer(const struct mt_guest *g, const uint8_t mac[6], const uint8_t *frame,
	uint32_t len, uint8_t out[MT_GUEST_ANSWER_MAX]);
