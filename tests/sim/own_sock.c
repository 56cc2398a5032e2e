/* SPDX-License-Identifier: Apache-2.0 */
/* Applications on our own stack's streams. */
#include "own.h"

#include <string.h>

#include "mt_tcp.h"

static uint32_t next_uid = 1u << 30;

static struct own_sock *sock_new(struct own *o, uint16_t worker)
{
	for (uint32_t i = 0; i < OWN_SOCKS; i++) {
		struct own_sock *k = &o->socks[i];

		if (k->used)
			continue;
		*k = (struct own_sock){
			.own = o, .worker = worker, .used = true, .wake_gen = k->wake_gen + 1};
		k->sock.sim = o->sim;
		k->sock.uid = ++next_uid;
		return k;
	}
	return NULL;
}

static void sock_free(struct own_sock *k)
{
	free(k->left);
	k->left = NULL;
	k->used = false;
	k->wake_gen++;
}

static struct own_sock *sock_of(struct mt_stream *st)
{
	struct own_worker *w = st->user_ctx;

	return &w->own->socks[st->owner_idx];
}

/* ---- calls at a time, in a turn's place ---- */

struct call {
	struct own *own;
	void (*fn)(void *ctx, uint64_t n);
	void *ctx;
	uint64_t gen; /* with sock: it must still be the same */
	struct own_sock *sock;
};

/* Workers that the call touches have their time set; what it sent goes out in the turn that follows. */
static void run_call(struct sim *s, void *arg, uint64_t n)
{
	struct call *c = arg;
	struct own *o = c->own;

	for (uint32_t i = 0; i < o->workers; i++) {
		mt_net_begin(o->w[i].net, s->now);
		mt_tcp_begin(o->w[i].tcp, s->now);
	}
	if (!o->dead && (!c->sock || c->sock->wake_gen == c->gen))
		c->fn(c->ctx, n);
	own_kick(o, s->now);
	free(c);
}

static void call_at(struct own *o, uint64_t at, struct call what, uint64_t n)
{
	struct call *c = malloc(sizeof(*c));

	MT_ASSERT(c);
	*c = what;
	c->own = o;
	sim_at_owned(o->sim, at, run_call, c, n, free);
}

static void tell_eof(struct own_sock *k)
{
	if (k->eof_told)
		return;
	k->eof_told = k->sock.eof = true;
	k->sock.app->eof(&k->sock);
}

static bool all_read(const struct own_sock *k)
{
	if (k->lingering)
		return k->left_off == k->left_len;
	return k->st->rx_eof && !k->st->rx.len;
}

/* The application has read to the end: FIN, and for a stream that is over, its end. */
static void read_out(void *ctx, uint64_t uid)
{
	struct own_sock *k = ctx;

	if (!k->used || k->sock.uid != uid || !all_read(k))
		return;
	tell_eof(k);
	if (k->used && k->sock.uid == uid && k->lingering) {
		k->sock.app->closed(&k->sock, k->end_how);
		sock_free(k);
	}
}

static void read_out_soon(struct own_sock *k)
{
	call_at(k->own, k->own->sim->now, (struct call){.fn = read_out, .ctx = k}, k->sock.uid);
}

/* ---- the stream's user ---- */

/* Once; an accepted stream may be readable first. False: the application ended it. */
static bool tell_connected(struct own_sock *k)
{
	uint32_t uid = k->sock.uid;

	if (!k->connected_told) {
		k->connected_told = true;
		k->own->sim->st.connections++;
		k->sock.app->connected(&k->sock);
	}
	return k->used && k->sock.uid == uid && k->st;
}

static void on_connected(struct mt_stream *st)
{
	tell_connected(sock_of(st));
}

static void accepted(void *ctx, uint64_t uid)
{
	struct own_sock *k = ctx;

	if (k->used && k->sock.uid == uid)
		tell_connected(k);
}

static void on_readable(struct mt_stream *st)
{
	struct own_sock *k = sock_of(st);

	if (tell_connected(k) && st->rx.len)
		k->sock.app->readable(&k->sock);
}

static void on_eof(struct mt_stream *st)
{
	struct own_sock *k = sock_of(st);

	if (tell_connected(k) && all_read(k))
		tell_eof(k);
}

static void on_writable(struct mt_stream *st)
{
	struct own_sock *k = sock_of(st);

	k->sock.app->writable(&k->sock);
}

static void linger(struct own_sock *k)
{
	k->left_len = k->st->rx.len;
	k->left = malloc(k->left_len + 1);
	MT_ASSERT(k->left);
	mt_chain_read(&k->st->rx, 0, k->left, k->left_len);
	k->st = NULL;
	k->lingering = true;
	if (!k->left_len)
		read_out_soon(k);
}

static void on_closed(struct mt_stream *st, enum mt_close_reason why)
{
	struct own_sock *k = sock_of(st);
	struct sim *s = k->own->sim;

	sim_trace(s, "%s: stream ends: %s", k->own->host.name, mt_close_reason_str(why));
	k->end_how = why == MT_CLOSE_OK	     ? SIM_END_OK
		     : why == MT_CLOSE_RESET ? SIM_END_RESET
					     : SIM_END_FAILED;
	k->acked = mt_stream_positions(st).acked;
	/* All that the other side sent is here; a reset behind its FIN does not take it away. */
	if (st->rx_eof && !k->eof_told) {
		linger(k);
		return;
	}
	k->st = NULL;
	k->sock.app->closed(&k->sock, k->end_how);
	sock_free(k);
}

static const struct mt_stream_user user = {.connected = on_connected,
	.readable = on_readable,
	.eof = on_eof,
	.writable = on_writable,
	.closed = on_closed};

/* ---- the application's verbs ---- */

