/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each cause of an end, and the response code, flags and details that its line of the access log
 * has. Those of policies, tokens and external authorization are in the tests of these.
 */
#include "moved.h"
#include "scene.h"

#include "mt_filter_fault.h"
#include "mt_proxy_priv.h"

#include <string.h>

#define SAFE 0 /* index of a listener */

static struct fake_conn *client;

static void start(uint32_t n_eps)
{
	scene_start(n_eps);
	scene_patient();
	client = lab_client(CONFIG_SAFE);
}

static void stop(void)
{
	CU_ASSERT_PTR_NULL(scene_logged());
	if (client->live)
		lab_close(client, MT_CLOSE_RESET);
	lab_flush_detached();
	lab_advance(20 * MT_SEC);
	scene_stop();
}

/* The server has the client's call. */
static struct fake_conn *sent(uint64_t *id)
{
	struct fake_conn *s;

	scene_send_request(client, 'Q', 1, 64);
	s = scene_connected_server(0);
	*id = scene_next_sent(s).id;
	return s;
}

/* ---- the server replies ---------------------------------------------------------------------- */

static void replies(void)
{
	static const struct {
		uint8_t status;
		const char *line;
	} rows[] = {
		{0, "200 - via_upstream"},
		{TOY_SERVER_ERROR, "500 - via_upstream"},
		{TOY_OVERLOAD, "503 - via_upstream"},
		{TOY_UNAVAILABLE, "503 - via_upstream"},
		{TOY_DEADLINE, "504 - via_upstream"},
		{TOY_CALLER, "400 - via_upstream"},
		{TOY_REFUSED, "503 - via_upstream"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct fake_conn *s;
		uint64_t id;

		start(1);
		s = sent(&id);
		toy_make(scene_buf, 'P', id, "done", 40);
		scene_buf[2] = rows[i].status;
		lab_feed(s, scene_buf, 40);
		scene_line_is(rows[i].line);
		stop();
	}
}

static void one_way(void)
{
	struct fake_conn *s;

	start(1);
	scene_send_request(client, 'O', 1, 64);
	s = scene_connected_server(0);
	lab_take(s, scene_buf, 64);
	scene_line_is("200 - via_upstream");
	stop();
}

/* ---- the request is not forwarded ------------------------------------------------------------ */

static void bad_requests(void)
{
	start(1);
	lab.snap->listeners[SAFE].protos->services[0]->searches = true;
	toy_make(scene_buf, 'Q', 1, "huge", 64);
	lab_feed(client, scene_buf, 64);
	scene_line_is("413 - request_payload_too_large");
	lab_feed(client, "this is no message of the toy codec", 32);
	scene_line_is("400 DPE meltemi:bad_request");
	stop();
}

static void no_route(void)
{
	struct mt_filter_chain_proto *proto;
	uint32_t n;

	start(1);
	proto = (struct mt_filter_chain_proto *)lab.snap->listeners[SAFE].protos;
	n = proto->n_services;
	proto->n_services = 0;
	scene_send_request(client, 'Q', 1, 64);
	scene_line_is("404 NR route_not_found");
	proto->n_services = n;
	stop();
}

static void no_cluster(void)
{
	static uint64_t serial;
	struct mt_demand demand = {.serial = &serial};

	start(0);
	config_only_named(lab.snap, &demand, 200);
	scene_send_request(client, 'Q', 1, 64);
	lab_advance(201 * MT_MSEC);
	scene_line_is("503 - meltemi:on_demand_late");
	demand.absent_until = lab.now + MT_SEC;
	demand.why = "no such cluster";
	scene_send_request(client, 'Q', 2, 64);
	scene_line_is("503 NC cluster_not_found");
	stop();
}

static enum mt_filter_verdict limits(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	ctx->reply = MT_REPLY_OVER_LIMIT;
	ctx->reply_text = "over limit";
	return MT_FILTER_REPLY;
}

/* A fault, and after it a limit: the reason of the first call is not that of the second one. */
static void filters(void)
{
	static const struct mt_filter limiter = {.name = "limiter", .on_request = limits};
	struct mt_fault_conf conf = {.abort_ppm = MT_FAULT_ALL};
	struct mt_filter_inst chain[] = {
		{.type = mt_filter_find("fault"), .conf = mt_fault_compile(&conf)}};

	start(1);
	scene_filters(chain, 1);
	scene_send_request(client, 'Q', 1, 64);
	scene_line_is("503 FI fault_filter_abort");
	chain[0].type->free_conf(chain[0].conf);
	chain[0] = (struct mt_filter_inst){.type = &limiter};
	scene_filters(chain, 1);
	scene_send_request(client, 'Q', 2, 64);
	scene_line_is("429 RL local_rate_limited");
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, SAFE)->local[MT_ENDING_fault], 1);
	stop();
}

