/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints that policies guard: who may not call never reaches a server, however it would come there. */
#include "scene.h"

#include "mt_authz.h"
#include "mt_lend.h"
#include "mt_proxy_priv.h"
#include "mt_tls_priv.h"

static struct mt_tls_context context = {.refs = 1u << 30};
static struct mt_authz_value value;
static struct mt_authz_cond cond;
static struct mt_authz_conds conds;
static struct mt_authz_rule rule;
static struct mt_authz_policy policy;
static const struct mt_authz_policy *policies[1];
static struct mt_authz guard;
static const struct mt_authz *guards[CONFIG_EPS];

/* One rule for whoever fits `field` with this value; the policy's action. */
static void write_rule(uint8_t action, uint8_t field, const char *text)
{
	value = (struct mt_authz_value){
		.match = MT_AUTHZ_EXACT, .text = {(const uint8_t *)text, (uint32_t)strlen(text)}};
	if (field == MT_AUTHZ_PEER || field == MT_AUTHZ_SERVER)
		CU_ASSERT_EQUAL_FATAL(mt_prefix_parse(text, &value.net, &value.bits), 0);
	cond = (struct mt_authz_cond){.field = field, .n_values = 1, .values = &value};
	if (field == MT_AUTHZ_METADATA)
		cond.key = mt_key_make(&toy_named_codec, "k");
	conds = (struct mt_authz_conds){&cond, 1};
	rule = (struct mt_authz_rule){.to = &conds,
		.n_to = 1,
		.by_method = field == MT_AUTHZ_METHOD || field == MT_AUTHZ_PATH,
		.by_interface = field == MT_AUTHZ_PATH};
	if (field == MT_AUTHZ_METADATA) {
		rule.when = conds;
		rule.n_to = 0;
	}
	policy = (struct mt_authz_policy){
		.action = action, .by = "P a/b", .rules = &rule, .n_rules = 1};
	policies[0] = &policy;
	guard = (struct mt_authz){.deny = policies,
		.allow = policies,
		.n_deny = action != MT_AUTHZ_ALLOW,
		.n_allow = action == MT_AUTHZ_ALLOW};
}

/* So many of the snapshot's endpoints, from `from` on. */
static void guard_some(struct mt_snapshot *s, uint32_t from, uint32_t n)
{
	struct mt_cluster *c = &s->clusters[0];

	c->guards = guards;
	for (uint32_t i = 0; i < c->n_eps; i++) {
		c->eps[i].guarded = i >= from && i < from + n;
		guards[i] = c->eps[i].guarded ? &guard : NULL;
	}
}

static void is_denied(struct fake_conn *c, uint64_t id)
{
	struct toy t = scene_next_sent(c);

	CU_ASSERT_EQUAL(t.id, id);
	CU_ASSERT_EQUAL(t.status, 1);
	CU_ASSERT_EQUAL(t.first, MT_REPLY_DENIED);
}

struct row {
	uint8_t action, field;
	const char *text;
	bool allowed;
	enum mt_proxy_outcome counted;
};

/* From 192.0.2.1; scene_send_request() calls "call" of the service "toys". */
static const struct row rows[] = {
	{MT_AUTHZ_DENY, MT_AUTHZ_PEER, "192.0.2.0/24", false, MT_PROXY_exchange_denied},
	{MT_AUTHZ_DENY, MT_AUTHZ_PEER, "192.0.3.0/24", true, 0},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PEER, "192.0.2.0/24", true, 0},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PEER, "192.0.3.0/24", false, MT_PROXY_exchange_denied},
	{MT_AUTHZ_CLOSE, MT_AUTHZ_PEER, "192.0.2.0/24", false, MT_PROXY_exchange_closed},
	{MT_AUTHZ_DENY, MT_AUTHZ_METHOD, "call", false, MT_PROXY_exchange_denied},
	{MT_AUTHZ_DENY, MT_AUTHZ_METHOD, "cal", true, 0},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_METHOD, "call", true, 0},
	{MT_AUTHZ_DENY, MT_AUTHZ_PATH, "/toys/call", false, MT_PROXY_exchange_denied},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PATH, "/toys/call", true, 0},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PATH, "/toy/call", false, MT_PROXY_exchange_denied},
	{MT_AUTHZ_DENY, MT_AUTHZ_METADATA, "v", true, 0},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_METADATA, "v", false, MT_PROXY_exchange_denied},
};

