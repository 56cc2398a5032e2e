/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Charges the memory of waiting calls to their clients, and that of mirrored copies to the worker.
 */
#include "pool/mt_pool_priv.h"

/* Adds to the truesize of copies that wait for connections; `more` may be negative. */
static void copies_hold(struct mt_proxy *p, int32_t more)
{
	p->mirror.waits += (uint64_t)(int64_t)more;
	if (p->ledger)
		mt_ledger_add(p->ledger, MT_CLASS_RETAINED, more);
}

/* Adds `more`, which may be negative, to the charge for waiting calls. */
static void charge(struct mt_proxy *p, const struct mt_exchange *ex, int32_t more)
{
	struct mt_down *d = mt_exchange_down(p, ex);

	if (mt_unlikely(!d)) {
		copies_hold(p, more);
		return;
	}
	d->pending += (uint32_t)more;
	if (mt_likely(d->s))
		mt_stream_touch(d->s);
}

void mt_exchange_waits(struct mt_proxy *p, struct mt_exchange *ex)
{
	uint32_t is = mt_exchange_truesize(p, ex);

	charge(p, ex, (int32_t)(is - ex->pending));
	ex->pending = is;
}

void mt_exchange_waits_no_more(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_down *d = mt_exchange_down(p, ex);

	charge(p, ex, -(int32_t)ex->pending);
	ex->pending = 0; /* the bytes were sent, or are freed with the call */
	if (mt_likely(d))
		mt_down_waits_for_less(p, d);
}
