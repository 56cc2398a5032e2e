/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses and hosts that the Node gives to one source: objects of other sources with `namespaces`
 * never have them.
 */
#include "owns_test.h"

#define KUBE(name, ns, spec)                                                                       \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: " ns                 \
	"}\nspec: {ports: [{port: 80, name: tcp}]" spec "}\n"
#define GATEWAY(bind)                                                                              \
	ISTIO("Gateway", "g", "a")                                                                 \
	"  servers: [{port: {number: 90, name: tcp, protocol: TCP}, hosts: ['*'], bind: " bind     \
	"}]\n"

#define ROUTES(kind, hosts, more)                                                                  \
	ISTIO(kind, "v", "a")                                                                      \
	"  hosts: [" hosts "]\n" more
#define SERVED(hosts, more)                                                                        \
	ROUTES("VirtualService", hosts,                                                            \
		more "  dubbo: [{route: [{destination: {host: evil.a}}]}]\n")
#define OF_SHOP(hosts, more)                                                                       \
	ISTIO("VirtualService", "v", "shop")                                                       \
	"  hosts: [" hosts "]\n" more "  dubbo: [{route: [{destination: {host: evil.a}}]}]\n"
#define ROUTER(host, more)                                                                         \
	"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"                          \
	"metadata: {name: v, namespace: a}\nspec:\n  hosts: [" host "]\n" more                     \
	"  routes: [{name: all, route: [{destination: {host: evil.a}}]}]\n"
#define TO(list)   "  exportTo: [" list "]\n"
#define FROM(list) "  gateways: [" list "]\n"
#define TLS_ROUTES(names, more)                                                                    \
	ROUTES("VirtualService", "two.corp",                                                       \
		more "  tls: [{match: [{sniHosts: [two.corp]}, {sniHosts: [" names                 \
		     "]}], route: [{destination: {host: evil.a}}]}]\n")
#define TCP_ROUTE(ns, parent)                                                                      \
	"apiVersion: gateway.networking.k8s.io/v1alpha2\nkind: TCPRoute\n"                         \
	"metadata: {name: r, namespace: " ns "}\nspec:\n"                                          \
	"  parentRefs: [{group: '', kind: Service, " parent "port: 80}]\n"                         \
	"  rules: [{backendRefs: [{name: evil, port: 80}]}]\n"

/* ---- what is refused ------------------------------------------------------------------------- */

