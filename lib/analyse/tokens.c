/* SPDX-License-Identifier: Apache-2.0 */
/* Checks tokens: optional ones, unknown issuers, keys that are fetched in plaintext. */
#include "mt_analyse_priv.h"

#include <string.h>
#include <strings.h>

/* ---- optional tokens ------------------------------------------------------------------------- */

static bool asks_token(const struct mt_authorization_policy *p)
{
	for (uint32_t i = 0; i < p->n_rules; i++) {
		const struct mt_policy_rule *r = &p->rules[i];

		for (uint32_t k = 0; k < r->n_when; k++)
			if (strncmp(r->when[k].key.s, "request.auth.", 13) == 0)
				return true;
		for (uint32_t k = 0; k < r->n_from; k++)
			if (r->from[k].source &&
				(r->from[k].source->request_principals.n ||
					r->from[k].source->not_request_principals.n))
				return true;
	}
	return false;
}

static void check_optional(struct mt_analysis *a, const struct mt_request_authentication *t)
{
	const struct mt_object_row *row;

	if (!mt_an_may(a, a->in->table->n + a->m->authorization_policies.n))
		return;
	row = mt_an_row(a, t->meta.serial);
	if (row && row->status == MT_OBJECT_NO_EFFECT)
		return;
	for (uint32_t i = 0; i < a->m->authorization_policies.n; i++) {
		const struct mt_authorization_policy *p = a->m->authorization_policies.v[i];
		const char *root = a->in->audit->root_ns;

		/*
		 * Instances are not compared: a policy on tokens shows that its author has
		 * considered them.
		 */
		if ((strcmp(p->meta.ns, t->meta.ns) == 0 || strcmp(p->meta.ns, root) == 0 ||
			    strcmp(t->meta.ns, root) == 0) &&
			mt_an_is_enforced(p) && asks_token(p))
			return;
	}
	if (t->n_rules)
		mt_an_found(a, MT_FINDING_ID_token_optional, &t->meta, 0,
			"calls without a token of %s pass",
			t->rules[0].issuer.s ? t->rules[0].issuer.s : "its issuer");
}

/* ---- issuers --------------------------------------------------------------------------------- */

/* True if the RequestAuthentication may apply where the policy does. */
static bool is_for(const struct mt_analysis *a, const struct mt_request_authentication *t,
	const struct mt_authorization_policy *p)
{
	const char *root = a->in->audit->root_ns;

	return strcmp(t->meta.ns, p->meta.ns) == 0 || strcmp(t->meta.ns, root) == 0 ||
	       strcmp(p->meta.ns, root) == 0;
}

/*
 * True if `word` may match a text that starts with the issuer. `end`: "/" for principals, which
 * continue with the subject; "" for issuers, which end there.
 */
static bool may_fit(struct mt_analysis *a, const char *word, const char *issuer, const char *end)
{
	const char *head = mt_region_printf(&a->region, "%s%s", issuer, end);
	size_t n = head ? strlen(head) : 0, len = strlen(word);

	if (!head || strcmp(word, "*") == 0 || (word[0] == '*' && *end))
		return true;
	if (word[0] == '*')
		return n >= len - 1 && strcmp(head + n - (len - 1), word + 1) == 0;
	if (word[len - 1] == '*')
		return strncmp(word, head, MT_MIN(len - 1, n)) == 0 && (*end || len - 1 <= n);
	return *end ? len > n && strncmp(word, head, n) == 0 : strcmp(word, head) == 0;
}

