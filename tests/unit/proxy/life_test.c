/* SPDX-License-Identifier: Apache-2.0 */
/* Malformed input, heartbeats, reload, byte streams, draining, and anything at random. */
#include "scene.h"

#include "mt_proxy_priv.h"
#include "random_test.h"

#include <stdio.h>

static void test_malformed(void)
{
	struct fake_conn *c;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	lab_feed(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27);
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_malformed), 1);
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 9, "call", TOY_HEADER);
	memcpy(scene_buf + 4, "\x7f\xff\xff\xff", 4);
	lab_feed(c, scene_buf, TOY_HEADER);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_BAD_REQUEST);
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_oversized), 1);
	scene_stop();
}

static void test_bad_reply(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	lab_feed(s, "garbage that is no reply", 24);
	CU_ASSERT_TRUE(s->aborted);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_BAD_REPLY);
	scene_bye(c);
	scene_stop();
}

static void test_heartbeats(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'H', 3, TOY_HEADER);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'h');
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	scene_send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	scene_next_sent(s);
	scene_send_request(s, 'H', 4, TOY_HEADER);
	CU_ASSERT_EQUAL(scene_next_sent(s).kind, 'h');
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* The server asks for no new requests: old ones are answered there, new ones go to a new connection. */
static void test_drain_event(void)
{
	struct fake_conn *c, *s, *fresh;
	uint64_t id;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	id = scene_next_sent(s).id;
	scene_send_request(s, 'D', 0, TOY_HEADER);
	scene_send_request(c, 'Q', 2, 64);
	fresh = lab_server(1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(fresh);
	lab_connect(fresh);
	CU_ASSERT_EQUAL(scene_next_sent(fresh).first, 2);
	CU_ASSERT_TRUE(s->live && !s->detached);
	scene_answer(s, id, 0x66, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x66);
	CU_ASSERT_TRUE(s->detached);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* What happens to endpoints is told to who asks for it, each once. */
static void test_asides(void)
{
	struct fake_conn *c, *s;
	struct mt_ep_event a;
	uint64_t missed;

	scene_start(1);
	for (int i = 0; i < 3; i++) {
		lab_client(CONFIG_OPAQUE);
		CU_ASSERT_FALSE(mt_proxy_ep_event(lab.p, &a, &missed));
		lab_close(lab_server(0), MT_CLOSE_REFUSED);
	}
	CU_ASSERT_TRUE(mt_proxy_ep_event(lab.p, &a, &missed));
	CU_ASSERT_EQUAL(a.what, MT_EP_EVENT_EJECTED);
	CU_ASSERT_STRING_EQUAL(a.why, mt_close_reason_str(MT_CLOSE_REFUSED));
	CU_ASSERT(a.times == 1 && a.failures == 0 && a.port != 0);
	CU_ASSERT(a.at == lab.p->now && a.until == a.at + 5 * MT_SEC);
	CU_ASSERT_FALSE(mt_proxy_ep_event(lab.p, &a, &missed));
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	scene_send_request(s, 'D', 0, TOY_HEADER);
	scene_send_request(s, 'D', 0, TOY_HEADER);
	CU_ASSERT_TRUE(mt_proxy_ep_event(lab.p, &a, &missed));
	CU_ASSERT_EQUAL(a.what, MT_EP_EVENT_LEAVING);
	CU_ASSERT_FALSE(mt_proxy_ep_event(lab.p, &a, &missed));
	CU_ASSERT_EQUAL(missed, 0);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/*
 * The endpoint is connected to in another way since the connection was opened, so its failure does
 * not count.
 */
static void test_failures_of_another_way(void)
{
	struct mt_ep_state *e;

	scene_start(1);
	e = lab.snap->clusters[0].eps[0].state;
	for (int i = 0; i < 6; i++) {
		lab_client(CONFIG_OPAQUE);
		mt_ep_talk(e, i < 3 ? 7 : 0);
		lab_close(lab_server(0), MT_CLOSE_REFUSED);
		CU_ASSERT_EQUAL(mt_ep_ejected(e, lab.p->now), i == 5);
	}
	scene_stop();
}

/*
 * Another Meltemi refuses the trial call: the endpoint returns. If the endpoint has returned
 * before, the refusal is no success, so failures since then still count.
 */
static void test_refused_trial(void)
{
	for (int before = 0; before < 2; before++) {
		struct fake_conn *c, *s;
		struct mt_ep_state *e;

		scene_start(1);
		scene_patient();
		e = lab.snap->clusters[0].eps[0].state;
		for (int i = 0; i < 3; i++)
			mt_ep_failed(e, lab.now);
		lab_advance(6 * MT_SEC);
		c = lab_client(CONFIG_SAFE);
		scene_send_request(c, 'Q', 1, 64);
		s = scene_connected_server(0);
		CU_ASSERT_EQUAL(lab.p->lb.counters[MT_UPSTREAM_trial], 1);
		CU_ASSERT_TRUE(mt_ep_on_trial(e));
		if (before) {
			mt_ep_returned(e, lab.now);
			mt_ep_failed(e, lab.now);
		}
		toy_make(scene_buf, 'P', scene_next_sent(s).id, "done", 40);
		scene_buf[2] = TOY_REFUSED;
		lab_feed(s, scene_buf, 40);
		CU_ASSERT_EQUAL(scene_next_sent(c).status, TOY_REFUSED);
		CU_ASSERT_EQUAL(lab.p->lb.counters[MT_UPSTREAM_returned], !before);
		CU_ASSERT_FALSE(mt_ep_is_out(e));
		CU_ASSERT_EQUAL(e->recent != 0, before);
		lab_close(c, MT_CLOSE_RESET);
		scene_stop();
	}
}

/* Nobody asks: what finds no place is counted, and the ring goes on behind it. */
static void test_asides_missed(void)
{
	struct mt_ep_event a;
	uint64_t missed = 0;
	uint32_t n = 0;

	scene_start(1);
	for (uint16_t i = 0; i < 2 * MT_EP_EVENTS; i++) {
		struct mt_ep_state e = {0};
		const struct mt_ep_where at = {.port = i, .codec = &toy_opaque_codec};

		for (int k = 0; k < 3; k++)
			mt_ep_blame(lab.p, &e, NULL, &at, MT_CLOSE_RESET, NULL);
	}
	for (; mt_proxy_ep_event(lab.p, &a, &missed); n++)
		CU_ASSERT_EQUAL(a.port, n);
	CU_ASSERT_EQUAL(n, MT_EP_EVENTS);
	CU_ASSERT_EQUAL(missed, MT_EP_EVENTS);
	scene_stop();
}

/* The last call on a draining connection is not answered: nobody waits for its reply. */
static void test_drain_after_timeout(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	scene_send_request(s, 'D', 0, TOY_HEADER);
	CU_ASSERT_TRUE(s->live && !s->detached);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_TIMEOUT);
	CU_ASSERT_TRUE(s->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_drained), 1);
	scene_bye(c);
	scene_stop();
}

/* A new snapshot while a call is out: nothing is lost, and the old one is let go. */
static void test_reload(void)
{
	struct fake_conn *c, *s, *gone;
	uint64_t id;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	gone = lab_client(CONFIG_SERIAL);
	scene_send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	id = scene_next_sent(s).id;
	mt_proxy_adopt(lab.p, config_make(1, 2, 1, false));
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(config_holds(0), 1); /* the call */
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), 1);
	CU_ASSERT_FALSE(gone->detached);
	scene_send_request(gone, 'Q', 7, 64); /* its listener left, and says so */
	CU_ASSERT_EQUAL(scene_next_sent(gone).first, MT_REPLY_NO_ROUTE);
	scene_bye(gone);
	scene_answer(s, id, 0x31, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x31);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	scene_send_request(c, 'Q', 2, 64);
	CU_ASSERT_EQUAL(scene_next_sent(s).first, 2);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
	config_free(1);
}

