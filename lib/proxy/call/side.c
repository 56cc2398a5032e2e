/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Frees what belongs to an exchange outside of its object: filters to notify of its end, the cache
 * entry of its token, kept metadata changes, its request if retained, its unit of a retry budget,
 * its place among calls that wait for a verdict or an on-demand cluster, or among copies for
 * mirrors. On every path an exchange ends in mt_exchange_end(), which calls mt_side_end(), so that
 * the next exchange with the same index finds nothing. An exchange that is answered early stays
 * until its client reads, but what it kept for its wait is freed at once (mt_side_wait_ends()).
 */
#include "call/mt_call_priv.h"

static void leave_list(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_list_del(&ex->queue_node);
	if (ex->state == MT_EX_ON_DEMAND)
		mt_on_demand_left(p, ex);
	else if (ex->awaits_verdict)
		mt_verdict_left(p, ex);
}

mt_noinline void mt_side_wait_ends(struct mt_proxy *p, struct mt_exchange *ex)
{
	/* In later states queue_node is in no list but the client's list of replies that wait. */
	if (ex->state <= MT_EX_SUSPENDED && mt_list_linked(&ex->queue_node))
		leave_list(p, ex);
	if (ex->changes_kept && !ex->retained)
		mt_overlay_drop(p, ex);
	/* Drops a reply that waits for a filter: another reply takes its place, or none follows. */
	if (ex->state == MT_EX_FILTERING)
		mt_chain_free(&ex->rsp);
}

mt_noinline void mt_side_end(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (ex->filters)
		mt_exchange_filters_end(p, ex, mt_exchange_ended(ex));
	if (ex->token)
		mt_tokens_drop(p, ex);
	mt_side_wait_ends(p, ex);
	mt_again_end(p, ex);
	if (ex->changes_kept)
		mt_overlay_drop(p, ex);
	if (ex->origin == MT_CALL_OF_MIRROR)
		mt_mirror_ended(p, ex);
	ex->side = false;
}

void mt_side_stop(struct mt_proxy *p, struct mt_exchange *ex)
{
	/* If the exchange has moved to another worker, its filters get notice of its end there. */
	if (ex->filters && !p->moved)
		mt_exchange_filters_end(p, ex, MT_FILTER_ENDED_STOPPED);
	if (ex->changes_kept)
		mt_overlay_drop(p, ex);
	if (ex->retained)
		mt_chain_free(&mt_exchange_side(p, ex)->retained);
	if (ex->budgeted && !p->moved)
		mt_again_unit(p, ex);
}
