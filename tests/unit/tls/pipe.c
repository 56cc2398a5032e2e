/* SPDX-License-Identifier: Apache-2.0 */
#include "pipe.h"

#include <errno.h>

struct pipes pipes;

static struct pipe_end *end_of(const struct mt_stream *s)
{
	return (struct pipe_end *)(uintptr_t)s;
}

static void ignore(struct mt_stream *s)
{
	mt_chain_free(&s->rx);
}

static void ignore_closed(struct mt_stream *s, enum mt_close_reason reason)
{
}

static const struct mt_stream_user nobody = {.connected = ignore,
	.readable = ignore,
	.eof = ignore,
	.writable = ignore,
	.closed = ignore_closed};

static void gone(struct pipe_end *e)
{
	mt_chain_free(&e->s.rx);
	mt_chain_free(&e->tx);
	if (e->peer)
		e->peer->peer = NULL;
	*e = (struct pipe_end){0};
}

static void op_consumed(struct mt_stream *s)
{
	CU_ASSERT_FATAL(s->rx_kept <= s->rx.len);
}

static void op_send(struct mt_stream *s, struct mt_chain *c)
{
	struct pipe_end *e = end_of(s);

	CU_ASSERT_FATAL(e->live && !e->shut);
	e->accepted += c->len;
	mt_chain_concat(&e->tx, c);
	s->tx_queued = e->tx.truesize;
}

static void op_shutdown(struct mt_stream *s)
{
	end_of(s)->shut = s->tx_shut = true;
}

static void op_abort(struct mt_stream *s, enum mt_abort_reason why)
{
	struct pipe_end *e = end_of(s);

	CU_ASSERT_FATAL(e->live);
	if (e->peer)
		e->peer->reset_in = true;
	pipes.resets++;
	gone(e);
}

static void op_detach(struct mt_stream *s)
{
	struct pipe_end *e = end_of(s);

	CU_ASSERT_FATAL(e->live);
	s->user = &nobody;
	e->let_go = e->shut = true;
	mt_chain_free(&s->rx);
}

static void op_touch(struct mt_stream *s)
{
	end_of(s)->touched = true;
}

static void op_again(struct mt_stream *s)
{
	CU_ASSERT_FATAL(end_of(s)->live);
	end_of(s)->again = true;
}

static void op_class(struct mt_stream *s, enum mt_class rx, enum mt_class tx)
{
	s->rx_class = (uint8_t)rx;
	s->tx_class = (uint8_t)tx;
}

static const struct mt_tuple *op_ends(const struct mt_stream *s)
{
	static const struct mt_tuple ends;

	return &ends;
}

static uint32_t op_room(const struct mt_stream *s)
{
	return 65536;
}

static void op_positions(const struct mt_stream *s, struct mt_stream_pos *pos)
{
	const struct pipe_end *e = end_of(s);

	*pos = (struct mt_stream_pos){e->accepted, e->sent, e->acked};
}

static void op_end(const struct mt_stream *s, struct mt_stream_end *e)
{
	*e = (struct mt_stream_end){.fin = end_of(s)->fin_in, .reset = end_of(s)->reset_in};
	op_positions(s, &e->pos);
	e->fin_acked = e->pos.acked;
}

static int op_reclaim(const struct mt_stream *s, uint64_t first, uint64_t last, struct mt_chain *to)
{
	const struct pipe_end *e = end_of(s);

	if (first < e->acked || last > e->accepted)
		return -ENODATA;
	return mt_chain_copy(
		&e->tx, (uint32_t)(first - e->acked), (uint32_t)(last - first), to, &tls_pools);
}

static void op_refuse(struct mt_stream *s, uint32_t words)
{
	end_of(s)->refuses = words + 1;
}

static const struct mt_stream_ops ops = {op_consumed, op_send, op_shutdown, op_abort, op_detach,
	op_refuse, NULL, op_touch, op_again, op_class, op_ends, op_room, op_positions, op_end,
	op_reclaim, NULL};

static struct pipe_end *take(void)
{
	for (uint32_t i = 0; i < PIPE_ENDS; i++) {
		struct pipe_end *e = &pipes.ends[i];

		if (e->live)
			continue;
		*e = (struct pipe_end){.live = true};
		e->s.ops = &ops;
		e->s.user = &nobody;
		e->s.tx_high = 65536;
		return e;
	}
	return NULL;
}

