/* SPDX-License-Identifier: Apache-2.0 */
/* Reads templates: lists of parts, which may have parts of their own. */
#include "file.h"

#define ITEMS_MAX MT_CT_TEMPLATE_PIECES
#define DEPTH_MAX 6

static const char *const order_words[] = {"big", "little", NULL};
static const char *const value_words[] = {"id", "code", "message", NULL};
/* enum cf_as, less one. */
static const char *const as_words[] = {
	"varint", "zigzag", "decimal", "text", "json", "hessian", NULL};
const char *const cf_reason_words[] = {"no_route", "no_cluster", "no_endpoint", "over_limit",
	"overload", "timeout", "conn_lost", "bad_request", "bad_reply", "unsupported", "denied",
	"too_large", "no_upgrade", NULL};

_Static_assert(MT_ARRAY_LEN(cf_reason_words) == MT_REPLY_N + 1, "a word for each reason");
const char *const cf_use_paths[] = {[MT_CT_USE_REPLY] = "spec.localReplies",
	[MT_CT_USE_HEARTBEAT] = "spec.heartbeat.send",
	[MT_CT_USE_ANSWER] = "spec.heartbeat.answer",
	[MT_CT_USE_GOAWAY] = "spec.goaway"};

static void read_items(
	struct mt_fctx *c, const struct mt_ynode *n, struct cf_item **items, uint8_t depth);
static void read_fields(struct mt_fctx *c, const struct mt_ynode *n, struct cf_item *to);

/* ---- parts ----------------------------------------------------------------------------------- */

#define NUMBER_FIELD(member)                                                                       \
	static void read_##member(struct mt_fctx *c, const struct mt_ynode *n, void *obj)          \
	{                                                                                          \
		cf_read_number(c, n, &((struct cf_item *)obj)->member);                            \
	}
NUMBER_FIELD(add)
NUMBER_FIELD(mask)
NUMBER_FIELD(set)

static void read_place(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	cf_read_ref(c, n, &((struct cf_item *)obj)->place);
}

/* An empty text stands for zero bytes. */
static void read_hex(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_item *item = obj;

	if (mt_want_scalar(c, n, "hexadecimal digits"))
		item->hex = n->text;
}

static void read_parts(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_item *item = obj;

	item->group = true;
	read_items(c, n, &item->inner, (uint8_t)(item->depth + 1));
}

static void read_protobuf(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_item *item = obj;

	item->holds = CF_PROTOBUF;
	read_fields(c, n, item);
}

static void read_jce(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_item *item = obj;

	item->holds = CF_JCE;
	read_fields(c, n, item);
}

static void check_item(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_item *item = obj;
	uint32_t ways = (item->hex != NULL) + (item->text.s != NULL) + item->value.set +
			(item->place.name != NULL) + (item->length.s != NULL) + item->group +
			(item->holds != CF_NOTHING);

	if (ways != 1)
		mt_f_error(c, n->line,
			"write one of hex, text, value, place, length, parts, protobuf and jce",
			"a part is one thing");
	else if (item->size.set && item->as.set && item->as.v + 1 != CF_AS_DECIMAL)
		mt_f_error(c, item->size.line, "remove size or as",
			"such a number has as many bytes as it needs");
}

#define CUSTOM(key)                                                                                \
	{                                                                                          \
#key, MT_F_CUSTOM, .custom = read_##key                                            \
	}

static const struct mt_field item_fields[] = {
	CUSTOM(hex),
	{"text", MT_F_TEXT, AT(struct cf_item, text)},
	{"value", MT_F_WORD, AT(struct cf_item, value), .words = value_words},
	CUSTOM(place),
	{"length", MT_F_TEXT, AT(struct cf_item, length)},
	{"name", MT_F_TEXT, AT(struct cf_item, name)},
	CUSTOM(parts),
	CUSTOM(protobuf),
	CUSTOM(jce),
	{"as", MT_F_WORD, AT(struct cf_item, as), .words = as_words},
	{"size", MT_F_NUM, AT(struct cf_item, size), .min = 1, .max = 20},
	{"order", MT_F_WORD, AT(struct cf_item, order), .words = order_words},
	{"max", MT_F_NUM, AT(struct cf_item, max), .min = 1, .max = MT_CT_MESSAGE},
	{"unit", MT_F_NUM, AT(struct cf_item, unit), .min = 1, .max = 4096},
	CUSTOM(add),
	CUSTOM(mask),
	CUSTOM(set),
};
static const struct mt_section sec_item = {.what = "part",
	.size = sizeof(struct cf_item),
	.n_fields = MT_ARRAY_LEN(item_fields),
	.fields = item_fields,
	.after = check_item};

static struct cf_item *new_item(
	struct mt_fctx *c, const struct mt_ynode *n, struct cf_item ***last, uint8_t depth)
{
	struct cf_item *item = NULL;

	if (depth > DEPTH_MAX)
		mt_f_error(c, n->line, "write 6 levels at most", "parts are nested too deeply");
	else
		item = mt_region_alloc(&c->model->region, sizeof(*item));
	if (!item)
		return NULL;
	item->origin = (struct mt_origin){c->file, n->line};
	item->depth = depth;
	**last = item;
	*last = &item->next;
	return item;
}

static bool too_many(struct mt_fctx *c, const struct mt_ynode *n)
{
	if (n->n <= ITEMS_MAX)
		return false;
	mt_f_error(c, n->line, "write 64 at most", "too many parts");
	return true;
}

