/* SPDX-License-Identifier: Apache-2.0 */
/* Differences that are meant: each rule describes one situation, and what it may change. */
#include "diff.h"

#define ALL UINT32_MAX

/* ---- situations ---- */

static bool is_seg(const struct df_case *c)
{
	return c->st->kind == DF_SEG && !c->st->badsum;
}

static uint32_t space(const struct df_step *st)
{
	return st->len + (st->flags & SC_SYN ? 1u : 0) + (st->flags & SC_FIN ? 1u : 0);
}

static bool before(const struct df_case *c, enum df_kind kind)
{
	for (uint32_t i = 0; i < c->i; i++)
		if (c->q->step[i].kind == kind)
			return true;
	return false;
}

/* A FIN of the peer's came, in sequence or not. */
static bool fin_came(const struct df_case *c)
{
	for (uint32_t i = 0; i <= c->i; i++)
		if (c->q->step[i].kind == DF_SEG && c->q->step[i].flags & SC_FIN)
			return true;
	return false;
}

/* We did nothing at all with the segment. */
static bool we_ignored(const struct df_case *c)
{
	return is_seg(c) && c->o->n_out == 0 && c->o->state == c->ob->state &&
	       c->o->read == c->ob->read && c->o->eof == c->ob->eof && c->o->err == c->ob->err;
}

static bool was(const struct df_case *c, enum df_state state)
{
	return c->kb->state == state && c->ob->state == state;
}

/* The timestamp of the step's segment, as `ecr` counts. */
static int32_t stamp(const struct df_case *c)
{
	return (int32_t)(10 * c->i) + (c->st->ts == DF_TS_MOVED ? c->st->ts_by : 0);
}

/* The peer had said a smaller window than at first. */
static bool window_was_small(const struct df_case *c)
{
	for (uint32_t i = 0; i <= c->i; i++)
		if (c->q->step[i].kind == DF_SEG && c->q->step[i].wnd < c->q->wnd)
			return true;
	return false;
}

/* How many segments lay near the right edge. */
static uint32_t edges(const struct df_case *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i <= c->i; i++)
		n += c->q->step[i].kind == DF_SEG && c->q->step[i].seq_at == DF_AT_EDGE;
	return n;
}

/* ---- rules, in the order of explained.def ---- */

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

static uint32_t options_malformed(const struct df_case *c, bool *end)
{
	*end = true;
	return we_ignored(c) && malformed(c->st->raw, c->st->n_raw) ? ALL : 0;
}

static uint32_t timestamp_missing(const struct df_case *c, bool *end)
{
	*end = true;
	return we_ignored(c) && c->q->ts && c->st->ts == DF_TS_NONE && !(c->st->flags & SC_RST)
		       ? ALL
		       : 0;
}

static uint32_t flags_illegal(const struct df_case *c, bool *end)
{
	*end = true;
	return we_ignored(c) && c->st->flags & SC_SYN && c->st->flags & (SC_FIN | SC_RST) ? ALL : 0;
}

static uint32_t close_lingers(const struct df_case *c, bool *end)
{
	*end = true;
	return is_seg(c) && before(c, DF_CLOSE) && c->k->rst && !c->o->rst && space(c->st) ? ALL
											   : 0;
}

static uint32_t orphan_is_small(const struct df_case *c, bool *end)
{
	if (!is_seg(c) || !before(c, DF_CLOSE) || !was(c, DF_FIN_WAIT_2))
		return 0;
	*end = c->fields & DF_F(STATE);
	return DF_F(SACK) | DF_F(DSACK) | DF_F(ECR) | DF_F(ACKED) | DF_F(STATE);
}

static uint32_t text_behind_fin(const struct df_case *c, bool *end)
{
	*end = true;
	return is_seg(c) && c->st->len && c->kb->eof && c->ob->eof && c->k->rst && !c->o->rst &&
			       c->k->state == DF_CLOSED
		       ? ALL
		       : 0;
}

