/* SPDX-License-Identifier: Apache-2.0 */
/* Which instances a node calls first, and how much, by where both stand: as istiod has it for a proxy there. */
#include "conf_test.h"

#include <stdio.h>
#include <string.h>

#define NODE(labels, locality)                                                                     \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n, labels: " labels               \
	"}\nspec:\n  locality: " locality                                                          \
	"\n  ports: [{name: p0, device: d, addresses: [192.0.2.254/24]}]\n---\n"
#define MESH                                                                                       \
	"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: istio, namespace: istio-system}\n" \
	"data: {mesh: \"%s\"}\n"

/* Last bytes of addresses are their places in the order of the documents. */
static const char service_text[] =
	"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec:\n"
	"  hosts: [a.x]\n  addresses: [240.0.0.1]\n  location: MESH_INTERNAL\n"
	"  resolution: STATIC\n  ports: [{number: 1, name: tcp-a}]\n  endpoints: [%s]\n"
	"---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: a}\n"
	"spec:\n  host: a.x\n  trafficPolicy: {%s}\n";

#define AT(n, where) "{address: 198.51.100." #n ", locality: " where "}, "
#define LABELLED(n, where, labels)                                                                 \
	"{address: 198.51.100." #n ", locality: " where ", labels: {" labels "}}, "
#define SIX                                                                                        \
	AT(1, "q/z/s")                                                                             \
	AT(2, "r/y/s") AT(3, "r/z/t") AT(4, "r/z/s") AT(5, "p/z/s") "{address: 198.51.100.6}"

#define HERE	   NODE("{}", "{region: r, zone: z, subzone: s}")
#define OUTLIERS   "outlierDetection: {}"
#define WITH(what) "loadBalancer: {localityLbSetting: {" what "}}"

struct row {
	const char *node, *endpoints, *policy, *mesh, *want;
};

static const struct row rows[] = {
	/* Nobody is put aside: nobody would ever take over. */
	{HERE, SIX, "", NULL, "1 2 3 4 5 6"},
	{HERE, SIX, OUTLIERS, NULL, "100%: 4 | 0%: 3 | 0%: 2 | 0%: 6 5 1"},
	{HERE, SIX, "outlierDetection: {consecutive5xxErrors: 0}", NULL,
		"100%: 4 | 0%: 3 | 0%: 2 | 0%: 6 5 1"},
	{HERE, SIX, OUTLIERS ", " WITH("enabled: true"), NULL,
		"100%: 4 | 0%: 3 | 0%: 2 | 0%: 6 5 1"},
	{HERE, SIX, OUTLIERS ", " WITH("enabled: false"), NULL, "1 2 3 4 5 6"},
	/* Without a gap. */
	{HERE, AT(1, "r/y") AT(2, "q/y"), OUTLIERS, NULL, "100%: 1 | 0%: 2"},
	{HERE, AT(1, "r/y") AT(2, "r/y"), OUTLIERS, NULL, "1 2"},
	/* Who does not say a subzone is in none of those. */
	{NODE("{}", "{region: r, zone: z}"), SIX, OUTLIERS, NULL, "100%: 4 3 | 0%: 2 | 0%: 6 5 1"},
	{NODE("{}", "{region: r}"), SIX, OUTLIERS, NULL, "100%: 2 4 3 | 0%: 6 5 1"},
	/* Nowhere is a place, too. */
	{NODE("{}", "{}"), SIX, OUTLIERS, NULL, "100%: 6 | 0%: 5 1 2 4 3"},
	{"", SIX, OUTLIERS, NULL, "100%: 6 | 0%: 5 1 2 4 3"},
	/* Of slices only the zone is known. */
	{HERE, AT(1, "/y") AT(2, "/z") AT(3, "q"), OUTLIERS, NULL, "100%: 2 | 0%: 1 3"},
	/* By labels, which come after what is written. */
	{HERE,
		"{address: 198.51.100.1, labels: {istio-locality: q.z}}, " LABELLED(
			2, "r/y", "istio-locality: r.z.s") "{address: 198.51.100.3, labels: "
							   "{topology.istio.io/locality: r/z/s}}",
		OUTLIERS, NULL, "100%: 3 | 0%: 2 | 0%: 1"},
	{HERE, SIX, OUTLIERS ", " WITH("failover: [{from: q, to: r}, {from: r, to: p}]"), NULL,
		"100%: 4 | 0%: 3 | 0%: 2 | 0%: 5 | 0%: 6 1"},
	/* The first one that is about the region. */
	{HERE, SIX, OUTLIERS ", " WITH("failover: [{from: r, to: q}, {from: r, to: p}]"), NULL,
		"100%: 4 | 0%: 3 | 0%: 2 | 0%: 1 | 0%: 6 5"},
	{HERE, SIX, WITH("failover: [{from: r, to: p}]"), NULL, "1 2 3 4 5 6"},
	/* By weight, as without localities. */
	{HERE, "{address: 198.51.100.1, locality: r/z/s, weight: 3}, " AT(2, "r/z/s") AT(3, "q"),
		OUTLIERS ", " WITH("failover: [{from: r, to: q}]"), NULL, "100%: 1x3 2 | 0%: 3"},
};

