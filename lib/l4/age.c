/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ageing: a sweep over all pairs, a few in each loop iteration, so that each is checked at least
 * every PERIOD. After a change of services or of an endpoint's health the next sweep is faster. It
 * also ends flows of services and endpoints that are gone, and marks those of unhealthy endpoints.
 * A loop iteration checks at most MOST pairs, so that packets do not wait for it. If more are due,
 * the next one checks them, and the worker does not sleep before.
 */
#include "mt_l4_priv.h"

#include <string.h>

#define UNKEPT L4_TICKS(30 * MT_SEC)
#define KEPT   L4_TICKS(180 * MT_SEC)
#define REST   L4_TICKS(60 * MT_SEC) /* the server's TIME-WAIT */
/*
 * Of an established TCP flow of a one-way mode, as in IPVS. A forged client can make one as well,
 * and a segment after the end of its flow goes to the same endpoint again.
 */
#define ONE_WAY L4_TICKS(900 * MT_SEC)
#define PERIOD	(10 * MT_SEC)
#define HURRY	MT_SEC
#define MOST	256 /* pairs in one iteration */
#define OFTEN	MT_MSEC
#define BEHIND	(100 * MT_MSEC) /* a longer pause of the worker delays the sweep */

/*
 * Of TCP flows. An established one stays as long as RFC 5382 requires (REQ-5), so that keep-alives
 * of hosts (2 h) come in time. A handshake's retransmissions and those of a last FIN are less than
 * a minute apart at first; a later one makes a new flow, or is answered by a reset.
 */
static const uint32_t tcp_timeouts[MT_L4_STATES] = {
	[MT_L4_SYN_SENT] = L4_TICKS(60 * MT_SEC),
	[MT_L4_SYN_RECEIVED] = L4_TICKS(60 * MT_SEC),
	[MT_L4_ESTABLISHED] = L4_TICKS(7440 * MT_SEC),
	[MT_L4_HALF_CLOSED] = L4_TICKS(240 * MT_SEC),
	[MT_L4_CLOSING] = L4_TICKS(60 * MT_SEC),
	[MT_L4_TIME_WAIT] = L4_TICKS(2 * MT_SEC),
	[MT_L4_RESET] = L4_TICKS(10 * MT_SEC),
};

static bool is_at(const struct mt_l4_endpoint *e, const struct mt_addr *a, uint16_t port)
{
	return e->port == port && mt_addr_eq(&e->addr, a);
}

/* Index of the last endpoint that is not after this one, or of the first; there is at least one. */
static uint32_t place_of(const struct mt_l4_group *g, const struct mt_addr *a, uint16_t port)
{
	uint32_t lo = 0, hi = g->n_endpoints;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;
		const struct mt_l4_endpoint *e = &g->endpoints[mid];
		int cmp = memcmp(a, &e->addr, sizeof(*a));

		if (cmp < 0 || (cmp == 0 && port < e->port))
			hi = mid;
		else
			lo = mid;
	}
	return lo;
}

/*
 * Each flow comes here after a change of services, so the search begins with the place that the
 * last one of the same hash has found.
 */
static const struct mt_l4_endpoint *find_endpoint(
	const struct mt_l4 *l, const struct mt_l4_group *g, const struct mt_addr *a, uint16_t port)
{
	uint64_t h = (a->q[1] ^ port) * UINT64_C(0x9e3779b97f4a7c15);
	uint32_t *hint = &l->hints[h >> (64 - L4_HINT_BITS)];

	if (!g)
		return NULL;
	if (mt_unlikely(*hint >= g->n_endpoints || !is_at(&g->endpoints[*hint], a, port)))
		*hint = place_of(g, a, port);
	return is_at(&g->endpoints[*hint], a, port) ? &g->endpoints[*hint] : NULL;
}

const struct mt_l4_endpoint *l4_endpoint_now(
	const struct mt_l4 *l, uint32_t pair, const struct mt_l4_row **row)
{
	const struct l4_entry *e = &l->entries[2 * pair];
	const struct l4_key *in = &e[0].key, *back = &e[1].key;
	struct mt_addr client = l4_key_src(in), vip = l4_key_dst(in);
	struct mt_addr endpoint = l4_key_src(back);
	const struct mt_l4_row *r =
		l->set ? mt_l4_row(l->set, &vip, l4_key_dport(in), l4_key_proto(in)) : NULL;
	const struct mt_l4_endpoint *to;
	uint32_t rule;

	/* The id alone does not decide: the address, and the id, may be another service's now. */
	if (!r || r->service != (e[0].service & L4_SERVICE))
		return NULL;
	if (l4_may_begin(r, &client, &rule) != MT_L4_N_OUTCOMES)
		return NULL;
	/* The flow keeps its mode when the service gets another one. */
	*row = r;
	to = find_endpoint(l, r->group, &endpoint, l4_key_sport(back));
	return to && l4_is_let_through(to, &client) ? to : NULL;
}

/* Flows of one-way modes that had a second packet may do without being kept (oneway.c). */
static bool is_settled(const struct l4_entry *pair)
{
	return pair[0].service & L4_ONE_WAY && pair[1].service & L4_CONFIRMED;
}

