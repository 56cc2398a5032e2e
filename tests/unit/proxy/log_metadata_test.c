/* SPDX-License-Identifier: Apache-2.0 */
/* Metadata in entries of the access log: what is copied, what is left out and counted, and that calls go on as without. */
#include "moved.h"
#include "scene.h"

#include <string.h>

static struct mt_key request_keys[3], reply_keys[2];
static struct mt_log_keys keys[2];

static struct mt_key key_of(const char *name)
{
	return (struct mt_key){.name = name,
		.len = (uint16_t)strlen(name),
		.id = -1,
		.icase = true,
		.hash = mt_key_hash((const uint8_t *)name, (uint32_t)strlen(name))};
}

/* A scene whose log names `method`, `x-user` and `x-none` of requests, `x-cost` and `x-none` of replies. */
static void start(void)
{
	scene_start(1);
	scene_patient();
	memset(&toy_noted, 0, sizeof(toy_noted));
	mt_proxy_set_sampling(lab.p, 0); /* exemplars read metadata, too */
	request_keys[0] = key_of("method");
	request_keys[0].id = 1; /* of Dubbo */
	request_keys[1] = key_of("x-user");
	request_keys[2] = reply_keys[1] = key_of("x-none");
	reply_keys[0] = key_of("x-cost");
	for (uint32_t i = 0; i < 2; i++)
		keys[i] = (struct mt_log_keys){.codec = i ? &toy_codec : mt_codec_find("dubbo"),
			.request = request_keys,
			.reply = reply_keys,
			.n_request = MT_ARRAY_LEN(request_keys),
			.n_reply = MT_ARRAY_LEN(reply_keys)};
	lab.snap->log_keys = keys;
	lab.snap->n_log_keys = MT_ARRAY_LEN(keys);
	lab.snap->log_reads_replies = true;
}

/* The metadata of the next entry: "REQUEST-NAME=VALUE REPLY-NAME:VALUE "; "": it has none. */
static const char *logged(void)
{
	struct mt_alog_named named[MT_ALOG_KEPT_VALUES];
	const struct mt_alog_entry *e = scene_logged();
	static char text[2048];
	const uint8_t *kept;
	uint32_t n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	kept = (const uint8_t *)e->texts +
	       mt_alog_entry_size(e->interface_len, e->method_len, e->reason_len, 0) - sizeof(*e);
	n = mt_alog_kept(kept, e->kept_len, named);
	text[0] = '\0';
	for (uint32_t i = 0; i < n; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.*s%c%.*s ",
			(int)named[i].name.len, (const char *)named[i].name.p,
			named[i].from == MT_ALOG_REQUEST ? '=' : ':', (int)named[i].value.text.len,
			(const char *)named[i].value.text.p);
	return text;
}

/* ---- Dubbo ---------------------------------------------------------------------------------- */

static uint32_t put_attachments(uint8_t *to, const char *name, const char *value)
{
	uint32_t n = 0, name_len = (uint32_t)strlen(name), len = (uint32_t)strlen(value);

	to[n++] = 'H';
	to[n++] = (uint8_t)name_len;
	memcpy(to + n, name, name_len);
	n += name_len;
	to[n++] = (uint8_t)(0x30 + (len >> 8)); /* a text of up to 1,023 bytes */
	to[n++] = (uint8_t)len;
	memcpy(to + n, value, len);
	n += len;
	to[n++] = 'Z';
	return n;
}

static void finish(uint8_t *frame, uint32_t len)
{
	frame[14] = (uint8_t)((len - 16) >> 8);
	frame[15] = (uint8_t)(len - 16);
}

static void send_call(struct fake_conn *c, const char *name, const char *value)
{
	static const char head[] = "\xda\xbb\xc2\0\0\0\0\0\0\0\0\7\0\0\0\0\5"
				   "2.0.2\3a.B\5"
				   "0.0.0\1m";
	uint8_t frame[2048];
	uint32_t len = sizeof(head);

	memcpy(frame, head, sizeof(head)); /* with no types of arguments */
	len += put_attachments(frame + len, name, value);
	finish(frame, len);
	CU_ASSERT_TRUE(lab_feed(c, frame, len));
}

