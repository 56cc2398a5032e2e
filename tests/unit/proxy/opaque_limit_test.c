/* SPDX-License-Identifier: Apache-2.0 */
/* Opaque streams under a global rate limit: the test is the thread that queries the service. */
#include "moved.h"
#include "scene.h"

#include "mt_authz.h"
#include "mt_callout_priv.h"
#include "mt_filter_global.h"
#include "mt_filter_limit.h"
#include "mt_proxy_priv.h"
#include "mt_rls_client.h"

#include <string.h>

#define OPAQUE 1 /* index of a listener */

static struct mt_callout x;
static struct mt_callout_lane *lane;
static struct mt_callout_provider *provider;
static struct mt_filter_inst chain[2];
static struct mt_tally_registry *tallies;
static uint32_t tokens; /* of the second filter */

static enum mt_filter_verdict take_token(const struct mt_filter_inst *f, struct mt_filter_ctx *ctx)
{
	return tokens ? tokens--, MT_FILTER_NEXT : MT_FILTER_REPLY;
}

static const struct mt_filter limit_type = {.name = "limit", .on_stream = take_token};

static void limit(struct mt_snapshot *s)
{
	struct mt_service *svc = s->listeners[OPAQUE].protos->services[0];

	svc->filter_insts = chain;
	svc->n_filter_insts = 2;
}

static void start(bool fail_open)
{
	static const char *const servers[] = {"127.0.0.1:1"};
	static const struct mt_global_entry_def entry = {
		.source = MT_GLOBAL_TEXT, .key = "k", .from = "v"};
	static const struct mt_global_descriptor_def fixed = {&entry, 1};
	const struct mt_callout_conf conf = {.name = "limits",
		.servers = servers,
		.n_servers = 1,
		.timeout = MT_SEC,
		.fail_open = fail_open};
	struct mt_global_def def = {.domain = "shop", .fixed = &fixed, .n_fixed = 1};
	char err[128];

	scene_start(2);
	def.tallies = tallies = mt_tally_registry_new(1);
	def.limited = "a:1";
	memset(&x, 0, sizeof(x));
	x.kind = &mt_rls_kind;
	lane = aligned_alloc(MT_CACHE_LINE, sizeof(*lane));
	CU_ASSERT_FATAL(lane && mt_callout_lane_init(&x, lane));
	CU_ASSERT_EQUAL_FATAL(mt_proxy_attach_limits(lab.p, lane, NULL), 0);
	def.provider = provider = mt_callout_provider_new(&conf);
	def.fail_open = fail_open;
	CU_ASSERT_PTR_NOT_NULL_FATAL(provider);
	chain[0] = (struct mt_filter_inst){.type = &mt_filter_global_ratelimit,
		.conf = mt_global_compile(&toy_opaque_codec, &def, err, sizeof(err))};
	CU_ASSERT_PTR_NOT_NULL_FATAL(chain[0].conf);
	chain[1] = (struct mt_filter_inst){.type = &limit_type};
	limit(lab.snap);
	tokens = 100;
}

static void stop(void)
{
	lab_flush_detached();
	lab_advance(20 * MT_SEC);
	CU_ASSERT_EQUAL(mt_callout_room(lane), MT_CALLOUT_SLOTS);
	scene_stop();
	chain[0].type->free_conf(chain[0].conf);
	mt_tally_registry_free(tallies);
	CU_ASSERT_EQUAL(provider->refs, 1);
	mt_callout_drop(provider);
	mt_callout_lane_fini(lane);
	free(lane);
}

/* ---- the service ----------------------------------------------------------------------------- */

static struct mt_callout_slot *query(void)
{
	struct mt_callout_slot *s = mt_callout_lane_asked(lane);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	return s;
}

static void answer(struct mt_callout_slot *s, const char *bytes, size_t len)
{
	mt_rls_kind.read(s, (const uint8_t *)bytes, len);
	mt_callout_lane_answered(s);
	lab_advance(1);
}

static void fails(struct mt_callout_slot *s, enum mt_callout_failure why)
{
	mt_rls_kind.fail(s, why);
	mt_callout_lane_answered(s);
	lab_advance(1);
}

