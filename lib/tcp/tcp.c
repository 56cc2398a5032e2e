/* SPDX-License-Identifier: Apache-2.0 */
/* The stack: creation, start of a loop iteration, delivery of events to users, destruction. */
#include "mt_tcp_priv.h"

#include <stdlib.h>
#include <string.h>

static const struct mt_tcp_conf defaults = {
	.max_conns = 65536,
	.max_half_open = 4096,
	.max_time_wait = 16384,
	.time_wait_ms = 60000,
	.rx_window_init = 65536,
	.rx_window_max = 1048576,
	.tx_high = 1048576,
	.connect_ms = 1000,
	.keepalive_idle_s = 7200,
	.half_closed_s = 15,
	.delack_ms = 40,
	.min_rto_ms = 200,
	.retries_max = 9, /* RFC 9293 §3.8.3 R2: at least 100 s */
	.port_lo = 20000,
	.port_hi = 60999,
	.resets_per_s = 1000,
};

/* Deadlines can be compared only within 24 days. */
#define KEEPALIVE_MAX_S (20u * 24 * 3600)

/* Half an hour at the longest back-off; c->retries has eight bits. */
#define RETRIES_LIMIT 30u

#define OR_DEFAULT(field)                                                                          \
	do {                                                                                       \
		if (!c->field)                                                                     \
			c->field = defaults.field;                                                 \
	} while (0)

static void fill_defaults(struct mt_tcp_conf *c)
{
	OR_DEFAULT(max_conns);
	OR_DEFAULT(max_half_open);
	OR_DEFAULT(max_time_wait);
	OR_DEFAULT(time_wait_ms);
	OR_DEFAULT(rx_window_init);
	OR_DEFAULT(rx_window_max);
	OR_DEFAULT(tx_high);
	OR_DEFAULT(connect_ms);
	OR_DEFAULT(keepalive_idle_s);
	OR_DEFAULT(half_closed_s);
	OR_DEFAULT(delack_ms);
	OR_DEFAULT(min_rto_ms);
	OR_DEFAULT(retries_max);
	c->retries_max = MT_MIN(c->retries_max, RETRIES_LIMIT);
	OR_DEFAULT(port_lo);
	OR_DEFAULT(port_hi);
	OR_DEFAULT(resets_per_s);
	c->rx_window_max = MT_MAX(c->rx_window_max, c->rx_window_init);
	if (c->keepalive_idle_s != MT_TCP_KEEPALIVE_OFF)
		c->keepalive_idle_s = MT_MIN(c->keepalive_idle_s, KEEPALIVE_MAX_S);
}

static uint8_t scale_for(uint32_t window)
{
	uint8_t scale = 0;

	while (scale < MT_TCP_WSCALE_MAX && window > (65535u << scale))
		scale++;
	return scale;
}

static bool make_memory(struct mt_tcp *t)
{
	const struct mt_tcp_conf *c = &t->conf;

	t->dead = calloc(c->max_conns, sizeof(*t->dead));
	t->tw_due = calloc(c->max_time_wait, sizeof(*t->tw_due));
	t->tw_ring = calloc(c->max_time_wait, sizeof(*t->tw_ring));
	t->paths = calloc(1, mt_tcp_paths_size());
	return t->dead && t->tw_due && t->tw_ring && t->paths && mt_tcp_table_init(t) &&
	       !mt_slab_init(
		       &t->conns, "tcp connections", sizeof(struct mt_tcp_conn), c->max_conns) &&
	       !mt_slab_init(
		       &t->halves, "tcp half-open", sizeof(struct mt_tcp_half), c->max_half_open) &&
	       !mt_slab_init(
		       &t->tws, "tcp time-wait", sizeof(struct mt_tcp_tw), c->max_time_wait) &&
	       !mt_slab_init(
		       &t->ooos, "tcp out of order", sizeof(struct mt_tcp_ooo), c->max_conns) &&
	       !mt_slab_init(
		       &t->losses, "tcp loss records", sizeof(struct mt_tcp_loss), c->max_conns);
}

