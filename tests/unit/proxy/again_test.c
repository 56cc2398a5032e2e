/* SPDX-License-Identifier: Apache-2.0 */
/* Further attempts by the retry policy of a route. */
#include "mirror_scene.h"
#include "moved.h"
#include "scene.h"

#include "mt_proxy_priv.h"

#define SAFE   0 /* listeners' indexes */
#define SERIAL 2
#define NAMED  3
#define LEN    64

static struct mt_retry policy;
static struct fake_conn *client;
static uint32_t len; /* of calls */

/* A client of that listener, whose route has this policy; its cluster has n_eps endpoints. */
static void start(uint32_t listener, uint32_t n_eps, struct mt_retry with)
{
	static const uint16_t ports[] = {CONFIG_SAFE, CONFIG_OPAQUE, CONFIG_SERIAL, CONFIG_NAMED};
	struct mt_route_action *a;

	policy = with;
	len = LEN;
	toy_noted.stale = 0;
	scene_start(n_eps);
	a = (struct mt_route_action *)mt_route_at(
		lab.snap->listeners[listener].protos->services[0]->routes, 0);
	a->retry = &policy;
	a->retries = true;
	client = lab_client(ports[listener]);
}

static void stop(uint32_t attempts)
{
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), attempts);
	CU_ASSERT_EQUAL(toy_noted.stale, 0);
	if (client->live)
		lab_close(client, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	scene_stop();
}

/* The server has one call, the client's, as it was sent. */
static struct toy got(struct fake_conn *s)
{
	struct toy q = scene_next_sent(s);

	CU_ASSERT_EQUAL(q.kind, 'Q');
	CU_ASSERT_EQUAL(q.len, len);
	CU_ASSERT_STRING_EQUAL(q.method, "call");
	CU_ASSERT_EQUAL(scene_next_sent(s).kind, 0);
	return q;
}

/* The server reads the call, and its connection ends. */
static void read_and_lost(struct fake_conn *s)
{
	got(s);
	lab_close(s, MT_CLOSE_RESET);
}

/* The server's TCP resets the connection, and has nothing of the call. */
static void not_read(struct fake_conn *s)
{
	s->end.reset_ack = true;
	s->end.reset_acked = s->end.pos.acked;
	lab_close(s, MT_CLOSE_RESET);
}

static void is_waiting(void)
{
	CU_ASSERT_EQUAL(scene_next_sent(client).kind, 0);
	CU_ASSERT_EQUAL(lab.p->n_attempts, 0);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
}

/* Some server has the call now, and answers; the client has just that answer. */
static void answered(uint64_t id)
{
	struct fake_conn *s = scene_connected_server(lab_n_servers() - 1);
	struct toy t;

	scene_answer(s, got(s).id, 7, LEN);
	t = scene_next_sent(client);
	CU_ASSERT_EQUAL(t.kind, 'P');
	CU_ASSERT_EQUAL(t.id, id);
	CU_ASSERT_EQUAL(t.status, 0);
	CU_ASSERT_EQUAL(scene_next_sent(client).kind, 0);
}

static void is_told(enum mt_local_reply what)
{
	struct toy t = scene_next_sent(client);

	CU_ASSERT_EQUAL(t.id, 1);
	CU_ASSERT_EQUAL(t.status, 1);
	CU_ASSERT_EQUAL(t.first, what);
}

/* A call that was read is sent again only if the policy says so. */
static void test_lost(void)
{
	static const uint32_t lens[] = {LEN, MT_RETAIN_HERE, MT_RETAIN_HERE + 1, 60000};

	start(SAFE, 1,
		(struct mt_retry){
			.on = MT_RETRY_UNSENT, .attempts = 2, .base_ms = 25, .max_ms = 250});
	scene_send_request(client, 'Q', 1, len);
	read_and_lost(scene_connected_server(0));
	is_told(MT_REPLY_CONN_LOST);
	stop(0);

	for (size_t i = 0; i < MT_ARRAY_LEN(lens); i++) {
		start(SAFE, 1,
			(struct mt_retry){
				.on = MT_RETRY_LOST, .attempts = 2, .base_ms = 25, .max_ms = 250});
		len = lens[i];
		scene_send_request(client, 'Q', 1, len);
		CU_ASSERT_EQUAL(lab_holds(client).of[MT_CLASS_RETAINED] > 0, len > MT_RETAIN_HERE);
		read_and_lost(scene_connected_server(0));
		is_waiting();
		lab_advance(26 * MT_MSEC);
		answered(1);
		CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, SAFE)->requests, 1);
		CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, SAFE)->ok, 1);
		stop(1);
	}
}

