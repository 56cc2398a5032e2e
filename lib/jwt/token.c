/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Verifies a token against rules. Cheap checks come first and the signature last; the order does
 * not affect whether a token is valid.
 */
#include "mt_jwt_priv.h"

#include <ctype.h>
#include <string.h>

/* Later times count as this one, which no clock reaches. */
#define TIME_MAX (INT64_C(1) << 50)
/*
 * s to cache an outcome that new keys may change: AGAIN_S for missing keys, or for a signature that
 * may be by a key not fetched yet. KEPT_S at most for other invalid tokens.
 */
#define AGAIN_S 2
#define KEPT_S	300

static const struct mt_outcome rows[] = {
#define MT_OUTCOME(n, s, w) {#n, s, w},
#include "jwt_outcomes.def"
#undef MT_OUTCOME
};

const struct mt_outcome_set mt_token_outcomes = {"jwt", rows, MT_ARRAY_LEN(rows)};

const char *mt_token_words(enum mt_token_outcome o)
{
	static const char *const words[MT_TOKEN_N_OUTCOMES] = {
		[MT_TOKEN_valid] = "its token is valid",
		[MT_TOKEN_malformed] = "its token is malformed",
		[MT_TOKEN_too_long] = "its token is too long",
		[MT_TOKEN_several] = "it carries several tokens",
		[MT_TOKEN_algorithm] = "its token's algorithm is not taken",
		[MT_TOKEN_issuer] = "its token's issuer is not known here",
		[MT_TOKEN_not_yet] = "its token is not valid yet",
		[MT_TOKEN_expired] = "its token has expired",
		[MT_TOKEN_audience] = "its token is for another audience",
		[MT_TOKEN_no_keys] = "the keys of its token's issuer are not there",
		[MT_TOKEN_no_key] = "its token's issuer has no such key",
		[MT_TOKEN_signature] = "its token's signature is wrong",
		[MT_TOKEN_internal] = "there is no memory to verify its token"};

	return words[o];
}

/* ---- extraction ------------------------------------------------------------------------------ */

static bool is_letter(uint8_t c)
{
	return isalnum(c) || c == '-' || c == '_' || c == '.';
}

bool mt_token_in(const char *prefix, struct mt_slice value, struct mt_slice *token)
{
	uint32_t len = (uint32_t)strlen(prefix), at = 0;

	*token = value;
	if (!len)
		return true;
	while (at + len <= value.len && strncasecmp((const char *)value.p + at, prefix, len) != 0)
		at++;
	if (at + len > value.len)
		return false;
	for (at += len; at < value.len && !is_letter(value.p[at]); at++)
		;
	if (at < value.len)
		*token = (struct mt_slice){value.p + at, value.len - at};
	return true;
}

/* ---- parts of a token ------------------------------------------------------------------------ */

struct parsed {
	const char *text;
	size_t signed_len; /* length of header and claims */
	const char *claims, *sig;
	size_t header_len, claims_len, sig_len;
};

static bool split(const char *token, size_t len, struct parsed *p)
{
	const char *dot = memchr(token, '.', len), *end = token + len, *dot2;

	if (!dot)
		return false;
	dot2 = memchr(dot + 1, '.', (size_t)(end - dot - 1));
	if (!dot2 || memchr(dot2 + 1, '.', (size_t)(end - dot2 - 1)))
		return false;
	*p = (struct parsed){.text = token,
		.signed_len = (size_t)(dot2 - token),
		.claims = dot + 1,
		.sig = dot2 + 1,
		.header_len = (size_t)(dot - token),
		.claims_len = (size_t)(dot2 - dot - 1),
		.sig_len = (size_t)(end - dot2 - 1)};
	return true;
}

/* Decodes a JSON object in base64url; NULL if it is invalid. */
static json_t *object(const char *part, size_t len, uint8_t *scratch)
{
	ssize_t n = mt_base64url(part, len, scratch);
	json_error_t why;
	json_t *o;

	if (n < 0)
		return NULL;
	o = json_loadb((const char *)scratch, (size_t)n, JSON_REJECT_DUPLICATES, &why);
	if (o && !json_is_object(o)) {
		json_decref(o);
		o = NULL;
	}
	return o;
}

static bool is_text_or_absent(const json_t *o, const char *name)
{
	const json_t *v = json_object_get(o, name);

	return !v || json_is_string(v);
}

/* True if absent, a text or a list of texts (RFC 7519 §4.1.3). */
static bool are_audiences(const json_t *aud)
{
	const json_t *v;
	size_t i;

	if (!aud || json_is_string(aud))
		return true;
	json_array_foreach((json_t *)aud, i, v)
	{
		if (!json_is_string(v))
			return false;
	}
	return json_is_array(aud);
}

