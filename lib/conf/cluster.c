/* SPDX-License-Identifier: Apache-2.0 */
/* A cluster, whoever says it: made once, shared by snapshots, given back with the last. */
#include "mt_conf_mesh_priv.h"
#include "mt_secret_hash.h"
#include "mt_tls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void free_cluster(struct mt_conf *c, struct mt_shared_cluster *sc, uint64_t now)
{
	mt_shared_last_forget(&c->shared.last_clusters, sc->at, sc);
	mt_unlent_free(sc->unlent);
	mt_cluster_release(&sc->c);
	mt_b_cluster_tls_release(sc);
	for (uint32_t i = 0; i < sc->c.n_eps; i++)
		mt_upstream_ep_put(c->upstreams, sc->c.eps[i].state, now);
	if (sc->c.id)
		mt_upstream_cluster_put(c->upstreams, sc->c.index, now);
	free(sc->c.levels);
	free(sc->c.eps);
	free(sc->c.guards);
	free(sc->c.zones);
	free(sc->peer);
	free(sc->workloads);
	mt_heap_free(&c->clusters, sc, sc->size);
}

void mt_shared_cluster_put(struct mt_conf *c, struct mt_shared_cluster *sc, uint64_t now)
{
	if (--sc->refs)
		return;
	if (mt_strmap_get(&c->shared.clusters, sc->name) == sc)
		mt_strmap_del(&c->shared.clusters, sc->name);
	free_cluster(c, sc, now);
}

/* ---- what it says ------------------------------------------------------------------------------- */

static enum mt_lb balancer(enum mt_res_lb lb)
{
	switch (lb) {
	case MT_RES_LEAST_REQUEST:
		return MT_LB_LEAST_REQUEST;
	case MT_RES_RANDOM:
		return MT_LB_RANDOM;
	case MT_RES_RING_HASH:
		return MT_LB_RING_HASH;
	case MT_RES_MAGLEV:
		return MT_LB_MAGLEV;
	case MT_RES_ROUND_ROBIN:
		break;
	}
	return MT_LB_ROUND_ROBIN;
}

static uint32_t said(const struct mt_num *n, uint32_t otherwise)
{
	return n->set && n->v ? n->v : otherwise;
}

/* `key`: the hash key's name, for as long as the cluster lives. */
static void set_hash(const struct mt_build *b, struct mt_cluster *c, const struct mt_res_hash *h,
	const char *key)
{
	const struct mt_codec *codec =
		h && h->codec ? mt_codec_registry_find(b->codecs, h->codec) : NULL;

	c->hash_by = h && h->source ? MT_LB_HASH_SOURCE : MT_LB_HASH_KEY;
	if (!key || !codec)
		return;
	c->hash_keys[0] = mt_key_make(codec, key);
	c->n_hash_keys = 1;
}

static struct mt_retry_budget budget_of(const struct mt_res_cluster *mc)
{
	const struct mt_retry_budget_policy *p = mc->retry_budget;

	if (p)
		return (struct mt_retry_budget){.bound = MT_RETRY_BOUND_SHARE,
			.share = (uint16_t)(p->percent.set ? p->percent.v : MT_RETRY_BUDGET_SHARE),
			.n = p->least.set ? p->least.v : MT_RETRY_BUDGET_LEAST};
	if (mc->max_retries.set)
		return (struct mt_retry_budget){
			.bound = MT_RETRY_BOUND_NUMBER, .n = mc->max_retries.v};
	return (struct mt_retry_budget){.bound = MT_RETRY_UNBOUNDED};
}

/* False: no memory. */
static bool set_budget(struct mt_build *b, struct mt_cluster *c, const struct mt_res_cluster *mc)
{
	c->retry_budget = budget_of(mc);
	if (c->retry_budget.bound == MT_RETRY_UNBOUNDED)
		return true;
	c->budget = mt_upstream_budget(b->conf->upstreams, c->index, b->conf->o.workers,
		c->retry_budget.bound == MT_RETRY_BOUND_SHARE);
	return c->budget != NULL;
}

