/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random tables under random bytes. Whatever a table contains, either it is refused, or it runs within
 * its bounds and reads nothing outside of the message. The input has the numbers of a table; they are
 * brought near to their ranges, so that many tables are accepted.
 */
#include "fuzz_codec_stream.h"
#include "fuzz_reader.h"

#define OPS	64
#define PLACES	24
#define WALKS	6
#define TARGETS 24
#define SUMS	2
#define METAS	6
#define PARTS	12
#define SAVES	3
#define MADE	4 /* templates, one for each use */

static struct mt_ct_op ops[OPS];
static struct mt_ct_place places[PLACES];
static struct mt_ct_walk walks[WALKS];
static struct mt_ct_target targets[TARGETS];
static struct mt_ct_sum sums[SUMS];
static struct mt_ct_meta metas[METAS];
static struct mt_ct_search searches[METAS];
static struct mt_ct_piece parts[PARTS];
static struct mt_ct_save saves[SAVES];
static struct mt_ct_template templates[MADE];
static struct mt_ct_name names[2] = {{1, 0, 4}, {2, 4, 4}};
static const char text[] = "abcd\r\n\r\nkey: name=x";
static const char *const keys[] = {"a", "b", NULL};

/* Usually a slot, at times none. */
static uint8_t slot(struct reader *r)
{
	uint32_t v = u8(r);

	return v > 250 ? MT_CT_NONE : (uint8_t)(v % MT_CT_SLOTS);
}

static int32_t small(struct reader *r)
{
	return (int32_t)u8(r) - 128;
}

static void make_place(struct reader *r, struct mt_ct_place *p)
{
	*p = (struct mt_ct_place){.base = (uint8_t)(u8(r) % MT_CT_BASES),
		.slot = (uint8_t)(u8(r) % MT_CT_SLOTS),
		.type = (uint8_t)(u8(r) % MT_CT_TYPES),
		.size = (uint8_t)(u8(r) % 10),
		.at = small(r),
		.mask = u8(r) & 1 ? UINT64_MAX : u8(r),
		.absent = u8(r),
		.flags = (uint8_t)(u8(r) & 3)};
	if (p->base == MT_CT_START || p->base == MT_CT_AFTER)
		p->at &= 0x1f;
	if (p->base == MT_CT_END)
		p->at = -1 - (p->at & 0x1f);
}

static void make_walk(struct reader *r, struct mt_ct_walk *w)
{
	static const uint8_t pads[] = {1, 2, 4, 8};

	*w = (struct mt_ct_walk){.format = (uint8_t)(u8(r) % MT_CT_FORMATS),
		.flags = (uint8_t)(u8(r) & 15),
		.key_width = (uint8_t)(1 + u8(r) % 4),
		.value_width = (uint8_t)(1 + u8(r) % 4),
		.pad = pads[u8(r) & 3],
		.between = (uint8_t)u8(r),
		.end = (uint8_t)u8(r),
		.n = (uint8_t)(u8(r) % 5),
		.first = (uint16_t)(u8(r) % (TARGETS - 4))};
}

static void make_target(struct reader *r, struct mt_ct_target *g)
{
	*g = (struct mt_ct_target){.number = u8(r) & 0x1f,
		.text = u8(r) % 8,
		.len = (uint16_t)(u8(r) % 5),
		.slot = slot(r),
		.parent = (uint8_t)(u8(r) % 4),
		.accept = (uint8_t)(u8(r) % MT_CT_ACCEPTS),
		.first = (uint8_t)(u8(r) & 1),
		.nested = (uint8_t)(u8(r) & 1)};
}

/* The rows of a CRC; other rows are refused. */
static void make_rows(struct mt_ct_sum *s)
{
	uint32_t mask = s->width < 32 ? (1u << s->width) - 1 : UINT32_MAX;
	uint32_t top = 1u << (s->width - 1), polynomial = 2654435761u & mask;

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t v = s->reflected ? i : i << (s->width - 8);

		for (uint32_t k = 0; k < 8; k++)
			v = s->reflected ? v >> 1 ^ (v & 1 ? polynomial : 0)
					 : (v << 1 ^ (v & top ? polynomial : 0)) & mask;
		s->row[i] = v;
	}
}