#define SAYS(bytes) answer(query(), bytes, sizeof(bytes) - 1)
#define WITHIN	    "\x08\x01\x12\x02\x08\x01"
/* For 3 s. */
#define OVER "\x08\x02\x12\x06\x08\x02\x22\x02\x08\x03"

/* ---- streams --------------------------------------------------------------------------------- */

static uint64_t counted(enum mt_filter_outcome o)
{
	return lab.p->filters.counters[o];
}

static const struct mt_service_stats *stats(void)
{
	return mt_proxy_service_stats(lab.p, OPAQUE);
}

/* A client that waits, with bytes. */
static struct fake_conn *waits(void)
{
	struct fake_conn *c = lab_client(CONFIG_OPAQUE);

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	lab_feed(c, "early", 5);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	return c;
}

static void is_connected(struct fake_conn *c)
{
	struct fake_conn *s = scene_connected_server(0);
	char out[16];

	CU_ASSERT_EQUAL(lab_take(s, out, sizeof(out)), 5);
	lab_feed(s, "there", 5);
	CU_ASSERT_EQUAL(lab_take(c, out, sizeof(out)), 5);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	lab_close(c, MT_CLOSE_RESET);
}

static void is_reset(const struct fake_conn *c, const char *line)
{
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	scene_line_is(line);
}

static void within(void)
{
	struct fake_conn *c;

	start(false);
	c = waits();
	CU_ASSERT_EQUAL(stats()->requests, 1);
	SAYS(WITHIN);
	CU_ASSERT_EQUAL(counted(MT_FILTER_global_waited), 1);
	CU_ASSERT_EQUAL(counted(MT_FILTER_completions), 1);
	CU_ASSERT_EQUAL(tokens, 99);
	/* The time that it might have waited passes. */
	scene_connected_server(0);
	lab_advance(MT_OPAQUE_FILTERS_WAIT + MT_SEC);
	CU_ASSERT_TRUE(c->live);
	is_connected(c);
	CU_ASSERT_EQUAL(stats()->ok, 1);
	stop();
}

/* The client has sent its FIN before the answer. */
static void half_closed(void)
{
	struct fake_conn *c, *s;

	start(false);
	c = waits();
	lab_fin(c);
	SAYS(WITHIN);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(s->sent.len, 5);
	CU_ASSERT_TRUE(s->shut);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

/* The second stream is refused without a query. */
static void over(void)
{
	struct fake_conn *c;

	start(true);
	c = waits();
	SAYS(OVER);
	is_reset(c, "0 RL request_rate_limited");
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_OPAQUE));
	scene_line_is("0 RL request_rate_limited");
	CU_ASSERT(stats()->limited == 2 && stats()->ok == 0);
	CU_ASSERT_EQUAL(stats()->local[MT_ENDING_connection_over_global], 2);
	CU_ASSERT_EQUAL(mt_tally_sum(mt_tally_next(tallies, NULL)), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_over_limit), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_no_endpoint), 0);
	CU_ASSERT_EQUAL(counted(MT_FILTER_global_waited), 1);
	CU_ASSERT_EQUAL(tokens, 100);
	stop();
}

static void failed(void)
{
	struct fake_conn *c;

	start(false);
	c = waits();
	fails(query(), MT_CALLOUT_LATE);
	is_reset(c, "0 RLSE rate_limiter_error");
	CU_ASSERT(stats()->limited == 0 && scene_counted(MT_PROXY_opaque_over_limit) == 0);
	stop();
	start(true);
	c = waits();
	fails(query(), MT_CALLOUT_UNREACHABLE);
	is_connected(c);
	stop();
}

/* A client with many waiting streams does not pass, although the limit fails open. */
static void crowded(void)
{
	const uint32_t most = MT_CALLOUT_SLOTS * 3 / 8;
	struct fake_conn *c[MT_CALLOUT_SLOTS];

	start(true);
	for (uint32_t i = 0; i < most; i++)
		c[i] = waits();
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_OPAQUE));
	scene_line_is("0 OM overload");
	CU_ASSERT_EQUAL(counted(MT_FILTER_global_crowded), 1);
	for (uint32_t i = 0; i < most; i++) {
		SAYS(OVER);
		is_reset(c[i], "0 RL request_rate_limited");
	}
	stop();
}

