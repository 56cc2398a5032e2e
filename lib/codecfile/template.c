/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Templates: their parts in the order in which they are written, each field of protobuf or JCE with
 * its head, and the lengths with what they count.
 */
#include "file.h"

#include "mt_varint.h"

#define NAMES 16

struct named {
	const char *name;
	uint16_t first, n;
};

struct making {
	struct cf_build *b;
	enum mt_ct_use use;
	uint32_t kind; /* of messages that places are copied from */
	uint32_t first;
	struct named named[NAMES];
	uint32_t n_named;
	bool has_code;
};

static void mistake(
	struct making *m, const struct cf_item *item, const char *remedy, const char *text)
{
	cf_error(m->b, cf_use_paths[m->use], item->origin.line, remedy, "%s", text);
}

static struct mt_ct_piece *push(struct making *m, const struct cf_item *item, struct mt_ct_piece p)
{
	struct cf_build *b = m->b;
	struct mt_ct_piece *to;

	if (b->n_parts == MT_CT_PIECES || b->n_parts - m->first == MT_CT_TEMPLATE_PIECES) {
		if (!b->full)
			mistake(m, item, "describe less", "too many parts");
		b->full = true;
		return NULL;
	}
	to = mt_region_push(b->region, (void **)&b->parts, &b->n_parts, sizeof(*to));
	if (to)
		*to = p;
	return to;
}

static uint16_t position(const struct making *m)
{
	return (uint16_t)(m->b->n_parts - m->first);
}

static void bytes(struct making *m, const struct cf_item *item, const void *p, uint32_t n)
{
	push(m, item,
		(struct mt_ct_piece){
			.code = MT_CT_PIECE_BYTES, .text = cf_text(m->b, p, n), .len = n});
}

static bool little(const struct making *m, const struct mt_num *own)
{
	const struct cf_build *b = m->b;
	const struct mt_num *order = own->set ? own : &b->v->order;

	return (order->set ? order : &b->spec->order)->v == 1;
}

/* ---- numbers --------------------------------------------------------------------------------- */

static struct mt_ct_piece number_of(struct making *m, const struct cf_item *item)
{
	static const uint8_t types[] = {[CF_AS_VARINT] = MT_CT_VARINT,
		[CF_AS_ZIGZAG] = MT_CT_ZIGZAG,
		[CF_AS_DECIMAL] = MT_CT_DECIMAL};
	uint32_t as = item->as.set ? item->as.v + 1 : CF_AS_NONE;
	struct mt_ct_piece part = {.code = MT_CT_PIECE_NUMBER,
		.size = (uint8_t)item->size.v,
		.mask = item->mask.set ? item->mask.v : UINT64_MAX,
		.set = item->set.v,
		.add = item->add.v,
		.is_signed = true,
		.unit = 1};

	part.type = little(m, &item->order) ? MT_CT_LITTLE : MT_CT_BIG;
	if (as >= CF_AS_VARINT && as <= CF_AS_DECIMAL)
		part.type = types[as];
	else if (as)
		mistake(m, item, "write varint, zigzag or decimal, or a size", "not for numbers");
	return part;
}

/* The number of a field: its type follows the container. */
static void in_field(
	struct making *m, const struct cf_item *item, enum cf_holds holds, struct mt_ct_piece *part)
{
	if (holds == CF_PROTOBUF && part->type != MT_CT_ZIGZAG) {
		part->type = MT_CT_VARINT;
		part->size = 0;
	} else if (holds == CF_JCE) {
		part->type = MT_CT_JCE;
		part->tag = (uint8_t)item->tag;
		if (part->size & (part->size - 1) || part->size > 8)
			mistake(m, item, "write 1, 2, 4 or 8",
				"an integer of jce has no such size");
	}
}

static void number(
	struct making *m, const struct cf_item *item, enum cf_holds holds, struct mt_ct_piece part)
{
	bool fixed;

	in_field(m, item, holds, &part);
	fixed = part.type == MT_CT_BIG || part.type == MT_CT_LITTLE;
	if (fixed && (part.size == 0 || part.size > 8))
		mistake(m, item, "add a size of 1 to 8, or \"as\"", "a number without its width");
	push(m, item, part);
}

