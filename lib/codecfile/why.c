/* SPDX-License-Identifier: Apache-2.0 */
/* Why a message is refused or is none, in words of its document. */
#include "file.h"

#include <stdarg.h>

/* Bytes of a text that are shown. */
#define SHOWN 16

struct sentence {
	const struct mt_codecfile_seen *of;
	uint32_t variant;
	char *text;
	size_t size, n;
};

static void put(struct sentence *s, const char *fmt, ...) mt_printf(2, 3);
static void put(struct sentence *s, const char *fmt, ...)
{
	va_list ap;

	if (s->n >= s->size)
		return;
	va_start(ap, fmt);
	s->n += (size_t)vsnprintf(s->text + s->n, s->size - s->n, fmt, ap);
	va_end(ap);
}

/* ---- places ---------------------------------------------------------------------------------- */

static const char *slot_name(const struct sentence *s, uint8_t slot)
{
	const struct mt_codecfile_view *v = s->of->view;

	for (uint32_t i = 0; i < v->n_places; i++)
		if (v->places[i].variant == s->variant && v->places[i].slot == slot)
			return v->places[i].name;
	return "a part";
}

static const char *place_name(const struct sentence *s, uint32_t place)
{
	const struct mt_ct_place *p = &s->of->table->places[place];
	const struct mt_codecfile_view *v = s->of->view;

	if (p->base == MT_CT_IN && p->at == 0 && p->size == 0)
		return slot_name(s, p->slot);
	for (uint32_t i = 0; i < v->n_places; i++)
		if (v->places[i].variant == s->variant && v->places[i].read &&
			memcmp(&v->places[i].at, p, sizeof(*p)) == 0)
			return v->places[i].name;
	return "a part";
}

static void put_bytes(struct sentence *s, const uint8_t *p, uint32_t n)
{
	uint32_t shown = MT_MIN(n, (uint32_t)SHOWN);
	bool text = true;

	for (uint32_t i = 0; i < shown; i++)
		text = text && p[i] >= ' ' && p[i] < 0x7f;
	if (text)
		put(s, "\"%.*s\"", (int)shown, (const char *)p);
	for (uint32_t i = 0; !text && i < shown; i++)
		put(s, "%02x", p[i]);
	put(s, "%s", n > shown ? " ..." : "");
}

/* The value of the place in the message. */
static void put_value(struct sentence *s, uint32_t i)
{
	const struct mt_ct_found *f = &s->of->found[i];

	put(s, "%s is ", s->of->view->places[i].name);
	if (!f->there && !f->absent)
		put(s, "not there");
	else if (f->is_signed && (f->number || f->absent))
		put(s, "%lld", (long long)f->value);
	else if (f->number || f->absent)
		put(s, "%llu", (unsigned long long)f->value);
	else
		put_bytes(s, s->of->bytes + f->off, f->len);
	put(s, "%s", f->there ? "" : f->absent ? " by default" : "");
}

/* The value of the place with this name. */
static void put_named(struct sentence *s, const char *name)
{
	const struct mt_codecfile_view *v = s->of->view;

	for (uint32_t i = 0; i < v->n_places; i++)
		if (v->places[i].variant == s->variant && strcmp(v->places[i].name, name) == 0) {
			put(s, ": ");
			put_value(s, i);
		}
}

/* ---- refused ------------------------------------------------------------------------------- */

static void put_sum(struct sentence *s, const struct mt_ct_cause *why)
{
	const struct mt_ct_sum *sum = &s->of->table->sums[why->op->n];
	const char *name = place_name(s, sum->place);
	const struct mt_codecfile_view *v = s->of->view;

	if (!why->summed) {
		put(s, "the bytes that checksum %s is computed of are not there", name);
		return;
	}
	for (uint32_t i = 0; i < v->n_places; i++)
		if (v->places[i].variant == s->variant && strcmp(v->places[i].name, name) == 0 &&
			s->of->found[i].number) {
			put(s, "checksum %s is 0x%llx, but 0x%llx is computed", name,
				(unsigned long long)s->of->found[i].value,
				(unsigned long long)why->sum);
			return;
		}
	put(s, "checksum %s is not there", name);
}

