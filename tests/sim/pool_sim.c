/* SPDX-License-Identifier: Apache-2.0 */
#include "pool_sim.h"

#include "mt_poison.h"

#include <errno.h>
#include <string.h>

#define FREED_MARK 0x5ab0feedc0de1dddull
#define FREED_BYTE 0xdd
#define SLOTS	   28

struct fifo {
	void **obj;
	uint32_t size, head, n;
	uint64_t calls, fail_from, fail_n;
	uint64_t failed_at; /* first; 0: not yet */
};

/* Where little is allocated, because nothing gets through, a number of failures would last for ever. */
#define FAILS_FOR (10 * MT_SEC)

static struct {
	struct mt_pools pools;
	struct rte_mbuf **taken; /* `size` of them at most */
	uint32_t n_taken, size;	 /* size: data mbufs of it */
	bool made;
} slots[SLOTS];

/* The mempool's calls carry no context: the seed that runs. */
static struct sim *running;

static int fifo_alloc(struct rte_mempool *mp)
{
	struct fifo *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	f->size = mp->size;
	f->obj = calloc(f->size, sizeof(*f->obj));
	mp->pool_data = f;
	return f->obj ? 0 : -ENOMEM;
}

static void fifo_free(struct rte_mempool *mp)
{
	struct fifo *f = mp->pool_data;

	free(f->obj);
	free(f);
}

/* The buffer behind the mbuf's header. */
static uint8_t *room(void *obj, const struct rte_mempool *mp, size_t *len)
{
	*len = mp->elt_size - sizeof(struct rte_mbuf);
	return (uint8_t *)obj + sizeof(struct rte_mbuf);
}

static int fifo_enqueue(struct rte_mempool *mp, void *const *obj, unsigned int n)
{
	struct fifo *f = mp->pool_data;

	for (unsigned int i = 0; i < n; i++) {
		size_t len;
		uint8_t *p = room(obj[i], mp, &len);
		uint64_t mark = FREED_MARK;

		if (f->n == f->size || memcmp(p, &mark, sizeof(mark)) == 0) {
			sim_fail(running, "an mbuf of %s was freed twice", mp->name);
			return 0;
		}
		memset(p, FREED_BYTE, len);
		memcpy(p, &mark, sizeof(mark));
		mt_poison(p + sizeof(mark), len - sizeof(mark));
		f->obj[(f->head + f->n++) % f->size] = obj[i];
	}
	return 0;
}

/* Bytes that were written while the mbuf was free. */
static bool touched(const uint8_t *p, size_t len)
{
	for (size_t i = sizeof(uint64_t); i < len; i += 61)
		if (p[i] != FREED_BYTE)
			return true;
	return false;
}

static bool must_fail(struct fifo *f)
{
	uint64_t call = f->calls++;

	if (!f->fail_n || call < f->fail_from || call >= f->fail_from + f->fail_n)
		return false;
	if (!f->failed_at)
		f->failed_at = MT_MAX(running->now, 1u);
	if (running->now - f->failed_at >= FAILS_FOR)
		return false;
	sim_count_fault(running, SIM_F_ALLOC_FAILED);
	return true;
}

static int fifo_dequeue(struct rte_mempool *mp, void **obj, unsigned int n)
{
	struct fifo *f = mp->pool_data;

	if (f->n < n) {
		sim_count_fault(running, SIM_F_ALLOC_FAILED);
		return -ENOBUFS;
	}
	if (must_fail(f))
		return -ENOBUFS;
	for (unsigned int i = 0; i < n; i++) {
		size_t len;
		uint8_t *p;

		obj[i] = f->obj[f->head];
		f->head = (f->head + 1) % f->size;
		f->n--;
		p = room(obj[i], mp, &len);
		mt_unpoison(p, len);
		if (touched(p, len))
			sim_fail(running, "an mbuf of %s was written after it was freed", mp->name);
		memset(p, 0, sizeof(uint64_t));
	}
	return 0;
}

static unsigned int fifo_count(const struct rte_mempool *mp)
{
	return ((struct fifo *)mp->pool_data)->n;
}

static const struct rte_mempool_ops fifo_ops = {
	.name = "mt_sim",
	.alloc = fifo_alloc,
	.free = fifo_free,
	.enqueue = fifo_enqueue,
	.dequeue = fifo_dequeue,
	.get_count = fifo_count,
};

RTE_MEMPOOL_REGISTER_OPS(fifo_ops);

