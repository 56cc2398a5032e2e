/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Filters that wait at replies: what ends such a wait, and what happens meanwhile to the client,
 * the server connection, the configuration and the worker.
 */
#include "moved.h"
#include "scene.h"

#include "mt_proxy_priv.h"

#include <errno.h>
#include <string.h>

#define LEN    64 /* of requests and replies */
#define SAFE   0  /* listeners' indexes */
#define SERIAL 2

/* ---- two filters, each of which may wait at the request and at the reply ---------------------- */

struct waiter {
	const char *key; /* the change that it makes to the reply; NULL: none */
	bool at_request;
	enum mt_filter_verdict verdict;		    /* at the reply */
	uint32_t asked;				    /* times that it got a reply */
	uint64_t left;				    /* ns, as it was told at the reply */
	struct mt_filter_ticket of_request, ticket; /* of the last ones */
};

static struct waiter waiters[2];
static uint32_t ended;
static enum mt_filter_ended how;

static enum mt_filter_verdict on_request(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	struct waiter *w = f->conf;

	(void)v;
	memset(ctx->own + f->own, 0xa5, 8);
	w->of_request = mt_filter_ticket_of(ctx);
	return w->at_request ? MT_FILTER_SUSPEND : MT_FILTER_NEXT;
}

static enum mt_filter_verdict on_reply(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	struct waiter *w = f->conf;
	const struct mt_mutation change = {
		.key = w->key, .key_len = 3, .value = "yes", .value_len = 3};

	w->asked++;
	w->left = ctx->left(ctx);
	w->ticket = mt_filter_ticket_of(ctx);
	CU_ASSERT_EQUAL(ctx->own[f->own], 0xa5);
	CU_ASSERT_FALSE(mt_addr_is_zero(&v->peer));
	if (w->key)
		CU_ASSERT_TRUE(mt_filter_change(ctx->fw, v, &change));
	ctx->reply = MT_REPLY_OVER_LIMIT;
	ctx->reply_text = "no";
	return w->verdict;
}

static void on_end(
	const struct mt_filter_inst *f, const struct mt_filter_end *end, struct mt_filter_ctx *ctx)
{
	/* Zero if its on_request() was not reached. */
	CU_ASSERT(ctx->own[f->own] == 0xa5 || ctx->own[f->own] == 0);
	ended++;
	how = (enum mt_filter_ended)end->how;
}

static struct mt_filter types[2] = {
	{.name = "first",
		.on_request = on_request,
		.on_reply = on_reply,
		.on_end = on_end,
		.bytes = 8},
	{.name = "second",
		.on_request = on_request,
		.on_reply = on_reply,
		.on_end = on_end,
		.bytes = 8},
};
static struct mt_filter_inst chain[2] = {
	{.type = &types[0], .conf = &waiters[0]}, {.type = &types[1], .conf = &waiters[1]}};

static struct fake_conn *client, *server;

/* Filters that wait at replies, `n` of them, at the service of this listener. */
static void start_with(const struct mt_proxy_conf *conf, uint32_t listener, uint32_t n)
{
	static const uint16_t ports[] = {CONFIG_SAFE, CONFIG_OPAQUE, CONFIG_SERIAL, CONFIG_NAMED};
	struct mt_service *s;

	scene_start_with(1, conf);
	memset(&toy_noted, 0, sizeof(toy_noted));
	memset(waiters, 0, sizeof(waiters));
	ended = 0;
	server = NULL;
	for (int i = 0; i < 2; i++) {
		types[i].wait_ms = 0;
		waiters[i].verdict = MT_FILTER_SUSPEND;
	}
	scene_filters(chain, n);
	s = lab.snap->listeners[listener].protos->services[0];
	s->filters = lab.snap->listeners[SAFE].protos->services[0]->filters;
	s->filter_insts = chain;
	s->n_filter_insts = n;
	client = lab_client(ports[listener]);
}

static void start(uint32_t listener, uint32_t n)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 4096};

	start_with(&conf, listener, n);
}

