/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checksums of messages whose id changes. They follow the difference of the changed bytes, so here
 * they are compared with sums of all bytes, which are computed bit by bit. Of long messages
 * no byte is read but those that change, and decode() reads few in each call.
 */
#include "codecfile_test.h"

#include <errno.h>
#include <stdio.h>

#define ROUNDS 60
#define LONG   (1u << 20)
#define MOST   (LONG + 8192)

/* ---- sums, bit by bit ------------------------------------------------------------------------ */

enum { CRC, ADLER, ADDED, XORED };

static const struct form {
	const char *keys;
	int algorithm;
	uint32_t bytes;
	bool reflected;
	uint32_t polynomial, initial, final;
} forms[] = {
	{"algorithm: crc32", CRC, 4, true, 0x04c11db7, UINT32_MAX, UINT32_MAX},
	{"algorithm: crc32c", CRC, 4, true, 0x1edc6f41, UINT32_MAX, UINT32_MAX},
	{"algorithm: crc32, reflected: false, initial: 0x12345678, final: 0", CRC, 4, false,
		0x04c11db7, 0x12345678, 0},
	{"algorithm: crc16", CRC, 2, false, 0x1021, 0xffff, 0},
	{"algorithm: crc16, polynomial: 0x8005, initial: 0, reflected: true", CRC, 2, true, 0x8005,
		0, 0},
	{"algorithm: crc16, polynomial: 0x3d65, initial: 7, final: 0xffff", CRC, 2, false, 0x3d65,
		7, 0xffff},
	{"algorithm: crc16, polynomial: 0x8006, reflected: true", CRC, 2, true, 0x8006, 0xffff, 0},
	{"algorithm: adler32", ADLER, 4, false, 0, 1, 0},
	{"algorithm: sum8", ADDED, 1, false, 0, 0, 0},
	{"algorithm: sum16", ADDED, 2, false, 0, 0, 0},
	{"algorithm: sum32", ADDED, 4, false, 0, 0, 0},
	{"algorithm: xor", XORED, 1, false, 0, 0, 0},
};

static uint32_t crc_bit(const struct form *f, uint32_t reg, uint32_t bit)
{
	uint32_t top = 1u << (8 * f->bytes - 1), low = 0;
	bool out;

	for (uint32_t i = 0; i < 8 * f->bytes; i++)
		low |= (f->polynomial >> i & 1) << (8 * f->bytes - 1 - i);
	out = (f->reflected ? reg & 1 : (reg & top) != 0) != bit;
	reg = f->reflected ? reg >> 1 : reg << 1;
	return out ? reg ^ (f->reflected ? low : f->polynomial) : reg;
}

static uint32_t sum_of(const struct form *f, const uint8_t *p, uint32_t n)
{
	uint32_t reg = f->initial, a = 1, b = 0;

	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t k = 0; f->algorithm == CRC && k < 8; k++)
			reg = crc_bit(f, reg, p[i] >> (f->reflected ? k : 7 - k) & 1);
		a = (a + p[i]) % 65521;
		b = (b + a) % 65521;
		reg = f->algorithm == ADDED ? reg + p[i] : f->algorithm == XORED ? reg ^ p[i] : reg;
	}
	reg = f->algorithm == ADLER ? b << 16 | a : reg ^ f->final;
	return f->bytes < 4 ? reg & ((1u << 8 * f->bytes) - 1) : reg;
}

/* ---- messages -------------------------------------------------------------------------------- */

#define DOCUMENT                                                                                   \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: sums}\nspec:\n"                  \
	"  calls: multiplexed\n  places:\n    mark: {at: 0, size: 1}\n"                            \
	"    total: {at: 1, size: 4}\n    head_size: {at: 5, size: 2}\n"                           \
	"    head_sum: {at: 7, size: 2}\n    fixed: {at: 9, size: 4}\n"                            \
	"    head: {at: 13, length: head_size, holds: headers}\n"                                  \
	"    text_id: {in: head, find: id, type: decimal}\n    sum: {at: -%u, size: %u}\n"         \
	"  frame: {length: total, max: 67108864}\n  messages:\n"                                   \
	"  - {is: request, from: client}\n  - {is: reply, from: server}\n"                         \
	"  id: %s\n  checksums:\n"                                                                 \
	"  - {place: sum, %s}\n"                                                                   \
	"  - {place: head_sum, algorithm: sum16, %s}\n"

