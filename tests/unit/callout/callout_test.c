/* SPDX-License-Identifier: Apache-2.0 */
/* A protocol of its own, whose questions and answers are bytes: what becomes of each question, whatever its service does. */
#include "mt_callout.h"

#include "../grpc/grpc_server.h"
#include "mt_test.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define LONG  (30 * MT_SEC)
#define BYTES 64

/* ---- the protocol ------------------------------------------------------------------------------------ */

struct word {
	struct mt_callout_slot callout;
	uint8_t bytes[BYTES]; /* the question, then its answer */
	size_t len;
	int why;       /* enum mt_callout_failure; -1: it is answered */
	bool no_bytes; /* cannot be encoded */
};

struct talk {
	struct mt_callout callout;
	uint32_t n_done;
};

static struct word *word_of(const struct mt_callout_slot *s)
{
	return mt_container_of(s, struct word, callout);
}

static uint8_t *pack(const struct mt_callout_slot *s, size_t *len)
{
	const struct word *w = word_of(s);
	uint8_t *bytes = w->no_bytes ? NULL : malloc(BYTES);

	if (bytes)
		memcpy(bytes, w->bytes, BYTES);
	*len = w->len;
	return bytes;
}

static void decode(struct mt_callout_slot *s, const uint8_t *data, size_t len)
{
	struct word *w = word_of(s);

	w->len = MT_MIN(len, (size_t)BYTES);
	if (w->len)
		memcpy(w->bytes, data, w->len);
	w->why = -1;
}

static void fail(struct mt_callout_slot *s, enum mt_callout_failure why)
{
	word_of(s)->why = (int)why;
}

static void done(struct mt_callout *x, const struct mt_callout_slot *s)
{
	CU_ASSERT_PTR_NOT_NULL(s->provider);
	mt_container_of(x, struct talk, callout)->n_done++;
}

static const struct mt_callout_kind kind = {.thread = "mt-talk",
	.what = "talk",
	.method = "/a.B/C",
	.slot_size = sizeof(struct word),
	.pack = pack,
	.read = decode,
	.fail = fail,
	.done = done};

/* ---- the service ------------------------------------------------------------------------------------- */

static struct talk *talk;
static struct mt_callout_lane *lane;
static struct server server;
static char at[32];
static uint32_t n_answers; /* messages of an answer */
static uint32_t woken;

/* Each byte of the question, and one more, as many times as is wanted. */
static void on_question(struct server *s)
{
	uint8_t message[5 + BYTES] = {0};
	size_t len = s->have;

	CU_ASSERT_FATAL(len >= 5 && len < sizeof(message));
	memcpy(message, s->body, len);
	message[4]++;
	message[len++] = '!';
	free(s->body);
	s->have = s->sent = 0;
	s->room = 65536;
	s->body = calloc(1, s->room);
	for (uint32_t i = 0; i < n_answers; i++, s->have += len)
		memcpy(s->body + s->have, message, len);
}

static struct mt_callout_provider *provider(uint64_t timeout)
{
	const char *const servers[] = {at};
	const struct mt_callout_conf conf = {
		.name = "talker", .servers = servers, .n_servers = 1, .timeout = timeout};

	return mt_callout_provider_new(&conf);
}

static void wake(uint64_t who)
{
	CU_ASSERT_EQUAL(who, 17);
	__atomic_fetch_add(&woken, 1, __ATOMIC_RELAXED);
}

static void set_up(enum manner manner)
{
	struct mt_err e;

	talk = aligned_alloc(MT_CACHE_LINE, sizeof(*talk));
	CU_ASSERT_PTR_NOT_NULL_FATAL(talk);
	memset(talk, 0, sizeof(*talk));
	CU_ASSERT_EQUAL_FATAL(mt_callout_init(&talk->callout, &kind, 2, &e), 0);
	lane = mt_callout_lane(&talk->callout, 1);
	mt_callout_wake(lane, wake, 17);
	woken = 0;
	n_answers = 1;
	memset(&server, 0, sizeof(server));
	server_start(&server, manner, NULL);
	server.on_end = on_question;
	snprintf(at, sizeof(at), "127.0.0.1:%u", server.port);
}

static void tear_down(void)
{
	mt_callout_fini(&talk->callout);
	free(talk);
	server_stop(&server);
}

/* ---- questions --------------------------------------------------------------------------------------- */

static struct word *question(void)
{
	struct mt_callout_slot *s = mt_callout_slot(lane);
	struct word *w;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	w = word_of(s);
	memcpy(w->bytes, "hello", 5);
	w->len = 5;
	w->why = -2;
	w->no_bytes = false;
	return w;
}

