/* SPDX-License-Identifier: Apache-2.0 */
/* Client connections that we end: what was acknowledged is served, whatever is still to come is not acknowledged. */
#include "scene.h"

#include "mt_proxy_priv.h"
#include "mt_tls_priv.h"

static struct fake_conn *c, *s;

static void begin(uint16_t port)
{
	scene_start(1);
	scene_patient();
	c = lab_client(port);
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
}

static void hears(void)
{
	while (scene_next_sent(c).kind)
		;
}

static void answer(void)
{
	scene_answer(s, scene_next_sent(s).id, 0x11, 40);
}

static void is_told(void)
{
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'D');
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_goaway_sent), 1);
}

static void drain(void)
{
	mt_proxy_drain(lab.p);
	lab_advance(MT_MSEC);
}

static void has_ended(void)
{
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_TRUE(c->refuses);
	scene_stop();
}

/* What comes until the client has heard that it should send no more is answered. */
static void test_served_until_quiet(void)
{
	begin(CONFIG_SAFE);
	answer();
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	drain();
	is_told();
	for (uint64_t i = 2; i < 7; i++) {
		lab_advance(900 * MT_MSEC);
		scene_send_request(c, 'Q', i, 64);
		answer();
		CU_ASSERT_EQUAL(scene_next_sent(c).id, i);
	}
	lab_advance(900 * MT_MSEC);
	CU_ASSERT_FALSE(c->detached);
	lab_advance(200 * MT_MSEC);
	has_ended();
}

/* No sooner than a second after its last call was answered, however long that took. */
static void test_slow_call(void)
{
	begin(CONFIG_SAFE);
	drain();
	is_told();
	lab_advance(8 * MT_SEC);
	CU_ASSERT_FALSE(c->detached);
	answer();
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	lab_advance(900 * MT_MSEC);
	CU_ASSERT_FALSE(c->detached);
	lab_advance(200 * MT_MSEC);
	has_ended();
}

/* Who has been quiet, and knows no word, is not waited for. */
static void test_quiet_already(void)
{
	begin(CONFIG_SERIAL);
	answer();
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	lab_advance(MT_SEC);
	drain();
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_goaway_sent), 0);
	has_ended();
}

/* Who never stops gets its FIN between two calls. */
static void test_never_quiet(void)
{
	uint64_t asked = 1, answered = 1;

	begin(CONFIG_SERIAL);
	answer();
	drain();
	for (int i = 0; i < 400 && !c->detached; i++) {
		scene_send_request(c, 'Q', ++asked, 64);
		lab_advance(50 * MT_MSEC);
		CU_ASSERT_FALSE(c->detached);
		scene_answer(s, scene_next_sent(s).id, 0x11, 40);
		answered++;
		hears();
	}
	CU_ASSERT(asked == answered && asked > 190);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), asked);
	has_ended();
}

/* Something is always owed: then it refuses first, and what it has taken is answered. */
static void test_always_owed(void)
{
	uint64_t asked = 1;

	begin(CONFIG_SAFE);
	drain();
	while (!c->refuses && asked < 400) {
		scene_send_request(c, 'Q', ++asked, 64);
		answer();
		hears();
		lab_advance(50 * MT_MSEC);
	}
	CU_ASSERT(asked > 290 && asked < 310);
	lab_advance(8 * MT_SEC);
	CU_ASSERT_FALSE(c->detached);
	answer();
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), asked);
	has_ended();
}

/* Never between two messages: it ends in the middle of one, behind what it is owed. */
static void test_always_in_a_message(void)
{
	begin(CONFIG_SAFE);
	answer();
	drain();
	toy_make(scene_buf, 'Q', 2, "call", 64);
	lab_feed(c, scene_buf, 40);
	for (int i = 0; i < 300 && !c->detached; i++) {
		uint8_t next[64];

		toy_make(next, 'Q', 3, "call", 64);
		memcpy(scene_buf, scene_buf + 40, 24);
		memcpy(scene_buf + 24, next, 40);
		lab_feed(c, scene_buf, 64);
		answer();
		hears();
		memcpy(scene_buf, next, 64);
		lab_advance(100 * MT_MSEC);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_drain_timeout), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered),
		scene_counted(MT_PROXY_exchange_started));
	has_ended();
}

