/* SPDX-License-Identifier: Apache-2.0 */
/* Admission: what a server cannot answer in time is refused, and nothing else is. */
#include "scene.h"

#define CROWD 480

static struct fake_conn *c, *s[2];
static uint64_t next_id, ids[2][8 * CROWD];
static uint32_t got[2], answered[2], refused;

/* Calls have a second. */
static void start(uint32_t n_eps)
{
	scene_start_with(n_eps, &(struct mt_proxy_conf){.max_down = 4,
					.max_up = 64,
					.max_exchanges = 4096,
					.exchange_ms = 1000,
					.ring_slots = 2048,
					.down_outstanding = 4096});
	next_id = 0;
	refused = 0;
	memset(got, 0, sizeof(got));
	memset(answered, 0, sizeof(answered));
	memset(s, 0, sizeof(s));
	c = lab_client(CONFIG_SAFE);
}

/* The client reads, servers take what has come. */
static void collect(void)
{
	for (struct toy r = scene_next_sent(c); r.kind; r = scene_next_sent(c))
		refused += r.status == 1;
	for (uint32_t i = 0; i < lab_n_servers() && i < 2; i++) {
		if (!s[i]) {
			s[i] = lab_server(i);
			lab_connect(s[i]);
		}
		for (struct toy q = scene_next_sent(s[i]); q.kind; q = scene_next_sent(s[i]))
			ids[i][got[i]++] = q.id;
	}
}

static void calls(uint32_t n)
{
	while (n-- > 0) {
		scene_send_request(c, 'Q', next_id++, 64);
		collect();
	}
}

/* The oldest call of a server is answered. */
static void answer(uint32_t server)
{
	if (answered[server] < got[server])
		scene_answer(s[server], ids[server][answered[server]++], 1, 40);
	collect();
}

/* `n` answers of a server, each 2 ms after the last. */
static void works(uint32_t server, uint32_t n)
{
	while (n-- > 0) {
		lab_advance(2 * MT_MSEC);
		answer(server);
	}
}

/* Native refusals since the last call. */
static uint32_t refusals(void)
{
	uint32_t n = refused;

	refused = 0;
	return n;
}

static void stop(void)
{
	for (uint32_t i = 0; i < 2; i++)
		while (answered[i] < got[i])
			answer(i);
	CU_ASSERT_TRUE(lab_n_servers() <= 2);
	refusals();
	scene_bye(c);
	scene_stop();
}

/* Quiet calls first: 2 ms each. */
static void quiet(uint32_t server)
{
	for (uint32_t i = 0; i < 40; i++) {
		calls(1);
		works(server, 1);
	}
	CU_ASSERT_EQUAL(refusals(), 0);
}

/* A burst is not refused for what nobody knows yet; then only as many are out as are answered in time. */
static void test_queue_is_bounded(void)
{
	uint32_t n;

	start(1);
	quiet(0);
	calls(CROWD);
	CU_ASSERT_EQUAL(refusals(), 0);
	works(0, 60);
	/* 420 are out: one more would wait for 0.84 s. */
	calls(50);
	CU_ASSERT_EQUAL(refusals(), 50);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_endpoint_overloaded), 50);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_overload), 50);
	/* There is an endpoint: that counter would send the operator the wrong way. */
	CU_ASSERT_EQUAL(lab.p->lb.counters[MT_UPSTREAM_no_endpoint], 0);
	/* It works off what it has; what can be answered within half a second is taken. */
	works(0, CROWD - 60 - 240);
	calls(50);
	n = refusals();
	CU_ASSERT_TRUE(n >= 36 && n <= 42);
	works(0, 200);
	calls(50);
	CU_ASSERT_EQUAL(refusals(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_timeout), 0);
	stop();
}

/* A server that takes 200 ms for each of any number of calls has no queue. */
static void test_slow_is_not_overloaded(void)
{
	start(1);
	for (uint32_t round = 0; round < 8; round++) {
		calls(round < 2 ? 1 : 500);
		lab_advance(200 * MT_MSEC);
		while (answered[0] < got[0])
			answer(0);
		CU_ASSERT_EQUAL(refusals(), 0);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_endpoint_overloaded), 0);
	stop();
}

