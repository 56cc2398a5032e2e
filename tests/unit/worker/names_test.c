/* SPDX-License-Identifier: Apache-2.0 */
/* DNS on the data path: answers on the spot, questions for others by the ring, clients over TCP. */
#include "fakes.h"
#include "suites.h"
#include "../../outcomes_seen.h"

#include <sys/eventfd.h>
#include <unistd.h>

struct rig {
	struct mt_pools pools;
	struct mt_steer steer;
	struct mt_snapshot snap, *current;
	struct mt_dns_lane *lane;
	struct mt_addr addr, other;
	struct mt_dns_allow allow; /* none: everybody */
	int wake_fd;
	struct mt_worker *w;
};

static void rig_init(struct rig *r)
{
	static const struct mt_tcp_conf tcp;
	static const struct mt_proxy_conf proxy;
	static const uint8_t secret[32];
	const struct mt_dns_rules rules = {.ttl = 30};
	struct mt_dns_builder *b = mt_dns_builder_new(&rules);
	struct mt_addr vip = mt_addr4(0x0100f0f0);
	struct mt_worker_conf c = {.workers = 1,
		.steer = &r->steer,
		.pools = &r->pools,
		.tcp = &tcp,
		.proxy = &proxy,
		.secret = secret,
		.current = &r->current};

	memset(r, 0, sizeof(*r));
	fakes_reset();
	CU_ASSERT_EQUAL_FATAL(mt_pools_init(&r->pools, "n", 511, 127, MT_BUF_DATA_ROOM, 0), 0);
	CU_ASSERT_EQUAL_FATAL(mt_steer_init(&r->steer, 1, 64), 0);
	CU_ASSERT_EQUAL(mt_dns_builder_add(b, MT_DNS_OF_DOCUMENTS, "a.x", &vip, 1), 0);
	for (uint32_t i = 0; i < MT_DNS_ADDRS_MAX; i++) {
		vip = mt_addr4(0x0000f0f0 | i << 24);
		CU_ASSERT_EQUAL(mt_dns_builder_add(b, MT_DNS_OF_DOCUMENTS, "m.x", &vip, 1), 0);
	}
	r->snap.dns = mt_dns_builder_finish(b, NULL);
	r->current = &r->snap;
	r->lane = mt_dns_lane_new();
	r->wake_fd = c.wake_fd = eventfd(0, EFD_NONBLOCK);
	r->addr = mt_addr4(0x010200c0);
	r->other = mt_addr4(0x020200c0);
	c.names.lane = r->lane;
	c.names.addrs = &r->addr;
	c.names.n_addrs = 1;
	c.names.recursion = true;
	c.names.allow = &r->allow;
	r->w = mt_worker_create(&c);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->w);
	fakes[0].pools = &r->pools;
	fakes[0].tuple = (struct mt_tuple){r->addr, r->other, 53, 4000, 0};
	mt_worker_turn(r->w, MT_SEC, MT_SEC);
}

static void rig_fini(struct rig *r)
{
	outcomes_seen(&mt_worker_outcomes, mt_worker_stats(r->w)->counters);
	outcomes_seen(&mt_dns_outcomes, mt_worker_names_counters(r->w));
	mt_worker_destroy(r->w);
	mt_dns_lane_free(r->lane);
	close(r->wake_fd);
	mt_dns_table_put(r->snap.dns);
	mt_steer_fini(&r->steer);
	CU_ASSERT_EQUAL(rte_mempool_in_use_count(r->pools.data), 0);
	mt_pools_fini(&r->pools);
}

/* A query for the address of a name of two labels, one letter each. */
static uint32_t query(uint8_t q[64], char a, char b)
{
	static const uint8_t plain[] = {
		7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 1, 0, 1};

	memcpy(q, plain, sizeof(plain));
	q[13] = (uint8_t)a;
	q[15] = (uint8_t)b;
	return sizeof(plain);
}