/*
 * The server's TCP has a part of the call, and resets the rest, perhaps after a FIN: the server
 * cannot have run it. The retained request is sent again, which needs no attempt of the policy. Of
 * other protocols such a call may have run.
 */
static void test_part_acknowledged(void)
{
	static const uint32_t lens[] = {LEN, 60000};

	for (size_t i = 0; i < 4 * MT_ARRAY_LEN(lens); i++) {
		bool whole = i < 2 * MT_ARRAY_LEN(lens), fin = i / MT_ARRAY_LEN(lens) % 2;
		struct fake_conn *s;

		start(whole ? SAFE : SERIAL, 1,
			(struct mt_retry){.on = MT_RETRY_UNSENT,
				.attempts = 2,
				.base_ms = 25,
				.max_ms = 250});
		len = lens[i % MT_ARRAY_LEN(lens)];
		scene_send_request(client, 'Q', 1, len);
		s = scene_connected_server(0);
		lab_take(s, scene_buf, len / 2);
		if (fin)
			lab_fin(s);
		CU_ASSERT_EQUAL(s->detached, fin && !whole);
		s->end.reset_ack = !fin;
		s->end.reset_acked = s->end.pos.acked;
		lab_close(s, MT_CLOSE_RESET);
		if (whole)
			answered(1);
		else
			is_told(MT_REPLY_CONN_LOST);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_transparent_retry), whole);
		stop(0);
	}
}

static uint32_t buffers_in_use(void)
{
	mt_pools_sample(&lab.pools);
	return lab.pools.data_total - lab.pools.data_free;
}

/*
 * A long request is not copied: what is retained shares its buffers. The id of an attempt is not
 * in the bytes of the next one.
 */
static void test_long_ones_share_buffers(void)
{
	static uint8_t first[20000], second[20000];
	struct fake_conn *s;
	uint32_t before;

	start(SAFE, 1,
		(struct mt_retry){
			.on = MT_RETRY_LOST, .attempts = 1, .base_ms = 25, .max_ms = 250});
	before = buffers_in_use();
	len = sizeof(first);
	scene_send_request(client, 'Q', 1, len);
	CU_ASSERT_TRUE(buffers_in_use() - before <= sizeof(first) / 2048 + 2);
	CU_ASSERT_TRUE(lab_holds(client).of[MT_CLASS_RETAINED] >= sizeof(first));
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(lab_take(s, first, len), len);
	lab_close(s, MT_CLOSE_RESET);
	lab_advance(26 * MT_MSEC);
	s = scene_connected_server(lab_n_servers() - 1);
	CU_ASSERT_EQUAL(lab_take(s, second, len), len);
	CU_ASSERT_EQUAL(memcmp(first, second, 8), 0);
	CU_ASSERT_NOT_EQUAL(memcmp(first + 8, second + 8, 8), 0);
	CU_ASSERT_EQUAL(memcmp(first + 16, second + 16, len - 16), 0);
	scene_answer(s, toy_parse(second, len).id, 7, LEN);
	CU_ASSERT_EQUAL(scene_next_sent(client).id, 1);
	stop(1);
}

static void test_attempts_are_bounded(void)
{
	start(SAFE, 1,
		(struct mt_retry){
			.on = MT_RETRY_LOST, .attempts = 2, .base_ms = 25, .max_ms = 250});
	scene_send_request(client, 'Q', 1, len);
	for (int i = 0; i < 2; i++) {
		read_and_lost(scene_connected_server(0));
		is_waiting();
		lab_advance(51 * MT_MSEC);
	}
	read_and_lost(scene_connected_server(0));
	is_told(MT_REPLY_CONN_LOST);
	stop(2);
}

/* ms until the server is connected to again. */
static uint64_t wait_ms(void)
{
	uint64_t from = lab.now;

	while (lab_n_servers() == 0)
		lab_advance(MT_MSEC);
	return (lab.now - from) / MT_MSEC;
}

