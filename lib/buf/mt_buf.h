/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/buf: an mbuf chain seen as bytes. Called by every library that touches payload; owns the
 * pools of a worker and is the only caller of raw mbuf allocation and free. mt_ledger.h accounts
 * for the buffers that each peer holds.
 *
 * A chain links mbufs by its own link (mt_link(), a dynamic field of 24 bytes in the mbuf's second
 * cache line), not by m->next: next, offset and length of the chain's view, a mark for the chain's
 * owner, and the checksum of a long payload if known (`sum`, over the bytes from `sum_off` to the
 * end of the view). So an mbuf that waits in a retransmit queue may at the same time be in a port's
 * transmit ring with headers in front of it: data_off, data_len, next and nb_segs belong to the
 * packet that is being sent or was received. The port may free its packet without touching the
 * chain.
 *
 * Invariants:
 * - Everything here belongs to one worker; nothing takes locks.
 * - An mbuf is on at most one chain; each of its views there has len > 0.
 * - chain.len, truesize and segs are the sums over its mbufs. truesize counts the whole pinned
 *   buffer, for every holder.
 * - An mbuf with another owner (refcnt > 1), or an indirect one, is never written. Bytes to be
 *   changed are copied first and counted (mt_chain_own_prefix(), mt_chain_patch(),
 *   mt_chain_splice()).
 * - -ENOMEM (or NULL) changes nothing, with two exceptions: mt_chain_split() and mt_chain_forward()
 *   may have moved a leading part. Both chains stay consistent.
 * - `epoch` grows when mbufs are replaced or leave the head; a cursor with an older epoch finds its
 *   position again.
 * - A write in place (mt_chain_room(), _grow(), _reserve(), _shorten(), _move_head(): TLS records)
 *   discards the buffer's stored sum.
 *
 * mt_chain_forward() (into a send queue) and mt_buf_segment() (out of it) decide whether payload is
 * copied; docs/design.md, section 4, has the costs:
 * - part of a message below 384 bytes: copied to the queue's last buffer (`coalesced`)
 * - whole large mbuf: moves from chain to chain (`moved`)
 * - segment that is one whole writable mbuf with headroom: sent in place, one reference kept
 *   (`sent_inplace`)
 * - segment below 1,400 bytes, a series of very small parts, or a port without multi-segment
 *   transmit: copied (`sent_copied`)
 * - otherwise: header mbuf and indirect mbufs (`sent_cloned`)
 *
 * Each worker has two pools: data (2,176 bytes of data room, more for jumbo ports) for received
 * frames and payload, control (256 bytes) for headers, ACKs and indirect mbufs. They are stacks, so
 * the buffer freed last, which is still in the cache, is allocated first. Sanitizer builds (and
 * -Ddebug_pools=true) use a FIFO (debug_ops.c), so that a freed mbuf is reused as late as possible,
 * and poison free buffers and links from when the pool is complete, because DPDK writes every mbuf
 * after adding it.
 */
#pragma once

#include "mt_base.h"
#include "mt_outcome.h"

#include <string.h>

#include <rte_mbuf.h>
#include <rte_mempool.h>

/* ---- pools -------------------------------------------------------------------------------- */

#define MT_BUF_DATA_ROOM 2176 /* headroom 128 + 2048, what PMDs expect for 1500 byte frames */
#define MT_BUF_CTRL_ROOM 256  /* headroom 128 + headers, ACKs, native errors; never payload */

enum mt_buf_outcome {
#define MT_OUTCOME(n, s, w) MT_BUF_##n,
#include "buf_outcomes.def"
#undef MT_OUTCOME
	MT_BUF_N_OUTCOMES
};

extern const struct mt_outcome_set mt_buf_outcomes;

/* The buffers of one worker. `counters` has MT_BUF_N_OUTCOMES entries. */
struct mt_pools {
	struct rte_mempool *data;
	struct rte_mempool *ctrl;
	uint32_t data_total, ctrl_total;
	uint32_t data_free; /* sampled by mt_pools_sample() */
	uint32_t data_low;  /* smallest sample since start */
	uint32_t ctrl_free, ctrl_low;
	uint32_t refill_reserve; /* data mbufs reserved for receive rings */
	uint64_t counters[MT_BUF_N_OUTCOMES];
	/*
	 * Keeps neighbours in an array on separate cache lines, because each belongs to another
	 * worker.
	 */
	uint8_t apart[MT_CACHE_LINE];
};