static void make(struct mt_pools *p, uint32_t slot)
{
	uint32_t n = slot >= SIM_SLOT_HUGE    ? SIM_POOL_HUGE
		     : slot >= SIM_SLOT_LARGE ? SIM_POOL_LARGE
					      : SIM_POOL_DATA;
	char name[RTE_MEMPOOL_NAMESIZE];

	snprintf(name, sizeof(name), "data%u", slot);
	p->data = rte_pktmbuf_pool_create_by_ops(
		name, n, 0, 0, MT_BUF_DATA_ROOM, SOCKET_ID_ANY, "mt_sim");
	snprintf(name, sizeof(name), "ctrl%u", slot);
	p->ctrl = rte_pktmbuf_pool_create_by_ops(
		name, SIM_POOL_CTRL, 0, 0, MT_BUF_CTRL_ROOM, SOCKET_ID_ANY, "mt_sim");
	slots[slot].taken = calloc(n, sizeof(*slots[slot].taken));
	MT_ASSERT(p->data && p->ctrl && slots[slot].taken);
	slots[slot].made = true;
	slots[slot].size = n;
}

struct mt_pools *sim_pools_get(struct sim *s, uint32_t slot)
{
	struct mt_pools *p = &slots[slot].pools;

	MT_ASSERT(slot < SLOTS);
	running = s;
	if (!slots[slot].made)
		make(p, slot);
	memset(p->counters, 0, sizeof(p->counters));
	p->data_total = p->data_low = slots[slot].size;
	p->ctrl_total = p->ctrl_low = SIM_POOL_CTRL;
	sim_pools_starve(p, 0, 0, 0);
	mt_pools_sample(p);
	return p;
}

void sim_pools_starve(struct mt_pools *p, uint64_t from, uint64_t n, uint32_t take_data)
{
	struct fifo *d = p->data->pool_data, *c = p->ctrl->pool_data;
	uint32_t slot = 0;

	while (&slots[slot].pools != p)
		slot++;
	d->calls = c->calls = d->fail_n = c->fail_n = 0;
	d->failed_at = c->failed_at = 0;
	for (; take_data && slots[slot].n_taken < slots[slot].size; take_data--)
		slots[slot].taken[slots[slot].n_taken++] = rte_pktmbuf_alloc(p->data);
	p->data_total = slots[slot].size - slots[slot].n_taken;
	d->calls = 0;
	d->fail_from = c->fail_from = from;
	d->fail_n = c->fail_n = n;
	mt_pools_sample(p);
}

static uint32_t slot_of(const struct mt_pools *p)
{
	uint32_t slot = 0;

	while (&slots[slot].pools != p)
		slot++;
	return slot;
}

void sim_pools_squeeze(struct mt_pools *p, uint32_t leave)
{
	uint32_t slot = slot_of(p);

	while (rte_mempool_avail_count(p->data) > leave)
		slots[slot].taken[slots[slot].n_taken++] = rte_pktmbuf_alloc(p->data);
	mt_pools_sample(p);
}

void sim_pools_relieve(struct mt_pools *p)
{
	uint32_t slot = slot_of(p);

	while (slots[slot].n_taken)
		rte_pktmbuf_free(slots[slot].taken[--slots[slot].n_taken]);
	mt_pools_sample(p);
}

static void count_refs(struct rte_mempool *mp, void *arg, void *obj, unsigned int i)
{
	uint64_t mark = FREED_MARK, *refs = arg;
	size_t len;

	/* One that is indirect is a view of another, whose count it is in. */
	if (memcmp(room(obj, mp, &len), &mark, sizeof(mark)) != 0 &&
		RTE_MBUF_DIRECT((struct rte_mbuf *)obj))
		*refs += rte_mbuf_refcnt_read(obj);
}

uint64_t sim_pools_refs(const struct mt_pools *p)
{
	uint32_t taken = slots[slot_of(p)].n_taken;
	uint64_t refs = 0;

	if (rte_mempool_avail_count(p->data) + taken < slots[slot_of(p)].size)
		rte_mempool_obj_iter(p->data, count_refs, &refs);
	else
		return 0;
	return refs - taken;
}

void sim_pools_check(struct sim *s, struct mt_pools *p, const char *who)
{
	sim_pools_starve(p, 0, 0, 0);
	sim_pools_relieve(p);
	if (rte_mempool_avail_count(p->data) != slots[slot_of(p)].size)
		sim_fail(s, "%s: %u data mbufs leaked", who,
			slots[slot_of(p)].size - rte_mempool_avail_count(p->data));
	if (rte_mempool_avail_count(p->ctrl) != SIM_POOL_CTRL)
		sim_fail(s, "%s: %u control mbufs leaked", who,
			SIM_POOL_CTRL - rte_mempool_avail_count(p->ctrl));
}

void sim_pools_reset(void)
{
	for (uint32_t i = 0; i < SLOTS; i++) {
		if (!slots[i].made)
			continue;
		free(slots[i].taken);
		rte_mempool_free(slots[i].pools.data);
		rte_mempool_free(slots[i].pools.ctrl);
		memset(&slots[i], 0, sizeof(slots[i]));
	}
}
