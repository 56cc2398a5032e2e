/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repeats principals of the mesh's trust domain for each alias of this domain, as istiod does in
 * the policies that it sends to proxies.
 */
#include "mt_authz_priv.h"

#include <string.h>

/* The name in policies for the mesh's own trust domain, whatever that is. */
#define LOCAL "cluster.local"

/* True if `want` is a pattern like "*-td", and `domain` ends with the text after the "*". */
static bool ends_so(const char *domain, const char *want, size_t len)
{
	size_t n = strlen(domain);

	return len && want[0] == '*' && n >= len - 1 &&
	       memcmp(domain + n - (len - 1), want + 1, len - 1) == 0;
}

static bool is(const char *domain, const char *want, size_t len)
{
	return strlen(domain) == len && memcmp(domain, want, len) == 0;
}

/*
 * Returns the length of the domain in "DOMAIN/ns/NS/sa/SA"; 0 for other forms, which stay
 * unchanged.
 */
static size_t domain_length(const char *s)
{
	uint32_t slashes = 0;

	for (const char *p = s; *p; p++)
		slashes += *p == '/';
	return slashes == 4 ? strcspn(s, "/") : 0;
}

static bool is_ours(const struct mt_authz_callers *who, const char *s, size_t len)
{
	bool ours = is(LOCAL, s, len);

	for (uint32_t i = 0; i < who->n_domains; i++)
		ours |= is(who->domains[i], s, len) || ends_so(who->domains[i], s, len);
	return ours;
}

static void put(struct mt_region *r, struct mt_texts *l, const char *s)
{
	struct mt_text *slot;

	for (uint32_t i = 0; s && i < l->n; i++)
		if (strcmp(l->v[i].s, s) == 0)
			return;
	slot = s ? mt_region_push(r, (void **)&l->v, &l->n, sizeof(*slot)) : NULL;
	if (slot)
		slot->s = s;
	else
		r->failed = true;
}

static void add(
	struct mt_region *r, const struct mt_authz_callers *who, struct mt_texts *l, const char *s)
{
	size_t len = domain_length(s);

	if (!len || !is_ours(who, s, len)) {
		put(r, l, s);
		return;
	}
	for (uint32_t i = 0; i < who->n_domains; i++) {
		const char *domain = who->domains[i];

		put(r, l,
			ends_so(domain, s, len) ? s : mt_region_printf(r, "%s%s", domain, s + len));
	}
}

struct mt_texts mt_authz_domains(
	struct mt_region *r, const struct mt_authz_callers *who, const struct mt_texts *l)
{
	struct mt_texts all = {0};

	if (!who->n_domains)
		return *l;
	for (uint32_t i = 0; i < l->n; i++)
		add(r, who, &all, l->v[i].s);
	return all;
}

/*
 * Patterns and "cluster.local" are not expanded, because for istiod they do not mean the mesh's own
 * trust domain in this field.
 */
struct mt_texts mt_authz_trust_domains(
	struct mt_region *r, const struct mt_authz_callers *who, const struct mt_texts *l)
{
	struct mt_texts all = {0};

	for (uint32_t i = 0; i < l->n; i++) {
		const char *s = l->v[i].s;
		bool ours = false;

		for (uint32_t d = 0; d < who->n_domains; d++)
			ours |= strcmp(who->domains[d], s) == 0;
		put(r, &all, s);
		for (uint32_t d = 0; ours && d < who->n_domains; d++)
			put(r, &all, who->domains[d]);
	}
	return all;
}
