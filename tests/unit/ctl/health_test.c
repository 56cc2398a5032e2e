/* SPDX-License-Identifier: Apache-2.0 */
#include "suites.h"

#include "../../../lib/ctl/mt_ctl_events_priv.h"
#include "../../../lib/ctl/mt_health.h"

#include "mt_name_table.h"

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

/* Number of findings of a check. */
static size_t rows_of(struct mt_ctl *c, const char *check)
{
	char line[64], *out;
	json_t *all;
	size_t n;
	int code;

	snprintf(line, sizeof(line), "--json show health where check=%s", check);
	out = test_run(c, line, &code);
	CU_ASSERT_EQUAL(code, MT_CTL_OK);
	all = json_loads(out, 0, NULL);
	n = json_array_size(json_object_get(all, "health"));
	json_decref(all);
	free(out);
	return n;
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

/* A row is as severe as the worst that it gathers: no route is a refusal, segments without one an error. */
static void test_worst_of_row(void)
{
	static uint64_t net[MT_NET_N_OUTCOMES], tcp[MT_TCP_N_OUTCOMES];
	struct mt_ctl *c = test_ctl(NULL);
	char *out;
	int code;

	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_net_outcomes, net), 0);
	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_tcp_outcomes, tcp), 0);
	net[MT_NET_no_route] = 4;
	CU_ASSERT(found(c, "errors", "net_no_route", "warning", "4 in the last"));
	tcp[MT_TCP_tx_no_route] = 3;
	CU_ASSERT(found(c, "errors", "net_no_route", "fault", "tcp_tx_no_route (3)"));
	out = test_run(c, "show errors net_no_route", &code);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "error "));
	CU_ASSERT_PTR_NULL(strstr(out, "refused "));
	free(out);
	mt_ctl_destroy(c);
}

/* True if `show errors` has a row of its own for the counter, with these numbers. */
static bool has_row(struct mt_ctl *c, const char *name, json_int_t count, json_int_t last_minute)
{
	json_t *all, *row;
	bool has = false;
	size_t i;
	int code;
	char *out = test_run(c, "--json show errors", &code);

	all = json_loads(out, 0, NULL);
	json_array_foreach(json_object_get(all, "errors"), i, row)
	{
		if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0)
			has = json_integer_value(json_object_get(row, "count")) == count &&
			      json_integer_value(json_object_get(row, "last_minute")) ==
				      last_minute;
	}
	json_decref(all);
	free(out);
	return has;
}

/* A cause of long ago does not hide an effect of now, or of a moment ago, in its row. */
static void test_old_cause(void)
{
	static uint64_t filter[MT_FILTER_N_OUTCOMES], proxy[MT_PROXY_N_OUTCOMES];
	struct mt_ctl *c = test_ctl(NULL);
	uint64_t t = c->now;
	int s = 0;

	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_filter_outcomes, filter), 0);
	CU_ASSERT_EQUAL(mt_metrics_add(c->metrics, &mt_proxy_outcomes, proxy), 0);
	mt_recent_fini(c);
	CU_ASSERT_EQUAL(mt_recent_init(c), 0);
	mt_ctl_turn(c, t);
	filter[MT_FILTER_rate_limited] = proxy[MT_PROXY_reply_over_limit] = 7;
	for (; s <= 300; s += 10)
		mt_ctl_turn(c, t + (uint64_t)s * MT_SEC);
	CU_ASSERT(has_row(c, "filter_rate_limited", 7, 0));
	CU_ASSERT_FALSE(has_row(c, "proxy_reply_over_limit", 7, 0));
	proxy[MT_PROXY_reply_over_limit] = 9;
	CU_ASSERT(has_row(c, "filter_rate_limited", 7, 0));
	CU_ASSERT(has_row(c, "proxy_reply_over_limit", 9, 2));
	for (; s <= 600; s += 10)
		mt_ctl_turn(c, t + (uint64_t)s * MT_SEC);
	CU_ASSERT(has_row(c, "proxy_reply_over_limit", 9, 0));
	/* Both count again: one row. */
	filter[MT_FILTER_rate_limited] = 8;
	proxy[MT_PROXY_reply_over_limit] = 10;
	CU_ASSERT(has_row(c, "filter_rate_limited", 8, 1));
	CU_ASSERT_FALSE(has_row(c, "proxy_reply_over_limit", 10, 1));
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

#define EPS MADE_UP

