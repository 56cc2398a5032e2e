/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's side of handshakes. */
#include "mt_tls_pool_priv.h"

#include <errno.h>
#include <string.h>

#define NONE UINT32_MAX

/* ---- slots ----------------------------------------------------------------------------------- */

static struct mt_tls_wire *wire_of(struct mt_tls_lane *l, uint32_t slot)
{
	return &l->wires[slot % l->n_threads];
}

/* NULL: the handshake is gone. */
static struct mt_tls_slot *slot_of(struct mt_tls_lane *l, struct mt_ref r)
{
	struct mt_tls_slot *s = r.idx < MT_TLS_SLOTS ? &l->slots[r.idx] : NULL;

	return s && s->used && l->live[r.idx] == r.gen ? s : NULL;
}

static void want(struct mt_tls_lane *l, struct mt_tls_slot *s, bool wants)
{
	l->n_wanting += (uint32_t)wants - (uint32_t)s->wants;
	s->wants = wants;
}

/* Frees a slot and ends its generation, so that both sides drop what still comes for it. */
static void give_back(struct mt_tls_lane *l, uint32_t i)
{
	uint32_t next = l->live[i] + 1 ?: 1;

	want(l, &l->slots[i], false);
	l->slots[i].used = false;
	l->slots[i].next_free = l->first_free;
	l->first_free = i;
	l->n_used--;
	__atomic_store_n(&l->live[i], next, __ATOMIC_RELEASE);
}

/* True if take_slot() may take a slot and leave `reserve` free. */
static bool has_slot(const struct mt_tls_lane *l, uint32_t reserve)
{
	return l->first_free != NONE && l->n_used + reserve < MT_TLS_SLOTS;
}

static uint32_t take_slot(struct mt_tls_lane *l, struct mt_ref owner)
{
	uint32_t i = l->first_free;

	l->first_free = l->slots[i].next_free;
	l->slots[i] = (struct mt_tls_slot){.owner = owner, .used = true};
	l->n_used++;
	l->begun++;
	return i;
}

/* ---- to a thread ----------------------------------------------------------------------------- */

#define PIECE_BYTES_MAX (MT_TLS_PIECE - PIECE_HEAD)

static uint32_t pieces_of(uint32_t n)
{
	return (n + PIECE_BYTES_MAX - 1) / PIECE_BYTES_MAX;
}

struct put {
	struct rte_ring_zc_data at;
	uint32_t n;
	struct mt_tls_lane *lane;
	uint32_t slot;
};

static struct piece *next_piece(struct put *p, enum piece_kind kind)
{
	uint32_t i = p->n++;
	struct piece *piece = i < p->at.n1 ? (struct piece *)p->at.ptr1 + i
					   : (struct piece *)p->at.ptr2 + (i - p->at.n1);

	piece->worker = (uint16_t)p->lane->worker;
	piece->slot = p->slot;
	piece->generation = p->lane->live[p->slot];
	piece->sequence = p->lane->slots[p->slot].sequence++;
	piece->used = 0;
	piece->kind = (uint8_t)kind;
	piece->len = 0;
	return piece;
}

/* Reserves n pieces, all or none. Another `reserve` pieces must be free and are not filled. */
static bool start(struct mt_tls_wire *w, struct put *p, uint32_t n, uint32_t reserve)
{
	return rte_ring_enqueue_zc_bulk_elem_start(
		       w->to_thread, sizeof(struct piece), n + reserve, &p->at, NULL) > 0;
}

static void finish(struct mt_tls_wire *w, struct put *p)
{
	rte_ring_enqueue_zc_elem_finish(w->to_thread, p->n);
	w->lane->n_wires_dirty += !w->dirty;
	w->dirty = true;
}

static void put_bytes(struct put *p, const struct mt_chain *c, uint32_t until)
{
	struct mt_tls_slot *s = &p->lane->slots[p->slot];

	while (s->given < until) {
		struct piece *piece = next_piece(p, PIECE_BYTES);

		piece->len = (uint16_t)MT_MIN(until - s->given, PIECE_BYTES_MAX);
		mt_chain_read(c, s->given, piece->bytes, piece->len);
		s->given += piece->len;
	}
}