/* ---- places of the request ------------------------------------------------------------------- */

/* Index of what is kept of the place; UINT32_MAX after an error. */
static uint32_t save(struct making *m, const struct cf_item *item)
{
	struct cf_build *b = m->b;
	struct cf_place *p = item->place.place;
	bool text = p->number == MT_CT_BYTES;
	struct mt_ct_save s = {.place = cf_content(b, p), .variant = (uint8_t)b->variant}, *to;
	uint32_t most = !text		     ? 0
			: item->max.set	     ? item->max.v
			: p->how == CF_FIXED ? p->size.v
					     : 32;
	uint32_t need = text ? 1u + most : 8u;

	/* One byte has the length of a text, so compare before it is cut to that. */
	if (need > MT_CT_SEED) {
		mistake(m, item, "write a max of 87 at most, or copy another place",
			"a text is longer than the 88 bytes that are kept of a request");
		return UINT32_MAX;
	}
	s.most = (uint8_t)most;
	s.kinds = (uint16_t)(1u << m->kind);
	for (uint32_t i = 0; i < b->n_saves; i++) {
		to = &b->saves[i];
		if (to->place == s.place && to->variant == s.variant && to->most == s.most) {
			to->kinds |= s.kinds;
			return i;
		}
	}
	if (b->seed + need > MT_CT_SEED || b->n_saves == MT_CT_SAVES) {
		mistake(m, item, "copy fewer or shorter places",
			"templates need more than 88 bytes of a request (8 for a number, 1 and max "
			"for a text)");
		return UINT32_MAX;
	}
	to = mt_region_push(b->region, (void **)&b->saves, &b->n_saves, sizeof(*to));
	if (!to)
		return UINT32_MAX;
	*to = s;
	to->off = (uint8_t)b->seed;
	b->seed += need;
	return b->n_saves - 1;
}

static bool is_signed(const struct cf_place *p)
{
	return mt_ct_is_signed(p->number, p->is_signed.v);
}

/* A number as it is in its place, unless a width is given. */
static void place_shape(const struct cf_item *item, struct mt_ct_piece *part)
{
	const struct cf_place *p = item->place.place;

	if (item->as.set || item->size.set)
		return;
	part->type = (uint8_t)p->number;
	if (p->how == CF_FIXED)
		part->size = (uint8_t)p->size.v;
	if (p->number == MT_CT_JCE)
		part->type = MT_CT_BIG;
}

static void place(struct making *m, const struct cf_item *item, enum cf_holds holds)
{
	struct mt_ct_piece part;
	uint32_t i;

	if (m->kind == MT_MSG_N_KINDS) {
		mistake(m, item, "write its bytes", "there is no message to copy a place from");
		return;
	}
	i = save(m, item);
	if (i == UINT32_MAX)
		return;
	if (item->place.place->number == MT_CT_BYTES) {
		push(m, item, (struct mt_ct_piece){.code = MT_CT_PIECE_PLACE, .n = (uint16_t)i});
		return;
	}
	part = number_of(m, item);
	part.source = MT_CT_SOURCE_SAVED;
	part.n = (uint16_t)i;
	part.is_signed = is_signed(item->place.place);
	place_shape(item, &part);
	number(m, item, holds, part);
}

/* ---- values ---------------------------------------------------------------------------------- */

static void message(struct making *m, const struct cf_item *item)
{
	static const uint8_t escapes[] = {[CF_AS_NONE] = MT_CT_PLAIN_TEXT,
		[CF_AS_TEXT] = MT_CT_PLAIN_TEXT,
		[CF_AS_JSON] = MT_CT_JSON_TEXT,
		[CF_AS_HESSIAN] = MT_CT_HESSIAN_TEXT};
	uint32_t as = item->as.set ? item->as.v + 1 : CF_AS_NONE;

	if (as != CF_AS_NONE && as < CF_AS_TEXT)
		mistake(m, item, "write text, json or hessian", "not for texts");
	if (m->use != MT_CT_USE_REPLY)
		mistake(m, item, "remove it", "only local replies have a message and a code");
	push(m, item,
		(struct mt_ct_piece){.code = MT_CT_PIECE_MESSAGE,
			.escape = escapes[as],
			.len = item->max.set ? item->max.v : MT_CT_MESSAGE});
}

