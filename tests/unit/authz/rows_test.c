/* SPDX-License-Identifier: Apache-2.0 */
/* What a rule means for RPC, row by row. */
#include "authz_test.h"
#include "mt_authz_compile_priv.h"
#include "mt_source.h"
#include "mt_test.h"

#define ALLOW(rules)	"{rules: [" rules "]}"
#define DENY(rules)	"{action: DENY, rules: [" rules "]}"
#define CUSTOM(rules)	"{action: CUSTOM, provider: {name: x}, rules: [" rules "]}"
#define OP(fields)	"{to: [{operation: {" fields "}}]}"
#define FROM(fields)	"{from: [{source: {" fields "}}]}"
#define WHEN(key, rest) "{when: [{key: '" key "', " rest "}]}"

struct row {
	const char *spec[3]; /* of AuthorizationPolicies a, b, c */
	struct said call;    /* what is not said is as in `usual` */
	enum mt_authz_effect effect;
	const char *by;	   /* "a", ...; NULL: nobody's */
	const char *codec; /* NULL: dubbo */
	bool aeraki;	   /* they are DubboAuthorizationPolicies */
};

#define CALL(...) .call = {__VA_ARGS__}
#define I(...)                                                                                     \
	.interfaces = {__VA_ARGS__}, .n_interfaces = MT_ARRAY_LEN(((const char *[]){__VA_ARGS__}))
#define M(...)		.methods = {__VA_ARGS__}, .n_methods = MT_ARRAY_LEN(((const char *[]){__VA_ARGS__}))
#define KV1(k, v)	.metadata = {{k, v}}, .n_metadata = 1
#define KV2(k, v, l, w) .metadata = {{k, v}, {l, w}}, .n_metadata = 2
#define ALLOWED		.effect = MT_AUTHZ_ALLOWED
#define DENIED(p)	.effect = MT_AUTHZ_DENIED, .by = p
#define CLOSED(p)	.effect = MT_AUTHZ_CLOSED, .by = p
#define UNREAD_(p)	.effect = MT_AUTHZ_UNREAD, .by = p

