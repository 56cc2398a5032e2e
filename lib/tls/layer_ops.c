/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of a TLS stream. */
#include "layer_priv.h"

#include <errno.h>

/* Plain text may pin buffers of so many times its length. */
#define SPARSE_TIMES 4

static void op_consumed(struct mt_stream *s)
{
	struct tls_conn *c = tls_conn_of(s);

	if (c->pumping)
		return; /* tls_receive() checks the room itself, and charges what is left */
	tls_sync(c);
	if (tls_has_room(c) && (c->lower->rx.len || c->lower->rx_eof))
		mt_stream_again(c->lower);
}

/*
 * A user that sends twice in a loop iteration usually sends more. Lets short messages share records
 * and lower buffers: they wait until all events of this loop iteration are out.
 */
static bool gather(struct tls_conn *c)
{
	if (c->sealed_in != c->layer->now || c->state != TLS_OPEN ||
		c->accepted - c->sealed >= MT_TLS_RECORD_PLAIN)
		return false;
	if (!c->gathers)
		mt_stream_again(c->lower);
	return c->gathers = true;
}

static void op_send(struct mt_stream *s, struct mt_chain *out)
{
	struct tls_conn *c = tls_conn_of(s);

	if (mt_likely(tls_send_alone(c, out) != -EAGAIN))
		return;
	c->accepted += out->len;
	mt_chain_concat(&c->plain, out);
	if (gather(c))
		tls_sync(c);
	else
		tls_flush(c);
	/*
	 * Compact text that is kept for long, so that it does not pin a buffer for each byte. Do it
	 * after sealing, which would wait for the stores of the copy.
	 */
	if (c->opened && c->plain.segs > 1 && c->plain.truesize / SPARSE_TIMES > c->plain.len) {
		mt_chain_compact(&c->plain, c->layer->records.pools);
		tls_follow(c);
	}
}

static void op_shutdown(struct mt_stream *s)
{
	if (s->tx_shut)
		return;
	s->tx_shut = true;
	tls_flush(tls_conn_of(s));
}

static void op_abort(struct mt_stream *s, enum mt_abort_reason why)
{
	struct tls_conn *c = tls_conn_of(s);

	tls_end_lower(c, -1, why);
	tls_conn_free(c);
}

void tls_maybe_leave(struct tls_conn *c)
{
	if (!c->detached || !c->close_sent)
		return;
	mt_chain_free(&c->s.rx);
	mt_chain_free(&c->plain);
	tls_sync(c);
	mt_stream_detach(c->lower);
	tls_conn_free(c);
}

static void op_detach(struct mt_stream *s)
{
	struct tls_conn *c = tls_conn_of(s);

	if (c->state != TLS_OPEN) {
		op_abort(s, MT_ABORT_CANCELLED);
		return;
	}
	c->detached = true;
	s->user = &tls_nobody;
	s->keeps = false;
	mt_chain_free(&s->rx);
	s->rx_kept = 0;
	s->tx_shut = true;
	tls_flush(c);
	tls_maybe_leave(c);
}

/*
 * Refuses whole records, so none of them is opened in part. A peer that closes in order answers our
 * close_notify by its own. Accept that answer: it has at most 31 bytes with the supported ciphers
 * (RFC 5246 §6.2.3.3: header, nonce, alert, tag).
 */
#define CLOSE_NOTIFY_MAX 31

static void op_refuse(struct mt_stream *s, uint32_t words)
{
	(void)words;
	mt_stream_refuse_but(tls_conn_of(s)->lower, CLOSE_NOTIFY_MAX);
}

static bool op_coming(const struct mt_stream *s)
{
	const struct tls_conn *c = tls_conn_of(s);

	return c->lower->rx.len > 0 || mt_stream_coming(c->lower);
}

static void op_touch(struct mt_stream *s)
{
	mt_stream_touch(tls_conn_of(s)->lower);
}

