/* SPDX-License-Identifier: Apache-2.0 */
/* Makes the index of a set of policies; mt_authz_priv.h describes it. */
#include "mt_authz_priv.h"

#include <string.h>

#define AT_MAX 47  /* largest distance of a probe from the start or end of the text */
#define SAMPLE 64  /* approximate number of rules that are sampled to choose a probe's place */
#define VALUES 256 /* maximum of sampled values in all rules; one condition has at most 16 */

#define ROW_WORDS (MT_AUTHZ_ROWS / 64)

/* The rows of a probe that contain a rule. */
struct rowset {
	uint64_t rows[ROW_WORDS];
	bool shorter, absent;
};

#define ALL_ROWS                                                                                   \
	{                                                                                          \
		UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX                                     \
	}

static const struct rowset everywhere = {ALL_ROWS, true, true}, nowhere = {0};

static struct rowset either(struct rowset a, struct rowset b)
{
	for (uint32_t i = 0; i < ROW_WORDS; i++)
		a.rows[i] |= b.rows[i];
	a.shorter |= b.shorter;
	a.absent |= b.absent;
	return a;
}

static struct rowset both(struct rowset a, struct rowset b)
{
	for (uint32_t i = 0; i < ROW_WORDS; i++)
		a.rows[i] &= b.rows[i];
	a.shorter &= b.shorter;
	a.absent &= b.absent;
	return a;
}

static uint32_t size_of(const struct rowset *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < ROW_WORDS; i++)
		n += (uint32_t)__builtin_popcountll(s->rows[i]);
	return n;
}

/* ---- where a value may be -------------------------------------------------------------------- */

/* Returns the offset of a probe's first byte, for a probe that counts from the start. */
static uint32_t at_of(const struct mt_authz_probe *p)
{
	return p->reach - 2u;
}

static uint32_t at_of_net(const struct mt_authz_probe *p)
{
	return p->from_end ? (uint32_t)sizeof(struct mt_addr) - p->reach : at_of(p);
}

static void add_row(struct rowset *s, const uint8_t two[2])
{
	uint32_t row = mt_authz_row(two);

	s->rows[row / 64] |= UINT64_C(1) << row % 64;
}

static void add_all(struct rowset *s)
{
	*s = either(*s, (struct rowset){.rows = ALL_ROWS});
}

static uint32_t bits_of(const struct mt_authz_value *v)
{
	return v->bits + (mt_addr_is4(&v->net) ? 96u : 0u);
}

/*
 * Adds the rows for a network: all rows if the prefix does not cover the first of the two bytes,
 * otherwise one for each value of the bits that the prefix leaves free in the second byte.
 */
static void add_net(
	struct rowset *s, const struct mt_authz_value *v, const struct mt_authz_probe *p)
{
	uint32_t bits = bits_of(v), at = at_of_net(p), from = 8 * at, free;

	if (bits < from + 8u) {
		add_all(s);
		return;
	}
	free = bits >= from + 16u ? 0 : from + 16u - bits;
	for (uint32_t i = 0; i < 1u << free; i++) {
		uint8_t mask = (uint8_t)(0xff << free);

		add_row(s, (uint8_t[2]){v->net.b[at], (uint8_t)((v->net.b[at + 1] & mask) | i)});
	}
}

/* True if the value determines both bytes of the probe. */
static bool says(const struct mt_authz_value *v, const struct mt_authz_probe *p)
{
	return (v->match == MT_AUTHZ_EXACT ||
		       v->match == (p->from_end ? MT_AUTHZ_SUFFIX : MT_AUTHZ_PREFIX)) &&
	       v->text.len >= p->reach;
}

static const uint8_t *two_of(const struct mt_authz_value *v, const struct mt_authz_probe *p)
{
	return v->text.p + (p->from_end ? v->text.len - p->reach : at_of(p));
}

