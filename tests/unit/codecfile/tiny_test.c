/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages that arrive in very many tiny buffers: the steps that the interpreter counts, which
 * include one for each buffer that a cursor passes, are linear in bytes and buffers.
 */
#include "codecfile_test.h"

#include <errno.h>
#include <stdio.h>

#define MESSAGE_MAX 8192

struct message {
	uint8_t bytes[MESSAGE_MAX];
	uint32_t n;
};

static void put(struct message *m, const void *p, size_t n)
{
	CU_ASSERT_FATAL(m->n + n <= MESSAGE_MAX);
	memcpy(m->bytes + m->n, p, n);
	m->n += (uint32_t)n;
}

static void put_text(struct message *m, const char *s)
{
	put(m, s, strlen(s));
}

static void put_number(struct message *m, uint64_t v, uint32_t width)
{
	for (uint32_t i = width; i-- > 0;)
		put(m, &(uint8_t){(uint8_t)(v >> 8 * i)}, 1);
}

/* ---- messages of about `size` bytes ---------------------------------------------------------- */

static void json(struct message *m, uint32_t size)
{
	char member[32];

	put_text(m, "{\"params\":{\"user\":{");
	for (uint32_t i = 0; m->n < size; i++) {
		snprintf(member, sizeof(member), "\"n%03u\":%u,", i, i % 10);
		put_text(m, member);
	}
	put_text(m, "\"name\":\"ann\"}},\"id\":1,\"method\":\"m\"}\n");
}

static void motan(struct message *m, uint32_t size)
{
	put(m, "\xf1\xf1\x00\x08\x00", 5);
	put_number(m, 7, 8);
	put_number(m, size - size % 8 + 4, 4);
	put_text(m, "M_m\n");
	for (uint32_t i = 0; i < size / 8; i++)
		put_text(m, i ? "abc\nxyz\n" : "foo\nM_x\n");
	put_number(m, 0, 4);
}

static void bolt(struct message *m, uint32_t size)
{
	uint32_t pairs = size / 32;

	put(m, "\x01\x01\x00\x01\x01\x00\x00\x00\x02\x01\x00\x00\x03\xe8", 14);
	put_number(m, 0, 2);
	put_number(m, pairs * 32, 2);
	put_number(m, 0, 4);
	for (uint32_t i = 0; i < pairs; i++) {
		/* As long as a wanted key. */
		put_number(m, 21, 4);
		put_text(m, "sofa_head_method_namX");
		put_number(m, 3, 4);
		put_text(m, "abc");
	}
}

static void headers(struct message *m, uint32_t size)
{
	put_text(m, "GET /x\r\nCall-Id: 5\r\n");
	while (m->n < size)
		put_text(m, "Usex: ann\r\n");
	put_text(m, "User: ann\r\n\r\n");
}

static void long_name(struct message *m, uint32_t size)
{
	put_text(m, "{\"");
	while (m->n < size)
		put_text(m, "name");
	put_text(m, "\":1,\"id\":1,\"method\":\"m\"}\n");
}

static void long_value(struct message *m, uint32_t size)
{
	put_text(m, "{\"method\":\"m\",\"id\":1,\"x\":\"");
	while (m->n < size)
		put_text(m, "text");
	put_text(m, "\"}\n");
}

static void blanks(struct message *m, uint32_t size)
{
	put_text(m, "GET /x\r\nCall-Id: 5\r\nUser:");
	while (m->n < size)
		put_text(m, "    ");
	put_text(m, "ann\r\n\r\n");
}

/*
 * Containers whose walk begins before they have arrived. Made with their length, which
 * set_length() adds.
 */
#define COUNTED(format)                                                                            \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: counted}\nspec:\n"               \
	"  calls: serial\n  method: method\n  places:\n"                                           \
	"    all: {at: 0, count: 2, holds: " format "}\n"                                          \
	"    method: {in: all, find: method}\n    user: {in: all, find: user}\n"                   \
	"  frame: {end: all, max: 65536}\n  messages:\n  - {is: request, from: client}\n"          \
	"  - {is: reply, from: server}\n  metadata: {method: method, user: user}\n"

