/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers the DHCPv6 messages of a virtual machine (RFC 8415, 3646): frames in, frames out, without
 * a clock, a socket or state.
 *
 * A guest's port has one guest, and the documents give that guest its addresses. The same message
 * therefore always gets the same answer, from every node and after every restart: there are no
 * leases to keep. The first IA_NA of a message gets all IPv6 addresses of the guest. Other ones,
 * IA_TA and IA_PD get a status code, because the guest has no further addresses or prefixes. The
 * server identifier is the gateway's Ethernet address (DUID-LL), so all nodes have the same one.
 *
 * Messages are refused that a guest must not send: of servers, of relays, and those that RFC 8415
 * §16 lets servers discard. Each has a reason, which callers count. Options that the code does not
 * know are ignored. An option that it knows must be complete, of a possible length, in its place,
 * and there only once if it may not be repeated.
 *
 * A reply contains, of the name servers and the search list, what the client requests; both, if it
 * sends no option request. It never exceeds the 1,280 bytes that each link carries: options come in
 * the order of their use, so names are left out first.
 */
#pragma once

#include "mt_gateway6.h"

enum mt_dhcp6_verdict {
	MT_DHCP6_REPLY,
	MT_DHCP6_OTHER, /* not a message for the gateway's DHCP server: the caller goes on */
	/* No reply, because ... */
	MT_DHCP6_CHECKSUM,     /* the checksum of UDP is wrong, or there is none */
	MT_DHCP6_SOURCE,       /* the source cannot get a reply */
	MT_DHCP6_TRUNCATED,    /* the message or an option of it is not complete */
	MT_DHCP6_MALFORMED,    /* an option has an impossible length */
	MT_DHCP6_DUPLICATED,   /* an option, or an IA of the same identifier, is there twice */
	MT_DHCP6_NESTED,       /* an option is in one that cannot contain it */
	MT_DHCP6_TOO_MANY,     /* it has more IAs than the code reads */
	MT_DHCP6_UNKNOWN,      /* its type is not known */
	MT_DHCP6_FROM_SERVER,  /* only servers send it */
	MT_DHCP6_FROM_RELAY,   /* it is of a relay, or has an option of relays */
	MT_DHCP6_UNICAST,      /* clients send its type to the group only */
	MT_DHCP6_CLIENT_ID,    /* it lacks the identifier of the client */
	MT_DHCP6_SERVER_ID,    /* it lacks the identifier of the server, or must not have one */
	MT_DHCP6_OTHER_SERVER, /* it is for another server */
	MT_DHCP6_IA,	       /* Information-request with an IA */
	MT_DHCP6_NO_ADDRESS,   /* Confirm without an address */
	MT_DHCP6_VERDICTS,
};

struct mt_dhcp6_reply {
	uint32_t len;	/* of the frame */
	bool refused;	/* it has a status code other than success */
	bool cut;	/* addresses or names did not fit */
	bool committed; /* the guest may use its addresses from now on */
	bool declined;	/* the guest reports that another station has one of its addresses */
	bool released;	/* the guest does not use one of its addresses any more */
};

/*
 * Answers a frame that has passed mt_guest_check(). Writes out and reply only if it returns
 * MT_DHCP6_REPLY. The frame and out must not overlap.
 */
enum mt_dhcp6_verdict mt_dhcp6_answer(const struct mt_gateway6 *gw, const struct mt_guest *g,
	const uint8_t *frame, uint32_t len, uint8_t out[MT_GATEWAY6_FRAME_MAX],
	struct mt_dhcp6_reply *reply);

/* Returns the name of a verdict: "reply", "other", "checksum", ... */
const char *mt_dhcp6_verdict_str(enum mt_dhcp6_verdict v);
