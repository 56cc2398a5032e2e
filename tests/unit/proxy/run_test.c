/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each step at which a call waits, and each event that ends the wait. A line is what a cell is
 * expected to show, and a change of a line is a change of behaviour:
 *
 *     ok; 1; a=b;stage=done;
 *
 * The reply that the client got; calls that servers got; the metadata changes that were written
 * into the message last. A filter in front of the wait makes the change a=b. The call's route makes
 * stage=done, which is also what another route matches that leads nowhere. Put off: its attempt
 * ended unread inside the run of another call.
 */
#include "moved.h"
#include "scene.h"

#include "mt_authorize.h"
#include "mt_extauthz_priv.h"
#include "mt_proxy_priv.h"

#include <stdio.h>

#define LINE	 320
#define LISTENER 3 /* CONFIG_NAMED */

enum step { FILTER, GATE, ENDPOINT, ON_DEMAND, RETRY, PUT_OFF, STEPS };

static const char *const step_names[STEPS] = {"filter", "authorization at the gateway",
	"authorization at the endpoint", "on-demand cluster", "transparent retry", "put off"};

/*
 * RESUMED: the wait ends after 300 ms. TIMED: it does, and no server answers. LATE: it ends after
 * the call's time-out. GONE: the client resets its connection before. NEWER: another snapshot is
 * adopted before. RETIRED: the call must leave its snapshot for that one. REMOVED: which does not
 * have its service. AFTER_*: the wait ends inside the run of another call, so the call is put off,
 * and the snapshot is adopted before the call runs.
 */
enum event {
	RESUMED,
	TIMED,
	LATE,
	GONE,
	NEWER,
	RETIRED,
	REMOVED,
	AFTER_NEWER,
	AFTER_RETIRED,
	AFTER_REMOVED,
	EVENTS
};

static const char *const event_names[EVENTS] = {"resumed", "timed", "late", "client gone", "newer",
	"retired", "removed", "newer, after the wait", "retired, after the wait",
	"removed, after the wait"};

static struct mt_extauthz asker;
static struct mt_extauthz_lane *lane;
static struct mt_extauthz_provider *provider;
static struct mt_authz_rule rule;
static struct mt_authz_policy custom;
static const struct mt_authz_policy *list[] = {&custom};
static struct mt_authz guard;
static struct mt_gate_guard gate = {&guard, 8089};
static const struct mt_authz *guards[CONFIG_EPS];
static struct mt_demand demand;
static uint64_t serial;
static struct mt_filter_ticket ticket;

static enum step step;
static struct fake_conn *client;
static struct mt_extauthz_slot *question;
static int gen; /* of the newest snapshot */

/* ---- configuration --------------------------------------------------------------------------- */

static enum mt_filter_verdict adds(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	static const struct mt_mutation m = {
		.key = "a", .key_len = 1, .value = "b", .value_len = 1};

	mt_filter_mutate(ctx->fw, v, &m, 1);
	return MT_FILTER_NEXT;
}

static enum mt_filter_verdict suspends(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	ticket = mt_filter_ticket_of(ctx);
	return MT_FILTER_SUSPEND;
}

static void set_filters(struct mt_snapshot *s)
{
	static const struct mt_filter adder = {.name = "adder", .on_request = adds};
	static const struct mt_filter waits = {.name = "waits", .on_request = suspends};
	static struct mt_filter_inst of_filter[] = {{.type = &adder}, {.type = &waits}},
				     of_gate[] = {{.type = &mt_gate_filter, .conf = &gate},
					     {.type = &adder}};
	static max_align_t memory[CONFIG_GENS][64];
	struct mt_service *service = s->services[LISTENER];
	char err[64];

	service->filter_insts = step == GATE ? of_gate : of_filter;
	service->n_filter_insts = step == FILTER || step == GATE ? 2 : 1;
	CU_ASSERT_FATAL(mt_filters_size(2) <= sizeof(memory[0]));
	service->filters = mt_filters_compile(memory[s->version], service->filter_insts,
		service->n_filter_insts, err, sizeof(err));
	CU_ASSERT_PTR_NOT_NULL_FATAL(service->filters);
}

static struct mt_snapshot *configure(struct mt_snapshot *s)
{
	struct mt_cluster *c = &s->clusters[0];

	config_two_routes(s, LISTENER, "stage", "done",
		(struct mt_mutation){.key = "stage", .key_len = 5, .value = "done", .value_len = 4},
		false);
	set_filters(s);
	if (step == ON_DEMAND)
		config_only_named(s, &demand, 500);
	if (step == ENDPOINT) {
		c->guards = guards;
		c->eps[0].guarded = true;
		guards[0] = &guard;
	}
	return s;
}

