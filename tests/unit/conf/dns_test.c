/* SPDX-License-Identifier: Apache-2.0 */
/* Names of services: which hosts have one, where they lead, and when the table stays the same. */
#include "mesh_build.h"
#include "conf_texts.h"
#include "mt_dns.h"

#include <stdio.h>

#define NODE(dns)                                                                                  \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p, device: net_null0, addresses: [203.0.113.1/24]}]\n"                   \
	"  dns: " dns "\n---\n"
#define ENTRY(name, hosts, more)                                                                   \
	ISTIO("ServiceEntry", name)                                                                \
	"  hosts: " hosts "\n" more "  ports: [{number: 80, name: tcp}]\n"                         \
	"  resolution: STATIC\n  endpoints: [{address: 198.51.100.1}]\n"

/* "name address address" of all names in order; "-": there is no table. */
static const char *names(const struct mt_snapshot *s, char text[1024])
{
	struct mt_dns_name_info info;
	uint32_t idx = 0;
	size_t len = 0;

	if (!s->dns)
		return strcpy(text, "-");
	text[0] = '\0';
	while (mt_dns_table_next(s->dns, &idx, &info)) {
		char a[MT_ADDR_STRLEN];

		len += (size_t)snprintf(text + len, 1024 - len, "%s", info.host);
		for (uint32_t i = 0; i < info.n_addrs; i++)
			len += (size_t)snprintf(
				text + len, 1024 - len, " %s", mt_addr_str(&info.addrs[i], a));
		len += (size_t)snprintf(text + len, 1024 - len, ";");
	}
	return text;
}

/* All names of a top-level domain are no author's. */
static void top_level(void)
{
	static const struct {
		const char *dns, *host;
		bool warned;
	} rows[] = {{"{}", "'*.com'", true}, {"{zones: [mesh]}", "'*.com'", true},
		{"{zones: [mesh, com]}", "'*.com'", false}, {"{zones: [COM]}", "'*.com'", false},
		{"{zones: [com.x]}", "'*.com'", true}, {"{}", "'*.x.com'", false}};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		char text[1024];
		struct built b;
		uint32_t n = 0;

		snprintf(text, sizeof(text), NODE("%s") ENTRY("a", "[%s]", ""), rows[i].dns,
			rows[i].host);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL(b.s);
		for (uint32_t k = 0; k < b.diags.n; k++)
			n += strstr(b.diags.items[k].message,
				     "for all names of the top-level domain \"com\"") != NULL;
		CU_ASSERT_EQUAL(n, rows[i].warned);
		unbuild(&b);
	}
}

static void who_has_a_name(void)
{
	static const struct {
		const char *text, *want;
	} rows[] = {
		{ENTRY("a", "[a.x]", "  addresses: [192.0.2.1]\n"), "-"},
		{NODE("{}") ENTRY("a", "[a.x]", "  addresses: [192.0.2.1]\n"), "a.x 192.0.2.1;"},
		{NODE("{}") ENTRY("a", "[a.x, B.x]", "  addresses: [192.0.2.1, \"2001:db8::1\"]\n"),
			"a.x 192.0.2.1 2001:db8::1;b.x 192.0.2.1 2001:db8::1;"},
		{NODE("{}") ENTRY("a", "[a.x]", "") ENTRY("b", "[\"*.b.x\"]", ""),
			"a.x 240.240.0.1;*.b.x 240.240.0.2;"},
		{NODE("{}") ISTIO("ServiceEntry", "a") "  hosts: [a.x]\n  addresses: [192.0.2.1]\n"
						       "  ports: [{number: 80, name: tcp}]\n"
						       "  resolution: NONE\n",
			""},
		{NODE("{}") ISTIO("ServiceEntry", "a") "  hosts: [a.x]\n  addresses: [192.0.2.1]\n"
						       "  ports: [{number: 53, name: udp}]\n"
						       "  resolution: STATIC\n",
			""},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);
		char text[1024];

		if (!b.s)
			show_diags(&b);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_STRING_EQUAL(names(b.s, text), rows[i].want);
		unbuild(&b);
	}
}

/* A host that DNS cannot name is served all the same. */
static void unnameable(void)
{
#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.x"
	struct built b =
		build_text(NULL, NODE("{}") ENTRY("a", "[" LONG "]", "  addresses: [192.0.2.1]\n"));
	char text[1024];

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_STRING_EQUAL(names(b.s, text), "");
	CU_ASSERT_EQUAL(b.s->n_listeners, 1);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 13, "is not a DNS name"));
	unbuild(&b);
}