static void set_policy(struct mt_cluster *c, const struct mt_res_cluster *mc)
{
	const struct mt_res_outlier *o = mc->outlier;

	c->lb = balancer(mc->lb);
	c->multiplexing = mc->multiplexing;
	c->port = mc->port;
	c->ring_min = mc->ring_min;
	c->ring_max = mc->ring_max;
	c->connect_ms = mc->connect_ms;
	c->max_connections = mc->max_connections;
	c->max_outstanding = mc->max_requests;
	c->max_pending = mc->max_pending;
	if (o)
		c->outlier = (struct mt_outlier_rule){
			.failures = said(&o->failures, MT_OUTLIER_FAILURES),
			.base_ms = said(&o->base_ejection_ms, MT_OUTLIER_BASE_MS),
			.max_ms = said(&o->max_ejection_ms, MT_OUTLIER_MAX_MS),
			.errors = o->errors.v,
			.most = o->max_percent.v < 100 ? (uint8_t)o->max_percent.v : 0};
	c->min_health = mc->panic_percent.set ? (uint8_t)mc->panic_percent.v : 0;
	c->outlier.max_ms = MT_MAX(c->outlier.max_ms, c->outlier.base_ms);
}

/* For what a publish says has changed. */
static uint64_t policy_hash(const struct mt_cluster *c, const struct mt_cluster_guards *g)
{
	uint64_t h = mt_hash_u64(c->lb, 2);

	h = mt_hash_u64((uint64_t)c->hash_by << 1 | c->multiplexing, h);
	for (uint32_t i = 0; i < c->n_hash_keys; i++)
		h = mt_hash_text(c->hash_keys[i].name, h);
	if (g && g->closed_by)
		h = mt_hash_u64(g->closed_by->id, h);
	h = mt_hash_u64(g ? g->hash : 0, h);
	h = mt_hash_u64(c->tls ? mt_tls_context_id(c->tls) : 0, h);
	h = mt_hash_u64(((uint64_t)c->ring_min << 32) | c->ring_max, h);
	h = mt_hash_u64(((uint64_t)c->connect_ms << 32) | c->outlier.failures, h);
	h = mt_hash_u64(((uint64_t)c->outlier.base_ms << 32) | c->outlier.max_ms, h);
	h = mt_hash_u64(((uint64_t)c->max_connections << 32) | c->max_outstanding, h);
	h = mt_hash_u64((uint64_t)c->retry_budget.n << 32 | c->retry_budget.share << 8 |
				c->retry_budget.bound,
		h);
	h = mt_hash_u64(
		(uint64_t)c->outlier.errors << 32 | c->outlier.most << 8 | c->min_health, h);
	return mt_hash_u64(((uint64_t)c->max_pending << 32) | c->demand_ms, h);
}

/* ---- endpoints ---------------------------------------------------------------------------------- */

/* Why calls to it would reach nobody, or come back; NULL: it can be used. */
static const char *refused(const struct mt_build *b, const struct mt_res_endpoint *ep)
{
	const char *why = mt_addr_unusable(&ep->addr);

	if (!why && !ep->port)
		why = "without a port";
	return !why && mt_b_own_port(b, &ep->addr) ? "this node itself" : why;
}

/* True if the cluster has the endpoint already: *at is its place. Otherwise it will be at *at. */
static bool seen(struct mt_build *b, uint32_t index, uint32_t *at)
{
	struct mt_shared *m = &b->conf->shared;

	if (index >= m->n_seen) {
		uint32_t n = MT_MAX(m->n_seen * 2, index + 4096);
		uint32_t *grown = realloc(m->seen, n * sizeof(*grown));

		if (!grown) {
			b->tmp.failed = true;
			return false;
		}
		memset(grown + m->n_seen, 0, (n - m->n_seen) * sizeof(*grown));
		m->seen = grown;
		m->n_seen = n;
	}
	if (m->seen[index]) {
		*at = m->seen[index] - 1;
		return true;
	}
	m->seen[index] = *at + 1;
	return false;
}

static void forget_seen(struct mt_build *b, const struct mt_cluster *c)
{
	struct mt_shared *m = &b->conf->shared;

	for (uint32_t i = 0; i < c->n_eps; i++)
		if (c->eps[i].state->index < m->n_seen)
			m->seen[c->eps[i].state->index] = 0;
}

/* One block for the places and the texts of all localities' zones; equal ones share a place. */
static int add_zones(struct mt_shared_cluster *sc, const struct mt_res_endpoints *e)
{
	size_t size = 0;
	uint32_t n = MT_MIN(e->n_localities, (uint32_t)MT_CLUSTER_ZONES);

	for (uint32_t i = 0; i < e->n_localities; i++)
		size += e->localities[i].zone ? strlen(e->localities[i].zone) + 1 : 0;
	if (!size)
		return 0;
	sc->c.zones = malloc(n * sizeof(*sc->c.zones) + size);
	sc->zone_texts = sc->c.zones ? (char *)(sc->c.zones + n) : NULL;
	return sc->c.zones ? 0 : -ENOMEM;
}

