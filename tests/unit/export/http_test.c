/* SPDX-License-Identifier: Apache-2.0 */
/* Queues against a collector of HTTP/1.1 in this process. */
#include "mt_export.h"

#include "../grpc/grpc_server.h"
#include "http_server.h"
#include "mt_test.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LONG (30 * MT_SEC)

static struct mt_export *x;
static struct web web;

/* ---- queues --------------------------------------------------------------------------------- */

static const struct mt_export_http json = {
	.authority = "zipkin.test:9411", .content_type = "application/json"};

static struct mt_grpc_target *target_at(const char *const *servers, uint32_t n)
{
	return mt_grpc_target_new(servers, n, NULL);
}

static struct mt_export_queue *queue_to(
	const char *const *servers, uint32_t n, const struct mt_export_conf *more)
{
	struct mt_export_conf conf = *more;
	struct mt_export_queue *q;
	struct mt_err e;

	conf.name = "test";
	conf.path = conf.path ? conf.path : "/api/v2/spans";
	conf.target = target_at(servers, n);
	conf.flush = 1 * MT_MSEC;
	q = mt_export_queue_new(x, &conf, &e);
	mt_grpc_target_drop(conf.target);
	return q;
}

static struct mt_export_queue *queue(const struct mt_export_conf *more)
{
	struct mt_export_queue *q;
	char at[32];

	snprintf(at, sizeof(at), "127.0.0.1:%u", web.port);
	q = queue_to((const char *const[]){at}, 1, more);
	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	return q;
}

static void put(struct mt_export_queue *q, const char *text)
{
	CU_ASSERT(mt_export_put(q, (const uint8_t *)text, (uint32_t)strlen(text)));
	mt_export_flush(q);
}

static uint64_t lost(const struct mt_export_stats *st)
{
	uint64_t all = 0;

	for (uint32_t i = 0; i < MT_EXPORT_STATES; i++)
		all += st->lost[i];
	return all;
}

/* Serves until so many records were sent or lost. */
static struct mt_export_stats settled(struct mt_export_queue *q, uint64_t records)
{
	struct mt_export_stats st;

	for (int i = 0; i < 30000; i++) {
		web_turn(&web);
		mt_export_stats(q, &st);
		if (st.sent + lost(&st) >= records)
			return st;
		poll(NULL, 0, 1);
	}
	CU_FAIL_FATAL("not settled within 30 s");
	return st;
}

static struct mt_export_stats await_state(
	struct mt_export_queue *q, enum mt_export_state s, bool serves)
{
	struct mt_export_stats st;

	for (int i = 0; i < 30000; i++) {
		if (serves)
			web_turn(&web);
		mt_export_stats(q, &st);
		if (st.state == s)
			return st;
		poll(NULL, 0, 1);
	}
	CU_FAIL_FATAL("not in this state within 30 s");
	return st;
}

/* Waits without serving until so many sendings have begun. */
static struct mt_export_stats await_calls(struct mt_export_queue *q, uint64_t calls)
{
	struct mt_export_stats st;

	for (int i = 0; i < 30000; i++) {
		mt_export_stats(q, &st);
		if (st.calls >= calls)
			return st;
		poll(NULL, 0, 1);
	}
	CU_FAIL_FATAL("not sent so often within 30 s");
	return st;
}

static void end(struct mt_export_queue *q)
{
	struct mt_export_stats st;

	mt_export_queue_stop(q, 0);
	mt_export_queue_join(q);
	mt_export_stats(q, &st);
	CU_ASSERT_EQUAL(st.wanted, st.sent + lost(&st));
	mt_export_queue_free(q);
}

static void set_up(void)
{
	struct mt_err e;

	x = mt_export_new(&e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	web_start(&web);
}

static void tear_down(void)
{
	mt_export_free(x);
	web_stop(&web);
}

#define BUSY	  "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
#define BUSY_1S	  "HTTP/1.1 429 No\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"
#define BAD	  "HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n"
#define OK(body)  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n" body
#define LIST(...) (&(struct mt_export_conf){.http = &json, .is_list = true, __VA_ARGS__})

/* ---- requests ------------------------------------------------------------------------------- */

static void check_lines(const char *const *lines, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!strstr(web.head, lines[i])) {
			printf("%s is not in %s", lines[i], web.head);
			CU_FAIL("a line of the request");
		}
}

