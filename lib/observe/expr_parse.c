/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parses expressions by recursive descent into postfix:
 *
 *    or = and { "or" and }    and = not { ["and"] not }    not = "not" not | "(" or ")" | condition
 *    condition = ( field | "." key ) ("=" | "!=" | "~" | "<" | "<=" | ">" | ">=") value
 */
#include "mt_expr.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct parser {
	struct mt_expr *x;
	const char *at;
	const struct mt_expr_names *names;
	struct mt_err *e;
	uint32_t depth;
	const struct mt_expr_name *name; /* of the condition */
	struct mt_expr_name key;	 /* for `name`, if it is `.KEY` */
};

static const struct {
	const char *sign;
	enum mt_expr_cmp cmp;
} signs[] = {{"!=", MT_EXPR_NE}, {"<=", MT_EXPR_LE}, {">=", MT_EXPR_GE}, {"=", MT_EXPR_EQ},
	{"~", MT_EXPR_HAS}, {"<", MT_EXPR_LT}, {">", MT_EXPR_GT}};

static int or_list(struct parser *p);

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static void skip_spaces(struct parser *p)
{
	while (is_space(*p->at))
		p->at++;
}

/* Length of the next word: up to a space, a parenthesis, a quote or a comparison operator. */
static size_t word_len(const struct parser *p)
{
	return strcspn(p->at, " \t()=!<>~\"");
}

static bool is_word(const struct parser *p, const char *word)
{
	size_t n = word_len(p);

	return n == strlen(word) && strncasecmp(p->at, word, n) == 0 &&
	       (!p->at[n] || strchr(" \t()", p->at[n]));
}

static int emit(struct parser *p, uint8_t op)
{
	if (p->x->n_ops == MT_EXPR_OPS)
		return mt_err(p->e, -EINVAL, "the expression is too long");
	p->x->ops[p->x->n_ops++] = op;
	return 0;
}

/* Appends bytes to the expression's texts; *at: their offset. */
static int add_text(struct parser *p, const char *text, size_t len, uint16_t *at)
{
	struct mt_expr *x = p->x;

	if (len > sizeof(x->texts) - x->n_texts)
		return mt_err(p->e, -EINVAL, "the expression's values are longer than %zu bytes",
			sizeof(x->texts));
	*at = x->n_texts;
	memcpy(x->texts + x->n_texts, text, len);
	x->n_texts = (uint16_t)(x->n_texts + len);
	return 0;
}

static int use_key(struct parser *p, uint32_t i)
{
	uint8_t id = (uint8_t)(MT_EXPR_meta0 + i);

	p->key = (struct mt_expr_name){p->x->texts + p->x->keys[i], MT_EXPR_TEXT, id, id};
	p->name = &p->key;
	return 0;
}

/* Finds or adds the field of ".KEY"; a key that was named before keeps its field. */
static int find_key(struct parser *p, size_t len)
{
	struct mt_expr *x = p->x;

	if (len == 1)
		return mt_err(
			p->e, -EINVAL, "`.` needs a key of metadata after it, as in .user=Jason");
	for (uint32_t i = 0; i < x->n_keys; i++)
		if (strlen(mt_expr_key(x, i)) == len - 1 &&
			memcmp(mt_expr_key(x, i), p->at + 1, len - 1) == 0)
			return use_key(p, i);
	if (x->n_keys == MT_EXPR_KEYS)
		return mt_err(p->e, -EINVAL, "more than %d keys of metadata", MT_EXPR_KEYS);
	if (add_text(p, p->at, len, &x->keys[x->n_keys]) < 0 ||
		add_text(p, "", 1, &(uint16_t){0}) < 0)
		return -EINVAL;
	return use_key(p, x->n_keys++);
}

static int find_name(struct parser *p, size_t len)
{
	if (*p->at == '.' && p->names->keys)
		return find_key(p, len);
	p->name = mt_expr_name_find(p->names, p->at, len, p->e);
	return p->name ? 0 : -EINVAL;
}

static int check_sign(const struct parser *p, enum mt_expr_cmp cmp)
{
	switch (p->name->type) {
	case MT_EXPR_ADDR:
	case MT_EXPR_BOOL:
		if (cmp <= MT_EXPR_NE)
			return 0;
		return mt_err(p->e, -EINVAL, "`%s` compares by = and != only", p->name->name);
	case MT_EXPR_NUMBER:
	case MT_EXPR_TIME:
		if (cmp != MT_EXPR_HAS)
			return 0;
		return mt_err(
			p->e, -EINVAL, "`%s` compares by = != < <= > and >= only", p->name->name);
	default:
		return 0;
	}
}

