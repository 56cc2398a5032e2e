/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiles policies, as their documents contain them, into rules for messages of one codec.
 * compile_conds.c compiles the conditions of a rule, compile_values.c their values.
 */
#include "mt_authz_compile_priv.h"

#include <string.h>

/* ---- rules ----------------------------------------------------------------------------------- */

/* True for fields with values from the caller's TLS or address. */
static bool is_of_peer(uint8_t field)
{
	return field >= MT_AUTHZ_PRINCIPAL && field <= MT_AUTHZ_SNI;
}

/*
 * True if callers can have a value in this field. Opaque TCP can have a server name on nodes
 * without certificates, too, because the node may forward TLS.
 */
static bool some_caller_has(const struct mt_authz_build *b, uint8_t field)
{
	if (field == MT_AUTHZ_NOBODY)
		return false;
	return b->who->certified || !is_of_peer(field) ||
	       (field == MT_AUTHZ_SNI && b->codec->opaque);
}

/*
 * True if no caller can match these conditions, because no caller has a valid token or a principal
 * (mt_authz_callers).
 */
static bool is_nobodys(const struct mt_authz_build *b, const struct mt_authz_conds *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->v[i].n_values && !some_caller_has(b, l->v[i].field))
			return true;
	return false;
}

static bool all_are_nobodys(
	const struct mt_authz_build *b, const struct mt_authz_conds *l, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!is_nobodys(b, &l[i]))
			return false;
	return n > 0;
}

static bool is_possible(const struct mt_authz_build *b, const struct mt_authz_rule *r)
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

static bool is_of_other_ports(const struct mt_authz_build *b, const struct mt_authz_conds *l);

/* True if every call meets the conditions that can be evaluated. */
static bool never_fails(const struct mt_authz_build *b, const struct mt_authz_conds *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->v[i].field != MT_AUTHZ_UNKNOWN && l->v[i].field != MT_AUTHZ_PORT)
			return false;
	return b->at && !is_of_other_ports(b, l);
}

static bool one_never_fails(
	const struct mt_authz_build *b, const struct mt_authz_conds *l, uint32_t n)
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

/*
 * Records the rule's effect on calls at these ports: if some call may match (`admits`), and if
 * every call is denied because of it (`closes_all`).
 */
static void look_at_all_calls(
	const struct mt_authz_build *b, const struct mt_authz_rule *r, bool unknown)
{
	bool decided = !asks_unknown(&r->when) && !all_ask_unknown(r->from, r->n_from) &&
		       !all_ask_unknown(r->to, r->n_to);

	b->p->admits |= decided && is_possible(b, r);
	b->p->closes_all |= mt_authz_build_denies(b) &&
			    (unknown || b->p->action == MT_AUTHZ_CLOSE) &&
			    one_never_fails(b, r->from, r->n_from) &&
			    one_never_fails(b, r->to, r->n_to) && never_fails(b, &r->when);
}

static void look_at_operations(const struct mt_authz_build *b, struct mt_authz_rule *r)
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

/*
 * True if `port` is one of the values, as in cond_fits_port() of judge.c. Serves to leave out rules
 * that never match at these ports.
 */
static bool port_is(const struct mt_authz_value *v, uint32_t n, uint16_t port)
{
	for (uint32_t i = 0; i < n; i++)
		if (v[i].port == port)
			return true;
	return false;
}

static bool is_of_other_ports(const struct mt_authz_build *b, const struct mt_authz_conds *l)
{
	for (uint32_t i = 0; i < l->n; i++) {
		const struct mt_authz_cond *w = &l->v[i];

		if (w->field != MT_AUTHZ_PORT)
			continue;
		if (port_is(w->nots, w->n_nots, b->at->server))
			return true;
		if (w->n_values && !port_is(w->values, w->n_values, b->at->server) &&
			!(mt_authz_build_denies(b) &&
				port_is(w->values, w->n_values, b->at->service)))
			return true;
	}
	return false;
}

static bool never_fits_here(const struct mt_authz_build *b, const struct mt_authz_rule *r)
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

static struct mt_authz_conds *several(struct mt_authz_build *b, uint32_t n)
{
	return mt_region_alloc(b->r, sizeof(struct mt_authz_conds) * MT_MAX(n, 1u));
}

