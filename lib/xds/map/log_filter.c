/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps the filter of an access log to an expression in CEL, which lib/accesslog evaluates
 * (attributes.def), and to a share of the calls. A filter that these do not express exactly gets
 * neither, and its log has no lines. An expression that cannot be compiled is reported with the
 * Node's configuration (lib/conf/access_log.c).
 */
#include "mt_xds_map_priv.h"

#include "mt_ending.h"

#include <string.h>

#define DEPTH_MAX 8u	/* filters in each other */
#define TEXT_MAX  4096u /* bytes of an expression, as in mt_cel.h */
#define ALL	  1000000u

/* Of a filter that every call passes. */
static const char yes[] = "true";

/*
 * The functions below return an expression; NULL: it is not exact, or there is an error. `out` gets
 * the share of the calls; NULL: a share cannot be expressed there.
 */

static const char *expression_of(
	struct mt_xmap *m, const Xds__AccessLogFilter *f, uint32_t depth, struct mt_chain_log *out);

/* ---- comparisons ----------------------------------------------------------------------------- */

enum { EQUAL, AT_LEAST, AT_MOST, NOT_EQUAL, N_OPS };

static bool is_known(const Xds__ComparisonFilter *c)
{
	return c && c->value && c->op >= 0 && c->op < N_OPS;
}

static const char *of_status(struct mt_xmap *m, const Xds__ComparisonFilter *c)
{
	static const char *const ops[] = {"==", ">=", "<=", "!="};

	if (!is_known(c))
		return NULL;
	return mt_region_printf(m->r, "response.code %s %u", ops[c->op], c->value->default_value);
}

/* Envoy compares whole ms. */
static const char *of_duration(struct mt_xmap *m, const Xds__ComparisonFilter *c)
{
	unsigned long long ms;

	if (!is_known(c))
		return NULL;
	ms = c->value->default_value;
	switch (c->op) {
	case EQUAL:
		return mt_region_printf(m->r,
			"request.duration >= duration('%llums') && "
			"request.duration < duration('%llums')",
			ms, ms + 1);
	case AT_LEAST:
		return mt_region_printf(m->r, "request.duration >= duration('%llums')", ms);
	case AT_MOST:
		return mt_region_printf(m->r, "request.duration < duration('%llums')", ms + 1);
	default:
		return mt_region_printf(m->r,
			"request.duration < duration('%llums') || "
			"request.duration >= duration('%llums')",
			ms, ms + 1);
	}
}

/* ---- flags ----------------------------------------------------------------------------------- */

/* False: Envoy has no such flag. *bit 0: Meltemi never sets it. */
static bool flag_of(const char *name, uint32_t *bit)
{
	static const struct {
		const char *name;
		uint32_t bit;
	} flags[] = {
#define MT_RESPONSE_FLAG(name, words, at) {#name, MT_FLAG_##name},
#include "response_flags.def"
#undef MT_RESPONSE_FLAG
		{"LH", 0}, {"IH", 0}, {"UMSDR", 0}, {"RFCF", 0}, {"NFCF", 0}, {"DF", 0}, {"DO", 0},
		{"DR", 0}, {"UDO", 0}};

	for (size_t i = 0; i < MT_ARRAY_LEN(flags); i++)
		if (strcmp(flags[i].name, name) == 0) {
			*bit = flags[i].bit;
			return true;
		}
	return false;
}

static const char *of_flags(struct mt_xmap *m, const Xds__ResponseFlagFilter *f)
{
	const char *text = NULL;
	uint32_t all = 0, bit;

	if (!f->n_flags)
		return "response.flags != 0";
	for (size_t i = 0; i < f->n_flags; i++) {
		if (!flag_of(f->flags[i], &bit))
			return NULL;
		all |= bit;
	}
	for (uint32_t at = 0; at < 32; at++) {
		if (!(all >> at & 1))
			continue;
		text = mt_region_printf(m->r, "%s%sresponse.flags / %u %% 2 == 1", text ? text : "",
			text ? " || " : "", 1u << at);
		if (!text)
			return NULL;
	}
	return text ? text : "false";
}

/* ---- metadata -------------------------------------------------------------------------------- */