static void stop(uint32_t ends)
{
	if (client->live)
		lab_close(client, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	CU_ASSERT_EQUAL(ended, ends);
	scene_stop();
}

static uint64_t filtered(enum mt_filter_outcome o)
{
	return lab.p->filters.counters[o];
}

static const struct mt_service_stats *served(void)
{
	return mt_proxy_service_stats(lab.p, SAFE);
}

static struct mt_exchange *the_exchange(void)
{
	uint32_t i = 0;

	return mt_slab_next(&lab.p->exchanges, &i);
}

/* A call is sent and answered; its reply waits. */
static void wait_at_reply(uint64_t id)
{
	scene_send_request(client, 'Q', id, LEN);
	if (!server || !server->live)
		server = scene_connected_server(lab_n_servers() - 1);
	scene_answer(server, scene_next_sent(server).id, 9, LEN);
}

/* One reply waits: it is charged, its attempt has ended, and nothing has come to the client. */
static void is_waiting(void)
{
	const struct mt_exchange *ex = the_exchange();

	CU_ASSERT_PTR_NOT_NULL_FATAL(ex);
	CU_ASSERT_EQUAL(ex->state, MT_EX_FILTERING);
	CU_ASSERT_EQUAL(scene_next_sent(client).kind, 0);
	CU_ASSERT_EQUAL(lab.p->n_attempts, 0);
	CU_ASSERT_TRUE(lab_holds(client).of[MT_CLASS_WAITING] >= ex->rsp.truesize);
	CU_ASSERT_EQUAL(lab_holds(client).of[MT_CLASS_REPLYING], 0);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
}

static void is_answered(uint64_t id)
{
	struct toy t = scene_next_sent(client);

	CU_ASSERT_EQUAL(t.kind, 'P');
	CU_ASSERT_EQUAL(t.id, id);
	CU_ASSERT_EQUAL(t.status, 0);
	CU_ASSERT_EQUAL(t.first, 9);
	CU_ASSERT_EQUAL(t.len, LEN);
}

static void is_told(uint64_t id, enum mt_local_reply what)
{
	struct toy t = scene_next_sent(client);

	CU_ASSERT_EQUAL(t.id, id);
	CU_ASSERT_EQUAL(t.status, 1);
	CU_ASSERT_EQUAL(t.first, what);
	CU_ASSERT_EQUAL(scene_next_sent(client).kind, 0);
}

static void decide(enum mt_filter_verdict verdict)
{
	scene_complete(&waiters[0].ticket, verdict, "no");
}

/* The log has the end of the call, and no bytes of a reply that did not reach the client. */
static void test_logged(void)
{
	const struct mt_alog_entry *e;

	start(SAFE, 1);
	wait_at_reply(1);
	CU_ASSERT_PTR_NULL(scene_logged());
	decide(MT_FILTER_REPLY);
	lab_advance(MT_MSEC);
	is_told(1, MT_REPLY_DENIED);
	e = scene_logged();
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_denied);
	CU_ASSERT_EQUAL(e->bytes_out, 0);
	wait_at_reply(2);
	decide(MT_FILTER_NEXT);
	lab_advance(MT_MSEC);
	is_answered(2);
	e = scene_logged();
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_ok);
	CU_ASSERT_EQUAL(e->bytes_out, LEN);
	wait_at_reply(3);
	lab_close(client, MT_CLOSE_RESET);
	e = scene_logged();
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_client_closed);
	CU_ASSERT_EQUAL(e->bytes_out, 0);
	CU_ASSERT_PTR_NULL(scene_logged());
	stop(3);
}

/* ---- how a wait ends --------------------------------------------------------------------------- */

