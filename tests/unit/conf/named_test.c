/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints that are names: which of their addresses are used, and what is reported of them. */
#include "conf_test.h"
#include "conf_texts.h"

#include <stdio.h>

#define NAMED(resolution, address)                                                                 \
	ISTIO("ServiceEntry", "a")                                                                 \
	"  hosts: [a.x]\n  addresses: [192.0.2.1]\n  ports: [{number: 80, name: tcp}]\n"           \
	"  resolution: " resolution "\n  endpoints: [{address: " address "}]\n"
#define NODE(addresses, routes)                                                                    \
	"---\napiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n  ports: "        \
	"[{name: "                                                                                 \
	"p0, device: net_null0, addresses: [" addresses "]}]\n  routes: [" routes "]\n"
#define ONLY4 NODE("203.0.113.9/24", "{to: 0.0.0.0/0, via: 203.0.113.1}")
#define ONLY6 NODE("2001:db8:f::9/64", "{to: '::/0', via: '2001:db8:f::1'}")
#define BOTH                                                                                       \
	NODE("203.0.113.9/24, 2001:db8:f::9/64",                                                   \
		"{to: 0.0.0.0/0, via: 203.0.113.1}, {to: '::/0', via: '2001:db8:f::1'}")
/* A network of IPv6 without a way out of it. */
#define NEAR6 NODE("203.0.113.9/24, 2001:db8:f::9/64", "{to: 0.0.0.0/0, via: 203.0.113.1}")

#define ADDRESSES 2048

/* The answers of a table of names. */
struct names {
	struct mt_addr addrs[ADDRESSES];
	struct mt_name_state state;
	char asked[64];
	uint32_t n_asked;
};

static void find(void *arg, const char *name, struct mt_name_state *out)
{
	struct names *n = arg;

	snprintf(n->asked, sizeof(n->asked), "%s", name);
	n->n_asked++;
	*out = n->state;
	out->addrs = n->addrs;
	out->answered = true;
}

static void set(struct names *n, const char *const *addrs)
{
	*n = (struct names){.state.why = ""};
	for (; *addrs; addrs++)
		CU_ASSERT_EQUAL(mt_addr_parse(*addrs, &n->addrs[n->state.n++]), 0);
}

static struct built build_named(const char *text, struct names *n)
{
	struct built b = {.conf = new_conf(), .m = mt_model_new()};

	mt_diags_init(&b.diags);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.m);
	mt_source_text(b.m, &b.diags, "t", text, strlen(text));
	CU_ASSERT_EQUAL(b.diags.errors, 0);
	b.m->names = (struct mt_model_names){find, n};
	b.s = mt_conf_compile(b.conf, b.m, &b.diags, NOW);
	CU_ASSERT_PTR_NOT_NULL_FATAL(b.s);
	return b;
}

static const char *endpoints(const struct built *b)
{
	const struct mt_cluster *c = cluster(b->s, "outbound|80||a.x");
	static char text[256];
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < c->n_eps; i++) {
		char a[MT_ADDR_STRLEN];

		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "",
			mt_addr_str(&c->eps[i].addr, a));
	}
	return text;
}

#define FOUR "198.51.100.7"
#define SIX  "2001:db8::7"

/* Addresses of a family that the node cannot reach are not used; round robin takes the first of the others. */
static void reached(void)
{
	static const char *const both[] = {FOUR, SIX, NULL}, *const six[] = {SIX, NULL},
				 *const near[] = {"198.51.100.7", "2001:db8:f::7", NULL};
	static const struct {
		const char *text;
		const char *const *addrs;
		const char *want;
		enum mt_diag_severity severity;
		const char *words; /* NULL: nothing is reported */
	} rows[] = {
		{NAMED("DNS", "B.x") ONLY4, both, FOUR, MT_DIAG_NOTE,
			"\"b.x\": 1 of its 2 addresses are not used, because no port and no route "
			"leads to them (0 IPv4, 1 IPv6)"},
		{NAMED("DNS", "b.x") ONLY6, both, SIX, MT_DIAG_NOTE, "(1 IPv4, 0 IPv6)"},
		{NAMED("DNS", "b.x") BOTH, both, FOUR " " SIX, MT_DIAG_NOTE, NULL},
		{NAMED("DNS", "b.x") NEAR6, both, FOUR, MT_DIAG_NOTE, "(0 IPv4, 1 IPv6)"},
		{NAMED("DNS", "b.x") NEAR6, near, "198.51.100.7 2001:db8:f::7", MT_DIAG_NOTE, NULL},
		{NAMED("DNS", "b.x"), both, FOUR " " SIX, MT_DIAG_NOTE, NULL},
		{NAMED("DNS", "b.x") ONLY4, six, "", MT_DIAG_WARNING, "1 of its 1 addresses"},
		{NAMED("DNS_ROUND_ROBIN", "b.x") ONLY6, both, SIX, MT_DIAG_NOTE,
			"(1 IPv4, 0 IPv6)"},
		{NAMED("DNS_ROUND_ROBIN", "b.x") ONLY4, both, FOUR, MT_DIAG_NOTE,
			"(0 IPv4, 1 IPv6)"},
		{NAMED("DNS_ROUND_ROBIN", "b.x") BOTH, both, FOUR, MT_DIAG_NOTE, NULL},
	};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct names n;
		struct built b;
		bool told;

		set(&n, rows[i].addrs);
		b = build_named(rows[i].text, &n);
		CU_ASSERT_STRING_EQUAL(n.asked, "b.x");
		CU_ASSERT_STRING_EQUAL(endpoints(&b), rows[i].want);
		told = has_diag(
			&b, rows[i].severity, 10, rows[i].words ? rows[i].words : "are not used");
		CU_ASSERT_EQUAL(told, rows[i].words != NULL);
		if (told != (rows[i].words != NULL))
			show_diags(&b);
		unbuild(&b);
	}
}

