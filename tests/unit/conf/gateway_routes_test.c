/* SPDX-License-Identifier: Apache-2.0 */
/* Tests several VirtualServices that lead from one port of a gateway. */
#include "conf_test.h"
#include "conf_texts.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define HOST(name, address)                                                                        \
	ISTIO("ServiceEntry", name)                                                                \
	"  hosts: [" name ".x]\n  addresses: [" address "]\n  resolution: STATIC\n"                \
	"  ports: [{number: 1, name: tcp-metaprotocol-dubbo}]\n"                                   \
	"  endpoints: [{address: 198.51.100.1}]\n"
#define BASE                                                                                       \
	HOST("a", "192.0.2.1")                                                                     \
	HOST("b", "192.0.2.2")                                                                     \
	ISTIO("Gateway", "gw")                                                                     \
	"  servers:\n  - {port: {number: 80, name: tcp-metaprotocol-dubbo}, hosts: ['*']}\n"       \
	"  - {port: {number: 81, name: tcp}, hosts: ['*']}\n"
#define VS(name, ns, host, rules)                                                                  \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: " name    \
	", namespace: " ns "}\nspec:\n  hosts: [" host "]\n  gateways: [default/gw]\n" rules
#define LIST(list, name, more, to)                                                                 \
	"  " list ": [{name: " name more ", route: [{destination: {host: " to "}}]}]\n"
#define WHERE(match) ", match: [" match "]"

/* VirtualServices of two namespaces. */
#define TWO_HOSTS(first, second)                                                                   \
	VS("v", "default", first, LIST("dubbo", "v", WHERE("{headers: {k: {exact: x}}}"), "a.x"))  \
	VS("w", "other", second, LIST("dubbo", "w", "", "b.x"))
#define LONG_HOST                                                                                  \
	ISTIO("ServiceEntry", "p")                                                                 \
	"  hosts: [p.default.svc.cluster.local]\n  addresses: [192.0.2.3]\n"                       \
	"  resolution: STATIC\n  ports: [{number: 1, name: tcp-metaprotocol-dubbo}]\n"             \
	"  endpoints: [{address: 198.51.100.1}]\n"