static const struct row shares[] = {
	{HERE, SIX, WITH("distribute: [{from: r/z/*, to: {'r/z/*': 80, 'q/*': 20}}]"), NULL,
		"1 4x2 3x2"},
	{HERE, SIX, WITH("distribute: [{from: 'r/*', to: {'r/z/s': 70, 'r/z': 30}}]"), NULL,
		"4x7 3x3"},
	/* It does not ask for outlier detection, and there is no order beside it. */
	{HERE, SIX, OUTLIERS ", " WITH("distribute: [{from: r, to: {q: 50, p: 50}}]"), NULL, "5 1"},
	/* The first that fits; of those that do not fit nothing is left. */
	{HERE, SIX,
		WITH("distribute: [{from: q, to: {q: 100}}, {from: '*', to: {r/y: 100}}, {from: r, "
		     "to: {p: 100}}]"),
		NULL, "2"},
	{HERE, SIX, WITH("distribute: [{from: r/x, to: {q: 100}}]"), NULL, "6 5 1 2 4 3"},
	{HERE, SIX, WITH("distribute: [{from: r, to: {nowhere: 100}}]"), NULL, ""},
	/* Within a locality by weights, and so are localities that one entry is about. */
	{HERE,
		"{address: 198.51.100.1, locality: r/z, weight: 3}, {address: 198.51.100.2, "
		"locality: q}, " AT(3, "r/z"),
		WITH("distribute: [{from: r, to: {r: 40, q: 60}}]"), NULL, "2x6 1x3 3"},
	{HERE, "{address: 198.51.100.1, locality: r/a, weight: 3}, " AT(2, "r/b") AT(3, "q"),
		WITH("distribute: [{from: r, to: {r: 40, q: 60}}]"), NULL, "3x6 1x3 2"},
	/* In whole numbers upwards. */
	{HERE, AT(1, "r/a") "{address: 198.51.100.2, locality: r/b, weight: 2}, " AT(3, "q"),
		WITH("distribute: [{from: r, to: {r: 50, q: 50}}]"), NULL, "3x50 1x17 2x34"},
	/* By zones whose region nobody knows, if each is named; else as they are. */
	{HERE, AT(1, "/z") AT(2, "/y"),
		WITH("distribute: [{from: r, to: {'r/z/*': 75, 'r/y/*': 25}}]"), NULL, "2 1x3"},
	{HERE, AT(1, "/z") AT(2, "/y"), WITH("distribute: [{from: r, to: {r: 75, q: 25}}]"), NULL,
		"2 1"},
};

#define GOLD NODE("{tier: gold, app: web}", "{region: r, zone: z}")
#define TIERS                                                                                      \
	LABELLED(1, "r/z", "tier: iron")                                                           \
	LABELLED(2, "r/z", "tier: gold, app: web")                                                 \
	LABELLED(3, "q", "tier: gold, app: web") LABELLED(4, "q", "tier: gold") AT(5, "r/z")
#define ZONES "[topology.kubernetes.io/region, topology.kubernetes.io/zone]"