static void op_again(struct mt_stream *s)
{
	mt_stream_again(tls_conn_of(s)->lower);
}

static void op_class(struct mt_stream *s, enum mt_class rx, enum mt_class tx)
{
	s->rx_class = (uint8_t)rx;
	s->tx_class = (uint8_t)tx;
	tls_sync(tls_conn_of(s));
}

static const struct mt_tuple *op_ends(const struct mt_stream *s)
{
	return mt_stream_ends(tls_conn_of(s)->lower);
}

static uint32_t op_room(const struct mt_stream *s)
{
	const struct tls_conn *c = tls_conn_of(s);
	uint32_t room = mt_stream_room(c->lower);
	uint64_t debt = TLS_RECORD_MORE + (c->accepted - c->sealed);

	return room > debt ? room - (uint32_t)debt : 0;
}

/* Nothing was sent before there are keys. */
static const struct tls_notes *notes_of(const struct tls_conn *c)
{
	static const struct tls_notes none;

	return c->k ? &c->k->notes : &none;
}

static void op_positions(const struct mt_stream *s, struct mt_stream_pos *pos)
{
	const struct tls_conn *c = tls_conn_of(s);
	struct mt_stream_pos low = mt_stream_positions(c->lower);

	pos->accepted = c->accepted;
	pos->sent = tls_notes_begun(notes_of(c), low.sent);
	pos->acked = tls_notes_whole(notes_of(c), low.acked);
}

/*
 * Translates the lower stream's end. A partial record cannot be read. The peer's close_notify
 * proves nothing; its FIN does. A server that refuses us before it has sent a record has read
 * nothing, because in TLS 1.3 requests are sent before the server has verified our certificate.
 */
static void op_end(const struct mt_stream *s, struct mt_stream_end *e)
{
	const struct tls_conn *c = tls_conn_of(s);

	mt_stream_end(c->lower, e);
	e->pos.accepted = c->accepted;
	e->pos.sent = tls_notes_begun(notes_of(c), e->pos.sent);
	e->pos.acked = tls_notes_read(notes_of(c), e->pos.acked);
	e->resent = tls_notes_begun(notes_of(c), e->resent);
	e->fin_acked = tls_notes_read(notes_of(c), e->fin_acked);
	e->reset_acked = tls_notes_read(notes_of(c), e->reset_acked);
	if (c->refused) {
		e->pos.sent = e->pos.acked = 0;
		e->resent = e->fin_acked = e->reset_acked = 0;
	}
}

/*
 * Opens again the record whose text is nowhere else. The lower stream has it as long as no part of
 * it is acknowledged.
 */
static int reopen(const struct tls_conn *c, uint64_t first, uint64_t last, struct mt_chain *to)
{
	const struct tls_notes *w = notes_of(c);
	const struct tls_note *n = &w->at[0];
	struct mt_tls_records *records = &c->layer->records;
	struct mt_chain rec = {0}, text = {0};
	int rc;

	if (c->s.no_reclaim || !w->n || n->upper != c->plain_at || first < w->floor)
		return -ENODATA;
	MT_ASSERT(!(w->many & 1));
	rc = mt_stream_reclaim(c->lower, n->first, n->last, &rec);
	if (rc == 0)
		rc = mt_tls_record_reopen(records, &c->k->r, c->k->seq, &rec, &text);
	if (rc == 0 && text.len != n->upper - w->floor)
		rc = -ENODATA;
	if (rc == 0)
		rc = mt_chain_copy(&text, (uint32_t)(first - w->floor), (uint32_t)(last - first),
			to, records->pools);
	mt_chain_free(&text);
	mt_chain_free(&rec);
	return rc;
}