static void put_rule(struct sentence *s, const struct mt_ct_op *op)
{
	const struct mt_codecfile_view *v = s->of->view;

	if (op->n && op->m < v->variant[s->variant].n_rules) {
		put(s, "the rule of messages in line %u refuses it",
			v->variant[s->variant].rules[op->m]);
	} else if (!op->n && op->m < v->variant[s->variant].n_checks) {
		put(s, "it contradicts check");
		put_named(s, v->variant[s->variant].checks[op->m]);
	}
}

static void put_held(struct sentence *s, const struct mt_ct_op *op)
{
	const char *name = place_name(s, op->place);

	if (s->of->msg.refuse != 1 + MT_REPLY_TOO_LARGE) {
		put(s, "%s is not a %s", name,
			s->of->table->places[op->place].type == MT_CT_BYTES ? "string in one piece"
									    : "number");
		return;
	}
	put(s, "%s ends beyond byte %u", name, MT_CT_LEAD);
	if (op->n)
		put(s, ", or has more than %u bytes", op->n);
}

static void put_refusal(struct sentence *s, const struct mt_ct_cause *why)
{
	const struct mt_ct_op *op = why->op;

	switch (op->code) {
	case MT_CT_SUM:
		put_sum(s, why);
		return;
	case MT_CT_WALK:
		put(s, "container %s breaks its format at byte %u", slot_name(s, op->within),
			why->at);
		return;
	case MT_CT_HESSIAN:
		put(s, "%s breaks its format at byte %u", slot_name(s, op->slot), why->at);
		return;
	case MT_CT_UNTIL:
		put(s, "%s has a line feed or carriage return alone at byte %u",
			slot_name(s, op->slot), why->at);
		return;
	case MT_CT_FIT:
		put(s, "%s is longer than its message or container", slot_name(s, op->within));
		return;
	case MT_CT_HOLD:
		put_held(s, op);
		return;
	default:
		put_rule(s, op);
	}
}

/* ---- none ---------------------------------------------------------------------------------- */

/*
 * True if the place decided that no variant, or no kind of its variant, matches. Variants often
 * have the same place. A place after another one was found for the last variant only.
 */
static bool is_cause(const struct sentence *s, uint32_t i, bool kind)
{
	const struct mt_codecfile_view *v = s->of->view;
	const struct mt_codecfile_place *p = &v->places[i];

	if (kind)
		return p->variant == s->variant && p->tested;
	if (!p->matched || (v->n_variants > 1 && p->at.base != MT_CT_START))
		return false;
	for (uint32_t k = 0; k < i; k++)
		if (v->places[k].matched && strcmp(v->places[k].name, p->name) == 0 &&
			memcmp(&v->places[k].at, &p->at, sizeof(p->at)) == 0)
			return false;
	return true;
}

static void put_fault(struct sentence *s, const struct mt_ct_cause *why)
{
	const struct mt_codecfile_view *v = s->of->view;
	bool match = why->op->code == MT_CT_BAD && why->op->n == MT_CT_FAULT_VARIANT;
	bool kind = why->op->code == MT_CT_BAD && why->op->n == MT_CT_FAULT_KIND;
	const char *before = ": ";

	if (match && v->n_variants == 1)
		put(s, "match does not hold");
	else
		put(s, "%s", why->fault + strlen("codec file: "));
	if (kind)
		s->variant = why->op->m;
	if (!kind && !match)
		return;
	for (uint32_t i = 0; i < v->n_places; i++) {
		if (!is_cause(s, i, kind))
			continue;
		put(s, "%s", before);
		put_value(s, i);
		before = ", ";
	}
}

void mt_codecfile_why(const struct mt_codecfile_seen *seen, char *text, size_t size)
{
	struct sentence s = {.of = seen, .text = text, .size = size};

	*text = '\0';
	if (!seen->why.op)
		return;
	if (seen->why.fault) {
		put_fault(&s, &seen->why);
		return;
	}
	s.variant = seen->msg.variant;
	put_refusal(&s, &seen->why);
}
