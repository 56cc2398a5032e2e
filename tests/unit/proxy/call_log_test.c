/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entries of the access log. That each call leaves one, and frees its note, is checked by
 * scene_stop() for every scene of this program.
 */
#include "scene.h"

#include <string.h>

/* The only entry there is. */
static const struct mt_alog_entry *only(void)
{
	const struct mt_alog_entry *e = scene_logged();

	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	return e;
}

static void is_client(const struct mt_alog_entry *e, const struct mt_tuple *t)
{
	CU_ASSERT_TRUE(mt_addr_eq(&e->client, &t->remote));
	CU_ASSERT_EQUAL(e->client_port, t->rport);
	CU_ASSERT_TRUE(mt_addr_eq(&e->local, &t->local));
	CU_ASSERT_EQUAL(e->local_port, t->lport);
}

static void test_answered(void)
{
	const struct mt_alog_entry *e;
	struct mt_tuple down, up;
	struct fake_conn *c, *s;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_NAMED);
	down = c->t;
	scene_send_request(c, 'Q', 7, 64);
	lab_advance(30 * MT_MSEC);
	s = lab_server(0);
	up = s->t;
	lab_connect(s);
	lab_advance(50 * MT_MSEC);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	(void)scene_next_sent(c);
	e = only();
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_ok);
	CU_ASSERT_STRING_EQUAL(e->protocol, "toynamed");
	CU_ASSERT_STRING_EQUAL(e->host, lab.snap->listeners[3].protos->services[0]->name);
	CU_ASSERT_PTR_EQUAL(e->cluster, lab.snap->clusters[0].name);
	CU_ASSERT_STRING_EQUAL(scene_logged_interface(e), "-");
	CU_ASSERT_EQUAL(e->method_len, 4);
	is_client(e, &down);
	CU_ASSERT_TRUE(mt_addr_eq(&e->up_local, &up.local));
	CU_ASSERT_EQUAL(e->up_local_port, up.lport);
	CU_ASSERT_TRUE(mt_addr_eq(&e->endpoint, &up.remote));
	CU_ASSERT_EQUAL(e->endpoint_port, up.rport);
	CU_ASSERT_EQUAL(e->bytes_in, 64);
	CU_ASSERT_EQUAL(e->bytes_out, 40);
	CU_ASSERT_EQUAL(e->attempts, 1);
	CU_ASSERT_EQUAL(e->sent - e->started, 30 * MT_MSEC);
	CU_ASSERT_EQUAL(e->replied - e->sent, 50 * MT_MSEC);
	CU_ASSERT_EQUAL(e->ended, e->replied);
	CU_ASSERT_PTR_NULL(scene_logged());
	scene_bye(c);
	scene_stop();
}

#define DUBBO_CALL                                                                                 \
	"\xda\xbb\xc2\0\x11\x22\x33\x44\x55\x66\x77\x88\0\0\0\x15\5"                               \
	"2.0.2\3a.B\5"                                                                             \
	"0.0.0\1m\0HZ"

/* Names as the client sent them, also at a port of one service, where nothing else reads them. */
static void test_names(void)
{
	const struct mt_alog_entry *e;
	struct fake_conn *c;

	scene_start(1);
	c = lab_client(CONFIG_DUBBO);
	CU_ASSERT_TRUE(lab_feed(c, DUBBO_CALL, sizeof(DUBBO_CALL) - 1));
	lab_close(lab_server(0), MT_CLOSE_REFUSED);
	e = only();
	CU_ASSERT_STRING_EQUAL(scene_logged_interface(e), "a.B");
	CU_ASSERT_STRING_EQUAL(scene_logged_method(e), "m");
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_connect_failed);
	CU_ASSERT_EQUAL(e->attempts, 0);
	CU_ASSERT_EQUAL(e->replied, 0);
	scene_bye(c);
	scene_stop();
}

