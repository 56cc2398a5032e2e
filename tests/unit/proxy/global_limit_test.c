/* SPDX-License-Identifier: Apache-2.0 */
/* Calls under a global rate limit: the test is the thread that queries the service. */
#include "moved.h"
#include "scene.h"

#include "mt_callout_priv.h"
#include "mt_filter_global.h"
#include "mt_proxy_priv.h"
#include "mt_rls_client.h"

#include <string.h>

#define SAFE 0 /* index of a listener */

static struct mt_callout x;
static struct mt_callout_lane *lane;
static struct mt_callout_provider *provider;
static struct mt_filter_inst chain[1];
static struct fake_conn *client;
static struct mt_tally_registry *tallies;

static void start(bool fail_open)
{
	static const char *const servers[] = {"127.0.0.1:1"};
	static const struct mt_global_property properties[] = {{"method", "m"}};
	const struct mt_callout_conf conf = {.name = "limits",
		.servers = servers,
		.n_servers = 1,
		.timeout = MT_SEC,
		.fail_open = fail_open};
	struct mt_global_def def = {.domain = "shop", .properties = properties, .n_properties = 1};
	char err[128];

	scene_start(1);
	scene_patient();
	def.tallies = tallies = mt_tally_registry_new(1);
	def.limited = "a:1";
	memset(&toy_noted, 0, sizeof(toy_noted));
	memset(&x, 0, sizeof(x));
	x.kind = &mt_rls_kind;
	lane = aligned_alloc(MT_CACHE_LINE, sizeof(*lane));
	CU_ASSERT_FATAL(lane && mt_callout_lane_init(&x, lane));
	CU_ASSERT_EQUAL_FATAL(mt_proxy_attach_limits(lab.p, lane, NULL), 0);
	def.provider = provider = mt_callout_provider_new(&conf);
	def.fail_open = fail_open;
	CU_ASSERT_PTR_NOT_NULL_FATAL(provider);
	chain[0] = (struct mt_filter_inst){.type = &mt_filter_global_ratelimit,
		.conf = mt_global_compile(&toy_codec, &def, err, sizeof(err))};
	CU_ASSERT_PTR_NOT_NULL_FATAL(chain[0].conf);
	scene_filters(chain, 1);
	client = lab_client(CONFIG_SAFE);
}

