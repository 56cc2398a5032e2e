/* SPDX-License-Identifier: Apache-2.0 */
/* The resolver with a real DNS server on loopback, which answers each family as in zone[]. */
#include "suites.h"

#include <ares.h>

static char server_text[32]; /* ADDRESS:PORT; "": that of resolv.conf */

static int init_with_server(ares_channel *out, struct ares_options *o, int mask)
{
	static char lookups[] = "b"; /* DNS only */
	int rc;

	if (*server_text) {
		o->lookups = lookups;
		mask |= ARES_OPT_LOOKUPS;
	}
	rc = ares_init_options(out, o, mask);
	if (rc == ARES_SUCCESS && *server_text)
		rc = ares_set_servers_ports_csv(*out, server_text);
	return rc;
}

/* The library's source, compiled again to query this server. */
#define ares_init_options init_with_server
#include "resolve.c"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>

#define TYPE_A	  1
#define TYPE_AAAA 28
#define NXDOMAIN  3
#define SERVFAIL  2
#define REPLY_MAX 65000

/* What the server answers for a name. */
struct zone_row {
	const char *name;
	struct zone_answer {
		uint8_t rcode;
		uint32_t n; /* addresses, ending in 1 to n */
	} four, six;
};

static const struct zone_row zone[] = {
	{"both.test", {0, 2}, {0, 1}},
	{"four.test", {0, 1}, {0, 0}},
	{"half.test", {SERVFAIL, 0}, {0, 2}},
	{"other-half.test", {0, 2}, {SERVFAIL, 0}},
	{"only-four.test", {0, 2}, {NXDOMAIN, 0}},
	{"only-six.test", {NXDOMAIN, 0}, {0, 1}},
	{"doubtful.test", {NXDOMAIN, 0}, {SERVFAIL, 0}},
	{"nothing.test", {NXDOMAIN, 0}, {0, 0}},
	{"many.test", {0, 40}, {0, 30}},
	{"too-many.test", {0, 1100}, {0, 3}},
	{"empty.test", {0, 0}, {0, 0}},
	{"broken.test", {SERVFAIL, 0}, {SERVFAIL, 0}},
};

struct scene {
	struct mt_fds fds;
	struct mt_resolver *r;
	int udp, tcp, connection;
	uint32_t turned; /* by how many addresses answers are rotated */
	bool done;
	struct mt_addr addrs[MT_LOOKUP_ADDRS];
	struct mt_lookup_result result;
};

/* ---- the server ------------------------------------------------------------------------------ */

static void put16(uint8_t **p, uint32_t v)
{
	*(*p)++ = (uint8_t)(v >> 8);
	*(*p)++ = (uint8_t)v;
}

static void put_address(uint8_t **p, bool four, uint32_t i)
{
	static const uint8_t net[16] = {0x20, 1, 0xd, 0xb8};

	put16(p, 0xc00c);
	put16(p, four ? TYPE_A : TYPE_AAAA);
	put16(p, 1);
	put16(p, 0);
	put16(p, four ? 300 : 60);
	put16(p, four ? 4 : 16);
	if (four) {
		put16(p, 0x0a00);
	} else {
		memcpy(*p, net, 14);
		*p += 14;
	}
	put16(p, i + 1);
}

/* Reads the question's name; returns the question's length. */
static uint32_t read_question(const uint8_t *q, char *name)
{
	uint32_t len = 0;

	for (; q[len]; len += q[len] + 1u) {
		memcpy(name, q + len + 1, q[len]);
		name += q[len];
		*name++ = '.';
	}
	name[-1] = '\0';
	return len + 5;
}

