/* SPDX-License-Identifier: Apache-2.0 */
/* Calls whose tokens have to be verified, by the thread that does it: a filter puts the token into their metadata. */
#include "moved.h"
#include "scene.h"

#include "../jwt/issuer.h"
#include "mt_extauthz_priv.h"
#include "mt_filter_limit.h"
#include "mt_jwks_store_priv.h"
#include "mt_proxy_priv.h"

#include <unistd.h>

static struct mt_jwks_store *store;
static struct mt_token_rules *rules;
static struct mt_token_pool *pool;
static struct mt_key place;
static struct mt_authz_tokens tokens;
static struct mt_authz guard;
static const struct mt_authz *guards[CONFIG_EPS];
static struct mt_filter_inst chain[1];
static char *token;

static void guard_all(struct mt_snapshot *s)
{
	struct mt_cluster *c = &s->clusters[0];

	c->guards = guards;
	for (uint32_t i = 0; i < c->n_eps; i++) {
		c->eps[i].guarded = true;
		guards[i] = &guard;
	}
}

/* All calls carry it from now on; they are of one that lasts as long as the scene. */
static void carry(const char *key, const char *text)
{
	char *value = NULL;
	struct mt_mutation m = {.key = key, .key_len = (uint16_t)strlen(key)};

	CU_ASSERT_FATAL(asprintf(&value, "Bearer %s", text) > 0);
	m.value = value;
	m.value_len = (uint16_t)strlen(value);
	if (chain[0].conf)
		chain[0].type->free_conf(chain[0].conf);
	chain[0] = (struct mt_filter_inst){
		.type = mt_filter_find("mutation"), .conf = mt_mutation_compile(&m, 1, NULL, 0)};
	scene_filters(chain, 1);
	free(value);
}

static void start_with(uint32_t n_eps, const char *key)
{
	char *jwks = issuer_jwks(issuer_of("ES256"));
	struct mt_err e;

	scene_start(n_eps);
	store = mt_jwks_store_new();
	rules = one_rule(store, jwks, NULL, 0);
	rules->places[0].key = key;
	pool = mt_token_pool_new(1, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pool);
	CU_ASSERT_EQUAL_FATAL(mt_proxy_attach_tokens(lab.p, mt_token_pool_lane(pool, 0)), 0);
	place = mt_key_make(&toy_codec, key);
	place.icase = true;
	tokens = (struct mt_authz_tokens){.rules = rules, .places = &place};
	guard = (struct mt_authz){.tokens = &tokens, .reads = true, .searches = true};
	guard_all(lab.snap);
	token = issuer_sign(issuer_of("ES256"), NULL, "{\"iss\":\"iss\",\"sub\":\"s\"}");
	carry(key, token);
	free(jwks);
}

static void start(void)
{
	start_with(1, "authorization");
}

static void stop(void)
{
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 0);
	CU_ASSERT_EQUAL(lab.p->verdicts.bytes, 0);
	mt_token_pool_free(pool);
	chain[0].type->free_conf(chain[0].conf);
	chain[0].conf = NULL;
	scene_stop();
	mt_token_rules_drop(rules);
	mt_jwks_store_free(store);
	free(token);
}

/* The thread answers nothing until may(true). */
static void may(bool answer)
{
	if (answer)
		pthread_mutex_unlock(&store->lock);
	else
		pthread_mutex_lock(&store->lock);
}

static void until_verified(uint32_t n)
{
	for (uint32_t i = 0; i < 10000 && lab.p->verdicts.n > n; i++) {
		usleep(100);
		lab_advance(MT_USEC);
	}
	CU_ASSERT_EQUAL(lab.p->verdicts.n, n);
}

static uint64_t told(enum mt_token_outcome o)
{
	return mt_proxy_token_counters(lab.p)[o];
}

static void answered(struct fake_conn *c, uint64_t id)
{
	struct fake_conn *s = scene_connected_server(0);

	scene_answer(s, scene_next_sent(s).id, 1, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, id);
}