static int op_reclaim(const struct mt_stream *s, uint64_t first, uint64_t last, struct mt_chain *to)
{
	const struct tls_conn *c = tls_conn_of(s);
	uint64_t kept = MT_MAX(first, c->plain_at);
	struct mt_chain all = {0};
	int rc = c->opened && last <= c->accepted ? 0 : -ENODATA;

	MT_ASSERT(c->plain.len == c->accepted - c->plain_at);
	if (rc == 0 && first < c->plain_at)
		rc = reopen(c, first, MT_MIN(last, c->plain_at), &all);
	if (rc == 0 && kept < last)
		rc = mt_chain_copy(&c->plain, (uint32_t)(kept - c->plain_at),
			(uint32_t)(last - kept), &all, c->layer->records.pools);
	if (rc == 0)
		mt_chain_concat(to, &all);
	mt_chain_free(&all);
	return rc;
}

void tls_ops_init(struct mt_stream_ops *ops)
{
	*ops = (struct mt_stream_ops){
		.consumed = op_consumed,
		.send = op_send,
		.shutdown = op_shutdown,
		.abort = op_abort,
		.detach = op_detach,
		.refuse = op_refuse,
		.coming = op_coming,
		.touch = op_touch,
		.again = op_again,
		.class = op_class,
		.ends = op_ends,
		.room = op_room,
		.positions = op_positions,
		.end = op_end,
		.reclaim = op_reclaim,
	};
}

/* ---- queries ---- */

bool mt_tls_stream_is(const struct mt_tls_layer *l, const struct mt_stream *s)
{
	return s->ops == &l->ops;
}

const struct mt_stream *mt_tls_stream_above(
	const struct mt_tls_layer *l, const struct mt_stream *lower)
{
	if (lower->user_ctx != l ||
		(lower->user != &tls_lower_user && lower->user != &tls_lower_user_of_held))
		return NULL;
	return &tls_above(lower)->s;
}

const char *mt_tls_cipher_str(enum mt_tls_cipher c)
{
	static const char *const names[] = {[MT_TLS_AES_128_GCM] = "AES-128-GCM",
		[MT_TLS_AES_256_GCM] = "AES-256-GCM",
		[MT_TLS_CHACHA20_POLY1305] = "CHACHA20-POLY1305"};

	return names[c];
}

const struct mt_tls_peer *mt_tls_stream_peer(
	const struct mt_tls_layer *l, const struct mt_stream *s)
{
	const struct tls_peer *p;

	if (!mt_tls_stream_is(l, s) || !tls_conn_of(s)->peer)
		return NULL;
	p = mt_slab_at(&l->peers, tls_conn_of(s)->peer - 1);
	return &p->is;
}

uint16_t mt_tls_stream_version(const struct mt_stream *s)
{
	const struct tls_keyed *k = tls_conn_of(s)->k;

	if (!k)
		return 0;
	return k->r.is_13 ? 0x0304 : 0x0303;
}

uint64_t mt_tls_stream_context_id(const struct mt_stream *s)
{
	return tls_conn_of(s)->context_id;
}

uint64_t mt_tls_stream_tag(const struct mt_stream *s)
{
	return tls_conn_of(s)->tag;
}

uint8_t mt_tls_stream_cipher(const struct mt_stream *s)
{
	const struct tls_keyed *k = tls_conn_of(s)->k;

	return k ? k->r.cipher : 0;
}

struct mt_tls_why mt_tls_stream_why(const struct mt_stream *s)
{
	const struct tls_conn *c = tls_conn_of(s);

	return (struct mt_tls_why){(enum mt_tls_reason)c->reason, c->alert, c->alert_sent};
}

bool mt_tls_stream_worn(const struct mt_stream *s)
{
	const struct tls_keyed *k = tls_conn_of(s)->k;

	return k && (mt_tls_record_due(&k->r) & MT_TLS_RECORD_DUE_DRAIN);
}

void mt_tls_stream_update(struct mt_stream *s)
{
	struct tls_conn *c = tls_conn_of(s);

	if (!c->k || !c->k->r.is_13 || c->close_sent)
		return;
	c->ask_due = true;
	tls_flush(c);
}
