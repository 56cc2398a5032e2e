/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of the interpreter: a run of a table's program over one message. */
#pragma once

#include "../mt_codec_priv.h"
#include "mt_codec_table.h"

struct table_slot {
	uint32_t off, len;
};

#define TABLE_STACK 8

struct table_source;

/* The part of a run that is kept in mt_decoder.state between calls. Zero at a message's start. */
struct table_state {
	uint16_t pc;
	uint8_t phase; /* of the op at pc: 0: not started */
	uint8_t depth; /* of a walk: used levels of `stack` */
	uint32_t need; /* bytes that must have arrived before the op goes on */
	uint64_t total;
	uint32_t reach; /* bytes that some op has needed */
	/* For the op at pc, with `stack`: */
	uint32_t pos;
	uint32_t mark;
	uint8_t in;   /* 1 + index of the target of the container at `depth`; 0: the outer one */
	uint8_t mode; /* the walk's own */
	uint16_t level;
	uint32_t stack[TABLE_STACK];
	struct table_slot temporary[MT_CT_SLOTS - MT_CT_KEPT];
};

enum table_rc {
	TABLE_GOT,
	TABLE_ABSENT,
	TABLE_WAIT,	 /* state.need is set, or the steps are used up */
	TABLE_MALFORMED, /* a container that contradicts its format */
	TABLE_OTHER,	 /* a value of another type; its end is not known */
};

/*
 * Findings of a run over a message, for a change of it: each op that fills a slot by a number,
 * adds to the length, or checks a sum.
 */
#define TABLE_EVENTS 96

struct table_event {
	const struct mt_ct_op *op;
	uint16_t place; /* of the number, of MT_CT_OFFSET the position */
	bool there;	/* it was found at `at` */
	bool filled;	/* the op has filled its slot */
	bool wrong;	/* MT_CT_SUM: `value` was computed, and the message has another number */
	struct table_slot at;
	struct table_slot part; /* the op's slot; MT_CT_WALK: the container */
	uint64_t value;		/* of the number */
};

struct table_trace {
	uint32_t n;
	bool full; /* more events than have room */
	struct table_event event[TABLE_EVENTS];
	/* The last event that concerns a slot: 1 + index. For targets it is their walk. */
	uint8_t of[MT_CT_SLOTS];
};

struct table_run {
	const struct mt_codec_table *t;
	struct mt_msg *msg;
	struct table_state *s;
	/* The message's first bytes in one piece, for a read without a search. */
	const uint8_t *head;
	uint32_t head_len;
	uint32_t arrived;
	/* Moves forward over calls, except to earlier places. NULL: the head is all. */
	struct mt_cursor *cur;
	/*
	 * At the key that a walk compares when the key has ended, or before, so that `cur` need not
	 * start at the chain's head again.
	 */
	struct mt_cursor mark;
	bool keep;	    /* the next call goes on at `mark` */
	uint32_t used, may; /* steps */
	/* index(): receives every entry of a container instead of targets. */
	struct mt_metadata *meta;
	struct mt_cursor text;	   /* of the entries */
	uint8_t group;		   /* index of the search that finds them */
	struct table_trace *trace; /* NULL: nothing is recorded */
	struct mt_ct_cause *why;   /* NULL, or gets all but `fault` */
	/* Sums are only recorded: decode() has found them right, or resum.c makes them right. */
	bool unsummed;
};

/*
 * mt_msg.aux32: a bit for each slot that is filled, and above them one for each that cannot be:
 * longer than its message or container, or a value of another type.
 */
#define TABLE_MISFIT(slot) (1u << (MT_CT_SLOTS + (slot)))

/* Uses n steps; false: there are no more, and the op goes on in another call. */
static inline bool table_may(struct table_run *r, uint32_t n)
{
	r->used += n;
	return r->used < r->may;
}

static inline bool table_there(const struct table_run *r, uint32_t slot)
{
	return r->msg->aux32 >> slot & 1;
}

static inline struct table_slot table_slot(const struct table_run *r, uint32_t slot)
{
	if (slot < MT_CT_KEPT)
		return (struct table_slot){r->msg->field[slot].off, r->msg->field[slot].len};
	return r->s->temporary[slot - MT_CT_KEPT];
}