/* True if ids of the messages that are answered may be negative. */
static bool id_is_signed(const struct making *m)
{
	const struct cf_variant *v = m->b->v;

	for (uint32_t i = 0; i < v->n_ids; i++)
		if (!v->ids[i].kinds.bits || v->ids[i].kinds.bits >> m->kind & 1)
			return is_signed(v->ids[i].place.place);
	return false;
}

static void value(struct making *m, const struct cf_item *item, enum cf_holds holds)
{
	struct mt_ct_piece part;

	if (item->value.set && item->value.v == CF_VALUE_MESSAGE) {
		message(m, item);
		return;
	}
	part = number_of(m, item);
	if (!item->value.set) {
		part.set = item->constant.v;
		part.mask = 0;
	} else if (item->value.v == CF_VALUE_ID) {
		part.source = MT_CT_SOURCE_ID;
		part.is_signed = id_is_signed(m);
	} else {
		part.source = MT_CT_SOURCE_CODE;
		m->has_code = true;
		if (m->use != MT_CT_USE_REPLY)
			mistake(m, item, "remove it",
				"only local replies have a message and a code");
	}
	number(m, item, holds, part);
}

static void hex(struct making *m, const struct cf_item *item, uint8_t *to, uint32_t *n)
{
	*n = 0;
	if (!cf_parse_hex(item->hex, to, CF_HEX_MAX, n))
		mistake(m, item, "write pairs of hexadecimal digits, for 512 bytes at most",
			"not bytes");
}

/* ---- parts ----------------------------------------------------------------------------------- */

static void one_part(struct making *m, const struct cf_item *item, enum cf_holds holds);

static void inner(struct making *m, const struct cf_item *item, enum cf_holds holds)
{
	for (const struct cf_item *k = item->inner; k && !cf_failed(m->b); k = k->next)
		one_part(m, k, holds);
}

/* A length in front of parts that are added between both calls. */
static uint32_t open_length(struct making *m, const struct cf_item *item, enum mt_ct_type type)
{
	push(m, item,
		(struct mt_ct_piece){.code = MT_CT_PIECE_NUMBER,
			.type = (uint8_t)type,
			.size = type == MT_CT_BIG,
			.source = MT_CT_SOURCE_LENGTH,
			.unit = 1,
			.mask = UINT64_MAX});
	return m->b->n_parts;
}

static void close_length(struct making *m, uint32_t at)
{
	struct mt_ct_piece *length = at && !cf_failed(m->b) ? &m->b->parts[at - 1] : NULL;

	if (!length)
		return;
	length->first = (uint16_t)(at - m->first);
	length->n = (uint16_t)(m->b->n_parts - at);
}

static bool is_text(const struct cf_item *item)
{
	if (item->hex || item->text.s || (item->value.set && item->value.v == CF_VALUE_MESSAGE))
		return true;
	return item->place.place && item->place.place->number == MT_CT_BYTES;
}

static void content(struct making *m, const struct cf_item *item, enum cf_holds holds)
{
	uint8_t raw[CF_HEX_MAX];
	uint32_t n;

	if (item->hex) {
		hex(m, item, raw, &n);
		bytes(m, item, raw, n);
	} else if (item->text.s) {
		bytes(m, item, item->text.s, (uint32_t)strlen(item->text.s));
	} else if (item->place.name) {
		place(m, item, holds);
	} else {
		value(m, item, holds);
	}
}

static void protobuf_field(struct making *m, const struct cf_item *item)
{
	bool counted = item->holds || is_text(item);
	uint64_t tag = (uint64_t)item->tag << 3 | (counted ? 2 : 0);
	uint8_t head[MT_VARINT_MOST];
	uint32_t at;

	bytes(m, item, head, mt_varint_put(head, tag));
	if (!counted) {
		content(m, item, CF_PROTOBUF);
		return;
	}
	at = open_length(m, item, MT_CT_VARINT);
	if (item->holds)
		inner(m, item, CF_PROTOBUF);
	else
		content(m, item, CF_PROTOBUF);
	close_length(m, at);
}

static uint32_t jce_head(const struct cf_item *item, uint8_t type, uint8_t head[2])
{
	return mt_ct_jce_head((uint8_t)item->tag, type, head);
}