static struct mt_snapshot *snapshot; /* NULL: the real one */
static struct mt_ctl_waiting waiting[EPS];
const struct mt_ctl_waiting *made_up_waiting;
static uint64_t replies_of_8_s; /* of each endpoint; all others take a millisecond */

struct mt_snapshot *__real_mt_conf_current(const struct mt_conf *c);
struct mt_snapshot *__wrap_mt_conf_current(const struct mt_conf *c);
struct mt_snapshot *__wrap_mt_conf_current(const struct mt_conf *c)
{
	return snapshot ? snapshot : __real_mt_conf_current(c);
}

struct mt_ctl_waiting __real_mt_ctl_ep_waiting(
	const struct mt_ctl *c, const char *cluster, uint32_t index, uint64_t id);
struct mt_ctl_waiting __wrap_mt_ctl_ep_waiting(
	const struct mt_ctl *c, const char *cluster, uint32_t index, uint64_t id);
struct mt_ctl_waiting __wrap_mt_ctl_ep_waiting(
	const struct mt_ctl *c, const char *cluster, uint32_t index, uint64_t id)
{
	return made_up_waiting ? made_up_waiting[MT_MIN(index, MADE_UP - 1)]
			       : __real_mt_ctl_ep_waiting(c, cluster, index, id);
}

#define MANY 1000
static const struct mt_ep_waiting *of_worker; /* by endpoint; NULL: the real ones */
static uint32_t asked_workers;

struct mt_proxy *__real_mt_worker_proxy(struct mt_worker *w);
struct mt_proxy *__wrap_mt_worker_proxy(struct mt_worker *w);
struct mt_proxy *__wrap_mt_worker_proxy(struct mt_worker *w)
{
	return of_worker || made_up_connections ? NULL : __real_mt_worker_proxy(w);
}

struct mt_ep_waiting __real_mt_proxy_ep_waiting(
	const struct mt_proxy *p, uint32_t index, uint64_t id, uint64_t now);
struct mt_ep_waiting __wrap_mt_proxy_ep_waiting(
	const struct mt_proxy *p, uint32_t index, uint64_t id, uint64_t now);
