/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that an operator closes, each in the way of its protocol. A client connection drains
 * like one of a removed listener (drain.c), or is reset. A server connection gets no new calls and
 * ends after the last reply, or its calls get local replies. Both sides of an opaque stream are
 * reset, because it has no messages whose end could be awaited.
 */
#include "client/mt_client_priv.h"

static enum mt_conn_closing close_down(struct mt_proxy *p, struct mt_down *d, bool at_once)
{
	struct mt_ref ref = d->self;

	if (at_once) {
		mt_down_reset(p, d, MT_PROXY_down_closed_by_operator);
		return MT_CONN_CLOSED;
	}
	if (!d->ending)
		mt_count(p->counters, MT_PROXY_down_closed_by_operator);
	mt_down_drain(p, d);
	return mt_slab_live(&p->downs, ref) ? MT_CONN_DRAINS : MT_CONN_CLOSED;
}

static enum mt_conn_closing close_up(struct mt_proxy *p, struct mt_up *u, bool at_once)
{
	struct mt_ref ref = u->self;

	if (u->state == MT_UP_CONNECTING)
		return MT_CONN_LEFT;
	if (at_once) {
		mt_up_kill(p, u, MT_REPLY_CONN_LOST, MT_PROXY_up_closed_by_operator);
		return MT_CONN_CLOSED;
	}
	if (u->state != MT_UP_DRAINING)
		mt_count(p->counters, MT_PROXY_up_closed_by_operator);
	mt_up_drain(p, u);
	return mt_slab_live(&p->ups, ref) ? MT_CONN_DRAINS : MT_CONN_CLOSED;
}

enum mt_conn_closing mt_proxy_close(struct mt_proxy *p, const struct mt_stream *s, bool at_once)
{
	s = mt_secure_top(p, s);
	if (s->user == &mt_down_user)
		return close_down(p, mt_slab_at(&p->downs, s->owner_idx), at_once);
	if (s->user == &mt_up_user)
		return close_up(p, mt_slab_at(&p->ups, s->owner_idx), at_once);
	if (s->user == &mt_chain_selection_user) {
		mt_chain_selection_reset(p, mt_slab_at(&p->selections, s->owner_idx),
			MT_PROXY_down_closed_by_operator);
		return MT_CONN_CLOSED;
	}
	/* The other side of the stream has ended; its last bytes are being sent to this side. */
	if (s->user == &mt_pair_cut_user)
		return MT_CONN_DRAINS;
	if (s->user != &mt_pair_down_user && s->user != &mt_pair_up_user)
		return MT_CONN_LEFT;
	mt_opaque_end(p, mt_pair_of(s), MT_PROXY_opaque_closed_by_operator, MT_ABORT_CANCELLED);
	return MT_CONN_CLOSED;
}
