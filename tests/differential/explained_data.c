/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about windows, numbers, timestamps and blocks. */
#include "explained.h"

#include <string.h>

/* The peer had said a smaller window than at first. */
static bool window_was_small(const struct df_case *c)
{
	for (uint32_t i = 0; i <= c->i; i++)
		if (c->q->step[i].kind == DF_SEG && c->q->step[i].wnd < c->q->wnd)
			return true;
	return false;
}

/* A FIN of the peer's had the number n; beside: of a block that began at `from`. */
static bool fin_at(const struct df_case *c, int32_t from, int32_t n)
{
	for (uint32_t i = 0; i <= c->i; i++) {
		const struct df_step *st = &c->q->step[i];
		int32_t at = st->seq_at == DF_AT_EDGE ? DF_BLOCK_AT_EDGE : st->seq;

		if (st->kind == DF_SEG && !st->badsum && st->flags & SC_FIN && at + st->len == n &&
			at >= from - 1)
			return true;
	}
	return false;
}

static bool has_block(const struct df_obs *o, const int32_t *block)
{
	for (uint32_t i = 0; i < o->n_sack; i++)
		if (!memcmp(o->sack + 2 * i, block, 8))
			return true;
	return false;
}

/* Ours has the block, or has it without the number of a FIN at its end or its begin, or it was nothing else. */
static bool but_for_fin(const struct df_case *c, const int32_t *block)
{
	int32_t left[2] = {block[0] + (fin_at(c, block[0], block[0]) ? 1 : 0), block[1]};
	int32_t right[2] = {block[0], block[1] - (fin_at(c, block[0], block[1] - 1) ? 1 : 0)};

	return has_block(c->o, block) || has_block(c->o, left) || has_block(c->o, right) ||
	       left[0] == block[1] || right[1] == block[0];
}

