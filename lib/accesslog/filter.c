/* SPDX-License-Identifier: Apache-2.0 */
/* Attributes of a record, and filters that read them. Workers run this: it does not allocate. */
#include "mt_alog_filter_priv.h"
#include "mt_alog_format_priv.h"
#include "mt_ending.h"

#include <strings.h>

#define MADE_TEXT 1024 /* bytes; longer than a path, an address or details */

/* Attributes with a text that is made when an expression reads it first. */
enum made {
#define MT_ALOG_ATTR_TEXT(id, name, which)
#define MT_ALOG_ATTR_MADE(id, name, source, index) MADE_##id,
#define MT_ALOG_ATTR_COUNT(id, name, type, which)
#define MT_ALOG_ATTR_SPAN(id, name, from, to)
#define MT_ALOG_ATTR_PORT(id, name, end)
#define MT_ALOG_ATTR_OWN(id, name, type)
#define MT_ALOG_ATTR_NAMED(id, name, from)
#include "attributes.def"
	N_MADE
};

_Static_assert(N_MADE <= 32, "a bit for each");

/* The metadata of a request or reply, as a map. */
struct metadata {
	const struct mt_alog_record *of;
	enum mt_alog_from from;
};

struct mt_alog_trial {
	const struct mt_alog_record *r;
	struct metadata metadata[2]; /* by enum mt_alog_from */
	uint32_t made;		     /* bits by enum made */
	struct mt_cel_value texts[N_MADE];
	char bytes[N_MADE][MADE_TEXT];
	struct mt_cel_frame frame;
};

static const struct mt_cel_value absent = {.type = MT_CEL_ABSENT};

static struct mt_cel_value text_of(const struct mt_alog_trial *t, enum mt_alog_text which)
{
	return t->r->texts[which].p ? mt_cel_text(t->r->texts[which]) : absent;
}

/* The text that an operator has in a line; a longer one is cut. */
static struct mt_cel_value make(
	const struct mt_alog_trial *t, char *to, enum mt_alog_source source, uint16_t index)
{
	const struct mt_alog_piece piece = {.source = (uint8_t)source, .index = index};
	struct mt_alog_value v;
	uint32_t len = 0;

	mt_alog_value_of(&piece, t->r, 0, &v);
	if (v.type != MT_ALOG_IS_TEXT)
		return absent;
	for (uint32_t i = 0; i < v.n_parts; i++) {
		uint32_t n = MT_MIN(v.parts[i].len, MADE_TEXT - len);

		memcpy(to + len, v.parts[i].p, n);
		len += n;
	}
	return mt_cel_text((struct mt_slice){(const uint8_t *)to, len});
}

static struct mt_cel_value made_of(
	struct mt_alog_trial *t, enum made which, enum mt_alog_source source, uint16_t index)
{
	if (!(t->made >> which & 1))
		t->texts[which] = make(t, t->bytes[which], source, index);
	t->made |= 1u << which;
	return t->texts[which];
}

static struct mt_cel_value count_of(
	const struct mt_alog_trial *t, enum mt_cel_type type, enum mt_alog_number which)
{
	uint64_t n = t->r->numbers[which];

	if (!(t->r->numbers_known >> which & 1))
		return absent;
	if (type == MT_CEL_UINT)
		return (struct mt_cel_value){.type = MT_CEL_UINT, .u = n};
	return mt_cel_int((int64_t)MT_MIN(n, (uint64_t)INT64_MAX));
}

static struct mt_cel_value span_of(
	const struct mt_alog_trial *t, enum mt_alog_point from, enum mt_alog_point to)
{
	const struct mt_alog_record *r = t->r;
	uint64_t ns = r->points[to] > r->points[from] ? r->points[to] - r->points[from] : 0;

	if (!(r->points_known >> from & 1) || !(r->points_known >> to & 1))
		return absent;
	return (struct mt_cel_value){
		.type = MT_CEL_DURATION, .n = (int64_t)MT_MIN(ns, (uint64_t)INT64_MAX)};
}

static struct mt_cel_value port_of(const struct mt_alog_trial *t, enum mt_alog_end end)
{
	return mt_addr_is_zero(&t->r->ends[end].addr) ? absent : mt_cel_int(t->r->ends[end].port);
}

static struct mt_cel_value own_time(const struct mt_alog_trial *t)
{
	return (struct mt_cel_value){.type = MT_CEL_TIMESTAMP,
		.n = (int64_t)(t->r->wall / MT_SEC),
		.ns = (uint32_t)(t->r->wall % MT_SEC)};
}

