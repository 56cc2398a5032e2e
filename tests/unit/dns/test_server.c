/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of the host: datagrams, streams, and what is passed on for them. */
#include "lab.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <unistd.h>

#define ORDERS "NOERROR aa ra orders | orders A 30 240.240.0.10"

static const struct wire_query orders = {.name = "orders", .type = A, .id = 77};
static const struct wire_query www = {.name = "Www.Example.org", .type = A, .id = 4711};

static void test_own_names(void)
{
	struct lab l;
	char text[4096];

	lab_open(&l, 1, 0);
	lab_ask(&l, l.client, &orders);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), ORDERS);
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_forwarded), 0);
	mt_dns_table_put(l.t);
	l.t = NULL;
	lab_ask(&l, l.client, &orders);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "SERVFAIL ra orders");
	lab_close(&l);
}

/* Id and letters of the question are the client's again; the other server saw ids and ports of ours. */
static void test_passed_on(void)
{
	struct asked a[20];
	uint32_t same_id = 0, same_port = 0;
	struct lab l;
	char text[4096];

	lab_open(&l, 1, 0);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(a); i++) {
		lab_ask(&l, l.client, &www);
		CU_ASSERT_FATAL(lab_asked(&l, 0, &a[i]));
		CU_ASSERT_EQUAL(mt_dns_server_waiting(l.s), 1);
		lab_reply(&l, 0, &a[i], 0x8180, 2, true);
		CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text),
			"NOERROR ra Www.Example.org | Www.Example.org A 60 192.0.2.1 | "
			"Www.Example.org A 60 192.0.2.1");
		CU_ASSERT_EQUAL(mt_dns_server_waiting(l.s), 0);
		same_id += i && mt_dns_id(a[i].b) == mt_dns_id(a[0].b);
		same_port += i && memcmp(&a[i].from, &a[0].from, sizeof(struct sockaddr_in)) == 0;
	}
	CU_ASSERT(same_id < 3 && same_port < 3);
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_forwarded_answers), MT_ARRAY_LEN(a));
	lab_close(&l);
}

static void test_silent_servers(void)
{
	struct mt_dns_upstream_info info;
	struct asked a;
	struct lab l;
	char text[4096];

	lab_open(&l, 2, 0);
	lab_ask(&l, l.client, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	CU_ASSERT_FALSE(lab_asked(&l, 1, &a));
	lab_wait(&l, 1600 * MT_MSEC);
	CU_ASSERT_TRUE(lab_asked(&l, 1, &a));
	lab_wait(&l, 1600 * MT_MSEC);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "");
	lab_wait(&l, 1600 * MT_MSEC);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "SERVFAIL ra Www.Example.org");
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_no_server_answered), 1);
	/* The first was silent for the third time now: it is not asked again for a while. */
	lab_ask(&l, l.client, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	lab_wait(&l, 1600 * MT_MSEC);
	CU_ASSERT_TRUE(lab_asked(&l, 1, &a));
	lab_reply(&l, 1, &a, 0x8183, 0, false);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "NXDOMAIN ra Www.Example.org");
	CU_ASSERT_TRUE(mt_dns_server_upstream(l.s, 0, &info) && info.aside && info.silent == 3);
	lab_ask(&l, l.client, &www);
	CU_ASSERT_FALSE(lab_asked(&l, 0, &a));
	CU_ASSERT_TRUE(lab_asked(&l, 1, &a));
	lab_reply(&l, 1, &a, 0x8180, 0, false);
	lab_wait(&l, 31 * MT_SEC);
	lab_ask(&l, l.client, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	lab_close(&l);
}

static void test_failing_servers(void)
{
	struct asked a;
	struct lab l;
	char text[4096];

	lab_open(&l, 2, 0);
	lab_ask(&l, l.client, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	lab_reply(&l, 0, &a, 0x8182, 0, false);
	CU_ASSERT_TRUE(lab_asked(&l, 1, &a));
	lab_reply(&l, 1, &a, 0x8180, 1, false);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text),
		"NOERROR ra Www.Example.org | Www.Example.org A 60 192.0.2.1");
	/* All of them fail: what the last one says is said. */
	lab_ask(&l, l.client, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	lab_reply(&l, 0, &a, 0x8182, 0, false);
	CU_ASSERT_TRUE(lab_asked(&l, 1, &a));
	lab_reply(&l, 1, &a, 0x8185, 0, false);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "REFUSED ra Www.Example.org");
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_server_failed), 3);
	lab_close(&l);
}

