/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which server a byte stream goes to, and which limits it takes a token of. If a server ends it
 * before it has read or sent anything, it goes to another one, and its client does not notice.
 */
#include "scene.h"

#include "mt_authz.h"
#include "mt_proxy_priv.h"

/* A stream that is joined, and of which the server was given so many bytes: "1234...". */
static struct fake_conn *given(uint32_t bytes, struct fake_conn **client)
{
	struct fake_conn *s;

	*client = lab_client(CONFIG_OPAQUE);
	s = scene_connected_server(lab_n_servers() - 1);
	if (bytes)
		lab_feed(*client, "1234567890", bytes);
	CU_ASSERT_EQUAL(s->sent.len, bytes);
	CU_ASSERT_FALSE(s->s.no_reclaim);
	return s;
}

/* A reset that says that the server's machine has none of them. */
static void reset_unread(struct fake_conn *s)
{
	s->end.reset_ack = true;
	s->end.reset_acked = 0;
	lab_close(s, MT_CLOSE_RESET);
}

/* Exactly these bytes come to the only server that there is, which is not `old`. */
static struct fake_conn *comes_again(const struct fake_conn *old, const char *bytes)
{
	struct fake_conn *s = lab_server(0);
	char out[64] = "";

	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_PTR_NOT_EQUAL(s, old);
	CU_ASSERT_EQUAL(s->sent.len, 0); /* nothing before it is connected */
	lab_connect(s);
	CU_ASSERT_EQUAL(lab_take(s, out, sizeof(out)), strlen(bytes));
	CU_ASSERT_STRING_EQUAL(out, bytes);
	return s;
}

static void answered(struct fake_conn *c, struct fake_conn *s)
{
	char out[16];

	lab_feed(s, "hello", 5);
	CU_ASSERT_EQUAL(lab_take(c, out, sizeof(out)), 5);
	/* It goes to no other one any more. */
	CU_ASSERT_TRUE(s->s.no_reclaim && !c->s.no_reclaim);
}

static void repeated(uint64_t n)
{
	const struct mt_service_stats *st = mt_proxy_service_stats(lab.p, 1);

	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_transparent_retry), n);
	/* For who looks at the numbers it is one stream. */
	CU_ASSERT_EQUAL(st->requests, 1);
	CU_ASSERT_EQUAL(st->ok + st->client_left + mt_service_local_replies(st), 1);
}

static void is_over(uint64_t opened)
{
	const struct mt_service_stats *st = mt_proxy_service_stats(lab.p, 1);

	CU_ASSERT_EQUAL(st->opened, opened);
	CU_ASSERT_EQUAL(st->closed, opened);
	scene_stop();
}

/* Somewhere else, with what is new meanwhile behind it; the FIN once more, if it was passed on before. */
static void test_reset_before_it_read(void)
{
	for (int half_closed = 0; half_closed < 2; half_closed++) {
		struct fake_conn *c, *s, *t;
		uint8_t old;

		scene_start(3);
		s = given(5, &c);
		old = s->t.remote.b[15];
		if (half_closed)
			lab_fin(c);
		CU_ASSERT_EQUAL(s->shut, half_closed);
		reset_unread(s);
		CU_ASSERT_TRUE(c->live);
		if (!half_closed)
			lab_feed(c, "678", 3);
		t = comes_again(s, half_closed ? "12345" : "12345678");
		CU_ASSERT_NOT_EQUAL(t->t.remote.b[15], old);
		CU_ASSERT_EQUAL(t->shut, half_closed);
		answered(c, t);
		repeated(1);
		CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, 1)->bytes_in, half_closed ? 5 : 8);
		lab_close(t, MT_CLOSE_RESET);
		CU_ASSERT_TRUE(c->aborted);
		is_over(1);
	}
}

/* Nothing was given to the server. */
static void test_reset_before_anything(void)
{
	struct fake_conn *c, *s;

	scene_start(2);
	s = given(0, &c);
	lab_close(s, MT_CLOSE_RESET);
	CU_ASSERT_TRUE(c->live);
	s = comes_again(s, "");
	answered(c, s);
	repeated(1);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_TRUE(s->aborted);
	is_over(1);
}