/* From 10.1.2.3, without a principal, for com.a.B/get, at port 80 of the service and 20880 of 10.9.9.9. */
static const struct row rows[] = {
	/* Order: CUSTOM, DENY, ALLOW; nobody's rules allow. */
	{{ALLOW("")}, DENIED("a")},
	{{"{}"}, DENIED("a")},
	{{"{action: DENY}"}, ALLOWED},
	{{"{action: CUSTOM, provider: {name: x}}"}, ALLOWED},
	{{ALLOW("{}")}, ALLOWED},
	{{ALLOW("{}"), DENY("{}")}, DENIED("b")},
	{{ALLOW("{}"), DENY("{}"), CUSTOM("{}")}, CLOSED("c")},
	{{ALLOW(""), ALLOW("{}")}, ALLOWED},
	{{ALLOW(""), ALLOW(OP("methods: [put]"))}, DENIED("a")},
	/* Methods. */
	{{ALLOW(OP("methods: [get]"))}, ALLOWED},
	{{ALLOW(OP("methods: [put, 'g*']"))}, ALLOWED},
	{{ALLOW(OP("methods: ['*et']"))}, ALLOWED},
	{{ALLOW(OP("methods: ['*']"))}, ALLOWED},
	{{ALLOW(OP("methods: [Get]"))}, DENIED("a")},
	{{ALLOW(OP("methods: [ge]"))}, DENIED("a")},
	{{ALLOW(OP("notMethods: [put]"))}, ALLOWED},
	{{ALLOW(OP("methods: ['g*'], notMethods: [get]"))}, DENIED("a")},
	{{ALLOW(OP("methods: [put]") ", " OP("methods: [get]"))}, ALLOWED},
	/* Paths, with and without the slash in front. */
	{{ALLOW(OP("paths: [/com.a.B/get]"))}, ALLOWED},
	{{ALLOW(OP("paths: [com.a.B/get]"))}, ALLOWED},
	{{ALLOW(OP("paths: [/com.a.B/*]"))}, ALLOWED},
	{{ALLOW(OP("paths: ['com.a.*']"))}, ALLOWED},
	{{ALLOW(OP("paths: ['*/get']"))}, ALLOWED},
	{{ALLOW(OP("paths: ['*/B/get']"))}, DENIED("a")},
	{{ALLOW(OP("paths: ['*']"))}, ALLOWED},
	{{ALLOW(OP("paths: [/com.a.B]"))}, DENIED("a")},
	{{DENY(OP("notPaths: ['/com.a.B/*']"))}, ALLOWED},
	/* Names that the server may take it for: DENY by any, ALLOW by all. */
	{{DENY(OP("paths: ['/x.Y/*']"))}, CALL(I("com.a.B", "x.Y")), DENIED("a")},
	{{ALLOW(OP("paths: ['/com.a.B/*']"))}, CALL(I("com.a.B", "x.Y")), DENIED("a")},
	{{ALLOW(OP("paths: ['/com.a.B/*', '/x.Y/get']"))}, CALL(I("com.a.B", "x.Y")), ALLOWED},
	{{DENY(OP("notPaths: ['/com.a.B/*']"))}, CALL(I("com.a.B", "x.Y")), DENIED("a")},
	{{DENY(OP("methods: [drop]"))}, CALL(M("$invoke", "drop")), DENIED("a")},
	{{DENY(OP("methods: [$invoke]"))}, CALL(M("$invoke", "drop")), DENIED("a")},
	{{ALLOW(OP("methods: [drop]"))}, CALL(M("$invoke", "drop")), DENIED("a")},
	{{ALLOW(OP("methods: [drop, $invoke]"))}, CALL(M("$invoke", "drop")), ALLOWED},
	{{ALLOW("{to: [{operation: {methods: [drop]}}, {operation: {methods: [$invoke]}}]}")},
		CALL(M("$invoke", "drop")), ALLOWED},
	/* One rule has to fit them all. */
	{{ALLOW(OP("methods: [drop]") ", " OP("methods: [$invoke]"))}, CALL(M("$invoke", "drop")),
		DENIED("a")},
	/* Ports: DENY the server's or the service's, ALLOW the server's only. */
	{{ALLOW(OP("ports: ['20880']"))}, ALLOWED},
	{{ALLOW(OP("ports: ['80']"))}, DENIED("a")},
	{{DENY(OP("ports: ['80']"))}, DENIED("a")},
	{{DENY(OP("ports: ['20880']"))}, DENIED("a")},
	{{DENY(OP("notPorts: ['20880']"))}, ALLOWED},
	{{DENY(OP("notPorts: ['80']"))}, DENIED("a")},
	{{ALLOW(OP("notPorts: ['80']"))}, ALLOWED},
	{{ALLOW(OP("notPorts: ['20880']"))}, DENIED("a")},
	{{ALLOW(WHEN("destination.port", "values: ['20880']"))}, ALLOWED},
	{{DENY(WHEN("destination.port", "notValues: ['20880']"))}, ALLOWED},
	/* Addresses. */
	{{ALLOW(FROM("ipBlocks: [10.0.0.0/8]"))}, ALLOWED},
	{{ALLOW(FROM("ipBlocks: [10.1.2.3]"))}, ALLOWED},
	{{ALLOW(FROM("ipBlocks: [10.1.2.4, '2001:db8::/32']"))}, DENIED("a")},
	{{ALLOW(FROM("ipBlocks: [10.0.0.0/8], notIpBlocks: [10.1.0.0/16]"))}, DENIED("a")},
	{{DENY(FROM("remoteIpBlocks: [10.1.0.0/16]"))}, DENIED("a")},
	{{DENY(FROM("notRemoteIpBlocks: [10.1.0.0/16]"))}, ALLOWED},
	{{ALLOW(FROM("ipBlocks: ['2001:db8::/32']"))}, CALL(.peer = "2001:db8::9"), ALLOWED},
	{{ALLOW(FROM("ipBlocks: [0.0.0.0/0]"))}, CALL(.peer = "2001:db8::9"), DENIED("a")},
	{{ALLOW(WHEN("source.ip", "values: [10.1.2.0/24]"))}, ALLOWED},
	{{ALLOW(WHEN("remote.ip", "notValues: [10.1.2.0/24]"))}, DENIED("a")},
	{{DENY(WHEN("destination.ip", "values: [10.9.9.9]"))}, DENIED("a")},
	{{DENY(WHEN("destination.ip", "values: [10.9.9.8]"))}, ALLOWED},
	/* Who has no principal: what is asked for fits nobody, what is left out everybody. */
	{{ALLOW(FROM("principals: ['*']"))}, DENIED("a")},
	{{DENY(FROM("principals: ['*']"))}, ALLOWED},
	{{DENY(FROM("notPrincipals: [cluster.local/ns/a/sa/b]"))}, DENIED("a")},
	{{ALLOW(FROM("notPrincipals: [cluster.local/ns/a/sa/b]"))}, ALLOWED},
	{{ALLOW(FROM("namespaces: [a]"))}, DENIED("a")},
	{{DENY(FROM("notNamespaces: [a]"))}, DENIED("a")},
	{{ALLOW(FROM("serviceAccounts: [a/b]"))}, DENIED("a")},
	{{DENY(FROM("notServiceAccounts: [a/b]"))}, DENIED("a")},
	{{ALLOW(FROM("trustDomains: ['*']"))}, DENIED("a")},
	{{ALLOW(FROM("requestPrincipals: ['*']"))}, DENIED("a")},
	{{DENY(FROM("notRequestPrincipals: ['*']"))}, DENIED("a")},
	{{DENY(WHEN("request.auth.claims[groups]", "values: [a]"))}, ALLOWED},
	{{DENY(WHEN("request.auth.claims[groups]", "notValues: [a]"))}, DENIED("a")},
	{{ALLOW(WHEN("request.auth.audiences", "values: ['*']"))}, DENIED("a")},
	{{ALLOW(WHEN("source.namespace", "values: [a]"))}, DENIED("a")},
	{{DENY(WHEN("source.principal", "notValues: [a]"))}, DENIED("a")},
	{{DENY(WHEN("connection.sni", "values: ['*']"))}, ALLOWED},
	{{DENY(WHEN("connection.sni", "notValues: [a]"))}, DENIED("a")},
	/* Who has one. */
	{{ALLOW(FROM("principals: ['cluster.local/ns/a/*']"))},
		CALL(.principal = "cluster.local/ns/a/sa/b"), ALLOWED},
	{{ALLOW(FROM("principals: ['*/sa/b'], notNamespaces: [a]"))},
		CALL(.principal = "cluster.local/ns/a/sa/b"), DENIED("a")},
	{{ALLOW(FROM("namespaces: [a]"))}, CALL(.principal = "cluster.local/ns/a/sa/b"), ALLOWED},
	{{ALLOW(FROM("serviceAccounts: [x/b]"))}, CALL(.principal = "cluster.local/ns/x/sa/b"),
		ALLOWED},
	{{ALLOW(FROM("serviceAccounts: [b]"))}, CALL(.principal = "cluster.local/ns/x/sa/b"),
		ALLOWED},
	{{ALLOW(FROM("serviceAccounts: [b]"))}, CALL(.principal = "cluster.local/ns/a/sa/b"),
		DENIED("a")},
	{{ALLOW(FROM("trustDomains: [cluster.local]"))},
		CALL(.principal = "cluster.local/ns/a/sa/b"), ALLOWED},
	{{ALLOW(FROM("trustDomains: [old]"))}, CALL(.principal = "corp/ns/a/sa/b"), ALLOWED},
	{{DENY(FROM("trustDomains: [corp]"))}, CALL(.principal = "old/ns/a/sa/b"), DENIED("a")},
	{{ALLOW(FROM("notTrustDomains: [corp]"))}, CALL(.principal = "old/ns/a/sa/b"), DENIED("a")},
	{{DENY(WHEN("source.trustDomain", "values: [old]"))}, CALL(.principal = "corp/ns/a/sa/b"),
		DENIED("a")},
	{{ALLOW(FROM("trustDomains: [cluster.local]"))}, CALL(.principal = "corp/ns/a/sa/b"),
		DENIED("a")},
	/* A principal of an alias is one of ours, and cluster.local in a policy means us. */
	{{ALLOW(FROM("principals: [corp/ns/a/sa/b]"))}, CALL(.principal = "old/ns/a/sa/b"),
		ALLOWED},
	{{ALLOW(FROM("principals: [old/ns/a/sa/b]"))}, CALL(.principal = "corp/ns/a/sa/b"),
		ALLOWED},
	{{ALLOW(FROM("principals: [cluster.local/ns/a/sa/b]"))},
		CALL(.principal = "corp/ns/a/sa/b"), ALLOWED},
	{{ALLOW(FROM("principals: [cluster.local/ns/a/sa/b]"))}, CALL(.principal = "old/ns/a/sa/b"),
		ALLOWED},
	{{ALLOW(FROM("principals: [cluster.local/ns/a/sa/b]"))},
		CALL(.principal = "cluster.local/ns/a/sa/b"), DENIED("a")},
	{{ALLOW(FROM("principals: [other/ns/a/sa/b]"))}, CALL(.principal = "corp/ns/a/sa/b"),
		DENIED("a")},
	{{ALLOW(FROM("principals: [other/ns/a/sa/b]"))}, CALL(.principal = "other/ns/a/sa/b"),
		ALLOWED},
	{{ALLOW(FROM("principals: ['corp/ns/a/sa/*']"))}, CALL(.principal = "old/ns/a/sa/c"),
		ALLOWED},
	{{ALLOW(FROM("principals: ['corp/ns/a/*']"))}, CALL(.principal = "old/ns/a/sa/c"),
		DENIED("a")},
	{{ALLOW(FROM("principals: ['*/ns/a/sa/b']"))}, CALL(.principal = "other/ns/a/sa/b"),
		ALLOWED},
	{{ALLOW(FROM("principals: ['*rp/ns/a/sa/b']"))}, CALL(.principal = "old/ns/a/sa/b"),
		ALLOWED},
	{{DENY(FROM("principals: [corp/ns/a/sa/b]"))}, CALL(.principal = "old/ns/a/sa/b"),
		DENIED("a")},
	{{DENY(FROM("notPrincipals: [corp/ns/a/sa/b]"))}, CALL(.principal = "old/ns/a/sa/b"),
		ALLOWED},
	{{DENY(WHEN("source.principal", "values: [corp/ns/a/sa/b]"))},
		CALL(.principal = "old/ns/a/sa/b"), DENIED("a")},
	{{ALLOW(WHEN("source.serviceAccount", "values: [a/b]"))},
		CALL(.principal = "old/ns/a/sa/b"), ALLOWED},
	/* Stars of namespaces are anywhere; accounts have none. */
	{{DENY(FROM("namespaces: ['prod-*-eu']"))}, CALL(.principal = "corp/ns/prod-1-eu/sa/b"),
		DENIED("a")},
	{{DENY(FROM("namespaces: ['prod-*-eu']"))}, CALL(.principal = "corp/ns/prod-1-us/sa/b"),
		ALLOWED},
	{{ALLOW(FROM("namespaces: ['*d-*']"))}, CALL(.principal = "corp/ns/prod-1/sa/b"), ALLOWED},
	{{ALLOW(WHEN("source.namespace", "notValues: ['*-1*']"))},
		CALL(.principal = "corp/ns/prod-1/sa/b"), DENIED("a")},
	{{ALLOW(FROM("serviceAccounts: ['a/*']"))}, CALL(.principal = "corp/ns/a/sa/b"),
		CLOSED("a")},
	/* Another form of principal: whoever may be taken for a member cannot be read, anybody else is none. */
	{{ALLOW(FROM("namespaces: [a]"))}, CALL(.principal = "corp/ns/a/x/sa/b"), UNREAD_("a")},
	{{DENY(FROM("namespaces: [x]"))}, CALL(.principal = "corp/ns/a/ns/b/sa/c"), UNREAD_("a")},
	{{ALLOW(FROM("serviceAccounts: [a/b]"))}, CALL(.principal = "corp/ns/a/sa/b/c"),
		UNREAD_("a")},
	{{ALLOW(FROM("serviceAccounts: [a/b]"))}, CALL(.principal = "corp/w"), DENIED("a")},
	{{DENY(FROM("namespaces: ['*']"))}, CALL(.principal = "corp/w"), ALLOWED},
	{{ALLOW(FROM("principals: [corp/w]"))}, CALL(.principal = "corp/w"), ALLOWED},
	/* The policy's server name matches in any case, with or without the root's dot. */
	{{ALLOW(WHEN("connection.sni", "values: [A.test]"))}, CALL(.sni = "a.test"), ALLOWED},
	{{ALLOW(WHEN("connection.sni", "values: ['*.Test']"))}, CALL(.sni = "a.test"), ALLOWED},
	{{ALLOW(WHEN("connection.sni", "values: [b.test]"))}, CALL(.sni = "a.test"), DENIED("a")},
	{{DENY(WHEN("connection.sni", "values: ['a.*']"))}, CALL(.sni = "a.test"), DENIED("a")},
	{{DENY(WHEN("connection.sni", "notValues: [a.test]"))}, CALL(.sni = "a.test"), ALLOWED},
	{{DENY(WHEN("connection.sni", "values: [A.test.]"))}, CALL(.sni = "a.test"), DENIED("a")},
	{{DENY(WHEN("connection.sni", "values: ['*.test.']"))}, CALL(.sni = "a.test"), DENIED("a")},
	{{DENY(WHEN("connection.sni", "values: [a.test]"))}, CALL(.sni_unkept = true), UNREAD_("a"),
		.codec = "tcp"},
	{{ALLOW(WHEN("connection.sni", "notValues: [a.test]"))}, CALL(.sni_unkept = true),
		UNREAD_("a"), .codec = "tcp"},
	{{ALLOW(FROM("principals: [corp/ns/a/sa/b]"))}, CALL(.principal = "old/ns/a/sa/b"), ALLOWED,
		.codec = "tcp"},
	{{DENY(FROM("namespaces: [a]"))}, CALL(.principal = "old/ns/a/sa/b"), DENIED("a"),
		.codec = "tcp"},
	{{DENY(WHEN("connection.sni", "values: ['*']"))}, CALL(.sni = "x"), DENIED("a"),
		.codec = "tcp"},
	/* Metadata: names without case for DENY, exact for ALLOW; every value of a key. */
	{{ALLOW(WHEN("request.headers[k]", "values: [v]"))}, CALL(KV1("k", "v")), ALLOWED},
	{{ALLOW(WHEN("request.headers[k]", "values: [v]"))}, CALL(KV1("K", "v")), DENIED("a")},
	{{DENY(WHEN("request.headers[k]", "values: [v]"))}, CALL(KV1("K", "v")), DENIED("a")},
	{{ALLOW(WHEN("request.headers[k]", "values: ['v*']"))}, CALL(KV2("k", "v1", "k", "v2")),
		ALLOWED},
	{{ALLOW(WHEN("request.headers[k]", "values: ['v*']"))}, CALL(KV2("k", "v1", "k", "w")),
		DENIED("a")},
	{{DENY(WHEN("request.headers[k]", "values: [w]"))}, CALL(KV2("k", "v", "k", "w")),
		DENIED("a")},
	{{ALLOW(WHEN("request.headers[k]", "values: ['*']"))}, DENIED("a")},
	{{ALLOW(WHEN("request.headers[k]", "values: ['*']"))}, CALL(KV1("k", "")), DENIED("a")},
	{{DENY(WHEN("request.headers[k]", "values: ['*']"))}, CALL(KV1("k", "")), DENIED("a")},
	{{DENY(WHEN("request.headers[k]", "notValues: ['*']"))}, DENIED("a")},
	{{DENY(WHEN("request.headers[k]", "notValues: ['*']"))}, CALL(KV1("k", "v")), ALLOWED},
	{{ALLOW(WHEN("request.headers[k]", "notValues: [v]"))}, ALLOWED},
	/* What cannot be read is not let through by whoever asks for it. */
	{{DENY(OP("methods: [drop]"))}, CALL(.no_methods = true), UNREAD_("a")},
	{{ALLOW(OP("methods: [get]"))}, CALL(.no_methods = true), UNREAD_("a")},
	{{ALLOW(OP("paths: [/a/b]"))}, CALL(.no_interfaces = true), UNREAD_("a")},
	{{DENY(WHEN("request.headers[k]", "values: [v]"))}, CALL(.no_metadata = true),
		UNREAD_("a")},
	{{DENY(WHEN("request.headers[k]", "values: [v]"))}, CALL(KV1("k", NULL)), UNREAD_("a")},
	{{ALLOW(FROM("ipBlocks: [10.0.0.0/8]"))}, CALL(.no_methods = true, .no_metadata = true),
		ALLOWED},
	{{ALLOW(OP("methods: [get]")), ALLOW("{}")}, CALL(.no_methods = true), ALLOWED},
	{{DENY("{from: [{source: {ipBlocks: [192.0.2.0/24]}}], to: [{operation: {methods: "
	       "[x]}}]}")},
		CALL(.no_methods = true), ALLOWED},
	/* What cannot be evaluated closes what the rest of its rule fits. */
	{{DENY(WHEN("experimental.envoy.filters.x[y]", "values: [v]"))}, CLOSED("a")},
	{{ALLOW(WHEN("experimental.envoy.filters.x[y]", "values: [v]"))}, CLOSED("a")},
	{{ALLOW(WHEN("no.such", "values: [v]")), ALLOW("{}")}, ALLOWED},
	{{DENY("{to: [{operation: {methods: [put]}}], when: [{key: no.such, notValues: [v]}]}")},
		ALLOWED},
	{{DENY("{to: [{operation: {methods: [get]}}], when: [{key: no.such, notValues: [v]}]}")},
		CLOSED("a")},
	{{DENY(WHEN("request.headers", "values: [v]"))}, CLOSED("a")},
	{{DENY(OP("paths: ['/com.a.B/{*}']"))}, CLOSED("a")},
	{{CUSTOM(OP("methods: [put]"))}, ALLOWED},
	{{CUSTOM(OP("methods: [get]"))}, CLOSED("a")},
	/* A field that no codec has: an ALLOW rule vanishes, in DENY the field is dropped. */
	{{ALLOW(OP("hosts: ['*']"))}, DENIED("a")},
	{{ALLOW(OP("hosts: ['*']") ", " OP("methods: [get]"))}, ALLOWED},
	{{DENY(OP("hosts: [x], methods: [put]"))}, ALLOWED},
	{{DENY(OP("hosts: [x], methods: [get]"))}, DENIED("a")},
	{{DENY(OP("notHosts: [x]"))}, DENIED("a")},
	/* Bytes, as on TCP. */
	{{ALLOW(OP("methods: [get]"))}, DENIED("a"), .codec = "tcp"},
	{{ALLOW(OP("methods: [get]") ", " OP("ports: ['20880']"))}, ALLOWED, .codec = "tcp"},
	{{DENY(OP("methods: [get], ports: ['20880']"))}, DENIED("a"), .codec = "tcp"},
	{{DENY(OP("paths: [/a], ports: ['20881']"))}, ALLOWED, .codec = "tcp"},
	{{DENY(WHEN("request.headers[k]", "values: [v]"))}, DENIED("a"), .codec = "tcp"},
	{{DENY(FROM("requestPrincipals: ['*']"))}, DENIED("a"), .codec = "tcp"},
	{{ALLOW(FROM("requestPrincipals: ['*']"))}, DENIED("a"), .codec = "tcp"},
	{{ALLOW(FROM("notRequestPrincipals: ['*']"))}, DENIED("a"), .codec = "tcp"},
	{{DENY(FROM("principals: ['*']"))}, ALLOWED, .codec = "tcp"},
	{{CUSTOM(OP("methods: [put]"))}, CLOSED("a"), .codec = "tcp"},
	{{DENY(OP("methods: [x], ports: ['9']") ", " FROM("ipBlocks: [10.0.0.0/8]"))}, DENIED("a"),
		.codec = "tcp"},
	/* Thrift has methods and paths. */
	{{ALLOW(OP("paths: [/com.a.B/get]"))}, ALLOWED, .codec = "thrift"},
	/* Aeraki's: interfaces beside methods. */
	{{"{}"}, DENIED("a"), .aeraki = true},
	{{"{action: DENY}"}, ALLOWED, .aeraki = true},
	{{ALLOW("{}")}, ALLOWED, .aeraki = true},
	{{ALLOW(OP("interfaces: [com.a.B]"))}, ALLOWED, .aeraki = true},
	{{ALLOW(OP("interfaces: ['com.a.*']"))}, ALLOWED, .aeraki = true},
	{{ALLOW(OP("interfaces: ['*.B']"))}, ALLOWED, .aeraki = true},
	{{ALLOW(OP("interfaces: ['*']"))}, ALLOWED, .aeraki = true},
	{{ALLOW(OP("interfaces: [com.a]"))}, DENIED("a"), .aeraki = true},
	{{ALLOW(OP("interfaces: [com.a.B/get]"))}, DENIED("a"), .aeraki = true},
	{{ALLOW(OP("interfaces: [com.a.B], methods: [put]"))}, DENIED("a"), .aeraki = true},
	{{ALLOW(OP("interfaces: ['*'], notInterfaces: [com.a.B]"))}, DENIED("a"), .aeraki = true},
	{{ALLOW(OP("interfaces: ['*'], notMethods: [get]"))}, DENIED("a"), .aeraki = true},
	{{ALLOW(OP("interfaces: [com.a.B]"))}, CALL(I("com.a.B", "x.Y")), DENIED("a"),
		.aeraki = true},
	{{DENY(OP("interfaces: [x.Y]"))}, CALL(I("com.a.B", "x.Y")), DENIED("a"), .aeraki = true},
	{{DENY(OP("notInterfaces: [com.a.B]"))}, CALL(I("com.a.B", "x.Y")), DENIED("a"),
		.aeraki = true},
	{{DENY(OP("notInterfaces: [com.a.B]"))}, ALLOWED, .aeraki = true},
	{{ALLOW(OP("interfaces: [com.a.B]"))}, CALL(.no_interfaces = true), UNREAD_("a"),
		.aeraki = true},
	{{DENY(OP("interfaces: [x.Y]"))}, CALL(.no_interfaces = true), UNREAD_("a"),
		.aeraki = true},
	{{DENY(OP("methods: [put]"))}, CALL(.no_interfaces = true), ALLOWED, .aeraki = true},
	{{ALLOW(FROM("namespaces: [a]"))}, DENIED("a"), .aeraki = true},
	{{ALLOW(FROM("notNamespaces: [a]"))}, ALLOWED, .aeraki = true},
	{{ALLOW(FROM("namespaces: [a]"))}, CALL(.principal = "td/ns/a/sa/s"), ALLOWED,
		.aeraki = true},
	{{DENY(FROM("principals: ['*']"))}, ALLOWED, .aeraki = true},
	{{DENY(FROM("notPrincipals: [td/ns/a/sa/s]"))}, DENIED("a"), .aeraki = true},
};

