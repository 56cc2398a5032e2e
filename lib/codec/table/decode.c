/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a table's program as a push decoder. Each op either completes, jumps forward, or waits for
 * bytes; a call with too few of them returns at once.
 */
#include "decode.h"

/*
 * The most steps of a run in one piece, which keeps the worker from all else: those of about 256
 * KiB of JSON.
 */
#define AGAIN_STEPS (8 * 4 * MT_CT_LEAD)

_Static_assert(sizeof(struct table_state) <= MT_DECODER_STATE, "the state of a decoder");

enum done {
	RUN_NEXT,
	RUN_JUMP,
	RUN_WAIT,
	RUN_BAD, /* msg->flags: enum mt_ct_fault */
	RUN_END,
};

/* The op at state.pc is the cause. */
static void blame(struct table_run *r)
{
	if (r->why)
		*r->why = (struct mt_ct_cause){.op = &r->t->ops[r->s->pc], .at = r->s->pos};
}

static enum done bad(struct table_run *r, enum mt_ct_fault fault)
{
	r->msg->flags = (uint8_t)fault;
	blame(r);
	return RUN_BAD;
}

/* The message's end is known, so that the connection can go on after a native error. */
static void refuse(struct table_run *r, enum mt_local_reply why)
{
	if (r->msg->refuse)
		return;
	r->msg->refuse = (uint8_t)(1 + why);
	blame(r);
}

static void contradicts(struct table_run *r)
{
	refuse(r, r->msg->kind == MT_MSG_REPLY ? MT_REPLY_BAD_REPLY : MT_REPLY_BAD_REQUEST);
}

/* Fills the op's slot with [off, end) if it lies in `within`. */
static enum done fill(struct table_run *r, const struct mt_ct_op *op, uint64_t off, uint64_t end)
{
	if (off <= end && end <= table_end(r, op) && end <= UINT32_MAX)
		table_fill(r, op->slot, (uint32_t)off, (uint32_t)(end - off));
	return RUN_NEXT;
}

/* ---- tests ---------------------------------------------------------------------------------- */

static enum done decide(const struct mt_ct_op *op, bool result)
{
	return result == (op->flags & MT_CT_IF) ? RUN_JUMP : RUN_NEXT;
}

static bool between(const struct mt_ct_place *p, uint64_t v, uint64_t lo, uint64_t hi)
{
	if (table_is_signed(p))
		return (int64_t)v >= (int64_t)lo && (int64_t)v <= (int64_t)hi;
	return v >= lo && v <= hi;
}

static enum done test_number(struct table_run *r, const struct mt_ct_op *op)
{
	const struct mt_ct_place *p = &r->t->places[op->place];
	uint64_t v;
	enum table_rc rc = table_number(r, p, &v);

	if (rc == TABLE_WAIT)
		return RUN_WAIT;
	return decide(op, rc == TABLE_GOT && between(p, v, op->lo, op->hi));
}

static enum done test_text(struct table_run *r, const struct mt_ct_op *op)
{
	struct table_slot at;

	if (table_locate(r, &r->t->places[op->place], &at) != TABLE_GOT || at.len != op->m)
		return decide(op, false);
	if (!table_arrived(r, at.off + at.len))
		return RUN_WAIT;
	return decide(op, table_equal(r, at.off, at.len, op->n, op->m, false));
}

/* Places that are longer than any text with metadata differ. */
static enum done test_same(struct table_run *r, const struct mt_ct_op *op)
{
	uint8_t tmp[2][MT_META_SCRATCH];
	struct table_slot a, b;
	const uint8_t *p, *q;

	if (table_locate(r, &r->t->places[op->place], &a) != TABLE_GOT ||
		table_locate(r, &r->t->places[op->n], &b) != TABLE_GOT)
		return decide(op, true);
	if (a.len != b.len || a.len > MT_META_SCRATCH || a.len == 0)
		return decide(op, a.len == 0 && b.len == 0);
	if (!table_arrived(r, MT_MAX(a.off, b.off) + a.len))
		return RUN_WAIT;
	p = table_bytes(r, a.off, a.len, tmp[0]);
	q = table_bytes(r, b.off, b.len, tmp[1]);
	r->used += a.len;
	return decide(op, p && q && memcmp(p, q, a.len) == 0);
}