/* A fault delays the call, which goes on. */
static void delayed(void)
{
	struct mt_fault_conf conf = {.delay_ppm = MT_FAULT_ALL, .delay_ms = 50};
	struct mt_filter_inst chain[] = {
		{.type = mt_filter_find("fault"), .conf = mt_fault_compile(&conf)}};
	struct fake_conn *s;

	start(1);
	scene_filters(chain, 1);
	scene_send_request(client, 'Q', 1, 64);
	lab_advance(51 * MT_MSEC);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 1, 40);
	scene_line_is("200 DI via_upstream");
	stop();
	chain[0].type->free_conf(chain[0].conf);
}

static void overload(void)
{
	scene_start_with(
		1, &(struct mt_proxy_conf){
			   .max_down = 64, .max_up = 64, .max_exchanges = 2, .mirror_max = 1});
	scene_patient();
	client = lab_client(CONFIG_SAFE);
	for (uint64_t id = 0; id <= lab.p->exchanges.cap; id++)
		scene_send_request(client, 'Q', id, 64);
	scene_line_is("503 OM overload");
	lab_close(client, MT_CLOSE_RESET);
	while (scene_logged())
		continue;
	stop();
}

static void breaker(void)
{
	struct fake_conn *others[2];

	scene_start_with(1, &(struct mt_proxy_conf){
				    .serial_lanes = 1, .pending_max = 1, .pending_bytes = 8192});
	lab.snap->clusters[0].max_connections = lab.snap->clusters[0].max_pending = 1;
	for (uint64_t i = 0; i < 2; i++) {
		others[i] = lab_client(CONFIG_SERIAL);
		scene_send_request(others[i], 'Q', i, 64);
	}
	client = lab_client(CONFIG_SERIAL);
	scene_send_request(client, 'Q', 2, 64);
	scene_line_is("503 UO upstream_reset_before_response_started{overflow}");
	for (uint32_t i = 0; i < 2; i++) {
		lab_close(others[i], MT_CLOSE_RESET);
		scene_line_is("0 DC downstream_remote_disconnect");
	}
	stop();
}

/* ---- no reply, or only a part of it ---------------------------------------------------------- */

static void no_endpoint(void)
{
	start(0);
	scene_send_request(client, 'Q', 1, 64);
	scene_line_is("503 UH no_healthy_upstream");
	stop();
	start(1);
	scene_send_request(client, 'Q', 1, 64);
	lab_close(lab_server(0), MT_CLOSE_REFUSED);
	scene_line_is("503 UF upstream_reset_before_response_started{connection_failure}");
	stop();
}

static void connection_lost(void)
{
	static uint8_t whole[200000];
	struct fake_conn *s;
	uint64_t id;

	start(1);
	s = sent(&id);
	lab_close(s, MT_CLOSE_RESET);
	scene_line_is("503 UC upstream_reset_before_response_started{connection_termination}");
	s = sent(&id);
	toy_make(whole, 'P', id, "abcd", sizeof(whole));
	lab_feed(s, whole, 70000);
	lab_close(s, MT_CLOSE_RESET);
	scene_line_is("503 UC upstream_reset_after_response_started{connection_termination}");
	lab_flush_detached();
	stop();
}

static void bad_reply(void)
{
	struct fake_conn *s;
	uint64_t id;

	start(1);
	s = sent(&id);
	lab_feed(s, "this is no message of the toy codec", 32);
	scene_line_is("502 UPE upstream_reset_before_response_started{protocol_error}");
	stop();
}

