/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A codec that is data: one set of functions reads and writes every protocol that a struct layout
 * describes. No code outside this file knows it. Its identity is the hash of its content.
 */
#include "scene.h"

#include "moved.h"
#include "mt_authz.h"
#include "mt_codec_priv.h"
#include "mt_proxy_priv.h"

#include <errno.h>
#include <string.h>

/* Places in a header of fixed length, and the values there; numbers are big-endian. */
struct layout {
	uint8_t magic, header;
	uint8_t kind_at, status_at, len_at, id_at;
	uint8_t call, answer;
	uint8_t failed; /* status of a native error, whose body is one byte, its reason */
};

struct described {
	struct mt_codec codec;
	struct layout at;
};

#define HEADER	12
#define WHOLE	(HEADER + 1)
#define LONGEST 65536

/* Kinds in every layout: a heartbeat, its answer, a heartbeat without an answer, and a one-way call. */
enum { BEAT = 0x70, BEAT_REPLY, LONELY_BEAT, NOTE };

static const struct layout first_layout = {.magic = 'D',
	.header = HEADER,
	.kind_at = 1,
	.status_at = 2,
	.len_at = 4,
	.id_at = 8,
	.call = 1,
	.answer = 2,
	.failed = 9};

static const struct layout *layout_of(const struct mt_codec *self)
{
	return &mt_container_of(self, struct described, codec)->at;
}

static enum mt_msg_kind kind_of(const struct layout *at, uint8_t kind)
{
	if (kind == BEAT || kind == LONELY_BEAT)
		return MT_MSG_HEARTBEAT;
	if (kind == NOTE)
		return MT_MSG_ONEWAY;
	return kind == at->call ? MT_MSG_REQUEST : MT_MSG_REPLY;
}

static enum mt_decode head(const struct layout *at, struct mt_decoder *d, struct mt_msg *msg)
{
	uint8_t tmp[HEADER];
	const uint8_t *h = mt_cursor_peek(&d->cur, at->header, tmp);

	if (!h)
		return MT_DECODE_MORE;
	*msg = (struct mt_msg){.len = mt_get_be32(h + at->len_at),
		.id = mt_get_be32(h + at->id_at),
		.lead_len = at->header,
		.can_reply = true};
	if (h[0] != at->magic || msg->len < at->header || msg->len > d->max_message)
		return mt_decode_bad(d, "no message of this layout");
	msg->kind = kind_of(at, h[at->kind_at]);
	msg->status = h[at->status_at] ? MT_STATUS_SERVER_ERROR : MT_STATUS_OK;
	d->step = 1;
	return MT_DECODE_LEADING;
}

static enum mt_decode decode(const struct mt_codec *self, struct mt_decoder *d, struct mt_msg *msg)
{
	enum mt_decode rc = d->step ? MT_DECODE_MORE : head(layout_of(self), d, msg);

	if (!d->step || rc == MT_DECODE_BAD)
		return rc;
	return mt_decoder_arrived(d) >= msg->len ? MT_DECODE_DONE : rc;
}

static void save(const struct mt_codec *self, const struct mt_msg *msg, const struct mt_chain *c,
	struct mt_seed *seed)
{
	seed->id = msg->id;
}

static void put(const struct layout *at, uint8_t kind, uint8_t status, uint32_t id, uint8_t body,
	uint8_t to[WHOLE])
{
	memset(to, 0, WHOLE);
	to[0] = at->magic;
	to[at->kind_at] = kind;
	to[at->status_at] = status;
	mt_put_be32(to + at->len_at, WHOLE);
	mt_put_be32(to + at->id_at, id);
	to[at->header] = body;
}

static int reply(const struct mt_codec *self, const struct mt_seed *seed, enum mt_local_reply what,
	const char *text, struct mt_chain *out, struct mt_pools *p)
{
	const struct layout *at = layout_of(self);
	uint8_t m[WHOLE];

	put(at, at->answer, at->failed, (uint32_t)seed->id, (uint8_t)what, m);
	return mt_chain_write(out, p, m, sizeof(m));
}

