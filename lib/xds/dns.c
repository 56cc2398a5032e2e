/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clusters whose endpoints are host names: each name is looked up, again when its answer has grown old, and what it
 * led to are the cluster's endpoints. A name that cannot be looked up keeps the addresses that it had.
 */
#include "mt_xds_priv.h"

#include "cluster.pb-c.h"
#include "mt_pb.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define REFRESH	    (30 * MT_SEC) /* of an answer that says nothing of its age */
#define REFRESH_MIN (5 * MT_SEC)
#define REFRESH_MAX (3600 * MT_SEC)
#define RETRY	    (5 * MT_SEC)
#define HOSTS_MAX   1024
#define ARENA	    (16u << 20)

/* One endpoint as the cluster writes it. */
struct host {
	struct xds_dns *d;
	struct mt_lookup *lookup;
	char *name;
	uint16_t port;
	uint32_t weight, locality;
	uint64_t due;
	bool tls;	    /* it asks for it */
	bool asked, failed; /* since the cluster was told */
	struct mt_addr addrs[MT_LOOKUP_ADDRS];
	uint32_t n_addrs;
};

struct xds_dns {
	struct mt_list node; /* of x->dns */
	struct mt_xds *x;
	struct xds_res *r;
	bool one; /* LOGICAL_DNS: one address of each name is used */
	struct host *hosts;
	uint32_t n_hosts;
	struct mt_mesh_locality *localities; /* without endpoints; of `region` */
	uint32_t n_localities;
	struct mt_region region;
	struct mt_model *part; /* NULL: no address yet */
	struct mt_err why;
};

/* ---- the cluster's own words ----------------------------------------------------------------------- */

static const char *text_of(struct mt_region *region, const char *s)
{
	return s && *s ? mt_region_strdup(region, s) : NULL;
}

static void add_host(struct xds_dns *d, const Xds__LbEndpoint *e, uint32_t locality)
{
	bool is_endpoint = e->host_identifier_case == XDS__LB_ENDPOINT__HOST_IDENTIFIER_ENDPOINT;
	const Xds__Address *a = is_endpoint && e->endpoint ? e->endpoint->address : NULL;
	const Xds__SocketAddress *s = a && a->address_case == XDS__ADDRESS__ADDRESS_SOCKET_ADDRESS
					      ? a->socket_address
					      : NULL;
	struct host *h;

	if (!s || !*s->address || d->n_hosts == HOSTS_MAX)
		return;
	h = mt_region_push(&d->region, (void **)&d->hosts, &d->n_hosts, sizeof(*h));
	if (!h)
		return;
	h->d = d;
	h->name = mt_region_strdup(&d->region, s->address);
	h->port = (uint16_t)s->port_value;
	h->weight = e->load_balancing_weight ? e->load_balancing_weight->value : 1;
	h->weight = h->weight ? h->weight : 1;
	h->tls = mt_xds_asks_for_tls(e->metadata);
	h->locality = locality;
}

static void add_locality(struct xds_dns *d, const Xds__LocalityLbEndpoints *from)
{
	struct mt_mesh_locality *l =
		mt_region_push(&d->region, (void **)&d->localities, &d->n_localities, sizeof(*l));

	if (!l)
		return;
	if (from->locality) {
		l->region = text_of(&d->region, from->locality->region);
		l->zone = text_of(&d->region, from->locality->zone);
		l->subzone = text_of(&d->region, from->locality->sub_zone);
	}
	l->weight = from->load_balancing_weight ? from->load_balancing_weight->value : 0;
	l->priority = from->priority;
	for (size_t i = 0; i < from->n_lb_endpoints; i++)
		add_host(d, from->lb_endpoints[i], d->n_localities - 1);
}

static void read_cluster(struct xds_dns *d, const struct xds_body *b)
{
	struct mt_pb_arena arena;
	const char *why;
	Xds__Cluster *c = NULL;
	uint8_t *own;
	const uint8_t *bytes = xds_body_bytes(d->x, b, &own);

	mt_pb_arena_init(&arena, ARENA);
	if (bytes)
		c = mt_pb_unpack(&arena, &xds__cluster__descriptor, bytes, b->raw_len, &why);
	for (size_t i = 0; c && c->load_assignment && i < c->load_assignment->n_endpoints; i++)
		add_locality(d, c->load_assignment->endpoints[i]);
	mt_pb_arena_fini(&arena);
	free(own);
}