/* Of the trust domain corp, which was another one once. */
static const char *const domains[] = {"corp", "old"};
static const struct mt_authz_callers callers = {false, true, domains, 2};

static struct said whole(const struct said *said)
{
	struct said s = *said;

	s.peer = s.peer ? s.peer : "10.1.2.3";
	s.server = "10.9.9.9";
	s.server_port = 20880;
	s.service_port = 80;
	if (!s.n_interfaces)
		s.interfaces[s.n_interfaces++] = "com.a.B";
	if (!s.n_methods)
		s.methods[s.n_methods++] = "get";
	return s;
}

static struct mt_model *read_row(const struct row *r)
{
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;
	char text[4096];
	size_t len = 0;

	for (int i = 0; i < 3 && r->spec[i]; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"---\napiVersion: %s\nmetadata: {name: %c, namespace: x}\nspec: %s\n",
			r->aeraki ? "dubbo.aeraki.io/v1alpha1\nkind: DubboAuthorizationPolicy"
				  : "security.istio.io/v1\nkind: AuthorizationPolicy",
			'a' + i, r->spec[i]);
	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t", text, len);
	if (diags.n)
		mt_diags_print(&diags, stderr);
	CU_ASSERT_EQUAL_FATAL(diags.n, 0);
	mt_diags_fini(&diags);
	return m;
}

