/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Life cycle of a connection object, and the lists it waits on. An object is freed only at the end
 * of a flush and only when no list refers to it, so users may abort or detach any connection inside
 * any event.
 */
#include "mt_tcp_settle_priv.h"

static void none(struct mt_stream *s)
{
}

/* Data for a detached connection is acknowledged and dropped. */
static void none_readable(struct mt_stream *s)
{
	mt_stream_drop(s, s->rx.len);
}

static void none_closed(struct mt_stream *s, enum mt_close_reason reason)
{
}

static void none_evict(struct mt_stream *s, enum mt_class c)
{
	mt_tcp_abort(s, MT_ABORT_SLOW);
}

const struct mt_stream_user mt_tcp_user_none = {
	.connected = none,
	.readable = none_readable,
	.eof = none,
	.writable = none,
	.closed = none_closed,
	.evict = none_evict,
};

static uint32_t *link_of(struct mt_tcp *t, struct mt_tcp_queue *q, struct mt_tcp_conn *c)
{
	return q == &t->events ? &c->ev_next : &c->fl_next;
}

void mt_tcp_queue_push(struct mt_tcp *t, struct mt_tcp_queue *q, struct mt_tcp_conn *c)
{
	uint32_t name = mt_slab_idx(&t->conns, c) + 1;

	*link_of(t, q, c) = 0;
	if (q->tail)
		*link_of(t, q, mt_slab_at(&t->conns, q->tail - 1)) = name;
	else
		q->head = name;
	q->tail = name;
	q->n++;
}

struct mt_tcp_conn *mt_tcp_queue_pop(struct mt_tcp *t, struct mt_tcp_queue *q)
{
	struct mt_tcp_conn *c;

	if (!q->head)
		return NULL;
	c = mt_slab_at(&t->conns, q->head - 1);
	q->head = *link_of(t, q, c);
	if (!q->head)
		q->tail = 0;
	q->n--;
	return c;
}

void mt_tcp_mark(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	if (mt_unlikely(c->flags & MT_CF_WAITS)) {
		mt_tcp_settle(t, c); /* the flush skips waiting connections */
		return;
	}
	if (c->flags & MT_CF_ON_FLUSH)
		return;
	c->flags |= MT_CF_ON_FLUSH;
	mt_tcp_queue_push(t, &t->flush, c);
}

void mt_tcp_event(struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t ev)
{
	c->events |= (uint8_t)ev;
	if (c->flags & MT_CF_ON_EVENTS)
		return;
	c->flags |= MT_CF_ON_EVENTS;
	mt_tcp_queue_push(t, &t->events, c);
}

void mt_tcp_again(struct mt_stream *s)
{
	mt_tcp_event(mt_tcp_of(s), mt_tcp_conn_of(s), MT_EV_READABLE);
}

struct mt_tcp_conn *mt_tcp_conn_new(struct mt_tcp *t, const struct mt_tuple *tuple)
{
	struct mt_tcp_conn *c = mt_slab_alloc(&t->conns, NULL);

	if (mt_unlikely(!c)) {
		mt_tcp_note(t, MT_TCP_conns_full);
		return NULL;
	}
	c->s.ops = &t->ops;
	c->s.user = &mt_tcp_user_none;
	c->s.tx_high = t->conf.tx_high;
	c->s.rx_class = MT_CLASS_RECEIVING;
	c->s.tx_class = MT_CLASS_REPLYING;
	c->tuple = *tuple;
	c->rcv_budget = t->conf.rx_window_init;
	c->rcv_scale = t->rcv_scale;
	c->ts_off = mt_tcp_ts_offset(t, tuple);
	c->rto_ms = 1000; /* RFC 6298 §2.1 */
	c->cc.ssthresh = MT_CC_SSTHRESH_INF;
	c->born_ms = c->rcvd_ms = c->tune_ms = t->now_ms;
	c->oow_ms = t->now_ms - 1000;
	mt_timer_init(&c->timer);
	return c;
}

