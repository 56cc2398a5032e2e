/* SPDX-License-Identifier: Apache-2.0 */
/* Tests which VirtualService the clients of a host follow. */
#include "conf_test.h"
#include "conf_texts.h"
#include "mt_secret_hash.h"

#include <stdio.h>

#define HOST(name, host, address)                                                                  \
	ISTIO("ServiceEntry", name)                                                                \
	"  hosts: [" host "]\n  addresses: [" address "]\n  resolution: STATIC\n"                  \
	"  ports: [{number: 1, name: tcp-metaprotocol-dubbo}, {number: 2, name: tcp}, "            \
	"{number: 3, name: tcp-v}, {number: 4, name: tcp-w}]\n"                                    \
	"  endpoints: [{address: 198.51.100.1}]\n"
#define HOSTS                                                                                      \
	HOST("b", "b.a.example", "192.0.2.1")                                                      \
	HOST("c", "c.a.example", "192.0.2.2")                                                      \
	HOST("x", "x.example", "192.0.2.3")
/* Its route of messages has its name; its route of bytes leads to a port of its own. */
#define VS(name, port, hosts)                                                                      \
	ISTIO("VirtualService", name)                                                              \
	"  hosts: [" hosts "]\n  dubbo: [{name: " name                                             \
	", route: [{destination: {host: x.example}}]}]\n"                                          \
	"  tcp: [{route: [{destination: {host: x.example, port: {number: " port "}}}]}]\n"
#define V(hosts) VS("v", "3", hosts)
#define W(hosts) VS("w", "4", hosts)

static const struct {
	const char *text, *b, *c, *x; /* routes of the three hosts */
	const char *bytes;	      /* first letters of theirs for bytes */
} rows[] = {
	{HOSTS V("b.a.example"), "v", "default", "default", "vdd"},
	/*
	 * For messages a longer wildcard is nearer, in any order of documents; for bytes the older
	 * one counts.
	 */
	{HOSTS V("'*.example'") W("'*.a.example'"), "w", "w", "v", "vvv"},
	{HOSTS V("'*.a.example'") W("'*.example'"), "v", "v", "w", "vvw"},
	{HOSTS V("'*'") W("'*.example'"), "w", "w", "w", "vvv"},
	/* A whole name is nearer than a wildcard of an object that names another host whole. */
	{HOSTS V("x.example, '*.a.example'") W("b.a.example"), "w", "v", "v", "wvv"},
	{HOSTS V("'*.a.example', x.example") W("b.a.example"), "w", "v", "v", "wvv"},
	{HOSTS V("'*.example', b.a.example") W("x.example, '*.a.example'"), "v", "w", "w", "vvw"},
	/* Of equal ones the older counts. */
	{HOSTS V("'*.example'") W("'*.example'"), "v", "v", "v", "vvv"},
	{HOSTS V("x.example") W("x.example"), "default", "default", "v", "ddv"},
};

static bool leads(const struct mt_snapshot *s, const char *host, const char *name)
{
	const char *is = mt_route_at(service(s, host)->routes, 0)->name;

	if (strcmp(is, name) != 0)
		fprintf(stderr, "%s: %s\n", host, is);
	return strcmp(is, name) == 0;
}

/* d: the host's own cluster. */
static bool leads_bytes(const struct mt_snapshot *s, const char *address, char name)
{
	const struct mt_listener *l = listener(s, address, 2);
	const char *is = s->clusters[l->protos->services[0]->tcp_cluster].name;
	char own = strncmp(is, "outbound|3|", 11) == 0	 ? 'v'
		   : strncmp(is, "outbound|4|", 11) == 0 ? 'w'
							 : 'd';

	if (own != name)
		fprintf(stderr, "bytes at %s: %s\n", address, is);
	return own == name;
}

static void the_nearest(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);
		bool good;

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		good = leads(b.s, "b.a.example", rows[i].b);
		good &= leads(b.s, "c.a.example", rows[i].c);
		good &= leads(b.s, "x.example", rows[i].x);
		good &= leads_bytes(b.s, "192.0.2.1", rows[i].bytes[0]);
		good &= leads_bytes(b.s, "192.0.2.2", rows[i].bytes[1]);
		good &= leads_bytes(b.s, "192.0.2.3", rows[i].bytes[2]);
		CU_ASSERT_TRUE(good);
		if (!good) {
			fprintf(stderr, "row %zu\n", i);
			show_diags(&b);
		}
		unbuild(&b);
	}
}

