/* SPDX-License-Identifier: Apache-2.0 */
/* The peer's hosts and connections: life, timers, and the socket that applications use. */
#include "peer.h"

#include <string.h>

#define TX_MAX 65536u

const char *const peer_state_names[PEER_N_STATES] = {"closed", "syn_sent", "syn_rcvd",
	"established", "fin_wait_1", "fin_wait_2", "close_wait", "closing", "last_ack",
	"time_wait"};

static uint32_t next_uid;

static struct peer_conn **bucket_of(struct peer *p, uint16_t lport, uint16_t rport)
{
	return &p->bucket[(lport * 31u + rport) % PEER_BUCKETS];
}

void peer_conn_named(struct peer_conn *c)
{
	struct peer_conn **b = bucket_of(c->peer, c->lport, c->rport);

	c->same = *b;
	*b = c;
}

struct peer_conn *peer_find(struct peer *p, const struct sim_pkt *k)
{
	for (struct peer_conn *c = *bucket_of(p, k->dport, k->sport); c; c = c->same)
		if (!c->dead && !c->lingering && c->lport == k->dport && c->rport == k->sport &&
			mt_addr_eq(&c->raddr, &k->src) && mt_addr_eq(&c->laddr, &k->dst))
			return c;
	return NULL;
}

uint32_t peer_conns_live(const struct peer *p)
{
	return p->live;
}

/*
 * RFC 9293 section 3.8.4: whether the other side is still there. A reset that was lost is answered once more, and who only waits
 * learns of it.
 */
static void keep_alive(struct peer_conn *c)
{
	if (c->state != PEER_ESTABLISHED && c->state != PEER_CLOSE_WAIT &&
		c->state != PEER_FIN_WAIT_2)
		return;
	if (c->una == c->max)
		peer_send_seg(c, c->max - 1, SIM_ACK, NULL, 0);
	peer_arm(c, PEER_T_KEEP, c->peer->sim->now + PEER_KEEP_ALIVE);
}

static void timer_fired(struct sim *s, void *arg, uint64_t t)
{
	struct peer_conn *c = arg;

	if (c->dead || c->lingering ||
		c->due[t] > s->now) /* cancelled, or moved: another event is queued */
		return;
	c->due[t] = MT_NEVER;
	if (t == PEER_T_RTO)
		peer_rto(c);
	else if (t == PEER_T_DELACK)
		peer_ack(c);
	else if (t == PEER_T_KEEP)
		keep_alive(c);
	else
		peer_conn_end(c, SIM_END_OK);
}

void peer_arm(struct peer_conn *c, enum peer_timer t, uint64_t at)
{
	c->due[t] = at;
	sim_at(c->peer->sim, at, timer_fired, c, t);
}

static void release(struct peer_conn *c)
{
	while (c->ooo) {
		struct peer_ooo *q = c->ooo;

		c->ooo = q->next;
		free(q);
	}
	free(c->rx);
	free(c->tx);
	free(c->log);
	c->rx = c->tx = c->log = NULL;
}

/* Memory of the connection itself stays until peer_fini(): events may name it. */
void peer_conn_end(struct peer_conn *c, enum sim_end how)
{
	if (c->dead)
		return;
	c->state = PEER_CLOSED;
	c->end_how = how;
	c->lingering = c->fin_rcvd && !c->eof_told && !c->peer->dead;
	if (c->lingering) /* the application has yet to read what came before the end */
		return;
	c->dead = true;
	c->peer->live--;
	if (c->sock.app && c->sock.app->closed)
		c->sock.app->closed(&c->sock, how);
	release(c);
}

/* ---- the socket ---- */

static uint32_t k_send(struct sim_sock *k, const void *p, uint32_t n)
{
	struct peer_conn *c = (struct peer_conn *)k;
	uint32_t take = MT_MIN(n, TX_MAX - c->tx_len);

	if (c->fin_wanted)
		return 0;
	memcpy(c->tx + c->tx_len, p, take);
	c->tx_len += take;
	c->app_blocked = take < n;
	peer_output(c);
	return take;
}

/* Tells the application of the FIN once it has read everything before it. */
void peer_tell_eof(struct peer_conn *c)
{
	if (c->dead || !c->fin_rcvd || c->rx_len || c->eof_told)
		return;
	c->eof_told = c->sock.eof = true;
	if (c->sock.app->eof)
		c->sock.app->eof(&c->sock);
	if (c->lingering)
		peer_conn_end(c, c->end_how);
}