/* Two waits at one reply. Changes of both filters and of a completion are made once, at the end. */
static void test_goes_on(void)
{
	const struct mt_filter_change by = {{"by", 2}, {"it", 2}};
	const struct mt_filter_completion done = {
		.size = sizeof(done), .verdict = MT_FILTER_NEXT, .n_changes = 1, .changes = &by};

	start(SAFE, 2);
	waiters[0].key = "one";
	waiters[1].key = "two";
	wait_at_reply(1);
	is_waiting();
	CU_ASSERT_TRUE(lab_holds(client).of[MT_CLASS_WAITING] > the_exchange()->rsp.truesize);
	CU_ASSERT_EQUAL(waiters[0].ticket.wait, MT_FILTER_WAIT_OF_REPLY + 1);
	CU_ASSERT_EQUAL(mt_filter_complete(&waiters[0].ticket, &done), 0);
	lab_advance(MT_MSEC);
	is_waiting();
	CU_ASSERT_EQUAL(waiters[1].asked, 1);
	CU_ASSERT_EQUAL(waiters[1].ticket.wait, MT_FILTER_WAIT_OF_REPLY + 2);
	CU_ASSERT_EQUAL(toy_noted.encoded, 0);
	CU_ASSERT_EQUAL(served()->ok, 0);
	CU_ASSERT_EQUAL(mt_filter_complete(&waiters[1].ticket, &done), 0);
	lab_advance(MT_MSEC);
	is_answered(1);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "one=yes;by=it;two=yes;");
	CU_ASSERT_EQUAL(toy_noted.encoded, 1);
	CU_ASSERT(waiters[0].asked == 1 && waiters[1].asked == 1);
	CU_ASSERT_EQUAL(how, MT_FILTER_ENDED_OK);
	CU_ASSERT(served()->requests == 1 && served()->ok == 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), 1);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_reply_waits), 2);
	stop(2);
}

/* A filter answers instead, at once or after its wait: the service counts that, the endpoint its reply. */
static void test_answers(void)
{
	start(SAFE, 1);
	wait_at_reply(1);
	decide(MT_FILTER_REPLY);
	is_told(1, MT_REPLY_DENIED);
	CU_ASSERT_EQUAL(how, MT_FILTER_ENDED_HERE);
	waiters[0].verdict = MT_FILTER_REPLY;
	wait_at_reply(2);
	is_told(2, MT_REPLY_OVER_LIMIT);
	CU_ASSERT(served()->requests == 2 && served()->ok == 0 && served()->limited == 1);
	CU_ASSERT_EQUAL(mt_service_local_replies(served()), 2);
	CU_ASSERT_EQUAL(mt_proxy_ep_hist(lab.p, 0)->answers.ok, 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_answered), 0);
	stop(2);
}

/* A filter behind the one that waited answers, or lets the reply pass. */
static void test_next_filter_decides(void)
{
	start(SAFE, 2);
	waiters[1].verdict = MT_FILTER_REPLY;
	wait_at_reply(1);
	decide(MT_FILTER_NEXT);
	is_told(1, MT_REPLY_OVER_LIMIT);
	waiters[1].verdict = MT_FILTER_NEXT;
	wait_at_reply(2);
	decide(MT_FILTER_NEXT);
	is_answered(2);
	stop(4);
}

/* Only the ticket of this wait ends it: not that of the request's, not one that was used. */
static void test_other_tickets(void)
{
	struct mt_filter_ticket first;

	start(SAFE, 2);
	waiters[0].at_request = true;
	scene_send_request(client, 'Q', 1, LEN);
	scene_complete(&waiters[0].of_request, MT_FILTER_NEXT, NULL);
	server = scene_connected_server(0);
	scene_answer(server, scene_next_sent(server).id, 9, LEN);
	is_waiting();
	scene_complete(&waiters[0].of_request, MT_FILTER_NEXT, NULL);
	is_waiting();
	first = waiters[0].ticket;
	decide(MT_FILTER_NEXT);
	scene_complete(&first, MT_FILTER_REPLY, "no");
	is_waiting();
	scene_complete(&waiters[1].ticket, MT_FILTER_NEXT, NULL);
	is_answered(1);
	scene_complete(&waiters[1].ticket, MT_FILTER_NEXT, NULL);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions_late), 3);
	stop(2);
}

/* ---- the server's connection -------------------------------------------------------------------- */

/* It serves other calls meanwhile, and its end does not matter, on either kind of connection. */
static void test_connection_goes_on(void)
{
	static const uint32_t listeners[] = {SAFE, SERIAL};
	struct mt_filter_ticket first;

	for (size_t i = 0; i < MT_ARRAY_LEN(listeners); i++) {
		start(listeners[i], 1);
		wait_at_reply(1);
		is_waiting();
		first = waiters[0].ticket;
		waiters[0].verdict = MT_FILTER_NEXT;
		scene_send_request(client, 'Q', 2, LEN);
		CU_ASSERT_EQUAL(lab_n_servers(), 1);
		scene_answer(server, scene_next_sent(server).id, 9, LEN);
		/* An ordered client gets it behind the other one. */
		if (listeners[i] == SAFE)
			is_answered(2);
		CU_ASSERT_EQUAL(scene_next_sent(client).kind, 0);
		CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
		lab_close(server, i ? MT_CLOSE_OK : MT_CLOSE_RESET);
		CU_ASSERT_EQUAL(scene_next_sent(client).kind, 0);
		scene_complete(&first, MT_FILTER_NEXT, NULL);
		is_answered(1);
		if (listeners[i] == SERIAL)
			is_answered(2);
		stop(2);
	}
}

