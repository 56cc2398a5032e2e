/* SPDX-License-Identifier: Apache-2.0 */
/* Walks of containers: the wanted elements as targets, with those that lead to them. */
#include "file.h"

#include <stdlib.h>

struct walk {
	struct cf_build *b;
	const struct cf_place *p; /* the wanted one */
	struct mt_ct_walk w;
	uint32_t line;
};

static void find_error(struct walk *k, const char *remedy, const char *text)
{
	char path[MT_PATH_MAX];

	snprintf(path, sizeof(path), "spec.places.%.128s.find", k->p->name);
	cf_error(k->b, path, k->p->find.line, remedy, "%s", text);
}

static struct mt_ct_target *push(struct walk *k)
{
	struct cf_build *b = k->b;

	if (k->w.n == MT_CT_WALK_TARGETS || b->n_targets == MT_CT_TARGETS) {
		find_error(k, "find less in it", "too many elements of one container");
		return NULL;
	}
	k->w.n++;
	return mt_region_push(b->region, (void **)&b->targets, &b->n_targets, sizeof(*b->targets));
}

/* A decimal or hexadecimal number up to `most`. */
static bool number(
	struct walk *k, const char *s, size_t len, uint32_t least, uint32_t most, uint32_t *v)
{
	char text[16], remedy[64];
	char *end;
	unsigned long long n;

	snprintf(remedy, sizeof(remedy), "write a number from %u to %u", least, most);
	if (len == 0 || len >= sizeof(text) || s[0] < '0' || s[0] > '9') {
		find_error(k, remedy, "not a number");
		return false;
	}
	memcpy(text, s, len);
	text[len] = '\0';
	n = strtoull(text, &end, text[1] == 'x' ? 16 : 10);
	if (*end || n < least || n > most) {
		find_error(k, remedy, "not a number of this range");
		return false;
	}
	*v = (uint32_t)n;
	return true;
}

/* True if a key ends at a character of the name, or has no blanks at its ends. */
static bool ends_key(const struct walk *k, const char *s, size_t len)
{
	if (k->w.format != MT_CT_LINES)
		return false;
	return memchr(s, k->w.between, len) || memchr(s, k->w.end, len) ||
	       (k->w.flags & MT_CT_WALK_TRIM &&
		       (strchr(" \t\r", s[0]) || strchr(" \t\r", s[len - 1])));
}

/* A part of a path into the target's number or name. */
static bool step_of(struct walk *k, const char *s, size_t len, struct mt_ct_target *g)
{
	switch ((enum mt_ct_format)k->w.format) {
	case MT_CT_PROTOBUF:
		return number(k, s, len, 1, (1u << 29) - 1, &g->number);
	case MT_CT_JCE_STRUCT:
		return number(k, s, len, 0, 255, &g->number);
	case MT_CT_TLV:
		return number(k, s, len, 0, UINT32_MAX >> (32 - 8 * k->w.key_width), &g->number);
	case MT_CT_WORDS:
		return number(k, s, len, 1, 1000, &g->number);
	default:
		if (len == 0 || len > MT_CT_KEY) {
			find_error(k, "write a name of 1 to 64 characters", "not a name");
			return false;
		}
		if (ends_key(k, s, len)) {
			find_error(k, "write the name without what is around it",
				"no key has this character there");
			return false;
		}
		g->text = cf_text(k->b, s, len);
		g->len = (uint16_t)len;
		return true;
	}
}

static bool same(const struct mt_ct_target *a, const struct mt_ct_target *b)
{
	return a->number == b->number && a->text == b->text && a->len == b->len;
}

/* The element that leads to others; 1 + its index, 0 after an error. */
static uint32_t above(struct walk *k, struct mt_ct_target want)
{
	struct cf_build *b = k->b;
	struct mt_ct_target *g;

	for (uint32_t i = 0; i < k->w.n; i++) {
		g = &b->targets[k->w.first + i];
		if (g->nested && g->parent == want.parent && same(g, &want))
			return i + 1;
	}
	want.slot = MT_CT_NONE;
	want.nested = 1;
	want.accept = MT_CT_ANY;
	g = push(k);
	if (!g)
		return 0;
	*g = want;
	return k->w.n;
}

static enum mt_ct_accept accepts(const struct cf_place *p, enum mt_ct_format format)
{
	if (format == MT_CT_JSON)
		return p->number == MT_CT_BYTES ? MT_CT_ANY : MT_CT_NUMBER;
	if (format != MT_CT_PROTOBUF && format != MT_CT_JCE_STRUCT)
		return MT_CT_ANY;
	if (p->container.holds == CF_MAP)
		return format == MT_CT_JCE_STRUCT ? MT_CT_GROUP : MT_CT_STRING;
	if (p->type.set && p->type.v + 1 == CF_T_BYTES)
		return MT_CT_BYTE_LIST;
	if (p->number == MT_CT_BYTES || p->number == MT_CT_DECIMAL)
		return MT_CT_STRING;
	/* Servers take a number of another wire type for an unknown field. */
	return p->number == MT_CT_LITTLE ? MT_CT_FIXED_NUMBER : MT_CT_NUMBER;
}