struct mt_tcp *mt_tcp_create(const struct mt_tcp_conf *conf, uint16_t worker,
	const struct mt_steer *steer, struct mt_netw *net, struct mt_pools *pools,
	const struct mt_listen_ops *listen, void *listen_arg, const uint8_t secret[32],
	uint64_t seed, uint64_t now)
{
	size_t size = (sizeof(struct mt_tcp) + MT_CACHE_LINE - 1) & ~(size_t)(MT_CACHE_LINE - 1);
	struct mt_tcp *t =
		aligned_alloc(MT_CACHE_LINE, size); /* shares no cache line with another worker */

	if (!t)
		return NULL;
	memset(t, 0, size);
	t->ops = (struct mt_stream_ops){
		.consumed = mt_tcp_consumed,
		.send = mt_tcp_send,
		.shutdown = mt_tcp_shutdown,
		.abort = mt_tcp_abort,
		.detach = mt_tcp_detach,
		.refuse = mt_tcp_refuse,
		.touch = mt_tcp_touch,
		.again = mt_tcp_again,
		.class = mt_tcp_class,
		.ends = mt_tcp_ends,
		.room = mt_tcp_room,
		.positions = mt_tcp_positions,
		.end = mt_tcp_end,
		.reclaim = mt_tcp_reclaim,
		.put_back = mt_tcp_put_back,
	};
	t->transport.open = mt_tcp_open;
	t->conf = *conf;
	fill_defaults(&t->conf);
	t->cc = conf->cc_newreno ? &mt_cc_newreno : &mt_cc_cubic;
	t->worker = worker;
	t->coalesce = MT_TCP_COALESCE_MAX;
	t->rcv_scale = scale_for(t->conf.rx_window_max);
	t->steer = steer;
	t->net = net;
	t->pools = pools;
	t->listen = listen;
	t->listen_arg = listen_arg;
	t->tw_cap = t->conf.max_time_wait;
	t->sweep_idx = UINT32_MAX;
	t->rst_tokens = MT_MAX(t->conf.resets_per_s / 10, 10u);
	memcpy(t->secret, secret, sizeof(t->secret));
	mt_rand_seed(&t->rand, seed);
	t->hash_key[0] = mt_rand_u64(&t->rand);
	t->hash_key[1] = mt_rand_u64(&t->rand);
	mt_wheel_init(&t->wheel, now);
	mt_tcp_begin(t, now);
	t->rst_ms = t->now_ms;
	if (!make_memory(t) || mt_ledger_init(&t->ledger, t->conf.max_conns, t->hash_key)) {
		mt_tcp_destroy(t);
		return NULL;
	}
	mt_ledger_share_out(&t->ledger, mt_pools_lent(pools));
	return t;
}

void mt_tcp_set_coalesce(struct mt_tcp *t, uint16_t bytes)
{
	t->coalesce = bytes;
}

uint16_t mt_tcp_coalesce(const struct mt_tcp *t)
{
	return t->coalesce;
}

void mt_tcp_ignore_syns(struct mt_tcp *t)
{
	t->ignores_syns = true;
}

void mt_tcp_destroy(struct mt_tcp *t)
{
	struct mt_tcp_conn *c;
	uint32_t i = 0;

	if (!t)
		return;
	while (t->conns.base && (c = mt_slab_next(&t->conns, &i))) {
		mt_chain_free(&c->s.rx);
		mt_chain_free(&c->tx);
		mt_tcp_ooo_free(t, c);
	}
	mt_table_fini(&t->table);
	mt_slab_fini(&t->conns);
	mt_slab_fini(&t->halves);
	mt_slab_fini(&t->tws);
	mt_slab_fini(&t->ooos);
	mt_slab_fini(&t->losses);
	mt_ledger_fini(&t->ledger);
	free(t->paths);
	free(t->dead);
	free(t->tw_due);
	free(t->tw_ring);
	free(t);
}

void mt_tcp_begin(struct mt_tcp *t, uint64_t now)
{
	t->now = now;
	t->now_ms = (uint32_t)(now / MT_MSEC);
	t->now_us = MT_MAX((uint32_t)(now / MT_USEC), 1u);
	mt_ledger_turn(&t->ledger);
}

static bool alive(const struct mt_tcp_conn *c)
{
	return !(c->flags & MT_CF_DEAD);
}

/* The user may end this or any other connection in each of these calls. */
static void deliver_one(struct mt_tcp *t, struct mt_tcp_conn *c, uint32_t ev)
{
	struct mt_stream *s = &c->s;
	uint32_t acked = c->acked;

	c->acked = 0;
	if (ev & MT_EV_ACCEPT && !t->listen->accept(t->listen_arg, s, (int)s->owner_idx)) {
		mt_tcp_note(t, MT_TCP_accept_refused);
		if (alive(c))
			mt_tcp_abort(s, MT_ABORT_CANCELLED);
		return;
	}
	if (ev & MT_EV_CONNECTED && alive(c))
		s->user->connected(s);
	if (ev & MT_EV_READABLE && alive(c))
		s->user->readable(s);
	if (ev & MT_EV_EOF && alive(c))
		s->user->eof(s);
	if (ev & MT_EV_WRITABLE && alive(c))
		s->user->writable(s);
	if (ev & MT_EV_ACKED && alive(c) && s->user->acked)
		s->user->acked(s, acked);
	if (ev & MT_EV_CLOSED && alive(c)) {
		s->user->closed(s, (enum mt_close_reason)c->reason);
		mt_tcp_conn_dead(t, c);
	}
}

/*
 * Prefetches the user's object of the connection whose events are delivered next: it may have left
 * the cache.
 */
static void prefetch_user(struct mt_tcp *t)
{
	const struct mt_tcp_conn *c;

	if (!t->events.head)
		return;
	c = mt_slab_at(&t->conns, t->events.head - 1);
	if (c->s.user && c->s.user->prefetch)
		c->s.user->prefetch(&c->s);
}

void mt_tcp_deliver(struct mt_tcp *t)
{
	struct mt_tcp_conn *c;

	while ((c = mt_tcp_queue_pop(t, &t->events))) {
		uint32_t ev = c->events;

		prefetch_user(t);
		c->flags &= ~MT_CF_ON_EVENTS;
		c->events = 0;
		if (alive(c))
			deliver_one(t, c, ev);
	}
}
