/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy with the real Dubbo codec: what servers and clients of different versions can read. */
#include "scene.h"

#include "mt_proxy_priv.h"

#include <string.h>

#define HEADER	 16
#define REQUEST	 0xc2
#define REPLY	 0x02
#define OK	 20
#define VALUE	 0x91 /* first byte of a reply's body: a value; + 3: and attachments */
#define BODY_MAX 400

struct frame {
	uint8_t flags, status;
	uint64_t id;
	uint32_t len; /* of the body */
	uint8_t body[BODY_MAX];
};

static void put_be(uint8_t *p, uint64_t v, uint32_t n)
{
	while (n-- > 0) {
		p[n] = (uint8_t)v;
		v >>= 8;
	}
}

static uint64_t get_be(const uint8_t *p, uint32_t n)
{
	uint64_t v = 0;

	for (uint32_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

static void send_frame(struct fake_conn *c, const struct frame *f)
{
	uint8_t b[HEADER + BODY_MAX] = {0xda, 0xbb, f->flags, f->status};

	put_be(b + 4, f->id, 8);
	put_be(b + 12, f->len, 4);
	memcpy(b + HEADER, f->body, f->len);
	lab_feed(c, b, HEADER + f->len);
}

/* The next frame that was sent to c; false: there is none. */
static bool next_frame(struct fake_conn *c, struct frame *f)
{
	uint8_t h[HEADER];

	*f = (struct frame){0};
	if (!c || c->sent.len < HEADER)
		return false;
	mt_chain_read(&c->sent, 0, h, HEADER);
	f->flags = h[2];
	f->status = h[3];
	f->id = get_be(h + 4, 8);
	f->len = (uint32_t)get_be(h + 12, 4);
	CU_ASSERT_FATAL(f->len <= BODY_MAX && c->sent.len >= HEADER + f->len);
	lab_take(c, h, HEADER);
	lab_take(c, f->body, f->len);
	return true;
}

static void put_str(struct frame *f, const char *text)
{
	uint32_t n = (uint32_t)strlen(text);

	f->body[f->len++] = (uint8_t)n;
	memcpy(f->body + f->len, text, n);
	f->len += n;
}

/* A call of a.B/m without arguments and attachments, by a client that names this version of the protocol; NULL: none. */
static struct frame call_of(uint64_t id, const char *version)
{
	struct frame f = {.flags = REQUEST, .id = id};

	if (version)
		put_str(&f, version);
	else
		f.body[f.len++] = 'N';
	put_str(&f, "a.B");
	put_str(&f, "0.0.0");
	put_str(&f, "m");
	put_str(&f, "");
	f.body[f.len++] = 'H';
	f.body[f.len++] = 'Z';
	return f;
}

static struct fake_conn *dubbo_client(struct mt_mutation *change)
{
	struct mt_service *svc;

	scene_start(1);
	scene_patient();
	svc = lab.snap->listeners[4].protos->services[0];
	if (change) {
		struct mt_route_action *a = (struct mt_route_action *)mt_route_at(svc->routes, 0);

		a->rsp_mut = change;
		a->n_rsp_mut = 1;
	}
	return lab_client(CONFIG_DUBBO);
}

/* The connection that all calls share. */
static struct fake_conn *server(void)
{
	struct fake_conn *s = lab_server(0);

	return s && s->connected ? s : scene_connected_server(0);
}

static void stop(struct fake_conn *c)
{
	struct mt_service *svc = lab.snap->listeners[4].protos->services[0];

	((struct mt_route_action *)mt_route_at(svc->routes, 0))->n_rsp_mut = 0;
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* ---- changes of replies -------------------------------------------------------------------- */

/*
 * Sends a server's reply of this type with a string, and reads what a client of this version gets.
 */
static struct frame changed_for(
	struct fake_conn *c, const char *version, uint8_t type, const char *attachments)
{
	static uint64_t id = 1;
	struct frame f = call_of(++id, version), got;
	struct fake_conn *s;

	send_frame(c, &f);
	s = server();
	CU_ASSERT_TRUE_FATAL(next_frame(s, &got));
	f = (struct frame){.flags = REPLY, .status = OK, .id = got.id};
	f.body[f.len++] = type;
	put_str(&f, "hi");
	memcpy(f.body + f.len, attachments, strlen(attachments));
	f.len += (uint32_t)strlen(attachments);
	send_frame(s, &f);
	CU_ASSERT_TRUE_FATAL(next_frame(c, &got));
	CU_ASSERT_EQUAL(got.id, id);
	CU_ASSERT_EQUAL(got.status, OK);
	return got;
}

static struct mt_mutation added = {.key = "a", .key_len = 1, .value = "b", .value_len = 1};

/*
 * The first string of a request, and whether Apache's providers, of 2.6.3 and of today, would send attachments in the
 * reply to it: org.apache.dubbo.common.Version.isSupportResponseAttachment.
 */
static const struct {
	const char *version;
	bool reads;
} versions[] = {
	{"2.0.2", true},
	{"2.0.9", true},
	{"2.0.2-SNAPSHOT", true},
	{"2.0.2.1", true},
	{"2.0.1", false},
	{"2.0.0", false},
	{"1.0.0", false},
	/* These are the versions of jars that knew no attachments in replies. */
	{"2.0.10", false},
	{"2.0.14", false},
	{"2.5.3", false},
	{"2.6.2", false},
	/* dubbox */
	{"2.8.4", false},
	/* Those that know them send 2.0.2. */
	{"2.6.3", false},
	{"2.7.23", false},
	{"3.2.16", false},
	{"2.0", false},
	{"2.0.", false},
	{"2.0.x", false},
	{"", false},
	{NULL, false},
	{"12.0.2", false},
	{"2.0.2222222222222222222", false},
};

static void test_reply_for_old_clients(void)
{
	static const uint8_t as_it_was[] = {VALUE, 2, 'h', 'i'};
	static const uint8_t with_map[] = {VALUE + 3, 2, 'h', 'i', 'H', 1, 'a', 1, 'b', 'Z'};
	struct fake_conn *c = dubbo_client(&added);
	uint32_t old = 0;

	for (uint32_t i = 0; i < MT_ARRAY_LEN(versions); i++) {
		struct frame f = changed_for(c, versions[i].version, VALUE, "");
		const uint8_t *want = versions[i].reads ? with_map : as_it_was;
		uint32_t n = versions[i].reads ? sizeof(with_map) : sizeof(as_it_was);

		if (f.len != n || memcmp(f.body, want, n) != 0)
			fprintf(stderr, "version %s\n",
				versions[i].version ? versions[i].version : "null");
		CU_ASSERT_EQUAL(f.len, n);
		CU_ASSERT_EQUAL(memcmp(f.body, want, n), 0);
		old += !versions[i].reads;
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mutation_old_client), old);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mutation_failed), 0);
	stop(c);
}

