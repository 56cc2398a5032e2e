/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles the sources, operations and conditions of a rule. */
#include "mt_authz_compile_priv.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

struct mt_authz_cond *mt_authz_add(struct mt_authz_build *b, struct mt_authz_conds *l,
	uint8_t field, const struct mt_texts *yes, const struct mt_texts *no)
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
		.values = mt_authz_values(b, field, yes, true),
		.nots = mt_authz_values(b, field, no, false)};
	return w;
}

/*
 * Adds a condition on the principals, and on the same principals in the aliases of their trust
 * domain.
 */
static void add_principals(struct mt_authz_build *b, struct mt_authz_conds *l,
	const struct mt_texts *yes, const struct mt_texts *no)
{
	const struct mt_texts all = mt_authz_domains(b->r, b->who, yes),
			      none = mt_authz_domains(b->r, b->who, no);

	mt_authz_add(b, l, MT_AUTHZ_PRINCIPAL, &all, &none);
}

static void add_trust_domains(struct mt_authz_build *b, struct mt_authz_conds *l,
	const struct mt_texts *yes, const struct mt_texts *no)
{
	const struct mt_texts all = mt_authz_trust_domains(b->r, b->who, yes),
			      none = mt_authz_trust_domains(b->r, b->who, no);

	mt_authz_add(b, l, MT_AUTHZ_TRUST_DOMAIN, &all, &none);
}

static bool any_star(const struct mt_texts *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (mt_authz_has_star(l->v[i].s))
			return true;
	return false;
}

/*
 * Adds a condition on service accounts. A name with "*" makes the condition UNKNOWN, unless no
 * caller can have an account.
 */
static void add_accounts(struct mt_authz_build *b, struct mt_authz_conds *l,
	const struct mt_texts *yes, const struct mt_texts *no)
{
	bool known = !b->who->certified || !(any_star(yes) || any_star(no));

	mt_authz_add(b, l, known ? MT_AUTHZ_ACCOUNT : MT_AUTHZ_UNKNOWN, yes, no);
}

/* True if messages of the codec have service and method. */
static bool has_names(const struct mt_codec *codec)
{
	return !codec->opaque && codec->method_key.name != NULL;
}

static bool is_key(const struct mt_key *key, const char *name)
{
	return name && (key->icase ? strcasecmp(key->name, name) : strcmp(key->name, name)) == 0;
}

/* True if the key names the service or the method. */
static bool is_name(const struct mt_codec *codec, const struct mt_key *key)
{
	return is_key(key, codec->service_key) || is_key(key, codec->method_key.name);
}

bool mt_authz_is_elsewhere(const struct mt_codec *codec, const struct mt_key *key)
{
	const char *const *k = codec->executed_keys;

	if (!codec->executes_other || !key->name)
		return false;
	if (is_name(codec, key))
		return true;
	for (; k && *k; k++)
		if (strcmp(*k, "*") == 0 || is_key(key, *k))
			return false;
	return true;
}

bool mt_authz_carries(const struct mt_codec *codec)
{
	return !codec->opaque && (codec->metadata.index || codec->metadata.leading);
}

/*
 * Adds a condition on a field that only some codecs have. If this codec lacks the field, records
 * its name.
 */
static struct mt_authz_cond *add_if(struct mt_authz_build *b, struct mt_authz_conds *l, bool has,
	uint8_t field, const char *name, const struct mt_texts *yes, const struct mt_texts *no)
{
	if (has)
		return mt_authz_add(b, l, field, yes, no);
	if ((yes->n || no->n) && !b->missing)
		b->missing = name;
	return NULL;
}

/*
 * Adds a condition on service or method. It cannot be evaluated if servers may execute another one
 * than the message names.
 */
static void add_name(struct mt_authz_build *b, struct mt_authz_conds *l, uint8_t field,
	const char *name, const struct mt_texts *yes, const struct mt_texts *no)
{
	bool has = has_names(b->codec), other = b->codec->executes_other;

	if (add_if(b, l, has, other ? MT_AUTHZ_UNKNOWN : field, name, yes, no) && other)
		b->other = b->other ? b->other : name;
}

void mt_authz_source(
	struct mt_authz_build *b, struct mt_authz_conds *l, const struct mt_policy_source *s)
{
	if (!s)
		return;
	mt_authz_add(b, l, MT_AUTHZ_PEER, &s->ip_blocks, &s->not_ip_blocks);
	mt_authz_add(b, l, MT_AUTHZ_PEER, &s->remote_ip_blocks, &s->not_remote_ip_blocks);
	add_principals(b, l, &s->principals, &s->not_principals);
	mt_authz_add(b, l, MT_AUTHZ_NAMESPACE, &s->namespaces, &s->not_namespaces);
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

void mt_authz_operation(
	struct mt_authz_build *b, struct mt_authz_conds *l, const struct mt_policy_operation *o)
{
	if (!o)
		return;
	mt_authz_add(b, l, MT_AUTHZ_PORT, &o->ports, &o->not_ports);
	add_if(b, l, false, MT_AUTHZ_NOBODY, "hosts", &o->hosts, &o->not_hosts);
	add_name(b, l, MT_AUTHZ_METHOD, "methods", &o->methods, &o->not_methods);
	add_name(b, l,
		has_template(&o->paths) || has_template(&o->not_paths) ? MT_AUTHZ_UNKNOWN
								       : MT_AUTHZ_PATH,
		"paths", &o->paths, &o->not_paths);
	add_name(b, l, MT_AUTHZ_INTERFACE, "interfaces", &o->interfaces, &o->not_interfaces);
}

struct condition_kind {
	const char *key;
	uint8_t field;
	bool prefix;   /* the key continues with a name in brackets */
	bool messages; /* opaque TCP does not have the field */
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

struct mt_key mt_authz_key_of(struct mt_authz_build *b, const char *name, size_t len, bool icase)
{
	char *copy = mt_region_strndup(b->r, name, len);

	if (!copy)
		return (struct mt_key){0};
	/* In lower case, so that reports and the index of rules have one form of the key. */
	for (char *p = copy; icase && *p; p++)
		*p = (char)tolower((unsigned char)*p);
	return icase ? mt_key_make_icase(b->codec, copy) : mt_key_make(b->codec, copy);
}

/*
 * Encodes the claim in a condition's key: "request.auth.audiences", "request.auth.presenter",
 * "request.auth.claims[a][b]". Returns false if the key is malformed.
 */
static bool claim_path(struct mt_authz_build *b, const char *key, struct mt_slice *out)
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

static void claim(
	struct mt_authz_build *b, struct mt_authz_conds *l, const struct mt_policy_condition *c)
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

void mt_authz_condition(
	struct mt_authz_build *b, struct mt_authz_conds *l, const struct mt_policy_condition *c)
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
		has = mt_authz_carries(b->codec);
	w = add_if(b, l, has,
		k->field == MT_AUTHZ_TOKEN && !b->who->tokens ? MT_AUTHZ_NOBODY : k->field,
		c->key.s, &c->values, &c->not_values);
	if (w && k->field == MT_AUTHZ_METADATA) {
		size_t n = strlen(k->key);

		w->key = mt_authz_key_of(
			b, c->key.s + n, strlen(c->key.s) - n - 1, mt_authz_build_denies(b));
		if (mt_authz_is_elsewhere(b->codec, &w->key)) {
			w->field = MT_AUTHZ_UNKNOWN;
			b->other = b->other ? b->other : c->key.s;
		}
	}
}
