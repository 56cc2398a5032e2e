/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_accept.h"
#include "mt_objects.h"
#include "suites.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A port that is free now. */
static uint16_t free_port(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	close(fd);
	return ntohs(a.sin_port);
}

static int dial(uint16_t port)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

/* Sends a request and reads until the server closes; the HTTP status. */
static int exchange(struct mt_ctl *c, uint16_t port, const char *request, char *buf, size_t size)
{
	size_t n = 0;
	int fd = dial(port), status = 0;

	CU_ASSERT_EQUAL(write(fd, request, strlen(request)), (ssize_t)strlen(request));
	while (n + 1 < size && test_wait(c, fd)) {
		ssize_t r = read(fd, buf + n, size - 1 - n);

		if (r <= 0)
			break;
		n += (size_t)r;
	}
	buf[n] = '\0';
	close(fd);
	(void)sscanf(buf, "HTTP/1.1 %d", &status);
	return status;
}

static const char get_ready[] = "GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

static void test_pages(void)
{
	static const struct {
		enum mt_ctl_state state;
		const char *request;
		int status;
		const char *says;
		const char *host; /* NULL: "x" */
	} t[] = {
		{MT_CTL_STARTING, "GET /ready", 503, "starting", NULL},
		{MT_CTL_SERVING, "GET /ready", 200, "ready", NULL},
		{MT_CTL_DRAINING, "GET /ready", 503, "draining", NULL},
		{MT_CTL_SERVING, "HEAD /ready", 200, "Content-Type", NULL},
		{MT_CTL_SERVING, "GET /metrics", 200, "# TYPE meltemi_uptime_seconds gauge",
			"localhost"},
		{MT_CTL_SERVING, "GET /metrics", 200, "# TYPE meltemi_uptime_seconds gauge",
			"127.0.0.1:15000"},
		{MT_CTL_SERVING, "GET /stats/prometheus", 200, "# HELP istio_requests_total",
			"[::1]"},
		{MT_CTL_SERVING, "GET /metrics", 403, "spec.admin.httpNames", NULL},
		{MT_CTL_SERVING, "GET /stats/prometheus", 403, "spec.admin.httpNames", NULL},
		{MT_CTL_SERVING, "GET /", 421, "spec.admin.httpNames", NULL},
		{MT_CTL_SERVING, "GET /ui/data/now", 421, "spec.admin.httpNames", NULL},
		{MT_CTL_SERVING, "GET /config_dump", 403, "spec.admin.httpNames", NULL},
		{MT_CTL_SERVING, "GET /nothing", 404, "no such page", NULL},
		{MT_CTL_SERVING, "POST /ready", 405, "Allow: GET, HEAD", NULL},
		{MT_CTL_SERVING, "DELETE /clusters", 405, "Allow: GET, HEAD", NULL},
		{MT_CTL_SERVING, "POST /logging?level=debug", 403, "`meltemi log level ", NULL},
		{MT_CTL_SERVING, "POST /drain_listeners", 403, "`meltemi drain`", NULL},
		{MT_CTL_SERVING, "POST /healthcheck/fail", 403, "`meltemi ready off`", NULL},
		{MT_CTL_SERVING, "POST /healthcheck/ok", 403, "`meltemi ready on`", NULL},
		{MT_CTL_SERVING, "POST /quitquitquit", 403, "`systemctl stop meltemid`", NULL},
		{MT_CTL_SERVING, "GET /quitquitquit", 403, "`systemctl stop meltemid`", NULL},
	};
	struct mt_ctl_env env = {.http_port = free_port()};
	struct mt_ctl *c;
	static char buf[65536];
	char request[128];

	mt_addr_parse("127.0.0.1", &env.http_addr);
	c = test_ctl(&env);
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		mt_ctl_set_state(c, t[i].state);
		snprintf(request, sizeof(request),
			"%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", t[i].request,
			t[i].host ? t[i].host : "x");
		CU_ASSERT_EQUAL(exchange(c, env.http_port, request, buf, sizeof(buf)), t[i].status);
		CU_ASSERT_PTR_NOT_NULL(strstr(buf, t[i].says));
	}
	/* Whatever it makes of garbage, it goes on serving. */
	CU_ASSERT_NOT_EQUAL(
		exchange(c, env.http_port, "\x01\x02garbage\r\n\r\n", buf, sizeof(buf)), 200);
	CU_ASSERT_EQUAL(exchange(c, env.http_port,
				"GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", buf,
				sizeof(buf)),
		200);
	mt_ctl_destroy(c);
}

