/* SPDX-License-Identifier: Apache-2.0 */
/* Steps, segments and observations in words. */
#include "diff.h"

#include <string.h>

const char *const df_state_names[DF_N_STATES] = {"closed", "syn-sent", "syn-received",
	"established", "fin-wait-1", "fin-wait-2", "close-wait", "closing", "last-ack",
	"time-wait"};
const char *const df_err_names[] = {"ok", "reset", "refused", "timeout", "error"};

struct text {
	char *buf;
	size_t size, at;
};

static void __attribute__((format(printf, 2, 3))) add(struct text *t, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->at, t->size - t->at, fmt, ap);
	va_end(ap);
	t->at = MT_MIN(t->at + (size_t)MT_MAX(n, 0), t->size - 1);
}

static void add_flags(struct text *t, uint8_t flags)
{
	static const char letters[] = "FSRPAUEC";

	for (int i = 0; i < 8; i++)
		if (flags & 1u << i)
			add(t, "%c", letters[i]);
	if (!flags)
		add(t, "-");
}

static void add_sent(struct text *t, const struct df_seq *q, const struct df_step *st)
{
	add_flags(t, st->flags);
	add(t, " %s%d", st->seq_at == DF_AT_EDGE ? "edge+" : "", st->seq);
	if (st->len)
		add(t, "(%u)", st->len);
	if (st->flags & SC_ACK)
		add(t, " ack %s%d", st->ack_at == DF_ACK_ALL ? "all+" : "", st->ack);
	add(t, " win %u", st->wnd);
	if (st->urg)
		add(t, " urg %u", st->urg);
	if (q->ts && st->ts == DF_TS_NONE)
		add(t, " nots");
	if (q->ts && st->ts == DF_TS_MOVED)
		add(t, " ts%+d", st->ts_by);
	if (q->ts && st->ecr != DF_ECR_LAST)
		add(t, " ecr-%s", st->ecr == DF_ECR_ZERO ? "zero" : "wrong");
	for (uint32_t i = 0; i + 1 < st->n_sack; i += 2)
		add(t, " sack %d-%d", st->sack[i], st->sack[i + 1]);
	if (st->n_raw)
		add(t, " raw ");
	for (uint32_t i = 0; i < st->n_raw; i++)
		add(t, "%02x", st->raw[i]);
	if (st->badsum)
		add(t, " badsum");
}

void df_step_words(const struct df_seq *q, uint32_t i, char *buf, size_t size)
{
	static const char *const names[] = {
		"<", "connect", "write", "shutdown", "close", "abort", "reader", "fill", "wait"};
	const struct df_step *st = &q->step[i];
	struct text t = {buf, size, 0};

	add(&t, "%s ", names[st->kind]);
	if (st->kind == DF_SEG)
		add_sent(&t, q, st);
	if (st->kind == DF_WRITE || st->kind == DF_READER)
		add(&t, "%u", st->n);
}

void df_seg_words(const struct df_track *tr, const struct sc_seg *s, char *buf, size_t size)
{
	struct text t = {buf, size, 0};
	uint32_t irs = tr->q->irs + tr->moved;

	add(&t, "> ");
	add_flags(&t, s->flags);
	add(&t, " %d", (int32_t)(s->seq - tr->iss));
	if (s->len)
		add(&t, "(%u)", s->len);
	if (s->flags & SC_ACK)
		add(&t, " ack %d", (int32_t)(s->ack - irs));
	add(&t, " win %u", s->wnd);
	if (s->o.has_mss)
		add(&t, " mss %u", s->o.mss);
	if (s->o.has_ws)
		add(&t, " ws %u", s->o.ws);
	if (s->o.has_sackok)
		add(&t, " sackok");
	if (s->o.has_ts)
		add(&t, " ecr %d", (int32_t)(s->o.tsecr - DF_TS0));
	for (uint32_t i = 0; i < s->o.n_sack && i < 4; i++)
		add(&t, " sack %d-%d", (int32_t)(s->o.sack[2 * i] - irs),
			(int32_t)(s->o.sack[2 * i + 1] - irs));
}

void df_obs_words(const struct df_obs *o, char *buf, size_t size)
{
	struct text t = {buf, size, 0};

	add(&t, "%s read %u%s%s%s%s%s", df_state_names[o->state], o->read,
		o->accepted ? " accepted" : "", o->connected ? " connected" : "",
		o->eof ? " eof" : "", o->err ? " " : "", o->err ? df_err_names[o->err] : "");
	if (o->wrong)
		add(&t, " WRONG BYTES");
}
