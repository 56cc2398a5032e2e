/* SPDX-License-Identifier: Apache-2.0 */
/* A service that is asked over gRPC: what it sees of a call, and what becomes of whatever it answers, or does not. */
#include "mt_extauthz.h"

#include "../grpc/grpc_server.h"
#include "authz.pb-c.h"
#include "mt_test.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <string.h>

#define LONG (30 * MT_SEC)

static struct mt_extauthz *x;
static struct mt_extauthz_lane *lane;
static struct server server;
static char at[32];

/* What the server answers; NULL: these bytes. */
static Xds__CheckResponse *reply;
static struct {
	const uint8_t *p;
	size_t len;
} raw;

/* What it was asked. */
static Xds__CheckRequest *asked;

/* ---- the service ------------------------------------------------------------------------------------ */

static void frame(struct server *s, const uint8_t *p, size_t len)
{
	uint32_t be = htonl((uint32_t)len);

	s->have = s->sent = 0;
	CU_ASSERT_FATAL(len + 5 <= 65536);
	free(s->body);
	s->room = 65536;
	s->body = calloc(1, s->room);
	memcpy(s->body + 1, &be, 4);
	if (len)
		memcpy(s->body + 5, p, len);
	s->have = len + 5;
}

static void on_question(struct server *s)
{
	uint8_t buf[16384];
	size_t len;

	if (asked)
		xds__check_request__free_unpacked(asked, NULL);
	asked = xds__check_request__unpack(NULL, s->have - 5, s->body + 5);
	if (!reply) {
		frame(s, raw.p, raw.len);
		return;
	}
	len = xds__check_response__get_packed_size(reply);
	CU_ASSERT_FATAL(len <= sizeof(buf));
	(void)xds__check_response__pack(reply, buf);
	frame(s, buf, len);
}

static struct mt_extauthz_provider *provider(uint64_t timeout)
{
	const char *const servers[] = {at};
	const struct mt_callout_conf conf = {
		.name = "asked", .servers = servers, .n_servers = 1, .timeout = timeout};

	return mt_extauthz_provider_new(&conf);
}

static void set_up(enum manner manner)
{
	struct mt_err e;

	x = mt_extauthz_new(1, &e);
	CU_ASSERT_PTR_NOT_NULL_FATAL(x);
	lane = mt_extauthz_lane(x, 0);
	reply = NULL;
	raw.p = NULL;
	raw.len = 0;
	memset(&server, 0, sizeof(server));
	server_start(&server, manner, NULL);
	server.on_end = on_question;
	snprintf(at, sizeof(at), "127.0.0.1:%u", server.port);
}

static void tear_down(void)
{
	mt_extauthz_free(x);
	server_stop(&server);
	if (asked)
		xds__check_request__free_unpacked(asked, NULL);
	asked = NULL;
}

/* ---- questions -------------------------------------------------------------------------------------- */

static void put(struct mt_extauthz_slot *s, struct mt_extauthz_text *t, const char *text)
{
	CU_ASSERT(mt_extauthz_put(s, t, text, strlen(text)));
}

static void put_entry(struct mt_extauthz_slot *s, const char *key, const char *value)
{
	struct mt_extauthz_entry *e = &s->entry[s->n_entries++];

	put(s, &e->key, key);
	put(s, &e->value, value);
}

static struct mt_extauthz_slot *question(void)
{
	struct mt_extauthz_slot *s = mt_extauthz_slot(lane);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL(mt_addr_parse("192.0.2.7", &s->source), 0);
	CU_ASSERT_EQUAL(mt_addr_parse("2001:db8::1", &s->destination), 0);
	s->source_port = 40000;
	s->destination_port = 20880;
	s->timeout = LONG;
	s->id = 17;
	put(s, &s->source_principal, "spiffe://cluster.local/ns/web/sa/front");
	put(s, &s->service, "orders.shop.svc.cluster.local");
	put(s, &s->protocol, "dubbo");
	put(s, &s->interface, "org.shop.Orders");
	put(s, &s->method, "get");
	return s;
}

static struct mt_extauthz_slot *answered(void)
{
	struct mt_extauthz_slot *s;

	for (int i = 0; i < 30000; i++) {
		server_turn(&server);
		s = mt_extauthz_take(lane);
		if (s)
			return s;
		poll(NULL, 0, 1);
	}
	CU_FAIL_FATAL("no answer within 30 s");
	return NULL;
}

/* Asks, and waits for the answer, which the caller gives back. */
static struct mt_extauthz_slot *ask(struct mt_extauthz_slot *s, struct mt_extauthz_provider *p)
{
	mt_extauthz_ask(lane, s, p);
	CU_ASSERT_PTR_EQUAL(answered(), s);
	return s;
}

