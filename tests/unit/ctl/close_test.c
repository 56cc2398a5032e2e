/* SPDX-License-Identifier: Apache-2.0 */
/* `close connection where` on a made-up worker: how much of it one loop iteration does. */
#include "suites.h"

#include <errno.h>

#define CONNS 700

uint32_t made_up_connections;
static uint32_t calls_of_each;
/* In the present request, and the most in one. */
static uint32_t closed, calls_ended, most_closed, most_calls, requests;
static uint32_t answers_until;		   /* requests that close; 0: always */
static uint32_t answers_left = UINT32_MAX; /* requests */
static bool is_closed[CONNS];

int __real_mt_worker_call(struct mt_worker *w, mt_worker_command run, void *arg, uint32_t ms);
int __wrap_mt_worker_call(struct mt_worker *w, mt_worker_command run, void *arg, uint32_t ms);
int __wrap_mt_worker_call(struct mt_worker *w, mt_worker_command run, void *arg, uint32_t ms)
{
	if (!made_up_connections)
		return __real_mt_worker_call(w, run, arg, ms);
	if ((answers_until && requests == answers_until) || answers_left == 0)
		return -ETIMEDOUT;
	answers_left--;
	closed = calls_ended = 0;
	run(w, arg);
	requests += closed > 0;
	most_closed = MT_MAX(most_closed, closed);
	most_calls = MT_MAX(most_calls, calls_ended);
	return 0;
}

struct mt_tcp *__real_mt_worker_tcp(struct mt_worker *w);
struct mt_tcp *__wrap_mt_worker_tcp(struct mt_worker *w);
struct mt_tcp *__wrap_mt_worker_tcp(struct mt_worker *w)
{
	return made_up_connections ? NULL : __real_mt_worker_tcp(w);
}

uint16_t __real_mt_worker_index(const struct mt_worker *w);
uint16_t __wrap_mt_worker_index(const struct mt_worker *w);
uint16_t __wrap_mt_worker_index(const struct mt_worker *w)
{
	return made_up_connections ? 0 : __real_mt_worker_index(w);
}

void __real_mt_tcp_counts(
	const struct mt_tcp *t, uint32_t *n, uint32_t *half_open, uint32_t *time_wait);
void __wrap_mt_tcp_counts(
	const struct mt_tcp *t, uint32_t *n, uint32_t *half_open, uint32_t *time_wait);
void __wrap_mt_tcp_counts(
	const struct mt_tcp *t, uint32_t *n, uint32_t *half_open, uint32_t *time_wait)
{
	if (!made_up_connections)
		__real_mt_tcp_counts(t, n, half_open, time_wait);
	else
		*n = made_up_connections;
}

bool __real_mt_tcp_info_next(struct mt_tcp *t, uint32_t *idx, struct mt_tcp_info *info);
bool __wrap_mt_tcp_info_next(struct mt_tcp *t, uint32_t *idx, struct mt_tcp_info *info);
bool __wrap_mt_tcp_info_next(struct mt_tcp *t, uint32_t *idx, struct mt_tcp_info *info)
{
	if (!made_up_connections)
		return __real_mt_tcp_info_next(t, idx, info);
	while (*idx < made_up_connections && is_closed[*idx])
		++*idx;
	if (*idx >= made_up_connections)
		return false;
	*info = (struct mt_tcp_info){
		.index = *idx, .born_ms = 5, .state = "established", .stream = NULL};
	info->stream = (const struct mt_stream *)(uintptr_t)(*idx + 1);
	++*idx;
	return true;
}

void __real_mt_proxy_use(struct mt_proxy *p, const struct mt_stream *s, struct mt_conn_use *use);
void __wrap_mt_proxy_use(struct mt_proxy *p, const struct mt_stream *s, struct mt_conn_use *use);
void __wrap_mt_proxy_use(struct mt_proxy *p, const struct mt_stream *s, struct mt_conn_use *use)
{
	if (!made_up_connections)
		__real_mt_proxy_use(p, s, use);
	else
		*use = (struct mt_conn_use){.calls = calls_of_each, .cluster = UINT32_MAX};
}

enum mt_conn_closing __real_mt_proxy_close(
	struct mt_proxy *p, const struct mt_stream *s, bool at_once);
enum mt_conn_closing __wrap_mt_proxy_close(
	struct mt_proxy *p, const struct mt_stream *s, bool at_once);
enum mt_conn_closing __wrap_mt_proxy_close(
	struct mt_proxy *p, const struct mt_stream *s, bool at_once)
{
	if (!made_up_connections)
		return __real_mt_proxy_close(p, s, at_once);
	is_closed[(uintptr_t)s - 1] = true;
	closed++;
	calls_ended += calls_of_each;
	return MT_CONN_CLOSED;
}

