/* SPDX-License-Identifier: Apache-2.0 */
/* A codec file through the proxy, beside the native codec of the same protocol: awesomeRPC. */
#include "scene.h"

#include "mt_authz.h"
#include "mt_codec_priv.h"
#include "mt_codecfile.h"
#include "mt_proxy_priv.h"
#include "mt_token.h"

#include <string.h>

#define HEADER 13
#define BODY   4
#define WHOLE  (HEADER + BODY)

static struct mt_region region;

static const struct mt_codec *compile(const char *name, const char *text, size_t n)
{
	const struct mt_codec_table *t;
	struct mt_diags diags;

	mt_diags_init(&diags);
	mt_region_init(&region, 0);
	t = mt_codecfile_text(&region, &diags, name, text, n);
	mt_diags_print(&diags, stderr);
	mt_diags_fini(&diags);
	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	return &t->codec;
}

/* The codec of tests/codecfiles/files/awesome.yaml. */
static const struct mt_codec *of_file(void)
{
	static char text[8192];
	FILE *f = fopen(MT_CODECFILES "/files/awesome.yaml", "r");
	size_t n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	n = fread(text, 1, sizeof(text), f);
	fclose(f);
	return compile("awesome.yaml", text, n);
}

static void put(uint8_t *m, uint32_t id, uint16_t cmd, uint16_t result, uint32_t len)
{
	memset(m, (int)cmd, len);
	m[0] = 1;
	mt_put_be32(m + 1, id);
	mt_put_be32(m + 5, len);
	m[9] = (uint8_t)(cmd >> 8);
	m[10] = (uint8_t)cmd;
	m[11] = (uint8_t)(result >> 8);
	m[12] = (uint8_t)result;
}

static void feed(struct fake_conn *c, uint32_t id, uint16_t cmd, uint16_t result)
{
	uint8_t m[WHOLE];

	put(m, id, cmd, result, WHOLE);
	CU_ASSERT_TRUE_FATAL(lab_feed(c, m, WHOLE));
}

/* The next message that was sent has this command and result. Returns its id. */
static uint32_t took(struct fake_conn *c, uint16_t cmd, uint16_t result, uint32_t len)
{
	uint8_t want[WHOLE], m[WHOLE] = {0};
	uint32_t id;

	CU_ASSERT_EQUAL(lab_take(c, m, len), len);
	id = mt_get_be32(m + 1);
	put(want, id, cmd, result, len);
	CU_ASSERT_EQUAL(memcmp(m, want, len), 0);
	return id;
}

/* Calls of two clients with one id, an error of the server, one of Meltemi, and a message in pieces. */
static void calls(const struct mt_codec *codec)
{
	struct fake_conn *a, *b, *s;
	uint8_t m[WHOLE];
	uint32_t id[2];

	scene_start(1);
	config_speak(lab.snap, 0, codec, 0);
	a = lab_client(CONFIG_SAFE);
	b = lab_client(CONFIG_SAFE);
	feed(a, 7, 1, 0);
	feed(b, 7, 2, 0);
	s = scene_connected_server(0);
	id[0] = took(s, 1, 0, WHOLE);
	id[1] = took(s, 2, 0, WHOLE);
	CU_ASSERT_NOT_EQUAL(id[0], id[1]);
	feed(s, id[1], 2, 0);
	feed(s, id[0], 1, 500);
	CU_ASSERT_EQUAL(took(a, 1, 500, WHOLE), 7);
	CU_ASSERT_EQUAL(took(b, 2, 0, WHOLE), 7);
	put(m, 8, 3, 0, WHOLE);
	for (uint32_t i = 0; i < WHOLE; i++)
		CU_ASSERT_TRUE_FATAL(lab_feed(a, m + i, 1));
	id[0] = took(s, 3, 0, WHOLE);
	lab_advance(1100 * MT_MSEC);
	CU_ASSERT_EQUAL(took(a, 3, 1, HEADER), 8);
	feed(s, id[0], 3, 0);
	CU_ASSERT_EQUAL(a->sent.len, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_opened), 1);
	/* A length below that of the header. */
	put(m, 9, 4, 0, WHOLE);
	m[8] = HEADER - 1;
	CU_ASSERT_TRUE_FATAL(lab_feed(b, m, WHOLE));
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_malformed), 1);
	lab_advance(20 * MT_SEC);
	lab_close(a, MT_CLOSE_RESET);
	scene_stop();
}

