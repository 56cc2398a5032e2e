/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of calls whose route and whose endpoint's policies change their metadata. A call that is
 * sent again, or a mirrored copy, has the bytes of a call that was sent to that endpoint at once:
 * changes of the endpoint that was tried first do not reach the next one. For all requests of
 * tests/vectors.
 */
#include "mirror_scene.h"
#include "scene.h"
#include "vectors.h"

#include "mt_extauthz_priv.h"
#include "mt_proxy_priv.h"

#define LISTENER 4

/* Policies of an endpoint: none, or an external service that changes metadata. */
enum policies { NONE, ONE, OTHER, POLICIES };

/* How a call comes to its second endpoint. */
enum way {
	UNREAD,	 /* its connection ends, and nobody has read it */
	REFUSED, /* no connection can be opened */
	POLICY,	 /* no endpoint could be reached; the route's retry policy sends it later */
	WAYS
};

static const char *const way_names[WAYS] = {"unread", "refused", "by the retry policy"};

static const struct mt_retry again = {
	.on = MT_RETRY_UNSENT, .attempts = 1, .base_ms = 10, .max_ms = 10};
static struct mt_extauthz asker;
static struct mt_extauthz_lane *lane;
static struct mt_extauthz_provider *provider[POLICIES];
static struct mt_authz_rule rule;
static struct mt_authz_policy custom[POLICIES];
static const struct mt_authz_policy *list[POLICIES];
static struct mt_authz guard[POLICIES];
static const struct mt_authz *guards[CONFIG_EPS];
static struct mt_mutation by_route[2];
static const struct mt_codec *codec;
static struct fake_conn *client;
static bool toy;     /* the toy codec, which makes changes of "method" only */
static bool plainly; /* services allow calls without changes */
static bool sets;    /* the changes set values; else they only remove what messages do not have */
static const char *vector;

/* ---- scene ----------------------------------------------------------------------------------- */

/* The endpoints have these policies from now on. */
static void guard_by(enum policies which)
{
	struct mt_cluster *c = &lab.snap->clusters[0];

	c->guards = guards;
	c->guards_change = true;
	for (uint32_t i = 0; i < c->n_eps; i++) {
		c->eps[i].guarded = which != NONE;
		guards[i] = which == NONE ? NULL : &guard[which];
	}
}

static struct mt_route_action *route(void)
{
	return (struct mt_route_action *)mt_route_at(
		lab.snap->listeners[LISTENER].protos->services[0]->routes, 0);
}

/* The route makes the first n changes of by_route. */
static void route_changes(uint32_t n)
{
	route()->req_mut = by_route;
	route()->n_req_mut = n;
}

static void make_policies(void)
{
	static const char *const names[POLICIES] = {"", "one", "other"};
	const char *const servers[] = {"127.0.0.1:1"};

	memset(&asker, 0, sizeof(asker));
	lane = aligned_alloc(MT_CACHE_LINE, sizeof(*lane));
	CU_ASSERT_FATAL(lane && mt_extauthz_lane_init(&asker, lane));
	mt_proxy_attach_asks(lab.p, lane);
	for (enum policies i = ONE; i < POLICIES; i++) {
		const struct mt_callout_conf conf = {
			.name = names[i], .servers = servers, .n_servers = 1, .timeout = MT_SEC};

		provider[i] = mt_extauthz_provider_new(&conf);
		CU_ASSERT_PTR_NOT_NULL_FATAL(provider[i]);
		custom[i] = (struct mt_authz_policy){.action = MT_AUTHZ_CLOSE,
			.by = names[i],
			.rules = &rule,
			.n_rules = 1,
			.asks = provider[i],
			.asks_id = mt_extauthz_id(provider[i])};
		list[i] = &custom[i];
		guard[i] = (struct mt_authz){
			.deny = &list[i], .n_deny = 1, .reads = true, .searches = true};
	}
	CU_ASSERT_NOT_EQUAL(custom[ONE].asks_id, custom[OTHER].asks_id);
}

