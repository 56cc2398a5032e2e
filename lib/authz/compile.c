/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles policies, as their documents contain them, into rules for messages of one codec. */
#include "mt_authz_priv.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

struct build {
	struct mt_region *r;
	const struct mt_codec *codec;
	struct mt_authz_policy *p;
	const char *ns;			 /* the policy's namespace, for service accounts */
	const struct mt_authz_ports *at; /* NULL: any ports */
	const struct mt_authz_callers *who;
	const char *missing; /* the first field of the current rule that the codec lacks */
};

static bool denies(const struct build *b)
{
	return b->p->action != MT_AUTHZ_ALLOW;
}

/* ---- values ---------------------------------------------------------------------------------- */

/*
 * Decides whether "*" matches an empty text, so that an empty text never allows a call. A value of
 * an ALLOW rule and a `not` of a DENY rule match only non-empty texts; the other two match empty
 * texts, too.
 */
static enum mt_authz_match presence(const struct build *b, bool positive)
{
	return denies(b) == positive ? MT_AUTHZ_PRESENT : MT_AUTHZ_NONEMPTY;
}

static bool text_value(
	struct build *b, struct mt_authz_value *v, const char *s, bool positive, bool path)
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

static bool has_star(const char *s)
{
	return strchr(s, '*') != NULL;
}

/* As in Istio, a "*" anywhere matches any letters. */
static bool namespace_value(struct build *b, struct mt_authz_value *v, const char *s, bool positive)
{
	if (!has_star(s) || strcmp(s, "*") == 0)
		return text_value(b, v, s, positive, false);
	s = mt_region_strdup(b->r, s);
	if (!s)
		return false;
	v->match = MT_AUTHZ_STARS;
	v->text = (struct mt_slice){(const uint8_t *)s, (uint32_t)strlen(s)};
	return true;
}

/*
 * Server names compare as DNS names: without case and without the trailing dot of the root, which
 * lib/tls removes from an SNI.
 */