static void check_issuer(struct mt_analysis *a, const struct mt_authorization_policy *p,
	const struct mt_text *t, const char *end)
{
	const struct mt_request_authentication *by = NULL;
	const char *issuer = NULL;

	if (!*t->s || !mt_an_may(a, a->m->request_authentications.n * (uint64_t)MT_AN_WORD))
		return;
	for (uint32_t i = 0; i < a->m->request_authentications.n; i++) {
		const struct mt_request_authentication *r = a->m->request_authentications.v[i];

		for (uint32_t k = 0; is_for(a, r, p) && k < r->n_rules; k++) {
			if (!r->rules[k].issuer.s || may_fit(a, t->s, r->rules[k].issuer.s, end))
				return;
			by = by ? by : r;
			issuer = issuer ? issuer : r->rules[k].issuer.s;
		}
	}
	if (issuer)
		mt_an_found(a, MT_FINDING_ID_token_issuer, &p->meta, t->line,
			"no token that counts here has %s: the issuer of RequestAuthentication "
			"%s/%s is %s, so %s%s%s",
			t->s, by->meta.ns, by->meta.name, issuer,
			*end ? "principals begin with " : "it is ", issuer, end);
}

static void check_issuers(struct mt_analysis *a, const struct mt_authorization_policy *p,
	const struct mt_texts *l, const char *end)
{
	for (uint32_t i = 0; i < l->n; i++)
		check_issuer(a, p, &l->v[i], end);
}

static void check_conditions(struct mt_analysis *a, const struct mt_authorization_policy *p,
	const struct mt_policy_rule *r)
{
	for (uint32_t i = 0; i < r->n_when; i++) {
		const struct mt_policy_condition *c = &r->when[i];
		const char *end = strcmp(c->key.s, "request.auth.principal") == 0     ? "/"
				  : strcmp(c->key.s, "request.auth.claims[iss]") == 0 ? ""
										      : NULL;

		if (!end)
			continue;
		check_issuers(a, p, &c->values, end);
		check_issuers(a, p, &c->not_values, end);
	}
}

static void check_policy(struct mt_analysis *a, const struct mt_authorization_policy *p)
{
	for (uint32_t i = 0; i < p->n_rules; i++) {
		const struct mt_policy_rule *r = &p->rules[i];

		for (uint32_t k = 0; k < r->n_from; k++) {
			const struct mt_policy_source *s = r->from[k].source;

			if (!s)
				continue;
			check_issuers(a, p, &s->request_principals, "/");
			check_issuers(a, p, &s->not_request_principals, "/");
		}
		check_conditions(a, p, r);
	}
}

/* ---- keys ------------------------------------------------------------------------------------ */

static bool is_clear(const char *uri)
{
	static const char *const own[] = {"localhost", "127.", "[::1]"};

	if (!uri || strncasecmp(uri, "http://", 7) != 0)
		return false;
	for (size_t i = 0; i < MT_ARRAY_LEN(own); i++)
		if (strncasecmp(uri + 7, own[i], strlen(own[i])) == 0)
			return false;
	return true;
}

/* If a rule has neither keys nor their URI, the issuer's discovery document has the URI. */
static void check_keys(struct mt_analysis *a, const struct mt_request_authentication *t)
{
	for (uint32_t i = 0; i < t->n_rules; i++) {
		const struct mt_jwt_rule *r = &t->rules[i];
		const struct mt_text *from = r->jwks_uri.s ? &r->jwks_uri : &r->issuer;

		if (!r->jwks.s && is_clear(from->s))
			mt_an_found(a, MT_FINDING_ID_plain_keys, &t->meta, from->line,
				"keys of %s are fetched from %s",
				r->issuer.s ? r->issuer.s : "its issuer", from->s);
	}
}

void mt_an_tokens(struct mt_analysis *a)
{
	for (uint32_t i = 0; i < a->m->request_authentications.n; i++) {
		check_optional(a, a->m->request_authentications.v[i]);
		check_keys(a, a->m->request_authentications.v[i]);
	}
	for (uint32_t i = 0; i < a->m->authorization_policies.n; i++) {
		const struct mt_authorization_policy *p = a->m->authorization_policies.v[i];

		if (mt_an_is_enforced(p) && p->action.v != MT_POLICY_CUSTOM)
			check_policy(a, p);
	}
}
