/* SPDX-License-Identifier: Apache-2.0 */
/* Ports of workloads: which addresses live there, whom policies know them by, and what is told of the others. */
#include "conf_test.h"

#include "../tls/pki.h"
#include "mt_authz.h"

#include <stdio.h>
#include <string.h>

#define PORTS(side)                                                                                \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n  ports:\n"            \
	"  - {name: out, device: net_null0, addresses: [198.51.100.1/24]}\n"                       \
	"  - {name: vms, device: net_null1, addresses: [192.0.2.1/24, '2001:db8::1/64']" side      \
	"}\n"                                                                                      \
	"---\n"
#define NODE PORTS(", side: workloads")
/* Networks within each other, and the same one. */
#define NETS(out, vms)                                                                             \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n  ports:\n"            \
	"  - {name: out, device: net_null0, addresses: [" out "]}\n"                               \
	"  - {name: vms, device: net_null1, addresses: [" vms "], side: workloads}\n---\n"
#define ENTRY(name, ns, spec)                                                                      \
	"---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {name: " name     \
	", namespace: " ns "}\nspec: {" spec "}\n"
#define SERVICE                                                                                    \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: a, namespace: x}\nspec:\n  hosts: [a.test]\n"                            \
	"  addresses: [203.0.113.9]\n  location: MESH_INTERNAL\n  resolution: STATIC\n"            \
	"  ports: [{number: 80, name: tcp-metaprotocol-dubbo}]\n"                                  \
	"  endpoints: [{address: 192.0.2.7}, {address: 198.51.100.7}]\n"
#define STRICT                                                                                     \
	"---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"                        \
	"metadata: {name: p, namespace: x}\nspec: {mtls: {mode: STRICT}}\n"

/* "192.0.2.5 1 cluster.local/ns/x/sa/y; 192.0.2.6 1 -", by address. */
static const char *bound_of(const struct mt_snapshot *s, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < s->n_bound; i++) {
		const struct mt_bound *b = &s->bound[i];
		char addr[MT_ADDR_STRLEN];

		len += (size_t)snprintf(buf + len, size - len, "%s%s %u %s%s", i ? "; " : "",
			mt_addr_str(&b->addr, addr), b->port, b->principal ? b->principal : "-",
			b->has_mac ? " mac" : "");
		CU_ASSERT_EQUAL(b->why == NULL, b->principal != NULL);
	}
	return buf;
}

