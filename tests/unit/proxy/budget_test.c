/* SPDX-License-Identifier: Apache-2.0 */
/* Retry budgets of clusters: what takes a unit, each way in which it is returned, and storms. */
#include "moved.h"
#include "scene.h"

#include "mt_proxy_priv.h"

#include <stdio.h>

#define SAFE  0 /* listeners' indexes */
#define NAMED 3
#define LEN   64
#define OK    0	   /* status of replies */
#define LONG  1000 /* is retained in buffers */

static struct mt_retry policy;
static struct mt_budget_calls calls[1];
static struct mt_budget_account account;
static struct fake_conn *client;

static const struct mt_retry_budget three = {.bound = MT_RETRY_BOUND_NUMBER, .n = 3};
static const struct mt_retry_budget fifth = {.bound = MT_RETRY_BOUND_SHARE, .share = 2000, .n = 3};

static void limit_to(struct mt_snapshot *s, struct mt_retry_budget budget)
{
	s->clusters[0].retry_budget = budget;
	s->clusters[0].budget = &account;
}

/* A client of that listener, whose route and cluster have these. */
static void start(uint32_t listener, uint32_t n_eps, struct mt_retry with, struct mt_retry_budget b)
{
	struct mt_route_action *a;

	policy = with;
	account = (struct mt_budget_account){.workers = 1, .calls = calls};
	calls[0].n = 0;
	scene_start(n_eps);
	limit_to(lab.snap, b);
	a = (struct mt_route_action *)mt_route_at(
		lab.snap->listeners[listener].protos->services[0]->routes, 0);
	a->retry = &policy;
	a->retries = true;
	client = lab_client(listener == SAFE ? CONFIG_SAFE : CONFIG_NAMED);
}

static void stop(uint32_t attempts, uint32_t over)
{
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), attempts);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_over_budget), over);
	if (client->live)
		lab_close(client, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	CU_ASSERT_EQUAL(account.used, 0);
	CU_ASSERT_EQUAL(calls[0].n, 0);
	scene_stop();
}

static struct fake_conn *newest(void)
{
	return scene_connected_server(lab_n_servers() - 1);
}

/* The server reads all calls that it has, and its connection ends. Returns how many. */
static uint32_t read_and_lost(struct fake_conn *s)
{
	uint32_t n = 0;

	while (scene_next_sent(s).kind)
		n++;
	lab_close(s, MT_CLOSE_RESET);
	return n;
}

static void answer(struct fake_conn *s, uint8_t status)
{
	uint64_t id = scene_next_sent(s).id;

	toy_make(scene_buf, 'P', id, "fail", LEN);
	scene_buf[2] = status;
	lab_feed(s, scene_buf, LEN);
}

/* The status of the next reply that the client has; UINT32_MAX: none. Local replies have 1. */
static uint32_t reply(void)
{
	struct toy t = scene_next_sent(client);

	return t.kind ? t.status : UINT32_MAX;
}

static void next_attempt(void)
{
	lab_advance(policy.max_ms * MT_MSEC + MT_MSEC);
}

/* ---- each way in which a unit is returned ---- */

/* While it waits: */

static void leaves_in_back_off(void)
{
	lab_close(client, MT_CLOSE_RESET);
}

static void evicted_in_back_off(void)
{
	lab_evict(client, MT_CLASS_RETAINED);
	CU_ASSERT_EQUAL(reply(), 1);
}

static void late_in_back_off(void)
{
	lab_advance(MT_SEC);
	CU_ASSERT_EQUAL(reply(), 1);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, SAFE)->timeouts, 1);
}

static void no_memory(void)
{
	scene_starve();
	next_attempt();
	scene_relieve();
}

/* While its attempt is out: */

static void answered(void)
{
	next_attempt();
	CU_ASSERT_EQUAL(account.used, 1);
	answer(newest(), OK);
	CU_ASSERT_EQUAL(reply(), OK);
}

static void answered_by_an_error(void)
{
	next_attempt();
	answer(newest(), TOY_CALLER);
	CU_ASSERT_EQUAL(reply(), TOY_CALLER);
}

