/* SPDX-License-Identifier: Apache-2.0 */
/* The gRPC client against a server that means well, and against others. Time is virtual, sockets are real. */
#include "grpc_server.h"
#include "mt_grpc_priv.h"
#include "suites.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* One client with one stream at most, and what it heard. */
struct client {
	struct mt_fds fds;
	struct mt_resolver *names;
	struct mt_grpc *g;
	struct mt_grpc_stream *stream;
	struct mt_rand rng;
	uint64_t now;
	uint32_t ups, downs, messages, ends;
	size_t bytes;
	uint64_t sum; /* of the bytes */
	int status;
	uint64_t retry; /* ns */
	char words[256], why[512];
	const char *path; /* opened when connected; NULL: none */
	bool cancel;	  /* in the first message */
};

static void on_message(void *arg, const uint8_t *data, size_t len)
{
	struct client *c = arg;

	c->messages++;
	c->bytes += len;
	for (size_t i = 0; i < len; i++)
		c->sum += data[i];
	if (c->cancel) {
		mt_grpc_cancel(c->stream);
		c->stream = NULL;
	}
}

static void on_end(void *arg, int status, const char *words)
{
	struct client *c = arg;

	c->ends++;
	c->stream = NULL;
	c->status = status;
	snprintf(c->words, sizeof(c->words), "%s", words);
}

static void on_retry(void *arg, uint64_t delay)
{
	struct client *c = arg;

	CU_ASSERT_EQUAL(c->ends, 0);
	c->retry = delay;
}

static void on_up(void *arg)
{
	static const struct mt_grpc_stream_events events = {on_message, on_end, on_retry};
	struct client *c = arg;

	c->ups++;
	if (c->path)
		c->stream = mt_grpc_open(c->g, c->path, &events, c);
}

static void on_down(void *arg, const char *why)
{
	struct client *c = arg;

	c->downs++;
	snprintf(c->why, sizeof(c->why), "%s", why);
}

static void client_start(struct client *c, const struct mt_grpc_conf *conf)
{
	static const struct mt_grpc_events events = {on_up, on_down};
	struct mt_err e;

	*c = (struct client){.status = -1, .now = MT_SEC, .path = "/a.B/C"};
	mt_rand_seed(&c->rng, 1);
	CU_ASSERT_EQUAL_FATAL(mt_fds_init(&c->fds), 0);
	c->names = mt_resolver_new(&c->fds, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->names);
	c->g = mt_grpc_new(&c->fds, c->names, conf, &events, c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c->g);
}

static void client_stop(struct client *c)
{
	mt_grpc_free(c->g);
	mt_resolver_free(c->names);
	mt_fds_fini(&c->fds);
}

/* Both sides take turns until `n` of `counter` are there, or too many turns have passed. */
static void until(struct client *c, struct server *s, const uint32_t *counter, uint32_t n)
{
	for (int i = 0; i < 5000 && *counter < n; i++) {
		mt_grpc_turn(c->g, c->now, &c->rng);
		mt_fds_dispatch(&c->fds, 16, i > 50 ? 1 : 0);
		mt_resolver_turn(c->names);
		if (s)
			server_turn(s);
	}
	CU_ASSERT(*counter >= n);
}

static const char *address(const struct server *s)
{
	static char text[4][32];
	static int next;
	char *t = text[next++ % 4];

	snprintf(t, sizeof(text[0]), "127.0.0.1:%u", s->port);
	return t;
}

/* A server in this manner and a client of it, connecting. */
static void both_start(struct server *s, struct client *c, enum manner manner)
{
	/* The channel keeps it by reference. */
	static const char *at;

	server_start(s, manner, NULL);
	at = address(s);
	client_start(c, &(struct mt_grpc_conf){.servers = &at, .n_servers = 1});
}

static void both_stop(struct server *s, struct client *c)
{
	client_stop(c);
	server_stop(s);
}

