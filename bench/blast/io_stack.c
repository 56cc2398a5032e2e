/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets over lib/net and lib/tcp on one port. Events of the stack mark a socket and put it on a list;
 * wait() turns the stack until the list holds something.
 */
#include "io.h"

#include "mt_port.h"
#include "mt_port_boot.h"
#include "mt_steer.h"
#include "mt_tcp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_lcore.h>

#define BURST	    32
#define SOCKETS	    131072
#define MBUFS	    32767
#define MEMORY_MB   256
#define LINK_LIMIT  (10 * MT_SEC)
#define WATCH_EVERY (100 * MT_MSEC)
/* A stack without packets spins so long, then sleeps in short steps: cores may be shared. */
#define SPIN	(100 * MT_USEC)
#define STEP_US 20

struct sock {
	struct mt_list node; /* in stack.pending or .accepted */
	struct mt_stream *s; /* NULL: closed by the stack */
	void *arg;
	uint32_t events; /* to be told */
	int error;	 /* why it was closed */
	bool connected;
	struct blast_queue rest; /* what it had not taken when it was closed */
};

struct stack {
	struct blast_io io;
	struct mt_port *port;
	struct mt_pools pools;
	struct mt_steer steer;
	struct mt_net *net;
	struct mt_netw *netw;
	struct mt_tcp *tcp;
	struct mt_slab socks;
	struct mt_list pending, accepted;
	uint64_t watched, busy_at; /* when a packet was last seen */
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

/* Sockets that are still to be accepted wait in another list, with their events. */
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

static const struct mt_tcp_listen_ops listen_ops = {on_lookup, on_accept};

static void on_neigh(void *arg, uint32_t neigh, bool ok)
{
	mt_tcp_neigh_event(((struct stack *)arg)->tcp, neigh, ok);
}

static void on_icmp(
	void *arg, const struct mt_tuple *t, uint32_t seq, enum mt_net_icmp kind, uint16_t mtu)
{
	mt_tcp_icmp_event(((struct stack *)arg)->tcp, t, seq, kind, mtu);
}

static const struct mt_net_events net_events = {on_neigh, on_icmp};

/* ---- the sockets' verbs ---------------------------------------------------------------------- */

/* Mempool caches belong to lcores: the thread becomes one. */
static int attach(struct blast_io *io)
{
	(void)io;
	return rte_thread_register() ? -ENOMEM : 0;
}

static void detach(struct blast_io *io)
{
	(void)io;
	rte_thread_unregister();
}

static int open_socket(struct blast_io *io, const struct mt_addr *from, const struct mt_addr *to,
	uint16_t port, void *arg)
{
	struct stack *k = (struct stack *)io;
	struct sock *x = sock_new(k, arg);
	enum mt_close_reason why = MT_CLOSE_NO_MEMORY;

	if (!x)
		return -ENOMEM;
	x->s = mt_tcp_open(k->tcp, to, port, from, 5000, &user, k, mt_slab_idx(&k->socks, x), &why);
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
	(void)at; /* the port's addresses are all that there is */
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
		if (mt_chain_write(&c, &k->pools, q->bytes + q->head, n)) {
			/* No buffers now: the next turn tries again. */
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
		mt_stream_abort(x->s);
	else if (x->s)
		mt_stream_detach(x->s);
	mt_list_del(&x->node);
	blast_queue_fini(&x->rest);
	mt_slab_free(&k->socks, x);
}

static void quiesce(void *arg)
{
	(void)arg;
}

/* One turn; whether there were packets. */
static bool turn(struct stack *k, uint64_t now)
{
	struct rte_mbuf *pkts[BURST];
	bool some = false;
	uint16_t n;

	if (now - k->watched > WATCH_EVERY) {
		mt_port_watch(k->port, now, quiesce, NULL);
		k->watched = now;
	}
	mt_net_begin(k->netw, now);
	mt_tcp_begin(k->tcp, now);
	while ((n = k->port->ops->rx(k->port, 0, pkts, BURST)) > 0) {
		some = true;
		n = mt_net_input(k->netw, k->port, pkts, n, pkts);
		mt_tcp_input(k->tcp, pkts, n);
	}
	mt_net_tick(k->netw);
	mt_tcp_timers(k->tcp, 1000);
	mt_tcp_deliver(k->tcp);
	mt_tcp_flush(k->tcp);
	mt_net_flush(k->netw);
	return some;
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

	mt_tcp_destroy(k->tcp);
	mt_netw_destroy(k->netw);
	mt_net_destroy(k->net);
	mt_port_close(k->port);
	mt_eal_stop();
	free(k);
}

static const struct blast_io_ops stack_ops = {attach, detach, open_socket, outcome, listen_at,
	accept_one, read_socket, write_socket, close_socket, wait_events, destroy};

/* ---- making it ------------------------------------------------------------------------------- */

static int start_port(struct stack *k, const struct blast_stack_conf *c, struct mt_err *e)
{
	struct mt_port_conf port = {.name = "blast", .device = c->device};
	struct mt_eal_conf eal = {.mb = MEMORY_MB, .workers = 1, .pci = mt_port_is_pci(c->device)};
	struct mt_pools *pools = &k->pools;
	struct mt_eal_info info;
	char prefix[32];
	int rc;

	snprintf(prefix, sizeof(prefix), "meltemi-blast-%d", getpid());
	eal.prefix = prefix;
	rc = mt_eal_start(&eal, &info, e);
	if (!rc && mt_buf_init())
		rc = mt_err(e, -ENOMEM, "no place in mbufs for a link; is this DPDK another one?");
	if (!rc)
		rc = mt_port_open(&port, 0, 1, &k->port, e);
	if (rc)
		return rc;
	if (mt_pools_init(&k->pools, "blast", MBUFS, MBUFS, mt_port_room(k->port), SOCKET_ID_ANY))
		return mt_err(e, -ENOMEM, "no memory for %d buffers", MBUFS);
	return mt_port_start(k->port, &pools, NULL, e);
}

static int start_net(struct stack *k, const struct blast_stack_conf *c, struct mt_err *e)
{
	struct mt_net_addr_conf addr = {.port = 0};
	struct mt_net_route_conf route = {.port = MT_NET_PORT_NONE};
	struct mt_net_conf conf = {.addrs = &addr, .n_addrs = 1};

	if (mt_prefix_parse(c->address, &addr.addr, &addr.prefix))
		return mt_err(
			e, -EINVAL, "--address: '%s' is not one like 10.1.0.2/24", c->address);
	if (c->gateway) {
		if (mt_addr_parse(c->gateway, &route.via))
			return mt_err(e, -EINVAL, "--gateway: '%s' is not an address", c->gateway);
		mt_prefix_parse(
			mt_addr_is4(&route.via) ? "0.0.0.0/0" : "::/0", &route.to, &route.prefix);
		conf.routes = &route;
		conf.n_routes = 1;
	}
	k->net = mt_net_create(&k->port, 1, 1, NULL);
	if (!k->net)
		return mt_err(e, -ENOMEM, "no memory for the network");
	return mt_net_configure(k->net, &conf, NULL, e);
}

static int start_tcp(struct stack *k, struct mt_err *e)
{
	const struct mt_tcp_conf tcp = {.max_conns = SOCKETS};
	uint64_t seed, now = blast_now();
	uint8_t secret[32];

	mt_rand_secret(secret, sizeof(secret));
	mt_rand_secret(&seed, sizeof(seed));
	if (mt_steer_init(&k->steer, 1, 64) ||
		mt_slab_init(&k->socks, "sockets", sizeof(struct sock), SOCKETS))
		return mt_err(e, -ENOMEM, "no memory for sockets");
	k->netw = mt_netw_create(k->net, 0, &k->pools, &net_events, k, seed);
	if (k->netw)
		k->tcp = mt_tcp_create(
			&tcp, 0, &k->steer, k->netw, &k->pools, &listen_ops, k, secret, seed, now);
	return k->tcp ? 0 : mt_err(e, -ENOMEM, "no memory for TCP");
}

static int await_link(struct stack *k, struct mt_err *e)
{
	uint64_t until = blast_now() + LINK_LIMIT;

	while (!k->port->link_up && blast_now() < until) {
		mt_port_watch(k->port, blast_now(), quiesce, NULL);
		usleep(10000);
	}
	return k->port->link_up
		       ? 0
		       : mt_err(e, -ENOLINK, "the link does not come up; is the other side there?");
}

struct blast_io *blast_io_stack(const struct blast_stack_conf *c, struct mt_err *e)
{
	struct stack *k = calloc(1, sizeof(*k));

	if (!k) {
		mt_err(e, -ENOMEM, "no memory");
		return NULL;
	}
	k->io.ops = &stack_ops;
	mt_list_init(&k->pending);
	mt_list_init(&k->accepted);
	/* What was made before a failure ends with the process. */
	if (start_port(k, c, e) || start_net(k, c, e) || start_tcp(k, e) ||
		(c->await_link && await_link(k, e)))
		return NULL;
	return &k->io;
}