/*
 * Registers the chain's link in the mbuf. Once per process, after rte_eal_init() and before any
 * port starts. 0 or -errno (the place is taken by another user of dynamic fields).
 */
int mt_buf_init(void);

/*
 * Creates the two mempools "mt_data_<name>" and "mt_ctrl_<name>" on a NUMA socket (or
 * SOCKET_ID_ANY). `data_room` is MT_BUF_DATA_ROOM or more for jumbo frames. 0 or -errno. Boot only.
 */
int mt_pools_init(struct mt_pools *p, const char *name, uint32_t n_data, uint32_t n_ctrl,
	uint16_t data_room, int socket);
void mt_pools_fini(struct mt_pools *p);

/* Memory of one mbuf of this data room, for planning: mempool header, alignment, ring slot. */
static inline uint32_t mt_pool_element(uint16_t data_room)
{
	return (uint32_t)(sizeof(struct rte_mbuf) + data_room + 3 * RTE_CACHE_LINE_SIZE +
			  2 * sizeof(void *));
}

/* Reads the fill of both pools; once per loop iteration or less often. */
void mt_pools_sample(struct mt_pools *p);

/* Free data mbufs in percent at the last sample: the input of the memory marks. */
static inline uint32_t mt_pools_free_pct(const struct mt_pools *p)
{
	return p->data_total ? (uint32_t)((uint64_t)p->data_free * 100 / p->data_total) : 0;
}

/* Truesize of all data mbufs except those reserved for receive rings. */
uint64_t mt_pools_lent(const struct mt_pools *p);

/* One mbuf, data_len 0, headroom 128; NULL when the pool is empty (counted). */
struct rte_mbuf *mt_buf_data(struct mt_pools *p) mt_must_check;
struct rte_mbuf *mt_buf_ctrl(struct mt_pools *p) mt_must_check;

/* Takes a reference. */
static inline void mt_buf_hold(struct rte_mbuf *m)
{
	rte_mbuf_refcnt_update(m, 1);
}

/* Drops one reference to every segment of the packet; NULL is allowed. */
static inline void mt_buf_free(struct rte_mbuf *m)
{
	rte_pktmbuf_free(m);
}

static inline void mt_buf_free_bulk(struct rte_mbuf **m, unsigned int n)
{
	rte_pktmbuf_free_bulk(m, n);
}

/* True if bytes of this mbuf may be written: it is direct and has one reference. */
static inline bool mt_buf_writable(const struct rte_mbuf *m)
{
	return RTE_MBUF_DIRECT(m) && rte_mbuf_refcnt_read(m) == 1;
}

/* Memory that holding this mbuf pins. */
static inline uint32_t mt_buf_truesize(const struct rte_mbuf *m)
{
	return (uint32_t)m->buf_len + (uint32_t)sizeof(*m);
}

/* ---- chains ------------------------------------------------------------------------------- */

/*
 * The chain's link in an mbuf: 24 bytes at a fixed position in the second cache line. Buffers are
 * no longer than 64 KiB, so 16 bits hold a position in them.
 *
 * The checksum of a long payload is kept with it: `sum` is the one's complement sum, as the words
 * lie in memory, of all bytes from `sum_off` to the end of the view. It is known while sum_off >=
 * off; sum_off 0: not known. Code that changes those bytes, or moves the end of the view, sets
 * sum_off to 0. The sum leaves out the room of a prefix, so that rewriting the prefix does not
 * invalidate it.
 */
struct mt_link {
	struct rte_mbuf *next;
	uint16_t off; /* of the first byte, from buf_addr */
	uint16_t len; /* > 0 while on a chain */
	uint16_t sum_off, sum;
	uint64_t mark; /* free for the chain's owner (TCP: transmit state) */
};

#define MT_LINK_OFFSET 96

static inline struct mt_link *mt_link(const struct rte_mbuf *m)
{
	return (struct mt_link *)((uintptr_t)m + MT_LINK_OFFSET);
}

