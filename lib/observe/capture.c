/* SPDX-License-Identifier: Apache-2.0 */
/* The records that the worker writes to the ring of a capture. */
#include "mt_capture.h"
#include "mt_trace_priv.h"

#include <stdio.h>
#include <string.h>

#define COMMENT_MAX 512 /* bytes */

struct mt_capture *mt_capture_new(const struct mt_capture_conf *conf)
{
	struct mt_capture *c = aligned_alloc(64, sizeof(*c));
	bool messages = !(conf->what & MT_CAPTURE_PACKETS);

	if (!c)
		return NULL;
	memset(c, 0, sizeof(*c));
	c->conf = *conf;
	c->memory = calloc(1, MT_CAPTURE_RING);
	if (messages) {
		c->bodies = calloc(MT_TRACE_JOURNEYS, sizeof(*c->bodies));
		c->bytes = calloc(MT_TRACE_JOURNEYS * 4ull, conf->snap);
	}
	mt_byte_ring_init(&c->ring, c->memory, MT_CAPTURE_RING);
	if (c->memory && (!messages || (c->bodies && c->bytes)))
		return c;
	mt_capture_free(c);
	return NULL;
}

void mt_capture_free(struct mt_capture *c)
{
	if (!c)
		return;
	free(c->memory);
	free(c->bodies);
	free(c->bytes);
	free(c);
}

/* ---- control thread ------------------------------------------------------------------------- */

const struct mt_capture_rec *mt_capture_peek(struct mt_capture *c)
{
	const struct mt_capture_rec *r;
	uint32_t len;

	while ((r = mt_byte_ring_peek(&c->ring, &len)) != NULL && r->unwanted)
		mt_byte_ring_pop(&c->ring);
	return r;
}

void mt_capture_pop(struct mt_capture *c)
{
	mt_byte_ring_pop(&c->ring);
}

/* ---- worker --------------------------------------------------------------------------------- */

void mt_capture_publish(struct mt_capture *c)
{
	mt_byte_ring_publish(&c->ring);
}

/*
 * Reserves the next record with space for the kept bytes and a comment. NULL: no space (counted),
 * or the capture has enough records.
 */
static struct mt_capture_rec *reserve(
	struct mt_capture *c, enum mt_capture_at where, uint32_t len, uint32_t comment)
{
	uint32_t snap = MT_MIN(len, c->conf.snap);
	struct mt_capture_rec *r;

	if (c->stats.taken >= c->conf.count)
		return NULL;
	r = mt_byte_ring_reserve(&c->ring, (uint32_t)sizeof(*r) + snap + comment);
	if (!r) {
		mt_count(&c->stats.lost, 0);
		return NULL;
	}
	memset(r, 0, sizeof(*r));
	r->at = (uint8_t)where;
	r->len = len;
	r->snap = snap;
	r->comment = (uint16_t)comment;
	return r;
}

/* ---- packets -------------------------------------------------------------------------------- */

uint8_t *mt_capture_packet(struct mt_trace *t, struct mt_trace_note *n, uint32_t *snap)
{
	struct mt_capture *c = t->capture;
	struct mt_expr_values v = {0};

	if (!(c->conf.what & MT_CAPTURE_PACKETS))
		return NULL;
	mt_trace_know_packet(n, t->conf.worker, &v);
	if (!n->tx)
		v.known &= ~MT_EXPR_BIT(outcome); /* not decided yet */
	if (mt_expr_eval(&c->conf.expr, &v) == MT_TRI_NO)
		return NULL;
	n->rec = reserve(c, n->tx ? MT_CAPTURE_TX : MT_CAPTURE_RX, n->p.len, 0);
	if (!n->rec)
		return NULL;
	n->rec->tsc = n->tsc;
	n->rec->port = n->p.port;
	*snap = n->rec->snap;
	return (uint8_t *)(n->rec + 1);
}

void mt_capture_undo(struct mt_trace *t, struct mt_trace_note *n)
{
	if (!n->rec)
		return;
	mt_byte_ring_trim(&t->capture->ring, n->rec, 0);
	n->rec = NULL;
}

void mt_capture_carries(struct mt_trace_note *n, uint64_t key)
{
	struct mt_capture_rec *r = n->rec;

	if (!r || r->n_exchanges == MT_CAPTURE_EXCHANGES)
		return;
	for (uint32_t i = 0; i < r->n_exchanges; i++)
		if (r->exchanges[i] == key)
			return;
	r->exchanges[r->n_exchanges++] = key;
}

