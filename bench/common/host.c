/* SPDX-License-Identifier: Apache-2.0 */
#include "bench_host.h"

#include "mt_tls_layer.h"

#include <errno.h>
#include <stdlib.h>

#define CONNECT_MS 5000
#define TLS_EVENTS 64	/* handshake events per loop iteration */
#define TLS_MSS	   1400 /* as in a worker */

/* Frames may be longer than the receive window: bytes are taken at once and assembled here. */
struct conn {
	struct mt_stream *s;
	struct mt_chain in;
	bool connected;
	uint8_t life; /* enum bench_life */
	uint32_t waits;
};

struct bench_host {
	struct mt_slab conns;
	struct bench_stack stack;
	enum bench_codec codec;
	bool server;
	struct bench_message message; /* the message that it sends */
	/* client: length of the expected reply; a local error reply has another length */
	uint32_t reply_len;
	uint32_t chunk; /* bytes of one segment; each is sent in its own buffer */
	uint32_t outstanding;
	const struct mt_steer *node;
	uint16_t worker;
	struct bench_host_counts n;
	uint64_t next_id;
	const struct bench_tls_end *tls; /* NULL: plaintext */
	struct mt_tls_layer layer;	 /* on top of the stack's TCP */
	struct mt_tls_door door;
};

static struct conn *conn_of(struct mt_stream *s)
{
	struct bench_host *h = s->user_ctx;

	return mt_slab_at(&h->conns, s->owner_idx);
}

static void send_message(struct bench_host *h, struct mt_stream *s, const uint8_t *id)
{
	struct mt_chain c = {0};

	bench_put_id(&h->message, id);
	for (uint32_t off = 0; off < h->message.len; off += h->chunk) {
		struct mt_chain part = {0};

		if (mt_chain_write(&part, h->stack.pools, h->message.bytes + off,
			    MT_MIN(h->chunk, h->message.len - off))) {
			mt_chain_free(&c);
			h->n.no_memory++;
			h->n.errors++;
			return;
		}
		mt_chain_concat(&c, &part);
	}
	mt_stream_send(s, &c);
}

static void ask(struct bench_host *h, struct conn *c)
{
	uint64_t id = ++h->next_id;

	c->waits++;
	send_message(h, c->s, (const uint8_t *)&id);
}

static void on_connected(struct mt_stream *s)
{
	struct bench_host *h = s->user_ctx;
	struct conn *c = conn_of(s);
	uint32_t n = c->life == BENCH_STAYS ? h->outstanding : 1;

	h->n.connected++;
	c->connected = true;
	for (uint32_t i = 0; i < n; i++)
		ask(h, c);
}

static void forget(struct bench_host *h, struct conn *c)
{
	h->n.open--;
	h->n.connected -= c->connected;
	mt_chain_free(&c->in);
	mt_slab_free(&h->conns, c);
}

/* Returns false if the connection is gone. */
static bool answered(struct bench_host *h, struct conn *c, uint32_t len)
{
	struct mt_stream *s = c->s;

	h->n.replies++;
	h->n.errors += !c->waits;
	c->waits -= c->waits ? 1 : 0;
	h->n.errors += len != h->reply_len;
	if (c->life == BENCH_ONCE) {
		mt_stream_shutdown(s);
	} else if (c->life == BENCH_ONCE_LET_GO) {
		forget(h, c);
		mt_stream_detach(s);
		return false;
	} else if (h->outstanding) {
		ask(h, c);
	}
	return true;
}

static void on_readable(struct mt_stream *s)
{
	struct bench_host *h = s->user_ctx;
	struct conn *c = conn_of(s);
	uint32_t len;

	mt_chain_concat(&c->in, &s->rx);
	mt_stream_consumed(s);
	while ((len = bench_frame_len(h->codec, &c->in)) > 0) {
		uint8_t id[BENCH_ID_MAX];

		bench_get_id(&h->message, &c->in, id);
		mt_chain_drop(&c->in, len);
		if (h->server)
			send_message(h, s, id);
		else if (!answered(h, c, len))
			return;
	}
}

static void on_eof(struct mt_stream *s)
{
	if (!s->tx_shut)
		mt_stream_shutdown(s);
}

static void on_writable(struct mt_stream *s)
{
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct bench_host *h = s->user_ctx;
	struct conn *c = conn_of(s);

	/*
	 * A connection that never came up is opened again; the end of one that should stay is an
	 * error.
	 */
	if (!h->server && c->connected)
		h->n.errors += reason != MT_CLOSE_OK || c->waits || c->life == BENCH_STAYS;
	forget(h, c);
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
	return ((struct bench_host *)arg)->server ? 0 : -1;
}

static bool on_accept(void *arg, struct mt_stream *s, int listener)
{
	struct bench_host *h = arg;
	struct conn *c = mt_slab_alloc(&h->conns, NULL);

	if (!c)
		return false;
	h->n.open++;
	h->n.connected++;
	c->s = s;
	c->connected = true;
	s->user = &user;
	s->user_ctx = h;
	s->owner_idx = mt_slab_idx(&h->conns, c);
	return true;
}

static const struct mt_listen_ops listen_ops = {on_lookup, on_accept};

static struct mt_tls_context *context_of(void *arg, const struct mt_stream *lower, int listener,
	const struct mt_hello_says *says, uint64_t *tag)
{
	return ((struct bench_host *)arg)->tls->context;
}

