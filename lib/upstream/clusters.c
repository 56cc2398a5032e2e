/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Cluster indexes by name: an open-addressed hash table of pointers, an array by index, and a queue
 * of entries without references (oldest first). Authors of documents choose the names, so the hash
 * is secret: that a row of used slots is longer than 256 has a chance below 10^-12. A search, and a
 * removal, go through one row. Control thread only.
 */
#include "mt_secret_hash.h"
#include "mt_upstream_priv.h"

#include <errno.h>
#include <string.h>

static struct mt_cluster_entry **find_slot(
	const struct mt_cluster_index *x, uint64_t id, const char *name)
{
	uint32_t i = (uint32_t)id & (x->n_slots - 1);

	while (x->slots[i] && (x->slots[i]->id != id || strcmp(x->slots[i]->name, name) != 0))
		i = (i + 1) & (x->n_slots - 1);
	return &x->slots[i];
}

static int grow_slots(struct mt_cluster_index *x)
{
	uint32_t n = x->n_slots ? x->n_slots * 2 : 64;
	struct mt_cluster_entry **slots = calloc(n, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	free(x->slots);
	x->slots = slots;
	x->n_slots = n;
	for (uint32_t i = 0; i < x->n; i++)
		*find_slot(x, x->by_index[i]->id, x->by_index[i]->name) = x->by_index[i];
	return 0;
}

static int make_room(struct mt_cluster_index *x)
{
	if (x->n * 2 >= x->n_slots && grow_slots(x) < 0)
		return -ENOMEM;
	if (x->n == x->cap) {
		uint32_t cap = x->cap ? x->cap * 2 : 32;
		struct mt_cluster_entry **p =
			realloc(x->by_index, sizeof(struct mt_cluster_entry *) * cap);

		if (!p)
			return -ENOMEM;
		x->by_index = p;
		x->cap = cap;
	}
	return 0;
}

/*
 * Dequeues the oldest entry that had no references for MT_UPSTREAM_LINGER, or for any time if the
 * table is full. NULL: none.
 */
static struct mt_cluster_entry *take_lingered(struct mt_cluster_index *x, uint64_t now)
{
	while (x->idle_head) {
		struct mt_cluster_entry *e = x->idle_head;

		if (e->refs == 0 && x->n < MT_UPSTREAM_CLUSTERS_MAX &&
			now - e->idle_since < MT_UPSTREAM_LINGER)
			return NULL;
		x->idle_head = e->next_idle;
		e->queued = false;
		if (e->refs == 0)
			return e;
	}
	return NULL;
}

/* Removes an entry from the open-addressed table and inserts again the entries that follow it. */
static void unhash(struct mt_cluster_index *x, struct mt_cluster_entry *e)
{
	struct mt_cluster_entry **hole = find_slot(x, e->id, e->name);
	uint32_t i = (uint32_t)(hole - x->slots);

	*hole = NULL;
	for (i = (i + 1) & (x->n_slots - 1); x->slots[i]; i = (i + 1) & (x->n_slots - 1)) {
		struct mt_cluster_entry *moved = x->slots[i];

		x->slots[i] = NULL;
		*find_slot(x, moved->id, moved->name) = moved;
	}
}

static struct mt_cluster_entry *new_entry(struct mt_cluster_index *x)
{
	struct mt_cluster_entry *e = x->n < MT_UPSTREAM_CLUSTERS_MAX ? calloc(1, sizeof(*e)) : NULL;

	if (!e)
		return NULL;
	e->index = x->n;
	x->by_index[x->n++] = e;
	return e;
}

/* Prepares an entry for another name: only what belongs to its index stays. */
static void reset(struct mt_cluster_entry *e)
{
	free(e->name);
	*e = (struct mt_cluster_entry){.index = e->index, .budget = e->budget};
}

static struct mt_cluster_entry *get(struct mt_cluster_index *x, const char *name, uint64_t now)
{
	uint64_t id = mt_secret_hash_text(name, 0);
	struct mt_cluster_entry *e;
	char *copy;

	/* Grow first: after this only the allocation of the name or the entry can fail. */
	if (make_room(x) < 0)
		return NULL;
	e = *find_slot(x, id, name);
	if (e) {
		e->refs++;
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
	e->id = id;
	e->refs = 1;
	*find_slot(x, id, name) = e;
	return e;
}

static void put(struct mt_cluster_index *x, struct mt_cluster_entry *e, uint64_t now)
{
	MT_ASSERT(e->refs > 0);
	if (--e->refs > 0)
		return;
	e->idle_since = now;
	/* Still queued from an earlier release: it keeps that earlier place, with its new time. */
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

static void free_budget(struct mt_budget_account *a)
{
	if (!a)
		return;
	free(a->calls);
	free(a);
}

void mt_cluster_index_fini(struct mt_cluster_index *x)
{
	for (uint32_t i = 0; i < x->n; i++) {
		free(x->by_index[i]->name);
		free_budget(x->by_index[i]->budget);
		free(x->by_index[i]);
	}
	free(x->by_index);
	free(x->slots);
}

int64_t mt_upstream_cluster_get(struct mt_upstream_registry *r, const char *name, uint64_t now)
{
	struct mt_cluster_entry *e = get(&r->clusters, name, now);

	return e ? (int64_t)e->index : -ENOMEM;
}

void mt_upstream_cluster_put(struct mt_upstream_registry *r, uint32_t index, uint64_t now)
{
	MT_ASSERT(index < r->clusters.n);
	put(&r->clusters, r->clusters.by_index[index], now);
}

/* ---- on-demand clusters ---------------------------------------------------------------------- */

const char *mt_upstream_cluster_name(const struct mt_upstream_registry *r, uint32_t index)
{
	const struct mt_cluster_index *x = &r->clusters;

	return index < x->n ? x->by_index[index]->name : NULL;
}

struct mt_demand *mt_upstream_demand(struct mt_upstream_registry *r, uint32_t index)
{
	struct mt_demand *d = &r->clusters.by_index[index]->demand;

	d->serial = &r->demands;
	return d;
}

void mt_upstream_absent(
	struct mt_upstream_registry *r, const char *name, uint64_t until, const char *why)
{
	uint64_t id = mt_secret_hash_text(name, 0);
	struct mt_cluster_entry *e = r->clusters.n ? *find_slot(&r->clusters, id, name) : NULL;

	if (!e)
		return;
	__atomic_store_n(&e->demand.why, why, __ATOMIC_RELAXED);
	/* Release: a worker that reads the new time or serial also reads the new reason. */
	__atomic_store_n(&e->demand.absent_until, until, __ATOMIC_RELEASE);
	__atomic_store_n(&r->demands, r->demands + 1, __ATOMIC_RELEASE);
}

/* ---- retry budgets --------------------------------------------------------------------------- */

static int count_calls(struct mt_budget_account *a)
{
	size_t size = sizeof(*a->calls) * a->workers;
	struct mt_budget_calls *calls = aligned_alloc(MT_CACHE_LINE, size);

	if (!calls)
		return -1;
	for (uint16_t w = 0; w < a->workers; w++)
		calls[w].n = 0;
	/* Workers count calls of clusters of later snapshots only. */
	__atomic_store_n(&a->calls, calls, __ATOMIC_RELEASE);
	return 0;
}

struct mt_budget_account *mt_upstream_budget(
	struct mt_upstream_registry *r, uint32_t index, uint16_t workers, bool counts)
{
	struct mt_cluster_entry *e = r->clusters.by_index[index];

	if (!e->budget) {
		e->budget = calloc(1, sizeof(*e->budget));
		if (!e->budget)
			return NULL;
		e->budget->index = index;
		e->budget->workers = workers;
	}
	return counts && !e->budget->calls && count_calls(e->budget) ? NULL : e->budget;
}

struct mt_budget_account *mt_upstream_budget_at(
	const struct mt_upstream_registry *r, uint32_t index)
{
	return index < r->clusters.n ? r->clusters.by_index[index]->budget : NULL;
}

uint32_t mt_upstream_cluster_indexes(const struct mt_upstream_registry *r)
{
	return r->clusters.n;
}
