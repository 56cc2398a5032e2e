/* SPDX-License-Identifier: Apache-2.0 */
/* The door for shells of other machines: real handshakes over loopback, in virtual time. */
#include "authority.h"
#include "mt_rand.h"
#include "suites.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define LEADER "spiffe://ops.test/leader"

static char dir[32], node_crt[64], node_key[64], roots[64], lists[64];
static struct cert ours, theirs, node, leader;
static const struct cert *between; /* sent by clients after their own; NULL: none */
static uint64_t now;
static uint16_t port;
static struct mt_ctl *c;

static const struct mt_ctl_tls_role roles[] = {
	{LEADER, MT_ROLE_OPERATE}, {"spiffe://ops.test/*", MT_ROLE_VIEW}, {"carol", MT_ROLE_VIEW}};

/* ---- a shell ------------------------------------------------------------------------------- */

struct peer {
	int fd;
	SSL *tls; /* NULL: speaks none */
};

static void turn(int fd)
{
	struct pollfd p[] = {{.fd = fd, .events = POLLIN}, {.fd = mt_ctl_fd(c), .events = POLLIN}};

	(void)poll(p, 2, 1);
	mt_ctl_turn(c, now);
}

static int dial(const char *from)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct mt_addr addr;

	mt_addr_parse(from, &addr);
	a.sin_addr.s_addr = mt_addr_v4(&addr);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	a.sin_port = htons(port);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

/* `id` NULL: without a certificate. `version`: at most; 0: any. */
static struct peer peer_begin(const char *from, const struct cert *id, int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
	struct peer p = {dial(from), NULL};

	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
#ifndef OPENSSL_IS_AWSLC /* which has no levels */
	SSL_CTX_set_security_level(ctx, 0);
#endif
	if (id) {
		CU_ASSERT_EQUAL(SSL_CTX_use_certificate(ctx, id->x), 1);
		CU_ASSERT_EQUAL(SSL_CTX_use_PrivateKey(ctx, id->key), 1);
	}
	if (between)
		CU_ASSERT_EQUAL(SSL_CTX_add1_chain_cert(ctx, between->x), 1);
	if (version)
		SSL_CTX_set_max_proto_version(ctx, version);
	p.tls = SSL_new(ctx);
	SSL_CTX_free(ctx);
	SSL_set_fd(p.tls, p.fd);
	SSL_set_connect_state(p.tls);
	return p;
}

static bool wants_more(struct peer *p, int rc)
{
	int why = SSL_get_error(p->tls, rc);

	ERR_clear_error();
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE;
}

/* Whether the client thinks that it is in; with TLS 1.3 it hears of a refusal later. */
static bool shake(struct peer *p)
{
	for (int i = 0; i < 500; i++) {
		int rc = SSL_do_handshake(p->tls);

		if (rc == 1 || !wants_more(p, rc))
			return rc == 1;
		turn(p->fd);
	}
	return false;
}

/* Bytes that were read, at most n; fewer: the connection ended, or nothing came. */
static size_t take(struct peer *p, char *buf, size_t n)
{
	size_t at = 0;

	for (int i = 0; i < 500 && at < n; i++) {
		int rc = SSL_read(p->tls, buf + at, (int)(n - at));

		if (rc > 0)
			at += (size_t)rc;
		else if (!wants_more(p, rc))
			break;
		else
			turn(p->fd);
	}
	return at;
}

/* The exit code and the text of an answer; -1: there is none. */
static int answer(struct peer *p, char *buf, size_t size)
{
	char head[64];
	size_t n = 0, len = 0;
	int code = -1;

	while (n < sizeof(head) - 1 && take(p, &head[n], 1) == 1 && head[n++] != '\n')
		;
	head[n] = '\0';
	if (sscanf(head, "meltemi %d %zu", &code, &len) != 2 || len >= size)
		return -1;
	CU_ASSERT_EQUAL(take(p, buf, len), len);
	buf[len] = '\0';
	return code;
}

static int ask(struct peer *p, const char *line, char *buf, size_t size)
{
	buf[0] = '\0';
	return SSL_write(p->tls, line, (int)strlen(line)) > 0 ? answer(p, buf, size) : -1;
}

