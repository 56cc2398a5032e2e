/* SPDX-License-Identifier: Apache-2.0 */
/* A host that objects of several namespaces have: which one it leads to. */
#include "conf_test.h"

#include "mt_dns.h"

#include <stdio.h>

#define ENTRY(name, ns, annotations, spec)                                                         \
	"---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"                            \
	"metadata: {name: " name ", namespace: " ns ", annotations: {" annotations "}}\n"          \
	"spec: {resolution: STATIC, ports: [{number: 80, name: tcp-metaprotocol-dubbo}], " spec    \
	"}\n"
#define AT(hosts, address, endpoint)                                                               \
	"hosts: [" hosts "], addresses: [" address "], endpoints: [{address: " endpoint "}]"
/* The victim, and its document with another label or name. */
#define VICTIM_OF(hosts) ENTRY("a", "v", "", AT(hosts, "192.0.2.1", "198.51.100.1"))
#define VICTIM		 VICTIM_OF("a.v")
#define EDITED		 ENTRY("a", "v", "x: y", AT("a.v", "192.0.2.1", "198.51.100.1"))
#define RENAMED		 ENTRY("b", "v", "", AT("a.v", "192.0.2.1", "198.51.100.1"))
/* Another author's document. */
#define OTHER_OF(hosts) ENTRY("z", "m", "", AT(hosts, "192.0.2.9", "198.51.100.9"))
#define OTHER		OTHER_OF("a.v")
#define PRIVATE(name, ns, n)                                                                       \
	ENTRY(name, ns, "", AT("a.v", "192.0.2." n, "198.51.100." n) ", exportTo: ['.']")
/* A third namespace. */
#define THIRD_OF(hosts) ENTRY("w", "w", "", AT(hosts, "192.0.2.5", "198.51.100.5"))
#define THIRD		THIRD_OF("x.w")
#define LONG		"a.v.svc.cluster.local"
/* Each document has 5 lines. */
#define LINE_OF(nth) (5u * (nth))

#define IN_FORCE     ", which is served there"
#define IN_NAMESPACE ", in a namespace that is served there"

/* The object at `line` does not get the host. `now` NULL: nothing is in force. */
static const struct {
	const char *now, *text, *host, *address;
	uint32_t line;
	enum mt_diag_severity severity;
	const char *words;
} rows[] = {
	/* An object keeps its host, also with another version or name, from one that looks older. */
	{VICTIM, OTHER VICTIM, "a.v", "192.0.2.1", LINE_OF(1), MT_DIAG_SHADOWED,
		"\"a.v\" is that of ServiceEntry v/a" IN_FORCE},
	{VICTIM, OTHER EDITED, "a.v", "192.0.2.1", LINE_OF(1), MT_DIAG_SHADOWED, IN_FORCE},
	{VICTIM, OTHER RENAMED, "a.v", "192.0.2.1", LINE_OF(1), MT_DIAG_SHADOWED,
		"that of ServiceEntry v/b" IN_NAMESPACE},
	/* So does it from a further host of another one, which has its others. */
	{VICTIM, OTHER_OF("own.m, a.v") VICTIM, "a.v", "192.0.2.1", LINE_OF(1), MT_DIAG_DISPUTED,
		"spec.hosts[1]: \"a.v\" is that of ServiceEntry v/a" IN_FORCE},
	{VICTIM, OTHER_OF("own.m, a.v") VICTIM, "own.m", "192.0.2.9", LINE_OF(1), MT_DIAG_DISPUTED,
		"a.v"},
	/* And its further hosts, from a first one as well. */
	{VICTIM_OF("b.v, a.v"), OTHER VICTIM_OF("b.v, a.v"), "a.v", "192.0.2.1", LINE_OF(1),
		MT_DIAG_SHADOWED, IN_FORCE},
	{VICTIM_OF("b.v, a.v"), OTHER_OF("own.m, a.v") VICTIM_OF("b.v, a.v"), "a.v", "192.0.2.1",
		LINE_OF(1), MT_DIAG_DISPUTED, IN_FORCE},
	/* Without a holder: the older one, but first hosts precede further ones. */
	{NULL, OTHER VICTIM, "a.v", "192.0.2.9", LINE_OF(2), MT_DIAG_SHADOWED,
		"\"a.v\" is that of ServiceEntry m/z"},
	{NULL, OTHER_OF("own.m, a.v") VICTIM, "a.v", "192.0.2.1", LINE_OF(1), MT_DIAG_DISPUTED,
		"is that of ServiceEntry v/a"},
	/* The namespace in the name, with its other hosts. */
	{NULL, OTHER_OF(LONG) VICTIM_OF(LONG), LONG, "192.0.2.1", LINE_OF(1), MT_DIAG_SHADOWED,
		", of the namespace in the name"},
	{NULL, OTHER_OF(LONG) VICTIM_OF("b.v, " LONG), LONG, "192.0.2.1", LINE_OF(1),
		MT_DIAG_SHADOWED, ", of the namespace in the name"},
	/* An object that the other namespace does not see does not displace its service. */
	{NULL, PRIVATE("z", "m", "9") VICTIM, "a.v", "192.0.2.1", LINE_OF(1), MT_DIAG_SHADOWED,
		", which is exported to all namespaces"},
	{VICTIM, PRIVATE("z", "m", "9") VICTIM, "a.v", "192.0.2.1", LINE_OF(1), MT_DIAG_SHADOWED,
		IN_FORCE},
	{PRIVATE("a", "v", "1"), OTHER PRIVATE("a", "v", "1"), "a.v", "192.0.2.1", LINE_OF(1),
		MT_DIAG_SHADOWED, IN_FORCE},
	/* One that does not have its first host claims no further ones. */
	{THIRD, OTHER_OF("x.w, a.v") THIRD VICTIM_OF("b.v, a.v"), "a.v", "192.0.2.1", LINE_OF(1),
		MT_DIAG_SHADOWED, "\"x.w\" is that of ServiceEntry w/w" IN_FORCE},
	/* Nor if it lost that to a further host of a third one. */
	{THIRD_OF("y.w, x.m"), OTHER_OF("x.m, a.v") THIRD_OF("y.w, x.m") VICTIM_OF("b.v, a.v"),
		"a.v", "192.0.2.1", LINE_OF(1), MT_DIAG_SHADOWED,
		"\"x.m\" is that of ServiceEntry w/w" IN_FORCE},
	/* Who lost its first host to such a one has it. */
	{THIRD, OTHER_OF("x.w, a.v") THIRD VICTIM, "a.v", "192.0.2.1", LINE_OF(1), MT_DIAG_SHADOWED,
		"\"x.w\" is that of ServiceEntry w/w"},
	/* Two that have each other's first host as a further one. */
	{NULL, OTHER_OF("x.m, a.v") VICTIM_OF("a.v, x.m"), "a.v", "192.0.2.1", LINE_OF(1),
		MT_DIAG_DISPUTED, "\"a.v\" is that of ServiceEntry v/a"},
	{NULL, OTHER_OF("x.m, a.v") VICTIM_OF("a.v, x.m"), "x.m", "192.0.2.9", LINE_OF(2),
		MT_DIAG_DISPUTED, "\"x.m\" is that of ServiceEntry m/z"},
};

