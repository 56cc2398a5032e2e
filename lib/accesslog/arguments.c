/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments of operators, which stand in parentheses. */
#include "mt_alog_format_priv.h"
#include "mt_span.h"

#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define NAME_MAX_BYTES 256 /* of a metadata key, a variable, or a name of a space */

static bool is(struct mt_slice s, const char *word)
{
	return s.len == strlen(word) && strncasecmp((const char *)s.p, word, s.len) == 0;
}

static struct mt_slice copy(struct mt_alog_maker *m, struct mt_slice s)
{
	char *p = mt_region_strndup(&m->f->region, (const char *)s.p, s.len);

	return (struct mt_slice){(const uint8_t *)p, p ? s.len : 0};
}

/* Divides at the first `c`. False: there is none, and *first is the whole. */
static bool divide(struct mt_slice s, char c, struct mt_slice *first, struct mt_slice *rest)
{
	const uint8_t *at = s.len ? memchr(s.p, c, s.len) : NULL;
	uint32_t n = at ? (uint32_t)(at - s.p) : s.len;

	*first = (struct mt_slice){s.p, n};
	*rest = at ? (struct mt_slice){at + 1, s.len - n - 1} : (struct mt_slice){NULL, 0};
	return at != NULL;
}

bool mt_alog_add_note(struct mt_alog_maker *m, const struct mt_alog_use *use, const char *words)
{
	void *items = m->f->notes;
	const char **place =
		mt_region_push(&m->f->region, &items, &m->f->n_notes, sizeof(*m->f->notes));

	m->f->notes = items;
	if (!place)
		return mt_alog_no_memory(m);
	*place = use->has_arguments
			 ? mt_region_printf(&m->f->region, "%.*s(%.*s) %s", (int)use->name.len,
				   (const char *)use->name.p, (int)MT_MIN(use->arguments.len, 80u),
				   (const char *)use->arguments.p, words)
			 : mt_region_printf(&m->f->region, "%.*s %s", (int)use->name.len,
				   (const char *)use->name.p, words);
	return *place ? true : mt_alog_no_memory(m);
}

static bool same(struct mt_slice a, struct mt_slice b)
{
	return a.len == b.len && (!a.len || memcmp(a.p, b.p, a.len) == 0);
}

static bool same_key(const struct mt_alog_key *a, const struct mt_alog_key *b)
{
	return a->from == b->from && same(a->space, b->space) && same(a->name, b->name);
}

/* Adds a name that the format reads. */
static bool add_key(struct mt_alog_maker *m, const struct mt_alog_key *key)
{
	void *items = m->f->keys;
	struct mt_alog_key *place;

	for (uint32_t i = 0; i < m->f->n_keys; i++)
		if (same_key(&m->f->keys[i], key))
			return true;
	place = mt_region_push(&m->f->region, &items, &m->f->n_keys, sizeof(*place));
	m->f->keys = items;
	if (!place)
		return mt_alog_no_memory(m);
	*place = *key;
	return true;
}

static bool fail(struct mt_alog_maker *m, const struct mt_alog_use *use, const char *words)
{
	return mt_alog_fail(
		m, use->where, "%.*s %s", (int)use->name.len, (const char *)use->name.p, words);
}

/* ---- metadata ------------------------------------------------------------------------------- */

/*
 * Source of a value that has the name of a header. Other pseudo headers have no value; NAMED: the
 * metadata.
 */
static enum mt_alog_source header_source(enum mt_alog_from from, struct mt_slice name)
{
	if (from == MT_ALOG_RESPONSE && is(name, "x-envoy-upstream-service-time"))
		return MT_ALOG_SERVER_MS;
	if (from == MT_ALOG_RESPONSE && is(name, ":status"))
		return MT_ALOG_CODE;
	if (from == MT_ALOG_REQUEST && is(name, ":method"))
		return MT_ALOG_METHOD_OF;
	if (from == MT_ALOG_REQUEST && is(name, ":path"))
		return MT_ALOG_PATH_OF;
	if (from == MT_ALOG_REQUEST && is(name, ":authority"))
		return MT_ALOG_AUTHORITY_OF;
	return name.p[0] == ':' ? MT_ALOG_NOTHING : MT_ALOG_NAMED;
}

static bool is_sound(struct mt_slice name)
{
	for (uint32_t i = 0; i < name.len; i++)
		if (name.p[i] <= ' ' || name.p[i] == 0x7f)
			return false;
	return name.len > 0 && name.len <= NAME_MAX_BYTES;
}

