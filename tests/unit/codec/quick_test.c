/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode() runs simple ops of a table in its own way if their bytes lie in one buffer. Random
 * programs of such ops must find the same in a message that lies in one buffer as in one that lies
 * in many, where the interpreter runs.
 */
#include "codec_test.h"
#include "mt_codec_table.h"

#include <errno.h>
#include <stdio.h>

#define TABLES	 4000
#define MESSAGES 8
#define BYTES	 40
#define LAST	 24 /* op */
#define FRAMED	 3
#define KIND	 8
#define SLOTS	 4

enum { LENGTH, NUMBER, MASKED, ID, FIRST_PART };
#define PLACES 12

static struct mt_ct_op ops[LAST + 1];
static struct mt_ct_place places[PLACES];
static const char *const keys[] = {NULL};

static uint8_t below(struct mt_rand *r, uint32_t n)
{
	return (uint8_t)mt_rand_below(r, n);
}

/* Often at the end of a range of numbers. */
static uint64_t bound(struct mt_rand *r)
{
	static const uint64_t ends[] = {
		0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, INT64_MAX, 1ull << 63, UINT64_MAX};

	switch (mt_rand_below(r, 3)) {
	case 0:
		return ends[mt_rand_below(r, MT_ARRAY_LEN(ends))];
	case 1:
		return -ends[mt_rand_below(r, MT_ARRAY_LEN(ends))];
	default:
		return mt_rand_u64(r) >> mt_rand_below(r, 64);
	}
}

static void make_places(struct mt_rand *r)
{
	places[LENGTH] = (struct mt_ct_place){
		.base = MT_CT_START, .type = MT_CT_BIG, .size = 1, .mask = 0x3f};
	for (uint32_t i = NUMBER; i < FIRST_PART; i++)
		places[i] = (struct mt_ct_place){.base = MT_CT_START,
			.type = below(r, 2) ? MT_CT_BIG : MT_CT_LITTLE,
			.size = (uint8_t)(1 + below(r, 8)),
			.at = below(r, 24),
			.mask = i == MASKED ? mt_rand_u64(r) : UINT64_MAX,
			.absent = below(r, 2),
			.flags = below(r, 2) ? 0 : below(r, 4)};
	for (uint32_t i = FIRST_PART; i < PLACES; i++)
		places[i] = (struct mt_ct_place){.base = below(r, 2)   ? MT_CT_START
							 : below(r, 2) ? MT_CT_IN
								       : MT_CT_AFTER,
			.slot = below(r, SLOTS),
			.type = MT_CT_BYTES,
			.size = below(r, 3) ? 0 : below(r, 12),
			.at = below(r, 3) ? 0 : below(r, 24)};
}

static uint16_t part(struct mt_rand *r)
{
	return (uint16_t)(FIRST_PART + mt_rand_below(r, PLACES - FIRST_PART));
}

static void make_test(struct mt_rand *r, uint32_t i, uint32_t most)
{
	ops[i] = (struct mt_ct_op){.code = MT_CT_TEST_NUMBER,
		.flags = below(r, 2),
		.place = NUMBER + below(r, 2),
		.to = (uint16_t)(i + 1 + mt_rand_below(r, most - i)),
		.lo = bound(r),
		.hi = bound(r)};
	if (below(r, 2))
		ops[i].lo = below(r, 2) ? 0 : 1ull << 63;
	if (below(r, 2))
		ops[i].hi = below(r, 2) ? UINT64_MAX : INT64_MAX;
}

static void make_op(struct mt_rand *r, uint32_t i)
{
	static const uint8_t codes[] = {
		MT_CT_FIXED, MT_CT_TO, MT_CT_HESSIAN, MT_CT_HOLD, MT_CT_STATUS, MT_CT_ID};
	uint8_t code = codes[mt_rand_below(r, sizeof(codes))];

	ops[i] = (struct mt_ct_op){.code = code,
		.flags = code == MT_CT_STATUS ? below(r, MT_CT_CLASSES) : 0,
		.slot = below(r, SLOTS),
		.within = below(r, 2) ? MT_CT_NONE : below(r, SLOTS),
		.place = code == MT_CT_ID ? ID : part(r)};
	if (code == MT_CT_HOLD) {
		ops[i].n = below(r, 2) ? 0 : below(r, 16);
		ops[i].m = below(r, 2);
	}
	if (code == MT_CT_TO)
		ops[i].m = 0u - below(r, 3);
}