static enum done test_there(struct table_run *r, const struct mt_ct_op *op)
{
	struct table_slot at;

	return decide(op, table_locate(r, &r->t->places[op->place], &at) == TABLE_GOT);
}

/* ---- slots ---------------------------------------------------------------------------------- */

static enum done fixed(struct table_run *r, const struct mt_ct_op *op)
{
	struct table_slot at;

	if (table_locate(r, &r->t->places[op->place], &at) != TABLE_GOT)
		return RUN_NEXT;
	return fill(r, op, at.off, (uint64_t)at.off + at.len);
}

/* Fills the op's slot with `len` bytes from off on; if there are fewer, it is a contradiction. */
static enum done take(struct table_run *r, const struct mt_ct_op *op, uint64_t off, int64_t len)
{
	if (len >= 0)
		fill(r, op, off, off + (uint64_t)len);
	/* A negative length is not too long for the longest message. */
	if (!table_there(r, op->slot) && (r->msg->len || len >= 0))
		r->msg->aux32 |= TABLE_MISFIT(op->slot);
	return RUN_NEXT;
}

/* A length above 32 bits is longer than any message. */
static int64_t scaled(uint64_t v, uint64_t unit, int64_t add)
{
	return (int64_t)(MT_MIN(v, UINT32_MAX) * unit) + add;
}

static enum done counted(struct table_run *r, const struct mt_ct_op *op)
{
	const struct mt_ct_place *p = &r->t->places[op->place];
	struct table_slot at;
	uint64_t v;
	enum table_rc rc = table_number(r, p, &v);

	if (rc == TABLE_WAIT)
		return RUN_WAIT;
	if (rc != TABLE_GOT || table_locate(r, p, &at) != TABLE_GOT)
		return RUN_NEXT;
	return take(r, op, (uint64_t)at.off + at.len, scaled(v, op->n, (int32_t)op->m));
}

static enum done sized(struct table_run *r, const struct mt_ct_op *op)
{
	struct table_slot at;
	uint64_t v;
	enum table_rc rc = table_number(r, &r->t->places[op->n], &v);

	if (rc == TABLE_WAIT)
		return RUN_WAIT;
	if (rc != TABLE_GOT || table_locate(r, &r->t->places[op->place], &at) != TABLE_GOT)
		return RUN_NEXT;
	return take(r, op, at.off, scaled(v, op->lo, (int64_t)op->hi));
}

static enum done to_end(struct table_run *r, const struct mt_ct_op *op)
{
	struct table_slot at;
	uint64_t end = table_end(r, op), less = (uint64_t) - (int64_t)(int32_t)op->m;

	if (table_locate(r, &r->t->places[op->place], &at) != TABLE_GOT || less > end)
		return RUN_NEXT;
	if (op->within == MT_CT_NONE && !r->msg->len)
		return RUN_NEXT;
	return fill(r, op, at.off, end - less);
}

/* True if of the last two bytes one is a carriage return or line feed without the other. */
static bool is_other_end(uint64_t window)
{
	return ((uint8_t)window == '\n') != ((uint8_t)(window >> 8) == '\r');
}

/* A client's text has what some servers take for the end of a line, too. */
static enum done other_end(struct table_run *r)
{
	if (!r->msg->len)
		return bad(r, MT_CT_FAULT_LINE);
	contradicts(r);
	return RUN_NEXT;
}

/*
 * Looks for a delimiter of up to 8 bytes. The last 8 bytes are in stack[0] and [1], so that none is
 * read twice.
 */
static enum done until(struct table_run *r, const struct mt_ct_op *op)
{
	uint64_t window, want = 0, mask = op->m < 8 ? (1ull << 8 * op->m) - 1 : UINT64_MAX;
	bool strict = op->flags & MT_CT_IF && r->msg->flags == MT_DIR_DOWN;
	struct table_state *s = r->s;
	uint64_t end = table_end(r, op);
	struct table_slot at;
	const uint8_t *p;