static void timeouts(void)
{
	static const struct mt_retry times = {.on = MT_RETRY_LOST, .try_ms = 100};
	struct mt_route_action *a;
	uint64_t id;

	scene_start(1);
	client = lab_client(CONFIG_SAFE);
	(void)sent(&id);
	lab_advance(1001 * MT_MSEC);
	scene_line_is("504 UT response_timeout");
	a = (struct mt_route_action *)mt_route_at(
		lab.snap->listeners[SAFE].protos->services[0]->routes, 0);
	a->retry = &times;
	a->retries = true;
	scene_send_request(client, 'Q', 2, 64);
	lab_advance(101 * MT_MSEC);
	scene_line_is("504 UT upstream_per_try_timeout");
	a->retry = NULL;
	a->retries = false;
	stop();
}

static void retry_by(const struct mt_retry *policy)
{
	struct mt_route_action *a = (struct mt_route_action *)mt_route_at(
		lab.snap->listeners[SAFE].protos->services[0]->routes, 0);

	a->retry = policy;
	a->retries = true;
}

/* The policy's attempts are used up; the last one's reply is forwarded, or its connection ends. */
static void attempts_used_up(void)
{
	static const struct mt_retry policy = {.on = MT_RETRY_OVERLOAD | MT_RETRY_LOST,
		.attempts = 1,
		.base_ms = 10,
		.max_ms = 10};

	for (int lost = 0; lost < 2; lost++) {
		struct fake_conn *s = NULL;
		uint64_t id;

		start(1);
		retry_by(&policy);
		(void)sent(&id);
		for (int i = 0; i < 2; i++) {
			s = lab_server(0);
			if (i)
				id = scene_next_sent(s).id;
			if (i && lost)
				break;
			toy_make(scene_buf, 'P', id, "done", 40);
			scene_buf[2] = TOY_OVERLOAD;
			lab_feed(s, scene_buf, 40);
			lab_advance(11 * MT_MSEC);
		}
		if (lost)
			lab_close(s, MT_CLOSE_RESET);
		scene_line_is(lost ? "503 UC,URX upstream_reset_before_response_started"
				     "{connection_termination}"
				   : "503 URX via_upstream");
		stop();
	}
}

/* The first attempt reached no endpoint; the second one finds none, so it has not tried one. */
static void none_for_the_last_attempt(void)
{
	static const struct mt_retry policy = {
		.on = MT_RETRY_UNSENT, .attempts = 1, .base_ms = 10, .max_ms = 10};
	struct mt_cluster *c;

	start(1);
	c = &lab.snap->clusters[0];
	retry_by(&policy);
	scene_send_request(client, 'Q', 1, 64);
	lab_close(lab_server(0), MT_CLOSE_REFUSED);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), 1);
	c->n_eps = 0;
	lab_advance(11 * MT_MSEC);
	c->n_eps = 1;
	scene_line_is("503 UH no_healthy_upstream");
	stop();
}

/* The time-out ends the call, and no attempt that the policy would not give. */
static void late_in_the_last_attempt(void)
{
	static const struct mt_retry policy = {
		.on = MT_RETRY_LOST, .attempts = 1, .base_ms = 10, .max_ms = 10};
	struct fake_conn *s;
	uint64_t id;

	scene_start(1);
	client = lab_client(CONFIG_SAFE);
	retry_by(&policy);
	s = sent(&id);
	lab_close(s, MT_CLOSE_RESET);
	lab_advance(11 * MT_MSEC);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(scene_next_sent(s).kind, 'Q');
	CU_ASSERT_PTR_NULL(scene_logged());
	lab_advance(1001 * MT_MSEC);
	scene_line_is("504 UT response_timeout");
	stop();
}

static void client_leaves(void)
{
	uint64_t id;

	start(1);
	(void)sent(&id);
	lab_close(client, MT_CLOSE_RESET);
	scene_line_is("0 DC downstream_remote_disconnect");
	stop();
}

/* ---- connections that are refused ------------------------------------------------------------ */

