/* SPDX-License-Identifier: Apache-2.0 */
/* Routes of VirtualServices on forwarded ports of TCP: rules, destinations and their shares. */
#include "conf_test.h"

#include "forward_text.h"
#include "mt_conf_numbers_priv.h"
#include "mt_l4.h"

#include <netinet/in.h>
#include <stdio.h>

#define A	  META(NAT) SPEC(TCP)
#define TO_A(of)  "destination: {host: a.x" of "}"
#define TO_C	  "destination: {host: c.x, port: {number: 5432}}"
#define TWO(x, y) ROUTES("{route: [{" x "}, {" y "}]}")
#define C_INSIDE                                                                                   \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: c}\n"       \
	"spec: {hosts: [c.x], location: MESH_INTERNAL, addresses: [192.0.2.3], "                   \
	"resolution: STATIC, ports: [" TCP "], endpoints: [{address: 198.51.100.4}]}\n"
/* c.x of namespace y. */
#define EXPORTED(to)                                                                               \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: c, namespace: y}\nspec: {hosts: [c.x], exportTo: [" to "], "             \
	"addresses: [192.0.2.3], resolution: STATIC, ports: [" TCP "], "                           \
	"endpoints: [{address: 198.51.100.4}]}\n"
#define C_MAPPED                                                                                   \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: c}\n"       \
	"spec: {hosts: [c.x], addresses: [192.0.2.3], resolution: STATIC, ports: [" TCP            \
	"], endpoints: [{address: 198.51.100.4, ports: {tcp-sql: 5433}}]}\n"
/* c.x with the first endpoint of a.x. */
#define C_SHARED                                                                                   \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: c, namespace: x}\nspec: {hosts: [c.x], location: MESH_INTERNAL, "        \
	"addresses: [192.0.2.3], resolution: STATIC, ports: [" TCP                                 \
	"], endpoints: [{address: 198.51.100.1, labels: {app: c}}]}\n"
/* The same with two workloads there, or at another port of the service. */
#define C_TWICE                                                                                    \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: c, namespace: x}\nspec: {hosts: [c.x], location: MESH_INTERNAL, "        \
	"addresses: [192.0.2.3], resolution: STATIC, ports: [" TCP                                 \
	"], endpoints: [{address: 198.51.100.1, labels: {app: d}}, "                               \
	"{address: 198.51.100.1, labels: {app: c}}]}\n"
#define C_OTHER_PORT                                                                               \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: c, namespace: x}\nspec: {hosts: [c.x], location: MESH_INTERNAL, "        \
	"addresses: [192.0.2.3], resolution: STATIC, ports: [{number: 5433, name: tcp-sql, "       \
	"targetPort: 5432}], endpoints: [{address: 198.51.100.1, labels: {app: c}}]}\n"
#define TO_OTHER_PORT "destination: {host: c.x, port: {number: 5433}}"
#define DENIES_AT(port)                                                                            \
	AP("{action: DENY, rules: [{from: [{source: {ipBlocks: [10.0.0.1]}}], "                    \
	   "to: [{operation: {ports: ['" port "']}}]}]}")
#define DENIES(app)                                                                                \
	AP("{selector: {matchLabels: {app: " app "}}, action: DENY, rules: "                       \
	   "[{from: [{source: {ipBlocks: [10.0.0.1]}}]}]}")
#define C_RULE                                                                                     \
	"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: d}\n"    \
	"spec: {host: c.x, trafficPolicy: {proxyProtocol: {version: V2}}}\n"
#define C_DRAINED                                                                                  \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: c}\n"       \
	"spec: {hosts: [c.x], addresses: [192.0.2.3], resolution: STATIC, ports: [" TCP            \
	"], endpoints: [{address: 198.51.100.4, labels: {meltemi.io/drain: 'true'}}]}\n"
#define ONE    ", subset: one"
#define SECOND ", subset: two"

