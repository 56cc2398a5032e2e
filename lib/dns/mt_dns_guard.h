/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protection against amplification: which clients are answered, and a rate limit on answers.
 * Without both, an attacker could spoof a victim's address and make Meltemi send it answers many
 * times as long as the queries. No clock and no sockets; allocates only the buckets, at the start.
 */
#pragma once

#include "mt_dns.h"

#define MT_DNS_ALLOW_MAX 64

/* Networks whose clients are answered; none: all clients. Immutable while workers read it. */
struct mt_dns_allow {
	uint32_t n;
	struct mt_dns_net {
		struct mt_addr addr;
		uint8_t bits; /* prefix length in the address's family */
	} nets[MT_DNS_ALLOW_MAX];
};

/* Adds a network, unless the list contains it already. False: the list is full. */
bool mt_dns_allow_add(struct mt_dns_allow *a, const struct mt_addr *addr, uint8_t bits);
/* True if the client is answered; `a` NULL: all clients are. */
bool mt_dns_allows(const struct mt_dns_allow *a, const struct mt_addr *client);

/*
 * Network that counts as one client in limits of forwarded queries: an IPv4 address, an IPv6 /64.
 */
struct mt_addr mt_dns_client_of(const struct mt_addr *a);

/*
 * Limit of bytes in datagrams to one network (IPv4 /24, IPv6 /64): per second, and in a burst. It
 * permits 300 answers of maximum size a second on each worker, more than any client that uses the
 * answers needs. Streams have no limit, because a client cannot open one from a spoofed address.
 */
#define MT_DNS_RATE_BYTES (384u << 10)
#define MT_DNS_RATE_BURST (1u << 20)
#define MT_DNS_RATE_NETS  1024 /* buckets; networks with the same hash share one */

struct mt_dns_rate;

struct mt_dns_rate *mt_dns_rate_new(uint64_t seed, uint64_t now);
void mt_dns_rate_free(struct mt_dns_rate *r);

/* Most bytes of header and question. */
#define MT_DNS_CUT_MAX (12 + 255 + 4)

/*
 * Applies the rate limit to the answer `msg` in a datagram to this client. Returns `len` to send
 * all of it, 0 to send nothing, or the length of a short answer in `cut`. That is no longer than
 * the query and makes the client ask again over TCP. `cut` may be `msg`. Counts answers that are
 * cut or dropped.
 */
uint32_t mt_dns_rate_tell(struct mt_dns_rate *r, const struct mt_addr *client, uint64_t now,
	const uint8_t *msg, uint32_t len, uint8_t cut[MT_DNS_CUT_MAX], uint64_t *counters);
