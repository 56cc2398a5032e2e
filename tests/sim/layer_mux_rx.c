/* SPDX-License-Identifier: Apache-2.0 */
/* What a link receives, and what its streams' users are told. */
#include "layer_mux.h"
#include "mt_mutant.h"

#define FRAMES	  32 /* at a time: then others have their turn */
#define ID_LONGER 6u /* a varint of 5 bytes becomes one of 10, and a length gets one more */

enum did { DID_ONE, DID_WAIT, DID_GO };

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static struct mux *find(const struct mux_link *k, uint32_t id)
{
	struct mt_list *n;

	mt_list_foreach (n, &k->streams) {
		struct mux *m = mt_list_entry(n, struct mux, node);

		if (m->id == id && id)
			return m;
	}
	return NULL;
}

/* The stream is over, and the link goes on. */
static void reset_one(struct mux *m)
{
	layer_saw(&m->link->layer->l, SIM_MUX_RESET);
	(void)mux_send_frame(m->link, FRAME_RESET, m->id, 0);
	mux_end(m, MT_CLOSE_RESET);
}

static enum did violated(struct mux_link *k)
{
	mux_link_fail(k, MT_ABORT_PROTOCOL, MT_CLOSE_RESET);
	return DID_GO;
}

static void refuse(struct mux_link *k, uint32_t id)
{
	(void)mux_send_frame(k, FRAME_RESET, id, 1);
}

static enum did open_in(struct mux_link *k, uint32_t id)
{
	struct layer *l = &k->layer->l;
	struct mux *m;

	if (k->opened || id <= k->last_id || !(id & 1))
		return violated(k);
	k->last_id = id;
	m = k->n < MUX_STREAMS ? mux_new(k) : NULL;
	if (!m) {
		refuse(k, id);
		return DID_ONE;
	}
	m->id = id;
	m->credit = k->first_credit;
	m->told_connected = true;
	if (!l->listen->accept(l->listen_arg, &m->s, k->listener)) {
		m->s.user = &mux_nobody;
		refuse(k, id);
		mux_free(m);
		return DID_ONE;
	}
	layer_saw(l, SIM_MUX_STREAM);
	return DID_ONE;
}

/* Whether another stream of the link stands still while this one goes on. */
static bool beside_paused(const struct mux *m)
{
	const struct mt_list *n;

	mt_list_foreach (n, &m->link->streams) {
		const struct mux *o = mt_list_entry(n, struct mux, node);

		if (o != m && o->id && o->credit_left == 0 && o->s.rx.len)
			return true;
	}
	return false;
}

/* Small pieces are put together, so that a buffer is not held for a few bytes. */
static void take(struct mux *m, struct mt_chain *body)
{
	struct mt_chain *rx = &m->s.rx;

	mt_chain_concat(rx, body);
	if (rx->truesize > 2 * (rx->len + MT_BUF_DATA_ROOM))
		mt_chain_compact(rx, m->link->layer->l.pools);
	m->had = rx->len;
}

/*
 * Bytes that the user adds to s->rx need no credit. It adds a few if it restores the id of a reply
 * that waits there, and the client's id is the longer varint (Thrift's compact protocol, codec files).
 */
void mux_rx_changed(struct mux *m)
{
	uint32_t len = m->s.rx.len;

	if (len > m->had)
		m->promised += MT_MIN(len - m->had, ID_LONGER);
	if (len == 0)
		m->promised = 0;
	m->had = len;
}

/* The frame's header has been dropped; its bytes go on to the user, or are freed. */
static enum did data_in(struct mux_link *k, struct mux *m, uint32_t len)
{
	struct mt_chain body = {0};

	if (len > k->credit_left)
		return violated(k);
	if (mt_chain_split(&k->lower->rx, len, &body, k->layer->l.pools)) {
		mt_chain_free(&body);
		mux_link_fail(k, MT_ABORT_CANCELLED, MT_CLOSE_NO_MEMORY);
		return DID_GO;
	}
	mt_stream_consumed(k->lower);
	k->credit_left -= len;
	if (!(mt_mutant(MT_MUTANT_mux_pause_stops_all) && m && m->s.rx.len))
		k->credit_due += len;
	if (!m || m->detached_until != MT_NEVER) {
		mt_chain_free(&body);
		return DID_ONE;
	}
	if (len > m->credit_left || m->closed_in) {
		mt_chain_free(&body);
		reset_one(m);
		return DID_ONE;
	}
	m->credit_left -= len;
	take(m, &body);
	mux_sync(m);
	if (beside_paused(m))
		layer_saw(&k->layer->l, SIM_MUX_BESIDE_PAUSED);
	m->s.user->readable(&m->s);
	return DID_ONE;
}