static inline void table_fill(struct table_run *r, uint32_t slot, uint32_t off, uint32_t len)
{
	r->msg->aux32 |= 1u << slot;
	if (slot < MT_CT_KEPT) {
		r->msg->field[slot].off = off;
		r->msg->field[slot].len = len;
	} else {
		r->s->temporary[slot - MT_CT_KEPT] = (struct table_slot){off, len};
	}
}

static inline void table_empty(struct table_run *r, uint32_t slot)
{
	r->msg->aux32 &= ~(1u << slot | TABLE_MISFIT(slot));
}

/* The end of the message, or what it cannot exceed as long as the end is not known. */
static inline uint32_t table_limit(const struct table_run *r)
{
	return r->msg->len ? r->msg->len : r->t->codec.max_message;
}

/* True if bytes [0, end) have arrived; otherwise the op waits for them. */
static inline bool table_arrived(struct table_run *r, uint32_t end)
{
	r->s->reach = MT_MAX(r->s->reach, end);
	if (mt_likely(end <= r->arrived))
		return true;
	r->s->need = end;
	return false;
}

/* n bytes at off in one piece, n > 0; all of them must have arrived. tmp: n bytes. */
const uint8_t *table_far(struct table_run *r, uint32_t off, uint32_t n, uint8_t *tmp);

static inline const uint8_t *table_bytes(
	struct table_run *r, uint32_t off, uint32_t n, uint8_t *tmp)
{
	if (mt_likely((uint64_t)off + n <= r->head_len))
		return r->head + off;
	return table_far(r, off, n, tmp);
}

/* Sets `mark` for later reads from off on. */
void table_mark(struct table_run *r, uint32_t off);

/* The bytes that lie in one piece from off to end; returns their number, 0 if none has arrived. */
uint32_t table_piece(struct table_run *r, uint32_t off, uint32_t end, const uint8_t **p);

/* Offset and length of a place. GOT or ABSENT. Does not wait for its bytes. */
enum table_rc table_locate(
	const struct table_run *r, const struct mt_ct_place *p, struct table_slot *at);

/* The number at a place. GOT, ABSENT or WAIT. */
enum table_rc table_number(struct table_run *r, const struct mt_ct_place *p, uint64_t *v);

/* True if [off, off + len) are the bytes of the text; they have arrived. */
bool table_equal(struct table_run *r, uint32_t off, uint32_t len, uint32_t text, uint32_t text_len,
	bool icase);

/* An unsigned LEB128 number in n bytes. Its length; 0: they are too few; -1: longer than 10. */
int table_varint(const uint8_t *p, uint32_t n, uint64_t *v);

/* Fills a target's slot, unless an earlier element counts. */
void table_found(struct table_run *r, const struct mt_ct_target *g, uint32_t off, uint32_t len);

/* Adds an entry of a container to the index, with its element. false: the index is full. */
bool table_entry(struct table_run *r, struct table_slot key, struct table_slot value,
	struct table_slot element);

/*
 * Walks through [off, end): goes on where it stopped. GOT: done. ABSENT does not occur. The caller
 * empties the targets' slots before the first call.
 */
enum table_rc table_walk(
	struct table_run *r, const struct mt_ct_walk *w, uint32_t off, uint32_t end);

/* The same for each format. state.pos was set to off. */
typedef enum table_rc table_walk_fn(struct table_run *r, const struct mt_ct_walk *w, uint32_t end);
table_walk_fn table_walk_protobuf, table_walk_jce, table_walk_tlv, table_walk_pairs,
	table_walk_lines, table_walk_words, table_walk_json;

/*
 * The hessian string at off. GOT, ABSENT (a null, or the end: `at` is what was read), WAIT,
 * MALFORMED or OTHER.
 */
enum table_rc table_hessian(struct table_run *r, uint32_t off, uint32_t end, struct table_slot *at);

/* Goes on with a checksum. GOT: right. MALFORMED: wrong. ABSENT: its number is not there. */
enum table_rc table_sum(struct table_run *r, const struct mt_ct_sum *sum);

/* The checksum of the bytes that it has read. */
uint64_t table_sum_of(const struct table_run *r, const struct mt_ct_sum *sum);

