/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Identity -> entry, for endpoints and clusters alike: an open-addressed hash of pointers, an array by
 * index, and a queue of indexes nobody names any more (oldest first). Control thread only.
 */
#include "mt_upstream.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct entry {
	struct mt_ep_state ep; /* clusters use id, index and refs only */
	char *name;
	uint64_t idle_since;
	struct entry *next_idle; /* queue; an entry that is named again is skipped when met */
	bool queued;
};

struct index {
	struct entry **by_index;
	uint32_t n, cap;
	struct entry **slots; /* power of two; NULL: free */
	uint32_t n_slots;
	struct entry *idle_head, *idle_tail;
};

struct mt_upstream_registry {
	struct index eps, clusters;
};

static struct entry **find_slot(const struct index *x, uint64_t id, const char *name)
{
	uint32_t i = (uint32_t)id & (x->n_slots - 1);

	while (x->slots[i] && (x->slots[i]->ep.id != id || strcmp(x->slots[i]->name, name) != 0))
		i = (i + 1) & (x->n_slots - 1);
	return &x->slots[i];
}

static int grow_slots(struct index *x)
{
	uint32_t n = x->n_slots ? x->n_slots * 2 : 64;
	struct entry **slots = calloc(n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	free(x->slots);
	x->slots = slots;
	x->n_slots = n;
	for (uint32_t i = 0; i < x->n; i++)
		*find_slot(x, x->by_index[i]->ep.id, x->by_index[i]->name) = x->by_index[i];
	return 0;
}

static int make_room(struct index *x)
{
	if (x->n * 2 >= x->n_slots && grow_slots(x) < 0)
		return -ENOMEM;
	if (x->n == x->cap) {
		uint32_t cap = x->cap ? x->cap * 2 : 32;
		struct entry **p = realloc(x->by_index, sizeof(struct entry *) * cap);

		if (!p)
			return -ENOMEM;
		x->by_index = p;
		x->cap = cap;
	}
	return 0;
}

/* The oldest entry that nobody has named for MT_UPSTREAM_LINGER, off the queue; or NULL. */
static struct entry *take_lingered(struct index *x, uint64_t now)
{
	while (x->idle_head) {
		struct entry *e = x->idle_head;

		if (e->ep.refs == 0 && now - e->idle_since < MT_UPSTREAM_LINGER)
			return NULL;
		x->idle_head = e->next_idle;
		e->queued = false;
		if (e->ep.refs == 0)
			return e;
	}
	return NULL;
}

/* Takes an entry out of the open-addressed table: the cluster behind it is put in again. */
static void unhash(struct index *x, struct entry *e)
{
	struct entry **hole = find_slot(x, e->ep.id, e->name);
	uint32_t i = (uint32_t)(hole - x->slots);

	*hole = NULL;
	for (i = (i + 1) & (x->n_slots - 1); x->slots[i]; i = (i + 1) & (x->n_slots - 1)) {
		struct entry *moved = x->slots[i];

		x->slots[i] = NULL;
		*find_slot(x, moved->ep.id, moved->name) = moved;
	}
}

static struct entry *new_entry(struct index *x)
{
	struct entry *e = aligned_alloc(MT_CACHE_LINE, sizeof(*e));

	if (!e)
		return NULL;
	memset(e, 0, sizeof(*e));
	e->ep.index = x->n;
	x->by_index[x->n++] = e;
	return e;
}

/* Another identity moves in: only the index and the memory stay. */
static void reset(struct entry *e)
{
	uint32_t index = e->ep.index;

	free(e->name);
	e->name = NULL;
	memset(&e->ep, 0, sizeof(e->ep));
	e->ep.index = index;
}

static struct entry *get(struct index *x, const char *name, uint64_t now)
{
	uint64_t id = mt_balance_hash(name, strlen(name), 0);
	struct entry *e;
	char *copy;

	/* Room first: behind this nothing but the entry itself can fail. */
	if (make_room(x) < 0)
		return NULL;
	e = *find_slot(x, id, name);
	if (e) {
		e->ep.refs++;
		return e;
	}
	copy = strdup(name);
	if (!copy)
		return NULL;
	e = take_lingered(x, now);
	if (e) {
		unhash(x, e);
		reset(e);
	} else {
		e = new_entry(x);
	}
	if (!e) {
		free(copy);
		return NULL;
	}
	e->name = copy;
	e->ep.id = id;
	e->ep.refs = 1;
	*find_slot(x, id, name) = e;
	return e;
}

static void put(struct index *x, struct entry *e, uint64_t now)
{
	MT_ASSERT(e->ep.refs > 0);
	if (--e->ep.refs > 0)
		return;
	e->idle_since = now;
	/* Still in the queue from an earlier time: it is met early there and queued again. */
	if (e->queued)
		return;
	e->queued = true;
	e->next_idle = NULL;
	if (x->idle_head)
		x->idle_tail->next_idle = e;
	else
		x->idle_head = e;
	x->idle_tail = e;
}

static void index_free(struct index *x)
{
	for (uint32_t i = 0; i < x->n; i++) {
		free(x->by_index[i]->name);
		free(x->by_index[i]);
	}
	free(x->by_index);
	free(x->slots);
}

struct mt_upstream_registry *mt_upstream_registry_new(void)
{
	return calloc(1, sizeof(struct mt_upstream_registry));
}

void mt_upstream_registry_free(struct mt_upstream_registry *r)
{
	if (!r)
		return;
	index_free(&r->eps);
	index_free(&r->clusters);
	free(r);
}

struct mt_ep_state *mt_upstream_ep_get(struct mt_upstream_registry *r, const char *cluster,
	const struct mt_addr *addr, uint16_t port, uint64_t now)
{
	size_t len = strlen(cluster);
	char buf[768], *name = buf;
	struct entry *e;

	if (len + 1 + MT_ADDR_STRLEN > sizeof(buf))
		name = malloc(len + 1 + MT_ADDR_STRLEN);
	if (!name)
		return NULL;
	/* A cluster's name holds no blank, so the two parts cannot run into each other. */
	memcpy(name, cluster, len);
	name[len] = ' ';
	mt_addr_port_str(addr, port, name + len + 1);
	e = get(&r->eps, name, now);
	if (name != buf)
		free(name);
	return e ? &e->ep : NULL;
}

void mt_upstream_ep_put(struct mt_upstream_registry *r, struct mt_ep_state *e, uint64_t now)
{
	put(&r->eps, mt_container_of(e, struct entry, ep), now);
}

int64_t mt_upstream_cluster_get(struct mt_upstream_registry *r, const char *name, uint64_t now)
{
	struct entry *e = get(&r->clusters, name, now);

	return e ? (int64_t)e->ep.index : -ENOMEM;
}

void mt_upstream_cluster_put(struct mt_upstream_registry *r, uint32_t index, uint64_t now)
{
	MT_ASSERT(index < r->clusters.n);
	put(&r->clusters, r->clusters.by_index[index], now);
}

uint32_t mt_upstream_ep_indexes(const struct mt_upstream_registry *r)
{
	return r->eps.n;
}

uint32_t mt_upstream_cluster_indexes(const struct mt_upstream_registry *r)
{
	return r->clusters.n;
}
