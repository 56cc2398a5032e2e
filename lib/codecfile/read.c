/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a document of kind Codec, apart from its places, its conditions, and what its messages
 * have.
 */
#include "read.h"

#include <errno.h>

const char *const cf_kind_words[] = {
	"request", "oneway", "reply", "heartbeat", "heartbeat-reply", "event", NULL};
const uint8_t cf_kind_of[] = {MT_MSG_REQUEST, MT_MSG_ONEWAY, MT_MSG_REPLY, MT_MSG_HEARTBEAT,
	MT_MSG_HEARTBEAT_REPLY, MT_MSG_EVENT};

static const char *const order_words[] = {"big", "little", NULL};
static const char *const calls_words[] = {"multiplexed", "serial", NULL};
static const char *const repeated_words[] = {"last", "first", NULL};
const char *const cf_from_words[] = {"client", "server", NULL};
static const char *const executes_words[] = {"unknown", "named", NULL};
static const char *const half_close_words[] = {"both", "client", "server", "none", NULL};
static const char *const algorithm_words[] = {
	"crc32", "crc32c", "crc16", "adler32", "sum8", "sum16", "sum32", "xor", NULL};

/* ---- values --------------------------------------------------------------------------------- */

/* Decimal, or 0x and hexadecimal digits. */
static int parse(const char *s, uint64_t *v)
{
	unsigned int base = s[0] == '0' && (s[1] == 'x' || s[1] == 'X') ? 16 : 10;

	*v = 0;
	s += base == 16 ? 2 : 0;
	if (!*s)
		return -EINVAL;
	for (; *s; s++) {
		unsigned int digit = *s >= '0' && *s <= '9'   ? (unsigned int)(*s - '0')
				     : *s >= 'a' && *s <= 'f' ? (unsigned int)(*s - 'a') + 10
				     : *s >= 'A' && *s <= 'F' ? (unsigned int)(*s - 'A') + 10
							      : 99;

		if (digit >= base)
			return -EINVAL;
		if (*v > (UINT64_MAX - digit) / base)
			return -ERANGE;
		*v = *v * base + digit;
	}
	return 0;
}

bool cf_read_number(struct mt_fctx *c, const struct mt_ynode *n, struct cf_num *out)
{
	bool negative;
	uint64_t v;
	int rc;

	if (!mt_want_scalar(c, n, "a number"))
		return false;
	negative = n->text[0] == '-';
	rc = parse(n->text + negative, &v);
	if (rc == -EINVAL) {
		mt_f_error(c, n->line, "write a whole number: 16, 0x10 or -4",
			"\"%.64s\" is not a number", n->text);
		return false;
	}
	if (rc || (negative && v > 1ull << 31)) {
		mt_f_error(c, n->line, "write a number from -2147483648 to 18446744073709551615",
			"%.64s is out of range", n->text);
		return false;
	}
	*out = (struct cf_num){negative ? -v : v, n->line, true, negative && v};
	return true;
}

void cf_read_offset(struct mt_fctx *c, const struct mt_ynode *n, struct cf_num *out)
{
	struct cf_num v = {0};

	if (!cf_read_number(c, n, &v))
		return;
	if ((v.negative ? -v.v : v.v) > CF_OFFSET_MAX)
		mt_f_error(c, n->line, "write at most 8388608 (8 MiB)", "%.64s is out of range",
			n->text);
	else
		*out = v;
}

void cf_read_ref(struct mt_fctx *c, const struct mt_ynode *n, struct cf_ref *out)
{
	struct mt_text t = {0};

	if (!mt_read_item(c, n, &t))
		return;
	out->name = t.s;
	out->line = n->line;
	out->path = mt_region_strdup(&c->model->region, c->path);
}

