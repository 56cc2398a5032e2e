/* SPDX-License-Identifier: Apache-2.0 */
/* Refuses values that places never have, values that are written twice, and ids over others. */
#include "file.h"

static bool is_signed(const struct cf_place *p)
{
	return mt_ct_is_signed(p->number, p->is_signed.v);
}

/* Bytes that every number of the place has; 0: they differ. */
static uint32_t width(const struct cf_place *p)
{
	bool jce = p->how == CF_FOUND && p->number == MT_CT_JCE;

	if (p->how != CF_FIXED && !jce)
		return 0;
	return p->number == MT_CT_BIG || p->number == MT_CT_LITTLE || jce ? (uint32_t)p->size.v : 0;
}

/* The highest number, without its sign. */
static uint64_t highest(const struct cf_place *p)
{
	uint32_t bits = 8 * width(p);
	uint64_t v = 1;

	if (p->number == MT_CT_DECIMAL && p->how == CF_FIXED && p->size.v < 19) {
		for (uint32_t i = 0; i < p->size.v; i++)
			v *= 10;
		return v - 1;
	}
	if (is_signed(p))
		return bits && bits < 64 ? (1ull << (bits - 1)) - 1 : INT64_MAX;
	return bits && bits < 64 ? (1ull << bits) - 1 : UINT64_MAX;
}

/* True if some number of the place is in [lo, hi]; `mask` selects bits of it. */
static bool can_be(const struct cf_place *p, uint64_t mask, uint64_t lo, uint64_t hi)
{
	uint64_t bits = mask & (p->mask.set ? p->mask.v : UINT64_MAX), most = highest(p);

	if (p->absent.set && p->absent.v >= lo && p->absent.v <= hi)
		return true;
	if (lo == hi && lo & ~bits)
		return false;
	if (!is_signed(p))
		return lo <= MT_MIN(most, bits);
	/* Bits of a negative number need not be a number of its size. */
	return bits != UINT64_MAX ||
	       ((int64_t)lo <= (int64_t)most && (int64_t)hi >= -(int64_t)most - 1);
}

/* True if the place has no such value. */
static bool is_never(const struct cf_test *t, uint32_t i)
{
	const struct cf_place *p = t->ref.place;
	uint64_t lo = t->range[i].lo, hi = t->range[i].hi;
	bool range = t->min.set || t->max.set;

	if (p->number == MT_CT_BYTES)
		return p->how == CF_FIXED && t->texts[i] && strlen(t->texts[i]) != p->size.v;
	if (!range && lo > hi)
		return false; /* a text, reported */
	return !can_be(p, t->mask, lo, hi);
}

static void check_tests(struct cf_build *b, const struct cf_when *w)
{
	for (const struct cf_test *t = w->first; t; t = t->next)
		for (uint32_t i = 0; i < t->n && !t->present.set; i++)
			if (is_never(t, i)) {
				cf_error(b, t->ref.path, t->ref.line,
					"write a value that the place can have",
					"%.64s never has such a value, so the condition %s holds",
					t->ref.name, t->negate ? "always" : "never");
				break;
			}
}

static void check_status(struct cf_build *b, const struct cf_status *s)
{
	for (uint32_t i = 0; i < MT_CT_CLASSES; i++)
		for (uint32_t k = 0; k < s->classes[i].n; k++) {
			const struct cf_num *v = &s->classes[i].values[k];

			if (!can_be(s->place.place, UINT64_MAX, v->v, v->v))
				cf_error(b, "spec.status", v->line,
					"write a number that the place can have",
					"%.64s never has such a number", s->place.name);
			for (uint32_t j = 0; j <= i; j++)
				for (uint32_t n = 0; n < (j < i ? s->classes[j].n : k); n++)
					if (s->classes[j].values[n].v == v->v)
						cf_error(b, "spec.status", v->line,
							"remove one of both",
							"the number has a class already");
		}
}

static void check_names(struct cf_build *b, const struct cf_meta *m)
{
	for (uint32_t i = 0; i < m->n_names; i++) {
		const struct cf_num *v = &m->names[i].number;

		if (!can_be(m->place.place, UINT64_MAX, v->v, v->v))
			cf_error(b, "spec.metadata", v->line,
				"write a number that the place can have",
				"%.64s never has such a number", m->place.name);
		for (uint32_t k = 0; k < i; k++)
			if (m->names[k].number.v == v->v)
				cf_error(b, "spec.metadata", v->line, "remove one of both",
					"the number has a name already");
	}
}

static void check_metadata(struct cf_build *b)
{
	for (const struct cf_meta *m = b->v->metas; m; m = m->next) {
		bool plain = *m->key != '\0';

		for (const char *p = m->key; *p; p++)
			plain = plain && (uint8_t)*p >= ' ' && *p != 0x7f;
		if (!plain)
			cf_error(b, "spec.metadata", m->origin.line, "write another name",
				"names of metadata have a character, and no control characters");
		if (m->place.place && m->place.place->number != MT_CT_BYTES)
			check_names(b, m);
	}
}