static void add_text(
	struct rowset *s, const struct mt_authz_value *v, const struct mt_authz_probe *p)
{
	if (says(v, p)) {
		add_row(s, two_of(v, p));
		return;
	}
	s->shorter = true;
	if (v->match != MT_AUTHZ_EXACT)
		add_all(s);
}

/* Adds the rows for value i. */
static void add_value(
	struct rowset *s, const struct mt_authz_cond *w, uint32_t i, const struct mt_authz_probe *p)
{
	if (w->field == MT_AUTHZ_PEER)
		add_net(s, &w->values[i], p);
	else
		add_text(s, &w->values[i], p);
}

/* True if value i has exactly one row. */
static bool is_known(const struct mt_authz_cond *w, uint32_t i, const struct mt_authz_probe *p)
{
	return w->field == MT_AUTHZ_PEER ? bits_of(&w->values[i]) >= 8 * at_of_net(p) + 16
					 : says(&w->values[i], p);
}

/* ---- where a rule may be --------------------------------------------------------------------- */

/*
 * True if both keys have the same name, even if only one of them ignores case. Then rules with
 * either key share a field. A key that ignores case is in lower case and finds at least the entries
 * that the exact key finds. If it finds an entry that the exact key does not, no rule is lost,
 * because each row of a value contains the rules of the row for an absent key.
 */
static bool same_letters(const struct mt_key *a, const struct mt_key *b)
{
	return a->id == b->id && a->len == b->len && memcmp(a->name, b->name, a->len) == 0;
}

static bool asks(const struct mt_authz_cond *w, const struct mt_authz_index_field *f)
{
	return w->field == f->field &&
	       (w->field != MT_AUTHZ_METADATA || same_letters(&w->key, &f->key));
}

/*
 * Returns the rows for a condition. `nots` remove no row, because two bytes cannot prove that
 * `nots` exclude a text.
 */
static struct rowset of_cond(const struct mt_authz_cond *w, const struct mt_authz_probe *p)
{
	struct rowset s = nowhere;

	if (!w->n_values)
		return everywhere;
	for (uint32_t i = 0; i < w->n_values; i++)
		add_value(&s, w, i, p);
	return s;
}

static struct rowset of_conds(const struct mt_authz_conds *l, const struct mt_authz_index_field *f,
	const struct mt_authz_probe *p)
{
	struct rowset s = everywhere;

	for (uint32_t i = 0; i < l->n; i++)
		if (asks(&l->v[i], f))
			s = both(s, of_cond(&l->v[i], p));
	return s;
}

static struct rowset of_one(const struct mt_authz_conds *l, uint32_t n,
	const struct mt_authz_index_field *f, const struct mt_authz_probe *p)
{
	struct rowset s = n ? nowhere : everywhere;

	for (uint32_t i = 0; i < n; i++)
		s = either(s, of_conds(&l[i], f, p));
	return s;
}

static struct rowset of_rule(const struct mt_authz_rule *r, const struct mt_authz_index_field *f,
	const struct mt_authz_probe *p)
{
	return both(of_conds(&r->when, f, p),
		both(of_one(r->from, r->n_from, f, p), of_one(r->to, r->n_to, f, p)));
}

/* ---- which probes ---------------------------------------------------------------------------- */

static void for_each(const struct mt_authz_rule *r,
	void (*take)(void *arg, const struct mt_authz_cond *w), void *arg)
{
	for (uint32_t i = 0; i < r->when.n; i++)
		take(arg, &r->when.v[i]);
	for (uint32_t k = 0; k < r->n_from; k++)
		for (uint32_t i = 0; i < r->from[k].n; i++)
			take(arg, &r->from[k].v[i]);
	for (uint32_t k = 0; k < r->n_to; k++)
		for (uint32_t i = 0; i < r->to[k].n; i++)
			take(arg, &r->to[k].v[i]);
}

/*
 * The rows that the sampled values of all rules use, and the numbers of these values and of those
 * with a known row.
 */
