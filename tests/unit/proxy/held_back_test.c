/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client with too many bytes in calls that wait is not decoded, and goes on when some of these
 * calls leave.
 */
#include "scene.h"

#include "mt_proxy_priv.h"

#define SOFT  10000
#define LEN   1000 /* is retained in buffers */
#define CALLS 30

static struct mt_retry policy;
static struct fake_conn *client;
static struct mt_ledger ledger;

static void start(void)
{
	scene_start_with(1, &(struct mt_proxy_conf){.waiting_soft = SOFT});
	scene_patient();
	client = lab_client(CONFIG_SAFE);
}

static void stop(void)
{
	if (client->live)
		lab_close(client, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	scene_stop();
}

static struct mt_down *down(void)
{
	return mt_down_of(&client->s);
}

static void send_calls(uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		scene_send_request(client, 'Q', i, LEN);
}

static uint64_t begun(void)
{
	return scene_counted(MT_PROXY_exchange_started);
}

/* Some calls began, the others wait in the client's receive window. */
static void is_held_back(void)
{
	CU_ASSERT_TRUE(begun() > 0 && begun() < CALLS);
	CU_ASSERT_TRUE(scene_counted(MT_PROXY_paused_waiting) > 0);
	CU_ASSERT_TRUE(down()->paused && client->s.rx.len >= (CALLS - begun()) * LEN);
	CU_ASSERT_EQUAL(client->s.rx_kept, 0);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
}

/* The server answers each call that it has; the client gets these replies. Returns how many. */
static uint32_t answer_all(struct fake_conn *s)
{
	uint32_t n = 0;
	struct toy t;

	lab_advance(MT_MSEC);
	while ((t = scene_next_sent(s)).kind) {
		scene_answer(s, t.id, 1, LEN);
		CU_ASSERT_EQUAL(scene_next_sent(client).status, 0);
		lab_advance(MT_MSEC);
		n++;
	}
	return n;
}

/* Calls that wait for a connection hold the client's next ones back, and none is refused. */
static void test_for_a_connection(void)
{
	uint32_t most;

	start();
	send_calls(CALLS);
	is_held_back();
	most = down()->pending;
	CU_ASSERT_TRUE(most > SOFT && most < SOFT + 2 * MT_LEDGER_LEAST);
	CU_ASSERT_EQUAL(answer_all(scene_connected_server(0)), CALLS);
	CU_ASSERT_EQUAL(begun(), CALLS);
	CU_ASSERT_FALSE(down()->paused);
	stop();
}

/* One call may be larger than the limit. */
static void test_one_large_call(void)
{
	start();
	scene_send_request(client, 'Q', 1, 3 * SOFT);
	scene_send_request(client, 'Q', 2, LEN);
	CU_ASSERT_EQUAL(begun(), 1);
	CU_ASSERT_EQUAL(answer_all(scene_connected_server(0)), 1);
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(begun(), 2);
	stop();
}

static void with_policy(void)
{
	struct mt_route_action *a;

	policy = (struct mt_retry){
		.on = MT_RETRY_LOST, .attempts = 2, .base_ms = 250, .max_ms = 250};
	start();
	a = (struct mt_route_action *)mt_route_at(
		lab.snap->listeners[0].protos->services[0]->routes, 0);
	a->retry = &policy;
	a->retries = true;
}

/* The server reads all calls so far, and its connection ends. */
static void all_are_lost(uint32_t n)
{
	struct fake_conn *s;

	send_calls(n);
	s = scene_connected_server(0);
	while (scene_next_sent(s).kind)
		;
	lab_close(s, MT_CLOSE_RESET);
	CU_ASSERT_TRUE(down()->backing_off > SOFT);
	CU_ASSERT_EQUAL(down()->pending, 0);
}

/* The same with calls that wait for their next attempt. */
static void test_for_an_attempt(void)
{
	with_policy();
	all_are_lost(CALLS / 2);
	send_calls(CALLS / 2);
	is_held_back();
	lab_advance(300 * MT_MSEC);
	CU_ASSERT_EQUAL(down()->backing_off, 0);
	CU_ASSERT_EQUAL(answer_all(scene_connected_server(0)), CALLS);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), CALLS / 2);
	stop();
}

/* The calls lose their further attempts because memory is short: the client goes on. */
static void test_attempts_are_evicted(void)
{
	with_policy();
	all_are_lost(CALLS / 2);
	send_calls(CALLS / 2);
	is_held_back();
	lab_evict(client, MT_CLASS_RETAINED);
	CU_ASSERT_EQUAL(down()->backing_off, 0);
	for (uint32_t i = 0; i < CALLS / 2; i++)
		CU_ASSERT_EQUAL(scene_next_sent(client).first, MT_REPLY_OVERLOAD);
	CU_ASSERT_EQUAL(answer_all(scene_connected_server(0)), CALLS / 2);
	stop();
}

