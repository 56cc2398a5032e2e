/* SPDX-License-Identifier: Apache-2.0 */
/* Documents and resources name the codecs of a registry, which may change between compilations. */
#include "conf_test.h"
#include "conf_texts.h"
#include "mesh_build.h"

#include "mt_authz.h"
#include "mt_codec_registry.h"

#define ACME "aeraki.meta_protocol.codec.acme"

/* The metadata "colour" has another index in each version. */
static const char *const keys[2][3] = {{"method", "colour", NULL}, {"colour", "method", NULL}};
static struct mt_codec versions[2];

/* A registry with a version of the codec acme, which holds its only reference. */
static struct mt_codec_registry *with_acme(struct mt_conf *c, uint32_t version)
{
	struct mt_codec *acme = &versions[version];
	const struct mt_codec *more[] = {acme};
	struct mt_codec_registry *r;

	*acme = *mt_codec_find("thrift");
	acme->name = "acme";
	acme->aeraki_name = ACME;
	acme->content = 100 + version;
	acme->keys = keys[version];
	r = mt_codec_registry_new(more, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	mt_conf_set_codecs(c, r);
	mt_codec_registry_drop(r);
	return r;
}

static const struct mt_codec *served_by(const struct mt_snapshot *s, const char *addr)
{
	const struct mt_listener *l = listener(s, addr, 20880);

	CU_ASSERT_EQUAL_FATAL(l->n_protos, 1);
	return l->protos->codec;
}

#define SERVICE(name, host, addr, port)                                                            \
	ISTIO("ServiceEntry", name)                                                                \
	"  hosts: [" host "]\n  addresses: [" addr "]\n  resolution: STATIC\n"                     \
	"  location: MESH_INTERNAL\n"                                                              \
	"  ports: [{number: 20880, name: " port "}]\n"                                             \
	"  endpoints: [{address: 198.51.100.1}, {address: 198.51.100.2}]\n"
#define PROTOCOL                                                                                   \
	"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: ApplicationProtocol\n"            \
	"metadata: {name: p}\nspec: {protocol: shop, codec: " ACME "}\n"
#define HASH                                                                                       \
	ISTIO("DestinationRule", "h")                                                              \
	"  host: a.x\n"                                                                            \
	"  trafficPolicy: {loadBalancer: {consistentHash: {httpHeaderName: colour}}}\n"
#define PATCH                                                                                      \
	"---\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: f}\n"  \
	"spec:\n  configPatches:\n  - applyTo: NETWORK_FILTER\n"                                   \
	"    match: {listener: {name: 192.0.2.3_20880}}\n    patch:\n"                             \
	"      operation: REPLACE\n      value:\n        typed_config:\n"                          \
	"          \"@type\": type.googleapis.com/"                                                \
	"aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy\n"                                   \
	"          codec: {name: " ACME "}\n"
#define DOCUMENTS                                                                                  \
	SERVICE("a", "a.x", "192.0.2.1", "tcp-metaprotocol-acme")                                  \
	SERVICE("b", "b.x", "192.0.2.2", "tcp-metaprotocol-shop")                                  \
	SERVICE("c", "c.x", "192.0.2.3", "tcp-metaprotocol-dubbo") PROTOCOL HASH PATCH

static const struct mt_cluster *cluster_of(const struct mt_snapshot *s, const char *name)
{
	for (uint32_t i = 0; i < s->n_clusters; i++)
		if (strcmp(s->clusters[i].name, name) == 0)
			return &s->clusters[i];
	CU_FAIL_FATAL("no such cluster");
	return NULL;
}

/* A port's name, an ApplicationProtocol, an EnvoyFilter and a hash key name codecs. */
static void documents(void)
{
	struct mt_conf *conf = new_conf();
	struct mt_codec_registry *r = NULL;
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;

	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t", DOCUMENTS, strlen(DOCUMENTS));
	CU_ASSERT_EQUAL(diags.errors, 0);
	CU_ASSERT_PTR_EQUAL(mt_conf_codecs(conf), mt_codec_registry_built_in());
	for (uint32_t version = 0; version < 2; version++) {
		const struct mt_codec *acme = &versions[version];
		const struct mt_snapshot *s;
		const struct mt_cluster *c;

		r = with_acme(conf, version);
		CU_ASSERT_PTR_NOT_EQUAL(mt_conf_codecs(conf), r);
		s = mesh_publish(conf, m, &diags);
		CU_ASSERT_PTR_EQUAL(mt_conf_codecs(conf), r);
		CU_ASSERT_PTR_EQUAL(served_by(s, "192.0.2.1"), acme);
		CU_ASSERT_PTR_EQUAL(served_by(s, "192.0.2.2"), acme);
		CU_ASSERT_PTR_EQUAL(served_by(s, "192.0.2.3"), acme);
		c = cluster_of(s, "outbound|20880||a.x");
		CU_ASSERT_EQUAL_FATAL(c->n_hash_keys, 1);
		CU_ASSERT_EQUAL(c->hash_keys->id, version == 0 ? 1 : 0);
	}
	/* The snapshot in force keeps its registry. */
	mt_conf_set_codecs(conf, mt_codec_registry_built_in());
	CU_ASSERT_PTR_EQUAL(mt_conf_codecs(conf), r);
	CU_ASSERT_PTR_EQUAL(mt_codec_registry_find(mt_conf_codecs(conf), "acme"), &versions[1]);
	CU_ASSERT_PTR_NULL(mt_conf_compile(conf, m, &diags, NOW));
	mt_diags_fini(&diags);
	mt_model_free(m);
	mt_conf_destroy(conf);
}

/* A policy has other rules at each port, however long the codec's name is. */
static void long_name(void)
{
	static const char name[] =
		"a23456789_123456789_123456789_123456789_123456789_123456789_123";
	struct mt_conf *conf = new_conf();
	struct mt_codec codec = *mt_codec_find("thrift");
	const struct mt_codec *more[] = {&codec};
	struct mt_codec_registry *r;
	const struct mt_cluster *c;
	struct built b;

	codec.name = name;
	codec.aeraki_name = ACME;
	codec.content = 102;
	r = mt_codec_registry_new(more, 1);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r);
	mt_conf_set_codecs(conf, r);
	mt_codec_registry_drop(r);
	b = build_text(conf,
		ISTIO("ServiceEntry",
			"a") "  hosts: [a.x]\n  location: MESH_INTERNAL\n  resolution: STATIC\n"
			     "  ports: [{number: 80, name: tcp-metaprotocol-shop},"
			     " {number: 81, name: tcp-metaprotocol-shop-2}]\n"
			     "  endpoints: [{address: 198.51.100.1}]\n" PROTOCOL
			     "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
			     "metadata: {name: p}\nspec: {action: DENY, rules: "
			     "[{to: [{operation: {ports: ['81']}}]}]}\n");
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_PTR_NULL(cluster_of(b.s, "outbound|80||a.x")->guards);
	c = cluster_of(b.s, "outbound|81||a.x");
	CU_ASSERT_FATAL(c->guards && c->guards[0]);
	CU_ASSERT_EQUAL_FATAL(c->guards[0]->n_deny, 1);
	CU_ASSERT_EQUAL(c->guards[0]->deny[0]->n_rules, 1);
	unbuild(&b);
}

