/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets over lib/net and lib/tcp on one port. Events of the stack mark a socket and put it on a
 * list; wait() runs loop iterations until the list is not empty.
 */
#include "io.h"

#include "bench_stack.h"
#include "link.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#define WATCH_EVERY (100 * MT_MSEC)
/*
 * Without packets the loop spins for this time, then sleeps in short steps, because cores may be
 * shared.
 */
#define SPIN	(100 * MT_USEC)
#define STEP_US 20

struct sock {
	struct mt_list node; /* in stack.pending or .accepted */
	struct mt_stream *s; /* NULL: closed by the stack */
	void *arg;
	uint32_t events; /* to be reported */
	int error;	 /* reason of the close */
	bool connected;
	struct blast_queue rest; /* received bytes that were not read when it was closed */
};

struct stack {
	struct blast_io io;
	struct blast_port *port;
	struct bench_stack host;
	struct mt_steer steer;
	struct mt_slab socks;
	struct mt_list pending, accepted;
	uint64_t watched, busy_at; /* when the link was last checked; when a packet was last seen */
	uint16_t listening;
	bool accept_ready;
};

static struct sock *sock_at(struct blast_io *io, int sock)
{
	return mt_slab_at(&((struct stack *)io)->socks, (uint32_t)sock);
}

static struct sock *sock_of(struct mt_stream *s)
{
	struct stack *k = s->user_ctx;

	return mt_slab_at(&k->socks, s->owner_idx);
}

/* Sockets that are not accepted yet wait in another list, with their events. */
static void tell(struct stack *k, struct sock *x, uint32_t events)
{
	x->events |= events;
	if (x->arg && !mt_list_linked(&x->node))
		mt_list_add_tail(&k->pending, &x->node);
}

static void on_connected(struct mt_stream *s)
{
	sock_of(s)->connected = true;
	tell(s->user_ctx, sock_of(s), EPOLLOUT);
}

static void on_readable(struct mt_stream *s)
{
	tell(s->user_ctx, sock_of(s), EPOLLIN);
}

static void on_eof(struct mt_stream *s)
{
	tell(s->user_ctx, sock_of(s), EPOLLIN | EPOLLRDHUP);
}

static void on_writable(struct mt_stream *s)
{
	tell(s->user_ctx, sock_of(s), EPOLLOUT);
}

static int error_of(enum mt_close_reason reason)
{
	static const int errors[MT_CLOSE_N_REASONS] = {
		[MT_CLOSE_OK] = EPIPE,
		[MT_CLOSE_RESET] = ECONNRESET,
		[MT_CLOSE_REFUSED] = ECONNREFUSED,
		[MT_CLOSE_CONNECT_TIMEOUT] = ETIMEDOUT,
		[MT_CLOSE_TIMEOUT] = ETIMEDOUT,
		[MT_CLOSE_UNREACHABLE] = EHOSTUNREACH,
		[MT_CLOSE_NO_SOURCE_PORT] = EADDRNOTAVAIL,
		[MT_CLOSE_NO_MEMORY] = ENOMEM,
		[MT_CLOSE_LOCAL] = ECONNABORTED,
		[MT_CLOSE_HANDSHAKE] = EPROTO,
	};

	return errors[reason];
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct sock *x = sock_of(s);
	uint32_t n = s->rx.len;

	if (n) {
		blast_queue_room(&x->rest, n);
		mt_chain_read(&s->rx, 0, x->rest.bytes + x->rest.tail, n);
		x->rest.tail += n;
	}
	x->s = NULL;
	x->error = error_of(reason);
	tell(s->user_ctx, x, EPOLLIN | EPOLLERR);
}

static const struct mt_stream_user user = {
	.connected = on_connected,
	.readable = on_readable,
	.eof = on_eof,
	.writable = on_writable,
	.closed = on_closed,
};

static int on_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	const struct stack *k = arg;

	(void)local;
	return k->listening && lport == k->listening ? 0 : -1;
}

static struct sock *sock_new(struct stack *k, void *arg)
{
	struct sock *x = mt_slab_alloc(&k->socks, NULL);

	if (!x)
		return NULL;
	mt_list_init(&x->node);
	x->arg = arg;
	return x;
}

