/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles expressions by recursive descent into postfix:
 *
 *    or = and { "or" and }    and = not { ["and"] not }    not = "not" not | "(" or ")" | condition
 *    condition = ( field | "." key ) ("=" | "!=" | "<" | "<=" | ">" | ">=") value
 */
#include "mt_expr.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

struct parser {
	struct mt_expr *x;
	const char *at;
	uint64_t allowed;
	struct mt_err *e;
	uint32_t depth;
	const char *field; /* field of the condition, as written */
	int field_len;
};

static const struct {
	const char *sign;
	enum mt_expr_cmp cmp;
} signs[] = {{"!=", MT_EXPR_NE}, {"<=", MT_EXPR_LE}, {">=", MT_EXPR_GE}, {"=", MT_EXPR_EQ},
	{"<", MT_EXPR_LT}, {">", MT_EXPR_GT}};

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
	return strcspn(p->at, " \t()=!<>\"");
}

static bool is_word(const struct parser *p, const char *word)
{
	size_t n = word_len(p);

	return n == strlen(word) && strncasecmp(p->at, word, n) == 0 &&
	       (!p->at[n] || strchr(" \t()", p->at[n]));
}

/* Names of the allowed fields, with commas between them. */
static const char *names(uint64_t allowed, char *buf, size_t size)
{
	size_t n = 0;

	buf[0] = '\0';
	for (uint32_t f = 0; f <= MT_EXPR_meta0; f++)
		if (allowed >> f & 1 && n < size)
			n += (size_t)snprintf(buf + n, size - n, "%s%s", n ? ", " : "",
				f == MT_EXPR_meta0 ? ".KEY" : mt_expr_fields[f].name);
	return buf;
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

/* Finds or adds the field of ".KEY"; a key that was named before keeps its field. */
static int find_key(struct parser *p, size_t len, enum mt_expr_field *field)
{
	const char *key = p->at + 1;
	struct mt_expr *x = p->x;
	char buf[320];
	int rc;

	if (!(p->allowed & MT_EXPR_BIT(meta0)))
		return mt_err(p->e, -EINVAL, "`%.*s`: metadata cannot be used here; fields are: %s",
			(int)MT_MIN(len, 40u), p->at, names(p->allowed, buf, sizeof(buf)));
	if (len == 1)
		return mt_err(
			p->e, -EINVAL, "`.` needs a key of metadata after it, as in .user=Jason");
	for (uint32_t i = 0; i < x->n_keys; i++)
		if (strlen(mt_expr_key(x, i)) == len - 1 &&
			memcmp(mt_expr_key(x, i), key, len - 1) == 0) {
			*field = MT_EXPR_meta0 + i;
			return 0;
		}
	if (x->n_keys == MT_EXPR_KEYS)
		return mt_err(p->e, -EINVAL, "more than %d keys of metadata", MT_EXPR_KEYS);
	rc = add_text(p, key, len - 1, &x->keys[x->n_keys]);
	if (rc == 0)
		rc = add_text(p, "", 1, &(uint16_t){0});
	*field = MT_EXPR_meta0 + x->n_keys++;
	return rc;
}

static int find_field(struct parser *p, size_t len, enum mt_expr_field *field)
{
	char buf[320];

	if (*p->at == '.')
		return find_key(p, len, field);
	for (uint32_t f = 0; f < MT_EXPR_meta0; f++) {
		if (strlen(mt_expr_fields[f].name) != len ||
			strncasecmp(mt_expr_fields[f].name, p->at, len) != 0)
			continue;
		*field = f;
		if (p->allowed >> f & 1)
			return 0;
		return mt_err(p->e, -EINVAL, "`%.*s` cannot be used here; fields are: %s", (int)len,
			p->at, names(p->allowed, buf, sizeof(buf)));
	}
	return mt_err(p->e, -EINVAL, "`%.*s` is not a field; fields are: %s", (int)MT_MIN(len, 40u),
		p->at, names(p->allowed, buf, sizeof(buf)));
}

static int find_sign(struct parser *p, size_t word, struct mt_expr_term *t)
{
	char buf[320];

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
		if (t->cmp <= MT_EXPR_NE || mt_expr_fields[t->field].type == MT_EXPR_NUMBER ||
			mt_expr_fields[t->field].type == MT_EXPR_TIME)
			return 0;
		return mt_err(
			p->e, -EINVAL, "`%.*s` compares by = and != only", p->field_len, p->field);
	}
	return mt_err(p->e, -EINVAL,
		"`%.*s` needs an operator and a value after it, as in %.*s=…; fields are: %s",
		p->field_len, p->field, p->field_len, p->field,
		names(p->allowed, buf, sizeof(buf)));
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
	if (mt_prefix_parse(word, &t->addr, &t->prefix) == 0)
		return 0;
	return mt_err(p->e, -EINVAL,
		"%s: `%s` is neither an address nor a network; 192.0.2.1, 10.0.0.0/8, "
		"2001:db8::/32",
		mt_expr_fields[t->field].name, word);
}