/* The entries of a map of protobuf: their format is read, because servers cannot else parse it. */
static void add_entries(struct walk *k, struct mt_ct_target want)
{
	uint32_t i = above(k, want);

	if (i)
		k->b->targets[k->w.first + i - 1].accept = MT_CT_ENTRY;
}

/* slot MT_CT_NONE: for a search. */
static void add(struct walk *k, const struct cf_place *p, uint8_t slot, bool entries)
{
	bool path = k->w.format == MT_CT_PROTOBUF || k->w.format == MT_CT_JCE_STRUCT ||
		    k->w.format == MT_CT_JSON;
	struct mt_ct_target g = {.slot = slot}, *to;
	const char *s = p->find.s, *dot;
	uint32_t depth = 0;

	k->p = p;
	for (; path && (dot = strchr(s, '.')); s = dot + 1) {
		if (++depth >= MT_CT_WALK_DEPTH) {
			find_error(k, "write 7 levels at most", "too deep a path");
			return;
		}
		if (!step_of(k, s, (size_t)(dot - s), &g))
			return;
		g.parent = (uint8_t)above(k, g);
		if (!g.parent)
			return;
		g.number = g.text = g.len = 0;
	}
	if (!step_of(k, s, strlen(s), &g))
		return;
	if (entries) {
		add_entries(k, g);
		return;
	}
	g.accept = (uint8_t)accepts(p, (enum mt_ct_format)k->w.format);
	/* The elements of a list are not its content. */
	g.width = (uint8_t)(g.accept == MT_CT_BYTE_LIST ? !p->container.holds && !p->kept
							: p->size.v);
	/*
	 * Readers of JSON take the last, and readers of JCE the first, whatever the rest of the
	 * protocol does.
	 */
	g.first = k->w.format == MT_CT_JCE_STRUCT ||
		  (k->b->spec->repeated.v == 1 && k->w.format != MT_CT_JSON);
	to = push(k);
	if (to)
		*to = g;
}

static struct mt_ct_walk shape(const struct cf_build *b, const struct cf_container *c)
{
	static const uint8_t formats[] = {
		[CF_PROTOBUF] = MT_CT_PROTOBUF,
		[CF_JCE] = MT_CT_JCE_STRUCT,
		[CF_JSON] = MT_CT_JSON,
		[CF_WORDS] = MT_CT_WORDS,
		[CF_HEADERS] = MT_CT_LINES,
		[CF_LINES] = MT_CT_LINES,
		[CF_PAIRS] = MT_CT_PAIRS,
		[CF_TLV] = MT_CT_TLV,
		[CF_HESSIAN] = MT_CT_FORMATS,
		[CF_MAP] = MT_CT_FORMATS,
	};
	const struct mt_num own = {.set = c->ordered, .v = c->little};

	return (struct mt_ct_walk){.format = formats[c->holds],
		.flags = (uint8_t)((cf_is_little(b, &own) ? MT_CT_WALK_LITTLE : 0) |
				   (c->whole ? MT_CT_WALK_WHOLE : 0) |
				   (c->holds == CF_HEADERS ? MT_CT_WALK_ICASE : 0) |
				   (c->trim ? MT_CT_WALK_TRIM : 0)),
		.key_width = c->width,
		.value_width = c->value_width,
		.pad = c->pad,
		.between = c->between,
		.end = c->end};
}

static uint16_t done(struct walk *k)
{
	struct cf_build *b = k->b;
	struct mt_ct_walk *to;

	if (b->n_walks == MT_CT_WALKS) {
		cf_full(b, b->spec->origin.line, "containers", MT_CT_WALKS);
		return 0;
	}
	to = mt_region_push(b->region, (void **)&b->walks, &b->n_walks, sizeof(*b->walks));
	if (!to)
		return 0;
	*to = k->w;
	return (uint16_t)(b->n_walks - 1);
}

bool cf_is_checked_map(const struct cf_place *map)
{
	return map->container.holds == CF_MAP && map->in.place->container.holds == CF_PROTOBUF;
}

uint16_t cf_walk(struct cf_build *b, struct cf_place *container)
{
	struct walk k = {.b = b, .w = shape(b, &container->container)};

	if (container->walk)
		return (uint16_t)(container->walk - 1);
	k.w.first = (uint16_t)b->n_targets;
	for (struct cf_place *p = b->v->places; p; p = p->next)
		if (p->used && p->how == CF_FOUND && p->in.place == container)
			add(&k, p, p->slot, false);
	for (uint32_t i = 0; i < b->v->n_searches; i++) {
		const struct cf_place *map = b->v->searches[i].place.place;

		if (cf_is_checked_map(map) && map->in.place == container)
			add(&k, map, MT_CT_NONE, true);
	}
	container->walk = (int16_t)(done(&k) + 1);
	return (uint16_t)(container->walk - 1);
}

uint16_t cf_map_walk(struct cf_build *b, struct cf_place *map)
{
	struct cf_place *in = map->container.holds == CF_MAP ? map->in.place : map;
	struct walk k = {.b = b, .w = shape(b, &in->container)};

	k.w.first = (uint16_t)b->n_targets;
	if (in != map)
		add(&k, map, MT_CT_NONE, false);
	return done(&k);
}
