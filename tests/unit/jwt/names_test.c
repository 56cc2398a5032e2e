/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys from hosts that have names, in a network of its own with a real name server, which answers
 * some names and never others. Each test runs in a child process; the bits of its exit status are
 * what was wrong.
 */
#include "issuer.h"
#include "mt_base.h"
#include "mt_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_HERE 77
#define PORT	 8080
#define LONG_MS	 20000 /* for what takes milliseconds on an idle machine */

/* The system's own resolver would wait for minutes. */
static const char resolv_conf[] = "nameserver 127.0.0.1\noptions timeout:30 attempts:5\n";

/* ---- the world ------------------------------------------------------------------------------- */

static bool write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	close(fd);
	return ok;
}

static bool become_root(unsigned int uid)
{
	char map[32];

	snprintf(map, sizeof(map), "0 %u 1", uid);
	return write_file("/proc/self/uid_map", map);
}

static bool put_resolv_conf(void)
{
	char path[] = "/tmp/mt_names_XXXXXX";
	int fd = mkstemp(path);
	bool ok = fd >= 0 && write_file(path, resolv_conf) && fchmod(fd, 0644) == 0 &&
		  mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		  mount(path, "/etc/resolv.conf", NULL, MS_BIND, NULL) == 0;

	close(fd);
	unlink(path);
	return ok;
}

static bool loopback_up(void)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool ok = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &r) == 0;

	close(fd);
	return ok;
}

static bool enter(void)
{
	unsigned int uid = geteuid();

	if (unshare((uid ? CLONE_NEWUSER : 0) | CLONE_NEWNET | CLONE_NEWNS))
		return false;
	return (!uid || become_root(uid)) && put_resolv_conf() && loopback_up();
}

/* ---- the name server ------------------------------------------------------------------------- */

static uint32_t n_unanswered; /* questions */

/* Bytes of a question's name, with the length of the root; 0: not a question. */
static size_t name_size(const uint8_t *q, size_t n)
{
	size_t at = 0;

	while (at < n && q[at])
		at += q[at] + 1u;
	return at + 5 <= n ? at + 1 : 0;
}

/* Adds the address of that type: all names are 127.0.0.1, those with a "6" in front ::1. */
static size_t put_address(uint8_t *p, uint16_t type, bool six)
{
	static const uint8_t four[] = {0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1},
			     long_[] = {0xc0, 0x0c, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16, 0, 0, 0, 0, 0,
				     0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

	if (type == 1 && !six)
		memcpy(p, four, sizeof(four));
	else if (type == 28 && six)
		memcpy(p, long_, sizeof(long_));
	else
		return 0;
	return six ? sizeof(long_) : sizeof(four);
}

/* Never answers names that begin with "slow". */
static size_t answer(uint8_t *m, size_t n)
{
	size_t name = n > 12 ? name_size(m + 12, n - 12) : 0, len = 12 + name + 4, more;

	if (!name)
		return 0;
	if (memcmp(m + 13, "slow", 4) == 0) {
		__atomic_add_fetch(&n_unanswered, 1, __ATOMIC_RELAXED);
		return 0;
	}
	more = put_address(m + len, m[12 + name + 1], m[13] == '6');
	m[2] = 0x81;
	m[3] = 0x80;
	memset(m + 6, 0, 6);
	m[7] = more != 0;
	return len + more;
}

static void *name_server(void *arg)
{
	int fd = *(int *)arg;

	for (;;) {
		struct sockaddr_storage from;
		socklen_t len = sizeof(from);
		uint8_t m[1024];
		ssize_t n = recvfrom(fd, m, 512, 0, (struct sockaddr *)&from, &len);
		size_t size = n > 0 ? answer(m, (size_t)n) : 0;

		if (n < 0)
			return NULL;
		if (size)
			(void)sendto(fd, m, size, 0, (struct sockaddr *)&from, len);
	}
}

/* ---- the server of keys ---------------------------------------------------------------------- */

static uint32_t n_requests;

static const char *body_of(const char *request)
{
	static char *keys;

	if (!keys)
		keys = issuer_jwks(issuer_of("ES256"));
	return strstr(request, "openid-configuration")
		       ? "{\"jwks_uri\":\"http://keys.example:8080/keys\"}"
		       : keys;
}

static void *web_server(void *arg)
{
	int listener = *(int *)arg, fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		char request[4096] = "", *reply;
		size_t n = 0;
		ssize_t got;

		while (!strstr(request, "\r\n\r\n") &&
			(got = read(fd, request + n, sizeof(request) - 1 - n)) > 0)
			n += (size_t)got;
		__atomic_add_fetch(&n_requests, 1, __ATOMIC_RELAXED);
		if (asprintf(&reply, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n%s",
			    body_of(request)) > 0) {
			(void)!write(fd, reply, strlen(reply));
			free(reply);
		}
		close(fd);
	}
	return NULL;
}

/* Begins both servers, which end with the process. */
static bool serve(void)
{
	static const struct sockaddr_in names = {
		.sin_family = AF_INET, .sin_port = 0x3500, .sin_addr = {0x0100007f}};
	struct sockaddr_in6 web = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	static int udp, tcp;
	pthread_t id;

	udp = socket(AF_INET, SOCK_DGRAM, 0);
	tcp = socket(AF_INET6, SOCK_STREAM, 0);
	return bind(udp, (const struct sockaddr *)&names, sizeof(names)) == 0 &&
	       bind(tcp, (struct sockaddr *)&web, sizeof(web)) == 0 && listen(tcp, 64) == 0 &&
	       pthread_create(&id, NULL, name_server, &udp) == 0 &&
	       pthread_create(&id, NULL, web_server, &tcp) == 0;
}