uint32_t df_rule_fin_not_sacked(const struct df_case *c, bool *end)
{
	/* what a FIN alone took of the room for blocks is another's here */
	if (!df_fin_came(c) || c->o->n_sack > c->k->n_sack)
		return 0;
	for (uint32_t i = 0; i < c->k->n_sack; i++)
		if (!but_for_fin(c, c->k->sack + 2 * i))
			return 0;
	return DF_F(SACK) | DF_F(DSACK);
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

/* Step i ended exactly where the window began. */
static bool ended_at_left_edge(const struct df_case *c, uint32_t i)
{
	const struct df_step *st = &c->q->step[i];

	return st->kind == DF_SEG && !st->badsum && df_space(st) && st->seq_at == DF_AT_STREAM &&
	       st->seq + (int32_t)df_space(st) == (i ? c->ours->obs[i - 1].ack : 0);
}

/* An ACK that is older than one before step i. */
static bool older_than_last(const struct df_case *c, uint32_t i)
{
	for (uint32_t k = 0; k < i; k++)
		if (c->q->step[k].kind == DF_SEG && c->q->step[k].flags & SC_ACK &&
			df_acks(c, k) > df_acks(c, i) && df_acks(c, k) <= c->ours->obs[i - 1].end)
			return true;
	return false;
}

/* The ACK of step i was older than one before, or of nothing. */
static bool forged(const struct df_case *c, uint32_t i)
{
	return c->q->step[i].kind == DF_SEG &&
	       (older_than_last(c, i) || df_acks(c, i) < 1 ||
		       df_acks(c, i) > (i ? c->ours->obs[i - 1].end : 0));
}

/* The kernel kept a newer timestamp from such a segment, and now refuses what we take. */
static bool parted_timestamps(
	const struct df_case *c, bool (*such)(const struct df_case *c, uint32_t i))
{
	if (!df_is_seg(c) || c->k->ecr <= c->ob->ecr || df_stamp(c, c->i) >= c->k->ecr)
		return false;
	for (uint32_t i = 0; i < c->i; i++)
		if (such(c, i) && df_stamp(c, i) == c->k->ecr)
			return true;
	return false;
}

/* Nothing that an ACK tells came in. */
static bool deaf(const struct df_obs *before, const struct df_obs *after)
{
	return before->state == after->state && before->accepted == after->accepted &&
	       before->connected == after->connected && before->err == after->err &&
	       before->end == after->end && !after->again;
}

uint32_t df_rule_at_left_edge(const struct df_case *c, bool *end)
{
	if (parted_timestamps(c, ended_at_left_edge)) {
		*end = true;
		return ALL;
	}
	if (!ended_at_left_edge(c, c->i) || !deaf(c->ob, c->o))
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

/* The FIN of step i came behind a hole, and waits. */
static bool fin_waited(const struct df_case *c, uint32_t i)
{
	const struct df_step *st = &c->q->step[i];

	return st->kind == DF_SEG && !st->badsum && st->flags & SC_FIN &&
	       st->seq_at == DF_AT_STREAM && i && st->seq > c->ours->obs[i - 1].ack;
}

uint32_t df_rule_behind_early_fin(const struct df_case *c, bool *end)
{
	int32_t fin = df_first_fin(c);
	bool waited = false, beyond = false;

	*end = true;
	for (uint32_t i = 0; i <= c->i; i++) {
		const struct df_step *st = &c->q->step[i];

		waited |= fin_waited(c, i) && st->seq + st->len == fin;
		beyond |= st->kind == DF_SEG && !st->badsum && st->seq_at == DF_AT_STREAM &&
			  st->len && st->seq + st->len > fin;
	}
	if (!waited || !beyond)
		return 0;
	return c->k->wrong || c->k->eof != c->o->eof ? ALL : DF_F(SACK) | DF_F(DSACK);
}

uint32_t df_rule_paws_dsack(const struct df_case *c, bool *end)
{
	return df_is_seg(c) && c->q->ts && c->k->dsack && !c->o->dsack &&
			       df_stamp(c, c->i) < c->o->ecr
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

uint32_t df_rule_forged_timestamp(const struct df_case *c, bool *end)
{
	if (parted_timestamps(c, forged)) {
		*end = true;
		return ALL;
	}
	for (uint32_t i = 0; i <= c->i; i++)
		if (c->k->ecr > c->o->ecr && c->k->ecr == df_stamp(c, i) && forged(c, i))
			return DF_F(ECR);
	return 0;
}

uint32_t df_rule_sack_of_old_ack(const struct df_case *c, bool *end)
{
	*end = true;
	return df_is_seg(c) && c->st->n_sack && older_than_last(c, c->i) && c->k->again
		       ? DF_F(AGAIN) | DF_F(ACKED) | DF_F(SEQ)
		       : 0;
}

/* A piece of what we had sent ended at n when step i came. */
static bool piece_ended(const struct df_case *c, uint32_t i, int32_t n)
{
	if (n <= 1)
		return true;
	while (i-- > 0)
		if (c->ours->obs[i].end == n)
			return true;
	return false;
}

/* A block of step i began or ended inside of what had left in one piece. */
static bool block_inside(const struct df_case *c, uint32_t i)
{
	const struct df_step *st = &c->q->step[i];

	for (uint32_t k = 0; k < st->n_sack; k++)
		if (!piece_ended(c, i, st->sack[k]) && st->sack[k] < c->ours->obs[i].end)
			return true;
	return false;
}

/* Behind such a block something was sent again: more or less than on the other side, which then may send. */
static bool lost_apart(const struct df_case *c, uint32_t i)
{
	for (; i <= c->i; i++)
		if (c->kernel->obs[i].again || c->ours->obs[i].again)
			return true;
	return false;
}

/* Such a block came, and what differs now comes of it. */
static bool blocks_inside(const struct df_case *c)
{
	for (uint32_t i = 1; i <= c->i && c->q->sack; i++)
		if (c->q->step[i].kind == DF_SEG && block_inside(c, i) && lost_apart(c, i))
			return true;
	return false;
}

uint32_t df_rule_sack_inside_segments(const struct df_case *c, bool *end)
{
	if (!blocks_inside(c))
		return 0;
	if (c->k->end == c->o->end && c->kb->end == c->ob->end)
		return DF_F(AGAIN) | DF_F(ACKED) | DF_F(SEQ);
	*end = c->fields & DF_F(STATE);
	return DF_F(AGAIN) | DF_F(ACKED) | DF_F(SEQ) | DF_F(END) | DF_F(FIN) | DF_F(RST_NUMBERS) |
	       DF_F(STATE);
}

uint32_t df_rule_window_beyond_field(const struct df_case *c, bool *end)
{
	*end = true;
	return df_is_seg(c) && !c->q->wscale && c->st->seq_at == DF_AT_EDGE && c->st->seq > 0 ? ALL
											      : 0;
}

/* A segment before step i had the same numbers or later ones, or its ACK counts for one side only. */
static bool window_in_doubt(const struct df_case *c, uint32_t i)
{
	const struct df_step *st = &c->q->step[i];

	for (uint32_t k = 0; k < i; k++) {
		const struct df_step *x = &c->q->step[k];

		if (x->kind == DF_SEG && x->flags & (SC_ACK | SC_SYN) && x->seq_at == st->seq_at &&
			x->seq + (x->flags & SC_SYN ? 1 : 0) >= st->seq &&
			df_acks(c, k) >= df_acks(c, i))
			return true;
	}
	return st->seq_at == DF_AT_EDGE && st->seq >= 0;
}

/* The window that step i said ends between what the two have sent; or before, and it, or what took it back, is in doubt. */
static bool window_parts(const struct df_case *c, uint32_t i)
{
	const struct df_step *st = &c->q->step[i];
	int32_t edge = df_acks(c, i) + (st->wnd << (c->q->wscale ? MT_MIN(c->q->shift, 14u) : 0u));

	if (st->kind != DF_SEG || st->badsum || !(st->flags & SC_ACK) || st->wnd >= c->q->wnd ||
		edge > MT_MAX(c->k->end, c->o->end))
		return false;
	if (edge >= MT_MIN(c->k->end, c->o->end))
		return true;
	for (; i <= c->i; i++)
		if (c->q->step[i].kind == DF_SEG && window_in_doubt(c, i))
			return true;
	return false;
}

uint32_t df_rule_small_window(const struct df_case *c, bool *end)
{
	*end = true;
	for (uint32_t i = 0; i <= c->i && c->k->end != c->o->end; i++)
		if (window_parts(c, i))
			return DF_F(END) | DF_F(FIN) | DF_F(SEQ) | DF_F(ACKED) |
			       (c->k->fin != c->o->fin ? DF_F(STATE) : 0);
	return 0;
}

uint32_t df_rule_paws_reordered_ack(const struct df_case *c, bool *end)
{
	return df_is_seg(c) && !df_space(c->st) && c->q->ts && df_stamp(c, c->i) < c->o->ecr &&
			       c->o->acked && !c->k->acked
		       ? DF_F(ACKED)
		       : 0;
}

/* Step i brought text that waits behind a hole. */
static bool waits(const struct df_case *c, uint32_t i)
{
	const struct df_step *st = &c->q->step[i];

	return st->kind == DF_SEG && !st->badsum && st->len && st->seq_at == DF_AT_STREAM && i &&
	       st->seq > c->ours->obs[i - 1].ack;
}

/* Step b continued what step a had brought, and repeated some of what others had. */
static bool joined(const struct df_case *c, uint32_t b)
{
	const struct df_step *y = &c->q->step[b];
	bool continues = false, repeats = false;

	for (uint32_t a = 0; a < b; a++) {
		const struct df_step *x = &c->q->step[a];
		int32_t to = x->seq + x->len;

		if (!waits(c, a))
			continue;
		continues |= to == y->seq;
		repeats |= to > y->seq && x->seq < y->seq + y->len;
	}
	return waits(c, b) && continues && repeats;
}

uint32_t df_rule_dsack_of_joined(const struct df_case *c, bool *end)
{
	if (!df_is_seg(c) || !c->o->dsack)
		return 0;
	for (uint32_t b = 0; b <= c->i; b++)
		if (joined(c, b))
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