static const struct {
	const char *text, *messages, *bytes; /* names of the routes; of bytes, the cluster */
	const char *told;		     /* of a VirtualService without effect; NULL: nothing */
} rows[] = {
	{BASE VS("v", "default", "s.test", LIST("dubbo", "v", "", "a.x")), "v", NULL, NULL},
	/* Rules of one host follow those of the older one. */
	{BASE VS("v", "default", "s.test",
		 LIST("dubbo", "v", WHERE("{headers: {k: {exact: x}}}"), "a.x"))
			VS("w", "default", "S.test", LIST("http", "w", "", "b.x")),
		"v w", NULL, NULL},
	/* Of any of its hosts. */
	{BASE VS("v", "default", "s.test, t.test, u.test",
		 LIST("dubbo", "v", WHERE("{headers: {k: {exact: x}}}"), "a.x"))
			VS("w", "default", "r.test, u.test", LIST("http", "w", "", "b.x")),
		"v w", NULL, NULL},
	{BASE VS("v", "default", "s.test", LIST("dubbo", "v", "", "a.x"))
			VS("w", "default", "t.test", LIST("dubbo", "w", "", "b.x")),
		"v", NULL,
		"not used at port 80 of default/gw: VirtualService default/v leads from there"},
	/* A rule that takes all leaves nothing to the documents after it. */
	{BASE VS("v", "default", "s.test",
		 LIST("dubbo", "v", WHERE("{headers: {k: {exact: x}}}"), "a.x")) VS("w", "default",
		 "s.test", LIST("dubbo", "w", "", "b.x")) VS("u", "default", "s.test",
		 LIST("dubbo", "u", WHERE("{headers: {k: {exact: y}}}"), "b.x")),
		"v w u", NULL, "of VirtualService default/w takes all"},
	/* Rules that are not joined do not move the search for one that takes all. */
	{BASE VS("v", "default", "s.test",
		 "  dubbo: [{name: o, match: [{port: 82}], route: [{destination: {host: a.x}}]}, "
		 "{name: v, route: [{destination: {host: a.x}}]}]\n") VS("w", "default", "s.test",
		 LIST("dubbo", "w", WHERE("{headers: {k: {exact: x}}}"), "a.x"))
			VS("u", "default", "s.test", LIST("dubbo", "u", "", "b.x")),
		"v w u", NULL, "of VirtualService default/v takes all"},
	/* Each document's names of gateways are relative to its own namespace. */
	{BASE VS("v", "default", "s.test", LIST("dubbo", "v", WHERE("{gateways: [gw]}"), "a.x"))
			VS("w", "other", "s.test",
				LIST("dubbo", "w",
					WHERE("{gateways: [gw]}, {gateways: [default/gw], port: "
					      "80}"),
					"b.x")),
		"v w", NULL, "of VirtualService default/v takes all"},
	{BASE VS("v", "default", "s.test", LIST("dubbo", "v", "", "a.x")) VS(
		 "w", "other", "s.test", LIST("dubbo", "w", WHERE("{gateways: [gw]}"), "b.x")),
		"v", NULL, NULL},
	/* A rule for another port takes nothing from this one. */
	{BASE VS("v", "default", "s.test",
		 LIST("dubbo", "v", WHERE("{port: 82}, {headers: {k: {exact: x}}}"), "a.x"))
			VS("w", "default", "s.test", LIST("dubbo", "w", "", "b.x")),
		"v w", NULL, NULL},
	/* A document that cannot be applied is not joined, and stays in force elsewhere. */
	{BASE VS("v", "default", "s.test", LIST("dubbo", "v", "", "a.x"))
			VS("w", "default", "s.test",
				LIST("http", "w", WHERE("{uri: {exact: /}}"), "b.x")
					LIST("tcp", "t", "", "b.x, port: {number: 1}")),
		"v", "outbound|1||b.x",
		"not used at port 80 of default/gw: VirtualService default/v leads from there"},
	/* Bytes follow the first rule that is for the port. */
	{BASE VS("v", "default", "s.test",
		 LIST("tcp", "v", WHERE("{port: 81}"), "b.x, port: {number: 1}")) VS("w", "default",
		 "s.test", LIST("tcp", "w", "", "a.x, port: {number: 1}")),
		NULL, "outbound|1||b.x", "not reached at port 81 of default/gw"},
	/* The long name of a host with a dot is another one, whose author is not that host's. */
	{BASE TWO_HOSTS("s.test", "s.test.svc.cluster.local"), "v", NULL,
		"not used at port 80 of default/gw: VirtualService default/v leads from there"},
	{BASE TWO_HOSTS("s.test.svc.cluster.local", "s.test"), "v", NULL, "not used at port 80"},
	{BASE TWO_HOSTS("a.x", "a.x.svc.cluster.local"), "v", NULL, "not used at port 80"},
	/* It is the same one if it is that of a service, or if the host has no dot. */
	{BASE LONG_HOST TWO_HOSTS("p.default", "p.default.svc.cluster.local"), "v w", NULL, NULL},
	{BASE LONG_HOST TWO_HOSTS("p", "p.default"), "v w", NULL, NULL},
	{BASE TWO_HOSTS("p", "p.default.svc.cluster.local"), "v w", NULL, NULL},
	{BASE TWO_HOSTS("p", "p"), "v", NULL, "not used at port 80"},
};

static const struct mt_service *at(const struct built *b, uint16_t port)
{
	const struct mt_listener *l = listener(b->s, "203.0.113.9", port);

	return l ? l->protos->services[0] : NULL;
}

static char *names(const struct mt_service *s, char buf[64])
{
	*buf = '\0';
	for (uint32_t i = 0; i < mt_route_count(s->routes); i++)
		snprintf(buf + strlen(buf), 64 - strlen(buf), "%s%s", i ? " " : "",
			mt_route_at(s->routes, i)->name);
	return buf;
}

