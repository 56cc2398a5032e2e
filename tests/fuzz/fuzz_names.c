/* SPDX-License-Identifier: Apache-2.0 */
/*
 * DNS on the data path, over the unit tests' fakes of the libraries below a worker. The input lists
 * what clients do by TCP and by datagrams, and what the control thread answers. Streams are on the
 * heap, so that a sanitizer sees one that is used after its end.
 */
#include "../unit/worker/fakes.h"
#include "fuzz.h"
#include "fuzz_reader.h"

#include <string.h>

#define CLIENTS 256
#define STEPS	400
#define BYTES	2048

struct wire {
	struct mt_stream s; /* first */
	uint32_t place;
	struct mt_tuple ends;
	uint32_t answers;
};

static struct wire *wires[CLIENTS];
static uint32_t n_wires;
static const struct mt_addr names_at = {.b = {[10] = 0xff, 0xff, 192, 0, 2, 1}};
static uint8_t bytes[BYTES];

/* ---- the stack below ----------------------------------------------------------------------------------- */

static void gone(struct mt_stream *s)
{
	struct wire *w = (struct wire *)s;

	wires[w->place] = NULL;
	n_wires--;
	mt_chain_free(&s->rx);
	free(w);
}

static void on_consumed(struct mt_stream *s)
{
}

/* Each answer comes whole, behind its length. */
static void on_send(struct mt_stream *s, struct mt_chain *c)
{
	uint8_t head[MT_DNS_FRAME];

	MT_ASSERT(c->len > MT_DNS_FRAME);
	mt_chain_read(c, 0, head, sizeof(head));
	MT_ASSERT(mt_dns_frame_len(head) == c->len - MT_DNS_FRAME);
	((struct wire *)s)->answers++;
	mt_chain_free(c);
}

static void on_abort(struct mt_stream *s, enum mt_abort_reason why)
{
	gone(s);
}

static const struct mt_tuple *on_ends(const struct mt_stream *s)
{
	return &((const struct wire *)s)->ends;
}

static const struct mt_stream_ops ops = {.consumed = on_consumed,
	.send = on_send,
	.abort = on_abort,
	.detach = gone,
	.ends = on_ends};

/* ---- the worker ---------------------------------------------------------------------------------------- */

struct rig {
	struct mt_steer steer;
	struct mt_snapshot *current;
	struct mt_dns_lane *lane;
	struct mt_worker *w;
	uint64_t now;
};

static struct mt_snapshot *the_snapshot(void)
{
	static struct mt_snapshot snap;
	const struct mt_dns_rules rules = {.ttl = 30};
	struct mt_dns_builder *b;

	if (snap.dns)
		return &snap;
	b = mt_dns_builder_new(&rules);
	MT_ASSERT(b);
	for (uint32_t i = 0; i < MT_DNS_ADDRS_MAX; i++) {
		struct mt_addr vip = mt_addr4(0x0000f0f0 | i << 24);

		MT_ASSERT(mt_dns_builder_add(b, MT_DNS_OF_DOCUMENTS, i ? "m.x" : "a.x", &vip, 1) ==
			  0);
	}
	snap.dns = mt_dns_builder_finish(b, NULL);
	MT_ASSERT(snap.dns);
	return &snap;
}

/* One worker for all inputs; each begins 100 s after the last one's end, with all tokens. */
static void rig_make(struct rig *r)
{
	static const struct mt_tcp_conf tcp;
	static const struct mt_proxy_conf proxy;
	static const uint8_t secret[32];
	struct mt_worker_conf c = {.workers = 1,
		.steer = &r->steer,
		.pools = fuzz_pools(),
		.tcp = &tcp,
		.proxy = &proxy,
		.secret = secret,
		.current = &r->current};

	*r = (struct rig){.now = MT_SEC, .current = the_snapshot()};
	fakes_reset();
	MT_ASSERT(mt_steer_init(&r->steer, 1, 64) == 0);
	r->lane = mt_dns_lane_new();
	c.names.lane = r->lane;
	c.names.addrs = &names_at;
	c.names.n_addrs = 1;
	c.names.recursion = true;
	r->w = mt_worker_create(&c);
	MT_ASSERT(r->lane && r->w);
}