static bool sni_value(struct build *b, struct mt_authz_value *v, const char *s, bool positive)
{
	size_t len = strlen(s);
	char *copy = mt_region_strndup(b->r, s, len - (len > 1 && s[len - 1] == '.'));

	if (!copy)
		return false;
	for (char *p = copy; *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return text_value(b, v, copy, positive, false);
}

/* A name without a namespace is in the policy's namespace. */
static bool account_value(struct build *b, struct mt_authz_value *v, const char *s)
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
 * compared separately, so that a subject cannot imitate another issuer. As in Istio, a "*" counts
 * only at one end of the whole text; with a "*" and no slash, the part that is not given matches
 * any text.
 */
static bool request_principal(
	struct build *b, struct mt_authz_value *v, const char *s, bool positive)
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

static bool value(
	struct build *b, struct mt_authz_value *v, uint8_t field, const char *s, bool positive)
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

static struct mt_authz_value *values(
	struct build *b, uint8_t field, const struct mt_texts *l, bool positive)
{
	struct mt_authz_value *v = mt_region_alloc(b->r, sizeof(*v) * MT_MAX(l->n, 1u));

	for (uint32_t i = 0; v && i < l->n; i++)
		if (!value(b, &v[i], field, l->v[i].s, positive))
			b->r->failed = true;
	return v;
}

/* ---- conditions ------------------------------------------------------------------------------ */

/* Adds a condition on a field. NULL if it has no values, or no memory. */
static struct mt_authz_cond *add(struct build *b, struct mt_authz_conds *l, uint8_t field,
	const struct mt_texts *yes, const struct mt_texts *no)
{
	struct mt_authz_cond *w;

	if (!yes->n && !no->n)
		return NULL;
	w = mt_region_push(b->r, (void **)&l->v, &l->n, sizeof(*w));
	if (!w)
		return NULL;
	*w = (struct mt_authz_cond){.field = field,
		.n_values = yes->n,
		.n_nots = no->n,
		.values = values(b, field, yes, true),
		.nots = values(b, field, no, false)};
	return w;
}

/* Adds the principals, also in the aliases of their trust domain. */
static void add_principals(struct build *b, struct mt_authz_conds *l, const struct mt_texts *yes,
	const struct mt_texts *no)
{
	const struct mt_texts all = mt_authz_domains(b->r, b->who, yes),
			      none = mt_authz_domains(b->r, b->who, no);

	add(b, l, MT_AUTHZ_PRINCIPAL, &all, &none);
}

static void add_trust_domains(struct build *b, struct mt_authz_conds *l, const struct mt_texts *yes,
	const struct mt_texts *no)
{
	const struct mt_texts all = mt_authz_trust_domains(b->r, b->who, yes),
			      none = mt_authz_trust_domains(b->r, b->who, no);

	add(b, l, MT_AUTHZ_TRUST_DOMAIN, &all, &none);
}

static bool any_star(const struct mt_texts *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (has_star(l->v[i].s))
			return true;
	return false;
}

/*
 * Adds service accounts. A name with "*" cannot be evaluated, which matters only if callers can
 * have an account.
 */
static void add_accounts(struct build *b, struct mt_authz_conds *l, const struct mt_texts *yes,
	const struct mt_texts *no)
{
	bool known = !b->who->certified || !(any_star(yes) || any_star(no));

	add(b, l, known ? MT_AUTHZ_ACCOUNT : MT_AUTHZ_UNKNOWN, yes, no);
}

/* Which data the messages of the codec have: service and method; metadata. */
static bool has_names(const struct mt_codec *codec)
{
	return !codec->opaque && codec->method_key.name != NULL;
}

static bool has_metadata(const struct mt_codec *codec)
{
	return !codec->opaque && (codec->index || codec->metadata);
}

/* Adds a condition on a field that only some codecs have; notes the name if this codec lacks it. */
static struct mt_authz_cond *add_if(struct build *b, struct mt_authz_conds *l, bool has,
	uint8_t field, const char *name, const struct mt_texts *yes, const struct mt_texts *no)
{
	if (has)
		return add(b, l, field, yes, no);
	if ((yes->n || no->n) && !b->missing)
		b->missing = name;
	return NULL;
}

static void source(struct build *b, struct mt_authz_conds *l, const struct mt_policy_source *s)
{
	if (!s)
		return;
	add(b, l, MT_AUTHZ_PEER, &s->ip_blocks, &s->not_ip_blocks);
	add(b, l, MT_AUTHZ_PEER, &s->remote_ip_blocks, &s->not_remote_ip_blocks);
	add_principals(b, l, &s->principals, &s->not_principals);
	add(b, l, MT_AUTHZ_NAMESPACE, &s->namespaces, &s->not_namespaces);
	add_accounts(b, l, &s->service_accounts, &s->not_service_accounts);
	add_trust_domains(b, l, &s->trust_domains, &s->not_trust_domains);
	add_if(b, l, !b->codec->opaque, b->who->tokens ? MT_AUTHZ_TOKEN : MT_AUTHZ_NOBODY,
		"requestPrincipals", &s->request_principals, &s->not_request_principals);
}

/* True for a path template of Istio ("/a/{*}"), which cannot be evaluated here. */
static bool has_template(const struct mt_texts *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (strstr(l->v[i].s, "{*}") || strstr(l->v[i].s, "{**}"))
			return true;
	return false;
}

static void operation(
	struct build *b, struct mt_authz_conds *l, const struct mt_policy_operation *o)
{
	bool names = has_names(b->codec);
	uint8_t path = MT_AUTHZ_PATH;

	if (!o)
		return;
	if (has_template(&o->paths) || has_template(&o->not_paths))
		path = MT_AUTHZ_UNKNOWN;
	add(b, l, MT_AUTHZ_PORT, &o->ports, &o->not_ports);
	add_if(b, l, false, MT_AUTHZ_NOBODY, "hosts", &o->hosts, &o->not_hosts);
	add_if(b, l, names, MT_AUTHZ_METHOD, "methods", &o->methods, &o->not_methods);
	add_if(b, l, names, path, "paths", &o->paths, &o->not_paths);
	add_if(b, l, names, MT_AUTHZ_INTERFACE, "interfaces", &o->interfaces, &o->not_interfaces);
}

struct condition_kind {
	const char *key;
	uint8_t field;
	bool prefix;   /* the key continues with a name in brackets */
	bool messages; /* does not exist in opaque TCP */
};

/* istio.io/latest/docs/reference/config/security/conditions */
static const struct condition_kind kinds[] = {
	{"source.ip", MT_AUTHZ_PEER, false, false},
	{"remote.ip", MT_AUTHZ_PEER, false, false},
	{"source.namespace", MT_AUTHZ_NAMESPACE, false, false},
	{"source.principal", MT_AUTHZ_PRINCIPAL, false, false},
	{"source.serviceAccount", MT_AUTHZ_ACCOUNT, false, false},
	{"source.trustDomain", MT_AUTHZ_TRUST_DOMAIN, false, false},
	{"request.auth.principal", MT_AUTHZ_TOKEN, false, true},
	{"request.auth.audiences", MT_AUTHZ_CLAIM, false, true},
	{"request.auth.presenter", MT_AUTHZ_CLAIM, false, true},
	{"request.auth.claims[", MT_AUTHZ_CLAIM, true, true},
	{"request.headers[", MT_AUTHZ_METADATA, true, true},
	{"destination.ip", MT_AUTHZ_SERVER, false, false},
	{"destination.port", MT_AUTHZ_PORT, false, false},
	{"connection.sni", MT_AUTHZ_SNI, false, false},
};

static const struct condition_kind *kind_of(const char *key)
{
	static const struct condition_kind unknown = {"", MT_AUTHZ_UNKNOWN, false, false};
	size_t len = strlen(key);

	for (size_t i = 0; i < MT_ARRAY_LEN(kinds); i++) {
		const struct condition_kind *k = &kinds[i];
		size_t n = strlen(k->key);

		if (k->prefix ? strncmp(key, k->key, n) == 0 && len > n + 1 && key[len - 1] == ']'
			      : strcmp(key, k->key) == 0)
			return k;
	}
	return &unknown;
}

bool mt_authz_is_condition(const char *key)
{
	return kind_of(key)->field != MT_AUTHZ_UNKNOWN;
}

const char *mt_authz_condition_key(uint32_t i)
{
	return i < MT_ARRAY_LEN(kinds) ? kinds[i].key : NULL;
}

/* Makes the codec's key for a metadata name. */
static struct mt_key key_of(struct build *b, const char *name, size_t len, bool icase)
{
	char *copy = mt_region_strndup(b->r, name, len);
	struct mt_key k = {0};

	if (!copy)
		return k;
	/* Codecs have the keys that they know in lower case. */
	for (char *p = copy; icase && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	k = mt_key_make(b->codec, copy);
	k.icase = icase;
	return k;
}

/*
 * Encodes the claim that a condition's key names: "request.auth.audiences",
 * "request.auth.presenter", "request.auth.claims[a][b]". False if the key is malformed.
 */
static bool claim_path(struct build *b, const char *key, struct mt_slice *out)
{
	uint8_t path[MT_CLAIMS_PATH], *copy;
	const char *p = strchr(key, '[');
	uint32_t len = 0;

	if (strcmp(key, "request.auth.audiences") == 0)
		len = mt_claims_path(path, 0, "aud", 3);
	else if (strcmp(key, "request.auth.presenter") == 0)
		len = mt_claims_path(path, 0, "azp", 3);
	while (p && *p == '[') {
		size_t n = strcspn(p + 1, "[]");

		if (n == 0 || p[1 + n] != ']')
			return false;
		len = mt_claims_path(path, len, p + 1, (uint32_t)n);
		p += n + 2;
		if (!len || (*p && *p != '['))
			return false;
	}
	copy = mt_region_alloc(b->r, MT_MAX(len, 1u));
	if (copy)
		memcpy(copy, path, len);
	*out = (struct mt_slice){copy, len};
	return copy && len;
}

static void claim(struct build *b, struct mt_authz_conds *l, const struct mt_policy_condition *c)
{
	struct mt_slice path = {0};
	bool known = claim_path(b, c->key.s, &path);
	uint8_t field = !known		 ? MT_AUTHZ_UNKNOWN
			: b->who->tokens ? MT_AUTHZ_CLAIM
					 : MT_AUTHZ_NOBODY;
	struct mt_authz_cond *w =
		add_if(b, l, !b->codec->opaque, field, c->key.s, &c->values, &c->not_values);

	if (w)
		w->path = path;
}

static void condition(
	struct build *b, struct mt_authz_conds *l, const struct mt_policy_condition *c)
{
	const struct condition_kind *k = kind_of(c->key.s);
	bool has = !k->messages || !b->codec->opaque;
	struct mt_authz_cond *w;

	if (k->field == MT_AUTHZ_PRINCIPAL) {
		add_principals(b, l, &c->values, &c->not_values);
		return;
	}
	if (k->field == MT_AUTHZ_ACCOUNT) {
		add_accounts(b, l, &c->values, &c->not_values);
		return;
	}
	if (k->field == MT_AUTHZ_TRUST_DOMAIN) {
		add_trust_domains(b, l, &c->values, &c->not_values);
		return;
	}
	if (k->field == MT_AUTHZ_CLAIM) {
		claim(b, l, c);
		return;
	}
	if (k->field == MT_AUTHZ_METADATA)
		has = has_metadata(b->codec);
	w = add_if(b, l, has,
		k->field == MT_AUTHZ_TOKEN && !b->who->tokens ? MT_AUTHZ_NOBODY : k->field,
		c->key.s, &c->values, &c->not_values);
	if (w && k->field == MT_AUTHZ_METADATA) {
		size_t n = strlen(k->key);

		w->key = key_of(b, c->key.s + n, strlen(c->key.s) - n - 1, denies(b));
	}
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* True for fields that come from the caller's TLS or from its address. */
static bool is_of_peer(uint8_t field)
{
	return field >= MT_AUTHZ_PRINCIPAL && field <= MT_AUTHZ_SNI;
}

/*
 * True if a caller can have a value in that field. Opaque TCP has a server name on nodes without
 * certificates, too, because TLS may pass through.
 */
static bool some_caller_has(const struct build *b, uint8_t field)
{
	if (field == MT_AUTHZ_NOBODY)
		return false;
	return b->who->certified || !is_of_peer(field) ||
	       (field == MT_AUTHZ_SNI && b->codec->opaque);
}

/*
 * True if no caller can match, because callers have no valid token or no principal
 * (mt_authz_callers).
 */
static bool is_nobodys(const struct build *b, const struct mt_authz_conds *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->v[i].n_values && !some_caller_has(b, l->v[i].field))
			return true;
	return false;
}

static bool all_are_nobodys(const struct build *b, const struct mt_authz_conds *l, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!is_nobodys(b, &l[i]))
			return false;
	return n > 0;
}

static bool is_possible(const struct build *b, const struct mt_authz_rule *r)
{
	return !all_are_nobodys(b, r->from, r->n_from) && !is_nobodys(b, &r->when);
}

static bool asks_unknown(const struct mt_authz_conds *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->v[i].field == MT_AUTHZ_UNKNOWN)
			return true;
	return false;
}