/* The rest of a request that was taken goes on when there is memory again, also when nothing more is decoded. */
static void test_no_memory_meanwhile(void)
{
	enum { LEN = 200000, HALF = 100000 };
	struct fake_conn *t;
	uint32_t got;
	uint64_t id;

	begin(CONFIG_SAFE);
	answer();
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	toy_make(scene_buf, 'Q', 2, "call", LEN);
	toy_make(scene_buf + LEN, 'Q', 3, "call", 64);
	lab_feed(c, scene_buf, HALF);
	t = scene_connected_server(1);
	CU_ASSERT_EQUAL(t->sent.len, HALF);
	t->s.tx_high = 1;
	lab_feed(c, scene_buf + HALF, LEN - HALF + 64);
	CU_ASSERT_EQUAL(t->sent.len, HALF);
	drain();
	lab_advance(21 * MT_SEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_drain_timeout), 1);
	scene_starve();
	got = lab_take(t, scene_buf, SCENE_BUF);
	id = toy_parse(scene_buf, SCENE_BUF).id;
	got += lab_take(t, scene_buf, SCENE_BUF);
	CU_ASSERT(got > HALF && got < LEN); /* its last buffer has the next request in it, too */
	for (int i = 0; i < 5; i++)
		lab_advance(20 * MT_MSEC);
	scene_relieve();
	lab_advance(20 * MT_MSEC);
	got += lab_take(t, scene_buf, SCENE_BUF);
	CU_ASSERT_EQUAL(got, LEN);
	scene_answer(t, id, 0x22, 40);
	hears();
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), 2);
	has_ended();
}

/* A layer below has the begin of a record. */
static void test_more_is_coming(void)
{
	begin(CONFIG_SERIAL);
	answer();
	c->coming = true;
	drain();
	lab_advance(3 * MT_SEC);
	CU_ASSERT_FALSE(c->detached);
	scene_send_request(c, 'Q', 2, 64);
	c->coming = false;
	answer();
	scene_quiet();
	has_ended();
}

/* The same until the time when it refuses: what TCP has acknowledged of the record is not lost. */
static void test_more_is_coming_late(void)
{
	begin(CONFIG_SAFE);
	answer();
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	c->coming = true;
	drain();
	is_told();
	lab_advance(16 * MT_SEC); /* more than half of drain_ms */
	CU_ASSERT_FALSE(c->refuses);
	c->coming = false;
	scene_send_request(c, 'Q', 2, 64);
	answer();
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 2);
	scene_quiet();
	has_ended();
}

/* Without a call for an hour: at once, and what crosses the FIN is refused. */
static void test_idle(void)
{
	begin(CONFIG_SAFE);
	answer();
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	lab_advance(3601 * MT_SEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_idle), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_goaway_sent), 0);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	has_ended();
}

/* Bytes of which nothing can be made: those behind them are not acknowledged, either. */
static void test_malformed(void)
{
	begin(CONFIG_SAFE);
	answer();
	lab_feed(c, "this is nothing", 15);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_malformed), 0);
	lab_feed(c, "that anybody knows", 18);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_malformed), 1);
	has_ended();
}

/* ---- clients that would not be let in any more ---- */

static uint64_t context_id;

uint64_t __wrap_mt_tls_stream_context_id(const struct mt_stream *stream);

uint64_t __wrap_mt_tls_stream_context_id(const struct mt_stream *stream)
{
	(void)stream;
	return context_id;
}

static uint64_t old_root[] = {7}, both_roots[] = {7, 8}, new_root[] = {8}, gone[] = {30};
static struct mt_credential trusts[] = {{.trusted = {old_root, 1}}, {.trusted = {both_roots, 2}},
	{.trusted = {new_root, 1}}, {.trusted = {old_root, 1}, .revoked = {gone, 1}}};
