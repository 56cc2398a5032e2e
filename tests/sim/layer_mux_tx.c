/* SPDX-License-Identifier: Apache-2.0 */
/* What a link sends: its own frames, then its streams' bytes, a frame each in turn. */
#include "layer_mux.h"

#define RETRY_NS (5 * MT_MSEC)

static bool put_off(struct mux_link *k)
{
	k->retry_at = k->layer->l.sim->now + RETRY_NS;
	return false;
}

/* Of what the lower stream should hold, each has its part. */
static void squeeze(struct mux *m)
{
	struct mt_stream *lower = m->link->lower;

	lower->yields = true;
	m->s.tx_high = lower->squeezed ? MT_MAX(lower->tx_high / m->link->n, MT_LEDGER_LEAST)
				       : lower->tx_high;
}

void mux_sync(struct mux *m)
{
	if (m->s.yields)
		squeeze(m);
	m->s.tx_queued =
		m->tx.truesize +
		(uint32_t)(m->accepted - m->tx.len -
			   layer_notes_whole(&m->notes, mt_stream_positions(m->link->lower).acked));
	mt_stream_touch(m->link->lower);
}

static void put32(uint8_t *p, uint32_t x)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(x >> (24 - 8 * i));
}

static void header(uint8_t h[FRAME_HEADER], enum frame_type type, uint32_t id, uint32_t len)
{
	h[0] = (uint8_t)type;
	h[1] = 0;
	h[2] = (uint8_t)(len >> 8);
	h[3] = (uint8_t)len;
	put32(h + 4, id);
}

static bool has_value(enum frame_type type)
{
	return type == FRAME_SETTINGS || type == FRAME_CREDIT || type == FRAME_RESET;
}

bool mux_send_frame(struct mux_link *k, enum frame_type type, uint32_t id, uint32_t value)
{
	uint8_t h[FRAME_HEADER + 4];
	uint32_t len = has_value(type) ? 4 : 0;
	struct mt_chain out = {0};

	header(h, type, id, len);
	put32(h + FRAME_HEADER, value);
	if (mt_chain_write(&out, k->layer->l.pools, h, FRAME_HEADER + len))
		return put_off(k);
	if (mt_stream_positions(k->lower).acked >= k->own_until)
		k->own_bytes = 0;
	k->own_bytes += out.len;
	k->given += out.len;
	k->own_until = k->given;
	mt_stream_send(k->lower, &out);
	return true;
}

/*
 * Bytes that its user keeps of a message that must be whole: no more than there are, also if the
 * user took some and sends on another stream before it calls mt_stream_consumed().
 */
static uint32_t kept(const struct mux *m)
{
	return MT_MIN(m->s.rx_kept, m->s.rx.len);
}

/* Credit for what its user has, or will have, beyond what it keeps. */
static uint32_t credit_due(const struct mux *m)
{
	uint32_t out = m->credit_left + m->s.rx.len - kept(m), most = m->link->own_credit;

	/* Whose holder has too much is given less. */
	if (m->link->lower->squeezed && m->s.yields)
		most = MT_MIN(most, m->s.tx_high);
	return out < most ? most - out : 0;
}

static bool return_credit(struct mux_link *k)
{
	struct mt_list *n;

	if (k->credit_due >= MUX_CREDIT / 4) {
		if (!mux_send_frame(k, FRAME_CREDIT, 0, k->credit_due))
			return false;
		k->credit_left += k->credit_due;
		k->credit_due = 0;
	}
	mt_list_foreach (n, &k->streams) {
		struct mux *m = mt_list_entry(n, struct mux, node);
		uint32_t due = m->id && !m->closed_in ? credit_due(m) : 0;

		if (due == 0 || (due < k->own_credit / 4 && m->credit_left))
			continue;
		if (!mux_send_frame(k, FRAME_CREDIT, m->id, due))
			return false;
		m->credit_left += due;
		m->promised = MT_MAX(m->promised, kept(m));
	}
	return true;
}

static bool open_streams(struct mux_link *k)
{
	struct mt_list *n;

	mt_list_foreach (n, &k->streams) {
		struct mux *m = mt_list_entry(n, struct mux, node);

		if (m->id)
			continue;
		if (!mux_send_frame(k, FRAME_OPEN, k->last_id + 2, 0))
			return false;
		m->id = k->last_id = k->last_id + 2;
		m->credit = k->first_credit;
	}
	return true;
}

/* A frame of its bytes. */
static bool send_data(struct mux *m)
{
	struct mux_link *k = m->link;
	uint32_t n = MT_MIN(MT_MIN(m->tx.len, FRAME_MAX), MT_MIN(m->credit, k->credit));
	struct mt_chain out = {0}, body = {0};
	uint8_t h[FRAME_HEADER];
	int rc = mt_chain_split(&m->tx, n, &body, k->layer->l.pools);

	header(h, FRAME_DATA, m->id, body.len);
	if (!body.len || mt_chain_write(&out, k->layer->l.pools, h, sizeof(h))) {
		mt_chain_concat(&body, &m->tx);
		mt_chain_concat(&m->tx, &body);
		return put_off(k);
	}
	m->credit -= body.len;
	k->credit -= body.len;
	layer_notes_add(&m->notes, (struct layer_note){m->accepted - m->tx.len, k->given,
					   k->given + FRAME_HEADER + body.len});
	mt_chain_concat(&out, &body);
	k->given += out.len;
	mt_stream_send(k->lower, &out);
	return rc ? put_off(k) : true;
}

static struct mux *next_to_send(struct mux_link *k)
{
	struct mt_list *n;

	mt_list_foreach (n, &k->streams) {
		struct mux *m = mt_list_entry(n, struct mux, node);

		if (m->id && m->tx.len && m->credit)
			return m;
		if (m->id && m->tx.len)
			layer_saw(&k->layer->l, SIM_MUX_OUT_OF_CREDIT);
	}
	return NULL;
}

/* A frame takes buffers however short it is: whose holder has too much sends no more of them than its tx_high. */
static bool may_send(const struct mux_link *k)
{
	const struct mt_stream *lower = k->lower;

	return k->credit && mt_stream_room(lower) > 0 &&
	       !(lower->squeezed && lower->tx_queued >= lower->tx_high);
}

static void send_streams(struct mux_link *k)
{
	struct mux *m;

	while (may_send(k) && (m = next_to_send(k))) {
		if (!send_data(m))
			return;
		mt_list_del(&m->node);
		mt_list_add_tail(&k->streams, &m->node);
	}
}

static void send_closes(struct mux_link *k)
{
	struct mt_list *n;

	mt_list_foreach (n, &k->streams) {
		struct mux *m = mt_list_entry(n, struct mux, node);

		if (m->id && m->s.tx_shut && !m->close_sent && !m->tx.len)
			m->close_sent = mux_send_frame(k, FRAME_CLOSE, m->id, 0);
	}
}

void mux_flush(struct mux_link *k)
{
	struct mt_list *n;

	if (k->settings_due && mux_send_frame(k, FRAME_SETTINGS, 0, k->own_credit))
		k->settings_due = false;
	if (k->ready && !k->settings_due && (!k->opened || open_streams(k)) && return_credit(k)) {
		if (k->away_due && mux_send_frame(k, FRAME_AWAY, 0, 0)) {
			layer_saw(&k->layer->l, SIM_MUX_AWAY);
			k->away_due = false;
		}
		send_streams(k);
		send_closes(k);
	}
	mt_list_foreach (n, &k->streams)
		mux_sync(mt_list_entry(n, struct mux, node));
	mt_stream_touch(k->lower);
}