/*
 * Reads a time in seconds, without its fraction (RFC 7519 §2). Sets *at to `absent` if there is
 * none. False if the claim is not a time.
 */
static bool time_of(const json_t *claims, const char *name, int64_t absent, int64_t *at)
{
	const json_t *v = json_object_get(claims, name);
	double d = json_number_value(v);

	*at = absent;
	if (!v)
		return true;
	if (!json_is_number(v) || d < 0)
		return false;
	*at = d < (double)TIME_MAX ? (int64_t)d : TIME_MAX;
	return true;
}

/* ---- audiences ------------------------------------------------------------------------------- */

/* Removes "http://" or "https://" and one slash at the end, as Envoy does before it compares. */
static void bare_audience(const char **s, size_t *len)
{
	static const char *const schemes[] = {"http://", "https://"};

	for (size_t i = 0; i < MT_ARRAY_LEN(schemes); i++) {
		size_t n = strlen(schemes[i]);

		if (*len >= n && memcmp(*s, schemes[i], n) == 0) {
			*s += n;
			*len -= n;
			break;
		}
	}
	if (*len && (*s)[*len - 1] == '/')
		(*len)--;
}

static bool is_audience(const struct mt_token_rule *r, const json_t *v)
{
	const char *s = json_string_value(v);
	size_t len = json_string_length(v);

	if (!s)
		return false;
	bare_audience(&s, &len);
	for (uint32_t i = 0; i < r->n_audiences; i++) {
		const char *want = r->audiences[i];
		size_t n = strlen(want);

		bare_audience(&want, &n);
		if (n == len && memcmp(want, s, n) == 0)
			return true;
	}
	return false;
}

static bool is_for(const struct mt_token_rule *r, const json_t *aud)
{
	const json_t *v;
	size_t i;

	if (!r->n_audiences || is_audience(r, aud))
		return true;
	json_array_foreach((json_t *)aud, i, v)
	{
		if (is_audience(r, v))
			return true;
	}
	return false;
}

/* ---- signature ------------------------------------------------------------------------------- */

static bool may_be(const struct mt_jwk *k, const char *kid, const char *alg)
{
	if (kid && *kid && *k->kid && strcmp(kid, k->kid) != 0)
		return false;
	return mt_jwk_fits(k, alg) && (!*k->alg || strcmp(k->alg, alg) == 0);
}

static enum mt_token_outcome by_keys(
	const struct mt_jwks *keys, const struct parsed *p, const json_t *header)
{
	const char *alg = json_string_value(json_object_get(header, "alg"));
	const char *kid = json_string_value(json_object_get(header, "kid"));
	uint8_t sig[MT_TOKEN_MAX];
	ssize_t n = mt_base64url(p->sig, p->sig_len, sig);
	uint32_t tried = 0;

	if (n <= 0)
		return MT_TOKEN_malformed;
	for (uint32_t i = 0; i < keys->n && tried < MT_TOKEN_TRIES; i++) {
		if (!may_be(&keys->keys[i], kid, alg))
			continue;
		tried++;
		if (mt_jwk_verify(&keys->keys[i], alg, p->text, p->signed_len, sig, (size_t)n))
			return MT_TOKEN_valid;
	}
	return tried ? MT_TOKEN_signature : MT_TOKEN_no_key;
}

static enum mt_token_outcome signature(const struct mt_token_rule *r, const struct parsed *p,
	const json_t *header, uint64_t *generation)
{
	struct mt_jwks *keys = mt_jwks_source_keys(r->keys, generation);
	enum mt_token_outcome o = keys ? by_keys(keys, p, header) : MT_TOKEN_no_keys;

	mt_jwks_drop(keys);
	if (o == MT_TOKEN_no_key)
		mt_jwks_source_missed(r->keys);
	return o;
}

/* ---- together -------------------------------------------------------------------------------- */

struct times {
	int64_t from, to;
};

static enum mt_token_outcome by_rule(const struct mt_token_rule *r, const struct parsed *p,
	const json_t *header, const json_t *claims, struct mt_token_result *out)
{
	enum mt_token_outcome o;

	if (!is_for(r, json_object_get(claims, "aud")))
		return MT_TOKEN_audience;
	o = signature(r, p, header, &out->generation);
	if (o == MT_TOKEN_valid && !mt_claims_flatten(&out->claims, claims, r))
		return MT_TOKEN_too_long;
	return o;
}