static bool is_same(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool judge_row(const struct row *r)
{
	const struct mt_codec *codec = mt_codec_find(r->codec ? r->codec : "dubbo");
	struct mt_authorization_policy *written[3];
	struct mt_authz_policy *p[3];
	struct mt_model *m = read_row(r);
	struct said s = whole(&r->call);
	const struct mt_authz_ports at = {s.server_port, s.service_port};
	enum mt_authz_effect e;
	const struct mt_authz_policy *by;
	const char *name;
	struct mt_region mem;
	uint32_t n = m->authorization_policies.n;
	bool good;

	mt_region_init(&mem, 1 << 20);
	for (uint32_t i = 0; i < n; i++) {
		written[i] = m->authorization_policies.v[i];
		p[i] = mt_authz_compile(&mem, written[i], codec, i % 2 ? &at : NULL, &callers);
	}
	e = said_judge(&s, mt_authz_set(&mem, p, n, NULL), codec, &by, NULL);
	name = by ? strrchr(by->by, '/') + 1 : NULL;
	good = e == r->effect && (name ? r->by && strcmp(name, r->by) == 0 : !r->by) &&
	       naive_allows(written, n, &s, codec, &callers) == (r->effect == MT_AUTHZ_ALLOWED);
	if (!good)
		fprintf(stderr, "row %zu (%s): %d by %s, plainly %d\n", (size_t)(r - rows),
			r->spec[0], e, by ? by->by : "nobody",
			naive_allows(written, n, &s, codec, &callers));
	mt_region_fini(&mem);
	mt_model_free(m);
	return good;
}

static void what_a_rule_means(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		CU_ASSERT_TRUE(judge_row(&rows[i]));
}

/* The keys of a codec file are in the case of the file, and conditions of DENY in any. */
static void keys_in_any_case(void)
{
	static const char *const keys[] = {"method", "userId", NULL};
	struct mt_codec codec = *mt_codec_find("dubbo");
	struct mt_authz_build b = {.codec = &codec};
	struct mt_region mem;
	struct mt_key k;

	codec.keys = keys;
	mt_region_init(&mem, 1 << 20);
	b.r = &mem;
	k = mt_authz_key_of(&b, "UserId", 6, true);
	CU_ASSERT_EQUAL(k.id, 1);
	CU_ASSERT_TRUE(k.icase);
	CU_ASSERT_EQUAL(mt_authz_key_of(&b, "UserId", 6, false).id, -1);
	CU_ASSERT_EQUAL(mt_authz_key_of(&b, "userId", 6, false).id, 1);
	CU_ASSERT_EQUAL(mt_authz_key_of(&b, "users", 5, true).id, -1);
	mt_region_fini(&mem);
}

/* ---- byte streams at a port of messages ------------------------------------------------------------ */

/*
 * The caller is known, but not what is called: a rule that needs it neither allows nor lets pass.
 */
static const struct {
	const char *spec;
	enum mt_authz_effect effect;
	const char *principal;
} of_bytes[] = {
	{ALLOW("{}"), MT_AUTHZ_ALLOWED, NULL},
	{ALLOW(FROM("ipBlocks: [10.0.0.0/8]")), MT_AUTHZ_ALLOWED, NULL},
	{ALLOW(FROM("ipBlocks: [10.9.0.0/16]")), MT_AUTHZ_DENIED, NULL},
	{ALLOW(FROM("principals: [td/ns/a/sa/s]")), MT_AUTHZ_ALLOWED, "td/ns/a/sa/s"},
	{ALLOW(FROM("principals: [td/ns/a/sa/s]")), MT_AUTHZ_DENIED, NULL},
	{ALLOW(OP("ports: ['20880']")), MT_AUTHZ_ALLOWED, NULL},
	{DENY(FROM("ipBlocks: [10.9.0.0/16]")), MT_AUTHZ_ALLOWED, NULL},
	{DENY(FROM("notPrincipals: [td/ns/a/sa/s]")), MT_AUTHZ_DENIED, NULL},
	{ALLOW(OP("methods: [get]")), MT_AUTHZ_UNREAD, NULL},
	{ALLOW(OP("notMethods: [put]")), MT_AUTHZ_UNREAD, NULL},
	{ALLOW(OP("paths: ['*']")), MT_AUTHZ_UNREAD, NULL},
	{DENY(OP("methods: [put]")), MT_AUTHZ_UNREAD, NULL},
	{DENY(OP("paths: ['/x.Y/*']")), MT_AUTHZ_UNREAD, NULL},
	{DENY(OP("methods: [put], ports: ['1']")), MT_AUTHZ_ALLOWED, NULL},
	{ALLOW(WHEN("request.headers[k]", "values: [v]")), MT_AUTHZ_UNREAD, NULL},
	{DENY(WHEN("request.headers[k]", "values: [v]")), MT_AUTHZ_UNREAD, NULL},
	{ALLOW(FROM("requestPrincipals: ['*']")), MT_AUTHZ_UNREAD, NULL},
	{DENY(FROM("requestPrincipals: ['*']")), MT_AUTHZ_UNREAD, NULL},
	{DENY(FROM("notRequestPrincipals: ['*']")), MT_AUTHZ_UNREAD, NULL},
	{DENY(WHEN("request.auth.claims[g]", "values: [a]")), MT_AUTHZ_UNREAD, NULL},
	{DENY(WHEN("request.auth.claims[g]", "notValues: [a]")), MT_AUTHZ_UNREAD, NULL},
	{CUSTOM(OP("methods: [get]")), MT_AUTHZ_UNREAD, NULL},
};

/* Evaluates each policy alone, and among so many others that policies are looked up. */
static void bytes_of_messages(void)
{
	static const struct mt_authz_callers with_tokens = {true, true, domains, 2};
	const struct mt_codec *codec = mt_codec_find("dubbo");

	for (size_t i = 0; i < 2 * MT_ARRAY_LEN(of_bytes); i++) {
		const char *spec = of_bytes[i / 2].spec;
		struct row r = {.spec = {spec}};
		struct said s = whole(
			&(struct said){.bytes = true, .principal = of_bytes[i / 2].principal});
		struct mt_model *m = read_row(&r);
		struct mt_authz_policy *p[64];
		const struct mt_authz_policy *by;
		struct mt_region mem;
		uint32_t n = i % 2 ? MT_ARRAY_LEN(p) : 1;
		enum mt_authz_effect e;

		mt_region_init(&mem, 1 << 20);
		for (uint32_t k = 0; k < n; k++)
			p[k] = mt_authz_compile(
				&mem, m->authorization_policies.v[0], codec, NULL, &with_tokens);
		e = said_judge(&s, mt_authz_set(&mem, p, n, NULL), codec, &by, NULL);
		if (e != of_bytes[i / 2].effect)
			fprintf(stderr, "bytes by %u of %s: %d\n", n, spec, e);
		CU_ASSERT_EQUAL(e, of_bytes[i / 2].effect);
		mt_region_fini(&mem);
		mt_model_free(m);
	}
}

/* ---- servers that may execute another service or method ------------------------------------------- */

/* Of dubbo, if its servers did so: no rule can be evaluated by service or method. */
static const struct {
	const char *spec;
	enum mt_authz_effect effect;
	const char *other, *key; /* the second one: metadata that they take from there */
} of_others[] = {
	{ALLOW("{}"), MT_AUTHZ_ALLOWED, NULL, NULL},
	{ALLOW(OP("ports: ['20880']")), MT_AUTHZ_ALLOWED, NULL, NULL},
	{ALLOW(OP("methods: [get]")), MT_AUTHZ_CLOSED, "methods", NULL},
	{ALLOW(OP("notMethods: [put]")), MT_AUTHZ_CLOSED, "methods", NULL},
	{ALLOW(OP("paths: ['*']")), MT_AUTHZ_CLOSED, "paths", NULL},
	{ALLOW(OP("methods: [get]") ", " OP("ports: ['20880']")), MT_AUTHZ_ALLOWED, "methods",
		NULL},
	{DENY(OP("methods: [put]")), MT_AUTHZ_CLOSED, "methods", NULL},
	{DENY(OP("paths: [/x.Y/*]")), MT_AUTHZ_CLOSED, "paths", NULL},
	{DENY(OP("paths: [/x.Y/*], ports: ['1']")), MT_AUTHZ_ALLOWED, "paths", NULL},
	{CUSTOM(OP("methods: [put]")), MT_AUTHZ_CLOSED, "methods", NULL},
	{DENY(WHEN("request.headers[method]", "values: [put]")), MT_AUTHZ_CLOSED,
		"request.headers[method]", NULL},
	{DENY(WHEN("request.headers[Interface]", "values: [x]")), MT_AUTHZ_CLOSED,
		"request.headers[Interface]", NULL},
	{ALLOW(WHEN("request.headers[interface]", "values: [x]")), MT_AUTHZ_CLOSED,
		"request.headers[interface]", NULL},
	{DENY(WHEN("request.headers[k]", "values: [v]")), MT_AUTHZ_CLOSED, "request.headers[k]",
		NULL},
	{ALLOW(WHEN("request.headers[k]", "notValues: [v]")), MT_AUTHZ_CLOSED, "request.headers[k]",
		NULL},
	{CUSTOM(WHEN("request.headers[k]", "values: [v]")), MT_AUTHZ_CLOSED, "request.headers[k]",
		NULL},
	{DENY(WHEN("request.headers[k]", "values: [v]")), MT_AUTHZ_ALLOWED, NULL, "k"},
	{DENY(WHEN("request.headers[K]", "values: [v]")), MT_AUTHZ_ALLOWED, NULL, "k"},
	{DENY(WHEN("request.headers[k]", "values: [v]")), MT_AUTHZ_CLOSED, "request.headers[k]",
		"l"},
	{DENY(WHEN("request.headers[k]", "values: [v]")), MT_AUTHZ_ALLOWED, NULL, "*"},
	{DENY(WHEN("request.headers[Interface]", "values: [x]")), MT_AUTHZ_CLOSED,
		"request.headers[Interface]", "*"},
	{DENY(OP("methods: [put]")), MT_AUTHZ_CLOSED, "methods", "*"},
};

static void other_names(void)
{
	struct mt_codec codec = *mt_codec_find("dubbo");

	codec.executes_other = true;
	for (size_t i = 0; i < MT_ARRAY_LEN(of_others); i++) {
		const char *const keys[] = {of_others[i].key, NULL};
		const struct row r = {.spec = {of_others[i].spec}};
		const struct said s = whole(&(struct said){0});
		struct mt_model *m = read_row(&r);
		const struct mt_authz_policy *by;
		struct mt_authz_policy *p;
		struct mt_region mem;
		enum mt_authz_effect e;

		mt_region_init(&mem, 1 << 20);
		codec.executed_keys = keys;
		p = mt_authz_compile(&mem, m->authorization_policies.v[0], &codec, NULL, &callers);
		CU_ASSERT_TRUE(is_same(p->other, of_others[i].other));
		e = said_judge(&s, mt_authz_set(&mem, &p, 1, NULL), &codec, &by, NULL);
		if (e != of_others[i].effect)
			fprintf(stderr, "%s: %d\n", of_others[i].spec, e);
		CU_ASSERT_EQUAL(e, of_others[i].effect);
		mt_region_fini(&mem);
		mt_model_free(m);
	}
}

/* ---- tokens, and what is told ---------------------------------------------------------------------- */

struct token_row {
	const char *rules;
	struct said call;
	bool denied;
};

static const struct token_row tokens[] = {
	{"[{issuer: a}]", {0}, false},
	{"[{issuer: a}]", {KV1("authorization", "Bearer x")}, true},
	{"[{issuer: a}]", {KV1("Authorization", "bearer x")}, true},
	{"[{issuer: a}]", {KV1("authorization", "Basic x")}, false},
	{"[{issuer: a}]", {KV2("authorization", "Basic x", "authorization", "Bearer x")}, true},
	{"[{issuer: a}]", {.no_metadata = true}, true},
	{"[{issuer: a, fromHeaders: [{name: t}]}]", {KV1("t", "x")}, true},
	{"[{issuer: a, fromHeaders: [{name: t}]}]", {KV1("authorization", "Bearer x")}, false},
	{"[{issuer: a, fromHeaders: [{name: t, prefix: 'p '}]}]", {KV1("t", "x")}, false},
	{"[{issuer: a}, {issuer: b, fromHeaders: [{name: t}]}]", {KV1("authorization", "Bearer x")},
		true},
};

static void calls_with_tokens(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(tokens); i++) {
		const struct mt_codec *codec = mt_codec_find("dubbo");
		struct mt_model *m = mt_model_new();
		struct said s = whole(&tokens[i].call);
		struct mt_authz_policy *p;
		struct mt_diags diags;
		struct mt_region mem;
		char text[512];
		const struct mt_authz_policy *by;

		snprintf(text, sizeof(text),
			"apiVersion: security.istio.io/v1\nkind: RequestAuthentication\n"
			"metadata: {name: a}\nspec: {jwtRules: %s}\n",
			tokens[i].rules);
		mt_diags_init(&diags);
		mt_source_text(m, &diags, "t", text, strlen(text));
		CU_ASSERT_EQUAL_FATAL(m->request_authentications.n, 1);
		mt_region_init(&mem, 1 << 20);
		p = mt_authz_compile_tokens(&mem, m->request_authentications.v[0], codec);
		CU_ASSERT_EQUAL(said_judge(&s, mt_authz_set(&mem, &p, 1, NULL), codec, &by, NULL) !=
					MT_AUTHZ_ALLOWED,
			tokens[i].denied);
		CU_ASSERT_PTR_NULL(mt_authz_compile_tokens(
			&mem, m->request_authentications.v[0], mt_codec_find("tcp")));
		mt_region_fini(&mem);
		mt_diags_fini(&diags);
		mt_model_free(m);
	}
}

