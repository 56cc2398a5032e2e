/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts the work of one rule of routes or limits (work_counts.c): its matches, its texts, and the
 * programs of its regular expressions. A program is made for each service that follows the rule,
 * and a few characters make a large one: "\pL{1,30}" has some ten thousand instructions. Its size
 * is estimated from the text, because compiling it is the work that is to be limited.
 */
#include "mt_conf_priv.h"

#include <ctype.h>
#include <string.h>

/* Compiling a usual regular expression takes about 20 us and some KiB. */
#define STEPS_OF_REGEX 128
/* An instruction takes about 500 ns, and RE2 makes no larger program in MT_RE2_MEM. */
#define STEPS_OF_INSTRUCTION 5
#define INSTRUCTIONS_MOST    43690
/* Texts are copied. */
#define BYTES_OF_STEP 50

#define CHECKS_REMEDY "write fewer or shorter regular expressions"

/* ---- regular expressions --------------------------------------------------------------------- */

/* Instructions for a class of Unicode, for any character of UTF-8, and for what (?i) adds. */
#define OF_PROPERTY 400
#define OF_ANY	    12
#define FOLDED	    4

#define GROUPS 64

/* The parse of an expression. Groups in GROUPS others count as parts of the last of these. */
struct parse {
	const char *at;
	uint64_t sum[GROUPS]; /* of each open group, without its last part */
	uint64_t last;	      /* of the last part, which a repetition multiplies */
	uint32_t depth;
	bool folds;
};

static uint64_t at_most(uint64_t n)
{
	return MT_MIN(n, (uint64_t)INSTRUCTIONS_MOST);
}

static void add_part(struct parse *p, uint64_t size)
{
	p->sum[p->depth] = at_most(p->sum[p->depth] + p->last);
	p->last = at_most(size);
}

/* Passes an escape, which begins at the backslash. */
static uint64_t size_of_escape(struct parse *p)
{
	char c = *++p->at;

	if (c)
		p->at++;
	if ((c == 'p' || c == 'P' || c == 'x') && *p->at == '{') {
		p->at += strcspn(p->at, "}");
		p->at += *p->at == '}';
	} else if ((c == 'p' || c == 'P') && *p->at) {
		p->at++;
	}
	if (c == 'p' || c == 'P')
		return OF_PROPERTY;
	return c == 'D' || c == 'W' || c == 'S' || c == 'C' ? OF_ANY : 4;
}

/* Passes a class, which begins at the bracket. */
static uint64_t size_of_class(struct parse *p)
{
	uint64_t size = 2;
	bool first = true;

	p->at++;
	if (*p->at == '^') {
		size += OF_ANY;
		p->at++;
	}
	for (; *p->at && (first || *p->at != ']'); first = false) {
		if (*p->at == '\\') {
			size = at_most(size + size_of_escape(p));
			continue;
		}
		/* Ranges outside ASCII have a few instructions for each byte. */
		size = at_most(size + ((unsigned char)*p->at >= 0x80 ? 4 : 1));
		p->at++;
	}
	p->at += *p->at == ']';
	return size;
}

/* Passes "{2}", "{2,}" or "{2,9}". Returns its larger number; 0: the text has another form. */
static uint64_t repetition(struct parse *p)
{
	uint64_t n[2] = {0, 0};
	const char *at = p->at + 1;
	uint32_t i = 0;

	if (!isdigit((unsigned char)*at))
		return 0;
	for (; isdigit((unsigned char)*at) || (*at == ',' && !i); at++) {
		if (*at == ',')
			i = 1;
		else
			n[i] = at_most(n[i] * 10 + (uint64_t)(*at - '0'));
	}
	if (*at != '}')
		return 0;
	p->at = at + 1;
	n[0] = MT_MAX(n[0] + i, n[1]);
	return MT_MAX(n[0], 1u);
}

static void open_group(struct parse *p)
{
	add_part(p, 0);
	if (p->depth + 1 < GROUPS)
		p->sum[++p->depth] = 0;
	if (strncmp(p->at, "(?", 2) == 0)
		p->folds |= memchr(p->at, 'i', strcspn(p->at, ":)P<")) != NULL;
	p->at++;
}

static void close_group(struct parse *p)
{
	add_part(p, 0);
	p->last = at_most(p->sum[p->depth] + 2);
	p->sum[p->depth] = 0;
	p->depth -= p->depth > 0;
	p->at++;
}

static void parse_repetition(struct parse *p)
{
	uint64_t n = repetition(p);

	if (n) {
		p->last = at_most(p->last * n);
		return;
	}
	add_part(p, 1);
	p->at++;
}

static void parse_part(struct parse *p)
{
	switch (*p->at) {
	case '\\':
		add_part(p, size_of_escape(p));
		break;
	case '[':
		add_part(p, size_of_class(p));
		break;
	case '(':
		open_group(p);
		break;
	case ')':
		close_group(p);
		break;
	case '{':
		parse_repetition(p);
		break;
	case '*':
	case '+':
	case '?':
		p->last = at_most(p->last + 1);
		p->at++;
		break;
	default:
		add_part(p, *p->at == '.' ? OF_ANY : 1);
		p->at++;
	}
}