static bool on_accept(void *arg, struct mt_stream *s, int listener)
{
	struct stack *k = arg;
	struct sock *x = sock_new(k, NULL);

	(void)listener;
	if (!x)
		return false;
	x->s = s;
	x->connected = true;
	s->user = &user;
	s->user_ctx = k;
	s->owner_idx = mt_slab_idx(&k->socks, x);
	mt_list_add_tail(&k->accepted, &x->node);
	k->accept_ready = true;
	return true;
}

static const struct mt_listen_ops listen_ops = {on_lookup, on_accept};

/* ---- socket operations ---------------------------------------------------------------------- */

static int attach(struct blast_io *io)
{
	(void)io;
	return blast_link_attach();
}

static void detach(struct blast_io *io)
{
	(void)io;
	blast_link_detach();
}

static int open_socket(struct blast_io *io, const struct mt_addr *from, const struct mt_addr *to,
	uint16_t port, void *arg)
{
	struct stack *k = (struct stack *)io;
	struct sock *x = sock_new(k, arg);
	enum mt_close_reason why = MT_CLOSE_NO_MEMORY;

	if (!x)
		return -ENOMEM;
	x->s = mt_stream_open(mt_tcp_transport(k->host.tcp),
		&(struct mt_stream_to){.remote = to,
			.port = port,
			.local = from,
			.connect_ms = 5000,
			.user = &user,
			.user_ctx = k,
			.owner_idx = mt_slab_idx(&k->socks, x)},
		&why);
	if (x->s)
		return (int)mt_slab_idx(&k->socks, x);
	mt_slab_free(&k->socks, x);
	return -error_of(why);
}

static int outcome(struct blast_io *io, int sock)
{
	return sock_at(io, sock)->connected ? 0 : -sock_at(io, sock)->error;
}

static int listen_at(struct blast_io *io, const struct mt_addr *at, uint16_t port)
{
	(void)at; /* the port has only its own addresses */
	((struct stack *)io)->listening = port;
	return 0;
}

static int accept_one(struct blast_io *io, void *arg)
{
	struct stack *k = (struct stack *)io;
	struct mt_list *n = mt_list_first(&k->accepted);
	struct sock *x;

	if (!n)
		return -EAGAIN;
	x = mt_list_entry(n, struct sock, node);
	mt_list_del(n);
	x->arg = arg;
	tell(k, x, EPOLLOUT);
	return (int)mt_slab_idx(&k->socks, x);
}

static int read_socket(struct blast_io *io, int sock, struct blast_queue *q, uint32_t len)
{
	struct sock *x = sock_at(io, sock);
	uint32_t n = x->s ? x->s->rx.len : blast_queue_len(&x->rest);

	n = MT_MIN(n, len);
	if (!n && x->s)
		return x->s->rx_eof ? -EPIPE : 0;
	if (!n)
		return -x->error;
	blast_queue_room(q, n);
	if (x->s) {
		mt_chain_read(&x->s->rx, 0, q->bytes + q->tail, n);
		mt_stream_drop(x->s, n);
	} else {
		memcpy(q->bytes + q->tail, x->rest.bytes + x->rest.head, n);
		x->rest.head += n;
	}
	q->tail += n;
	return (int)n;
}

static int write_socket(struct blast_io *io, int sock, struct blast_queue *q)
{
	struct stack *k = (struct stack *)io;
	struct sock *x = sock_at(io, sock);
	struct mt_chain c = {0};
	uint32_t n;

	if (!x->s)
		return blast_queue_len(q) ? -x->error : 0;
	while (blast_queue_len(q) && (n = mt_stream_sendable(x->s)) > 0) {
		n = MT_MIN(n, blast_queue_len(q));
		if (mt_chain_write(&c, k->host.pools, q->bytes + q->head, n)) {
			/* No buffers now: the next loop iteration tries again. */
			mt_chain_free(&c);
			tell(k, x, EPOLLOUT);
			return 0;
		}
		mt_stream_send(x->s, &c);
		q->head += n;
	}
	if (q->head == q->tail)
		q->head = q->tail = 0;
	return 0;
}

