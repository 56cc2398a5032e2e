/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Services of documents: which of them routes and limits it, and whether these are the ones that they were, while it is taken
 * over.
 */
#include "mt_conf_mesh_priv.h"
#include "mt_conf_telemetry_priv.h"
#include "mt_authorize.h"

#include <errno.h>
#include <string.h>

/* A list of joined documents is made anew with each load, and says what it was made of. */
static uint64_t hash_list(const struct mt_rule_list *l, uint64_t h)
{
	if (l && l->made_of)
		return mt_hash_u64(l->made_of, mt_hash_text(l->name, h));
	return mt_hash_u64((uintptr_t)l, h);
}

/* MeshConfig's policy, for routes without `retries`; NULL: none. */
static const struct mt_rule_retries *default_retries(const struct mt_build *b)
{
	const struct mt_mesh_config *c = b->model->mesh.config;

	return c ? c->retries : NULL;
}

static uint64_t hash_retries(const struct mt_rule_retries *r, uint64_t h)
{
	if (!r)
		return h;
	h = mt_hash_u64((uint64_t)r->on << 32 | r->attempts.v, h);
	h = mt_hash_u64((uint64_t)r->per_try.v << 32 | r->backoff.v, h);
	return mt_hash_u64(r->other_hosts.set && !r->other_hosts.v, h);
}

static const char *namespace_of(const struct mt_document_service *d)
{
	return d->route.ns ? d->route.ns : d->route.meta->ns;
}

/* Of all that it is made from but where names lead; 0: nobody can tell whether it is the same. */
static uint64_t serial_of(struct mt_build *b, const struct mt_document_service *d)
{
	const struct mt_route_for *f = &d->route;
	const struct mt_service_slot *slot = d->slot;
	uint64_t h = mt_hash_text(slot->name, b->clients), log, tracing;

	/* Rules are the snapshot's, and a rate limit service may have moved. */
	if (d->gate || d->limits.global)
		return 0;
	if ((f->list && !f->meta->serial) || (d->limits.local && !d->limits.meta->serial))
		return 0;
	if (d->limits.clients && !mt_b_clients_meta(d->limits.clients)->serial)
		return 0;
	h = mt_hash_text(slot->key, h);
	h = mt_hash_u64(slot->origin.line, mt_hash_text(slot->origin.file, h));
	h = mt_hash_u64(
		(uint64_t)f->port << 8 | d->opts, mt_hash_u64(mt_codec_identity(f->codec), h));
	h = mt_hash_text(f->ns, mt_hash_text(f->gateway, h));
	h = hash_retries(default_retries(b), h);
	(void)mt_b_log_scope(b, NULL, namespace_of(d), d->gateway, &log);
	(void)mt_b_tracing(b, NULL, namespace_of(d), d->gateway, f->codec, &tracing);
	h = mt_hash_u64(tracing, mt_hash_u64(log, h));
	h = mt_hash_u64(mt_b_metrics_of(b, namespace_of(d), d->gateway)->hash, h);
	h = hash_list(f->list, f->list ? mt_hash_u64(f->meta->serial, h) : h);
	if (d->limits.local)
		h = mt_hash_u64((uintptr_t)d->limits.local, mt_hash_u64(d->limits.meta->serial, h));
	if (d->limits.clients)
		h = mt_b_clients_hash(d->limits.clients, h);
	return h ? h : 1;
}

static bool is_same(struct mt_build *b, struct mt_shared_service *sv,
	const struct mt_document_service *d, uint64_t serial)
{
	return serial && sv->serial == serial &&
	       sv->override_stamp == mt_overrides_service_stamp(&b->conf->overrides, sv->s->name) &&
	       mt_b_service_leads(b, sv, d->route.meta->ns);
}

/* One of the documents that it was made of leads nowhere: it is to be told with the next load, too. */
static bool is_lost(struct mt_build *b, const struct mt_route_for *f)
{
	bool lost = mt_b_leads_nowhere(b, f->meta);

	for (uint32_t i = 0; b->lost.n && f->list && i < f->list->n_rules && !lost; i++)
		lost = f->list->rules[i].by && mt_b_leads_nowhere(b, f->list->rules[i].by);
	return lost;
}

/* Calls are judged before anything else is done with them. */
static int add_gate(
	struct mt_build *b, const struct mt_document_service *d, struct mt_shared_service *sv)
{
	struct mt_filter_inst *f;

	if (!d->gate)
		return 0;
	sv->hash = mt_hash_u64(d->gate_hash, sv->hash);
	sv->s->gate = d->gate;
	if (d->route.codec->opaque)
		return 0;
	f = mt_b_filter(b, sv->s);
	if (!f)
		return -ENOMEM;
	f->type = &mt_gate_filter;
	f->conf = (void *)d->gate;
	f->file = mt_b_file(b, d->gate_meta->origin.file);
	f->line = d->gate_meta->origin.line;
	sv->s->n_filter_insts++;
	return 0;
}

