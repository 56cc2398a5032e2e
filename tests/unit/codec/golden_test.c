/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of changed messages: ids of another width in compact Thrift, long THeaders, first and last
 * attachments of Dubbo. Each case runs with the message cut at every byte, with nobody, another
 * user of the first buffer and another user of all buffers, and with each allocation failing. The
 * expected bytes are written here, without the codecs.
 */
#include "codec_test.h"

#include <errno.h>

#define MOST  1024
#define SPARE 48 /* data buffers that are left to a case, so that taking them all is cheap */

struct message {
	uint8_t b[MOST];
	uint32_t n;
};

struct golden {
	const char *name;
	const struct mt_codec *codec;
	enum mt_dir dir;
	struct message before, after;
	int (*op)(const struct golden *g, struct mt_msg *msg, struct mt_chain *c);
	uint64_t id;		  /* of set_id() */
	struct mt_seed seed;	  /* of restore_id() */
	struct mt_mutation mu[3]; /* of mutate() */
	uint32_t n_mu;
};

/* ---- one case -------------------------------------------------------------------------------- */

enum shared { OURS, FIRST_SHARED, ALL_SHARED, SHARED };

/* Buffers that another user holds, and what is in them. */
static struct rte_mbuf *held[4];
static struct message was[4];
static uint32_t n_held;

static void hold(const struct mt_chain *c, enum shared shared)
{
	n_held = 0;
	if (shared == OURS)
		return;
	for (struct rte_mbuf *m = c->head; m && n_held < 4; m = mt_link(m)->next) {
		was[n_held].n = mt_link(m)->len;
		memcpy(was[n_held].b, mt_link_data(m), was[n_held].n);
		mt_buf_hold(m);
		held[n_held++] = m;
		if (shared == FIRST_SHARED)
			return;
	}
}

static bool unheld(const uint8_t *const data[4])
{
	bool same = true;

	for (uint32_t i = 0; i < n_held; i++) {
		same &= memcmp(data[i], was[i].b, was[i].n) == 0;
		mt_buf_free(held[i]);
	}
	return same;
}

static struct rte_mbuf *taken[512];
static uint32_t n_taken;

/* Takes the buffers of a pool but `left` of them. */
static void take(bool ctrl, uint32_t left)
{
	while (n_taken < MT_ARRAY_LEN(taken) &&
		(taken[n_taken] = ctrl ? mt_buf_ctrl(&env_pools) : mt_buf_data(&env_pools)))
		n_taken++;
	while (left-- > 0 && n_taken > 0)
		mt_buf_free(taken[--n_taken]);
}

static void give_back(void)
{
	while (n_taken > 0)
		mt_buf_free(taken[--n_taken]);
}

static void decode(const struct golden *g, const struct mt_chain *c, struct mt_msg *msg)
{
	CU_ASSERT_EQUAL(env_decode(g->codec, g->dir, c, msg), MT_DECODE_DONE);
	CU_ASSERT_EQUAL(msg->len, c->len);
}

/* Where metadata were found may be noted in a message that is not changed (Dubbo: aux32, too). */
static bool is_same(const struct golden *g, const struct mt_msg *a, const struct mt_msg *b)
{
	return a->len == b->len && a->id == b->id && a->lead_len == b->lead_len &&
	       a->aux == b->aux && a->variant == b->variant &&
	       (a->aux32 == b->aux32 || g->codec == &mt_codec_dubbo);
}

/*
 * With `left` buffers of a pool. Returns what the operation does: 0, or -ENOMEM with nothing
 * changed.
 */
static int with(const struct golden *g, uint32_t cut, enum shared shared, bool ctrl, uint32_t left)
{
	const uint8_t *data[4] = {NULL};
	struct mt_chain c = {0};
	struct mt_msg msg, other;
	int rc;

	if (cut)
		env_append(&c, g->before.b, cut, 0);
	env_append(&c, g->before.b + cut, g->before.n - cut, 0);
	decode(g, &c, &msg);
	other = msg;
	hold(&c, shared);
	for (uint32_t i = 0; i < n_held; i++)
		data[i] = mt_link_data(held[i]);
	take(ctrl, left);
	rc = g->op(g, &msg, &c);
	give_back();
	CU_ASSERT_FATAL(rc == 0 || rc == -ENOMEM);
	if (rc == 0) {
		CU_ASSERT(env_equal(&c, g->after.b, g->after.n));
		decode(g, &c, &other);
	} else {
		CU_ASSERT(env_equal(&c, g->before.b, g->before.n));
	}
	CU_ASSERT(is_same(g, &msg, &other));
	mt_chain_free(&c);
	CU_ASSERT(unheld(data));
	return rc;
}