static struct mt_tls_context judges[] = {{.refs = 1u << 30, .id = 1, .credential = &trusts[0]},
	{.refs = 1u << 30, .id = 2, .credential = &trusts[1]},
	{.refs = 1u << 30, .id = 3, .credential = &trusts[2]},
	{.refs = 1u << 30, .id = 4, .credential = &trusts[3]}};

static void judged_by(struct mt_snapshot *snap, uint32_t i)
{
	struct mt_listener *l =
		(struct mt_listener *)mt_snapshot_listener(snap, &c->t.local, CONFIG_SAFE);

	l->chains[0].tls = &judges[i];
	mt_listener_link(l);
}

static void changed_to(uint32_t i)
{
	struct mt_snapshot *snap = config_make(1, 2, 1, true);

	judged_by(snap, i);
	mt_proxy_adopt(lab.p, snap);
	lab_advance(MT_MSEC);
}

static void judged(void)
{
	static struct mt_tls_layer layer;
	static const struct mt_tls_peer who = {.principal = "spiffe://td/ns/a/sa/b",
		.certificate = true,
		.marks = {{5, 30}, {7, 31}},
		.n_marks = 2};

	begin(CONFIG_SAFE);
	lab.p->tls = &layer;
	scene_shown = &who;
	context_id = 1;
	judged_by(lab.snap, 0);
}

static void has_stayed(void)
{
	lab_advance(30 * MT_SEC);
	answer();
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	lab_advance(30 * MT_SEC);
	CU_ASSERT_FALSE(c->detached);
	scene_bye(c);
}

static void end_judged(void)
{
	scene_shown = NULL;
	lab.p->tls = NULL;
	scene_stop();
	config_free(1);
}

static void test_root_added(void)
{
	judged();
	changed_to(1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_tls_outdated), 0);
	has_stayed();
	end_judged();
}

/* The client goes on calling, and is closed between two calls a third of drain_ms later. */
static void is_closed_after_a_third(void)
{
	uint64_t asked = 1;

	for (; !c->detached && asked < 400; asked++) {
		scene_send_request(c, 'Q', asked + 1, 64);
		answer();
		hears();
		lab_advance(50 * MT_MSEC);
	}
	CU_ASSERT(asked > 190 && asked < 210);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), asked);
	CU_ASSERT_TRUE(c->refuses);
}

/* It is served for as long as a drain may take, and no longer. */
static void test_root_taken_away(void)
{
	judged();
	answer();
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	changed_to(2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_tls_outdated), 1);
	is_told();
	is_closed_after_a_third();
	end_judged();
}

/* The worker's own drain may have begun, with more time or without any. */
static void test_root_taken_away_while_leaving(void)
{
	static const uint32_t times[] = {24 * 3600 * 1000, 0};

	for (size_t i = 0; i < MT_ARRAY_LEN(times); i++) {
		judged();
		answer();
		CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
		mt_proxy_leave(lab.p, times[i]);
		lab_advance(MT_MSEC);
		is_told();
		changed_to(2);
		is_closed_after_a_third();
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_goaway_sent), 1);
		end_judged();
	}
}

/* The call that is under way is answered, none is served any more. */
static void test_revoked(void)
{
	judged();
	changed_to(3);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_revoked), 1);
	is_told();
	answer();
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	scene_send_request(c, 'Q', 2, 64);
	CU_ASSERT_EQUAL(s->sent.len, 0);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_DENIED);
	scene_send_request(c, 'O', 3, 64);
	CU_ASSERT_EQUAL(s->sent.len, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway_lost), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), 3);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_denied), 1);
	scene_quiet();
	CU_ASSERT_TRUE(c->detached);
	end_judged();
}

/* ---- another chain ----------------------------------------------------------------------------------- */

static const char *const mesh_alpn[] = {"istio"};
static struct mt_prefix elsewhere = {.bits = 128};

/* The chain of the next configuration; tls: its place in `judges`, or none. */
static void chain_becomes(const struct mt_filter_chain_match *m, int tls, bool other_service)
{
	struct mt_snapshot *snap = config_make(1, 2, 1, true);
	struct mt_listener *l =
		(struct mt_listener *)mt_snapshot_listener(snap, &c->t.local, CONFIG_SAFE);

	l->chains[0].match = *m;
	l->chains[0].tls = tls < 0 ? NULL : &judges[tls];
	if (other_service)
		l->protos[0].services[0]->id++;
	mt_listener_link(l);
	mt_proxy_adopt(lab.p, snap);
	lab_advance(MT_MSEC);
}