/* Publishes `now`, if it is not NULL, and compiles what follows it. */
static struct built build_after(const char *now, const char *text)
{
	struct mt_conf *c = new_conf();
	struct mt_err err;
	struct built b;

	if (now) {
		b = build_text(c, now);
		CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
		CU_ASSERT_EQUAL(mt_conf_publish(c, b.s, NOW, NULL, &err), 0);
		mt_diags_fini(&b.diags);
		mt_model_free(b.m);
	}
	return build_text(c, text);
}

#define NODE                                                                                       \
	"---\napiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n, namespace: n}\nspec:\n"   \
	"  ports: [{name: p0, device: net_null0, addresses: [203.0.113.1/24]}]\n"                  \
	"  dns: {}\n"

/* True if DNS answers the host with this address alone. */
static bool is_named(const struct mt_snapshot *s, const char *host, const char *address)
{
	struct mt_dns_name_info info;
	bool found = false, same = true;
	uint32_t at = 0;

	while (s->dns && mt_dns_table_next(s->dns, &at, &info)) {
		char text[MT_ADDR_STRLEN];

		if (strcmp(info.host, host) != 0)
			continue;
		found = true;
		for (uint32_t i = 0; i < info.n_addrs; i++)
			same &= strcmp(mt_addr_str(&info.addrs[i], text), address) == 0;
	}
	return found && same;
}

static void one_namespace_has_a_host(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		char text[4096];
		struct built b;
		bool good;

		snprintf(text, sizeof(text), "%s" NODE, rows[i].text);
		b = build_after(rows[i].now, text);
		good = b.s && is_named(b.s, rows[i].host, rows[i].address) &&
		       has_diag(&b, rows[i].severity, rows[i].line, rows[i].words);
		if (!good) {
			printf("\n  row %zu: ", i);
			show_diags(&b);
		}
		CU_ASSERT_TRUE(good);
		unbuild(&b);
	}
}

/* DNS answers a short name with the service that it means, whatever others have as a host. */
static void short_names_in_dns(void)
{
	struct built b = build_after(NULL, OTHER_OF("a.v, a.v.svc, own.m") VICTIM_OF(LONG) NODE);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT_FALSE(is_named(b.s, "a.v", "192.0.2.9"));
	CU_ASSERT_FALSE(is_named(b.s, "a.v.svc", "192.0.2.9"));
	CU_ASSERT_TRUE(is_named(b.s, "own.m", "192.0.2.9"));
	CU_ASSERT_TRUE(is_named(b.s, LONG, "192.0.2.1"));
	CU_ASSERT(has_diag(&b, MT_DIAG_WARNING, LINE_OF(1),
		"\"a.v\" is not resolved: it is the short name of ServiceEntry v/a"));
	unbuild(&b);
}

/* The host is free when its object is gone, and the next one holds it from then on. */
static void a_host_becomes_free(void)
{
	struct built b = build_after(VICTIM, OTHER NODE);

	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT(is_named(b.s, "a.v", "192.0.2.9"));
	CU_ASSERT_EQUAL(b.diags.warnings, 0);
	unbuild(&b);
	b = build_after(OTHER, VICTIM OTHER NODE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	CU_ASSERT(is_named(b.s, "a.v", "192.0.2.9"));
	unbuild(&b);
}

const struct mt_test host_claims_tests[] = {{"one_namespace_has_a_host", one_namespace_has_a_host},
	{"short_names_in_dns", short_names_in_dns}, {"a_host_becomes_free", a_host_becomes_free},
	{0}};
