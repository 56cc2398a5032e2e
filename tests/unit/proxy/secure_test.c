/* SPDX-License-Identifier: Apache-2.0 */
/* Connections to servers that TLS is asked for, and callers for whom the node's identity is not shown. */
#include "scene.h"

#include "mt_lend.h"
#include "mt_proxy_priv.h"
#include "mt_tls_priv.h"

static struct mt_tls_context contexts[] = {
	{.refs = 1u << 30, .id = 1}, {.refs = 1u << 30, .id = 1}, {.refs = 1u << 30, .id = 2}};
static const struct mt_lend nobody;
static const struct mt_lend_prefix anywhere[] = {{.addr = {.b = {[10] = 0xff, 0xff}}}};
static const struct mt_lend everybody = {.prefixes = anywhere, .n_prefixes = 1};
static const struct mt_lend_prefix clients[] = {{.bits = 24}};

bool __real_mt_tls_stream_worn(const struct mt_stream *s);
bool __wrap_mt_tls_stream_worn(const struct mt_stream *s);
static bool worn;

/* Streams of these tests are not TLS's. */
bool __wrap_mt_tls_stream_worn(const struct mt_stream *s)
{
	return worn;
}

static void secure(struct mt_snapshot *s, uint32_t n, struct mt_tls_context *context)
{
	s->clusters[0].tls = context;
	for (uint32_t i = 0; i < n; i++)
		s->clusters[0].eps[i].tls = true;
}

static void is_answered(struct fake_conn *c, enum mt_local_reply what)
{
	struct toy t = scene_next_sent(c);

	CU_ASSERT_EQUAL(t.status, 1);
	CU_ASSERT_EQUAL(t.first, what);
}

/* Nothing goes in clear text where TLS is asked for. */
static void test_no_layer(void)
{
	struct fake_conn *c;

	scene_start(2);
	secure(lab.snap, 2, &contexts[0]);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 7, 64);
	lab_advance(MT_SEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	is_answered(c, MT_REPLY_NO_ENDPOINT);
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_OPAQUE));
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	scene_bye(c);
	scene_stop();
}

static void test_lent_to_nobody(void)
{
	struct fake_conn *c;

	scene_start(2);
	lab.snap->clusters[0].lend = &nobody;
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 7, 64);
	is_answered(c, MT_REPLY_DENIED);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_no_node_identity), 1);
	scene_line_is("403 - meltemi:no_node_identity");
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_OPAQUE));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_no_node_identity), 1);
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, 1)->local[MT_ENDING_no_identity], 1);
	scene_line_is("0 - meltemi:no_node_identity");
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	scene_bye(c);
	scene_stop();
}

/* The second endpoint is for everybody. */
static struct mt_cluster make_others(const struct mt_cluster *all)
{
	struct mt_cluster c = *all;

	c.eps = all->eps + 1;
	c.n_eps = 1;
	c.lend = NULL;
	memset(&c.maglev, 0, sizeof(c.maglev));
	memset(&c.ring, 0, sizeof(c.ring));
	memset(&c.wseq, 0, sizeof(c.wseq));
	CU_ASSERT_EQUAL_FATAL(mt_cluster_build(&c), 0);
	return c;
}

/* Which endpoints so many calls come to, as bits. */
static uint32_t called(struct fake_conn *c, uint32_t n)
{
	uint32_t seen = 0;

	for (uint32_t i = 0; i < n; i++) {
		scene_send_request(c, 'Q', i, 64);
		for (uint32_t k = 0; k < lab_n_servers(); k++) {
			struct fake_conn *s = lab_server(k);
			struct toy t;

			if (!s->connected)
				lab_connect(s);
			while ((t = scene_next_sent(s)).kind) {
				seen |= 1u << (s->t.remote.b[15] - 1);
				scene_answer(s, t.id, 1, 40);
			}
		}
		CU_ASSERT_EQUAL(scene_next_sent(c).status, 0);
	}
	return seen;
}

