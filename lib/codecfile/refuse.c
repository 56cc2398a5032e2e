/* SPDX-License-Identifier: Apache-2.0 */
/* Refuses what could never work: each with the line of the cause, and a remedy. */
#include "file.h"

#define ANY_KIND(v, kind)                                                                          \
	((cf_kinds_from(v, MT_DIR_DOWN) | cf_kinds_from(v, MT_DIR_UP)) >> (kind)&1)

/* ---- types ----------------------------------------------------------------------------------- */

static void must_be_number(struct cf_build *b, const struct cf_ref *r)
{
	if (r->place && r->place->number == MT_CT_BYTES)
		cf_error(b, r->path, r->line,
			"add \"type: number\" or \"type: decimal\" to the place", "%.64s is a text",
			r->name);
}

static bool is_signed(const struct cf_place *p)
{
	return mt_ct_is_signed(p->number, p->is_signed.v);
}

/* Numbers that are in the order of those of the place. */
static uint64_t rank(const struct cf_place *p, uint64_t v)
{
	return v ^ (is_signed(p) ? 1ull << 63 : 0);
}

static bool is_too_high(const struct cf_num *n)
{
	return !n->negative && n->v > INT64_MAX;
}

/* The range of min and max. */
static void set_range(struct cf_build *b, struct cf_test *t)
{
	const struct cf_place *p = t->ref.place;
	uint64_t lo = t->min.set ? t->min.v : rank(p, 0);
	uint64_t hi = t->max.set ? t->max.v : rank(p, UINT64_MAX);

	if (!t->min.set && !t->max.set)
		return;
	t->range[0].lo = lo;
	t->range[0].hi = hi;
	if (!is_signed(p) && (t->min.negative || t->max.negative))
		cf_error(b, t->ref.path, t->ref.line, "write \"signed: true\" at the place",
			"%.64s has no negative numbers", t->ref.name);
	else if (is_signed(p) && (is_too_high(&t->min) || is_too_high(&t->max)))
		cf_error(b, t->ref.path, t->ref.line, "write 9223372036854775807 at most",
			"%.64s has a sign, so its numbers are lower", t->ref.name);
	else if (rank(p, lo) > rank(p, hi))
		cf_error(b, t->ref.path, t->ref.line, "write a smaller min", "min is above max");
}

static void check_tests(struct cf_build *b, const struct cf_when *w)
{
	for (struct cf_test *t = w->first; t; t = t->next) {
		bool text = t->ref.place->number == MT_CT_BYTES;

		if (!text)
			set_range(b, t);
		for (uint32_t i = 0; i < t->n && !t->present.set; i++) {
			if (text && !t->texts[i])
				cf_error(b, t->ref.path, t->ref.line,
					"write is or not, or \"type: number\" at the place",
					"a text is in no range");
			else if (text && strlen(t->texts[i]) > MT_CT_KEY)
				cf_error(b, t->ref.path, t->ref.line, "write 64 characters at most",
					"too long a text");
			else if (!text && t->texts[i] && t->range[i].lo > t->range[i].hi)
				cf_error(b, t->ref.path, t->ref.line,
					"write a number, or \"type: text\" at the place",
					"\"%.32s\" is compared with a number", t->texts[i]);
		}
		if (text && t->mask != UINT64_MAX)
			cf_error(b, t->ref.path, t->ref.line, "remove mask", "a text has no bits");
		if (!t->present.set && !t->n && !t->same.name)
			cf_error(
				b, t->ref.path, t->ref.line, "write a value", "nothing to compare");
	}
}

/* ---- the end of a message -------------------------------------------------------------------- */

/* True if the message's end must be known to find the place. References have no cycles. */
static bool needs_end(struct cf_place *p)
{
	if (!p)
		return false;
	if (p->end_checked)
		return p->needs_end;
	p->end_checked = true;
	p->needs_end = (p->how == CF_TO && !p->in.place) ||
		       (p->at.negative && !p->in.place && !p->after.place) ||
		       needs_end(p->in.place) || needs_end(p->after.place) ||
		       needs_end(p->length.place);
	return p->needs_end;
}

static void check_early(struct cf_build *b, const struct cf_ref *r)
{
	if (needs_end(r->place))
		cf_error(b, r->path, r->line,
			"describe a length at the start, a delimiter, or a constant size",
			"%.64s is found from the end of the message, which it would determine",
			r->name);
}

static void check_early_tests(struct cf_build *b, const struct cf_when *w)
{
	for (struct cf_test *t = w->first; t; t = t->next) {
		check_early(b, &t->ref);
		check_early(b, &t->same);
	}
}

