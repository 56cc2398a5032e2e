/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "fake_tcp.h"
#include "mt_test.h"
#include "random_test.h"

#include <stdio.h>

#include <rte_eal.h>

#define BUF (1 << 20)

static uint8_t buf[BUF];
static uint32_t data_full, ctrl_full;

static void start_with(uint32_t n_eps, const struct mt_proxy_conf *conf)
{
	struct mt_pools pools = lab.pools;

	memset(&lab, 0, sizeof(lab));
	lab.pools = pools;
	lab.now = MT_SEC;
	config_reset_health();
	lab.snap = config_make(0, 1, n_eps, true);
	lab.p = mt_proxy_create(conf, 0, 1, &lab.pools, 42, lab.now);
	MT_ASSERT(lab.p);
	mt_proxy_begin(lab.p, lab.now, 0);
	mt_proxy_adopt(lab.p, lab.snap);
	lab_advance(1);
}

static void start(uint32_t n_eps)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096};

	start_with(n_eps, &conf);
}

/* Everything must be given back: objects, mbufs, holds on the snapshot. */
static void stop(void)
{
	lab_flush_detached();
	CU_ASSERT_EQUAL(lab.p->downs.in_use, 0);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	for (uint32_t i = 0; i < lab.n; i++)
		if (lab.conns[i].live)
			lab_close(&lab.conns[i], MT_CLOSE_OK);
	CU_ASSERT_EQUAL(lab.p->ups.in_use, 0);
	CU_ASSERT_EQUAL(lab.p->rings.in_use, 0);
	CU_ASSERT_EQUAL(config_holds(lab.p->snap == lab.snap ? random_generation() : 0),
		lab.p->snap == lab.snap ? 1 : 0);
	for (uint32_t i = 0; i < CONFIG_EPS; i++)
		CU_ASSERT_EQUAL(lab.p->lb.outstanding[i], 0);
	CU_ASSERT_EQUAL(lab.p->pending[0], 0);
	mt_pools_sample(&lab.pools);
	CU_ASSERT_EQUAL(lab.pools.data_free, data_full);
	CU_ASSERT_EQUAL(lab.pools.ctrl_free, ctrl_full);
	mt_proxy_destroy(lab.p);
	config_free(0);
}

static uint64_t counted(enum mt_proxy_outcome o)
{
	return lab.p->counters[o];
}

static void send_request(struct fake_conn *c, char kind, uint64_t id, uint32_t len)
{
	toy_make(buf, kind, id, "call", len);
	lab_feed(c, buf, len);
}

/* One message out of what was sent to c; kind 0 when there is none. */
static struct toy next_sent(struct fake_conn *c)
{
	struct toy t = {0};

	if (!c || c->sent.len < TOY_HEADER)
		return t;
	mt_chain_read(&c->sent, 0, buf, TOY_HEADER);
	t = toy_parse(buf, TOY_HEADER);
	if (c->sent.len < t.len)
		return (struct toy){0};
	lab_take(c, buf, t.len);
	return toy_parse(buf, BUF);
}

static void answer(struct fake_conn *server, uint64_t id, uint64_t token, uint32_t len)
{
	toy_make(buf, 'P', token, "done", len);
	memcpy(buf + 8,
		(uint8_t[8]){
			id >> 56, id >> 48, id >> 40, id >> 32, id >> 24, id >> 16, id >> 8, id},
		8);
	lab_feed(server, buf, len);
}

static void bye(struct fake_conn *c)
{
	lab_fin(c);
}

static void test_one_call(void)
{
	struct fake_conn *c, *s;
	struct toy q, r;

	start(1);
	c = lab_client(CONFIG_SAFE);
	send_request(c, 'Q', 7, 64);
	s = lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(s->sent.len, 0);
	lab_connect(s);
	q = next_sent(s);
	CU_ASSERT_EQUAL(q.kind, 'Q');
	CU_ASSERT_NOT_EQUAL(q.id, 7);
	CU_ASSERT_EQUAL(q.first, 7);
	answer(s, q.id, 9, 40);
	r = next_sent(c);
	CU_ASSERT_EQUAL(r.kind, 'P');
	CU_ASSERT_EQUAL(r.id, 7);
	CU_ASSERT_EQUAL(r.first, 9);
	CU_ASSERT_EQUAL(counted(MT_PROXY_exchange_answered), 1);
	bye(c);
	CU_ASSERT_TRUE(c->detached);
	stop();
}