#define OF(kind, ns)                                                                               \
	"---\napiVersion: networking.istio.io/v1\nkind: " kind "\nmetadata: {name: " ns            \
	", namespace: " ns "}\nspec:\n"
#define TO(name, match, host)                                                                      \
	"{name: " name ", match: [" match "], route: [{destination: {host: " host "}}]}"
/* A service of namespace shop, and its VirtualService in another one. */
#define FROM                                                                                       \
	OF("ServiceEntry", "shop")                                                                 \
	"  hosts: [a.x]\n  addresses: [192.0.2.9]\n  resolution: STATIC\n"                         \
	"  ports: [{number: 1, name: tcp-metaprotocol-dubbo}, {number: 2, name: tcp}]\n"           \
	"  endpoints: [{address: 198.51.100.1}]\n" OF("VirtualService",                            \
		"routes") "  hosts: [a.x]\n  dubbo: [" TO("shop", "{sourceNamespace: shop}",       \
		"a.x") ", " TO("routes", "{sourceNamespace: routes}", "a.x") ", " TO("edge",       \
		"{sourceNamespace: edge}", "a.x") "]\n  tcp: [" TO("routes",                       \
		"{sourceNamespace: routes}", "b.x, port: {number: 3}") ", " TO("edge",             \
		"{sourceNamespace: edge}", "b.x, port: {number: 3}") "]\n" OF("ServiceEntry",      \
		"other") "  hosts: [b.x]\n  addresses: [192.0.2.10]\n  resolution: STATIC\n"       \
			 "  ports: [{number: 3, name: tcp}]\n  endpoints: [{address: "             \
			 "198.51.100.1}]\n"

/*
 * Clients are in the Node's namespace, else in the service's, wherever its routes are written. What
 * is learnt of its methods is its namespace's.
 */
static void namespace_of_clients(void)
{
	static const struct {
		const char *clients, *route, *cluster;
	} cases[] = {
		{NULL, "shop", "outbound|2||a.x"},
		{"edge", "edge", "outbound|3||b.x"},
		{"routes", "routes", "outbound|3||b.x"},
	};
	static const char text[] = FROM;

	for (size_t i = 0; i < MT_ARRAY_LEN(cases); i++) {
		struct built b = {.conf = new_conf(), .m = mt_model_new()};
		const struct mt_listener *l;

		mt_diags_init(&b.diags);
		mt_source_text(b.m, &b.diags, "t", text, strlen(text));
		b.m->mesh.ns = cases[i].clients;
		b.s = mt_conf_compile(b.conf, b.m, &b.diags, NOW);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		l = listener(b.s, "192.0.2.9", 1);
		CU_ASSERT_EQUAL_FATAL(mt_route_count(l->protos->services[0]->routes), 1);
		CU_ASSERT_STRING_EQUAL(
			mt_route_at(l->protos->services[0]->routes, 0)->name, cases[i].route);
		CU_ASSERT_EQUAL(l->protos->services[0]->owner >> MT_OWNER_NS,
			mt_secret_hash_text("shop", 0) & 0xffff);
		CU_ASSERT_EQUAL(l->protos->services[0]->owner << 16 >> 16,
			l->protos->services[0]->id << 16 >> 16);
		l = listener(b.s, "192.0.2.9", 2);
		CU_ASSERT_STRING_EQUAL(
			b.s->clusters[l->protos->services[0]->tcp_cluster].name, cases[i].cluster);
		unbuild(&b);
	}
}

/* HTTP's answers do not apply to bytes, which are not led to the service instead. */
static void actions_of_http(void)
{
	static const char *const rules[] = {
		"{directResponse: {status: 503}}",
		"{redirect: {uri: /}}",
		"{rewrite: {uri: /}, route: [{destination: {host: b.x}}]}",
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rules); i++) {
		char text[1024];
		struct built b;

		snprintf(text, sizeof(text),
			ISTIO("ServiceEntry", "b") "  hosts: [b.x]\n  addresses: [192.0.2.10]\n"
						   "  resolution: STATIC\n  ports: [{number: 3, "
						   "name: tcp}]\n  endpoints: [{address: "
						   "198.51.100.1}]\n" ISTIO("VirtualService",
							   "v") "  hosts: [b.x]\n  tcp: [%s]\n",
			rules[i]);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NULL(b.s);
		CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_ERROR, 17, "cannot be applied to bytes"));
		unbuild(&b);
	}
}

const struct mt_test claims_tests[] = {
	{"actions_of_http", actions_of_http},
	{"the_nearest", the_nearest},
	{"namespace_of_clients", namespace_of_clients},
	{0},
};
