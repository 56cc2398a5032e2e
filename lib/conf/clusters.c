/* SPDX-License-Identifier: Apache-2.0 */
/* outbound|PORT|SUBSET|HOST: one cluster for each served port, and one more for each subset. */
#include "mt_authz.h"
#include "mt_conf_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

uint16_t mt_b_endpoint_port(const struct mt_unit *u, const struct mt_workload *w)
{
	const char *own = mt_labels_get(&w->ports, u->port->name.s);

	if (own)
		return (uint16_t)strtoul(own, NULL, 10);
	return (uint16_t)(u->port->target_port.set ? u->port->target_port.v : u->port->number.v);
}

/* "region/zone/subzone" to its place in the cluster's zones + 1; zones are few. */
static uint8_t zone_of(struct mt_build *b, struct mt_cluster *c, uint32_t *n, const char *locality)
{
	const char *slash = locality ? strchr(locality, '/') : NULL, **slot;
	size_t len = slash ? strcspn(slash + 1, "/") : 0;

	for (uint32_t i = 0; slash && i < *n; i++)
		if (strncmp(c->zones[i], slash + 1, len) == 0 && !c->zones[i][len])
			return (uint8_t)(i + 1);
	if (!slash || *n == MT_CLUSTER_ZONES)
		return 0;
	slot = mt_region_push(&b->snap->region, (void **)&c->zones, n, sizeof(*slot));
	if (!slot)
		return 0;
	*slot = mt_region_strndup(&b->snap->region, slash + 1, len);
	return (uint8_t)(*slot ? *n : --*n);
}

static int add_endpoint(struct mt_build *b, struct mt_cluster *c, const struct mt_unit *u,
	const struct mt_workload *w, uint32_t *n_zones, uint64_t *hash)
{
	struct mt_endpoint *e = &c->eps[c->n_eps];

	e->addr = w->address;
	e->port = mt_b_endpoint_port(u, w);
	e->weight =
		mt_overrides_weight(&b->conf->overrides, c->name, &e->addr, e->port, w->weight.v);
	e->zone = zone_of(b, c, n_zones, w->locality.s);
	e->state = mt_upstream_ep_get(b->conf->upstreams, c->name, &e->addr, e->port, b->now);
	if (!e->state)
		return -ENOMEM;
	c->n_eps++;
	*hash = mt_hash_u64(e->weight, mt_hash_u64(e->state->id, *hash));
	return 0;
}

/* Who may call it. */
static int guard(
	struct mt_build *b, struct mt_cluster *c, const struct mt_policed *to, uint64_t *hash)
{
	const struct mt_authz *a = mt_b_guard(b, to, hash);

	if (!a)
		return 0;
	if (!c->guards)
		c->guards =
			mt_region_alloc(&b->snap->region, sizeof(*c->guards) * to->h->n_workloads);
	if (!c->guards)
		return -ENOMEM;
	c->guards[c->n_eps - 1] = a;
	c->eps[c->n_eps - 1].guarded = true;
	c->guards_read |= a->reads;
	c->guards_search |= a->searches;
	return 0;
}

/* An instance that is there to be called, of the subset if there is one. */
static bool is_member(const struct mt_workload *w, const struct mt_labels *labels)
{
	return w->weight.v && (!labels || mt_labels_match(labels, &w->labels));
}

/* By whom, if all instances are closed: then there is nobody to choose. NULL: some are not, or there are none. */
static const char *closed_by(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_labels *labels)
{
	const char *by = NULL;

	for (uint32_t i = 0; i < h->n_workloads; i++) {
		const struct mt_workload *w = h->workloads[i];
		const struct mt_policed to = {h, w, u, mt_b_endpoint_port(u, w)};
		const struct mt_authz *a;
		uint64_t ignored = 0;

		if (!is_member(w, labels))
			continue;
		a = mt_b_guard(b, &to, &ignored);
		by = a ? mt_b_guard_closes(a) : NULL;
		if (!by)
			return NULL;
	}
	return by;
}

static int add_endpoints(struct mt_build *b, struct mt_cluster *c, const struct mt_host *h,
	const struct mt_unit *u, const struct mt_labels *labels, uint64_t *hash)
{
	struct mt_strmap seen = {0};
	uint32_t n_zones = 0;
	int rc = 0;

	c->eps = mt_region_alloc(&b->snap->region, sizeof(*c->eps) * h->n_workloads);
	if (!c->eps)
		return -ENOMEM;
	for (uint32_t i = 0; i < h->n_workloads && rc == 0; i++) {
		const struct mt_workload *w = h->workloads[i];
		char name[MT_ADDR_STRLEN];
		char *key;

		const struct mt_policed to = {h, w, u, mt_b_endpoint_port(u, w)};

		if (w->own_ports && !mt_labels_get(&w->ports, u->port->name.s))
			continue;
		if (!is_member(w, labels))
			continue;
		/* An instance that is written twice counts once. */
		key = mt_region_strdup(
			&b->tmp, mt_addr_port_str(&w->address, mt_b_endpoint_port(u, w), name));
		if (!key || mt_strmap_get(&seen, key))
			continue;
		mt_strmap_put(&seen, key, c, NULL);
		rc = add_endpoint(b, c, u, w, &n_zones, hash);
		if (rc == 0)
			rc = guard(b, c, &to, hash);
	}
	mt_strmap_fini(&seen);
	return rc;
}

