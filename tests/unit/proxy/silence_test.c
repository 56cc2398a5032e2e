/* SPDX-License-Identifier: Apache-2.0 */
/* Servers that are silent, slow, or answer errors only: who is put aside, when, what it costs, and how they come back. */
#include "scene.h"

/* How a server behaves; by endpoint. */
enum conduct {
	GOOD,	 /* answers at once */
	STOPPED, /* its machine takes everything, and nothing comes */
	FULL,	 /* its machine takes nothing more, and nothing comes */
	SLOW,	 /* answers heartbeats, and no call */
	MUTE,	 /* answers calls, and no heartbeat */
	ERRORS,
	FAST_ONLY, /* answers calls of the method "fast" */
	ONE_WAY,   /* answers nothing, and ends connections behind our FIN */
	GONE,	   /* refuses connections, and has reset those that there were */
};

static enum conduct conduct[CONFIG_EPS];
static enum mt_close_reason refused_by = MT_CLOSE_REFUSED; /* of who is GONE */
static uint32_t calls[CONFIG_EPS], beats[CONFIG_EPS];	   /* that came to each */

static uint32_t ep_of(const struct fake_conn *c)
{
	return c->t.remote.b[15] - 1u;
}

static void say(struct fake_conn *s, const struct toy *t, char kind, uint8_t status)
{
	toy_make(scene_buf, kind, t->id, "done", TOY_HEADER);
	scene_buf[2] = status;
	lab_feed(s, scene_buf, TOY_HEADER);
}

static void take(struct fake_conn *s, const struct toy *t)
{
	uint32_t e = ep_of(s);

	if (t->kind == 'H') {
		beats[e]++;
		if (conduct[e] != STOPPED && conduct[e] != MUTE)
			say(s, t, 'h', 0);
		return;
	}
	calls[e]++;
	if (conduct[e] == GOOD || conduct[e] == MUTE || conduct[e] == ERRORS ||
		(conduct[e] == FAST_ONLY && t->method[0] == 'f'))
		say(s, t, 'P', conduct[e] == ERRORS);
}

/* All servers accept, and do what they do. */
static void serve(void)
{
	for (uint32_t i = 0; i < lab.n; i++) {
		struct fake_conn *s = &lab.conns[i];
		struct toy t;

		if (!s->live || s->accepted || s->detached)
			continue;
		if (conduct[ep_of(s)] == GONE) {
			lab_close(s, s->connected ? MT_CLOSE_RESET : refused_by);
			continue;
		}
		if (!s->connected)
			lab_connect(s);
		s->shut_window = s->stopped = conduct[ep_of(s)] == FULL;
		while (s->live && !s->shut_window && (t = scene_next_sent(s)).kind)
			take(s, &t);
		if (s->live && s->shut && !s->end.fin && conduct[ep_of(s)] == ONE_WAY)
			lab_fin(s);
	}
}

/* The first connection to an endpoint that is still there. */
static struct fake_conn *server_of(uint32_t e)
{
	uint32_t i = 0;

	while (!lab.conns[i].live || lab.conns[i].accepted || ep_of(&lab.conns[i]) != e)
		i++;
	return &lab.conns[i];
}

static struct fake_conn *client;
static uint64_t next_id;
static uint32_t replies, own_replies;

static void read_replies(void)
{
	struct toy t;

	for (; (t = scene_next_sent(client)).kind; replies++)
		own_replies += strcmp(t.method, "fail") == 0;
}

static void pass(uint32_t ms)
{
	for (uint32_t t = 0; t < ms; t += 50) {
		lab_advance(50 * MT_MSEC);
		serve();
		read_replies();
	}
}

static void call(const char *method)
{
	toy_make(scene_buf, 'Q', ++next_id, method, 64);
	lab_feed(client, scene_buf, 64);
	serve();
}

/* How many replies the client has got since it was last asked; how many of them are Meltemi's own. */
static uint32_t taken(uint32_t *own)
{
	uint32_t n = replies;

	*own = own_replies;
	replies = own_replies = 0;
	return n;
}

/* One call each `gap` ms, for `ms`. */
static void calls_for(uint32_t ms, uint32_t gap)
{
	for (uint32_t t = 0; t < ms; t += gap) {
		call("fast");
		pass(gap);
	}
}