static int heartbeat_reply(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_chain *out, struct mt_pools *p)
{
	const struct layout *at = layout_of(self);
	uint8_t h[HEADER], m[WHOLE];

	mt_chain_read(c, 0, h, sizeof(h));
	if (h[at->kind_at] == LONELY_BEAT)
		return -ENOTSUP;
	put(at, BEAT_REPLY, 0, (uint32_t)msg->id, 0, m);
	return mt_chain_write(out, p, m, sizeof(m));
}

/* Bodies of messages without room for an id of Meltemi's, and for the client's. */
enum { NARROW_CALL = 0x60, NARROW_ANSWER };

/* As of an id whose length is in the message, for example. */
static int write_id(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	uint64_t id, struct mt_pools *p)
{
	const struct layout *at = layout_of(self);
	uint8_t *m = mt_chain_own_prefix(c, WHOLE, p);

	if (!m)
		return -ENOMEM;
	if (m[at->header] == NARROW_CALL || m[at->header] == NARROW_ANSWER)
		return -ENOTSUP;
	mt_put_be32(m + at->id_at, (uint32_t)id);
	msg->id = id;
	return 0;
}

static int restore_id(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	const struct mt_seed *seed, struct mt_pools *p)
{
	return write_id(self, msg, c, seed->id, p);
}

/* The method is the body. */
static bool method_of(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, const struct mt_key *key, struct mt_slice *value,
	uint8_t *scratch)
{
	*value = (struct mt_slice){mt_chain_peek(c, layout_of(self)->header, 1, scratch), 1};
	return key->id == 0 && value->p;
}

/* FNV-1a. */
static uint64_t hash_of(const struct layout *at)
{
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < sizeof(*at); i++)
		h = (h ^ ((const uint8_t *)at)[i]) * 0x100000001b3;
	return h;
}

/* As a configuration loads it; each is another object. */
static void load(struct described *to, const struct layout *at)
{
	static const char *const none[] = {NULL};

	*to = (struct described){.codec = {.name = "described",
					 .content = hash_of(at),
					 .correlation = MT_CORR_SAFE,
					 .correlation_mux = MT_CORR_SAFE,
					 .max_message = LONGEST,
					 .id_min = 4096,
					 .id_max = UINT32_MAX,
					 .keys = none,
					 .frame.decode = decode,
					 .correlate.id_at = at->id_at,
					 .correlate.id_width = 4,
					 .correlate.save = save,
					 .write.reply = reply},
		.at = *at};
}

/* ---- the peers ---- */

static void call(struct fake_conn *c, const struct layout *at, uint32_t id, uint8_t body)
{
	uint8_t m[WHOLE];

	put(at, at->call, 0, id, body, m);
	CU_ASSERT_TRUE_FATAL(lab_feed(c, m, sizeof(m)));
}

static void beat(struct fake_conn *c, const struct layout *at, uint8_t kind, uint32_t id)
{
	uint8_t m[WHOLE];

	put(at, kind, 0, id, 0, m);
	CU_ASSERT_TRUE_FATAL(lab_feed(c, m, sizeof(m)));
}

static void answer(struct fake_conn *s, const struct layout *at, uint32_t id, uint8_t body)
{
	uint8_t m[WHOLE];

	put(at, at->answer, 0, id, body, m);
	CU_ASSERT_TRUE_FATAL(lab_feed(s, m, sizeof(m)));
}

/* The next message that was sent to a server is a call with this body. Returns its id. */
static uint32_t got_call(struct fake_conn *s, const struct layout *at, uint8_t body)
{
	uint8_t m[WHOLE] = {0};

	CU_ASSERT_EQUAL(lab_take(s, m, sizeof(m)), sizeof(m));
	CU_ASSERT_EQUAL(m[0], at->magic);
	CU_ASSERT_EQUAL(m[at->kind_at], at->call);
	CU_ASSERT_EQUAL(m[at->header], body);
	return mt_get_be32(m + at->id_at);
}