/* Whoever judges a call has to have it. */
static void wait_for_gate(const struct mt_gate_guard *gate, struct mt_service *s)
{
	if (!gate)
		return;
	s->searches |= gate->rules->searches;
	s->early_ok = s->early_ok && !gate->rules->reads;
}

/*
 * The document that is wrong if there is no room for the service: without routes at a gateway, the
 * Gateway, which passes TLS to the service.
 */
static const struct mt_meta *payer(const struct mt_document_service *d)
{
	return d->route.gateway && !d->route.list ? d->gate_meta : d->route.meta;
}

static struct mt_shared_service *make(
	struct mt_build *b, const struct mt_document_service *d, uint64_t serial, int *rc)
{
	const struct mt_service_slot *slot = d->slot;
	struct mt_route_for route = d->route, *f = &route;
	const struct mt_service_said said = {slot->unique, slot->name, slot->key, payer(d),
		namespace_of(d), slot->origin, f->port, f->codec, d->opts};
	struct mt_shared_service *sv = mt_b_service_begin(b, &said);
	const struct mt_metrics_of *metrics;
	uint64_t log, tracing;

	*rc = b->tmp.failed ? -ENOMEM : -EINVAL;
	if (!sv)
		return NULL;
	sv->deps.joined = f->list && f->list->made_of;
	if (f->fallback != MT_NO_CLUSTER)
		mt_b_note_dep(b, MT_DEP_PLACE, f->fallback);
	sv->s->gateway = f->gateway != NULL;
	sv->s->log_scope = mt_b_log_scope(b, &sv->region, namespace_of(d), d->gateway, &log);
	sv->s->tracing =
		mt_b_tracing(b, &sv->region, namespace_of(d), d->gateway, f->codec, &tracing);
	metrics = mt_b_metrics_of(b, namespace_of(d), d->gateway);
	sv->s->metrics_off = metrics->off;
	sv->s->metric_tags = mt_b_metric_tags_copy(&sv->region, metrics->tags);
	sv->hash = mt_hash_u64(tracing, mt_hash_u64(log, sv->hash));
	sv->hash = mt_hash_u64(metrics->hash, sv->hash);
	route.retries = default_retries(b);
	*rc = mt_b_service_route(b, sv, f);
	/* TLS at a port of messages goes as bytes to the host itself (mt_b_listen_split()). */
	if (!f->codec->opaque)
		sv->s->tcp_cluster = f->fallback;
	if (*rc == 0)
		*rc = add_gate(b, d, sv);
	if (*rc == 0)
		*rc = mt_b_finish_service(b, &d->limits, f->codec, f->port, sv->s, &sv->hash);
	if (*rc == 0)
		wait_for_gate(d->gate, sv->s);
	sv->serial = is_lost(b, f) ? 0 : serial;
	return mt_b_service_end(b, sv, *rc);
}

int mt_b_document_service(struct mt_build *b, const struct mt_document_service *d)
{
	struct mt_snap *s = b->snap;
	uint64_t serial = serial_of(b, d);
	struct mt_shared_service *sv = mt_strmap_get(&b->conf->shared.services, d->slot->unique);
	struct mt_shared_service **to;
	int rc = 0;

	to = mt_region_push(&s->region, (void **)&s->services, &s->n_services, sizeof(*to));
	if (!to)
		return -ENOMEM;
	s->n_services--;
	if (sv && is_same(b, sv, d, serial)) {
		b->conf->shared.work.services_shared++;
		sv->refs++;
	} else {
		sv = make(b, d, serial, &rc);
	}
	if (!sv)
		return b->tmp.failed ? -ENOMEM : rc;
	*to = sv;
	s->n_doc_services = ++s->n_services;
	d->slot->s = sv->s;
	return 0;
}

/* ---- which documents say it ---------------------------------------------------------------------- */

const struct mt_rule_list *mt_b_unit_rules(
	const struct mt_host *h, const struct mt_unit *u, const struct mt_meta **meta)
{
	const char *protocol = u->codec->opaque ? NULL : u->protocol;
	const struct mt_host_routes *of = u->codec->opaque ? &h->bytes : &h->messages;
	const struct mt_rule_list *list = NULL;

	*meta = &h->se->meta;
	if (h->over)
		return NULL;
	if (u->patch && u->patch->routes.n_rules) {
		*meta = u->patch_meta;
		return &u->patch->routes;
	}
	if (protocol && h->router && h->router->routes.n_rules) {
		*meta = &h->router->meta;
		return &h->router->routes;
	}
	if (of->vs)
		list = mt_b_rule_list(of->vs, protocol);
	if (!list || !list->n_rules)
		return NULL;
	*meta = &of->vs->meta;
	return list;
}