static void begin(uint32_t n_eps, uint16_t port, uint32_t timeout_ms)
{
	scene_start(n_eps);
	memset(conduct, 0, sizeof(conduct));
	memset(calls, 0, sizeof(calls));
	memset(beats, 0, sizeof(beats));
	next_id = 0;
	replies = own_replies = 0;
	for (uint32_t i = 0; i < n_eps; i++)
		lab.snap->clusters[0].eps[i].state->beats = false;
	for (uint32_t i = 0; i < lab.snap->n_listeners; i++)
		lab.snap->listeners[i].protos->services[0]->timeout_ms = timeout_ms;
	client = lab_client(port);
}

static void finish(void)
{
	lab_close(client, MT_CLOSE_RESET);
	lab_advance(50 * MT_MSEC);
	scene_stop();
}

static uint64_t put_aside(void)
{
	return lab.p->lb.counters[MT_UPSTREAM_ejected];
}

static uint64_t returned(void)
{
	return lab.p->lb.counters[MT_UPSTREAM_returned];
}

/* What is told of an endpoint next; `why` NULL: nothing. */
static struct mt_ep_event told(void)
{
	struct mt_ep_event a = {0};
	uint64_t missed;

	if (!mt_proxy_ep_event(lab.p, &a, &missed))
		a.why = NULL;
	return a;
}

/*
 * One stops whose machine is full: the heartbeat waits behind what it does not take, and it is put aside all the same. Not one
 * that takes little by little.
 */
static void test_full(void)
{
	uint32_t own, before;

	begin(2, CONFIG_SAFE, 1000);
	calls_for(2000, 100);
	CU_ASSERT(taken(&own) == next_id && own == 0);
	CU_ASSERT(beats[0] == 1 && beats[1] == 1);
	conduct[0] = FULL;
	serve();
	calls_for(4000, 100);
	for (uint32_t i = 0; i < 10; i++) {
		lab_take(server_of(0), scene_buf, 1);
		calls_for(2000, 100);
	}
	CU_ASSERT_EQUAL(put_aside(), 0);
	calls_for(8000, 100);
	CU_ASSERT_EQUAL(put_aside(), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_silent), 1);
	CU_ASSERT_EQUAL(told().what, MT_EP_EVENT_EJECTED);
	CU_ASSERT(taken(&own) > 0 && own > 100);
	before = calls[0];
	calls_for(10000, 100);
	CU_ASSERT(taken(&own) == 100 && own == 0);
	CU_ASSERT_EQUAL(calls[0], before);
	conduct[0] = GOOD;
	calls_for(10000, 100);
	CU_ASSERT_EQUAL(returned(), 1);
	finish();
}

/* One that never answered a heartbeat: calls that it does not take time out like those that it took. */
static void test_full_and_mute(void)
{
	static uint8_t big[20000];
	uint32_t own;

	begin(2, CONFIG_SAFE, 1000);
	conduct[0] = conduct[1] = MUTE;
	calls_for(4000, 100);
	CU_ASSERT(taken(&own) == next_id && own == 0);
	conduct[0] = FULL;
	serve();
	for (uint32_t t = 0; t < 8000; t += 200) {
		toy_make(big, 'Q', ++next_id, "fast", sizeof(big));
		lab_feed(client, big, sizeof(big));
		serve();
		pass(200);
	}
	CU_ASSERT_EQUAL(put_aside(), 1);
	CU_ASSERT_STRING_EQUAL(told().why, "calls time out");
	CU_ASSERT(taken(&own) == 40 && own < 15);
	finish();
}

/*
 * The program of one of two servers stops. It is asked after a second, and put aside a second later; what was out there is
 * lost, and nothing else, however long it takes; when it goes on it is used again within seconds.
 */