/*
 * Tries the rules for the token's issuer until one accepts the token; otherwise the outcome is that
 * of the last one.
 */
static enum mt_token_outcome by_rules(const struct mt_token_rules *rules, uint64_t allowed,
	const struct parsed *p, const json_t *header, const json_t *claims,
	struct mt_token_result *out)
{
	const char *iss = json_string_value(json_object_get(claims, "iss"));
	enum mt_token_outcome o = MT_TOKEN_issuer;

	for (uint32_t i = 0; iss && i < rules->n && o != MT_TOKEN_valid; i++) {
		if (!(allowed >> i & 1) || strcmp(rules->rules[i].issuer, iss) != 0)
			continue;
		out->rule = i;
		o = by_rule(&rules->rules[i], p, header, claims, out);
	}
	return o;
}

/* Rejects "crit", because no extension is supported (RFC 7515 §4.1.11). */
static enum mt_token_outcome check_header(const json_t *header)
{
	const char *alg = json_string_value(json_object_get(header, "alg"));

	if (!alg || json_object_get(header, "crit") || !is_text_or_absent(header, "kid"))
		return MT_TOKEN_malformed;
	return mt_token_algorithm(alg) ? MT_TOKEN_valid : MT_TOKEN_algorithm;
}

static enum mt_token_outcome check_claims(
	const json_t *claims, int64_t now, struct times *t, int64_t *until)
{
	int64_t issued;

	if (!is_text_or_absent(claims, "iss") || !is_text_or_absent(claims, "sub") ||
		!are_audiences(json_object_get(claims, "aud")) ||
		!time_of(claims, "iat", 0, &issued) || !time_of(claims, "nbf", 0, &t->from) ||
		!time_of(claims, "exp", INT64_MAX - MT_TOKEN_SKEW, &t->to))
		return MT_TOKEN_malformed;
	if (now + MT_TOKEN_SKEW < t->from) {
		*until = t->from - MT_TOKEN_SKEW;
		return MT_TOKEN_not_yet;
	}
	return now > t->to + MT_TOKEN_SKEW ? MT_TOKEN_expired : MT_TOKEN_valid;
}

static enum mt_token_outcome judge(const struct mt_token_rules *rules, uint64_t allowed,
	const struct parsed *p, int64_t now, struct mt_token_result *out)
{
	uint8_t scratch[MT_TOKEN_MAX];
	json_t *header = object(p->text, p->header_len, scratch);
	json_t *claims = header ? object(p->claims, p->claims_len, scratch) : NULL;
	enum mt_token_outcome o = MT_TOKEN_malformed;
	struct times t = {0};

	if (claims)
		o = check_header(header);
	if (o == MT_TOKEN_valid)
		o = check_claims(claims, now, &t, &out->until);
	if (o == MT_TOKEN_valid)
		o = by_rules(rules, allowed, p, header, claims, out);
	out->claims.expires = t.to > INT64_MAX - MT_TOKEN_SKEW ? INT64_MAX : t.to + MT_TOKEN_SKEW;
	json_decref(header);
	json_decref(claims);
	return o;
}

/*
 * Until when to cache an outcome; 0: not at all. A valid token until it expires; an invalid one for
 * a shorter time if new keys may change the outcome.
 */
static int64_t keep_until(const struct mt_token_result *r, int64_t now)
{
	switch (r->outcome) {
	case MT_TOKEN_valid:
		return r->claims.expires;
	case MT_TOKEN_no_keys:
	case MT_TOKEN_no_key:
	case MT_TOKEN_signature:
		return now + AGAIN_S;
	case MT_TOKEN_internal:
		return 0;
	case MT_TOKEN_not_yet:
		return MT_MIN(r->until, now + KEPT_S);
	default:
		return now + KEPT_S;
	}
}

void mt_token_verify(const struct mt_token_rules *rules, uint64_t allowed, const char *token,
	size_t len, int64_t now_s, struct mt_token_result *out)
{
	struct parsed p;

	out->outcome = MT_TOKEN_malformed;
	out->rule = UINT32_MAX;
	out->generation = 0;
	out->until = 0;
	out->claims.len = out->claims.n = 0;
	out->claims.expires = 0;
	out->claims.issuer = out->claims.subject = (struct mt_claims_text){0, 0};
	if (len > MT_TOKEN_MAX)
		out->outcome = MT_TOKEN_too_long;
	else if (split(token, len, &p))
		out->outcome = judge(rules, allowed, &p, now_s, out);
	out->until = keep_until(out, now_s);
}