static void try_again(void *ctx, uint64_t uid)
{
	struct own_sock *k = ctx;

	if (k->used && k->sock.uid == uid && k->st)
		k->sock.app->writable(&k->sock);
}

static uint32_t k_send(struct sim_sock *sock, const void *p, uint32_t n)
{
	struct own_sock *k = (struct own_sock *)sock;
	struct mt_chain c = {0};

	if (!k->st || mt_stream_sendable(k->st) == 0)
		return 0;
	if (mt_chain_write(&c, k->own->w[k->worker].pools, p, n) != 0) {
		/* No memory: nothing will call us back. */
		call_at(k->own, sock->sim->now + 5 * MT_MSEC,
			(struct call){.fn = try_again, .ctx = k}, sock->uid);
		return 0;
	}
	mt_stream_send(k->st, &c);
	own_kick(k->own, sock->sim->now);
	return n;
}

static uint32_t k_recv(struct sim_sock *sock, void *p, uint32_t n)
{
	struct own_sock *k = (struct own_sock *)sock;

	if (k->lingering) {
		n = MT_MIN(n, k->left_len - k->left_off);
		memcpy(p, k->left + k->left_off, n);
		k->left_off += n;
	} else {
		n = MT_MIN(n, k->st->rx.len);
		if (n) {
			mt_chain_read(&k->st->rx, 0, p, n);
			mt_stream_drop(k->st, n);
			own_kick(k->own, sock->sim->now);
		}
	}
	if (all_read(k) && !k->eof_told)
		read_out_soon(k);
	return n;
}

static void k_shutdown(struct sim_sock *sock)
{
	struct own_sock *k = (struct own_sock *)sock;

	if (k->st)
		mt_stream_shutdown(k->st);
	own_kick(k->own, sock->sim->now);
}

static void k_abort(struct sim_sock *sock)
{
	struct own_sock *k = (struct own_sock *)sock;

	if (k->st)
		mt_stream_abort(k->st, MT_ABORT_CANCELLED);
	own_kick(k->own, sock->sim->now);
	sock_free(k);
}

static void k_close(struct sim_sock *sock)
{
	struct own_sock *k = (struct own_sock *)sock;

	if (k->st)
		mt_stream_detach(k->st);
	own_kick(k->own, sock->sim->now);
	sock_free(k);
}

static void wake(void *ctx, uint64_t n)
{
	struct own_sock *k = ctx;

	k->sock.app->wake(&k->sock);
}

static void k_wake(struct sim_sock *sock, uint64_t at)
{
	struct own_sock *k = (struct own_sock *)sock;

	call_at(k->own, at, (struct call){.fn = wake, .ctx = k, .sock = k, .gen = ++k->wake_gen},
		0);
}

static uint64_t k_acked(const struct sim_sock *sock)
{
	const struct own_sock *k = (const struct own_sock *)sock;

	return k->st ? mt_stream_positions(k->st).acked : k->acked;
}

static const struct sim_sock_ops sock_ops = {
	k_send, k_recv, k_shutdown, k_abort, k_close, k_wake, k_acked};

/* ---- the host's verbs ---- */

static struct sim_sock *h_connect(
	void *host, const struct mt_addr *to, uint16_t port, const struct sim_app *app, void *ctx)
{
	struct own *o = ((struct sim_host *)host)->impl;
	struct own_worker *w = &o->w[sim_below(&o->sim->host_rand, o->workers)];
	struct own_sock *k = sock_new(o, w->index);
	enum mt_close_reason why = MT_CLOSE_OK;

	if (!k)
		return NULL;
	k->sock.ops = &sock_ops;
	k->sock.app = app;
	k->sock.ctx = ctx;
	k->st = mt_stream_open(
		w->layer && !o->raw ? &w->layer->transport : mt_tcp_transport(w->tcp),
		&(struct mt_stream_to){.remote = to,
			.port = port,
			.user = &user,
			.user_ctx = w,
			.owner_idx = (uint32_t)(k - o->socks)},
		&why);
	if (!k->st) {
		sim_trace(o->sim, "%s: open: %s", o->host.name, mt_close_reason_str(why));
		sock_free(k);
		return NULL;
	}
	return &k->sock;
}

static void h_listen(
	void *host, uint16_t port, void (*on_accept)(void *ctx, struct sim_sock *k), void *ctx)
{
	struct own *o = ((struct sim_host *)host)->impl;

	MT_ASSERT(o->n_listen < OWN_LISTENERS);
	o->listen[o->n_listen++] = (struct own_listener){port, on_accept, ctx};
}

static void h_at(void *host, uint64_t at, void (*fn)(void *ctx, uint64_t n), void *ctx, uint64_t n)
{
	call_at(((struct sim_host *)host)->impl, at, (struct call){.fn = fn, .ctx = ctx}, n);
}

const struct sim_host_ops own_host_ops = {h_connect, h_listen, h_at};

static int lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	struct own *o = ((struct own_worker *)arg)->own;

	for (uint32_t i = 0; i < o->n_listen; i++)
		if (o->listen[i].port == lport)
			return (int)i;
	return -1;
}

static bool accept_stream(void *arg, struct mt_stream *st, int listener)
{
	struct own_worker *w = arg;
	struct own *o = w->own;
	struct own_sock *k = sock_new(o, w->index);

	if (!k)
		return false;
	k->sock.ops = &sock_ops;
	k->st = st;
	st->user = &user;
	st->user_ctx = w;
	st->owner_idx = (uint32_t)(k - o->socks);
	o->listen[listener].on_accept(o->listen[listener].ctx, &k->sock);
	call_at(o, o->sim->now, (struct call){.fn = accepted, .ctx = k}, k->sock.uid);
	return true;
}

const struct mt_listen_ops own_listen_ops = {lookup, accept_stream};
