/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that DNS clients query for hosts that the Node gives to one source: no object of another
 * source with `namespaces` gets them, whether an object of the owner is served or not.
 */
#include "mt_dns.h"
#include "objects_test.h"

#include <stdio.h>

#define DNS "  dns: {listen: none, upstream: [], search: [corp.example]}\n"
#define NODE(dns)                                                                                  \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n  sources:\n"        \
	"  - {directory: shop, namespaces: [shop], owns: {hosts: [one.corp, '*.one.corp', "        \
	"pay.shop, db.default, '*.dev.svc.cluster.local', x.own.default]}}\n"                      \
	"  - {directory: a, namespaces: [a, default], owns: {hosts: [x.own]}}\n  - {directory: "   \
	"ops}\n" dns
#define AT_HOST(name, ns, hosts, address)                                                          \
	ISTIO("ServiceEntry", name, ns)                                                            \
	"  hosts: [" hosts "]\n"                                                                   \
	"  addresses: [" address "]\n  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"      \
	"  location: MESH_INTERNAL\n  resolution: STATIC\n  endpoints: [{address: "                \
	"198.51.100.9}]\n"
#define ONE	     AT_HOST("one", "shop", "one.corp", "240.240.2.1")
#define HOSTS(hosts) AT_HOST("s", "a", hosts, "240.240.9.9")
#define KUBE(name)                                                                                 \
	"apiVersion: v1\nkind: Service\nmetadata: {name: " name ", namespace: default}\n"          \
	"spec: {clusterIP: 240.240.9.9, ports: [{port: 80, name: tcp}]}\n"

static void begin(struct scene *sc, const char *node)
{
	char cmd[160];

	scene_begin(sc);
	snprintf(cmd, sizeof(cmd), "mkdir %s/shop %s/a %s/ops", sc->dir, sc->dir, sc->dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	scene_write(sc, "0-node.yaml", node);
	scene_write(sc, "shop/one.yaml", ONE);
}

/* True if the node answers DNS clients for the host. */
static bool is_answered(const struct scene *sc, const char *host)
{
	const struct mt_snapshot *s = sc->s ? sc->s : mt_conf_current(sc->conf);
	struct mt_dns_name_info info;
	uint32_t i = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	while (mt_dns_table_next(s->dns, &i, &info))
		if (strcmp(info.host, host) == 0)
			return true;
	return false;
}

/* `error`: words of its line, which has file, line and field; NULL: the object is taken. */
static const struct {
	const char *text, *kind, *name, *error;
} rows[] = {
	{HOSTS("one.corp.default.svc.cluster.local"), "ServiceEntry", "s",
		":5: error: spec.hosts[0]: one.corp.default.svc.cluster.local belongs to the "
		"source of "},
	{HOSTS("s.a, x.one.corp.svc.cluster.local"), "ServiceEntry", "s",
		":5: error: spec.hosts[1]: x.one.corp.svc.cluster.local belongs"},
	{HOSTS("one.corp.web.svc.cluster.local"), "ServiceEntry", "s",
		", and DNS clients query both by one name with a search domain (write another "},
	{HOSTS("pay.shop.default.svc.cluster.local"), "ServiceEntry", "s",
		"the Node gives it pay.shop at "},
	{HOSTS("x.pay.shop.web.svc.cluster.local"), "ServiceEntry", "s",
		"the Node gives it pay.shop at "},
	{HOSTS("one.corp.corp.example"), "ServiceEntry", "s", "the Node gives it one.corp at "},
	{HOSTS("'*.web.svc.cluster.local'"), "ServiceEntry", "s",
		"spec.hosts[0]: *.web.svc.cluster.local belongs"},
	{HOSTS("'*.corp.example'"), "ServiceEntry", "s", "spec.hosts[0]: *.corp.example belongs"},
	{HOSTS("db"), "ServiceEntry", "s", "the Node gives it db.default at "},
	{HOSTS("one.corp.example"), "ServiceEntry", "s", NULL},
	{HOSTS("two.corp.default.svc.cluster.local"), "ServiceEntry", "s", NULL},
	{HOSTS("'*.a.svc.cluster.local'"), "ServiceEntry", "s", NULL},
	{HOSTS("one.corp.a.svc.cluster.local"), "ServiceEntry", "s", NULL},
	/* Clients of web, which query one.corp.web.svc.cluster.local for one.corp, do not get these. */
	{HOSTS("one.corp.web"), "ServiceEntry", "s", NULL},
	{HOSTS("'*.web'"), "ServiceEntry", "s", NULL},
	/* A Service has one label before its namespace. */
	{HOSTS("api.example.dev, '*.example.dev'"), "ServiceEntry", "s", NULL},
	/* A name of its own, which clients query for x.own.default, too. */
	{HOSTS("x.own"), "ServiceEntry", "s", NULL},
	{HOSTS("s"), "ServiceEntry", "s", NULL},
	{KUBE("one"), "Service", "one", NULL},
};

static void is_refused(const char *node, size_t i, const char *error)
{
	struct scene sc;

	begin(&sc, node);
	scene_write(&sc, "a/x.yaml", rows[i].text);
	for (int load = 0; load < 2; load++) {
		bool refused;

		scene_serve(&sc);
		refused = strcmp(scene_status(&sc, rows[i].kind, rows[i].name), "refused") == 0;
		if (refused != (error != NULL))
			printf("\n  %s", rows[i].text);
		CU_ASSERT_EQUAL(refused, error != NULL);
		if (error)
			CU_ASSERT_TRUE(scene_has(&sc, "a/x.yaml:", error));
		IS_STATUS(&sc, "ServiceEntry", "one", "in-force");
		scene_restart(&sc);
	}
	scene_end(&sc);
}

static void what_is_refused(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		is_refused(NODE(DNS), i, rows[i].error);
		/* A node that answers no queries takes all of them. */
		is_refused(NODE(""), i, NULL);
	}
}