/* LEAST_REQUEST is what the ecosystem takes when nothing is written. */
static void set_simple(struct mt_cluster *c, const struct mt_lb_policy *lb)
{
	switch (lb ? lb->simple.v : MT_SIMPLE_UNSPECIFIED) {
	case MT_SIMPLE_ROUND_ROBIN:
		c->lb = MT_LB_ROUND_ROBIN;
		break;
	case MT_SIMPLE_RANDOM:
		c->lb = MT_LB_RANDOM;
		break;
	default:
		c->lb = MT_LB_LEAST_REQUEST;
		break;
	}
}

static void set_hash(struct mt_build *b, struct mt_cluster *c, const struct mt_hash_policy *p,
	const struct mt_codec *codec)
{
	/* Neither a metadata key nor the source: the ecosystem then draws lots. */
	c->lb = MT_LB_RANDOM;
	if (p->use_source_ip.v) {
		c->lb = MT_LB_MAGLEV;
		c->hash_by = MT_LB_HASH_SOURCE;
	} else if (p->header.s && !codec->opaque) {
		c->lb = MT_LB_MAGLEV;
		c->hash_by = MT_LB_HASH_KEY;
		c->hash_keys[0] = mt_key_make(codec, mt_b_keep(b, p->header.s));
		c->n_hash_keys = 1;
	}
}

/* What is not said is as the ecosystem has it; all turned off leaves Meltemi's own rule. */
static void set_outlier(struct mt_cluster *c, const struct mt_outlier_policy *o)
{
	uint32_t errors, failures;

	if (!o)
		return;
	errors = o->errors.set ? o->errors.v : MT_OUTLIER_FAILURES;
	failures = MT_MIN(
		o->gateway.v ? o->gateway.v : UINT32_MAX, o->local.v ? o->local.v : UINT32_MAX);
	if (failures == UINT32_MAX)
		failures = errors;
	if (!failures)
		return;
	c->outlier = (struct mt_outlier_rule){.failures = failures,
		.errors = errors,
		.base_ms = o->base_ejection.v ? o->base_ejection.v : MT_OUTLIER_BASE_MS};
	c->outlier.max_ms = MT_MAX(MT_OUTLIER_MAX_MS, c->outlier.base_ms);
}

/* Each part of the policy on its own: a subset that only writes a pool keeps the rule's balancer. */
static void set_policy(struct mt_build *b, struct mt_cluster *c, const struct mt_unit *u,
	const struct mt_traffic_policy *top, const struct mt_traffic_policy *own, bool subset)
{
	const struct mt_lb_policy *lb = own && own->lb ? own->lb : top ? top->lb : NULL;
	const struct mt_conn_pool *pool = own && own->pool ? own->pool : top ? top->pool : NULL;
	bool inherited = subset && !(own && own->lb);

	set_simple(c, lb);
	/* A subset takes over everything but consistentHash, which each must write itself. */
	if (lb && lb->hash && inherited)
		c->lb = MT_LB_RANDOM;
	else if (lb && lb->hash)
		set_hash(b, c, lb->hash, u->codec);
	if (pool) {
		c->connect_ms = pool->tcp.connect_timeout.v;
		c->max_connections = pool->tcp.max_connections.v;
		c->max_outstanding = pool->http.max_requests.v;
		c->max_pending = pool->http.max_pending.v;
	}
	set_outlier(c, own && own->outlier ? own->outlier : top ? top->outlier : NULL);
	c->multiplexing = u->opts & MT_CODEC_OPT_MULTIPLEXING;
}

/* For what a publish says has changed. */
static uint64_t policy_hash(const struct mt_cluster *c)
{
	uint64_t h = mt_hash_u64(c->lb, 1);

	h = mt_hash_u64(c->hash_by, h);
	if (c->n_hash_keys)
		h = mt_strhash(c->hash_keys[0].name, h);
	h = mt_hash_u64(c->connect_ms, h);
	h = mt_hash_u64(((uint64_t)c->max_connections << 32) | c->max_outstanding, h);
	h = mt_hash_u64(c->max_pending, h);
	h = mt_hash_u64(((uint64_t)c->outlier.failures << 32) | c->outlier.errors, h);
	h = mt_hash_u64(c->outlier.base_ms, h);
	return mt_hash_u64(c->multiplexing, h);
}