static void stop(void)
{
	if (client->live)
		lab_close(client, MT_CLOSE_RESET);
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

static void says(const char *bytes, size_t len)
{
	struct mt_callout_slot *s = query();

	mt_rls_kind.read(s, (const uint8_t *)bytes, len);
	mt_callout_lane_answered(s);
	lab_advance(1);
}

static void fails(enum mt_callout_failure why)
{
	struct mt_callout_slot *s = query();

	mt_rls_kind.fail(s, why);
	mt_callout_lane_answered(s);
	lab_advance(1);
}

#define SAYS(bytes)	  says(bytes, sizeof(bytes) - 1)
#define WITHIN		  "\x08\x01\x12\x02\x08\x01"
#define WITHIN_AND_K_IS_V WITHIN "\x22\x06\x0a\x01k\x12\x01v"
/* Headers for replies. */
#define R_IS_S "\x1a\x06\x0a\x01r\x12\x01s"
#define K_IS_V "\x1a\x06\x0a\x01k\x12\x01v"
#define FIXED_IS_V                                                                                 \
	"\x1a\x0a\x0a\x05"                                                                         \
	"fixed"                                                                                    \
	"\x12\x01v"
/* For 3 s. */
#define OVER "\x08\x02\x12\x06\x08\x02\x22\x02\x08\x03"

/* ---- calls ----------------------------------------------------------------------------------- */

static uint64_t counted(enum mt_filter_outcome o)
{
	return lab.p->filters.counters[o];
}

static uint64_t limited(void)
{
	return mt_proxy_service_stats(lab.p, SAFE)->limited;
}

/* What the only descriptor has refused. */
static uint64_t by_rule(void)
{
	for (const struct mt_tally *t = NULL; (t = mt_tally_next(tallies, t)) != NULL;)
		if (strcmp(t->rule, "shop: m") == 0)
			return mt_tally_sum(t);
	return UINT64_MAX;
}

static struct fake_conn *server(void)
{
	struct fake_conn *s = lab_server(0);

	return s && s->connected ? s : scene_connected_server(0);
}

static void is_answered(uint64_t id)
{
	struct fake_conn *s = server();

	scene_answer(s, scene_next_sent(s).id, 1, 40);
	CU_ASSERT_EQUAL(scene_next_sent(client).id, id);
	scene_line_is("200 - via_upstream");
}

static void is_refused(uint64_t id, enum mt_local_reply what, const char *line)
{
	struct toy t = scene_next_sent(client);

	CU_ASSERT_EQUAL(t.id, id);
	CU_ASSERT_EQUAL(t.status, 1);
	CU_ASSERT_EQUAL(t.first, what);
	scene_line_is(line);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
}

static void within(void)
{
	start(false);
	scene_send_request(client, 'Q', 1, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	SAYS(WITHIN_AND_K_IS_V);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "k=v;");
	is_answered(1);
	CU_ASSERT_EQUAL(counted(MT_FILTER_global_waited), 1);
	CU_ASSERT_EQUAL(counted(MT_FILTER_completions), 1);
	stop();
}

/* The second call is refused without a query. */
static void over(void)
{
	start(true);
	scene_send_request(client, 'Q', 1, 64);
	SAYS(OVER);
	is_refused(1, MT_REPLY_OVER_LIMIT, "429 RL request_rate_limited");
	scene_send_request(client, 'Q', 2, 64);
	is_refused(2, MT_REPLY_OVER_LIMIT, "429 RL request_rate_limited");
	CU_ASSERT_EQUAL(limited(), 2);
	CU_ASSERT_EQUAL(by_rule(), 2);
	CU_ASSERT_EQUAL(counted(MT_FILTER_global_limited), 2);
	CU_ASSERT_EQUAL(counted(MT_FILTER_global_waited), 1);
	stop();
}

/* Nobody knows whether the limit is exceeded, so no autoscaler is told that it is. */
static void failed(void)
{
	start(false);
	scene_send_request(client, 'Q', 1, 64);
	fails(MT_CALLOUT_LATE);
	is_refused(1, MT_REPLY_OVER_LIMIT, "500 RLSE rate_limiter_error");
	toy_make(scene_buf, 'Q', 2, "\xff\xff\xff\xff", 64);
	lab_feed(client, scene_buf, 64);
	is_refused(2, MT_REPLY_OVER_LIMIT, "500 RLSE rate_limiter_error");
	CU_ASSERT_EQUAL(counted(MT_FILTER_global_unread), 1);
	CU_ASSERT_EQUAL(limited(), 0);
	CU_ASSERT_EQUAL(by_rule(), 0);
	stop();
	start(true);
	scene_send_request(client, 'Q', 1, 64);
	fails(MT_CALLOUT_UNREACHABLE);
	is_answered(1);
	CU_ASSERT_EQUAL(counted(MT_FILTER_global_failed), 1);
	stop();
}

/* A client with many waiting calls does not pass, although the limit fails open. */
static void crowded(void)
{
	const uint32_t most = MT_CALLOUT_SLOTS * 3 / 8;

	start(true);
	for (uint32_t i = 1; i <= most; i++)
		scene_send_request(client, 'Q', i, 64);
	CU_ASSERT_EQUAL(counted(MT_FILTER_global_waited), most);
	scene_send_request(client, 'Q', most + 1, 64);
	is_refused(most + 1, MT_REPLY_OVERLOAD, "503 OM overload");
	CU_ASSERT_EQUAL(counted(MT_FILTER_global_crowded), 1);
	CU_ASSERT_EQUAL(counted(MT_FILTER_global_failed), 0);
	CU_ASSERT_EQUAL(limited(), 0);
	for (uint32_t i = 1; i <= most; i++) {
		SAYS(OVER);
		is_refused(i, MT_REPLY_OVER_LIMIT, "429 RL request_rate_limited");
	}
	stop();
}

/* The call's own time is over, by the thread's clock or by the worker's. */
static void timed_out(void)
{
	struct mt_callout_slot *s;

	start(true);
	scene_send_request(client, 'Q', 1, 64);
	fails(MT_CALLOUT_EXPIRED);
	is_refused(1, MT_REPLY_TIMEOUT, "504 UT response_timeout");
	lab.snap->listeners[SAFE].protos->services[0]->timeout_ms = 50;
	scene_send_request(client, 'Q', 2, 64);
	s = query();
	CU_ASSERT_EQUAL(s->timeout, 50 * MT_MSEC);
	lab_advance(51 * MT_MSEC);
	is_refused(2, MT_REPLY_TIMEOUT, "504 UT response_timeout");
	mt_rls_kind.read(s, (const uint8_t *)WITHIN, sizeof(WITHIN) - 1);
	mt_callout_lane_answered(s);
	lab_advance(1);
	CU_ASSERT_EQUAL(counted(MT_FILTER_completions_late), 1);
	stop();
}

/* The answer to a call that is gone is not that of the next call in its place. */
static void client_leaves(void)
{
	start(false);
	scene_send_request(client, 'Q', 1, 64);
	lab_close(client, MT_CLOSE_RESET);
	scene_line_is("0 DC downstream_remote_disconnect");
	client = lab_client(CONFIG_SAFE);
	scene_send_request(client, 'Q', 2, 64);
	SAYS(OVER);
	CU_ASSERT_EQUAL(counted(MT_FILTER_completions_late), 1);
	CU_ASSERT_EQUAL(by_rule(), 0);
	SAYS(WITHIN);
	is_answered(2);
	stop();
}

static void attach(struct mt_proxy *p)
{
	CU_ASSERT_EQUAL(mt_proxy_attach_limits(p, lane, NULL), 0);
}

/* Another worker queries again; the answer to the first query is for no call. */
static void moved(void)
{
	struct mt_callout_slot *first;

	start(false);
	scene_send_request(client, 'Q', 1, 64);
	first = query();
	moved_to_another(attach);
	/* Another process has another lane: none of its slots is in use. */
	mt_rls_kind.fail(first, MT_CALLOUT_UNREACHABLE);
	mt_callout_lane_answered(first);
	mt_callout_give_back(mt_callout_take(lane));
	lab_advance(1);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	SAYS(OVER);
	is_refused(1, MT_REPLY_OVER_LIMIT, "429 RL request_rate_limited");
	stop();
}

/* ---- headers for replies ---------------------------------------------------------------------- */

static struct mt_route_action *route(void)
{
	return (struct mt_route_action *)mt_route_at(
		lab.snap->listeners[SAFE].protos->services[0]->routes, 0);
}

/* Of the next reply alone. */
static void reply_headers(void)
{
	start(false);
	scene_send_request(client, 'Q', 1, 64);
	SAYS(WITHIN R_IS_S);
	CU_ASSERT_EQUAL(toy_noted.encoded, 0);
	is_answered(1);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "r=s;");
	CU_ASSERT_EQUAL(toy_noted.encoded, 1);
	scene_send_request(client, 'Q', 2, 64);
	SAYS(WITHIN);
	is_answered(2);
	CU_ASSERT_EQUAL(toy_noted.encoded, 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_limit_headers_left), 0);
	stop();
}