/* Removing what is not there changes nothing, whatever the client reads. */
static void test_reply_without_what_goes(void)
{
	static struct mt_mutation removed = {.key = "a", .key_len = 1};
	struct fake_conn *c = dubbo_client(&removed);

	for (uint32_t i = 0; i < MT_ARRAY_LEN(versions); i++) {
		struct frame f = changed_for(c, versions[i].version, VALUE, "");

		CU_ASSERT_EQUAL(f.len, 4);
		CU_ASSERT_EQUAL(f.body[0], VALUE);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mutation_old_client), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mutation_failed), 0);
	stop(c);
}

/* A server that sends attachments knows that its client reads them, so more can be added. */
static void test_reply_with_attachments(void)
{
	static const uint8_t want[] = {
		VALUE + 3, 2, 'h', 'i', 'H', 1, 'x', 1, 'y', 1, 'a', 1, 'b', 'Z'};
	struct fake_conn *c = dubbo_client(&added);
	struct frame f = changed_for(c, "2.6.2", VALUE + 3, "H\1x\1yZ");

	CU_ASSERT_EQUAL(f.len, sizeof(want));
	CU_ASSERT_EQUAL(memcmp(f.body, want, sizeof(want)), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mutation_old_client), 0);
	stop(c);
}

/* ---- what servers send on their own -------------------------------------------------------- */

