/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One end of TLS connections over kernel sockets, by lib/tls alone: a handshake, then records. A server sends back what it is sent,
 * a client sends lines and wants the same back, or each reversed (as `openssl s_server -rev` does). A JSON object a line tells
 * what came of each connection.
 *
 *	tls_peer server PORT DIR [OPTION=VALUE...]
 *	tls_peer client PORT DIR [OPTION=VALUE...]
 *
 * DIR: cert-chain.pem, key.pem, root-cert.pem. Options: min, max (0303, 0304), ciphers, suites, trust (verified, if-shown, anybody),
 * tickets (1), san, sni, lines, length (of a line), reversed (1).
 */
#include "mt_file.h"

#include "../../eal_unpinned.h"
#include "mt_tls_record.h"
#include "mt_tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PATIENCE 20000 /* ms without a byte */
#define ROOM	 65536

static struct mt_pools pools;
static struct mt_tls_records records;

static struct {
	const char *min, *max, *ciphers, *suites, *trust, *tickets, *san, *sni, *lines, *length,
		*reversed;
} options = {.lines = "1", .length = "100"};

struct connection {
	int fd;
	struct mt_tls_handshake *handshake;
	struct mt_tls_record r;
	struct mt_chain rx, text, tx;
	uint64_t echoed;
	char end[64];
};

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * MT_SEC + (uint64_t)ts.tv_nsec;
}

static void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- sockets ---------------------------------------------------------------------------------------- */

/* 0: the end. */
static uint32_t hear(struct connection *c, uint8_t *buf)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	ssize_t n = poll(&p, 1, PATIENCE) == 1 ? recv(c->fd, buf, ROOM, 0) : 0;

	return n > 0 ? (uint32_t)n : 0;
}

static bool say(struct connection *c, const uint8_t *p, uint32_t n)
{
	while (n) {
		ssize_t part = send(c->fd, p, n, MSG_NOSIGNAL);

		/* The other end does not listen any more; why can still be read. */
		if (part < 0 && (errno == EPIPE || errno == ECONNRESET))
			return true;
		if (part <= 0)
			return false;
		p += part;
		n -= (uint32_t)part;
	}
	return true;
}

static bool say_chain(struct connection *c, struct mt_chain *from)
{
	static uint8_t buf[ROOM];

	while (from->len) {
		uint32_t n = MT_MIN(from->len, ROOM);

		mt_chain_read(from, 0, buf, n);
		if (!say(c, buf, n))
			return false;
		mt_chain_drop(from, n);
	}
	return true;
}

/* ---- a handshake -------------------------------------------------------------------------------------- */

static bool say_output(struct connection *c)
{
	const uint8_t *p;
	uint32_t n = mt_tls_handshake_output(c->handshake, &p);
	bool ok = say(c, p, n);

	mt_tls_handshake_sent(c->handshake, n);
	return ok;
}

/* Its end in c->end, unless it is good; what is behind it is in rx. */
static bool shake_hands(struct connection *c, bool client)
{
	static uint8_t buf[ROOM];
	enum mt_tls_step step = client ? mt_tls_handshake_step(c->handshake, NULL, 0) : MT_TLS_MORE;
	const struct mt_tls_result *r = mt_tls_handshake_result(c->handshake);
	uint32_t n = 0, all = 0;

	while (step == MT_TLS_MORE && say_output(c) && (n = hear(c, buf)) > 0) {
		all += n;
		step = mt_tls_handshake_step(c->handshake, buf, n);
	}
	(void)say_output(c);
	if (step == MT_TLS_DONE) {
		uint32_t rest = all - mt_tls_handshake_used(c->handshake);

		MT_ASSERT(mt_chain_write(&c->rx, &pools, buf + n - rest, rest) == 0);
		mt_tls_record_init(&c->r, &r->keys, !client);
		return true;
	}
	snprintf(c->end, sizeof(c->end), "%s %u",
		step == MT_TLS_MORE ? "left" : mt_tls_reason_name(r->reason), r->alert);
	return false;
}

/* ---- records -------------------------------------------------------------------------------------------- */

