/* SPDX-License-Identifier: Apache-2.0 */
/* Parts that routes of all protocols have: conditions, weighted clusters, mirrors, mutations. */
#include "mt_xds_map_priv.h"

#include "mt_route.h"

#include <string.h>

#define CONDS_MAX     256u
#define CLUSTERS_MAX  4096u
#define MUTATION_MAX  16384u /* bytes; limit of the API */
#define MUTATIONS_MAX 1000u
#define REGEX_MAX     4096u

/* ---- conditions ------------------------------------------------------------------------------ */

struct mt_cond *mt_xm_cond(struct mt_xmap *m, const char *key, struct mt_rule_match *out)
{
	struct mt_cond *c;

	if (out->n_conds == CONDS_MAX) {
		mt_xm_bad(m, NULL, "more than %u conditions", CONDS_MAX);
		return NULL;
	}
	c = mt_region_push(m->r, (void **)&out->conds, &out->n_conds, sizeof(*c));
	if (!c) {
		mt_xm_no_memory(m);
		return NULL;
	}
	c->origin.file = m->out->meta->origin.file;
	c->op = MT_COND_PRESENT;
	return mt_xm_name_text(m, "name", key, &c->key) ? c : NULL;
}

static bool text_cond(struct mt_xmap *m, const char *field, enum mt_cond_op op, const char *value,
	struct mt_cond *c)
{
	/*
	 * An empty prefix, suffix and so on would match everything; the API does not allow it
	 * either.
	 */
	if (!*value && op != MT_COND_EXACT)
		return mt_xm_bad(m, field, "empty");
	c->op = op;
	return mt_xm_text(m, field, value, MUTATION_MAX, &c->value);
}

static bool regex_cond(
	struct mt_xmap *m, const char *field, const Xds__RegexMatcher *r, struct mt_cond *c)
{
	char why[160] = "";

	if (strlen(r->regex) > REGEX_MAX)
		return mt_xm_bad(m, field, "longer than %u bytes", REGEX_MAX);
	if (!mt_route_regex_ok(r->regex, why, sizeof(why)))
		return mt_xm_bad(m, field, "%s", why);
	return text_cond(m, field, MT_COND_REGEX, r->regex, c);
}

bool mt_xm_string_match(
	struct mt_xmap *m, const char *field, const Xds__StringMatcher *s, struct mt_cond *c)
{
	uint32_t mark = mt_xm_in(m, field);
	bool ok;

	switch (s->match_pattern_case) {
	case XDS__STRING_MATCHER__MATCH_PATTERN_EXACT:
		ok = text_cond(m, "exact", MT_COND_EXACT, s->exact, c);
		break;
	case XDS__STRING_MATCHER__MATCH_PATTERN_PREFIX:
		ok = text_cond(m, "prefix", MT_COND_PREFIX, s->prefix, c);
		break;
	case XDS__STRING_MATCHER__MATCH_PATTERN_SUFFIX:
		ok = text_cond(m, "suffix", MT_COND_SUFFIX, s->suffix, c);
		break;
	case XDS__STRING_MATCHER__MATCH_PATTERN_CONTAINS:
		ok = text_cond(m, "contains", MT_COND_CONTAINS, s->contains, c);
		break;
	case XDS__STRING_MATCHER__MATCH_PATTERN_SAFE_REGEX:
		ok = regex_cond(m, "safe_regex", s->safe_regex, c);
		break;
	default:
		return mt_xm_bad(m, NULL, "no pattern");
	}
	/*
	 * A regular expression itself specifies whether case matters, so ignore_case has no effect.
	 */
	c->ignore_case = s->ignore_case && c->op != MT_COND_REGEX;
	mt_xm_out(m, mark);
	return ok;
}

static bool range_cond(struct mt_xmap *m, const Xds__Int64Range *r, struct mt_cond *c)
{
	if (r->start >= r->end)
		return mt_xm_bad(m, "range_match", "start is not below end");
	c->op = MT_COND_RANGE;
	c->value.s = "range";
	c->lo = r->start;
	c->hi = r->end;
	return true;
}

static bool header(struct mt_xmap *m, const Xds__HeaderMatcher *h, struct mt_cond *c)
{
	c->invert = h->invert_match;
	c->missing_as_empty = h->treat_missing_header_as_empty;
	switch (h->header_match_specifier_case) {
	case XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER__NOT_SET:
		return true;
	case XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_EXACT_MATCH:
		return text_cond(m, "exact_match", MT_COND_EXACT, h->exact_match, c);
	case XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_PREFIX_MATCH:
		return text_cond(m, "prefix_match", MT_COND_PREFIX, h->prefix_match, c);
	case XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_SUFFIX_MATCH:
		return text_cond(m, "suffix_match", MT_COND_SUFFIX, h->suffix_match, c);
	case XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_CONTAINS_MATCH:
		return text_cond(m, "contains_match", MT_COND_CONTAINS, h->contains_match, c);
	case XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_SAFE_REGEX_MATCH:
		return regex_cond(m, "safe_regex_match.regex", h->safe_regex_match, c);
	case XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_STRING_MATCH:
		return mt_xm_string_match(m, "string_match", h->string_match, c);
	case XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_RANGE_MATCH:
		return range_cond(m, h->range_match, c);
	case XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_PRESENT_MATCH:
		/* present_match: false requires the header to be absent. */
		c->invert ^= !h->present_match;
		return true;
	default:
		return mt_xm_bad(m, NULL, "a way to match that is not known here");
	}
}

