/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of calls: who gets how many, and that nothing that becomes of one is ever the call's. */
#include "mirror_scene.h"
#include "scene.h"

#include "mt_authz.h"
#include "mt_lend.h"
#include "mt_proxy_priv.h"

#include <string.h>

static void is_whole(uint32_t len)
{
	static uint8_t call[20000], copy[20000];
	struct fake_conn *c, *m;
	struct toy q;

	mirror_start(0, 1000000);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 7, len);
	CU_ASSERT_EQUAL(mt_proxy_copies(lab.p), 1);
	m = mirror_connected(true, 0);
	CU_ASSERT_EQUAL(lab_take(mirror_connected(false, 0), call, len), len);
	CU_ASSERT_EQUAL(lab_take(m, copy, len), len);
	q = toy_parse(copy, len);
	CU_ASSERT_EQUAL(q.kind, 'Q');
	CU_ASSERT_NOT_EQUAL(q.id, 7);
	CU_ASSERT_EQUAL(memcmp(call, copy, 8), 0);
	CU_ASSERT_EQUAL(memcmp(call + 16, copy + 16, len - 16), 0);
	/* The mirror is first; nobody hears of that. */
	scene_answer(m, q.id, 0x66, 40);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	CU_ASSERT_EQUAL(mt_proxy_copies(lab.p), 0);
	scene_answer(mirror_server_of(false, 0), toy_parse(call, len).id, 0x51, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x51);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_answered), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_started), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_closed), 0);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, 0)->requests, 1);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, 0)->ok, 1);
	CU_ASSERT_EQUAL(mt_proxy_ep_stats(lab.p, MIRROR_AT)->requests, 1);
	scene_bye(c);
	mirror_stop();
}

/* Buffers of the long one are shared with the call, whose id is another one. */
static void test_whole(void)
{
	is_whole(300);
	is_whole(20000);
}

/* Of so many calls, how many copies come; none of it depends on what is answered. */
static uint64_t copies_of(uint32_t ppm, uint32_t n)
{
	struct fake_conn *c;
	uint64_t made;

	mirror_start(0, ppm);
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < n; i++) {
		struct fake_conn *m;

		scene_send_request(c, 'Q', i, 64);
		mirror_answered(c, i);
		m = mirror_server_of(true, 0);
		if (!m)
			continue;
		if (!m->connected)
			lab_connect(m);
		scene_answer(m, scene_next_sent(m).id, 0, 40);
	}
	made = scene_counted(MT_PROXY_mirror_started);
	CU_ASSERT_EQUAL(made, scene_counted(MT_PROXY_mirror_answered));
	scene_bye(c);
	mirror_stop();
	return made;
}

/* Five standard deviations of a binomial distribution are 102. */
static void test_share(void)
{
	const uint64_t some = copies_of(300000, 2000);

	CU_ASSERT_TRUE(some > 600 - 102 && some < 600 + 102);
	CU_ASSERT_EQUAL(copies_of(1000000, 300), 300);
	CU_ASSERT_EQUAL(copies_of(1, 300), 0);
}

/* Nobody listens there, and nothing is tried twice. */
static void test_refused(void)
{
	struct fake_conn *c;

	mirror_start(0, 1000000);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	mirror_answered(c, 1);
	lab_close(mirror_server_of(true, 0), MT_CLOSE_REFUSED);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_failed), 1);
	CU_ASSERT_EQUAL(mt_proxy_copies(lab.p), 0);
	lab.refuse_open = true;
	scene_send_request(c, 'Q', 2, 64);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_failed), 2);
	mirror_answered(c, 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_retried), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_no_endpoint), 0);
	scene_bye(c);
	mirror_stop();
}

/* It takes calls and answers none: as many copies as may be wait for it, for as long as a call may take. */
static void test_silent(void)
{
	struct fake_conn *c;

	mirror_start(0, 1000000);
	c = lab_client(CONFIG_SAFE);
	for (uint64_t i = 0; i < 100; i++) {
		scene_send_request(c, 'Q', i, 64);
		mirror_answered(c, i);
		mirror_connected(true, 0);
	}
	CU_ASSERT_EQUAL(lab.p->conf.mirror_max, 64);
	CU_ASSERT_EQUAL(mt_proxy_copies(lab.p), 64);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_full), 36);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_EQUAL(mt_proxy_copies(lab.p), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_failed), 64);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_timeout), 0);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, 0)->timeouts, 0);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	scene_bye(c);
	mirror_stop();
}