/* The only endpoint is asked once more; the other of two, and then any. */
static void test_not_for_ever(void)
{
	for (uint32_t n_eps = 1; n_eps <= 3; n_eps++) {
		uint32_t again = n_eps == 1 ? 1 : 2;
		struct fake_conn *c, *s, *t;

		scene_start(n_eps);
		s = given(5, &c);
		for (uint32_t i = 0; i < again; i++) {
			reset_unread(s);
			t = lab_server(0);
			CU_ASSERT_PTR_NOT_NULL_FATAL(t);
			if (i == 0 && n_eps > 1)
				CU_ASSERT_NOT_EQUAL(t->t.remote.b[15], s->t.remote.b[15]);
			lab_connect(t);
			CU_ASSERT_EQUAL(t->sent.len, 5);
			s = t;
		}
		CU_ASSERT_TRUE(c->live);
		reset_unread(s);
		CU_ASSERT_TRUE(c->aborted);
		CU_ASSERT_EQUAL(lab_n_servers(), 0);
		repeated(again);
		is_over(1);
	}
}

/* It may have been read, or is only read in part, or the server has spoken: the reset is passed on, after what was sent. */
static void test_may_have_read(void)
{
	for (int what = 0; what < 4; what++) {
		struct fake_conn *c, *s;
		char out[16];

		scene_start(2);
		s = given(5, &c);
		switch (what) {
		case 0: /* nothing tells */
			lab_close(s, MT_CLOSE_RESET);
			break;
		case 1:
			lab_take(s, out, 2);
			s->end.reset_ack = true;
			s->end.reset_acked = 2;
			lab_close(s, MT_CLOSE_RESET);
			break;
		case 2: /* it has said something, and that is on its way to the client */
			lab_feed(s, "who are you?", 12);
			reset_unread(s);
			break;
		default: /* the client has no room for it */
			c->s.tx_high = 0;
			lab_feed(s, "who are you?", 12);
			reset_unread(s);
			break;
		}
		if (what > 1)
			CU_ASSERT_EQUAL(lab_take(c, out, sizeof(out)), 12);
		CU_ASSERT_TRUE(c->aborted);
		CU_ASSERT_EQUAL(lab_n_servers(), 0);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_reset), 1);
		repeated(0);
		is_over(1);
	}
}

/* Bytes cross the server's FIN: it is not passed on until it is known whether they were read. */
static void test_crosses_the_end(void)
{
	struct fake_conn *c, *s;

	scene_start(2);
	s = given(5, &c);
	lab_fin(s);
	lab_advance(100 * MT_MSEC);
	CU_ASSERT_FALSE(c->shut);
	lab_close(s, MT_CLOSE_RESET);
	s = comes_again(s, "12345");
	/* The new server's is a FIN like any other. */
	answered(c, s);
	lab_fin(s);
	CU_ASSERT_TRUE(c->shut);
	repeated(1);
	lab_close(c, MT_CLOSE_RESET);
	is_over(1);
}

/* It only closes its sending side: its machine has the bytes, or nothing comes, for a while or at all. */
static void test_half_closes(void)
{
	for (int what = 0; what < 4; what++) {
		struct fake_conn *c, *s;
		char out[8];

		scene_start(2);
		s = given(what == 3 ? 0 : 5, &c);
		lab_fin(s);
		CU_ASSERT_EQUAL(c->shut, what == 3); /* nothing crossed it */
		if (what == 0)
			lab_take(s, out, 5);
		else if (what == 1)
			s->end.quiet = true;
		lab_advance(what == 2 ? 2900 * MT_MSEC : 100 * MT_MSEC);
		CU_ASSERT_EQUAL(c->shut, what != 2);
		lab_advance(200 * MT_MSEC);
		CU_ASSERT_TRUE(c->shut);
		lab_feed(c, "67", 2);
		CU_ASSERT_TRUE(s->sent.len >= 2);
		/* Its client knows of the end: there is nothing to hide any more. */
		reset_unread(s);
		lab_advance(200 * MT_MSEC);
		CU_ASSERT_TRUE(c->aborted);
		repeated(0);
		is_over(1);
	}
}

/* Where a reset may be anybody's, only what never left us was not read, and a FIN needs no thought. */
static void test_strict(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .unread_strict = true};

	for (int what = 0; what < 4; what++) {
		struct fake_conn *c, *s;

		scene_start_with(2, &conf);
		s = given(what == 0 ? 0 : 5, &c);
		if (what == 1) {
			s->stopped = true;
			s->end.pos.sent = 0;
		}
		if (what == 2)
			lab_fin(s);
		CU_ASSERT_EQUAL(c->shut, what == 2);
		reset_unread(s);
		if (what == 2) /* the reset does not overtake the end */
			lab_advance(200 * MT_MSEC);
		CU_ASSERT_EQUAL(c->aborted, what > 1);
		if (what <= 1) {
			s = comes_again(s, what ? "12345" : "");
			answered(c, s);
			lab_close(s, MT_CLOSE_RESET);
		}
		CU_ASSERT_TRUE(c->aborted);
		repeated(what <= 1);
		is_over(1);
	}
}

