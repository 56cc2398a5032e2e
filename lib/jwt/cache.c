/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_token_cache.h"

#include "mt_crypto.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 2048
#define LOOK	16 /* entries tried, from the oldest, to find one that no call holds */

/* An invalid token. */
struct refused {
	uint8_t digest[MT_TOKEN_DIGEST_LEN];
	int64_t until;
	uint8_t outcome;
};

struct mt_token_cache {
	EVP_MD_CTX *md;
	struct mt_list recent;	      /* most recently used first */
	uint16_t bucket[BUCKETS];     /* index of the first entry + 1; 0: none */
	struct mt_token_known *known; /* MT_TOKEN_KNOWN entries */
	struct refused refused[MT_TOKEN_REFUSED];
};

struct mt_token_cache *mt_token_cache_new(void)
{
	struct mt_token_cache *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	mt_list_init(&c->recent);
	c->md = EVP_MD_CTX_new();
	/* Backed by memory only once it is used. */
	c->known = calloc(MT_TOKEN_KNOWN, sizeof(*c->known));
	if (!c->md || !c->known || EVP_DigestInit_ex(c->md, EVP_sha256(), NULL) != 1) {
		mt_token_cache_free(c);
		return NULL;
	}
	/* Entries are taken from the list's tail, so the last one is used first. */
	for (uint32_t i = 0; i < MT_TOKEN_KNOWN; i++)
		mt_list_add_tail(&c->recent, &c->known[i].node);
	return c;
}

void mt_token_cache_free(struct mt_token_cache *c)
{
	if (!c)
		return;
	EVP_MD_CTX_free(c->md);
	free(c->known);
	free(c);
}

/* Restarts the digest context in place, so that nothing is allocated. */
void mt_token_cache_digest(struct mt_token_cache *c, const struct mt_token_rules *rules,
	uint64_t allowed, const void *token, uint32_t len, uint8_t digest[MT_TOKEN_DIGEST_LEN])
{
	const uint64_t head[] = {rules->id, allowed};
	bool ok = mt_crypto_digest_again(c->md) &&
		  EVP_DigestUpdate(c->md, head, sizeof(head)) == 1 &&
		  EVP_DigestUpdate(c->md, token, len) == 1 &&
		  EVP_DigestFinal_ex(c->md, digest, NULL) == 1;

	MT_ASSERT(ok);
}

static uint32_t word_of(const uint8_t digest[MT_TOKEN_DIGEST_LEN])
{
	uint32_t h;

	memcpy(&h, digest, sizeof(h));
	return h;
}

static bool same(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, MT_TOKEN_DIGEST_LEN) == 0;
}

/* ---- valid tokens ---------------------------------------------------------------------------- */

static uint16_t *bucket_of(struct mt_token_cache *c, const uint8_t *digest)
{
	return &c->bucket[word_of(digest) % BUCKETS];
}

static void forget(struct mt_token_cache *c, struct mt_token_known *k)
{
	uint16_t *at = bucket_of(c, k->digest);

	if (!k->used)
		return;
	while (&c->known[*at - 1] != k)
		at = &c->known[*at - 1].next;
	*at = k->next;
	k->used = false;
}

static struct mt_token_known *find_known(struct mt_token_cache *c, const uint8_t *digest)
{
	for (uint16_t i = *bucket_of(c, digest); i; i = c->known[i - 1].next)
		if (same(c->known[i - 1].digest, digest))
			return &c->known[i - 1];
	return NULL;
}

static bool still_holds(
	const struct mt_token_known *k, const struct mt_token_rules *rules, int64_t now_s)
{
	return now_s <= k->claims.expires &&
	       mt_jwks_source_generation(rules->rules[k->rule].keys) == k->generation;
}

static void touch(struct mt_token_cache *c, struct mt_token_known *k)
{
	mt_list_del(&k->node);
	mt_list_add(&c->recent, &k->node);
}

/* The least recently used entry that no call holds; NULL if the LOOK oldest are all held. */
static struct mt_token_known *oldest(struct mt_token_cache *c)
{
	struct mt_list *n = c->recent.prev;

	for (uint32_t i = 0; i < LOOK && n != &c->recent; i++, n = n->prev) {
		struct mt_token_known *k = mt_list_entry(n, struct mt_token_known, node);

		if (!k->refs)
			return k;
	}
	return NULL;
}

static void put_known(struct mt_token_cache *c, uint64_t rules, const uint8_t *digest,
	const struct mt_token_result *r)
{
	struct mt_token_known *k = find_known(c, digest);
	uint16_t *bucket = bucket_of(c, digest);

	if (k)
		forget(c, k);
	k = oldest(c);
	if (!k)
		return;
	forget(c, k);
	memcpy(k->digest, digest, sizeof(k->digest));
	memcpy(&k->claims, &r->claims, mt_claims_size(&r->claims));
	k->rules = rules;
	k->generation = r->generation;
	k->rule = r->rule;
	k->used = true;
	k->next = *bucket;
	*bucket = (uint16_t)(k - c->known + 1);
	touch(c, k);
}

/* ---- invalid tokens -------------------------------------------------------------------------- */

static struct refused *refused_at(struct mt_token_cache *c, const uint8_t *digest)
{
	return &c->refused[word_of(digest) % MT_TOKEN_REFUSED];
}

/* ---- both ------------------------------------------------------------------------------------ */

bool mt_token_cache_find(struct mt_token_cache *c, const struct mt_token_rules *rules,
	const uint8_t digest[MT_TOKEN_DIGEST_LEN], int64_t now_s, enum mt_token_outcome *o,
	struct mt_token_known **known)
{
	struct mt_token_known *k = find_known(c, digest);
	const struct refused *no;

	*known = NULL;
	if (k && still_holds(k, rules, now_s)) {
		touch(c, k);
		*known = k;
		*o = MT_TOKEN_valid;
		return true;
	}
	if (k)
		forget(c, k);
	no = refused_at(c, digest);
	*o = (enum mt_token_outcome)no->outcome;
	return no->until > now_s && same(no->digest, digest);
}

void mt_token_cache_put(struct mt_token_cache *c, uint64_t rules,
	const uint8_t digest[MT_TOKEN_DIGEST_LEN], const struct mt_token_result *r, int64_t now_s)
{
	struct refused *no = refused_at(c, digest);

	if (r->outcome == MT_TOKEN_valid) {
		if (same(no->digest, digest))
			no->until = 0;
		put_known(c, rules, digest, r);
	} else if (r->until > now_s) {
		memcpy(no->digest, digest, sizeof(no->digest));
		no->until = r->until;
		no->outcome = (uint8_t)r->outcome;
	}
}

uint32_t mt_token_cache_hold(struct mt_token_cache *c, struct mt_token_known *k)
{
	k->refs++;
	return (uint32_t)(k - c->known) + 1;
}

struct mt_token_known *mt_token_cache_held(struct mt_token_cache *c, uint32_t number)
{
	return &c->known[number - 1];
}

void mt_token_cache_drop(struct mt_token_cache *c, uint32_t number)
{
	c->known[number - 1].refs--;
}