static const char *answer(const struct mt_snapshot *s, const char *name)
{
	static char text[64];
	const struct mt_dns_ask ask = {.datagram = true, .recursion = true};
	uint64_t counters[MT_DNS_N_OUTCOMES] = {0};
	uint8_t q[300] = {0, 1, 1, 0, 0, 1}, out[MT_DNS_UDP_MAX];
	uint32_t len = 12, n = 0;

	while (*name) {
		size_t label = strcspn(name, ".");

		q[len] = (uint8_t)label;
		memcpy(q + len + 1, name, label);
		len += (uint32_t)label + 1;
		name += label + (name[label] == '.');
	}
	memcpy(q + len, "\0\0\1\0\1", 5);
	len += 5;
	if (mt_dns_respond(s->dns, &ask, q, len, out, sizeof(out), &n, counters) == MT_DNS_FORWARD)
		return "forward";
	snprintf(text, sizeof(text), "%u answers %u ttl %u", mt_dns_rcode(out), out[7],
		out[7] ? out[n - 7] : 0);
	return text;
}

/* What the Node says of names. */
static void rules(void)
{
#define MESH ENTRY("a", "[a.ns.svc.cluster.local]", "") ENTRY("b", "[db.example.com]", "")
	static const struct {
		const char *text, *name, *want;
	} rows[] = {
		{NODE("{}") MESH, "a.ns.svc", "0 answers 1 ttl 30"},
		{NODE("{}") MESH, "a", "forward"},
		{NODE("{}") MESH, "no.ns.svc.cluster.local", "3 answers 0 ttl 0"},
		{NODE("{}") MESH, "db.example.com.default.svc.cluster.local", "0 answers 2 ttl 30"},
		{NODE("{ttl: 5s, zones: [], search: []}") MESH, "db.example.com",
			"0 answers 1 ttl 5"},
		{NODE("{zones: [], search: []}") MESH, "no.ns.svc.cluster.local", "forward"},
		{NODE("{zones: [], search: []}") MESH, "db.example.com.cluster.local", "forward"},
		{NODE("{zones: [example.com], search: [corp]}") MESH, "x.example.com",
			"3 answers 0 ttl 0"},
		{NODE("{search: [corp]}") MESH, "db.example.com.corp", "0 answers 2 ttl 30"},
		{NODE("{domain: mesh.local}") MESH, "a.ns.svc", "forward"},
		{NODE("{domain: mesh.local}") MESH, "x.svc.mesh.local", "3 answers 0 ttl 0"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_STRING_EQUAL(answer(b.s, rows[i].name), rows[i].want);
		unbuild(&b);
	}
}

static void refused(void)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{NODE("{listen: \"0.0.0.0:53\"}"), "spec.dns.listen: answers must come from"},
		{NODE("{listen: \"[::]:53\"}"), "spec.dns.listen: answers must come from"},
		{NODE("{addresses: [240.240.0.53, 240.240.0.53]}"),
			"spec.dns.addresses[1]: 240.240.0.53 is written twice"},
		{NODE("{addresses: [224.0.0.1]}"),
			"spec.dns.addresses[0]: 224.0.0.1 is a multicast address"},
		{NODE("{addresses: [192.0.2.1], upstream: [192.0.2.1]}"),
			"spec.dns.upstream[0]: 192.0.2.1 is this node"},
		{NODE("{upstream: [192.0.2.1, 203.0.113.1]}"),
			"spec.dns.upstream[1]: 203.0.113.1 is this node"},
		{NODE("{upstream: [\"127.0.0.1:15053\"]}"),
			"spec.dns.upstream[0]: 127.0.0.1:15053 is this node"},
		{NODE("{upstream: [1.1.1.1, 1.1.1.2, 1.1.1.3, 1.1.1.4, 1.1.1.5, 1.1.1.6, 1.1.1.7, "
		      "1.1.1.8, 1.1.1.9]}"),
			"spec.dns.upstream: more than 8 servers"},
		{NODE("{allow: []}"), "spec.dns.allow: no client would be answered"},
		{NODE("{allow: [192.0.2.0/24, 192.0.2.0/33]}"),
			"spec.dns.allow[1]: \"192.0.2.0/33\" is not a network"},
		{NODE("{zones: [a..b]}"), "spec.dns.zones[0]: \"a..b\" is not a domain"},
		{NODE("{search: [\"*.b\"]}"), "spec.dns.search[0]: \"*.b\" is not a domain"},
		{NODE("{domain: \".\"}"), "spec.dns.domain: \".\" is not a domain"},
		{NODE("{domain: " LONG "}"), "is not a domain"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);

		CU_ASSERT_PTR_NULL(b.s);
		CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_ERROR, 6, rows[i].words));
		if (!has_diag(&b, MT_DIAG_ERROR, 6, rows[i].words))
			show_diags(&b);
		unbuild(&b);
	}
}