static uint32_t reset_before_fin(const struct df_case *c, bool *end)
{
	*end = true;
	return is_seg(c) && c->o->state == c->ob->state && c->st->flags & SC_RST && c->ob->eof &&
			       c->st->seq == c->ob->ack - 1 && c->k->state == DF_CLOSED
		       ? ALL
		       : 0;
}

static uint32_t half_open_syn(const struct df_case *c, bool *end)
{
	if (!is_seg(c) || !was(c, DF_SYN_RECEIVED) || !(c->st->flags & SC_SYN) || !c->o->syn_flags)
		return 0;
	*end = c->fields & (DF_F(STATE) | DF_F(ACCEPT));
	return DF_F(SYN) | DF_F(OPTS) | DF_F(ACKED) | DF_F(RST) | DF_F(STATE) | DF_F(ACCEPT) |
	       DF_F(FINISHED) | DF_F(ERR);
}

static uint32_t half_open_ack_first(const struct df_case *c, bool *end)
{
	return is_seg(c) && was(c, DF_SYN_RECEIVED) && c->k->rst && c->o->acked
		       ? DF_F(RST) | DF_F(ACKED)
		       : 0;
}

static uint32_t crossed_options(const struct df_case *c, bool *end)
{
	return c->kb->state == DF_SYN_SENT && c->k->syn_flags == c->o->syn_flags &&
			       c->k->syn_flags & SC_ACK && !(c->o->syn_opts & ~c->k->syn_opts)
		       ? DF_F(OPTS)
		       : 0;
}

static uint32_t time_wait_window(const struct df_case *c, bool *end)
{
	return was(c, DF_TIME_WAIT) && c->o->zero ? DF_F(ZERO) : 0;
}

/* While a FIN waits behind a hole: the kernel's blocks hold its number and what touches it. */
static bool fin_waits_behind_hole(const struct df_case *c)
{
	return fin_came(c) && !c->o->eof && !c->k->eof;
}

static uint32_t fin_not_sacked(const struct df_case *c, bool *end)
{
	const int32_t *k = c->k->sack, *o = c->o->sack;

	if (fin_waits_behind_hole(c))
		return DF_F(SACK) | DF_F(DSACK);
	/* a FIN that comes again, alone or with its text */
	if (!fin_came(c) || !c->k->n_sack || (k[1] != c->k->ack && !(c->st->flags & SC_FIN)))
		return 0;
	return (c->o->n_sack && k[0] == o[0] && k[1] == o[1] + 1) ||
			       (!c->o->n_sack && k[1] == k[0] + 1)
		       ? DF_F(DSACK)
		       : 0;
}

static uint32_t edge_not_trimmed(const struct df_case *c, bool *end)
{
	if (!is_seg(c) || c->st->seq_at != DF_AT_EDGE || !c->st->len || c->st->seq > 0 ||
		c->st->seq + (int32_t)space(c->st) <= 0)
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
	return is_seg(c) && c->kb->ecr > c->ob->ecr && stamp(c) < c->kb->ecr;
}

static uint32_t at_left_edge(const struct df_case *c, bool *end)
{
	if (parted_timestamps(c)) {
		*end = true;
		return ALL;
	}
	if (!is_seg(c) || !space(c->st) || c->st->seq_at != DF_AT_STREAM ||
		c->st->seq + (int32_t)space(c->st) != c->ob->ack)
		return 0;
	return ack_counts(c, end) | (c->k->ecr > c->o->ecr ? DF_F(ECR) : 0);
}

static uint32_t at_right_edge(const struct df_case *c, bool *end)
{
	return is_seg(c) && (space(c->st) || c->st->flags & SC_RST) &&
			       c->st->seq_at == DF_AT_EDGE && c->st->seq == 0
		       ? ack_counts(c, end) | DF_F(ECR)
		       : 0;
}

static uint32_t sack_at_fin(const struct df_case *c, bool *end)
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

static uint32_t behind_early_fin(const struct df_case *c, bool *end)
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