/* The workload of a.x is one of the two of C_TWICE. */
#define A_OF_C                                                                                     \
	META(NAT)                                                                                  \
	"  hosts: [a.x]\n  addresses: [192.0.2.1]\n  location: MESH_INTERNAL\n"                    \
	"  resolution: STATIC\n  ports: [" TCP                                                     \
	"]\n  endpoints: [{address: 198.51.100.1, labels: {app: c}}]\n"

/* Endpoints of which shares are counted, by the last byte of 198.51.100.0/24; 0: refused. */
#define LAST 8

/* Percent of the hashes that lead to each endpoint of the port, and its part. */
static void shares_of(const struct mt_snapshot *s, uint32_t percent[LAST], uint8_t part[LAST])
{
	const struct mt_l4_row *row;
	struct mt_addr vip;
	uint32_t n[LAST] = {0};

	mt_addr_parse("192.0.2.1", &vip);
	row = s->l4 ? mt_l4_row(s->l4, &vip, 5432, IPPROTO_TCP) : NULL;
	CU_ASSERT_FATAL(row && row->group);
	for (uint64_t h = 0; h < 20000; h++) {
		const struct mt_l4_endpoint *e =
			&row->group->endpoints[mt_l4_choose(row->group, h)];
		uint8_t last = e->port ? e->addr.b[15] : 0;

		CU_ASSERT_FATAL(last < LAST);
		n[last]++;
		part[last] = e->part;
	}
	for (uint32_t i = 0; i < LAST; i++)
		percent[i] = (n[i] + 100) / 200;
}

static bool is_near(uint32_t got, uint32_t want)
{
	return want == 0 || want == 100 ? got == want : got + 2 >= want && got <= want + 2;
}

static bool is_told(const struct built *b, const char *words)
{
	for (uint32_t i = 0; i < b->diags.n; i++)
		if (strstr(b->diags.items[i].message, words))
			return true;
	return false;
}

static bool is_any_told(const struct built *b)
{
	for (uint32_t i = 0; i < b->diags.n; i++)
		if (b->diags.items[i].severity != MT_DIAG_NOTE)
			return true;
	return false;
}