struct mt_ep_waiting __wrap_mt_proxy_ep_waiting(
	const struct mt_proxy *p, uint32_t index, uint64_t id, uint64_t now)
{
	asked_workers++;
	return of_worker ? of_worker[index] : __real_mt_proxy_ep_waiting(p, index, id, now);
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
	made_up_waiting = waiting;
	c->env.conf = (struct mt_conf *)&s; /* never looked into */
	mt_check_answers(&h);
	c->env.conf = NULL;
	snapshot = NULL;
	made_up_waiting = NULL;
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

/* Whether `show health` would have this finding about endpoints. */
static bool is_finding(struct mt_ctl *c, const char *about, const char *state, const char *words)
{
	struct mt_health h = {.c = c, .list = json_array(), .check = "endpoints"};
	const json_t *row;
	bool yes;

	mt_check_endpoints(&h);
	row = json_array_get(h.list, 0);
	yes = row ? strcmp(json_string_value(json_object_get(row, "state")), state) == 0 &&
			      strcmp(json_string_value(json_object_get(row, "about")), about) ==
				      0 &&
			      strstr(json_string_value(json_object_get(row, "words")), words)
		  : strcmp(state, "ok") == 0;
	json_decref(h.list);
	return yes;
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

/* True if the first of two endpoints, whose stream waits for 11 s, is one that usually answers. */
static bool answers(struct mt_ep_waiting first, struct mt_ep_waiting second)
{
	struct mt_ep_state states[2] = {{.index = 0}, {.index = 1}};
	struct mt_endpoint eps[2] = {{.state = &states[0]}, {.state = &states[1]}};
	struct mt_cluster clusters[2] = {
		{.name = "other"}, {.name = "this", .eps = eps, .n_eps = 2}};
	struct mt_snapshot s = {.clusters = clusters, .n_clusters = 2};
	struct mt_ep_waiting both[2] = {first, second};
	struct mt_ctl *c = test_ctl(NULL);
	struct mt_ctl_env env = c->env;
	struct mt_worker *worker = NULL;
	struct mt_ctl_waiting n;

	both[0].streams = 1;
	both[0].streams_since = c->now + MT_SEC;
	c->now += 12 * MT_SEC;
	c->env.conf = (struct mt_conf *)&s; /* never looked into */
	c->env.workers = &worker;
	c->env.n_workers = 1;
	snapshot = &s;
	of_worker = both;
	n = mt_ctl_ep_waiting(c, "this", 0, 0);
	snapshot = NULL;
	of_worker = NULL;
	c->env = env;
	mt_ctl_destroy(c);
	CU_ASSERT_EQUAL(n.streams_silent, 11 * MT_SEC);
	return n.answers;
}

/* An opaque endpoint that was never heard is judged by the others of its cluster. */
static void test_answers_in_cluster(void)
{
	const struct mt_ep_waiting none = {0}, yes = {.answered = 3}, no = {.unanswered = 3};

	CU_ASSERT(!answers(none, none));
	CU_ASSERT(answers(none, yes));
	CU_ASSERT(!answers(none, no));
	CU_ASSERT(!answers(no, (struct mt_ep_waiting){.answered = 9}));
	CU_ASSERT(answers(yes, (struct mt_ep_waiting){.unanswered = 9}));
}

/* A cluster without any answer is summed once in a turn, not once for each endpoint. */
static void test_cluster_is_summed_once(void)
{
	static struct mt_ep_waiting silent[MANY];
	struct mt_ep_state states[MANY];
	struct mt_endpoint eps[MANY];
	struct mt_cluster clusters[2] = {
		{.name = "other"}, {.name = "this", .eps = eps, .n_eps = MANY}};
	struct mt_snapshot s = {.clusters = clusters, .n_clusters = 2};
	struct mt_ctl *c = test_ctl(NULL);
	struct mt_ctl_env env = c->env;
	struct mt_worker *worker = NULL;

	for (uint32_t i = 0; i < MANY; i++) {
		states[i] = (struct mt_ep_state){.index = i};
		eps[i] = (struct mt_endpoint){.state = &states[i]};
		silent[i] = (struct mt_ep_waiting){.streams = 1, .streams_since = c->now};
	}
	c->now += 12 * MT_SEC;
	c->env.conf = (struct mt_conf *)&s; /* never looked into */
	c->env.workers = &worker;
	c->env.n_workers = 1;
	snapshot = &s;
	of_worker = silent;
	asked_workers = 0;
	for (uint32_t i = 0; i < MANY; i++)
		CU_ASSERT(!mt_ctl_ep_waiting(c, "this", i, 0).answers);
	CU_ASSERT_EQUAL(asked_workers, 2 * MANY);
	/* A later turn asks again, and another cluster has a result of its own. */
	c->now += MT_SEC;
	silent[7].answered = 1;
	CU_ASSERT(mt_ctl_ep_waiting(c, "this", 3, 0).answers);
	CU_ASSERT(!mt_ctl_ep_waiting(c, "other", 3, 0).answers);
	CU_ASSERT(mt_ctl_ep_waiting(c, "this", 4, 0).answers);
	snapshot = NULL;
	of_worker = NULL;
	c->env = env;
	mt_ctl_destroy(c);
}

/* Between two attempts of clients with short time-outs nothing waits, and the silence goes on. */
static void test_answers_between(void)
{
	json_t *rows;
	uint32_t n;

	memset(waiting, 0, sizeof(waiting));
	replies_of_8_s = 0;
	waiting[0] = (struct mt_ctl_waiting){.silent = 12 * MT_SEC};
	waiting[1] = (struct mt_ctl_waiting){.streams_silent = 11 * MT_SEC, .answers = true};
	rows = answers_of(&n);
	CU_ASSERT_EQUAL(n, 2);
	CU_ASSERT(is_row(rows, 0, "warning",
		"the last calls at 192.0.2.7:1000 got no answer; it has sent nothing for 12 s"));
	CU_ASSERT(is_row(rows, 1, "warning",
		"the last connections to 192.0.2.7:1001 got no answer; it has sent nothing for 11 "
		"s"));
	json_decref(rows);
}

/* Silence that alerts count: unusually long, or of a server that was ejected for it. */
static void test_silent(void)
{
	struct mt_ep_state e = {.index = 0};
	struct mt_ctl *c = test_ctl(NULL);
	struct mt_ctl_waiting n = {.calls = 1, .silent = MT_SEC};
	struct mt_snapshot s = {0};

	replies_of_8_s = 0;
	CU_ASSERT_EQUAL(mt_ctl_silent(c, &e, "one", "192.0.2.7:1000", &n), 0);
	n.silent = 3 * MT_SEC;
	CU_ASSERT_EQUAL(mt_ctl_silent(c, &e, "one", "192.0.2.7:1000", &n), 3 * MT_SEC);
	/* A few slow replies are no excuse for more than 10 s; many are. */
	snapshot = &s;
	replies_of_8_s = 1;
	n.silent = 9 * MT_SEC;
	CU_ASSERT_EQUAL(mt_ctl_silent(c, &e, "one", "192.0.2.7:1000", &n), 0);
	n.silent = 11 * MT_SEC;
	CU_ASSERT_EQUAL(mt_ctl_silent(c, &e, "one", "192.0.2.7:1000", &n), 11 * MT_SEC);
	replies_of_8_s = 100;
	n.silent = 30 * MT_SEC;
	CU_ASSERT_EQUAL(mt_ctl_silent(c, &e, "one", "192.0.2.7:1000", &n), 0);
	n.silent = 40 * MT_SEC;
	CU_ASSERT_EQUAL(mt_ctl_silent(c, &e, "one", "192.0.2.7:1000", &n), 40 * MT_SEC);
	snapshot = NULL;
	replies_of_8_s = 0;
	n = (struct mt_ctl_waiting){.streams = 1, .streams_silent = 3 * MT_SEC};
	CU_ASSERT_EQUAL(mt_ctl_silent(c, &e, "one", "192.0.2.7:1000", &n), 0);
	n.answers = true;
	CU_ASSERT_EQUAL(mt_ctl_silent(c, &e, "one", "192.0.2.7:1000", &n), 3 * MT_SEC);
	/* Ejected for another reason. */
	n = (struct mt_ctl_waiting){.unheard = 20 * MT_SEC};
	e.back = MT_EP_BACK_TRIAL;
	CU_ASSERT_EQUAL(mt_ctl_silent(c, &e, "one", "192.0.2.7:1000", &n), 0);
	mt_ctl_destroy(c);
}

static const char *full_directory(void *arg)
{
	return arg;
}

static void test_state_directory(void)
{
	struct mt_ctl_env env = {.state_trouble = full_directory,
		.arg = "/var/lib/meltemi: No space left on device"};
	struct mt_ctl *c = test_ctl(&env);
	char *text;
	int code;

	CU_ASSERT(found(c, "state directory", "", "warning",
		"cannot be written: /var/lib/meltemi: No space left on device"));
	/* The remedy of the alert. */
	text = test_run(c, "show health where check~directory", &code);
	CU_ASSERT_EQUAL(code, MT_CTL_OK);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "cannot be written"));
	free(text);
	c->env.arg = NULL;
	CU_ASSERT(found(c, "state directory", "", "ok", "it can be written"));
	mt_ctl_destroy(c);
}

