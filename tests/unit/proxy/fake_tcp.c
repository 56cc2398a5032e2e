/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_tcp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct lab lab;

static struct fake_conn *of(struct mt_stream *s)
{
	return (struct fake_conn *)s;
}

static void fake_gone(struct fake_conn *c)
{
	c->live = false;
	mt_chain_free(&c->s.rx);
	mt_chain_free(&c->sent);
	c->s.tx_queued = 0;
}

static void op_touch(struct mt_stream *s)
{
	of(s)->touched = true;
}

static void op_consumed(struct mt_stream *s)
{
	of(s)->touched = true;
}

static void op_send(struct mt_stream *s, struct mt_chain *c)
{
	struct fake_conn *f = of(s);

	MT_ASSERT(f->live && !f->shut);
	if (lab.on_send)
		lab.on_send(f, c);
	f->end.pos.accepted += c->len;
	if (!f->stopped)
		f->end.pos.sent = f->end.pos.accepted;
	mt_chain_concat(&f->sent, c);
	s->tx_queued = f->sent.truesize;
	f->touched = true;
}

static void op_shutdown(struct mt_stream *s)
{
	of(s)->shut = true;
	s->tx_shut = true;
}

static void op_abort(struct mt_stream *s, enum mt_abort_reason why)
{
	MT_ASSERT(of(s)->live);
	of(s)->aborted = true;
	fake_gone(of(s));
}

static void op_detach(struct mt_stream *s)
{
	MT_ASSERT(of(s)->live);
	of(s)->detached = of(s)->shut = true;
	s->user = NULL;
}

static void op_refuse(struct mt_stream *s, uint32_t words)
{
	MT_ASSERT(of(s)->live);
	of(s)->refuses = true;
}

static bool op_coming(const struct mt_stream *s)
{
	return ((const struct fake_conn *)s)->coming;
}

static void op_again(struct mt_stream *s)
{
	MT_ASSERT(of(s)->live);
}

static void op_class(struct mt_stream *s, enum mt_class rx, enum mt_class tx)
{
	s->rx_class = (uint8_t)rx;
	s->tx_class = (uint8_t)tx;
}

static const struct mt_tuple *op_ends(const struct mt_stream *s)
{
	return &((const struct fake_conn *)s)->t;
}

static uint32_t op_room(const struct mt_stream *s)
{
	const struct fake_conn *f = (const struct fake_conn *)s;

	return f->shut_window ? 0 : s->tx_high - MT_MIN(s->tx_queued, s->tx_high);
}

static void op_positions(const struct mt_stream *s, struct mt_stream_pos *pos)
{
	*pos = ((const struct fake_conn *)s)->end.pos;
}

static void op_end(const struct mt_stream *s, struct mt_stream_end *e)
{
	*e = ((const struct fake_conn *)s)->end;
}

static int op_reclaim(const struct mt_stream *s, uint64_t first, uint64_t last, struct mt_chain *to)
{
	const struct fake_conn *f = (const struct fake_conn *)s;
	uint64_t held = MT_MAX(f->sent_at, f->end.pos.acked);

	MT_ASSERT(f->live);
	if (first < held || last > f->end.pos.accepted)
		return -ENODATA;
	return mt_chain_copy(
		&f->sent, (uint32_t)(first - f->sent_at), (uint32_t)(last - first), to, &lab.pools);
}

static bool op_put_back(struct mt_stream *s)
{
	if (lab.puts_back)
		mt_chain_free(&s->rx);
	return lab.puts_back;
}

static const struct mt_stream_ops ops = {.consumed = op_consumed,
	.send = op_send,
	.shutdown = op_shutdown,
	.abort = op_abort,
	.detach = op_detach,
	.refuse = op_refuse,
	.coming = op_coming,
	.touch = op_touch,
	.again = op_again,
	.class = op_class,
	.ends = op_ends,
	.room = op_room,
	.positions = op_positions,
	.end = op_end,
	.reclaim = op_reclaim,
	.put_back = op_put_back};