/*
 * Another server denies the name of a host of ours, or of a name above one, also by its short name
 * or the search list. NXDOMAIN would hold for the host's addresses, too. What the other server has
 * of a name is passed on.
 */
static void test_denied_names(void)
{
	static const struct {
		struct wire_query q;
		const char *want;
	} denied[] = {
		{{.name = "Db.example.com", .type = MX},
			"NOERROR aa ra Db.example.com | Db.example.com SOA 30 "
			"hostmaster.Db.example.com"},
		{{.name = "db.example.com", .type = TXT, .edns = 4096},
			"NOERROR aa ra db.example.com | db.example.com SOA 30 "
			"hostmaster.db.example.com | "
			"opt 1232 0"},
		{{.name = "orders", .type = SOA},
			"NOERROR aa ra orders | orders SOA 30 hostmaster.orders"},
		{{.name = "a.wild.example.com", .type = NS},
			"NOERROR aa ra a.wild.example.com | a.wild.example.com SOA 30 "
			"hostmaster.a.wild.example.com"},
		{{.name = "wild.example.com", .type = A},
			"NOERROR aa ra wild.example.com | wild.example.com SOA 30 "
			"hostmaster.wild.example.com"},
		{{.name = "example.com", .type = A},
			"NOERROR aa ra example.com | example.com SOA 30 hostmaster.example.com"},
		{{.name = "com", .type = NS}, "NOERROR aa ra com | com SOA 30 hostmaster.com"},
		{{.name = "cluster.local", .type = A},
			"NOERROR aa ra cluster.local | cluster.local SOA 30 "
			"hostmaster.cluster.local"},
		{{.name = "ratings.books", .type = MX},
			"NOERROR aa ra ratings.books | ratings.books SOA 30 "
			"hostmaster.ratings.books"},
		{{.name = "books.svc", .type = A},
			"NOERROR aa ra books.svc | books.svc SOA 30 hostmaster.books.svc"},
		{{.name = "books", .type = A},
			"NOERROR aa ra books | books SOA 30 hostmaster.books"},
		{{.name = "db.example.com.corp.example", .type = MX},
			"NOERROR aa ra db.example.com.corp.example | db.example.com.corp.example "
			"CNAME 30 "
			"db.example.com"},
		{{.name = "example.com.corp.example", .type = A},
			"NOERROR aa ra example.com.corp.example | example.com.corp.example SOA 30 "
			"hostmaster.example.com.corp.example"},
		{{.name = "x.db.example.com", .type = A}, "NXDOMAIN ra x.db.example.com"},
		{{.name = "example.org", .type = A}, "NXDOMAIN ra example.org"},
		{{.name = "corp.example", .type = MX}, "NXDOMAIN ra corp.example"},
	};
	char text[4096];
	struct asked a;
	struct lab l;
	int fd;

	lab_open(&l, 1, 0);
	fd = lab_connect(&l);
	for (size_t i = 0; i < MT_ARRAY_LEN(denied); i++) {
		lab_ask(&l, l.client, &denied[i].q);
		CU_ASSERT_FATAL(lab_asked(&l, 0, &a));
		lab_reply(&l, 0, &a, 0x8183, 0, false);
		CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), denied[i].want);
		lab_ask_stream(&l, fd, &denied[i].q);
		CU_ASSERT_FATAL(lab_asked(&l, 0, &a));
		lab_reply(&l, 0, &a, 0x8183, 0, false);
		CU_ASSERT_STRING_EQUAL(lab_answer_stream(&l, fd, text), denied[i].want);
	}
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_name_kept), 2 * (MT_ARRAY_LEN(denied) - 3));
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_forwarded_answers), 2 * 3);
	CU_ASSERT_EQUAL(mt_dns_server_waiting(l.s), 0);
	lab_ask(&l, l.client, &(struct wire_query){.name = "example.com", .type = A});
	CU_ASSERT_FATAL(lab_asked(&l, 0, &a));
	lab_reply(&l, 0, &a, 0x8180, 1, false);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text),
		"NOERROR ra example.com | example.com A 60 192.0.2.1");
	close(fd);
	lab_close(&l);
}