static bool datagram(
	struct rig *r, const struct mt_addr *to, uint16_t port, const uint8_t *q, uint32_t n)
{
	const struct mt_net_from from = {*to, r->other, port, 4000, 3, {{1, 2, 3, 4, 5, 6}}};

	return fakes[0].udp(fakes[0].udp_arg, &from, q, (uint16_t)n);
}

static uint64_t count(const struct rig *r, enum mt_dns_outcome o)
{
	return mt_worker_names_counters(r->w)[o];
}

static void datagrams(void)
{
	struct rig r;
	uint8_t q[2000];
	uint32_t n;

	rig_init(&r);
	n = query(q, 'a', 'x');
	CU_ASSERT_FALSE(datagram(&r, &r.other, 53, q, n));
	CU_ASSERT_FALSE(datagram(&r, &r.addr, 54, q, n));
	CU_ASSERT_EQUAL(fakes[0].udp_sent, 0);
	CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, n));
	CU_ASSERT_EQUAL(fakes[0].udp_sent, 1);
	CU_ASSERT_EQUAL(fakes[0].udp_len, n + 16);
	CU_ASSERT_EQUAL(memcmp(fakes[0].udp_bytes + n + 12, "\xf0\xf0\0\1", 4), 0);
	CU_ASSERT(fakes[0].udp_to.port == 3 && fakes[0].udp_to.rport == 4000);
	/* Nothing to say: an answer, and half a header. */
	q[2] = 0x81;
	CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, n));
	CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, 5));
	memset(q, 0, sizeof(q));
	CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, 1300));
	CU_ASSERT_EQUAL(count(&r, MT_DNS_query_too_long), 1);
	CU_ASSERT_EQUAL(fakes[0].udp_sent, 1);
	/* No buffer. */
	fakes[0].pools = NULL;
	n = query(q, 'a', 'x');
	CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, n));
	CU_ASSERT_EQUAL(count(&r, MT_DNS_answer_lost), 1);
	CU_ASSERT_EQUAL(count(&r, MT_DNS_answered), 1);
	/* Before the first snapshot. */
	fakes[0].pools = &r.pools;
	r.current = NULL;
	mt_worker_turn(r.w, MT_SEC, MT_SEC);
	CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, n));
	CU_ASSERT_EQUAL(fakes[0].udp_bytes[3] & 0xf, MT_DNS_SERVFAIL);
	rig_fini(&r);
}

/* The control thread's side of one question: what it says comes back to who asked. */
static void passed_on(void)
{
	const struct mt_dns_asked *a;
	struct rig r;
	uint8_t q[64], reply[600];
	uint32_t n;

	rig_init(&r);
	n = query(q, 'o', 'x');
	CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, n));
	CU_ASSERT_EQUAL(fakes[0].udp_sent, 0);
	a = mt_dns_lane_take(r.lane);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT(a->datagram && a->len == n && memcmp(a->msg, q, n) == 0);
	CU_ASSERT(mt_addr_eq(&a->client, &r.other));
	memset(reply, 7, sizeof(reply));
	CU_ASSERT_TRUE(mt_dns_lane_tell(r.lane, &a->where, reply, 500));
	mt_dns_lane_taken(r.lane);
	CU_ASSERT_EQUAL(mt_worker_next(r.w), MT_SEC);
	CU_ASSERT_EQUAL(mt_worker_turn(r.w, MT_SEC, MT_SEC), 1);
	CU_ASSERT_EQUAL(fakes[0].udp_sent, 1);
	CU_ASSERT_EQUAL(fakes[0].udp_len, 500);
	CU_ASSERT(mt_addr_eq(&fakes[0].udp_to.local, &r.addr) &&
		  mt_addr_eq(&fakes[0].udp_to.remote, &r.other));
	CU_ASSERT(fakes[0].udp_to.lport == 53 && fakes[0].udp_to.rport == 4000 &&
		  fakes[0].udp_to.port == 3 && fakes[0].udp_to.peer.addr_bytes[5] == 6);
	CU_ASSERT_EQUAL(mt_worker_next(r.w), MT_NEVER);
	rig_fini(&r);
}

