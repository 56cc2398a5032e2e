/* SPDX-License-Identifier: Apache-2.0 */
/* Host names: case, short names, wildcards; visibility of objects, as in Istio. */
#include "mt_idmap.h"
#include "mt_meant.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define DOMAIN	       "cluster.local"
#define ROOT_NAMESPACE "istio-system"

const char *mt_node_domain(const struct mt_node *n)
{
	return n && n->dns && n->dns->domain.s ? n->dns->domain.s : DOMAIN;
}

const char *mt_model_domain(const struct mt_model *m)
{
	return mt_node_domain(m->node);
}

const char *mt_model_root(const struct mt_model *m)
{
	return m->mesh.root_ns ? m->mesh.root_ns : ROOT_NAMESPACE;
}

/*
 * Changes ASCII letters only, because host names have no others, and tolower() depends on the
 * locale.
 */
void mt_host_fold(char *host)
{
	char *slash = strrchr(host, '/');

	for (char *p = slash ? slash + 1 : host; *p; p++)
		if (*p >= 'A' && *p <= 'Z')
			*p = (char)(*p - 'A' + 'a');
}

char *mt_host_name(struct mt_region *r, const char *host)
{
	char *copy = host ? mt_region_strdup(r, host) : NULL;

	if (copy)
		mt_host_fold(copy);
	return copy;
}

char *mt_service_host(struct mt_region *r, const char *name, const char *ns, const char *domain)
{
	char *host = mt_region_printf(r, "%s.%s.svc.%s", name, ns, domain);

	if (host)
		mt_host_fold(host);
	return host;
}

bool mt_long_name(const char *word, const char *ns, const char *domain, char *buf, size_t size)
{
	const char *dot = strchr(word, '.'), *second = dot ? strchr(dot + 1, '.') : NULL;
	int n = -1;

	if (!dot)
		n = snprintf(buf, size, "%s.%s.svc.%s", word, ns, domain);
	else if (!second)
		n = snprintf(buf, size, "%s.svc.%s", word, domain);
	else if (strcmp(second, ".svc") == 0)
		n = snprintf(buf, size, "%s.%s", word, domain);
	if (n <= 0 || (size_t)n >= size)
		return false;
	mt_host_fold(buf);
	return true;
}

bool mt_model_is_limited(const struct mt_model *m, const struct mt_meta *meta)
{
	uintptr_t known = m->standings ? (uintptr_t)mt_idmap_get(m->standings, meta->serial) : 0;

	return known && ((known - 1) & MT_STANDING_LIMITED);
}

bool mt_host_is_of(const char *host, const char *ns, const char *domain)
{
	const char *const parts[] = {domain, ".svc.", ns, "."};
	size_t left = strlen(host);

	for (size_t k = 0; k < MT_ARRAY_LEN(parts); k++) {
		size_t len = strlen(parts[k]);

		if (left <= len || strncasecmp(host + left - len, parts[k], len) != 0)
			return false;
		left -= len;
	}
	return true;
}

/* True if documents of `ns` may mean the host of this object by any name. */
static bool is_trusted(const struct mt_model *m, const char *ns, const struct mt_meta *of)
{
	return strcmp(of->ns, ns) == 0 || !mt_model_is_limited(m, of);
}

/* The host that a short name means; `full`: its long name. */
static const char *meant_short(const struct mt_model *m, const char *word, const char *ns,
	mt_host_finder *find, const void *hosts, const char *full)
{
	const struct mt_meta *as_full = find(hosts, full), *as_written = find(hosts, word);

	if (as_full && is_trusted(m, ns, as_full))
		return full;
	if (as_written && is_trusted(m, ns, as_written))
		return word;
	/* Authors that are limited to a namespace have the names with this namespace. */
	if (as_full && mt_host_is_of(full, as_full->ns, mt_model_domain(m)))
		return full;
	if (as_written && mt_host_is_of(full, as_written->ns, mt_model_domain(m)))
		return word;
	return NULL;
}

const char *mt_meant_host(const struct mt_model *m, const char *word, const char *ns,
	mt_host_finder *find, const void *hosts, char buf[MT_MEANT_HOST])
{
	if (mt_long_name(word, ns, mt_model_domain(m), buf, MT_MEANT_HOST))
		return meant_short(m, word, ns, find, hosts, buf);
	return find(hosts, word) ? word : NULL;
}

bool mt_host_covers(const char *wildcard, const char *host)
{
	size_t len = strlen(host), tail;

	if (wildcard[0] != '*')
		return strcmp(wildcard, host) == 0;
	tail = strlen(wildcard + 1);
	/* The star matches at least one character: "*.x" does not match "x". */
	return len > tail && strcmp(host + len - tail, wildcard + 1) == 0;
}

bool mt_is_exported(const struct mt_exports *to, const struct mt_exports *unsaid, const char *ns,
	const char *client_ns)
{
	const struct mt_exports *e = to->n ? to : unsaid;

	for (uint32_t i = 0; i < e->n; i++) {
		const char *word = e->v[i].s;

		if (strcmp(word, "*") == 0 ||
			(strcmp(word, ".") == 0 && strcmp(ns, client_ns) == 0) ||
			strcmp(word, client_ns) == 0)
			return true;
	}
	return e->n == 0;
}