static const struct row {
	const char *text;
	uint32_t percent[LAST]; /* refused, .1, .2, ... */
	const char *words;	/* NULL: nothing but notes is told */
} rows[] = {
	{A, {0, 25, 75}, NULL},
	{A SUBSETS ROUTES("{" DEST(ONE) "}"), {0, 100}, NULL},
	{A SUBSETS ROUTES("{" DEST(SECOND) "}"), {0, 0, 100}, NULL},
	{A ROUTES("{" DEST(", port: {number: 5432}") "}"), {0, 25, 75}, NULL},
	/* Weights of destinations count, then those of endpoints inside. */
	{A SUBSETS TWO(TO_A(ONE) ", weight: 90", TO_A(SECOND) ", weight: 10"), {0, 90, 10}, NULL},
	{A OTHER_PORT TWO(TO_A("") ", weight: 80", TO_C ", weight: 20"), {0, 20, 60, 0, 20}, NULL},
	{A SUBSETS TWO(TO_A("") ", weight: 1", TO_A(ONE) ", weight: 1"), {0, 62, 38}, NULL},
	{A SUBSETS TWO(TO_A(ONE) ", weight: 0", TO_A(SECOND) ", weight: 7"), {0, 0, 100}, NULL},
	/* The port of another host, forwarded or not. */
	{A OTHER_PORT ROUTES("{route: [{" TO_C "}]}"), {0, 0, 0, 0, 100}, NULL},
	{A FORWARDED_TOO ROUTES("{route: [{" TO_C "}]}"), {0, 0, 0, 0, 100}, NULL},
	/* What is not here keeps its share. */
	{A TWO(TO_A("") ", weight: 60", "destination: {host: no.x}, weight: 40"), {40, 15, 45},
		"no ServiceEntry has the host \"no.x\""},
	{A SUBSETS TWO(TO_A(ONE) ", weight: 60", TO_A(", subset: none") ", weight: 40"), {40, 60},
		"no subset \"none\" of a.x"},
	/* The first rule that applies: by port, and by what the node is. */
	{A SUBSETS ROUTES("{match: [{port: 5433}], " DEST(ONE) "}, {" DEST(SECOND) "}"),
		{0, 0, 100}, "none of its hosts has port 5433"},
	{A SUBSETS ROUTES("{match: [{port: 5432}], " DEST(ONE) "}, {" DEST(SECOND) "}"), {0, 100},
		NULL},
	{A SUBSETS ROUTES("{match: [{port: 5433}], " DEST(ONE) "}"), {0, 25, 75},
		"none of its hosts has port 5433"},
	{A SUBSETS ROUTES("{match: [{sourceNamespace: x}], " DEST(ONE) "}, {" DEST("") "}"),
		{0, 100}, NULL},
	{A SUBSETS ROUTES("{match: [{sourceNamespace: y}], " DEST(ONE) "}, {" DEST(SECOND) "}"),
		{0, 0, 100}, NULL},
	{A SUBSETS ROUTES("{match: [{sourceLabels: {a: b}}], " DEST(ONE) "}, {" DEST(SECOND) "}"),
		{0, 0, 100}, NULL},
	{A SUBSETS ROUTES("{match: [{gateways: [x/g]}], " DEST(ONE) "}, {" DEST(SECOND) "}"),
		{0, 0, 100}, "there is no Gateway \"x/g\""},
	/* A drained endpoint leaves its share to the others of its destination. */
	{META(NAT) DRAINED(TCP) OTHER_PORT TWO(TO_A("") ", weight: 80", TO_C ", weight: 20"),
		{0, 0, 80, 0, 20}, NULL},
	/* If all of a destination drain, they get its share all the same. */
	{A C_DRAINED TWO(TO_A("") ", weight: 80", TO_C ", weight: 20"), {0, 20, 60, 0, 20}, NULL},
	/* One that clients in the port's namespace do not see. */
	{A EXPORTED("'.'") TWO(TO_A("") ", weight: 80", TO_C ", weight: 20"), {20, 20, 60},
		"ServiceEntry c, which has c.x, is not exported to namespace x of the port"},
	{A EXPORTED("'.', z") TWO(TO_A("") ", weight: 0", TO_C ", weight: 20"), {100},
		"is not exported to namespace x"},
	{A EXPORTED("'.', x") TWO(TO_A("") ", weight: 80", TO_C ", weight: 20"), {0, 20, 60, 0, 20},
		NULL},
	/* A fault of another host costs its share, not the service. */
	{A OTHER_PORT C_RULE TWO(TO_A("") ", weight: 80", TO_C ", weight: 20"), {20, 20, 60},
		"proxyProtocol of the DestinationRule at t:"},
	{META("meltemi.io/forwarding: dsr") SPEC(TCP)
			C_MAPPED TWO(TO_A("") ", weight: 80", TO_C ", weight: 20"),
		{20, 20, 60},
		"1 endpoint of other hosts, to which its routes lead, gets no packets: "
		"198.51.100.4:5433 has another port, and the mode keeps the port"},
	/* An address of two hosts is an endpoint of both, if its policies are the same. */
	{A C_SHARED TWO(TO_A("") ", weight: 80", TO_C ", weight: 20"), {0, 40, 60}, NULL},
	{A C_SHARED TWO(TO_A("") ", weight: 80", TO_C ", weight: 20") DENIES("c"), {20, 20, 60},
		"1 endpoint of its routes' hosts gets packets for one host only: "
		"198.51.100.1:5432 has other policies as an endpoint of another host"},
	{A C_SHARED TWO(TO_C ", weight: 20", TO_A("") ", weight: 80") DENIES("c"), {0, 20, 80},
		"198.51.100.1:5432 has other policies as an endpoint of another host"},
	/* All policies that the address has for a host count, in any order. */
	{A C_TWICE TWO(TO_A("") ", weight: 80", TO_C ", weight: 20"), {0, 40, 60}, NULL},
	{A C_TWICE TWO(TO_A("") ", weight: 80", TO_C ", weight: 20") DENIES("c"), {20, 20, 60},
		"1 endpoint of its routes' hosts gets packets for one host only"},
	{A C_TWICE TWO(TO_A("") ", weight: 80", TO_C ", weight: 20") DENIES("d"), {20, 20, 60},
		"1 endpoint of its routes' hosts gets packets for one host only"},
	{A C_TWICE TWO(TO_C ", weight: 20", TO_A("") ", weight: 80") DENIES("d"), {0, 20, 80},
		"1 endpoint of its routes' hosts gets packets for one host only"},
	/* A workload without policies adds none to those of the address. */
	{A_OF_C C_TWICE TWO(TO_A("") ", weight: 80", TO_C ", weight: 20") DENIES("c"), {0, 100},
		NULL},
	{A_OF_C C_TWICE TWO(TO_C ", weight: 20", TO_A("") ", weight: 80") DENIES("c"), {0, 100},
		NULL},
	{A_OF_C C_TWICE TWO(TO_A("") ", weight: 80", TO_C ", weight: 20") DENIES("d"), {20, 80},
		"1 endpoint of its routes' hosts gets packets for one host only"},
	/* Policies are compared for each port of the service. */
	{A C_OTHER_PORT TWO(TO_A("") ", weight: 80", TO_OTHER_PORT ", weight: 20"), {0, 40, 60},
		NULL},
	{A C_OTHER_PORT TWO(TO_A("") ", weight: 80", TO_OTHER_PORT ", weight: 20")
			DENIES_AT("5433"),
		{20, 20, 60}, "1 endpoint of its routes' hosts gets packets for one host only"},
	/* The share of a destination whose endpoints are called by TLS is refused. */
	{A SUBSETS_BY_TLS TWO(TO_A(ONE) ", weight: 70", TO_A(SECOND) ", weight: 30"), {30, 70},
		"1 of 2 endpoints get no packets: they expect TLS"},
};

