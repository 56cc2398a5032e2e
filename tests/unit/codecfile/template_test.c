/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of Meltemi's own: the errors that real clients have accepted, byte by byte, and others
 * that decode to what they should be.
 */
#include "codecfile_test.h"

#include <errno.h>
#include <stdio.h>

static const char *at_file;

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		bool ok_ = (x);                                                                    \
                                                                                                   \
		CU_ASSERT(ok_);                                                                    \
		if (!ok_)                                                                          \
			fprintf(stderr, "%s: %s (line %d)\n", at_file, #x, __LINE__);              \
	} while (0)

struct wanted {
	const char *name;
	struct line l;
	bool found;
};

static void pick(const struct mt_codec_table *t, const struct line *l, void *arg)
{
	struct wanted *w = arg;

	if (w->found || strcmp(l->name, w->name) != 0)
		return;
	w->l = *l;
	w->found = true;
}

static const struct line *line_named(
	const struct mt_codec_table *t, const char *file, const char *name)
{
	static struct wanted w;

	w = (struct wanted){.name = name};
	lines_each(file, pick, t, &w);
	CU_ASSERT_FATAL(w.found);
	return &w.l;
}

/* What lib/codec keeps of a request or heartbeat of the file's messages; NULL: nothing. */
static struct mt_seed seed_of(const struct mt_codec_table *t, const char *file, const char *name)
{
	struct mt_seed seed = {0};
	const struct line *l;
	struct mt_chain c = {0};
	struct mt_msg msg;

	if (!name)
		return seed;
	l = line_named(t, file, name);
	env_append(&c, l->bytes, l->n, 3);
	CU_ASSERT_EQUAL(env_decode(&t->codec, l->dir, &c, &msg), MT_DECODE_DONE);
	t->codec.correlate.save(&t->codec, &msg, &c, &seed);
	mt_chain_free(&c);
	return seed;
}

static void print(const struct mt_chain *c)
{
	uint8_t b[MT_CT_TEMPLATE_MAX];

	mt_chain_read(c, 0, b, c->len);
	for (uint32_t i = 0; i < c->len; i++)
		fprintf(stderr, "%02x", b[i]);
	fputc('\n', stderr);
}

static uint32_t unhex(const char *hex, uint8_t to[1024])
{
	uint32_t n = 0;
	unsigned int b;
	int used;

	for (; n < 1024 && sscanf(hex, "%2x%n", &b, &used) == 1; hex += used)
		to[n++] = (uint8_t)b;
	return n;
}

static bool is_hex(const struct mt_chain *c, const char *hex)
{
	uint8_t want[1024];

	if (env_equal(c, want, unhex(hex, want)))
		return true;
	print(c);
	return false;
}

/* ---- local replies --------------------------------------------------------------------------- */

