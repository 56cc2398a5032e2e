/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_test.h"

#include <errno.h>

#include "../../../lib/codec/thrift/thrift.h"

#define HELLO "method=hello service=- svc=-"
#define FIRE  "method=fire service=- svc=-"
#define SEQID 0x01020304
#define OUT   MT_DIR_UP
#define IN    MT_DIR_DOWN

static const struct expect vectors[] = {
	{"thrift/framed-binary-call", IN, MT_MSG_REQUEST, 0, 0, SEQID, HELLO},
	{"thrift/framed-binary-oneway", IN, MT_MSG_ONEWAY, 0, 0, 7, FIRE},
	{"thrift/framed-binary-reply", OUT, MT_MSG_REPLY, 0, 0, SEQID, ""},
	{"thrift/framed-binary-exception", OUT, MT_MSG_REPLY, MT_STATUS_SERVER_ERROR, 0, SEQID, ""},
	{"thrift/framed-binary-multiplexed-call", IN, MT_MSG_REQUEST, 0, 0, 9,
		"method=hello service=DemoSvc"},
	{"thrift/framed-compact-call", IN, MT_MSG_REQUEST, 0, 0, SEQID, HELLO},
	{"thrift/framed-compact-oneway", IN, MT_MSG_ONEWAY, 0, 0, 7, FIRE},
	{"thrift/framed-compact-reply", OUT, MT_MSG_REPLY, 0, 0, SEQID, ""},
	{"thrift/framed-compact-exception", OUT, MT_MSG_REPLY, MT_STATUS_SERVER_ERROR, 0, SEQID,
		""},
	{"thrift/theader-binary-call", IN, MT_MSG_REQUEST, 0, 0, 0xa0b,
		"method=hello service=- svc=demo other=-"},
	{"thrift/theader-compact-call", IN, MT_MSG_REQUEST, 0, 0, 0xa0b, "method=hello svc=demo"},
	{"thrift/theader-binary-reply", OUT, MT_MSG_REPLY, 0, 0, 0, "svc=-"},
	{"thrift/theader-compact-reply", OUT, MT_MSG_REPLY, 0, 0, 0, "svc=-"},
	{"thrift/unframed-binary-call", IN, MT_MSG_REQUEST, 0, 0, SEQID, HELLO},
	{"thrift/unframed-binary-oneway", IN, MT_MSG_ONEWAY, 0, 0, 7, FIRE},
	{"thrift/unframed-binary-reply", OUT, MT_MSG_REPLY, 0, 0, SEQID, ""},
	{"thrift/unframed-binary-exception", OUT, MT_MSG_REPLY, MT_STATUS_SERVER_ERROR, 0, SEQID,
		""},
	{"thrift/unframed-binary-old-call", IN, MT_MSG_REQUEST, 0, 0, SEQID, HELLO},
	{"thrift/unframed-binary-old-oneway", IN, MT_MSG_ONEWAY, 0, 0, 7, FIRE},
	{"thrift/unframed-binary-old-reply", OUT, MT_MSG_REPLY, 0, 0, SEQID, ""},
	{"thrift/unframed-binary-old-exception", OUT, MT_MSG_REPLY, MT_STATUS_SERVER_ERROR, 0,
		SEQID, ""},
};

/* A frame without a message is swallowed. */
static const struct expect empty = {"thrift/theader-empty", OUT, MT_MSG_EVENT, .meta = "svc=-"};

static void decode_vectors(void)
{
	env_expect(&mt_codec_thrift, &empty);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(vectors); i++)
		env_expect(&mt_codec_thrift, &vectors[i]);
}

static void ids(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(vectors); i++) {
		env_round_trip(&mt_codec_thrift, &vectors[i], mt_codec_thrift.id_min);
		env_round_trip(&mt_codec_thrift, &vectors[i], mt_codec_thrift.id_max);
		env_round_trip(&mt_codec_thrift, &vectors[i], 1);
	}
}