/* Compares the shares of the port; `words`: what is told, NULL: nothing but notes. */
static void compare(const char *text, const uint32_t want[LAST], const char *words)
{
	struct built b = build_text(NULL, text);
	bool told = words ? is_told(&b, words) : !is_any_told(&b);
	uint32_t got[LAST];
	uint8_t part[LAST] = {0};

	if (!told || !b.s) {
		printf("%s\n", text);
		show_diags(&b);
	}
	CU_ASSERT_TRUE(told);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	shares_of(b.s, got, part);
	for (uint32_t k = 0; k < LAST; k++) {
		if (!is_near(got[k], want[k]))
			printf("%s\n.%u has %u %%\n", text, k, got[k]);
		CU_ASSERT(is_near(got[k], want[k]));
	}
	unbuild(&b);
}

static void shares(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		compare(rows[i].text, rows[i].percent, rows[i].words);
}

/* The namespace of clients decides, if the node has one. */
static void namespace_of_clients(void)
{
	struct built b = {.conf = new_conf(), .m = mt_model_new()};
	static const char text[] =
		A EXPORTED("'.'") TWO(TO_A("") ", weight: 80", TO_C ", weight: 20");
	uint32_t percent[LAST];
	uint8_t part[LAST];

	mt_diags_init(&b.diags);
	mt_source_text(b.m, &b.diags, "t", text, strlen(text));
	b.m->mesh.ns = "y";
	b.s = mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_FALSE(is_told(&b, "is not exported"));
	shares_of(b.s, percent, part);
	CU_ASSERT(is_near(percent[4], 20) && percent[0] == 0);
	unbuild(&b);
}