/*
 * In ol_flags of a packet's mbuf: `sum` and `sum_off` of its link are valid for that mbuf's data.
 * Set by lib/net on receipt and by mt_buf_segment(); 0 before mt_buf_init().
 */
extern uint64_t mt_buf_summed;

/* Call before bytes in front of `end` (from buf_addr) change: forgets a sum that includes them. */
static inline void mt_link_touch(struct mt_link *l, uint32_t end)
{
	if (l->sum_off < end)
		l->sum_off = 0;
}

static inline uint8_t *mt_link_data(const struct rte_mbuf *m)
{
	return (uint8_t *)m->buf_addr + mt_link(m)->off;
}

/* All zero is the empty chain. */
struct mt_chain {
	struct rte_mbuf *head, *tail;
	uint32_t len;	   /* bytes */
	uint32_t truesize; /* memory pinned */
	uint32_t segs;
	uint32_t epoch; /* grows when mbufs are replaced; cursors then find their position again */
};

/*
 * Offset of the last buffer's first byte, in a chain that is not empty. Bytes from there on are
 * found without a search.
 */
static inline uint32_t mt_chain_before_tail(const struct mt_chain *c)
{
	return c->len - mt_link(c->tail)->len;
}

/* Takes `m` (a single-segment mbuf) with the view [off, off + len) from buf_addr; len > 0. */
void mt_chain_append(struct mt_chain *c, struct rte_mbuf *m, uint32_t off, uint32_t len);

/*
 * Takes a received packet (any number of segments): its bytes [skip, skip + len) are appended,
 * segments outside that range are freed. skip + len <= pkt_len. Returns bytes appended.
 */
uint32_t mt_chain_append_pkt(struct mt_chain *c, struct rte_mbuf *pkt, uint32_t skip, uint32_t len);

/* Moves all of src to the end of dst; src is empty then. */
void mt_chain_concat(struct mt_chain *dst, struct mt_chain *src);

/* Returns all of src as a chain of its own; src is empty then. */
static inline struct mt_chain mt_chain_take(struct mt_chain *src)
{
	struct mt_chain all = *src;

	*src = (struct mt_chain){.epoch = all.epoch + 1};
	return all;
}

/* Frees the first n bytes (n <= len). */
void mt_chain_drop(struct mt_chain *c, uint32_t n);

static inline void mt_chain_free(struct mt_chain *c)
{
	if (c->len)
		mt_chain_drop(c, c->len);
}

/* Frees everything after the first n bytes. */
void mt_chain_truncate(struct mt_chain *c, uint32_t n);

/*
 * Moves the first n bytes (n <= src->len) to the end of dst. If the cut goes through an mbuf, a
 * large moved part is an indirect mbuf (from the control pool), and a small one is copied. 0 or
 * -ENOMEM.
 */
int mt_chain_split(struct mt_chain *src, uint32_t n, struct mt_chain *dst, struct mt_pools *p);

/*
 * As mt_chain_split(), for bytes to be sent: parts below the copy threshold are copied into dst's
 * open tail (coalescing; design §4 row 1), whole large mbufs move without a copy. *moved: bytes
 * moved. 0 or -ENOMEM. After -ENOMEM some leading bytes may have moved; both chains are consistent,
 * and the call may be repeated for the rest.
 */
int mt_chain_forward(struct mt_chain *src, uint32_t n, struct mt_chain *dst, struct mt_pools *p,
	uint32_t *moved);

/* A second chain over the first n bytes (indirect or copied), for mirroring and retries. */
int mt_chain_clone(
	const struct mt_chain *src, uint32_t n, struct mt_chain *dst, struct mt_pools *p);

/* As mt_chain_truncate(), but costs nothing if only bytes of the last buffer are removed. */
static inline void mt_chain_shorten(struct mt_chain *c, uint32_t n)
{
	struct mt_link *l;
	uint32_t cut = c->len - n;

	if (cut == 0)
		return;
	l = mt_link(c->tail);
	if (mt_unlikely(l->len <= cut)) {
		mt_chain_truncate(c, n);
		return;
	}
	l->len -= (uint16_t)cut;
	l->sum_off = 0;
	c->len = n;
}

