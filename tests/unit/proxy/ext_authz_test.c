/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that somebody outside is asked about: the test is the thread that asks. */
#include "judged.h"
#include "mirror_scene.h"

/* ---- answers ---------------------------------------------------------------------------------------- */

/* It goes with the changes that the service wants. */
static void allowed(void)
{
	struct mt_extauthz_change *change;
	struct mt_extauthz_slot *q;
	struct fake_conn *c;

	judged_start(false);
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 1);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	q = judged_question();
	CU_ASSERT_PTR_EQUAL(q->callout.provider, &judged.provider->callout);
	q->used = 0;
	change = &q->change[q->n_changes++];
	CU_ASSERT(mt_extauthz_put(q, &change->key, "user", 4));
	CU_ASSERT(mt_extauthz_put(q, &change->value, "joe", 3));
	change->remove = false;
	toy_noted.changes[0] = '\0';
	judged_say(q, MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "user=joe;");
	judged_answered(c, 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_extauthz_waited), 1);
	lab_close(c, MT_CLOSE_RESET);
	judged_stop();
}

static void sets_method(struct mt_extauthz_slot *q, const char *method)
{
	struct mt_extauthz_change *change = &q->change[q->n_changes++];

	q->used = 0;
	CU_ASSERT(mt_extauthz_put(q, &change->key, "method", 6));
	CU_ASSERT(mt_extauthz_put(q, &change->value, method, 4));
	change->remove = false;
}

/* Only the call's own endpoint gets the service's changes. A copy has those of the route. */
static void not_for_a_copy(void)
{
	struct mt_extauthz_slot *q;
	struct fake_conn *c, *s;

	judged_start(false);
	mirror_in(lab.snap, 3, 1000000);
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	q = judged_question();
	sets_method(q, "joes");
	judged_say(q, MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mirror_started), 1);
	s = mirror_connected(true, 0);
	CU_ASSERT_NSTRING_NOT_EQUAL(scene_next_sent(s).method, "joes", 4);
	lab_close(s, MT_CLOSE_RESET);
	s = mirror_connected(false, 0);
	CU_ASSERT_NSTRING_EQUAL(scene_next_sent(s).method, "joes", 4);
	lab_close(c, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	mt_cluster_release(&lab.snap->clusters[1]);
	judged_stop();
}

/* A call that waits for a decision has no attempt, so that no policy gives it another one. */
static void late_with_a_retry_policy(void)
{
	static const struct mt_retry again = {
		.on = MT_RETRY_LOST, .attempts = 1, .base_ms = 10, .max_ms = 10};
	struct mt_route_action *route;
	struct mt_extauthz_slot *last;
	struct fake_conn *c;

	judged_start(false);
	route = (struct mt_route_action *)mt_route_at(
		lab.snap->listeners[3].protos->services[0]->routes, 0);
	route->retry = &again;
	route->retries = true;
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	last = judged_question();
	lab_advance(20 * MT_SEC);
	judged_is_told(c, 1, MT_REPLY_TIMEOUT);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), 0);
	lab_close(c, MT_CLOSE_RESET);
	judged_say(last, MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	judged_stop();
}

