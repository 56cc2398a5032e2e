/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by both ways to run a program: quick.c and decode.c. */
#pragma once

#include "run.h"

/* The end of slot `within`, or of the message. */
static inline uint64_t table_end(const struct table_run *r, const struct mt_ct_op *op)
{
	struct table_slot s;

	if (op->within == MT_CT_NONE)
		return table_limit(r);
	if (!table_there(r, op->within))
		return 0;
	s = table_slot(r, op->within);
	return (uint64_t)s.off + s.len;
}

/* Results of a message: its kind, and the class of a reply. */
static inline void table_kind(
	const struct mt_codec_table *t, struct mt_msg *msg, const struct mt_ct_op *op)
{
	msg->kind = (enum mt_msg_kind)op->flags;
	msg->event = (enum mt_msg_event)op->n;
	msg->variant = (uint8_t)op->m;
	msg->lane_class = (uint8_t)op->m;
	msg->can_reply = t->codec.id_max == 0;
}

static inline void table_status(struct mt_msg *msg, const struct mt_ct_op *op)
{
	if (msg->aux != MT_CT_CLASS_OK)
		return;
	msg->aux = op->flags;
	if (op->flags == MT_CT_CLASS_OK)
		msg->status = MT_STATUS_OK;
	else if (op->flags == MT_CT_CLASS_APPLICATION)
		msg->status = MT_STATUS_APP_ERROR;
	else
		msg->status = MT_STATUS_SERVER_ERROR;
}

#define TABLE_OP_STEPS 8

/* Steps of a decode() call: at least TABLE_OP_STEPS + 1, unless the caller has fewer. */
static inline uint32_t table_allowance(const struct mt_codec *codec, uint32_t steps)
{
	if (steps <= TABLE_OP_STEPS)
		return steps;
	return MT_MAX(steps / table_times(codec), TABLE_OP_STEPS + 1u);
}

/*
 * Steps that a run of `had` steps has used. A run that stops because none are left uses all: had
 * may not be divisible by table_times(), and the caller takes a remainder to mean that bytes are
 * missing.
 */
static inline uint32_t table_spent(
	const struct mt_codec *codec, uint32_t used, uint32_t may, uint32_t had)
{
	if (used >= may)
		return had;
	return (uint32_t)MT_MIN((uint64_t)used * table_times(codec), had);
}

/* The program has ended: only the message's rest is missing. */
static inline enum mt_decode table_finish(struct mt_decoder *d, struct mt_msg *msg)
{
	struct table_state *s = (struct table_state *)(void *)d->state;
	bool leading = d->step == 1;

	if (leading)
		msg->lead_len = MT_MIN(s->reach, msg->len);
	d->step = 2;
	if (mt_decoder_arrived(d) >= msg->len)
		return MT_DECODE_DONE;
	s->need = 0;
	return leading ? MT_DECODE_LEADING : MT_DECODE_MORE;
}

/* Adds what an op before the message's length has read; the length must not be less. */
void table_reads(struct table_run *r, const struct mt_ct_op *op);

/* Goes on with decode() at the op of the state; `used`: steps of this call before it. */
enum mt_decode table_go_on(
	const struct mt_codec *self, struct mt_decoder *d, struct mt_msg *msg, uint32_t used);
