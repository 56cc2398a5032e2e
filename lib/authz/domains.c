/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Repeats principals of the mesh's trust domain for each alias of this domain, as istiod does in
 * the policies that it sends to proxies.
 */
#include "mt_authz_priv.h"

#include "mt_strmap.h"

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

/* A list of names, each once. */
struct names {
	struct mt_region *r;
	struct mt_texts all;
	struct mt_strmap seen;
};

static void put(struct names *to, const char *s)
{
	struct mt_text *slot;

	if (s && mt_strmap_get(&to->seen, s))
		return;
	slot = s ? mt_region_push(to->r, (void **)&to->all.v, &to->all.n, sizeof(*slot)) : NULL;
	if (!slot || mt_strmap_put(&to->seen, s, to, NULL))
		to->r->failed = true;
	if (slot)
		slot->s = s;
}

static struct mt_texts end(struct names *names)
{
	mt_strmap_fini(&names->seen);
	return names->all;
}

static void add(struct names *to, const struct mt_authz_callers *who, const char *s)
{
	size_t len = domain_length(s);

	if (!len || !is_ours(who, s, len)) {
		put(to, s);
		return;
	}
	for (uint32_t i = 0; i < who->n_domains; i++) {
		const char *domain = who->domains[i];

		put(to, ends_so(domain, s, len) ? s
						: mt_region_printf(to->r, "%s%s", domain, s + len));
	}
}

struct mt_texts mt_authz_domains(
	struct mt_region *r, const struct mt_authz_callers *who, const struct mt_texts *l)
{
	struct names to = {.r = r};

	if (!who->n_domains)
		return *l;
	for (uint32_t i = 0; i < l->n; i++)
		add(&to, who, l->v[i].s);
	return end(&to);
}

/*
 * Patterns and "cluster.local" are not expanded, because for istiod they do not mean the mesh's own
 * trust domain in this field.
 */
struct mt_texts mt_authz_trust_domains(
	struct mt_region *r, const struct mt_authz_callers *who, const struct mt_texts *l)
{
	struct names to = {.r = r};

	for (uint32_t i = 0; i < l->n; i++) {
		const char *s = l->v[i].s;
		bool ours = false;

		for (uint32_t d = 0; d < who->n_domains; d++)
			ours |= strcmp(who->domains[d], s) == 0;
		put(&to, s);
		for (uint32_t d = 0; ours && d < who->n_domains; d++)
			put(&to, who->domains[d]);
	}
	return end(&to);
}