/* They end with the attempt: the service is asked about the next one, too. */
static void not_for_another_attempt(void)
{
	static const struct mt_retry again = {
		.on = MT_RETRY_UNSENT, .attempts = 1, .base_ms = 10, .max_ms = 10};
	static const char *const methods[] = {"call", "joes"};
	struct mt_route_action *route;
	struct mt_extauthz_slot *q;
	struct fake_conn *c;

	for (uint32_t i = 0; i < MT_ARRAY_LEN(methods); i++) {
		judged_start(false);
		route = (struct mt_route_action *)mt_route_at(
			lab.snap->listeners[3].protos->services[0]->routes, 0);
		route->retry = &again;
		route->retries = true;
		lab.refuse_open = true;
		c = lab_client(CONFIG_NAMED);
		scene_send_request(c, 'Q', 1, 64);
		q = judged_question();
		sets_method(q, i ? "call" : "joes");
		judged_say(q, MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
		lab.refuse_open = false;
		lab_advance(11 * MT_MSEC);
		q = judged_question();
		if (i)
			sets_method(q, methods[i]);
		judged_say(q, MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
		CU_ASSERT_NSTRING_EQUAL(
			scene_next_sent(scene_connected_server(0)).method, methods[i], 4);
		lab_close(c, MT_CLOSE_RESET);
		lab_advance(20 * MT_SEC);
		judged_stop();
	}
}

static void check_verdict(bool fail_open, enum mt_extauthz_verdict v, enum mt_proxy_outcome counted)
{
	struct fake_conn *c;

	judged_start(fail_open);
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	judged_say(judged_question(), v, MT_EXTAUTHZ_denied);
	if (counted == MT_PROXY_N_OUTCOMES) {
		judged_answered(c, 1);
	} else {
		judged_is_told(c, 1, MT_REPLY_DENIED);
		CU_ASSERT_EQUAL(scene_counted(counted), 1);
		CU_ASSERT_EQUAL(lab_n_servers(), 0);
		scene_line_is(v == MT_EXTAUTHZ_DENY ? "403 UAEX ext_authz_denied"
						    : "403 UAEX ext_authz_error");
	}
	lab_close(c, MT_CLOSE_RESET);
	judged_stop();
}

static void verdicts(void)
{
	check_verdict(false, MT_EXTAUTHZ_DENY, MT_PROXY_exchange_denied);
	check_verdict(true, MT_EXTAUTHZ_DENY, MT_PROXY_exchange_denied);
	check_verdict(false, MT_EXTAUTHZ_UNJUDGED, MT_PROXY_exchange_extauthz_failed);
	check_verdict(true, MT_EXTAUTHZ_UNJUDGED, MT_PROXY_N_OUTCOMES);
}

/* ---- at a gate -------------------------------------------------------------------------------------- */

/* Its filter waits, and judges it again; the changes of the filter in front of it, and those of the service, go with it. */
static void check_gate(bool guarded)
{
	static const struct mt_mutation first = {
		.key = "first", .key_len = 5, .value = "1", .value_len = 1};
	struct mt_gate_guard gate = {&judged.guard, 8089};
	struct mt_filter_inst chain[2] = {{.type = mt_filter_find("mutation"),
						  .conf = mt_mutation_compile(&first, 1, NULL, 0)},
		{.type = &mt_gate_filter, .conf = &gate}};
	struct mt_extauthz_change *change;
	struct mt_extauthz_slot *q;
	struct fake_conn *c;

	judged_start(false);
	for (uint32_t i = 0; i < lab.snap->clusters[0].n_eps; i++)
		lab.snap->clusters[0].eps[i].guarded = guarded;
	judged_filter_all(lab.snap, chain, 2);
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	q = judged_question();
	CU_ASSERT_EQUAL(q->n_entries, 1);
	CU_ASSERT_EQUAL(q->destination_port, 8089);
	q->used = 0;
	change = &q->change[q->n_changes++];
	CU_ASSERT(mt_extauthz_put(q, &change->key, "gone", 4));
	change->remove = true;
	toy_noted.changes[0] = '\0';
	judged_say(q, MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	/* The instance is another question to the same service. */
	if (guarded) {
		CU_ASSERT_EQUAL(lab_n_servers(), 0);
		q = judged_question();
		CU_ASSERT_NOT_EQUAL(q->destination_port, 8089);
		judged_say(q, MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	}
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "first=1;gone;");
	judged_answered(c, 1);
	scene_send_request(c, 'Q', 2, 64);
	judged_say(judged_question(), MT_EXTAUTHZ_DENY, MT_EXTAUTHZ_denied);
	judged_is_told(c, 2, MT_REPLY_DENIED);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_denied), 1);
	lab_close(c, MT_CLOSE_RESET);
	chain[0].type->free_conf(chain[0].conf);
	judged_stop();
}

static void at_gate(void)
{
	check_gate(false);
	check_gate(true);
}

/* A server would fail with what is no UTF-8, and failOpen is not for callers to choose. */
static void no_text(void)
{
	static const char *const values[] = {
		"\xff", "a\xed\xa0\x80", "\xc3", "\xc3\xa9", "\xc2\x85"};
	struct mt_mutation m = {.key = "k", .key_len = 1};
	struct mt_filter_inst chain[1];
	struct fake_conn *c;

	for (size_t i = 0; i < MT_ARRAY_LEN(values); i++) {
		bool is_text = i >= 3;

		judged_start(true);
		m.value = values[i];
		m.value_len = (uint16_t)strlen(values[i]);
		chain[0] = (struct mt_filter_inst){.type = mt_filter_find("mutation"),
			.conf = mt_mutation_compile(&m, 1, NULL, 0)};
		judged_filter_all(lab.snap, chain, 1);
		c = lab_client(CONFIG_NAMED);
		scene_send_request(c, 'Q', 1, 64);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_unreadable), !is_text);
		if (is_text)
			judged_say(judged_question(), MT_EXTAUTHZ_DENY, MT_EXTAUTHZ_denied);
		judged_is_told(c, 1, MT_REPLY_DENIED);
		lab_close(c, MT_CLOSE_RESET);
		chain[0].type->free_conf(chain[0].conf);
		judged_stop();
	}
}