/* Records are a list, and headers are the provider's; the connection is kept. */
static void test_list(void)
{
	static const char *const lines[] = {"POST /api/v2/spans HTTP/1.1\r\n",
		"\r\nHost: zipkin.test:9411\r\n", "\r\nContent-Type: application/json\r\n",
		"\r\nX-Token: a b\r\n", "\r\nX-Other:\r\n", "\r\nX-None:\r\n"};
	const struct mt_export_http http = {.authority = "zipkin.test:9411",
		.content_type = "application/json",
		.lines = "X-Token: a b\nX-Other: \nX-None:"};
	struct mt_export_queue *q;
	struct mt_export_stats st;

	set_up();
	web.answers[0] = web.answers[1] = WEB_ACCEPTED;
	q = queue(&(struct mt_export_conf){.http = &http, .is_list = true});
	CU_ASSERT(mt_export_put(q, (const uint8_t *)"{1}", 3));
	put(q, "{22}");
	st = settled(q, 2);
	CU_ASSERT_EQUAL(st.sent, 2);
	CU_ASSERT_EQUAL(st.bytes, 7);
	CU_ASSERT_EQUAL(st.state, MT_EXPORT_ok);
	CU_ASSERT_EQUAL(web.body_len, 10);
	CU_ASSERT(memcmp(web.body, "[{1},{22}]", 10) == 0);
	check_lines(lines, MT_ARRAY_LEN(lines));
	CU_ASSERT_PTR_NULL(strstr(web.head, "Expect"));
	put(q, "{3}");
	CU_ASSERT_EQUAL(settled(q, 3).sent, 3);
	CU_ASSERT(memcmp(web.body, "[{3}]", 5) == 0);
	CU_ASSERT_EQUAL(web.accepted, 1);
	end(q);
	tear_down();
}

/* A path is sent as it is, and no proxy of the environment gets the request. */
static void test_as_it_is(void)
{
	static const char line[] = "POST /a/../b//c?d=[e]&f=%41{} HTTP/1.1\r\n";
	struct mt_export_queue *q;

	set_up();
	web.answers[0] = WEB_ACCEPTED;
	setenv("http_proxy", "http://127.0.0.1:1", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
	q = queue(LIST(.path = "/a/../b//c?d=[e]&f=%41{}"));
	put(q, "{}");
	CU_ASSERT_EQUAL(settled(q, 1).sent, 1);
	CU_ASSERT_EQUAL(strncmp(web.head, line, strlen(line)), 0);
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
	end(q);
	tear_down();
}

/* Texts that would make other lines of the request. */
static void test_lines(void)
{
	static const struct mt_export_http bad[] = {
		{.authority = "a:1\r\nX: y", .content_type = "a/b"},
		{.authority = "a:1", .content_type = "a/b", .lines = "X: y\r\nZ: z"},
		{.authority = "a:1", .content_type = "a/b", .lines = "X: y\rZ: z"}};
	static const char *const at[] = {"127.0.0.1:1"};

	set_up();
	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++)
		CU_ASSERT_PTR_NULL(queue_to(at, 1, &(struct mt_export_conf){.http = &bad[i]}));
	CU_ASSERT_PTR_NULL(queue_to(at, 1, LIST(.path = "/ HTTP/1.1\r\nX: y\r\n")));
	tear_down();
}

/* ---- answers -------------------------------------------------------------------------------- */

static int read_answer(
	const uint8_t *data, size_t len, uint64_t *rejected, char *words, size_t size)
{
	snprintf(words, size, "some words");
	*rejected = len == 2 && data[0] == 'r' ? data[1] - '0' : 0;
	return len == 2 && data[0] == 'x' ? -1 : 0;
}

/* Bodies of answers are read; records that they reject are lost. */
static void test_answers(void)
{
	struct mt_export_queue *q;
	struct mt_export_stats st;

	set_up();
	web.answers[0] = WEB_ACCEPTED;
	web.answers[1] = OK("r1");
	web.answers[2] = OK("xx");
	q = queue(&(struct mt_export_conf){.http = &json, .answer = read_answer});
	for (uint64_t n = 1; n <= 3; n++) {
		put(q, "r");
		st = settled(q, n);
	}
	CU_ASSERT_EQUAL(st.sent, 1);
	CU_ASSERT_EQUAL(st.lost[MT_EXPORT_rejected], 1);
	CU_ASSERT_EQUAL(st.lost[MT_EXPORT_bad_answer], 1);
	end(q);
	tear_down();
}