static uint8_t zone_of(struct mt_shared_cluster *sc, const struct mt_res_locality *lo)
{
	size_t len = lo->zone ? strlen(lo->zone) + 1 : 0;

	for (uint32_t i = 0; len > 1 && i < sc->n_zones; i++)
		if (strcmp(sc->c.zones[i], lo->zone) == 0)
			return (uint8_t)(i + 1);
	if (len < 2 || sc->n_zones == MT_CLUSTER_ZONES)
		return 0;
	sc->c.zones[sc->n_zones] = memcpy(sc->zone_texts, lo->zone, len);
	sc->zone_texts += len;
	return (uint8_t)++sc->n_zones;
}

/*
 * Adds policies of an endpoint. If several workloads have its address, calls must pass those of
 * each, because a call does not show which of them it is for.
 */
static void guard(
	struct mt_build *b, struct mt_cluster *c, uint32_t at, const struct mt_authz *other)
{
	const struct mt_authz *a = other ? mt_b_guard_both(b, c->guards[at], other) : NULL;

	if (!a)
		return;
	c->guards[at] = a;
	c->eps[at].guarded = true;
	c->guards_read |= a->reads;
	c->guards_search |= a->searches;
	c->guards_change |= mt_authz_changes(a);
}

static bool asks_for_tls(const struct mt_res_cluster *mc, const struct mt_res_endpoint *ep)
{
	/* In a cluster of clear text their metadata mean nothing. */
	return mc->tls_by_endpoint ? ep->tls : mc->tls != NULL;
}

/* 1: added, 0: not used, -ENOMEM. */
static int add_endpoint(struct mt_build *b, struct mt_shared_cluster *sc,
	const struct mt_cluster_said *said, const struct mt_endpoint_use *use, uint8_t zone)
{
	const struct mt_res_endpoint *ep = use->ep;
	struct mt_cluster *c = &sc->c;
	bool tls = asks_for_tls(said->cluster, ep);
	const struct mt_authz *authz = c->guards ? said->guards->v[ep - said->guards->of] : NULL;
	struct mt_ep_state *state;
	uint32_t at = c->n_eps;

	/* Never in clear text instead. */
	if (tls && !c->tls && !c->as) {
		sc->n_tls++;
		return 0;
	}
	if (refused(b, ep)) {
		sc->n_refused++;
		return 0;
	}
	state = mt_upstream_ep_get(b->conf->upstreams, c->name, &ep->addr, ep->port, b->now);
	if (!state)
		return -ENOMEM;
	c->not_bare |= tls || ep->tls;
	/* An instance that is said twice counts once, and has TLS if it is said once. */
	if (seen(b, state->index, &at)) {
		if (tls)
			c->eps[at].tls = c->eps[at].meshed = true;
		guard(b, c, at, authz);
		mt_workloads_also(sc->workloads, at, ep);
		mt_upstream_ep_put(b->conf->upstreams, state, b->now);
		return 0;
	}
	c->eps[c->n_eps++] = (struct mt_endpoint){.addr = ep->addr,
		.port = ep->port,
		.weight = use->weight,
		.zone = zone,
		.meshed = ep->tls,
		.drain = ep->drain,
		.tls = tls,
		.state = state};
	c->drains |= ep->drain != MT_EP_DRAIN_NONE;
	guard(b, c, at, authz);
	mt_workloads_set(sc->workloads, at, ep);
	return 1;
}

/* Levels that have nobody after all are left out; the first one takes over their load. */
static void set_levels(
	struct mt_cluster *c, const struct mt_endpoint_plan *plan, const uint32_t *firsts)
{
	uint32_t lost = 0;

	for (uint32_t i = 0; i < plan->n_levels; i++) {
		uint32_t end = i + 1 < plan->n_levels ? firsts[i + 1] : c->n_eps;

		if (firsts[i] == end) {
			lost += plan->levels[i].load;
			continue;
		}
		c->levels[c->n_levels].first = firsts[i];
		c->levels[c->n_levels++].load = plan->levels[i].load;
	}
	if (c->n_levels)
		c->levels[0].load += lost;
	/* One level is none. */
	if (c->n_levels == 1)
		c->n_levels = 0;
}