static bool is_text(const struct mt_extauthz_slot *s, struct mt_extauthz_text t, const char *want)
{
	return t.len == strlen(want) && memcmp(mt_extauthz_text(s, t), want, t.len) == 0;
}

/* ---- what is asked ---------------------------------------------------------------------------------- */

static const char *header(const char *name)
{
	const Xds__AttributeContext__HttpRequest *h = asked->attributes->request->http;
	const char *found = NULL;

	for (size_t i = 0; i < h->n_headers; i++)
		if (strcmp(h->headers[i]->key, name) == 0) {
			CU_ASSERT_PTR_NULL(found);
			found = h->headers[i]->value;
		}
	return found ? found : "";
}

static const char *extension(const char *name)
{
	const Xds__AttributeContext *a = asked->attributes;

	for (size_t i = 0; i < a->n_context_extensions; i++)
		if (strcmp(a->context_extensions[i]->key, name) == 0)
			return a->context_extensions[i]->value;
	return "";
}

static void check_asked(void)
{
	const Xds__AttributeContext *a = asked->attributes;
	const Xds__AttributeContext__HttpRequest *h = a->request->http;

	CU_ASSERT_STRING_EQUAL(a->source->address->socket_address->address, "192.0.2.7");
	CU_ASSERT_EQUAL(a->source->address->socket_address->port_value, 40000);
	CU_ASSERT_STRING_EQUAL(a->source->principal, "spiffe://cluster.local/ns/web/sa/front");
	CU_ASSERT_STRING_EQUAL(a->destination->address->socket_address->address, "2001:db8::1");
	CU_ASSERT_STRING_EQUAL(a->destination->principal, "");
	CU_ASSERT_STRING_EQUAL(a->destination->service, "orders.shop.svc.cluster.local");
	CU_ASSERT_STRING_EQUAL(h->path, "/org.shop.Orders/get");
	CU_ASSERT_STRING_EQUAL(h->method, "POST");
	CU_ASSERT_STRING_EQUAL(h->host, "orders.shop.svc.cluster.local");
	CU_ASSERT_STRING_EQUAL(h->id, "17");
	CU_ASSERT_STRING_EQUAL(header("x-tenant"), "a,c,e");
	CU_ASSERT_STRING_EQUAL(header("plain"), "b");
	CU_ASSERT_STRING_EQUAL(header("empty"), "");
	CU_ASSERT_EQUAL(h->n_headers, 3);
	CU_ASSERT_STRING_EQUAL(extension("method"), "get");
	CU_ASSERT_STRING_EQUAL(extension("interface"), "org.shop.Orders");
	CU_ASSERT_STRING_EQUAL(extension("protocol"), "dubbo");
	CU_ASSERT_PTR_NULL(a->tls_session);
}

static void test_asked(void)
{
	Xds__CheckResponse yes = XDS__CHECK_RESPONSE__INIT;
	struct mt_extauthz_provider *p;
	struct mt_extauthz_slot *s;

	set_up(ECHO);
	p = provider(LONG);
	reply = &yes;
	s = question();
	put_entry(s, "X-Tenant", "a");
	put_entry(s, "plain", "b");
	put_entry(s, "x-tenant", "c");
	put_entry(s, "empty", "");
	put_entry(s, "X-TENANT", "e");
	ask(s, p);
	CU_ASSERT_EQUAL(s->verdict, MT_EXTAUTHZ_ALLOW);
	CU_ASSERT_EQUAL(s->n_changes, 0);
	check_asked();
	mt_extauthz_give_back(lane, s);
	CU_ASSERT_EQUAL(mt_extauthz_counter(x, MT_EXTAUTHZ_allowed), 1);
	mt_extauthz_drop(p);
	tear_down();
}

/* ---- what is answered ------------------------------------------------------------------------------- */

