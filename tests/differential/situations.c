/* SPDX-License-Identifier: Apache-2.0 */
/* Situations that rules are made of. */
#include "explained.h"

bool df_is_seg(const struct df_case *c)
{
	return c->st->kind == DF_SEG && !c->st->badsum;
}

uint32_t df_space(const struct df_step *st)
{
	return st->len + (st->flags & SC_SYN ? 1u : 0) + (st->flags & SC_FIN ? 1u : 0);
}

bool df_before(const struct df_case *c, enum df_kind kind)
{
	for (uint32_t i = 0; i < c->i; i++)
		if (c->q->step[i].kind == kind)
			return true;
	return false;
}

bool df_fin_came(const struct df_case *c)
{
	for (uint32_t i = 0; i <= c->i; i++)
		if (c->q->step[i].kind == DF_SEG && c->q->step[i].flags & SC_FIN)
			return true;
	return false;
}

bool df_we_ignored(const struct df_case *c)
{
	return df_is_seg(c) && c->o->n_out == 0 && c->o->state == c->ob->state &&
	       c->o->read == c->ob->read && c->o->eof == c->ob->eof && c->o->err == c->ob->err;
}

bool df_was(const struct df_case *c, enum df_state state)
{
	return c->kb->state == state && c->ob->state == state;
}

int32_t df_stamp(const struct df_case *c, uint32_t i)
{
	const struct df_step *st = &c->q->step[i];

	return (int32_t)(10 * i) + (st->ts == DF_TS_MOVED ? st->ts_by : 0);
}

int32_t df_first_fin(const struct df_case *c)
{
	int32_t fin = INT32_MAX - 1;

	for (uint32_t i = 0; i <= c->i; i++) {
		const struct df_step *st = &c->q->step[i];

		if (st->kind == DF_SEG && !st->badsum && st->seq_at == DF_AT_STREAM &&
			st->flags & SC_FIN)
			fin = MT_MIN(fin, st->seq + st->len);
	}
	return fin;
}

uint32_t df_edges(const struct df_case *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i <= c->i; i++)
		n += c->q->step[i].kind == DF_SEG && c->q->step[i].seq_at == DF_AT_EDGE;
	return n;
}

int32_t df_acks(const struct df_case *c, uint32_t i)
{
	const struct df_step *st = &c->q->step[i];

	return st->ack + (st->ack_at == DF_ACK_ALL && i ? c->ours->obs[i - 1].end : 0);
}
