/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks values in expressions. A value that a field can never have is rejected. A name that does
 * not exist now, or that has nothing of the requested kind, only causes a note, because it may
 * appear later.
 */
#include "names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* True if the values of the field are fixed: any other value is a mistake and would never match. */
static bool is_fixed(enum mt_expr_field field)
{
	return field == MT_EXPR_status || field == MT_EXPR_direction || field == MT_EXPR_side ||
	       field == MT_EXPR_proto || field == MT_EXPR_outcome || field == MT_EXPR_tls ||
	       field == MT_EXPR_cipher;
}

/* True if this condition, including `*`, matches `value`. */
static bool holds_for(const struct mt_expr *x, const struct mt_expr_term *t, const char *value)
{
	struct mt_expr_values v = {.known = 0};
	struct mt_expr one = *x;

	one.n_terms = one.n_ops = 1;
	one.ops[0] = 0;
	one.terms[0] = *t;
	if (t->cmp == MT_EXPR_NE)
		one.terms[0].cmp = MT_EXPR_EQ;
	mt_expr_set_text(&v, t->field, (struct mt_slice){(const uint8_t *)value, strlen(value)});
	return mt_expr_eval(&one, &v) == MT_TRI_YES;
}

static bool may_hold(const struct mt_expr *x, const struct mt_expr_term *t, const json_t *values)
{
	const char *value;
	json_t *help;

	json_object_foreach((json_t *)values, value, help)
	{
		if (holds_for(x, t, value))
			return true;
	}
	return false;
}

static int no_value(const struct mt_expr *x, const struct mt_expr_term *t, const json_t *values,
	struct mt_err *e)
{
	const char *value;
	json_t *help;
	size_t n;

	mt_err(e, -EINVAL, "%s: `%.*s` is none of:", mt_expr_fields[t->field].name,
		(int)MT_MIN(t->len, 40u), x->texts + t->text);
	n = strlen(e->text);
	json_object_foreach((json_t *)values, value, help)
	{
		size_t more = strlen(value) + 1;

		if (n + more + sizeof(" …") > sizeof(e->text)) {
			snprintf(e->text + n, sizeof(e->text) - n, " …");
			break;
		}
		n += (size_t)snprintf(e->text + n, sizeof(e->text) - n, " %s", value);
	}
	return -EINVAL;
}

int mt_ctl_expr(struct mt_expr *x, const char *text, uint64_t fields, struct mt_err *e)
{
	struct mt_expr_names names;

	mt_expr_names_of_fields(&names, fields);
	return mt_ctl_expr_of(x, text, &names, fields, e);
}

int mt_ctl_expr_of(struct mt_expr *x, const char *text, const struct mt_expr_names *names,
	uint64_t fields, struct mt_err *e)
{
	int rc = mt_expr_parse(x, text, names, e);

	for (uint32_t i = 0; rc == 0 && i < x->n_terms; i++) {
		const struct mt_expr_term *t = &x->terms[i];
		bool absent = t->len == 1 && x->texts[t->text] == '-';
		struct mt_offers all = {.part = ""};

		if (!is_fixed(t->field) || absent)
			continue;
		all.words = json_object();
		mt_offer_values(NULL, t->field, fields, 0, &all);
		if (!all.more && !may_hold(x, t, all.words))
			rc = no_value(x, t, all.words, e);
		json_decref(all.words);
	}
	return rc;
}

/* ---- names ---------------------------------------------------------------------------------- */

static bool is_named(enum mt_expr_field field)
{
	return field == MT_EXPR_service || field == MT_EXPR_route || field == MT_EXPR_cluster ||
	       field == MT_EXPR_endpoint || field == MT_EXPR_port;
}

static uint32_t count_chosen(const struct mt_expr *x, const struct mt_expr_term *t,
	const struct mt_filter_chain_proto *p)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < p->n_services; i++)
		n += holds_for(x, t, p->services[i]->name);
	return n;
}

/* Counts the services that the condition selects: those with messages, and opaque TCP services. */
static void count_services(struct mt_ctl *c, const struct mt_expr *x, const struct mt_expr_term *t,
	uint32_t *messages, uint32_t *bytes)
{
	const struct mt_snapshot *snap = mt_ctl_snapshot(c);

	*messages = *bytes = 0;
	for (uint32_t i = 0; snap && i < snap->n_listeners; i++) {
		const struct mt_listener *l = &snap->listeners[i];

		for (uint32_t k = 0; k < l->n_protos; k++)
			*(l->protos[k].codec->opaque ? bytes : messages) +=
				count_chosen(x, t, &l->protos[k]);
	}
}

static bool note_of(struct mt_ctl *c, const struct mt_expr *x, const struct mt_expr_term *t,
	uint64_t fields, struct mt_err *note)
{
	struct mt_offers all = {.part = ""};
	uint32_t messages, bytes;
	bool there;

	if (t->field == MT_EXPR_service) {
		count_services(c, x, t, &messages, &bytes);
		if (bytes && !messages)
			mt_err(note, 0,
				"service `%.*s` is opaque TCP and has no calls: select its "
				"connections or packets by their addresses",
				(int)t->len, x->texts + t->text);
		if (bytes || messages)
			return bytes && !messages;
	}
	all.words = json_object();
	mt_offer_values(c, t->field, fields, 0, &all);
	there = all.more || may_hold(x, t, all.words);
	json_decref(all.words);
	if (!there)
		mt_err(note, 0, "there is no %s `%.*s` at this moment",
			mt_expr_fields[t->field].name, (int)t->len, x->texts + t->text);
	return !there;
}

void mt_ctl_expr_note(struct mt_ctl *c, const struct mt_expr *x, uint64_t fields, json_t *answer)
{
	struct mt_err note;

	for (uint32_t i = 0; i < x->n_terms; i++) {
		const struct mt_expr_term *t = &x->terms[i];

		if (is_named(t->field) && t->cmp == MT_EXPR_EQ && t->len &&
			note_of(c, x, t, fields, &note)) {
			mt_json_set(answer, MT_M("note", note.text));
			return;
		}
	}
	mt_render_absent(answer, "note");
}