	if (table_locate(r, &r->t->places[op->place], &at) != TABLE_GOT)
		return RUN_NEXT;
	if (!s->phase) {
		s->phase = 1;
		s->pos = at.off;
		s->stack[0] = s->stack[1] = 0;
	}
	for (uint32_t i = 0; i < op->m; i++)
		want = want << 8 | r->t->text[op->n + i];
	end = MT_MIN(end, (uint64_t)at.off + op->lo + op->m);
	window = (uint64_t)s->stack[0] << 32 | s->stack[1];
	for (uint32_t n; (n = table_piece(r, s->pos, (uint32_t)end, &p)) > 0;) {
		uint32_t i = 0;

		while (i < n) {
			window = window << 8 | p[i++];
			if (strict && is_other_end(window)) {
				s->pos += i - 1;
				return other_end(r);
			}
			if ((window & mask) == want && s->pos + i - at.off >= op->m)
				break;
		}
		s->pos += i;
		r->used += 2 * i;
		if ((window & mask) == want && s->pos - at.off >= op->m) {
			table_arrived(r, s->pos);
			return fill(r, op, at.off, s->pos - op->m);
		}
	}
	s->stack[0] = (uint32_t)(window >> 32);
	s->stack[1] = (uint32_t)window;
	if (s->pos < end) {
		table_arrived(r, s->pos + 1);
		return RUN_WAIT;
	}
	return r->msg->len ? RUN_NEXT : bad(r, MT_CT_FAULT_DELIMITER);
}

static enum done numeral(struct table_run *r, const struct mt_ct_op *op)
{
	struct table_slot at;
	uint64_t end = table_end(r, op), v;
	uint8_t tmp[10];
	const uint8_t *p;
	uint32_t n;
	int len;

	if (table_locate(r, &r->t->places[op->place], &at) != TABLE_GOT || at.off >= end)
		return RUN_NEXT;
	n = (uint32_t)MT_MIN(MT_MIN(end, (uint64_t)r->arrived) - MT_MIN(at.off, r->arrived), 10u);
	p = n > 0 ? table_bytes(r, at.off, n, tmp) : NULL;
	len = p ? table_varint(p, n, &v) : 0;
	if (len > 0)
		return fill(r, op, at.off, (uint64_t)at.off + (uint32_t)len);
	if (len < 0 || at.off + n >= end) {
		/* It is a place, but not one that is longer than the longest message. */
		if (r->msg->len)
			r->msg->aux32 |= TABLE_MISFIT(op->slot);
		return RUN_NEXT;
	}
	table_arrived(r, at.off + n + 1);
	return RUN_WAIT;
}

/* A container breaks its format. The message's end may depend on what was not found. */
static enum done broken(struct table_run *r)
{
	if (!r->msg->len)
		return bad(r, MT_CT_FAULT_CONTAINER);
	contradicts(r);
	return RUN_NEXT;
}

/* Where a value of hessian begins: after a null, too, which does not fill its slot. */
static enum table_rc hessian_at(
	const struct table_run *r, const struct mt_ct_place *p, struct table_slot *at)
{
	struct table_slot before;

	if (p->base != MT_CT_AFTER || table_there(r, p->slot))
		return table_locate(r, p, at);
	before = table_slot(r, p->slot);
	at->off = before.off + before.len;
	return r->msg->aux32 & TABLE_MISFIT(p->slot) ? TABLE_OTHER : TABLE_GOT;
}

/*
 * A value of another type does not fill its slot, which has the bytes that were read of it. Servers
 * read some of them as texts, so in a client's message only a null is absent.
 */
static enum done hessian(struct table_run *r, const struct mt_ct_op *op)
{
	uint32_t end = (uint32_t)MT_MIN(table_end(r, op), UINT32_MAX);
	struct table_slot at = {end, 0};
	enum table_rc rc = hessian_at(r, &r->t->places[op->place], &at);

	if (rc == TABLE_GOT)
		rc = table_hessian(r, at.off, end, &at);
	if (rc == TABLE_WAIT)
		return RUN_WAIT;
	if (rc == TABLE_GOT)
		return fill(r, op, at.off, (uint64_t)at.off + at.len);
	/* How far another value was read depends on the bytes that had arrived. */
	if (rc != TABLE_ABSENT)
		at = (struct table_slot){end, 0};
	table_fill(r, op->slot, at.off, at.len);
	table_empty(r, op->slot);
	if (rc == TABLE_OTHER && r->msg->flags == MT_DIR_DOWN)
		r->msg->aux32 |= TABLE_MISFIT(op->slot);
	return rc == TABLE_MALFORMED ? broken(r) : RUN_NEXT;
}