static const struct row ranks[] = {
	{GOLD, TIERS, OUTLIERS ", " WITH("failoverPriority: [tier, app]"), NULL,
		"100%: 3 2 | 0%: 4 | 0%: 1 5"},
	{GOLD, TIERS, OUTLIERS ", " WITH("failoverPriority: [app]"), NULL, "100%: 3 2 | 0%: 4 1 5"},
	{GOLD, TIERS, OUTLIERS ", " WITH("failoverPriority: [tier=iron]"), NULL,
		"100%: 1 | 0%: 3 4 2 5"},
	{GOLD, TIERS, WITH("failoverPriority: [tier]"), NULL, "1 2 3 4 5"},
	/* Where both stand is among their labels. */
	{GOLD, SIX, OUTLIERS ", " WITH("failoverPriority: " ZONES), NULL,
		"100%: 4 3 | 0%: 2 | 0%: 6 5 1"},
	{GOLD, AT(1, "/y") AT(2, "/z"), OUTLIERS ", " WITH("failoverPriority: " ZONES), NULL,
		"100%: 2 | 0%: 1"},
	/* Labels first, then places. */
	{GOLD, TIERS, OUTLIERS ", " WITH("failoverPriority: [tier], failover: [{from: r, to: q}]"),
		NULL, "100%: 2 | 0%: 3 4 | 0%: 1 5"},
	/* What nobody has is alike. */
	{GOLD, AT(1, "q") AT(2, "q"), OUTLIERS ", " WITH("failoverPriority: [a, b]"), NULL, "1 2"},
	{NODE("{}", "{}"), TIERS, OUTLIERS ", " WITH("failoverPriority: [tier]"), NULL,
		"3 4 1 2 5"},
	/* Another network comes after all of one's own. */
	{NODE("{tier: gold, topology.istio.io/network: here}", "{}"),
		"{address: 198.51.100.1, network: there, labels: {tier: gold}}, {address: "
		"198.51.100.2, network: here}, {address: 198.51.100.3, network: here, labels: "
		"{tier: gold}}, {address: 198.51.100.4, network: there}",
		OUTLIERS ", " WITH("failoverPriority: [topology.istio.io/network, tier]"), NULL,
		"100%: 3 | 0%: 2 | 0%: 1 | 0%: 4"},
};

static const struct row mesh_rows[] = {
	{HERE, SIX, OUTLIERS, "localityLbSetting: {enabled: false}", "1 2 3 4 5 6"},
	{HERE, SIX, OUTLIERS, "localityLbSetting: {failover: [{from: r, to: p}]}",
		"100%: 4 | 0%: 3 | 0%: 2 | 0%: 5 | 0%: 6 1"},
	{HERE, SIX, "", "localityLbSetting: {distribute: [{from: r, to: {q: 50, p: 50}}]}", "5 1"},
	/* The rule's comes first, whole. */
	{HERE, SIX, OUTLIERS ", " WITH("enabled: true"),
		"localityLbSetting: {enabled: false, failover: [{from: r, to: p}]}",
		"100%: 4 | 0%: 3 | 0%: 2 | 0%: 6 5 1"},
	{HERE, SIX, OUTLIERS ", loadBalancer: {simple: RANDOM}",
		"localityLbSetting: {enabled: false}", "1 2 3 4 5 6"},
};

/* "100%: 1x3 2 | 0%: 3": last byte of the address, weight if not 1; levels with their load. */
static void words(const struct mt_cluster *c, char *buf, size_t size)
{
	size_t n = 0;
	uint32_t level = 0;

	*buf = '\0';
	for (uint32_t i = 0; i < c->n_eps; i++) {
		const char *sep = i ? " " : "";

		if (level < c->n_levels && c->levels[level].first == i) {
			n += (size_t)snprintf(buf + n, size - n, "%s%u%%:", i ? " | " : "",
				c->levels[level++].load);
			sep = " ";
		}
		n += (size_t)snprintf(buf + n, size - n, "%s%u", sep, c->eps[i].addr.b[15]);
		if (c->eps[i].weight != 1)
			n += (size_t)snprintf(buf + n, size - n, "x%u", c->eps[i].weight);
	}
}

