/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Instances that discovery services name, as policies of documents see them: of the namespace that their metadata say, with
 * labels that nobody knows, and bare but where a proxy of their own is told of. Which messages are led to a cluster is known
 * when all listeners are.
 */
#include "mt_conf_mesh_priv.h"
#include "mt_conf_policy_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What documents would say of such a host. */
struct told_host {
	struct mt_host h;
	struct mt_service_entry se;
	struct mt_text name;
	struct mt_workload bare, meshed;
};

/* A port of it, or a subset's. */
struct told_cluster {
	struct mt_cluster *c;
	struct told_host *host;
	struct mt_se_port port;
	struct mt_unit u;
	uint32_t n_meshed;
	bool several; /* protocols */
};

struct told {
	struct mt_build *b;
	struct told_cluster *v; /* by place behind the documents' */
	uint32_t n, first;
	struct mt_strmap hosts; /* struct told_host */
};

/* ---- what they are about, before anything is compiled ------------------------------------------------ */

static void mark(struct mt_build *b, const struct mt_res_endpoints *e)
{
	const struct mt_policy_bag *bag = e && e->ns ? mt_b_policies_of(b, e->ns) : NULL;

	for (uint32_t i = 0; bag && i < bag->all.n; i++)
		bag->all.v[i]->of_mesh = true;
}

void mt_b_policies_of_mesh(struct mt_build *b)
{
	const struct mt_model *m = b->model;
	const struct mt_policy_bag *root = mt_b_policies_of(b, mt_b_root_namespace(b));

	for (uint32_t i = 0; m->res_clusters.n && root && i < root->all.n; i++)
		root->all.v[i]->of_mesh = true;
	for (uint32_t i = 0; i < m->res_endpoints.n; i++)
		mark(b, m->res_endpoints.v[i]);
	for (uint32_t i = 0; i < m->res_clusters.n; i++) {
		const struct mt_res_cluster *mc = m->res_clusters.v[i];

		mark(b, mc->dns ? mc->dns->fixed : mc->endpoints);
	}
}

bool mt_b_may_be_guarded(const struct mt_build *b, const char *ns)
{
	const struct mt_policies *all = b->policies;

	return mt_b_policies_of(b, mt_b_root_namespace(b)) || all->n_outbound ||
	       (ns ? mt_b_policies_of(b, ns) != NULL : all->n_drifting != 0);
}

/* ---- hosts ------------------------------------------------------------------------------------------- */

/* "NAME.NAMESPACE.svc.DOMAIN" is a Service of Kubernetes; of all else a ServiceEntry of some name. */
static void name_it(struct mt_build *b, struct told_host *t, const char *host, const char *ns)
{
	const char *dot = strchr(host, '.');
	size_t len = ns ? strlen(ns) : 0;
	struct mt_meta *meta = &t->se.meta;

	meta->kind = "ServiceEntry";
	meta->name = "";
	meta->ns = ns ? ns : "";
	meta->ns_unwritten = !ns;
	if (!dot || !len || strncmp(dot + 1, ns, len) != 0 ||
		strncmp(dot + 1 + len, ".svc.", 5) != 0)
		return;
	meta->kind = "Service";
	meta->name = mt_region_printf(&b->tmp, "%.*s", (int)(dot - host), host);
	meta->name = meta->name ? meta->name : "";
}

static struct told_host *host_of(struct told *all, const char *host, const char *ns)
{
	struct mt_build *b = all->b;
	char *key = mt_region_printf(&b->tmp, "%s %s", ns ? ns : "", host);
	struct told_host *t = key ? mt_strmap_get(&all->hosts, key) : NULL;

	if (t || !key)
		return t;
	t = mt_region_alloc(&b->tmp, sizeof(*t));
	if (!t || mt_strmap_put(&all->hosts, key, t, NULL))
		return NULL;
	name_it(b, t, host, ns);
	t->name.s = host;
	t->se.hosts = &t->name;
	t->se.n_hosts = 1;
	t->se.location.v = MT_LOCATION_MESH_INTERNAL;
	t->se.resolution.v = MT_RESOLUTION_STATIC;
	t->h.se = &t->se;
	t->bare = (struct mt_workload){
		.copy_of_inline = &t->se, .proxy = MT_PROXY_NONE, .labels_unknown = true};
	t->meshed = t->bare;
	t->meshed.proxy = MT_PROXY_SIDECAR;
	return t;
}