static void test_native(void)
{
	calls(mt_codec_find("awesomerpc"));
}

static void test_file(void)
{
	calls(of_file());
	mt_region_fini(&region);
}

/* The file is read again: another table with the same identity keeps the connections. */
static void test_file_again(void)
{
	const struct mt_codec *first = of_file(), *again;
	struct mt_region before = region;
	struct mt_snapshot *next;
	struct fake_conn *c, *s;

	scene_start(1);
	config_speak(lab.snap, 0, first, 0);
	c = lab_client(CONFIG_SAFE);
	feed(c, 1, 1, 0);
	s = scene_connected_server(0);
	feed(s, took(s, 1, 0, WHOLE), 1, 0);
	CU_ASSERT_EQUAL(took(c, 1, 0, WHOLE), 1);
	again = of_file();
	CU_ASSERT_PTR_NOT_EQUAL(again, first);
	next = config_make(1, 2, 1, true);
	config_speak(next, 0, again, 0);
	mt_proxy_adopt(lab.p, next);
	lab_advance(MT_MSEC);
	feed(c, 2, 2, 0);
	feed(s, took(s, 2, 0, WHOLE), 2, 0);
	CU_ASSERT_EQUAL(took(c, 2, 0, WHOLE), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_opened), 1);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
	config_free(1);
	mt_region_fini(&before);
	mt_region_fini(&region);
}

/* ---- a protocol with ids of two bytes ---------------------------------------------------------- */

/* With other places, and other parts of local replies. */
#define SMALL_FILE(places, reply)                                                                  \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: small}\nspec:\n"                 \
	"  calls: multiplexed\n"                                                                   \
	"  places:\n"                                                                              \
	"    kind: {at: 0, size: 1}\n"                                                             \
	"    version: {at: 1, size: 1}\n"                                                          \
	"    id: {at: 2, size: 2}\n"                                                               \
	"    length: {at: 4, size: 4}\n"                                                           \
	"    result: {at: 8, size: 1}\n"                                                           \
	"    body: {at: 9, to: 0, holds: protobuf}\n"                                              \
	"    user: {in: body, find: 1}\n" places                                                   \
	"  frame: {length: length, min: 9, max: 1000000}\n"                                        \
	"  messages:\n"                                                                            \
	"  - {is: request, from: client, when: {kind: 1}}\n"                                       \
	"  - {is: reply, from: server, when: {kind: 2}}\n"                                         \
	"  - {is: event, event: drain, from: server, when: {kind: 3}}\n"                           \
	"  id: id\n"                                                                               \
	"  status: {place: result, ok: 0, overload: 4, caller: 5, other: server}\n"                \
	"  metadata: {user: user}\n"                                                               \
	"  check: {version: 1}\n"                                                                  \
	"  localReplies:\n"                                                                        \
	"    codes: {overload: 4, bad_reply: 8, default: 99}\n"                                    \
	"    write: [{hex: \"0201\"}, {value: id, size: 2}, " reply "]\n"                          \
	"  goaway: [{hex: \"0301\"}, {value: id, size: 2}, {hex: \"0000000900\"}]\n"

#define SMALL_TEXT(places) SMALL_FILE(places, "{hex: \"00000009\"}, {value: code, size: 1}")

static const char small_text[] = SMALL_TEXT("");
/* Servers take metadata from where the file finds them. */
static const char named_text[] = SMALL_TEXT("") "  executes: named\n";
/* Local replies with a text, by which another Meltemi knows them. */
static const char worded_text[] =
	SMALL_FILE("", "{length: all, size: 4}, {value: code, size: 1}, {protobuf: {1: message}}");
/* Labels that only `search` names. */
static const char labels_text[] = SMALL_TEXT(
	"    labels: {in: body, find: 2, holds: {pairs: {length: 1}}}\n") "  search: labels\n";

