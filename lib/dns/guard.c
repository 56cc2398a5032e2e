/* SPDX-License-Identifier: Apache-2.0 */
/* Allowed networks, and the rate limit by token buckets of bytes per network. */
#include "mt_dns_guard.h"

#include "mt_dns_priv.h"
#include "mt_strmap.h"

#include <stdlib.h>
#include <string.h>

/* ---- allowed networks ------------------------------------------------------------------------ */

static struct mt_addr network(const struct mt_addr *a, uint8_t bits)
{
	uint32_t keep = bits + (mt_addr_is4(a) ? 96u : 0u);
	struct mt_addr net = *a;

	for (uint32_t i = keep; i < 128; i++)
		net.b[i / 8] &= (uint8_t) ~(0x80u >> (i % 8));
	return net;
}

bool mt_dns_allow_add(struct mt_dns_allow *a, const struct mt_addr *addr, uint8_t bits)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (a->nets[i].bits <= bits &&
			mt_prefix_contains(&a->nets[i].addr, a->nets[i].bits, addr))
			return true;
	if (a->n == MT_DNS_ALLOW_MAX)
		return false;
	a->nets[a->n++] = (struct mt_dns_net){network(addr, bits), bits};
	return true;
}

bool mt_dns_allows(const struct mt_dns_allow *a, const struct mt_addr *client)
{
	for (uint32_t i = 0; a && i < a->n; i++)
		if (mt_prefix_contains(&a->nets[i].addr, a->nets[i].bits, client))
			return true;
	return !a || a->n == 0;
}

struct mt_addr mt_dns_client_of(const struct mt_addr *a)
{
	return mt_addr_client(a);
}

/* ---- rate limit ------------------------------------------------------------------------------ */

struct mt_dns_rate {
	uint64_t seed;
	struct rate_bucket {
		uint64_t last;
		uint32_t left; /* bytes */
		uint32_t over; /* answers over the limit */
	} nets[MT_DNS_RATE_NETS];
};

struct mt_dns_rate *mt_dns_rate_new(uint64_t seed, uint64_t now)
{
	struct mt_dns_rate *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->seed = seed;
	for (size_t i = 0; i < MT_DNS_RATE_NETS; i++)
		r->nets[i] = (struct rate_bucket){.last = now, .left = MT_DNS_RATE_BURST};
	return r;
}

void mt_dns_rate_free(struct mt_dns_rate *r)
{
	free(r);
}

static struct rate_bucket *bucket_of(struct mt_dns_rate *r, const struct mt_addr *client)
{
	struct mt_addr net = mt_dns_client_of(client);

	if (mt_addr_is4(&net))
		net.b[15] = 0;
	return &r->nets[mt_hash_bytes(&net, sizeof(net), r->seed) % MT_DNS_RATE_NETS];
}

/* Adds the bytes since `last`; a fraction of a byte counts in the next call. */
static void refill(struct rate_bucket *b, uint64_t now)
{
	uint64_t gone = now - b->last, most = MT_DNS_RATE_BURST * MT_SEC / MT_DNS_RATE_BYTES;
	uint64_t fresh = MT_MIN(gone, most) * MT_DNS_RATE_BYTES / MT_SEC;

	if (fresh == 0)
		return;
	b->left = (uint32_t)MT_MIN(b->left + fresh, (uint64_t)MT_DNS_RATE_BURST);
	b->last = gone > most ? now : b->last + fresh * MT_SEC / MT_DNS_RATE_BYTES;
}

/* Writes the header with TC set, and the question if there is one; returns the length. */
static uint32_t cut_answer(const uint8_t *msg, uint32_t len, uint8_t *cut)
{
	uint32_t end = DNS_HEADER;

	if (len < DNS_HEADER)
		return 0;
	if (dns_be16(msg + 4) != 1 || !dns_name_skip(msg, len, &end) || end + 4 > len ||
		end + 4 > MT_DNS_CUT_MAX)
		end = 0;
	memmove(cut, msg, end ? end + 4 : DNS_HEADER);
	cut[2] |= FLAG_TC >> 8;
	memset(cut + 4, 0, DNS_HEADER - 4);
	cut[5] = end > 0;
	return end ? end + 4 : DNS_HEADER;
}

uint32_t mt_dns_rate_tell(struct mt_dns_rate *r, const struct mt_addr *client, uint64_t now,
	const uint8_t *msg, uint32_t len, uint8_t cut[MT_DNS_CUT_MAX], uint64_t *counters)
{
	struct rate_bucket *b = bucket_of(r, client);

	refill(b, now);
	if (b->left >= len) {
		b->left -= len;
		return len;
	}
	/*
	 * Drop every other answer and cut the rest. A real client asks again over TCP; a spoofed
	 * address gets half as many bytes as the attacker sent.
	 */
	if (b->over++ & 1) {
		mt_count(counters, MT_DNS_rate_dropped);
		return 0;
	}
	mt_count(counters, MT_DNS_rate_cut);
	return cut_answer(msg, len, cut);
}