/* An ordered client gets a local reply in the place of the one that waits, and then the next one. */
static void test_answers_in_order(void)
{
	struct mt_filter_ticket first;

	start(SERIAL, 1);
	wait_at_reply(1);
	first = waiters[0].ticket;
	wait_at_reply(2);
	decide(MT_FILTER_REPLY);
	CU_ASSERT_EQUAL(scene_next_sent(client).kind, 0);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	scene_complete(&first, MT_FILTER_REPLY, "no");
	CU_ASSERT_EQUAL(scene_next_sent(client).id, 1);
	is_told(2, MT_REPLY_DENIED);
	stop(2);
}

/* A part of a reply is not a reply: filters do not see it, and its call is lost as any other. */
static void test_part(void)
{
	start(SAFE, 1);
	scene_send_request(client, 'Q', 1, LEN);
	server = scene_connected_server(0);
	toy_make(scene_buf, 'P', scene_next_sent(server).id, "done", LEN);
	lab_feed(server, scene_buf, LEN / 2);
	lab_close(server, MT_CLOSE_RESET);
	is_told(1, MT_REPLY_CONN_LOST);
	CU_ASSERT_EQUAL(waiters[0].asked, 0);
	stop(1);
}

/* ---- time ---------------------------------------------------------------------------------------- */

/* The call's time-out continues through all of its waits. */
static void test_time_out(void)
{
	start(SAFE, 2);
	wait_at_reply(1);
	CU_ASSERT_EQUAL(waiters[0].left, 1000 * MT_MSEC);
	lab_advance(600 * MT_MSEC);
	decide(MT_FILTER_NEXT);
	is_waiting();
	CU_ASSERT_TRUE(waiters[1].left <= 400 * MT_MSEC && waiters[1].left > 390 * MT_MSEC);
	lab_advance(350 * MT_MSEC);
	is_waiting();
	lab_advance(100 * MT_MSEC);
	is_told(1, MT_REPLY_TIMEOUT);
	CU_ASSERT_EQUAL(how, MT_FILTER_ENDED_HERE);
	CU_ASSERT_EQUAL(served()->timeouts, 1);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_waits_late), 1);
	scene_complete(&waiters[1].ticket, MT_FILTER_NEXT, NULL);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions_late), 1);
	/* The server is not blamed. */
	CU_ASSERT_EQUAL(mt_proxy_ep_stats(lab.p, 0)->failures, 0);
	stop(2);
}

/* A filter's own time-out is shorter, at a request and at a reply; the next filter has its own again. */
static void test_filters_time_out(void)
{
	start(SAFE, 2);
	types[0].wait_ms = 100;
	waiters[0].at_request = waiters[1].at_request = true;
	scene_send_request(client, 'Q', 1, LEN);
	lab_advance(90 * MT_MSEC);
	scene_complete(&waiters[0].of_request, MT_FILTER_NEXT, NULL);
	lab_advance(200 * MT_MSEC);
	scene_complete(&waiters[1].of_request, MT_FILTER_NEXT, NULL);
	server = scene_connected_server(0);
	scene_answer(server, scene_next_sent(server).id, 9, LEN);
	lab_advance(90 * MT_MSEC);
	is_waiting();
	decide(MT_FILTER_NEXT);
	lab_advance(200 * MT_MSEC);
	is_waiting();
	scene_complete(&waiters[1].ticket, MT_FILTER_NEXT, NULL);
	is_answered(1);
	waiters[0].at_request = waiters[1].at_request = false;
	wait_at_reply(2);
	lab_advance(110 * MT_MSEC);
	is_told(2, MT_REPLY_TIMEOUT);
	waiters[0].at_request = true;
	scene_send_request(client, 'Q', 3, LEN);
	lab_advance(110 * MT_MSEC);
	is_told(3, MT_REPLY_TIMEOUT);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_waits_late), 2);
	stop(6);
}