/* The next message that was sent is the answer to the heartbeat with this id. */
static void got_beat_reply(struct fake_conn *c, const struct layout *at, uint32_t id)
{
	uint8_t want[WHOLE], m[WHOLE] = {0};

	put(at, BEAT_REPLY, 0, id, 0, want);
	CU_ASSERT_EQUAL(lab_take(c, m, sizeof(m)), sizeof(m));
	CU_ASSERT_EQUAL(memcmp(m, want, sizeof(m)), 0);
}

/* The next message that was sent to a client is this one, to the byte. */
static void got_answer(
	struct fake_conn *c, const struct layout *at, uint8_t status, uint32_t id, uint8_t body)
{
	uint8_t want[WHOLE], m[WHOLE] = {0};

	put(at, at->answer, status, id, body, want);
	CU_ASSERT_EQUAL(lab_take(c, m, sizeof(m)), sizeof(m));
	CU_ASSERT_EQUAL(memcmp(m, want, sizeof(m)), 0);
}

static struct fake_conn *start_with(struct described *codec, const struct mt_proxy_conf *conf)
{
	load(codec, &first_layout);
	scene_start_with(1, conf);
	config_speak(lab.snap, 0, &codec->codec, 0);
	return lab_client(CONFIG_SAFE);
}

static struct fake_conn *start(struct described *codec)
{
	return start_with(codec,
		&(struct mt_proxy_conf){.max_down = 64, .max_up = 64, .max_exchanges = 4096});
}

/* The next snapshot has this codec. */
static void reload(const struct described *codec)
{
	struct mt_snapshot *next = config_make(1, 2, 1, true);

	config_speak(next, 0, &codec->codec, 0);
	mt_proxy_adopt(lab.p, next);
	lab_advance(MT_MSEC);
}

static void stop(struct fake_conn *c)
{
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
	config_free(1);
}

/* ---- the tests ---- */

/* Two clients use the same id on one connection to the server, which answers in another order. */
static void test_calls(void)
{
	const struct layout *at = &first_layout;
	struct described codec;
	struct fake_conn *a = start(&codec), *b = lab_client(CONFIG_SAFE), *s;
	uint32_t id[2];

	call(a, at, 7, 0x31);
	call(b, at, 7, 0x32);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	id[0] = got_call(s, at, 0x31);
	id[1] = got_call(s, at, 0x32);
	CU_ASSERT_NOT_EQUAL(id[0], id[1]);
	answer(s, at, id[1], 0x42);
	answer(s, at, id[0], 0x41);
	got_answer(a, at, 0, 7, 0x41);
	got_answer(b, at, 0, 7, 0x42);
	lab_close(a, MT_CLOSE_RESET);
	stop(b);
}

/* As of a codec file with calls: serial: messages keep the ids of their clients. */
static struct fake_conn *start_serial(struct described *codec)
{
	struct fake_conn *c;

	load(codec, &first_layout);
	codec->codec.correlation = codec->codec.correlation_mux = MT_CORR_SERIAL;
	codec->codec.id_min = codec->codec.id_max = 0;
	codec->codec.correlate.id_width = 0;
	codec->codec.method_key = (struct mt_key){.name = "method", .len = 6, .id = 0};
	codec->codec.metadata.leading = method_of;
	scene_start(1);
	config_speak(lab.snap, 0, &codec->codec, 0);
	c = lab_client(CONFIG_SAFE);
	return c;
}

