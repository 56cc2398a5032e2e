/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The names that the node answers for: hosts of ServiceEntries with the addresses that they are served at, those of a
 * control plane's table, and hosts of a discovery service's listeners. Built behind everything else, so of documents
 * and listeners only what is served has a name; a control plane's table is taken as it is.
 */
#include "mt_conf_holders_priv.h"
#include "mt_meant.h"

#include "mt_dns.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SERVERS_MAX 8

/* ---- the Node's settings -------------------------------------------------------------------- */

static void check_domains(struct mt_build *b, const char *field, const struct mt_text *texts,
	uint32_t n, uint32_t max)
{
	char path[64];

	snprintf(path, sizeof(path), "spec.dns.%s", field);
	if (n > max)
		mt_b_node_error(
			b, texts[max].line, path, "name fewer", "more than %u domains", max);
	for (uint32_t i = 0; i < n; i++) {
		snprintf(path, sizeof(path), "spec.dns.%s[%u]", field, i);
		if (!mt_is_host(texts[i].s) || !mt_dns_is_name(texts[i].s))
			mt_b_node_error(b, texts[i].line, path, "write it like svc.cluster.local",
				"\"%.128s\" is not a domain", texts[i].s);
	}
}

/* Where clients ask by the ports: addresses of the node's own, or like those of services. */
static void check_addresses(struct mt_build *b, const struct mt_node_dns *d)
{
	for (uint32_t i = 0; i < d->n_addresses; i++) {
		const struct mt_node_addr *a = &d->addresses[i];
		const char *why = mt_addr_unusable(&a->addr);
		char path[48];

		snprintf(path, sizeof(path), "spec.dns.addresses[%u]", i);
		if (why)
			mt_b_node_error(b, a->text.line, path, "write an address of the node",
				"%.64s is %s", a->text.s, why);
		for (uint32_t k = 0; k < i; k++)
			if (mt_addr_eq(&d->addresses[k].addr, &a->addr))
				mt_b_node_error(b, a->text.line, path, "remove it",
					"%.64s is written twice", a->text.s);
	}
}

static void check_upstream(struct mt_build *b, const struct mt_node_dns *d)
{
	if (d->n_upstream > SERVERS_MAX)
		mt_b_node_error(b, d->upstream[SERVERS_MAX].text.line, "spec.dns.upstream",
			"name fewer", "more than %u servers", SERVERS_MAX);
	for (uint32_t i = 0; i < d->n_upstream; i++) {
		const struct mt_node_server *s = &d->upstream[i];
		char path[48];

		snprintf(path, sizeof(path), "spec.dns.upstream[%u]", i);
		/* It would pass questions round and round. */
		if (mt_node_answers_names(b->model->node, &s->addr, s->port))
			mt_b_node_error(b, s->text.line, path,
				"write the address of another server",
				"%.64s is this node: it would query itself", s->text.s);
	}
}

void mt_b_dns_check(struct mt_build *b)
{
	const struct mt_node_dns *d = b->model->node ? b->model->node->dns : NULL;
	static const uint8_t v4_any[4];

	if (!d)
		return;
	if (d->listen_port &&
		(mt_addr_is_zero(&d->listen_addr) ||
			(mt_addr_is4(&d->listen_addr) &&
				memcmp(d->listen_addr.b + 12, v4_any, sizeof(v4_any)) == 0)))
		mt_b_node_error(b, d->listen.line, "spec.dns.listen",
			"write one address, like 127.0.0.1:15053",
			"answers must come from the queried address, and \"%.64s\" is every "
			"address",
			d->listen.s);
	if (!mt_is_host(d->domain.s) || !mt_dns_is_name(d->domain.s))
		mt_b_node_error(b, d->domain.line, "spec.dns.domain", "write it like cluster.local",
			"\"%.128s\" is not a domain", d->domain.s);
	if (!mt_is_label(b->model->node->meta.ns))
		mt_b_node_error(b, b->model->node->meta.origin.line, "metadata.namespace",
			"letters, digits and dashes, 63 at most",
			"\"%.96s\" can be no part of names that spec.dns answers for",
			b->model->node->meta.ns);
	check_domains(b, "zones", d->zones, d->n_zones, MT_DNS_ZONES_MAX);
	check_domains(b, "search", d->search, d->n_search, MT_DNS_SEARCH_MAX);
	check_addresses(b, d);
	check_upstream(b, d);
}

