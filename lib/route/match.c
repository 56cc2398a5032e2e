/* SPDX-License-Identifier: Apache-2.0 */
/* Tests conditions against values: the part of a lookup that runs for every exchange. */
#include "mt_route_priv.h"

#include <string.h>

_Static_assert(MT_RE2_VALUE >= MT_META_SCRATCH && MT_RE2_VALUE >= MT_META_BYTES,
	"each value of a call can be matched");

bool mt_route_value(struct mt_view *v, const struct mt_key *key, uint8_t slot,
	struct mt_value_cache *cache, struct mt_slice *value)
{
	uint32_t bit = slot < MT_ROUTE_CACHED_KEYS ? 1u << slot : 0;
	bool there;

	if (cache->known & bit) {
		*value = cache->values[slot];
		return (cache->present & bit) != 0;
	}
	there = mt_view_get(v, key, value);
	/* The next read overwrites a value in scratch. */
	if (!bit || (there && value->p >= v->scratch && value->p < v->scratch + sizeof(v->scratch)))
		return there;
	cache->known |= bit;
	if (there) {
		cache->present |= bit;
		cache->values[slot] = *value;
	}
	return there;
}

/* ASCII only, because the case of other characters is not the same in all programs. */
static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

static bool equal(const uint8_t *p, const struct mt_cond *c)
{
	if (!c->ignore_case)
		return memcmp(p, c->value, c->len) == 0;
	for (uint32_t i = 0; i < c->len; i++)
		if (lower(p[i]) != (uint8_t)c->value[i])
			return false;
	return true;
}

/* memmem() cannot ignore case, so that search is done here. */
static bool contains(struct mt_slice s, const struct mt_cond *c)
{
	if (!c->ignore_case)
		return memmem(s.p, s.len, c->value, c->len) != NULL;
	for (uint32_t i = 0; i + c->len <= s.len; i++)
		if (equal(s.p + i, c))
			return true;
	return false;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

/*
 * Reads the whole value as a decimal number of 64 bits with an optional sign. Ignores spaces around
 * it, as Envoy does.
 */
static bool parse_int(struct mt_slice s, int64_t *out)
{
	bool neg;
	uint32_t i;
	int64_t x = 0;

	while (s.len && is_space(s.p[s.len - 1]))
		s.len--;
	for (; s.len && is_space(s.p[0]); s.len--)
		s.p++;
	neg = s.len && s.p[0] == '-';
	i = s.len && (neg || s.p[0] == '+');
	if (i == s.len)
		return false;
	for (; i < s.len; i++) {
		int d = s.p[i] - '0';

		if (d < 0 || d > 9 || __builtin_mul_overflow(x, 10, &x) ||
			(neg ? __builtin_sub_overflow(x, d, &x) : __builtin_add_overflow(x, d, &x)))
			return false;
	}
	*out = x;
	return true;
}

static bool value_matches(const struct mt_cond *c, struct mt_slice s)
{
	int64_t x;

	switch (c->op) {
	case MT_MATCH_EXACT:
		return s.len == c->len && equal(s.p, c);
	case MT_MATCH_PREFIX:
		return s.len >= c->len && equal(s.p, c);
	case MT_MATCH_SUFFIX:
		return s.len >= c->len && equal(s.p + s.len - c->len, c);
	case MT_MATCH_CONTAINS:
		return s.len >= c->len && contains(s, c);
	case MT_MATCH_REGEX:
		return mt_re2_full_match(c->re, (const char *)s.p, s.len);
	case MT_MATCH_RANGE:
		return parse_int(s, &x) && x >= c->lo && x < c->hi;
	case MT_MATCH_PRESENT:
		return true;
	}
	return false;
}

/* A missing key fails an inverted condition, too, as in Envoy's header matchers. */
static bool cond_test(const struct mt_cond *c, struct mt_view *v, struct mt_value_cache *cache)
{
	struct mt_slice s;

	if (!mt_route_value(v, &c->key, c->slot, cache, &s)) {
		if (c->op == MT_MATCH_PRESENT)
			return c->invert != c->missing_as_empty;
		if (!c->missing_as_empty)
			return false;
		s = (struct mt_slice){(const uint8_t *)"", 0};
	}
	return value_matches(c, s) != c->invert;
}

bool mt_cond_list_test(
	const struct mt_cond *conds, uint32_t n, struct mt_view *v, struct mt_value_cache *cache)
{
	for (uint32_t i = 0; i < n; i++)
		if (!cond_test(&conds[i], v, cache))
			return false;
	return true;
}

bool mt_matcher_test(const struct mt_matcher *m, struct mt_view *v)
{
	struct mt_value_cache none;

	/* Conditions of a single matcher have no slot, so the cached values are never read. */
	none.known = none.present = 0;
	return mt_cond_list_test(m->conds, m->n, v, &none);
}