static void send_reply(struct fake_conn *s, const char *name, const char *value)
{
	uint8_t frame[2048], call[2048];
	uint32_t len = 16;

	CU_ASSERT_TRUE_FATAL(lab_take(s, call, sizeof(call)) > 16);
	memcpy(frame, "\xda\xbb\x02\x14", 4);
	memcpy(frame + 4, call + 4, 8);
	frame[12] = frame[13] = 0;
	memcpy(frame + len, "\x94\1v", 3); /* a value with attachments */
	len += 3;
	len += put_attachments(frame + len, name, value);
	finish(frame, len);
	CU_ASSERT_TRUE(lab_feed(s, frame, len));
}

/* Of the request and of the reply, of which names compare without case, also if another proxy goes on with the call. */
static void test_dubbo(void)
{
	for (uint32_t moves = 0; moves < 2; moves++) {
		struct fake_conn *c, *s;
		uint8_t reply[256];

		start();
		c = lab_client(CONFIG_DUBBO);
		send_call(c, "X-User", "anna");
		s = scene_connected_server(0);
		if (moves)
			moved_to_another(NULL);
		send_reply(s, "x-Cost", "7");
		CU_ASSERT_TRUE(lab_take(c, reply, sizeof(reply)) > 16);
		CU_ASSERT_STRING_EQUAL(logged(), "method=m x-user=anna x-cost:7 ");
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_log_without_metadata), 0);
		scene_bye(c);
		scene_stop();
	}
}

/* A value that finds no room is left out and counted, and others are there. */
static void test_no_room(void)
{
	static char large[1001];
	struct fake_conn *c, *s;
	uint8_t reply[256];

	memset(large, 'u', sizeof(large) - 1);
	start();
	c = lab_client(CONFIG_DUBBO);
	send_call(c, "x-user", large);
	s = scene_connected_server(0);
	send_reply(s, "x-cost", "7");
	CU_ASSERT_TRUE(lab_take(c, reply, sizeof(reply)) > 16);
	CU_ASSERT_STRING_EQUAL(logged(), "method=m x-cost:7 ");
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_log_without_metadata), 1);
	scene_bye(c);
	scene_stop();
}

/* The note of a call may have been that of another one, whose values are not there any more. */
static void test_reuse(void)
{
	struct fake_conn *c, *s;
	uint8_t reply[256];

	start();
	c = lab_client(CONFIG_DUBBO);
	send_call(c, "x-user", "anna");
	s = scene_connected_server(0);
	send_reply(s, "x-cost", "7");
	CU_ASSERT_TRUE(lab_take(c, reply, sizeof(reply)) > 16);
	CU_ASSERT_STRING_EQUAL(logged(), "method=m x-user=anna x-cost:7 ");
	send_call(c, "x-other", "bob");
	send_reply(s, "x-other", "8");
	CU_ASSERT_TRUE(lab_take(c, reply, sizeof(reply)) > 16);
	CU_ASSERT_STRING_EQUAL(logged(), "method=m ");
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_log_without_metadata), 0);
	scene_bye(c);
	scene_stop();
}

/* ---- what is not known ---------------------------------------------------------------------- */

/* Of a request that is forwarded while it arrives, and of such a reply, only leading metadata is known. */
static void test_not_arrived(void)
{
	static uint8_t whole[200000];
	struct fake_conn *c, *s;
	struct toy q;

	start();
	c = lab_client(CONFIG_SAFE);
	toy_make(whole, 'Q', 7, "abcd", 200000);
	CU_ASSERT_TRUE(lab_feed(c, whole, 70000));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_request_early), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_log_without_metadata), 1);
	s = scene_connected_server(0);
	CU_ASSERT_TRUE(lab_feed(c, whole + 70000, sizeof(whole) - 70000));
	CU_ASSERT_EQUAL(lab_take(s, whole, sizeof(whole)), sizeof(whole));
	q = toy_parse(whole, sizeof(whole));
	toy_make(whole, 'P', q.id, "abcd", 200000);
	CU_ASSERT_TRUE(lab_feed(s, whole, 70000));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_early), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_log_without_metadata), 2);
	CU_ASSERT_TRUE(lab_feed(s, whole + 70000, sizeof(whole) - 70000));
	CU_ASSERT_EQUAL(lab_take(c, whole, sizeof(whole)), sizeof(whole));
	CU_ASSERT_STRING_EQUAL(logged(), "method=abcd ");
	CU_ASSERT_EQUAL(toy_noted.indexed, 0);
	scene_bye(c);
	scene_stop();
}