/* ---- the table ------------------------------------------------------------------------------ */

static uint32_t texts_of(struct mt_build *b, const struct mt_text *t, uint32_t n, const char ***out)
{
	*out = mt_region_alloc(&b->tmp, sizeof(char *) * (n + 1));
	for (uint32_t i = 0; *out && i < n; i++)
		(*out)[i] = t[i].s;
	return *out ? n : 0;
}

static bool owns_hosts(const struct mt_node *n)
{
	for (uint32_t i = 0; i < n->n_sources; i++)
		if (n->sources[i].owns && n->sources[i].owns->n_hosts)
			return true;
	return false;
}

static struct mt_dns_builder *begin(struct mt_build *b, const struct mt_node *n)
{
	const struct mt_node_dns *d = n->dns;
	const char *svc = mt_region_printf(&b->tmp, "svc.%s", d->domain.s);
	const char *ns = mt_region_printf(&b->tmp, "%s.svc.%s", n->meta.ns, d->domain.s);
	const char *const by_domain[] = {ns, svc, d->domain.s};
	struct mt_dns_rules r = {.domain = d->domain.s,
		.ns = n->meta.ns,
		.owned = owns_hosts(n),
		.ttl = (d->ttl.v + 999) / 1000};
	const char **zones, **search;

	if (!svc || !ns)
		return NULL;
	r.n_zones = texts_of(b, d->zones, d->n_zones, &zones);
	r.n_search = texts_of(b, d->search, d->n_search, &search);
	r.zones = d->zones_set ? zones : &svc;
	r.n_zones = d->zones_set ? r.n_zones : 1;
	r.search = d->search_set ? search : by_domain;
	r.n_search = d->search_set ? r.n_search : MT_ARRAY_LEN(by_domain);
	return mt_dns_builder_new(&r);
}

/* True for all names of a top-level domain, as "*.com", unless that is one of the Node's zones. */
static bool is_top_level(const struct mt_node_dns *d, const char *host)
{
	size_t n = strncmp(host, "*.", 2) == 0 ? strcspn(host + 2, ".") : 0;

	if (!n || (host[2 + n] && host[3 + n]))
		return false;
	for (uint32_t i = 0; i < d->n_zones; i++)
		if (strncasecmp(d->zones[i].s, host + 2, n) == 0 && !d->zones[i].s[n])
			return false;
	return true;
}

/*
 * True if in the configuration in force DNS answers the name with `h`, or with an object of its
 * namespace, so that edits of either object change nothing. After a start, true if of both only
 * `h` was applied before.
 */
static bool had_name(
	struct mt_build *b, const struct mt_host *h, const struct mt_host *other, const char *name)
{
	if (b->conf->current)
		return mt_b_claim(b, mt_place_of_name(name), &h->se->meta) < MT_CLAIM_NOT_HELD;
	return !(mt_b_standing(b, &h->se->meta) & MT_STANDING_NEVER) &&
	       (mt_b_standing(b, &other->se->meta) & MT_STANDING_NEVER);
}

/*
 * The host of another namespace that the name means for the node's DNS clients; NULL: none. Of two
 * objects of sources with `namespaces`, both of other namespaces than the Node's, the one that has
 * the name keeps it: "pay.shop" may be a service of namespace shop or a domain, and an author of
 * either could otherwise take it from the other one.
 */
static const struct mt_host *of_others(
	struct mt_build *b, const struct mt_host *h, const char *name)
{
	const char *ns = b->model->node->meta.ns;
	const struct mt_host *other;
	char full[MT_MEANT_HOST];