/* ---- streams -------------------------------------------------------------------------------------- */

static void echo(void)
{
	static const struct mt_grpc_header headers[] = {{"authorization", "Bearer t"}};
	static const size_t sizes[] = {0, 1, 5, 100000, 3000000};
	static uint8_t data[3000000];
	struct server s;
	struct client c;
	const char *at;
	uint64_t sum = 0;
	size_t bytes = 0;

	server_start(&s, ECHO, NULL);
	at = address(&s);
	client_start(
		&c, &(struct mt_grpc_conf){
			    .servers = &at, .n_servers = 1, .headers = headers, .n_headers = 1});
	until(&c, &s, &c.ups, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c.stream);
	for (size_t i = 0; i < MT_ARRAY_LEN(sizes); i++) {
		memset(data, (int)(i + 1), sizes[i]);
		CU_ASSERT_EQUAL(mt_grpc_send(c.stream, data, sizes[i]), 0);
		sum += sizes[i] * (i + 1);
		bytes += sizes[i];
	}
	until(&c, &s, &c.messages, MT_ARRAY_LEN(sizes));
	CU_ASSERT_EQUAL(c.bytes, bytes);
	CU_ASSERT_EQUAL(c.sum, sum);
	mt_grpc_finish(c.stream);
	until(&c, &s, &c.ends, 1);
	CU_ASSERT_EQUAL(c.status, MT_GRPC_OK);
	CU_ASSERT_EQUAL(c.downs, 0);
	CU_ASSERT_STRING_EQUAL(s.authorization, "Bearer t");
	both_stop(&s, &c);
}

struct ending {
	enum manner manner;
	int status;
	const char *words;
	uint64_t retry;
};

static const struct ending endings[] = {
	{REFUSE, 7, "not for you\n%zz", 1500 * MT_MSEC},
	{NOT_FOUND, MT_GRPC_UNAVAILABLE, "the server answers with HTTP status 404, not with gRPC",
		120 * MT_SEC},
	{RESET, MT_GRPC_UNAVAILABLE, "the server reset the stream: ENHANCE_YOUR_CALM", 0},
	{HUGE_MESSAGE, MT_GRPC_RESOURCE_EXHAUSTED,
		"the server announces a message of 1073741824 bytes; 67108864 are allowed", 0},
	{COMPRESSED, MT_GRPC_INTERNAL,
		"the server sends compressed messages, which were not requested", 0},
	{HALF_MESSAGE, MT_GRPC_UNAVAILABLE, "the server closed the connection", 0},
	{NO_STATUS, MT_GRPC_UNAVAILABLE, "the server ended the stream without a status", 0},
};

static void ends(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(endings); i++) {
		struct server s;
		struct client c;

		both_start(&s, &c, endings[i].manner);
		until(&c, &s, &c.ends, 1);
		CU_ASSERT_EQUAL(c.status, endings[i].status);
		CU_ASSERT_STRING_EQUAL(c.words, endings[i].words);
		CU_ASSERT_EQUAL(c.messages, 0);
		CU_ASSERT_EQUAL(c.retry, endings[i].retry);
		both_stop(&s, &c);
	}
}

#define NONE  MT_NEVER
#define NAMED "oodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mb"