static enum done walk(struct table_run *r, const struct mt_ct_op *op)
{
	const struct mt_ct_walk *w = &r->t->walks[op->n];
	struct table_slot c;
	enum table_rc rc;

	if (!table_there(r, op->within))
		return RUN_NEXT;
	c = table_slot(r, op->within);
	rc = table_walk(r, w, c.off, c.off + c.len);
	if (rc == TABLE_WAIT)
		return RUN_WAIT;
	return rc == TABLE_MALFORMED ? broken(r) : RUN_NEXT;
}

/* Servers may read a number in bytes that are none here. */
static enum done held_number(struct table_run *r, const struct mt_ct_op *op)
{
	uint64_t v;

	if (r->msg->flags == MT_DIR_DOWN &&
		table_number(r, &r->t->places[op->place], &v) != TABLE_GOT)
		contradicts(r);
	return RUN_NEXT;
}

static enum done hold(struct table_run *r, const struct mt_ct_op *op)
{
	struct table_slot at;

	if (table_locate(r, &r->t->places[op->place], &at) != TABLE_GOT) {
		if (op->slot != MT_CT_NONE && r->msg->aux32 & TABLE_MISFIT(op->slot))
			contradicts(r);
		return RUN_NEXT;
	}
	if ((uint64_t)at.off + at.len > MT_CT_LEAD || (op->n && at.len > op->n)) {
		if (op->flags & MT_CT_IF)
			return RUN_NEXT;
		refuse(r, MT_REPLY_TOO_LARGE);
		if (op->slot != MT_CT_NONE)
			table_empty(r, op->slot);
		return RUN_NEXT;
	}
	if (!table_arrived(r, at.off + at.len))
		return RUN_WAIT;
	return op->m ? held_number(r, op) : RUN_NEXT;
}

/* ---- the length ----------------------------------------------------------------------------- */

static enum done length(struct table_run *r, const struct mt_ct_op *op)
{
	uint64_t v;
	enum table_rc rc = table_number(r, &r->t->places[op->place], &v);

	if (rc == TABLE_WAIT)
		return RUN_WAIT;
	if (rc != TABLE_GOT)
		return bad(r, MT_CT_FAULT_LENGTH);
	if (table_is_signed(&r->t->places[op->place]) && (int64_t)v < 0)
		return bad(r, MT_CT_FAULT_NEGATIVE);
	if (v > UINT32_MAX)
		return bad(r, MT_CT_FAULT_LONG);
	r->s->total += v * op->lo;
	return RUN_NEXT;
}

static enum done offset(struct table_run *r, const struct mt_ct_op *op)
{
	const struct mt_ct_place *p = &r->t->places[op->place];
	struct table_slot at;

	if (p->base == MT_CT_AFTER && r->msg->aux32 & TABLE_MISFIT(p->slot))
		return bad(r, MT_CT_FAULT_LONG);
	if (table_locate(r, p, &at) != TABLE_GOT)
		return bad(r, MT_CT_FAULT_LENGTH);
	r->s->total += at.off;
	return RUN_NEXT;
}

static enum done add(struct table_run *r, const struct mt_ct_op *op)
{
	r->s->total += op->lo;
	return RUN_NEXT;
}

/* A length that a place makes longer must hold the place before. */
static enum done sum_holds(struct table_run *r, const struct mt_ct_op *op)
{
	struct table_slot at;

	if (table_locate(r, &r->t->places[op->place], &at) == TABLE_GOT &&
		(int64_t)r->s->total < (int64_t)at.off + at.len)
		return bad(r, MT_CT_FAULT_SHORT);
	return RUN_NEXT;
}

static enum done framed(struct table_run *r, const struct mt_ct_op *op, uint32_t max)
{
	uint64_t total = r->s->total, read = r->msg->lead_len;

	r->msg->lead_len = 0;
	/* Otherwise the bytes of the next message would decide where this one ends. */
	if ((int64_t)total < 0 || total < op->lo || total < read || total == 0)
		return bad(r, MT_CT_FAULT_SHORT);
	if (total > op->hi || total > max)
		return bad(r, MT_CT_FAULT_LONG);
	r->msg->len = (uint32_t)total;
	/* Slots that were filled before may be longer than the message. */
	r->msg->aux32 = 0;
	return RUN_NEXT;
}