static struct word *answered(void)
{
	for (int i = 0; i < 30000; i++) {
		struct mt_callout_slot *s;

		server_turn(&server);
		s = mt_callout_take(lane);
		if (s)
			return word_of(s);
		poll(NULL, 0, 1);
	}
	CU_FAIL_FATAL("no answer within 30 s");
	return NULL;
}

static void check_answer(struct word *w)
{
	CU_ASSERT_PTR_EQUAL(answered(), w);
	CU_ASSERT_EQUAL(w->why, -1);
	CU_ASSERT(w->len == 6 && memcmp(w->bytes, "hello!", 6) == 0);
	CU_ASSERT_PTR_NULL(w->callout.provider);
	mt_callout_give_back(&w->callout);
}

static void check_failure(struct word *w, enum mt_callout_failure why)
{
	CU_ASSERT_PTR_EQUAL(answered(), w);
	CU_ASSERT_EQUAL(w->why, (int)why);
	mt_callout_give_back(&w->callout);
}

static struct word *ask(struct mt_callout_provider *p)
{
	struct word *w = question();

	mt_callout_ask(&w->callout, p, LONG);
	return w;
}

/* ---- answers ----------------------------------------------------------------------------------------- */

static void test_answer(void)
{
	struct mt_callout_provider *p;

	set_up(ECHO);
	p = provider(LONG);
	CU_ASSERT_NOT_EQUAL(p->id, 0);
	for (uint32_t i = 0; i < 3; i++)
		check_answer(ask(p));
	CU_ASSERT_EQUAL(server.accepted, 1);
	mt_callout_drop(p);
	mt_callout_fini(&talk->callout);
	CU_ASSERT_EQUAL(talk->n_done, 3);
	CU_ASSERT_EQUAL(woken, 3);
	free(talk);
	server_stop(&server);
}

/* None, although the call succeeds; or two. */
static void test_no_one_answer(void)
{
	struct mt_callout_provider *p;

	set_up(ECHO);
	p = provider(LONG);
	for (n_answers = 0; n_answers <= 2; n_answers += 2)
		check_failure(ask(p), MT_CALLOUT_BAD_ANSWER);
	n_answers = 1;
	check_answer(ask(p));
	mt_callout_drop(p);
	tear_down();
}

/* What cannot be encoded is not sent, whether there is a connection or not. */
static void test_no_bytes(void)
{
	struct mt_callout_provider *p;
	struct word *w;

	set_up(ECHO);
	p = provider(LONG);
	for (uint32_t i = 0; i < 2; i++) {
		w = question();
		w->no_bytes = true;
		mt_callout_ask(&w->callout, p, LONG);
		check_failure(w, MT_CALLOUT_NO_MEMORY);
	}
	check_answer(ask(p));
	mt_callout_drop(p);
	tear_down();
}

static void check_manner(enum manner manner, uint64_t timeout, enum mt_callout_failure why)
{
	struct mt_callout_provider *p;

	set_up(manner);
	p = provider(timeout);
	check_failure(ask(p), why);
	mt_callout_drop(p);
	tear_down();
}

static void test_failures(void)
{
	check_manner(REFUSE, LONG, MT_CALLOUT_REFUSED);
	check_manner(NOT_FOUND, LONG, MT_CALLOUT_UNREACHABLE);
	check_manner(RESET, LONG, MT_CALLOUT_UNREACHABLE);
	check_manner(SILENT, 50 * MT_MSEC, MT_CALLOUT_LATE);
	check_manner(GARBAGE, LONG, MT_CALLOUT_UNREACHABLE);
}

/* A question that has no more time than its provider: that the service is late is the caller's doing. */
static void test_own_time(void)
{
	static const struct {
		uint64_t own, providers;
		enum mt_callout_failure why;
	} t[] = {{50 * MT_MSEC, LONG, MT_CALLOUT_EXPIRED},
		{50 * MT_MSEC, 50 * MT_MSEC, MT_CALLOUT_EXPIRED},
		{51 * MT_MSEC, 50 * MT_MSEC, MT_CALLOUT_LATE}};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_callout_provider *p;
		struct word *w;

		set_up(SILENT);
		p = provider(t[i].providers);
		w = question();
		mt_callout_ask(&w->callout, p, t[i].own);
		check_failure(w, t[i].why);
		mt_callout_drop(p);
		tear_down();
	}
}

