/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A protocol as data: a table that lib/codecfile compiles from a document, and that the interpreter
 * in lib/codec/table runs as a push decoder. A table is a program for each direction. Its ops run
 * in order and jump only forward, so each runs at most once for a message; an op that lacks bytes
 * waits for them and then goes on where it stopped. The ops fill slots: parts of the message by
 * offset and length, which other ops, the metadata and conditions use as places.
 *
 * A table is const and has no owner. It contains indices instead of addresses, apart from those of
 * its own arrays. mt_codec_table_check() accepts only tables that the interpreter can run on any
 * bytes: no op reads outside of the table, no loop is without a bound, and nothing is allocated.
 */
#pragma once

#include "mt_codec.h"

#define MT_CT_OPS     2048
#define MT_CT_PLACES  512
#define MT_CT_WALKS   64
#define MT_CT_TARGETS 256
#define MT_CT_SUMS    8
#define MT_CT_METAS   128
#define MT_CT_NAMES   1024
#define MT_CT_TEXT    32768

/* Slots of a message. The first are kept in its fields; the others are lost after decode(). */
#define MT_CT_KEPT  MT_MSG_FIELDS
#define MT_CT_SLOTS 16
#define MT_CT_NONE  0xff

#define MT_CT_WALK_TARGETS 32 /* of one walk */
#define MT_CT_WALK_DEPTH   7  /* levels inside a container */
#define MT_CT_KEY	   64 /* longest name of a key or member */
/* A part that a table needs whole must end here, so that no search goes far into a chain. */
#define MT_CT_LEAD 65536u
/* Bounds of a decode() call: MT_CT_STEPS, and MT_CT_STEPS_BYTE for each of its bytes. */
#define MT_CT_STEPS	 2000u
#define MT_CT_STEPS_BYTE 128u

/* ---- places ------------------------------------------------------------------------------- */

enum mt_ct_base {
	MT_CT_START, /* the message's first byte; `at` is not negative */
	MT_CT_END,   /* the message's end; `at` is negative */
	MT_CT_IN,    /* a slot's first byte, or with a negative `at` its end */
	MT_CT_AFTER, /* the first byte after a slot */
	MT_CT_BASES
};

enum mt_ct_type {
	MT_CT_BYTES, /* no number */
	MT_CT_BIG,
	MT_CT_LITTLE,
	MT_CT_DECIMAL, /* text, with an optional sign */
	MT_CT_VARINT,  /* LEB128, at most 10 bytes */
	MT_CT_ZIGZAG,  /* the same, of signed numbers in protobuf's code */
	MT_CT_JCE,     /* an integer of JCE with its head byte */
	MT_CT_TYPES
};

#define MT_CT_SIGNED  0x01 /* may be negative; BIG, LITTLE: the first bit is a sign */
#define MT_CT_DEFAULT 0x02 /* a number that is not there is `absent` */

/* True if numbers of such a type may be negative. */
static inline bool mt_ct_is_signed(enum mt_ct_type type, bool has_sign)
{
	return has_sign || type == MT_CT_DECIMAL || type == MT_CT_ZIGZAG || type == MT_CT_JCE;
}

struct mt_ct_place {
	uint8_t base, slot, type, size; /* size 0: up to the end of the slot or message */
	int32_t at;
	uint64_t mask; /* of numbers */
	uint64_t absent;
	uint8_t flags;
	uint8_t pad[7];
};

/* ---- ops ---------------------------------------------------------------------------------- */