static void test_changes(void)
{
	static char name[] = "x-user", value[] = "joe", out[] = "authorization", host[] = ":path";
	Xds__HeaderValue v = XDS__HEADER_VALUE__INIT, pseudo = XDS__HEADER_VALUE__INIT;
	Xds__HeaderValueOption o = XDS__HEADER_VALUE_OPTION__INIT,
			       o2 = XDS__HEADER_VALUE_OPTION__INIT;
	Xds__HeaderValueOption *list[] = {&o, &o2};
	Xds__OkHttpResponse ok = XDS__OK_HTTP_RESPONSE__INIT;
	Xds__CheckResponse yes = XDS__CHECK_RESPONSE__INIT;
	char *gone[] = {out};
	struct mt_extauthz_provider *p;
	struct mt_extauthz_slot *s;

	set_up(ECHO);
	p = provider(LONG);
	v.key = name;
	v.value = value;
	pseudo.key = host;
	pseudo.value = value;
	o.header = &v;
	o2.header = &pseudo;
	ok.headers = list;
	ok.n_headers = 2;
	ok.headers_to_remove = gone;
	ok.n_headers_to_remove = 1;
	yes.http_response_case = XDS__CHECK_RESPONSE__HTTP_RESPONSE_OK_RESPONSE;
	yes.ok_response = &ok;
	reply = &yes;
	s = ask(question(), p);
	CU_ASSERT_EQUAL(s->verdict, MT_EXTAUTHZ_ALLOW);
	CU_ASSERT_EQUAL_FATAL(s->n_changes, 2);
	CU_ASSERT(s->change[0].remove && is_text(s, s->change[0].key, "authorization"));
	CU_ASSERT(!s->change[1].remove && is_text(s, s->change[1].key, "x-user"));
	CU_ASSERT(is_text(s, s->change[1].value, "joe"));
	mt_extauthz_give_back(lane, s);

	/* What hangs on whether it is there cannot be done, so nothing passes by it. */
	o.append_action = 1;
	s = ask(question(), p);
	CU_ASSERT_EQUAL(s->verdict, MT_EXTAUTHZ_UNJUDGED);
	CU_ASSERT_EQUAL(s->why, MT_EXTAUTHZ_bad_answer);
	CU_ASSERT_EQUAL(s->n_changes, 0);
	mt_extauthz_give_back(lane, s);
	mt_extauthz_drop(p);
	tear_down();
}

static void test_too_many_changes(void)
{
	static char name[] = "x";
	char *gone[MT_EXTAUTHZ_CHANGES + 1];
	Xds__OkHttpResponse ok = XDS__OK_HTTP_RESPONSE__INIT;
	Xds__CheckResponse yes = XDS__CHECK_RESPONSE__INIT;
	struct mt_extauthz_provider *p;
	struct mt_extauthz_slot *s;

	set_up(ECHO);
	p = provider(LONG);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(gone); i++)
		gone[i] = name;
	ok.headers_to_remove = gone;
	yes.http_response_case = XDS__CHECK_RESPONSE__HTTP_RESPONSE_OK_RESPONSE;
	yes.ok_response = &ok;
	reply = &yes;
	for (uint32_t more = 0; more < 2; more++) {
		ok.n_headers_to_remove = MT_EXTAUTHZ_CHANGES + more;
		s = ask(question(), p);
		CU_ASSERT_EQUAL(s->verdict, more ? MT_EXTAUTHZ_UNJUDGED : MT_EXTAUTHZ_ALLOW);
		mt_extauthz_give_back(lane, s);
	}
	mt_extauthz_drop(p);
	tear_down();
}

static void test_denied(void)
{
	Xds__CheckResponse no = XDS__CHECK_RESPONSE__INIT;
	Xds__Status status = XDS__STATUS__INIT;
	struct mt_extauthz_provider *p;
	struct mt_extauthz_slot *s;

	set_up(ECHO);
	p = provider(LONG);
	status.code = 7;
	no.status = &status;
	reply = &no;
	s = ask(question(), p);
	CU_ASSERT_EQUAL(s->verdict, MT_EXTAUTHZ_DENY);
	CU_ASSERT_EQUAL(s->why, MT_EXTAUTHZ_denied);
	mt_extauthz_give_back(lane, s);
	mt_extauthz_drop(p);
	tear_down();
}

/* ---- what cannot be judged -------------------------------------------------------------------------- */

static void check_unjudged(enum manner manner, uint64_t timeout, enum mt_extauthz_outcome why)
{
	struct mt_extauthz_provider *p;
	struct mt_extauthz_slot *s;

	set_up(manner);
	p = provider(timeout);
	s = ask(question(), p);
	CU_ASSERT_EQUAL(s->verdict, MT_EXTAUTHZ_UNJUDGED);
	CU_ASSERT_EQUAL(s->why, why);
	CU_ASSERT_EQUAL(mt_extauthz_counter(x, why), 1);
	mt_extauthz_give_back(lane, s);
	mt_extauthz_drop(p);
	tear_down();
}

static void test_unjudged(void)
{
	check_unjudged(REFUSE, LONG, MT_EXTAUTHZ_refused);
	check_unjudged(NOT_FOUND, LONG, MT_EXTAUTHZ_unreachable);
	check_unjudged(RESET, LONG, MT_EXTAUTHZ_unreachable);
	check_unjudged(SILENT, 50 * MT_MSEC, MT_EXTAUTHZ_late);
	check_unjudged(GARBAGE, LONG, MT_EXTAUTHZ_unreachable);
}