static struct mt_snapshot *next_snapshot(uint32_t n_eps)
{
	gen++;
	return configure(config_make(gen, (uint64_t)gen + 1, n_eps, true));
}

static void adopt(struct mt_snapshot *s)
{
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
}

static void start_authorization(void)
{
	static const char *const servers[] = {"127.0.0.1:1"};
	static const struct mt_callout_conf conf = {
		.name = "judge", .servers = servers, .n_servers = 1, .timeout = MT_SEC};

	memset(&asker, 0, sizeof(asker));
	lane = aligned_alloc(MT_CACHE_LINE, sizeof(*lane));
	CU_ASSERT_FATAL(lane && mt_extauthz_lane_init(&asker, lane));
	provider = mt_extauthz_provider_new(&conf);
	CU_ASSERT_PTR_NOT_NULL_FATAL(provider);
	mt_proxy_attach_asks(lab.p, lane);
	custom = (struct mt_authz_policy){.action = MT_AUTHZ_CLOSE,
		.by = "custom",
		.rules = &rule,
		.n_rules = 1,
		.asks = provider,
		.asks_id = mt_extauthz_id(provider)};
	guard = (struct mt_authz){.deny = list, .n_deny = 1, .reads = true, .searches = true};
}

/* ---- a call that waits ----------------------------------------------------------------------- */

static void is_waiting(void)
{
	static const enum mt_ex_state states[] = {[FILTER] = MT_EX_SUSPENDED,
		[GATE] = MT_EX_SUSPENDED,
		[ENDPOINT] = MT_EX_SUSPENDED,
		[ON_DEMAND] = MT_EX_ON_DEMAND,
		[RETRY] = MT_EX_TRYING,
		[PUT_OFF] = MT_EX_ROUTING};
	const struct mt_exchange *ex;
	uint32_t i = 0;

	ex = mt_slab_next(&lab.p->exchanges, &i);
	CU_ASSERT_PTR_NOT_NULL_FATAL(ex);
	CU_ASSERT_EQUAL(ex->state, states[step]);
	CU_ASSERT_EQUAL(lab_n_servers(), step == RETRY);
	CU_ASSERT_EQUAL(mt_list_empty(&lab.p->again), step != PUT_OFF);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
}

/* The server resets the connection; it has read nothing of the call. */
static void reset_unread(void)
{
	struct fake_conn *s = lab_server(0);

	if (!s)
		return;
	s->end.reset_ack = true;
	s->end.reset_acked = s->end.pos.acked;
	lab_close(s, MT_CLOSE_RESET);
}

static void begin(void)
{
	gen = 0;
	demand = (struct mt_demand){.serial = &serial};
	question = NULL;
	scene_start(step != ON_DEMAND);
	start_authorization();
	configure(lab.snap);
	toy_noted.changes[0] = '\0';
	client = lab_client(CONFIG_NAMED);
	scene_send_request(client, 'Q', 1, 64);
	if (step == RETRY || step == PUT_OFF)
		scene_connected_server(0);
	if (step == PUT_OFF) {
		lab.p->running = true;
		reset_unread();
	}
	if (step == GATE || step == ENDPOINT) {
		question = mt_extauthz_lane_asked(lane);
		CU_ASSERT_PTR_NOT_NULL_FATAL(question);
	}
	is_waiting();
}

/* What the call waits for happens. */
static void resume(void)
{
	switch (step) {
	case FILTER:
		scene_complete(&ticket, MT_FILTER_NEXT, NULL);
		break;
	case GATE:
	case ENDPOINT:
		question->verdict = MT_EXTAUTHZ_ALLOW;
		question->why = MT_EXTAUTHZ_allowed;
		mt_extauthz_lane_answered(question);
		lab_advance(MT_USEC);
		break;
	case ON_DEMAND:
		adopt(next_snapshot(1));
		break;
	case PUT_OFF:
		lab.p->running = false;
		lab_advance(MT_USEC);
		break;
	default:
		reset_unread();
	}
}

static void adopt_another(bool retires, bool removes, uint32_t n_eps)
{
	struct mt_snapshot *s = next_snapshot(n_eps);

	if (retires)
		s->keep_from = s->version;
	if (removes)
		s->services[LISTENER]->id++;
	adopt(s);
}