static bool is_of_other_ports(const struct build *b, const struct mt_authz_conds *l);

/* True if every call meets the conditions that can be evaluated. */
static bool never_fails(const struct build *b, const struct mt_authz_conds *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->v[i].field != MT_AUTHZ_UNKNOWN && l->v[i].field != MT_AUTHZ_PORT)
			return false;
	return b->at && !is_of_other_ports(b, l);
}

static bool one_never_fails(const struct build *b, const struct mt_authz_conds *l, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (never_fails(b, &l[i]))
			return true;
	return n == 0;
}

static bool all_ask_unknown(const struct mt_authz_conds *l, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!asks_unknown(&l[i]))
			return false;
	return n > 0;
}

/* Notes what the rule does to every call at these ports. */
static void look_at_all_calls(const struct build *b, const struct mt_authz_rule *r, bool unknown)
{
	bool decided = !asks_unknown(&r->when) && !all_ask_unknown(r->from, r->n_from) &&
		       !all_ask_unknown(r->to, r->n_to);

	b->p->admits |= decided && is_possible(b, r);
	b->p->closes_all |= denies(b) && (unknown || b->p->action == MT_AUTHZ_CLOSE) &&
			    one_never_fails(b, r->from, r->n_from) &&
			    one_never_fails(b, r->to, r->n_to) && never_fails(b, &r->when);
}