/* Another endpoint takes what one cannot. */
static void test_passed_by(void)
{
	uint32_t before;

	start(2);
	for (uint32_t i = 0; i < 80; i++) {
		calls(2);
		lab_advance(2 * MT_MSEC);
		answer(0);
		answer(1);
	}
	calls(2 * CROWD);
	for (uint32_t i = 0; i < 60; i++) {
		lab_advance(2 * MT_MSEC);
		answer(0);
		for (uint32_t k = 0; k < 20; k++)
			answer(1);
	}
	CU_ASSERT_EQUAL(refusals(), 0);
	CU_ASSERT_EQUAL(answered[1], got[1]);
	before = got[1];
	calls(40);
	CU_ASSERT_EQUAL(refusals(), 0);
	CU_ASSERT_EQUAL(got[1], before + 40);
	CU_ASSERT_TRUE(scene_counted(MT_PROXY_endpoint_overloaded) > 0);
	stop();
}

/* Calls have so long. */
static void grant(uint32_t ms)
{
	for (int i = 0; i < 3; i++)
		lab.snap->listeners[i].protos->services[0]->timeout_ms = ms;
}

/* A second and a half in which nothing moves, then all that was answered meanwhile at once. */
static void stall(uint32_t answers)
{
	lab_advance(1500 * MT_MSEC);
	while (answers-- > 0)
		answer(0);
}

/* That the network stood still once says nothing about the server; that it does so all the time, does. */
static void test_a_stall_is_no_pace(void)
{
	start(1);
	grant(10000);
	quiet(0);
	calls(CROWD);
	works(0, 200);
	stall(16);
	CU_ASSERT_TRUE(lab.p->admit[0].pace <= 3 * MT_MSEC);
	calls(50);
	CU_ASSERT_EQUAL(refusals(), 0);
	works(0, 60);
	CU_ASSERT_TRUE(lab.p->admit[0].pace <= 3 * MT_MSEC);
	for (uint32_t i = 0; i < 3; i++)
		stall(8);
	calls(50);
	CU_ASSERT_EQUAL(refusals(), 50);
	stop();
}

/* How slow a server was half a minute ago refuses nothing that it shows to be able to do now. */
static void test_an_old_pace(void)
{
	start(1);
	quiet(0);
	calls(CROWD);
	works(0, CROWD);
	CU_ASSERT_TRUE(lab.p->admit[0].pace >= MT_MSEC);
	lab_advance(30 * MT_SEC);
	calls(240);
	for (uint32_t i = 0; i < 40; i++)
		answer(0);
	/* Of the old pace 300 would take 0.6 s. */
	calls(100);
	CU_ASSERT_EQUAL(refusals(), 0);
	/* But what it does show counts. */
	works(0, 100);
	calls(150);
	CU_ASSERT_TRUE(refusals() > 50);
	stop();
}

/* Callers that are bound to an endpoint by a hash are not sent to another one, which has not what they need. */
static void test_hash_stays(void)
{
	struct mt_cluster *toys;
	uint32_t at;

	start(2);
	toys = &lab.snap->clusters[0];
	mt_cluster_release(toys);
	toys->lb = MT_LB_MAGLEV;
	toys->hash_by = MT_LB_HASH_SOURCE;
	CU_ASSERT_EQUAL_FATAL(mt_cluster_build(toys), 0);
	calls(1);
	at = got[1] > 0;
	works(at, 1);
	quiet(at);
	calls(CROWD);
	works(at, 60);
	calls(50);
	CU_ASSERT_EQUAL(refusals(), 50);
	CU_ASSERT_EQUAL(got[!at], 0);
	stop();
}

const struct mt_test admit_tests[] = {
	{"queue is bounded", test_queue_is_bounded},
	{"slow is not overloaded", test_slow_is_not_overloaded},
	{"passed by", test_passed_by},
	{"a stall is no pace", test_a_stall_is_no_pace},
	{"an old pace", test_an_old_pace},
	{"a hash stays", test_hash_stays},
	{0},
};
