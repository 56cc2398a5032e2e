/* SPDX-License-Identifier: Apache-2.0 */
/* Creation of the node's and the workers' parts, and the start of a loop iteration. */
#include "mt_net_priv.h"

#include <string.h>

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "net_outcomes.def"
#undef MT_OUTCOME
};

const struct mt_outcome_set mt_net_outcomes = {"net", rows, MT_ARRAY_LEN(rows)};

/*
 * Limits on what outsiders can make a worker send: echo replies, ICMP errors, and resets for
 * segments of forwarded ports, per second and per burst. A reset is not longer than the segment
 * that it answers, and after a restart each connection needs one. A burst leaves half of the queue
 * to others.
 */
#define ECHO_PER_SEC  1000
#define ECHO_BURST    200
#define ERROR_PER_SEC 100
#define ERROR_BURST   20
#define RESET_PER_SEC 10000
#define RESET_BURST   (NET_TXQ_OTHER / 2)

#define TX_AGAIN (10 * MT_USEC)

struct mt_net *mt_net_create(struct mt_port *const *ports, uint16_t n_ports, uint16_t workers,
	const struct mt_steer *steer)
{
	static const struct mt_net_conf empty;
	struct mt_net *net;

	MT_ASSERT(n_ports <= MT_PORTS_MAX && workers > 0 && workers <= MT_WORKERS_MAX);
	MT_ASSERT(workers == 1 || (steer && steer->workers == workers));
	net_sum_choose();
	net = aligned_alloc(MT_CACHE_LINE, sizeof(*net));
	if (!net)
		return NULL;
	memset(net, 0, sizeof(*net));
	for (uint16_t i = 0; i < n_ports; i++)
		net->ports[i] = ports[i];
	net->n_ports = n_ports;
	net->workers = workers;
	net->steer = steer;
	atomic_store(&net->dst_gen, 1);
	net->neigh = aligned_alloc(MT_CACHE_LINE, NET_NEIGH_MAX * sizeof(*net->neigh));
	if (net->neigh)
		memset(net->neigh, 0, NET_NEIGH_MAX * sizeof(*net->neigh));
	if (!net->neigh || mt_net_configure(net, &empty, NULL, &(struct mt_err){{0}}) ||
		mt_net_set_vips(net, NULL, 0, NULL)) {
		mt_net_destroy(net);
		return NULL;
	}
	return net;
}

void mt_net_key(struct mt_net *net, const uint64_t key[2])
{
	memcpy(net->key, key, sizeof(net->key));
}

void mt_net_destroy(struct mt_net *net)
{
	net_table_free(atomic_load(&net->table));
	net_served_free(atomic_load(&net->served));
	free(net->neigh);
	free(net);
}

struct mt_netw *mt_netw_create(struct mt_net *net, uint16_t worker, struct mt_pools *pools,
	const struct mt_net_events *events, void *events_arg, uint64_t seed)
{
	size_t size = RTE_ALIGN_CEIL(sizeof(struct mt_netw), MT_CACHE_LINE);
	struct mt_netw *w = aligned_alloc(MT_CACHE_LINE, size), *none = NULL;

	MT_ASSERT(worker < net->workers);
	if (!w)
		return NULL;
	memset(w, 0, size);
	w->net = net;
	w->worker = worker;
	w->pools = pools;
	w->echo_limit = (struct net_limit){0, ECHO_BURST, ECHO_BURST, ECHO_PER_SEC};
	w->error_limit = (struct net_limit){0, ERROR_BURST, ERROR_BURST, ERROR_PER_SEC};
	w->forward_limit = w->error_limit;
	w->reset_limit = (struct net_limit){0, RESET_BURST, RESET_BURST, RESET_PER_SEC};
	w->too_big_limit = w->echo_limit;
	w->pass_limit = w->echo_limit;
	w->stray_limit = w->echo_limit;
	mt_rand_seed(&w->rand, seed);
	mt_netw_set_events(w, events, events_arg);
	w->wait = calloc(NET_NEIGH_MAX, sizeof(*w->wait));
	w->wait_spare = calloc(NET_NEIGH_MAX, sizeof(*w->wait));
	if (worker == NET_OWNER)
		w->owner = net_owner_create();
	if (!w->wait || !w->wait_spare || (worker == NET_OWNER && !w->owner)) {
		mt_netw_destroy(w);
		return NULL;
	}
	mt_net_begin(w, 0);
	atomic_compare_exchange_strong(&net->workers_part[worker], &none, w);
	return w;
}

