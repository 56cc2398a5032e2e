/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A call against policies as they are written, without anything compiled. What cannot be known is taken for the worst: in a
 * rule that denies it fits, in one that allows it does not.
 */
#include "authz_test.h"

#include <ctype.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct ask {
	const struct said *s;
	const struct mt_codec *codec;
	const struct mt_authz_callers *who;
	const char *ns;
	bool deny;
	const char *interface, *method; /* what it is taken for */
};

/* `none`: whether "*" fits a text of no letters. */
static bool matches(const char *pattern, const char *text, bool none)
{
	size_t p = strlen(pattern), t = strlen(text);

	if (strcmp(pattern, "*") == 0)
		return none || t > 0;
	if (pattern[0] == '*')
		return t >= p - 1 && strcmp(text + t - (p - 1), pattern + 1) == 0;
	if (pattern[p - 1] == '*')
		return strncmp(text, pattern, p - 1) == 0;
	return strcmp(text, pattern) == 0;
}

static bool any(const struct mt_texts *l, const char *text, bool none)
{
	bool yes = false;

	for (uint32_t i = 0; i < l->n; i++)
		yes |= matches(l->v[i].s, text, none);
	return yes;
}

static bool texts(const struct ask *a, const char *text, const struct mt_texts *yes,
	const struct mt_texts *no)
{
	if (!text)
		return yes->n == 0;
	return (yes->n == 0 || any(yes, text, a->deny)) && !any(no, text, !a->deny);
}

static bool in(const struct mt_texts *l, const char *address)
{
	struct mt_addr a, net;
	uint8_t bits;

	if (mt_addr_parse(address, &a))
		abort();
	for (uint32_t i = 0; i < l->n; i++)
		if (mt_prefix_parse(l->v[i].s, &net, &bits) == 0 &&
			mt_prefix_contains(&net, bits, &a))
			return true;
	return false;
}

static bool blocks(const char *address, const struct mt_texts *yes, const struct mt_texts *no)
{
	return (yes->n == 0 || in(yes, address)) && !in(no, address);
}

static bool has_port(const struct mt_texts *l, uint16_t port)
{
	char text[8];

	snprintf(text, sizeof(text), "%u", port);
	for (uint32_t i = 0; i < l->n; i++)
		if (strcmp(l->v[i].s, text) == 0)
			return true;
	return false;
}

static bool ports(const struct ask *a, const struct mt_texts *yes, const struct mt_texts *no)
{
	bool named = yes->n == 0 || has_port(yes, a->s->server_port);

	if (a->deny && has_port(yes, a->s->service_port))
		named = true;
	return named && !has_port(no, a->s->server_port);
}

/* ---- who calls: one of ours is known by any of the names of our trust domain ---- */

static bool is_ours(const struct mt_authz_callers *who, const char *domain)
{
	bool ours = false;

	for (uint32_t i = 0; i < who->n_domains; i++)
		ours |= strcmp(domain, who->domains[i]) == 0;
	return ours;
}

/* A pattern's domain ("*d" is one that ends so) stands for ours, all of them. */
static bool means_us(const struct mt_authz_callers *who, const char *domain)
{
	bool us = strcmp(domain, "cluster.local") == 0 || is_ours(who, domain);

	for (uint32_t i = 0; domain[0] == '*' && i < who->n_domains; i++)
		us |= matches(domain, who->domains[i], true);
	return us;
}

/* Into up to 8 parts; how many there are. */
static uint32_t split(const char *s, char parts[8][64])
{
	uint32_t n = 0;

	for (; n < 8; n++, s++) {
		size_t len = strcspn(s, "/");

		snprintf(parts[n], 64, "%.*s", (int)len, s);
		s += len;
		if (!*s)
			return n + 1;
	}
	return n;
}

static bool one_principal(const struct ask *a, const char *pattern)
{
	const char *p = a->s->principal;
	char want[8][64], have[8][64];

	split(p, have);
	if (!a->who->n_domains || split(pattern, want) != 5 || strcmp(want[0], "*") == 0 ||
		!means_us(a->who, want[0]))
		return matches(pattern, p, a->deny);
	if (want[0][0] == '*' && matches(pattern, p, true))
		return true;
	/* What ends as the pattern says is meant as it is written. */
	if (want[0][0] == '*' && matches(want[0], have[0], true))
		return false;
	return is_ours(a->who, have[0]) &&
	       matches(pattern + strcspn(pattern, "/"), p + strcspn(p, "/"), true);
}

