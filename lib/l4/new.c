/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first packet of a flow: its row, its endpoint, and a source for which replies arrive at this
 * worker and belong to no other flow.
 */
#include "mt_l4_priv.h"

#include <string.h>

/*
 * A flow of nat-full searches SEARCHES times for a port, each time from a random one on. All but
 * its first search come from a bucket: SEARCHES_TICK a tick, SEARCHES_BURST at most. A flood of
 * SYNs while all ports are in use would otherwise look at 128 places for each.
 */
#define SEARCHES       4
#define SEARCHES_TICK  8u
#define SEARCHES_BURST 1024u

/* No secret, and bytes in network order. */
uint64_t l4_choice_hash(const struct l4_key *k, bool by_source)
{
	struct mt_addr ends[2] = {l4_key_src(k), l4_key_dst(k)};
	uint64_t h = mt_balance_hash(ends, by_source ? sizeof(ends[0]) : sizeof(ends), 0);
	uint64_t ports = rte_cpu_to_le_64(k->q[4]);

	return by_source ? h : mt_balance_hash(&ports, sizeof(ports), h);
}

/* A source that is wanted; lib/steer knows no protocol. */
struct wish {
	struct mt_l4 *l;
	uint8_t proto;
	uint32_t leaves; /* l4_pkt.leaves: that flow gives its source to the new one */
	/*
	 * Of the flows in the way, the one that had no packet for longest among those that give
	 * their ports, and its source. `idle`: l4_port_idle(); 0: none gives its port.
	 */
	uint32_t pair, idle;
	struct mt_tuple source;
};

/* True if replies to this source belong to another flow. One that is over is removed. */
static bool taken(void *arg, const struct mt_tuple *t)
{
	struct wish *w = arg;
	struct l4_key k = l4_make_key(&t->remote, t->rport, &t->local, t->lport, w->proto);
	uint32_t idx = l4_find(w->l, &k, l4_hash(w->l, &k)), idle;

	if (idx == L4_NONE || idx / 2 + 1 == w->leaves)
		return false;
	if (l4_is_expired(w->l, idx / 2)) {
		l4_expire(w->l, idx / 2);
		return false;
	}
	idle = l4_port_idle(w->l, idx / 2);
	if (idle > w->idle) {
		w->idle = idle;
		w->pair = idx / 2;
		w->source = *t;
	}
	return true;
}

static bool find_port(struct wish *w, struct mt_tuple *t, uint16_t lo, uint16_t hi)
{
	struct mt_l4 *l = w->l;

	t->lport = (uint16_t)(lo + mt_rand_below(&l->rand, (uint32_t)hi - lo + 1));
	return mt_steer_source_port(l->steer, l->worker, t, lo, hi, taken, w) == 0;
}

/* The client's own address, and its port if possible. */
static bool keep_source(struct wish *w, struct mt_tuple *t)
{
	if (mt_steer_owner(w->l->steer, t) == w->l->worker && !taken(w, t))
		return true;
	return find_port(w, t, L4_PORTS_LO, L4_PORTS_HI);
}

/* True if the worker may search once more for this flow. */
static bool may_search(struct mt_l4 *l)
{
	uint32_t passed = MT_MIN(l->tick - l->search_tick, SEARCHES_BURST);

	l->search_tick = l->tick;
	l->searches = MT_MIN(l->searches + passed * SEARCHES_TICK, SEARCHES_BURST);
	if (l->searches == 0)
		return false;
	l->searches--;
	return true;
}

static bool nat_source(struct wish *w, struct mt_tuple *t)
{
	struct mt_l4 *l = w->l;
	bool is4 = mt_addr_is4(&t->remote);
	const struct mt_addr *nat = is4 ? l->set->nat4 : l->set->nat6;
	uint32_t n = is4 ? l->set->n_nat4 : l->set->n_nat6;
	uint32_t at = n ? mt_rand_below(&l->rand, n) : 0;

	for (uint32_t i = 0; n && i < SEARCHES && (i == 0 || may_search(l)); i++) {
		t->local = nat[(at + i) % n];
		if (find_port(w, t, l->set->nat_lo, l->set->nat_hi))
			return true;
	}
	return false;
}

/*
 * A free source, or that of w->pair, if w->idle is not 0. Some ports are tried at random, so of a
 * flood's flows nearly the oldest is found. An endpoint that still answers the forged SYN of such a
 * flow delays the connection by a second: its client resets that handshake, and repeats the SYN.
 */
static bool find_source(struct wish *w, enum mt_l4_mode mode, struct mt_tuple *t)
{
	if (mode == MT_L4_NAT ? keep_source(w, t) : nat_source(w, t)) {
		w->idle = 0;
		return true;
	}
	*t = w->source;
	return w->idle != 0;
}