static void make_sum(struct reader *r, struct mt_ct_sum *s)
{
	static const uint8_t widths[] = {8, 16, 32, 32};

	memset(s, 0, sizeof(*s));
	s->algorithm = (uint8_t)(u8(r) % MT_CT_ALGORITHMS);
	s->width = widths[u8(r) & 3];
	s->reflected = (uint8_t)(u8(r) & 1);
	s->place = (uint16_t)(u8(r) % PLACES);
	s->from_base = (uint16_t)(u8(r) & 1);
	s->to_base = (uint16_t)(u8(r) & 1);
	s->from = small(r);
	s->to = small(r);
	make_rows(s);
}

static void make_op(struct reader *r, uint32_t i, struct mt_ct_op *op)
{
	*op = (struct mt_ct_op){.code = (uint8_t)(u8(r) % MT_CT_CODES),
		.slot = slot(r),
		.within = slot(r),
		.place = (uint16_t)(u8(r) % PLACES),
		.to = (uint16_t)(i + 1 + u8(r) % 8),
		.n = u8(r) & 7,
		.m = u8(r) & 7,
		.lo = u8(r),
		.hi = u8(r)};
	op->flags = (uint8_t)(u8(r) % (op->code <= MT_CT_TEST_THERE ? 2 : MT_CT_CLASSES));
	op->to = (uint16_t)MT_MIN(op->to, OPS - 1);
	if (op->code == MT_CT_FRAMED)
		op->hi = op->hi << 8 | 0xff;
	if (op->code == MT_CT_TO)
		op->m = -op->m;
	if (op->code == MT_CT_BAD)
		op->n %= MT_CT_FAULTS;
	if (op->code == MT_CT_KIND || op->code == MT_CT_SUM)
		op->n &= 1;
	if (op->code == MT_CT_HOLD)
		op->m &= 1;
}

/* A message has a length and a kind: ops for them, and the rest random. */
static void make_ops(struct reader *r)
{
	uint32_t length = 1 + u8(r) % 24, kind = length + 1 + u8(r) % 8;

	for (uint32_t i = 0; i < OPS; i++) {
		make_op(r, i, &ops[i]);
		if (i < length && (ops[i].code >= MT_CT_FRAMED || ops[i].to > length))
			ops[i].code = MT_CT_ADD;
		if (i > length && (ops[i].code == MT_CT_FRAMED || ops[i].code == MT_CT_DONE))
			ops[i].code = MT_CT_REFUSE;
		if (i > length && i < kind && ops[i].to > kind && ops[i].code <= MT_CT_TEST_THERE)
			ops[i].to = (uint16_t)kind;
	}
	ops[length] = (struct mt_ct_op){.code = MT_CT_FRAMED, .lo = 1, .hi = 4096};
	ops[kind] =
		(struct mt_ct_op){.code = MT_CT_KIND, .flags = (uint8_t)(u8(r) % MT_MSG_N_KINDS)};
	ops[OPS - 1] = (struct mt_ct_op){.code = MT_CT_DONE};
}

/* No walk fills the slot of its container, which the check refuses. */
static void part_walks(void)
{
	for (uint32_t i = 0; i < OPS; i++) {
		const struct mt_ct_walk *w = &walks[ops[i].n % WALKS];

		if (ops[i].code != MT_CT_WALK)
			continue;
		for (uint32_t k = w->first; k < (uint32_t)w->first + w->n; k++)
			if (targets[k].slot == ops[i].within)
				targets[k].slot = MT_CT_NONE;
	}
}

static void make_metas(struct reader *r)
{
	for (uint32_t i = 0; i < METAS; i++) {
		metas[i] = (struct mt_ct_meta){.key = (uint8_t)(i & 1),
			.kinds = 0xffff,
			.place = (uint16_t)(u8(r) % PLACES),
			.n_names = (uint16_t)(u8(r) & 1),
			.split = (uint8_t)u8(r),
			.part = (uint8_t)(u8(r) % MT_CT_PARTS)};
		searches[i] = (struct mt_ct_search){.slot = (uint8_t)(u8(r) % MT_CT_KEPT),
			.kinds = 0xffff,
			.walk = (uint16_t)(u8(r) % WALKS)};
	}
}