static const char *waits(void *arg)
{
	return "vips.json: No space left on device";
}

/* A configuration that waits is one finding, though the reload that brought it has failed. */
static void test_waiting(void)
{
	struct mt_ctl_env env = {.waiting = waits};
	struct mt_ctl *c = test_ctl(&env);

	mt_ctl_reloaded(
		c, false, "a newer configuration waits: vips.json: No space left on device", 1);
	CU_ASSERT(found(c, "configuration", "", "warning",
		"a newer configuration is not in use yet: vips.json: No space left on device"));
	mt_ctl_reloaded(c, false, "x.yaml:3: no such field", 2);
	CU_ASSERT(found(c, "configuration", "", "warning", "not in use yet"));
	CU_ASSERT_EQUAL(rows_of(c, "configuration"), 2);
	mt_ctl_reloaded(
		c, false, "a newer configuration waits: vips.json: No space left on device", 3);
	CU_ASSERT_EQUAL(rows_of(c, "configuration"), 1);
	mt_ctl_destroy(c);
}

/* The words of the only finding about a configuration with these workloads; NULL: there is none. */
static const char *workloads_finding(struct mt_health *h, struct mt_bound *bound, uint32_t n)
{
	struct mt_snapshot s = {.bound = bound, .n_bound = n};
	struct mt_ctl *c = test_ctl(NULL);

	*h = (struct mt_health){.c = c, .list = json_array(), .check = "configuration"};
	snapshot = &s;
	c->env.conf = (struct mt_conf *)&s; /* never looked into */
	mt_check_configuration(h);
	c->env.conf = NULL;
	snapshot = NULL;
	mt_ctl_destroy(c);
	CU_ASSERT_EQUAL(json_array_size(h->list), h->n);
	return json_string_value(json_object_get(json_array_get(h->list, 0), "words"));
}