enum mt_ct_code {
	MT_CT_JUMP, /* to */
	/* Jump to `to` if the result is `flags & MT_CT_IF`: */
	MT_CT_TEST_NUMBER, /* place in [lo, hi], with its sign if it is signed */
	MT_CT_TEST_TEXT,   /* place equals text[n .. n + m) */
	MT_CT_TEST_SAME,   /* places `place` and n have the same bytes, or one is not there */
	MT_CT_TEST_THERE,  /* place is there */
	/* Fill `slot`; what does not fit in slot `within` (or the message) is not there: */
	MT_CT_FIXED,   /* the place */
	MT_CT_COUNTED, /* the bytes after the number at place: number * n + (int32_t)m */
	MT_CT_SIZED,   /* from place; length: place n, * lo + (int64_t)hi */
	MT_CT_TO,      /* from place to the end of `within` + (int32_t)m */
	/*
	 * From place to before text[n .. n + m), at most lo bytes. With flags & MT_CT_IF a client's
	 * text must not have one of a carriage return and a line feed without the other.
	 */
	MT_CT_UNTIL,
	MT_CT_NUMERAL, /* the varint at place */
	MT_CT_HESSIAN, /* the characters of the hessian string at place */
	MT_CT_WALK,    /* the targets of walk n in container `within` */
	/*
	 * Waits for the place (of `slot`), which must end before MT_CT_LEAD, and have at most n bytes
	 * unless n is 0. Otherwise the message is refused as too large; with flags & MT_CT_IF it
	 * goes on, and the index of its metadata is too large. A slot that cannot be filled is a
	 * contradiction; with m 1 other bytes than a number in a client's message are one, too.
	 */
	MT_CT_HOLD,
	/* The next variant is tried: what was read for those before is not of its message. */
	MT_CT_VARIANT,
	/* The message's length: */
	MT_CT_LENGTH, /* + place * lo */
	MT_CT_OFFSET, /* + offset of place */
	MT_CT_ADD,    /* + (int64_t)lo */
	MT_CT_WITHIN, /* the place, if it is there, ends before the sum so far */
	/* It is the sum, from lo to hi, with all places that the ops before have read. */
	MT_CT_FRAMED,
	/* Results: */
	MT_CT_KIND,	/* flags: enum mt_msg_kind, n: enum mt_msg_event, m: variant */
	MT_CT_ID,	/* the number at place, which must be there if flags & MT_CT_IF */
	MT_CT_COPY,	/* the place gets the id, too; unless flags & MT_CT_IF if it had the same */
	MT_CT_STATUS,	/* flags: enum mt_ct_class, unless one that is not OK is known */
	MT_CT_DEADLINE, /* the number at place, * lo / hi, in ms */
	MT_CT_SUM,	/* checks sum n, over the whole message */
	MT_CT_FIT,	/* slot `within` must not be longer than its message or container */
	/*
	 * n: 0, it contradicts its description, or 1 + enum mt_local_reply. m: the condition or rule
	 * that decides so, for tools.
	 */
	MT_CT_REFUSE,
	MT_CT_BAD,  /* n: enum mt_ct_fault; m: the variant, of MT_CT_FAULT_KIND */
	MT_CT_DONE, /* the last op of each program */
	MT_CT_CODES
};

#define MT_CT_IF 0x01

struct mt_ct_op {
	uint8_t code, slot, within, flags;
	uint16_t place;
	uint16_t to; /* higher than its own index */
	uint32_t n, m;
	uint64_t lo, hi;
};

/* Outcome classes of replies. */
enum mt_ct_class {
	MT_CT_CLASS_OK,
	MT_CT_CLASS_APPLICATION,
	MT_CT_CLASS_SERVER,
	MT_CT_CLASS_OVERLOAD,
	MT_CT_CLASS_UNAVAILABLE,
	MT_CT_CLASS_DEADLINE,
	MT_CT_CLASS_CALLER,
	MT_CT_CLASSES
};

enum mt_ct_fault {
	MT_CT_FAULT_VARIANT,
	MT_CT_FAULT_LENGTH,
	MT_CT_FAULT_NEGATIVE,
	MT_CT_FAULT_SHORT,
	MT_CT_FAULT_LONG,
	MT_CT_FAULT_KIND,
	MT_CT_FAULT_DELIMITER,
	MT_CT_FAULT_LINE,
	MT_CT_FAULT_ID,
	MT_CT_FAULT_CONTAINER,
	MT_CT_FAULTS
};

/* ---- walks -------------------------------------------------------------------------------- */

enum mt_ct_format {
	MT_CT_PROTOBUF,
	MT_CT_JCE_STRUCT,
	MT_CT_TLV,
	MT_CT_PAIRS, /* keys and values, each with its length in front */
	MT_CT_LINES, /* keys and values with characters between */
	MT_CT_WORDS,
	MT_CT_JSON,
	MT_CT_FORMATS
};