static struct rig *rig_begin(void)
{
	static struct rig r;

	if (!r.w)
		rig_make(&r);
	/* A ring keeps answers until their places are used again. */
	mt_dns_lane_free(r.lane);
	r.lane = r.w->names.lane = mt_dns_lane_new();
	MT_ASSERT(r.lane);
	fakes[0].pools = fuzz_pools();
	fakes[0].calls[0] = '\0';
	mt_worker_turn(r.w, r.now += 100 * MT_SEC, MT_SEC);
	return &r;
}

static void rig_end(struct rig *r)
{
	while (mt_dns_lane_take(r->lane))
		mt_dns_lane_taken(r->lane);
	for (uint32_t i = 0; i < CLIENTS; i++)
		if (wires[i]) {
			wires[i]->s.user->closed(&wires[i]->s, MT_CLOSE_RESET);
			gone(&wires[i]->s);
		}
	/* Answers that no client has got yet are dropped. */
	while (mt_dns_lane_has_answer(r->lane))
		mt_worker_turn(r->w, r->now, MT_SEC);
	MT_ASSERT(r->w->names.conns.in_use == 0 && n_wires == 0);
	fuzz_check_pools();
}

/* ---- what clients do ----------------------------------------------------------------------------------- */

static void connect_one(struct rig *r, uint32_t host)
{
	int at = fakes[0].listen->lookup(fakes[0].listen_arg, &names_at, 53);
	struct wire *w;
	uint32_t i = 0;

	MT_ASSERT(at >= 0);
	while (i < CLIENTS && wires[i])
		i++;
	MT_ASSERT(i < CLIENTS);
	w = calloc(1, sizeof(*w));
	MT_ASSERT(w);
	w->s.ops = &ops;
	w->place = i;
	w->ends = (struct mt_tuple){names_at, mt_addr4(0x000000c0 | host << 24), 53, 4000, 0};
	/* A client that makes room is aborted in the call. */
	MT_ASSERT(fakes[0].listen->accept(fakes[0].listen_arg, &w->s, at));
	wires[i] = w;
	n_wires++;
	MT_ASSERT(n_wires <= MT_NAMES_CONNS && n_wires == r->w->names.conns.in_use);
}

static struct wire *any_wire(uint32_t which)
{
	for (uint32_t i = 0; i < CLIENTS; i++)
		if (wires[(which + i) % CLIENTS])
			return wires[(which + i) % CLIENTS];
	return NULL;
}

/* After its FIN a client sends nothing. */
static void arrive(struct wire *w, const uint8_t *data, uint32_t len, uint32_t piece)
{
	if (!w || w->s.rx_eof || !len)
		return;
	fuzz_append(&w->s.rx, data, len, piece);
	w->s.user->readable(&w->s);
}

static uint32_t take_bytes(struct reader *r, uint8_t *to, size_t len)
{
	size_t n = MT_MIN(len, r->left);

	memcpy(to, r->at, n);
	r->at += n;
	r->left -= n;
	return (uint32_t)n;
}

/* For the address of a name of two labels; 'a.x' and 'm.x' are ours. */
static uint32_t query(struct reader *in, uint8_t *q)
{
	static const uint8_t plain[] = {
		7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 1, 'x', 0, 0, 1, 0, 1};

	memcpy(q, plain, sizeof(plain));
	q[13] = (uint8_t)u8(in);
	return sizeof(plain);
}

static void queries(struct reader *in)
{
	struct wire *w = any_wire(u8(in));
	uint32_t n = 1 + u8(in) % 8, len = 0, piece = 1 + u8(in);

	for (uint32_t i = 0; i < n; i++) {
		uint32_t one = query(in, bytes + len + MT_DNS_FRAME);

		mt_dns_frame_put(bytes + len, one);
		len += MT_DNS_FRAME + one;
	}
	arrive(w, bytes, len, piece);
}