/* `error`: words of its line, which has file, line and field; NULL: the object is taken. */
static const struct {
	const char *text, *kind, *name, *error;
} rows[] = {
	{AT("192.0.2.5"), "WorkloadEntry", "x",
		":5: error: spec.address: 192.0.2.5 belongs to the source of "},
	{WITHOUT("192.0.2.5"), "WorkloadEntry", "x", ":5: error: spec.address: 192.0.2.5"},
	{AT("192.0.2.7"), "WorkloadEntry", "x", "the Node gives it 192.0.2.4/30 at "},
	{AT("192.0.2.8"), "WorkloadEntry", "x", NULL},
	{AT("'::ffff:192.0.2.6'"), "WorkloadEntry", "x", "spec.address: ::ffff:192.0.2.6 belongs"},
	{AT("'2001:db8:0::5'"), "WorkloadEntry", "x", "spec.address: 2001:db8:0::5 belongs"},
	/* A name gives no principal, whatever it resolves to. */
	{AT("one.corp"), "WorkloadEntry", "x", NULL},
	{HOSTS("one.corp"), "ServiceEntry", "s",
		":5: error: spec.hosts[0]: one.corp belongs to the source of "},
	{HOSTS("s.a, ONE.corp."), "ServiceEntry", "s", ":5: error: spec.hosts[1]: one.corp"},
	{HOSTS("'*.corp'"), "ServiceEntry", "s", "spec.hosts[0]: *.corp belongs"},
	{HOSTS("x.one.corp"), "ServiceEntry", "s", "the Node gives it *.one.corp at "},
	{HOSTS("'*.two.one.corp'"), "ServiceEntry", "s", "the Node gives it *.one.corp at "},
	{HOSTS("two.corp"), "ServiceEntry", "s", NULL},
	{HOSTS("pay.shop.svc.cluster.local"), "ServiceEntry", "s", "gives it pay.shop at "},
	{HOSTS("pay.shop.svc"), "ServiceEntry", "s", "gives it pay.shop at "},
	{HOSTS("one.corp.svc.cluster.local"), "ServiceEntry", "s", "gives it one.corp at "},
	{ADDRESS("240.240.2.9"), "ServiceEntry", "s",
		":6: error: spec.addresses[0]: 240.240.2.9 belongs"},
	{ADDRESS("240.240.3.1, 240.240.2.0/25"), "ServiceEntry", "s",
		"spec.addresses[1]: 240.240.2.0/25 belongs"},
	{ADDRESS("240.240.0.0/16"), "ServiceEntry", "s", "spec.addresses[0]: 240.240.0.0/16"},
	{ADDRESS("240.240.3.1"), "ServiceEntry", "s", NULL},
	/* Clients may call others' workloads. */
	{AT_HOST("s", "a", "s.a", "240.240.3.1", "192.0.2.5", "2010"), "ServiceEntry", "s", NULL},
	{KUBE("one", "com", ", clusterIP: 240.240.2.9"), "Service", "one",
		":4: error: spec.clusterIP: 240.240.2.9 belongs"},
	{KUBE("one", "com", ", clusterIP: 240.240.3.9, clusterIPs: [240.240.3.9, '2001:db8::9']"),
		"Service", "one", ":4: error: spec.clusterIPs[1]: 2001:db8::9 belongs"},
	{KUBE("one", "com", ", clusterIP: None"), "Service", "one", NULL},
	{GATEWAY("240.240.2.1"), "Gateway", "g",
		":5: error: spec.servers[0].bind: 240.240.2.1 belongs"},
	{GATEWAY("240.240.3.1"), "Gateway", "g", NULL},
	/* Routes that clients of other namespaces follow. */
	{SERVED("one.corp", ""), "VirtualService", "v",
		":5: error: spec.hosts[0]: one.corp belongs to the source of "},
	{SERVED("two.corp, x.one.corp", TO("'*'")), "VirtualService", "v",
		":5: error: spec.hosts[1]: x.one.corp belongs"},
	{SERVED("one.corp", TO("., shop")), "VirtualService", "v",
		"(for clients of its own namespace alone write exportTo: [.]; an operator may "},
	{SERVED("'*'", ""), "VirtualService", "v", "spec.hosts[0]: * belongs"},
	{SERVED("one.corp.svc.cluster.local", ""), "VirtualService", "v", "it one.corp at "},
	{SERVED("two.corp", ""), "VirtualService", "v", NULL},
	{SERVED("one.corp, '*'", TO(".")), "VirtualService", "v", NULL},
	{SERVED("one.corp", TO("., com, '~'")), "VirtualService", "v", NULL},
	{SERVED("one.corp", FROM("g, a/g, com/g")), "VirtualService", "v", NULL},
	{SERVED("one.corp", FROM("g, mesh")), "VirtualService", "v", "spec.hosts[0]: one.corp"},
	{SERVED("one.corp", FROM("g, mesh") TO(".")), "VirtualService", "v", NULL},
	{SERVED("one.corp", FROM("g, shop/g") TO(".")), "VirtualService", "v",
		"(name only Gateways of its own namespaces; an operator may "},
	{TLS_ROUTES("one.corp", FROM("g")), "VirtualService", "v", NULL},
	{TLS_ROUTES("three.corp, one.corp", FROM("g, shop/g")), "VirtualService", "v",
		"spec.tls[0].match[1].sniHosts[1]: one.corp belongs"},
	{ROUTER("one.corp", ""), "MetaRouter", "v", ":5: error: spec.hosts[0]: one.corp belongs"},
	{ROUTER("one.corp", TO(".")), "MetaRouter", "v", NULL},
	{ROUTER("one.corp", FROM("a/g") TO(".")), "MetaRouter", "v", NULL},
	{ROUTER("one.corp", FROM("a/g")), "MetaRouter", "v", "spec.hosts[0]: one.corp belongs"},
	{ROUTER("one.corp", FROM("shop/g") TO(".")), "MetaRouter", "v", "spec.hosts[0]: one.corp"},
	{ROUTER("one.corp", FROM("shop/g")), "MetaRouter", "v",
		"(name only Gateways of its own namespaces, and for clients of its own namespace "},
	{TCP_ROUTE("a", "namespace: shop, name: pay, "), "TCPRoute", "r", NULL},
};

