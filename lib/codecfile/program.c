/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programs: for each direction the variants in turn, each with its length, its kinds, and what
 * is read of each kind. Conditions find all of their places first, so that these are found for
 * whatever comes after the conditions, too.
 */
#include "file.h"

#include <strings.h>

#define KINDS_CALLS   (1u << MT_MSG_REQUEST | 1u << MT_MSG_ONEWAY)
#define KINDS_REPLIES (1u << MT_MSG_REPLY)
#define KINDS_ALL     UINT32_MAX
/* Kinds that make no sense without an id; others may have one. */
#define NEEDS_ID (1u << MT_MSG_REQUEST | KINDS_REPLIES)

/* ---- conditions ------------------------------------------------------------------------------ */

static void test_texts(
	struct cf_build *b, const struct cf_test *t, struct mt_ct_op op, uint32_t otherwise)
{
	uint32_t yes = cf_label(b);

	op.code = MT_CT_TEST_TEXT;
	for (uint32_t i = 0; i < t->n; i++) {
		bool last = i + 1 == t->n;

		op.m = (uint32_t)strlen(t->texts[i]);
		op.n = cf_text(b, t->texts[i], op.m);
		op.flags = t->negate || !last ? MT_CT_IF : 0;
		cf_jump(b, op, t->negate || last ? otherwise : yes);
	}
	cf_here(b, yes);
}

static void test_numbers(
	struct cf_build *b, const struct cf_test *t, struct mt_ct_op op, uint32_t otherwise)
{
	uint32_t yes = cf_label(b);

	op.code = MT_CT_TEST_NUMBER;
	for (uint32_t i = 0; i < t->n; i++) {
		bool last = i + 1 == t->n;

		op.lo = t->range[i].lo;
		op.hi = t->range[i].hi;
		op.flags = t->negate || !last ? MT_CT_IF : 0;
		cf_jump(b, op, t->negate || last ? otherwise : yes);
	}
	cf_here(b, yes);
}

static void test(struct cf_build *b, const struct cf_test *t, uint32_t otherwise)
{
	struct cf_place *p = t->ref.place;
	struct mt_ct_op op = {.place = cf_content(b, p)};

	if (t->present.set) {
		op.code = MT_CT_TEST_THERE;
		op.flags = t->present.v ? 0 : MT_CT_IF;
		cf_jump(b, op, otherwise);
	} else if (t->same.place) {
		op.code = MT_CT_TEST_SAME;
		op.n = cf_content(b, t->same.place);
		cf_jump(b, op, otherwise);
	} else if (p->number == MT_CT_BYTES) {
		test_texts(b, t, op, otherwise);
	} else {
		if (t->mask != UINT64_MAX && !b->full) {
			struct mt_ct_place at = b->places[op.place];

			at.mask &= t->mask;
			op.place = cf_add_place(b, at);
		}
		test_numbers(b, t, op, otherwise);
	}
}

static void find_all(struct cf_build *b, const struct cf_when *w)
{
	for (struct cf_test *t = w->first; t; t = t->next) {
		cf_find(b, t->ref.place);
		if (t->same.place)
			cf_find(b, t->same.place);
	}
}

/* Jumps to `otherwise` unless all hold. */
static void when(struct cf_build *b, const struct cf_when *w, uint32_t otherwise)
{
	find_all(b, w);
	for (struct cf_test *t = w->first; t; t = t->next)
		test(b, t, otherwise);
}

/* ---- the length ------------------------------------------------------------------------------ */

/* A place at a constant offset is in a header, which servers read before they know the length. */
static void must_be_within(struct cf_build *b, const struct cf_ref *r)
{
	uint16_t i = r->place ? cf_content(b, r->place) : 0;

	if (r->place && b->places && b->places[i].base != MT_CT_START)
		cf_op(b, (struct mt_ct_op){.code = MT_CT_WITHIN, .place = i});
}