/* All addresses of a name are endpoints, up to a limit that is reported. */
static void many(void)
{
	static struct names n;
	struct built b;

	n = (struct names){.state = {.n = MT_NAME_FAMILY, .why = ""}};
	for (uint32_t i = 0; i < n.state.n; i++)
		n.addrs[i] = mt_addr4(__builtin_bswap32(0x0a000001u + i));
	b = build_named(NAMED("DNS", "b.x"), &n);
	CU_ASSERT_EQUAL(cluster(b.s, "outbound|80||a.x")->n_eps, MT_NAME_FAMILY);
	CU_ASSERT_FALSE(has_diag(&b, MT_DIAG_NOTE, 10, "more than are used"));
	unbuild(&b);
	n.state.more = 76;
	b = build_named(NAMED("DNS", "b.x"), &n);
	CU_ASSERT_EQUAL(cluster(b.s, "outbound|80||a.x")->n_eps, MT_NAME_FAMILY);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_NOTE, 10,
		"\"b.x\" has 1100 addresses, more than are used: 1024 of a family"));
	unbuild(&b);
}

/* A name that does not resolve keeps its addresses, and a warning says since when. */
static void failing(void)
{
	static const char *const four[] = {FOUR, NULL}, *const none[] = {NULL};
	struct names n;
	struct built b;

	set(&n, four);
	n.state.why = "Domain name not found";
	b = build_named(NAMED("DNS", "b.x"), &n);
	CU_ASSERT_EQUAL(b.diags.warnings, 0);
	unbuild(&b);
	n.state.failed_at = 1795842000;
	b = build_named(NAMED("DNS", "b.x"), &n);
	CU_ASSERT_STRING_EQUAL(endpoints(&b), FOUR);
	CU_ASSERT_TRUE(has_diag(&b, MT_DIAG_WARNING, 10,
		"\"b.x\" has not resolved since 2026-11-28 05:00:00 UTC (Domain name not found): "
		"its "
		"last addresses are used"));
	unbuild(&b);
	set(&n, none);
	n.state.why = "Domain name not found";
	b = build_named(NAMED("DNS", "b.x"), &n);
	CU_ASSERT_TRUE(has_diag(
		&b, MT_DIAG_WARNING, 10, "\"b.x\" cannot be looked up: Domain name not found"));
	unbuild(&b);
}

/* The addresses of a name are read once, also if policies want to know whether there are some. */
static void once(void)
{
	static const char *const one[] = {FOUR, NULL};
	struct names n;
	struct built b;

	set(&n, one);
	b = build_named(NAMED("DNS", "b.x") "---\napiVersion: security.istio.io/v1\nkind: "
					    "AuthorizationPolicy\nmetadata: {name: p}\nspec: "
					    "{action: DENY}\n",
		&n);
	CU_ASSERT_STRING_EQUAL(endpoints(&b), FOUR);
	CU_ASSERT_EQUAL(n.n_asked, 1);
	unbuild(&b);
}

/* A WorkloadEntry with a name is used if a joined service by names selects it, and only then. */
static void selected(void)
{
#define SELECTS(name, host, resolution)                                                            \
	ISTIO("ServiceEntry", name)                                                                \
	"  hosts: [" host "]\n  addresses: [192.0.2.1]\n  ports: [{number: 80, name: tcp}]\n"      \
	"  resolution: " resolution "\n  workloadSelector: {labels: {app: " name "}}\n"
#define SELECTED(app) ISTIO("WorkloadEntry", "w") "  address: b.x\n  labels: {app: " app "}\n"
	static const struct {
		const char *text;
		bool used;
		uint32_t line; /* of the name */
	} rows[] = {
		{SELECTS("a", "a.x", "DNS") SELECTED("a"), true, 16},
		{SELECTS("a", "a.x", "STATIC") SELECTED("a"), false, 16},
		{SELECTS("a", "a.x", "DNS") SELECTED("b"), false, 16},
		{SELECTS("a", "a.x", "STATIC") SELECTS("b", "a.x", "DNS") SELECTED("b"), true, 26},
	};
	static const char *const one[] = {FOUR, NULL};

	for (size_t i = 0; i < MT_ARRAY_LEN(rows); i++) {
		struct names n;
		struct built b;

		set(&n, one);
		b = build_named(rows[i].text, &n);
		CU_ASSERT_EQUAL(
			has_diag(&b, MT_DIAG_WARNING, rows[i].line, "\"b.x\" is not an address"),
			!rows[i].used);
		CU_ASSERT_EQUAL(n.n_asked > 0, rows[i].used);
		unbuild(&b);
	}
}

const struct mt_test named_tests[] = {
	{"reached", reached},
	{"many", many},
	{"failing", failing},
	{"once", once},
	{"selected", selected},
	{0},
};