/* One call at a time, matched by position; a client's next call waits for its turn, or goes elsewhere. */
static void test_serial(void)
{
	const struct layout *at = &first_layout;
	struct described codec;
	struct fake_conn *a = start_serial(&codec), *b = lab_client(CONFIG_SAFE), *s;

	/* Ids that are also the numbers of calls on their connection, and that are not. */
	for (uint32_t i = 1; i < 5; i++) {
		call(a, at, i < 3 ? i : 70 + i, 0x31);
		s = scene_connected_server(0);
		CU_ASSERT_EQUAL(got_call(s, at, 0x31), i < 3 ? i : 70 + i);
		answer(s, at, i < 3 ? i : 70 + i, 0x31);
		got_answer(a, at, 0, i < 3 ? i : 70 + i, 0x31);
	}
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	call(a, at, 7, 0x31);
	call(b, at, 7, 0x32);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 2);
	CU_ASSERT_EQUAL(got_call(s, at, 0x31), 7);
	CU_ASSERT_EQUAL(got_call(scene_connected_server(1), at, 0x32), 7);
	answer(lab_server(1), at, 7, 0x32);
	got_answer(b, at, 0, 7, 0x32);
	answer(s, at, 7, 0x31);
	got_answer(a, at, 0, 7, 0x31);
	lab_close(b, MT_CLOSE_RESET);
	lab_close(a, MT_CLOSE_RESET);
	scene_stop();
}

/* After a time-out the connection ends; after its client has left it waits for the late reply. */
static void test_serial_late(void)
{
	const struct layout *at = &first_layout;
	struct described codec;
	struct fake_conn *a = start_serial(&codec), *b = lab_client(CONFIG_SAFE), *s, *other;

	call(a, at, 1, 0x31);
	s = scene_connected_server(0);
	(void)got_call(s, at, 0x31);
	lab_advance(1100 * MT_MSEC);
	got_answer(a, at, at->failed, 1, MT_REPLY_TIMEOUT);
	CU_ASSERT_TRUE(s->aborted);
	call(a, at, 2, 0x31);
	s = scene_connected_server(0);
	(void)got_call(s, at, 0x31);
	lab_advance(100 * MT_MSEC);
	lab_close(a, MT_CLOSE_RESET);
	CU_ASSERT_FALSE(s->aborted);
	call(b, at, 2, 0x31);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 2);
	other = scene_connected_server(1);
	(void)got_call(other, at, 0x31);
	answer(s, at, 2, 0x31);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	CU_ASSERT_EQUAL(b->sent.len, 0);
	CU_ASSERT_TRUE(s->detached);
	answer(other, at, 2, 0x31);
	got_answer(b, at, 0, 2, 0x31);
	lab_close(b, MT_CLOSE_RESET);
	scene_stop();
}

/* A reply with another id or method than the call, and one without a call, end their connection. */
static void test_serial_others(void)
{
	const struct layout *at = &first_layout;
	struct described codec;
	struct fake_conn *c = start_serial(&codec), *s;

	for (uint32_t i = 0; i < 3; i++) {
		call(c, at, 10 + i, 0x31);
		s = scene_connected_server(0);
		(void)got_call(s, at, 0x31);
		if (i == 2) {
			answer(s, at, 10 + i, 0x31);
			got_answer(c, at, 0, 10 + i, 0x31);
			answer(s, at, 10 + i, 0x31);
		} else {
			answer(s, at, i ? 10 + i : 99, i ? 0x32 : 0x31);
			got_answer(c, at, at->failed, 10 + i, MT_REPLY_BAD_REPLY);
		}
		CU_ASSERT_TRUE(s->aborted);
		CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_unknown_reply), 1 + i);
	}
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* A server may answer one-way calls; their connection goes on, and others do not get these answers. */
static void test_serial_oneway(void)
{
	const struct layout *at = &first_layout;
	struct described codec;
	struct fake_conn *c = start_serial(&codec), *s, *other;
	uint8_t m[WHOLE] = {0};

	beat(c, at, NOTE, 10);
	s = scene_connected_server(0);
	CU_ASSERT_EQUAL(lab_take(s, m, sizeof(m)), sizeof(m));
	CU_ASSERT_EQUAL(m[at->kind_at], NOTE);
	call(c, at, 10, 0x31);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 2);
	other = scene_connected_server(1);
	CU_ASSERT_EQUAL(got_call(other, at, 0x31), 10);
	answer(s, at, 10, 0x32);
	CU_ASSERT_FALSE(s->aborted);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	answer(other, at, 10, 0x31);
	got_answer(c, at, 0, 10, 0x31);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_unknown_reply), 0);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* A call that no server answers, and bytes of another protocol. */