/* With a filter that no cluster matches the answer has no bytes, and is compressed nevertheless. */
static void test_empty_compressed(void)
{
	static const char request[] = "GET /clusters?filter=none HTTP/1.1\r\nHost: localhost\r\n"
				      "Accept-Encoding: gzip\r\nConnection: close\r\n\r\n";
	struct mt_ctl_env env = {.http_port = free_port()};
	static char buf[65536];
	struct mt_ctl *c;

	mt_addr_parse("127.0.0.1", &env.http_addr);
	c = test_ctl(&env);
	mt_ctl_set_state(c, MT_CTL_SERVING);
	CU_ASSERT_EQUAL(exchange(c, env.http_port, request, buf, sizeof(buf)), 200);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "Content-Encoding: gzip"));
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\x1f\x8b"));
	mt_ctl_destroy(c);
}

static uint32_t n_waits;

static struct mt_object_table *refused_objects(void *arg)
{
	return arg;
}

/* A new node is ready, but a document is refused and has no last good version. */
static void test_ready_but(void)
{
	struct mt_object o = {
		.kind = "ServiceEntry", .ns = "shop", .name = "a", .origin = {"a.yaml", 3}};
	struct mt_object_row rows[] = {{.o = &o, .status = MT_OBJECT_IN_FORCE},
		{.o = &o, .status = MT_OBJECT_LAST_GOOD}, {.o = &o, .status = MT_OBJECT_REFUSED}};
	struct mt_object_table t = {.rows = rows, .n = 2};
	static const char request[] =
		"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	struct mt_ctl_env env = {.http_port = free_port(), .objects = refused_objects, .arg = &t};
	static char buf[4096];
	struct mt_text_buf text = {0};
	struct mt_ctl *c;

	mt_addr_parse("127.0.0.1", &env.http_addr);
	c = test_ctl(&env);
	mt_ctl_set_state(c, MT_CTL_SERVING);
	CU_ASSERT_EQUAL(exchange(c, env.http_port, get_ready, buf, sizeof(buf)), 200);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\r\n\r\nready\n"));
	CU_ASSERT_PTR_NULL(strstr(buf, "not served"));
	t.n = 3;
	CU_ASSERT_EQUAL(exchange(c, env.http_port, request, buf, sizeof(buf)), 200);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf,
		"\r\n\r\nready\nnot served: ServiceEntry shop/a (a.yaml:3) is refused: `show "
		"objects"));
	CU_ASSERT_EQUAL(mt_ctl_command(c, NULL, "--json show ready", 17, &text), 0);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(text.p, "it serves what it can; ServiceEntry shop/a (a.yaml:3)"));
	mt_text_fini(&text);
	mt_ctl_destroy(c);
}

static void waiting(void *arg, struct mt_ctl_ready *out)
{
	static struct mt_ctl_wait waits[600];

	for (uint32_t i = 0; i < n_waits; i++)
		waits[i] =
			(struct mt_ctl_wait){"host", "a.example", i ? "" : "mesh", "it is closed"};
	*out = (struct mt_ctl_ready){.ready = n_waits == 0, .waits = waits, .n = n_waits};
}

