/* SPDX-License-Identifier: Apache-2.0 */
#include "attack.h"

#include "cells.h"
#include "mt_tcp_priv.h"

#include <string.h>

#define PAYLOAD_MAX 600

/* One forged segment; numbers are in host order. */
struct forged {
	uint32_t seq, ack, tsval;
	uint16_t wnd, len;
	uint8_t flags, ecn;
	bool ts, bad_sum, bad_options;
};

struct aim {
	struct mt_tuple tuple;
	enum mt_tcp_state state;
	struct sim_view v;
};

/* ---- a victim's connection, by chance ---- */

static bool aim_conn(struct mt_tcp *t, uint32_t skip, struct aim *a)
{
	struct mt_tcp_conn *c, *last = NULL;
	uint32_t idx = 0;

	while ((c = mt_slab_next(&t->conns, &idx))) {
		if (!(c->flags & MT_CF_IN_TABLE))
			continue;
		last = c;
		if (!skip--)
			break;
	}
	if (!last)
		return false;
	a->tuple = last->tuple;
	a->state = (enum mt_tcp_state)last->state;
	sim_view_of(a->state, last, &a->v);
	return true;
}

static bool aim_record(struct mt_tcp *t, bool half, struct aim *a)
{
	uint32_t idx = 0;
	void *r = mt_slab_next(half ? &t->halves : &t->tws, &idx);

	if (!r)
		return false;
	if (!half && !t->tw_due[mt_slab_idx(&t->tws, r)])
		return false;
	a->tuple = half ? mt_tcp_tuple_of(&((struct mt_tcp_half *)r)->key)
			: mt_tcp_tuple_of(&((struct mt_tcp_tw *)r)->key);
	a->state = half ? MT_TCP_HALF_OPEN : MT_TCP_TIME_WAIT;
	sim_view_of(a->state, r, &a->v);
	return true;
}

static bool aim(struct mt_rand *r, struct own *o, struct aim *a)
{
	struct mt_tcp *t = o->w[sim_below(r, o->workers)].tcp;

	memset(a, 0, sizeof(*a));
	switch (sim_below(r, 8)) {
	case 0:
		return aim_record(t, true, a);
	case 1:
		return aim_record(t, false, a);
	default:
		/* Most are established: the others get a second chance. */
		return (aim_conn(t, sim_below(r, 8), a) && a->state != MT_TCP_ESTABLISHED) ||
		       aim_conn(t, sim_below(r, 8), a);
	}
}

/* ---- what it guesses ---- */

static uint32_t far(struct mt_rand *r)
{
	return 1 + sim_below(r, 1u << 30);
}

/* RFC 5961 §5: outside what can be on its way. */
static uint32_t bad_ack(struct mt_rand *r, const struct sim_view *v)
{
	return sim_one_in(r, 2) ? v->nxt + far(r) : v->una - v->oldest - far(r);
}

static void data(struct mt_rand *r, const struct aim *a, struct forged *g)
{
	const struct sim_view *v = &a->v;
	uint32_t wnd = v->edge - v->rcv;

	g->flags = SIM_ACK | (sim_one_in(r, 2) ? SIM_PSH : 0) | (sim_one_in(r, 4) ? SIM_FIN : 0);
	g->len = (uint16_t)sim_below(r, PAYLOAD_MAX);
	g->ack = bad_ack(r, v);
	switch (sim_below(r, 4)) {
	case 0: /* in order */
		break;
	case 1: /* somewhere in the window */
		g->seq = v->rcv + (wnd ? sim_below(r, wnd) : 0);
		break;
	case 2: /* old and new */
		g->seq = v->rcv - sim_below(r, 400);
		g->len = (uint16_t)(400 + sim_below(r, 200));
		break;
	default: /* right behind the window; this one may acknowledge as it likes, but make a handshake */
		g->seq = v->edge + far(r) % 65536;
		g->len++;
		if (a->state != MT_TCP_HALF_OPEN)
			g->ack = v->nxt;
	}
}

static void reset_or_syn(struct mt_rand *r, const struct aim *a, struct forged *g)
{
	const struct sim_view *v = &a->v;
	uint32_t wnd = v->edge - v->rcv;
	bool rst = sim_one_in(r, 2);

	g->flags = rst ? SIM_RST : SIM_SYN;
	/* A SYN alone could open at once with us, or, in TIME-WAIT, begin a new life (RFC 6191). */
	if (sim_one_in(r, 2) || a->state == MT_TCP_SYN_SENT || a->state == MT_TCP_TIME_WAIT)
		g->flags |= SIM_ACK;
	g->ack = bad_ack(r, v);
	/* Only a RST must not be exact. */
	if (wnd && sim_one_in(r, 2))
		g->seq = v->rcv + rst + sim_below(r, wnd);
	else
		g->seq = sim_one_in(r, 2) ? v->rcv - far(r) : v->edge + far(r);
}