/* As many as the ring holds, then SERVFAIL at once; by and by more may pass. */
/* Of one of 100 clients. */
static bool datagram_of(struct rig *r, uint32_t client, const uint8_t *q, uint32_t n)
{
	r->other = mt_addr4(0x000200c0 | (client % 100 + 2) << 24);
	return datagram(r, &r->addr, 53, q, n);
}

static void too_fast(void)
{
	struct rig r;
	uint8_t q[64];
	uint32_t n, i;

	rig_init(&r);
	n = query(q, 'o', 'x');
	for (i = 0; i < MT_DNS_LANE; i++)
		CU_ASSERT_TRUE(datagram_of(&r, i, q, n));
	CU_ASSERT_EQUAL(fakes[0].udp_sent, 0);
	CU_ASSERT_TRUE(datagram_of(&r, i, q, n));
	CU_ASSERT_EQUAL(fakes[0].udp_sent, 1);
	CU_ASSERT_EQUAL(fakes[0].udp_bytes[3] & 0xf, MT_DNS_SERVFAIL);
	for (; mt_dns_lane_take(r.lane); i++)
		mt_dns_lane_taken(r.lane);
	CU_ASSERT_EQUAL(i, 2 * MT_DNS_LANE);
	/* The ring is empty, but in no time only so many pass. */
	for (i = 0; i < 300; i++) {
		CU_ASSERT_TRUE(datagram_of(&r, i, q, n));
		if (mt_dns_lane_take(r.lane))
			mt_dns_lane_taken(r.lane);
	}
	CU_ASSERT_EQUAL(count(&r, MT_DNS_too_fast), 1 + 300 - (256 - MT_DNS_LANE - 1));
	mt_worker_turn(r.w, MT_SEC + 10 * MT_MSEC, MT_SEC);
	for (i = 0; i < 20; i++) {
		CU_ASSERT_TRUE(datagram_of(&r, i, q, n));
		CU_ASSERT_PTR_NOT_NULL(mt_dns_lane_take(r.lane));
		mt_dns_lane_taken(r.lane);
	}
	rig_fini(&r);
}

/* One client has its share, and no more; others have theirs. */
static void one_client_too_fast(void)
{
	struct rig r;
	uint8_t q[64];
	uint32_t n;

	rig_init(&r);
	n = query(q, 'o', 'x');
	for (int i = 0; i < 200; i++) {
		CU_ASSERT_TRUE(datagram_of(&r, 0, q, n));
		if (mt_dns_lane_take(r.lane))
			mt_dns_lane_taken(r.lane);
	}
	CU_ASSERT_EQUAL(count(&r, MT_DNS_client_too_fast), 200 - 128);
	CU_ASSERT_EQUAL(fakes[0].udp_bytes[3] & 0xf, MT_DNS_SERVFAIL);
	CU_ASSERT_TRUE(datagram_of(&r, 1, q, n));
	CU_ASSERT_PTR_NOT_NULL(mt_dns_lane_take(r.lane));
	CU_ASSERT_EQUAL(count(&r, MT_DNS_client_too_fast), 200 - 128);
	CU_ASSERT_EQUAL(count(&r, MT_DNS_too_fast), 0);
	rig_fini(&r);
}

/* One that has many addresses, and takes them all (EDNS): 49 times the question. */
static uint32_t large_query(uint8_t q[64])
{
	static const uint8_t opt[] = {0, 0, 41, 4, 208, 0, 0, 0, 0, 0, 0};
	uint32_t n = query(q, 'm', 'x');

	memcpy(q + n, opt, sizeof(opt));
	q[11] = 1;
	return n + sizeof(opt);
}