/* ---- no answer -------------------------------------------------------------------------------------- */

/* Nobody waits for an answer: it goes if it may, and is told to nobody if not. */
static void one_way(void)
{
	struct fake_conn *c;

	judged_start(false);
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'O', 1, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	judged_say(judged_question(), MT_EXTAUTHZ_DENY, MT_EXTAUTHZ_denied);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_denied), 1);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	scene_send_request(c, 'O', 2, 64);
	judged_say(judged_question(), MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	scene_connected_server(0);
	scene_send_request(c, 'Q', 3, 64);
	judged_say(judged_question(), MT_EXTAUTHZ_DENY, MT_EXTAUTHZ_denied);
	judged_is_told(c, 3, MT_REPLY_DENIED);
	lab_close(c, MT_CLOSE_RESET);
	judged_stop();
}

/* Its client leaves, or its time is over: what is answered then is nobody's, and the slot is free again. */
static void gone(void)
{
	struct mt_extauthz_slot *first, *second;
	struct fake_conn *c, *d;

	judged_start(true);
	c = lab_client(CONFIG_NAMED);
	d = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	scene_send_request(d, 'Q', 2, 64);
	first = judged_question();
	second = judged_question();
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 1);
	lab_advance(lab.p->conf.exchange_ms * MT_MSEC + MT_SEC);
	judged_is_told(d, 2, MT_REPLY_TIMEOUT);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_extauthz_late), 1);
	judged_say(first, MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	judged_say(second, MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	lab_close(d, MT_CLOSE_RESET);
	judged_stop();
}

/* More deadlines can be due than a turn takes: then the answer comes before the call's own, which holds all the same. */
static void check_over(enum mt_extauthz_verdict v, uint64_t after)
{
	struct mt_extauthz_slot *q;
	struct fake_conn *c;

	judged_start(true);
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	q = judged_question();
	q->verdict = v;
	q->why = MT_EXTAUTHZ_late;
	mt_extauthz_lane_answered(q);
	mt_proxy_begin(lab.p, lab.now += after, 0);
	CU_ASSERT_EQUAL(mt_ext_authz_turn(lab.p), 1);
	lab_advance(MT_USEC);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	judged_is_told(c, 1, MT_REPLY_TIMEOUT);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_extauthz_late), 1);
	lab_close(c, MT_CLOSE_RESET);
	judged_stop();
}

static void over(void)
{
	const uint64_t all = 600 * MT_SEC;

	check_over(MT_EXTAUTHZ_UNJUDGED, all);
	check_over(MT_EXTAUTHZ_ALLOW, all);
	check_over(MT_EXTAUTHZ_DENY, all);
	check_over(MT_EXTAUTHZ_EXPIRED, MT_USEC);
}

/* The route of the listener sets these in each request. */
static void route_sets(struct mt_mutation *m, uint32_t n)
{
	struct mt_route_action *a =
		(struct mt_route_action *)mt_route_at(lab.snap->services[3]->routes, 0);

	a->req_mut = m;
	a->n_req_mut = n;
}

enum end { DENIED, TIMED_OUT, LEFT };