/* A workload that entries of two namespaces would name is a finding with both of them. */
static void test_workloads(void)
{
	struct mt_bound bound[] = {{.why = "no WorkloadEntry has the address"},
		{.disputed = true,
			.why = "WorkloadEntry b/v and WorkloadEntry a/x have the address"}};
	struct mt_health h;
	const char *words, *remedy;

	CU_ASSERT_EQUAL(mt_addr_parse("192.0.2.7", &bound[1].addr), 0);
	CU_ASSERT_PTR_NULL(workloads_finding(&h, bound, 1));
	json_decref(h.list);
	words = workloads_finding(&h, bound, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(words);
	CU_ASSERT_STRING_EQUAL(words,
		"the workload 192.0.2.7 has no principal: WorkloadEntry b/v and WorkloadEntry a/x "
		"have the address");
	json_decref(h.list);
	/* With one entry left, there is no second one to remove. */
	bound[1] = (struct mt_bound){.addr = bound[1].addr,
		.waits = true,
		.also = "WorkloadEntry a/x",
		.why = "until now, an entry of another namespace had the address"};
	words = workloads_finding(&h, bound, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(words);
	CU_ASSERT_STRING_EQUAL(words,
		"the workload 192.0.2.7 has no principal: until now, an entry of another namespace "
		"had the address");
	remedy = json_string_value(json_object_get(json_array_get(h.list, 0), "remedy"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(remedy);
	CU_ASSERT_PTR_NOT_NULL(strstr(remedy, "reload once without the entry, restart the node"));
	json_decref(h.list);
	bound[1] = (struct mt_bound){.addr = bound[1].addr,
		.principal = "cluster.local/ns/b/sa/y",
		.by = "WorkloadEntry b/v",
		.also = "WorkloadEntry a/x"};
	words = workloads_finding(&h, bound, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(words);
	CU_ASSERT_STRING_EQUAL(words,
		"WorkloadEntry a/x gives the workload 192.0.2.7 no principal, because of "
		"WorkloadEntry b/v of another namespace");
	json_decref(h.list);
	/* Kept by an entry without an account. */
	bound[1].principal = NULL;
	words = workloads_finding(&h, bound, 2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(words);
	CU_ASSERT_STRING_EQUAL(words,
		"WorkloadEntry a/x gives the workload 192.0.2.7 no principal, because of "
		"WorkloadEntry b/v of another namespace, which gives none either");
	remedy = json_string_value(json_object_get(json_array_get(h.list, 0), "remedy"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(remedy);
	CU_ASSERT_PTR_NOT_NULL(strstr(remedy, "no policy allows the workload by name"));
	json_decref(h.list);
}

/* A finding about several has their number in front, so that none can hide another one. */
static void test_several_workloads(void)
{
	static const struct {
		struct mt_bound is;
		const char *words;
	} rows[] = {
		{{.disputed = true, .why = "two"},
			"3 workloads (`show workloads`), first: the workload 192.0.2.1 has no "
			"principal: two"},
		{{.waits = true, .also = "WorkloadEntry a/x", .why = "it waits"},
			"3 workloads (`show workloads`), first: the workload 192.0.2.1 has no "
			"principal: it waits"},
		{{.principal = "p", .by = "WorkloadEntry b/v", .also = "WorkloadEntry a/x"},
			"3 workloads (`show objects`), first: WorkloadEntry a/x gives the workload "
			"192.0.2.1 no principal, because of WorkloadEntry b/v of another "
			"namespace"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_bound bound[] = {rows[i].is, rows[i].is, rows[i].is};
		struct mt_health h;
		const char *words;

		CU_ASSERT_EQUAL(mt_addr_parse("192.0.2.1", &bound[0].addr), 0);
		words = workloads_finding(&h, bound, 3);
		CU_ASSERT_PTR_NOT_NULL_FATAL(words);
		CU_ASSERT_STRING_EQUAL(words, rows[i].words);
		json_decref(h.list);
	}
}

/* A finding names the endpoints that take no traffic, and why. */
static void test_endpoints(void)
{
	struct mt_ep_state states[6] = {0};
	struct mt_endpoint eps[6] = {0};
	struct mt_cluster cl = {.name = "one", .eps = eps, .n_eps = 3};
	struct mt_snapshot s = {.clusters = &cl, .n_clusters = 1};
	struct mt_ctl *c = test_ctl(NULL);

	for (uint32_t i = 0; i < 6; i++) {
		eps[i].state = &states[i];
		eps[i].port = (uint16_t)(1000 + i);
		CU_ASSERT_EQUAL(mt_addr_parse("192.0.2.7", &eps[i].addr), 0);
	}
	snapshot = &s;
	c->env.conf = (struct mt_conf *)&s; /* never looked into */
	states[1].draining = true;
	CU_ASSERT(is_finding(c, "", "ok", ""));
	states[0].ejected_until = c->now + MT_SEC;
	states[0].back = MT_EP_BACK_TRIAL;
	CU_ASSERT(is_finding(c, "one", "warning",
		"2 of 3 servers take no traffic: 192.0.2.7:1000 ejected, 192.0.2.7:1001 draining"));
	states[2] = states[0];
	CU_ASSERT(is_finding(c, "one", "fault",
		"none of its 3 servers takes traffic, so calls go to them nevertheless: "
		"192.0.2.7:1000 ejected, 192.0.2.7:1001 draining, 192.0.2.7:1002 ejected"));
	cl.n_eps = 6;
	states[3] = states[4] = states[5] = states[0];
	CU_ASSERT(is_finding(c, "one", "fault", "192.0.2.7:1003 ejected, ..."));
	/* An endpoint without a route is a note while others take calls, ejected or not. */
	cl.n_eps = 2;
	states[0] = (struct mt_ep_state){0};
	states[1].draining = MT_EP_DRAIN_NO_ROUTE;
	CU_ASSERT(is_finding(c, "one", "note",
		"1 of 2 servers take no traffic: 192.0.2.7:1001 no route: no port and no route of "
		"the node leads to them"));
	states[1].back = MT_EP_BACK_TRIAL;
	CU_ASSERT(is_finding(c, "one", "note", "192.0.2.7:1001 no route"));
	states[0] = states[1];
	CU_ASSERT(is_finding(c, "one", "fault",
		"none of its 2 servers takes traffic, so calls go to them nevertheless: "
		"192.0.2.7:1000 no route, 192.0.2.7:1001 no route"));
	c->env.conf = NULL;
	snapshot = NULL;
	mt_ctl_destroy(c);
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

/* A name of an endpoint that does not resolve. DNS cannot have a name with an empty label, so that no server is asked. */
static void test_names(void)
{
	struct mt_name_table *t = mt_name_table_new();
	struct mt_fds fds;
	struct mt_err e;
	struct mt_ctl *c = test_ctl(&(struct mt_ctl_env){.names = t});
	struct mt_resolver *r;
	struct mt_name_state state;

	CU_ASSERT_EQUAL_FATAL(mt_fds_init(&fds), 0);
	r = mt_resolver_new(&fds, &e);
	CU_ASSERT(found(c, "names", "", "ok", "names of endpoints resolve"));
	mt_name_table_ask(t, r);
	mt_name_table_begin(t);
	mt_name_table_find(t, "db..x", &state);
	mt_name_table_end(t, false);
	CU_ASSERT_TRUE(mt_name_table_turn(t, MT_SEC, 1000));
	CU_ASSERT(found(c, "names", "db..x", "fault", "has not resolved for"));
	CU_ASSERT(found(c, "names", "db..x", "fault", "it has no address"));
	mt_name_table_ask(t, NULL);
	mt_resolver_free(r);
	mt_ctl_destroy(c);
	mt_name_table_free(t);
	mt_fds_fini(&fds);
}

const struct mt_test health_tests[] = {
	{"names of endpoints", test_names},
	{"a node without anything", test_nothing},
	{"the last minute", test_recent},
	{"the worst of a row", test_worst_of_row},
	{"a cause of long ago", test_old_cause},
	{"uneven spread, link down", test_spread},
	{"servers that do not answer", test_answers},
	{"many servers that do not answer", test_answers_of_many},
	{"silence between two attempts", test_answers_between},
	{"servers that were never heard", test_answers_in_cluster},
	{"a cluster is summed once", test_cluster_is_summed_once},
	{"silence for alerts", test_silent},
	{"state directory", test_state_directory},
	{"a configuration that waits", test_waiting},
	{"workloads of two namespaces", test_workloads},
	{"several workloads", test_several_workloads},
	{"endpoints without traffic", test_endpoints},
	{0},
};