/* ---- results -------------------------------------------------------------------------------- */

static enum done kind(struct table_run *r, const struct mt_ct_op *op)
{
	table_kind(r->t, r->msg, op);
	/* Walks have found contradictions before the kind was known. */
	if (r->msg->refuse == 1 + MT_REPLY_BAD_REQUEST && op->flags == MT_MSG_REPLY)
		r->msg->refuse = 1 + MT_REPLY_BAD_REPLY;
	return RUN_NEXT;
}

/* An id of Meltemi's could not be added to a call that has other bytes in its place. */
static bool is_other_id(const struct table_run *r, const struct mt_ct_op *op)
{
	struct table_slot at;

	return r->msg->kind == MT_MSG_ONEWAY && r->msg->flags == MT_DIR_DOWN &&
	       table_locate(r, &r->t->places[op->place], &at) == TABLE_GOT;
}

static enum done id(struct table_run *r, const struct mt_ct_op *op)
{
	uint64_t v;
	enum table_rc rc = table_number(r, &r->t->places[op->place], &v);

	if (rc == TABLE_WAIT)
		return RUN_WAIT;
	if (rc != TABLE_GOT && (op->flags & MT_CT_IF || is_other_id(r, op)))
		return bad(r, MT_CT_FAULT_ID);
	r->msg->id = rc == TABLE_GOT ? v : 0;
	r->msg->can_reply = true;
	return RUN_NEXT;
}

/* Times that are not positive mean that there is none. */
static enum done deadline(struct table_run *r, const struct mt_ct_op *op)
{
	uint64_t v;
	enum table_rc rc = table_number(r, &r->t->places[op->place], &v);

	if (rc == TABLE_WAIT)
		return RUN_WAIT;
	if (rc != TABLE_GOT || (int64_t)v <= 0)
		return RUN_NEXT;
	v = MT_MIN(v, (uint64_t)INT64_MAX / op->lo) * op->lo;
	v = v / op->hi + (v % op->hi != 0);
	r->msg->timeout_ms = (uint32_t)MT_MIN(v, UINT32_MAX);
	return RUN_NEXT;
}

static enum done sum(struct table_run *r, const struct mt_ct_op *op)
{
	enum table_rc rc = table_sum(r, &r->t->sums[op->n]);

	if (rc == TABLE_WAIT)
		return RUN_WAIT;
	/* A run for a template corrects it. */
	if (rc == TABLE_GOT || (r->trace && rc == TABLE_MALFORMED))
		return RUN_NEXT;
	contradicts(r);
	if (r->why && r->why->op == op) {
		r->why->summed = r->s->phase != 0;
		r->why->sum = table_sum_of(r, &r->t->sums[op->n]);
	}
	return RUN_NEXT;
}

static enum done fit(struct table_run *r, const struct mt_ct_op *op)
{
	if (r->msg->aux32 & TABLE_MISFIT(op->within))
		contradicts(r);
	return RUN_NEXT;
}

/* Refuses the message for the reason of a rule, or because it contradicts the table. */
static enum done refusal(struct table_run *r, const struct mt_ct_op *op)
{
	if (op->n)
		refuse(r, (enum mt_local_reply)(op->n - 1));
	else
		contradicts(r);
	return RUN_NEXT;
}