#define MT_CT_WALK_LITTLE 0x01 /* TLV, PAIRS: byte order of tags and lengths */
#define MT_CT_WALK_WHOLE  0x02 /* TLV: lengths include tag and length */
#define MT_CT_WALK_ICASE  0x04 /* LINES: names of keys without case */
#define MT_CT_WALK_TRIM	  0x08 /* LINES: values without blanks around, and without a CR */

struct mt_ct_walk {
	uint8_t format, flags;
	uint8_t key_width, value_width; /* TLV: of tag and length; PAIRS: of both lengths, 1 to 4 */
	uint8_t pad;			/* TLV: elements start at multiples of it: 1, 2, 4, 8 */
	uint8_t between, end;		/* LINES: after the key, after the value; WORDS: between */
	uint8_t n;			/* targets */
	uint16_t first;			/* target */
	uint16_t unused;
};

enum mt_ct_accept {
	MT_CT_ANY,
	MT_CT_NUMBER,	    /* protobuf: a varint; JCE: an integer */
	MT_CT_STRING,	    /* protobuf: a length and bytes; JCE: a string */
	MT_CT_GROUP,	    /* contains other elements: JCE and JSON */
	MT_CT_FIXED_NUMBER, /* protobuf: a number of 4 or 8 bytes */
	MT_CT_BYTE_LIST,    /* JCE: a list of bytes */
	MT_CT_ENTRY,	    /* protobuf: of a map: its format is read, and its key must be UTF-8 */
	MT_CT_ACCEPTS
};

/* An element that a walk looks for. Elements of another type are not it. */
struct mt_ct_target {
	uint32_t number; /* field, tag or word */
	uint32_t text;	 /* name: text[text .. text + len) */
	uint16_t len;
	uint8_t slot;	/* MT_CT_NONE: only its children are wanted */
	uint8_t parent; /* 1 + index in the walk of an earlier target; 0: none */
	uint8_t accept;
	uint8_t first;	/* the first of repeated elements counts; 0: the last */
	uint8_t nested; /* some target has it as parent */
	/* JCE: most bytes of an integer, 0: any. BYTE_LIST: 1: also a list of elements. */
	uint8_t width;
};

/* ---- the rest ----------------------------------------------------------------------------- */

enum mt_ct_algorithm { MT_CT_CRC, MT_CT_ADLER32, MT_CT_BYTE_SUM, MT_CT_XOR, MT_CT_ALGORITHMS };

/* A checksum over [from, to) of a message, which is the number at `place`. */
struct mt_ct_sum {
	uint8_t algorithm;
	uint8_t width;	   /* bits of the number: 8, 16, 32 */
	uint8_t reflected; /* CRC: bits come lowest first */
	uint8_t unused;
	uint16_t place;
	uint16_t from_base; /* MT_CT_START or MT_CT_END, for `from`; the same for `to` */
	uint16_t to_base, unused2;
	int32_t from, to;
	uint32_t initial, final; /* CRC: the register at first, and what is xored to it at last */
	uint32_t row[256];
};

/* A name for a number. */
struct mt_ct_name {
	uint64_t number;
	uint32_t text, len;
};

/* Part of a text that is split. Without the character: the whole text, or for the last two none. */
enum mt_ct_part { MT_CT_BEFORE, MT_CT_BEHIND, MT_CT_PREFIX, MT_CT_SUFFIX, MT_CT_PARTS };

/* Metadata that need no search. */
struct mt_ct_meta {
	uint8_t key; /* index in codec.keys */
	uint8_t variant;
	uint8_t split;	/* character, 0: none */
	uint8_t part;	/* with split: enum mt_ct_part */
	uint16_t kinds; /* bits by enum mt_msg_kind */
	uint16_t place;
	uint16_t name, n_names;
	uint32_t text, len; /* place MT_CT_PLACES: this constant */
};

/* A container with all its entries as metadata. */
struct mt_ct_search {
	uint8_t variant, slot;
	uint16_t kinds;
	uint16_t walk; /* with a target's path to a map of protobuf or JCE; n 0: the container */
	uint16_t unused;
};