/* ---- what they lead to ----------------------------------------------------------------------------- */

static uint32_t count(const struct xds_dns *d, uint32_t locality)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < d->n_hosts; i++)
		if (d->hosts[i].locality == locality)
			n += d->hosts[i].n_addrs;
	return n;
}

static void fill(const struct xds_dns *d, struct mt_mesh_locality *l, uint32_t locality)
{
	for (uint32_t i = 0; i < d->n_hosts; i++) {
		const struct host *h = &d->hosts[i];

		for (uint32_t k = 0; h->locality == locality && k < h->n_addrs; k++)
			l->eps[l->n_eps++] = (struct mt_mesh_endpoint){.addr = h->addrs[k],
				.weight = h->weight,
				.port = h->port,
				.tls = h->tls};
	}
}

static struct mt_mesh_locality *copy_locality(
	const struct xds_dns *d, struct mt_region *region, uint32_t i, struct mt_mesh_locality *l)
{
	const struct mt_mesh_locality *from = &d->localities[i];
	uint32_t n = count(d, i);

	*l = *from;
	l->region = text_of(region, from->region);
	l->zone = text_of(region, from->zone);
	l->subzone = text_of(region, from->subzone);
	l->eps = mt_region_alloc(region, sizeof(*l->eps) * (n + 1));
	l->n_eps = 0;
	if (l->eps)
		fill(d, l, i);
	return l;
}

static struct mt_model *make_part(const struct xds_dns *d)
{
	struct mt_model *m = mt_model_new();
	struct mt_mesh_endpoints *e = m ? mt_region_alloc(&m->region, sizeof(*e)) : NULL;

	if (e)
		e->localities =
			mt_region_alloc(&m->region, sizeof(*e->localities) * (d->n_localities + 1));
	if (!e || !e->localities) {
		mt_model_free(m);
		return NULL;
	}
	e->meta.kind = "ClusterLoadAssignment";
	e->meta.name = mt_region_strdup(&m->region, d->r->name);
	e->meta.ns = "default";
	e->meta.origin.file = mt_region_strdup(&m->region, d->x->origin);
	e->meta.serial = ++d->x->serial;
	e->overprovisioning = 140;
	for (uint32_t i = 0; i < d->n_localities; i++)
		e->n_eps +=
			copy_locality(d, &m->region, i, &e->localities[e->n_localities++])->n_eps;
	if (m->region.failed || mt_model_add(m, &m->mesh_endpoints, e)) {
		mt_model_free(m);
		return NULL;
	}
	return m;
}

static void renew(struct xds_dns *d)
{
	struct mt_model *m = make_part(d);
	uint32_t n = 0;

	for (uint32_t i = 0; i < d->n_localities; i++)
		n += count(d, i);
	if (!m || !n) {
		mt_model_free(m);
		return;
	}
	mt_model_free(d->part);
	d->part = m;
	d->x->changed = true;
	xds_touch(d->x);
}

/* ---- looking up ------------------------------------------------------------------------------------ */

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct mt_addr));
}

/* Name servers turn their answers round: the same addresses in another order are the same. */
static bool take_addresses(struct host *h, const struct mt_lookup_result *result)
{
	struct mt_addr sorted[MT_LOOKUP_ADDRS];
	uint32_t n = h->d->one ? MT_MIN(result->n, 1u) : result->n;

	memcpy(sorted, result->addrs, sizeof(*sorted) * result->n);
	qsort(sorted, result->n, sizeof(*sorted), by_bytes);
	if (n == h->n_addrs && memcmp(sorted, h->addrs, sizeof(*sorted) * n) == 0)
		return false;
	memcpy(h->addrs, sorted, sizeof(*sorted) * n);
	h->n_addrs = n;
	return true;
}

static uint64_t refresh_of(const struct mt_lookup_result *result)
{
	uint64_t ns = result->ttl_s ? result->ttl_s * MT_SEC : REFRESH;

	return MT_MIN(MT_MAX(ns, REFRESH_MIN), REFRESH_MAX);
}