/* Returns how many runs had too few buffers. */
static uint32_t with_each_number(
	const struct golden *g, uint32_t cut, enum shared shared, bool ctrl)
{
	uint32_t left = 0;

	while (left < SPARE && with(g, cut, shared, ctrl, left))
		left++;
	CU_ASSERT(left < SPARE);
	return left;
}

/* The same for the whole case. */
static uint32_t run(const struct golden *g)
{
	uint32_t failed = 0, in_use = env_in_use(), before = CU_get_number_of_failures();

	for (uint32_t cut = 0; cut < g->before.n; cut++)
		for (int shared = 0; shared < SHARED; shared++)
			for (int ctrl = 0; ctrl < 2; ctrl++)
				failed += with_each_number(g, cut, (enum shared)shared, ctrl);
	CU_ASSERT_EQUAL(env_in_use(), in_use);
	if (CU_get_number_of_failures() != before)
		fprintf(stderr, "%s\n", g->name);
	return failed;
}

/* ---- messages of Thrift ---------------------------------------------------------------------- */

static void put(struct message *m, const void *bytes, uint32_t n)
{
	CU_ASSERT_FATAL(m->n + n <= MOST);
	memcpy(m->b + m->n, bytes, n);
	m->n += n;
}

static void put_u8(struct message *m, uint32_t v)
{
	put(m, (uint8_t[1]){(uint8_t)v}, 1);
}

