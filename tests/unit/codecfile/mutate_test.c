/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metadata that are set and removed in containers of real messages: what was changed reads as it
 * was set, all else as before, and an entry that is added and removed leaves no trace.
 */
#include "codecfile_test.h"

#include <errno.h>
#include <stdio.h>

static const char *at_file, *at_name;

#define CHECK(x)                                                                                   \
	do {                                                                                       \
		bool ok_ = (x);                                                                    \
                                                                                                   \
		CU_ASSERT(ok_);                                                                    \
		if (!ok_)                                                                          \
			fprintf(stderr, "%s: %s: %s (line %d)\n", at_file, at_name, #x, __LINE__); \
	} while (0)

#define KEY_MAX 64

struct pair {
	char key[KEY_MAX], value[1024];
};

static struct pair pairs[MT_META_ENTRIES];

static uint32_t read_pairs(
	const struct mt_codec *codec, struct mt_msg *msg, const struct mt_chain *c)
{
	struct mt_metadata *m = env_index();

	mt_meta_read(m, codec, msg, c);
	if (m->state != MT_META_READ)
		return 0;
	for (uint32_t i = 0; i < m->n; i++) {
		snprintf(pairs[i].key, KEY_MAX, "%.*s", (int)m->entry[i].key_len, m->entry[i].key);
		snprintf(pairs[i].value, sizeof(pairs[i].value), "%.*s", (int)m->entry[i].value_len,
			m->entry[i].value.text);
	}
	return m->n;
}

static struct mt_mutation set(const char *key, const char *value)
{
	return (struct mt_mutation){.key = key,
		.value = value,
		.key_len = (uint16_t)strlen(key),
		.value_len = (uint16_t)(value ? strlen(value) : 0)};
}

static int mutate(const struct mt_codec *codec, struct mt_msg *msg, struct mt_chain *c,
	const char *key, const char *value)
{
	struct mt_mutation m = set(key, value);

	return codec->rewrite.mutate(codec, msg, c, env_index(), &m, 1, &env_pools);
}

/* The message decodes as lib/codec has left it, and its lengths and sums are right. */
static void check_decodes(const struct mt_codec *codec, const struct line *l,
	const struct mt_msg *msg, struct mt_chain *c)
{
	struct mt_msg again;

	CHECK(env_decode(codec, l->dir, c, &again) == MT_DECODE_DONE);
	CHECK(again.len == c->len && msg->len == c->len && !again.refuse);
	CHECK(again.id == msg->id && again.kind == msg->kind);
	CHECK(memcmp(again.field, msg->field, sizeof(again.field)) == 0);
}

struct message {
	struct mt_chain c;
	struct mt_msg msg;
};

static void begin(
	struct message *m, const struct mt_codec *codec, const struct line *l, uint32_t piece)
{
	m->c = (struct mt_chain){0};
	env_append(&m->c, l->bytes, l->n, piece);
	CHECK(env_decode(codec, l->dir, &m->c, &m->msg) == MT_DECODE_DONE);
}

/* Metadata with a place of their own, the id and a length: they cannot be changed. */
static bool is_fixed(const char *key)
{
	static const char *const keys[] = {"user", "M_p", "M_m", "M_g", "M_v", "M_tmo", "version",
		"group", "call-id", "content-length", "sofa_head_target_service", "service",
		"sofa_head_method_name"};

	for (size_t i = 0; i < MT_ARRAY_LEN(keys); i++)
		if (strcasecmp(key, keys[i]) == 0)
			return strcmp(at_file, "trpc") != 0;
	return false;
}

static const struct pair *find(const struct pair *all, uint32_t n, const char *key)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(all[i].key, key) == 0)
			return &all[i];
	return NULL;
}

/*
 * Motan and SOFABolt have two keys for a value. The change of one of them can leave the value as it
 * was, but those of SOFABolt must not differ.
 */
