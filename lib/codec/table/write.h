/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the files that change messages. A change is a list of edits. Each replaces a part of
 * the message by bytes. The numbers that count a part follow: those that the program has
 * read (trace.c), and those in front of the elements of containers (nest.c). Such a number may get
 * another width, which counts for the parts around it, until all agree (count.c). Then the new
 * head of the message replaces the old one (apply.c), the checksums follow (resum.c), and the
 * message is decoded again, before the old head is freed. So no change leaves a message that
 * contradicts its table.
 */
#pragma once

#include "walk.h"

#define WRITE_NUMBER 24 /* bytes of the longest number */
#define WRITE_SMALL  192
#define WRITE_EDITS  16
#define WRITE_COUNTS 64

/* Replaces [off, off + old) by len bytes. */
struct write_edit {
	uint32_t off, old, len;
	const uint8_t *p; /* NULL: `small` */
	uint32_t around;  /* slots that contain it, as bits */
	uint8_t small[WRITE_SMALL];
};

/* A number in the message that counts the bytes of a part. */
struct write_count {
	struct mt_ct_place form;
	struct table_slot at; /* len 0, and no `pad`: the part cannot change its size */
	struct table_slot part;
	uint64_t value, now;
	uint32_t unit;
	uint32_t edits; /* bits of edits in the part, wherever they are */
	uint32_t width; /* of the number, as it is to be */
	uint32_t start; /* with pad: what alignment counts from */
	uint8_t slot;	/* of the part, with `rest` the one before it; MT_CT_NONE: none */
	uint8_t pad;	/* not 0: `at` has the bytes that fill up the part to a multiple of it */
	bool rest;	/* the part is all that follows its start */
	bool alias;	/* an earlier count is the same number */
	bool changed, wrong;
};

struct write_values;

/* A part that is written; they are in the order of offsets. */
struct write_piece {
	uint32_t off, old, len;
	const uint8_t *p;
};

/* A checksum that the message has. */
struct write_sum {
	const struct mt_ct_op *op;
	const struct mt_ct_sum *sum;
	uint32_t from, to; /* the bytes of the new message that it is computed of */
	uint32_t reg;	   /* the register after them */
	bool again; /* the register cannot follow the change: it is computed of all of them */
	uint16_t place;
	struct table_slot at; /* of its number in the new message, which is `has` */
	uint64_t has;
};

/* The checksums that were overwritten, to be written back. */
struct write_undo {
	uint32_t n;
	struct {
		uint32_t off, len;
		uint8_t bytes[8];
	} was[MT_CT_SUMS];
};

struct write_change {
	struct table_run *r; /* has run over the message, with a trace */
	uint32_t n_edits, n_counts, n_pieces, n_sums;
	uint32_t may_sum; /* bytes that the sums may still read */
	int64_t growth;	  /* of the message */
	/*
	 * Changes of metadata that the second run must find (write_has_metadata(), which overwrites
	 * `meta`); NULL: only the id is compared.
	 */
	const struct mt_mutation *mutations;
	uint32_t n_mutations, n_entries; /* entries that there are then */
	struct mt_metadata *meta;
	const struct mt_ct_walk *walk;	   /* of the changed container */
	const struct write_values *values; /* of metadata with a place, which stay */
	struct write_edit edit[WRITE_EDITS];
	struct write_count count[WRITE_COUNTS];
	struct write_piece piece[WRITE_EDITS + WRITE_COUNTS];
	uint8_t number[WRITE_COUNTS][WRITE_NUMBER];
	struct write_sum sum[MT_CT_SUMS];
};

/* ---- number.c ------------------------------------------------------------------------------- */

/*
 * Bytes that a number needs in a place where `old` bytes are; 0: it does not fit. A binary number
 * keeps its width, or with `grow` gets a greater one.
 */
uint32_t write_number_width(const struct mt_ct_place *form, const uint8_t *old, uint32_t old_len,
	uint64_t v, bool grow);

/* Writes it in `width` bytes, which are at least those that it needs. */
void write_number(const struct mt_ct_place *form, const uint8_t *old, uint32_t old_len, uint64_t v,
	uint8_t *to, uint32_t width);

/* ---- out.c ---------------------------------------------------------------------------------- */

/*
 * Bytes that are written one after the other. `full`: there was no room for some of them, or a
 * number was wider than its field (write_put_binary()).
 */
struct write_out {
	uint8_t *to;
	uint32_t n, most;
	bool full;
};

void write_put(struct write_out *o, const void *p, uint32_t n);
void write_put_byte(struct write_out *o, uint8_t b);
void write_put_varint(struct write_out *o, uint64_t v);

/* A binary number, which needs to fit in so many bytes. */
void write_put_binary(struct write_out *o, uint64_t v, uint32_t width, bool little);