static void start(enum policies which, bool retries)
{
	scene_start(2);
	scene_patient();
	config_speak(lab.snap, LISTENER, codec, 0);
	by_route[0] = (struct mt_mutation){.key = "by-route", .key_len = 8};
	by_route[1] = (struct mt_mutation){.key = "by-both", .key_len = 7};
	for (uint32_t i = 0; sets && i < 2; i++) {
		by_route[i].value = "route";
		by_route[i].value_len = 5;
	}
	route_changes(2);
	if (retries) {
		route()->retry = &again;
		route()->retries = true;
	}
	make_policies();
	guard_by(which);
	client = lab_client(CONFIG_DUBBO);
}

static void stop(void)
{
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	/* One-way calls live until they are acknowledged. */
	for (uint32_t i = 0; i < lab_n_servers(); i++)
		if (lab_server(i)->connected)
			lab_take(lab_server(i), scene_buf, SCENE_BUF);
	if (client->live)
		lab_close(client, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	CU_ASSERT_EQUAL(lab.p->verdicts.n, 0);
	route_changes(0);
	scene_stop();
	for (enum policies i = ONE; i < POLICIES; i++)
		mt_extauthz_drop(provider[i]);
	mt_extauthz_lane_fini(lane);
	free(lane);
}

static void put(struct mt_extauthz_slot *s, const char *key, const char *value)
{
	struct mt_extauthz_change *c = &s->change[s->n_changes++];

	c->remove = !value;
	CU_ASSERT(mt_extauthz_put(s, &c->key, key, (uint32_t)strlen(key)));
	if (value)
		CU_ASSERT(mt_extauthz_put(s, &c->value, value, (uint32_t)strlen(value)));
}

static void put_changes(struct mt_extauthz_slot *s)
{
	bool one = s->callout.provider == &provider[ONE]->callout;

	put(s, "by-policy", !sets ? NULL : one ? "one" : "other");
	put(s, "by-both", sets && one ? "one" : NULL);
	put(s, "user", NULL);
	if (toy)
		put(s, "method", "joes");
}

/* Each service that is asked allows the call, with its changes. Returns how many were asked. */
static uint32_t allow(void)
{
	struct mt_extauthz_slot *c;
	uint32_t n = 0;

	for (; (c = mt_extauthz_lane_asked(lane)); n++) {
		c->used = 0;
		if (!plainly)
			put_changes(c);
		c->verdict = MT_EXTAUTHZ_ALLOW;
		c->why = MT_EXTAUTHZ_allowed;
		mt_extauthz_lane_answered(c);
		lab_advance(MT_USEC);
	}
	return n;
}

/* The connection that has or will have the call; NULL: none. */
static struct fake_conn *server(void)
{
	return mirror_server_of(false, 0);
}

/* What the connection has got, with the id 1. */
static struct bytes got(struct fake_conn *s)
{
	struct mt_chain is = {0};
	struct bytes out = {0};
	struct mt_decoder d;
	struct mt_msg msg;

	if (s && !s->connected)
		lab_connect(s);
	if (!s || s->sent.len == 0)
		return out;
	CU_ASSERT_EQUAL_FATAL(mt_chain_copy(&s->sent, 0, s->sent.len, &is, &lab.pools), 0);
	mt_decoder_init(&d, codec, MT_DIR_DOWN, 0, &is);
	CU_ASSERT_EQUAL_FATAL(mt_decoder_run(&d, &msg), MT_DECODE_DONE);
	CU_ASSERT_EQUAL(msg.len, is.len);
	CU_ASSERT_EQUAL(mt_codec_set_id(codec, &msg, &is, 1, &lab.pools), 0);
	CU_ASSERT_FATAL(is.len <= VECTORS_MOST);
	out.n = is.len;
	mt_chain_read(&is, 0, out.b, out.n);
	mt_chain_free(&is);
	return out;
}

static void is_same(const struct bytes *is, const struct bytes *expected, const char *how,
	enum policies first, enum policies next)
{
	if (is->n == expected->n && memcmp(is->b, expected->b, is->n) == 0)
		return;
	CU_FAIL("bytes");
	fprintf(stderr, "%s, %s, policies %u then %u%s: %u bytes, not %u\n", vector, how, first,
		next, sets ? "" : ", nothing set", is->n, expected->n);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static struct bytes plain(const struct bytes *call, enum policies which)
{
	struct bytes out;

	start(which, false);
	lab_feed(client, call->b, call->n);
	CU_ASSERT(allow() <= 1);
	out = got(server());
	stop();
	return out;
}

/* The attempt under way ends. The endpoint of the next one has these policies. */
static void send_again(enum way way, enum policies next)
{
	struct fake_conn *s = server();

	guard_by(next);
	if (way == POLICY) {
		lab.refuse_open = false;
		lab_advance(11 * MT_MSEC);
		return;
	}
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	if (way == UNREAD) {
		got(s);
		s->end.reset_ack = true;
		s->end.reset_acked = s->end.pos.acked;
	}
	lab_close(s, way == UNREAD ? MT_CLOSE_RESET : MT_CLOSE_REFUSED);
}

static struct bytes again_by(
	const struct bytes *call, enum way way, enum policies first, enum policies next)
{
	uint32_t asked;
	struct bytes out;

	start(first, way == POLICY);
	lab.refuse_open = way == POLICY;
	lab_feed(client, call->b, call->n);
	CU_ASSERT(allow() <= 2);
	send_again(way, next);
	asked = allow();
	/* A service that has allowed the call is asked again only for an attempt by the policy. */
	CU_ASSERT_EQUAL(asked, next != NONE && (next != first || way == POLICY));
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	out = got(server());
	stop();
	return out;
}

static struct bytes mirrored(
	const struct bytes *call, enum policies which, bool retries, const struct bytes *expected)
{
	struct bytes out, own;

	start(which, retries);
	mirror_in(lab.snap, LISTENER, 1000000);
	lab_feed(client, call->b, call->n);
	CU_ASSERT(allow() <= 1);
	own = got(server());
	is_same(&own, expected, "mirrored call itself", which, which);
	out = got(mirror_server_of(true, 0));
	lab_close(mirror_server_of(true, 0), MT_CLOSE_RESET);
	mt_cluster_release(&lab.snap->clusters[1]);
	stop();
	return out;
}

static void check_again(const struct bytes *call, enum policies first, enum policies next,
	const struct bytes *expected)
{
	/* No retry policy applies to one-way calls. */
	enum way ways = strstr(vector, "oneway") ? POLICY : WAYS;
	struct bytes is;

	for (enum way w = UNREAD; expected->n && w < ways; w++) {
		is = again_by(call, w, first, next);
		is_same(&is, expected, way_names[w], first, next);
	}
}

static void check(const struct bytes *call)
{
	struct bytes expected[POLICIES], is;

	for (enum policies i = NONE; i < POLICIES; i++)
		expected[i] = plain(call, i);
	for (enum policies i = NONE; i < POLICIES; i++) {
		/* A protocol whose messages cannot be changed refuses a call that requires it. */
		if (expected[i].n == 0)
			continue;
		for (enum policies k = NONE; k < POLICIES; k++)
			check_again(call, i, k, &expected[k]);
		for (uint32_t retries = 0; retries < 2; retries++) {
			is = mirrored(call, i, retries, &expected[i]);
			is_same(&is, &expected[NONE], "copy", i, NONE);
		}
	}
}

/*
 * A request that is not retained, or not any more, has the changes of its endpoint's policies when
 * its connection ends. It is sent again only to endpoints with policies that make the same ones.
 */
static void check_not_retained(bool evicted, enum policies next)
{
	struct fake_conn *s;

	start(ONE, false);
	if (!evicted)
		lab.p->free_pct = 25;
	scene_send_request(client, 'Q', 1, 2000);
	CU_ASSERT_EQUAL(allow(), 1);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(lab_holds(client).of[MT_CLASS_RETAINED] > 0, evicted);
	if (evicted)
		lab_evict(client, MT_CLASS_RETAINED);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	CU_ASSERT_EQUAL(lab_holds(client).of[MT_CLASS_RETAINED], 0);
	guard_by(next);
	s->end.reset_ack = true;
	s->end.reset_acked = s->end.pos.acked;
	lab_close(s, MT_CLOSE_RESET);
	CU_ASSERT_EQUAL(allow(), 0);
	if (next == ONE) {
		s = scene_connected_server(0);
		CU_ASSERT_NSTRING_EQUAL(scene_next_sent(s).method, "joes", 4);
	} else {
		CU_ASSERT_EQUAL(scene_next_sent(client).first, MT_REPLY_OVERLOAD);
		CU_ASSERT_EQUAL(lab_n_servers(), 0);
	}
	stop();
}

/* Changes of a short request take buffers as a long request does, and are kept under the same limits. */
static void check_short(bool room)
{
	start(ONE, false);
	if (!room)
		lab.p->free_pct = 25;
	scene_send_request(client, 'Q', 1, 64);
	CU_ASSERT_EQUAL(allow(), 1);
	CU_ASSERT(got(server()).n > 0);
	CU_ASSERT_EQUAL(lab_holds(client).of[MT_CLASS_RETAINED] > 0, room);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	stop();
}

/* The service's changes come when the request is retained already, by the retry policy. */
static void check_short_decided(bool room)
{
	start(ONE, true);
	route_changes(0);
	scene_send_request(client, 'Q', 1, 64);
	CU_ASSERT_EQUAL(lab_holds(client).of[MT_CLASS_RETAINED], 0);
	if (!room)
		lab.p->free_pct = 25;
	CU_ASSERT_EQUAL(allow(), 1);
	CU_ASSERT(got(server()).n > 0);
	CU_ASSERT_EQUAL(lab_holds(client).of[MT_CLASS_RETAINED] > 0, room);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_disarmed), !room);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	stop();
}

