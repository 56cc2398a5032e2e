/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_buf_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_mbuf_dyn.h>
#include <rte_mbuf_pool_ops.h>

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "buf_outcomes.def"
#undef MT_OUTCOME
};

const struct mt_outcome_set mt_buf_outcomes = {"buf", rows, MT_ARRAY_LEN(rows)};

_Static_assert(MT_LINK_OFFSET >= offsetof(struct rte_mbuf, dynfield1), "link in the dynamic area");
_Static_assert(MT_LINK_OFFSET + sizeof(struct mt_link) <= sizeof(struct rte_mbuf), "link fits");

uint64_t mt_buf_summed;

int mt_buf_init(void)
{
	static const struct rte_mbuf_dynflag summed_flag = {.name = "meltemi_payload_sum"};
	static const struct rte_mbuf_dynfield link_field = {
		.name = "meltemi_chain_link",
		.size = sizeof(struct mt_link),
		.align = 8,
	};
	int bit;

	if (rte_mbuf_dynfield_register_offset(&link_field, MT_LINK_OFFSET) != MT_LINK_OFFSET)
		return -rte_errno;
	bit = rte_mbuf_dynflag_register(&summed_flag);
	if (bit < 0)
		return -rte_errno;
	mt_buf_summed = 1ull << bit;
	return 0;
}

#ifdef MT_DEBUG_POOLS
#define POOL_CACHE 0 /* every free must reach the quarantine */
#define POOL_OPS   MT_DEBUG_OPS
#else
#define POOL_CACHE RTE_MEMPOOL_CACHE_MAX_SIZE
/*
 * Last in, first out. DPDK's default is a ring, which returns the buffer that was freed longest
 * ago. With more buffers in flight than the cache holds, it walks through all of a pool of 150 MB,
 * and each packet gets cold memory.
 */
#define POOL_OPS   "stack"
#endif

/*
 * Without hugepages no device reads the memory by physical address, so buffers may cross pages.
 * Otherwise the pool would give each buffer a 4 KiB page of its own.
 */
static unsigned int pool_flags(void)
{
	return rte_eal_has_hugepages() ? 0 : RTE_MEMPOOL_F_NO_IOVA_CONTIG;
}

static struct rte_mempool *create(
	const char *kind, const char *name, uint32_t n, uint16_t room, int socket)
{
	char full[RTE_MEMPOOL_NAMESIZE];
	unsigned int cache = n > 4 * POOL_CACHE ? POOL_CACHE : 0;
	struct rte_pktmbuf_pool_private priv = {.mbuf_data_room_size = room};
	struct rte_mempool *mp;

	snprintf(full, sizeof(full), "mt_%s_%s", kind, name);
	mp = rte_mempool_create_empty(full, n, (unsigned int)sizeof(struct rte_mbuf) + room, cache,
		sizeof(priv), socket, pool_flags());
	if (!mp)
		return NULL;
	if (rte_mempool_set_ops_byname(mp, POOL_OPS, NULL) != 0 &&
		rte_mempool_set_ops_byname(mp, rte_mbuf_best_mempool_ops(), NULL) != 0)
		goto fail;
	rte_pktmbuf_pool_init(mp, &priv);
	if (rte_mempool_populate_default(mp) < 0)
		goto fail;
	rte_mempool_obj_iter(mp, rte_pktmbuf_init, NULL);
	mt_debug_arm(mp);
	return mp;
fail:
	rte_mempool_free(mp);
	return NULL;
}

static void destroy(struct rte_mempool *mp)
{
	if (!mp)
		return;
	mt_debug_disarm(mp);
	rte_mempool_free(mp);
}

int mt_pools_init(struct mt_pools *p, const char *name, uint32_t n_data, uint32_t n_ctrl,
	uint16_t data_room, int socket)
{
	memset(p, 0, sizeof(*p));
	p->data = create("data", name, n_data, data_room, socket);
	if (!p->data)
		return -rte_errno;
	p->ctrl = create("ctrl", name, n_ctrl, MT_BUF_CTRL_ROOM, socket);
	if (!p->ctrl) {
		int rc = -rte_errno;

		mt_pools_fini(p);
		return rc;
	}
	p->data_total = p->data_low = n_data;
	p->ctrl_total = p->ctrl_low = n_ctrl;
	mt_pools_sample(p);
	return 0;
}

void mt_pools_fini(struct mt_pools *p)
{
	destroy(p->data);
	destroy(p->ctrl);
	p->data = p->ctrl = NULL;
}

void mt_pools_sample(struct mt_pools *p)
{
	p->data_free = rte_mempool_avail_count(p->data);
	p->ctrl_free = rte_mempool_avail_count(p->ctrl);
	p->data_low = MT_MIN(p->data_low, p->data_free);
	p->ctrl_low = MT_MIN(p->ctrl_low, p->ctrl_free);
}

uint64_t mt_pools_lent(const struct mt_pools *p)
{
	uint64_t each = rte_pktmbuf_data_room_size(p->data) + sizeof(struct rte_mbuf);

	return (p->data_total - MT_MIN(p->refill_reserve, p->data_total)) * each;
}

struct rte_mbuf *mt_buf_data(struct mt_pools *p)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(p->data);

	if (mt_unlikely(!m))
		mt_count(p->counters, MT_BUF_data_pool_empty);
	return m;
}

struct rte_mbuf *mt_buf_ctrl(struct mt_pools *p)
{
	struct rte_mbuf *m = rte_pktmbuf_alloc(p->ctrl);

	if (mt_unlikely(!m))
		mt_count(p->counters, MT_BUF_ctrl_pool_empty);
	return m;
}