static void put_u32(struct message *m, uint32_t v)
{
	put(m, (uint8_t[4]){(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v},
		4);
}

static void put_varint(struct message *m, uint32_t v)
{
	for (; v > 127; v /= 128)
		put_u8(m, v % 128 + 128);
	put_u8(m, v);
}

enum thrift { FRAMED_COMPACT, FRAMED_STRICT, HEADER_COMPACT, HEADER_STRICT };

/* A call or a reply of `ping` with some bytes; `outer` and `words` are THeader's. */
static struct message thrift(
	enum thrift kind, bool reply, uint32_t id, uint32_t outer, uint32_t words)
{
	static const char body[] = "\x18\x0cgolden bytes\0"; /* 1: string, stop */
	static const char strict_body[] = "\x0b\0\1\0\0\0\x0cgolden bytes\0";
	struct message m = {.n = 0};

	put_u32(&m, 0);
	if (kind >= HEADER_COMPACT) {
		put_u32(&m, 0x0fff0000);
		put_u32(&m, outer);
		put(&m, (uint8_t[2]){(uint8_t)(words >> 8), (uint8_t)words}, 2);
		put(&m, kind == HEADER_COMPACT ? "\2\0\1\1\3svc\4demo" : "\0\0\1\1\3svc\4demo", 13);
		while (m.n < 14 + 4 * words)
			put_u8(&m, 0);
	}
	if (kind == HEADER_STRICT || kind == FRAMED_STRICT) {
		put_u32(&m, reply ? 0x80010002 : 0x80010001);
		put_u32(&m, 4);
		put(&m, "ping", 4);
		put_u32(&m, id);
		put(&m, strict_body, sizeof(strict_body) - 1);
	} else {
		put(&m, reply ? "\x82\x41" : "\x82\x21", 2);
		put_varint(&m, id);
		put(&m, "\4ping", 5);
		put(&m, body, sizeof(body) - 1);
	}
	m.b[2] = (uint8_t)((m.n - 4) >> 8);
	m.b[3] = (uint8_t)(m.n - 4);
	return m;
}

static int sets_id(const struct golden *g, struct mt_msg *msg, struct mt_chain *c)
{
	return mt_codec_set_id(g->codec, msg, c, g->id, &env_pools);
}

static int restores_id(const struct golden *g, struct mt_msg *msg, struct mt_chain *c)
{
	return mt_codec_restore_id(g->codec, msg, c, &g->seed, &env_pools);
}

/* The least and the greatest id of each width, and one that looks negative to a server. */
static const uint32_t ids[] = {
	0, 127, 128, 300, 16383, 16384, 2097151, 2097152, 268435455, 268435456, UINT32_MAX};

/* To Meltemi's id and back, of all widths. */
static void check_ids(enum thrift kind, const char *name, uint32_t words)
{
	uint32_t failed = 0;

	for (size_t i = 0; i < MT_ARRAY_LEN(ids); i++) {
		uint32_t ours = (uint32_t)mt_codec_thrift.id_min + 4567, outer = ids[i] ^ 0x55;
		struct golden g = {.name = name,
			.codec = &mt_codec_thrift,
			.dir = MT_DIR_DOWN,
			.op = sets_id,
			.id = ours,
			.before = thrift(kind, false, ids[i], outer, words),
			.after = thrift(kind, false, ours, ours, words)};

		failed += run(&g);
		g = (struct golden){.name = name,
			.codec = &mt_codec_thrift,
			.dir = MT_DIR_UP,
			.op = restores_id,
			.seed = {.id = ids[i], .aux = outer},
			.before = thrift(kind, true, ours, ours, words),
			.after = thrift(kind, true, ids[i], outer, words)};
		failed += run(&g);
	}
	CU_ASSERT(failed > 0);
}

static void compact_ids(void)
{
	env_starve(SPARE);
	check_ids(FRAMED_COMPACT, "compact", 0);
	env_release();
}

static void strict_ids(void)
{
	env_starve(SPARE);
	check_ids(FRAMED_STRICT, "strict", 0);
	env_release();
}

static void theader_ids(void)
{
	env_starve(SPARE);
	check_ids(HEADER_COMPACT, "THeader, compact", 4);
	check_ids(HEADER_STRICT, "THeader, strict", 4);
	env_release();
}

/* Blocks around the longest prefix that is changed in one piece, and one beyond any. */
static void long_theader_ids(void)
{
	static const uint32_t words[] = {24, 25, 26, 27, 28, 29, 100};

	env_starve(SPARE);
	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++) {
		uint32_t ours = (uint32_t)mt_codec_thrift.id_min + 4567, n = words[i];
		struct golden g = {.name = "long THeader",
			.codec = &mt_codec_thrift,
			.dir = MT_DIR_DOWN,
			.op = sets_id,
			.id = ours};

		for (int kind = HEADER_COMPACT; kind <= HEADER_STRICT; kind++) {
			g.before = thrift((enum thrift)kind, false, 300, 9, n);
			g.after = thrift((enum thrift)kind, false, ours, ours, n);
			CU_ASSERT(run(&g) > 0);
		}
	}
	env_release();
}

/* ---- attachments of Dubbo -------------------------------------------------------------------- */

static void put_str(struct message *m, const char *text)
{
	put_u8(m, (uint32_t)strlen(text));
	put(m, text, (uint32_t)strlen(text));
}

/* A call with one argument, or a reply with a value; `map`: "k=v k=v". */
static struct message dubbo(bool reply, const char *map)
{
	struct message m = {.n = 0};
	char text[128], *save = NULL;

	put(&m, reply ? "\xda\xbb\2\x14" : "\xda\xbb\xc2\0", 4);
	put(&m, "\1\2\3\4\5\6\7\x08\0\0\0\0", 12);
	if (reply) {
		put_u8(&m, 0x94); /* a value and attachments */
	} else {
		put_str(&m, "2.0.2");
		put_str(&m, "a.B");
		put_str(&m, "0.0.0");
		put_str(&m, "m");
		put_str(&m, "Lx;");
	}
	put_str(&m, "argument");
	put_u8(&m, 'H');
	snprintf(text, sizeof(text), "%s", map);
	for (char *kv = strtok_r(text, " ", &save); kv; kv = strtok_r(NULL, " ", &save)) {
		char *value = strchr(kv, '=');

		*value++ = '\0';
		put_str(&m, kv);
		put_str(&m, value);
	}
	put_u8(&m, 'Z');
	m.b[15] = (uint8_t)(m.n - 16);
	return m;
}