/* More metadata than Meltemi reads costs the value in the line, but not the call. */
static void test_too_large(void)
{
	struct fake_conn *c, *s;
	uint8_t call[64];

	start();
	c = lab_client(CONFIG_SAFE);
	toy_make(call, 'Q', 7, "huge", sizeof(call));
	CU_ASSERT_TRUE(lab_feed(c, call, sizeof(call)));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_log_without_metadata), 1);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
	CU_ASSERT_STRING_EQUAL(logged(), "method=huge ");
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_log_without_metadata), 1);
	scene_bye(c);
	scene_stop();
}

/* ---- what is not read ----------------------------------------------------------------------- */

/* Nothing is read of calls of another codec, of those without a note, and without names. */
static void test_not_read(void)
{
	for (uint32_t i = 0; i < 3; i++) {
		struct fake_conn *c, *s;
		uint32_t cap;

		start();
		toy_noted.has_fixed = true;
		cap = lab.p->log.notes.cap;
		if (i == 0)
			keys[1].codec = &toy_serial_codec;
		else if (i == 1)
			lab.p->log.notes.cap = 0;
		else
			keys[1].n_request = keys[1].n_reply = 0;
		c = lab_client(CONFIG_SAFE);
		scene_send_request(c, 'Q', 7, 64);
		s = scene_connected_server(0);
		scene_answer(s, scene_next_sent(s).id, 9, 40);
		CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
		CU_ASSERT_STRING_EQUAL(logged(), "");
		CU_ASSERT_EQUAL(toy_noted.indexed, 0);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_log_without_metadata), 0);
		lab.p->log.notes.cap = cap;
		scene_bye(c);
		scene_stop();
	}
	memset(&toy_noted, 0, sizeof(toy_noted));
}

/* The steps of an index for the log are charged to the connection, once for the request and once for the reply. */
static void test_once(void)
{
	struct fake_conn *c, *s;

	start();
	toy_noted.has_fixed = true;
	request_keys[1] = key_of("fixed");
	reply_keys[0] = key_of("FIXED");
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 7, 64);
	CU_ASSERT_EQUAL(toy_noted.indexed, 1);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
	CU_ASSERT_EQUAL(toy_noted.indexed, 2);
	CU_ASSERT_EQUAL(lab.p->view.meta.took, 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(logged(), "fixed=fixed "));
	memset(&toy_noted, 0, sizeof(toy_noted));
	scene_bye(c);
	scene_stop();
}

/* A client that drains calls by an earlier version of its codec file. */
static void test_version(void)
{
	struct mt_codec earlier = toy_codec, in_force = toy_codec;
	struct fake_conn *c, *s;

	earlier.content = 1;
	in_force.content = 2;
	start();
	config_speak(lab.snap, 0, &earlier, 0);
	keys[1].codec = &in_force;
	toy_noted.has_fixed = true;
	request_keys[1] = reply_keys[0] = key_of("fixed");
	c = lab_client(CONFIG_SAFE);
	scene_send_request(c, 'Q', 7, 64);
	s = scene_connected_server(0);
	scene_answer(s, scene_next_sent(s).id, 9, 40);
	CU_ASSERT_EQUAL(scene_next_sent(c).first, 9);
	CU_ASSERT_STRING_EQUAL(logged(), "method=call fixed=fixed fixed:fixed ");
	memset(&toy_noted, 0, sizeof(toy_noted));
	scene_bye(c);
	scene_stop();
}

const struct mt_test log_metadata_tests[] = {{"attachments in the log", test_dubbo},
	{"values without room", test_no_room}, {"notes that are used again", test_reuse},
	{"metadata that has not arrived", test_not_arrived}, {"too many metadata", test_too_large},
	{"metadata that is not read", test_not_read}, {"metadata that is read once", test_once},
	{"metadata of an earlier version", test_version}, {0}};