/* A reload lets the calls of a serial protocol share a connection. */
static void test_reload_multiplexing(void)
{
	struct fake_conn *c, *s;
	struct mt_snapshot *next;

	scene_start(1);
	c = lab_client(CONFIG_SERIAL);
	scene_send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	scene_answer(s, scene_next_sent(s).id, 0x31, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x31);
	next = config_make(1, 2, 1, true);
	next->clusters[0].multiplexing = true;
	mt_proxy_adopt(lab.p, next);
	lab_advance(MT_MSEC);
	scene_send_request(c, 'Q', 2, 64);
	scene_send_request(c, 'Q', 3, 64);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 2);
	s = lab_server(1);
	lab_connect(s);
	CU_ASSERT_EQUAL(scene_next_sent(s).first, 2);
	CU_ASSERT_EQUAL(scene_next_sent(s).first, 3);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
	config_free(1);
}

static void test_endpoint_removed(void)
{
	struct fake_conn *c, *s[2];

	scene_start(2);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	scene_send_request(c, 'Q', 2, 64);
	for (uint32_t i = 0; i < 2; i++) {
		s[i] = lab_server(i);
		lab_connect(s[i]);
		scene_answer(s[i], scene_next_sent(s[i]).id, 1, 40);
	}
	mt_proxy_adopt(lab.p, config_make(1, 2, 1, true));
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_EQUAL(lab.p->lanes.in_use, 1);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
	config_free(1);
}

