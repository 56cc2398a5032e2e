/* SPDX-License-Identifier: Apache-2.0 */
/* The peer: frames from steps, and what it sees of the stack on the other side. */
#include "diff.h"

#include "frame.h"

#include <stdlib.h>
#include <string.h>

#define LISTEN_PORT 80

bool df_keep_words;

void df_track_init(struct df_track *t, const struct df_seq *q, uint16_t port)
{
	*t = (struct df_track){
		.q = q,
		.iss = DF_ISS_NONE,
		.end = DF_ISS_NONE,
		.ack = q->irs,
		.port = port,
		.lport = LISTEN_PORT,
		.now = {.end = 0},
	};
}

/* ---- frames ---- */

static void put(struct sc_wire *w, const void *bytes, uint32_t n)
{
	if (w->opt_len + n > 40)
		return;
	memcpy(w->opts + w->opt_len, bytes, n);
	w->opt_len += n;
}

static void put_ts(const struct df_track *t, uint32_t i, struct sc_wire *w)
{
	const struct df_step *st = &t->q->step[i];
	uint32_t val = DF_TS0 + 10 * i + (st->ts == DF_TS_MOVED ? (uint32_t)st->ts_by : 0), ecr = 0;
	uint8_t b[12] = {1, 1, 8, 10};

	if (st->flags & SC_ACK)
		ecr = st->ecr == DF_ECR_LAST ? t->tsval : st->ecr == DF_ECR_ZERO ? 0 : 0x12345678;
	sc_put32(b + 4, val);
	sc_put32(b + 8, ecr);
	put(w, b, sizeof(b));
}

static void put_syn(const struct df_seq *q, struct sc_wire *w)
{
	uint8_t mss[4] = {2, 4, (uint8_t)(q->mss >> 8), (uint8_t)q->mss};
	uint8_t sack[4] = {1, 1, 4, 2}, scale[4] = {1, 3, 3, q->shift};

	if (q->has_mss)
		put(w, mss, 4);
	if (q->sack)
		put(w, sack, 4);
	if (q->wscale)
		put(w, scale, 4);
}

static void put_options(const struct df_track *t, uint32_t i, struct sc_wire *w)
{
	const struct df_step *st = &t->q->step[i];
	uint8_t b[4 + 24] = {1, 1, 5, (uint8_t)(2 + 4 * st->n_sack)};

	if (st->flags & SC_SYN)
		put_syn(t->q, w);
	if (t->q->ts && st->ts != DF_TS_NONE)
		put_ts(t, i, w);
	for (uint32_t k = 0; k < st->n_sack; k++)
		sc_put32(b + 4 + 4 * k, t->iss + (uint32_t)st->sack[k]);
	if (st->n_sack)
		put(w, b, 4u + 4u * st->n_sack);
	put(w, st->raw, st->n_raw);
	while (w->opt_len & 3)
		w->opts[w->opt_len++] = 0;
}

static uint32_t edge(const struct df_track *t)
{
	return t->ack + t->wnd;
}

/* Whatever the stack believes of this: further than its window allows nothing may be sent. */
static void allow(struct df_track *t, const struct sc_seg *s)
{
	uint32_t shift = s->flags & SC_SYN || !t->shift ? 0 : MT_MIN(t->q->shift, 14u);
	int64_t ack = s->flags & SC_ACK ? (int32_t)(s->ack - t->iss) : 1;

	t->right = MT_MAX(t->right, ack + ((int64_t)s->wnd << shift));
}