mt_noinline void l4_refuse(struct mt_l4 *l, struct rte_mbuf *m, enum mt_l4_outcome why,
	enum mt_net_error error, uint16_t mtu)
{
	bool reset = error == MT_NET_ERROR_PORT || error == MT_NET_ERROR_ADMIN;

	l4_count(l, why);
	/* Errors are about first fragments only (RFC 1122 §3.2.2). */
	if (mt_unlikely(l4_is_later_fragment(m))) {
		l4_free(l, m);
	} else if (reset && l4_has_tcp(m)) {
		mt_net_forward_reset(l->net, m);
		l4_free(l, m);
	} else {
		mt_net_forward_error(l->net, m, error, mtu);
	}
}

void l4_refuse_ttl(struct mt_l4 *l, struct rte_mbuf *m, uint32_t service)
{
	mt_count(&l->stats[service].ttl_exceeded, 0);
	l4_refuse(l, m, MT_L4_ttl_exceeded, MT_NET_ERROR_TIME, 0);
}

/* Counts and frees; a TCP segment is answered by a reset. */
static void reject(struct mt_l4 *l, const struct l4_pkt *p, enum mt_l4_outcome why)
{
	if (l4_key_is_tcp(&p->key))
		l4_refuse(l, p->m, why, MT_NET_ERROR_PORT, 0);
	else
		l4_drop(l, p->m, why);
}

/* A packet for no service: a reply without a flow, or one that arrived after a change. */
static void no_row(struct mt_l4 *l, struct l4_pkt *p, const struct mt_addr *dst)
{
	if (!mt_net_is_local(l->net, dst))
		mt_net_not_forwarded(l->net, p->m);
	else if (mt_unlikely(l4_is_fragment(p->m)))
		mt_net_refuse_fragment(l->net, p->m);
	else if (l->set && mt_l4_addr_bits(l->set, dst) & MT_L4_ADDR_NAT)
		reject(l, p, MT_L4_no_flow);
	else
		reject(l, p, MT_L4_no_row);
}

static void no_endpoint(struct mt_l4 *l, struct l4_pkt *p, const struct mt_l4_row *r)
{
	mt_count(&l->stats[r->service].no_endpoint, 0);
	l4_refuse(l, p->m, MT_L4_no_endpoint, MT_NET_ERROR_PORT, 0);
}

/* True if the client may begin a flow there; otherwise the packet was answered or dropped. */
static bool admit(struct mt_l4 *l, struct l4_pkt *p, const struct mt_l4_row *r)
{
	struct mt_addr client = l4_key_src(&p->key);
	uint32_t rule;
	enum mt_l4_outcome why = l4_may_begin(r, &client, &rule);

	/* A packet that waits was counted when it arrived. */
	if (rule && (why != MT_L4_N_OUTCOMES || !l->park_until))
		mt_count(l->rules, rule - 1);
	if (mt_likely(why == MT_L4_N_OUTCOMES))
		return true;
	if (why == MT_L4_closed_by_policy) {
		mt_count(&l->stats[r->service].closed, 0);
		reject(l, p, why);
	} else {
		mt_count(&l->stats[r->service].denied, 0);
		l4_drop(l, p->m, why);
	}
	return false;
}

/* The row of the packet, if a new flow may be made there; NULL: it was answered or dropped. */
static const struct mt_l4_row *open_row(struct mt_l4 *l, struct l4_pkt *p)
{
	struct mt_addr dst = l4_key_dst(&p->key);
	const struct mt_l4_row *r =
		l->set ? mt_l4_row(l->set, &dst, l4_key_dport(&p->key), l4_key_proto(&p->key))
		       : NULL;

	if (!r) {
		no_row(l, p, &dst);
		return NULL;
	}
	if (!admit(l, p, r))
		return NULL;
	if (l4_key_is_tcp(&p->key) && !p->opens && !mt_l4_is_one_way(r->mode)) {
		reject(l, p, MT_L4_no_connection);
		return NULL;
	}
	if (!r->group) {
		no_endpoint(l, p, r);
		return NULL;
	}
	if (l4_hops_left(p->m) <= 1) {
		l4_refuse_ttl(l, p->m, r->service);
		return NULL;
	}
	return r;
}

/* An endpoint, and what is counted if the packet makes a flow with it. */
struct choice {
	const struct mt_l4_endpoint *to;
	enum mt_l4_outcome counts; /* MT_L4_N_OUTCOMES: nothing */
};