/* A reply that is forwarded while it arrives is the call's from its first byte on. */
static void answered_at_length(void)
{
	enum { LENGTH = 70000 };
	uint64_t id;

	next_attempt();
	id = scene_next_sent(newest()).id;
	toy_make(scene_buf, 'P', id, "done", LENGTH);
	lab_feed(newest(), scene_buf, LENGTH / 2);
	CU_ASSERT_EQUAL(account.used, 0);
	toy_make(scene_buf, 'P', id, "done", LENGTH);
	lab_feed(newest(), scene_buf + LENGTH / 2, LENGTH - LENGTH / 2);
	while (lab_take(client, scene_buf, SCENE_BUF) > 0)
		;
}

/* The next attempt takes the place of the last one. */
static void rejected_and_answered(void)
{
	next_attempt();
	answer(newest(), TOY_UNAVAILABLE);
	CU_ASSERT_EQUAL(account.used, 1);
	next_attempt();
	answer(newest(), OK);
	CU_ASSERT_EQUAL(reply(), OK);
}

static void rejected_at_last(void)
{
	for (int i = 0; i < 2; i++) {
		next_attempt();
		CU_ASSERT_EQUAL(account.used, 1);
		answer(newest(), TOY_UNAVAILABLE);
	}
	CU_ASSERT_EQUAL(reply(), TOY_UNAVAILABLE);
}

static void lost_at_last(void)
{
	for (int i = 0; i < 2; i++) {
		next_attempt();
		CU_ASSERT_EQUAL(account.used, 1);
		CU_ASSERT_EQUAL(read_and_lost(newest()), 1);
	}
	CU_ASSERT_EQUAL(reply(), 1);
}

static void late(void)
{
	next_attempt();
	scene_next_sent(newest());
	lab_advance(2 * MT_SEC);
	CU_ASSERT_EQUAL(reply(), 1);
}

static void leaves(void)
{
	next_attempt();
	scene_next_sent(newest());
	lab_close(client, MT_CLOSE_RESET);
}

/* Without its request it has no further attempt; this one goes on, and is counted. */
static void evicted(void)
{
	next_attempt();
	lab_evict(client, MT_CLASS_RETAINED);
	CU_ASSERT_EQUAL(account.used, 1);
	answer(newest(), TOY_UNAVAILABLE);
	CU_ASSERT_EQUAL(reply(), TOY_UNAVAILABLE);
}

/* Nothing of the attempt was read, so the same attempt goes on elsewhere. */
static void unread(void)
{
	struct fake_conn *s;

	next_attempt();
	s = newest();
	s->end.reset_ack = true;
	s->end.reset_acked = 0;
	lab_close(s, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_transparent_retry), 1);
	CU_ASSERT_EQUAL(account.used, 1);
	answer(newest(), OK);
	CU_ASSERT_EQUAL(reply(), OK);
}

static void unreachable(void)
{
	lab.refuse_open = true;
	next_attempt();
	CU_ASSERT_EQUAL(reply(), 1);
}

/* Another worker goes on with it, first while it waits, then while its attempt is out. */
static void moves(void)
{
	moved_to_another(NULL);
	CU_ASSERT_EQUAL(account.used, 1);
	next_attempt();
	moved_to_another(NULL);
	CU_ASSERT_EQUAL(account.used, 1);
	answer(newest(), OK);
	CU_ASSERT_EQUAL(reply(), OK);
}

static const struct {
	const char *name;
	void (*way)(void);
	uint32_t attempts;
	uint32_t wait_ms; /* at most; else 10 */
} ways[] = {
	{"leaves in back-off", leaves_in_back_off, 1, 0},
	{"evicted in back-off", evicted_in_back_off, 1, 0},
	{"late in back-off", late_in_back_off, 1, 100000},
	{"no memory", no_memory, 1, 0},
	{"answered", answered, 1, 0},
	{"answered at length", answered_at_length, 1, 0},
	{"answered by an error", answered_by_an_error, 1, 0},
	{"rejected and answered", rejected_and_answered, 2, 0},
	{"rejected at last", rejected_at_last, 2, 0},
	{"lost at last", lost_at_last, 2, 0},
	{"late", late, 1, 0},
	{"leaves", leaves, 1, 0},
	{"evicted", evicted, 1, 0},
	{"unread", unread, 1, 0},
	{"unreachable", unreachable, 1, 0},
	{"moves", moves, 1, 0},
};