/* Runs the command on a node whose one worker has n connections with as many calls each. */
static json_t *run_on(const char *line, uint32_t n, uint32_t calls)
{
	static struct mt_worker *workers[1];
	struct mt_ctl *c = test_ctl(NULL);
	char *out;
	json_t *j;
	int code;

	memset(is_closed, 0, sizeof(is_closed));
	most_closed = most_calls = requests = 0;
	calls_of_each = calls;
	made_up_connections = n;
	c->env.workers = workers;
	c->env.n_workers = 1;
	out = test_run(c, line, &code);
	CU_ASSERT_EQUAL(code, MT_CTL_OK);
	j = json_loads(out, 0, NULL);
	CU_ASSERT_PTR_NOT_NULL_FATAL(j);
	free(out);
	c->env.n_workers = 0;
	mt_ctl_destroy(c);
	made_up_connections = 0;
	return j;
}

static json_int_t number(const json_t *j, const char *name)
{
	return json_integer_value(json_object_get(j, name));
}

/* A worker ends some connections in one request, fewer if they have calls; the answer has all. */
static void test_bounded(void)
{
	static const struct {
		uint32_t calls, most;
	} t[] = {{0, 16}, {1, 16}, {30, 3}, {1000, 1}};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		json_t *j =
			run_on("--json close connection where side=server now", 100, t[i].calls);

		CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(j, "close")),
			"connections: 100 closed, 0 draining");
		CU_ASSERT_EQUAL(json_array_size(json_object_get(j, "connections")), 100);
		CU_ASSERT_EQUAL(number(j, "matched"), 100);
		CU_ASSERT_EQUAL(most_closed, t[i].most);
		CU_ASSERT(json_is_null(json_object_get(j, "workers_without_answer")));
		json_decref(j);
	}
}

/* A worker that stops answering: the answer has what it did before. */
static void test_silent_worker(void)
{
	json_t *j;

	answers_until = 2;
	j = run_on("--json close connection where side=server", 100, 0);
	answers_until = 0;
	CU_ASSERT_STRING_EQUAL(json_string_value(json_object_get(j, "close")),
		"connections: 32 closed, 0 draining");
	CU_ASSERT_EQUAL(json_array_size(json_object_get(j, "workers_without_answer")), 1);
	json_decref(j);
	answers_left = 1;
	j = run_on("--json show connections where side=server", CONNS, 0);
	answers_left = UINT32_MAX;
	CU_ASSERT(number(j, "shown") > 0 && number(j, "shown") < CONNS);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(j, "workers_without_answer")), 1);
	json_decref(j);
}

/* A worker that does not answer at all is named, so that it does not look idle. */
static void test_mute_worker(void)
{
	static const char *const lines[] = {"--json close connection where side=server",
		"--json show connections", "--json show talkers"};

	for (size_t i = 0; i < MT_ARRAY_LEN(lines); i++) {
		json_t *j;

		answers_left = 0;
		j = run_on(lines[i], CONNS, 0);
		answers_left = UINT32_MAX;
		CU_ASSERT_EQUAL(json_array_size(json_object_get(j, "workers_without_answer")), 1);
		json_decref(j);
	}
}

/* Text of `show connections` has the id that the command takes. */
static void test_ids_are_shown(void)
{
	static struct mt_worker *workers[1];
	struct mt_ctl *c = test_ctl(NULL);
	char *out;
	int code;

	made_up_connections = 1;
	c->env.workers = workers;
	c->env.n_workers = 1;
	memset(is_closed, 0, sizeof(is_closed));
	out = test_run(c, "show connections", &code);
	CU_ASSERT(code == MT_CTL_OK && out && strstr(out, "0-0-5 "));
	free(out);
	c->env.n_workers = 0;
	mt_ctl_destroy(c);
	made_up_connections = 0;
}

/* All that match are counted, although an answer has at most 512 rows. */
static void test_matched(void)
{
	json_t *j = run_on("--json close connection where side=server", CONNS, 0);

	CU_ASSERT_EQUAL(number(j, "matched"), CONNS);
	CU_ASSERT_EQUAL(json_array_size(json_object_get(j, "connections")), 100);
	CU_ASSERT_PTR_NOT_NULL(json_string_value(json_object_get(j, "note")));
	json_decref(j);
	j = run_on("--json show connections where side=server | count", CONNS, 0);
	CU_ASSERT_EQUAL(number(j, "connections"), CONNS);
	json_decref(j);
	j = run_on("--json show connections where side=server limit 10 | count", CONNS, 0);
	CU_ASSERT_EQUAL(number(j, "connections"), 10);
	json_decref(j);
	j = run_on("--json show connections where side=client | count", CONNS, 0);
	CU_ASSERT_EQUAL(number(j, "connections"), 0);
	json_decref(j);
	j = run_on("--json show connections where side=server", CONNS, 0);
	CU_ASSERT_EQUAL(number(j, "shown"), 512);
	json_decref(j);
}

const struct mt_test close_tests[] = {
	{"a bounded part of a loop iteration", test_bounded},
	{"a worker that stops answering", test_silent_worker},
	{"a worker that does not answer", test_mute_worker},
	{"ids are in text", test_ids_are_shown},
	{"all that match are counted", test_matched},
	{0},
};