/* The warning about a VirtualService at a gateway; NULL: there is none. */
static const char *told(const struct built *b)
{
	for (uint32_t i = 0; i < b->diags.n; i++) {
		const struct mt_diag *e = &b->diags.items[i];

		if (e->severity == MT_DIAG_WARNING && e->path &&
			strcmp(e->path, "spec.gateways") == 0)
			return e->message;
	}
	return NULL;
}

static void of_one_port(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);
		const struct mt_service *calls, *bytes;
		char buf[64] = "";
		bool good;

		show_diags(&b);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		calls = at(&b, 80);
		bytes = at(&b, 81);
		good = !calls == !rows[i].messages && !bytes == !rows[i].bytes;
		if (good && calls)
			good = strcmp(names(calls, buf), rows[i].messages) == 0;
		if (good && bytes)
			good = strcmp(b.s->clusters[bytes->tcp_cluster].name, rows[i].bytes) == 0;
		if (good)
			good = !told(&b) == !rows[i].told &&
			       (!rows[i].told || strstr(told(&b), rows[i].told));
		CU_ASSERT_TRUE(good);
		if (!good)
			fprintf(stderr, "row %zu: %s, %s\n", i, buf, told(&b) ? told(&b) : "");
		unbuild(&b);
	}
}

/* The same documents again share what they made, and a change of the second one is seen. */
static void made_again(void)
{
	static const char one[] = BASE VS("v", "default", "s.test",
		LIST("dubbo", "v", WHERE("{headers: {k: {exact: x}}}"), "a.x"))
		VS("w", "default", "s.test", LIST("dubbo", "w", "", "b.x"));
	static const char two[] = BASE VS("v", "default", "s.test",
		LIST("dubbo", "v", WHERE("{headers: {k: {exact: x}}}"), "a.x"))
		VS("w", "default", "s.test", LIST("dubbo", "u", "", "b.x"));
	struct mt_conf *conf = new_conf();
	struct mt_err err;
	struct built b = build_text(conf, one), c;
	char buf[64];

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL_FATAL(mt_conf_publish(conf, b.s, NOW, NULL, &err), 0);
	b.s = NULL;
	c = build_text(conf, two);
	CU_ASSERT_PTR_NOT_NULL_FATAL(c.s);
	CU_ASSERT_STRING_EQUAL(names(at(&c, 80), buf), "v u");
	mt_conf_discard(conf, c.s, NOW);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
	c.s = NULL;
	unbuild(&c);
}

#define LIMIT(name, host)                                                                          \
	"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\nmetadata: "           \
	"{name: " name "}\nspec:\n  hosts: [" host "]\n  gateways: [gw]\n"                         \
	"  localRateLimit: {tokenBucket: {maxTokens: 1, fillInterval: 1s}}\n"
#define BOTH                                                                                       \
	"  dubbo: [{name: v, match: [{headers: {k: {exact: x}}}], route: [{destination: {host: "   \
	"a.x}}]}, {name: w, route: [{destination: {host: b.x}}]}]\n"
#define TO_A   LIST("dubbo", "v", "", "a.x")
#define NOT_AT "its limit does not apply at port 80 of default/gw: "

