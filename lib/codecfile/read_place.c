/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the places of a document. */
#include "file.h"

static const char *const order_words[] = {"big", "little", NULL};
/* enum cf_type, less one. */
static const char *const type_words[] = {
	"number", "text", "decimal", "varint", "zigzag", "fixed", "bytes", NULL};

#define NUMBER_FIELD(member, to)                                                                   \
	static void read_##member(struct mt_fctx *c, const struct mt_ynode *n, void *obj)          \
	{                                                                                          \
		cf_read_number(c, n, &((struct cf_place *)obj)->to);                               \
	}
#define OFFSET_FIELD(member)                                                                       \
	static void read_##member(struct mt_fctx *c, const struct mt_ynode *n, void *obj)          \
	{                                                                                          \
		cf_read_offset(c, n, &((struct cf_place *)obj)->member);                           \
	}
#define REF_FIELD(member)                                                                          \
	static void read_##member(struct mt_fctx *c, const struct mt_ynode *n, void *obj)          \
	{                                                                                          \
		cf_read_ref(c, n, &((struct cf_place *)obj)->member);                              \
	}
OFFSET_FIELD(at)
OFFSET_FIELD(to)
OFFSET_FIELD(add)
NUMBER_FIELD(mask, mask)
NUMBER_FIELD(default, absent)
OFFSET_FIELD(count_add)
REF_FIELD(in)
REF_FIELD(after)
REF_FIELD(length)

#define CUSTOM(key)                                                                                \
	{                                                                                          \
#key, MT_F_CUSTOM, .custom = read_##key                                            \
	}

/* ---- counted strings ----------------------------------------------------------------------- */

static const struct mt_field count_fields[] = {
	{"size", MT_F_NUM, .required = true, AT(struct cf_place, count), .min = 1, .max = 8,
		.help = "bytes of the length"},
	{"order", MT_F_WORD, AT(struct cf_place, count_order), .words = order_words},
	{"unit", MT_F_NUM, AT(struct cf_place, count_unit), .min = 1, .max = 4096},
	{"add", MT_F_CUSTOM, .custom = read_count_add},
};
static const struct mt_section sec_count = {.what = "count",
	.size = sizeof(struct cf_place),
	.n_fields = MT_ARRAY_LEN(count_fields),
	.fields = count_fields};

/* The size of the length, or a map. */
static void read_count(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_place *p = obj;
	struct mt_origin origin = p->origin;

	if (n->type == MT_Y_SCALAR) {
		mt_read_num(c, n, 1, 8, &p->count);
		return;
	}
	mt_section_read(c, &sec_count, n, p);
	p->origin = origin;
}

/* ---- containers ---------------------------------------------------------------------------- */

struct holds {
	struct mt_origin origin;
	struct mt_num key, length, pad, order, whole;
	struct mt_text between, end;
};

static const char *const counts_words[] = {"value", "element", NULL};

static const struct mt_field pairs_fields[] = {
	{"length", MT_F_NUM, .required = true, AT(struct holds, length), .min = 1, .max = 4,
		.help = "bytes of the length in front of each key and value"},
	{"order", MT_F_WORD, AT(struct holds, order), .words = order_words},
};
static const struct mt_section sec_pairs = {.what = "pairs",
	.size = sizeof(struct holds),
	.n_fields = MT_ARRAY_LEN(pairs_fields),
	.fields = pairs_fields};

static const struct mt_field lines_fields[] = {
	{"between", MT_F_TEXT, .required = true, AT(struct holds, between),
		.help = "the character after a key"},
	{"end", MT_F_TEXT, .required = true, AT(struct holds, end),
		.help = "the character after a value"},
};
static const struct mt_section sec_lines = {.what = "lines",
	.size = sizeof(struct holds),
	.n_fields = MT_ARRAY_LEN(lines_fields),
	.fields = lines_fields};

static const struct mt_field words_fields[] = {
	{"between", MT_F_TEXT, .required = true, AT(struct holds, between),
		.help = "the character between words"},
};
static const struct mt_section sec_words = {.what = "words",
	.size = sizeof(struct holds),
	.n_fields = MT_ARRAY_LEN(words_fields),
	.fields = words_fields};

