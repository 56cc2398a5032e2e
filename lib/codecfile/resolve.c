/* SPDX-License-Identifier: Apache-2.0 */
/* Names to places: how each is found, which are needed, and where its slot is. */
#include "file.h"

static struct cf_place *place_named(const struct cf_build *b, const char *name)
{
	for (struct cf_place *p = b->v->places; p; p = p->next)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

static void resolve(struct cf_build *b, struct cf_ref *r)
{
	struct mt_suggest near = {.word = r->name};
	char remedy[128] = "add it to places";

	if (!r->name)
		return;
	r->place = place_named(b, r->name);
	if (r->place)
		return;
	for (struct cf_place *p = b->v->places; p; p = p->next)
		mt_suggest_offer(&near, p->name);
	if (near.best)
		snprintf(remedy, sizeof(remedy), "did you mean %.64s?", near.best);
	cf_error(b, r->path, r->line, remedy, "there is no place \"%.64s\"", r->name);
}

static void resolve_when(struct cf_build *b, struct cf_when *w)
{
	for (struct cf_test *t = w->first; t; t = t->next) {
		resolve(b, &t->ref);
		resolve(b, &t->same);
	}
}

static void resolve_all(struct cf_build *b, struct cf_variant *v)
{
	for (struct cf_place *p = v->places; p; p = p->next) {
		resolve(b, &p->in);
		resolve(b, &p->after);
		resolve(b, &p->length);
	}
	resolve_when(b, &v->match);
	resolve_when(b, &v->check);
	for (uint32_t i = 0; i < v->n_frames; i++) {
		struct cf_frame *f = &v->frames[i];

		resolve_when(b, &f->when);
		resolve(b, &f->from);
		resolve(b, &f->end);
		for (uint32_t k = 0; k < f->n_length; k++)
			resolve(b, &f->length[k]);
		for (uint32_t k = 0; k < f->n_also; k++)
			resolve_when(b, &f->also[k].when);
	}
	for (uint32_t i = 0; i < v->n_messages; i++)
		resolve_when(b, &v->messages[i].when);
	for (uint32_t i = 0; i < v->n_ids; i++) {
		resolve(b, &v->ids[i].place);
		for (uint32_t k = 0; k < v->ids[i].n_copies; k++)
			resolve(b, &v->ids[i].copies[k]);
	}
	for (uint32_t i = 0; i < v->n_statuses; i++)
		resolve(b, &v->statuses[i].place);
	if (v->deadline)
		resolve(b, &v->deadline->place);
	for (struct cf_meta *m = v->metas; m; m = m->next)
		resolve(b, &m->place);
	for (uint32_t i = 0; i < v->n_searches; i++)
		resolve(b, &v->searches[i].place);
	for (uint32_t i = 0; i < v->n_sums; i++) {
		resolve(b, &v->sums[i].place);
		resolve_when(b, &v->sums[i].when);
	}
	cf_template_places(b, UINT32_MAX, resolve);
}

/* ---- how a place is found -------------------------------------------------------------------- */

static void place_error(
	struct cf_build *b, const struct cf_place *p, const char *remedy, const char *text)
{
	char path[MT_PATH_MAX];

	snprintf(path, sizeof(path), "spec.places.%.128s", p->name);
	cf_error(b, path, p->origin.line, remedy, "%s", text);
}

bool cf_is_little(const struct cf_build *b, const struct mt_num *own)
{
	const struct mt_num *order = own->set ? own : &b->v->order;

	return (order->set ? order : &b->spec->order)->v == 1;
}

/* "type: number" in a container. */
static enum mt_ct_type number_in(enum cf_holds holds, enum mt_ct_type plain)
{
	switch (holds) {
	case CF_PROTOBUF:
		return MT_CT_VARINT;
	case CF_JCE:
		return MT_CT_JCE;
	case CF_PAIRS:
	case CF_TLV:
		return plain;
	default:
		return MT_CT_DECIMAL;
	}
}

static enum mt_ct_type type_of(const struct cf_build *b, const struct cf_place *p)
{
	enum cf_type type = p->type.set ? (enum cf_type)(p->type.v + 1) : CF_T_NONE;
	enum mt_ct_type plain = cf_is_little(b, &p->order) ? MT_CT_LITTLE : MT_CT_BIG;