/* Reads until there is text; false: there is no more, and why is in c->end. */
static bool read_text(struct connection *c)
{
	static uint8_t buf[ROOM];

	for (uint32_t n;;) {
		switch (mt_tls_record_read(&records, &c->r, &c->rx, &c->text, now())) {
		case MT_TLS_RECORD_DATA:
			return true;
		case MT_TLS_RECORD_OWN:
			MT_ASSERT(mt_tls_record_own(&records, &c->r, &c->tx) == 0);
			break;
		case MT_TLS_RECORD_MORE:
			n = hear(c, buf);
			if (n && mt_chain_write(&c->rx, &pools, buf, n) == 0)
				break;
			snprintf(c->end, sizeof(c->end), "left");
			return false;
		case MT_TLS_RECORD_CLOSED:
			snprintf(c->end, sizeof(c->end), "closed");
			return false;
		case MT_TLS_RECORD_ALERT:
			snprintf(c->end, sizeof(c->end), "alert %u", c->r.alert);
			return false;
		default:
			snprintf(c->end, sizeof(c->end), "bad %u", c->r.alert);
			return false;
		}
		if (!say_chain(c, &c->tx))
			return false;
	}
}

static bool write_text(struct connection *c, struct mt_chain *plain)
{
	return mt_tls_record_write(&records, &c->r, plain, &c->tx, 1448, now()) == 0 &&
	       say_chain(c, &c->tx);
}

/* close_notify, or what the other end may not do. */
static void say_goodbye(struct connection *c)
{
	bool bad = c->r.rx_over == MT_TLS_RECORD_BAD;

	if (mt_tls_record_end(&records, &c->r, bad ? c->r.alert : MT_TLS_CLOSE_NOTIFY, &c->tx) == 0)
		(void)say_chain(c, &c->tx);
}

static void echo(struct connection *c)
{
	while (read_text(c)) {
		c->echoed += c->text.len;
		if (!write_text(c, &c->text))
			return;
	}
	say_goodbye(c);
}

/* A line, and what is wanted back for it. */
static uint32_t make_line(uint32_t number, uint8_t *line, uint8_t *wanted)
{
	uint32_t n = (uint32_t)atoi(options.length);

	for (uint32_t i = 0; i < n; i++)
		line[i] = (uint8_t)('a' + (i * 7 + number) % 26);
	line[n] = '\n';
	for (uint32_t i = 0; i < n; i++)
		wanted[i] = options.reversed ? line[n - 1 - i] : line[i];
	wanted[n] = '\n';
	return n + 1;
}

static void ask(struct connection *c)
{
	static uint8_t line[ROOM], wanted[ROOM], is[ROOM];

	for (int i = 0; i < atoi(options.lines); i++) {
		uint32_t n = make_line((uint32_t)i, line, wanted);
		struct mt_chain plain = {0};

		MT_ASSERT(mt_chain_write(&plain, &pools, line, n) == 0);
		if (!write_text(c, &plain))
			return;
		while (c->text.len < n)
			if (!read_text(c))
				return;
		mt_chain_read(&c->text, 0, is, n);
		mt_chain_drop(&c->text, n);
		if (memcmp(is, wanted, n) != 0) {
			snprintf(c->end, sizeof(c->end), "another line %d", i);
			return;
		}
		c->echoed += n;
	}
	say_goodbye(c);
	shutdown(c->fd, SHUT_WR);
	(void)read_text(c);
}

/* ---- connections ------------------------------------------------------------------------------------------ */

static void tell(const struct connection *c)
{
	const struct mt_tls_result *r = mt_tls_handshake_result(c->handshake);

	printf("{\"version\": \"%04x\", \"cipher\": %u, \"principal\": \"%s\", \"sni\": \"%s\", "
	       "\"alpn\": \"%s\", "
	       "\"resumed\": %s, \"echoed\": %llu, \"end\": \"%s\"}\n",
		r->keys.version, r->keys.cipher, r->peer.principal, r->peer.sni, r->peer.alpn,
		r->peer.resumed ? "true" : "false", (unsigned long long)c->echoed, c->end);
	fflush(stdout);
}

static void serve(int fd, struct mt_tls_context *context, bool client)
{
	struct connection c = {
		.fd = fd, .handshake = mt_tls_handshake_new(context, client ? options.sni : NULL)};

	MT_ASSERT(c.handshake);
	if (shake_hands(&c, client)) {
		if (client)
			ask(&c);
		else
			echo(&c);
		mt_tls_record_fini(&records, &c.r);
	}
	tell(&c);
	mt_tls_handshake_free(c.handshake);
	mt_chain_free(&c.rx);
	mt_chain_free(&c.text);
	mt_chain_free(&c.tx);
	close(fd);
}