/* What the sum in the head is computed of; that at the end covers it, too. */
static const struct range {
	const char *keys;
	int32_t from, to; /* negative: from the end */
} ranges[] = {{"from: 9, to: -4", 9, -4}, {"from: 9, to: -20", 9, -20}, {"from: 9, to: 13", 9, 13},
	{"from: 9, to: 45", 9, 45}, {"from: -30, to: -20", -30, -20}, {"from: 15, to: -5", 15, -5}};
static const struct range far = {"from: 9, to: 300000", 9, 300000};

static const struct mt_codec_table *compile(
	struct mt_region *region, const struct form *f, bool text, const struct range *range)
{
	char doc[2048];

	mt_region_init(region, 0);
	snprintf(doc, sizeof(doc), DOCUMENT, f->bytes, f->bytes, text ? "text_id" : "fixed",
		f->keys, range->keys);
	return file_compile(region, doc);
}

static uint8_t bytes[MOST];

static void put(uint32_t at, uint32_t v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		bytes[at + i] = (uint8_t)(v >> 8 * (n - 1 - i));
}

static uint32_t head_sum(const struct range *range, uint32_t n)
{
	static const struct form sum16 = {NULL, ADDED, 2, false, 0, 0, 0};
	uint32_t from = (uint32_t)range->from + (range->from < 0 ? n : 0);
	uint32_t to = (uint32_t)range->to + (range->to < 0 ? n : 0);

	return sum_of(&sum16, bytes + from, to - from);
}

/* A message with so many bytes behind its head. Returns its length. */
static uint32_t message(struct mt_rand *rnd, const struct form *f, const struct range *range,
	uint32_t id, uint32_t body)
{
	char head[64];
	uint32_t n_head = (uint32_t)snprintf(
		head, sizeof(head), "user: joe\r\nid: %u\r\nlast: of the head\r\n", id);
	uint32_t n = 13 + n_head + body + f->bytes;

	bytes[0] = 1;
	put(1, n, 4);
	put(5, n_head, 2);
	put(9, id, 4);
	memcpy(bytes + 13, head, n_head);
	for (uint32_t i = 13 + n_head; i < n - f->bytes; i++)
		bytes[i] = (uint8_t)mt_rand_u64(rnd);
	put(7, head_sum(range, n), 2);
	put(n - f->bytes, sum_of(f, bytes, n - f->bytes), f->bytes);
	return n;
}

/* True if the chain has the right sums; its message is in `bytes` then. */
static bool is_right(const struct form *f, const struct range *range, const struct mt_chain *c)
{
	uint32_t n = c->len, has = 0;

	mt_chain_read(c, 0, bytes, n);
	for (uint32_t i = 0; i < f->bytes; i++)
		has = has << 8 | bytes[n - f->bytes + i];
	return has == sum_of(f, bytes, n - f->bytes) &&
	       (uint32_t)(bytes[7] << 8 | bytes[8]) == head_sum(range, n);
}

/* ---- patched and computed -------------------------------------------------------------------- */

static uint64_t any_id(struct mt_rand *rnd, const struct mt_codec *codec)
{
	return codec->id_min + mt_rand_u64(rnd) % (codec->id_max - codec->id_min + 1);
}