/*
 * Who sends questions in the name of others gets few bytes sent to their network, whichever address of it he takes: some of
 * the answers, then cut ones, which are no longer than the questions. By and by there are whole ones again, and others
 * have theirs all the time.
 */
static void amplifies_nothing(void)
{
	struct rig r;
	uint8_t q[64];
	uint32_t n, whole = 0, cut = 0;
	uint64_t bytes = 0;

	rig_init(&r);
	n = large_query(q);
	for (uint32_t i = 0; i < 20000; i++) {
		uint32_t before = fakes[0].udp_sent;

		r.other = mt_addr4(0x000200c0 | (i % 250 + 2) << 24);
		CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, n));
		if (fakes[0].udp_sent == before)
			continue;
		bytes += fakes[0].udp_len;
		whole += fakes[0].udp_len > 1000;
		if (fakes[0].udp_len <= n) {
			CU_ASSERT(fakes[0].udp_bytes[2] & 0x02);
			cut++;
		}
	}
	CU_ASSERT(whole > 100 && cut > 1000);
	CU_ASSERT(bytes < (1u << 20) + 20000 * n);
	CU_ASSERT_EQUAL(whole + count(&r, MT_DNS_rate_cut) + count(&r, MT_DNS_rate_dropped), 20000);
	CU_ASSERT_EQUAL(count(&r, MT_DNS_rate_cut), cut);
	/* Of another network, and of this one a second later. */
	r.other = mt_addr4(0x020300c0);
	CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, n));
	CU_ASSERT(fakes[0].udp_len > 1000 && mt_addr_eq(&fakes[0].udp_to.remote, &r.other));
	mt_worker_turn(r.w, 2 * MT_SEC, MT_SEC);
	r.other = mt_addr4(0x020200c0);
	CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, n));
	CU_ASSERT(fakes[0].udp_len > 1000 && mt_addr_eq(&fakes[0].udp_to.remote, &r.other));
	rig_fini(&r);
}

/* What others said is sent by the same measure. */
static void amplifies_nothing_of_others(void)
{
	struct rig r;
	uint8_t q[64], reply[1232] = {0};
	uint32_t n, whole = 0;

	rig_init(&r);
	n = query(q, 'o', 'x');
	memcpy(reply, q, n);
	reply[2] |= 0x80;
	for (uint32_t i = 0; i < 4000; i++) {
		const struct mt_dns_asked *a;

		CU_ASSERT_TRUE(datagram_of(&r, i, q, n));
		a = mt_dns_lane_take(r.lane);
		if (!a)
			continue;
		CU_ASSERT_TRUE(mt_dns_lane_tell(r.lane, &a->where, reply, sizeof(reply)));
		mt_dns_lane_taken(r.lane);
		/* A hundredth of a second for 20 questions. */
		mt_worker_turn(r.w, MT_SEC + i * MT_MSEC / 2, MT_SEC);
		whole += fakes[0].udp_len == sizeof(reply);
	}
	CU_ASSERT(whole > 100 && whole < 2000);
	CU_ASSERT(count(&r, MT_DNS_rate_cut) > 500);
	CU_ASSERT_EQUAL(fakes[0].udp_len, n);
	CU_ASSERT(fakes[0].udp_bytes[2] & 0x02);
	rig_fini(&r);
}

/* Addresses of one network of IPv6 share what a client may have passed on: who has one has 2^64 of them. */
static void one_network_too_fast(void)
{
	struct rig r;
	uint8_t q[64];
	uint32_t n;

	rig_init(&r);
	CU_ASSERT_EQUAL(mt_addr_parse("2001:db8::1", &r.addr), 0);
	n = query(q, 'o', 'x');
	for (uint32_t i = 0; i < 200; i++) {
		CU_ASSERT_EQUAL(mt_addr_parse("2001:db8::", &r.other), 0);
		r.other.w[3] = i * 2654435761u;
		CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, n));
		if (mt_dns_lane_take(r.lane))
			mt_dns_lane_taken(r.lane);
	}
	CU_ASSERT_EQUAL(count(&r, MT_DNS_client_too_fast), 200 - 128);
	CU_ASSERT_EQUAL(mt_addr_parse("2001:db8:0:1::9", &r.other), 0);
	CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, n));
	CU_ASSERT_PTR_NOT_NULL(mt_dns_lane_take(r.lane));
	rig_fini(&r);
}