struct told_row {
	const char *spec, *codec;
	const char *dropped, *vanished;
	bool closes, idle;
};

static const struct told_row told[] = {
	{ALLOW("{}"), "dubbo", NULL, NULL, false, true},
	{"{action: DENY}", "dubbo", NULL, NULL, false, true},
	{ALLOW(""), "dubbo", NULL, NULL, false, false},
	{DENY("{}"), "dubbo", NULL, NULL, false, false},
	{ALLOW(OP("methods: [a]")), "tcp", NULL, "methods", false, false},
	{DENY(OP("paths: [a]")), "tcp", "paths", NULL, false, false},
	{ALLOW(OP("hosts: [a]")), "dubbo", NULL, "hosts", false, false},
	{CUSTOM("{}"), "dubbo", NULL, NULL, true, false},
	{CUSTOM(""), "dubbo", NULL, NULL, false, true},
	{CUSTOM(FROM("principals: [a]")), "dubbo", NULL, NULL, false, false},
	{CUSTOM(WHEN("connection.sni", "values: [a]")), "dubbo", NULL, NULL, false, false},
	/* The server name of TLS that passes through cannot be read. */
	{CUSTOM(WHEN("connection.sni", "values: [a]")), "tcp", NULL, NULL, true, false},
	{DENY("{when: [{key: connection.sni, values: [a]}, {key: no.such, values: [a]}]}"), "tcp",
		NULL, NULL, true, false},
	{ALLOW(FROM("serviceAccounts: ['a*']")), "dubbo", NULL, NULL, false, false},
	{DENY(WHEN("no.such", "values: [a]")), "dubbo", NULL, NULL, true, false},
	{DENY("{from: [{source: {namespaces: [a]}}], when: [{key: no.such, values: [a]}]}"),
		"dubbo", NULL, NULL, false, false},
	{DENY("{from: [{source: {namespaces: [a]}}, {source: {}}], "
	      "when: [{key: no.such, values: [a]}]}"),
		"dubbo", NULL, NULL, true, false},
};