/* Nobody is there: ICMP says so at once, and nobody waits. */
static void test_no_server(void)
{
	struct lab l;
	char text[4096];

	lab_open(&l, 1, 0);
	close(l.upstream[0]);
	l.upstream[0] = 0;
	lab_ask(&l, l.client, &www);
	for (int i = 0; i < 3; i++)
		lab_turn(&l);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "SERVFAIL ra Www.Example.org");
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_server_timeout), 3);
	lab_close(&l);
}

/* A host's resolver moves while questions wait: they go to the new one, and none is lost when there is none. */
static void test_other_servers(void)
{
	struct mt_dns_upstream_info info;
	struct mt_dns_address both[2];
	struct asked a;
	struct lab l;
	char text[4096];

	lab_open(&l, 2, 0);
	for (uint32_t i = 0; i < 2; i++) {
		CU_ASSERT_TRUE(mt_dns_server_upstream(l.s, i, &info));
		both[i] = info.address;
	}
	CU_ASSERT_FALSE(mt_dns_server_ask(l.s, both, 2, l.now));
	/* The same two in another order are others. */
	CU_ASSERT_TRUE(mt_dns_server_ask(
		l.s, (const struct mt_dns_address[]){both[1], both[0]}, 2, l.now));
	CU_ASSERT_TRUE(mt_dns_server_ask(l.s, both, 2, l.now));
	lab_ask(&l, l.client, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	CU_ASSERT_TRUE(mt_dns_server_ask(l.s, both + 1, 1, l.now));
	CU_ASSERT_TRUE(lab_asked(&l, 1, &a));
	lab_reply(&l, 1, &a, 0x8180, 1, false);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text),
		"NOERROR ra Www.Example.org | Www.Example.org A 60 192.0.2.1");
	/* Its place is another one now, its numbers are not. */
	lab_ask(&l, l.client, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 1, &a));
	CU_ASSERT_TRUE(mt_dns_server_ask(l.s, both, 2, l.now));
	lab_reply(&l, 1, &a, 0x8180, 0, false);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "NOERROR ra Www.Example.org");
	CU_ASSERT_TRUE(mt_dns_server_upstream(l.s, 0, &info) && !info.answered);
	CU_ASSERT_TRUE(mt_dns_server_upstream(l.s, 1, &info) && info.answered == 2);
	lab_ask(&l, l.client, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	CU_ASSERT_TRUE(mt_dns_server_ask(l.s, NULL, 0, l.now));
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "SERVFAIL ra Www.Example.org");
	CU_ASSERT_EQUAL(mt_dns_server_waiting(l.s), 0);
	lab_ask(&l, l.client, &www);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "REFUSED Www.Example.org");
	lab_close(&l);
}

static void test_forged(void)
{
	struct asked a, b;
	struct lab l;
	char text[4096];

	lab_open(&l, 1, 0);
	lab_ask(&l, l.client, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	b = a;
	b.b[0] ^= 1;
	lab_reply(&l, 0, &b, 0x8180, 1, false);
	b = a;
	b.b[13] = 'x';
	lab_reply(&l, 0, &b, 0x8180, 1, false);
	lab_reply(&l, 0, &a, 0x0180, 1, false);
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_server_bad_reply), 3);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "");
	lab_reply(&l, 0, &a, 0x8180, 1, false);
	CU_ASSERT_NSTRING_EQUAL(lab_answer(&l, l.client, text), "NOERROR ra", 10);
	lab_close(&l);
}