/* Whoever comes by a gateway has the node's identity. */
static void test_gateway(void)
{
	struct fake_conn *c, *o;
	uint32_t n;

	scene_start(2);
	lab.snap->clusters[0].lend = &nobody;
	for (uint32_t i = 0; i < lab.snap->n_services; i++)
		lab.snap->services[i]->gateway = true;
	c = lab_client(CONFIG_SAFE);
	CU_ASSERT_NOT_EQUAL(called(c, 1), 0);
	n = lab_n_servers();
	o = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(o);
	CU_ASSERT_EQUAL(lab_n_servers(), n + 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_no_node_identity), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_no_node_identity), 0);
	/* On the same connection, by the same cluster and snapshot, another service. */
	for (uint32_t i = 0; i < lab.snap->n_services; i++)
		lab.snap->services[i]->gateway = false;
	scene_send_request(c, 'Q', 7, 64);
	is_answered(c, MT_REPLY_DENIED);
	lab_close(o, MT_CLOSE_RESET);
	scene_bye(c);
	scene_stop();
}

static void test_lent_to_some(void)
{
	struct mt_lend_prefix some = clients[0];
	struct mt_lend lend = {.prefixes = &some, .n_prefixes = 1};
	struct mt_cluster others;
	struct fake_conn *c;

	scene_start(2);
	others = make_others(&lab.snap->clusters[0]);
	lab.snap->clusters[0].lend = &lend;
	lab.snap->clusters[0].unlent = &others;
	c = lab_client(CONFIG_SAFE);
	mt_addr_parse("203.0.113.0", &some.addr);
	CU_ASSERT_EQUAL(called(c, 8), 2);
	/* Judged by what holds when he calls, also on a connection that is there. */
	lab.snap->version++;
	mt_addr_parse("192.0.2.0", &some.addr);
	CU_ASSERT_EQUAL(called(c, 8), 3);
	lab.snap->version++;
	mt_addr_parse("203.0.113.0", &some.addr);
	CU_ASSERT_EQUAL(called(c, 8), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_no_node_identity), 0);
	scene_bye(c);
	scene_stop();
	mt_cluster_release(&others);
}