/* Nobody outside of these networks is answered, nor asked for. */
static void strangers(void)
{
	struct rig r;
	uint8_t q[64];
	uint32_t n;

	rig_init(&r);
	CU_ASSERT_TRUE(mt_dns_allow_add(&r.allow, &(struct mt_addr){.q = {0, 0}}, 1));
	CU_ASSERT_TRUE(mt_dns_allow_add(&r.allow, &(struct mt_addr){.q = {0, 0}}, 1));
	CU_ASSERT_EQUAL(r.allow.n, 1);
	for (int i = 0; i < 2; i++) {
		n = query(q, i ? 'o' : 'a', 'x');
		CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, n));
		CU_ASSERT_EQUAL(fakes[0].udp_bytes[3] & 0xf, MT_DNS_REFUSED);
		CU_ASSERT_EQUAL(fakes[0].udp_len, n);
	}
	CU_ASSERT_EQUAL(count(&r, MT_DNS_not_allowed), 2);
	CU_ASSERT_PTR_NULL(mt_dns_lane_take(r.lane));
	CU_ASSERT_TRUE(mt_dns_allow_add(&r.allow, &r.other, 24));
	CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, query(q, 'a', 'x')));
	CU_ASSERT_EQUAL(fakes[0].udp_len, n + 16);
	rig_fini(&r);
}

/* ---- TCP --------------------------------------------------------------------------------------- */

struct wire {
	struct mt_stream s;
	bool aborted, detached;
	struct mt_chain sent;
};

static void on_consumed(struct mt_stream *s)
{
}

static void on_send(struct mt_stream *s, struct mt_chain *c)
{
	mt_chain_concat(&((struct wire *)s)->sent, c);
}

/* One tuple for all. */
static const struct mt_tuple *on_ends(const struct mt_stream *s)
{
	return &fakes[0].tuple;
}

static void on_abort(struct mt_stream *s, enum mt_abort_reason why)
{
	((struct wire *)s)->aborted = true;
	mt_chain_free(&s->rx);
}

static void on_detach(struct mt_stream *s)
{
	((struct wire *)s)->detached = true;
	mt_chain_free(&s->rx);
}

static void on_refuse(struct mt_stream *s, uint32_t words)
{
}

static const struct mt_stream_ops ops = {.consumed = on_consumed,
	.send = on_send,
	.abort = on_abort,
	.detach = on_detach,
	.refuse = on_refuse,
	.ends = on_ends};

static void client(struct rig *r, struct wire *c)
{
	int at = fakes[0].listen->lookup(fakes[0].listen_arg, &r->addr, 53);

	memset(c, 0, sizeof(*c));
	c->s.ops = &ops;
	CU_ASSERT(at >= 0);
	CU_ASSERT_TRUE(fakes[0].listen->accept(fakes[0].listen_arg, &c->s, at));
}

static void bytes(struct rig *r, struct wire *c, const void *b, uint32_t n)
{
	CU_ASSERT_EQUAL(mt_chain_write(&c->s.rx, &r->pools, b, n), 0);
	c->s.user->readable(&c->s);
}

static uint32_t message(uint8_t m[66], char a, char b)
{
	uint32_t n = query(m + 2, a, b);

	m[0] = 0;
	m[1] = (uint8_t)n;
	return n + 2;
}