static struct fake_conn *fresh(void)
{
	struct fake_conn *c = &lab.conns[lab.n++];

	MT_ASSERT(lab.n <= MT_ARRAY_LEN(lab.conns));
	memset(c, 0, sizeof(*c));
	c->s.ops = &ops;
	c->s.tx_high = 1 << 20;
	c->s.tx_class = MT_CLASS_REPLYING;
	c->live = true;
	return c;
}

static struct mt_stream *open_stream(
	struct mt_transport *t, const struct mt_stream_to *to, enum mt_close_reason *why)
{
	struct fake_conn *c;

	if (lab.refuse_open || lab.no_route) {
		*why = lab.no_route ? MT_CLOSE_UNREACHABLE : MT_CLOSE_NO_SOURCE_PORT;
		return NULL;
	}
	c = fresh();
	c->s.rx_class = MT_CLASS_REPLYING;
	c->s.tx_class = MT_CLASS_RESENDING;
	c->t.remote = *to->remote;
	c->t.rport = to->port;
	c->t.lport = (uint16_t)(20000 + lab.n);
	c->s.user = to->user;
	c->s.user_ctx = to->user_ctx;
	c->s.owner_idx = to->owner_idx;
	return &c->s;
}

struct mt_transport lab_transport = {open_stream};

struct mt_sums lab_holds(struct fake_conn *c)
{
	struct mt_sums now = {0};

	now.of[c->s.rx_class] = c->s.rx.truesize;
	if (c->s.user->holds)
		c->s.user->holds(&c->s, &now);
	return now;
}

/*
 * What is charged changes only in turns in which the stream was touched: else the ledger would not hear of it. What is kept
 * of rx is there.
 */
static void check_holds(struct fake_conn *c)
{
	bool keeps = c->s.keeps;
	struct mt_sums now;

	if (!c->live || !c->s.user)
		return;
	MT_ASSERT(c->s.rx_kept <= c->s.rx.len);
	now = lab_holds(c);
	MT_ASSERT(keeps || !c->s.keeps);
	MT_ASSERT(c->touched || memcmp(&now, &c->held, sizeof(now)) == 0);
	c->held = now;
	c->touched = false;
}

/* The end of a loop turn at the same moment. */
static void turn(void)
{
	const char *wrong;

	while (mt_proxy_timers(lab.p, 1000) >= 1000)
		;
	wrong = mt_proxy_check(lab.p);
	if (wrong)
		fprintf(stderr, "%s\n", wrong);
	MT_ASSERT(!wrong); /* also where no test runs: the fuzz target has this file, too */
	for (uint32_t i = 0; i < lab.n; i++)
		check_holds(&lab.conns[i]);
	/* What the test does next is the next turn. */
	mt_proxy_begin(lab.p, lab.now, 0);
}

struct fake_conn *lab_client(uint16_t port)
{
	return lab_client_from(port, 2);
}

static bool read_what_came(struct fake_conn *c);

struct fake_conn *lab_client_from(uint16_t port, uint8_t host)
{
	struct fake_conn *c = fresh();

	mt_addr_parse("240.240.0.1", &c->t.local);
	mt_addr_parse("192.0.2.0", &c->t.remote);
	c->t.remote.b[15] = host;
	c->t.lport = port;
	c->t.rport = (uint16_t)(40000 + lab.n);
	c->t.entry = lab.entry;
	c->accepted = c->connected = true;
	if (lab.n_first)
		MT_ASSERT(mt_chain_write(&c->s.rx, &lab.pools, lab.first, lab.n_first) == 0);
	if (mt_proxy_listen_ops.lookup(lab.p, &c->t.local, port) < 0 ||
		!mt_proxy_listen_ops.accept(lab.p, &c->s, 0)) {
		fake_gone(c);
		return NULL;
	}
	if (lab.n_first)
		(void)read_what_came(c);
	return c;
}