uint32_t df_frame(struct df_track *t, uint32_t i, uint8_t *frame)
{
	const struct df_step *st = &t->q->step[i];
	uint32_t from = st->seq_at == DF_AT_EDGE ? edge(t) : t->q->irs + t->moved;
	struct sc_wire w = {.v6 = t->q->v6, .lport = t->lport, .badsum = st->badsum, .fill = -1};
	struct sc_seg s = {
		.port = t->port,
		.flags = st->flags,
		.wnd = st->wnd,
		.urg = st->urg,
		.seq = from + (uint32_t)st->seq,
		.len = st->len,
	};

	if (st->flags & SC_ACK)
		s.ack = (st->ack_at == DF_ACK_ALL ? t->end : t->iss) + (uint32_t)st->ack;
	t->edge = edge(t);
	t->at_edge = st->seq_at == DF_AT_EDGE;
	allow(t, &s);
	w.pos = s.seq - t->q->irs - (uint32_t)st->origin - 1;
	put_options(t, i, &w);
	return sc_frame_tcp(frame, &s, &w);
}

/* ---- filling the window ---- */

#define FILL_LEN 1400u

uint32_t df_fill(struct df_track *t, uint32_t i, uint8_t *frame)
{
	struct sc_wire w = {.v6 = t->q->v6, .lport = t->lport, .fill = -1};
	struct sc_seg s = {
		.port = t->port,
		.flags = SC_ACK,
		.wnd = t->q->step[i].wnd,
		.seq = t->ack,
		.ack = t->end,
		.len = MT_MIN(t->wnd, FILL_LEN),
	};

	if (t->now.zero)
		return 0;
	allow(t, &s);
	w.pos = s.seq - t->q->irs - 1;
	put_options(t, i, &w);
	return sc_frame_tcp(frame, &s, &w);
}

void df_fill_ends(struct df_track *t, uint32_t began)
{
	t->filled = t->ack - began;
	t->read_before = t->now.read;
	t->moved = t->ack - t->q->irs - DF_FILLED;
	t->now.ack = DF_FILLED;
	t->now.n_sack = 0;
	t->now.dsack = false;
}

void df_read(struct df_track *t, uint32_t n)
{
	t->now.read = n > t->read_before && n >= t->filled ? n - t->filled : n;
}

/* ---- what the stack sent ---- */

static int32_t canon(const struct df_track *t, uint32_t seq)
{
	return (int32_t)(seq - t->q->irs - t->moved);
}

#define FAR	  45000
#define NEW_BEGIN 2000001

/* A block near the right edge of the window, which is not the same in both, by its length. */
static void canon_block(const struct df_track *t, const uint32_t *wire, int32_t *b)
{
	uint32_t ahead = wire[0] - t->ack;
	bool at_edge = ahead > FAR && ahead < INT32_MAX;

	b[0] = at_edge ? DF_BLOCK_AT_EDGE : canon(t, wire[0]);
	b[1] = b[0] + (int32_t)(wire[1] - wire[0]);
}

static void saw_syn(struct df_track *t, const struct sc_seg *s)
{
	const struct df_seq *q = t->q;

	if (!t->iss_known || s->seq != t->iss) {
		t->iss = s->seq;
		t->iss_known = true;
		t->end = s->seq + 1;
		t->now.fin = false;
		t->other_stream = t->filled;
	}
	t->shift = s->o.has_ws && q->wscale ? s->o.ws : 0;
	t->ack = s->flags & SC_ACK ? s->ack : q->irs;
	t->wnd = s->flags & SC_ACK ? s->wnd : 65535;
	/* A new connection that began at the edge of the old one's window. */
	if (s->flags & SC_ACK && canon(t, s->ack) > 20000 && canon(t, s->ack) < 200000)
		t->moved += (uint32_t)canon(t, s->ack) - NEW_BEGIN;
	if (s->flags & SC_ACK)
		t->now.ack = canon(t, s->ack);
	t->now.syn_flags = s->flags;
	t->now.syn_opts = (uint8_t)(s->o.has_mss | s->o.has_ws << 1 | s->o.has_sackok << 2 |
				    s->o.has_ts << 3);
}

static void saw_rst(struct df_track *t, const struct sc_seg *s)
{
	t->now.rst = true;
	t->now.rst_acks = s->flags & SC_ACK;
	t->now.rst_seq = s->seq ? (int32_t)(s->seq - t->iss) : -1;
	t->now.rst_ack = s->flags & SC_ACK ? canon(t, s->ack) : 0;
	if (t->at_edge && s->flags & SC_ACK)
		t->now.rst_ack = (int32_t)(s->ack - t->edge);
}