/* Ids that Meltemi draws have one width, whatever the client's had. */
static void constant_width(void)
{
	uint8_t p[THRIFT_VARINT32];

	CU_ASSERT_EQUAL(thrift_put_varint(p, (uint32_t)mt_codec_thrift.id_min), 4);
	CU_ASSERT_EQUAL(thrift_put_varint(p, (uint32_t)mt_codec_thrift.id_max), 4);
	CU_ASSERT_EQUAL(mt_codec_thrift.id_min % 4096, 0);
	CU_ASSERT_EQUAL((mt_codec_thrift.id_max + 1) % 4096, 0);
}

/* A THeader block too long to be rewritten in one piece. */
static void long_theader(void)
{
	uint8_t p[VECTOR_MAX], big[VECTOR_MAX];
	uint32_t n = env_vector("thrift/theader-compact-call", p), extra = 400;

	memcpy(big, p, 30);
	memset(big + 30, 0, extra);
	memcpy(big + 30 + extra, p + 30, n - 30);
	n += extra;
	mt_put_be32(big, n - 4);
	big[THEADER_WORDS + 1] += extra / 4;
	for (uint32_t piece = 0; piece < 40; piece++) {
		struct mt_chain c = {0};
		struct mt_msg msg, again;
		struct mt_seed seed = {0};

		env_append(&c, big, n, piece);
		CU_ASSERT_EQUAL(env_decode(&mt_codec_thrift, IN, &c, &msg), MT_DECODE_DONE);
		mt_codec_thrift.correlate.save(&mt_codec_thrift, &msg, &c, &seed);
		CU_ASSERT_EQUAL(
			mt_codec_set_id(&mt_codec_thrift, &msg, &c, 1 << 27, &env_pools), 0);
		CU_ASSERT_EQUAL(env_decode(&mt_codec_thrift, IN, &c, &again), MT_DECODE_DONE);
		CU_ASSERT_EQUAL(again.id, 1 << 27);
		CU_ASSERT_EQUAL(again.aux32, 1 << 27);
		CU_ASSERT_STRING_EQUAL(env_meta(&mt_codec_thrift, &again, &c, "svc"), "demo");
		CU_ASSERT_EQUAL(
			mt_codec_restore_id(&mt_codec_thrift, &again, &c, &seed, &env_pools), 0);
		CU_ASSERT(env_equal(&c, big, n));
		mt_chain_free(&c);
	}
}

/* The vector's bytes with other infos behind the block's protocol and number of transforms. */
static uint32_t with_infos(const char *vector, const uint8_t infos[14], uint8_t *p)
{
	uint32_t n = env_vector(vector, p);

	CU_ASSERT_EQUAL(p[THEADER_WORDS + 1] * 4, 2 + 14);
	memcpy(p + THEADER_FIXED + 2, infos, 14);
	return n;
}

/* A server keeps persistent infos for its connection: they are refused, wherever they stand. */
static void persistent_infos(void)
{
	static const struct {
		uint8_t infos[14];
		bool refused;
	} blocks[] = {
		{{1, 1, 3, 's', 'v', 'c', 4, 'd', 'e', 'm', 'o'}, false},
		{{2, 1, 3, 's', 'v', 'c', 4, 'd', 'e', 'm', 'o'}, true},
		{{1, 1, 1, 'a', 1, 'b', 2, 1, 1, 'c', 1, 'd'}, true},
		{{1, 0, 2, 1, 1, 'c', 1, 'd'}, true},
		{{1, 1, 1, 'a', 0, 2}, true},
		{{0, 2, 1, 1, 'c', 1, 'd'}, false}, /* padding ends them, as what follows does */
		{{3, 2, 1, 1, 'c', 1, 'd'}, false},
		{{1, 9, 1, 'a', 1, 'b', 2, 'c', 'd', 0, 0, 2}, false},
		{{1, 1, 99, 2, 2, 2}, false},
		{{0x81, 0x80, 0x80, 0x80, 0x80, 2}, false},
	};
	uint8_t p[VECTOR_MAX];

	for (uint32_t i = 0; i < MT_ARRAY_LEN(blocks); i++)
		for (uint32_t piece = 0; piece < 20; piece++) {
			uint32_t n = with_infos("thrift/theader-binary-call", blocks[i].infos, p);
			struct mt_chain c = {0};
			struct mt_msg msg;

			env_append(&c, p, n, piece);
			CU_ASSERT_EQUAL(env_decode(&mt_codec_thrift, IN, &c, &msg), MT_DECODE_DONE);
			CU_ASSERT_EQUAL(
				msg.refuse, blocks[i].refused ? 1 + MT_REPLY_UNSUPPORTED : 0);
			CU_ASSERT_EQUAL(msg.kind, MT_MSG_REQUEST);
			CU_ASSERT_EQUAL(msg.len, n);
			CU_ASSERT_STRING_EQUAL(
				env_meta(&mt_codec_thrift, &msg, &c, "method"), "hello");
			mt_chain_free(&c);
		}
}