static void one_call(const struct row *r)
{
	struct fake_conn *c;

	scene_start(2);
	write_rule(r->action, r->field, r->text);
	guard_some(lab.snap, 0, 2);
	c = lab_client(CONFIG_NAMED);
	scene_send_request(c, 'Q', 7, 64);
	CU_ASSERT_EQUAL(lab_n_servers(), r->allowed);
	if (r->allowed) {
		struct fake_conn *s = scene_connected_server(0);

		scene_answer(s, scene_next_sent(s).id, 1, 40);
		CU_ASSERT_EQUAL(scene_next_sent(c).status, 0);
	} else {
		is_denied(c, 7);
		CU_ASSERT_EQUAL(scene_counted(r->counted), 1);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_denied), 1);
		CU_ASSERT_EQUAL_FATAL(lab.p->denied.n, 1);
		CU_ASSERT_STRING_EQUAL(lab.p->denied.v[0].by, "P a/b");
		scene_line_is("403 - rbac_access_denied_matched_policy[P_a/b]");
	}
	scene_bye(c);
	scene_stop();
}

static void test_rows(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		one_call(&rows[i]);
}

/* A server with metadata that are more than are looked through may see what we do not. */
static void test_unreadable(void)
{
	struct fake_conn *c;
	uint8_t m[64];

	scene_start(1);
	write_rule(MT_AUTHZ_DENY, MT_AUTHZ_METADATA, "v");
	guard_some(lab.snap, 0, 1);
	c = lab_client(CONFIG_NAMED);
	toy_make(m, 'Q', 3, "huge", sizeof(m));
	lab_feed(c, m, sizeof(m));
	is_denied(c, 3);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_unreadable), 1);
	scene_bye(c);
	scene_stop();
}

/* What a filter or the route sets is what the server sees; what it takes away is not there. */
static void test_changes_count(void)
{
	struct mt_view v = {.codec = &toy_named_codec, .n_mutations = 3};
	struct mt_endpoint ep = {.guarded = true};
	struct mt_cluster cluster = {.eps = &ep, .n_eps = 1, .guards = guards};
	static struct mt_authorize_scratch scratch;
	struct mt_authorize_request ask = {
		.v = &v, .cluster = &cluster, .ep = &ep, .scratch = &scratch, .whole = true};
	struct mt_msg msg = {.kind = MT_MSG_REQUEST};
	const struct mt_authz_policy *by;

	write_rule(MT_AUTHZ_DENY, MT_AUTHZ_METADATA, "v");
	guards[0] = &guard;
	v.msg = &msg;
	v.meta.state = MT_META_READ;
	v.meta.n = 1;
	v.meta.entry[0] = (struct mt_meta_entry){.key = (const uint8_t *)"k",
		.key_len = 1,
		.value.text = (const uint8_t *)"v",
		.value_len = 1};
	v.meta.hash[0] = mt_key_hash((const uint8_t *)"k", 1);
	v.mutations[0] = (struct mt_mutation){"k", "v", 1, 1};
	v.mutations[1] = (struct mt_mutation){"l", "v", 1, 1};
	v.mutations[2] = (struct mt_mutation){"k", "w", 1, 1};
	CU_ASSERT_EQUAL(mt_authorize_at_endpoint(&ask, &by), MT_AUTHZ_ALLOWED);
	v.mutations[2] = (struct mt_mutation){"k", NULL, 1, 0};
	CU_ASSERT_EQUAL(mt_authorize_at_endpoint(&ask, &by), MT_AUTHZ_ALLOWED);
	/* What is taken away under one name hides nothing that is there under another. */
	v.meta.entry[0].key = (const uint8_t *)"K";
	cond.key.icase = true;
	CU_ASSERT_EQUAL(mt_authorize_at_endpoint(&ask, &by), MT_AUTHZ_DENIED);
	v.meta.entry[0].key = (const uint8_t *)"k";
	cond.key.icase = false;
	v.n_mutations = 2;
	CU_ASSERT_EQUAL(mt_authorize_at_endpoint(&ask, &by), MT_AUTHZ_DENIED);
	CU_ASSERT_STRING_EQUAL(by->by, "P a/b");
	v.n_mutations = 0;
	CU_ASSERT_EQUAL(mt_authorize_at_endpoint(&ask, &by), MT_AUTHZ_DENIED);
	v.meta.entry[0].kind = MT_META_OTHER;
	CU_ASSERT_EQUAL(mt_authorize_at_endpoint(&ask, &by), MT_AUTHZ_UNREAD);
	ask.whole = false;
	v.meta.n = 0;
	CU_ASSERT_EQUAL(mt_authorize_at_endpoint(&ask, &by), MT_AUTHZ_UNREAD);
}