static void publish(struct mt_conf *conf, struct built *b)
{
	struct mt_err e;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b->s);
	CU_ASSERT_EQUAL(mt_conf_publish(conf, b->s, NOW, NULL, &e), 0);
	mt_diags_fini(&b->diags);
	mt_model_free(b->m);
}

/* A change that is not about names keeps the table; one that is makes another. */
static void shared(void)
{
	struct mt_conf *conf = new_conf();
	struct built a = build_text(conf, NODE("{}") ENTRY("a", "[a.x]", ""));
	struct built b = build_text(
			     conf, NODE("{}") ENTRY("a", "[a.x]", "  location: MESH_INTERNAL\n")),
		     c;
	const struct mt_dns_table *t = a.s->dns;

	publish(conf, &a);
	mt_conf_discard(conf, b.s, NOW);
	b.s = NULL;
	mt_diags_fini(&b.diags);
	mt_model_free(b.m);
	b = build_text(conf, NODE("{}") ENTRY("a", "[a.x]", "  location: MESH_INTERNAL\n"));
	CU_ASSERT_PTR_EQUAL(b.s->dns, t);
	publish(conf, &b);
	mt_conf_reap(conf, NOW);
	c = build_text(conf, NODE("{}") ENTRY("a", "[a.x, b.x]", ""));
	CU_ASSERT_PTR_NOT_EQUAL(c.s->dns, t);
	publish(conf, &c);
	mt_conf_destroy(conf);
}

/* Bytes of one address and port to clusters with one endpoint each. */
static void mesh_bytes(
	struct mt_model *m, const char *a, uint16_t port, const char *c1, const char *c2)
{
	char name[64];
	struct mt_res_chain *c;

	snprintf(name, sizeof(name), "%s_%u", a, port);
	c = mesh_chain(m, mesh_listener(m, name, a, port));
	mesh_dest(m, &c->dests, &c->n_dests, c1, 1);
	if (c2)
		mesh_dest(m, &c->dests, &c->n_dests, c2, 1);
}

/* A chain for this server name, and one for another (NULL: for everybody else). */
static void mesh_tls(struct mt_model *m, const char *a, const char **name, const char *c1,
	const char **other, const char *c2)
{
	struct mt_res_listener *l = mesh_listener(m, a, a, 1);
	struct mt_res_chain *c = mesh_chain(m, l);

	mesh_dest(m, &c->dests, &c->n_dests, c1, 1);
	c->match.server_names = name;
	c->match.n_server_names = 1;
	c = mesh_chain(m, l);
	mesh_dest(m, &c->dests, &c->n_dests, c2, 1);
	c->match.server_names = other;
	c->match.n_server_names = other != NULL;
}

/* What discovery services say: an address is a host's when all that is served there leads to it. */
static void mesh_names(void)
{
	static const char *sni[] = {"1.x"}, *sni2[] = {"2.x"};
	static const char *const clusters[] = {"outbound|1||a.x", "outbound|2||a.x",
		"outbound|1||b.x", "outbound|1|v2|b.x", "other", "inbound|1||",
		"outbound|1||no_label."};
	static const char node[] = NODE("{}") ENTRY("d", "[d.x]", "  addresses: [192.0.2.9]\n");
	static const char want[] = "d.x 192.0.2.9;a.x 240.240.0.1 240.240.0.9;"
				   "b.x 240.240.0.10 240.240.0.7 2001:db8::4;";
	struct built b = {.conf = new_conf(), .m = mt_model_new()};
	struct mt_res_routes *r;
	char text[1024];

	mt_diags_init(&b.diags);
	mt_source_text(b.m, &b.diags, "t", node, strlen(node));
	for (size_t i = 0; i < MT_ARRAY_LEN(clusters); i++) {
		struct mt_res_endpoints *e = mesh_endpoints(b.m, clusters[i]);

		mesh_cluster(b.m, clusters[i]);
		mesh_endpoint(b.m, e, "198.51.100.1", 1, MT_RES_HEALTHY);
	}
	mesh_bytes(b.m, "240.240.0.1", 1, "outbound|1||a.x", NULL);
	mesh_bytes(b.m, "240.240.0.1", 2, "outbound|2||a.x", NULL);
	mesh_bytes(b.m, "240.240.0.2", 1, "outbound|1||a.x", "outbound|1||b.x");
	mesh_bytes(b.m, "240.240.0.3", 1, "outbound|1||a.x", NULL);
	mesh_bytes(b.m, "240.240.0.3", 2, "outbound|1||b.x", NULL);
	mesh_bytes(b.m, "2001:db8::4", 1, "outbound|1||b.x", "outbound|1|v2|b.x");
	mesh_bytes(b.m, "240.240.0.5", 1, "other", NULL);
	mesh_bytes(b.m, "240.240.0.6", 1, "inbound|1||", NULL);
	mesh_bytes(b.m, "0.0.0.0", 9, "outbound|1||a.x", NULL);
	mesh_tls(b.m, "240.240.0.8", sni, "outbound|1||a.x", sni2, "outbound|1||b.x");
	mesh_tls(b.m, "240.240.0.9", sni, "outbound|1||a.x", sni2, "outbound|2||a.x");
	mesh_tls(b.m, "240.240.0.10", sni, "outbound|1||a.x", NULL, "outbound|1||b.x");
	mesh_proxy(b.m, mesh_listener(b.m, "240.240.0.7_1", "240.240.0.7", 1), "dubbo", "r");
	r = mesh_routes(b.m, "r");
	mesh_rule(b.m, &r->list, "all", "outbound|1||b.x");
	b.s = b.diags.errors ? NULL : mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	if (!b.s)
		show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_STRING_EQUAL(names(b.s, text), want);
	if (strcmp(text, want) != 0)
		printf("\n%s\n", text);
	unbuild(&b);
}

