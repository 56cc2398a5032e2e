/* SPDX-License-Identifier: Apache-2.0 */
#include "mt_jwt.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

/* ---- base64url without padding (RFC 7515, appendix C) ---------------------------------------- */

static bool is_base64url(const char *p, size_t len)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

	while (len && memchr(letters, *p, sizeof(letters) - 1)) {
		p++;
		len--;
	}
	return len == 0;
}

/*
 * Decodes base64url to `out` of (len + 3) / 4 * 3 bytes. Returns the length; negative: invalid.
 * `as64` is a buffer of len + 4 bytes for the text as plain base64 with padding.
 */
static ssize_t decode(const char *in, size_t len, char *as64, char *out)
{
	size_t pad = (4 - len % 4) % 4;

	/* Check first, because OpenSSL ignores blanks and '-' at both ends. */
	if (pad == 3 || !is_base64url(in, len))
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		as64[i] = in[i] == '-' ? '+' : in[i] == '_' ? '/' : in[i];
	memset(as64 + len, '=', pad);
	return EVP_DecodeBlock(
		       (unsigned char *)out, (const unsigned char *)as64, (int)(len + pad)) -
	       (ssize_t)pad;
}

/* Decodes a part of the token as a JSON object; NULL with *e set. */
static json_t *object(const char *part, size_t len, const char *what, struct mt_err *e)
{
	size_t size = len + 4;
	char *text = malloc(2 * size);
	ssize_t n = text ? decode(part, len, text + size, text) : -ENOMEM;
	json_error_t why;
	json_t *o = NULL;

	if (n == -ENOMEM)
		mt_err(e, -EINVAL, "no memory");
	else if (n < 0)
		mt_err(e, -EINVAL, "the token's %s is not base64url text", what);
	else if (!(o = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &why)))
		mt_err(e, -EINVAL, "the token's %s is not JSON", what);
	else if (!json_is_object(o)) {
		mt_err(e, -EINVAL, "the token's %s is not a JSON object", what);
		json_decref(o);
		o = NULL;
	}
	if (text)
		OPENSSL_cleanse(text, 2 * size);
	free(text);
	return o;
}

/* ---- claims ---------------------------------------------------------------------------------- */

static void text_claim(const json_t *o, const char *name, char *out, size_t size)
{
	const char *s = json_string_value(json_object_get(o, name));

	snprintf(out, size, "%s", s ? s : "");
}

/*
 * Reads a NumericDate (RFC 7519 §2), which may have a fraction; 0 if absent or not within 0 and
 * 10^12.
 */
static int64_t time_claim(const json_t *o, const char *name)
{
	double v = json_number_value(json_object_get(o, name));

	return v > 0 && v < 1e12 ? (int64_t)v : 0;
}

static void add_audience(struct mt_jwt *t, const json_t *name)
{
	const char *s = json_string_value(name);

	if (s && t->n_audiences < MT_JWT_AUDIENCES)
		snprintf(t->audiences[t->n_audiences++], sizeof(t->audiences[0]), "%s", s);
}

static void read_claims(struct mt_jwt *t, const json_t *claims)
{
	const json_t *aud = json_object_get(claims, "aud");
	const json_t *k8s = json_object_get(claims, "kubernetes.io");
	const json_t *name;
	size_t i;

	text_claim(claims, "iss", t->issuer, sizeof(t->issuer));
	text_claim(claims, "sub", t->subject, sizeof(t->subject));
	t->issued_at = time_claim(claims, "iat");
	t->not_before = time_claim(claims, "nbf");
	t->expires = time_claim(claims, "exp");
	add_audience(t, aud);
	json_array_foreach((json_t *)aud, i, name) add_audience(t, name);
	text_claim(k8s, "namespace", t->namespace, sizeof(t->namespace));
	text_claim(json_object_get(k8s, "serviceaccount"), "name", t->service_account,
		sizeof(t->service_account));
}

int mt_jwt_read(const char *token, size_t len, struct mt_jwt *out, struct mt_err *e)
{
	const char *end = token + len;
	const char *dot = memchr(token, '.', len);
	const char *dot2 = dot ? memchr(dot + 1, '.', (size_t)(end - dot - 1)) : NULL;
	json_t *header, *claims;

	*out = (struct mt_jwt){0};
	if (len > MT_JWT_MAX)
		return mt_err(e, -EINVAL, "the token is longer than %d bytes", MT_JWT_MAX);
	if (!dot2 || memchr(dot2 + 1, '.', (size_t)(end - dot2 - 1)))
		return mt_err(
			e, -EINVAL, "it is not a JSON web token: three parts divided by dots");
	if (dot2 + 1 == end)
		return mt_err(e, -EINVAL, "the token has no signature");
	if (!is_base64url(dot2 + 1, (size_t)(end - dot2 - 1)))
		return mt_err(e, -EINVAL, "the token's signature is not base64url text");
	header = object(token, (size_t)(dot - token), "header", e);
	if (!header)
		return -EINVAL;
	json_decref(header);
	claims = object(dot + 1, (size_t)(dot2 - dot - 1), "claims", e);
	if (!claims)
		return -EINVAL;
	read_claims(out, claims);
	json_decref(claims);
	return 0;
}

bool mt_jwt_is_for(const struct mt_jwt *t, const char *audience)
{
	for (uint32_t i = 0; i < t->n_audiences; i++)
		if (strcmp(t->audiences[i], audience) == 0)
			return true;
	return false;
}