/* A text as a literal of CEL. NULL: it has control characters, or it is too long. */
static const char *literal(struct mt_xmap *m, const char *s)
{
	size_t len = strnlen(s, TEXT_MAX), n = 0;
	char *to = len < TEXT_MAX ? mt_region_alloc(m->r, 2 * len + 3) : NULL;

	if (!to)
		return NULL;
	to[n++] = '"';
	for (; *s; s++) {
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			return NULL;
		if (*s == '"' || *s == '\\')
			to[n++] = '\\';
		to[n++] = *s;
	}
	to[n++] = '"';
	to[n] = '\0';
	return to;
}

/* value.call("text"); `regex`: the whole value must match. */
static const char *test_text(
	struct mt_xmap *m, const char *value, const char *call, const char *text, bool regex)
{
	const char *all = regex ? mt_region_printf(m->r, "^(?:%s)$", text) : text;
	const char *words = all ? literal(m, all) : NULL;

	if (!words)
		return NULL;
	return call ? mt_region_printf(m->r, "%s.%s(%s)", value, call, words)
		    : mt_region_printf(m->r, "%s == %s", value, words);
}

static const char *of_string(struct mt_xmap *m, const char *value, const Xds__StringMatcher *s)
{
	switch (s->match_pattern_case) {
	case XDS__STRING_MATCHER__MATCH_PATTERN_SAFE_REGEX:
		return test_text(m, value, "matches", s->safe_regex->regex, true);
	case XDS__STRING_MATCHER__MATCH_PATTERN_EXACT:
		return s->ignore_case ? NULL : test_text(m, value, NULL, s->exact, false);
	case XDS__STRING_MATCHER__MATCH_PATTERN_PREFIX:
		return s->ignore_case ? NULL : test_text(m, value, "startsWith", s->prefix, false);
	case XDS__STRING_MATCHER__MATCH_PATTERN_SUFFIX:
		return s->ignore_case ? NULL : test_text(m, value, "endsWith", s->suffix, false);
	case XDS__STRING_MATCHER__MATCH_PATTERN_CONTAINS:
		return s->ignore_case ? NULL : test_text(m, value, "contains", s->contains, false);
	default:
		return NULL;
	}
}

static const char *of_value(struct mt_xmap *m, const char *value, const Xds__HeaderMatcher *h)
{
	switch (h->header_match_specifier_case) {
	case XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_EXACT_MATCH:
		return test_text(m, value, NULL, h->exact_match, false);
	case XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_PREFIX_MATCH:
		return test_text(m, value, "startsWith", h->prefix_match, false);
	case XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_SUFFIX_MATCH:
		return test_text(m, value, "endsWith", h->suffix_match, false);
	case XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_CONTAINS_MATCH:
		return test_text(m, value, "contains", h->contains_match, false);
	case XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_SAFE_REGEX_MATCH:
		return test_text(m, value, "matches", h->safe_regex_match->regex, true);
	case XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_STRING_MATCH:
		return of_string(m, value, h->string_match);
	default:
		return NULL;
	}
}

static const char *of_presence(struct mt_xmap *m, const char *name, const Xds__HeaderMatcher *h)
{
	bool there = h->header_match_specifier_case ==
			     XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER__NOT_SET ||
		     h->present_match;

	if (h->treat_missing_header_as_empty)
		return NULL;
	return mt_region_printf(m->r,
		there != h->invert_match ? "%s in request.headers" : "!(%s in request.headers)",
		name);
}

/*
 * Without the header the value is an error, which is false, also when it is inverted, as in Envoy.
 * A name that begins with a colon does not name metadata.
 */
static const char *of_header(struct mt_xmap *m, const Xds__HeaderMatcher *h)
{
	const char *name = h && *h->name && *h->name != ':' ? literal(m, h->name) : NULL;
	const char *value, *test;

	if (!name)
		return NULL;
	if (h->header_match_specifier_case ==
			XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER__NOT_SET ||
		h->header_match_specifier_case ==
			XDS__HEADER_MATCHER__HEADER_MATCH_SPECIFIER_PRESENT_MATCH)
		return of_presence(m, name, h);
	value = h->treat_missing_header_as_empty
			? mt_region_printf(m->r,
				  "(%s in request.headers ? request.headers[%s] : \"\")", name,
				  name)
			: mt_region_printf(m->r, "request.headers[%s]", name);
	test = value ? of_value(m, value, h) : NULL;
	return test && h->invert_match ? mt_region_printf(m->r, "!(%s)", test) : test;
}