/* A datagram's client is told to come again; a stream's gets what the server says over TCP. */
static void test_truncated(void)
{
	struct asked a;
	struct lab l;
	uint8_t b[65536];
	char text[4096];
	uint32_t n;
	int fd, up;

	lab_open(&l, 1, 0);
	lab_ask(&l, l.client, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	lab_reply(&l, 0, &a, 0x8380, 0, false);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "NOERROR tc ra Www.Example.org");
	/* A server that sends more than the client takes. */
	lab_ask(&l, l.client, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	lab_reply(&l, 0, &a, 0x8180, 31, false);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "NOERROR tc ra Www.Example.org");

	fd = lab_connect(&l);
	lab_ask_stream(&l, fd, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	lab_reply(&l, 0, &a, 0x8380, 0, false);
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_retried_over_tcp), 1);
	up = accept(l.stream[0], NULL, NULL);
	CU_ASSERT_FATAL(up >= 0);
	lab_turn(&l);
	CU_ASSERT_EQUAL(recv(up, b, 2, MSG_WAITALL), 2);
	a.len = (uint32_t)b[0] << 8 | b[1];
	CU_ASSERT_EQUAL(recv(up, a.b, a.len, MSG_WAITALL), a.len);
	n = lab_make_reply(&a, 0x8180, 60, true, b + 2);
	b[0] = (uint8_t)(n >> 8);
	b[1] = (uint8_t)n;
	/* In pieces. */
	CU_ASSERT_EQUAL(send(up, b, 1, 0), 1);
	lab_turn(&l);
	CU_ASSERT_EQUAL(send(up, b + 1, 100, 0), 100);
	lab_turn(&l);
	CU_ASSERT_EQUAL(send(up, b + 101, n + 2 - 101, 0), n + 2 - 101);
	lab_answer_stream(&l, fd, text);
	CU_ASSERT_NSTRING_EQUAL(text, "NOERROR ra Www.Example.org | Www", 30);
	close(up);
	close(fd);
	lab_close(&l);
}

/* The server says TC and then nothing over TCP: the next one, and SERVFAIL in the end. */
static void test_truncated_and_silent(void)
{
	struct asked a;
	struct lab l;
	char text[4096];
	int fd;

	lab_open(&l, 1, 0);
	fd = lab_connect(&l);
	lab_ask_stream(&l, fd, &www);
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
		lab_reply(&l, 0, &a, 0x8380, 0, false);
		lab_wait(&l, 3100 * MT_MSEC);
	}
	CU_ASSERT_STRING_EQUAL(lab_answer_stream(&l, fd, text), "SERVFAIL ra Www.Example.org");
	close(fd);
	lab_close(&l);
}

static void test_stream(void)
{
	struct lab l;
	struct wire w;
	char text[4096];
	uint8_t b[600];
	int fd;

	lab_open(&l, 0, 0);
	fd = lab_connect(&l);
	l.id = orders.id;
	/* Byte by byte. */
	wire_query(&w, &orders);
	b[0] = 0;
	b[1] = (uint8_t)w.len;
	memcpy(b + 2, w.b, w.len);
	for (uint32_t i = 0; i < w.len + 2; i++) {
		CU_ASSERT_EQUAL(send(fd, b + i, 1, 0), 1);
		lab_turn(&l);
	}
	CU_ASSERT_STRING_EQUAL(
		lab_answer_stream(&l, fd, text), "NOERROR aa orders | orders A 30 240.240.0.10");
	/* Many at once, one of them no query at all. */
	for (int i = 0; i < 10; i++)
		CU_ASSERT_EQUAL(send(fd, b, w.len + 2, 0), w.len + 2);
	CU_ASSERT_EQUAL(send(fd, "\0\3abc", 5, 0), 5);
	for (int i = 0; i < 10; i++)
		CU_ASSERT_NSTRING_EQUAL(lab_answer_stream(&l, fd, text), "NOERROR aa", 10);
	/* Who has said all still gets the last answer, then the end. */
	CU_ASSERT_EQUAL(send(fd, b, w.len + 2, 0), w.len + 2);
	shutdown(fd, SHUT_WR);
	CU_ASSERT_NSTRING_EQUAL(lab_answer_stream(&l, fd, text), "NOERROR aa", 10);
	CU_ASSERT_STRING_EQUAL(lab_answer_stream(&l, fd, text), "CLOSED");
	close(fd);
	lab_close(&l);
}

static void test_stream_limits(void)
{
	struct lab l;
	char text[4096];
	int fd, many[70];

	lab_open(&l, 0, 0);
	fd = lab_connect(&l);
	CU_ASSERT_EQUAL(send(fd, "\xff\xff", 2, 0), 2);
	CU_ASSERT_STRING_EQUAL(lab_answer_stream(&l, fd, text), "CLOSED");
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_query_too_long), 1);
	close(fd);
	for (int i = 0; i < 70; i++) {
		l.now += MT_MSEC;
		many[i] = lab_connect(&l);
	}
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_tcp_full), 6);
	lab_ask_stream(&l, many[69], &orders);
	CU_ASSERT_NSTRING_EQUAL(lab_answer_stream(&l, many[69], text), "NOERROR aa", 10);
	CU_ASSERT_STRING_EQUAL(lab_answer_stream(&l, many[0], text), "CLOSED");
	lab_wait(&l, 11 * MT_SEC);
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_tcp_idle), 64);
	for (int i = 0; i < 70; i++)
		close(many[i]);
	lab_close(&l);
}