static struct mt_stream *op_open(
	struct mt_transport *t, const struct mt_stream_to *to, enum mt_close_reason *why)
{
	struct pipe_end *e = take();

	MT_ASSERT(e);
	e->s.user = to->user;
	e->s.user_ctx = to->user_ctx;
	e->s.owner_idx = to->owner_idx;
	return &e->s;
}

void pipes_begin(const struct mt_listen_ops *listen, void *arg)
{
	pipes = (struct pipes){.transport = {op_open}, .listen = listen, .listen_arg = arg};
}

static bool connect_it(struct pipe_end *e)
{
	struct pipe_end *o = take();

	MT_ASSERT(o);
	e->connected = o->connected = o->told = true;
	e->peer = o;
	o->peer = e;
	if (!pipes.listen->accept(pipes.listen_arg, &o->s, 7))
		op_abort(&o->s, MT_ABORT_CANCELLED);
	return true;
}

/* Its bytes arrive at the other end, as far as that has room. */
static bool move(struct pipe_end *e)
{
	struct pipe_end *o = e->peer;
	uint32_t n = (uint32_t)(e->accepted - e->sent), room;

	if (!o || !e->connected)
		return false;
	room = o->s.rx_kept + PIPE_WINDOW;
	room = room > o->s.rx.len && !o->let_go ? room - o->s.rx.len : o->let_go ? n : 0;
	n = MT_MIN(n, room);
	if (pipes.cut)
		n = MT_MIN(n, pipes.cut);
	if (n && !o->let_go &&
		mt_chain_copy(&e->tx, (uint32_t)(e->sent - e->acked), n, &o->s.rx, &tls_pools))
		n = 0;
	e->sent += n;
	o->rx_most = MT_MAX(o->rx_most, o->s.rx.len);
	o->again |= n > 0;
	if (e->shut && e->sent == e->accepted && !o->fin_in) {
		o->fin_in = o->s.rx_eof = true;
		pipes.fins++;
		return true;
	}
	return n > 0;
}

static bool tell_acked(struct pipe_end *e)
{
	uint32_t n = (uint32_t)(e->sent - e->acked);

	if (n == 0 || pipes.deaf)
		return false;
	mt_chain_drop(&e->tx, n);
	e->acked = e->sent;
	e->s.tx_queued = e->tx.truesize;
	if (e->s.user->acked)
		e->s.user->acked(&e->s, n);
	return true;
}

/* One event. */
static bool tell(struct pipe_end *e)
{
	enum mt_close_reason reason = e->reset_in ? MT_CLOSE_RESET : MT_CLOSE_OK;

	if (!e->told && e->connected) {
		e->told = true;
		e->s.user->connected(&e->s);
		return true;
	}
	if (e->again && e->connected) {
		e->again = false;
		e->s.user->readable(&e->s);
		return true;
	}
	if (e->fin_in && !e->eof_told) {
		e->eof_told = true;
		e->s.user->eof(&e->s);
		return true;
	}
	if (tell_acked(e))
		return true;
	if (e->reset_in || (e->fin_in && e->shut && e->acked == e->accepted && e->s.rx.len == 0 &&
				   (!e->peer || e->peer->fin_in))) {
		e->s.user->closed(&e->s, reason);
		gone(e);
		return true;
	}
	return false;
}

bool pipes_step(void)
{
	bool any = false;

	for (uint32_t i = 0; i < PIPE_ENDS; i++) {
		struct pipe_end *e = &pipes.ends[i];

		if (e->live && !e->connected && !pipes.unplugged)
			any |= connect_it(e);
		if (e->live && !pipes.unplugged)
			any |= move(e);
		if (e->live)
			any |= tell(e);
		if (e->live && e->touched && e->s.user->holds) {
			struct mt_sums sums = {0};

			e->touched = false;
			e->s.user->holds(&e->s, &sums);
		}
	}
	return any;
}

bool pipes_over(void)
{
	for (uint32_t i = 0; i < PIPE_ENDS; i++)
		if (pipes.ends[i].live)
			return false;
	return true;
}