/* Everything is right but one thing. */
static void spoilt(struct mt_rand *r, const struct sim_view *v, struct forged *g)
{
	g->flags = SIM_ACK;
	g->ack = v->nxt;
	g->len = (uint16_t)(1 + sim_below(r, PAYLOAD_MAX));
	switch (sim_below(r, 4)) {
	case 0:
		g->bad_sum = true;
		break;
	case 1:
		g->bad_options = true;
		break;
	case 2: /* an old timestamp, or none, if they were agreed on */
		g->ts = sim_one_in(r, 2);
		g->tsval = v->ts_recent - far(r);
		if (!v->ts)
			g->bad_sum = true;
		break;
	default: /* an ACK that is late but can be on its way: it must change nothing */
		g->ack = v->una - 1 - sim_below(r, 30000);
		g->len = 0;
	}
}

static void odd_flags(struct mt_rand *r, struct forged *g)
{
	static const uint8_t flags[] = {0, SIM_PSH, SIM_URG, SIM_FIN, SIM_FIN | SIM_PSH | SIM_URG,
		SIM_SYN | SIM_FIN, SIM_SYN | SIM_RST, SIM_SYN | SIM_FIN | SIM_ACK,
		SIM_SYN | SIM_RST | SIM_ACK, SIM_FIN | SIM_RST | SIM_SYN};

	g->flags = flags[sim_below(r, MT_ARRAY_LEN(flags))];
	g->len = (uint16_t)sim_below(r, 100);
}

static struct forged forge(struct mt_rand *r, const struct aim *a)
{
	const struct sim_view *v = &a->v;
	struct forged g = {.seq = v->rcv,
		.ack = v->nxt,
		.wnd = (uint16_t)mt_rand_u64(r),
		.ts = v->ts || sim_one_in(r, 4),
		.tsval = v->ts_recent};

	if (v->ts && sim_one_in(r, 4))
		g.ts = false;
	else if (sim_one_in(r, 2))
		g.tsval += far(r);
	switch (sim_below(r, 8)) {
	case 0:
	case 1:
	case 2:
		data(r, a, &g);
		break;
	case 3:
	case 4:
	case 5:
		reset_or_syn(r, a, &g);
		break;
	case 6:
		g.ts = v->ts;
		g.tsval = v->ts_recent;
		spoilt(r, v, &g);
		break;
	default:
		odd_flags(r, &g);
	}
	if (sim_one_in(r, 4)) {
		g.flags |= sim_one_in(r, 2) ? SIM_ECE : SIM_CWR;
		g.ecn = (uint8_t)sim_below(r, 4);
	}
	return g;
}

/* ---- on the wire ---- */

static uint32_t options(const struct forged *g, uint8_t *o)
{
	if (g->bad_options) {
		memcpy(o, "\x08\x0b\x00\x00", 4); /* longer than the header */
		return 4;
	}
	if (!g->ts)
		return 0;
	memcpy(o, "\x01\x01\x08\x0a", 4);
	sim_put32(o + 4, g->tsval);
	sim_put32(o + 8, 0);
	return 12;
}

/* From `from` to `to`; the payload is nothing that anybody sends. */
static struct sim_frame *segment(const struct mt_tuple *t, const struct forged *g)
{
	struct sim_frame *f = sim_frame_new();
	bool is4 = mt_addr_is4(&t->local);
	uint8_t *ip = f->data + 14, *h = ip + (is4 ? 20 : 40);
	uint32_t opt;
	uint16_t len;
	struct sim_pkt p;

	memset(f->data, 0, 14 + 40 + 20);
	memcpy(f->data + 6, (uint8_t[]){2, 0, 0, 0, 0, 250}, 6);
	sim_put16(f->data + 12, is4 ? 0x0800 : 0x86dd);
	opt = options(g, h + 20);
	sim_put16(h, t->rport);
	sim_put16(h + 2, t->lport);
	sim_put32(h + 4, g->seq);
	sim_put32(h + 8, g->ack);
	h[12] = (uint8_t)((20 + opt) << 2);
	h[13] = g->flags;
	sim_put16(h + 14, g->wnd);
	memset(h + 20 + opt, 0xee, g->len);
	len = (uint16_t)(20 + opt + g->len);
	ip[0] = is4 ? 0x45 : 0x60;
	ip[1] = is4 ? g->ecn : (uint8_t)(g->ecn << 4);
	if (is4) {
		sim_put16(ip + 2, (uint16_t)(20 + len));
		ip[8] = 60;
		ip[9] = 6;
		memcpy(ip + 12, &t->remote.w[3], 4);
		memcpy(ip + 16, &t->local.w[3], 4);
	} else {
		sim_put16(ip + 4, len);
		ip[6] = 6;
		ip[7] = 60;
		memcpy(ip + 8, t->remote.b, 16);
		memcpy(ip + 24, t->local.b, 16);
	}
	f->len = (uint16_t)(14 + (is4 ? 20 : 40) + len);
	f->hurt = true;
	if (sim_parse(f->data, f->len, &p))
		sim_fix_cksums(&p);
	if (g->bad_sum)
		h[16] ^= 0x55;
	return f;
}