/* A principal that others than the mesh's authorities have signed is nobody's. */
static void test_lent_to_members(void)
{
	static const char name[] = "td/ns/a/sa/b";
	const struct mt_slice who = {(const uint8_t *)name, sizeof(name) - 1};
	const struct mt_lend lend = {.principals = &who, .n_principals = 1};
	struct mt_tls_peer peer = {.principal = "spiffe://td/ns/a/sa/b", .certificate = true};
	struct fake_conn *c, *member;

	scene_start(2);
	/* Only asked whether it is there. */
	lab.p->tls = (struct mt_tls_layer *)&lab;
	lab.snap->clusters[0].lend = &lend;
	c = lab_client(CONFIG_SAFE);
	scene_shown = &peer;
	scene_send_request(c, 'Q', 7, 64);
	is_answered(c, MT_REPLY_DENIED);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	/* Who a connection's client is does not change: it is not asked again. */
	peer.member = true;
	scene_send_request(c, 'Q', 8, 64);
	is_answered(c, MT_REPLY_DENIED);
	member = lab_client(CONFIG_SAFE);
	scene_send_request(member, 'Q', 9, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	scene_shown = NULL;
	lab.p->tls = NULL;
	lab_close(c, MT_CLOSE_RESET);
	lab_close(member, MT_CLOSE_RESET);
	scene_stop();
}

/* Nor has who comes by another port the name of one who lives on a port of workloads. */
static void test_lent_to_workloads(void)
{
	static const char name[] = "td/ns/a/sa/b";
	static const struct mt_bound lives = {
		.addr = {.b = {[10] = 0xff, 0xff, 192, 0, 2, 2}}, .port = 3, .principal = name};
	const struct mt_slice who = {(const uint8_t *)name, sizeof(name) - 1};
	const struct mt_lend lend = {.principals = &who, .n_principals = 1};

	for (uint16_t entry = 3; entry <= 4; entry++) {
		struct fake_conn *c;

		scene_start(2);
		lab.snap->clusters[0].lend = &lend;
		lab.snap->bound = &lives;
		lab.snap->n_bound = 1;
		lab.entry = entry;
		c = lab_client(CONFIG_SAFE);
		scene_send_request(c, 'Q', 7, 64);
		if (entry == 3)
			is_answered(c, MT_REPLY_DENIED);
		CU_ASSERT_EQUAL(lab_n_servers(), entry == 4);
		lab.entry = 0;
		lab_close(c, MT_CLOSE_RESET);
		scene_stop();
	}
}

static void test_principals(void)
{
#define TEXT(s)                                                                                    \
	{                                                                                          \
		(const uint8_t *)(s), sizeof(s) - 1                                                \
	}
	const struct mt_slice names[] = {TEXT("td/ns/a/sa/b"), TEXT("td/ns/c/*")};
	const struct mt_lend lend = {.principals = names, .n_principals = 2};
	const struct mt_addr peer = {0};
	const struct {
		struct mt_slice is;
		bool may;
	} rows[] = {{TEXT("td/ns/a/sa/b"), true}, {TEXT("td/ns/a/sa/bb"), false},
		{TEXT("td/ns/a/sa/"), false}, {TEXT("td/ns/c/sa/x"), true},
		{TEXT("td/ns/c/"), true}, {TEXT("td/ns/c"), false}, {{NULL, 0}, false}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		CU_ASSERT_EQUAL(mt_lend_is_for(&lend, &peer, rows[i].is), rows[i].may);
}

/* The layer is there; what it opens are the streams of the tests. */
static void start_secured(struct mt_tls_layer *layer)
{
	scene_start(1);
	secure(lab.snap, 1, &contexts[0]);
	layer->transport = lab_transport;
	mt_proxy_attach_tls(lab.p, layer);
}

/* A renewed certificate costs no connection; other roots, or another name, drain those that are there. */
static void test_contexts_that_change(void)
{
	static struct mt_tls_layer layer;
	struct mt_snapshot *s;
	struct fake_conn *c, *first;

	start_secured(&layer);
	c = lab_client(CONFIG_SAFE);
	CU_ASSERT_EQUAL(called(c, 2), 1);
	first = lab_server(0);
	for (uint32_t i = 1; i < MT_ARRAY_LEN(contexts); i++) {
		s = config_make((int)i, i + 1, 1, true);
		secure(s, 1, &contexts[i]);
		mt_proxy_adopt(lab.p, s);
		lab_advance(MT_MSEC);
		CU_ASSERT_EQUAL(first->detached, contexts[i].id != contexts[0].id);
		CU_ASSERT_EQUAL(called(c, 2), 1);
	}
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_PTR_NOT_EQUAL(lab_server(0), first);
	scene_bye(c);
	scene_stop();
	for (uint32_t i = 1; i < MT_ARRAY_LEN(contexts); i++)
		config_free((int)i);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(contexts); i++)
		CU_ASSERT_EQUAL(contexts[i].refs, 1u << 30);
}

/* A key has done enough: what is out on the connection is answered, and the next call gets another one. */
static void test_worn(void)
{
	static struct mt_tls_layer layer;
	struct fake_conn *c, *first;

	start_secured(&layer);
	c = lab_client(CONFIG_SAFE);
	CU_ASSERT_EQUAL(called(c, 1), 1);
	first = lab_server(0);
	worn = true;
	CU_ASSERT_EQUAL(called(c, 1), 1);
	worn = false;
	CU_ASSERT_TRUE(first->detached);
	CU_ASSERT_EQUAL(called(c, 1), 1);
	CU_ASSERT_PTR_NOT_EQUAL(lab_server(0), first);
	scene_bye(c);
	scene_stop();
}

static struct mt_lanes *lanes_by(const struct mt_tls_context *tls)
{
	const struct mt_ep_state *st = lab.snap->clusters[0].eps[0].state;
	struct mt_lanes *ln = lab.p->lanes_by_ep[st->index];

	while (ln && ln->tls != tls)
		ln = ln->next_class;
	return ln;
}

static const char who_text[] = "td/ns/a/sa/b";
static const struct mt_slice who_is = {(const uint8_t *)who_text, sizeof(who_text) - 1};
static struct mt_tls_context *of_who[] = {&contexts[2]};
static struct mt_tls_peer peer_who = {
	.principal = "spiffe://td/ns/a/sa/b", .certificate = true, .member = true};

static void lend_and_hold(struct mt_snapshot *s, struct mt_lend *lend)
{
	static struct mt_lend_prefix all = {.bits = 0};

	mt_addr_parse("0.0.0.0", &all.addr);
	*lend = (struct mt_lend){.prefixes = &all, .n_prefixes = 1, .held = &who_is, .n_held = 1};
	s->clusters[0].lend = lend;
	s->clusters[0].as = of_who;
}

/* Two callers of different identities never share a connection, whichever came first. */
static void test_held_apart(void)
{
	static struct mt_tls_layer layer;
	struct mt_lend lend;
	struct fake_conn *c[3];

	start_secured(&layer);
	lend_and_hold(lab.snap, &lend);
	for (uint32_t i = 0; i < 3; i++)
		c[i] = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < 4; i++) {
		scene_shown = i & 1 ? &peer_who : NULL;
		CU_ASSERT_EQUAL(called(c[i & 1], 3), 1);
		CU_ASSERT_EQUAL(lab_n_servers(), i ? 2 : 1);
	}
	scene_shown = NULL;
	CU_ASSERT_PTR_NOT_NULL_FATAL(lanes_by(&contexts[0]));
	CU_ASSERT_PTR_NOT_NULL_FATAL(lanes_by(&contexts[2]));
	CU_ASSERT_FALSE(lanes_by(&contexts[0])->of_caller);
	CU_ASSERT_TRUE(lanes_by(&contexts[2])->of_caller);
	/* One that cannot be had: the caller is denied, the others go on. */
	of_who[0] = NULL;
	scene_shown = &peer_who;
	scene_send_request(c[2], 'Q', 7, 64);
	is_answered(c[2], MT_REPLY_DENIED);
	scene_send_request(c[2], 'Q', 8, 64);
	is_answered(c[2], MT_REPLY_DENIED);
	scene_shown = NULL;
	CU_ASSERT_EQUAL(called(c[0], 1), 1);
	of_who[0] = &contexts[2];
	for (uint32_t i = 0; i < 3; i++)
		scene_bye(c[i]);
	scene_stop();
}