/* Where callers may show certificates. */
static const struct told_row told_of_members[] = {
	{CUSTOM(FROM("principals: [a]")), "dubbo", NULL, NULL, true, false},
	{CUSTOM(WHEN("connection.sni", "values: [a]")), "dubbo", NULL, NULL, true, false},
	{CUSTOM(FROM("requestPrincipals: [a]")), "dubbo", NULL, NULL, false, false},
	{ALLOW(FROM("serviceAccounts: ['a*']")), "dubbo", NULL, NULL, true, false},
};

static void look(const struct told_row *v, size_t n, const struct mt_authz_callers *who)
{
	for (size_t i = 0; i < n; i++) {
		const struct row r = {.spec = {v[i].spec}};
		struct mt_model *m = read_row(&r);
		struct mt_authz_policy *p;
		struct mt_region mem;

		mt_region_init(&mem, 1 << 20);
		p = mt_authz_compile(
			&mem, m->authorization_policies.v[0], mt_codec_find(v[i].codec), NULL, who);
		CU_ASSERT_TRUE(is_same(p->dropped, v[i].dropped));
		CU_ASSERT_TRUE(is_same(p->vanished, v[i].vanished));
		CU_ASSERT_EQUAL(p->closes, v[i].closes);
		CU_ASSERT_EQUAL(mt_authz_is_idle(mt_authz_set(&mem, &p, 1, NULL)), v[i].idle);
		mt_region_fini(&mem);
		mt_model_free(m);
	}
}

