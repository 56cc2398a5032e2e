/* SPDX-License-Identifier: Apache-2.0 */
/* What ends the selection of a filter chain: configurations, memory, clients that leave, a drain. */
#include "chain_selection.h"

/* It is decided under the configuration of the moment. */
static void test_published_meanwhile(void)
{
	static const struct undecided_row all = {{.name = "all"}, TCP};
	struct fake_conn *c, *d, *e;
	uint32_t n = undecided_hello("a.example");

	START(&undecided_refused_b, &undecided_plain_toy);
	c = undecided_client();
	d = undecided_client();
	e = undecided_client();
	lab_feed(c, undecided_bytes, n - 1);
	lab_feed(d, PLAIN, 1);
	/* The ClientHello goes on where a chain is for it now. */
	PUBLISH(1, &undecided_plain_toy, &undecided_tls_to_a);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	lab_feed(c, undecided_bytes + n - 1, 1);
	undecided_passed(0, n);
	/* Now nothing has to be known of e, not even a byte. */
	PUBLISH(2, &all);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), 1); /* d: no more toys */
	for (uint32_t i = 0; i < 3; i++)
		lab_close((struct fake_conn *[]){c, d, e}[i], MT_CLOSE_RESET);
	undecided_stop();
}

/* The detection time ends in the turn that takes over a configuration, before its rebinding. */
static void test_silence_ends_when_published(void)
{
	struct mt_snapshot *next;
	struct fake_conn *c;

	START(&undecided_tls_to_a, &undecided_plain_tcp);
	c = undecided_client();
	lab_advance(999 * MT_MSEC);
	next = config_make(1, lab.p->snap->version + 1, 1, true);
	CHAINS(next, 1, &undecided_plain_tcp, &undecided_tls_to_a);
	lab.now += 2 * MT_MSEC;
	mt_proxy_begin(lab.p, lab.now, 0);
	mt_proxy_adopt(lab.p, next);
	mt_proxy_timers(lab.p, 1000);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	lab_advance(2 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 1);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 1);
	lab_feed(scene_connected_server(0), "220 hello", 9);
	CU_ASSERT_EQUAL(lab_take(c, undecided_got, sizeof(undecided_got)), 9);
	lab_close(c, MT_CLOSE_RESET);
	/* The same where it is not served that way any more. */
	c = undecided_client();
	lab_advance(999 * MT_MSEC);
	next = config_make(2, lab.p->snap->version + 1, 1, true);
	CHAINS(next, 2, &undecided_plain_toy, &undecided_tls_to_a);
	lab.now += 2 * MT_MSEC;
	mt_proxy_begin(lab.p, lab.now, 0);
	mt_proxy_adopt(lab.p, next);
	mt_proxy_timers(lab.p, 1000);
	lab_advance(MT_SEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 1);
	undecided_toy(c);
	scene_bye(c);
	undecided_stop();
}

static void test_listener_gone(void)
{
	struct mt_snapshot *s;
	struct fake_conn *c;

	START(&undecided_tls_to_a, &undecided_plain_toy);
	c = undecided_client();
	s = config_make(1, 2, 1, true);
	s->listeners[0].port = 7;
	mt_snapshot_index_free(s);
	MT_ASSERT(mt_snapshot_index(s) == 0);
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), 1);
	undecided_stop();
}

/* Connections find their chain again; a stream's numbers go on under its own service. */
static void test_chain_moves(void)
{
	struct fake_conn *c, *d;
	uint32_t n = undecided_hello("a.example");

	START(&undecided_tls_to_a, &undecided_plain_toy);
	c = undecided_client();
	lab_feed(c, undecided_bytes, n);
	undecided_passed(0, n);
	d = undecided_client();
	lab_feed(d, PLAIN, 1);
	PUBLISH(1, &undecided_refused_b, &undecided_plain_toy, &undecided_tls_to_a);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	lab_feed(c, undecided_bytes, 10);
	CU_ASSERT_EQUAL(lab.p->service_stats[1].bytes_in, n + 10);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), 0);
	lab_close(lab_server(0), MT_CLOSE_OK);
	lab_close(d, MT_CLOSE_RESET);
	undecided_stop();
}

static void test_pressure(void)
{
	struct fake_conn *c;

	START(&undecided_tls_to_a, &undecided_plain_toy);
	c = undecided_client();
	lab_feed(c, undecided_bytes, undecided_hello("a.example") - 1);
	CU_ASSERT(lab_holds(c).of[MT_CLASS_RECEIVING] > 0);
	/* It is wanted whole: what is there does not shut the window. */
	CU_ASSERT_EQUAL(c->s.rx_kept, c->s.rx.len);
	lab_evict(c, MT_CLASS_RECEIVING);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_evicted_receiving), 1);
	undecided_stop();
}

