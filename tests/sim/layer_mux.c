/* SPDX-License-Identifier: Apache-2.0 */
/* Multiplexed streams: the life of links and streams, users' verbs, the lower stream's events. */
#include "layer_mux.h"

#include <errno.h>
#include <stdlib.h>

#define LINKS	    128
#define STREAMS	    512
#define READY_MS    10000
#define IDLE_NS	    (2 * MT_SEC)
#define DETACHED_NS (60 * MT_SEC)

static const struct mt_stream_user lower_user;

static struct mux *mux_of(const struct mt_stream *s)
{
	return (struct mux *)s;
}

static struct mux_link *link_of(const struct mt_stream *lower)
{
	struct muxes *l = lower->user_ctx;

	return mt_slab_at(&l->links, lower->owner_idx);
}

/* ---- life ---- */

static struct mux_link *link_new(struct muxes *l)
{
	struct mux_link *k = mt_slab_alloc(&l->links, NULL);

	if (!k)
		return NULL;
	k->layer = l;
	mt_list_init(&k->streams);
	k->credit = k->credit_left = MUX_CREDIT;
	k->own_credit = (uint32_t)sim_between(&l->l.sim->host_rand, 2048, 24000);
	k->ready_until = k->idle_at = k->away_at = k->retry_at = MT_NEVER;
	return k;
}

struct mux *mux_new(struct mux_link *k)
{
	struct mux *m = mt_slab_alloc(&k->layer->streams, NULL);

	if (!m)
		return NULL;
	m->link = k;
	m->s.ops = &k->layer->stream_ops;
	m->s.user = &mux_nobody;
	m->s.rx_class = k->lower->rx_class;
	m->s.tx_class = k->lower->tx_class;
	m->s.tx_high = k->lower->tx_high;
	m->detached_until = MT_NEVER;
	m->credit_left = k->own_credit;
	mt_list_add_tail(&k->streams, &m->node);
	k->n++;
	return m;
}

void mux_free(struct mux *m)
{
	struct mux_link *k = m->link;

	mt_list_del(&m->node);
	if (--k->n == 0)
		k->idle_at = k->layer->l.sim->now + IDLE_NS;
	mt_chain_free(&m->s.rx);
	mt_chain_free(&m->tx);
	layer_notes_free(&m->notes);
	mt_stream_touch(k->lower);
	mt_slab_free(&k->layer->streams, m);
}

void mux_end(struct mux *m, enum mt_close_reason reason)
{
	m->s.user->closed(&m->s, reason);
	m->s.user = &mux_nobody;
	m->s.keeps = false;
	mux_free(m);
}

static void end_all(struct mux_link *k, enum mt_close_reason reason)
{
	k->dying = true;
	while (!mt_list_empty(&k->streams))
		mux_end(mt_list_entry(mt_list_first(&k->streams), struct mux, node), reason);
}

void mux_link_fail(struct mux_link *k, enum mt_abort_reason why, enum mt_close_reason reason)
{
	end_all(k, reason);
	mt_stream_abort(k->lower, why);
	mt_slab_free(&k->layer->links, k);
}

/* ---- the lower stream's events ---- */

static void on_connected(struct mt_stream *lower)
{
	struct mux_link *k = link_of(lower);

	k->settings_due = true;
	mux_flush(k);
}

static void on_any(struct mt_stream *lower)
{
	mux_pump(link_of(lower));
}

static void on_acked(struct mt_stream *lower, uint32_t bytes)
{
	mux_pump(link_of(lower));
}

static void on_closed(struct mt_stream *lower, enum mt_close_reason reason)
{
	struct mux_link *k = link_of(lower);

	end_all(k, reason == MT_CLOSE_OK ? MT_CLOSE_RESET : reason);
	mt_slab_free(&k->layer->links, k);
}

static void add_held(struct mux *m, struct mt_sums *sums)
{
	struct mt_stream *s = &m->s;

	sums->of[s->rx_class] += s->rx.truesize;
	sums->of[s->tx_class] += m->tx.truesize;
	if (s->keeps && s->user->holds)
		s->user->holds(s, sums);
}

static void on_holds(struct mt_stream *lower, struct mt_sums *sums)
{
	const struct mux_link *k = link_of(lower);
	struct mt_list *n;
	bool keeps = false;

	mt_list_foreach (n, &k->streams) {
		struct mux *m = mt_list_entry(n, struct mux, node);

		add_held(m, sums);
		keeps |= m->s.rx.truesize || m->tx.truesize || m->s.keeps;
	}
	lower->keeps = keeps;
}