static void look_at_operations(const struct build *b, struct mt_authz_rule *r)
{
	bool unknown = asks_unknown(&r->when);

	for (uint32_t i = 0; i < r->n_from; i++)
		unknown |= asks_unknown(&r->from[i]);
	for (uint32_t i = 0; i < r->n_to; i++) {
		unknown |= asks_unknown(&r->to[i]);
		for (uint32_t j = 0; j < r->to[i].n; j++) {
			uint8_t f = r->to[i].v[j].field;

			r->by_interface |= f == MT_AUTHZ_PATH || f == MT_AUTHZ_INTERFACE;
			r->by_method |= f == MT_AUTHZ_PATH || f == MT_AUTHZ_METHOD;
		}
	}
	if (is_possible(b, r) && (unknown || b->p->action == MT_AUTHZ_CLOSE))
		b->p->closes = true;
	look_at_all_calls(b, r, unknown);
}

/* Compares like cond_fits_port() in judge.c, to leave out rules that never match at these ports. */
static bool port_is(const struct mt_authz_value *v, uint32_t n, uint16_t port)
{
	for (uint32_t i = 0; i < n; i++)
		if (v[i].port == port)
			return true;
	return false;
}

static bool is_of_other_ports(const struct build *b, const struct mt_authz_conds *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct mt_authz_cond *w = &l->v[i];

		if (w->field != MT_AUTHZ_PORT)
			continue;
		if (port_is(w->nots, w->n_nots, b->at->server))
			return true;
		if (w->n_values && !port_is(w->values, w->n_values, b->at->server) &&
			!(denies(b) && port_is(w->values, w->n_values, b->at->service)))
			return true;
	}
	return false;
}