/* A length, the kind by a number, then any ops. */
static void make_ops(struct mt_rand *r)
{
	ops[0] = (struct mt_ct_op){.code = MT_CT_LENGTH, .place = LENGTH, .lo = 1};
	make_test(r, 1, FRAMED);
	ops[2] = (struct mt_ct_op){.code = MT_CT_ADD, .lo = 1};
	ops[FRAMED] = (struct mt_ct_op){.code = MT_CT_FRAMED, .lo = 1, .hi = BYTES};
	for (uint32_t i = FRAMED + 1; i < KIND; i++)
		make_op(r, i);
	make_test(r, FRAMED + 1, KIND);
	ops[KIND] = (struct mt_ct_op){.code = MT_CT_KIND, .flags = below(r, MT_MSG_N_KINDS)};
	for (uint32_t i = KIND + 1; i < LAST; i++)
		if (below(r, 4))
			make_op(r, i);
		else
			make_test(r, i, LAST);
	ops[LAST] = (struct mt_ct_op){.code = MT_CT_DONE};
}

static void make_message(struct mt_rand *r, uint8_t bytes[BYTES])
{
	for (uint32_t i = 0; i < BYTES; i++)
		bytes[i] = below(r, 2)	 ? below(r, 12)
			   : below(r, 2) ? (uint8_t)mt_rand_u64(r)
					 : (uint8_t)(0u - below(r, 3));
	bytes[0] = (uint8_t)(1 + below(r, BYTES));
}

static bool is_same(const struct mt_msg *a, const struct mt_msg *b)
{
	if (a->len != b->len || a->kind != b->kind || a->id != b->id || a->status != b->status ||
		a->refuse != b->refuse || a->aux != b->aux || a->aux32 != b->aux32 ||
		a->can_reply != b->can_reply)
		return false;
	for (uint32_t i = 0; i < MT_CT_KEPT; i++)
		if (a->aux32 >> i & 1 &&
			(a->field[i].off != b->field[i].off || a->field[i].len != b->field[i].len))
			return false;
	return true;
}

/* In buffers of `piece` bytes. False: it is bad. */
static bool decode(
	const struct mt_codec *codec, const uint8_t *p, uint32_t piece, struct mt_msg *msg)
{
	struct mt_chain c = {0};
	enum mt_decode rc;

	env_append(&c, p, BYTES, piece);
	rc = env_decode(codec, MT_DIR_DOWN, &c, msg);
	CU_ASSERT(rc == MT_DECODE_DONE || rc == MT_DECODE_BAD);
	mt_chain_free(&c);
	return rc == MT_DECODE_DONE;
}

/* Returns how many messages were not bad. */
static uint32_t one(struct mt_rand *r, const struct mt_codec *codec)
{
	uint32_t good = 0;

	for (uint32_t i = 0; i < MESSAGES; i++) {
		struct mt_msg whole, cut, bytewise;
		uint8_t bytes[BYTES];
		bool ok;

		make_message(r, bytes);
		/* The interpreter runs all that reads more than the first byte. */
		ok = decode(codec, bytes, 1, &bytewise);
		good += ok;
		CU_ASSERT(decode(codec, bytes, 0, &whole) == ok);
		CU_ASSERT(decode(codec, bytes, 9, &cut) == ok);
		CU_ASSERT(!ok || (is_same(&whole, &bytewise) && is_same(&cut, &bytewise)));
	}
	return good;
}