/* ---- messages of Meltemi's own --------------------------------------------------------------- */

#define MT_CT_PIECES	      512
#define MT_CT_TEMPLATES	      64
#define MT_CT_TEMPLATE_PIECES 64
#define MT_CT_TEMPLATE_MAX    4096 /* bytes of a message */
#define MT_CT_MESSAGE	      255  /* bytes of a local reply's text */
#define MT_CT_SAVES	      32
#define MT_CT_SEED	      (MT_SEED_SIZE - 16) /* bytes that can be kept of a request */

enum mt_ct_piece_code {
	MT_CT_PIECE_BYTES,   /* text[text .. text + len) */
	MT_CT_PIECE_NUMBER,  /* ((source & mask) | set) + add */
	MT_CT_PIECE_MESSAGE, /* the local reply's text, up to len bytes, by `escape` */
	MT_CT_PIECE_PLACE,   /* the text of save n */
	MT_CT_PIECE_CODES
};

enum mt_ct_source {
	MT_CT_SOURCE_CONSTANT, /* 0 */
	MT_CT_SOURCE_ID,
	MT_CT_SOURCE_CODE,   /* of the local reply's reason */
	MT_CT_SOURCE_SAVED,  /* the number of save n */
	MT_CT_SOURCE_LENGTH, /* (bytes of parts [first, first + n) of the template + add) / unit */
	MT_CT_SOURCES
};

enum mt_ct_escape { MT_CT_PLAIN_TEXT, MT_CT_JSON_TEXT, MT_CT_HESSIAN_TEXT, MT_CT_ESCAPES };

struct mt_ct_piece {
	uint8_t code;
	uint8_t type, size; /* of a number: enum mt_ct_type; bytes, 0: as many as it needs */
	uint8_t source, escape;
	uint8_t tag; /* JCE */
	uint16_t n, first, unit;
	uint32_t text, len;
	uint8_t is_signed; /* the number may be negative; otherwise it may be as high as 64 bits */
	uint8_t unused[3];
	uint64_t mask, set, add;
};

/* A place of a request or heartbeat that templates need, and where it is in seed->bytes. */
struct mt_ct_save {
	uint16_t place;
	uint16_t kinds; /* bits by enum mt_msg_kind */
	uint8_t variant, off;
	uint8_t most; /* bytes of a text, after a byte with its length; 0: a number of 8 bytes */
	uint8_t unused;
};

enum mt_ct_use {
	MT_CT_USE_REPLY,     /* a local reply */
	MT_CT_USE_HEARTBEAT, /* to a server */
	MT_CT_USE_ANSWER,    /* to a heartbeat */
	MT_CT_USE_GOAWAY,    /* to a client */
	MT_CT_USES
};

struct mt_ct_template {
	uint8_t variant, use;
	uint16_t reasons; /* REPLY: bits by enum mt_local_reply */
	uint16_t first, n;
	int64_t codes[MT_REPLY_N];
};

struct mt_codec_table {
	struct mt_codec codec; /* the functions of the interpreter */
	const struct mt_ct_op *ops;
	const struct mt_ct_place *places;
	const struct mt_ct_walk *walks;
	const struct mt_ct_target *targets;
	const struct mt_ct_sum *sums;
	const struct mt_ct_name *names;
	const struct mt_ct_meta *metas;
	const struct mt_ct_search *searches;
	const struct mt_ct_piece *parts;
	const struct mt_ct_save *saves;
	const struct mt_ct_template *templates;
	const uint8_t *text;
	uint32_t n_parts, n_saves, n_templates;
	uint32_t n_ops, n_places, n_walks, n_targets, n_sums, n_names, n_metas, n_searches, n_text;
	uint32_t n_keys;
	uint16_t entry[2]; /* the first op, by enum mt_dir */
	/*
	 * By place: how decode() finds it quickly, 0: not at all. Set by mt_codec_table_finish().
	 */
	uint8_t plain[MT_CT_PLACES];
};

/*
 * True if the interpreter can run the table. Otherwise *why is a static text. Control thread.
 */