static void on_answer(void *arg, const struct mt_lookup_result *result)
{
	struct host *h = arg;
	struct xds_dns *d = h->d;
	bool first = !h->asked;

	h->lookup = NULL;
	h->asked = true;
	h->failed = result->n == 0;
	h->due = d->x->now + (h->failed ? RETRY : refresh_of(result));
	if (h->failed)
		mt_err(&d->why, 0, "%.200s cannot be looked up: %s", h->name, result->why);
	else
		d->why.text[0] = '\0';
	if (!h->failed && take_addresses(h, result))
		renew(d);
	else if (first)
		xds_touch(d->x);
}

static void ask(struct host *h)
{
	struct mt_lookup_result numeric = {.n = 1, .ttl_s = 3600};
	struct mt_lookup *l;

	if (mt_addr_parse(h->name, &numeric.addrs[0]) == 0) {
		on_answer(h, &numeric);
		return;
	}
	/* Not to be asked twice, should the answer come from within. */
	h->due = MT_NEVER;
	l = mt_lookup(h->d->x->env.names, h->name, on_answer, h);
	if (l)
		h->lookup = l;
}

/* ---- from outside ---------------------------------------------------------------------------------- */

void xds_dns_free(struct xds_res *r)
{
	struct xds_dns *d = r->dns;

	if (!d)
		return;
	for (uint32_t i = 0; i < d->n_hosts; i++)
		mt_lookup_cancel(d->hosts[i].lookup);
	mt_list_del(&d->node);
	mt_model_free(d->part);
	mt_region_fini(&d->region);
	free(d);
	r->dns = NULL;
}

/* Names that both have keep their addresses until they are looked up again. */
static void inherit(struct xds_dns *d, const struct xds_dns *old)
{
	for (uint32_t i = 0; old && i < d->n_hosts; i++)
		for (uint32_t k = 0; k < old->n_hosts; k++) {
			const struct host *h = &old->hosts[k];

			if (strcmp(h->name, d->hosts[i].name) != 0 || h->port != d->hosts[i].port)
				continue;
			memcpy(d->hosts[i].addrs, h->addrs, sizeof(h->addrs));
			d->hosts[i].n_addrs = h->n_addrs;
			d->hosts[i].asked = h->asked;
			break;
		}
}

void xds_dns_set(struct mt_xds *x, struct xds_res *r, const struct xds_body *b)
{
	const struct mt_mesh_cluster *c = (const struct mt_mesh_cluster *)b->mapped.meta;
	struct xds_dns *d, *old = r->dns;

	if (c->discovery != MT_MESH_STRICT_DNS && c->discovery != MT_MESH_LOGICAL_DNS) {
		xds_dns_free(r);
		return;
	}
	d = calloc(1, sizeof(*d));
	if (!d)
		return;
	d->x = x;
	d->r = r;
	d->one = c->discovery == MT_MESH_LOGICAL_DNS;
	mt_list_init(&d->node);
	mt_list_add_tail(&x->dns, &d->node);
	mt_region_init(&d->region, ARENA);
	read_cluster(d, b);
	inherit(d, old);
	xds_dns_free(r);
	r->dns = d;
	renew(d);
}

void xds_dns_turn(struct mt_xds *x)
{
	struct mt_list *n;

	mt_list_foreach (n, &x->dns) {
		struct xds_dns *d = mt_list_entry(n, struct xds_dns, node);

		for (uint32_t i = 0; i < d->n_hosts; i++)
			if (!d->hosts[i].lookup && x->now >= d->hosts[i].due)
				ask(&d->hosts[i]);
	}
}

struct mt_model *xds_dns_part(const struct xds_res *r, bool *answered)
{
	*answered = true;
	if (!r->dns)
		return NULL;
	for (uint32_t i = 0; i < r->dns->n_hosts; i++)
		*answered &= r->dns->hosts[i].asked;
	return r->dns->part;
}

const char *xds_dns_why(const struct xds_res *r)
{
	return r->dns ? r->dns->why.text : "";
}
