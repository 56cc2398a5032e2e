/* SPDX-License-Identifier: Apache-2.0 */
/* Sets of keys, and where they are from. */
#include "issuer.h"
#include "mt_jwks_store_priv.h"
#include "mt_sockaddr.h"
#include "mt_test.h"
#include "mt_test_keys.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <openssl/rsa.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

static uint32_t keys_in(const char *text)
{
	struct mt_err e = {""};
	struct mt_jwks *k = mt_jwks_parse(text, strlen(text), &e);
	uint32_t n = k ? k->n : 0;

	CU_ASSERT_EQUAL(k == NULL, e.text[0] != '\0');
	mt_jwks_drop(k);
	return n;
}

static uint32_t key(const struct issuer *i, const char *more)
{
	char *jwk = issuer_jwk(i, more), text[2048];

	snprintf(text, sizeof(text), "{\"keys\":[%s]}", jwk);
	free(jwk);
	return keys_in(text);
}

static void test_keys(void)
{
	struct issuer small = {
		.alg = "RS256", .kid = "small", .key = mt_test_key(EVP_PKEY_RSA, 1024)};

	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ""), 1);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"use\":\"sig\",\"alg\":\"PS512\""), 1);
	CU_ASSERT_EQUAL(key(issuer_of("ES512"), ",\"alg\":\"ES512\""), 1);
	CU_ASSERT_EQUAL(key(issuer_of("EdDSA"), ""), 1);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"use\":\"enc\""), 0);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"alg\":\"HS256\""), 0);
	CU_ASSERT_EQUAL(key(issuer_of("ES256"), ",\"alg\":\"ES384\""), 0);
	CU_ASSERT_EQUAL(key(issuer_of("ES256"), ",\"alg\":\"longer than any\""), 0);
	/* RFC 7517 §4.2 to §4.5: what it is for, and texts that are texts. */
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"key_ops\":[\"verify\"]"), 1);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"key_ops\":[\"sign\",\"verify\"]"), 1);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"key_ops\":[\"encrypt\",\"wrapKey\"]"), 0);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"key_ops\":[]"), 0);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"key_ops\":\"verify\""), 0);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"alg\":256"), 0);
	CU_ASSERT_EQUAL(key(issuer_of("RS256"), ",\"use\":[\"enc\"]"), 0);
	CU_ASSERT_EQUAL(key(&small, ""), 0);
	issuer_free(&small);
}

static void test_wrong(void)
{
	static const char *const wrong[] = {"", "{", "[]", "{}", "{\"keys\":{}}", "{\"keys\":[]}",
		"{\"keys\":[1,null,[],\"x\"]}",
		"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":7,"
		"\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
		"{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAAA\"}]}",
		"{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}",
		"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"secp256k1\",\"x\":\"AA\",\"y\":\"AA\"}]}",
		/* not on the curve */
		"{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
		"\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\","
		"\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}]}",
		"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"X25519\","
		"\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE\"}]}"};

	for (size_t i = 0; i < MT_ARRAY_LEN(wrong); i++)
		CU_ASSERT_EQUAL(keys_in(wrong[i]), 0);
}