/* Puts the piece that starts a handshake, and the first `hello` bytes of the chain. */
static int begin(struct mt_tls_lane *l, struct mt_tls_context *c, const struct mt_chain *chain,
	uint32_t hello, const char *sni, struct mt_ref owner, struct mt_ref *out)
{
	struct put p = {.lane = l, .slot = l->first_free};
	struct mt_tls_wire *w;
	struct piece *piece;
	bool opens = hello == 0;

	if (!has_slot(l, opens ? 0 : MT_TLS_RESERVE(MT_TLS_SLOTS)) ||
		!start(w = wire_of(l, p.slot), &p, 1 + pieces_of(hello),
			opens ? 0 : MT_TLS_RESERVE(MT_TLS_RING))) {
		l->full++;
		return -EAGAIN;
	}
	(void)take_slot(l, owner);
	piece = next_piece(&p, PIECE_BEGIN);
	piece->context = mt_tls_context_hold(c);
	if (sni) {
		piece->len = (uint16_t)strlen(sni);
		memcpy(piece->bytes, sni, piece->len);
	}
	if (hello)
		put_bytes(&p, chain, hello);
	finish(w, &p);
	*out = (struct mt_ref){p.slot, l->live[p.slot]};
	return 0;
}

int mt_tls_lane_accept(struct mt_tls_lane *l, struct mt_tls_context *c, const struct mt_hello *h,
	struct mt_ref owner, struct mt_ref *out)
{
	/* Only a whole hello starts a handshake. */
	MT_ASSERT(h->len > 0 && h->got == h->len);
	return begin(l, c, h->cur.chain, h->cur.pos, NULL, owner, out);
}

int mt_tls_lane_connect(struct mt_tls_lane *l, struct mt_tls_context *c, const char *sni,
	struct mt_ref owner, struct mt_ref *out)
{
	if (sni && strlen(sni) > MT_TLS_NAME_MAX)
		return -EINVAL;
	return begin(l, c, NULL, 0, sni, owner, out);
}

void mt_tls_lane_more(struct mt_tls_lane *l, struct mt_ref handshake, const struct mt_chain *c)
{
	struct mt_tls_slot *s = slot_of(l, handshake);
	struct put p = {.lane = l, .slot = handshake.idx};
	uint32_t n;
	struct mt_tls_wire *w;
	uint32_t room;

	if (!s)
		return;
	/* The caller has dropped what events reported as used. */
	MT_ASSERT(c->len >= s->given);
	n = pieces_of(c->len - s->given);
	if (n == 0)
		return;
	w = wire_of(l, handshake.idx);
	room = rte_ring_enqueue_zc_burst_elem_start(
		w->to_thread, sizeof(struct piece), n, &p.at, NULL);
	want(l, s, room < n);
	if (s->wants)
		__atomic_store_n(&l->rung, 1, __ATOMIC_SEQ_CST);
	if (room == 0)
		return;
	put_bytes(&p, c, MT_MIN(c->len, s->given + room * PIECE_BYTES_MAX));
	finish(w, &p);
}

void mt_tls_lane_cancel(struct mt_tls_lane *l, struct mt_ref handshake)
{
	struct mt_tls_wire *w = wire_of(l, handshake.idx);

	if (!slot_of(l, handshake))
		return;
	give_back(l, handshake.idx);
	l->cancelled++;
	__atomic_exchange_n(&w->sweep, 1, __ATOMIC_SEQ_CST);
	l->n_wires_dirty += !w->dirty;
	w->dirty = true;
}

void mt_tls_lane_flush(struct mt_tls_lane *l)
{
	if (mt_likely(l->n_wires_dirty == 0))
		return;
	l->n_wires_dirty = 0;
	for (uint32_t i = 0; i < l->n_threads; i++) {
		if (!l->wires[i].dirty)
			continue;
		l->wires[i].dirty = false;
		mt_tls_thread_ring(l->wires[i].thread);
	}
}

/* ---- from threads ---------------------------------------------------------------------------- */

