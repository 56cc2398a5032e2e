/* SPDX-License-Identifier: Apache-2.0 */
/* Lookups of names in the compiled table. Workers call them for each query. */
#include "mt_dns_priv.h"
#include "mt_siphash.h"

#include <string.h>

uint32_t dns_hash(const struct mt_dns_table *t, const uint8_t *name, uint32_t len)
{
	return (uint32_t)mt_siphash(t->key, name, len);
}

const struct dns_entry *dns_table_find(
	const struct mt_dns_table *t, const uint8_t *name, uint32_t len, uint8_t kinds)
{
	uint32_t hash = dns_hash(t, name, len);

	for (uint32_t i = hash & t->mask; t->slots[i]; i = (i + 1) & t->mask) {
		const struct dns_entry *e = &t->entries[t->slots[i] - 1];

		/* The only length of 0 ends a name, so a longer name differs within `len`. */
		if (e->hash == hash && e->kind & kinds &&
			memcmp(t->names + e->name, name, len) == 0)
			return e;
	}
	return NULL;
}

static bool has_wildcards(const struct mt_dns_table *t, uint32_t labels)
{
	return t->wild_depths[labels / 64 % 2] >> labels % 64 & 1;
}

/* The wildcard with the longest suffix of the name; "*.example.com" covers all names below it. */
static const struct dns_entry *find_wildcard(const struct mt_dns_table *t, const struct dns_name *n)
{
	uint32_t at = 0, labels = n->labels;

	if (!(t->wild_depths[0] | t->wild_depths[1]))
		return NULL;
	while (n->b[at]) {
		const struct dns_entry *e;

		at += 1u + n->b[at];
		labels--;
		/* Hash only suffixes with as many labels as some wildcard has. */
		if (!has_wildcards(t, labels))
			continue;
		e = dns_table_find(t, n->b + at, n->len - at, DNS_WILDCARD);
		if (e)
			return e;
	}
	return NULL;
}

static const struct dns_entry *find_joined(const struct mt_dns_table *t, const struct dns_name *n,
	const struct dns_name *suffix, uint8_t kinds)
{
	struct dns_name full;

	if (!suffix->len || !dns_name_join(n, suffix, &full))
		return NULL;
	return dns_table_find(t, full.b, full.len, kinds);
}

/* Finds NAME.NAMESPACE.svc.DOMAIN by NAME.NAMESPACE.svc, but no other HOST.DOMAIN by HOST. */
static const struct dns_entry *find_svc(const struct mt_dns_table *t, const struct dns_name *n)
{
	struct dns_name full;

	if (!t->domain.len || !dns_name_join(n, &t->domain, &full) ||
		dns_name_ends(&full, &t->svc) <= 0)
		return NULL;
	return dns_table_find(t, full.b, full.len, DNS_HOST);
}

/* Finds reviews.default.svc.cluster.local by reviews, reviews.default or reviews.default.svc. */
static const struct dns_entry *find_short(const struct mt_dns_table *t, const struct dns_name *n)
{
	if (n->labels == 1)
		return find_joined(t, n, &t->ns_svc, DNS_HOST);
	if (n->labels == 2)
		return find_joined(t, n, &t->svc, DNS_HOST);
	return n->labels == 3 ? find_svc(t, n) : NULL;
}

/*
 * The last place where a search domain may start. HOST.NAMESPACE.svc.DOMAIN of a HOST with a dot is
 * a name that clients of the namespace query for HOST, so it does not find HOST.NAMESPACE of
 * another author, if hosts have owners. Such clients find HOST by a later name of their list.
 */
static int last_search(const struct mt_dns_table *t, const struct dns_name *n)
{
	int end = t->owned && t->svc.len ? dns_name_ends(n, &t->svc) : -1, ns = 0;
	uint32_t labels = 0;

	for (int at = 0; at < end; at += 1 + n->b[at]) {
		ns = at;
		labels++;
	}
	return labels > 2 ? ns : n->len;
}

/*
 * Finds HOST by HOST.SEARCH, because clients try the domains of their search list before the name
 * as it is.
 */
static bool find_searched(
	const struct mt_dns_table *t, const struct dns_name *n, struct dns_found *f)
{
	int last = last_search(t, n);

	for (uint32_t i = 0; i < t->n_search; i++) {
		int at = dns_name_ends(n, &t->search[i]);

		if (at <= 0 || at > last)
			continue;
		dns_name_cut(n, (uint32_t)at, &f->target);
		f->entry = dns_table_find(t, f->target.b, f->target.len, DNS_HOST);
		if (!f->entry)
			f->entry = find_wildcard(t, &f->target);
		if (f->entry)
			return true;
	}
	return false;
}