static void test_native_errors(void)
{
	const struct layout *at = &first_layout;
	struct described codec;
	struct fake_conn *c = start(&codec), *s;
	uint32_t id;

	call(c, at, 8, 0x31);
	s = scene_connected_server(0);
	id = got_call(s, at, 0x31);
	lab_advance(1100 * MT_MSEC);
	got_answer(c, at, at->failed, 8, MT_REPLY_TIMEOUT);
	answer(s, at, id, 0x41); /* late */
	CU_ASSERT_EQUAL(c->sent.len, 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_late_reply), 1);
	lab_feed(c, "not a message", 13);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_malformed), 1);
	lab_advance(20 * MT_SEC);
	scene_stop();
}

/* A protocol without errors: Meltemi resets the client's connection instead. */
static void test_no_native_errors(void)
{
	const struct layout *at = &first_layout;
	const struct mt_proxy_conf conf = {.max_down = 64, .max_up = 64, .max_exchanges = 1};
	struct described codec;
	struct fake_conn *a = start_with(&codec, &conf), *b = lab_client(CONFIG_SAFE), *s;

	codec.codec.write.reply = NULL;
	call(a, at, 1, 0x31);
	s = scene_connected_server(0);
	(void)got_call(s, at, 0x31);
	/* There is no object for this call. */
	call(b, at, 2, 0x32);
	CU_ASSERT_TRUE(b->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_unsendable), 1);
	CU_ASSERT_FALSE(a->aborted);
	/* This one times out. */
	lab_advance(1100 * MT_MSEC);
	CU_ASSERT_TRUE(a->aborted);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_reply_unsendable), 2);
	/* Bytes of another protocol. */
	a = lab_client(CONFIG_SAFE);
	lab_feed(a, "not a message", 13);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_malformed), 1);
	lab_advance(20 * MT_SEC);
	scene_stop();
}

/* An id that a message has no room for is no lack of memory, and other calls go on. */
static void test_no_room_for_ids(void)
{
	const struct layout *at = &first_layout;
	struct described codec;
	struct fake_conn *c = start(&codec), *s;
	uint32_t id;

	codec.codec.correlate.id_width = 0;
	codec.codec.correlate.set_id = write_id;
	codec.codec.correlate.restore_id = restore_id;
	call(c, at, 1, 0x31);
	s = scene_connected_server(0);
	id = got_call(s, at, 0x31);
	call(c, at, 2, NARROW_CALL);
	CU_ASSERT_EQUAL(s->sent.len, 0);
	got_answer(c, at, at->failed, 2, MT_REPLY_UNSUPPORTED);
	answer(s, at, id, NARROW_ANSWER);
	got_answer(c, at, at->failed, 1, MT_REPLY_BAD_REPLY);
	call(c, at, 3, 0x33);
	answer(s, at, got_call(s, at, 0x33), 0x43);
	got_answer(c, at, 0, 3, 0x43);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_no_memory), 0);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

