/* SPDX-License-Identifier: Apache-2.0 */
#include "codec_test.h"

#include <errno.h>

#include "../../../lib/codec/dubbo/dubbo.h"

#define HELLO "interface=org.demo.DemoService method=sayHello version=1.0.0 group=g1"
#define ATT   " remote.application=demo-app user-id=u42 dubbo.tag=gray nothing=-"
#define DUBBO "dubbo=2.0.2 interface=- method=-"

static const struct expect vectors[] = {
	{"dubbo/request-hello", MT_DIR_DOWN, MT_MSG_REQUEST, 0, 0, 0, HELLO ATT " timeout=-"},
	{"dubbo/request-hello-3x", MT_DIR_DOWN, MT_MSG_REQUEST, 0, 0, 0x383d6b75cf0df778,
		HELLO ATT " timeout=1500"},
	{"dubbo/request-int-long", MT_DIR_DOWN, MT_MSG_REQUEST, 0, 0, 1,
		"interface=org.demo.DemoService method=add group=g1" ATT},
	{"dubbo/request-object", MT_DIR_DOWN, MT_MSG_REQUEST, 0, 0, 3, "method=echo group=g1" ATT},
	{"dubbo/request-slow", MT_DIR_DOWN, MT_MSG_REQUEST, 0, 0, 5, "method=slow group=g1" ATT},
	{"dubbo/request-surrogates", MT_DIR_DOWN, MT_MSG_REQUEST, 0, 0, 6,
		"method=big group=g1" ATT},
	{"dubbo/request-other-version", MT_DIR_DOWN, MT_MSG_REQUEST, 0, 0, 7,
		"method=sayHello version=9.9.9"},
	{"dubbo/request-oneway", MT_DIR_DOWN, MT_MSG_ONEWAY, 0, 0, 2,
		"method=notify1 group=g1" ATT},
	{"dubbo/request-appended", MT_DIR_DOWN, MT_MSG_REQUEST, 0, 0, 0,
		HELLO ATT " x-request-id=0f9b7d2c-1111-4222-8333-444455556666"},
	/* The last one wins, as it does at the server. */
	{"dubbo/request-appended-twice", MT_DIR_DOWN, MT_MSG_REQUEST, 0, 0, 0,
		HELLO " x-request-id=r1 user-id=OVERRIDDEN"},
	{"dubbo/heartbeat", MT_DIR_DOWN, MT_MSG_HEARTBEAT, 0, 0, 8, "method=-"},
	{"dubbo/heartbeat-reply", MT_DIR_UP, MT_MSG_HEARTBEAT_REPLY, 0, 0, 8, "method=-"},
	{"dubbo/event-readonly", MT_DIR_UP, MT_MSG_EVENT, 0, MT_EVENT_DRAIN, 10, "method=-"},
	{"dubbo/event-readonly-3x", MT_DIR_UP, MT_MSG_EVENT, 0, MT_EVENT_DRAIN, 0xe1afc2d19f28aa87,
		"method=-"},
	{"dubbo/reply-hello", MT_DIR_UP, MT_MSG_REPLY, 0, 0, 0, DUBBO " srv-tag=blue"},
	{"dubbo/reply-hello-3x", MT_DIR_UP, MT_MSG_REPLY, 0, 0, 0x383d6b75cf0df778,
		DUBBO " srv-tag=blue"},
	{"dubbo/reply-int", MT_DIR_UP, MT_MSG_REPLY, 0, 0, 1, DUBBO},
	{"dubbo/reply-object", MT_DIR_UP, MT_MSG_REPLY, 0, 0, 3, DUBBO},
	{"dubbo/reply-late", MT_DIR_UP, MT_MSG_REPLY, 0, 0, 5, DUBBO},
	{"dubbo/reply-surrogates", MT_DIR_UP, MT_MSG_REPLY, 0, 0, 6, DUBBO},
	{"dubbo/reply-exception", MT_DIR_UP, MT_MSG_REPLY, MT_STATUS_APP_ERROR, 0, 4, DUBBO},
	{"dubbo/reply-service-error", MT_DIR_UP, MT_MSG_REPLY, MT_STATUS_SERVER_ERROR, 0, 7,
		"dubbo=-"},
	{"dubbo/error-reply", MT_DIR_UP, MT_MSG_REPLY, MT_STATUS_SERVER_ERROR, 0,
		0x10da06de5aa807b3, "dubbo=-"},
};