static bool is_server(const struct fake_conn *c)
{
	return c->live && !c->accepted && !c->detached;
}

struct fake_conn *lab_server(uint32_t i)
{
	for (uint32_t n = 0; n < lab.n; n++)
		if (is_server(&lab.conns[n]) && i-- == 0)
			return &lab.conns[n];
	return NULL;
}

uint32_t lab_n_servers(void)
{
	uint32_t k = 0;

	for (uint32_t n = 0; n < lab.n; n++)
		k += is_server(&lab.conns[n]);
	return k;
}

void lab_connect(struct fake_conn *c)
{
	/* A stream connects once. */
	if (c->connected)
		return;
	c->connected = true;
	c->s.user->connected(&c->s);
	turn();
}

static bool read_what_came(struct fake_conn *c)
{
	c->touched = true; /* by the segment */
	if (c->s.user)
		c->s.user->readable(&c->s);
	else
		mt_chain_free(&c->s.rx);
	turn();
	return true;
}

bool lab_feed(struct fake_conn *c, const void *bytes, uint32_t n)
{
	uint8_t head[LAB_HEAD];
	uint32_t at = lab.on_feed ? lab.on_feed(c, bytes, n, head) : 0;

	MT_ASSERT(c->live);
	if (at && mt_chain_write(&c->s.rx, &lab.pools, head, at))
		return false;
	if (n > at && mt_chain_write(&c->s.rx, &lab.pools, (const uint8_t *)bytes + at, n - at))
		return false;
	return read_what_came(c);
}

bool lab_feed_pieces(struct fake_conn *c, const void *bytes, uint32_t n, uint32_t piece)
{
	for (uint32_t at = 0; at < n; at += piece) {
		struct mt_chain part = {0};

		if (mt_chain_write(
			    &part, &lab.pools, (const uint8_t *)bytes + at, MT_MIN(piece, n - at)))
			return false;
		mt_chain_concat(&c->s.rx, &part);
	}
	return read_what_came(c);
}

void lab_fin(struct fake_conn *c)
{
	c->s.rx_eof = true;
	c->end.fin = true;
	c->end.fin_acked = c->end.pos.acked;
	if (c->s.user)
		c->s.user->eof(&c->s);
	turn();
}

void lab_close(struct fake_conn *c, enum mt_close_reason reason)
{
	c->end.reset |= reason == MT_CLOSE_RESET;
	if (c->s.user)
		c->s.user->closed(&c->s, reason);
	fake_gone(c);
	turn();
}

uint32_t lab_take(struct fake_conn *c, void *buf, uint32_t size)
{
	uint32_t n = MT_MIN(size, c->sent.len);
	bool below;

	mt_chain_read(&c->sent, 0, buf, n);
	mt_chain_drop(&c->sent, n);
	c->sent_at += n;
	c->end.pos.acked = MT_MAX(c->end.pos.acked, c->sent_at);
	c->end.pos.sent = MT_MAX(c->end.pos.sent, c->sent_at);
	c->s.tx_queued = c->sent.truesize;
	below = c->s.tx_queued <= c->s.tx_high / 2;
	if (c->s.user && c->s.user->acked && n)
		c->s.user->acked(&c->s, n);
	if (c->live && c->s.user && c->s.want_writable && below) {
		c->s.want_writable = false;
		c->s.user->writable(&c->s);
	}
	turn();
	return n;
}

void lab_advance(uint64_t ns)
{
	uint64_t end = lab.now + ns;

	while (lab.now < end) {
		lab.now = MT_MIN(end, lab.now + MT_SEC / 4);
		mt_proxy_begin(lab.p, lab.now, 0);
		turn();
	}
}

void lab_evict(struct fake_conn *c, enum mt_class class)
{
	c->s.user->evict(&c->s, class);
	turn();
}

void lab_flush_detached(void)
{
	for (uint32_t n = 0; n < lab.n; n++)
		if (lab.conns[n].live && lab.conns[n].detached)
			fake_gone(&lab.conns[n]);
}
