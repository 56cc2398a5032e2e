/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the compiler: a document as structs, and the table in progress. */
#pragma once

#include "mt_codecfile.h"
#include "mt_fields.h"

#include <string.h>

/* Whole numbers of a document, from -2^31 to 2^64 - 1. */
struct cf_num {
	uint64_t v; /* as int64_t if it is negative */
	uint32_t line;
	bool set, negative;
};

struct cf_place;

/* A place that a document names; resolve.c finds it. */
struct cf_ref {
	const char *name; /* NULL: not written */
	uint32_t line;
	struct cf_place *place;
	const char *path;
};

/* Formats of containers. */
enum cf_holds {
	CF_NOTHING,
	CF_PROTOBUF,
	CF_JCE,
	CF_JSON,
	CF_WORDS,
	CF_HEADERS,
	CF_LINES,
	CF_PAIRS,
	CF_TLV,
	CF_HESSIAN,
	CF_MAP, /* of protobuf or JCE, in a container */
};

struct cf_container {
	enum cf_holds holds;
	uint8_t width, value_width, pad, between, end;
	bool ordered, little, whole, trim;
};

/* How the bytes of a place are found. */
enum cf_how {
	CF_FIXED,
	CF_COUNTED,
	CF_SIZED,
	CF_TO,
	CF_UNTIL,
	CF_NUMERAL,
	CF_FOUND, /* in a container */
	CF_HESSIAN_VALUE,
};

enum cf_type {
	CF_T_NONE,
	CF_T_NUMBER,
	CF_T_TEXT,
	CF_T_DECIMAL,
	CF_T_VARINT,
	CF_T_ZIGZAG,
	CF_T_FIXED,
	CF_T_BYTES
};

#define CF_HESSIAN_MAX 8

struct cf_place {
	struct mt_origin origin;
	const char *name;
	struct cf_place *next;
	/* As written: */
	struct cf_ref in, after, length;
	struct cf_num at, to, add, mask, absent;
	struct mt_num size, unit, count, max, type, order, is_signed;
	struct cf_num count_add;
	struct mt_num count_unit, count_order;
	struct mt_text until, find;
	struct cf_container container;
	/* Found by resolve.c: */
	enum cf_how how;
	enum mt_ct_type number; /* MT_CT_BYTES: a text */
	bool visiting, used, slotted, kept, fits;
	uint8_t emitted; /* 1 + the number of branches in which it was found; 0: it was not */
	bool end_checked, needs_end; /* refuse.c: the end of the message is needed to find it */
	uint8_t slot;
	uint16_t ref[2]; /* 1 + index of its place in the table: its content; after it */
	int16_t walk;	 /* of a container: 1 + index in the table */
	struct cf_place *value[CF_HESSIAN_MAX]; /* of a container of hessian values */
	uint32_t nth;				/* such a value */
};

/* Conditions on one place. */
#define CF_RANGES 16
struct cf_test {
	struct cf_test *next;
	struct cf_ref ref, same;
	struct mt_num present;
	bool negate, text;
	uint32_t n;
	struct cf_num min, max; /* the first range, which check_tests() sets by the place's sign */
	struct {
		uint64_t lo, hi;
	} range[CF_RANGES];
	const char *texts[CF_RANGES];
	uint64_t mask;
};

/* A map of them; all must hold. */
#define CF_TESTS 16
struct cf_when {
	struct cf_test *first;
	uint32_t line, n;
};

struct cf_also {
	struct mt_origin origin;
	struct cf_when when;
	struct cf_num add;
};

struct cf_frame {
	struct mt_origin origin;
	struct cf_when when;
	struct mt_num size, unit, min, max;
	struct cf_ref *length;
	uint32_t n_length;
	struct cf_num add;
	struct cf_ref from, end;
	struct cf_also *also;
	uint32_t n_also;
};

struct cf_message {
	struct mt_origin origin;
	struct mt_num is, from, event;
	struct mt_num refuse; /* enum mt_local_reply */
	struct cf_when when;
};

/* Kinds of messages, as bits. 0: not written. */
struct cf_kinds {
	uint16_t bits;
	uint32_t line;
};