/* What servers may say of when to ask again. */
static void retries(void)
{
	static const struct {
		const char *text;
		uint64_t want;
	} details[] =
		{
			{"CAgSBGJ1c3kaNg" NAMED "xIKCggIARCAyrXuAQ==", 1500 * MT_MSEC},
			{"CAgSBGJ1c3kaNg" NAMED "xIKCggIARCAyrXuAQ", 1500 * MT_MSEC},
			{"CAgSBGJ1c3kaOQ" NAMED "xINCgsI+///////////AQ==", 0}, /* -5 s */
			{"CA4SBGJ1c3kaNQ" NAMED "xIJCgcIgLyuzpcJ",
				MT_GRPC_RETRY_MAX}, /* 10,000 years */
			{"CA4SBGJ1c3kaKg" NAMED "w==", NONE},
			{"CAgSBGJ1c3k=", NONE},
			{"CAgSBGJ1c3k*", NONE},
			{"CAgSB", NONE},
			{"AAAA", NONE},
			{"==", NONE},
			{"", NONE},
		},
	  after[] = {
		  {"0", 0},
		  {"30", 30 * MT_SEC},
		  {"999999999", MT_GRPC_RETRY_MAX},
		  {"9999999999999999999999", NONE},
		  {"Fri, 31 Dec 1999 23:59:59 GMT", 59 * MT_SEC}, /* asked at 23:59:00 */
		  {"Fri, 31 Dec 1999 22:59:59 GMT", 0},
		  {"Fri, 31 Dec 1999 23:59:59 GMT, soon", NONE},
		  {"soon", NONE},
		  {"-1", NONE},
		  {"", NONE},
	  };

	for (size_t i = 0; i < MT_ARRAY_LEN(details); i++) {
		uint64_t got = 7;
		bool told = mt_grpc_retry_details(details[i].text, strlen(details[i].text), &got);

		CU_ASSERT_EQUAL(told ? got : NONE, details[i].want);
	}
	for (size_t i = 0; i < MT_ARRAY_LEN(after); i++) {
		uint64_t got = 7;
		bool told = mt_grpc_retry_after(after[i].text, 946684740, &got);

		CU_ASSERT_EQUAL(told ? got : NONE, after[i].want);
	}
}

/* The owner ends the stream while its message is delivered: the rest is not, and nothing is freed twice. */
static void cancelled_in_message(void)
{
	struct server s;
	struct client c;

	both_start(&s, &c, ECHO);
	c.cancel = true;
	until(&c, &s, &c.ups, 1);
	for (int i = 0; i < 5; i++)
		mt_grpc_send(c.stream, (const uint8_t *)"abc", 3);
	until(&c, &s, &c.messages, 1);
	for (int i = 0; i < 20; i++) {
		mt_fds_dispatch(&c.fds, 16, 0);
		server_turn(&s);
	}
	CU_ASSERT_EQUAL(c.messages, 1);
	CU_ASSERT_EQUAL(c.ends, 0);
	CU_ASSERT_EQUAL(c.downs, 0);
	both_stop(&s, &c);
}

/* A server that never opens its window: what waits for it has a bound, and the stream can still be given up. */
static void never_taken(void)
{
	const char *at;
	uint8_t data[1000] = {0};
	uint32_t taken = 0;
	struct server s;
	struct client c;
	int rc = 0;

	server_start(&s, SILENT, NULL);
	at = address(&s);
	client_start(
		&c, &(struct mt_grpc_conf){.servers = &at, .n_servers = 1, .max_message = 100000});
	until(&c, &s, &c.ups, 1);
	while (rc == 0 && taken < 1000) {
		rc = mt_grpc_send(c.stream, data, sizeof(data));
		taken += rc == 0;
		mt_fds_dispatch(&c.fds, 16, 0);
	}
	CU_ASSERT_EQUAL(rc, -ENOBUFS);
	CU_ASSERT(taken >= 99 && taken < 200); /* and one window of 64 KiB */
	mt_grpc_cancel(c.stream);
	both_stop(&s, &c);
}

/* ---- connections ---------------------------------------------------------------------------------- */

static void silence(void)
{
	struct server s;
	struct client c;

	both_start(&s, &c, SILENT);
	until(&c, &s, &c.ups, 1);
	c.now += 9 * MT_SEC;
	mt_grpc_turn(c.g, c.now, &c.rng);
	c.now += 2 * MT_SEC;
	mt_grpc_turn(c.g, c.now, &c.rng);
	c.now += 4 * MT_SEC;
	mt_grpc_turn(c.g, c.now, &c.rng);
	CU_ASSERT_EQUAL(c.downs, 0);
	c.now += 2 * MT_SEC;
	mt_grpc_turn(c.g, c.now, &c.rng);
	CU_ASSERT_EQUAL(c.downs, 1);
	CU_ASSERT_STRING_EQUAL(c.why, "the server has not answered a ping for 5 s");
	CU_ASSERT_EQUAL(c.ends, 1);
	both_stop(&s, &c);
}

