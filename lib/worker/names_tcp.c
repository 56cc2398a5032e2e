/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS on the data path: clients over TCP (RFC 7766). Its listener comes after lib/proxy's: an
 * address and port of a service belongs to the service, port 53 of the DNS addresses to this file.
 */
#include "mt_worker_priv.h"

#include <limits.h>
#include <string.h>

#define LISTENER INT_MAX /* no listener of a snapshot has this index */
#define IDLE_NS	 (10 * MT_SEC)
#define TX_HIGH	 (256u * 1024)
#define OUT_MAX	 4096 /* our own answers: all addresses of a name, of both families */

static const struct mt_stream_user names_user;

static struct names_conn *conn_of(struct mt_stream *s)
{
	struct mt_worker *w = s->user_ctx;

	return mt_slab_at(&w->names.conns, s->owner_idx);
}

static void touch(struct mt_names *n, struct names_conn *c)
{
	c->last = n->now;
	mt_list_del(&c->node);
	mt_list_add_tail(&n->conns_by_use, &c->node);
}

static void conn_free(struct mt_names *n, struct names_conn *c)
{
	mt_list_del(&c->node);
	mt_slab_free(&n->conns, c);
}

/* Frees a connection. What is queued is still delivered. */
static void let_go(struct mt_names *n, struct names_conn *c)
{
	struct mt_stream *s = c->s;

	conn_free(n, c);
	mt_stream_detach(s);
}

/* ---- listening ------------------------------------------------------------------------------ */

static int on_lookup(void *arg, const struct mt_addr *local, uint16_t lport)
{
	struct mt_worker *w = arg;
	int at = mt_proxy_listen_ops.lookup(w->proxy, local, lport);

	return at < 0 && mt_names_serves(&w->names, local, lport) ? LISTENER : at;
}

static bool accept_names(struct mt_worker *w, struct mt_stream *s)
{
	struct mt_names *n = &w->names;
	struct names_conn *c;

	/* The longest silent client makes room. */
	if (n->conns.in_use == MT_NAMES_CONNS) {
		struct mt_stream *oldest;

		c = mt_list_entry(mt_list_first(&n->conns_by_use), struct names_conn, node);
		oldest = c->s;
		mt_count(n->counters, MT_DNS_tcp_full);
		conn_free(n, c);
		mt_stream_abort(oldest, MT_ABORT_CANCELLED);
	}
	c = mt_slab_alloc(&n->conns, NULL);
	if (!c)
		return false;
	mt_list_init(&c->node);
	c->s = s;
	touch(n, c);
	s->user = &names_user;
	s->user_ctx = w;
	s->owner_idx = mt_slab_idx(&n->conns, c);
	s->tx_high = TX_HIGH;
	mt_count(n->counters, MT_DNS_tcp_accepted);
	return true;
}

static bool on_accept(void *arg, struct mt_stream *s, int listener)
{
	struct mt_worker *w = arg;
	const struct mt_tuple *t = mt_stream_ends(s);

	/* The snapshot may have changed since the SYN. */
	if (on_lookup(w, &t->local, t->lport) == LISTENER)
		return accept_names(w, s);
	return mt_proxy_listen_ops.accept(w->proxy, s, listener);
}

const struct mt_listen_ops mt_names_listen_ops = {on_lookup, on_accept};

/* ---- messages ------------------------------------------------------------------------------- */

static void send_message(
	struct mt_worker *w, struct names_conn *c, const uint8_t *msg, uint32_t len)
{
	uint8_t prefix[MT_DNS_FRAME];
	struct mt_chain out = {0};

	mt_dns_frame_put(prefix, len);
	if (mt_chain_write(&out, w->pools, prefix, sizeof(prefix)) ||
		mt_chain_write(&out, w->pools, msg, len)) {
		mt_chain_free(&out);
		mt_count(w->names.counters, MT_DNS_answer_lost);
		return;
	}
	mt_stream_send(c->s, &out);
}

static void serve(struct mt_worker *w, struct names_conn *c, const uint8_t *msg, uint32_t len)
{
	const struct names_where where = {
		.client = mt_stream_ends(c->s)->remote, .conn = mt_slab_ref(&w->names.conns, c)};
	uint8_t out[OUT_MAX];
	uint32_t n = mt_names_answer(w, &where, msg, len, out, sizeof(out));

	if (n < MT_NAMES_LATER)
		send_message(w, c, out, n);
	c->waiting += n == MT_NAMES_LATER;
}

/* Processes the whole messages that have come. false: the connection is gone. */
static bool pump(struct mt_worker *w, struct names_conn *c)
{
	struct mt_stream *s = c->s;
	bool stuck;

	while (s->rx.len >= 2 && mt_stream_sendable(s) > 0) {
		uint8_t scratch[2 + MT_DNS_QUERY_MAX];
		const uint8_t *p = mt_chain_peek(&s->rx, 0, 2, scratch);
		uint32_t len = mt_dns_frame_len(p);

		if (len > MT_DNS_QUERY_MAX) {
			mt_count(w->names.counters, MT_DNS_query_too_long);
			conn_free(&w->names, c);
			mt_stream_abort(s, MT_ABORT_PROTOCOL);
			return false;
		}
		if (s->rx.len < 2 + len)
			break;
		if (len) {
			p = mt_chain_peek(&s->rx, 2, len, scratch);
			serve(w, c, p, len);
		}
		mt_stream_drop(s, 2 + len);
	}
	/* Do not end while queries wait until answers are sent; `writable` comes here again. */
	stuck = s->rx.len >= 2 && mt_stream_sendable(s) == 0;
	if (!s->rx_eof || c->waiting || stuck)
		return true;
	let_go(&w->names, c);
	return false;
}

void mt_names_conn_tell(
	struct mt_worker *w, const struct names_where *where, const uint8_t *msg, uint32_t len)
{
	struct names_conn *c = mt_slab_get(&w->names.conns, where->conn);

	if (!c) {
		mt_count(w->names.counters, MT_DNS_answer_unwanted);
		return;
	}
	c->waiting--;
	touch(&w->names, c);
	send_message(w, c, msg, len);
	(void)pump(w, c);
}

/* ---- time ----------------------------------------------------------------------------------- */

uint64_t mt_names_conn_next(const struct mt_worker *w)
{
	const struct mt_list *head = &w->names.conns_by_use;

	if (mt_list_empty(head))
		return MT_NEVER;
	return mt_list_entry(head->next, struct names_conn, node)->last + IDLE_NS;
}

uint32_t mt_names_conn_expire(struct mt_worker *w)
{
	struct mt_names *n = &w->names;
	uint32_t done = 0;

	for (; n->now >= mt_names_conn_next(w); done++) {
		mt_count(n->counters, MT_DNS_tcp_idle);
		let_go(n, mt_list_entry(mt_list_first(&n->conns_by_use), struct names_conn, node));
	}
	return done;
}

/* ---- events --------------------------------------------------------------------------------- */

static void on_bytes(struct mt_stream *s)
{
	struct mt_worker *w = s->user_ctx;
	struct names_conn *c = conn_of(s);

	touch(&w->names, c);
	(void)pump(w, c);
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct mt_worker *w = s->user_ctx;

	conn_free(&w->names, conn_of(s));
}

/* Clients are already connected when they are accepted. */
static void never(struct mt_stream *s)
{
}

static const struct mt_stream_user names_user = {
	.connected = never,
	.readable = on_bytes,
	.eof = on_bytes,
	.writable = on_bytes,
	.closed = on_closed,
};
