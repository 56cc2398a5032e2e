/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_dns_lane.h"

#include <stdatomic.h>
#include <string.h>

struct mt_dns_lane {
	/* worker: w, ctl: r */
	_Atomic uint32_t asked_head mt_cache_aligned;
	_Atomic uint32_t told_tail;
	/* ctl: w, worker: r */
	_Atomic uint32_t asked_tail mt_cache_aligned;
	_Atomic uint32_t told_head;
	struct mt_dns_asked asked[MT_DNS_LANE] mt_cache_aligned;
	struct mt_dns_told told[MT_DNS_LANE];
	uint8_t *kept[MT_DNS_LANE]; /* ctl only: the messages of told[] */
};

struct mt_dns_lane *mt_dns_lane_new(void)
{
	struct mt_dns_lane *l = aligned_alloc(MT_CACHE_LINE, sizeof(*l));

	if (l)
		memset(l, 0, sizeof(*l));
	return l;
}

void mt_dns_lane_free(struct mt_dns_lane *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < MT_DNS_LANE; i++)
		free(l->kept[i]);
	free(l);
}

/* ---- worker ---- */

bool mt_dns_lane_ask(struct mt_dns_lane *l, const struct mt_dns_where *where,
	const struct mt_addr *client, bool datagram, const uint8_t *msg, uint32_t len)
{
	uint32_t head = atomic_load_explicit(&l->asked_head, memory_order_relaxed);
	struct mt_dns_asked *a = &l->asked[head % MT_DNS_LANE];

	if (len > MT_DNS_QUERY_MAX ||
		head - atomic_load_explicit(&l->asked_tail, memory_order_acquire) == MT_DNS_LANE)
		return false;
	a->where = *where;
	a->client = *client;
	a->datagram = datagram;
	a->len = (uint16_t)len;
	memcpy(a->msg, msg, len);
	atomic_store_explicit(&l->asked_head, head + 1, memory_order_release);
	return true;
}

uint32_t mt_dns_lane_asks(const struct mt_dns_lane *l)
{
	return atomic_load_explicit(&l->asked_head, memory_order_relaxed);
}

bool mt_dns_lane_has_answer(const struct mt_dns_lane *l)
{
	return atomic_load_explicit(&l->told_head, memory_order_acquire) !=
	       atomic_load_explicit(&l->told_tail, memory_order_relaxed);
}

const struct mt_dns_told *mt_dns_lane_hear(struct mt_dns_lane *l)
{
	uint32_t tail = atomic_load_explicit(&l->told_tail, memory_order_relaxed);

	return mt_dns_lane_has_answer(l) ? &l->told[tail % MT_DNS_LANE] : NULL;
}

void mt_dns_lane_heard(struct mt_dns_lane *l)
{
	uint32_t tail = atomic_load_explicit(&l->told_tail, memory_order_relaxed);

	atomic_store_explicit(&l->told_tail, tail + 1, memory_order_release);
}

/* ---- control thread ---- */

const struct mt_dns_asked *mt_dns_lane_take(struct mt_dns_lane *l)
{
	uint32_t tail = atomic_load_explicit(&l->asked_tail, memory_order_relaxed);

	if (atomic_load_explicit(&l->asked_head, memory_order_acquire) == tail)
		return NULL;
	return &l->asked[tail % MT_DNS_LANE];
}

void mt_dns_lane_taken(struct mt_dns_lane *l)
{
	uint32_t tail = atomic_load_explicit(&l->asked_tail, memory_order_relaxed);

	atomic_store_explicit(&l->asked_tail, tail + 1, memory_order_release);
}

bool mt_dns_lane_tell(
	struct mt_dns_lane *l, const struct mt_dns_where *where, const uint8_t *msg, uint32_t len)
{
	uint32_t head = atomic_load_explicit(&l->told_head, memory_order_relaxed);
	uint32_t at = head % MT_DNS_LANE;
	uint8_t *copy;

	if (head - atomic_load_explicit(&l->told_tail, memory_order_acquire) == MT_DNS_LANE)
		return false;
	copy = malloc(len ? len : 1);
	if (!copy)
		return false;
	memcpy(copy, msg, len);
	/* The worker's tail is past this slot, so it has read the old message. */
	free(l->kept[at]);
	l->kept[at] = copy;
	l->told[at] = (struct mt_dns_told){*where, len, copy};
	atomic_store_explicit(&l->told_head, head + 1, memory_order_release);
	return true;
}
