/* SPDX-License-Identifier: Apache-2.0 */
/* What a stream of records sends. */
#include "layer_records.h"
#include "mt_mutant.h"

/* Bytes of the layer's own that may be unacknowledged, hello, close and alert apart: who asks for more waits. */
#define RESERVE	 (4 * RECORD_HEADER)
#define RETRY_NS (5 * MT_MSEC)

static struct layer *layer_of(const struct rec *r)
{
	return (struct layer *)r->layer;
}

void rec_sync(struct rec *r)
{
	struct mt_stream *s = &r->s, *lower = r->lower;

	if (lower->rx_class != s->rx_class || lower->tx_class != s->tx_class)
		mt_stream_class(lower, s->rx_class, s->tx_class);
	lower->yields = s->yields;
	lower->silent = s->silent;
	if (s->yields)
		s->tx_high = lower->tx_high;
	s->squeezed = lower->squeezed;
	s->tx_queued = lower->tx_queued + r->plain.truesize;
	/* What it keeps itself is the lower one's to be charged. */
	mt_stream_touch(lower);
}

/* No memory: nothing else will call. */
static bool put_off(struct rec *r)
{
	r->retry_at = layer_of(r)->sim->now + RETRY_NS;
	return false;
}

static void give(struct rec *r, struct mt_chain *sealed)
{
	r->given += sealed->len;
	mt_stream_send(r->lower, sealed);
}

/* A record without text. */
static bool send_own(struct rec *r, enum record_type type)
{
	struct record rec = {.type = type, .generation = r->tx_generation};
	struct mt_chain out = {0};

	if (record_seal(NULL, 0, &rec, &out, layer_of(r)->pools))
		return put_off(r);
	give(r, &out);
	return true;
}

/* From the reserve, whatever the user has queued. */
static bool send_update(struct rec *r, enum record_type type)
{
	struct mt_stream_pos pos = mt_stream_positions(r->lower);

	if (pos.acked >= r->own_until)
		r->own_bytes = 0;
	r->full = r->own_bytes + RECORD_HEADER > RESERVE;
	if (r->full || !send_own(r, type))
		return false;
	r->own_bytes += RECORD_HEADER;
	r->own_until = r->given;
	r->tx_generation++;
	return true;
}

static bool send_updates(struct rec *r)
{
	struct layer *l = layer_of(r);
	bool idle = r->plain.len == 0 && r->lower->tx_queued == 0;
	bool full = r->s.tx_queued >= r->s.tx_high;

	if (r->answer_due &&
		!(mt_mutant(MT_MUTANT_layer_update_waits) && r->sealed == r->accepted)) {
		if (!send_update(r, RECORD_UPDATE))
			return false;
		r->answer_due = false;
		layer_saw(l, SIM_LAYER_UPDATE);
		if (idle)
			layer_saw(l, SIM_LAYER_UPDATE_IDLE);
		if (full)
			layer_saw(l, SIM_LAYER_UPDATE_FULL);
	}
	if (r->update_due) {
		if (!send_update(r, RECORD_UPDATE_ASK))
			return false;
		r->update_due = false;
	}
	return true;
}

static bool seal_one(struct rec *r)
{
	struct layer *l = layer_of(r);
	uint32_t left = (uint32_t)(r->accepted - r->sealed), most = RECORD_MAX;
	struct mt_chain out = {0};
	struct record rec;

	if (sim_one_in(&l->sim->host_rand, 8))
		most = (uint32_t)sim_between(&l->sim->host_rand, 1, RECORD_MAX);
	rec = (struct record){
		.type = RECORD_DATA, .generation = r->tx_generation, .len = MT_MIN(left, most)};
	if (record_seal(&r->plain, (uint32_t)(r->sealed - r->plain_at), &rec, &out, l->pools))
		return put_off(r);
	r->sealed += rec.len;
	layer_notes_add(&r->notes, (struct layer_note){r->sealed, r->given, r->given + out.len});
	if (!r->opened) { /* nobody will send it again */
		mt_chain_drop(&r->plain, rec.len);
		r->plain_at = r->sealed;
	}
	give(r, &out);
	return true;
}

static bool send_data(struct rec *r)
{
	while (r->sealed < r->accepted)
		if (!seal_one(r))
			return false;
	return true;
}

void rec_flush(struct rec *r)
{
	if (r->hello_due && send_own(r, RECORD_HELLO))
		r->hello_due = false;
	if (r->established && !r->hello_due) {
		(void)send_updates(r);
		if (send_data(r) && r->s.tx_shut && !r->close_sent && send_own(r, RECORD_CLOSE)) {
			r->close_sent = true;
			mt_stream_shutdown(r->lower);
		}
	}
	rec_sync(r);
}
