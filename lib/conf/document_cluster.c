/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What ServiceEntries, WorkloadEntries and DestinationRules say of a cluster, in the words that discovery services have for it:
 * what istiod does with the same documents.
 */
#include "mt_conf_cluster_priv.h"
#include "mt_conf_forward_priv.h"
#include "mt_conf_policy_priv.h"

#include <netinet/in.h>
#include <errno.h>
#include <string.h>

/* ---- policy ----------------------------------------------------------------------------------------- */

#define WARMUP_LEAST 1000 /* ten percent, as istiod says where nothing is written */

/* LEAST_REQUEST is what the ecosystem takes when nothing is written. */
static enum mt_res_lb simple(const struct mt_lb_policy *lb)
{
	switch (lb ? lb->simple.v : MT_SIMPLE_UNSPECIFIED) {
	case MT_SIMPLE_ROUND_ROBIN:
		return MT_RES_ROUND_ROBIN;
	case MT_SIMPLE_RANDOM:
		return MT_RES_RANDOM;
	default:
		return MT_RES_LEAST_REQUEST;
	}
}

static void set_hash(struct mt_build *b, struct mt_res_cluster *c, const struct mt_hash_policy *p,
	const struct mt_codec *codec)
{
	bool source = p->use_source_ip.v != 0, key = !source && p->header.s && !codec->opaque;

	/* Neither a metadata key nor the source: the ecosystem then draws lots. */
	c->lb = MT_RES_RANDOM;
	c->hash = source || key ? mt_region_alloc(&b->tmp, sizeof(*c->hash)) : NULL;
	if (!c->hash)
		return;
	c->lb = p->ring || p->ring_min.v ? MT_RES_RING_HASH : MT_RES_MAGLEV;
	c->ring_min = p->ring && p->ring->min.v ? p->ring->min.v : p->ring_min.v;
	c->hash->source = source;
	if (key) {
		c->hash->key = p->header.s;
		c->hash->codec = codec->name;
	}
}

/* What is not said is as the ecosystem has it; all turned off leaves Meltemi's own rule. */
static struct mt_res_outlier *outlier(struct mt_build *b, const struct mt_outlier_policy *o)
{
	uint32_t errors, failures;
	struct mt_res_outlier *out;

	if (!o)
		return NULL;
	errors = o->errors.set ? o->errors.v : MT_OUTLIER_FAILURES;
	failures = MT_MIN(
		o->gateway.v ? o->gateway.v : UINT32_MAX, o->local.v ? o->local.v : UINT32_MAX);
	if (failures == UINT32_MAX)
		failures = errors;
	out = failures ? mt_region_alloc(&b->tmp, sizeof(*out)) : NULL;
	if (out)
		*out = (struct mt_res_outlier){.failures = {.v = failures, .set = true},
			.errors = {.v = errors, .set = true},
			.base_ejection_ms = o->base_ejection,
			.max_percent = o->most};
	return out;
}

static void set_warmup(struct mt_res_cluster *c, const struct mt_lb_policy *lb)
{
	const struct mt_warmup_policy *p = lb ? lb->warmup : NULL;

	if (!lb)
		return;
	c->warmup_ms = p ? p->duration.v : lb->warmup_ms.v;
	c->warmup_aggression = p ? p->aggression.v : 0;
	c->warmup_least = p && p->least.set ? (uint16_t)p->least.v : WARMUP_LEAST;
}

/* `more` in place of what is there, part by part. */
static void override(struct mt_traffic_policy *p, const struct mt_traffic_policy *more)
{
	if (!more)
		return;
	p->lb = more->lb ? more->lb : p->lb;
	p->pool = more->pool ? more->pool : p->pool;
	p->outlier = more->outlier ? more->outlier : p->outlier;
}

/* Settings of a port cannot contain it, so they do not replace it. */
static const struct mt_retry_budget_policy *budget_of(
	const struct mt_traffic_policy *top, const struct mt_traffic_policy *own)
{
	if (own && own->retry_budget)
		return own->retry_budget;
	return top ? top->retry_budget : NULL;
}

/*
 * Each part of the policy on its own: a subset that only writes a pool keeps the rule's balancer. What the rule says of the port
 * replaces all that it says.
 */