static bool compile_rule(
	struct mt_authz_build *b, const struct mt_policy_rule *from, struct mt_authz_rule *to)
{
	b->missing = b->other = NULL;
	to->from = several(b, from->n_from);
	to->to = several(b, from->n_to);
	if (!to->from || !to->to)
		return false;
	to->n_from = from->n_from;
	to->n_to = from->n_to;
	for (uint32_t i = 0; i < from->n_from; i++)
		mt_authz_source(b, &to->from[i], from->from[i].source);
	for (uint32_t i = 0; i < from->n_to; i++)
		mt_authz_operation(b, &to->to[i], from->to[i].operation);
	for (uint32_t i = 0; i < from->n_when; i++)
		mt_authz_condition(b, &to->when, &from->when[i]);
	return true;
}

/* Compiled rules of a policy, whatever the port. */
struct mt_authz_rules {
	const struct mt_authorization_policy *of;
	const char *by; /* "KIND NAMESPACE/NAME" */
	const struct mt_codec *codec;
	const struct mt_authz_callers *who;
	struct mt_authz_rule *v;
	/* Of each rule, the first field that the codec lacks, and as in mt_authz_policy.other. */
	const char **missing, **other;
};

static uint8_t action_of(const struct mt_authorization_policy *p)
{
	static const uint8_t actions[] = {[MT_POLICY_ALLOW] = MT_AUTHZ_ALLOW,
		[MT_POLICY_DENY] = MT_AUTHZ_DENY,
		[MT_POLICY_AUDIT] = MT_AUTHZ_ALLOW,
		[MT_POLICY_CUSTOM] = MT_AUTHZ_CLOSE};

	MT_ASSERT(p->action.v != MT_POLICY_AUDIT);
	return actions[p->action.v];
}

struct mt_authz_rules *mt_authz_rules_of(struct mt_region *r,
	const struct mt_authorization_policy *p, const struct mt_codec *codec,
	const struct mt_authz_callers *who)
{
	static const struct mt_authz_callers nobody;
	struct mt_authz_policy shape = {.action = action_of(p)};
	struct mt_authz_build b = {
		.r = r, .codec = codec, .p = &shape, .ns = p->meta.ns, .who = who ? who : &nobody};
	struct mt_authz_rules *rules = mt_region_alloc(r, sizeof(*rules));
	const size_t n = MT_MAX(p->n_rules, 1u);

	if (!rules)
		return NULL;
	*rules = (struct mt_authz_rules){.of = p,
		.by = mt_region_printf(r, "%s %s/%s", p->meta.kind, p->meta.ns, p->meta.name),
		.codec = codec,
		.who = b.who,
		.v = mt_region_alloc(r, sizeof(*rules->v) * n),
		.missing = mt_region_alloc(r, sizeof(*rules->missing) * n),
		.other = mt_region_alloc(r, sizeof(*rules->other) * n)};
	for (uint32_t i = 0; !r->failed && i < p->n_rules; i++) {
		rules->v[i] = (struct mt_authz_rule){.line = p->rules[i].origin.line};
		if (!compile_rule(&b, &p->rules[i], &rules->v[i]))
			return NULL;
		rules->missing[i] = b.missing ? mt_region_strdup(r, b.missing) : NULL;
		rules->other[i] = b.other ? mt_region_strdup(r, b.other) : NULL;
	}
	return r->failed ? NULL : rules;
}

/*
 * True if the rule is one of the policy at the ports. An ALLOW rule on a field that the codec lacks
 * is left out, because it matches no call.
 */
static bool is_kept(const struct mt_authz_build *b, const struct mt_authz_rules *rules, uint32_t i)
{
	return !never_fits_here(b, &rules->v[i]) &&
	       (!rules->missing[i] || mt_authz_build_denies(b));
}

/* Notes the first field that the codec lacks, of the rules for these ports. */
static void note_missing(const struct mt_authz_build *b, const struct mt_authz_rules *rules)
{
	const char **note = mt_authz_build_denies(b) ? &b->p->dropped : &b->p->vanished;

	for (uint32_t i = 0; i < rules->of->n_rules && !*note; i++)
		if (rules->missing[i] && !never_fits_here(b, &rules->v[i]))
			*note = rules->missing[i];
}

