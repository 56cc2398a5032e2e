/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-way calls that were sent. Only an acknowledgement by the server's TCP stack shows that the
 * server has them, so their attempts stay in mt_up.unacked until they are acknowledged. If the
 * connection ends earlier and the server has provably not read such a call, the call is sent again
 * like any other (retry.c). Unacknowledged calls delay only the answer to their client's FIN, for
 * message_ms at most.
 */
#include "call/mt_call_priv.h"

/* At most 1 / UNACKED_PART of all exchanges may be such calls; further ones end when sent. */
#define UNACKED_PART 4

/* Releases what the call no longer needs: its filters, its time-out, its place at the endpoint. */
static void release(struct mt_proxy *p, struct mt_exchange *ex, struct mt_attempt *a)
{
	if (mt_unlikely(ex->filters))
		mt_exchange_filters_end(p, ex, MT_FILTER_ENDED_ONEWAY);
	/*
	 * The call's time-out does not limit its delivery; message_ms does, so that a server that
	 * never opens its window does not keep the call forever.
	 */
	mt_deadline_arm(&p->deadlines, &ex->deadline, p->now, p->conf.message_ms);
	mt_attempt_leave_endpoint(p, a);
}

/* True if all clients together, or this one, have reached their limit of such calls. */
static bool too_many(const struct mt_proxy *p, const struct mt_down *d)
{
	return p->n_unacked >= p->conf.max_exchanges / UNACKED_PART ||
	       d->unacked >= p->conf.down_outstanding;
}

bool mt_unacked_wait(struct mt_proxy *p, struct mt_up *u, struct mt_attempt *a)
{
	struct mt_exchange *ex = mt_attempt_exchange(a);
	struct mt_down *d = mt_exchange_down(p, ex);

	if (mt_unlikely(!mt_call_rules_of(ex)->acknowledged || too_many(p, d)))
		return false;
	release(p, ex, a);
	mt_attempt_becomes(a, MT_ATTEMPT_UNACKED);
	ex->unacked = true;
	mt_list_add_tail(&u->unacked, &a->node);
	u->s->want_writable = true; /* writable() reports the next acknowledgement */
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
	mt_deadline_cancel(&ex->deadline); /* run.c arms the rest of the call's own time-out */
}

void mt_unacked_expired(struct mt_proxy *p, struct mt_exchange *ex)
{
	if (ex->service)
		mt_stats_service(p, ex->service)->timeouts++;
	mt_account_failed(p, mt_exchange_attempt(ex));
	mt_reply_local(p, ex, MT_REPLY_TIMEOUT, "not acknowledged in time");
}

void mt_unacked_end(struct mt_proxy *p, struct mt_exchange *ex)
{
	mt_account_oneway(p, ex, false);
	mt_exchange_end(p, ex);
}

/*
 * The server's TCP stack has the whole call. No reply follows, so the acknowledgement ends a trial.
 */
static void delivered(struct mt_proxy *p, struct mt_exchange *ex, const struct mt_attempt *a)
{
	if (mt_unlikely(a->trial))
		mt_ep_answered(p, ex, a, MT_STATUS_OK);
	mt_unacked_end(p, ex);
}

/* The first attempt if all its bytes are acknowledged; else NULL. */
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

	/* The end of a call may start others, and end connections. */
	while ((a = first_acked(u, acked))) {
		struct mt_exchange *ex = mt_attempt_exchange(a);
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
