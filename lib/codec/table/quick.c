/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode(). It begins with a quick run over the message's first bytes: that runs the ops that most
 * messages have, as long as their bytes lie in the chain's first buffer, and stops before the first
 * op that is not so simple, because it waits, refuses, finds a fault, or needs a search. run() runs
 * that op and all later ones. So an op does here what it does there, or nothing.
 */
#include "decode.h"

#define NUMBER_STEPS 4

/* mt_codec_table.plain: how a place is found. For numbers with the unused bits of 8 bytes. */
#define PLAIN_BIG    0x80 /* a number at a constant offset */
#define PLAIN_LITTLE 0xc0
#define PLAIN_ORDER  0x40
#define PLAIN_UNUSED 0x3f
#define PLAIN_WHOLE  0x01 /* all of a slot */
#define PLAIN_AFTER  0x02 /* the bytes after a slot */
#define PLAIN_PART   0x40 /* of constant size at a constant offset, and not such a number */

#define NOT_ASCII 0x8080808080808080ull

struct quick {
	const struct mt_codec_table *t;
	struct mt_msg *msg;
	struct table_state *s;
	const uint8_t *head;
	uint32_t head_len;
	uint32_t limit; /* as table_limit() */
	uint32_t near;	/* the lesser of both */
	uint32_t there; /* as msg->aux32 */
	uint32_t reach;
	uint32_t read; /* before the length: the end of what was read */
	int64_t left;  /* steps */
	uint64_t total;
};

static uint8_t plain(const struct mt_ct_place *p)
{
	bool number = p->type == MT_CT_BIG || p->type == MT_CT_LITTLE;

	if (p->base == MT_CT_START && number && !p->flags && p->size >= 1 && p->size <= 8)
		return (uint8_t)((p->type == MT_CT_BIG ? PLAIN_BIG : PLAIN_LITTLE) |
				 (64 - 8 * p->size));
	if (p->base == MT_CT_START && p->size)
		return PLAIN_PART;
	if (p->at || p->size)
		return 0;
	return p->base == MT_CT_IN ? PLAIN_WHOLE : p->base == MT_CT_AFTER ? PLAIN_AFTER : 0;
}

void table_finish_quick(struct mt_codec_table *t)
{
	for (uint32_t i = 0; i < t->n_places; i++)
		t->plain[i] = plain(&t->places[i]);
}

/* ---- places ---------------------------------------------------------------------------------- */

/* The last bytes of the head, with zeros after them. */
static __attribute__((noinline)) uint64_t last_bytes(const uint8_t *p, uint32_t n)
{
	uint64_t v = 0;

	memcpy(&v, p, n);
	return v;
}

static inline bool number(struct quick *q, uint32_t place, uint64_t *v)
{
	const struct mt_ct_place *p = &q->t->places[place];
	uint32_t how = q->t->plain[place], off = (uint32_t)p->at, end = off + p->size;
	uint64_t raw;

	if (mt_unlikely(how < PLAIN_BIG || end > q->near))
		return false;
	if (mt_likely(off + 8 <= q->head_len))
		memcpy(&raw, q->head + off, 8);
	else
		raw = last_bytes(q->head + off, q->head_len - off);
	raw = mt_unlikely(how & PLAIN_ORDER) ? raw << (how & PLAIN_UNUSED) : rte_be_to_cpu_64(raw);
	*v = raw >> (how & PLAIN_UNUSED) & p->mask;
	q->reach = MT_MAX(q->reach, end);
	q->read = MT_MAX(q->read, end);
	q->left -= NUMBER_STEPS;
	return true;
}

static inline bool slot_of(const struct quick *q, uint32_t slot, struct table_slot *s)
{
	if (!(q->there >> slot & 1))
		return false;
	if (slot < MT_CT_KEPT)
		*s = (struct table_slot){q->msg->field[slot].off, q->msg->field[slot].len};
	else
		*s = q->s->temporary[slot - MT_CT_KEPT];
	return true;
}

/* Before an op finds its place, which may be in the slot that it fills. */
static inline void empty(struct quick *q, uint32_t slot)
{
	q->there &= ~(1u << slot | TABLE_MISFIT(slot));
}

static inline void fill(struct quick *q, uint32_t slot, uint32_t off, uint32_t len)
{
	q->there |= 1u << slot;
	if (slot < MT_CT_KEPT) {
		q->msg->field[slot].off = off;
		q->msg->field[slot].len = len;
	} else {
		q->s->temporary[slot - MT_CT_KEPT] = (struct table_slot){off, len};
	}
}