static void is_told(struct fake_conn *c, uint64_t id, enum mt_local_reply what)
{
	struct toy t = scene_next_sent(c);

	CU_ASSERT_EQUAL(t.id, id);
	CU_ASSERT_EQUAL(t.status, 1);
	CU_ASSERT_EQUAL(t.first, what);
}

/* The first call waits, others of the same token with it; the next one is known, and goes without its token. */
static void test_known(void)
{
	struct fake_conn *c;

	start();
	c = lab_client(CONFIG_SAFE);
	may(false);
	scene_send_request(c, 'Q', 1, 64);
	scene_send_request(c, 'Q', 2, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 2);
	CU_ASSERT_EQUAL(lab.p->tokens.lane->n_free, MT_TOKEN_SLOTS - 1);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	/* One call in an iteration; the other one keeps waiting. */
	toy_noted.takes = MT_RESUME_STEPS;
	may(true);
	until_verified(1);
	CU_ASSERT_TRUE(mt_list_empty(&lab.p->again));
	CU_ASSERT_EQUAL(lab.p->tokens.lane->n_free, MT_TOKEN_SLOTS - 1);
	until_verified(0);
	toy_noted.takes = 0;
	toy_noted.changes[0] = '\0';
	answered(c, 1);
	answered(c, 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_token_waited), 2);
	scene_send_request(c, 'Q', 3, 64);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "authorization;");
	answered(c, 3);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_token_waited), 2);
	CU_ASSERT_EQUAL(told(MT_TOKEN_valid), 3);
	scene_bye(c);
	stop();
}

static void test_not_valid(void)
{
	struct fake_conn *c;

	start();
	token[strlen(token) - 5] = token[strlen(token) - 5] == 'A' ? 'B' : 'A';
	carry("authorization", token);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	until_verified(0);
	is_told(c, 1, MT_REPLY_DENIED);
	scene_line_is("401 - jwt_authn_access_denied{its_token's_signature_is_wrong}");
	scene_send_request(c, 'Q', 2, 64);
	is_told(c, 2, MT_REPLY_DENIED);
	scene_line_is("401 - jwt_authn_access_denied{its_token's_signature_is_wrong}");
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_unauthenticated), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_token_waited), 1);
	CU_ASSERT_EQUAL(told(MT_TOKEN_signature), 2);
	scene_bye(c);
	stop();
}

/* Its client leaves, and another one does not wait as long as it takes: what comes then is known all the same. */
static void test_gone(void)
{
	struct fake_conn *c, *d;

	start();
	c = lab_client(CONFIG_SAFE);
	d = lab_client(CONFIG_SAFE);
	may(false);
	scene_send_request(c, 'Q', 1, 64);
	scene_send_request(d, 'Q', 2, 64);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 1);
	lab_advance((MT_TOKENS_WAIT_MS + 1) * MT_MSEC);
	is_told(d, 2, MT_REPLY_TIMEOUT);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_token_late), 1);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 0);
	may(true);
	for (uint32_t i = 0; i < 10000 && lab.p->tokens.lane->n_free < MT_TOKEN_SLOTS; i++) {
		usleep(100);
		lab_advance(MT_USEC);
	}
	scene_send_request(d, 'Q', 3, 64);
	answered(d, 3);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_token_waited), 2);
	scene_bye(d);
	stop();
}

/* Of one address a quarter of those that may wait does. */
static void test_full(void)
{
	struct fake_conn *c, *d;

	start();
	c = lab_client(CONFIG_SAFE);
	d = lab_client_from(CONFIG_SAFE, 77);
	may(false);
	for (uint32_t i = 0; i <= MT_VERDICT_WAIT / 4; i++)
		scene_send_request(c, 'Q', 1 + i, 64);
	is_told(c, MT_VERDICT_WAIT / 4 + 1, MT_REPLY_OVERLOAD);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_token_full), 1);
	scene_send_request(d, 'Q', 1, 64);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, MT_VERDICT_WAIT / 4 + 1);
	lab_close(c, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 1);
	may(true);
	until_verified(0);
	answered(d, 1);
	scene_bye(d);
	stop();
}

