/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of records: their life, their user's verbs, the lower stream's events. */
#include "layer_records.h"

#include <errno.h>
#include <stdlib.h>

#define STREAMS	 512
#define HELLO_MS 10000
/* Times its bytes that plain text may pin. */
#define SPARSE_TIMES 4

static const struct mt_stream_user lower_user;

static struct rec *rec_of(const struct mt_stream *s)
{
	return (struct rec *)s;
}

/* Of a lower stream. */
static struct rec *above(const struct mt_stream *lower)
{
	struct records *k = lower->user_ctx;

	return mt_slab_at(&k->streams, lower->owner_idx);
}

/* ---- life ---- */

static struct rec *rec_new(struct records *k)
{
	struct rec *r = mt_slab_alloc(&k->streams, NULL);
	struct mt_rand *rand = &k->l.sim->host_rand;

	if (!r)
		return NULL;
	r->layer = k;
	r->s.ops = &k->stream_ops;
	r->s.user = &rec_nobody;
	r->retry_at = r->update_at = MT_NEVER;
	r->updates_left = (uint8_t)sim_below(rand, 4);
	return r;
}

static void take_lower(struct rec *r, struct mt_stream *lower)
{
	r->lower = lower;
	r->s.tx_high = lower->tx_high;
	r->s.rx_class = lower->rx_class;
	r->s.tx_class = lower->tx_class;
	r->s.silent = lower->silent;
}

static void let_go_of_bytes(struct rec *r)
{
	mt_chain_free(&r->s.rx);
	mt_chain_free(&r->plain);
	r->s.keeps = false;
}

static void rec_free(struct rec *r)
{
	let_go_of_bytes(r);
	layer_notes_free(&r->notes);
	mt_slab_free(&r->layer->streams, r);
}

/* An alert where all else has arrived, so that it does; else a reset, which frees what is queued. */
static void end_lower(struct rec *r, enum mt_abort_reason why)
{
	struct record alert = {.type = RECORD_ALERT, .generation = r->tx_generation};
	struct mt_chain out = {0};

	let_go_of_bytes(r);
	rec_sync(r);
	if (!r->established || r->lower->tx_queued || r->close_sent || r->lower->rx_eof ||
		record_seal(NULL, 0, &alert, &out, r->layer->l.pools)) {
		mt_stream_abort(r->lower, why);
		return;
	}
	layer_saw(&r->layer->l, SIM_LAYER_ALERT);
	mt_stream_send(r->lower, &out);
	mt_stream_detach(r->lower);
}

/* The end, by the layer itself: the user is told, while the stream can still say how far it came. */
void rec_fail(struct rec *r, enum mt_abort_reason why, enum mt_close_reason reason)
{
	bool known = r->opened || r->established;

	if (known)
		r->s.user->closed(&r->s, reason);
	r->s.user = &rec_nobody;
	end_lower(r, why);
	rec_free(r);
}

/* All that it owes is given down. */
void rec_maybe_leave(struct rec *r)
{
	if (!r->detached || !r->close_sent)
		return;
	let_go_of_bytes(r);
	rec_sync(r);
	mt_stream_detach(r->lower);
	rec_free(r);
}

/* ---- the lower stream's events ---- */

static void on_connected(struct mt_stream *lower)
{
	struct rec *r = above(lower);

	r->hello_due = true;
	rec_flush(r);
}

static void on_readable(struct mt_stream *lower)
{
	struct rec *r = above(lower);

	rec_pump(r);
}