/* A port has the codec of a file only if its words can mean nothing else. */
static void words(void)
{
	static const struct {
		const char *port;
		bool messages;
	} rows[] = {
		{"tcp-metaprotocol-acme", true},
		{"tcp-metaprotocol-ACME-x", true},
		{"acme", false},
		{"acme-x", false},
		{"tcp-acme", false},
		{"x, protocol: acme", false},
		{"tcp-thrift", true},
		/* An ApplicationProtocol. */
		{"shop", true},
	};
	char text[2048];

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_conf *conf = new_conf();
		struct built b;

		(void)with_acme(conf, 0);
		snprintf(text, sizeof(text), SERVICE("a", "a.x", "192.0.2.1", "%s") PROTOCOL,
			rows[i].port);
		b = build_text(conf, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(served_by(b.s, "192.0.2.1")->opaque, !rows[i].messages);
		unbuild(&b);
	}
}

/* A codec of the registry is a remedy. */
static void remedy(void)
{
	struct mt_conf *conf = new_conf();
	struct built b;

	(void)with_acme(conf, 0);
	b = build_text(conf,
		"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: ApplicationProtocol\n"
		"metadata: {name: p}\nspec: {protocol: p, codec: "
		"aeraki.meta_protocol.codec.acm}\n");
	CU_ASSERT_PTR_NULL(b.s);
	CU_ASSERT(has_diag(&b, MT_DIAG_ERROR, 4, "(did you mean " ACME "?)"));
	unbuild(&b);
}

#define AS(protocol, codec)                                                                        \
	"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: ApplicationProtocol\n"                 \
	"metadata: {name: p}\nspec: {protocol: " protocol ", codec: " codec "}\n"

/* A built-in protocol does not get the codec of a file, to which its policies would not apply. */
static void built_in_names(void)
{
	static const struct {
		const char *text;
		bool refused;
	} rows[] = {
		{AS("dubbo", ACME), true},
		{AS("Dubbo", ACME), true},
		{AS("thrift", "acme"), true},
		{AS("dubbo2", ACME), false},
		{AS("acme", ACME), false},
		{AS("dubbo", "aeraki.meta_protocol.codec.thrift"), false},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct mt_conf *conf = new_conf();
		struct built b;

		(void)with_acme(conf, 0);
		b = build_text(conf, rows[i].text);
		CU_ASSERT_EQUAL(b.s == NULL, rows[i].refused);
		CU_ASSERT_EQUAL(
			has_diag(&b, MT_DIAG_ERROR, 4,
				"is a built-in protocol, which cannot have the codec of a file"),
			rows[i].refused);
		unbuild(&b);
	}
}

