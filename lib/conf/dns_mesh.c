/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of discovery services: a control plane's own table, and what listeners stand for. A listener says no host, but its clusters do:
 * "outbound|PORT|SUBSET|HOST". An address is a host's when everything that is served there leads to that
 * host; where routes lead to several, nobody can tell whose address it is, and it gets no name.
 */
#include "mt_conf_mesh_priv.h"

#include "mt_dns_server.h"

#include <string.h>

/* What is known of one address. */
struct place {
	struct mt_addr addr;
	const char *host; /* NULL: of several */
};

struct names {
	struct mt_build *b;
	struct mt_strmap by_addr; /* struct place, by text */
	struct place **places;
	uint32_t n_places;
};

/* The host of a cluster; NULL: its name contains none. */
static const char *host_of(struct mt_build *b, uint32_t cluster)
{
	const struct mt_snapshot *s = &b->snap->pub;
	const char *name, *host;

	if (cluster >= s->n_clusters)
		return NULL;
	name = s->clusters[cluster].name;
	host = strncmp(name, "outbound|", 9) == 0 ? strrchr(name, '|') : NULL;
	return host && host[1] && mt_is_host(host + 1) ? mt_host_name(&b->tmp, host + 1) : NULL;
}

/* Everything must lead to one host: false ends the search. */
static bool leads_to(struct mt_build *b, uint32_t cluster, const char **host)
{
	const char *h = host_of(b, cluster);

	if (!h || (*host && strcmp(*host, h) != 0))
		return false;
	*host = h;
	return true;
}

static bool routes_lead_to(struct mt_build *b, const struct mt_service *s, const char **host)
{
	for (uint32_t i = 0; i < mt_route_count(s->routes); i++) {
		const struct mt_route_action *a = mt_route_at(s->routes, i);

		for (uint32_t k = 0; k < a->n_dests; k++)
			if (!leads_to(b, a->dests[k].cluster, host))
				return false;
	}
	return true;
}

/* False: to several, or nobody knows. */
static bool service_leads_to(struct mt_build *b, const struct mt_service *s, const char **host)
{
	if (s->routes)
		return routes_lead_to(b, s, host);
	if (s->n_tcp_dests == 0)
		return leads_to(b, s->tcp_cluster, host);
	for (uint32_t i = 0; i < s->n_tcp_dests; i++)
		if (!leads_to(b, s->tcp_dests[i].cluster, host))
			return false;
	return true;
}

/* The chain of a service; NULL: somebody else was at its address before. */
static const struct mt_filter_chain *chain_of(
	const struct mt_listener *l, const struct mt_service *s)
{
	for (uint32_t i = 0; i < l->n_protos; i++)
		for (uint32_t k = 0; k < l->protos[i].n_services; k++)
			if (l->protos[i].services[k] == s)
				return l->protos[i].chain;
	return NULL;
}

static bool is_for_everybody(const struct mt_filter_chain_match *m)
{
	return !m->n_server_names && !m->n_alpn && !m->n_src && m->transport != MT_TRANSPORT_TLS;
}

/* What everybody gets says whose address it is, else all chains together; NULL: they lead to several, or nobody knows. */
static const char *host_of_listener(struct mt_build *b, const struct mt_listener *l,
	const struct mt_filter_chain *first, const struct mt_service *s)
{
	const char *host = NULL;

	if (is_for_everybody(&first->match))
		return service_leads_to(b, s, &host) ? host : NULL;
	for (uint32_t i = 0; i < l->n_protos; i++)
		for (uint32_t k = 0; k < l->protos[i].n_services; k++)
			if (!service_leads_to(b, l->protos[i].services[k], &host))
				return NULL;
	return host;
}

static void note(struct names *n, const struct mt_addr *a, const char *host)
{
	char text[MT_ADDR_STRLEN];
	struct place *p = mt_strmap_get(&n->by_addr, mt_addr_str(a, text)), **slot;
	char *key;

	if (p) {
		if (!host || (p->host && strcmp(p->host, host) != 0))
			p->host = NULL;
		return;
	}
	p = mt_region_alloc(&n->b->tmp, sizeof(*p));
	key = mt_region_strdup(&n->b->tmp, text);
	slot = mt_region_push(&n->b->tmp, (void **)&n->places, &n->n_places, sizeof(*slot));
	if (!p || !key || !slot || mt_strmap_put(&n->by_addr, key, p, NULL)) {
		n->b->tmp.failed = true;
		return;
	}
	*p = (struct place){*a, host};
	*slot = p;
}

/* The first service of a listener has its addresses. */
static void note_service(struct names *n, const struct mt_shared_service *sv)
{
	for (uint32_t i = 0; i < sv->n_texts; i++) {
		struct mt_dns_address at;
		const struct mt_filter_chain *c;
		const struct mt_listener *l;

		/* Any address is no host's. */
		if (mt_dns_address_parse(sv->texts[i], 0, &at) || mt_addr_is_zero(&at.addr))
			continue;
		l = mt_snapshot_listener(&n->b->snap->pub, &at.addr, at.port);
		c = l && mt_addr_eq(&l->addr, &at.addr) ? chain_of(l, sv->s) : NULL;
		if (c)
			note(n, &at.addr, host_of_listener(n->b, l, c, sv->s));
	}
}

int mt_b_dns_told(struct mt_build *b, struct mt_dns_builder *names)
{
	const struct mt_objs *tables = &b->model->res_names;
	int rc = 0;

	for (uint32_t i = 0; i < tables->n; i++) {
		const struct mt_res_names *t = tables->v[i];

		/* The source has looked at hosts: DNS can name all of them. */
		for (uint32_t k = 0; k < t->n_names && rc == 0; k++)
			rc = mt_dns_builder_add(names, MT_DNS_OF_NAME_TABLE, t->names[k].host,
				t->names[k].addrs, t->names[k].n_addrs);
	}
	return rc;
}

int mt_b_dns_mesh(struct mt_build *b, struct mt_dns_builder *names)
{
	struct names n = {.b = b};
	int rc = 0;

	for (uint32_t i = b->snap->n_doc_services; i < b->snap->n_services; i++)
		if (b->snap->services[i]->n_served)
			note_service(&n, b->snap->services[i]);
	for (uint32_t i = 0; i < n.n_places && rc == 0; i++)
		if (n.places[i]->host && mt_dns_is_name(n.places[i]->host))
			rc = mt_dns_builder_add(names, MT_DNS_OF_LISTENERS, n.places[i]->host,
				&n.places[i]->addr, 1);
	mt_strmap_fini(&n.by_addr);
	return rc;
}