static void test_stopped(void)
{
	uint32_t own, n, before;
	struct mt_ep_event a;

	begin(2, CONFIG_SAFE, 300000);
	calls_for(2000, 100);
	CU_ASSERT(taken(&own) == next_id && own == 0);
	CU_ASSERT(beats[0] == 1 && beats[1] == 1); /* to see whether they answer */
	conduct[0] = STOPPED;
	n = (uint32_t)next_id;
	calls_for(2400, 100);
	CU_ASSERT_EQUAL(put_aside(), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_silent), 1);
	a = told();
	CU_ASSERT_PTR_NOT_NULL_FATAL(a.why);
	CU_ASSERT_EQUAL(a.what, MT_EP_EVENT_EJECTED);
	CU_ASSERT_STRING_EQUAL_FATAL(a.why, "no answer to a heartbeat");
	CU_ASSERT_EQUAL(a.addr.b[15], 1);
	/* All have been answered, half of two seconds' by us. */
	CU_ASSERT_EQUAL(taken(&own), next_id - n);
	CU_ASSERT(own > 5 && own < 13);
	before = calls[0];
	calls_for(60000, 200);
	CU_ASSERT(taken(&own) > 250 && own == 0);
	CU_ASSERT_EQUAL(calls[0], before);
	CU_ASSERT_EQUAL(put_aside(), 1);
	CU_ASSERT(scene_counted(MT_PROXY_probe_failed) > 8 &&
		  scene_counted(MT_PROXY_probe_failed) < 20);
	conduct[0] = GOOD;
	calls_for(6000, 200);
	CU_ASSERT_EQUAL(returned(), 1);
	CU_ASSERT_EQUAL(told().what, MT_EP_EVENT_BACK);
	CU_ASSERT(taken(&own) > 0 && own == 0);
	before = calls[0];
	calls_for(2000, 200);
	CU_ASSERT_EQUAL(calls[0] - before, 5);
	finish();
}

/* A time-out is a reason to ask at once. */
static void test_stopped_and_timeouts(void)
{
	begin(2, CONFIG_SAFE, 300);
	calls_for(2000, 100);
	conduct[0] = STOPPED;
	calls_for(1000, 100);
	CU_ASSERT_EQUAL(put_aside(), 0);
	calls_for(600, 100);
	CU_ASSERT_EQUAL(put_aside(), 1);
	finish();
}

/* Nobody is put aside for a call that takes long, nor is he asked without end. */
static void test_long_poll(void)
{
	uint32_t own;

	begin(1, CONFIG_SAFE, 300000);
	conduct[0] = SLOW;
	call("poll");
	pass(299000);
	CU_ASSERT_EQUAL(taken(&own), 0);
	CU_ASSERT(beats[0] > 5 && beats[0] < 20);
	pass(2000);
	CU_ASSERT(taken(&own) == 1 && own == 1);
	CU_ASSERT(put_aside() == 0 && scene_counted(MT_PROXY_up_silent) == 0);
	finish();
}

/*
 * A server that sends now and then and reads nothing: one heartbeat waits for it, and no second one
 * is queued.
 */
static void test_sends_and_does_not_read(void)
{
	struct fake_conn *s;

	begin(1, CONFIG_SAFE, 300000);
	conduct[0] = FULL;
	call("poll");
	s = server_of(0);
	for (uint32_t i = 0; i < 40; i++) {
		toy_make(scene_buf, 'E', 0, "note", TOY_HEADER);
		lab_feed(s, scene_buf, TOY_HEADER);
		pass(1500);
	}
	CU_ASSERT_TRUE_FATAL(s->live);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_heartbeat_sent), 1);
	CU_ASSERT_EQUAL(put_aside(), 0);
	conduct[0] = SLOW;
	pass(1000);
	CU_ASSERT_EQUAL(beats[0], 1);
	conduct[0] = STOPPED;
	pass(62000);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_silent), 1);
	finish();
}

/* It stops in the middle of that: it is noticed all the same. */
static void test_long_poll_dies(void)
{
	uint32_t own;

	begin(1, CONFIG_SAFE, 300000);
	conduct[0] = SLOW;
	call("poll");
	pass(60000);
	conduct[0] = STOPPED;
	pass(62000);
	CU_ASSERT(taken(&own) == 1 && own == 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_silent), 1);
	finish();
}

/* A server that answers each call, after a long time, or only some. */
static void test_slow(void)
{
	uint32_t own;

	begin(2, CONFIG_SAFE, 1000);
	conduct[0] = SLOW; /* each call times out, each heartbeat is answered */
	calls_for(30000, 100);
	CU_ASSERT_EQUAL(put_aside(), 0);
	CU_ASSERT(taken(&own) > 250 && own > 100);
	CU_ASSERT(beats[0] > 3 && beats[0] <= 31);
	finish();
}

/* The calls of one method time out beside others that are answered. */
static void one_slow_method(uint16_t port)
{
	begin(1, port, 500);
	conduct[0] = FAST_ONLY;
	for (int i = 0; i < 60; i++) {
		for (int k = 0; k < 7; k++)
			call("slow");
		pass(250);
		call("fast");
		pass(250);
	}
	CU_ASSERT_EQUAL(put_aside(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_silent), 0);
	CU_ASSERT(scene_counted(MT_PROXY_reply_timeout) > 400);
	finish();
}

