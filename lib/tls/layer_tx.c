/* SPDX-License-Identifier: Apache-2.0 */
/* Sending: seals the user's bytes, and the layer's own records. */
#include "layer_priv.h"

#include <errno.h>

/*
 * RESERVE limits the unacknowledged bytes of the layer's own records, except close_notify and
 * alerts. A peer that requests more has to wait. OWN_MAX is for one answer, which has at most two
 * records.
 */
#define OWN_MAX 80
#define RESERVE (4 * OWN_MAX)

void tls_agree(struct tls_conn *c)
{
	struct mt_stream *s = &c->s, *lower = c->lower;

	if ((lower->rx_class ^ s->rx_class) | (lower->tx_class ^ s->tx_class))
		mt_stream_class(lower, s->rx_class, s->tx_class);
	lower->yields = s->yields;
	lower->silent = s->silent;
	if (s->yields)
		s->tx_high = lower->tx_high;
	s->squeezed = lower->squeezed;
}

void tls_give(struct tls_conn *c, struct mt_chain *out)
{
	if (out->len == 0)
		return;
	c->given += out->len;
	mt_stream_send(c->lower, out);
}

/*
 * Frees acknowledged text. A client keeps it until the server has sent something, because a server
 * that rejects our identity has read none of it. If a server never sends, the kept text is limited
 * to half of the queue.
 */
void tls_drop_plain(struct tls_conn *c)
{
	uint64_t acked = c->k->notes.floor;
	bool judged = c->heard || !c->k->r.is_13 ||
		      c->lower->tx_queued + c->plain.truesize > c->s.tx_high / 2;

	if (!c->opened || !judged || c->plain_at >= acked)
		return;
	mt_chain_drop(&c->plain, (uint32_t)(acked - c->plain_at));
	c->plain_at = acked;
}

/*
 * Handles the result of sealing. Without memory it sets a retry, because no event will come. If no
 * key is left, it reports the error later, outside of the user's operations.
 */
static bool sealed(struct tls_conn *c, int rc)
{
	if (rc == -ENOMEM)
		tls_put_off(c);
	else if (rc && !c->broken) {
		c->broken = true;
		mt_stream_again(c->lower);
	}
	return rc == 0;
}

/* Sends key updates and answers from the reserve, whatever the user has queued. */
static void send_own(struct tls_conn *c)
{
	struct mt_tls_records *w = &c->layer->records;
	struct mt_tls_record *r = &c->k->r;
	struct mt_chain out = {0};
	int rc = 0;

	if (mt_likely(!c->ask_due && !(mt_tls_record_due(r) & ~MT_TLS_RECORD_DUE_DRAIN)))
		return;
	if (mt_stream_positions(c->lower).acked >= c->own_until)
		c->own_bytes = 0;
	c->full = c->own_bytes + OWN_MAX > RESERVE;
	if (c->full)
		return;
	if (c->ask_due) {
		rc = mt_tls_record_update(w, r, true, &out);
		if (rc == 0)
			c->ask_due = false;
	}
	if (rc == 0)
		rc = mt_tls_record_own(w, r, &out);
	c->own_bytes += out.len;
	tls_give(c, &out);
	c->own_until = c->given;
	(void)sealed(c, rc);
}

/* Frees text that is sealed but still kept, after the user has set no_reclaim. */
static void let_go_of_sealed(struct tls_conn *c)
{
	if (c->sealed > c->plain_at)
		mt_chain_drop(&c->plain, (uint32_t)(c->sealed - c->plain_at));
	c->plain_at = c->sealed;
}

/*
 * True if the next record may be sealed where it lies. If the user may take it back, it has to be
 * opened again (op_reclaim()), which works only if nothing else is in flight. Several records may
 * share a note, so their positions would be unknown, and only one record number is kept
 * (tls_keyed.seq).
 */
static bool may_seal_in_place(struct tls_conn *c)
{
	if (!c->opened || c->s.no_reclaim)
		return true;
	/*
	 * A TLS 1.3 server that has not verified us may have read nothing of what it acknowledged.
	 */
	if (c->plain_at != c->sealed || (!c->heard && c->k->r.is_13))
		return false;
	/* A record that is due goes first, and would lie in the same note. */
	if (mt_tls_record_due(&c->k->r) & ~MT_TLS_RECORD_DUE_DRAIN)
		return false;
	tls_look_acked(c);
	return c->k->notes.n == 0;
}