	if (type == CF_T_NONE)
		type = p->how == CF_FIXED && p->size.v <= 8 && !p->container.holds ? CF_T_NUMBER
										   : CF_T_TEXT;
	switch (type) {
	case CF_T_NUMBER:
		return p->how == CF_FOUND ? number_in(p->in.place->container.holds, plain) : plain;
	case CF_T_DECIMAL:
		return MT_CT_DECIMAL;
	case CF_T_VARINT:
		return MT_CT_VARINT;
	case CF_T_ZIGZAG:
		return MT_CT_ZIGZAG;
	case CF_T_FIXED:
		return MT_CT_LITTLE;
	default:
		return MT_CT_BYTES;
	}
}

/* Value n of a container of hessian values, with those before it. */
static void hessian_value(struct cf_build *b, struct cf_place *p)
{
	struct cf_place *in = p->in.place;
	const char *s = p->find.s;

	if (s[0] < '1' || s[0] > '0' + CF_HESSIAN_MAX || s[1]) {
		place_error(b, p, "write a number from 1 to 8",
			"find counts the values of a hessian container");
		return;
	}
	p->how = CF_HESSIAN_VALUE;
	p->nth = (uint32_t)(s[0] - '0');
	if (!in->value[p->nth - 1])
		in->value[p->nth - 1] = p;
}

static void found_in(struct cf_build *b, struct cf_place *p)
{
	struct cf_place *in = p->in.place;

	p->how = CF_FOUND;
	if (!in)
		return;
	if (in->container.holds == CF_NOTHING || in->container.holds == CF_MAP)
		place_error(b, p, "add holds to the container: its format",
			"find needs a container with a format");
	else if (in->container.holds == CF_HESSIAN)
		hessian_value(b, p);
}

/* Refuses the keys that only elements of JCE have. */
static void check_jce(struct cf_build *b, const struct cf_place *p)
{
	bool jce = p->how == CF_FOUND && p->in.place->container.holds == CF_JCE;

	if (p->find.s && p->size.set && (!jce || p->number != MT_CT_JCE || p->size.v > 8))
		place_error(b, p, "remove size, which are the most bytes of an integer of jce",
			"find gives its bytes already");
	if (p->type.set && p->type.v + 1 == CF_T_BYTES && !jce)
		place_error(b, p, "write type: text", "only jce has lists of bytes");
}

static void decide(struct cf_build *b, struct cf_place *p)
{
	if (p->find.s)
		found_in(b, p);
	else if (p->size.set)
		p->how = CF_FIXED;
	else if (p->count.set)
		p->how = CF_COUNTED;
	else if (p->length.name)
		p->how = CF_SIZED;
	else if (p->to.set)
		p->how = CF_TO;
	else
		p->how = p->until.s ? CF_UNTIL : CF_NUMERAL;
	if (p->find.s && !p->in.place)
		return;
	p->number = type_of(b, p);
	check_jce(b, p);
	if (p->how == CF_FIXED && p->number != MT_CT_BYTES && p->size.v > 8 &&
		p->number != MT_CT_DECIMAL)
		place_error(b, p, "write a size of 8 at most, or type: text",
			"numbers have 8 bytes at most");
	if (p->container.holds == CF_MAP &&
		(p->how != CF_FOUND || (p->in.place->container.holds != CF_PROTOBUF &&
					       p->in.place->container.holds != CF_JCE)))
		place_error(b, p, "write in: a container of protobuf or jce, and find",
			"only protobuf and jce have maps");
	if (p->how == CF_FOUND && p->in.place->container.holds == CF_JCE &&
		p->container.holds == CF_JCE && p->number == MT_CT_BYTES)
		place_error(b, p, "write the path from the outer struct, such as find: \"0.4\"",
			"a struct of jce cannot be a container of its own");
}

/* ---- what is needed -------------------------------------------------------------------------- */

static void use(struct cf_build *b, struct cf_place *p, bool kept);

/* The values before the nth; those without a name are skipped over. */
static void use_hessian(struct cf_build *b, struct cf_place *p)
{
	struct cf_place *in = p->in.place, **before;

	if (p->nth < 2)
		return;
	before = &in->value[p->nth - 2];
	if (!*before) {
		*before = mt_region_alloc(b->region, sizeof(**before));
		if (!*before)
			return;
		**before = (struct cf_place){.name = "value",
			.origin = p->origin,
			.in = p->in,
			.how = CF_HESSIAN_VALUE,
			.nth = p->nth - 1,
			.next = b->v->places};
		b->v->places = *before;
	}
	use(b, *before, false);
}

static void use(struct cf_build *b, struct cf_place *p, bool kept)
{
	bool base = p && p->how == CF_FIXED;

	if (!p || cf_failed(b))
		return;
	if (p->visiting) {
		place_error(b, p, "remove one of the references", "it needs itself to be found");
		return;
	}
	/* Nothing new. Otherwise chains of references would take exponential time. */
	if (p->used && (p->kept || !kept))
		return;
	p->used = true;
	p->slotted |= p->how != CF_FIXED;
	p->kept |= kept;
	p->visiting = true;
	/* A fixed part has no slot of its own, so that its base is kept instead. */
	use(b, p->in.place, kept && base && !p->slotted);
	use(b, p->after.place, kept && base && !p->slotted);
	use(b, p->length.place, false);
	if (p->how == CF_HESSIAN_VALUE)
		use_hessian(b, p);
	p->visiting = false;
	if (p->in.place)
		p->in.place->slotted = true;
}

static void use_when(struct cf_build *b, const struct cf_when *w)
{
	for (struct cf_test *t = w->first; t; t = t->next) {
		use(b, t->ref.place, false);
		use(b, t->same.place, false);
	}
}

static void use_search(struct cf_build *b, const struct cf_search *s)
{
	struct cf_place *p = s->place.place;

	if (p && p->container.holds == CF_MAP)
		p = p->in.place;
	if (!p)
		return;
	p->slotted = true;
	use(b, p, true);
}

static void use_copied(struct cf_build *b, struct cf_ref *r)
{
	use(b, r->place, true);
}

static void use_all(struct cf_build *b, struct cf_variant *v)
{
	use_when(b, &v->match);
	use_when(b, &v->check);
	for (uint32_t i = 0; i < v->n_frames; i++) {
		use_when(b, &v->frames[i].when);
		use(b, v->frames[i].from.place, false);
		use(b, v->frames[i].end.place, false);
		for (uint32_t k = 0; k < v->frames[i].n_length; k++)
			use(b, v->frames[i].length[k].place, false);
		for (uint32_t k = 0; k < v->frames[i].n_also; k++)
			use_when(b, &v->frames[i].also[k].when);
	}
	for (uint32_t i = 0; i < v->n_messages; i++)
		use_when(b, &v->messages[i].when);
	for (uint32_t i = 0; i < v->n_ids; i++) {
		use(b, v->ids[i].place.place, true);
		for (uint32_t k = 0; k < v->ids[i].n_copies; k++)
			use(b, v->ids[i].copies[k].place, false);
	}
	for (uint32_t i = 0; i < v->n_statuses; i++)
		use(b, v->statuses[i].place.place, false);
	if (v->deadline)
		use(b, v->deadline->place.place, true);
	for (struct cf_meta *m = v->metas; m; m = m->next)
		use(b, m->place.place, true);
	for (uint32_t i = 0; i < v->n_searches; i++)
		use_search(b, &v->searches[i]);
	for (uint32_t i = 0; i < v->n_sums; i++) {
		use(b, v->sums[i].place.place, false);
		use_when(b, &v->sums[i].when);
	}
	cf_template_places(b, 1u << MT_MSG_REQUEST | 1u << MT_MSG_HEARTBEAT, use_copied);
}

/* ---- slots ----------------------------------------------------------------------------------- */

static void slots(struct cf_build *b, struct cf_variant *v)
{
	uint32_t kept = 0, temporary = MT_CT_KEPT;

	for (struct cf_place *p = v->places; p; p = p->next)
		if (p->used && p->slotted && p->kept)
			p->slot = (uint8_t)kept++;
	for (struct cf_place *p = v->places; p; p = p->next)
		if (p->used && p->slotted && !p->kept)
			p->slot = (uint8_t)(temporary < MT_CT_SLOTS ? temporary++ : kept++);
	if (kept > MT_CT_KEPT)
		cf_error(b, "spec.places", v->origin.line,
			"use search instead of metadata for some of them",
			"%u parts of a message are needed at once; %u can be kept",
			kept + temporary - MT_CT_KEPT, MT_CT_SLOTS);
}

uint32_t cf_kinds_from(const struct cf_variant *v, enum mt_dir dir)
{
	uint32_t bits = 0;

	for (uint32_t i = 0; i < v->n_messages; i++) {
		const struct cf_message *m = &v->messages[i];

		if (!m->from.set || (m->from.v == 0) == (dir == MT_DIR_DOWN))
			bits |= 1u << cf_kind_of[m->is.v];
	}
	return bits;
}

static bool resolve_variant(struct cf_build *b, struct cf_variant *v)
{
	b->v = v;
	resolve_all(b, v);
	if (cf_failed(b))
		return false;
	for (struct cf_place *p = v->places; p; p = p->next)
		decide(b, p);
	if (cf_failed(b))
		return false;
	use_all(b, v);
	if (cf_failed(b))
		return false;
	slots(b, v);
	return !cf_failed(b);
}

bool cf_resolve(struct cf_build *b)
{
	bool ok = true;

	for (uint32_t i = 0; i < b->n_variants; i++)
		ok = resolve_variant(b, &b->variants[i]) && ok;
	return ok;
}