/* More tokens than there are slots: all of them in their turn. */
static void test_slots(void)
{
	char *all[2 * MT_TOKEN_SLOTS], claims[64];
	struct fake_conn *c;

	start();
	c = lab_client(CONFIG_SAFE);
	may(false);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(all); i++) {
		snprintf(claims, sizeof(claims), "{\"iss\":\"iss\",\"sub\":\"%u\"}", i);
		all[i] = issuer_sign(issuer_of("ES256"), NULL, claims);
		carry("authorization", all[i]);
		scene_send_request(c, 'Q', 1 + i, 64);
	}
	CU_ASSERT_EQUAL(lab.p->verdicts.n, MT_ARRAY_LEN(all));
	CU_ASSERT_EQUAL(lab.p->tokens.lane->n_free, 0);
	may(true);
	until_verified(0);
	CU_ASSERT_EQUAL(lab.p->tokens.lane->n_free, MT_TOKEN_SLOTS);
	CU_ASSERT_EQUAL(told(MT_TOKEN_valid), MT_ARRAY_LEN(all));
	for (uint32_t i = 0; i < MT_ARRAY_LEN(all); i++)
		free(all[i]);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

/* It is led anew in a snapshot that came while it waited, and the old one can go. */
static void test_another_snapshot(void)
{
	struct mt_snapshot *s;
	struct fake_conn *c;

	start();
	c = lab_client(CONFIG_SAFE);
	may(false);
	scene_send_request(c, 'Q', 1, 64);
	s = config_make(1, lab.snap->version + 1, 1, true);
	s->keep_from = s->version;
	guard_all(s);
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 1);
	may(true);
	until_verified(0);
	answered(c, 1);
	lab_close(c, MT_CLOSE_RESET);
	stop();
	config_free(1);
}

/* A message that cannot go without its token does not go. */
static void test_unchanged(void)
{
	struct fake_conn *c;

	start_with(1, "fixed");
	toy_noted.has_fixed = true;
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	until_verified(0);
	is_told(c, 1, MT_REPLY_OVERLOAD);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	toy_noted.has_fixed = false;
	scene_bye(c);
	stop();
}

/* Without anybody who verifies nothing is valid. */
static void test_nobody(void)
{
	struct fake_conn *c;

	start();
	lab.p->tokens.lane = NULL;
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	is_told(c, 1, MT_REPLY_DENIED);
	CU_ASSERT_EQUAL(told(MT_TOKEN_internal), 1);
	scene_bye(c);
	stop();
}

/*
 * At a gate its token is verified, and somebody is asked; what was found there is the gate's. In front of the instance, which has rules of its
 * own, it is looked at anew, or is there no more.
 */
static void check_behind_gate(bool forward)
{
	const char *const servers[] = {"127.0.0.1:1"};
	const struct mt_callout_conf conf = {
		.name = "judge", .servers = servers, .n_servers = 1, .timeout = MT_SEC};
	struct mt_extauthz_provider *judge = mt_extauthz_provider_new(&conf);
	struct mt_extauthz_lane *asked = aligned_alloc(MT_CACHE_LINE, sizeof(*asked));
	struct mt_extauthz asker = {0};
	struct mt_authz_rule everybody = {0};
	struct mt_authz_policy custom = {.action = MT_AUTHZ_CLOSE,
		.by = "AuthorizationPolicy a/custom",
		.rules = &everybody,
		.n_rules = 1,
		.asks = judge,
		.asks_id = mt_extauthz_id(judge)};
	const struct mt_authz_policy *list[] = {&custom};
	char *jwks = issuer_jwks(issuer_of("ES256"));
	struct mt_filter_inst both[2];
	struct mt_token_rules *own;
	struct mt_authz_tokens own_tokens;
	struct mt_authz at_gate;
	struct mt_gate_guard gate = {&at_gate, 8089};
	struct mt_extauthz_slot *q;
	struct fake_conn *c;

	start();
	CU_ASSERT_FATAL(mt_extauthz_lane_init(&asker, asked));
	mt_proxy_attach_asks(lab.p, asked);
	own = one_rule(store, jwks, NULL, 0);
	own->rules[0].forward = forward;
	own_tokens = (struct mt_authz_tokens){.rules = own, .places = &place};
	at_gate = (struct mt_authz){
		.tokens = &own_tokens, .deny = list, .n_deny = 1, .reads = true, .searches = true};
	both[0] = chain[0];
	both[1] = (struct mt_filter_inst){.type = &mt_gate_filter, .conf = &gate};
	scene_filters(both, 2);
	for (uint32_t i = 1; i < lab.snap->n_services; i++) {
		lab.snap->services[i]->filter_insts = both;
		lab.snap->services[i]->n_filter_insts = 2;
		lab.snap->services[i]->filters =
			lab.snap->listeners[0].protos->services[0]->filters;
	}
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 1, 64);

	for (uint32_t i = 0; i < 10000 && !(q = mt_extauthz_lane_asked(asked)); i++) {
		usleep(100);
		lab_advance(MT_USEC);
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(q);
	q->verdict = MT_EXTAUTHZ_ALLOW;
	mt_extauthz_lane_answered(q);
	lab_advance(MT_USEC);
	until_verified(0);
	answered(c, 1);
	CU_ASSERT_EQUAL(told(MT_TOKEN_valid), forward ? 2 : 1);
	lab_close(c, MT_CLOSE_RESET);
	lab.p->ext_authz.lane = NULL;
	mt_token_rules_drop(own);
	stop();
	mt_extauthz_drop(judge);
	mt_extauthz_lane_fini(asked);
	free(asked);
	free(jwks);
}