static void all_read(struct sim *s, void *arg, uint64_t n)
{
	peer_tell_eof(arg);
}

static uint32_t k_recv(struct sim_sock *k, void *p, uint32_t n)
{
	struct peer_conn *c = (struct peer_conn *)k;
	uint32_t closed = c->adv - c->rcv < c->peer->conduct.mss;

	n = MT_MIN(n, c->rx_len);
	memcpy(p, c->rx, n);
	memmove(c->rx, c->rx + n, c->rx_len - n);
	c->rx_len -= n;
	if (n && closed && c->state != PEER_CLOSED && peer_window(c) > c->adv - c->rcv)
		peer_arm(c, PEER_T_DELACK, c->peer->sim->now); /* a window update */
	if (c->fin_rcvd && !c->rx_len && !c->eof_told)
		sim_at(c->peer->sim, c->peer->sim->now, all_read, c, 0);
	return n;
}

static void k_shutdown(struct sim_sock *k)
{
	struct peer_conn *c = (struct peer_conn *)k;

	c->fin_wanted = true;
	peer_output(c);
}

static void k_abort(struct sim_sock *k)
{
	struct peer_conn *c = (struct peer_conn *)k;

	if (c->state != PEER_SYN_SENT && c->state != PEER_TIME_WAIT)
		peer_send_seg(c, c->nxt, SIM_RST | SIM_ACK, NULL, 0);
	c->peer->live -= !c->dead;
	c->dead = true;
	c->state = PEER_CLOSED;
	release(c);
}

static void nothing(struct sim_sock *k)
{
}

static void swallow(struct sim_sock *k)
{
	uint8_t b[1024];

	while (k->ops->recv(k, b, sizeof(b)))
		;
}

static void gone(struct sim_sock *k, enum sim_end how)
{
}

static void k_close(struct sim_sock *k)
{
	static const struct sim_app nobody = {nothing, swallow, nothing, nothing, nothing, gone};

	((struct peer_conn *)k)->closed = ((struct peer_conn *)k)->peer->conduct.closes;
	k->app = &nobody;
	k_shutdown(k);
	swallow(k);
}

static void woken(struct sim *s, void *arg, uint64_t gen)
{
	struct peer_conn *c = arg;

	if (c->dead || c->peer->dead)
		return;
	if (gen == c->wake_gen && c->sock.app->wake)
		c->sock.app->wake(&c->sock);
}

static void k_wake(struct sim_sock *k, uint64_t at)
{
	struct peer_conn *c = (struct peer_conn *)k;

	sim_at(k->sim, at, woken, c, ++c->wake_gen);
}

/* Our FIN is no byte, but nothing was sent behind it. */
static uint64_t k_acked(const struct sim_sock *k)
{
	const struct peer_conn *c = (const struct peer_conn *)k;

	return c->syn_acked ? c->una - c->iss - 1 : 0;
}

static const struct sim_sock_ops sock_ops = {
	k_send, k_recv, k_shutdown, k_abort, k_close, k_wake, k_acked};

struct peer_conn *peer_conn_new(struct peer *p)
{
	struct peer_conn *c = calloc(1, sizeof(*c));

	MT_ASSERT(c);
	c->peer = p;
	c->sock.ops = &sock_ops;
	c->sock.sim = p->sim;
	c->sock.uid = ++next_uid;
	c->rx_cap = MT_MAX(p->conduct.rcvbuf, 65536u) * 2;
	c->rx = malloc(c->rx_cap);
	c->tx = malloc(TX_MAX);
	MT_ASSERT(c->rx && c->tx);
	for (uint32_t t = 0; t < PEER_T_N; t++)
		c->due[t] = MT_NEVER;
	c->iss = (uint32_t)mt_rand_u64(&p->sim->host_rand);
	if (p->conduct.near_wrap) {
		c->iss = (c->iss & 0x80000000u) - (c->iss & 0x3fff);
		c->ts_offset = -(uint32_t)(p->sim->now / MT_MSEC) - (c->ts_offset & 0xfff);
	}
	c->ts_offset = (uint32_t)mt_rand_u64(&p->sim->host_rand);
	c->rto = MT_SEC;
	c->snd_mss = 536;
	c->next = p->conns;
	p->conns = c;
	p->live++;
	return c;
}

