/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The DNS server of the control thread. The input lists what clients ask by datagrams, by TCP and
 * by the ring of a worker, and what hostile servers reply to live questions by both. Sockets are
 * real, on an address of the loopback that only this process uses; time is virtual. A worker's
 * question is answered once, by a reply to it. In the end nothing is kept.
 */
#include "fuzz.h"
#include "fuzz_reader.h"

#include "mt_dns_server_priv.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define SERVERS	  2
#define CLIENTS	  70 /* more than have a place */
#define QUESTIONS 100
#define STEPS	  300
#define BYTES	  70000
#define OFF	  (-1)

struct question {
	uint8_t msg[MT_DNS_QUERY_MAX];
	uint32_t len;
	bool datagram, answered;
};

/* The same for all inputs: the server, and sockets of the servers that it asks. */
static struct {
	struct mt_dns_server *s;
	struct mt_dns_table *t;
	struct mt_addr addr;
	struct mt_dns_address servers[SERVERS];
	int udp[SERVERS], tcp[SERVERS];
	uint64_t now;
} net;

static struct {
	struct mt_dns_server *s;
	int udp, client[CLIENTS], server[SERVERS]; /* OFF: none */
	struct question questions[QUESTIONS];
	uint32_t n_questions, asked, answers; /* the last two: by datagrams */
} lab;

static uint8_t bytes[BYTES];

/* ---- sockets ------------------------------------------------------------------------------------------- */

static uint16_t port_of(int which)
{
	return (uint16_t)(5300 + which);
}

static void to_port(struct sockaddr_in *a, int which)
{
	*a = (struct sockaddr_in){.sin_family = AF_INET,
		.sin_port = htons(port_of(which)),
		.sin_addr.s_addr = mt_addr_v4(&net.addr)};
}