static const struct {
	const char *text, *bound;
	enum mt_diag_severity severity;
	const char *told; /* NULL: nothing */
} rows[] = {
	{PORTS("") ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y"), "", 0, NULL},
	{NODE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y"),
		"192.0.2.5 1 cluster.local/ns/x/sa/y", 0, NULL},
	{NODE ENTRY("w", "x", "address: '2001:db8::5', serviceAccount: y"),
		"2001:db8::5 1 cluster.local/ns/x/sa/y", 0, NULL},
	{NODE, "", MT_DIAG_WARNING, "port vms accepts no packets"},
	/* Of another network. */
	{NODE ENTRY("w", "x", "address: 198.51.100.5, serviceAccount: y"), "", MT_DIAG_WARNING,
		"port vms accepts no packets"},
	{NODE ENTRY("w", "x", "address: 10.0.0.5, serviceAccount: y"), "", MT_DIAG_WARNING,
		"port vms accepts no packets"},
	{NETS("192.0.0.1/16", "192.0.2.1/24")
			ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y"),
		"192.0.2.5 1 cluster.local/ns/x/sa/y", 0, NULL},
	{NETS("192.0.2.1/24", "192.0.0.1/16")
			ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y"),
		"", MT_DIAG_WARNING, "port vms accepts no packets"},
	{NETS("192.0.2.1/24", "192.0.2.2/24")
			ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y"),
		"", MT_DIAG_WARNING, "in a network that several ports have"},
	/* Instances live there, too. */
	{NODE SERVICE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y"),
		"192.0.2.5 1 cluster.local/ns/x/sa/y; 192.0.2.7 1 -", 0, NULL},
	/* Who has no name. */
	{NODE ENTRY("w", "x", "address: 192.0.2.5"), "192.0.2.5 1 -", MT_DIAG_WARNING,
		"it has no serviceAccount"},
	{NODE ENTRY("w", "x",
		 "address: 192.0.2.5, serviceAccount: 'spiffe://cluster.local/ns/z/sa/y'"),
		"192.0.2.5 1 -", MT_DIAG_WARNING, "is not one of its namespace"},
	{NODE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: 'spiffe://other/ns/x/sa/y'"),
		"192.0.2.5 1 -", MT_DIAG_WARNING, "is not one of its namespace"},
	{NODE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: 'y/../sa/z'"), "192.0.2.5 1 -",
		MT_DIAG_WARNING, "is not one of its namespace"},
	{NODE ENTRY("w", "x",
		 "address: 192.0.2.5, serviceAccount: 'spiffe://cluster.local/ns/x/sa/y'"),
		"192.0.2.5 1 cluster.local/ns/x/sa/y", 0, NULL},
	/* Two owners of one namespace; two that say the same; a third. */
	{NODE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y")
			ENTRY("v", "x", "address: 192.0.2.5, serviceAccount: z"),
		"192.0.2.5 1 -", MT_DIAG_WARNING, "WorkloadEntry x/w has its address, too"},
	{NODE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y")
			ENTRY("v", "x", "address: 192.0.2.5, serviceAccount: z"),
		"192.0.2.5 1 -", MT_DIAG_WARNING, "WorkloadEntry x/v has its address, too"},
	/* Who gives no principal takes none from another namespace. */
	{NODE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y")
			ENTRY("v", "z", "address: 192.0.2.5"),
		"192.0.2.5 1 cluster.local/ns/x/sa/y", 0, NULL},
	{NODE ENTRY("v", "z", "address: 192.0.2.5") ENTRY("u", "z", "address: 192.0.2.5")
			ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y"),
		"192.0.2.5 1 cluster.local/ns/x/sa/y", 0, NULL},
	/* Where nobody is named, two may have one address. */
	{PORTS("") ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y")
			ENTRY("v", "z", "address: 192.0.2.5, serviceAccount: y"),
		"", 0, NULL},
	{NODE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y")
			ENTRY("v", "x", "address: 192.0.2.5"),
		"192.0.2.5 1 -", MT_DIAG_WARNING, "WorkloadEntry x/w has its address, too"},
	{NODE ENTRY("v", "x", "address: 192.0.2.5")
			ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y"),
		"192.0.2.5 1 -", MT_DIAG_WARNING, "WorkloadEntry x/v has its address, too"},
	{NODE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y")
			ENTRY("v", "x", "address: 192.0.2.5, serviceAccount: y"),
		"192.0.2.5 1 cluster.local/ns/x/sa/y", 0, NULL},
	{NODE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y")
			ENTRY("v", "x", "address: 192.0.2.5, serviceAccount: z")
				ENTRY("u", "x", "address: 192.0.2.5, serviceAccount: y"),
		"192.0.2.5 1 -", MT_DIAG_WARNING, "has its address, too"},
	/* Of two namespaces neither, whatever its age and services. */
	{NODE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y")
			ENTRY("v", "z", "address: 192.0.2.5, serviceAccount: y"),
		"192.0.2.5 1 -", MT_DIAG_DISPUTED,
		"gives 192.0.2.5 no principal, because of WorkloadEntry x/w at t:10, of another "
		"namespace: neither precedes the other (remove one of the two entries)"},
	{NODE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y")
			ENTRY("v", "z", "address: 192.0.2.5, serviceAccount: y"),
		"192.0.2.5 1 -", MT_DIAG_DISPUTED,
		"because of WorkloadEntry z/v at t:15, of another namespace: neither"},
	{NODE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y")
			ENTRY("u", "x", "address: 192.0.2.5, serviceAccount: y")
				ENTRY("v", "z", "address: 192.0.2.5, serviceAccount: y"),
		"192.0.2.5 1 -", MT_DIAG_DISPUTED, "because of WorkloadEntry x/w at t:10, of"},
	{PORTS(", side: workloads, workloads: [{address: 192.0.2.5}]")
			ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y")
				ENTRY("v", "z", "address: 192.0.2.5, serviceAccount: y"),
		"192.0.2.5 1 -", MT_DIAG_DISPUTED,
		"no principal, because of WorkloadEntry x/w at t:10, of another namespace"},
	{NODE ENTRY("v", "z", "address: 192.0.2.7, serviceAccount: y")
			ENTRY("w", "x", "address: 192.0.2.7, serviceAccount: y") SERVICE,
		"192.0.2.7 1 -", MT_DIAG_DISPUTED,
		"WorkloadEntry x/w at t:15, of another namespace: neither precedes the other"},
	{NODE ENTRY("v", "z", "address: 192.0.2.7, serviceAccount: y") SERVICE,
		"192.0.2.7 1 cluster.local/ns/z/sa/y", 0, NULL},
	/* Who is listed, and nobody else. */
	{PORTS(", side: workloads, workloads: [{address: 192.0.2.5}, {address: 192.0.2.6, mac: "
	       "'52:54:00:12:34:56'}]") ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y")
			ENTRY("v", "x", "address: 192.0.2.8, serviceAccount: y"),
		"192.0.2.5 1 cluster.local/ns/x/sa/y; 192.0.2.6 1 - mac", 0, NULL},
	{PORTS(", side: workloads, workloads: [{address: 192.0.2.5}]") SERVICE, "192.0.2.5 1 -",
		MT_DIAG_WARNING, "are not listed there"},
	{PORTS(", side: workloads, workloads: []")
			ENTRY("v", "x", "address: 192.0.2.8, serviceAccount: y"),
		"", MT_DIAG_WARNING, "port vms accepts no packets"},
};

static bool has_words(const struct built *b, enum mt_diag_severity severity, const char *words)
{
	char text[1024];

	for (uint32_t i = 0; i < b->diags.n; i++) {
		mt_diag_format(&b->diags.items[i], text, sizeof(text));
		if (b->diags.items[i].severity == severity && strstr(text, words))
			return true;
	}
	return false;
}

static void who_lives_there(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct built b = build_text(NULL, rows[i].text);
		char is[512];
		bool good;

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		good = strcmp(bound_of(b.s, is, sizeof(is)), rows[i].bound) == 0;
		good &= rows[i].told ? has_words(&b, rows[i].severity, rows[i].told)
				     : !has_words(&b, MT_DIAG_WARNING, "by no principal") &&
					       !has_words(&b, MT_DIAG_WARNING, "may enter");
		CU_ASSERT_TRUE(good);
		if (!good) {
			fprintf(stderr, "row %zu: \"%s\"\n", i, is);
			show_diags(&b);
		}
		unbuild(&b);
	}
}