/* Names in several buffers, longer than an entry has room for. */
static void test_long_names(void)
{
	static const uint8_t head[] = "\xda\xbb\xc2\0\0\0\0\0\0\0\0\7\0\0\2\x43\5"
				      "2.0.2";
	const struct mt_alog_entry *e;
	struct fake_conn *c;
	uint8_t call[1024], *at = call;

	memcpy(at, head, sizeof(head) - 1);
	at += sizeof(head) - 1;
	*at++ = 0x31; /* 300 bytes */
	*at++ = 0x2c;
	memset(at, 'i', 300);
	at += 300;
	memcpy(at,
		"\5"
		"0.0.0\x31\4",
		8); /* 260 bytes */
	at += 8;
	memset(at, 'm', 260);
	at += 260;
	memcpy(at, "\0HZ", 3);
	at += 3;
	CU_ASSERT_EQUAL_FATAL(at - call, 16 + 0x243);
	scene_start(1);
	c = lab_client(CONFIG_DUBBO);
	CU_ASSERT_TRUE(lab_feed_pieces(c, call, (uint32_t)(at - call), 50));
	lab_close(lab_server(0), MT_CLOSE_REFUSED);
	e = only();
	CU_ASSERT_EQUAL(e->interface_len, MT_ALOG_ENTRY_TEXT);
	CU_ASSERT_EQUAL(e->method_len, MT_ALOG_ENTRY_TEXT);
	CU_ASSERT_EQUAL(strspn(scene_logged_interface(e), "i"), MT_ALOG_ENTRY_TEXT);
	CU_ASSERT_EQUAL(strspn(scene_logged_method(e), "m"), MT_ALOG_ENTRY_TEXT);
	scene_bye(c);
	scene_stop();
}

/* The client has gone, and its address is still known. */
static void test_client_left(void)
{
	const struct mt_alog_entry *e;
	struct mt_tuple down;
	struct fake_conn *c;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_NAMED);
	down = c->t;
	scene_send_request(c, 'Q', 7, 64);
	(void)scene_connected_server(0);
	lab_close(c, MT_CLOSE_RESET);
	e = only();
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_client_closed);
	is_client(e, &down);
	scene_stop();
}

/* A long reply that is cut off is no success. */
static void test_cut_in_reply(void)
{
	static uint8_t whole[200000];
	const struct mt_alog_entry *e;
	struct fake_conn *c, *s;
	struct toy q;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 7, 64);
	s = scene_connected_server(0);
	q = scene_next_sent(s);
	toy_make(whole, 'P', q.id, "abcd", 200000);
	CU_ASSERT_TRUE(lab_feed(s, whole, 70000));
	CU_ASSERT_PTR_NULL(scene_logged());
	lab_close(s, MT_CLOSE_RESET);
	e = only();
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_lost_in_reply);
	CU_ASSERT_EQUAL(e->bytes_out, 70000);
	lab_flush_detached();
	scene_stop();
}

/* `notes`: places for notes of calls. */
static void leave_in_reply(uint32_t notes)
{
	static uint8_t whole[200000];
	const struct mt_alog_entry *e;
	struct fake_conn *c, *s;
	uint32_t cap;
	struct toy q;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	cap = lab.p->log.notes.cap;
	lab.p->log.notes.cap = MT_MIN(cap, notes);
	scene_send_request(c, 'Q', 7, 64);
	s = scene_connected_server(0);
	q = scene_next_sent(s);
	toy_make(whole, 'P', q.id, "abcd", 200000);
	CU_ASSERT_TRUE(lab_feed(s, whole, 70000));
	lab_close(c, MT_CLOSE_RESET);
	e = only();
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_client_closed);
	CU_ASSERT_EQUAL(e->bytes_out, 70000);
	lab.p->log.notes.cap = cap;
	scene_stop();
}

/* The end of a call is known without a note, too. */
static void test_client_left_in_reply(void)
{
	leave_in_reply(UINT32_MAX);
	leave_in_reply(0);
}

static void test_one_way(void)
{
	const struct mt_alog_entry *e;
	struct fake_conn *c, *s;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'O', 7, 64);
	lab_advance(30 * MT_MSEC);
	s = scene_connected_server(0);
	lab_advance(50 * MT_MSEC);
	CU_ASSERT_PTR_NULL(scene_logged());
	lab_take(s, scene_buf, 64);
	e = only();
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_oneway);
	CU_ASSERT_EQUAL(e->ended - e->started, 30 * MT_MSEC);
	CU_ASSERT_EQUAL(e->attempts, 1);
	scene_bye(c);
	scene_stop();
}