/* A call that has no more time than its provider: that the service is late is the caller's doing. */
static void test_own_time(void)
{
	static const struct {
		uint64_t own, providers;
		enum mt_extauthz_verdict verdict;
	} t[] = {{50 * MT_MSEC, LONG, MT_EXTAUTHZ_EXPIRED},
		{50 * MT_MSEC, 50 * MT_MSEC, MT_EXTAUTHZ_EXPIRED},
		{51 * MT_MSEC, 50 * MT_MSEC, MT_EXTAUTHZ_UNJUDGED}};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct mt_extauthz_provider *p;
		struct mt_extauthz_slot *s;

		set_up(SILENT);
		p = provider(t[i].providers);
		s = question();
		s->timeout = t[i].own;
		ask(s, p);
		CU_ASSERT_EQUAL(s->verdict, t[i].verdict);
		CU_ASSERT_EQUAL(s->why, MT_EXTAUTHZ_late);
		mt_extauthz_give_back(lane, s);
		mt_extauthz_drop(p);
		tear_down();
	}
}

static void test_no_answer(void)
{
	struct mt_extauthz_provider *p;
	struct mt_extauthz_slot *s;

	set_up(ECHO);
	p = provider(LONG);
	/* An empty message: no status is OK, as the library has it. */
	s = ask(question(), p);
	CU_ASSERT_EQUAL(s->verdict, MT_EXTAUTHZ_ALLOW);
	mt_extauthz_give_back(lane, s);
	raw.p = (const uint8_t *)"\x0a\x7f";
	raw.len = 2;
	s = ask(question(), p);
	CU_ASSERT_EQUAL(s->why, MT_EXTAUTHZ_bad_answer);
	mt_extauthz_give_back(lane, s);
	mt_extauthz_drop(p);
	tear_down();
}

/* Nobody listens: said at once, and why; and the questions behind it do not wait for the next attempt. */
static void test_unreachable(void)
{
	struct mt_extauthz_provider *p;
	struct mt_extauthz_slot *s;
	struct mt_callout_trouble t;

	set_up(ECHO);
	strcpy(at, "127.0.0.1:1");
	p = provider(LONG);
	CU_ASSERT(!mt_extauthz_trouble(x, 0, &t));
	for (int i = 0; i < 3; i++) {
		s = ask(question(), p);
		CU_ASSERT_EQUAL(s->why, MT_EXTAUTHZ_unreachable);
		mt_extauthz_give_back(lane, s);
	}
	CU_ASSERT_FATAL(mt_extauthz_trouble(x, 0, &t));
	CU_ASSERT_STRING_EQUAL(t.name, "asked");
	CU_ASSERT_PTR_NOT_NULL(strstr(t.why, "127.0.0.1:1"));
	CU_ASSERT(!t.fails_open && !mt_extauthz_trouble(x, 1, &t));
	mt_extauthz_drop(p);
	tear_down();
}

/* ---- bounds ----------------------------------------------------------------------------------------- */

static void test_bounds(void)
{
	static char text[MT_EXTAUTHZ_BYTES];
	struct mt_extauthz_slot *all[MT_EXTAUTHZ_SLOTS];
	struct mt_extauthz_text t;

	set_up(SILENT);
	for (uint32_t i = 0; i < MT_EXTAUTHZ_SLOTS; i++)
		CU_ASSERT_PTR_NOT_NULL_FATAL(all[i] = mt_extauthz_slot(lane));
	CU_ASSERT_PTR_NULL(mt_extauthz_slot(lane));
	CU_ASSERT(!mt_extauthz_put(all[0], &t, text, MT_EXTAUTHZ_BYTES));
	CU_ASSERT(mt_extauthz_put(all[0], &t, text, MT_EXTAUTHZ_BYTES - 1));
	CU_ASSERT(!mt_extauthz_put(all[0], &t, text, 0));
	for (uint32_t i = 0; i < MT_EXTAUTHZ_SLOTS; i++)
		mt_extauthz_give_back(lane, all[i]);
	CU_ASSERT_PTR_NOT_NULL(mt_extauthz_slot(lane));
	tear_down();
}

static const struct mt_test tests[] = {{"asked", test_asked}, {"changes", test_changes},
	{"too_many_changes", test_too_many_changes}, {"denied", test_denied},
	{"unjudged", test_unjudged}, {"no time of its own", test_own_time},
	{"no_answer", test_no_answer}, {"unreachable", test_unreachable}, {"bounds", test_bounds},
	{0}};

int main(int argc, char **argv)
{
	const struct mt_suite suites[] = {{"extauthz", tests}, {0}};

	signal(SIGPIPE, SIG_IGN);
	return mt_test_main(suites, argc, argv);
}