static void test_short(void)
{
	codec = &toy_named_codec;
	sets = true;
	check_short(true);
	check_short(false);
	check_short_decided(true);
	check_short_decided(false);
}

static void test_not_retained(void)
{
	codec = &toy_named_codec;
	toy = true;
	for (enum policies next = NONE; next < POLICIES; next++) {
		check_not_retained(false, next);
		check_not_retained(true, next);
	}
	toy = false;
}

/* ---- token rules ----------------------------------------------------------------------------- */

/*
 * A service has judged metadata as the first endpoint's token rules left them. An endpoint with other
 * token rules, or none, queries it again.
 */
static void check_other_rules(uint32_t first, uint32_t next)
{
	static struct mt_token_rules rules[3] = {{0}, {.id = 1}, {.id = 2}};
	struct mt_authz_tokens tokens[3];

	for (uint32_t i = 0; i < 3; i++)
		tokens[i] = (struct mt_authz_tokens){.rules = &rules[i]};
	start(ONE, false);
	guard[ONE].tokens = first ? &tokens[first] : NULL;
	scene_send_request(client, 'Q', 1, 64);
	CU_ASSERT_EQUAL(allow(), 1);
	guard[ONE].tokens = next ? &tokens[next] : NULL;
	send_again(UNREAD, ONE);
	CU_ASSERT_EQUAL(allow(), first != next);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	CU_ASSERT(got(server()).n > 0);
	stop();
}