static uint32_t paws_dsack(const struct df_case *c, bool *end)
{
	return is_seg(c) && c->q->ts && c->k->dsack && !c->o->dsack && stamp(c) < c->o->ecr
		       ? DF_F(DSACK)
		       : 0;
}

static uint32_t handshake_echo(const struct df_case *c, bool *end)
{
	*end = true;
	if (!is_seg(c) || !was(c, DF_SYN_RECEIVED) || c->k->state != DF_SYN_RECEIVED || !c->q->ts)
		return 0;
	if (c->st->flags & SC_RST)
		return !c->k->n_out ? DF_F(STATE) | DF_F(ACKED) | DF_F(ERR) : 0;
	return c->o->state != DF_SYN_RECEIVED && c->st->flags & SC_ACK && c->k->acked ? ALL : 0;
}

static uint32_t syn_again_at_once(const struct df_case *c, bool *end)
{
	return was(c, DF_SYN_SENT) && c->k->rst && c->o->rst && c->k->syn_flags == SC_SYN
		       ? DF_F(SYN) | DF_F(OPTS)
		       : 0;
}

static uint32_t crossed_challenge(const struct df_case *c, bool *end)
{
	return was(c, DF_SYN_RECEIVED) && before(c, DF_CONNECT) && !c->k->rst &&
			       c->o->syn_flags & SC_ACK && c->o->state == DF_SYN_RECEIVED
		       ? DF_F(SYN) | DF_F(OPTS) | DF_F(ACKED)
		       : 0;
}

static uint32_t crossed_refused(const struct df_case *c, bool *end)
{
	return was(c, DF_SYN_RECEIVED) && before(c, DF_CONNECT) && c->o->err == DF_REFUSED &&
			       c->k->err == DF_RESET
		       ? DF_F(ERR)
		       : 0;
}

static uint32_t ack_of_own_syn(const struct df_case *c, bool *end)
{
	int32_t base = c->st->ack_at == DF_ACK_ALL ? c->ob->end : 0;

	return is_seg(c) && before(c, DF_CONNECT) && c->st->flags & SC_ACK &&
			       base + c->st->ack == 0 && c->o->acked && !c->k->acked
		       ? DF_F(ACKED)
		       : 0;
}

static uint32_t no_ack_flag(const struct df_case *c, bool *end)
{
	return we_ignored(c) && !(c->st->flags & (SC_ACK | SC_SYN | SC_RST)) && c->k->acked
		       ? DF_F(ACKED)
		       : 0;
}

/* A connection that both ends opened. */
static bool crossed(const struct df_case *c)
{
	if (!before(c, DF_CONNECT))
		return false;
	for (uint32_t i = 0; i < c->i; i++)
		if (c->kernel->obs[i].state == DF_SYN_RECEIVED)
			return true;
	return false;
}

static uint32_t crossed_scale(const struct df_case *c, bool *end)
{
	*end = true;
	return crossed(c) && !c->q->wscale && edges(c) ? ALL : 0;
}

static uint32_t ack_in_shrunk_window(const struct df_case *c, bool *end)
{
	if (!window_was_small(c))
		return 0;
	if (c->st->kind == DF_ABORT && c->k->rst_seq < c->o->rst_seq)
		return DF_F(RST_NUMBERS);
	return c->k->seq < c->o->seq && c->o->seq == c->o->end ? DF_F(SEQ) : 0;
}

/* What a segment acknowledges, relative to our initial number. */
static int32_t acks(const struct df_case *c, uint32_t i)
{
	const struct df_step *st = &c->q->step[i];

	return st->ack + (st->ack_at == DF_ACK_ALL && i ? c->ours->obs[i - 1].end : 0);
}

static bool older_than_last(const struct df_case *c)
{
	for (uint32_t i = 0; i < c->i; i++)
		if (c->q->step[i].kind == DF_SEG && c->q->step[i].flags & SC_ACK &&
			acks(c, i) > acks(c, c->i) && acks(c, i) <= c->ob->end)
			return true;
	return false;
}