static void test_behind_gate(void)
{
	check_behind_gate(false);
	check_behind_gate(true);
}

static struct mt_filter_ticket paused;

static enum mt_filter_verdict pauses(
	const struct mt_filter_inst *f, struct mt_view *v, struct mt_filter_ctx *ctx)
{
	(void)f;
	(void)v;
	paused = mt_filter_ticket_of(ctx);
	return MT_FILTER_SUSPEND;
}

/* A filter behind the gate waits longer than a token may: only the call's time-out limits it. */
static void test_waits_behind_gate(void)
{
	static const struct mt_filter pausing = {.name = "pausing", .on_request = pauses};
	struct mt_gate_guard gate = {&guard, 8089};
	struct mt_filter_inst all[3];
	struct fake_conn *c;

	start();
	scene_patient();
	all[0] = chain[0];
	all[1] = (struct mt_filter_inst){.type = &mt_gate_filter, .conf = &gate};
	all[2] = (struct mt_filter_inst){.type = &pausing};
	for (uint32_t i = 0; i < lab.snap->clusters[0].n_eps; i++)
		lab.snap->clusters[0].eps[i].guarded = false;
	scene_filters(all, 3);
	c = lab_client(CONFIG_SAFE);
	may(false);
	scene_send_request(c, 'Q', 1, 64);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 1);
	may(true);
	until_verified(0);
	lab_advance((MT_TOKENS_WAIT_MS + 500) * MT_MSEC);
	CU_ASSERT_EQUAL(scene_next_sent(c).kind, 0);
	scene_complete(&paused, MT_FILTER_NEXT, NULL);
	answered(c, 1);
	scene_bye(c);
	stop();
}

/* ---- the worker's texts ---------------------------------------------------------------------- */

static struct mt_route_action *the_route(void)
{
	return (struct mt_route_action *)mt_route_at(
		lab.snap->listeners[0].protos->services[0]->routes, 0);
}

/*
 * Removing a token takes bytes of a buffer of the worker. They are free again at the next call, also
 * if no filter runs and the route has changed the call's metadata.
 */