/*
 * An ICMP error about a segment of the victim's. One that names what is outstanding is advice that may
 * shorten segments; it may end an attempt to connect too, so that is not guessed right here.
 */
static struct sim_frame *icmp(struct mt_rand *r, const struct aim *a)
{
	static const uint16_t mtus[] = {0, 68, 296, 552, 576, 1280, 1400, 1500, 9000};
	enum sim_icmp kind = (enum sim_icmp)sim_below(r, 3);
	uint32_t flight = a->v.nxt - a->v.una;
	struct forged g = {.flags = SIM_ACK, .seq = a->v.nxt + far(r)};
	struct mt_tuple back = {.local = a->tuple.remote,
		.remote = a->tuple.local,
		.lport = a->tuple.rport,
		.rport = a->tuple.lport};
	struct sim_frame *quoted, *f;
	struct sim_pkt p;

	if (flight && a->state != MT_TCP_SYN_SENT && sim_one_in(r, 2))
		g.seq = a->v.una + sim_below(r, flight);
	quoted = segment(&back, &g);
	sim_parse(quoted->data, quoted->len, &p);
	f = sim_icmp_error(&p, kind, mtus[sim_below(r, MT_ARRAY_LEN(mtus))]);
	sim_frame_free(quoted);
	return f;
}

/* A SYN of a stranger for the listener, or a segment for nobody. */
static struct sim_frame *stranger(struct mt_rand *r, struct own *o, struct mt_tuple *t)
{
	static const uint8_t flags[] = {SIM_SYN, SIM_SYN, SIM_ACK, SIM_RST, SIM_SYN | SIM_ACK,
		SIM_FIN | SIM_ACK, SIM_FIN, 0, SIM_RST | SIM_ACK, SIM_SYN | SIM_ECE | SIM_CWR};
	struct forged g = {.seq = (uint32_t)mt_rand_u64(r),
		.ack = (uint32_t)mt_rand_u64(r),
		.wnd = 1000,
		.len = (uint16_t)(sim_one_in(r, 2) ? 0 : sim_below(r, PAYLOAD_MAX)),
		.flags = flags[sim_below(r, MT_ARRAY_LEN(flags))]};
	bool is4 = sim_one_in(r, 2);

	*t = (struct mt_tuple){.local = is4 ? o->host.addr4 : o->host.addr6,
		.lport = sim_one_in(r, 4) ? (uint16_t)(1 + sim_below(r, 60000)) : o->listen[0].port,
		.rport = (uint16_t)(1 + sim_below(r, 65000))};
	t->remote = t->local;
	t->remote.b[15] = (uint8_t)(100 + sim_below(r, 100));
	return segment(t, &g);
}

static void shoot(struct sim *s, void *arg, uint64_t n)
{
	struct attack *at = arg;
	struct mt_rand *r = &s->net_rand;
	struct own *o = at->victim[sim_below(r, at->victims)];
	struct sim_frame *f = NULL;
	struct forged g;
	struct aim a;

	if (!at->left-- || stream_done(s, at->set))
		return;
	if (sim_one_in(r, 12)) {
		f = stranger(r, o, &a.tuple);
	} else if (aim(r, o, &a)) {
		g = forge(r, &a);
		f = sim_one_in(r, 8) ? icmp(r, &a) : segment(&a.tuple, &g);
	}
	if (f) {
		memcpy(f->data, o->port.nic.mac, 6);
		sim_count_fault(s, SIM_F_BLIND);
		sim_port_inject(&o->port, &a.tuple, f);
	}
	sim_at(s, s->now + sim_between(r, at->pace / 2, at->pace), shoot, at, 0);
}

void attack_start(struct attack *a, struct sim *s, struct stream_set *set)
{
	a->sim = s;
	a->set = set;
	a->left = (uint32_t)sim_between(&s->plan, 100, 1500);
	a->pace = sim_between(&s->plan, 20, 10000) * MT_USEC;
	sim_at(s, s->now + a->pace, shoot, a, 0);
}