/* The filters after the one that has waited. */
static void next(void)
{
	struct fake_conn *c;

	start(false);
	tokens = 0;
	c = waits();
	SAYS(WITHIN);
	is_reset(c, "0 RL local_rate_limited");
	CU_ASSERT_EQUAL(stats()->local[MT_ENDING_connection_limited], 1);
	stop();
}

/* The answer to a stream that is gone is not that of the next stream in its place. */
static void client_leaves(void)
{
	struct fake_conn *c;

	start(false);
	c = waits();
	lab_close(c, MT_CLOSE_RESET);
	scene_line_is("0 DC downstream_remote_disconnect");
	c = waits();
	SAYS(OVER);
	CU_ASSERT_EQUAL(counted(MT_FILTER_completions_late), 1);
	CU_ASSERT_FALSE(c->aborted);
	SAYS(WITHIN);
	is_connected(c);
	stop();
}

/* Without an answer, by the worker's clock. */
static void timed_out(void)
{
	struct mt_callout_slot *s;
	struct fake_conn *c;

	start(true);
	c = waits();
	s = query();
	CU_ASSERT_EQUAL(s->timeout, MT_OPAQUE_FILTERS_WAIT);
	lab_advance(MT_OPAQUE_FILTERS_WAIT + 2 * MT_MSEC);
	is_reset(c, "0 RLSE rate_limiter_error");
	answer(s, WITHIN, sizeof(WITHIN) - 1);
	CU_ASSERT_EQUAL(counted(MT_FILTER_completions_late), 1);
	stop();
}

/* ---- a local limit --------------------------------------------------------------------------- */

/* Connections over a bucket of the node itself are reset, until it is filled again. */
static void local(void)
{
	const struct mt_limit_def def = {.service = "a:1",
		.has_bucket = true,
		.numbers = {2, 1, MT_SEC},
		.label = "listener a"};
	struct mt_limit_registry *buckets = mt_limit_registry_new(1);
	struct mt_filter_inst f = {.type = mt_filter_find("local_ratelimit")};
	struct mt_limit_info info;
	struct mt_service *svc;
	struct fake_conn *c[2];
	uint32_t idx = 0;
	char err[128];

	scene_start(2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(buckets);
	f.conf = mt_limit_compile(buckets, &toy_opaque_codec, &def, lab.p->now, err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(f.conf);
	mt_limit_commit(buckets, lab.p->now);
	svc = lab.snap->listeners[OPAQUE].protos->services[0];
	svc->filter_insts = &f;
	svc->n_filter_insts = 1;
	for (int i = 0; i < 2; i++) {
		c[i] = lab_client(CONFIG_OPAQUE);
		CU_ASSERT_PTR_NOT_NULL_FATAL(c[i]);
	}
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_OPAQUE));
	scene_line_is("0 RL local_rate_limited");
	CU_ASSERT(stats()->limited == 1 && stats()->local[MT_ENDING_connection_limited] == 1);
	CU_ASSERT_EQUAL(counted(MT_FILTER_rate_limited), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_over_limit), 1);
	CU_ASSERT_TRUE(mt_limit_next(buckets, &idx, lab.p->now, &info));
	CU_ASSERT_STRING_EQUAL(info.match, "listener a");
	CU_ASSERT(info.admitted == 2 && info.refused == 1);
	lab_close(c[0], MT_CLOSE_RESET);
	lab_close(c[1], MT_CLOSE_RESET);
	lab_advance(MT_SEC);
	c[0] = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c[0]);
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_OPAQUE));
	CU_ASSERT_EQUAL(counted(MT_FILTER_rate_limited), 2);
	lab_close(c[0], MT_CLOSE_RESET);
	lab_flush_detached();
	lab_advance(20 * MT_SEC);
	scene_stop();
	f.type->free_conf(f.conf);
	mt_limit_registry_free(buckets);
}

/* ---- snapshots ------------------------------------------------------------------------------- */

/* A stream waits under the snapshot with its filters, and is connected under the current one. */
static void snapshot(void)
{
	struct fake_conn *c;

	start(false);
	c = waits();
	mt_proxy_adopt(lab.p, config_make(1, 2, 2, true));
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(config_holds(0), 1);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	SAYS(WITHIN);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	CU_ASSERT_EQUAL(tokens, 99);
	is_connected(c);
	stop();
	config_free(1);
}