/*
 * The writable room after the last byte, and its length; NULL: none. mt_chain_grow() takes bytes of
 * it.
 */
static inline uint8_t *mt_chain_room(const struct mt_chain *c, uint32_t *n)
{
	const struct mt_link *l;

	if (!c->tail || !mt_buf_writable(c->tail))
		return NULL;
	l = mt_link(c->tail);
	*n = c->tail->buf_len - ((uint32_t)l->off + l->len);
	return (uint8_t *)c->tail->buf_addr + l->off + l->len;
}

static inline void mt_chain_grow(struct mt_chain *c, uint32_t n)
{
	struct mt_link *l = mt_link(c->tail);

	l->len += (uint16_t)n;
	l->sum_off = 0;
	c->len += n;
}

/*
 * Extends the view of a chain of one buffer by `before` bytes in front and `behind` bytes at the
 * end. The buffer must have room for them. Cursors find their position again; the sum is forgotten.
 */
static inline void mt_chain_frame(struct mt_chain *c, uint32_t before, uint32_t behind)
{
	struct mt_link *l = mt_link(c->head);

	l->off -= (uint16_t)before;
	l->len += (uint16_t)(before + behind);
	l->sum_off = 0;
	c->len += before + behind;
	c->epoch++;
}

/*
 * Moves the first buffer to the end of dst, with another view: [off, off + len) from buf_addr, len
 * > 0. Its sum is forgotten.
 */
void mt_chain_move_head(struct mt_chain *src, struct mt_chain *dst, uint32_t off, uint32_t len);

/* Appends n bytes of undefined content in fresh buffers. 0 or -ENOMEM (nothing appended then). */
int mt_chain_reserve(struct mt_chain *c, struct mt_pools *p, uint32_t n) mt_must_check;

/* Copies [off, off + n), which must exist, into fresh buffers at the end of dst. 0 or -ENOMEM. */
int mt_chain_copy(const struct mt_chain *src, uint32_t off, uint32_t n, struct mt_chain *dst,
	struct mt_pools *p);

/* Copies [off, off + n) out; the range must exist. */
void mt_chain_read(const struct mt_chain *c, uint32_t off, void *dst, uint32_t n);

/*
 * A contiguous view of [off, off + n): a pointer into the chain, or a copy in `scratch` (n bytes)
 * when the range crosses mbufs; NULL when it does not exist. Valid until the chain changes.
 */
const uint8_t *mt_chain_peek(const struct mt_chain *c, uint32_t off, uint32_t n, void *scratch);

/* Appends bytes by copy, into the tail's room first. 0 or -ENOMEM (nothing appended then). */
int mt_chain_write(struct mt_chain *c, struct mt_pools *p, const void *bytes, uint32_t n);

/*
 * Copies a chain of one buffer to the end of dst and frees it: coalescing, counted. dst's tail must
 * be writable and have room for all of it.
 */
static inline void mt_chain_coalesce(struct mt_chain *src, struct mt_chain *dst, struct mt_pools *p)
{
	struct mt_link *l = mt_link(dst->tail);

	memcpy((uint8_t *)dst->tail->buf_addr + l->off + l->len, mt_link_data(src->head), src->len);
	l->len += (uint16_t)src->len;
	l->sum_off = 0;
	dst->len += src->len;
	mt_count(p->counters, MT_BUF_coalesced);
	mt_chain_drop(src, src->len);
}

#define MT_CHAIN_PREFIX_MAX 128

/*
 * The first n bytes (n <= MT_CHAIN_PREFIX_MAX, n <= len) contiguous and writable: in place when the
 * mbuf may be written, else in a copy of just these bytes. NULL: no memory.
 */
uint8_t *mt_chain_own_prefix(struct mt_chain *c, uint32_t n, struct mt_pools *p);

/*
 * Replaces the first `old` bytes (<= len) by n bytes (0 < n <= MT_CHAIN_PREFIX_MAX) with undefined
 * content: in place when the head may be written and has the room in front, else in a fresh mbuf.
 * NULL: no memory, nothing changed.
 */
