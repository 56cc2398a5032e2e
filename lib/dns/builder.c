/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the table: collects hosts, then lays them out for lookups. Control thread. */
#include "mt_dns_priv.h"
#include "mt_rand.h"
#include "mt_secret_hash.h"

#include <errno.h>
#include <string.h>

#define BUILDER_MAX (1ull << 30)

struct host {
	struct dns_name name;
	uint8_t kind, origin;
	bool differs;
	uint32_t n_addrs;
	struct mt_addr *addrs;
};

struct mt_dns_builder {
	struct mt_region region;
	struct mt_strmap by_name;
	struct host **hosts;
	uint32_t n_hosts, n_addrs4, n_addrs6, name_bytes;
	struct mt_dns_table head; /* only its fields of the rules are used */
};

/* ---- rules ---------------------------------------------------------------------------------- */

static bool read_names(
	const char *const *texts, uint32_t n, struct dns_name *out, uint32_t max, uint32_t *n_out)
{
	if (n > max)
		return false;
	for (uint32_t i = 0; i < n; i++)
		if (!dns_name_of(texts[i], &out[i]) || out[i].labels == 0)
			return false;
	*n_out = n;
	return true;
}

static bool read_domain(struct mt_dns_table *t, const struct mt_dns_rules *r)
{
	struct dns_name word;

	if (!r->domain)
		return true;
	if (!dns_name_of(r->domain, &t->domain) || t->domain.labels == 0 ||
		!dns_name_of("svc", &word) || !dns_name_join(&word, &t->domain, &t->svc))
		return false;
	if (!r->ns)
		return true;
	return dns_name_of(r->ns, &word) && word.labels == 1 &&
	       dns_name_join(&word, &t->svc, &t->ns_svc);
}

struct mt_dns_builder *mt_dns_builder_new(const struct mt_dns_rules *r)
{
	struct mt_dns_builder *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	mt_region_init(&b->region, BUILDER_MAX);
	b->head.ttl = r->ttl;
	b->head.owned = r->owned;
	if (read_domain(&b->head, r) &&
		read_names(
			r->zones, r->n_zones, b->head.zones, MT_DNS_ZONES_MAX, &b->head.n_zones) &&
		read_names(r->search, r->n_search, b->head.search, MT_DNS_SEARCH_MAX,
			&b->head.n_search))
		return b;
	mt_dns_builder_free(b);
	return NULL;
}

void mt_dns_builder_free(struct mt_dns_builder *b)
{
	if (!b)
		return;
	mt_strmap_fini(&b->by_name);
	mt_region_fini(&b->region);
	free(b);
}

/* ---- hosts ---------------------------------------------------------------------------------- */

/* Finds or adds a host. The key is kind and name; its only 0 byte is the name's last. */
static struct host *host_of(struct mt_dns_builder *b, const struct dns_name *n, uint8_t kind)
{
	char key[DNS_NAME_MAX + 2];
	struct host *h, **slot;
	char *kept;

	key[0] = (char)('0' + kind);
	memcpy(key + 1, n->b, n->len);
	h = mt_strmap_get(&b->by_name, key);
	if (h)
		return h;
	h = mt_region_alloc(&b->region, sizeof(*h));
	kept = mt_region_strdup(&b->region, key);
	slot = mt_region_push(&b->region, (void **)&b->hosts, &b->n_hosts, sizeof(*slot));
	if (!h || !kept || !slot || mt_strmap_put(&b->by_name, kept, h, NULL)) {
		b->region.failed = true;
		return NULL;
	}
	*slot = h;
	h->name = *n;
	h->kind = kind;
	b->name_bytes += n->len;
	return h;
}

static bool has_addr(const struct host *h, const struct mt_addr *a)
{
	for (uint32_t i = 0; i < h->n_addrs; i++)
		if (mt_addr_eq(&h->addrs[i], a))
			return true;
	return false;
}

static int add_addr(struct mt_dns_builder *b, struct host *h, const struct mt_addr *a)
{
	struct mt_addr *slot;

	if (h->n_addrs == MT_DNS_ADDRS_MAX || has_addr(h, a))
		return 0;
	slot = mt_region_push(&b->region, (void **)&h->addrs, &h->n_addrs, sizeof(*slot));
	if (!slot)
		return -ENOMEM;
	*slot = *a;
	if (mt_addr_is4(a))
		b->n_addrs4++;
	else
		b->n_addrs6++;
	return 0;
}

/* Adds the names above a host, which exist although they have no data (RFC 8020 §2). */
static int add_between(struct mt_dns_builder *b, const struct dns_name *n)
{
	struct dns_name up = *n;

	while (up.labels > 1) {
		uint32_t front = 1u + up.b[0];

		memmove(up.b, up.b + front, up.len - front);
		up.len = (uint8_t)(up.len - front);
		up.labels--;
		if (!host_of(b, &up, DNS_BETWEEN))
			return -ENOMEM;
	}
	return 0;
}

/* The host has addresses of an earlier origin: only notes if `addrs` has others. */
static void compare(struct host *h, const struct mt_addr *addrs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		h->differs |= !has_addr(h, &addrs[i]);
}

int mt_dns_builder_add(struct mt_dns_builder *b, enum mt_dns_origin origin, const char *host,
	const struct mt_addr *addrs, uint32_t n)
{
	bool wild = strncmp(host, "*.", 2) == 0;
	struct dns_name name;
	struct host *h;
	int rc = 0;

	if (!dns_name_of(host + (wild ? 2 : 0), &name) || name.labels == 0)
		return -EINVAL;
	h = host_of(b, &name, wild ? DNS_WILDCARD : DNS_HOST);
	if (!h)
		return -ENOMEM;
	if (h->n_addrs && h->origin != origin) {
		compare(h, addrs, n);
		return 0;
	}
	h->origin = (uint8_t)origin;
	for (uint32_t i = 0; rc == 0 && i < n; i++)
		rc = add_addr(b, h, &addrs[i]);
	if (rc == 0 && wild && !host_of(b, &name, DNS_BETWEEN))
		rc = -ENOMEM;
	return rc ? rc : add_between(b, &name);
}

