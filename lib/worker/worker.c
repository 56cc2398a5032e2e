/* SPDX-License-Identifier: Apache-2.0 */
/* Creates a worker and connects its libraries. */
#include "mt_worker_guests.h"
#include "mt_worker_priv.h"

#include <string.h>

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "worker_outcomes.def"
#undef MT_OUTCOME
};

const struct mt_outcome_set mt_worker_outcomes = {"worker", rows, MT_ARRAY_LEN(rows)};

const char *const mt_worker_stage_names[MT_N_STAGES] = {
	[MT_STAGE_RECEIVE] = "receive",
	[MT_STAGE_HANDED] = "handoff",
	[MT_STAGE_EVENTS] = "events",
	[MT_STAGE_SEND] = "send",
	[MT_STAGE_HOUSE] = "housekeeping",
};

static void on_neigh(void *arg, uint32_t neigh, bool ok)
{
	mt_tcp_neigh_event(((struct mt_worker *)arg)->tcp, neigh, ok);
}

static void on_icmp(
	void *arg, const struct mt_tuple *t, uint32_t seq, enum mt_net_icmp kind, uint16_t mtu)
{
	mt_tcp_icmp_event(((struct mt_worker *)arg)->tcp, t, seq, kind, mtu);
}

static void on_echo(void *arg, const struct mt_net_echo *e)
{
	struct mt_worker *w = arg;

	if (w->l4)
		mt_l4_echo(w->l4, e);
}

static const struct mt_net_events net_events = {
	.neigh = on_neigh, .icmp = on_icmp, .echo = on_echo};

static bool list_queues(struct mt_worker *w, const struct mt_worker_conf *c)
{
	uint32_t n = 0;

	for (uint16_t i = 0; i < c->n_ports; i++)
		n += c->ports[i]->n_rxq;
	w->polled = calloc(n ? n : 1, sizeof(*w->polled));
	if (!w->polled)
		return false;
	for (uint16_t i = 0; i < c->n_ports; i++)
		for (uint16_t q = 0; q < c->ports[i]->n_rxq; q++)
			if (mt_port_polls(c->ports[i], c->index, c->workers, q))
				w->polled[w->n_polled++] = (struct mt_polled){c->ports[i], q};
	for (uint16_t i = 0; i < w->n_polled; i++)
		w->spreads |= c->workers > 1 && !w->polled[i].port->caps.rss;
	w->spreads |= c->workers > 1 && c->guests;
	return true;
}

/* Size of the first records of a connection, which are one segment each. */
#define TLS_SEGMENT 1400

static bool make_tls(struct mt_worker *w, const struct mt_worker_conf *c)
{
	struct mt_tls_layer_conf conf = {.pools = c->pools,
		.aead = c->tls.aead,
		.lower = mt_tcp_transport(w->tcp),
		.hands = &mt_tls_lane_hands,
		.hands_arg = c->tls.lane,
		.streams = c->tls.streams,
		.mss = TLS_SEGMENT};

	memcpy(conf.secret, c->secret, sizeof(conf.secret));
	if (mt_tls_layer_init(&w->tls, &conf, c->now))
		return false;
	w->tls_lane = w->idle.lane = c->tls.lane;
	mt_proxy_attach_tls(w->proxy, &w->tls);
	return true;
}

static bool make_l4(struct mt_worker *w, const struct mt_worker_conf *c)
{
	struct mt_l4_worker_conf conf = {.worker = c->index,
		.steer = c->steer,
		.net = w->net,
		.flows = c->flows,
		.seed = c->seed ^ UINT64_C(0x6c34),
		.health = c->health,
		.limiter = c->limiter,
		.checks = &mt_checks_ops,
		.checks_arg = w};

	memcpy(conf.secret, c->secret, sizeof(conf.secret));
	w->l4 = mt_l4_create(&conf);
	return w->l4 != NULL;
}