/* What is waited for, by all that tell it; who drains says so and nothing else. */
static void test_waits(void)
{
	struct mt_ctl_env env = {.http_port = free_port(), .ready = waiting};
	static const char request[] =
		"GET /ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	static char buf[65536];
	struct mt_text_buf text = {0};
	struct mt_ctl *c;

	mt_addr_parse("127.0.0.1", &env.http_addr);
	c = test_ctl(&env);
	mt_ctl_set_state(c, MT_CTL_SERVING);
	n_waits = 2;
	CU_ASSERT_EQUAL(exchange(c, env.http_port, request, buf, sizeof(buf)), 503);
	CU_ASSERT_PTR_NOT_NULL(
		strstr(buf, "\r\n\r\nnot ready: waits for 2\nhost a.example (mesh): it is closed\n"
			    "host a.example: it is closed\n"));
	/* By a name that may be anybody's, on this host. */
	CU_ASSERT_EQUAL(exchange(c, env.http_port, get_ready, buf, sizeof(buf)), 503);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\r\n\r\nnot ready: waits for 2\n"));
	CU_ASSERT_PTR_NULL(strstr(buf, "a.example"));
	CU_ASSERT_EQUAL(mt_ctl_command(c, NULL, "--json show ready", 17, &text), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(text.p, "\"source\": \"mesh\""));
	mt_text_fini(&text);
	CU_ASSERT_EQUAL(mt_ctl_command(c, NULL, "accept", 6, &text), 1);
	mt_text_fini(&text);
	/* A page has an end, however many there are. */
	n_waits = 600;
	CU_ASSERT_EQUAL(exchange(c, env.http_port, request, buf, sizeof(buf)), 503);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\nand 100 more (meltemi show ready)\n"));
	mt_ctl_set_state(c, MT_CTL_DRAINING);
	CU_ASSERT_EQUAL(exchange(c, env.http_port, request, buf, sizeof(buf)), 503);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "\r\n\r\ndraining\n"));
	n_waits = 0;
	mt_ctl_set_state(c, MT_CTL_SERVING);
	CU_ASSERT_EQUAL(exchange(c, env.http_port, request, buf, sizeof(buf)), 200);
	mt_ctl_destroy(c);
}

static void port_removed(void *arg, struct mt_ctl_ready *out)
{
	static const struct mt_ctl_wait wait = {"port", "p1", "", "its device was removed"};

	*out = (struct mt_ctl_ready){.restart = true, .waits = &wait, .n = 1};
}

static void run_and_see(struct mt_ctl *c, const char *line, int want, const char *says)
{
	int code;
	char *out = test_run(c, line, &code);

	CU_ASSERT_EQUAL(code, want);
	CU_ASSERT(out && strstr(out, says));
	free(out);
}

/* `ready off` holds until `ready on`, which does not make a node ready that is not. */
static void test_ready_off(void)
{
	struct mt_ctl_env env = {.http_port = free_port()};
	static char buf[65536];
	struct mt_ctl *c;

	mt_addr_parse("127.0.0.1", &env.http_addr);
	c = test_ctl(&env);
	mt_ctl_set_state(c, MT_CTL_SERVING);
	run_and_see(c, "ready", MT_CTL_USAGE, "usage: ready on|off");
	run_and_see(c, "ready of", MT_CTL_FAILED, "usage: ready on|off");
	CU_ASSERT_EQUAL(exchange(c, env.http_port, get_ready, buf, sizeof(buf)), 200);
	run_and_see(c, "ready off", MT_CTL_OK, "503");
	CU_ASSERT_EQUAL(exchange(c, env.http_port, get_ready, buf, sizeof(buf)), 503);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "`ready off`"));
	run_and_see(c, "show ready", MT_CTL_OK, "`ready off`");
	run_and_see(c, "show health", MT_CTL_OK, "`ready off`");
	run_and_see(c, "ready on", MT_CTL_OK, "/ready answers 200");
	CU_ASSERT_EQUAL(exchange(c, env.http_port, get_ready, buf, sizeof(buf)), 200);
	mt_ctl_set_state(c, MT_CTL_DRAINING);
	run_and_see(c, "ready on", MT_CTL_OK, "not ready");
	CU_ASSERT_EQUAL(exchange(c, env.http_port, get_ready, buf, sizeof(buf)), 503);
	run_and_see(c, "complete ready o*", MT_CTL_OK, "off");
	mt_ctl_destroy(c);
}

/* No command advises `accept` for a wait that only a restart ends. */
static void test_restart(void)
{
	struct mt_ctl *c = test_ctl(&(struct mt_ctl_env){.ready = port_removed});
	char *out;
	int code;

	mt_ctl_set_state(c, MT_CTL_SERVING);
	run_and_see(c, "show ready", MT_CTL_OK, "its device was removed");
	run_and_see(c, "show ready", MT_CTL_OK, "and then for a restart");
	run_and_see(c, "show health", MT_CTL_OK, "not ready: waits for this port");
	run_and_see(c, "show health", MT_CTL_OK, "then run `systemctl restart meltemid`");
	out = test_run(c, "show health", &code);
	CU_ASSERT(out && !strstr(out, "`accept`"));
	free(out);
	mt_ctl_destroy(c);
}