/* Messages that never become calls. */
static void test_malformed(void)
{
	const struct mt_alog_entry *e;
	struct mt_tuple down;
	struct fake_conn *c;

	scene_start(1);
	c = lab_client(CONFIG_SAFE);
	down = c->t;
	CU_ASSERT_TRUE(lab_feed(c, "this is no message of the toy codec", 32));
	e = only();
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_bad_request);
	CU_ASSERT_EQUAL(e->bytes_in, 32);
	CU_ASSERT_EQUAL(e->exchange.gen, 0);
	CU_ASSERT_STRING_EQUAL(scene_logged_method(e), "-");
	is_client(e, &down);
	lab_advance(MT_SEC);
	scene_bye(c);
	scene_stop();
}

static void test_no_exchange(void)
{
	static const struct mt_proxy_conf conf = {
		.max_down = 64, .max_up = 64, .max_exchanges = 2, .mirror_max = 1};
	const struct mt_alog_entry *e;
	struct fake_conn *c;

	scene_start_with(1, &conf);
	scene_patient();
	c = lab_client(CONFIG_SAFE);
	for (uint64_t id = 1; id <= lab.p->exchanges.cap; id++)
		scene_send_request(c, 'Q', id, 64);
	CU_ASSERT_PTR_NULL(scene_logged());
	scene_send_request(c, 'Q', 99, 64);
	e = only();
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_overload);
	CU_ASSERT_EQUAL(e->bytes_in, 64);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* Without a note the entry has no client and no method, and all else. */
static void test_no_note(void)
{
	const struct mt_alog_entry *e;
	struct fake_conn *c, *s;
	uint32_t cap;

	scene_start(1);
	scene_patient();
	c = lab_client(CONFIG_NAMED);
	cap = lab.p->log.notes.cap;
	lab.p->log.notes.cap = 0;
	scene_send_request(c, 'Q', 7, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	(void)scene_next_sent(c);
	e = only();
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_ok);
	CU_ASSERT_TRUE(mt_addr_is_zero(&e->client));
	CU_ASSERT_STRING_EQUAL(scene_logged_method(e), "-");
	CU_ASSERT_EQUAL(e->endpoint_port, s->t.rport);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_log_without_note), 1);
	lab.p->log.notes.cap = cap;
	scene_bye(c);
	scene_stop();
}

/* A call that began without a log leaves no entry, also if there is one at its end. */
static void test_off(void)
{
	struct fake_conn *c, *s;

	scene_start(1);
	scene_patient();
	lab.snap->logged = false;
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 7, 64);
	s = scene_connected_server(0);
	lab.snap->logged = true;
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	(void)scene_next_sent(c);
	CU_ASSERT_PTR_NULL(scene_logged());
	lab.snap->logged = false;
	CU_ASSERT_TRUE(lab_feed(c, "this is no message of the toy codec", 32));
	CU_ASSERT_PTR_NULL(scene_logged());
	lab_advance(MT_SEC);
	scene_bye(c);
	scene_unlogged(2);
	scene_stop();
}

static void set_scopes(const struct mt_alog_scope *scope)
{
	for (uint32_t i = 0; i < lab.snap->n_listeners; i++)
		lab.snap->listeners[i].protos->services[0]->log_scope = scope;
}

/* A call of a service without outputs leaves no entry, and frees its note. */
static void test_silent(void)
{
	static const struct mt_alog_scope none;
	struct fake_conn *c, *s;
	uint32_t notes;

	scene_start(1);
	notes = lab.p->log.notes.in_use;
	set_scopes(&none);
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 7, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	(void)scene_next_sent(c);
	CU_ASSERT_PTR_NULL(scene_logged());
	CU_ASSERT_EQUAL(lab.p->log.notes.in_use, notes);
	set_scopes(NULL);
	scene_bye(c);
	scene_unlogged(1);
	scene_stop();
}