/* ---- ids that share bytes -------------------------------------------------------------------- */

struct span {
	uint64_t from, to;
};

/* Where a number or a text of constant size is in each message; false: it differs. */
static bool span_of(const struct cf_place *p, struct span *s)
{
	uint64_t size = p->how == CF_FIXED ? p->size.v : p->how == CF_COUNTED ? p->count.v : 0;
	struct span before = {0, 0};

	if (!size || p->in.place || p->at.negative)
		return false;
	if (p->after.place &&
		(p->after.place->how != CF_FIXED || !span_of(p->after.place, &before)))
		return false;
	s->from = before.to + p->at.v;
	s->to = s->from + size;
	return true;
}

static bool share(const struct cf_place *id, const struct cf_place *p)
{
	struct span a, b;

	return p && span_of(id, &a) && span_of(p, &b) && a.from < b.to && b.from < a.to;
}

static void apart(struct cf_build *b, const struct cf_ref *id, const struct cf_ref *other)
{
	if (share(id->place, other->place))
		cf_error(b, id->path, id->line, "place it elsewhere, or write \"calls: serial\"",
			"it has bytes of %.64s, which would change with each id of Meltemi's",
			other->name);
}

/* Rules and metadata may use the id itself. */
static void apart_or_id(struct cf_build *b, const struct cf_ref *id, const struct cf_ref *other)
{
	if (other->place != id->place)
		apart(b, id, other);
}

static void apart_from_tests(struct cf_build *b, const struct cf_ref *id, const struct cf_when *w)
{
	for (const struct cf_test *t = w->first; t; t = t->next) {
		apart(b, id, &t->ref);
		apart(b, id, &t->same);
	}
}

static void apart_from_rule(struct cf_build *b, const struct cf_ref *id, const struct cf_when *w)
{
	for (const struct cf_test *t = w->first; t; t = t->next) {
		apart_or_id(b, id, &t->ref);
		apart_or_id(b, id, &t->same);
	}
}

static void apart_from_frames(struct cf_build *b, const struct cf_ref *id)
{
	apart_from_tests(b, id, &b->v->match);
	for (uint32_t i = 0; i < b->v->n_frames; i++) {
		const struct cf_frame *f = &b->v->frames[i];

		apart_from_tests(b, id, &f->when);
		for (uint32_t k = 0; k < f->n_length; k++)
			apart(b, id, &f->length[k]);
		for (uint32_t k = 0; k < f->n_also; k++)
			apart_from_tests(b, id, &f->also[k].when);
	}
	for (uint32_t i = 0; i < b->v->n_sums; i++)
		apart(b, id, &b->v->sums[i].place);
}

/* Kinds of messages with ids that Meltemi writes, by the side that sends them. */
static const uint16_t written[] = {[MT_DIR_DOWN] = 1u << MT_MSG_REQUEST | 1u << MT_MSG_ONEWAY,
	[MT_DIR_UP] = 1u << MT_MSG_REPLY};

static void check_apart(struct cf_build *b, const struct cf_id *id, const struct cf_ref *r)
{
	uint32_t kinds = id->kinds.bits ? id->kinds.bits : UINT32_MAX;

	apart_from_frames(b, r);
	for (uint32_t i = 0; i < b->v->n_messages; i++) {
		const struct cf_message *m = &b->v->messages[i];

		for (uint32_t dir = 0; dir < 2; dir++)
			if (kinds & written[dir] && (!m->from.set || m->from.v == dir)) {
				apart_from_rule(b, r, &m->when);
				break;
			}
	}
	for (const struct cf_meta *m = b->v->metas; m; m = m->next)
		if (kinds & (m->kinds.bits ? m->kinds.bits : written[MT_DIR_DOWN]))
			apart_or_id(b, r, &m->place);
	for (uint32_t i = 0; i < b->v->n_statuses; i++)
		if (kinds & written[MT_DIR_UP])
			apart(b, r, &b->v->statuses[i].place);
}

/* All of the variant in progress. */
void cf_refuse_values(struct cf_build *b)
{
	const struct cf_variant *v = b->v;

	check_tests(b, &v->match);
	check_tests(b, &v->check);
	for (uint32_t i = 0; i < v->n_frames; i++) {
		check_tests(b, &v->frames[i].when);
		for (uint32_t k = 0; k < v->frames[i].n_also; k++)
			check_tests(b, &v->frames[i].also[k].when);
	}
	for (uint32_t i = 0; i < v->n_messages; i++)
		check_tests(b, &v->messages[i].when);
	for (uint32_t i = 0; i < v->n_sums; i++)
		check_tests(b, &v->sums[i].when);
	for (uint32_t i = 0; i < v->n_statuses; i++)
		check_status(b, &v->statuses[i]);
	check_metadata(b);
	for (uint32_t i = 0; i < v->n_ids && b->spec->calls.v == 0; i++) {
		check_apart(b, &v->ids[i], &v->ids[i].place);
		for (uint32_t k = 0; k < v->ids[i].n_copies; k++)
			check_apart(b, &v->ids[i], &v->ids[i].copies[k]);
	}
}