static int add_cluster(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_subset *subset)
{
	const struct mt_traffic_policy *top = h->rule ? h->rule->policy : NULL;
	uint32_t n_hashes = b->n_clusters;
	struct mt_cluster *c;
	uint64_t *hash;
	int64_t index;

	/* A cluster whose id is 0 has taken nothing yet that a refused build must give back. */

	c = mt_region_push(&b->snap->region, (void **)&b->clusters_v, &b->n_clusters, sizeof(*c));
	hash = mt_region_push(
		&b->snap->region, (void **)&b->cluster_hash, &n_hashes, sizeof(*hash));
	if (!c || !hash)
		return -ENOMEM;
	c->name = mt_region_printf(&b->snap->region, "outbound|%u|%s|%s", u->port->number.v,
		subset ? subset->name.s : "", u->host);
	if (!c->name)
		return -ENOMEM;
	index = mt_upstream_cluster_get(b->conf->upstreams, c->name, b->now);
	if (index < 0)
		return (int)index;
	c->index = (uint32_t)index;
	c->id = mt_strhash(c->name, 0);
	mt_strmap_put(&b->clusters, c->name, (void *)(uintptr_t)b->n_clusters, NULL);
	set_policy(b, c, u, top, subset ? subset->policy : NULL, subset != NULL);
	*hash = policy_hash(c);
	c->port = (uint16_t)u->port->number.v;
	c->closed_by = closed_by(b, h, u, subset ? &subset->labels : NULL);
	if (c->closed_by) {
		*hash = mt_strhash(c->closed_by, *hash);
		return 0;
	}
	return add_endpoints(b, c, h, u, subset ? &subset->labels : NULL, hash);
}

/* To go on in clear text where encryption was asked for would be worse than not to start. */
static void check_tls(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_traffic_policy *p, const char *path)
{
	if (p && p->tls && p->tls->mode.set && p->tls->mode.v != MT_TLS_DISABLE)
		mt_b_error(b, meta, p->tls->mode.line, path, "write mode: DISABLE",
			"connections to instances cannot be encrypted yet");
}

static void warn_hash(struct mt_build *b, const struct mt_host *h, uint32_t i)
{
	const struct mt_traffic_policy *top = h->rule->policy;
	const struct mt_subset *s = &h->rule->subsets[i];
	char path[64];

	if (!top || !top->lb || !top->lb->hash || (s->policy && s->policy->lb))
		return;
	snprintf(path, sizeof(path), "spec.subsets[%u]", s->by ? s->at : i);
	mt_b_warn(b, s->by ? s->by : &h->rule->meta, s->origin.line, path,
		"write consistentHash in the subset's own trafficPolicy",
		"subset \"%.64s\" does not take over consistentHash", s->name.s);
}

/* Names, TLS and empty subsets, once for each rule of a served host. */
static void check_rule(struct mt_build *b, const struct mt_host *h)
{
	const struct mt_destination_rule *dr = h->rule;

	check_tls(b, &dr->meta, dr->policy, "spec.trafficPolicy.tls.mode");
	for (uint32_t i = 0; i < dr->n_subsets; i++) {
		const struct mt_subset *s = &dr->subsets[i];
		const struct mt_meta *meta = s->by ? s->by : &dr->meta;
		uint32_t members = 0, at = s->by ? s->at : i;
		char path[80];

		snprintf(path, sizeof(path), "spec.subsets[%u].trafficPolicy.tls.mode", at);
		check_tls(b, meta, s->policy, path);
		warn_hash(b, h, i);
		for (uint32_t j = 0; j < h->n_workloads; j++)
			members += mt_labels_match(&s->labels, &h->workloads[j]->labels);
		snprintf(path, sizeof(path), "spec.subsets[%u].labels", at);
		if (!members && h->n_workloads)
			mt_b_warn(b, meta, s->origin.line, path,
				"label its instances, or remove it",
				"no instance is in subset \"%.64s\"", s->name.s);
	}
}

static void check_subset_names(struct mt_build *b, const struct mt_destination_rule *dr)
{
	struct mt_strmap names = {0};

	for (uint32_t i = 0; i < dr->n_subsets; i++) {
		const struct mt_subset *s = &dr->subsets[i], *first;
		char path[64];
		void *before;

		mt_strmap_put(&names, s->name.s, (void *)s, &before);
		first = before;
		snprintf(path, sizeof(path), "spec.subsets[%u].name", i);
		(void)mt_b_label(b, &dr->meta, &s->name, path, "subset");
		if (first)
			mt_b_error(b, &dr->meta, s->name.line, path,
				"give each subset its own name", "\"%.64s\" is already on line %u",
				s->name.s, first->name.line);
	}
	mt_strmap_fini(&names);
}

/* All that routes may name, referred to or not: a route that is edited in finds its cluster's state. */
static int host_clusters(struct mt_build *b, const struct mt_host *h)
{
	int rc = 0;

	for (const struct mt_unit *u = h->units; u && rc == 0; u = u->next) {
		rc = add_cluster(b, h, u, NULL);
		for (uint32_t i = 0; h->rule && i < h->rule->n_subsets && rc == 0; i++)
			rc = add_cluster(b, h, u, &h->rule->subsets[i]);
	}
	return rc;
}

void mt_b_clusters(struct mt_build *b)
{
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct mt_host *h = &b->host_list[i];
		uint32_t errors = b->diags->errors;

		if (h->rule)
			check_subset_names(b, h->rule);
		if (h->rule && h->units)
			check_rule(b, h);
		if (b->diags->errors == errors && host_clusters(b, h))
			b->tmp.failed = true;
	}
}
