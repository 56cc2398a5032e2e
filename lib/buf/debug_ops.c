/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mempool handler for sanitizer builds: a FIFO ring (so that a freed mbuf is reused as late as
 * possible) that poisons objects while they are free. Pools made with it have no per-lcore cache.
 */
#include "mt_buf_priv.h"
#include "mt_poison.h"

#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ring.h>

static int debug_alloc(struct rte_mempool *mp)
{
	char name[RTE_RING_NAMESIZE];
	struct rte_ring *r;

	snprintf(name, sizeof(name), "q_%.*s", RTE_RING_NAMESIZE - 3, mp->name);
	r = rte_ring_create(name, rte_align32pow2(mp->size + 1), mp->socket_id, 0);
	if (!r)
		return -rte_errno;
	mp->pool_data = r;
	return 0;
}

static void debug_free(struct rte_mempool *mp)
{
	rte_ring_free(mp->pool_data);
}

/* What an owner could touch: the buffer behind the mbuf header, and the header's second line. */
static void *guarded(void *obj, struct rte_mempool *mp, size_t *len)
{
	*len = mp->elt_size - sizeof(struct rte_mbuf);
	return (uint8_t *)obj + sizeof(struct rte_mbuf);
}

static int debug_enqueue(struct rte_mempool *mp, void *const *obj, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		size_t len;
		void *p = guarded(obj[i], mp, &len);

		mt_poison(p, len);
		mt_poison(mt_link(obj[i]), sizeof(struct mt_link));
	}
	return rte_ring_enqueue_bulk(mp->pool_data, obj, n, NULL) == 0 ? -ENOBUFS : 0;
}

static int debug_dequeue(struct rte_mempool *mp, void **obj, unsigned int n)
{
	if (rte_ring_dequeue_bulk(mp->pool_data, obj, n, NULL) == 0)
		return -ENOBUFS;
	for (unsigned int i = 0; i < n; i++) {
		size_t len;
		void *p = guarded(obj[i], mp, &len);

		mt_unpoison(p, len);
		mt_unpoison(mt_link(obj[i]), sizeof(struct mt_link));
	}
	return 0;
}

static unsigned int debug_count(const struct rte_mempool *mp)
{
	return rte_ring_count(mp->pool_data);
}

static const struct rte_mempool_ops debug_ops = {
	.name = MT_DEBUG_OPS,
	.alloc = debug_alloc,
	.free = debug_free,
	.enqueue = debug_enqueue,
	.dequeue = debug_dequeue,
	.get_count = debug_count,
};

/* DPDK keeps handlers in a table that constructors fill; there is no later moment that is safe. */
RTE_MEMPOOL_REGISTER_OPS(debug_ops);
