/* SPDX-License-Identifier: Apache-2.0 */
/* Queues against a collector in this process: what arrives, and what is lost for which reason. */
#include "mt_export.h"
#include "mt_export_message.h"
#include "mt_export_retry.h"

#include "../grpc/grpc_server.h"
#include "mt_test.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define PATH "/test.Collector/Take"
#define LONG (30 * MT_SEC)

static struct mt_export *x;
static struct server server;

/* What the collector got, without the prefix of gRPC; messages follow each other. */
static uint8_t got[1u << 20];
static size_t n_got;
static uint32_t n_messages;
/* Its answer; NULL: it sends the message back. */
static const uint8_t *reply;
static size_t reply_len;

/* ---- the collector -------------------------------------------------------------------------- */

static void on_message(struct server *s)
{
	CU_ASSERT_FATAL(s->have >= 5 && n_got + s->have - 5 <= sizeof(got));
	memcpy(got + n_got, s->body + 5, s->have - 5);
	n_got += s->have - 5;
	n_messages++;
	if (!reply)
		return;
	CU_ASSERT_FATAL(reply_len + 5 <= s->room && reply_len < 128);
	memcpy(s->body, (uint8_t[]){0, 0, 0, 0, (uint8_t)reply_len}, 5);
	memcpy(s->body + 5, reply, reply_len);
	s->have = reply_len + 5;
}