static void decode_vectors(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(vectors); i++)
		env_expect(&mt_codec_dubbo, &vectors[i]);
}

static void ids(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(vectors); i++)
		env_round_trip(&mt_codec_dubbo, &vectors[i], 0x1122334455667788);
}

static const struct {
	const char *why;
	uint8_t head[24];
	uint32_t n;
	bool can_reply;
} bad[] = {
	{"magic", {0xda, 0xbc}, 2, false},
	{"serialization 0", {0xda, 0xbb, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1}, 16, true},
	{"longer", {0xda, 0xbb, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x01, 0, 0, 0}, 16, true},
	{"longer", {0xda, 0xbb, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff}, 16, true},
	{"runs past", {0xda, 0xbb, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0}, 16, true},
	{"runs past", {0xda, 0xbb, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 1, 'a', 5, 'b'}, 20,
		true},
	{"malformed", {0xda, 0xbb, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 'H'}, 17, true},
	{"malformed", {0xda, 0xbb, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 1, 0x80}, 18, true},
	/* 'n' in two, three and four bytes. */
	{"malformed", {0xda, 0xbb, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 1, 0xc1, 0xae}, 19,
		true},
	{"malformed",
		{0xda, 0xbb, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 1, 0xe0, 0x81, 0xae}, 20,
		true},
	{"malformed",
		{0xda, 0xbb, 0xc2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 2, 0xf0, 0x80, 0x81,
			0xae},
		21, true},
};

static void refuse_malformed(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(bad); i++) {
		struct mt_chain c = {0};
		struct mt_decoder d;
		struct mt_msg msg;

		env_append(&c, bad[i].head, bad[i].n, 0);
		mt_decoder_init(&d, &mt_codec_dubbo, MT_DIR_DOWN, 0, &c);
		CU_ASSERT_EQUAL_FATAL(mt_decoder_run(&d, &msg), MT_DECODE_BAD);
		CU_ASSERT_PTR_NOT_NULL(strstr(d.why, bad[i].why));
		CU_ASSERT_EQUAL(d.too_long, !strcmp(bad[i].why, "longer"));
		CU_ASSERT_EQUAL(msg.can_reply, bad[i].can_reply);
		mt_chain_free(&c);
	}
}

static void reply_as_verified(void)
{
	struct mt_seed seed = {.id = 0x10da06de5aa807b3, .variant = 2};
	struct mt_chain c = {0};
	uint8_t p[VECTOR_MAX];
	uint32_t n = env_vector("dubbo/error-reply", p);

	CU_ASSERT_EQUAL(mt_codec_dubbo.write.reply(&mt_codec_dubbo, &seed, MT_REPLY_NO_ENDPOINT,
				"no healthy upstream 80", &c, &env_pools),
		0);
	CU_ASSERT(env_equal(&c, p, n));
	mt_chain_free(&c);
}

static void reply_statuses(void)
{
	static const uint8_t status[MT_REPLY_N] = {
		60, 60, 80, 100, 100, 31, 35, 40, 50, 80, 70, 40, 80};

	for (int what = 0; what < MT_REPLY_N; what++) {
		struct mt_seed seed = {.id = 7, .variant = 2};
		struct mt_chain c = {0};
		struct mt_msg msg;
		uint8_t h[17];

		CU_ASSERT_EQUAL(
			mt_codec_dubbo.write.reply(&mt_codec_dubbo, &seed,
				(enum mt_local_reply)what,
				mt_local_reply_str((enum mt_local_reply)what), &c, &env_pools),
			0);
		CU_ASSERT_EQUAL(env_decode(&mt_codec_dubbo, MT_DIR_UP, &c, &msg), MT_DECODE_DONE);
		CU_ASSERT_EQUAL(msg.status, MT_STATUS_SERVER_ERROR);
		CU_ASSERT_EQUAL(msg.id, 7);
		mt_chain_read(&c, 0, h, sizeof(h));
		CU_ASSERT_EQUAL(h[3], status[what]);
		mt_chain_free(&c);
	}
}

