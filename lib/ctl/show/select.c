/* SPDX-License-Identifier: Apache-2.0 */
#include "select.h"
#include "view.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ROWS 512 /* rows shown */

/* State of one command. */
struct query {
	const struct mt_select_kind *kind;
	struct mt_expr expr;
	struct mt_expr_names names; /* fields, and the columns of a row */
	json_t *sample;		    /* a row, which holds the names of the columns */
	/* The order of the rows, by one of both. */
	enum mt_expr_field top; /* MT_EXPR_N_FIELDS: unsorted */
	const struct mt_select_order *order;
	uint32_t n;
	bool count;	  /* look at all, also beyond ROWS */
	uint64_t matched; /* of those that were looked at */
	/* Workers that did not answer; without this list they would look idle. */
	json_t *silent;
	struct mt_select_row rows[2 * ROWS]; /* settle() keeps the first ROWS */
};

json_t *mt_select_place(const struct mt_addr *a, uint16_t port)
{
	char text[MT_ADDR_STRLEN];

	return mt_json_text(mt_addr_is_zero(a) ? "-" : mt_addr_port_str(a, port, text));
}

/* ---- gathering ------------------------------------------------------------------------------ */

static bool is_sorted(const struct query *q)
{
	return q->order || q->top != MT_EXPR_N_FIELDS;
}

static int by_key(const void *a, const void *b)
{
	const struct mt_select_row *x = a, *y = b;

	return x->key < y->key ? 1 : x->key > y->key ? -1 : 0;
}

static void settle(struct query *q)
{
	if (is_sorted(q))
		qsort(q->rows, q->n, sizeof(*q->rows), by_key);
	q->n = MT_MIN(q->n, (uint32_t)ROWS);
}

/* The values of a row: its fields, and its columns, for which the row is built when needed. */
struct values {
	const struct query *q;
	const struct mt_select_row *r;
	struct mt_select_values of;
	struct mt_view_row columns;
	json_t *built;
};

static struct mt_value value_of(void *arg, uint32_t id)
{
	struct values *v = arg;

	if (id < MT_EXPR_N_FIELDS)
		return mt_expr_field_value(&v->of.fields, id);
	if (!v->built) {
		v->built = json_array();
		v->q->kind->add(v->built, v->r);
		v->columns.row = json_array_get(v->built, 0);
	}
	return mt_view_value(&v->columns, id);
}

/* Fills the row; false: it does not match the expression. */
static bool fill(struct mt_ctl *c, const struct query *q, const struct mt_ask *a, uint32_t i,
	struct mt_select_row *r)
{
	struct values v = {.q = q, .r = r, .columns.names = &q->names};
	struct mt_value got;

	q->kind->fill(c, a, i, r, &v.of);
	got = mt_expr_run(&q->expr, value_of, &v);
	json_decref(v.built);
	if (q->order)
		r->key = q->order->key(r);
	else if (q->top != MT_EXPR_N_FIELDS)
		r->key = v.of.fields.v[q->top].number;
	return got.type == MT_VALUE_BOOL && got.yes;
}

static void take(struct mt_ctl *c, struct query *q, uint16_t worker, const struct mt_ask *a)
{
	for (uint32_t i = 0; i < a->n; i++) {
		struct mt_select_row *r = &q->rows[q->n];

		r->worker = worker;
		if (!fill(c, q, a, i, r))
			continue;
		q->matched++;
		if (++q->n == 2 * ROWS)
			settle(q);
	}
}

/* True if further rows could still be shown. */
static bool wants_more(const struct query *q)
{
	return q->count || is_sorted(q) || q->n < ROWS;
}

static void gather(struct mt_ctl *c, struct query *q)
{
	for (uint16_t w = 0; w < c->env.n_workers; w++) {
		const struct mt_ask *a = mt_ask(c, w, q->kind->what, &q->expr);

		while (a && wants_more(q)) {
			take(c, q, w, a);
			if (!a->more)
				break;
			a = mt_ask_more(c, w);
		}
		if (!a)
			json_array_append_new(q->silent, json_integer(w));
	}
	settle(q);
}

/* ---- arguments ------------------------------------------------------------------------------ */

static int take_order(struct query *q, const char *word, struct mt_err *e)
{
	const struct mt_select_order *o = q->kind->orders;
	char names[64] = "";

	for (; o->name && strcmp(o->name, word) != 0; o++)
		snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
			*names ? " or " : "", o->name);
	if (!o->name)
		return mt_err(e, -EINVAL, "top %.40s: write %s", word, names);
	q->order = o;
	return 0;
}

