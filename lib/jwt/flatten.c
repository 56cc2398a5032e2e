/* SPDX-License-Identifier: Apache-2.0 */
/* Converts a token's claims from JSON to struct mt_claims. */
#include "mt_jwt_priv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct walk {
	struct mt_claims *c;
	const struct mt_token_rule *rule;
	uint8_t path[MT_CLAIMS_PATH];
};

static bool add(struct walk *w, uint32_t len, uint8_t kind, const char *value, size_t n)
{
	return mt_claims_add(w->c, kind, (struct mt_slice){w->path, len}, value, (uint32_t)n);
}

/*
 * True for a claim that is a list of words. "scope": "read write" is a list of two, as in Envoy
 * when configured by Istio.
 */
static bool is_spaced(const struct mt_token_rule *r, const char *name)
{
	for (uint32_t i = 0; i < r->n_spaced; i++)
		if (strcmp(r->spaced[i], name) == 0)
			return true;
	return false;
}

static bool add_words(struct walk *w, uint32_t len, const char *s)
{
	while (*s) {
		size_t n = strcspn(s, " ");

		if (n && !add(w, len, MT_CLAIM_STRING, s, n))
			return false;
		s += n + (s[n] != '\0');
	}
	return true;
}

/* Formats numbers as Envoy's std::to_string() and convertClaimDoubleToString() do. */
static bool add_number(struct walk *w, uint32_t len, const json_t *v)
{
	double d = json_number_value(v);
	char text[352];

	if (json_is_integer(v) && json_integer_value(v) >= 0)
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(v));
	else if (d >= 0 && d < 18446744073709551615.0 && floor(d) == d)
		snprintf(text, sizeof(text), "%.0f", d);
	else
		snprintf(text, sizeof(text), "%f", d);
	return add(w, len, MT_CLAIM_OTHER, text, strlen(text));
}

static bool add_list(struct walk *w, uint32_t len, const json_t *list)
{
	const json_t *v;
	size_t i;

	json_array_foreach((json_t *)list, i, v)
	{
		if (json_is_string(v) &&
			!add(w, len, MT_CLAIM_STRING, json_string_value(v), json_string_length(v)))
			return false;
	}
	return true;
}

static bool add_object(struct walk *w, uint32_t len, const json_t *o, uint32_t depth);

static bool add_value(
	struct walk *w, uint32_t len, const char *name, const json_t *v, uint32_t depth)
{
	switch (json_typeof(v)) {
	case JSON_STRING:
		if (depth == 0 && is_spaced(w->rule, name))
			return add_words(w, len, json_string_value(v));
		return add(w, len, MT_CLAIM_STRING, json_string_value(v), json_string_length(v));
	case JSON_ARRAY:
		return add_list(w, len, v);
	case JSON_OBJECT:
		return depth + 1 == MT_CLAIMS_DEPTH || add_object(w, len, v, depth + 1);
	case JSON_INTEGER:
	case JSON_REAL:
		return add_number(w, len, v);
	case JSON_TRUE:
		return add(w, len, MT_CLAIM_OTHER, "true", 4);
	case JSON_FALSE:
		return add(w, len, MT_CLAIM_OTHER, "false", 5);
	case JSON_NULL:
		break;
	}
	return true;
}

static bool add_object(struct walk *w, uint32_t len, const json_t *o, uint32_t depth)
{
	const char *name;
	json_t *v;

	json_object_foreach((json_t *)o, name, v)
	{
		uint32_t n = mt_claims_path(w->path, len, name, (uint32_t)strlen(name));

		if (!n || !add_value(w, n, name, v, depth))
			return false;
	}
	return true;
}

static struct mt_claims_text top(const struct mt_claims *c, const char *name)
{
	uint8_t path[MT_CLAIMS_PATH];
	uint32_t n = mt_claims_path(path, 0, name, (uint32_t)strlen(name));
	struct mt_claims_at at = {0};
	struct mt_claim found;

	if (mt_claims_find(c, (struct mt_slice){path, n}, &at, &found))
		return (struct mt_claims_text){
			(uint16_t)(found.value.p - c->bytes), (uint16_t)found.value.len};
	return (struct mt_claims_text){0, 0};
}

bool mt_claims_flatten(struct mt_claims *c, const json_t *claims, const struct mt_token_rule *r)
{
	struct walk w = {.c = c, .rule = r};

	c->len = c->n = 0;
	if (!add_object(&w, 0, claims, 0))
		return false;
	c->issuer = top(c, "iss");
	c->subject = top(c, "sub");
	return true;
}
