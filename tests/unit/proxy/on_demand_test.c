/* SPDX-License-Identifier: Apache-2.0 */
/* Calls and byte streams whose cluster is only a name: asked for once, waited for so long, answered when it is known. */
#include "mirror_scene.h"
#include "moved.h"
#include "scene.h"

#include "mt_proxy_priv.h"

#include <string.h>

#define WAIT_MS 200

static uint64_t serial;
static struct mt_demand demand;

/* The snapshot's cluster is only a name. */
static struct mt_snapshot *only_named(struct mt_snapshot *s)
{
	demand.serial = &serial;
	return config_only_named(s, &demand, WAIT_MS);
}

static void start(void)
{
	demand = (struct mt_demand){0};
	scene_start(0);
	only_named(lab.snap);
	scene_patient();
}

static void adopt(struct mt_snapshot *s)
{
	lab.snap = s;
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
}

/* A snapshot in which the cluster is there. */
static void told(int gen)
{
	adopt(config_make(gen, (uint64_t)gen + 1, 2, true));
}

static void said_absent(uint64_t until, const char *why)
{
	demand.absent_until = until;
	demand.why = why;
	serial++;
	lab_advance(MT_MSEC);
}

static uint32_t asked(void)
{
	uint32_t cluster, n = 0;

	while (mt_proxy_asked(lab.p, &cluster)) {
		CU_ASSERT_EQUAL(cluster, 0);
		n++;
	}
	return n;
}

static void stop(void)
{
	scene_stop();
	for (int gen = 1; gen < 4; gen++)
		config_free(gen);
}

static void a_hundred_calls_are_one_question(void)
{
	struct fake_conn *c, *s;
	uint32_t answered = 0;

	start();
	c = lab_client(CONFIG_SAFE);
	for (uint64_t i = 1; i <= 100; i++)
		scene_send_request(c, 'Q', i, 40);
	CU_ASSERT_EQUAL(asked(), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_demand_waited), 100);
	CU_ASSERT_EQUAL(lab.p->on_demand.calls.n, 100);
	lab_advance(50 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 0);
	told(1);
	CU_ASSERT_EQUAL(lab.p->on_demand.calls.n, 0);
	CU_ASSERT_EQUAL(asked(), 0);
	/* Two endpoints, in turn. */
	for (uint32_t i = 0; i < 2; i++) {
		struct toy t;

		s = scene_connected_server(i);
		while ((t = scene_next_sent(s)).kind == 'Q') {
			scene_answer(s, t.id, 7, 40);
			CU_ASSERT_EQUAL(scene_next_sent(c).status, 0);
			answered++;
		}
	}
	CU_ASSERT_EQUAL(answered, 100);
	/* The next one does not wait. */
	scene_send_request(c, 'Q', 101, 40);
	CU_ASSERT_EQUAL(lab.p->on_demand.calls.n, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_demand_waited), 100);
	scene_bye(c);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

static void one_that_does_not_exist(void)
{
	struct fake_conn *c;
	struct toy t;

	start();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 40);
	CU_ASSERT_EQUAL(asked(), 1);
	said_absent(lab.now + MT_SEC, "no such cluster");
	t = scene_next_sent(c);
	CU_ASSERT_EQUAL(t.id, 1);
	CU_ASSERT_EQUAL(t.status, 1);
	CU_ASSERT_EQUAL(t.first, MT_REPLY_NO_CLUSTER);
	/* Remembered: nobody is asked, nobody waits. */
	scene_send_request(c, 'Q', 2, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).status, 1);
	CU_ASSERT_EQUAL(asked(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_demand_absent), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_demand_waited), 1);
	/* For so long. */
	lab_advance(MT_SEC);
	scene_send_request(c, 'Q', 3, 40);
	CU_ASSERT_EQUAL(asked(), 1);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 0);
	scene_bye(c);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

/* Also when other things change all the time. */
static void not_longer_than_that(void)
{
	struct fake_conn *c;

	start();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 40);
	lab_advance((WAIT_MS - 10) * MT_MSEC);
	CU_ASSERT_EQUAL(asked(), 1);
	adopt(only_named(config_make(1, 2, 0, true)));
	/* Asked again, in case that nobody heard. */
	CU_ASSERT_EQUAL(asked(), 1);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 0);
	lab_advance(11 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_NO_CLUSTER);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_demand_late), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_demand_waited), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_timeout), 0);
	/* The caller's own time may be shorter. */
	lab.snap->listeners[0].protos->services[0]->timeout_ms = 50;
	scene_send_request(c, 'Q', 2, 40);
	lab_advance(51 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).status, 1);
	scene_bye(c);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