void mt_capture_decide(struct mt_trace *t, struct mt_trace_note *n)
{
	struct mt_capture *c = t->capture;
	struct mt_capture_rec *r = n->rec;
	struct mt_expr_values v = {0};

	n->rec = NULL;
	if (!r)
		return;
	mt_trace_know_packet(n, t->conf.worker, &v);
	/* A packet that was handed over is captured by the worker that got it. */
	r->unwanted = n->owner >= 0 || mt_expr_eval(&c->conf.expr, &v) != MT_TRI_YES;
	r->outcome = mt_trace_became(n);
	if (!r->unwanted)
		mt_count(&c->stats.taken, 0);
}

/* ---- messages ------------------------------------------------------------------------------- */

static uint32_t number(const struct mt_trace *t, const struct mt_trace_journey *j)
{
	return (uint32_t)(j - t->journeys);
}

static uint8_t *bytes_of(struct mt_capture *c, uint32_t journey, uint32_t i)
{
	return c->bytes + ((size_t)journey * 4 + i) * c->conf.snap;
}

void mt_capture_begin(struct mt_trace *t, const struct mt_trace_journey *j)
{
	if (t->capture->bodies)
		memset(t->capture->bodies[number(t, j)], 0, sizeof(t->capture->bodies[0]));
}

uint8_t *mt_capture_message(struct mt_trace *t, const struct mt_trace_journey *j,
	enum mt_capture_at where, const struct mt_tuple *conn, uint32_t len, uint32_t *n)
{
	struct mt_capture *c = t->capture;
	uint32_t i = (uint32_t)where - MT_CAPTURE_REQUEST;

	if (!(c->conf.what >> where & 1))
		return NULL;
	*n = MT_MIN(*n, c->conf.snap);
	c->bodies[number(t, j)][i] = (struct mt_capture_body){
		.tsc = mt_trace_tsc(), .conn = *conn, .len = len, .snap = *n};
	return bytes_of(c, number(t, j), i);
}

bool mt_capture_saw(
	const struct mt_trace *t, const struct mt_trace_journey *j, enum mt_capture_at where)
{
	const struct mt_capture *c = t->capture;

	return c->bodies && c->bodies[number(t, j)][where - MT_CAPTURE_REQUEST].len;
}

/* Writes the names of the exchange as "name=value name=value". */
static uint32_t describe(const struct mt_trace_journey *j, char *buf, size_t size)
{
	static const uint8_t fields[] = {MT_EXPR_exchange, MT_EXPR_service, MT_EXPR_method,
		MT_EXPR_route, MT_EXPR_cluster, MT_EXPR_endpoint, MT_EXPR_status};
	size_t n = 0;

	for (size_t i = 0; i < MT_ARRAY_LEN(fields); i++) {
		const struct mt_slice *s = &j->values.v[fields[i]].text;

		if (!(j->values.known >> fields[i] & 1) || !s->p || n >= size)
			continue;
		n += (size_t)snprintf(buf + n, size - n, "%s%s=%.*s", n ? " " : "",
			mt_expr_fields[fields[i]].name, (int)s->len, (const char *)s->p);
	}
	if (n < size)
		n += (size_t)snprintf(buf + n, size - n, " took=%lluus",
			(unsigned long long)(j->values.v[MT_EXPR_took].number / MT_USEC));
	return (uint32_t)MT_MIN(n, size - 1);
}

static void put_message(struct mt_capture *c, const struct mt_capture_body *b, const uint8_t *bytes,
	enum mt_capture_at where, const char *comment, uint32_t n)
{
	bool outwards = where == MT_CAPTURE_FORWARDED || where == MT_CAPTURE_ANSWER;
	struct mt_capture_rec *r = reserve(c, where, b->len, n);
	uint8_t *to;

	if (!r)
		return;
	/*
	 * Of a message that came in parts, fewer bytes may have been kept than reserve() assumes.
	 */
	r->snap = MT_MIN(r->snap, b->snap);
	r->tsc = b->tsc;
	r->src = outwards ? b->conn.local : b->conn.remote;
	r->dst = outwards ? b->conn.remote : b->conn.local;
	r->sport = outwards ? b->conn.lport : b->conn.rport;
	r->dport = outwards ? b->conn.rport : b->conn.lport;
	to = (uint8_t *)(r + 1);
	memcpy(to, bytes, r->snap);
	memcpy(to + r->snap, comment, n);
	mt_count(&c->stats.taken, 0);
}

void mt_capture_keep(struct mt_trace *t, const struct mt_trace_journey *j)
{
	struct mt_capture *c = t->capture;
	char comment[COMMENT_MAX];
	uint32_t n;

	if (!c->bodies)
		return;
	n = describe(j, comment, sizeof(comment));
	for (uint32_t i = 0; i < 4; i++) {
		const struct mt_capture_body *b = &c->bodies[number(t, j)][i];

		if (b->len)
			put_message(c, b, bytes_of(c, number(t, j), i), MT_CAPTURE_REQUEST + i,
				comment, n);
	}
}
