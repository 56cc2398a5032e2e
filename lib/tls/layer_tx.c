/* SPDX-License-Identifier: Apache-2.0 */
/* What a TLS stream sends. */
#include "layer_priv.h"

#include <errno.h>

/* Bytes of the layer's own that may be unacknowledged, close and alert apart: who asks for more waits. An answer has at most two records. */
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
 * Acknowledged text goes. But of what a client has sent before its server said anything: that may still not like who we are, and then
 * nobody has read it. A server that is silent for good holds half of a queue at most.
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

/* No memory: nothing else will call. Or there is no key: the user is told outside of his verbs. */
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

/* Updates and answers, from the reserve, whatever the user has queued. */
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

/* What is sealed and still kept: nobody will ask for it. */
static void let_go_of_sealed(struct tls_conn *c)
{
	if (c->sealed > c->plain_at)
		mt_chain_drop(&c->plain, (uint32_t)(c->sealed - c->plain_at));
	c->plain_at = c->sealed;
}

/*
 * The next record is sealed where it lies. Who may take it back has it opened again (op_reclaim()), if nothing else is under way: several
 * records share a note at times, and where the one is that is wanted would not be known; and one number is kept (tls_keyed.seq).
 */
static bool may_seal_in_place(struct tls_conn *c)
{
	if (!c->opened || c->s.no_reclaim)
		return true;
	/* A server of TLS 1.3 that has not judged us may have read nothing of what it has acknowledged. */
	if (c->plain_at != c->sealed || (!c->heard && c->k->r.is_13))
		return false;
	/* What is due goes before it, and would lie in its note. */
	if (mt_tls_record_due(&c->k->r) & ~MT_TLS_RECORD_DUE_DRAIN)
		return false;
	tls_look_acked(c);
	return c->k->notes.n == 0;
}

/* Without an error the next n bytes are sealed. */
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
	/* Where the library failed it may be gone, too. */
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
		/* The library failed: what it has left there is no record. */
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

/* Whether it is the usual one: nothing waits and nothing is due, so that what is sent may be a record at once, where it is. */
static inline bool may_send_alone(struct tls_conn *c, uint32_t n)
{
	if (c->state != TLS_OPEN || c->sealed_in == c->layer->now || n > MT_TLS_RECORD_LEAST)
		return false;
	if (c->sealed != c->accepted || c->ask_due || c->s.tx_shut || c->broken || c->gathers)
		return false;
	/* Text that is kept may be let go of: send_data(). */
	return !c->plain.len && may_seal_in_place(c);
}

/* As send_data(), of one record. */
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