/* Notes the first field of the rules for these ports that cannot be evaluated. */
static void note_other(const struct mt_authz_build *b, const struct mt_authz_rules *rules)
{
	for (uint32_t i = 0; i < rules->of->n_rules && !b->p->other; i++)
		if (!never_fits_here(b, &rules->v[i]))
			b->p->other = rules->other[i];
}

struct mt_authz_policy *mt_authz_at_ports(
	struct mt_region *r, const struct mt_authz_rules *rules, const struct mt_authz_ports *at)
{
	struct mt_authz_policy *p = mt_region_alloc(r, sizeof(*p));
	const struct mt_authz_build b = {
		.r = r, .codec = rules->codec, .p = p, .at = at, .who = rules->who};
	uint32_t n = 0;

	if (!p)
		return NULL;
	*p = (struct mt_authz_policy){
		.action = action_of(rules->of), .serial = rules->of->meta.serial, .by = rules->by};
	note_missing(&b, rules);
	note_other(&b, rules);
	for (uint32_t i = 0; i < rules->of->n_rules; i++)
		n += is_kept(&b, rules, i);
	p->rules = n == rules->of->n_rules ? rules->v
					   : mt_region_alloc(r, sizeof(*p->rules) * MT_MAX(n, 1u));
	for (uint32_t i = 0; p->rules && p->n_rules < n; i++) {
		if (!is_kept(&b, rules, i))
			continue;
		if (p->rules != rules->v)
			p->rules[p->n_rules] = rules->v[i];
		look_at_operations(&b, &p->rules[p->n_rules++]);
	}
	return r->failed ? NULL : p;
}

struct mt_authz_policy *mt_authz_compile(struct mt_region *r,
	const struct mt_authorization_policy *p, const struct mt_codec *codec,
	const struct mt_authz_ports *at, const struct mt_authz_callers *who)
{
	const struct mt_authz_rules *rules = mt_authz_rules_of(r, p, codec, who);

	return rules ? mt_authz_at_ports(r, rules, at) : NULL;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

static void token(struct mt_authz_build *b, const char *name, const char *prefix)
{
	struct mt_authz_rule *r =
		mt_region_push(b->r, (void **)&b->p->rules, &b->p->n_rules, sizeof(*r));
	struct mt_text any = {"*", 0};
	const struct mt_texts yes = {&any, 1}, no = {0};
	struct mt_authz_cond *w;

	if (!r)
		return;
	*r = (struct mt_authz_rule){0};
	w = mt_authz_add(b, &r->when, MT_AUTHZ_METADATA, &yes, &no);
	if (!w)
		return;
	w->key = mt_authz_key_of(b, name, strlen(name), true);
	if (prefix && *prefix && w->values) {
		const char *copy = mt_region_strdup(b->r, prefix);

		w->values[0].match = MT_AUTHZ_BEGINS;
		w->values[0].text =
			(struct mt_slice){(const uint8_t *)copy, (uint32_t)strlen(prefix)};
	}
}

static struct mt_key *keys_of(struct mt_authz_build *b,
	const char *(*name)(const struct mt_token_rules *r, uint32_t i), uint32_t n,
	const struct mt_token_rules *rules)
{
	struct mt_key *k = mt_region_alloc(b->r, sizeof(*k) * MT_MAX(n, 1u));

	for (uint32_t i = 0; k && i < n; i++)
		k[i] = mt_authz_key_of(b, name(rules, i), strlen(name(rules, i)), true);
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

const struct mt_authz_tokens *mt_authz_tokens_for(
	struct mt_region *r, struct mt_token_rules *rules, const struct mt_codec *codec)
{
	struct mt_authz_build b = {.r = r, .codec = codec};
	struct mt_authz_tokens *t;

	if (!mt_authz_carries(codec))
		return NULL;
	t = mt_region_alloc(r, sizeof(*t));
	if (!t)
		return NULL;
	t->rules = rules;
	t->places = keys_of(&b, place_of, rules->n_places, rules);
	t->sanitized = keys_of(&b, sanitized_of, rules->n_sanitized, rules);
	return r->failed ? NULL : t;
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

struct mt_authz_policy *mt_authz_compile_tokens(struct mt_region *r,
	const struct mt_request_authentication *p, const struct mt_codec *codec)
{
	struct mt_authz_build b = {.r = r, .codec = codec, .ns = p->meta.ns};

	if (!mt_authz_carries(codec))
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