/* Calls with two attempts that are read and lost: a third one would eject the endpoint. */
enum { BACK_OFFS = 2 };

static void back_offs(uint32_t calls, struct mt_retry with, uint64_t sum[BACK_OFFS])
{
	start(SAFE, 1, with);
	scene_patient();
	for (uint64_t i = 0; i < calls; i++) {
		scene_send_request(client, 'Q', i, len);
		for (uint32_t n = 0; n < BACK_OFFS; n++) {
			uint64_t ms;

			read_and_lost(scene_connected_server(0));
			ms = wait_ms();
			sum[n] += ms;
			CU_ASSERT_TRUE(ms <= MT_MIN(with.base_ms << n, with.max_ms));
		}
		answered(i);
		lab_close(lab_server(0), MT_CLOSE_OK);
	}
	stop(calls * BACK_OFFS);
}

/* Waits are within bounds that double up to a maximum, and their means are half of it, as Envoy's. */
static void test_back_off(void)
{
	static const struct {
		uint32_t base, max;
		uint64_t means[BACK_OFFS];
	} rows[] = {{80, 800, {40, 80}}, {1000, 160, {80, 80}}, {80, 120, {40, 60}}};
	enum { ROUNDS = 4, CALLS = 50 };

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_retry with = {.on = MT_RETRY_LOST,
			.attempts = BACK_OFFS,
			.base_ms = rows[i].base,
			.max_ms = rows[i].max};
		uint64_t sum[BACK_OFFS] = {0};

		for (uint32_t k = 0; k < ROUNDS; k++)
			back_offs(CALLS, with, sum);
		for (uint32_t n = 0; n < BACK_OFFS; n++) {
			uint64_t mean = sum[n] / (ROUNDS * CALLS), want = rows[i].means[n];

			/* Five standard deviations of the mean are 20.4 % of it. */
			CU_ASSERT_TRUE(mean >= want * 79 / 100 && mean <= want * 121 / 100);
		}
	}
}

/* An endpoint that was not tried is preferred; with one endpoint it is tried again. */
static void test_other_host(void)
{
	uint8_t host;

	for (int same = 0; same < 2; same++) {
		start(SAFE, 3,
			(struct mt_retry){.on = MT_RETRY_LOST,
				.attempts = 3,
				.base_ms = 10,
				.max_ms = 10,
				.same_hosts = same});
		lab.snap->clusters[0].lb = MT_LB_RANDOM;
		for (uint64_t i = 1; i <= 20; i++) {
			scene_send_request(client, 'Q', i, len);
			host = lab_server(lab_n_servers() - 1)->t.remote.b[15];
			read_and_lost(scene_connected_server(lab_n_servers() - 1));
			lab_advance(11 * MT_MSEC);
			if (!same)
				CU_ASSERT_NOT_EQUAL(
					lab_server(lab_n_servers() - 1)->t.remote.b[15], host);
			answered(i);
			while (lab_n_servers())
				lab_close(lab_server(0), MT_CLOSE_OK);
		}
		stop(20);
	}
}

/* An attempt takes too long, so the call has another one. A late reply to the first is dropped. */
static void test_time_of_a_try(void)
{
	struct fake_conn *s;
	uint64_t first;

	start(SAFE, 2,
		(struct mt_retry){.on = MT_RETRY_LOST,
			.attempts = 1,
			.try_ms = 100,
			.base_ms = 10,
			.max_ms = 10});
	scene_send_request(client, 'Q', 1, len);
	s = scene_connected_server(0);
	first = got(s).id;
	lab_advance(99 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), 0);
	lab_advance(2 * MT_MSEC);
	is_waiting();
	lab_advance(11 * MT_MSEC);
	scene_answer(s, first, 9, LEN);
	CU_ASSERT_EQUAL(scene_next_sent(client).kind, 0);
	answered(1);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, SAFE)->timeouts, 0);
	stop(1);

	/* Without a reason of the policy, it ends the call. */
	start(SAFE, 2,
		(struct mt_retry){.on = MT_RETRY_UNSENT,
			.attempts = 1,
			.try_ms = 100,
			.base_ms = 10,
			.max_ms = 10});
	scene_send_request(client, 'Q', 1, len);
	got(scene_connected_server(0));
	lab_advance(101 * MT_MSEC);
	is_told(MT_REPLY_TIMEOUT);
	stop(0);
}