/* The limit of a MetaRouter without routes applies at the gateway, or a warning says that not. */
static void limits(void)
{
	static const struct {
		const char *text;
		uint32_t n_limits;
		const char *told;
	} rows_of_limits[] = {
		{BASE VS("v", "default", "a.x", TO_A) LIMIT("m", "a.x"), 1, NULL},
		{BASE VS("v", "default", "'*'", TO_A) LIMIT("m", "a.x"), 1, NULL},
		{BASE VS("v", "default", "'*.x'", TO_A) LIMIT("m", "a.x"), 1, NULL},
		/* The limit of one host is not applied to calls to the other. */
		{BASE VS("v", "default", "'*'", BOTH) LIMIT("m", "b.x"), 0,
			NOT_AT "VirtualService default/v leads from there"},
		{BASE VS("v", "default", "s.test", TO_A) LIMIT("m", "a.x"), 0,
			NOT_AT "VirtualService default/v leads from there"},
		{BASE VS("v", "default", "a.x, b.x", BOTH) LIMIT("m", "a.x") LIMIT("n", "b.x"), 1,
			NOT_AT "that of MetaRouter default/m does"},
		{BASE ROUTER("r") "  hosts: [b.x]\n  gateways: [gw]\n  routes: [{name: r, route: "
				  "[{destination: {host: a.x}}]}]\n" LIMIT("m", "a.x"),
			0, NOT_AT "MetaRouter default/r leads from there"},
		/* No call to its host passes here. */
		{BASE VS("v", "default", "a.x", TO_A) LIMIT("m", "b.x"), 0, NULL},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows_of_limits); i++) {
		const char *want = rows_of_limits[i].told;
		struct built b = build_text(NULL, rows_of_limits[i].text);
		bool good;

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_PTR_NOT_NULL_FATAL(at(&b, 80));
		good = at(&b, 80)->n_filter_insts == rows_of_limits[i].n_limits &&
		       !told(&b) == !want && (!want || strcmp(told(&b), want) == 0);
		CU_ASSERT_TRUE(good);
		if (!good) {
			fprintf(stderr, "row %zu: %s\n", i, told(&b) ? told(&b) : "");
			show_diags(&b);
		}
		unbuild(&b);
	}
}

/* An operator's fault, and both policies of the gateway, have room beside both limits: no service has more filters. */
static void five_filters(void)
{
	static const char text[] = BASE VS("v", "default", "a.x", TO_A) LIMIT("m",
		"a.x") "  globalRateLimit: {domain: d, rateLimitService: 'outbound|1||b.x', "
		       "descriptors: "
		       "[{property: method, descriptorKey: m}]}\n"
		       "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
		       "metadata: {name: p}\nspec: {targetRefs: [{group: networking.istio.io, "
		       "kind: "
		       "Gateway, name: gw}]}\n"
		       "---\napiVersion: meltemi.io/v1\nkind: TrafficPolicy\n"
		       "metadata: {name: c}\nspec: {targetRefs: [{group: networking.istio.io, "
		       "kind: "
		       "Gateway, name: gw}], rateLimit: {local: {rules: [{limit: {requests: 1, "
		       "unit: Day}}]}}}\n";
	static const char *const names[] = {
		"authorization", "fault", "keyed_ratelimit", "local_ratelimit", "global_ratelimit"};
	struct mt_conf *c = new_conf();
	struct mt_overrides o = {0};
	struct mt_override fault;
	const struct mt_service *s;
	struct mt_err e;
	struct built b;
	uint32_t id;

	CU_ASSERT_EQUAL(mt_override_parse_line(&fault, "fault a.x abort-percent=1", &e), 0);
	CU_ASSERT_EQUAL(mt_overrides_set(&o, &fault, &id), 0);
	CU_ASSERT_EQUAL(mt_conf_set_overrides(c, &o), 0);
	b = build_text(c, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	s = at(&b, 80);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	CU_ASSERT_EQUAL_FATAL(s->n_filter_insts, MT_ARRAY_LEN(names));
	for (size_t i = 0; i < MT_ARRAY_LEN(names); i++)
		CU_ASSERT_STRING_EQUAL(s->filter_insts[i].type->name, names[i]);
	mt_overrides_fini(&o);
	unbuild(&b);
}

/* CPU time in s to compile 200 servers with 500 limits, and a VirtualService that has `n` hosts. */
static double limits_time(uint32_t n)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct built b;
	clock_t began;

	fputs(HOST("a", "192.0.2.1") ISTIO("Gateway", "gw") "  servers:\n", f);
	for (uint32_t i = 0; i < 200; i++)
		fprintf(f, "  - {port: {number: %u, name: tcp-metaprotocol-dubbo}, hosts: ['*']}\n",
			1000 + i);
	fputs(ISTIO("VirtualService", "v") "  gateways: [gw]\n" TO_A "  hosts:\n", f);
	for (uint32_t i = 0; i < n; i++)
		fprintf(f, "  - '*.s%u.test'\n", i);
	for (uint32_t i = 0; i < 500; i++)
		fprintf(f,
			"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"
			"metadata: {name: m%u}\nspec:\n  hosts: [a.x]\n  gateways: [gw]\n"
			"  localRateLimit: {tokenBucket: {maxTokens: 1, fillInterval: 1s}}\n",
			i);
	fclose(f);
	began = clock();
	b = build_text(NULL, text);
	began = clock() - began;
	CU_ASSERT_PTR_NOT_NULL(b.s);
	unbuild(&b);
	free(text);
	return (double)began / CLOCKS_PER_SEC;
}