static void test_left(void)
{
	struct fake_conn *c;

	START(&undecided_tls_to_a, &undecided_plain_toy);
	c = undecided_client();
	lab_feed(c, undecided_bytes, undecided_hello("a.example") - 1);
	lab_close(c, MT_CLOSE_RESET);
	c = undecided_client();
	lab_fin(c);
	CU_ASSERT_TRUE(c->detached);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_client_closed), 2);
	undecided_stop();
}

/* After a FIN nothing comes any more: the server may speak first, unless a ClientHello has begun. */
static void test_left_half(void)
{
	struct fake_conn *c;

	START(&undecided_tls_to_a, &undecided_plain_tcp);
	c = undecided_client();
	lab_fin(c);
	CU_ASSERT_TRUE(scene_connected_server(0)->shut);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_detect_timeout), 1);
	lab_close(lab_server(0), MT_CLOSE_OK);
	c = undecided_client();
	memcpy(undecided_bytes, "\x16", 1);
	lab_feed(c, undecided_bytes, 1);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	lab_fin(c);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_truncated), 1);
	undecided_stop();
}

/* A ClientHello that ends early, wherever, reaches no server, although one takes any bytes. */
static void test_cut_off(void)
{
	static const struct undecided_row all = {{.name = "all"}, TCP};
	uint64_t cut = 0;
	struct fake_conn *c;

	START(&undecided_tls_to_a, &undecided_plain_tcp);
	for (uint32_t n = 1, whole = undecided_hello("a.example"); n < whole;
		n += n < 12 ? 1 : 37) {
		c = undecided_client();
		lab_feed(c, undecided_bytes, n);
		lab_fin(c);
		CU_ASSERT_TRUE(c->aborted);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_truncated), ++cut);
	}
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	/* Nor is it a chain's that has nothing to say about TLS. */
	PUBLISH(1, &undecided_tls_to_a, &all);
	c = undecided_client();
	lab_feed(c, undecided_bytes, 50);
	lab_fin(c);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_hello_truncated), cut + 1);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	undecided_stop();
}

static void test_many(void)
{
	static const struct mt_proxy_conf conf = {.max_down = 482, .max_up = 8};
	struct fake_conn *last;

	scene_start_with(1, &conf);
	CHAINS(lab.snap, 0, &undecided_tls_to_a, &undecided_plain_toy);
	for (int i = 0; i < 480; i++)
		lab_feed(undecided_client(), "\x16\x03\x01", 3);
	last = undecided_client();
	undecided_toy(last);
	undecided_client();
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_SAFE));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_full), 1);
	lab_advance(10001 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_chain_timeout), 481);
	undecided_toy(last);
	scene_bye(last);
	undecided_stop();
}

static void test_drain(void)
{
	struct fake_conn *c;

	START(&undecided_tls_to_a, &undecided_plain_toy);
	c = undecided_client();
	mt_proxy_drain(lab.p);
	CU_ASSERT_FALSE(mt_proxy_idle(lab.p));
	lab_advance(MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_TRUE(mt_proxy_idle(lab.p));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_draining), 1);
	undecided_stop();
}

/* Decided while the walk over the clients is on its way: it would not come by again. */
static void test_decided_in_a_drain(void)
{
	static const struct mt_proxy_conf conf = {.max_down = 400, .max_up = 8};
	struct fake_conn *first, *c, *all[300];

	scene_start_with(1, &conf);
	CHAINS(lab.snap, 0, &undecided_tls_to_a, &undecided_plain_toy);
	first = undecided_client();
	undecided_toy(first);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(all); i++)
		all[i] = undecided_client();
	c = all[MT_ARRAY_LEN(all) - 1];
	lab_close(first, MT_CLOSE_RESET);
	mt_proxy_drain(lab.p);
	mt_proxy_timers(lab.p, 1000);
	CU_ASSERT_TRUE(all[0]->aborted);
	CU_ASSERT_FALSE(c->aborted);
	lab_feed(c, PLAIN, 1);
	lab_advance(2 * MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_TRUE(mt_proxy_idle(lab.p));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_draining), MT_ARRAY_LEN(all));
	undecided_stop();
}

const struct mt_test chain_selection_ends_tests[] = {
	{"published meanwhile", test_published_meanwhile},
	{"silence ends when published", test_silence_ends_when_published},
	{"listener gone", test_listener_gone},
	{"a chain that moves", test_chain_moves},
	{"pressure", test_pressure},
	{"client leaves", test_left},
	{"client leaves by half", test_left_half},
	{"a ClientHello that is cut off", test_cut_off},
	{"many", test_many},
	{"drain", test_drain},
	{"decided in a drain", test_decided_in_a_drain},
	{0},
};