/* It never connects: the bytes that wait for it are bounded, too, and are nobody's of the clients. */
static void test_bytes_bounded(void)
{
	const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .mirror_bytes = 100000};
	struct fake_conn *c;

	scene_start_with(1, &conf);
	mirror_in(lab.snap, 0, 1000000);
	c = lab_client(CONFIG_SAFE);
	for (uint64_t i = 0; i < 10; i++) {
		scene_send_request(c, 'Q', i, 20000);
		mirror_answered(c, i);
		CU_ASSERT_TRUE(lab.p->mirror.bytes <= 100000 + 25000);
	}
	CU_ASSERT_TRUE(scene_counted(MT_PROXY_mirror_full) >= 5);
	CU_ASSERT_TRUE(scene_counted(MT_PROXY_mirror_started) >= 4);
	CU_ASSERT_EQUAL(lab_holds(c).of[MT_CLASS_WAITING], 0);
	scene_bye(c);
	lab_advance(2 * MT_SEC);
	mirror_stop();
}

/* What the mirror provably has not read is not sent to it again. */
static void test_reset(void)
{
	struct fake_conn *c, *m;

	mirror_start(0, 1000000);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	m = mirror_connected(true, 0);
	m->stopped = true;
	m->end.pos.sent = 0;
	lab_close(m, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_failed), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_transparent_retry), 0);
	CU_ASSERT_PTR_NULL(mirror_server_of(true, 0));
	mirror_answered(c, 1);
	scene_bye(c);
	mirror_stop();
}

/* Copies take no place of a client's connection, and to drop their replies takes no memory. */
static void test_no_client(void)
{
	enum { LEN = 40 };
	struct fake_conn *c, *m;
	uint64_t ids[2];

	mirror_start(0, 1000000);
	c = lab_client(CONFIG_SAFE);
	for (uint64_t i = 0; i < 2; i++)
		scene_send_request(c, 'Q', i, 64);
	m = mirror_connected(true, 0);
	CU_ASSERT_EQUAL(mt_proxy_copies(lab.p), 2);
	CU_ASSERT_EQUAL(lab.p->downs.in_use, 1);
	for (uint32_t i = 0; i < 2; i++)
		ids[i] = scene_next_sent(m).id;
	for (uint32_t i = 0; i < 2; i++)
		toy_make(scene_buf + i * LEN, 'P', ids[i], "call", LEN);
	CU_ASSERT_EQUAL(mt_chain_write(&m->s.rx, &lab.pools, scene_buf, 2 * LEN), 0);
	scene_starve();
	m->s.user->readable(&m->s);
	scene_relieve();
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_answered), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_no_memory), 0);
	for (uint64_t i = 0; i < 2; i++)
		mirror_answered(c, i);
	scene_bye(c);
	mirror_stop();
}

/* A connection of one call at a time: each copy has one, and its time-out is the end of that one only. */
static void test_serial(void)
{
	struct fake_conn *c, *m;
	uint64_t id;

	mirror_start(2, 1000000);
	c = lab_client(CONFIG_SERIAL);
	scene_send_request(c, 'Q', 1, 64);
	mirror_answered(c, 1);
	scene_send_request(c, 'Q', 2, 64);
	mirror_answered(c, 2);
	m = mirror_connected(true, 0);
	mirror_connected(true, 1);
	id = scene_next_sent(m).id;
	scene_answer(m, id, 0, 40);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_FALSE(m->aborted);
	CU_ASSERT_PTR_NULL(mirror_server_of(true, 1));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_answered), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_failed), 1);
	CU_ASSERT_FALSE(mirror_connected(false, 0)->aborted);
	scene_bye(c);
	mirror_stop();
}

/* Methods that may be one-way: a copy's connection is its own, whatever its client calls next. */
static void test_named(void)
{
	struct fake_conn *c;

	mirror_start(3, 1000000);
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	scene_send_request(c, 'Q', 2, 64);
	CU_ASSERT_PTR_NOT_NULL(mirror_server_of(true, 1));
	CU_ASSERT_PTR_NULL(mirror_server_of(false, 1));
	for (uint32_t i = 0; i < 2; i++)
		scene_next_sent(mirror_connected(true, i));
	mirror_answered(c, 1);
	mirror_answered(c, 2);
	lab_advance(20 * MT_SEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_failed), 2);
	scene_bye(c);
	mirror_stop();
}