/* Hosts of the VirtualService are not compared for each limit: that took 10 times as long. */
static void many_limits(void)
{
	double few = limits_time(1), many = limits_time(8000);

	CU_ASSERT(many < 3 * few + 1);
}

#define BYTES_ONLY                                                                                 \
	HOST("a", "192.0.2.1")                                                                     \
	ISTIO("Gateway", "gw")                                                                     \
	"  servers:\n  - {port: {number: 81, name: tcp}, hosts: ['*']}\n"
#define NAMES(gateways, more)                                                                      \
	ISTIO("VirtualService", "v")                                                               \
	"  hosts: [s.test]\n  gateways: [" gateways "]\n" more LIST("http", "v", "", "a.x")
#define MESSAGES                                                                                   \
	ISTIO("Gateway", "messages")                                                               \
	"  servers:\n  - {port: {number: 80, name: tcp-metaprotocol-dubbo}, hosts: ['*']}\n"
#define NO_MESSAGES "no port of its gateways carries messages"

/* What is reported of the Gateways that a VirtualService names, with or without a namespace. */
static void named_gateways(void)
{
	static const struct {
		const char *text, *told;
		bool is_told;
	} name_rows[] = {{BYTES_ONLY NAMES("gw", ""), NO_MESSAGES, true},
		{BYTES_ONLY NAMES("default/gw", ""), NO_MESSAGES, true},
		{BYTES_ONLY NAMES("gw, mesh", ""), NO_MESSAGES, false},
		{BYTES_ONLY NAMES("other/gw", ""), NO_MESSAGES, false},
		{BASE NAMES("gw", ""), NO_MESSAGES, false},
		{BYTES_ONLY MESSAGES NAMES("gw, messages", ""), NO_MESSAGES, false},
		{BASE NAMES("gw", "  exportTo: [other]\n"),
			"not exported to the namespace of gateway default/gw", true},
		{BASE NAMES("gw", "  exportTo: ['*']\n"), "not exported to the namespace", false}};

	for (size_t i = 0; i < MT_ARRAY_LEN(name_rows); i++) {
		struct built b = build_text(NULL, name_rows[i].text);
		bool is_told = false;

		for (uint32_t k = 0; k < b.diags.n; k++)
			is_told |= strstr(b.diags.items[k].message, name_rows[i].told) != NULL;
		CU_ASSERT_EQUAL(is_told, name_rows[i].is_told);
		if (is_told != name_rows[i].is_told) {
			fprintf(stderr, "row %zu\n", i);
			show_diags(&b);
		}
		unbuild(&b);
	}
}

/* CPU time in s to compile many servers with VirtualServices that have `words` in exportTo. */
static double exports_time(uint32_t words)
{
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	struct built b;
	clock_t began;

	fputs(BASE ISTIO("Gateway", "many") "  servers:\n", f);
	for (uint32_t i = 0; i < 10000; i++)
		fprintf(f, "  - {port: {number: %u, name: tcp}, hosts: ['*']}\n", 1000 + i);
	for (uint32_t i = 0; i < 20; i++) {
		fprintf(f,
			"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
			"metadata: {name: v%u}\nspec:\n  hosts: ['*']\n  gateways: [many]\n"
			"  tcp: [{match: [{port: 1}], route: [{destination: {host: a.x}}]}]\n"
			"  exportTo:\n",
			i);
		for (uint32_t k = 1; k < words; k++)
			fprintf(f, "  - n%u\n", k);
		fputs("  - default\n", f);
	}
	fclose(f);
	began = clock();
	b = build_text(NULL, text);
	began = clock() - began;
	CU_ASSERT_PTR_NOT_NULL(b.s);
	unbuild(&b);
	free(text);
	return (double)began / CLOCKS_PER_SEC;
}

