/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mempool handler for sanitizer builds: a FIFO ring (so that a freed mbuf is reused as late as
 * possible) that poisons objects while they are free. Pools made with it have no per-lcore cache.
 */
#include "mt_buf_priv.h"
#include "mt_poison.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <rte_errno.h>
#include <rte_ring.h>

/*
 * The handler's data. Objects are poisoned only after mt_debug_arm(), because DPDK writes them
 * before.
 */
struct quarantine {
	struct rte_ring *ring;
	bool armed;
};

static int debug_alloc(struct rte_mempool *mp)
{
	struct quarantine *q = calloc(1, sizeof(*q));
	char name[RTE_RING_NAMESIZE];

	if (!q)
		return -ENOMEM;
	snprintf(name, sizeof(name), "q_%.*s", (int)sizeof(name) - 3, mp->name);
	q->ring = rte_ring_create(name, rte_align32pow2(mp->size + 1), mp->socket_id, 0);
	if (!q->ring) {
		free(q);
		return -rte_errno;
	}
	mp->pool_data = q;
	return 0;
}

static void debug_free(struct rte_mempool *mp)
{
	struct quarantine *q = mp->pool_data;

	if (!q)
		return;
	rte_ring_free(q->ring);
	free(q);
}

/* What an owner could touch: the buffer after the mbuf header, and the link in the header. */
static void guard(struct rte_mempool *mp, void *obj)
{
	mt_poison((uint8_t *)obj + sizeof(struct rte_mbuf), mp->elt_size - sizeof(struct rte_mbuf));
	mt_poison(mt_link(obj), sizeof(struct mt_link));
}

static void unguard(struct rte_mempool *mp, void *obj)
{
	mt_unpoison(
		(uint8_t *)obj + sizeof(struct rte_mbuf), mp->elt_size - sizeof(struct rte_mbuf));
	mt_unpoison(mt_link(obj), sizeof(struct mt_link));
}

static void arm_object(struct rte_mempool *mp, void *arg, void *obj, unsigned int idx)
{
	guard(mp, obj);
}

static void disarm_object(struct rte_mempool *mp, void *arg, void *obj, unsigned int idx)
{
	unguard(mp, obj);
}

void mt_debug_arm(struct rte_mempool *mp)
{
	struct quarantine *q = mp->pool_data;

	q->armed = true;
	rte_mempool_obj_iter(mp, arm_object, NULL);
}

void mt_debug_disarm(struct rte_mempool *mp)
{
	struct quarantine *q = mp->pool_data;

	q->armed = false;
	rte_mempool_obj_iter(mp, disarm_object, NULL);
}

static int debug_enqueue(struct rte_mempool *mp, void *const *obj, unsigned int n)
{
	struct quarantine *q = mp->pool_data;

	for (unsigned int i = 0; i < n && q->armed; i++)
		guard(mp, obj[i]);
	return rte_ring_enqueue_bulk(q->ring, obj, n, NULL) == 0 ? -ENOBUFS : 0;
}

static int debug_dequeue(struct rte_mempool *mp, void **obj, unsigned int n)
{
	struct quarantine *q = mp->pool_data;

	if (rte_ring_dequeue_bulk(q->ring, obj, n, NULL) == 0)
		return -ENOBUFS;
	for (unsigned int i = 0; i < n; i++)
		unguard(mp, obj[i]);
	return 0;
}

static unsigned int debug_count(const struct rte_mempool *mp)
{
	const struct quarantine *q = mp->pool_data;

	return rte_ring_count(q->ring);
}

static const struct rte_mempool_ops debug_ops = {
	.name = MT_DEBUG_OPS,
	.alloc = debug_alloc,
	.free = debug_free,
	.enqueue = debug_enqueue,
	.dequeue = debug_dequeue,
	.get_count = debug_count,
};

/* DPDK keeps handlers in a table that constructors fill; later registration is not safe. */
RTE_MEMPOOL_REGISTER_OPS(debug_ops);
