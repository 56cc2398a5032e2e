/* SPDX-License-Identifier: Apache-2.0 */
/* What a stream of records receives: one record at a time, as the user has room. */
#include "layer_records.h"
#include "mt_mutant.h"

#include <errno.h>

#define RETRY_NS (5 * MT_MSEC)

/* What a receiving step did. */
enum did { DID_ONE, DID_WAIT, DID_GO };

/* At most one record is above what the user keeps for a longer message. */
bool rec_has_room(struct rec *r)
{
	bool room = r->s.rx.len <= r->s.rx_kept;

	if (room)
		r->records = 0;
	return room || (mt_mutant(MT_MUTANT_layer_keeps_two) && r->records < 2);
}

static void hello_in(struct rec *r)
{
	struct layer *l = &r->layer->l;

	r->established = true;
	r->hello_until = MT_NEVER;
	if (r->updates_left)
		r->update_at = l->sim->now + sim_between(&l->sim->host_rand, 0, 300) * MT_MSEC;
	if (r->opened) {
		layer_saw(l, SIM_LAYER_OPENED);
		r->s.user->connected(&r->s);
		return;
	}
	r->hello_due = true;
	rec_flush(r);
	if (!l->listen->accept(l->listen_arg, &r->s, r->listener)) {
		r->established = false;
		r->s.user = &rec_nobody;
		rec_fail(r, MT_ABORT_CANCELLED, MT_CLOSE_LOCAL);
		return;
	}
	layer_saw(l, SIM_LAYER_ACCEPTED);
	if (r->s.user->holder)
		r->lower->user = &rec_lower_user_of_held;
	rec_sync(r);
}

static enum did data_in(struct rec *r, const struct record *rec)
{
	int rc;

	if (!rec_has_room(r))
		return DID_WAIT;
	rc = record_open(&r->lower->rx, rec, &r->s.rx, r->layer->l.pools);
	if (rc == -ENOMEM) {
		r->retry_at = r->layer->l.sim->now + RETRY_NS;
		return DID_WAIT;
	}
	if (rc) {
		rec_fail(r, MT_ABORT_PROTOCOL, MT_CLOSE_RESET);
		return DID_GO;
	}
	r->records++;
	mt_stream_drop(r->lower, RECORD_HEADER + rec->len);
	rec_sync(r);
	r->s.user->readable(&r->s);
	return DID_ONE;
}

static enum did close_in(struct rec *r)
{
	/* The lower stream's end, which may follow, waits for this record; so this one waits for the user. */
	if (!rec_has_room(r))
		return DID_WAIT;
	mt_stream_drop(r->lower, r->lower->rx.len);
	r->closed_in = r->s.rx_eof = true;
	rec_sync(r);
	r->s.user->eof(&r->s);
	return DID_ONE;
}

static enum did own_in(struct rec *r, const struct record *rec)
{
	mt_stream_drop(r->lower, RECORD_HEADER);
	switch (rec->type) {
	case RECORD_HELLO:
		hello_in(r);
		return DID_ONE;
	case RECORD_ALERT:
		rec_fail(r, MT_ABORT_RELAYED, MT_CLOSE_RESET);
		return DID_GO;
	case RECORD_UPDATE_ASK:
		r->answer_due = !r->close_sent;
		break;
	default:
		break;
	}
	r->rx_generation++;
	rec_flush(r);
	return DID_ONE;
}

/* FIN, and no close before it: somebody else may have sent it. */
static enum did cut_off(struct rec *r)
{
	if (!r->lower->rx_eof || r->closed_in)
		return DID_WAIT;
	rec_fail(r, MT_ABORT_PROTOCOL, MT_CLOSE_RESET);
	return DID_GO;
}

/* One record. DID_WAIT: none is there, or *full: the user has no room. */
static enum did receive(struct rec *r, bool *part)
{
	struct mt_stream *lower = r->lower;
	struct record rec;
	int is = record_peek(&lower->rx, &rec);

	if (r->closed_in) { /* nothing has a meaning behind it */
		if (lower->rx.len)
			mt_stream_drop(lower, lower->rx.len);
		return DID_WAIT;
	}
	if (is < 0 || (is && (rec.generation != r->rx_generation ||
				     (rec.type == RECORD_HELLO) == r->established))) {
		rec_fail(r, MT_ABORT_PROTOCOL, MT_CLOSE_RESET);
		return DID_GO;
	}
	*part = !is || lower->rx.len < RECORD_HEADER + rec.len;
	if (*part)
		return cut_off(r);
	if (rec.type == RECORD_DATA)
		return data_in(r, &rec);
	return rec.type == RECORD_CLOSE ? close_in(r) : own_in(r, &rec);
}

/* What is due by its time. false: it is over. */
static bool look_at_clock(struct rec *r)
{
	uint64_t now = r->layer->l.sim->now;

	if (now >= r->hello_until) {
		rec_fail(r, MT_ABORT_SLOW, MT_CLOSE_CONNECT_TIMEOUT);
		return false;
	}
	if (now >= r->retry_at)
		r->retry_at = MT_NEVER;
	if (now >= r->update_at) {
		r->update_at = MT_NEVER;
		r->update_due = !r->close_sent;
		if (--r->updates_left)
			r->update_at =
				now + sim_between(&r->layer->l.sim->host_rand, 1, 2000) * MT_MSEC;
	}
	return true;
}

/* The user may end this stream, or any other, in each of its events. */
void rec_pump(struct rec *r)
{
	struct records *k = r->layer;
	struct mt_ref ref = mt_slab_ref(&k->streams, r);
	bool part = false;
	enum did did;

	if (!look_at_clock(r))
		return;
	r->pumping = true;
	do
		did = receive(r, &part);
	while (did == DID_ONE && mt_slab_get(&k->streams, ref));
	if (did == DID_GO || !mt_slab_get(&k->streams, ref))
		return;
	r->pumping = false;
	/*
	 * The rest of a record would never come through a window that its begin shuts. What is whole stays kept while the user has no room for
	 * it: the window that was opened for it has been promised.
	 */
	if (part)
		mt_stream_keep(r->lower, r->lower->rx.len);
	rec_flush(r);
	rec_maybe_leave(r);
}