enum { SMALL = 9, SMALL_CALL = 1, SMALL_REPLY = 2, SMALL_GOAWAY = 3 };

static uint8_t small[100000];

/* Makes a message in `small`, with zeros as its body. */
static void small_make(uint8_t kind, uint8_t version, uint16_t id, uint8_t result, uint32_t len)
{
	MT_ASSERT(len >= SMALL && len <= sizeof(small));
	memset(small, 0, len);
	small[0] = kind;
	small[1] = version;
	small[2] = (uint8_t)(id >> 8);
	small[3] = (uint8_t)id;
	mt_put_be32(small + 4, len);
	small[8] = result;
}

/* A call; `user` NULL: without that metadata. */
static void small_call(struct fake_conn *c, uint16_t id, const char *user)
{
	uint32_t n = user ? (uint32_t)strlen(user) : 0, len = user ? SMALL + 2 + n : SMALL;

	small_make(SMALL_CALL, 1, id, 0, len);
	if (user) {
		small[SMALL] = 1 << 3 | 2; /* field 1, with a length */
		small[SMALL + 1] = (uint8_t)n;
		memcpy(small + SMALL + 2, user, n);
	}
	CU_ASSERT_TRUE_FATAL(lab_feed(c, small, len));
}

static void small_answer(struct fake_conn *s, uint8_t version, uint16_t id, uint32_t len)
{
	small_make(SMALL_REPLY, version, id, 0, len);
	for (uint32_t at = 0; at < len; at += 10000)
		CU_ASSERT_TRUE_FATAL(lab_feed(s, small + at, MT_MIN(10000u, len - at)));
}

/* The next message that was sent has this kind and result, and nothing follows. Returns its id. */
static uint16_t small_took(struct fake_conn *c, uint8_t kind, uint8_t result, uint32_t len)
{
	uint8_t m[64] = {0};
	uint16_t id;

	CU_ASSERT_FATAL(len <= sizeof(m));
	CU_ASSERT_EQUAL(lab_take(c, m, len), len);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	id = (uint16_t)(m[2] << 8 | m[3]);
	CU_ASSERT_EQUAL(m[0], kind);
	CU_ASSERT_EQUAL(m[1], 1);
	CU_ASSERT_EQUAL(mt_get_be32(m + 4), len);
	CU_ASSERT_EQUAL(m[8], result);
	return id;
}

/* The server answers its call with this result. */
static void small_fail(struct fake_conn *s, uint8_t result)
{
	small_make(SMALL_REPLY, 1, small_took(s, SMALL_CALL, 0, SMALL), result, SMALL);
	CU_ASSERT_TRUE_FATAL(lab_feed(s, small, SMALL));
}

static const char refusal[] = "meltemi: over limit";

/* The server is another Meltemi, which refuses its call. */
static void small_refuse(struct fake_conn *s, uint8_t result)
{
	uint32_t len = SMALL + 2 + sizeof(refusal);

	small_make(SMALL_REPLY, 1, small_took(s, SMALL_CALL, 0, SMALL), result, len);
	small[SMALL] = 1 << 3 | 2; /* field 1, with a length */
	small[SMALL + 1] = sizeof(refusal);
	memcpy(small + SMALL + 2, refusal, sizeof(refusal));
	CU_ASSERT_TRUE_FATAL(lab_feed(s, small, len));
}

static struct fake_conn *start(const char *text)
{
	const struct mt_codec *codec = compile("small.yaml", text, strlen(text));

	scene_start(1);
	config_speak(lab.snap, 0, codec, 0);
	return lab_client(CONFIG_SAFE);
}

static struct fake_conn *small_start(void)
{
	return start(small_text);
}

static void small_stop(void)
{
	scene_stop();
	mt_region_fini(&region);
}

/* A call with this id is answered by the server of the only connection. */
static void small_passes(struct fake_conn *c, uint16_t id)
{
	struct fake_conn *s;

	small_call(c, id, NULL);
	s = scene_connected_server(0);
	small_answer(s, 1, small_took(s, SMALL_CALL, 0, SMALL), SMALL);
	CU_ASSERT_EQUAL(small_took(c, SMALL_REPLY, 0, SMALL), id);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
}

