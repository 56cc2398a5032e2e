/* SPDX-License-Identifier: Apache-2.0 */
/* The worker's side of an inbox; inbox.c describes the ordering between both sides. */
#include "inbox_priv.h"
#include "mt_filter_priv.h"

static uint32_t changes_of(const struct letter *l, struct mt_mutation *m)
{
	const char *p = l->bytes;

	for (uint32_t i = 0; i < l->n_changes; i++) {
		bool removes = l->change[i].value_len == NO_VALUE;

		m[i] = (struct mt_mutation){.key = p, .key_len = l->change[i].key_len};
		p += m[i].key_len;
		if (removes)
			continue;
		m[i].value = p;
		m[i].value_len = l->change[i].value_len;
		p += m[i].value_len;
	}
	return l->n_changes;
}

typedef bool resume_fn(void *arg, const struct mt_filter_resume *r);

static bool hand_over(const struct letter *l, resume_fn *resume, void *arg)
{
	struct mt_mutation changes[MT_FILTER_CHANGES_MAX];

	return resume(arg, &(struct mt_filter_resume){.ticket = l->ticket,
				   .verdict = l->verdict,
				   .reply = mt_filter_reply_of(l->answer),
				   .text = l->text,
				   .changes = changes,
				   .n_changes = changes_of(l, changes)});
}

/*
 * Filters after the one that waited may add to the list meanwhile, so an element keeps its place
 * until resume() has returned.
 */
static uint32_t take_own(
	struct mt_filter_inbox *in, uint32_t budget, resume_fn *resume, void *arg, bool *more)
{
	uint32_t n = 0;

	for (; *more && n < budget && in->n_own > 0; n++) {
		*more = hand_over(&in->own[in->own_first], resume, arg);
		in->own_first = (in->own_first + 1) % MT_FILTER_INBOX_SIZE;
		in->n_own--;
	}
	return n;
}

uint32_t mt_filter_inbox_take(struct mt_filter_inbox *in, struct mt_filter_worker *fw,
	uint32_t budget, resume_fn *resume, void *arg)
{
	struct rte_ring_zc_data at;
	bool more = true;
	uint32_t n;

	__atomic_store_n(&in->rung, 0, __ATOMIC_SEQ_CST);
	mt_count_n(fw->counters, MT_FILTER_completions_full,
		__atomic_exchange_n(&in->full, 0, __ATOMIC_RELAXED));
	for (n = take_own(in, budget / 2, resume, arg, &more); more && n < budget; n++) {
		const struct letter *l;

		if (rte_ring_dequeue_zc_bulk_elem_start(in->ring, sizeof(*l), 1, &at, NULL) == 0)
			break;
		l = at.ptr1;
		(void)__atomic_load_n(&l->stamp, __ATOMIC_ACQUIRE);
		more = hand_over(l, resume, arg);
		rte_ring_dequeue_zc_elem_finish(in->ring, 1);
	}
	if (!more || n == budget || in->n_own > 0)
		__atomic_store_n(&in->rung, 1, __ATOMIC_SEQ_CST);
	return n;
}

bool mt_filter_inbox_sleep(struct mt_filter_inbox *in)
{
	__atomic_store_n(&in->asleep, 1, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&in->rung, __ATOMIC_SEQ_CST))
		return true;
	mt_filter_inbox_awake(in);
	return false;
}

void mt_filter_inbox_awake(struct mt_filter_inbox *in)
{
	__atomic_store_n(&in->asleep, 0, __ATOMIC_SEQ_CST);
}