/* The words are not compared for each server: that took 100 times as long. */
static void exports_of_many_servers(void)
{
	double few = exports_time(1), many = exports_time(4096);

	CU_ASSERT(many < 3 * few + 1);
}

/* ---- documents of other namespaces ----------------------------------------------------------- */

#define AWESOME(name, address)                                                                     \
	ISTIO("ServiceEntry", name)                                                                \
	"  hosts: [" name ".x]\n  addresses: [" address "]\n  resolution: STATIC\n"                \
	"  ports: [{number: 1, name: tcp-metaprotocol-awesomeRPC}]\n"                              \
	"  endpoints: [{address: 198.51.100.1}]\n"
#define SHARED(name, port, hosts)                                                                  \
	ISTIO("Gateway", name)                                                                     \
	"  servers:\n  - {port: {number: 80, name: tcp-metaprotocol-" port "}, hosts: [" hosts     \
	"]}\n"
#define HOSTS  HOST("a", "192.0.2.1") HOST("b", "192.0.2.2")
#define SHARES HOSTS SHARED("gw", "dubbo", "'*'")
#define OTHER(name, ns, host, more)                                                                \
	"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\nmetadata: "           \
	"{name: " name ", namespace: " ns "}\nspec:\n  hosts: [" host "]\n"                        \
	"  gateways: [default/gw]\n" more
#define ROUTED "  routes: [{name: r, route: [{destination: {host: a.x}}]}]\n"
#define LEADS  VS("v", "default", "a.x", LIST("dubbo", "v", "", "a.x"))

/* The error about a MetaRouter or VirtualService; *name: its name, or "" for another object. */
static const struct mt_diag *refused(const struct built *b, const char **name)
{
	const struct mt_objs *lists[] = {&b->m->meta_routers, &b->m->virtual_services};

	*name = "";
	for (uint32_t i = 0; i < b->diags.n; i++) {
		const struct mt_diag *d = &b->diags.items[i];

		if (d->severity != MT_DIAG_ERROR)
			continue;
		for (size_t k = 0; k < 2 * MT_ARRAY_LEN(lists); k++)
			for (uint32_t j = 0; j < lists[k / 2]->n; j++) {
				/* Both kinds begin with it. */
				const struct mt_meta *meta = lists[k / 2]->v[j];

				if (meta->serial == d->object)
					*name = meta->name;
			}
		return d;
	}
	return NULL;
}