/* Nobody listens: said at once, and why; and the questions behind it do not wait for the next attempt. */
static void test_unreachable(void)
{
	struct mt_callout_provider *p;
	struct mt_callout_trouble t;

	set_up(ECHO);
	strcpy(at, "127.0.0.1:1");
	p = provider(LONG);
	CU_ASSERT(!mt_callout_trouble(&talk->callout, 0, &t));
	for (int i = 0; i < 3; i++)
		check_failure(ask(p), MT_CALLOUT_UNREACHABLE);
	CU_ASSERT_FATAL(mt_callout_trouble(&talk->callout, 0, &t));
	CU_ASSERT_STRING_EQUAL(t.name, "talker");
	CU_ASSERT_PTR_NOT_NULL(strstr(t.why, "127.0.0.1:1"));
	CU_ASSERT(!t.fails_open && !mt_callout_trouble(&talk->callout, 1, &t));
	mt_callout_drop(p);
	tear_down();
}

/* ---- slots ------------------------------------------------------------------------------------------- */

static void test_slots(void)
{
	struct mt_callout_slot *all[MT_CALLOUT_SLOTS];

	set_up(SILENT);
	for (uint32_t i = 0; i < MT_CALLOUT_SLOTS; i++) {
		CU_ASSERT_EQUAL(mt_callout_room(lane), MT_CALLOUT_SLOTS - i);
		CU_ASSERT_PTR_NOT_NULL_FATAL(all[i] = mt_callout_slot(lane));
		CU_ASSERT_PTR_EQUAL(all[i]->lane, lane);
		CU_ASSERT(all[i]->index < MT_CALLOUT_SLOTS);
		/* None is another one's memory. */
		memset(word_of(all[i])->bytes, (int)i, BYTES);
	}
	CU_ASSERT_PTR_NULL(mt_callout_slot(lane));
	for (uint32_t i = 0; i < MT_CALLOUT_SLOTS; i++) {
		CU_ASSERT_EQUAL(word_of(all[i])->bytes[0], (uint8_t)i);
		CU_ASSERT_EQUAL(word_of(all[i])->bytes[BYTES - 1], (uint8_t)i);
		mt_callout_give_back(all[i]);
	}
	CU_ASSERT_EQUAL(mt_callout_room(lane), MT_CALLOUT_SLOTS);
	CU_ASSERT_PTR_NOT_NULL(mt_callout_slot(lane));
	tear_down();
}

/* All of them at once come back, whatever becomes of them; and so does nothing when it ends with some under way. */
static void test_many(void)
{
	struct mt_callout_provider *p;

	set_up(SILENT);
	p = provider(100 * MT_MSEC);
	for (uint32_t i = 0; i < MT_CALLOUT_SLOTS; i++)
		(void)ask(p);
	for (uint32_t i = 0; i < MT_CALLOUT_SLOTS; i++) {
		struct word *w = answered();

		CU_ASSERT_EQUAL(w->why, MT_CALLOUT_LATE);
		mt_callout_give_back(&w->callout);
	}
	mt_callout_drop(p);
	p = provider(LONG);
	for (uint32_t i = 0; i < MT_CALLOUT_SLOTS; i++)
		(void)ask(p);
	mt_callout_drop(p);
	tear_down();
}

/* ---- connections ------------------------------------------------------------------------------------- */

/* A provider that nobody has any more keeps no connection. */
static void test_dropped(void)
{
	struct mt_callout_provider *p;

	set_up(ECHO);
	p = provider(LONG);
	check_answer(ask(p));
	CU_ASSERT_NOT_EQUAL(server.fd, -1);
	mt_callout_drop(p);
	for (int i = 0; i < 30000 && server.fd >= 0; i++) {
		server_turn(&server);
		poll(NULL, 0, 1);
	}
	CU_ASSERT_EQUAL(server.fd, -1);
	tear_down();
}

/* It ends its connection, in order or not: the next question goes over another one, and does not fail by that. */
static void check_renewed(bool in_order)
{
	struct mt_callout_provider *p;

	set_up(ECHO);
	p = provider(LONG);
	for (uint32_t i = 0; i < 5; i++) {
		check_answer(ask(p));
		CU_ASSERT_EQUAL(server.accepted, i + 1);
		if (!in_order)
			server_hang_up(&server);
		else if (server.h2)
			(void)nghttp2_session_terminate_session(server.h2, NGHTTP2_NO_ERROR);
		/* It may know by then, or hear of it with the question. */
		for (uint32_t k = 0; in_order && k < 30000 && server.fd >= 0; k++) {
			server_turn(&server);
			poll(NULL, 0, 1);
		}
	}
	mt_callout_drop(p);
	tear_down();
}