static void test_opaque(void)
{
	const struct mt_service_stats *st;
	struct fake_conn *c, *s;
	char out[64];

	scene_start(2);
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
	st = mt_proxy_service_stats(lab.p, 1);
	CU_ASSERT_EQUAL(st->requests, 1);
	CU_ASSERT_EQUAL(st->ok, 1);
	CU_ASSERT_EQUAL(mt_service_local_replies(st), 0);
	CU_ASSERT_EQUAL(st->bytes_in, strlen("early"));
	CU_ASSERT_EQUAL(st->bytes_out, strlen("banner") + strlen("after"));
	/* A reset passes as a reset, both ways. */
	c = lab_client(CONFIG_OPAQUE);
	s = lab_server(0);
	lab_connect(s);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_TRUE(s->aborted);
	c = lab_client(CONFIG_OPAQUE);
	s = lab_server(0);
	lab_connect(s);
	lab_feed(s, "bye", 3);
	lab_close(s, MT_CLOSE_RESET);
	CU_ASSERT_FALSE(c->aborted); /* before it has what came */
	CU_ASSERT_EQUAL(lab_take(c, out, sizeof(out)), 3);
	CU_ASSERT_TRUE(c->aborted);
	scene_stop();
}

/* Its endpoint is of the old snapshot, which stays until the connection is there, and no longer. */
static void test_opaque_reload(void)
{
	struct fake_conn *c, *s;

	scene_start(2);
	c = lab_client(CONFIG_OPAQUE);
	s = lab_server(0);
	mt_proxy_adopt(lab.p, config_make(1, 2, 2, true));
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(config_holds(0), 1);
	lab_close(s, MT_CLOSE_REFUSED);
	CU_ASSERT_EQUAL(config_holds(0), 1);
	s = lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	lab_connect(s);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
	config_free(1);
}

static void test_opaque_nobody(void)
{
	struct fake_conn *c, *s;

	scene_start(2);
	c = lab_client(CONFIG_OPAQUE);
	while ((s = lab_server(0)))
		lab_close(s, MT_CLOSE_REFUSED);
	CU_ASSERT_TRUE(c->aborted);
	lab.refuse_open = true;
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_OPAQUE));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_no_endpoint), 2);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, 1)->requests, 2);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, 1)->ok, 0);
	CU_ASSERT_EQUAL(mt_service_local_replies(mt_proxy_service_stats(lab.p, 1)), 2);
	scene_stop();
}