/* A key or value of PAIRS, with its length in front. */
void write_put_counted(struct write_out *o, const struct mt_ct_walk *w, const void *p, uint32_t n);

/* ---- count.c -------------------------------------------------------------------------------- */

/* Starts a change of the message that r has run over with a trace. False: it has too many parts. */
bool write_begin(struct write_change *c, struct table_run *r);

/* One more edit, or NULL. */
struct write_edit *write_edit_add(struct write_change *c, uint32_t off, uint32_t old);

/*
 * Finds what contains an edit with its length: `slot` and all around it. MT_CT_NONE: the message.
 * False: the lengths around it cannot be found.
 */
bool write_edit_in(struct write_change *c, struct write_edit *e, uint32_t slot);

/*
 * Adds the number of this type at `at`, which counts the bytes of `part`, unless it is there.
 * `edit`: 1 + index of the edit that it was found for. NULL: too many.
 */
struct write_count *write_count_add(struct write_change *c, enum mt_ct_type type,
	struct table_slot at, uint64_t value, struct table_slot part, uint32_t edit);

/* Computes all numbers and pieces. 0, or -ENOTSUP if some number cannot follow. */
int write_settle(struct write_change *c);

/* ---- nest.c, protobuf.c, jce.c --------------------------------------------------------------- */

/* Adds the counts of the elements of `in`, a container with walk w, that contain `part`. */
bool write_nest(struct write_change *c, const struct mt_ct_walk *w, struct table_slot in,
	struct table_slot part, uint32_t edit);
bool write_nest_protobuf(struct write_change *c, struct table_run *r, struct table_slot in,
	struct table_slot part, uint32_t edit);
bool write_nest_jce(struct write_change *c, struct table_run *r, struct table_slot in,
	struct table_slot part, uint32_t edit);

/* Finds where an element of the outer struct with this tag belongs. */
bool write_room_jce(struct table_run *r, struct table_slot in, uint32_t tag, uint32_t *at);

/* ---- insert.c ------------------------------------------------------------------------------- */

/* Adds an edit for a number that is missing, of a place that is an element. 0 or -ENOTSUP. */
int write_insert(struct write_change *c, const struct mt_ct_place *form, uint64_t v);

/* True if the bytes in [from, to) of the message end with b. */
bool write_last_is(const struct write_change *c, uint32_t from, uint32_t to, uint8_t b);

/*
 * True if a carriage return belongs to the ends of lines in `in`: of its first line, or else of the
 * line after it.
 */
bool write_has_cr(const struct write_change *c, const struct mt_ct_walk *w, struct table_slot in);

/* ---- mutate.c ------------------------------------------------------------------------------- */

/* True if the message has the metadata that the change wanted, and no others. */
bool write_has_metadata(
	const struct write_change *c, struct mt_msg *msg, const struct mt_chain *chain);

/* ---- template.c ------------------------------------------------------------------------------ */

/* The template for a use, with REPLY for this reason. NULL: there is none. */
const struct mt_ct_template *write_template(const struct mt_codec_table *t, uint32_t variant,
	enum mt_ct_use use, enum mt_local_reply what);

/* The number that a part makes of its source. */
static inline uint64_t write_part_value(const struct mt_ct_piece *part, uint64_t source)
{
	return ((source & part->mask) | part->set) + part->add;
}

/* Bytes of the part with this number; 0: it does not fit. */
uint32_t write_part_width(const struct mt_ct_piece *part, uint64_t v);

/* Writes it in so many bytes. */
void write_part_number(const struct mt_ct_piece *part, uint64_t v, uint8_t *to, uint32_t size);

/* ---- resum.c -------------------------------------------------------------------------------- */

/*
 * Computes the checksums that the change makes of those that the message has, before it is changed
 * and after write_settle(). False: they are too many, or of too many bytes.
 */
bool write_resum(struct write_change *c);

/*
 * Writes them into the changed message, which r has run over, and keeps the old numbers in *u.
 * Returns how many were written, -ENOMEM, or -ENOTSUP if some number does not fit.
 */
int write_new_sums(struct write_change *c, struct table_run *r, struct write_undo *u,
	struct mt_chain *chain, struct mt_pools *p);

/* True if the message that was run over has these checksums. */
bool write_has_sums(struct write_change *c, const struct table_trace *t);

void write_sums_back(const struct write_undo *u, struct mt_chain *chain, struct mt_pools *p);

/* ---- apply.c -------------------------------------------------------------------------------- */

/*
 * Changes the message, which has the id then. 0, -ENOMEM, or -ENOTSUP if it would contradict its
 * table; then nothing is changed.
 */
int write_apply(struct write_change *c, struct mt_msg *msg, struct mt_chain *chain, uint64_t id,
	struct mt_pools *p);