/* "name origin addresses" with a "!" where another origin says something else. */
static const char *told(const struct mt_snapshot *s, char text[1024])
{
	static const char *const origins[] = {"documents", "table", "listeners"};
	struct mt_dns_name_info info;
	uint32_t idx = 0;
	size_t len = 0;

	text[0] = '\0';
	while (mt_dns_table_next(s->dns, &idx, &info)) {
		char a[MT_ADDR_STRLEN];

		len += (size_t)snprintf(
			text + len, 1024 - len, "%s %s", info.host, origins[info.origin]);
		for (uint32_t i = 0; i < info.n_addrs; i++)
			len += (size_t)snprintf(
				text + len, 1024 - len, " %s", mt_addr_str(&info.addrs[i], a));
		len += (size_t)snprintf(text + len, 1024 - len, "%s;", info.differs ? " !" : "");
	}
	return text;
}

/* Documents before a control plane's table, and that before what listeners lead to; addresses are never mixed. */
static void who_is_believed(void)
{
	static const char node[] =
		NODE("{}") ENTRY("d", "[d.x, same.x]", "  addresses: [192.0.2.9]\n");
	static const char want[] = "d.x documents 192.0.2.9 !;same.x documents 192.0.2.9;"
				   "t.x table 240.240.0.1 2001:db8::1;m.x table 240.240.0.2 !;"
				   "*.w.x table 240.240.0.4;l.x listeners 240.240.0.5;";
	struct built b = {.conf = new_conf(), .m = mt_model_new()};
	char text[1024];

	mt_diags_init(&b.diags);
	mt_source_text(b.m, &b.diags, "t", node, strlen(node));
	mesh_name(b.m, "d.x", "192.0.2.9", "240.240.0.9");
	mesh_name(b.m, "same.x", "192.0.2.9", NULL);
	mesh_name(b.m, "t.x", "240.240.0.1", "2001:db8::1");
	mesh_name(b.m, "m.x", "240.240.0.2", NULL);
	mesh_name(b.m, "*.w.x", "240.240.0.4", NULL);
	mesh_cluster(b.m, "outbound|1||m.x");
	mesh_cluster(b.m, "outbound|1||l.x");
	mesh_endpoint(
		b.m, mesh_endpoints(b.m, "outbound|1||m.x"), "198.51.100.1", 1, MT_RES_HEALTHY);
	mesh_endpoint(
		b.m, mesh_endpoints(b.m, "outbound|1||l.x"), "198.51.100.1", 1, MT_RES_HEALTHY);
	mesh_bytes(b.m, "240.240.0.3", 1, "outbound|1||m.x", NULL);
	mesh_bytes(b.m, "240.240.0.5", 1, "outbound|1||l.x", NULL);
	b.s = b.diags.errors ? NULL : mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	if (!b.s)
		show_diags(&b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_STRING_EQUAL(told(b.s, text), want);
	if (strcmp(text, want) != 0)
		printf("\n%s\n", text);
	CU_ASSERT_STRING_EQUAL(answer(b.s, "d.x"), "0 answers 1 ttl 30");
	unbuild(&b);
}

const struct mt_test dns_tests[] = {{"who_is_believed", who_is_believed},
	{"mesh_names", mesh_names}, {"who_has_a_name", who_has_a_name}, {"top_level", top_level},
	{"unnameable", unnameable}, {"rules", rules}, {"dns_refused", refused},
	{"dns_shared", shared}, {0}};