static void check_frames(struct cf_build *b)
{
	struct cf_variant *v = b->v;

	if (!v->n_frames)
		cf_error(b, "spec.frame", v->origin.line, "add frame",
			"the end of a message is not given");
	check_early_tests(b, &v->match);
	check_tests(b, &v->match);
	for (uint32_t i = 0; i < v->n_frames; i++) {
		struct cf_frame *f = &v->frames[i];

		check_early_tests(b, &f->when);
		check_tests(b, &f->when);
		check_early(b, &f->from);
		check_early(b, &f->end);
		for (uint32_t k = 0; k < f->n_length; k++) {
			check_early(b, &f->length[k]);
			must_be_number(b, &f->length[k]);
		}
		for (uint32_t k = 0; k < f->n_also; k++) {
			check_early_tests(b, &f->also[k].when);
			check_tests(b, &f->also[k].when);
		}
		if (!f->when.first && i + 1 < v->n_frames)
			cf_error(b, "spec.frame", v->frames[i + 1].origin.line,
				"put the one without \"when\" last",
				"never used: an earlier one always is");
	}
	for (struct cf_place *p = v->places; p; p = p->next)
		must_be_number(b, &p->length);
}

/* ---- kinds ----------------------------------------------------------------------------------- */

/* True if value i of t is a value of a, or in a range of it, on the same place. */
static bool is_among(const struct cf_test *t, uint32_t i, const struct cf_test *a)
{
	const struct cf_place *p = t->ref.place;
	uint64_t lo = rank(p, t->range[i].lo), hi = rank(p, t->range[i].hi);

	for (uint32_t k = 0; k < a->n; k++) {
		if (p->number != MT_CT_BYTES) {
			if (lo <= hi && rank(p, a->range[k].lo) <= lo &&
				hi <= rank(p, a->range[k].hi))
				return true;
		} else if (t->texts[i] && a->texts[k] && strcmp(t->texts[i], a->texts[k]) == 0) {
			return true;
		}
	}
	return false;
}

static bool all_among(const struct cf_test *t, const struct cf_test *a)
{
	for (uint32_t i = 0; i < t->n; i++)
		if (!is_among(t, i, a))
			return false;
	return true;
}

/* True if the condition does not hold for a place that is not there. */
static bool needs_place(const struct cf_test *t)
{
	if (t->present.set)
		return t->present.v;
	return !t->same.place && !t->negate && !t->ref.place->absent.set;
}

/* True if `a` holds whenever `t` does. */
static bool implies(const struct cf_test *t, const struct cf_test *a)
{
	if (t->ref.place != a->ref.place)
		return false;
	if (a->present.set)
		return a->present.v ? needs_place(t) : t->present.set && !t->present.v;
	/* Without the place `same` holds, and `not` does unless the place has a default. */
	if (t->present.set)
		return !t->present.v && (a->same.place || (a->negate && !a->ref.place->absent.set));
	if (t->same.place || a->same.place)
		return t->same.place == a->same.place;
	if (t->mask != a->mask || t->negate != a->negate)
		return false;
	return a->negate ? all_among(a, t) : all_among(t, a);
}

static bool hides(const struct cf_message *first, const struct cf_message *m)
{
	if (first->from.set && (!m->from.set || m->from.v != first->from.v))
		return false;
	for (struct cf_test *a = first->when.first; a; a = a->next) {
		bool implied = false;

		for (struct cf_test *t = m->when.first; t && !implied; t = t->next)
			implied = implies(t, a);
		if (!implied)
			return false;
	}
	return true;
}

static void check_kinds(struct cf_build *b)
{
	struct cf_variant *v = b->v;

	for (uint32_t i = 0; i < v->n_messages; i++) {
		check_tests(b, &v->messages[i].when);
		for (uint32_t k = 0; k < i; k++) {
			if (!hides(&v->messages[k], &v->messages[i]))
				continue;
			cf_error(b, "spec.messages", v->messages[i].origin.line,
				"put the more special rule first",
				"never used: the rule of line %u applies to all of its messages",
				v->messages[k].origin.line);
			break;
		}
	}
	if (!(cf_kinds_from(v, MT_DIR_DOWN) & (1u << MT_MSG_REQUEST | 1u << MT_MSG_ONEWAY)))
		cf_error(b, "spec.messages", v->origin.line, "add a rule with is: request",
			"no message of a client is a request");
	if (cf_kinds_from(v, MT_DIR_DOWN) & 1u << MT_MSG_REQUEST &&
		!(cf_kinds_from(v, MT_DIR_UP) & 1u << MT_MSG_REPLY))
		cf_error(b, "spec.messages", v->origin.line, "add a rule with is: reply",
			"no message of a server is a reply");
}

/* ---- ids and status -------------------------------------------------------------------------- */