/* A policy by what servers of a codec need not execute is reported with its remedy. */
static void other_names(void)
{
	struct mt_conf *conf = new_conf();
	struct built b;

	(void)with_acme(conf, 0);
	versions[0].executes_other = true;
	b = build_text(conf,
		SERVICE("a", "a.x", "192.0.2.1",
			"tcp-metaprotocol-acme") "---\napiVersion: security.istio.io/v1\nkind: "
						 "AuthorizationPolicy\n"
						 "metadata: {name: p}\n"
						 "spec: {action: DENY, rules: [{to: [{operation: "
						 "{methods: [x]}}]}]}\n");
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT(has_diag(&b, MT_DIAG_WARNING, 13,
		"servers of acme may execute another call than \"methods\" means"));
	CU_ASSERT(has_diag(&b, MT_DIAG_WARNING, 13, "\"executes: named\""));
	CU_ASSERT(has_diag(&b, MT_DIAG_CLOSED, 13, "a condition cannot be evaluated"));
	unbuild(&b);
}

/* Nor can a claim be written where servers may take it from elsewhere: the client could forge it. */
static void other_claims(void)
{
	static const char *const executed[] = {"user", NULL};

	for (uint32_t known = 0; known < 2; known++) {
		struct mt_conf *conf = new_conf();
		struct built b;

		(void)with_acme(conf, 0);
		versions[0].executes_other = true;
		versions[0].executed_keys = known ? executed : NULL;
		b = build_text(conf,
			SERVICE("a", "a.x", "192.0.2.1",
				"tcp-metaprotocol-acme") "---\napiVersion: security.istio.io/v1\n"
							 "kind: RequestAuthentication\n"
							 "metadata: {name: p}\n"
							 "spec: {jwtRules: [{issuer: i, "
							 "jwks: '{\"keys\":[]}', "
							 "outputClaimToHeaders: [{header: "
							 "user, claim: sub}]}]}\n");
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(has_diag(&b, MT_DIAG_WARNING, 13,
					"servers of acme may take \"user\" from elsewhere"),
			!known);
		unbuild(&b);
	}
}

/* A listener of a discovery service is left out while its codec is missing, and follows it. */
static void resources(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_res_listener *l = mesh_listener(sc.m, "l", "192.0.2.1", 20880);
	struct mt_proxy_patch *p = mesh_proxy(sc.m, l, "shop", NULL);

	p->codec.s = ACME;
	mesh_simple_cluster(sc.m, "c");
	mesh_rule(sc.m, &p->routes, "r", "c");
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.s->n_listeners, 0);
	CU_ASSERT(mesh_told(&sc, MT_DIAG_LEFT_OUT, "l", "unknown codec \"" ACME "\""));
	for (uint32_t version = 0; version < 2; version++) {
		(void)with_acme(sc.conf, version);
		mesh_load(&sc);
		CU_ASSERT_PTR_EQUAL(served_by(sc.s, "192.0.2.1"), &versions[version]);
		CU_ASSERT_FALSE(mesh_told(&sc, MT_DIAG_LEFT_OUT, "l", ""));
	}
	mt_conf_set_codecs(sc.conf, mt_codec_registry_built_in());
	mesh_load(&sc);
	CU_ASSERT_EQUAL(sc.s->n_listeners, 0);
	mesh_scene_end(&sc);
}

/* Services are made again only if the codecs have changed. */
static void shared(void)
{
	struct mesh_scene sc = mesh_scene_new();
	struct mt_proxy_patch *p =
		mesh_proxy(sc.m, mesh_listener(sc.m, "l", "192.0.2.1", 20880), "dubbo", NULL);
	uint64_t made;

	mesh_simple_cluster(sc.m, "c");
	mesh_rule(sc.m, &p->routes, "r", "c");
	(void)with_acme(sc.conf, 0);
	mesh_load(&sc);
	made = mt_conf_work(sc.conf).services_made;
	(void)with_acme(sc.conf, 0);
	mesh_load(&sc);
	CU_ASSERT_EQUAL(mt_conf_work(sc.conf).services_made, made);
	(void)with_acme(sc.conf, 1);
	mesh_load(&sc);
	CU_ASSERT_EQUAL(mt_conf_work(sc.conf).services_made, made + 1);
	mesh_scene_end(&sc);
}

const struct mt_test codecs_tests[] = {
	{"documents name codecs of the registry", documents},
	{"policies at ports of a codec with a long name", long_name},
	{"words of ports that name codecs of files", words},
	{"the nearest codec of the registry", remedy},
	{"names of built-in protocols", built_in_names},
	{"names of what servers need not execute", other_names},
	{"claims as what servers need not execute", other_claims},
	{"resources name codecs of the registry", resources},
	{"services follow changed codecs", shared},
	{0},
};
