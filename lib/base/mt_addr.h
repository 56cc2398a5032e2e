/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and tuples. One 16-byte form for both families: IPv4 is held as v4-mapped IPv6
 * (RFC 4291 §2.5.5.2), in network byte order. Ports are in host byte order.
 */
#pragma once

#include "mt_base.h"

#include <string.h>

struct mt_addr {
	union {
		uint8_t b[16];
		uint32_t w[4];
		uint64_t q[2];
	};
};

struct mt_tuple {
	struct mt_addr local, remote;
	uint16_t lport, rport;
	/*
	 * Of an accepted stream: the node's port on which it came in, plus 1; 0: not known. Not a
	 * part of the flow's identity.
	 */
	uint16_t entry;
};

/* Bytes 8 to 15 of a v4-mapped address, and 8 to 11 of any of them. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define MT_ADDR4_MARK	 0xffff0000u
#define MT_ADDR4_HALF(v) ((uint64_t)(v) << 32 | MT_ADDR4_MARK)
#else
#define MT_ADDR4_MARK	 0x0000ffffu
#define MT_ADDR4_HALF(v) ((uint64_t)MT_ADDR4_MARK << 32 | (v))
#endif

/*
 * Writes the halves by which addresses are compared and hashed; otherwise those loads wait for the
 * stores.
 */
static inline struct mt_addr mt_addr4(uint32_t be_addr)
{
	return (struct mt_addr){.q = {0, MT_ADDR4_HALF(be_addr)}};
}

static inline bool mt_addr_is4(const struct mt_addr *a)
{
	return a->q[0] == 0 && a->w[2] == MT_ADDR4_MARK;
}

/* The IPv4 address in network byte order; only if mt_addr_is4(). */
static inline uint32_t mt_addr_v4(const struct mt_addr *a)
{
	return a->w[3];
}

static inline bool mt_addr_eq(const struct mt_addr *a, const struct mt_addr *b)
{
	return a->q[0] == b->q[0] && a->q[1] == b->q[1];
}

/*
 * The address to which a client is counted in limits by client. A client with IPv6 may use all of
 * its /64.
 */
static inline struct mt_addr mt_addr_client(const struct mt_addr *a)
{
	return mt_addr_is4(a) ? *a : (struct mt_addr){.q = {a->q[0], 0}};
}

static inline bool mt_tuple_eq(const struct mt_tuple *a, const struct mt_tuple *b)
{
	return mt_addr_eq(&a->local, &b->local) && mt_addr_eq(&a->remote, &b->remote) &&
	       a->lport == b->lport && a->rport == b->rport;
}

/* All bits 0: no address (also the IPv6 wildcard; the IPv4 wildcard is ::ffff:0.0.0.0). */
static inline bool mt_addr_is_zero(const struct mt_addr *a)
{
	return (a->q[0] | a->q[1]) == 0;
}

/* fe80::/10 (RFC 4291) */
static inline bool mt_addr_is_link_local(const struct mt_addr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}

#define MT_ADDR_STRLEN 64

/* "192.0.2.1" or "2001:db8::1". 0 or -EINVAL. */
int mt_addr_parse(const char *text, struct mt_addr *a);

/* True if it is an address (IPv6 without brackets) or may be a DNS name. */
bool mt_host_is_sound(const char *text);

/*
 * Host and port of "host:port" or "[2001:db8::1]:port". 0, or -EINVAL, also when mt_host_is_sound()
 * is false.
 */
int mt_host_port(const char *text, char *host, size_t size, uint16_t *port);

/*
 * "192.0.2.1/24"; without a slash the prefix is the whole address. *prefix counts the bits of the
 * address's family (0-32, also of "::ffff:a.b.c.d/120"; 0-128). Host bits may be set. 0 or -EINVAL.
 */
int mt_prefix_parse(const char *text, struct mt_addr *a, uint8_t *prefix);

/* True if `a` lies in net/prefix; families must agree. */
bool mt_prefix_contains(const struct mt_addr *net, uint8_t prefix, const struct mt_addr *a);

/* Text of an address, or with port ("[2001:db8::1]:80"); returns buf. */
char *mt_addr_str(const struct mt_addr *a, char buf[MT_ADDR_STRLEN]);
char *mt_addr_port_str(const struct mt_addr *a, uint16_t port, char buf[MT_ADDR_STRLEN]);