/*
 * Endpoints to which no port and no route leads, for example those of a family that no port has,
 * get no calls while the cluster has others. If it has no others, calls go to them and fail.
 */
static void drain_unreached(struct mt_build *b, struct mt_cluster *c)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->n_eps; i++)
		n += !mt_b_reaches(b, &c->eps[i].addr);
	c->drains |= n > 0;
	c->skips_unreached = n > 0 && n < c->n_eps;
	for (uint32_t i = 0; n && i < c->n_eps; i++)
		if ((c->skips_unreached || !c->eps[i].drain) && !mt_b_reaches(b, &c->eps[i].addr))
			c->eps[i].drain = MT_EP_DRAIN_NO_ROUTE;
}

static int fill(struct mt_build *b, struct mt_shared_cluster *sc,
	const struct mt_cluster_said *said, const struct mt_endpoint_plan *plan, uint32_t *firsts)
{
	const struct mt_res_locality *last = NULL;
	uint32_t level = 0;
	uint8_t zone = 0;
	int rc = 0;

	for (uint32_t i = 0; i < plan->n && rc >= 0; i++) {
		while (level < plan->n_levels && plan->levels[level].first == i)
			firsts[level++] = sc->c.n_eps;
		if (plan->use[i].locality != last) {
			last = plan->use[i].locality;
			zone = zone_of(sc, last);
		}
		rc = add_endpoint(b, sc, said, &plan->use[i], zone);
	}
	forget_seen(b, &sc->c);
	return rc < 0 ? rc : 0;
}

static int allocate(struct mt_cluster *c, const struct mt_cluster_guards *g,
	const struct mt_endpoint_plan *plan)
{
	bool guarded = g && g->v;

	c->eps = malloc(sizeof(*c->eps) * plan->n);
	c->guards = guarded ? calloc(plan->n, sizeof(*c->guards)) : NULL;
	c->levels = plan->n_levels > 1 ? calloc(plan->n_levels, sizeof(*c->levels)) : NULL;
	return c->eps && (c->guards || !guarded) && (c->levels || plan->n_levels < 2) ? 0 : -ENOMEM;
}

static int add_endpoints(struct mt_build *b, struct mt_shared_cluster *sc,
	const struct mt_cluster_said *said, const struct mt_res_endpoints *e)
{
	struct mt_endpoint_plan plan;
	uint32_t *firsts;
	int rc = mt_b_endpoint_plan(b, said->cluster, e, &plan);

	if (rc)
		return rc;
	sc->c.n_out = plan.n_out;
	if (!plan.n)
		return 0;
	firsts = mt_region_alloc(&b->tmp, sizeof(*firsts) * (plan.n_levels + 1));
	if (!firsts || allocate(&sc->c, said->guards, &plan) || add_zones(sc, e))
		return -ENOMEM;
	sc->c.not_bare = e->not_bare;
	sc->c.peer = sc->peer = mt_peer_copy(e->peer);
	if ((e->peer && !sc->peer) || !mt_workloads_new(e, plan.n, &sc->workloads))
		return -ENOMEM;
	sc->c.workloads = sc->workloads;
	rc = fill(b, sc, said, &plan, firsts);
	drain_unreached(b, &sc->c);
	if (rc == 0 && sc->c.levels)
		set_levels(&sc->c, &plan, firsts);
	return rc;
}

/* ---- found or made ------------------------------------------------------------------------------ */

/* The texts that it keeps: its name, its file, its endpoints' name when it is another one, its hash key. */
struct texts {
	const char *name, *file, *endpoints, *key;
};

static size_t size_of(const char *text)
{
	return text ? strlen(text) + 1 : 0;
}

static char *keep(char **at, const char *text)
{
	char *kept = *at;
	size_t size = size_of(text);

	if (!size)
		return NULL;
	*at = kept + size;
	return memcpy(kept, text, size);
}

static struct texts texts_of(const struct mt_res_cluster *mc)
{
	struct texts t = {.name = mc->meta.name,
		.file = mc->meta.origin.file,
		.key = mc->hash ? mc->hash->key : NULL};