	if (!mt_b_means_long(b, name, ns, full))
		return NULL;
	other = mt_strmap_get(&b->hosts, full);
	if (!other || strcmp(other->se->meta.ns, h->se->meta.ns) == 0 ||
		(!mt_b_means_only_long(b, name, ns) && had_name(b, h, other, name)))
		return NULL;
	return other;
}

static bool is_answered(const struct mt_host *h)
{
	return mt_host_is_served(h) && h->n_addrs;
}

void mt_b_dns_places(struct mt_build *b, mt_b_place_fn *fn)
{
	const struct mt_host *h;
	const char *name;
	uint32_t pos = 0;

	/* No object has a name without `dns`, which a Node gets or loses only at a start. */
	if (!b->model->node || !b->model->node->dns)
		return;
	while ((h = mt_strmap_next(&b->hosts, &pos, &name)) != NULL) {
		char full[MT_MEANT_HOST];

		/* Only objects of limited sources keep a name by it (of_others()). */
		if (mt_model_is_limited(b->model, &h->se->meta) && is_answered(h) &&
			mt_long_name(name, h->se->meta.ns, mt_model_domain(b->model), full,
				sizeof(full)) &&
			!of_others(b, h, name))
			fn(b, mt_place_of_name(name), &h->se->meta);
	}
}

static int add(struct mt_build *b, struct mt_dns_builder *names, const struct mt_host *h)
{
	const struct mt_service_entry *se = h->se;
	int rc = 0;

	for (uint32_t i = 0; i < se->n_hosts && rc == 0; i++) {
		const struct mt_host *other = of_others(b, h, se->hosts[i].s);
		char path[32];

		snprintf(path, sizeof(path), "spec.hosts[%u]", i);
		/* An object of another namespace has the name. */
		if (mt_strmap_get(&b->hosts, se->hosts[i].s) != h)
			continue;
		if (other) {
			mt_b_warn(b, &se->meta, se->hosts[i].line, path,
				"give the host another name",
				"\"%.128s\" is not resolved: it is the short name of %s %s/%s",
				se->hosts[i].s, other->se->meta.kind, other->se->meta.ns,
				other->se->meta.name);
			continue;
		}
		rc = mt_dns_builder_add(names, MT_DNS_OF_DOCUMENTS, se->hosts[i].s, h->addrs,
			h->n_addrs - h->n_unnamed);
		if (rc == 0 && is_top_level(b->model->node->dns, se->hosts[i].s))
			mt_b_warn(b, &se->meta, se->hosts[i].line, path,
				"write a domain below it, or add it to spec.dns.zones of the Node",
				"the node answers its DNS clients for all names of the top-level "
				"domain \"%.64s\" with this service",
				se->hosts[i].s + 2);
		if (rc != -EINVAL)
			continue;
		mt_b_warn(b, &se->meta, se->hosts[i].line, path,
			"63 bytes at most between two dots",
			"\"%.128s\" is not a DNS name: it is served, but not resolved",
			se->hosts[i].s);
		rc = 0;
	}
	return rc;
}

int mt_b_dns_table(struct mt_build *b)
{
	const struct mt_node *n = b->model->node;
	struct mt_snapshot *current = b->conf->current;
	struct mt_dns_builder *names;
	int rc = 0;

	if (!n || !n->dns)
		return 0;
	names = begin(b, n);
	if (!names)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->n_hosts && rc == 0; i++) {
		(void)mt_b_pay(b, &b->host_list[i].se->meta);
		if (is_answered(&b->host_list[i]))
			rc = add(b, names, &b->host_list[i]);
	}
	(void)mt_b_pay(b, NULL);
	if (rc == 0)
		rc = mt_b_dns_told(b, names);
	if (rc == 0)
		rc = mt_b_dns_mesh(b, names);
	if (rc) {
		mt_dns_builder_free(names);
		return rc;
	}
	b->snap->pub.dns = mt_dns_builder_finish(names, current ? current->dns : NULL);
	return b->snap->pub.dns ? 0 : -ENOMEM;
}