static bool principals(const struct ask *a, const struct mt_texts *yes, const struct mt_texts *no)
{
	bool in_yes = yes->n == 0, in_no = false;
	struct ask other = *a;

	if (!a->s->principal)
		return yes->n == 0;
	other.deny = !a->deny;
	for (uint32_t i = 0; i < yes->n; i++)
		in_yes |= one_principal(a, yes->v[i].s);
	for (uint32_t i = 0; i < no->n; i++)
		in_no |= one_principal(&other, no->v[i].s);
	return in_yes && !in_no;
}

enum form { NOBODY, MEMBER, ODD };

/* "TD/ns/NS/sa/SA" */
static enum form form_of(const struct ask *a, char parts[8][64])
{
	if (!a->s->principal)
		return NOBODY;
	if (split(a->s->principal, parts) == 5 && *parts[0] && *parts[2] && *parts[4] &&
		strcmp(parts[1], "ns") == 0 && strcmp(parts[3], "sa") == 0)
		return MEMBER;
	return strstr(a->s->principal, "/ns/") ? ODD : NOBODY;
}

static bool any_shell(const struct mt_texts *l, const char *text)
{
	bool yes = false;

	for (uint32_t i = 0; i < l->n; i++)
		yes |= fnmatch(l->v[i].s, text, 0) == 0;
	return yes;
}

static bool namespaces(const struct ask *a, const struct mt_texts *yes, const struct mt_texts *no)
{
	char parts[8][64];
	enum form f = form_of(a, parts);

	if (f == MEMBER)
		return (yes->n == 0 || any_shell(yes, parts[2])) && !any_shell(no, parts[2]);
	return yes->n + no->n == 0 || (f == ODD ? a->deny : yes->n == 0);
}

/* A name of ours is each of them. */
static bool any_domain(const struct ask *a, const struct mt_texts *l, const char *have, bool none)
{
	bool yes = false;

	for (uint32_t i = 0; i < l->n; i++)
		yes |= is_ours(a->who, l->v[i].s) ? is_ours(a->who, have)
						  : matches(l->v[i].s, have, none);
	return yes;
}

static bool domains(const struct ask *a, const struct mt_texts *yes, const struct mt_texts *no)
{
	char parts[8][64];

	if (!a->s->principal)
		return yes->n == 0;
	split(a->s->principal, parts);
	return (yes->n == 0 || any_domain(a, yes, parts[0], a->deny)) &&
	       !any_domain(a, no, parts[0], !a->deny);
}

static bool any_account(const struct ask *a, const struct mt_texts *l, char parts[8][64])
{
	bool yes = false;

	for (uint32_t i = 0; i < l->n; i++) {
		char want[64], have[192];

		snprintf(want, sizeof(want), strchr(l->v[i].s, '/') ? "%s%s" : "%s/%s",
			strchr(l->v[i].s, '/') ? "" : a->ns, l->v[i].s);
		snprintf(have, sizeof(have), "%s/%s", parts[2], parts[4]);
		yes |= strcmp(want, have) == 0;
	}
	return yes;
}

static bool accounts(const struct ask *a, const struct mt_texts *yes, const struct mt_texts *no)
{
	char parts[8][64];
	enum form f = form_of(a, parts);
	bool stars = false;

	for (uint32_t i = 0; i < yes->n + no->n; i++)
		stars |= strchr(i < yes->n ? yes->v[i].s : no->v[i - yes->n].s, '*') != NULL;
	if (stars && a->who->certified)
		return a->deny;
	if (f == MEMBER)
		return (yes->n == 0 || any_account(a, yes, parts)) && !any_account(a, no, parts);
	return yes->n + no->n == 0 || (f == ODD ? a->deny : yes->n == 0);
}