/* Temporary statuses and connections without an answer: the message is sent again. */
static void test_again(void)
{
	struct mt_export_queue *q;
	struct mt_export_stats st;

	set_up();
	web.answers[0] = ""; /* closes */
	web.answers[1] = BUSY;
	web.answers[2] = BUSY_1S;
	web.answers[3] = WEB_ACCEPTED;
	q = queue(LIST());
	put(q, "{}");
	(void)await_state(q, MT_EXPORT_unavailable, true);
	st = settled(q, 1);
	CU_ASSERT_EQUAL(st.sent, 1);
	CU_ASSERT_STRING_EQUAL(st.why, "");
	CU_ASSERT_EQUAL(st.calls, 4);
	CU_ASSERT_EQUAL(web.requests, 4);
	end(q);
	tear_down();
}

/* Another status, or a redirect, which is not followed: the message is lost. */
static void test_refused(void)
{
	static const char *const words[] = {"HTTP status 400", "HTTP status 307"};
	struct mt_export_queue *q;
	struct mt_export_stats st;
	char moved[128];

	set_up();
	snprintf(moved, sizeof(moved),
		"HTTP/1.1 307 No\r\nLocation: http://127.0.0.1:%u/x\r\nContent-Length: 0\r\n\r\n",
		web.port);
	web.answers[0] = BAD;
	web.answers[1] = moved;
	web.answers[2] = WEB_ACCEPTED;
	q = queue(LIST());
	for (uint32_t i = 0; i < 2; i++) {
		put(q, "{}");
		st = settled(q, i + 1);
		CU_ASSERT_EQUAL(st.lost[MT_EXPORT_refused], i + 1);
		CU_ASSERT_EQUAL(st.state, MT_EXPORT_refused);
		CU_ASSERT_STRING_EQUAL(st.why, words[i]);
		CU_ASSERT_EQUAL(web.requests, i + 1);
	}
	end(q);
	tear_down();
}

/* Answers that are not HTTP, end early, or have no end. `state`: why the message is lost. */
static void check_garbage(
	const char *answer, const char *flood, bool resets, enum mt_export_state state)
{
	struct mt_export_queue *q;
	struct mt_export_stats st;

	set_up();
	web.answers[0] = answer;
	for (size_t i = 1; i < MT_ARRAY_LEN(web.answers); i++)
		web.answers[i] = answer;
	web.flood = flood;
	web.resets = resets;
	q = queue(&(struct mt_export_conf){
		.http = &json, .answer = read_answer, .patience = 1 * MT_MSEC, .timeout = LONG});
	put(q, "{}");
	st = settled(q, 1);
	CU_ASSERT_EQUAL(st.lost[state], 1);
	CU_ASSERT_EQUAL(st.state, state);
	if (!st.lost[state])
		printf("%.20s: %u, %s\n", answer, st.state, st.why);
	end(q);
	tear_down();
}

static void test_garbage(void)
{
	check_garbage("SSH-2.0-x\r\n\r\n", NULL, false, MT_EXPORT_bad_answer);
	check_garbage("", NULL, true, MT_EXPORT_unavailable);
	check_garbage("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n",
		"0123456789abcdef0123456789abcdef", false, MT_EXPORT_bad_answer);
	check_garbage("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
		"10\r\n0123456789abcdef\r\n", false, MT_EXPORT_bad_answer);
	check_garbage(
		"HTTP/1.1 200 OK\r\n", "X-A: 0123456789abcdef\r\n", false, MT_EXPORT_bad_answer);
	check_garbage("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n", false,
		MT_EXPORT_bad_answer);
}

