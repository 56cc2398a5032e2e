/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a node: rings, mt-log, outputs that come and go, the end. */
#include "mt_alog.h"

#include "mt_file.h"
#include "mt_outcome.h"
#include "sinks.h"
#include "suites.h"

#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define FORMAT "%REQ(:METHOD)%"

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static struct mt_alog *log_new(uint32_t workers)
{
	struct mt_err e = {""};
	struct mt_alog *l = mt_alog_new(workers, &e);

	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	return l;
}

static struct mt_alog_want wants(const char *name, const char *format)
{
	return (struct mt_alog_want){"MeshConfig: accessLogFile",
		{(char *)(uintptr_t)sinks_directory(), (char *)(uintptr_t)name, 0},
		{format, format ? strlen(format) : 0, MT_ALOG_TEXT, false}, 0, true, true, NULL,
		NULL, {0, false}};
}

static struct mt_alog_want wants_descriptor(int fd, const char *format)
{
	return (struct mt_alog_want){"MeshConfig: accessLogFile", {NULL, NULL, fd},
		{format, strlen(format), MT_ALOG_TEXT, false}, 0, true, true, NULL, NULL,
		{0, false}};
}

static void set(struct mt_alog *l, const struct mt_alog_want *w, uint32_t n)
{
	struct mt_err e = {""};

	CU_ASSERT_EQUAL(mt_alog_set(l, w, n, &e), 0);
	CU_ASSERT_STRING_EQUAL(e.text, "");
}

static void free_log(struct mt_alog *l)
{
	mt_alog_stop(l, MT_ALOG_STOP);
	mt_alog_free(l);
}

static struct mt_alog_output_stats counted(const struct mt_alog *l, uint32_t i)
{
	struct mt_alog_output_stats st;

	CU_ASSERT_TRUE_FATAL(mt_alog_output(l, i, &st));
	return st;
}

static uint64_t lost(const struct mt_alog_output_stats *st)
{
	return st->lost_ring + sinks_lost(&st->sink);
}

/* Waits until output i has written so many lines, at most 10 s. */
static bool wrote(const struct mt_alog *l, uint32_t i, uint64_t n)
{
	for (uint32_t ms = 0; ms < 10000; ms++) {
		struct mt_alog_output_stats st = counted(l, i);

		if (st.sink.written >= n)
			return st.sink.written == n;
		usleep(1000);
	}
	return false;
}

/* ---- entries -------------------------------------------------------------------------------- */

/* Writes an entry whose line is a numbered one of sinks.h. False: the ring is full. */
static bool add(struct mt_byte_ring *r, uint32_t number)
{
	char method[64];
	uint16_t n =
		(uint16_t)snprintf(method, sizeof(method), "line %010u ...............", number);
	struct mt_alog_entry *e =
		mt_byte_ring_reserve(r, mt_alog_entry_size(MT_ALOG_NO_TEXT, n, 0, 0));

	if (!e)
		return false;
	memset(e, 0, sizeof(*e));
	e->interface_len = MT_ALOG_NO_TEXT;
	e->method_len = n;
	memcpy(e->texts, method, n);
	return true;
}

static uint32_t add_all(struct mt_byte_ring *r, uint32_t first, uint32_t n)
{
	uint32_t added = 0;

	for (uint32_t i = first; i < first + n; i++)
		added += add(r, i);
	mt_byte_ring_publish(r);
	return added;
}

/* 2026-01-02T03:04:05.678Z */
#define START (1767323045ull * MT_SEC + 678 * MT_MSEC)

static void fill(struct mt_alog_entry *e, const char *interface, const char *method)
{
	memset(e, 0, sizeof(*e));
	e->wall = START;
	e->started = 1000 * MT_MSEC;
	e->connecting = 1000 * MT_MSEC + 100 * MT_USEC;
	e->sent = 1000 * MT_MSEC + 500 * MT_USEC;
	e->replied = 1004 * MT_MSEC + 900 * MT_USEC;
	e->ended = 1005 * MT_MSEC + 100 * MT_USEC;
	e->bytes_in = 241;
	e->bytes_out = 120;
	e->protocol = "dubbo";
	e->host = "org.example.demoservice";
	e->route = "canary";
	e->cluster = "outbound|20880||org.example.demoservice";
	(void)mt_addr_parse("192.0.2.2", &e->client);
	(void)mt_addr_parse("240.240.1.1", &e->local);
	(void)mt_addr_parse("198.51.100.1", &e->up_local);
	(void)mt_addr_parse("198.51.100.12", &e->endpoint);
	e->client_port = 57632;
	e->local_port = e->endpoint_port = 20880;
	e->up_local_port = 39221;
	e->exchange = (struct mt_ref){17, 3};
	e->worker = 2;
	e->attempts = 1;
	e->ending = MT_ENDING_ok;
	e->interface_len = (uint16_t)strlen(interface);
	e->method_len = (uint16_t)strlen(method);
	memcpy(mempcpy(e->texts, interface, e->interface_len), method, e->method_len);
}

