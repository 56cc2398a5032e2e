/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-way calls that were sent. No reply tells that their server has them, only its machine's acknowledgement, so until that is
 * there their attempt lives, in mt_up.unacked: what the server provably has not read when its connection ends is sent again
 * like any other call (retry.c). Meanwhile they hold up nothing but their client's FIN, and that for message_ms at most.
 */
#include "mt_proxy_priv.h"

/* Of all exchanges, that many may be such calls; what is sent beyond is not watched. */
#define UNACKED_PART 4

/* Whom it was sent to is known; nothing but the transport works on it any more. */
static void release(struct mt_proxy *p, struct mt_exchange *ex, struct mt_attempt *a)
{
	if (mt_unlikely(ex->filters))
		mt_exchange_filters_end(p, ex, MT_FILTER_ENDED_ONEWAY);
	/* Its own time-out is not the network's; a machine that answers and takes nothing must not keep it for ever. */
	mt_deadline_arm(&p->deadlines, &ex->deadline, p->now, p->conf.message_ms);
	mt_attempt_leave_endpoint(p, a);
}

/* So many of all clients, or of this one, that it is not worth more of them. A copy never is. */
static bool too_many(const struct mt_proxy *p, const struct mt_down *d)
{
	return p->n_unacked >= p->conf.max_exchanges / UNACKED_PART ||
	       d->unacked >= p->conf.down_outstanding || d->copy;
}

bool mt_unacked_wait(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a)
{
	struct mt_exchange *ex = mt_attempt_exchange(p, a);
	struct mt_down *d = mt_exchange_down(p, ex);

	if (mt_unlikely(too_many(p, d)))
		return false;
	release(p, ex, a);
	a->state = MT_ATTEMPT_UNACKED;
	ex->unacked = true;
	mt_list_add_tail(&u->unacked, &a->node);
	u->s->want_writable = true; /* the next acknowledgement */
	p->n_unacked++;
	d->outstanding--;
	d->unacked++;
	return true;
}

void mt_unacked_again(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_down *d = mt_exchange_down(p, ex);

	ex->unacked = false;
	d->unacked--;
	d->outstanding++;
	mt_deadline_cancel(&ex->deadline); /* what is left of its own counts again (dispatch.c) */
}

void mt_unacked_expired(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (ex->service)
		mt_stats_service(p, ex->service)->timeouts++;
	mt_account_failed(p, mt_exchange_attempt(p, ex));
	mt_reply_local(p, ex, MT_REPLY_TIMEOUT, "not acknowledged in time");
}

void mt_unacked_end(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_account_oneway(p, ex, MT_PROXY_exchange_oneway);
	mt_exchange_end(p, ex);
}

/* The server's TCP stack has all of it. No reply will bring the endpoint back, so a trial is over by that. */
static void delivered(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_attempt *a)
{
	if (mt_unlikely(a->trial))
		mt_ep_answered(p, ex, a, MT_STATUS_OK);
	mt_unacked_end(p, ex);
}

/* The first one; NULL: none is acknowledged up to there. */
static struct mt_attempt *first_acked(const struct mt_up *u, uint64_t acked)
{
	const struct mt_list *n = u->unacked.next;
	struct mt_attempt *a = mt_list_entry(n, struct mt_attempt, node);

	return n != &u->unacked && a->last <= acked ? a : NULL;
}

void mt_unacked_take(struct mt_up *u, uint64_t acked, struct mt_list *to)
{
	struct mt_attempt *a;

	while ((a = first_acked(u, acked))) {
		mt_list_del(&a->node);
		mt_list_add_tail(to, &a->node);
	}
}

bool mt_unacked_look(struct mt_proxy *p, struct mt_up *u)
{
	uint64_t acked = mt_stream_positions(u->s).acked;
	struct mt_ref ref = u->self;
	struct mt_attempt *a;

	/* The end of one may begin others, and end connections. */
	while ((a = first_acked(u, acked))) {
		struct mt_exchange *ex = mt_attempt_exchange(p, a);
		struct mt_ref down = ex->down;

		delivered(p, ex, a);
		mt_reply_settle(p, down);
		if (!mt_slab_live(&p->ups, ref) || !u->s)
			return false;
	}
	if (!mt_list_empty(&u->unacked))
		u->s->want_writable = true;
	else if (u->ended_at)
		mt_up_peer_ended(p, u);
	return mt_slab_live(&p->ups, ref) && u->s;
}