/* ---- sources --------------------------------------------------------------------------------- */

static struct mt_jwks_store *store;

static struct mt_jwks_source *get(
	const char *ns, const char *uri, const char *issuer, uint32_t timeout_ms)
{
	const struct mt_jwks_said said = {
		.ns = ns, .uri = uri, .issuer = issuer, .timeout_ms = timeout_ms};
	struct mt_err e;

	return mt_jwks_store_get(store, &said, &e);
}

/* Waits until the i-th source has been fetched, or not. */
static struct mt_jwks_status outcome(uint32_t i)
{
	struct mt_jwks_status st = {0};
	char name[128];

	for (int k = 0; k < LONG_MS && !st.fetches; k++) {
		poll(NULL, 0, 1);
		(void)mt_jwks_store_status(store, i, &st, name, sizeof(name));
	}
	return st;
}

static bool open_store(bool local)
{
	struct mt_err e;

	store = mt_jwks_store_new();
	return serve() && store && mt_jwks_store_start(store, NULL, local, &e) == 0;
}

/* Runs in a world of its own. Returns the exit status. */
static int elsewhere(int (*run)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(enter() ? run() : NOT_HERE);
	CU_ASSERT_EQUAL_FATAL(waitpid(pid, &status, 0), pid);
	CU_ASSERT_FATAL(WIFEXITED(status));
	status = WEXITSTATUS(status);
	if (status == NOT_HERE)
		printf("(not tested: this needs root or namespaces of users) ");
	return status == NOT_HERE ? 0 : status;
}

/* ---- tests ----------------------------------------------------------------------------------- */

#define SLOW 12

/* The keys of other issuers are fetched while names do not answer, and after they were given up. */
static int others_while_slow(void)
{
	struct mt_jwks_status st;
	int wrong = 0;
	char uri[64];

	if (!open_store(true))
		return 1;
	for (int i = 0; i < SLOW; i++) {
		snprintf(uri, sizeof(uri), "http://slow%d.example:8080/keys", i);
		(void)get("slow", uri, NULL, i ? 60000 : 300);
	}
	st = outcome(0);
	wrong |= (st.failures != 1 || !strstr(st.why, "not looked up within 300 ms")) << 1;
	(void)get("good", "http://good.example:8080/keys", NULL, 0);
	st = outcome(SLOW);
	wrong |= (st.keys != 1) << 2;
	return wrong;
}

static void test_others_while_slow(void)
{
	CU_ASSERT_EQUAL(elsewhere(others_while_slow), 0);
}

/* A lookup that is given up is over: its name is not queried again until the next fetch. */
static int given_up(void)
{
	struct mt_jwks_status st;
	char name[64];

	if (!open_store(true))
		return 1;
	(void)get("slow", "http://slow.example:8080/keys", NULL, 300);
	(void)outcome(0);
	poll(NULL, 0, 4000);
	(void)mt_jwks_store_status(store, 0, &st, name, sizeof(name));
	mt_jwks_store_stop(store);
	/* By IPv4 and IPv6 each. */
	return (st.failures < 2) << 1 |
	       (__atomic_load_n(&n_unanswered, __ATOMIC_RELAXED) > 2 * (st.fetches + 1)) << 2;
}

static void test_given_up(void)
{
	CU_ASSERT_EQUAL(elsewhere(given_up), 0);
}

/* By IPv4 and by IPv6; also the second host, which a document names. */
static int by_name(void)
{
	int wrong = 0;

	if (!open_store(true))
		return 1;
	(void)get("a", "http://Good.example:8080/keys", NULL, 0);
	(void)get("a", "http://6.example:8080/keys", NULL, 0);
	(void)get("a", NULL, "http://issuer.example:8080", 0);
	for (uint32_t i = 0; i < 3; i++)
		wrong |= (outcome(i).keys != 1) << (i + 1);
	wrong |= (__atomic_load_n(&n_requests, __ATOMIC_RELAXED) != 4) << 4;
	return wrong;
}

static void test_by_name(void)
{
	CU_ASSERT_EQUAL(elsewhere(by_name), 0);
}

/* A name does not lead to what only the host may reach. */
static int protected_by_name(void)
{
	static const char *const uris[] = {
		"http://good.example:8080/keys", "http://6.example:8080/keys"};
	int wrong = 0;

	if (!open_store(false))
		return 1;
	for (uint32_t i = 0; i < MT_ARRAY_LEN(uris); i++) {
		struct mt_jwks_status st;

		(void)get("a", uris[i], NULL, 0);
		st = outcome(i);
		wrong |= (st.failures != 1 || !strstr(st.why, "spec.jwks.localAddresses"))
			 << (i + 1);
	}
	return wrong | (__atomic_load_n(&n_requests, __ATOMIC_RELAXED) != 0) << 4;
}

static void test_protected_by_name(void)
{
	CU_ASSERT_EQUAL(elsewhere(protected_by_name), 0);
}

const struct mt_test names_tests[] = {{"others while names are slow", test_others_while_slow},
	{"a name that is given up", test_given_up}, {"by name", test_by_name},
	{"protected addresses by name", test_protected_by_name}, {0}};
