/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ends an opaque stream of which one side was cut off (by a reset, or because its path is silent).
 * The bytes that this node has acknowledged to the cut-off side are delivered to the other side,
 * which is then reset. Without the reset the other side would take a part for the whole stream. An
 * earlier reset would lose bytes that the cut-off side takes for delivered. The other side is not
 * read. It is reset before it has all bytes if it acknowledges nothing for message_ms, if delivery
 * takes longer than half_closed_s, or if memory for opaque streams is short.
 */
#include "session/mt_session_priv.h"

/*
 * Time from the last acknowledgement to the reset if a FIN was sent. Stream positions do not show
 * that a FIN was acknowledged, and the peer's program should see the FIN before the reset.
 */
#define AFTER_FIN_MS 100u

static struct mt_stream *left_of(const struct mt_pair *pr)
{
	return pr->down ? pr->down : pr->up;
}

static bool has_fin(const struct mt_pair *pr)
{
	return pr->down ? pr->fin_to_down : pr->fin_to_up;
}

static bool has_all(const struct mt_pair *pr)
{
	struct mt_stream_pos pos = mt_stream_positions(left_of(pr));

	return pos.acked >= pos.accepted;
}

static void forget(struct mt_proxy *p, struct mt_pair *pr)
{
	if (pr->up)
		mt_opaque_forget_up(p, pr);
	pr->down = NULL;
	mt_opaque_free(p, pr);
}

static void end(struct mt_proxy *p, struct mt_pair *pr, enum mt_abort_reason why)
{
	struct mt_stream *s = left_of(pr);

	forget(p, pr);
	if (s)
		mt_stream_abort(s, why);
}

static void give_up(struct mt_proxy *p, struct mt_pair *pr)
{
	mt_count(p->counters, MT_PROXY_opaque_rest_lost);
	end(p, pr, MT_ABORT_SLOW);
}

/* Time in ms until the reset if nothing more is acknowledged; 0: reset now. */
static uint32_t time_left(const struct mt_proxy *p, const struct mt_pair *pr)
{
	uint32_t quiet = mt_opaque_ms(p) - pr->last_ms, all = mt_opaque_ms(p) - pr->cut_ms;
	uint32_t patience = has_all(pr) ? AFTER_FIN_MS : p->conf.message_ms;
	uint64_t most = p->conf.half_closed_s * 1000ull;

	if (quiet >= patience || all >= most)
		return 0;
	return (uint32_t)MT_MIN((uint64_t)patience - quiet, most - all);
}

void mt_opaque_cut_timer(struct mt_proxy *p, struct mt_pair *pr)
{
	uint32_t ms = time_left(p, pr);

	if (ms)
		mt_wheel_arm(&p->wheel, &pr->timer, p->now + ms * MT_MSEC);
	else if (has_all(pr))
		end(p, pr, MT_ABORT_RELAYED);
	else
		give_up(p, pr);
}

void mt_opaque_pass_rest(struct mt_stream *from, struct mt_stream *to)
{
	struct mt_chain rest = mt_chain_take(&from->rx);

	if (rest.len)
		mt_stream_send(to, &rest);
	if (from->rx_eof)
		mt_stream_shutdown(to);
}

void mt_opaque_cut(struct mt_proxy *p, struct mt_pair *pr)
{
	struct mt_stream *s = left_of(pr);

	mt_count(p->counters, MT_PROXY_opaque_reset);
	if (!s || (has_all(pr) && !has_fin(pr))) {
		end(p, pr, MT_ABORT_RELAYED);
		return;
	}
	mt_count(p->counters, MT_PROXY_opaque_rest);
	pr->cut = true;
	pr->fin_waits = false;
	mt_waiting_ended(p, pr, false);
	pr->last_ms = pr->cut_ms = mt_opaque_ms(p);
	s->user = &mt_pair_cut_user;
	s->want_writable = false;
	mt_stream_refuse(s);
	mt_stream_drop(s, s->rx.len);
	mt_opaque_cut_timer(p, pr);
}

/* ---- events ---- */

static void never(struct mt_stream *s)
{
}

static void on_acked(struct mt_stream *s, uint32_t bytes)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_pair *pr = mt_pair_of(s);

	pr->last_ms = mt_opaque_ms(p);
	if (!has_all(pr))
		return;
	if (has_fin(pr))
		mt_opaque_cut_timer(p, pr);
	else
		end(p, pr, MT_ABORT_RELAYED);
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct mt_proxy *p = s->user_ctx;
	struct mt_pair *pr = mt_pair_of(s);

	if (reason != MT_CLOSE_OK && !has_all(pr))
		mt_count(p->counters, MT_PROXY_opaque_rest_lost);
	forget(p, pr);
}

static void on_evict(struct mt_stream *s, enum mt_class c)
{
	struct mt_proxy *p = s->user_ctx;

	mt_count(p->counters, MT_PROXY_evicted_streaming);
	give_up(p, mt_pair_of(s));
}

const struct mt_stream_user mt_pair_cut_user = {
	.connected = never,
	.readable = never,
	.eof = never,
	.writable = never,
	.acked = on_acked,
	.closed = on_closed,
	.evict = on_evict,
	.holder = mt_opaque_client_of,
};
