/* SPDX-License-Identifier: Apache-2.0 */
/* The application over the stack under test: it keeps what it is told, and compares what it reads. */
#include "stack_priv.h"

#include <string.h>

static struct sc_flow *flow_of(struct mt_stream *s)
{
	struct sc_run *r = s->user_ctx;

	return sc_flow(r, mt_stream_ends(s)->rport);
}

static void take(struct sc_flow *f, struct mt_stream *s, uint32_t n)
{
	uint8_t bytes[2048];

	while (n > 0) {
		uint32_t part = MT_MIN(n, (uint32_t)sizeof(bytes));

		mt_chain_read(&s->rx, 0, bytes, part);
		for (uint32_t i = 0; i < part; i++)
			f->data_wrong |= bytes[i] != sc_pattern_theirs(f->read + i);
		f->read += part;
		n -= part;
		mt_stream_drop(s, part);
	}
}

static void on_connected(struct mt_stream *s)
{
	sc_event(s->user_ctx, SC_EV_CONNECTED, flow_of(s)->port, 0);
}

static void on_readable(struct mt_stream *s)
{
	struct sc_flow *f = flow_of(s);

	sc_event(s->user_ctx, SC_EV_READABLE, f->port, 0);
	if (f->reading)
		take(f, s, s->rx.len);
}

static void on_eof(struct mt_stream *s)
{
	sc_event(s->user_ctx, SC_EV_EOF, flow_of(s)->port, 0);
}

static void on_writable(struct mt_stream *s)
{
	sc_event(s->user_ctx, SC_EV_WRITABLE, flow_of(s)->port, 0);
}

static void on_closed(struct mt_stream *s, enum mt_close_reason reason)
{
	struct sc_flow *f = flow_of(s);

	if (f->s == s)
		f->s = NULL;
	sc_event(s->user_ctx, SC_EV_CLOSED, f->port, reason);
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
	struct sc_stack *st = arg;

	return st->listening && lport == SC_LISTEN_PORT ? 0 : -1;
}

static bool on_accept(void *arg, struct mt_stream *s, int listener)
{
	struct sc_stack *st = arg;
	struct sc_flow *f;

	if (st->refuse)
		return false;
	s->user = &user;
	s->user_ctx = st->run;
	f = flow_of(s);
	f->s = s;
	sc_event(st->run, SC_EV_ACCEPT, f->port, 0);
	return true;
}

const struct mt_listen_ops sc_listen_ops = {on_lookup, on_accept};

bool sc_app_write(struct sc_run *r, struct sc_flow *f, uint32_t n)
{
	/* In buffers of a full segment: where a buffer nearly fills one, lib/tcp ends it there. */
	uint32_t each = MT_MIN(sc_flow_mss(r, f), 2000u);
	struct mt_chain c = {0};

	while (n > 0) {
		uint32_t part = MT_MIN(n, each);
		struct rte_mbuf *m = mt_buf_data(&sc_pools);
		uint8_t *p;

		if (!m)
			return sc_fail(r, "no memory for what the application writes");
		p = rte_pktmbuf_mtod(m, uint8_t *);
		for (uint32_t i = 0; i < part; i++)
			p[i] = sc_pattern_ours(f->written + i);
		mt_chain_append(&c, m, m->data_off, part);
		f->written += part;
		n -= part;
	}
	mt_stream_send(f->s, &c);
	mt_stream_sendable(f->s); /* as applications do: asks, so that it is told */
	return true;
}

void sc_app_read(struct sc_run *r, struct sc_flow *f, uint32_t n)
{
	take(f, f->s, MT_MIN(n, f->s->rx.len));
}

struct mt_stream *sc_open(struct sc_run *r, struct sc_flow *f, uint32_t connect_ms)
{
	enum mt_close_reason why = MT_CLOSE_OK;
	struct mt_addr remote;

	mt_addr_parse(r->v.v6 ? "fd00::2" : "10.0.0.2", &remote);
	mt_net_begin(r->st->netw, r->st->now);
	mt_tcp_begin(r->st->tcp, r->st->now);
	f->s = mt_stream_open(mt_tcp_transport(r->st->tcp),
		&(struct mt_stream_to){.remote = &remote,
			.port = f->port,
			.connect_ms = connect_ms,
			.user = &user,
			.user_ctx = r},
		&why);
	if (!f->s)
		sc_event(r, SC_EV_CLOSED, f->port, why);
	else
		f->lport = mt_stream_ends(f->s)->lport;
	return f->s;
}