static void also(struct cf_build *b, const struct cf_also *a)
{
	uint32_t none = cf_label(b);

	when(b, &a->when, none);
	for (const struct cf_test *t = a->when.first; t; t = t->next) {
		must_be_within(b, &t->ref);
		must_be_within(b, &t->same);
	}
	cf_op(b, (struct mt_ct_op){.code = MT_CT_ADD, .lo = a->add.v});
	cf_here(b, none);
}

static void total(struct cf_build *b, struct cf_frame *f)
{
	if (f->size.set)
		cf_op(b, (struct mt_ct_op){.code = MT_CT_ADD, .lo = f->size.v});
	for (uint32_t i = 0; i < f->n_length; i++) {
		cf_find(b, f->length[i].place);
		cf_op(b, (struct mt_ct_op){.code = MT_CT_LENGTH,
				 .place = cf_content(b, f->length[i].place),
				 .lo = f->unit.set ? f->unit.v : 1});
	}
	if (f->from.place) {
		cf_find(b, f->from.place);
		cf_op(b, (struct mt_ct_op){
				 .code = MT_CT_OFFSET, .place = cf_after(b, f->from.place)});
	}
	if (f->end.place) {
		cf_find(b, f->end.place);
		cf_op(b, (struct mt_ct_op){
				 .code = MT_CT_OFFSET, .place = cf_after(b, f->end.place)});
	}
	if (f->add.set)
		cf_op(b, (struct mt_ct_op){.code = MT_CT_ADD, .lo = f->add.v});
	for (uint32_t i = 0; i < f->n_also; i++)
		also(b, &f->also[i]);
}

/* After a single frame it is known which bytes a message has. */
static void known(struct cf_build *b, const struct cf_frame *f, uint32_t least)
{
	b->sure = b->v->n_frames == 1 ? least : 0;
	b->held = 0;
	for (uint32_t i = 0; i < f->n_length && b->places; i++)
		cf_arrived(b, &b->places[cf_content(b, f->length[i].place)]);
}

static void frames(struct cf_build *b)
{
	uint32_t framed = cf_label(b), least = b->least;
	bool always = false;

	for (uint32_t i = 0; i < b->v->n_frames; i++) {
		struct cf_frame *f = &b->v->frames[i];
		uint32_t other = cf_label(b), min;

		cf_forget(b);
		b->least = least;
		when(b, &f->when, other);
		total(b, f);
		min = f->min.set ? MT_MAX(f->min.v, b->least) : b->least;
		cf_op(b, (struct mt_ct_op){.code = MT_CT_FRAMED, .lo = min, .hi = f->max.v});
		known(b, f, min);
		b->max_message = MT_MAX(b->max_message, f->max.v);
		always = i + 1 == b->v->n_frames && !f->when.first;
		if (!always)
			cf_jump(b, (struct mt_ct_op){.code = MT_CT_JUMP}, framed);
		cf_here(b, other);
	}
	if (!always)
		cf_op(b, (struct mt_ct_op){.code = MT_CT_BAD, .n = MT_CT_FAULT_LENGTH});
	cf_here(b, framed);
	/* The interpreter has emptied all slots. */
	cf_forget(b);
}

/* ---- what is read of a kind ------------------------------------------------------------------ */

static bool concerns(const struct cf_kinds *k, uint32_t otherwise, uint32_t kind)
{
	return (k->bits ? k->bits : otherwise) >> kind & 1;
}

static void copies(struct cf_build *b, const struct cf_id *id)
{
	for (uint32_t i = 0; i < id->n_copies; i++) {
		struct cf_place *p = id->copies[i].place;

		cf_find(b, p);
		cf_hold(b, p);
		cf_op(b, (struct mt_ct_op){.code = MT_CT_COPY,
				 .flags = id->always.v ? MT_CT_IF : 0,
				 .place = cf_content(b, p)});
	}
}

/*
 * True if a message of the kind must have the id. One-way calls may lack it where it can be added,
 * but not at a constant offset: mt_codec_put_id() writes there.
 */