static bool sni(const struct ask *a, const struct mt_texts *yes, const struct mt_texts *no)
{
	if (a->s->sni_unkept)
		return a->deny;
	struct mt_text v[2][SAID_MAX];
	struct mt_texts both[2] = {{v[0], yes->n}, {v[1], no->n}};
	char pool[2][SAID_MAX][64];

	for (int w = 0; w < 2; w++)
		for (uint32_t i = 0; i < both[w].n; i++) {
			snprintf(pool[w][i], 64, "%s", w ? no->v[i].s : yes->v[i].s);
			for (char *p = pool[w][i]; *p; p++)
				*p = *p == '.' && !p[1] && p > pool[w][i]
					     ? '\0'
					     : (char)tolower((unsigned char)*p);
			v[w][i].s = pool[w][i];
		}
	return texts(a, a->s->sni, &both[0], &both[1]);
}

/* ---- tokens ---- */

/* "*": any; else as it is written, of the part that has the star. */
static bool part(const struct ask *a, const char *s, const char *pattern, bool left_out)
{
	size_t n = strlen(pattern), len = strlen(s);

	if (strcmp(pattern, "*") == 0)
		return len > 0 || a->deny != left_out;
	if (n && pattern[0] == '*')
		return len >= n - 1 && strcmp(s + len - (n - 1), pattern + 1) == 0;
	if (n && pattern[n - 1] == '*')
		return strncmp(s, pattern, n - 1) == 0;
	return strcmp(s, pattern) == 0;
}

static bool one_issued(const struct ask *a, const char *want, bool left_out)
{
	const char *slash = strrchr(want, '/');
	char iss[128];
	bool first = want[0] == '*', last = !first && *want && want[strlen(want) - 1] == '*';

	if (strcmp(want, "*") == 0)
		return part(a, a->s->iss, "*", left_out) && part(a, a->s->sub, "*", left_out);
	if (!slash && first)
		return part(a, a->s->iss, "*", left_out) && part(a, a->s->sub, want, left_out);
	if (!slash && last)
		return part(a, a->s->iss, want, left_out) && part(a, a->s->sub, "*", left_out);
	if (!slash)
		return strcmp(a->s->iss, want) == 0 && !*a->s->sub;
	snprintf(iss, sizeof(iss), "%.*s", (int)(slash - want), want);
	return (first ? part(a, a->s->iss, iss, left_out) : strcmp(a->s->iss, iss) == 0) &&
	       (last ? part(a, a->s->sub, slash + 1, left_out) : strcmp(a->s->sub, slash + 1) == 0);
}

static bool request_principals(
	const struct ask *a, const struct mt_texts *yes, const struct mt_texts *no)
{
	bool fits = yes->n == 0;

	if (!a->s->has_token || !a->s->iss || !a->s->sub || !a->who->tokens)
		return yes->n == 0;
	for (uint32_t i = 0; i < yes->n; i++)
		fits |= one_issued(a, yes->v[i].s, false);
	for (uint32_t i = 0; i < no->n; i++)
		fits &= !one_issued(a, no->v[i].s, true);
	return fits;
}

static bool is_claim(const struct said *s, uint32_t i, const char *key)
{
	char path[64];

	if (strcmp(key, "request.auth.audiences") == 0)
		key = "request.auth.claims[aud]";
	if (s->claims[i].path[1])
		snprintf(path, sizeof(path), "request.auth.claims[%s][%s]", s->claims[i].path[0],
			s->claims[i].path[1]);
	else
		snprintf(path, sizeof(path), "request.auth.claims[%s]", s->claims[i].path[0]);
	return strcmp(path, key) == 0;
}

static bool claims(const struct ask *a, const struct mt_policy_condition *c)
{
	static const struct mt_texts none;
	bool there = false, fits = c->values.n == 0, spared = false;

	for (uint32_t i = 0; a->s->has_token && a->who->tokens && i < a->s->n_claims; i++) {
		if (!is_claim(a->s, i, c->key.s))
			continue;
		there = true;
		fits |= c->values.n && texts(a, a->s->claims[i].value, &c->values, &none);
		spared |=
			c->not_values.n && !texts(a, a->s->claims[i].value, &none, &c->not_values);
	}
	return there ? fits && !spared : c->values.n == 0;
}

