/* SPDX-License-Identifier: Apache-2.0 */
#include "lab.h"
#include "../../outcomes_seen.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <poll.h>
#include <unistd.h>

static const struct sockaddr_in loopback = {.sin_family = AF_INET, .sin_addr.s_addr = 0x0100007f};

/* A UDP socket and a TCP listener on one port. */
static uint16_t open_pair(int *udp, int *tcp)
{
	for (int i = 0; i < 50; i++) {
		struct sockaddr_in at = loopback;
		socklen_t len = sizeof(at);

		*udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		CU_ASSERT_EQUAL_FATAL(bind(*udp, (struct sockaddr *)&at, len), 0);
		getsockname(*udp, (struct sockaddr *)&at, &len);
		*tcp = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		if (bind(*tcp, (struct sockaddr *)&at, len) == 0 && listen(*tcp, 8) == 0)
			return ntohs(at.sin_port);
		close(*udp);
		close(*tcp);
	}
	CU_FAIL_FATAL("no port is free for both");
	return 0;
}

void lab_open(struct lab *l, uint32_t servers, uint16_t workers)
{
	struct mt_dns_server_conf conf = {.n_servers = servers, .workers = workers};
	struct sockaddr_in to = loopback;
	struct mt_err e = {""};
	int udp, tcp;

	memset(l, 0, sizeof(*l));
	l->now = 1000 * MT_SEC;
	l->t = wire_table();
	for (uint32_t i = 0; i < servers; i++)
		conf.servers[i] = (struct mt_dns_address){
			mt_addr4(0x0100007f), open_pair(&l->upstream[i], &l->stream[i])};
	l->listen = (struct mt_dns_address){mt_addr4(0x0100007f), open_pair(&udp, &tcp)};
	close(udp);
	close(tcp);
	conf.listen = l->listen;
	l->s = mt_dns_server_new(&conf, l->now, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l->s);
	l->client = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	to.sin_port = htons(l->listen.port);
	CU_ASSERT_EQUAL(connect(l->client, (struct sockaddr *)&to, sizeof(to)), 0);
}

void lab_close(struct lab *l)
{
	outcomes_seen(&mt_dns_outcomes, mt_dns_server_counters(l->s));
	mt_dns_server_free(l->s);
	mt_dns_table_put(l->t);
	close(l->client);
	for (int i = 0; i < 2; i++) {
		if (l->upstream[i])
			close(l->upstream[i]);
		if (l->stream[i])
			close(l->stream[i]);
	}
}

void lab_turn(struct lab *l)
{
	mt_dns_server_turn(l->s, l->t, l->now);
}

void lab_wait(struct lab *l, uint64_t ns)
{
	l->now += ns;
	lab_turn(l);
}

uint64_t lab_count(const struct lab *l, enum mt_dns_outcome o)
{
	return mt_dns_server_counters(l->s)[o];
}

void lab_ask(struct lab *l, int fd, const struct wire_query *q)
{
	struct wire w;

	wire_query(&w, q);
	l->id = q->id;
	CU_ASSERT_EQUAL(send(fd, w.b, w.len, 0), w.len);
	lab_turn(l);
}

const char *lab_answer(struct lab *l, int fd, char text[4096])
{
	uint8_t b[65536];
	ssize_t n;

	lab_turn(l);
	n = recv(fd, b, sizeof(b), 0);
	text[0] = '\0';
	if (n < 0)
		return text;
	CU_ASSERT_EQUAL(mt_dns_id(b), l->id);
	return wire_text(b, (uint32_t)n, text);
}

int lab_connect(struct lab *l)
{
	struct sockaddr_in to = loopback;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	to.sin_port = htons(l->listen.port);
	CU_ASSERT_EQUAL_FATAL(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	lab_turn(l);
	return fd;
}

void lab_ask_stream(struct lab *l, int fd, const struct wire_query *q)
{
	uint8_t b[2 + sizeof(((struct wire *)NULL)->b)];
	struct wire w;

	wire_query(&w, q);
	l->id = q->id;
	b[0] = (uint8_t)(w.len >> 8);
	b[1] = (uint8_t)w.len;
	memcpy(b + 2, w.b, w.len);
	CU_ASSERT_EQUAL(send(fd, b, w.len + 2, MSG_NOSIGNAL), w.len + 2);
	lab_turn(l);
}

/* A stream's bytes may take a moment, also on the loopback. */
static bool get_all(struct lab *l, int fd, uint8_t *b, uint32_t n)
{
	for (int i = 0; n > 0 && i < 200; i++) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		ssize_t got = poll(&p, 1, 10) > 0 ? recv(fd, b, n, MSG_DONTWAIT) : -1;

		if (got == 0)
			return false;
		if (got > 0) {
			b += got;
			n -= (uint32_t)got;
		}
		lab_turn(l);
	}
	return n == 0;
}

const char *lab_answer_stream(struct lab *l, int fd, char text[4096])
{
	uint8_t b[65536];
	uint32_t len;

	text[0] = '\0';
	if (!get_all(l, fd, b, 2))
		return strcpy(text, "CLOSED");
	len = (uint32_t)b[0] << 8 | b[1];
	if (!get_all(l, fd, b, len))
		return strcpy(text, "CUT");
	CU_ASSERT_EQUAL(mt_dns_id(b), l->id);
	return wire_text(b, len, text);
}

static const uint8_t of_probes[] = "\12loop-check\7meltemi";

/* The next query that is, or is not, a probe (loop.c). */
static bool next_query(struct lab *l, int server, struct asked *a, bool probe)
{
	for (ssize_t n = 1; n > 0;) {
		socklen_t len = sizeof(a->from);

		n = recvfrom(l->upstream[server], a->b, sizeof(a->b), 0,
			(struct sockaddr *)&a->from, &len);
		a->len = n > 0 ? (uint32_t)n : 0;
		if (n > 0 &&
			probe == (memmem(a->b, a->len, of_probes, sizeof(of_probes) - 1) != NULL))
			return true;
	}
	return false;
}

bool lab_asked(struct lab *l, int server, struct asked *a)
{
	lab_turn(l);
	return next_query(l, server, a, false);
}

bool lab_probed(struct lab *l, int server, struct asked *a)
{
	lab_turn(l);
	return next_query(l, server, a, true);
}

uint32_t lab_make_reply(
	const struct asked *a, uint16_t flags, uint32_t n, bool capitals, uint8_t *out)
{
	static const uint8_t record[] = {0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1};
	uint32_t len = 12;

	memcpy(out, a->b, a->len);
	while (out[len])
		len += 1u + out[len];
	len += 5;
	for (uint32_t i = 12; capitals && i < len - 5; i++)
		out[i] = (uint8_t)toupper(out[i]);
	out[2] = (uint8_t)(flags >> 8);
	out[3] = (uint8_t)flags;
	out[6] = (uint8_t)(n >> 8);
	out[7] = (uint8_t)n;
	out[10] = out[11] = 0;
	for (; n > 0; n--, len += (uint32_t)sizeof(record))
		memcpy(out + len, record, sizeof(record));
	return len;
}

void lab_reply(
	struct lab *l, int server, const struct asked *a, uint16_t flags, uint32_t n, bool capitals)
{
	uint8_t b[65536];
	uint32_t len = lab_make_reply(a, flags, n, capitals, b);

	CU_ASSERT_EQUAL(sendto(l->upstream[server], b, len, 0, (const struct sockaddr *)&a->from,
				sizeof(struct sockaddr_in)),
		len);
	lab_turn(l);
}