/*
 * How often the program runs over a message, without its sums. set_id() and restore_id() run it
 * twice and have no steps of their own, so that decode() counts them.
 */
static inline uint32_t table_times(const struct mt_codec *codec)
{
	return codec->correlate.set_id ? 3 : 1;
}

/* Adds an op that has run. */
void table_record(struct table_run *r, const struct mt_ct_op *op);

/*
 * Runs the program over a message that was decoded before. c starts with its leading bytes. Sums
 * are recorded without being computed. False: the message contradicts the table, or needs too many
 * steps; r->used has those that it took. The caller has set r->trace and r->s.
 */
bool table_again(struct table_run *r, const struct mt_codec_table *t, enum mt_dir dir,
	const struct mt_chain *c, struct mt_cursor *cur, struct mt_msg *msg);

/*
 * Runs the program over p[0, n). DONE: it starts with a message of msg->len bytes. MORE: bytes are
 * missing. BAD: msg->flags is an enum mt_ct_fault. The caller has set r->s, and also r->trace and
 * r->why, which may be NULL.
 */
enum mt_decode table_flat_run(struct table_run *r, const struct mt_codec_table *t, enum mt_dir dir,
	const uint8_t *p, uint32_t n, struct mt_msg *msg);

/*
 * Runs the program over p[0, n), which should be one message. NULL, or a static text: what it is
 * not. The caller has set r->trace, which may be NULL, and r->s.
 */
const char *table_flat(struct table_run *r, const struct mt_codec_table *t, enum mt_dir dir,
	const uint8_t *p, uint32_t n, struct mt_msg *msg);

/* Finds the places that decode() can read quickly. */
void table_finish_quick(struct mt_codec_table *t);

/* True if numbers at the place may be negative. */
bool table_is_signed(const struct mt_ct_place *p);

/* True if the place can be found after decode(). */
bool table_is_kept(const struct mt_ct_place *p);

enum mt_decode table_decode(const struct mt_codec *self, struct mt_decoder *d, struct mt_msg *msg);
enum mt_sniff table_sniff(
	const struct mt_codec *self, const uint8_t *p, uint32_t n, uint32_t *need);
bool table_leading(const struct mt_codec *self, const struct mt_msg *msg, const struct mt_chain *c,
	const struct mt_key *key, struct mt_slice *value, uint8_t *scratch);
void table_index(const struct mt_codec *self, struct mt_msg *msg, const struct mt_chain *c,
	struct mt_metadata *meta);
bool table_carries(const struct mt_codec *self, const struct mt_msg *msg);
bool table_lacks(const struct mt_codec *self, const struct mt_msg *msg, const struct mt_key *key);
/* True if metadata are only of some variants, or only of some kinds of calls. */
bool table_varies(const struct mt_codec_table *t);

int table_mutate(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	struct mt_metadata *meta, const struct mt_mutation *m, uint32_t n, struct mt_pools *p);
void table_save(const struct mt_codec *self, const struct mt_msg *msg, const struct mt_chain *c,
	struct mt_seed *seed);
void table_save_from(const struct table_source *in, struct mt_seed *seed);
int table_reply(const struct mt_codec *self, const struct mt_seed *seed, enum mt_local_reply what,
	const char *text, struct mt_chain *out, struct mt_pools *p);
int table_heartbeat(
	const struct mt_codec *self, uint64_t id, struct mt_chain *out, struct mt_pools *p);
int table_heartbeat_reply(const struct mt_codec *self, const struct mt_msg *msg,
	const struct mt_chain *c, struct mt_chain *out, struct mt_pools *p);
int table_goaway(
	const struct mt_codec *self, uint64_t id, struct mt_chain *out, struct mt_pools *p);
/* True if the templates can be written for any seed. */
bool table_templates_ok(const struct mt_codec_table *t);
void table_finish_errors(struct mt_codec_table *t);
void table_finish_templates(struct mt_codec_table *t);
int table_set_id(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c, uint64_t id,
	struct mt_pools *p);
int table_restore_id(const struct mt_codec *self, struct mt_msg *msg, struct mt_chain *c,
	const struct mt_seed *seed, struct mt_pools *p);

static inline const struct mt_codec_table *table_of(const struct mt_codec *codec)
{
	return mt_container_of(codec, struct mt_codec_table, codec);
}