static bool stays(const struct pair *all, uint32_t n, const char *key, bool removes)
{
	static const char *const keys[][2] = {
		{"M_g", "group"}, {"M_v", "version"}, {"service", "sofa_head_target_service"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(keys); i++) {
		const struct pair *a = find(all, n, keys[i][0]), *b = find(all, n, keys[i][1]);

		if (!a || !b)
			continue;
		if (strcmp(key, b->key) == 0)
			return removes || strcmp(keys[i][0], "service") != 0;
		if (strcmp(key, a->key) == 0)
			return removes && strcmp(a->value, b->value) == 0;
	}
	return false;
}

/* A change removes a last key with an empty value, which is no entry. */
static bool has_last_key(const struct line *l)
{
	return strncmp(l->name, "v2-last-key", 11) == 0;
}

static bool nested(void)
{
	return strcmp(at_file, "protobuf") == 0;
}

static void add_and_remove(const struct mt_codec *codec, const struct line *l, uint32_t piece)
{
	struct message m;
	uint32_t n;

	begin(&m, codec, l, piece);
	n = read_pairs(codec, &m.msg, &m.c);
	CHECK(mutate(codec, &m.msg, &m.c, "x-added", "some value") == 0);
	check_decodes(codec, l, &m.msg, &m.c);
	CHECK(read_pairs(codec, &m.msg, &m.c) == n + 1);
	CHECK(strcmp(env_meta(codec, &m.msg, &m.c, "x-added"), "some value") == 0);
	if (!nested()) {
		CHECK(mutate(codec, &m.msg, &m.c, "x-added", NULL) == 0);
		check_decodes(codec, l, &m.msg, &m.c);
		CHECK(env_equal(&m.c, l->bytes, l->n) || has_last_key(l));
	}
	mt_chain_free(&m.c);
}

/* Each entry in turn gets another value, and is removed; all others stay. */
static void replace_each(const struct mt_codec *codec, const struct line *l, uint32_t piece)
{
	static struct pair before[MT_META_ENTRIES];
	uint32_t n, same;

	for (uint32_t i = 0, all = 1; i < all; i++) {
		for (int removes = 0; removes < 2; removes++) {
			const char *value = removes ? NULL : "another, longer than it was";
			struct message m;
			bool fixed;

			begin(&m, codec, l, piece);
			all = read_pairs(codec, &m.msg, &m.c);
			memcpy(before, pairs, sizeof(before));
			fixed = all > 0 && is_fixed(before[i].key) &&
				!stays(before, all, before[i].key, removes);
			if (fixed) {
				CHECK(mutate(codec, &m.msg, &m.c, before[i].key, value) ==
					-ENOTSUP);
				CHECK(env_equal(&m.c, l->bytes, l->n) && m.msg.len == l->n);
			}
			if (all == 0 || nested() || fixed) {
				mt_chain_free(&m.c);
				continue;
			}
			CHECK(mutate(codec, &m.msg, &m.c, before[i].key, value) == 0);
			check_decodes(codec, l, &m.msg, &m.c);
			n = read_pairs(codec, &m.msg, &m.c);
			same = 0;
			for (uint32_t k = 0, j = 0; k < all; k++) {
				if (strcmp(before[k].key, before[i].key) == 0)
					continue;
				same += strcmp(before[k].key, pairs[j].key) == 0 &&
					strcmp(before[k].value, pairs[j].value) == 0;
				j++;
			}
			CHECK(same + !removes == n);
			if (!removes)
				CHECK(strcmp(pairs[n - 1].value, value) == 0);
			mt_chain_free(&m.c);
		}
	}
}

/* What would be read as other entries, or is too long, changes nothing. */
static void refused(const struct mt_codec *codec, const struct line *l)
{
	static char huge[65536];
	struct message m;

	memset(huge, 'x', sizeof(huge) - 1);
	begin(&m, codec, l, 0);
	CHECK(mutate(codec, &m.msg, &m.c, "x-added", huge) == -ENOTSUP);
	CHECK(env_equal(&m.c, l->bytes, l->n) && m.msg.len == l->n);
	if (strcmp(at_file, "headers") == 0 || strcmp(at_file, "motan") == 0) {
		CHECK(mutate(codec, &m.msg, &m.c, "x-added", "a\r\nCall-Id: 9\nb") == -ENOTSUP);
		CHECK(mutate(codec, &m.msg, &m.c, "x\nb", "a") == -ENOTSUP);
		CHECK(env_equal(&m.c, l->bytes, l->n) && m.msg.len == l->n);
	}
	mt_chain_free(&m.c);
}

static void no_memory(const struct mt_codec *codec, const struct line *l)
{
	int rc = -ENOMEM;

	for (uint32_t left = 0; left < 24 && rc == -ENOMEM; left++) {
		struct message m;

		begin(&m, codec, l, 300);
		env_starve(left);
		rc = mutate(codec, &m.msg, &m.c, "x-added", "some value");
		env_release();
		if (rc == -ENOMEM)
			CHECK(env_equal(&m.c, l->bytes, l->n) && m.msg.len == l->n);
		mt_chain_free(&m.c);
	}
	CHECK(rc == 0);
}

static void one(const struct mt_codec_table *t, const struct line *l, void *arg)
{
	const struct mt_codec *codec = &t->codec;
	struct message m;
	bool may;

	at_name = l->name;
	if (strchr(l->kind, '!') || strcmp(l->kind, "bad") == 0)
		return;
	begin(&m, codec, l, 0);
	mt_meta_read(env_index(), codec, &m.msg, &m.c);
	may = read_pairs(codec, &m.msg, &m.c) > 0;
	mt_chain_free(&m.c);
	if (!may)
		return;
	add_and_remove(codec, l, 0);
	add_and_remove(codec, l, 3);
	replace_each(codec, l, 0);
	replace_each(codec, l, 17);
	refused(codec, l);
	no_memory(codec, l);
	++*(uint32_t *)arg;
}

static void containers(void)
{
	static const char *const names[] = {"bolt", "headers", "motan", "protobuf", "trpc"};

	for (size_t i = 0; i < MT_ARRAY_LEN(names); i++) {
		const struct mt_codec_table *t;
		struct mt_region region;
		uint32_t n = 0;

		at_file = names[i];
		mt_region_init(&region, 0);
		t = file_compile(&region, names[i]);
		CU_ASSERT_PTR_NOT_NULL(t->codec.rewrite.mutate);
		lines_each(names[i], one, t, &n);
		mt_region_fini(&region);
		CU_ASSERT(n > 0);
		CU_ASSERT_EQUAL(env_in_use(), 0);
	}
}

/* Maps of JCE are not written, so that a policy that would change them is reported at load. */
static void maps_of_jce(void)
{
	static const char *const names[] = {"tars", "jce"};

	for (size_t i = 0; i < MT_ARRAY_LEN(names); i++) {
		struct mt_region region;

		mt_region_init(&region, 0);
		CU_ASSERT_PTR_NULL(file_compile(&region, names[i])->codec.rewrite.mutate);
		mt_region_fini(&region);
	}
}

/* ---- single containers ------------------------------------------------------------------------ */

#define DOC(places, rest)                                                                          \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: test}\nspec:\n  calls: serial\n" \
	"  places:\n" places "  messages:\n  - {is: request, from: client}\n"                      \
	"  - {is: reply, from: server}\n" rest

#define COUNTED(format)                                                                            \
	DOC("    map: {at: 0, count: 1, holds: " format "}\n",                                     \
		"  frame: {end: map, max: 300}\n  search: map\n")

static const char lines_doc[] = COUNTED("{lines: {between: \"=\", end: \";\"}}");
static const char turns_doc[] = COUNTED("{lines: {between: \"|\", end: \"|\"}}");
static const char pairs_doc[] = COUNTED("{pairs: {length: 1}}");
static const char bare_doc[] = DOC("    head: {at: 0, until: \"\\n\\n\", holds: headers}\n",
	"  frame: {end: head, max: 300}\n  search: head\n");
static const char map_doc[] = DOC("    head: {at: 0, count: 1, holds: protobuf}\n"
				  "    map: {in: head, find: 1, holds: map}\n",
	"  frame: {end: head, max: 300}\n  search: map\n");
static const char two_doc[] = DOC("    a: {at: 0, count: 1, holds: {pairs: {length: 1}}}\n"
				  "    b: {after: a, count: 1, holds: {pairs: {length: 1}}}\n",
	"  frame: {end: b, max: 300}\n  search: [{in: a}, {in: b}]\n");

/* What the message becomes; NULL: the change is refused. */
static void expect(const char *doc, const char *before, uint32_t n, const char *after,
	uint32_t n_after, const struct mt_mutation *m, uint32_t n_m)
{
	const struct mt_codec *codec;
	struct mt_region region;
	struct mt_chain c = {0};
	struct mt_msg msg;
	int rc;

	mt_region_init(&region, 0);
	codec = &file_compile(&region, doc)->codec;
	env_append(&c, (const uint8_t *)before, n, 0);
	CU_ASSERT_EQUAL(env_decode(codec, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
	CU_ASSERT_EQUAL(msg.len, n);
	rc = codec->rewrite.mutate(codec, &msg, &c, env_index(), m, n_m, &env_pools);
	CU_ASSERT_EQUAL(rc, after ? 0 : -ENOTSUP);
	at_name = before;
	if (after)
		CHECK(env_equal(&c, (const uint8_t *)after, n_after) && msg.len == n_after);
	else
		CHECK(env_equal(&c, (const uint8_t *)before, n) && msg.len == n);
	mt_chain_free(&c);
	mt_region_fini(&region);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

#define BECOMES(doc, before, after, ...)                                                           \
	do {                                                                                       \
		const struct mt_mutation m_[] = {__VA_ARGS__};                                     \
                                                                                                   \
		expect(doc, before, sizeof(before) - 1, after, sizeof(after) - 1, m_,              \
			MT_ARRAY_LEN(m_));                                                         \
	} while (0)
#define REFUSED(doc, before, ...)                                                                  \
	do {                                                                                       \
		const struct mt_mutation m_[] = {__VA_ARGS__};                                     \
                                                                                                   \
		expect(doc, before, sizeof(before) - 1, NULL, 0, m_, MT_ARRAY_LEN(m_));            \
	} while (0)

/* Several changes at once, of a key that is there three times. */
static void several(void)
{
	at_file = "lines";
#define SEVERAL set("a", "w"), set("gone", NULL), set("a", "x"), set("new", "y")
	BECOMES(lines_doc,
		"\x11"
		"a=1;b=2;a=3;c=;a=",
		"\x10"
		"b=2;c=;a=x;new=y",
		SEVERAL);
	BECOMES(lines_doc,
		"\x12"
		"a=1;b=2;a=3;c=;a=;",
		"\x11"
		"b=2;c=;a=x;new=y;",
		SEVERAL);
	BECOMES(lines_doc, "\0",
		"\x09"
		"a=x;new=y",
		SEVERAL);
	BECOMES(lines_doc,
		"\x03"
		"a=1",
		"\x09"
		"a=x;new=y",
		SEVERAL);
	BECOMES(lines_doc,
		"\x07"
		"b=1;a=2",
		"\x03"
		"b=1",
		set("a", NULL));
	REFUSED(lines_doc,
		"\x03"
		"a=1",
		set("b", "x;c=1"));
}

/*
 * Keys and values that end with the same character: the last one belongs to either. A last key with
 * an empty value is no entry, and goes when others are written.
 */
static void turns(void)
{
	at_file = "turns";
	BECOMES(turns_doc,
		"\x03"
		"a|1",
		"\x07"
		"a|1|b|2",
		set("b", "2"));
	BECOMES(turns_doc,
		"\x04"
		"a|1|",
		"\x08"
		"a|1|b|2|",
		set("b", "2"));
	BECOMES(turns_doc,
		"\x02"
		"a|",
		"\x03"
		"b|2",
		set("b", "2"));
	BECOMES(turns_doc,
		"\x09"
		"a|1|b||c|",
		"\x09"
		"a|1|b||c|",
		set("c", NULL));
	BECOMES(turns_doc,
		"\x0a"
		"a|1|b||c||",
		"\x04"
		"a|1|",
		set("b", NULL));
	BECOMES(turns_doc,
		"\x06"
		"a|1|b|",
		"\0", set("a", NULL));
	BECOMES(turns_doc,
		"\x06"
		"a|1|b|",
		"\x08"
		"a|1|b|2|",
		set("b", "2"));
	REFUSED(turns_doc,
		"\x03"
		"a|1",
		set("b", ""));
}

/* Names without case, and line ends without a carriage return. */
static void bare_lines(void)
{
	at_file = "bare";
	BECOMES(bare_doc, "GET /\nA: 1\n\n", "GET /\nA: 1\nB: 2\n\n", set("B", "2"));
	BECOMES(bare_doc, "A: 1\n\n", "A: 1\nB: 2\n\n", set("B", "2"));
	BECOMES(bare_doc, "GET /\nA: 1\n\n", "GET /\na: y\n\n", set("A", "x"), set("a", "y"));
	BECOMES(bare_doc, "GET /\nA: 1\na: 2\nC: 3\n\n", "GET /\nC: 3\n\n", set("A", NULL));
	BECOMES(bare_doc, "GET /\r\nA: 1\n\n", "GET /\r\nA: 1\r\nB: 2\n\n", set("B", "2"));
	REFUSED(bare_doc, "GET /\nA: 1\n\n", set("B", " 2"));
}

/* What is removed must not stay in another container, or in one that only the server can read. */
static void unreadable(void)
{
	at_file = "pairs";
	BECOMES(pairs_doc,
		"\x04\x01"
		"a\x01"
		"1",
		"\0", set("a", NULL));
	REFUSED(pairs_doc,
		"\x03\x05"
		"ab",
		set("a", NULL));
	REFUSED(two_doc,
		"\x04\x01"
		"a\x01"
		"1\0",
		set("a", NULL));
	REFUSED(two_doc,
		"\x04\x01"
		"a\x01"
		"1\x02\x09"
		"b",
		set("b", NULL));
}

/* Without a readable container the codec tells that there are metadata. */
static void carries(void)
{
	static const uint8_t broken[] = {3, 5, 'a', 'b'}, mixed[] = {4, 1, 'a', 1, '1', 2, 9, 'b'};
	/* A group between the key and the value: servers pass over it, and read the value. */
	static const uint8_t group[] = {10, 0x0a, 8, 0x0a, 1, 'k', 0x2b, 0x2c, 0x12, 1, 'v'};
	const struct {
		const char *doc;
		const uint8_t *bytes;
		uint32_t n;
	} rows[] = {{pairs_doc, broken, sizeof(broken)}, {two_doc, mixed, sizeof(mixed)},
		{map_doc, group, sizeof(group)}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_metadata *meta = env_index();
		const struct mt_codec *codec;
		struct mt_region region;
		struct mt_chain c = {0};
		struct mt_msg msg;

		mt_region_init(&region, 0);
		codec = &file_compile(&region, rows[i].doc)->codec;
		env_append(&c, rows[i].bytes, rows[i].n, 0);
		CU_ASSERT_EQUAL(env_decode(codec, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
		mt_meta_read(meta, codec, &msg, &c);
		CU_ASSERT_EQUAL(meta->state, MT_META_BROKEN);
		CU_ASSERT(codec->metadata.carries(codec, &msg));
		CU_ASSERT_EQUAL(env_decode(codec, MT_DIR_UP, &c, &msg), MT_DECODE_DONE);
		CU_ASSERT(!codec->metadata.carries(codec, &msg));
		mt_chain_free(&c);
		mt_region_fini(&region);
	}
}

const struct mt_test mutate_tests[] = {{"containers", containers}, {"several changes", several},
	{"turns", turns}, {"bare lines", bare_lines}, {"unreadable", unreadable},
	{"carries", carries}, {"maps of JCE", maps_of_jce}, {0}};
