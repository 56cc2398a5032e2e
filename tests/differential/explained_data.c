/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about windows, numbers, timestamps and blocks. */
#include "explained.h"

/* The peer had said a smaller window than at first. */
static bool window_was_small(const struct df_case *c)
{
	for (uint32_t i = 0; i <= c->i; i++)
		if (c->q->step[i].kind == DF_SEG && c->q->step[i].wnd < c->q->wnd)
			return true;
	return false;
}

/* While a FIN waits behind a hole: the kernel's blocks hold its number and what touches it. */
static bool fin_waits_behind_hole(const struct df_case *c)
{
	return df_fin_came(c) && !c->o->eof && !c->k->eof;
}

uint32_t df_rule_fin_not_sacked(const struct df_case *c, bool *end)
{
	const int32_t *k = c->k->sack, *o = c->o->sack;

	if (fin_waits_behind_hole(c))
		return DF_F(SACK) | DF_F(DSACK);
	/* a FIN that comes again, alone or with its text */
	if (!df_fin_came(c) || !c->k->n_sack || (k[1] != c->k->ack && !(c->st->flags & SC_FIN)))
		return 0;
	return (c->o->n_sack && k[0] == o[0] && k[1] == o[1] + 1) ||
			       (!c->o->n_sack && k[1] == k[0] + 1)
		       ? DF_F(DSACK)
		       : 0;
}

uint32_t df_rule_edge_not_trimmed(const struct df_case *c, bool *end)
{
	if (!df_is_seg(c) || c->st->seq_at != DF_AT_EDGE || !c->st->len || c->st->seq > 0 ||
		c->st->seq + (int32_t)df_space(c->st) <= 0)
		return 0;
	*end = true; /* the queues hold different things now */
	return DF_F(SACK) | DF_F(DSACK);
}

/* The ACK field counts for one side only: what follows is of different states. */
static uint32_t ack_counts(const struct df_case *c, bool *end)
{
	*end = c->fields & (DF_F(STATE) | DF_F(END) | DF_F(ERR) | DF_F(AGAIN)) ||
	       c->st->ts == DF_TS_MOVED;
	return DF_F(STATE) | DF_F(CONNECTED) | DF_F(ACCEPT) | DF_F(ACKED) | DF_F(SEQ) | DF_F(END) |
	       DF_F(FIN) | DF_F(AGAIN) | DF_F(SYN) | DF_F(OPTS) | DF_F(FINISHED) | DF_F(ERR);
}

/* The kernel kept a newer timestamp from such a segment, and now refuses what we take. */
static bool parted_timestamps(const struct df_case *c)
{
	return df_is_seg(c) && c->kb->ecr > c->ob->ecr && df_stamp(c) < c->kb->ecr;
}

uint32_t df_rule_at_left_edge(const struct df_case *c, bool *end)
{
	if (parted_timestamps(c)) {
		*end = true;
		return ALL;
	}
	if (!df_is_seg(c) || !df_space(c->st) || c->st->seq_at != DF_AT_STREAM ||
		c->st->seq + (int32_t)df_space(c->st) != c->ob->ack)
		return 0;
	return ack_counts(c, end) | (c->k->ecr > c->o->ecr ? DF_F(ECR) : 0);
}

uint32_t df_rule_at_right_edge(const struct df_case *c, bool *end)
{
	return df_is_seg(c) && (df_space(c->st) || c->st->flags & SC_RST) &&
			       c->st->seq_at == DF_AT_EDGE && c->st->seq == 0
		       ? ack_counts(c, end) | DF_F(ECR)
		       : 0;
}

uint32_t df_rule_sack_at_fin(const struct df_case *c, bool *end)
{
	bool came =
		c->st->flags & SC_FIN && c->k->state != c->kb->state && c->o->state != c->ob->state;

	return came || (c->o->eof && !c->ob->eof) ? DF_F(SACK) | DF_F(DSACK) : 0;
}

/* Where the first of the peer's FINs stands. */
static int32_t first_fin(const struct df_case *c)
{
	int32_t fin = INT32_MAX;

	for (uint32_t i = 0; i <= c->i; i++) {
		const struct df_step *st = &c->q->step[i];

		if (st->kind == DF_SEG && st->seq_at == DF_AT_STREAM && st->flags & SC_FIN)
			fin = MT_MIN(fin, st->seq + st->len);
	}
	return fin;
}

uint32_t df_rule_behind_early_fin(const struct df_case *c, bool *end)
{
	*end = true;
	for (uint32_t i = 0; i <= c->i; i++) {
		const struct df_step *st = &c->q->step[i];

		if (st->kind != DF_SEG || st->seq_at != DF_AT_STREAM || !st->len ||
			st->seq + st->len <= first_fin(c))
			continue;
		return c->k->wrong || c->k->eof != c->o->eof ? ALL : DF_F(SACK) | DF_F(DSACK);
	}
	return 0;
}

uint32_t df_rule_paws_dsack(const struct df_case *c, bool *end)
{
	return df_is_seg(c) && c->q->ts && c->k->dsack && !c->o->dsack && df_stamp(c) < c->o->ecr
		       ? DF_F(DSACK)
		       : 0;
}

uint32_t df_rule_ack_of_own_syn(const struct df_case *c, bool *end)
{
	*end = df_space(c->st);
	return df_is_seg(c) && df_before(c, DF_CONNECT) && c->st->flags & SC_ACK &&
			       df_acks(c, c->i) == 0 && c->o->acked
		       ? ALL
		       : 0;
}