static enum did credit_in(struct mux_link *k, struct mux *m, uint32_t id, uint32_t more)
{
	uint32_t *credit = id ? (m ? &m->credit : NULL) : &k->credit;

	if (!credit)
		return DID_ONE; /* for one that is over */
	if (more == 0 || more > MUX_CREDIT_MAX - MT_MIN(*credit, MUX_CREDIT_MAX)) {
		if (!id)
			return violated(k);
		reset_one(m);
		return DID_ONE;
	}
	*credit += more;
	return DID_ONE;
}

static void reset_in(struct mux *m, uint32_t why)
{
	m->refused = why == 1;
	mux_end(m, m->refused && !m->told_connected ? MT_CLOSE_REFUSED : MT_CLOSE_RESET);
}

static enum did close_in(struct mux *m)
{
	m->closed_in = m->s.rx_eof = true;
	m->s.user->eof(&m->s);
	return DID_ONE;
}

static enum did settings_in(struct mux_link *k, uint32_t credit)
{
	if (k->ready)
		return violated(k);
	k->ready = true;
	k->ready_until = MT_NEVER;
	k->first_credit = credit;
	return DID_ONE;
}

static enum did frame_in(struct mux_link *k, const struct frame *f, uint32_t value)
{
	struct mux *m = find(k, f->id);

	/* Of a stream that was never opened; on one that is over, it crossed its end. */
	if (f->type != FRAME_OPEN && f->id > k->last_id)
		return violated(k);
	switch (f->type) {
	case FRAME_SETTINGS:
		return settings_in(k, value);
	case FRAME_OPEN:
		return open_in(k, f->id);
	case FRAME_DATA:
		return data_in(k, m, f->len);
	case FRAME_CREDIT:
		return credit_in(k, m, f->id, value);
	case FRAME_CLOSE:
		return m && !m->closed_in ? close_in(m) : DID_ONE;
	case FRAME_RESET:
		if (m)
			reset_in(m, value);
		return DID_ONE;
	default:
		k->away = true;
		return DID_ONE;
	}
}

static bool wrong(const struct mux_link *k, const struct frame *f)
{
	static const uint8_t lens[FRAME_N_TYPES] = {
		[FRAME_SETTINGS] = 4, [FRAME_CREDIT] = 4, [FRAME_RESET] = 4};

	if (f->type >= FRAME_N_TYPES || f->len > FRAME_MAX)
		return true;
	if (!k->ready && f->type != FRAME_SETTINGS)
		return true;
	return f->type == FRAME_DATA ? f->len == 0 : f->len != lens[f->type];
}

static enum did receive(struct mux_link *k, bool *part)
{
	struct mt_stream *lower = k->lower;
	uint8_t scratch[FRAME_HEADER + 4];
	const uint8_t *p = mt_chain_peek(&lower->rx, 0, FRAME_HEADER, scratch);
	uint32_t value = 0;
	struct frame f;

	*part = !p;
	if (!p)
		return DID_WAIT;
	f = (struct frame){p[0], (uint32_t)p[2] << 8 | p[3], get32(p + 4)};
	if (wrong(k, &f))
		return violated(k);
	*part = lower->rx.len < FRAME_HEADER + f.len;
	if (*part)
		return DID_WAIT;
	/* Who does not take the answers is not read. */
	if (k->own_bytes >= MUX_RESERVE && mt_stream_positions(lower).acked < k->own_until)
		return DID_WAIT;
	if (f.type == FRAME_DATA) {
		mt_stream_drop(lower, FRAME_HEADER);
		return frame_in(k, &f, 0);
	}
	if (f.len == 4)
		value = get32(mt_chain_peek(&lower->rx, FRAME_HEADER, 4, scratch));
	mt_stream_drop(lower, FRAME_HEADER + f.len);
	return frame_in(k, &f, value);
}

/* ---- users ---- */