static void another_snapshot(enum event e)
{
	adopt_another(e != NEWER, e == REMOVED, step != ON_DEMAND);
	/* A call that waits for a cluster leaves its snapshot by being routed again. */
	CU_ASSERT_EQUAL(config_holds(0) > 0, e == NEWER && step != ON_DEMAND);
}

/* The wait is over, and the call has not run when another snapshot is adopted. */
static void put_off_until_another(enum event e)
{
	if (step != PUT_OFF) {
		lab.p->running = true;
		resume();
	}
	CU_ASSERT_FALSE(mt_list_empty(&lab.p->again));
	adopt_another(e != AFTER_NEWER, e == AFTER_REMOVED, 1);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	lab.p->running = false;
	lab_advance(MT_USEC);
	CU_ASSERT_TRUE(mt_list_empty(&lab.p->again));
}

/* ---- what is seen ---------------------------------------------------------------------------- */

static const char *reply(void)
{
	static const char *const reasons[MT_REPLY_N] = {"no_route", "no_cluster", "no_endpoint",
		"over_limit", "overload", "timeout", "lost", "bad_request", "bad_reply",
		"unsupported", "denied", "too_large", "no_upgrade"};
	struct toy t = scene_next_sent(client);

	if (t.kind == 0)
		return "-";
	CU_ASSERT_EQUAL(scene_next_sent(client).kind, 0);
	return !t.status ? "ok" : t.first < MT_REPLY_N ? reasons[t.first] : "?";
}

/* Calls that servers have got; each is answered if `answers`. */
static uint32_t serve(bool answers)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < lab_n_servers(); i++) {
		struct fake_conn *s = scene_connected_server(i);
		struct toy t;

		while ((t = scene_next_sent(s)).kind) {
			n++;
			if (answers)
				scene_answer(s, t.id, 7, 64);
		}
	}
	return n;
}

static void see(char line[LINE], enum event e)
{
	uint32_t n = serve(e != TIMED);

	if (e == TIMED) {
		/* The call began 300 ms ago; its service allows a second. */
		lab_advance(690 * MT_MSEC);
		CU_ASSERT_STRING_EQUAL(reply(), "-");
		lab_advance(20 * MT_MSEC);
	}
	snprintf(line, LINE, "%s; %u; %s", reply(), n, toy_noted.changes);
}

static void run(char line[LINE], enum event e)
{
	begin();
	if (e != LATE)
		lab_advance(298 * MT_MSEC);
	if (e == LATE)
		lab_advance(1100 * MT_MSEC);
	else if (e == GONE)
		lab_close(client, MT_CLOSE_RESET);
	else if (e >= NEWER && e <= REMOVED)
		another_snapshot(e);
	if (e >= AFTER_NEWER)
		put_off_until_another(e);
	else
		resume();
	see(line, e);
}

static void end(void)
{
	if (client->live)
		lab_close(client, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 0);
	scene_stop();
	mt_extauthz_drop(provider);
	mt_extauthz_lane_fini(lane);
	free(lane);
	for (int i = 1; i <= gen; i++)
		config_free(i);
}

#define SENT	"ok; 1; a=b;stage=done;"
#define NOWHERE "-; 0; "

static const char *const lines[STEPS][EVENTS] = {
	[FILTER] = {SENT, "timeout; 1; a=b;stage=done;", "timeout; 0; ", NOWHERE, SENT, SENT,
		"no_route; 0; ", SENT, SENT, "no_route; 0; "},
	[GATE] = {SENT, "timeout; 1; a=b;stage=done;", "timeout; 0; ", NOWHERE, SENT, SENT,
		"no_route; 0; ", SENT, SENT, "no_route; 0; "},
	[ENDPOINT] = {SENT, "timeout; 1; a=b;stage=done;", "timeout; 0; ", NOWHERE, SENT, SENT,
		"no_route; 0; ", SENT, SENT, "no_route; 0; "},
	[ON_DEMAND] = {SENT, "timeout; 1; a=b;stage=done;", "no_cluster; 0; ", NOWHERE, SENT, SENT,
		"no_route; 0; ", SENT, SENT, "no_route; 0; "},
	/* The message was sent with all changes; a new route makes its own ones again. */
	[RETRY] = {SENT, "timeout; 1; a=b;stage=done;", "timeout; 0; a=b;stage=done;",
		"-; 0; a=b;stage=done;", SENT, "ok; 1; stage=done;", "no_route; 0; a=b;stage=done;",
		SENT, "ok; 1; stage=done;", "no_route; 0; a=b;stage=done;"},
	[PUT_OFF] = {SENT, "timeout; 1; a=b;stage=done;", "timeout; 0; a=b;stage=done;",
		"-; 0; a=b;stage=done;", SENT, "ok; 1; stage=done;", "no_route; 0; a=b;stage=done;",
		SENT, "ok; 1; stage=done;", "no_route; 0; a=b;stage=done;"},
};