/* The drain has begun between the SYN and the end of the handshake. */
static void drained(void)
{
	struct mt_listener *l;

	start(1);
	l = &lab.snap->listeners[SAFE];
	l->drain = MT_LISTENER_REFUSES;
	CU_ASSERT_FALSE(mt_proxy_listen_ops.accept(lab.p, &client->s, SAFE));
	scene_line_is("0 - meltemi:drained");
	l->drain = MT_LISTENER_SERVES;
	mt_proxy_drain(lab.p);
	CU_ASSERT_FALSE(mt_proxy_listen_ops.accept(lab.p, &client->s, SAFE));
	scene_line_is("0 - meltemi:drained");
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_draining), 2);
	stop();
}

/* No object is free, though fewer clients are connected than may be. */
static void no_room(void)
{
	static const uint16_t ports[] = {CONFIG_SAFE, CONFIG_OPAQUE};

	start(1);
	for (size_t i = 0; i < MT_ARRAY_LEN(ports); i++) {
		struct mt_slab *slab = i ? &lab.p->pairs : &lab.p->downs;
		uint32_t cap = slab->cap;

		slab->cap = slab->in_use;
		CU_ASSERT_PTR_NULL(lab_client(ports[i]));
		slab->cap = cap;
		scene_line_is("0 OM overload");
	}
	stop();
}

/* A listener with logs of its own gets the line there, and only there. */
static void logs_of_listener(void)
{
	static const struct mt_alog_scope none;
	static const struct mt_alog_scope one = {.n = 1, .keys = {7}};
	struct mt_listener *l;
	const struct mt_alog_entry *e;

	start(1);
	l = &lab.snap->listeners[SAFE];
	l->drain = MT_LISTENER_REFUSES;
	l->log_scope = &one;
	lab.snap->log_unserved = false;
	CU_ASSERT_FALSE(mt_proxy_listen_ops.accept(lab.p, &client->s, SAFE));
	e = scene_logged();
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_PTR_EQUAL(e->scope, &one);
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_drained);
	lab.snap->log_unserved = true;
	l->log_scope = &none;
	CU_ASSERT_FALSE(mt_proxy_listen_ops.accept(lab.p, &client->s, SAFE));
	CU_ASSERT_PTR_NULL(scene_logged());
	l->log_scope = NULL;
	CU_ASSERT_FALSE(mt_proxy_listen_ops.accept(lab.p, &client->s, SAFE));
	e = scene_logged();
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_PTR_NULL(e->scope);
	l->drain = MT_LISTENER_SERVES;
	stop();
}

/* ---- opaque streams -------------------------------------------------------------------------- */

/* Bytes and addresses are those of the stream, and the entry comes at its end. */
static void stream(void)
{
	const struct mt_alog_entry *e;
	struct mt_tuple down, up;
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_OPAQUE);
	down = c->t;
	lab_feed(c, "early", 5);
	lab_advance(30 * MT_MSEC);
	s = scene_connected_server(0);
	up = s->t;
	lab_advance(50 * MT_MSEC);
	lab_feed(s, "banner", 6);
	lab_take(c, scene_buf, 6);
	lab_fin(c);
	lab_fin(s);
	CU_ASSERT_PTR_NULL(scene_logged());
	lab_close(s, MT_CLOSE_OK);
	e = scene_logged();
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL(e->type, MT_ALOG_TCP_END);
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_stream);
	CU_ASSERT_STRING_EQUAL(e->protocol, "tcp");
	CU_ASSERT_STRING_EQUAL(e->host, "toys");
	CU_ASSERT_STRING_EQUAL(e->cluster, "toys");
	CU_ASSERT_EQUAL(e->bytes_in, 5);
	CU_ASSERT_EQUAL(e->bytes_out, 6);
	CU_ASSERT_EQUAL(e->attempts, 1);
	CU_ASSERT_EQUAL(e->sent - e->started, 30 * MT_MSEC);
	CU_ASSERT_EQUAL(e->ended - e->started, 80 * MT_MSEC);
	CU_ASSERT_TRUE(mt_addr_eq(&e->client, &down.remote));
	CU_ASSERT_EQUAL(e->local_port, down.lport);
	CU_ASSERT_TRUE(mt_addr_eq(&e->endpoint, &up.remote));
	CU_ASSERT_EQUAL(e->endpoint_port, up.rport);
	CU_ASSERT_EQUAL(e->up_local_port, up.lport);
	CU_ASSERT_PTR_NULL(scene_logged());
	scene_stop();
}