/* Native errors that answer a call are the bytes which the Apache library writes. */
static const struct {
	const char *call, *error;
} replies[] = {
	{"thrift/framed-binary-call", "thrift/framed-binary-exception"},
	{"thrift/framed-compact-call", "thrift/framed-compact-exception"},
	{"thrift/unframed-binary-call", "thrift/unframed-binary-exception"},
	{"thrift/unframed-binary-old-call", "thrift/unframed-binary-old-exception"},
};

/* Error replies to calls of clients, and of servers. */
static void error_replies(void)
{
	for (uint32_t k = 0; k < 2 * MT_ARRAY_LEN(replies); k++) {
		uint32_t i = k / 2;
		struct mt_chain c = {0}, out = {0};
		struct mt_seed seed = {0};
		struct mt_msg msg;
		uint8_t p[VECTOR_MAX];
		uint32_t n = env_vector(replies[i].call, p);

		env_append(&c, p, n, 0);
		CU_ASSERT_EQUAL(env_decode(&mt_codec_thrift, k % 2 ? MT_DIR_UP : IN, &c, &msg),
			MT_DECODE_DONE);
		CU_ASSERT_EQUAL(msg.kind, MT_MSG_REQUEST);
		mt_codec_thrift.correlate.save(&mt_codec_thrift, &msg, &c, &seed);
		CU_ASSERT_EQUAL(
			mt_codec_thrift.write.reply(&mt_codec_thrift, &seed, MT_REPLY_NO_ENDPOINT,
				"no healthy upstream", &out, &env_pools),
			0);
		n = env_vector(replies[i].error, p);
		CU_ASSERT(env_equal(&out, p, n));
		mt_chain_free(&out);
		mt_chain_free(&c);
	}
}

static void theader_reply(void)
{
	static const char *const calls[] = {
		"thrift/theader-binary-call", "thrift/theader-compact-call"};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(calls); i++) {
		struct mt_chain c = {0}, out = {0};
		struct mt_seed seed = {0};
		struct mt_msg msg;
		uint8_t p[VECTOR_MAX];
		uint32_t n = env_vector(calls[i], p);

		env_append(&c, p, n, 0);
		CU_ASSERT_EQUAL(env_decode(&mt_codec_thrift, IN, &c, &msg), MT_DECODE_DONE);
		mt_codec_thrift.correlate.save(&mt_codec_thrift, &msg, &c, &seed);
		CU_ASSERT_EQUAL(mt_codec_thrift.write.reply(&mt_codec_thrift, &seed,
					MT_REPLY_TIMEOUT, "timeout", &out, &env_pools),
			0);
		CU_ASSERT_EQUAL(env_decode(&mt_codec_thrift, OUT, &out, &msg), MT_DECODE_DONE);
		CU_ASSERT_EQUAL(msg.status, MT_STATUS_SERVER_ERROR);
		CU_ASSERT_EQUAL(msg.id, 0xa0b);
		CU_ASSERT_EQUAL(msg.aux32, 0xa0b);
		CU_ASSERT_EQUAL(msg.variant, seed.variant);
		CU_ASSERT_EQUAL(msg.len, out.len);
		mt_chain_free(&out);
		mt_chain_free(&c);
	}
}