static bool one_header(struct mt_alog_maker *m, const struct mt_alog_use *use,
	enum mt_alog_from from, struct mt_slice name, uint8_t *source, struct mt_alog_key *key)
{
	if (!is_sound(name))
		return fail(m, use, "needs a name of 1 to 256 characters without spaces");
	*source = (uint8_t)header_source(from, name);
	*key = (struct mt_alog_key){.from = from, .name = copy(m, name)};
	if (!key->name.p)
		return mt_alog_no_memory(m);
	if (*source == MT_ALOG_NOTHING)
		return mt_alog_add_note(
			m, use, "has no value, because RPC protocols do not have it");
	return *source != MT_ALOG_NAMED || add_key(m, key);
}

/* REQ(NAME?ALTERNATIVE) */
static bool names(struct mt_alog_maker *m, const struct mt_alog_use *use, enum mt_alog_from from,
	struct mt_alog_piece *p)
{
	struct mt_slice first, second, third;

	if (!use->arguments.len)
		return fail(m, use, "needs a name in parentheses, for example (USER-AGENT)");
	p->has_other = divide(use->arguments, '?', &first, &second);
	if (p->has_other && divide(second, '?', &second, &third))
		return fail(m, use, "takes one alternative name, after one ?");
	return one_header(m, use, from, first, &p->source, &p->key) &&
	       (!p->has_other || one_header(m, use, from, second, &p->other_source, &p->other));
}

static bool named(struct mt_alog_maker *m, const struct mt_alog_use *use, enum mt_alog_from from,
	struct mt_slice space, struct mt_slice name, struct mt_alog_piece *p)
{
	if (!is_sound(space) || !is_sound(name))
		return fail(m, use, "needs names of 1 to 256 characters without spaces");
	p->key = (struct mt_alog_key){from, copy(m, space), copy(m, name)};
	if (!p->key.space.p || !p->key.name.p)
		return mt_alog_no_memory(m);
	return add_key(m, &p->key);
}

/* Dynamic metadata with a value that others have, too: of calls of a protocol (NULL: of any). */
struct dynamic {
	const char *space, *name, *protocol;
	uint16_t source, index;
};

static const struct dynamic dynamic[] = {
	{"meltemi", "service", NULL, MT_ALOG_TEXT_OF, MT_ALOG_INTERFACE},
	{"meltemi", "method", NULL, MT_ALOG_TEXT_OF, MT_ALOG_METHOD},
	{"meltemi", "kind", NULL, MT_ALOG_KIND, 0},
	{"dubbo.proxy", "interface", "dubbo", MT_ALOG_TEXT_OF, MT_ALOG_INTERFACE},
	{"dubbo.proxy", "method", "dubbo", MT_ALOG_TEXT_OF, MT_ALOG_METHOD},
	{"dubbo.proxy", "version", "dubbo", MT_ALOG_NAMED, MT_ALOG_REQUEST},
	{"dubbo.proxy", "group", "dubbo", MT_ALOG_NAMED, MT_ALOG_REQUEST},
	{"thrift.proxy", "method", "thrift", MT_ALOG_TEXT_OF, MT_ALOG_METHOD},
	{"thrift.proxy", "cluster_name", "thrift", MT_ALOG_TEXT_OF, MT_ALOG_CLUSTER},
};

static const struct dynamic *dynamic_of(struct mt_slice space, struct mt_slice name)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(dynamic); i++)
		if (mt_slice_eq_str(space, dynamic[i].space) &&
			mt_slice_eq_str(name, dynamic[i].name))
			return &dynamic[i];
	return NULL;
}

static bool use_dynamic(struct mt_alog_maker *m, const struct dynamic *d, struct mt_alog_piece *p)
{
	const struct mt_slice name = {(const uint8_t *)d->name, (uint32_t)strlen(d->name)};

	p->protocol = d->protocol;
	p->source = (uint8_t)d->source;
	p->index = d->index;
	p->key = (struct mt_alog_key){.from = MT_ALOG_REQUEST, .name = name};
	return d->source != MT_ALOG_NAMED || add_key(m, &p->key);
}

/* DYNAMIC_METADATA(SPACE:NAME) */
static bool path(struct mt_alog_maker *m, const struct mt_alog_use *use, struct mt_alog_piece *p)
{
	const struct dynamic *d;
	struct mt_slice space, name;

	if (!use->arguments.len)
		return fail(m, use, "needs (NAMESPACE:KEY), for example (meltemi:kind)");
	if (divide(use->arguments, ':', &space, &name)) {
		d = dynamic_of(space, name);
		return d ? use_dynamic(m, d, p) : named(m, use, MT_ALOG_DYNAMIC, space, name, p);
	}
	p->source = MT_ALOG_NOTHING;
	return mt_alog_add_note(m, use, "has no value, because it names no key of the namespace");
}