/* A long answer is read to its end, or breaks off: it is one answer. */
static void test_long_answers(void)
{
	for (int breaks = 0; breaks < 2; breaks++) {
		struct fake_conn *c, *m;
		uint64_t id;

		mirror_start(0, 1000000);
		c = lab_client(CONFIG_SAFE);
		scene_send_request(c, 'Q', 1, 64);
		m = mirror_connected(true, 0);
		id = scene_next_sent(m).id;
		toy_make(scene_buf, 'P', id, "done", 200000);
		lab_feed(m, scene_buf, breaks ? 100000 : 200000);
		CU_ASSERT_EQUAL(m->s.rx.len, 0);
		if (breaks)
			lab_close(m, MT_CLOSE_RESET);
		CU_ASSERT_EQUAL(mt_proxy_copies(lab.p), 0);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_answered), 1);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_truncated), 0);
		mirror_answered(c, 1);
		scene_bye(c);
		mirror_stop();
	}
}

static void test_oneway(void)
{
	struct fake_conn *c;

	mirror_start(0, 1000000);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'O', 1, 64);
	CU_ASSERT_EQUAL(scene_next_sent(mirror_connected(true, 0)).kind, 'O');
	CU_ASSERT_EQUAL(scene_next_sent(mirror_connected(false, 0)).kind, 'O');
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_oneway), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway), 1);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, 0)->oneway, 1);
	scene_bye(c);
	mirror_stop();
}

/* What is not copied, and why. */
static void test_not_copied(void)
{
	struct fake_conn *c, *s;

	mirror_start(0, 1000000);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 70000);
	s = mirror_connected(false, 0);
	CU_ASSERT_EQUAL(scene_next_sent(s).id, 1); /* it has the connection alone */
	scene_answer(s, 1, 0x51, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 0x51);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_too_long), 1);
	mt_proxy_pressure(lab.p, 25);
	scene_send_request(c, 'Q', 2, 64);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_full), 1);
	mt_proxy_pressure(lab.p, 100);
	lab.snap->clusters[1].n_eps = 0;
	scene_send_request(c, 'Q', 3, 64);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_no_endpoint), 1);
	lab.snap->clusters[1].n_eps = 1;
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_started), 0);
	CU_ASSERT_PTR_NULL(mirror_server_of(true, 0));
	for (uint64_t i = 2; i <= 3; i++) {
		s = mirror_connected(false, 1);
		scene_answer(s, scene_next_sent(s).id, 0x51, 40);
		CU_ASSERT_EQUAL(scene_next_sent(c).id, i);
	}
	scene_bye(c);
	mirror_stop();
}

/* ---- who may call ----------------------------------------------------------------------------------- */

static struct mt_authz_value value;
static struct mt_authz_cond cond = {.field = MT_AUTHZ_PEER, .n_values = 1, .values = &value};
static const struct mt_authz_conds conds = {&cond, 1};
static const struct mt_authz_rule rule = {.to = (struct mt_authz_conds *)&conds, .n_to = 1};
static const struct mt_authz_policy deny = {.action = MT_AUTHZ_DENY,
	.by = "P a/b",
	.rules = (struct mt_authz_rule *)&rule,
	.n_rules = 1};
static const struct mt_authz_policy *policies[] = {&deny};
static const struct mt_authz guard = {.deny = policies, .n_deny = 1};

/* A rule that denies the caller denies his copies, too; it is his address that it is asked about. */
static void test_policy(void)
{
	static const struct mt_authz *guards[] = {&guard};
	static const char *const nets[] = {"192.0.2.0/24", "192.0.3.0/24"};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(nets); i++) {
		struct fake_conn *c;

		mirror_start(0, 1000000);
		CU_ASSERT_EQUAL_FATAL(mt_prefix_parse(nets[i], &value.net, &value.bits), 0);
		lab.snap->clusters[1].guards = guards;
		mirror_ep.guarded = true;
		c = lab_client(CONFIG_SAFE);
		scene_send_request(c, 'Q', 1, 64);
		CU_ASSERT_EQUAL(mirror_server_of(true, 0) != NULL, i == 1);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_denied), i == 0);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_denied), 0);
		mirror_answered(c, 1);
		scene_bye(c);
		lab_advance(2 * MT_SEC);
		mirror_stop();
	}
}