/* Operators may write such a host, as any other. */
static void of_a_source_without_namespaces(void)
{
	struct scene sc;

	begin(&sc, NODE(DNS));
	scene_write(&sc, "ops/x.yaml", HOSTS("one.corp.default.svc.cluster.local"));
	scene_serve(&sc);
	IS_STATUS(&sc, "ServiceEntry", "s", "in-force");
	CU_ASSERT(is_answered(&sc, "one.corp.default.svc.cluster.local"));
	scene_end(&sc);
}

/* No load without the owner's object, and no version of an earlier Node, gets the name. */
static void at_any_time(void)
{
	static const char name[] = "one.corp.default.svc.cluster.local";
	struct scene sc;

	begin(&sc, NODE(""));
	scene_write(&sc, "a/x.yaml", HOSTS("one.corp.default.svc.cluster.local"));
	scene_serve(&sc);
	IS_STATUS(&sc, "ServiceEntry", "s", "in-force");
	scene_write(&sc, "0-node.yaml", NODE(DNS));
	for (int load = 0; load < 4; load++) {
		scene_write(&sc, "shop/one.yaml", load % 2 ? NULL : ONE);
		if (load == 2)
			scene_write(&sc, "a/x.yaml", "}{\n");
		scene_restart(&sc);
		scene_serve(&sc);
		CU_ASSERT_EQUAL(is_answered(&sc, "one.corp"), load % 2 == 0);
		CU_ASSERT_FALSE(is_answered(&sc, name));
		IS_STATUS(&sc, "ServiceEntry", "s", "refused");
	}
	scene_end(&sc);
}

const struct mt_test owns_dns_tests[] = {
	{"what_is_refused", what_is_refused},
	{"of_a_source_without_namespaces", of_a_source_without_namespaces},
	{"at_any_time", at_any_time},
	{0},
};
