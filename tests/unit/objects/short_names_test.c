/* SPDX-License-Identifier: Apache-2.0 */
/* Which host a document means by a short name that other namespaces have as a host, too. */
#include "objects_test.h"

#include "mt_route.h"

#include <string.h>

#define NODE(more)                                                                                 \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"                    \
	"  sources: [{directory: all}, {directory: all/team, namespaces: [a]}]\n" more
#define KUBE /* pay.shop.svc.cluster.local */                                                      \
	"apiVersion: v1\nkind: Service\nmetadata: {name: pay, namespace: shop}\n"                  \
	"spec: {clusterIP: 203.0.113.1, ports: [{port: 80, name: tcp-metaprotocol-dubbo}]}\n"      \
	"---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: pay-1, "      \
	"namespace: shop, labels: {kubernetes.io/service-name: pay}}\naddressType: IPv4\n"         \
	"endpoints: [{addresses: [198.51.100.1]}]\n"                                               \
	"ports: [{port: 80, name: tcp-metaprotocol-dubbo}]\n---\n"
#define ENTRY(name, ns, host)                                                                      \
	ISTIO("ServiceEntry", name, ns)                                                            \
	"  hosts: [" host "]\n  addresses: [203.0.113.2]\n  resolution: STATIC\n"                  \
	"  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"                                  \
	"  endpoints: [{address: 198.51.100.2}]\n"
#define RULE(ns, host) ISTIO("DestinationRule", "d", ns) "  host: " host "\n"
#define LIMIT(ns, host)                                                                            \
	"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\nmetadata: {name: m, "      \
	"namespace: " ns "}\nspec: {hosts: [" host                                                 \
	"], localRateLimit: {tokenBucket: {maxTokens: 1, tokensPerFill: 1, fillInterval: 1s}}}\n"
#define ROUTED(ns, host) /* of r.r, to the host */                                                 \
	ISTIO("VirtualService", "v", ns)                                                           \
	"  hosts: [r.r]\n  dubbo: [{route: [{destination: {host: " host                            \
	"}}]}]\n---\n" ISTIO("ServiceEntry", "r",                                                  \
		"r") "  hosts: [r.r]\n  addresses: [203.0.113.3]\n  resolution: STATIC\n"          \
		     "  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"                     \
		     "  endpoints: [{address: 198.51.100.3}]\n"
#define LONG "pay.shop.svc.cluster.local"

static const struct {
	const char *own;		   /* of the source without `namespaces` */
	const char *limited;		   /* of the other one */
	const char *kind, *name, *touches; /* an object, and its host; "": it has no effect */
} rows[] = {
	/* The long name first, in each form, whatever others have as a host. */
	{KUBE RULE("shop", "pay"), ENTRY("e", "a", "pay"), "DestinationRule", "d", LONG},
	{KUBE RULE("shop", "pay.shop"), ENTRY("e", "a", "pay.shop"), "DestinationRule", "d", LONG},
	{KUBE RULE("shop", "pay.shop.svc"), ENTRY("e", "a", "pay.shop.svc"), "DestinationRule", "d",
		LONG},
	{KUBE LIMIT("shop", "pay"), ENTRY("e", "a", "pay"), "MetaRouter", "m", LONG},
	{KUBE "---\n" ENTRY("e", "b", "pay") "---\n" RULE("shop", "pay"), NULL, "DestinationRule",
		"d", LONG},
	/* As written: of the own namespace, of the one in the word, or of a source without them. */
	{KUBE, ENTRY("e", "a", "pay") "---\n" RULE("a", "pay"), "DestinationRule", "d", "pay"},
	{KUBE "---\n" LIMIT("shop", "pay.a"), ENTRY("e", "a", "pay.a"), "MetaRouter", "m", "pay.a"},
	{ENTRY("e", "b", "pay") "---\n" LIMIT("shop", "pay"), NULL, "MetaRouter", "m", "pay"},
	/* Otherwise it is no host. */
	{RULE("shop", "pay"), ENTRY("e", "a", "pay"), "DestinationRule", "d", ""},
	{RULE("shop", "pay.shop"), ENTRY("e", "a", "pay.shop"), "DestinationRule", "d", ""},
	{LIMIT("shop", "pay"), ENTRY("e", "a", "pay"), "MetaRouter", "m", ""},
	/* A long name that the author of another namespace writes takes no name from others. */
	{ENTRY("e", "b", "example.com") "---\n" RULE("b", "example.com"),
		ENTRY("x", "a", "example.com.svc.cluster.local"), "DestinationRule", "d",
		"example.com"},
	{ENTRY("e", "shop", "pay") "---\n" LIMIT("shop", "pay"), ENTRY("x", "a", LONG),
		"MetaRouter", "m", "pay"},
	{ENTRY("e", "b", "pay.shop") "---\n" RULE("b", "pay.shop"), ENTRY("x", "a", LONG),
		"DestinationRule", "d", "pay.shop"},
	/* Also that of a namespace with the name of a domain. */
	{ENTRY("e", "b", "pay.a") "---\n" RULE("b", "pay.a"),
		ENTRY("x", "a", "pay.a.svc.cluster.local"), "DestinationRule", "d", "pay.a"},
	{LIMIT("shop", "pay.a"), ENTRY("x", "a", "pay.a.svc.cluster.local"), "MetaRouter", "m",
		"pay.a.svc.cluster.local"},
	/* A name that is not a short one is a host wherever it is. */
	{LIMIT("shop", "pay.example.com"), ENTRY("e", "a", "pay.example.com"), "MetaRouter", "m",
		"pay.example.com"},
};