/* If that snapshot must go, the stream waits on with the same filters, or ends. */
static void snapshot_must_go(void)
{
	for (uint32_t same = 0; same < 2; same++) {
		struct mt_snapshot *s;
		struct fake_conn *c;

		start(false);
		c = waits();
		s = config_make(1, 2, 2, true);
		s->keep_from = 2;
		if (same)
			limit(s);
		mt_proxy_adopt(lab.p, s);
		lab_advance(MT_MSEC);
		CU_ASSERT_EQUAL(config_holds(0), 0);
		CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
		if (!same)
			is_reset(c, "0 RLSE rate_limiter_error");
		SAYS(WITHIN);
		CU_ASSERT_EQUAL(counted(MT_FILTER_completions_late), !same);
		if (same)
			is_connected(c);
		stop();
		config_free(1);
	}
}

/* From now on the port's policies of this snapshot deny clients of the test's network. */
static void deny(struct mt_snapshot *s)
{
	static struct mt_authz_value value;
	static struct mt_authz_cond cond = {
		.field = MT_AUTHZ_PEER, .n_values = 1, .values = &value};
	static struct mt_authz_conds conds = {&cond, 1};
	static struct mt_authz_rule rule = {.to = &conds, .n_to = 1};
	static struct mt_authz_policy policy = {
		.action = MT_AUTHZ_DENY, .by = "P a/b", .rules = &rule, .n_rules = 1};
	static const struct mt_authz_policy *policies[] = {&policy};
	static const struct mt_authz rules = {.deny = policies, .n_deny = 1};
	static const struct mt_gate_guard gate = {&rules, 8089};

	CU_ASSERT_EQUAL_FATAL(mt_prefix_parse("192.0.2.0/24", &value.net, &value.bits), 0);
	s->listeners[OPAQUE].protos->services[0]->gate = &gate;
}

/* A policy that came while the stream waited denies it, whichever snapshot it waited under. */
static void denied_meanwhile(void)
{
	for (uint32_t must_go = 0; must_go < 2; must_go++) {
		struct mt_snapshot *s;
		struct fake_conn *c;

		start(false);
		c = waits();
		s = config_make(1, 2, 2, true);
		s->keep_from = must_go ? 2 : s->keep_from;
		limit(s);
		deny(s);
		mt_proxy_adopt(lab.p, s);
		lab_advance(MT_MSEC);
		CU_ASSERT_FALSE(c->aborted);
		SAYS(WITHIN);
		is_reset(c, "0 - rbac_access_denied_matched_policy[P_a/b]");
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_denied), 1);
		CU_ASSERT_EQUAL(stats()->local[MT_ENDING_connection_denied], 1);
		stop();
		config_free(1);
	}
}

/* ---- images ---------------------------------------------------------------------------------- */

static void attach(struct mt_proxy *p)
{
	CU_ASSERT_EQUAL(mt_proxy_attach_limits(p, lane, NULL), 0);
}

/* Another worker queries again; the answer to the first query is for no stream. */
static void moved(void)
{
	struct mt_callout_slot *first;
	struct fake_conn *c;

	start(false);
	c = waits();
	first = query();
	moved_to_another(attach);
	/* Another process has another lane: none of its slots is in use. */
	mt_rls_kind.fail(first, MT_CALLOUT_UNREACHABLE);
	mt_callout_lane_answered(first);
	mt_callout_give_back(mt_callout_take(lane));
	lab_advance(2 * MT_MSEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	SAYS(WITHIN);
	is_connected(c);
	stop();
}

const struct mt_test opaque_limit_tests[] = {{"within", within}, {"half_closed", half_closed},
	{"over", over}, {"failed", failed}, {"crowded", crowded}, {"next", next}, {"local", local},
	{"client_leaves", client_leaves}, {"timed_out", timed_out}, {"snapshot", snapshot},
	{"snapshot_must_go", snapshot_must_go}, {"denied_meanwhile", denied_meanwhile},
	{"moved", moved}, {0}};