/* A listed transform: the frame's end is known, the message is refused, the next one is served. */
static void transforms(void)
{
	static const uint8_t call[] = {
		0, 0, 0, 16, 0x0f, 0xff, 0, 0, 0, 0, 0, 5, 0, 1, 0, 1, 1, 0, 0x78, 0x9c};
	struct mt_chain c = {0}, out = {0};
	struct mt_seed seed = {0};
	struct mt_decoder d;
	struct mt_msg msg;

	env_append(&c, call, sizeof(call), 0);
	mt_decoder_init(&d, &mt_codec_thrift, IN, 0, &c);
	CU_ASSERT_EQUAL(mt_decoder_run(&d, &msg), MT_DECODE_DONE);
	CU_ASSERT_EQUAL(msg.refuse, 1 + MT_REPLY_UNSUPPORTED);
	CU_ASSERT_EQUAL(msg.len, sizeof(call));
	CU_ASSERT(msg.can_reply);
	mt_codec_thrift.correlate.save(&mt_codec_thrift, &msg, &c, &seed);
	CU_ASSERT_EQUAL(mt_codec_thrift.write.reply(&mt_codec_thrift, &seed, MT_REPLY_UNSUPPORTED,
				"no", &out, &env_pools),
		0);
	CU_ASSERT_EQUAL(env_decode(&mt_codec_thrift, OUT, &out, &msg), MT_DECODE_DONE);
	CU_ASSERT_EQUAL(msg.id, 5);
	mt_chain_free(&out);
	CU_ASSERT_EQUAL(env_decode(&mt_codec_thrift, OUT, &c, &msg), MT_DECODE_BAD);
	mt_chain_free(&c);
}

#define PROBE "__can__finagle__trace__v3__"

/* Finagle's probe, in each transport and protocol, and the exception that answers it. */
static void finagle_probe(void)
{
	static const struct {
		uint32_t n, n_reply;
		const char *call, *reply;
	} forms[] = {
#define FORM(call, reply) {sizeof(call) - 1, sizeof(reply) - 1, call, reply}
		FORM("\0\0\0\x28\x80\1\0\1\0\0\0\x1b" PROBE "\0\0\0\5\0",
			"\0\0\0\x40\x80\1\0\3\0\0\0\x1b" PROBE
			"\0\0\0\5\xb\0\1\0\0\0\xano method!\x8\0\2\0\0\0\1\0"),
		FORM("\x80\1\0\1\0\0\0\x1b" PROBE "\0\0\0\5\0",
			"\x80\1\0\3\0\0\0\x1b" PROBE
			"\0\0\0\5\xb\0\1\0\0\0\xano method!\x8\0\2\0\0\0\1\0"),
		FORM("\0\0\0\x25\0\0\0\x1b" PROBE "\1\0\0\0\5\0",
			"\0\0\0\x3d\0\0\0\x1b" PROBE
			"\3\0\0\0\5\xb\0\1\0\0\0\xano method!\x8\0\2\0\0\0\1\0"),
		FORM("\0\0\0\x1b" PROBE "\1\0\0\0\5\0",
			"\0\0\0\x1b" PROBE "\3\0\0\0\5\xb\0\1\0\0\0\xano method!\x8\0\2\0\0\0\1\0"),
		FORM("\0\0\0\x20\x82\x21\5\x1b" PROBE "\0",
			"\0\0\0\x2e\x82\x61\5\x1b" PROBE "\x18\xano method!\x15\2\0"),
		FORM("\x82\x21\5\x1b" PROBE "\0",
			"\x82\x61\5\x1b" PROBE "\x18\xano method!\x15\2\0"),
		FORM("\0\0\0\x36\xf\xff\0\0\0\0\0\5\0\1\0\0\0\0\x80\1\0\1\0\0\0\x1b" PROBE
		     "\0\0\0\5\0",
			"\0\0\0\x4e\xf\xff\0\0\0\0\0\5\0\1\0\0\0\0\x80\1\0\3\0\0\0\x1b" PROBE
			"\0\0\0\5\xb\0\1\0\0\0\xano method!\x8\0\2\0\0\0\1\0"),
#undef FORM
	};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(forms); i++)
		for (uint32_t piece = 0; piece < forms[i].n; piece++) {
			struct mt_chain c = {0}, out = {0};
			struct mt_seed seed = {0};
			struct mt_msg msg;

			env_append(&c, (const uint8_t *)forms[i].call, forms[i].n, piece);
			CU_ASSERT_EQUAL_FATAL(
				env_decode(&mt_codec_thrift, IN, &c, &msg), MT_DECODE_DONE);
			CU_ASSERT_EQUAL(msg.kind, MT_MSG_REQUEST);
			CU_ASSERT_EQUAL(msg.refuse, 1 + MT_REPLY_NO_UPGRADE);
			CU_ASSERT_EQUAL(msg.len, forms[i].n);
			mt_codec_thrift.correlate.save(&mt_codec_thrift, &msg, &c, &seed);
			CU_ASSERT_EQUAL(
				mt_codec_thrift.write.reply(&mt_codec_thrift, &seed,
					MT_REPLY_NO_UPGRADE, "no method!", &out, &env_pools),
				0);
			CU_ASSERT(
				env_equal(&out, (const uint8_t *)forms[i].reply, forms[i].n_reply));
			mt_chain_free(&out);
			mt_chain_free(&c);
		}
}