static void heartbeats(void)
{
	struct mt_chain c = {0}, out = {0};
	uint8_t p[VECTOR_MAX];
	uint32_t n = env_vector("dubbo/heartbeat", p);
	struct mt_msg msg;

	CU_ASSERT_EQUAL(mt_codec_dubbo.write.heartbeat(&mt_codec_dubbo, 8, &out, &env_pools), 0);
	CU_ASSERT(env_equal(&out, p, n));
	mt_chain_free(&out);
	env_append(&c, p, n, 0);
	CU_ASSERT_EQUAL(env_decode(&mt_codec_dubbo, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
	CU_ASSERT_EQUAL(
		mt_codec_dubbo.write.heartbeat_reply(&mt_codec_dubbo, &msg, &c, &out, &env_pools),
		0);
	n = env_vector("dubbo/heartbeat-reply", p);
	CU_ASSERT(env_equal(&out, p, n));
	mt_chain_free(&out);
	mt_chain_free(&c);
}

/*
 * Bodies of serializations that the codec does not read are echoed; null has 60 bytes in protostuff
 * (12).
 */
static void heartbeats_are_echoed(void)
{
	static const uint32_t lens[] = {0, 1, 6, 32, 33, 60, 255, 256};

	for (uint32_t i = 0; i < MT_ARRAY_LEN(lens) * 2; i++) {
		uint32_t len = lens[i / 2];
		uint8_t p[16 + 256] = {0xda, 0xbb, 0xe0 | 12, 0, 1, 2, 3, 4, 5, 6, 7, 8};
		enum mt_dir dir = i % 2 ? MT_DIR_UP : MT_DIR_DOWN;
		struct mt_chain c = {0}, out = {0};
		struct mt_msg msg;

		mt_put_be32(p + 12, len);
		for (uint32_t k = 0; k < len; k++)
			p[16 + k] = (uint8_t)(k * 7);
		env_append(&c, p, 16 + len, i % 5);
		CU_ASSERT_EQUAL(env_decode(&mt_codec_dubbo, dir, &c, &msg), MT_DECODE_DONE);
		CU_ASSERT_EQUAL(msg.kind, MT_MSG_HEARTBEAT);
		CU_ASSERT_EQUAL(mt_codec_dubbo.write.heartbeat_reply(
					&mt_codec_dubbo, &msg, &c, &out, &env_pools),
			0);
		p[2] = 0x20 | 12;
		p[3] = 20;
		CU_ASSERT(env_equal(&out, p, 16 + len));
		mt_chain_free(&out);
		mt_chain_free(&c);
	}
}

/* As a provider of 2.7 said it. */
static void goes_away(void)
{
	uint8_t p[VECTOR_MAX];
	uint32_t n = env_vector("dubbo/event-readonly", p);
	struct mt_chain out = {0};

	CU_ASSERT_EQUAL(mt_codec_dubbo.write.goaway(&mt_codec_dubbo, 10, &out, &env_pools), 0);
	CU_ASSERT(env_equal(&out, p, n));
	mt_chain_free(&out);
}

#define SET(k, v)                                                                                  \
	{                                                                                          \
		.key = k, .key_len = sizeof(k) - 1, .value = v, .value_len = sizeof(v) - 1         \
	}
#define REMOVE(k)                                                                                  \
	{                                                                                          \
		.key = k, .key_len = sizeof(k) - 1                                                 \
	}

static const struct {
	const char *vector;
	enum mt_dir dir;
	uint32_t n;
	struct mt_mutation mu[3];
	const char *becomes; /* a vector, or NULL */
	const char *meta;
} changes[] = {
	{"dubbo/request-hello", MT_DIR_DOWN, 1,
		{SET("x-request-id", "0f9b7d2c-1111-4222-8333-444455556666")},
		"dubbo/request-appended", HELLO},
	{"dubbo/request-hello", MT_DIR_DOWN, 2, {SET("user-id", "x"), SET("new", "")}, NULL,
		HELLO " user-id=x new= dubbo.tag=gray"},
	{"dubbo/request-object", MT_DIR_DOWN, 3,
		{REMOVE("path"), REMOVE("nothing"), SET("group", "g2")}, NULL,
		"path=- group=g2 user-id=u42 dubbo.tag=gray"},
	/* Both of a repeated key's entries go. */
	{"dubbo/request-appended-twice", MT_DIR_DOWN, 1, {REMOVE("user-id")}, NULL,
		HELLO " user-id=- x-request-id=r1"},
	{"dubbo/request-hello", MT_DIR_DOWN, 1, {SET("emoji", "\xf0\x9f\x98\x80!")}, NULL,
		HELLO " emoji=\xed\xa0\xbd\xed\xb8\x80!"},
	{"dubbo/reply-hello", MT_DIR_UP, 2, {SET("a", "b"), REMOVE("srv-tag")}, NULL,
		DUBBO " a=b srv-tag=-"},
	{"dubbo/reply-exception", MT_DIR_UP, 1, {SET("a", "b")}, NULL, DUBBO " a=b"},
};

static void change(uint32_t i, uint32_t piece)
{
	struct mt_chain c = {0};
	struct mt_msg msg, again;
	uint8_t p[VECTOR_MAX];
	uint32_t n = env_vector(changes[i].vector, p);
	struct expect e = {changes[i].vector, changes[i].dir, .meta = changes[i].meta};

	env_append(&c, p, n, piece);
	CU_ASSERT_EQUAL(env_decode(&mt_codec_dubbo, e.dir, &c, &msg), MT_DECODE_DONE);
	CU_ASSERT_EQUAL(mt_codec_dubbo.rewrite.mutate(&mt_codec_dubbo, &msg, &c, env_index(),
				changes[i].mu, changes[i].n, &env_pools),
		0);
	CU_ASSERT_EQUAL(env_decode(&mt_codec_dubbo, e.dir, &c, &again), MT_DECODE_DONE);
	CU_ASSERT_EQUAL(again.len, c.len);
	CU_ASSERT_EQUAL(msg.len, c.len);
	for (int pass = 0; pass < 2; pass++) {
		char meta[512], *save = NULL;

		strcpy(meta, e.meta);
		for (char *kv = strtok_r(meta, " ", &save); kv; kv = strtok_r(NULL, " ", &save)) {
			char *value = strchr(kv, '=');

			*value++ = '\0';
			CU_ASSERT_STRING_EQUAL(
				env_meta(&mt_codec_dubbo, pass ? &again : &msg, &c, kv), value);
		}
	}
	if (changes[i].becomes) {
		n = env_vector(changes[i].becomes, p);
		CU_ASSERT(env_equal(&c, p, n));
	}
	mt_chain_free(&c);
}

static void mutations(void)
{
	uint32_t before = env_in_use();

	for (uint32_t i = 0; i < MT_ARRAY_LEN(changes); i++)
		for (uint32_t piece = 0; piece < 40; piece++)
			change(i, piece);
	CU_ASSERT_EQUAL(env_in_use(), before);
}

#define HEAD   "\xda\xbb\x02\x14\0\0\0\0\0\0\0\x09\0\0\0"
#define A_IS_B "H\1a\1bZ"
#define BYTES(s)                                                                                   \
	{                                                                                          \
		(const uint8_t *)s, sizeof(s) - 1                                                  \
	}

/*
 * A reply of types 0 to 2 has no attachments: it becomes one of types 3 to 5. A null has no value
 * before them.
 */
static const struct {
	struct mt_slice before, after;
} replies[] = {
	{BYTES(HEAD "\x04\x90\2hi"), BYTES(HEAD "\x0a\x93\2hi" A_IS_B)},
	{BYTES(HEAD "\x04\x91\2hi"), BYTES(HEAD "\x0a\x94\2hi" A_IS_B)},
	{BYTES(HEAD "\x01\x92"), BYTES(HEAD "\x07\x95" A_IS_B)},
};

static void reply_gets(uint32_t i, uint32_t piece)
{
	static const struct mt_mutation mu = SET("a", "b");
	struct mt_chain c = {0};
	struct mt_msg msg;

	env_append(&c, replies[i].before.p, replies[i].before.len, piece);
	CU_ASSERT_EQUAL(env_decode(&mt_codec_dubbo, MT_DIR_UP, &c, &msg), MT_DECODE_DONE);
	CU_ASSERT_STRING_EQUAL(env_meta(&mt_codec_dubbo, &msg, &c, "a"), "-");
	CU_ASSERT_EQUAL(mt_codec_dubbo.rewrite.mutate(
				&mt_codec_dubbo, &msg, &c, env_index(), &mu, 1, &env_pools),
		0);
	CU_ASSERT(env_equal(&c, replies[i].after.p, replies[i].after.len));
	CU_ASSERT_STRING_EQUAL(env_meta(&mt_codec_dubbo, &msg, &c, "a"), "b");
	CU_ASSERT_EQUAL(env_decode(&mt_codec_dubbo, MT_DIR_UP, &c, &msg), MT_DECODE_DONE);
	CU_ASSERT_STRING_EQUAL(env_meta(&mt_codec_dubbo, &msg, &c, "a"), "b");
	mt_chain_free(&c);
}

static void reply_gets_attachments(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(replies); i++)
		for (uint32_t piece = 0; piece < 20; piece++)
			reply_gets(i, piece);
}

static int op_set_id(void *arg, struct mt_msg *msg, struct mt_chain *c)
{
	return mt_codec_set_id(&mt_codec_dubbo, msg, c, 99, &env_pools);
}

static int op_mutate(void *arg, struct mt_msg *msg, struct mt_chain *c)
{
	static const struct mt_mutation mu[] = {SET("user-id", "somebody else"), SET("b", "c")};

	return mt_codec_dubbo.rewrite.mutate(
		&mt_codec_dubbo, msg, c, env_index(), mu, MT_ARRAY_LEN(mu), &env_pools);
}

static void out_of_memory(void)
{
	env_nomem(&mt_codec_dubbo, &vectors[0], 0, op_set_id, NULL);
	env_nomem(&mt_codec_dubbo, &vectors[0], 5, op_set_id, NULL);
	env_nomem(&mt_codec_dubbo, &vectors[0], 0, op_mutate, NULL);
	env_nomem(&mt_codec_dubbo, &vectors[0], 31, op_mutate, NULL);
}

/* Bodies of values that a Hessian reader could trip over; each ends where its string says. */
static const struct {
	const char *hex; /* behind the type descriptor of one argument */
	bool readable;
} args[] = {
	{"N", true},
	{"T", true},
	{"\x5d\x01", true},
	{"U\x01[\x90\x91Z", true},    /* typed list until Z */
	{"V\x01[\x92\x90\x91", true}, /* typed list of two */
	{"W\x90\x91Z", true},	      /* list until Z */
	{"X\x92\x90\x91", true},      /* list of two */
	{"\x72\x90\x90\x91", true},   /* short typed list, type by number */
	{"\x79\x7a\x90\x91", true},   /* short list in a short list */
	{"M\x01t\x90\x91Z", true},    /* typed map */
	{"H\x90H\x90\x91ZZ", true},   /* map in a map */
	{"C\x01p\x92\x01"
	 "a\x01"
	 "b\x60\x90O\x90\x90\x90",
		true}, /* an object whose second field is another of its class */
	{"Q\x90", true},
	{"R\x00\x02"
	 "abS\x00\x01"
	 "c",
		true}, /* a string in two chunks */
	{"A\x00\x02"
	 "abB\x00\x01"
	 "c",
		true},
	{"\x23"
	 "abc",
		true},
	{"K\x01\x02\x03\x04", true},
	{"\x60", false},		       /* an object of no known class */
	{"X\x49\x7f\xff\xff\xff", false},      /* a list longer than the message */
	{"X\x49\xff\xff\xff\xff", false},      /* a negative count */
	{"H\x90Z", false},		       /* a key without a value */
	{"C\x01p\x49\x7f\xff\xff\xff", false}, /* as many fields */
	{"\x02\xc3", false},		       /* a character that is cut */
	{"\x01\xc2\x80", true},		       /* the least ones of two, three and four bytes */
	{"\x01\xe0\xa0\x80", true},
	{"\x02\xf0\x90\x80\x80", true},
	{"\x02\xed\xa0\xbd\xed\xb8\x80", true}, /* a pair of surrogates, as Java writes it */
	{"\x01\xc1\xbf", false},		/* what fewer bytes would do for */
	{"\x01\xe0\x9f\xbf", false},
	{"\x02\xf0\x8f\xbf\xbf", false},
	{"@", false},
};

static uint32_t arg_message(uint8_t *p, const char *arg, uint32_t n)
{
	static const char head[] = "\xda\xbb\xc2\0\0\0\0\0\0\0\0\1\0\0\0\0"
				   "\0\1i\0\1m\x03Lx;";
	static const char tail[] = "H\1k\1vZ";
	uint32_t at = sizeof(head) - 1;

	memcpy(p, head, at);
	memcpy(p + at, arg, n);
	at += n;
	memcpy(p + at, tail, sizeof(tail) - 1);
	at += sizeof(tail) - 1;
	mt_put_be32(p + 12, at - 16);
	return at;
}

static void arguments(void)
{
	for (uint32_t i = 0; i < MT_ARRAY_LEN(args); i++) {
		uint32_t n = (uint32_t)strlen(args[i].hex);
		uint8_t p[256];

		/* These two have zero bytes inside. */
		if (args[i].hex[0] == 'R' || args[i].hex[0] == 'A')
			n = 9;
		n = arg_message(p, args[i].hex, n);
		for (uint32_t piece = 0; piece < 4; piece++) {
			struct mt_chain c = {0};
			struct mt_msg msg;

			env_append(&c, p, n, piece);
			CU_ASSERT_EQUAL(
				env_decode(&mt_codec_dubbo, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
			CU_ASSERT_STRING_EQUAL(env_meta(&mt_codec_dubbo, &msg, &c, "k"),
				args[i].readable ? "v" : "-");
			CU_ASSERT_STRING_EQUAL(env_meta(&mt_codec_dubbo, &msg, &c, "method"), "m");
			mt_chain_free(&c);
		}
	}
}

/* 63 lists in one another are followed, 64 are not. */
static void depth(void)
{
	uint8_t p[256];
	char arg[80];

	for (uint32_t levels = 60; levels < 70; levels++) {
		struct mt_chain c = {0};
		struct mt_msg msg;
		uint32_t n;

		memset(arg, 0x79, levels);
		arg[levels] = 'N';
		n = arg_message(p, arg, levels + 1);
		env_append(&c, p, n, 0);
		CU_ASSERT_EQUAL(env_decode(&mt_codec_dubbo, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
		CU_ASSERT_STRING_EQUAL(
			env_meta(&mt_codec_dubbo, &msg, &c, "k"), levels < HS_DEPTH ? "v" : "-");
		mt_chain_free(&c);
	}
}

/* Cut through: bytes are taken off while the rest is still to come. */
static void cut_through(void)
{
	uint8_t p[VECTOR_MAX];
	uint32_t n = env_vector("dubbo/request-hello", p);
	struct mt_chain c = {0};
	struct mt_decoder d;
	struct mt_msg msg;

	env_append(&c, p, 150, 0);
	mt_decoder_init(&d, &mt_codec_dubbo, MT_DIR_DOWN, 0, &c);
	CU_ASSERT_EQUAL(mt_decoder_run(&d, &msg), MT_DECODE_LEADING);
	CU_ASSERT_STRING_EQUAL(env_meta(&mt_codec_dubbo, &msg, &c, "method"), "sayHello");
	mt_chain_drop(&c, 120);
	mt_decoder_taken(&d, 120);
	env_append(&c, p + 150, n - 150, 0);
	CU_ASSERT_EQUAL(mt_decoder_run(&d, &msg), MT_DECODE_DONE);
	CU_ASSERT_EQUAL(msg.len, n);
	mt_chain_free(&c);
}

const struct mt_test dubbo_tests[] = {
	{"dubbo_vectors", decode_vectors},
	{"dubbo_ids", ids},
	{"dubbo_malformed", refuse_malformed},
	{"dubbo_reply_verified", reply_as_verified},
	{"dubbo_reply_statuses", reply_statuses},
	{"dubbo_heartbeats", heartbeats},
	{"dubbo heartbeats are echoed", heartbeats_are_echoed},
	{"goes away", goes_away},
	{"dubbo_mutations", mutations},
	{"dubbo_reply_attachments", reply_gets_attachments},
	{"dubbo_nomem", out_of_memory},
	{"dubbo_arguments", arguments},
	{"dubbo_depth", depth},
	{"dubbo_cut_through", cut_through},
	{0},
};