static int find_sign(struct parser *p, struct mt_expr_term *t)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(signs); i++) {
		size_t n = strlen(signs[i].sign);

		if (strncmp(p->at, signs[i].sign, n) != 0)
			continue;
		p->at += n;
		if (*p->at == '=')
			return mt_err(p->e, -EINVAL,
				"`%s=` is not an operator: `%s`; a value that starts with = needs "
				"quotes",
				signs[i].sign, signs[i].sign);
		t->cmp = signs[i].cmp;
		return check_sign(p, signs[i].cmp);
	}
	return mt_err(p->e, -EINVAL, "`%s` needs an operator and a value after it, as in %s=…",
		p->name->name, p->name->name);
}

/* Reads a bare or quoted value and advances past it. */
static int take_value(struct parser *p, const char **value, size_t *len)
{
	const char *end;

	skip_spaces(p);
	if (*p->at == '"') {
		end = strchr(++p->at, '"');
		if (!end)
			return mt_err(
				p->e, -EINVAL, "the quote before `%.40s` is not closed", p->at);
		*value = p->at;
		*len = (size_t)(end - p->at);
		p->at = end + 1;
		return 0;
	}
	*value = p->at;
	*len = strcspn(p->at, " \t()");
	p->at += *len;
	return 0;
}

static int parse_addr(struct parser *p, struct mt_expr_term *t, const char *word)
{
	t->type = MT_VALUE_ADDR;
	if (mt_prefix_parse(word, &t->addr, &t->prefix) == 0)
		return 0;
	return mt_err(p->e, -EINVAL,
		"%s: `%s` is neither an address nor a network; 192.0.2.1, 10.0.0.0/8, "
		"2001:db8::/32",
		p->name->name, word);
}