static void what_is_told(void)
{
	look(told, MT_ARRAY_LEN(told), NULL);
	look(told_of_members, MT_ARRAY_LEN(told_of_members), &callers);
}

/* A policy at many ports has its conditions once, and at each the rules for that port. */
static void conditions_of_all_ports(void)
{
	static const struct row row = {
		.spec = {"{action: DENY, rules: [{to: [{operation: {ports: ['80']}}]}, "
			 "{to: [{operation: {ports: ['81']}}], "
			 "from: [{source: {principals: [a]}}]}, "
			 "{to: [{operation: {hosts: [b], notPorts: ['80']}}]}]}"}};
	static const struct mt_authz_ports at[] = {{80, 80}, {81, 81}, {82, 82}};
	static const uint32_t n_rules[] = {1, 2, 1};
	const struct mt_codec *codec = mt_codec_find("dubbo");
	struct mt_model *m = read_row(&row);
	struct mt_authz_policy *p[3];
	struct mt_authz_rules *all;
	struct mt_region mem;
	size_t used;

	mt_region_init(&mem, 1 << 20);
	all = mt_authz_rules_of(&mem, m->authorization_policies.v[0], codec, &callers);
	CU_ASSERT_PTR_NOT_NULL_FATAL(all);
	for (int i = 0; i < 3; i++) {
		p[i] = mt_authz_at_ports(&mem, all, &at[i]);
		CU_ASSERT_PTR_NOT_NULL_FATAL(p[i]);
		CU_ASSERT_EQUAL_FATAL(p[i]->n_rules, n_rules[i]);
	}
	CU_ASSERT_PTR_EQUAL(p[1]->rules[1].to, p[2]->rules[0].to);
	/* What the codec lacks is told where the rule applies. */
	CU_ASSERT_PTR_NULL(p[0]->dropped);
	CU_ASSERT_STRING_EQUAL(p[1]->dropped, "hosts");
	/* At any port all rules apply, and none is copied. */
	used = mem.used;
	p[0] = mt_authz_at_ports(&mem, all, NULL);
	CU_ASSERT_EQUAL_FATAL(p[0]->n_rules, 3);
	CU_ASSERT(mem.used - used <= sizeof(*p[0]) + 16);
	mt_region_fini(&mem);
	mt_model_free(m);
}