/* The stream that holds the most gives way, not all that share the link. */
static void on_evict(struct mt_stream *lower, enum mt_class c)
{
	struct mux_link *k = link_of(lower);
	struct mux *most = NULL;
	uint32_t of_most = 0;
	struct mt_list *n;

	mt_list_foreach (n, &k->streams) {
		struct mux *m = mt_list_entry(n, struct mux, node);
		struct mt_sums sums = {0};

		add_held(m, &sums);
		if (sums.of[c] > of_most && m->s.user->evict) {
			most = m;
			of_most = sums.of[c];
		}
	}
	if (most)
		most->s.user->evict(&most->s, c);
}

static const struct mt_stream_user lower_user = {.connected = on_connected,
	.readable = on_any,
	.eof = on_any,
	.writable = on_any,
	.acked = on_acked,
	.closed = on_closed,
	.holds = on_holds,
	.evict = on_evict};

static void never(struct mt_stream *s)
{
	mt_chain_free(&s->rx);
}

static void never_closed(struct mt_stream *s, enum mt_close_reason reason)
{
}

const struct mt_stream_user mux_nobody = {.connected = never,
	.readable = never,
	.eof = never,
	.writable = never,
	.closed = never_closed};

/* ---- the user's verbs ---- */

static void op_consumed(struct mt_stream *s)
{
	struct mux *m = mux_of(s);

	mux_rx_changed(m);
	mux_flush(m->link);
	if (m->closed_in)
		mt_stream_again(m->link->lower); /* it may have been the last that it waited for */
}

static void op_send(struct mt_stream *s, struct mt_chain *c)
{
	struct mux *m = mux_of(s);

	m->accepted += c->len;
	mt_chain_concat(&m->tx, c);
	mux_flush(m->link);
}

static void op_shutdown(struct mt_stream *s)
{
	struct mux *m = mux_of(s);

	s->tx_shut = true;
	mux_flush(m->link);
	mt_stream_again(m->link->lower);
}

/* The link goes on, and on it what was given to it: that it was not sent can't be said any more. */
static void op_abort(struct mt_stream *s, enum mt_abort_reason why)
{
	struct mux *m = mux_of(s);
	struct mux_link *k = m->link;

	if (m->id && !k->dying) {
		layer_saw(&k->layer->l, SIM_MUX_RESET);
		(void)mux_send_frame(k, FRAME_RESET, m->id, 0);
	}
	mux_free(m);
}

static void op_detach(struct mt_stream *s)
{
	struct mux *m = mux_of(s);
	struct mux_link *k = m->link;

	if (!m->id) {
		mux_free(m);
		return;
	}
	m->detached_until = k->layer->l.sim->now + DETACHED_NS;
	s->user = &mux_nobody;
	s->keeps = false;
	mt_chain_free(&s->rx);
	s->rx_kept = 0;
	s->tx_shut = true;
	mux_flush(k);
	mt_stream_again(k->lower);
}

/* The connection below is others', too. */
static void op_refuse(struct mt_stream *s, uint32_t words)
{
}

static void op_touch(struct mt_stream *s)
{
	mt_stream_touch(mux_of(s)->link->lower);
}

static void op_again(struct mt_stream *s)
{
	mt_stream_again(mux_of(s)->link->lower);
}

/* The streams of a link are alike, and what it holds itself is theirs. */
static void op_class(struct mt_stream *s, enum mt_class rx, enum mt_class tx)
{
	mt_stream_class(mux_of(s)->link->lower, rx, tx);
	s->rx_class = (uint8_t)rx;
	s->tx_class = (uint8_t)tx;
	op_touch(s);
}

static const struct mt_tuple *op_ends(const struct mt_stream *s)
{
	return mt_stream_ends(mux_of(s)->link->lower);
}

static uint32_t op_room(const struct mt_stream *s)
{
	const struct mux *m = mux_of(s);
	uint32_t room = mt_stream_room(m->link->lower);

	room = MT_MIN(room, MT_MIN(m->credit, m->link->credit) + MT_STREAM_AHEAD);
	return m->tx.len < room ? room - m->tx.len : 0;
}

static void op_positions(const struct mt_stream *s, struct mt_stream_pos *pos)
{
	const struct mux *m = mux_of(s);

	pos->accepted = m->accepted;
	/* An abort does not take back what the link has. */
	pos->sent = m->accepted - m->tx.len;
	pos->acked = layer_notes_whole(&m->notes, mt_stream_positions(m->link->lower).acked);
}