static bool from(const struct ask *a, const struct mt_policy_source *s)
{
	if (!s)
		return true;
	if (a->codec->opaque && (s->request_principals.n || s->not_request_principals.n) &&
		!a->deny)
		return false;
	return blocks(a->s->peer, &s->ip_blocks, &s->not_ip_blocks) &&
	       blocks(a->s->peer, &s->remote_ip_blocks, &s->not_remote_ip_blocks) &&
	       principals(a, &s->principals, &s->not_principals) &&
	       namespaces(a, &s->namespaces, &s->not_namespaces) &&
	       domains(a, &s->trust_domains, &s->not_trust_domains) &&
	       accounts(a, &s->service_accounts, &s->not_service_accounts) &&
	       (a->codec->opaque ||
		       request_principals(a, &s->request_principals, &s->not_request_principals));
}

/* A path with its slash in front, as patterns are made. */
static bool paths(const struct ask *a, const struct mt_texts *yes, const struct mt_texts *no)
{
	struct mt_text v[2][SAID_MAX];
	struct mt_texts both[2] = {{v[0], yes->n}, {v[1], no->n}};
	static char pool[2][SAID_MAX][64];
	char path[128];

	for (int w = 0; w < 2; w++)
		for (uint32_t i = 0; i < both[w].n; i++) {
			const char *s = w ? no->v[i].s : yes->v[i].s;

			snprintf(pool[w][i], 64, "%s%s", s[0] == '/' || s[0] == '*' ? "" : "/", s);
			v[w][i].s = pool[w][i];
		}
	snprintf(path, sizeof(path), "/%s/%s", a->interface, a->method);
	return texts(a, path, &both[0], &both[1]);
}

static bool has_template(const struct mt_policy_operation *o)
{
	for (uint32_t i = 0; i < o->paths.n + o->not_paths.n; i++)
		if (strchr(i < o->paths.n ? o->paths.v[i].s : o->not_paths.v[i - o->paths.n].s,
			    '{'))
			return true;
	return false;
}

static bool to(const struct ask *a, const struct mt_policy_operation *o)
{
	bool methods = o && (o->methods.n || o->not_methods.n);
	bool by_path = o && (o->paths.n || o->not_paths.n);
	bool by_interface = o && (o->interfaces.n || o->not_interfaces.n);

	if (!o)
		return true;
	if (!ports(a, &o->ports, &o->not_ports))
		return false;
	if ((o->hosts.n || o->not_hosts.n) && !a->deny)
		return false;
	if (a->codec->opaque)
		return a->deny || (!methods && !by_path && !by_interface);
	if (methods &&
		!(a->s->no_methods ? a->deny : texts(a, a->method, &o->methods, &o->not_methods)))
		return false;
	if (by_interface &&
		!(a->s->no_interfaces ? a->deny
				      : texts(a, a->interface, &o->interfaces, &o->not_interfaces)))
		return false;
	if (!by_path)
		return true;
	if (a->s->no_methods || a->s->no_interfaces || has_template(o))
		return a->deny;
	return paths(a, &o->paths, &o->not_paths);
}

static bool headers(const struct ask *a, const struct mt_policy_condition *c)
{
	char key[64];
	uint32_t n = 0, fit = 0;

	if (a->s->no_metadata)
		return a->deny;
	snprintf(key, sizeof(key), "%.*s", (int)(strlen(c->key.s) - 17), c->key.s + 16);
	for (uint32_t i = 0; i < a->s->n_metadata; i++) {
		const char *k = a->s->metadata[i].key, *v = a->s->metadata[i].value;

		if (a->deny ? strcasecmp(k, key) : strcmp(k, key))
			continue;
		if (!v)
			return a->deny;
		n++;
		fit += texts(a, v, &c->values, &c->not_values);
	}
	if (n == 0)
		return c->values.n == 0;
	return a->deny ? fit > 0 : fit == n;
}

