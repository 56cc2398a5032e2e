/* SPDX-License-Identifier: Apache-2.0 */
/* Names that lead nowhere or to two places: each is told with its line, its field and a remedy. */
#include "conf_test.h"
#include "conf_texts.h"

#include "mt_authz.h"
#include "mt_dns.h"

#include <stdio.h>

struct refused {
	const char *text;
	uint32_t line;
	const char *words;
};

#define TWO_PORTS                                                                                  \
	ISTIO("ServiceEntry", "b")                                                                 \
	"  hosts: [b.x]\n  resolution: STATIC\n  ports:\n"                                         \
	"  - {number: 1, name: tcp-metaprotocol-dubbo}\n"                                          \
	"  - {number: 2, name: tcp-metaprotocol-dubbo-b}\n"
#define VS_HEAD ISTIO("VirtualService", "vs") "  hosts: [a.x]\n  http:\n"

static const struct refused refusals[] = {
	{SERVICE_A VS_HEAD "  - match: [{headers: {user: {regex: \"(\"}}}]\n"
			   "    route: [{destination: {host: a.x}}]\n",
		22, "spec.http[0].match[0].user.regex: bad regular expression: "},
	{SERVICE_A VS_HEAD
		"  - match: [{uri: {prefix: /}}]\n    route: [{destination: {host: a.x}}]\n",
		22, "spec.http[0].uri: cannot be applied to dubbo"},
	{SERVICE_A ISTIO("VirtualService", "vs") "  hosts: [a.x]\n  dubo:\n"
						 "  - route: [{destination: {host: a.x}}]\n",
		21, "spec.dubo: neither a field nor a protocol (did you mean dubbo?)"},
	{SERVICE_A SERVICE_A, 16, "metadata.name: ServiceEntry \"a\" is already at t:2"},
	{SERVICE_A ISTIO(
		 "ServiceEntry", "b") "  hosts: [a..x]\n  ports: [{number: 1, name: tcp}]\n",
		20, "spec.hosts[0]: \"a..x\" is not a host's name"},
	{SERVICE_A ISTIO("ServiceEntry", "b") "  hosts: [b]\n  addresses: [192.0.2.1]\n"
					      "  resolution: STATIC\n"
					      "  ports: [{number: 20880, name: tcp}]\n",
		23,
		"spec.ports[0].number: 192.0.2.1:20880 is in use by a.x at t:9 with another "
		"protocol"},
	{SERVICE_A "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
		   "metadata: {name: b, annotations: {interface: a.x}}\nspec:\n"
		   "  hosts: [b]\n  addresses: [192.0.2.1]\n  resolution: STATIC\n"
		   "  ports: [{number: 20880, name: tcp-metaprotocol-dubbo}]\n",
		23, "for the same service key"},
	{ISTIO("ServiceEntry", "b") "  hosts: [b]\n  ports: [{number: 1, name: tcp-metaprotocol}]\n"
				    "  resolution: STATIC\n",
		7, "spec.ports[0].name: \"tcp-metaprotocol\" names no protocol"},
	{ISTIO("ServiceEntry", "b") "  hosts: [b]\n  ports:\n  - {number: 1, name: tcp}\n"
				    "  - {number: 1, name: tcp-b}\n",
		9, "spec.ports[1].number: already on line 8"},
	{ISTIO("ServiceEntry", "b") "  hosts: ['*.b']\n  ports: [{number: 1, name: tcp}]\n"
				    "  resolution: DNS\n",
		6, "spec.hosts[0]: \"*.b\" cannot be resolved"},
	{ISTIO("ServiceEntry", "b") "  hosts: [b]\n  addresses: [10.0.0.0.1]\n"
				    "  ports: [{number: 1, name: tcp}]\n"
				    "  resolution: STATIC\n",
		7, "spec.addresses[0]: \"10.0.0.0.1\" is not an address"},
	{"apiVersion: metaprotocol.aeraki.io/v1alpha1\nkind: ApplicationProtocol\n"
	 "metadata: {name: p}\nspec: {protocol: p, codec: aeraki.meta_protocol.codec.dubo}\n",
		4,
		"spec.codec: unknown codec \"aeraki.meta_protocol.codec.dubo\" (did you mean "
		"aeraki.meta_protocol.codec.dubbo?)"},
	{SERVICE_A ISTIO("DestinationRule", "c") "  host: a.x\n  subsets: [{name: a_b}]\n", 21,
		"spec.subsets[0].name"},
	{SERVICE_A ISTIO(
		 "DestinationRule", "c") "  host: a.x\n  subsets:\n  - {name: s}\n  - {name: s}\n",
		23, "spec.subsets[1].name: \"s\" is already on line 22"},
	{"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"
	 "  ports: [{name: p0, device: d}]\n  routes: [{to: 0.0.0.0/0, port: p1}]\n",
		6, "spec.routes[0].port: no port \"p1\""},
};