static bool unit_of(const char *unit, bool is_time, uint64_t *factor)
{
	static const struct {
		const char *unit;
		bool is_time;
		uint64_t factor;
	} rows[] = {{"ns", true, 1}, {"us", true, MT_USEC}, {"ms", true, MT_MSEC},
		{"s", true, MT_SEC}, {"", false, 1}, {"k", false, 1u << 10}, {"m", false, 1u << 20},
		{"g", false, 1u << 30}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		if (rows[i].is_time == is_time && strcasecmp(rows[i].unit, unit) == 0) {
			*factor = rows[i].factor;
			return true;
		}
	return false;
}

static int parse_number(struct parser *p, struct mt_expr_term *t, const char *word)
{
	bool is_time = mt_expr_fields[t->field].type == MT_EXPR_TIME;
	size_t digits = strspn(word, "0123456789");
	uint64_t factor, n = 0;

	for (size_t i = 0; i < digits && i < 10; i++)
		n = n * 10 + (uint64_t)(word[i] - '0');
	if (digits && digits <= 10 && unit_of(word + digits, is_time, &factor)) {
		t->number = n * factor;
		return 0;
	}
	return mt_err(p->e, -EINVAL, "%s: `%s` is not a %s", mt_expr_fields[t->field].name, word,
		is_time ? "time; 500us, 20ms, 3s" : "number; 1500, 64k, 2m");
}

static int set_value(struct parser *p, struct mt_expr_term *t, const char *value, size_t len)
{
	char word[64];

	if (mt_expr_fields[t->field].type == MT_EXPR_TEXT) {
		t->len = (uint16_t)len;
		return add_text(p, value, len, &t->text);
	}
	snprintf(word, sizeof(word), "%.*s", (int)MT_MIN(len, sizeof(word) - 1), value);
	if (len >= sizeof(word))
		return mt_err(p->e, -EINVAL, "%s: `%s…` is too long", mt_expr_fields[t->field].name,
			word);
	if (mt_expr_fields[t->field].type == MT_EXPR_ADDR)
		return parse_addr(p, t, word);
	return parse_number(p, t, word);
}

static int condition(struct parser *p)
{
	struct mt_expr_term t = {0};
	size_t len = word_len(p), value_len = 0;
	enum mt_expr_field field = 0;
	const char *value = NULL;
	int rc;

	if (p->x->n_terms == MT_EXPR_TERMS)
		return mt_err(p->e, -EINVAL, "more than %d conditions", MT_EXPR_TERMS);
	p->field = p->at;
	p->field_len = (int)MT_MIN(len, 80u);
	rc = find_field(p, len, &field);
	if (rc)
		return rc;
	t.field = (uint8_t)field;
	p->at += len;
	skip_spaces(p);
	rc = find_sign(p, len, &t);
	if (rc == 0)
		rc = take_value(p, &value, &value_len);
	if (rc)
		return rc;
	if (value_len == 0 && p->at[-1] != '"')
		return mt_err(p->e, -EINVAL,
			"`%.*s` needs a value after its operator; \"\" is empty text", p->field_len,
			p->field);
	rc = set_value(p, &t, value, value_len);
	if (rc)
		return rc;
	p->x->terms[p->x->n_terms] = t;
	return emit(p, p->x->n_terms++);
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

int mt_expr_compile(struct mt_expr *x, const char *text, uint64_t allowed, struct mt_err *e)
{
	struct parser p = {.x = x, .at = text, .allowed = allowed, .e = e};
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