/* Parses "... top FIELD" at the end; *n: number of words before it. */
static int take_top(const struct mt_request *r, struct query *q, uint32_t *n, struct mt_err *e)
{
	const struct mt_expr_name *top;
	const char *word;

	*n = r->n_args;
	if (r->n_args < 2 || strcmp(r->args[r->n_args - 2], "top") != 0)
		return 0;
	*n -= 2;
	word = r->args[*n + 1];
	if (q->kind->orders)
		return take_order(q, word, e);
	mt_expr_names_of_fields(&q->names, q->kind->tops);
	top = mt_expr_name_find(&q->names, word, strlen(word), e);
	if (top)
		q->top = top->id;
	if (top && r->view)
		mt_view_show(r->view, top->name);
	return top ? 0 : -EINVAL;
}

/* Records keep only the start of a long name, so a longer value is cut to a prefix match. */
static void match_what_is_kept(struct mt_expr *x)
{
	for (uint32_t i = 0; i < x->n_terms; i++) {
		struct mt_expr_term *t = &x->terms[i];
		char *value = x->texts + t->text;
		uint32_t room = t->field == MT_EXPR_service  ? MT_RECORD_SERVICE
				: t->field == MT_EXPR_route  ? MT_RECORD_ROUTE
				: t->field == MT_EXPR_method ? MT_RECORD_METHOD
							     : UINT32_MAX;

		if (t->cmp > MT_EXPR_NE || t->len <= room || memchr(value, '*', room))
			continue;
		value[room] = '*';
		t->len = (uint16_t)(room + 1);
	}
}

/* Both the arguments and `where` select. */
static int parse(const struct mt_request *r, struct query *q, struct mt_err *e)
{
	static const struct mt_select_row none = {.service = "", .cluster = ""};
	const char *where = r->view ? r->view->where : "";
	char own[MT_CTL_LINE + 1], expr[2 * MT_CTL_LINE + 8];
	uint64_t fields = q->kind->fields;
	uint32_t n;
	int rc = take_top(r, q, &n, e);

	if (rc)
		return rc;
	mt_ctl_join_words(r->args, n, own, sizeof(own));
	snprintf(expr, sizeof(expr), *own && *where ? "(%s) (%s)" : "%s%s", own, where);
	/* Names of an expression: the fields, then the columns of the answer. */
	q->kind->add(q->sample, &none);
	mt_expr_names_of_fields(&q->names, fields);
	mt_view_names(&q->names, q->sample);
	rc = mt_ctl_expr_of(&q->expr, expr, &q->names, fields, e);
	if (rc == 0 && r->view)
		mt_view_show_expr(r->view, &q->expr, &q->names);
	if (rc == 0 && q->kind->cut)
		match_what_is_kept(&q->expr);
	return rc;
}

static json_t *answer(struct mt_ctl *c, struct query *q)
{
	json_t *list = json_array(), *all;

	gather(c, q);
	for (uint32_t i = 0; i < q->n; i++)
		q->kind->add(list, &q->rows[i]);
	all = mt_json_object(MT_M(q->kind->name, list));
	mt_json_set(all, MT_M("shown", q->n));
	if (q->count)
		mt_json_set(all, MT_M("matched", q->matched));
	if (json_array_size(q->silent))
		json_object_set(all, "workers_without_answer", q->silent);
	mt_render_absent(all, "workers_without_answer");
	return all;
}

json_t *mt_select(struct mt_ctl *c, const struct mt_request *r, const struct mt_select_kind *kind)
{
	struct query *q = calloc(1, sizeof(*q));
	json_t *all;
	struct mt_err e;

	if (!q)
		return NULL;
	q->kind = kind;
	q->top = kind->sorted;
	q->count = r->view && r->view->count;
	q->sample = json_array();
	q->silent = json_array();
	all = parse(r, q, &e) < 0 ? mt_ctl_wrong(&e) : answer(c, q);
	json_decref(q->silent);
	json_decref(q->sample);
	free(q);
	return all;
}

void mt_select_offer(struct mt_ctl *c, const struct mt_request *r,
	const struct mt_select_kind *kind, struct mt_offers *o)
{
	bool orders = kind->orders && r->n_args && strcmp(r->args[r->n_args - 1], "top") == 0;

	for (const struct mt_select_order *x = kind->orders; orders && x->name; x++)
		mt_offer(o, x->name, x->help);
	if (orders)
		return;
	if (!r->view)
		mt_offer(o, "top", "those that have the most of a field");
	mt_offer_expression(c, kind->fields, o);
}