/* Who is known by his port alone is the same for a copy. */
static void test_policy_by_port(void)
{
	static const struct mt_bound lives = {.addr = {.b = {[10] = 0xff, 0xff, 192, 0, 2, 2}},
		.port = 3,
		.principal = "td/ns/a/sa/b"};
	static const struct mt_authz *guards[] = {&guard};
	struct fake_conn *c;

	mirror_start(0, 1000000);
	cond.field = MT_AUTHZ_NAMESPACE;
	value.text = (struct mt_slice){(const uint8_t *)"a", 1};
	lab.snap->bound = &lives;
	lab.snap->n_bound = 1;
	lab.entry = 4;
	lab.snap->clusters[1].guards = guards;
	mirror_ep.guarded = true;
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_denied), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_started), 0);
	mirror_answered(c, 1);
	scene_bye(c);
	lab_advance(2 * MT_SEC);
	cond.field = MT_AUTHZ_PEER;
	lab.entry = 0;
	mirror_stop();
}

/* A call that its own endpoint's policy denies was taken by nobody: there is nothing to copy, whether it is told so or not. */
static void test_not_taken(void)
{
	static const struct mt_authz *guards[CONFIG_EPS] = {&guard};

	for (uint32_t oneway = 0; oneway < 2; oneway++) {
		struct fake_conn *c;

		mirror_start(0, 1000000);
		CU_ASSERT_EQUAL_FATAL(mt_prefix_parse("192.0.2.0/24", &value.net, &value.bits), 0);
		lab.snap->clusters[0].guards = guards;
		lab.snap->clusters[0].eps[0].guarded = true;
		c = lab_client(CONFIG_SAFE);
		scene_send_request(c, oneway ? 'O' : 'Q', 1, 64);
		if (!oneway)
			CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_DENIED);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_denied), 1);
		CU_ASSERT_EQUAL(lab_n_servers(), 0);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_started), 0);
		scene_bye(c);
		mirror_stop();
	}
}

/* So is a call that is refused because too many wait for its endpoint. */
static void test_none_of_a_refused_call(void)
{
	enum { CALLS = 3 };
	struct fake_conn *c[CALLS];

	mirror_start(2, 1000000);
	lab.snap->clusters[0].max_connections = lab.snap->clusters[0].max_pending = 1;
	for (uint64_t i = 0; i < CALLS; i++) {
		c[i] = lab_client(CONFIG_SERIAL);
		scene_send_request(c[i], 'Q', i, 64);
	}
	CU_ASSERT_EQUAL(scene_next_sent(c[CALLS - 1]).first, MT_REPLY_OVERLOAD);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_started), CALLS - 1);
	for (uint32_t i = 0; i < CALLS; i++)
		lab_close(c[i], MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	mirror_stop();
}

/* A limit in the mirror's place lets no more copies through than it would calls. */
static uint32_t left;

static enum mt_filter_verdict lets_some(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	return left ? left--, MT_FILTER_NEXT : MT_FILTER_REPLY;
}

static void test_limit(void)
{
	static const struct mt_filter type = {.name = "limit", .on_request = lets_some};
	static const struct mt_filter_inst limit = {.type = &type};
	static const struct mt_authz limited = {.limit = &limit};
	static const struct mt_authz *guards[] = {&limited};
	struct fake_conn *c;

	mirror_start(0, 1000000);
	left = 2;
	lab.snap->clusters[1].guards = guards;
	mirror_ep.guarded = true;
	c = lab_client(CONFIG_SAFE);
	for (uint64_t i = 0; i < 5; i++) {
		scene_send_request(c, 'Q', i, 64);
		mirror_answered(c, i);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_started), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_denied), 3);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, 0)->limited, 0);
	scene_bye(c);
	lab_advance(2 * MT_SEC);
	mirror_stop();
}

/* The node's identity is shown for whom it is lent to, which a copy's nobody never is. */
static void test_lending(void)
{
	static struct mt_lend_prefix clients = {.bits = 24};
	static const struct mt_lend nobody, some = {.prefixes = &clients, .n_prefixes = 1};

	for (int lent = 0; lent < 2; lent++) {
		struct fake_conn *c;

		mirror_start(0, 1000000);
		mt_addr_parse("192.0.2.0", &clients.addr);
		lab.snap->clusters[1].lend = lent ? &some : &nobody;
		c = lab_client(CONFIG_SAFE);
		scene_send_request(c, 'Q', 1, 64);
		CU_ASSERT_EQUAL(mirror_server_of(true, 0) != NULL, lent);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_denied), !lent);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_no_node_identity), 0);
		mirror_answered(c, 1);
		scene_bye(c);
		lab_advance(2 * MT_SEC);
		mirror_stop();
	}
}