static void load(struct scene *sc, const char *node, const char *own, const char *limited)
{
	char cmd[100];

	scene_begin(sc);
	snprintf(cmd, sizeof(cmd), "mkdir -p %s/all/team", sc->dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	scene_write(sc, "0-node.yaml", node);
	scene_write(sc, "all/o.yaml", own);
	if (limited)
		scene_write(sc, "all/team/l.yaml", limited);
	scene_load_node(sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(sc->s);
	mt_table_touch(sc->t);
}

static bool touches(const struct scene *sc, const char *kind, const char *name, const char *host)
{
	const struct mt_object_row *row = scene_row(sc, kind, name);

	if (!row || !*host)
		return row && row->status == MT_OBJECT_NO_EFFECT;
	return row->n_touches == 1 && strcmp(row->touches[0], host) == 0 &&
	       row->status == MT_OBJECT_IN_FORCE;
}

static void short_names(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct scene sc;
		bool good;

		load(&sc, NODE(""), rows[i].own, rows[i].limited);
		good = touches(&sc, rows[i].kind, rows[i].name, rows[i].touches);
		if (!good) {
			printf("\n  row %zu:", i);
			mt_diags_print(&sc.diags, stdout);
		}
		CU_ASSERT_TRUE(good);
		scene_end(&sc);
	}
}

/* The cluster that the routes of r.r lead to; "": none. */
static const char *destination(const struct scene *sc)
{
	for (uint32_t i = 0; i < sc->s->n_services; i++) {
		const struct mt_service *s = sc->s->services[i];
		const struct mt_route_action *a = s->routes ? mt_route_at(s->routes, 0) : NULL;

		if (strcmp(s->name, "r.r") == 0 && a && a->n_dests &&
			a->dests[0].cluster != MT_ROUTE_NO_CLUSTER)
			return sc->s->clusters[a->dests[0].cluster].name;
	}
	return "";
}

/* Destinations of routes, too. */
static void destinations(void)
{
	struct scene sc;

	load(&sc, NODE(""), KUBE "---\n" ROUTED("shop", "pay"), ENTRY("e", "a", "pay"));
	CU_ASSERT_STRING_EQUAL(destination(&sc), "outbound|80||" LONG);
	scene_end(&sc);
	load(&sc, NODE(""), ROUTED("shop", "pay"), ENTRY("e", "a", "pay"));
	CU_ASSERT_STRING_EQUAL(destination(&sc), "");
	CU_ASSERT(scene_has(&sc, "o.yaml", "ServiceEntry a/e has it, in a source with"));
	scene_end(&sc);
}

/* And the Node's forwarded ports, which may name each host with a dot. */
static void forwarded_ports(void)
{
#define FORWARDED(host) NODE("  nat: {}\n  forwarding: [{host: " host ", port: 80, mode: nat}]\n")
	static const char unused[] = "nothing is forwarded";
	struct scene sc;

	load(&sc, FORWARDED("pay"), RULE("shop", "x.y.z"), ENTRY("e", "a", "pay"));
	CU_ASSERT_TRUE(scene_has(&sc, "0-node.yaml", unused));
	scene_end(&sc);
	load(&sc, FORWARDED("pay.example"), RULE("shop", "x.y.z"), ENTRY("e", "a", "pay.example"));
	CU_ASSERT_FALSE(scene_has(&sc, "0-node.yaml", unused));
	scene_end(&sc);
	load(&sc, FORWARDED("pay"), KUBE, ENTRY("e", "a", "pay"));
	CU_ASSERT_FALSE(scene_has(&sc, "0-node.yaml", unused));
	scene_end(&sc);
}

const struct mt_test short_names_tests[] = {{"short_names", short_names},
	{"destinations", destinations}, {"forwarded_ports", forwarded_ports}, {0}};