/* Offset in the name at which its longest zone starts; -1: it is in none. */
static int find_zone(const struct mt_dns_table *t, const struct dns_name *n)
{
	int found = -1;

	for (uint32_t i = 0; i < t->n_zones; i++) {
		int at = dns_name_ends(n, &t->zones[i]);

		if (at >= 0 && (found < 0 || at < found))
			found = at;
	}
	return found;
}

static void set_zone(struct dns_found *f, int at)
{
	f->ours = at >= 0;
	f->apex = at == 0;
	f->zone = at < 0 ? 0 : (uint32_t)at;
}

/* Finds names that must not be forwarded (RFC 6761 §6.3, §6.4; RFC 7686). */
static bool find_special(const struct dns_name *n, struct dns_found *f)
{
	static const struct {
		const char *label;
		enum dns_kind kind;
	} special[] = {
		{"localhost", DNS_LOCALHOST}, {"invalid", DNS_NOBODY}, {"onion", DNS_NOBODY}};

	for (size_t i = 0; i < MT_ARRAY_LEN(special); i++) {
		struct dns_name top;
		int at;

		dns_name_of(special[i].label, &top);
		at = dns_name_ends(n, &top);
		if (at < 0)
			continue;
		f->kind = special[i].kind;
		set_zone(f, at);
		return true;
	}
	return false;
}

void dns_table_lookup(const struct mt_dns_table *t, const struct dns_name *n, struct dns_found *f)
{
	f->kind = DNS_NONE;
	f->entry = NULL;
	f->target_zone = -1;
	f->target.len = 0;
	if (find_special(n, f))
		return;
	set_zone(f, find_zone(t, n));
	f->entry = dns_table_find(t, n->b, n->len, DNS_HOST);
	if (!f->entry)
		f->entry = find_short(t, n);
	if (!f->entry)
		f->entry = find_wildcard(t, n);
	if (f->entry) {
		f->kind = DNS_ADDRESSES;
	} else if (find_searched(t, n, f)) {
		f->kind = DNS_ALIAS;
		f->target_zone = find_zone(t, &f->target);
	} else if (f->ours) {
		f->kind = f->apex || dns_table_find(t, n->b, n->len, DNS_BETWEEN) ? DNS_EMPTY
										  : DNS_NOBODY;
	}
}

bool dns_table_has_below(const struct mt_dns_table *t, const struct dns_name *n)
{
	int last = last_search(t, n);

	/* The short names of namespaces: NS for hosts X.NS, NS.svc for hosts X.NS.svc. */
	if (dns_table_find(t, n->b, n->len, DNS_BETWEEN) ||
		find_joined(t, n, &t->svc, DNS_BETWEEN) ||
		find_joined(t, n, &t->domain, DNS_BETWEEN))
		return true;
	for (uint32_t i = 0; i < t->n_search; i++) {
		int at = dns_name_ends(n, &t->search[i]);
		struct dns_name host;

		if (at <= 0 || at > last)
			continue;
		dns_name_cut(n, (uint32_t)at, &host);
		if (dns_table_find(t, host.b, host.len, DNS_BETWEEN))
			return true;
	}
	return false;
}

/* ---- for the CLI ----------------------------------------------------------------------------- */

static void addresses(
	const struct mt_dns_table *t, const struct dns_entry *e, struct mt_dns_name_info *info)
{
	info->n_addrs = 0;
	for (uint32_t i = 0; i < e->n4; i++)
		info->addrs[info->n_addrs++] = mt_addr4(t->addrs4[e->addr4 + i]);
	for (uint32_t i = 0; i < e->n6; i++)
		memcpy(&info->addrs[info->n_addrs++], t->addrs6[e->addr6 + i], 16);
}

bool mt_dns_table_next(const struct mt_dns_table *t, uint32_t *idx, struct mt_dns_name_info *info)
{
	while (t && *idx < t->n_entries) {
		const struct dns_entry *e = &t->entries[(*idx)++];
		char *text = info->host;

		if (!(e->kind & (DNS_HOST | DNS_WILDCARD)))
			continue;
		if (e->kind == DNS_WILDCARD) {
			*text++ = '*';
			*text++ = '.';
		}
		dns_name_text(t->names + e->name, text);
		addresses(t, e, info);
		info->origin = (enum mt_dns_origin)e->origin;
		info->differs = e->differs;
		return true;
	}
	return false;
}

uint32_t mt_dns_table_names(const struct mt_dns_table *t)
{
	return t ? t->n_hosts : 0;
}