/* Zipkin's answers are not read: the status counts, however long the rest is. */
static void test_unread(void)
{
	static const char *const rows[][2] = {
		{"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n", "0123456789abcdef"},
		{"HTTP/1.1 202 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
			"10\r\n0123456789abcdef\r\n"},
		{"HTTP/1.1 200 OK\r\n", "X-A: 0123456789abcdef\r\n"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_export_queue *q;
		struct mt_export_stats st;

		set_up();
		web.answers[0] = rows[i][0];
		web.flood = rows[i][1];
		q = queue(LIST(.timeout = LONG));
		put(q, "{}");
		st = settled(q, 1);
		CU_ASSERT_EQUAL(st.sent, 1);
		CU_ASSERT_EQUAL(st.calls, 1);
		CU_ASSERT_EQUAL(st.state, MT_EXPORT_ok);
		end(q);
		tear_down();
	}
}

/* A collector without an answer, and its end, cost only their own message's time. */
static void test_silent(void)
{
	struct mt_export_queue *q;
	struct mt_export_stats st;

	set_up();
	q = queue(LIST(.timeout = 200 * MT_MSEC, .patience = 1 * MT_MSEC));
	put(q, "{}");
	st = settled(q, 1);
	CU_ASSERT_EQUAL(st.lost[MT_EXPORT_late], 1);
	CU_ASSERT_EQUAL(st.calls, 3);
	end(q);
	tear_down();
}

/* ---- servers -------------------------------------------------------------------------------- */

/* Servers that cannot be reached cost one sending no wait; then records wait, however long. */
static void test_unreachable(void)
{
	struct mt_export_queue *q;
	struct mt_export_stats st;
	char at[32];

	set_up();
	web.answers[0] = WEB_ACCEPTED;
	snprintf(at, sizeof(at), "127.0.0.1:%u", web.port);
	q = queue_to((const char *const[]){"127.0.0.1:1", "no-port", at}, 3,
		LIST(.patience = 1 * MT_MSEC));
	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	put(q, "{}");
	st = await_state(q, MT_EXPORT_unreachable, false);
	CU_ASSERT_PTR_NOT_NULL(strstr(st.why, ": "));
	st = settled(q, 1);
	CU_ASSERT_EQUAL(st.sent, 1);
	CU_ASSERT_EQUAL(st.calls, 1);
	CU_ASSERT_EQUAL(st.state, MT_EXPORT_ok);
	end(q);
	q = queue_to(
		(const char *const[]){"127.0.0.1:1", "[::1]:1"}, 2, LIST(.patience = 1 * MT_MSEC));
	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	put(q, "{}");
	st = await_calls(q, 3);
	CU_ASSERT_EQUAL(lost(&st), 0);
	CU_ASSERT_EQUAL(st.state, MT_EXPORT_unreachable);
	end(q);
	tear_down();
}

/* A name: each of its addresses is tried at once, and ::1 has no collector. */
static void test_name(void)
{
	struct mt_export_queue *q;
	struct mt_export_stats st;
	char at[32];

	set_up();
	web.answers[0] = web.answers[1] = WEB_ACCEPTED;
	snprintf(at, sizeof(at), "localhost:%u", web.port);
	q = queue_to((const char *const[]){at}, 1, LIST());
	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	for (uint32_t i = 1; i <= 2; i++) {
		put(q, "{}");
		st = settled(q, i);
		CU_ASSERT_EQUAL(st.sent, i);
		CU_ASSERT_EQUAL(st.calls, i);
	}
	end(q);
	tear_down();
}

/*
 * Opens a listener that accepts no connection. With n connections the kernel answers no further
 * one; without any it answers some, and nothing is read.
 */
static uint16_t fill(int *listener, int fds[], uint32_t n)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	*listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CU_ASSERT_EQUAL_FATAL(bind(*listener, (struct sockaddr *)&at, sizeof(at)), 0);
	CU_ASSERT_EQUAL_FATAL(listen(*listener, n ? 0 : 8), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(*listener, (struct sockaddr *)&at, &len), 0);
	for (uint32_t i = 0; i < n; i++) {
		fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
		(void)connect(fds[i], (struct sockaddr *)&at, sizeof(at));
	}
	return ntohs(at.sin_port);
}

/* If the connection to a server hangs, the records wait as without a server. */
static void test_hanging_connection(void)
{
	int listener, fds[4];
	struct mt_export_queue *q;
	struct mt_export_stats st;
	char at[32], other[32];

	set_up();
	web.answers[0] = WEB_ACCEPTED;
	snprintf(at, sizeof(at), "127.0.0.1:%u", fill(&listener, fds, MT_ARRAY_LEN(fds)));
	snprintf(other, sizeof(other), "127.0.0.1:%u", web.port);
	q = queue_to((const char *const[]){at}, 1,
		LIST(.timeout = 50 * MT_MSEC, .patience = 1 * MT_MSEC));
	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	put(q, "{}");
	st = await_calls(q, 3);
	CU_ASSERT_EQUAL(lost(&st), 0);
	CU_ASSERT_EQUAL(st.state, MT_EXPORT_unreachable);
	CU_ASSERT_PTR_NOT_NULL(strstr(st.why, "no connection in time"));
	end(q);
	q = queue_to((const char *const[]){at, other}, 2, LIST(.timeout = 1 * MT_SEC));
	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	put(q, "{}");
	st = settled(q, 1);
	CU_ASSERT_EQUAL(st.sent, 1);
	CU_ASSERT_EQUAL(st.calls, 1);
	end(q);
	for (size_t i = 0; i < MT_ARRAY_LEN(fds); i++)
		close(fds[i]);
	close(listener);
	tear_down();
}