static const struct {
	const char *text, *kind, *name, *error;
} of_one_namespace[] = {
	/* Names without a dot, and Services, of the owner's namespace. */
	{OF_SHOP("pay", ""), "VirtualService", "v", ":5: error: spec.hosts[0]: pay belongs"},
	{TCP_ROUTE("shop", "name: pay, "), "TCPRoute", "r",
		":5: error: spec.parentRefs[0]: pay belongs"},
	{TCP_ROUTE("shop", "name: other, "), "TCPRoute", "r", NULL},
	/* The owner's clients, by a namespace that the other source has, too. */
	{OF_SHOP("one.corp", TO(".")), "VirtualService", "v",
		"(write the routes in a namespace that no other source with `owns` has; an "},
	{OF_SHOP("one.corp", FROM("g")), "VirtualService", "v", "spec.hosts[0]: one.corp"},
	{OF_SHOP("two.corp", TO(".")), "VirtualService", "v", NULL},
	{SERVED("one.corp", TO("., shop")), "VirtualService", "v", "spec.hosts[0]: one.corp"},
	{SERVED("one.corp", TO("., com")), "VirtualService", "v", NULL},
	{SERVED("one.corp", FROM("shop/g")), "VirtualService", "v", "spec.hosts[0]: one.corp"},
	{TCP_ROUTE("shop", "namespace: corp, name: one, "), "TCPRoute", "r", "gives it one.corp"},
	{TCP_ROUTE("a", "namespace: corp, name: one, "), "TCPRoute", "r", NULL},
};

/* Loads what is written, also after a restart. */
static void is_refused(
	const char *node, const char *text, const char *kind, const char *name, const char *error)
{
	struct scene sc;

	owns_begin(&sc, node);
	scene_write(&sc, "a/x.yaml", text);
	for (int load = 0; load < 2; load++) {
		bool refused;

		scene_serve(&sc);
		refused = strcmp(scene_status(&sc, kind, name), "refused") == 0;
		if (refused != (error != NULL))
			printf("\n  %s", text);
		CU_ASSERT_EQUAL(refused, error != NULL);
		CU_ASSERT_EQUAL(mt_table_has_trouble(sc.t), refused);
		if (error)
			CU_ASSERT_TRUE(scene_has(&sc, "a/x.yaml:", error));
		owns_victims_are_served(&sc);
		scene_restart(&sc);
	}
	CU_ASSERT_EQUAL(mt_kept_count(sc.kept), error ? 2 : 3);
	scene_end(&sc);
}

static void what_is_refused(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		is_refused(WHOLE, rows[i].text, rows[i].kind, rows[i].name, rows[i].error);
	for (size_t i = 0; i < MT_ARRAY_LEN(of_one_namespace); i++)
		is_refused(NODE(OWNS, BOTH OPS), of_one_namespace[i].text, of_one_namespace[i].kind,
			of_one_namespace[i].name, of_one_namespace[i].error);
}