static const struct cf_id *id_of(const struct cf_variant *v, uint32_t kind)
{
	for (uint32_t i = 0; i < v->n_ids; i++)
		if (!v->ids[i].kinds.bits || v->ids[i].kinds.bits >> kind & 1)
			return &v->ids[i];
	return NULL;
}

static void check_id(struct cf_build *b, const struct cf_id *id)
{
	const struct cf_place *p = id->place.place;
	bool narrow = (p->how == CF_FIXED && p->size.v < 2) || p->mask.set ||
		      (p->how == CF_FOUND && p->size.set && p->size.v < 4);

	if (p->number == MT_CT_BYTES)
		cf_error(b, id->place.path, id->place.line,
			"write \"calls: serial\", or \"type: number\" at the place",
			"ids that are texts cannot be shared by clients");
	else if (narrow)
		cf_error(b, id->place.path, id->place.line, "write \"calls: serial\"",
			"the id has too few values to be shared by clients");
}

static void check_copy(struct cf_build *b, const struct cf_ref *r)
{
	must_be_number(b, r);
	if (r->place->mask.set || r->place->absent.set)
		cf_error(b, r->path, r->line, "remove mask and default from the place",
			"a copy of an id is a whole number");
}

/*
 * On connections that clients share a one-way call would keep the bytes that its client chose where
 * other calls have their id: a server that answers it, with an error for example, would answer the
 * call of another client. Calls that Meltemi refuses get to no server.
 */
static void check_oneway_id(struct cf_build *b, const struct cf_variant *v)
{
	if (b->spec->calls.v != 0 || id_of(v, MT_MSG_ONEWAY))
		return;
	for (uint32_t i = 0; i < v->n_messages; i++) {
		const struct cf_message *m = &v->messages[i];

		if (cf_kind_of[m->is.v] != MT_MSG_ONEWAY || m->refuse.set ||
			(m->from.set && m->from.v != 0))
			continue;
		cf_error(b, "spec.id", m->origin.line,
			"add oneway to its \"for\", or write \"calls: serial\"",
			"one-way requests have no id, so a server's answer to one would be taken "
			"for that to another call");
		return;
	}
}

static void check_ids(struct cf_build *b)
{
	static const uint8_t needed[] = {MT_MSG_REQUEST, MT_MSG_REPLY};
	struct cf_variant *v = b->v;

	for (uint32_t i = 0; i < v->n_ids && b->spec->calls.v == 0; i++)
		check_id(b, &v->ids[i]);
	for (uint32_t i = 0; i < v->n_ids; i++)
		for (uint32_t k = 0; k < v->ids[i].n_copies; k++)
			check_copy(b, &v->ids[i].copies[k]);
	for (size_t i = 0; i < MT_ARRAY_LEN(needed) && b->spec->calls.v == 0; i++)
		if (ANY_KIND(v, needed[i]) && !id_of(v, needed[i]))
			cf_error(b, "spec.id", v->origin.line,
				"add its place, or write \"calls: serial\"",
				"a %s has no id, so it cannot be found among others",
				needed[i] == MT_MSG_REPLY ? "reply" : "request");
	check_oneway_id(b, v);
	for (uint32_t i = 0; i < v->n_statuses; i++)
		must_be_number(b, &v->statuses[i].place);
	if (v->deadline)
		must_be_number(b, &v->deadline->place);
}

/* ---- metadata -------------------------------------------------------------------------------- */

static void check_search(struct cf_build *b, const struct cf_search *s)
{
	enum cf_holds h = s->place.place->container.holds;

	if (h != CF_MAP && h != CF_PAIRS && h != CF_LINES && h != CF_HEADERS)
		cf_error(b, s->place.path, s->place.line,
			"name a place that holds pairs, lines, headers or a map",
			"%.64s has no keys and values", s->place.name);
}

static bool has_key(const struct cf_build *b, const char *key)
{
	for (uint32_t i = 0; i < b->n_variants; i++)
		for (const struct cf_meta *m = b->variants[i].metas; m; m = m->next)
			if (strcmp(m->key, key) == 0)
				return true;
	return false;
}

/*
 * True if the checksum's bytes are certainly among those that it is computed of: the range starts
 * with the message and ends with it, or after the place.
 */
static bool sums_itself(const struct cf_sum *s)
{
	const struct cf_place *p = s->place.place;
	bool whole = s->to.set ? s->to.v == 0 : !p->at.negative;
	bool plain = p->how == CF_FIXED && !p->in.place && !p->after.place;

	if (plain && !p->at.negative && !s->from.negative)
		return s->from.v <= p->at.v &&
		       (whole || (s->to.set && !s->to.negative && s->to.v > p->at.v));
	return whole && !s->from.negative && s->from.v == 0;
}