/*
 * An attempt that was not read is repeated, and waits for its connection. The time of an attempt
 * begins when that one is sent, too.
 */
static void test_time_begins_again(void)
{
	static const uint32_t on[] = {MT_RETRY_LOST, MT_RETRY_UNSENT};

	for (size_t i = 0; i < MT_ARRAY_LEN(on); i++) {
		struct fake_conn *s;

		start(SAFE, 1,
			(struct mt_retry){.on = on[i],
				.attempts = 1,
				.try_ms = 100,
				.base_ms = 10,
				.max_ms = 10});
		scene_send_request(client, 'Q', 1, len);
		s = lab_server(0);
		lab_connect(s);
		lab_advance(50 * MT_MSEC);
		not_read(s);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_transparent_retry), 1);
		lab_advance(60 * MT_MSEC);
		CU_ASSERT_EQUAL(scene_next_sent(client).kind, 0);
		CU_ASSERT_EQUAL(lab.p->n_attempts, 1);
		s = scene_connected_server(0);
		lab_advance(90 * MT_MSEC);
		scene_answer(s, got(s).id, 7, LEN);
		CU_ASSERT_EQUAL(scene_next_sent(client).status, 0);
		CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, SAFE)->timeouts, 0);
		stop(0);
	}
}

/* The call's own time-out applies to a call that was not read, and waits. */
static void test_time_of_the_call_again(void)
{
	start(SAFE, 1,
		(struct mt_retry){.on = MT_RETRY_LOST,
			.attempts = 1,
			.try_ms = 100,
			.base_ms = 10,
			.max_ms = 10});
	scene_send_request(client, 'Q', 1, len);
	not_read(scene_connected_server(0));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_transparent_retry), 1);
	for (int i = 0; i < 100 && client->sent.len == 0; i++)
		lab_advance(50 * MT_MSEC);
	CU_ASSERT_NOT_EQUAL(client->sent.len, 0);
	scene_next_sent(client);
	stop((uint32_t)scene_counted(MT_PROXY_retry_by_policy));
}

static void ends_after(uint64_t ms)
{
	lab_advance((ms - 1) * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(client).kind, 0);
	lab_advance(2 * MT_MSEC);
	is_told(MT_REPLY_TIMEOUT);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, SAFE)->timeouts, 1);
	CU_ASSERT_EQUAL(lab.p->n_attempts, 0);
}

/* The time of an attempt ends a call that gets no further one. */
static void test_time_of_the_only_try(void)
{
	static const struct mt_retry times = {.on = MT_RETRY_LOST, .try_ms = 100};
	static const struct mt_retry both = {
		.on = MT_RETRY_LOST, .attempts = 2, .try_ms = 100, .base_ms = 10, .max_ms = 10};
	enum { LONG = 70000 };

	start(SAFE, 2, times);
	len = 1000;
	scene_send_request(client, 'Q', 1, len);
	CU_ASSERT_EQUAL(lab_holds(client).of[MT_CLASS_RETAINED], 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_disarmed), 0);
	got(scene_connected_server(0));
	ends_after(100);
	stop(0);

	/* Too long to be retained; the time begins at its last byte. */
	start(SAFE, 2, both);
	toy_make(scene_buf, 'Q', 1, "call", LONG);
	lab_feed(client, scene_buf, LONG / 2);
	lab_connect(lab_server(0));
	lab_advance(200 * MT_MSEC);
	lab_feed(client, scene_buf + LONG / 2, LONG - LONG / 2);
	ends_after(100);
	stop(0);

	/* No reply comes to a one-way call. */
	start(SAFE, 2, both);
	scene_send_request(client, 'O', 1, LEN);
	lab_connect(lab_server(0));
	lab_advance(200 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(client).kind, 0);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, SAFE)->timeouts, 0);
	stop(0);
}