uint32_t l4_timeout(const struct mt_l4 *l, uint32_t pair)
{
	const struct l4_entry *e = &l->entries[2 * pair];
	const struct l4_tcp *t = &l->tcp[pair];

	if (l4_key_proto(&e->key) != IPPROTO_TCP)
		return e[1].service & L4_KEPT || is_settled(e) ? KEPT : UNKEPT;
	if (t->state == MT_L4_TIME_WAIT && t->server_first)
		return REST;
	if (e->service & L4_ONE_WAY)
		return t->state == MT_L4_ESTABLISHED || t->state == MT_L4_RESET
			       ? ONE_WAY
			       : tcp_timeouts[t->state];
	return tcp_timeouts[l4_tcp_lasting(t)];
}

uint32_t l4_idle(const struct mt_l4 *l, uint32_t pair)
{
	const struct l4_entry *e = &l->entries[2 * pair];
	uint32_t idle = l->tick - e->seen;

	return e[1].service & L4_KEPT ? MT_MIN(idle, l->tick - e[1].seen) : idle;
}

bool l4_is_expired(const struct mt_l4 *l, uint32_t pair)
{
	return l4_idle(l, pair) >= l4_timeout(l, pair);
}

/* True until the handshake is complete, also after a reset. */
static bool is_half_open(const struct l4_tcp *t)
{
	uint8_t state = t->state == MT_L4_RESET ? t->before : t->state;

	return !t->open && (state == MT_L4_SYN_SENT || state == MT_L4_SYN_RECEIVED);
}

/* A forged packet makes such a flow, and would hold a port for half a minute or longer. */
uint32_t l4_port_idle(const struct mt_l4 *l, uint32_t pair)
{
	const struct l4_entry *e = &l->entries[2 * pair];
	const struct l4_tcp *t = &l->tcp[pair];
	uint32_t idle = l4_idle(l, pair);
	bool gives;

	if (!l4_key_is_tcp(&e->key))
		gives = !(e[1].service & L4_CONFIRMED);
	else
		gives = is_half_open(t) ||
			(t->state == MT_L4_RESET && idle >= tcp_timeouts[MT_L4_RESET]);
	return gives ? idle + 1 : 0;
}

void l4_take_port(struct mt_l4 *l, uint32_t pair)
{
	l4_count(l, MT_L4_ports_taken_over);
	l4_remove(l, pair);
}

void l4_expire(struct mt_l4 *l, uint32_t pair)
{
	bool tcp = l4_key_proto(&l->entries[2 * pair].key) == IPPROTO_TCP;
	bool closed = tcp && l->tcp[pair].state >= MT_L4_TIME_WAIT;

	l4_count(l, closed ? MT_L4_flows_closed : MT_L4_flows_expired);
	l4_remove(l, pair);
}

static bool check(struct mt_l4 *l, uint32_t pair)
{
	const struct l4_entry *e = &l->entries[2 * pair];

	if (!(e->service & L4_USED))
		return false;
	if (mt_unlikely(l->to_check)) {
		const struct mt_l4_row *row;
		const struct mt_l4_endpoint *to = l4_endpoint_now(l, pair, &row);

		if (!to) {
			l4_count(l, MT_L4_flows_ended);
			l4_remove(l, pair);
			return true;
		}
		l4_review(l, pair, to);
		l4_connection_adopt(l, pair);
	}
	l4_connection_check(l, pair);
	if (!l4_is_expired(l, pair))
		return false;
	l4_expire(l, pair);
	return true;
}

/* Time in which one pair is due. */
static uint64_t each(const struct mt_l4 *l)
{
	return (l->to_check ? HURRY : PERIOD) / MT_MAX(l->fresh, 1u) + 1;
}

/* Returns the number of pairs to check in this loop iteration; the others that are due stay so. */
static uint32_t take_due(struct mt_l4 *l)
{
	uint64_t step = each(l), due = (l->now - l->swept) / step;
	uint32_t n = (uint32_t)MT_MIN(due, (uint64_t)MT_MIN(MOST, l->fresh));

	l->swept += n * step;
	if (mt_unlikely(l->now - l->swept > MT_MAX(step, BEHIND)))
		l->swept = l->now - MT_MAX(step, BEHIND);
	return n;
}

uint32_t mt_l4_tick(struct mt_l4 *l)
{
	uint32_t removed = 0, n;

	l4_retry(l);
	l4_fragments_tick(l);
	l4_health_tick(l);
	if (mt_unlikely(l->n_dropped))
		l4_free_dropped(l);
	if (l->used == 0) {
		l->swept = l->now;
		l->to_check = 0;
		return 0;
	}
	n = take_due(l);
	for (uint32_t i = 0; i < n; i++) {
		const struct l4_entry *soon = &l->entries[2 * MT_MIN(l->at + 8, l->max - 1)];

		__builtin_prefetch(&soon[0]);
		__builtin_prefetch(&soon[1]);
		removed += check(l, l->at);
		l->at = l->at + 1 >= l->fresh ? 0 : l->at + 1;
		l->to_check -= l->to_check > 0;
	}
	return removed;
}

static uint64_t next_check(const struct mt_l4 *l)
{
	uint64_t due = l->swept + each(l);

	return due <= l->now ? l->now : MT_MAX(due, l->now + OFTEN);
}

uint64_t mt_l4_next(const struct mt_l4 *l)
{
	uint64_t next = MT_MIN(l4_fragments_next(l), l4_health_next(l));

	if (l->n_parked)
		next = MT_MIN(next, l->retried + L4_RETRY);
	if (l->used)
		next = MT_MIN(next, next_check(l));
	return next;
}