/* A place in the message. */
static inline bool locate(const struct quick *q, uint32_t place, struct table_slot *at)
{
	const struct mt_ct_place *p = &q->t->places[place];
	uint32_t how = q->t->plain[place];
	uint64_t off = (uint32_t)p->at;

	if (how >= PLAIN_PART) {
		*at = (struct table_slot){(uint32_t)off, p->size};
		return off + p->size <= q->limit;
	}
	if (how == PLAIN_WHOLE)
		return slot_of(q, p->slot, at);
	if (how == PLAIN_AFTER) {
		/* A slot ends in the message. */
		if (!slot_of(q, p->slot, at))
			return false;
		at->off += at->len;
		at->len = q->limit - at->off;
		return true;
	}
	*at = (struct table_slot){(uint32_t)off, q->limit - (uint32_t)off};
	return p->base == MT_CT_START && off <= q->limit;
}

/* The end of the op's container. */
static inline bool limit(const struct quick *q, const struct mt_ct_op *op, uint32_t *end)
{
	struct table_slot s;

	*end = q->limit;
	if (op->within == MT_CT_NONE)
		return true;
	if (!slot_of(q, op->within, &s))
		return false;
	*end = s.off + s.len;
	return true;
}

/* ---- ops; false: not here -------------------------------------------------------------------- */

static inline bool length(struct quick *q, const struct mt_ct_op *op)
{
	uint64_t v;

	if (!number(q, op->place, &v) || v > UINT32_MAX)
		return false;
	q->total += v * op->lo;
	return true;
}

static inline bool framed(struct quick *q, const struct mt_ct_op *op, uint32_t max)
{
	uint64_t total = q->total;

	if (total == 0 || total < op->lo || total < q->read || total > op->hi || total > max)
		return false;
	q->msg->len = q->limit = (uint32_t)total;
	q->near = MT_MIN(q->limit, q->head_len);
	q->there = 0;
	return true;
}

static inline bool id(struct quick *q, const struct mt_ct_op *op)
{
	if (!number(q, op->place, &q->msg->id))
		return false;
	q->msg->can_reply = true;
	return true;
}

static inline bool fixed(struct quick *q, const struct mt_ct_op *op)
{
	struct table_slot at;
	uint32_t end;

	empty(q, op->slot);
	if (!limit(q, op, &end) || !locate(q, op->place, &at) || at.off + at.len > end)
		return false;
	fill(q, op->slot, at.off, at.len);
	return true;
}

static inline bool to_end(struct quick *q, const struct mt_ct_op *op)
{
	uint32_t end, less = 0 - op->m;
	struct table_slot at;

	empty(q, op->slot);
	if (!q->msg->len || !limit(q, op, &end) || !locate(q, op->place, &at) || less > end ||
		at.off > end - less)
		return false;
	fill(q, op->slot, at.off, end - less - at.off);
	return true;
}

/* At least 8 bytes after p's first are readable, n > 0. */
static inline bool is_ascii(const uint8_t *p, uint32_t n)
{
	uint64_t v;

	for (; n > 8; p += 8, n -= 8) {
		memcpy(&v, p, 8);
		if (v & NOT_ASCII)
			return false;
	}
	memcpy(&v, p, 8);
	return !(rte_le_to_cpu_64(v) & NOT_ASCII >> (64 - 8 * n));
}

static __attribute__((noinline)) bool is_ascii_at_end(const uint8_t *p, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (p[i] >= 0x80)
			return false;
	return true;
}

/* True if the op waits for this slot, which has arrived, and is not too long. */
static inline bool holds(
	const struct quick *q, const struct mt_ct_op *op, uint32_t slot, uint32_t len)
{
	return op->code == MT_CT_HOLD && !op->m && q->t->plain[op->place] == PLAIN_WHOLE &&
	       q->t->places[op->place].slot == slot && (!op->n || len <= op->n);
}

/*
 * A string of less than 32 characters, all of them of one byte, and the op that waits for it. The
 * next op; NULL: not here.
 */
static inline const struct mt_ct_op *hessian(struct quick *q, const struct mt_ct_op *op)
{
	struct table_slot at;
	const uint8_t *p;
	uint32_t end, n;

	empty(q, op->slot);
	if (!limit(q, op, &end) || !locate(q, op->place, &at))
		return NULL;
	end = MT_MIN(end, q->head_len);
	p = q->head + at.off;
	if (at.off >= end || *p >= 0x20)
		return NULL;
	n = *p++;
	at.off++;
	if (n > end - at.off)
		return NULL;
	if (mt_likely(n > 0)) {
		if (!(at.off + n + 7 <= q->head_len ? is_ascii(p, n) : is_ascii_at_end(p, n)))
			return NULL;
		q->left -= 4 * n + 4;
	}
	q->reach = MT_MAX(q->reach, at.off);
	q->read = MT_MAX(q->read, at.off + n);
	fill(q, op->slot, at.off, n);
	if (!holds(q, op + 1, op->slot, n))
		return op + 1;
	q->left -= TABLE_OP_STEPS;
	q->reach = MT_MAX(q->reach, at.off + n);
	return op + 2;
}

