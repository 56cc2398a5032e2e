/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles conditions from their configured form, and describes them in words. */
#include "mt_route_priv.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/*
 * Characters without a special meaning in a regex: a pattern of these only is an exact value, which
 * can be indexed.
 */
static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-/:,@ ";

/* Presence and ranges do not compare the value as text. */
static bool wants_value(enum mt_match_op op)
{
	return op != MT_MATCH_PRESENT && op != MT_MATCH_RANGE;
}

static int compile_value(struct mt_cond *c, struct mt_arena *a, const struct mt_matcher_def *def,
	char *errbuf, size_t errlen)
{
	bool ok = true;
	char *value;

	c->value = value = (char *)mt_arena_str(a, def->value ? def->value : "", &ok);
	if (!ok) {
		snprintf(errbuf, errlen, "no memory");
		return -ENOMEM;
	}
	c->len = (uint32_t)strlen(value);
	/* Converted to lower case once, so that a lookup converts only the message's value. */
	for (uint32_t i = 0; c->ignore_case && i < c->len; i++)
		value[i] = (char)tolower((unsigned char)value[i]);
	if (c->op != MT_MATCH_REGEX)
		return 0;
	/* RE2 handles an empty regex: it matches the empty value, which needs no index. */
	if (c->len && strspn(value, plain) == c->len) {
		c->op = MT_MATCH_EXACT;
		return 0;
	}
	c->re = mt_re2_new(value, c->len, errbuf, errlen);
	return c->re ? 0 : -EINVAL;
}

static int compile_cond(struct mt_cond *c, struct mt_arena *a, const struct mt_codec *codec,
	const struct mt_matcher_def *def, char *errbuf, size_t errlen)
{
	bool ok = true;
	const char *name;

	if (!def->key || !*def->key || strlen(def->key) > UINT16_MAX) {
		snprintf(errbuf, errlen, "a condition needs a key of 1 to %u bytes", UINT16_MAX);
		return -EINVAL;
	}
	name = mt_arena_str(a, def->key, &ok);
	if (!ok) {
		snprintf(errbuf, errlen, "no memory");
		return -ENOMEM;
	}
	*c = (struct mt_cond){
		.key = mt_key_make_icase(codec, name),
		.op = def->op,
		.invert = def->invert,
		.ignore_case = def->ignore_case && def->op <= MT_MATCH_CONTAINS,
		.missing_as_empty = def->missing_as_empty,
		.slot = MT_ROUTE_NO_SLOT,
		.lo = def->lo,
		.hi = def->hi,
	};
	return wants_value(def->op) ? compile_value(c, a, def, errbuf, errlen) : 0;
}

int mt_matcher_init(struct mt_matcher *m, struct mt_arena *a, const struct mt_codec *codec,
	const struct mt_matcher_def *defs, uint32_t n, char *errbuf, size_t errlen)
{
	/*
	 * m->n counts complete conditions, so that mt_matcher_fini() after a failure handles only
	 * these.
	 */
	m->n = 0;
	m->conds = mt_arena_alloc(a, sizeof(*m->conds) * n);
	if (!m->conds) {
		snprintf(errbuf, errlen, "no memory");
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < n; i++) {
		int rc = compile_cond(&m->conds[i], a, codec, &defs[i], errbuf, errlen);

		if (rc < 0)
			return rc;
		m->n++;
	}
	return 0;
}

void mt_matcher_fini(struct mt_matcher *m)
{
	for (uint32_t i = 0; i < m->n; i++)
		mt_re2_free(m->conds[i].re);
	m->n = 0;
}

struct mt_matcher *mt_matcher_compile(const struct mt_codec *codec,
	const struct mt_matcher_def *defs, uint32_t n, char *errbuf, size_t errlen)
{
	struct mt_matcher *m = calloc(1, sizeof(*m));

	if (!m) {
		snprintf(errbuf, errlen, "no memory");
		return NULL;
	}
	if (mt_matcher_init(m, &m->arena, codec, defs, n, errbuf, errlen) < 0) {
		mt_matcher_free(m);
		return NULL;
	}
	return m;
}

void mt_matcher_free(struct mt_matcher *m)
{
	if (!m)
		return;
	mt_matcher_fini(m);
	mt_arena_free(&m->arena);
	free(m);
}

uint32_t mt_matcher_keys(const struct mt_matcher *m, bool *other)
{
	uint32_t bits = 0;

	*other = false;
	for (uint32_t i = 0; i < m->n; i++) {
		int16_t id = m->conds[i].key.id;

		if (id >= 0 && id < 32)
			bits |= 1u << id;
		else
			*other = true;
	}
	return bits;
}

static int cond_str(const struct mt_matcher_def *d, char *buf, size_t size)
{
	static const char *const ops[] = {
		"exact", "prefix", "suffix", "contains", "regex", "present", "range"};
	const char *not = d->invert ? "not " : "", *icase = d->ignore_case ? " (any case)" : "";
	const char *empty = d->missing_as_empty ? " (missing is empty)" : "";

	if (d->op == MT_MATCH_PRESENT)
		return snprintf(buf, size, "%s %spresent%s", d->key, not, empty);
	if (d->op == MT_MATCH_RANGE)
		return snprintf(buf, size, "%s %srange [%" PRId64 ", %" PRId64 ")%s", d->key, not,
			d->lo, d->hi, empty);
	return snprintf(buf, size, "%s %s%s %s%s%s", d->key, not, ops[d->op],
		d->value ? d->value : "", icase, empty);
}

/* Stable: the same conditions always give the same words, which identify buckets across reloads. */
size_t mt_matcher_str(const struct mt_matcher_def *defs, uint32_t n, char *buf, size_t size)
{
	size_t len = 0;

	if (n == 0)
		return (size_t)snprintf(buf, size, "*");
	for (uint32_t i = 0; i < n; i++) {
		size_t at = MT_MIN(len, size);

		if (i)
			len += (size_t)snprintf(buf + at, size - at, ", ");
		at = MT_MIN(len, size);
		len += (size_t)cond_str(&defs[i], buf + at, size - at);
	}
	return len;
}

bool mt_route_regex_ok(const char *pattern, char *errbuf, size_t errlen)
{
	struct mt_re2 *re = mt_re2_new(pattern, strlen(pattern), errbuf, errlen);

	mt_re2_free(re);
	return re != NULL;
}