static void set_policy(struct mt_build *b, struct mt_document_cluster *out, const struct mt_unit *u,
	const struct mt_traffic_policy *top, const struct mt_traffic_policy *own, bool subset)
{
	struct mt_res_cluster *c = &out->cluster;
	struct mt_traffic_policy mine = {.lb = NULL}, all = {.lb = NULL};
	const struct mt_traffic_policy *top_port = mt_b_policy_of_port(top, u);
	const struct mt_lb_policy *lb;
	const struct mt_conn_pool *pool;
	bool inherited;

	override(&mine, own);
	override(&mine, mt_b_policy_of_port(own, u));
	override(&all, top_port ? top_port : top);
	override(&all, &mine);
	lb = all.lb;
	pool = all.pool;
	inherited = subset && !mine.lb;
	c->lb = simple(lb);
	/* A subset takes over everything but a hash of metadata, which each must write itself. */
	if (lb && lb->hash && inherited && !lb->hash->use_source_ip.v)
		c->lb = MT_RES_RANDOM;
	else if (lb && lb->hash)
		set_hash(b, c, lb->hash, u->codec);
	if (pool) {
		c->connect_ms = pool->tcp.connect_timeout.v;
		c->max_connections = pool->tcp.max_connections.v;
		c->max_requests = pool->http.max_requests.v;
		c->max_pending = pool->http.max_pending.v;
		c->max_retries = pool->http.max_retries;
	}
	c->retry_budget = budget_of(top, own);
	if (!c->connect_ms && b->model->mesh.config)
		c->connect_ms = b->model->mesh.config->connect_timeout.v;
	set_warmup(c, lb);
	c->outlier = outlier(b, all.outlier);
	if (all.outlier && all.outlier->least.v)
		c->panic_percent = all.outlier->least;
	out->locality = mt_b_locality_policy(b, lb, all.outlier != NULL);
	c->multiplexing = u->opts & MT_CODEC_OPT_MULTIPLEXING;
}

/* ---- instances -------------------------------------------------------------------------------------- */

/*
 * True for an instance that is there to be called at the port, of the subset if there is one. An
 * unfit one is left out, so that it finishes its calls and gets no new ones.
 */
static bool is_member(
	const struct mt_unit *u, const struct mt_workload *w, const struct mt_labels *labels)
{
	if (w->fitness == MT_UNFIT || (w->own_ports && !mt_labels_get(&w->ports, u->port->name.s)))
		return false;
	return w->weight.v && (!labels || mt_labels_match(labels, &w->labels));
}

/* The next part of "region/zone/subzone"; NULL: there is none. */
static const char *next_part(struct mt_build *b, const char **at)
{
	size_t len = *at ? strcspn(*at, "/") : 0;
	const char *part = len ? mt_region_strndup(&b->tmp, *at, len) : NULL;

	if (*at)
		*at = (*at)[len] ? *at + len + 1 : NULL;
	return part;
}