static void test_texts(void)
{
	static const struct mt_retry again = {
		.on = MT_RETRY_UNSENT, .attempts = 1, .base_ms = 10, .max_ms = 10};
	struct mt_route_action *a;
	struct mt_mutation m = {.key = "authorization", .key_len = 13};
	struct fake_conn *c;
	char value[1024];
	uint32_t used;

	start();
	m.value_len = (uint16_t)snprintf(value, sizeof(value), "Bearer %s", token);
	m.value = value;
	CU_ASSERT_FATAL(m.value_len < sizeof(value));
	lab.snap->listeners[0].protos->services[0]->filters = NULL;
	a = the_route();
	a->req_mut = &m;
	a->n_req_mut = 1;
	a->retry = &again;
	a->retries = true;
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	until_verified(0);
	answered(c, 1);
	used = lab.p->filters.text_used;
	for (uint32_t i = 2; i < 5; i++) {
		scene_send_request(c, 'Q', i, 64);
		answered(c, i);
		CU_ASSERT_EQUAL(lab.p->filters.text_used, used);
	}
	scene_bye(c);
	a->n_req_mut = 0;
	stop();
}

/* ---- sent to another endpoint ---------------------------------------------------------------- */

static void attach(struct mt_proxy *p)
{
	CU_ASSERT_EQUAL_FATAL(mt_proxy_attach_tokens(p, mt_token_pool_lane(pool, 0)), 0);
}

/* Calls whose token names iss and s. */
static struct mt_authz_value whom = {
	.text = {(const uint8_t *)"iss", 3}, .sub = {(const uint8_t *)"s", 1}};
static struct mt_authz_cond names_them = {.field = MT_AUTHZ_TOKEN, .n_values = 1, .values = &whom};
static struct mt_authz_conds conds = {&names_them, 1};
static struct mt_authz_rule of_them = {.from = &conds, .n_from = 1};
static const struct mt_authz_policy denies = {.action = MT_AUTHZ_DENY,
	.by = "AuthorizationPolicy a/deny",
	.rules = &of_them,
	.n_rules = 1};

/*
 * Endpoints deny the token's calls from now on, but not that of this connection (NULL: that one,
 * too).
 */
static void deny_at_other_than(const struct fake_conn *s, struct mt_authz *other)
{
	static const struct mt_authz_policy *list[] = {&denies};
	const struct mt_cluster *c = &lab.snap->clusters[0];

	*other = guard;
	other->deny = list;
	other->n_deny = 1;
	for (uint32_t i = 0; i < c->n_eps; i++)
		guards[i] = s && mt_addr_eq(&c->eps[i].addr, &s->t.remote) ? &guard : other;
}

/* Ends the connection on which nobody has read the call. */
static void end_unread(struct fake_conn *s, bool connected)
{
	if (connected) {
		s->end.reset_ack = true;
		s->end.reset_acked = s->end.pos.acked;
	}
	lab_close(s, connected ? MT_CLOSE_RESET : MT_CLOSE_REFUSED);
}

/* What becomes of the call's next attempt: MT_REPLY_N: it is sent. */
static void is_fate(struct fake_conn *c, enum mt_local_reply fate)
{
	struct fake_conn *s = NULL;

	for (uint32_t i = 0; i < lab_n_servers(); i++)
		if (!lab_server(i)->connected || lab_server(i)->sent.len)
			s = lab_server(i);
	if (fate != MT_REPLY_N) {
		is_told(c, 2, fate);
		CU_ASSERT_PTR_NULL(s);
		return;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	if (!s->connected)
		lab_connect(s);
	scene_answer(s, scene_next_sent(s).id, 1, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 2);
}

/*
 * The call's token is taken out before it is sent. Another endpoint judges it by the token all the
 * same, because it is read again in what the client sent; another worker verifies it again.
 */
static void check_other_endpoint(bool connected, bool denied, bool moved)
{
	struct mt_authz other;
	struct fake_conn *c, *s;

	start_with(2, "authorization");
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	until_verified(0);
	answered(c, 1);
	scene_send_request(c, 'Q', 2, 64);
	s = lab_server(1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	if (connected)
		lab_connect(s);
	CU_ASSERT_STRING_EQUAL(toy_noted.changes, "authorization;");
	if (denied)
		deny_at_other_than(moved ? NULL : s, &other);
	if (moved)
		moved_to_another(attach);
	end_unread(s, connected);
	until_verified(0);
	is_fate(c, denied ? MT_REPLY_DENIED : MT_REPLY_N);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_transparent_retry), connected);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_retried), !connected);
	CU_ASSERT_EQUAL(lab.p->exchanges.in_use, 0);
	scene_bye(c);
	stop();
}