	/* Most are called as their endpoints are. */
	if (mc->discovery == MT_RES_EDS && mc->endpoints_name &&
		strcmp(mc->endpoints_name, t.name) != 0)
		t.endpoints = mc->endpoints_name;
	return t;
}

static struct mt_shared_cluster *new_cluster(struct mt_build *b, const struct mt_res_cluster *mc)
{
	const struct texts t = texts_of(mc);
	size_t size = sizeof(struct mt_shared_cluster) + size_of(t.name) + size_of(t.file) +
		      size_of(t.endpoints) + size_of(t.key);
	struct mt_shared_cluster *sc = mt_heap_alloc(&b->conf->clusters, size);
	int64_t index;
	char *at;

	if (!sc)
		return NULL;
	at = sc->name;
	sc->size = (uint32_t)size;
	sc->c.name = keep(&at, t.name);
	sc->c.file = sc->origin = keep(&at, t.file);
	sc->c.endpoints_resource = keep(&at, t.endpoints);
	if (mc->discovery == MT_RES_EDS && !t.endpoints)
		sc->c.endpoints_resource = sc->name;
	sc->place = sc->at = sc->eps_at = MT_NO_CLUSTER;
	set_hash(b, &sc->c, mc->hash, keep(&at, t.key));
	index = mt_upstream_cluster_get(b->conf->upstreams, sc->name, b->now);
	if (index < 0) {
		mt_heap_free(&b->conf->clusters, sc, size);
		return NULL;
	}
	sc->c.index = (uint32_t)index;
	sc->c.id = mt_secret_hash_text(sc->name, 0);
	return sc;
}

static uint64_t node_serial(const struct mt_build *b)
{
	return b->model->node ? b->model->node->meta.serial : 0;
}

static bool is_same(
	struct mt_build *b, const struct mt_shared_cluster *sc, const struct mt_cluster_said *said)
{
	const struct mt_res_cluster *mc = said->cluster;
	const struct mt_res_endpoints *e = said->endpoints;
	const struct mt_cluster_guards *g = said->guards;

	return !(g && (g->v || g->closed_by)) && sc->serial && sc->serial == mc->meta.serial &&
	       sc->eps_serial == (e ? e->meta.serial : 0) && (!e || sc->eps_serial) &&
	       sc->node_serial == node_serial(b) &&
	       sc->tls_stamp == mt_b_cluster_tls_stamp(b, said) && !sc->tls_why &&
	       sc->override_stamp == mt_overrides_cluster_stamp(&b->conf->overrides, sc->name);
}

/* What it was made from; who is guarded belongs to this build, as the guards do. */
static void remember(struct mt_build *b, struct mt_shared_cluster *sc,
	const struct mt_cluster_said *said, const struct mt_res_endpoints *found)
{
	const struct mt_cluster_guards *g = said->guards;

	sc->serial = g && (g->v || g->closed_by) ? 0 : said->cluster->meta.serial;
	sc->eps_serial = found ? found->meta.serial : 0;
	sc->node_serial = node_serial(b);
	sc->override_stamp = mt_overrides_cluster_stamp(&b->conf->overrides, sc->name);
}

/* By the balancers that Envoy has it with. */
static int set_warmup(struct mt_build *b, struct mt_cluster *c, const struct mt_res_cluster *mc,
	const struct mt_shared_cluster *old)
{
	const struct mt_warmup_rule rule = {.ms = mc->warmup_ms,
		.least = mc->warmup_least,
		.aggression = mc->warmup_aggression ? mc->warmup_aggression : 100};

	if (!rule.ms || !c->n_eps || (c->lb != MT_LB_ROUND_ROBIN && c->lb != MT_LB_LEAST_REQUEST))
		return 0;
	return mt_cluster_warm(c, &rule, old ? &old->c : NULL, b->now);
}

/* Those to whom nobody lends an identity have the rest of the endpoints, if there is one. */
static int set_unlent(struct mt_build *b, struct mt_shared_cluster *sc,
	const struct mt_res_cluster *mc, const struct mt_shared_cluster *old)
{
	uint32_t n = 0;
	int rc;

	for (uint32_t i = 0; i < sc->c.n_eps; i++)
		n += !sc->c.eps[i].tls;
	if (!sc->c.lend)
		return 0;
	/* To none of them an identity is shown: there is nothing to lend. */
	if (n == sc->c.n_eps) {
		sc->c.lend = NULL;
		sc->c.as = NULL;
	}
	if (!n || n == sc->c.n_eps)
		return 0;
	sc->unlent = mt_unlent_new(&sc->c);
	if (!sc->unlent)
		return -ENOMEM;
	rc = set_warmup(b, sc->unlent, mc, old);
	if (rc == 0)
		rc = mt_cluster_build(sc->unlent);
	sc->c.unlent = sc->unlent;
	return rc;
}