static void peer_end(struct peer *p)
{
	SSL_free(p->tls);
	if (p->fd >= 0)
		close(p->fd);
	*p = (struct peer){-1, NULL};
	ERR_clear_error();
}

/* ---- the node ------------------------------------------------------------------------------ */

static uint32_t places(bool shaking)
{
	uint32_t n = 0;

	for (size_t i = 0; i < MT_ARRAY_LEN(c->remote.clients); i++)
		n += c->remote.clients[i].fd >= 0 && c->remote.clients[i].shaking == shaking;
	return n;
}

/* Turns until nobody has a place any more, or for a while. */
static bool all_gone(void)
{
	for (int i = 0; i < 300 && places(true) + places(false); i++)
		turn(-1);
	return places(true) + places(false) == 0;
}

static bool drain(void *arg, bool on)
{
	return true;
}

static void start_with(bool revocations)
{
	struct mt_ctl_env env = {.node = "edge-1",
		.drain = drain,
		.tls = {.certificate = node_crt,
			.key = node_key,
			.client_roots = roots,
			.client_revocations = revocations ? lists : NULL,
			.roles = roles,
			.n_roles = MT_ARRAY_LEN(roles)}};
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	getsockname(fd, (struct sockaddr *)&a, &len);
	close(fd);
	port = env.tls.port = ntohs(a.sin_port);
	mt_addr_parse("127.0.0.1", &env.tls.addr);
	strcpy(dir, "/tmp/mt_door_XXXXXX");
	CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(dir));
	snprintf(node_crt, sizeof(node_crt), "%s/node.crt", dir);
	snprintf(node_key, sizeof(node_key), "%s/node.pem", dir);
	snprintf(roots, sizeof(roots), "%s/roots.crt", dir);
	snprintf(lists, sizeof(lists), "%s/lists.crl", dir);
	ours = cert_make(&(struct cert_words){.name = "ours", .authority = true}, NULL);
	theirs = cert_make(&(struct cert_words){.name = "theirs", .authority = true}, NULL);
	node = cert_make(&(struct cert_words){.name = "node", .alt = "DNS:node.test"}, &ours);
	leader = cert_make(&(struct cert_words){.alt = "URI:" LEADER}, &ours);
	cert_write(&node, node_crt, node_key);
	cert_write(&ours, roots, NULL);
	if (revocations)
		cert_revoke(&ours, NULL, lists);
	signal(SIGPIPE, SIG_IGN); /* as the daemon does */
	now = MT_SEC;
	c = test_ctl(&env);
}

static void start(void)
{
	start_with(false);
}

static void stop(void)
{
	struct cert *all[] = {&ours, &theirs, &node, &leader};

	mt_ctl_destroy(c);
	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		cert_free(all[i]);
	unlink(node_crt);
	unlink(node_key);
	unlink(roots);
	unlink(lists);
	CU_ASSERT_EQUAL(rmdir(dir), 0);
}

/* ---- who may do what ----------------------------------------------------------------------- */

static void test_roles(void)
{
	static const struct {
		struct cert_words words;
		int show, drain;
		const char *says; /* of `drain` */
	} t[] = {
		{{.alt = "URI:" LEADER}, 0, 0, ""},
		{{.alt = "DNS:x.test,URI:spiffe://ops.test/bob"}, 0, 1, "bob has the role view"},
		{{.name = "carol"}, 0, 1, "carol has the role view"},
		/* A name that is not looked at where there are better ones. */
		{{.name = "carol", .alt = "DNS:x.test"}, 1, 1, "none of its names"},
		{{.alt = "URI:spiffe://ops.test"}, 1, 1, "none of its names"},
		{{.alt = "URI:" LEADER "s"}, 0, 1, "leaders has the role view"},
		{{.alt = "email:carol"}, 1, 1, "none of its names"},
		{{.name = "x\x1b[2J"}, 1, 1, "none of its names"},
	};
	static char buf[65536];

	start();
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		static const int versions[] = {TLS1_3_VERSION, TLS1_2_VERSION};
		struct cert id = cert_make(&t[i].words, &ours);

		for (size_t v = 0; v < MT_ARRAY_LEN(versions); v++) {
			struct peer p = peer_begin("127.0.0.1", &id, versions[v]);

			CU_ASSERT_TRUE(shake(&p));
			CU_ASSERT_EQUAL(ask(&p, "show version\n", buf, sizeof(buf)), t[i].show);
			if (t[i].show == 0)
				CU_ASSERT_EQUAL(ask(&p, "drain\n", buf, sizeof(buf)), t[i].drain);
			CU_ASSERT_PTR_NOT_NULL(strstr(buf, t[i].says));
			peer_end(&p);
		}
		cert_free(&id);
	}
	CU_ASSERT_TRUE(all_gone());
	stop();
}