/* One of two endpoints denies: who is led there is not led to the other one. */
static void test_final(void)
{
	uint32_t denied = 0;
	struct fake_conn *c;

	scene_start(2);
	write_rule(MT_AUTHZ_DENY, MT_AUTHZ_PEER, "192.0.2.0/24");
	guard_some(lab.snap, 1, 1);
	c = lab_client(CONFIG_SAFE);
	for (uint64_t id = 1; id <= 10; id++) {
		scene_send_request(c, 'Q', id, 64);
		denied = (uint32_t)scene_counted(MT_PROXY_exchange_denied);
	}
	CU_ASSERT_EQUAL(denied, 5);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	scene_bye(c);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

static void test_bytes(void)
{
	const struct mt_service_stats *st;
	struct fake_conn *c;

	scene_start(2);
	write_rule(MT_AUTHZ_DENY, MT_AUTHZ_PEER, "192.0.2.0/24");
	guard_some(lab.snap, 0, 2);
	c = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_PTR_NULL(c);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_denied), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_no_endpoint), 0);
	st = mt_proxy_service_stats(lab.p, 1);
	CU_ASSERT_EQUAL(st->local[MT_ENDING_connection_denied], 1);
	scene_line_is("0 - rbac_access_denied_matched_policy[P_a/b]");
	write_rule(MT_AUTHZ_DENY, MT_AUTHZ_PEER, "192.0.3.0/24");
	c = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	scene_connected_server(0);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/*
 * For TLS that is forwarded at a port of messages, rules that need messages cannot be evaluated, so
 * they let nothing pass.
 */
static void test_bytes_by_rules_of_messages(void)
{
	static const struct {
		uint8_t action, field;
		const char *text;
		bool passes;
	} by[] = {
		{MT_AUTHZ_DENY, MT_AUTHZ_METHOD, "other", false},
		{MT_AUTHZ_ALLOW, MT_AUTHZ_METHOD, "call", false},
		{MT_AUTHZ_DENY, MT_AUTHZ_PATH, "/x/y", false},
		{MT_AUTHZ_DENY, MT_AUTHZ_METADATA, "v", false},
		{MT_AUTHZ_ALLOW, MT_AUTHZ_METADATA, "v", false},
		{MT_AUTHZ_ALLOW, MT_AUTHZ_PEER, "192.0.2.0/24", true},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(by); i++) {
		struct fake_conn *c;

		scene_start(2);
		write_rule(by[i].action, by[i].field, by[i].text);
		guard_some(lab.snap, 0, 2);
		c = lab_client(CONFIG_OPAQUE);
		CU_ASSERT_EQUAL(c != NULL, by[i].passes);
		CU_ASSERT_EQUAL(lab_n_servers(), by[i].passes);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_denied), !by[i].passes);
		if (c)
			lab_close(c, MT_CLOSE_RESET);
		scene_stop();
	}
}

static struct mt_snapshot *publish(uint64_t version)
{
	struct mt_snapshot *s = config_make((int)version, version, 2, true);

	return s;
}

/* Rules that come while a stream is under way, and while it is being connected; others go on. */
static void test_swap(void)
{
	for (int connecting = 0; connecting < 2; connecting++) {
		struct fake_conn *a, *b, *sa;
		struct mt_snapshot *s;

		scene_start(2);
		a = lab_client(CONFIG_OPAQUE);
		sa = lab_server(0);
		if (!connecting)
			lab_connect(sa);
		b = lab_client_from(CONFIG_OPAQUE, 9);
		lab_connect(lab_server(1));
		s = publish(2);
		write_rule(MT_AUTHZ_DENY, MT_AUTHZ_PEER, "192.0.2.2/32");
		guard_some(s, 0, 2);
		mt_proxy_adopt(lab.p, s);
		lab_advance(MT_MSEC);
		CU_ASSERT_TRUE(a->aborted);
		CU_ASSERT_TRUE(sa->aborted);
		CU_ASSERT_FALSE(b->aborted);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_denied), 1);
		lab_close(b, MT_CLOSE_RESET);
		scene_stop();
		config_free(2);
	}
}