/* A message that a server does not answer goes to the other one. */
static void test_other_server(void)
{
	int listener;
	struct mt_export_queue *q;
	struct mt_export_stats st;
	char at[32], other[32];

	set_up();
	web.answers[0] = WEB_ACCEPTED;
	snprintf(at, sizeof(at), "127.0.0.1:%u", fill(&listener, NULL, 0));
	snprintf(other, sizeof(other), "127.0.0.1:%u", web.port);
	q = queue_to((const char *const[]){at, other}, 2, LIST(.timeout = 200 * MT_MSEC));
	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	put(q, "{}");
	(void)await_state(q, MT_EXPORT_late, true);
	st = settled(q, 1);
	CU_ASSERT_EQUAL(st.sent, 1);
	CU_ASSERT_EQUAL(st.calls, 2);
	end(q);
	close(listener);
	tear_down();
}

/* ---- TLS ------------------------------------------------------------------------------------ */

/* Selects the first protocol that the client offers. */
static int select_first(SSL *ssl, const unsigned char **out, unsigned char *len,
	const unsigned char *in, unsigned int n, void *arg)
{
	*out = in + 1;
	*len = in[0];
	return SSL_TLSEXT_ERR_OK;
}

/* Makes the collector one with TLS; `clients` NULL: it needs no certificate of clients. */
static void secure(const struct identity *id, const struct identity *clients)
{
	web.tls = server_tls(id, clients);
	CU_ASSERT_PTR_NOT_NULL_FATAL(web.tls);
	SSL_CTX_set_alpn_select_cb(web.tls, select_first, NULL);
	web.answers[0] = WEB_ACCEPTED;
}