/* A list of bytes: the head of its elements, its length as an integer, and the bytes. */
static void jce_bytes(struct making *m, const struct cf_item *item)
{
	uint8_t all[8 + CF_HEX_MAX];
	uint32_t n = jce_head(item, 13, all), len;
	uint8_t raw[CF_HEX_MAX];

	hex(m, item, raw, &len);
	all[n++] = 0;
	if (len == 0) {
		all[n++] = 12;
	} else if (len < 0x80) {
		all[n++] = 0;
		all[n++] = (uint8_t)len;
	} else {
		all[n++] = 1;
		all[n++] = (uint8_t)(len >> 8);
		all[n++] = (uint8_t)len;
	}
	memcpy(all + n, raw, len);
	bytes(m, item, all, n + len);
}

static void jce_field(struct making *m, const struct cf_item *item)
{
	uint8_t head[2], end = 11;
	uint32_t at;

	if (item->hex) {
		jce_bytes(m, item);
	} else if (item->holds) {
		bytes(m, item, head, jce_head(item, 10, head));
		inner(m, item, CF_JCE);
		bytes(m, item, &end, 1);
	} else if (is_text(item)) {
		bytes(m, item, head, jce_head(item, 6, head));
		at = open_length(m, item, MT_CT_BIG);
		content(m, item, CF_JCE);
		close_length(m, at);
	} else {
		content(m, item, CF_JCE);
	}
}

/* Remembers the parts from `first` on by the item's name. */
static void name(struct making *m, const struct cf_item *item, uint16_t first)
{
	if (!item->name.s)
		return;
	for (uint32_t i = 0; i < m->n_named; i++)
		if (strcmp(m->named[i].name, item->name.s) == 0)
			mistake(m, item, "give it another name", "a second part of this name");
	if (m->n_named == NAMES)
		mistake(m, item, "name fewer", "too many names");
	else
		m->named[m->n_named++] =
			(struct named){item->name.s, first, (uint16_t)(position(m) - first)};
}

/* The parts that it counts are found at the end of the template. */
static void length(struct making *m, const struct cf_item *item)
{
	struct mt_ct_piece part = number_of(m, item);

	part.source = MT_CT_SOURCE_LENGTH;
	part.unit = item->unit.set ? (uint16_t)item->unit.v : 1;
	if (item->mask.set || item->set.set)
		mistake(m, item, "remove mask and set", "a length is a whole number");
	number(m, item, CF_NOTHING, part);
	if (m->b->n_items == MT_CT_PIECES)
		return;
	m->b->items[m->b->n_items] = item;
	m->b->item_part[m->b->n_items++] = (uint16_t)(position(m) - 1);
}

static void one_part(struct making *m, const struct cf_item *item, enum cf_holds holds)
{
	uint16_t first = position(m);

	if (holds == CF_PROTOBUF)
		protobuf_field(m, item);
	else if (holds == CF_JCE)
		jce_field(m, item);
	else if (item->length.s)
		length(m, item);
	else if (item->group || item->holds)
		inner(m, item, item->holds);
	else
		content(m, item, CF_NOTHING);
	name(m, item, first);
}

/* ---- templates ------------------------------------------------------------------------------- */

static void resolve_length(struct making *m, const struct cf_item *item, uint16_t at)
{
	struct mt_ct_piece *part = &m->b->parts[m->first + at];
	uint16_t n = position(m);

	if (strcmp(item->length.s, "all") == 0) {
		part->n = n;
		return;
	}
	if (strcmp(item->length.s, "rest") == 0) {
		part->first = (uint16_t)(at + 1);
		part->n = (uint16_t)(n - at - 1);
		return;
	}
	for (uint32_t i = 0; i < m->n_named; i++) {
		if (strcmp(m->named[i].name, item->length.s) != 0)
			continue;
		part->first = m->named[i].first;
		part->n = m->named[i].n;
		return;
	}
	mistake(m, item, "write all, rest, or the name of a part",
		"a length of a part that is not there");
}

static struct mt_ct_template *make(
	struct making *m, const struct cf_item *items, struct cf_build *b, enum mt_ct_use use)
{
	struct mt_ct_template *t;
	const struct cf_item all = {.inner = (struct cf_item *)(uintptr_t)items};