/* A document of another namespace at a Gateway is refused in conflicts, and not the Gateway. */
static void guests(void)
{
	static const struct {
		const char *text;
		const char *refused; /* NULL: none */
		uint32_t n;	     /* services at the port without an error */
	} guest_rows[] = {
		{SHARES LEADS OTHER("m", "m", "a.x", ROUTED), "m", 0},
		{SHARES OTHER("m", "m", "a.x", ROUTED) LEADS, "m", 0},
		{SHARES OTHER("m", "m", "a.x", ROUTED) OTHER("r", "default", "a.x", ROUTED), "m",
			0},
		/* A VirtualService is a guest as well. */
		{SHARES VS("v", "m", "a.x", LIST("dubbo", "v", "", "a.x"))
				OTHER("r", "default", "a.x", ROUTED),
			"v", 0},
		/* Of two guests the older one has the key, and the Gateway is not refused. */
		{SHARES OTHER("m", "m", "a.x", ROUTED) OTHER("n", "n", "a.x", ROUTED), "n", 0},
		/* A codec without keys. */
		{AWESOME("a", "192.0.2.1") SHARED("gw", "awesomeRPC", "'*'") VS("v", "default",
			 "s.x", LIST("awesomeRPC", "v", "", "a.x")) OTHER("m", "m", "b.x", ROUTED),
			"m", 0},
		/* They share the port by keys. */
		{SHARES LEADS OTHER("m", "m", "b.x", ROUTED), NULL, 2},
		/* Not exported, or not a host of the server. */
		{SHARES LEADS OTHER("m", "m", "a.x", "  exportTo: ['.']\n" ROUTED), NULL, 1},
		{HOSTS SHARED("gw", "dubbo", "./*") LEADS OTHER("m", "m", "a.x", ROUTED), NULL, 1},
		{HOSTS SHARED("gw", "dubbo", "a.x") LEADS OTHER("m", "m", "b.x", ROUTED), NULL, 1},
		{HOSTS SHARED("gw", "dubbo", "m/b.x, ./*") LEADS OTHER("m", "m", "b.x", ROUTED),
			NULL, 2},
		/* Those of the Gateway's namespace are not compared with its hosts. */
		{HOSTS SHARED("gw", "dubbo", "a.x") LEADS OTHER("r", "default", "b.x", ROUTED),
			NULL, 2},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(guest_rows); i++) {
		const char *want = guest_rows[i].refused;
		struct built b = build_text(NULL, guest_rows[i].text);
		const char *name;
		const struct mt_diag *d = refused(&b, &name);
		bool good = !d == !want && b.diags.errors == (want != NULL);

		if (good && want)
			good = strcmp(name, want) == 0 && strcmp(d->path, "spec.gateways") == 0;
		if (good && !want)
			good = listener(b.s, "203.0.113.9", 80)->protos->n_services ==
			       guest_rows[i].n;
		CU_ASSERT_TRUE(good);
		if (!good) {
			fprintf(stderr, "row %zu:\n", i);
			show_diags(&b);
		}
		unbuild(&b);
	}
}

/* Of two guests the one that is served at the Gateway keeps its key, also from one that looks older. */
static void guest_keeps(void)
{
	struct mt_conf *conf = new_conf();
	struct mt_err err;
	struct built b = build_text(conf, SHARES OTHER("n", "n", "a.x", ROUTED));
	const char *name;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL_FATAL(mt_conf_publish(conf, b.s, NOW, NULL, &err), 0);
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
	b = build_text(conf, SHARES OTHER("m", "m", "a.x", ROUTED) OTHER("n", "n", "a.x", ROUTED));
	CU_ASSERT_PTR_NOT_NULL(refused(&b, &name));
	CU_ASSERT_STRING_EQUAL(name, "m");
	CU_ASSERT_EQUAL(b.diags.errors, 1);
	unbuild(&b);
}

/* A refused guest takes no key from a later one. */
static void guest_after_refused(void)
{
	struct built b = build_text(
		NULL, SHARES LEADS OTHER("m", "m", "a.x", ROUTED) OTHER("n", "n", "b.x", ROUTED));
	const char *name;

	CU_ASSERT_PTR_NOT_NULL(refused(&b, &name));
	CU_ASSERT_STRING_EQUAL(name, "m");
	CU_ASSERT_EQUAL(b.diags.errors, 1);
	unbuild(&b);
}

/* The limit of the Gateway's own namespace applies, also if another one looks older. */
static void limit_of_own_namespace(void)
{
	struct built b = build_text(NULL,
		SHARES LEADS OTHER("m", "m", "a.x",
			"  localRateLimit: {tokenBucket: {maxTokens: 9, fillInterval: 1s}}\n")
			LIMIT("n", "a.x"));

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_PTR_NOT_NULL_FATAL(told(&b));
	CU_ASSERT(strstr(told(&b), NOT_AT "that of MetaRouter default/n does") != NULL);
	unbuild(&b);
}

const struct mt_test gateway_routes_tests[] = {
	{"guests", guests},
	{"guest_keeps", guest_keeps},
	{"guest_after_refused", guest_after_refused},
	{"limit_of_own_namespace", limit_of_own_namespace},
	{"of_one_port", of_one_port},
	{"limits", limits},
	{"five_filters", five_filters},
	{"many limits", many_limits},
	{"named gateways", named_gateways},
	{"exports of many servers", exports_of_many_servers},
	{"made_again", made_again},
	{0},
};