/* ---- the host ---- */

static struct sim_sock *h_connect(
	void *host, const struct mt_addr *to, uint16_t port, const struct sim_app *app, void *ctx)
{
	struct peer *p = ((struct sim_host *)host)->impl;
	struct peer_conn *c = peer_conn_new(p);

	c->sock.app = app;
	c->sock.ctx = ctx;
	c->laddr = mt_addr_is4(to) ? p->host.addr4 : p->host.addr6;
	c->raddr = *to;
	c->lport = p->next_port++;
	if (p->networks) {
		uint16_t network = (uint16_t)(1 + c->lport % p->networks);

		c->laddr.b[13] = (uint8_t)(network >> 8);
		c->laddr.b[14] = (uint8_t)network;
	}
	c->rport = port;
	peer_conn_named(c);
	c->state = PEER_SYN_SENT;
	c->una = c->iss;
	c->nxt = c->max = c->iss + 1;
	peer_send_seg(c, c->iss, SIM_SYN, NULL, 0);
	peer_arm(c, PEER_T_RTO, p->sim->now + c->rto);
	return &c->sock;
}

static void h_listen(
	void *host, uint16_t port, void (*on_accept)(void *ctx, struct sim_sock *k), void *ctx)
{
	struct peer *p = ((struct sim_host *)host)->impl;

	MT_ASSERT(p->n_listen < PEER_LISTENERS);
	p->listen[p->n_listen++] = (struct peer_listener){port, on_accept, ctx};
}

struct call {
	struct peer *peer;
	void (*fn)(void *ctx, uint64_t n);
	void *ctx;
};

static void call(struct sim *s, void *arg, uint64_t n)
{
	struct call *c = arg;

	if (!c->peer->dead)
		c->fn(c->ctx, n);
	free(c);
}

static void h_at(void *host, uint64_t at, void (*fn)(void *ctx, uint64_t n), void *ctx, uint64_t n)
{
	struct peer *p = ((struct sim_host *)host)->impl;
	struct call *c = malloc(sizeof(*c));

	MT_ASSERT(c);
	*c = (struct call){p, fn, ctx};
	sim_at_owned(p->sim, at, call, c, n, free);
}

static const struct sim_host_ops host_ops = {h_connect, h_listen, h_at};

void peer_init(struct peer *p, struct sim *s, const char *name, uint8_t number)
{
	memset(p, 0, sizeof(*p));
	p->sim = s;
	p->host.ops = &host_ops;
	p->host.sim = s;
	p->host.name = name;
	p->host.impl = p;
	sim_host_addrs(number, &p->host.addr4, &p->host.addr6);
	sim_host_mac(number, p->nic.mac);
	p->nic.name = name;
	p->nic.owner = p;
	p->nic.deliver = peer_deliver;
	p->next_port = p->first_port = (uint16_t)sim_between(&s->host_rand, 1024, 40000);
	sim_net_add(s, &p->nic);
}

void peer_kill(struct peer *p)
{
	sim_count_fault(p->sim, SIM_F_HOST_DEATH);
	sim_trace(p->sim, "host %s dies", p->host.name);
	p->dead = true;
	for (struct peer_conn *c = p->conns; c; c = c->next)
		peer_conn_end(c, SIM_END_FAILED);
}

void peer_reboot(struct peer *p)
{
	sim_count_fault(p->sim, SIM_F_PEER_REBOOT);
	sim_trace(p->sim, "host %s is up again", p->host.name);
	p->dead = true; /* while its applications end: nothing is sent */
	for (struct peer_conn *c = p->conns; c; c = c->next)
		peer_conn_end(c, SIM_END_FAILED);
	p->dead = false;
	p->next_port = p->first_port;
}

void peer_fini(struct peer *p)
{
	while (p->conns) {
		struct peer_conn *c = p->conns;

		p->conns = c->next;
		if (!c->dead)
			release(c);
		free(c);
	}
	for (uint32_t i = 0; i < PEER_REPLAYS; i++)
		if (p->replays[i])
			sim_frame_free(p->replays[i]);
}