/* One connection's calls to two clusters. */
static void test_two_clusters(void)
{
	struct mt_cluster *real, both[2];
	struct fake_conn *c;

	scene_start(1);
	real = lab.snap->clusters;
	both[0] = both[1] = real[0];
	both[0].lend = &nobody;
	both[1].lend = NULL;
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < 2; i++) {
		lab.snap->clusters = &both[0];
		scene_send_request(c, 'Q', 7, 64);
		is_answered(c, MT_REPLY_DENIED);
		lab.snap->clusters = &both[1];
		both[1].lend = &everybody;
		CU_ASSERT_EQUAL(called(c, 1), 1);
	}
	lab.snap->clusters = real;
	scene_bye(c);
	scene_stop();
}

/* What a connection's calls are told is what the snapshot of each says: a client is judged again by the next one. */
static void test_judged_anew(void)
{
	struct mt_snapshot *s;
	struct fake_conn *c;

	scene_start(1);
	lab.snap->clusters[0].lend = &nobody;
	c = lab_client(CONFIG_SAFE);
	for (uint32_t i = 0; i < 6; i++) {
		if (i >= 2) {
			CU_ASSERT_EQUAL(config_holds((int)i % 2 + 1), 0);
			config_free((int)i % 2 + 1); /* the next cluster is where it was */
		}
		s = config_make((int)i % 2 + 1, i + 2, 1, true);
		s->clusters[0].lend = i % 3 == 1 ? NULL : &nobody;
		for (uint32_t k = 0; k < s->n_services; k++)
			s->services[k]->gateway = i % 3 == 2;
		mt_proxy_adopt(lab.p, s);
		lab_advance(MT_MSEC);
		if (i % 3 > 0) {
			CU_ASSERT_EQUAL(called(c, 2), 1);
			continue;
		}
		for (uint32_t k = 0; k < 2; k++) {
			scene_send_request(c, 'Q', 7, 64);
			is_answered(c, MT_REPLY_DENIED);
		}
	}
	scene_bye(c);
	scene_stop();
	config_free(1);
	config_free(2);
}

/* Whoever is connected stays when the snapshot changes, and goes when his identity is not held any more. */
static void test_held_and_rebound(void)
{
	static struct mt_tls_layer layer;
	struct mt_lend lend;
	struct mt_snapshot *s;
	struct fake_conn *c, *who, *own, *his;

	start_secured(&layer);
	lend_and_hold(lab.snap, &lend);
	c = lab_client(CONFIG_SAFE);
	who = lab_client(CONFIG_SAFE);
	CU_ASSERT_EQUAL(called(c, 1), 1);
	own = lab_server(0);
	scene_shown = &peer_who;
	CU_ASSERT_EQUAL(called(who, 1), 1);
	his = lab_server(1);
	for (uint32_t i = 1; i < 3; i++) {
		s = config_make((int)i, i + 1, 1, true);
		secure(s, 1, &contexts[0]);
		if (i == 1)
			lend_and_hold(s, &lend);
		mt_proxy_adopt(lab.p, s);
		lab_advance(MT_MSEC);
		CU_ASSERT_FALSE(own->detached);
		CU_ASSERT_EQUAL(his->detached, i == 2);
	}
	scene_shown = NULL;
	scene_bye(c);
	scene_bye(who);
	scene_stop();
	config_free(1);
	config_free(2);
}

