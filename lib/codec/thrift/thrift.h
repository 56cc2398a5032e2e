/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Apache Thrift: transports framed, unframed and THeader; protocols binary (strict and old) and
 * compact. thrift.apache.org, doc/specs: thrift-binary-protocol.md, thrift-compact-protocol.md,
 * thrift-rpc.md, HeaderFormat.md.
 *
 * 	framed    u32 length | message
 * 	THeader   u32 length | 0fff | u16 flags | u32 seqid | u16 words | words * 4 of header
 * 	          | message
 * 	strict    8001 00 type | i32 name length | name | i32 seqid | struct
 * 	old       i32 name length | name | type | i32 seqid | struct
 * 	compact   82 | type << 5 | 1 | varint seqid | varint name length | name | struct
 */
#pragma once

#include "mt_codec_priv.h"

#define THRIFT_MAX_MESSAGE 16384000
#define THRIFT_MAX_NAME	   4096
#define THRIFT_MAX_HEADER  65536
#define THRIFT_DEPTH	   64

enum thrift_transport { THRIFT_FRAMED = 1, THRIFT_HEADER, THRIFT_UNFRAMED };
enum thrift_protocol { THRIFT_STRICT, THRIFT_OLD, THRIFT_COMPACT };

/* msg->variant */
#define THRIFT_VARIANT(transport, protocol) ((uint8_t)((transport) << 4 | (protocol)))
#define THRIFT_TRANSPORT(variant)	    ((enum thrift_transport)((variant) >> 4))
#define THRIFT_PROTOCOL(variant)	    ((enum thrift_protocol)((variant)&15))

enum thrift_type {
	THRIFT_CALL = 1,
	THRIFT_REPLY,
	THRIFT_EXCEPTION,
	THRIFT_ONEWAY,
};

/* msg->field */
enum thrift_field {
	THRIFT_F_NAME,	  /* service:method or method */
	THRIFT_F_SERVICE, /* without the colon; off 0: not multiplexed */
	THRIFT_F_METHOD,
	THRIFT_F_SEQID,	 /* of the message */
	THRIFT_F_HEADER, /* THeader: the header block, after the 14 fixed bytes */
	THRIFT_F_INFO,	 /* THeader: its info blocks */
};

/* msg->aux32: THeader's own sequence id. */

/* Offsets in a THeader frame. */
#define THEADER_MAGIC 4
#define THEADER_SEQID 8
#define THEADER_WORDS 12
#define THEADER_FIXED 14

/* Varints: unsigned LEB128. */
#define THRIFT_VARINT32 5
#define THRIFT_VARINT64 10

/*
 * Reads at most 5 bytes of p[0..n). Returns the bytes taken; 0: not all are there; -1: longer than
 * 5 bytes or more than 32 bits.
 */
int thrift_varint(const uint8_t *p, uint32_t n, uint32_t *v);

/* Writes v in the fewest bytes; returns their number (at most 5). */
uint32_t thrift_put_varint(uint8_t *p, uint32_t v);

/* ---- the field walker --------------------------------------------------------------------- */

#define THRIFT_STACK 72

/*
 * Finds the end of a struct on an unframed connection; resumes at any byte. On the stack an open
 * struct takes one byte, and a container one or two and the size of its count.
 */
struct thrift_walk {
	uint32_t skip; /* bytes to skip before the next item */
	uint32_t acc;  /* the bits of a varint so far */
	uint8_t phase; /* enum walk_phase */
	uint8_t code;  /* enum code of the next value */
	uint8_t shift; /* bits in acc; or bytes of a varint that is skipped */
	uint8_t types; /* container heads: key code << 4 | value code */
	uint8_t sp;    /* bytes of the stack in use */
	uint8_t depth; /* levels open */
	uint8_t compact;
	uint8_t stack[THRIFT_STACK];
};

/* Starts at a message's argument or result struct. */
void thrift_walk_init(struct thrift_walk *w, bool compact);

/* DONE: the cursor is after the struct. Otherwise MORE or BAD. */
enum mt_decode thrift_walk_run(struct thrift_walk *w, struct mt_decoder *d);

/* ---- THeader ------------------------------------------------------------------------------ */

/* Contents of the header block. */
struct thrift_header {
	uint32_t protocol;   /* 0 binary, 2 compact */
	uint32_t transforms; /* number of transforms */
	uint32_t info_off;   /* of the first info block, in the message; the block's end: unknown */
};

/* Reads the block at [off, off + len). 0 or -1: malformed. */
int thrift_header_read(
	const struct mt_chain *c, uint32_t off, uint32_t len, struct thrift_header *h);

/* Kinds of info blocks: pairs for this message, and pairs that last for the connection. */
enum thrift_info_kind {
	THRIFT_INFO_PADDING,
	THRIFT_INFO_KEY_VALUE,
	THRIFT_INFO_PERSISTENT,
	THRIFT_INFO_KINDS
};

/* Reads a varint of 32 bits at the cursor, which moves on. false: incomplete, or too long. */
bool thrift_read_varint(struct mt_cursor *cur, uint32_t *v);

/* ---- the parts of the codec --------------------------------------------------------------- */

enum mt_decode thrift_decode(const struct mt_codec *self, struct mt_decoder *d, struct mt_msg *msg);
bool thrift_metadata(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, const struct mt_key *key, struct mt_slice *value,
	uint8_t *scratch);
/* thrift_index() reads the infos of a THeader; an entry's `group` is its enum thrift_info_kind. */
/* True for THeader, which may carry metadata, including some that thrift_index() cannot read. */
bool thrift_carries(const struct mt_codec *self, const struct mt_msg *msg);
void thrift_index(const struct mt_codec *self, struct mt_msg *msg, const struct mt_chain *c,
	struct mt_metadata *m);
int thrift_mutate(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	struct mt_metadata *m, const struct mt_mutation *mu, uint32_t n, struct mt_pools *p);
void thrift_save(const struct mt_codec *self, const struct mt_msg *msg, const struct mt_chain *c,
	struct mt_seed *seed);
int thrift_set_id(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c, uint64_t id,
	struct mt_pools *p);
int thrift_restore_id(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	const struct mt_seed *seed, struct mt_pools *p);
/* errors.c */
#define THRIFT_CLASSES 11
extern const struct mt_error_class thrift_classes[THRIFT_CLASSES];
void thrift_read_error(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_error *e);
int thrift_reply(const struct mt_codec *self, const struct mt_seed *seed, enum mt_local_reply what,
	const char *text, struct mt_chain *out, struct mt_pools *p);