/* The page is for who asks by an address, as localhost or by a name that was given. */
static void test_page(void)
{
	static const struct {
		const char *path, *host;
		int status;
		const char *says;
	} t[] = {
		{"/", "127.0.0.1", 302, "Location: /ui/"},
		{"/ui", "[::1]:80", 302, "Location: /ui/"},
		{"/ui/", "localhost:15000", 200, "Content-Security-Policy: default-src 'self'"},
		{"/ui/main.js", "10.1.2.3", 200, "text/javascript"},
		{"/ui/", "OPS.example:1", 200, "<title>Meltemi</title>"},
		{"/ui/", "ops.example.attacker", 421, ""},
		{"/ui/", "[::1", 200, ""},
		{"/ui/", "[]", 421, ""},
		{"/ui/", ":80", 421, ""},
		{"/ui/nothing", "localhost", 404, "no such page"},
		{"/ui/data/now", "localhost", 200, "\"topology\""},
		{"/ui/data/now?find=other", "localhost", 204, ""},
		{"/ui/data/service?name=x&at=10.0.0.1:80", "localhost", 200, "\"routes\":[]"},
		{"/ui/data/service?name=y", "localhost", 204, ""},
		{"/uix", "localhost", 404, ""},
	};
	const struct mt_text names[] = {{.s = "ops.example"}};
	struct mt_ctl_env env = {.http_port = free_port(), .http_names = names, .n_http_names = 1};
	struct mt_ctl *c;
	static char buf[65536];
	char request[256];

	mt_addr_parse("127.0.0.1", &env.http_addr);
	c = test_ctl(&env);
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		snprintf(request, sizeof(request),
			"GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", t[i].path,
			t[i].host);
		CU_ASSERT_EQUAL(exchange(c, env.http_port, request, buf, sizeof(buf)), t[i].status);
		CU_ASSERT_PTR_NOT_NULL(strstr(buf, t[i].says));
	}
	mt_ctl_destroy(c);
}

static void test_port_in_use(void)
{
	struct mt_ctl_env env = {.http_port = free_port()};
	struct mt_err e = {""};
	struct mt_ctl *c;

	mt_addr_parse("127.0.0.1", &env.http_addr);
	c = test_ctl(&env);
	CU_ASSERT_PTR_NULL(mt_ctl_create(&env, 0, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "admin.http 127.0.0.1:"));
	mt_ctl_destroy(c);
}

static uint32_t doing(const struct mt_ctl *c, enum mt_http_doing what)
{
	uint32_t n = 0;

	for (int i = 0; i < MT_HTTP_CLIENTS; i++)
		n += c->http_clients[i].doing == what;
	return n;
}

/* From another of the loopback's addresses. */
static int dial_from(uint16_t port, uint32_t last)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};
	struct sockaddr_in from = {
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + last)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* 120 silent connections, from one address or from many: who asks is answered at once. */
static void test_silent(void)
{
	static const uint32_t addresses[] = {1, 60};

	for (size_t k = 0; k < MT_ARRAY_LEN(addresses); k++) {
		struct mt_ctl_env env = {.http_port = free_port()};
		struct mt_ctl *c;
		static char buf[4096];
		int fd[120];

		mt_addr_parse("127.0.0.1", &env.http_addr);
		c = test_ctl(&env);
		mt_ctl_set_state(c, MT_CTL_SERVING);
		for (uint32_t i = 0; i < MT_ARRAY_LEN(fd); i++) {
			fd[i] = dial_from(env.http_port, i % addresses[k]);
			if (i % 3 == 0)
				CU_ASSERT_EQUAL(write(fd[i], "GET /re", 7), 7);
			mt_ctl_turn(c, MT_SEC - (130 - i) * 5 * MT_MSEC);
		}
		CU_ASSERT(doing(c, MT_HTTP_SILENT) <= (k ? MT_HTTP_CLIENTS - 1 : 16));
		/* The clock of the ctl stands still: no time limit helped. */
		CU_ASSERT_EQUAL(exchange(c, env.http_port, get_ready, buf, sizeof(buf)), 200);
		for (uint32_t i = 0; i < MT_ARRAY_LEN(fd); i++)
			close(fd[i]);
		mt_ctl_destroy(c);
	}
}