/* Calls that are not drawn leave no entry, and take no note. Messages that are refused leave theirs. */
static void test_sampled(void)
{
	static const struct {
		uint64_t skips;
		uint32_t least, most;
	} rows[] = {{0, 200, 200}, {1ull << 31, 60, 140}, {1ull << 32, 0, 0}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct fake_conn *c, *s;
		uint32_t n = 0;

		scene_start(1);
		scene_patient();
		lab.snap->log_skips = rows[i].skips;
		c = lab_client(CONFIG_SAFE);
		for (uint64_t id = 1; id <= 200; id++) {
			scene_send_request(c, 'Q', id, 64);
			s = scene_connected_server(0);
			scene_answer(s, scene_next_sent(s).id, 9, 40);
			(void)scene_next_sent(c);
			n += scene_logged() != NULL;
			CU_ASSERT_EQUAL(lab.p->log.notes.in_use, 0);
		}
		CU_ASSERT_TRUE(n >= rows[i].least && n <= rows[i].most);
		CU_ASSERT_TRUE(lab_feed(c, "this is no message of the toy codec", 32));
		CU_ASSERT_EQUAL(only()->ending, MT_ENDING_bad_request);
		lab_advance(MT_SEC);
		scene_bye(c);
		scene_unlogged(200 - n);
		scene_stop();
	}
}

/* The same of a service without a scope if no output is general, and of a call without a service. */
static void test_not_general(void)
{
	struct fake_conn *c, *s;
	uint32_t notes;

	scene_start(1);
	notes = lab.p->log.notes.in_use;
	lab.snap->log_general = lab.snap->log_unserved = false;
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 7, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	(void)scene_next_sent(c);
	CU_ASSERT_PTR_NULL(scene_logged());
	CU_ASSERT_TRUE(lab_feed(c, "this is no message of the toy codec", 32));
	CU_ASSERT_PTR_NULL(scene_logged());
	CU_ASSERT_EQUAL(lab.p->log.notes.in_use, notes);
	lab_advance(MT_SEC);
	scene_bye(c);
	scene_unlogged(2);
	scene_stop();
}

/* ---- filters -------------------------------------------------------------------------------- */

/* The scene's only output has this filter. */
static void use_filter(const char *text)
{
	const struct mt_alog_sift o = {
		.general = true, .unserved = true, .calls = true, .streams = true, .filter = text};

	CU_ASSERT_TRUE_FATAL(mt_alog_sieve_new(&o, 1, &lab.snap->log_sieve));
	CU_ASSERT_PTR_NOT_NULL_FATAL(lab.snap->log_sieve);
}

static void drop_filter(void)
{
	mt_alog_sieve_free(lab.snap->log_sieve);
	lab.snap->log_sieve = NULL;
}

