/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IPv6 gateway of virtual machines: it answers router solicitations (RFC 4861), and writes the
 * router advertisements that are sent unasked. Bytes in, bytes out, without a clock, a socket or
 * state.
 *
 * All guests have the same gateway: one link-local address, and one Ethernet address.
 * Advertisements have the flag M, because guests get their addresses by DHCPv6 (mt_dhcp6.h). They
 * have no prefix information: without flag A guests choose no addresses, and without flag L they
 * send all packets to the gateway, because no other station is on their link.
 *
 * Name servers and the search list are those of RFC 8106. They have the gateway's lifetime. An
 * advertisement never exceeds the 1,280 bytes that each link carries: name servers and domains that
 * do not fit are left out.
 */
#pragma once

#include "mt_addr.h"

struct mt_guest;

/* Least MTU of IPv6; a smaller one is not sent. */
#define MT_GATEWAY6_MTU_MIN 1280

/* Most bytes of a frame to a guest. */
#define MT_GATEWAY6_FRAME_MAX (14 + MT_GATEWAY6_MTU_MIN)

/* Texts that are not valid domain names are left out, as are name servers with IPv4 addresses. */
struct mt_gateway6 {
	uint8_t mac[6];
	struct mt_addr address; /* link-local */
	uint16_t mtu;		/* 0: not sent */
	/*
	 * Seconds for which guests use the gateway without another advertisement: at least three
	 * times the interval of those that are sent unasked. 0 ends the use, for example before
	 * another node takes the guests.
	 */
	uint16_t lifetime;
	/* Seconds for which guests have their addresses by DHCPv6; UINT32_MAX: for ever. */
	uint32_t lease;
	const struct mt_addr *name_servers;
	uint32_t n_name_servers;
	const char *const *search;
	uint32_t n_search;
};

/*
 * Writes the advertisement that is sent unasked, to all nodes of a guest's port, and returns its
 * length. It is the same for all guests. The caller sends it when the port gets its link, and then
 * at intervals that it draws at random: up to 16 s for the first three, then 200 to 600 s by the
 * defaults of RFC 4861 §6.2.1.
 */
uint32_t mt_gateway6_advertise(const struct mt_gateway6 *gw, uint8_t out[MT_GATEWAY6_FRAME_MAX]);

/*
 * Writes the answer to a router solicitation that has passed mt_guest_check(). Returns its length;
 * 0 if the frame is not such a solicitation, is malformed, or is for another address. The answer is
 * for the source of the solicitation alone, if it has one. The caller need not delay it (RFC 4861
 * §6.2.6), because the link has no other router. The frame and out must not overlap.
 */
uint32_t mt_gateway6_answer(const struct mt_gateway6 *gw, const struct mt_guest *g,
	const uint8_t *frame, uint32_t len, uint8_t out[MT_GATEWAY6_FRAME_MAX]);
