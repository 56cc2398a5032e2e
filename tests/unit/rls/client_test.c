/* SPDX-License-Identifier: Apache-2.0 */
/* A rate limit service on loopback: what it is asked, and what becomes of its answers, or of none. */
#include "rls_test.h"

#include "mt_rls_client.h"

#include "../grpc/grpc_server.h"
#include "ratelimit.pb-c.h"

#include <arpa/inet.h>
#include <poll.h>

#define LONG (30 * MT_SEC)

static struct mt_callout *x;
static struct mt_callout_lane *lane;
static struct server server;
static char at[32];
static Xds__RateLimitRequest *asked;
static const char *reply; /* bytes in hexadecimal */

static void on_question(struct server *s)
{
	uint8_t message[512] = {0};
	uint32_t len = (uint32_t)unhex(reply, message + 5), be = htonl(len);

	if (asked)
		xds__rate_limit_request__free_unpacked(asked, NULL);
	asked = xds__rate_limit_request__unpack(NULL, s->have - 5, s->body + 5);
	memcpy(message + 1, &be, sizeof(be));
	free(s->body);
	s->sent = 0;
	s->room = 65536;
	s->body = calloc(1, s->room);
	memcpy(s->body, message, len + 5);
	s->have = len + 5;
}

static void set_up(enum manner manner)
{
	struct mt_err e;

	x = aligned_alloc(MT_CACHE_LINE, sizeof(*x));
	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	memset(x, 0, sizeof(*x));
	CU_ASSERT_EQUAL_FATAL(mt_callout_init(x, &mt_rls_kind, 1, &e), 0);
	lane = mt_callout_lane(x, 0);
	memset(&server, 0, sizeof(server));
	server_start(&server, manner, NULL);
	server.on_end = on_question;
	snprintf(at, sizeof(at), "127.0.0.1:%u", server.port);
}

static void tear_down(void)
{
	mt_callout_fini(x);
	free(x);
	server_stop(&server);
	if (asked)
		xds__rate_limit_request__free_unpacked(asked, NULL);
	asked = NULL;
}

static struct mt_callout_provider *provider(uint64_t timeout)
{
	const char *const servers[] = {at};
	const struct mt_callout_conf conf = {
		.name = "limits", .servers = servers, .n_servers = 1, .timeout = timeout};

	return mt_callout_provider_new(&conf);
}

/* Asks about two descriptors, and waits for the answer, which the caller gives back. */
static struct mt_rls_slot *ask(struct mt_callout_provider *p, uint64_t timeout)
{
	struct mt_rls_descriptor d[] = {
		{.entry = {{slice("method"), slice("get")}}, .n_entries = 1},
		{.entry = {{slice("user"), slice("joe")}}, .n_entries = 1},
	};
	const struct mt_rls_query q = {slice("shop"), d, 2, NULL};
	struct mt_rls_slot *s = mt_rls_slot(lane);
	struct mt_rls_keys keys;
	uint8_t bytes[MT_RLS_QUERY];
	size_t len = mt_rls_pack(&q, p->id, bytes, sizeof(bytes), &keys);

	CU_ASSERT_FATAL(s && len);
	mt_rls_put(s, bytes, len, &keys);
	mt_rls_ask(s, p, timeout);
	for (int i = 0; i < 30000; i++) {
		struct mt_rls_slot *got;

		server_turn(&server);
		got = mt_rls_take(lane);
		CU_ASSERT(!got || got == s);
		if (got)
			return got;
		poll(NULL, 0, 1);
	}
	CU_FAIL_FATAL("no answer within 30 s");
	return NULL;
}

static void test_verdicts(void)
{
	static struct mt_rls_over over;
	struct mt_callout_provider *p;
	struct mt_rls_slot *s;
	uint32_t which = 9;

	set_up(ECHO);
	p = provider(LONG);
	reply = "08011202080112020801";
	s = ask(p, LONG);
	CU_ASSERT_EQUAL(s->verdict, MT_RLS_WITHIN);
	CU_ASSERT_EQUAL(s->answer.n_statuses, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(asked);
	CU_ASSERT_STRING_EQUAL(asked->domain, "shop");
	CU_ASSERT_EQUAL_FATAL(asked->n_descriptors, 2);
	CU_ASSERT_STRING_EQUAL(asked->descriptors[1]->entries[0]->value, "joe");
	mt_rls_over_keep(&over, &s->keys, &s->answer, 1);
	CU_ASSERT(!mt_rls_over_any(&over, &s->keys, 1, &which));
	mt_callout_give_back(&s->callout);

	reply = "08021202080112020802";
	s = ask(p, LONG);
	CU_ASSERT_EQUAL(s->verdict, MT_RLS_OVER);
	mt_rls_over_keep(&over, &s->keys, &s->answer, 1);
	CU_ASSERT(mt_rls_over_any(&over, &s->keys, 1, &which));
	CU_ASSERT_EQUAL(which, 1);
	mt_callout_give_back(&s->callout);

	/* An overall code of none. */
	reply = "12020801";
	s = ask(p, LONG);
	CU_ASSERT_EQUAL(s->verdict, MT_RLS_UNJUDGED);
	mt_callout_give_back(&s->callout);
	mt_callout_drop(p);
	tear_down();
}

static void test_failures(void)
{
	static const struct {
		enum manner manner;
		uint64_t providers, own;
		enum mt_rls_verdict verdict;
	} t[] = {
		{REFUSE, LONG, LONG, MT_RLS_UNJUDGED},
		{GARBAGE, LONG, LONG, MT_RLS_UNJUDGED},
		{SILENT, 50 * MT_MSEC, LONG, MT_RLS_UNJUDGED},
		{SILENT, LONG, 50 * MT_MSEC, MT_RLS_EXPIRED},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_callout_provider *p;
		struct mt_rls_slot *s;

		set_up(t[i].manner);
		p = provider(t[i].providers);
		s = ask(p, t[i].own);
		CU_ASSERT_EQUAL(s->verdict, t[i].verdict);
		mt_callout_give_back(&s->callout);
		mt_callout_drop(p);
		tear_down();
	}
}

const struct mt_test client_tests[] = {
	{"verdicts", test_verdicts}, {"failures", test_failures}, {0}};