/* A route to what is not here is told, and what gets there fails; the others are in force. */
static const struct refused lost[] = {
	{SERVICE_A RULE_A VS_HEAD "  - route: [{destination: {host: a.x, subset: v9}}]\n",
		LAST_OF_A + 8,
		"spec.http[0].route[0].destination.subset: no subset \"v9\" of a.x: what gets "
		"there "
		"fails (did you mean v1?)"},
	{SERVICE_A VS_HEAD "  - route: [{destination: {host: a.x, subset: v1}}]\n", 22,
		"(add a DestinationRule with this subset)"},
	{SERVICE_A VS_HEAD "  - route:\n    - destination:\n        host: b.x\n", 24,
		"spec.http[0].route[0].destination.host: no ServiceEntry has the host \"b.x\": "
		"what gets there fails (did you mean a.x?)"},
	{SERVICE_A VS_HEAD "  - route: [{destination: {host: a.x, port: {number: 1}}}]\n", 22,
		"spec.http[0].route[0].destination.port.number: a.x has no served port 1"},
	{SERVICE_A ISTIO("VirtualService", "vs") "  hosts: [a.x]\n  http: [{route: [{destination: "
						 "{host: a.x}}], mirror: {host: q}}]\n",
		21, "spec.http[0].mirror.host: no ServiceEntry has the host \"q\""},
	{SERVICE_A ROUTER("m") "  hosts: [a.x]\n"
			       "  routes: [{route: [{destination: {host: a.x, subset: q}}]}]\n",
		21, "no subset \"q\" of a.x"},
	/* Told when the port is known that clients come by. */
	{SERVICE_A TWO_PORTS VS_HEAD "  - route: [{destination: {host: b.x}}]\n", 32,
		"spec.http[0].route[0].destination.host: b.x has no served port 20880"},
};

/* About nothing that is here: no effect, and nobody is refused for it. */
static const struct refused inert[] = {
	{SERVICE_A ISTIO(
		 "VirtualService", "vs") "  hosts: [z]\n"
					 "  http: [{route: [{destination: {host: a.x}}]}]\n",
		20, "spec.hosts[0]: no ServiceEntry has the host \"z\""},
	{SERVICE_A ROUTER("mr") "  hosts: [q]\n", 20,
		"spec.hosts[0]: no ServiceEntry has the host"},
	{SERVICE_A ISTIO("DestinationRule", "c") "  host: b.x\n", 20,
		"spec.host: no ServiceEntry has the host \"b.x\" (did you mean a.x?)"},
};

static void judge(const struct refused *rows, size_t n, enum mt_diag_severity severity)
{
	for (size_t i = 0; i < n; i++) {
		const struct refused *r = &rows[i];
		struct built b = build_text(NULL, r->text);
		bool as_expected = has_diag(&b, severity, r->line, r->words);

		CU_ASSERT_EQUAL(b.s == NULL, severity == MT_DIAG_ERROR);
		CU_ASSERT_TRUE(as_expected);
		if (!as_expected) {
			fprintf(stderr, "row %zu wants line %u, %s:\n", i, r->line, r->words);
			show_diags(&b);
		}
		unbuild(&b);
	}
}

static void refused(void)
{
	judge(refusals, MT_ARRAY_LEN(refusals), MT_DIAG_ERROR);
}

#define TLS "  trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}\n"

struct by_tls {
	const char *text;
	bool whole, subset; /* whose cluster is closed */
};