/* A request that was lost is repeated once under each snapshot, however many calls wait. */
static void asked_again_by_many(void)
{
	struct fake_conn *c, *o;

	start();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 40);
	scene_send_request(c, 'Q', 2, 40);
	o = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_EQUAL(asked(), 1);
	for (int gen = 1; gen < 3; gen++) {
		adopt(only_named(config_make(gen, (uint64_t)gen + 1, 0, true)));
		CU_ASSERT_EQUAL(lab.p->on_demand.calls.n, (uint32_t)gen + 1);
		CU_ASSERT_EQUAL(lab.p->on_demand.streams.n, 1);
		CU_ASSERT_EQUAL(asked(), 1);
		scene_send_request(c, 'Q', 2 + (uint64_t)gen, 40);
		CU_ASSERT_EQUAL(asked(), 0);
		lab_close(o, MT_CLOSE_RESET);
		o = lab_client(CONFIG_OPAQUE);
		CU_ASSERT_EQUAL(asked(), 0);
	}
	lab_close(o, MT_CLOSE_RESET);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

/* What the wait took is no longer there for the call itself. */
static void the_time_out_goes_on(void)
{
	struct fake_conn *c;

	start();
	lab.snap->listeners[0].protos->services[0]->timeout_ms = 1000;
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 40);
	lab_advance(150 * MT_MSEC);
	told(1);
	(void)scene_connected_server(0);
	lab_advance(840 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 0);
	lab_advance(20 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_TIMEOUT);
	scene_bye(c);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

static void no_more_than_so_many(void)
{
	const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .pending_max = 5};
	struct fake_conn *c;
	uint32_t refused = 0;

	demand = (struct mt_demand){0};
	scene_start_with(0, &conf);
	only_named(lab.snap);
	c = lab_client(CONFIG_SAFE);
	for (uint64_t i = 1; i <= 8; i++)
		scene_send_request(c, 'Q', i, 40);
	while (scene_next_sent(c).status == 1)
		refused++;
	CU_ASSERT_EQUAL(refused, 3);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_demand_full), 3);
	CU_ASSERT_EQUAL(lab.p->on_demand.calls.n, 5);
	/* Their client leaves. */
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(lab.p->on_demand.calls.n, 0);
	CU_ASSERT_EQUAL(lab.p->on_demand.bytes, 0);
	stop();
}

static void byte_streams_wait_as_well(void)
{
	struct fake_conn *c, *late, *s;

	start();
	c = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	CU_ASSERT_EQUAL(asked(), 1);
	lab_feed(c, "hello", 5);
	late = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_EQUAL(asked(), 0);
	lab_close(late, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(lab.p->on_demand.streams.n, 1);
	lab_advance(50 * MT_MSEC);
	told(1);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(s->sent.len, 5);
	/* The time that it might have waited passes. */
	lab_advance(WAIT_MS * MT_MSEC);
	CU_ASSERT_TRUE(c->live);
	lab_fin(c);
	lab_fin(s);
	lab_close(c, MT_CLOSE_OK);
	lab_close(s, MT_CLOSE_OK);
	stop();
}

static void byte_streams_in_vain(void)
{
	struct fake_conn *c;

	start();
	c = lab_client(CONFIG_OPAQUE);
	lab_advance((WAIT_MS + 2) * MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_demand_late), 1);
	scene_line_is("0 - meltemi:on_demand_late");
	c = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	said_absent(lab.now + MT_SEC, "no such cluster");
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_demand_absent), 1);
	scene_line_is("0 NC cluster_not_found");
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_OPAQUE));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_demand_absent), 2);
	scene_line_is("0 NC cluster_not_found");
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_no_endpoint), 0);
	stop();
}

static void no_more_byte_streams(void)
{
	const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096, .pending_max = 2};
	struct fake_conn *c[2];

	demand = (struct mt_demand){0};
	scene_start_with(0, &conf);
	only_named(lab.snap);
	for (int i = 0; i < 2; i++)
		c[i] = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_OPAQUE));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_demand_full), 1);
	scene_line_is("0 OM overload");
	for (int i = 0; i < 2; i++)
		lab_close(c[i], MT_CLOSE_RESET);
	stop();
}