bool mt_xm_headers(struct mt_xmap *m, const char *field, Xds__HeaderMatcher *const *h, size_t n,
	struct mt_rule_match *out)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t mark = mt_xm_at(m, field, i);
		struct mt_cond *c = mt_xm_cond(m, h[i]->name, out);

		if (!c || !header(m, h[i], c))
			return false;
		mt_xm_out(m, mark);
	}
	return true;
}

struct mt_rule_match *mt_xm_match(struct mt_xmap *m, struct mt_rule *rule)
{
	rule->matches = mt_xm_alloc(m, sizeof(*rule->matches));
	if (!rule->matches)
		return NULL;
	rule->matches->origin = rule->origin;
	rule->n_matches = 1;
	return rule->matches;
}

/* ---- clusters -------------------------------------------------------------------------------- */

bool mt_xm_weigh(struct mt_xmap *m, struct mt_xm_weights *w, const char *name, uint32_t weight)
{
	struct mt_rule_dest *d;

	if (w->n == CLUSTERS_MAX)
		return mt_xm_bad(m, NULL, "more than %u clusters", CLUSTERS_MAX);
	d = mt_region_push(m->r, (void **)&w->dests, &w->n, sizeof(*d));
	if (!d)
		return mt_xm_no_memory(m);
	d->origin.file = m->out->meta->origin.file;
	d->weight = (struct mt_num){.v = weight, .set = true};
	w->sum += weight;
	return mt_xm_name_text(m, "name", name, &d->cluster) &&
	       mt_xm_needs_cluster(m, d->cluster.s);
}

bool mt_xm_weighed(struct mt_xmap *m, const char *field, const struct mt_xm_weights *w)
{
	if (!w->n)
		return mt_xm_bad(m, field, "there are no clusters");
	if (!w->sum)
		return mt_xm_bad(m, field, "all weights are 0");
	if (w->sum > UINT32_MAX)
		return mt_xm_bad(m, field, "the weights add up to more than %u", UINT32_MAX);
	return true;
}

bool mt_xm_weighted(
	struct mt_xmap *m, const char *field, const Xds__WeightedCluster *c, struct mt_rule *rule)
{
	struct mt_xm_weights w = {0};
	uint32_t mark = mt_xm_in(m, field);

	for (size_t i = 0; i < c->n_clusters; i++) {
		const Xds__WeightedCluster__ClusterWeight *one = c->clusters[i];
		uint32_t inner = mt_xm_at(m, "clusters", i);

		if (!mt_xm_weigh(m, &w, one->name, one->weight ? one->weight->value : 0))
			return false;
		mt_xm_out(m, inner);
	}
	if (!mt_xm_weighed(m, "clusters", &w))
		return false;
	if (c->total_weight && c->total_weight->value != w.sum)
		mt_xm_note(m, MT_XDS_NOTE_total_weight, "total_weight");
	rule->dests = w.dests;
	rule->n_dests = w.n;
	mt_xm_out(m, mark);
	return true;
}

bool mt_xm_one_cluster(struct mt_xmap *m, const char *name, struct mt_rule *rule)
{
	struct mt_rule_dest *d = mt_xm_alloc(m, sizeof(*d));

	if (!d || !mt_xm_name_text(m, "cluster", name, &d->cluster) ||
		!mt_xm_needs_cluster(m, d->cluster.s))
		return false;
	d->origin = rule->origin;
	rule->dests = d;
	rule->n_dests = 1;
	return true;
}

bool mt_xm_mirror(struct mt_xmap *m, size_t i, const char *cluster,
	const Xds__RuntimeFractionalPercent *share, struct mt_rule *rule)
{
	uint32_t mark = mt_xm_at(m, "request_mirror_policies", i), ppm = 1000000;
	struct mt_rule_mirror *one;

	if (share &&
		!mt_xm_fraction(m, "runtime_fraction.default_value", share->default_value, &ppm))
		return false;
	one = mt_region_push(
		m->r, (void **)&rule->mirrors, &rule->n_mirrors, sizeof(*rule->mirrors));
	if (!one)
		return mt_xm_no_memory(m);
	one->origin.file = m->out->meta->origin.file;
	one->percent = mt_xm_alloc(m, sizeof(*one->percent));
	if (!one->percent)
		return false;
	one->percent->ppm = (struct mt_num){.v = ppm, .set = true};
	if (!mt_xm_name_text(m, "cluster", cluster, &one->to.cluster) ||
		!mt_xm_needs_cluster(m, one->to.cluster.s))
		return false;
	mt_xm_out(m, mark);
	return true;
}

/* ---- mutations ------------------------------------------------------------------------------- */

bool mt_xm_mutation(struct mt_xmap *m, const char *key, const char *value,
	struct mt_rule_mutation **list, uint32_t *n)
{
	struct mt_rule_mutation *to;

	if (*n == MUTATIONS_MAX)
		return mt_xm_bad(m, NULL, "more than %u mutations", MUTATIONS_MAX);
	to = mt_region_push(m->r, (void **)list, n, sizeof(*to));
	if (!to)
		return mt_xm_no_memory(m);
	to->origin.file = m->out->meta->origin.file;
	return mt_xm_name_text(m, "key", key, &to->key) &&
	       (!value || mt_xm_text(m, "value", value, MUTATION_MAX, &to->value));
}