static void op_end(const struct mt_stream *s, struct mt_stream_end *e)
{
	const struct mux *m = mux_of(s);

	mt_stream_end(m->link->lower, e);
	op_positions(s, &e->pos);
	e->resent = layer_notes_begun(&m->notes, e->resent);
	e->fin_acked = layer_notes_whole(&m->notes, e->fin_acked);
	e->reset_acked = layer_notes_whole(&m->notes, e->reset_acked);
	/* Refused: its application has seen nothing, whatever its machine has acknowledged. */
	if (m->refused)
		*e = (struct mt_stream_end){.pos = {m->accepted, m->accepted - m->tx.len, 0},
			.reset = true,
			.reset_ack = true};
}

/* Behind `to`, what the link holds of [first, last), which is in its frames. */
static int reclaim_given(const struct mux *m, uint64_t first, uint64_t last, struct mt_chain *to)
{
	uint64_t at = m->notes.floor;

	for (uint32_t i = 0; i < m->notes.n && at < last; i++) {
		const struct layer_note *w = &m->notes.at[(m->notes.head + i) % m->notes.cap];
		uint64_t from = MT_MAX(first, at), until = MT_MIN(last, w->upper);
		uint64_t lower = w->first + FRAME_HEADER - at;
		int rc = 0;

		if (from < until)
			rc = mt_stream_reclaim(m->link->lower, lower + from, lower + until, to);
		if (rc)
			return rc;
		at = w->upper;
	}
	return 0;
}

static int op_reclaim(const struct mt_stream *s, uint64_t first, uint64_t last, struct mt_chain *to)
{
	const struct mux *m = mux_of(s);
	uint64_t given = m->accepted - m->tx.len;
	struct mt_chain out = {0};
	int rc;

	if (first < m->notes.floor || last > m->accepted)
		return -ENODATA;
	rc = reclaim_given(m, first, MT_MIN(last, given), &out);
	if (!rc && last > given) {
		uint64_t from = MT_MAX(first, given);

		rc = mt_chain_copy(&m->tx, (uint32_t)(from - given), (uint32_t)(last - from), &out,
			m->link->layer->l.pools);
	}
	if (rc) {
		mt_chain_free(&out);
		return rc;
	}
	layer_saw(&m->link->layer->l, SIM_LAYER_RECLAIMED);
	mt_chain_concat(to, &out);
	return 0;
}

/* ---- the transport ---- */

static struct mux_link *link_to(struct muxes *l, const struct mt_stream_to *to)
{
	struct mux_link *k;
	uint32_t i = 0;

	while ((k = mt_slab_next(&l->links, &i)))
		if (k->opened && !k->away && !k->dying && k->n < MUX_STREAMS && !k->lower->rx_eof &&
			k->port == to->port && mt_addr_eq(&k->to, to->remote))
			return k;
	return NULL;
}

static struct mux_link *link_open(
	struct muxes *l, const struct mt_stream_to *to, enum mt_close_reason *why)
{
	struct mux_link *k = link_new(l);
	struct mt_stream_to down = *to;

	*why = MT_CLOSE_NO_MEMORY;
	if (!k)
		return NULL;
	down.user = &lower_user;
	down.user_ctx = l;
	down.owner_idx = mt_slab_idx(&l->links, k);
	k->lower = mt_stream_open(l->l.lower, &down, why);
	if (!k->lower) {
		mt_slab_free(&l->links, k);
		return NULL;
	}
	k->opened = true;
	k->to = *to->remote;
	k->port = to->port;
	k->last_id = UINT32_MAX; /* + 2: the first is 1 */
	k->ready_until =
		l->l.sim->now + (to->connect_ms ? to->connect_ms : READY_MS) * (uint64_t)MT_MSEC;
	return k;
}

static struct mt_stream *op_open(
	struct mt_transport *t, const struct mt_stream_to *to, enum mt_close_reason *why)
{
	struct muxes *l = mt_container_of(t, struct muxes, l.transport);
	struct mux_link *k = link_to(l, to);
	struct mux *m;

	if (!k)
		k = link_open(l, to, why);
	if (!k)
		return NULL;
	m = mux_new(k);
	if (!m) {
		*why = MT_CLOSE_NO_MEMORY;
		k->idle_at = l->l.sim->now + IDLE_NS;
		return NULL;
	}
	m->s.user = to->user;
	m->s.user_ctx = to->user_ctx;
	m->s.owner_idx = to->owner_idx;
	mux_flush(k);
	mt_stream_again(k->lower); /* it may be connected already */
	return &m->s;
}

static int on_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	struct layer *l = arg;

	return l->listen->lookup(l->listen_arg, local, lport);
}