void mt_netw_take_over(struct mt_netw *w)
{
	atomic_store(&w->net->workers_part[w->worker], w);
}

void mt_netw_set_events(struct mt_netw *w, const struct mt_net_events *events, void *events_arg)
{
	w->events = events;
	w->events_arg = events_arg;
}

void mt_netw_destroy(struct mt_netw *w)
{
	struct mt_netw *me = w;

	/*
	 * Clear the registration only if it is this part: another one may have taken over, or this
	 * one never did (mt_netw_take_over()).
	 */
	atomic_compare_exchange_strong(&w->net->workers_part[w->worker], &me, NULL);
	for (uint16_t p = 0; p < w->net->n_ports; p++)
		net_txq_drop(&w->tx[p]);
	free(w->wait);
	free(w->wait_spare);
	free(w->owner);
	free(w);
}

uint64_t *mt_net_counters(struct mt_netw *w)
{
	return w->counters;
}

/*
 * The generation of destinations is the node's plus this worker's own: both only grow, so the sum
 * changes whenever one of them does.
 */
void mt_net_begin(struct mt_netw *w, uint64_t now)
{
	w->now = now;
	w->gen = atomic_load_explicit(&w->net->dst_gen, memory_order_acquire) + w->pmtu_gen;
	/*
	 * Read conf_gen first, so that the tables are at least as new as the generation marked as
	 * announced.
	 */
	w->conf = atomic_load_explicit(&w->net->conf_gen, memory_order_acquire);
	w->table = atomic_load_explicit(&w->net->table, memory_order_acquire);
	w->served = atomic_load_explicit(&w->net->served, memory_order_acquire);
	w->vips = &w->served->vips;
	w->own_forward = w->served->nat.n ? NET_FORWARD_NAT : 0;
	w->has_servers = w->served->servers.n > 0;
}

void mt_net_tick(struct mt_netw *w)
{
	if (w->owner)
		net_owner_tick(w);
	net_neigh_events(w);
	net_pmtu_tick(w);
}

bool mt_net_is_local(const struct mt_netw *w, const struct mt_addr *a)
{
	return net_set_find(w->vips, a) || net_set_find(&w->table->own, a);
}

bool net_to_us(const struct mt_netw *w, struct net_rx *rx)
{
	const struct net_addr *vip = net_set_find(w->vips, &rx->dst);

	rx->forward = vip ? vip->forward : w->own_forward;
	return vip || net_set_find(&w->table->own, &rx->dst);
}

const struct mt_port_caps *mt_net_caps(const struct mt_netw *w, const struct mt_net_dst *dst)
{
	return &w->net->ports[dst->port]->caps;
}

uint64_t mt_net_next(const struct mt_netw *w)
{
	uint64_t next = MT_NEVER;

	/* Offer a full port its queue again a little later, not at the same instant. */
	for (uint16_t p = 0; p < w->net->n_ports; p++)
		if (!net_txq_empty(&w->tx[p]))
			next = w->now + TX_AGAIN;
	if (w->n_wait &&
		atomic_load_explicit(&w->net->neigh_done, memory_order_acquire) != w->done_seen)
		next = MT_MIN(next, MT_MAX(w->now, w->look_at));
	if (w->n_pmtu)
		next = MT_MIN(next, w->pmtu_check);
	return w->owner ? MT_MIN(next, net_owner_next(w)) : next;
}