/* 0 without a response, as in lines. */
static struct mt_cel_value own_code(const struct mt_alog_trial *t)
{
	return mt_cel_int(t->r->code ? t->r->code : mt_endings[t->r->ending].code);
}

static struct mt_cel_value own_flags(const struct mt_alog_trial *t)
{
	return mt_cel_int(mt_endings[t->r->ending].flags | t->r->flags);
}

static bool find(const void *map, struct mt_slice name, struct mt_cel_value *value)
{
	const struct metadata *m = map;
	const struct mt_alog_record *r = m->of;

	for (uint32_t i = 0; i < r->n_named; i++) {
		const struct mt_alog_named *n = &r->named[i];

		if (n->from != m->from || n->name.len != name.len ||
			strncasecmp((const char *)n->name.p, (const char *)name.p, name.len) != 0)
			continue;
		*value = n->value.type == MT_VALUE_TEXT ? mt_cel_text(n->value.text) : absent;
		return true;
	}
	return false;
}

static struct mt_cel_value named_of(struct mt_alog_trial *t, enum mt_alog_from from)
{
	t->metadata[from] = (struct metadata){t->r, from};
	return (struct mt_cel_value){.type = MT_CEL_MAP, .map = {find, &t->metadata[from]}};
}

/* ---- the table ------------------------------------------------------------------------------ */

#define GET(id, value)                                                                             \
	static struct mt_cel_value get_##id(void *arg)                                             \
	{                                                                                          \
		struct mt_alog_trial *t = arg;                                                     \
                                                                                                   \
		return value;                                                                      \
	}
#define MT_ALOG_ATTR_TEXT(id, name, which) GET(id, text_of(t, MT_ALOG_##which))
#define MT_ALOG_ATTR_MADE(id, name, source, index)                                                 \
	GET(id, made_of(t, MADE_##id, MT_ALOG_##source, index))
#define MT_ALOG_ATTR_COUNT(id, name, type, which)                                                  \
	GET(id, count_of(t, MT_CEL_##type, MT_ALOG_##which))
#define MT_ALOG_ATTR_SPAN(id, name, from, to) GET(id, span_of(t, MT_ALOG_##from, MT_ALOG_##to))
#define MT_ALOG_ATTR_PORT(id, name, end)      GET(id, port_of(t, MT_ALOG_##end))
#define MT_ALOG_ATTR_OWN(id, name, type)      GET(id, own_##id(t))
#define MT_ALOG_ATTR_NAMED(id, name, from)    GET(id, named_of(t, MT_ALOG_##from))
#include "attributes.def"

static const struct mt_cel_attribute table[] = {
#define MT_ALOG_ATTR_TEXT(id, name, which)	   {name, MT_CEL_STRING, MT_CEL_NULL, get_##id},
#define MT_ALOG_ATTR_MADE(id, name, source, index) {name, MT_CEL_STRING, MT_CEL_NULL, get_##id},
#define MT_ALOG_ATTR_COUNT(id, name, type, which)  {name, MT_CEL_##type, MT_CEL_NULL, get_##id},
#define MT_ALOG_ATTR_SPAN(id, name, from, to)	   {name, MT_CEL_DURATION, MT_CEL_NULL, get_##id},
#define MT_ALOG_ATTR_PORT(id, name, end)	   {name, MT_CEL_INT, MT_CEL_NULL, get_##id},
#define MT_ALOG_ATTR_OWN(id, name, type)	   {name, MT_CEL_##type, MT_CEL_NULL, get_##id},
#define MT_ALOG_ATTR_NAMED(id, name, from)	   {name, MT_CEL_MAP, MT_CEL_STRING, get_##id},
#include "attributes.def"
};

const struct mt_cel_attributes mt_alog_attributes = {table, MT_ARRAY_LEN(table)};

bool mt_alog_is_metadata(uint32_t i, enum mt_alog_from *from)
{
	*from = table[i].get == get_headers ? MT_ALOG_REQUEST : MT_ALOG_RESPONSE;
	return table[i].get == get_headers || table[i].get == get_response_headers;
}

/* ---- evaluation ----------------------------------------------------------------------------- */

size_t mt_alog_trial_size(void)
{
	return sizeof(struct mt_alog_trial);
}

bool mt_alog_filter_passes(
	const struct mt_alog_filter *f, struct mt_alog_trial *t, const struct mt_alog_record *r)
{
	t->r = r;
	t->made = 0;
	return mt_cel_is_true(f->cel, &t->frame, t);
}