bool mt_codec_table_check(const struct mt_codec_table *t, const char **why);

/* The most steps that a message can cost, apart from its bytes, and for each byte. */
struct mt_ct_cost {
	uint32_t steps, per_byte;
};

/* The cost of a message of this side by a table that was checked. Control thread. */
struct mt_ct_cost mt_codec_table_cost(const struct mt_codec_table *t, enum mt_dir dir);

/*
 * Fills the functions, counts and identity of a table with arrays and properties. `codec.name` must
 * be set.
 */
void mt_codec_table_finish(struct mt_codec_table *t);

/*
 * Decodes p[0, n), which should be one message, for documents' samples. NULL, or a static text: why
 * it is not. Any thread.
 */
const char *mt_codec_table_decode(const struct mt_codec_table *t, enum mt_dir dir, const uint8_t *p,
	uint32_t n, struct mt_msg *msg);

/* A place in a message that was read. */
struct mt_ct_found {
	uint32_t off, len;
	bool there, number, is_signed;
	bool absent;	/* a number that is not there, and has this value by default */
	uint64_t value; /* of a number */
};

/* Why a message is refused, or is none. */
struct mt_ct_cause {
	const char *fault;	   /* it is none: a static text. NULL: it is refused, or good */
	const struct mt_ct_op *op; /* that refused it first, or ended it */
	uint32_t at;		   /* WALK: where the container is broken */
	bool summed;		   /* SUM: `sum` was computed */
	uint64_t sum;
};

/*
 * Reads the first message of p[0, n), a part of a stream, and finds `places`, which may be others
 * than the table's; `found` has one for each. DONE: it has msg->len bytes. MORE: bytes are missing;
 * msg->len is 0 while the message's length is unknown. *why: of a message that is refused, or BAD.
 * Any thread.
 */
enum mt_decode mt_codec_table_first(const struct mt_codec_table *t, enum mt_dir dir,
	const uint8_t *p, uint32_t n, const struct mt_ct_place *places, uint32_t n_places,
	struct mt_ct_found *found, struct mt_msg *msg, struct mt_ct_cause *why);

/* Reads all entries of containers with metadata into `meta`, which is overwritten. */
void mt_codec_table_index(const struct mt_codec_table *t, const struct mt_msg *msg,
	const uint8_t *p, struct mt_metadata *meta);

/*
 * The value of a key in such a message, which may be in p or in scratch (MT_META_SCRATCH bytes).
 * `meta` is overwritten. False: it is not there.
 */
bool mt_codec_table_value(const struct mt_codec_table *t, const struct mt_msg *msg,
	const uint8_t *p, const char *name, struct mt_metadata *meta, struct mt_slice *value,
	uint8_t *scratch);

/* As correlate.save(), of a request or heartbeat at p that mt_codec_table_decode() has read. */
void mt_codec_table_seed(const struct mt_codec_table *t, const struct mt_msg *msg, const uint8_t *p,
	struct mt_seed *seed);

/*
 * Writes a message of Meltemi's own into `to` (MT_CT_TEMPLATE_MAX bytes). `what` and `text`: of a
 * local reply. Returns its length; 0: there is no template for it, it needs a part of the request
 * that is missing or too long, or a number of it does not fit.
 */
uint32_t mt_codec_table_write(const struct mt_codec_table *t, enum mt_ct_use use,
	const struct mt_seed *seed, enum mt_local_reply what, const char *text, uint8_t *to);

/* Writes the head of a JCE element with this tag and type (0 to 13). Returns its length. */
static inline uint32_t mt_ct_jce_head(uint8_t tag, uint8_t type, uint8_t head[2])
{
	head[0] = (uint8_t)((tag < 15 ? tag << 4 : 0xf0) | type);
	head[1] = tag;
	return tag < 15 ? 1 : 2;
}

/* Direction of such a message. An answer goes back against that of the heartbeat in the seed. */
enum mt_dir mt_ct_use_dir(enum mt_ct_use use, const struct mt_seed *seed);

const char *mt_ct_fault_str(enum mt_ct_fault fault);
const char *mt_ct_class_str(enum mt_ct_class c);
