/* SPDX-License-Identifier: Apache-2.0 */
/* What two snapshots have in common is made once, and only while it would come out the same. */
#include "conf_test.h"

#include <stdio.h>

#define SE(name, addr)                                                                             \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name      \
	"}\nspec:\n  hosts: [" name ".x]\n  addresses: [" addr "]\n  resolution: STATIC\n"         \
	"  ports: [{number: 1, name: tcp-metaprotocol-dubbo}]\n"
#define INSTANCES(a) "  endpoints: [{address: " a "}]\n"
#define VS(name, route)                                                                            \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " name    \
	"}\nspec:\n  hosts: [" name ".x]\n  dubbo:\n  - name: " route                              \
	"\n    match: [{headers: {method: {exact: m}}}]\n"                                         \
	"    route: [{destination: {host: " name ".x}}]\n"

/* A file as the cache of lib/source keeps it. */
static struct mt_model *part(const char *text)
{
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;

	mt_diags_init(&diags);
	CU_ASSERT_EQUAL(mt_source_text(m, &diags, "t", text, strlen(text)), 0);
	CU_ASSERT_EQUAL(diags.n, 0);
	mt_diags_fini(&diags);
	return m;
}

/* Publishes a configuration of these files; NULL: refused. */
static const struct mt_snapshot *publish(struct mt_conf *c, struct mt_model *const *parts, size_t n)
{
	struct mt_model *m = mt_model_new();
	struct mt_snapshot *s;
	struct mt_diags diags;
	struct mt_err err;

	mt_diags_init(&diags);
	for (size_t i = 0; i < n; i++)
		CU_ASSERT_EQUAL(mt_model_share(m, parts[i]), 0);
	s = mt_conf_compile(c, m, &diags, NOW);
	if (s)
		CU_ASSERT_EQUAL(mt_conf_publish(c, s, NOW, NULL, &err), 0);
	mt_diags_fini(&diags);
	mt_model_free(m);
	return s;
}

#define PUBLISH(c, ...)                                                                            \
	publish(c, (struct mt_model *const[]){__VA_ARGS__},                                        \
		sizeof((struct mt_model *const[]){__VA_ARGS__}) / sizeof(struct mt_model *))

static const struct mt_route_table *routes(const struct mt_snapshot *s, const char *name)
{
	return service(s, name)->routes;
}

static void unchanged_routes_are_shared(void)
{
	struct mt_conf *c = new_conf();
	struct mt_model *a = part(SE("a", "192.0.2.1") INSTANCES("192.0.2.11") VS("a", "r"));
	struct mt_model *b = part(SE("b", "192.0.2.2") INSTANCES("192.0.2.12") VS("b", "r"));
	struct mt_model *b2 = part(SE("b", "192.0.2.2") INSTANCES("192.0.2.13") VS("b", "new"));
	const struct mt_route_table *of_a, *of_b;
	const struct mt_snapshot *s = PUBLISH(c, a, b);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	of_a = routes(s, "a.x");
	of_b = routes(s, "b.x");
	s = PUBLISH(c, a, b2);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_PTR_EQUAL(routes(s, "a.x"), of_a);
	CU_ASSERT_PTR_NOT_EQUAL(routes(s, "b.x"), of_b);
	CU_ASSERT_STRING_EQUAL(mt_route_at(routes(s, "b.x"), 0)->name, "new");
	CU_ASSERT_STRING_EQUAL(endpoint(cluster(s, "outbound|1||b.x"), 0), "192.0.2.13:1");
	/* The one that made the table goes, the table stays. */
	mt_conf_reap(c, NOW);
	CU_ASSERT_STRING_EQUAL(mt_route_at(routes(s, "a.x"), 0)->name, "r");
	mt_conf_destroy(c);
	mt_model_free(a);
	mt_model_free(b);
	mt_model_free(b2);
}

/* A service before it moves the clusters: routes that name them by place are made anew. */
static void places_that_move(void)
{
	struct mt_conf *c = new_conf();
	struct mt_model *a = part(SE("a", "192.0.2.1") INSTANCES("192.0.2.11"));
	struct mt_model *b = part(SE("b", "192.0.2.2") INSTANCES("192.0.2.12") VS("b", "r"));
	const struct mt_route_action *action;
	const struct mt_snapshot *s = PUBLISH(c, b);

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	s = PUBLISH(c, a, b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	action = mt_route_at(routes(s, "b.x"), 0);
	CU_ASSERT_STRING_EQUAL(s->clusters[action->dests[0].cluster].name, "outbound|1||b.x");
	mt_conf_destroy(c);
	mt_model_free(a);
	mt_model_free(b);
}

/* A document that was found good is looked at again when what it names has gone. */
static void names_that_go(void)
{
	struct mt_conf *c = new_conf();
	struct mt_model *a = part(SE("a", "192.0.2.1") INSTANCES("192.0.2.11"));
	struct mt_model *b = part(SE("b", "192.0.2.2") INSTANCES("192.0.2.12"));
	struct mt_model *vs = part(VS("a", "r") "  - route: [{destination: {host: b.x}}]\n");

	CU_ASSERT_PTR_NOT_NULL(PUBLISH(c, a, b, vs));
	CU_ASSERT_PTR_NOT_NULL(PUBLISH(c, a, b, vs));
	CU_ASSERT_PTR_NULL(PUBLISH(c, a, vs));
	CU_ASSERT_PTR_NOT_NULL(PUBLISH(c, a, b, vs));
	mt_conf_destroy(c);
	mt_model_free(a);
	mt_model_free(b);
	mt_model_free(vs);
}

/* A codec that an ApplicationProtocol changes makes all of it anew. */
static void protocols_that_change(void)
{
	static const char mux[] =
		"apiVersion: metaprotocol.aeraki.io/v1alpha1\n"
		"kind: ApplicationProtocol\nmetadata: {name: dubbo}\n"
		"spec: {protocol: dubbo, codec: aeraki.meta_protocol.codec.thrift}\n";
	struct mt_conf *c = new_conf();
	struct mt_model *a = part(SE("a", "192.0.2.1") INSTANCES("192.0.2.11") VS("a", "r"));
	struct mt_model *p = part(mux);
	const struct mt_snapshot *s = PUBLISH(c, a);
	const struct mt_route_table *before;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	before = routes(s, "a.x");
	s = PUBLISH(c, a, p);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_STRING_EQUAL(listener(s, "192.0.2.1", 1)->protos->codec->name, "thrift");
	CU_ASSERT_PTR_NOT_EQUAL(routes(s, "a.x"), before);
	mt_conf_destroy(c);
	mt_model_free(a);
	mt_model_free(p);
}

const struct mt_test share_tests[] = {
	{"unchanged_routes_are_shared", unchanged_routes_are_shared},
	{"places_that_move", places_that_move},
	{"names_that_go", names_that_go},
	{"protocols_that_change", protocols_that_change},
	{0},
};