static const struct {
	const char *text, *words;
} refused[] = {
	{PORTS(", side: guests"), "is not known here"},
	{PORTS(", workloads: [{address: 192.0.2.5}]"), "ports of that side only"},
	{PORTS(", side: network, workloads: [{address: 192.0.2.5}]"), "ports of that side only"},
	{PORTS(", side: workloads, workloads: [{address: vm1}]"), "is not an address"},
	{PORTS(", side: workloads, workloads: [{mac: '52:54:00:12:34:56'}]"), "address"},
	{PORTS(", side: workloads, workloads: [{address: 192.0.2.5, mac: '52:54:00:12:34'}]"),
		"is not the Ethernet address of a station"},
	{PORTS(", side: workloads, workloads: [{address: 192.0.2.5, mac: '53:54:00:12:34:56'}]"),
		"is not the Ethernet address of a station"},
	{PORTS(", side: workloads, workloads: [{address: 192.0.2.5, mac: '52:54:00:12:34:5g'}]"),
		"is not the Ethernet address of a station"},
	{PORTS(", side: workloads, workloads: [{address: 192.0.2.5, mac: '00:00:00:00:00:00'}]"),
		"is not the Ethernet address of a station"},
	{PORTS(", side: workloads, workloads: [{address: 192.0.2.1}]"), "the node's own address"},
	{PORTS(", side: workloads, workloads: [{address: 10.0.0.1}]"), "in no network of the port"},
	{PORTS(", side: workloads, workloads: [{address: 198.51.100.5}]"),
		"in no network of the port"},
	{PORTS(", side: workloads, workloads: [{address: 192.0.2.5}, {address: 192.0.2.5}]"),
		"is written twice"},
};