/* A client is cut off, and the rest of its bytes goes to the server. */
static void cut_stream(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_OPAQUE);
	s = scene_connected_server(0);
	lab_feed(c, "hello", 5);
	lab_close(c, MT_CLOSE_RESET);
	scene_line_is("0 - -");
	lab_take(s, scene_buf, 5);
	CU_ASSERT_PTR_NULL(scene_logged());
	lab_advance(20 * MT_SEC);
	scene_stop();
}

static void stream_without_server(void)
{
	struct fake_conn *c;

	scene_start(0);
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_OPAQUE));
	scene_line_is("0 UH no_healthy_upstream");
	scene_stop();
	scene_start(1);
	c = lab_client(CONFIG_OPAQUE);
	lab_close(lab_server(0), MT_CLOSE_REFUSED);
	scene_line_is("0 UF upstream_reset_before_response_started{connection_failure}");
	CU_ASSERT_TRUE(c->aborted);
	c = lab_client(CONFIG_OPAQUE);
	lab_close(c, MT_CLOSE_RESET);
	scene_line_is("0 DC downstream_remote_disconnect");
	scene_stop();
}

/* Another worker goes on with a stream, and writes its entry. */
static void moved_stream(void)
{
	const struct mt_alog_entry *e;
	struct fake_conn *c, *s;
	uint64_t opened;

	scene_start(1);
	opened = lab.now;
	c = lab_client(CONFIG_OPAQUE);
	s = scene_connected_server(0);
	lab_feed(c, "hello", 5);
	lab_advance(10 * MT_MSEC);
	moved_to_another(NULL);
	lab_take(s, scene_buf, 5);
	lab_advance(10 * MT_MSEC);
	lab_close(s, MT_CLOSE_RESET);
	e = scene_logged();
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL(e->started, opened);
	CU_ASSERT_EQUAL(e->sent, opened);
	CU_ASSERT_EQUAL(e->bytes_in, 5);
	lab_flush_detached();
	scene_stop();
}

/* A stream that began without a log leaves no entry. */
static void unlogged_stream(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	lab.snap->logged = false;
	c = lab_client(CONFIG_OPAQUE);
	s = scene_connected_server(0);
	lab.snap->logged = true;
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_PTR_NULL(scene_logged());
	CU_ASSERT_TRUE(s->aborted);
	scene_stop();
}

/* Nor does one that is not drawn. */
static void undrawn_stream(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	lab.snap->log_skips = 1ull << 32;
	c = lab_client(CONFIG_OPAQUE);
	s = scene_connected_server(0);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_PTR_NULL(scene_logged());
	CU_ASSERT_TRUE(s->aborted);
	scene_stop();
}

const struct mt_test endings_tests[] = {{"replies", replies}, {"one way", one_way},
	{"bad requests", bad_requests}, {"no route", no_route}, {"no cluster", no_cluster},
	{"filters", filters}, {"overload", overload}, {"breaker", breaker},
	{"no endpoint", no_endpoint}, {"connection lost", connection_lost},
	{"bad reply", bad_reply}, {"time-outs", timeouts}, {"delayed", delayed},
	{"attempts used up", attempts_used_up},
	{"no endpoint for the last attempt", none_for_the_last_attempt},
	{"late in the last attempt", late_in_the_last_attempt},
	{"the client leaves", client_leaves}, {"drained", drained}, {"no room", no_room},
	{"logs of a listener", logs_of_listener}, {"a stream", stream},
	{"a stream that is cut off", cut_stream}, {"a stream that moves", moved_stream},
	{"a stream without a server", stream_without_server},
	{"a stream without a log", unlogged_stream}, {"a sampled stream", undrawn_stream}, {0}};