/*
 * The longest silent client asks just after a newcomer has come: it is answered, and another one
 * makes room.
 */
static void test_stream_asked_in_time(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct lab l;
	char text[4096];
	int many[64], late = socket(AF_INET, SOCK_STREAM, 0);

	lab_open(&l, 0, 0);
	to.sin_port = htons(l.listen.port);
	for (int i = 0; i < 64; i++) {
		l.now += MT_MSEC;
		many[i] = lab_connect(&l);
	}
	l.now += MT_MSEC;
	CU_ASSERT_EQUAL(connect(late, (struct sockaddr *)&to, sizeof(to)), 0);
	lab_ask_stream(&l, many[0], &orders);
	CU_ASSERT_NSTRING_EQUAL(lab_answer_stream(&l, many[0], text), "NOERROR aa", 10);
	CU_ASSERT_STRING_EQUAL(lab_answer_stream(&l, many[1], text), "CLOSED");
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_tcp_full), 1);
	close(late);
	for (int i = 0; i < 64; i++)
		close(many[i]);
	lab_close(&l);
}

/* Who says that it has no more questions still gets the answer to its last one. */
static void test_half_closed(void)
{
	struct asked a;
	struct lab l;
	char text[4096];
	int fd;

	lab_open(&l, 1, 0);
	fd = lab_connect(&l);
	lab_ask_stream(&l, fd, &www);
	shutdown(fd, SHUT_WR);
	for (int i = 0; i < 5; i++)
		lab_turn(&l);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	lab_reply(&l, 0, &a, 0x8180, 1, false);
	CU_ASSERT_NSTRING_EQUAL(lab_answer_stream(&l, fd, text), "NOERROR ra", 10);
	CU_ASSERT_STRING_EQUAL(lab_answer_stream(&l, fd, text), "CLOSED");
	close(fd);
	lab_close(&l);
}

/* A client that leaves before its answer comes. */
static void test_client_leaves(void)
{
	struct asked a;
	struct lab l;
	int fd;

	lab_open(&l, 1, 0);
	fd = lab_connect(&l);
	lab_ask_stream(&l, fd, &www);
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	close(fd);
	lab_turn(&l);
	lab_reply(&l, 0, &a, 0x8180, 1, false);
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_answer_unwanted), 1);
	CU_ASSERT_EQUAL(mt_dns_server_waiting(l.s), 0);
	lab_close(&l);
}

static void test_bounded(void)
{
	struct lab l;
	char text[4096];

	lab_open(&l, 1, 0);
	for (uint32_t i = 0; i < 256; i++)
		lab_ask(&l, l.client, &www);
	CU_ASSERT_EQUAL(mt_dns_server_waiting(l.s), 256);
	lab_ask(&l, l.client, &www);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), "SERVFAIL ra Www.Example.org");
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_too_many), 1);
	for (int i = 0; i < 3; i++)
		lab_wait(&l, 1600 * MT_MSEC);
	CU_ASSERT_EQUAL(mt_dns_server_waiting(l.s), 0);
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_no_server_answered), 256);
	/* And now others may wait. */
	lab_ask(&l, l.client, &www);
	CU_ASSERT_EQUAL(mt_dns_server_waiting(l.s), 1);
	lab_close(&l);
}

static uint32_t place_without_key(const struct mt_addr *a)
{
	return (uint32_t)((a->q[0] ^ a->q[1] * 0x9e3779b97f4a7c15ull) * 0xbf58476d1ce4e5b9ull >>
			  40) %
	       1024;
}

