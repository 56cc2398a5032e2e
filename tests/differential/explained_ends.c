/* SPDX-License-Identifier: Apache-2.0 */
/* Rules about flags, handshakes, resets and ends. */
#include "explained.h"

static bool malformed(const uint8_t *p, uint32_t n)
{
	while (n > 0 && *p != 0) {
		uint32_t len = *p == 1 ? 1 : n < 2 ? 0 : p[1];

		if (len > n || len < (*p == 1 ? 1u : 2u))
			return true;
		p += len;
		n -= len;
	}
	return false;
}

uint32_t df_rule_options_malformed(const struct df_case *c, bool *end)
{
	*end = true;
	return df_we_ignored(c) && malformed(c->st->raw, c->st->n_raw) ? ALL : 0;
}

uint32_t df_rule_timestamp_missing(const struct df_case *c, bool *end)
{
	*end = true;
	return df_we_ignored(c) && c->q->ts && c->st->ts == DF_TS_NONE && !(c->st->flags & SC_RST)
		       ? ALL
		       : 0;
}

uint32_t df_rule_flags_illegal(const struct df_case *c, bool *end)
{
	*end = true;
	return df_we_ignored(c) && c->st->flags & SC_SYN && c->st->flags & (SC_FIN | SC_RST) ? ALL
											     : 0;
}

uint32_t df_rule_close_lingers(const struct df_case *c, bool *end)
{
	bool late = df_is_seg(c) && df_before(c, DF_CLOSE) && df_space(c->st);
	bool unread = c->st->kind == DF_CLOSE && df_before(c, DF_READER);

	*end = true;
	return (late || unread) && c->k->rst && !c->o->rst ? ALL : 0;
}

uint32_t df_rule_orphan_is_small(const struct df_case *c, bool *end)
{
	if (!df_is_seg(c) || !df_before(c, DF_CLOSE) || !df_was(c, DF_FIN_WAIT_2))
		return 0;
	*end = c->fields & DF_F(STATE);
	if (c->st->flags & SC_RST) /* any in the window ends it */
		return DF_F(STATE) | DF_F(ACKED);
	if (c->k->rst || (c->k->acked && c->k->n_sack))
		return 0;
	return DF_F(SACK) | DF_F(DSACK) | DF_F(ECR) | (c->o->acked ? DF_F(ACKED) : 0) |
	       /* it looks at no ACK field */
	       (c->st->flags & SC_FIN && df_acks(c, c->i) > c->ob->end ? DF_F(STATE) | DF_F(ACK)
								       : 0);
}

/* The peer's FIN was taken. */
static bool fin_taken(const struct df_obs *o)
{
	return o->state == DF_CLOSE_WAIT || o->state == DF_CLOSING || o->state == DF_LAST_ACK;
}

uint32_t df_rule_text_behind_fin(const struct df_case *c, bool *end)
{
	*end = true;
	return df_is_seg(c) && c->st->len && fin_taken(c->kb) && fin_taken(c->ob) && c->k->rst &&
			       !c->o->rst && c->k->state == DF_CLOSED
		       ? ALL
		       : 0;
}

uint32_t df_rule_reset_before_fin(const struct df_case *c, bool *end)
{
	*end = true;
	return df_is_seg(c) && c->o->state == c->ob->state && c->st->flags & SC_RST && c->ob->eof &&
			       c->st->seq == c->ob->ack - 1 && c->k->state == DF_CLOSED
		       ? ALL
		       : 0;
}

uint32_t df_rule_reset_crossed(const struct df_case *c, bool *end)
{
	*end = true;
	return df_is_seg(c) && c->st->flags & SC_RST && c->ob->eof && c->st->seq < c->ob->ack &&
			       c->o->state == DF_CLOSED && c->k->state == c->kb->state
		       ? ALL
		       : 0;
}

/* The kernel kept the timestamp of such a SYN. */
static bool kept_of_syn(const struct df_case *c)
{
	for (uint32_t i = 1; i < c->i; i++)
		if (c->q->step[i].kind == DF_SEG && c->q->step[i].flags & SC_SYN &&
			c->kernel->obs[i - 1].state == DF_SYN_RECEIVED &&
			df_stamp(c, i) == c->k->ecr && c->k->ecr > c->o->ecr)
			return true;
	return false;
}

