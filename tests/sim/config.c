/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "layer.h"
#include "mt_authz.h"
#include "mt_call_tracing.h"
#include "mt_extauthz.h"

#include <stdio.h>
#include <string.h>

#include <rte_rcu_qsbr.h>

#define FREED 0xdd

/* One snapshot with everything it points to. */
struct built {
	struct mt_snapshot snap; /* first */
	struct mt_listener listeners[CONFIG_LISTENERS];
	struct mt_filter_chain chains[CONFIG_LISTENERS][2];
	struct mt_filter_chain_proto protos[CONFIG_LISTENERS];
	struct mt_cluster clusters[CONFIG_CLUSTERS];
	struct mt_endpoint eps[CONFIG_CLUSTERS][CONFIG_EPS];
	char cluster_names[CONFIG_CLUSTERS][32];
	struct mt_service services[CONFIG_LISTENERS];
	struct mt_service *service_ptrs[CONFIG_LISTENERS];
	struct mt_filter_inst filters[CONFIG_LISTENERS];
	struct {
		struct mt_filters c;
		void *lists[5];
	} compiled[CONFIG_LISTENERS];
	/* Policies of clusters whose calls are asked about. */
	struct {
		struct mt_authz_policy policy;
		const struct mt_authz_policy *list[1];
		struct mt_authz rules;
		const struct mt_authz *guards[CONFIG_EPS];
	} asked[CONFIG_CLUSTERS];
	struct mt_call_tracing tracing[CONFIG_LISTENERS];
	uint32_t *holds;
};

void config_store_init(struct config_store *st, struct sim *s, uint32_t workers)
{
	memset(st, 0, sizeof(*st));
	st->sim = s;
	st->workers = workers;
	st->registry = mt_upstream_registry_new();
	st->limits = mt_limit_registry_new((uint16_t)workers);
	MT_ASSERT(st->registry && st->limits);
	st->rcu = aligned_alloc(RTE_CACHE_LINE_SIZE, rte_rcu_qsbr_get_memsize(workers));
	MT_ASSERT(st->rcu && rte_rcu_qsbr_init(st->rcu, workers) == 0);
	for (uint32_t i = 0; i < workers; i++) {
		rte_rcu_qsbr_thread_register(st->rcu, i);
		rte_rcu_qsbr_thread_online(st->rcu, i);
	}
	st->oracle.sim = s;
	st->oracle.workers = workers;
}

/* CUSTOM, of everybody. */
static void build_guards(struct built *b, uint32_t i, const struct config_cluster *conf)
{
	static struct mt_authz_rule everybody;
	struct mt_extauthz_provider *asks = conf->asks;
	struct mt_cluster *c = &b->clusters[i];

	b->asked[i].policy = (struct mt_authz_policy){.action = MT_AUTHZ_CLOSE,
		.by = "AuthorizationPolicy sim/asked",
		.rules = &everybody,
		.n_rules = 1,
		.asks = asks,
		.asks_id = mt_extauthz_id(asks)};
	b->asked[i].list[0] = &b->asked[i].policy;
	b->asked[i].rules = (struct mt_authz){
		.deny = b->asked[i].list, .n_deny = 1, .reads = true, .searches = true};
	c->guards = b->asked[i].guards;
	c->guards_change = true;
	for (uint32_t e = 0; e < (conf->asks_first ? 1 : c->n_eps); e++) {
		b->asked[i].guards[e] = &b->asked[i].rules;
		b->eps[i][e].guarded = true;
	}
}