uint8_t *mt_chain_resize_prefix(struct mt_chain *c, uint32_t old, uint32_t n, struct mt_pools *p);

/* Writes n bytes at off in place; mbufs that may not be written are replaced by copies. */
int mt_chain_patch(
	struct mt_chain *c, uint32_t off, const void *bytes, uint32_t n, struct mt_pools *p);

/*
 * Replaces [off, off + del) by `ins` bytes, which may be longer or shorter; only the mbuf around
 * `off` is rewritten. 0 or -ENOMEM (unchanged).
 */
int mt_chain_splice(struct mt_chain *c, uint32_t off, uint32_t del, const void *bytes, uint32_t ins,
	struct mt_pools *p);

/*
 * Under memory pressure: copies bytes together so that truesize/len falls (design §4). Returns the
 * number of mbufs freed.
 */
uint32_t mt_chain_compact(struct mt_chain *c, struct mt_pools *p);

/* ---- packets out of a chain --------------------------------------------------------------- */

/*
 * A packet for the payload [off, off + len) of a send queue, with at least `hdr_room` bytes of
 * headroom in front of data. This is the only place where design §4's table is decided; each
 * outcome is counted.
 *
 * `seg` is the mbuf of the chain in which `off` lies and `seg_off` the offset inside its view (the
 * caller keeps them as it walks its queue). `chains_ok`: the port sends multi-segment mbufs. len ==
 * 0 gives an empty header packet from the control pool. NULL: no memory.
 */
struct rte_mbuf *mt_buf_segment(struct mt_pools *p, struct rte_mbuf *seg, uint32_t seg_off,
	uint32_t len, uint32_t hdr_room, bool chains_ok) mt_must_check;

/* ---- cursor ------------------------------------------------------------------------------- */

/*
 * A bounded reader over a chain that may still grow at its tail. Remembers its position, so nothing
 * is walked twice. Reads past the end fail and move nothing.
 */
struct mt_cursor {
	const struct mt_chain *chain;
	struct rte_mbuf *seg; /* NULL: before the head or the chain was empty */
	uint32_t seg_off;     /* in seg's view */
	uint32_t pos;	      /* bytes from the chain's start */
	uint32_t end;	      /* reads stop here; UINT32_MAX: the chain's end */
	uint32_t epoch;
};

void mt_cursor_init(struct mt_cursor *cur, const struct mt_chain *c, uint32_t pos);

/* Bytes readable now. */
static inline uint32_t mt_cursor_left(const struct mt_cursor *cur)
{
	uint32_t end = MT_MIN(cur->end, cur->chain->len);

	return end > cur->pos ? end - cur->pos : 0;
}

/* Finds `pos` again after the chain was cut or compacted. The readers call it themselves. */
void mt_cursor_resync(struct mt_cursor *cur);

/* n contiguous bytes at the cursor without moving; NULL when fewer are there. scratch: n bytes. */
const uint8_t *mt_cursor_peek(struct mt_cursor *cur, uint32_t n, void *scratch);

/* The longest contiguous run at the cursor (0 at the end). */
uint32_t mt_cursor_run(struct mt_cursor *cur, const uint8_t **p);

/* Moves on by at most n; returns by how many. */
uint32_t mt_cursor_skip(struct mt_cursor *cur, uint32_t n);

/* Fixed-width reads, big-endian, moving on; false (and no move) when not all bytes are there. */
bool mt_cursor_next(struct mt_cursor *cur, uint8_t *v);
static inline bool mt_cursor_u8(struct mt_cursor *cur, uint8_t *v)
{
	/* Usually the byte lies in the buffer of the cursor. */
	if (mt_unlikely(!cur->seg || cur->epoch != cur->chain->epoch ||
			cur->seg_off >= mt_link(cur->seg)->len || mt_cursor_left(cur) == 0))
		return mt_cursor_next(cur, v);
	*v = mt_link_data(cur->seg)[cur->seg_off++];
	cur->pos++;
	return true;
}
bool mt_cursor_be16(struct mt_cursor *cur, uint16_t *v);
bool mt_cursor_be32(struct mt_cursor *cur, uint32_t *v);
bool mt_cursor_be64(struct mt_cursor *cur, uint64_t *v);