struct cf_id {
	struct mt_origin origin;
	struct cf_ref place;
	struct cf_ref *copies;
	uint32_t n_copies;
	struct mt_num always; /* copies are written whatever they contain */
	struct cf_kinds kinds;
};

struct cf_class {
	struct cf_num *values;
	uint32_t n, line;
};

struct cf_status {
	struct mt_origin origin;
	struct cf_ref place;
	struct cf_kinds kinds;
	struct cf_class classes[MT_CT_CLASSES];
	struct mt_num other;
};

struct cf_deadline {
	struct mt_origin origin;
	struct cf_ref place;
	struct mt_num unit;
	struct cf_kinds kinds;
};

struct cf_name {
	struct cf_num number;
	const char *text;
};

struct cf_meta {
	struct mt_origin origin;
	struct cf_meta *next;
	const char *key;
	struct cf_ref place;
	struct cf_kinds kinds;
	struct mt_text value, split;
	struct mt_num part;
	struct cf_name *names;
	uint32_t n_names;
};

struct cf_search {
	struct mt_origin origin;
	struct cf_ref place;
	struct cf_kinds kinds;
};

struct cf_sum {
	struct mt_origin origin;
	struct cf_ref place;
	struct cf_when when;
	struct mt_num algorithm, reflected;
	struct cf_num polynomial, initial, final, from, to;
	uint32_t index; /* 1 + index in the table; 0: not there yet */
};

#define CF_SAMPLE_MAX 16384u /* bytes */

struct cf_sample {
	struct mt_origin origin;
	struct mt_num from, is, refuse;
	struct mt_text hex, text; /* one of both */
	struct cf_num id;
	struct mt_labels metadata;
};

/* ---- templates ------------------------------------------------------------------------------- */

enum { CF_VALUE_ID, CF_VALUE_CODE, CF_VALUE_MESSAGE };
enum cf_as {
	CF_AS_NONE,
	CF_AS_VARINT,
	CF_AS_ZIGZAG,
	CF_AS_DECIMAL,
	CF_AS_TEXT,
	CF_AS_JSON,
	CF_AS_HESSIAN
};

#define CF_HEX_MAX 512

/* A part of a template, or a field of a part in protobuf or JCE. */
struct cf_item {
	struct mt_origin origin;
	struct cf_item *next, *inner;
	const char *hex;
	struct mt_text text, length, name;
	struct mt_num value, as, size, order, max, unit;
	struct cf_ref place;
	struct cf_num add, mask, set, constant;
	uint32_t tag;
	uint8_t holds; /* enum cf_holds: inner are its fields */
	uint8_t depth;
	bool group; /* inner are parts */
};

struct cf_reply {
	struct mt_origin origin;
	uint16_t reasons; /* bits by enum mt_local_reply; 0: not written */
	uint16_t coded;	  /* the same, of codes; MT_REPLY_N: the default */
	int64_t codes[MT_REPLY_N + 1];
	struct cf_item *write;
};

struct cf_heartbeat {
	struct mt_origin origin;
	struct cf_item *send, *answer;
};

struct cf_connections {
	struct mt_origin origin;
	struct mt_num half_close, idle; /* idle: ms */
};

#define CF_VARIANTS MT_CODECFILE_VARIANTS
#define CF_EXECUTED 64

struct cf_variant {
	struct mt_origin origin;
	struct mt_text name;
	struct mt_num order, calls, repeated, executes;
	struct mt_text *executed; /* with `unknown`: keys that servers use as the file finds them */
	uint32_t n_executed;
	struct cf_connections connections;
	struct cf_when match, check;
	struct cf_place *places;
	struct cf_frame *frames;
	uint32_t n_frames;
	struct cf_message *messages;
	uint32_t n_messages;
	struct cf_id *ids;
	uint32_t n_ids;
	struct cf_status *statuses;
	uint32_t n_statuses;
	struct cf_deadline *deadline;
	struct cf_meta *metas;
	struct cf_search *searches;
	uint32_t n_searches;
	struct cf_sum *sums;
	uint32_t n_sums;
	struct mt_text service, method;
	struct cf_reply *replies;
	uint32_t n_replies;
	struct cf_heartbeat *heartbeat;
	struct cf_item *goaway;
	struct cf_sample *samples;
	uint32_t n_samples;
	struct cf_variant *variants;
	uint32_t n_variants;
};