/* Where a rule asks for TLS that cannot be made the instances are not called: clear text is not what is asked for. */
static const struct by_tls by_tls[] = {
	{"  host: a.x\n" TLS "  subsets: [{name: v1, labels: {version: v1}}]\n", true, true},
	{"  host: a.x\n  trafficPolicy: {tls: {mode: MUTUAL}}\n  subsets: [{name: v1, labels: "
	 "{version: v1}, "
	 "trafficPolicy: {tls: {mode: DISABLE}}}]\n",
		true, false},
	{"  host: a.x\n  subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {tls: {mode: "
	 "MUTUAL}}}]\n",
		false, true},
	{"  host: a.x\n  trafficPolicy: {portLevelSettings: [{port: {number: 20880}, tls: {mode: "
	 "MUTUAL}}]}\n  subsets: [{name: v1, labels: {version: v1}}]\n",
		true, true},
	{"  host: a.x\n  trafficPolicy: {portLevelSettings: [{port: {number: 1}, tls: {mode: "
	 "MUTUAL}}]}\n  subsets: [{name: v1, labels: {version: v1}}]\n",
		false, false},
	{"  host: a.x\n  trafficPolicy: {tls: {mode: MUTUAL}, portLevelSettings: [{port: {number: "
	 "20880}, "
	 "tls: {mode: DISABLE}}]}\n  subsets: [{name: v1, labels: {version: v1}}]\n",
		false, false},
};

static void tls_to_instances(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(by_tls); i++) {
		char text[2048];
		struct built b;
		const struct mt_cluster *whole, *subset;

		snprintf(text, sizeof(text), "%s%s%s", SERVICE_A, ISTIO("DestinationRule", "c"),
			by_tls[i].text);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		whole = cluster(b.s, "outbound|20880||a.x");
		subset = cluster(b.s, "outbound|20880|v1|a.x");
		CU_ASSERT_EQUAL(whole->closed_by != NULL, by_tls[i].whole);
		CU_ASSERT_EQUAL(whole->n_eps, by_tls[i].whole ? 0 : 2);
		CU_ASSERT_EQUAL(subset->closed_by != NULL, by_tls[i].subset);
		if (subset->closed_by)
			CU_ASSERT_STRING_EQUAL(subset->closed_by->by, "DestinationRule default/c");
		CU_ASSERT_TRUE(mt_diags_strict(&b.diags) > 0);
		unbuild(&b);
	}
}

static void leads_nowhere(void)
{
	judge(lost, MT_ARRAY_LEN(lost), MT_DIAG_WARNING);
}

/* It keeps its share, of calls as of connections. */
static void keeps_its_share(void)
{
	static const char text[] = SERVICE_A ISTIO("ServiceEntry",
		"t") "  hosts: [t.x]\n  resolution: STATIC\n  ports: [{number: 9, name: "
		     "tcp}]\n" VS_HEAD "  - route: [{destination: {host: a.x}, weight: 1}, "
		     "{destination: {host: gone.x}, "
		     "weight: 3}]\n"
		     "    mirror: {host: gone.x}\n" ISTIO(
			     "VirtualService", "tcp") "  hosts: [t.x]\n  tcp: [{route: "
						      "[{destination: {host: gone.x}, weight: "
						      "2}, "
						      "{destination: {host: t.x}, weight: 1}]}]\n";
	struct built b = build_text(NULL, text);
	const struct mt_route_action *a;
	const struct mt_service *t;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	a = mt_route_at(service(b.s, "a.x")->routes, 0);
	CU_ASSERT_EQUAL(a->total_weight, 4);
	CU_ASSERT_EQUAL(a->dests[1].cluster, MT_ROUTE_NO_CLUSTER);
	CU_ASSERT_EQUAL(mt_route_pick(a, 1), MT_ROUTE_NO_CLUSTER);
	CU_ASSERT_NOT_EQUAL(mt_route_pick(a, 0), MT_ROUTE_NO_CLUSTER);
	CU_ASSERT_EQUAL(a->n_mirrors, 0);
	t = service(b.s, "t.x");
	CU_ASSERT_EQUAL_FATAL(t->n_tcp_dests, 2);
	CU_ASSERT_EQUAL(t->tcp_dests[0].cluster, MT_ROUTE_NO_CLUSTER);
	CU_ASSERT_EQUAL(t->tcp_total_weight, 3);
	unbuild(&b);
}