/* ---- while copies are out ----------------------------------------------------------------------------- */

/* Another configuration, which the old one has to make room for: they end under it. */
static void test_swap(void)
{
	struct mt_cluster old;
	struct mt_snapshot *s;
	struct fake_conn *c, *m;

	mirror_start(0, 1000000);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	m = mirror_connected(true, 0);
	scene_send_request(c, 'Q', 2, 64);
	old = lab.snap->clusters[1];
	s = config_make(2, 2, 1, true);
	mirror_in(s, 0, 1000000);
	s->keep_from = 2;
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
	mt_cluster_release(&old);
	config_free(0);
	mirror_answered(c, 1);
	mirror_answered(c, 2);
	scene_answer(m, scene_next_sent(m).id, 0, 40);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_answered), 1);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_failed), 1);
	scene_bye(c);
	lab.snap = s;
	mirror_stop();
	config_free(2);
}

/* A drain does not wait for them. */
static void test_drain(void)
{
	struct fake_conn *c;

	mirror_start(0, 1000000);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	mirror_connected(true, 0);
	mt_proxy_drain(lab.p);
	lab_advance(MT_MSEC);
	CU_ASSERT_FALSE(mt_proxy_idle(lab.p));
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 'D');
	mirror_answered(c, 1);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(mt_proxy_copies(lab.p), 1);
	CU_ASSERT_TRUE(mt_proxy_idle(lab.p));
	lab_advance(2 * MT_SEC);
	mirror_stop();
}

/* Clients have their places, and so have copies. */
static void test_places(void)
{
	const struct mt_proxy_conf conf = {
		.max_down = 2, .max_up = 64, .max_exchanges = 4, .mirror_max = 2};
	struct fake_conn *c[2];

	scene_start_with(1, &conf);
	mirror_in(lab.snap, 0, 1000000);
	c[0] = lab_client(CONFIG_SAFE);
	for (uint64_t i = 0; i < 4; i++)
		scene_send_request(c[0], 'Q', i, 64);
	CU_ASSERT_EQUAL(mt_proxy_copies(lab.p), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_overload), 0);
	c[1] = lab_client(CONFIG_SAFE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c[1]);
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_SAFE));
	for (uint64_t i = 0; i < 4; i++)
		mirror_answered(c[0], i);
	scene_bye(c[0]);
	scene_bye(c[1]);
	lab_advance(2 * MT_SEC);
	mirror_stop();
}

static void test_several(void)
{
	struct fake_conn *c;

	mirror_start(0, 1000000);
	((struct mt_route_action *)mt_route_at(
		 lab.snap->listeners[0].protos->services[0]->routes, 0))
		->n_mirrors = 3;
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	for (int i = 0; i < 3; i++) {
		struct fake_conn *m = mirror_connected(true, 0);

		scene_answer(m, scene_next_sent(m).id, 0, 40);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_answered), 3);
	mirror_answered(c, 1);
	scene_bye(c);
	mirror_stop();
}

const struct mt_test mirror_tests[] = {
	{"mirror: the whole call", test_whole},
	{"mirror: shares", test_share},
	{"mirror: refused", test_refused},
	{"mirror: silent", test_silent},
	{"mirror: bytes that wait are bounded", test_bytes_bounded},
	{"mirror: reset", test_reset},
	{"mirror: no client", test_no_client},
	{"mirror: one call at a time", test_serial},
	{"mirror: named methods", test_named},
	{"mirror: long answers", test_long_answers},
	{"mirror: one-way", test_oneway},
	{"mirror: what is not copied", test_not_copied},
	{"mirror: policy", test_policy},
	{"mirror: policy by port", test_policy_by_port},
	{"mirror: not taken", test_not_taken},
	{"mirror: none of a refused call", test_none_of_a_refused_call},
	{"mirror: limit", test_limit},
	{"mirror: lending", test_lending},
	{"mirror: another configuration", test_swap},
	{"mirror: drain", test_drain},
	{"mirror: places", test_places},
	{"mirror: several", test_several},
	{0},
};