static struct mt_retry policy_of(uint32_t max_ms)
{
	return (struct mt_retry){.on = MT_RETRY_LOST | MT_RETRY_UNAVAILABLE,
		.attempts = 2,
		.base_ms = max_ms,
		.max_ms = max_ms};
}

/* A unit is taken before the back-off, and returned once, whatever becomes of the retry. */
static void test_returned(void)
{
	for (size_t i = 0; i < 2 * MT_ARRAY_LEN(ways); i++) {
		uint32_t ms = ways[i / 2].wait_ms ? ways[i / 2].wait_ms : 10;

		start(SAFE, 2, policy_of(ms), i & 1 ? fifth : three);
		scene_send_request(client, 'Q', 1, LONG);
		CU_ASSERT_EQUAL(account.used, 0);
		CU_ASSERT_EQUAL(calls[0].n, i & 1);
		CU_ASSERT_EQUAL(read_and_lost(newest()), 1);
		CU_ASSERT_EQUAL(account.used, 1);
		CU_ASSERT_EQUAL(calls[0].n, 0);
		ways[i / 2].way();
		if (account.used)
			printf("%s\n", ways[i / 2].name);
		CU_ASSERT_EQUAL(account.used, 0);
		stop(ways[i / 2].attempts, 0);
	}
}

/* An answered call that waits for its turn has no unit any more; `here`: by a local reply. */
static void held(bool here)
{
	struct fake_conn *first, *second;
	uint64_t id;

	start(NAMED, 1, policy_of(10), three);
	scene_patient();
	for (uint64_t i = 0; i < 2; i++) { /* so that the method is known to answer */
		scene_send_request(client, 'Q', 1, LEN);
		scene_answer(newest(), scene_next_sent(newest()).id, 7, LEN);
		CU_ASSERT_EQUAL(reply(), OK);
	}
	scene_send_request(client, 'Q', 2, LEN);
	first = newest();
	id = scene_next_sent(first).id;
	scene_send_request(client, 'Q', 3, LONG);
	second = newest();
	CU_ASSERT_PTR_NOT_EQUAL_FATAL(first, second);
	CU_ASSERT_EQUAL(read_and_lost(second), 1);
	CU_ASSERT_EQUAL(account.used, 1);
	if (here) {
		lab_evict(client, MT_CLASS_RETAINED);
	} else {
		next_attempt();
		answer(newest(), OK);
	}
	CU_ASSERT_EQUAL(reply(), UINT32_MAX);
	CU_ASSERT_EQUAL(account.used, 0);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	scene_answer(first, id, 7, LEN);
	CU_ASSERT_EQUAL(reply(), OK);
	CU_ASSERT_EQUAL(reply(), here ? 1 : OK);
	stop(1, 0);
}

static void test_held(void)
{
	held(false);
	held(true);
}

/* Its cluster has left, or has no budget any more. */
static void test_reload(void)
{
	for (int gone = 0; gone < 2; gone++) {
		struct mt_snapshot *s;

		start(SAFE, 1, policy_of(250), fifth);
		scene_send_request(client, 'Q', 1, LEN);
		CU_ASSERT_EQUAL(read_and_lost(newest()), 1);
		s = config_make(1, lab.snap->version + 1, 1, true);
		s->keep_from = s->version;
		if (gone)
			s->clusters[0].id++;
		mt_proxy_adopt(lab.p, s);
		lab_advance(MT_MSEC);
		CU_ASSERT_EQUAL(account.used, 1);
		lab_advance(250 * MT_MSEC);
		CU_ASSERT_EQUAL(account.used, !gone);
		if (!gone)
			answer(newest(), OK);
		CU_ASSERT_EQUAL(reply(), gone ? 1 : OK);
		CU_ASSERT_EQUAL(account.used, 0);
		stop(1, 0);
		config_free(1);
	}
}

/* ---- refused ---- */

/* A server's error is the client's reply, if the budget allows no attempt in its place. */
static void test_refused(void)
{
	start(SAFE, 1, policy_of(10), (struct mt_retry_budget){.bound = MT_RETRY_BOUND_NUMBER});
	scene_send_request(client, 'Q', 1, LEN);
	answer(newest(), TOY_UNAVAILABLE);
	CU_ASSERT_EQUAL(reply(), TOY_UNAVAILABLE);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, SAFE)->proto_error, 1);
	scene_send_request(client, 'Q', 1, LONG);
	CU_ASSERT_EQUAL(read_and_lost(newest()), 1);
	CU_ASSERT_EQUAL(reply(), 1);
	CU_ASSERT_EQUAL(lab_holds(client).of[MT_CLASS_RETAINED], 0);
	stop(0, 2);
}