/* Replies of which protocols.md tells that the real client raised the expected error. */
static void accepted(void)
{
	static const struct {
		const char *file, *sample, *request;
		uint64_t id;
		enum mt_local_reply what;
		const char *text;
	} rows[] = {
		{"bolt", "bolt-PROXY-error-reply-verified", "sofabolt-v1-request", 1,
			MT_REPLY_CONN_LOST, ""},
		{"brpc", "brpc-PROXY-error-reply-verified", NULL, 0, MT_REPLY_NO_ROUTE,
			"no healthy upstream"},
		{"dubbo2", "dubbo-PROXY-error-reply-verified", NULL, 0x10da06de5aa807b3,
			MT_REPLY_NO_ENDPOINT, "no healthy upstream 80"},
		{"motan", "motan2-PROXY-error-reply-verified", "motan2-simple-request-hello",
			0x1a1f7c28cd500001, MT_REPLY_NO_ENDPOINT, "no healthy upstream"},
		{"tars", "tars-PROXY-error-reply-verified", "tars-request-getUsrName", 2,
			MT_REPLY_NO_ROUTE, "no healthy upstream"},
		{"trpc", "trpc-PROXY-error-reply-verified", NULL, 1, MT_REPLY_NO_ROUTE,
			"no healthy upstream"},
		{"thrift_framed_binary", "thrift-framed-binary-exception",
			"thrift-framed-binary-call", 0x01020304, MT_REPLY_NO_ENDPOINT,
			"no healthy upstream"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const struct mt_codec_table *t;
		const struct line *l;
		struct mt_region region;
		struct mt_chain out = {0};
		struct mt_seed seed;

		at_file = rows[i].file;
		mt_region_init(&region, 0);
		t = file_compile(&region, rows[i].file);
		seed = seed_of(t, rows[i].file, rows[i].request);
		seed.id = rows[i].id;
		CHECK(t->codec.write.reply(
			      &t->codec, &seed, rows[i].what, rows[i].text, &out, &env_pools) == 0);
		l = line_named(t, rows[i].file, rows[i].sample);
		CHECK(env_equal(&out, l->bytes, l->n));
		if (!env_equal(&out, l->bytes, l->n))
			print(&out);
		mt_chain_free(&out);
		mt_region_fini(&region);
	}
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* By name of the request in the file's messages. */
static void bytes(void)
{
	static const struct {
		const char *file, *request;
		enum mt_local_reply what;
		const char *text, *hex;
	} rows[] = {
		/* places of the request, and numbers of it */
		{"awesome", "request", MT_REPLY_TIMEOUT, "slow", NULL},
		/* a length that counts itself in two bytes */
		{"varint", "publish", MT_REPLY_TIMEOUT, "slow",
			"4008"
			"0004"
			"736c6f77"
			"0102"},
		/* texts, escaped so that no line ends in them */
		{"commands", "get", MT_REPLY_NO_ROUTE, "a\r\nb\x80",
			"455252203137203430342061202062"
			"3f0d0a"},
		{"commands", "get", MT_REPLY_DENIED, "by policy",
			"455252203137203430332064656e6965640d0a"},
		/* words of four bytes, an exclusive or; the variant of the request */
		{"variants", "words", MT_REPLY_TIMEOUT, "",
			"a101010400000005"
			"01000000"},
		{"variants", "fixed", MT_REPLY_TIMEOUT, "",
			"a20105000000000000000"
			"0a8"},
		{"variants", "lines", MT_REPLY_TIMEOUT, "", "4241434b2c360a"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		const struct mt_codec_table *t;
		struct mt_region region;
		struct mt_chain out = {0};
		struct mt_seed seed;

		at_file = rows[i].file;
		mt_region_init(&region, 0);
		t = file_compile(&region, rows[i].file);
		seed = seed_of(t, rows[i].file, rows[i].request);
		CHECK(t->codec.write.reply(
			      &t->codec, &seed, rows[i].what, rows[i].text, &out, &env_pools) == 0);
		if (rows[i].hex)
			CHECK(is_hex(&out, rows[i].hex));
		mt_chain_free(&out);
		mt_region_fini(&region);
	}
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* Each request of the files gets a reply of its id and variant, for each reason. */
struct answered {
	uint32_t requests, replies;
};

static void answer(const struct mt_codec_table *t, const struct line *l, void *arg)
{
	struct answered *n = arg;
	struct mt_chain c = {0}, out = {0};
	struct mt_seed seed = {0};
	struct mt_msg msg, reply;
	uint32_t had;

	if (strcmp(l->kind, "request") != 0)
		return;
	had = n->replies;
	n->requests++;
	env_append(&c, l->bytes, l->n, 5);
	CHECK(env_decode(&t->codec, l->dir, &c, &msg) == MT_DECODE_DONE);
	t->codec.correlate.save(&t->codec, &msg, &c, &seed);
	for (uint32_t what = 0; what < MT_REPLY_N; what++) {
		int rc = t->codec.write.reply(&t->codec, &seed, (enum mt_local_reply)what,
			"\"why\"\n\\", &out, &env_pools);

		CHECK(rc == 0 || rc == -ENOTSUP);
		if (rc)
			continue;
		n->replies++;
		CHECK(env_decode(&t->codec, MT_DIR_UP, &out, &reply) == MT_DECODE_DONE);
		CHECK(reply.len == out.len && reply.kind == MT_MSG_REPLY && !reply.refuse);
		CHECK(reply.id == msg.id && reply.variant == msg.variant);
		mt_chain_free(&out);
	}
	/* A variant can have no replies, such as Motan 1. */
	CHECK(n->replies == had || n->replies == had + MT_REPLY_N);
	mt_chain_free(&c);
}

static void every_request(void)
{
	const char *const *names = file_names();
	uint32_t files = 0;

	for (; *names; names++) {
		struct answered n = {0};
		const struct mt_codec_table *t;
		struct mt_region region;

		at_file = *names;
		mt_region_init(&region, 0);
		t = file_compile(&region, *names);
		if (t->codec.write.reply) {
			lines_each(*names, answer, t, &n);
			CHECK(n.requests > 0 && n.replies > 0);
			files++;
		}
		mt_region_fini(&region);
	}
	CU_ASSERT(files >= 16);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/*
 * A refusal is known by its mark where the reply's text begins, and not by one that a server has
 * read in the request and writes further on, or with another code.
 */
static void refused(const struct mt_codec_table *t, const struct mt_seed *seed,
	enum mt_local_reply what, const char *text, uint32_t *n)
{
	const struct mt_codec *codec = &t->codec;
	struct mt_chain out = {0};
	struct mt_msg msg;
	uint8_t b[MT_CT_TEMPLATE_MAX], *at;

	if (codec->write.reply(codec, seed, what, text, &out, &env_pools))
		return;
	CHECK(env_decode(codec, MT_DIR_UP, &out, &msg) == MT_DECODE_DONE);
	mt_chain_read(&out, 0, b, out.len);
	at = memmem(b, out.len, text, strlen(text));
	if (msg.status == MT_STATUS_SERVER_ERROR && at) {
		CHECK(mt_codec_classify(codec, &msg, &out) == MT_STATUS_REFUSED);
		CHECK(mt_chain_patch(&out, (uint32_t)(at - b), "n", 1, &env_pools) == 0);
		++*n;
	}
	CHECK(mt_codec_classify(codec, &msg, &out) != MT_STATUS_REFUSED);
	mt_chain_free(&out);
}

static void refuse(const struct mt_codec_table *t, const struct line *l, void *arg)
{
	struct mt_chain c = {0};
	struct mt_seed seed = {0};
	struct mt_msg msg;

	if (strcmp(l->kind, "request") != 0)
		return;
	env_append(&c, l->bytes, l->n, 0);
	CHECK(env_decode(&t->codec, l->dir, &c, &msg) == MT_DECODE_DONE);
	t->codec.correlate.save(&t->codec, &msg, &c, &seed);
	refused(t, &seed, MT_REPLY_DENIED, "meltemi: no meltemi: no", arg);
	refused(t, &seed, MT_REPLY_OVER_LIMIT, "meltemi: more than 31 bytes, meltemi: no", arg);
	refused(t, &seed, MT_REPLY_OVERLOAD, "meltemi: overload meltemi: no", arg);
	mt_chain_free(&c);
}

static void refusals(void)
{
	const struct mt_seed seed = {.id = 7};
	const struct mt_codec_table *t;
	struct mt_region region;
	struct mt_chain out = {0};
	struct mt_msg msg;
	uint32_t files = 0;

	for (const char *const *name = file_names(); *name; name++) {
		uint32_t n = 0;

		at_file = *name;
		mt_region_init(&region, 0);
		t = file_compile(&region, *name);
		if (t->codec.write.reply)
			lines_each(*name, refuse, t, &n);
		files += n > 0;
		mt_region_fini(&region);
	}
	CU_ASSERT(files >= 8);
	mt_region_init(&region, 0);
	t = file_compile(&region, "trpc");
	CU_ASSERT_EQUAL(t->codec.write.reply(&t->codec, &seed, MT_REPLY_NO_ROUTE,
				"meltemi: x is not known", &out, &env_pools),
		0);
	CU_ASSERT_EQUAL(env_decode(&t->codec, MT_DIR_UP, &out, &msg), MT_DECODE_DONE);
	CU_ASSERT(mt_codec_classify(&t->codec, &msg, &out) != MT_STATUS_REFUSED);
	mt_chain_free(&out);
	mt_region_fini(&region);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* ---- refusals with checksums ------------------------------------------------------------------ */

#define SUMMED(places, from, constant)                                                             \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: summed}\nspec:\n"                \
	"  calls: multiplexed\n  places:\n    total: {at: 0, size: 2}\n"                           \
	"    id: {at: 2, size: 4}\n    version: {at: 6, size: 1}\n" places                         \
	"  frame: {length: total, max: 1000}\n  messages:\n  - {is: request, from: client}\n"      \
	"  - {is: reply, from: server}\n  id: id\n  status: {place: code, ok: 0, other: server}\n" \
	"  checksums: {place: sum, algorithm: sum16, from: " from "}\n  localReplies:\n"           \
	"    write: [{length: all, size: 2}, {value: id, size: 4}, {hex: \"" constant              \
	"\"}, {value: code, size: 1}, {value: message}, {hex: \"0000\"}]\n    codes: {default: "   \
	"7}\n"

#define SUM_AT_END  "    code: {at: 7, size: 1}\n    sum: {at: -2, size: 2}\n"
#define SUM_IN_HEAD "    sum: {at: 7, size: 2}\n    code: {at: 9, size: 1}\n"
#define SUM_BEHIND                                                                                 \
	"    name: {at: 7, count: 1}\n    sum: {after: name, size: 2}\n"                           \
	"    code: {at: 10, size: 1}\n"

/* A refusal has the constant parts of a local reply, apart from the bytes of checksums. */
static void summed_refusals(void)
{
	static const struct {
		const char *document;
		uint32_t at; /* of a byte that is changed */
		enum mt_msg_status status;
	} rows[] = {
		{SUMMED(SUM_AT_END, "7", "01"), 6, MT_STATUS_SERVER_ERROR},
		{SUMMED(SUM_IN_HEAD, "9", "01 0000"), 6, MT_STATUS_SERVER_ERROR},
		/* The reply has the checksum there. */
		{SUMMED(SUM_IN_HEAD, "9", "01 0000"), 8, MT_STATUS_REFUSED},
		/* Only decode() knows where the checksum is, so that each byte may be one of it. */
		{SUMMED(SUM_BEHIND, "10", "01 00 0000"), 6, MT_STATUS_REFUSED},
		{SUMMED(SUM_BEHIND, "10", "01 00 0000"), 9, MT_STATUS_REFUSED},
	};
	const struct mt_seed seed = {.id = 1};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_chain out = {0};
		const struct mt_codec *codec;
		struct mt_region region;
		struct mt_msg msg;

		at_file = rows[i].document;
		mt_region_init(&region, 0);
		codec = &file_compile(&region, rows[i].document)->codec;
		CU_ASSERT_EQUAL_FATAL(
			codec->write.reply(codec, &seed, MT_REPLY_DENIED, "no", &out, &env_pools),
			0);
		CHECK(env_decode(codec, MT_DIR_UP, &out, &msg) == MT_DECODE_DONE && !msg.refuse);
		CHECK(mt_codec_classify(codec, &msg, &out) == MT_STATUS_REFUSED);
		CHECK(mt_chain_patch(&out, rows[i].at, "\xee", 1, &env_pools) == 0);
		CHECK(mt_codec_classify(codec, &msg, &out) == rows[i].status);
		mt_chain_free(&out);
		mt_region_fini(&region);
	}
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* A text of the request that is too long is not cut: the connection is closed instead. */
static void too_long(void)
{
	static const uint8_t head[] = {0x80, 1, 0, 1, 0, 0, 0, 61};
	const struct mt_codec_table *t;
	struct mt_region region;
	struct mt_chain c = {0}, out = {0};
	struct mt_seed seed = {0};
	struct mt_msg msg;
	uint8_t b[4 + sizeof(head) + 61 + 5] = {0, 0, 0, sizeof(b) - 4};

	memcpy(b + 4, head, sizeof(head));
	memset(b + 4 + sizeof(head), 'm', 61);
	mt_region_init(&region, 0);
	t = file_compile(&region, "thrift_framed_binary");
	env_append(&c, b, sizeof(b), 0);
	CU_ASSERT_EQUAL(env_decode(&t->codec, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
	t->codec.correlate.save(&t->codec, &msg, &c, &seed);
	CU_ASSERT_EQUAL(
		t->codec.write.reply(&t->codec, &seed, MT_REPLY_TIMEOUT, "slow", &out, &env_pools),
		-ENOTSUP);
	CU_ASSERT_EQUAL(out.len, 0);
	mt_chain_free(&c);
	mt_region_fini(&region);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

static void no_memory(void)
{
	const struct mt_codec_table *t;
	struct mt_region region;
	struct mt_chain out = {0};
	struct mt_seed seed = {.id = 1};

	mt_region_init(&region, 0);
	t = file_compile(&region, "trpc");
	env_starve(0);
	CU_ASSERT_EQUAL(
		t->codec.write.reply(&t->codec, &seed, MT_REPLY_TIMEOUT, "slow", &out, &env_pools),
		-ENOMEM);
	env_release();
	CU_ASSERT_EQUAL(out.len, 0);
	mt_region_fini(&region);
}

/* ---- heartbeats, goaway ----------------------------------------------------------------------- */

struct beat {
	const char *file, *heartbeat, *answer;
};

/* Meltemi's heartbeat, or that of a client where it has none, and the answer to it. */
static void beat(const struct beat *b)
{
	const struct mt_codec *codec;
	struct mt_region region;
	struct mt_chain own = {0}, answer = {0};
	struct mt_msg msg;
	uint8_t peers[1024];

	at_file = b->file;
	mt_region_init(&region, 0);
	codec = &file_compile(&region, b->file)->codec;
	if (codec->write.heartbeat)
		CHECK(codec->write.heartbeat(codec, 7, &own, &env_pools) == 0);
	else
		env_append(&own, peers, unhex(b->heartbeat, peers), 0);
	CHECK(is_hex(&own, b->heartbeat));
	CHECK(env_decode(codec, MT_DIR_DOWN, &own, &msg) == MT_DECODE_DONE);
	CHECK(codec->write.heartbeat_reply(codec, &msg, &own, &answer, &env_pools) == 0);
	CHECK(is_hex(&answer, b->answer));
	CHECK(codec->heartbeat_s == 60);
	mt_chain_free(&own);
	mt_chain_free(&answer);
	mt_region_fini(&region);
}

static void beats(void)
{
	static const struct beat rows[] = {
		/* of variants, which have no heartbeat of Meltemi's own */
		{"bolt",
			"0101000001"
			"00000007"
			"01ffffffff0000000000000000",
			"0100000001"
			"00000007"
			"010000000000000"
			"0000000"},
		{"bolt",
			"0202010000"
			"0100000007"
			"0b00ffffffff0000000000000000",
			"0202000000"
			"0100000007"
			"0b000000000000000000"
			"0000"},
		{"dubbo2",
			"dabbe200"
			"0000000000000007"
			"000000014e",
			"dabb2214"
			"0000000000000007"
			"000000014e"},
		{"motan",
			"f1f10000"
			"0000000000000007"
			"0000004ef0f00100"
			"0000000000000007"
			"0000003eaced0005"
			"7738"
			"0021636f6d2e776569626f2e6170692e6d6f74616e2e7270632e686561727462656174"
			"0009686561727462656174"
			"0004766f6964"
			"00000000",
			"f1f10001"
			"0000000000000007"
			"0000001ef0f0010b"
			"0000000000000007"
			"0000000eaced0005"
			"7708"
			"0000000000000000"},
		{"motan",
			"f1f1100830"
			"0000000000000007"
			"0000000000000000",
			"f1f1110808"
			"0000000000000007"
			"0000000000000000"},
		{"commands", "50494e470d0a", "504f4e470d0a"},
		{"varint", "c000", "d000"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		beat(&rows[i]);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* Only servers send heartbeats, so that the answer is a client's message. */
static void server_beats(void)
{
	static const char doc[] =
		"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: beats}\nspec:\n"
		"  calls: serial\n  places: {kind: {at: 0, size: 1}}\n  frame: {size: 1, max: 1}\n"
		"  messages:\n  - {is: request, from: client, when: {kind: 1}}\n"
		"  - {is: reply, from: server, when: {kind: 2}}\n"
		"  - {is: heartbeat, from: server, when: {kind: 3}}\n"
		"  - {is: heartbeat-reply, from: client, when: {kind: 4}}\n"
		"  heartbeat: {answer: [{place: kind, add: 1}]}\n"
		"  samples: {from: server, is: heartbeat, hex: \"03\"}\n";
	static const char fixed[] = "[{hex: \"04\"}]", copied[] = "[{place: kind, add: 1}]";
	char other[sizeof(doc)];
	const char *at = strstr(doc, copied);

	snprintf(
		other, sizeof(other), "%.*s%s%s", (int)(at - doc), doc, fixed, at + strlen(copied));
	for (int i = 0; i < 2; i++) {
		const struct mt_codec *codec;
		struct mt_region region;
		struct mt_chain c = {0}, out = {0};
		struct mt_msg msg;

		at_file = i ? other : doc;
		mt_region_init(&region, 0);
		codec = &file_compile(&region, at_file)->codec;
		env_append(&c, (const uint8_t *)"\3", 1, 0);
		CHECK(env_decode(codec, MT_DIR_UP, &c, &msg) == MT_DECODE_DONE);
		CHECK(codec->write.heartbeat_reply(codec, &msg, &c, &out, &env_pools) == 0);
		CHECK(is_hex(&out, "04"));
		/* It has none of its own. */
		CHECK(!codec->write.heartbeat);
		mt_chain_free(&c);
		mt_chain_free(&out);
		mt_region_fini(&region);
	}
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* Heartbeats are calls: their answers are replies, and Meltemi's own has an id that no call has. */
static void calls_as_beats(void)
{
	static const char doc[] =
		"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: beats}\nspec:\n"
		"  calls: multiplexed\n  places: {kind: {at: 0, size: 1}, id: {at: 1, size: 4}}\n"
		"  frame: {size: 5, max: 5}\n  messages:\n"
		"  - {is: heartbeat, from: client, when: {kind: 3}}\n"
		"  - {is: request, from: client}\n"
		"  - {is: heartbeat-reply, from: server, when: {id: 1}}\n"
		"  - {is: reply, from: server}\n  id: id\n"
		"  heartbeat: {send: [{hex: \"03 00000001\"}],\n"
		"    answer: [{hex: 02}, {value: id, size: 4}]}\n";
	const struct mt_codec *codec;
	struct mt_region region;
	struct mt_chain own = {0}, theirs = {0}, answer = {0};
	struct mt_msg msg;

	at_file = "beats";
	mt_region_init(&region, 0);
	codec = &file_compile(&region, doc)->codec;
	CHECK(codec->write.heartbeat(codec, codec->id_min, &own, &env_pools) == 0);
	CHECK(is_hex(&own, "0300000001"));
	env_append(&theirs, (const uint8_t *)"\3\0\0\0\5", 5, 0);
	CHECK(env_decode(codec, MT_DIR_DOWN, &theirs, &msg) == MT_DECODE_DONE);
	CHECK(msg.kind == MT_MSG_HEARTBEAT);
	CHECK(codec->write.heartbeat_reply(codec, &msg, &theirs, &answer, &env_pools) == 0);
	CHECK(is_hex(&answer, "0200000005"));
	mt_chain_free(&own);
	mt_chain_free(&theirs);
	mt_chain_free(&answer);
	mt_region_fini(&region);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

static void goaway(void)
{
	const struct mt_codec *codec;
	struct mt_region region;
	struct mt_chain out = {0};

	at_file = "dubbo2";
	mt_region_init(&region, 0);
	codec = &file_compile(&region, at_file)->codec;
	CHECK(codec->write.goaway(codec, 9, &out, &env_pools) == 0);
	CHECK(is_hex(&out, "dabba200"
			   "0000000000000009"
			   "000000020152"));
	mt_chain_free(&out);
	/* A file without templates closes connections instead. */
	codec = &file_compile(&region, "mongodb")->codec;
	CU_ASSERT(!codec->write.reply && !codec->write.heartbeat && !codec->write.heartbeat_reply &&
		  !codec->write.goaway);
	mt_region_fini(&region);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* Numbers of a request are written as they were: with the minus of digits, and as high in binary. */
static void negative(void)
{
	static const char doc[] =
		"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: negative}\nspec:\n"
		"  calls: multiplexed\n  places:\n    high: {at: 0, size: 8}\n"
		"    line: {at: 8, until: \"\\n\", holds: json}\n"
		"    id: {in: line, find: id, type: number}\n"
		"    seq: {in: line, find: seq, type: number}\n"
		"  frame: {end: line, max: 255}\n  messages:\n"
		"  - {is: request, from: client}\n  - {is: reply, from: server}\n  id: id\n"
		"  localReplies:\n    codes: {default: -7}\n    write:\n"
		"    - text: 'meltemi {\"id\":'\n    - {value: id, as: decimal}\n"
		"    - text: ',\"a\":'\n    - {value: code, as: decimal}\n"
		"    - text: ',\"b\":\"'\n    - {value: code, as: decimal, size: 5}\n"
		"    - text: '\",\"c\":'\n    - {place: seq}\n"
		"    - text: ',\"d\":'\n    - {place: high, as: decimal}\n    - hex: 7d0a\n"
		"  samples:\n  - {from: client, is: request, text: \"meltemi "
		"{\\\"id\\\":1,\\\"seq\\\":2}\\n\"}\n";
	static const char request[] = "\377\377\377\377\377\377\377\377{\"id\":-5,\"seq\":-60}\n";
	static const char want[] = "meltemi {\"id\":-5,\"a\":-7,\"b\":\"-0007\",\"c\":-60,"
				   "\"d\":18446744073709551615}\n";
	const uint8_t *p = (const uint8_t *)request;
	const struct mt_codec_table *t;
	uint8_t bytes[MT_CT_TEMPLATE_MAX];
	struct mt_seed seed = {0};
	struct mt_region region;
	struct mt_msg msg;

	at_file = "negative";
	mt_region_init(&region, 0);
	t = file_compile(&region, doc);
	CHECK(!mt_codec_table_decode(t, MT_DIR_DOWN, p, sizeof(request) - 1, &msg));
	mt_codec_table_seed(t, &msg, p, &seed);
	CHECK(mt_codec_table_write(t, MT_CT_USE_REPLY, &seed, MT_REPLY_TIMEOUT, "", bytes) ==
		sizeof(want) - 1);
	CHECK(memcmp(bytes, want, sizeof(want) - 1) == 0);
	mt_region_fini(&region);
}

const struct mt_test template_tests[] = {{"accepted", accepted}, {"negative", negative},
	{"bytes", bytes}, {"every request", every_request}, {"refusals", refusals},
	{"summed refusals", summed_refusals}, {"too long", too_long}, {"no memory", no_memory},
	{"heartbeats", beats}, {"server's heartbeats", server_beats},
	{"calls as heartbeats", calls_as_beats}, {"goaway", goaway}, {0}};