/* "outbound|PORT|SUBSET|HOST"; of another form: the name is the host, and no port is known. */
static const char *read_name(const char *name, uint32_t *port)
{
	static const char outbound[] = "outbound|";
	const char *digits = name + strlen(outbound), *host;
	size_t n;

	*port = 0;
	if (strncmp(name, outbound, strlen(outbound)) != 0)
		return name;
	n = strspn(digits, "0123456789");
	if (!n || n > 5 || digits[n] != '|' || strtoul(digits, NULL, 10) > UINT16_MAX)
		return name;
	*port = (uint32_t)strtoul(digits, NULL, 10);
	host = strrchr(name, '|') + 1;
	return *host ? host : name;
}

static bool add_cluster(struct told *all, struct told_cluster *t)
{
	const struct mt_shared_cluster *sc = all->b->snap->clusters[t->c - all->b->clusters_v];
	uint32_t port;
	const char *host = mt_host_name(&all->b->tmp, read_name(t->c->name, &port));

	if (!host)
		return false;
	t->host = host_of(all, host, mt_mesh_ns(all->b, sc));
	if (!t->host)
		return false;
	t->port.number.v = port;
	t->u.se = &t->host->se;
	t->u.port = &t->port;
	t->u.host = host;
	/* In bytes may be anything, as nobody says what the port is. */
	t->u.web = t->u.codec->opaque ? MT_WEB_MAYBE : MT_WEB_NOT;
	t->u.next = t->host->h.units;
	t->host->h.units = &t->u;
	for (uint32_t i = 0; i < t->c->n_eps; i++)
		t->n_meshed += t->c->eps[i].meshed;
	return true;
}

/* ---- which messages are led there -------------------------------------------------------------------- */

static void led(struct told *all, uint32_t at, const struct mt_codec *codec)
{
	struct told_cluster *t = at - all->first < all->n ? &all->v[at - all->first] : NULL;

	if (!t)
		return;
	t->several |= t->u.codec && !mt_codec_same(t->u.codec, codec);
	t->u.codec = codec;
}

static void led_by_service(
	struct told *all, const struct mt_service *s, const struct mt_codec *codec)
{
	for (uint32_t i = 0; s->routes && i < mt_route_count(s->routes); i++) {
		const struct mt_route_action *a = mt_route_at(s->routes, i);

		for (uint32_t k = 0; k < a->n_dests; k++)
			led(all, a->dests[k].cluster, codec);
		for (uint32_t k = 0; k < a->n_mirrors; k++)
			led(all, a->mirrors[k].cluster, codec);
	}
	for (uint32_t i = 0; i < s->n_tcp_dests; i++)
		led(all, s->tcp_dests[i].cluster, codec);
	led(all, s->tcp_cluster, codec);
}

static void find_codecs(struct told *all)
{
	const struct mt_snapshot *s = &all->b->snap->pub;

	for (uint32_t i = 0; i < s->n_listeners; i++)
		for (uint32_t k = 0; k < s->listeners[i].n_protos; k++) {
			const struct mt_filter_chain_proto *p = &s->listeners[i].protos[k];

			for (uint32_t j = 0; j < p->n_services; j++)
				led_by_service(all, p->services[j], p->codec);
		}
}

/* ---- guarded ----------------------------------------------------------------------------------------- */

/* By endpoint, in the snapshot; most of a cluster are alike. *open: somebody may be called, whatever he is called for. */
static bool find_guards(struct told *all, const struct told_cluster *t, const struct mt_authz **v,
	bool *open, const struct mt_closer **by)
{
	const struct mt_endpoint *last = NULL;
	bool any = false;

	*open = false;
	for (uint32_t i = 0; i < t->c->n_eps; i++) {
		const struct mt_endpoint *ep = &t->c->eps[i];
		const struct mt_policed to = {&t->host->h,
			ep->meshed ? &t->host->meshed : &t->host->bare, &t->u, ep->port,
			t->several};
		uint64_t ignored = 0;

		if (last && last->port == ep->port && last->meshed == ep->meshed)
			v[i] = v[i - 1];
		else
			v[i] = mt_b_guard(all->b, &to, &ignored);
		last = ep;
		any |= v[i] != NULL;
		*by = v[i] ? mt_b_guard_closes(v[i]) : NULL;
		*open |= *by == NULL;
	}
	return any;
}