/* A server that answers pings is never given up. */
static void pings(void)
{
	struct server s;
	struct client c;

	both_start(&s, &c, ECHO);
	until(&c, &s, &c.ups, 1);
	for (int i = 0; i < 600; i++) {
		c.now += MT_SEC / 2;
		mt_grpc_turn(c.g, c.now, &c.rng);
		mt_fds_dispatch(&c.fds, 16, 0);
		server_turn(&s);
		usleep(10);
	}
	CU_ASSERT_EQUAL(c.downs, 0);
	both_stop(&s, &c);
}

static void nonsense(void)
{
	struct server s;
	struct client c;

	both_start(&s, &c, GARBAGE);
	until(&c, &s, &c.downs, 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(c.why, "the server breaks HTTP/2"));
	both_stop(&s, &c);
}

/* Nobody listens: attempts grow rarer, up to one in 30 s, and start anew when a server was of use. */
static void backoff(void)
{
	struct server s;
	struct client c;
	const char *at;
	uint32_t before;

	server_start(&s, ECHO, NULL);
	at = address(&s);
	close(s.listener);
	s.listener = -1;
	client_start(&c, &(struct mt_grpc_conf){.servers = &at, .n_servers = 1});
	for (int i = 0; i < 600 * 10; i++) {
		c.now += 100 * MT_MSEC;
		mt_grpc_turn(c.g, c.now, &c.rng);
		mt_fds_dispatch(&c.fds, 16, 0);
		before = c.downs;
	}
	CU_ASSERT_STRING_EQUAL(c.why, "Connection refused");
	/* 600 s: some 9 attempts until 30 s are reached, then one in 15 to 30 s. */
	CU_ASSERT(before >= 24 && before <= 50);
	mt_grpc_useful(c.g);
	for (int i = 0; i < 400; i++) {
		c.now += 100 * MT_MSEC;
		mt_grpc_turn(c.g, c.now, &c.rng);
		mt_fds_dispatch(&c.fds, 16, 0);
	}
	CU_ASSERT(c.downs - before >= 5);
	both_stop(&s, &c);
}

static void second_server(void)
{
	struct server s, dead;
	struct client c;
	const char *at[2];

	server_start(&s, ECHO, NULL);
	server_start(&dead, ECHO, NULL);
	at[0] = address(&dead);
	at[1] = address(&s);
	close(dead.listener);
	client_start(&c, &(struct mt_grpc_conf){.servers = at, .n_servers = 2});
	until(&c, &s, &c.ups, 1);
	CU_ASSERT_EQUAL(c.downs, 1);
	CU_ASSERT_STRING_EQUAL(mt_grpc_server(c.g), at[1]);
	CU_ASSERT_EQUAL(c.now, MT_SEC); /* without waiting */
	both_stop(&s, &c);
}

static void by_name(void)
{
	char name[32];
	struct server s;
	struct client c;
	const char *at = name;

	server_start(&s, ECHO, NULL);
	snprintf(name, sizeof(name), "localhost:%u", s.port);
	client_start(&c, &(struct mt_grpc_conf){.servers = &at, .n_servers = 1});
	until(&c, &s, &c.ups, 1);
	both_stop(&s, &c);
}