/* One call that waits with a change, and ends before it is sent. */
static void ends_in_vain(enum end how)
{
	static struct mt_mutation user = {
		.key = "user", .key_len = 4, .value = "joe", .value_len = 3};
	struct fake_conn *c = lab_client(CONFIG_NAMED);
	struct mt_extauthz_slot *q;

	route_sets(&user, 1);
	scene_send_request(c, 'Q', 1, 64);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 1);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	q = judged_question();
	if (how == TIMED_OUT)
		lab_advance(lab.p->conf.exchange_ms * MT_MSEC + MT_SEC);
	if (how == LEFT)
		lab_close(c, MT_CLOSE_RESET);
	judged_say(q, how == DENIED ? MT_EXTAUTHZ_DENY : MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_denied);
	if (how != LEFT) {
		judged_is_told(c, 1, how == DENIED ? MT_REPLY_DENIED : MT_REPLY_TIMEOUT);
		lab_close(c, MT_CLOSE_RESET);
	}
	route_sets(NULL, 0);
}

/* There is one exchange object: another client's call has the index of those that ended before. */
static void leaves_no_changes(enum end how)
{
	struct fake_conn *c;

	judged_start_with(false, 1);
	for (uint32_t i = 0; i < 2 * MT_VIEW_MUTATIONS; i++)
		ends_in_vain(how);
	c = lab_client_from(CONFIG_NAMED, 77);
	scene_send_request(c, 'Q', 2, 64);
	toy_noted.changes[0] = '\0';
	judged_say(judged_question(), MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "");
	judged_answered(c, 2);
	lab_close(c, MT_CLOSE_RESET);
	judged_stop();
}

static void no_changes_left(void)
{
	for (enum end how = DENIED; how <= LEFT; how++)
		leaves_no_changes(how);
}

/* The answer to a denied call waits for an earlier reply; its changes do not wait with it. */
static void changes_of_an_answered_call(void)
{
	struct mt_mutation user = {.key = "user", .key_len = 4, .value = "joe", .value_len = 3};
	struct fake_conn *c;

	judged_start(false);
	route_sets(&user, 1);
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	judged_say(judged_question(), MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	scene_send_request(c, 'Q', 2, 64);
	judged_say(judged_question(), MT_EXTAUTHZ_DENY, MT_EXTAUTHZ_denied);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	judged_answered(c, 1);
	judged_is_told(c, 2, MT_REPLY_DENIED);
	lab_close(c, MT_CLOSE_RESET);
	route_sets(NULL, 0);
	judged_stop();
}

static void full(void)
{
	struct fake_conn *c[8];

	judged_start(true);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(c); i++)
		c[i] = lab_client_from(CONFIG_NAMED, 70 + i);
	for (uint32_t i = 0; i < MT_EXTAUTHZ_SLOTS; i++)
		scene_send_request(c[i % MT_ARRAY_LEN(c)], 'Q', 1 + i, 64);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, MT_EXTAUTHZ_SLOTS);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_extauthz_full), 0);
	scene_send_request(c[0], 'Q', 1000, 64);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_extauthz_full), 1);
	for (uint32_t i = 0; i < MT_EXTAUTHZ_SLOTS; i++)
		judged_say(judged_question(), MT_EXTAUTHZ_DENY, MT_EXTAUTHZ_denied);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_denied), MT_EXTAUTHZ_SLOTS);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(c); i++)
		lab_close(c[i], MT_CLOSE_RESET);
	judged_stop();
}

/* One client's address leaves a quarter to others. */
static void fair(void)
{
	const uint32_t most = MT_EXTAUTHZ_SLOTS - MT_EXTAUTHZ_SLOTS / 4;
	struct fake_conn *c, *d;

	judged_start(true);
	c = lab_client(CONFIG_NAMED);
	d = lab_client_from(CONFIG_NAMED, 77);
	for (uint32_t i = 0; i <= most; i++)
		scene_send_request(c, 'Q', 1 + i, 64);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, most);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_extauthz_full), 1);
	scene_send_request(d, 'Q', 1, 64);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, most + 1);
	for (uint32_t i = 0; i <= most; i++)
		judged_say(judged_question(), MT_EXTAUTHZ_DENY, MT_EXTAUTHZ_denied);
	judged_is_told(d, 1, MT_REPLY_DENIED);
	lab_close(c, MT_CLOSE_RESET);
	lab_close(d, MT_CLOSE_RESET);
	judged_stop();
}