static const char counted_json[] = COUNTED("json"), counted_headers[] = COUNTED("headers");

static void set_length(struct message *m)
{
	m->bytes[0] = (uint8_t)((m->n - 2) >> 8);
	m->bytes[1] = (uint8_t)(m->n - 2);
}

static void names(struct message *m, uint32_t size)
{
	char member[80];

	put_text(m, "..{\"method\":\"m\"");
	for (uint32_t i = 0; m->n < size; i++) {
		snprintf(member, sizeof(member), ",\"n%048u\":%u", i, i % 10);
		put_text(m, member);
	}
	put_text(m, ",\"user\":\"ann\"}");
	set_length(m);
}

static void one_name(struct message *m, uint32_t size)
{
	put_text(m, "..{\"method\":\"m\",\"user\":\"ann\",\"");
	while (m->n < size)
		put_text(m, "name");
	put_text(m, "\":1}");
	set_length(m);
}

static void keys(struct message *m, uint32_t size)
{
	put_text(m, "..method: m\r\n");
	while (m->n < size)
		put_text(m, "use use use: x\r\n");
	put_text(m, "user: ann\r\n");
	set_length(m);
}

static void wide_key(struct message *m, uint32_t size)
{
	put_text(m, "..method: m\r\nuser:");
	while (m->n < size)
		put_text(m, "    ");
	put_text(m, "ann");
	set_length(m);
}

static void one_key(struct message *m, uint32_t size)
{
	put_text(m, "..method: m\r\nuser: ann\r\n");
	while (m->n < size)
		put_text(m, "us er");
	put_text(m, ": ann");
	set_length(m);
}

/* ---- the count ------------------------------------------------------------------------------- */

/*
 * Steps of a message that comes in pieces of one byte, each in a call of its own or all at once;
 * its metadata `user` is as given.
 */
static uint64_t steps_of(
	const struct mt_codec *codec, const struct message *m, bool calls, const char *user)
{
	struct mt_chain c = {0};
	enum mt_decode rc = MT_DECODE_MORE;
	struct mt_decoder d;
	struct mt_msg msg;
	uint64_t steps = 0;

	mt_decoder_init(&d, codec, MT_DIR_DOWN, 0, &c);
	for (uint32_t i = 0; i < m->n && rc != MT_DECODE_DONE && rc != MT_DECODE_BAD;) {
		uint32_t n = calls ? 1 : m->n;

		env_append(&c, m->bytes + i, n, 1);
		i += n;
		do {
			d.steps = UINT32_MAX;
			rc = mt_decoder_run(&d, &msg);
			steps += UINT32_MAX - d.steps;
		} while (rc == MT_DECODE_LEADING);
	}
	CU_ASSERT_EQUAL(rc, MT_DECODE_DONE);
	if (rc == MT_DECODE_BAD)
		fprintf(stderr, "%s\n", d.why);
	CU_ASSERT(rc != MT_DECODE_DONE || msg.refuse == 0);
	CU_ASSERT_STRING_EQUAL(env_meta(codec, &msg, &c, "user"), user);
	mt_chain_free(&c);
	return steps;
}

/* Four times the bytes cost at most about four times the steps, not sixteen times. */
static void check_linear(
	const char *file, void (*make)(struct message *m, uint32_t size), const char *user)
{
	static struct message small, large;
	struct mt_region region;
	const struct mt_codec *codec;

	mt_region_init(&region, 0);
	codec = &file_compile(&region, file)->codec;
	small.n = large.n = 0;
	make(&small, 900);
	make(&large, 3600);
	for (int calls = 0; calls < 2; calls++) {
		uint64_t few = steps_of(codec, &small, calls, user),
			 many = steps_of(codec, &large, calls, user);

		CU_ASSERT(many * small.n <= few * large.n * 3 / 2);
		if (many * small.n > few * large.n * 3 / 2)
			fprintf(stderr, "%s, calls %d: %lu of %u, %lu of %u bytes\n",
				strchr(file, '\n') ? "counted" : file, calls, (unsigned long)few,
				small.n, (unsigned long)many, large.n);
	}
	mt_region_fini(&region);
}