/* Errors by Meltemi are as they were: of the limit, and of a call that has passed it. */
static void local_replies(void)
{
	struct fake_conn *s;
	struct toy t;
	uint64_t id;

	start(false);
	scene_send_request(client, 'Q', 1, 64);
	SAYS(OVER R_IS_S);
	is_refused(1, MT_REPLY_OVER_LIMIT, "429 RL request_rate_limited");
	CU_ASSERT_EQUAL(toy_noted.encoded, 0);
	stop();
	start(false);
	lab.snap->listeners[SAFE].protos->services[0]->timeout_ms = 50;
	scene_send_request(client, 'Q', 1, 64);
	SAYS(WITHIN R_IS_S);
	s = server();
	id = scene_next_sent(s).id;
	lab_advance(51 * MT_MSEC);
	t = scene_next_sent(client);
	CU_ASSERT(t.id == 1 && t.status == 1 && t.first == MT_REPLY_TIMEOUT);
	scene_answer(s, id, 1, 40);
	CU_ASSERT_EQUAL(toy_noted.encoded, 0);
	stop();
}

/* The route's changes count, whatever the service sends, and are made if its headers cannot be. */
static void besides_the_route(void)
{
	static struct mt_mutation by_route = {
		.key = "r", .key_len = 1, .value = "x", .value_len = 1};

	start(false);
	route()->rsp_mut = &by_route;
	route()->n_rsp_mut = 1;
	scene_send_request(client, 'Q', 1, 64);
	SAYS(WITHIN R_IS_S K_IS_V);
	is_answered(1);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "r=x;k=v;");
	scene_send_request(client, 'Q', 2, 64);
	SAYS(WITHIN FIXED_IS_V K_IS_V);
	is_answered(2);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "r=x;");
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_limit_headers_left), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mutation_failed), 0);
	route()->n_rsp_mut = 0;
	stop();
}