static void test_not_believed(void)
{
	static const struct {
		struct cert_words words;
		const struct cert *by;
		int version;
		bool none;
	} t[] = {
		{{.alt = "URI:" LEADER, .from = -7200, .to = -3600}, .by = &ours},
		{{.alt = "URI:" LEADER, .from = 3600, .to = 7200}, .by = &ours},
		{{.alt = "URI:" LEADER, .purpose = "serverAuth"}, .by = &ours},
		{{.alt = "URI:" LEADER}, .by = &theirs},
		{{.alt = "URI:" LEADER}, .by = NULL},
		{{.alt = "URI:" LEADER}, .by = &leader}, /* who may sign nothing */
		{{.alt = "URI:" LEADER}, .by = &ours, .version = TLS1_1_VERSION},
		{{.alt = "URI:" LEADER}, .by = &ours, .none = true},
	};
	char buf[1024];

	start();
	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct cert id = cert_make(&t[i].words, t[i].by);
		struct peer p = peer_begin("127.0.0.1", t[i].none ? NULL : &id, t[i].version);

		if (shake(&p))
			CU_ASSERT_EQUAL(ask(&p, "show version\n", buf, sizeof(buf)), -1);
		CU_ASSERT_EQUAL(places(false), 0);
		peer_end(&p);
		cert_free(&id);
		CU_ASSERT_TRUE(all_gone());
	}
	stop();
}

/* Of clients whose certificate is from an intermediate authority, by the roots and lists of the node. */
static void test_intermediate(void)
{
	static const struct {
		bool root, lists;	 /* the intermediate is the root; there are lists */
		bool of_root, of_middle; /* whose lists there are */
		bool revoked;		 /* the root revokes the intermediate */
		bool served;
	} t[] = {
		{.served = true},
		{.root = true, .served = true},
		{.lists = true, .of_root = true, .of_middle = true, .served = true},
		{.lists = true, .of_root = true, .of_middle = true, .revoked = true},
		{.lists = true, .of_middle = true},
		{.lists = true, .of_root = true},
		{.root = true, .lists = true, .of_middle = true, .served = true},
		{.root = true, .lists = true, .of_root = true, .of_middle = true, .revoked = true},
		{.root = true, .lists = true, .of_root = true},
	};
	char buf[1024];

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct cert middle, id;
		struct peer p;
		bool served;

		start_with(t[i].lists);
		middle =
			cert_make(&(struct cert_words){.name = "middle", .authority = true}, &ours);
		id = cert_make(&(struct cert_words){.alt = "URI:" LEADER}, &middle);
		cert_write(t[i].root ? &middle : &ours, roots, NULL);
		unlink(lists);
		if (t[i].of_root)
			cert_revoke(&ours, t[i].revoked ? &middle : NULL, lists);
		if (t[i].of_middle)
			cert_revoke(&middle, NULL, lists);
		between = &middle;
		p = peer_begin("127.0.0.1", &id, 0);
		served = shake(&p) && ask(&p, "show version\n", buf, sizeof(buf)) == 0;
		CU_ASSERT_EQUAL(served, t[i].served);
		if (served != t[i].served)
			fprintf(stderr, "row %zu: %s\n", i, c->remote.trouble);
		CU_ASSERT_STRING_EQUAL(c->remote.trouble, "");
		between = NULL;
		peer_end(&p);
		CU_ASSERT_TRUE(all_gone());
		cert_free(&id);
		cert_free(&middle);
		stop();
	}
}