static void linear(void)
{
	check_linear("json", json, "ann");
	check_linear("json", long_name, "-");
	check_linear("json", long_value, "-");
	check_linear("motan", motan, "-");
	check_linear("bolt", bolt, "-");
	check_linear("headers", headers, "ann");
	check_linear("headers", blanks, "ann");
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

static void linear_while_arriving(void)
{
	check_linear(counted_json, names, "ann");
	check_linear(counted_json, one_name, "ann");
	check_linear(counted_headers, keys, "ann");
	check_linear(counted_headers, wide_key, "ann");
	check_linear(counted_headers, one_key, "ann");
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* An id that is written by two further decodings costs their steps; in front, in one piece. */
static void ids(void)
{
#define WITH(id)                                                                                   \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: ids}\nspec:\n"                   \
	"  calls: multiplexed\n  places:\n    id: {at: 0, size: 4}\n    user: {at: 4, count: 2}\n" \
	"  frame: {end: user, max: 65536}\n  messages:\n  - {is: request, from: client}\n"         \
	"  - {is: reply, from: server}\n  id: " id "\n  metadata: {user: user}\n"
	static struct message m;
	struct mt_region region;
	const struct mt_codec *fixed, *written;
	uint64_t once, more;

	m.n = 0;
	put(&m, "\0\0\0\5\0\3ann", 9);
	mt_region_init(&region, 0);
	fixed = &file_compile(&region, WITH("id"))->codec;
	written = &file_compile(&region, WITH("{place: id, copies: id}"))->codec;
	CU_ASSERT(!fixed->correlate.set_id && written->correlate.set_id);
	once = steps_of(fixed, &m, false, "ann");
	more = steps_of(written, &m, false, "ann");
	CU_ASSERT(more >= 3 * once);
	/* The copy is two ops. */
	CU_ASSERT(more <= 3 * once + 100);
	mt_region_fini(&region);
}

/* ---- many elements --------------------------------------------------------------------------- */

#define ELEMENTS_MOST 16384

#define IDS_IN(holds, find)                                                                        \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: ids}\nspec:\n"                   \
	"  calls: multiplexed\n  places:\n    total: {at: 0, size: 4}\n"                           \
	"    body: {at: 4, to: 0, holds: " holds "}\n"                                             \
	"    id: {in: body, find: " find ", type: number}\n"                                       \
	"  frame: {length: total, min: 5, max: 2000000}\n  messages:\n"                            \
	"  - {is: request, from: client}\n  - {is: reply, from: server}\n  id: id\n"

/* An element that is not wanted, and the last one with the id 1. */
struct format {
	const char *document, *element, *id;
	uint32_t n_element, n_id;
};

/* A number at the end of a message in many buffers needs no search through them. */
static void last_number(void)
{
	static const char doc[] =
		"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: last}\nspec:\n"
		"  calls: multiplexed\n  places:\n    length: {at: 0, size: 4}\n"
		"    id: {at: 4, size: 4}\n    last: {at: -1, size: 1}\n"
		"  frame: {length: length, max: 65536}\n  messages:\n"
		"  - {is: request, from: client}\n  - {is: reply, from: server}\n  id: id\n"
		"  check: {last: 0x28}\n";
	static uint8_t bytes[4000] = {
		[2] = sizeof(bytes) >> 8, [3] = (uint8_t)sizeof(bytes), [sizeof(bytes) - 1] = 0x28};
	const struct mt_codec *codec;
	struct mt_region region;
	struct mt_chain c = {0};
	struct mt_decoder d;
	struct mt_msg msg;

	mt_region_init(&region, 0);
	codec = &file_compile(&region, doc)->codec;
	env_append(&c, bytes, sizeof(bytes), 1);
	mt_decoder_init(&d, codec, MT_DIR_DOWN, 0, &c);
	CU_ASSERT_EQUAL(mt_decoder_run(&d, &msg), MT_DECODE_DONE);
	CU_ASSERT(!msg.refuse && UINT32_MAX - d.steps < 1000);
	mt_chain_free(&c);
	mt_region_fini(&region);
}

/* True if a message with so many elements in all is refused. */
static bool is_refused(const struct mt_codec *codec, const struct format *f, uint32_t elements)
{
	static uint8_t bytes[131072];
	uint32_t n = 4;
	struct mt_chain c = {0};
	struct mt_decoder d;
	struct mt_msg msg;
	enum mt_decode rc;

	for (uint32_t i = 1; i < elements; i++, n += f->n_element)
		memcpy(bytes + n, f->element, f->n_element);
	memcpy(bytes + n, f->id, f->n_id);
	n += f->n_id;
	for (uint32_t i = 0; i < 4; i++)
		bytes[i] = (uint8_t)(n >> 8 * (3 - i));
	mt_decoder_init(&d, codec, MT_DIR_DOWN, 0, &c);
	env_append(&c, bytes, n, 0);
	do {
		d.steps = UINT32_MAX;
		rc = mt_decoder_run(&d, &msg);
	} while (rc == MT_DECODE_LEADING);
	mt_chain_free(&c);
	/* Without its id, which is behind the elements, there is nothing to answer to. */
	if (rc == MT_DECODE_BAD)
		return true;
	CU_ASSERT_EQUAL(rc, MT_DECODE_DONE);
	CU_ASSERT_EQUAL(msg.id, 1);
	return msg.refuse != 0;
}

/* Ids are written by runs in one piece, so that the elements of a message have a limit. */
static void many_elements(void)
{
	static const struct format formats[] = {{IDS_IN("jce", "4"), "\x0c", "\x40\x01", 1, 2},
		{IDS_IN("protobuf", "4"), "\x08\x00", "\x20\x01", 2, 2},
		{IDS_IN("{tlv: {tag: 1, length: 1}}", "4"), "\x00\x00", "\x04\x01\x01", 2, 3},
		{IDS_IN("{pairs: {length: 1}}", "id"), "\x00\x00", "\x02id\x01\x01", 2, 5}};
	struct mt_region region;

	for (size_t i = 0; i < MT_ARRAY_LEN(formats); i++) {
		const struct mt_codec *codec;

		mt_region_init(&region, 0);
		codec = &file_compile(&region, formats[i].document)->codec;
		CU_ASSERT_PTR_NOT_NULL(codec->correlate.set_id);
		CU_ASSERT(!is_refused(codec, &formats[i], ELEMENTS_MOST));
		CU_ASSERT(is_refused(codec, &formats[i], ELEMENTS_MOST + 1));
		mt_region_fini(&region);
	}
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* ---- long texts ------------------------------------------------------------------------------ */

#define TEXT_MOST (270u << 10)

/* A message of `n` bytes, with an id in front and then one text again and again. */
static const struct text {
	const char *document, *front, *more, *end;
} texts[] = {
	{IDS_IN("json", "id"), "{\"id\":5", ",\"x\":[[],[]]", "}"},
	{IDS_IN("headers", "id"), "id: 5\r\n", "x: y\r\n", ""},
	{IDS_IN("{lines: {between: \"=\", end: \";\"}}", "id"), "id=5;", "x=y;", ""},
	{IDS_IN("words", "1"), "5 ", "x ", ""},
};

/* The text after a length of four bytes. Returns its bytes. */
static uint32_t make_text(const struct text *t, uint32_t size, uint8_t *to)
{
	uint32_t n = 4;

	n += (uint32_t)sprintf((char *)to + n, "%s", t->front);
	while (n < size)
		n += (uint32_t)sprintf((char *)to + n, "%s", t->more);
	n += (uint32_t)sprintf((char *)to + n, "%s", t->end);
	for (uint32_t i = 0; i < 4; i++)
		to[i] = (uint8_t)(n >> 8 * (3 - i));
	return n;
}

/* Decodes it in runs of few steps. Returns how many there were. */
static uint32_t decode_in_runs(
	const struct mt_codec *codec, const struct mt_chain *c, struct mt_msg *msg)
{
	struct mt_decoder d;
	uint32_t runs = 0;
	enum mt_decode rc;

	mt_decoder_init(&d, codec, MT_DIR_DOWN, 0, (struct mt_chain *)(uintptr_t)c);
	do {
		d.steps = 60000;
		rc = mt_decoder_run(&d, msg);
		runs++;
	} while (rc == MT_DECODE_LEADING || rc == MT_DECODE_MORE);
	CU_ASSERT_EQUAL(rc, MT_DECODE_DONE);
	CU_ASSERT_EQUAL(msg->refuse, 0);
	return runs;
}

/* An id is written in one piece, so that it has a limit; decode() comes to an end at each call. */
static void long_texts(void)
{
	static uint8_t bytes[4 * TEXT_MOST];

	for (size_t i = 0; i < 2 * MT_ARRAY_LEN(texts); i++) {
		const struct text *t = &texts[i / 2];
		bool longer = i % 2;
		struct mt_region region;
		struct mt_chain c = {0};
		const struct mt_codec *codec;
		struct mt_msg msg;
		uint32_t n = make_text(t, longer ? 4 * TEXT_MOST - 100 : TEXT_MOST / 3, bytes);
		int rc;

		mt_region_init(&region, 0);
		codec = &file_compile(&region, t->document)->codec;
		env_append(&c, bytes, n, 0);
		CU_ASSERT(decode_in_runs(codec, &c, &msg) >= n / 60000);
		CU_ASSERT_EQUAL(msg.id, 5);
		rc = mt_codec_set_id(codec, &msg, &c, 1u << 30, &env_pools);
		CU_ASSERT_EQUAL(rc, longer ? -ENOTSUP : 0);
		CU_ASSERT(!longer || (c.len == n && msg.len == n && msg.id == 5));
		mt_chain_free(&c);
		mt_region_fini(&region);
	}
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* A change of metadata has the same limit, and counts its runs. */
static void changes(void)
{
	static const char doc[] =
		"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: changes}\nspec:\n"
		"  calls: serial\n  places:\n    total: {at: 0, size: 4}\n"
		"    head: {at: 4, count: 1, holds: {pairs: {length: 1}}}\n"
		"    body: {after: head, to: 0, holds: json}\n    method: {in: body, find: "
		"method}\n"
		"  frame: {length: total, min: 5, max: 2000000}\n  messages:\n"
		"  - {is: request, from: client}\n  - {is: reply, from: server}\n"
		"  check: {method: {present: false}}\n  search: head\n";
	static const struct mt_mutation add = {
		.key = "k", .key_len = 1, .value = "v", .value_len = 1};
	static const struct text text = {doc, "\4\1a\1b{\"id\":5", ",\"x\":[[],[]]", "}"};
	static uint8_t bytes[4 * TEXT_MOST];

	for (uint32_t longer = 0; longer < 2; longer++) {
		uint32_t n = make_text(&text, longer ? 3 * TEXT_MOST : TEXT_MOST / 3, bytes);
		struct mt_metadata *meta = env_index();
		struct mt_region region;
		struct mt_chain c = {0};
		const struct mt_codec *codec;
		struct mt_msg msg;
		int rc;

		mt_region_init(&region, 0);
		codec = &file_compile(&region, doc)->codec;
		env_append(&c, bytes, n, 0);
		decode_in_runs(codec, &c, &msg);
		meta->took = 0;
		rc = codec->rewrite.mutate(codec, &msg, &c, meta, &add, 1, &env_pools);
		CU_ASSERT_EQUAL(rc, longer ? -ENOTSUP : 0);
		CU_ASSERT(meta->took >= (longer ? 8 * TEXT_MOST / 2 : 2 * 8 * TEXT_MOST / 3));
		CU_ASSERT(meta->took <= 8 * TEXT_MOST);
		mt_chain_free(&c);
		mt_region_fini(&region);
	}
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

const struct mt_test tiny_tests[] = {{"long texts", long_texts}, {"changes", changes},
	{"many elements", many_elements}, {"ids", ids}, {"linear", linear},
	{"last number", last_number}, {"linear while arriving", linear_while_arriving}, {0}};