/* New calls are judged by the new rules, those that are out come to their end. */
static void test_swap_calls(void)
{
	struct mt_snapshot *s;
	struct fake_conn *c, *server;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 1, 64);
	server = scene_connected_server(0);
	s = config_make(2, 2, 1, true);
	write_rule(MT_AUTHZ_DENY, MT_AUTHZ_PEER, "192.0.2.0/24");
	guard_some(s, 0, 1);
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
	scene_send_request(c, 'Q', 2, 64);
	is_denied(c, 2);
	scene_answer(server, scene_next_sent(server).id, 1, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).id, 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_denied), 1);
	scene_bye(c);
	scene_stop();
	config_free(2);
}

/* Who connects to a listener that is closed altogether is refused, and counted by whoever closes it; who was there goes on. */
static void test_closed_listener(void)
{
	struct mt_closer by = {.by = "P a/b", .id = 7, .index = 3}, other = by;
	struct mt_snapshot *s;
	struct fake_conn *c;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	s = config_make(2, 2, 1, true);
	for (uint32_t i = 0; i < s->n_listeners; i++)
		s->listeners[i].closed_by = &by;
	write_rule(MT_AUTHZ_CLOSE, MT_AUTHZ_PEER, "192.0.2.0/24");
	policy.closer = &by;
	guard_some(s, 0, 1);
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
	scene_send_request(c, 'Q', 2, 64);
	is_denied(c, 2);
	CU_ASSERT_EQUAL(mt_proxy_closed_by(lab.p, &by), 1);
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_SAFE));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_closed_by_policy), 1);
	CU_ASSERT_EQUAL(mt_proxy_closed_by(lab.p, &by), 2);
	/* The place serves another one. */
	other.id = 8;
	for (uint32_t i = 0; i < s->n_listeners; i++)
		s->listeners[i].closed_by = &other;
	CU_ASSERT_EQUAL(mt_proxy_closed_by(lab.p, &other), 0);
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_SAFE));
	CU_ASSERT_EQUAL(mt_proxy_closed_by(lab.p, &other), 1);
	CU_ASSERT_EQUAL(mt_proxy_closed_by(lab.p, &by), 0);
	scene_bye(c);
	scene_stop();
	config_free(2);
}

/* ---- gates of gateways ------------------------------------------------------------------------------ */

static struct mt_gate_guard gate;
static struct mt_filter_inst gate_filter;
static max_align_t gate_memory[64];

/* At every service of the snapshot, with the rule of write_rule(). */
static void gate_all(struct mt_snapshot *s)
{
	char err[64];

	gate = (struct mt_gate_guard){&guard, 8089};
	gate_filter = (struct mt_filter_inst){.type = &mt_gate_filter, .conf = &gate};
	CU_ASSERT_TRUE_FATAL(mt_filters_size(1) <= sizeof(gate_memory));
	for (uint32_t i = 0; i < s->n_services; i++) {
		s->services[i]->gate = &gate;
		s->services[i]->filter_insts = &gate_filter;
		s->services[i]->n_filter_insts = 1;
		s->services[i]->filters =
			mt_filters_compile(gate_memory, &gate_filter, 1, err, sizeof(err));
		CU_ASSERT_PTR_NOT_NULL_FATAL(s->services[i]->filters);
	}
}

/* Calls as in front of an endpoint; an address of the server is the node's own. */
static void test_gate_calls(void)
{
	static const struct row more[] = {
		{MT_AUTHZ_DENY, MT_AUTHZ_SERVER, "240.240.0.1", false, MT_PROXY_exchange_denied},
		{MT_AUTHZ_DENY, MT_AUTHZ_SERVER, "198.51.100.0/24", true, 0}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows) + MT_ARRAY_LEN(more); i++) {
		const struct row *r =
			i < MT_ARRAY_LEN(rows) ? &rows[i] : &more[i - MT_ARRAY_LEN(rows)];
		struct fake_conn *c;

		scene_start(2);
		write_rule(r->action, r->field, r->text);
		gate_all(lab.snap);
		c = lab_client(CONFIG_NAMED);
		scene_send_request(c, 'Q', 7, 64);
		CU_ASSERT_EQUAL(lab_n_servers(), r->allowed);
		if (!r->allowed) {
			is_denied(c, 7);
			CU_ASSERT_EQUAL(scene_counted(r->counted), 1);
			CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_denied), 1);
		}
		lab_close(c, MT_CLOSE_RESET);
		scene_stop();
	}
}