/* The service leaves the configuration while its call waits. */
static void its_service_leaves(void)
{
	struct fake_conn *c, *o;
	struct mt_snapshot *s;

	start();
	c = lab_client(CONFIG_SERIAL);
	scene_send_request(c, 'Q', 1, 40);
	o = lab_client(CONFIG_OPAQUE);
	s = config_make(1, 2, 2, false);
	s->listeners[1].protos->codec = s->listeners[0].protos->codec;
	adopt(s);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, MT_REPLY_NO_ROUTE);
	CU_ASSERT_TRUE(o->aborted);
	CU_ASSERT_EQUAL(lab.p->on_demand.calls.n + lab.p->on_demand.streams.n, 0);
	lab_close(c, MT_CLOSE_OK);
	stop();
}

/* A one-way call that waited, was sent and not read, and waits once more: its time goes on. */
static void one_way_that_waits_again(void)
{
	struct mt_snapshot *named;
	struct fake_conn *c, *s;

	start();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'O', 1, 40);
	told(1);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(s->sent.len, 40);
	named = only_named(config_make(2, 3, 0, true));
	named->keep_from = named->version;
	adopt(named);
	lab_fin(s);
	lab_close(s, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_transparent_retry), 1);
	CU_ASSERT_EQUAL(lab.p->on_demand.calls.n, 1);
	lab_advance(2 * MT_SEC);
	CU_ASSERT_EQUAL(lab.p->on_demand.calls.n, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_oneway_lost), 1);
	CU_ASSERT_EQUAL(asked(), 2);
	scene_bye(c);
	stop();
}

static struct mt_snapshot *route_gold(struct mt_snapshot *s)
{
	return config_two_routes(
		s, 0, "method", "gold", (struct mt_mutation){.key = "method", .key_len = 6}, true);
}

/* Its route removes the key that it matches: when the cluster is there it is the same route's, and has its change. */
static void routed_as_it_came(void)
{
	struct fake_conn *c, *s;
	struct toy t;

	start();
	route_gold(lab.snap);
	c = lab_client(CONFIG_SAFE);
	toy_make(scene_buf, 'Q', 1, "gold", 40);
	lab_feed(c, scene_buf, 40);
	CU_ASSERT_EQUAL(asked(), 1);
	/* Another configuration in which it still is only a name. */
	adopt(route_gold(only_named(config_make(1, 2, 0, true))));
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 0);
	adopt(route_gold(config_make(2, 3, 1, true)));
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 0);
	s = scene_connected_server(0);
	t = scene_next_sent(s);
	CU_ASSERT_STRING_EQUAL(t.method, "----");
	scene_answer(s, t.id, 7, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).status, 0);
	scene_bye(c);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

static enum mt_filter_verdict adds(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	static const struct mt_mutation m = {
		.key = "a", .key_len = 1, .value = "b", .value_len = 1};

	mt_filter_mutate(ctx->fw, v, &m, 1);
	return MT_FILTER_NEXT;
}

/* Filters' changes wait with it; those of a call that does not go on are freed. */
static void changes_wait_too(void)
{
	static const struct mt_filter adder = {.name = "adder", .on_request = adds};
	static struct mt_filter_inst chain[] = {{.type = &adder}};
	struct fake_conn *c, *leaves, *s;

	start();
	scene_filters(chain, 1);
	c = lab_client(CONFIG_SAFE);
	leaves = lab_client(CONFIG_SAFE);
	memset(&toy_noted, 0, sizeof(toy_noted));
	scene_send_request(c, 'Q', 1, 40);
	scene_send_request(leaves, 'Q', 2, 40);
	CU_ASSERT_EQUAL(toy_noted.encoded, 0);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	lab_close(leaves, MT_CLOSE_RESET);
	told(1);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "a=b;");
	CU_ASSERT_EQUAL(toy_noted.encoded, 1);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 7, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).status, 0);
	scene_bye(c);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

/*
 * Another worker goes on with a call whose cluster has come, although no cluster is on demand any
 * more.
 */
static void moved_when_it_is_told(void)
{
	struct fake_conn *c, *s;

	start();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 40);
	CU_ASSERT_EQUAL(asked(), 1);
	moved_old = lab.snap;
	lab.snap = config_make(1, 2, 2, true);
	mt_proxy_adopt(lab.p, lab.snap);
	CU_ASSERT_EQUAL(lab.p->on_demand.calls.n, 1);
	moved_to_another(NULL);
	moved_old = NULL;
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(lab.p->on_demand.calls.n, 0);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 7, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).status, 0);
	scene_bye(c);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

