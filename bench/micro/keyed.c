/* SPDX-License-Identifier: Apache-2.0 */
/* A token of the bucket of a client address, alone and by the filter. */
#include "ops.h"

#include "mt_filter_keyed.h"

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

static OPS_MEASURED void op_keyed_limit(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	for (uint32_t i = 0; i < OPS_BURST; i++) {
		v->peer = mt_addr4(i);
		admitted += f->type->on_request(f, v, ctx) == MT_FILTER_NEXT;
	}
}

/* Requests that a rule for each IPv4 address admits. */
uint32_t ops_keyed_limit(struct mt_pools *p)
{
	static struct mt_filter_worker fw;
	static struct mt_view view;
	struct mt_keyed_select_def each = {.has_net = true, .by = MT_KEYED_BY_ADDRESS};
	const struct mt_keyed_rule_def r = {.name = "bench",
		.numbers = {OPS_ROUNDS, OPS_ROUNDS, MT_SEC},
		.selects = &each,
		.n_selects = 1};
	const struct mt_keyed_limit_def def = {.rules = &r, .n_rules = 1};
	struct mt_limit_registry *reg = mt_limit_registry_new(1);
	struct mt_filter_inst f = {.type = &mt_filter_keyed_ratelimit};
	struct mt_filter_ctx ctx = {.fw = &fw};
	char err[128];

	MT_ASSERT(reg && mt_limit_keyed(reg, MT_KEYED_DEFAULT));
	MT_ASSERT(mt_prefix_parse("0.0.0.0/0", &each.net, &each.prefix) == 0);
	f.conf = mt_keyed_limit_compile(reg, mt_codec_bytes(), &def, 0, err, sizeof(err));
	MT_ASSERT(f.conf);
	mt_filter_worker_init(&fw, 0);
	admitted = 0;
	for (uint32_t i = 0; i < OPS_ROUNDS; i++) {
		ctx.now = i * MT_USEC;
		op_keyed_limit(&f, &view, &ctx);
	}
	MT_ASSERT(admitted == OPS_BURST * OPS_ROUNDS);
	f.type->free_conf(f.conf);
	mt_limit_registry_free(reg);
	return OPS_ROUNDS * OPS_BURST;
}