static void test_gate_ports(void)
{
	for (uint16_t port = 8088; port <= 8089; port++) {
		struct fake_conn *c;

		scene_start(1);
		write_rule(MT_AUTHZ_DENY, MT_AUTHZ_PORT, "");
		value.port = port;
		gate_all(lab.snap);
		c = lab_client(CONFIG_OPAQUE);
		CU_ASSERT_EQUAL(c == NULL, port == 8089);
		if (c)
			lab_close(c, MT_CLOSE_RESET);
		scene_stop();
	}
}

static void test_gate_bytes(void)
{
	const struct mt_service_stats *st;
	struct fake_conn *c, *server;
	struct mt_snapshot *s;

	scene_start(2);
	write_rule(MT_AUTHZ_DENY, MT_AUTHZ_PEER, "192.0.2.0/24");
	gate_all(lab.snap);
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_OPAQUE));
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_denied), 1);
	st = mt_proxy_service_stats(lab.p, 1);
	CU_ASSERT_EQUAL(st->local[MT_ENDING_connection_denied], 1);
	write_rule(MT_AUTHZ_CLOSE, MT_AUTHZ_PEER, "192.0.2.0/24");
	CU_ASSERT_PTR_NULL(lab_client(CONFIG_OPAQUE));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_closed), 1);
	/* One that is under way when the gate is shut to it. */
	write_rule(MT_AUTHZ_DENY, MT_AUTHZ_PEER, "192.0.3.0/24");
	c = lab_client(CONFIG_OPAQUE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	server = scene_connected_server(0);
	s = publish(2);
	write_rule(MT_AUTHZ_ALLOW, MT_AUTHZ_PEER, "192.0.3.0/24");
	gate_all(s);
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
	CU_ASSERT_TRUE(c->aborted);
	CU_ASSERT_TRUE(server->aborted);
	scene_stop();
	config_free(2);
}

/* ---- who calls -------------------------------------------------------------------------------------- */

const struct mt_tls_peer *scene_shown;
enum mt_tls_reason scene_failed;

bool __real_mt_tls_stream_is(const struct mt_tls_layer *l, const struct mt_stream *s);
bool __wrap_mt_tls_stream_is(const struct mt_tls_layer *l, const struct mt_stream *s);
const struct mt_tls_peer *__real_mt_tls_stream_peer(
	const struct mt_tls_layer *l, const struct mt_stream *s);
const struct mt_tls_peer *__wrap_mt_tls_stream_peer(
	const struct mt_tls_layer *l, const struct mt_stream *s);

bool __wrap_mt_tls_stream_is(const struct mt_tls_layer *l, const struct mt_stream *s)
{
	return scene_shown || scene_failed || __real_mt_tls_stream_is(l, s);
}

const struct mt_tls_peer *__wrap_mt_tls_stream_peer(
	const struct mt_tls_layer *l, const struct mt_stream *s)
{
	return scene_shown ? scene_shown : __real_mt_tls_stream_peer(l, s);
}

#define WHO "spiffe://td/ns/a/sa/b"
static const struct mt_tls_peer member = {.principal = WHO,
					.sni = "a.test",
					.certificate = true,
					.member = true},
				foreign = {.principal = WHO, .sni = "a.test", .certificate = true},
				unnamed = {.sni = "a.test", .certificate = true, .member = true},
				nobody = {.sni = "a.test"};

struct who_row {
	uint8_t action, field;
	const char *text;
	const struct mt_tls_peer *who; /* NULL: clear text */
	bool allowed, at_gate;
	const struct mt_bound *bound; /* NULL: no address is */
	uint16_t entry;
};

/* The client's address, 192.0.2.2, another one's, and one without a name; they live on port 3. */
#define LIVES(host, name)                                                                          \
	{                                                                                          \
		.addr = {.b = {[10] = 0xff, 0xff, 192, 0, 2, host}}, .port = 3, .principal = name  \
	}
static const struct mt_bound lives = LIVES(2, "td/ns/a/sa/b"), another = LIVES(3, "td/ns/a/sa/b"),
			     nameless = LIVES(2, NULL), unlike = LIVES(2, "td/ns/a/sa/c");