struct spread {
	const struct mt_authz_index_field *f;
	const struct mt_authz_probe *p;
	struct rowset rows;
	uint32_t values, known;
};

static void spread(void *arg, const struct mt_authz_cond *w)
{
	const uint32_t step = w->n_values / 16 + 1;
	struct spread *s = arg;

	if (!asks(w, s->f))
		return;
	for (uint32_t i = 0; i < w->n_values && s->values < VALUES; i += step) {
		s->values++;
		if (!is_known(w, i, s->p))
			continue;
		add_value(&s->rows, w, i, s->p);
		s->known++;
	}
}

static uint32_t askers(const struct mt_authz_index *x, const struct mt_authz_index_field *f)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < x->words; i++)
		n += (uint32_t)__builtin_popcountll(f->asked_by[i]);
	return n;
}

/*
 * Samples the rules with a condition on the field. A sample is enough, because it decides only the
 * probe's place and affects no decision about a call.
 */
static struct spread spread_of(const struct mt_authz_index *x, const struct mt_authz_index_field *f,
	const struct mt_authz_probe *p)
{
	const uint32_t step = askers(x, f) / SAMPLE + 1;
	struct spread s = {.f = f, .p = p};
	uint32_t at = 0;

	for (uint32_t k = 0; k < x->n_rules && s.values < VALUES; k++)
		if ((f->asked_by[k / 64] >> k % 64 & 1) && at++ % step == 0)
			for_each(x->rules[k].rule, spread, &s);
	return s;
}

/*
 * True if one probe is enough: each value has one row, and the values use at least half as many
 * rows as there are values (counted up to 128).
 */
static bool tells_apart(const struct mt_authz_index *x, const struct mt_authz_index_field *f,
	const struct mt_authz_probe *p)
{
	struct spread s = spread_of(x, f, p);

	return s.known == s.values && size_of(&s.rows) * 2 >= MT_MIN(s.values, MT_AUTHZ_ROWS / 2u);
}

/*
 * Places the probe where values differ most. Returns false if no value has a known row at this end
 * of the text.
 */
static bool choose_place(const struct mt_authz_index *x, const struct mt_authz_index_field *f,
	struct mt_authz_probe *p, uint32_t not_reach)
{
	const int last = f->field == MT_AUTHZ_PEER ? (int)sizeof(struct mt_addr) - 2 : AT_MAX;
	uint32_t best = 0;

	for (int i = 0; i <= last; i++) {
		struct mt_authz_probe here = {.reach = (uint16_t)(i + 2), .from_end = p->from_end};
		struct spread s = spread_of(x, f, &here);

		if (here.reach == not_reach || size_of(&s.rows) <= best)
			continue;
		best = size_of(&s.rows);
		p->reach = here.reach;
		if (best * 8 >= MT_MIN(s.values, MT_AUTHZ_ROWS / 2u) * 7)
			break;
	}
	return best > 0;
}

static bool fill(struct mt_region *r, const struct mt_authz_index *x,
	const struct mt_authz_index_field *f, struct mt_authz_probe *p)
{
	uint64_t *rows = mt_region_alloc(r, sizeof(*rows) * MT_AUTHZ_ROWS_ALL * x->words);

	if (!rows)
		return false;
	for (uint32_t k = 0; k < x->n_rules; k++) {
		struct rowset s = of_rule(x->rules[k].rule, f, p);
		uint64_t *word = rows + k / 64, bit = UINT64_C(1) << k % 64;

		for (uint32_t i = 0; i < MT_AUTHZ_ROWS; i++)
			word[i * x->words] |= s.rows[i / 64] >> i % 64 & 1 ? bit : 0;
		word[MT_AUTHZ_ROW_SHORT * x->words] |= s.shorter ? bit : 0;
		word[MT_AUTHZ_ROW_ABSENT * x->words] |= s.absent ? bit : 0;
	}
	p->rows = rows;
	return true;
}