static void bad_addresses(void)
{
	static const char *const bad[] = {"", "localhost", "localhost:", "localhost:0",
		"localhost:65536", "localhost:1x", ":1", "[]:1", "https://x:1", "a b:1",
		"192.0.2.300:1", "[192.0.2.1:1]:1"};

	for (size_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
		struct client c;

		client_start(&c, &(struct mt_grpc_conf){.servers = &bad[i], .n_servers = 1});
		mt_grpc_turn(c.g, c.now, &c.rng);
		CU_ASSERT_EQUAL(c.downs, 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(c.why, "is not like host:port"));
		client_stop(&c);
	}
}

static void goodbye(void)
{
	struct server s;
	struct client c;

	both_start(&s, &c, GOODBYE);
	until(&c, &s, &c.ups, 1);
	mt_grpc_send(c.stream, (const uint8_t *)"abc", 3);
	/* The stream goes on after GOAWAY; new ones have to wait for the next connection. */
	until(&c, &s, &c.messages, 1);
	CU_ASSERT_PTR_NULL(mt_grpc_open(c.g, "/a.B/D", NULL, NULL));
	mt_grpc_cancel(c.stream);
	until(&c, &s, &c.downs, 1);
	CU_ASSERT_STRING_EQUAL(c.why, "the server closed the connection in order");
	both_stop(&s, &c);
}

/* ---- TLS ------------------------------------------------------------------------------------------ */

#define SPIFFE "spiffe://cluster.local/ns/istio-system/sa/istiod"

/* OpenSSL's server shows its root by itself. */
#ifdef OPENSSL_IS_AWSLC
#define FOREIGN "unable to get local issuer certificate"
#else
#define FOREIGN "self-signed certificate in certificate chain"
#endif

struct tls_case {
	const char *server_san;	 /* what the server's certificate says */
	const char *server_name; /* what we expect */
	const char *san;	 /* or this; NULL: none */
	bool foreign_roots, no_identity, other_key;
	const char *why; /* NULL: it works */
	const char *cn;	 /* the server's common name, or NULL */
};

static const struct tls_case tls_cases[] = {
	{"DNS:istiod.x", "istiod.x", NULL, false, false, false, NULL, NULL},
	{"DNS:istiod.x", "istiod.y", NULL, false, false, false,
		"the server's certificate is refused: hostname mismatch", NULL},
	{"DNS:istiod.x", "istiod.x", SPIFFE, false, false, false,
		"the server's certificate is for istiod.x, not for " SPIFFE, NULL},
	{"DNS:istiod.x,URI:" SPIFFE, "other", SPIFFE, false, false, false, NULL, NULL},
	{"DNS:istiod.x,URI:" SPIFFE "2", "istiod.x", SPIFFE, false, false, false,
		"the server's certificate is for istiod.x, " SPIFFE "2, not for " SPIFFE, NULL},
	/* Authorities of a mesh vouch for URIs: a common name that the asker chose is nobody's. */
	{"URI:" SPIFFE, "istiod.x", NULL, false, false, false,
		"the server's certificate is refused: hostname mismatch", "istiod.x"},
	{"URI:" SPIFFE, "other", "istiod.x", false, false, false,
		"the server's certificate is for " SPIFFE ", not for istiod.x", "istiod.x"},
	/* By its address: an extension of its own, and no name that is told in the handshake. */
	{"IP:192.0.2.7", "192.0.2.7", NULL, false, false, false, NULL, NULL},
	{"IP:2001:db8::7", "2001:db8::7", NULL, false, false, false, NULL, NULL},
	{"IP:192.0.2.7", "other", "192.0.2.7", false, false, false, NULL, NULL},
	{"IP:192.0.2.7,DNS:a.x", "other", "192.0.2.8", false, false, false,
		"the server's certificate is for 192.0.2.7, a.x, not for 192.0.2.8", NULL},
	{"DNS:istiod.x", "istiod.x", NULL, true, false, false,
		"the server's certificate is refused: " FOREIGN, NULL},
	{"DNS:istiod.x", "istiod.x", NULL, false, true, false, "certificate required", NULL},
	{"DNS:istiod.x", "istiod.x", NULL, false, false, true,
		"our private key does not belong to our certificate", NULL},
};