/* The line of the entry is that of record_of_call(). */
static void test_entry(void)
{
	static const char policy[] = "AuthorizationPolicy a/b";
	char bytes[sizeof(struct mt_alog_entry) + 2 * MT_ALOG_ENTRY_TEXT + MT_ALOG_REASON_TEXT]
		__attribute__((aligned(8)));
	struct mt_alog_entry *e = (struct mt_alog_entry *)(void *)bytes;
	char expected[MT_ALOG_LINE];
	struct mt_alog_made made;
	struct mt_alog_record r;

	record_of_call(&r);
	strcpy(expected, line_of(NULL, MT_ALOG_TEXT, false, &r));
	fill(e, "org.example.DemoService", "sayHello");
	mt_alog_entry_view(e, &made, &r);
	CU_ASSERT_STRING_EQUAL(line_of(NULL, MT_ALOG_TEXT, false, &r), expected);
	CU_ASSERT_STRING_EQUAL(
		line_of("%STREAM_ID% %UPSTREAM_REQUEST_ATTEMPT_COUNT%", MT_ALOG_TEXT, false, &r),
		"2-17-3 1\n");
	e->ending = MT_ENDING_denied;
	e->reason_len = sizeof(policy) - 1;
	memcpy(e->texts + e->interface_len + e->method_len, policy, e->reason_len);
	mt_alog_entry_view(e, &made, &r);
	CU_ASSERT_STRING_EQUAL(
		line_of("%REQ(:METHOD)% %RESPONSE_CODE_DETAILS%", MT_ALOG_TEXT, false, &r),
		"sayHello rbac_access_denied_matched_policy[AuthorizationPolicy_a/b]\n");
}

/* All that an entry does not have is "-". */
static void test_empty_entry(void)
{
	struct mt_alog_entry e = {.interface_len = MT_ALOG_NO_TEXT,
		.method_len = MT_ALOG_NO_TEXT,
		.ending = MT_ENDING_bad_request,
		.worker = UINT16_MAX,
		.exchange = {UINT32_MAX, UINT32_MAX}};
	struct mt_alog_made made;
	struct mt_alog_record r;

	mt_alog_entry_view(&e, &made, &r);
	CU_ASSERT_STRING_EQUAL(
		line_of("%REQ(:METHOD)% %REQ(:PATH)% %REQ(:AUTHORITY)% %RESPONSE_CODE% "
			"%DOWNSTREAM_REMOTE_ADDRESS% %UPSTREAM_HOST% "
			"%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% %STREAM_ID%",
			MT_ALOG_TEXT, false, &r),
		"- - - 400 - - - 65535-4294967295-4294967295\n");
}

/* ---- rings ---------------------------------------------------------------------------------- */

#define WRITERS 4
#define EACH	30000u

struct writer {
	struct mt_byte_ring *ring;
	pthread_t thread;
	uint32_t added;
};

static void *writing(void *arg)
{
	struct writer *w = arg;

	for (uint32_t i = 0; i < EACH; i += 100) {
		w->added += add_all(w->ring, i, 100);
		usleep(100);
	}
	return NULL;
}

