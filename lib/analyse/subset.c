/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decides whether one rule matches all calls that another one matches, and whether any call can
 * match a rule. A positive result is certain; a negative one means "unknown". A rule is one of
 * `from`, one of `to` and all of `when`: a disjunction of conjunctions, each of which is compared
 * with those of the other rule.
 */
#include "mt_analyse_priv.h"

#include <string.h>
#include <strings.h>

/* Rules with more conjunctions are not compared. */
#define PARTS_MAX 256u

/* ---- values: texts --------------------------------------------------------------------------- */

static bool begins(struct mt_slice s, struct mt_slice with)
{
	return s.len >= with.len && memcmp(s.p, with.p, with.len) == 0;
}

static bool ends(struct mt_slice s, struct mt_slice with)
{
	return s.len >= with.len && memcmp(s.p + s.len - with.len, with.p, with.len) == 0;
}

static bool same(struct mt_slice a, struct mt_slice b)
{
	return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

/* Each "*" of `with` matches any letters; when the rest does not match, the last one takes more. */
static bool fits_stars(struct mt_slice s, struct mt_slice with)
{
	uint32_t i = 0, k = 0, star = UINT32_MAX, from = 0;

	while (i < s.len) {
		if (k < with.len && with.p[k] == '*') {
			star = k++;
			from = i;
		} else if (k < with.len && with.p[k] == s.p[i]) {
			k++;
			i++;
		} else if (star != UINT32_MAX) {
			k = star + 1;
			i = ++from;
		} else {
			return false;
		}
	}
	while (k < with.len && with.p[k] == '*')
		k++;
	return k == with.len;
}

static bool exact_fits(struct mt_slice s, const struct mt_authz_value *y)
{
	switch ((enum mt_authz_match)y->match) {
	case MT_AUTHZ_EXACT:
		return same(s, y->text);
	case MT_AUTHZ_PREFIX:
		return begins(s, y->text);
	case MT_AUTHZ_SUFFIX:
		return ends(s, y->text);
	case MT_AUTHZ_PRESENT:
		return true;
	case MT_AUTHZ_NONEMPTY:
		return s.len > 0;
	case MT_AUTHZ_BEGINS:
		return s.len >= y->text.len &&
		       strncasecmp((const char *)s.p, (const char *)y->text.p, y->text.len) == 0;
	case MT_AUTHZ_STARS:
		return fits_stars(s, y->text);
	}
	return false;
}

/* True if every text that matches x matches y. */
static bool text_within(const struct mt_authz_value *x, const struct mt_authz_value *y)
{
	bool some = x->text.len > 0;

	if (y->match == MT_AUTHZ_PRESENT)
		return true;
	switch ((enum mt_authz_match)x->match) {
	case MT_AUTHZ_EXACT:
		return exact_fits(x->text, y);
	case MT_AUTHZ_PREFIX:
		return (y->match == MT_AUTHZ_PREFIX && begins(x->text, y->text)) ||
		       (y->match == MT_AUTHZ_NONEMPTY && some);
	case MT_AUTHZ_SUFFIX:
		return (y->match == MT_AUTHZ_SUFFIX && ends(x->text, y->text)) ||
		       (y->match == MT_AUTHZ_NONEMPTY && some);
	case MT_AUTHZ_NONEMPTY:
		return y->match == MT_AUTHZ_NONEMPTY;
	case MT_AUTHZ_STARS:
	case MT_AUTHZ_BEGINS:
		return x->match == y->match && same(x->text, y->text);
	case MT_AUTHZ_PRESENT:
		return false;
	}
	return false;
}

/* True if no text matches both. */
static bool texts_exclude(const struct mt_authz_value *x, const struct mt_authz_value *y)
{
	if (x->match == MT_AUTHZ_EXACT)
		return !exact_fits(x->text, y);
	if (y->match == MT_AUTHZ_EXACT)
		return !exact_fits(y->text, x);
	if (x->match == MT_AUTHZ_PREFIX && y->match == MT_AUTHZ_PREFIX)
		return !begins(x->text, y->text) && !begins(y->text, x->text);
	if (x->match == MT_AUTHZ_SUFFIX && y->match == MT_AUTHZ_SUFFIX)
		return !ends(x->text, y->text) && !ends(y->text, x->text);
	return false;
}

/* ---- values of any field --------------------------------------------------------------------- */

static bool is_net(uint8_t field)
{
	return field == MT_AUTHZ_PEER || field == MT_AUTHZ_SERVER;
}

static bool net_within(const struct mt_authz_value *x, const struct mt_authz_value *y)
{
	return y->bits <= x->bits && mt_prefix_contains(&y->net, y->bits, &x->net);
}

static bool within(uint8_t field, const struct mt_authz_value *x, const struct mt_authz_value *y)
{
	if (is_net(field))
		return net_within(x, y);
	return field == MT_AUTHZ_PORT ? x->port == y->port : text_within(x, y);
}

/* Two ports do not exclude each other, because one may be the server's and one the service's. */
static bool exclude(uint8_t field, const struct mt_authz_value *x, const struct mt_authz_value *y)
{
	if (is_net(field))
		return !net_within(x, y) && !net_within(y, x);
	return field != MT_AUTHZ_PORT && texts_exclude(x, y);
}

/* ---- conditions ------------------------------------------------------------------------------ */

static bool same_key(const struct mt_authz_cond *x, const struct mt_authz_cond *y)
{
	if (x->field != MT_AUTHZ_METADATA)
		return true;
	if (!x->key.name || !y->key.name)
		return false;
	/* A key that ignores case finds all that a case-sensitive one finds. */
	return y->key.icase ? strcasecmp(x->key.name, y->key.name) == 0
			    : !x->key.icase && strcmp(x->key.name, y->key.name) == 0;
}

/* The part of "DOMAIN/ns/NAMESPACE/sa/ACCOUNT" for `field`; len 0 if it has another form. */
static struct mt_slice part_of(struct mt_slice s, uint8_t field)
{
	static const char in_ns[] = "/ns/", in_sa[] = "/sa/";
	const uint8_t *ns = memmem(s.p, s.len, in_ns, 4), *sa, *end = s.p + s.len;

	if (!ns || memchr(s.p, '/', s.len) != ns)
		return (struct mt_slice){0};
	if (field == MT_AUTHZ_TRUST_DOMAIN)
		return (struct mt_slice){s.p, (uint32_t)(ns - s.p)};
	ns += 4;
	sa = memmem(ns, (size_t)(end - ns), in_sa, 4);
	if (!sa || memchr(ns, '/', (size_t)(end - ns)) != sa ||
		memchr(sa + 4, '/', (size_t)(end - sa - 4)))
		return (struct mt_slice){0};
	return (struct mt_slice){ns, (uint32_t)(sa - ns)};
}

/* Takes the namespace or the trust domain from an exact principal; false if it has none. */
static bool is_told_by(const struct mt_authz_value *x, uint8_t field, struct mt_authz_value *out)
{
	if (x->match != MT_AUTHZ_EXACT)
		return false;
	*out = *x;
	out->text = part_of(x->text, field);
	return out->text.len > 0;
}

static bool is_name(uint8_t field)
{
	return field >= MT_AUTHZ_PRINCIPAL && field <= MT_AUTHZ_TRUST_DOMAIN;
}

/* "NAMESPACE/ACCOUNT" */
static bool namespace_of(const struct mt_authz_value *x, struct mt_authz_value *out)
{
	const uint8_t *slash = memchr(x->text.p, '/', x->text.len);

	if (x->match != MT_AUTHZ_EXACT || !slash)
		return false;
	out->text.len = (uint32_t)(slash - x->text.p);
	return true;
}

/* Converts value i of x to a value of `field`; false if x does not determine it. */
static bool value_as(
	const struct mt_authz_cond *x, uint32_t i, uint8_t field, struct mt_authz_value *out)
{
	*out = x->values[i];
	if (x->field == field)
		return true;
	/* A caller with a namespace, an account or a trust domain has a principal. */
	if (field == MT_AUTHZ_PRINCIPAL && is_name(x->field)) {
		out->match = MT_AUTHZ_NONEMPTY;
		return true;
	}
	if (x->field == MT_AUTHZ_ACCOUNT && field == MT_AUTHZ_NAMESPACE)
		return namespace_of(&x->values[i], out);
	return x->field == MT_AUTHZ_PRINCIPAL &&
	       (field == MT_AUTHZ_NAMESPACE || field == MT_AUTHZ_TRUST_DOMAIN) &&
	       is_told_by(&x->values[i], field, out);
}

static bool one_within(
	const struct mt_authz_value *x, uint8_t field, const struct mt_authz_value *y, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (within(field, x, &y[i]))
			return true;
	return false;
}

/* True if `not` matches no value that x accepts. */
static bool spares(const struct mt_authz_cond *x, uint8_t field, const struct mt_authz_value * not )
{
	struct mt_authz_value v;

	if (x->field == field && one_within(not, field, x->nots, x->n_nots))
		return true;
	for (uint32_t i = 0; i < x->n_values; i++)
		if (!value_as(x, i, field, &v) || !exclude(field, &v, not ))
			return false;
	return x->n_values > 0;
}

static bool cond_within(
	const struct mt_authz_cond *x, const struct mt_authz_cond *y, bool other_action)
{
	struct mt_authz_value v;

	if (x->field != y->field && !(is_name(x->field) && is_name(y->field)))
		return false;
	if (!same_key(x, y) || (y->n_values && !x->n_values))
		return false;
	for (uint32_t i = 0; y->n_values && i < x->n_values; i++)
		if (!value_as(x, i, y->field, &v) ||
			!one_within(&v, y->field, y->values, y->n_values))
			return false;
	/*
	 * `nots` on metadata depend on the case of key names, which DENY ignores and ALLOW
	 * compares.
	 */
	if (other_action && y->field == MT_AUTHZ_METADATA && y->n_nots)
		return false;
	for (uint32_t i = 0; i < y->n_nots; i++)
		if (!spares(x, y->field, &y->nots[i]))
			return false;
	return x->field == y->field || y->n_values || y->n_nots;
}

/* ---- conjunctions ---------------------------------------------------------------------------- */

#define PARTS MT_ARRAY_LEN(((struct mt_conjunction *)0)->part)

static bool is_known(const struct mt_authz_cond *c)
{
	return c->field != MT_AUTHZ_UNKNOWN && c->field != MT_AUTHZ_NOBODY &&
	       c->field != MT_AUTHZ_TOKEN && c->field != MT_AUTHZ_CLAIM;
}

static bool is_of_call(uint8_t field)
{
	return field == MT_AUTHZ_METHOD || field == MT_AUTHZ_PATH || field == MT_AUTHZ_INTERFACE;
}

/* True if the condition matches any method, path or interface; `named`: or any non-empty one. */
static bool is_any_call(const struct mt_authz_cond *y, bool named)
{
	bool any = false;

	for (uint32_t i = 0; is_of_call(y->field) && i < y->n_values; i++)
		any |= y->values[i].match == MT_AUTHZ_PRESENT ||
		       (named && y->values[i].match == MT_AUTHZ_NONEMPTY);
	return any && !y->n_nots;
}

static bool implied(
	const struct mt_conjunction *x, const struct mt_authz_cond *y, bool other_action)
{
	/* Every call has these, and a DENY rule also matches what cannot be read. */
	if (other_action && is_any_call(y, false))
		return true;
	for (size_t i = 0; i < PARTS; i++)
		for (uint32_t k = 0; x->part[i] && k < x->part[i]->n; k++)
			if (cond_within(&x->part[i]->v[k], y, other_action))
				return true;
	return false;
}

static bool all_known(const struct mt_conjunction *x)
{
	for (size_t i = 0; i < PARTS; i++)
		for (uint32_t k = 0; x->part[i] && k < x->part[i]->n; k++)
			if (!is_known(&x->part[i]->v[k]))
				return false;
	return true;
}

static bool conjunction_within(
	const struct mt_conjunction *x, const struct mt_conjunction *y, bool other_action)
{
	if (!all_known(x) || !all_known(y))
		return false;
	for (size_t i = 0; i < PARTS; i++)
		for (uint32_t k = 0; y->part[i] && k < y->part[i]->n; k++)
			if (!implied(x, &y->part[i]->v[k], other_action))
				return false;
	return true;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static uint32_t parts(const struct mt_authz_rule *r)
{
	return MT_MAX(r->n_from, 1u) * MT_MAX(r->n_to, 1u);
}

static struct mt_conjunction part(const struct mt_authz_rule *r, uint32_t i)
{
	uint32_t n_to = MT_MAX(r->n_to, 1u);

	return (struct mt_conjunction){{r->n_from ? &r->from[i / n_to] : NULL,
		r->n_to ? &r->to[i % n_to] : NULL, &r->when}};
}

bool mt_an_rule_within(
	const struct mt_authz_rule *x, const struct mt_authz_rule *y, bool other_action)
{
	uint32_t n = parts(x), m = parts(y);

	if (n > PARTS_MAX || m > PARTS_MAX)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		struct mt_conjunction a = part(x, i);
		bool found = false;

		for (uint32_t k = 0; k < m && !found; k++) {
			struct mt_conjunction b = part(y, k);

			found = conjunction_within(&a, &b, other_action);
		}
		if (!found)
			return false;
	}
	return true;
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* Bytes of a value compared in one step. */
#define STEP_BYTES 32u

static uint64_t weight_of_values(const struct mt_authz_value *v, uint32_t n)
{
	uint64_t w = n;

	for (uint32_t i = 0; i < n; i++)
		w += v[i].text.len / STEP_BYTES;
	return w;
}

static uint64_t weight(const struct mt_authz_conds *l)
{
	uint64_t w = 1;

	for (uint32_t i = 0; i < l->n; i++)
		w += 1 + weight_of_values(l->v[i].values, l->v[i].n_values) +
		     weight_of_values(l->v[i].nots, l->v[i].n_nots);
	return w;
}

static uint64_t weight_of_all(const struct mt_authz_conds *v, uint32_t n, uint64_t *most)
{
	uint64_t sum = 0;

	*most = 0;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t w = weight(&v[i]);

		sum += w;
		*most = MT_MAX(*most, w);
	}
	return sum;
}

/* Steps for all conjunctions of a rule. *most: the upper limit for one conjunction. */
static uint64_t weight_of_rule(const struct mt_authz_rule *r, uint64_t *most)
{
	uint64_t from_most, to_most, when = weight(&r->when);
	uint64_t from = weight_of_all(r->from, r->n_from, &from_most),
		 to = weight_of_all(r->to, r->n_to, &to_most);

	*most = from_most + to_most + when;
	return from * MT_MAX(r->n_to, 1u) + to * MT_MAX(r->n_from, 1u) + when * parts(r);
}

uint64_t mt_an_cost(const struct mt_authz_rule *x)
{
	uint64_t most;

	return weight_of_rule(x, &most);
}

uint64_t mt_an_cost_within(const struct mt_authz_rule *x, const struct mt_authz_rule *y)
{
	uint64_t most;

	if (parts(x) > PARTS_MAX || parts(y) > PARTS_MAX)
		return 1;
	return weight_of_rule(x, &most) * weight_of_rule(y, &most);
}

uint64_t mt_an_cost_impossible(const struct mt_authz_rule *x)
{
	uint64_t most, all = weight_of_rule(x, &most);

	return parts(x) > PARTS_MAX ? 1 : all * most;
}

/* ---- impossible rules ------------------------------------------------------------------------ */

/*
 * True if y rejects every value of x, converted to y's field: a `not` of y matches the value, or y
 * has values and none of them matches it.
 */
static bool conds_exclude(const struct mt_authz_cond *x, const struct mt_authz_cond *y)
{
	struct mt_authz_value v;

	if (x->field == MT_AUTHZ_METADATA || x->field == MT_AUTHZ_PORT || !x->n_values)
		return false;
	for (uint32_t i = 0; i < x->n_values; i++) {
		bool out;

		if (!value_as(x, i, y->field, &v))
			return false;
		out = one_within(&v, y->field, y->nots, y->n_nots);
		for (uint32_t k = 0; !out && k < y->n_values; k++)
			if (!exclude(y->field, &v, &y->values[k]))
				return false;
		if (!out && !y->n_values)
			return false;
	}
	return true;
}

static bool excluded(const struct mt_conjunction *x, const struct mt_authz_cond *c)
{
	for (size_t i = 0; i < PARTS; i++)
		for (uint32_t k = 0; x->part[i] && k < x->part[i]->n; k++) {
			const struct mt_authz_cond *other = &x->part[i]->v[k];

			if ((other != c || c->n_nots) && is_known(other) && conds_exclude(c, other))
				return true;
		}
	return false;
}

static bool is_impossible(const struct mt_conjunction *x)
{
	for (size_t i = 0; i < PARTS; i++)
		for (uint32_t k = 0; x->part[i] && k < x->part[i]->n; k++)
			if (is_known(&x->part[i]->v[k]) && excluded(x, &x->part[i]->v[k]))
				return true;
	return false;
}

bool mt_an_rule_is_impossible(const struct mt_authz_rule *x)
{
	uint32_t n = parts(x);

	for (uint32_t i = 0; i < n && n <= PARTS_MAX; i++) {
		struct mt_conjunction a = part(x, i);

		if (!is_impossible(&a))
			return false;
	}
	return n <= PARTS_MAX;
}

static bool is_open(const struct mt_conjunction *x)
{
	for (size_t i = 0; i < PARTS; i++)
		for (uint32_t k = 0; x->part[i] && k < x->part[i]->n; k++)
			if (!is_any_call(&x->part[i]->v[k], true))
				return false;
	return true;
}

bool mt_an_rule_is_open(const struct mt_authz_rule *x)
{
	uint32_t n = parts(x);

	for (uint32_t i = 0; i < n && n <= PARTS_MAX; i++) {
		struct mt_conjunction a = part(x, i);

		if (is_open(&a))
			return true;
	}
	return false;
}

bool mt_an_rule_is_empty(const struct mt_authz_rule *x)
{
	return !x->n_from && !x->n_to && !x->when.n;
}