static void test_renewed(void)
{
	check_renewed(false);
	check_renewed(true);
}

/* At the service's machine, which has read none of it. */
static void question_arrives(void)
{
	char byte;

	for (uint32_t i = 0; i < 30000 && recv(server.fd, &byte, 1, MSG_PEEK) < 1; i++)
		poll(NULL, 0, 1);
}

/* In order, and the client has heard of it. */
static void end_connection(void)
{
	(void)nghttp2_session_terminate_session(server.h2, NGHTTP2_NO_ERROR);
	for (uint32_t i = 0; i < 30000 && server.fd >= 0; i++) {
		server_turn(&server);
		poll(NULL, 0, 1);
	}
	CU_ASSERT_EQUAL_FATAL(server.fd, -1);
}

static void next_connection(uint32_t number)
{
	for (uint32_t i = 0; i < 30000 && (server.accepted < number || !server.h2); i++) {
		server_turn(&server);
		poll(NULL, 0, 1);
	}
	CU_ASSERT_EQUAL_FATAL(server.accepted, number);
	/* They have said hello to each other. */
	for (uint32_t i = 0; i < 100; i++) {
		server_turn(&server);
		poll(NULL, 0, 1);
	}
}

/* It ends connections on which nobody has asked anything, as servers do with idle ones: that is no trouble, and no question fails by it. */
static void test_idle(void)
{
	struct mt_callout_provider *p;
	struct mt_callout_trouble t;
	struct word *w;
	uint32_t n = 0;

	set_up(ECHO);
	p = provider(LONG);
	for (uint32_t i = 0; i < 3; i++) {
		check_answer(ask(p));
		n = server.accepted;
		end_connection();
		next_connection(n + 1);
		end_connection();
		poll(NULL, 0, 10); /* its thread has heard of it */
		CU_ASSERT(!mt_callout_trouble(&talk->callout, 0, &t));
	}
	/* And not under the first question on such a one, either. */
	next_connection(n + 2);
	w = ask(p);
	question_arrives();
	server_hang_up(&server);
	check_answer(w);
	mt_callout_drop(p);
	tear_down();
}

/* It accepts and closes: that is trouble, also while nobody asks, and nobody waits for it. */
static void test_accepts_and_closes(void)
{
	struct mt_callout_trouble t;
	struct mt_callout_provider *p;
	struct word *w;

	set_up(SILENT);
	p = provider(LONG);
	w = ask(p);
	for (uint32_t i = 0; i < 30000 && server.accepted < 3; i++) {
		server_turn(&server);
		if (server.fd >= 0)
			server_hang_up(&server);
		poll(NULL, 0, 1);
		CU_ASSERT(server.accepted < 2 || mt_callout_trouble(&talk->callout, 0, &t));
	}
	CU_ASSERT_EQUAL_FATAL(server.accepted, 3);
	close(server.listener);
	server.listener = -1;
	check_failure(w, MT_CALLOUT_UNREACHABLE);
	check_failure(ask(p), MT_CALLOUT_UNREACHABLE);
	CU_ASSERT(mt_callout_trouble(&talk->callout, 0, &t));
	mt_callout_drop(p);
	tear_down();
}

/* Under a question, and again under the next one: that is no service any more. */
static void test_cut_off(void)
{
	struct mt_callout_provider *p;
	struct word *w;

	set_up(ECHO);
	p = provider(LONG);
	check_answer(ask(p));
	w = ask(p);
	question_arrives();
	server_hang_up(&server);
	server.manner = SILENT;
	for (uint32_t i = 0; i < 30000 && server.accepted < 2; i++) {
		server_turn(&server);
		poll(NULL, 0, 1);
	}
	server_hang_up(&server);
	check_failure(w, MT_CALLOUT_UNREACHABLE);
	CU_ASSERT(server.accepted >= 2);
	mt_callout_drop(p);
	tear_down();
}

static const struct mt_test tests[] = {{"answer", test_answer},
	{"no one answer", test_no_one_answer}, {"no bytes", test_no_bytes},
	{"failures", test_failures}, {"no time of its own", test_own_time},
	{"unreachable", test_unreachable}, {"slots", test_slots}, {"many", test_many},
	{"dropped", test_dropped}, {"renewed", test_renewed}, {"idle", test_idle},
	{"accepts_and_closes", test_accepts_and_closes}, {"cut_off", test_cut_off}, {0}};

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"callout", tests}, {0}};

	signal(SIGPIPE, SIG_IGN);
	return mt_test_main(suites, argc, argv);
}
