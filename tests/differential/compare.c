/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two observations by meaning: not compared are initial numbers, window sizes (but zero or not), window
 * scales, timestamps of our own, where segments end, how many equal ACKs there are, and when within the
 * step something left.
 */
#include "diff.h"

#include <string.h>

static uint32_t differ_ack(const struct df_obs *k, const struct df_obs *o)
{
	uint32_t f = 0;

	f |= k->ack != o->ack ? DF_F(ACK) : 0;
	f |= k->seq != o->seq && !k->again && !o->again ? DF_F(SEQ) : 0;
	f |= k->zero != o->zero ? DF_F(ZERO) : 0;
	f |= k->has_ts != o->has_ts || k->ecr != o->ecr ? DF_F(ECR) : 0;
	f |= k->ece != o->ece ? DF_F(ECE) : 0;
	if (k->dsack != o->dsack || (k->dsack && memcmp(k->sack, o->sack, 8)))
		f |= DF_F(DSACK);
	else if (k->n_sack != o->n_sack || memcmp(k->sack, o->sack, 8u * k->n_sack))
		f |= DF_F(SACK);
	return f;
}

uint32_t df_differ(const struct df_obs *k, const struct df_obs *o)
{
	uint32_t f = 0;

#define X(name, field) f |= k->field != o->field ? DF_F(name) : 0;
	DF_FIELDS
#undef X
	if (k->rst && o->rst &&
		(k->rst_acks != o->rst_acks || k->rst_seq != o->rst_seq ||
			k->rst_ack != o->rst_ack))
		f |= DF_F(RST_NUMBERS);
	if (k->acked && o->acked)
		f |= differ_ack(k, o);
	return f;
}

void df_fields_words(uint32_t fields, char *buf, size_t size)
{
	static const char *const names[DF_N_BITS] = {
#define X(name, field) [DF_BIT_##name] = #field,
		DF_FIELDS
#undef X
			[DF_BIT_RST_NUMBERS] = "rst_numbers",
		[DF_BIT_ACK] = "ack", [DF_BIT_SEQ] = "seq", [DF_BIT_ZERO] = "zero",
		[DF_BIT_ECR] = "ecr", [DF_BIT_ECE] = "ece", [DF_BIT_SACK] = "sack",
		[DF_BIT_DSACK] = "dsack"};
	size_t at = 0;

	buf[0] = 0;
	for (uint32_t i = 0; i < DF_N_BITS && at < size; i++)
		if (fields & 1u << i)
			at += (size_t)snprintf(buf + at, size - at, " %s", names[i]);
}

/* Fields that hold since the begin stay different behind an explained difference. */
#define LASTING                                                                                    \
	(DF_F(STATE) | DF_F(ACCEPT) | DF_F(CONNECTED) | DF_F(FINISHED) | DF_F(WRONG) | DF_F(ERR) | \
		DF_F(READ) | DF_F(END) | DF_F(FIN))
/* And those of an ACK until both sides send one that agrees. */
#define OF_ACKS DF_F(ECR)

void df_compare(const struct df_seq *q, const struct df_trace *kernel, const struct df_trace *ours,
	struct df_result *res)
{
	static const struct df_obs none;
	uint32_t known = 0; /* fields that an explained difference left different */

	memset(res, 0, sizeof(*res));
	for (uint32_t i = 0; i < q->n_steps; i++) {
		struct df_case c = {.q = q,
			.i = i,
			.st = &q->step[i],
			.kernel = kernel,
			.ours = ours,
			.k = &kernel->obs[i],
			.o = &ours->obs[i],
			.kb = i ? &kernel->obs[i - 1] : &none,
			.ob = i ? &ours->obs[i - 1] : &none};
		bool end = false;

		res->compared = i + 1;
		c.fields = df_differ(c.k, c.o);
		known &= c.k->acked && c.o->acked ? c.fields : c.fields | OF_ACKS;
		c.fields &= ~known;
		if (!c.fields)
			continue;
		res->step = i;
		res->fields = c.fields & ~df_explain(&c, &res->rules, &end);
		if (res->fields) {
			res->verdict = DF_UNEXPLAINED;
			return;
		}
		res->verdict = DF_EXPLAINED;
		known |= c.fields & (LASTING | DF_F(ECR));
		if (end)
			return;
	}
}