/* Call it after the stack exists: the TLS layer uses its streams. */
static int put_tls(struct bench_host *h, const struct bench_host_conf *c)
{
	struct mt_tls_layer_conf conf = {.pools = c->pools,
		.aead = c->tls->aead,
		.lower = mt_tcp_transport(h->stack.tcp),
		.hands = &mt_tls_lane_hands,
		.hands_arg = c->tls->lane,
		.streams = c->tcp->max_conns,
		.mss = TLS_MSS};

	h->tls = c->tls;
	h->door = (struct mt_tls_door){
		.layer = &h->layer, .listen = &listen_ops, .arg = h, .context = context_of};
	return mt_tls_layer_init(&h->layer, &conf, c->now);
}

static void know_messages(struct bench_host *h, const struct bench_host_conf *c)
{
	struct bench_message reply;

	bench_reply(c->codec, c->size, &reply);
	h->reply_len = reply.len;
	if (c->server) {
		h->message = reply;
		return;
	}
	free(reply.bytes);
	bench_request(c->codec, c->size, &h->message);
}

struct bench_host *bench_host_create(const struct bench_host_conf *c, struct mt_err *e)
{
	struct bench_host *h = calloc(1, sizeof(*h));
	struct bench_stack_conf stack = {.port = c->port,
		.pools = c->pools,
		.steer = c->steer,
		.net = c->net,
		.tcp = c->tcp,
		.listen = &listen_ops,
		.listen_arg = h,
		.net_seed = 1 + c->server,
		.tcp_seed = 11 + c->server,
		.now = c->now};

	if (!h || mt_slab_init(&h->conns, "host", sizeof(struct conn), c->tcp->max_conns)) {
		mt_err(e, -ENOMEM, "no memory for an end host");
		return NULL;
	}
	h->codec = c->codec;
	h->server = c->server;
	h->outstanding = c->outstanding;
	h->node = c->node;
	h->worker = c->worker;
	/* minus headers, and timestamps as lib/tcp reserves them */
	h->chunk = c->port->mtu - 60u - 12;
	if (c->tls && c->server) {
		stack.listen = &mt_tls_door_ops;
		stack.listen_arg = &h->door;
	}
	if (bench_stack_open(&h->stack, &stack, e))
		return NULL;
	if (c->tls && put_tls(h, c)) {
		mt_err(e, -ENOMEM, "no memory for an end host's TLS");
		return NULL;
	}
	know_messages(h, c);
	return h;
}

void bench_host_destroy(struct bench_host *h)
{
	struct conn *c;

	for (uint32_t i = 0; (c = mt_slab_next(&h->conns, &i));)
		mt_chain_free(&c->in);
	mt_slab_fini(&h->conns);
	if (h->tls)
		mt_tls_layer_fini(&h->layer);
	bench_stack_close(&h->stack);
	free(h->message.bytes);
	free(h);
}

void bench_host_turn(struct bench_host *h, uint64_t now)
{
	if (!h->tls) {
		bench_stack_turn(&h->stack, now);
		return;
	}
	mt_tls_layer_turn(&h->layer, now);
	if (mt_tls_lane_rung(h->tls->lane))
		mt_tls_lane_take(h->tls->lane, TLS_EVENTS, mt_tls_layer_event, &h->layer);
	bench_stack_turn(&h->stack, now);
	mt_tls_lane_flush(h->tls->lane);
}

/* True if the Meltemi worker on this host's queue is the one that RSS would choose. */
static bool owned(const struct bench_host *h, const struct mt_stream *s)
{
	const struct mt_tuple *t = mt_stream_ends(s);
	struct mt_tuple theirs = {
		.local = t->remote, .remote = t->local, .lport = t->rport, .rport = t->lport};

	return !h->node || mt_steer_owner(h->node, &theirs) == h->worker;
}

/* Source ports are random, so several attempts find a suitable one. */
bool bench_host_open(
	struct bench_host *h, const struct mt_addr *vip, uint16_t port, enum bench_life life)
{
	struct conn *c = mt_slab_alloc(&h->conns, NULL);
	uint32_t tries = h->node ? 16u * h->node->workers : 1;
	enum mt_close_reason why;

	if (!c)
		return false;
	c->life = (uint8_t)life;
	for (uint32_t i = 0; i < tries; i++) {
		c->s = mt_stream_open(h->tls ? &h->layer.transport : mt_tcp_transport(h->stack.tcp),
			&(struct mt_stream_to){.remote = vip,
				.port = port,
				.connect_ms = CONNECT_MS,
				.tls = h->tls ? h->tls->context : NULL,
				.user = &user,
				.user_ctx = h,
				.owner_idx = mt_slab_idx(&h->conns, c)},
			&why);
		if (!c->s)
			break;
		if (owned(h, c->s)) {
			h->n.open++;
			return true;
		}
		mt_stream_abort(c->s, MT_ABORT_CANCELLED);
	}
	mt_slab_free(&h->conns, c);
	return false;
}

bool bench_host_ask(struct bench_host *h, uint32_t i)
{
	struct conn *c = mt_slab_at(&h->conns, i);

	if (c->waits || !c->connected || c->life != BENCH_STAYS)
		return false;
	ask(h, c);
	return true;
}

const struct bench_host_counts *bench_host_counts(const struct bench_host *h)
{
	return &h->n;
}

struct mt_tcp *bench_host_tcp(struct bench_host *h)
{
	return h->stack.tcp;
}

const struct mt_slab *bench_host_slab(const struct bench_host *h)
{
	return &h->conns;
}