static void set_up(enum manner manner)
{
	struct mt_err e;

	x = mt_export_new(&e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	server_start(&server, manner, NULL);
	server.on_end = on_message;
	n_got = n_messages = 0;
	reply = NULL;
}

static void tear_down(void)
{
	mt_export_free(x);
	server_stop(&server);
}

static struct mt_grpc_target *target_at(uint16_t port)
{
	char at[32];
	const char *const servers[] = {at};

	snprintf(at, sizeof(at), "127.0.0.1:%u", port);
	return mt_grpc_target_new(servers, 1, NULL);
}

static struct mt_export_queue *queue_at(uint16_t port, const struct mt_export_conf *more)
{
	struct mt_export_conf conf = *more;
	struct mt_export_queue *q;
	struct mt_err e;

	conf.name = "test";
	conf.path = PATH;
	conf.target = target_at(port);
	conf.flush = conf.flush ? conf.flush : 1 * MT_MSEC;
	q = mt_export_queue_new(x, &conf, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	mt_grpc_target_drop(conf.target);
	return q;
}

static struct mt_export_queue *queue(const struct mt_export_conf *more)
{
	return queue_at(server.port, more);
}

/* ---- queues --------------------------------------------------------------------------------- */

static void put(struct mt_export_queue *q, const char *text)
{
	CU_ASSERT(mt_export_put(q, (const uint8_t *)text, (uint32_t)strlen(text)));
	mt_export_flush(q);
}

static uint64_t sum(const uint64_t *v, uint32_t n)
{
	uint64_t all = 0;

	for (uint32_t i = 0; i < n; i++)
		all += v[i];
	return all;
}

static struct mt_export_stats stats(struct mt_export_queue *q)
{
	struct mt_export_stats st;

	mt_export_stats(q, &st);
	return st;
}

/* Serves until so many records were sent or lost. */
static struct mt_export_stats settled(struct mt_export_queue *q, uint64_t records)
{
	struct mt_export_stats st;

	for (int i = 0; i < 30000; i++) {
		server_turn(&server);
		mt_export_stats(q, &st);
		if (st.sent + sum(st.lost, MT_EXPORT_STATES) >= records)
			return st;
		poll(NULL, 0, 1);
	}
	CU_FAIL_FATAL("not settled within 30 s");
	return st;
}

static struct mt_export_stats await_state(struct mt_export_queue *q, enum mt_export_state s)
{
	struct mt_export_stats st;

	for (int i = 0; i < 30000; i++) {
		server_turn(&server);
		mt_export_stats(q, &st);
		if (st.state == s)
			return st;
		poll(NULL, 0, 1);
	}
	CU_FAIL_FATAL("not in this state within 30 s");
	return st;
}

static void end(struct mt_export_queue *q)
{
	struct mt_export_stats st;

	mt_export_queue_stop(q, 0);
	mt_export_queue_join(q);
	CU_ASSERT(mt_export_queue_ended(q));
	mt_export_stats(q, &st);
	CU_ASSERT_EQUAL(st.wanted, st.sent + sum(st.lost, MT_EXPORT_STATES));
	mt_export_queue_free(q);
}

/* ---- messages ------------------------------------------------------------------------------- */

static void test_frames(void)
{
	static const uint8_t outer[] = {0x0a, 1, 'i'}, inner[] = {0x0a, 2, 'j', 'k'};
	static const uint8_t want[] = {
		0x0a, 1, 'i', 0x12, 12, 0x0a, 2, 'j', 'k', 0x1a, 6, 'r', 'e', 'c', '1', '2', '3'};
	const struct mt_export_conf c = {
		.frames = {{outer, sizeof(outer), 0x12}, {inner, sizeof(inner), 0x1a}},
		.n_frames = 2};

	set_up(ECHO);
	struct mt_export_queue *q = queue(&c);

	CU_ASSERT(mt_export_put(q, (const uint8_t *)"rec", 3));
	CU_ASSERT(mt_export_put(q, (const uint8_t *)"123", 3));
	mt_export_flush(q);
	struct mt_export_stats st = settled(q, 2);

	CU_ASSERT_EQUAL(st.sent, 2);
	CU_ASSERT_EQUAL(st.bytes, 6);
	CU_ASSERT_EQUAL(st.state, MT_EXPORT_ok);
	CU_ASSERT_EQUAL(n_messages, 1);
	CU_ASSERT_EQUAL(n_got, sizeof(want));
	CU_ASSERT_EQUAL(memcmp(got, want, sizeof(want)), 0);
	end(q);
	tear_down();
}

/* Fields beside the records, in the message of the records. */
static void test_fields(void)
{
	static const uint8_t outer[] = {0x0a, 1, 'i'}, beside[] = {0x0a, 2, 'j', 'k'};
	static const uint8_t want[] = {0x0a, 1, 'i', 0x12, 7, 0x0a, 2, 'j', 'k', 'r', 'e', 'c'};
	const struct mt_export_conf c = {
		.frames = {{outer, sizeof(outer), 0x12}, {beside, sizeof(beside), 0}},
		.n_frames = 2};
	uint8_t *bytes = calloc(1, MT_EXPORT_QUEUE), *message;
	struct mt_byte_ring r;
	size_t all, len;

	mt_byte_ring_init(&r, bytes, MT_EXPORT_QUEUE);
	memcpy(mt_byte_ring_reserve(&r, 3), "rec", 3);
	mt_byte_ring_publish(&r);
	CU_ASSERT_EQUAL(mt_export_count(&r, &all), 1);
	message = mt_export_make(&c, &r, 1, all, &len);
	CU_ASSERT_PTR_NOT_NULL_FATAL(message);
	CU_ASSERT_EQUAL(len, sizeof(want));
	CU_ASSERT(memcmp(message, want, MT_MIN(len, sizeof(want))) == 0);
	free(message);
	free(bytes);
}

/* Lengths of one, two and three bytes; a message has at most MT_EXPORT_BATCH bytes. */
static void test_lengths(void)
{
	static const uint32_t sizes[] = {1, 127, 128, 16383, 16384, MT_EXPORT_BATCH};
	const struct mt_export_conf c = {.frames = {{NULL, 0, 0x12}}, .n_frames = 1};
	uint8_t *record = calloc(1, MT_EXPORT_BATCH), *bytes = calloc(1, MT_EXPORT_QUEUE);
	struct mt_byte_ring r;

	for (size_t i = 0; i < MT_ARRAY_LEN(sizes); i++) {
		size_t all, len, head = sizes[i] < 128 ? 2 : sizes[i] < 16384 ? 3 : 4;
		uint8_t *message;

		mt_byte_ring_init(&r, bytes, MT_EXPORT_QUEUE);
		memset(mt_byte_ring_reserve(&r, sizes[i]), 'x', sizes[i]);
		memset(mt_byte_ring_reserve(&r, MT_EXPORT_BATCH), 'y', MT_EXPORT_BATCH);
		mt_byte_ring_publish(&r);
		CU_ASSERT_EQUAL(mt_export_count(&r, &all), 1);
		CU_ASSERT_EQUAL(all, sizes[i]);
		message = mt_export_make(&c, &r, 1, all, &len);
		CU_ASSERT_PTR_NOT_NULL_FATAL(message);
		CU_ASSERT_EQUAL(len, sizes[i] + head);
		CU_ASSERT_EQUAL(message[0], 0x12);
		CU_ASSERT_EQUAL(message[len - 1], 'x');
		CU_ASSERT_EQUAL(message[head - 1] & 0x80, 0);
		free(message);
	}
	free(record);
	free(bytes);
}

static void test_many(void)
{
	const struct mt_export_conf c = {.flush = LONG};
	struct mt_export_queue *q;
	char record[1000];

	set_up(ECHO);
	q = queue(&c);
	memset(record, 'r', sizeof(record));
	/* Less than MT_EXPORT_FULL bytes wait for `flush`. */
	for (int i = 0; i < 16; i++)
		CU_ASSERT(mt_export_put(q, (const uint8_t *)record, sizeof(record)));
	mt_export_flush(q);
	for (int i = 0; i < 100; i++) {
		server_turn(&server);
		poll(NULL, 0, 1);
	}
	CU_ASSERT_EQUAL(n_messages, 0);
	for (int i = 0; i < 700; i++) {
		CU_ASSERT(mt_export_put(q, (const uint8_t *)record, sizeof(record)));
		mt_export_flush(q);
	}
	/* The rest is sent at the end. */
	mt_export_queue_stop(q, LONG);
	CU_ASSERT_EQUAL(settled(q, 716).sent, 716);
	CU_ASSERT_EQUAL(n_got, 716000);
	CU_ASSERT(n_messages >= 3 && n_messages < 100);
	end(q);
	tear_down();
}

/* ---- losses --------------------------------------------------------------------------------- */

static void test_full(void)
{
	const struct mt_export_conf c = {0};
	uint8_t record[4096] = {0};
	struct mt_export_stats st;
	struct mt_export_queue *q;
	uint32_t taken = 0;

	set_up(ECHO);
	q = queue_at(1, &c);
	CU_ASSERT(strlen(await_state(q, MT_EXPORT_unreachable).why) > 0);
	for (int i = 0; i < 2000; i++)
		taken += mt_export_put(q, record, sizeof(record));
	mt_export_flush(q);
	mt_export_stats(q, &st);
	CU_ASSERT(taken > 1000 && taken < 1024);
	CU_ASSERT_EQUAL(st.wanted, 2000);
	CU_ASSERT_EQUAL(st.lost[MT_EXPORT_unreachable], 2000 - taken);
	mt_export_queue_stop(q, 0);
	mt_export_queue_join(q);
	mt_export_stats(q, &st);
	CU_ASSERT_EQUAL(st.lost[MT_EXPORT_stopped], taken);
	mt_export_queue_free(q);
	tear_down();
}

static void check_lost(enum manner manner, enum mt_export_state why)
{
	/* Only the collector that is silent does not answer in time, on a loaded machine, too. */
	const struct mt_export_conf c = {
		.patience = 1, .timeout = manner == SILENT ? 20 * MT_MSEC : LONG};
	struct mt_export_stats st;
	struct mt_export_queue *q;

	set_up(manner);
	q = queue(&c);
	put(q, "a");
	st = settled(q, 1);
	CU_ASSERT_EQUAL(st.lost[why], 1);
	CU_ASSERT_EQUAL(st.state, why);
	CU_ASSERT(strlen(st.why) > 0);
	CU_ASSERT_EQUAL(st.calls, why == MT_EXPORT_refused ? 1 : 3);
	end(q);
	tear_down();
}

static void test_refused(void)
{
	check_lost(REFUSE, MT_EXPORT_refused);
	check_lost(COMPRESSED, MT_EXPORT_refused);
}

/* A message on which the collector fails each time is lost in the end, so that others follow. */
static void test_poison(void)
{
	check_lost(RESET, MT_EXPORT_unavailable);
	check_lost(SILENT, MT_EXPORT_late);
	/* Its delay of 120 s is longer than the time of the message. */
	check_lost(NOT_FOUND, MT_EXPORT_unavailable);
}

/*
 * Records wait while the collector fails, and arrive once it is well. Where the collector does not answer in time, a loaded
 * machine can be late with the answer to a message that has arrived, and the message is sent again.
 */
static void check_recovers(enum manner manner, enum mt_export_state state)
{
	const bool again = manner == SILENT;
	const struct mt_export_conf c = {.timeout = again ? 50 * MT_MSEC : LONG};
	struct mt_export_stats st;
	struct mt_export_queue *q;

	set_up(manner);
	q = queue(&c);
	put(q, "a");
	st = await_state(q, state);
	CU_ASSERT_EQUAL(st.sent, 0);
	server.manner = ECHO;
	server_hang_up(&server);
	put(q, "b");
	st = settled(q, 2);
	CU_ASSERT_EQUAL(st.sent, 2);
	CU_ASSERT_EQUAL(st.state, MT_EXPORT_ok);
	CU_ASSERT_STRING_EQUAL(st.why, "");
	CU_ASSERT(n_got == 2 || (again && n_got > 2));
	CU_ASSERT_EQUAL(got[0], 'a');
	CU_ASSERT_EQUAL(got[n_got - 1], 'b');
	end(q);
	tear_down();
}

static void test_recovers(void)
{
	check_recovers(SILENT, MT_EXPORT_late);
	check_recovers(GARBAGE, MT_EXPORT_unreachable);
	check_recovers(RESET, MT_EXPORT_unavailable);
	check_recovers(NO_STATUS, MT_EXPORT_unavailable);
	/* The delay of 120 s ends with its connection. */
	check_recovers(NOT_FOUND, MT_EXPORT_unavailable);
}

/* A collector that hangs delays no other queue. */
static void test_other_queue(void)
{
	const struct mt_export_conf c = {0};
	struct mt_export_queue *hangs, *q;
	struct server silent;

	set_up(ECHO);
	server_start(&silent, SILENT, NULL);
	hangs = queue_at(silent.port, &c);
	q = queue(&c);
	for (int i = 0; i < 20; i++) {
		put(hangs, "h");
		put(q, "q");
		CU_ASSERT_EQUAL(settled(q, (uint64_t)i + 1).sent, (uint64_t)i + 1);
	}
	end(hangs);
	end(q);
	server_stop(&silent);
	tear_down();
}

/* ---- answers -------------------------------------------------------------------------------- */

/* One byte: the number of rejected records. */
static int read_answer(
	const uint8_t *data, size_t len, uint64_t *rejected, char *words, size_t words_size)
{
	if (len != 1)
		return -1;
	*rejected = data[0];
	snprintf(words, words_size, "%u rejected", data[0]);
	return 0;
}

static void check_answer(
	const char *text, size_t len, uint64_t sent, enum mt_export_state state, uint64_t lost)
{
	const struct mt_export_conf c = {.answer = read_answer};
	struct mt_export_stats st;
	struct mt_export_queue *q;

	set_up(ECHO);
	reply = (const uint8_t *)text;
	reply_len = len;
	q = queue(&c);
	CU_ASSERT(mt_export_put(q, (const uint8_t *)"a", 1));
	put(q, "b");
	st = settled(q, 2);
	CU_ASSERT_EQUAL(st.sent, sent);
	CU_ASSERT_EQUAL(st.state, state);
	CU_ASSERT_EQUAL(st.lost[state], lost);
	end(q);
	tear_down();
}

static void test_answers(void)
{
	check_answer("\0", 1, 2, MT_EXPORT_ok, 0);
	check_answer("\1", 1, 1, MT_EXPORT_rejected, 1);
	check_answer("\7", 1, 0, MT_EXPORT_rejected, 2);
	check_answer("xy", 2, 0, MT_EXPORT_bad_answer, 2);
}

/* ---- connections ---------------------------------------------------------------------------- */

/* The close of an idle connection is no failure, and records after it arrive. */
static void test_idle_close(void)
{
	const struct mt_export_conf c = {0};
	struct mt_export_stats st;
	struct mt_export_queue *q;

	set_up(ECHO);
	q = queue(&c);
	put(q, "a");
	(void)settled(q, 1);
	for (int i = 0; i < 1100; i++) {
		server_turn(&server);
		poll(NULL, 0, 1);
	}
	server_hang_up(&server);
	for (int i = 0; i < 200; i++) {
		server_turn(&server);
		mt_export_stats(q, &st);
		CU_ASSERT_EQUAL(st.state, MT_EXPORT_ok);
		poll(NULL, 0, 1);
	}
	CU_ASSERT_EQUAL(server.accepted, 2);
	put(q, "b");
	CU_ASSERT_EQUAL(settled(q, 2).sent, 2);
	end(q);
	tear_down();
}

/* Records that wait for a collector arrive at another one, also after a call. */
static void test_move(void)
{
	const struct mt_export_conf c = {0};
	struct mt_grpc_target *target;
	struct mt_export_queue *q;
	struct server silent;

	set_up(ECHO);
	target = target_at(server.port);
	q = queue_at(1, &c);
	put(q, "a");
	(void)await_state(q, MT_EXPORT_unreachable);
	mt_export_queue_move(q, target);
	CU_ASSERT_EQUAL(settled(q, 1).sent, 1);
	end(q);
	server_start(&silent, SILENT, NULL);
	q = queue_at(silent.port, &c);
	put(q, "b");
	for (int i = 0; i < 30000 && !stats(q).calls; i++)
		poll(NULL, 0, 1);
	CU_ASSERT_EQUAL(stats(q).calls, 1);
	mt_export_queue_move(q, target);
	mt_export_queue_move(q, target);
	CU_ASSERT_EQUAL(settled(q, 1).sent, 1);
	/* The second move may end a call that the collector has received already. */
	CU_ASSERT_TRUE(n_got >= 2);
	end(q);
	mt_grpc_target_drop(target);
	server_stop(&silent);
	tear_down();
}

/* ---- retries -------------------------------------------------------------------------------- */

static void test_retry(void)
{
	struct mt_export_retry r = {0};
	struct mt_rand rng;
	uint64_t most = MT_EXPORT_BACKOFF_MIN;

	mt_rand_seed(&rng, 1);
	mt_export_retry_reset(&r);
	for (int status = 0; status < 17; status++) {
		bool want = status == 1 || status == 4 || status == 10 || status == 11 ||
			    status == 14 || status == 15;

		CU_ASSERT_EQUAL(mt_export_retry_is_temporary(&r, status), want);
	}
	for (int i = 0; i < 8; i++) {
		mt_export_retry_again(&r, 1000, &rng);
		CU_ASSERT(r.at >= 1000 + most / 2 && r.at <= 1000 + most);
		most = MT_MIN(2 * most, (uint64_t)MT_EXPORT_BACKOFF_MAX);
	}
	mt_export_retry_told(&r, 2000, 70);
	CU_ASSERT(mt_export_retry_is_temporary(&r, MT_GRPC_RESOURCE_EXHAUSTED));
	mt_export_retry_again(&r, 2000, &rng);
	CU_ASSERT_EQUAL(r.at, 2070);
	mt_export_retry_call(&r);
	CU_ASSERT(!mt_export_retry_is_temporary(&r, MT_GRPC_RESOURCE_EXHAUSTED));
	/* A new connection ends a delay, and no back-off. */
	mt_export_retry_again(&r, 3000, &rng);
	most = r.at;
	mt_export_retry_connected(&r, 4000, &rng);
	CU_ASSERT_EQUAL(r.at, most);
	mt_export_retry_told(&r, 4000, 3600 * MT_SEC);
	mt_export_retry_again(&r, 4000, &rng);
	mt_export_retry_connected(&r, 5000, &rng);
	CU_ASSERT(r.at > 5000 && r.at <= 5000 + MT_EXPORT_BACKOFF_MAX);
	CU_ASSERT_EQUAL(r.quiet, 0);
	mt_export_retry_told(&r, 6000, 70);
	mt_export_retry_again(&r, 6000, &rng);
	mt_export_retry_connected(&r, 6001, &rng);
	CU_ASSERT_EQUAL(r.at, 6070);
	mt_export_retry_reset(&r);
	CU_ASSERT_EQUAL(r.at, 0);
	CU_ASSERT_EQUAL(r.backoff, MT_EXPORT_BACKOFF_MIN);
}

static const struct mt_test tests[] = {{"frames", test_frames}, {"fields", test_fields},
	{"lengths", test_lengths}, {"many records", test_many}, {"full queue", test_full},
	{"refused", test_refused}, {"poison", test_poison}, {"recovers", test_recovers},
	{"other queue", test_other_queue}, {"answers", test_answers},
	{"idle close", test_idle_close}, {"move", test_move}, {"retry", test_retry}, {0}};

extern const struct mt_test http_tests[];

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"export", tests}, {"http", http_tests}, {0}};

	signal(SIGPIPE, SIG_IGN);
	return mt_test_main(suites, argc, argv);
}