static void check_sum(struct cf_build *b, const struct cf_sum *s)
{
	check_tests(b, &s->when);
	must_be_number(b, &s->place);
	if (sums_itself(s))
		cf_error(b, "spec.checksums", s->origin.line, "write from and to, around the place",
			"checksum %.64s is computed of its own bytes, too", s->place.name);
}

static void check_metadata(struct cf_build *b)
{
	struct cf_variant *v = b->v;

	for (struct cf_meta *m = v->metas; m; m = m->next)
		if (m->n_names)
			must_be_number(b, &m->place);
	for (uint32_t i = 0; i < v->n_searches; i++)
		check_search(b, &v->searches[i]);
	check_tests(b, &v->check);
	for (uint32_t i = 0; i < v->n_sums; i++)
		check_sum(b, &v->sums[i]);
}

static void check_keys(struct cf_build *b)
{
	const struct mt_text *keys[] = {&b->spec->service, &b->spec->method};
	static const char *const names[] = {"spec.service", "spec.method"};

	for (size_t i = 0; i < MT_ARRAY_LEN(keys); i++)
		if (keys[i]->s && !has_key(b, keys[i]->s))
			cf_error(b, names[i], keys[i]->line, "add it to metadata",
				"there is no metadata \"%.64s\"", keys[i]->s);
}

/* Of names that are the exceptions of what servers take from elsewhere. */
static void check_executed(struct cf_build *b)
{
	const struct cf_variant *s = b->spec;
	bool searched = false;

	for (uint32_t i = 0; i < b->n_variants; i++)
		searched |= b->variants[i].n_searches > 0;
	for (uint32_t i = 0; i < s->n_executed; i++) {
		const struct mt_text *key = &s->executed[i];

		if ((s->service.s && strcmp(key->s, s->service.s) == 0) ||
			(s->method.s && strcmp(key->s, s->method.s) == 0))
			cf_error(b, "spec.executes.keys", key->line,
				"remove it, or write \"executes: named\"",
				"servers execute another service and method than \"%.64s\" has",
				key->s);
		else if (strcmp(key->s, "*") != 0 && !searched && !has_key(b, key->s))
			cf_error(b, "spec.executes.keys", key->line, "add it to metadata",
				"there is no metadata \"%.64s\"", key->s);
	}
}

/* ---- messages of Meltemi's own --------------------------------------------------------------- */

/*
 * Messages that Meltemi sends unasked must be of the connection's variant, which only the peer's
 * messages show.
 */
static void check_unasked(struct cf_build *b, const char *path, const struct cf_item *item)
{
	if (item && b->n_variants > 1)
		cf_error(b, path, item->origin.line, "remove it, or describe one variant",
			"with variants it is not known which of them the peer reads");
}

static void check_heartbeat(struct cf_build *b)
{
	const struct cf_heartbeat *h = b->v->heartbeat;
	uint32_t down = cf_kinds_from(b->v, MT_DIR_DOWN), up = cf_kinds_from(b->v, MT_DIR_UP);

	check_unasked(b, "spec.goaway", b->v->goaway);
	if (!h)
		return;
	check_unasked(b, "spec.heartbeat.send", h->send);
	if (!h->answer || (h->send && !(up >> MT_MSG_HEARTBEAT_REPLY & 1)))
		cf_error(b, "spec.heartbeat", h->origin.line,
			h->answer ? "add a rule with is: heartbeat-reply to messages"
				  : "add answer",
			h->answer ? "no message of a server answers it"
				  : "heartbeats get no answer");
	else if (!((down | up) >> MT_MSG_HEARTBEAT & 1))
		cf_error(b, "spec.heartbeat", h->origin.line,
			"add a rule with is: heartbeat to messages", "no message is a heartbeat");
}

static void check_idle(struct cf_build *b)
{
	const struct mt_num *idle = &b->spec->connections.idle;

	for (uint32_t i = 0; i < b->n_variants && idle->set; i++)
		if (b->variants[i].heartbeat && b->variants[i].heartbeat->send)
			return;
	if (idle->set)
		cf_error(b, "spec.connections.idle", idle->line, "add heartbeat.send",
			"there is no heartbeat to send");
}

void cf_refuse(struct cf_build *b)
{
	for (uint32_t i = 0; i < b->n_variants; i++) {
		b->v = &b->variants[i];
		check_frames(b);
		check_kinds(b);
		check_ids(b);
		check_metadata(b);
		check_heartbeat(b);
		cf_refuse_values(b);
		if (!b->v->match.first && i + 1 < b->n_variants)
			cf_error(b, "spec.variants", b->v->origin.line, "add match, or put it last",
				"later variants are never used, because it matches all messages");
	}
	check_keys(b);
	check_executed(b);
	check_idle(b);
}