static void denied_by_name(bool executes_other, uint8_t method, enum mt_proxy_outcome counted)
{
	const struct layout *at = &first_layout;
	const struct mt_authz_value x = {
		.match = MT_AUTHZ_EXACT, .text = {(const uint8_t *)"x", 1}};
	struct mt_authz_cond cond = {
		.field = MT_AUTHZ_METHOD, .n_values = 1, .values = (struct mt_authz_value *)&x};
	struct mt_authz_conds conds = {&cond, 1};
	struct mt_authz_rule rule = {.to = &conds, .n_to = 1, .by_method = true};
	const struct mt_authz_policy policy = {
		.action = MT_AUTHZ_DENY, .by = "P a/b", .rules = &rule, .n_rules = 1};
	const struct mt_authz_policy *policies[] = {&policy};
	const struct mt_authz guard = {.deny = policies, .n_deny = 1}, *guards[] = {&guard};
	struct described codec;
	struct fake_conn *c = start(&codec);

	codec.codec.executes_other = executes_other;
	codec.codec.method_key = (struct mt_key){.name = "method", .len = 6, .id = 0};
	codec.codec.metadata.leading = method_of;
	lab.snap->clusters[0].guards = guards;
	lab.snap->clusters[0].eps[0].guarded = true;
	call(c, at, 1, method);
	CU_ASSERT_EQUAL(lab_n_servers(), 0);
	got_answer(c, at, at->failed, 1, MT_REPLY_DENIED);
	CU_ASSERT_EQUAL(scene_counted(counted), 1);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/*
 * Where servers may execute another method than the message names, no rule decides by it, also one
 * that was compiled as if it could.
 */
static void test_other_names(void)
{
	denied_by_name(false, 'x', MT_PROXY_exchange_denied);
	denied_by_name(true, 'x', MT_PROXY_exchange_unreadable);
	denied_by_name(true, 'y', MT_PROXY_exchange_unreadable);
}

/*
 * A protocol whose heartbeats are answered, apart from one kind, and that has none for servers: a
 * silent server gets none, and a heartbeat without an answer is no lack of memory.
 */
static void test_heartbeats(void)
{
	const struct layout *at = &first_layout;
	struct described codec;
	struct fake_conn *c = start(&codec), *s;
	uint32_t id;

	codec.codec.write.heartbeat_reply = heartbeat_reply;
	codec.codec.heartbeat_s = 4;
	scene_patient();
	beat(c, at, BEAT, 5);
	got_beat_reply(c, at, 5);
	beat(c, at, LONELY_BEAT, 6);
	CU_ASSERT_EQUAL(c->sent.len, 0);
	call(c, at, 1, 0x31);
	s = scene_connected_server(0);
	id = got_call(s, at, 0x31);
	lab_advance(20 * MT_SEC);
	CU_ASSERT_EQUAL(s->sent.len, 0);
	beat(s, at, LONELY_BEAT, 7);
	beat(s, at, BEAT, 8);
	got_beat_reply(s, at, 8);
	answer(s, at, id, 0x41);
	got_answer(c, at, 0, 1, 0x41);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_heartbeat_answered), 2);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_heartbeat_sent), 0);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_no_memory), 0);
	lab_close(c, MT_CLOSE_RESET);
	scene_stop();
}

/* Another object of the same content: connections of both sides stay, also for a call under way. */
static void test_reloaded_alike(void)
{
	const struct layout *at = &first_layout;
	struct described codec, alike;
	struct fake_conn *c = start(&codec), *s;
	uint32_t id;

	call(c, at, 1, 0x31);
	s = scene_connected_server(0);
	id = got_call(s, at, 0x31);
	load(&alike, at);
	reload(&alike);
	answer(s, at, id, 0x41);
	got_answer(c, at, 0, 1, 0x41);
	call(c, at, 2, 0x32);
	answer(s, at, got_call(s, at, 0x32), 0x42);
	got_answer(c, at, 0, 2, 0x42);
	/* A client that comes now shares the connection. */
	lab_close(c, MT_CLOSE_RESET);
	c = lab_client(CONFIG_SAFE);
	call(c, at, 3, 0x33);
	answer(s, at, got_call(s, at, 0x33), 0x43);
	got_answer(c, at, 0, 3, 0x43);
	CU_ASSERT_EQUAL(lab_n_servers(), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_opened), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), 0);
	stop(c);
}