static const struct who_row who_rows[] = {
	{MT_AUTHZ_DENY, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b", NULL, true, true, NULL, 0},
	{MT_AUTHZ_DENY, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b", &nobody, true, true, NULL, 0},
	{MT_AUTHZ_DENY, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b", &member, false, false, NULL, 0},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b", NULL, false, false, NULL, 0},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b", &member, true, true, NULL, 0},
	/* Of an authority that is not the mesh's, which may write any name. */
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b", &foreign, false, true, NULL, 0},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_NAMESPACE, "a", &foreign, false, true, NULL, 0},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_NAMESPACE, "a", &member, true, true, NULL, 0},
	{MT_AUTHZ_DENY, MT_AUTHZ_ACCOUNT, "a/b", &member, false, false, NULL, 0},
	{MT_AUTHZ_DENY, MT_AUTHZ_TRUST_DOMAIN, "td", &member, false, false, NULL, 0},
	{MT_AUTHZ_DENY, MT_AUTHZ_SNI, "a.test", NULL, true, true, NULL, 0},
	{MT_AUTHZ_DENY, MT_AUTHZ_SNI, "a.test", &nobody, false, false, NULL, 0},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_SNI, "a.test", &member, true, true, NULL, 0},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_SNI, "b.test", &member, false, false, NULL, 0},
	{MT_AUTHZ_DENY, MT_AUTHZ_CLEAR, "", NULL, false, false, NULL, 0},
	{MT_AUTHZ_DENY, MT_AUTHZ_CLEAR, "", &nobody, false, false, NULL, 0},
	{MT_AUTHZ_DENY, MT_AUTHZ_CLEAR, "", &foreign, false, false, NULL, 0},
	{MT_AUTHZ_DENY, MT_AUTHZ_CLEAR, "", &unnamed, true, true, NULL, 0},
	{MT_AUTHZ_DENY, MT_AUTHZ_CLEAR, "", &member, true, true, NULL, 0},
	/* By the port. */
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b", NULL, true, true, &lives, 4},
	{MT_AUTHZ_DENY, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b", NULL, false, false, &lives, 4},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_NAMESPACE, "a", NULL, true, true, &lives, 4},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b", NULL, false, false, &unlike, 4},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b", NULL, false, false, &nameless, 4},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b", NULL, false, false, &another, 4},
	{MT_AUTHZ_DENY, MT_AUTHZ_CLEAR, "", NULL, true, true, &lives, 4},
	/* Nobody knows which one he is: what asks for that denies, and what wants to know him. */
	{MT_AUTHZ_DENY, MT_AUTHZ_CLEAR, "", NULL, false, false, &nameless, 4},
	{MT_AUTHZ_DENY, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b", NULL, false, false, &nameless, 4},
	{MT_AUTHZ_DENY, MT_AUTHZ_NAMESPACE, "evil", NULL, false, false, &nameless, 4},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_NAMESPACE, "a", NULL, false, false, &nameless, 4},
	{MT_AUTHZ_DENY, MT_AUTHZ_CLEAR, "", NULL, false, false, &another, 4},
	/* Who came by another port, or by one that nobody knows. */
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b", NULL, false, false, &lives, 3},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b", NULL, false, false, &lives, 0},
	{MT_AUTHZ_DENY, MT_AUTHZ_CLEAR, "", NULL, false, false, &lives, 3},
	{MT_AUTHZ_DENY, MT_AUTHZ_CLEAR, "", NULL, false, false, &lives, 0},
	/* A certificate says more than the port, if it is the mesh's. */
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/c", &member, false, false, &unlike, 4},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/c", &nobody, true, true, &unlike, 4},
	{MT_AUTHZ_ALLOW, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/c", &foreign, true, false, &unlike, 4},
};

static bool passes(const struct who_row *r, uint16_t port, bool at_gate)
{
	struct fake_conn *c;
	bool passed;

	scene_start(1);
	/* Only asked whether they are there. */
	lab.p->tls = (struct mt_tls_layer *)&lab;
	lab.snap->bound = r->bound;
	lab.snap->n_bound = r->bound != NULL;
	lab.entry = r->entry;
	write_rule(r->action, r->field, r->text);
	if (at_gate)
		gate_all(lab.snap);
	else
		guard_some(lab.snap, 0, 1);
	for (uint32_t i = 0; r->who && i < lab.snap->n_listeners; i++) {
		lab.snap->listeners[i].chains[0].match.transport = MT_TRANSPORT_TLS;
		lab.snap->listeners[i].chains[0].tls = (struct mt_tls_context *)&lab;
	}
	scene_shown = r->who;
	c = lab_client(port);
	if (port == CONFIG_NAMED)
		scene_send_request(c, 'Q', 7, 64);
	passed = lab_n_servers() == 1;
	scene_shown = NULL;
	lab.p->tls = NULL;
	lab.entry = 0;
	CU_ASSERT_EQUAL(port == CONFIG_OPAQUE ? scene_counted(MT_PROXY_opaque_denied)
					      : scene_counted(MT_PROXY_exchange_denied) +
							scene_counted(MT_PROXY_exchange_unreadable),
		!passed);
	if (c)
		lab_close(c, MT_CLOSE_RESET);
	scene_stop();
	return passed;
}