/* Who asks and leaves has asked: his part is his until the answers are there. */
static void fair_to_who_stays(void)
{
	const uint32_t most = MT_EXTAUTHZ_SLOTS - MT_EXTAUTHZ_SLOTS / 4;
	struct fake_conn *c, *d;

	judged_start(true);
	c = lab_client(CONFIG_NAMED);
	for (uint32_t i = 0; i < most; i++)
		scene_send_request(c, 'Q', 1 + i, 64);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 0);
	c = lab_client(CONFIG_NAMED);
	d = lab_client_from(CONFIG_NAMED, 77);
	scene_send_request(c, 'Q', 1, 64);
	judged_is_told(c, 1, MT_REPLY_OVERLOAD);
	scene_send_request(d, 'Q', 1, 64);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_extauthz_full), 1);
	for (uint32_t i = 0; i < most; i++)
		judged_say(judged_question(), MT_EXTAUTHZ_DENY, MT_EXTAUTHZ_denied);
	judged_say(judged_question(), MT_EXTAUTHZ_DENY, MT_EXTAUTHZ_denied);
	judged_is_told(d, 1, MT_REPLY_DENIED);
	scene_send_request(c, 'Q', 2, 64);
	judged_say(judged_question(), MT_EXTAUTHZ_DENY, MT_EXTAUTHZ_denied);
	judged_is_told(c, 2, MT_REPLY_DENIED);
	lab_close(c, MT_CLOSE_RESET);
	lab_close(d, MT_CLOSE_RESET);
	judged_stop();
}

/* The service is told names in small letters: what it changes is changed under whatever letters a caller chose. */
static void whatever_the_case(void)
{
	static const struct mt_mutation users[] = {
		{.key = "User", .key_len = 4, .value = "mallory", .value_len = 7},
		{.key = "USER", .key_len = 4, .value = "eve", .value_len = 3},
		{.key = "Gone", .key_len = 4, .value = "1", .value_len = 1}};
	struct mt_filter_inst chain[1] = {{.type = mt_filter_find("mutation"),
		.conf = mt_mutation_compile(users, MT_ARRAY_LEN(users), NULL, 0)}};
	struct mt_extauthz_change *change;
	struct mt_extauthz_slot *q;
	struct fake_conn *c;

	judged_start(false);
	judged_filter_all(lab.snap, chain, 1);
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	q = judged_question();
	q->used = 0;
	change = &q->change[q->n_changes++];
	CU_ASSERT(mt_extauthz_put(q, &change->key, "user", 4));
	CU_ASSERT(mt_extauthz_put(q, &change->value, "joe", 3));
	change->remove = false;
	change = &q->change[q->n_changes++];
	CU_ASSERT(mt_extauthz_put(q, &change->key, "gone", 4));
	change->remove = true;
	toy_noted.changes[0] = '\0';
	judged_say(q, MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "User;USER;Gone;user=joe;gone;");
	judged_answered(c, 1);
	lab_close(c, MT_CLOSE_RESET);
	chain[0].type->free_conf(chain[0].conf);
	judged_stop();
}

/* What cannot be told is not asked about, and not passed either. */
static void unreadable(void)
{
	struct fake_conn *c;

	judged_start(true);
	/* This protocol has no methods. */
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	judged_is_told(c, 1, MT_REPLY_DENIED);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_unreadable), 1);
	scene_bye(c);
	judged_stop();
}

static void nobody_asks(void)
{
	struct fake_conn *c;

	judged_start(true);
	lab.p->ext_authz.lane = NULL;
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	judged_is_told(c, 1, MT_REPLY_OVERLOAD);
	lab_close(c, MT_CLOSE_RESET);
	judged_stop();
}