/* Names that are nearly the probe's are methods of servers. */
static void nearly_finagle_probe(void)
{
	static const char *const names[] = {"__can__finagle__trace__v2__",
		"__can__finagle__trace__v3_", "__can__finagle__trace__v3___",
		"x:__can__finagle__trace__v4__"};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(names); i++) {
		uint32_t len = (uint32_t)strlen(names[i]);
		struct mt_chain c = {0};
		struct mt_msg msg;

		env_append(&c, (const uint8_t *)"\x80\1\0\1\0\0\0", 7, 0);
		env_append(&c, (const uint8_t *)&(uint8_t){(uint8_t)len}, 1, 0);
		env_append(&c, (const uint8_t *)names[i], len, 0);
		env_append(&c, (const uint8_t *)"\0\0\0\5\0", 5, 0);
		CU_ASSERT_EQUAL(env_decode(&mt_codec_thrift, IN, &c, &msg), MT_DECODE_DONE);
		CU_ASSERT_EQUAL(msg.refuse, 0);
		mt_chain_free(&c);
	}
}

/* THeader's infos are changed; everything else reads as before. */
static void mutations(void)
{
	static const char *const calls[] = {
		"thrift/theader-binary-call", "thrift/theader-compact-call"};
	static const struct mt_mutation mu[] = {{"svc", "other", 3, 5}, {"x", "", 1, 0}};
	static const struct mt_mutation none[] = {{"svc", NULL, 3, 0}};

	for (uint32_t i = 0; i < 2 * 40; i++) {
		struct mt_chain c = {0};
		struct mt_msg msg, again;
		struct mt_seed seed = {0};
		uint8_t p[VECTOR_MAX];

		env_append(&c, p, env_vector(calls[i & 1], p), i / 2);
		CU_ASSERT_EQUAL(env_decode(&mt_codec_thrift, IN, &c, &msg), MT_DECODE_DONE);
		CU_ASSERT_EQUAL(mt_codec_thrift.rewrite.mutate(
					&mt_codec_thrift, &msg, &c, env_index(), mu, 2, &env_pools),
			0);
		CU_ASSERT_EQUAL(env_decode(&mt_codec_thrift, IN, &c, &again), MT_DECODE_DONE);
		CU_ASSERT_EQUAL(memcmp(&msg, &again, sizeof(msg)), 0);
		CU_ASSERT_STRING_EQUAL(env_meta(&mt_codec_thrift, &msg, &c, "svc"), "other");
		CU_ASSERT_STRING_EQUAL(env_meta(&mt_codec_thrift, &msg, &c, "x"), "");
		CU_ASSERT_STRING_EQUAL(env_meta(&mt_codec_thrift, &msg, &c, "method"), "hello");
		mt_codec_thrift.correlate.save(&mt_codec_thrift, &msg, &c, &seed);
		CU_ASSERT_EQUAL(
			mt_codec_set_id(&mt_codec_thrift, &msg, &c, 1 << 27, &env_pools), 0);
		CU_ASSERT_EQUAL(mt_codec_thrift.rewrite.mutate(&mt_codec_thrift, &msg, &c,
					env_index(), none, 1, &env_pools),
			0);
		CU_ASSERT_EQUAL(env_decode(&mt_codec_thrift, IN, &c, &again), MT_DECODE_DONE);
		CU_ASSERT_EQUAL(memcmp(&msg, &again, sizeof(msg)), 0);
		CU_ASSERT_EQUAL(again.id, 1 << 27);
		CU_ASSERT_STRING_EQUAL(env_meta(&mt_codec_thrift, &again, &c, "svc"), "-");
		mt_chain_free(&c);
	}
}

