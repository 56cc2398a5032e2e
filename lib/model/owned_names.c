/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that DNS clients query for owned hosts. Clients append their search domains to a host, and
 * the node answers HOST.SEARCH with HOST.
 */
#include "mt_owned_priv.h"

#include "mt_meant.h"

#include <stdio.h>
#include <string.h>

/*
 * A search domain of DNS clients, or its first labels if the others are one, too: "svc" with
 * "svc.cluster.local" and "cluster.local".
 */
struct part {
	const char *text;
	bool owned; /* some source owns a name that ends in it */
	bool first; /* it is the first labels of a search domain, and may be one as well */
};

struct mt_owned_clients {
	const struct mt_owned *o;
	const struct mt_node *node;
	const char *domain;
	struct part *parts;
	uint32_t n_parts;
};

/* Where NAMESPACE starts in NAME.NAMESPACE.svc.DOMAIN; 0: it is no such name. */
static size_t namespace_at(const char *host, const char *domain)
{
	size_t at = mt_owned_before_domain(host, domain);

	while (at && host[at - 1] != '.')
		at--;
	return at > 1 ? at : 0;
}

/* Writes the host without the part at its end; a wildcard's star may contain the whole part. */
static bool cut(const char *host, const char *part, char buf[MT_MEANT_HOST])
{
	size_t len = strlen(host), n = strlen(part), tail = len - 1;
	bool wild = strncmp(host, "*.", 2) == 0;

	if (len > n + 1 && len - n - 1 < MT_MEANT_HOST && host[len - n - 1] == '.' &&
		strcmp(host + len - n, part) == 0) {
		memcpy(buf, host, len - n - 1);
		buf[len - n - 1] = '\0';
		return true;
	}
	if (!wild || n <= tail || strcmp(part + n - tail, host + 1) != 0)
		return false;
	memcpy(buf, "*", sizeof("*"));
	return true;
}

/*
 * An entry with the host and the part after it. Wildcards for all names that end in the part have
 * only those with one label more, because DNS clients query every host with each search domain. The
 * node finds no HOST.NAMESPACE of a HOST with a dot by the search domain svc.DOMAIN.
 */
static const struct mt_owned_entry *find_added(
	const struct mt_owned_clients *c, const char *host, const struct part *p, uint32_t self)
{
	char buf[MT_MEANT_HOST];
	int n = snprintf(buf, sizeof(buf), "%s.%s", host, p->text);
	const struct mt_owned_entry *e;
	size_t ns;

	if (n <= 0 || (size_t)n >= sizeof(buf))
		return NULL;
	ns = namespace_at(buf, c->domain);
	if (!p->first && ns && ns <= strlen(host) && memchr(buf, '.', ns - 1))
		return NULL;
	e = mt_owned_host(c->o, buf, self);
	if (e && e->text->s[0] == '*' && strlen(e->text->s) <= strlen(p->text) + strlen("*.") &&
		strchr(host, '.'))
		return NULL;
	return e;
}

/* True for a namespace that only one source has: `self`, or any one if `self` is none. */
static bool is_of_one(const struct mt_node *n, const char *ns, size_t len, uint32_t self)
{
	uint32_t of = MT_OWNED_NO_SOURCE, sources = 0;

	for (uint32_t i = 0; i < n->n_sources; i++)
		if (mt_node_source_has(&n->sources[i], ns, len)) {
			of = i;
			sources++;
		}
	return sources == 1 && (of == self || self == MT_OWNED_NO_SOURCE);
}

/*
 * HOST of HOST.NAMESPACE.svc.DOMAIN, which clients of the namespace query. The one source of a
 * namespace may answer its own clients: its hosts are POD.SERVICE.NAMESPACE.svc.DOMAIN, too. Names
 * above HOST count as well, because the node answers for those that they exist, without data. Some
 * clients (musl) end their search there, and do not query the owned name.
 */
static const struct mt_owned_entry *find_searched(
	const struct mt_owned_clients *c, const char *host, uint32_t self)
{
	size_t at = namespace_at(host, c->domain);
	const char *ns = host + at;
	const struct mt_owned_entry *e;
	char buf[MT_MEANT_HOST];

	if (!at || at > sizeof(buf))
		return NULL;
	if (is_of_one(c->node, ns, strcspn(ns, "."), self))
		return NULL;
	memcpy(buf, host, at - 1);
	buf[at - 1] = '\0';
	e = mt_owned_host(c->o, buf, self);
	for (const char *dot = strchr(buf, '.'); !e && dot; dot = strchr(dot + 1, '.'))
		e = mt_owned_host(c->o, dot + 1, self);
	return e;
}