static void what_is_refused(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(refused); i++) {
		struct built b = build_text(NULL, refused[i].text);
		bool good = !b.s && has_words(&b, MT_DIAG_ERROR, refused[i].words);

		CU_ASSERT_TRUE(good);
		if (!good) {
			fprintf(stderr, "row %zu\n", i);
			show_diags(&b);
		}
		unbuild(&b);
	}
}

#define HOLDER NODE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y")
#define OTHERS ENTRY("v", "z", "address: 192.0.2.5, serviceAccount: y")

/* Publishes the text. */
static struct mt_conf *conf_after(const char *text)
{
	struct mt_conf *c = new_conf();
	struct built b = build_text(c, text);
	struct mt_err e;

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &e), 0);
	mt_model_free(b.m);
	mt_diags_fini(&b.diags);
	return c;
}

/* Compiles the text after `before`, NULL: after nothing. */
static void bound_after(const char *before, const char *text, const char *want, const char *words)
{
	struct built b = build_text(before ? conf_after(before) : NULL, text);
	char is[512];

	CU_ASSERT_EQUAL(b.diags.errors, 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_STRING_EQUAL(bound_of(b.s, is, sizeof(is)), want);
	CU_ASSERT_TRUE(has_words(&b, MT_DIAG_DISPUTED, words));
	unbuild(&b);
}

/*
 * A document of another namespace that looks older takes no principal from an entry that gives one,
 * also not by a service with the endpoint.
 */
static void holders_keep_their_names(void)
{
	static const char is[] = "192.0.2.5 1 cluster.local/ns/x/sa/y";
	static const char both[] =
		NODE OTHERS ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y");

	bound_after(
		HOLDER, both, is, "because of WorkloadEntry x/w at t:15, which is served there");
	bound_after(HOLDER, NODE OTHERS ENTRY("u", "x", "address: 192.0.2.5, serviceAccount: y"),
		is, "WorkloadEntry x/u at t:15, in a namespace that is served there");
	bound_after(NODE ENTRY("w", "y", "address: 192.0.2.7, serviceAccount: y"),
		NODE ENTRY("v", "x", "address: 192.0.2.7, serviceAccount: y")
			ENTRY("w", "y", "address: 192.0.2.7, serviceAccount: y") SERVICE,
		"192.0.2.7 1 cluster.local/ns/y/sa/y",
		"WorkloadEntry y/w at t:15, which is served there");
	/* Without a holder neither has it, also in the next configuration, until one is gone. */
	bound_after(NULL, both, "192.0.2.5 1 -", "WorkloadEntry z/v at t:10, of another namespace");
	bound_after(both, HOLDER OTHERS, "192.0.2.5 1 -", "neither precedes the other");
	bound_after(NODE OTHERS, both, "192.0.2.5 1 cluster.local/ns/z/sa/y",
		"WorkloadEntry z/v at t:10, which is served there");
}

/* In a daemon that has started with the first one's Node. */
static void bound_behind(const struct built *first, const char *text, const char *want)
{
	struct mt_conf *c = new_conf();
	struct built b;
	char is[512];

	mt_conf_set_ports(c, first->m->node);
	b = build_text(c, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_STRING_EQUAL(bound_of(b.s, is, sizeof(is)), want);
	unbuild(&b);
}

/* The daemon has the ports that it has; who lives there is as the document says now. */
static void ports_are_those_of_the_start(void)
{
	static const char turned[] =
		"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n  ports:\n"
		"  - {name: out, device: net_null0, addresses: [198.51.100.1/24], side: "
		"workloads}\n"
		"  - {name: vms, device: net_null1, addresses: [10.0.0.1/8], side: workloads, "
		"workloads: [{address: 10.0.0.2}]}\n"
		"---\n" ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y")
			ENTRY("v", "x", "address: 198.51.100.5, serviceAccount: y");
	struct built first = build_text(NULL, NODE);

	bound_behind(&first, turned, "10.0.0.2 1 -");
	/* It has left the document: who lived there still does, until the next start. */
	bound_behind(&first, PORTS("") ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y"),
		"192.0.2.5 1 cluster.local/ns/x/sa/y");
	unbuild(&first);
}

/* What a publish says of them. */
static void changes_are_told(void)
{
	static const char *const texts[] = {NODE,
		NODE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: y"),
		NODE ENTRY("w", "x", "address: 192.0.2.5, serviceAccount: z")
			ENTRY("v", "x", "address: 192.0.2.4, serviceAccount: y"),
		NODE ENTRY("v", "x", "address: 192.0.2.4, serviceAccount: y")};
	static const char *const told[] = {"no change", "1 workload added",
		"1 workload added, 1 workload changed", "1 workload removed"};
	struct mt_conf *c = new_conf();

	for (size_t i = 0; i < MT_ARRAY_LEN(texts); i++) {
		struct mt_conf_change change;
		struct mt_err e;
		char is[256];
		struct built b = build_text(c, texts[i]);

		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, &change, &e), 0);
		CU_ASSERT_STRING_EQUAL(mt_conf_change_str(&change, is, sizeof(is)), told[i]);
		mt_model_free(b.m);
		mt_diags_fini(&b.diags);
	}
	mt_conf_destroy(c);
}