static bool never_fits_here(const struct build *b, const struct mt_authz_rule *r)
{
	if (!b->at)
		return false;
	if (is_of_other_ports(b, &r->when))
		return true;
	for (uint32_t i = 0; i < r->n_to; i++)
		if (!is_of_other_ports(b, &r->to[i]))
			return false;
	return r->n_to > 0;
}

static struct mt_authz_conds *several(struct build *b, uint32_t n)
{
	return mt_region_alloc(b->r, sizeof(struct mt_authz_conds) * MT_MAX(n, 1u));
}

static bool compile_rule(
	struct build *b, const struct mt_policy_rule *from, struct mt_authz_rule *to)
{
	b->missing = NULL;
	to->from = several(b, from->n_from);
	to->to = several(b, from->n_to);
	if (!to->from || !to->to)
		return false;
	to->n_from = from->n_from;
	to->n_to = from->n_to;
	for (uint32_t i = 0; i < from->n_from; i++)
		source(b, &to->from[i], from->from[i].source);
	for (uint32_t i = 0; i < from->n_to; i++)
		operation(b, &to->to[i], from->to[i].operation);
	for (uint32_t i = 0; i < from->n_when; i++)
		condition(b, &to->when, &from->when[i]);
	return true;
}

static void compile_rules(struct build *b, const struct mt_authorization_policy *p)
{
	struct mt_authz_rule *r = mt_region_alloc(b->r, sizeof(*r) * MT_MAX(p->n_rules, 1u));
	const char **note = denies(b) ? &b->p->dropped : &b->p->vanished;

	b->p->rules = r;
	for (uint32_t i = 0; r && i < p->n_rules; i++) {
		struct mt_authz_rule *to = &r[b->p->n_rules];

		*to = (struct mt_authz_rule){.line = p->rules[i].origin.line};
		if (!compile_rule(b, &p->rules[i], to))
			return;
		if (never_fits_here(b, to))
			continue;
		if (b->missing && !*note)
			*note = mt_region_strdup(b->r, b->missing);
		/* An ALLOW rule on a field that the codec lacks matches no call: leave it out. */
		if (b->missing && !denies(b))
			continue;
		look_at_operations(b, to);
		b->p->n_rules++;
	}
}

static struct mt_authz_policy *begin(
	struct mt_region *r, enum mt_authz_action action, const struct mt_meta *meta)
{
	struct mt_authz_policy *p = mt_region_alloc(r, sizeof(*p));

	if (!p)
		return NULL;
	p->action = (uint8_t)action;
	p->serial = meta->serial;
	p->by = mt_region_printf(r, "%s %s/%s", meta->kind, meta->ns, meta->name);
	return p->by ? p : NULL;
}

