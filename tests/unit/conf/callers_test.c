/* SPDX-License-Identifier: Apache-2.0 */
/* What policies become where callers can show certificates: as the node has an identity, or is a gateway that asks for them. */
#include "conf_test.h"

#include "../tls/pki.h"
#include "mt_authz.h"
#include "mt_authorize.h"

#include <stdio.h>

#define NODE                                                                                       \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n, labels: {istio: gw}}\n"        \
	"spec:\n  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n---\n"
/* Two bare instances, the second with a label, and a meshed one. */
#define SERVICE                                                                                    \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                                 \
	"metadata: {name: a, namespace: x}\nspec:\n  hosts: [a.test]\n  addresses: [192.0.2.9]\n"  \
	"  location: MESH_INTERNAL\n  resolution: STATIC\n"                                        \
	"  ports: [{number: 80, name: tcp-metaprotocol-dubbo, targetPort: 20880}, {number: 81, "   \
	"name: tcp}]\n"                                                                            \
	"  endpoints:\n  - {address: 198.51.100.1}\n"                                              \
	"  - {address: 198.51.100.2, labels: {app: a}}\n"                                          \
	"  - {address: 198.51.100.3, labels: {security.istio.io/tlsMode: istio}}\n"                \
	"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"                         \
	"metadata: {name: clear, namespace: istio-system}\n"                                       \
	"spec: {host: a.test, trafficPolicy: {tls: {mode: DISABLE}}}\n"
#define POLICY(kind, name, ns, spec)                                                               \
	"---\napiVersion: security.istio.io/v1\nkind: " kind "\nmetadata: {name: " name            \
	", namespace: " ns "}\nspec: " spec "\n"
#define AP(spec)     POLICY("AuthorizationPolicy", "p", "x", spec)
#define PEERS(spec)  POLICY("PeerAuthentication", "p", "x", spec)
#define STRICT	     PEERS("{mtls: {mode: STRICT}}")
#define ROOT(spec)   POLICY("PeerAuthentication", "q", "istio-system", spec)
#define FROM(fields) "rules: [{from: [{source: {" fields "}}]}]"
#define GATEWAY(mode)                                                                              \
	"---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: g}\n"            \
	"spec: {selector: {istio: gw}, servers: [{port: {number: 443, name: tls, protocol: TLS}, " \
	"hosts: ['*'], tls: {mode: " mode ", credentialName: c}}]}\n"

/* What guards each instance of a port: "S": who shows no certificate is denied, "C": closed, "D", "A". */
static const char *guards_of(const struct mt_snapshot *s, const char *name, char buf[64])
{
	const struct mt_cluster *c = cluster(s, name);
	char *to = buf;

	for (uint32_t i = 0; i < c->n_eps; i++) {
		const struct mt_authz *a = c->guards ? c->guards[i] : NULL;

		if (i)
			*to++ = ' ';
		if (!a)
			*to++ = '-';
		for (uint32_t k = 0; a && k < a->n_deny; k++) {
			const struct mt_authz_conds *when = &a->deny[k]->rules[0].when;
			bool strict = when->n && when->v[0].field == MT_AUTHZ_CLEAR;

			*to++ = a->deny[k]->action == MT_AUTHZ_CLOSE ? 'C' : strict ? 'S' : 'D';
		}
		for (uint32_t k = 0; a && k < a->n_allow; k++)
			*to++ = 'A';
	}
	*to = '\0';
	return buf;
}

static bool has_words(const struct built *b, enum mt_diag_severity severity, const char *words)
{
	char text[1024];

	for (uint32_t i = 0; i < b->diags.n; i++) {
		mt_diag_format(&b->diags.items[i], text, sizeof(text));
		if (b->diags.items[i].severity == severity && strstr(text, words))
			return true;
	}
	return false;
}

static struct built build_as(struct mt_credential *who, const char *text)
{
	struct mt_conf *c = new_conf();
	struct built b;

