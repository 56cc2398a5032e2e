/* SPDX-License-Identifier: Apache-2.0 */
/* Names of places, kinds and samples of a compiled document, for tools. No part of the table. */
#include "file.h"

/* True if the place can be found after the table's program has run. */
static bool is_found(const struct cf_place *p)
{
	if (p->used)
		return true;
	if (p->how != CF_FIXED || p->after.place)
		return false;
	return !p->in.place || (p->in.place->used && p->in.place->slotted);
}

/* A value of a hessian container that another one is found by, without a name. */
static bool is_made_up(const struct cf_place *p)
{
	return p->how == CF_HESSIAN_VALUE && !p->find.s;
}

/* A map of a search: its entries are metadata, and tools show it as such. */
static bool is_searched(const struct cf_variant *v, const struct cf_place *p)
{
	for (uint32_t i = 0; i < v->n_searches; i++)
		if (v->searches[i].place.place == p)
			return p->container.holds == CF_MAP;
	return false;
}

static bool is_tested(const struct cf_when *w, const struct cf_place *p)
{
	for (const struct cf_test *t = w->first; t; t = t->next)
		if (t->ref.place == p)
			return true;
	return false;
}

/* The place in the table. A new one can move the array. */
static struct mt_ct_place in_table(struct cf_build *b, struct cf_place *p)
{
	uint16_t i = cf_content(b, p);

	return b->places[i];
}

static void places(struct cf_build *b, struct mt_codecfile_view *view)
{
	for (struct cf_place *p = b->v->places; p; p = p->next) {
		struct mt_codecfile_place *to;

		if (is_made_up(p) || is_searched(b->v, p))
			continue;
		to = mt_region_push(
			b->region, (void **)&view->places, &view->n_places, sizeof(*to));
		if (!to)
			return;
		to->name = mt_region_strdup(b->region, p->name);
		to->line = p->origin.line;
		to->variant = b->variant;
		to->read = is_found(p);
		to->slot = p->used && p->slotted ? p->slot : MT_CT_NONE;
		to->matched = is_tested(&b->v->match, p);
		for (uint32_t i = 0; i < b->v->n_messages; i++)
			to->tested |= is_tested(&b->v->messages[i].when, p);
		if (to->read)
			to->at = in_table(b, p);
	}
}

static void samples(struct cf_build *b, struct mt_codecfile_view *view)
{
	for (uint32_t i = 0; i < b->spec->n_samples; i++) {
		const struct cf_sample *s = &b->spec->samples[i];
		struct mt_codecfile_sample *to = mt_region_push(
			b->region, (void **)&view->samples, &view->n_samples, sizeof(*to));
		uint8_t *bytes = mt_region_alloc(b->region, CF_SAMPLE_MAX);

		if (!to || !bytes || !cf_sample_bytes(s, bytes, &to->n))
			return;
		to->from = (enum mt_dir)s->from.v;
		to->line = s->origin.line;
		to->bytes = bytes;
	}
}

/* The first entry of status with a place that some replies lack, and no default. */
static void lacks(struct cf_build *b, struct mt_codecfile_view *view)
{
	for (uint32_t i = 0; i < b->v->n_statuses; i++) {
		const struct cf_status *s = &b->v->statuses[i];
		const struct cf_place *p = s->place.place;

		if (p->absent.set || s->other.v == MT_CT_CLASS_OK ||
			(p->how == CF_FIXED && !p->in.place && !p->after.place))
			continue;
		view->variant[b->variant].lacks = mt_region_strdup(b->region, p->name);
		view->variant[b->variant].lacking = mt_ct_class_str((enum mt_ct_class)s->other.v);
		return;
	}
}

/* Names and lines that ops refer to by index (MT_CT_REFUSE). */
static void causes(struct cf_build *b, struct mt_codecfile_view *view)
{
	const char **checks = mt_region_alloc(b->region, sizeof(*checks) * CF_TESTS);
	uint32_t *rules = mt_region_alloc(b->region, sizeof(*rules) * (b->v->n_messages + 1));

	if (!checks || !rules)
		return;
	for (const struct cf_test *t = b->v->check.first; t; t = t->next)
		checks[view->variant[b->variant].n_checks++] =
			mt_region_strdup(b->region, t->ref.name);
	for (uint32_t i = 0; i < b->v->n_messages; i++)
		rules[i] = b->v->messages[i].origin.line;
	view->variant[b->variant].checks = checks;
	view->variant[b->variant].rules = rules;
	view->variant[b->variant].n_rules = b->v->n_messages;
}

void cf_view_places(struct cf_build *b, struct mt_codecfile_view *view)
{
	view->n_variants = b->n_variants;
	for (uint32_t i = 0; i < b->n_variants; i++) {
		b->v = &b->variants[i];
		b->variant = i;
		view->variant[i].name =
			b->v->name.s ? mt_region_strdup(b->region, b->v->name.s) : NULL;
		view->variant[i].status = b->v->n_statuses > 0;
		view->variant[i].deadline = b->v->deadline != NULL;
		for (uint32_t dir = 0; dir < 2; dir++)
			view->variant[i].kinds[dir] =
				(uint16_t)cf_kinds_from(b->v, (enum mt_dir)dir);
		lacks(b, view);
		causes(b, view);
		places(b, view);
	}
}

void cf_view(struct cf_build *b, struct mt_codecfile_view *view)
{
	cf_view_places(b, view);
	samples(b, view);
}

const char *mt_codecfile_kind(enum mt_msg_kind kind)
{
	for (uint32_t i = 0; cf_kind_words[i]; i++)
		if (cf_kind_of[i] == kind)
			return cf_kind_words[i];
	return "unknown";
}

const char *mt_codecfile_reason(enum mt_local_reply what)
{
	return what < MT_REPLY_N ? cf_reason_words[what] : "unknown";
}
