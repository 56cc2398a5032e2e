/* SPDX-License-Identifier: Apache-2.0 */
/* Records what a change of a message must know: numbers that count its parts, containers, sums. */
#include "run.h"

static void record_place(struct table_run *r, struct table_event *e, uint32_t place)
{
	e->place = (uint16_t)place;
	e->there = table_locate(r, &r->t->places[place], &e->at) == TABLE_GOT;
	if (e->op->code != MT_CT_OFFSET &&
		table_number(r, &r->t->places[place], &e->value) != TABLE_GOT)
		e->there = false;
}

static void record_sum(struct table_run *r, struct table_event *e)
{
	const struct mt_ct_sum *sum = &r->t->sums[e->op->n];

	record_place(r, e, sum->place);
	if (r->unsummed)
		return;
	e->wrong = e->value != table_sum_of(r, sum);
	e->value = table_sum_of(r, sum);
}

static void record_walk(struct table_run *r, struct table_event *e)
{
	const struct mt_ct_walk *w = &r->t->walks[e->op->n];

	for (uint32_t i = 0; i < w->n; i++) {
		uint8_t slot = r->t->targets[w->first + i].slot;

		if (slot != MT_CT_NONE)
			r->trace->of[slot] = (uint8_t)r->trace->n;
	}
	e->there = table_there(r, e->op->within);
	if (e->there)
		e->part = table_slot(r, e->op->within);
}

static bool recorded(const struct mt_ct_op *op)
{
	if (op->code >= MT_CT_FIXED && op->code <= MT_CT_WALK)
		return true;
	return op->code == MT_CT_LENGTH || op->code == MT_CT_OFFSET || op->code == MT_CT_ID ||
	       op->code == MT_CT_COPY || op->code == MT_CT_SUM;
}

void table_record(struct table_run *r, const struct mt_ct_op *op)
{
	struct table_trace *t = r->trace;
	struct table_event *e;

	if (!recorded(op))
		return;
	if (t->n == TABLE_EVENTS) {
		t->full = true;
		return;
	}
	e = &t->event[t->n++];
	*e = (struct table_event){.op = op};
	if (op->code <= MT_CT_HESSIAN) {
		t->of[op->slot] = (uint8_t)t->n;
		e->filled = table_there(r, op->slot);
		if (e->filled)
			e->part = table_slot(r, op->slot);
	}
	if (op->code == MT_CT_COUNTED || op->code == MT_CT_LENGTH || op->code == MT_CT_OFFSET ||
		op->code == MT_CT_ID || op->code == MT_CT_COPY)
		record_place(r, e, op->place);
	else if (op->code == MT_CT_SIZED)
		record_place(r, e, op->n);
	else if (op->code == MT_CT_SUM)
		record_sum(r, e);
	else if (op->code == MT_CT_WALK)
		record_walk(r, e);
}
