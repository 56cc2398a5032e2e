/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

#include "mt_buf.h"

/* Below this a copy is cheaper than a header and a clone (measured: 20-28 against 56 cycles). */
#define MT_BUF_COPY_MAX 384
/* Below this a copy still costs no more than a clone, and spares the port a second segment. */
#define MT_BUF_CLONE_MIN 1400

/* Links m after the tail; the view must be set. */
void mt_chain_push(struct mt_chain *c, struct rte_mbuf *m);
/* Unlinks the head and returns it (never NULL on a non-empty chain). */
struct rte_mbuf *mt_chain_pop(struct mt_chain *c);
/* An indirect mbuf that views [off, off + len) of m (from buf_addr); NULL: no memory. */
struct rte_mbuf *mt_buf_indirect(
	struct mt_pools *p, struct rte_mbuf *m, uint32_t off, uint32_t len);
/* Bytes that may be written after the view of m. */
uint32_t mt_link_tailroom(const struct rte_mbuf *m);

#ifdef MT_DEBUG_POOLS
#define MT_DEBUG_OPS "mt_debug"
/* Poisons objects while they are free, from now on. Disarm before the pool is destroyed. */
void mt_debug_arm(struct rte_mempool *mp);
void mt_debug_disarm(struct rte_mempool *mp);
#else
static inline void mt_debug_arm(struct rte_mempool *mp)
{
}

static inline void mt_debug_disarm(struct rte_mempool *mp)
{
}
#endif