static void test_other_rules(void)
{
	codec = &toy_named_codec;
	sets = true;
	for (uint32_t i = 0; i < 9; i++)
		check_other_rules(i / 3, i % 3);
}

/* Ids of token rules and of external services are both counted from 1. */
static void test_ids(void)
{
	struct mt_token_rules rules = {.id = 7};
	struct mt_authz_tokens tokens = {.rules = &rules};
	const struct mt_authz_policy by_service = {.asks_id = 7};
	const struct mt_authz_policy *deny[] = {&by_service};
	const struct mt_authz a = {.tokens = &tokens}, b = {.deny = deny, .n_deny = 1};

	CU_ASSERT_NOT_EQUAL(mt_authorize_changes_id(&a), mt_authorize_changes_id(&b));
	CU_ASSERT_EQUAL(mt_authorize_changes_id(&b), mt_authorize_changes_id(&b));
}

/* ---- another snapshot ------------------------------------------------------------------------ */

/* A snapshot comes whose route sets another value; the one before is retired. */
static void publish(bool retries)
{
	static struct mt_mutation newer = {
		.key = "by-route", .key_len = 8, .value = "newer", .value_len = 5};
	struct mt_snapshot *s = config_make(1, lab.snap->version + 1, 2, true);
	struct mt_route_action *a;

	config_speak(s, LISTENER, codec, 0);
	a = (struct mt_route_action *)mt_route_at(
		s->listeners[LISTENER].protos->services[0]->routes, 0);
	a->req_mut = &newer;
	a->n_req_mut = 1;
	a->retry = retries ? &again : NULL;
	a->retries = retries;
	s->keep_from = s->version;
	s->clusters[0].guards = guards;
	s->clusters[0].guards_change = true;
	for (uint32_t i = 0; i < s->clusters[0].n_eps; i++)
		s->clusters[0].eps[i].guarded = true;
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
}