/* Equal ids of two clients at the same moment, answers in reverse order: each gets its own. */
static void test_equal_ids(void)
{
	enum { N = 64 };
	struct fake_conn *c[2], *s;
	uint64_t ids[2 * N];

	start(1);
	c[0] = lab_client(CONFIG_SAFE);
	c[1] = lab_client(CONFIG_SAFE);
	for (int i = 0; i < N; i++)
		for (int k = 0; k < 2; k++)
			send_request(c[k], 'Q', (uint64_t)i, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	s = lab_server(0);
	lab_connect(s);
	for (int i = 0; i < 2 * N; i++)
		ids[i] = next_sent(s).id;
	for (int i = 2 * N - 1; i >= 0; i--)
		answer(s, ids[i], (uint64_t)(i % 2 ? 0xb0 : 0xa0), 40);
	for (int k = 0; k < 2; k++) {
		for (int i = N - 1; i >= 0; i--) {
			struct toy r = next_sent(c[k]);

			CU_ASSERT_EQUAL(r.id, (uint64_t)i);
			CU_ASSERT_EQUAL(r.first, k ? 0xb0 : 0xa0);
		}
		bye(c[k]);
	}
	stop();
}

static void test_split_everywhere(void)
{
	uint8_t m[2 * 64];

	for (uint32_t at = 1; at < sizeof(m); at++) {
		struct fake_conn *c, *s;
		uint64_t id[2];

		start(1);
		c = lab_client(CONFIG_SAFE);
		toy_make(m, 'Q', 1, "call", 64);
		toy_make(m + 64, 'Q', 2, "call", 64);
		lab_feed(c, m, at);
		lab_feed(c, m + at, sizeof(m) - at);
		s = lab_server(0);
		lab_connect(s);
		id[0] = next_sent(s).id;
		id[1] = next_sent(s).id;
		toy_make(m, 'P', id[0], "done", 64);
		toy_make(m + 64, 'P', id[1], "done", 64);
		lab_feed(s, m, at);
		lab_feed(s, m + at, sizeof(m) - at);
		CU_ASSERT_EQUAL(next_sent(c).id, 1);
		CU_ASSERT_EQUAL(next_sent(c).id, 2);
		bye(c);
		stop();
	}
}

static void test_oneway(void)
{
	struct fake_conn *c, *s;

	start(1);
	c = lab_client(CONFIG_SAFE);
	send_request(c, 'O', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	CU_ASSERT_EQUAL(next_sent(s).kind, 'O');
	CU_ASSERT_EQUAL(counted(MT_PROXY_exchange_oneway), 1);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	bye(c);
	CU_ASSERT_TRUE(c->detached);
	stop();
}

/* A late reply after the time-out meets a tombstone, never another call. */
static void test_timeout_tombstone(void)
{
	struct fake_conn *c, *s;
	struct toy r;
	uint64_t late, next;

	start(1);
	c = lab_client(CONFIG_SAFE);
	send_request(c, 'Q', 5, 64);
	s = lab_server(0);
	lab_connect(s);
	late = next_sent(s).id;
	lab_advance(2 * MT_SEC);
	r = next_sent(c);
	CU_ASSERT_EQUAL(r.status, 1);
	CU_ASSERT_EQUAL(r.first, MT_REPLY_TIMEOUT);
	CU_ASSERT_EQUAL(r.id, 5);
	send_request(c, 'Q', 5, 64);
	next = next_sent(s).id;
	CU_ASSERT_NOT_EQUAL(next, late);
	answer(s, late, 0xee, 40);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	CU_ASSERT_EQUAL(counted(MT_PROXY_up_late_reply), 1);
	answer(s, next, 0xcc, 40);
	CU_ASSERT_EQUAL(next_sent(c).first, 0xcc);
	answer(s, next, 0xdd, 40);
	CU_ASSERT_EQUAL(counted(MT_PROXY_up_unknown_reply), 1);
	bye(c);
	stop();
}

/* The caller's own time-out ends the call, with a grace, when no policy sets one. */
static void test_carried_timeout(void)
{
	struct fake_conn *c;

	start(1);
	lab.snap->listeners[0].services[0]->timeout_ms = 0;
	c = lab_client(CONFIG_SAFE);
	toy_make(buf, 'Q', 5, "0500", 64);
	lab_feed(c, buf, 64);
	lab_connect(lab_server(0));
	lab_advance(500 * MT_MSEC);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	lab_advance(500 * MT_MSEC);
	CU_ASSERT_EQUAL(next_sent(c).first, MT_REPLY_TIMEOUT);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

static void test_client_leaves(void)
{
	struct fake_conn *c, *s;
	uint64_t id;

	start(1);
	c = lab_client(CONFIG_SAFE);
	send_request(c, 'Q', 5, 64);
	s = lab_server(0);
	lab_connect(s);
	id = next_sent(s).id;
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	answer(s, id, 1, 40);
	CU_ASSERT_EQUAL(counted(MT_PROXY_up_late_reply), 1);
	CU_ASSERT_TRUE(s->live);
	stop();
}

/* The client leaves while its call waits for the connection. */
static void test_client_leaves_while_connecting(void)
{
	struct fake_conn *c, *s;

	for (int serial = 0; serial < 2; serial++) {
		start(1);
		c = lab_client(serial ? CONFIG_SERIAL : CONFIG_SAFE);
		send_request(c, 'Q', 5, 64);
		s = lab_server(0);
		lab_close(c, MT_CLOSE_RESET);
		lab_connect(s);
		CU_ASSERT_EQUAL(s->sent.len, 0);
		c = lab_client(serial ? CONFIG_SERIAL : CONFIG_SAFE);
		send_request(c, 'Q', 6, 64);
		CU_ASSERT_EQUAL(lab_n_servers(), 1);
		CU_ASSERT_EQUAL(next_sent(s).first, 6);
		lab_close(c, MT_CLOSE_RESET);
		stop();
	}
}

static void test_server_dies(void)
{
	static const enum mt_close_reason how[] = {MT_CLOSE_RESET, MT_CLOSE_TIMEOUT, MT_CLOSE_OK};

	for (size_t i = 0; i < MT_ARRAY_LEN(how); i++) {
		struct fake_conn *c, *s;
		struct toy r;

		start(1);
		c = lab_client(CONFIG_SAFE);
		send_request(c, 'Q', 5, 64);
		s = lab_server(0);
		lab_connect(s);
		next_sent(s);
		if (how[i] == MT_CLOSE_OK)
			lab_fin(s);
		else
			lab_close(s, how[i]);
		r = next_sent(c);
		CU_ASSERT_EQUAL(r.status, 1);
		CU_ASSERT_EQUAL(r.first, MT_REPLY_CONN_LOST);
		bye(c);
		stop();
	}
}

/* Connect fails at the first endpoint: the call was provably not read and goes to the second. */
static void test_retry_elsewhere(void)
{
	struct fake_conn *c, *s;

	start(2);
	c = lab_client(CONFIG_SAFE);
	send_request(c, 'Q', 5, 64);
	lab_close(lab_server(0), MT_CLOSE_REFUSED);
	CU_ASSERT_EQUAL(counted(MT_PROXY_exchange_retried), 1);
	s = lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	lab_connect(s);
	CU_ASSERT_EQUAL(next_sent(s).first, 5);
	lab_close(s, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(next_sent(c).first, MT_REPLY_CONN_LOST);
	/* Nobody left. */
	send_request(c, 'Q', 6, 64);
	while ((s = lab_server(0)))
		lab_close(s, MT_CLOSE_REFUSED);
	CU_ASSERT_EQUAL(next_sent(c).first, MT_REPLY_NO_ENDPOINT);
	bye(c);
	stop();
}

static void test_serial(void)
{
	struct fake_conn *c, *s[2];
	struct toy q[2];

	start(1);
	c = lab_client(CONFIG_SERIAL);
	send_request(c, 'Q', 1, 64);
	send_request(c, 'Q', 2, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	for (int i = 0; i < 2; i++) {
		s[i] = lab_server((uint32_t)i);
		lab_connect(s[i]);
		q[i] = next_sent(s[i]);
		CU_ASSERT_EQUAL(q[i].id, (uint64_t)i + 1);
	}
	/* The second is answered first, but the client gets replies in the order of its requests. */
	answer(s[1], 2, 0xb2, 40);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	answer(s[0], 1, 0xb1, 40);
	CU_ASSERT_EQUAL(next_sent(c).first, 0xb1);
	CU_ASSERT_EQUAL(next_sent(c).first, 0xb2);
	/* Both connections are idle and used again. */
	send_request(c, 'Q', 3, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	bye(c);
	CU_ASSERT_FALSE(c->detached);
	answer(s[s[0]->sent.len ? 0 : 1], 3, 0xb3, 40);
	CU_ASSERT_TRUE(c->detached);
	stop();
}

static void test_serial_timeout_closes(void)
{
	struct fake_conn *c, *s;

	start(1);
	c = lab_client(CONFIG_SERIAL);
	send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_EQUAL(next_sent(c).first, MT_REPLY_TIMEOUT);
	CU_ASSERT_TRUE(s->aborted);
	bye(c);
	stop();
}

/* A header and then silence never enters a shared connection. */
static void test_long_request_has_its_own_lane(void)
{
	enum { LEN = 200000 };
	struct fake_conn *c[2], *s;
	uint32_t got = 0;

	start(1);
	c[0] = lab_client(CONFIG_SAFE);
	c[1] = lab_client(CONFIG_SAFE);
	toy_make(buf, 'Q', 1, "call", LEN);
	lab_feed(c[0], buf, 1000);
	lab_connect(lab_server(0));
	CU_ASSERT_EQUAL(lab_server(0)->sent.len, 1000);
	send_request(c[1], 'Q', 2, 64);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 2);
	s = lab_server(1);
	lab_connect(s);
	CU_ASSERT_EQUAL(next_sent(s).first, 2);
	toy_make(buf, 'Q', 1, "call", LEN);
	for (uint32_t at = 1000; at < LEN; at += 9950)
		lab_feed(c[0], buf + at, MT_MIN(9950u, LEN - at));
	for (uint32_t n; (n = lab_take(lab_server(0), buf, BUF)) > 0;)
		got += n;
	CU_ASSERT_EQUAL(got, LEN);
	answer(lab_server(0), 1, 0x77, 50);
	CU_ASSERT_EQUAL(next_sent(c[0]).first, 0x77);
	lab_close(c[1], MT_CLOSE_RESET);
	bye(c[0]);
	CU_ASSERT_TRUE(c[0]->detached);
	stop();
}

/*
 * A long request comes faster than its server reads: what arrived meanwhile follows when there is room
 * again, although the client sends nothing more.
 */
static void test_long_request_to_a_slow_server(void)
{
	enum { LEN = 200000 };
	struct fake_conn *c, *s;
	uint32_t got = 0;

	start(1);
	c = lab_client(CONFIG_SAFE);
	toy_make(buf, 'Q', 1, "call", LEN);
	lab_feed(c, buf, 1000);
	s = lab_server(0);
	lab_connect(s);
	s->s.tx_high = 30000;
	for (uint32_t at = 1000; at < LEN; at += 9950)
		lab_feed(c, buf + at, MT_MIN(9950u, LEN - at));
	CU_ASSERT_TRUE(s->sent.len < LEN);
	for (uint32_t n; (n = lab_take(s, buf, BUF)) > 0;)
		got += n;
	CU_ASSERT_EQUAL(got, LEN);
	answer(s, 1, 0x77, 50);
	CU_ASSERT_EQUAL(next_sent(c).first, 0x77);
	bye(c);
	stop();
}

static void test_stalled_request(void)
{
	struct fake_conn *c;

	start(1);
	c = lab_client(CONFIG_SAFE);
	toy_make(buf, 'Q', 1, "call", 100000);
	lab_feed(c, buf, 1000);
	lab_connect(lab_server(0));
	lab_advance(11 * MT_SEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(counted(MT_PROXY_message_stalled), 1);
	c = lab_client(CONFIG_SAFE);
	lab_feed(c, buf, 3);
	lab_advance(11 * MT_SEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(counted(MT_PROXY_message_stalled), 2);
	stop();
}

/* All of a long request is there before its connection is: the connect moves every byte. */
static void test_long_request_before_connect(void)
{
	enum { LEN = 70000, PIECE = 1428 };
	struct fake_conn *c, *s;
	uint32_t got;

	start(1);
	c = lab_client(CONFIG_SAFE);
	toy_make(buf, 'Q', 1, "early", LEN);
	for (uint32_t at = 0; at < LEN; at += PIECE)
		lab_feed(c, buf + at, MT_MIN((uint32_t)PIECE, LEN - at));
	CU_ASSERT_EQUAL(counted(MT_PROXY_request_early), 1);
	s = lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	lab_connect(s);
	got = lab_take(s, buf, BUF);
	CU_ASSERT_EQUAL(got, LEN);
	CU_ASSERT_EQUAL(c->s.rx.len, 0);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

static void test_long_reply_cut_through(void)
{
	enum { LEN = 300000 };
	struct fake_conn *c, *s;
	uint32_t got = 0;
	uint64_t id;

	start(1);
	c = lab_client(CONFIG_SAFE);
	send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	id = next_sent(s).id;
	toy_make(buf, 'P', id, "done", LEN);
	for (uint32_t at = 0; at < LEN; at += 10000) {
		static uint8_t out[BUF];

		toy_make(buf, 'P', id, "done", LEN);
		lab_feed(s, buf + at, MT_MIN(10000u, LEN - at));
		got += lab_take(c, out, BUF);
		if (at == 0)
			CU_ASSERT_EQUAL(toy_parse(out, BUF).id, 1);
	}
	CU_ASSERT_EQUAL(got, LEN);
	CU_ASSERT_EQUAL(counted(MT_PROXY_reply_early), 1);
	send_request(c, 'Q', 2, 64);
	answer(s, next_sent(s).id, 0x55, 40);
	CU_ASSERT_EQUAL(next_sent(c).first, 0x55);
	bye(c);
	stop();
}

/* The server dies in the middle of a long reply: no native error can be put behind it. */
static void test_long_reply_broken(void)
{
	struct fake_conn *c, *s;
	uint64_t id;

	start(1);
	c = lab_client(CONFIG_SAFE);
	send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	id = next_sent(s).id;
	toy_make(buf, 'P', id, "done", 100000);
	lab_feed(s, buf, 70000);
	lab_close(s, MT_CLOSE_RESET);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(counted(MT_PROXY_reply_truncated), 1);
	stop();
}

/* Replies that are not read: requests stop being decoded, then the client is reset, others go on. */
static void test_slow_reader(void)
{
	struct fake_conn *slow, *ok, *s;
	uint32_t sent = 0;

	start(1);
	slow = lab_client(CONFIG_SAFE);
	ok = lab_client(CONFIG_SAFE);
	send_request(slow, 'Q', 0, 64);
	s = lab_server(0);
	lab_connect(s);
	while (slow->live && sent++ < 100) {
		struct toy q = next_sent(s);

		if (q.kind == 'Q')
			answer(s, q.id, 1, 20000);
		if (slow->live)
			send_request(slow, 'Q', sent, 64);
	}
	CU_ASSERT_TRUE(slow->s.tx_queued > lab.p->conf.reply_soft);
	CU_ASSERT_TRUE(counted(MT_PROXY_paused_budget) > 0);
	send_request(ok, 'Q', 3, 64);
	for (struct toy q; (q = next_sent(s)).kind;)
		answer(s, q.id, 0x44, 40);
	CU_ASSERT_EQUAL(next_sent(ok).first, 0x44);
	lab_advance(12 * MT_SEC);
	CU_ASSERT_TRUE(slow->aborted);
	CU_ASSERT_EQUAL(counted(MT_PROXY_slow_reader), 1);
	bye(ok);
	stop();
}

static void test_malformed(void)
{
	struct fake_conn *c;

	start(1);
	c = lab_client(CONFIG_SAFE);
	lab_feed(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_EQUAL(counted(MT_PROXY_malformed), 1);
	c = lab_client(CONFIG_SAFE);
	toy_make(buf, 'Q', 9, "call", TOY_HEADER);
	memcpy(buf + 4, "\x7f\xff\xff\xff", 4);
	lab_feed(c, buf, TOY_HEADER);
	CU_ASSERT_EQUAL(next_sent(c).first, MT_REPLY_BAD_REQUEST);
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_EQUAL(counted(MT_PROXY_oversized), 1);
	stop();
}

static void test_bad_reply(void)
{
	struct fake_conn *c, *s;

	start(1);
	c = lab_client(CONFIG_SAFE);
	send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	lab_feed(s, "garbage that is no reply", 24);
	CU_ASSERT_TRUE(s->aborted);
	CU_ASSERT_EQUAL(next_sent(c).first, MT_REPLY_BAD_REPLY);
	bye(c);
	stop();
}

static void test_heartbeats(void)
{
	struct fake_conn *c, *s;

	start(1);
	c = lab_client(CONFIG_SAFE);
	send_request(c, 'H', 3, TOY_HEADER);
	CU_ASSERT_EQUAL(next_sent(c).kind, 'h');
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	next_sent(s);
	send_request(s, 'H', 4, TOY_HEADER);
	CU_ASSERT_EQUAL(next_sent(s).kind, 'h');
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

/* The server asks for no new requests: old ones are answered there, new ones go to a new connection. */
static void test_drain_event(void)
{
	struct fake_conn *c, *s, *fresh;
	uint64_t id;

	start(1);
	c = lab_client(CONFIG_SAFE);
	send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	id = next_sent(s).id;
	send_request(s, 'D', 0, TOY_HEADER);
	send_request(c, 'Q', 2, 64);
	fresh = lab_server(1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fresh);
	lab_connect(fresh);
	CU_ASSERT_EQUAL(next_sent(fresh).first, 2);
	CU_ASSERT_TRUE(s->live && !s->detached);
	answer(s, id, 0x66, 40);
	CU_ASSERT_EQUAL(next_sent(c).first, 0x66);
	CU_ASSERT_TRUE(s->detached);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

/* A new snapshot while a call is out: nothing is lost, and the old one is let go. */
static void test_reload(void)
{
	struct fake_conn *c, *s, *gone;
	uint64_t id;

	start(1);
	c = lab_client(CONFIG_SAFE);
	gone = lab_client(CONFIG_SERIAL);
	send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	id = next_sent(s).id;
	mt_proxy_adopt(lab.p, config_make(1, 2, 1, false));
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(config_holds(0), 1); /* the call */
	CU_ASSERT_TRUE(gone->detached);	     /* its listener left */
	answer(s, id, 0x31, 40);
	CU_ASSERT_EQUAL(next_sent(c).first, 0x31);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	send_request(c, 'Q', 2, 64);
	CU_ASSERT_EQUAL(next_sent(s).first, 2);
	lab_close(c, MT_CLOSE_RESET);
	stop();
	config_free(1);
}

static void test_endpoint_removed(void)
{
	struct fake_conn *c, *s[2];

	start(2);
	c = lab_client(CONFIG_SAFE);
	send_request(c, 'Q', 1, 64);
	send_request(c, 'Q', 2, 64);
	for (uint32_t i = 0; i < 2; i++) {
		s[i] = lab_server(i);
		lab_connect(s[i]);
		answer(s[i], next_sent(s[i]).id, 1, 40);
	}
	mt_proxy_adopt(lab.p, config_make(1, 2, 1, true));
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_EQUAL(lab.p->lanes.in_use, 1);
	lab_close(c, MT_CLOSE_RESET);
	stop();
	config_free(1);
}

static void test_opaque(void)
{
	struct fake_conn *c, *s;
	char out[64];

	start(2);
	c = lab_client(CONFIG_OPAQUE);
	lab_feed(c, "early", 5);
	s = lab_server(0);
	lab_close(s, MT_CLOSE_REFUSED);
	s = lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	lab_connect(s);
	CU_ASSERT_EQUAL(lab_take(s, out, sizeof(out)), 5);
	lab_feed(s, "banner", 6);
	CU_ASSERT_EQUAL(lab_take(c, out, sizeof(out)), 6);
	lab_fin(c);
	CU_ASSERT_TRUE(s->shut);
	lab_feed(s, "after", 5);
	CU_ASSERT_EQUAL(lab_take(c, out, sizeof(out)), 5);
	lab_fin(s);
	CU_ASSERT_TRUE(c->shut);
	lab_close(s, MT_CLOSE_OK);
	CU_ASSERT_TRUE(c->detached);
	/* A reset passes as a reset, both ways. */
	c = lab_client(CONFIG_OPAQUE);
	s = lab_server(0);
	lab_connect(s);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_TRUE(s->aborted);
	c = lab_client(CONFIG_OPAQUE);
	s = lab_server(0);
	lab_connect(s);
	lab_close(s, MT_CLOSE_RESET);
	CU_ASSERT_TRUE(c->aborted);
	stop();
}

static void test_opaque_nobody(void)
{
	struct fake_conn *c, *s;

	start(2);
	c = lab_client(CONFIG_OPAQUE);
	while ((s = lab_server(0)))
		lab_close(s, MT_CLOSE_REFUSED);
	CU_ASSERT_TRUE(c->aborted);
	lab.refuse_open = true;
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_OPAQUE));
	CU_ASSERT_EQUAL(counted(MT_PROXY_opaque_no_endpoint), 2);
	stop();
}

static void test_idle_upstream_closes(void)
{
	struct fake_conn *c, *s;

	start(1);
	c = lab_client(CONFIG_SAFE);
	send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	answer(s, next_sent(s).id, 1, 40);
	lab_advance(90 * MT_SEC);
	CU_ASSERT_TRUE(s->detached);
	CU_ASSERT_EQUAL(counted(MT_PROXY_up_idle), 1);
	bye(c);
	stop();
}

static uint64_t suspended;

static enum mt_filter_verdict suspend_first(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	suspended = ctx->token;
	return MT_FILTER_SUSPEND;
}

static enum mt_filter_verdict pass_on(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	(*(int *)f->conf)++;
	return MT_FILTER_NEXT;
}

/* A filter suspends a call: resumed with the next filter, answered, timed out, left by its client. */
static void test_suspend(void)
{
	static const struct mt_filter waits = {.name = "waits", .on_request = suspend_first};
	static const struct mt_filter passes = {.name = "passes", .on_request = pass_on};
	struct fake_conn *c, *s;
	int passed = 0;
	struct mt_filter_inst chain[] = {{&waits, NULL}, {&passes, &passed}};

	start(1);
	lab.snap->listeners[0].services[0]->filters = chain;
	lab.snap->listeners[0].services[0]->n_filters = 2;
	c = lab_client(CONFIG_SAFE);
	send_request(c, 'Q', 1, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	mt_proxy_resume(lab.p, suspended, MT_FILTER_NEXT, 0, NULL);
	CU_ASSERT_EQUAL(passed, 1);
	s = lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	lab_connect(s);
	answer(s, next_sent(s).id, 0x21, 40);
	CU_ASSERT_EQUAL(next_sent(c).first, 0x21);
	mt_proxy_resume(lab.p, suspended, MT_FILTER_NEXT, 0, NULL);
	send_request(c, 'Q', 2, 64);
	mt_proxy_resume(lab.p, suspended, MT_FILTER_REPLY, MT_REPLY_DENIED, "no");
	CU_ASSERT_EQUAL(next_sent(c).first, MT_REPLY_DENIED);
	send_request(c, 'Q', 3, 64);
	lab_advance(301 * MT_SEC);
	CU_ASSERT_EQUAL(next_sent(c).first, MT_REPLY_TIMEOUT);
	send_request(c, 'Q', 4, 64);
	lab_close(c, MT_CLOSE_RESET);
	mt_proxy_resume(lab.p, suspended, MT_FILTER_NEXT, 0, NULL);
	CU_ASSERT_EQUAL(passed, 1);
	stop();
}

static void test_drain(void)
{
	struct fake_conn *c, *s;
	uint64_t id;

	start(1);
	c = lab_client(CONFIG_SAFE);
	send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	id = next_sent(s).id;
	mt_proxy_drain(lab.p);
	CU_ASSERT_FALSE(mt_proxy_idle(lab.p));
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_SAFE));
	answer(s, id, 0x12, 40);
	CU_ASSERT_EQUAL(next_sent(c).first, 0x12);
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_TRUE(mt_proxy_idle(lab.p));
	stop();
}

static void random_seeds(uint64_t from, uint64_t to, bool pools)
{
	for (uint64_t seed = from; seed < to; seed++) {
		uint32_t before = CU_get_number_of_failures();

		start(1 + seed % CONFIG_EPS);
		random_run(seed, 3000, pools);
		lab.snap = lab.p->snap;
		if (random_generation() == 1)
			CU_ASSERT_EQUAL(config_holds(0), 0);
		stop();
		config_free(1);
		if (CU_get_number_of_failures() != before)
			fprintf(stderr, "failing seed: %lu\n", (unsigned long)seed);
	}
}

static void test_random(void)
{
	random_seeds(1, 60, false);
}

static void test_random_pools(void)
{
	random_seeds(1000, 1040, true);
}

static const struct mt_test tests[] = {
	{"one call", test_one_call},
	{"equal ids", test_equal_ids},
	{"split everywhere", test_split_everywhere},
	{"oneway", test_oneway},
	{"timeout leaves a tombstone", test_timeout_tombstone},
	{"carried timeout", test_carried_timeout},
	{"client leaves", test_client_leaves},
	{"client leaves while connecting", test_client_leaves_while_connecting},
	{"server dies", test_server_dies},
	{"retry elsewhere", test_retry_elsewhere},
	{"serial", test_serial},
	{"serial timeout", test_serial_timeout_closes},
	{"long request has its own lane", test_long_request_has_its_own_lane},
	{"long request to a slow server", test_long_request_to_a_slow_server},
	{"stalled request", test_stalled_request},
	{"a long request before its connection", test_long_request_before_connect},
	{"long reply", test_long_reply_cut_through},
	{"long reply broken", test_long_reply_broken},
	{"slow reader", test_slow_reader},
	{"malformed", test_malformed},
	{"bad reply", test_bad_reply},
	{"heartbeats", test_heartbeats},
	{"drain event", test_drain_event},
	{"reload", test_reload},
	{"endpoint removed", test_endpoint_removed},
	{"opaque", test_opaque},
	{"opaque nobody", test_opaque_nobody},
	{"idle upstream", test_idle_upstream_closes},
	{"suspended calls", test_suspend},
	{"drain", test_drain},
	{"random", test_random},
	{"random with empty pools", test_random_pools},
	{0},
};

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"proxy", tests}, {0}};
	char *eal[] = {"unit", "--no-huge", "-m", "128", "--no-pci", "--no-telemetry",
		"--no-shconf", "--log-level=error", "-l", "0"};
	int rc;

	if (rte_eal_init(MT_ARRAY_LEN(eal), eal) < 0 || mt_buf_init() ||
		mt_pools_init(&lab.pools, "t", 4096, 4096, MT_BUF_DATA_ROOM, SOCKET_ID_ANY)) {
		fprintf(stderr, "EAL does not start\n");
		return EXIT_FAILURE;
	}
	mt_pools_sample(&lab.pools);
	data_full = lab.pools.data_free;
	ctrl_full = lab.pools.ctrl_free;
	rc = mt_test_main(suites, argc, argv);
	mt_pools_fini(&lab.pools);
	return rc;
}