const struct mt_limit_conf *mt_b_unit_limit(
	const struct mt_host *h, const struct mt_unit *u, const struct mt_meta **meta)
{
	*meta = h->router ? &h->router->meta : NULL;
	if (h->over || u->codec->opaque)
		return NULL;
	if (u->patch && u->patch->limit) {
		*meta = u->patch_meta;
		return u->patch->limit;
	}
	return h->router ? h->router->limit : NULL;
}

const struct mt_global_conf *mt_b_unit_global(const struct mt_host *h, const struct mt_unit *u)
{
	return h->router && !h->over && !u->codec->opaque ? h->router->global : NULL;
}

static void choose_rules(struct mt_host *h, const struct mt_unit *u, struct mt_route_for *f)
{
	struct mt_host_routes *of = u->codec->opaque ? &h->bytes : &h->messages;

	f->list = mt_b_unit_rules(h, u, &f->meta);
	h->router_used |= !u->codec->opaque && u->protocol != NULL;
	of->used |= of->vs && f->meta == &of->vs->meta;
}

static int route_unit(struct mt_build *b, struct mt_host *h, struct mt_unit *u)
{
	struct mt_document_service d = {.slot = u->service,
		.route = {.codec = u->codec,
			.ns = h->se->meta.ns,
			.port = (uint16_t)u->port->number.v},
		.opts = u->opts,
		.gate_meta = &h->se->meta};

	(void)mt_b_pay(b, &h->se->meta);
	d.limits.local = mt_b_unit_limit(h, u, &d.limits.meta);
	d.limits.global = mt_b_unit_global(h, u);
	d.limits.global_meta = d.limits.global ? &h->router->meta : NULL;
	d.limits.clients = mt_b_host_clients(h);
	d.gate = mt_b_gate_of_clients(b, h, u, &d.gate_hash);
	/* Without one it was told why. */
	d.route.fallback = mt_b_unit_cluster(b, u, NULL);
	if (d.route.fallback == MT_NO_CLUSTER)
		return -EINVAL;
	choose_rules(h, u, &d.route);
	/* The document with the routes pays for them, because it may be of another namespace. */
	(void)mt_b_pay(b, d.route.meta);
	return mt_b_document_service(b, &d);
}

static void tell_unused(
	struct mt_build *b, const struct mt_host *h, const struct mt_virtual_service *vs)
{
	static const char remedy[] = "name a port of the host tcp-metaprotocol-PROTOCOL";
	const struct mt_meta *m = &vs->meta;

	if (vs->n_hosts == 1 && vs->n_gateways < 2 && vs->hosts[0].s[0] != '*')
		mt_b_unused(b, m, m->origin.line, NULL, remedy,
			"none of its lists is for a port of %.128s", h->se->hosts[0].s);
	else
		mt_b_warn(b, m, m->origin.line, NULL, remedy,
			"not used: none of its lists is for a port of %.128s", h->se->hosts[0].s);
}

/* Reports routes that no port follows; usually the port's name wrongly means bytes. */
static void warn_unused(struct mt_build *b, const struct mt_host *h)
{
	bool same = h->bytes.vs == h->messages.vs;
	const struct mt_meta *m;

	if (h->router && !h->router_used) {
		m = &h->router->meta;
		mt_b_warn(b, m, h->router->hosts[0].line, "spec.hosts[0]",
			"name a port of the host tcp-metaprotocol-PROTOCOL",
			"not used: no port of %.128s carries messages", h->se->hosts[0].s);
	}
	if (h->bytes.vs && !h->bytes.used && !(same && h->messages.used))
		tell_unused(b, h, h->bytes.vs);
	if (h->messages.vs && !h->messages.used && !same)
		tell_unused(b, h, h->messages.vs);
}

/* Goes on after a refused service, so that one run tells of all of them. */
int mt_b_document_services(struct mt_build *b)
{
	int rc = 0;

	mt_b_work_of_gateways(b);
	if (b->work.over)
		return 0;
	for (uint32_t i = 0; i < b->n_hosts && rc != -ENOMEM; i++) {
		struct mt_host *h = &b->host_list[i];

		if (b->work.full)
			return -ENOMEM;
		for (struct mt_unit *u = h->units; u && rc != -ENOMEM; u = u->next)
			rc = route_unit(b, h, u);
		if ((h->units || h->forwards) && !h->over)
			warn_unused(b, h);
	}
	for (uint32_t i = 0; i < b->n_bound && rc != -ENOMEM; i++) {
		(void)mt_b_pay(b, payer(&b->bound[i]));
		if (b->work.full)
			return -ENOMEM;
		rc = mt_b_document_service(b, &b->bound[i]);
	}
	(void)mt_b_pay(b, NULL);
	mt_b_empty_subsets_tell(b);
	return rc == -ENOMEM ? rc : 0;
}