static void test_steps(void)
{
	char line[LINE];

	for (int s = 0; s < STEPS; s++)
		for (int e = 0; e < EVENTS; e++) {
			step = (enum step)s;
			run(line, (enum event)e);
			CU_ASSERT_STRING_EQUAL(line, lines[s][e]);
			if (strcmp(line, lines[s][e]) != 0)
				fprintf(stderr, "%s x %s:\n   is \"%s\",\n  not \"%s\"\n",
					step_names[s], event_names[e], line, lines[s][e]);
			end();
		}
}

/* A worker is replaced between two loop iterations; its heir runs the call. */
static void test_put_off_and_moved(void)
{
	step = PUT_OFF;
	begin();
	moved_to_another(NULL);
	CU_ASSERT_FALSE(mt_list_empty(&lab.p->again));
	lab_advance(MT_USEC);
	CU_ASSERT_TRUE(mt_list_empty(&lab.p->again));
	CU_ASSERT_EQUAL(serve(true), 1);
	CU_ASSERT_STRING_EQUAL(reply(), "ok");
	end();
}

/* A loop iteration runs no more of the calls that were put off than it may; the others keep their order. */
static void test_put_off_within_budget(void)
{
	enum { CALLS = 3 };
	struct fake_conn *c[CALLS];

	scene_start(1);
	lab.p->running = true;
	for (uint64_t i = 0; i < CALLS; i++) {
		c[i] = lab_client(CONFIG_SERIAL);
		lab.p->running = false;
		scene_send_request(c[i], 'Q', i, 64);
		lab.p->running = true;
		scene_connected_server((uint32_t)i);
	}
	for (uint32_t i = 0; i < CALLS; i++)
		reset_unread();
	lab.p->running = false;
	CU_ASSERT_EQUAL(mt_call_turn(lab.p, 2), 2);
	CU_ASSERT_EQUAL(lab_n_servers(), 2);
	CU_ASSERT_EQUAL(mt_call_turn(lab.p, 2), 1);
	CU_ASSERT_EQUAL(mt_call_turn(lab.p, 2), 0);
	CU_ASSERT_EQUAL(lab_n_servers(), CALLS);
	for (uint32_t i = 0; i < CALLS; i++) {
		struct fake_conn *s = scene_connected_server(i);

		scene_answer(s, scene_next_sent(s).id, 1, 40);
	}
	for (uint64_t i = 0; i < CALLS; i++) {
		CU_ASSERT_EQUAL(scene_next_sent(c[i]).id, i);
		scene_bye(c[i]);
	}
	scene_stop();
}

/*
 * More time-outs are due than a loop iteration looks at, so a call is told to go on before its own
 * is. It is not sent any more.
 */
static void test_late_before_its_timeout(void)
{
	step = FILTER;
	begin();
	lab.p->now = lab.now += 1100 * MT_MSEC;
	CU_ASSERT_TRUE(mt_proxy_resume(
		lab.p, &(struct mt_filter_resume){.ticket = ticket, .verdict = MT_FILTER_NEXT}));
	CU_ASSERT_EQUAL(serve(true), 0);
	CU_ASSERT_STRING_EQUAL(reply(), "timeout");
	CU_ASSERT_EQUAL(mt_proxy_service_stats(lab.p, LISTENER)->timeouts, 1);
	end();
}

/* A server's bytes that arrive in the run of a call are read after it. */
static void test_reply_in_a_run(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	s = scene_connected_server(0);
	lab.p->running = true;
	toy_make(scene_buf, 'P', scene_next_sent(s).id, "done", 40);
	lab_feed(s, scene_buf, 40);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	lab.p->running = false;
	lab_advance(1);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 1);
	scene_bye(c);
	scene_stop();
}

const struct mt_test run_tests[] = {{"each step of a call", test_steps},
	{"put off, and moved to another worker", test_put_off_and_moved},
	{"put off, within the budget", test_put_off_within_budget},
	{"late before its time-out is looked at", test_late_before_its_timeout},
	{"a reply in the run of a call", test_reply_in_a_run}, {0}};
