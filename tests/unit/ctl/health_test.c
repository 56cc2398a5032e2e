/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include "../../../lib/ctl/mt_health.h"

/* The finding of a check about something, as text; NULL: none. */
static char *finding(struct mt_ctl *c, const char *check, const char *about)
{
	char line[64], *out;
	json_t *all, *row;
	char *text = NULL;
	size_t i;
	int code;

	snprintf(line, sizeof(line), "--json show health");
	out = test_run(c, line, &code);
	CU_ASSERT_EQUAL(code, MT_CTL_OK);
	all = json_loads(out, 0, NULL);
	json_array_foreach(json_object_get(all, "health"), i, row)
	{
		if (strcmp(json_string_value(json_object_get(row, "check")), check) == 0 &&
			strcmp(json_string_value(json_object_get(row, "about")), about) == 0 &&
			!text)
			text = json_dumps(row, JSON_COMPACT);
	}
	json_decref(all);
	free(out);
	return text;
}

static bool found(struct mt_ctl *c, const char *check, const char *about, const char *state,
	const char *words)
{
	char *text = finding(c, check, about), want[32];
	bool yes;

	snprintf(want, sizeof(want), "\"state\":\"%s\"", state);
	yes = text && strstr(text, want) && strstr(text, words);
	free(text);
	return yes;
}

/* A node without anything has nothing wrong but that it starts. */
static void test_nothing(void)
{
	struct mt_ctl *c = test_ctl(NULL);

	CU_ASSERT(found(c, "state", "", "note", "starting"));
	mt_ctl_set_state(c, MT_CTL_SERVING);
	CU_ASSERT(found(c, "state", "", "ok", "serving"));
	CU_ASSERT(found(c, "errors", "", "ok", "nothing was refused"));
	mt_ctl_set_state(c, MT_CTL_DRAINING);
	CU_ASSERT(found(c, "state", "", "warning", "draining"));
	mt_ctl_reloaded(c, false, "x.yaml:3: no such field", 1);
	CU_ASSERT(found(c, "configuration", "", "fault", "x.yaml:3"));
	/* The name of a file is bytes, and long words are cut anywhere. */
	mt_ctl_reloaded(c, false, "odd\xff.yaml:3: no such field", 1);
	CU_ASSERT(found(c, "configuration", "", "fault", "odd\\\\xff.yaml:3"));
	mt_ctl_reloaded(c, true, "loaded", 2);
	CU_ASSERT(found(c, "configuration", "", "ok", "in use"));
	mt_ctl_destroy(c);
}

/* What happened more than a minute ago is no trouble any more, though the counter keeps it. */
static void test_recent(void)
{
	static uint64_t counters[MT_TCP_N_OUTCOMES];
	struct mt_ctl *c = test_ctl(NULL);
	uint64_t t = c->now;

	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_tcp_outcomes, counters), 0);
	mt_recent_fini(c);
	CU_ASSERT_EQUAL(mt_recent_init(c), 0);
	mt_ctl_turn(c, t);
	counters[MT_TCP_no_source_port] = 7;
	CU_ASSERT(found(c, "errors", "tcp_no_source_port", "warning", "7 in the last 0 s"));
	for (int s = 10; s <= 60; s += 10)
		mt_ctl_turn(c, t + (uint64_t)s * MT_SEC);
	CU_ASSERT(found(c, "errors", "tcp_no_source_port", "warning", "7 in the last 60 s"));
	mt_ctl_turn(c, t + 70 * MT_SEC);
	CU_ASSERT(found(c, "errors", "", "ok", "nothing was refused"));
	counters[MT_TCP_no_source_port] = 9;
	CU_ASSERT(found(c, "errors", "tcp_no_source_port", "warning", "2 in the last 60 s"));
	mt_ctl_destroy(c);
}