static void check(const struct row *r)
{
	struct mt_conf *conf = new_conf();
	struct mt_model *m = mt_model_new();
	struct mt_diags diags;
	struct mt_snapshot *s;
	char text[4096], got[256];
	int n = snprintf(text, sizeof(text), "%s", r->node);

	n += snprintf(text + n, sizeof(text) - (size_t)n, service_text, r->endpoints, r->policy);
	if (r->mesh)
		snprintf(text + n, sizeof(text) - (size_t)n, MESH, r->mesh);
	mt_diags_init(&diags);
	mt_source_text(m, &diags, "t", text, strlen(text));
	m->mesh.config = m->mesh_configs.n ? m->mesh_configs.v[0] : NULL;
	CU_ASSERT_EQUAL(m->mesh.config != NULL, r->mesh != NULL);
	s = diags.errors ? NULL : mt_conf_compile(conf, m, &diags, NOW);
	if (!s)
		mt_diags_print(&diags, stderr);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s);
	words(cluster(s, "outbound|1||a.x"), got, sizeof(got));
	CU_ASSERT_STRING_EQUAL(got, r->want);
	if (strcmp(got, r->want) != 0)
		printf("\n%s, %s: %s, not %s\n", r->policy, r->mesh ? r->mesh : "", got, r->want);
	mt_conf_discard(conf, s, NOW);
	mt_diags_fini(&diags);
	mt_model_free(m);
	mt_conf_destroy(conf);
}

static void priorities(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++)
		check(&rows[i]);
}

static void distribute(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(shares); i++)
		check(&shares[i]);
}

static void labels(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(ranks); i++)
		check(&ranks[i]);
}

static void of_the_mesh(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(mesh_rows); i++)
		check(&mesh_rows[i]);
}

/* What excludes each other, and what cannot be meant. */
static void refused(void)
{
	static const struct {
		const char *setting, *words;
	} t[] = {
		{"distribute: [{from: r, to: {q: 50, p: 40}}]", "the percents add up to 90"},
		{"distribute: [{from: r, to: {q: 101}}]", "101"},
		{"distribute: [{from: r, to: {q: 0, p: 100}}]", "out of range"},
		{"distribute: [{from: r}]", "missing"},
		{"distribute: [{from: r, to: {q: 100}}], failover: [{from: r, to: q}]",
			"exclude each other"},
		{"failover: [{from: r, to: r}]", "cannot take over from itself"},
		{"failover: [{from: r/z, to: q}]", "only whole regions"},
		{"failover: [{from: r, to: '*'}]", "only whole regions"},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		char text[2048], policy[512];
		struct built b;

		snprintf(policy, sizeof(policy), WITH("%s"), t[i].setting);
		snprintf(text, sizeof(text), service_text, "", policy);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NULL(b.s);
		CU_ASSERT(b.diags.errors == 1 && has_diag(&b, MT_DIAG_ERROR, 17, t[i].words));
		if (b.diags.errors != 1 || !has_diag(&b, MT_DIAG_ERROR, 17, t[i].words))
			show_diags(&b);
		unbuild(&b);
	}
}

/* Who asks for an order that nobody ever needs. */
static void without_outliers(void)
{
	static const struct {
		const char *policy;
		uint32_t warnings;
	} t[] = {
		{WITH("failover: [{from: r, to: q}]"), 1},
		{WITH("failoverPriority: [a]"), 1},
		{WITH("enabled: true"), 0},
		{WITH("enabled: false, failover: [{from: r, to: q}]"), 0},
		{OUTLIERS ", " WITH("failover: [{from: r, to: q}]"), 0},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		char text[2048];
		struct built b;

		snprintf(text, sizeof(text), service_text, SIX, t[i].policy);
		b = build_text(NULL, text);
		CU_ASSERT_PTR_NOT_NULL(b.s);
		CU_ASSERT_EQUAL(b.diags.warnings, t[i].warnings);
		CU_ASSERT(!t[i].warnings ||
			  has_diag(&b, MT_DIAG_WARNING, 17, "no endpoint takes over"));
		if (b.diags.warnings != t[i].warnings)
			show_diags(&b);
		unbuild(&b);
	}
}