static void programs(void)
{
	uint32_t good = 0, tables = 0;
	struct mt_rand r;
	const char *why;

	mt_rand_seed(&r, 1);
	for (uint32_t i = 0; i < TABLES; i++) {
		struct mt_codec_table t = {.ops = ops,
			.places = places,
			.n_ops = LAST + 1,
			.n_places = PLACES,
			.codec = {.name = "quick",
				.version = 1,
				.max_message = BYTES,
				.id_max = below(&r, 2) ? UINT32_MAX : 0,
				.keys = keys}};

		make_places(&r);
		make_ops(&r);
		if (!mt_codec_table_check(&t, &why))
			continue;
		mt_codec_table_finish(&t);
		tables++;
		good += one(&r, &t.codec);
	}
	CU_ASSERT(tables > TABLES / 2);
	CU_ASSERT(good > tables * MESSAGES / 2);
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

/* A walk that empties its own container would end at the first wait for bytes. */
static void walk_into_its_container(void)
{
	static const struct mt_ct_walk walk = {.format = MT_CT_WORDS, .n = 1};
	struct mt_ct_target target = {.number = 1, .slot = 1};
	struct mt_codec_table t = {.ops = ops,
		.places = places,
		.walks = &walk,
		.targets = &target,
		.n_ops = 6,
		.n_places = 1,
		.n_walks = 1,
		.n_targets = 1,
		.codec = {.name = "walk", .version = 1, .max_message = BYTES, .keys = keys}};
	const char *why = "";

	places[0] = (struct mt_ct_place){.base = MT_CT_START, .type = MT_CT_BYTES, .size = 4};
	ops[0] = (struct mt_ct_op){.code = MT_CT_ADD, .lo = 8};
	ops[1] = (struct mt_ct_op){.code = MT_CT_FRAMED, .lo = 1, .hi = BYTES};
	ops[2] = (struct mt_ct_op){.code = MT_CT_KIND, .flags = MT_MSG_REQUEST};
	ops[3] = (struct mt_ct_op){.code = MT_CT_FIXED, .within = MT_CT_NONE};
	ops[4] = (struct mt_ct_op){.code = MT_CT_WALK};
	ops[5] = (struct mt_ct_op){.code = MT_CT_DONE};
	CU_ASSERT(mt_codec_table_check(&t, &why));
	target.slot = 0;
	CU_ASSERT_FALSE(mt_codec_table_check(&t, &why));
	CU_ASSERT_STRING_EQUAL(why, "an op with a wrong operand");
}

/* A message without a place for the id must not be forwarded as if the id were written. */
static void no_place_for_an_id(void)
{
	static const struct {
		uint8_t kind;
		int rc;
	} rows[] = {{MT_MSG_REQUEST, -ENOTSUP}, {MT_MSG_REPLY, -ENOTSUP}, {MT_MSG_ONEWAY, 0}};
	struct mt_codec_table t = {.ops = ops,
		.n_ops = 4,
		.codec = {.name = "no_id",
			.version = 1,
			.max_message = BYTES,
			.id_min = 4096,
			.id_max = UINT32_MAX,
			.keys = keys}};
	const char *why = "";

	ops[0] = (struct mt_ct_op){.code = MT_CT_ADD, .lo = 8};
	ops[1] = (struct mt_ct_op){.code = MT_CT_FRAMED, .lo = 1, .hi = BYTES};
	ops[3] = (struct mt_ct_op){.code = MT_CT_DONE};
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_chain c = {0};
		struct mt_msg msg;

		ops[2] = (struct mt_ct_op){.code = MT_CT_KIND, .flags = rows[i].kind};
		CU_ASSERT(mt_codec_table_check(&t, &why));
		mt_codec_table_finish(&t);
		env_append(&c, (const uint8_t *)"messages", 8, 0);
		CU_ASSERT_EQUAL(env_decode(&t.codec, MT_DIR_DOWN, &c, &msg), MT_DECODE_DONE);
		CU_ASSERT_EQUAL(mt_codec_set_id(&t.codec, &msg, &c, 4096, &env_pools), rows[i].rc);
		CU_ASSERT(env_equal(&c, (const uint8_t *)"messages", 8));
		mt_chain_free(&c);
	}
	CU_ASSERT_EQUAL(env_in_use(), 0);
}

const struct mt_test quick_tests[] = {{"programs", programs},
	{"walk_into_its_container", walk_into_its_container},
	{"no place for an id", no_place_for_an_id}, {0}};