static struct mt_grpc_target *target_with(
	const struct mt_credential_texts *texts, struct mt_grpc_tls tls)
{
	struct mt_grpc_target *target;
	struct mt_err e;
	char at[32];

	snprintf(at, sizeof(at), "127.0.0.1:%u", web.port);
	tls.credential = mt_credential_new(texts, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(tls.credential);
	target = mt_grpc_target_new((const char *const[]){at}, 1, &tls);
	CU_ASSERT_PTR_NOT_NULL_FATAL(target);
	mt_credential_drop(tls.credential);
	return target;
}

/* A queue to the target, which it keeps. */
static struct mt_export_queue *queue_with(struct mt_grpc_target *target)
{
	const struct mt_export_conf c = {.name = "test",
		.target = target,
		.path = "/v1/traces",
		.http = &json,
		.is_list = true,
		.flush = 1 * MT_MSEC};
	struct mt_err e;
	struct mt_export_queue *q = mt_export_queue_new(x, &c, &e);

	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	mt_grpc_target_drop(target);
	return q;
}

static const char *const sans_a[] = {"no.test", "a.test"}, *const sans_b[] = {"b.test"};

/* The certificate is of a.test. */
static const struct {
	struct mt_grpc_tls tls;
	bool other_roots; /* it trusts another authority */
	bool sent;
} tls_rows[] = {
	{{.server_name = "a.test"}, false, true},
	{{.server_name = "a.test"}, true, false},
	{{.server_name = "b.test"}, false, false},
	{{.server_name = NULL}, false, true},
	{{.server_name = "b.test", .sans = sans_a, .n_sans = 2}, false, true},
	{{.server_name = "a.test", .sans = sans_b, .n_sans = 1}, false, false},
	{{.server_name = "b.test", .anybody = true}, true, true},
	{{.server_name = "a.test", .anybody = true, .sans = sans_b, .n_sans = 1}, true, false},
	{{.server_name = "127.0.0.1"}, false, false},
	{{.server_name = "127.0.0.1", .sans = sans_a, .n_sans = 2}, false, true},
	{{.server_name = "a.test", .istio = true}, false, true},
};

static void check_tls(size_t i, const struct identity *authority, const struct identity *other)
{
	const struct identity *roots = tls_rows[i].other_roots ? other : authority;
	struct identity id = identity_new(authority, "DNS:a.test");
	const char *name = tls_rows[i].tls.server_name;
	struct mt_export_queue *q;
	struct mt_export_stats st;

	set_up();
	secure(&id, NULL);
	q = queue_with(target_with(
		&(struct mt_credential_texts){.roots = roots->cert_pem}, tls_rows[i].tls));
	put(q, "{}");
	if (tls_rows[i].sent) {
		CU_ASSERT_EQUAL(settled(q, 1).sent, 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(web.head, "\r\nHost: zipkin.test:9411\r\n"));
		CU_ASSERT_STRING_EQUAL(
			web.alpn, tls_rows[i].tls.istio ? "istio-http/1.1" : "http/1.1");
		CU_ASSERT_STRING_EQUAL(
			web.name, name && !isdigit((unsigned char)*name) ? name : "");
	} else {
		st = await_state(q, MT_EXPORT_unreachable, true);
		CU_ASSERT_PTR_NOT_NULL(strstr(st.why, "certificate"));
		CU_ASSERT_EQUAL(web.requests, 0);
	}
	end(q);
	identity_free(&id);
	tear_down();
}

/* The names and roots of the target decide, as with gRPC. */
static void test_tls(void)
{
	struct identity authority = identity_new(NULL, "DNS:ca.x");
	struct identity other = identity_new(NULL, "DNS:other.x");

	for (size_t i = 0; i < MT_ARRAY_LEN(tls_rows); i++)
		check_tls(i, &authority, &other);
	identity_free(&authority);
	identity_free(&other);
}

/* The target's certificate is shown, and another target has its own. */
static void test_mutual_tls(void)
{
	struct identity authority = identity_new(NULL, "DNS:ca.x");
	struct identity id = identity_new(&authority, "DNS:a.test");
	struct identity own = identity_new(&authority, "URI:spiffe://x/y");
	const struct mt_grpc_tls tls = {.server_name = "a.test"};
	struct mt_grpc_target *with;
	struct mt_export_queue *q;

	set_up();
	secure(&id, &authority);
	q = queue_with(
		target_with(&(struct mt_credential_texts){.roots = authority.cert_pem}, tls));
	with = target_with(
		&(struct mt_credential_texts){
			.roots = authority.cert_pem, .chain = own.cert_pem, .key = own.key_pem},
		tls);
	put(q, "{}");
	for (int i = 0; i < 30000 && !web.accepted; i++) {
		web_turn(&web);
		poll(NULL, 0, 1);
	}
	for (int i = 0; i < 100; i++) {
		web_turn(&web);
		poll(NULL, 0, 1);
	}
	CU_ASSERT_EQUAL(web.requests, 0);
	mt_export_queue_move(q, with);
	CU_ASSERT_EQUAL(settled(q, 1).sent, 1);
	CU_ASSERT_EQUAL(web.requests, 1);
	end(q);
	mt_grpc_target_drop(with);
	identity_free(&own);
	identity_free(&id);
	identity_free(&authority);
	tear_down();
}

/* A queue that ends while a request is under way, or its server is looked up. */
static void test_end(void)
{
	struct mt_export_queue *q;
	struct mt_export_stats st;

	set_up();
	q = queue(LIST());
	put(q, "{}");
	for (int i = 0; i < 30000 && !web.requests; i++) {
		web_turn(&web);
		poll(NULL, 0, 1);
	}
	CU_ASSERT_EQUAL(web.requests, 1);
	mt_export_queue_stop(q, 0);
	mt_export_queue_join(q);
	mt_export_stats(q, &st);
	CU_ASSERT_EQUAL(st.lost[MT_EXPORT_stopped], 1);
	mt_export_queue_free(q);
	q = queue_to((const char *const[]){"no.such.host.invalid:80", "other.invalid:80"}, 2,
		LIST(.timeout = LONG));
	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	put(q, "{}");
	(void)await_calls(q, 1);
	end(q);
	tear_down();
}

const struct mt_test http_tests[] = {{"list", test_list}, {"as it is", test_as_it_is},
	{"lines", test_lines}, {"answers", test_answers}, {"again", test_again},
	{"refused", test_refused}, {"garbage", test_garbage}, {"unread", test_unread},
	{"silent", test_silent}, {"unreachable", test_unreachable}, {"name", test_name},
	{"hanging connection", test_hanging_connection}, {"other server", test_other_server},
	{"tls", test_tls}, {"mutual tls", test_mutual_tls}, {"end", test_end}, {0}};