static int op_set_id(void *arg, struct mt_msg *msg, struct mt_chain *c)
{
	return mt_codec_set_id(&mt_codec_thrift, msg, c, 1 << 27, &env_pools);
}

static int op_mutate(void *arg, struct mt_msg *msg, struct mt_chain *c)
{
	static const struct mt_mutation mu = {"svc", "other", 3, 5};

	return mt_codec_thrift.rewrite.mutate(
		&mt_codec_thrift, msg, c, env_index(), &mu, 1, &env_pools);
}

static void out_of_memory(void)
{
	static const struct expect theader = {"thrift/theader-compact-call", .dir = IN};

	env_nomem(&mt_codec_thrift, &theader, 0, op_mutate, NULL);
	env_nomem(&mt_codec_thrift, &theader, 5, op_mutate, NULL);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(vectors); i++) {
		env_nomem(&mt_codec_thrift, &vectors[i], 0, op_set_id, NULL);
		env_nomem(&mt_codec_thrift, &vectors[i], 5, op_set_id, NULL);
	}
}

/* A connection keeps its transport; dialects do not share upstream connections. */
static void lane_classes(void)
{
	static const char *const names[] = {"thrift/framed-binary-call",
		"thrift/framed-compact-call", "thrift/theader-binary-call",
		"thrift/theader-compact-call", "thrift/unframed-binary-call",
		"thrift/unframed-binary-old-call"};
	uint8_t class[MT_ARRAY_LEN(names)];

	for (uint32_t i = 0; i < MT_ARRAY_LEN(names); i++) {
		struct mt_chain c = {0};
		struct mt_msg msg;
		uint8_t p[VECTOR_MAX];

		env_append(&c, p, env_vector(names[i], p), 0);
		CU_ASSERT_EQUAL(env_decode(&mt_codec_thrift, IN, &c, &msg), MT_DECODE_DONE);
		class[i] = msg.lane_class;
		for (uint32_t j = 0; j < i; j++)
			CU_ASSERT_NOT_EQUAL(class[i], class[j]);
		mt_chain_free(&c);
	}
}

/* Unframed and cut through: what the decoder has passed may go. */
static void cut_through(void)
{
	uint8_t p[VECTOR_MAX];
	uint32_t n = env_vector("thrift/unframed-binary-call", p), taken = 0;
	struct mt_chain c = {0};
	enum mt_decode rc = MT_DECODE_MORE;
	struct mt_decoder d;
	struct mt_msg msg;

	mt_decoder_init(&d, &mt_codec_thrift, IN, 0, &c);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t pass = d.cur.pos;

		CU_ASSERT(rc == MT_DECODE_MORE || rc == MT_DECODE_LEADING);
		if (rc == MT_DECODE_LEADING || taken) {
			mt_chain_drop(&c, pass);
			mt_decoder_taken(&d, pass);
			taken += pass;
		}
		env_append(&c, p + i, 1, 0);
		rc = mt_decoder_run(&d, &msg);
	}
	CU_ASSERT_EQUAL(rc, MT_DECODE_DONE);
	CU_ASSERT_EQUAL(msg.len, n);
	CU_ASSERT(taken > 20);
	mt_chain_free(&c);
}

const struct mt_test thrift_tests[] = {
	{"thrift_vectors", decode_vectors},
	{"thrift_ids", ids},
	{"thrift_id_width", constant_width},
	{"thrift_long_theader", long_theader},
	{"thrift_error_replies", error_replies},
	{"thrift_persistent_infos", persistent_infos},
	{"thrift_theader_reply", theader_reply},
	{"thrift_transforms", transforms},
	{"Finagle's probe", finagle_probe},
	{"names like Finagle's probe", nearly_finagle_probe},
	{"thrift_mutations", mutations},
	{"thrift_nomem", out_of_memory},
	{"thrift_lane_classes", lane_classes},
	{"thrift_cut_through", cut_through},
	{0},
};
