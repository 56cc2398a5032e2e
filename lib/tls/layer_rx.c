/* SPDX-License-Identifier: Apache-2.0 */
/* Receiving: opens one record at a time, when the user has room. */
#include "layer_priv.h"
#include "mt_mutant.h"

/* Result of a receiving step. */
enum did { DID_ONE, DID_WAIT, DID_GO };

bool tls_has_room(struct tls_conn *c)
{
	bool room = c->s.rx.len <= c->s.rx_kept;

	if (room)
		c->records = 0;
	return room || (mt_mutant(MT_MUTANT_tls_keeps_two) && c->records < 2);
}

/*
 * True for alerts that reject our identity or our parameters: then no application has read a byte.
 */
static bool is_refusal(uint8_t alert)
{
	return (alert >= MT_TLS_HANDSHAKE_FAILURE && alert <= MT_TLS_ACCESS_DENIED) ||
	       alert == MT_TLS_CERTIFICATE_REQUIRED;
}

/* FIN without close_notify: an attacker may have sent it. */
static enum did cut_off(struct tls_conn *c)
{
	if (!c->lower->rx_eof)
		return DID_WAIT;
	mt_count(c->layer->counts, MT_TLS_N_no_close_notify);
	tls_fail(c, -1, MT_ABORT_PROTOCOL, MT_CLOSE_RESET);
	return DID_GO;
}

/* The peer's first record: it has verified our identity. */
static void hear(struct tls_conn *c)
{
	if (c->heard)
		return;
	c->heard = true;
	tls_drop_plain(c);
}

static enum did data_in(struct tls_conn *c)
{
	hear(c);
	c->records++;
	mt_stream_consumed(c->lower);
	/* The user usually takes everything; what is left is charged after the last record. */
	tls_follow(c);
	tls_look_ahead(c->layer);
	c->s.user->readable(&c->s);
	return DID_ONE;
}

static enum did close_in(struct tls_conn *c)
{
	/* Bytes after close_notify have no meaning. */
	mt_stream_drop(c->lower, c->lower->rx.len);
	c->closed_in = c->s.rx_eof = true;
	tls_sync(c);
	c->s.user->eof(&c->s);
	return DID_ONE;
}

static enum did alert_in(struct tls_conn *c)
{
	mt_count(c->layer->counts, MT_TLS_N_alert_in);
	c->alert = c->k->r.alert;
	/* A TLS 1.2 server verifies the client before it receives the first request. */
	c->refused = c->opened && !c->heard && c->k->r.is_13 && is_refusal(c->alert);
	if (c->refused)
		mt_count(c->layer->counts, MT_TLS_N_refused);
	tls_fail(c, -1, MT_ABORT_RELAYED, c->refused ? MT_CLOSE_HANDSHAKE : MT_CLOSE_RESET);
	return DID_GO;
}

/*
 * Receives one record. DID_WAIT: there is none (*part: it is incomplete), or the user has no room.
 */
static enum did receive(struct tls_conn *c, bool *part)
{
	struct mt_stream *lower = c->lower;

	*part = false;
	if (c->closed_in) {
		if (lower->rx.len)
			mt_stream_drop(lower, lower->rx.len);
		return DID_WAIT;
	}
	/*
	 * The type of a record, even of the last one, is known only after opening, which needs
	 * room.
	 */
	if (!tls_has_room(c))
		return DID_WAIT;
	if (lower->rx.len == 0)
		return cut_off(c);
	switch (mt_tls_record_read(
		&c->layer->records, &c->k->r, &lower->rx, &c->s.rx, c->layer->now)) {
	case MT_TLS_RECORD_MORE:
		*part = true;
		return cut_off(c);
	case MT_TLS_RECORD_NO_MEMORY:
		tls_put_off(c);
		return DID_WAIT;
	case MT_TLS_RECORD_DATA:
		return data_in(c);
	case MT_TLS_RECORD_OWN:
		hear(c);
		mt_stream_consumed(lower);
		tls_flush(c);
		return DID_ONE;
	case MT_TLS_RECORD_CLOSED:
		return close_in(c);
	case MT_TLS_RECORD_ALERT:
		return alert_in(c);
	default:
		tls_fail(c, c->k->r.alert, MT_ABORT_PROTOCOL, MT_CLOSE_RESET);
		return DID_GO;
	}
}

