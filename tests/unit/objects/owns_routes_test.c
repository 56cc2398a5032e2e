/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes for a host that no source owns, of an object that has something of a source as well: those
 * of other sources with `namespaces` do not lead the calls of that object.
 */
#include "objects_test.h"

#include <stdio.h>

#define NODE(owns, more)                                                                           \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n  sources:\n"        \
	"  - {directory: shop, namespaces: [shop], owns: {" owns "}}\n"                            \
	"  - {directory: a, namespaces: [a, shop]}\n  - {directory: ops}\n" more
#define HOST	"hosts: [one.corp]"
#define ADDRESS "addresses: [240.240.2.0/24]"
#define AT_HOSTS(name, ns, hosts, address)                                                         \
	ISTIO("ServiceEntry", name, ns)                                                            \
	"  hosts: [" hosts "]\n  addresses: [" address "]\n"                                       \
	"  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n  location: MESH_INTERNAL\n"       \
	"  resolution: STATIC\n  endpoints: [{address: 198.51.100.11}]\n"
#define ONE(hosts) AT_HOSTS("one", "shop", hosts, "240.240.2.1")
#define ROUTES(kind, name, ns, hosts, more)                                                        \
	ISTIO(kind, name, ns)                                                                      \
	"  hosts: [" hosts "]\n" more "  dubbo: [{route: [{destination: {host: s.a}}]}]\n"
#define SERVED(ns, hosts, more) ROUTES("VirtualService", "v", ns, hosts, more)
#define ROUTER(host)                                                                               \
	"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"                          \
	"metadata: {name: v, namespace: a}\nspec:\n  hosts: [" host "]\n"                          \
	"  routes: [{name: all, route: [{destination: {host: s.a}}]}]\n"
#define OWN(hosts)                                                                                 \
	"apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: own, "         \
	"namespace: shop, creationTimestamp: \"2020-01-01T00:00:00Z\"}\nspec:\n"                   \
	"  hosts: [" hosts "]\n  dubbo: [{route: [{destination: {host: s.a}}]}]\n"