/* Four workers write while mt-log reads: each entry is a line of the file, or counted. */
static void test_rings(void)
{
	struct mt_alog *l = log_new(WRITERS);
	struct mt_alog_want w = wants("rings", FORMAT);
	struct writer writers[WRITERS] = {0};
	struct mt_alog_output_stats st;
	uint64_t added = 0;

	set(l, &w, 1);
	for (uint32_t i = 0; i < WRITERS; i++) {
		writers[i].ring = mt_alog_ring(l, i);
		CU_ASSERT_EQUAL_FATAL(
			pthread_create(&writers[i].thread, NULL, writing, &writers[i]), 0);
	}
	for (uint32_t i = 0; i < WRITERS; i++) {
		pthread_join(writers[i].thread, NULL);
		added += writers[i].added;
	}
	mt_alog_stop(l, MT_ALOG_STOP);
	st = counted(l, 0);
	CU_ASSERT_EQUAL(st.wanted, (uint64_t)WRITERS * EACH);
	CU_ASSERT_EQUAL(st.wanted, st.sink.written + lost(&st));
	CU_ASSERT(st.wanted - st.lost_ring <= added); /* mt-log may end before it has read all */
	CU_ASSERT_EQUAL(st.sink.bytes, st.sink.written * LINE_LEN);
	mt_alog_free(l);
}

/* A full ring drops the newest entries, and the output counts them. */
static void test_full_ring(void)
{
	struct mt_alog *l = log_new(1);
	struct mt_byte_ring *r = mt_alog_ring(l, 0);
	struct mt_alog_want w = wants("full", FORMAT);
	struct mt_alog_output_stats st;
	uint32_t added = 0;

	set(l, &w, 1);
	/* Nothing is published, so mt-log takes nothing. */
	for (uint32_t i = 0; i < 30000; i++)
		added += add(r, i);
	CU_ASSERT_TRUE(added < 30000);
	CU_ASSERT_TRUE(added > MT_BYTE_RING_SIZE / 1024);
	st = counted(l, 0);
	CU_ASSERT_EQUAL(st.lost_ring, 30000 - added);
	mt_byte_ring_publish(r);
	CU_ASSERT_TRUE(wrote(l, 0, added));
	/* There is space again. */
	CU_ASSERT_EQUAL(add_all(r, 30000, 100), 100);
	CU_ASSERT_TRUE(wrote(l, 0, added + 100));
	st = counted(l, 0);
	CU_ASSERT_EQUAL(st.wanted, 30100);
	CU_ASSERT_EQUAL(st.wanted, st.sink.written + lost(&st));
	CU_ASSERT_EQUAL(sinks_lines_of(sinks_path("full")), added + 100);
	free_log(l);
}

/* ---- outputs -------------------------------------------------------------------------------- */

static void test_dead_sink(void)
{
	struct mt_alog *l = log_new(2);
	struct mt_alog_output_stats st;
	struct mt_alog_want w[2];
	uint64_t from;
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(pipe(fd), 0); /* nothing reads it */
	w[0] = wants_descriptor(fd[1], FORMAT);
	w[1] = wants("beside", FORMAT);
	set(l, w, 2);
	for (uint32_t i = 0; i < 60; i++) {
		CU_ASSERT_EQUAL(add_all(mt_alog_ring(l, i % 2), i * 5000, 5000), 5000);
		CU_ASSERT_TRUE(wrote(l, 1, (i + 1) * 5000));
	}
	st = counted(l, 0);
	CU_ASSERT_EQUAL(st.wanted, 300000);
	CU_ASSERT_EQUAL(st.lost_ring, 0);
	CU_ASSERT_TRUE(st.sink.lost[MT_ALOG_STATE_stalled] > 0);
	CU_ASSERT_EQUAL(sinks_lines_of(sinks_path("beside")), 300000);
	from = now_ms();
	mt_alog_stop(l, MT_ALOG_STOP);
	CU_ASSERT_TRUE(now_ms() - from < 3000);
	st = counted(l, 0);
	CU_ASSERT_EQUAL(st.wanted, st.sink.written + lost(&st));
	CU_ASSERT_TRUE(st.sink.lost[MT_ALOG_STATE_stopped] > 0);
	mt_alog_free(l);
	close(fd[0]);
	close(fd[1]);
}