static inline bool hold(struct quick *q, const struct mt_ct_op *op)
{
	struct table_slot at;

	_Static_assert(MT_CT_LEAD > UINT16_MAX, "the head is shorter");
	if (op->m || !locate(q, op->place, &at) || at.off + at.len > q->head_len ||
		(op->n && at.len > op->n))
		return false;
	q->reach = MT_MAX(q->reach, at.off + at.len);
	return true;
}

/* The op after a test; NULL: not here. */
static inline const struct mt_ct_op *test(struct quick *q, const struct mt_ct_op *op)
{
	uint64_t v;

	if (!number(q, op->place, &v))
		return NULL;
	return (v >= op->lo && v <= op->hi) == (op->flags & MT_CT_IF) ? &q->t->ops[op->to] : op + 1;
}

/* The next op; NULL: not here. */
static inline const struct mt_ct_op *step(struct quick *q, const struct mt_ct_op *op, uint32_t max)
{
	switch (op->code) {
	case MT_CT_JUMP:
		return &q->t->ops[op->to];
	case MT_CT_TEST_NUMBER:
		return test(q, op);
	case MT_CT_VARIANT:
		q->read = 0;
		return op + 1;
	case MT_CT_LENGTH:
		return length(q, op) ? op + 1 : NULL;
	case MT_CT_ADD:
		q->total += op->lo;
		return op + 1;
	case MT_CT_FRAMED:
		return framed(q, op, max) ? op + 1 : NULL;
	case MT_CT_KIND:
		table_kind(q->t, q->msg, op);
		return op + 1;
	case MT_CT_ID:
		return id(q, op) ? op + 1 : NULL;
	case MT_CT_STATUS:
		table_status(q->msg, op);
		return op + 1;
	case MT_CT_FIXED:
		return fixed(q, op) ? op + 1 : NULL;
	case MT_CT_TO:
		return to_end(q, op) ? op + 1 : NULL;
	case MT_CT_HESSIAN:
		return hessian(q, op);
	case MT_CT_HOLD:
		return hold(q, op) ? op + 1 : NULL;
	default:
		return NULL;
	}
}

/* In parts that the compiler clears without a loop. */
static inline void clear(struct mt_msg *msg)
{
	const size_t from = offsetof(struct mt_msg, field), to = from + sizeof(msg->field);

	memset(msg, 0, from);
	memset(msg->field, 0, sizeof(msg->field));
	memset((uint8_t *)msg + to, 0, sizeof(*msg) - to);
}

static enum mt_decode begin(
	const struct mt_codec_table *t, struct mt_decoder *d, struct mt_msg *msg)
{
	const struct mt_chain *c = d->cur.chain;
	uint32_t may = table_allowance(&t->codec, d->steps), max = d->max_message;
	const struct mt_ct_op *op = &t->ops[t->entry[d->dir]], *next;
	struct quick q = {.t = t,
		.msg = msg,
		.s = (struct table_state *)(void *)d->state,
		.head = mt_link_data(c->head),
		.head_len = mt_link(c->head)->len,
		.limit = t->codec.max_message,
		.left = may};

	q.near = MT_MIN(q.limit, q.head_len);
	clear(msg);
	msg->flags = (uint8_t)d->dir;
	d->step = 1;
	for (;; op = next) {
		q.left -= TABLE_OP_STEPS;
		if (mt_unlikely(q.left <= 0))
			break;
		next = step(&q, op, max);
		if (mt_unlikely(!next))
			break;
	}
	if (mt_likely(op->code == MT_CT_DONE && q.left > 0)) {
		msg->aux32 = q.there;
		q.s->reach = q.reach;
		d->steps -= table_spent(&t->codec, may - (uint32_t)q.left, may, d->steps);
		return table_finish(d, msg);
	}
	/* run() goes on at the op. */
	msg->aux32 = q.there;
	q.s->pc = (uint16_t)(op - t->ops);
	q.s->reach = q.reach;
	q.s->total = q.total;
	msg->lead_len = msg->len ? 0 : q.read;
	return table_go_on(&t->codec, d, msg, may - (uint32_t)(q.left + TABLE_OP_STEPS));
}

enum mt_decode table_decode(const struct mt_codec *self, struct mt_decoder *d, struct mt_msg *msg)
{
	if (d->step == 2)
		return table_finish(d, msg);
	if (d->step)
		return table_go_on(self, d, msg, 0);
	return d->cur.chain->len ? begin(table_of(self), d, msg) : MT_DECODE_MORE;
}
