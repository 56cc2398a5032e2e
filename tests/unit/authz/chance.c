/* SPDX-License-Identifier: Apache-2.0 */
/* Policies and calls of few words, so that they meet. */
#include "authz_test.h"

#include <stdio.h>
#include <string.h>

uint32_t chance_of(struct chance *c, uint32_t n)
{
	if (c->data) {
		uint8_t b = c->size ? *c->data : 0;

		if (c->size) {
			c->data++;
			c->size--;
		}
		return b % n;
	}
	c->seed = c->seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(c->seed >> 33) % n;
}

/* The same words with more letters: where they were equal, or one a part of the other, they still are. */
static const char *lengthen(const char *word)
{
	static const struct {
		const char *word, *longer;
	} all[] = {{"a", "org.shop.Orders"}, {"ab", "org.shop.OrdersOfToday"},
		{"a*", "org.shop.Orders*"}, {"*b", "*OfToday"}, {"/a/ab", "/org.shop.Orders/ab"},
		{"/a/*", "/org.shop.Orders/*"}, {"*/ab", "*/org.shop.OrdersOfToday"},
		{"td/ns/a/sa/b", "td/ns/a/sa/client-of-orders"},
		{"td/ns/ab/sa/a", "td/ns/ab/sa/client-of-stocks"},
		{"*/sa/b", "*/sa/client-of-orders"}};

	for (size_t i = 0; i < MT_ARRAY_LEN(all); i++)
		if (strcmp(all[i].word, word) == 0)
			return all[i].longer;
	return word;
}

static const char *pick(struct chance *c, const char *const *words, uint32_t n)
{
	const char *word = words[chance_of(c, n)];

	return c->long_words ? lengthen(word) : word;
}

#define PICK(c, words) pick(c, words, MT_ARRAY_LEN(words))

static const char *const names[] = {"a", "ab", "b.C", "B.c", ""};
static const char *const patterns[] = {"a", "ab", "a*", "*b", "*", "b.C", "*.c", "b*", "**", "*a*"};
static const char *const paths[] = {
	"/a/ab", "a/ab", "/a/*", "a/*", "*/ab", "*", "*ab", "/*", "b.C/a", "/b.C*"};
