/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/tcp under a peer and an application that do anything at any time: the input is a sequence of the
 * differential test's, of segments, calls and pauses, which goes to lib/tcp alone. Whatever comes, no
 * byte leaves that was not written there, none is read that the peer did not send there, nothing passes
 * the peer's window, and some hours after the application let go nothing is left.
 *
 * Bytes: options (see options()), then steps: a verb, and what it needs.
 */
#include "../differential/diff.h"
#include "fuzz.h"
#include "fuzz_reader.h"
#include "stack.h"

#include <stdlib.h>
#include <string.h>

#define TAIL	  3 /* steps at the end: the application lets go, and time passes */
#define FILLS_MAX 2
#define HOUR_MS	  3600000u

static void options(struct df_seq *q, struct reader *r)
{
	static const uint32_t irs[] = {0x20000000, 0x7ffffff8, 0xfffffff0, 0};
	uint32_t bits = u8(r);

	q->v6 = bits & 1;
	q->ts = bits & 2;
	q->sack = bits & 4;
	q->wscale = bits & 8;
	q->has_mss = bits & 16;
	q->irs = irs[bits >> 5 & 3];
	q->shift = (uint8_t)u8(r);
	q->mss = (uint16_t)u16(r);
	q->wnd = (uint16_t)u16(r);
}

#define HOW_SEQ	 0x03 /* in sequence; near it; far; at the window's edge */
#define HOW_ACK	 0x04 /* absolute, else relative to all that was sent */
#define HOW_TS	 0x18
#define HOW_WND	 0x20 /* a window of its own */
#define HOW_SACK 0x40 /* blocks, or options as bytes */
#define HOW_MORE 0x80 /* urgent pointer, echo, checksum */

static void more(struct df_step *st, struct reader *r)
{
	uint32_t bits = u8(r);

	st->urg = (uint16_t)(bits & 0x1f);
	st->ecr = (uint8_t)((bits >> 5 & 3) % 3);
	st->badsum = bits & 0x80;
}

static void blocks(struct df_step *st, struct reader *r)
{
	uint32_t n = u8(r);

	st->n_sack = (uint8_t)(n % 4 * 2);
	st->n_raw = (uint8_t)(n >> 4);
	for (uint32_t i = 0; i < st->n_sack; i++)
		st->sack[i] = (int16_t)u16(r);
	for (uint32_t i = 0; i < st->n_raw; i++)
		st->raw[i] = (uint8_t)u8(r);
}

/* *nxt: the peer's next number, if what it sent so far was taken. */
static void segment(const struct df_seq *q, struct df_step *st, struct reader *r, int32_t *nxt)
{
	uint32_t how;

	st->flags = (uint8_t)u8(r);
	how = u8(r);
	st->len = (uint16_t)(u8(r) * 6);
	st->seq = *nxt;
	if ((how & HOW_SEQ) == 1)
		st->seq += (int8_t)u8(r);
	if ((how & HOW_SEQ) == 2)
		st->seq = (int32_t)(u16(r) << 16 | u16(r));
	if ((how & HOW_SEQ) == 3) {
		st->seq_at = DF_AT_EDGE;
		st->seq = (int16_t)u16(r);
	}
	st->ack_at = how & HOW_ACK ? DF_ACK_ISS : DF_ACK_ALL;
	st->ack = how & HOW_ACK ? (int16_t)u16(r) : 0;
	st->ts = (uint8_t)((how & HOW_TS) >> 3) % 3;
	st->ts_by = st->ts == DF_TS_MOVED ? (int8_t)u8(r) * 1000 : 0;
	st->wnd = how & HOW_WND ? (uint16_t)u16(r) : q->wnd;
	if (how & HOW_SACK)
		blocks(st, r);
	if (how & HOW_MORE)
		more(st, r);
	if ((how & HOW_SEQ) == 0)
		*nxt += st->len + (st->flags & SC_SYN ? 1 : 0) + (st->flags & SC_FIN ? 1 : 0);
}

static void tail(struct df_seq *q)
{
	for (uint32_t i = 0; i < TAIL; i++)
		q->step[q->n_steps++] = (struct df_step){
			.kind = i ? DF_WAIT : DF_CLOSE, .wnd = q->wnd, .n = i ? HOUR_MS : 0};
}

static void decode(struct df_seq *q, struct reader *r)
{
	uint32_t fills = 0;
	int32_t nxt = 0;

	memset(q, 0, sizeof(*q));
	options(q, r);
	while (r->left && q->n_steps < DF_STEPS - TAIL) {
		struct df_step *st = &q->step[q->n_steps++];
		uint32_t verb = u8(r) % 16;

		/* half of all are segments */
		st->kind = (uint8_t)(verb > DF_WAIT ? DF_SEG : verb);
		st->wnd = q->wnd;
		if (st->kind == DF_SEG)
			segment(q, st, r, &nxt);
		else if (st->kind == DF_WRITE || st->kind == DF_WAIT)
			st->n = u8(r) * (st->kind == DF_WAIT ? 100 : 24);
		else if (st->kind == DF_READER)
			st->n = u8(r) & 1;
		/* The driver has one connection, which one of both opens. */
		if ((st->kind == DF_FILL && fills++ >= FILLS_MAX) ||
			(st->kind == DF_CONNECT && q->n_steps > 1))
			st->kind = DF_WAIT;
		if (st->kind == DF_FILL)
			nxt = DF_FILLED;
	}
	tail(q);
}

/* The peer's stream begins where steps say: what the application read can be checked. */
static bool one_stream(const struct df_seq *q)
{
	for (uint32_t i = 0; i < q->n_steps; i++) {
		const struct df_step *st = &q->step[i];

		if (st->kind == DF_SEG && st->flags & SC_SYN && (st->seq || st->seq_at || st->len))
			return false;
	}
	return true;
}

/* FUZZ_SHOW=1 with the replayer: the sequence and what left, in words. */
static void show(const struct df_seq *q, const struct df_trace *trace)
{
	char line[256];

	for (uint32_t i = 0; i < q->n_steps; i++) {
		df_step_words(q, i, line, sizeof(line));
		printf("%2u %s\n%s", i, line, trace->words[i] ? trace->words[i] : "");
		df_obs_words(&trace->obs[i], line, sizeof(line));
		printf("   %s\n", line);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct df_trace trace;
	static struct df_seq q;
	struct reader r = {data, size};
	bool exact;

	sc_stack_boot();
	decode(&q, &r);
	df_keep_words = getenv("FUZZ_SHOW");
	MT_ASSERT(df_ours(&q, &trace));
	if (df_keep_words)
		show(&q, &trace);
	exact = one_stream(&q);
	for (uint32_t i = 0; i < q.n_steps; i++)
		MT_ASSERT(!trace.obs[i].beyond && !(exact && trace.obs[i].wrong));
	MT_ASSERT(trace.obs[q.n_steps - 1].state == DF_CLOSED);
	df_trace_free(&trace);
	return 0;
}