/* A body that is promised and never comes is nothing whole; and who reads nothing gives its place up last. */
static void test_half_asked(void)
{
	static const char *const requests[] = {
		"POST /ready HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n",
		"POST /ready HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1234",
		"POST /ready HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n",
	};

	for (size_t k = 0; k < 2 * MT_ARRAY_LEN(requests); k++) {
		const char *request = requests[k / 2];
		struct mt_ctl_env env = {.http_port = free_port()};
		static char buf[4096];
		struct mt_ctl *c;
		int fd[40];

		mt_addr_parse("127.0.0.1", &env.http_addr);
		c = test_ctl(&env);
		mt_ctl_set_state(c, MT_CTL_SERVING);
		for (uint32_t i = 0; i < MT_ARRAY_LEN(fd); i++) {
			fd[i] = dial(env.http_port);
			CU_ASSERT(write(fd[i], request, strlen(request)) > 0);
			mt_ctl_turn(c, MT_SEC - (60 - i) * 5 * MT_MSEC);
			/* Half of the times their side is closed. */
			if (k % 2)
				shutdown(fd[i], SHUT_WR);
			mt_ctl_turn(c, MT_SEC - (60 - i) * 5 * MT_MSEC);
		}
		CU_ASSERT_EQUAL(doing(c, MT_HTTP_REPLY), 0);
		CU_ASSERT_EQUAL(exchange(c, env.http_port, get_ready, buf, sizeof(buf)), 200);
		/* Two seconds for the whole of it. */
		mt_ctl_turn(c, 4 * MT_SEC);
		mt_ctl_turn(c, 4 * MT_SEC);
		CU_ASSERT_EQUAL(doing(c, MT_HTTP_FREE), MT_HTTP_CLIENTS);
		for (uint32_t i = 0; i < MT_ARRAY_LEN(fd); i++)
			close(fd[i]);
		mt_ctl_destroy(c);
	}
}

/* The head has two seconds, however it drips; who asked may keep the connection for a while. */
static void test_time_limits(void)
{
	struct mt_ctl_env env = {.http_port = free_port()};
	struct mt_ctl *c;
	char buf[4096];
	int drip, kept;

	mt_addr_parse("127.0.0.1", &env.http_addr);
	c = test_ctl(&env);
	mt_ctl_set_state(c, MT_CTL_SERVING);
	drip = dial(env.http_port);
	kept = dial(env.http_port);
	mt_ctl_turn(c, MT_SEC);
	CU_ASSERT_EQUAL(doing(c, MT_HTTP_SILENT), 2);
	CU_ASSERT(mt_ctl_next(c) <= 3 * MT_SEC);
	CU_ASSERT(write(kept, "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n", 33) == 33);
	CU_ASSERT_TRUE(test_wait(c, kept));
	CU_ASSERT(read(kept, buf, sizeof(buf)) > 0);
	mt_ctl_turn(c, MT_SEC);
	CU_ASSERT_EQUAL(doing(c, MT_HTTP_AGAIN), 1);
	for (uint64_t ms = 1000; ms < 3200; ms += 100) {
		(void)send(drip, "G", 1, MSG_NOSIGNAL);
		mt_ctl_turn(c, ms * MT_MSEC);
		mt_ctl_turn(c, ms * MT_MSEC);
		if (ms < 3000)
			CU_ASSERT_EQUAL(doing(c, MT_HTTP_SILENT), 1);
	}
	mt_ctl_turn(c, 3200 * MT_MSEC);
	CU_ASSERT_EQUAL(doing(c, MT_HTTP_SILENT), 0);
	CU_ASSERT_EQUAL(doing(c, MT_HTTP_FREE), MT_HTTP_CLIENTS - 1);
	mt_ctl_turn(c, 15 * MT_SEC);
	CU_ASSERT_EQUAL(doing(c, MT_HTTP_AGAIN), 1);
	mt_ctl_turn(c, 17 * MT_SEC);
	mt_ctl_turn(c, 17 * MT_SEC);
	CU_ASSERT_EQUAL(doing(c, MT_HTTP_FREE), MT_HTTP_CLIENTS);
	close(drip);
	close(kept);
	mt_ctl_destroy(c);
}