static void on_acked(struct mt_stream *lower, uint32_t bytes)
{
	struct rec *r = above(lower);
	struct records *k = r->layer;
	struct mt_ref ref = mt_slab_ref(&k->streams, r);
	uint64_t acked;

	layer_notes_acked(&r->notes, mt_stream_positions(lower).acked);
	acked = r->notes.floor;
	if (r->plain_at < acked) {
		mt_chain_drop(&r->plain, (uint32_t)(acked - r->plain_at));
		r->plain_at = acked;
	}
	rec_flush(r); /* what waited for the reserve */
	if (r->s.want_writable && r->s.tx_queued <= r->s.tx_high / 2) {
		r->s.want_writable = false;
		r->s.user->writable(&r->s);
	}
	if (!mt_slab_get(&k->streams, ref) || acked == r->told)
		return;
	bytes = (uint32_t)(acked - r->told);
	r->told = acked;
	if (r->s.user->acked)
		r->s.user->acked(&r->s, bytes);
}

/* It comes by on_acked(). */
static void on_writable(struct mt_stream *lower)
{
}

static void on_closed(struct mt_stream *lower, enum mt_close_reason reason)
{
	struct rec *r = above(lower);

	if (reason == MT_CLOSE_OK && !(r->closed_in && r->established))
		reason = MT_CLOSE_RESET;
	if (r->opened || r->established)
		r->s.user->closed(&r->s, reason);
	rec_free(r);
}

static void on_holds(struct mt_stream *lower, struct mt_sums *sums)
{
	struct rec *r = above(lower);
	struct mt_stream *s = &r->s;

	sums->of[s->rx_class] += s->rx.truesize;
	sums->of[r->opened ? MT_CLASS_RETAINED : s->tx_class] += r->plain.truesize;
	if (s->keeps && s->user->holds)
		s->user->holds(s, sums);
	lower->keeps = s->rx.truesize || r->plain.truesize || s->keeps;
}

static void on_evict(struct mt_stream *lower, enum mt_class c)
{
	struct rec *r = above(lower);

	if (r->s.user->evict)
		r->s.user->evict(&r->s, c);
	else if (r->detached)
		rec_fail(r, MT_ABORT_SLOW, MT_CLOSE_LOCAL);
}

static struct mt_addr holder_of(const struct mt_stream *lower)
{
	const struct rec *r = above(lower);

	return r->s.user->holder ? r->s.user->holder(&r->s) : mt_stream_ends(lower)->remote;
}

#define LOWER_USER                                                                                 \
	.connected = on_connected, .readable = on_readable, .eof = on_readable,                    \
	.writable = on_writable, .acked = on_acked, .closed = on_closed, .holds = on_holds,        \
	.evict = on_evict

static const struct mt_stream_user lower_user = {LOWER_USER};
/* Who has a holder of his own is charged to it. */
const struct mt_stream_user rec_lower_user_of_held = {LOWER_USER, .holder = holder_of};

/* Of a stream that was let go, or is not yet accepted. */
static void never(struct mt_stream *s)
{
	mt_chain_free(&s->rx);
}

static void never_closed(struct mt_stream *s, enum mt_close_reason reason)
{
}

const struct mt_stream_user rec_nobody = {.connected = never,
	.readable = never,
	.eof = never,
	.writable = never,
	.closed = never_closed};

/* ---- the user's verbs ---- */

static void op_consumed(struct mt_stream *s)
{
	struct rec *r = rec_of(s);

	rec_sync(r);
	if (!r->pumping && rec_has_room(r) && r->lower->rx.len)
		mt_stream_again(r->lower);
}

static void op_send(struct mt_stream *s, struct mt_chain *c)
{
	struct rec *r = rec_of(s);

	r->accepted += c->len;
	mt_chain_concat(&r->plain, c);
	/* What is kept for long is not one buffer for each byte. */
	if (r->plain.segs > 1 && r->plain.truesize / SPARSE_TIMES > r->plain.len)
		mt_chain_compact(&r->plain, r->layer->l.pools);
	rec_flush(r);
}

static void op_shutdown(struct mt_stream *s)
{
	if (s->tx_shut)
		return;
	s->tx_shut = true;
	rec_flush(rec_of(s));
}