void mt_tcp_loss_free(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	if (!c->loss)
		return;
	mt_slab_free(&t->losses, mt_tcp_loss(t, c));
	c->loss = 0;
}

static void free_tx(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	mt_tcp_loss_free(t, c);
	mt_chain_free(&c->tx);
	c->nxt_seg = NULL;
	c->nxt_off = 0;
	c->s.tx_queued = 0;
}

uint32_t mt_tcp_resent_to(const struct mt_tcp *t, const struct mt_tcp_conn *c)
{
	const struct mt_tcp_loss *l = mt_tcp_loss(t, c);
	uint32_t to = c->snd_una, at = c->snd_una;

	if (!c->retransmits)
		return to;
	if (l) /* if a buffer was sent again only in part, its mark does not show it */
		to = mt_seq_max(to, l->resent);
	for (const struct rte_mbuf *m = c->tx.head; m && mt_seq_lt(at, c->snd_nxt);
		m = mt_link(m)->next) {
		at += mt_link(m)->len;
		if (mt_link(m)->mark & MT_TX_RETRANS)
			to = mt_seq_max(to, at);
	}
	return mt_seq_lt(to, c->snd_nxt) ? to : c->snd_nxt;
}

void mt_tcp_conn_end(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	if (c->flags & MT_CF_IN_TABLE) {
		uint32_t val = mt_tcp_val(MT_TCP_KIND_CONN, mt_slab_idx(&t->conns, c));

		MT_ASSERT(mt_table_remove(&t->table, mt_tcp_hash(t, &c->tuple), val));
		c->flags &= ~MT_CF_IN_TABLE;
	}
	if (c->flags & MT_CF_WAITS) {
		mt_tcp_wait_leave(t, c);
		mt_tcp_mark(t, c); /* so that a due RST or ACK is sent without waiting */
	}
	mt_tcp_path_remember(t, c);
	if (c->state == MT_TCP_SYN_SENT || c->state == MT_TCP_SYN_RCVD)
		c->snd_una = c->snd_nxt; /* a SYN is not a byte of the stream */
	c->state = MT_TCP_CLOSED;
	mt_wheel_cancel(&t->wheel, &c->timer);
	memset(c->at, 0, sizeof(c->at));
	mt_tcp_ooo_free(t, c);
	mt_tcp_settle(t, c);
}

void mt_tcp_conn_dead(struct mt_tcp *t, struct mt_tcp_conn *c)
{
	if (c->flags & MT_CF_DEAD)
		return;
	/* The user's object may no longer exist. */
	c->s.user = &mt_tcp_user_none;
	c->s.keeps = false;
	mt_tcp_conn_end(t, c);
	free_tx(t, c);
	mt_chain_free(&c->s.rx);
	mt_tcp_settle(t, c);
	c->events = 0;
	c->flags |= MT_CF_DEAD;
	t->dead[t->n_dead++] = mt_slab_idx(&t->conns, c);
}

void mt_tcp_conn_fail(struct mt_tcp *t, struct mt_tcp_conn *c, enum mt_close_reason reason)
{
	if (c->state == MT_TCP_CLOSED)
		return;
	mt_tcp_conn_end(t, c);
	c->flags &= ~(MT_CF_ACK_NOW | MT_CF_ACK_DELAY | MT_CF_SYN_DUE | MT_CF_PROBE_DUE);
	if (c->flags & MT_CF_DETACHED || c->events & MT_EV_ACCEPT) {
		mt_tcp_conn_dead(t, c); /* the user was never notified of it, or has detached */
		return;
	}
	c->reason = (uint8_t)reason;
	mt_tcp_event(t, c, MT_EV_CLOSED);
}

void mt_tcp_conn_reap(struct mt_tcp *t)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < t->n_dead; i++) {
		struct mt_tcp_conn *c = mt_slab_at(&t->conns, t->dead[i]);

		if (c->flags & (MT_CF_ON_EVENTS | MT_CF_ON_FLUSH))
			t->dead[kept++] = t->dead[i];
		else
			mt_slab_free(&t->conns, c);
	}
	t->n_dead = kept;
}
