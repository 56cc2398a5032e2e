/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table and its rules. Control thread only. A rule goes from LIVE (with references, and 10
 * minutes more) to ENDED, while ticks remove its buckets, to FREE 10 s later. Until then a worker
 * that has seen a word of it has long ended its take.
 */
#include "mt_keyed_priv.h"

#include "mt_secret_hash.h"

#include <errno.h>
#include <string.h>

/* The fills between two ticks of a place, that of a bucket's last token, and one that begins. */
static uint64_t fills_meanwhile(const struct mt_keyed_numbers *n)
{
	return MT_KEYED_LATEST / n->fill_ns + 2;
}

/* Bits of the count, so that no full bucket looks like another one; more than 63: too many. */
static uint32_t bits_of(const struct mt_keyed_numbers *n)
{
	uint64_t per_fill = MT_MIN(n->tokens_per_fill, n->max_tokens);
	unsigned __int128 span = (unsigned __int128)per_fill * fills_meanwhile(n) + n->max_tokens;
	uint32_t bits = MT_KEYED_BITS_MIN;

	while (bits < 64 && span >> bits)
		bits++;
	return bits;
}

const char *mt_keyed_numbers_bad(const struct mt_keyed_numbers *n)
{
	if (n->max_tokens == 0 || n->tokens_per_fill == 0)
		return "maxTokens and tokensPerFill must be 1 or more";
	if (n->fill_ns < MT_KEYED_FILL_MIN)
		return "fillInterval must be 50ms or more";
	if (bits_of(n) > MT_KEYED_BITS_MAX)
		return "a limit by key counts no more than 268435455 tokens: maxTokens, two fills "
		       "and the fills of a minute together";
	return NULL;
}

struct mt_keyed *mt_keyed_new(uint32_t keys, uint16_t workers)
{
	struct mt_keyed *t = calloc(1, sizeof(*t));
	uint32_t places = MT_KEYED_LINE;

	if (!t || workers == 0 || workers > MT_KEYED_WORKERS) {
		free(t);
		return NULL;
	}
	keys = MT_MIN(MT_MAX(keys, 64u), MT_KEYED_MAX);
	while (places < keys)
		places *= 2;
	t->lines = places / MT_KEYED_LINE;
	t->workers = workers;
	t->words = aligned_alloc(MT_CACHE_LINE, places * sizeof(*t->words));
	t->tops = aligned_alloc(MT_CACHE_LINE, workers * sizeof(*t->tops));
	if (!t->words || !t->tops) {
		mt_keyed_free(t);
		return NULL;
	}
	memset(t->words, 0, places * sizeof(*t->words));
	memset(t->tops, 0, workers * sizeof(*t->tops));
	return t;
}

static void destroy(struct mt_keyed_rule *r)
{
	if (!r)
		return;
	free((char *)r->def.name);
	free(r->counts);
	free(r->overflow);
	free(r);
}

void mt_keyed_free(struct mt_keyed *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i <= MT_KEYED_RULES; i++)
		destroy(t->rules[i]);
	free(t->tops);
	free(t->words);
	free(t);
}

static struct mt_keyed_rule *allocate(uint16_t workers)
{
	struct mt_keyed_rule *r = aligned_alloc(MT_CACHE_LINE, sizeof(*r));
	size_t counts = workers * sizeof(*r->counts);

	if (!r)
		return NULL;
	memset(r, 0, sizeof(*r));
	r->counts = aligned_alloc(MT_CACHE_LINE, counts);
	r->overflow = calloc(MT_KEYED_OVERFLOWS, sizeof(*r->overflow));
	if (!r->counts || !r->overflow) {
		destroy(r);
		return NULL;
	}
	return r;
}

/* A number without a rule; 0: none, or no memory. */
static uint32_t free_number(struct mt_keyed *t, int *error)
{
	for (uint32_t i = 1; i <= MT_KEYED_RULES; i++) {
		if (t->rules[i] && t->rules[i]->state != MT_KEYED_FREE)
			continue;
		if (!t->rules[i])
			__atomic_store_n(&t->rules[i], allocate(t->workers), __ATOMIC_RELEASE);
		*error = -ENOMEM;
		return t->rules[i] ? i : 0;
	}
	*error = -ENOSPC;
	return 0;
}

static uint64_t mask_of(uint32_t bits, uint32_t of)
{
	return bits == 0 ? 0 : (UINT64_MAX >> (64 - bits)) << (of - bits);
}

static struct mt_sip secret_of(uint64_t serial, const char *use)
{
	uint64_t key[2] = {
		mt_secret_hash_text(use, 2 * serial), mt_secret_hash_text(use, 2 * serial + 1)};

	return mt_sip_init((const uint8_t *)key);
}