static void change(struct mt_rand *rnd, const struct mt_codec *codec, const struct form *f,
	const struct range *range)
{
	static const uint32_t pieces[] = {0, 5, 64, 333};
	static uint8_t before[4096];
	uint32_t body = 30 + mt_rand_below(rnd, 3000);
	uint32_t n =
		message(rnd, f, range, (uint32_t)(mt_rand_u64(rnd) >> (32 + rnd->s[0] % 32)), body);
	struct mt_seed seed = {0};
	struct mt_chain c = {0};
	struct mt_msg msg;

	memcpy(before, bytes, n);
	env_append(&c, bytes, n, pieces[mt_rand_below(rnd, MT_ARRAY_LEN(pieces))]);
	CU_ASSERT_EQUAL_FATAL(env_decode(codec, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
	CU_ASSERT_FATAL(!msg.refuse);
	codec->correlate.save(codec, &msg, &c, &seed);
	for (uint32_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(
			mt_codec_set_id(codec, &msg, &c, any_id(rnd, codec), &env_pools), 0);
		CU_ASSERT(is_right(f, range, &c));
		CU_ASSERT_EQUAL(env_decode(codec, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
		CU_ASSERT(!msg.refuse && msg.len == c.len);
	}
	CU_ASSERT_EQUAL(mt_codec_restore_id(codec, &msg, &c, &seed, &env_pools), 0);
	CU_ASSERT(env_equal(&c, before, n));
	mt_chain_free(&c);
}

static void patched(void)
{
	struct mt_rand rnd;

	mt_rand_seed(&rnd, 1);
	for (uint32_t i = 0; i < 2 * MT_ARRAY_LEN(forms) * MT_ARRAY_LEN(ranges); i++) {
		const struct form *f = &forms[i / 2 % MT_ARRAY_LEN(forms)];
		const struct range *range = &ranges[i / 2 / MT_ARRAY_LEN(forms)];
		struct mt_region region;
		const struct mt_codec_table *t = compile(&region, f, i & 1, range);

		for (uint32_t k = 0; k < ROUNDS; k++)
			change(&rnd, &t->codec, f, range);
		mt_region_fini(&region);
	}
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* ---- long messages --------------------------------------------------------------------------- */

/* Decodes as a loop iteration does. Returns the calls. */
static uint32_t decode(const struct mt_codec *codec, const struct mt_chain *c, struct mt_msg *msg)
{
	enum mt_decode rc = MT_DECODE_MORE;
	struct mt_decoder d;
	uint32_t n = 0;

	mt_decoder_init(&d, codec, MT_DIR_DOWN, 0, c);
	while (rc == MT_DECODE_MORE && n++ < 100000) {
		d.steps = 16384;
		rc = mt_decoder_run(&d, msg);
		CU_ASSERT(rc != MT_DECODE_MORE || d.steps == 0);
	}
	CU_ASSERT_EQUAL(rc, MT_DECODE_DONE);
	return n;
}

/* Inverts bytes behind the head; they are the same ones if the head gets longer. */
static void invert(struct mt_chain *c)
{
	for (uint32_t behind = 4096; behind < LONG - 4096; behind += 8192) {
		uint32_t at = c->len - behind;
		uint8_t b;

		mt_chain_read(c, at, &b, 1);
		b = (uint8_t)~b;
		CU_ASSERT_EQUAL(mt_chain_patch(c, at, &b, 1, &env_pools), 0);
	}
}

/*
 * While the id changes the message has other bytes behind its head, which make no difference,
 * because they are not read.
 */
static void long_change(
	struct mt_rand *rnd, const struct form *f, bool text, const struct range *range, int rc)
{
	struct mt_region region;
	const struct mt_codec *codec = &compile(&region, f, text, range)->codec;
	uint32_t n = message(rnd, f, range, 7, LONG);
	struct mt_chain c = {0};
	struct mt_msg msg;

	env_append(&c, bytes, n, 0);
	/* Each call sums at most a byte for a step. */
	CU_ASSERT(decode(codec, &c, &msg) >= LONG / 16384);
	CU_ASSERT(!msg.refuse);
	invert(&c);
	CU_ASSERT_EQUAL(mt_codec_set_id(codec, &msg, &c, codec->id_max, &env_pools), rc);
	invert(&c);
	CU_ASSERT(msg.id == (rc ? 7 : codec->id_max) && (!rc || c.len == n));
	CU_ASSERT(is_right(f, range, &c));
	mt_chain_free(&c);
	mt_region_fini(&region);
}

static void long_messages(void)
{
	struct mt_rand rnd;

	mt_rand_seed(&rnd, 2);
	for (uint32_t i = 0; i < MT_ARRAY_LEN(forms); i++) {
		long_change(&rnd, &forms[i], false, &ranges[0], 0);
		long_change(&rnd, &forms[i], true, &ranges[0], 0);
	}
	/* Bytes move over the end of the range, so that the sum is of others. */
	long_change(&rnd, &forms[0], false, &far, 0);
	long_change(&rnd, &forms[0], true, &far, -ENOTSUP);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* ---- a range without bytes ------------------------------------------------------------------- */

static const char empty_doc[] =
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: empty}\nspec:\n"
	"  calls: serial\n  places:\n    total: {at: 0, size: 1}\n    sum: {at: 1, size: 1}\n"
	"  frame: {length: total, min: 2, max: 100}\n  messages:\n"
	"  - {is: request, from: client}\n  - {is: reply, from: server}\n"
	"  checksums: {place: sum, algorithm: sum8, from: 8}\n";

/* The range begins where the message ends, of which only the first bytes have arrived. */
static void without_bytes(void)
{
	static const uint8_t whole[8] = {8};
	struct mt_region region;
	const struct mt_codec *codec;
	struct mt_chain c = {0};
	struct mt_decoder d;
	struct mt_msg msg;

	mt_region_init(&region, 0);
	codec = &file_compile(&region, empty_doc)->codec;
	mt_decoder_init(&d, codec, MT_DIR_DOWN, 0, &c);
	env_append(&c, whole, 2, 0);
	CU_ASSERT_EQUAL(mt_decoder_run(&d, &msg), MT_DECODE_MORE);
	env_append(&c, whole + 2, 6, 0);
	CU_ASSERT_EQUAL(mt_decoder_run(&d, &msg), MT_DECODE_DONE);
	CU_ASSERT(!msg.refuse && msg.len == 8 && msg.lead_len == 8);
	mt_chain_free(&c);
	mt_region_fini(&region);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* ---- one place, two algorithms --------------------------------------------------------------- */

#define EITHER(places)                                                                             \
	"apiVersion: meltemi.io/v1\nkind: Codec\nmetadata: {name: either}\nspec:\n"                \
	"  calls: serial\n  places:\n    total: {at: 0, size: 1}\n    kind: {at: 1, size: "        \
	"1}\n" places "  frame: {length: total, min: 2, max: 100}\n  messages:\n"                  \
	"  - {is: request, from: client}\n  - {is: reply, from: server}\n  checksums:\n"           \
	"  - {place: sum, algorithm: sum8, to: 2, when: {kind: 1}}\n"                              \
	"  - {place: sum, algorithm: xor, to: 2, when: {kind: 3}}\n"

struct either {
	const char *text;
	uint8_t kind;
	bool refused;
};

static void read_either(const char *doc, const struct either *rows, size_t n)
{
	const struct mt_codec_table *t;
	struct mt_region region;

	mt_region_init(&region, 0);
	t = file_compile(&region, doc);
	for (size_t i = 0; i < n; i++) {
		uint8_t whole[32], len = (uint8_t)strlen(rows[i].text);
		struct mt_msg msg;

		whole[0] = 2 + len;
		whole[1] = rows[i].kind;
		memcpy(whole + 2, rows[i].text, len);
		CU_ASSERT_PTR_NULL(mt_codec_table_decode(t, MT_DIR_DOWN, whole, 2u + len, &msg));
		CU_ASSERT_EQUAL(msg.refuse != 0, rows[i].refused);
	}
	mt_region_fini(&region);
}

/* A sum is found where an earlier one is not computed. */
static void either_sum(void)
{
	static const struct either rows[] = {{"\1a\6", 1, false}, {"\1a\4", 1, true},
		{"\1a\6", 3, false}, {"\1a\x8", 3, true}, {"\1a\1", 2, false}};

	read_either(EITHER("    name: {at: 2, count: 1}\n    sum: {after: name, size: 1}\n"), rows,
		MT_ARRAY_LEN(rows));
}

/* A container that messages without a sum do not have. */
static void sum_in_container(void)
{
	static const struct either rows[] = {{"{\"s\":11}", 1, false}, {"{\"s\":12}", 1, true},
		{"{\"s\": 9}", 3, false}, {"{\"s\":11}", 3, true}, {"not JSON", 3, true},
		{"not JSON", 2, false}};

	read_either(EITHER("    body: {at: 2, to: 0, holds: json}\n"
			   "    sum: {in: body, find: s, type: number}\n"),
		rows, MT_ARRAY_LEN(rows));
}

const struct mt_test sum_tests[] = {{"patched", patched}, {"long messages", long_messages},
	{"a range without bytes", without_bytes}, {"one place, two algorithms", either_sum},
	{"a container of sums", sum_in_container}, {0}};