static bool must_have(const struct cf_build *b, const struct cf_id *id, uint32_t kind)
{
	const struct cf_place *p = id->place.place;

	if (id->kinds.bits || NEEDS_ID >> kind & 1)
		return true;
	return b->spec->calls.v == 0 && kind == MT_MSG_ONEWAY && p->how == CF_FIXED &&
	       !p->in.place && !p->after.place && !p->absent.set;
}

static void ids(struct cf_build *b, uint32_t kind)
{
	for (uint32_t i = 0; i < b->v->n_ids; i++) {
		struct cf_id *id = &b->v->ids[i];

		if (!concerns(&id->kinds, KINDS_ALL, kind))
			continue;
		cf_find(b, id->place.place);
		cf_fit(b, id->place.place);
		cf_hold(b, id->place.place);
		/* Text ids stay as they are: msg->id is 0. */
		if (id->place.place->number != MT_CT_BYTES)
			cf_op(b, (struct mt_ct_op){.code = MT_CT_ID,
					 .flags = must_have(b, id, kind) ? MT_CT_IF : 0,
					 .place = cf_content(b, id->place.place)});
		copies(b, id);
		return;
	}
}

static void status(struct cf_build *b, const struct cf_status *s)
{
	uint32_t end = cf_label(b);

	cf_find(b, s->place.place);
	cf_fit(b, s->place.place);
	for (uint32_t k = 0; k < MT_CT_CLASSES; k++) {
		const struct cf_class *c = &s->classes[k];
		uint32_t other = cf_label(b), yes = cf_label(b);

		for (uint32_t i = 0; i < c->n; i++) {
			bool last = i + 1 == c->n;

			cf_jump(b,
				(struct mt_ct_op){.code = MT_CT_TEST_NUMBER,
					.flags = last ? 0 : MT_CT_IF,
					.place = cf_content(b, s->place.place),
					.lo = c->values[i].v,
					.hi = c->values[i].v},
				last ? other : yes);
		}
		cf_here(b, yes);
		if (c->n) {
			cf_op(b, (struct mt_ct_op){.code = MT_CT_STATUS, .flags = (uint8_t)k});
			cf_jump(b, (struct mt_ct_op){.code = MT_CT_JUMP}, end);
		}
		cf_here(b, other);
	}
	cf_op(b, (struct mt_ct_op){.code = MT_CT_STATUS, .flags = (uint8_t)s->other.v});
	cf_here(b, end);
}

static void deadline(struct cf_build *b, uint32_t kind)
{
	/* Milliseconds for a unit: ms, s, us, ns. */
	static const uint32_t times[] = {1, 1000, 1, 1}, over[] = {1, 1, 1000, 1000000};
	struct cf_deadline *d = b->v->deadline;

	if (!d || !concerns(&d->kinds, KINDS_CALLS, kind))
		return;
	cf_find(b, d->place.place);
	cf_op(b, (struct mt_ct_op){.code = MT_CT_DEADLINE,
			 .place = cf_content(b, d->place.place),
			 .lo = times[d->unit.v],
			 .hi = over[d->unit.v]});
}

static void metadata(struct cf_build *b, uint32_t kind)
{
	for (struct cf_meta *m = b->v->metas; m; m = m->next) {
		if (!m->place.place || !concerns(&m->kinds, KINDS_CALLS, kind))
			continue;
		cf_find(b, m->place.place);
		cf_fit(b, m->place.place);
		cf_hold_value(b, m->place.place);
	}
	for (uint32_t i = 0; i < b->v->n_searches; i++) {
		struct cf_search *s = &b->v->searches[i];
		struct cf_place *p = s->place.place;

		if (!concerns(&s->kinds, KINDS_CALLS, kind))
			continue;
		p = p->container.holds == CF_MAP ? p->in.place : p;
		cf_find(b, p);
		cf_fit(b, p);
		if (cf_is_checked_map(s->place.place))
			cf_find_entries(b, s->place.place);
		cf_hold_entries(b, p);
	}
}