static const struct mt_field tlv_fields[] = {
	{"tag", MT_F_NUM, .required = true, AT(struct holds, key), .min = 1, .max = 4,
		.help = "bytes of the tag"},
	{"length", MT_F_NUM, .required = true, AT(struct holds, length), .min = 1, .max = 4,
		.help = "bytes of the length"},
	{"order", MT_F_WORD, AT(struct holds, order), .words = order_words},
	{"counts", MT_F_WORD, AT(struct holds, whole), .words = counts_words},
	{"pad", MT_F_NUM, AT(struct holds, pad), .min = 1, .max = 8},
};
static const struct mt_section sec_tlv = {.what = "tlv",
	.size = sizeof(struct holds),
	.n_fields = MT_ARRAY_LEN(tlv_fields),
	.fields = tlv_fields};

static uint8_t character(struct mt_fctx *c, const struct mt_text *t)
{
	if (t->s && strlen(t->s) != 1)
		mt_f_error(c, t->line, "write one character in double quotes: \"\\n\"",
			"\"%.16s\" is not a character", t->s);
	return t->s ? (uint8_t)t->s[0] : 0;
}

static void read_parameters(struct mt_fctx *c, const struct mt_ynode *n, struct cf_container *k)
{
	static const struct {
		const char *name;
		enum cf_holds holds;
		const struct mt_section *section;
	} kinds[] = {
		{"pairs", CF_PAIRS, &sec_pairs},
		{"lines", CF_LINES, &sec_lines},
		{"words", CF_WORDS, &sec_words},
		{"tlv", CF_TLV, &sec_tlv},
	};
	struct holds h = {0};

	for (size_t i = 0; i < MT_ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].name, n->key) != 0)
			continue;
		mt_section_read(c, kinds[i].section, n, &h);
		*k = (struct cf_container){.holds = kinds[i].holds,
			.width = (uint8_t)(h.key.set ? h.key.v : h.length.v),
			.value_width = (uint8_t)h.length.v,
			.pad = (uint8_t)(h.pad.set ? h.pad.v : 1),
			.between = character(c, &h.between),
			.end = character(c, &h.end),
			.ordered = h.order.set,
			.little = h.order.v == 1,
			.whole = h.whole.set && h.whole.v == 1};
		if (h.pad.set && (k->pad & (k->pad - 1)))
			mt_f_error(c, h.pad.line, "write 1, 2, 4 or 8", "%u is not an alignment",
				h.pad.v);
		return;
	}
	mt_f_error(c, n->key_line, "write one of pairs, lines, words, tlv", "unknown format");
}

/* A word, or a map with one key: the format and its parameters. */
static void read_holds(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	/* Those after the first ones have parameters. */
	static const char *const words[] = {"protobuf", "jce", "json", "words", "headers",
		"hessian", "map", "pairs", "lines", "tlv", NULL};
	static const enum cf_holds of[] = {
		CF_PROTOBUF, CF_JCE, CF_JSON, CF_WORDS, CF_HEADERS, CF_HESSIAN, CF_MAP};
	struct cf_container *k = &((struct cf_place *)obj)->container;
	struct mt_num word = {0};
	uint32_t mark;

	if (n->type == MT_Y_SCALAR) {
		if (!mt_read_word(c, n, words, &word))
			return;
		if (word.v >= MT_ARRAY_LEN(of)) {
			mt_f_error(c, n->line, "write a map of the format to its parameters",
				"%s has parameters", words[word.v]);
			return;
		}
		*k = (struct cf_container){.holds = of[word.v], .between = ' ', .trim = true};
		if (k->holds == CF_HEADERS)
			k->between = ':', k->end = '\n';
		return;
	}
	if (!mt_want_map(c, n, "a format"))
		return;
	if (n->n != 1) {
		mt_f_error(c, n->line, "write one of them", "a container has one format");
		return;
	}
	mark = mt_path_push(c, n->first->key);
	read_parameters(c, n->first, k);
	mt_path_pop(c, mark);
}

/* ---- places -------------------------------------------------------------------------------- */

/* True for numbers that end with their last byte. */
static bool is_varint(const struct cf_place *p)
{
	return p->type.set && (p->type.v + 1 == CF_T_VARINT || p->type.v + 1 == CF_T_ZIGZAG);
}

/* True if one of these keys has a value. If that has a mistake, the mistake was reported. */
static bool is_written(const struct mt_ynode *n, const char *const *keys)
{
	for (; *keys; keys++) {
		const struct mt_ynode *value = mt_yaml_get(n, *keys);

		if (value && !mt_is_empty(value))
			return true;
	}
	return false;
}

