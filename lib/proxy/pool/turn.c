/* SPDX-License-Identifier: Apache-2.0 */
/* Order of replies: which call of a client may send reply bytes, and which reply waits. */
#include "mt_mutant.h"
#include "pool/mt_pool_priv.h"

struct mt_exchange *mt_reply_first(struct mt_down *d)
{
	struct mt_list *n = d->owed;

	while (n != &d->exchanges && mt_list_entry(n, struct mt_exchange, down_node)->oneway)
		n = n->next;
	d->owed = n;
	return n == &d->exchanges ? NULL : mt_list_entry(n, struct mt_exchange, down_node);
}

bool mt_reply_is_first(struct mt_down *d, const struct mt_exchange *ex)
{
	return mt_reply_first(d) == ex;
}

static bool in_turn(struct mt_down *d, const struct mt_exchange *ex)
{
	if (!mt_ref_is_none(d->streaming))
		return d->streaming.idx == ex->self.idx;
	return !d->ordered || mt_mutant(MT_MUTANT_reply_out_of_turn) || mt_reply_first(d) == ex;
}

bool mt_reply_may_go(struct mt_down *d, const struct mt_exchange *ex, uint32_t len)
{
	return in_turn(d, ex) &&
	       !(mt_unlikely(ex->state == MT_EX_REPLYING) && mt_list_linked(&ex->queue_node)) &&
	       (len == 0 || mt_stream_sendable(d->s) > 0);
}

void mt_reply_wait(struct mt_down *d, struct mt_exchange *ex)
{
	if (!mt_list_linked(&ex->queue_node) && !mt_mutant(MT_MUTANT_wakes_nobody))
		mt_list_add_tail(&d->waiting, &ex->queue_node);
}