#define CF_LABELS 4096

struct cf_build {
	struct mt_fctx *c;
	struct mt_region *region;
	const char *name;
	struct cf_variant *spec;
	struct cf_variant *variants;
	uint32_t n_variants;
	struct cf_variant *v; /* the one in progress */
	uint32_t variant;
	enum mt_dir dir;
	uint32_t errors; /* diagnostics before */
	/* The table in progress. */
	struct mt_ct_op *ops;
	struct mt_ct_place *places;
	struct mt_ct_walk *walks;
	struct mt_ct_target *targets;
	struct mt_ct_sum *sums;
	struct mt_ct_name *names;
	struct mt_ct_meta *metas;
	struct mt_ct_search *searches;
	struct mt_ct_piece *parts;
	struct mt_ct_save *saves;
	struct mt_ct_template *templates;
	uint32_t n_parts, n_saves, n_templates;
	uint32_t seed; /* bytes that the variant keeps of a request */
	uint32_t template_line[MT_CT_TEMPLATES];
	/* The lengths of the template in progress, and their parts. */
	const struct cf_item *items[MT_CT_PIECES];
	uint16_t item_part[MT_CT_PIECES];
	uint32_t n_items;
	char *text;
	uint32_t n_ops, n_places, n_walks, n_targets, n_sums, n_names, n_metas, n_searches, n_text;
	const char *keys[33];
	uint32_t n_keys;
	uint32_t label[CF_LABELS]; /* ops */
	uint32_t n_labels;
	uint32_t least;	  /* bytes that the current length needs */
	uint8_t branches; /* in which the next op is */
	/* Bytes that each message has, and those of them that have arrived at the next op. */
	uint32_t sure, held;
	uint32_t max_message;
	bool full; /* some part has no room, reported */
};

/* An error at the place of a reference. */
void cf_error(struct cf_build *b, const char *path, uint32_t line, const char *remedy,
	const char *fmt, ...) mt_printf(5, 6);
bool cf_failed(const struct cf_build *b);

/* read.c */
bool cf_read_spec(struct mt_fctx *c, const struct mt_ynode *spec, struct cf_variant *v);
bool cf_read_number(struct mt_fctx *c, const struct mt_ynode *n, struct cf_num *out);
/* A number of bytes. 128 of them, one after the other, stay below 2^31. */
#define CF_OFFSET_MAX (1u << 23)
void cf_read_offset(struct mt_fctx *c, const struct mt_ynode *n, struct cf_num *out);
void cf_read_ref(struct mt_fctx *c, const struct mt_ynode *n, struct cf_ref *out);
extern const char *const cf_kind_words[];
/* enum mt_msg_kind, by the index of its word. */
extern const uint8_t cf_kind_of[];

/* Calls fn for each item of a list, or once for a node that is not a list. */
void cf_read_each(struct mt_fctx *c, const struct mt_ynode *n, mt_field_fn *fn, void *obj);
/*
 * A map of fields, or a list of up to 64, as an array of the section's structs. NULL: reported, or
 * without memory.
 */
void *cf_read_many(
	struct mt_fctx *c, const struct mt_section *s, const struct mt_ynode *n, uint32_t *count);
extern const char *const cf_from_words[];

/* read_template.c, template.c */
mt_field_fn cf_read_replies, cf_read_goaway;
extern const struct mt_section cf_sec_heartbeat;
void cf_templates(struct cf_build *b);
/* Calls fn for the places in templates that are copied from messages of these kinds. */
typedef void cf_place_fn(struct cf_build *b, struct cf_ref *r);
void cf_template_places(struct cf_build *b, uint32_t kinds, cf_place_fn *fn);

/* By enum mt_local_reply. */
extern const char *const cf_reason_words[];
/* By enum mt_ct_use: where the file has such templates. */
extern const char *const cf_use_paths[];