uint32_t df_rule_half_open_syn(const struct df_case *c, bool *end)
{
	if (kept_of_syn(c))
		return DF_F(ECR);
	if (!df_is_seg(c) || !df_was(c, DF_SYN_RECEIVED) || !(c->st->flags & SC_SYN) ||
		!c->o->syn_flags)
		return 0;
	*end = c->fields & (DF_F(STATE) | DF_F(ACCEPT));
	return DF_F(SYN) | DF_F(OPTS) | DF_F(ACKED) | DF_F(RST) | DF_F(STATE) | DF_F(ACCEPT) |
	       DF_F(FINISHED) | DF_F(ERR);
}

uint32_t df_rule_half_open_ack_first(const struct df_case *c, bool *end)
{
	return df_is_seg(c) && df_was(c, DF_SYN_RECEIVED) && c->k->rst && c->o->acked
		       ? DF_F(RST) | DF_F(ACKED)
		       : 0;
}

uint32_t df_rule_crossed_options(const struct df_case *c, bool *end)
{
	return c->kb->state == DF_SYN_SENT && c->k->syn_flags == c->o->syn_flags &&
			       c->k->syn_flags & SC_ACK && !(c->o->syn_opts & ~c->k->syn_opts)
		       ? DF_F(OPTS)
		       : 0;
}

uint32_t df_rule_time_wait_window(const struct df_case *c, bool *end)
{
	return df_was(c, DF_TIME_WAIT) && c->o->zero ? DF_F(ZERO) : 0;
}

uint32_t df_rule_handshake_echo(const struct df_case *c, bool *end)
{
	*end = true;
	if (!df_is_seg(c) || !df_was(c, DF_SYN_RECEIVED) || c->k->state != DF_SYN_RECEIVED ||
		!c->q->ts)
		return 0;
	if (c->st->flags & SC_RST)
		return !c->k->n_out ? DF_F(STATE) | DF_F(ACKED) | DF_F(ERR) : 0;
	return c->o->state != DF_SYN_RECEIVED && c->st->flags & SC_ACK && !c->k->rst &&
			       !c->k->syn_flags
		       ? ALL
		       : 0;
}

uint32_t df_rule_crossed_challenge(const struct df_case *c, bool *end)
{
	return df_was(c, DF_SYN_RECEIVED) && df_before(c, DF_CONNECT) && !c->k->rst &&
			       c->o->syn_flags & SC_ACK && c->o->state == DF_SYN_RECEIVED
		       ? DF_F(SYN) | DF_F(OPTS) | DF_F(ACKED)
		       : 0;
}

uint32_t df_rule_crossed_refused(const struct df_case *c, bool *end)
{
	return df_was(c, DF_SYN_RECEIVED) && df_before(c, DF_CONNECT) && c->o->err == DF_REFUSED &&
			       c->k->err == DF_RESET
		       ? DF_F(ERR)
		       : 0;
}

uint32_t df_rule_no_ack_flag(const struct df_case *c, bool *end)
{
	return df_we_ignored(c) && !(c->st->flags & (SC_ACK | SC_SYN | SC_RST)) && c->k->acked
		       ? DF_F(ACKED)
		       : 0;
}

/* A connection that both ends opened. */
static bool crossed(const struct df_case *c)
{
	if (!df_before(c, DF_CONNECT))
		return false;
	for (uint32_t i = 0; i < c->i; i++)
		if (c->kernel->obs[i].state == DF_SYN_RECEIVED)
			return true;
	return false;
}

uint32_t df_rule_crossed_scale(const struct df_case *c, bool *end)
{
	*end = true;
	return df_is_seg(c) && crossed(c) && !c->q->wscale && c->st->seq_at == DF_AT_EDGE ? ALL : 0;
}

uint32_t df_rule_time_wait_timestamp(const struct df_case *c, bool *end)
{
	if (!df_was(c, DF_TIME_WAIT))
		return 0;
	if (c->st->flags & SC_SYN && df_stamp(c, c->i) > c->ob->ecr &&
		c->k->ecr >= df_stamp(c, c->i)) {
		*end = true; /* new to us, old to the kernel */
		return ALL;
	}
	return c->o->ecr <= c->k->ecr ? DF_F(ECR) : 0;
}