/*
 * Chooses and fills the probes of a field. A field with probes always has one at the start of the
 * value, even if values differ only at the end.
 */
static bool choose_probes(
	struct mt_region *r, const struct mt_authz_index *x, struct mt_authz_index_field *f)
{
	struct mt_authz_probe *begin = &f->begin, *end = &f->end;
	bool at_begin, at_end;
	uint32_t same;

	*begin = (struct mt_authz_probe){.reach = 2};
	*end = (struct mt_authz_probe){.reach = 2, .from_end = true};
	at_begin = choose_place(x, f, begin, 0);
	/*
	 * Exclude the bytes of the first probe. All addresses have the same length, so a probe from
	 * the end could choose the same bytes.
	 */
	same = f->field == MT_AUTHZ_PEER ? (uint32_t)sizeof(struct mt_addr) + 2 - begin->reach : 0;
	at_end = !(at_begin && tells_apart(x, f, begin)) && choose_place(x, f, end, same);
	if ((at_begin || at_end) && !fill(r, x, f, begin))
		return false;
	return !at_end || fill(r, x, f, end);
}

/* ---- which fields ---------------------------------------------------------------------------- */

struct asked {
	struct mt_authz_index_field f;
	bool by;    /* the current rule has a condition on the field, with values */
	bool icase; /* a condition ignores the case of the key */
};

static void is_asked(void *arg, const struct mt_authz_cond *w)
{
	struct asked *a = arg;

	if (!asks(w, &a->f) || !w->n_values)
		return;
	a->by = true;
	a->icase |= w->key.icase;
}

static bool add_field(struct mt_region *r, struct mt_authz_index *x, struct asked *a)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < x->n_rules; k++) {
		a->by = false;
		for_each(x->rules[k].rule, is_asked, a);
		a->f.asked_by[k / 64] |= (uint64_t)a->by << k % 64;
		n += a->by;
	}
	if (n < MT_AUTHZ_FEW || x->n_fields == MT_AUTHZ_INDEX_FIELDS)
		return true;
	a->f.key.icase = a->icase;
	if (!choose_probes(r, x, &a->f))
		return false;
	if (a->f.begin.rows)
		x->fields[x->n_fields++] = a->f;
	return true;
}

/* State of the search for the next metadata key. */
struct keys {
	const struct mt_authz_index *x;
	struct mt_key tried[2 * MT_AUTHZ_INDEX_FIELDS], next;
	uint32_t n;
};

static void find_key(void *arg, const struct mt_authz_cond *w)
{
	struct keys *k = arg;

	if (w->field != MT_AUTHZ_METADATA || k->next.name)
		return;
	for (uint32_t i = 0; i < k->n; i++)
		if (same_letters(&k->tried[i], &w->key))
			return;
	k->next = w->key;
}

static bool add_keys(struct mt_region *r, struct mt_authz_index *x)
{
	struct keys keys = {.x = x};

	while (keys.n < MT_ARRAY_LEN(keys.tried)) {
		struct asked a = {.f = {.field = MT_AUTHZ_METADATA}};

		keys.next = (struct mt_key){0};
		for (uint32_t k = 0; k < x->n_rules && !keys.next.name; k++)
			for_each(x->rules[k].rule, find_key, &keys);
		if (!keys.next.name)
			return true;
		a.f.key = keys.tried[keys.n++] = keys.next;
		if (!add_field(r, x, &a))
			return false;
	}
	return true;
}

/*
 * Returns the rule's only condition, if it is on PEER or METADATA and has one value and no `nots`;
 * otherwise NULL.
 */
