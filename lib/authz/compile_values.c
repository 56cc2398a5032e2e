/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles the values of conditions: texts with "*", networks, ports, accounts, tokens. */
#include "mt_authz_compile_priv.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/*
 * Decides if "*" matches an empty text. An empty text must never allow a call, so "*" matches only
 * non-empty texts as a value of an ALLOW rule and as a `not` of a DENY rule. As a value of a DENY
 * rule and as a `not` of an ALLOW rule it also matches empty ones.
 */
static enum mt_authz_match presence(const struct mt_authz_build *b, bool positive)
{
	return mt_authz_build_denies(b) == positive ? MT_AUTHZ_PRESENT : MT_AUTHZ_NONEMPTY;
}

static bool text_value(
	struct mt_authz_build *b, struct mt_authz_value *v, const char *s, bool positive, bool path)
{
	size_t len = strlen(s);

	if (strcmp(s, "*") == 0) {
		v->match = (uint8_t)presence(b, positive);
		return true;
	}
	if (s[0] == '*') {
		v->match = MT_AUTHZ_SUFFIX;
		s++;
	} else if (len && s[len - 1] == '*') {
		v->match = MT_AUTHZ_PREFIX;
	}
	s = path && v->match != MT_AUTHZ_SUFFIX && s[0] != '/' ? mt_region_printf(b->r, "/%s", s)
							       : mt_region_strdup(b->r, s);
	if (!s)
		return false;
	v->text = (struct mt_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
	if (v->match == MT_AUTHZ_PREFIX)
		v->text.len--;
	return true;
}

bool mt_authz_has_star(const char *s)
{
	return strchr(s, '*') != NULL;
}

/* Makes a value of a namespace, in which each "*" matches any letters, as in Istio. */
static bool namespace_value(
	struct mt_authz_build *b, struct mt_authz_value *v, const char *s, bool positive)
{
	if (!mt_authz_has_star(s) || strcmp(s, "*") == 0)
		return text_value(b, v, s, positive, false);
	s = mt_region_strdup(b->r, s);
	if (!s)
		return false;
	v->match = MT_AUTHZ_STARS;
	v->text = (struct mt_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
	return true;
}

/*
 * Makes a value of a server name. Server names are compared as DNS names: without regard to case,
 * and without the dot of the root at the end, which lib/tls removes from an SNI.
 */
static bool sni_value(
	struct mt_authz_build *b, struct mt_authz_value *v, const char *s, bool positive)
{
	size_t len = strlen(s);
	char *copy = mt_region_strndup(b->r, s, len - (len > 1 && s[len - 1] == '.'));

	if (!copy)
		return false;
	for (char *p = copy; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return text_value(b, v, copy, positive, false);
}

/*
 * Makes a value of a service account. An account without a namespace is in the policy's namespace.
 */
static bool account_value(struct mt_authz_build *b, struct mt_authz_value *v, const char *s)
{
	s = strchr(s, '/') ? mt_region_strdup(b->r, s) : mt_region_printf(b->r, "%s/%s", b->ns, s);
	if (!s)
		return false;
	v->text = (struct mt_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
	return true;
}

struct part {
	uint8_t match;
	struct mt_slice text;
};

static struct part part(uint8_t match, const char *s, size_t len)
{
	return (struct part){match, {(const uint8_t *)s, (uint32_t)len}};
}

/*
 * Splits "ISSUER/SUBJECT" at the last slash, because issuers are URLs. Issuer and subject are
 * compared separately, so that a subject with a slash cannot pass for another issuer. As in Istio,
 * "*" is a wildcard only at one end of the whole text. If a text with "*" has no slash, the missing
 * part matches any text.
 */
static bool request_principal(
	struct mt_authz_build *b, struct mt_authz_value *v, const char *s, bool positive)
{
	const char *all = mt_region_strdup(b->r, s), *slash = all ? strrchr(all, '/') : NULL;
	size_t len = strlen(s), n = slash ? (size_t)(slash - all) : len;
	const char *tail = slash ? slash + 1 : "";
	struct part any = part((uint8_t)presence(b, positive), "", 0), iss, sub;

	if (!all)
		return false;
	iss = part(MT_AUTHZ_EXACT, all, n);
	sub = part(MT_AUTHZ_EXACT, tail, strlen(tail));
	if (strcmp(s, "*") == 0)
		iss = sub = any;
	else if (s[0] == '*' && slash)
		iss = n == 1 ? any : part(MT_AUTHZ_SUFFIX, all + 1, n - 1);
	else if (s[0] == '*') {
		iss = any;
		sub = part(MT_AUTHZ_SUFFIX, all + 1, len - 1);
	} else if (len && s[len - 1] == '*' && slash)
		sub = strlen(tail) == 1 ? any : part(MT_AUTHZ_PREFIX, tail, strlen(tail) - 1);
	else if (len && s[len - 1] == '*') {
		iss = part(MT_AUTHZ_PREFIX, all, len - 1);
		sub = any;
	}
	v->match = iss.match;
	v->text = iss.text;
	v->sub_match = sub.match;
	v->sub = sub.text;
	return true;
}

static bool value(struct mt_authz_build *b, struct mt_authz_value *v, uint8_t field, const char *s,
	bool positive)
{
	switch ((enum mt_authz_field)field) {
	case MT_AUTHZ_PEER:
	case MT_AUTHZ_SERVER:
		return mt_prefix_parse(s, &v->net, &v->bits) == 0;
	case MT_AUTHZ_PORT:
		v->port = (uint16_t)atoi(s);
		return true;
	case MT_AUTHZ_ACCOUNT:
		return account_value(b, v, s);
	case MT_AUTHZ_NAMESPACE:
		return namespace_value(b, v, s, positive);
	case MT_AUTHZ_TOKEN:
		return request_principal(b, v, s, positive);
	case MT_AUTHZ_SNI:
		return sni_value(b, v, s, positive);
	default:
		return text_value(b, v, s, positive, field == MT_AUTHZ_PATH);
	}
}

struct mt_authz_value *mt_authz_values(
	struct mt_authz_build *b, uint8_t field, const struct mt_texts *l, bool positive)
{
	struct mt_authz_value *v = mt_region_alloc(b->r, sizeof(*v) * MT_MAX(l->n, 1u));

	for (uint32_t i = 0; v && i < l->n; i++)
		if (!value(b, &v[i], field, l->v[i].s, positive))
			b->r->failed = true;
	return v;
}