static void is_served_until_its_end(void)
{
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_chain_changed), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), 0);
	is_told();
	answer();
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	for (uint64_t i = 2; i < 7; i++) {
		lab_advance(900 * MT_MSEC);
		scene_send_request(c, 'Q', i, 64);
		answer();
		CU_ASSERT_EQUAL(scene_next_sent(c).id, i);
	}
	scene_quiet();
	CU_ASSERT_TRUE(c->detached && c->refuses);
}

static void is_not_served(uint32_t orphans, uint32_t condemned, uint8_t reply)
{
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_chain_changed), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), orphans);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_revoked), condemned);
	is_told();
	answer();
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x11);
	scene_send_request(c, 'Q', 2, 64);
	CU_ASSERT_EQUAL(s->sent.len, 0);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, reply);
	scene_quiet();
	CU_ASSERT_TRUE(c->detached);
}

/*
 * An endpoint without a sidecar has replaced one with a sidecar, so that all clients must use TLS,
 * by the same rules.
 */
static void test_chain_changed(void)
{
	static const struct mt_filter_chain_match all = {0}, tls = {.transport = MT_TRANSPORT_TLS},
						  mesh = {.transport = MT_TRANSPORT_TLS,
							  .alpn = mesh_alpn,
							  .n_alpn = 1};
	static const struct mt_filter_chain_match *const to[] = {&tls, &mesh};

	for (size_t i = 0; i < MT_ARRAY_LEN(to); i++) {
		judged();
		chain_becomes(to[i], 0, false);
		is_served_until_its_end();
		end_judged();
	}
	/* Certificates are not requested any more. */
	judged();
	chain_becomes(&all, -1, false);
	is_served_until_its_end();
	end_judged();
	/* Clients in clear text, and their chain has another match. */
	begin(CONFIG_SAFE);
	chain_becomes(&(struct mt_filter_chain_match){.transport = MT_TRANSPORT_PLAIN}, -1, false);
	is_served_until_its_end();
	scene_stop();
	config_free(1);
}

static void test_chain_of_others(void)
{
	static const struct mt_filter_chain_match tls = {.transport = MT_TRANSPORT_TLS},
						  others = {.src = &elsewhere, .n_src = 1};

	judged();
	chain_becomes(&tls, 3, false);
	is_not_served(0, 1, MT_REPLY_DENIED);
	end_judged();
	judged();
	chain_becomes(&others, 0, false);
	is_not_served(1, 0, MT_REPLY_NO_ROUTE);
	end_judged();
	judged();
	chain_becomes(&tls, 0, true);
	is_not_served(1, 0, MT_REPLY_NO_ROUTE);
	end_judged();
	/* Clear text where TLS is required, ended here or passed through. */
	for (int end = 0; end >= -1; end--) {
		begin(CONFIG_SAFE);
		chain_becomes(&tls, end, false);
		is_not_served(1, 0, MT_REPLY_NO_ROUTE);
		scene_stop();
		config_free(1);
	}
}

const struct mt_test drain_tests[] = {
	{"chain changed", test_chain_changed},
	{"chain of others", test_chain_of_others},
	{"served until quiet", test_served_until_quiet},
	{"a slow call", test_slow_call},
	{"quiet already", test_quiet_already},
	{"never quiet", test_never_quiet},
	{"always owed", test_always_owed},
	{"always in a message", test_always_in_a_message},
	{"no memory meanwhile", test_no_memory_meanwhile},
	{"more is coming", test_more_is_coming},
	{"more is coming late", test_more_is_coming_late},
	{"idle", test_idle},
	{"malformed", test_malformed},
	{"a root added", test_root_added},
	{"a root taken away", test_root_taken_away},
	{"a root taken away while the worker leaves", test_root_taken_away_while_leaving},
	{"revoked", test_revoked},
	{NULL, NULL},
};