static enum done run_op(struct table_run *r, const struct mt_ct_op *op, uint32_t max)
{
	switch ((enum mt_ct_code)op->code) {
	case MT_CT_JUMP:
		return RUN_JUMP;
	case MT_CT_TEST_NUMBER:
		return test_number(r, op);
	case MT_CT_TEST_TEXT:
		return test_text(r, op);
	case MT_CT_TEST_SAME:
		return test_same(r, op);
	case MT_CT_TEST_THERE:
		return test_there(r, op);
	case MT_CT_FIXED:
		return fixed(r, op);
	case MT_CT_COUNTED:
		return counted(r, op);
	case MT_CT_SIZED:
		return sized(r, op);
	case MT_CT_TO:
		return to_end(r, op);
	case MT_CT_UNTIL:
		return until(r, op);
	case MT_CT_NUMERAL:
		return numeral(r, op);
	case MT_CT_HESSIAN:
		return hessian(r, op);
	case MT_CT_WALK:
		return walk(r, op);
	case MT_CT_HOLD:
		return hold(r, op);
	case MT_CT_VARIANT:
		return RUN_NEXT;
	case MT_CT_LENGTH:
		return length(r, op);
	case MT_CT_OFFSET:
		return offset(r, op);
	case MT_CT_ADD:
		return add(r, op);
	case MT_CT_WITHIN:
		return sum_holds(r, op);
	case MT_CT_FRAMED:
		return framed(r, op, max);
	case MT_CT_KIND:
		return kind(r, op);
	case MT_CT_ID:
		return id(r, op);
	case MT_CT_COPY:
		return RUN_NEXT;
	case MT_CT_STATUS:
		table_status(r->msg, op);
		return RUN_NEXT;
	case MT_CT_DEADLINE:
		return deadline(r, op);
	case MT_CT_SUM:
		return sum(r, op);
	case MT_CT_FIT:
		return fit(r, op);
	case MT_CT_REFUSE:
		return refusal(r, op);
	case MT_CT_BAD:
		return bad(r, (enum mt_ct_fault)op->n);
	default:
		return RUN_END;
	}
}

/* Runs until the end, a wait or a fault. `until_framed`: only up to the message's length. */
static enum done run(struct table_run *r, uint32_t max, bool until_framed)
{
	struct table_state *s = r->s;

	for (;;) {
		const struct mt_ct_op *op = &r->t->ops[s->pc];
		enum done rc;

		if (!table_may(r, TABLE_OP_STEPS))
			return RUN_WAIT;
		if (!s->phase && op->code >= MT_CT_FIXED && op->code <= MT_CT_HESSIAN)
			table_empty(r, op->slot);
		rc = run_op(r, op, max);
		if (rc == RUN_NEXT)
			s->pc++;
		else if (rc == RUN_JUMP)
			s->pc = op->to;
		else
			return rc;
		if (mt_unlikely(r->trace))
			table_record(r, op);
		if (!r->msg->len)
			table_reads(r, op);
		s->phase = 0;
		if (until_framed && r->msg->len)
			return RUN_END;
	}
}

/* ---- the codec's functions ------------------------------------------------------------------ */

static enum mt_decode fault(struct mt_decoder *d, struct mt_msg *msg)
{
	enum mt_ct_fault why = (enum mt_ct_fault)msg->flags;

	msg->flags = (uint8_t)d->dir;
	if (why == MT_CT_FAULT_LONG)
		return mt_decode_too_long(d, mt_ct_fault_str(why));
	return mt_decode_bad(d, mt_ct_fault_str(why));
}

enum mt_decode table_go_on(
	const struct mt_codec *self, struct mt_decoder *d, struct mt_msg *msg, uint32_t used)
{
	struct table_state *s = (struct table_state *)(void *)d->state;
	struct table_run r = {.t = table_of(self), .msg = msg, .s = s, .used = used};
	enum done rc;

	r.may = table_allowance(self, d->steps);
	r.arrived = d->cur.chain->len;
	if (s->need > r.arrived)
		return MT_DECODE_MORE;
	s->need = 0;
	r.head = mt_link_data(d->cur.chain->head);
	r.head_len = mt_link(d->cur.chain->head)->len;
	r.cur = &d->cur;
	r.mark = d->cur;
	rc = run(&r, d->max_message, false);
	if (r.keep)
		d->cur = r.mark;
	d->steps -= table_spent(self, r.used, r.may, d->steps);
	if (rc == RUN_WAIT)
		return MT_DECODE_MORE;
	return rc == RUN_BAD ? fault(d, msg) : table_finish(d, msg);
}

static void forget(struct table_trace *t)
{
	t->n = 0;
	t->full = false;
	memset(t->of, 0, sizeof(t->of));
}

