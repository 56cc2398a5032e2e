/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_keyed_priv.h"

#include "mt_mutant.h"

uint64_t mt_keyed_hash(const struct mt_keyed_rule *r, const void *key, size_t len)
{
	return mt_siphash13(&r->sip, key, len);
}

uint64_t mt_keyed_hash_addr(const struct mt_keyed_rule *r, const struct mt_addr *a)
{
	uint64_t whole = 0;

	if (mt_likely(mt_addr_is4(a)))
		return mt_sip13_one(&r->sip4, mt_addr_v4(a) & r->mask4);
	if (mt_mutant(MT_MUTANT_keyed_whole_ipv6))
		whole = a->q[1];
	return mt_sip13_one(&r->sip6, (a->q[0] & r->mask6) ^ whole);
}

uint64_t mt_keyed_hash_both(const struct mt_keyed_rule *r, uint64_t a, uint64_t b)
{
	uint64_t both[2] = {a, b};

	return mt_siphash13(&r->sip, both, sizeof(both));
}