/* The status of the answer; 0: the connection was ended without one. */
static int status_of(struct mt_ctl *c, int fd, uint64_t now)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char buf[4096] = "";
	int status = 0;

	for (int i = 0; i < 200 && poll(&p, 1, 10) == 0; i++)
		mt_ctl_turn(c, now);
	if (read(fd, buf, sizeof(buf) - 1) > 0)
		(void)sscanf(buf, "HTTP/1.1 %d", &status);
	return status;
}

static void ask_ready(int fd)
{
	static const char request[] = "GET /ready HTTP/1.1\r\nHost: x\r\n\r\n";

	CU_ASSERT_EQUAL(write(fd, request, sizeof(request) - 1), (ssize_t)sizeof(request) - 1);
}

/*
 * Requests that have arrived while the thread was busy are read before places are given away. Their
 * connection is the oldest of its address when a newcomer comes in the same turn, or its time would
 * be over.
 */
static void test_asked_in_time(void)
{
	static const struct {
		bool again; /* all have asked once before */
		uint32_t newcomers;
		uint64_t late;
	} t[] = {{false, 1, 100 * MT_MSEC}, {true, 1, 100 * MT_MSEC}, {false, 5, 100 * MT_MSEC},
		{false, 0, 3 * MT_SEC}, {true, 0, 16 * MT_SEC}};

	for (size_t k = 0; k < MT_ARRAY_LEN(t); k++) {
		struct mt_ctl_env env = {.http_port = free_port()};
		uint64_t now = MT_SEC;
		struct mt_ctl *c;
		int fd[16], late[5];

		mt_addr_parse("127.0.0.1", &env.http_addr);
		c = test_ctl(&env);
		mt_ctl_set_state(c, MT_CTL_SERVING);
		for (uint32_t i = 0; i < MT_ARRAY_LEN(fd); i++) {
			fd[i] = dial(env.http_port);
			mt_ctl_turn(c, ++now);
			if (!t[k].again)
				continue;
			ask_ready(fd[i]);
			CU_ASSERT_EQUAL(status_of(c, fd[i], ++now), 200);
			mt_ctl_turn(c, now);
		}
		CU_ASSERT_EQUAL(
			doing(c, t[k].again ? MT_HTTP_AGAIN : MT_HTTP_SILENT), MT_ARRAY_LEN(fd));
		ask_ready(fd[0]);
		for (uint32_t i = 0; i < t[k].newcomers; i++)
			late[i] = dial(env.http_port);
		now += t[k].late;
		mt_ctl_turn(c, now);
		CU_ASSERT_EQUAL(status_of(c, fd[0], now), 200);
		for (uint32_t i = 0; i < t[k].newcomers; i++) {
			ask_ready(late[i]);
			CU_ASSERT_EQUAL(status_of(c, late[i], now), 200);
			close(late[i]);
		}
		for (uint32_t i = 0; i < MT_ARRAY_LEN(fd); i++)
			close(fd[i]);
		mt_ctl_destroy(c);
	}
}

/* ---- waiting for a place -------------------------------------------------------------------- */

/* Descriptors that this process has open. */
static uint32_t n_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	uint32_t n = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* The first call of mt_accept() opens a spare descriptor, which the tests must not count. */
static void open_spare(void)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof(from);

	CU_ASSERT(mt_accept(-1, &from, &len) < 0);
}

/* n clients that take their replies, so they keep their places. `fd` can be written to. */
static void take_places(struct mt_ctl *c, int fd, uint32_t n, bool one_address)
{
	for (uint32_t i = 0; i < n; i++)
		c->http_clients[i] = (struct mt_http_client){.doing = MT_HTTP_REPLY,
			.fd = fd,
			.since = MT_SEC,
			.addr = mt_addr4(htonl(INADDR_LOOPBACK + (one_address ? 0 : i + 1)))};
}

static void give_places(struct mt_ctl *c, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		c->http_clients[i].doing = MT_HTTP_FREE;
}

/* The server has closed the connection. */
static bool is_closed(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char byte;

	return poll(&p, 1, 1000) == 1 && read(fd, &byte, 1) <= 0;
}