/* Lines go to the outputs of their time; one that stays loses none and is not opened again. */
static void test_replaced(void)
{
	struct mt_alog *l = log_new(1);
	struct mt_byte_ring *r = mt_alog_ring(l, 0);
	struct mt_alog_want first[2] = {wants("stays", FORMAT), wants("goes", FORMAT)};
	struct mt_alog_want then[2] = {wants("comes", FORMAT), wants("stays", FORMAT)};

	set(l, first, 2);
	add_all(r, 0, 1000);
	CU_ASSERT_TRUE(wrote(l, 0, 1000) && wrote(l, 1, 1000));
	then[1].document = "Telemetry a/b: spec.accessLogging[0]";
	set(l, then, 2);
	CU_ASSERT_STRING_EQUAL(counted(l, 1).document, "Telemetry a/b: spec.accessLogging[0]");
	CU_ASSERT_STRING_EQUAL(counted(l, 1).path, sinks_path("stays"));
	add_all(r, 1000, 500);
	CU_ASSERT_TRUE(wrote(l, 1, 1500));
	mt_alog_turn(l);
	usleep(20000);
	add_all(r, 1500, 500);
	CU_ASSERT_TRUE(wrote(l, 1, 2000));
	CU_ASSERT_EQUAL(counted(l, 1).sink.opened, 1);
	mt_alog_turn(l);
	free_log(l);
	CU_ASSERT_EQUAL(sinks_lines_of(sinks_path("stays")), 2000);
	/* mt-log may take the new list before or after the second part. */
	CU_ASSERT_TRUE(sinks_lines_of(sinks_path("comes")) >= 500);
	CU_ASSERT_EQUAL(
		sinks_lines_of(sinks_path("comes")) + sinks_lines_of(sinks_path("goes")), 2000);
}

/* Entries that were written before the last output ended are lines of it. */
static void test_last_ends(void)
{
	for (uint32_t i = 0; i < 10; i++) {
		struct mt_alog *l = log_new(1);
		struct mt_alog_want w;
		char name[16];

		snprintf(name, sizeof(name), "last%u", i);
		w = wants(name, FORMAT);
		set(l, &w, 1);
		add_all(mt_alog_ring(l, 0), 0, 1);
		CU_ASSERT_TRUE(wrote(l, 0, 1));
		add_all(mt_alog_ring(l, 0), 1, 10);
		set(l, NULL, 0);
		free_log(l);
		CU_ASSERT_EQUAL(sinks_lines_of(sinks_path(name)), 11);
	}
}

/* Changes that mt-log has no time to take: outputs end, lines are written once, in any order. */
static void test_many_changes(void)
{
	struct mt_alog *l = log_new(1);
	struct mt_byte_ring *r = mt_alog_ring(l, 0);
	bool seen[2000] = {false};
	int64_t lines = 0, n;
	char name[16];

	for (uint32_t i = 0; i < 200; i++) {
		struct mt_alog_want w;

		snprintf(name, sizeof(name), "many%u", i % 4);
		w = wants(name, FORMAT);
		set(l, &w, i % 7 == 6 ? 0 : 1);
		if (i % 7 != 6)
			add_all(r, i * 10, 10);
		mt_alog_turn(l);
	}
	free_log(l);
	for (uint32_t i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "many%u", i);
		n = sinks_new_lines(sinks_path(name), seen, MT_ARRAY_LEN(seen));
		CU_ASSERT_TRUE(n >= 0);
		lines += n;
	}
	/* Entries of a moment without outputs are forgotten, but not those after the last one. */
	CU_ASSERT_TRUE(lines >= 4 * 10 && lines <= 172 * 10);
}

/* A format that cannot be read leaves all outputs as they are. */
static void test_bad_format(void)
{
	struct mt_alog *l = log_new(1);
	struct mt_alog_want w[2] = {wants("good", FORMAT), wants("bad", "%NO_SUCH%")};
	struct mt_err e = {""};

	set(l, w, 1);
	w[0] = wants("other", FORMAT);
	CU_ASSERT_EQUAL(mt_alog_set(l, w, 2, &e), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "NO_SUCH"));
	CU_ASSERT_STRING_EQUAL(counted(l, 0).path, sinks_path("good"));
	mt_alog_turn(l);
	add_all(mt_alog_ring(l, 0), 0, 10);
	CU_ASSERT_TRUE(wrote(l, 0, 10));
	free_log(l);
}

static void test_too_many(void)
{
	struct mt_alog *l = log_new(1);
	struct mt_alog_want w[MT_ALOG_OUTPUTS + 1];
	struct mt_err e = {""};

	for (uint32_t i = 0; i <= MT_ALOG_OUTPUTS; i++)
		w[i] = wants("same", FORMAT);
	CU_ASSERT_EQUAL(mt_alog_set(l, w, MT_ALOG_OUTPUTS + 1, &e), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "at most 16"));
	free_log(l);
}