	*m = (struct making){.b = b, .use = use, .first = b->n_parts, .kind = MT_MSG_N_KINDS};
	if (use == MT_CT_USE_REPLY)
		m->kind = MT_MSG_REQUEST;
	else if (use == MT_CT_USE_ANSWER)
		m->kind = MT_MSG_HEARTBEAT;
	b->n_items = 0;
	inner(m, &all, CF_NOTHING);
	for (uint32_t i = 0; i < b->n_items && !cf_failed(b); i++)
		resolve_length(m, b->items[i], b->item_part[i]);
	if (b->n_templates == MT_CT_TEMPLATES) {
		mistake(m, items, "describe fewer", "too many templates");
		return NULL;
	}
	b->template_line[b->n_templates] = items->origin.line;
	t = cf_failed(b) ? NULL
			 : mt_region_push(
				   b->region, (void **)&b->templates, &b->n_templates, sizeof(*t));
	if (t)
		*t = (struct mt_ct_template){.variant = (uint8_t)b->variant,
			.use = (uint8_t)use,
			.first = (uint16_t)m->first,
			.n = position(m)};
	return t;
}

static void reply(struct cf_build *b, const struct cf_reply *r, uint16_t *left)
{
	uint16_t mine = (r->reasons ? r->reasons : UINT16_MAX) & *left;
	struct mt_ct_template *t;
	struct making m;

	if (!mine) {
		cf_error(b, "spec.localReplies", r->origin.line, "put the one without \"for\" last",
			"never used: earlier replies are for all of its reasons");
		return;
	}
	*left &= (uint16_t)~mine;
	if (!r->write)
		cf_error(b, "spec.localReplies.write", r->origin.line, "write its parts",
			"a reply without bytes");
	t = r->write ? make(&m, r->write, b, MT_CT_USE_REPLY) : NULL;
	if (!t)
		return;
	t->reasons = mine;
	for (uint32_t i = 0; i < MT_REPLY_N; i++)
		t->codes[i] = r->codes[r->coded >> i & 1 ? i : MT_REPLY_N];
	if (m.has_code && (mine & ~r->coded) && !(r->coded >> MT_REPLY_N & 1))
		cf_error(b, "spec.localReplies.codes", r->origin.line, "add default",
			"a reason has no code");
}

static void variant(struct cf_build *b)
{
	const struct cf_heartbeat *h = b->v->heartbeat;
	uint16_t left = (1u << MT_REPLY_N) - 1;
	struct making m;

	for (uint32_t i = 0; i < b->v->n_replies && !cf_failed(b); i++)
		reply(b, &b->v->replies[i], &left);
	if (h && h->answer)
		make(&m, h->answer, b, MT_CT_USE_ANSWER);
	if (h && h->send)
		make(&m, h->send, b, MT_CT_USE_HEARTBEAT);
	if (b->v->goaway)
		make(&m, b->v->goaway, b, MT_CT_USE_GOAWAY);
}

void cf_templates(struct cf_build *b)
{
	for (uint32_t i = 0; i < b->n_variants && !cf_failed(b); i++) {
		b->v = &b->variants[i];
		b->variant = i;
		b->seed = 0;
		variant(b);
	}
}

/* ---- places ---------------------------------------------------------------------------------- */

static void each(struct cf_build *b, struct cf_item *items, cf_place_fn *fn)
{
	for (struct cf_item *k = items; k; k = k->next) {
		if (k->place.name)
			fn(b, &k->place);
		each(b, k->inner, fn);
	}
}

void cf_template_places(struct cf_build *b, uint32_t kinds, cf_place_fn *fn)
{
	struct cf_variant *v = b->v;

	for (uint32_t i = 0; i < v->n_replies && kinds >> MT_MSG_REQUEST & 1; i++)
		each(b, v->replies[i].write, fn);
	if (v->heartbeat && kinds >> MT_MSG_HEARTBEAT & 1)
		each(b, v->heartbeat->answer, fn);
	if (kinds == UINT32_MAX) {
		each(b, v->heartbeat ? v->heartbeat->send : NULL, fn);
		each(b, v->goaway, fn);
	}
}
