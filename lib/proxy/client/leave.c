/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients that close their connection while calls wait. If the clients of a protocol never
 * half-close (mt_codec.client_whole_close), nothing reads replies after a FIN, so the FIN ends
 * calls as a reset does. Otherwise a server that hangs would keep them until their time-out, and a
 * late reply would count as a success.
 * - Two-way calls end at once (exchange_client_closed), wherever they wait. So do those that were
 *   complete and not decoded when the FIN came. Late replies are skipped (match.c).
 * - One-way calls go on: they are sent, and kept until they are acknowledged.
 * - On a serial connection a call of two-way type may be one-way (oneway.c). Such a call is sent,
 *   too, and its connection is tested by FIN. All calls on that connection stay until the test has
 *   a result, or the server has sent nothing for WAIT. Their replies are forwarded, because the
 *   client's FIN may be the test of another Meltemi, which goes on reading.
 * - If a filter waits at such a call's reply (reply_wait.c), the call stays until the wait ends.
 * - Another Meltemi also tests by FIN after two-way calls of methods that it does not know yet,
 *   while its clients wait. So if several calls of a client are outstanding on serial connections,
 *   or some were one-way without the type (mt_down.several), all its calls stay, for as long as the
 *   other Meltemi waits (message_ms).
 * - A long reply that is being forwarded goes on. The client's host resets the connection if
 *   nothing reads it.
 * - After a call has ended without its reply (mt_down.left), no further reply is forwarded, so that
 *   a client which reads after all cannot take it for the missing one. The client's connection ends
 *   by a reset, because a FIN would prove to another Meltemi that the call has no reply (oneway.c).
 *   The reset comes after the bytes that are queued (downstream.c).
 */
#include "client/mt_client_priv.h"

/* Time for the test by FIN, from the latest of: call sent, client's FIN, server's last bytes. */
#define WAIT MT_SEC

static uint64_t wait_until(const struct mt_proxy *p, const struct mt_down *d,
	const struct mt_exchange *ex, const struct mt_up *u)
{
	uint64_t last = MT_MAX(ex->attempt.sent, d->last_rx);

	if (u)
		last = MT_MAX(last, u->last_rx);
	return last + (d->several ? p->conf.message_ms * MT_MSEC : WAIT);
}

/* Value of mt_down.several at the client's FIN. */
static bool has_several(struct mt_proxy *p, const struct mt_down *d)
{
	const struct mt_up *u = mt_slab_get(&p->ups, d->serial);

	return mt_correlation_of(d->codec, d->codec_opts) == MT_CORR_SERIAL &&
	       (d->outstanding > 1 || (u && u->bound && mt_ref_eq(u->client, d->self)));
}

/* True if a call of two-way type must still be sent, or stays because of the test by FIN. */
static bool may_be_oneway(struct mt_proxy *p, const struct mt_down *d, const struct mt_exchange *ex)
{
	const struct mt_attempt *a = mt_exchange_attempt(ex);
	const struct mt_up *u;

	if (mt_correlation_of(ex->codec, ex->codec_opts) != MT_CORR_SERIAL)
		return false;
	if (ex->state >= MT_EX_FILTERING)
		return (d->several || ex->state == MT_EX_FILTERING) && !d->left;
	if (!a || a->state != MT_ATTEMPT_SENT)
		return mt_method_may_be_silent(p, ex) ||
		       (d->several && p->now < wait_until(p, d, ex, NULL));
	u = mt_slab_get(&p->ups, a->up);
	return u && (d->several || u->in_doubt) && p->now < wait_until(p, d, ex, u);
}

static bool goes_on(struct mt_proxy *p, const struct mt_down *d, const struct mt_exchange *ex)
{
	return ex->oneway || mt_slab_get(&p->exchanges, d->streaming) == ex ||
	       may_be_oneway(p, d, ex);
}