static void letters(const char *text, char out[512])
{
	for (size_t n = 0; *text && n < 511; text++)
		if (isalnum((unsigned char)*text)) {
			out[n++] = (char)tolower((unsigned char)*text);
			out[n] = '\0';
		}
}

/* Libraries' own words differ in capitals, hyphens and underscores. */
static bool says(const char *text, const char *words)
{
	char a[512] = "", b[512] = "";

	letters(text, a);
	letters(words, b);
	return strstr(a, b) != NULL;
}

static void tls_one(const struct tls_case *t, const struct identity *ca)
{
	struct identity server = identity_called(ca, t->server_san, t->cn);
	struct identity me = identity_new(ca, "URI:spiffe://cluster.local/ns/a/sa/b");
	struct identity other = identity_new(NULL, "DNS:other.x");
	const struct mt_grpc_tls tls = {.roots = t->foreign_roots ? other.cert_pem : ca->cert_pem,
		.chain = t->no_identity ? NULL : me.cert_pem,
		.key = t->other_key ? other.key_pem : me.key_pem,
		.server_name = t->server_name,
		.sans = &t->san,
		.n_sans = t->san ? 1 : 0};
	struct server s;
	struct client c;
	const char *at;

	server_start(&s, ECHO, server_tls(&server, ca));
	at = address(&s);
	client_start(&c, &(struct mt_grpc_conf){.servers = &at, .n_servers = 1, .tls = &tls});
	if (t->why) {
		until(&c, &s, &c.downs, 1);
		CU_ASSERT_TRUE(says(c.why, t->why));
		if (!says(c.why, t->why))
			fprintf(stderr, "want: %s\n got: %s\n", t->why, c.why);
	} else {
		until(&c, &s, &c.ups, 1);
		mt_grpc_send(c.stream, (const uint8_t *)"abc", 3);
		until(&c, &s, &c.messages, 1);
		CU_ASSERT_EQUAL(c.bytes, 3);
	}
	both_stop(&s, &c);
	identity_free(&server);
	identity_free(&me);
	identity_free(&other);
}

static void tls(void)
{
	struct identity ca = identity_new(NULL, "DNS:ca.x");

	for (size_t i = 0; i < MT_ARRAY_LEN(tls_cases); i++)
		tls_one(&tls_cases[i], &ca);
	identity_free(&ca);
}

/* A client that trusts an intermediate authority need not have the root. */
static void tls_intermediate(void)
{
	struct identity ca = identity_new(NULL, "DNS:ca.x");
	struct identity between = identity_authority(&ca, "DNS:between.x");
	struct identity server = identity_new(&between, "DNS:istiod.x");
	const struct mt_grpc_tls tls = {.roots = between.cert_pem, .server_name = "istiod.x"};
	struct server s;
	struct client c;
	const char *at;

	server_start(&s, ECHO, server_tls(&server, NULL));
	at = address(&s);
	client_start(&c, &(struct mt_grpc_conf){.servers = &at, .n_servers = 1, .tls = &tls});
	until(&c, &s, &c.ups, 1);
	CU_ASSERT_EQUAL(c.downs, 0);
	both_stop(&s, &c);
	identity_free(&server);
	identity_free(&between);
	identity_free(&ca);
}

const struct mt_test grpc_tests[] = {
	{"echo", echo},
	{"ends", ends},
	{"when to ask again", retries},
	{"cancelled_in_message", cancelled_in_message},
	{"never_taken", never_taken},
	{"silence", silence},
	{"pings", pings},
	{"nonsense", nonsense},
	{"backoff", backoff},
	{"second_server", second_server},
	{"by_name", by_name},
	{"bad_addresses", bad_addresses},
	{"goodbye", goodbye},
	{"tls", tls},
	{"tls_intermediate", tls_intermediate},
	{0},
};
