/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Endpoint states by identity: an open-addressed table of indexes, the states in blocks that never
 * move, and a queue of states without references (oldest first). There may be hundreds of
 * thousands, so an entry takes only its state and a slot of four bytes. Its identity is a hash of
 * 96 bits. Control thread only.
 */
#include "mt_secret_hash.h"
#include "mt_upstream_priv.h"

#include <errno.h>
#include <string.h>
#include <xxhash.h>

#define BLOCK 1024u
#define QUEUED                                                                                     \
	(1u << 31) /* flag in mt_ep_state.idle; the other bits: index + 1 of the next in the queue */

static struct mt_ep_state *at(const struct mt_ep_index *x, uint32_t index)
{
	return &x->blocks[index / BLOCK][index % BLOCK];
}

/* Slots hold index + 1. */
static uint32_t *find_slot(const struct mt_ep_index *x, uint64_t id, uint32_t check)
{
	uint32_t i = (uint32_t)id & (x->n_slots - 1);

	for (; x->slots[i]; i = (i + 1) & (x->n_slots - 1)) {
		const struct mt_ep_state *e = at(x, x->slots[i] - 1);

		if (e->id == id && e->check == check)
			break;
	}
	return &x->slots[i];
}

static int grow_slots(struct mt_ep_index *x)
{
	uint32_t n = x->n_slots ? x->n_slots * 2 : 64;
	uint32_t *slots = calloc(n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	free(x->slots);
	x->slots = slots;
	x->n_slots = n;
	for (uint32_t i = 0; i < x->n; i++)
		*find_slot(x, at(x, i)->id, at(x, i)->check) = i + 1;
	return 0;
}

/*
 * Dequeues the oldest state without references, if it lingered long enough, too many linger, or the
 * table is full. NULL: none.
 */
static struct mt_ep_state *take_lingered(struct mt_ep_index *x, uint64_t now)
{
	bool many = x->n_idle > MT_MAX(MT_UPSTREAM_LINGER_MIN, x->n - x->n_idle);

	while (x->idle_head) {
		struct mt_ep_state *e = at(x, x->idle_head - 1);

		if (e->refs == 0 && !many && x->n < MT_UPSTREAM_EPS_MAX &&
			(uint16_t)((uint16_t)(now / MT_SEC) - e->idle_since) <
				MT_UPSTREAM_LINGER / MT_SEC)
			return NULL;
		x->idle_head = e->idle & ~QUEUED;
		e->idle = 0;
		if (e->refs == 0)
			return e;
	}
	return NULL;
}

/* Removes an entry from the open-addressed table and inserts again the entries that follow it. */
static void unhash(struct mt_ep_index *x, const struct mt_ep_state *e)
{
	uint32_t *hole = find_slot(x, e->id, e->check);
	uint32_t i = (uint32_t)(hole - x->slots);

	*hole = 0;
	for (i = (i + 1) & (x->n_slots - 1); x->slots[i]; i = (i + 1) & (x->n_slots - 1)) {
		uint32_t moved = x->slots[i];

		x->slots[i] = 0;
		*find_slot(x, at(x, moved - 1)->id, at(x, moved - 1)->check) = moved;
	}
}

static struct mt_ep_state *new_state(struct mt_ep_index *x)
{
	struct mt_ep_state *e;

	if (x->n == MT_UPSTREAM_EPS_MAX || (x->n * 4ull >= x->n_slots * 3ull && grow_slots(x)))
		return NULL;
	if (!x->blocks[x->n / BLOCK]) {
		e = aligned_alloc(MT_CACHE_LINE, sizeof(*e) * BLOCK);
		if (!e)
			return NULL;
		x->blocks[x->n / BLOCK] = e;
	}
	e = at(x, x->n);
	memset(e, 0, sizeof(*e));
	e->index = x->n++;
	return e;
}

/* Prepares a state for another identity: only the index and the memory stay. */
static struct mt_ep_state *reuse(struct mt_ep_index *x, struct mt_ep_state *e)
{
	uint32_t index = e->index;

	unhash(x, e);
	memset(e, 0, sizeof(*e));
	e->index = index;
	x->n_idle--;
	return e;
}

static struct mt_ep_state *get(struct mt_ep_index *x, uint64_t id, uint32_t check, uint64_t now)
{
	struct mt_ep_state *e;
	uint32_t slot = x->n_slots ? *find_slot(x, id, check) : 0;

	if (slot) {
		e = at(x, slot - 1);
		x->n_idle -= e->refs == 0;
		MT_ASSERT(e->refs < UINT16_MAX);
		e->refs++;
		return e;
	}
	e = take_lingered(x, now);
	e = e ? reuse(x, e) : new_state(x);
	if (!e)
		return NULL;
	e->id = id;
	e->check = check;
	e->refs = 1;
	*find_slot(x, id, check) = e->index + 1;
	return e;
}

struct mt_ep_state *mt_upstream_ep_get(struct mt_upstream_registry *r, const char *cluster,
	const struct mt_addr *addr, uint16_t port, uint64_t now)
{
	/* Keyed, so that the name of a cluster cannot be made to share the states of another one. */
	struct {
		uint64_t name;
		struct mt_addr addr;
		uint64_t port;
	} whole = {mt_secret_hash_text(cluster, 0), *addr, port};
	XXH128_hash_t h = XXH3_128bits(&whole, sizeof(whole));

	return get(&r->eps, h.low64, (uint32_t)h.high64, now);
}

void mt_upstream_ep_put(struct mt_upstream_registry *r, struct mt_ep_state *e, uint64_t now)
{
	struct mt_ep_index *x = &r->eps;

	MT_ASSERT(e->refs > 0);
	if (--e->refs > 0)
		return;
	x->n_idle++;
	e->idle_since = (uint16_t)(now / MT_SEC);
	/* Still queued from an earlier release: it keeps that earlier place, with its new time. */
	if (e->idle & QUEUED)
		return;
	e->idle = QUEUED;
	if (x->idle_head)
		at(x, x->idle_tail - 1)->idle = QUEUED | (e->index + 1);
	else
		x->idle_head = e->index + 1;
	x->idle_tail = e->index + 1;
}

struct mt_ep_state *mt_upstream_ep_at(const struct mt_upstream_registry *r, uint32_t index)
{
	return index < r->eps.n ? at(&r->eps, index) : NULL;
}

uint32_t mt_upstream_ep_indexes(const struct mt_upstream_registry *r)
{
	return r->eps.n;
}

struct mt_upstream_registry *mt_upstream_registry_new(void)
{
	struct mt_upstream_registry *r = calloc(1, sizeof(*r));

	if (!r)
		return NULL;
	r->eps.blocks = calloc(MT_UPSTREAM_EPS_MAX / BLOCK, sizeof(*r->eps.blocks));
	if (!r->eps.blocks) {
		free(r);
		return NULL;
	}
	return r;
}

void mt_upstream_registry_free(struct mt_upstream_registry *r)
{
	if (!r)
		return;
	for (uint32_t i = 0; i < MT_UPSTREAM_EPS_MAX / BLOCK; i++)
		free(r->eps.blocks[i]);
	free(r->eps.blocks);
	free(r->eps.slots);
	mt_cluster_index_fini(&r->clusters);
	free(r);
}