/* ---- shares, lists, extensions --------------------------------------------------------------- */

/* One share for each log: draws of two would depend on each other. */
static const char *of_share(
	struct mt_xmap *m, const Xds__RuntimeFilter *r, struct mt_chain_log *out)
{
	uint32_t ppm = 0;

	if (!out || out->skips)
		return NULL;
	if (r->percent_sampled && !mt_xm_fraction(m, "percent_sampled", r->percent_sampled, &ppm))
		return NULL;
	out->skips = ALL - ppm;
	out->own_draw = r->use_independent_randomness;
	return yes;
}

static const char *of_list(struct mt_xmap *m, Xds__AccessLogFilter *const *f, size_t n,
	const char *word, uint32_t depth, struct mt_chain_log *out)
{
	const char *text = NULL;

	for (size_t i = 0; i < n; i++) {
		const char *one = expression_of(m, f[i], depth + 1, out);

		if (!one)
			return NULL;
		text = text ? mt_region_printf(m->r, "%s %s (%s)", text, word, one)
			    : mt_region_printf(m->r, "(%s)", one);
		if (!text || strlen(text) > TEXT_MAX)
			return NULL;
	}
	return text;
}

static const char *of_extension(struct mt_xmap *m, const Xds__ExtensionFilter *e)
{
	static const char type[] =
		"envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter";
	uint32_t mark = mt_xm_in(m, "extension_filter");
	const Xds__ExpressionFilter *msg;
	struct mt_xm_any any;

	if (!e->typed_config || !mt_xm_open(m, "typed_config", e->typed_config, &any) ||
		strcmp(any.type, type) != 0)
		return NULL;
	msg = mt_xm_read(m, "typed_config", &any, &xds__expression_filter__descriptor);
	mt_xm_out(m, mark);
	if (!msg || !*msg->expression || strlen(msg->expression) > TEXT_MAX)
		return NULL;
	return mt_region_strdup(m->r, msg->expression);
}

static const char *expression_of(
	struct mt_xmap *m, const Xds__AccessLogFilter *f, uint32_t depth, struct mt_chain_log *out)
{
	if (depth > DEPTH_MAX)
		return NULL;
	switch (f->filter_specifier_case) {
	case XDS__ACCESS_LOG_FILTER__FILTER_SPECIFIER_STATUS_CODE_FILTER:
		return of_status(m, f->status_code_filter->comparison);
	case XDS__ACCESS_LOG_FILTER__FILTER_SPECIFIER_DURATION_FILTER:
		return of_duration(m, f->duration_filter->comparison);
	case XDS__ACCESS_LOG_FILTER__FILTER_SPECIFIER_NOT_HEALTH_CHECK_FILTER:
		return yes;
	case XDS__ACCESS_LOG_FILTER__FILTER_SPECIFIER_RUNTIME_FILTER:
		return of_share(m, f->runtime_filter, out);
	case XDS__ACCESS_LOG_FILTER__FILTER_SPECIFIER_AND_FILTER:
		return of_list(
			m, f->and_filter->filters, f->and_filter->n_filters, "&&", depth, out);
	case XDS__ACCESS_LOG_FILTER__FILTER_SPECIFIER_OR_FILTER:
		return of_list(
			m, f->or_filter->filters, f->or_filter->n_filters, "||", depth, NULL);
	case XDS__ACCESS_LOG_FILTER__FILTER_SPECIFIER_HEADER_FILTER:
		return of_header(m, f->header_filter->header);
	case XDS__ACCESS_LOG_FILTER__FILTER_SPECIFIER_RESPONSE_FLAG_FILTER:
		return of_flags(m, f->response_flag_filter);
	case XDS__ACCESS_LOG_FILTER__FILTER_SPECIFIER_EXTENSION_FILTER:
		return of_extension(m, f->extension_filter);
	default:
		return NULL;
	}
}

bool mt_xm_log_filter(struct mt_xmap *m, const Xds__AccessLogFilter *f, struct mt_chain_log *out)
{
	uint32_t mark = mt_xm_in(m, "filter");
	const char *text = expression_of(m, f, 0, out);

	mt_xm_out(m, mark);
	if (!text || m->rc)
		return false;
	out->filter = strcmp(text, yes) == 0 ? NULL : text;
	return true;
}
