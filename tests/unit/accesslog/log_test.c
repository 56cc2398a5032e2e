/* SPDX-License-Identifier: Apache-2.0 */
/* The log of a node: rings, mt-log, outputs that come and go, the end. */
#include "log_scene.h"
#include "mt_file.h"
#include "mt_outcome.h"
#include "sinks.h"
#include "suites.h"

#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static uint64_t lost(const struct mt_alog_output_stats *st)
{
	return st->lost_ring + sinks_lost(&st->sink);
}

/* ---- entries -------------------------------------------------------------------------------- */

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
		w->added += log_add_all(w->ring, i, 100);
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

	log_set(l, &w, 1);
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
	st = log_counted(l, 0);
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

	log_set(l, &w, 1);
	/* Nothing is published, so mt-log takes nothing. */
	for (uint32_t i = 0; i < 30000; i++)
		added += log_add(r, i);
	CU_ASSERT_TRUE(added < 30000);
	CU_ASSERT_TRUE(added > MT_BYTE_RING_SIZE / 1024);
	st = log_counted(l, 0);
	CU_ASSERT_EQUAL(st.lost_ring, 30000 - added);
	mt_byte_ring_publish(r);
	CU_ASSERT_TRUE(log_wrote(l, 0, added));
	/* There is space again. */
	CU_ASSERT_EQUAL(log_add_all(r, 30000, 100), 100);
	CU_ASSERT_TRUE(log_wrote(l, 0, added + 100));
	st = log_counted(l, 0);
	CU_ASSERT_EQUAL(st.wanted, 30100);
	CU_ASSERT_EQUAL(st.wanted, st.sink.written + lost(&st));
	CU_ASSERT_EQUAL(sinks_lines_of(sinks_path("full")), added + 100);
	log_end(l);
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
	log_set(l, w, 2);
	for (uint32_t i = 0; i < 60; i++) {
		CU_ASSERT_EQUAL(log_add_all(mt_alog_ring(l, i % 2), i * 5000, 5000), 5000);
		CU_ASSERT_TRUE(log_wrote(l, 1, (i + 1) * 5000));
	}
	st = log_counted(l, 0);
	CU_ASSERT_EQUAL(st.wanted, 300000);
	CU_ASSERT_EQUAL(st.lost_ring, 0);
	CU_ASSERT_TRUE(st.sink.lost[MT_ALOG_STATE_stalled] > 0);
	CU_ASSERT_EQUAL(sinks_lines_of(sinks_path("beside")), 300000);
	from = now_ms();
	mt_alog_stop(l, MT_ALOG_STOP);
	CU_ASSERT_TRUE(now_ms() - from < 3000);
	st = log_counted(l, 0);
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

	log_set(l, first, 2);
	log_add_all(r, 0, 1000);
	CU_ASSERT_TRUE(log_wrote(l, 0, 1000) && log_wrote(l, 1, 1000));
	then[1].document = "Telemetry a/b: spec.accessLogging[0]";
	log_set(l, then, 2);
	CU_ASSERT_STRING_EQUAL(log_counted(l, 1).document, "Telemetry a/b: spec.accessLogging[0]");
	CU_ASSERT_STRING_EQUAL(log_counted(l, 1).path, sinks_path("stays"));
	log_add_all(r, 1000, 500);
	CU_ASSERT_TRUE(log_wrote(l, 1, 1500));
	mt_alog_turn(l);
	usleep(20000);
	log_add_all(r, 1500, 500);
	CU_ASSERT_TRUE(log_wrote(l, 1, 2000));
	CU_ASSERT_EQUAL(log_counted(l, 1).sink.opened, 1);
	mt_alog_turn(l);
	log_end(l);
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
		log_set(l, &w, 1);
		log_add_all(mt_alog_ring(l, 0), 0, 1);
		CU_ASSERT_TRUE(log_wrote(l, 0, 1));
		log_add_all(mt_alog_ring(l, 0), 1, 10);
		log_set(l, NULL, 0);
		log_end(l);
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
		log_set(l, &w, i % 7 == 6 ? 0 : 1);
		if (i % 7 != 6)
			log_add_all(r, i * 10, 10);
		mt_alog_turn(l);
	}
	log_end(l);
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

	log_set(l, w, 1);
	w[0] = wants("other", FORMAT);
	CU_ASSERT_EQUAL(mt_alog_set(l, w, 2, &e), -EINVAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "NO_SUCH"));
	CU_ASSERT_STRING_EQUAL(log_counted(l, 0).path, sinks_path("good"));
	mt_alog_turn(l);
	log_add_all(mt_alog_ring(l, 0), 0, 10);
	CU_ASSERT_TRUE(log_wrote(l, 0, 10));
	log_end(l);
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
	log_end(l);
}

