/* SPDX-License-Identifier: Apache-2.0 */
/* DHCPv6 messages of guests as dhcp6_read.c reads and checks them, for the replies of dhcp6.c. */
#pragma once

#include "mt_dhcp6.h"
#include "mt_guest_priv.h"

#define UDP_LEN	   8
#define UDP_CKSUM  6
#define HEAD_LEN   4 /* of messages: type and transaction */
#define OPTION_LEN 4 /* of options: code and length */
#define IAS_MAX	   8
#define ID_LEN	   10 /* of the server's identifier */

enum type {
	SOLICIT = 1,
	ADVERTISE = 2,
	REQUEST = 3,
	CONFIRM = 4,
	RENEW = 5,
	REBIND = 6,
	REPLY = 7,
	RELEASE = 8,
	DECLINE = 9,
	RECONFIGURE = 10,
	INFORMATION = 11,
	RELAY_FORWARD = 12,
	RELAY_REPLY = 13,
};

enum code {
	CLIENT_ID = 1,
	SERVER_ID = 2,
	IA_NA = 3,
	IA_TA = 4,
	ADDRESS = 5,
	REQUESTED = 6,
	PREFERENCE = 7,
	ELAPSED = 8,
	RELAYED = 9,
	STATUS = 13,
	RAPID_COMMIT = 14,
	INTERFACE_ID = 18,
	NAME_SERVERS = 23,
	SEARCH = 24,
	IA_PD = 25,
	PREFIX = 26,
	REFRESH_TIME = 32,
};

enum status {
	SUCCESS = 0,
	NO_ADDRESSES = 2,
	NO_BINDING = 3,
	NOT_ON_LINK = 4,
	USE_MULTICAST = 5,
	NO_PREFIXES = 6,
};

/* Bytes of data before the options that an option contains. */
enum {
	IA_HEAD = 12,
	IA_TA_HEAD = 4,
	ADDRESS_HEAD = 24,
	PREFIX_HEAD = 25,
};

struct option {
	uint16_t code;
	struct mt_slice data;
};

struct request {
	struct mt_addr source;
	bool unicast;
	const uint8_t *transaction; /* 3 bytes */
	uint8_t type;
	struct mt_slice client, server; /* without a pointer: the message does not have it */
	bool rapid, has_list;
	bool wants_servers, wants_search, wants_refresh; /* by the list */
	struct option ias[IAS_MAX];
	uint32_t n_ias;
};

/*
 * Finds the message in a frame, reads and checks it. Returns the reason to drop it, or
 * MT_DHCP6_REPLY if the reply depends only on its content.
 */
enum mt_dhcp6_verdict dhcp6_read(const struct mt_gateway6 *gw, const struct mt_guest *g,
	const uint8_t *frame, uint32_t len, struct request *r);

/* Writes the identifier of the server: DUID-LL of Ethernet (RFC 8415 §11.4). */
void dhcp6_server_id(const struct mt_gateway6 *gw, uint8_t id[ID_LEN]);

/* Takes the next address of an IA, which has been checked. Returns false after the last one. */
bool dhcp6_take_address(struct mt_slice *at, struct mt_addr *a);

/* Returns how many addresses of all IAs are the guest's, or are not. */
uint32_t dhcp6_count_all(const struct mt_guest *g, const struct request *r, bool own);

/* Returns how many addresses of an IA are the guest's, or are not. */
uint32_t dhcp6_count(const struct mt_guest *g, const struct option *ia, bool own);

static inline struct mt_slice slice_after(struct mt_slice of, uint32_t len)
{
	return (struct mt_slice){of.p + len, of.len - len};
}

static inline uint32_t head_of(const struct option *ia)
{
	return ia->code == IA_TA ? IA_TA_HEAD : IA_HEAD;
}

static inline bool is_address6(const struct mt_addr *a)
{
	return !mt_addr_is4(a);
}

static inline bool has_address6(const struct mt_guest *g, const struct mt_addr *a)
{
	return is_address6(a) && guest_has_address(g, a);
}