/* A callback: without an answer the server's thread would wait for its time-out. */
static void test_provider_calls_back(void)
{
	static const char text[] = "meltemi: requests to clients are not forwarded";
	struct fake_conn *c = dubbo_client(NULL), *s;
	struct frame f = call_of(7, "2.0.2"), got;

	send_frame(c, &f);
	s = server();
	CU_ASSERT_TRUE_FATAL(next_frame(s, &got));
	f = call_of(0x1122334455667788, "2.0.2");
	send_frame(s, &f);
	CU_ASSERT_TRUE_FATAL(next_frame(s, &f));
	CU_ASSERT(f.flags == REPLY && f.status == 70);
	CU_ASSERT_EQUAL(f.id, 0x1122334455667788);
	/* One string: a length of two bytes, and the text. */
	CU_ASSERT_EQUAL(f.len, 2 + sizeof(text) - 1);
	CU_ASSERT_EQUAL(memcmp(f.body + 2, text, sizeof(text) - 1), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_request), 1);
	/* A one-way callback gets no answer, and the call is answered nevertheless. */
	f = call_of(8, "2.0.2");
	f.flags = 0x82;
	send_frame(s, &f);
	CU_ASSERT_FALSE(next_frame(s, &f));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_request_dropped), 1);
	f = (struct frame){
		.flags = REPLY, .status = OK, .id = got.id, .len = 1, .body = {VALUE + 1}};
	send_frame(s, &f);
	CU_ASSERT_TRUE(next_frame(c, &f) && f.id == 7 && f.status == OK);
	stop(c);
}

/* ---- steps ----------------------------------------------------------------------------------- */

#define COSTLY 300 /* elements of an attachment: a step each, at least */

/* A call with an attachment that is a list. */
static struct frame costly_call(uint64_t id)
{
	struct frame f = call_of(id, "2.0.2");

	f.len--; /* the end of the map */
	put_str(&f, "list");
	f.body[f.len++] = 'W';
	memset(f.body + f.len, 0x90, COSTLY); /* the number 0 */
	f.len += COSTLY;
	f.body[f.len++] = 'Z';
	f.body[f.len++] = 'Z';
	return f;
}

/*
 * Calls that have waited for their cluster are changed by their route: a few costly ones in an
 * iteration, the others in the next ones.
 */
static void test_steps_of_changed_calls(void)
{
	const uint32_t calls = 200, most = 3 * (MT_RESUME_STEPS / COSTLY + 1);
	struct mt_demand demand = {0};
	struct mt_route_action *a;
	struct fake_conn *c, *up;
	struct mt_snapshot *s;
	uint64_t serial = 0;
	struct frame f;

	demand.serial = &serial;
	scene_start(0);
	config_only_named(lab.snap, &demand, 200);
	c = lab_client(CONFIG_DUBBO);
	for (uint64_t i = 1; i <= calls; i++) {
		f = costly_call(i);
		send_frame(c, &f);
		lab_advance(1);
	}
	CU_ASSERT_EQUAL(lab.p->on_demand.calls.n, calls);
	s = config_make(1, 2, 1, true);
	a = (struct mt_route_action *)mt_route_at(s->listeners[4].protos->services[0]->routes, 0);
	a->req_mut = &added;
	a->n_req_mut = 1;
	lab.snap = s;
	mt_proxy_adopt(lab.p, s);
	lab_advance(1);
	CU_ASSERT_EQUAL(lab.p->on_demand.calls.n, 0);
	CU_ASSERT(scene_put_off() >= calls - most);
	while (scene_put_off()) {
		uint32_t before = scene_put_off();

		lab_advance(1);
		CU_ASSERT_FATAL(scene_put_off() < before);
		CU_ASSERT(scene_put_off() + most >= before);
	}
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_mutation_failed), 0);
	up = scene_connected_server(0);
	CU_ASSERT_TRUE_FATAL(next_frame(up, &f));
	CU_ASSERT_EQUAL(memcmp(f.body + f.len - 5, "\1a\1bZ", 5), 0);
	a->n_req_mut = 0;
	lab_close(c, MT_CLOSE_RESET);
	lab_advance(20 * MT_SEC);
	scene_stop();
	config_free(1);
}

const struct mt_test dubbo_tests[] = {{"provider calls back", test_provider_calls_back},
	{"reply for old clients", test_reply_for_old_clients},
	{"reply without what goes", test_reply_without_what_goes},
	{"reply with attachments", test_reply_with_attachments},
	{"steps of changed calls", test_steps_of_changed_calls}, {0}};