/* A file that was renamed gets no more lines; `log reopen` opens it at once. */
static void test_reopen(void)
{
	struct mt_alog *l = log_new(1);
	struct mt_alog_want w = wants("turns", FORMAT);
	char old[160];

	set(l, &w, 1);
	add_all(mt_alog_ring(l, 0), 0, 100);
	CU_ASSERT_TRUE(wrote(l, 0, 100));
	snprintf(old, sizeof(old), "%s.1", sinks_path("turns"));
	CU_ASSERT_EQUAL(rename(sinks_path("turns"), old), 0);
	mt_alog_reopen(l);
	add_all(mt_alog_ring(l, 0), 100, 50);
	CU_ASSERT_TRUE(wrote(l, 0, 150));
	CU_ASSERT_EQUAL(counted(l, 0).sink.opened, 2);
	CU_ASSERT_EQUAL(sinks_lines_of(old), 100);
	CU_ASSERT_EQUAL(sinks_lines_of(sinks_path("turns")), 50);
	free_log(l);
}

/* ---- scopes --------------------------------------------------------------------------------- */

/* Reserves an entry without values; the caller publishes it. */
static struct mt_alog_entry *reserve(struct mt_byte_ring *r)
{
	struct mt_alog_entry *e =
		mt_byte_ring_reserve(r, mt_alog_entry_size(MT_ALOG_NO_TEXT, MT_ALOG_NO_TEXT, 0, 0));

	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	memset(e, 0, sizeof(*e));
	e->interface_len = e->method_len = MT_ALOG_NO_TEXT;
	return e;
}

static void add_for(struct mt_alog *l, const char *host, const struct mt_alog_scope *scope)
{
	struct mt_byte_ring *r = mt_alog_ring(l, 0);
	struct mt_alog_entry *e = reserve(r);

	e->host = host;
	e->scope = scope;
	mt_byte_ring_publish(r);
}

/* Entries of each kind: without a service, of one without a scope, and with keys 1, 2, both, none. */
static void add_kinds(struct mt_alog *l)
{
	static const struct mt_alog_scope one = {1, {1}}, two = {1, {2}}, both = {2, {2, 1}},
					  none = {0};

	add_for(l, NULL, NULL);
	add_for(l, "a", NULL);
	add_for(l, "a", &one);
	add_for(l, "a", &one);
	add_for(l, "a", &two);
	add_for(l, "a", &both);
	add_for(l, "a", &none);
}

/* Lines of each output after the log has stopped. */
static void stop_with(struct mt_alog *l, uint64_t a, uint64_t b, uint64_t c)
{
	mt_alog_stop(l, MT_ALOG_STOP);
	CU_ASSERT_EQUAL(counted(l, 0).sink.written, a);
	CU_ASSERT_EQUAL(counted(l, 1).sink.written, b);
	CU_ASSERT_EQUAL(counted(l, 2).sink.written, c);
	mt_alog_free(l);
}

/* A call leaves a line in the outputs of its service's scope. */
static void test_scopes(void)
{
	struct mt_alog_want w[] = {wants("scope_general", "%REQ(:AUTHORITY)%"),
		wants("scope_1", FORMAT), wants("scope_2", FORMAT)};
	struct mt_alog *l = log_new(1);

	w[1].key = 1;
	w[2].key = 2;
	w[1].general = w[2].general = w[1].unserved = w[2].unserved = false;
	set(l, w, 3);
	add_kinds(l);
	stop_with(l, 2, 3, 2);
	/* Without a general output, calls without a service leave a line in those for them. */
	l = log_new(1);
	w[0].general = false;
	w[0].key = 3;
	w[2].unserved = true;
	set(l, w, 3);
	add_kinds(l);
	stop_with(l, 1, 3, 3);
	l = log_new(1);
	w[0].unserved = w[2].unserved = false;
	set(l, w, 3);
	add_kinds(l);
	stop_with(l, 0, 3, 2);
	/* An output may be for both kinds. */
	l = log_new(1);
	w[1].general = w[1].unserved = true;
	set(l, w, 3);
	add_kinds(l);
	stop_with(l, 0, 5, 2);
}

/* ---- filters -------------------------------------------------------------------------------- */

static void add_ended(struct mt_alog *l, enum mt_ending ending)
{
	struct mt_byte_ring *r = mt_alog_ring(l, 0);
	reserve(r)->ending = (uint8_t)ending;
	mt_byte_ring_publish(r);
}