uint32_t df_rule_syn_sent_echo(const struct df_case *c, bool *end)
{
	if (!df_is_seg(c) || !df_was(c, DF_SYN_SENT) || !c->q->ts || c->st->ecr != DF_ECR_WRONG ||
		!(c->st->flags & SC_ACK) || c->k->state != DF_SYN_SENT)
		return 0;
	if (c->st->flags & (SC_SYN | SC_RST)) { /* which we believe */
		*end = true;
		return ALL;
	}
	return c->k->rst ? DF_F(RST) : 0;
}

uint32_t df_rule_reset_behind_sack(const struct df_case *c, bool *end)
{
	*end = true;
	for (uint32_t i = 0; i < c->kb->n_sack && df_is_seg(c) && c->st->flags & SC_RST; i++)
		if (c->k->state == DF_CLOSED &&
			(c->st->seq_at == DF_AT_EDGE || c->kb->sack[2 * i + 1] == c->st->seq))
			return ALL;
	return 0;
}

uint32_t df_rule_reset_text(const struct df_case *c, bool *end)
{
	return df_is_seg(c) && c->st->flags & SC_RST && df_space(c->st) && c->k->acked &&
			       !c->o->n_out
		       ? DF_F(ACKED)
		       : 0;
}

uint32_t df_rule_crossed_ack_of_nothing(const struct df_case *c, bool *end)
{
	*end = true;
	return df_is_seg(c) && df_was(c, DF_SYN_RECEIVED) && df_before(c, DF_CONNECT) &&
			       c->o->rst && df_acks(c, c->i) == 0
		       ? ALL
		       : 0;
}

uint32_t df_rule_time_wait_paws(const struct df_case *c, bool *end)
{
	return df_we_ignored(c) && df_was(c, DF_TIME_WAIT) && c->q->ts && c->k->acked &&
			       !df_space(c->st) && c->st->seq == c->ob->ack
		       ? DF_F(ACKED)
		       : 0;
}

/* It came to ends of different streams. */
static bool ends_differ(const struct df_case *c)
{
	return c->k->eof != c->o->eof || c->k->ack != c->o->ack || c->k->n_sack || c->o->n_sack;
}

uint32_t df_rule_two_fins(const struct df_case *c, bool *end)
{
	int32_t first = df_first_fin(c);

	*end = true;
	for (uint32_t i = 0; i <= c->i && ends_differ(c) && !c->o->zero; i++) {
		const struct df_step *st = &c->q->step[i];

		if (st->kind == DF_SEG && !st->badsum && st->flags & SC_FIN &&
			(st->seq_at == DF_AT_EDGE || st->seq + st->len != first))
			return DF_F(STATE) | DF_F(FINISHED) | DF_F(ACK) | DF_F(READ) | DF_F(ACKED) |
			       DF_F(SACK) | DF_F(DSACK);
	}
	return 0;
}

uint32_t df_rule_crossed_text(const struct df_case *c, bool *end)
{
	*end = true;
	return df_is_seg(c) && df_was(c, DF_SYN_RECEIVED) && df_before(c, DF_CONNECT) &&
			       c->st->len && c->st->flags & SC_SYN && c->k->state == DF_SYN_RECEIVED
		       ? ALL
		       : 0;
}

uint32_t df_rule_crossed_syn_ack(const struct df_case *c, bool *end)
{
	return df_is_seg(c) && df_was(c, DF_SYN_RECEIVED) && df_before(c, DF_CONNECT) &&
			       (c->st->flags & (SC_SYN | SC_ACK)) == (SC_SYN | SC_ACK) &&
			       c->st->seq + 1 == c->ob->ack && c->o->state == c->k->state
		       ? DF_F(ACKED)
		       : 0;
}

uint32_t df_rule_closing_answered(const struct df_case *c, bool *end)
{
	return df_is_seg(c) && df_was(c, DF_CLOSING) && c->o->state == DF_TIME_WAIT && c->st->len &&
			       c->o->acked && !c->k->n_out
		       ? DF_F(ACKED)
		       : 0;
}

uint32_t df_rule_fin_waits(const struct df_case *c, bool *end)
{
	return !c->k->fin && !c->o->fin && c->k->end == c->o->end &&
			       ((c->k->state == DF_FIN_WAIT_1 && c->o->state == DF_ESTABLISHED) ||
				       (c->k->state == DF_LAST_ACK && c->o->state == DF_CLOSE_WAIT))
		       ? DF_F(STATE)
		       : 0;
}