/*
 * Hashes the cluster's TLS settings with the node's own identity, or a caller's if it has none; 0
 * without TLS.
 */
static uint16_t way_of(const struct mt_shared_cluster *sc)
{
	const struct mt_tls_context *tls = sc->c.tls;
	uint64_t id;

	for (uint32_t i = 0; !tls && i < sc->n_as; i++)
		tls = sc->as[i];
	if (!tls)
		return 0;
	id = mt_tls_context_id(tls);
	return (uint16_t)(id ^ id >> 16 ^ id >> 32 ^ id >> 48) | 1;
}

static int complete(struct mt_build *b, struct mt_shared_cluster *sc,
	const struct mt_cluster_said *said, const struct mt_shared_cluster *old)
{
	const struct mt_res_cluster *mc = said->cluster;
	const struct mt_res_endpoints *e = mc->endpoints ? mc->endpoints : said->endpoints;
	int rc = sc->c.closed_by ? 0 : mt_b_cluster_tls(b, sc, said);

	sc->c.way = way_of(sc);
	/* Until its names are resolved a DNS cluster has what is an address already. */
	if (!e && mc->dns)
		e = mc->dns->fixed;
	sc->hash = policy_hash(&sc->c, said->guards);
	if (rc == 0 && e)
		rc = add_endpoints(b, sc, said, e);
	if (rc == 0)
		rc = set_unlent(b, sc, mc, old);
	if (rc == 0)
		rc = set_warmup(b, &sc->c, mc, old);
	return rc ? rc : mt_cluster_build(&sc->c);
}

static struct mt_shared_cluster *make(
	struct mt_build *b, const struct mt_cluster_said *said, const struct mt_shared_cluster *old)
{
	const struct mt_res_cluster *mc = said->cluster;
	struct mt_shared_cluster *sc = new_cluster(b, mc);

	if (!sc)
		return NULL;
	set_policy(&sc->c, mc);
	if (mc->demand_ms) {
		sc->c.demand = mt_upstream_demand(b->conf->upstreams, sc->c.index);
		sc->c.demand_ms = mc->demand_ms;
	}
	sc->c.closed_by = said->guards ? said->guards->closed_by : NULL;
	remember(b, sc, said, said->endpoints);
	if (!set_budget(b, &sc->c, mc) || complete(b, sc, said, old)) {
		free_cluster(b->conf, sc, b->now);
		return NULL;
	}
	b->conf->shared.work.clusters_made++;
	return sc;
}

struct mt_shared_cluster *mt_b_cluster(
	struct mt_build *b, const struct mt_cluster_said *said, struct mt_shared_cluster *old)
{
	struct mt_shared_cluster *sc;

	if (old && is_same(b, old, said)) {
		b->conf->shared.work.clusters_shared++;
		old->refs++;
		return old;
	}
	sc = make(b, said, old);
	if (!sc)
		return NULL;
	/* Routes name clusters by place: it stays where it was. */
	if (old)
		sc->place = old->place;
	if (mt_strmap_put(&b->conf->shared.clusters, sc->name, sc, NULL)) {
		free_cluster(b->conf, sc, b->now);
		b->tmp.failed = true;
		return NULL;
	}
	sc->refs = 1;
	return sc;
}

int mt_b_place_clusters(struct mt_build *b, struct mt_shared_cluster **v, uint32_t n)
{
	struct mt_shared_cluster **placed = mt_region_alloc(&b->tmp, sizeof(*placed) * n);
	uint32_t at = 0;

	if (!placed)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		if (v[i]->place >= n || placed[v[i]->place])
			v[i]->place = MT_NO_CLUSTER;
		else
			placed[v[i]->place] = v[i];
	}
	for (uint32_t i = 0; i < n; i++) {
		if (v[i]->place != MT_NO_CLUSTER)
			continue;
		while (placed[at])
			at++;
		v[i]->place = at;
		placed[at] = v[i];
	}
	if (n)
		memcpy(v, placed, sizeof(*v) * n);
	return 0;
}