/* Its bytes count for what its address names now, whatever number that has; for nobody when it names nothing. */
static void test_opaque_numbers(void)
{
	struct mt_snapshot *next;
	struct fake_conn *c, *s;
	char out[8];

	scene_start(1);
	c = lab_client(CONFIG_OPAQUE);
	s = lab_server(0);
	lab_connect(s);
	lab_feed(c, "one", 3);
	CU_ASSERT_EQUAL(lab_take(s, out, sizeof(out)), 3);
	next = config_make(1, 2, 1, true);
	next->listeners[1].protos->services[0]->index = 7;
	next->listeners[0].protos->services[0]->index = 1;
	mt_proxy_adopt(lab.p, next);
	lab_feed(c, "later", 5);
	CU_ASSERT_EQUAL(lab_take(s, out, sizeof(out)), 5);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, 1)->bytes_in, 3);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, 7)->bytes_in, 5);
	next = config_make(2, 3, 1, true);
	next->listeners[1].protos->n_services = 0;
	mt_proxy_adopt(lab.p, next);
	lab_feed(c, "nobody", 6);
	CU_ASSERT_EQUAL(lab_take(s, out, sizeof(out)), 6);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, 1)->bytes_in, 3);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, 7)->bytes_in, 5);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
	config_free(1);
	config_free(2);
}

static void test_idle_upstream_closes(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	scene_answer(s, scene_next_sent(s).id, 1, 40);
	lab_advance(90 * MT_SEC);
	CU_ASSERT_TRUE(s->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_idle), 1);
	scene_bye(c);
	scene_stop();
}

static struct mt_filter_ticket suspended;

static enum mt_filter_verdict suspend_first(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	suspended = mt_filter_ticket_of(ctx);
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
	struct mt_filter_inst chain[] = {{.type = &waits}, {.type = &passes, .conf = &passed}};

	scene_start(1);
	scene_filters(chain, 2);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	scene_complete(&suspended, MT_FILTER_NEXT, NULL);
	CU_ASSERT_EQUAL(passed, 1);
	s = lab_server(0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	lab_connect(s);
	scene_answer(s, scene_next_sent(s).id, 0x21, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x21);
	scene_complete(&suspended, MT_FILTER_NEXT, NULL);
	scene_send_request(c, 'Q', 2, 64);
	scene_complete(&suspended, MT_FILTER_REPLY, "no");
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_DENIED);
	scene_send_request(c, 'Q', 3, 64);
	lab_advance(301 * MT_SEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_TIMEOUT);
	scene_send_request(c, 'Q', 4, 64);
	lab_close(c, MT_CLOSE_RESET);
	scene_complete(&suspended, MT_FILTER_NEXT, NULL);
	CU_ASSERT_EQUAL(passed, 1);
	scene_stop();
}

static void test_drain(void)
{
	struct fake_conn *c, *s;
	uint64_t id;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = lab_server(0);
	lab_connect(s);
	id = scene_next_sent(s).id;
	mt_proxy_drain(lab.p);
	CU_ASSERT_EQUAL(mt_proxy_next(lab.p), lab.now);
	lab_advance(MT_MSEC);
	CU_ASSERT_FALSE(mt_proxy_idle(lab.p));
	/* Refused at its SYN: the handshake does not come to its end. */
	CU_ASSERT_EQUAL(mt_proxy_listen_ops.lookup(lab.p, &c->t.local, CONFIG_SAFE), -1);
	CU_ASSERT_EQUAL(mt_proxy_listen_ops.lookup(lab.p, &c->t.local, 1), -1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_draining), 1);
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_SAFE));
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'D');
	scene_answer(s, id, 0x12, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x12);
	CU_ASSERT_FALSE(mt_proxy_idle(lab.p));
	scene_quiet();
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_TRUE(mt_proxy_idle(lab.p));
	scene_stop();
}

/* Every request of a service is in one of the columns that `show services` has of its ends. */
static void ends_add_up(void)
{
	for (uint32_t i = 0; i < 8; i++) {
		const struct mt_service_stats *st = mt_proxy_service_stats(lab.p, i);

		CU_ASSERT_EQUAL(st->requests, st->ok + st->app_error + st->proto_error +
						      mt_service_local_replies(st) + st->oneway +
						      st->client_left + st->cut_off);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_snapshot_lost), 0);
}