/* A call whose server answers with 40 bytes. */
static void answered_call(struct fake_conn *c, uint64_t id)
{
	struct fake_conn *s;

	scene_send_request(c, 'Q', id, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	(void)scene_next_sent(c);
}

/* What a filter refuses leaves no byte in the ring, and takes no room in a full one. */
static void test_refused_by_filter(void)
{
	const struct mt_byte_ring *r;
	struct fake_conn *c;
	uint64_t head;

	scene_start(1);
	scene_patient();
	r = lab.p->log.ring;
	use_filter("response.code >= 400");
	c = lab_client(CONFIG_SAFE);
	head = mt_byte_ring_head(r);
	for (uint64_t id = 1; id <= 20; id++)
		answered_call(c, id);
	CU_ASSERT_EQUAL(mt_byte_ring_head(r), head);
	CU_ASSERT_EQUAL(lab.p->log.notes.in_use, 0);
	CU_ASSERT_PTR_NULL(scene_logged());
	/* Nothing more fits into the ring. */
	while (mt_byte_ring_reserve(lab.p->log.ring, 4096))
		continue;
	while (mt_byte_ring_reserve(lab.p->log.ring, 8))
		continue;
	CU_ASSERT_EQUAL(mt_count_read(&r->lost), 2);
	answered_call(c, 21);
	CU_ASSERT_EQUAL(mt_count_read(&r->lost), 2);
	drop_filter();
	answered_call(c, 22);
	CU_ASSERT_EQUAL(mt_count_read(&r->lost), 3);
	scene_bye(c);
	scene_unlogged(21 - 2);
	scene_stop();
}

/* What it admits has its word for mt-log, and is the entry that it would be without a filter. */
static void test_admitted_by_filter(void)
{
	const char *text = "request.size == 64 && response.size == 40 && response.code == 200 && "
			   "size(request.method) == 4 && upstream.request_attempt_count == 1u && "
			   "has(request.host) && has(upstream.address)";
	const struct mt_alog_entry *e;
	struct mt_tuple down;
	struct fake_conn *c;

	scene_start(1);
	scene_patient();
	use_filter(text);
	c = lab_client(CONFIG_NAMED);
	down = c->t;
	answered_call(c, 7);
	e = only();
	CU_ASSERT_PTR_EQUAL(e->verdict.by, lab.snap->log_sieve);
	CU_ASSERT_EQUAL(mt_alog_verdict_of(&e->verdict, mt_alog_filter_id(text)), 1);
	CU_ASSERT_EQUAL(e->ending, MT_ENDING_ok);
	CU_ASSERT_EQUAL(e->bytes_in, 64);
	CU_ASSERT_EQUAL(e->bytes_out, 40);
	CU_ASSERT_EQUAL(e->attempts, 1);
	is_client(e, &down);
	drop_filter();
	answered_call(c, 8);
	CU_ASSERT_PTR_NULL(only()->verdict.by);
	scene_bye(c);
	scene_stop();
}

/* The same of messages that never become calls, and of calls without a note. */
static void test_filtered_messages(void)
{
	static const char *const texts[] = {"response.code == 400", "response.code != 400"};

	for (uint32_t i = 0; i < 2; i++) {
		const struct mt_alog_entry *e;
		struct mt_tuple down;
		struct fake_conn *c;
		uint32_t cap;

		scene_start(1);
		scene_patient();
		use_filter(texts[i]);
		c = lab_client(CONFIG_SAFE);
		down = c->t;
		cap = lab.p->log.notes.cap;
		lab.p->log.notes.cap = 0;
		answered_call(c, 7);
		lab.p->log.notes.cap = cap;
		e = scene_logged();
		CU_ASSERT_EQUAL(e != NULL, i == 1);
		CU_ASSERT_TRUE(lab_feed(c, "this is no message of the toy codec", 32));
		e = scene_logged();
		CU_ASSERT_EQUAL(e != NULL, i == 0);
		if (e) {
			CU_ASSERT_EQUAL(e->ending, MT_ENDING_bad_request);
			CU_ASSERT_EQUAL(e->bytes_in, 32);
			is_client(e, &down);
			CU_ASSERT_EQUAL(e->verdict.passed, 1);
		}
		lab_advance(MT_SEC);
		scene_bye(c);
		drop_filter();
		scene_unlogged(1);
		scene_stop();
	}
}

/* The same of opaque streams and refused connections. */
static void test_filtered_streams(void)
{
	static const char *const texts[] = {
		"request.protocol == 'tcp' && request.size == 5 && upstream.port > 0",
		"request.size == 6 || response.flags == 4"};

	for (uint32_t i = 0; i < 2; i++) {
		struct fake_conn *c, *s;

		scene_start(1);
		use_filter(texts[i]);
		c = lab_client(CONFIG_OPAQUE);
		lab_feed(c, "early", 5);
		s = scene_connected_server(0);
		lab_take(s, scene_buf, 5);
		lab_fin(c);
		lab_fin(s);
		lab_close(s, MT_CLOSE_OK);
		CU_ASSERT_EQUAL(scene_logged() != NULL, i == 0);
		drop_filter();
		scene_stop();
	}
}

const struct mt_test call_log_tests[] = {{"an answered call", test_answered},
	{"names as they were sent", test_names}, {"long names", test_long_names},
	{"the client leaves", test_client_left}, {"a reply is cut off", test_cut_in_reply},
	{"the client leaves in a reply", test_client_left_in_reply},
	{"a one-way call", test_one_way}, {"a malformed message", test_malformed},
	{"no exchange is left", test_no_exchange}, {"no note is left", test_no_note},
	{"a snapshot without a log", test_off}, {"a service without outputs", test_silent},
	{"sampled calls", test_sampled}, {"no general output", test_not_general},
	{"calls that a filter refuses", test_refused_by_filter},
	{"calls that a filter admits", test_admitted_by_filter},
	{"filtered messages", test_filtered_messages}, {"filtered streams", test_filtered_streams},
	{0}};