/* A call for which the filter is not true leaves no line, and is not counted as wanted. */
static void test_filters(void)
{
	struct mt_alog_want w[] = {wants("filter_all", FORMAT), wants("filter_bad", FORMAT),
		wants("filter_error", FORMAT)};
	struct mt_alog *l = log_new(1);

	w[1].filter = "response.code >= 400";
	w[2].filter = "request.method == 'a' && response.code >= 400";
	set(l, w, 3);
	for (uint32_t i = 0; i < 10; i++)
		add_ended(l, i % 5 ? MT_ENDING_ok : MT_ENDING_no_route);
	mt_alog_stop(l, MT_ALOG_STOP);
	CU_ASSERT_EQUAL(counted(l, 0).sink.written, 10);
	CU_ASSERT_EQUAL(counted(l, 1).sink.written, 2);
	CU_ASSERT_EQUAL(counted(l, 1).wanted, 2);
	CU_ASSERT_EQUAL(counted(l, 2).wanted, 0);
	mt_alog_free(l);
}

/* An output with another filter is another output; one with the same filter stays. */
static void test_filter_changes(void)
{
	struct mt_alog_want w = wants("filter_changes", FORMAT);
	struct mt_alog *l = log_new(1);
	char copy[] = "response.code >= 400";
	struct mt_err e = {""};

	w.filter = "response.code >= 400";
	set(l, &w, 1);
	w.filter = copy;
	set(l, &w, 1);
	CU_ASSERT_EQUAL(counted(l, 0).number, 1);
	w.filter = "response.code >= 500";
	set(l, &w, 1);
	CU_ASSERT_EQUAL(counted(l, 0).number, 2);
	w.filter = NULL;
	set(l, &w, 1);
	CU_ASSERT_EQUAL(counted(l, 0).number, 3);
	w.filter = "response.code >=";
	CU_ASSERT_EQUAL(mt_alog_set(l, &w, 1, &e), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "column 17"));
	CU_ASSERT_EQUAL(counted(l, 0).number, 3);
	free_log(l);
}

/* Outputs with the same draw have lines of the same calls, unless they draw for themselves. */
static void test_draws(void)
{
	struct mt_alog_want w[] = {wants("draw_half", FORMAT), wants("draw_same", FORMAT),
		wants("draw_own", FORMAT), wants("draw_none", FORMAT)};
	struct mt_alog *l = log_new(1);
	struct mt_byte_ring *r = mt_alog_ring(l, 0);
	struct mt_alog_output_stats st;

	w[0].draw = w[1].draw = (struct mt_alog_draw){500000, false};
	w[2].draw = (struct mt_alog_draw){500000, true};
	w[2].key = 7;
	w[3].draw = (struct mt_alog_draw){1000000, false};
	set(l, w, 4);
	for (uint32_t i = 0; i < 2000; i++) {
		reserve(r)->started = i;
		mt_byte_ring_publish(r);
	}
	mt_alog_stop(l, MT_ALOG_STOP);
	st = counted(l, 0);
	CU_ASSERT(st.wanted > 800 && st.wanted < 1200);
	CU_ASSERT_EQUAL(counted(l, 1).wanted, st.wanted);
	st = counted(l, 2);
	CU_ASSERT(st.wanted > 800 && st.wanted < 1200);
	CU_ASSERT_EQUAL(counted(l, 3).wanted, 0);
	mt_alog_free(l);
}

/* An output with another draw is another output. */
static void test_draw_changes(void)
{
	struct mt_alog_want w = wants("draw_changes", FORMAT);
	struct mt_alog *l = log_new(1);

	w.draw.skips = 1;
	set(l, &w, 1);
	set(l, &w, 1);
	CU_ASSERT_EQUAL(counted(l, 0).number, 1);
	w.draw.skips = 2;
	set(l, &w, 1);
	CU_ASSERT_EQUAL(counted(l, 0).number, 2);
	w.draw.own = true;
	set(l, &w, 1);
	CU_ASSERT_EQUAL(counted(l, 0).number, 3);
	free_log(l);
}