/* FILTER_STATE(downstream_peer:FIELD:NAME) */
static bool peer(struct mt_alog_maker *m, const struct mt_alog_use *use, struct mt_alog_piece *p)
{
	struct mt_slice space, form, name;

	if (!use->arguments.len)
		return fail(
			m, use, "needs (downstream_peer:FIELD:NAME) or (upstream_peer:FIELD:NAME)");
	divide(use->arguments, ':', &space, &form);
	if ((is(space, "downstream_peer") || is(space, "upstream_peer")) &&
		divide(form, ':', &form, &name) && is(form, "FIELD"))
		return named(m, use, MT_ALOG_PEER, space, name, p);
	p->source = MT_ALOG_NOTHING;
	return mt_alog_add_note(m, use,
		"has no value: there are downstream_peer:FIELD:NAME and upstream_peer:FIELD:NAME");
}

/* ---- times and addresses -------------------------------------------------------------------- */

static bool point_of(struct mt_slice s, uint8_t *point)
{
	static const char *const points[] = {
		[MT_ALOG_DS_CX_BEG] = "DS_CX_BEG",
		[MT_ALOG_DS_CX_END] = "DS_CX_END",
		[MT_ALOG_DS_RX_BEG] = "DS_RX_BEG",
		[MT_ALOG_DS_RX_END] = "DS_RX_END",
		[MT_ALOG_US_CX_BEG] = "US_CX_BEG",
		[MT_ALOG_US_CX_END] = "US_CX_END",
		[MT_ALOG_US_HS_END] = "US_HS_END",
		[MT_ALOG_US_TX_BEG] = "US_TX_BEG",
		[MT_ALOG_US_TX_END] = "US_TX_END",
		[MT_ALOG_US_RX_BEG] = "US_RX_BEG",
		[MT_ALOG_US_RX_END] = "US_RX_END",
		[MT_ALOG_DS_TX_BEG] = "DS_TX_BEG",
		[MT_ALOG_DS_TX_END] = "DS_TX_END",
	};

	for (uint8_t i = 0; i < MT_ARRAY_LEN(points); i++)
		if (mt_slice_eq_str(s, points[i])) {
			*point = i;
			return true;
		}
	return false;
}

static uint32_t unit_of(struct mt_slice s)
{
	return mt_slice_eq_str(s, "ms")	  ? (uint32_t)MT_MSEC
	       : mt_slice_eq_str(s, "us") ? (uint32_t)MT_USEC
	       : mt_slice_eq_str(s, "ns") ? 1
					  : 0;
}

/* COMMON_DURATION(FROM:TO) or (FROM:TO:UNIT) */
static bool points(struct mt_alog_maker *m, const struct mt_alog_use *use, struct mt_alog_piece *p)
{
	struct mt_slice from, to, rest, unit;
	uint8_t a = 0, b = 0;

	if (!divide(use->arguments, ':', &from, &rest))
		return fail(
			m, use, "needs two points in time, for example (DS_RX_BEG:DS_TX_END:ms)");
	if (divide(rest, ':', &to, &unit)) {
		p->unit = unit_of(unit);
		if (!p->unit)
			return fail(m, use, "takes the units ms, us and ns");
	}
	if (point_of(from, &a) && point_of(to, &b)) {
		p->index = (uint16_t)MT_ALOG_SPAN_OF(a, b);
		return true;
	}
	p->source = MT_ALOG_NOTHING;
	return mt_alog_add_note(m, use, "has no value, because a point in time is not known");
}

static bool time_format(struct mt_alog_maker *m, const struct mt_alog_operator *op,
	const struct mt_alog_use *use, struct mt_alog_piece *p)
{
	static const char standard[] = "%Y-%m-%dT%H:%M:%S.%3fZ",
			  local[] = "%Y-%m-%dT%H:%M:%S.%3f%z";
	bool is_local = op->index & MT_ALOG_TIME_LOCAL;
	const char *text = is_local ? local : standard, *why;
	struct mt_slice format = use->arguments;

	if (!format.len)
		format = (struct mt_slice){(const uint8_t *)text, (uint32_t)strlen(text)};
	p->when = mt_alog_when_compile(&m->f->region, format, is_local, &why);
	if (p->when)
		return true;
	return why ? mt_alog_fail(m, use->where, "%s: %s", op->name, why) : mt_alog_no_memory(m);
}