static void read_items(
	struct mt_fctx *c, const struct mt_ynode *n, struct cf_item **items, uint8_t depth)
{
	uint32_t i = 0;

	if (!mt_want_list(c, n, "a list of parts") || too_many(c, n))
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push_index(c, i++);
		struct cf_item *item = new_item(c, k, &items, depth);

		if (item)
			mt_section_read(c, &sec_item, k, item);
		mt_path_pop(c, mark);
		if (!item)
			return;
	}
}

/* ---- fields of protobuf and JCE -------------------------------------------------------------- */

static bool is_digit(const char *s)
{
	return *s >= '0' && *s <= '9';
}

/* "id", "code", "message" or a number. */
static void read_scalar(struct mt_fctx *c, const struct mt_ynode *n, struct cf_item *item)
{
	if (n->plain && (is_digit(n->text) || n->text[0] == '-'))
		cf_read_number(c, n, &item->constant);
	else
		mt_read_word(c, n, value_words, &item->value);
}

static void read_field(
	struct mt_fctx *c, const struct mt_ynode *n, struct cf_item *item, uint8_t holds)
{
	struct mt_ynode key = {.type = MT_Y_SCALAR, .line = n->key_line, .text = n->key};
	struct cf_num number = {0};

	if (!cf_read_number(c, &key, &number))
		return;
	if (number.negative || number.v > (holds == CF_JCE ? 255 : (1u << 29) - 1) ||
		(holds == CF_PROTOBUF && !number.v)) {
		mt_f_error(c, n->key_line, "write a field's number from 1, or a tag from 0 to 255",
			"no such field");
		return;
	}
	item->tag = (uint32_t)number.v;
	if (n->type == MT_Y_SCALAR) {
		read_scalar(c, n, item);
	} else if (n->type == MT_Y_MAP && n->first && is_digit(n->first->key)) {
		item->holds = holds;
		read_fields(c, n, item);
	} else {
		mt_section_read(c, &sec_item, n, item);
		if (item->group || item->holds || item->length.s)
			mt_f_error(c, n->line, "write hex, text, value or place",
				"not a field's value");
	}
}

static void read_fields(struct mt_fctx *c, const struct mt_ynode *n, struct cf_item *to)
{
	struct cf_item **last = &to->inner;

	if (!mt_want_map(c, n, "a map of numbers to values") || too_many(c, n))
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push(c, k->key);
		struct cf_item *item = new_item(c, k, &last, (uint8_t)(to->depth + 1));

		if (item)
			read_field(c, k, item, to->holds);
		mt_path_pop(c, mark);
		if (!item)
			return;
	}
}

/* ---- local replies --------------------------------------------------------------------------- */

static void read_reason(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_reply *r = obj;
	struct mt_num word = {0};

	if (mt_read_word(c, n, cf_reason_words, &word))
		r->reasons |= (uint16_t)(1u << word.v);
}

static void read_for(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	if (n->type == MT_Y_SCALAR || mt_want_list(c, n, "a reason or a list of them"))
		cf_read_each(c, n, read_reason, obj);
}

static void read_code(struct mt_fctx *c, const struct mt_ynode *n, struct cf_reply *r)
{
	struct mt_ynode key = {.type = MT_Y_SCALAR, .line = n->key_line, .text = n->key};
	struct mt_num word = {.v = MT_REPLY_N};
	struct cf_num number = {0};

	if (strcmp(n->key, "default") != 0 && !mt_read_word(c, &key, cf_reason_words, &word))
		return;
	if (!cf_read_number(c, n, &number))
		return;
	r->codes[word.v] = (int64_t)number.v;
	r->coded |= (uint16_t)(1u << word.v);
}

static void read_codes(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	if (!mt_want_map(c, n, "a map of reasons to numbers"))
		return;
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push(c, k->key);

		read_code(c, k, obj);
		mt_path_pop(c, mark);
	}
}

static void read_write(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	read_items(c, n, &((struct cf_reply *)obj)->write, 0);
}

static const struct mt_field reply_fields[] = {
	CUSTOM(for),
	CUSTOM(codes),
	{"write", MT_F_CUSTOM, .required = true, .custom = read_write, .help = "its parts"},
};
static const struct mt_section sec_reply = {.what = "reply",
	.size = sizeof(struct cf_reply),
	.n_fields = MT_ARRAY_LEN(reply_fields),
	.fields = reply_fields};

void cf_read_replies(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_variant *v = obj;

	v->replies = cf_read_many(c, &sec_reply, n, &v->n_replies);
}

/* ---- heartbeats, goaway ---------------------------------------------------------------------- */

static void read_send(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	read_items(c, n, &((struct cf_heartbeat *)obj)->send, 0);
}

static void read_answer(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	read_items(c, n, &((struct cf_heartbeat *)obj)->answer, 0);
}

static const struct mt_field heartbeat_fields[] = {
	CUSTOM(send),
	CUSTOM(answer),
};
const struct mt_section cf_sec_heartbeat = {.what = "heartbeat",
	.size = sizeof(struct cf_heartbeat),
	.n_fields = MT_ARRAY_LEN(heartbeat_fields),
	.fields = heartbeat_fields};

void cf_read_goaway(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	read_items(c, n, &((struct cf_variant *)obj)->goaway, 0);
}