static void set(struct mt_keyed *t, struct mt_keyed_rule *r, uint32_t number,
	const struct mt_keyed_def *def, uint64_t now)
{
	r->table = t;
	r->serial = ++t->serial;
	r->sip = secret_of(r->serial, "key");
	r->sip4 = secret_of(r->serial, "IPv4");
	r->sip6 = secret_of(r->serial, "IPv6");
	r->base = 0;
	r->origin = now;
	r->fill_ns = def->numbers.fill_ns;
	r->until = r->origin + r->fill_ns;
	r->max = def->numbers.max_tokens;
	r->per_fill = MT_MIN(def->numbers.tokens_per_fill, r->max);
	r->bits = bits_of(&def->numbers);
	r->head = (uint64_t)number << MT_KEYED_RULE_SHIFT;
	r->count_mask = (UINT64_C(1) << r->bits) - 1;
	r->mask4 = __builtin_bswap32((uint32_t)mask_of(def->prefix4, 32));
	r->mask6 = __builtin_bswap64(mask_of(def->prefix6, 64));
	r->line_mask = t->lines - 1;
	r->words = t->words;
	memset(r->overflow, 0, MT_KEYED_OVERFLOWS * sizeof(*r->overflow));
	memset(r->counts, 0, t->workers * sizeof(*r->counts));
}

static bool is(const struct mt_keyed_def *a, const struct mt_keyed_def *b)
{
	return strcmp(a->name, b->name) == 0 && a->numbers.max_tokens == b->numbers.max_tokens &&
	       a->numbers.tokens_per_fill == b->numbers.tokens_per_fill &&
	       a->numbers.fill_ns == b->numbers.fill_ns && a->prefix4 == b->prefix4 &&
	       a->prefix6 == b->prefix6;
}

static struct mt_keyed_rule *live(const struct mt_keyed *t, const struct mt_keyed_def *def)
{
	for (uint32_t i = 1; i <= MT_KEYED_RULES && t->rules[i]; i++)
		if (t->rules[i]->state == MT_KEYED_LIVE && is(&t->rules[i]->def, def))
			return t->rules[i];
	return NULL;
}

static struct mt_keyed_rule *make(
	struct mt_keyed *t, const struct mt_keyed_def *def, uint64_t now, int *error)
{
	uint32_t number = free_number(t, error);
	struct mt_keyed_rule *r = t->rules[number];
	char *name = r ? strdup(def->name) : NULL;

	if (!name)
		return NULL;
	free((char *)r->def.name);
	r->def = *def;
	r->def.name = name;
	r->state = MT_KEYED_LIVE;
	r->refs = 0;
	set(t, r, number, def, now);
	return r;
}

int mt_keyed_rule_get(struct mt_keyed *t, const struct mt_keyed_def *def, uint64_t now,
	struct mt_keyed_rule **rule)
{
	struct mt_keyed_def whole = *def;
	struct mt_keyed_rule *r;
	int error = 0;

	whole.prefix4 = whole.prefix4 ? whole.prefix4 : 32;
	whole.prefix6 = whole.prefix6 ? whole.prefix6 : 64;
	if (mt_keyed_numbers_bad(&def->numbers) || whole.prefix4 > 32 || whole.prefix6 > 64)
		return -EINVAL;
	r = live(t, &whole);
	if (!r)
		r = make(t, &whole, now, &error);
	if (!r)
		return error;
	r->refs++;
	__atomic_store_n(&r->hidden, def->hidden, __ATOMIC_RELAXED);
	*rule = r;
	return 0;
}

void mt_keyed_rule_put(struct mt_keyed *t, struct mt_keyed_rule *r, uint64_t now)
{
	MT_ASSERT(r->refs > 0 && r->table == t);
	if (--r->refs == 0)
		r->ended_at = now;
}

void mt_keyed_describe(const struct mt_keyed_rule *r, struct mt_keyed_info *info)
{
	*info = (struct mt_keyed_info){.name = r->def.name, .numbers = r->def.numbers};
	for (uint16_t w = 0; w < r->table->workers; w++) {
		info->admitted += mt_count_read(&r->counts[w].admitted);
		info->refused += mt_count_read(&r->counts[w].refused);
		info->overflowed += mt_count_read(&r->counts[w].overflowed);
	}
}

bool mt_keyed_next(const struct mt_keyed *t, uint32_t *idx, struct mt_keyed_info *info)
{
	while (*idx < MT_KEYED_RULES) {
		const struct mt_keyed_rule *r = t->rules[++*idx];

		if (!r || r->refs == 0)
			continue;
		mt_keyed_describe(r, info);
		return true;
	}
	return false;
}

uint32_t mt_keyed_places(const struct mt_keyed *t)
{
	return t->lines * MT_KEYED_LINE;
}

uint32_t mt_keyed_used(const struct mt_keyed *t)
{
	return t->used;
}