/*
 * Metadata at a place of a message cannot be removed. A call that has there what only a claim of
 * its token may set gets an error; a call without it passes, unless servers may take these metadata
 * from elsewhere.
 */
static void claims(const char *text, bool passes)
{
	static const char *sanitized[] = {"User"};
	static struct mt_token_rule rule = {.by = "RequestAuthentication a/b"};
	static struct mt_token_rules rules = {
		.id = 1, .n = 1, .rules = &rule, .n_sanitized = 1, .sanitized = sanitized};
	struct fake_conn *c = start(text);
	struct mt_key key = mt_key_make_icase(lab.snap->listeners[0].protos->codec, "user");
	struct mt_authz_tokens tokens = {.rules = &rules, .sanitized = &key};
	struct mt_authz guard = {.tokens = &tokens, .reads = true, .searches = true};
	const struct mt_authz *guards[] = {&guard};

	lab.snap->clusters[0].guards = guards;
	lab.snap->clusters[0].eps[0].guarded = true;
	small_call(c, 7, "eve");
	CU_ASSERT_EQUAL(small_took(c, SMALL_REPLY, 4, SMALL), 7);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	if (passes) {
		small_passes(c, 8);
	} else {
		small_call(c, 8, NULL);
		CU_ASSERT_EQUAL(small_took(c, SMALL_REPLY, 4, SMALL), 8);
	}
	small_call(c, 9, "eve");
	CU_ASSERT_EQUAL(small_took(c, SMALL_REPLY, 4, SMALL), 9);
	CU_ASSERT_EQUAL(lab_n_servers(), passes);
	lab_close(c, MT_CLOSE_RESET);
	small_stop();
}

static void test_claims(void)
{
	claims(named_text, true);
	claims(small_text, false);
}

/* Two dialects: only the second one has users. */
static const char dialects_text[] =
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: small}\nspec:\n"
	"  calls: multiplexed\n  executes: named\n"
	"  variants:\n"
	"  - places: &places\n"
	"      kind: {at: 0, size: 1}\n"
	"      version: {at: 1, size: 1}\n"
	"      id: {at: 2, size: 2}\n"
	"      length: {at: 4, size: 4}\n"
	"      result: {at: 8, size: 1}\n"
	"      body: {at: 9, to: 0, holds: protobuf}\n"
	"      user: {in: body, find: 1}\n"
	"    match: {version: 1}\n"
	"    frame: &frame {length: length, min: 9, max: 1000000}\n"
	"    messages: &messages\n"
	"    - {is: request, from: client, when: {kind: 1}}\n"
	"    - {is: reply, from: server, when: {kind: 2}}\n"
	"    id: id\n"
	"    localReplies: {codes: {overload: 4, default: 99}, write: [{hex: \"0201\"}, {value: "
	"id, "
	"size: 2}, {hex: \"00000009\"}, {value: code, size: 1}]}\n"
	"  - places: *places\n"
	"    match: {version: 2}\n"
	"    frame: *frame\n"
	"    messages: *messages\n"
	"    id: id\n"
	"    metadata: {user: user}\n";

/*
 * A client may write in one dialect what only a claim may set in the other: it is not seen there,
 * so that no such call passes.
 */
static void test_dialects(void)
{
	static const char *sanitized[] = {"User"};
	static struct mt_token_rule rule = {.by = "RequestAuthentication a/b"};
	static struct mt_token_rules rules = {
		.id = 1, .n = 1, .rules = &rule, .n_sanitized = 1, .sanitized = sanitized};
	struct fake_conn *c = start(dialects_text);
	const struct mt_codec *codec = lab.snap->listeners[0].protos->codec;
	struct mt_key key = mt_key_make_icase(codec, "user");
	struct mt_key other = mt_key_make_icase(codec, "colour");
	struct mt_authz_tokens tokens = {.rules = &rules, .sanitized = &key};
	struct mt_authz guard = {.tokens = &tokens, .reads = true, .searches = true};
	const struct mt_authz *guards[] = {&guard};
	struct mt_msg msg = {.kind = MT_MSG_REQUEST};

	CU_ASSERT_TRUE(codec->metadata.lacks(codec, &msg, &key));
	CU_ASSERT_FALSE(codec->metadata.lacks(codec, &msg, &other));
	msg.variant = 1;
	CU_ASSERT_FALSE(codec->metadata.lacks(codec, &msg, &key));
	lab.snap->clusters[0].guards = guards;
	lab.snap->clusters[0].eps[0].guarded = true;
	small_call(c, 7, NULL);
	CU_ASSERT_EQUAL(small_took(c, SMALL_REPLY, 4, SMALL), 7);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	rules.n_sanitized = 0;
	small_passes(c, 8);
	lab_close(c, MT_CLOSE_RESET);
	small_stop();
}