/* A server that does not take a caller for who he is is as good as before for everybody else. */
static void test_held_and_refused(void)
{
	static struct mt_tls_layer layer;
	struct mt_ep_state *st;
	struct mt_lend lend;
	struct fake_conn *c;

	for (int own = 0; own < 2; own++) {
		start_secured(&layer);
		lend_and_hold(lab.snap, &lend);
		st = lab.snap->clusters[0].eps[0].state;
		c = lab_client(CONFIG_SAFE);
		scene_shown = own ? NULL : &peer_who;
		for (uint32_t i = 0; i < 8; i++) {
			scene_send_request(c, 'Q', i, 64);
			while (lab_n_servers())
				lab_close(lab_server(0), MT_CLOSE_HANDSHAKE);
			(void)scene_next_sent(c);
		}
		CU_ASSERT_EQUAL(mt_ep_ejected(st, lab.p->now), own);
		scene_shown = NULL;
		scene_bye(c);
		scene_stop();
	}
}

struct mt_tls_why __wrap_mt_tls_stream_why(const struct mt_stream *s);

/* Streams of these tests are not TLS's. */
struct mt_tls_why __wrap_mt_tls_stream_why(const struct mt_stream *s)
{
	return (struct mt_tls_why){.reason = scene_failed};
}

/* An ejection has the reason of the last handshake that failed, if there was one. */
static void test_handshake_is_told(void)
{
	static struct mt_tls_layer layer;
	static const struct {
		enum mt_tls_reason failed;
		enum mt_close_reason close;
		const char *why;
	} rows[] = {
		{MT_TLS_WHY_none, MT_CLOSE_HANDSHAKE, "handshake failed"},
		{MT_TLS_WHY_none, MT_CLOSE_RESET, "reset by peer"},
		{MT_TLS_WHY_wrong_san, MT_CLOSE_HANDSHAKE,
			"handshake failed: the peer's certificate has none of the expected names"},
		{MT_TLS_WHY_timed_out, MT_CLOSE_CONNECT_TIMEOUT,
			"handshake failed: the handshake did not end in time"},
	};
	struct mt_ep_event e;
	struct fake_conn *c;
	uint64_t missed;

	for (size_t i = 0; i < 2 * MT_ARRAY_LEN(rows); i++) {
		bool opaque = i % 2;

		start_secured(&layer);
		c = opaque ? NULL : lab_client(CONFIG_SAFE);
		for (uint32_t k = 0; k < 3; k++) {
			if (opaque)
				(void)lab_client(CONFIG_OPAQUE);
			else
				scene_send_request(c, 'Q', k, 64);
			CU_ASSERT_FALSE(mt_proxy_ep_event(lab.p, &e, &missed));
			scene_failed = rows[i / 2].failed;
			lab_close(lab_server(0), rows[i / 2].close);
			scene_failed = MT_TLS_WHY_none;
		}
		CU_ASSERT_TRUE_FATAL(mt_proxy_ep_event(lab.p, &e, &missed));
		CU_ASSERT_STRING_EQUAL(e.why, rows[i / 2].why);
		while (lab_n_servers())
			lab_close(lab_server(0), MT_CLOSE_RESET);
		if (c)
			scene_bye(c);
		scene_stop();
	}
}

const struct mt_test secure_tests[] = {{"callers by their own identities", test_held_apart},
	{"a client by each load", test_judged_anew}, {"two clusters", test_two_clusters},
	{"their connections from load to load", test_held_and_rebound},
	{"one that a server refuses", test_held_and_refused},
	{"the reason of a handshake", test_handshake_is_told}, {"no layer", test_no_layer},
	{"lent to nobody", test_lent_to_nobody}, {"by a gateway", test_gateway},
	{"lent to some", test_lent_to_some}, {"principals that may borrow", test_principals},
	{"lent to members of the mesh", test_lent_to_members},
	{"lent to workloads", test_lent_to_workloads},
	{"contexts that change", test_contexts_that_change}, {"a key that is worn", test_worn},
	{0}};