/* TRACE_ID and SPAN_ID of calls without spans come from metadata that clients send. */
static bool add_trace_keys(struct mt_alog_maker *m)
{
	for (uint32_t i = 0; i < MT_SPAN_KEYS; i++) {
		const char *name = mt_span_keys[i];
		const struct mt_alog_key key = {.from = MT_ALOG_REQUEST,
			.name = {(const uint8_t *)name, (uint32_t)strlen(name)}};

		if (!add_key(m, &key))
			return false;
	}
	return true;
}

static bool reads_trace(const struct mt_alog_operator *op)
{
	return op->source == MT_ALOG_TEXT_OF &&
	       (op->index == MT_ALOG_TRACE_ID || op->index == MT_ALOG_SPAN_ID);
}

/* (BITS) of a prefix, which becomes the value. */
static bool mask(struct mt_alog_maker *m, const struct mt_alog_use *use, struct mt_alog_piece *p)
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < use->arguments.len; i++) {
		if (use->arguments.p[i] < '0' || use->arguments.p[i] > '9' || i == 3)
			return fail(m, use, "takes the length of a prefix, 0 to 128");
		bits = bits * 10 + use->arguments.p[i] - '0';
	}
	if (bits > 128)
		return fail(m, use, "takes the length of a prefix, 0 to 128");
	p->mask = use->arguments.len ? (uint8_t)(bits + 1) : 0;
	return true;
}

/* ---- constants ------------------------------------------------------------------------------ */

static bool constant(struct mt_alog_maker *m, const char *value, struct mt_alog_piece *p)
{
	p->text = (struct mt_slice){NULL, 0};
	if (!value)
		return true;
	p->text = copy(m, (struct mt_slice){(const uint8_t *)value, (uint32_t)strlen(value)});
	return p->text.p ? true : mt_alog_no_memory(m);
}

static bool hostname(struct mt_alog_maker *m, struct mt_alog_piece *p)
{
	char name[256] = "";

	return constant(m, gethostname(name, sizeof(name) - 1) == 0 && name[0] ? name : NULL, p);
}

static bool environment(
	struct mt_alog_maker *m, const struct mt_alog_use *use, struct mt_alog_piece *p)
{
	char name[NAME_MAX_BYTES + 1];

	if (!is_sound(use->arguments))
		return fail(m, use, "needs the name of a variable in parentheses");
	memcpy(name, use->arguments.p, use->arguments.len);
	name[use->arguments.len] = '\0';
	return constant(m, getenv(name), p);
}

/* ---- all ------------------------------------------------------------------------------------ */

/* Like Envoy, which permits a length only where values may be long. */
static bool may_be_limited(const struct mt_alog_operator *op)
{
	return op->arguments == MT_ALOG_ANY_ARGUMENTS || op->source == MT_ALOG_NAMED ||
	       op->arguments == MT_ALOG_FOR_ENVIRONMENT || op->arguments == MT_ALOG_FOR_CHOICES;
}

bool mt_alog_arguments(struct mt_alog_maker *m, const struct mt_alog_operator *op,
	const struct mt_alog_use *use, struct mt_alog_piece *p)
{
	p->source = (uint8_t)op->source;
	p->index = op->index;
	p->is_limited = use->has_limit;
	p->limit = use->limit;
	p->unit = (uint32_t)MT_MSEC;
	if (use->has_limit && !may_be_limited(op))
		return fail(m, use, "does not take a length");
	if (op->source == MT_ALOG_NOTHING)
		return mt_alog_add_note(m, use, "has no value, it is always empty");
	switch ((enum mt_alog_arguments)op->arguments) {
	case MT_ALOG_NO_ARGUMENTS:
		if (use->arguments.len)
			return fail(m, use, "does not take arguments");
		return !reads_trace(op) || add_trace_keys(m);
	case MT_ALOG_ANY_ARGUMENTS:
		return true;
	case MT_ALOG_FOR_TIME:
		return time_format(m, op, use, p);
	case MT_ALOG_FOR_NAMES:
		return names(m, use, (enum mt_alog_from)op->index, p);
	case MT_ALOG_FOR_PATH:
		return path(m, use, p);
	case MT_ALOG_FOR_PEER:
		return peer(m, use, p);
	case MT_ALOG_FOR_POINTS:
		return points(m, use, p);
	case MT_ALOG_FOR_MASK:
		return mask(m, use, p);
	case MT_ALOG_FOR_HOSTNAME:
		return (!use->arguments.len || fail(m, use, "does not take arguments")) &&
		       hostname(m, p);
	case MT_ALOG_FOR_ENVIRONMENT:
		return environment(m, use, p);
	case MT_ALOG_FOR_CHOICES:
		return mt_alog_coalesce(m, use, p);
	}
	return false;
}