static void acked(struct mux *m)
{
	uint64_t at = mt_stream_positions(m->link->lower).acked;
	uint32_t bytes;

	layer_notes_acked(&m->notes, at);
	bytes = (uint32_t)(m->notes.floor - m->told);
	m->told = m->notes.floor;
	if (bytes && m->s.user->acked)
		m->s.user->acked(&m->s, bytes);
}

static bool is_over(const struct mux *m)
{
	return m->closed_in && m->close_sent && !m->s.rx.len && m->notes.n == 0;
}

/* What is due to be told; the user may end this stream, or others, each time. */
static void tell(struct muxes *l, struct mt_ref ref)
{
	struct mux *m = mt_slab_get(&l->streams, ref);

	if (m && m->id && !m->told_connected) {
		m->told_connected = true;
		layer_saw(&l->l, SIM_MUX_STREAM);
		m->s.user->connected(&m->s);
	}
	m = mt_slab_get(&l->streams, ref);
	if (m)
		acked(m);
	m = mt_slab_get(&l->streams, ref);
	if (m)
		mux_sync(m);
	if (m && m->s.want_writable && m->s.tx_queued <= m->s.tx_high / 2) {
		m->s.want_writable = false;
		m->s.user->writable(&m->s);
	}
	m = mt_slab_get(&l->streams, ref);
	if (m && l->l.sim->now >= m->detached_until)
		reset_one(m);
	else if (m && is_over(m))
		mux_end(m, MT_CLOSE_OK);
}

static void tell_all(struct mux_link *k)
{
	struct muxes *l = k->layer;
	struct mt_ref ref[MUX_STREAMS * 2];
	struct mt_list *node;
	uint32_t n = 0;

	mt_list_foreach (node, &k->streams)
		if (n < MT_ARRAY_LEN(ref))
			ref[n++] = mt_slab_ref(&l->streams, mt_list_entry(node, struct mux, node));
	for (uint32_t i = 0; i < n; i++)
		tell(l, ref[i]);
}

/* ---- the link ---- */

static bool look_at_clock(struct mux_link *k)
{
	uint64_t now = k->layer->l.sim->now;

	if (now >= k->ready_until) {
		mux_link_fail(k, MT_ABORT_SLOW, MT_CLOSE_CONNECT_TIMEOUT);
		return false;
	}
	if (now >= k->retry_at)
		k->retry_at = MT_NEVER;
	if (now >= k->away_at) {
		k->away_at = MT_NEVER;
		k->away = k->away_due = true;
	}
	return true;
}

/* Nobody is left on it, and nobody comes: who opened it waits a while. */
static bool leave(struct mux_link *k)
{
	bool out = k->lower->rx_eof || k->away || k->layer->l.sim->now >= k->idle_at;

	if (k->n || !out || k->settings_due || k->away_due)
		return false;
	if (!k->opened && !k->lower->rx_eof)
		return false; /* who opened it ends it */
	k->dying = true;
	mt_stream_detach(k->lower);
	mt_slab_free(&k->layer->links, k);
	return true;
}

/* The link's end in the middle of a stream is a reset of it. What has been closed both ways may still be read. */
static bool any_goes_on(const struct mux_link *k)
{
	const struct mt_list *n;

	mt_list_foreach (n, &k->streams) {
		const struct mux *m = mt_list_entry(n, struct mux, node);

		if (!m->closed_in || !m->close_sent)
			return true;
	}
	return false;
}

void mux_pump(struct mux_link *k)
{
	struct muxes *l = k->layer;
	struct mt_ref ref = mt_slab_ref(&l->links, k);
	enum did did = DID_ONE;
	bool part = false;

	if (!look_at_clock(k))
		return;
	for (uint32_t i = 0; i < FRAMES && did == DID_ONE; i++) {
		did = receive(k, &part);
		if (did == DID_GO || !mt_slab_get(&l->links, ref))
			return;
	}
	if (did == DID_ONE)
		mt_stream_again(k->lower);
	if (part)
		mt_stream_keep(k->lower, k->lower->rx.len);
	if (k->lower->rx_eof && (part || !k->lower->rx.len) && any_goes_on(k)) {
		mux_link_fail(k, MT_ABORT_RELAYED, MT_CLOSE_RESET);
		return;
	}
	mux_flush(k);
	tell_all(k);
	if (!mt_slab_get(&l->links, ref))
		return;
	mux_flush(k);
	(void)leave(k);
}