	mt_conf_set_identity(c, who);
	b = build_text(c, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	return b;
}

/* Without an identity, and with one: what guards, and the words of a verdict or a note; NULL: it says nothing with these. */
struct row {
	const char *text, *without, *with;
	const char *bytes; /* with one; NULL: the same */
	const char *closed_without, *closed_with;
};

static const struct row rows[] = {
	{STRICT, "C C -", "S S -", NULL, "no certificate of a caller can be verified", NULL},
	{PEERS("{mtls: {mode: PERMISSIVE}}"), "- - -", "- - -", NULL, NULL, NULL},
	{PEERS("{mtls: {mode: DISABLE}}") ROOT("{mtls: {mode: STRICT}}"), "- - -", "- - -", NULL,
		NULL, NULL},
	{PEERS("{mtls: {mode: UNSET}}") ROOT("{mtls: {mode: STRICT}}"), "C C -", "S S -", NULL,
		"no certificate of a caller can be verified", NULL},
	{PEERS("{selector: {matchLabels: {app: a}}, mtls: {mode: DISABLE}, portLevelMtls: "
	       "{'20880': {mode: STRICT}}}"),
		"- C -", "- S -", "- - -", "no certificate of a caller can be verified", NULL},
	{PEERS("{selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}, portLevelMtls: "
	       "{'20880': {mode: PERMISSIVE}}}"),
		"- - -", "- - -", "- S -", "no certificate of a caller can be verified", NULL},
	{STRICT AP("{action: DENY, " FROM("principals: [corp/ns/a/sa/b]") "}"), "CD CD -",
		"SD SD -", NULL, "no certificate of a caller can be verified", NULL},
	/* Nobody fits who has no principal. */
	{AP("{action: CUSTOM, " FROM("principals: [corp/ns/a/sa/b]") "}"), "C C -", "C C -", NULL,
		NULL, "provider cannot be queried"},
	{AP("{action: CUSTOM, rules: [{when: [{key: connection.sni, values: [a]}]}]}"), "C C -",
		"C C -", NULL, "provider cannot be queried", "provider cannot be queried"},
	{AP("{action: CUSTOM, " FROM("requestPrincipals: [a]") "}"), "C C -", "C C -", NULL,
		"provider cannot be queried", "provider cannot be queried"},
	{AP("{" FROM("namespaces: [a]") "}"), "A A -", "A A -", NULL, NULL, NULL},
};

static void judge_row(const struct row *r, struct mt_credential *who)
{
	const char *closed = who ? r->closed_with : r->closed_without;
	const char *want = who ? r->with : r->without;
	char text[4096], messages[64], bytes[64];
	struct built b;
	bool good;

	snprintf(text, sizeof(text), NODE SERVICE "%s", r->text);
	b = build_as(who, text);
	guards_of(b.s, "outbound|80||a.test", messages);
	guards_of(b.s, "outbound|81||a.test", bytes);
	good = strcmp(messages, want) == 0;
	if (who)
		good &= strcmp(bytes, r->bytes ? r->bytes : want) == 0;
	good &= closed ? has_words(&b, MT_DIAG_CLOSED, closed) : !has_words(&b, MT_DIAG_CLOSED, "");
	/* What it means that nothing is encrypted is only said where that is so. */
	good &= !who || !has_words(&b, MT_DIAG_WARNING, "it has no identity");
	good &= !who || !has_words(&b, MT_DIAG_WARNING, "no TLS is terminated");
	CU_ASSERT_TRUE(good);
	if (!good) {
		fprintf(stderr, "%s: \"%s\", \"%s\"\n", r->text, messages, bytes);
		show_diags(&b);
	}
	unbuild(&b);
}

static void with_and_without_an_identity(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		judge_row(&rows[i], NULL);
		judge_row(&rows[i], pki()->alice);
	}
}

/* STRICT: whoever shows no certificate is denied by its name, the others are judged by what else there is; nothing refuses SYN. */
static void strict_is_a_rule(void)
{
	struct built b = build_as(pki()->alice, NODE SERVICE STRICT);
	const struct mt_cluster *c = cluster(b.s, "outbound|80||a.test");

	for (int mtls = 0; mtls < 2; mtls++) {
		struct mt_authz_call call = {.mtls = mtls != 0};
		const struct mt_authz_policy *by;

		CU_ASSERT_EQUAL(mt_authz_judge(c->guards[0], &call, &by),
			mtls ? MT_AUTHZ_ALLOWED : MT_AUTHZ_DENIED);
		CU_ASSERT_STRING_EQUAL(
			mt_authz_by(by), mtls ? "policies" : "PeerAuthentication x/p");
	}
	CU_ASSERT_PTR_NULL(c->closed_by);
	CU_ASSERT_PTR_NULL(listener(b.s, "192.0.2.9", 80)->closed_by);
	unbuild(&b);
}

/* Two bare instances: without an identity all of it is closed. */
static void listeners_open_with_an_identity(void)
{
	static const char text[] = NODE
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
		"metadata: {name: b, namespace: x}\nspec: {hosts: [b.test], addresses: "
		"[192.0.2.8], "
		"location: MESH_INTERNAL, resolution: STATIC, ports: [{number: 80, name: tcp}], "
		"endpoints: [{address: 198.51.100.1}]}\n" STRICT;
	struct built b = build_as(NULL, text);

	CU_ASSERT_PTR_NOT_NULL(listener(b.s, "192.0.2.8", 80)->closed_by);
	unbuild(&b);
	b = build_as(pki()->alice, text);
	CU_ASSERT_PTR_NULL(listener(b.s, "192.0.2.8", 80)->closed_by);
	CU_ASSERT_EQUAL(cluster(b.s, "outbound|80||b.test")->n_eps, 1);
	unbuild(&b);
}