static void test_other_endpoint(void)
{
	for (uint32_t i = 0; i < 8; i++)
		check_other_endpoint(i & 1, i & 2, i & 4);
}

/* The connection that has the call; it is connected then. */
static struct fake_conn *the_server(void)
{
	for (uint32_t i = 0; i < lab_n_servers(); i++) {
		struct fake_conn *s = lab_server(i);

		if (!s->connected)
			lab_connect(s);
		if (s->sent.len)
			return s;
	}
	CU_FAIL_FATAL("no server has the call");
	return NULL;
}

/*
 * The first endpoint's rules find a token, the second one's find none and remove its place. What is
 * known of the token is not for the second one.
 */
static void test_other_rules(void)
{
	struct mt_token_rules *own;
	struct mt_authz_tokens own_tokens;
	struct mt_authz other;
	struct mt_key nowhere;
	struct fake_conn *c;
	char *jwks = issuer_jwks(issuer_of("ES256"));

	start_with(2, "authorization");
	own = one_rule(store, jwks, NULL, 0);
	own->places[0].key = "nowhere";
	nowhere = mt_key_make(&toy_codec, "nowhere");
	own->n_sanitized = 1;
	own_tokens =
		(struct mt_authz_tokens){.rules = own, .places = &nowhere, .sanitized = &place};
	other = (struct mt_authz){.tokens = &own_tokens, .reads = true, .searches = true};
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	until_verified(0);
	answered(c, 1);
	scene_send_request(c, 'Q', 2, 2000);
	CU_ASSERT_EQUAL(told(MT_TOKEN_valid), 2);
	guards[0] = guards[1] = &other;
	end_unread(the_server(), true);
	CU_ASSERT(lab_holds(c).of[MT_CLASS_RETAINED] > 0);
	lab_evict(c, MT_CLASS_RETAINED);
	end_unread(the_server(), true);
	is_fate(c, MT_REPLY_N);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_transparent_retry), 2);
	scene_bye(c);
	mt_token_rules_drop(own);
	stop();
	free(jwks);
}

/* A token counts once for each call, however often it is judged. */
static void test_counted_once(void)
{
	struct fake_conn *c;

	start_with(2, "authorization");
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	until_verified(0);
	answered(c, 1);
	CU_ASSERT_EQUAL(told(MT_TOKEN_valid), 1);
	scene_send_request(c, 'Q', 2, 64);
	end_unread(the_server(), true);
	is_fate(c, MT_REPLY_N);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_transparent_retry), 1);
	CU_ASSERT_EQUAL(told(MT_TOKEN_valid), 2);
	scene_bye(c);
	stop();
}

/* ---- different rules at each endpoint ---------------------------------------------------------- */

/* Answers what is verified and what the service is asked, until the call is sent or answered. */
static uint32_t allow_until_sent(struct mt_extauthz_lane *asked, struct fake_conn *c)
{
	struct mt_extauthz_slot *q;
	uint32_t n = 0;

	for (uint32_t i = 0; i < 10000 && !lab_n_servers() && !c->sent.len; i++) {
		usleep(100);
		lab_advance(MT_USEC);
		while ((q = mt_extauthz_lane_asked(asked))) {
			q->verdict = MT_EXTAUTHZ_ALLOW;
			mt_extauthz_lane_answered(q);
			n++;
		}
	}
	return n;
}

/*
 * Two endpoints, in turn, have one service that is asked and token rules of their own. What was
 * decided about a call is for the endpoint whose rules it passed, so the call goes there.
 */