static void begin(struct scene *sc, const char *node, const char *one, const char *own)
{
	char cmd[160];

	scene_begin(sc);
	snprintf(cmd, sizeof(cmd), "mkdir %s/shop %s/a %s/ops", sc->dir, sc->dir, sc->dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	scene_write(sc, "0-node.yaml", node);
	scene_write(sc, "shop/one.yaml", one);
	scene_write(sc, "shop/own.yaml", own);
	scene_write(sc, "a/s.yaml", AT_HOSTS("s", "a", "s.a", "240.240.9.1"));
}

#define BOTH	 ONE("one.corp, one.former.org")
#define OF_NODE	 NODE(HOST, "")
#define OF_NS(n) NODE(HOST, "  mesh: {namespace: " n "}\n")

/* Whether the routes lead the calls instead of those of the owner, which are older. */
static const struct {
	const char *node, *one, *own, *file, *kind, *text;
	bool lead;
} rows[] = {
	{OF_NODE, BOTH, OWN("one.corp"), "a/v.yaml", "VirtualService",
		SERVED("a", "one.former.org", ""), false},
	{OF_NODE, BOTH, OWN("one.corp"), "a/v.yaml", "VirtualService",
		SERVED("a", "s.a, one.former.org", ""), false},
	{OF_NODE, ONE("one.former.org, one.corp"), OWN("'*.former.org'"), "a/v.yaml",
		"VirtualService", SERVED("a", "'*.former.org'", ""), false},
	{OF_NODE, BOTH, OWN("one.corp"), "a/v.yaml", "MetaRouter", ROUTER("one.former.org"), false},
	{OF_NODE, ONE("one.former.org, one.corp"), OWN("one.corp"), "a/v.yaml", "VirtualService",
		SERVED("a", "one.former.org", ""), false},
	{NODE(ADDRESS, ""), ONE("one.former.org"), OWN("one.former.org"), "a/v.yaml",
		"VirtualService", SERVED("a", "one.former.org", ""), false},
	/* Also in the owner's namespace. */
	{OF_NODE, BOTH, OWN("one.corp"), "a/v.yaml", "VirtualService",
		SERVED("shop", "one.former.org", "  exportTo: [.]\n"), false},
	/* The owner itself, operators, and authors for clients of their own namespace. */
	{OF_NODE, BOTH, OWN("one.corp"), "shop/v.yaml", "VirtualService",
		SERVED("shop", "one.former.org", ""), true},
	{OF_NODE, BOTH, OWN("one.corp"), "ops/v.yaml", "VirtualService",
		SERVED("shop", "one.former.org", ""), true},
	{OF_NS("a"), BOTH, OWN("one.corp"), "a/v.yaml", "VirtualService",
		SERVED("a", "one.former.org", ""), true},
	{OF_NS("shop"), BOTH, OWN("one.corp"), "a/v.yaml", "VirtualService",
		SERVED("a", "one.former.org", ""), false},
	/* Nothing of a source. */
	{OF_NODE, ONE("two.corp, one.former.org"), OWN("two.corp"), "a/v.yaml", "VirtualService",
		SERVED("a", "one.former.org", ""), true},
};

static void what_leads(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct scene sc;
		bool leads;

		begin(&sc, rows[i].node, rows[i].one, rows[i].own);
		scene_write(&sc, rows[i].file, rows[i].text);
		for (int load = 0; load < 2; load++) {
			scene_serve(&sc);
			leads = strcmp(scene_status(&sc, "VirtualService", "own"), "in-force") != 0;
			if (leads != rows[i].lead)
				printf("\n  row %zu", i);
			CU_ASSERT_EQUAL(leads, rows[i].lead);
			CU_ASSERT_EQUAL(scene_has(&sc, "a/v.yaml:5: warning: ",
						": these routes do not lead calls to \""),
				!rows[i].lead);
			IS_STATUS(&sc, "ServiceEntry", "one",
				scene_has(&sc, "shop/one.yaml:", "belongs to no source")
					? "in-force-with-notes"
					: "in-force");
			scene_restart(&sc);
		}
		scene_end(&sc);
	}
}

/* An object with owned hosts and others: nothing keeps the others. */
static void what_is_told(void)
{
	static const struct {
		const char *node, *one, *place, *words;
	} t[] = {
		{OF_NODE, BOTH, "one.yaml:5: warning: spec.hosts[1]: ",
			"\"one.former.org\" belongs to no source, although one.corp belongs to "
			"that of "},
		{OF_NODE, ONE("one.former.org, one.corp"), "one.yaml:5: warning: spec.hosts[0]: ",
			", and while it does, no host of this one is served"},
		{NODE(ADDRESS, ""), ONE("one.former.org"), "one.yaml:5: warning: spec.hosts[0]: ",
			"although 240.240.2.0/24 belongs to "},
		{NODE(HOST ", " ADDRESS, ""), ONE("one.corp"), NULL, NULL},
		{OF_NODE, ONE("one.former.org, two.former"), NULL, NULL},
		{NODE(ADDRESS, ""),
			"apiVersion: v1\nkind: Service\nmetadata: {name: one, namespace: shop}\n"
			"spec: {clusterIP: 240.240.2.1, ports: [{port: 80, name: tcp}]}\n",
			NULL, NULL},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		struct scene sc;

		begin(&sc, t[i].node, t[i].one, OWN("one.corp"));
		scene_load_node(&sc);
		CU_ASSERT_EQUAL(scene_has(&sc, "belongs to no source", ""), t[i].words != NULL);
		if (t[i].words)
			CU_ASSERT(scene_has(&sc, t[i].place, t[i].words));
		scene_end(&sc);
	}
}

const struct mt_test owns_routes_tests[] = {
	{"what_leads", what_leads},
	{"what_is_told", what_is_told},
	{0},
};
