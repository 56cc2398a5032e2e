/* SPDX-License-Identifier: Apache-2.0 */
/* Tests which EnvoyFilter replaces the proxy of a service's listener. */
#include "conf_test.h"

#include <stdio.h>

#define SERVICE                                                                                    \
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, namespace: "  \
	"edge}\nspec: {hosts: [a.x], addresses: [198.51.100.200], ports: [{number: 20880, name: "  \
	"tcp-metaprotocol-dubbo}], endpoints: [{address: 198.51.100.1}]}\n"
#define FILTER(name, ns, codec)                                                                    \
	"---\napiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: {name: " name \
	", namespace: " ns "}\nspec:\n  configPatches:\n  - applyTo: NETWORK_FILTER\n"             \
	"    match: {listener: {name: 198.51.100.200_20880}}\n    patch:\n"                        \
	"      operation: REPLACE\n      value:\n        typed_config:\n"                          \
	"          \"@type\": type.googleapis.com/"                                                \
	"aeraki.meta_protocol_proxy.v1alpha.MetaProtocolProxy\n"                                   \
	"          codec: {name: aeraki.meta_protocol.codec." codec "}\n"

static const struct {
	const char *clients, *root; /* namespaces; NULL: not written */
	const char *text, *codec;
	enum mt_diag_severity severity; /* MT_DIAG_SEVERITIES: nothing is reported */
	const char *words;
} rows[] = {
	{NULL, NULL, SERVICE FILTER("f", "edge", "thrift"), "thrift", MT_DIAG_SEVERITIES, NULL},
	{NULL, NULL, SERVICE FILTER("f", "istio-system", "thrift"), "thrift", MT_DIAG_SEVERITIES,
		NULL},
	{NULL, NULL, SERVICE FILTER("f", "evil", "thrift"), "dubbo", MT_DIAG_INERT,
		"for clients of its own namespace"},
	/* The namespace of clients is the one that counts, not the service's. */
	{"shop", NULL, SERVICE FILTER("f", "shop", "thrift"), "thrift", MT_DIAG_SEVERITIES, NULL},
	{"shop", NULL, SERVICE FILTER("f", "edge", "thrift"), "dubbo", MT_DIAG_INERT,
		"for clients of its own namespace"},
	{NULL, "root", SERVICE FILTER("f", "istio-system", "thrift"), "dubbo", MT_DIAG_INERT,
		"for clients of its own namespace"},
	{NULL, "root", SERVICE FILTER("f", "root", "thrift"), "thrift", MT_DIAG_SEVERITIES, NULL},
	/* The first patch finds the proxy; patches of the root namespace come first. */
	{NULL, NULL, SERVICE FILTER("f", "edge", "thrift") FILTER("g", "edge", "dubbo"), "thrift",
		MT_DIAG_SHADOWED, "is that of EnvoyFilter edge/f"},
	{NULL, NULL, SERVICE FILTER("f", "edge", "dubbo") FILTER("g", "istio-system", "thrift"),
		"thrift", MT_DIAG_SHADOWED, "is that of EnvoyFilter istio-system/g"},
	{NULL, NULL, SERVICE FILTER("f", "evil", "dubbo") FILTER("g", "edge", "thrift"), "thrift",
		MT_DIAG_INERT, "for clients of its own namespace"},
};

static struct built build(size_t i)
{
	struct built b = {.conf = new_conf(), .m = mt_model_new()};

	mt_diags_init(&b.diags);
	mt_source_text(b.m, &b.diags, "t", rows[i].text, strlen(rows[i].text));
	b.m->mesh.ns = rows[i].clients;
	b.m->mesh.root_ns = rows[i].root;
	b.s = mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	return b;
}

static bool is_told(const struct built *b, size_t i)
{
	if (rows[i].severity == MT_DIAG_SEVERITIES)
		return b->diags.n == 0;
	for (uint32_t k = 0; k < b->diags.n; k++)
		if (b->diags.items[k].severity == rows[i].severity &&
			strstr(b->diags.items[k].message, rows[i].words))
			return true;
	return false;
}

static void which_patch_counts(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build(i);
		const char *codec;
		bool good;

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		codec = listener(b.s, "198.51.100.200", 20880)->protos->codec->name;
		good = strcmp(codec, rows[i].codec) == 0 && is_told(&b, i);
		CU_ASSERT_TRUE(good);
		if (!good) {
			fprintf(stderr, "row %zu: %s\n", i, codec);
			show_diags(&b);
		}
		unbuild(&b);
	}
}

const struct mt_test patches_tests[] = {
	{"which_patch_counts", which_patch_counts},
	{0},
};