static void make_part(struct reader *r, struct mt_ct_piece *p)
{
	*p = (struct mt_ct_piece){.code = (uint8_t)(u8(r) % MT_CT_PIECE_CODES),
		.type = (uint8_t)(1 + u8(r) % (MT_CT_TYPES - 1)),
		.size = (uint8_t)(u8(r) % 9),
		.source = (uint8_t)(u8(r) % MT_CT_SOURCES),
		.escape = (uint8_t)(u8(r) % MT_CT_ESCAPES),
		.tag = (uint8_t)u8(r),
		.n = (uint16_t)(u8(r) & 3),
		.first = (uint16_t)(u8(r) & 3),
		.unit = (uint16_t)(1 + (u8(r) & 3)),
		.text = u8(r) & 7,
		.len = u8(r) & 15,
		.mask = u8(r) & 1 ? UINT64_MAX : u8(r),
		.set = u8(r),
		.add = (uint64_t)small(r)};
	p->is_signed = p->tag & 1;
	if (p->type == MT_CT_VARINT || p->type == MT_CT_ZIGZAG)
		p->size = 0;
	if (p->type == MT_CT_BIG || p->type == MT_CT_LITTLE)
		p->size = (uint8_t)MT_MAX(p->size, 1);
	if (p->type == MT_CT_JCE)
		p->size = (uint8_t)(p->size & 4);
}

/* A template for each use, some of which share parts. */
static void make_templates(struct reader *r)
{
	for (uint32_t i = 0, off = 0; i < SAVES; i++) {
		saves[i] = (struct mt_ct_save){.place = (uint16_t)(u8(r) % PLACES),
			.kinds = 0xffff,
			.off = (uint8_t)off,
			.most = i ? (uint8_t)(1 + u8(r) % 32) : 0};
		off += i ? 1u + saves[i].most : 8;
	}
	for (uint32_t i = 0; i < PARTS; i++)
		make_part(r, &parts[i]);
	for (uint32_t i = 0; i < MADE; i++) {
		templates[i] = (struct mt_ct_template){.use = (uint8_t)i,
			.reasons = 0xffff,
			.first = (uint16_t)(u8(r) % (PARTS - 6)),
			.n = 6};
		templates[i].codes[MT_REPLY_DENIED] = small(r);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = {data, size};
	struct mt_codec_table t = {.ops = ops,
		.places = places,
		.walks = walks,
		.targets = targets,
		.sums = sums,
		.names = names,
		.metas = metas,
		.searches = searches,
		.parts = parts,
		.saves = saves,
		.templates = templates,
		.text = (const uint8_t *)text,
		.n_ops = OPS,
		.n_places = PLACES,
		.n_walks = WALKS,
		.n_targets = TARGETS,
		.n_sums = SUMS,
		.n_names = 2,
		.n_text = sizeof(text),
		.n_keys = 2,
		.codec = {.name = "fuzz",
			.version = 1,
			.max_message = 4096,
			.id_max = 4095,
			.keys = keys}};
	const char *why;
	uint32_t first = u8(&r);

	t.n_metas = first % (METAS + 1);
	t.n_searches = u8(&r) % (METAS + 1);
	make_ops(&r);
	for (uint32_t i = 0; i < PLACES; i++)
		make_place(&r, &places[i]);
	for (uint32_t i = 0; i < TARGETS; i++)
		make_target(&r, &targets[i]);
	for (uint32_t i = 0; i < WALKS; i++)
		make_walk(&r, &walks[i]);
	part_walks();
	for (uint32_t i = 0; i < SUMS; i++)
		make_sum(&r, &sums[i]);
	make_metas(&r);
	if (first & 0x80) {
		make_templates(&r);
		t.n_parts = PARTS;
		t.n_saves = SAVES;
		t.n_templates = MADE;
	}
	if (!mt_codec_table_check(&t, &why))
		return 0;
	mt_codec_table_finish(&t);
	stream_table(&t, r.at, (uint32_t)MT_MIN(r.left, 2048u));
	return 0;
}