/* A host of many that is not here takes the others along with it no more. */
static void without_effect(void)
{
	struct built b;

	judge(inert, MT_ARRAY_LEN(inert), MT_DIAG_UNUSED);
	b = build_text(NULL, SERVICE_A ISTIO("VirtualService",
				     "vs") "  hosts: [z, a.x]\n"
					   "  http: [{route: [{destination: {host: a.x}}]}]\n");
	CU_ASSERT_PTR_NOT_NULL(b.s);
	CU_ASSERT_EQUAL(b.diags.inert, 0);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 20, "no ServiceEntry has the host \"z\""));
	unbuild(&b);
}

/* The first hundred are told what is near; the rest costs no comparison with every host that there is. */
static void many_without_effect(void)
{
	size_t size = 1 << 16, len;
	char *text = malloc(size);
	struct built b;
	uint32_t near = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	len = (size_t)snprintf(text, size, "%s", SERVICE_A);
	for (int i = 0; i < 150; i++)
		len += (size_t)snprintf(text + len, size - len,
			"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
			"metadata: {name: r%d}\nspec: {host: b.x}\n",
			i);
	b = build_text(NULL, text);
	CU_ASSERT_PTR_NOT_NULL(b.s);
	for (uint32_t i = 0; i < b.diags.n; i++)
		near += b.diags.items[i].remedy &&
			strstr(b.diags.items[i].remedy, "did you mean") != NULL;
	CU_ASSERT_EQUAL(b.diags.inert, 150);
	CU_ASSERT_EQUAL(near, 100);
	unbuild(&b);
	free(text);
}

/* "a.x." is "a.x", wherever a host is written (an absolute name of DNS); two dots are no name. */
static void dot_at_the_end(void)
{
	static const char text[] =
		"---\napiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\n"
		"spec: {dns: {zones: [mesh.test.], search: [corp.test.], domain: "
		"cluster.local.}}\n" ISTIO("ServiceEntry",
			"a") "  hosts: [a.x., b.x, B.x., '*.c.x.']\n"
			     "  addresses: [192.0.2.1]\n  resolution: STATIC\n"
			     "  ports: [{number: 20880, name: tcp-metaprotocol-Dubbo}]\n"
			     "  endpoints:\n"
			     "  - {address: 198.51.100.1, labels: {version: v1}}\n" ISTIO(
				     "DestinationRule",
				     "r") "  host: A.x.\n"
					  "  subsets: [{name: v1, labels: {version: v1}}]\n" ISTIO(
						  "VirtualService",
						  "v") "  hosts: [a.x.]\n  http:\n"
						       "  - route: [{destination: {host: b.x., "
						       "subset: v1}}]\n" ISTIO("ServiceEntry",
							       "m") "  hosts: [m.x]\n  addresses: "
								    "[192.0.2.2]\n"
								    "  resolution: STATIC\n"
								    "  ports: [{number: 20880, "
								    "name: "
								    "tcp-metaprotocol-Dubbo}]"
								    "\n  endpoints: "
								    "[{address: "
								    "198.51.100.2}]"
								    "\n" ROUTER(
									    "m") "  hosts: "
										 "[m.x.]\n  "
										 "routes:\n"
										 "  - route: "
										 "[{destination: "
										 "{host: a.x., "
										 "port: {number: "
										 "20880}}}]\n";
	static const char doubled[] =
		ISTIO("ServiceEntry", "a") "  hosts: [a.x..]\n  ports: [{number: 1, name: tcp}]\n";
	struct built b = build_text(NULL, text);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(b.diags.n, 0);
	if (b.diags.n)
		show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL(cluster(b.s, "outbound|20880||a.x"));
	CU_ASSERT_PTR_NOT_NULL(cluster(b.s, "outbound|20880|v1|a.x"));
	CU_ASSERT_EQUAL(mt_dns_table_names(b.s->dns), 4);
	unbuild(&b);
	b = build_text(NULL, doubled);
	CU_ASSERT(has_diag(&b, MT_DIAG_ERROR, 6, "spec.hosts[0]: \"a.x..\" is not a host's name"));
	unbuild(&b);
}

const struct mt_test references_tests[] = {
	{"dot_at_the_end", dot_at_the_end},
	{"many_without_effect", many_without_effect},
	{"without_effect", without_effect},
	{"refused", refused},
	{"leads_nowhere", leads_nowhere},
	{"tls_to_instances", tls_to_instances},
	{"keeps_its_share", keeps_its_share},
	{0},
};
