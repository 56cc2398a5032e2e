/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whom names are answered, and how much of it: without both, whoever puts another's address into a question has Meltemi send
 * him answers that are many times as long. Bytes and a clock's reading in, nothing allocated but the buckets at the start.
 */
#pragma once

#include "mt_dns.h"

#define MT_DNS_ALLOW_MAX 64

/* Networks whose clients are answered; none: everybody. Does not change while workers read it. */
struct mt_dns_allow {
	uint32_t n;
	struct mt_dns_net {
		struct mt_addr addr;
		uint8_t bits; /* of the address's family */
	} nets[MT_DNS_ALLOW_MAX];
};

/* One that is in already costs no place. False: there is no room. */
bool mt_dns_allow_add(struct mt_dns_allow *a, const struct mt_addr *addr, uint8_t bits);
/* NULL: everybody. */
bool mt_dns_allows(const struct mt_dns_allow *a, const struct mt_addr *client);

/* Whose questions to other servers are counted as one client's: an address of IPv4, a /64 of IPv6. */
struct mt_addr mt_dns_client_of(const struct mt_addr *a);

/*
 * Bytes in datagrams to one network, a /24 of IPv4 or a /64 of IPv6: in a second, and at once. Nobody who reads the answers meets
 * this: 300 of the longest ones a second, by each worker. Streams have no bound: nobody opens one in another's name.
 */
#define MT_DNS_RATE_BYTES (384u << 10)
#define MT_DNS_RATE_BURST (1u << 20)
#define MT_DNS_RATE_NETS  1024 /* buckets, by hash: who shares one shares its bytes */

struct mt_dns_rate;

struct mt_dns_rate *mt_dns_rate_new(uint64_t seed, uint64_t now);
void mt_dns_rate_free(struct mt_dns_rate *r);

/* Header and question, at most. */
#define MT_DNS_CUT_MAX (12 + 255 + 4)

/*
 * What a datagram to this client may hold of the answer `msg`: len, all of it; less, what stands in `cut` then, which sends the
 * client to TCP and is no longer than the question; 0: nothing. `cut` may be `msg`. Counts what is not whole.
 */
uint32_t mt_dns_rate_tell(struct mt_dns_rate *r, const struct mt_addr *client, uint64_t now,
	const uint8_t *msg, uint32_t len, uint8_t cut[MT_DNS_CUT_MAX], uint64_t *counters);