/* The same name and another content: the old client drains, and is served by the old one until then. */
static void test_changed(void)
{
	const struct layout *at = &first_layout;
	struct layout other = first_layout;
	struct described codec, changed;
	struct fake_conn *c = start(&codec), *n, *s, *t;
	uint32_t id;

	other.magic = 'E';
	other.status_at = 3;
	call(c, at, 1, 0x31);
	s = scene_connected_server(0);
	id = got_call(s, at, 0x31);
	load(&changed, &other);
	reload(&changed);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_chain_changed), 1);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), 0);
	n = lab_client(CONFIG_SAFE);
	call(n, &other, 1, 0x32);
	CU_ASSERT_EQUAL_FATAL(lab_n_servers(), 2);
	t = lab_server(1);
	lab_connect(t);
	answer(t, &other, got_call(t, &other, 0x32), 0x42);
	got_answer(n, &other, 0, 1, 0x42);
	answer(s, at, id, 0x41);
	got_answer(c, at, 0, 1, 0x41);
	call(c, at, 2, 0x33);
	answer(s, at, got_call(s, at, 0x33), 0x43);
	got_answer(c, at, 0, 2, 0x43);
	/* Neither client has ended the server connection of the other. */
	call(n, &other, 2, 0x34);
	answer(t, &other, got_call(t, &other, 0x34), 0x44);
	got_answer(n, &other, 0, 2, 0x44);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_up_opened), 2);
	scene_quiet();
	CU_ASSERT_TRUE(c->detached);
	stop(n);
}

/* Servers of another version treat names otherwise: its rules are not right for old messages. */
static void test_changed_rules(void)
{
	const struct layout *at = &first_layout;
	struct layout other = first_layout;
	struct described codec, changed;
	struct fake_conn *c = start(&codec), *s;
	uint32_t id;

	other.magic = 'E';
	call(c, at, 1, 0x31);
	s = scene_connected_server(0);
	id = got_call(s, at, 0x31);
	load(&changed, &other);
	changed.codec.executes_other = !codec.codec.executes_other;
	reload(&changed);
	CU_ASSERT_EQUAL(scene_counted(MT_PROXY_down_listener_gone), 1);
	/* The old connections serve what they have, and take no more. */
	answer(s, at, id, 0x41);
	got_answer(c, at, 0, 1, 0x41);
	call(c, at, 2, 0x33);
	got_answer(c, at, at->failed, 2, MT_REPLY_NO_ROUTE);
	stop(c);
}

/* An image names the codec by its identity: another content under the same name is not taken. */
static void test_image(void)
{
	const struct layout *at = &first_layout;
	struct layout other = first_layout;
	struct described codec, changed;
	struct fake_conn *c = start(&codec), *s;
	struct mt_proxy *to;
	struct mt_image im;
	uint32_t id;

	call(c, at, 1, 0x31);
	s = scene_connected_server(0);
	id = got_call(s, at, 0x31);
	other.failed++;
	load(&changed, &other);
	im = moved_save();
	lab.snap->listeners[0].protos->codec = &changed.codec;
	to = moved_create(NULL);
	CU_ASSERT_EQUAL(moved_load(to, &im), -ENOENT);
	mt_proxy_destroy(to);
	mt_image_free(&im);
	lab.snap->listeners[0].protos->codec = &codec.codec;
	moved_to_another(NULL);
	answer(s, at, id, 0x41);
	got_answer(c, at, 0, 1, 0x41);
	stop(c);
}

const struct mt_test codec_data_tests[] = {
	{"calls", test_calls},
	{"one call at a time", test_serial},
	{"one call at a time, a late reply", test_serial_late},
	{"one call at a time, replies of others", test_serial_others},
	{"one call at a time, answered one-way calls", test_serial_oneway},
	{"native errors", test_native_errors},
	{"no native errors", test_no_native_errors},
	{"no room for ids", test_no_room_for_ids},
	{"names of what servers need not execute", test_other_names},
	{"heartbeats", test_heartbeats},
	{"reloaded alike", test_reloaded_alike},
	{"changed", test_changed},
	{"changed with its rules", test_changed_rules},
	{"image", test_image},
	{0},
};
