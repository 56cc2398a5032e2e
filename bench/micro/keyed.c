/* SPDX-License-Identifier: Apache-2.0 */
/* A token of the bucket of a client address. */
#include "ops.h"

#include "mt_keyed.h"

#define KEYS 4096

static struct mt_keyed_rule *rule;
static uint32_t admitted;

static OPS_MEASURED void op_keyed(const struct mt_addr *addrs, uint64_t now)
{
	for (uint32_t i = 0; i < OPS_BURST; i++)
		admitted += mt_keyed_take(rule, 0, mt_keyed_hash_addr(rule, &addrs[i]), 1, now);
}

/* Half of the requests are admitted, and half of them refused. */
uint32_t ops_keyed(struct mt_pools *p)
{
	const struct mt_keyed_def def = {
		.name = "bench", .numbers = {OPS_ROUNDS / 2, OPS_ROUNDS / 2, MT_SEC}};
	struct mt_keyed *t = mt_keyed_new(MT_KEYED_DEFAULT, 1);
	struct mt_addr addrs[KEYS];

	MT_ASSERT(t && mt_keyed_rule_get(t, &def, 0, &rule) == 0);
	for (uint32_t i = 0; i < KEYS; i++) {
		addrs[i] = mt_addr4(i);
		admitted += mt_keyed_take(rule, 0, mt_keyed_hash_addr(rule, &addrs[i]), 1, 0);
	}
	for (uint32_t i = 0; i < OPS_ROUNDS; i++)
		op_keyed(&addrs[KEYS - OPS_BURST], i * MT_USEC);
	MT_ASSERT(admitted == KEYS + OPS_BURST * (OPS_ROUNDS / 2 - 1));
	mt_keyed_free(t);
	return OPS_ROUNDS * OPS_BURST;
}