static void test_spread(void)
{
	static struct mt_port_worker workers[2];
	struct mt_port p = {
		.name = "p0", .n_rxq = 2, .n_workers = 2, .workers = workers, .link_up = true};
	struct mt_port *ports[] = {&p};
	struct mt_ctl_env env = {.ports = ports, .n_ports = 1};
	struct mt_ctl *c = test_ctl(&env);

	workers[0].counters[MT_PORT_rx_packets] = 99000;
	CU_ASSERT(found(c, "spread", "", "ok", ""));
	workers[0].counters[MT_PORT_rx_packets] = 990000;
	workers[1].counters[MT_PORT_rx_packets] = 900000;
	CU_ASSERT(found(c, "spread", "", "ok", ""));
	workers[1].counters[MT_PORT_rx_packets] = 0;
	p.n_rxq = 3;
	CU_ASSERT(found(c, "spread", "p0", "warning", "worker 0 got 100 %"));
	CU_ASSERT(found(c, "ports", "", "ok", ""));
	p.link_up = false;
	CU_ASSERT(found(c, "ports", "p0", "fault", "the link is down"));
	mt_ctl_destroy(c);
}

/* ---- calls that wait: a configuration and numbers of workers, made up ------------------------ */

#define EPS 30

static struct mt_snapshot *snapshot; /* NULL: the real one */
static struct mt_ctl_waiting waiting[EPS];
static uint64_t replies_of_8_s; /* of each endpoint; all others take a millisecond */

struct mt_snapshot *__real_mt_conf_current(const struct mt_conf *c);
struct mt_snapshot *__wrap_mt_conf_current(const struct mt_conf *c);
struct mt_snapshot *__wrap_mt_conf_current(const struct mt_conf *c)
{
	return snapshot ? snapshot : __real_mt_conf_current(c);
}

struct mt_ctl_waiting __real_mt_ctl_ep_waiting(const struct mt_ctl *c, uint32_t index, uint64_t id);
struct mt_ctl_waiting __wrap_mt_ctl_ep_waiting(const struct mt_ctl *c, uint32_t index, uint64_t id);
struct mt_ctl_waiting __wrap_mt_ctl_ep_waiting(const struct mt_ctl *c, uint32_t index, uint64_t id)
{
	return snapshot ? waiting[index] : __real_mt_ctl_ep_waiting(c, index, id);
}

void __real_mt_ctl_ep_latency(
	const struct mt_ctl *c, const struct mt_ep_state *ep, uint64_t sum[MT_EP_LATENCY_BUCKETS]);
void __wrap_mt_ctl_ep_latency(
	const struct mt_ctl *c, const struct mt_ep_state *ep, uint64_t sum[MT_EP_LATENCY_BUCKETS]);
void __wrap_mt_ctl_ep_latency(
	const struct mt_ctl *c, const struct mt_ep_state *ep, uint64_t sum[MT_EP_LATENCY_BUCKETS])
{
	__real_mt_ctl_ep_latency(c, ep, sum);
	if (!snapshot)
		return;
	sum[mt_hist_bucket(1000, MT_EP_LATENCY_BITS)] = 10;
	sum[mt_hist_bucket(8000000, MT_EP_LATENCY_BITS)] = replies_of_8_s;
}

/* The findings of a snapshot with two clusters that have the same endpoints; *n counts all. */
static json_t *answers_of(uint32_t *n)
{
	static struct mt_ep_state states[EPS];
	static struct mt_endpoint eps[EPS];
	struct mt_cluster clusters[2] = {{.name = "one", .eps = eps, .n_eps = EPS},
		{.name = "two", .eps = eps, .n_eps = EPS}};
	struct mt_snapshot s = {.clusters = clusters, .n_clusters = 2};
	struct mt_ctl *c = test_ctl(NULL);
	struct mt_health h = {.c = c, .list = json_array(), .check = "answers"};

	for (uint32_t i = 0; i < EPS; i++) {
		states[i].index = i;
		eps[i].state = &states[i];
		eps[i].port = (uint16_t)(1000 + i);
		CU_ASSERT_EQUAL(mt_addr_parse("192.0.2.7", &eps[i].addr), 0);
	}
	snapshot = &s;
	c->env.conf = (struct mt_conf *)&s; /* never looked into */
	mt_check_answers(&h);
	c->env.conf = NULL;
	snapshot = NULL;
	*n = h.n;
	mt_ctl_destroy(c);
	return h.list;
}

/* Whether row i has this state, words and the name of its cluster. */
static bool is_row(const json_t *rows, size_t i, const char *state, const char *words)
{
	const json_t *row = json_array_get(rows, i);

	return row && strcmp(json_string_value(json_object_get(row, "state")), state) == 0 &&
	       strcmp(json_string_value(json_object_get(row, "words")), words) == 0 &&
	       strcmp(json_string_value(json_object_get(row, "about")), "one") == 0;
}

