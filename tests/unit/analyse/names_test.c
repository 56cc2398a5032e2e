/* SPDX-License-Identifier: Apache-2.0 */
/* What is taken for a slip of the pen, and that the page has a row for each finding. */
#include "analyse_test.h"

static const struct {
	const char *a, *b;
	bool slip;
} words[] = {
	{"payments", "paymnets", true},
	{"payments", "payment", true},
	{"payments", "paymentss", true},
	{"storefront", "storfront", true},
	{"storefront", "storefornt", true},
	{"web-front", "webfront", true},
	{"orders", "orderx", false},
	{"payments", "payments", false},
	{"team-a", "team-b", false},
	{"team-a-x", "team-b-x", false},
	{"shard1", "shard2", false},
	{"web", "wbe", false},
	{"orders", "orders2", false},
	{"eu-west", "us-west", false},
	{"checkout", "payments", false},
	{"com.shop.orders", "com.shop.order", true},
	{"v1.orders", "v2.orders", false},
	{"blue-cart", "blew-cart", false},
};

/* Whole names, of which two that are so alike are not there on purpose. */
static const struct {
	const char *a, *b;
	bool near;
} names[] = {
	{"bank-wep", "bank-web", true},
	{"orders", "orderx", true},
	{"acquirer.partner.example", "aquirer.partner.example", true},
	{"acquirer.partner.example", "aquierer.partner.example", true},
	{"payments", "pamyents", true},
	{"team-a", "team-b", false},
	{"shard1", "shard2", false},
	{"warehouse-east", "warehouse-west", false},
	{"v1.orders.example", "v2.orders.example", false},
	{"blue-cart", "blew-cart", false},
	{"web", "wep", false},
	{"web", "wbe", true},
	{"ops", "osp", true},
	{"front", "frnt", true},
	{"cart", "carts", false},
	{"mart", "smart", false},
	{"a1", "1a", false},
	{"app", "api", false},
	{"orders", "orders", false},
};

static void near_names(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(names); i++) {
		if (mt_an_is_near(names[i].a, names[i].b) == names[i].near &&
			mt_an_is_near(names[i].b, names[i].a) == names[i].near)
			continue;
		printf("%s, %s\n", names[i].a, names[i].b);
		CU_FAIL("a name is not told as it is said");
	}
}

static void slips(void)
{
	for (size_t i = 0; i < MT_ARRAY_LEN(words); i++) {
		if (mt_an_is_slip(words[i].a, words[i].b) == words[i].slip &&
			mt_an_is_slip(words[i].b, words[i].a) == words[i].slip)
			continue;
		printf("%s, %s\n", words[i].a, words[i].b);
		CU_FAIL("a word is not told as it is said");
	}
}

/* Its row of the table, "| `ID` | SEVERITY | MEANING | REMEDY |". */
static void row_of(enum mt_finding_id id, char *buf, size_t size)
{
	const struct mt_finding_kind *k = mt_finding_kind(id);
	size_t n = (size_t)snprintf(buf, size, "| `%s` | ", k->id);

	for (char *p = buf; *p; p++)
		if (*p == '_')
			*p = '-';
	snprintf(buf + n, size - n, "%s | %s | %s |\n", mt_finding_severity_str(k->severity),
		k->meaning, k->remedy ? k->remedy : "");
}

static void the_page_has_a_row_for_each(void)
{
	static char page[200000];
	FILE *f = fopen(MT_SOURCE_ROOT "/docs/reference/findings.md", "r");
	char row[1024];
	size_t n;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	n = fread(page, 1, sizeof(page) - 1, f);
	page[n] = '\0';
	fclose(f);
	for (int i = 0; i < MT_FINDING_IDS; i++) {
		row_of((enum mt_finding_id)i, row, sizeof(row));
		if (strstr(page, row))
			continue;
		printf("docs/reference/findings.md has no row:\n%s", row);
		CU_FAIL("a finding has no row");
	}
}

#define SOURCES                                                                                    \
	"apiVersion: meltemi.io/v1\nkind: Node\nmetadata: {name: n}\nspec:\n"                      \
	"  ports: [{name: p0, device: net_null0, addresses: [192.0.2.1/24]}]\n"                    \
	"  sources: [{directory: all}, {directory: team, namespaces: [a]}]\n"                      \
	"  unenforced: [{kind: AuthorizationPolicy, namespace: b, name: z, hash: "                 \
	"\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\", "                   \
	"until: \"2026-12-01\", because: x}]\n"

/* An object in a namespace that its source may not have shows nothing of that namespace. */
static void objects_that_are_outside(void)
{
	const char *reason;
	struct looked l;
	char cmd[100];

	looked_begin(&l);
	snprintf(cmd, sizeof(cmd), "mkdir -p %s/all %s/team", l.sc.dir, l.sc.dir);
	CU_ASSERT_EQUAL(system(cmd), 0);
	scene_write(&l.sc, "0-node.yaml", SOURCES);
	scene_write(&l.sc, "all/s.yaml", SERVICE("s", "b", "198.51.100.1"));
	scene_write(&l.sc, "all/p.yaml",
		SECURITY("AuthorizationPolicy", "p", "b",
			"{rules: [{from: [{source: {namespaces: [elsewhere]}}]}]}"));
	scene_write(&l.sc, "all/q.yaml",
		SECURITY("AuthorizationPolicy", "q", "b",
			"{targetRefs: [{kind: Service, group: '', name: t}], rules: [{}]}"));
	scene_write(&l.sc, "team/t.yaml", SERVICE("t", "elsewhere", "198.51.100.2"));
	scene_write(&l.sc, "team/k.yaml",
		"apiVersion: v1\nkind: Service\nmetadata: {name: t, namespace: b}\n"
		"spec: {ports: [{port: 80}]}\n");
	scene_write(&l.sc, "team/z.yaml", SECURITY("AuthorizationPolicy", "z", "b", "{}"));
	scene_load_node(&l.sc);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l.sc.s);
	l.in = (struct mt_analyse_in){
		.table = l.sc.t, .audit = &l.audit, .snap = l.sc.s, .wall = 1790000000};
	CU_ASSERT_PTR_NOT_NULL(looked_reason(&l, "namespace-unseen"));
	CU_ASSERT_PTR_NOT_NULL(looked_reason(&l, "wrong-target"));
	reason = looked_reason(&l, "unenforced-void");
	CU_ASSERT(reason && strstr(reason, "b/z is not here"));
	looked_end(&l);
}

const struct mt_test names_tests[] = {
	{"objects_that_are_outside", objects_that_are_outside},
	{"slips", slips},
	{"near_names", near_names},
	{"the_page_has_a_row_for_each", the_page_has_a_row_for_each},
	{0},
};