/* What was good when it came does not have to be so for ever. */
static void test_expires_meanwhile(void)
{
	struct peer p;
	char buf[1024];

	start();
	p = peer_begin("127.0.0.1", &leader, 0);
	CU_ASSERT_TRUE(shake(&p));
	CU_ASSERT_EQUAL(ask(&p, "show version\n", buf, sizeof(buf)), 0);
	for (size_t i = 0; i < MT_ARRAY_LEN(c->remote.clients); i++)
		c->remote.clients[i].valid = 1;
	CU_ASSERT_EQUAL(ask(&p, "show version\n", buf, sizeof(buf)), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "has expired"));
	CU_ASSERT_TRUE(all_gone());
	peer_end(&p);
	stop();
}

/* ---- bytes --------------------------------------------------------------------------------- */

/* Two memory ends in place of the socket, so that a test says which byte arrives when. */
static void by_memory(struct peer *p)
{
	SSL_set_bio(p->tls, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(p->tls), -1);
}

/* What the client has to say, without its being sent. */
static size_t said(struct peer *p, uint8_t *buf, size_t size)
{
	int n = BIO_read(SSL_get_wbio(p->tls), buf, (int)size);

	return n > 0 ? (size_t)n : 0;
}

static void hear(struct peer *p)
{
	uint8_t buf[4096];
	ssize_t n;

	while ((n = recv(p->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		BIO_write(SSL_get_rbio(p->tls), buf, (int)n);
}

/* Goes on until the client has said all; its bytes go `step` at a time, `after` of them at most. False: cut off. */
static bool drip(struct peer *p, size_t step, size_t *after)
{
	static uint8_t buf[65536];

	for (int i = 0; i < 200; i++) {
		int rc = SSL_do_handshake(p->tls);
		size_t n = said(p, buf, sizeof(buf));

		for (size_t at = 0; at < n; at += step) {
			size_t len = MT_MIN(step, n - at);

			if (*after < len)
				return false;
			*after -= len;
			CU_ASSERT_EQUAL(send(p->fd, buf + at, len, MSG_NOSIGNAL), (ssize_t)len);
			mt_ctl_turn(c, now);
		}
		if (rc == 1)
			return true;
		turn(p->fd);
		hear(p);
	}
	return false;
}

static void test_drips(void)
{
	struct peer p;
	size_t all = SIZE_MAX;

	start();
	p = peer_begin("127.0.0.1", &leader, 0);
	by_memory(&p);
	CU_ASSERT_TRUE(drip(&p, 1, &all));
	for (int i = 0; i < 50 && places(false) == 0; i++)
		turn(p.fd);
	CU_ASSERT_EQUAL(places(false), 1);
	peer_end(&p);
	CU_ASSERT_TRUE(all_gone());
	stop();
}

/* A handshake that stops somewhere: the end of the connection, or the time, gives the place back. */
static void test_stops_halfway(void)
{
	start();
	for (size_t cut = 0; cut < 2200; cut += 97) {
		struct peer p = peer_begin("127.0.0.1", &leader, 0);
		size_t left = cut;

		now += MT_SEC;
		by_memory(&p);
		(void)drip(&p, 16, &left);
		for (int i = 0; i < 3; i++)
			turn(p.fd);
		if (cut % 2) {
			peer_end(&p);
			CU_ASSERT_TRUE(all_gone());
			continue;
		}
		now += 5 * MT_SEC;
		mt_ctl_turn(c, now);
		CU_ASSERT_EQUAL(places(true), 0);
		peer_end(&p);
		CU_ASSERT_TRUE(all_gone());
	}
	stop();
}

/* Bytes that are none of TLS, and a first message with some of its bytes changed: never an answer, never a place kept. */
static void test_garbage(void)
{
	struct mt_rand r;
	static uint8_t hello[4096], junk[4096];
	char buf[256];
	size_t n;

	mt_rand_seed(&r, 17);
	start();
	for (uint32_t k = 0; k < 120; k++) {
		struct peer p = peer_begin("127.0.0.1", &leader, 0);

		now += MT_SEC;
		by_memory(&p);
		(void)SSL_do_handshake(p.tls);
		n = said(&p, hello, sizeof(hello));
		for (uint32_t i = 0; i < sizeof(junk); i++)
			junk[i] = (uint8_t)mt_rand_u64(&r);
		for (uint32_t i = 0; i < 1 + k % 8; i++)
			hello[mt_rand_u64(&r) % n] = (uint8_t)mt_rand_u64(&r);
		if (k % 3 == 0)
			n = 1 + mt_rand_below(&r, sizeof(junk));
		CU_ASSERT_EQUAL(send(p.fd, k % 3 == 0 ? junk : hello, n, MSG_NOSIGNAL), (ssize_t)n);
		for (int i = 0; i < 4; i++)
			turn(p.fd);
		n = (size_t)MT_MAX(recv(p.fd, buf, sizeof(buf), MSG_DONTWAIT), (ssize_t)0);
		CU_ASSERT_PTR_NULL(memmem(buf, n, "meltemi", 7));
		CU_ASSERT_EQUAL(places(false), 0);
		peer_end(&p);
		CU_ASSERT_TRUE(all_gone());
	}
	stop();
}

/* Behind the handshake: records that are changed or cut, an end without words, a wish to begin anew. */
static void test_records(void)
{
	static uint8_t bytes[4096];
	char buf[1024];

	start();
	for (uint32_t k = 0; k < 8; k++) {
		struct peer p =
			peer_begin("127.0.0.1", &leader, k % 2 ? TLS1_2_VERSION : TLS1_3_VERSION);
		size_t n;

		now += MT_SEC;
		CU_ASSERT_TRUE(shake(&p));
		CU_ASSERT_EQUAL(ask(&p, "show version\n", buf, sizeof(buf)), 0);
		by_memory(&p);
		CU_ASSERT(SSL_write(p.tls, "show version\n", 13) > 0);
		n = said(&p, bytes, sizeof(bytes));
		bytes[n - 1] ^= k < 4;
		CU_ASSERT(send(p.fd, bytes, k < 4 ? n : n - 3, MSG_NOSIGNAL) > 0);
		for (int i = 0; i < 5; i++)
			turn(p.fd);
		/* A record that is not whole yet may still become so. */
		CU_ASSERT_EQUAL(places(false), k < 4 ? 0 : 1);
		peer_end(&p);
		CU_ASSERT_TRUE(all_gone());
	}
	stop();
}

static void test_begin_anew(void)
{
	struct peer p;
	char buf[1024];

	start();
#ifndef OPENSSL_IS_AWSLC /* which never asks for it */
	p = peer_begin("127.0.0.1", &leader, TLS1_2_VERSION);
	CU_ASSERT_TRUE(shake(&p));
	SSL_renegotiate(p.tls);
	CU_ASSERT_FALSE(shake(&p));
	peer_end(&p);
	CU_ASSERT_TRUE(all_gone());
#endif
	/* New keys are everybody's right in TLS 1.3. */
	p = peer_begin("127.0.0.1", &leader, TLS1_3_VERSION);
	CU_ASSERT_TRUE(shake(&p));
	for (int i = 0; i < 20; i++) {
		CU_ASSERT_EQUAL(SSL_key_update(p.tls, SSL_KEY_UPDATE_REQUESTED), 1);
		CU_ASSERT_EQUAL(ask(&p, "show version\n", buf, sizeof(buf)), 0);
	}
	peer_end(&p);
	stop();
}

/* Lines that share a record or are cut over many, and an answer that is taken late. */
static void test_lines(void)
{
	static const char five[] = "show version\nnonsense\nshow node\nhelp\nshow meaning\n";
	static char buf[1 << 20];
	struct peer p;

	start();
	p = peer_begin("127.0.0.1", &leader, 0);
	CU_ASSERT_TRUE(shake(&p));
	for (const char *at = "show version\n"; *at; at++)
		CU_ASSERT_EQUAL(SSL_write(p.tls, at, 1), 1);
	CU_ASSERT_EQUAL(answer(&p, buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(SSL_write(p.tls, five, sizeof(five) - 1), sizeof(five) - 1);
	for (int i = 0; i < 20; i++)
		turn(-1);
	CU_ASSERT_EQUAL(answer(&p, buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(answer(&p, buf, sizeof(buf)), 2);
	CU_ASSERT_EQUAL(answer(&p, buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(answer(&p, buf, sizeof(buf)), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "show meaning"));
	CU_ASSERT_EQUAL(answer(&p, buf, sizeof(buf)), 0);
	CU_ASSERT(strlen(buf) > 20000);
	/* One record with more than the door takes at a time: the rest makes no descriptor readable. */
	for (size_t i = 0; i < 200; i++)
		memcpy(buf + 13 * i, "show version\n", 13);
	CU_ASSERT_EQUAL(SSL_write(p.tls, buf, 200 * 13), 200 * 13);
	for (int i = 0; i < 200; i++)
		CU_ASSERT_EQUAL(answer(&p, buf, sizeof(buf)), 0);
	memset(buf, 'x', 5000);
	CU_ASSERT(SSL_write(p.tls, buf, 5000) > 0);
	CU_ASSERT_EQUAL(answer(&p, buf, sizeof(buf)), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "longer than"));
	CU_ASSERT_TRUE(all_gone());
	peer_end(&p);
	stop();
}

/* ---- many ---------------------------------------------------------------------------------- */

/* From many addresses as well as from one: operators get in, and the oldest silent ones go. */
static void test_silent_crowd(void)
{
	static int silent[120];
	struct peer p;
	char from[32], buf[1024];

	start();
	for (size_t i = 0; i < MT_ARRAY_LEN(silent); i++) {
		snprintf(from, sizeof(from), "127.0.%zu.9", i < 40 ? 7 : i);
		silent[i] = dial(from);
		now += MT_MSEC;
		mt_ctl_turn(c, now);
		CU_ASSERT(places(true) <= (i < 40 ? 4 : MT_CTL_REMOTES));
	}
	/* Fifty may begin in a second, the others wait before the door. */
	CU_ASSERT_TRUE(c->remote.paused);
	now += MT_SEC;
	for (int i = 0; i < 200; i++) {
		now += 20 * MT_MSEC;
		turn(-1);
	}
	p = peer_begin("127.0.0.1", &leader, 0);
	CU_ASSERT_TRUE(shake(&p));
	CU_ASSERT_EQUAL(ask(&p, "show version\n", buf, sizeof(buf)), 0);
	CU_ASSERT_EQUAL(places(false), 1);
	now += 6 * MT_SEC;
	mt_ctl_turn(c, now);
	CU_ASSERT_EQUAL(places(true), 0);
	CU_ASSERT_EQUAL(places(false), 1);
	for (size_t i = 0; i < MT_ARRAY_LEN(silent); i++)
		close(silent[i]);
	peer_end(&p);
	CU_ASSERT_TRUE(all_gone());
	stop();
}

/* One more than there are places for: who asked longest ago is told, and goes. */
static void test_all_places(void)
{
	struct peer p[MT_CTL_REMOTES + 1];
	char buf[1024];

	start();
	for (int i = 0; i <= MT_CTL_REMOTES; i++) {
		now += MT_SEC;
		p[i] = peer_begin("127.0.0.1", &leader, 0);
		CU_ASSERT_TRUE(shake(&p[i]));
		CU_ASSERT_EQUAL(ask(&p[i], "show version\n", buf, sizeof(buf)), 0);
		if (i == 1) /* so the second is the oldest */
			CU_ASSERT_EQUAL(ask(&p[0], "show version\n", buf, sizeof(buf)), 0);
	}
	CU_ASSERT_EQUAL(places(false), MT_CTL_REMOTES);
	CU_ASSERT_EQUAL(answer(&p[0], buf, sizeof(buf)), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "needed the place"));
	CU_ASSERT_EQUAL(ask(&p[1], "show version\n", buf, sizeof(buf)), 0);
	now += 3601 * MT_SEC;
	mt_ctl_turn(c, now);
	CU_ASSERT_EQUAL(places(false), 0);
	for (int i = 0; i <= MT_CTL_REMOTES; i++)
		peer_end(&p[i]);
	stop();
}

/* A certificate without a role takes no place from those with one, and keeps its own for seconds. */
static void test_crowd_without_roles(void)
{
	struct cert nobody;
	struct peer p[MT_CTL_REMOTES], late;
	char buf[1024];

	start();
	nobody = cert_make(&(struct cert_words){.name = "nobody"}, &ours);
	for (int i = 0; i < MT_CTL_REMOTES; i++) {
		now += MT_SEC;
		p[i] = peer_begin("127.0.0.1", &leader, 0);
		CU_ASSERT_TRUE(shake(&p[i]));
		CU_ASSERT_EQUAL(ask(&p[i], "show version\n", buf, sizeof(buf)), 0);
	}
	for (int i = 0; i < 6; i++) {
		now += MT_SEC;
		late = peer_begin("127.0.0.1", &nobody, 0);
		CU_ASSERT_TRUE(shake(&late));
		CU_ASSERT_EQUAL(ask(&late, "show version\n", buf, sizeof(buf)), 1);
		CU_ASSERT_PTR_NOT_NULL(strstr(buf, "none of its names"));
		peer_end(&late);
	}
	late = peer_begin("127.0.0.1", &nobody, 0);
	CU_ASSERT_TRUE(shake(&late));
	for (int i = 0; i < 20; i++)
		turn(late.fd);
	CU_ASSERT_EQUAL(places(false), MT_CTL_REMOTES + 1);
	now += 6 * MT_SEC;
	mt_ctl_turn(c, now);
	CU_ASSERT_EQUAL(places(false), MT_CTL_REMOTES);
	peer_end(&late);
	for (int i = 0; i < MT_CTL_REMOTES; i++) {
		CU_ASSERT_EQUAL(ask(&p[i], "show version\n", buf, sizeof(buf)), 0);
		peer_end(&p[i]);
	}
	cert_free(&nobody);
	CU_ASSERT_TRUE(all_gone());
	stop();
}

/* Files that do not fit together leave the last ones in use; who is here already is judged by those that do. */
static void test_replaced(void)
{
	struct cert other, stranger;
	struct peer p;
	char buf[1024];

	start();
	other = cert_make(&(struct cert_words){.name = "other"}, &theirs);
	stranger = cert_make(&(struct cert_words){.alt = "URI:" LEADER}, &theirs);
	cert_write(&other, node_crt, NULL); /* not of that key */
	p = peer_begin("127.0.0.1", &leader, 0);
	CU_ASSERT_TRUE(shake(&p));
	CU_ASSERT_EQUAL(ask(&p, "show version\n", buf, sizeof(buf)), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(c->remote.trouble, "node.pem"));
	cert_write(&other, NULL, node_key);
	cert_write(&theirs, roots, NULL);
	CU_ASSERT_EQUAL(ask(&p, "show version\n", buf, sizeof(buf)), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "is no longer accepted"));
	peer_end(&p);
	p = peer_begin("127.0.0.1", &stranger, 0);
	CU_ASSERT_TRUE(shake(&p));
	CU_ASSERT_EQUAL(ask(&p, "show version\n", buf, sizeof(buf)), 0);
	CU_ASSERT_STRING_EQUAL(c->remote.trouble, "");
	CU_ASSERT_EQUAL(places(false), 1);
	/* Who asks nothing goes, too, when the files are looked at. */
	cert_write(&ours, roots, NULL);
	now += 2 * MT_SEC;
	mt_ctl_turn(c, now);
	CU_ASSERT_EQUAL(places(false), 0);
	CU_ASSERT_EQUAL(answer(&p, buf, sizeof(buf)), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(buf, "is no longer accepted"));
	peer_end(&p);
	unlink(roots);
	p = peer_begin("127.0.0.1", &stranger, 0);
	if (shake(&p))
		CU_ASSERT_EQUAL(ask(&p, "show version\n", buf, sizeof(buf)), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(c->remote.trouble, "roots.crt"));
	peer_end(&p);
	cert_free(&other);
	cert_free(&stranger);
	stop();
}

const struct mt_test door_tests[] = {
	{"roles by certificates", test_roles},
	{"certificates that are not believed", test_not_believed},
	{"certificates of an intermediate authority", test_intermediate},
	{"expired meanwhile", test_expires_meanwhile},
	{"byte by byte", test_drips},
	{"handshakes that stop", test_stops_halfway},
	{"garbage", test_garbage},
	{"broken records", test_records},
	{"to begin anew", test_begin_anew},
	{"lines and records", test_lines},
	{"a silent crowd", test_silent_crowd},
	{"all places taken", test_all_places},
	{"a crowd without roles", test_crowd_without_roles},
	{"certificates replaced", test_replaced},
	{0},
};