/* A call with a retry policy waits for a decision meanwhile: all its attempts have the new value. */
static void test_published_while_waiting(void)
{
	start(ONE, true);
	lab.refuse_open = true;
	scene_send_request(client, 'Q', 1, 64);
	publish(true);
	CU_ASSERT_EQUAL(allow(), 1);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	CU_ASSERT_PTR_NOT_NULL(strstr(toy_noted.changes, "by-route=newer;"));
	toy_noted.changes[0] = '\0';
	lab.refuse_open = false;
	lab_advance(11 * MT_MSEC);
	CU_ASSERT_EQUAL(allow(), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(toy_noted.changes, "by-route=newer;"));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), 1);
	stop();
	config_free(1);
}

/* The same, if only the new route makes changes, for which memory may be short. */
static void check_published_short(bool room)
{
	start(ONE, true);
	route_changes(0);
	scene_send_request(client, 'Q', 1, 64);
	publish(true);
	if (!room)
		lab.p->free_pct = 25;
	plainly = true;
	CU_ASSERT_EQUAL(allow(), 1);
	plainly = false;
	CU_ASSERT(got(server()).n > 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(toy_noted.changes, "by-route=newer;"));
	CU_ASSERT_EQUAL(lab_holds(client).of[MT_CLASS_RETAINED] > 0, room);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_disarmed), !room);
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	stop();
	config_free(1);
}

/* A call without a retry policy is sent already: it is routed again if nobody has read it. */
static void test_published_when_sent(void)
{
	start(ONE, false);
	scene_send_request(client, 'Q', 1, 64);
	CU_ASSERT_EQUAL(allow(), 1);
	got(server());
	CU_ASSERT_PTR_NOT_NULL(strstr(toy_noted.changes, "by-route=route;"));
	publish(false);
	CU_ASSERT_EQUAL(config_holds(0), 0);
	send_again(UNREAD, ONE);
	CU_ASSERT_EQUAL(allow(), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(toy_noted.changes, "by-route=newer;"));
	CU_ASSERT_PTR_NULL(mt_proxy_check(lab.p));
	stop();
	config_free(1);
}

static void test_published(void)
{
	codec = &toy_named_codec;
	sets = true;
	test_published_while_waiting();
	check_published_short(true);
	check_published_short(false);
	test_published_when_sent();
}

/* ---- vectors --------------------------------------------------------------------------------- */

/* Each request of the protocol, with changes that set values and with changes that do not. */
static void check_both(const char *name, const struct bytes *call)
{
	vector = name;
	for (int i = 0; i < 2; i++) {
		sets = i;
		check(call);
	}
}

static void check_all(const char *folder)
{
	codec = mt_codec_find(folder);
	vectors_each(folder, check_both);
}

static void test_dubbo(void)
{
	check_all("dubbo");
}

static void test_thrift(void)
{
	check_all("thrift");
}

static void test_awesomerpc(void)
{
	check_all("awesomerpc");
}

static struct mt_codec watched;
static uint32_t n_foreign;

static void watch(const struct mt_codec *self, struct mt_msg *msg, const struct mt_chain *c,
	struct mt_metadata *m)
{
	n_foreign += c != lab.p->view.chain;
	mt_codec_find("dubbo")->metadata.index(self, msg, c, m);
}

/* The view's index refers to the call's own bytes, not to those of a copy, which may be freed. */
static void test_index(void)
{
	struct bytes call, expected;

	watched = *mt_codec_find("dubbo");
	watched.metadata.index = watch;
	codec = &watched;
	sets = true;
	n_foreign = 0;
	vector = "request-hello.hex";
	call = vectors_read("dubbo", vector);
	expected = plain(&call, ONE);
	CU_ASSERT(expected.n > 0);
	mirrored(&call, ONE, false, &expected);
	CU_ASSERT_EQUAL(n_foreign, 0);
}

const struct mt_test layers_tests[] = {{"dubbo", test_dubbo}, {"thrift", test_thrift},
	{"awesomeRPC", test_awesomerpc}, {"not retained", test_not_retained}, {"short", test_short},
	{"other token rules", test_other_rules}, {"ids", test_ids},
	{"another snapshot", test_published}, {"index", test_index}, {0}};
