/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Events while a call waits for an external authorization decision: another worker goes on with it,
 * or it gives up its retained request.
 */
#include "judged.h"
#include "mirror_scene.h"
#include "moved.h"

static void reject(struct fake_conn *s)
{
	toy_make(scene_buf, 'P', scene_next_sent(s).id, "done", 40);
	scene_buf[2] = TOY_OVERLOAD;
	lab_feed(s, scene_buf, 40);
}

/*
 * A call gives up its retained request while its second attempt waits for a decision. That attempt
 * is still the second one: no mirror gets another copy, and there is no third one.
 */
static void disarmed_while_it_waits(void)
{
	static const struct mt_retry again = {
		.on = MT_RETRY_OVERLOAD, .attempts = 1, .base_ms = 10, .max_ms = 10};
	struct mt_route_action *route;
	struct mt_extauthz_slot *q;
	struct fake_conn *c;

	judged_start(false);
	mirror_in(lab.snap, 3, 1000000);
	route = (struct mt_route_action *)mt_route_at(
		lab.snap->listeners[3].protos->services[0]->routes, 0);
	route->retry = &again;
	route->retries = true;
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 2000);
	judged_say(judged_question(), MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_started), 1);
	reject(mirror_connected(false, 0));
	lab_advance(11 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), 1);
	q = judged_question();
	CU_ASSERT(lab_holds(c).of[MT_CLASS_RETAINED] > 0);
	lab_evict(c, MT_CLASS_RETAINED);
	judged_say(q, MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_started), 1);
	reject(mirror_connected(false, 0));
	lab_advance(11 * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).status, TOY_OVERLOAD);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), 1);
	CU_ASSERT_PTR_NULL(mt_extauthz_lane_asked(judged.lane));
	lab_close(mirror_connected(true, 0), MT_CLOSE_RESET);
	lab_close(c, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	mt_cluster_release(&lab.snap->clusters[1]);
	judged_stop();
}

static void attach(struct mt_proxy *p)
{
	mt_proxy_attach_asks(p, judged.lane);
}

/*
 * Another worker asks again about a call that waits, also if the decision had come: that one is
 * for nobody.
 */
static void check_moved(bool decided)
{
	struct mt_extauthz_slot *q, *again;
	struct fake_conn *c, *d;

	judged_start(false);
	c = lab_client(CONFIG_NAMED);
	d = lab_client_from(CONFIG_NAMED, 77);
	scene_send_request(c, 'Q', 1, 64);
	q = judged_question();
	if (decided) {
		q->verdict = MT_EXTAUTHZ_ALLOW;
		mt_extauthz_lane_answered(q);
	}
	moved_to_another(attach);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 1);
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 1);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	again = judged_question();
	if (!decided)
		judged_say(q, MT_EXTAUTHZ_DENY, MT_EXTAUTHZ_denied);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 1);
	/* Another call's question is that call's. */
	scene_send_request(d, 'Q', 2, 64);
	judged_say(judged_question(), MT_EXTAUTHZ_DENY, MT_EXTAUTHZ_denied);
	judged_is_told(d, 2, MT_REPLY_DENIED);
	judged_say(again, MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	judged_answered(c, 1);
	lab_close(c, MT_CLOSE_RESET);
	lab_close(d, MT_CLOSE_RESET);
	for (uint32_t i = 0; i < MT_VERDICT_CLIENTS; i++)
		CU_ASSERT_EQUAL(lab.p->ext_authz.by_client[i], 0);
	judged_stop();
}

static void moved(void)
{
	check_moved(false);
	check_moved(true);
}

/* At a gateway its filter asks again, with the changes of the one in front of it. */
static void moved_at_gate(void)
{
	static const struct mt_mutation first = {
		.key = "first", .key_len = 5, .value = "1", .value_len = 1};
	struct mt_gate_guard gate = {&judged.guard, 8089};
	struct mt_filter_inst chain[2] = {{.type = mt_filter_find("mutation"),
						  .conf = mt_mutation_compile(&first, 1, NULL, 0)},
		{.type = &mt_gate_filter, .conf = &gate}};
	struct mt_extauthz_slot *q;
	struct fake_conn *c;

	judged_start(false);
	lab.snap->clusters[0].eps[0].guarded = false;
	judged_filter_all(lab.snap, chain, 2);
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	q = judged_question();
	moved_to_another(attach);
	toy_noted.changes[0] = '\0';
	judged_say(q, MT_EXTAUTHZ_DENY, MT_EXTAUTHZ_denied);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 1);
	q = judged_question();
	CU_ASSERT_EQUAL(q->destination_port, 8089);
	judged_say(q, MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "first=1;");
	judged_answered(c, 1);
	lab_close(c, MT_CLOSE_RESET);
	chain[0].type->free_conf(chain[0].conf);
	judged_stop();
}

/*
 * A new snapshot has two endpoints before the one that needed the verdict. The calls go to that one
 * all the same, because the others deny them.
 */