/* The user may end this stream, or any other, in each of its events. */
void tls_receive(struct tls_conn *c)
{
	struct mt_tls_layer *l = c->layer;
	struct mt_ref ref = mt_slab_ref(&l->streams, c);
	bool part = false;
	enum did did;

	c->pumping = true;
	do
		did = receive(c, &part);
	while (did == DID_ONE && mt_slab_live(&l->streams, ref) &&
		(c->lower->rx.len || c->lower->rx_eof));
	if (did == DID_GO || !mt_slab_live(&l->streams, ref))
		return;
	c->pumping = false;
	/* Keep an incomplete record, because its start would close the window for its rest. */
	if (part && c->lower->rx.len && !mt_mutant(MT_MUTANT_tls_part_not_kept))
		mt_stream_keep(c->lower, c->lower->rx.len);
	tls_settle(c);
	tls_maybe_leave(c);
}

void tls_receive_rest(struct tls_conn *c)
{
	enum mt_tls_record_got rc = MT_TLS_RECORD_DATA;

	if (c->state != TLS_OPEN || c->broken || c->s.rx_class != MT_CLASS_STREAMING)
		return;
	while (!c->closed_in && c->lower->rx.len &&
		(rc == MT_TLS_RECORD_DATA || rc == MT_TLS_RECORD_OWN)) {
		rc = mt_tls_record_read(
			&c->layer->records, &c->k->r, &c->lower->rx, &c->s.rx, c->layer->now);
		if (rc == MT_TLS_RECORD_CLOSED)
			c->closed_in = c->s.rx_eof = true;
	}
}

/* Reports the end of the handshake to the user. false: the stream is gone. */
static bool tell(struct tls_conn *c)
{
	struct mt_tls_layer *l = c->layer;
	struct mt_ref ref = mt_slab_ref(&l->streams, c);

	c->state = TLS_OPEN;
	c->deadline = MT_NEVER;
	tls_arm(c);
	if (c->opened) {
		mt_count(l->counts, MT_TLS_N_opened);
		c->s.user->connected(&c->s);
		return mt_slab_live(&l->streams, ref);
	}
	l->coming--;
	c->coming = false;
	if (!c->door->listen->accept(c->door->arg, &c->s, c->listener)) {
		c->s.user = &tls_nobody;
		tls_fail(c, -1, MT_ABORT_CANCELLED, MT_CLOSE_LOCAL);
		return false;
	}
	mt_count(l->counts, MT_TLS_N_accepted);
	if (!mt_slab_live(&l->streams, ref))
		return false;
	c->door = NULL;
	c->known = true;
	if (c->s.user->holder)
		c->lower->user = &tls_lower_user_of_held;
	tls_sync(c);
	return true;
}

/*
 * True if the handshake waits for our threads: for a slot, for the hello's result, or for bytes
 * from the peer to be used.
 */
static bool waits_for_us(const struct tls_conn *c)
{
	return c->state == TLS_WANTS ||
	       (c->state == TLS_SHAKING && (c->given == 0 || c->lower->rx.len > 0));
}

/* Pauses of the worker that move a handshake's deadline; many pauses must not keep it forever. */
#define GRACES 3

/* True if the time for the handshake is over; moves a deadline that a pause of the worker used. */
static bool is_late(struct tls_conn *c)
{
	const struct mt_tls_layer *l = c->layer;

	if (mt_likely(l->now < c->deadline))
		return false;
	if (l->now >= l->grace_until || c->graces == GRACES)
		return true;
	c->graces++;
	c->deadline = l->grace_until;
	tls_arm(c);
	return false;
}

void tls_pump(struct tls_conn *c)
{
	if (c->state != TLS_DONE && is_late(c)) {
		if (c->state == TLS_FAILED) {
			tls_shake(c);
			return;
		}
		mt_count(c->layer->counts, MT_TLS_N_timed_out);
		c->layer->failed[MT_TLS_WHY_timed_out]++;
		c->reason = MT_TLS_WHY_timed_out;
		tls_fail(c, -1, MT_ABORT_SLOW,
			waits_for_us(c) ? MT_CLOSE_BUSY : MT_CLOSE_CONNECT_TIMEOUT);
		return;
	}
	if (c->state < TLS_DONE) {
		tls_shake(c);
		return;
	}
	if (c->broken) {
		mt_count(c->layer->counts, MT_TLS_N_key_limit_reached);
		tls_fail(c, -1, MT_ABORT_CANCELLED, MT_CLOSE_LOCAL);
		return;
	}
	if (c->state == TLS_OPEN || tell(c))
		tls_receive(c);
}
