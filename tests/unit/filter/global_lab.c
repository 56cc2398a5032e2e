/* SPDX-License-Identifier: Apache-2.0 */
#include "global_lab.h"

#include "mt_callout_priv.h"

#include <string.h>

struct global_lab lab;

/* ---- a worker -------------------------------------------------------------------------------- */

static const struct mt_matcher_def hello = {.key = "method", .op = MT_MATCH_PREFIX, .value = "say"};
const struct mt_global_property properties[] = {{"method", "m"}, {"user", "u"}};

void set_up(bool fail_open)
{
	static const char *const servers[] = {"127.0.0.1:1"};
	const struct mt_callout_conf conf = {.name = "limits",
		.servers = servers,
		.n_servers = 1,
		.timeout = MT_SEC,
		.fail_open = fail_open};
	struct mt_global_def def = {.domain = "shop",
		.match = &hello,
		.n_match = 1,
		.properties = properties,
		.n_properties = 2};
	char err[128];

	mt_filter_worker_init(&lab.fw, 0);
	lab.fw.inbox = mt_filter_inbox_new();
	def.tallies = lab.tallies = mt_tally_registry_new(1);
	def.limited = "a:1";
	memset(&lab.x, 0, sizeof(lab.x));
	lab.x.kind = &mt_rls_kind;
	lab.lane = aligned_alloc(MT_CACHE_LINE, sizeof(*lab.lane));
	CU_ASSERT_FATAL(lab.fw.inbox && lab.lane && mt_callout_lane_init(&lab.x, lab.lane));
	lab.grants = mt_rls_grants_new(lab.lease);
	CU_ASSERT_FATAL(lab.grants && mt_global_attach(&lab.fw, lab.lane, lab.grants));
	def.provider = lab.provider = mt_callout_provider_new(&conf);
	def.fail_open = fail_open;
	CU_ASSERT_PTR_NOT_NULL_FATAL(lab.provider);
	lab.inst = (struct mt_filter_inst){.type = &mt_filter_global_ratelimit,
		.conf = mt_global_compile(&kv_codec, &def, err, sizeof(err))};
	CU_ASSERT_PTR_NOT_NULL_FATAL(lab.inst.conf);
}

void tear_down(void)
{
	CU_ASSERT_EQUAL(mt_callout_room(lab.lane), MT_CALLOUT_SLOTS);
	lab.inst.type->free_conf(lab.inst.conf);
	CU_ASSERT_PTR_NULL(mt_tally_next(lab.tallies, NULL));
	mt_tally_registry_free(lab.tallies);
	CU_ASSERT_EQUAL(lab.provider->refs, 1);
	mt_callout_drop(lab.provider);
	mt_global_detach(&lab.fw);
	mt_rls_grants_free(lab.grants);
	mt_callout_lane_fini(lab.lane);
	free(lab.lane);
	mt_filter_inbox_free(lab.fw.inbox);
}

static uint64_t left(struct mt_filter_ctx *ctx)
{
	return 3 * MT_SEC;
}

struct mt_addr peer_of(uint32_t client)
{
	return mt_addr4(0x010000c0 + (client << 24));
}

enum mt_filter_verdict call_of(
	const struct mt_addr *peer, const char *text, uint32_t exchange, uint64_t now)
{
	struct mt_filter_ctx ctx = {.now = now,
		.fw = &lab.fw,
		.at = 1,
		.exchange = exchange,
		.generation = 1,
		.left = left};
	enum mt_filter_verdict verdict;

	kv_view(&lab.view, text);
	lab.view.peer = *peer;
	verdict = lab.inst.type->on_request(&lab.inst, &lab.view, &ctx);
	lab.refused_as = ctx.ending;
	lab.reply = ctx.reply;
	return verdict;
}

enum mt_filter_verdict call(const char *text, uint32_t exchange, uint64_t now)
{
	const struct mt_addr peer = peer_of(1);
	enum mt_filter_verdict verdict = call_of(&peer, text, exchange, now);

	CU_ASSERT(verdict != MT_FILTER_REPLY || lab.reply == MT_REPLY_OVER_LIMIT);
	return verdict;
}

/* ---- the service ----------------------------------------------------------------------------- */

struct mt_rls_slot *asked(void)
{
	struct mt_callout_slot *s = mt_callout_lane_asked(lab.lane);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return mt_container_of(s, struct mt_rls_slot, callout);
}

void answers(struct mt_rls_slot *s, const char *bytes, size_t len)
{
	mt_rls_kind.read(&s->callout, (const uint8_t *)bytes, len);
	mt_callout_lane_answered(&s->callout);
}

void fails(struct mt_rls_slot *s, enum mt_callout_failure why)
{
	mt_rls_kind.fail(&s->callout, why);
	mt_callout_lane_answered(&s->callout);
}

bool see(void *arg, const struct mt_filter_resume *r)
{
	struct seen *s = arg;

	s->n++;
	s->exchange = r->ticket.exchange;
	s->verdict = r->verdict;
	s->reply = r->reply;
	s->ending = r->ending;
	if (r->verdict == MT_FILTER_REPLY)
		lab.inst.type->on_refused(&lab.inst, r, &lab.fw);
	mt_mutations_str(r->changes, r->n_changes, s->changes, sizeof(s->changes));
	mt_mutations_str(
		r->reply_changes, r->n_reply_changes, s->reply_changes, sizeof(s->reply_changes));
	return s->n != s->stop_at;
}

struct seen resumed(uint64_t now)
{
	struct seen s = {0};

	CU_ASSERT_EQUAL(mt_global_take(&lab.fw, now, see, &s), s.n);
	return s;
}

uint64_t counted(const char *rule)
{
	for (const struct mt_tally *t = NULL; (t = mt_tally_next(lab.tallies, t)) != NULL;)
		if (strcmp(t->service, "a:1") == 0 && strcmp(t->rule, rule) == 0)
			return mt_tally_sum(t);
	CU_FAIL_FATAL("no such rule");
	return 0;
}