/* ---- retries ------------------------------------------------------------------------------------- */

static struct mt_retry policy;

static void retries(enum mt_retry_on on, uint32_t try_ms)
{
	struct mt_route_action *a = (struct mt_route_action *)mt_route_at(
		lab.snap->listeners[SAFE].protos->services[0]->routes, 0);

	policy = (struct mt_retry){
		.on = on, .attempts = 1, .try_ms = try_ms, .base_ms = 25, .max_ms = 250};
	a->retry = &policy;
	a->retries = true;
}

/* Filters see only the reply that the client would get; the call has no further attempt then. */
static void test_retried(void)
{
	start(SAFE, 1);
	retries(MT_RETRY_OVERLOAD, 0);
	scene_send_request(client, 'Q', 1, LEN);
	server = scene_connected_server(0);
	toy_make(scene_buf, 'P', scene_next_sent(server).id, "done", LEN);
	scene_buf[2] = TOY_OVERLOAD;
	lab_feed(server, scene_buf, LEN);
	CU_ASSERT_EQUAL(waiters[0].asked, 0);
	lab_advance(26 * MT_MSEC);
	scene_answer(server, scene_next_sent(server).id, 9, LEN);
	is_waiting();
	CU_ASSERT_EQUAL(waiters[0].asked, 1);
	CU_ASSERT_EQUAL(lab_holds(client).of[MT_CLASS_RETAINED], 0);
	lab_close(server, MT_CLOSE_RESET);
	lab_advance(100 * MT_MSEC);
	is_waiting();
	decide(MT_FILTER_NEXT);
	is_answered(1);
	stop(1);
}

/* The time of an attempt ends with its reply; the call's own continues. */
static void test_time_of_a_try(void)
{
	start(SAFE, 1);
	retries(MT_RETRY_LOST, 100);
	wait_at_reply(1);
	lab_advance(900 * MT_MSEC);
	is_waiting();
	lab_advance(200 * MT_MSEC);
	is_told(1, MT_REPLY_TIMEOUT);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), 0);
	stop(1);
}

/* ---- the client ---------------------------------------------------------------------------------- */

static void test_client_resets(void)
{
	start(SAFE, 1);
	wait_at_reply(1);
	lab_close(client, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(how, MT_FILTER_ENDED_CLIENT_LEFT);
	CU_ASSERT_EQUAL(served()->client_left, 1);
	decide(MT_FILTER_NEXT);
	CU_ASSERT_EQUAL(filtered(MT_FILTER_completions_late), 1);
	stop(1);
}

/* A client that half-closes gets its reply; where clients never do, its FIN ends the call. */
static void test_client_closes(void)
{
	static struct mt_codec closing;

	for (int whole = 0; whole < 2; whole++) {
		start(SAFE, 1);
		lab_close(client, MT_CLOSE_RESET);
		closing = toy_codec;
		closing.client_whole_close = whole;
		config_speak(lab.snap, SAFE, &closing, 0);
		client = lab_client(CONFIG_SAFE);
		wait_at_reply(1);
		lab_fin(client);
		CU_ASSERT_EQUAL(lab.p->exchanges.in_use, whole ? 0 : 1);
		CU_ASSERT(!whole || how == MT_FILTER_ENDED_CLIENT_LEFT);
		decide(MT_FILTER_NEXT);
		if (!whole)
			is_answered(1);
		CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
		stop(1);
	}
}

/*
 * On a serial connection the FIN may be another Meltemi's test of a call in doubt. Its reply comes
 * in time, and a filter waits at it for longer than the test lasts.
 */
static void test_tested_by_fin(void)
{
	static struct mt_codec closing;

	for (int reply_first = 0; reply_first < 2; reply_first++) {
		start(SERIAL, 1);
		lab_close(client, MT_CLOSE_RESET);
		closing = toy_named_codec;
		closing.client_whole_close = true;
		config_speak(lab.snap, SERIAL, &closing, 0);
		scene_patient();
		client = lab_client(CONFIG_SERIAL);
		scene_send_request(client, 'Q', 1, LEN);
		server = scene_connected_server(lab_n_servers() - 1);
		if (!reply_first)
			lab_fin(client);
		scene_answer(server, scene_next_sent(server).id, 9, LEN);
		if (reply_first)
			lab_fin(client);
		lab_advance(3 * MT_SEC);
		CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 1);
		decide(MT_FILTER_NEXT);
		is_answered(1);
		CU_ASSERT_EQUAL(how, MT_FILTER_ENDED_OK);
		stop(1);
	}
}