/* A client cannot choose an address that uses up the questions of others. */
static void test_places(void)
{
	const struct mt_dns_where where = {{1, 2, 3}};
	const struct mt_addr first = mt_addr4(1);
	struct mt_dns_lane *lane;
	struct wire w;
	struct lab l;

	lab_open(&l, 1, 1);
	lane = mt_dns_server_lane(l.s, 0);
	wire_query(&w, &www);
	for (uint32_t i = 0; i < 256; i++) {
		CU_ASSERT_TRUE(mt_dns_lane_ask(lane, &where, &first, true, w.b, w.len));
		lab_turn(&l);
	}
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_too_many), 0);
	for (uint32_t i = 2, n = 0; n < 3; i++) {
		const struct mt_addr other = mt_addr4(htonl(i));

		if (place_without_key(&other) != place_without_key(&first))
			continue;
		CU_ASSERT_TRUE(mt_dns_lane_ask(lane, &where, &other, true, w.b, w.len));
		lab_turn(&l);
		n++;
	}
	/* One of them may meet the first by chance, but not all. */
	CU_ASSERT_TRUE(lab_count(&l, MT_DNS_too_many) < 3);
	lab_close(&l);
}

/* Workers' questions, of many clients so that all places are taken. */
static void test_lanes(void)
{
	const struct mt_dns_where where = {{1, 2, 3}};
	const struct mt_dns_told *told;
	struct mt_dns_upstream_info server;
	struct mt_dns_lane *lane;
	uint32_t n = 0, servfail = 0;
	struct asked a;
	struct wire w;
	struct lab l;
	char text[4096];

	lab_open(&l, 1, 2);
	lane = mt_dns_server_lane(l.s, 1);
	CU_ASSERT_PTR_NULL(mt_dns_server_lane(l.s, 2));
	wire_query(&w, &www);
	CU_ASSERT_FALSE(mt_dns_lane_has_answer(lane));
	CU_ASSERT_TRUE(mt_dns_lane_ask(lane, &where, &(struct mt_addr){{{1}}}, true, w.b, w.len));
	CU_ASSERT_TRUE(lab_asked(&l, 0, &a));
	lab_reply(&l, 0, &a, 0x8180, 1, false);
	told = mt_dns_lane_hear(lane);
	CU_ASSERT_PTR_NOT_NULL_FATAL(told);
	CU_ASSERT_STRING_EQUAL(wire_text(told->msg, told->len, text),
		"NOERROR ra Www.Example.org | Www.Example.org A 60 192.0.2.1");
	CU_ASSERT_EQUAL(memcmp(&told->where, &where, sizeof(where)), 0);
	mt_dns_lane_heard(lane);
	CU_ASSERT_PTR_NULL(mt_dns_lane_hear(lane));

	/* Workers pass on what the machine's servers are to be asked for; there may be none at the moment. */
	CU_ASSERT_TRUE(mt_dns_server_upstream(l.s, 0, &server));
	CU_ASSERT_TRUE(mt_dns_server_ask(l.s, NULL, 0, l.now));
	CU_ASSERT_TRUE(mt_dns_lane_ask(lane, &where, &(struct mt_addr){{{1}}}, true, w.b, w.len));
	lab_turn(&l);
	told = mt_dns_lane_hear(lane);
	CU_ASSERT_PTR_NOT_NULL_FATAL(told);
	CU_ASSERT_EQUAL(mt_dns_rcode(told->msg), MT_DNS_SERVFAIL);
	mt_dns_lane_heard(lane);
	CU_ASSERT_TRUE(mt_dns_server_ask(l.s, &server.address, 1, l.now));

	/* As many as fit; then the ring is full, and what is told finds its reader. */
	for (uint32_t i = 0; i < 1100; i++) {
		struct mt_addr client = mt_addr4(i % 64);

		while (!mt_dns_lane_ask(lane, &where, &client, true, w.b, w.len)) {
			lab_turn(&l);
			while ((told = mt_dns_lane_hear(lane))) {
				servfail += mt_dns_rcode(told->msg) == MT_DNS_SERVFAIL;
				mt_dns_lane_heard(lane);
			}
		}
	}
	for (int i = 0; i < 40; i++) {
		lab_wait(&l, 200 * MT_MSEC);
		while ((told = mt_dns_lane_hear(lane))) {
			servfail += mt_dns_rcode(told->msg) == MT_DNS_SERVFAIL;
			n++;
			mt_dns_lane_heard(lane);
		}
	}
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_too_many), 1100 - MT_DNS_WAITING_MAX);
	CU_ASSERT_EQUAL(servfail + lab_count(&l, MT_DNS_answer_lost), 1100);
	CU_ASSERT_EQUAL(mt_dns_server_waiting(l.s), 0);
	lab_close(&l);
}