static void op_abort(struct mt_stream *s, enum mt_abort_reason why)
{
	end_lower(rec_of(s), why);
	rec_free(rec_of(s));
}

static void op_detach(struct mt_stream *s)
{
	struct rec *r = rec_of(s);

	if (!r->established) {
		op_abort(s, MT_ABORT_CANCELLED);
		return;
	}
	r->detached = true;
	s->user = &rec_nobody;
	s->keeps = false;
	mt_chain_free(&s->rx);
	s->rx_kept = 0;
	s->tx_shut = true;
	rec_flush(r);
	rec_maybe_leave(r);
}

/* Records and the words of its peer's own end are not told apart below: its peers send on for ever. */
static void op_refuse(struct mt_stream *s, uint32_t words)
{
}

static bool op_coming(const struct mt_stream *s)
{
	return rec_of((struct mt_stream *)s)->lower->rx.len > 0;
}

static void op_touch(struct mt_stream *s)
{
	mt_stream_touch(rec_of(s)->lower);
}

static void op_again(struct mt_stream *s)
{
	mt_stream_again(rec_of(s)->lower);
}

static void op_class(struct mt_stream *s, enum mt_class rx, enum mt_class tx)
{
	s->rx_class = (uint8_t)rx;
	s->tx_class = (uint8_t)tx;
	rec_sync(rec_of(s));
}

static const struct mt_tuple *op_ends(const struct mt_stream *s)
{
	return mt_stream_ends(rec_of(s)->lower);
}

static uint32_t op_room(const struct mt_stream *s)
{
	const struct rec *r = rec_of(s);
	uint32_t room = mt_stream_room(r->lower);
	uint64_t debt = RECORD_HEADER + (r->accepted - r->sealed);

	return room > debt ? room - (uint32_t)debt : 0;
}

static void op_positions(const struct mt_stream *s, struct mt_stream_pos *pos)
{
	const struct rec *r = rec_of(s);
	struct mt_stream_pos low = mt_stream_positions(r->lower);

	pos->accepted = r->accepted;
	pos->sent = layer_notes_begun(&r->notes, low.sent);
	pos->acked = layer_notes_whole(&r->notes, low.acked);
}

/* A part of a record can't be read. The other side's close proves nothing: its FIN does. */
static void op_end(const struct mt_stream *s, struct mt_stream_end *e)
{
	const struct rec *r = rec_of(s);

	mt_stream_end(r->lower, e);
	op_positions(s, &e->pos);
	e->resent = layer_notes_begun(&r->notes, e->resent);
	e->fin_acked = layer_notes_whole(&r->notes, e->fin_acked);
	e->reset_acked = layer_notes_whole(&r->notes, e->reset_acked);
}

static int op_reclaim(const struct mt_stream *s, uint64_t first, uint64_t last, struct mt_chain *to)
{
	const struct rec *r = rec_of(s);

	if (!r->opened || first < r->plain_at || last > r->accepted)
		return -ENODATA;
	layer_saw(&r->layer->l, SIM_LAYER_RECLAIMED);
	return mt_chain_copy(&r->plain, (uint32_t)(first - r->plain_at), (uint32_t)(last - first),
		to, r->layer->l.pools);
}

/* ---- the transport ---- */

static struct mt_stream *op_open(
	struct mt_transport *t, const struct mt_stream_to *to, enum mt_close_reason *why)
{
	struct records *k = mt_container_of(t, struct records, l.transport);
	struct rec *r = rec_new(k);
	uint32_t ms = to->connect_ms ? to->connect_ms : HELLO_MS;
	struct mt_stream_to down = *to;
	struct mt_stream *lower;