bool table_again(struct table_run *r, const struct mt_codec_table *t, enum mt_dir dir,
	const struct mt_chain *c, struct mt_cursor *cur, struct mt_msg *msg)
{
	struct table_state *s = r->s;

	mt_cursor_init(cur, c, 0);
	*msg = (struct mt_msg){.flags = (uint8_t)dir};
	*s = (struct table_state){.pc = t->entry[dir]};
	*r = (struct table_run){.t = t,
		.msg = msg,
		.s = s,
		.cur = cur,
		.may = AGAIN_STEPS,
		.arrived = c->len,
		.head = mt_link_data(c->head),
		.head_len = mt_link(c->head)->len,
		.trace = r->trace,
		.unsummed = true};
	forget(r->trace);
	if (run(r, t->codec.max_message, false) != RUN_END || r->trace->full || msg->refuse)
		return false;
	msg->lead_len = MT_MIN(s->reach, msg->len);
	return true;
}

enum mt_decode table_flat_run(struct table_run *r, const struct mt_codec_table *t, enum mt_dir dir,
	const uint8_t *p, uint32_t n, struct mt_msg *msg)
{
	struct table_state *s = r->s;
	enum done rc;

	*msg = (struct mt_msg){.flags = (uint8_t)dir};
	*s = (struct table_state){.pc = t->entry[dir]};
	*r = (struct table_run){.t = t,
		.msg = msg,
		.s = s,
		.may = UINT32_MAX,
		.arrived = n,
		.head = p,
		.head_len = n,
		.trace = r->trace,
		.why = r->why};
	if (r->trace)
		forget(r->trace);
	rc = run(r, t->codec.max_message, false);
	if (rc == RUN_BAD)
		return MT_DECODE_BAD;
	return rc == RUN_WAIT || msg->len > n ? MT_DECODE_MORE : MT_DECODE_DONE;
}

/* Tries the client's program up to the message's length. */
enum mt_sniff table_sniff(const struct mt_codec *self, const uint8_t *p, uint32_t n, uint32_t *need)
{
	struct table_state s = {0};
	struct mt_msg msg = {0};
	struct table_run r = {
		.t = table_of(self), .msg = &msg, .s = &s, .may = UINT32_MAX, .head = p};
	enum done rc;

	r.head_len = r.arrived = n;
	s.pc = r.t->entry[MT_DIR_DOWN];
	rc = run(&r, self->max_message, true);
	if (rc == RUN_WAIT) {
		*need = MT_MAX(s.need, n + 1);
		return MT_SNIFF_MORE;
	}
	return rc == RUN_BAD ? MT_SNIFF_NO : MT_SNIFF_YES;
}

const char *mt_ct_fault_str(enum mt_ct_fault fault)
{
	static const char *const words[MT_CT_FAULTS] = {
		[MT_CT_FAULT_VARIANT] = "codec file: no variant matches",
		[MT_CT_FAULT_LENGTH] = "codec file: the length is missing or not a number",
		[MT_CT_FAULT_NEGATIVE] = "codec file: the length is negative",
		[MT_CT_FAULT_SHORT] = "codec file: shorter than the parts before its end",
		[MT_CT_FAULT_LONG] = "codec file: longer than the longest message",
		[MT_CT_FAULT_KIND] = "codec file: no kind of message matches",
		[MT_CT_FAULT_DELIMITER] = "codec file: no delimiter within the longest line",
		[MT_CT_FAULT_LINE] =
			"codec file: a line feed or carriage return alone before the delimiter",
		[MT_CT_FAULT_ID] = "codec file: the id is missing or not a number",
		[MT_CT_FAULT_CONTAINER] =
			"codec file: a container before its end breaks its format",
	};

	return (unsigned int)fault < MT_CT_FAULTS ? words[fault] : "codec file: malformed";
}

const char *mt_ct_class_str(enum mt_ct_class c)
{
	static const char *const words[MT_CT_CLASSES] = {
		[MT_CT_CLASS_OK] = "ok",
		[MT_CT_CLASS_APPLICATION] = "application",
		[MT_CT_CLASS_SERVER] = "server",
		[MT_CT_CLASS_OVERLOAD] = "overload",
		[MT_CT_CLASS_UNAVAILABLE] = "unavailable",
		[MT_CT_CLASS_DEADLINE] = "deadline",
		[MT_CT_CLASS_CALLER] = "caller",
	};

	return (unsigned int)c < MT_CT_CLASSES ? words[c] : "unknown";
}