/* Each destination is a part, so that health moves flows inside it only. */
static void parts(void)
{
	struct built b = build_text(NULL, A SUBSETS OTHER_PORT ROUTES("{route: [{" TO_A(
						  "") ", weight: 1}, {" TO_C ", weight: 1}]}"));
	uint32_t percent[LAST];
	uint8_t part[LAST];

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	shares_of(b.s, percent, part);
	CU_ASSERT_EQUAL(part[1], 0);
	CU_ASSERT_EQUAL(part[2], 0);
	CU_ASSERT_EQUAL(part[4], 1);
	unbuild(&b);
}

/* An endpoint of a destination with weight 0 stays in the table, so that its flows do. */
static void weight_0(void)
{
	struct built b = build_text(
		NULL, A SUBSETS TWO(TO_A(ONE) ", weight: 0", TO_A(SECOND) ", weight: 7"));
	const struct mt_l4_row *row;
	struct mt_addr vip;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	mt_addr_parse("192.0.2.1", &vip);
	row = mt_l4_row(b.s->l4, &vip, 5432, IPPROTO_TCP);
	CU_ASSERT_FATAL(row && row->group);
	CU_ASSERT_EQUAL(row->group->n_endpoints, 2);
	CU_ASSERT_FALSE(row->group->endpoints[0].chosen);
	CU_ASSERT_TRUE(row->group->endpoints[1].chosen);
	unbuild(&b);
}

/* True if the command is accepted. */
static bool may(const struct mt_conf *c, const char *line, const char *words)
{
	struct mt_err e = {""};
	struct mt_override o;
	bool ok;

	CU_ASSERT_EQUAL_FATAL(mt_override_parse_line(&o, line, &e), 0);
	ok = mt_conf_override_applies(c, &o, &e);
	CU_ASSERT_PTR_NOT_NULL(strstr(e.text, words));
	return ok;
}

/* The last endpoint of a destination keeps its share, whatever the others have. */
static void drain_of_last(void)
{
	struct mt_conf *c = new_conf();
	struct built b =
		build_text(c, A OTHER_PORT TWO(TO_A("") ", weight: 1", TO_C ", weight: 1"));
	struct mt_err err;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &err), 0);
	CU_ASSERT_TRUE(may(c, "drain endpoint 198.51.100.1:5432 tcp|5432||a.x", ""));
	CU_ASSERT_FALSE(may(c, "drain endpoint 198.51.100.4:5432 tcp|5432||a.x",
		"its destination in tcp|5432||a.x has no other endpoint that is not drained"));
	b.conf = NULL;
	b.s = NULL;
	unbuild(&b);
	mt_conf_destroy(c);
}

/* A policy of any destination closes the port, also of one with weight 0, which may have flows. */
static void closed(void)
{
	static const char policy[] =
		"---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
		"metadata: {name: p, namespace: default}\n"
		"spec: {rules: [{from: [{source: {principals: [a]}}]}]}\n";
	static char text[4096];

	static const char *const routes[] = {TWO(TO_A("") ", weight: 9", TO_C ", weight: 1"),
		TWO(TO_A("") ", weight: 9", TO_C ", weight: 0"), ROUTES("{" DEST("") "}")};

	for (int i = 0; i < 3; i++) {
		struct built b;

		snprintf(text, sizeof(text), "%s%s%s", A C_INSIDE, routes[i], policy);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(b.s->clusters[b.s->forwards[0].cluster].closed_by != NULL, i < 2);
		CU_ASSERT_EQUAL(is_told(&b, "forwarded port 5432 is closed"), i < 2);
		unbuild(&b);
	}
}