/* Each end of what waits lets the client go on, or leaves nothing of it. */
static void test_ends(void)
{
	start();
	send_calls(CALLS);
	is_held_back();
	lab_close(client, MT_CLOSE_RESET);
	stop();

	start();
	send_calls(CALLS);
	is_held_back();
	lab_evict(client, MT_CLASS_WAITING);
	CU_ASSERT_TRUE(begun() > SOFT / LEN / 2);
	CU_ASSERT_EQUAL(scene_next_sent(client).first, MT_REPLY_OVERLOAD);
	stop();

	with_policy();
	all_are_lost(CALLS / 2);
	send_calls(CALLS / 2);
	is_held_back();
	lab_close(client, MT_CLOSE_RESET);
	stop();
}

/* A client that has sent FIN behind requests that are held back is answered. */
static void test_fin(void)
{
	start();
	send_calls(CALLS);
	lab_fin(client);
	is_held_back();
	CU_ASSERT_EQUAL(answer_all(scene_connected_server(0)), CALLS);
	CU_ASSERT_TRUE(client->shut);
	stop();
}

/* A class with this share is pressed, and so many peers hold some of it. */
static void press(enum mt_class c, uint64_t share, uint64_t holders)
{
	CU_ASSERT_EQUAL_FATAL(mt_ledger_init(&ledger, 64, (uint64_t[2]){1, 2}), 0);
	ledger.pressed = 1u << c;
	ledger.classes[c].share = share;
	ledger.classes[c].holders = holders;
	mt_proxy_attach_ledger(lab.p, &ledger);
}

static void stop_ledger(void)
{
	mt_proxy_attach_ledger(lab.p, NULL);
	mt_ledger_fini(&ledger);
	stop();
}

/*
 * If calls that wait use up half of their share of the memory, a client with more than half of an
 * equal part of it is held back, though it is below its own limit, until that has ended.
 */
static void test_pressure(void)
{
	start();
	lab.p->conf.waiting_soft = 1 << 20;
	press(MT_CLASS_WAITING, 40 * SOFT, 20);
	send_calls(CALLS);
	is_held_back();
	ledger.classes[MT_CLASS_WAITING].holders = 8;
	lab_advance(20 * MT_MSEC);
	is_held_back();
	CU_ASSERT_TRUE(down()->pending > 2 * SOFT);
	ledger.pressed = 0;
	lab_advance(20 * MT_MSEC);
	CU_ASSERT_EQUAL(begun(), CALLS);
	CU_ASSERT_EQUAL(answer_all(scene_connected_server(0)), CALLS);
	stop_ledger();
}

#define OTHERS 9 /* connections of the client's address */

/* Each of them holds so much of a class. */
static void others_hold(uint32_t accounts[OTHERS], enum mt_class c, uint32_t bytes)
{
	struct mt_sums now = {0}, none = {0};

	now.of[c] = bytes;
	for (uint32_t i = 0; i < OTHERS; i++) {
		struct mt_account_owner owner = {.conn = i,
			.side = MT_SIDE_CLIENT,
			.peer = mt_stream_ends(&client->s)->remote};

		mt_ledger_settle(&ledger, &accounts[i], &none, &now, &owner, true);
	}
	mt_ledger_turn(&ledger);
}

/*
 * No connection of an address has half of an equal part, but together they have more: each is held
 * back at its part of that half, until the pressure has ended.
 */
static void pressure_of_many(enum mt_class c)
{
	uint32_t accounts[OTHERS] = {0}, n = c == MT_CLASS_WAITING ? CALLS : CALLS / 2;

	with_policy();
	lab.p->conf.waiting_soft = 1 << 20;
	if (c == MT_CLASS_RETAINED)
		all_are_lost(CALLS / 2);
	press(c, 2 * OTHERS * SOFT, 0);
	others_hold(accounts, c, SOFT + 1);
	CU_ASSERT_EQUAL(ledger.pressed, 1u << c);
	send_calls(n);
	is_held_back();
	CU_ASSERT_TRUE(down()->pending < 3 * SOFT);
	lab_advance(20 * MT_MSEC);
	is_held_back();
	others_hold(accounts, c, 0);
	CU_ASSERT_EQUAL(ledger.pressed, 0);
	lab_advance(20 * MT_MSEC);
	CU_ASSERT_EQUAL(begun(), CALLS);
	stop_ledger();
}

static void test_pressure_of_many(void)
{
	pressure_of_many(MT_CLASS_WAITING);
	pressure_of_many(MT_CLASS_RETAINED);
}

/* The same with calls that wait for their next attempt, and the share of retained requests. */
static void test_pressure_of_attempts(void)
{
	with_policy();
	lab.p->conf.waiting_soft = 1 << 20;
	all_are_lost(CALLS / 2);
	press(MT_CLASS_RETAINED, 2 * SOFT, 1);
	send_calls(CALLS / 2);
	is_held_back();
	ledger.pressed = 0;
	lab_advance(20 * MT_MSEC);
	CU_ASSERT_EQUAL(begun(), CALLS);
	stop_ledger();
}

const struct mt_test held_back_tests[] = {{"for a connection", test_for_a_connection},
	{"one large call", test_one_large_call}, {"for an attempt", test_for_an_attempt},
	{"attempts are evicted", test_attempts_are_evicted}, {"ends", test_ends}, {"fin", test_fin},
	{"pressure", test_pressure}, {"pressure of many", test_pressure_of_many},
	{"pressure of attempts", test_pressure_of_attempts}, {NULL}};