static int by_start(const void *a, const void *b)
{
	const int32_t *x = a, *y = b;

	return (x[0] > y[0]) - (x[0] < y[0]);
}

/* RFC 2883: the first block is a duplicate if it is acknowledged, or lies in the second. */
static void saw_sack(struct df_track *t, const struct sc_seg *s)
{
	struct df_obs *o = &t->now;
	int32_t *b = o->sack;

	if (t->told_dsack)
		return; /* once is enough, in whichever segment of the step */
	o->n_sack = (uint8_t)MT_MIN(s->o.n_sack, 4u);
	for (uint32_t i = 0; i < 2u * o->n_sack; i += 2)
		canon_block(t, s->o.sack + i, b + i);
	o->dsack = o->n_sack && (b[0] < o->ack || (o->n_sack > 1 && b[0] >= b[2] && b[1] <= b[3]));
	t->told_dsack = o->dsack;
	if (o->dsack)
		qsort(b + 2, o->n_sack - 1u, 8, by_start);
	else
		qsort(b, o->n_sack, 8, by_start);
}

static void saw_ack(struct df_track *t, const struct sc_seg *s)
{
	t->now.beyond |= s->len > 1 && (int32_t)(s->seq + s->len - t->iss) > t->right;
	t->now.acked = true;
	t->now.seq = (int32_t)(s->seq + s->len - t->iss);
	t->now.ack = canon(t, s->ack);
	t->now.zero = s->wnd == 0;
	t->now.ece = s->flags & SC_ECE;
	t->now.has_ts = s->o.has_ts;
	t->now.ecr = s->o.has_ts ? (int32_t)(s->o.tsecr - DF_TS0) : 0;
	saw_sack(t, s);
	t->ack = s->ack;
	if (s->wnd) /* of a window that is shut, and in TIME-WAIT, the last edge counts on */
		t->wnd = (uint32_t)s->wnd << t->shift;
}

static void keep_words(struct df_track *t, const struct sc_seg *s)
{
	char line[256], *all = NULL;

	df_seg_words(t, s, line, sizeof(line));
	if (asprintf(&all, "%s%s\n", t->words ? t->words : "", line) < 0)
		abort();
	free(t->words);
	t->words = all;
}

void df_saw(struct df_track *t, const struct sc_seg *s, uint16_t lport)
{
	uint32_t end = s->seq + s->len + (s->flags & SC_SYN ? 1 : 0) + (s->flags & SC_FIN ? 1 : 0);

	t->lport = lport;
	t->now.n_out++;
	if (s->o.has_ts && !(s->flags & SC_RST))
		t->tsval = s->o.tsval;
	if (s->flags & SC_RST) {
		saw_rst(t, s);
	} else if (s->flags & SC_SYN) {
		saw_syn(t, s);
	} else if (s->flags & SC_ACK) {
		saw_ack(t, s);
		t->now.again |= end != s->seq && (int32_t)(s->seq - t->end) < 0;
		t->now.fin |= s->flags & SC_FIN;
	}
	if (!(s->flags & SC_RST) && t->iss_known && (int32_t)(end - t->end) > 0)
		t->end = end;
	t->now.end = (int32_t)(t->end - t->iss);
	if (df_keep_words)
		keep_words(t, s);
}

void df_observe(struct df_track *t, struct df_obs *o, char **words)
{
	*o = t->now;
	o->wrong &= !t->other_stream;
	*words = t->words;
	t->words = NULL;
	t->at_edge = t->told_dsack = false;
	t->now.n_out = t->now.syn_flags = t->now.syn_opts = 0;
	t->now.rst = t->now.rst_acks = t->now.acked = t->now.again = false;
	t->now.rst_seq = t->now.rst_ack = t->now.seq = 0;
}