static void test_one_slow_method(void)
{
	one_slow_method(CONFIG_SAFE);
	one_slow_method(CONFIG_SERIAL);
}

/* Who never answered a heartbeat has no fault when he does not. */
static void test_mute(void)
{
	uint32_t own;

	begin(1, CONFIG_SAFE, 300000);
	conduct[0] = MUTE;
	calls_for(3000, 100);
	conduct[0] = STOPPED;
	call("poll");
	pass(200000);
	CU_ASSERT(beats[0] > 3 && beats[0] < 20);
	CU_ASSERT_EQUAL(put_aside(), 0);
	CU_ASSERT(taken(&own) == 30 && own == 0);
	finish();
}

/* His time-outs count, as where there is no heartbeat; he comes back by a call, as nothing else is known to work. */
static void test_mute_timeouts(void)
{
	uint32_t own;

	begin(2, CONFIG_SAFE, 500);
	conduct[0] = conduct[1] = MUTE;
	calls_for(3000, 100);
	conduct[0] = STOPPED;
	calls_for(3000, 100);
	CU_ASSERT_EQUAL(put_aside(), 1);
	conduct[0] = MUTE;
	taken(&own);
	calls_for(7000, 100);
	taken(&own);
	CU_ASSERT_EQUAL(lab.p->lb.counters[MT_UPSTREAM_trial], 1);
	CU_ASSERT_EQUAL(returned(), 1);
	CU_ASSERT_EQUAL(own, 0);
	finish();
}

/* The machine has not acknowledged the heartbeat: that is the path's silence, which ends the connection by itself. */
static void test_path(void)
{
	struct fake_conn *s;

	begin(1, CONFIG_SAFE, 300000);
	calls_for(2000, 100);
	CU_ASSERT_EQUAL(beats[0], 1);
	s = lab_server(0);
	toy_make(scene_buf, 'Q', ++next_id, "poll", 64);
	lab_feed(client, scene_buf, 64);
	lab_advance(5 * MT_SEC);
	CU_ASSERT(s->live && s->sent.len > 64);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_silent), 0);
	serve();
	CU_ASSERT_EQUAL(calls[0], next_id);
	finish();
}

/* Without heartbeats: five time-outs in a row, then one call each time to see, twice as long after each in vain. */
static void test_serial(void)
{
	static const uint32_t aside_s[] = {5, 10, 20};
	uint32_t own, before;

	begin(2, CONFIG_SERIAL, 500);
	lab.snap->listeners[2].protos->services[0]->timeout_ms = 500;
	calls_for(1000, 100);
	conduct[0] = STOPPED;
	calls_for(2500, 100);
	CU_ASSERT_EQUAL(put_aside(), 1);
	CU_ASSERT_STRING_EQUAL_FATAL(told().why, "calls time out");
	taken(&own);
	CU_ASSERT(own >= 5 && own <= 12);
	before = calls[0];
	for (size_t i = 0; i < MT_ARRAY_LEN(aside_s); i++) {
		calls_for(aside_s[i] * 1000, 100);
		CU_ASSERT_EQUAL(calls[0] - before, i + 1);
		taken(&own);
		CU_ASSERT(own <= 1);
	}
	CU_ASSERT_EQUAL(put_aside(), 1);
	conduct[0] = GOOD;
	calls_for(40000, 100);
	CU_ASSERT_EQUAL(returned(), 1);
	CU_ASSERT_EQUAL(told().what, MT_EP_EVENT_BACK);
	taken(&own);
	before = calls[0];
	calls_for(2000, 100);
	CU_ASSERT_EQUAL(calls[0] - before, 10);
	CU_ASSERT(taken(&own) == 20 && own == 0);
	finish();
}

/*
 * A server alone, so that calls go to it although it is ejected. Its first reply after a failed
 * trial returns it, although that reply answers another call than the trial.
 */
