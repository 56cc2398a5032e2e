/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hosts with one dot, where the namespace of an author is called like a top-level domain: the long
 * name NAME.NAMESPACE.svc.DOMAIN of its service takes NAME.NAMESPACE from no one else.
 */
#include "objects_test.h"

#include "mt_dns.h"
#include "mt_route.h"

#define NODE(more)                                                                                 \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n, namespace: n}\nspec:\n"        \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"                    \
	"  sources: [{directory: all}, {directory: all/com, namespaces: [com]}, "                  \
	"{directory: all/infra, namespaces: [infra]}]\n" more
#define ENTRY_OF(port, name, ns, meta, host, n)                                                    \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: " name      \
	", namespace: " ns meta "}\nspec:\n  hosts: [" host "]\n  addresses: [203.0.113." n        \
	"]\n  resolution: STATIC\n  ports: [{number: 80, name: " port "}]\n"                       \
	"  endpoints: [{address: 198.51.100." n "}]\n"
#define ENTRY(name, ns, meta, host, n) ENTRY_OF("tcp-metaprotocol-dubbo", name, ns, meta, host, n)
#define SHORT			       "example.com"
#define LONG			       "example.com.svc.cluster.local"
#define EDITED			       ", labels: {new: version}"
#define TAKER			       ENTRY("x", "com", "", LONG, "66")
#define SITE			       ENTRY("site", "infra", "", SHORT, "2")
#define BOOKS			       ENTRY("books", "shop", "", "books.example.org", "1")
#define GATEWAY(hosts)                                                                             \
	"---\n" ISTIO("Gateway", "edge", "shop") "  servers:\n"                                    \
						 "  - {port: {number: 81, name: "                  \
						 "tcp-metaprotocol-dubbo}, hosts: [" hosts "]}\n"
#define ROUTES(name, ns, host, match)                                                              \
	"---\n" ISTIO("VirtualService", name, ns) "  hosts: [" host "]\n  gateways: [shop/edge]\n" \
						  "  dubbo: [{" match                              \
						  "route: [{destination: {host: "                  \
						  "books.example.org}}]}]\n"
#define X "match: [{headers: {k: {exact: x}}}], "

static void begin(struct scene *sc, const char *node)
{
	char cmd[100];

	scene_begin(sc);
	snprintf(cmd, sizeof(cmd), "mkdir -p %s/all/com %s/all/infra", sc->dir, sc->dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	scene_write(sc, "0-node.yaml", node);
}

/* Loads what is written, and puts it into force. */
static const struct mt_snapshot *serve(struct scene *sc)
{
	scene_serve(sc);
	return mt_conf_current(sc->conf);
}

/* ---- gateways -------------------------------------------------------------------------------- */

static const struct {
	const char *own, *com, *infra; /* of the sources */
	uint32_t rules;		       /* that lead from the port */
} gateways[] = {
	/* A name that no object has. */
	{BOOKS GATEWAY("shop/" SHORT) ROUTES("v", "shop", SHORT, ""), TAKER, NULL, 1},
	/* One of another namespace. */
	{BOOKS GATEWAY("shop/" SHORT) ROUTES("v", "shop", SHORT, ""), TAKER, SITE, 1},
	/* The rules of that namespace are joined as well. */
	{BOOKS GATEWAY("'*'") ROUTES("v", "shop", SHORT, X), TAKER,
		SITE ROUTES("w", "infra", SHORT, X), 2},
	/* So are those of a service that is meant. */
	{BOOKS GATEWAY("'*'") ROUTES("v", "shop", SHORT, X), TAKER ROUTES("w", "com", "example", X),
		NULL, 2},
	{BOOKS GATEWAY("'" LONG "'") ROUTES("v", "shop", SHORT, ""), TAKER, NULL, 1},
};

static uint32_t rules_at(const struct mt_snapshot *s, uint16_t port)
{
	for (uint32_t i = 0; i < s->n_listeners; i++)
		if (s->listeners[i].port == port)
			return mt_route_count(s->listeners[i].protos->services[0]->routes);
	return 0;
}

static void at_gateways(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(gateways); i++) {
		struct scene sc;
		uint32_t n;

		begin(&sc, NODE(""));
		scene_write(&sc, "all/o.yaml", gateways[i].own);
		scene_write(&sc, "all/com/x.yaml", gateways[i].com);
		if (gateways[i].infra)
			scene_write(&sc, "all/infra/i.yaml", gateways[i].infra);
		scene_load_node(&sc);
		CU_ASSERT_PTR_NOT_NULL_FATAL(sc.s);
		n = rules_at(sc.s, 81);
		if (n != gateways[i].rules) {
			printf("\n  row %zu: %u rules\n", i, n);
			mt_diags_print(&sc.diags, stdout);
		}
		CU_ASSERT_EQUAL(n, gateways[i].rules);
		scene_end(&sc);
	}
}