	*why = MT_CLOSE_NO_MEMORY;
	if (!r)
		return NULL;
	down.user = to->user->holder ? &rec_lower_user_of_held : &lower_user;
	down.user_ctx = k;
	down.owner_idx = mt_slab_idx(&k->streams, r);
	lower = mt_stream_open(k->l.lower, &down, why);
	if (!lower) {
		rec_free(r);
		return NULL;
	}
	take_lower(r, lower);
	r->opened = true;
	r->hello_until = k->l.sim->now + ms * MT_MSEC; /* connecting and hello together */
	r->s.user = to->user;
	r->s.user_ctx = to->user_ctx;
	r->s.owner_idx = to->owner_idx;
	return &r->s;
}

static int on_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	struct layer *l = arg;

	return l->listen->lookup(l->listen_arg, local, lport);
}

/* Its user hears of it when the hello is there. */
static bool on_accept(void *arg, struct mt_stream *lower, int listener)
{
	struct records *k = arg;
	struct rec *r = rec_new(k);

	if (!r)
		return false;
	take_lower(r, lower);
	r->listener = listener;
	r->hello_until = k->l.sim->now + HELLO_MS * (uint64_t)MT_MSEC;
	lower->user = &lower_user;
	lower->user_ctx = k;
	lower->owner_idx = mt_slab_idx(&k->streams, r);
	return true;
}

/* ---- turns ---- */

static uint64_t due(const struct rec *r)
{
	return MT_MIN(MT_MIN(r->hello_until, r->update_at), r->retry_at);
}

static void turn(struct layer *l)
{
	struct records *k = (struct records *)l;
	struct rec *r;
	uint32_t i = 0;

	while ((r = mt_slab_next(&k->streams, &i)))
		if (l->sim->now >= due(r))
			mt_stream_again(r->lower);
}

static uint64_t next(struct layer *l)
{
	const struct records *k = (const struct records *)l;
	uint64_t at = MT_NEVER;
	const struct rec *r;
	uint32_t i = 0;

	while ((r = mt_slab_next(&k->streams, &i)))
		at = MT_MIN(at, due(r));
	return at;
}

static const char *check_one(const struct rec *r)
{
	if (r->records > 1)
		return "holds more than one record that its user has no room for";
	if (r->answer_due && r->established && !r->full && r->retry_at == MT_NEVER)
		return "owes the answer to a key update, and nothing hinders it";
	if (r->full && r->lower->tx_queued == 0)
		return "waits for its reserve, and nothing will give it back";
	if (r->s.tx_queued != r->lower->tx_queued + r->plain.truesize)
		return "says that something else is queued than is";
	if (r->sealed < r->accepted && r->established && r->retry_at == MT_NEVER)
		return "has bytes that it does not send";
	if (r->s.want_writable && r->s.tx_queued == 0)
		return "has room, and does not tell its user";
	return NULL;
}

static const char *check(struct layer *l)
{
	struct records *k = (struct records *)l;
	const char *wrong = NULL;
	const struct rec *r;
	uint32_t i = 0;

	while (!wrong && (r = mt_slab_next(&k->streams, &i)))
		wrong = check_one(r);
	return wrong;
}

static uint32_t live(const struct layer *l)
{
	return ((const struct records *)l)->streams.in_use;
}

static void destroy(struct layer *l)
{
	struct records *k = (struct records *)l;
	struct rec *r;
	uint32_t i = 0;

	while ((r = mt_slab_next(&k->streams, &i)))
		rec_free(r);
	mt_slab_fini(&k->streams);
	free(k);
}

static const struct layer_ops ops = {turn, next, check, live, destroy};
static const struct mt_listen_ops listen_ops = {on_lookup, on_accept};

struct layer *layer_records_new(void)
{
	struct records *k = calloc(1, sizeof(*k));

	MT_ASSERT(k);
	MT_ASSERT(mt_slab_init(&k->streams, "records", sizeof(struct rec), STREAMS) == 0);
	k->l.ops = &ops;
	k->l.lower_listen = &listen_ops;
	k->l.transport.open = op_open;
	k->stream_ops = (struct mt_stream_ops){
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
	return &k->l;
}