/* What came into force meanwhile holds for it, whether or not it had to move. */
static void check_snapshot(bool has_to_move)
{
	struct mt_snapshot *s;
	struct fake_conn *c;

	judged_start(false);
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	s = config_make(1, lab.snap->version + 1, 1, true);
	if (has_to_move)
		s->keep_from = s->version;
	judged_guard_all(s, &judged.other_guard, judged.other_guards);
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
	judged_say(judged_question(), MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	judged_is_told(c, 1, MT_REPLY_DENIED);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	lab_close(c, MT_CLOSE_RESET);
	judged_stop();
	config_free(1);
}

static void another_snapshot(void)
{
	check_snapshot(true);
	check_snapshot(false);
}

static struct mt_snapshot *route_staged(struct mt_snapshot *s)
{
	return config_two_routes(s, 3, "stage", "done",
		(struct mt_mutation){.key = "stage", .key_len = 5, .value = "done", .value_len = 4},
		false);
}

/* What its route has changed does not lead it to another one, when it is led again. */
static void keeps_its_route(void)
{
	for (int has_to_move = 0; has_to_move < 2; has_to_move++) {
		struct mt_snapshot *s;
		struct fake_conn *c;

		judged_start(false);
		route_staged(lab.snap);
		c = lab_client(CONFIG_NAMED);
		scene_send_request(c, 'Q', 1, 64);
		s = route_staged(config_make(1, lab.snap->version + 1, 1, true));
		if (has_to_move)
			s->keep_from = s->version;
		judged_guard_all(s, &judged.guard, judged.other_guards);
		mt_proxy_adopt(lab.p, s);
		lab_advance(MT_MSEC);
		toy_noted.changes[0] = '\0';
		judged_say(judged_question(), MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
		CU_ASSERT_STRING_EQUAL(toy_noted.changes, "stage=done;");
		CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 1);
		judged_answered(c, 1);
		lab_close(c, MT_CLOSE_RESET);
		judged_stop();
		config_free(1);
	}
}

/* Nor do a gate's old rules. */
static void check_snapshot_at_gate(bool has_to_move, bool has_left)
{
	struct mt_gate_guard gate = {&judged.guard, 8089}, closed = {&judged.other_guard, 8089};
	struct mt_filter_inst chain[1] = {{.type = &mt_gate_filter, .conf = &gate}},
			      other[1] = {{.type = &mt_gate_filter, .conf = &closed}};
	struct mt_snapshot *s;
	struct fake_conn *c;

	judged_start(false);
	lab.snap->clusters[0].guards = NULL;
	for (uint32_t i = 0; i < lab.snap->clusters[0].n_eps; i++)
		lab.snap->clusters[0].eps[i].guarded = false;
	judged_filter_all(lab.snap, chain, 1);
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);
	s = config_make(1, lab.snap->version + 1, 1, true);
	if (has_to_move)
		s->keep_from = s->version;
	if (!has_left)
		judged_filter_all(s, other, 1);
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
	judged_say(judged_question(), MT_EXTAUTHZ_ALLOW, MT_EXTAUTHZ_allowed);
	judged_is_told(c, 1, has_left ? MT_REPLY_NO_ROUTE : MT_REPLY_DENIED);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	lab_close(c, MT_CLOSE_RESET);
	judged_stop();
	config_free(1);
}

static void another_gate(void)
{
	for (int i = 0; i < 4; i++)
		check_snapshot_at_gate(i & 1, i & 2);
}

const struct mt_test ext_authz_tests[] = {{"allowed, with changes", allowed},
	{"not for a copy", not_for_a_copy}, {"not for another attempt", not_for_another_attempt},
	{"late, with a retry policy", late_with_a_retry_policy}, {"verdicts", verdicts},
	{"at a gate", at_gate}, {"no text", no_text}, {"one way", one_way}, {"gone before", gone},
	{"its time is over", over}, {"no changes left", no_changes_left},
	{"changes of an answered call", changes_of_an_answered_call}, {"too many", full},
	{"a client's part", fair}, {"a part of who left", fair_to_who_stays},
	{"whatever the case", whatever_the_case}, {"what cannot be told", unreadable},
	{"nobody asks", nobody_asks}, {"another snapshot", another_snapshot},
	{"another gate", another_gate}, {"keeps its route", keeps_its_route}, {0}};