static void close_socket(struct blast_io *io, int sock, bool reset)
{
	struct stack *k = (struct stack *)io;
	struct sock *x = sock_at(io, sock);

	if (x->s && reset)
		mt_stream_abort(x->s, MT_ABORT_CANCELLED);
	else if (x->s)
		mt_stream_detach(x->s);
	mt_list_del(&x->node);
	blast_queue_fini(&x->rest);
	mt_slab_free(&k->socks, x);
}

/* Runs one loop iteration; true if there were packets. */
static bool turn(struct stack *k, uint64_t now)
{
	if (now - k->watched > WATCH_EVERY) {
		blast_port_watch(k->port, now);
		k->watched = now;
	}
	return bench_stack_turn(&k->host, now);
}

static int take_events(struct stack *k, struct epoll_event *events, int n)
{
	int got = 0;

	if (k->accept_ready && got < n) {
		k->accept_ready = false;
		events[got++] = (struct epoll_event){.events = EPOLLIN, .data.ptr = NULL};
	}
	while (got < n && !mt_list_empty(&k->pending)) {
		struct sock *x = mt_list_entry(mt_list_first(&k->pending), struct sock, node);

		mt_list_del(&x->node);
		events[got++] = (struct epoll_event){.events = x->events, .data.ptr = x->arg};
		x->events = 0;
	}
	return got;
}

static int wait_events(
	struct blast_io *io, struct epoll_event *events, int n, uint64_t until, uint64_t *idle)
{
	struct stack *k = (struct stack *)io;
	uint64_t now = blast_now(), after;
	int got;

	for (;;) {
		bool some = turn(k, now);

		got = take_events(k, events, n);
		after = blast_now();
		if (some || got)
			k->busy_at = after;
		else if (after - k->busy_at > SPIN && until > after + 2 * STEP_US * MT_USEC)
			usleep(STEP_US);
		after = blast_now();
		if (!some && !got)
			*idle += after - now;
		now = after;
		if (got || now >= until)
			return got;
	}
}

static void destroy(struct blast_io *io)
{
	struct stack *k = (struct stack *)io;

	bench_stack_close(&k->host);
	mt_slab_fini(&k->socks);
	mt_steer_fini(&k->steer);
	free(k);
}

static const struct blast_io_ops stack_ops = {attach, detach, open_socket, outcome, listen_at,
	accept_one, read_socket, write_socket, close_socket, wait_events, destroy};

/* ---- creation -------------------------------------------------------------------------------- */

static int start(struct stack *k, struct mt_err *e)
{
	/* Uses all ports, because a generator needs more than a proxy may take. */
	const struct mt_tcp_conf tcp = {
		.max_conns = k->port->max_conns, .port_lo = 1024, .port_hi = 65535};
	struct bench_stack_conf c = {.port = k->port->port,
		.pools = &k->port->pools,
		.steer = &k->steer,
		.tcp = &tcp,
		.listen = &listen_ops,
		.listen_arg = k,
		.now = blast_now()};
	struct bench_net net;
	uint8_t secret[32];
	int rc = bench_net_make(&net, k->port->address, NULL, k->port->gateway, e);

	if (rc)
		return rc;
	net.conf.sources = k->port->sources;
	net.conf.n_sources = k->port->n_sources;
	c.net = &net.conf;
	c.secret = secret;
	mt_rand_secret(secret, sizeof(secret));
	mt_rand_secret(&c.net_seed, sizeof(c.net_seed));
	mt_rand_secret(&c.tcp_seed, sizeof(c.tcp_seed));
	if (mt_steer_init(&k->steer, 1, 64) ||
		mt_slab_init(&k->socks, "sockets", sizeof(struct sock), k->port->max_conns))
		return mt_err(e, -ENOMEM, "no memory for sockets");
	return bench_stack_open(&k->host, &c, e);
}

struct blast_io *blast_io_stack(struct blast_port *port, struct mt_err *e)
{
	struct stack *k = calloc(1, sizeof(*k));

	if (!k) {
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	k->io.ops = &stack_ops;
	k->port = port;
	mt_list_init(&k->pending);
	mt_list_init(&k->accepted);
	/* Objects made before a failure are freed when the process ends. */
	return start(k, e) ? NULL : &k->io;
}