/*
 * Delivers a piece as an event. Its place in the ring is freed afterwards, so pointers into it are
 * valid.
 */
static void tell(struct mt_tls_lane *l, struct piece *p, mt_tls_event_fn *fn, void *arg)
{
	struct mt_tls_slot *s = slot_of(l, (struct mt_ref){p->slot, p->generation});
	struct mt_tls_event e = {.handshake = {p->slot, p->generation}, .used = p->used};

	if (!s) {
		l->stale++;
		return;
	}
	MT_ASSERT(p->sequence == s->heard && p->used <= s->given);
	s->heard++;
	s->given -= p->used;
	e.owner = s->owner;
	e.kind = p->kind == PIECE_OUT	 ? MT_TLS_EVENT_OUT
		 : p->kind == PIECE_DONE ? MT_TLS_EVENT_DONE
					 : MT_TLS_EVENT_FAILED;
	if (p->kind == PIECE_OUT) {
		e.out = (struct mt_slice){p->bytes, p->len};
	} else {
		e.result = &p->result;
		l->done += p->kind == PIECE_DONE;
		l->failed += p->kind == PIECE_FAILED;
		give_back(l, p->slot);
	}
	fn(arg, &e);
}

static uint32_t take_wire(struct mt_tls_lane *l, struct mt_tls_wire *w, uint32_t budget,
	mt_tls_event_fn *fn, void *arg)
{
	struct rte_ring_zc_data at;
	uint32_t n = 0;

	for (; n < budget; n++) {
		struct piece *p;

		if (rte_ring_dequeue_zc_bulk_elem_start(w->to_worker, sizeof(*p), 1, &at, NULL) ==
			0)
			break;
		p = at.ptr1;
		tell(l, p, fn, arg);
		if (p->kind != PIECE_OUT)
			explicit_bzero(&p->result, sizeof(p->result));
		rte_ring_dequeue_zc_elem_finish(w->to_worker, 1);
	}
	/*
	 * Both sides exchange: either the thread sees the room, or this side sees that the thread
	 * wants it.
	 */
	if (n && __atomic_exchange_n(&w->blocked, 0, __ATOMIC_SEQ_CST))
		mt_tls_thread_ring(w->thread);
	return n;
}

static bool has_room(struct mt_tls_wire *w)
{
	struct put p;
	bool room = start(w, &p, 1, 0);

	if (room)
		rte_ring_enqueue_zc_elem_finish(w->to_thread, 0);
	return room;
}

/* Few handshakes find no room, so all slots are checked when there is room again. */
static uint32_t take_room(struct mt_tls_lane *l, mt_tls_event_fn *fn, void *arg)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < MT_TLS_SLOTS && l->n_wanting; i++) {
		struct mt_tls_slot *s = &l->slots[i];

		if (!s->wants || !has_room(wire_of(l, i)))
			continue;
		want(l, s, false);
		n++;
		fn(arg, &(struct mt_tls_event){.kind = MT_TLS_EVENT_ROOM,
				.handshake = {i, l->live[i]},
				.owner = s->owner});
	}
	return n;
}

uint32_t mt_tls_lane_take(struct mt_tls_lane *l, uint32_t budget, mt_tls_event_fn *fn, void *arg)
{
	uint32_t n = 0;

	__atomic_exchange_n(&l->rung, 0, __ATOMIC_SEQ_CST);
	for (uint32_t i = 0; i < l->n_threads; i++)
		n += take_wire(l, &l->wires[i], budget - n, fn, arg);
	if (l->n_wanting)
		n += take_room(l, fn, arg);
	if (n >= budget || l->n_wanting)
		__atomic_store_n(&l->rung, 1, __ATOMIC_SEQ_CST);
	return n;
}

bool mt_tls_lane_sleep(struct mt_tls_lane *l)
{
	__atomic_store_n(&l->asleep, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&l->rung, __ATOMIC_SEQ_CST))
		return true;
	mt_tls_lane_awake(l);
	return false;
}

void mt_tls_lane_awake(struct mt_tls_lane *l)
{
	__atomic_store_n(&l->asleep, 0, __ATOMIC_SEQ_CST);
}