/* Unread calls are sent again outside of any budget. */
static void test_transparent(void)
{
	struct fake_conn *s;

	start(SAFE, 1, policy_of(10), (struct mt_retry_budget){.bound = MT_RETRY_BOUND_NUMBER});
	scene_send_request(client, 'Q', 1, LEN);
	s = newest();
	s->end.reset_ack = true;
	s->end.reset_acked = 0;
	lab_close(s, MT_CLOSE_RESET);
	answer(newest(), OK);
	CU_ASSERT_EQUAL(reply(), OK);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_transparent_retry), 1);
	stop(0, 0);
}

#define CALLS 100

static uint32_t replies(void)
{
	uint32_t n = 0;

	while (reply() == 1)
		n++;
	return n;
}

/* Every server fails at once, and goes on to fail: the calls of its clients are hardly multiplied. */
static void storm(struct mt_retry_budget b, uint32_t admitted)
{
	uint32_t executed = 0, told = 0;

	start(SAFE, 1, policy_of(10), b);
	scene_patient();
	for (uint64_t i = 1; i <= CALLS; i++)
		scene_send_request(client, 'Q', i, LEN);
	executed += read_and_lost(newest());
	CU_ASSERT_EQUAL(executed, CALLS);
	CU_ASSERT_EQUAL(account.used, admitted);
	told += replies();
	CU_ASSERT_EQUAL(told, CALLS - admitted);
	for (int i = 0; i < 40 && told < CALLS; i++) {
		lab_advance(2 * MT_MSEC);
		while (lab_n_servers())
			executed += read_and_lost(newest());
		CU_ASSERT_TRUE(account.used <= admitted);
		told += replies();
	}
	CU_ASSERT_EQUAL(told, CALLS);
	CU_ASSERT_TRUE(executed > CALLS && executed <= CALLS + 2 * admitted);
	CU_ASSERT_EQUAL(account.used, 0);
	/* It is over: a failure has its further attempt again. */
	scene_send_request(client, 'Q', 1, LEN);
	CU_ASSERT_EQUAL(read_and_lost(newest()), 1);
	next_attempt();
	answer(newest(), OK);
	CU_ASSERT_EQUAL(reply(), OK);
	stop(executed - CALLS + 1, (uint32_t)scene_counted(MT_PROXY_retry_over_budget));
}

static void test_storm(void)
{
	storm(three, 3);
	storm((struct mt_retry_budget){.bound = MT_RETRY_BOUND_NUMBER, .n = 30}, 30);
	/* The n-th call that is lost is decided while 101 - n are outstanding. */
	storm(fifth, 16);
}

/* ---- outstanding calls ---- */

static void test_counted(void)
{
	struct fake_conn *s;

	start(SAFE, 1, policy_of(10), fifth);
	scene_patient();
	for (uint64_t i = 1; i <= 3; i++)
		scene_send_request(client, 'Q', i, LEN);
	s = newest();
	CU_ASSERT_EQUAL(calls[0].n, 3);
	moved_to_another(NULL);
	CU_ASSERT_EQUAL(calls[0].n, 3);
	scene_answer(s, scene_next_sent(s).id, 7, LEN);
	CU_ASSERT_EQUAL(calls[0].n, 2);
	/* One-way: until it is sent. */
	scene_send_request(client, 'O', 4, LEN);
	CU_ASSERT_EQUAL(calls[0].n, 2);
	/* Without a budget any more, they are still taken out of what counted them. */
	lab.snap->clusters[0].retry_budget.bound = MT_RETRY_UNBOUNDED;
	scene_send_request(client, 'Q', 5, LEN);
	CU_ASSERT_EQUAL(calls[0].n, 2);
	lab_close(client, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(calls[0].n, 0);
	stop(0, 0);
}

const struct mt_test budget_tests[] = {{"returned", test_returned}, {"held", test_held},
	{"reload", test_reload}, {"refused", test_refused}, {"transparent retry", test_transparent},
	{"storm", test_storm}, {"outstanding calls", test_counted}, {0}};
