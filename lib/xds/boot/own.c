/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bootstraps built from the fields of the Node document, and changes that the daemon makes to any
 * bootstrap: certificates and the requirement of TLS.
 */
#include "mt_xds_boot_priv.h"

#include <string.h>

void boot_of_ours(Xds__Node *n)
{
	n->user_agent_name = (char *)"meltemi";
	n->user_agent_version = (char *)MT_VERSION;
}

static Xds__Node *new_node(struct mt_region *region, const char *id, const char *cluster)
{
	Xds__Node *n = mt_region_alloc(region, sizeof(*n));

	if (!n)
		return NULL;
	xds__node__init(n);
	n->id = (char *)id;
	if (cluster)
		n->cluster = (char *)cluster;
	boot_of_ours(n);
	return n;
}

static struct mt_xds_tls *tls_of_node(struct mt_region *region, const struct mt_node_xds *x)
{
	struct mt_xds_tls *t = x->roots.s ? mt_region_alloc(region, sizeof(*t)) : NULL;

	if (!t)
		return NULL;
	t->roots.file = mt_region_strdup(region, x->roots.s);
	if (x->certificate.s) {
		t->chain.file = mt_region_strdup(region, x->certificate.s);
		t->key.file = mt_region_strdup(region, x->key.s);
	}
	if (x->server_name.s)
		t->sni = mt_region_strdup(region, x->server_name.s);
	return t;
}

struct mt_xds_bootstrap *mt_xds_bootstrap_node(const struct mt_node_xds *x)
{
	struct mt_xds_bootstrap *b = boot_new(x->origin.file);
	struct mt_region *region;

	if (!b)
		return NULL;
	region = &b->arena.region;
	b->servers = mt_region_alloc(region, sizeof(*b->servers));
	if (b->servers)
		b->servers->addresses = mt_region_alloc(region, sizeof(char *) * x->n_servers);
	b->node = new_node(region, mt_region_strdup(region, x->node_id.s),
		x->node_cluster.s ? mt_region_strdup(region, x->node_cluster.s) : NULL);
	if (region->failed) {
		mt_xds_bootstrap_free(b);
		return NULL;
	}
	b->n_servers = 1;
	b->servers->name = "servers";
	for (uint32_t i = 0; i < x->n_servers; i++)
		b->servers->addresses[b->servers->n_addresses++] =
			mt_region_strdup(region, x->servers[i].s);
	b->servers->tls = tls_of_node(region, x);
	b->ads = (struct mt_xds_way){.server = "servers", .delta = x->delta.v, .ads = true};
	b->lds = b->cds = b->ads;
	b->names = x->names.v;
	return b;
}

void mt_xds_bootstrap_identify(
	struct mt_xds_bootstrap *b, const char *certificate, const char *roots)
{
	for (uint32_t i = 0; i < b->n_servers; i++) {
		struct mt_xds_tls *t = b->servers[i].tls;

		if (!t)
			continue;
		t->chain = t->key = (struct mt_xds_pem){.secret = certificate};
		t->roots = (struct mt_xds_pem){.secret = roots};
	}
}

/* True if an address (HOST:PORT, [IPV6]:PORT or unix:PATH) is on this host. */
static bool is_here(const char *address)
{
	static const char *const loopback[] = {"127.0.0.0/8", "::1/128"};
	struct mt_addr a, net;
	char host[256];
	uint16_t port;
	uint8_t bits;

	if (strncmp(address, "unix:", 5) == 0)
		return true;
	if (mt_host_port(address, host, sizeof(host), &port))
		return false;
	if (mt_addr_parse(host, &a))
		return strcmp(host, "localhost") == 0;
	for (size_t i = 0; i < MT_ARRAY_LEN(loopback); i++)
		if (mt_prefix_parse(loopback[i], &net, &bits) == 0 &&
			mt_addr_is4(&a) == mt_addr_is4(&net) && mt_prefix_contains(&net, bits, &a))
			return true;
	return false;
}

/* Returns the first address of a plaintext server on another host; NULL: none. */
static const char *exposed(const struct mt_xds_server *s)
{
	for (uint32_t i = 0; i < s->n_addresses && !s->tls && !s->unusable; i++)
		if (!is_here(s->addresses[i]))
			return s->addresses[i];
	return NULL;
}

const char *mt_xds_bootstrap_want_tls(struct mt_xds_bootstrap *b)
{
	const char *first = NULL;

	for (uint32_t i = 0; i < b->n_servers; i++) {
		struct mt_xds_server *s = &b->servers[i];
		const char *address = exposed(s);

		if (!address)
			continue;
		s->unusable = "another machine in plaintext: an attacker on the path could decide "
			      "where calls go";
		first = first ? first : address;
	}
	return first;
}