static bool is_same_locality(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

static enum mt_ep_drain drain_of(const struct mt_workload *w)
{
	const char *label = mt_labels_get(&w->labels, MT_DRAIN_LABEL);

	if (label && strcmp(label, "true") == 0)
		return MT_EP_DRAIN_LABEL;
	return w->fitness == MT_TERMINATING ? MT_EP_DRAIN_TERMINATING : MT_EP_DRAIN_NONE;
}

/* Neighbours of one locality and rank share an entry. */
static int add_endpoint(struct mt_build *b, struct mt_res_endpoints *e, struct mt_res_endpoint *ep,
	const struct mt_near *near, const char **last)
{
	struct mt_res_locality *l = e->n_localities ? &e->localities[e->n_localities - 1] : NULL;
	const char *locality = near->w->locality.s, *at = locality;

	if (!l || l->priority != near->rank || !is_same_locality(locality, *last)) {
		l = mt_region_push(&b->tmp, (void **)&e->localities, &e->n_localities, sizeof(*l));
		if (!l)
			return -ENOMEM;
		*l = (struct mt_res_locality){.eps = ep, .priority = near->rank};
		l->region = next_part(b, &at);
		l->zone = next_part(b, &at);
		l->subzone = next_part(b, &at);
		*last = locality;
	}
	l->n_eps++;
	e->n_eps++;
	return 0;
}

/* Sets the policies of an endpoint, one of `room` at most; a NULL: it has none. */
static int set_guard(struct mt_build *b, struct mt_cluster_guards *g, const struct mt_authz *a,
	uint32_t at, uint32_t room)
{
	if (!a)
		return b->tmp.failed ? -ENOMEM : 0;
	if (!g->v)
		g->v = mt_region_alloc(&b->tmp, sizeof(*g->v) * room);
	if (!g->v)
		return -ENOMEM;
	g->v[at] = a;
	return 0;
}

static int guard(struct mt_build *b, struct mt_cluster_guards *g, const struct mt_policed *to,
	uint32_t at, uint32_t room)
{
	const struct mt_authz *a = mt_b_guard(b, to, &g->hash);

	mt_b_policy_shared(b, to, a);
	if (b->n_inbound)
		a = mt_b_limited(b, to, a, &g->hash);
	return set_guard(b, g, a, at, room);
}

/*
 * How endpoints are called: as documents specify for all of them; each as a client of Istio would,
 * without settings; or not at all, as TLS of others is passed on to those that end it themselves.
 */
enum how { AS_WRITTEN, AUTOMATIC, PASSED };

static bool is_left_out(struct mt_build *b, const struct mt_policed *to, enum how how)
{
	if (how == PASSED)
		return !mt_b_ends_mtls(b, to->h, to->w, to->port);
	return how == AUTOMATIC && mt_b_asks_for_hbone(b, to->h, to->w, to->port);
}

static int add_endpoints(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_labels *labels, enum how how, struct mt_document_cluster *out)
{
	struct mt_res_endpoint *eps = mt_region_alloc(&b->tmp, sizeof(*eps) * h->n_workloads);
	struct mt_near *near = out->locality ? mt_b_near(b, out->locality, h) : NULL;
	const char *last = NULL;
	int rc = eps && (near || !out->locality) ? 0 : -ENOMEM;

	out->guards.of = eps;
	for (uint32_t i = 0; i < h->n_workloads && rc == 0; i++) {
		const struct mt_near as_written = {h->workloads[i], 0, i},
				     *one = near ? &near[i] : &as_written;
		const struct mt_workload *w = one->w;
		const struct mt_policed to = {h, w, u, mt_b_endpoint_port(u, w), false};
		uint32_t at = out->endpoints.n_eps;

		if (!is_member(u, w, labels) || is_left_out(b, &to, how))
			continue;
		eps[at].addr = w->address;
		eps[at].port = to.port;
		eps[at].weight = w->weight.v;
		eps[at].drain = drain_of(w);
		eps[at].tls =
			how == PASSED || (how == AUTOMATIC && mt_b_asks_for_mtls(b, h, w, to.port));
		out->cluster.tls_by_endpoint |= how == AUTOMATIC && eps[at].tls;
		rc = add_endpoint(b, &out->endpoints, &eps[at], one, &last);
		rc = rc ? rc : mt_b_note_peer(b, &out->endpoints, h, w, &eps[at]);
		if (rc == 0)
			rc = guard(b, &out->guards, &to, at, h->n_workloads);
	}
	if (rc == 0 && out->locality)
		rc = mt_b_place_localities(b, out);
	return rc;
}

/*
 * By whom, if all instances are closed: then there is nobody to choose. NULL: some are not, or there are none. `tls`: they are
 * anyway, and what policies say of each is asked for their own verdicts.
 */
static const struct mt_closer *closed_by(struct mt_build *b, const struct mt_host *h,
	const struct mt_unit *u, const struct mt_labels *labels, const struct mt_closer *tls)
{
	const struct mt_closer *by = NULL;

	for (uint32_t i = 0; i < h->n_workloads; i++) {
		const struct mt_workload *w = h->workloads[i];
		const struct mt_policed to = {h, w, u, mt_b_endpoint_port(u, w), false};
		const struct mt_authz *a;
		uint64_t ignored = 0;

		if (!w->weight.v || (labels && !mt_labels_match(labels, &w->labels)))
			continue;
		a = mt_b_guard(b, &to, &ignored);
		mt_b_policy_shared(b, &to, a);
		by = a ? mt_b_guard_closes(a) : NULL;
		if (!by && !tls)
			return NULL;
	}
	return tls ? tls : by;
}

/* ---- the whole of it -------------------------------------------------------------------------------- */

static uint64_t hash_endpoints(const struct mt_res_endpoints *e, uint64_t h)
{
	for (uint32_t i = 0; i < e->n_localities; i++) {
		const struct mt_res_locality *l = &e->localities[i];

		h = mt_hash_text(l->subzone, mt_hash_text(l->zone, mt_hash_text(l->region, h)));
		h = mt_hash_u64((uint64_t)l->priority << 32 | l->weight, h);
		h = mt_secret_hash(l->eps, sizeof(*l->eps) * l->n_eps, mt_hash_u64(l->n_eps, h));
	}
	for (int i = 0; e->peer && i < MT_PEER_LABELS; i++)
		h = mt_hash_text(e->peer->label[i], h);
	for (uint8_t i = 0; i < e->n_peers; i++)
		h = mt_hash_u64(e->peers[i].id, h);
	return mt_hash_u64((uint64_t)e->n_localities << 1 | e->not_bare, h);
}

static uint64_t hash_budget(const struct mt_retry_budget_policy *p, uint64_t h)
{
	h = mt_hash_u64((uint64_t)p->percent.v << 1 | p->percent.set, h);
	return mt_hash_u64((uint64_t)p->least.v << 1 | p->least.set, h);
}

/* Identity of the codec that knows the hash key; 0: none. */
static uint64_t codec_of(const struct mt_build *b, const struct mt_res_hash *h)
{
	const struct mt_codec *codec =
		h->codec ? mt_codec_registry_find(b->codecs, h->codec) : NULL;

	return codec ? mt_codec_identity(codec) : 0;
}

/* All that is said, as documents have no serial of their own for it. */
static uint64_t serial_of(const struct mt_build *b, const struct mt_document_cluster *d)
{
	const struct mt_res_cluster *c = &d->cluster;
	uint64_t h = mt_hash_u64(c->lb, 1);

	if (c->hash)
		h = mt_hash_u64(
			codec_of(b, c->hash), mt_hash_text(c->hash->key, h + c->hash->source));
	h = mt_hash_u64((uint64_t)c->ring_min << 1 | c->locality_weighted, h);
	h = mt_hash_u64((uint64_t)c->port << 1 | c->multiplexing, h);
	h = mt_hash_u64((uint64_t)c->connect_ms << 32 | c->max_connections, h);
	h = mt_hash_u64((uint64_t)c->max_requests << 32 | c->max_pending, h);
	h = mt_hash_u64((uint64_t)c->max_retries.v << 1 | c->max_retries.set, h);
	if (c->retry_budget)
		h = hash_budget(c->retry_budget, h);
	if (c->outlier) {
		h = mt_hash_u64((uint64_t)c->outlier->failures.v << 32 | c->outlier->errors.v, h);
		h = mt_hash_u64(
			(uint64_t)c->outlier->base_ejection_ms.v << 32 | c->outlier->max_percent.v,
			h);
	}
	h = mt_hash_u64((uint64_t)c->warmup_ms << 32 | c->panic_percent.v, h);
	h = mt_hash_u64((uint64_t)c->warmup_aggression << 32 | c->warmup_least, h);
	if (c->tls)
		h = mt_hash_tls(c->tls, mt_hash_u64(c->tls_by_endpoint, h));
	h = hash_endpoints(&d->endpoints, h);
	return h ? h : 1;
}

/* TLS that is written and cannot be made: then nobody is called. To go on in clear text would be worse. */
static const struct mt_closer *closed_by_tls(
	struct mt_build *b, const struct mt_res_cluster *c, const struct mt_meta *by)
{
	return c->tls && !c->tls_by_endpoint && mt_b_no_tls(b, c->tls) ? mt_b_closer(b, by) : NULL;
}

static int set_endpoints(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_subset *subset, struct mt_document_cluster *out)
{
	const struct mt_labels *labels = subset ? &subset->labels : NULL;
	const struct mt_meta *by;
	const struct mt_tls_settings *s = mt_b_tls_settings(h, u, subset, &by);
	struct mt_res_cluster *c = &out->cluster;
	bool automatic = !s && !u->port->tls_by, clear = s && s->mode.v == MT_TLS_DISABLE;

	if (h->over) {
		out->guards.closed_by = mt_b_closer(b, &h->se->meta);
		return out->guards.closed_by ? 0 : -ENOMEM;
	}
	if (!automatic && !clear) {
		c->tls = mt_b_document_tls(b, h, u, subset);
		if (!c->tls)
			return -ENOMEM;
	}
	out->guards.closed_by = closed_by(b, h, u, labels, closed_by_tls(b, c, by));
	if (out->guards.closed_by)
		return 0;
	if (add_endpoints(b, h, u, labels, automatic ? AUTOMATIC : AS_WRITTEN, out))
		return -ENOMEM;
	if (out->left_out)
		mt_b_tell_distribute(b, h, u, subset, out);
	if (c->tls_by_endpoint)
		c->tls = mt_b_document_tls(b, h, u, subset);
	return c->tls || !c->tls_by_endpoint ? 0 : -ENOMEM;
}

/* All but who is in it. */
static int begin(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_subset *subset, char *name, struct mt_document_cluster *out)
{
	struct mt_res_cluster *c = &out->cluster;

	*out = (struct mt_document_cluster){0};
	c->meta.name = name;
	if (!name)
		return -ENOMEM;
	c->discovery = MT_RES_STATIC;
	c->endpoints = &out->endpoints;
	c->port = (uint16_t)u->port->number.v;
	set_policy(b, out, u, h->rule ? h->rule->policy : NULL, subset ? subset->policy : NULL,
		subset != NULL);
	return 0;
}

int mt_b_document_cluster(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_subset *subset, struct mt_document_cluster *out)
{
	char *name = mt_region_printf(&b->tmp, "outbound|%u|%s|%s", u->port->number.v,
		subset ? subset->name.s : "", u->host);
	int rc = begin(b, h, u, subset, name, out);

	if (rc == 0)
		rc = set_endpoints(b, h, u, subset, out);
	out->cluster.meta.serial = serial_of(b, out);
	return rc;
}

int mt_b_passed_cluster(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_subset *subset, struct mt_document_cluster *out)
{
	int rc = begin(b, h, u, subset, mt_b_passed_name(b, u, subset), out);

	out->cluster.multiplexing = false;
	if (rc == 0)
		rc = add_endpoints(b, h, u, subset ? &subset->labels : NULL, PASSED, out);
	out->cluster.meta.serial = serial_of(b, out);
	return rc;
}

char *mt_b_forwarded_name(struct mt_build *b, const struct mt_unit *u)
{
	return mt_region_printf(&b->tmp, "%s|%u||%s", u->transport == IPPROTO_TCP ? "tcp" : "udp",
		u->port->number.v, u->host);
}

bool mt_b_forward_by_tls(
	struct mt_build *b, const struct mt_forward_dest *d, const struct mt_workload *w)
{
	const struct mt_meta *by;
	const struct mt_tls_settings *s = mt_b_tls_settings(d->h, d->u, d->subset, &by);

	if (s || d->u->port->tls_by)
		return !s || s->mode.v != MT_TLS_DISABLE;
	return mt_instance_class(d->h, w) == MT_INSTANCE_MESHED;
}

bool mt_b_forward_has(const struct mt_forward_dest *d, const struct mt_workload *w)
{
	return is_member(d->u, w, d->subset ? &d->subset->labels : NULL);
}

/* Endpoints of a forwarded port while they are collected. */
struct collected {
	struct mt_build *b;
	struct mt_forward_route *route;
	struct mt_strmap claims; /* forward_claims.c */
	/* By member, in the order of destinations and workloads. */
	const struct mt_authz **policies;
	uint32_t at;
	struct mt_res_endpoint *eps;
	uint32_t room;
	const char *last;
	struct mt_document_cluster *out;
	char left_out[MT_ADDR_STRLEN]; /* the first that a later destination does not get */
	uint32_t n_left_out;
};

static int claim(struct collected *c, const struct mt_policed *to)
{
	const struct mt_authz *policies = mt_b_guard(c->b, to, &c->out->guards.hash);

	c->policies[c->at++] = policies;
	return mt_b_forward_claim(c->b, &c->claims, to, policies);
}

static int add_collected(
	struct collected *c, const struct mt_policed *to, const struct mt_authz *policies)
{
	struct mt_document_cluster *out = c->out;
	const struct mt_near near = {to->w, 0, 0};
	uint32_t at = out->endpoints.n_eps;
	int rc;

	c->eps[at] = (struct mt_res_endpoint){.addr = to->w->address,
		.port = to->port,
		.weight = to->w->weight.v,
		.drain = drain_of(to->w)};
	rc = add_endpoint(c->b, &out->endpoints, &c->eps[at], &near, &c->last);
	return rc ? rc : set_guard(c->b, &out->guards, policies, at, c->room);
}

/* Adds the endpoint to the destination, and to the cluster unless it is there. */
static int collect(struct collected *c, const struct mt_policed *to)
{
	const struct mt_authz *policies = c->policies[c->at++];
	enum mt_forward_claimed claimed = mt_b_forward_claimed(&c->claims, to, policies);

	if (claimed == MT_FORWARD_LEFT_OUT && !c->n_left_out++)
		mt_addr_port_str(&to->w->address, to->port, c->left_out);
	if (claimed == MT_FORWARD_LEFT_OUT || claimed == MT_FORWARD_LEFT_OUT_AGAIN)
		return 0;
	c->route->members[c->route->n_members++] =
		(struct mt_forward_member){to->w->address, to->port, UINT32_MAX};
	return claimed == MT_FORWARD_ADDED ? add_collected(c, to, policies) : 0;
}

/* Calls `each` for the endpoints of a destination. */
static int of_dest(struct collected *c, const struct mt_forward_dest *d,
	int (*each)(struct collected *, const struct mt_policed *))
{
	int rc = 0;

	for (uint32_t i = 0; i < d->h->n_workloads && rc == 0; i++) {
		const struct mt_workload *w = d->h->workloads[i];
		const struct mt_policed to = {d->h, w, d->u, mt_b_endpoint_port(d->u, w), false};

		if (mt_b_forward_has(d, w) && !mt_b_forward_by_tls(c->b, d, w))
			rc = each(c, &to);
	}
	return rc;
}

static int collect_dest(struct collected *c, struct mt_forward_dest *d)
{
	int rc;

	d->first = c->route->n_members;
	rc = of_dest(c, d, collect);
	d->end = c->route->n_members;
	return rc;
}

static void tell_left_out(
	const struct collected *c, const struct mt_host *h, const struct mt_unit *u)
{
	char path[MT_INDEX_PATH];

	if (!c->n_left_out)
		return;
	mt_index_path(path, "spec.ports", (uint32_t)(u->port - u->se->ports), ".number");
	mt_b_warn(c->b, &h->se->meta, u->port->number.line, path,
		"let the same policies select it, or route to one of the hosts",
		"%u endpoint%s of its routes' hosts %s packets for one host only: %s has other "
		"policies as an endpoint of another host",
		c->n_left_out, c->n_left_out > 1 ? "s" : "", c->n_left_out > 1 ? "get" : "gets",
		c->left_out);
}

static int add_forwarded(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	struct mt_document_cluster *out)
{
	struct mt_forward_route *route = u->route;
	struct collected c = {.b = b, .route = route, .out = out};
	int rc;

	for (uint32_t i = 0; i < route->n; i++)
		c.room += route->v[i].h->n_workloads;
	c.eps = mt_region_alloc(&b->tmp, sizeof(*c.eps) * c.room);
	c.policies = mt_region_alloc(&b->tmp, sizeof(*c.policies) * c.room);
	route->members = mt_region_alloc(&b->tmp, sizeof(*route->members) * c.room);
	route->n_members = 0;
	out->guards.of = c.eps;
	rc = c.eps && c.policies && route->members ? 0 : -ENOMEM;
	for (uint32_t i = 0; i < route->n && rc == 0; i++)
		rc = of_dest(&c, &route->v[i], claim);
	c.at = 0;
	for (uint32_t i = 0; i < route->n && rc == 0; i++)
		rc = collect_dest(&c, &route->v[i]);
	mt_strmap_fini(&c.claims);
	tell_left_out(&c, h, u);
	return rc;
}

/*
 * Of the policy only a hash of the source counts. Weights are as written, without localities, so
 * that all nodes of a group choose alike.
 */
int mt_b_forwarded_cluster(struct mt_build *b, const struct mt_host *h, const struct mt_unit *u,
	const struct mt_closer *closed_by, struct mt_document_cluster *out)
{
	int rc = begin(b, h, u, NULL, mt_b_forwarded_name(b, u), out);
	struct mt_res_cluster *c = &out->cluster;

	/* lib/l4 has the table of its choice. */
	c->lb = MT_RES_ROUND_ROBIN;
	c->hash = c->hash && c->hash->source ? c->hash : NULL;
	c->ring_min = c->connect_ms = c->max_connections = c->max_requests = c->max_pending = 0;
	c->warmup_ms = c->warmup_aggression = c->warmup_least = 0;
	c->outlier = NULL;
	c->max_retries = c->panic_percent = (struct mt_num){0};
	c->retry_budget = NULL;
	out->locality = NULL;
	out->guards.closed_by = closed_by;
	if (rc == 0 && !u->route)
		rc = -ENOMEM;
	if (rc == 0 && !closed_by)
		rc = add_forwarded(b, h, u, out);
	c->meta.serial = serial_of(b, out);
	return rc;
}