/* On a connection without ids a call is repeated only if its method is known to answer. */
static void test_serial(void)
{
	for (int known = 0; known < 2; known++) {
		start(NAMED, 1,
			(struct mt_retry){.on = MT_RETRY_LOST,
				.attempts = 1,
				.try_ms = 100,
				.base_ms = 10,
				.max_ms = 10});
		if (known) {
			scene_send_request(client, 'Q', 1, len);
			answered(1);
		}
		scene_send_request(client, 'Q', 1, len);
		got(scene_connected_server(0));
		lab_advance(101 * MT_MSEC);
		if (!known) {
			is_told(MT_REPLY_TIMEOUT);
		} else {
			CU_ASSERT_EQUAL(lab_n_servers(), 0); /* so no late reply can come */
			is_waiting();
			lab_advance(11 * MT_MSEC);
			answered(1);
		}
		stop((uint32_t)known);
	}
}

/* Attempts for which no connection can be had come on top of those of the policy. */
static void test_unsent(void)
{
	start(SAFE, 1,
		(struct mt_retry){
			.on = MT_RETRY_UNSENT, .attempts = 2, .base_ms = 10, .max_ms = 10});
	lab.refuse_open = true;
	scene_send_request(client, 'Q', 1, len);
	is_waiting();
	lab_advance(11 * MT_MSEC);
	is_waiting();
	lab.refuse_open = false;
	lab_advance(11 * MT_MSEC);
	answered(1);
	stop(2);

	start(SAFE, 1,
		(struct mt_retry){.on = MT_RETRY_LOST, .attempts = 2, .base_ms = 10, .max_ms = 10});
	lab.refuse_open = true;
	scene_send_request(client, 'Q', 1, len);
	is_told(MT_REPLY_NO_ENDPOINT);
	stop(0);
}

/* The call's own time-out ends it, however many attempts are left; so does its client. */
static void test_ends_in_vain(void)
{
	start(SAFE, 1,
		(struct mt_retry){
			.on = MT_RETRY_LOST, .attempts = 200, .base_ms = 250, .max_ms = 250});
	scene_send_request(client, 'Q', 1, len);
	for (int i = 0; i < 100 && client->sent.len == 0; i++) {
		if (lab_n_servers())
			read_and_lost(scene_connected_server(0));
		lab_advance(50 * MT_MSEC);
	}
	is_told(MT_REPLY_TIMEOUT);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, SAFE)->timeouts, 1);
	stop((uint32_t)scene_counted(MT_PROXY_retry_by_policy));

	start(SAFE, 1,
		(struct mt_retry){
			.on = MT_RETRY_LOST, .attempts = 2, .base_ms = 250, .max_ms = 250});
	scene_send_request(client, 'Q', 1, len);
	read_and_lost(scene_connected_server(0));
	is_waiting();
	lab_close(client, MT_CLOSE_RESET);
	lab_advance(MT_SEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_client_closed), 1);
	stop(1);
}

/* One-way calls, and those that are too long, are sent once. */
static void test_not_retained(void)
{
	start(SAFE, 1,
		(struct mt_retry){.on = MT_RETRY_LOST, .attempts = 2, .base_ms = 10, .max_ms = 10});
	scene_send_request(client, 'O', 1, LEN);
	scene_next_sent(scene_connected_server(0));
	lab_close(lab_server(0), MT_CLOSE_RESET);
	lab_advance(100 * MT_MSEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	scene_send_request(client, 'Q', 1, 70000);
	scene_next_sent(scene_connected_server(0));
	lab_close(lab_server(0), MT_CLOSE_RESET);
	is_told(MT_REPLY_CONN_LOST);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_disarmed), 1);
	stop(0);
}

/* Memory for retained requests is used up: its largest client's calls get no further attempts. */
static void test_evicted(void)
{
	struct fake_conn *s;

	start(SAFE, 2,
		(struct mt_retry){
			.on = MT_RETRY_LOST, .attempts = 2, .base_ms = 250, .max_ms = 250});
	len = 1000;
	scene_send_request(client, 'Q', 2, len);
	s = scene_connected_server(0);
	read_and_lost(s);
	scene_send_request(client, 'Q', 3, len);
	CU_ASSERT_TRUE(lab_holds(client).of[MT_CLASS_RETAINED] > 0);
	lab_evict(client, MT_CLASS_RETAINED);
	CU_ASSERT_EQUAL(lab_holds(client).of[MT_CLASS_RETAINED], 0);
	CU_ASSERT_EQUAL(scene_next_sent(client).first, MT_REPLY_OVERLOAD); /* it waited */
	answered(3);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_evicted_retained), 1);
	stop(1);
}