static void check_position(struct mt_fctx *c, const struct mt_ynode *n, struct cf_place *p)
{
	static const char *const at_keys[] = {"at", "after", NULL};
	static const char *const end_keys[] = {"size", "count", "length", "to", "until", NULL};
	uint32_t ends = p->size.set + p->count.set + (p->length.name != NULL) + p->to.set +
			(p->until.s != NULL);

	if (p->find.s) {
		if (!p->in.name)
			mt_f_error(c, n->line, "add in: the place that contains it",
				"find needs a container");
		if (ends > p->size.set || p->at.set || p->after.name)
			mt_f_error(c, n->line, "remove at, after, count, length, to and until",
				"find gives its bytes already");
		return;
	}
	if (!p->at.set && !p->after.name && !is_written(n, at_keys))
		mt_f_error(c, n->line, "add at: the offset, or after: another place",
			"it has no position");
	if (p->after.name && p->in.name)
		mt_f_error(c, n->line, "remove in",
			"a place after another one is in the same container");
	if (p->after.name && p->at.set && p->at.negative)
		mt_f_error(c, n->line, "write an offset that is not negative",
			"at counts from the end of the place before");
	if (ends == 0 && !is_varint(p) && !is_written(n, end_keys))
		mt_f_error(c, n->line, "add one of size, count, length, to and until",
			"it has no end");
	if (p->size.set && is_varint(p))
		mt_f_error(c, p->size.line, "remove size",
			"a varint ends with its last byte, wherever that is");
	if (ends > 1)
		mt_f_error(c, n->line, "keep one of size, count, length, to and until",
			"its end is given twice");
}

static void check_place(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_place *p = obj;

	check_position(c, n, p);
	if (p->to.set && !p->to.negative && p->to.v != 0)
		mt_f_error(c, p->to.line, "write 0 or a negative number",
			"to counts from the end of the message or container");
	if (p->until.s && (strlen(p->until.s) > 8))
		mt_f_error(c, p->until.line, "write 8 characters at most", "too long a delimiter");
	if ((p->unit.set || p->add.set) && !p->length.name)
		mt_f_error(c, n->line, "remove unit and add",
			"they change a length that is not there");
	if (p->max.set && !p->until.s)
		mt_f_error(c, p->max.line, "remove it", "max is for until");
}

static const struct mt_field place_fields[] = {
	CUSTOM(in),
	CUSTOM(at),
	CUSTOM(after),
	{"size", MT_F_NUM, AT(struct cf_place, size), .min = 1, .max = 255},
	CUSTOM(count),
	CUSTOM(length),
	{"unit", MT_F_NUM, AT(struct cf_place, unit), .min = 1, .max = 4096},
	CUSTOM(add),
	CUSTOM(to),
	{"until", MT_F_TEXT, AT(struct cf_place, until)},
	{"max", MT_F_NUM, AT(struct cf_place, max), .min = 1, .max = MT_CT_LEAD},
	{"find", MT_F_TEXT, AT(struct cf_place, find)},
	{"holds", MT_F_CUSTOM, .custom = read_holds},
	{"type", MT_F_WORD, AT(struct cf_place, type), .words = type_words},
	{"order", MT_F_WORD, AT(struct cf_place, order), .words = order_words},
	{"signed", MT_F_BOOL, AT(struct cf_place, is_signed)},
	CUSTOM(mask),
	CUSTOM(default),
};
static const struct mt_section sec_place = {.what = "place",
	.size = sizeof(struct cf_place),
	.n_fields = MT_ARRAY_LEN(place_fields),
	.fields = place_fields,
	.after = check_place};

#define PLACES_MAX 128

void cf_read_places(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_variant *v = obj;
	struct cf_place **last = &v->places;

	if (!mt_want_map(c, n, "a map of names to places"))
		return;
	if (n->n > PLACES_MAX) {
		mt_f_error(c, n->line, "write 128 at most", "too many places");
		return;
	}
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		struct cf_place *p = mt_region_alloc(&c->model->region, sizeof(*p));
		uint32_t mark = mt_path_push(c, k->key);

		if (!p)
			return;
		for (const struct cf_place *other = v->places; other; other = other->next)
			if (strcmp(other->name, k->key) == 0)
				mt_f_error(c, k->key_line, "give it another name",
					"a second place of this name");
		mt_section_read(c, &sec_place, k, p);
		p->name = k->key;
		*last = p;
		last = &p->next;
		mt_path_pop(c, mark);
	}
}