static const struct mt_authz_cond *only_of(const struct mt_authz_rule *r)
{
	const struct mt_authz_conds *l = r->when.n ? &r->when : r->n_from ? r->from : r->to;
	const struct mt_authz_cond *w = l ? l->v : NULL;

	if ((r->when.n > 0) + r->n_from + r->n_to != 1 || l->n != 1 || w->n_values != 1 ||
		w->n_nots)
		return NULL;
	return w->field == MT_AUTHZ_PEER || w->field == MT_AUTHZ_METADATA ? w : NULL;
}

static const struct mt_authz_index_field *field_of(
	const struct mt_authz_index *x, const struct mt_authz_cond *w)
{
	for (uint32_t i = 0; i < x->n_fields; i++)
		if (asks(w, &x->fields[i]))
			return &x->fields[i];
	return NULL;
}

/* Decides if the rule can be evaluated with the value that the index has read, and how. */
static void set_only(const struct mt_authz_index *x, struct mt_authz_indexed *i)
{
	const struct mt_authz_cond *w = only_of(i->rule);
	const struct mt_authz_index_field *f = w ? field_of(x, w) : NULL;

	if (!w || (w->field == MT_AUTHZ_METADATA && !f))
		return;
	i->value = w->values;
	i->text = w->values->text;
	i->key = f ? &f->key : NULL;
	i->only = w->field == MT_AUTHZ_PEER	       ? MT_AUTHZ_ONLY_PEER
		  : w->values->match == MT_AUTHZ_EXACT ? MT_AUTHZ_ONLY_EXACT
						       : MT_AUTHZ_ONLY_KEPT;
}

static void number_rules(struct mt_authz_indexed *to, const struct mt_authz *a)
{
	for (uint32_t i = 0; i < a->n_deny + a->n_allow; i++) {
		const struct mt_authz_policy *p =
			i < a->n_deny ? a->deny[i] : a->allow[i - a->n_deny];

		for (uint32_t k = 0; k < p->n_rules; k++)
			*to++ = (struct mt_authz_indexed){.rule = &p->rules[k],
				.policy = p,
				.denies = p->action != MT_AUTHZ_ALLOW};
	}
}

static uint32_t count(const struct mt_authz *a)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->n_deny; i++)
		n += a->deny[i]->n_rules;
	for (uint32_t i = 0; i < a->n_allow; i++)
		n += a->allow[i]->n_rules;
	return n;
}

static bool add_fields(struct mt_region *r, struct mt_authz_index *x)
{
	static const uint8_t fields[] = {MT_AUTHZ_PEER, MT_AUTHZ_PRINCIPAL, MT_AUTHZ_NAMESPACE,
		MT_AUTHZ_ACCOUNT, MT_AUTHZ_SNI, MT_AUTHZ_METHOD, MT_AUTHZ_INTERFACE, MT_AUTHZ_PATH};

	for (size_t i = 0; i < MT_ARRAY_LEN(fields); i++)
		if (!add_field(r, x, &(struct asked){.f = {.field = fields[i]}}))
			return false;
	if (!add_keys(r, x))
		return false;
	x->fields[x->n_fields].field = MT_AUTHZ_UNKNOWN;
	return true;
}

const struct mt_authz_index *mt_authz_index_new(struct mt_region *r, const struct mt_authz *a)
{
	uint32_t n = count(a), words = (n + 63) / 64;
	struct mt_authz_indexed *rules;
	struct mt_authz_index *x;

	if (n < MT_AUTHZ_INDEX_MIN || n > 64 * MT_AUTHZ_INDEX_WORDS)
		return NULL;
	x = mt_region_alloc(r, sizeof(*x));
	rules = mt_region_alloc(r, sizeof(*rules) * n);
	if (!x || !rules)
		return NULL;
	number_rules(rules, a);
	*x = (struct mt_authz_index){.words = words, .n_rules = n, .rules = rules};
	if (!add_fields(r, x) || !x->n_fields)
		return NULL;
	for (uint32_t k = 0; k < n; k++) {
		x->all[k / 64] |= UINT64_C(1) << k % 64;
		set_only(x, &rules[k]);
	}
	return x;
}