static bool make_rooms(struct mt_worker *w, const struct mt_worker_conf *c)
{
	bool names = c->names.lane != NULL;

	w->net = mt_netw_create(c->net, c->index, c->pools, NULL, NULL, c->seed);
	w->proxy = mt_proxy_create(
		c->proxy, c->index, c->workers, c->pools, c->seed ^ UINT64_C(0x70726f7879), c->now);
	if (!w->net || !w->proxy || (c->flows && !make_l4(w, c)))
		return false;
	w->tcp = mt_tcp_create(c->tcp, c->index, c->steer, w->net, c->pools,
		names ? &mt_names_listen_ops : &mt_proxy_listen_ops, names ? (void *)w : w->proxy,
		c->secret, c->seed ^ UINT64_C(0x746370), c->now);
	if (!w->tcp || !mt_names_init(w, c))
		return false;
	mt_netw_set_events(w->net, &net_events, w);
	mt_proxy_attach(w->proxy, mt_tcp_transport(w->tcp));
	mt_proxy_attach_ledger(w->proxy, mt_tcp_ledger(w->tcp));
	w->idle.inbox = mt_proxy_inbox(w->proxy);
	if (c->asks)
		mt_proxy_attach_asks(w->proxy, c->asks);
	if (c->limits && mt_proxy_attach_limits(w->proxy, c->limits, c->grants))
		return false;
	if (c->log)
		mt_proxy_attach_log(w->proxy, c->log);
	if (c->tokens && mt_proxy_attach_tokens(w->proxy, c->tokens))
		return false;
	return !c->tls.lane || make_tls(w, c);
}

struct mt_worker *mt_worker_create(const struct mt_worker_conf *c)
{
	size_t size = (sizeof(struct mt_worker) + MT_CACHE_LINE - 1) & ~(size_t)(MT_CACHE_LINE - 1);
	struct mt_worker *w = aligned_alloc(MT_CACHE_LINE, size);

	if (!w)
		return NULL;
	memset(w, 0, size);
	w->index = c->index;
	w->workers = c->workers;
	w->steer = c->steer;
	w->pools = c->pools;
	w->current = c->current;
	w->qsbr = c->qsbr;
	w->clock = c->clock;
	w->measure = c->clock != NULL;
	w->free_pct = 100;
	w->burst = MT_WORKER_BURST;
	w->guests = c->guests;
	if (w->guests)
		w->guests_part = mt_guests_worker(w->guests->ports, w->index);
	mt_idle_init(&w->idle, c->idle, c->now);
	w->wake.fd = c->wake_fd;
	if (!list_queues(w, c) || !make_rooms(w, c)) {
		mt_worker_destroy(w);
		return NULL;
	}
	return w;
}

void mt_worker_destroy(struct mt_worker *w)
{
	if (!w)
		return;
	if (w->proxy)
		mt_proxy_destroy(w->proxy);
	if (w->tls_lane)
		mt_tls_layer_fini(&w->tls);
	if (w->tcp)
		mt_tcp_destroy(w->tcp);
	mt_names_fini(w);
	mt_l4_destroy(w->l4);
	if (w->net)
		mt_netw_destroy(w->net);
	mt_idle_fini(&w->idle);
	free(w->polled);
	free(w);
}

void mt_worker_set_trace(struct mt_worker *w, struct mt_trace *t)
{
	w->trace = t;
	mt_netw_set_trace(w->net, t);
	mt_tcp_set_trace(w->tcp, t);
	mt_proxy_set_trace(w->proxy, t);
}

void mt_worker_turn_knobs(struct mt_worker *w, const struct mt_worker_knobs *k)
{
	w->burst = MT_MAX(1, MT_MIN(k->burst, MT_WORKER_BURST));
	mt_tcp_set_coalesce(w->tcp, k->coalesce);
	mt_proxy_set_sampling(w->proxy, k->sampling_ms);
	if (w->idle.profile == k->idle)
		return;
	w->idle.profile = k->idle;
	if (k->idle == MT_WORKER_POLL)
		mt_idle_close(&w->idle);
	else if (__atomic_load_n(&w->running, __ATOMIC_RELAXED))
		mt_idle_open(w); /* otherwise its loop does when it starts */
}

struct mt_worker_knobs mt_worker_knobs(const struct mt_worker *w)
{
	return (struct mt_worker_knobs){
		w->idle.profile, w->burst, mt_tcp_coalesce(w->tcp), mt_proxy_sampling(w->proxy)};
}

const struct mt_worker_stats *mt_worker_stats(const struct mt_worker *w)
{
	return &w->stats;
}

uint16_t mt_worker_index(const struct mt_worker *w)
{
	return w->index;
}

struct mt_tcp *mt_worker_tcp(struct mt_worker *w)
{
	return w->tcp;
}

struct mt_l4 *mt_worker_l4(struct mt_worker *w)
{
	return w->l4;
}

struct mt_netw *mt_worker_net(struct mt_worker *w)
{
	return w->net;
}

struct mt_proxy *mt_worker_proxy(struct mt_worker *w)
{
	return w->proxy;
}

struct mt_tls_layer *mt_worker_tls(struct mt_worker *w)
{
	return w->tls_lane ? &w->tls : NULL;
}

struct mt_pools *mt_worker_pools(struct mt_worker *w)
{
	return w->pools;
}