/* Where the next one is not reached either, and a client that leaves or gives way meanwhile. */
static void test_ends_meanwhile(void)
{
	for (int what = 0; what < 4; what++) {
		struct fake_conn *c, *s;

		scene_start(2);
		s = given(5, &c);
		reset_unread(s);
		s = lab_server(0);
		CU_ASSERT_PTR_NOT_NULL_FATAL(s);
		CU_ASSERT_TRUE(lab_holds(c).of[MT_CLASS_STREAMING] > 0);
		switch (what) {
		case 0:
			while ((s = lab_server(0)))
				lab_close(s, MT_CLOSE_REFUSED);
			CU_ASSERT_TRUE(c->aborted);
			break;
		case 1:
			lab_close(c, MT_CLOSE_RESET);
			CU_ASSERT_TRUE(s->aborted);
			break;
		case 2:
			lab_evict(c, MT_CLASS_STREAMING);
			CU_ASSERT_TRUE(c->aborted && s->aborted);
			break;
		default: /* the node drains: what it has taken goes on */
			mt_proxy_drain(lab.p);
			lab_advance(MT_SEC / 2);
			s = comes_again(NULL, "12345");
			CU_ASSERT_EQUAL(lab_holds(c).of[MT_CLASS_STREAMING], 0);
			CU_ASSERT_FALSE(mt_proxy_idle(lab.p));
			lab_close(c, MT_CLOSE_RESET);
			break;
		}
		repeated(1);
		is_over(1);
	}
}

/* There is no memory, no service, no endpoint, or no connection may be opened: the end is what it was. */
static void test_in_vain(void)
{
	for (int what = 0; what < 4; what++) {
		struct mt_snapshot *next;
		struct fake_conn *c, *s;

		scene_start(2);
		s = given(5, &c);
		if (what == 1 || what == 2) {
			next = config_make(1, 2, what == 1 ? 2 : 0, true);
			next->listeners[1].port = what == 1 ? 9999 : CONFIG_OPAQUE;
			mt_snapshot_index_free(next);
			MT_ASSERT(mt_snapshot_index(next) == 0);
			mt_proxy_adopt(lab.p, next);
			lab_advance(MT_MSEC);
		}
		if (what == 3)
			lab.refuse_open = true;
		if (what == 0)
			scene_starve();
		reset_unread(s);
		if (what == 0)
			scene_relieve();
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_no_memory), what == 0);
		CU_ASSERT_TRUE(c->aborted);
		CU_ASSERT_EQUAL(lab_n_servers(), 0);
		scene_stop();
		config_free(1);
	}
}

/* Joined under another configuration than it began with: nothing of the old one is needed. */
static void test_current_snapshot(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	s = given(5, &c);
	mt_proxy_adopt(lab.p, config_make(1, 2, 2, true));
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	config_free(0);
	reset_unread(s);
	CU_ASSERT_EQUAL(config_holds(1), 2);
	answered(c, comes_again(s, "12345"));
	CU_ASSERT_EQUAL(config_holds(1), 1);
	repeated(1);
	lab_close(c, MT_CLOSE_RESET);
	is_over(1);
	config_free(1);
}

static uint32_t tokens;

static enum mt_filter_verdict take_token(const struct mt_filter_inst *f, struct mt_filter_ctx *ctx)
{
	return tokens ? tokens--, MT_FILTER_NEXT : MT_FILTER_REPLY;
}

static const struct mt_filter limit_type = {.name = "limit", .on_stream = take_token};
static struct mt_filter_inst limit = {.type = &limit_type};

static void limit_endpoints(struct mt_snapshot *s)
{
	static const struct mt_authz limited = {.limit = &limit};
	static const struct mt_authz *guards[] = {&limited, &limited};

	s->clusters[0].guards = guards;
	for (uint32_t i = 0; i < s->clusters[0].n_eps; i++)
		s->clusters[0].eps[i].guarded = true;
}

/*
 * At a port of messages a byte stream takes a token of the service's limit and of its endpoint's.
 * Streams that are there take none when rules change.
 */