uint32_t df_rule_ack_in_shrunk_window(const struct df_case *c, bool *end)
{
	if (!window_was_small(c))
		return 0;
	if (c->st->kind == DF_ABORT && c->k->rst_seq < c->o->rst_seq)
		return DF_F(RST_NUMBERS);
	return c->k->seq < c->o->seq && c->o->seq == c->o->end ? DF_F(SEQ) : 0;
}

static bool older_than_last(const struct df_case *c)
{
	for (uint32_t i = 0; i < c->i; i++)
		if (c->q->step[i].kind == DF_SEG && c->q->step[i].flags & SC_ACK &&
			df_acks(c, i) > df_acks(c, c->i) && df_acks(c, i) <= c->ob->end)
			return true;
	return false;
}

/* The kernel echoes the timestamp of a segment whose ACK was older than one before, or of nothing. */
uint32_t df_rule_forged_timestamp(const struct df_case *c, bool *end)
{
	for (uint32_t i = 0; i <= c->i; i++) {
		const struct df_step *st = &c->q->step[i];
		struct df_case then = *c;

		then.i = i;
		then.ob = i ? &c->ours->obs[i - 1] : c->ob;
		if (st->kind == DF_SEG && c->k->ecr > c->o->ecr &&
			c->k->ecr == (int32_t)(10 * i) + (st->ts == DF_TS_MOVED ? st->ts_by : 0) &&
			(older_than_last(&then) || df_acks(c, i) < 1 ||
				df_acks(c, i) > then.ob->end))
			return DF_F(ECR);
	}
	return 0;
}

uint32_t df_rule_sack_of_old_ack(const struct df_case *c, bool *end)
{
	*end = true;
	return df_is_seg(c) && c->st->n_sack && older_than_last(c) && c->k->again
		       ? DF_F(AGAIN) | DF_F(ACKED) | DF_F(SEQ)
		       : 0;
}

uint32_t df_rule_sack_inside_segments(const struct df_case *c, bool *end)
{
	*end = true;
	for (uint32_t i = 0; i <= c->i && c->q->sack; i++)
		if (c->q->step[i].n_sack)
			return DF_F(AGAIN) | DF_F(ACKED) | DF_F(SEQ) | DF_F(END) | DF_F(FIN);
	return 0;
}

uint32_t df_rule_window_beyond_field(const struct df_case *c, bool *end)
{
	*end = true;
	return df_is_seg(c) && !c->q->wscale && c->st->seq_at == DF_AT_EDGE && c->st->seq > 0 ? ALL
											      : 0;
}

uint32_t df_rule_small_window(const struct df_case *c, bool *end)
{
	*end = true;
	return window_was_small(c) && c->k->end != c->o->end
		       ? DF_F(END) | DF_F(FIN) | DF_F(SEQ) | DF_F(ACKED) | DF_F(STATE)
		       : 0;
}

uint32_t df_rule_paws_reordered_ack(const struct df_case *c, bool *end)
{
	return df_is_seg(c) && !df_space(c->st) && c->q->ts && df_stamp(c) < c->o->ecr &&
			       c->o->acked && !c->k->acked
		       ? DF_F(ACKED)
		       : 0;
}

/* Step b continued what step a had brought. */
static bool joined(const struct df_case *c, uint32_t a, uint32_t b)
{
	const struct df_step *x = &c->q->step[a], *y = &c->q->step[b];

	return x->len && y->len && x->seq + x->len == y->seq;
}

uint32_t df_rule_dsack_of_joined(const struct df_case *c, bool *end)
{
	if (!df_is_seg(c) || !c->o->dsack)
		return 0;
	for (uint32_t b = 0; b <= c->i; b++)
		for (uint32_t a = 0; a < b; a++)
			if (joined(c, a, b))
				return DF_F(DSACK);
	return 0;
}

uint32_t df_rule_edges_apart(const struct df_case *c, bool *end)
{
	return df_edges(c) > 1 ? DF_F(SACK) | DF_F(DSACK) : 0;
}

/* A pure ACK of a peer that stands behind the one byte of its probe, which was not taken. */
static bool behind_probe(const struct df_case *c)
{
	return !df_space(c->st) && c->st->seq_at == DF_AT_STREAM && c->st->seq == c->ob->ack + 1;
}

uint32_t df_rule_ack_in_shut_window(const struct df_case *c, bool *end)
{
	return df_is_seg(c) && df_before(c, DF_FILL) && (c->st->len || behind_probe(c)) &&
			       c->k->zero && c->o->zero
		       ? ack_counts(c, end)
		       : 0;
}

uint32_t df_rule_fin_in_shut_window(const struct df_case *c, bool *end)
{
	*end = true;
	return df_is_seg(c) && df_before(c, DF_FILL) && c->st->flags & SC_FIN &&
			       c->o->ack == c->ob->ack && c->o->acked
		       ? DF_F(STATE) | DF_F(ACK) | DF_F(ECR) | DF_F(FINISHED)
		       : 0;
}

uint32_t df_rule_newreno_dup_acks(const struct df_case *c, bool *end)
{
	*end = true;
	return !c->q->sack && c->o->again != c->k->again && df_is_seg(c) && !c->st->len
		       ? DF_F(AGAIN) | DF_F(ACKED) | DF_F(SEQ)
		       : 0;
}