#define OFFSET_FIELD(type, member)                                                                 \
	static void read_##type##_##member(struct mt_fctx *c, const struct mt_ynode *n, void *obj) \
	{                                                                                          \
		cf_read_offset(c, n, &((struct cf_##type *)obj)->member);                          \
	}
#define NUMBER_FIELD(type, member)                                                                 \
	static void read_##type##_##member(struct mt_fctx *c, const struct mt_ynode *n, void *obj) \
	{                                                                                          \
		cf_read_number(c, n, &((struct cf_##type *)obj)->member);                          \
	}

void cf_read_each(struct mt_fctx *c, const struct mt_ynode *n, mt_field_fn *fn, void *obj)
{
	uint32_t i = 0;

	if (n->type != MT_Y_SEQ) {
		fn(c, n, obj);
		return;
	}
	for (const struct mt_ynode *k = n->first; k; k = k->next) {
		uint32_t mark = mt_path_push_index(c, i++);

		fn(c, k, obj);
		mt_path_pop(c, mark);
	}
}

/* An array that is being filled. */
struct filled {
	const struct mt_section *section;
	uint8_t *items;
	uint32_t n;
};

static void read_item(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct filled *f = obj;

	mt_section_read(c, f->section, n, f->items + (size_t)f->section->size * f->n++);
}

/* A map of fields, or a list of such maps, into an array. */
void *cf_read_many(
	struct mt_fctx *c, const struct mt_section *s, const struct mt_ynode *n, uint32_t *count)
{
	uint32_t many = n->type == MT_Y_SEQ ? n->n : 1;
	struct filled f = {.section = s};

	*count = 0;
	if (many > 64) {
		mt_f_error(c, n->line, "write 64 at most", "too many items");
		return NULL;
	}
	f.items = mt_region_alloc(&c->model->region, (size_t)s->size * (many ? many : 1));
	if (!f.items)
		return NULL;
	cf_read_each(c, n, read_item, &f);
	*count = f.n;
	return f.items;
}

/* ---- frame ---------------------------------------------------------------------------------- */

OFFSET_FIELD(also, add)
WHEN_FIELD(also, when)

static const struct mt_field also_fields[] = {
	CUSTOM("when", also, when, .required = true, .help = "when the bytes are there"),
	CUSTOM("add", also, add, .required = true, .help = "how many bytes are added"),
};
static const struct mt_section sec_also = {.what = "addition",
	.size = sizeof(struct cf_also),
	.n_fields = MT_ARRAY_LEN(also_fields),
	.fields = also_fields};

OFFSET_FIELD(frame, add)
WHEN_FIELD(frame, when)
REF_FIELD(frame, from)
REF_FIELD(frame, end)

struct refs {
	struct cf_ref *v;
	uint32_t n;
};

static void read_ref(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct refs *r = obj;

	cf_read_ref(c, n, &r->v[r->n++]);
}

void cf_read_refs(
	struct mt_fctx *c, const struct mt_ynode *n, struct cf_ref **refs, uint32_t *count)
{
	uint32_t many = n->type == MT_Y_SEQ ? n->n : 1;
	struct refs r = {.n = 0};

	if (many > 8) {
		mt_f_error(c, n->line, "write 8 at most", "too many places");
		return;
	}
	r.v = mt_region_alloc(&c->model->region, sizeof(*r.v) * (many ? many : 1));
	if (r.v)
		cf_read_each(c, n, read_ref, &r);
	*refs = r.v;
	*count = r.n;
}

static void read_frame_length(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_frame *f = obj;

	cf_read_refs(c, n, &f->length, &f->n_length);
}

static void read_frame_also(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_frame *f = obj;

	f->also = cf_read_many(c, &sec_also, n, &f->n_also);
}

static void check_frame(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_frame *f = obj;
	uint32_t ways = f->size.set + (f->length != NULL) + (f->end.name != NULL);

	if (ways != 1)
		mt_f_error(c, n->line, "write one of size, length and end",
			ways ? "the end of the message is given twice"
			     : "the end of the message is not given");
	if (f->size.set && (f->unit.set || f->add.set || f->from.name))
		mt_f_error(c, n->line, "remove unit, add and from",
			"a constant size needs nothing else");
	if (f->min.set && f->max.set && f->min.v > f->max.v)
		mt_f_error(c, f->min.line, "write a smaller one", "min is above max");
}

static const struct mt_field frame_fields[] = {
	CUSTOM("when", frame, when),
	{"size", MT_F_NUM, AT(struct cf_frame, size), .min = 1, .max = 1u << 30},
	{"length", MT_F_CUSTOM, .custom = read_frame_length},
	{"unit", MT_F_NUM, AT(struct cf_frame, unit), .min = 1, .max = 4096},
	CUSTOM("add", frame, add),
	CUSTOM("from", frame, from),
	CUSTOM("end", frame, end),
	{"also", MT_F_CUSTOM, .custom = read_frame_also},
	{"min", MT_F_NUM, AT(struct cf_frame, min), .min = 1, .max = 1u << 30},
	{"max", MT_F_NUM, .required = true, AT(struct cf_frame, max), .min = 1, .max = 1u << 30,
		.help = "the longest message in bytes"},
};
static const struct mt_section sec_frame = {.what = "frame",
	.size = sizeof(struct cf_frame),
	.n_fields = MT_ARRAY_LEN(frame_fields),
	.fields = frame_fields,
	.after = check_frame};

static void read_frames(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_variant *v = obj;

	v->frames = cf_read_many(c, &sec_frame, n, &v->n_frames);
}

/* ---- checksums ------------------------------------------------------------------------------- */

REF_FIELD(sum, place)
WHEN_FIELD(sum, when)
NUMBER_FIELD(sum, polynomial)
NUMBER_FIELD(sum, initial)
NUMBER_FIELD(sum, final)
OFFSET_FIELD(sum, from)
OFFSET_FIELD(sum, to)

static const struct mt_field sum_fields[] = {
	CUSTOM("place", sum, place, .required = true, .help = "where the checksum is"),
	{"algorithm", MT_F_WORD, .required = true, AT(struct cf_sum, algorithm),
		.words = algorithm_words, .help = "how it is computed"},
	CUSTOM("when", sum, when),
	CUSTOM("from", sum, from),
	CUSTOM("to", sum, to),
	CUSTOM("polynomial", sum, polynomial),
	CUSTOM("initial", sum, initial),
	CUSTOM("final", sum, final),
	{"reflected", MT_F_BOOL, AT(struct cf_sum, reflected)},
};

/* A number with more bits than the checksum would be cut. */
static void check_sum(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct cf_sum *s = obj;
	const struct cf_num *of[] = {&s->polynomial, &s->initial, &s->final};
	bool narrow = s->algorithm.set && strcmp(algorithm_words[s->algorithm.v], "crc16") == 0;

	(void)n;
	for (size_t i = 0; i < MT_ARRAY_LEN(of); i++)
		if (of[i]->v > (narrow ? UINT16_MAX : UINT32_MAX))
			mt_f_error(c, of[i]->line, "write a number of the checksum's width",
				"polynomial, initial and final have at most the checksum's bits");
}

static const struct mt_section sec_sum = {.what = "checksum",
	.size = sizeof(struct cf_sum),
	.n_fields = MT_ARRAY_LEN(sum_fields),
	.fields = sum_fields,
	.after = check_sum};

static void read_sums(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_variant *v = obj;

	v->sums = cf_read_many(c, &sec_sum, n, &v->n_sums);
}

/* ---- authorization --------------------------------------------------------------------------- */

static const struct mt_field executes_fields[] = {
	{"keys", MT_F_TEXTS, .required = true, AT_LIST(struct cf_variant, executed),
		.help = "metadata that servers take from where the file finds them"},
};

static void check_executes(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	const struct mt_ynode *keys = mt_yaml_get(n, "keys");

	if (keys && keys->type == MT_Y_SEQ && keys->n == 0)
		mt_f_error(c, keys->line, "name metadata, or write \"executes: unknown\"",
			"it has no keys");
	(void)obj;
}

static const struct mt_section sec_executes = {.what = "executes",
	.size = sizeof(struct cf_variant),
	.n_fields = MT_ARRAY_LEN(executes_fields),
	.fields = executes_fields,
	.after = check_executes};

/* A word, or the keys that are not unknown. */
static void read_executes(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	struct cf_variant *v = obj;
	struct mt_origin origin = v->origin;

	if (n->type == MT_Y_SCALAR)
		mt_read_word(c, n, executes_words, &v->executes);
	else
		mt_section_read(c, &sec_executes, n, v);
	v->origin = origin;
	if (v->n_executed > CF_EXECUTED)
		mt_f_error(c, n->line, "write 64 at most, or \"*\"", "too many keys");
}

/* ---- the document ---------------------------------------------------------------------------- */

WHEN_FIELD(variant, match)
WHEN_FIELD(variant, check)

#define VARIANT_FIELDS                                                                             \
	{"order", MT_F_WORD, AT(struct cf_variant, order), .words = order_words},                  \
		CUSTOM("match", variant, match),                                                   \
		{"places", MT_F_CUSTOM, .custom = cf_read_places},                                 \
		{"frame", MT_F_CUSTOM, .custom = read_frames},                                     \
		{"messages", MT_F_CUSTOM, .custom = cf_read_messages},                             \
		{"id", MT_F_CUSTOM, .custom = cf_read_ids},                                        \
		{"status", MT_F_CUSTOM, .custom = cf_read_statuses},                               \
		{"deadline", MT_F_POINTER, AT(struct cf_variant, deadline),                        \
			.sub = &cf_sec_deadline},                                                  \
		{"metadata", MT_F_CUSTOM, .custom = cf_read_metas},                                \
		{"localReplies", MT_F_CUSTOM, .custom = cf_read_replies},                          \
		{"heartbeat", MT_F_POINTER, AT(struct cf_variant, heartbeat),                      \
			.sub = &cf_sec_heartbeat},                                                 \
		{"goaway", MT_F_CUSTOM, .custom = cf_read_goaway},                                 \
		{"search", MT_F_CUSTOM, .custom = cf_read_searches},                               \
		CUSTOM("check", variant, check),                                                   \
	{                                                                                          \
		"checksums", MT_F_CUSTOM, .custom = read_sums                                      \
	}

static const struct mt_field variant_fields[] = {
	{"name", MT_F_TEXT, AT(struct cf_variant, name)},
	VARIANT_FIELDS,
};
static const struct mt_section sec_variant = {.what = "variant",
	.size = sizeof(struct cf_variant),
	.n_fields = MT_ARRAY_LEN(variant_fields),
	.fields = variant_fields};

static const struct mt_field connections_fields[] = {
	{"halfClose", MT_F_WORD, AT(struct cf_connections, half_close), .words = half_close_words},
	{"idle", MT_F_DURATION, AT(struct cf_connections, idle), .min = 4000, .max = 3600000},
};
static const struct mt_section sec_connections = {.what = "connections",
	.size = sizeof(struct cf_connections),
	.n_fields = MT_ARRAY_LEN(connections_fields),
	.fields = connections_fields};

static const struct mt_field spec_fields[] = {
	{"calls", MT_F_WORD, .required = true, AT(struct cf_variant, calls), .words = calls_words,
		.help = "multiplexed or serial"},
	{"repeated", MT_F_WORD, AT(struct cf_variant, repeated), .words = repeated_words},
	{"connections", MT_F_OBJECT, AT(struct cf_variant, connections), .sub = &sec_connections},
	{"executes", MT_F_CUSTOM, .custom = read_executes},
	{"service", MT_F_TEXT, AT(struct cf_variant, service)},
	{"method", MT_F_TEXT, AT(struct cf_variant, method)},
	{"samples", MT_F_CUSTOM, .custom = cf_read_samples},
	{"variants", MT_F_LIST, AT_LIST(struct cf_variant, variants), .sub = &sec_variant},
	VARIANT_FIELDS,
};

static bool unknown_spec(struct mt_fctx *c, const struct mt_ynode *n, void *obj);

static const struct mt_section sec_spec = {.what = "Codec",
	.size = sizeof(struct cf_variant),
	.n_fields = MT_ARRAY_LEN(spec_fields),
	.fields = spec_fields,
	.unknown = unknown_spec};

/* Reports keys for properties that codec files cannot describe. */
static bool unknown_spec(struct mt_fctx *c, const struct mt_ynode *n, void *obj)
{
	static const struct {
		const char *key, *what;
	} never[] = {
		{"streams", "streams of messages"},
		{"replies", "several replies to one call"},
		{"ordered", "replies found by their order"},
		{"pins", "connections that belong to one client"},
		{"greeting", "a greeting before the first message"},
		{"serverFirst", "servers that send first"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(never); i++)
		if (strcmp(never[i].key, n->key) == 0) {
			mt_f_error(c, n->key_line, "serve the port as opaque TCP",
				"codec files cannot describe %s", never[i].what);
			return true;
		}
	return false;
}

bool cf_read_spec(struct mt_fctx *c, const struct mt_ynode *spec, struct cf_variant *v)
{
	uint32_t errors = c->diags->errors;
	uint32_t mark = mt_path_push(c, "spec");

	mt_section_read(c, &sec_spec, spec, v);
	mt_path_pop(c, mark);
	return c->diags->errors == errors;
}
