/* SPDX-License-Identifier: Apache-2.0 */
#include "judged.h"

struct judged judged;
static struct mt_extauthz asker;
static struct mt_authz_rule rule;
static struct mt_authz_policy custom, deny;
static const struct mt_authz_policy *list[] = {&custom}, *denies[] = {&deny};

void judged_guard_all(struct mt_snapshot *s, const struct mt_authz *a, const struct mt_authz **v)
{
	struct mt_cluster *c = &s->clusters[0];

	c->guards = v;
	for (uint32_t i = 0; i < c->n_eps; i++) {
		c->eps[i].guarded = true;
		v[i] = a;
	}
}

void judged_start_with(bool fail_open, uint32_t max_exchanges)
{
	const struct mt_proxy_conf proxy = {
		.max_down = 64, .max_up = 64, .max_exchanges = max_exchanges};
	const char *const servers[] = {"127.0.0.1:1"};
	const struct mt_callout_conf conf = {.name = "judge",
		.servers = servers,
		.n_servers = 1,
		.timeout = MT_SEC,
		.fail_open = fail_open};

	scene_start_with(1, &proxy);
	memset(&asker, 0, sizeof(asker));
	judged.lane = aligned_alloc(MT_CACHE_LINE, sizeof(*judged.lane));
	CU_ASSERT_FATAL(judged.lane && mt_extauthz_lane_init(&asker, judged.lane));
	judged.provider = mt_extauthz_provider_new(&conf);
	CU_ASSERT_PTR_NOT_NULL_FATAL(judged.provider);
	mt_proxy_attach_asks(lab.p, judged.lane);
	custom = (struct mt_authz_policy){.action = MT_AUTHZ_CLOSE,
		.by = "AuthorizationPolicy a/custom",
		.rules = &rule,
		.n_rules = 1,
		.asks = judged.provider,
		.asks_id = mt_extauthz_id(judged.provider)};
	deny = (struct mt_authz_policy){
		.action = MT_AUTHZ_DENY, .by = "d", .rules = &rule, .n_rules = 1};
	judged.guard =
		(struct mt_authz){.deny = list, .n_deny = 1, .reads = true, .searches = true};
	judged.other_guard = (struct mt_authz){.deny = denies, .n_deny = 1, .reads = true};
	judged_guard_all(lab.snap, &judged.guard, judged.guards);
}

void judged_start(bool fail_open)
{
	judged_start_with(fail_open, 4096);
}

void judged_stop(void)
{
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 0);
	CU_ASSERT_EQUAL(mt_extauthz_room(judged.lane), MT_EXTAUTHZ_SLOTS);
	scene_stop();
	CU_ASSERT_EQUAL(judged.provider->callout.refs, 1);
	mt_extauthz_drop(judged.provider);
	mt_extauthz_lane_fini(judged.lane);
	free(judged.lane);
}

/* The next question that was put. */
struct mt_extauthz_slot *judged_question(void)
{
	struct mt_extauthz_slot *c = mt_extauthz_lane_asked(judged.lane);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	return c;
}

void judged_say(
	struct mt_extauthz_slot *c, enum mt_extauthz_verdict v, enum mt_extauthz_outcome why)
{
	c->verdict = v;
	c->why = why;
	mt_extauthz_lane_answered(c);
	lab_advance(MT_USEC);
}

void judged_answered(struct fake_conn *c, uint64_t id)
{
	struct fake_conn *s = scene_connected_server(0);

	scene_answer(s, scene_next_sent(s).id, 1, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, id);
}

void judged_is_told(struct fake_conn *c, uint64_t id, enum mt_local_reply what)
{
	struct toy t = scene_next_sent(c);

	CU_ASSERT_EQUAL(t.id, id);
	CU_ASSERT_EQUAL(t.status, 1);
	CU_ASSERT_EQUAL(t.first, what);
}

void judged_filter_all(struct mt_snapshot *s, struct mt_filter_inst *chain, uint32_t n)
{
	static max_align_t memories[2][64];
	max_align_t *memory = memories[s == lab.snap];
	char err[64];

	CU_ASSERT_FATAL(mt_filters_size(n) <= sizeof(memories[0]));
	for (uint32_t i = 0; i < s->n_services; i++) {
		s->services[i]->filter_insts = chain;
		s->services[i]->n_filter_insts = (uint16_t)n;
		s->services[i]->filters = mt_filters_compile(memory, chain, n, err, sizeof(err));
		CU_ASSERT_PTR_NOT_NULL_FATAL(s->services[i]->filters);
	}
}