/* PeerAuthentication's STRICT, of messages and of bytes. */
static void who_shows_no_certificate(void)
{
	const struct said clear = {0}, certified = {.mtls = true};
	const struct said says[] = {whole(&clear), whole(&certified)};

	for (int i = 0; i < 4; i++) {
		const struct mt_authz_policy *by;
		struct mt_authz_policy *p;
		struct mt_region mem;
		enum mt_authz_effect e;

		mt_region_init(&mem, 1 << 20);
		p = mt_authz_compile_strict(&mem, "PeerAuthentication a/b");
		CU_ASSERT_FALSE(mt_authz_is_idle(mt_authz_set(&mem, &p, 1, NULL)));
		CU_ASSERT_FALSE(p->closes);
		e = said_judge(&says[i % 2], mt_authz_set(&mem, &p, 1, NULL),
			mt_codec_find(i / 2 ? "tcp" : "dubbo"), &by, NULL);
		CU_ASSERT_EQUAL(e, i % 2 ? MT_AUTHZ_ALLOWED : MT_AUTHZ_DENIED);
		CU_ASSERT_STRING_EQUAL(
			mt_authz_by(by), i % 2 ? "policies" : "PeerAuthentication a/b");
		mt_region_fini(&mem);
	}
}

const struct mt_test rows_tests[] = {
	{"what_a_rule_means", what_a_rule_means},
	{"keys_in_any_case", keys_in_any_case},
	{"bytes_of_messages", bytes_of_messages},
	{"other_names", other_names},
	{"calls_with_tokens", calls_with_tokens},
	{"what_is_told", what_is_told},
	{"conditions_of_all_ports", conditions_of_all_ports},
	{"who_shows_no_certificate", who_shows_no_certificate},
	{0},
};