static void to_its_endpoint(void)
{
	enum { CALLS = 6 };
	struct mt_ep_state *states[3];
	struct mt_endpoint *eps;
	struct mt_snapshot *s;
	struct fake_conn *c;

	judged_start(false);
	scene_patient();
	c = lab_client(CONFIG_NAMED);
	for (uint64_t i = 1; i <= CALLS; i++)
		scene_send_request(c, 'Q', i, 64);
	s = config_make(1, lab.snap->version + 1, 3, true);
	eps = s->clusters[0].eps;
	for (uint32_t i = 0; i < 3; i++)
		states[i] = eps[i].state;
	for (uint32_t i = 0; i < 3; i++)
		eps[i].state = states[(i + 1) % 3];
	judged_guard_all(s, &judged.other_guard, judged.other_guards);
	judged.other_guards[2] = &judged.guard;
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
	for (uint64_t i = 1; i <= CALLS; i++)
		judged_say(judged_question(), MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_denied), 0);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	for (uint64_t i = 1; i <= CALLS; i++)
		judged_answered(c, i);
	CU_ASSERT_PTR_NULL(mt_extauthz_lane_asked(judged.lane));
	lab_close(c, MT_CLOSE_RESET);
	judged_stop();
	config_free(1);
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* Each attempt by a retry policy may wait as often as the first one. */
static void each_attempt_waits(void)
{
	enum { ATTEMPTS = 5 };
	static const struct mt_retry retry = {
		.on = MT_RETRY_OVERLOAD, .attempts = ATTEMPTS, .base_ms = 10, .max_ms = 10};
	struct mt_route_action *route;
	struct fake_conn *c, *s = NULL;

	judged_start(false);
	scene_patient();
	route = (struct mt_route_action *)mt_route_at(
		lab.snap->listeners[3].protos->services[0]->routes, 0);
	route->retry = &retry;
	route->retries = true;
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	for (uint32_t i = 0; i <= ATTEMPTS; i++) {
		judged_say(judged_question(), MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
		s = mirror_connected(false, 0);
		if (i < ATTEMPTS)
			reject(s);
		lab_advance(11 * MT_MSEC);
	}
	scene_answer(s, scene_next_sent(s).id, 1, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).status, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), ATTEMPTS);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_extauthz_full), 0);
	lab_close(c, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	judged_stop();
}

static void remove_metadata(struct mt_extauthz_slot *s)
{
	struct mt_extauthz_change *change;

	s->used = 0;
	change = &s->change[s->n_changes++];
	CU_ASSERT(mt_extauthz_put(s, &change->key, "gone", 4));
	change->remove = true;
}

/* A move to another worker is no wait of the call: it may still wait as often as without. */
static void moves_are_no_waits(void)
{
	struct mt_extauthz_slot *q;
	struct fake_conn *c;

	judged_start(false);
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	for (uint32_t i = 0; i < 6; i++) {
		q = judged_question();
		moved_to_another(attach);
		lab_advance(MT_MSEC);
		CU_ASSERT_EQUAL(lab.p->verdicts.n, 1);
		judged_say(q, MT_EXTAUTHZ_DENY, MT_EXTAUTHZ_denied);
	}
	judged_say(judged_question(), MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	judged_answered(c, 1);
	lab_close(c, MT_CLOSE_RESET);
	judged_stop();
}

/* Changes of the service at a gateway read the calls' metadata: a few costly ones in an iteration. */
static void costly_at_gate(void)
{
	const uint32_t calls = 30, takes = 3000, most = 2 * (MT_RESUME_STEPS / takes + 1);
	struct mt_gate_guard gate = {&judged.guard, 8089};
	struct mt_filter_inst chain[1] = {{.type = &mt_gate_filter, .conf = &gate}};
	struct mt_extauthz_slot *q;
	struct fake_conn *c;
	uint32_t before;

	judged_start(false);
	scene_patient();
	lab.snap->clusters[0].eps[0].guarded = false;
	judged_filter_all(lab.snap, chain, 1);
	c = lab_client(CONFIG_NAMED);
	for (uint32_t i = 0; i < calls; i++)
		scene_send_request(c, 'Q', 1 + i, 64);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, calls);
	for (uint32_t i = 0; i < calls; i++) {
		q = judged_question();
		remove_metadata(q);
		q->verdict = MT_EXTAUTHZ_ALLOW;
		q->why = MT_EXTAUTHZ_allowed;
		mt_extauthz_lane_answered(q);
	}
	toy_noted.takes = takes;
	do {
		before = lab.p->verdicts.n;
		CU_ASSERT_EQUAL(mt_proxy_next(lab.p), lab.p->now);
		lab_advance(1);
		CU_ASSERT_FATAL(lab.p->verdicts.n < before);
		CU_ASSERT(lab.p->verdicts.n + most >= before);
	} while (lab.p->verdicts.n);
	toy_noted.takes = 0;
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_denied), 0);
	lab_close(c, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	judged_stop();
}

const struct mt_test ext_authz_waits_tests[] = {
	{"disarmed while it waits", disarmed_while_it_waits},
	{"moved while it waits", moved},
	{"moved at a gate", moved_at_gate},
	{"to its endpoint", to_its_endpoint},
	{"each attempt waits", each_attempt_waits},
	{"moves are no waits", moves_are_no_waits},
	{"costly at a gate", costly_at_gate},
	{0},
};