static void test_one_service(void)
{
	const char *const servers[] = {"127.0.0.1:1"};
	const struct mt_callout_conf conf = {
		.name = "judge", .servers = servers, .n_servers = 1, .timeout = MT_SEC};
	struct mt_extauthz_provider *judge = mt_extauthz_provider_new(&conf);
	struct mt_extauthz_lane *asked = aligned_alloc(MT_CACHE_LINE, sizeof(*asked));
	struct mt_extauthz asker = {0};
	struct mt_authz_rule everybody = {0};
	struct mt_authz_policy custom = {.action = MT_AUTHZ_CLOSE,
		.by = "AuthorizationPolicy a/custom",
		.rules = &everybody,
		.n_rules = 1,
		.asks = judge,
		.asks_id = mt_extauthz_id(judge)};
	const struct mt_authz_policy *list[] = {&custom};
	char *jwks = issuer_jwks(issuer_of("ES256"));
	struct mt_token_rules *own;
	struct mt_authz_tokens own_tokens;
	struct mt_authz other;
	struct fake_conn *c;

	start_with(2, "authorization");
	CU_ASSERT_FATAL(mt_extauthz_lane_init(&asker, asked));
	mt_proxy_attach_asks(lab.p, asked);
	own = one_rule(store, jwks, NULL, 0);
	own_tokens = (struct mt_authz_tokens){.rules = own, .places = &place};
	CU_ASSERT_NOT_EQUAL(own->id, rules->id);
	guard.deny = list;
	guard.n_deny = 1;
	other = guard;
	other.tokens = &own_tokens;
	guards[1] = &other;
	for (uint32_t i = 1; i < lab.snap->n_services; i++) {
		lab.snap->services[i]->filter_insts = chain;
		lab.snap->services[i]->n_filter_insts = 1;
		lab.snap->services[i]->filters =
			lab.snap->listeners[0].protos->services[0]->filters;
	}
	c = lab_client(CONFIG_NAMED);
	for (uint32_t i = 1; i <= 2; i++) {
		scene_send_request(c, 'Q', i, 64);
		CU_ASSERT_EQUAL(allow_until_sent(asked, c), 1);
		CU_ASSERT_EQUAL(lab_n_servers(), 1);
		answered(c, i);
		lab_close(lab_server(0), MT_CLOSE_RESET);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_token_waited), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_extauthz_waited), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_extauthz_full), 0);
	scene_bye(c);
	lab.p->ext_authz.lane = NULL;
	mt_token_rules_drop(own);
	stop();
	mt_extauthz_drop(judge);
	mt_extauthz_lane_fini(asked);
	free(asked);
	free(jwks);
}

/* Calls that wait for a token ask for it again in another worker, and those for a slot, too. */
static void test_moved(void)
{
	char claims[64];
	char *all[2 * MT_TOKEN_SLOTS];
	struct fake_conn *c;
	uint64_t id = 3;

	start();
	c = lab_client(CONFIG_SAFE);
	may(false);
	scene_send_request(c, 'Q', 1, 64);
	scene_send_request(c, 'Q', 2, 64);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(all); i++) {
		snprintf(claims, sizeof(claims), "{\"iss\":\"iss\",\"sub\":\"%u\"}", i);
		all[i] = issuer_sign(issuer_of("ES256"), NULL, claims);
		carry("authorization", all[i]);
		scene_send_request(c, 'Q', id++, 64);
	}
	CU_ASSERT_EQUAL(lab.p->verdicts.n, MT_ARRAY_LEN(all) + 2);
	moved_to_another(attach);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, MT_ARRAY_LEN(all) + 2);
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, MT_ARRAY_LEN(all) + 2);
	may(true);
	until_verified(0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_token_late), 0);
	CU_ASSERT_EQUAL(told(MT_TOKEN_valid), MT_ARRAY_LEN(all) + 2);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(all); i++)
		free(all[i]);
	lab_close(c, MT_CLOSE_RESET);
	stop();
}

const struct mt_test tokens_tests[] = {{"waited for, and known", test_known},
	{"not valid", test_not_valid}, {"gone before", test_gone}, {"too many", test_full},
	{"more than slots", test_slots}, {"another snapshot", test_another_snapshot},
	{"it cannot be taken out", test_unchanged},
	{"one service and different rules", test_one_service}, {"moved while it waits", test_moved},
	{"nobody verifies", test_nobody}, {"behind a gate that asks", test_behind_gate},
	{"a filter waits behind a gate", test_waits_behind_gate},
	{"at another endpoint", test_other_endpoint}, {"texts", test_texts},
	{"other rules", test_other_rules}, {"counted once", test_counted_once}, {0}};