static int open_one(int type, int which)
{
	int fd = socket(AF_INET, type | SOCK_NONBLOCK, 0), one = 1;
	struct sockaddr_in at;

	to_port(&at, which);
	MT_ASSERT(fd >= 0);
	(void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	MT_ASSERT(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	MT_ASSERT(type == SOCK_DGRAM || listen(fd, 128) == 0);
	return fd;
}

/* Closes by a reset, so that no port waits for its time. */
static void reset(int *fd)
{
	const struct linger at_once = {1, 0};

	if (*fd == OFF)
		return;
	(void)setsockopt(*fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	close(*fd);
	*fd = OFF;
}

static void empty(int i)
{
	int fd;

	while (recv(net.udp[i], bytes, sizeof(bytes), MSG_DONTWAIT) >= 0)
		;
	while ((fd = accept(net.tcp[i], NULL, NULL)) >= 0)
		reset(&fd);
}

/* ---- the server ---------------------------------------------------------------------------------------- */

static struct mt_dns_table *table(void)
{
	static const char *const zones[] = {"svc.cluster.local"};
	const struct mt_dns_rules rules = {
		.domain = "cluster.local", .ns = "b", .zones = zones, .n_zones = 1, .ttl = 30};
	struct mt_dns_builder *b = mt_dns_builder_new(&rules);

	MT_ASSERT(b);
	for (uint32_t i = 0; i < MT_DNS_ADDRS_MAX; i++) {
		struct mt_addr a = mt_addr4(0x0000f0f0 | i << 24);

		MT_ASSERT(mt_dns_builder_add(b, MT_DNS_OF_DOCUMENTS, i ? "m" : "a", &a, 1) == 0);
	}
	return mt_dns_builder_finish(b, NULL);
}

static void open_net(void)
{
	struct mt_dns_server_conf conf = {
		.n_servers = SERVERS, .servers_change = true, .workers = 1};
	uint32_t pid = (uint32_t)getpid();
	struct mt_err e = {""};

	if (net.s)
		return;
	net.addr = mt_addr4(htonl(0x7f400000u | (pid & 0x3fffff)));
	for (int i = 0; i < SERVERS; i++) {
		net.udp[i] = open_one(SOCK_DGRAM, 1 + i);
		net.tcp[i] = open_one(SOCK_STREAM, 1 + i);
		net.servers[i] = (struct mt_dns_address){net.addr, port_of(1 + i)};
	}
	net.now = 1000 * MT_SEC;
	net.t = table();
	conf.listen = (struct mt_dns_address){net.addr, port_of(0)};
	memcpy(conf.servers, net.servers, sizeof(net.servers));
	net.s = mt_dns_server_new(&conf, net.now, &e);
	MT_ASSERT(net.t && net.s);
}

/* As it was at first, but for the time. */
static void open_lab(void)
{
	struct sockaddr_in at;

	memset(&lab, 0, sizeof(lab));
	lab.s = net.s;
	(void)mt_dns_server_ask(lab.s, net.servers, SERVERS, net.now);
	for (int i = 0; i < SERVERS; i++)
		lab.s->upstreams[i] = (struct dns_upstream){.address = net.servers[i]};
	memset(lab.client, OFF, sizeof(lab.client));
	memset(lab.server, OFF, sizeof(lab.server));
	lab.udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	to_port(&at, 0);
	MT_ASSERT(connect(lab.udp, (struct sockaddr *)&at, sizeof(at)) == 0);
}

/* A worker gets answers to its own questions only. */
static void hear(void)
{
	struct mt_dns_lane *l = mt_dns_server_lane(lab.s, 0);
	const struct mt_dns_told *told;

	for (; (told = mt_dns_lane_hear(l)); mt_dns_lane_heard(l)) {
		struct question *q = &lab.questions[told->where.b[0]];

		MT_ASSERT(told->where.b[0] < lab.n_questions && !q->answered);
		MT_ASSERT(mt_dns_is_reply_to(told->msg, told->len, q->msg, q->len));
		MT_ASSERT(!q->datagram || told->len <= mt_dns_datagram_limit(q->msg, q->len));
		q->answered = true;
	}
}

static void hear_datagrams(void)
{
	ssize_t n;

	while ((n = recv(lab.udp, bytes, sizeof(bytes), MSG_DONTWAIT)) >= 0) {
		MT_ASSERT(n >= 12 && n <= 4096 && (bytes[2] & 0x80));
		MT_ASSERT(++lab.answers <= lab.asked);
	}
}

static void turn(uint64_t ns)
{
	net.now += ns;
	mt_dns_server_turn(lab.s, net.t, net.now);
	MT_ASSERT(lab.s->conns.in_use <= DNS_TCP_MAX && lab.s->asks.in_use <= MT_DNS_WAITING_MAX);
	hear();
	hear_datagrams();
}

static void close_lab(void)
{
	for (int i = 0; i < CLIENTS; i++)
		reset(&lab.client[i]);
	/* Each try of each question ends by its time, and so does a client that stays silent. */
	for (int i = 0; i < 20 && (i < 3 || mt_dns_server_waiting(lab.s)); i++)
		turn(11 * MT_SEC);
	MT_ASSERT(mt_dns_server_waiting(lab.s) == 0 && lab.s->conns.in_use == 0);
	for (uint32_t i = 0; i < lab.n_questions; i++)
		MT_ASSERT(lab.questions[i].answered);
	for (uint32_t i = 0; i < DNS_CLIENTS; i++)
		MT_ASSERT(lab.s->clients[i] == 0);
	close(lab.udp);
	for (int i = 0; i < SERVERS; i++) {
		reset(&lab.server[i]);
		empty(i);
	}
}

/* ---- clients ------------------------------------------------------------------------------------------- */

static uint32_t take_bytes(struct reader *r, uint8_t *to, size_t len)
{
	size_t n = MT_MIN(len, r->left);

	memcpy(to, r->at, n);
	r->at += n;
	r->left -= n;
	return (uint32_t)n;
}

/* A question for a name of a letter, with EDNS or without; or bytes as they are. */
static uint32_t query(struct reader *r, uint8_t *q)
{
	static const uint8_t plain[] = {7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'o', 0, 0, 1, 0, 1};
	static const uint8_t opt[] = {0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0};
	uint32_t how = u8(r);

	if (how >= 0x80)
		return take_bytes(r, q, how - 0x7f);
	memcpy(q, plain, sizeof(plain));
	q[13] = (uint8_t)u8(r);
	q[15] = how & 1 ? 28 : 1;
	if (!(how & 2))
		return sizeof(plain);
	q[11] = 1;
	memcpy(q + sizeof(plain), opt, sizeof(opt));
	return sizeof(plain) + sizeof(opt);
}

static void ask_by_datagram(struct reader *r)
{
	uint32_t len = query(r, bytes);

	lab.asked += send(lab.udp, bytes, len, MSG_DONTWAIT) >= 0;
	turn(0);
}

static void ask_by_ring(struct reader *r)
{
	struct question *q = &lab.questions[lab.n_questions];
	struct mt_dns_where where = {{lab.n_questions}};
	const struct mt_dns_ask how = {.datagram = u8(r) % 2, .recursion = true};
	struct mt_addr client = mt_addr4(0x000200c0 | u8(r) << 24);
	uint64_t counters[MT_DNS_N_OUTCOMES] = {0};
	uint32_t n;

	if (lab.n_questions == QUESTIONS)
		return;
	q->datagram = how.datagram;
	q->len = query(r, q->msg);
	/* Workers pass on only what is not theirs to answer. */
	if (mt_dns_respond(net.t, &how, q->msg, q->len, bytes, MT_DNS_TCP_MAX, &n, counters) !=
		MT_DNS_FORWARD)
		return;
	MT_ASSERT(mt_dns_lane_ask(
		mt_dns_server_lane(lab.s, 0), &where, &client, how.datagram, q->msg, q->len));
	lab.n_questions++;
	turn(0);
}

static void connect_client(int *fd)
{
	struct sockaddr_in at;

	reset(fd);
	*fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	to_port(&at, 0);
	MT_ASSERT(*fd >= 0);
	(void)connect(*fd, (struct sockaddr *)&at, sizeof(at));
	turn(0);
}

static void client_writes(int fd, struct reader *r)
{
	uint32_t n = u8(r) % 8, len = 0;

	for (uint32_t i = 0; i < n; i++) {
		uint32_t one = query(r, bytes + len + MT_DNS_FRAME);

		mt_dns_frame_put(bytes + len, one);
		len += MT_DNS_FRAME + one;
	}
	if (n == 0)
		len = take_bytes(r, bytes, u8(r));
	(void)!send(fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	turn(0);
}

/* Answers come whole, each behind its length. */
static void client_reads(int fd)
{
	ssize_t n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_PEEK);

	if (n < (ssize_t)MT_DNS_FRAME + 12)
		return;
	n = MT_DNS_FRAME + (ssize_t)mt_dns_frame_len(bytes);
	n = recv(fd, bytes, (size_t)n, MSG_DONTWAIT);
	MT_ASSERT(n >= (ssize_t)MT_DNS_FRAME + 12 && (bytes[MT_DNS_FRAME + 2] & 0x80));
	turn(0);
}

static void client_acts(struct reader *r)
{
	int *fd = &lab.client[u8(r) % CLIENTS];
	uint32_t what = u8(r) % 6;

	if (what == 0 || *fd == OFF) {
		connect_client(fd);
		return;
	}
	switch (what) {
	case 1:
		shutdown(*fd, SHUT_WR);
		break;
	case 2:
		reset(fd);
		break;
	case 3:
		client_reads(*fd);
		return;
	default:
		client_writes(*fd, r);
		return;
	}
	turn(0);
}

/* ---- hostile servers ----------------------------------------------------------------------------------- */

/* Makes of a query in bytes[at..at + n) what the input wants as its reply; its length. */
static uint32_t make_reply(struct reader *r, uint32_t at, uint32_t n)
{
	uint32_t how = u8(r), more = u8(r), less;

	if (how & 1)
		return take_bytes(r, bytes + at, more);
	bytes[at + 2] = (uint8_t)(0x80 | u8(r));
	bytes[at + 3] = (uint8_t)u8(r);
	if (how & 2)
		bytes[at + 13] ^= 0x20;
	if (how & 4)
		bytes[at + u8(r) % n] ^= (uint8_t)u8(r);
	if (how & 8) {
		less = u8(r);
		n -= MT_MIN(n, less);
	}
	if (how & 16)
		more = MT_MIN(more * 256, (uint32_t)MT_DNS_TCP_MAX - n);
	take_bytes(r, bytes + at + n, more);
	return n + more;
}

static void server_replies(struct reader *r)
{
	int i = (int)(u8(r) % SERVERS);
	struct sockaddr_in from;
	socklen_t len = sizeof(from);
	ssize_t n = recvfrom(net.udp[i], bytes, 2000, MSG_DONTWAIT, (struct sockaddr *)&from, &len);
	uint32_t size;

	if (n < 14)
		return;
	size = make_reply(r, 0, (uint32_t)n);
	(void)!sendto(net.udp[i], bytes, size, MSG_DONTWAIT, (struct sockaddr *)&from, len);
	turn(0);
}

static void server_streams(struct reader *r)
{
	int i = (int)(u8(r) % SERVERS), *fd = &lab.server[i];
	uint32_t size, what = u8(r) % 4;
	ssize_t n;

	if (*fd == OFF)
		*fd = accept(net.tcp[i], NULL, NULL);
	if (*fd < 0) {
		*fd = OFF;
		return;
	}
	turn(0);
	n = recv(*fd, bytes, 2000, MSG_DONTWAIT);
	if (what == 0 || n < 16) {
		size = take_bytes(r, bytes, u8(r));
	} else {
		size = make_reply(r, MT_DNS_FRAME, (uint32_t)n - MT_DNS_FRAME);
		mt_dns_frame_put(bytes, size);
		size += MT_DNS_FRAME;
	}
	(void)!send(*fd, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
	turn(0);
	if (what == 1)
		shutdown(*fd, SHUT_WR);
	if (what == 2 || what == 1)
		reset(fd);
	turn(0);
}

static void servers_change(struct reader *r)
{
	struct mt_dns_address to[SERVERS];
	uint32_t n = u8(r) % (SERVERS + 1), first = u8(r);

	for (uint32_t i = 0; i < n; i++)
		to[i] = (struct mt_dns_address){
			net.addr, port_of(1 + (int)((first + i) % SERVERS))};
	(void)mt_dns_server_ask(lab.s, to, n, net.now);
	turn(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const verbs[])(struct reader *) = {ask_by_datagram, ask_by_ring, client_acts,
		server_replies, server_streams, servers_change};
	struct reader r = {data, size};

	open_net();
	open_lab();
	for (int i = 0; i < STEPS && r.left; i++) {
		uint32_t verb = u8(&r) % (MT_ARRAY_LEN(verbs) + 1);

		if (verb < MT_ARRAY_LEN(verbs))
			verbs[verb](&r);
		else
			turn(u8(&r) * 20 * MT_MSEC);
	}
	close_lab();
	return 0;
}