/* The second of two long ones does not fit; the reply has the first. */
static void too_long_headers(void)
{
	static const char head[] = "\x1a\x80\x02\x0a\x01r\x12\xfa\x01";
	static char bytes[1024] = WITHIN;
	size_t len = sizeof(WITHIN) - 1;

	for (uint32_t i = 0; i < 2; i++, len += 250) {
		memcpy(bytes + len, head, sizeof(head) - 1);
		len += sizeof(head) - 1;
		bytes[len - 4] = (char)('r' + i);
		memset(bytes + len, 'v', 250);
	}
	start(false);
	scene_send_request(client, 'Q', 1, 64);
	says(bytes, len);
	is_answered(1);
	CU_ASSERT_EQUAL(strncmp(toy_noted.changes, "r=vv", 4), 0);
	CU_ASSERT_EQUAL(toy_noted.encoded, 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_limit_headers_left), 1);
	stop();
}

/* A second attempt answers. */
static void after_a_retry(void)
{
	static const struct mt_retry policy = {
		.on = MT_RETRY_LOST, .attempts = 1, .base_ms = 25, .max_ms = 250};
	struct fake_conn *s;

	start(false);
	route()->retry = &policy;
	route()->retries = true;
	scene_send_request(client, 'Q', 1, 64);
	SAYS(WITHIN R_IS_S);
	s = server();
	CU_ASSERT_EQUAL(scene_next_sent(s).kind, 'Q');
	lab_close(s, MT_CLOSE_RESET);
	lab_advance(26 * MT_MSEC);
	s = server();
	CU_ASSERT_EQUAL(toy_noted.encoded, 0);
	scene_answer(s, scene_next_sent(s).id, 1, 40);
	CU_ASSERT_EQUAL(scene_next_sent(client).id, 1);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "r=s;");
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), 1);
	stop();
}

/* A reply that would be forwarded while it comes is forwarded when it is complete. */
static void long_reply(void)
{
	enum { LEN = 80000, PART = 70000 };
	struct fake_conn *s;
	uint64_t id;

	start(false);
	scene_send_request(client, 'Q', 1, 64);
	SAYS(WITHIN R_IS_S);
	s = server();
	id = scene_next_sent(s).id;
	toy_make(scene_buf, 'P', id, "done", LEN);
	lab_feed(s, scene_buf, PART);
	CU_ASSERT_EQUAL(scene_next_sent(client).id, 0);
	lab_feed(s, scene_buf + PART, LEN - PART);
	id = scene_next_sent(client).id;
	for (uint32_t i = 0; i < 100 && !id; i++) {
		lab_advance(MT_MSEC);
		id = scene_next_sent(client).id;
	}
	CU_ASSERT_EQUAL(id, 1);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "r=s;");
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_early), 0);
	stop();
}

/* The headers are part of a worker's image. */
static void moved_headers(void)
{
	start(false);
	scene_send_request(client, 'Q', 1, 64);
	SAYS(WITHIN R_IS_S K_IS_V);
	server();
	moved_to_another(attach);
	is_answered(1);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "r=s;k=v;");
	stop();
}

const struct mt_test global_limit_tests[] = {{"within", within}, {"over", over}, {"failed", failed},
	{"crowded", crowded}, {"timed_out", timed_out}, {"client_leaves", client_leaves},
	{"moved", moved}, {"reply_headers", reply_headers}, {"local_replies", local_replies},
	{"besides_the_route", besides_the_route}, {"too_long_headers", too_long_headers},
	{"after_a_retry", after_a_retry}, {"long_reply", long_reply},
	{"moved_headers", moved_headers}, {0}};