/* ---- DNS ------------------------------------------------------------------------------------- */

/* The address that DNS has for the name as it is; "": none. */
static const char *named(const struct mt_snapshot *s, const char *host)
{
	static char text[MT_ADDR_STRLEN];
	struct mt_dns_name_info info;
	uint32_t at = 0;

	while (s->dns && mt_dns_table_next(s->dns, &at, &info))
		if (strcmp(info.host, host) == 0 && info.n_addrs)
			return mt_addr_str(&info.addrs[0], text);
	return "";
}

/* Of two that are limited to other namespaces, the one that has the name keeps it. */
static void in_dns(void)
{
	struct scene sc;

	begin(&sc, NODE("  dns: {}\n"));
	scene_write(&sc, "all/infra/i.yaml", SITE);
	CU_ASSERT_STRING_EQUAL(named(serve(&sc), SHORT), "203.0.113.2");
	scene_write(&sc, "all/com/x.yaml", TAKER);
	for (int load = 0; load < 3; load++) {
		CU_ASSERT_STRING_EQUAL(named(serve(&sc), SHORT), "203.0.113.2");
		CU_ASSERT_FALSE(scene_has(&sc, "i.yaml", "is not resolved"));
	}
	scene_write(&sc, "all/infra/i.yaml", ENTRY("site", "infra", EDITED, SHORT, "2"));
	CU_ASSERT_STRING_EQUAL(named(serve(&sc), SHORT), "203.0.113.2");
	scene_end(&sc);
}

/* Otherwise the service of the namespace in the name does, also after edits of both. */
static void in_dns_by_namespace(void)
{
	static const char *const takers[] = {TAKER, ENTRY("x", "com", EDITED, LONG, "66"), TAKER};
	static const char *const sites[] = {SITE, SITE, ENTRY("site", "infra", EDITED, SHORT, "2")};
	struct scene sc;

	begin(&sc, NODE("  dns: {}\n"));
	scene_write(&sc, "all/com/x.yaml", TAKER);
	(void)serve(&sc);
	for (size_t i = 0; i < MT_ARRAY_LEN(takers); i++) {
		scene_write(&sc, "all/com/x.yaml", takers[i]);
		scene_write(&sc, "all/infra/i.yaml", sites[i]);
		CU_ASSERT_STRING_EQUAL(named(serve(&sc), SHORT), "");
		CU_ASSERT(scene_has(&sc, "i.yaml",
			"\"" SHORT "\" is not resolved: it is the short name of ServiceEntry com/"
			"x"));
	}
	scene_end(&sc);
}

/* After a start, one that was applied before keeps the name from one that never was. */
static void in_dns_after_a_start(void)
{
	struct scene sc;

	begin(&sc, NODE("  dns: {}\n"));
	scene_write(&sc, "all/infra/i.yaml", SITE);
	(void)serve(&sc);
	scene_restart(&sc);
	scene_write(&sc, "all/infra/i.yaml", ENTRY("site", "infra", EDITED, SHORT, "2"));
	scene_write(&sc, "all/com/x.yaml", TAKER);
	CU_ASSERT_STRING_EQUAL(named(serve(&sc), SHORT), "203.0.113.2");
	CU_ASSERT_STRING_EQUAL(named(serve(&sc), SHORT), "203.0.113.2");
	scene_end(&sc);
}

/* ---- forwarded ports ------------------------------------------------------------------------- */

static void of_forwarded_ports(void)
{
	struct scene sc;
	const struct mt_snapshot *s;
	bool found = false;

	begin(&sc, NODE("  nat: {}\n  forwarding: [{host: " SHORT ", port: 80, mode: nat}]\n"));
	scene_write(&sc, "all/infra/i.yaml", ENTRY_OF("tcp", "site", "infra", "", SHORT, "2"));
	scene_write(&sc, "all/com/x.yaml", ENTRY_OF("tcp", "x", "com", "", LONG, "66"));
	s = serve(&sc);
	for (uint32_t i = 0; i < s->n_forwards; i++)
		found |= strcmp(s->forwards[i].service, SHORT) == 0;
	CU_ASSERT_TRUE(found);
	scene_end(&sc);
}

const struct mt_test one_dot_tests[] = {{"at_gateways", at_gateways}, {"in_dns", in_dns},
	{"in_dns_by_namespace", in_dns_by_namespace},
	{"in_dns_after_a_start", in_dns_after_a_start}, {"of_forwarded_ports", of_forwarded_ports},
	{0}};