/* What is of use beside what is not. */
static void test_mixed(void)
{
	char *a = issuer_jwk(issuer_of("ES256"), ""), *text, *p;
	struct mt_err e;
	struct mt_jwks *k;

	p = text = malloc(65536);
	p += sprintf(p, "{\"keys\":[{\"kty\":\"oct\"}");
	for (int i = 0; i < MT_JWKS_KEYS + 5; i++)
		p += sprintf(p, ",%s", a);
	sprintf(p, "]}");
	k = mt_jwks_parse(text, strlen(text), &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(k);
	CU_ASSERT_EQUAL(k->n, MT_JWKS_KEYS);
	CU_ASSERT_EQUAL(k->passed_over, 6);
	mt_jwks_drop(k);
	free(text);
	free(a);
}

static struct mt_jwks_source *get(struct mt_jwks_store *s, const char *text, const char *uri,
	const char *issuer, struct mt_err *e)
{
	const struct mt_jwks_said said = {.text = text, .uri = uri, .issuer = issuer};

	e->text[0] = '\0';
	return mt_jwks_store_get(s, &said, e);
}

/* One for who says the same; an inline one has its keys at once, another none until they are fetched. */
static void test_store(void)
{
	struct mt_jwks_store *s = mt_jwks_store_new();
	char *jwks = issuer_jwks(issuer_of("ES256")), name[128];
	struct mt_err e;
	struct mt_jwks_source *a = get(s, jwks, NULL, NULL, &e), *b = get(s, jwks, NULL, NULL, &e),
			      *c = get(s, NULL, "https://x/keys", NULL, &e),
			      *d = get(s, NULL, NULL, "http://x/", &e),
			      *f = get(s, NULL, "https://me:p@ss@x:8/k@y?a@b", NULL, &e);
	struct mt_jwks_status st;
	struct mt_jwks *k;
	uint64_t generation;

	CU_ASSERT_PTR_EQUAL(a, b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(d);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	k = mt_jwks_source_keys(a, &generation);
	CU_ASSERT_PTR_NOT_NULL(k);
	mt_jwks_drop(k);
	CU_ASSERT_PTR_NULL(mt_jwks_source_keys(c, &generation));
	CU_ASSERT_PTR_NULL(get(s, "{}", NULL, NULL, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "\"keys\""));
	CU_ASSERT_PTR_NULL(get(s, NULL, "ftp://x/keys", NULL, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "http"));
	CU_ASSERT_TRUE(mt_jwks_store_status(s, 0, &st, name, sizeof(name)));
	CU_ASSERT_STRING_EQUAL(name, "https://x/keys");
	CU_ASSERT_TRUE(mt_jwks_store_status(s, 1, &st, name, sizeof(name)));
	CU_ASSERT_STRING_EQUAL(name, "http://x/.well-known/openid-configuration");
	/* Whoever looks is not told passwords. */
	CU_ASSERT_TRUE(mt_jwks_store_status(s, 2, &st, name, sizeof(name)));
	CU_ASSERT_STRING_EQUAL(name, "https://x:8/k@y?a@b");
	CU_ASSERT_FALSE(mt_jwks_store_status(s, 3, &st, name, sizeof(name)));
	mt_jwks_source_drop(a);
	mt_jwks_source_drop(b);
	mt_jwks_source_drop(c);
	mt_jwks_source_drop(d);
	mt_jwks_source_drop(f);
	mt_jwks_store_free(s);
	free(jwks);
}

/* ---- who is fetched when -------------------------------------------------------------------------- */

/* The thread that fetches, in virtual time: all but the last source accept a connection and send nothing. */
static struct {
	struct mt_jwks_store *store;
	struct mt_jwks_source *all[MT_JWKS_SOURCES], *good;
	uint32_t n, fetched; /* of the good one */
	struct {
		struct mt_jwks_source *s;
		int64_t until;
	} running[MT_JWKS_TRANSFERS];
	int64_t longest; /* that the good one was due and not fetched, s */
	char *jwks;
} w;

static struct mt_jwks_source *get_of(const char *ns, const char *uri, struct mt_err *e)
{
	const struct mt_jwks_said said = {.ns = ns, .uri = uri, .timeout_ms = 60000};

	e->text[0] = '\0';
	return mt_jwks_store_get(w.store, &said, e);
}

/* `slow` sources, in namespaces of `each`, and behind them a good one. */
static void begin_world(uint32_t slow, uint32_t each)
{
	char uri[64], ns[32];
	struct mt_err e;

	memset(&w, 0, sizeof(w));
	w.store = mt_jwks_store_new();
	w.jwks = issuer_jwks(issuer_of("ES256"));
	for (uint32_t i = 0; i < slow; i++) {
		snprintf(uri, sizeof(uri), "http://slow/%u", i);
		snprintf(ns, sizeof(ns), "ns%u", i / each);
		w.all[w.n] = get_of(ns, uri, &e);
		CU_ASSERT_PTR_NOT_NULL_FATAL(w.all[w.n]);
		w.n++;
	}
	w.good = get_of("good", "http://good/", &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(w.good);
}

static void end_world(void)
{
	for (uint32_t i = 0; i < MT_JWKS_TRANSFERS; i++)
		if (w.running[i].s)
			mt_jwks_source_drop(w.running[i].s);
	for (uint32_t i = 0; i < w.n; i++)
		mt_jwks_source_drop(w.all[i]);
	mt_jwks_source_drop(w.good);
	mt_jwks_store_free(w.store);
	free(w.jwks);
}

static void end_transfer(uint32_t i, int64_t now)
{
	struct mt_jwks_source *s = w.running[i].s;
	struct mt_err e;

	w.running[i].s = NULL;
	mt_jwks_source_fetched(
		s, s == w.good ? mt_jwks_parse(w.jwks, strlen(w.jwks), &e) : NULL, "late", now);
	w.fetched += s == w.good;
	mt_jwks_source_drop(s);
}

static void one_second(int64_t now)
{
	struct mt_jwks_source *s;
	int64_t next;

	for (uint32_t i = 0; i < MT_JWKS_TRANSFERS; i++) {
		if (w.running[i].s && now >= w.running[i].until)
			end_transfer(i, now);
		if (w.running[i].s || !(s = mt_jwks_store_due(w.store, now, &next)))
			continue;
		w.running[i].s = s;
		w.running[i].until = now + (s == w.good ? 0 : (int64_t)s->timeout_ms / 1000);
		if (s == w.good)
			end_transfer(i, now);
	}
	if (!w.good->busy && w.good->status.next <= now)
		w.longest = MT_MAX(w.longest, now - w.good->status.next);
}

/* However many fail slowly, and whosever they are, another one has its keys soon, and again each 20 min. */
static void test_slow_ones(void)
{
	static const struct {
		uint32_t slow, each;
		int64_t most; /* s */
	} t[] = {{32, 32, 1}, {48, 48, 1}, {192, 192, 1}, {255, 1, 160}, {255, 64, 160}};

	for (size_t k = 0; k < MT_ARRAY_LEN(t); k++) {
		int64_t start = 1000000000;

		begin_world(t[k].slow, t[k].each);
		/* It is new now, and not since 1970. */
		w.good->status.next = start;
		for (int64_t now = start; now < start + 3 * MT_JWKS_REFRESH_S; now++)
			one_second(now);
		CU_ASSERT(w.fetched >= 2);
		CU_ASSERT(w.longest <= t[k].most);
		end_world();
	}
}

/* One namespace leaves a quarter of the places to others, and what is named already needs none. */
static void test_places(void)
{
	const uint32_t most = MT_JWKS_SOURCES - MT_JWKS_SOURCES / 4;
	struct mt_jwks_source *same;
	struct mt_err e;

	begin_world(most, most);
	CU_ASSERT_PTR_NULL(get_of("ns0", "http://slow/more", &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "the last quarter"));
	same = get_of("ns1", "http://slow/0", &e);
	CU_ASSERT_PTR_EQUAL(same, w.all[0]);
	mt_jwks_source_drop(same);
	end_world();
	begin_world(MT_JWKS_SOURCES - 1, 32);
	CU_ASSERT_PTR_NULL(get_of("ns100", "http://slow/more", &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "the most"));
	end_world();
}

/* ---- where it is fetched from ---------------------------------------------------------------------- */

/* A listener on the loopback, by IPv4 and IPv6. */
static int listen_here(uint16_t *port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0), off = 0;

	(void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
	CU_ASSERT_FATAL(bind(fd, (struct sockaddr *)&a, len) == 0 && listen(fd, 8) == 0);
	CU_ASSERT_FATAL(getsockname(fd, (struct sockaddr *)&a, &len) == 0);
	*port = ntohs(a.sin6_port);
	return fd;
}

/* How the first fetch fails. */
static void fetch_from(const char *host, bool local, int listener, uint16_t port)
{
	struct mt_jwks_store *s = mt_jwks_store_new();
	struct mt_jwks_status st = {0};
	struct mt_jwks_source *src;
	char uri[128], name[128];
	struct mt_err e;
	int fd = -1;

	snprintf(uri, sizeof(uri), "http://%s:%u/keys", host, port);
	src = get(s, NULL, uri, NULL, &e);
	CU_ASSERT_EQUAL_FATAL(mt_jwks_store_start(s, NULL, local, &e), 0);
	for (int i = 0; i < 5000 && !st.failures; i++) {
		poll(NULL, 0, 1);
		if (fd < 0 && (fd = accept(listener, NULL, NULL)) >= 0)
			close(fd);
		(void)mt_jwks_store_status(s, 0, &st, name, sizeof(name));
	}
	CU_ASSERT_EQUAL(st.failures, 1);
	CU_ASSERT_EQUAL(fd >= 0, local);
	CU_ASSERT_EQUAL(strstr(st.why, "spec.jwks.localAddresses") != NULL, !local);
	mt_jwks_store_stop(s);
	mt_jwks_source_drop(src);
	mt_jwks_store_free(s);
}

/* Who may write a rule does not reach by it what is for this host alone, by whatever name. */
static void test_local(void)
{
	static const char *const hosts[] = {"127.0.0.1", "127.1.2.3", "localhost", "0.0.0.0",
		"[::1]", "[::]", "[::ffff:127.0.0.1]", "169.254.169.254", "[fe80::1]"};
	uint16_t port;
	int listener = listen_here(&port);

	for (size_t i = 0; i < MT_ARRAY_LEN(hosts); i++)
		fetch_from(hosts[i], false, listener, port);
	fetch_from("127.0.0.1", true, listener, port);
	close(listener);
}

/* Nothing in the rows below is an address of this host, so both functions agree. */
static bool is_protected(const char *text)
{
	struct mt_addr a = {0};

	CU_ASSERT_EQUAL(mt_addr_parse(text, &a), 0);
	CU_ASSERT_EQUAL(mt_jwks_is_listed(&a), mt_jwks_is_protected(&a));
	return mt_jwks_is_protected(&a);
}

/* Also by translation to IPv4; other addresses of the same ranges are servers as any other. */
static void test_protected(void)
{
	static const char *const yes[] = {"fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
		"100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:c1::a9fe:a9fe",
		"64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b:1::169.254.169.254",
		"64:ff9b::100.100.100.200", "::ffff:0:127.0.0.1", "::127.0.0.1",
		"2002:a9fe:a9fe::1", "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1:7f00:0:100::",
		"64:ff9b:1:a9:fe:a9fe::", "64:ff9b:1:0:a9:fea9:fe00:0"};
	static const char *const no[] = {"203.0.113.7", "100.100.100.201", "168.63.129.17",
		"fd00:ec3::254", "fd20:ce::253", "2001:db8::1", "64:ff9b::203.0.113.7",
		"2002:cb00:7107::1", "64:ff9b:1::203.0.113.7",
		"64:ff9b:1:cb00:71:700::", "64:ff9b:1:cb:0:7107::", "64:ff9b:1:0:cb:71:700:0"};

	for (size_t i = 0; i < MT_ARRAY_LEN(yes); i++)
		CU_ASSERT(is_protected(yes[i]));
	for (size_t i = 0; i < MT_ARRAY_LEN(no); i++)
		CU_ASSERT_FALSE(is_protected(no[i]));
}

/* Each address of an interface of this host is its own. */
static void test_own(void)
{
	struct ifaddrs *all = NULL;
	struct mt_addr a;

	CU_ASSERT_EQUAL_FATAL(getifaddrs(&all), 0);
	for (const struct ifaddrs *i = all; i; i = i->ifa_next)
		if (mt_sockaddr_read(i->ifa_addr, &a, NULL) && (i->ifa_flags & IFF_UP))
			CU_ASSERT(mt_jwks_is_protected(&a));
	freeifaddrs(all);
}

const struct mt_test jwks_tests[] = {{"keys", test_keys}, {"no keys", test_wrong},
	{"some of them", test_mixed}, {"where they are from", test_store},
	{"slow ones beside others", test_slow_ones}, {"places by namespace", test_places},
	{"this host's own addresses", test_local}, {"protected addresses", test_protected},
	{"addresses of interfaces", test_own}, {0}};