/* Seals the next n bytes. Returns 0 or an error of mt_tls_record_seal(). */
static int seal_next(struct tls_conn *c, uint32_t n, struct mt_chain *out)
{
	struct mt_tls_records *w = &c->layer->records;
	struct mt_tls_record *r = &c->k->r;
	uint32_t left;
	int rc;

	if (!may_seal_in_place(c)) {
		rc = mt_tls_record_seal_copy(
			w, r, &c->plain, (uint32_t)(c->sealed - c->plain_at), n, out);
		if (rc == 0)
			c->sealed += n;
		return rc;
	}
	left = c->plain.len;
	rc = mt_tls_record_seal(w, r, &c->plain, n, out);
	/* If the library has failed, the text may be lost, too. */
	c->sealed = c->plain_at = c->sealed + (left - c->plain.len);
	c->k->seq = r->tx.seq - 1;
	return rc;
}

static bool send_data(struct tls_conn *c)
{
	struct mt_tls_record *r = &c->k->r;
	struct mt_chain out = {0};
	int rc = 0;

	if (c->sealed < c->accepted)
		c->sealed_in = c->layer->now;
	if (c->s.no_reclaim)
		let_go_of_sealed(c);
	while (rc == 0 && c->sealed < c->accepted) {
		uint32_t left = (uint32_t)MT_MIN(c->accepted - c->sealed, MT_TLS_RECORD_PLAIN);
		uint32_t n =
			left <= MT_TLS_RECORD_LEAST
				? left
				: MT_MIN(left, mt_tls_record_size(r, c->layer->mss, c->layer->now));
		uint64_t first = c->given + out.len;

		rc = seal_next(c, n, &out);
		/* The library has failed: what it has left there is not a record. */
		if (mt_unlikely(rc == -EIO))
			mt_chain_truncate(&out, (uint32_t)(first - c->given));
		if (rc)
			break;
		if (mt_unlikely(c->k->notes.n == TLS_NOTES))
			tls_look_acked(c);
		tls_notes_add(
			&c->k->notes, (struct tls_note){c->sealed, first, c->given + out.len});
	}
	tls_give(c, &out);
	return sealed(c, rc);
}

static void send_close(struct tls_conn *c)
{
	struct mt_chain out = {0};

	if (!sealed(c, mt_tls_record_end(&c->layer->records, &c->k->r, MT_TLS_CLOSE_NOTIFY, &out)))
		return;
	tls_give(c, &out);
	c->close_sent = true;
	c->ask_due = false;
	mt_stream_shutdown(c->lower);
}

/*
 * True in the usual case: nothing waits and nothing is due, so the message may become a record at
 * once, in place.
 */
static inline bool may_send_alone(struct tls_conn *c, uint32_t n)
{
	if (c->state != TLS_OPEN || c->sealed_in == c->layer->now || n > MT_TLS_RECORD_LEAST)
		return false;
	if (c->sealed != c->accepted || c->ask_due || c->s.tx_shut || c->broken || c->gathers)
		return false;
	/* Kept text goes to send_data(), which may free it. */
	return !c->plain.len && may_seal_in_place(c);
}

/* As send_data(), for one record. */
int tls_send_alone(struct tls_conn *c, struct mt_chain *out)
{
	uint64_t first = c->given;
	struct tls_keyed *k = c->k;
	uint32_t n = out->len;
	int rc;

	if (!may_send_alone(c, n))
		return -EAGAIN;
	rc = mt_tls_record_seal_alone(&c->layer->records, &k->r, out);
	if (rc == -EAGAIN)
		return rc;
	c->sealed = c->plain_at = c->accepted += n;
	if (mt_unlikely(rc)) {
		mt_chain_free(out);
		(void)sealed(c, rc);
		return rc;
	}
	if (mt_unlikely(k->notes.n == TLS_NOTES))
		tls_look_acked(c);
	c->sealed_in = c->layer->now;
	c->given += out->len;
	k->seq = k->r.tx.seq - 1;
	tls_notes_add(&k->notes, (struct tls_note){c->sealed, first, c->given});
	mt_stream_send(c->lower, out);
	tls_sync(c);
	return 0;
}

void tls_flush(struct tls_conn *c)
{
	c->gathers = false;
	if (c->state == TLS_OPEN && !c->broken && !c->close_sent && tls_owes(c)) {
		send_own(c);
		if (send_data(c) && c->s.tx_shut)
			send_close(c);
	}
	tls_sync(c);
}