static uint32_t dots_in(const char *s)
{
	uint32_t n = 0;

	for (; *s; s++)
		n += *s == '.';
	return n;
}

/* True for a whole name that the source owns. A star may cover names of others, too. */
static bool is_own(const struct mt_owned_clients *c, const char *host, uint32_t self)
{
	const struct mt_owned_entry *e =
		*host == '*' ? NULL : mt_owned_host(c->o, host, MT_OWNED_NO_SOURCE);

	return e && e->source == self &&
	       (e->text->s[0] != '*' || dots_in(host) <= dots_in(e->text->s));
}

const struct mt_owned_entry *mt_owned_of_clients(
	const struct mt_owned_clients *c, const char *host, uint32_t self)
{
	const struct mt_owned_entry *e = NULL;
	char buf[MT_MEANT_HOST];

	if (is_own(c, host, self))
		return NULL;
	for (uint32_t i = 0; !e && i < c->n_parts; i++) {
		const struct part *p = &c->parts[i];

		if (cut(host, p->text, buf))
			e = mt_owned_host(c->o, buf, self);
		if (!e && p->owned)
			e = find_added(c, host, p, self);
	}
	return e ? e : find_searched(c, host, self);
}

/* ---- making it ------------------------------------------------------------------------------- */

static void add_part(struct mt_region *r, struct mt_owned_clients *c, const char *text, bool first)
{
	struct part *slot;

	for (uint32_t i = 0; i < c->n_parts; i++)
		if (strcmp(c->parts[i].text, text) == 0) {
			c->parts[i].first |= first;
			return;
		}
	slot = mt_region_push(r, (void **)&c->parts, &c->n_parts, sizeof(*slot));
	if (slot)
		*slot = (struct part){.text = text, .first = first};
}

/* The default ones, too: clients of the mesh may have them, whatever the Node lists. */
static void add_search_domains(
	struct mt_region *r, struct mt_owned_clients *c, const struct mt_node *n)
{
	const struct mt_node_dns *d = n->dns;
	const char *of_clients = n->mesh ? n->mesh->ns.s : NULL;
	const char *own[] = {
		mt_region_printf(r, "%s.svc.%s", n->meta.ns ? n->meta.ns : "", c->domain),
		of_clients ? mt_region_printf(r, "%s.svc.%s", of_clients, c->domain) : NULL,
		mt_region_printf(r, "svc.%s", c->domain), c->domain};

	for (size_t i = 0; i < MT_ARRAY_LEN(own); i++) {
		char *text = own[i] ? mt_host_name(r, own[i]) : NULL;

		if (text)
			add_part(r, c, text, false);
	}
	for (uint32_t i = 0; i < d->n_search; i++)
		if (d->search[i].s && d->search[i].s[0])
			add_part(r, c, d->search[i].s, false);
}

/* Adds the first labels of search domains that end in another one, also in that of a namespace. */
static void add_differences(struct mt_region *r, struct mt_owned_clients *c)
{
	uint32_t domains = c->n_parts;

	for (uint32_t i = 0; i < domains; i++) {
		const char *domain = c->parts[i].text;
		size_t ns = namespace_at(domain, c->domain);
		char *text = ns ? mt_region_strndup(r, domain, ns - 1) : NULL;

		if (text)
			add_part(r, c, text, true);
		for (uint32_t k = 0; k < domains; k++) {
			char buf[MT_MEANT_HOST];

			text = cut(domain, c->parts[k].text, buf) ? mt_region_strdup(r, buf) : NULL;
			if (text)
				add_part(r, c, text, true);
		}
	}
}

const struct mt_owned_clients *mt_owned_clients_new(
	struct mt_region *r, const struct mt_node *n, const struct mt_owned *o)
{
	struct mt_owned_clients *c = mt_region_alloc(r, sizeof(*c));

	if (!c)
		return NULL;
	*c = (struct mt_owned_clients){.o = o, .node = n, .domain = mt_node_domain(n)};
	add_search_domains(r, c, n);
	add_differences(r, c);
	for (uint32_t i = 0; i < c->n_parts; i++) {
		char buf[MT_MEANT_HOST];
		int len = snprintf(buf, sizeof(buf), "*.%s", c->parts[i].text);

		c->parts[i].owned = len > 0 && (size_t)len < sizeof(buf) &&
				    mt_owned_host(o, buf, MT_OWNED_NO_SOURCE);
	}
	return c;
}