static int mutates(const struct golden *g, struct mt_msg *msg, struct mt_chain *c)
{
	return g->codec->rewrite.mutate(g->codec, msg, c, env_index(), g->mu, g->n_mu, &env_pools);
}

#define SET(k, v)                                                                                  \
	{                                                                                          \
		.key = k, .key_len = sizeof(k) - 1, .value = v, .value_len = sizeof(v) - 1         \
	}
#define REMOVE(k)                                                                                  \
	{                                                                                          \
		.key = k, .key_len = sizeof(k) - 1                                                 \
	}

/* Values that are set go to the end, in the order of the changes; all entries of their key go. */
static const struct {
	const char *before, *after;
	struct mt_mutation mu[3];
	uint32_t n;
} attachments[] = {
	{"a=1 b=2 c=3", "b=2 c=3 a=new", {SET("a", "new")}, 1},
	{"a=1 b=2 c=3", "a=1 c=3 b=new", {SET("b", "new")}, 1},
	{"a=1 b=2 c=3", "a=1 b=2 c=new", {SET("c", "new")}, 1},
	{"a=1 b=2 c=3", "a=1 b=2 c=3 d=new", {SET("d", "new")}, 1},
	{"a=1 b=2 c=3", "b=2 c=3", {REMOVE("a")}, 1},
	{"a=1 b=2 c=3", "a=1 b=2", {REMOVE("c")}, 1},
	{"a=1 b=2 c=3", "a=1 b=2 c=3", {REMOVE("d")}, 1},
	{"a=1 b=2 c=3", "b=2 c=z a=x", {SET("c", "z"), SET("a", "x")}, 2},
	{"a=1 b=2 c=3", "b=2", {REMOVE("c"), REMOVE("a")}, 2},
	{"a=1 b=2 c=3", "c=3 d=4", {REMOVE("a"), SET("d", "4"), REMOVE("b")}, 3},
	{"a=1 b=2 a=3", "b=2 a=4", {SET("a", "4")}, 1},
	{"a=1", "", {REMOVE("a")}, 1},
	{"a=1", "a=", {SET("a", "")}, 1},
	{"", "a=1", {SET("a", "1")}, 1},
};

/* The other codecs write the id where it is. */
static void fixed_ids(void)
{
	struct golden g = {
		.name = "Dubbo", .codec = &mt_codec_dubbo, .op = sets_id, .id = 0x1122334455667788};
	struct message m = {.n = 0};

	env_starve(SPARE);
	g.before = g.after = dubbo(false, "a=1 b=2");
	memcpy(g.after.b + 4, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
	CU_ASSERT(run(&g) > 0);
	put(&m, "\2\1\2\3\4\0\0\0\x15\0\x2a\0\0\0\4k=v\nhi", 21);
	g = (struct golden){.name = "awesomeRPC",
		.codec = &mt_codec_awesomerpc,
		.op = sets_id,
		.id = 0x55667788};
	g.before = g.after = m;
	memcpy(g.after.b + 1, "\x55\x66\x77\x88", 4);
	CU_ASSERT(run(&g) > 0);
	env_release();
}

static void dubbo_attachments(void)
{
	uint32_t failed = 0;

	env_starve(SPARE);
	for (size_t i = 0; i < 2 * MT_ARRAY_LEN(attachments); i++) {
		struct golden g = {.name = attachments[i / 2].after,
			.codec = &mt_codec_dubbo,
			.dir = i % 2 ? MT_DIR_UP : MT_DIR_DOWN,
			.op = mutates,
			.before = dubbo(i % 2, attachments[i / 2].before),
			.after = dubbo(i % 2, attachments[i / 2].after),
			.n_mu = attachments[i / 2].n};

		memcpy(g.mu, attachments[i / 2].mu, sizeof(g.mu));
		failed += run(&g);
	}
	env_release();
	CU_ASSERT(failed > 0);
}

const struct mt_test golden_tests[] = {
	{"golden_compact_ids", compact_ids},
	{"golden_strict_ids", strict_ids},
	{"golden_theader_ids", theader_ids},
	{"golden_long_theader_ids", long_theader_ids},
	{"golden_fixed_ids", fixed_ids},
	{"golden_dubbo_attachments", dubbo_attachments},
	{0},
};
