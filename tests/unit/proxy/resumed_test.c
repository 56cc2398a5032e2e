/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replies at which filters have waited, or that filters read: what reading them takes of an
 * iteration, and the latency with which they count.
 */
#include "scene.h"

#include "mt_proxy_priv.h"

#include <string.h>

#define LEN    64   /* of requests and replies */
#define COSTLY 3000 /* steps */
#define CALLS  20u

static bool waits;
static uint32_t reads;
static struct mt_filter_ticket ticket; /* of the last wait */
static struct fake_conn *client, *server;

/* The first filter waits for its thread, */
static enum mt_filter_verdict on_first(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	(void)f;
	(void)v;
	ticket = mt_filter_ticket_of(ctx);
	return waits ? MT_FILTER_SUSPEND : MT_FILTER_NEXT;
}

/* and the second one reads the reply. */
static enum mt_filter_verdict on_second(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	(void)f;
	(void)ctx;
	(void)mt_view_read(v);
	reads++;
	return MT_FILTER_NEXT;
}

static const struct mt_filter first = {.name = "first", .on_reply = on_first},
			      second = {.name = "second", .on_reply = on_second};
static struct mt_filter_inst chain[2] = {{.type = &first}, {.type = &second}};

static void start(bool first_waits)
{
	scene_start(1);
	memset(&toy_noted, 0, sizeof(toy_noted));
	waits = first_waits;
	reads = 0;
	scene_filters(chain, 2);
	client = lab_client(CONFIG_SAFE);
}

static void stop(void)
{
	toy_noted.takes = 0;
	lab_close(client, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	scene_stop();
}

static void ask(uint64_t id)
{
	scene_send_request(client, 'Q', id, LEN);
	server = scene_connected_server(0);
}

/* Runs iterations until all replies were read, a few in each. Then the client has them. */
static void read_in_turn(uint32_t most)
{
	for (uint32_t turns = 0; reads < CALLS && turns < CALLS; turns++) {
		uint32_t before = reads;

		CU_ASSERT_EQUAL(mt_proxy_next(lab.p), lab.p->now);
		lab_advance(1);
		CU_ASSERT(reads > before && reads <= before + most);
	}
	CU_ASSERT_EQUAL(reads, CALLS);
	for (uint32_t i = 0; i < CALLS; i++)
		CU_ASSERT_EQUAL(scene_next_sent(client).kind, 'P');
}

/* A few costly replies in an iteration are read again after their waits. */
static void test_waits(void)
{
	const struct mt_filter_completion done = {.size = sizeof(done), .verdict = MT_FILTER_NEXT};
	struct mt_filter_ticket tickets[CALLS];

	start(true);
	for (uint32_t i = 0; i < CALLS; i++) {
		ask(1 + i);
		scene_answer(server, scene_next_sent(server).id, 9, LEN);
		tickets[i] = ticket;
	}
	toy_noted.takes = COSTLY;
	for (uint32_t i = 0; i < CALLS; i++)
		CU_ASSERT_EQUAL(mt_filter_complete(&tickets[i], &done), 0);
	read_in_turn(MT_RESUME_STEPS / COSTLY + 1);
	CU_ASSERT_EQUAL(lab.p->filters.counters[MT_FILTER_completions], CALLS);
	stop();
}

/* What filters read of replies as they come counts for the server's connection. */
static void test_as_they_come(void)
{
	uint64_t ids[CALLS];

	start(false);
	for (uint32_t i = 0; i < CALLS; i++) {
		ask(1 + i);
		ids[i] = scene_next_sent(server).id;
	}
	for (uint32_t i = 0; i < CALLS; i++)
		toy_make(scene_buf + i * LEN, 'P', ids[i], "done", LEN);
	toy_noted.takes = COSTLY;
	lab_feed(server, scene_buf, CALLS * LEN);
	CU_ASSERT(reads > 0 && reads <= MT_READING_SHARE / COSTLY + 1);
	read_in_turn(MT_READING_SHARE / COSTLY + 1);
	stop();
}

/* Bucket of the only call in the service's histogram; -1: there is none. */
static int bucket(void)
{
	const struct mt_service_hist *h = mt_proxy_service_hist(lab.p, 0);

	for (int i = 0; i < MT_LATENCY_BUCKETS; i++)
		if (h->latency[i])
			return i;
	return -1;
}

/* The latency of the only exemplar, us; -1: there is none. */
static int64_t exemplar(void)
{
	const struct mt_exemplars *x = mt_proxy_exemplars(lab.p, 0);
	struct mt_exemplar e;

	for (uint32_t i = 0; i < MT_EXEMPLARS; i++)
		if (mt_exemplar_read(x, i, &e))
			return (int64_t)e.us;
	return -1;
}

/* An exemplar has the latency with which its call counts, the wait included. */
static void check_exemplar(enum mt_filter_verdict verdict)
{
	start(true);
	ask(1);
	scene_answer(server, scene_next_sent(server).id, 9, LEN);
	lab_advance(50 * MT_MSEC);
	scene_complete(&ticket, verdict, "no");
	CU_ASSERT_EQUAL(scene_next_sent(client).status, verdict == MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(exemplar() < 0, verdict == MT_FILTER_REPLY);
	if (verdict == MT_FILTER_REPLY) {
		CU_ASSERT_EQUAL(bucket(), -1);
	} else {
		CU_ASSERT_EQUAL(exemplar() / 1000, 50);
		CU_ASSERT_EQUAL(
			(int)mt_hist_bucket((uint64_t)exemplar(), MT_LATENCY_BITS), bucket());
	}
	stop();
}

/* If a filter answers instead, the reply does not count, and its call is not an exemplar. */
static void test_exemplar(void)
{
	check_exemplar(MT_FILTER_NEXT);
	check_exemplar(MT_FILTER_REPLY);
}

const struct mt_test resumed_tests[] = {
	{"costly after a wait", test_waits},
	{"costly as they come", test_as_they_come},
	{"exemplar", test_exemplar},
	{0},
};