static uint32_t reply_to(const struct scene *sc, const uint8_t *query, uint8_t *out, bool tcp)
{
	struct zone_answer a = {.rcode = NXDOMAIN};
	uint32_t len;
	char name[256];
	uint8_t *p = out;
	bool four;

	len = read_question(query + 12, name);
	four = query[12 + len - 3] == TYPE_A;
	for (size_t i = 0; i < MT_ARRAY_LEN(zone); i++)
		if (strcmp(zone[i].name, name) == 0)
			a = four ? zone[i].four : zone[i].six;
	memcpy(out, query, 12 + len);
	p += 2;
	put16(&p, 0x8180u | a.rcode | (tcp || a.n < 16 ? 0 : 0x0200));
	a.n = tcp || a.n < 16 ? a.n : 0;
	put16(&p, 1);
	put16(&p, a.n);
	put16(&p, 0);
	put16(&p, 0);
	p += len;
	for (uint32_t i = 0; i < a.n; i++)
		put_address(&p, four, (i + sc->turned) % a.n);
	return (uint32_t)(p - out);
}

static void serve_datagram(struct scene *sc)
{
	uint8_t query[512], out[REPLY_MAX];
	struct sockaddr_in from;
	socklen_t size = sizeof(from);

	while (recvfrom(sc->udp, query, sizeof(query), MSG_DONTWAIT, (struct sockaddr *)&from,
		       &size) > 12)
		sendto(sc->udp, out, reply_to(sc, query, out, false), 0, (struct sockaddr *)&from,
			size);
}

/* Queries are short, so each comes in one piece, perhaps with others after it. */
static void serve_stream(struct scene *sc)
{
	uint8_t in[4096], out[REPLY_MAX + 2], *p;
	ssize_t n;

	if (sc->connection < 0)
		sc->connection = accept4(sc->tcp, NULL, NULL, SOCK_NONBLOCK);
	n = sc->connection < 0 ? -1 : recv(sc->connection, in, sizeof(in), 0);
	if (n == 0) {
		close(sc->connection);
		sc->connection = -1;
	}
	for (ssize_t at = 0; at + 2 < n; at += 2 + (in[at] << 8 | in[at + 1])) {
		uint32_t len = reply_to(sc, in + at + 2, out + 2, true);

		p = out;
		put16(&p, len);
		CU_ASSERT_EQUAL(send(sc->connection, out, len + 2, MSG_NOSIGNAL), (ssize_t)len + 2);
	}
}

/* ---- lookups --------------------------------------------------------------------------------- */

/* Binds both sockets to one port; false: another program has the port of one of them. */
static bool bind_both(struct scene *sc, struct sockaddr_in *at)
{
	socklen_t size = sizeof(*at);

	*at = (struct sockaddr_in){
		.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	sc->udp = socket(AF_INET, SOCK_DGRAM, 0);
	sc->tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (bind(sc->udp, (struct sockaddr *)at, size) == 0 &&
		getsockname(sc->udp, (struct sockaddr *)at, &size) == 0 &&
		bind(sc->tcp, (struct sockaddr *)at, size) == 0)
		return true;
	close(sc->udp);
	close(sc->tcp);
	return false;
}

static void scene_begin(struct scene *sc)
{
	struct sockaddr_in at;
	struct mt_err e;
	int tries = 0;

	memset(sc, 0, sizeof(*sc));
	sc->connection = -1;
	while (!bind_both(sc, &at))
		CU_ASSERT_TRUE_FATAL(++tries < 100);
	CU_ASSERT_EQUAL_FATAL(listen(sc->tcp, 4), 0);
	snprintf(server_text, sizeof(server_text), "127.0.0.1:%u", ntohs(at.sin_port));
	CU_ASSERT_EQUAL_FATAL(mt_fds_init(&sc->fds), 0);
	sc->r = mt_resolver_new(&sc->fds, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->r);
}

static void scene_end(struct scene *sc)
{
	mt_resolver_free(sc->r);
	mt_fds_fini(&sc->fds);
	close(sc->udp);
	close(sc->tcp);
	if (sc->connection >= 0)
		close(sc->connection);
	*server_text = '\0';
}

static void on_result(void *arg, const struct mt_lookup_result *result)
{
	struct scene *sc = arg;

	CU_ASSERT_FALSE(sc->done);
	sc->done = true;
	sc->result = *result;
	memcpy(sc->addrs, result->addrs, sizeof(*sc->addrs) * result->n);
}

static void turn(struct scene *sc)
{
	struct pollfd none = {.fd = -1};

	serve_datagram(sc);
	serve_stream(sc);
	mt_fds_dispatch(&sc->fds, 16, 0);
	mt_resolver_turn(sc->r);
	poll(&none, 1, 1);
}

static void look_up(struct scene *sc, const char *name)
{
	sc->done = false;
	(void)mt_lookup(sc->r, name, on_result, sc);
	for (int i = 0; i < 9000 && !sc->done; i++)
		turn(sc);
	CU_ASSERT_TRUE_FATAL(sc->done);
}

static uint32_t count(const struct scene *sc, bool four)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < sc->result.n; i++)
		n += mt_addr_is4(&sc->addrs[i]) == four;
	return n;
}