static void test_alone(void)
{
	const struct mt_ep_state *ep;
	uint32_t own;

	begin(1, CONFIG_SERIAL, 1000);
	ep = lab.snap->clusters[0].eps[0].state;
	conduct[0] = GONE;
	calls_for(8000, 100);
	CU_ASSERT_EQUAL(put_aside(), 1);
	CU_ASSERT_EQUAL(lab.p->lb.counters[MT_UPSTREAM_trial], 1);
	CU_ASSERT_TRUE(mt_ep_ejected(ep, lab.now + 5 * MT_SEC));
	taken(&own);
	conduct[0] = GOOD;
	calls_for(500, 100);
	CU_ASSERT_EQUAL(returned(), 1);
	CU_ASSERT_FALSE(mt_ep_is_out(ep));
	CU_ASSERT_FALSE(mt_ep_ejected(ep, lab.now));
	CU_ASSERT(taken(&own) == 5 && own == 0);
	finish();
}

/* No connection can be opened: the endpoint fails, of a service of messages or of bytes. */
static void test_no_route(void)
{
	static const uint16_t ports[] = {CONFIG_SERIAL, CONFIG_SAFE, CONFIG_OPAQUE};

	for (size_t i = 0; i < MT_ARRAY_LEN(ports); i++) {
		begin(2, ports[i], 1000);
		pass(50);
		lab.no_route = true;
		for (uint32_t k = 0; k < 3; k++) {
			CU_ASSERT_EQUAL(put_aside(), 0);
			if (ports[i] == CONFIG_OPAQUE) {
				CU_ASSERT_PTR_NULL(lab_client(ports[i]));
			} else {
				call("fast");
			}
			pass(50);
		}
		CU_ASSERT_EQUAL(put_aside(), 2);
		CU_ASSERT_STRING_EQUAL(told().why, "host unreachable");
		for (uint32_t e = 0; e < 2; e++)
			CU_ASSERT_EQUAL(
				lab.p->ep_stats[lab.snap->clusters[0].eps[e].state->index].failures,
				3);
		lab.no_route = false;
		finish();
	}
}

static void errors(uint16_t port, uint32_t limit, uint64_t aside)
{
	begin(2, port, 1000);
	((struct mt_cluster *)lab.snap->clusters)->outlier = (struct mt_outlier_rule){
		.failures = limit, .base_ms = 30000, .max_ms = 60000, .errors = limit};
	conduct[0] = ERRORS;
	calls_for(5000, 100);
	CU_ASSERT_EQUAL(put_aside(), aside);
	if (aside) {
		CU_ASSERT_STRING_EQUAL(told().why, "replies are errors");
		CU_ASSERT_EQUAL(calls[0], limit);
	}
	finish();
}

/* A server that answers errors only is put aside where the cluster's rule counts them. */
static void test_errors(void)
{
	errors(CONFIG_SAFE, 0, 0);
	errors(CONFIG_SAFE, 4, 1);
	errors(CONFIG_SERIAL, 0, 0);
	errors(CONFIG_SERIAL, 4, 1);
}

/* Calls that are one-way and do not look like it: that no reply comes to them is nobody's fault. */
static void test_one_way(void)
{
	begin(1, CONFIG_NAMED, 500);
	conduct[0] = ONE_WAY;
	for (int i = 0; i < 24; i++) {
		char method[] = "loga";

		method[3] = (char)(method[3] + i % 8);
		call(method);
		pass(700);
	}
	CU_ASSERT(scene_counted(MT_PROXY_reply_timeout) > 5);
	CU_ASSERT_EQUAL(put_aside(), 0);
	finish();
}

/* Its program ends, and another one that answers no heartbeat takes its place: it comes back by a call. */
static void test_another_program(void)
{
	uint32_t own;

	begin(2, CONFIG_SAFE, 1000);
	calls_for(2000, 100);
	CU_ASSERT_TRUE(lab.snap->clusters[0].eps[0].state->beats);
	conduct[0] = GONE;
	calls_for(3000, 100);
	CU_ASSERT_EQUAL(put_aside(), 1);
	taken(&own);
	CU_ASSERT(own <= 1);
	calls_for(10000, 100);
	CU_ASSERT(scene_counted(MT_PROXY_probe_failed) > 1);
	CU_ASSERT_FALSE(lab.snap->clusters[0].eps[0].state->beats);
	conduct[0] = MUTE;
	calls_for(10000, 100);
	CU_ASSERT_EQUAL(returned(), 1);
	CU_ASSERT_EQUAL(lab.p->lb.counters[MT_UPSTREAM_trial], 1);
	taken(&own);
	CU_ASSERT_EQUAL(own, 0);
	finish();
}