static void test_answers(void)
{
	json_t *rows;
	uint32_t n;

	memset(waiting, 0, sizeof(waiting));
	replies_of_8_s = 0;
	waiting[0] = (struct mt_ctl_waiting){.calls = 9, .oldest = MT_SEC, .silent = MT_SEC};
	waiting[1] = (struct mt_ctl_waiting){.calls = 1, .oldest = 9 * MT_SEC, .silent = MT_SEC};
	waiting[2] =
		(struct mt_ctl_waiting){.calls = 2, .oldest = 9 * MT_SEC, .silent = 9 * MT_SEC};
	waiting[3] =
		(struct mt_ctl_waiting){.calls = 4, .oldest = 17 * MT_SEC, .silent = 17 * MT_SEC};
	/* Clients leave after a second, and others come. */
	waiting[4] = (struct mt_ctl_waiting){.calls = 5, .oldest = MT_SEC, .silent = 12 * MT_SEC};
	waiting[5] = (struct mt_ctl_waiting){.streams = 1, .streams_silent = 9 * MT_SEC};
	waiting[6] = (struct mt_ctl_waiting){.streams = 1, .streams_silent = 30 * MT_SEC};
	waiting[7] = (struct mt_ctl_waiting){
		.streams = 3, .streams_silent = 11 * MT_SEC, .answers = true};
	rows = answers_of(&n);
	CU_ASSERT(n == 6 && json_array_size(rows) == 6);
	CU_ASSERT(is_row(rows, 0, "warning",
		"4 calls wait at 192.0.2.7:1003, the oldest for 17 s; it has sent nothing for 17 "
		"s"));
	CU_ASSERT(is_row(rows, 1, "warning",
		"5 calls wait at 192.0.2.7:1004, the oldest for 1 s; it has sent nothing for 12 "
		"s"));
	CU_ASSERT(is_row(rows, 2, "warning",
		"3 connections wait at 192.0.2.7:1007 for an answer; it has sent nothing for 11 "
		"s"));
	CU_ASSERT(is_row(rows, 3, "note",
		"1 connection waits at 192.0.2.7:1006 for an answer; it has sent nothing for 30 "
		"s"));
	CU_ASSERT(is_row(rows, 4, "note",
		"2 calls wait at 192.0.2.7:1002, the oldest for 9 s; it has sent nothing for 9 s"));
	CU_ASSERT(is_row(rows, 5, "note", "1 call waits at 192.0.2.7:1001, the oldest for 9 s"));
	json_decref(rows);
	/* Where replies may take 8 s, 9 s is not long; a silence of 10 s is a warning all the same. */
	replies_of_8_s = 1;
	rows = answers_of(&n);
	CU_ASSERT(n == 4 && is_row(rows, 3, "note",
				    "1 connection waits at 192.0.2.7:1006 for an answer; it has "
				    "sent nothing for 30 s"));
	json_decref(rows);
}

/* Each endpoint once, the worst 20; the others are counted. */
static void test_answers_of_many(void)
{
	json_t *rows;
	uint32_t n;

	replies_of_8_s = 0;
	for (uint32_t i = 0; i < EPS; i++)
		waiting[i] = (struct mt_ctl_waiting){.calls = 1,
			.oldest = (11 + (i * 7) % EPS) * MT_SEC,
			.silent = (11 + (i * 7) % EPS) * MT_SEC};
	rows = answers_of(&n);
	CU_ASSERT(n == EPS && json_array_size(rows) == 20);
	for (uint32_t i = 0; i < 20; i++) {
		char end[64];

		snprintf(end, sizeof(end), "it has sent nothing for %u s", 10 + EPS - i);
		CU_ASSERT_PTR_NOT_NULL(strstr(
			json_string_value(json_object_get(json_array_get(rows, i), "words")), end));
	}
	json_decref(rows);
}

const struct mt_test health_tests[] = {
	{"a node without anything", test_nothing},
	{"the last minute", test_recent},
	{"uneven spread, link down", test_spread},
	{"servers that do not answer", test_answers},
	{"many servers that do not answer", test_answers_of_many},
	{0},
};