/* Newcomers wait for a place for a second: they are answered if one becomes free, else closed. */
static void test_parked(void)
{
	enum { NEWCOMERS = 3 };
	static const uint32_t places[] = {MT_HTTP_CLIENTS - 1, 16};

	for (size_t k = 0; k < 2 * MT_ARRAY_LEN(places); k++) {
		bool one_address = k & 1, in_time = k & 2;
		struct mt_ctl_env env = {.http_port = free_port()};
		int fd[NEWCOMERS], pair[2];
		uint32_t before;
		struct mt_ctl *c;

		mt_addr_parse("127.0.0.1", &env.http_addr);
		c = test_ctl(&env);
		mt_ctl_set_state(c, MT_CTL_SERVING);
		CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
		take_places(c, pair[0], places[one_address], one_address);
		open_spare();
		before = n_fds();
		for (uint32_t i = 0; i < NEWCOMERS; i++) {
			fd[i] = dial(env.http_port);
			ask_ready(fd[i]);
		}
		mt_ctl_turn(c, 2 * MT_SEC);
		CU_ASSERT_EQUAL(c->n_http_parked, NEWCOMERS);
		CU_ASSERT_EQUAL(n_fds(), before + 2 * NEWCOMERS);
		CU_ASSERT(mt_ctl_next(c) <= 2 * MT_SEC + 10 * MT_MSEC);
		mt_ctl_turn(c, 3 * MT_SEC - 1);
		CU_ASSERT_EQUAL(c->n_http_parked, NEWCOMERS);
		if (in_time)
			give_places(c, places[one_address]);
		mt_ctl_turn(c, in_time ? 3 * MT_SEC - 1 : 3 * MT_SEC);
		CU_ASSERT_EQUAL(c->n_http_parked, 0);
		for (uint32_t i = 0; i < NEWCOMERS; i++)
			CU_ASSERT_TRUE(in_time ? status_of(c, fd[i], 3 * MT_SEC - 1) == 200
					       : is_closed(fd[i]));
		CU_ASSERT_EQUAL(n_fds(), before + (in_time ? 2 : 1) * NEWCOMERS);
		give_places(c, in_time ? 0 : places[one_address]);
		mt_ctl_destroy(c);
		for (uint32_t i = 0; i < NEWCOMERS; i++)
			close(fd[i]);
		close(pair[0]);
		close(pair[1]);
	}
}

/* No more newcomers wait than there are places; the end of the ctl closes them. */
static void test_parked_are_bounded(void)
{
	enum { MORE = 5 };
	struct mt_ctl_env env = {.http_port = free_port()};
	int fd[MT_HTTP_CLIENTS + MORE], pair[2];
	uint32_t before;
	struct mt_ctl *c;

	open_spare();
	before = n_fds();
	mt_addr_parse("127.0.0.1", &env.http_addr);
	c = test_ctl(&env);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	take_places(c, pair[0], 16, true);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(fd); i++) {
		fd[i] = dial(env.http_port);
		mt_ctl_turn(c, 2 * MT_SEC);
	}
	CU_ASSERT_EQUAL(c->n_http_parked, MT_HTTP_CLIENTS);
	for (uint32_t i = 0; i < MORE; i++)
		CU_ASSERT_TRUE(is_closed(fd[MT_HTTP_CLIENTS + i]));
	give_places(c, 16);
	mt_ctl_destroy(c);
	CU_ASSERT_EQUAL(n_fds(), before + 2 + (uint32_t)MT_ARRAY_LEN(fd));
	for (uint32_t i = 0; i < MT_ARRAY_LEN(fd); i++) {
		CU_ASSERT(i >= MT_HTTP_CLIENTS || is_closed(fd[i]));
		close(fd[i]);
	}
	close(pair[0]);
	close(pair[1]);
}

const struct mt_test http_tests[] = {
	{"what is waited for", test_waits},
	{"ready off and on", test_ready_off},
	{"ready, with a refused document", test_ready_but},
	{"waits that a restart ends", test_restart},
	{"silent connections keep nobody out", test_silent},
	{"half-asked questions keep nobody out", test_half_asked},
	{"time limits", test_time_limits},
	{"what was asked in time", test_asked_in_time},
	{"newcomers that wait for a place", test_parked},
	{"newcomers that wait are bounded", test_parked_are_bounded},
	{"pages", test_pages},
	{"an empty answer, compressed", test_empty_compressed},
	{"the page, by which names", test_page},
	{"a port in use", test_port_in_use},
	{0},
};