/* Calls and bytes, in front of an endpoint and at a gate. */
static void test_who_calls(void)
{
	static const uint16_t ports[] = {CONFIG_NAMED, CONFIG_OPAQUE};

	for (size_t i = 0; i < MT_ARRAY_LEN(who_rows); i++)
		for (size_t k = 0; k < MT_ARRAY_LEN(ports); k++) {
			CU_ASSERT_EQUAL(passes(&who_rows[i], ports[k], false), who_rows[i].allowed);
			CU_ASSERT_EQUAL(passes(&who_rows[i], ports[k], true), who_rows[i].at_gate);
		}
}

/* Whose address is not bound any more has no name, on an open connection either. */
static void test_address_is_let_go(void)
{
	struct fake_conn *calls, *bytes;
	struct mt_snapshot *s;

	scene_start(2);
	write_rule(MT_AUTHZ_ALLOW, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b");
	guard_some(lab.snap, 0, 2);
	lab.snap->bound = &lives;
	lab.snap->n_bound = 1;
	lab.entry = 4;
	bytes = lab_client(CONFIG_OPAQUE);
	scene_connected_server(0);
	calls = lab_client(CONFIG_NAMED);
	scene_send_request(calls, 'Q', 1, 64);
	scene_connected_server(1);
	scene_answer(lab_server(1), scene_next_sent(lab_server(1)).id, 1, 40);
	CU_ASSERT_EQUAL(scene_next_sent(calls).status, 0);
	s = publish(2);
	guard_some(s, 0, 2);
	mt_proxy_adopt(lab.p, s);
	lab_advance(MT_MSEC);
	CU_ASSERT_TRUE(bytes->aborted);
	scene_send_request(calls, 'Q', 2, 64);
	is_denied(calls, 2);
	lab.entry = 0;
	scene_bye(calls);
	scene_stop();
	config_free(2);
}

/* A stream in clear text, where from now on only TLS is served, or what it was shown for it is not lent any more. */
static void test_streams_that_may_not_stay(void)
{
	static const struct mt_lend nobody_borrows;

	for (int lent = 0; lent < 2; lent++) {
		struct fake_conn *c, *server;
		struct mt_snapshot *s;

		scene_start(2);
		c = lab_client(CONFIG_OPAQUE);
		server = scene_connected_server(0);
		s = publish(2);
		write_rule(MT_AUTHZ_DENY, MT_AUTHZ_CLEAR, "");
		for (uint32_t i = 0; !lent && i < s->n_listeners; i++) {
			s->listeners[i].chains[0].match.transport = MT_TRANSPORT_TLS;
			s->listeners[i].chains[0].tls = (struct mt_tls_context *)&lab;
		}
		if (!lent)
			guard_some(s, 0, 2);
		else
			s->clusters[0].lend = &nobody_borrows;
		for (uint32_t i = 0; lent && i < 2; i++)
			s->clusters[0].eps[i].tls = true;
		s->clusters[0].tls = &context;
		mt_proxy_adopt(lab.p, s);
		lab_advance(MT_MSEC);
		CU_ASSERT_TRUE(c->aborted);
		CU_ASSERT_TRUE(server->aborted);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_denied), !lent);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_no_node_identity), lent);
		scene_stop();
		config_free(2);
	}
}