static uint32_t time_wait_timestamp(const struct df_case *c, bool *end)
{
	return was(c, DF_TIME_WAIT) && c->o->ecr <= c->k->ecr ? DF_F(ECR) : 0;
}

/* The kernel echoes the timestamp of a segment whose ACK was older than one before, or of nothing. */
static uint32_t forged_timestamp(const struct df_case *c, bool *end)
{
	for (uint32_t i = 0; i <= c->i; i++) {
		const struct df_step *st = &c->q->step[i];
		struct df_case then = *c;

		then.i = i;
		then.ob = i ? &c->ours->obs[i - 1] : c->ob;
		if (st->kind == DF_SEG && c->k->ecr > c->o->ecr &&
			c->k->ecr == (int32_t)(10 * i) + (st->ts == DF_TS_MOVED ? st->ts_by : 0) &&
			(older_than_last(&then) || acks(c, i) < 1 || acks(c, i) > then.ob->end))
			return DF_F(ECR);
	}
	return 0;
}

static uint32_t sack_of_old_ack(const struct df_case *c, bool *end)
{
	*end = true;
	return is_seg(c) && c->st->n_sack && older_than_last(c) && c->k->again
		       ? DF_F(AGAIN) | DF_F(ACKED) | DF_F(SEQ)
		       : 0;
}

static uint32_t sack_inside_segments(const struct df_case *c, bool *end)
{
	*end = true;
	for (uint32_t i = 0; i <= c->i && c->q->sack; i++)
		if (c->q->step[i].n_sack)
			return DF_F(AGAIN) | DF_F(ACKED) | DF_F(SEQ) | DF_F(END) | DF_F(FIN);
	return 0;
}

static uint32_t syn_sent_echo(const struct df_case *c, bool *end)
{
	*end = c->fields & DF_F(STATE);
	return is_seg(c) && was(c, DF_SYN_SENT) && c->q->ts && c->st->ecr == DF_ECR_WRONG ? ALL : 0;
}

static uint32_t window_beyond_field(const struct df_case *c, bool *end)
{
	*end = true;
	return is_seg(c) && !c->q->wscale && c->st->seq_at == DF_AT_EDGE && c->st->seq > 0 ? ALL
											   : 0;
}

static uint32_t small_window(const struct df_case *c, bool *end)
{
	*end = true;
	return window_was_small(c) && c->k->end != c->o->end
		       ? DF_F(END) | DF_F(FIN) | DF_F(SEQ) | DF_F(ACKED) | DF_F(STATE)
		       : 0;
}

static uint32_t paws_reordered_ack(const struct df_case *c, bool *end)
{
	return is_seg(c) && !space(c->st) && c->q->ts && stamp(c) < c->o->ecr && c->o->acked &&
			       !c->k->acked
		       ? DF_F(ACKED)
		       : 0;
}

static uint32_t dsack_of_joined(const struct df_case *c, bool *end)
{
	for (uint32_t i = 0; i < c->i && is_seg(c) && c->o->dsack && !c->k->dsack; i++)
		if (c->q->step[i].len && c->q->step[i].seq + c->q->step[i].len == c->st->seq)
			return DF_F(DSACK);
	return 0;
}

static uint32_t reset_behind_sack(const struct df_case *c, bool *end)
{
	*end = true;
	for (uint32_t i = 0; i < c->kb->n_sack && is_seg(c) && c->st->flags & SC_RST; i++)
		if (c->kb->sack[2 * i + 1] == c->st->seq && c->k->err)
			return ALL;
	return 0;
}

static uint32_t half_open_reset_text(const struct df_case *c, bool *end)
{
	return is_seg(c) && was(c, DF_SYN_RECEIVED) && c->st->flags & SC_RST && c->st->len &&
			       c->k->acked && !c->o->n_out
		       ? DF_F(ACKED)
		       : 0;
}

static uint32_t edges_apart(const struct df_case *c, bool *end)
{
	return edges(c) > 1 ? DF_F(SACK) | DF_F(DSACK) : 0;
}