/* A policy denies by a key that the file knows in one dialect only, or in none. */
static void test_denied_dialects(void)
{
	static const char *const names[] = {"user", "colour"};

	for (uint32_t i = 0; i < 2; i++) {
		const struct mt_authz_value x = {
			.match = MT_AUTHZ_EXACT, .text = {(const uint8_t *)"x", 1}};
		struct fake_conn *c = start(dialects_text);
		struct mt_authz_cond cond = {.field = MT_AUTHZ_METADATA,
			.n_values = 1,
			.values = (struct mt_authz_value *)&x,
			.key = mt_key_make_icase(lab.snap->listeners[0].protos->codec, names[i])};
		struct mt_authz_rule rule = {.when = {&cond, 1}};
		const struct mt_authz_policy policy = {
			.action = MT_AUTHZ_DENY, .by = "P a/b", .rules = &rule, .n_rules = 1};
		const struct mt_authz_policy *policies[] = {&policy};
		const struct mt_authz guard = {.deny = policies, .n_deny = 1};
		const struct mt_authz *guards[] = {&guard};

		lab.snap->clusters[0].guards = guards;
		lab.snap->clusters[0].eps[0].guarded = true;
		if (i == 0) {
			small_call(c, 7, NULL);
			CU_ASSERT_EQUAL(small_took(c, SMALL_REPLY, 99, SMALL), 7);
			CU_ASSERT_EQUAL(scene_counted(MT_PROXY_exchange_unreadable), 1);
			CU_ASSERT_EQUAL(lab_n_servers(), 0);
		} else {
			small_passes(c, 8);
		}
		lab_close(c, MT_CLOSE_RESET);
		small_stop();
	}
}

/* Sends a call with these labels. */
static void labels_call(struct fake_conn *c, uint16_t id, const char *labels, uint32_t n)
{
	small_make(SMALL_CALL, 1, id, 0, SMALL + 2 + n);
	small[SMALL] = 2 << 3 | 2; /* field 2, with a length */
	small[SMALL + 1] = (uint8_t)n;
	memcpy(small + SMALL + 2, labels, n);
	CU_ASSERT_TRUE_FATAL(lab_feed(c, small, SMALL + 2 + n));
}

/*
 * Labels that break their format: the call is refused if its service searches metadata, because its
 * limits would else not find what they count. Otherwise it is forwarded, as one with sound labels.
 */
static void test_broken_labels(void)
{
	static const char sound[] = {4, 'u', 's', 'e', 'r', 1, 'a'}, broken[] = {4, 'u', 's'};
	struct fake_conn *c = start(labels_text), *s;
	struct mt_service *service = lab.snap->listeners[0].protos->services[0];
	uint32_t len;

	service->searches = true;
	labels_call(c, 7, broken, sizeof(broken));
	CU_ASSERT_EQUAL(small_took(c, SMALL_REPLY, 99, SMALL), 7);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_bad_request), 1);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	for (uint16_t id = 8; id <= 9; id++) {
		service->searches = id == 8;
		len = id == 8 ? sizeof(sound) : sizeof(broken);
		labels_call(c, id, id == 8 ? sound : broken, len);
		s = scene_connected_server(0);
		small_answer(s, 1, small_took(s, SMALL_CALL, 0, SMALL + 2 + len), SMALL);
		CU_ASSERT_EQUAL(small_took(c, SMALL_REPLY, 0, SMALL), id);
	}
	lab_close(c, MT_CLOSE_RESET);
	small_stop();
}