static void build_cluster(struct config_store *st, struct built *b, uint32_t i,
	const struct config *all, const struct mt_codec *codec)
{
	const struct config_cluster *c = &all->cluster[i];
	struct mt_cluster *out = &b->clusters[i];

	snprintf(b->cluster_names[i], sizeof(b->cluster_names[i]), "outbound|%u|sim", i);
	out->name = b->cluster_names[i];
	out->id = mt_balance_hash(out->name, strlen(out->name), 0);
	out->index = (uint32_t)mt_upstream_cluster_get(st->registry, out->name, st->sim->now);
	out->lb = c->lb;
	out->eps = b->eps[i];
	out->n_eps = c->n_eps;
	out->connect_ms = c->connect_ms;
	out->max_connections = c->max_connections;
	out->max_pending = c->max_pending;
	out->retry_budget = c->retry_budget;
	if (c->retry_budget.bound)
		out->budget = mt_upstream_budget(st->registry, out->index, (uint16_t)st->workers,
			c->retry_budget.bound == MT_RETRY_BOUND_SHARE);
	out->outlier = c->outlier;
	out->ring_min = 64;
	out->ring_max = 1024;
	out->hash_by = c->hash_key ? MT_LB_HASH_KEY : MT_LB_HASH_SOURCE;
	/* Another one with each snapshot, which is as good. */
	out->tls = all->tls_up ? layer_tls_context(st->n) : NULL;
	if (c->hash_key)
		out->hash_keys[out->n_hash_keys++] = mt_key_make(codec, c->hash_key);
	for (uint32_t e = 0; e < c->n_eps; e++) {
		struct mt_endpoint *ep = &b->eps[i][e];

		ep->addr = c->ep[e].addr;
		ep->port = c->ep[e].port;
		ep->weight = c->ep[e].weight ? c->ep[e].weight : 1;
		ep->tls = all->tls_up;
		ep->state = mt_upstream_ep_get(
			st->registry, out->name, &ep->addr, ep->port, st->sim->now);
		MT_ASSERT(ep->state);
	}
	if (c->asks)
		build_guards(b, i, c);
	MT_ASSERT(mt_cluster_build(out) == 0);
}

static struct mt_route_table *routes(const struct config_listener *l)
{
	static struct mt_mutation nothing = {.key = CONFIG_CHANGED,
					  .key_len = sizeof(CONFIG_CHANGED) - 1},
				  changed = {.key = CONFIG_CHANGED,
					  .key_len = sizeof(CONFIG_CHANGED) - 1,
					  .value = CONFIG_CHANGED_TO,
					  .value_len = sizeof(CONFIG_CHANGED_TO) - 1};
	const struct mt_matcher_def b = {.key = l->route_key, .op = MT_MATCH_EXACT, .value = "b"};
	struct mt_route_dest dest[2] = {{l->cluster_b, 1}, {l->cluster, 1}};
	struct mt_route_action act[2] = {
		{.name = "b",
			.dests = &dest[0],
			.n_dests = 1,
			.total_weight = 1,
			.timeout_ms = l->timeout_ms},
		{.name = "rest",
			.dests = &dest[1],
			.n_dests = 1,
			.total_weight = 1,
			.timeout_ms = l->timeout_ms},
	};
	struct mt_route_mirror mirror = {l->mirror, l->mirror_ppm};
	struct mt_route_builder *rb = mt_route_builder_new(l->codec);
	char err[128];

	for (uint32_t i = 0; i < MT_ARRAY_LEN(act) && l->mirror_ppm; i++) {
		act[i].mirrors = &mirror;
		act[i].n_mirrors = 1;
	}

	for (uint32_t i = 0; i < MT_ARRAY_LEN(act) && l->whole_replies; i++) {
		act[i].rsp_mut = &nothing;
		act[i].n_rsp_mut = 1;
	}
	for (uint32_t i = 0; i < MT_ARRAY_LEN(act) && l->changes; i++) {
		act[i].req_mut = i ? &nothing : &changed;
		act[i].n_req_mut = 1;
	}
	for (uint32_t i = 0; i < MT_ARRAY_LEN(act) && l->retry.attempts; i++) {
		act[i].retry = &l->retry;
		act[i].retries = true;
	}
	MT_ASSERT(rb);
	MT_ASSERT(mt_route_builder_add(rb, &b, 1, &act[0], err, sizeof(err)) == 0);
	MT_ASSERT(mt_route_builder_add(rb, NULL, 0, &act[1], err, sizeof(err)) == 0);
	return mt_route_builder_done(rb);
}

/* The real filter, with the witness around it. */
static void build_limit(
	struct config_store *st, struct built *b, uint32_t i, const struct config_listener *l)
{
	const struct limit_numbers *n = l->limit;
	struct mt_matcher_def a = {.key = l->route_key, .op = MT_MATCH_EXACT, .value = "a"};
	struct mt_limit_cond_def cond = {.match = &a, .n_match = 1, .numbers = n[0].n};
	struct mt_limit_def def = {.service = "sim",
		.has_bucket = n[1].on,
		.numbers = n[1].n,
		.conds = &cond,
		.n_conds = n[0].on};
	struct mt_filter_inst real = {.type = mt_filter_find("local_ratelimit")};
	int rest = n[1].on ? 1 : -1;
	char err[128];