/* The client's calls above its share are answered by a local reply; its connection goes on. */
static void test_evicted(void)
{
	start(SAFE, 1);
	wait_at_reply(1);
	lab_evict(client, MT_CLASS_WAITING);
	is_told(1, MT_REPLY_OVERLOAD);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_evicted_waiting), 1);
	CU_ASSERT_EQUAL(how, MT_FILTER_ENDED_HERE);
	decide(MT_FILTER_NEXT);
	wait_at_reply(2);
	decide(MT_FILTER_NEXT);
	is_answered(2);
	stop(2);
}

/* A client with too many bytes in replies that wait is not decoded until one of them leaves. */
static void test_held_back(void)
{
	const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 64, .waiting_soft = 1000};

	start_with(&conf, SAFE, 1);
	wait_at_reply(1);
	CU_ASSERT_TRUE(lab_holds(client).of[MT_CLASS_WAITING] > 1000);
	scene_send_request(client, 'Q', 2, LEN);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 1);
	CU_ASSERT_EQUAL(client->s.rx.len, LEN);
	is_waiting();
	decide(MT_FILTER_NEXT);
	is_answered(1);
	lab_advance(MT_MSEC);
	scene_answer(server, scene_next_sent(server).id, 9, LEN);
	is_waiting();
	decide(MT_FILTER_NEXT);
	is_answered(2);
	stop(2);
}

/* A reply holds no more memory than its bytes need. */
static void test_compacted(void)
{
	start(SAFE, 1);
	scene_send_request(client, 'Q', 1, LEN);
	server = scene_connected_server(0);
	toy_make(scene_buf, 'P', scene_next_sent(server).id, "done", LEN);
	lab_feed_pieces(server, scene_buf, LEN, 8);
	is_waiting();
	CU_ASSERT_EQUAL(the_exchange()->rsp.segs, 1);
	stop(1);
}

/* The reply comes while the client still sends: the rest of its request is skipped afterwards. */
static void test_inside_the_request(void)
{
	const uint32_t len = 200000;

	start(SAFE, 1);
	lab.snap->listeners[SAFE].protos->services[0]->early_ok = true;
	toy_make(scene_buf, 'Q', 1, "call", len);
	lab_feed(client, scene_buf, len / 2);
	server = scene_connected_server(0);
	lab_take(server, scene_buf, TOY_HEADER);
	scene_answer(server, toy_parse(scene_buf, TOY_HEADER).id, 9, LEN);
	is_waiting();
	toy_make(scene_buf, 'Q', 1, "call", len);
	lab_feed(client, scene_buf + len / 2, len / 2);
	is_waiting();
	decide(MT_FILTER_NEXT);
	is_answered(1);
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(client->s.rx.len, 0);
	waiters[0].verdict = MT_FILTER_NEXT;
	server = NULL; /* the one with half a request takes no other call */
	wait_at_reply(2);
	is_answered(2);
	stop(2);
}

/* ---- configuration, drain, worker ------------------------------------------------------------------ */

static void publish(uint32_t n)
{
	static uint64_t mem[64];
	struct mt_snapshot *s = config_make(1, lab.snap->version + 1, 1, true);
	struct mt_service *service = s->listeners[SAFE].protos->services[0];
	char err[256];

	if (n) {
		service->filter_insts = chain;
		service->n_filter_insts = n;
		service->filters = mt_filters_compile(mem, chain, n, err, sizeof(err));
	}
	s->keep_from = s->version;
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
}

/* With the same filters the reply waits on, in the new configuration. */
static void test_same_filters(void)
{
	start(SAFE, 1);
	wait_at_reply(1);
	publish(1);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	is_waiting();
	decide(MT_FILTER_NEXT);
	is_answered(1);
	stop(1);
	config_free(1);
}