static const char *const nets[] = {
	"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "2001:db8::/32", "0.0.0.0/0", "192.0.2.1/32"};
static const char *const hosts[] = {"10.1.2.3", "10.2.0.1", "192.0.2.1", "2001:db8::1"};
static const char *const port_words[] = {"80", "81", "8080"};
static const char *const identities[] = {"td/ns/a/sa/b", "td/ns/ab/sa/a", "x/ns/a/sa/a",
	"old-td/ns/a/sa/b", "y/ns/bab/sa/a", "cluster.local/ns/a/sa/b", "td/ns/a/x/sa/b", "td/w",
	"td/ns//sa/b", "td/ns/a/sa/b/c"};
static const char *const domains[] = {"td", "x", "old-td", "*td", "*"};
static const char *const principals[] = {"td/ns/a/sa/b", "td/ns/ab/sa/a", "x/ns/a/sa/a",
	"y/ns/bab/sa/*", "cluster.local/ns/a/sa/b", "cluster.local/ns/a/*", "td/ns/a/*", "*/sa/b",
	"*/ns/a/sa/b", "*-td/ns/a/sa/b", "*d/ns/a/sa/*", "td/ns/a/sa/*", "*", "td/w"};
static const char *const issuers[] = {"a", "https://a", "", "a/b"};
static const char *const subjects[] = {"b", "a", "", "b/c"};
static const char *const request_principals[] = {"*", "a/b", "https://a/b", "https://a/*", "*/b",
	"a", "a*", "*a", "a/b/c", "*a/b", "a/", "https*", "*/*", "a/b*"};
static const char *const namespaces[] = {"a", "ab", "a*", "*b", "*", "b*b", "**", "*a*", "*a*b*"};
static const char *const snis[] = {"a.b", "ab", "b.c", ""};
static const char *const accounts[] = {"a/b", "b", "ab/a", "a", "a/*"};
static const char *const keys[] = {"k", "K", "group"};
static const char *const conditions[] = {"source.ip", "remote.ip", "destination.ip",
	"destination.port", "source.principal", "source.namespace", "connection.sni",
	"request.auth.principal", "request.auth.claims[x]", "request.auth.claims[x][y]",
	"request.auth.audiences", "request.headers[k]", "request.headers[K]",
	"request.headers[group]", "experimental.envoy.filters.a[b]", "request.headers",
	"no.such.key", "source.serviceAccount", "source.trustDomain"};

/* As a rule none, or up to two. */
static void fill(struct chance *c, struct mt_region *r, struct mt_texts *l, uint32_t rarely,
	const char *const *words, uint32_t n)
{
	if (chance_of(c, rarely))
		return;
	l->n = 1 + chance_of(c, 2);
	l->v = mt_region_alloc(r, sizeof(*l->v) * l->n);
	for (uint32_t i = 0; i < l->n; i++)
		l->v[i].s = pick(c, words, n);
}

#define FILL(c, r, l, rarely, words) fill(c, r, &(l), rarely, words, MT_ARRAY_LEN(words))

static void source(struct chance *c, struct mt_region *r, struct mt_policy_from *f)
{
	struct mt_policy_source *s;

	if (chance_of(c, 8) == 0)
		return;
	s = f->source = mt_region_alloc(r, sizeof(*s));
	FILL(c, r, s->ip_blocks, 3, nets);
	FILL(c, r, s->not_ip_blocks, 6, nets);
	FILL(c, r, s->remote_ip_blocks, 9, nets);
	FILL(c, r, s->not_remote_ip_blocks, 9, nets);
	FILL(c, r, s->principals, 5, principals);
	FILL(c, r, s->not_principals, 7, principals);
	FILL(c, r, s->request_principals, 9, request_principals);
	FILL(c, r, s->not_request_principals, 9, request_principals);
	FILL(c, r, s->namespaces, 7, namespaces);
	FILL(c, r, s->not_namespaces, 9, namespaces);
	FILL(c, r, s->service_accounts, 9, accounts);
	FILL(c, r, s->not_service_accounts, 9, accounts);
	FILL(c, r, s->trust_domains, 16, domains);
	FILL(c, r, s->not_trust_domains, 9, domains);
}

static void operation(struct chance *c, struct mt_region *r, struct mt_policy_to *t)
{
	struct mt_policy_operation *o;

	if (chance_of(c, 8) == 0)
		return;
	o = t->operation = mt_region_alloc(r, sizeof(*o));
	FILL(c, r, o->hosts, 24, patterns);
	FILL(c, r, o->not_hosts, 24, patterns);
	FILL(c, r, o->ports, 4, port_words);
	FILL(c, r, o->not_ports, 6, port_words);
	FILL(c, r, o->methods, 3, patterns);
	FILL(c, r, o->not_methods, 6, patterns);
	FILL(c, r, o->paths, 3, paths);
	FILL(c, r, o->not_paths, 6, paths);
	FILL(c, r, o->interfaces, 6, patterns);
	FILL(c, r, o->not_interfaces, 9, patterns);
}

static void condition(struct chance *c, struct mt_region *r, struct mt_policy_condition *w)
{
	uint32_t k = chance_of(c, MT_ARRAY_LEN(conditions));

	w->key.s = conditions[k];
	if (k < 3) {
		FILL(c, r, w->values, 2, nets);
		FILL(c, r, w->not_values, 3, nets);
	} else if (k == 3) {
		FILL(c, r, w->values, 2, port_words);
		FILL(c, r, w->not_values, 3, port_words);
	} else if (k == 4) {
		FILL(c, r, w->values, 2, principals);
		FILL(c, r, w->not_values, 3, principals);
	} else {
		FILL(c, r, w->values, 2, patterns);
		FILL(c, r, w->not_values, 3, patterns);
	}
	if (!w->values.n && !w->not_values.n) {
		w->values.n = 1;
		w->values.v = mt_region_alloc(r, sizeof(*w->values.v));
		w->values.v[0].s = k < 3 ? nets[0] : k == 3 ? port_words[0] : patterns[4];
	}
}

static void rule(struct chance *c, struct mt_region *r, struct mt_policy_rule *u)
{
	u->n_from = chance_of(c, 3);
	u->n_to = chance_of(c, 3);
	u->n_when = chance_of(c, 3);
	u->from = mt_region_alloc(r, sizeof(*u->from) * 2);
	u->to = mt_region_alloc(r, sizeof(*u->to) * 2);
	u->when = mt_region_alloc(r, sizeof(*u->when) * 2);
	for (uint32_t i = 0; i < u->n_from; i++)
		source(c, r, &u->from[i]);
	for (uint32_t i = 0; i < u->n_to; i++)
		operation(c, r, &u->to[i]);
	for (uint32_t i = 0; i < u->n_when; i++)
		condition(c, r, &u->when[i]);
}

struct mt_authorization_policy *chance_policy(struct chance *c, struct mt_region *r)
{
	static const uint8_t actions[] = {MT_POLICY_ALLOW, MT_POLICY_ALLOW, MT_POLICY_ALLOW,
		MT_POLICY_DENY, MT_POLICY_CUSTOM};
	struct mt_authorization_policy *p = mt_region_alloc(r, sizeof(*p));

	p->meta = (struct mt_meta){.kind = "AuthorizationPolicy", .ns = "a", .name = "p"};
	p->action.v = actions[chance_of(c, MT_ARRAY_LEN(actions))];
	p->n_rules = chance_of(c, 3);
	p->rules = mt_region_alloc(r, sizeof(*p->rules) * 2);
	for (uint32_t i = 0; i < p->n_rules; i++)
		rule(c, r, &p->rules[i]);
	return p;
}

static void chance_token(struct chance *c, struct said *s)
{
	static const char *const first[] = {"x", "aud", "z"};

	s->has_token = chance_of(c, 3) != 0;
	if (chance_of(c, 6))
		s->iss = PICK(c, issuers);
	if (chance_of(c, 6))
		s->sub = PICK(c, subjects);
	s->n_claims = chance_of(c, 4);
	for (uint32_t i = 0; i < s->n_claims; i++) {
		s->claims[i].path[0] = PICK(c, first);
		s->claims[i].path[1] = chance_of(c, 3) ? NULL : "y";
		s->claims[i].value = PICK(c, names);
	}
}

struct said chance_call(struct chance *c)
{
	static const uint16_t ports[] = {80, 81, 8080};
	struct said s = {.peer = PICK(c, hosts),
		.server = PICK(c, hosts),
		.server_port = ports[chance_of(c, 3)],
		.service_port = ports[chance_of(c, 3)],
		.n_interfaces = 1 + chance_of(c, 3),
		.n_methods = 1 + chance_of(c, 2),
		.n_metadata = chance_of(c, 4),
		.no_interfaces = chance_of(c, 16) == 0,
		.no_methods = chance_of(c, 16) == 0,
		.no_metadata = chance_of(c, 16) == 0};

	if (chance_of(c, 3))
		s.principal = PICK(c, identities);
	s.mtls = s.principal && chance_of(c, 4);
	if (chance_of(c, 2))
		s.sni = PICK(c, snis);
	s.sni_unkept = chance_of(c, 8) == 0;
	for (uint32_t i = 0; i < s.n_interfaces; i++)
		s.interfaces[i] = PICK(c, names);
	for (uint32_t i = 0; i < s.n_methods; i++)
		s.methods[i] = PICK(c, names);
	for (uint32_t i = 0; i < s.n_metadata; i++) {
		s.metadata[i].key = PICK(c, keys);
		s.metadata[i].value = chance_of(c, 8) ? PICK(c, names) : NULL;
	}
	chance_token(c, &s);
	return s;
}

const struct mt_codec *chance_codec(struct chance *c)
{
	static const char *const codecs[] = {"dubbo", "dubbo", "thrift", "tcp"};

	return mt_codec_find(PICK(c, codecs));
}

/* Whose domain is td, with none, one or two other names; or where nobody shows a certificate. */
static struct mt_authz_callers chance_callers(struct chance *c)
{
	static const char *const ours[] = {"td", "old-td", "y"}, *const local[] = {"cluster.local"};
	struct mt_authz_callers who = {
		.tokens = chance_of(c, 4) != 0, .certified = chance_of(c, 8) != 0};

	if (!who.certified)
		return who;
	who.domains = chance_of(c, 8) ? ours : local;
	who.n_domains = who.domains == ours ? 1 + chance_of(c, 3) : 1;
	return who;
}

#define POLICIES 3

static const char *compare(struct chance *c, struct mt_region *r)
{
	struct mt_authorization_policy *written[POLICIES];
	struct mt_authz_policy *compiled[POLICIES + 1];
	const struct mt_authz_callers who = chance_callers(c);
	bool strict = chance_of(c, 4) == 0;
	const struct mt_codec *codec = chance_codec(c);
	uint32_t n = 1 + chance_of(c, POLICIES), steps;
	struct said s = chance_call(c);
	const struct mt_authz_ports at = {s.server_port, s.service_port};
	enum mt_authz_effect e;
	const struct mt_authz *a;
	static char words[128];
	const struct mt_authz_policy *by;
	bool plain;

	/* The server name is not kept only where TLS passes through as opaque TCP. */
	s.sni_unkept &= codec->opaque;
	for (uint32_t i = 0; i < n; i++) {
		written[i] = chance_policy(c, r);
		compiled[i] =
			mt_authz_compile(r, written[i], codec, chance_of(c, 2) ? &at : NULL, &who);
		MT_ASSERT(compiled[i]);
	}
	compiled[n] = mt_authz_compile_strict(r, "PeerAuthentication a/p");
	a = mt_authz_set(r, compiled, n + strict, NULL);
	MT_ASSERT(compiled[n] && a);
	e = said_judge(&s, a, codec, &by, &steps);
	plain = naive_allows(written, n, &s, codec, &who) && (!strict || s.mtls);
	snprintf(words, sizeof(words), "%s: judged %d, plainly %s, %u steps of %llu", codec->name,
		e, plain ? "allowed" : "denied", steps,
		(unsigned long long)mt_authz_work(a, s.n_metadata));
	if ((e == MT_AUTHZ_ALLOWED) != plain || (e == MT_AUTHZ_ALLOWED) != (by == NULL))
		return words;
	if (mt_authz_is_idle(a) && !plain)
		return words;
	/* Whom it closes for was said, of all callers that there may be. */
	if (e == MT_AUTHZ_CLOSED && !by->closes && (who.certified || !(s.principal || s.sni)))
		return words;
	return steps > mt_authz_work(a, s.n_metadata) ? words : NULL;
}

const char *chance_differs(struct chance *c)
{
	struct mt_region r;
	const char *words;

	mt_region_init(&r, 1 << 20);
	words = compare(c, &r);
	mt_region_fini(&r);
	return words;
}