/* prove.c: tries the templates of the finished table. */
void cf_prove(struct cf_build *b, const struct mt_codec_table *t);

/*
 * view.c: with the finished table. cf_view() is for a document without a mistake, after all else;
 * cf_view_places() leaves out the samples.
 */
void cf_view(struct cf_build *b, struct mt_codecfile_view *view);
void cf_view_places(struct cf_build *b, struct mt_codecfile_view *view);

/* sample.c: with the finished table. */
mt_field_fn cf_read_samples;
/* Pairs of digits, and blanks. False: not hexadecimal, or more than `most` bytes. */
bool cf_parse_hex(const char *s, uint8_t *to, uint32_t most, uint32_t *n);
/* Its bytes (CF_SAMPLE_MAX). False: they are none, or too many. */
bool cf_sample_bytes(const struct cf_sample *s, uint8_t *to, uint32_t *n);
void cf_run_samples(struct cf_build *b, const struct mt_codec_table *t);

/* read_place.c, read_test.c */
mt_field_fn cf_read_places, cf_read_when_field;
void cf_read_when(struct mt_fctx *c, const struct mt_ynode *n, struct cf_when *out);

/* resolve.c: false after an error. */
bool cf_resolve(struct cf_build *b);
/* True if numbers are little-endian: by `own`, or else by the variant or the file. */
bool cf_is_little(const struct cf_build *b, const struct mt_num *own);
/* The kinds of messages, as bits, that come from a side. */
uint32_t cf_kinds_from(const struct cf_variant *v, enum mt_dir dir);

/* refuse.c, refuse_values.c */
void cf_refuse(struct cf_build *b);
void cf_refuse_values(struct cf_build *b);

/* emit.c */
uint32_t cf_label(struct cf_build *b);
void cf_here(struct cf_build *b, uint32_t label);
void cf_op(struct cf_build *b, struct mt_ct_op op);
/* The same with a jump to a label. */
void cf_jump(struct cf_build *b, struct mt_ct_op op, uint32_t label);
uint16_t cf_add_place(struct cf_build *b, struct mt_ct_place p);
uint32_t cf_text(struct cf_build *b, const char *text, size_t len);
void cf_full(struct cf_build *b, uint32_t line, const char *what, uint32_t most);
void cf_patch(struct cf_build *b);

/* emit_place.c: ops that find the place, unless it was found before. */
void cf_find(struct cf_build *b, struct cf_place *p);
/* Its index in the table; the position after it. */
uint16_t cf_content(struct cf_build *b, struct cf_place *p);
uint16_t cf_after(struct cf_build *b, struct cf_place *p);
/* An op has waited for the place. */
void cf_arrived(struct cf_build *b, const struct mt_ct_place *at);
/* Refuses a message in which a length that leads to the place is too long. */
void cf_fit(struct cf_build *b, struct cf_place *p);
/* Waits for its bytes. */
void cf_hold(struct cf_build *b, struct cf_place *p);
/* The same; refuses a message in which the place is longer than MT_META_SCRATCH. */
void cf_hold_value(struct cf_build *b, struct cf_place *p);
/* Of a search: waits unless its end is too far away for a search. */
void cf_hold_entries(struct cf_build *b, struct cf_place *p);
/* Reads the entries of a map that only a search names. */
void cf_find_entries(struct cf_build *b, struct cf_place *map);
/* Finds no place yet: the next op may follow any other. */
void cf_forget(struct cf_build *b);
/* After a jump around the next ops. Places that were found before count in the branch. */
void cf_branch(struct cf_build *b);
/* Where that jump ends: those that were found in the branch do not count any more. */
void cf_join(struct cf_build *b);

/* emit_walk.c */
uint16_t cf_walk(struct cf_build *b, struct cf_place *container);
uint16_t cf_map_walk(struct cf_build *b, struct cf_place *map);
/* True for a map of protobuf: decode() reads its entries, also if only a search names it. */
bool cf_is_checked_map(const struct cf_place *map);

/* program.c */
void cf_programs(struct cf_build *b, uint16_t entry[2]);