/* With others it cannot, and a reply that was not decided about is not forwarded. */
static void test_other_filters(void)
{
	for (uint32_t n = 0; n < 3; n += 2) {
		start(SAFE, 1);
		wait_at_reply(1);
		publish(n);
		is_told(1, MT_REPLY_NO_ROUTE);
		CU_ASSERT_EQUAL(how, MT_FILTER_ENDED_HERE);
		CU_ASSERT_EQUAL(config_holds(0), 0);
		decide(MT_FILTER_NEXT);
		CU_ASSERT_EQUAL(filtered(MT_FILTER_completions_late), 1);
		stop(1);
		config_free(1);
	}
}

static void test_drain(void)
{
	start(SAFE, 1);
	wait_at_reply(1);
	mt_proxy_drain(lab.p);
	lab_advance(300 * MT_MSEC);
	CU_ASSERT_FALSE(mt_proxy_idle(lab.p));
	CU_ASSERT_EQUAL(the_exchange()->state, MT_EX_FILTERING);
	CU_ASSERT_EQUAL(scene_next_sent(client).kind, 'D');
	decide(MT_FILTER_NEXT);
	is_answered(1);
	scene_quiet();
	lab_flush_detached();
	CU_ASSERT_TRUE(mt_proxy_idle(lab.p));
	stop(1);
}

static void test_worker_stops(void)
{
	start(SAFE, 1);
	waiters[0].key = "one";
	wait_at_reply(1);
	mt_proxy_destroy(lab.p);
	CU_ASSERT(ended == 1 && how == MT_FILTER_ENDED_STOPPED);
	config_free(0);
	mt_pools_sample(&lab.pools);
}

/* In another worker it goes on, with the changes that were made before. */
static void test_moved(void)
{
	const struct mt_filter_completion done = {.size = sizeof(done), .verdict = MT_FILTER_NEXT};
	struct mt_filter_resume r = {.verdict = MT_FILTER_NEXT};

	start(SAFE, 2);
	waiters[0].key = "one";
	waiters[1].key = "two";
	waiters[1].verdict = MT_FILTER_NEXT;
	wait_at_reply(1);
	moved_to_another(NULL);
	is_waiting();
	CU_ASSERT_EQUAL(ended, 0);
	CU_ASSERT_EQUAL(mt_filter_complete(&waiters[0].ticket, &done), -ESHUTDOWN);
	r.ticket = waiters[0].ticket;
	CU_ASSERT_TRUE(mt_proxy_resume(lab.p, &r));
	is_answered(1);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "one=yes;two=yes;");
	CU_ASSERT_EQUAL(waiters[1].left, 1000 * MT_MSEC);
	CU_ASSERT_EQUAL(served()->bytes_out, LEN);
	CU_ASSERT_EQUAL(how, MT_FILTER_ENDED_OK);
	/* A thread cannot end the wait there, so the call's time-out does. */
	wait_at_reply(2);
	lab_advance(600 * MT_MSEC);
	moved_to_another(NULL);
	lab_advance(300 * MT_MSEC);
	is_waiting();
	lab_advance(200 * MT_MSEC);
	is_told(2, MT_REPLY_TIMEOUT);
	stop(4);
}

const struct mt_test reply_wait_tests[] = {
	{"goes on", test_goes_on},
	{"the log", test_logged},
	{"answers", test_answers},
	{"the next filter decides", test_next_filter_decides},
	{"other tickets", test_other_tickets},
	{"the connection goes on", test_connection_goes_on},
	{"answers in order", test_answers_in_order},
	{"a part of a reply", test_part},
	{"the call's time-out", test_time_out},
	{"the filter's time-out", test_filters_time_out},
	{"a retried call", test_retried},
	{"the time of an attempt", test_time_of_a_try},
	{"the client resets", test_client_resets},
	{"the client closes", test_client_closes},
	{"the client closes to test a call", test_tested_by_fin},
	{"evicted", test_evicted},
	{"held back", test_held_back},
	{"compacted", test_compacted},
	{"inside the request", test_inside_the_request},
	{"the same filters", test_same_filters},
	{"other filters", test_other_filters},
	{"a drain", test_drain},
	{"the worker stops", test_worker_stops},
	{"moved to another worker", test_moved},
	{0},
};