/* The error names the owner's directory, the line of the Node and the remedies. */
static void what_is_told(void)
{
	struct scene sc;
	char words[200];

	owns_begin(&sc, WHOLE);
	scene_write(&sc, "a/x.yaml", "# one line\n" AT("192.0.2.5"));
	scene_load_node(&sc);
	snprintf(words, sizeof(words),
		"the source of %s/shop: the Node gives it 192.0.2.4/30 at %s", sc.dir, sc.dir);
	CU_ASSERT(scene_has(&sc, "a/x.yaml:6: error: spec.address: ", words));
	CU_ASSERT(scene_has(&sc, "a/x.yaml:6",
		"/0-node.yaml:7 (write another one; an operator "
		"may write the object there or in a source without "
		"`namespaces`, or change `owns` of the Node)"));
	scene_end(&sc);
}

/* The owner, and sources without `namespaces`, may have all of it. */
static void who_may_have_it(void)
{
	static const char *const dirs[] = {"shop/x.yaml", "ops/x.yaml"};

	for (size_t i = 0; i < MT_ARRAY_LEN(dirs); i++) {
		struct scene sc;

		owns_begin(&sc, WHOLE);
		scene_write(&sc, dirs[i],
			AT_ADDRESS("x", "shop",
				"{address: 192.0.2.6, serviceAccount: x}") "---\n" AT_HOST("s",
				"shop", "x.one.corp, pay.shop", "240.240.2.9", "198.51.100.66",
				"2010"));
		scene_serve(&sc);
		IS_STATUS(&sc, "WorkloadEntry", "x", "in-force");
		IS_STATUS(&sc, "ServiceEntry", "s", "in-force");
		IS_PRINCIPAL(&sc, "192.0.2.6", "cluster.local/ns/shop/sa/x");
		owns_victims_are_served(&sc);
		scene_end(&sc);
	}
}

/* A source without `namespaces` may own something, too. */
static void owner_without_namespaces(void)
{
	struct scene sc;

	owns_begin(&sc, NODE("", TEAM "  - {directory: ops" OWNS "}\n"));
	scene_write(&sc, "a/x.yaml", AT("192.0.2.5"));
	scene_load_node(&sc);
	IS_STATUS(&sc, "WorkloadEntry", "x", "refused");
	IS_STATUS(&sc, "WorkloadEntry", "buyer", "refused");
	scene_write(&sc, "shop/w.yaml", NULL);
	scene_write(&sc, "ops/w.yaml", BUYER);
	scene_load_node(&sc);
	IS_STATUS(&sc, "WorkloadEntry", "buyer", "in-force");
	scene_end(&sc);
}

/* ---- copies ---------------------------------------------------------------------------------- */

#define COPY(hosts, year) AT_HOST("one", "shop", hosts, "240.240.2.1", "198.51.100.66", year)
#define BUYER_OF(year)                                                                             \
	"apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: buyer, "        \
	"namespace: shop, creationTimestamp: \"" year "-01-01T00:00:00Z\"}\n"                      \
	"spec: {address: 192.0.2.5, serviceAccount: other}\n"

/* What authors of another source write about an object of its namespace. */
static const struct {
	const char *text;
	bool disowned, usable;
} copies[] = {
	{ONE "---\n" BUYER, true, false}, /* equal: of the first file, otherwise */
	{COPY("one.corp", "2010") "---\n" BUYER_OF("2010"), true, false},
	{COPY("one.corp", "2030") "---\n" BUYER_OF("2030"), true, false},
	/* Older ones without anything of others, which the identity alone would displace. */
	{AT_HOST("one", "shop", "s.a", "240.240.9.9", "198.51.100.66", "2010"), false, true},
	{AT_ADDRESS("buyer", "shop", "{address: 192.0.2.9}"), false, true},
	/* With mistakes. */
	{ISTIO("ServiceEntry", "one", "shop") "  hosts: [", false, false},
	{AT_ADDRESS("buyer", "shop", "{address: 192.0.2.9, weight: -1}"), false, false},
};

static const char *const holders[] = {"shop", "ops"};