/* A call that gets no further attempt after all is answered in its turn. */
static void test_answered_in_turn(void)
{
	struct fake_conn *first;
	struct toy t;

	start(NAMED, 1,
		(struct mt_retry){
			.on = MT_RETRY_LOST, .attempts = 2, .base_ms = 250, .max_ms = 250});
	len = 1000;
	scene_send_request(client, 'Q', 1, len);
	answered(1);
	scene_send_request(client, 'Q', 2, len);
	first = scene_connected_server(0);
	t = got(first);
	scene_send_request(client, 'Q', 3, len);
	read_and_lost(scene_connected_server(1));
	lab_evict(client, MT_CLASS_RETAINED);
	CU_ASSERT_EQUAL(scene_next_sent(client).kind, 0);
	scene_answer(first, t.id, 7, LEN);
	CU_ASSERT_EQUAL(scene_next_sent(client).id, 2);
	t = scene_next_sent(client);
	CU_ASSERT_EQUAL(t.id, 3);
	CU_ASSERT_EQUAL(t.first, MT_REPLY_OVERLOAD);
	stop(1);
}

/* A mirror gets one copy, however many attempts there are. */
static void test_one_copy(void)
{
	start(SAFE, 1,
		(struct mt_retry){.on = MT_RETRY_LOST, .attempts = 2, .base_ms = 10, .max_ms = 10});
	mirror_in(lab.snap, SAFE, 1000000);
	scene_send_request(client, 'Q', 1, len);
	read_and_lost(mirror_connected(false, 0));
	lab_advance(11 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_started), 1);
	got(mirror_connected(false, 0));
	lab_close(client, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	mt_cluster_release(&lab.snap->clusters[1]);
	stop(1);
}

/* Another worker, and then another configuration, goes on with what waits. */
static void test_moved(void)
{
	struct mt_snapshot *s;

	for (int i = 0; i < 2; i++) {
		start(SAFE, 1,
			(struct mt_retry){
				.on = MT_RETRY_LOST, .attempts = 2, .base_ms = 250, .max_ms = 250});
		len = i ? 1000 : LEN;
		scene_send_request(client, 'Q', 1, len);
		read_and_lost(scene_connected_server(0));
		moved_to_another(NULL);
		is_waiting();
		lab_advance(251 * MT_MSEC);
		answered(1);
		stop(1);
	}

	for (int gone = 0; gone < 2; gone++) {
		start(SAFE, 1,
			(struct mt_retry){
				.on = MT_RETRY_LOST, .attempts = 2, .base_ms = 250, .max_ms = 250});
		scene_send_request(client, 'Q', 1, len);
		read_and_lost(scene_connected_server(0));
		s = config_make(1, lab.snap->version + 1, 1, true);
		s->keep_from = s->version;
		if (gone)
			s->clusters[0].id++;
		mt_proxy_adopt(lab.p, s);
		lab_advance(MT_MSEC);
		is_waiting();
		lab_advance(250 * MT_MSEC);
		if (gone)
			is_told(MT_REPLY_CONN_LOST);
		else
			answered(1);
		stop(1);
		config_free(1);
	}
}

/* A server answers the call with a reply of this status. */
static void replies(struct fake_conn *s, uint8_t status, uint32_t bytes)
{
	uint64_t id = got(s).id;

	toy_make(scene_buf, 'P', id, "fail", bytes);
	scene_buf[2] = status;
	lab_feed(s, scene_buf, bytes);
}

/* The client has this reply of a server, and no other. */
static void has(uint8_t status)
{
	struct toy t = scene_next_sent(client);

	CU_ASSERT_EQUAL(t.kind, 'P');
	CU_ASSERT_EQUAL(t.id, 1);
	CU_ASSERT_EQUAL(t.status, status);
	CU_ASSERT_STRING_EQUAL(t.method, "fail");
	CU_ASSERT_EQUAL(scene_next_sent(client).kind, 0);
}