static uint32_t crossed_ack_of_nothing(const struct df_case *c, bool *end)
{
	*end = true;
	return is_seg(c) && was(c, DF_SYN_RECEIVED) && before(c, DF_CONNECT) && c->o->rst &&
			       acks(c, c->i) == 0
		       ? ALL
		       : 0;
}

static uint32_t time_wait_paws(const struct df_case *c, bool *end)
{
	return we_ignored(c) && was(c, DF_TIME_WAIT) && c->q->ts && c->k->acked && !space(c->st) &&
			       c->st->seq == c->ob->ack
		       ? DF_F(ACKED)
		       : 0;
}

static uint32_t two_fins(const struct df_case *c, bool *end)
{
	bool one = false;
	int32_t at = 0;

	*end = true;
	for (uint32_t i = 0; i <= c->i; i++) {
		const struct df_step *st = &c->q->step[i];

		if (st->kind != DF_SEG || !(st->flags & SC_FIN))
			continue;
		if (one && at != st->seq + st->len)
			return DF_F(STATE) | DF_F(FINISHED) | DF_F(ACK) | DF_F(READ) | DF_F(ACKED) |
			       DF_F(SACK) | DF_F(DSACK);
		one = true;
		at = st->seq + st->len;
	}
	return 0;
}

static uint32_t crossed_text(const struct df_case *c, bool *end)
{
	*end = true;
	return is_seg(c) && was(c, DF_SYN_RECEIVED) && before(c, DF_CONNECT) && c->st->len &&
			       c->st->flags & SC_SYN && c->k->state == DF_SYN_RECEIVED
		       ? ALL
		       : 0;
}

static uint32_t closing_answered(const struct df_case *c, bool *end)
{
	return is_seg(c) && was(c, DF_CLOSING) && c->o->state == DF_TIME_WAIT && c->st->len &&
			       c->o->acked && !c->k->n_out
		       ? DF_F(ACKED)
		       : 0;
}

static uint32_t fin_waits(const struct df_case *c, bool *end)
{
	return !c->k->fin && !c->o->fin && c->k->end == c->o->end &&
			       ((c->k->state == DF_FIN_WAIT_1 && c->o->state == DF_ESTABLISHED) ||
				       (c->k->state == DF_LAST_ACK && c->o->state == DF_CLOSE_WAIT))
		       ? DF_F(STATE)
		       : 0;
}

static uint32_t newreno_single(const struct df_case *c, bool *end)
{
	*end = true;
	return !c->q->sack && c->o->again && !c->k->again && is_seg(c) && !c->st->len
		       ? DF_F(AGAIN) | DF_F(ACKED) | DF_F(SEQ)
		       : 0;
}

struct rule {
	const char *name, *stricter, *rfc, *why;
	uint32_t (*explains)(const struct df_case *c, bool *end);
};

static const struct rule rules[] = {
#define EXPLAINED(name, stricter, rfc, why) {#name, stricter, rfc, why, name},
#include "explained.def"
#undef EXPLAINED
	{NULL, NULL, NULL, NULL, NULL}};

uint32_t df_rules_count(void)
{
	return MT_ARRAY_LEN(rules) - 1;
}

const char *df_rule_name(uint32_t rule)
{
	return rules[rule].name;
}

void df_rules_print(void)
{
	for (uint32_t i = 0; i < df_rules_count(); i++)
		printf("| `%s` | %s | %s | %s |\n", rules[i].name, rules[i].why, rules[i].rfc,
			rules[i].stricter);
}

uint32_t df_explain(const struct df_case *c, uint64_t *used, bool *end)
{
	uint32_t explained = 0;

	for (uint32_t i = 0; i < df_rules_count(); i++) {
		bool ends = false;
		uint32_t f = rules[i].explains(c, &ends) & c->fields & ~explained;

		if (!f)
			continue;
		explained |= f;
		*used |= 1ull << i;
		*end |= ends;
	}
	return explained;
}