/* ---- the table ------------------------------------------------------------------------------ */

static void digest_name(const struct dns_name *n, uint64_t d[2])
{
	for (int i = 0; i < 2; i++)
		d[i] = mt_secret_hash(n->b, n->len, d[i] + n->len);
}

/*
 * Hashes hosts independently of their order, because sources list them in any order; rules in
 * order. The hashes alone decide if a table is the one before, so they are keyed: authors of
 * documents cannot make hosts with hashes that add up to the same.
 */
static void digest(const struct mt_dns_builder *b, uint64_t out[2])
{
	const struct mt_dns_table *t = &b->head;
	uint64_t first = t->ttl | (uint64_t)t->owned << 32;
	uint64_t d[2] = {first, ~first}, sum[2] = {0, 0};

	digest_name(&t->domain, d);
	digest_name(&t->ns_svc, d);
	for (uint32_t i = 0; i < t->n_zones; i++)
		digest_name(&t->zones[i], d);
	d[0]++;
	for (uint32_t i = 0; i < t->n_search; i++)
		digest_name(&t->search[i], d);
	for (uint32_t i = 0; i < b->n_hosts; i++) {
		const struct host *h = b->hosts[i];

		for (int k = 0; k < 2; k++) {
			uint64_t x =
				mt_secret_hash(h->name.b, h->name.len, (uint64_t)(h->kind + k * 8));

			x ^= (uint64_t)h->origin << 1 | h->differs;

			sum[k] += mt_secret_hash(h->addrs, h->n_addrs * sizeof(*h->addrs), x);
		}
	}
	out[0] = mt_secret_hash(&sum[0], sizeof(sum[0]), d[0]);
	out[1] = mt_secret_hash(&sum[1], sizeof(sum[1]), d[1]);
}

static uint32_t slots_for(uint32_t n)
{
	uint32_t slots = 8;

	while (slots < 2 * n)
		slots *= 2;
	return slots;
}

static void add_entry(struct mt_dns_table *t, const struct host *h, uint32_t fill[3])
{
	struct dns_entry *e = &t->entries[t->n_entries++];
	uint32_t i;

	*e = (struct dns_entry){.hash = dns_hash(t, h->name.b, h->name.len),
		.name = fill[0],
		.addr4 = fill[1],
		.addr6 = fill[2],
		.kind = h->kind,
		.origin = h->origin,
		.differs = h->differs,
		.labels = h->name.labels};
	memcpy(t->names + fill[0], h->name.b, h->name.len);
	fill[0] += h->name.len;
	for (uint32_t k = 0; k < h->n_addrs; k++) {
		if (mt_addr_is4(&h->addrs[k])) {
			t->addrs4[fill[1]++] = mt_addr_v4(&h->addrs[k]);
			e->n4++;
		} else {
			memcpy(t->addrs6[fill[2]++], &h->addrs[k], 16);
			e->n6++;
		}
	}
	t->n_hosts += h->kind != DNS_BETWEEN;
	if (h->kind == DNS_WILDCARD)
		t->wild_depths[e->labels / 64 % 2] |= 1ull << e->labels % 64;
	for (i = e->hash & t->mask; t->slots[i];)
		i = (i + 1) & t->mask;
	t->slots[i] = t->n_entries;
}

static struct mt_dns_table *lay_out(const struct mt_dns_builder *b)
{
	struct mt_dns_table *t = malloc(sizeof(*t));
	uint32_t slots = slots_for(b->n_hosts), fill[3] = {0, 0, 0};

	if (!t)
		return NULL;
	*t = b->head;
	t->refs = 1;
	mt_rand_secret(t->key, sizeof(t->key));
	t->mask = slots - 1;
	t->slots = calloc(slots, sizeof(*t->slots));
	t->entries = calloc(b->n_hosts + 1, sizeof(*t->entries));
	/* Padded, because a lookup compares as many bytes as its own name has. */
	t->names = calloc(1, b->name_bytes + DNS_NAME_MAX);
	t->addrs4 = calloc(b->n_addrs4 + 1, sizeof(*t->addrs4));
	t->addrs6 = calloc(b->n_addrs6 + 1, sizeof(*t->addrs6));
	if (!t->slots || !t->entries || !t->names || !t->addrs4 || !t->addrs6) {
		mt_dns_table_put(t);
		return NULL;
	}
	for (uint32_t i = 0; i < b->n_hosts; i++)
		add_entry(t, b->hosts[i], fill);
	return t;
}

struct mt_dns_table *mt_dns_builder_finish(struct mt_dns_builder *b, struct mt_dns_table *before)
{
	struct mt_dns_table *t = NULL;
	uint64_t d[2];

	digest(b, d);
	if (!b->region.failed && before && before->digest[0] == d[0] && before->digest[1] == d[1]) {
		before->refs++;
		t = before;
	} else if (!b->region.failed) {
		t = lay_out(b);
		if (t)
			memcpy(t->digest, d, sizeof(d));
	}
	mt_dns_builder_free(b);
	return t;
}

void mt_dns_table_put(struct mt_dns_table *t)
{
	if (!t || --t->refs > 0)
		return;
	free(t->slots);
	free(t->entries);
	free(t->names);
	free(t->addrs4);
	free(t->addrs6);
	free(t);
}