static bool on_accept(void *arg, struct mt_stream *lower, int listener)
{
	struct muxes *l = arg;
	struct mux_link *k = link_new(l);
	struct mt_rand *r = &l->l.sim->host_rand;

	if (!k)
		return false;
	k->lower = lower;
	k->listener = listener;
	k->settings_due = true;
	k->ready_until = l->l.sim->now + READY_MS * (uint64_t)MT_MSEC;
	if (sim_one_in(r, 4))
		k->away_at = l->l.sim->now + sim_between(r, 1, 2000) * MT_MSEC;
	lower->user = &lower_user;
	lower->user_ctx = l;
	lower->owner_idx = mt_slab_idx(&l->links, k);
	mt_stream_again(lower);
	return true;
}

/* ---- turns ---- */

static uint64_t due(const struct mux_link *k)
{
	uint64_t at = MT_MIN(MT_MIN(k->ready_until, k->away_at), k->retry_at);
	const struct mt_list *n;

	if (k->n == 0 && k->opened)
		at = MT_MIN(at, k->idle_at);
	mt_list_foreach (n, &k->streams)
		at = MT_MIN(at, mt_list_entry(n, struct mux, node)->detached_until);
	return at;
}

static void turn(struct layer *base)
{
	struct muxes *l = (struct muxes *)base;
	struct mux_link *k;
	uint32_t i = 0;

	while ((k = mt_slab_next(&l->links, &i)))
		if (base->sim->now >= due(k))
			mt_stream_again(k->lower);
}

static uint64_t next(struct layer *base)
{
	const struct muxes *l = (const struct muxes *)base;
	uint64_t at = MT_NEVER;
	const struct mux_link *k;
	uint32_t i = 0;

	while ((k = mt_slab_next(&l->links, &i)))
		at = MT_MIN(at, due(k));
	return at;
}

static const char *check_stream(const struct mux *m)
{
	const struct mux_link *k = m->link;

	if (m->id && m->tx.len && m->credit && k->credit && k->retry_at == MT_NEVER &&
		k->lower->tx_queued == 0 && k->ready && !k->settings_due)
		return "has bytes, and credit, and does not send them";
	if (m->s.rx.len > m->promised + k->own_credit)
		return "was given more than its credit";
	if (m->s.want_writable && m->s.tx_queued == 0)
		return "has room, and does not tell its user";
	return NULL;
}

static const char *check_link(const struct mux_link *k)
{
	const struct mt_list *n;
	const char *wrong = NULL;

	if (k->retry_at == MT_NEVER && k->ready && k->credit_left + k->credit_due < MUX_CREDIT)
		return "is on a link whose credit is kept from the other side";
	mt_list_foreach (n, &k->streams)
		if (!wrong)
			wrong = check_stream(mt_list_entry(n, struct mux, node));
	return wrong;
}

static const char *check(struct layer *base)
{
	struct muxes *l = (struct muxes *)base;
	const char *wrong = NULL;
	const struct mux_link *k;
	uint32_t i = 0;

	while (!wrong && (k = mt_slab_next(&l->links, &i)))
		wrong = check_link(k);
	return wrong;
}

static uint32_t live(const struct layer *base)
{
	const struct muxes *l = (const struct muxes *)base;

	return l->links.in_use + l->streams.in_use;
}

static void destroy(struct layer *base)
{
	struct muxes *l = (struct muxes *)base;
	struct mux *m;
	uint32_t i = 0;

	while ((m = mt_slab_next(&l->streams, &i))) {
		mt_chain_free(&m->s.rx);
		mt_chain_free(&m->tx);
		layer_notes_free(&m->notes);
	}
	mt_slab_fini(&l->streams);
	mt_slab_fini(&l->links);
	free(l);
}

static const struct layer_ops ops = {turn, next, check, live, destroy};
static const struct mt_listen_ops listen_ops = {on_lookup, on_accept};

struct layer *layer_mux_new(void)
{
	struct muxes *l = calloc(1, sizeof(*l));

	MT_ASSERT(l);
	MT_ASSERT(mt_slab_init(&l->links, "links", sizeof(struct mux_link), LINKS) == 0);
	MT_ASSERT(mt_slab_init(&l->streams, "streams", sizeof(struct mux), STREAMS) == 0);
	l->l.ops = &ops;
	l->l.lower_listen = &listen_ops;
	l->l.transport.open = op_open;
	l->stream_ops = (struct mt_stream_ops){
		.consumed = op_consumed,
		.send = op_send,
		.shutdown = op_shutdown,
		.abort = op_abort,
		.detach = op_detach,
		.refuse = op_refuse,
		.touch = op_touch,
		.again = op_again,
		.class = op_class,
		.ends = op_ends,
		.room = op_room,
		.positions = op_positions,
		.end = op_end,
		.reclaim = op_reclaim,
	};
	return &l->l;
}