/* The snapshot's own endpoints, with guards; their ages are found by their place. Zero or -ENOMEM. */
static int take_guards(struct mt_region *r, struct mt_cluster *c, const struct mt_authz **v)
{
	struct mt_endpoint *eps = mt_region_alloc(r, sizeof(*eps) * c->n_eps);
	size_t size = c->warmup ? sizeof(*c->warmup) + sizeof(c->warmup->since[0]) * c->n_eps : 0;
	struct mt_warmup *w = size ? mt_region_alloc(r, size) : NULL;

	if (!eps || (size && !w))
		return -ENOMEM;
	memcpy(eps, c->eps, sizeof(*eps) * c->n_eps);
	for (uint32_t i = 0; i < c->n_eps; i++) {
		eps[i].guarded = v[i] != NULL;
		c->guards_read |= v[i] && v[i]->reads;
		c->guards_search |= v[i] && v[i]->searches;
		c->guards_change |= mt_authz_changes(v[i]);
	}
	/* Levels have a part of the cluster's own endpoints, and the warm-up of those. */
	if (w && !c->n_levels) {
		memcpy(w, c->warmup, size);
		w->eps = eps;
		c->warmup = w;
	}
	c->eps = eps;
	c->guards = v;
	return 0;
}

/* The endpoints without TLS once more, in their order, for whom nobody lends an identity. */
static int guard_unlent(struct mt_region *r, struct mt_cluster *c, const struct mt_authz **v)
{
	struct mt_cluster *u = mt_region_alloc(r, sizeof(*u));
	const struct mt_authz **own =
		mt_region_alloc(r, sizeof(struct mt_authz *) * c->unlent->n_eps);
	uint32_t n = 0;

	if (!u || !own)
		return -ENOMEM;
	*u = *c->unlent;
	u->port = c->port;
	u->guards_read = u->guards_search = u->guards_change = false;
	for (uint32_t i = 0; i < c->n_eps && n < u->n_eps; i++)
		if (!c->eps[i].tls)
			own[n++] = v[i];
	c->unlent = u;
	return take_guards(r, u, own);
}

/* What the discovery service said is shared by snapshots; who is guarded is this one's. */
static int guard(struct told *all, struct told_cluster *t)
{
	struct mt_region *r = &all->b->snap->region;
	struct mt_cluster *c = t->c;
	const struct mt_authz **v = mt_region_alloc(r, sizeof(struct mt_authz *) * c->n_eps);
	const struct mt_closer *by = NULL;
	bool open, any = v && find_guards(all, t, v, &open, &by);

	c->guards_read = c->guards_search = c->guards_change = false;
	if (!v || all->b->tmp.failed)
		return -ENOMEM;
	if (!any)
		return 0;
	c->port = (uint16_t)t->port.number.v;
	if (!open) {
		c->closed_by = by;
		c->n_eps = c->n_levels = 0;
		c->lend = NULL;
		c->as = NULL;
		c->unlent = NULL;
		return 0;
	}
	if (c->unlent && guard_unlent(r, c, v))
		return -ENOMEM;
	return take_guards(r, c, v);
}

static void look_at(struct told *all, const struct told_cluster *t)
{
	struct told_host *h = t->host;
	uint32_t n = t->c->n_eps - t->n_meshed;

	if (n)
		mt_b_policies_look(all->b, &h->h, &h->bare, n);
	if (t->n_meshed)
		mt_b_policies_look(all->b, &h->h, &h->meshed, t->n_meshed);
}

static int guard_all(struct told *all)
{
	struct told_host *h;
	uint32_t pos = 0;
	int rc = 0;

	find_codecs(all);
	for (uint32_t i = 0; i < all->n; i++)
		if (all->v[i].u.codec && all->v[i].c->n_eps && !add_cluster(all, &all->v[i]))
			return -ENOMEM;
	for (uint32_t i = 0; i < all->n; i++)
		if (all->v[i].host)
			look_at(all, &all->v[i]);
	while ((h = mt_strmap_next(&all->hosts, &pos, NULL)) != NULL)
		mt_b_policies_look_at_clients(all->b, &h->h);
	for (uint32_t i = 0; i < all->n && rc == 0; i++)
		if (all->v[i].host)
			rc = guard(all, &all->v[i]);
	return rc;
}

int mt_b_mesh_policies(struct mt_build *b)
{
	struct told all = {.b = b,
		.n = b->n_clusters - b->snap->n_doc_clusters,
		.first = b->snap->n_doc_clusters};
	int rc;

	if (!b->policies || !all.n)
		return 0;
	all.v = mt_region_alloc(&b->tmp, sizeof(*all.v) * all.n);
	if (!all.v)
		return -ENOMEM;
	for (uint32_t i = 0; i < all.n; i++)
		all.v[i].c = &b->clusters_v[all.first + i];
	rc = guard_all(&all);
	mt_strmap_fini(&all.hosts);
	return rc;
}