static void run_server(uint16_t port, struct mt_tls_context *context)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof(a);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 8) ||
		getsockname(fd, (struct sockaddr *)&a, &len))
		fail("listen");
	printf("ready %u\n", ntohs(a.sin_port));
	fflush(stdout);
	for (int conn; (conn = accept(fd, NULL, NULL)) >= 0;)
		serve(conn, context, false);
}

static void run_client(uint16_t port, struct mt_tls_context *context)
{
	struct sockaddr_in a = {.sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr = {htonl(INADDR_LOOPBACK)}};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (connect(fd, (struct sockaddr *)&a, sizeof(a)))
		fail("connect");
	serve(fd, context, true);
}

/* ---- options ------------------------------------------------------------------------------------------------ */

static char *text_of(const char *dir, const char *name)
{
	char path[4096], *text;
	struct mt_err e;
	size_t len;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (mt_file_read(path, MT_FILE_SMALL, 0, &text, &len, &e)) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	return text;
}

static struct mt_tls_context *context_of(enum mt_tls_role role, const char *dir)
{
	static const char *const istio[] = {"istio"};
	struct mt_tls_san san = {options.san, false};
	struct mt_tls_rules r = {.role = role,
		.alpn = istio,
		.n_alpn = 1,
		.ciphers = options.ciphers,
		.suites = options.suites};
	struct mt_tls_context *c = NULL;
	struct mt_err e = {""};

	r.credential = mt_credential_new(
		&(struct mt_credential_texts){.chain = text_of(dir, "cert-chain.pem"),
			.key = text_of(dir, "key.pem"),
			.roots = text_of(dir, "root-cert.pem")},
		&e);
	r.min_version = (uint16_t)strtoul(options.min ?: "0", NULL, 16);
	r.max_version = (uint16_t)strtoul(options.max ?: "0", NULL, 16);
	r.tickets = options.tickets;
	r.sans = &san;
	r.n_sans = options.san ? 1 : 0;
	if (options.trust)
		r.trust = strcmp(options.trust, "anybody") == 0 ? MT_TLS_ANYBODY : MT_TLS_IF_SHOWN;
	if (r.credential)
		c = mt_tls_context_new(&r, &e);
	if (!c) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	return c;
}

static bool take_option(const char *arg)
{
	static const struct {
		const char *name, **value;
	} known[] = {{"min=", &options.min}, {"max=", &options.max}, {"ciphers=", &options.ciphers},
		{"suites=", &options.suites}, {"trust=", &options.trust},
		{"tickets=", &options.tickets}, {"san=", &options.san}, {"sni=", &options.sni},
		{"lines=", &options.lines}, {"length=", &options.length},
		{"reversed=", &options.reversed}};

	for (size_t i = 0; i < MT_ARRAY_LEN(known); i++)
		if (strncmp(arg, known[i].name, strlen(known[i].name)) == 0) {
			*known[i].value = arg + strlen(known[i].name);
			return true;
		}
	return false;
}

int main(int argc, char **argv)
{
	char *eal[] = {"peer", "--no-huge", "-m", "64", "--no-pci", "--no-telemetry", "--no-shconf",
		"--log-level=error", "-l", "0"};
	bool good = argc >= 4 && (strcmp(argv[1], "server") == 0 || strcmp(argv[1], "client") == 0);
	struct mt_tls_context *c;

	for (int i = 4; good && i < argc; i++)
		good = take_option(argv[i]);
	if (!good || (uint32_t)atoi(options.length) >= ROOM) {
		fprintf(stderr, "tls_peer server|client PORT DIR [OPTION=VALUE...]\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	if (eal_init_unpinned((int)MT_ARRAY_LEN(eal), eal) < 0 || mt_buf_init() ||
		mt_pools_init(&pools, "p", 4095, 255, MT_BUF_DATA_ROOM, SOCKET_ID_ANY))
		fail("EAL");
	records = (struct mt_tls_records){
		.pools = &pools, .aead = mt_aead_new(MT_AEAD_OPENSSL, 16, SOCKET_ID_ANY)};
	c = context_of(strcmp(argv[1], "server") == 0 ? MT_TLS_SERVER : MT_TLS_CLIENT, argv[3]);
	if (mt_tls_context_role(c) == MT_TLS_SERVER)
		run_server((uint16_t)atoi(argv[2]), c);
	else
		run_client((uint16_t)atoi(argv[2]), c);
	mt_tls_context_drop(c);
	return 0;
}