static void write_both(struct scene *sc, const char *dir, const char *one, const char *w)
{
	char name[32];

	snprintf(name, sizeof(name), "%s/one.yaml", dir);
	scene_write(sc, name, one);
	snprintf(name, sizeof(name), "%s/w.yaml", dir);
	scene_write(sc, name, w);
}

/* The victims, written by the owner or an operator. */
static void write_victims(struct scene *sc, const char *dir)
{
	if (strcmp(dir, "shop") == 0)
		return;
	write_both(sc, "shop", NULL, NULL);
	write_both(sc, dir, ONE, BUYER);
}

static void are_served(const struct scene *sc)
{
	IS_PRINCIPAL(sc, "192.0.2.5", "cluster.local/ns/shop/sa/buyer");
	LEADS_TO(sc, "one.corp", "198.51.100.11");
}

/* No copy displaces an object that may have what it has, before or after it, over restarts. */
static void copies_in_another_source(void)
{
	for (size_t i = 0; i < 4 * MT_ARRAY_LEN(copies); i++) {
		const char *dir = holders[i % 2];
		bool first = i / 2 % 2;
		struct scene sc;

		owns_begin(&sc, NODE(OWNS, BOTH OPS));
		write_victims(&sc, dir);
		if (!first)
			scene_serve(&sc);
		scene_write(&sc, "a/x.yaml", copies[i / 4].text);
		for (int load = 0; load < 3; load++) {
			scene_serve(&sc);
			are_served(&sc);
			CU_ASSERT_TRUE(mt_table_has_trouble(sc.t));
			if (copies[i / 4].disowned) {
				owns_victims_are_served(&sc);
				CU_ASSERT(scene_has(&sc, "a/x.yaml:", "spec.hosts[0]: one.corp"));
				CU_ASSERT(scene_has(&sc, "a/x.yaml:", "spec.address: 192.0.2.5"));
				CU_ASSERT_EQUAL(
					scene_row(&sc, "ServiceEntry", "one")->n_origins, 0);
			}
			if (load)
				scene_restart(&sc);
		}
		scene_end(&sc);
	}
}

/* While the victim's file cannot be read, its last good version stays, whatever copy there is. */
static void copies_while_a_file_is_unreadable(void)
{
	for (size_t i = 0; i < 4 * MT_ARRAY_LEN(copies); i++) {
		const char *dir = holders[i % 2];
		struct scene sc;

		owns_begin(&sc, NODE(OWNS, BOTH OPS));
		write_victims(&sc, dir);
		scene_serve(&sc);
		scene_write(&sc, "a/x.yaml", copies[i / 4].text);
		write_both(&sc, dir, "}{\n", "\xff\xfe\xff");
		for (int load = 0; load < 3; load++) {
			if (i / 2 % 2)
				scene_restart(&sc);
			scene_serve(&sc);
			are_served(&sc);
			CU_ASSERT_TRUE(mt_table_has_trouble(sc.t));
		}
		/* It is gone at last, and the copy gets nothing of it. */
		write_both(&sc, dir, NULL, NULL);
		scene_serve(&sc);
		IS_PRINCIPAL(&sc, "192.0.2.5", "");
		LEADS_TO(&sc, "one.corp", "-");
		CU_ASSERT_EQUAL(mt_kept_count(sc.kept), copies[i / 4].usable);
		scene_end(&sc);
	}
}

/* A mistake in both of them: the last good version is not the copy's. */
static void mistakes_in_both(void)
{
	static const char broken[] = ISTIO("ServiceEntry", "one", "shop") "  hosts: [";
	static const char older[] =
		"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: one, "
		"namespace: shop, creationTimestamp: \"2010-01-01T00:00:00Z\"}\nspec:\n"
		"  hosts: [x.y]\n  ports: [{number: -1}]\n";

	for (size_t i = 0; i < 2 * MT_ARRAY_LEN(holders); i++) {
		const char *dir = holders[i / 2];
		char name[32];
		struct scene sc;

		owns_begin(&sc, NODE(OWNS, BOTH OPS));
		write_victims(&sc, dir);
		scene_serve(&sc);
		snprintf(name, sizeof(name), "%s/one.yaml", dir);
		scene_write(&sc, name, i % 2 ? broken : older);
		scene_write(&sc, "a/x.yaml", i % 2 ? older : broken);
		for (int load = 0; load < 2; load++) {
			scene_serve(&sc);
			are_served(&sc);
			IS_STATUS(&sc, "ServiceEntry", "one", "last-good");
			scene_restart(&sc);
		}
		scene_end(&sc);
	}
}