static bool when(const struct ask *a, const struct mt_policy_condition *c)
{
	const char *k = c->key.s;

	if (strcmp(k, "source.ip") == 0 || strcmp(k, "remote.ip") == 0)
		return blocks(a->s->peer, &c->values, &c->not_values);
	if (strcmp(k, "destination.ip") == 0)
		return blocks(a->s->server, &c->values, &c->not_values);
	if (strcmp(k, "destination.port") == 0)
		return ports(a, &c->values, &c->not_values);
	if (strcmp(k, "source.principal") == 0)
		return principals(a, &c->values, &c->not_values);
	if (strcmp(k, "source.namespace") == 0)
		return namespaces(a, &c->values, &c->not_values);
	if (strcmp(k, "source.serviceAccount") == 0)
		return accounts(a, &c->values, &c->not_values);
	if (strcmp(k, "source.trustDomain") == 0)
		return domains(a, &c->values, &c->not_values);
	if (strcmp(k, "connection.sni") == 0)
		return sni(a, &c->values, &c->not_values);
	if (strncmp(k, "request.auth.", 13) == 0 && a->codec->opaque)
		return a->deny;
	if (strcmp(k, "request.auth.principal") == 0)
		return request_principals(a, &c->values, &c->not_values);
	if (strncmp(k, "request.auth.", 13) == 0)
		return claims(a, c);
	if (strncmp(k, "request.headers[", 16) == 0)
		return a->codec->opaque ? a->deny : headers(a, c);
	return a->deny;
}

/* Whether the codec lacks what some part of the rule asks for: a rule of ALLOW is then none, whichever part it is. */
static bool asks_for_more(const struct ask *a, const struct mt_policy_rule *r)
{
	for (uint32_t i = 0; i < r->n_to; i++) {
		const struct mt_policy_operation *o = r->to[i].operation;

		if (o && (o->hosts.n || o->not_hosts.n))
			return true;
		if (o && a->codec->opaque &&
			(o->methods.n || o->not_methods.n || o->paths.n || o->not_paths.n ||
				o->interfaces.n || o->not_interfaces.n))
			return true;
	}
	for (uint32_t i = 0; i < r->n_from; i++) {
		const struct mt_policy_source *s = r->from[i].source;

		if (s && a->codec->opaque &&
			(s->request_principals.n || s->not_request_principals.n))
			return true;
	}
	for (uint32_t i = 0; i < r->n_when; i++)
		if (a->codec->opaque && strncmp(r->when[i].key.s, "request.", 8) == 0)
			return true;
	return false;
}

static bool operations(struct ask *a, const struct mt_policy_rule *r)
{
	uint32_t tried = 0, fit = 0;

	for (uint32_t i = 0; i < MT_MAX(a->s->n_interfaces, 1u); i++)
		for (uint32_t m = 0; m < MT_MAX(a->s->n_methods, 1u); m++) {
			bool one = r->n_to == 0;

			a->interface = a->s->n_interfaces ? a->s->interfaces[i] : "";
			a->method = a->s->n_methods ? a->s->methods[m] : "";
			for (uint32_t k = 0; k < r->n_to; k++)
				one |= to(a, r->to[k].operation);
			tried++;
			fit += one;
		}
	return a->deny ? fit > 0 : fit == tried;
}

static bool rule(struct ask *a, const struct mt_policy_rule *r)
{
	bool one = r->n_from == 0;

	if (!a->deny && asks_for_more(a, r))
		return false;
	for (uint32_t i = 0; i < r->n_from; i++)
		one |= from(a, r->from[i].source);
	for (uint32_t i = 0; i < r->n_when; i++)
		one &= when(a, &r->when[i]);
	return one && operations(a, r);
}

static bool policy(struct ask *a, const struct mt_authorization_policy *p)
{
	a->ns = p->meta.ns;
	a->deny = p->action.v != MT_POLICY_ALLOW;
	for (uint32_t i = 0; i < p->n_rules; i++)
		if (rule(a, &p->rules[i]))
			return true;
	return false;
}

bool naive_allows(struct mt_authorization_policy *const *p, uint32_t n, const struct said *s,
	const struct mt_codec *codec, const struct mt_authz_callers *who)
{
	struct ask a = {.s = s, .codec = codec, .who = who};
	bool one = false, some = false;

	for (uint32_t i = 0; i < n; i++) {
		bool fits = policy(&a, p[i]);

		if (p[i]->action.v != MT_POLICY_ALLOW && fits)
			return false;
		some |= p[i]->action.v == MT_POLICY_ALLOW;
		one |= p[i]->action.v == MT_POLICY_ALLOW && fits;
	}
	return !some || one;
}