/* Endpoints that `distribute` leaves without calls are reported where it is written. */
static void left_without_calls(void)
{
	static const struct {
		const char *endpoints, *policy, *mesh, *words;
		enum mt_diag_severity severity;
		uint32_t line; /* 0: no report */
	} t[] = {
#define SHARES	"distribute: [{from: q, to: {q: 100}}, {from: r, to: {r: 100}}]"
#define NOWHERE "{address: 198.51.100.1}, {address: 198.51.100.2}"
		{NOWHERE, WITH(SHARES), "",
			"spec.trafficPolicy.loadBalancer.localityLbSetting.distribute[1]: it "
			"leaves "
			"none of the endpoints of a.x: every call fails",
			MT_DIAG_WARNING, 24},
		{NOWHERE, "portLevelSettings: [{port: {number: 1}, " WITH(SHARES) "}]", "",
			"spec.trafficPolicy.portLevelSettings[0].loadBalancer.localityLbSetting."
			"distribute[1]: it leaves none",
			MT_DIAG_WARNING, 24},
		/* The mesh's own, for a host with a rule that does not write any, too. */
		{NOWHERE, OUTLIERS, "localityLbSetting: {" SHARES "}",
			"localityLbSetting.distribute[1]: it leaves none of the endpoints of a.x",
			MT_DIAG_WARNING, 30},
		{AT(1, "p/z") AT(2, "q"), WITH(SHARES), "", "it leaves none", MT_DIAG_WARNING, 24},
		{NOWHERE ", " AT(3, "r/z"), WITH(SHARES), "",
			"2 endpoints of a.x have no locality, and get no calls", MT_DIAG_NOTE, 24},
		/* Elsewhere by intent. */
		{AT(1, "q") AT(3, "r/z"), WITH(SHARES), "", "", MT_DIAG_NOTE, 0},
		{"", WITH(SHARES), "", "", MT_DIAG_NOTE, 0},
		{NOWHERE, WITH("distribute: [{from: p, to: {p: 100}}]"), "", "", MT_DIAG_NOTE, 0},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(t); i++) {
		char text[4096];
		struct built b;
		size_t n = (size_t)snprintf(text, sizeof(text), "%s", HERE);
		uint32_t reports = 0;

		n += (size_t)snprintf(
			text + n, sizeof(text) - n, service_text, t[i].endpoints, t[i].policy);
		if (*t[i].mesh)
			snprintf(text + n, sizeof(text) - n, MESH, t[i].mesh);
		b = (struct built){.conf = new_conf(), .m = mt_model_new()};
		mt_diags_init(&b.diags);
		mt_source_text(b.m, &b.diags, "t", text, strlen(text));
		b.m->mesh.config = b.m->mesh_configs.n ? b.m->mesh_configs.v[0] : NULL;
		b.s = b.diags.errors ? NULL : mt_conf_compile(b.conf, b.m, &b.diags, NOW);
		CU_ASSERT_PTR_NOT_NULL(b.s);
		for (uint32_t k = 0; k < b.diags.n; k++)
			reports += b.diags.items[k].path &&
				   strstr(b.diags.items[k].path, "distribute") != NULL;
		CU_ASSERT_EQUAL(reports, t[i].line > 0);
		CU_ASSERT(!t[i].line || has_diag(&b, t[i].severity, t[i].line, t[i].words));
		if (reports != (t[i].line > 0) ||
			(t[i].line && !has_diag(&b, t[i].severity, t[i].line, t[i].words)))
			show_diags(&b);
		unbuild(&b);
	}
}

/* A subset's own setting is named, and the subset. */
static void left_without_calls_of_subset(void)
{
	char text[4096];
	struct built b;
	size_t n = (size_t)snprintf(text, sizeof(text), "%s", HERE);

	n += (size_t)snprintf(text + n, sizeof(text) - n, service_text, SIX, "");
	snprintf(text + n, sizeof(text) - n,
		"  subsets:\n  - name: v1\n    labels: {}\n    trafficPolicy: {%s}\n",
		WITH("distribute: [{from: r, to: {nowhere: 100}}]"));
	b = build_text(NULL, text);
	CU_ASSERT_PTR_NOT_NULL(b.s);
	CU_ASSERT(has_diag(&b, MT_DIAG_WARNING, 28,
		"spec.subsets[0].trafficPolicy.loadBalancer.localityLbSetting.distribute[0]: it "
		"leaves none of the endpoints of a.x, subset v1: every call fails"));
	unbuild(&b);
}

const struct mt_test locality_tests[] = {
	{"priorities by where both stand", priorities},
	{"shares of localities", distribute},
	{"priorities by labels", labels},
	{"what the mesh says", of_the_mesh},
	{"locality settings that are refused", refused},
	{"an order without outlier detection", without_outliers},
	{"endpoints without calls", left_without_calls},
	{"endpoints of a subset without calls", left_without_calls_of_subset},
	{0},
};