static struct choice choose(const struct l4_pkt *p, const struct mt_l4_group *g, uint64_t now)
{
	uint64_t hash = l4_choice_hash(&p->key, g->by_source);
	struct choice c = {&g->endpoints[l4_slot(g, hash)], MT_L4_N_OUTCOMES};
	const struct mt_l4_endpoint *slot = c.to;

	/* The rest of a connection (in one-way modes) stays where it began, if it lives there. */
	if (l4_key_is_tcp(&p->key) && !p->opens) {
		c.to = &g->endpoints[l4_slot_of_rest(g, hash, now)];
		return c;
	}
	c.to = &g->endpoints[mt_l4_choose(g, hash)];
	if (mt_unlikely(c.to != slot))
		c.counts = MT_L4_flows_moved;
	else if (mt_unlikely(l4_is_unhealthy(c.to)))
		c.counts = MT_L4_flows_unhealthy;
	return c;
}

/* A denial is final: no other endpoint is tried. */
static bool may_reach(struct mt_l4 *l, struct l4_pkt *p, const struct mt_l4_row *r,
	const struct mt_l4_endpoint *to)
{
	struct mt_addr client;

	if (mt_likely(!to->clients))
		return true;
	client = l4_key_src(&p->key);
	if (l4_is_let_through(to, &client))
		return true;
	mt_count(&l->stats[r->service].policy_denied, 0);
	reject(l, p, MT_L4_policy_denied);
	return false;
}

/* Makes the flow of a mode with replies. */
static uint32_t make(struct mt_l4 *l, struct l4_pkt *p, const struct mt_l4_row *r,
	const struct mt_l4_endpoint *to)
{
	const struct l4_way way = {(enum mt_l4_mode)r->mode, to->addr, &p->key, r->service};
	struct wish w = {.l = l, .proto = l4_key_proto(&p->key), .leaves = p->leaves};
	struct mt_net_dst dst = {0};
	struct mt_tuple t;
	struct l4_key back;
	uint32_t idx;

	if (!l4_reaches(l, p->m, &way, &dst))
		return L4_NONE;
	t = (struct mt_tuple){.local = l4_key_src(&p->key),
		.remote = to->addr,
		.lport = l4_key_sport(&p->key),
		.rport = to->port};
	if (!find_source(&w, (enum mt_l4_mode)r->mode, &t)) {
		mt_count(&l->stats[r->service].no_nat_port, 0);
		l4_refuse(l, p->m, MT_L4_no_nat_port, MT_NET_ERROR_ADMIN, 0);
		return L4_NONE;
	}
	back = l4_make_key(&t.remote, t.rport, &t.local, t.lport, w.proto);
	if (mt_unlikely(p->leaves)) {
		l4_connection_move(l, p->leaves - 1);
		l4_left(l, p->leaves - 1);
	} else if (!l4_connection_begin(l, p->m, r->service)) {
		return L4_NONE;
	}
	if (w.idle)
		l4_take_port(l, w.pair);
	idx = l4_add(l, &p->key, &back, r->service);
	l4_connection_made(l, r->service, idx);
	if (idx == L4_NONE) {
		l4_lose(l, p->m, MT_L4_table_full, r->service);
		return L4_NONE;
	}
	if (l4_key_is_tcp(&p->key))
		l4_tcp_open(l, idx / 2, p->m, to->index);
	(void)l4_set_hop(l, idx, &dst);
	return idx;
}

/*
 * A packet that cannot be sent makes no flow: it would take the place of another one. Apart from
 * l4_new(), so that packets of a flood that have no row do not pay for its frame.
 */
static mt_noinline uint32_t begin(struct mt_l4 *l, struct l4_pkt *p, const struct mt_l4_row *r)
{
	struct choice c = choose(p, r->group, l->now);
	uint32_t idx;

	if (mt_unlikely(!c.to->port)) {
		no_endpoint(l, p, r);
		return L4_NONE;
	}
	if (!may_reach(l, p, r, c.to))
		return L4_NONE;
	/* A segment of TCP without a SYN is the rest of a connection that began elsewhere. */
	if (!l4_limit_new(l, p, r->service, p->leaves || (l4_key_is_tcp(&p->key) && !p->opens)))
		return L4_NONE;
	idx = mt_l4_is_one_way(r->mode) ? l4_one_way_new(l, p, r, c.to) : make(l, p, r, c.to);
	if (idx != L4_NONE && mt_unlikely(c.counts != MT_L4_N_OUTCOMES))
		l4_count(l, c.counts);
	return idx;
}

uint32_t l4_new(struct mt_l4 *l, struct l4_pkt *p)
{
	const struct mt_l4_row *r = open_row(l, p);

	return r ? begin(l, p, r) : L4_NONE;
}