static void test_limits(void)
{
	for (int of_endpoint = 0; of_endpoint < 2; of_endpoint++) {
		const struct mt_service_stats *st;
		struct mt_service *svc;
		struct mt_snapshot *s;
		struct fake_conn *c[3];

		scene_start(2);
		svc = lab.snap->listeners[1].protos->services[0];
		svc->filter_insts = &limit;
		svc->n_filter_insts = !of_endpoint;
		if (of_endpoint)
			limit_endpoints(lab.snap);
		tokens = 2;
		for (int i = 0; i < 3; i++)
			c[i] = lab_client(CONFIG_OPAQUE);
		CU_ASSERT_TRUE_FATAL(c[0] && c[1]);
		CU_ASSERT_PTR_NULL(c[2]);
		CU_ASSERT_EQUAL(lab_n_servers(), 2);
		st = mt_proxy_service_stats(lab.p, 1);
		CU_ASSERT(st->limited == 1 && st->local[MT_ENDING_connection_limited] == 1);
		scene_line_is("0 RL local_rate_limited");
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_over_limit), 1);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_no_endpoint), 0);
		s = config_make(2, 2, 2, true);
		limit_endpoints(s);
		mt_proxy_adopt(lab.p, s);
		lab_advance(MT_MSEC);
		CU_ASSERT_FALSE(c[0]->aborted || c[1]->aborted);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_over_limit), 1);
		lab_close(c[0], MT_CLOSE_RESET);
		lab_close(c[1], MT_CLOSE_RESET);
		scene_stop();
		config_free(2);
	}
}

/* A second cluster, of one endpoint, 198.51.100.200. */
static struct mt_cluster *second_cluster(void)
{
	static struct mt_ep_state state mt_cache_aligned;
	static struct mt_endpoint ep;
	struct mt_cluster *c = &lab.snap->clusters[1];

	state = (struct mt_ep_state){.id = 500, .index = CONFIG_EPS - 1};
	ep = (struct mt_endpoint){.port = 20880, .weight = 1, .state = &state};
	mt_addr_parse("198.51.100.200", &ep.addr);
	*c = (struct mt_cluster){.name = "second",
		.id = 8,
		.index = 1,
		.lb = MT_LB_ROUND_ROBIN,
		.eps = &ep,
		.n_eps = 1};
	CU_ASSERT_EQUAL_FATAL(mt_cluster_build(c), 0);
	lab.snap->n_clusters = 2;
	return c;
}

/*
 * Of the numbers that may be drawn for an opaque TCP stream, each destination has exactly as many as
 * its weight.
 */
static void test_weights(void)
{
	enum { TOTAL = 4, STREAMS = 64 };
	static struct mt_route_dest dests[] = {
		{.cluster = 1, .weight = 1}, {.cluster = 0, .weight = 3}};
	uint8_t led_to[TOTAL] = {0};
	uint32_t n[3] = {0}; /* 0: not drawn; 1: the first destination */
	struct mt_cluster *second;
	struct mt_service *svc;

	scene_start(1);
	second = second_cluster();
	svc = lab.snap->listeners[1].protos->services[0];
	svc->tcp_dests = dests;
	svc->n_tcp_dests = 2;
	svc->tcp_total_weight = TOTAL;
	for (uint32_t i = 0; i < STREAMS; i++) {
		struct mt_rand next = lab.p->rnd;
		uint64_t at = mt_rand_u64(&next) % TOTAL;
		struct fake_conn *c = lab_client(CONFIG_OPAQUE), *s = lab_server(0);
		uint8_t to;

		CU_ASSERT_TRUE_FATAL(c && s);
		to = s->t.remote.b[15] == 200 ? 1 : 2;
		CU_ASSERT_TRUE(!led_to[at] || led_to[at] == to);
		led_to[at] = to;
		lab_close(c, MT_CLOSE_RESET);
	}
	for (uint32_t at = 0; at < TOTAL; at++)
		n[led_to[at]]++;
	CU_ASSERT_EQUAL(n[0], 0);
	CU_ASSERT_EQUAL(n[1], 1);
	CU_ASSERT_EQUAL(n[2], 3);
	mt_cluster_release(second);
	scene_stop();
}

const struct mt_test rejoin_tests[] = {{"reset before it read", test_reset_before_it_read},
	{"reset before anything", test_reset_before_anything}, {"not for ever", test_not_for_ever},
	{"may have read", test_may_have_read}, {"crosses the end", test_crosses_the_end},
	{"half closes", test_half_closes}, {"strict", test_strict},
	{"ends meanwhile", test_ends_meanwhile}, {"in vain", test_in_vain},
	{"current snapshot", test_current_snapshot}, {"weights", test_weights},
	{"limits of bytes", test_limits}, {0}};