/* Equal destinations are one, and need no more room; others are dropped when there is none. */
static void room(void)
{
	static const uint32_t joined[LAST] = {0, 15, 45, 0, 40}, dropped[LAST] = {20, 20, 60},
			      alone[LAST] = {0, 25, 75};
	static const char more[] = "too many destinations, or endpoints of forwarded ports of its "
				   "namespace: connections of this share are refused";
	uint64_t was = mt_conf_forward_room[MT_FORWARD_MEMBERS];

	compare(A OTHER_PORT ROUTES("{route: [{" TO_A(
			"") ", weight: 25}, {" TO_C ", weight: 40}, {" TO_A("") ", weight: 35}]}"),
		joined, NULL);
	mt_conf_forward_room[MT_FORWARD_MEMBERS] = 0;
	compare(A OTHER_PORT TWO(TO_A("") ", weight: 80", TO_C ", weight: 20"), dropped, more);
	compare(A TWO(TO_A("") ", weight: 30", TO_A("") ", weight: 70"), alone, NULL);
	compare(A, alone, NULL);
	mt_conf_forward_room[MT_FORWARD_MEMBERS] = was;
}

/* A port has 64 destinations; the shares of others are refused. */
static void most_destinations(void)
{
	static char text[64 << 10];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s", A);
	struct built b;
	uint32_t percent[LAST];
	uint8_t part[LAST];

	for (int i = 0; i < 79; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
			"metadata: {name: h%d}\nspec: {hosts: [h%d.x], addresses: [192.0.3.%d], "
			"resolution: STATIC, ports: [" TCP
			"], endpoints: [{address: 198.51.100.3}]}\n",
			i, i, i + 1);
	len += (size_t)snprintf(text + len, sizeof(text) - len, "%s",
		"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"
		"metadata: {name: r, namespace: x}\nspec:\n  hosts: [a.x]\n  tcp:\n  - route:\n"
		"    - {destination: {host: a.x}, weight: 1}\n");
	for (int i = 0; i < 79; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
			"    - {destination: {host: h%d.x, port: {number: 5432}}, weight: 1}\n", i);
	b = build_text(NULL, text);
	CU_ASSERT_TRUE(is_told(&b, "too many destinations"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	shares_of(b.s, percent, part);
	CU_ASSERT(is_near(percent[0], 20)); /* 16 of 80 */
	CU_ASSERT(is_near(percent[3], 79)); /* 63 of 80 */
	unbuild(&b);
}

#define ROUTED                                                                                     \
	"---\napiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: MetaRouter\n"                     \
	"metadata: {name: m, namespace: x}\nspec: {hosts: [a.x], routes: [{route: "                \
	"[{destination: {host: a.x}}]}]}\n"
#define BELOW(name, list)                                                                          \
	"---\napiVersion: networking.istio.io/v1\nkind: VirtualService\n"                          \
	"metadata: {name: " name ", namespace: x}\nspec:\n  hosts: ['*.x']\n  " list "\n"

/*
 * Beside routes of a MetaRouter, which are for messages, a wildcard without `tcp` does not take the
 * forwarded port, so a later one with `tcp` has it.
 */
static void wildcards_beside_a_router(void)
{
	static const uint32_t all[LAST] = {0, 25, 75}, first[LAST] = {0, 100};

	compare(META(NAT) SPEC(TCP ", " RPC)
			SUBSETS ROUTED BELOW("v", "dubbo: [{route: [{destination: {host: a.x}}]}]"),
		all, "these routes replace them");
	compare(META(NAT) SPEC(TCP ", " RPC)
			SUBSETS ROUTED BELOW("v", "dubbo: [{route: [{destination: {host: a.x}}]}]")
				BELOW("w", "tcp: [{" DEST(ONE) "}]"),
		first, "these routes replace them");
	compare(META(NAT) SPEC(TCP ", " RPC) SUBSETS ROUTED BELOW("w", "tcp: [{" DEST(ONE) "}]"),
		first, NULL);
}

#define DOUBLED                                                                                    \
	"  hosts: [a.x]\n  addresses: [192.0.2.1]\n  location: MESH_INTERNAL\n"                    \
	"  resolution: STATIC\n  ports: [" TCP "]\n  endpoints:\n"                                 \
	"  - {address: 198.51.100.1, labels: {app: a}}\n"                                          \
	"  - {address: 198.51.100.1, labels: {app: b}}\n"

/* Packets to the address of two workloads must pass the policies of both, of subsets as well. */
static void two_workloads(void)
{
	static const char *const texts[] = {META(NAT) DOUBLED DENIES("a"),
		META(NAT) DOUBLED DENIES("b"),
		META(NAT) DOUBLED SUBSETS TWO(TO_A(ONE) ", weight: 1", TO_A(SECOND) ", weight: 1")
			DENIES("b"),
		META(NAT) DOUBLED SUBSETS TWO(TO_A(SECOND) ", weight: 1", TO_A(ONE) ", weight: 1")
			DENIES("b")};

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct built b = build_text(NULL, texts[i]);
		const struct mt_l4_row *row;
		struct mt_addr vip, client;

		if (!b.s)
			show_diags(&b);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		mt_addr_parse("192.0.2.1", &vip);
		mt_addr_parse("10.0.0.1", &client);
		row = mt_l4_row(b.s->l4, &vip, 5432, IPPROTO_TCP);
		CU_ASSERT_FATAL(row && row->group);
		CU_ASSERT_EQUAL_FATAL(row->group->n_endpoints, 1);
		CU_ASSERT_PTR_NOT_NULL_FATAL(row->group->endpoints[0].clients);
		CU_ASSERT_FALSE(mt_ranges_have(row->group->endpoints[0].clients, &client));
		unbuild(&b);
	}
}

/* A condition that cannot be tested refuses the routes, as for a terminated port. */
static void untestable(void)
{
	struct built b = build_text(
		NULL, A SUBSETS ROUTES("{match: [{sourceSubnet: 10.0.0.0/8}], " DEST(ONE) "}"));

	CU_ASSERT_TRUE(is_told(&b, "cannot be applied to bytes"));
	unbuild(&b);
}

/* Rules that forwarded ports do not follow. */
static void not_followed(void)
{
	static const struct {
		const char *text, *words;
	} told[] = {
		{META(NAT) SPEC("{number: 5432, name: udp-sql}") SUBSETS ROUTES("{" DEST(ONE) "}"),
			"none of its lists is for a port of a.x"},
		{A OTHER_PORT ROUTES_OF("c.x", "{" DEST("") "}"),
			"port 5432 of a.x is forwarded at layer 4, where terminated connections "
			"cannot go"},
		{A OTHER_PORT ROUTES_OF("c.x", "{" DEST(", port: {number: 5432}") "}"),
			"port 5432 of a.x is forwarded at layer 4"},
		{A ROUTES("{" DEST(", port: {number: 99}") "}"), "a.x has no served port 99"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(told); i++) {
		struct built b = build_text(NULL, told[i].text);

		if (!is_told(&b, told[i].words)) {
			printf("%s\n", told[i].text);
			show_diags(&b);
		}
		CU_ASSERT_TRUE(is_told(&b, told[i].words));
		unbuild(&b);
	}
}

const struct mt_test forward_routes_tests[] = {
	{"forward_routes_shares", shares},
	{"forward_routes_namespace_of_clients", namespace_of_clients},
	{"forward_routes_parts", parts},
	{"forward_routes_weight_0", weight_0},
	{"forward_routes_drain_of_last", drain_of_last},
	{"forward_routes_closed", closed},
	{"forward_routes_two_workloads", two_workloads},
	{"forward_routes_room", room},
	{"forward_routes_most_destinations", most_destinations},
	{"forward_routes_wildcards_beside_a_router", wildcards_beside_a_router},
	{"forward_routes_untestable", untestable},
	{"forward_routes_not_followed", not_followed},
	{0},
};