	if (!n[0].on && !n[1].on)
		return;
	real.conf = mt_limit_compile(st->limits, l->codec, &def, st->sim->now, err, sizeof(err));
	MT_ASSERT(real.conf);
	b->filters[i].type = &limit_witness;
	b->filters[i].conf = limit_witness_new(
		&st->oracle, real, n[0].on ? 0 : rest, rest, mt_key_make(l->codec, l->route_key));
	b->services[i].filter_insts = &b->filters[i];
	b->services[i].n_filter_insts = 1;
	b->services[i].filters =
		mt_filters_compile(&b->compiled[i], &b->filters[i], 1, err, sizeof(err));
	limit_oracle_set(&st->oracle, n);
}

static void build_filter(struct built *b, uint32_t i, const struct config_listener *l)
{
	char err[128];

	if (!l->filter)
		return;
	b->filters[i] = *l->filter;
	b->services[i].filter_insts = &b->filters[i];
	b->services[i].n_filter_insts = 1;
	b->services[i].filters =
		mt_filters_compile(&b->compiled[i], &b->filters[i], 1, err, sizeof(err));
	MT_ASSERT(b->services[i].filters);
}

/* In another order with each snapshot: connections find theirs again. */
static void build_chains(struct config_store *st, struct built *b, uint32_t i,
	const struct config_listener *l, bool tls)
{
	struct mt_filter_chain *serves = &b->chains[i][l->chains && st->n & 1],
			       *other = &b->chains[i][!(st->n & 1)];

	b->listeners[i].chains = b->chains[i];
	b->listeners[i].n_chains = l->chains ? 2 : 1;
	if (l->chains)
		*other = (struct mt_filter_chain){.name = "other",
			.match = {.transport = tls ? MT_TRANSPORT_PLAIN : MT_TRANSPORT_TLS},
			.refuse = "it is not spoken"};
	*serves = (struct mt_filter_chain){.name = "", .n_protos = 1, .idle_s = 3600};
	if (!tls)
		return;
	serves->match.transport = MT_TRANSPORT_TLS;
	serves->tls = layer_tls_context(st->n);
}

/* Draws no call, and clients send no contexts: each request has to stay as it is. */
static void build_tracing(
	struct config_store *st, struct built *b, uint32_t i, const struct mt_codec *codec)
{
	if (!st->sim->opt->tracing || codec->opaque)
		return;
	b->tracing[i] = (struct mt_call_tracing){
		.rule = {.write = MT_TRACING_W3C | MT_TRACING_B3, .trace_len = MT_TRACE_ID},
		.attempts = st->sim->seed % 2,
		.key = 1};
	mt_call_tracing_keys(&b->tracing[i], codec);
	b->services[i].tracing = &b->tracing[i];
}

static void build_listener(
	struct config_store *st, struct built *b, uint32_t i, const struct config *all)
{
	const struct config_listener *l = &all->listener[i];
	struct mt_listener *out = &b->listeners[i];
	struct mt_service *sv = &b->services[i];

	sv->name = "sim";
	sv->key = "sim";
	sv->id = sv->owner = 1000 + i;
	sv->index = i;
	sv->timeout_ms = l->timeout_ms;
	sv->tcp_cluster = l->cluster;
	sv->early_ok = l->early_ok;
	sv->searches = !l->early_ok;
	if (!l->codec->opaque)
		sv->routes = routes(l);
	build_limit(st, b, i, l);
	build_filter(b, i, l);
	build_tracing(st, b, i, l->codec);
	b->service_ptrs[i] = sv;
	out->addr = mt_addr4(0);
	memset(&out->addr, 0, sizeof(out->addr));
	out->port = l->port;
	out->id = 2000 + i;
	build_chains(st, b, i, l, all->tls_down);
	out->protos = &b->protos[i];
	out->n_protos = 1;
	b->protos[i] = (struct mt_filter_chain_proto){.codec = l->codec,
		.codec_opts = l->opts,
		.services = &b->service_ptrs[i],
		.n_services = 1};
}