/* A reply that contradicts the file does not reach the client, although its id could be written. */
static void check_contradiction(uint32_t len, bool early)
{
	struct fake_conn *c = small_start(), *s;

	small_call(c, 7, NULL);
	s = scene_connected_server(0);
	small_answer(s, 2, small_took(s, SMALL_CALL, 0, SMALL), len);
	CU_ASSERT_EQUAL(small_took(c, SMALL_REPLY, 8, SMALL), 7);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_early), early);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_no_memory), 0);
	CU_ASSERT_FALSE(c->aborted);
	CU_ASSERT_FALSE(s->aborted);
	/* The connection goes on. */
	small_passes(c, 8);
	lab_close(c, MT_CLOSE_RESET);
	small_stop();
}

static void test_contradictions(void)
{
	check_contradiction(SMALL, false);
	check_contradiction(SMALL + 100, false);
	check_contradiction(sizeof(small), true);
}

/*
 * An error is dropped for another attempt if the policy names its class, unless another Meltemi
 * refuses the call, and is else forwarded.
 */
static void test_classes(void)
{
	enum { OVERLOAD = 4, CALLER, OTHER };
	static struct mt_retry policy = {
		.on = MT_RETRY_OVERLOAD, .attempts = 1, .base_ms = 25, .max_ms = 250};
	struct fake_conn *c = start(worded_text), *s;
	struct mt_route_action *a = (struct mt_route_action *)mt_route_at(
		lab.snap->listeners[0].protos->services[0]->routes, 0);

	a->retry = &policy;
	a->retries = true;
	small_call(c, 7, NULL);
	s = scene_connected_server(0);
	small_fail(s, OVERLOAD);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	lab_advance(26 * MT_MSEC);
	small_answer(s, 1, small_took(s, SMALL_CALL, 0, SMALL), SMALL);
	CU_ASSERT_EQUAL(small_took(c, SMALL_REPLY, 0, SMALL), 7);
	for (uint8_t result = CALLER; result <= OTHER; result++) {
		small_call(c, 8, NULL);
		small_fail(s, result);
		CU_ASSERT_EQUAL(small_took(c, SMALL_REPLY, result, SMALL), 8);
	}
	small_call(c, 9, NULL);
	small_refuse(s, OVERLOAD);
	CU_ASSERT_EQUAL(small_took(c, SMALL_REPLY, OVERLOAD, SMALL + 2 + sizeof(refusal)), 9);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_retry_by_policy), 1);
	lab_close(c, MT_CLOSE_RESET);
	small_stop();
}

/* What tells a client to stop has an id that its place can hold. */
static void test_goaway(void)
{
	struct fake_conn *c = small_start();

	small_passes(c, 7);
	mt_proxy_drain(lab.p);
	lab_advance(MT_MSEC);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_goaway_sent), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_no_memory), 0);
	CU_ASSERT(small_took(c, SMALL_GOAWAY, 0, SMALL) >= 4096);
	for (uint32_t i = 0; i < 3; i++)
		lab_advance(900 * MT_MSEC);
	CU_ASSERT_TRUE(c->detached);
	small_stop();
}

/* A server's event that contradicts the file has no effect; one that does not drains. */
static void test_event(void)
{
	struct fake_conn *c = small_start(), *s;

	small_passes(c, 7);
	s = scene_connected_server(0);
	for (uint8_t version = 2; version > 0; version--) {
		small_make(SMALL_GOAWAY, version, 0, 0, SMALL);
		CU_ASSERT_TRUE_FATAL(lab_feed(s, small, SMALL));
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_event_drain), version == 1);
	}
	lab_close(c, MT_CLOSE_RESET);
	small_stop();
}

const struct mt_test codec_file_tests[] = {
	{"the native codec", test_native},
	{"the file", test_file},
	{"the file, read again", test_file_again},
	{"metadata at places, and claims", test_claims},
	{"dialects without a key", test_dialects},
	{"policies by it", test_denied_dialects},
	{"labels that break their format", test_broken_labels},
	{"replies that contradict their file", test_contradictions},
	{"classes of errors", test_classes},
	{"goaway with an id of two bytes", test_goaway},
	{"events that contradict their file", test_event},
	{0},
};