/* A place that a message of Meltemi's own copies. */
static void copied(struct cf_build *b, struct cf_ref *r)
{
	cf_find(b, r->place);
	cf_hold(b, r->place);
}

/* Each condition refuses by an op of its own, so that tools can name it. */
static void checks(struct cf_build *b)
{
	const struct cf_when *w = &b->v->check;
	uint32_t wrong[CF_TESTS], right = cf_label(b), n = 0;

	if (!w->first)
		return;
	find_all(b, w);
	for (struct cf_test *t = w->first; t; t = t->next) {
		wrong[n] = cf_label(b);
		test(b, t, wrong[n++]);
	}
	for (uint32_t i = 0; i < n; i++) {
		cf_jump(b, (struct mt_ct_op){.code = MT_CT_JUMP}, right);
		cf_here(b, wrong[i]);
		cf_op(b, (struct mt_ct_op){.code = MT_CT_REFUSE, .m = i});
	}
	cf_here(b, right);
}

/* ---- checksums ------------------------------------------------------------------------------- */

static uint32_t reflect(uint32_t v, uint32_t bits)
{
	uint32_t r = 0;

	for (uint32_t i = 0; i < bits; i++)
		r |= (v >> i & 1) << (bits - 1 - i);
	return r;
}

static void crc_rows(struct mt_ct_sum *s, uint32_t polynomial)
{
	uint32_t top = 1u << (s->width - 1);

	for (uint32_t i = 0; i < 256; i++) {
		uint32_t v = s->reflected ? i : i << (s->width - 8);

		for (uint32_t k = 0; k < 8; k++) {
			if (s->reflected)
				v = v & 1 ? v >> 1 ^ reflect(polynomial, s->width) : v >> 1;
			else
				v = v & top ? v << 1 ^ polynomial : v << 1;
		}
		s->row[i] = s->width < 32 ? v & ((1u << s->width) - 1) : v;
	}
}

static void sum_shape(const struct cf_sum *f, struct mt_ct_sum *s)
{
	static const struct {
		uint8_t algorithm, width;
		bool reflected;
		uint32_t polynomial, initial, final;
	} shapes[] = {
		{MT_CT_CRC, 32, true, 0x04c11db7, UINT32_MAX, UINT32_MAX},
		{MT_CT_CRC, 32, true, 0x1edc6f41, UINT32_MAX, UINT32_MAX},
		{MT_CT_CRC, 16, false, 0x1021, 0xffff, 0},
		{MT_CT_ADLER32, 32, false, 0, 1, 0},
		{MT_CT_BYTE_SUM, 8, false, 0, 0, 0},
		{MT_CT_BYTE_SUM, 16, false, 0, 0, 0},
		{MT_CT_BYTE_SUM, 32, false, 0, 0, 0},
		{MT_CT_XOR, 8, false, 0, 0, 0},
	};
	uint32_t i = f->algorithm.v;

	s->algorithm = shapes[i].algorithm;
	s->width = shapes[i].width;
	s->reflected = f->reflected.set ? (uint8_t)f->reflected.v : shapes[i].reflected;
	s->initial = f->initial.set ? (uint32_t)f->initial.v : shapes[i].initial;
	s->final = f->final.set ? (uint32_t)f->final.v : shapes[i].final;
	if (s->algorithm != MT_CT_CRC)
		return;
	if (s->width < 32)
		s->initial &= (1u << s->width) - 1;
	crc_rows(s, f->polynomial.set ? (uint32_t)f->polynomial.v : shapes[i].polynomial);
}