/*
 * Metadata of calls that go on are read again: a few costly ones in an iteration, the others in the
 * next ones, and none is forgotten.
 */
static void costly_ones_go_on_in_turn(void)
{
	static struct mt_mutation fixed = {.key = "fixed", .key_len = 5};
	const uint32_t calls = 40, most = 2 * (MT_RESUME_STEPS / 3000 + 1);
	struct mt_route_action *a;
	struct mt_snapshot *s;
	struct fake_conn *c;
	uint32_t turns = 0;

	start();
	c = lab_client(CONFIG_SAFE);
	for (uint64_t i = 1; i <= calls; i++)
		scene_send_request(c, 'Q', i, 40);
	s = config_make(1, 2, 1, true);
	/* Toys cannot make this change, so their metadata are read. */
	a = (struct mt_route_action *)mt_route_at(s->services[0]->routes, 0);
	a->req_mut = &fixed;
	a->n_req_mut = 1;
	memset(&toy_noted, 0, sizeof(toy_noted));
	toy_noted.takes = 3000;
	adopt(s);
	CU_ASSERT_EQUAL(lab.p->on_demand.calls.n, 0);
	CU_ASSERT(toy_noted.indexed > 0 && toy_noted.indexed <= most);
	while (toy_noted.indexed < calls && turns++ < calls) {
		uint32_t before = toy_noted.indexed;

		CU_ASSERT_EQUAL(mt_proxy_next(lab.p), lab.p->now);
		lab_advance(1);
		CU_ASSERT(toy_noted.indexed > before && toy_noted.indexed <= before + most);
	}
	CU_ASSERT_EQUAL(toy_noted.indexed, calls);
	toy_noted.takes = 0;
	a->n_req_mut = 0;
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

/* A copy of a call does not hide the steps that the call took. */
static void costly_ones_with_copies(void)
{
	static struct mt_mutation fixed = {.key = "fixed", .key_len = 5};
	const uint32_t calls = 20, most = 2 * (MT_RESUME_STEPS / 3000 + 1);
	struct mt_route_action *a;
	struct mt_snapshot *s;
	struct fake_conn *c;

	start();
	c = lab_client(CONFIG_SAFE);
	for (uint64_t i = 1; i <= calls; i++)
		scene_send_request(c, 'Q', i, 40);
	s = config_make(1, 2, 1, true);
	mirror_in(s, 0, 1000000);
	a = (struct mt_route_action *)mt_route_at(s->services[0]->routes, 0);
	a->req_mut = &fixed;
	a->n_req_mut = 1;
	toy_noted.takes = 3000;
	adopt(s);
	CU_ASSERT(scene_put_off() >= calls - most);
	for (uint32_t i = 0; scene_put_off() && i < calls; i++)
		lab_advance(1);
	CU_ASSERT_EQUAL(scene_put_off(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_started), calls);
	toy_noted.takes = 0;
	a->n_req_mut = 0;
	lab_close(c, MT_CLOSE_RESET);
	lab_close(mirror_connected(true, 0), MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	mt_cluster_release(&s->clusters[1]);
	stop();
}

const struct mt_test on_demand_tests[] = {
	{"a_hundred_calls_are_one_question", a_hundred_calls_are_one_question},
	{"one_that_does_not_exist", one_that_does_not_exist},
	{"not_longer_than_that", not_longer_than_that},
	{"asked again by many", asked_again_by_many},
	{"the_time_out_goes_on", the_time_out_goes_on},
	{"no_more_than_so_many", no_more_than_so_many},
	{"byte_streams_wait_as_well", byte_streams_wait_as_well},
	{"byte_streams_in_vain", byte_streams_in_vain},
	{"no_more_byte_streams", no_more_byte_streams},
	{"its_service_leaves", its_service_leaves},
	{"a one-way call that waits again", one_way_that_waits_again},
	{"routed as it came", routed_as_it_came},
	{"changes wait, too", changes_wait_too},
	{"moved when it is told", moved_when_it_is_told},
	{"costly ones go on in turn", costly_ones_go_on_in_turn},
	{"costly ones with copies", costly_ones_with_copies},
	{0},
};