/* The principal that the instance's first rule asks for. */
static void principal_is(const struct built *b, uint32_t i, const char *want)
{
	const struct mt_authz *a = cluster(b->s, "outbound|80||a.test")->guards[0];
	const struct mt_authz_cond *w = &a->allow[0]->rules[0].from[0].v[0];

	CU_ASSERT_FATAL(w->n_values > i);
	CU_ASSERT_EQUAL(w->values[i].text.len, strlen(want));
	CU_ASSERT_NSTRING_EQUAL(w->values[i].text.p, want, strlen(want));
}

#define OF_US NODE SERVICE AP("{" FROM("principals: [cluster.local/ns/a/sa/b]") "}")

/* Whose trust domain it is: the Node's or MeshConfig's word, then the certificate's; with MeshConfig's aliases. */
static void trust_domain(void)
{
	const struct pki_how corp = {.san = "URI:spiffe://corp/ns/a/sa/node"};
	struct pki_node leaf = pki_make(&pki()->root, &corp);
	struct mt_credential *who = pki_credential(&leaf, NULL, pki()->roots, NULL);
	struct mt_text aliases[] = {{"old", 0}};
	struct mt_mesh_config config = {.aliases = aliases, .n_aliases = 1};
	struct built b = build_as(who, OF_US);

	principal_is(&b, 0, "corp/ns/a/sa/b");
	b.m->mesh.config = &config;
	b.m->mesh.trust_domain = "said";
	mt_conf_discard(b.conf, b.s, NOW);
	b.s = mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	principal_is(&b, 0, "said/ns/a/sa/b");
	principal_is(&b, 1, "old/ns/a/sa/b");
	/* Nobody is anybody. */
	mt_conf_set_identity(b.conf, NULL);
	mt_conf_discard(b.conf, b.s, NOW);
	b.s = mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	principal_is(&b, 0, "cluster.local/ns/a/sa/b");
	unbuild(&b);
	mt_credential_drop(who);
	pki_free(&leaf);
}

/* A gateway that ends TLS has callers with names, though not of the mesh: STRICT stays closed. */
static void gateways_that_end_tls(void)
{
	static const struct {
		const char *text;
		bool certified;
	} cases[] = {{GATEWAY("MUTUAL"), true}, {GATEWAY("SIMPLE"), true},
		{GATEWAY("PASSTHROUGH"), false}, {GATEWAY("AUTO_PASSTHROUGH"), false}, {"", false}};

	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		char text[4096], buf[64];
		struct built b;

		snprintf(text, sizeof(text),
			NODE SERVICE STRICT AP(
				"{action: CUSTOM, " FROM("principals: [a/ns/b/sa/c]") "}") "%s",
			cases[i].text);
		b = build_as(NULL, text);
		CU_ASSERT_STRING_EQUAL(guards_of(b.s, "outbound|80||a.test", buf), "CC CC -");
		CU_ASSERT_EQUAL(has_words(&b, MT_DIAG_CLOSED, "provider cannot be queried"),
			cases[i].certified);
		CU_ASSERT_TRUE(has_words(
			&b, MT_DIAG_CLOSED, "no certificate of a caller can be verified"));
		unbuild(&b);
	}
}

/* A rule with an unknown condition closes, and its key is reported with its place and a similar one. */
static void unknown_conditions(void)
{
	static const char *const keys[][2] = {
		{"source.ips",
			"spec.rules[1].when[0].key: \"source.ips\" is not a known condition: "
			"what the rest of its rule fits is closed (did you mean source.ip?)"},
		{"'request.header[user]'", "(did you mean request.headers[NAME]?)"},
		{"experimental.x", "(`meltemi show objects` names the services)"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(keys); i++) {
		char text[4096];
		struct built b;

		snprintf(text, sizeof(text),
			NODE SERVICE AP("{action: DENY, rules: [{when: [{key: source.ip, values: "
					"[192.0.2.9]}]}, {when: [{key: %s, values: [a]}]}]}"),
			keys[i][0]);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT(has_words(&b, MT_DIAG_CLOSED, keys[i][1]));
		unbuild(&b);
	}
}

const struct mt_test callers_tests[] = {
	{"unknown_conditions", unknown_conditions},
	{"with_and_without_an_identity", with_and_without_an_identity},
	{"strict_is_a_rule", strict_is_a_rule},
	{"listeners_open_with_an_identity", listeners_open_with_an_identity},
	{"trust_domain", trust_domain},
	{"gateways_that_end_tls", gateways_that_end_tls},
	{0},
};