/* Of services that listen on port 53 the port is theirs; elsewhere nothing has changed. */
static void who_listens(void)
{
	struct rig r;
	struct wire c = {.s.ops = &ops};

	rig_init(&r);
	CU_ASSERT_EQUAL(fakes[0].listen->lookup(fakes[0].listen_arg, &r.other, 53), -1);
	CU_ASSERT_EQUAL(fakes[0].listen->lookup(fakes[0].listen_arg, &r.addr, 80), -1);
	fakes[0].proxy_listener = 4;
	CU_ASSERT_EQUAL(fakes[0].listen->lookup(fakes[0].listen_arg, &r.addr, 53), 4);
	CU_ASSERT_TRUE(fakes[0].listen->accept(fakes[0].listen_arg, &c.s, 4));
	CU_ASSERT_EQUAL(fakes[0].proxy_accepted, 1);
	rig_fini(&r);
}

static void streams(void)
{
	struct rig r;
	struct wire c;
	uint8_t m[66], out[64];
	uint32_t n;

	rig_init(&r);
	client(&r, &c);
	n = message(m, 'a', 'x');
	for (uint32_t i = 0; i < n; i++) {
		CU_ASSERT_EQUAL(c.sent.len, 0);
		bytes(&r, &c, m + i, 1);
	}
	CU_ASSERT_EQUAL_FATAL(c.sent.len, n + 16);
	mt_chain_read(&c.sent, 0, out, n + 16);
	CU_ASSERT_EQUAL(out[1], n + 14);
	CU_ASSERT_EQUAL(memcmp(out + n + 12, "\xf0\xf0\0\1", 4), 0);
	/* Nothing is read from who does not take answers. */
	c.s.tx_queued = c.s.tx_high;
	bytes(&r, &c, m, n);
	CU_ASSERT_EQUAL(c.sent.len, n + 16);
	c.s.tx_queued = 0;
	c.s.user->writable(&c.s);
	CU_ASSERT_EQUAL(c.sent.len, 2 * (n + 16));
	/* Its end, with half a message: what is sent is still delivered. */
	bytes(&r, &c, m, 5);
	c.s.rx_eof = true;
	c.s.user->eof(&c.s);
	CU_ASSERT_TRUE(c.detached);
	mt_chain_free(&c.sent);
	/* A message that is too long. */
	client(&r, &c);
	bytes(&r, &c, "\xff\xff", 2);
	CU_ASSERT_TRUE(c.aborted);
	/* Reset by the client. */
	client(&r, &c);
	c.s.user->closed(&c.s, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(count(&r, MT_DNS_tcp_accepted), 3);
	rig_fini(&r);
}

static void streams_wait(void)
{
	const struct mt_dns_asked *a;
	struct mt_dns_where gone;
	struct rig r;
	struct wire c;
	uint8_t m[66];
	uint32_t n;

	rig_init(&r);
	client(&r, &c);
	n = message(m, 'o', 'x');
	bytes(&r, &c, m, n);
	c.s.rx_eof = true;
	c.s.user->eof(&c.s);
	CU_ASSERT_FALSE(c.detached);
	a = mt_dns_lane_take(r.lane);
	CU_ASSERT_PTR_NOT_NULL_FATAL(a);
	CU_ASSERT_FALSE(a->datagram);
	gone = a->where;
	CU_ASSERT_TRUE(mt_dns_lane_tell(r.lane, &a->where, m, 40));
	mt_dns_lane_taken(r.lane);
	mt_worker_turn(r.w, MT_SEC, MT_SEC);
	CU_ASSERT_EQUAL(c.sent.len, 42);
	CU_ASSERT_TRUE(c.detached);
	mt_chain_free(&c.sent);
	/* It has gone. */
	CU_ASSERT_TRUE(mt_dns_lane_tell(r.lane, &gone, m, 40));
	mt_worker_turn(r.w, MT_SEC, MT_SEC);
	CU_ASSERT_EQUAL(count(&r, MT_DNS_answer_unwanted), 1);
	rig_fini(&r);
}

static void streams_end(void)
{
	static struct wire c[MT_NAMES_CONNS + 2];
	struct rig r;
	uint8_t m[66];

	rig_init(&r);
	for (uint32_t i = 0; i < MT_NAMES_CONNS; i++)
		client(&r, &c[i]);
	/* The first one speaks; the second is the most silent one then. */
	bytes(&r, &c[0], m, 1);
	client(&r, &c[MT_NAMES_CONNS]);
	CU_ASSERT(!c[0].aborted && c[1].aborted && !c[2].aborted);
	CU_ASSERT_EQUAL(count(&r, MT_DNS_tcp_full), 1);
	CU_ASSERT_EQUAL(mt_worker_next(r.w), 11 * MT_SEC);
	mt_worker_turn(r.w, 11 * MT_SEC - 1, 0);
	CU_ASSERT_EQUAL(count(&r, MT_DNS_tcp_idle), 0);
	mt_worker_turn(r.w, 11 * MT_SEC, 0);
	CU_ASSERT_EQUAL(count(&r, MT_DNS_tcp_idle), MT_NAMES_CONNS);
	CU_ASSERT_TRUE(c[0].detached);
	CU_ASSERT_EQUAL(mt_worker_next(r.w), MT_NEVER);
	rig_fini(&r);
}

/* Questions in one go and the end behind them, while answers of before still fill the connection. */
static void streams_end_behind_questions(void)
{
	struct rig r;
	struct wire c;
	uint8_t m[66];
	uint32_t n;

	rig_init(&r);
	client(&r, &c);
	n = message(m, 'a', 'x');
	c.s.tx_queued = c.s.tx_high;
	bytes(&r, &c, m, n);
	bytes(&r, &c, m, n);
	c.s.rx_eof = true;
	c.s.user->eof(&c.s);
	CU_ASSERT_FALSE(c.detached);
	CU_ASSERT_EQUAL(count(&r, MT_DNS_answered), 0);
	c.s.tx_queued = 0;
	c.s.user->writable(&c.s);
	CU_ASSERT_EQUAL(count(&r, MT_DNS_answered), 2);
	CU_ASSERT(c.detached);
	mt_chain_free(&c.sent);
	rig_fini(&r);
}

static uint64_t rung(const struct rig *r)
{
	uint64_t n = 0;

	(void)!read(r->wake_fd, &n, sizeof(n));
	return n;
}

/* One ring for all questions until the control thread has heard it; none without a question. */
static void questions_ring(void)
{
	struct rig r;
	uint8_t q[64];
	uint32_t n;

	rig_init(&r);
	n = query(q, 'a', 'x');
	CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, n));
	mt_wake_turn(r.w);
	CU_ASSERT_EQUAL(rung(&r), 0);
	n = query(q, 'o', 'x');
	for (int i = 0; i < 3; i++) {
		CU_ASSERT_TRUE(datagram(&r, &r.addr, 53, q, n));
		mt_wake_turn(r.w);
	}
	CU_ASSERT_EQUAL(rung(&r), 1);
	mt_worker_heard(r.w);
	mt_wake_turn(r.w);
	CU_ASSERT_EQUAL(rung(&r), 0);
	fakes[0].proxy_asks++;
	mt_wake_turn(r.w);
	CU_ASSERT_EQUAL(rung(&r), 1);
	rig_fini(&r);
}

const struct mt_test names_tests[] = {{"datagrams", datagrams}, {"passed_on", passed_on},
	{"questions_ring", questions_ring}, {"too_fast", too_fast},
	{"one_client_too_fast", one_client_too_fast}, {"amplifies_nothing", amplifies_nothing},
	{"amplifies_nothing_of_others", amplifies_nothing_of_others},
	{"one_network_too_fast", one_network_too_fast}, {"strangers", strangers},
	{"who_listens", who_listens}, {"streams", streams}, {"streams_wait", streams_wait},
	{"streams_end", streams_end},
	{"streams_end_behind_questions", streams_end_behind_questions}, {0}};