/* ---- addresses that are assigned, and endpoints ---------------------------------------------- */

#define UNADDRESSED                                                                                \
	ISTIO("ServiceEntry", "u", "a")                                                            \
	"  hosts: [u.a]\n  ports: [{number: 80, name: tcp}]\n  resolution: STATIC\n"               \
	"  endpoints: [{address: 198.51.100.3}]\n"

/*
 * The service of the owner gets an address that was assigned to another host, and no host is
 * assigned it any more.
 */
static void assigned_addresses(void)
{
	static const char node[] = NODE(", owns: {addresses: [240.240.0.0/24]}", TEAM OPS);
	struct scene sc;

	owns_begin(&sc, NODE("", TEAM OPS));
	scene_write(&sc, "a/x.yaml", UNADDRESSED);
	scene_serve(&sc);
	scene_write(&sc, "0-node.yaml", node);
	scene_write(&sc, "shop/new.yaml",
		AT_HOST("new", "shop", "new.corp", "240.240.0.1", "198.51.100.12", "2020"));
	scene_load_node(&sc);
	CU_ASSERT_PTR_NOT_NULL(sc.s);
	/* The node serves it, and reports that its host is no source's. */
	IS_STATUS(&sc, "ServiceEntry", "new", "in-force-with-notes");
	CU_ASSERT_FALSE(scene_has(&sc, "new.yaml", "is not answered"));
	CU_ASSERT(scene_has(&sc, "a/x.yaml", "it is assigned another address: 240.240.0.1 is in"));
	scene_end(&sc);
}

static void no_address_left(void)
{
	struct scene sc;

	owns_begin(&sc, NODE(", owns: {addresses: [240.240.0.0/16]}", TEAM OPS));
	scene_write(&sc, "a/x.yaml", UNADDRESSED);
	scene_load_node(&sc);
	IS_STATUS(&sc, "ServiceEntry", "u", "refused");
	CU_ASSERT(scene_has(&sc, "a/x.yaml",
		"no address is left in 240.240.0.0/16 (write spec.addresses, or give less of it to "
		"sources by `owns` of the Node)"));
	scene_end(&sc);
}

/* An endpoint at the address of a service keeps nothing from the owner. */
static void endpoints_at_the_address(void)
{
	struct scene sc;

	owns_begin(&sc, WHOLE);
	scene_write(&sc, "shop/one.yaml", NULL);
	scene_write(
		&sc, "a/x.yaml", AT_HOST("s", "a", "s.a", "240.240.3.1", "240.240.2.1", "2010"));
	scene_serve(&sc);
	IS_STATUS(&sc, "ServiceEntry", "s", "in-force");
	scene_write(&sc, "shop/one.yaml", ONE);
	scene_serve(&sc);
	owns_victims_are_served(&sc);
	IS_STATUS(&sc, "ServiceEntry", "s", "refused");
	scene_end(&sc);
}

const struct mt_test owns_tests[] = {
	{"what_is_refused", what_is_refused},
	{"what_is_told", what_is_told},
	{"who_may_have_it", who_may_have_it},
	{"owner_without_namespaces", owner_without_namespaces},
	{"copies_in_another_source", copies_in_another_source},
	{"copies_while_a_file_is_unreadable", copies_while_a_file_is_unreadable},
	{"mistakes_in_both", mistakes_in_both},
	{"assigned_addresses", assigned_addresses},
	{"no_address_left", no_address_left},
	{"endpoints_at_the_address", endpoints_at_the_address},
	{0},
};