static void raw(struct reader *in)
{
	struct wire *w = any_wire(u8(in));
	uint32_t piece = 1 + u8(in), len = u8(in);

	if (len == 255)
		len = u16(in) % BYTES;
	len = take_bytes(in, bytes, len);
	arrive(w, bytes, len, piece);
}

static void datagram(struct rig *r, struct reader *in)
{
	const struct mt_net_from from = {
		names_at, mt_addr4(0x000000c0 | u8(in) << 24), 53, 4000, 3, {{1, 2, 3, 4, 5, 6}}};
	uint32_t len = u8(in), sent = fakes[0].udp_sent;

	len = len ? take_bytes(in, bytes, len) : query(in, bytes);
	MT_ASSERT(fakes[0].udp(fakes[0].udp_arg, &from, bytes, (uint16_t)len));
	MT_ASSERT(fakes[0].udp_sent == sent || fakes[0].udp_len <= MT_DNS_UDP_MAX);
}

/* ---- what the control thread does ---------------------------------------------------------------------- */

static void tell(struct rig *r, struct reader *in)
{
	const struct mt_dns_asked *a = mt_dns_lane_take(r->lane);
	uint32_t len = u8(in);

	if (!a)
		return;
	MT_ASSERT(a->len <= MT_DNS_QUERY_MAX && a->len >= 12);
	/* Of the control thread: an answer to it, as lib/dns makes one. */
	memset(bytes, 0, sizeof(bytes));
	memcpy(bytes, a->msg, a->len);
	bytes[2] |= 0x80;
	if (len % 8)
		(void)mt_dns_lane_tell(r->lane, &a->where, bytes,
			MT_MIN(a->len + len, a->datagram ? MT_DNS_UDP_MAX : (uint32_t)BYTES));
	mt_dns_lane_taken(r->lane);
}

static void step(struct rig *r, struct reader *in)
{
	uint32_t verb = u8(in) % 10;
	struct wire *w = NULL;

	if (verb >= 3 && verb <= 5)
		w = any_wire(u8(in));
	switch (verb) {
	case 0:
		for (uint32_t i = u8(in) % 140, host = u8(in); i + 1 > 0 && i < 140; i--)
			connect_one(r, host + i);
		break;
	case 1:
		raw(in);
		break;
	case 2:
		queries(in);
		break;
	case 3:
		if (!w || w->s.rx_eof)
			break;
		w->s.rx_eof = true;
		w->s.user->eof(&w->s);
		break;
	case 4:
		if (!w)
			break;
		w->s.user->closed(&w->s, MT_CLOSE_RESET);
		gone(&w->s);
		break;
	case 5:
		if (!w)
			break;
		w->s.tx_queued = u8(in) % 2 ? w->s.tx_high : 0;
		if (!w->s.tx_queued && w->s.want_writable) {
			w->s.want_writable = false;
			w->s.user->writable(&w->s);
		}
		break;
	case 6:
		tell(r, in);
		break;
	case 7:
		datagram(r, in);
		break;
	case 8:
		mt_worker_turn(r->w, r->now += u8(in) * 20 * MT_MSEC, MT_SEC);
		break;
	default:
		fakes[0].pools = u8(in) % 2 ? fuzz_pools() : NULL;
	}
}

static void check(const struct rig *r)
{
	const struct mt_names *n = &r->w->names;

	MT_ASSERT(n_wires == n->conns.in_use && n_wires <= MT_NAMES_CONNS);
	for (uint32_t i = 0; i < CLIENTS; i++)
		MT_ASSERT(!wires[i] || wires[i]->s.rx.len < 2 + MT_DNS_QUERY_MAX ||
			  mt_stream_sendable(&wires[i]->s) == 0);
	MT_ASSERT(n_wires || mt_names_conn_next(r->w) == MT_NEVER);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader in = {data, size};
	struct rig *r = rig_begin();

	for (int i = 0; i < STEPS && in.left; i++) {
		step(r, &in);
		check(r);
	}
	rig_end(r);
	return 0;
}