/* `explain` asks for a caller that is only described. */
static void test_gate_explained(void)
{
	struct mt_view v = {.codec = &toy_named_codec};
	const struct mt_filter_inst f = {.type = &mt_gate_filter, .conf = &gate};
	struct mt_filter_told told = {.verdict = MT_FILTER_NEXT};

	gate = (struct mt_gate_guard){&guard, 8089};
	write_rule(MT_AUTHZ_DENY, MT_AUTHZ_PRINCIPAL, "td/ns/a/sa/b");
	mt_gate_filter.explain(&f, &v, 0, &told);
	CU_ASSERT_EQUAL(told.verdict, MT_FILTER_NEXT);
	mt_authorize_explain(&f, &v, &member, NULL, 0, &told);
	CU_ASSERT_EQUAL(told.verdict, MT_FILTER_REPLY);
	CU_ASSERT_STRING_EQUAL(told.words, "denied by P a/b");
	told = (struct mt_filter_told){.verdict = MT_FILTER_NEXT};
	mt_authorize_explain(&f, &v, NULL, &lives, 0, &told);
	CU_ASSERT_EQUAL(told.verdict, MT_FILTER_REPLY);
}

/* Of TLS that passes through, the name was read to find its chain, and is not kept: nobody who asks for it lets it pass. */
static void test_unkept_names(void)
{
	static const char *names[] = {"a.test"};
	static const struct {
		struct mt_filter_chain_match match;
		bool passes;
	} cases[] = {{{.transport = MT_TRANSPORT_PLAIN}, true}, {{0}, true},
		{{.transport = MT_TRANSPORT_TLS}, false},
		{{.server_names = names, .n_server_names = 1}, false}};

	for (size_t i = 0; i < 2 * MT_ARRAY_LEN(cases); i++) {
		struct fake_conn *c;

		scene_start(1);
		write_rule(MT_AUTHZ_DENY, MT_AUTHZ_SNI, "b.test");
		if (i % 2)
			gate_all(lab.snap);
		else
			guard_some(lab.snap, 0, 1);
		for (uint32_t k = 0; k < lab.snap->n_listeners; k++)
			lab.snap->listeners[k].chains[0].match = cases[i / 2].match;
		c = lab_client(CONFIG_OPAQUE);
		CU_ASSERT_EQUAL(c != NULL, cases[i / 2].passes);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_opaque_denied), !cases[i / 2].passes);
		if (c)
			lab_close(c, MT_CLOSE_RESET);
		scene_stop();
	}
}

static bool carries(const struct mt_codec *self, const struct mt_msg *msg)
{
	(void)self;
	(void)msg;
	return true;
}

/* True if the key is removed from a request of this method. */
static bool strips(const struct mt_codec *codec, const char *method)
{
	const struct mt_key key = mt_key_make(codec, "authorization");
	struct mt_msg msg = {.len = 64};
	struct mt_chain c = {0};
	uint8_t buf[64];
	bool ok;

	toy_make(buf, 'Q', 1, method, sizeof(buf));
	CU_ASSERT_EQUAL_FATAL(mt_chain_write(&c, &lab.pools, buf, sizeof(buf)), 0);
	mt_view_bind(&lab.p->view, codec, &msg, &c);
	ok = mt_metadata_strip(lab.p, &key);
	mt_meta_clear(&lab.p->view.meta);
	mt_chain_free(&c);
	return ok;
}

/*
 * Metadata that cannot be read may have the key: it is not removed, so the message must not go. A
 * message without metadata does not have it.
 */
static void test_strips(void)
{
	struct mt_codec hides = toy_codec, leads = toy_codec;

	scene_start(1);
	hides.metadata.carries = carries;
	leads.metadata.index = NULL;
	CU_ASSERT_TRUE(strips(&toy_codec, "call"));
	CU_ASSERT_TRUE(strips(&leads, "huge"));
	CU_ASSERT_FALSE(strips(&toy_codec, "huge"));
	CU_ASSERT_FALSE(strips(&hides, "call"));
	scene_stop();
}

const struct mt_test authorize_tests[] = {
	{"rows", test_rows},
	{"unreadable", test_unreadable},
	{"changes_count", test_changes_count},
	{"final", test_final},
	{"bytes", test_bytes},
	{"bytes_by_rules_of_messages", test_bytes_by_rules_of_messages},
	{"swap", test_swap},
	{"swap_calls", test_swap_calls},
	{"closed_listener", test_closed_listener},
	{"gate_calls", test_gate_calls},
	{"gate_ports", test_gate_ports},
	{"gate_bytes", test_gate_bytes},
	{"who_calls", test_who_calls},
	{"address_is_let_go", test_address_is_let_go},
	{"streams_that_may_not_stay", test_streams_that_may_not_stay},
	{"unkept_names", test_unkept_names},
	{"gate_explained", test_gate_explained},
	{"strips", test_strips},
	{0},
};