struct mt_authz_policy *mt_authz_compile(struct mt_region *r,
	const struct mt_authorization_policy *p, const struct mt_codec *codec,
	const struct mt_authz_ports *at, const struct mt_authz_callers *who)
{
	static const struct mt_authz_callers nobody;
	static const uint8_t actions[] = {[MT_POLICY_ALLOW] = MT_AUTHZ_ALLOW,
		[MT_POLICY_DENY] = MT_AUTHZ_DENY,
		[MT_POLICY_AUDIT] = MT_AUTHZ_ALLOW,
		[MT_POLICY_CUSTOM] = MT_AUTHZ_CLOSE};
	struct build b = {
		.r = r, .codec = codec, .ns = p->meta.ns, .at = at, .who = who ? who : &nobody};

	MT_ASSERT(p->action.v != MT_POLICY_AUDIT);
	b.p = begin(r, actions[p->action.v], &p->meta);
	if (!b.p)
		return NULL;
	compile_rules(&b, p);
	return r->failed ? NULL : b.p;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static void token(struct build *b, const char *name, const char *prefix)
{
	struct mt_authz_rule *r =
		mt_region_push(b->r, (void **)&b->p->rules, &b->p->n_rules, sizeof(*r));
	struct mt_text any = {"*", 0};
	const struct mt_texts yes = {&any, 1}, no = {0};
	struct mt_authz_cond *w;

	if (!r)
		return;
	*r = (struct mt_authz_rule){0};
	w = add(b, &r->when, MT_AUTHZ_METADATA, &yes, &no);
	if (!w)
		return;
	w->key = key_of(b, name, strlen(name), true);
	if (prefix && *prefix && w->values) {
		const char *copy = mt_region_strdup(b->r, prefix);

		w->values[0].match = MT_AUTHZ_BEGINS;
		w->values[0].text =
			(struct mt_slice){(const uint8_t *)copy, (uint32_t)strlen(prefix)};
	}
}

static struct mt_key *keys_of(struct build *b,
	const char *(*name)(const struct mt_token_rules *r, uint32_t i), uint32_t n,
	const struct mt_token_rules *rules)
{
	struct mt_key *k = mt_region_alloc(b->r, sizeof(*k) * MT_MAX(n, 1u));

	for (uint32_t i = 0; k && i < n; i++)
		k[i] = key_of(b, name(rules, i), strlen(name(rules, i)), true);
	return k;
}

static const char *place_of(const struct mt_token_rules *r, uint32_t i)
{
	return r->places[i].key;
}

static const char *sanitized_of(const struct mt_token_rules *r, uint32_t i)
{
	return r->sanitized[i];
}

bool mt_authz_carries(const struct mt_codec *codec)
{
	return has_metadata(codec);
}

const struct mt_authz_tokens *mt_authz_tokens_for(
	struct mt_region *r, struct mt_token_rules *rules, const struct mt_codec *codec)
{
	struct build b = {.r = r, .codec = codec};
	struct mt_authz_tokens *t;

	if (!has_metadata(codec))
		return NULL;
	t = mt_region_alloc(r, sizeof(*t));
	if (!t)
		return NULL;
	t->rules = rules;
	t->places = keys_of(&b, place_of, rules->n_places, rules);
	t->sanitized = keys_of(&b, sanitized_of, rules->n_sanitized, rules);
	return r->failed ? NULL : t;
}

struct mt_authz_policy *mt_authz_compile_tokens(struct mt_region *r,
	const struct mt_request_authentication *p, const struct mt_codec *codec)
{
	struct build b = {.r = r, .codec = codec, .ns = p->meta.ns};

	if (!has_metadata(codec))
		return NULL;
	b.p = begin(r, MT_AUTHZ_DENY, &p->meta);
	if (!b.p)
		return NULL;
	for (uint32_t i = 0; i < p->n_rules; i++) {
		const struct mt_jwt_rule *j = &p->rules[i];

		if (!j->n_headers && !j->params.n && !j->cookies.n)
			token(&b, "authorization", "Bearer ");
		for (uint32_t k = 0; k < j->n_headers; k++)
			token(&b, j->headers[k].name.s, j->headers[k].prefix.s);
	}
	return r->failed || !b.p->n_rules ? NULL : b.p;
}