/* Each family has its own outcome: an answer with or without addresses, or a failure. */
static void families(void)
{
	static const struct {
		const char *name;
		uint32_t four, six;
		bool fails4, fails6;
	} rows[] = {
		{"both.test", 2, 1, false, false},
		{"four.test", 1, 0, false, false},
		{"half.test", 0, 2, true, false},
		{"other-half.test", 2, 0, false, true},
		{"only-four.test", 2, 0, false, false},
		{"only-six.test", 0, 1, false, false},
		{"doubtful.test", 0, 0, true, true},
		{"nothing.test", 0, 0, false, false},
		{"empty.test", 0, 0, false, false},
		{"broken.test", 0, 0, true, true},
		{"absent.test", 0, 0, true, true},
		{"192.0.2.7", 1, 0, false, false},
		{"2001:db8::7", 0, 1, false, false},
	};
	struct scene sc;

	scene_begin(&sc);
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		look_up(&sc, rows[i].name);
		CU_ASSERT_EQUAL(count(&sc, true), rows[i].four);
		CU_ASSERT_EQUAL(count(&sc, false), rows[i].six);
		/* A literal address of one family is no name of the other. */
		if (!strchr(rows[i].name, '7')) {
			CU_ASSERT_EQUAL(sc.result.failed[1] != NULL, rows[i].fails4);
			CU_ASSERT_EQUAL(sc.result.failed[0] != NULL, rows[i].fails6);
		}
		CU_ASSERT(sc.result.n || *sc.result.why);
		CU_ASSERT_EQUAL(sc.result.more, 0);
	}
	look_up(&sc, "both.test");
	CU_ASSERT_EQUAL(sc.result.ttl_s, 60);
	scene_end(&sc);
}

/* More than fits into a datagram; more than are used: the same ones, however they are rotated. */
static void many(void)
{
	struct scene sc;

	scene_begin(&sc);
	look_up(&sc, "many.test");
	CU_ASSERT_EQUAL(count(&sc, true), 40);
	CU_ASSERT_EQUAL(count(&sc, false), 30);
	CU_ASSERT_EQUAL(sc.result.more, 0);
	for (sc.turned = 0; sc.turned < 1100; sc.turned += 500) {
		look_up(&sc, "too-many.test");
		CU_ASSERT_EQUAL(count(&sc, true), MT_NAME_FAMILY);
		CU_ASSERT_EQUAL(count(&sc, false), 3);
		CU_ASSERT_EQUAL(sc.result.more, 1100 - MT_NAME_FAMILY);
		for (uint32_t i = 0; i < sc.result.n; i++)
			if (mt_addr_is4(&sc.addrs[i]))
				CU_ASSERT((ntohl(mt_addr_v4(&sc.addrs[i])) & 0xffff) <=
					  MT_NAME_FAMILY);
	}
	scene_end(&sc);
}

/* A cancelled lookup ends in silence, also when the resolver ends before its answers come. */
static void cancelled(void)
{
	struct mt_lookup *l;
	struct scene sc;

	scene_begin(&sc);
	l = mt_lookup(sc.r, "both.test", on_result, &sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	mt_lookup_cancel(l);
	for (int i = 0; i < 50; i++)
		turn(&sc);
	CU_ASSERT_FALSE(sc.done);
	(void)mt_lookup(sc.r, "four.test", on_result, &sc);
	scene_end(&sc);
	CU_ASSERT_FALSE(sc.done);
}

const struct mt_test resolve_tests[] = {
	{"families", families},
	{"many", many},
	{"cancelled", cancelled},
	{0},
};
