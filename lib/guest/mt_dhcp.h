/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers the DHCP requests of a virtual machine (RFC 2131, 2132, 3046, 3396, 3397, 6842): bytes
 * in, bytes out, without a clock, a socket or state.
 *
 * A guest's port has one guest, and the documents give that guest its address. The same request
 * therefore always gets the same answer, from every node and after every restart: there are no
 * leases to keep. DISCOVER is answered with OFFER, and REQUEST with ACK, or with NAK if the client
 * wants another address than its own. INFORM gets parameters without an address. DECLINE and
 * RELEASE are only reported.
 *
 * Messages are refused that a guest must not send: of servers, of relays, and those for another
 * hardware address. A reply contains the client's identifier and, of the parameters that the
 * documents have, those that the client requests; all, if it sends no list. It never exceeds the
 * size that the client accepts: the search list is cut to the domains that fit, and names that do
 * not fit are left out.
 *
 * The caller finds messages to UDP port 67 on a guest's port, and sends the reply from port 67 of
 * the gateway to port 68.
 */
#pragma once

#include "mt_base.h"

/* Most bytes of a reply, and the least, which BOOTP specifies (RFC 1542 §2.1). */
#define MT_DHCP_REPLY_MAX 1472
#define MT_DHCP_REPLY_MIN 300

#define MT_DHCP_EVERYONE 0xffffffffu

/*
 * The configuration of one guest. Addresses are in host byte order. Texts may be NULL; those that
 * are not valid domain names are left out.
 */
struct mt_dhcp_guest {
	uint8_t mac[6];
	uint8_t prefix;	  /* length, of its network: 0 to 32 */
	uint32_t address; /* of the guest */
	uint32_t gateway; /* also its name server, and the identifier of the DHCP server */
	uint16_t mtu;	  /* 0: not sent */
	uint32_t lease;	  /* seconds until the guest has to request its configuration again */
	const char *host; /* its name, without a domain */
	const char *domain;
	const char *const *search;
	uint32_t n_search;
};

enum mt_dhcp_verdict {
	MT_DHCP_REPLY,
	/* No reply, because the message is ... */
	MT_DHCP_MALFORMED,
	MT_DHCP_UNKNOWN,      /* of BOOTP, or of a type without an answer */
	MT_DHCP_FROM_SERVER,  /* one that only servers send */
	MT_DHCP_FROM_RELAY,   /* one that passed a relay, or claims to by option 82 */
	MT_DHCP_OTHER_MAC,    /* for another hardware address than the guest's */
	MT_DHCP_OTHER_SERVER, /* for the server that the client has chosen */
	MT_DHCP_OTHER_SOURCE, /* INFORM of an address that is not the guest's */
	MT_DHCP_DECLINED,     /* DECLINE: another station has the guest's address */
	MT_DHCP_RELEASED,     /* RELEASE: the guest does not use its address any more */
};

struct mt_dhcp_reply {
	uint32_t len;
	/*
	 * The destination: MT_DHCP_EVERYONE goes to the Ethernet broadcast address. Any other is
	 * the guest's, and goes to its hardware address without ARP, because the guest may not yet
	 * answer for it.
	 */
	uint32_t to;
	bool refused; /* it is a NAK */
	bool cut;     /* names, or the text of a NAK, did not fit */
};

/*
 * Answers the payload of a UDP datagram. Writes out and reply only if it returns MT_DHCP_REPLY.
 * The message and out must not overlap.
 */
enum mt_dhcp_verdict mt_dhcp_answer(const struct mt_dhcp_guest *g, const uint8_t *msg, uint32_t len,
	uint8_t out[MT_DHCP_REPLY_MAX], struct mt_dhcp_reply *reply);