static void table_sum(struct cf_build *b, struct cf_sum *f)
{
	struct cf_place *p = f->place.place;
	struct mt_ct_sum *s = NULL;

	if (b->n_sums == MT_CT_SUMS)
		cf_full(b, f->origin.line, "checksums", MT_CT_SUMS);
	else
		s = mt_region_push(b->region, (void **)&b->sums, &b->n_sums, sizeof(*s));
	if (!s)
		return;
	sum_shape(f, s);
	s->place = cf_content(b, p);
	s->from = (int32_t)f->from.v;
	s->from_base = f->from.negative ? MT_CT_END : MT_CT_START;
	/* Up to the checksum, if it is at the end; otherwise all. */
	s->to_base = MT_CT_END;
	s->to = f->to.set ? (int32_t)f->to.v : p->at.negative ? (int32_t)p->at.v : 0;
	if (f->to.set && !f->to.negative && f->to.v)
		s->to_base = MT_CT_START;
	f->index = b->n_sums;
}

static void sum(struct cf_build *b, struct cf_sum *f)
{
	uint32_t none = cf_label(b);

	when(b, &f->when, none);
	if (f->when.first)
		cf_branch(b);
	cf_find(b, f->place.place);
	if (!f->index)
		table_sum(b, f);
	cf_op(b, (struct mt_ct_op){.code = MT_CT_SUM, .n = f->index - 1});
	if (f->when.first)
		cf_join(b);
	cf_here(b, none);
}

/* ---- kinds ----------------------------------------------------------------------------------- */

static void one_kind(struct cf_build *b, const struct cf_message *m)
{
	uint32_t kind = cf_kind_of[m->is.v];

	cf_op(b, (struct mt_ct_op){.code = MT_CT_KIND,
			 .flags = (uint8_t)kind,
			 .n = m->event.v,
			 .m = b->variant});
	if (m->refuse.set)
		cf_op(b, (struct mt_ct_op){.code = MT_CT_REFUSE,
				 .n = 1 + (uint32_t)m->refuse.v,
				 .m = (uint32_t)(m - b->v->messages)});
	ids(b, kind);
	deadline(b, kind);
	for (uint32_t i = 0; i < b->v->n_statuses; i++)
		if (concerns(&b->v->statuses[i].kinds, KINDS_REPLIES, kind))
			status(b, &b->v->statuses[i]);
	metadata(b, kind);
	if (kind == MT_MSG_REQUEST || kind == MT_MSG_HEARTBEAT)
		cf_template_places(b, 1u << kind, copied);
	checks(b);
	for (uint32_t i = 0; i < b->v->n_sums; i++)
		sum(b, &b->v->sums[i]);
}

static void kinds(struct cf_build *b)
{
	uint32_t held = b->held;

	for (uint32_t i = 0; i < b->v->n_messages; i++) {
		const struct cf_message *m = &b->v->messages[i];
		uint32_t other = cf_label(b);

		if (m->from.set && (m->from.v == 0) != (b->dir == MT_DIR_DOWN))
			continue;
		b->held = held;
		when(b, &m->when, other);
		for (struct cf_place *p = b->v->places; p; p = p->next)
			p->fits = false;
		cf_branch(b);
		one_kind(b, m);
		cf_join(b);
		cf_op(b, (struct mt_ct_op){.code = MT_CT_DONE});
		cf_here(b, other);
	}
	cf_op(b, (struct mt_ct_op){.code = MT_CT_BAD, .n = MT_CT_FAULT_KIND, .m = b->variant});
}

static void program(struct cf_build *b)
{
	for (uint32_t i = 0; i < b->n_variants; i++) {
		uint32_t next = cf_label(b);

		b->v = &b->variants[i];
		b->variant = i;
		b->least = 1;
		cf_forget(b);
		if (i)
			cf_op(b, (struct mt_ct_op){.code = MT_CT_VARIANT});
		when(b, &b->v->match, next);
		frames(b);
		kinds(b);
		cf_here(b, next);
	}
	cf_op(b, (struct mt_ct_op){.code = MT_CT_BAD, .n = MT_CT_FAULT_VARIANT});
}

/* ---- metadata of the table ------------------------------------------------------------------- */

