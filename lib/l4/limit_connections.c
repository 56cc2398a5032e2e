/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The number of a service's connections over all workers: one word that a flow changes when it
 * begins and when it ends, not a share of each worker, which would refuse connections while others
 * have places left. Packets of a flow do not touch it, and beyond the limit it is only read, so a
 * flood of SYNs does not pull its line from worker to worker.
 *
 * A flow counts (L4_COUNTED) until it is removed, a TCP flow until it rests. A client can send a
 * reset or FIN that its server does not accept, and use the connection further. So a FIN counts
 * with the number that the server expects (tcp.c). Of resets:
 * - An exact one (is_exact() in tcp.c) of the server gives the place back at once. It is known as
 *   exact before the server has sent data, and after its FIN was acknowledged.
 * - Any other one, also a genuine one of the server after data, gives the place back when both
 *   sides were silent for SILENT and the sweep finds the flow.
 *
 * A flow that goes on then counts again, even beyond the limit, because its ends never stopped. One
 * that moves to another endpoint keeps its place.
 */
#include "mt_l4_priv.h"

#define SILENT L4_TICKS(10 * MT_SEC)

static uint32_t *count_of(const struct mt_l4 *l, uint32_t service)
{
	return &l->limiting.shared->services[service].connections;
}

static uint32_t most(const struct mt_l4 *l, uint32_t service)
{
	const struct l4_limits *c = l->limits ? l->limits[service] : NULL;

	return c ? c->connections : 0;
}

bool l4_connection_begin(struct mt_l4 *l, struct rte_mbuf *m, uint32_t service)
{
	uint32_t max = most(l, service), n, *count;

	if (mt_likely(!max))
		return true;
	count = count_of(l, service);
	n = __atomic_load_n(count, __ATOMIC_RELAXED);
	do {
		if (n >= max) {
			mt_count(l->limiting.limited[service], MT_L4_SERVICE_CONNECTIONS);
			l4_drop(l, m, MT_L4_limit_service_connections);
			return false;
		}
	} while (!__atomic_compare_exchange_n(
		count, &n, n + 1, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
	return true;
}

void l4_connection_move(struct mt_l4 *l, uint32_t pair)
{
	struct l4_entry *e = &l->entries[2 * pair];

	if (mt_likely(!most(l, e->service & L4_SERVICE)))
		return;
	l4_connection_set(l, pair, true);
	/* Removing the flow must not give the place back. */
	e->service &= ~L4_COUNTED;
}

void l4_connection_made(struct mt_l4 *l, uint32_t service, uint32_t idx)
{
	if (mt_likely(!most(l, service)))
		return;
	if (idx == L4_NONE)
		__atomic_fetch_sub(count_of(l, service), 1, __ATOMIC_RELAXED);
	else
		l->entries[idx].service |= L4_COUNTED;
}

void l4_connection_set(struct mt_l4 *l, uint32_t pair, bool counts)
{
	struct l4_entry *e = &l->entries[2 * pair];
	uint32_t service = e->service & L4_SERVICE;

	if (mt_likely(counts == !!(e->service & L4_COUNTED)))
		return;
	if (!counts) {
		e->service &= ~L4_COUNTED;
		__atomic_fetch_sub(count_of(l, service), 1, __ATOMIC_RELAXED);
	} else if (most(l, service)) {
		e->service |= L4_COUNTED;
		__atomic_fetch_add(count_of(l, service), 1, __ATOMIC_RELAXED);
	}
}

/* True if the flow was reset, and its ends may still have the connection. */
static bool may_go_on(const struct mt_l4 *l, uint32_t pair)
{
	return !l->tcp[pair].over && l4_idle(l, pair) < SILENT;
}

static bool is_tcp(const struct l4_entry *e)
{
	return l4_key_proto(&e->key) == IPPROTO_TCP;
}

void l4_connection_adopt(struct mt_l4 *l, uint32_t pair)
{
	const struct l4_entry *e = &l->entries[2 * pair];
	uint8_t state = l->tcp[pair].state;
	bool counts = !is_tcp(e) || state < MT_L4_TIME_WAIT ||
		      (state == MT_L4_RESET && may_go_on(l, pair));

	if (counts && !(e->service & L4_ONE_WAY))
		l4_connection_set(l, pair, true);
}

void l4_connection_check(struct mt_l4 *l, uint32_t pair)
{
	const struct l4_entry *e = &l->entries[2 * pair];

	if (mt_likely(!(e->service & L4_COUNTED)) || !is_tcp(e))
		return;
	if (l->tcp[pair].state == MT_L4_RESET && !may_go_on(l, pair))
		l4_connection_set(l, pair, false);
}