/* Outputs stay while their keys change. */
static void test_scopes_change(void)
{
	static const struct mt_alog_scope two = {1, {2}};
	struct mt_alog_want w = wants("changing", FORMAT);
	struct mt_alog *l = log_new(1);

	w.key = 1;
	set(l, &w, 1);
	add_all(mt_alog_ring(l, 0), 0, 1);
	CU_ASSERT_TRUE(wrote(l, 0, 1));
	w.key = 2;
	set(l, &w, 1);
	for (uint32_t n = 0; n < 10000 && counted(l, 0).sink.written == 1; n++) {
		add_for(l, "a", &two);
		usleep(1000);
	}
	CU_ASSERT_TRUE(counted(l, 0).sink.written > 1);
	CU_ASSERT_EQUAL(counted(l, 0).number, 1);
	free_log(l);
}

/* ---- totals --------------------------------------------------------------------------------- */

static struct mt_alog_total total(const struct mt_alog *l, uint32_t i)
{
	struct mt_alog_total t;

	CU_ASSERT_TRUE_FATAL(mt_alog_total(l, i, &t));
	return t;
}

static uint64_t total_lost(const struct mt_alog_total *t)
{
	uint64_t n = t->lost_ring;

	for (uint32_t i = 0; i < MT_ALOG_STATES; i++)
		n += t->lost[i];
	return n;
}

/* Adds lines until the output has some: mt-log takes a new list of outputs in its own time. */
static void add_until_written(struct mt_alog *l, uint32_t i)
{
	for (uint32_t n = 0; n < 10000 && !counted(l, i).sink.written; n++) {
		add_all(mt_alog_ring(l, 0), 0, 1);
		usleep(1000);
	}
	CU_ASSERT_TRUE(counted(l, i).sink.written > 0);
}

/* The total of a place rises over outputs that come and go, and over two at a time. */
static void test_totals(void)
{
	struct mt_alog *l = log_new(1);
	struct mt_alog_want w[] = {wants("totals", FORMAT), wants("totals", FORMAT)};
	struct mt_alog_total t;
	uint64_t before = 100;

	/* Another output because of this, with the same lines. */
	w[1].spec.omit_empty = true;
	CU_ASSERT_FALSE(mt_alog_total(l, 0, &t));
	set(l, w, 1);
	add_all(mt_alog_ring(l, 0), 0, 100);
	CU_ASSERT_TRUE(wrote(l, 0, 100));
	CU_ASSERT_EQUAL(total(l, 0).written, 100);
	set(l, w, 2);
	add_until_written(l, 1);
	set(l, w + 1, 1);
	for (int i = 0; i < 20; i++) {
		mt_alog_turn(l);
		CU_ASSERT_TRUE(total(l, 0).written >= before);
		before = total(l, 0).written;
		usleep(10000);
	}
	set(l, NULL, 0);
	mt_alog_stop(l, MT_ALOG_STOP);
	t = total(l, 0);
	CU_ASSERT_STRING_EQUAL(t.path, sinks_path("totals"));
	CU_ASSERT_TRUE(t.written >= before);
	CU_ASSERT_EQUAL(total_lost(&t), 0);
	CU_ASSERT_FALSE(mt_alog_total(l, 1, &t));
	mt_alog_free(l);
}

/* Losses of an output that ended stay, each with its reason. */
static void test_total_lost(void)
{
	struct mt_alog *l = log_new(1);
	struct mt_alog_want w = wants("at_once_total", FORMAT);
	struct mt_alog_total t;

	set(l, &w, 1);
	CU_ASSERT_TRUE(add_all(mt_alog_ring(l, 0), 0, 10000) > 0);
	mt_alog_stop(l, 0);
	t = total(l, 0);
	CU_ASSERT_EQUAL(t.written + total_lost(&t), 10000);
	CU_ASSERT_TRUE(total_lost(&t) > 0);
	mt_alog_free(l);
}

/* Documents that name ever new files cost no more memory. */
static void test_many_totals(void)
{
	struct mt_alog *l = log_new(1);
	char name[32];

	for (uint32_t i = 0; i < MT_ALOG_PLACES + 3; i++) {
		struct mt_alog_want w = wants(name, FORMAT);

		snprintf(name, sizeof(name), "place_%u", i);
		set(l, &w, 1);
		mt_alog_turn(l);
	}
	add_until_written(l, 0);
	CU_ASSERT_STRING_EQUAL(total(l, MT_ALOG_PLACES - 2).path, sinks_path("place_62"));
	CU_ASSERT_STRING_EQUAL(total(l, MT_ALOG_PLACES - 1).path, "other");
	CU_ASSERT_TRUE(total(l, MT_ALOG_PLACES - 1).written >= counted(l, 0).sink.written);
	CU_ASSERT_FALSE(mt_alog_total(l, MT_ALOG_PLACES, &(struct mt_alog_total){0}));
	free_log(l);
}