static uint8_t key_index(struct cf_build *b, const struct cf_meta *m)
{
	const char *key = m->key;

	for (uint32_t i = 0; i < b->n_keys; i++) {
		if (strcmp(b->keys[i], key) == 0)
			return (uint8_t)i;
		/* Conditions that ignore case would find one of both. */
		if (strcasecmp(b->keys[i], key) == 0)
			cf_error(b, "spec.metadata", m->origin.line, "write both in the same case",
				"\"%.64s\" and \"%.64s\" differ only in case", key, b->keys[i]);
	}
	if (b->n_keys == MT_ARRAY_LEN(b->keys) - 1) {
		cf_full(b, b->spec->origin.line, "metadata", MT_ARRAY_LEN(b->keys) - 1);
		return 0;
	}
	b->keys[b->n_keys] = mt_region_strdup(b->region, key);
	return (uint8_t)b->n_keys++;
}

static void names(struct cf_build *b, const struct cf_meta *m, struct mt_ct_meta *to)
{
	to->name = (uint16_t)b->n_names;
	for (uint32_t i = 0; i < m->n_names; i++) {
		struct mt_ct_name *n = NULL;

		if (b->n_names == MT_CT_NAMES)
			cf_full(b, m->origin.line, "names for numbers", MT_CT_NAMES);
		else
			n = mt_region_push(b->region, (void **)&b->names, &b->n_names, sizeof(*n));
		if (!n)
			return;
		n->number = m->names[i].number.v;
		n->len = (uint32_t)strlen(m->names[i].text);
		n->text = cf_text(b, m->names[i].text, n->len);
		to->n_names++;
	}
}

static void table_meta(struct cf_build *b, struct cf_meta *m)
{
	struct mt_ct_meta to = {.key = key_index(b, m),
		.variant = (uint8_t)b->variant,
		.kinds = (uint16_t)(m->kinds.bits ? m->kinds.bits : KINDS_CALLS),
		.place = MT_CT_PLACES};
	struct mt_ct_meta *at;

	if (m->place.place) {
		to.place = cf_content(b, m->place.place);
		names(b, m, &to);
	} else {
		to.len = (uint32_t)strlen(m->value.s);
		to.text = cf_text(b, m->value.s, to.len);
	}
	if (m->split.s) {
		to.split = (uint8_t)m->split.s[0];
		to.part = (uint8_t)m->part.v;
	}
	if (b->n_metas == MT_CT_METAS) {
		cf_full(b, m->origin.line, "metadata", MT_CT_METAS);
		return;
	}
	at = mt_region_push(b->region, (void **)&b->metas, &b->n_metas, sizeof(*at));
	if (at)
		*at = to;
}

static void table_search(struct cf_build *b, struct cf_search *s)
{
	struct cf_place *p = s->place.place;
	struct mt_ct_search to = {.variant = (uint8_t)b->variant,
		.kinds = (uint16_t)(s->kinds.bits ? s->kinds.bits : KINDS_CALLS),
		.walk = cf_map_walk(b, p)};
	struct mt_ct_search *at;

	to.slot = p->container.holds == CF_MAP ? p->in.place->slot : p->slot;
	at = mt_region_push(b->region, (void **)&b->searches, &b->n_searches, sizeof(*at));
	if (at)
		*at = to;
}

void cf_programs(struct cf_build *b, uint16_t entry[2])
{
	for (uint32_t dir = 0; dir < 2 && !cf_failed(b); dir++) {
		b->dir = (enum mt_dir)dir;
		entry[dir] = (uint16_t)b->n_ops;
		program(b);
	}
	cf_op(b, (struct mt_ct_op){.code = MT_CT_DONE});
	cf_patch(b);
	for (uint32_t i = 0; i < b->n_variants && !cf_failed(b); i++) {
		b->v = &b->variants[i];
		b->variant = i;
		for (struct cf_meta *m = b->v->metas; m; m = m->next)
			table_meta(b, m);
		for (uint32_t k = 0; k < b->v->n_searches; k++)
			table_search(b, &b->v->searches[k]);
	}
	cf_templates(b);
}