static void random_seeds(uint64_t from, uint64_t to, bool pools)
{
	uint64_t waited = 0;

	for (uint64_t seed = from; seed < to; seed++) {
		uint32_t before = CU_get_number_of_failures();

		scene_start(1 + seed % CONFIG_EPS);
		random_run(seed, 3000, pools);
		ends_add_up();
		lab.snap = lab.p->snap;
		if (random_generation() == 1)
			CU_ASSERT_EQUAL(config_holds(0), 0);
		CU_ASSERT_EQUAL(lab.p->on_demand.calls.n, 0);
		CU_ASSERT_EQUAL(lab.p->on_demand.bytes, 0);
		waited += scene_counted(MT_PROXY_demand_waited);
		scene_stop();
		config_free(1);
		if (CU_get_number_of_failures() != before)
			fprintf(stderr, "failing seed: %lu\n", (unsigned long)seed);
	}
	/* Some calls of each seed found a cluster that is only a name. */
	CU_ASSERT(waited > 10 * (to - from));
}

static void test_random(void)
{
	random_seeds(1, 60, false);
}

static void test_random_pools(void)
{
	random_seeds(1000, 1040, true);
}

static uint32_t told(struct fake_conn **c, uint32_t n)
{
	uint32_t gone = 0;

	for (uint32_t i = 0; i < n; i++)
		gone += c[i]->sent.len > 0;
	return gone;
}

/* Many clients are not wound up in one turn, but all within a few. */
static void test_drain_in_slices(void)
{
	enum { CLIENTS = 500 };
	static struct fake_conn *c[CLIENTS];
	uint32_t before = 0, turns = 0;

	scene_start_with(1, &(struct mt_proxy_conf){.max_down = CLIENTS});
	for (uint32_t i = 0; i < CLIENTS; i++)
		c[i] = lab_client(CONFIG_SAFE);
	mt_proxy_drain(lab.p);
	while (before < CLIENTS && turns < 10) {
		uint32_t now;

		lab_advance(MT_MSEC);
		now = told(c, CLIENTS);
		CU_ASSERT_TRUE(now - before <= 256);
		before = now;
		turns++;
	}
	CU_ASSERT_EQUAL(turns, 2);
	scene_quiet();
	CU_ASSERT_TRUE(mt_proxy_idle(lab.p));
	scene_stop();
}

/* Bytes and messages to one endpoint, by turns: neither ends the other's connections. */
static void test_bytes_beside_messages(void)
{
	struct fake_conn *c, *bytes, *s;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 1, 64);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 1);
	bytes = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	CU_ASSERT_TRUE_FATAL(s->live && !s->detached);
	scene_connected_server(1);
	scene_send_request(c, 'Q', 2, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	scene_answer(s, scene_next_sent(s).id, 2, 64);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 2);
	CU_ASSERT_EQUAL(lab.p->lanes.in_use, 2);
	lab_close(bytes, MT_CLOSE_RESET);
	CU_ASSERT_PTR_NOT_NULL(lab_client(CONFIG_OPAQUE));
	CU_ASSERT_EQUAL(lab.p->lanes.in_use, 2);
	for (uint32_t i = 0; i < lab.n; i++)
		if (lab.conns[i].live && lab.conns[i].accepted)
			lab_close(&lab.conns[i], MT_CLOSE_RESET);
	scene_stop();
}

const struct mt_test life_tests[] = {
	{"malformed", test_malformed},
	{"bad reply", test_bad_reply},
	{"heartbeats", test_heartbeats},
	{"drain event", test_drain_event},
	{"what happens to endpoints", test_asides},
	{"failures of another way", test_failures_of_another_way},
	{"a refused trial", test_refused_trial},
	{"nobody asks what happens to endpoints", test_asides_missed},
	{"drain event and no answer", test_drain_after_timeout},
	{"reload", test_reload},
	{"reload of multiplexing", test_reload_multiplexing},
	{"reload while a byte stream connects", test_opaque_reload},
	{"endpoint removed", test_endpoint_removed},
	{"opaque", test_opaque},
	{"opaque numbers", test_opaque_numbers},
	{"opaque nobody", test_opaque_nobody},
	{"bytes beside messages", test_bytes_beside_messages},
	{"idle upstream", test_idle_upstream_closes},
	{"suspended calls", test_suspend},
	{"drain", test_drain},
	{"drain in slices", test_drain_in_slices},
	{"random", test_random},
	{"random with empty pools", test_random_pools},
	{0},
};