/* ---- the end, and snapshots ----------------------------------------------------------------- */

/* What is in the rings when the log stops is written. */
static void test_stop(void)
{
	struct mt_alog *l = log_new(2);
	struct mt_alog_want w = wants("stop", FORMAT);
	struct mt_err e;

	set(l, &w, 1);
	add_all(mt_alog_ring(l, 0), 0, 5000);
	add_all(mt_alog_ring(l, 1), 5000, 5000);
	mt_alog_stop(l, MT_ALOG_STOP);
	CU_ASSERT_EQUAL(counted(l, 0).sink.written, 10000);
	/* Afterwards nothing is started any more. */
	CU_ASSERT_EQUAL(mt_alog_set(l, &w, 0, &e), 0);
	mt_alog_stop(l, MT_ALOG_STOP);
	mt_alog_free(l);
}

/* Without time nothing is rendered, and all is counted. */
static void test_stop_at_once(void)
{
	struct mt_alog *l = log_new(1);
	struct mt_alog_want w = wants("at_once", FORMAT);
	struct mt_alog_output_stats st;

	set(l, &w, 1);
	CU_ASSERT_TRUE(add_all(mt_alog_ring(l, 0), 0, 10000) > 0);
	mt_alog_stop(l, 0);
	st = counted(l, 0);
	CU_ASSERT_EQUAL(st.wanted, 10000);
	CU_ASSERT_EQUAL(st.wanted, st.sink.written + lost(&st));
	mt_alog_free(l);
}

static bool passes(const struct mt_alog *l, const struct mt_alog_marks *m)
{
	for (uint32_t ms = 0; ms < 10000; ms++) {
		if (mt_alog_passed(l, m))
			return true;
		usleep(1000);
	}
	return false;
}

/* Entries keep a snapshot until mt-log has read them, with and without outputs. */
static void test_marks(void)
{
	struct mt_alog *l = log_new(2);
	struct mt_alog_want w = wants("marks", FORMAT);
	struct mt_alog_marks m;

	mt_alog_marks(l, &m);
	CU_ASSERT_TRUE(m.set && mt_alog_passed(l, &m));
	/* mt-log does not run yet. */
	add_all(mt_alog_ring(l, 1), 0, 1);
	CU_ASSERT_TRUE(mt_alog_passed(l, &m));
	mt_alog_marks(l, &m);
	CU_ASSERT_FALSE(mt_alog_passed(l, &m));
	set(l, &w, 1);
	CU_ASSERT_TRUE(passes(l, &m));
	CU_ASSERT_TRUE(wrote(l, 0, 1));
	set(l, NULL, 0);
	add_all(mt_alog_ring(l, 0), 0, 10);
	mt_alog_marks(l, &m);
	CU_ASSERT_TRUE(passes(l, &m));
	CU_ASSERT_FALSE(mt_alog_output(l, 0, &(struct mt_alog_output_stats){0}));
	free_log(l);
}

const struct mt_test log_tests[] = {
	{"an entry gives the line of its call", test_entry},
	{"what an entry does not have is -", test_empty_entry},
	{"several rings are written while workers fill them", test_rings},
	{"a full ring loses the newest entries", test_full_ring},
	{"a dead sink delays no other one", test_dead_sink},
	{"outputs are replaced without lost lines", test_replaced},
	{"the last output ends", test_last_ends},
	{"outputs may be replaced at once again", test_many_changes},
	{"a bad format changes nothing", test_bad_format},
	{"outputs have a limit", test_too_many},
	{"a renamed file is opened again", test_reopen},
	{"scopes of services", test_scopes},
	{"scopes change", test_scopes_change},
	{"filters of outputs", test_filters},
	{"filters change", test_filter_changes},
	{"draws of outputs", test_draws},
	{"draws change", test_draw_changes},
	{"totals rise over outputs that come and go", test_totals},
	{"totals keep losses", test_total_lost},
	{"totals have a limit", test_many_totals},
	{"the rings are written at the end", test_stop},
	{"an end without time counts all", test_stop_at_once},
	{"marks of snapshots", test_marks},
	{0},
};