static bool unit_of(const char *unit, bool is_time, int64_t *factor)
{
	static const struct {
		const char *unit;
		bool is_time;
		int64_t factor;
	} rows[] = {{"ns", true, 1}, {"us", true, MT_USEC}, {"ms", true, MT_MSEC},
		{"s", true, MT_SEC}, {"", false, 1}, {"k", false, 1000}, {"m", false, 1000000},
		{"g", false, 1000000000}, {"ki", false, 1 << 10}, {"mi", false, 1 << 20},
		{"gi", false, 1 << 30}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		if (rows[i].is_time == is_time && strcasecmp(rows[i].unit, unit) == 0) {
			*factor = rows[i].factor;
			return true;
		}
	return false;
}

/* Parses "1500", "-3", "1.5k", "64Ki", "1e6" or, for times, "20ms"; false: it is neither. */
static bool scan_number(struct mt_expr_term *t, const char *word, bool is_time)
{
	size_t sign = *word == '-';
	int64_t factor, n;
	char *whole, *end;
	double real;

	if (!isdigit((unsigned char)word[sign]) || strpbrk(word, "xXpP"))
		return false;
	errno = 0;
	n = strtoll(word, &whole, 10);
	real = strtod(word, &end);
	if (!unit_of(end, is_time, &factor) || !isfinite(real))
		return false;
	if (whole == end) {
		t->type = MT_VALUE_INT;
		return errno == 0 && !__builtin_mul_overflow(n, factor, &t->number);
	}
	real *= (double)factor;
	t->type = is_time || real == rint(real) ? MT_VALUE_INT : MT_VALUE_NUMBER;
	if (t->type == MT_VALUE_NUMBER)
		t->real = real;
	else if (fabs(real) < 0x1p62)
		t->number = (int64_t)real;
	else
		return false;
	return true;
}

static int parse_number(struct parser *p, struct mt_expr_term *t, const char *word)
{
	bool is_time = p->name->type == MT_EXPR_TIME;

	if (scan_number(t, word, is_time))
		return 0;
	return mt_err(p->e, -EINVAL, "%s: `%s` is not a %s", p->name->name, word,
		is_time ? "time; 500us, 20ms, 3s" : "number; 1500, 64k, 2Mi");
}

static int parse_bool(struct parser *p, struct mt_expr_term *t, const char *word)
{
	t->type = MT_VALUE_BOOL;
	t->yes = strcasecmp(word, "yes") == 0 || strcasecmp(word, "true") == 0;
	if (t->yes || strcasecmp(word, "no") == 0 || strcasecmp(word, "false") == 0)
		return 0;
	return mt_err(p->e, -EINVAL, "%s: `%s` is not yes or no", p->name->name, word);
}

static int set_value(struct parser *p, struct mt_expr_term *t, const char *value, size_t len)
{
	char word[64];

	if (p->name->type == MT_EXPR_TEXT || p->name->type == MT_EXPR_ANY) {
		t->type = MT_VALUE_TEXT;
		t->len = (uint16_t)len;
		return add_text(p, value, len, &t->text);
	}
	if (len == 1 && *value == '-' && t->cmp <= MT_EXPR_NE) {
		t->type = MT_VALUE_ABSENT;
		return 0;
	}
	snprintf(word, sizeof(word), "%.*s", (int)MT_MIN(len, sizeof(word) - 1), value);
	if (len >= sizeof(word))
		return mt_err(p->e, -EINVAL, "%s: `%s…` is too long", p->name->name, word);
	if (p->name->type == MT_EXPR_ADDR)
		return parse_addr(p, t, word);
	if (p->name->type == MT_EXPR_BOOL)
		return parse_bool(p, t, word);
	return parse_number(p, t, word);
}

static int add_term(struct parser *p, const struct mt_expr_term *t, uint8_t id)
{
	struct mt_expr *x = p->x;

	if (x->n_terms == MT_EXPR_TERMS)
		return mt_err(p->e, -EINVAL, "more than %d conditions", MT_EXPR_TERMS);
	x->terms[x->n_terms] = *t;
	x->terms[x->n_terms].field = id;
	return emit(p, x->n_terms++);
}

static int condition(struct parser *p)
{
	struct mt_expr_term t = {0};
	size_t len = word_len(p), value_len = 0;
	const char *value = NULL;
	int rc = find_name(p, len);

	if (rc)
		return rc;
	p->at += len;
	skip_spaces(p);
	rc = find_sign(p, &t);
	if (rc == 0)
		rc = take_value(p, &value, &value_len);
	if (rc)
		return rc;
	if (value_len == 0 && p->at[-1] != '"')
		return mt_err(p->e, -EINVAL,
			"`%s` needs a value after its operator; \"\" is empty text", p->name->name);
	rc = set_value(p, &t, value, value_len);
	if (rc == 0)
		rc = add_term(p, &t, p->name->id);
	if (rc || p->name->also == p->name->id)
		return rc;
	rc = add_term(p, &t, p->name->also);
	return rc ? rc
		  : emit(p, t.cmp == MT_EXPR_EQ || t.cmp == MT_EXPR_HAS ? MT_EXPR_OP_OR
									: MT_EXPR_OP_AND);
}

static int group(struct parser *p)
{
	int rc;

	p->at++;
	rc = or_list(p);
	if (rc)
		return rc;
	skip_spaces(p);
	if (*p->at != ')')
		return mt_err(p->e, -EINVAL, "a parenthesis is not closed");
	p->at++;
	return 0;
}

static int not_one(struct parser *p)
{
	int rc;

	skip_spaces(p);
	if (!*p->at || *p->at == ')')
		return mt_err(p->e, -EINVAL, "a condition is missing %s",
			*p->at ? "before `)`" : "at the end");
	if (p->depth == MT_EXPR_DEPTH)
		return mt_err(p->e, -EINVAL, "nested deeper than %d", MT_EXPR_DEPTH);
	p->depth++;
	if (is_word(p, "not")) {
		p->at += 3;
		rc = not_one(p);
		if (rc == 0)
			rc = emit(p, MT_EXPR_OP_NOT);
	} else {
		rc = *p->at == '(' ? group(p) : condition(p);
	}
	p->depth--;
	return rc;
}

static int and_list(struct parser *p)
{
	int rc = not_one(p);

	while (rc == 0) {
		skip_spaces(p);
		if (!*p->at || *p->at == ')' || is_word(p, "or"))
			return 0;
		if (is_word(p, "and"))
			p->at += 3;
		rc = not_one(p);
		if (rc == 0)
			rc = emit(p, MT_EXPR_OP_AND);
	}
	return rc;
}

static int or_list(struct parser *p)
{
	int rc = and_list(p);

	while (rc == 0) {
		skip_spaces(p);
		if (!is_word(p, "or"))
			return 0;
		p->at += 2;
		rc = and_list(p);
		if (rc == 0)
			rc = emit(p, MT_EXPR_OP_OR);
	}
	return rc;
}

int mt_expr_parse(
	struct mt_expr *x, const char *text, const struct mt_expr_names *names, struct mt_err *e)
{
	struct parser p = {.x = x, .at = text, .names = names, .e = e};
	int rc;

	memset(x, 0, sizeof(*x));
	skip_spaces(&p);
	if (!*p.at)
		return 0;
	rc = or_list(&p);
	if (rc)
		return rc;
	if (*p.at)
		return mt_err(e, -EINVAL, "`)` closes nothing");
	return 0;
}

int mt_expr_compile(struct mt_expr *x, const char *text, uint64_t allowed, struct mt_err *e)
{
	struct mt_expr_names names;

	mt_expr_names_of_fields(&names, allowed);
	return mt_expr_parse(x, text, &names, e);
}