static const struct {
	uint8_t status;
	uint32_t on;
} rejected[] = {
	{TOY_SERVER_ERROR, MT_RETRY_SERVER_ERROR},
	{TOY_OVERLOAD, MT_RETRY_OVERLOAD},
	{TOY_UNAVAILABLE, MT_RETRY_UNAVAILABLE},
	{TOY_DEADLINE, MT_RETRY_DEADLINE},
	{TOY_CALLER, 0},
};

/* Errors of a class that the policy names are dropped for another attempt, others forwarded. */
static void test_errors(void)
{
	static const uint32_t all = MT_RETRY_SERVER_ERROR | MT_RETRY_OVERLOAD |
				    MT_RETRY_UNAVAILABLE | MT_RETRY_DEADLINE;

	for (size_t i = 0; i < 4 * MT_ARRAY_LEN(rejected); i++) {
		uint32_t on = rejected[i / 4].on;
		bool named = i & 1, serial = i & 2;

		start(serial ? SERIAL : SAFE, 2,
			(struct mt_retry){.on = named ? on : (all & ~on) | MT_RETRY_LOST,
				.attempts = 2,
				.base_ms = 10,
				.max_ms = 10});
		scene_send_request(client, 'Q', 1, len);
		replies(scene_connected_server(0), rejected[i / 4].status, LEN);
		if (!named || !on) {
			has(rejected[i / 4].status);
			stop(0);
			continue;
		}
		is_waiting();
		lab_advance(11 * MT_MSEC);
		answered(1);
		CU_ASSERT_EQUAL(
			mt_proxy_service_stats(lab.p, serial ? SERIAL : SAFE)->proto_error, 0);
		CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, serial ? SERIAL : SAFE)->ok, 1);
		stop(1);
	}
}

/* The last attempt's error is the client's reply; it counts once for the service. */
static void test_errors_only(void)
{
	start(SAFE, 1,
		(struct mt_retry){
			.on = MT_RETRY_UNAVAILABLE, .attempts = 2, .base_ms = 10, .max_ms = 10});
	scene_send_request(client, 'Q', 1, len);
	replies(scene_connected_server(0), TOY_UNAVAILABLE, LEN);
	for (int i = 0; i < 2; i++) {
		is_waiting();
		lab_advance(11 * MT_MSEC);
		replies(lab_server(0), TOY_UNAVAILABLE, LEN);
	}
	has(TOY_UNAVAILABLE);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, SAFE)->requests, 1);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, SAFE)->proto_error, 1);
	stop(2);
}

/* A reply that is forwarded while it arrives is the client's. */
static void test_long_error(void)
{
	enum { LONG = 70000 };
	uint32_t n = 0, got;

	start(SAFE, 1,
		(struct mt_retry){
			.on = MT_RETRY_UNAVAILABLE, .attempts = 2, .base_ms = 10, .max_ms = 10});
	scene_send_request(client, 'Q', 1, len);
	replies(scene_connected_server(0), TOY_UNAVAILABLE, LONG);
	while ((got = lab_take(client, scene_buf + n, SCENE_BUF - n)) > 0)
		n += got;
	CU_ASSERT_EQUAL(n, LONG);
	CU_ASSERT_EQUAL(scene_buf[2], TOY_UNAVAILABLE);
	stop(0);
}

const struct mt_test again_tests[] = {{"read and lost", test_lost},
	{"part acknowledged", test_part_acknowledged},
	{"long ones share buffers", test_long_ones_share_buffers},
	{"attempts are bounded", test_attempts_are_bounded}, {"back-off", test_back_off},
	{"another host", test_other_host}, {"the time of a try", test_time_of_a_try},
	{"a time begins again", test_time_begins_again},
	{"the call's time again", test_time_of_the_call_again},
	{"the time of the only try", test_time_of_the_only_try}, {"without ids", test_serial},
	{"unsent", test_unsent}, {"in vain", test_ends_in_vain},
	{"not retained", test_not_retained}, {"evicted", test_evicted},
	{"answered in turn", test_answered_in_turn}, {"one copy", test_one_copy},
	{"moved", test_moved}, {"errors", test_errors}, {"errors only", test_errors_only},
	{"a long error", test_long_error}, {0}};
