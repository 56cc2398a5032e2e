/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves calls that go on after a wait to the newest snapshot, with their clients. Calls that were
 * sent finish under their own snapshot, unless that snapshot must retire (snapshot_move.c).
 */
#include "call/mt_call_priv.h"

bool mt_exchange_snap_move(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_down *d = mt_exchange_down(p, ex);
	struct mt_service *service = NULL;

	mt_call_user.snap_move(p, d);
	if (d->proto && ex->service)
		service = mt_filter_chain_proto_same(d->proto, ex->service);
	mt_exchange_filters_snap_move(p, ex, service);
	ex->service = service;
	ex->attempt.cluster = NULL;
	ex->route = NULL;
	ex->tried = 0;
	mt_snap_switch(p, &ex->snap, p->snap);
	return ex->service != NULL;
}

/*
 * The call is routed again after its verdict. It keeps changes by filters, even of filters that are
 * gone.
 */
void mt_exchange_renew(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_count(p->counters, mt_exchange_snap_move(p, ex) ? MT_PROXY_exchange_snapshot_moved
							   : MT_PROXY_exchange_snapshot_lost);
}

void mt_exchange_wait_is_void(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_exchange_filters_end(p, ex, MT_FILTER_ENDED_HERE);
	mt_reply_local(p, ex, MT_REPLY_NO_ROUTE, "its service changed while a filter waited");
}

/*
 * Does the same as mt_exchange_renew() for a call that waited at a gateway, about which the current
 * rules decide next. False: the call was answered, because its service or filters have changed.
 */
static bool renew_at_gate(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_down *d = mt_exchange_down(p, ex);
	const struct mt_service *service = NULL;

	mt_call_user.snap_move(p, d);
	if (d->proto && ex->service)
		service = mt_filter_chain_proto_same(d->proto, ex->service);
	if (!mt_exchange_filters_wait_on(ex->service, service)) {
		mt_exchange_wait_is_void(p, ex);
		return false;
	}
	mt_exchange_renew(p, ex);
	return true;
}

/* Moves the call to the newest snapshot. False: it was answered. */
static bool renew(struct mt_proxy *p, struct mt_exchange *ex, bool at_gate)
{
	if (at_gate)
		return renew_at_gate(p, ex);
	mt_exchange_renew(p, ex);
	return true;
}

static void decided(struct mt_proxy *p, struct mt_exchange *ex, bool at_gate)
{
	/* Rules that were published while the call waited apply to the call. */
	if (ex->snap != p->snap && !renew(p, ex, at_gate))
		return;
	mt_exchange_becomes(ex, MT_EX_ROUTING);
	if (at_gate)
		ex->filter_at--; /* runs the filter of the gateway's rules again */
	mt_call_run(p, ex);
}

const struct mt_access_user mt_access_user = {
	.decided = decided,
	.expired = mt_exchange_expired,
};