/* A byte stream that connects brings an endpoint back; one that does not costs it its next, longer time. */
static void test_streams(void)
{
	begin(1, CONFIG_OPAQUE, 1000);
	conduct[0] = GONE;
	pass(50);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_PTR_NOT_NULL(lab_client(CONFIG_OPAQUE));
		serve();
	}
	CU_ASSERT_EQUAL(put_aside(), 1);
	lab_advance(5 * MT_SEC);
	CU_ASSERT_PTR_NOT_NULL(lab_client(CONFIG_OPAQUE));
	serve();
	CU_ASSERT_EQUAL(lab.p->lb.counters[MT_UPSTREAM_trial], 1);
	CU_ASSERT_TRUE(mt_ep_ejected(lab.snap->clusters[0].eps[0].state, lab.now + 9 * MT_SEC));
	lab_advance(10 * MT_SEC);
	client = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_EQUAL(returned(), 0);
	lab_connect(lab_server(0));
	CU_ASSERT_EQUAL(returned(), 1);
	CU_ASSERT_FALSE(mt_ep_ejected(lab.snap->clusters[0].eps[0].state, lab.now));
	finish();
}

/* Connections that cannot be opened for a shortage of our own say nothing about the server. */
static void test_our_shortages(void)
{
	static const uint16_t ports[] = {CONFIG_SAFE, CONFIG_SERIAL, CONFIG_OPAQUE};
	static const enum mt_close_reason ours[] = {
		MT_CLOSE_NO_MEMORY, MT_CLOSE_NO_SOURCE_PORT, MT_CLOSE_LOCAL, MT_CLOSE_BUSY};

	for (size_t p = 0; p < MT_ARRAY_LEN(ports); p++)
		for (size_t i = 0; i < MT_ARRAY_LEN(ours); i++) {
			begin(1, ports[p], 1000);
			conduct[0] = GONE;
			refused_by = ours[i];
			for (int n = 0; n < 5; n++) {
				if (ports[p] == CONFIG_OPAQUE)
					(void)lab_client(CONFIG_OPAQUE);
				else
					call("fast");
				pass(50);
			}
			CU_ASSERT(scene_counted(MT_PROXY_up_connect_failed) >= 5);
			CU_ASSERT_EQUAL(put_aside(), 0);
			refused_by = MT_CLOSE_REFUSED;
			conduct[0] = GOOD;
			if (ports[p] == CONFIG_OPAQUE)
				client = lab_client(CONFIG_OPAQUE);
			finish();
		}
}

/* It leaves the configuration while it is aside: nobody asks it any more. */
static void test_leaves(void)
{
	begin(2, CONFIG_SAFE, 300000);
	calls_for(2000, 100);
	conduct[1] = STOPPED;
	calls_for(2400, 100);
	CU_ASSERT_EQUAL(put_aside(), 1);
	CU_ASSERT_EQUAL(lab.p->health_checks.in_use, 1);
	mt_proxy_adopt(lab.p, config_make(1, 2, 1, true));
	calls_for(8000, 100);
	CU_ASSERT_EQUAL(lab.p->health_checks.in_use, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_probe_sent), 0);
	lab_close(client, MT_CLOSE_RESET);
	lab_advance(50 * MT_MSEC);
	scene_stop();
	config_free(1);
}

const struct mt_test silence_tests[] = {
	{"full machine", test_full},
	{"full and mute", test_full_and_mute},
	{"a stopped program is put aside and comes back", test_stopped},
	{"time-outs ask at once", test_stopped_and_timeouts},
	{"a long poll", test_long_poll},
	{"a server that sends and does not read", test_sends_and_does_not_read},
	{"a long poll's server stops", test_long_poll_dies},
	{"a slow server", test_slow},
	{"one slow method", test_one_slow_method},
	{"heartbeats are never answered", test_mute},
	{"heartbeats are never answered, calls time out", test_mute_timeouts},
	{"the path is silent", test_path},
	{"no heartbeats in the protocol", test_serial},
	{"a server alone", test_alone},
	{"no connection can be opened", test_no_route},
	{"errors only", test_errors},
	{"one-way calls that look like others time out", test_one_way},
	{"another program", test_another_program},
	{"byte streams", test_streams},
	{"our shortages", test_our_shortages},
	{"leaves the configuration while it is aside", test_leaves},
	{0},
};