/* How the first instance is guarded, whether that is told as closed, and whether clear text has a chain. */
static void strict_is(struct mt_credential *identity, const char *text, const char *want)
{
	static const struct mt_filter_chain_facts plain = {.tls = false};
	struct mt_conf *c = new_conf();
	const struct mt_filter_chain *chain;
	const struct mt_cluster *cl;
	const struct mt_authz *a;
	struct built b;
	char is[128];

	mt_conf_set_identity(c, identity);
	b = build_text(c, text);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	cl = cluster(b.s, "outbound|80||a.test");
	a = cl->guards ? cl->guards[0] : NULL;
	chain = mt_filter_chain_choose(listener(b.s, "203.0.113.9", 80), &plain);
	snprintf(is, sizeof(is), "%s%s%s",
		cl->closed_by ? "closed"
		: !a	      ? "open"
			      : "judged",
		has_words(&b, MT_DIAG_CLOSED, "no certificate of a caller") ? ", told" : "",
		chain && !chain->refuse ? ", clear text" : "");
	CU_ASSERT_STRING_EQUAL(is, want);
	unbuild(&b);
}

/* Such a port satisfies what asks for mutual TLS: nothing is closed for want of an identity, and clear text has a chain. */
static void strict_is_for_workloads(void)
{
	strict_is(NULL, PORTS("") SERVICE STRICT, "closed, told, clear text");
	strict_is(NULL, NODE SERVICE STRICT, "judged, clear text");
	strict_is(pki()->alice, PORTS("") SERVICE STRICT, "judged");
	strict_is(pki()->alice, NODE SERVICE STRICT, "judged, clear text");
}

const struct mt_test bound_tests[] = {{"who lives there", who_lives_there},
	{"what is refused", what_is_refused},
	{"holders keep their names", holders_keep_their_names},
	{"ports are those of the start", ports_are_those_of_the_start},
	{"changes are told", changes_are_told},
	{"strict is for workloads", strict_is_for_workloads}, {NULL, NULL}};