void config_publish(struct config_store *st, const struct config *c)
{
	struct built *b = calloc(1, sizeof(*b));

	MT_ASSERT(b && st->n < CONFIG_SNAPSHOTS);
	b->holds = calloc(st->workers, MT_CACHE_LINE);
	MT_ASSERT(b->holds);
	for (uint32_t i = 0; i < c->n_clusters; i++)
		build_cluster(st, b, i, c, c->listener[0].codec);
	for (uint32_t i = 0; i < c->n_listeners; i++)
		build_listener(st, b, i, c);
	b->snap = (struct mt_snapshot){
		.version = st->n + 1,
		.keep_from = st->n + 1 > CONFIG_KEEP ? st->n + 2 - CONFIG_KEEP : 0,
		.listeners = b->listeners,
		.n_listeners = c->n_listeners,
		.clusters = b->clusters,
		.n_clusters = c->n_clusters,
		.services = b->service_ptrs,
		.n_services = c->n_listeners,
		.max_cluster_index = mt_upstream_cluster_indexes(st->registry),
		.max_ep_index = mt_upstream_ep_indexes(st->registry),
		.max_service_index = c->n_listeners,
		.holds = b->holds,
		.logged = st->sim->opt->log,
		.log_general = st->sim->opt->log,
		.log_unserved = st->sim->opt->log,
	};
	MT_ASSERT(mt_snapshot_index(&b->snap) == 0);
	mt_limit_commit(st->limits, st->sim->now);
	if (st->n)
		st->token[st->n - 1] = rte_rcu_qsbr_start(st->rcu);
	st->snaps[st->n++] = &b->snap;
	st->current = &b->snap;
	st->alive++;
	sim_trace(st->sim, "snapshot %u", st->n);
}

static uint32_t holds_of(const struct config_store *st, const struct mt_snapshot *s)
{
	uint32_t sum = 0;

	for (uint32_t w = 0; w < st->workers; w++)
		sum += s->holds[w * MT_HOLD_STRIDE];
	return sum;
}

static void free_snapshot(struct config_store *st, struct mt_snapshot *s)
{
	struct built *b = (struct built *)s;

	for (uint32_t i = 0; i < s->n_clusters; i++) {
		for (uint32_t e = 0; e < b->clusters[i].n_eps; e++)
			mt_upstream_ep_put(st->registry, b->eps[i][e].state, st->sim->now);
		mt_cluster_release(&b->clusters[i]);
		mt_upstream_cluster_put(st->registry, b->clusters[i].index, st->sim->now);
	}
	for (uint32_t i = 0; i < s->n_listeners; i++) {
		if (b->services[i].routes)
			mt_route_table_free(b->services[i].routes);
		if (b->filters[i].type && b->filters[i].type->free_conf)
			b->filters[i].type->free_conf(b->filters[i].conf);
	}
	mt_snapshot_index_free(s);
	free(b->holds);
	memset(b, FREED, sizeof(*b));
	free(b);
}

bool config_is_alive(const struct config_store *st, const struct mt_snapshot *s)
{
	for (uint32_t i = 0; i < st->n; i++)
		if (st->snaps[i] == s)
			return true;
	return false;
}

void config_turn_over(struct config_store *st, uint32_t worker)
{
	rte_rcu_qsbr_quiescent(st->rcu, worker);
	for (uint32_t i = 0; st->alive > 1 && i + 1 < st->n; i++) {
		if (!st->snaps[i] || !rte_rcu_qsbr_check(st->rcu, st->token[i], false) ||
			holds_of(st, st->snaps[i]))
			continue;
		mt_limit_now(st->limits, st->sim->now);
		free_snapshot(st, st->snaps[i]);
		st->snaps[i] = NULL;
		st->alive--;
		sim_trace(st->sim, "snapshot %u is freed", i + 1);
	}
}

void config_store_fini(struct config_store *st)
{
	for (uint32_t i = 0; i < st->n; i++) {
		/* Each worker that is gone has named the last one. */
		uint32_t own = st->snaps[i] == st->current ? st->workers : 0;
		uint32_t holds = st->snaps[i] ? holds_of(st, st->snaps[i]) : 0;

		if (!st->snaps[i])
			continue;
		if (!st->sim->failed && holds != own)
			sim_fail(st->sim, "snapshot %u of %u is still held %u times", i + 1, st->n,
				holds);
		free_snapshot(st, st->snaps[i]);
	}
	free(st->rcu);
	mt_limit_registry_free(st->limits);
	mt_upstream_registry_free(st->registry);
}