static void test_garbage(void)
{
	uint64_t x = 0x2545f4914f6cdd1dull;
	struct lab l;
	char text[4096];

	lab_open(&l, 1, 0);
	for (uint32_t i = 0; i < 20000; i++) {
		uint8_t b[64];

		for (size_t k = 0; k < sizeof(b); k++) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
			b[k] = (uint8_t)(x >> 24);
		}
		(void)!send(l.client, b, x % sizeof(b), 0);
		lab_turn(&l);
		(void)!recv(l.client, b, sizeof(b), 0);
	}
	CU_ASSERT_EQUAL(lab_count(&l, MT_DNS_queries), 20000);
	while (lab_answer(&l, l.client, text)[0])
		;
	lab_ask(&l, l.client, &orders);
	CU_ASSERT_STRING_EQUAL(lab_answer(&l, l.client, text), ORDERS);
	lab_close(&l);
}

static void test_address_in_use(void)
{
	struct mt_dns_server_conf conf = {.n_servers = 0};
	struct mt_err e = {""};
	struct lab l;

	lab_open(&l, 0, 0);
	conf.listen = l.listen;
	CU_ASSERT_PTR_NULL(mt_dns_server_new(&conf, 0, &e));
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, "spec.dns.listen"));
	lab_close(&l);
}

static void test_addresses(void)
{
	static const struct {
		const char *text, *want; /* NULL: refused */
	} cases[] = {
		{"192.0.2.1", "192.0.2.1:53"},
		{"192.0.2.1:5353", "192.0.2.1:5353"},
		{"2001:db8::1", "[2001:db8::1]:53"},
		{"[2001:db8::1]", "[2001:db8::1]:53"},
		{"[2001:db8::1]:5353", "[2001:db8::1]:5353"},
		{"", NULL},
		{"192.0.2", NULL},
		{"192.0.2.1:", NULL},
		{"192.0.2.1:0", NULL},
		{"192.0.2.1:65536", NULL},
		{"192.0.2.1:5x", NULL},
		{"[2001:db8::1", NULL},
		{"[2001:db8::1]5", NULL},
		{"dns.example", NULL},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		struct mt_dns_address a;
		char text[MT_ADDR_STRLEN];
		int rc = mt_dns_address_parse(cases[i].text, 53, &a);

		CU_ASSERT_EQUAL(rc == 0, cases[i].want != NULL);
		if (rc == 0 && cases[i].want)
			CU_ASSERT_STRING_EQUAL(
				mt_addr_port_str(&a.addr, a.port, text), cases[i].want);
	}
}

static void test_resolv_conf(void)
{
	struct mt_dns_address servers[MT_DNS_SERVERS_MAX];
	char path[] = "/tmp/mt_resolv_XXXXXX";
	int fd = mkstemp(path);
	static const char words[] =
		"# nameserver 192.0.2.9\nsearch example.org\n"
		"nameserver 192.0.2.1\n nameserver\t2001:db8::1 # two\n"
		"nameserver fe80::1%eth0\nnameserver dns.example\noptions ndots:5\n";

	CU_ASSERT_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, words, sizeof(words) - 1), sizeof(words) - 1);
	close(fd);
	CU_ASSERT_EQUAL(mt_dns_resolv_conf(path, servers), 2);
	CU_ASSERT_EQUAL(servers[0].port, 53);
	CU_ASSERT_FALSE(mt_addr_is4(&servers[1].addr));
	unlink(path);
	CU_ASSERT_EQUAL(mt_dns_resolv_conf(path, servers), 0);
}

const struct mt_test server_tests[] = {{"own_names", test_own_names}, {"passed_on", test_passed_on},
	{"silent_servers", test_silent_servers}, {"failing_servers", test_failing_servers},
	{"denied_names", test_denied_names}, {"no_server", test_no_server},
	{"other_servers", test_other_servers}, {"forged", test_forged},
	{"truncated", test_truncated}, {"truncated_and_silent", test_truncated_and_silent},
	{"stream", test_stream}, {"stream_limits", test_stream_limits},
	{"stream_asked_in_time", test_stream_asked_in_time}, {"half_closed", test_half_closed},
	{"client_leaves", test_client_leaves}, {"bounded", test_bounded}, {"places", test_places},
	{"lanes", test_lanes}, {"garbage", test_garbage}, {"address_in_use", test_address_in_use},
	{"addresses", test_addresses}, {"resolv_conf", test_resolv_conf}, {0}};