/* A file that was renamed gets no more lines; `log reopen` opens it at once. */
static void test_reopen(void)
{
	struct mt_alog *l = log_new(1);
	struct mt_alog_want w = wants("turns", FORMAT);
	char old[160];

	log_set(l, &w, 1);
	log_add_all(mt_alog_ring(l, 0), 0, 100);
	CU_ASSERT_TRUE(log_wrote(l, 0, 100));
	snprintf(old, sizeof(old), "%s.1", sinks_path("turns"));
	CU_ASSERT_EQUAL(rename(sinks_path("turns"), old), 0);
	mt_alog_reopen(l);
	log_add_all(mt_alog_ring(l, 0), 100, 50);
	CU_ASSERT_TRUE(log_wrote(l, 0, 150));
	CU_ASSERT_EQUAL(log_counted(l, 0).sink.opened, 2);
	CU_ASSERT_EQUAL(sinks_lines_of(old), 100);
	CU_ASSERT_EQUAL(sinks_lines_of(sinks_path("turns")), 50);
	log_end(l);
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
	for (uint32_t n = 0; n < 10000 && !log_counted(l, i).sink.written; n++) {
		log_add_all(mt_alog_ring(l, 0), 0, 1);
		usleep(1000);
	}
	CU_ASSERT_TRUE(log_counted(l, i).sink.written > 0);
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
	log_set(l, w, 1);
	log_add_all(mt_alog_ring(l, 0), 0, 100);
	CU_ASSERT_TRUE(log_wrote(l, 0, 100));
	CU_ASSERT_EQUAL(total(l, 0).written, 100);
	log_set(l, w, 2);
	add_until_written(l, 1);
	log_set(l, w + 1, 1);
	for (int i = 0; i < 20; i++) {
		mt_alog_turn(l);
		CU_ASSERT_TRUE(total(l, 0).written >= before);
		before = total(l, 0).written;
		usleep(10000);
	}
	log_set(l, NULL, 0);
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

	log_set(l, &w, 1);
	CU_ASSERT_TRUE(log_add_all(mt_alog_ring(l, 0), 0, 10000) > 0);
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
		log_set(l, &w, 1);
		mt_alog_turn(l);
	}
	add_until_written(l, 0);
	CU_ASSERT_STRING_EQUAL(total(l, MT_ALOG_PLACES - 2).path, sinks_path("place_62"));
	CU_ASSERT_STRING_EQUAL(total(l, MT_ALOG_PLACES - 1).path, "other");
	CU_ASSERT_TRUE(total(l, MT_ALOG_PLACES - 1).written >= log_counted(l, 0).sink.written);
	CU_ASSERT_FALSE(mt_alog_total(l, MT_ALOG_PLACES, &(struct mt_alog_total){0}));
	log_end(l);
}

/* ---- the end, and snapshots ----------------------------------------------------------------- */

/* What is in the rings when the log stops is written. */
static void test_stop(void)
{
	struct mt_alog *l = log_new(2);
	struct mt_alog_want w = wants("stop", FORMAT);
	struct mt_err e;

	log_set(l, &w, 1);
	log_add_all(mt_alog_ring(l, 0), 0, 5000);
	log_add_all(mt_alog_ring(l, 1), 5000, 5000);
	mt_alog_stop(l, MT_ALOG_STOP);
	CU_ASSERT_EQUAL(log_counted(l, 0).sink.written, 10000);
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

	log_set(l, &w, 1);
	CU_ASSERT_TRUE(log_add_all(mt_alog_ring(l, 0), 0, 10000) > 0);
	mt_alog_stop(l, 0);
	st = log_counted(l, 0);
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
	log_add_all(mt_alog_ring(l, 1), 0, 1);
	CU_ASSERT_TRUE(mt_alog_passed(l, &m));
	mt_alog_marks(l, &m);
	CU_ASSERT_FALSE(mt_alog_passed(l, &m));
	log_set(l, &w, 1);
	CU_ASSERT_TRUE(passes(l, &m));
	CU_ASSERT_TRUE(log_wrote(l, 0, 1));
	log_set(l, NULL, 0);
	log_add_all(mt_alog_ring(l, 0), 0, 10);
	mt_alog_marks(l, &m);
	CU_ASSERT_TRUE(passes(l, &m));
	CU_ASSERT_FALSE(mt_alog_output(l, 0, &(struct mt_alog_output_stats){0}));
	log_end(l);
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
	{"totals rise over outputs that come and go", test_totals},
	{"totals keep losses", test_total_lost},
	{"totals have a limit", test_many_totals},
	{"the rings are written at the end", test_stop},
	{"an end without time counts all", test_stop_at_once},
	{"marks of snapshots", test_marks},
	{0},
};