/* Time of the next check of a call that goes on; MT_NEVER: it needs none. */
static uint64_t next_look(struct mt_proxy *p, const struct mt_down *d, const struct mt_exchange *ex)
{
	const struct mt_attempt *a = mt_exchange_attempt(ex);

	if (ex->oneway || ex->state >= MT_EX_FILTERING)
		return MT_NEVER;
	return a && a->state == MT_ATTEMPT_SENT
		       ? wait_until(p, d, ex, mt_slab_at(&p->ups, a->up.idx))
		       : p->now + WAIT;
}

/* Stops the forwarding of replies. Replies that are queued have TAIL from now on (downstream.c). */
static void set_left(struct mt_proxy *p, struct mt_down *d)
{
	if (!d->left)
		d->last_ack = p->now;
	d->left = true;
}

static void end(struct mt_proxy *p, struct mt_down *d, struct mt_exchange *ex)
{
	/* The test had no result, but the method is known to have no reply. */
	if (mt_oneway_expired(p, ex))
		return;
	set_left(p, d);
	mt_silence_given_up(p, ex, d->s);
	mt_exchange_leave(p, ex, false);
}

/*
 * The first call, from `from` on, that must end; NULL: none. Lowers *at to the next check of the
 * calls before it, which go on.
 */
static struct mt_exchange *next_to_end(
	struct mt_proxy *p, struct mt_down *d, struct mt_exchange *from, uint64_t *at)
{
	struct mt_list *n = from ? &from->down_node : &d->exchanges;

	for (; n != &d->exchanges; n = n->next) {
		struct mt_exchange *ex = mt_list_entry(n, struct mt_exchange, down_node);
		uint64_t look;

		if (!goes_on(p, d, ex))
			return ex;
		look = next_look(p, d, ex);
		*at = MT_MIN(*at, look);
	}
	return NULL;
}

static struct mt_ref ref_behind(const struct mt_down *d, const struct mt_exchange *ex)
{
	const struct mt_list *n = ex->down_node.next;

	return n == &d->exchanges ? MT_REF_NONE
				  : mt_list_entry(n, struct mt_exchange, down_node)->self;
}

void mt_leave(struct mt_proxy *p, struct mt_down *d)
{
	struct mt_exchange *ex = mt_reply_first(d);
	bool decoding = d->decoding;
	struct mt_ref self = d->self, behind;
	uint64_t at = MT_NEVER;

	d->several = d->several || has_several(p, d);
	/* The client connection must not finish inside this loop. */
	d->decoding = true;
	while ((ex = next_to_end(p, d, ex, &at))) {
		behind = ref_behind(d, ex);
		end(p, d, ex);
		if (!mt_slab_live(&p->downs, self))
			return;
		ex = mt_slab_get(&p->exchanges, behind);
		/* The next call has ended, too, with a server connection: start again. */
		if (!ex && !mt_ref_is_none(behind))
			ex = mt_reply_first(d);
	}
	d->decoding = decoding;
	d->leave_at = at == MT_NEVER ? 0 : at;
	if (d->leave_at)
		mt_down_arm(p, d);
}

static bool leaves(struct mt_proxy *p, struct mt_down *d, struct mt_exchange *ex)
{
	if (!mt_down_closed(d) || goes_on(p, d, ex))
		return false;
	set_left(p, d);
	mt_exchange_leave(p, ex, false);
	return true;
}

void mt_leave_answered(struct mt_proxy *p, struct mt_exchange *ex)
{
	struct mt_ref down = ex->down;

	mt_count(p->counters, MT_PROXY_up_late_reply);
	mt_exchange_leave(p, ex, false);
	mt_reply_settle(p, down);
}

static void snap_move(struct mt_proxy *p, struct mt_down *d)
{
	(void)mt_down_snap_move(p, d);
}

const struct mt_call_user mt_call_user = {
	.leaves = leaves,
	.snap_move = snap_move,
};
