/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that a program has read to find a message's end: all of them must be in the message. */
#include "decode.h"

/* As long as the end is not known, msg->lead_len is that of what was read to find it. */
static void reads_to(struct table_run *r, uint64_t end)
{
	r->msg->lead_len = MT_MAX(r->msg->lead_len, (uint32_t)MT_MIN(end, UINT32_MAX));
}

static void reads_place(struct table_run *r, uint32_t place)
{
	struct table_slot at;

	if (table_locate(r, &r->t->places[place], &at) == TABLE_GOT)
		reads_to(r, (uint64_t)at.off + at.len);
}

/* `more`: bytes of a delimiter. */
static void reads_slot(struct table_run *r, uint32_t slot, uint32_t more)
{
	struct table_slot s;

	if (!table_there(r, slot))
		return;
	s = table_slot(r, slot);
	reads_to(r, (uint64_t)s.off + s.len + more);
}

/* A varint that is too long is not there, which ten bytes show. */
static void reads_varint(struct table_run *r, const struct mt_ct_op *op)
{
	struct table_slot at;

	if (table_there(r, op->slot))
		reads_slot(r, op->slot, 0);
	else if (table_locate(r, &r->t->places[op->place], &at) == TABLE_GOT)
		reads_to(r, MT_MIN(at.off + 10ull, table_end(r, op)));
}

/* Also of a value that is not there. */
static void reads_value(struct table_run *r, uint32_t slot)
{
	struct table_slot s = table_slot(r, slot);

	reads_to(r, (uint64_t)s.off + s.len);
}

void table_reads(struct table_run *r, const struct mt_ct_op *op)
{
	switch ((enum mt_ct_code)op->code) {
	case MT_CT_VARIANT:
		r->msg->lead_len = 0;
		return;
	case MT_CT_TEST_SAME:
		reads_place(r, op->place);
		reads_place(r, op->n);
		return;
	case MT_CT_TEST_NUMBER:
	case MT_CT_TEST_TEXT:
	case MT_CT_TEST_THERE:
	case MT_CT_COUNTED:
	case MT_CT_LENGTH:
		reads_place(r, op->place);
		return;
	case MT_CT_SIZED:
		reads_place(r, op->n);
		return;
	case MT_CT_NUMERAL:
		reads_varint(r, op);
		return;
	case MT_CT_UNTIL:
		reads_slot(r, op->slot, op->m);
		return;
	case MT_CT_HESSIAN:
		reads_value(r, op->slot);
		return;
	case MT_CT_WALK:
		reads_slot(r, op->within, 0);
		return;
	default:
		return;
	}
}