static uint64_t steps_of_regex(const char *text)
{
	struct parse p = {.at = text};
	uint64_t size = 0, steps;

	while (*p.at)
		parse_part(&p);
	add_part(&p, 0);
	for (uint32_t i = 0; i <= p.depth; i++)
		size += p.sum[i];
	steps = at_most(size * (p.folds ? FOLDED : 1)) * STEPS_OF_INSTRUCTION;
	return MT_MAX(steps, STEPS_OF_REGEX);
}

/* ---- rules ----------------------------------------------------------------------------------- */

static uint64_t bytes_of(const struct mt_text *t)
{
	return t->s ? strlen(t->s) : 0;
}

uint64_t mt_b_steps_of_conds(const struct mt_rule_match *m)
{
	uint64_t steps = 0, bytes = 0;

	for (uint32_t i = 0; i < m->n_conds; i++) {
		const struct mt_cond *c = &m->conds[i];

		steps += c->op == MT_COND_REGEX && c->value.s ? steps_of_regex(c->value.s) : 1;
		bytes += bytes_of(&c->key) + bytes_of(&c->value);
	}
	return steps + bytes / BYTES_OF_STEP;
}

uint64_t mt_b_steps_of_headers(const struct mt_client_selector *s)
{
	uint64_t steps = 0, bytes = 0;

	for (uint32_t i = 0; i < s->n_headers; i++) {
		const struct mt_select_header *h = &s->headers[i];

		steps += h->type.v == MT_SELECT_REGEX ? steps_of_regex(h->value.s) : 1;
		bytes += bytes_of(&h->name) + bytes_of(&h->value);
	}
	return steps + bytes / BYTES_OF_STEP;
}

static uint64_t bytes_of_mutations(const struct mt_rule_mutation *v, uint32_t n)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < n; i++)
		bytes += bytes_of(&v[i].key) + bytes_of(&v[i].value);
	return bytes;
}

/* Each match is a route with all texts of the rule. */
uint64_t mt_b_steps_of_rule(const struct mt_rule *r)
{
	uint64_t n = MT_MAX(r->n_matches, 1u), steps, bytes;

	bytes = bytes_of(&r->name) + bytes_of_mutations(r->req_mut, r->n_req_mut) +
		bytes_of_mutations(r->rsp_mut, r->n_rsp_mut);
	for (uint32_t i = 0; i < r->n_hash_keys; i++)
		bytes += bytes_of(&r->hash_keys[i]);
	steps = n * (MT_STEPS_OF_ROUTE + (uint64_t)r->n_dests + r->n_mirrors + r->n_req_mut +
			    r->n_rsp_mut + r->n_hash_keys + bytes / BYTES_OF_STEP);
	for (uint32_t i = 0; i < r->n_matches; i++)
		steps += mt_b_steps_of_conds(&r->matches[i]);
	return steps;
}

/* ---- checks ---------------------------------------------------------------------------------- */

static uint64_t steps_of_check(const struct mt_rule_match *m)
{
	uint64_t steps = 0;

	for (uint32_t i = 0; i < m->n_conds; i++)
		if (m->conds[i].op == MT_COND_REGEX && m->conds[i].value.s)
			steps += steps_of_regex(m->conds[i].value.s);
	return steps;
}

static void want_list(
	struct mt_build *b, const struct mt_meta *meta, const struct mt_rule_list *list)
{
	uint64_t steps = 0;

	for (uint32_t i = 0; i < list->n_rules; i++)
		for (uint32_t k = 0; k < list->rules[i].n_matches; k++)
			steps += steps_of_check(&list->rules[i].matches[k]);
	mt_b_want(b, MT_WORK_STEPS, meta, steps, CHECKS_REMEDY);
}

static void want_limits(struct mt_build *b, const struct mt_meta *meta,
	const struct mt_limit_conf *l, const struct mt_global_conf *g)
{
	uint64_t steps = g && g->match ? steps_of_check(g->match) : 0;

	for (uint32_t i = 0; l && i < l->n_conds; i++)
		steps += steps_of_check(l->conds[i].match);
	mt_b_want(b, MT_WORK_STEPS, meta, steps, CHECKS_REMEDY);
}

void mt_b_want_checks(struct mt_build *b)
{
	const struct mt_model *m = b->model;

	for (uint32_t i = 0; i < m->virtual_services.n; i++) {
		const struct mt_virtual_service *vs = m->virtual_services.v[i];

		for (uint32_t k = 0; k < vs->n_lists; k++)
			want_list(b, &vs->meta, &vs->lists[k]);
	}
	for (uint32_t i = 0; i < m->meta_routers.n; i++) {
		const struct mt_meta_router *mr = m->meta_routers.v[i];

		want_list(b, &mr->meta, &mr->routes);
		want_limits(b, &mr->meta, mr->limit, mr->global);
	}
	for (uint32_t i = 0; i < m->envoy_filters.n; i++) {
		const struct mt_envoy_filter *ef = m->envoy_filters.v[i];

		for (uint32_t k = 0; k < ef->n_patches; k++) {
			want_list(b, &ef->meta, &ef->patches[k].routes);
			want_limits(b, &ef->meta, ef->patches[k].limit, NULL);
		}
	}
}
